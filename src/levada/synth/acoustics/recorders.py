"""Degradations of recorders: frequency response, hum, hiss, crackle, handling noise, wow and flutter."""

from __future__ import annotations

import numpy as np

from levada.synth.acoustics.noise import (
    HOP,
    Floats32,
    Generator,
    coloured_noise,
    curve_length,
    filter_minimum_phase,
    interpolate_curve,
    normalise_rms,
    random_curve,
    rms,
)
from levada.synth.instruments import RATE
from levada.synth.instruments.signals import log_uniform

__all__ = [
    "cheap_microphone",
    "comb_filter",
    "crackle",
    "handling_noise",
    "hiss",
    "hum",
    "muffle",
    "random_equaliser",
    "wow_and_flutter",
]

KNOTS_HZ = (30, 80, 200, 500, 1200, 3000, 7000, 17000)
WAVER_S = 0.002


def random_equaliser(samples: Floats32, *, rng: Generator, spread_db: float, rate: int = RATE) -> Floats32:
    """Apply a smooth random equaliser, its gains normal with mean 0.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
    rng : numpy.random.Generator
        Samples the gain at each of `KNOTS_HZ`.
    spread_db : float
        Standard deviation of the gains, in dB.
    rate : int
        Sample rate, in Hz.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    return filter_minimum_phase(samples, knots_hz=KNOTS_HZ, gains_db=rng.normal(0, spread_db, len(KNOTS_HZ)), rate=rate)


def cheap_microphone(samples: Floats32, *, rng: Generator) -> Floats32:
    """Simulate a cheap microphone, band-limited and with resonances.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        At 44.1 kHz.
    rng : numpy.random.Generator
        Samples both cutoffs and one to four resonances.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    hz = np.geomspace(20, 20000, 200)
    low, high = log_uniform((60, 450), rng), log_uniform((3500, 15000), rng)
    gains = -10 * np.log10(1 + (low / hz) ** rng.choice([2, 4])) - 10 * np.log10(1 + (hz / high) ** 8)
    for _ in range(rng.integers(1, 5)):
        width = rng.uniform(0.08, 0.4)
        gains += rng.uniform(-8, 12) * np.exp(-((np.log2(hz / np.exp(rng.uniform(5.3, 8.9))) / width) ** 2))
    return filter_minimum_phase(samples, knots_hz=hz, gains_db=gains)


def muffle(samples: Floats32, *, rng: Generator) -> Floats32:
    """Attenuate high frequencies by 6 to 15 dB an octave, as behind a door.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        At 44.1 kHz.
    rng : numpy.random.Generator
        Samples the corner frequency and the slope.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    corner_hz = log_uniform((400, 2500), rng)
    lost_db = min(rng.uniform(6, 15) * np.log2(20000 / corner_hz), 50)
    return filter_minimum_phase(samples, knots_hz=[20, corner_hz, 20000], gains_db=[0, 0, -lost_db])


def comb_filter(samples: Floats32, *, rng: Generator) -> Floats32:
    """Add a delayed copy, as when two microphones are mixed to mono.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        At 44.1 kHz.
    rng : numpy.random.Generator
        Samples the delay, up to 2.5 ms, and the level of the copy.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    late = round(rng.uniform(0.0001, 0.0025) * RATE)
    out = samples.copy()
    out[late:] += np.float32(rng.uniform(0.3, 0.95) * rng.choice([1, -1], p=[0.8, 0.2])) * samples[:-late]
    return out


def handling_noise(count: int, *, rng: Generator) -> Floats32:
    """Synthesise knocks against the microphone or its stand.

    Parameters
    ----------
    count : int
        Length, in samples at 44.1 kHz.
    rng : numpy.random.Generator
        Samples number, times, pitch and level of the knocks.

    Returns
    -------
    float32 [shape=(count,)]
        Of unit power.
    """
    out = np.zeros(count, np.float32)
    for _ in range(1 + rng.poisson(count / RATE / rng.uniform(4, 20))):
        time = np.arange(int(0.25 * RATE)) / RATE
        thud = np.sin(2 * np.pi * rng.uniform(35, 130) * time) * np.exp(-time / rng.uniform(0.01, 0.06))
        thud[:400] += rng.uniform(0, 0.4) * rng.standard_normal(400) * np.exp(-np.arange(400) / 80)
        start = int(rng.integers(count))
        out[start : start + len(thud)] += (np.exp(rng.normal(0, 0.6)) * thud[: count - start]).astype(np.float32)
    return normalise_rms(out)


