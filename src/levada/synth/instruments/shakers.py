"""Shakers, scrapers, rattles, jingles and hand claps: many short impacts.

A stroke is a train of impulses through a filter (Cook, *Physically informed sonic modeling*, 1997).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from levada.synth.instruments import signals
from levada.synth.instruments.signals import NOTHING, Floats, Generator, Kind, Range, SingleType, log_uniform
from levada.synth.instruments.strokes import RATE

__all__ = ["SHAKERS", "Clap", "Jingles", "Shaker", "ShakerType"]


class _Touch(NamedTuple):
    """Parameters of a stroke relative to an open one."""

    length: float = 1.0
    pitch: float = 1.0
    body: float = 1.0


TOUCHES = {
    "muted": _Touch(length=0.4),
    "slap": _Touch(length=0.6, pitch=1.1, body=1.5),
    "stick": _Touch(length=0.7, pitch=1.1, body=1.5),
    "bass": _Touch(pitch=0.8, body=6.0),
    "rim": _Touch(length=0.5, pitch=1.2, body=2.0),
    "high": _Touch(length=0.9, pitch=1.2),
    "low": _Touch(length=1.1, pitch=0.83),
    "shake": _Touch(length=0.6, body=0.0),
}
"""Strokes that differ from an open one."""


@dataclass(frozen=True)
class ShakerType:
    """A type of shaker, scraper or rattle: ranges of parameters.

    Parameters
    ----------
    length_s, grain_s : Range
        Length of an open stroke, and of an impact.
    blows_hz : Range
        Impacts per second: thousands for seeds, tens for notches.
    band_hz : tuple of float
        Band of the spectrum of an impact.
    peak_hz : Range
        Strongest resonance.
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
        return Shaker(self, rng)


class Shaker:
    """One shaker, scraper or rattle, with parameters sampled from the ranges of its type.

    Parameters
    ----------
    kind : ShakerType
    rng : numpy.random.Generator

    Attributes
    ----------
    length_s, blows_hz, grain_s, body_hz, body : float
        As in its type.
    band_hz : tuple of float
    peak : tuple of float
        Frequency, relative width and height of its resonance.
    """

    def __init__(self, kind: ShakerType, rng: Generator) -> None:
        self.kind = kind
        low, high = kind.band_hz
        self.length_s = log_uniform(kind.length_s, rng)
        self.blows_hz = log_uniform(kind.blows_hz, rng)
        self.band_hz = (low * rng.uniform(0.7, 1.3), min(20000.0, high * rng.uniform(0.7, 1.2)))
        self.peak = (log_uniform(kind.peak_hz, rng), rng.uniform(0.1, 0.5), rng.uniform(1, 6))
        self.grain_s = log_uniform(kind.grain_s, rng)
        self.body_hz = log_uniform(kind.body_hz, rng)
        self.body = log_uniform(kind.body, rng)

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke at an arbitrary level: float64 [shape=(samples,)]."""
        touch = TOUCHES.get(stroke, _Touch())
        length_s = self.length_s * touch.length * rng.uniform(0.85, 1.15)
        blows = self.sample_impacts(length_s, rng)
        at, width, height = self.peak
        low, high = self.band_hz
        bright = touch.pitch * (0.8 + 0.25 * velocity)
        sound = signals.band_noise(
            len(blows), (low * touch.pitch, min(high * bright, 20000)), rng, peaks=[(at * bright, width, height)],
            envelope=_spread(blows, self.grain_s),
        )  # fmt: skip
        if self.body and touch.body:
            pitch_hz = self.body_hz * rng.uniform(0.98, 1.02)
            body = signals.damped_sines([(pitch_hz, self.body * touch.body, 0.09)], rng)[: len(sound)]
            sound[: len(body)] += body
        return sound

    def sample_impacts(self, length_s: float, rng: Generator) -> Floats:
        """Sample impulses of random size, the first at sample 0: float64 [shape=(samples,)]."""
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


class Jingles:
    """Pairs of small cymbals in a frame.

    Parameters
    ----------
    rng : numpy.random.Generator
        For frequencies, decay times and number of collisions.

    Attributes
    ----------
    hz, rings_s : float [shape=(modes,)]
    blows : float
        Mean number of collisions after a stroke.
    """

    def __init__(self, rng: Generator) -> None:
        self.hz = np.exp(rng.uniform(np.log(3800), np.log(13000), 12))
        self.rings_s = log_uniform((0.05, 0.2), rng) * rng.uniform(0.6, 1.2, 12)
        self.blows = rng.uniform(5, 12)

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke, with a peak of 1: float64 [shape=(samples,)]."""
        from scipy.signal import fftconvolve

        touch = TOUCHES.get(stroke, _Touch())
        levels = rng.uniform(0.3, 1.0, len(self.hz))
        modes = signals.damped_sines(zip(self.hz, levels, self.rings_s * touch.length, strict=True), rng)
        length_s = 0.05 * touch.length * (0.6 + velocity)
        blows = np.zeros(len(modes) + int(RATE * length_s))
        blows[0] = 1.0
        times = rng.exponential(0.35 * length_s, max(2, int(self.blows * (0.5 + velocity)))).clip(0, length_s * 0.99)
        np.add.at(blows, (times * RATE).astype(int), rng.uniform(-0.8, 0.8, len(times)))
        sound = np.asarray(fftconvolve(blows, modes)[: len(blows)])
        noise = signals.band_noise(len(sound), (5000, 15000), rng, envelope=_spread(blows**2, 0.03))
        sound += 0.5 * np.abs(sound).max() * noise
        return np.asarray(sound / max(float(np.abs(sound).max()), 1e-9))


class Clap:
    """Hand claps, nearly simultaneous, with reverberation.

    Parameters
    ----------
    rng : numpy.random.Generator
        For number and times of the claps, spectrum and reverberation.

    Attributes
    ----------
    times_s : tuple of float
    band_hz : tuple of float
    peak : tuple of float
        Frequency, relative width and height of the resonance.
    ring_s : float
        Decay time (60 dB).
    """

    def __init__(self, rng: Generator) -> None:
        apart_s = rng.uniform(0.006, 0.014)
        self.times_s = tuple(apart_s * rng.uniform(0.8, 1.2) * number for number in range(int(rng.integers(2, 6))))
        self.band_hz = (rng.uniform(500, 1100), rng.uniform(3000, 8000))
        self.peak = (rng.uniform(900, 2200), rng.uniform(0.3, 0.9), rng.uniform(1, 4))
        self.ring_s = log_uniform((0.08, 0.35), rng)

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:  # noqa: ARG002
        """Synthesise one clap, with a peak of 1: float64 [shape=(samples,)]."""
        touch = TOUCHES.get(stroke, _Touch())
        ring_s = self.ring_s * touch.length
        envelope = np.zeros(int(RATE * (ring_s + self.times_s[-1])))
        for number, time_s in enumerate(self.times_s):
            rest = envelope[int(RATE * time_s * rng.uniform(0.9, 1.1)) :]
            decay = signals.exponential_decay(len(rest), ring_s if number == len(self.times_s) - 1 else 0.025)
            np.maximum(rest, rng.uniform(0.7, 1.0) * decay, out=rest)
        (low, high), (at, width, height) = self.band_hz, self.peak
        band, peak = (low * touch.pitch, high * touch.pitch), (at * touch.pitch, width, height)
        return signals.band_noise(len(envelope), band, rng, peaks=[peak], envelope=envelope)


SHAKERS: dict[str, Kind] = {
    "clap": SingleType(0.8, Clap),
    "tambourine": SingleType(0.4, Jingles),
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
