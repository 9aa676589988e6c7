"""What a microphone makes of music: the room, the street, the recorder.

Rendered music is sterile; what is recorded is not. Every recording draws its own room and its own faults.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from levada.voices import RATE

__all__ = ["record"]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator


def record(samples: Floats32, *, rng: Generator) -> Floats32:
    """What a microphone makes of it: room, tone, overload, noise, and some level or other.

    Parameters
    ----------
    samples : float32 [shape=(1, samples)]
        At 44.1 kHz.
    rng : numpy.random.Generator

    Returns
    -------
    float32 [shape=(1, samples)]
        Never louder than full scale.
    """
    from scipy.signal import fftconvolve

    dry = samples[0]
    peak = float(np.abs(dry).max()) if dry.size else 0.0
    if peak == 0:
        return samples.copy()
    wet = dry / peak
    if rng.random() < 0.7:
        ring_s = float(np.exp(rng.uniform(np.log(0.12), np.log(1.0))))
        time = np.arange(int(ring_s * RATE)) / RATE
        tail = rng.standard_normal(len(time)) * np.exp(-6.9 * time / ring_s)
        tail *= rng.uniform(0.05, 0.6) / np.sqrt((tail**2).sum())
        tail[0] += 1
        wet = fftconvolve(wet, tail.astype(np.float32))[: len(dry)]
    wet = _tone(wet, rng)
    if rng.random() < 0.3:
        drive = rng.uniform(1, 4)
        wet = np.tanh(drive * wet / np.abs(wet).max()) / np.tanh(drive)
    noise = rng.standard_normal(len(wet)).astype(np.float32)
    if rng.random() < 0.6:
        noise = np.cumsum(noise - noise.mean(), dtype=np.float64).astype(np.float32)
        noise -= np.convolve(noise, np.ones(441, np.float32) / 441, "same")  # brown above 50 Hz
    wet = wet / np.abs(wet).max() + noise * (10 ** (rng.uniform(-75, -30) / 20) / max(float(noise.std()), 1e-9))
    level = 10 ** (rng.uniform(-14, 0) / 20)
    return np.asarray(wet * (0.98 * level / np.abs(wet).max()), np.float32)[None]


def _tone(samples: Floats32, rng: Generator) -> Floats32:
    """A smooth random equaliser, and the narrow band of a cheap microphone now and then."""
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    size = next_fast_len(len(samples), real=True)
    hz = np.maximum(rfftfreq(size, 1 / RATE), 1)
    knots = np.log([30, 80, 200, 500, 1200, 3000, 7000, 17000])
    gain_db = np.interp(np.log(hz), knots, rng.normal(0, 4, len(knots)))
    if rng.random() < 0.25:
        low, high = rng.uniform(40, 300), rng.uniform(4000, 15000)
        gain_db -= 10 * np.log10(1 + (low / hz) ** 4) + 10 * np.log10(1 + (hz / high) ** 8)
    shaped = irfft(rfft(samples, size) * (10 ** (gain_db / 20)).astype(np.float32), size)
    return np.asarray(shaped[: len(samples)])
