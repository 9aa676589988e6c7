"""Cuíca (friction drum) and apito (samba whistle)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from levada.synth.instruments.signals import Floats, Generator, SingleType, band_noise, log_uniform
from levada.synth.instruments.strokes import RATE

__all__ = ["WHISTLES", "Cuica", "Whistle"]


class _Touch(NamedTuple):
    """Parameters of a stroke on a cuíca or whistle: relative length, pitch and glide, in semitones."""

    length: float = 1.0
    semitones: float = 0.0
    glide: float = 1.0


TOUCHES = {  # from low to high
    "bass": _Touch(length=1.2, semitones=-7.0, glide=0.6),
    "low": _Touch(length=1.1, semitones=-4.0),
    "shake": _Touch(length=0.25, glide=2.0),
    "muted": _Touch(length=0.35, semitones=4.0, glide=0.6),
    "high": _Touch(length=0.8, semitones=4.0),
    "stick": _Touch(length=0.5, semitones=5.0, glide=1.2),
    "rim": _Touch(length=0.3, semitones=7.0, glide=0.5),
    "slap": _Touch(length=0.4, semitones=9.0, glide=1.5),
}


class Cuica:
    """One cuíca, a friction drum.

    Parameters
    ----------
    rng : numpy.random.Generator
        For pitch, length, formants and noise.

    Attributes
    ----------
    pitch_hz, length_s : float
        Pitch and length of an open stroke.
    formants_hz : float64 [shape=(3,)]
    slope : float
        Exponent with which the level of harmonics falls.
    rasp : float
        Level of noise.
    """

    def __init__(self, rng: Generator) -> None:
        self.pitch_hz = log_uniform((260, 560), rng)
        self.length_s = log_uniform((0.14, 0.4), rng)
        self.formants_hz = np.sort(rng.uniform(350, 2600, 3))
        self.slope = rng.uniform(0.7, 1.4)
        self.rasp = rng.uniform(0.03, 0.12)

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke at an arbitrary level: float64 [shape=(samples,)]."""
        touch = TOUCHES.get(stroke, _Touch())
        samples = int(RATE * self.length_s * touch.length * rng.uniform(0.85, 1.15))
        share = np.linspace(0, 1, samples)
        bend = touch.semitones + touch.glide * rng.uniform(2, 6) * (np.sin(np.pi * share**0.7) - 0.6)
        shiver = np.interp(share, np.linspace(0, 1, 24), rng.normal(0, 0.15, 24))
        pitch = self.pitch_hz * 2 ** ((bend + shiver) / 12)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        sound = np.zeros(samples)
        middle = float(np.median(pitch))
        for number in range(1, min(12, int(9000 / middle)) + 1):
            near = sum(1 / (1 + ((number * middle - formant) / (0.2 * formant)) ** 2) for formant in self.formants_hz)
            sound += number**-self.slope * (0.25 + near) * np.sin(number * phase)
        sound /= np.abs(sound).max()
        sound += self.rasp * band_noise(samples, (800, 6000), rng)
        return sound * _swell(samples, 0.008, 0.3, velocity)


class Whistle:
    """One apito, a samba whistle with a pea.

    Parameters
    ----------
    rng : numpy.random.Generator
        For pitch, length, roll and breath.

    Attributes
    ----------
    pitch_hz, length_s : float
        Pitch of the first of its two notes, and length of an open stroke.
    second : float
        Frequency ratio of its second note.
    roll_hz, roll : float
        Rate and depth of the roll.
    breath : float
        Level of breath noise.
    """

    def __init__(self, rng: Generator) -> None:
        self.pitch_hz = log_uniform((1900, 3000), rng)
        self.length_s = log_uniform((0.2, 0.6), rng)
        self.second = rng.uniform(1.08, 1.25)
        self.roll_hz = rng.uniform(22, 42)
        self.roll = rng.uniform(0, 0.9)
        self.breath = log_uniform((0.03, 0.25), rng)

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke at an arbitrary level: float64 [shape=(samples,)]."""
        touch = TOUCHES.get(stroke, _Touch())
        samples = int(RATE * self.length_s * touch.length * rng.uniform(0.85, 1.15))
        time = np.arange(samples) / RATE
        roll = np.sin(2 * np.pi * self.roll_hz * rng.uniform(0.9, 1.1) * time + rng.uniform(0, 6))
        high = {"high": self.second, "low": 1 / self.second}.get(stroke, 1.0) * 2 ** (np.sign(touch.semitones) / 24)
        pitch = self.pitch_hz * high * (1 - 0.06 * np.exp(-time / 0.01)) * (1 + 0.012 * self.roll * roll)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        sound = np.sin(phase) + 0.5 * np.sin(phase * self.second) + 0.08 * np.sin(2 * phase)
        sound *= 1 - 0.45 * self.roll * (1 + roll)
        band = (0.6 * self.pitch_hz, 3 * self.pitch_hz)
        sound += self.breath * band_noise(samples, band, rng, peaks=[(self.pitch_hz, 0.2, 4.0)])
        return sound * _swell(samples, 0.005, 0.15, velocity)


def _swell(samples: int, attack_s: float, release: float, velocity: float) -> Floats:
    """Return an envelope with a fast attack and a release over the last part."""
    rise = max(2, int(RATE * attack_s * (1.5 - velocity)))
    envelope = np.minimum(1, np.linspace(0.05, samples / rise, samples))
    fade = max(2, int(samples * release))
    envelope[samples - fade :] *= np.linspace(1, 0, fade) ** 1.5
    return envelope


WHISTLES = {"cuica": SingleType(0.5, Cuica), "whistle": SingleType(0.4, Whistle)}
