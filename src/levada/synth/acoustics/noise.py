"""Coloured noise, slowly varying random curves, and minimum-phase filters.

Noise is computed once per process as a loop of 24 seconds, and played from a random sample on.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from levada.synth.instruments import RATE

__all__ = [
    "COLOURS_DB", "HOP", "coloured_noise", "convolve", "curve_length", "filter_minimum_phase", "interpolate_curve",
    "normalise_rms", "play_loop", "random_curve", "rms",
]  # fmt: skip

Floats32 = npt.NDArray[np.float32]
Floats64 = npt.NDArray[np.float64]
Generator = np.random.Generator

HOP = 64  # samples between two values of a curve: 1.5 ms
LOOP = 1 << 20
COLOURS_DB: dict[str, tuple[tuple[float, float], ...]] = {  # spectral density, decibels at hertz
    "white": ((20, 0), (20000, 0)),
    "pink": ((20, 0), (20000, -30)),
    "brown": ((20, -12), (50, 0), (20000, -52)),
    "hiss": ((50, -20), (500, -6), (5000, 0), (12000, 0), (18000, -12)),
    "traffic": ((20, -9), (50, 0), (120, 0), (500, -12), (1500, -16), (4000, -30), (15000, -55)),
    "tyres": ((50, -12), (200, -9), (700, -2), (1100, 0), (2000, -8), (5000, -24), (15000, -45)),
    "wind": ((10, 0), (30, 0), (100, -14), (300, -32), (1000, -55), (5000, -80)),
    "cheers": ((150, -40), (400, -10), (900, 0), (1800, 0), (3500, -10), (8000, -26), (16000, -50)),
}


@lru_cache(maxsize=len(COLOURS_DB))
def _loop(colour: str) -> Floats32:
    """Return a periodic loop of noise of unit power."""
    from scipy.fft import irfft, rfftfreq

    rng = np.random.default_rng([sorted(COLOURS_DB).index(colour), LOOP])
    hz = np.maximum(rfftfreq(LOOP, 1 / RATE), 1)
    spectrum = rng.standard_normal((2, len(hz)), dtype=np.float32)
    knots_hz, knots_db = np.array(COLOURS_DB[colour]).T
    gain = 10 ** (np.interp(np.log(hz), np.log(knots_hz), knots_db) / 20)
    gain[hz < 8] = 0
    loop = irfft((spectrum[0] + 1j * spectrum[1]) * gain.astype(np.float32), LOOP)
    return np.asarray(loop / rms(loop), np.float32)


def coloured_noise(colour: str, *, count: int, rng: Generator) -> Floats32:
    """Return noise of unit power with a spectrum of `COLOURS_DB`.

    Parameters
    ----------
    colour : str
        One of `COLOURS_DB`.
    count : int
        Samples.
    rng : numpy.random.Generator

    Returns
    -------
    float32 [shape=(count,)]
    """
    return play_loop(_loop(colour), count=count, rng=rng)


def play_loop(loop: Floats32, *, count: int, rng: Generator) -> Floats32:
    """Repeat a loop from a random sample on, for `count` samples: float32 [shape=(count,)]."""
    start = int(rng.integers(len(loop)))
    return np.resize(np.concatenate([loop[start:], loop[:start]]), count)


def curve_length(count: int) -> int:
    """Return the number of values of a curve over `count` samples, both ends included."""
    return -(-count // HOP) + 1


def interpolate_curve(curve: Floats64, *, count: int) -> Floats32:
    """Interpolate a curve of one value every `HOP` samples linearly: float32 [shape=(count,)].

    Parameters
    ----------
    curve : float [shape=(curve_length(count),)]
    count : int
        Samples.
    """
    low = np.asarray(curve[:-1], np.float32)[:, None]
    rise = np.diff(np.asarray(curve, np.float32))[:, None]
    return (low + rise * np.linspace(0, 1, HOP, endpoint=False, dtype=np.float32)).ravel()[:count]


def random_curve(count: int, *, rate_hz: float, rng: Generator) -> Floats64:
    """Return a normal random curve with `rate_hz` knots a second: float [shape=(curve_length(count),)]."""
    at = np.arange(curve_length(count)) * (HOP / RATE * rate_hz) + rng.random()
    knots = int(at[-1]) + 2
    return np.asarray(np.interp(at, np.arange(knots), rng.standard_normal(knots)), np.float64)


def rms(samples: npt.NDArray[np.floating]) -> float:
    """Return the root mean square; 0 for an empty signal."""
    return float(np.sqrt(np.dot(samples, samples) / len(samples))) if len(samples) else 0.0


def normalise_rms(samples: Floats32) -> Floats32:
    """Scale a signal to unit power; silence stays silence."""
    return np.asarray(samples / np.float32(max(rms(samples), 1e-9)), np.float32)


def convolve(samples: Floats32, response: Floats32) -> Floats32:
    """Convolve a signal with a response, cut to the length of the signal: float32 [shape=(samples,)]."""
    from scipy.signal import oaconvolve

    return np.asarray(oaconvolve(samples, response[: len(samples)])[: len(samples)], np.float32)


def filter_minimum_phase(
    samples: Floats32, *, knots_hz: npt.ArrayLike, gains_db: npt.ArrayLike, rate: int = RATE
) -> Floats32:
    """Apply a minimum-phase filter with a given magnitude response, which delays no onset.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
    knots_hz, gains_db : float [shape=(knots,)]
        Magnitude response, interpolated linearly over log frequency.
    rate : int
        Sample rate, in Hz.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    from scipy.fft import irfft, rfft, rfftfreq
    from scipy.signal import oaconvolve

    size = 8192
    hz = np.maximum(rfftfreq(size, 1 / rate), 1)
    log_gain = np.interp(np.log(hz), np.log(np.asarray(knots_hz)), np.asarray(gains_db)) * (np.log(10) / 20)
    fold = np.zeros(size)  # folds the cepstrum (Oppenheim and Schafer, Discrete-Time Signal Processing, chapter 12)
    fold[[0, size // 2]], fold[1 : size // 2] = 1, 2
    taps = irfft(np.exp(rfft(irfft(log_gain, size) * fold)), size)[: size // 2]
    taps[size // 4 :] *= np.linspace(1, 0, size // 4)
    return np.asarray(oaconvolve(samples, taps.astype(np.float32))[: len(samples)], np.float32)
