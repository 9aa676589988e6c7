"""The models that a study compares: their names in tables, and which recordings they were trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from levada.data import Corpus, Multitrack
from levada.experiments.spec import Source, Study, is_path
from levada.io import audio
from levada.learning.names import EXTERNAL_TRACKERS, FLUX, shipped

__all__ = ["display_names", "trained_items"]


def display_names(study: Study) -> dict[str, str]:
    """Name of each model in tables: its name, or that of its folder, wherever it lies.

    A folder of the name of another model has the beginning of the digest of its content beside it.
    """
    taken = {*shipped(), *shipped("stems"), *EXTERNAL_TRACKERS, FLUX}
    labels = dict[str, str]()
    for name in dict.fromkeys((*study.bases, *study.external)):
        word, _, path = name.rpartition(":")
        if not is_path(path):
            labels[name] = name
            continue
        folder = Path(path)
        label = f"{word}{':' if word else ''}{folder.name}"
        if label in taken:
            label += f" ({audio.content_hash(folder)[:6]})" if folder.exists() else f" ({path})"
        labels[name] = label
        taken.add(label)
    return labels


def trained_items(
    source: Source, corpus: Corpus[Any], test: Sequence[Any], trained: Mapping[str, frozenset[str]]
) -> dict[str, str]:
    """Ids of test recordings that models were trained on, or on others of their group -> names of these models."""
    files = frozenset[str]().union(*trained.values())
    if not files:
        return {}
    items = corpus.tracks if corpus.labels == "stems" else corpus.annotated
    excluded, groups = dict[str, str](), dict[str, list[str]]()
    for item in items:
        of = _file_hashes(item)
        if names := [name for name, of_model in trained.items() if of & of_model]:
            excluded[item.id] = ", ".join(names)
            groups.setdefault(item.group or item.id, []).extend(names)
    if not (source.halves or source.ignore_groups):
        for item in items:
            if (group := item.group or item.id) in groups and item.id not in excluded:
                excluded[item.id] = f"{', '.join(dict.fromkeys(groups[group]))}: others of its group"
    scored = {getattr(item, "track", item).id for item in test}
    return {one: why for one, why in excluded.items() if one in scored}


def _file_hashes(track: Any) -> frozenset[str]:
    """SHA-256 of all files of a recording or song."""
    if not isinstance(track, Multitrack):
        return frozenset([track.content_hash])
    mixture = [] if track.mixture is None else [audio.content_hash(track.mixture)]
    return frozenset([track.content_hash, *track.stem_hashes, *mixture])
