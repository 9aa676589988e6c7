"""The level of a recording, and spectrograms relative to it: the same beats from a quiet copy as from a loud one.

A level is measured as loudness is (ITU-R BS.1770): frames more than 10 dB below the mean power of their minute do not
count, so that pauses change nothing. It runs with the music, for recordings of an evening and for streams.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["running_level", "stream_relative_level"]

Floats32 = npt.NDArray[np.float32]

STEP_S, REACH_S = 5.0, 30.0
GATE = 0.1
"""Fraction of the mean power below which a frame does not count."""
LOWEST = -7.5
"""The lowest level, in ln(magnitude): digital silence and the rounding errors of 16 bits are not made loud."""
REFERENCE = 2.2
"""What the level becomes, in ln(magnitude)."""


def running_level(loudest: npt.ArrayLike, *, fps: float) -> Floats32:
    """Measure the level around each frame.

    Parameters
    ----------
    loudest : array_like [shape=(frames,)]
        Natural logarithm of the magnitude of the loudest band of each frame.
    fps : float
        Frames per second.

    Returns
    -------
    float32 [shape=(frames,)]
        Mean of `loudest` over the frames that count, from 30 s before to 30 s after, measured every 5 s and
        interpolated between.
    """
    loudest = np.asarray(loudest, np.float64)
    if not len(loudest):
        return np.zeros(0, np.float32)
    points = range(int((len(loudest) - 1) / fps / STEP_S) + 1)
    levels = [_level_at(loudest, point, fps) for point in points]
    return _interpolate(levels, 0, len(loudest), fps)


def stream_relative_level(pieces: Iterable[Floats32], *, fps: float, n_bands: int) -> Iterator[Floats32]:
    """Subtract the running level from a log spectrogram that arrives in pieces, half a minute behind them.

    Parameters
    ----------
    pieces : iterable of float32 [shape=(frames, bands)]
        Consecutive pieces, in ln(magnitude).
    fps : float
        Frames per second.
    n_bands : int
        Number of the first bands, of which the loudest gives the level.

    Yields
    ------
    float32 [shape=(frames, bands)]
        Consecutive pieces whose level is 2.2, whatever gain the recording had.
    """
    pending: list[Floats32] = []
    loudest = np.zeros(0, np.float32)  # from frame `first` on: what the levels to come depend on
    first = total = done = 0
    levels: list[float] = []
    for piece in pieces:
        pending.append(piece)
        loudest = np.append(loudest, piece[:, :n_bands].max(1, initial=-np.inf))
        total += len(piece)
        complete = int((total / fps - REACH_S) / STEP_S)  # the last point that later frames cannot change
        if complete >= max(1, len(levels)):
            levels += [_level_at(loudest, point, fps, first) for point in range(len(levels), complete + 1)]
            needed = max(0, round((len(levels) * STEP_S - REACH_S) * fps))
            loudest, first = loudest[needed - first :], needed
            end = int(complete * STEP_S * fps)
            rows = np.concatenate(pending)
            yield rows[: end - done] + (REFERENCE - _interpolate(levels, done, end, fps))[:, None]
            pending, done = [rows[end - done :]], end
    if done < total:
        last = int((total - 1) / fps / STEP_S)
        levels += [_level_at(loudest, point, fps, first) for point in range(len(levels), last + 1)]
        yield np.concatenate(pending) + (REFERENCE - _interpolate(levels, done, total, fps))[:, None]


def _level_at(loudest: npt.NDArray[np.floating], point: int, fps: float, first: int = 0) -> float:
    """Return the level at a multiple of 5 s, from values that begin with those of frame `first`."""
    start = max(0, round((point * STEP_S - REACH_S) * fps))
    near = loudest[start - first : round((point * STEP_S + REACH_S) * fps) - first].astype(np.float64)
    power = np.exp(2 * near)
    return max(LOWEST, float(near[power >= GATE * power.mean()].mean()))


def _interpolate(levels: list[float], start: int, end: int, fps: float) -> Floats32:
    """Interpolate between levels at the frames from one to another; of the levels, only those around count."""
    first = int(start / fps / STEP_S)
    points = np.arange(first, len(levels)) * STEP_S
    return np.interp(np.arange(start, end) / fps, points, levels[first:]).astype(np.float32)
