"""What hands do: traditions become strokes and notes in time, on a grid of beats known exactly.

A `Performance` is music before it sounds; `perform` invents one from a tradition. The same seed gives the same strokes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levada.beats import Beats
from levada.errors import InputError
from levada.tradition import Instrument, Tradition
from levada.voices import PITCHED

__all__ = ["Performance", "Stroke", "perform"]

Generator = np.random.Generator

SCALE = (0, 2, 4, 5, 7, 9, 11)
SECTION_CYCLES = 4


class Stroke(NamedTuple):
    """One sound of a performance: struck, or a note where it has a pitch."""

    time_s: float
    part: str
    velocity: float
    stroke: str = "open"
    pitch_hz: float = 0.0
    duration_s: float = 0.0


@dataclass(frozen=True)
class Performance:
    """What is played, before it sounds.

    Parameters
    ----------
    strokes : tuple of Stroke
    beats : Beats
    voices : mapping of str to str
        Part -> name of its voice.
    levels_db : mapping of str to float
        Part -> how loud it is beside the others.
    duration_s : float
    """

    strokes: tuple[Stroke, ...]
    beats: Beats
    voices: Mapping[str, str]
    levels_db: Mapping[str, float]
    duration_s: float


def perform(tradition: Tradition, *, duration_s: float, rng: Generator, along: Beats | None = None) -> Performance:
    """Invent a performance: tempo and its drift, who plays, which patterns, fills, and human timing.

    Parameters
    ----------
    tradition : Tradition
    duration_s : float
        Length, in seconds.
    rng : numpy.random.Generator
    along : Beats, optional
        Beats to play along with, in the tradition's metre; invented where there are none.

    Returns
    -------
    Performance

    Raises
    ------
    InputError
        If the duration is not above 0, or there are no beats to play along with, or none in the metre.
    """
    if not 0 < duration_s < np.inf:
        raise InputError(f"a performance cannot last {duration_s:g} s")
    if along is None:
        beat_times = _beat_times(tradition, duration_s, rng)
        first = int(rng.integers(tradition.beats))  # a recording may start anywhere in the cycle
    else:
        if not len(along) or not 1 <= along.positions[0] <= tradition.beats:
            raise InputError(f"there are no beats of a metre of {tradition.beats} to play along with")
        beat_times, first = along.times_s, int(along.positions[0]) - 1
    positions = (np.arange(len(beat_times)) + first) % tradition.beats + 1
    inside = beat_times < duration_s
    parts = [part for part in tradition.instruments if rng.random() < part.presence]
    parts = parts or [max(tradition.instruments, key=lambda part: part.presence)]
    harmony = _harmony(len(beat_times) // tradition.beats + 2, rng)
    strokes: list[Stroke] = []
    for part in parts:
        late_s, skips, loudness = rng.normal(0, 0.004), rng.uniform(0, 0.06), rng.uniform(0.7, 1.0)
        for tatum, letter, accent in _written(part, tradition, len(beat_times) + first, rng):
            beat, place = tatum // tradition.tatums - first, tatum % tradition.tatums
            if not 0 <= beat < len(beat_times) - 1 or rng.random() < skips:
                continue
            ibi_s = beat_times[beat + 1] - beat_times[beat]
            timing = tradition.microtiming[place] if tradition.microtiming else 0.0
            offset = place / tradition.tatums + timing + rng.normal(0, tradition.spread)
            time_s = beat_times[beat] + ibi_s * offset + late_s
            velocity = float(
                np.clip(
                    (1.0 if accent else 0.35 if letter == "o" else 0.7) * loudness + rng.normal(0, 0.06),
                    0.08,
                    1,
                )
            )
            if not 0 <= time_s < duration_s:
                continue
            if part.voice in PITCHED:
                chord = harmony[tatum // tradition.cycle]
                length_s = ibi_s * rng.uniform(0.4, 1.1)
                for pitch_hz in _pitches(part.voice, chord, rng):
                    strokes.append(Stroke(time_s, part.name, velocity, pitch_hz=pitch_hz, duration_s=length_s))
            else:
                strokes.append(Stroke(time_s, part.name, velocity, part.strokes.get(letter, "open")))
    return Performance(
        tuple(sorted(strokes)),
        Beats(beat_times[inside], positions[inside]),
        {part.name: part.voice for part in parts},
        {part.name: part.level_db + rng.normal(0, 3.5) for part in parts},
        duration_s,
    )


def _beat_times(tradition: Tradition, duration_s: float, rng: Generator) -> npt.NDArray[np.float64]:
    """A tempo drawn for the performance, wandering from beat to beat, now and then accelerating."""
    mean, deviation = tradition.tempo_bpm
    tempo = float(np.clip(rng.normal(mean, deviation), mean - 2.5 * deviation, mean + 2.5 * deviation))
    count = int(duration_s * tempo / 60 * 1.5) + 8
    drift = np.zeros(count)
    for beat in range(1, count):
        drift[beat] = 0.97 * drift[beat - 1] + rng.normal(0, tradition.drift)
    ramp = rng.normal(0, 0.04) * np.linspace(0, 1, count)
    intervals = 60 / tempo * np.exp(drift + ramp) * (1 + rng.normal(0, 0.004, count))
    times = np.concatenate([[0.0], np.cumsum(intervals)]) - rng.uniform(0, intervals[0])
    times = times[times >= 0]
    return np.asarray(times[: int(np.searchsorted(times, duration_s)) + 2])


def _written(part: Instrument, tradition: Tradition, beats: int, rng: Generator) -> list[tuple[int, str, bool]]:
    """What a part plays: tatum, stroke letter and accent of every stroke, section by section."""
    weights = np.array([pattern.probability for pattern in part.patterns])
    notes = []
    tatum, end = 0, beats * tradition.tatums
    while tatum < end:
        grid = part.patterns[int(rng.choice(len(weights), p=weights / weights.sum()))].grid
        length = max(len(grid), SECTION_CYCLES * tradition.cycle // len(grid) * len(grid))
        silent = part.presence < 1 and rng.random() < 0.12
        fill_from = length - tradition.cycle if rng.random() < 0.25 else length
        for step in range(0 if not silent else length, length):
            letter = grid[step % len(grid)]
            if step >= fill_from and rng.random() < 0.3:
                letter = "x" if letter == "." else letter.upper()
            if letter != ".":
                notes.append((tatum + step, letter.lower(), letter.isupper()))
        tatum += length
    return notes


def _harmony(cycles: int, rng: Generator) -> list[tuple[float, ...]]:
    """A chord a cycle, as three frequencies around middle C, repeating every two to four cycles."""
    key = rng.integers(12)
    degrees = [0, *rng.choice(7, size=int(rng.integers(1, 4)))]
    chords = []
    for cycle in range(cycles):
        degree = int(degrees[cycle % len(degrees)])
        steps = [SCALE[(degree + third) % 7] for third in (0, 2, 4)]
        chords.append(tuple(float(261.6 * 2 ** ((key + step - 12) / 12)) for step in steps))
    return chords


def _pitches(voice: str, chord: Sequence[float], rng: Generator) -> list[float]:
    if voice == "bass":
        return [chord[0 if rng.random() < 0.75 else 2] / (4 if chord[0] > 160 else 2)]
    if voice in ("reed", "singer"):
        return [chord[int(rng.integers(3))] * (2 if rng.random() < 0.5 else 1)]
    return [frequency * (1 if frequency > 170 else 2) for frequency in chord]
