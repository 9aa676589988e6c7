"""Cuíca (friction drum) and apito (samba whistle)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levada.synth.instruments.signals import Range, band_noise, log_uniform
from levada.synth.instruments.strokes import RATE

__all__ = ["WHISTLES", "Cuica", "CuicaType", "Whistle", "WhistleType"]

Floats = npt.NDArray[np.float64]
Generator = np.random.Generator


class _Touch(NamedTuple):
    """Parameters of a stroke on a cuíca or whistle: relative length, pitch and glide, in semitones."""

    length: float = 1.0
    semitones: float = 0.0
    glide: float = 1.0


TOUCHES = {
    "open": _Touch(),
    "muted": _Touch(0.35, 4.0, 0.6),
    "slap": _Touch(0.4, 9.0, 1.5),
    "stick": _Touch(0.5, 5.0, 1.2),
    "bass": _Touch(1.2, -7.0, 0.6),
    "rim": _Touch(0.3, 7.0, 0.5),
    "high": _Touch(0.8, 4.0),
    "low": _Touch(1.1, -4.0),
    "shake": _Touch(0.25, 0.0, 2.0),
}


@dataclass(frozen=True)
class CuicaType:
    """The type of a cuíca, a friction drum: ranges of parameters."""

    pitch_hz: Range = (260, 560)
    length_s: Range = (0.14, 0.4)
    level: float = 0.5

    def sample_params(self, rng: Generator) -> Cuica:
        """Sample a cuíca."""
        return Cuica(
            log_uniform(self.pitch_hz, rng),
            log_uniform(self.length_s, rng),
            tuple(sorted(rng.uniform(350, 2600, 3))),
            rng.uniform(0.7, 1.4),
            rng.uniform(0.03, 0.12),
        )


class Cuica(NamedTuple):
    """One cuíca: pitch, length, formants, slope of the harmonics, and level of noise."""

    pitch_hz: float
    length_s: float
    formants_hz: tuple[float, ...]
    slope: float
    rasp: float

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke at an arbitrary level: float64 [shape=(samples,)]."""
        touch = TOUCHES[stroke]
        samples = int(RATE * self.length_s * touch.length * rng.uniform(0.85, 1.15))
        share = np.linspace(0, 1, samples)
        bend = touch.semitones + touch.glide * rng.uniform(2, 6) * (np.sin(np.pi * share**0.7) - 0.6)
        shiver = np.interp(share, np.linspace(0, 1, 24), rng.normal(0, 0.15, 24))
        pitch = self.pitch_hz * 2 ** ((bend + shiver) / 12)
        phase = 2 * np.pi * np.cumsum(pitch) / RATE
        sound = np.zeros(samples)
        middle = float(np.median(pitch))
        for number in range(1, 13):
            hz = number * middle
            if hz > 9000:
                break
            near = sum(1 / (1 + ((hz - formant) / (0.2 * formant)) ** 2) for formant in self.formants_hz)
            sound += number**-self.slope * (0.25 + near) * np.sin(number * phase)
        sound /= np.abs(sound).max()
        sound += self.rasp * band_noise(samples, (800, 6000), rng)
        return sound * _swell(samples, 0.008, 0.3, velocity)


@dataclass(frozen=True)
class WhistleType:
    """The type of an apito, a samba whistle with a pea: ranges of parameters."""

    pitch_hz: Range = (1900, 3000)
    length_s: Range = (0.2, 0.6)
    level: float = 0.4

    def sample_params(self, rng: Generator) -> Whistle:
        """Sample a whistle."""
        return Whistle(
            log_uniform(self.pitch_hz, rng),
            log_uniform(self.length_s, rng),
            rng.uniform(1.08, 1.25),
            rng.uniform(22, 42),
            rng.uniform(0, 0.9),
            log_uniform((0.03, 0.25), rng),
        )


class Whistle(NamedTuple):
    """One whistle: pitch, length, ratio of the second note, rate and depth of the roll, and level of breath noise."""

    pitch_hz: float
    length_s: float
    second: float
    roll_hz: float
    roll: float
    breath: float

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke at an arbitrary level: float64 [shape=(samples,)]."""
        touch = TOUCHES[stroke]
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


WHISTLES: dict[str, CuicaType | WhistleType] = {"cuica": CuicaType(), "whistle": WhistleType()}
