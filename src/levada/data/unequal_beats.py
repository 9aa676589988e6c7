"""Beats of unequal length in labels: the metre of each bar, such as 2+2+2+3, by fit to the intervals.

The lengths of the beats of a cycle are recognised as small whole numbers where they agree in most bars: the median bar
is fitted, or, where bars of the same number of beats differ (3+2+2 and 2+2+3), each bar.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np
import numpy.typing as npt

from levada.data.spans import is_gap
from levada.io.beats import Beats
from levada.io.metres import Metre, beats_in, metre_of, relative_lengths

__all__ = ["LabelledBar", "even_intervals", "labelled_bars", "unequal_metres", "unfitted_metres"]

Floats = npt.NDArray[np.float64]

UNEQUAL = 1.4  # a position of the bar this many times as long as another is another kind of beat: 3 eighths, not 2
BARS = 3  # that have to agree on it
SHARE = 0.7  # of the bars of as many beats that have to agree on it
LARGEST_UNIT = 4  # lengths of beats are from 1 to this,
LARGEST_RATIO = 2.0  # the longest at most so many times the shortest,
TOLERANCE = 0.1  # and their logarithms no further than this from the intervals
MIXED_TOLERANCE = 0.15  # the same for a single bar, of twos and threes
MOST_MIXED = 6  # beats of bars that are fitted one by one


@dataclass(frozen=True)
class LabelledBar:
    """A complete bar: from its downbeat to the next one, numbered in order or not at all between them.

    Parameters
    ----------
    first : int
        Index of its downbeat.
    metre : int or str
    """

    first: int
    metre: Metre


def unequal_metres(labels: Sequence[Beats]) -> tuple[str, ...]:
    """Recognise the metres of beats of unequal length.

    Parameters
    ----------
    labels : sequence of Beats
        Of one or more recordings; of each, and of all together.

    Returns
    -------
    tuple of str
        Such as "2+2+2+3", the commonest first; empty where all beats are of equal length.
    """
    found: Counter[str] = Counter()
    for some in ([one] for one in labels) if len(labels) == 1 else (*([one] for one in labels), labels):
        for bars in _proportions(some).values():
            found.update(_recognised(bars))
    return tuple(metre for metre, _ in found.most_common())


def unfitted_metres(beats: Beats) -> dict[tuple[float, ...], list[int]]:
    """Return the lengths of beats that are unequal and fit no small whole numbers, and the downbeats of their bars.

    Returns
    -------
    dict
        Lengths relative to the shortest beat -> indices of the first beats of these bars.
    """
    starts = defaultdict(list)
    for first, n in _complete(beats):
        starts[n].append(first)
    return {
        tuple((typical / typical.min()).tolist()): starts[n]
        for n, bars in _proportions([beats]).items()
        if (typical := _typical(bars)) is not None and _fitted(typical) is None
    }


def labelled_bars(beats: Beats, unequal: Iterable[str] = ()) -> list[LabelledBar]:
    """Return the complete bars of some beats, each with its metre: the number of its beats, or the nearest unequal one.

    Parameters
    ----------
    beats : Beats
    unequal : iterable of str
        Metres of beats of unequal length that bars may have.
    """
    by_beats: dict[int, list[str]] = defaultdict(list)
    for metre in unequal:
        by_beats[beats_in(metre)].append(metre)
    bars = []
    for first, n in _complete(beats):
        metres: list[Metre] = [n, *by_beats.get(n, ())]
        if len(metres) > 1:
            lengths = np.log(_share(beats.intervals_s[first : first + n]))
            off = [float(((lengths - np.log(_share(relative_lengths(metre)))) ** 2).sum()) for metre in metres]
            metres = [metres[int(np.argmin(off))]]
        bars.append(LabelledBar(first, metres[0]))
    return bars


def even_intervals(beats: Beats, unequal: Iterable[str] = ()) -> Floats:
    """Return the intervals between beats as if all were of the usual length of their bar, in seconds.

    A beat of no complete bar has the length of its position in the nearest one.

    Parameters
    ----------
    beats : Beats
    unequal : iterable of str
        As for `labelled_bars`; without any, the intervals are as they are.

    Returns
    -------
    float64 [shape=(n - 1,)]
    """
    unequal = tuple(unequal)
    bars = labelled_bars(beats, unequal) if unequal else []
    if not any(isinstance(bar.metre, str) for bar in bars):
        return beats.intervals_s
    factors = np.zeros(len(beats))
    for bar in bars:
        factors[bar.first : bar.first + beats_in(bar.metre)] = relative_lengths(bar.metre)
    firsts = np.array([bar.first for bar in bars])
    position = 0
    for i in range(len(beats)):
        position = int(beats.positions[i]) or (position + 1 if position else 0)
        if not factors[i]:
            lengths = relative_lengths(bars[int(np.abs(firsts - i).argmin())].metre)
            factors[i] = lengths[position - 1] if 0 < position <= len(lengths) else 1.0
    intervals: Floats = beats.intervals_s / factors[:-1]
    return intervals


def _complete(beats: Beats) -> list[tuple[int, int]]:
    """Return the index of the downbeat of each complete bar, and the number of its beats."""
    ones = np.flatnonzero(beats.positions == 1)
    bars = []
    for first, following in pairwise(ones.tolist()):
        inner = beats.positions[first + 1 : following]
        if not inner.any() or np.array_equal(inner, np.arange(2, following - first + 1)):
            bars.append((first, following - first))
    return bars


def _proportions(labels: Iterable[Beats]) -> Mapping[int, Floats]:
    """Return the intervals of complete bars without gaps, over their mean (bars, beats), by the number of beats."""
    found: dict[int, list[Floats]] = defaultdict(list)
    for beats in labels:
        gaps = is_gap(beats.intervals_s)
        for first, n in _complete(beats):
            if n > 1 and not gaps[first : first + n].any():
                intervals = beats.intervals_s[first : first + n]
                found[n].append(intervals / intervals.mean())
    return {n: np.array(bars) for n, bars in found.items() if len(bars) >= BARS}


def _recognised(bars: Floats) -> dict[str, int]:
    """Recognise the metres of bars of the same number of beats (bars, beats), and count their bars."""
    typical = _typical(bars)
    if typical is not None:
        metre = _fitted(typical)
        return {} if metre is None else {metre: len(bars)}
    if bars.shape[1] > MOST_MIXED or (bars.max(axis=1) / bars.min(axis=1) > 0.9 * UNEQUAL).mean() <= SHARE:
        return {}
    units = np.array(list(product((2, 3), repeat=bars.shape[1])), np.float64)
    off = np.abs(np.log(_share(bars))[:, None] - np.log(_share(units))).max(axis=2)
    nearest = off.argmin(axis=1)
    nearest[off.min(axis=1) >= MIXED_TOLERANCE] = -1
    kept = dict[str, int]()
    for index in np.unique(nearest[nearest >= 0]):
        mine = bars[nearest == index]
        typical = _typical(mine)
        if len(mine) >= max(BARS, len(bars) / 10) and typical is not None and _fitted(typical) == _metre(units[index]):
            kept[str(_metre(units[index]))] = len(mine)
    return kept if sum(kept.values()) > SHARE * len(bars) else {}


def _typical(bars: Floats) -> Floats | None:
    """Return the median of bars (bars, beats) where their beats are of unequal length, and most bars agree on it."""
    typical: Floats = np.median(bars, axis=0)
    longest, shortest = int(typical.argmax()), int(typical.argmin())
    agree = bars[:, longest] / bars[:, shortest] > 0.9 * UNEQUAL
    is_unequal = typical[longest] / typical[shortest] > UNEQUAL and agree.mean() > SHARE
    return typical if is_unequal else None


def _fitted(lengths: Floats) -> str | None:
    """Return the metre of the smallest whole numbers near some lengths; None if there are none."""
    share = _share(lengths)
    for total in range(len(lengths) + 1, LARGEST_UNIT * len(lengths)):
        units = np.round(share * total)
        fits = units.min() > 0 and units.max() <= min(LARGEST_UNIT, LARGEST_RATIO * units.min())
        if fits and np.abs(np.log(share / _share(units))).max() < TOLERANCE:
            metre = _metre(units)
            return metre if isinstance(metre, str) else None
    return None


def _metre(units: Floats) -> Metre:
    return metre_of("+".join(str(int(unit)) for unit in units))


def _share(lengths: Floats) -> Floats:
    """Return lengths over their sum, along the last axis."""
    share: Floats = lengths / lengths.sum(axis=-1, keepdims=True)
    return share
