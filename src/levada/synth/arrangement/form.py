"""Form and harmony: bars, sections and chords."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.synth.songs.notes import Chord

__all__ = ["Bar", "Chord", "sample_form", "sample_harmony"]

Generator = np.random.Generator

MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
PROGRESSIONS = (
    (0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (0, 3, 4, 4), (0, 3, 0, 4), (1, 4, 0, 0), (0, 0, 3, 4), (0, 4), (0, 3),
    (0, 6, 3, 0), (5, 4, 3, 4), (0, 2, 3, 4), (0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4), (0, 1), (0, 0, 0, 6), (0,),
    (3, 4, 0, 5), (3, 0, 4, 5), (0, 4, 5, 2, 3, 0, 3, 4), (1, 4, 2, 5),
)  # fmt: skip


class Bar(NamedTuple):
    """A bar and its position in the form.

    Parameters
    ----------
    start : int
        Index of its downbeat; below 0 if the piece begins inside it.
    beats : int
    number : int
        Index in its section.
    left : int
        Number of bars of its section that follow.
    section : int
    letter : str
        Sections of the same letter are the same music.
    """

    start: int
    beats: int
    number: int
    left: int
    section: int
    letter: str


def sample_form(positions: Sequence[int] | npt.NDArray[np.int64], *, metre: int, rng: Generator) -> tuple[Bar, ...]:
    """Sample bars and sections; a piece may begin inside a bar and inside a section.

    Parameters
    ----------
    positions : sequence of int [shape=(beats,)]
        Position of each beat in its bar, from 1.
    metre : int
        Beats of an incomplete bar.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of Bar

    Raises
    ------
    InputError
        If there are no beats, or a position is unknown.
    """
    places = np.asarray(positions)
    if not len(places) or places.min() < 1:
        raise InputError("a band needs beats with known positions in the bar")
    starts = [int(beat) for beat in np.flatnonzero(places == 1)]
    if places[0] != 1:
        starts.insert(0, 1 - int(places[0]))
    ends = [*starts[1:], max(starts[-1] + metre, len(places))]
    bars: list[Bar] = []
    section, letter, number, length = 0, "A", 0, _section(rng)
    number = int(rng.integers(length)) if rng.random() < 0.6 else 0
    for start, end in zip(starts, ends, strict=True):
        if number == length:
            section, number, length = section + 1, 0, _section(rng)
            letter = letter if rng.random() < 0.3 else str(rng.choice([other for other in "ABC" if other != letter]))
        bars.append(Bar(start, end - start, number, length - 1 - number, section, letter))
        number += 1
    return tuple(bars)


def _section(rng: Generator) -> int:
    return int(rng.choice([8, 4, 16, 6, 12, 2], p=[0.5, 0.36, 0.05, 0.03, 0.03, 0.03]))


def sample_harmony(bars: Sequence[Bar], *, compound: bool, rng: Generator, jazz: float = 0.2) -> tuple[Chord, ...]:
    """Sample chords of a form; they change on downbeats, sometimes in mid-bar or an off-beat early."""
    key, scale = int(rng.integers(12)), MAJOR if rng.random() < 0.6 else MINOR
    seventh = rng.random() < jazz
    rate = float(rng.choice([1, 2, 0.5, 4], p=[0.58, 0.2, 0.15, 0.07]))
    push = (1 / 3 if compound else 0.5) if rng.random() < 0.1 else 0.0
    letters = {letter: PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))] for letter in "ABC"}
    cadence = rng.random() < 0.6
    changes: list[tuple[float, int]] = []
    for bar in bars:
        progression = letters[bar.letter]
        halves = 2 if rate == 0.5 and bar.beats >= 3 else 1
        for half in range(halves):
            step = bar.number * halves + half if rate <= 1 else int(bar.number // rate)
            degree = progression[step % len(progression)]
            if cadence and bar.left == 0 and bar.number and half == halves - 1:
                degree = 4
            beat = float(bar.start + half * ((bar.beats + 1) // 2))
            if half == 0 and push and rng.random() < 0.5:
                beat -= push
            if not changes or changes[-1][1] != degree or (bar.number == 0 and half == 0):
                changes.append((beat, degree))
    end = float(bars[-1].start + bars[-1].beats)
    thirds = (0, 2, 4, 6) if seventh else (0, 2, 4)
    return tuple(
        Chord(beat, until - beat, tuple((key + scale[(degree + third) % 7]) % 12 for third in thirds))
        for (beat, degree), (until, _) in zip(changes, [*changes[1:], (end, 0)], strict=True)
    )
