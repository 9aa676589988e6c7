"""Convert notes in beats to strokes in seconds: swing, asynchrony of parts, and jitter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.io.beats import Beats
from levada.synth.performance import Performance, Stroke, midi_to_hz

__all__ = ["Note", "Part", "Swing", "to_performance"]

Generator = np.random.Generator
OVER = 1.4  # intervals after the last beat; music that lasts longer has ended


class Note(NamedTuple):
    """A note or stroke with its time in beats, counted from 0."""

    beat: float
    length: float
    part: str
    velocity: float
    midi: float = 0
    stroke: str = "open"


@dataclass(frozen=True)
class Part:
    """A part of the band.

    Parameters
    ----------
    voice : str
    level_db : float
    late_s : float
        Mean delay after the beat; negative is early.
    jitter_s : float
        Standard deviation of single notes around it.
    """

    voice: str
    level_db: float = 0.0
    late_s: float = 0.0
    jitter_s: float = 0.005


@dataclass(frozen=True)
class Swing:
    """Positions of off-beats, as fractions of what they divide: 0.5 is straight, 0.67 a triplet.

    Parameters
    ----------
    eighth : float
    sixteenth : float
    third : float
        In compound metres: shift of the last third, in beats.
    """

    eighth: float = 0.5
    sixteenth: float = 0.5
    third: float = 0.0

    def warp(self, places: npt.NDArray[np.float64], *, compound: bool) -> npt.NDArray[np.float64]:
        """Map written positions in the beat to played ones, between 0 and 1."""
        if compound:
            return np.interp(places, (0, 1 / 3, 2 / 3, 1), (0, (1 + self.third) / 3, 2 / 3 + self.third, 1))
        half = np.floor(places * 2) / 2
        inner = np.interp((places - half) * 2, (0, 0.5, 1), (0, self.sixteenth, 1)) / 2
        return np.interp(half + inner, (0, 0.5, 1), (0, self.eighth, 1))


def to_performance(
    notes: Sequence[Note],
    parts: Mapping[str, Part],
    beats: Beats,
    *,
    rng: Generator,
    compound: bool = False,
    swing: Swing | None = None,
    duration_s: float | None = None,
) -> Performance:
    """Convert notes in beats to a performance in seconds.

    If the duration is well beyond the last beat, the music has ended there: later notes are dropped.

    Parameters
    ----------
    notes : sequence of Note
    parts : mapping of str to Part
    beats : Beats
    rng : numpy.random.Generator
    compound : bool
        Whether a beat is divided in three.
    swing : Swing, optional
    duration_s : float, optional
        As in `arrange_band`.

    Returns
    -------
    Performance
    """
    times = beats.times_s
    if len(times) < 2:
        raise InputError("a band needs two beats at least")
    last_s = float(2 * times[-1] - times[-2]) if duration_s is None else duration_s
    voices, levels = ({name: getattr(part, what) for name, part in parts.items()} for what in ("voice", "level_db"))
    if last_s > times[-1] + OVER * (times[-1] - times[-2]):
        notes = [note for note in notes if note.beat < len(times) - 1 + 1e-6]
    if not notes:
        return Performance((), beats, voices, levels, last_s)
    at = np.array([note.beat for note in notes], float)
    until = at + np.array([note.length for note in notes], float)
    late = np.array([parts[note.part].late_s for note in notes])
    jitter = np.array([parts[note.part].jitter_s for note in notes]) * rng.standard_normal(len(notes))
    begin_s = _seconds(times, at, swing or Swing(), compound=compound)
    length_s = _seconds(times, until, Swing(), compound=compound) - begin_s
    begin_s = begin_s + late + jitter
    strokes = [
        Stroke(start, note.part, note.velocity, note.stroke, midi_to_hz(note.midi) if note.midi else 0.0,
               max(0.06, length) if note.midi else 0.0)
        for note, start, length in zip(notes, begin_s.tolist(), length_s.tolist(), strict=True)
        if 0 <= start < last_s
    ]  # fmt: skip
    return Performance(tuple(sorted(strokes)), beats, voices, levels, last_s)


def _seconds(
    times: npt.NDArray[np.float64], at: npt.NDArray[np.float64], swing: Swing, *, compound: bool
) -> npt.NDArray[np.float64]:
    """Convert positions in beats to seconds, extrapolated beyond the first and last beat."""
    whole = np.floor(at + 1e-6)
    warped = whole + swing.warp(np.clip(at - whole, 0, 1), compound=compound)
    held = np.clip(warped, 0, len(times) - 1)
    first, last = times[1] - times[0], times[-1] - times[-2]
    return np.asarray(
        np.interp(held, np.arange(len(times)), times)
        + np.minimum(warped, 0) * first
        + np.maximum(warped - (len(times) - 1), 0) * last
    )
