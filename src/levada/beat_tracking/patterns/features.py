"""What the patterns are made of: how much begins in the bass, and how much above it.

The rises of the log-band spectrogram, vibrato left out (SuperFlux: Böck and Widmer, "Maximum Filter Vibrato Suppression
for Onset Detection", DAFx 2013), in a few wide bands, relative to the mean of the seconds around, compressed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectrogram import GRID, N_BANDS, WINDOW, filterbank
from levada.errors import InputError

__all__ = ["band_onset_strength"]

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]

COMPRESSION = 10.0  # magnitudes are compressed as ln(1 + 10 x), x relative to the loud parts of the recording
LAG_FRAMES = 2  # a rise is the difference to the frame 20 ms before
MEAN_S = 6.0  # an onset is judged by the mean rise of the seconds around it
QUIET = 0.1  # and by so much of the mean over the whole recording and all bands, so that noise in a silence is small
_BLOCK = 4096


def band_onset_strength(bands: Floats32, *, edges_hz: Sequence[float], every: int = 1) -> Floats:
    """Onset strength in a few wide bands.

    Parameters
    ----------
    bands : float32 [shape=(frames, 81)]
        `spectrogram.log_spectrogram` of a recording or a stretch of it.
    edges_hz : sequence of float
        Frequencies that separate the wide bands, ascending.
    every : int
        So many frames become one: the mean over them.

    Returns
    -------
    float64 [shape=(ceil(frames / every), len(edges_hz) + 1)]
        From 0, where nothing begins. The level of the recording and constant sound make no difference.

    Raises
    ------
    InputError
        If `bands` has another shape.
    """
    if bands.ndim != 2 or bands.shape[1] != N_BANDS:
        raise InputError(f"onsets need spectrograms of shape (frames, {N_BANDS}), not {bands.shape}")
    if not len(bands):
        return np.zeros((0, len(edges_hz) + 1))
    rises = _rises(bands, np.r_[0, np.searchsorted(_centres_hz(), edges_hz)])
    rises = np.pad(rises, ((0, -len(rises) % every), (0, 0)), mode="edge").reshape(-1, every, rises.shape[1]).mean(1)
    around = _moving_mean(rises, round(MEAN_S * float(GRID.fps) / every / 2))
    relative: Floats = np.log1p(rises / (around + QUIET * (rises.mean(axis=0) + rises.mean()) / 2 + 1e-9))
    return relative


@lru_cache(maxsize=1)
def _centres_hz() -> Floats:
    return np.asarray(filterbank().argmax(axis=0) * (GRID.rate / WINDOW), np.float64)


def _rises(bands: Floats32, firsts: npt.NDArray[np.int64]) -> Floats:
    """Mean rise over the bands from each of the given ones to the next [shape=(frames, len(firsts))]."""
    starts = range(0, len(bands), _BLOCK)
    loudness = np.concatenate([np.exp(bands[start : start + _BLOCK]).mean(axis=1) for start in starts])
    gain = np.float32(COMPRESSION / (np.percentile(loudness, 95) + 1e-4))
    widths = np.diff(np.r_[firsts, bands.shape[1]])
    rises = np.zeros((len(bands), len(firsts)))
    for start in starts:
        first = max(start - LAG_FRAMES, 0)
        levels = np.log1p(gain * np.exp(bands[first : start + _BLOCK]))
        before = levels[:-LAG_FRAMES].copy()  # with each band's neighbours, so that vibrato is no onset
        np.maximum(before[:, 1:], levels[:-LAG_FRAMES, :-1], out=before[:, 1:])
        np.maximum(before[:, :-1], levels[:-LAG_FRAMES, 1:], out=before[:, :-1])
        rise = np.maximum(levels[LAG_FRAMES:] - before, 0)
        rises[first + LAG_FRAMES : first + LAG_FRAMES + len(rise)] = np.add.reduceat(rise, firsts, axis=1) / widths
    return rises


def _moving_mean(values: Floats, half: int) -> Floats:
    """Mean over the frames there are up to so many before and after each."""
    total = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)])
    frames = np.arange(len(values))
    last, first = np.minimum(frames + half + 1, len(values)), np.maximum(frames - half, 0)
    mean: Floats = (total[last] - total[first]) / (last - first)[:, None]
    return mean
