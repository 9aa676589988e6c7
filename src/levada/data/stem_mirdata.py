"""Stems and solos through mirdata: multitracks such as Slakh's, and solos such as BRID's.

Datasets are asked for what they have: songs with tracks, tracks that name their instrument, or, as in BRID, track ids
that do.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from levada.data.corpus import Corpus
from levada.data.mirdata import AUDIO, GROUPS, _dataset, _group, _home
from levada.data.multitracks import Multitrack
from levada.data.shared_takes import with_shared_takes
from levada.data.silence import without_silent
from levada.data.stem_folder import brid_solo, in_one_voice, renamed_notes
from levada.errors import InputError
from levada.synth.instrument_names import find_instrument, normalise_name

__all__ = ["open_stem_mirdata"]

MIXTURES = ("mix_path", "audio_mix_path", "mixture_path", "audio_path")  # where loaders keep that of all together
NAMES = ("instrument", "instrument_full", "inst_class", "instrument_name")
ABSENT = (OSError, ValueError, AttributeError, KeyError, TypeError, IndexError)  # what loaders raise of files not there


def open_stem_mirdata(name: str, *, home: str | Path | None = None) -> Corpus[Multitrack]:
    """Open a dataset with stems or solos that mirdata knows and that has been downloaded.

    Parameters
    ----------
    name : str
        mirdata's name of the dataset, such as ``brid``; ``NAME@VERSION`` for another than its default version.
    home : path-like or None
        The folder that holds the datasets, one folder each; mirdata's own, ``~/mir_datasets``, by default.

    Returns
    -------
    Corpus
        What is there of it. Of BRID, the solos: mixtures have no stems.

    Raises
    ------
    InputError
        If mirdata does not know the name, the dataset names no instruments, or is not downloaded.
    MissingExtra
        If mirdata is not installed.
    """
    name, _, version = name.partition("@")
    root = _home(name, home)
    dataset = _dataset(name, version or "default", str(root))
    fetch = f"levada corpus get {name}" + (f" --home {home}" if home else "")
    try:
        several = dataset._multitrack_class is not None and bool(dataset.mtrack_ids)
        members = [*(dataset.mtrack_ids if several else dataset.track_ids)]
    except ABSENT:
        raise InputError(f"{name} is not downloaded here; run: {fetch}", path=root) from None
    found = [song for own in sorted(members) for song in (_song if several else _solo)(name, dataset, own)]
    there = [song for song in found if song.stems]
    if not found:
        raise InputError(f"mirdata's dataset {name} has neither stems nor solos that name their instrument", path=root)
    if not there:
        raise InputError(f"none of the {len(found)} recordings of {name} are here; run: {fetch}", path=root)
    if len(there) < len(found):
        logging.getLogger(__name__).warning("%s: %d of %d recordings are here", name, len(there), len(found))
    songs, renamed = in_one_voice(there)
    named = any(song.group != song.id for song in songs)
    grouping = "the performer or session the dataset names" if named else "each recording is its own group"
    grouping = GROUPS[name][1] if name in GROUPS else grouping
    songs, silent = without_silent(songs)
    songs, grouping = with_shared_takes(songs, grouping)
    return Corpus(
        name=name,
        tracks=songs,
        root=root,
        licence=(getattr(dataset, "_license_info", None) or "").strip(),
        citation=(dataset.bibtex or "").strip(),
        grouping=grouping,
        notes=(*renamed_notes(renamed, root), *silent),
    )


def _song(name: str, dataset: Any, own: str) -> Iterator[Multitrack]:
    """A multitrack; without stems where its files are not there."""
    song = dataset.multitrack(own)
    stems: dict[str, tuple[Path, ...]] = {}
    for track_id, track in song.tracks.items():
        takes = [path for path in _recordings(track) if path.is_file()]
        if takes:
            called = (
                _instrument(track) or normalise_name(str(track_id).removeprefix(own)) or normalise_name(str(track_id))
            )
            stems[called] = (*stems.get(called, ()), *takes)
    mixtures = [Path(path) for key in MIXTURES if (path := _asked(song, key))]
    mixture = next((path for path in mixtures if path.is_file()), None)
    yield Multitrack(own, dict(sorted(stems.items())), mixture, _group(name, song, own), _beats(song))


def _solo(name: str, dataset: Any, own: str) -> Iterator[Multitrack]:
    """A solo; nothing where no instrument is named."""
    track = dataset.track(own)
    called = brid_solo(own) if name == "brid" else _instrument(track) or next(iter(find_instrument(own) or ()), None)
    if called is not None:
        takes = tuple(path for path in _recordings(track) if path.is_file())
        yield Multitrack(own, {called: takes} if takes else {}, None, _group(name, track, own), _beats(track))


def _instrument(track: Any) -> str | None:
    for key in NAMES:
        value = _asked(track, key)
        if isinstance(value, str) and normalise_name(value):
            return normalise_name(value)
    return None


def _recordings(track: Any) -> list[Path]:
    several = _asked(track, "audio_paths")
    if isinstance(several, list | tuple):
        return [Path(path) for path in several if path]
    return [Path(path) for key in AUDIO if (path := _asked(track, key))][:1]


def _beats(member: Any) -> Path | None:
    path = _asked(member, "beats_path")
    return Path(path) if path and Path(path).is_file() else None


def _asked(member: Any, key: str) -> Any:
    """An attribute that may not be there, or may need a file that is not."""
    try:
        return getattr(member, key, None)
    except ABSENT:
        return None
