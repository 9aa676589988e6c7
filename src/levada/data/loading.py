"""Load a corpus by the name a user gives it: a folder, a dataset of mirdata, or a rendered tradition."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Literal, TypedDict, Unpack, overload

from levada.arguments import checked
from levada.data.corpus import Corpus, Labels
from levada.data.folder import open_folder
from levada.data.mirdata import labels_of_dataset, open_mirdata
from levada.data.multitracks import Multitrack
from levada.data.stem_folder import open_stem_folder, song_kinds
from levada.errors import InputError

__all__ = ["MIRDATA", "RENDERED", "load_corpus"]

MIRDATA, RENDERED = "mirdata:", "rendered:"
MINUTES = 5.0
"""Of a rendered corpus, as of the command ``levada render``."""


Groups = Mapping[str, str] | str | Path


class _Options(TypedDict, total=False):
    groups: Groups | None
    convention: str
    annotator: str
    readings: Sequence[str]
    instruments: Mapping[str, str] | None
    home: str | Path | None
    minutes: float | None
    seed: int | None


@overload
def load_corpus(source: str | Path, *, labels: Literal["beats"], **options: Unpack[_Options]) -> Corpus: ...
@overload
def load_corpus(source: str | Path, *, labels: Literal["stems"], **options: Unpack[_Options]) -> Corpus[Multitrack]: ...
@overload
def load_corpus(
    source: str | Path, *, labels: Labels | None = ..., **options: Unpack[_Options]
) -> Corpus | Corpus[Multitrack]: ...
@checked
def load_corpus(
    source: str | Path,
    *,
    labels: Labels | None = None,
    groups: Groups | None = None,
    convention: str = "",
    annotator: str = "",
    readings: Sequence[str] = (),
    instruments: Mapping[str, str] | None = None,
    home: str | Path | None = None,
    minutes: float | None = None,
    seed: int | None = None,
) -> Corpus | Corpus[Multitrack]:
    """Load a corpus of recordings with beats, or of songs with stems.

    Parameters
    ----------
    source : str or path-like
        A folder; ``mirdata:NAME`` (``mirdata:NAME@VERSION``) for a dataset of mirdata that was downloaded; or
        ``rendered:NAME`` for a tradition by name or TOML file, which is rendered once and kept in the user's cache.
    labels : "beats", "stems" or None
        What to read; what the source has by default.
    groups : mapping of str to str, path-like or None
        Groups of a folder: a track's id or a pattern -> its group, or a table (`levada.data.metadata`); those of
        ``corpus.toml`` by default.
    convention : str
        Of the beat labels of a folder, a name in `levada.io.formats.CONVENTIONS`; recognised by default.
    annotator : str
        Whose beat labels of a folder are used, where there are those of several people.
    readings : sequence of str
        Annotators whose beat labels of a folder are other readings of the same recordings, which `evaluate` scores too.
    instruments : mapping of str to str, optional
        In a folder of stems: path of a file without suffix, or a pattern -> its instrument, where names of files do
        not name it.
    home : path-like or None
        The folder of mirdata's datasets, one folder each; ``~/mir_datasets`` by default.
    minutes, seed : float, int, optional
        Of a rendered tradition: minutes of music in all, 5 by default, and the seed, 0 by default.

    Returns
    -------
    Corpus

    Raises
    ------
    InputError
        If there is no such folder, it has no audio or a wrong ``corpus.toml``, it has both beats and stems and
        `labels` is not given, the dataset is unknown or not downloaded, there is no such tradition, or an option does
        not apply to the source.
    MissingExtra
        If mirdata is needed and not installed.

    Examples
    --------
    >>> corpus = load_corpus("my-recordings")                           # doctest: +SKIP
    >>> train, test = corpus.split(test_size=0.5, seed=0)                # doctest: +SKIP
    """
    name = str(source)
    if not name:
        raise InputError("source is empty: give a folder, mirdata:NAME or rendered:NAME")
    is_mirdata, is_rendered = name.startswith(MIRDATA), name.startswith(RENDERED)
    if labels not in (None, "beats", "stems"):
        raise InputError(f'labels must be "beats" or "stems", not {labels!r}')
    if not is_rendered and (minutes is not None or seed is not None):
        raise InputError("minutes and seed apply to rendered:NAME only", path=source)
    if home is not None and not is_mirdata:
        raise InputError("home applies to mirdata:NAME only", path=source)
    if is_mirdata:
        labels = labels or _only_kind(labels_of_dataset(name.removeprefix(MIRDATA), home=home), name)
    elif is_rendered:
        labels = labels or "beats"
        source = _rendered(name.removeprefix(RENDERED), labels, MINUTES if minutes is None else minutes, seed or 0)
    elif labels is None:
        labels = _only_kind(_kinds_in_folder(Path(source)), name)
    if (convention or annotator or readings) and (labels == "stems" or is_mirdata or is_rendered):
        raise InputError("a convention, an annotator or readings apply to the beat labels of a folder", path=name)
    if groups is not None and (is_mirdata or is_rendered):
        raise InputError("groups apply to a folder", path=name)
    if instruments and (labels == "beats" or is_mirdata or is_rendered):
        raise InputError("instruments apply to a folder of stems", path=name)
    if is_mirdata:
        return open_mirdata(name.removeprefix(MIRDATA), labels=labels, home=home)
    if labels == "stems":
        return open_stem_folder(source, instruments=instruments, groups=groups)
    return open_folder(source, convention=convention, annotator=annotator, readings=readings, groups=groups)


def _only_kind(kinds: set[Labels], source: str) -> Labels:
    if len(kinds) > 1:
        raise InputError(
            'has beats and stems: choose with labels="beats" or labels="stems" (--labels beats or --labels stems)',
            path=source,
        )
    return next(iter(kinds), "beats")


def _kinds_in_folder(folder: Path) -> set[Labels]:
    """Return which labels a folder has.

    Stems are mixtures with a file an instrument in their folder; without any beat file, any song or solo. Folders
    NAME.stems beside a recording with beats, and solos with beats, are stems only on request.
    """
    if not folder.is_dir():
        return {"beats"}  # refused by the reader
    with_mixture, others = song_kinds(folder)
    beats = False
    try:
        beats = bool(open_folder(folder).annotated)
    except InputError:
        if not (with_mixture or others):
            raise
    kinds = set[Labels]()
    if with_mixture or (others and not beats):
        kinds.add("stems")
    if beats:
        kinds.add("beats")
    return kinds


def _rendered(name: str, labels: Labels, minutes: float, seed: int) -> Path:
    """Render a tradition into the user's cache, unless it is there; returns the folder."""
    from levada.data.rendered import render_corpus
    from levada.io.package_digest import package_digest
    from levada.synth.traditions import read_tradition

    tradition = read_tradition(name)
    facts = [asdict(tradition), minutes, seed, labels, package_digest()]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "levada" / "rendered"
    folder = cache / sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
    folder.parent.mkdir(parents=True, exist_ok=True)
    stems = labels == "stems"
    render_corpus(folder, tradition, minutes=minutes, seed=seed, multitrack=stems, processes=1)  # scripts need no guard
    return folder
