"""Onset strength: by how much a compressed spectrogram rises from frame to frame, and moving means to compare it with.

The one implementation for spectral flux, rhythmic patterns, the selection of recordings and the check of labels.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["moving_mean", "rise"]

Floats = npt.NDArray[np.float64]


def rise(levels: npt.NDArray[np.floating], *, lag: int, maximum_filter: bool = False) -> npt.NDArray[np.floating]:
    """Return the half-wave rectified difference of each frame to an earlier one.

    Parameters
    ----------
    levels : float [shape=(frames, bands)]
        Compressed magnitudes.
    lag : int
        Frames between the two.
    maximum_filter : bool
        Whether each band is compared with the greatest of itself and its two neighbours, so that vibrato is no onset
        (SuperFlux: Böck and Widmer, "Maximum Filter Vibrato Suppression for Onset Detection", DAFx 2013).

    Returns
    -------
    float [shape=(frames - lag, bands)]
        From frame `lag` on.
    """
    before = levels[:-lag]
    if maximum_filter:
        before = before.copy()
        np.maximum(before[:, 1:], levels[:-lag, :-1], out=before[:, 1:])
        np.maximum(before[:, :-1], levels[:-lag, 1:], out=before[:, :-1])
    rises: npt.NDArray[np.floating] = np.maximum(levels[lag:] - before, 0)
    return rises


def moving_mean(values: Floats, *, half: int) -> Floats:
    """Return the mean over the frames up to a number before and after each; fewer at the ends.

    Parameters
    ----------
    values : float64 [shape=(frames, ...)]
    half : int
        Frames before and after.

    Returns
    -------
    float64 [same shape]
    """
    total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
    frames = np.arange(len(values))
    last, first = np.minimum(frames + half + 1, len(values)), np.maximum(frames - half, 0)
    counts = (last - first).reshape(-1, *(1,) * (values.ndim - 1))
    mean: Floats = (total[last] - total[first]) / counts
    return mean
