"""Preparation of songs that were just opened: one name an instrument, no silent stems, groups without overlap.

Tracks that a program exported although nothing was recorded on them are silent, and are left out. Songs that share a
take, or were mixed from the same recording, are of one group: a score of one is no evidence for the other.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from levada.data.audio_scan import SILENT
from levada.data.corpus import Corpus
from levada.data.multitracks import REST, Multitrack
from levada.data.problems import Problem
from levada.errors import InputError
from levada.io import audio
from levada.synth.instrument_names import OTHER, find_voices

__all__ = ["prepare_songs"]

HEAD = 1 << 16  # bytes of a file that are compared before all are


def prepare_songs(corpus: Corpus[Multitrack], *, kept: Collection[str] = ()) -> Corpus[Multitrack]:
    """Return a corpus with one name for each instrument, without silent stems, and with groups that share no take.

    Parameters
    ----------
    corpus : Corpus
        Of songs with stems.
    kept : collection of str
        Names of instruments that the user has chosen, and that stay.

    Returns
    -------
    Corpus
        Its notes list the changes.
    """
    songs, renamed = _with_one_name(corpus.tracks, kept)
    notes = [
        Problem("warning", f"calls one instrument {other} and {used}: {used} is used for both", corpus.root)
        for other, used in sorted(renamed.items())
    ]
    silent = [[path for path in song.files if len(song.stems) > 1 and _is_silent(path)] for song in songs]
    songs = [_without(song, paths) for song, paths in zip(songs, silent, strict=True)]
    for song, paths in zip(songs, silent, strict=True):
        notes += [
            Problem("note", "is silent throughout, and is left out", path) for path in paths if path not in song.files
        ]
    united = _with_united_groups(songs)
    changed = any(one is not other for one, other in zip(songs, united, strict=True))
    grouping = f"{corpus.grouping}; those that share a take or a solo are one" if changed else corpus.grouping
    return replace(corpus, tracks=tuple(united), grouping=grouping, notes=(*corpus.notes, *notes))


def _with_one_name(songs: Sequence[Multitrack], kept: Collection[str]) -> tuple[list[Multitrack], dict[str, str]]:
    """Rename instruments that have several names, and mark mixtures that hold more than their one stem.

    Names of one voice that never play together are one: the one that most songs have. Those that do play together are
    distinct on purpose, and what is not a percussion instrument is left as it is. Also returns the names that were
    changed -> the name used.
    """
    often = Counter(name for song in songs for name in song.stems)
    voices = [find_voices([*song.stems], context=often) for song in songs]
    by_voice: dict[str, Counter[str]] = {}
    for own in voices:
        for name, voice in own.items():
            if voice is not None and voice != OTHER:
                by_voice.setdefault(voice, Counter())[name] += 1
    together = {pair for song in songs for pair in combinations(sorted(song.stems), 2)}
    used: dict[tuple[str, str], str] = {}  # voice and name -> the name used
    for voice, names in by_voice.items():
        chosen, *rest = sorted(names, key=lambda name: (name not in kept, -names[name], name != voice, name))
        others = {name for other, theirs in by_voice.items() if other != voice for name in theirs}
        is_two = chosen in others and chosen != voice and chosen not in kept  # one name of two instruments
        used[voice, chosen] = voice if is_two else chosen
        if sum(name in kept for name in names) > 1:
            continue
        one = [chosen]
        for name in rest:
            if not any(tuple(sorted((name, other))) in together for other in one):
                used[voice, name] = used[voice, chosen]
                one.append(name)
    alone = all(len(song.stems) == 1 for song in songs if song.mixture is not None)
    renamed = [
        replace(
            song,
            stems={used.get((own[name] or "", name), name): takes for name, takes in song.stems.items()},
            has_rest=alone and song.mixture is not None and REST not in song.stems,
        )
        for song, own in zip(songs, voices, strict=True)
    ]
    return renamed, {name: chosen for (_, name), chosen in used.items() if chosen != name}


def _without(song: Multitrack, silent: Collection[Path]) -> Multitrack:
    """Leave out silent stems; a song that is silent as a whole stays."""
    stems = {name: tuple(path for path in takes if path not in silent) for name, takes in song.stems.items()}
    stems = {name: takes for name, takes in stems.items() if takes}
    return replace(song, stems=stems) if silent and stems else song


def _is_silent(path: Path) -> bool:
    """Whether a recording is silent throughout; read until it is not. False if it cannot be read: check reports it."""
    try:
        return all(float(abs(block).max(initial=0)) <= SILENT for block in audio.read_blocks(path, block_s=4.0))
    except (InputError, OSError):
        return False


def _with_united_groups(songs: Sequence[Multitrack]) -> list[Multitrack]:
    """Unite the groups of songs that share the recording of a stem, or a solo they were mixed from.

    United groups get the first of their names.
    """
    parent = {song.group or song.id: song.group or song.id for song in songs}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    first: dict[Hashable, str] = {}
    for song, key in _recordings(songs):
        one, other = root(song.group or song.id), root(first.setdefault(key, song.group or song.id))
        parent[max(one, other)] = min(one, other)
    return [
        song if root(song.group or song.id) == (song.group or song.id) else replace(song, group=root(song.group))
        for song in songs
    ]


def _recordings(songs: Sequence[Multitrack]) -> Iterator[tuple[Multitrack, Hashable]]:
    """Yield songs with digests of the recordings they are made of; files that are unlike all others are not hashed."""
    alike: dict[Hashable, list[tuple[Multitrack, Path]]] = {}
    for song in songs:
        for digest in song.sources:
            yield song, digest
        for path in song.files:
            try:
                with open(path, "rb") as file:
                    head = hashlib.sha256(file.read(HEAD)).hexdigest()
                alike.setdefault((path.stat().st_size, head), []).append((song, path))
            except OSError:
                continue  # check reports it
    for several in alike.values():
        if len({song.id for song, _ in several}) < 2:
            continue
        for song, path in several:
            try:
                if not _is_silent(path):  # silent ones are alike, and no evidence
                    yield song, audio.content_hash(path)
            except (InputError, OSError):
                continue
