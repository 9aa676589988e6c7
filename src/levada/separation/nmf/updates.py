"""Multiplicative updates: what explains magnitudes better than before, and stays at 0 or above.

Activations are kept from `taps - 1` frames before the first, since a stroke may have begun before it is heard. Bases
are kept as a matrix, so that an update is two products of matrices however long bases are. What lies outside the frames
is not known to be silent: it is left out of the sum, and asks nothing of activations whose bases reach there.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["LEAST", "activations", "as_matrix", "as_strokes", "fitted", "scaled", "windows"]

Floats32 = npt.NDArray[np.float32]

LEAST = np.float32(1e-12)
"""What magnitudes of about 1 are never below in denominators; its products are still far from where floats end."""
LEAST_BASIS = np.float32(1e-9)


def scaled(magnitudes: Floats32) -> Floats32:
    """Magnitudes of at most about 1, by a power of two, which changes no mask by rounding."""
    most = float(magnitudes.max(initial=0.0))
    return magnitudes if most == 0 else np.ldexp(magnitudes, -int(np.frexp(np.float32(most))[1])).astype(np.float32)


def as_matrix(strokes: Floats32) -> Floats32:
    """Bases as the rows of a matrix.

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
    """What `as_matrix` was given."""
    return np.ascontiguousarray(matrix.reshape(-1, taps, matrix.shape[-1])[:, ::-1])


def windows(active: Floats32, taps: int) -> Floats32:
    """The activations that are heard in each frame.

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


def _gathered(frames: Floats32, taps: int) -> Floats32:
    """Sum over the frames in which an activation is heard: the transpose of `windows`."""
    if taps == 1:
        return frames
    each = frames.reshape(len(frames), -1, taps)
    out = np.zeros((len(frames) + taps - 1, each.shape[1]), np.float32)
    for tap in range(taps):
        out[tap : tap + len(frames)] += each[:, :, tap]
    return out


def _begun(heard: Floats32, bases: int, taps: int) -> Floats32:
    """The start of activations: each frame's sum, shared equally."""
    sums = heard.sum(axis=1, keepdims=True) / np.float32(bases)
    return np.repeat(np.concatenate([np.repeat(sums[:1], taps - 1, axis=0), sums]), bases, axis=1) + LEAST


def _reach(matrix: Floats32, frames: int, taps: int) -> Floats32:
    """How much of each activation is heard within the frames: float32 [shape=(frames + taps - 1 or 1, bases)]."""
    sums: Floats32 = matrix.sum(axis=1, keepdims=True).T
    if taps == 1:
        return np.asarray(sums + LEAST, np.float32)
    return _gathered(np.repeat(sums, frames, axis=0), taps) + LEAST


def activations(heard: Floats32, matrix: Floats32, *, taps: int, steps: int) -> Floats32:
    """How strongly each basis sounds at each moment, from a start that is always the same.

    Parameters
    ----------
    heard : float32 [shape=(frames, bins)]
        Magnitudes of at most about 1.
    matrix : float32 [shape=(bases * taps, bins)]
        Bases, as from `as_matrix`.
    taps : int
    steps : int
        How many updates.

    Returns
    -------
    float32 [shape=(frames + taps - 1, bases)]
    """
    active = _begun(heard, len(matrix) // taps, taps)
    reach = _reach(matrix, len(heard), taps)
    for _ in range(steps):
        ratio = heard / (windows(active, taps) @ matrix + LEAST)
        active *= _gathered(ratio @ matrix.T, taps) / reach
        np.maximum(active, LEAST, out=active)
    return active


def fitted(heard: Floats32, strokes: Floats32, *, steps: int, rng: np.random.Generator) -> Floats32:
    """Bases that explain magnitudes better than those they start from.

    Parameters
    ----------
    heard : float32 [shape=(frames, bins)]
        Magnitudes of at most about 1.
    strokes : float32 [shape=(bases, taps, bins)]
        What they start from.
    steps : int
        How many updates.
    rng : numpy.random.Generator
        Of the activations at the start.

    Returns
    -------
    float32 [shape=(bases, taps, bins)]
        Each with sum 1.
    """
    bases, taps, _ = strokes.shape
    matrix = as_matrix(strokes / strokes.sum(axis=(1, 2), keepdims=True))
    active = _begun(heard, bases, taps)
    active *= 1 + np.float32(0.2) * rng.random(active.shape, dtype=np.float32)
    for _ in range(steps):
        ratio = heard / (windows(active, taps) @ matrix + LEAST)
        active *= _gathered(ratio @ matrix.T, taps) / _reach(matrix, len(heard), taps)
        np.maximum(active, LEAST, out=active)
        sounding = windows(active, taps)
        ratio = heard / (sounding @ matrix + LEAST)
        matrix *= (sounding.T @ ratio) / (sounding.sum(axis=0)[:, None] + LEAST)
        np.maximum(matrix, LEAST_BASIS, out=matrix)
        sums = matrix.reshape(bases, -1).sum(axis=1)
        matrix /= np.repeat(sums, taps)[:, None]
        active *= sums
    return as_strokes(matrix, taps)
