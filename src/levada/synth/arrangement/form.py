"""Form and harmony: bars, sections and chords."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
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
    return int(rng.choice([8, 4, 16, 12, 6, 2], p=[0.5, 0.27, 0.15, 0.03, 0.03, 0.02]))


def sample_harmony(
    bars: Sequence[Bar], *, compound: bool, rng: Generator, jazz: float = 0.2, moving: bool = False
) -> tuple[Chord, ...]:
    """Sample chords of a form: a harmonic rhythm for each letter, and cadences at the ends of phrases.

    Chords change every bar, every two or four bars, or twice a bar; mostly on downbeats, sometimes in mid-bar or an
    off-beat early. A phrase of four or more bars may end on a half cadence, or with two chords in its last bar.

    Parameters
    ----------
    bars : sequence of Bar
    compound : bool
        Whether a beat is divided in three.
    rng : numpy.random.Generator
    jazz : float
        Probability of seventh chords.
    moving : bool
        Whether chords change every bar or two, and on downbeats alone.

    Returns
    -------
    tuple of Chord
    """
    key, scale = int(rng.integers(12)), MAJOR if rng.random() < 0.6 else MINOR
    seventh = rng.random() < jazz
    shares = [0.72, 0.28, 0.0, 0.0] if moving else [0.56, 0.23, 0.14, 0.07]
    rate = float(rng.choice([1, 2, 0.5, 4], p=shares))
    rates = {letter: rate if rng.random() < 0.8 else float(rng.choice([1, 2])) for letter in "ABC"}
    push = (1 / 3 if compound else 0.5) if rng.random() < 0.1 and not moving else 0.0
    changing = [each for each in PROGRESSIONS if sum(a != b for a, b in pairwise((*each, each[0]))) > 0.7 * len(each)]
    choices = changing if moving else PROGRESSIONS
    letters = {letter: choices[int(rng.integers(len(choices)))] for letter in "ABC"}
    cadence, double = rng.random() < 0.6, rng.random() < 0.25
    approach = int(rng.choice([1, 3]))  # the chord before the dominant
    changes: list[tuple[float, int]] = []
    for bar in bars:
        progression, rate = letters[bar.letter], rates[bar.letter]
        closes = cadence and bool(bar.number) and (bar.left == 0 or bar.number % 8 == 7)
        halves = 2 if bar.beats >= 3 and (rate == 0.5 or (closes and double)) else 1
        for half in range(halves):
            degree = progression[int(bar.number / rate + half) % len(progression)]
            if closes:
                degree = 4 if half == halves - 1 else approach if rate != 0.5 else degree
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
