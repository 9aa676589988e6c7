"""Silent recordings among stems: tracks that a program exported although nothing was recorded on them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from levada.data.check import SILENT
from levada.data.multitracks import Multitrack
from levada.data.problems import Problem
from levada.errors import InputError
from levada.io import audio

__all__ = ["is_silent", "without_silent"]


def is_silent(path: Path) -> bool:
    """Whether a recording is silent throughout; read until it is not.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    return all(float(abs(block).max(initial=0)) <= SILENT for block in audio.read_blocks(path, block_s=4.0))


def without_silent(songs: Sequence[Multitrack]) -> tuple[tuple[Multitrack, ...], tuple[Problem, ...]]:
    """Leave out stems that are silent throughout, with a note for each; songs that are silent as a whole stay.

    Parameters
    ----------
    songs : sequence of Multitrack

    Returns
    -------
    songs : tuple of Multitrack
    notes : tuple of Problem
    """
    found, notes = list[Multitrack](), list[Problem]()
    for song in songs:
        silent = [path for path in song.files if len(song.stems) > 1 and _is_silent(path)]
        stems = {
            name: left
            for name, takes in song.stems.items()
            if (left := tuple(path for path in takes if path not in silent))
        }
        if silent and stems:
            notes += [Problem("note", "is silent throughout, and is left out", path) for path in silent]
            song = replace(song, stems=stems)
        found.append(song)
    return tuple(found), tuple(notes)


def _is_silent(path: Path) -> bool:
    try:
        return is_silent(path)
    except (InputError, OSError):  # check says what is wrong with it
        return False
