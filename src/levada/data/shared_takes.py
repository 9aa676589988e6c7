"""Songs that share a take, or were mixed from the same recording, are of one group: none is evidence for another."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from levada.data.multitracks import Multitrack
from levada.data.silence import is_silent
from levada.errors import InputError
from levada.io import audio

__all__ = ["with_shared_takes"]

HEAD = 1 << 16  # bytes of a file that are compared before all are


def with_shared_takes(songs: Sequence[Multitrack], grouping: str) -> tuple[tuple[Multitrack, ...], str]:
    """Unite the groups of songs that share the recording of a stem, or a solo they were mixed from.

    Parameters
    ----------
    songs : sequence of Multitrack
    grouping : str
        Where their groups come from, in a sentence.

    Returns
    -------
    songs : tuple of Multitrack
        Groups that share something are one, called by the first of their names.
    grouping : str
        The sentence, with what was united if something was.
    """
    parent = {song.group or song.id: song.group or song.id for song in songs}

    def root(group: str) -> str:
        while parent[group] != group:
            group = parent[group]
        return group

    having: dict[Hashable, str] = {}
    for song, key in _keys(songs):
        one, other = root(song.group or song.id), root(having.setdefault(key, song.group or song.id))
        parent[max(one, other)] = min(one, other)
    united = tuple(
        song if root(song.group or song.id) == (song.group or song.id) else replace(song, group=root(song.group))
        for song in songs
    )
    same = all(one is other for one, other in zip(songs, united, strict=True))
    return united, grouping if same else f"{grouping}; those that share a take or a solo are one"


def _keys(songs: Sequence[Multitrack]) -> Iterator[tuple[Multitrack, Hashable]]:
    """What tells apart the recordings each song is made of; files that no other is like are not read as a whole."""
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
                continue  # check says what is wrong with it
    for several in alike.values():
        if len({song.id for song, _ in several}) < 2:
            continue
        for song, path in several:
            try:
                if not is_silent(path):  # silent ones are alike, and no evidence
                    yield song, audio.content_hash(path)
            except (InputError, OSError):
                continue
