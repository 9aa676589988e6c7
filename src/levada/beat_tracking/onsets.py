"""Onsets to half a millisecond: when a stroke or a note begins, from where its attack leaves the level before it.

Activations and onset strength have a frame every 10 ms, and their peak lies *in* an attack: late by more, the slower it
is. As a constant error would pass for playing behind the beat, an onset is here where the level has risen by a
twentieth of the attack.

The level is the root mean square of the first difference of the samples, which weighs high frequencies more, in hops of
half a millisecond. Errors are measured on rendered strokes, where every time is exact (`benchmarks/microtiming.py`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.io import audio

__all__ = ["HOP_S", "Onsets", "find_onsets", "finite_samples", "levels", "onsets_of_levels", "rises_at"]

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]

HOP_S = 0.0005
"""Hop of the level, in seconds."""
SCALES_S = (0.010, 0.040)  # an attack raises the mean level over one of these, fast ones before slow ones,
RISE = 1.5  # by this factor
BEFORE_S = 0.040  # over the greatest mean in this time before it: low notes beat, and drums rattle
LEAST = 0.05  # smallest rise, relative to the largest ones of the recording
APART_S = 0.050  # onsets are no nearer to each other
FRACTION = 0.05  # of the attack at which an onset is; at a half, shakers seem 4 ms late and strings 13
QUIET_S, ABOVE_QUIET = 0.005, 3.0  # the quietest stretch before, and standard deviations above its mean
LOOK_S = 0.050  # how long an attack may last before its peak
GAP_S = 0.004  # within an attack the level may be low for so long, as between the grains of a shaker
PEAK_S, BEFORE_PEAK_S, SETTLED_S = 0.015, 0.012, 0.002  # around an onset, of the rise of the level at it
BLOCK_S = 4.0


@dataclass(frozen=True, eq=False)
class Onsets:
    """Onsets of a recording.

    Parameters
    ----------
    times_s : float64 [shape=(n,)]
        In seconds, increasing.
    strengths : float64 [shape=(n,)]
        Rise of the level at each; the strongest has 1.
    """

    times_s: Floats
    strengths: Floats

    def __len__(self) -> int:
        return len(self.times_s)


def find_onsets(source: str | Path | audio.AudioExcerpt | npt.ArrayLike, rate: int | None = None) -> Onsets:
    """Find the onsets of a recording of one instrument, or of all that are strong in a mixture.

    On rendered strokes of drums, idiophones, shakers and plucked strings the median error is below 0.5 ms; what is
    blown, bowed or sung has no clear onset, and is found late or not at all (`docs/microtiming.md` has the table).

    Parameters
    ----------
    source : path-like, AudioExcerpt, or array_like [shape=(channels, samples)] or [shape=(samples,)]
        A file of any length, or samples.
    rate : int, optional
        Sampling rate of the samples, in Hz.

    Returns
    -------
    Onsets
        None in silence.

    Raises
    ------
    InputError
        If the file cannot be read, or samples have no rate or are not all finite.
    """
    return onsets_of_levels(levels(source, rate))


def levels(source: str | Path | audio.AudioExcerpt | npt.ArrayLike, rate: int | None = None) -> Floats:
    """Compute the level of a recording, mixed to mono: root mean square of its first difference, in hops of `HOP_S`.

    Parameters
    ----------
    source, rate
        As in `find_onsets`.

    Returns
    -------
    float64 [shape=(hops,)]

    Raises
    ------
    InputError
        As in `find_onsets`.
    """
    if isinstance(source, str | Path | audio.AudioExcerpt):
        path = source.path if isinstance(source, audio.AudioExcerpt) else source
        if rate is not None:
            raise InputError("has its own sampling rate: leave out `rate`", path=path)
        return _levels(audio.read_blocks(source), audio.info(path).rate)
    samples, rate = finite_samples(source, rate)
    return _levels([samples], rate)


def finite_samples(
    source: str | Path | audio.AudioExcerpt | npt.ArrayLike, rate: int | None = None
) -> tuple[Floats32, int]:
    """Return the samples of a recording [shape=(channels, samples)] and their rate.

    Raises
    ------
    InputError
        As in `find_onsets`.
    """
    samples, rate = audio.samples_of(source, rate)
    if not np.isfinite(samples).all():
        raise InputError("the samples are not all finite numbers: replace NaN and infinite ones")
    return samples, rate


def onsets_of_levels(level: Floats, *, fraction: float = FRACTION) -> Onsets:
    """Find the onsets in the level of a recording.

    Parameters
    ----------
    level : float64 [shape=(hops,)]
        As of `levels`.
    fraction : float
        Of the attack at which an onset is.

    Returns
    -------
    Onsets
    """
    places, strengths, widths = np.zeros(0, np.int64), np.zeros(0), np.zeros(0, np.int64)
    for scale_s in SCALES_S:
        width = _hops(scale_s)
        new, rise = _attacks(level, width)
        far = np.ones(len(new), np.bool_)
        if len(places):
            after = np.searchsorted(places, new)
            nearest = np.minimum(
                np.abs(new - places[np.maximum(after - 1, 0)]), np.abs(new - places[np.minimum(after, len(places) - 1)])
            )
            far = nearest > _hops(APART_S)
        order = np.argsort(np.concatenate([places, new[far]]), kind="stable")
        places = np.concatenate([places, new[far]])[order]
        strengths = np.concatenate([strengths, rise[far]])[order]
        widths = np.concatenate([widths, np.full(int(far.sum()), width)])[order]
    begins = [
        _begin(level, place, width, fraction) for place, width in zip(places.tolist(), widths.tolist(), strict=True)
    ]
    times_s, first = np.unique((np.array(begins, np.float64) + 0.5) * HOP_S, return_index=True)
    return Onsets(times_s, strengths[first] / strengths.max(initial=1e-300))


def rises_at(level: Floats, times_s: Floats) -> Floats:
    """Compute by how much a level rises at some times: its maximum in the 15 ms after, less its mean before.

    Parameters
    ----------
    level : float64 [shape=(hops,)]
    times_s : float64 [shape=(n,)]

    Returns
    -------
    float64 [shape=(n,)]
        Never negative.
    """
    before, settled, after = _hops(BEFORE_PEAK_S), _hops(SETTLED_S), _hops(PEAK_S)
    padded = np.pad(level, (before, after))
    first = np.clip((times_s / HOP_S).astype(np.int64), 0, max(len(level) - 1, 0))
    windows = np.lib.stride_tricks.sliding_window_view(padded, before + after)[first]
    rise = windows[:, before - settled :].max(axis=1) - windows[:, : before - settled].mean(axis=1)
    return np.asarray(np.maximum(rise, 0))


def _levels(blocks: Iterable[Floats32], rate: int) -> Floats:
    levels, last = list[Floats](), None
    for block in audio.to_mono_blocks(blocks, rate=rate, block_s=BLOCK_S):  # each has a whole number of hops
        mono = block.astype(np.float64)
        hop = np.arange(len(mono)) * round(1 / HOP_S) // rate
        power = np.bincount(hop, np.diff(mono, prepend=mono[:1] if last is None else last) ** 2)
        levels.append(np.sqrt(power / np.bincount(hop).clip(1)))
        last = mono[-1:]
    return np.concatenate([np.zeros(0), *levels])


def _attacks(level: Floats, width: int) -> tuple[npt.NDArray[np.int64], Floats]:
    """Find where the mean level over so many hops rises most, and by how much."""
    from scipy.ndimage import maximum_filter1d

    back, reach = _hops(BEFORE_S), _hops(BEFORE_S) - width
    padded = np.pad(level, (back, width))
    total = np.concatenate([[0.0], np.cumsum(padded)])
    mean = (total[width:] - total[:-width]) / width  # of the hops from each of the padded level on
    after = mean[back : back + len(level)]
    before = np.lib.stride_tricks.sliding_window_view(mean, reach + 1)[: len(level)].max(axis=1)
    rise = after - before
    least = LEAST * float(np.quantile(rise[rise > 0], 0.999)) if (rise > 0).any() else np.inf
    steepest = maximum_filter1d(rise, _hops(APART_S) | 1, mode="nearest") == rise if len(rise) else rise > 0
    places = np.flatnonzero(steepest & (rise > least) & (after > RISE * before))
    return places, rise[places]


def _begin(level: Floats, place: int, width: int, fraction: float) -> int:
    """Return the hop in which an attack begins, before or after the place where the level rises most."""
    peak = place + int(level[place : place + width].argmax())
    part = level[max(0, peak - _hops(LOOK_S) - width) : peak + 1]
    size = min(_hops(QUIET_S), len(part))
    quiet = np.lib.stride_tricks.sliding_window_view(part, size)
    first = len(quiet) - 1 - int(quiet.mean(axis=1)[::-1].argmin())  # the last of equally quiet ones
    base, spread = float(quiet[first].mean()), float(quiet[first].std())
    threshold = max(base + fraction * (part[-1] - base), base + ABOVE_QUIET * spread)
    above = first + np.flatnonzero(part[first:] > threshold)
    if not len(above):
        return peak
    gaps = np.flatnonzero(np.diff(above) > _hops(GAP_S))
    return peak + 1 - len(part) + int(above[gaps[-1] + 1 if len(gaps) else 0])


def _hops(seconds: float) -> int:
    return round(seconds / HOP_S)
