"""From logits to activations, and peak picking."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.continuity import with_counted_positions
from levada.errors import InputError
from levada.io.beats import Beats

__all__ = [
    "Activations",
    "checked_activations",
    "checked_fps",
    "pick_peaks",
    "probabilities",
    "snap_to_peaks",
    "sub_frame",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Activations = npt.NDArray[np.floating]

CLEAR = 0.2  # a peak as high as this is clear, if the activation falls to half of it within
VALLEY_S = 0.06
SNAP_S = 0.07  # a downbeat belongs to the nearest beat within the tolerance of the F-measure


def probabilities(logits: npt.ArrayLike) -> Activations:
    """Turn a network's outputs into activations, without overflow.

    Parameters
    ----------
    logits : array_like [shape=(..., 2)]
        Log odds of a beat, and of a downbeat given a beat.

    Returns
    -------
    activations : float [same shape]
        Probabilities of a beat (downbeats included) and of a downbeat; float32 if the logits were.
    """
    given = np.asarray(logits)
    given = given.astype(np.float64) if given.dtype.kind != "f" else given
    each: Activations = np.exp(-np.logaddexp(0, -given))
    return np.stack([each[..., 0], each[..., 0] * each[..., 1]], -1)


def pick_peaks(
    activations: npt.ArrayLike,
    *,
    fps: float | Fraction = 100,
    threshold: float = 0.3,
    min_distance_s: float = 0.2,
) -> Beats:
    """Find beats at the peaks of the activations, with no model of tempo or metre.

    Local maxima above the threshold, the highest first, each at least `min_distance_s` from all taken before,
    then moved to the top of the parabola through the peak and its neighbours. Downbeat peaks mark the
    nearest beat within 70 ms. Beats between two downbeats are numbered; those before the first and after the
    last downbeat have position 0, unknown.

    Parameters
    ----------
    activations, fps
        As for `decode_beats`.
    threshold : float
        Lowest peak that counts, between 0 and 1.
    min_distance_s : float
        Beats are not closer than this, in seconds.

    Returns
    -------
    beats : Beats
        The height of each peak is its confidence.

    Raises
    ------
    InputError
        If the activations are not probabilities in two columns, or a number is out of range.
    """
    values, rate = checked_activations(activations).astype(np.float64), checked_fps(fps)
    if not 0 <= threshold <= 1:
        raise InputError(f"threshold must be between 0 and 1, not {threshold}")
    if not (np.isfinite(min_distance_s) and min_distance_s >= 0):
        raise InputError(f"min_distance_s must not be negative, not {min_distance_s}")
    frames, downbeat_frames = (
        _peaks(column, threshold=threshold, distance=min_distance_s * rate) for column in values.T
    )
    times, downbeats = sub_frame(values[:, 0], frames) / rate, sub_frame(values[:, 1], downbeat_frames) / rate
    marked = np.zeros(len(times), np.bool_)
    for downbeat in downbeats if len(times) else []:
        nearest = int(np.abs(times - downbeat).argmin())
        marked[nearest] |= abs(times[nearest] - downbeat) <= SNAP_S
    return with_counted_positions(Beats(times, marked.astype(np.int64), values[frames, 0]))


def sub_frame(heights: Floats, frames: Ints) -> Floats:
    """Move frames by at most half a frame to the top of the parabola through each local maximum.

    Frames that are not a local maximum, or have only one neighbour, stay.
    """
    if len(heights) < 3:
        return frames.astype(np.float64)
    inner = frames.clip(1, len(heights) - 2)
    left, peak, right = heights[inner - 1], heights[inner], heights[inner + 1]
    curvature = 2 * peak - left - right
    top = (inner == frames) & (peak >= left) & (peak >= right) & (curvature > 0)
    offset = np.divide(right - left, 2 * curvature, out=np.zeros(len(frames)), where=top)
    moved: Floats = frames + offset
    return moved


def snap_to_peaks(times_s: Floats, activation: Floats, *, fps: float, tolerance_s: float) -> Floats:
    """Move times to the highest clear peak of an activation near them; those without one stay.

    Parameters
    ----------
    times_s : float64 [shape=(n,)]
    activation : float64 [shape=(frames,)]
        Between 0 and 1. A peak is clear that is at least 0.2 high, and twice as high as the lowest frame within 60 ms.
    fps : float
        Frames per second.
    tolerance_s : float
        How far a time may move, in seconds.

    Returns
    -------
    float64 [shape=(n,)]
    """
    if len(activation) < 3 or not len(times_s) or not tolerance_s > 0:
        return times_s
    centre = np.rint(times_s * fps).astype(np.int64)
    reach = int(np.ceil(tolerance_s * fps))
    near = (centre[:, None] + np.arange(-reach, reach + 1)).clip(0, len(activation) - 1)
    inside = np.abs(near / fps - times_s[:, None]) <= tolerance_s + 1e-9
    rows = np.arange(len(near))
    peaks = near[rows, np.where(inside, activation[near], -1.0).argmax(axis=1)]
    valley = max(1, round(VALLEY_S * fps))
    around = activation[(peaks[:, None] + np.arange(-valley, valley + 1)).clip(0, len(activation) - 1)]
    height, inner = activation[peaks], peaks.clip(1, len(activation) - 2)
    is_peak = (inner == peaks) & (height >= activation[inner - 1]) & (height >= activation[inner + 1])
    clear = is_peak & inside.any(axis=1) & (height >= CLEAR) & (height >= 2 * around.min(axis=1))
    moved = sub_frame(activation, peaks) / fps
    result: Floats = np.where(clear & (np.abs(moved - times_s) <= tolerance_s), moved, times_s)
    return result if (np.diff(result) > 0).all() else times_s


def checked_activations(activations: npt.ArrayLike) -> Activations:
    """Return activations as floating-point numbers (frames, 2), or raise an error."""
    try:
        given = np.asarray(activations)
        values: Activations = given if given.dtype.kind == "f" else given.astype(np.float64)
    except (TypeError, ValueError):
        raise InputError("activations must be an array of numbers with the shape (frames, 2)") from None
    if values.ndim != 2 or values.shape[1] != 2:
        raise InputError(f"activations must have the shape (frames, 2), beat and downbeat, not {values.shape}")
    wrong = ~np.isfinite(values).all(axis=1)
    if wrong.any():
        raise InputError(f"the activation of frame {int(wrong.argmax())} is not a finite number")
    wrong = ((values < 0) | (values > 1)).any(axis=1)
    if wrong.any():
        frame = int(wrong.argmax())
        raise InputError(
            f"the activation of frame {frame} is {values[frame].tolist()}, not probabilities: "
            f"give logits through probabilities() first"
        )
    return values


def checked_fps(fps: float | Fraction) -> float:
    """Return frames per second as a float, or raise an error."""
    try:
        rate = float(fps)
    except (TypeError, ValueError):
        raise InputError(f"fps must be a number, not {fps!r}") from None
    if not (np.isfinite(rate) and rate > 0):
        raise InputError(f"fps must be a finite number above 0, not {fps}")
    return rate


def _peaks(heights: Floats, *, threshold: float, distance: float) -> Ints:
    """Find the frames of local maxima; the middle of a plateau, and of two too near each other the higher."""
    changes = np.flatnonzero(np.diff(heights)) + 1
    begins, ends = np.r_[0, changes], np.r_[changes, len(heights)]  # runs of equal values
    runs = heights[begins] if len(heights) else heights
    around = np.r_[-1.0, runs, -1.0]
    if len(runs) < 2:  # constant: nothing stands out
        return np.empty(0, np.int64)
    tops = (runs > around[:-2]) & (runs > around[2:]) & (runs >= threshold) & (runs > 0)
    frames = (begins[tops] + ends[tops] - 1) // 2
    free = np.ones(len(heights), np.bool_)
    taken = []
    reach = int(np.ceil(distance)) - 1
    for frame in frames[np.argsort(-heights[frames], kind="stable")].tolist():
        if free[frame]:
            taken.append(frame)
            free[max(frame - reach, 0) : frame + reach + 1] = False
    return np.sort(np.array(taken, dtype=np.int64))
