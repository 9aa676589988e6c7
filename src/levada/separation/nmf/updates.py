"""Multiplicative updates of bases and activations.

Activations begin `taps - 1` frames before the first frame, since a stroke may begin before it. Bases are a matrix, so
that an update is two products of matrices however long bases are. Frames outside are unknown, not silent: they are left
out of the sums, also for activations whose bases reach there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST", "activations", "as_matrix", "as_strokes", "fitted", "initial", "scaled", "windows"]

Floats32 = npt.NDArray[np.float32]

LEAST = np.float32(1e-12)
"""Lower bound of denominators for magnitudes of about 1; its products are far from the smallest float."""
LEAST_BASIS = np.float32(1e-9)


def scaled(magnitudes: Floats32) -> Floats32:
    """Scale magnitudes to at most about 1, by a power of two, which changes no mask by rounding."""
    most = float(magnitudes.max(initial=0.0))
    return magnitudes if most == 0 else np.ldexp(magnitudes, -int(np.frexp(np.float32(most))[1])).astype(np.float32)


def as_matrix(strokes: Floats32) -> Floats32:
    """Reshape bases to the rows of a matrix.

    Parameters
    ----------
    strokes : float32 [shape=(bases, taps, bins)]

    Returns
    -------
    float32 [shape=(bases * taps, bins)]
        The last frame of each basis first, as `windows` has the activations of the earliest frame first.
    """
    return np.ascontiguousarray(strokes[:, ::-1]).reshape(-1, strokes.shape[-1])


def as_strokes(matrix: Floats32, taps: int) -> Floats32:
    """Invert `as_matrix`."""
    return np.ascontiguousarray(matrix.reshape(-1, taps, matrix.shape[-1])[:, ::-1])


def windows(active: Floats32, taps: int) -> Floats32:
    """Return the activations that contribute to each frame.

    Parameters
    ----------
    active : float32 [shape=(frames + taps - 1, bases)]
    taps : int

    Returns
    -------
    float32 [shape=(frames, bases * taps)]
    """
    if taps == 1:
        return active
    view = np.lib.stride_tricks.sliding_window_view(active, taps, axis=0)
    return np.ascontiguousarray(view).reshape(len(view), -1)


def _sum_windows(frames: Floats32, taps: int) -> Floats32:
    """Sum over the frames to which an activation contributes: the transpose of `windows`."""
    if taps == 1:
        return frames
    each = frames.reshape(len(frames), -1, taps)
    out = np.zeros((len(frames) + taps - 1, each.shape[1]), np.float32)
    for tap in range(taps):
        out[tap : tap + len(frames)] += each[:, :, tap]
    return out


def initial(magnitudes: Floats32, bases: int, taps: int) -> Floats32:
    """Initialise activations: the sum of each frame, shared equally."""
    sums = magnitudes.sum(axis=1, keepdims=True) / np.float32(bases)
    return np.repeat(np.concatenate([np.repeat(sums[:1], taps - 1, axis=0), sums]), bases, axis=1) + LEAST


def _reach(matrix: Floats32, frames: int, taps: int) -> Floats32:
    """Sum the part of each basis within the frames: float32 [shape=(frames + taps - 1 or 1, bases)]."""
    sums: Floats32 = matrix.sum(axis=1, keepdims=True).T
    if taps == 1:
        return np.asarray(sums + LEAST, np.float32)
    return _sum_windows(np.repeat(sums, frames, axis=0), taps) + LEAST


def activations(magnitudes: Floats32, matrix: Floats32, *, taps: int, steps: int) -> Floats32:
    """Estimate activations, from an initialisation that is always the same.

    Parameters
    ----------
    magnitudes : float32 [shape=(frames, bins)]
        Magnitudes of at most about 1.
    matrix : float32 [shape=(bases * taps, bins)]
        Bases, as from `as_matrix`.
    taps : int
    steps : int
        Number of updates.

    Returns
    -------
    float32 [shape=(frames + taps - 1, bases)]
    """
    active = initial(magnitudes, len(matrix) // taps, taps)
    reach = _reach(matrix, len(magnitudes), taps)
    for _ in range(steps):
        ratio = magnitudes / (windows(active, taps) @ matrix + LEAST)
        active *= _sum_windows(ratio @ matrix.T, taps) / reach
        np.maximum(active, LEAST, out=active)
    return active


def fitted(
    magnitudes: Floats32,
    strokes: Floats32,
    *,
    steps: int,
    rng: np.random.Generator | None = None,
    active: Floats32 | None = None,
) -> Floats32:
    """Fit bases to magnitudes.

    Parameters
    ----------
    magnitudes : float32 [shape=(frames, bins)]
        Magnitudes of at most about 1.
    strokes : float32 [shape=(bases, taps, bins)]
        Their initialisation.
    steps : int
        Number of updates.
    rng : numpy.random.Generator, optional
        For the initialisation of activations.
    active : float32 [shape=(frames + taps - 1, bases)], optional
        Activations to start from, instead of an equal share of each frame.

    Returns
    -------
    float32 [shape=(bases, taps, bins)]
        Each with sum 1.
    """
    bases, taps, _ = strokes.shape
    matrix = as_matrix(strokes / strokes.sum(axis=(1, 2), keepdims=True))
    active = initial(magnitudes, bases, taps) if active is None else active.copy()
    if rng is not None:
        active *= 1 + np.float32(0.2) * rng.random(active.shape, dtype=np.float32)
    for _ in range(steps):
        ratio = magnitudes / (windows(active, taps) @ matrix + LEAST)
        active *= _sum_windows(ratio @ matrix.T, taps) / _reach(matrix, len(magnitudes), taps)
        np.maximum(active, LEAST, out=active)
        windowed = windows(active, taps)
        ratio = magnitudes / (windowed @ matrix + LEAST)
        matrix *= (windowed.T @ ratio) / (windowed.sum(axis=0)[:, None] + LEAST)
        np.maximum(matrix, LEAST_BASIS, out=matrix)
        sums = matrix.reshape(bases, -1).sum(axis=1)
        matrix /= np.repeat(sums, taps)[:, None]
        active *= sums
    return as_strokes(matrix, taps)
