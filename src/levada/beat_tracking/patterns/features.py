"""Features of the patterns: onset strength in a few wide bands, relative to the seconds around, compressed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectral_flux import check_shape, rises
from levada.beat_tracking.spectrogram import GRID, WINDOW, filterbank
from levada.io.onset_strength import moving_mean

__all__ = ["band_onset_strength"]

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]

MEAN_S = 6.0  # onset strength is relative to its mean over the seconds around
QUIET = 0.1  # plus this fraction of the mean over the whole recording and all bands, so that noise in silence is small


def band_onset_strength(bands: Floats32, *, edges_hz: Sequence[float], every: int = 1) -> Floats:
    """Compute onset strength in a few wide bands.

    Parameters
    ----------
    bands : float32 [shape=(frames, 81)]
        `spectrogram.log_spectrogram` of a recording or a part of it.
    edges_hz : sequence of float
        Frequencies that separate the wide bands, ascending.
    every : int
        Number of frames that are averaged into one.

    Returns
    -------
    float64 [shape=(ceil(frames / every), len(edges_hz) + 1)]
        From 0, no onset. The level of the recording and constant sound make no difference.

    Raises
    ------
    InputError
        If `bands` has another shape.
    """
    check_shape(bands)
    if not len(bands):
        return np.zeros((0, len(edges_hz) + 1))
    firsts = np.r_[0, np.searchsorted(_centres_hz(), edges_hz)]
    widths = np.diff(np.r_[firsts, bands.shape[1]])
    strength = np.zeros((len(bands), len(firsts)))
    for frames, rising in rises(bands):
        strength[frames] = np.add.reduceat(rising, firsts, axis=1) / widths
    padded = np.pad(strength, ((0, -len(strength) % every), (0, 0)), mode="edge")
    strength = padded.reshape(-1, every, len(firsts)).mean(1)
    around = moving_mean(strength, half=round(MEAN_S * float(GRID.fps) / every / 2))
    relative: Floats = np.log1p(strength / (around + QUIET * (strength.mean(axis=0) + strength.mean()) / 2 + 1e-9))
    return relative


@lru_cache(maxsize=1)
def _centres_hz() -> Floats:
    return np.asarray(filterbank().argmax(axis=0) * (GRID.rate / WINDOW), np.float64)
