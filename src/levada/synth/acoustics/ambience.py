"""Background sounds: babble, applause, shouts, whistles, traffic, wind. Every signal has unit power (RMS 1)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from levada.synth.acoustics.noise import (
    HOP,
    Floats32,
    Generator,
    coloured_noise,
    curve_length,
    interpolate_curve,
    normalise_rms,
    play_loop,
    random_curve,
    rms,
)
from levada.synth.instruments import RATE
from levada.synth.instruments.signals import log_uniform

__all__ = ["applause", "babble", "calls", "traffic", "wind"]

# The first three formants of five vowels, hertz: after Peterson and Barney (1952).
VOWELS_HZ = ((730, 1090, 2440), (530, 1840, 2480), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240))
TALK = 1 << 19
TALKERS = 5


@lru_cache(maxsize=TALKERS)
def _talker(number: int) -> Floats32:
    """Return a loop of one talker: vowels and consonants, three to six syllables a second."""
    from scipy.fft import irfft, rfft, rfftfreq

    rng = np.random.default_rng([number, TALK])
    high = number % 2  # a high voice, or a low one
    rate_hz = rng.uniform(3.5, 6)
    pitch = rng.uniform(170, 260) if high else rng.uniform(85, 145)
    pitch_hz = pitch * np.exp(0.12 * interpolate_curve(random_curve(TALK, rate_hz=2.5, rng=rng), count=TALK))
    phase = np.cumsum(pitch_hz / RATE, dtype=np.float64) % 1
    buzz = np.diff(phase, prepend=0.0) < 0
    source = rfft(buzz + 0.01 * rng.standard_normal(TALK))
    hz = rfftfreq(TALK, 1 / RATE)
    starts = np.cumsum(rng.gamma(8, 1 / (8 * rate_hz), int(1.3 * TALK / RATE * rate_hz)))
    starts = starts[starts < TALK / RATE - 0.4]
    vowel_of = rng.integers(len(VOWELS_HZ) + 1, size=len(starts))  # the last one is a consonant
    spoken = rng.random(len(starts)) < 0.85
    out = np.zeros(TALK, np.float32)
    size = 1.17 if high else 1.0
    for vowel in range(len(VOWELS_HZ) + 1):
        if vowel < len(VOWELS_HZ):
            gain = sum(
                weight / np.abs(1 + 1j * (hz - size * formant) / (30 + 0.04 * formant))
                for formant, weight in zip(VOWELS_HZ[vowel], (1, 0.5, 0.25), strict=True)
            )
            speech = irfft(source * gain, TALK)
        else:
            gain = np.exp(-(((hz - rng.uniform(3500, 6500)) / 1800) ** 2))
            speech = 0.5 * irfft(rfft(rng.standard_normal(TALK)) * gain, TALK)
        speech /= rms(speech)
        loud = np.zeros(TALK, np.float32)
        for start in starts[(vowel_of == vowel) & spoken]:
            length = int(rng.uniform(0.08, 0.22) * RATE)
            begin = int(start * RATE)
            loud[begin : begin + length] = rng.uniform(0.4, 1) * np.hanning(length)
        out += (speech * loud).astype(np.float32)
    return out / rms(out)


@lru_cache(maxsize=1)
def _chorus() -> Floats32:
    """Return a loop of eighteen talkers at once."""
    rng = np.random.default_rng(18)
    out = np.zeros(TALK, np.float32)
    for number in range(18):
        out += rng.uniform(0.3, 1) * play_loop(_talker(number % TALKERS), count=TALK, rng=rng)
    return out / rms(out)


def babble(count: int, *, rng: Generator) -> Floats32:
    """Synthesise the speech of a crowd: a murmur, a few nearer voices, cheers that swell.

    Returns
    -------
    float32 [shape=(count,)]
    """
    out = play_loop(_chorus(), count=count, rng=rng)
    if rng.random() < 0.5:
        out += play_loop(_chorus(), count=count, rng=rng)
    for _ in range(rng.integers(4)):
        out += rng.uniform(0.3, 2) * play_loop(_talker(int(rng.integers(TALKERS))), count=count, rng=rng)
    if rng.random() < 0.5:
        swell = np.maximum(0, random_curve(count, rate_hz=0.25, rng=rng) - rng.uniform(0.2, 1.2))
        out += (
            rng.uniform(1, 4) * coloured_noise("cheers", count=count, rng=rng) * interpolate_curve(swell, count=count)
        )
    return normalise_rms(out)


@lru_cache(maxsize=1)
def _claps() -> Floats32:
    """Return single hand claps, noise with the resonance of cupped hands (Repp 1987): float32 [shape=(48, 1024)]."""
    rng = np.random.default_rng(48)
    time = np.arange(1024) / RATE
    claps = []
    for _ in range(48):
        ring_hz, decay_s = rng.uniform(500, 2800), rng.uniform(0.003, 0.008)
        burst = rng.standard_normal(1024) * np.exp(-time / decay_s) * np.minimum(1, time / 0.0007)
        cup = np.exp(-time * ring_hz / 1.5) * np.cos(2 * np.pi * ring_hz * time)
        clap = np.convolve(burst, cup)[:1024] * np.linspace(1, 0, 1024)
        claps.append(clap / np.abs(clap).max())
    return np.array(claps, np.float32)


def applause(count: int, *, rng: Generator) -> Floats32:
    """Synthesise applause: up to 20 people, each of whom claps at a tempo of their own for a while.

    Returns
    -------
    float32 [shape=(count,)]
    """
    claps = _claps()
    length = claps.shape[1]
    out = np.zeros(count + length, np.float32)
    duration_s = count / RATE
    people = int(log_uniform((2, 20), rng))
    for _ in range(people):
        pace_s = 1 / rng.uniform(1.8, 5)
        level_here, sound = np.exp(rng.normal(0, 0.6)), int(rng.integers(len(claps)))
        begin = rng.uniform(-4, duration_s)
        stop = begin + rng.uniform(2, 12)
        steps = pace_s * rng.normal(1, 0.06, int((stop - begin) / pace_s) + 1)
        times = begin + np.cumsum(np.maximum(steps, 0.05))
        starts = (times[(times >= 0) & (times < duration_s)] * RATE).astype(int)
        loud = (level_here * rng.uniform(0.6, 1, len(starts))).astype(np.float32)
        for start, level, clap in zip(starts, loud, sound + rng.integers(3, size=len(starts)), strict=True):
            out[start : start + length] += level * claps[clap % len(claps)]
    return normalise_rms(out[:count])


def calls(count: int, *, rng: Generator) -> Floats32:
    """Synthesise a few shouts and whistles.

    Returns
    -------
    float32 [shape=(count,)]
    """
    out = np.zeros(count, np.float32)
    for _ in range(1 + rng.poisson(count / RATE / rng.uniform(3, 20))):
        sound = _whistle(rng) if rng.random() < 0.35 else _shout(rng)
        start = int(rng.integers(count))
        out[start : start + len(sound)] += np.float32(np.exp(rng.normal(0, 0.5))) * sound[: count - start]
    return normalise_rms(out)


def _whistle(rng: Generator) -> Floats32:
    """Synthesise a whistle: a tone that slides."""
    length = int(rng.uniform(0.15, 0.9) * RATE)
    place = np.linspace(0, 1, length)
    bends_hz = np.interp(place, [0, 0.3, 0.7, 1], rng.uniform(1500, 3500) * np.exp(rng.normal(0, 0.15, 4)))
    tone = np.sin(2 * np.pi * np.cumsum(bends_hz) / RATE) * np.sin(np.pi * place) ** 0.4
    return np.asarray(tone + 0.05 * rng.standard_normal(length) * np.sin(np.pi * place), np.float32)


def _shout(rng: Generator) -> Floats32:
    """Synthesise a shouted vowel."""
    length = int(rng.uniform(0.15, 0.9) * RATE)
    place = np.linspace(0, 1, length)
    pitch_hz = rng.uniform(180, 480) * (1 + 0.25 * np.sin(np.pi * place ** rng.uniform(0.4, 1.5)))
    phase = 2 * np.pi * np.cumsum(pitch_hz) / RATE
    formants = np.array(VOWELS_HZ[int(rng.integers(len(VOWELS_HZ)))]) * rng.uniform(1, 1.25)
    middle = float(pitch_hz.mean())
    voice = np.zeros(length)
    for number in range(1, int(5000 / middle) + 1):
        nearness = np.abs(1 + 1j * (number * middle - formants) / (50 + 0.06 * formants))
        voice += (np.array([1, 0.8, 0.5]) / nearness).sum() * np.sin(number * phase)
    voice *= np.minimum(1, place / 0.08) * np.minimum(1, (1 - place) / 0.3)
    return np.asarray(voice / max(np.abs(voice).max(), 1e-9), np.float32)


def traffic(count: int, *, rng: Generator) -> Floats32:
    """Synthesise traffic: a rumble of varying level, passing cars, sometimes a horn.

    Returns
    -------
    float32 [shape=(count,)]
    """
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
    """Synthesise a car horn: two notes a third apart, with many harmonics."""
    time = np.arange(int(rng.uniform(0.1, 0.9) * RATE), dtype=np.float32) / RATE
    low = rng.uniform(320, 480)
    waves = sum(
        np.sin(np.float32(2 * np.pi * pitch * number) * time) / number
        for pitch in (low, low * rng.uniform(1.19, 1.27))
        for number in range(1, 7)
    )
    return np.asarray(waves * np.minimum(1, np.minimum(time, time[-1] - time) / 0.02), np.float32)


def wind(count: int, *, rng: Generator) -> Floats32:
    """Synthesise gusts of wind at the microphone.

    Returns
    -------
    float32 [shape=(count,)]
    """
    slow, fast = random_curve(count, rate_hz=0.4, rng=rng), random_curve(count, rate_hz=6, rng=rng)
    gusts = 0.03 + np.maximum(0, slow + rng.uniform(-0.3, 0.8)) ** 2 * np.exp(0.5 * fast)
    out = coloured_noise("wind", count=count, rng=rng) * interpolate_curve(gusts, count=count)
    return normalise_rms(out)


def _add(out: Floats32, sound: Floats32, rng: Generator) -> None:
    """Add a sound at a random place, cut at the end."""
    start = int(rng.integers(len(out)))
    out[start : start + len(sound)] += sound[: len(out) - start]
