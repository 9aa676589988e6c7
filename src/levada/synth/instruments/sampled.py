"""Recorded strokes, played again: they begin with the onset, and are never twice the same."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levada.synth.instruments.strokes import RATE, check_stroke
from levada.synth.instruments.synthesis import STRUCK

__all__ = ["SampledInstrument", "StrokeReader", "change_speed", "tilt_spectrum", "trim_to_onset", "velocity_layer"]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator
StrokeReader = Callable[[str, float, Generator], Floats32]
"""Gives a recording of a stroke, by its name and how hard it was struck."""

OPEN = "open"
TAKES = 4
HARDNESSES = 4
FLOOR_DB = -50
LEAD_S = 0.05


class _Shape(NamedTuple):
    """How an open stroke is made to sound like another: by its pitch, how long it may ring, and how bright it is."""

    semitones: float = 0.0
    ring_s: float = np.inf
    tilt: float = 0.0


SHAPES = {
    OPEN: _Shape(),
    "muted": _Shape(0.4, 0.07, -0.3),
    "slap": _Shape(0.3, 0.12, 0.6),
    "stick": _Shape(0.2, 0.2, 0.4),
    "bass": _Shape(-4.0, np.inf, -0.6),
    "rim": _Shape(5.0, 0.06, 0.8),
    "high": _Shape(3.0),
    "low": _Shape(-3.0),
    "shake": _Shape(2.0, 0.05, 0.7),
}


class SampledInstrument:
    """One instrument of which there are recordings of single strokes.

    Parameters
    ----------
    voice : str
        A struck voice: it says how loud the instrument is beside others.
    hear : Hear
    strokes : container of str
        Those of which there are recordings; others are made of open ones.
    semitones : float
        How much higher than recorded it is played.
    ring_s : float
        How long it may ring.
    """

    def __init__(
        self,
        voice: str,
        hear: StrokeReader,
        *,
        strokes: Container[str] = (OPEN,),
        semitones: float = 0.0,
        ring_s: float = np.inf,
    ) -> None:
        self.level, self.hear, self.strokes = STRUCK[voice].level, hear, strokes
        self.semitones, self.ring_s = semitones, ring_s
        self.takes: dict[tuple[str, int, int], Floats32] = {}

    def play(self, stroke: str, *, velocity: float, pitch_hz: float, duration_s: float, rng: Generator) -> Floats32:  # noqa: ARG002
        """The sound of one stroke, at 44.1 kHz from its onset on [shape=(samples,)]."""
        check_stroke(stroke)
        key = (stroke, velocity_layer(velocity), int(rng.integers(TAKES)))
        if key not in self.takes:
            self.takes[key] = self._take(stroke, key[1] / HARDNESSES, rng)
        return self.takes[key] * np.float32(velocity)

    def _take(self, stroke: str, velocity: float, rng: Generator) -> Floats32:
        """A take of a stroke, at most a tenth of a tone and a decibel or so from what was recorded."""
        known = stroke in self.strokes
        sound = self.hear(stroke if known else OPEN, velocity, rng)
        shape = SHAPES[OPEN if known else stroke]
        sound = change_speed(sound, 2 ** ((self.semitones + shape.semitones) / 12) * rng.uniform(0.99, 1.01))
        sound = tilt_spectrum(sound, shape.tilt + rng.uniform(-0.12, 0.12))
        ring_s = min(shape.ring_s, self.ring_s) * rng.uniform(0.8, 1.2)
        if np.isfinite(ring_s):
            decay = np.exp(np.arange(len(sound)) * (-6.9 / (ring_s * RATE)))
            sound = trim_to_onset(sound * decay.astype(np.float32))
        gain = self.level * 10 ** (rng.uniform(-1, 1) / 20)
        return sound * np.float32(gain / max(float(np.abs(sound).max(initial=0.0)), 1e-9))


def velocity_layer(velocity: float) -> int:
    """Which of four degrees a velocity is, from 1 to 4: recordings are not asked for between them."""
    return int(np.clip(np.ceil(velocity * HARDNESSES - 0.5), 1, HARDNESSES))


def trim_to_onset(sound: Floats32, *, lead_s: float = LEAD_S) -> Floats32:
    """What lies between the onset and silence.

    Parameters
    ----------
    sound : float32 [shape=(samples,)]
        At 44.1 kHz.
    lead_s : float
        No more than that is taken for silence before the onset: what swells slowly is no silence.

    Returns
    -------
    float32 [shape=(samples,)]
        From where it rises above -50 dB of its peak to where it stays below -60 dB, faded there.
    """
    size = np.abs(sound)
    peak = float(size.max(initial=0.0))
    if peak == 0:
        return sound[:1]
    first = min(int(np.argmax(size > 10 ** (FLOOR_DB / 20) * peak)), int(min(lead_s * RATE, len(size))))
    last = len(size) - int(np.argmax(size[::-1] > 1e-3 * peak))
    heard = sound[first:last].astype(np.float32)
    fade = min(len(heard), int(0.005 * RATE))
    heard[len(heard) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return heard


def change_speed(sound: Floats32, factor: float) -> Floats32:
    """The sound read faster, and so higher, by a factor."""
    if abs(factor - 1) < 3e-4 or len(sound) < 2:
        return sound
    at = np.arange(0, len(sound) - 1, factor)
    return np.asarray(np.interp(at, np.arange(len(sound)), sound), np.float32)


def tilt_spectrum(sound: Floats32, tilt: float) -> Floats32:
    """The sound brighter where the tilt is above 0, darker where it is below, by at most some 12 dB at 1 or -1."""
    before = np.concatenate([np.zeros(1, np.float32), sound[:-1]])
    return np.asarray(sound - np.float32(0.6 * tilt) * before, np.float32)
