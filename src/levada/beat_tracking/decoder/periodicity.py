"""How regular the peaks of activations are, at any height.

Weak activations may be those of music that a network was not trained on, or of talk. In music they come back after
one, two and three beats; in talk, applause and noise they do not.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["periodicity"]

Floats = npt.NDArray[np.float64]

WINDOW_S, HOP_S = 8.0, 1.0
PERIODS_S = (0.28, 1.1)
"""Shortest and longest period: music has a pulse between 55 and 215 a minute at some level of its metre."""
SMOOTH_S = 0.05
FAINT = 0.01  # activations far below this are none
LEAST_VARIANCE = 1e-6  # below it a window is constant
WINDOWS_AT_ONCE = 256


def periodicity(activation: Floats, *, fps: float) -> Floats:
    """Measure the periodicity of an activation around each frame.

    The autocorrelation of its logarithm in windows of 8 s, without what is slower than a second, as a fraction of that
    at lag 0: the mean over one, two and three periods, for the period where it is highest.

    Parameters
    ----------
    activation : float64 [shape=(frames,)]
        Probability of a beat.
    fps : float
        Frames per second.

    Returns
    -------
    float64 [shape=(frames,)]
        1 for a click track; about .1 to .3 where there is no pulse. Constant in recordings of less than 8 s, and 0 in
        those of less than 4 s.
    """
    frames = len(activation)
    window, second = min(round(WINDOW_S * fps), frames), max(1, round(fps))
    if window < WINDOW_S * fps / 2:
        return np.zeros(frames)
    lags = np.arange(max(1, round(PERIODS_S[0] * fps)), round(PERIODS_S[1] * fps) + 1)
    lags = lags[3 * lags < window]
    contrast = _moving_average(np.log(activation + FAINT), round(SMOOTH_S * fps))
    contrast = contrast - _moving_average(contrast, second)
    starts = np.arange(0, frames - window + 1, max(1, round(HOP_S * fps)))
    size = 1 << int(2 * window - 1).bit_length()
    overlap = window / (window - np.arange(window))
    values = np.zeros(len(starts))
    for first in range(0, len(starts), WINDOWS_AT_ONCE):
        some = starts[first : first + WINDOWS_AT_ONCE]
        spectra = np.fft.rfft(contrast[some[:, None] + np.arange(window)], size)
        correlation = np.fft.irfft(np.abs(spectra) ** 2, size)[:, :window] * overlap
        repeated = correlation[:, lags] + correlation[:, 2 * lags] + correlation[:, 3 * lags]
        energy = np.maximum(correlation[:, 0], LEAST_VARIANCE * window)
        values[first : first + WINDOWS_AT_ONCE] = (repeated.max(axis=1) / (3 * energy)).clip(0)
    return np.interp(np.arange(frames), starts + window / 2, values)


def _moving_average(values: Floats, width: int) -> Floats:
    """Average over so many frames around each, fewer at the ends."""
    before, after = max(1, width) // 2, (max(1, width) - 1) // 2
    sums = np.concatenate([[0.0], np.cumsum(values)])
    frames = np.arange(len(values))
    first, last = (frames - before).clip(0), (frames + after + 1).clip(max=len(values))
    average: Floats = (sums[last] - sums[first]) / (last - first)
    return average
