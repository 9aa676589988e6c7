"""Shakers, scrapers, rattles, jingles and hand claps: many short impacts.

A stroke is a train of impulses through a filter (Cook, *Physically informed sonic modeling*, 1997).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levada.synth.instruments.signals import Range, band_noise, convolve, damped_sines, exponential_decay, log_uniform
from levada.synth.instruments.strokes import RATE

__all__ = ["SHAKERS", "Clap", "ClapType", "Jingles", "Shaker", "ShakerType", "TambourineType"]

Floats = npt.NDArray[np.float64]
Generator = np.random.Generator

NOTHING = (0, 0)


class _Touch(NamedTuple):
    """Parameters of a stroke relative to an open one."""

    length: float = 1.0
    pitch: float = 1.0
    body: float = 1.0


TOUCHES = {
    "open": _Touch(),
    "muted": _Touch(0.4),
    "slap": _Touch(0.6, 1.1, 1.5),
    "stick": _Touch(0.7, 1.1, 1.5),
    "bass": _Touch(1.0, 0.8, 6.0),
    "rim": _Touch(0.5, 1.2, 2.0),
    "high": _Touch(0.9, 1.2),
    "low": _Touch(1.1, 0.83),
    "shake": _Touch(0.6, 1.0, 0.0),
}


@dataclass(frozen=True)
class ShakerType:
    """A type of shaker, scraper or rattle: ranges of parameters.

    Parameters
    ----------
    length_s : Range
        Length of an open stroke.
    blows_hz : Range
        Impacts per second: thousands for seeds, tens for notches.
    band_hz : tuple of float
        Band of the spectrum of an impact.
    peak_hz : Range
        Strongest resonance.
    grain_s : Range
        Length of an impact.
    attack_s : float
        Time to the loudest point.
    regular : float
        Regularity of the impacts: 0 for seeds, near 1 for notches.
    slowing : float
        Ratio of successive intervals: 1 is steady.
    body_hz, body : Range
        Pitch and level of the body.
    level : float
        Amplitude relative to a snare drum.
    """

    length_s: Range
    blows_hz: Range
    band_hz: tuple[float, float]
    peak_hz: Range
    grain_s: Range = (0.002, 0.006)
    attack_s: float = 0.0
    regular: float = 0.0
    slowing: float = 1.0
    body_hz: Range = (200, 400)
    body: Range = NOTHING
    level: float = 0.35

    def sample_params(self, rng: Generator) -> Shaker:
        """Sample an instrument of this type."""
        low, high = self.band_hz
        return Shaker(
            kind=self,
            length_s=log_uniform(self.length_s, rng),
            blows_hz=log_uniform(self.blows_hz, rng),
            band_hz=(low * rng.uniform(0.7, 1.3), min(20000.0, high * rng.uniform(0.7, 1.2))),
            peak=(log_uniform(self.peak_hz, rng), rng.uniform(0.1, 0.5), rng.uniform(1, 6)),
            grain_s=log_uniform(self.grain_s, rng),
            body_hz=log_uniform(self.body_hz, rng),
            body=log_uniform(self.body, rng),
        )


@dataclass(frozen=True)
class Shaker:
    """One shaker, scraper or rattle.

    Parameters
    ----------
    kind : Grains
    length_s, blows_hz, grain_s, body_hz, body : float
        Values sampled from the ranges of its type.
    band_hz : tuple of float
    peak : tuple of float
        Frequency, relative width and height of its resonance.
    """

    kind: ShakerType
    length_s: float
    blows_hz: float
    band_hz: tuple[float, float]
    peak: tuple[float, float, float]
    grain_s: float
    body_hz: float
    body: float

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke at an arbitrary level: float64 [shape=(samples,)]."""
        touch = TOUCHES[stroke]
        length_s = self.length_s * touch.length * rng.uniform(0.85, 1.15)
        blows = self._blows(length_s, rng)
        at, width, height = self.peak
        low, high = self.band_hz
        bright = touch.pitch * (0.8 + 0.25 * velocity)
        sound = band_noise(
            len(blows), (low * touch.pitch, min(high * bright, 20000)), rng, peaks=[(at * bright, width, height)],
            envelope=_spread(blows, self.grain_s),
        )  # fmt: skip
        if self.body and touch.body:
            body = damped_sines([self.body_hz * rng.uniform(0.98, 1.02)], [self.body * touch.body], [0.09], rng)[
                : len(sound)
            ]
            sound[: len(body)] += body
        return sound

    def _blows(self, length_s: float, rng: Generator) -> Floats:
        """Return impulses of random size, the first at sample 0."""
        kind = self.kind
        blows = np.zeros(int(RATE * (length_s + 4 * self.grain_s)) + 1)
        count = max(2, int(self.blows_hz * length_s))
        if kind.regular:
            gaps = kind.slowing ** np.arange(count) * (1 + (1 - kind.regular) * rng.uniform(-1, 1, count))
            times = np.cumsum(gaps) - gaps[0]
            times *= length_s / max(times[-1], 1e-9)
        else:
            times = np.concatenate([[0.0], np.sort(rng.uniform(0, length_s, count - 1))])
        sizes = rng.uniform(0.3, 1.0, count) * np.exp(-2.5 * np.maximum(times - kind.attack_s, 0) / length_s)
        if kind.attack_s:
            sizes *= np.minimum(1, 0.3 + 0.7 * times / kind.attack_s)
        np.add.at(blows, (times * RATE).astype(int), sizes)
        return blows


