"""Time stretching of percussion: onsets are moved unchanged, and the sound between them is cut or repeated.

Each onset is copied to its new position sample by sample. Between two onsets the shift changes once, in a crossfade of
a few milliseconds where it is least audible: where the sound has decayed, or where both sides are alike. Pitch and
onsets are preserved, and times are exactly those of the map from old to new ones. Sustained sounds have audible
artefacts.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from levada.io.audio import to_mono

__all__ = ["detect_onsets", "warp"]

Floats32 = npt.NDArray[np.float32]
Floats64 = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HOP_S = 0.0025  # step of the onset detection
RISE_DB, BEFORE, FLOOR = (
    4.0,
    6,
    1e-5,
)  # rise above the mean of so many steps; silence, relative to the loudest
APART_S = 0.045  # minimum distance of two onsets
ATTACK_S, GUARD_S, FADE_S = 0.035, 0.004, 0.010  # unchanged after and before an onset; length of a crossfade
EARLY_S = 0.008  # fade-in before the first onset
LOOSE_S = 0.008  # tolerance of a position without an onset, for a smooth crossfade


def detect_onsets(samples: Floats32, rate: int) -> Ints:
    """Detect onsets.

    Parameters
    ----------
    samples : float32 [shape=(channels, samples)]
    rate : int

    Returns
    -------
    int [shape=(onsets,)]
        First sample of each, a few milliseconds early rather than late.
    """
    sound = np.diff(to_mono(samples).astype(np.float64), prepend=0.0)  # highs, in which strokes begin
    hop = max(1, round(HOP_S * rate))
    frames = len(sound) // hop
    if frames <= BEFORE:
        return np.zeros(0, np.int64)
    energy = np.square(sound[: frames * hop]).reshape(frames, hop).mean(axis=1)
    if not energy.any():
        return np.zeros(0, np.int64)
    level = 10 * np.log10(energy + FLOOR * np.quantile(energy, 0.995) + 1e-20)
    past = np.lib.stride_tricks.sliding_window_view(np.pad(level, (BEFORE, 0), mode="edge")[:-1], BEFORE).mean(axis=1)
    past[:BEFORE] = level.min()
    rise = level - past
    onsets: list[int] = []
    for frame in np.flatnonzero(rise > RISE_DB):
        if not onsets or frame - onsets[-1] > APART_S / HOP_S:
            onsets.append(int(frame))
    return np.maximum(0, (np.array(onsets, np.int64) - 1) * hop)


def warp(
    samples: Floats32, old: npt.ArrayLike, new: npt.ArrayLike, length: int, *, rate: int, loose: npt.ArrayLike = ()
) -> Floats32:
    """Move anchors of a recording from old to new positions.

    Parameters
    ----------
    samples : float32 [shape=(channels, samples)]
    old, new : int [shape=(anchors,)]
        Position of each anchor before and after, in samples. New ones increase; old ones may go back, as in a loop.
    length : int
        Samples of the result.
    rate : int
    loose : bool [shape=(anchors,)], optional
        Which anchors are not at an onset.

    Returns
    -------
    float32 [shape=(channels, length)]
        Silent before the first anchor.
    """
    shifts, ends = np.asarray(new, np.int64) - np.asarray(old, np.int64), np.asarray(new, np.int64)
    free = np.zeros(len(ends), bool) if not np.size(loose) else np.asarray(loose, bool).copy()
    out = np.zeros((samples.shape[0], length), np.float32)
    if not len(ends):
        return out
    signal, shift = to_mono(samples), int(shifts[0])
    begin = max(0, int(ends[0]) - round(EARLY_S * rate))
    at = begin
    for index in range(1, len(ends)):
        wanted = int(shifts[index])
        if wanted == shift:
            continue
        where, fade, new_shift = _splice(
            signal, shift, wanted, int(ends[index - 1]), int(ends[index]), rate=rate, is_loose=bool(free[index])
        )
        where = min(max(where, at), length)
        stop = min(where + fade, length)
        out[:, at:where] = _at(samples, at - shift, where - at)
        weight = (0.5 - 0.5 * np.cos(np.pi * (np.arange(stop - where) + 0.5) / fade)).astype(np.float32)
        left, right = _at(samples, where - shift, stop - where), _at(samples, where - new_shift, stop - where)
        out[:, where:stop] = left + weight * (right - left)
        at, shift = stop, new_shift
        if at >= length:
            break
    if at < length:
        out[:, at:] = _at(samples, at - shift, length - at)
    soft = min(round(EARLY_S / 2 * rate), length - begin)
    if begin and soft > 0:
        out[:, begin : begin + soft] *= np.linspace(0, 1, soft, dtype=np.float32)
    return out


def _splice(
    signal: Floats32, left: int, right: int, after: int, before: int, *, rate: int, is_loose: bool
) -> tuple[int, int, int]:
    """Return where between two anchors the shift changes, the length of the crossfade, and the new shift."""
    attack, guard, fade = (round(seconds * rate) for seconds in (ATTACK_S, GUARD_S, FADE_S))
    first, last = after + attack, before - guard - fade
    if last < first:  # strokes that follow each other closely
        fade = max(8, min(fade, (before - after) // 4))
        first = last = max(after + 1, before - min(guard, (before - after) // 4) - fade)
    count = last - first + fade
    step = max(1, rate // 6000)
    reach = round(LOOSE_S * rate) if is_loose else 0
    first_side = _at(signal[None], first - left, count)[0].astype(np.float64)
    if is_loose and np.abs(first_side).max(initial=0) < 1e-4:
        reach = 0
    best: tuple[float, int, int] | None = None
    for new_shift in range(right - reach, right + reach + 1, step) if reach else (right,):
        other = _at(signal[None], first - new_shift, count)[0]
        sums = np.concatenate([[0.0], np.cumsum(np.square(first_side - other))])
        apart = sums[fade:] - sums[:-fade]
        place = int(apart.argmin())
        if best is None or apart[place] < best[0]:
            best = (float(apart[place]), first + place, new_shift)
    assert best is not None
    return best[1], fade, best[2]


def _at(samples: Floats32, start: int, count: int) -> Floats32:
    """Return a stretch of samples, silent outside the recording."""
    out = np.zeros((samples.shape[0], max(0, count)), np.float32)
    low, high = max(0, start), min(samples.shape[1], start + count)
    if high > low:
        out[:, low - start : high - start] = samples[:, low:high]
    return out