def hum(count: int, *, rng: Generator) -> Floats32:
    """Synthesise mains hum at 50 or 60 Hz with harmonics.

    Parameters
    ----------
    count : int
        Length, in samples at 44.1 kHz.
    rng : numpy.random.Generator
        Samples the mains frequency, and levels and phases of 24 harmonics.

    Returns
    -------
    float32 [shape=(count,)]
        Of unit power.
    """
    period = RATE // int(rng.choice([50, 60]))  # 882 or 735 samples, exactly
    turns = np.arange(1, 25)
    gains = turns ** -rng.uniform(0.6, 2.0) * np.exp(rng.normal(0, 0.7, len(turns)))
    gains[1::2] *= rng.uniform(0.3, 2)
    phases = 2 * np.pi * (np.outer(turns, np.arange(period)) / period + rng.random((len(turns), 1)))
    wave = (gains[:, None] * np.sin(phases)).sum(0)
    return np.resize((wave / rms(wave)).astype(np.float32), count)


def hiss(count: int, *, rng: Generator) -> Floats32:
    """Synthesise the noise of tape, amplifier or a quiet room.

    Parameters
    ----------
    count : int
        Length, in samples at 44.1 kHz.
    rng : numpy.random.Generator
        Samples one of the colours white, pink, brown and hiss.

    Returns
    -------
    float32 [shape=(count,)]
        Of unit power.
    """
    return coloured_noise(("white", "pink", "brown", "hiss")[rng.integers(4)], count=count, rng=rng)


def crackle(count: int, *, rng: Generator) -> Floats32:
    """Synthesise the noise of a worn record (clicks, scratch, rumble).

    Parameters
    ----------
    count : int
        Length, in samples at 44.1 kHz.
    rng : numpy.random.Generator
        Samples the clicks of dust, a scratch once a turn, and the rumble.

    Returns
    -------
    float32 [shape=(count,)]
        Of unit power.
    """
    turn_s = 60 / rng.choice([100 / 3, 45, 78])
    dust = rng.integers(count, size=rng.poisson(count / RATE * log_uniform((3, 60), rng)))
    clicks = np.zeros(count, np.float32)
    np.add.at(clicks, dust, (rng.choice([-1, 1], len(dust)) * rng.gamma(0.5, 1, len(dust))).astype(np.float32))
    if rng.random() < 0.3:
        turns = np.arange(rng.uniform(0, turn_s), count / RATE, turn_s)
        clicks[(turns * RATE).astype(int)] += np.float32(rng.uniform(0.5, 3))
    peak_hz = rng.uniform(1500, 6000)
    clicks = filter_minimum_phase(
        clicks, knots_hz=[100, peak_hz / 2, peak_hz, 2 * peak_hz, 18000], gains_db=[-30, -8, 0, -6, -25]
    )
    clicks = normalise_rms(clicks)
    out = clicks + np.float32(rng.uniform(0.1, 0.7)) * coloured_noise("brown", count=count, rng=rng)
    return normalise_rms(out)


def wow_and_flutter(samples: Floats32, *, rng: Generator) -> Floats32:
    """Simulate wow and flutter: uneven speed, at most 2 ms off in time.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        At 44.1 kHz.
    rng : numpy.random.Generator
        Samples two oscillations and a drift of the speed.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    count = len(samples)
    time = np.arange(curve_length(count)) * (HOP / RATE)
    off = 0.5 * random_curve(count, rate_hz=rng.uniform(0.5, 3), rng=rng)
    for low, high, most in ((0.4, 2.0, 1.0), (5.0, 14.0, 0.12)):
        off += rng.uniform(0.2, 1) * most * np.sin(2 * np.pi * (rng.uniform(low, high) * time + rng.random()))
    wow_s = log_uniform((0.0001, WAVER_S), rng) * np.tanh(off)
    at = np.arange(count, dtype=np.float64) + interpolate_curve(wow_s * RATE, count=count)
    np.clip(at, 0, count - 1, out=at)
    whole = at.astype(np.int32)
    part = (at - whole).astype(np.float32)
    following = samples[np.minimum(whole + 1, count - 1)]
    here = samples[whole]
    return here + part * (following - here)
