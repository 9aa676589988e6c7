"""The street: traffic and passing cars, horns, gusts of wind. Everything comes back with unit power."""

from __future__ import annotations

import numpy as np

from levada.synth.acoustics.noise import (
    HOP,
    Floats32,
    Generator,
    coloured_noise,
    curve_length,
    interpolate_curve,
    normalise_rms,
    random_curve,
)
from levada.synth.instruments import RATE

__all__ = ["traffic", "wind"]


def traffic(count: int, *, rng: Generator) -> Floats32:
    """A rumble that swells and ebbs, cars that pass, now and then a horn: float32 [shape=(count,)]."""
    swell = 10 ** (rng.uniform(1, 4) * random_curve(count, rate_hz=0.3, rng=rng) / 20)
    out = coloured_noise("traffic", count=count, rng=rng) * interpolate_curve(swell, count=count)
    time = np.arange(curve_length(count)) * (HOP / RATE)
    passing = np.zeros(curve_length(count))
    for _ in range(rng.poisson(time[-1] / rng.uniform(4, 30))):
        near_s = rng.uniform(0.3, 1.5)  # distance over speed
        passing += rng.uniform(0.3, 3) / (1 + ((time - rng.uniform(0, time[-1])) / near_s) ** 2)
    if passing.any():
        out += coloured_noise("tyres", count=count, rng=rng) * interpolate_curve(passing, count=count)
    for _ in range(rng.poisson(0.01 * time[-1])):
        _add(out, rng.uniform(0.3, 1.5) * _horn(rng), rng)
    return normalise_rms(out)


def _horn(rng: Generator) -> Floats32:
    """Two notes a third apart, with a trumpet's many harmonics."""
    time = np.arange(int(rng.uniform(0.1, 0.9) * RATE), dtype=np.float32) / RATE
    low = rng.uniform(320, 480)
    waves = sum(
        np.sin(np.float32(2 * np.pi * pitch * number) * time) / number
        for pitch in (low, low * rng.uniform(1.19, 1.27))
        for number in range(1, 7)
    )
    return np.asarray(waves * np.minimum(1, np.minimum(time, time[-1] - time) / 0.02), np.float32)


def wind(count: int, *, rng: Generator) -> Floats32:
    """Gusts that buffet the capsule: float32 [shape=(count,)]."""
    slow, fast = random_curve(count, rate_hz=0.4, rng=rng), random_curve(count, rate_hz=6, rng=rng)
    gusts = 0.03 + np.maximum(0, slow + rng.uniform(-0.3, 0.8)) ** 2 * np.exp(0.5 * fast)
    out = coloured_noise("wind", count=count, rng=rng) * interpolate_curve(gusts, count=count)
    return normalise_rms(out)


def _add(out: Floats32, sound: Floats32, rng: Generator) -> None:
    """Somewhere in there, as much of it as fits."""
    start = int(rng.integers(len(out)))
    out[start : start + len(sound)] += sound[: len(out) - start]
