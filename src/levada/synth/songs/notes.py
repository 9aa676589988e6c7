"""Music as notes on an exact beat grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["Chord", "Note", "Song"]


class Note(NamedTuple):
    """A note: where it begins and how long it lasts, in beats, its MIDI number, and its velocity from 0 to 1."""

    beat: float
    length: float
    midi: int
    velocity: float


class Chord(NamedTuple):
    """A chord: where it begins and how long it lasts, in beats, and its pitch classes, 0 to 11, the root first."""

    beat: float
    length: float
    pitches: tuple[int, ...]


@dataclass(frozen=True)
class Song:
    """Notes on beats that are counted from 0.

    Parameters
    ----------
    name : str
    metre : int
        Beats a bar.
    first : int
        Place in the bar, counted from 1, of beat 0.
    tempo_bpm : float
        A tempo that suits it, in beats per minute.
    parts : mapping of str to tuple of Note
        "melody", "bridge", "piano": those that have notes, each sorted.
    chords : tuple of Chord
        Without a chord where none is played.
    beats : int
        How many beats it lasts.
    compound : bool
        Whether a beat is divided in three.
    """

    name: str
    metre: int
    first: int
    tempo_bpm: float
    parts: Mapping[str, tuple[Note, ...]]
    chords: tuple[Chord, ...]
    beats: int
    compound: bool = False