def _spread(blows: Floats, grain_s: float) -> Floats:
    """Convert impulses to an envelope with exponential decays."""
    from scipy.signal import lfilter

    return np.asarray(lfilter([1.0], [1.0, -float(np.exp(-6.9 / (grain_s * RATE)))], blows))


@dataclass(frozen=True)
class Jingles:
    """Pairs of small cymbals in a frame.

    Parameters
    ----------
    hz, rings_s : float [shape=(modes,)]
    blows : float
        Mean number of collisions after a stroke.
    """

    hz: tuple[float, ...]
    rings_s: tuple[float, ...]
    blows: float

    @classmethod
    def sample_params(cls, rng: Generator) -> Jingles:
        """Sample the jingles of one frame."""
        count = 12
        return cls(
            tuple(np.exp(rng.uniform(np.log(3800), np.log(13000), count))),
            tuple(log_uniform((0.05, 0.2), rng) * np.ones(count) * rng.uniform(0.6, 1.2, count)),
            rng.uniform(5, 12),
        )

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke, with a peak of 1: float64 [shape=(samples,)]."""
        touch = TOUCHES[stroke]
        modes = damped_sines(self.hz, rng.uniform(0.3, 1.0, len(self.hz)), np.array(self.rings_s) * touch.length, rng)
        length_s = 0.05 * touch.length * (0.6 + velocity)
        blows = np.zeros(len(modes) + int(RATE * length_s))
        blows[0] = 1.0
        times = rng.exponential(0.35 * length_s, max(2, int(self.blows * (0.5 + velocity)))).clip(0, length_s * 0.99)
        np.add.at(blows, (times * RATE).astype(int), rng.uniform(-0.8, 0.8, len(times)))
        sound = convolve(blows, modes)
        sound += (
            0.5 * np.abs(sound).max() * band_noise(len(sound), (5000, 15000), rng, envelope=_spread(blows**2, 0.03))
        )
        return np.asarray(sound / max(float(np.abs(sound).max()), 1e-9))


class TambourineType(NamedTuple):
    """The type of a tambourine without a membrane."""

    level: float = 0.4

    def sample_params(self, rng: Generator) -> Jingles:
        """Sample a tambourine."""
        return Jingles.sample_params(rng)


class ClapType(NamedTuple):
    """The type of hand claps."""

    level: float = 0.8

    def sample_params(self, rng: Generator) -> Clap:
        """Sample a group of claps."""
        apart_s = rng.uniform(0.006, 0.014)
        return Clap(
            tuple(apart_s * rng.uniform(0.8, 1.2) * number for number in range(int(rng.integers(2, 6)))),
            (rng.uniform(500, 1100), rng.uniform(3000, 8000)),
            (rng.uniform(900, 2200), rng.uniform(0.3, 0.9), rng.uniform(1, 4)),
            log_uniform((0.08, 0.35), rng),
        )


class Clap(NamedTuple):
    """Hand claps, nearly simultaneous, with reverberation."""

    times_s: tuple[float, ...]
    band_hz: tuple[float, float]
    peak: tuple[float, float, float]
    ring_s: float

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:  # noqa: ARG002
        """Synthesise one clap, with a peak of 1: float64 [shape=(samples,)]."""
        touch = TOUCHES[stroke]
        ring_s = self.ring_s * touch.length
        envelope = np.zeros(int(RATE * (ring_s + self.times_s[-1])))
        for number, time_s in enumerate(self.times_s):
            own = envelope[int(RATE * time_s * rng.uniform(0.9, 1.1)) :]
            last = number == len(self.times_s) - 1
            np.maximum(own, rng.uniform(0.7, 1.0) * exponential_decay(len(own), ring_s if last else 0.025), out=own)
        at, width, height = self.peak
        band = (self.band_hz[0] * touch.pitch, self.band_hz[1] * touch.pitch)
        return band_noise(len(envelope), band, rng, peaks=[(at * touch.pitch, width, height)], envelope=envelope)


SHAKERS: dict[str, ShakerType | TambourineType | ClapType] = {
    "clap": ClapType(),
    "tambourine": TambourineType(),
    "shaker": ShakerType((0.05, 0.13), (800, 3000), (3000, 14000), (4000, 9000), attack_s=0.012),
    "maracas": ShakerType((0.02, 0.07), (500, 2000), (3500, 15000), (5000, 11000), attack_s=0.006),
    "chekere": ShakerType(
        (0.06, 0.18), (300, 900), (2000, 12000), (3000, 7000), (0.002, 0.005), 0.008,
        body_hz=(130, 260), body=(0.03, 0.2), level=0.4,
    ),
    "guiro": ShakerType(
        (0.1, 0.3), (90, 220), (900, 8000), (1500, 4000), (0.004, 0.012),
        regular=0.8, slowing=0.985,
    ),
    "guira": ShakerType(
        (0.05, 0.16), (200, 600), (3500, 16000), (4500, 9000), (0.002, 0.006), 0.006,
        regular=0.5, level=0.4,
    ),
    "quijada": ShakerType(
        (0.3, 0.8), (35, 60), (1200, 9000), (2400, 4500), (0.005, 0.02),
        regular=0.8, slowing=1.01, body_hz=(500, 1100), body=(0.03, 0.25), level=0.4,
    ),
}  # fmt: skip
