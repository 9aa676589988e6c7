"""Sampled instruments: recorded strokes with random variation."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import NamedTuple

import numpy as np

from levada.synth.instruments.signals import Floats32, Generator
from levada.synth.instruments.strokes import RATE, check_stroke
from levada.synth.instruments.synthesis import STRUCK

__all__ = ["SampledInstrument", "StrokeReader", "change_speed", "tilt_spectrum", "trim_to_onset", "velocity_layer"]

StrokeReader = Callable[[str, float, Generator], Floats32]
"""Returns a recording of a stroke, by its name and velocity."""

OPEN = "open"
VARIANTS = 4
HARDNESSES = 4
FLOOR_DB = -50
LEAD_S = 0.05


class _Shape(NamedTuple):
    """Changes of pitch, decay and brightness that turn an open stroke into another one."""

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
    """An instrument made of recordings of single strokes.

    Parameters
    ----------
    voice : str
        A percussion voice, which determines the level.
    read : StrokeReader
    strokes : container of str
        Recorded strokes; others are derived from open ones.
    semitones : float
        Transposition.
    ring_s : float
        Greatest decay time.
    """

    def __init__(
        self,
        voice: str,
        read: StrokeReader,
        *,
        strokes: Container[str] = (OPEN,),
        semitones: float = 0.0,
        ring_s: float = np.inf,
    ) -> None:
        self.level, self.read, self.strokes = STRUCK[voice].level, read, strokes
        self.semitones, self.ring_s = semitones, ring_s
        self.variants: dict[tuple[str, int, int], Floats32] = {}

    def play(self, stroke: str, *, velocity: float, pitch_hz: float, duration_s: float, rng: Generator) -> Floats32:  # noqa: ARG002
        """Return one stroke at 44.1 kHz, from its onset: float32 [shape=(samples,)]."""
        check_stroke(stroke)
        key = (stroke, velocity_layer(velocity), int(rng.integers(VARIANTS)))
        if key not in self.variants:
            self.variants[key] = self._variant(stroke, key[1] / HARDNESSES, rng)
        return self.variants[key] * np.float32(velocity)

    def _variant(self, stroke: str, velocity: float, rng: Generator) -> Floats32:
        """Return a random variant of a recorded stroke: pitch, brightness, decay and level differ slightly."""
        known = stroke in self.strokes
        sound = self.read(stroke if known else OPEN, velocity, rng)
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
    """Quantise a velocity to one of four layers, 1 to 4."""
    return int(np.clip(np.ceil(velocity * HARDNESSES - 0.5), 1, HARDNESSES))


def trim_to_onset(sound: Floats32, *, lead_s: float = LEAD_S) -> Floats32:
    """Trim a recording to the part from its onset to silence.

    Parameters
    ----------
    sound : float32 [shape=(samples,)]
        At 44.1 kHz.
    lead_s : float
        Greatest length that is removed at the start, as a slow attack is not silence.

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
    trimmed = sound[first:last].astype(np.float32)
    fade = min(len(trimmed), int(0.005 * RATE))
    trimmed[len(trimmed) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return trimmed


def change_speed(sound: Floats32, factor: float) -> Floats32:
    """Resample by linear interpolation, which raises pitch and speed by a factor."""
    if abs(factor - 1) < 3e-4 or len(sound) < 2:
        return sound
    at = np.arange(0, len(sound) - 1, factor)
    return np.asarray(np.interp(at, np.arange(len(sound)), sound), np.float32)


def tilt_spectrum(sound: Floats32, tilt: float) -> Floats32:
    """Make a sound brighter (tilt above 0) or darker (below 0), by about 12 dB at 1 or -1."""
    before = np.concatenate([np.zeros(1, np.float32), sound[:-1]])
    return np.asarray(sound - np.float32(0.6 * tilt) * before, np.float32)
