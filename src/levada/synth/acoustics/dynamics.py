"""Dynamics: compressor, limiter, automatic gain, pumping, tape saturation, clipping.

Levels are measured every 1.5 ms. Thresholds are relative to the level of the signal.
"""

from __future__ import annotations

import numpy as np

from levada.synth.acoustics.noise import HOP, Floats32, Floats64, Generator, curve_length, interpolate_curve, rms
from levada.synth.instruments import RATE
from levada.synth.instruments.signals import log_uniform

__all__ = ["automatic_gain", "clip", "compress", "limit", "pump", "tape_saturation"]


def _levels_db(samples: Floats32) -> Floats64:
    """Return the peak of each hop in decibels, the first one twice: float [shape=(curve_length,)]."""
    padded = np.zeros((curve_length(len(samples)) - 1) * HOP, np.float32)
    padded[: len(samples)] = np.abs(samples)
    peaks = padded.reshape(-1, HOP).max(1)
    return np.asarray(20 * np.log10(np.maximum(np.concatenate([peaks[:1], peaks]), 1e-6)), np.float64)


def _release(levels_db: Floats64, *, release_db_s: float) -> Floats64:
    """Limit how fast levels fall."""
    fallen = np.arange(len(levels_db)) * (release_db_s * HOP / RATE)
    return np.asarray(np.maximum.accumulate(levels_db + fallen) - fallen)


def _attack(values: Floats64, *, attack_s: float) -> Floats64:
    """Smooth values by a first-order low-pass filter with a time constant."""
    from scipy.signal import lfilter

    keep = float(np.exp(-HOP / RATE / attack_s))
    return np.asarray(lfilter([1 - keep], [1, -keep], values - values[0]) + values[0], np.float64)


def _apply_gain(samples: Floats32, gain_db: Floats64) -> Floats32:
    return samples * interpolate_curve(10 ** (gain_db / 20), count=len(samples))


def compress(samples: Floats32, *, rng: Generator, ratio: tuple[float, float] = (1.5, 6.0)) -> Floats32:
    """Compress the dynamic range above a random threshold.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
    rng : numpy.random.Generator
    ratio : (float, float)
        Range from which the ratio is sampled.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    levels = _release(_levels_db(samples), release_db_s=log_uniform((15, 300), rng))
    threshold = 20 * np.log10(rms(samples)) + rng.uniform(-6, 9)
    over = np.maximum(0, _attack(levels, attack_s=log_uniform((0.001, 0.04), rng)) - threshold)
    return _apply_gain(samples, -over * (1 - 1 / rng.uniform(*ratio)))


def automatic_gain(samples: Floats32, *, rng: Generator) -> Floats32:
    """Raise quiet passages, as automatic gain control does.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        At 44.1 kHz.
    rng : numpy.random.Generator
        Samples attack, release and the greatest gain.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    levels = _release(_levels_db(samples), release_db_s=rng.uniform(2, 25))
    levels = _attack(levels, attack_s=rng.uniform(0.005, 0.15))
    wanted = (levels.max() - levels) * rng.uniform(0.5, 0.95)
    raised = _apply_gain(samples, np.minimum(wanted, rng.uniform(10, 30)))
    top = np.abs(samples).max()
    return np.clip(raised, -top, top)  # it reduces gain too slowly


def pump(samples: Floats32, *, rng: Generator) -> Floats32:
    """Reduce the level at strokes in the bass, as an over-driven compressor does.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        At 44.1 kHz.
    rng : numpy.random.Generator
        Samples the cutoff of the bass, attack, release and depth.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    from scipy.signal import butter, sosfilt

    padded = np.zeros((curve_length(len(samples)) - 1) * HOP, np.float32)
    padded[: len(samples)] = samples
    low = sosfilt(butter(2, rng.uniform(90, 160), fs=RATE / HOP, output="sos"), padded.reshape(-1, HOP).mean(1))
    levels = 20 * np.log10(np.maximum(np.abs(np.concatenate([low[:1], low])), 1e-6))
    levels = _release(levels, release_db_s=rng.uniform(40, 150))
    duck = np.clip((levels - levels.max()) / rng.uniform(15, 30) + 1, 0, 1)
    return _apply_gain(samples, -rng.uniform(4, 14) * _attack(duck, attack_s=rng.uniform(0.004, 0.015)))


def limit(samples: Floats32, *, rng: Generator) -> Floats32:
    """Limit peaks, with look-ahead.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        At 44.1 kHz.
    rng : numpy.random.Generator
        Samples the threshold, 1 to 9 dB below the peak, and the release.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    levels = _levels_db(samples)
    levels = np.maximum(levels, np.concatenate([levels[1:], levels[-1:]]))
    levels = _release(levels, release_db_s=log_uniform((60, 600), rng))
    threshold = levels.max() - rng.uniform(1, 9)
    return _apply_gain(samples, -np.maximum(0, levels - threshold))


def tape_saturation(samples: Floats32, *, rng: Generator) -> Floats32:
    """Apply asymmetric soft saturation, as of tape or valves.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        At 44.1 kHz.
    rng : numpy.random.Generator
        Samples drive and bias.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    drive = np.float32(rng.uniform(0.15, 1.2) / rms(samples))
    bias = np.float32(rng.uniform(-0.3, 0.3))
    return np.asarray(np.tanh(drive * samples + bias) - np.tanh(bias), np.float32)


def clip(samples: Floats32, *, rng: Generator) -> Floats32:
    """Clip the signal, as an overloaded input does.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        At 44.1 kHz.
    rng : numpy.random.Generator
        Samples the levels at which both half-waves are cut.

    Returns
    -------
    float32 [shape=(samples,)]
    """
    most = float(np.abs(samples).max())
    top = np.float32(np.clip(rms(samples) * log_uniform((0.8, 5), rng), 0.05 * most, 0.95 * most))
    return np.clip(samples, -top * np.float32(rng.uniform(0.8, 1)), top)
