"""Bars of labels: the beat and the bar of each interval between two labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder.priors import are_steady
from levada.beat_tracking.decoder.settings import LONGEST_BAR
from levada.data.unequal_beats import even_intervals, labelled_bars
from levada.io.beats import Beats
from levada.io.metres import Metre, beats_in, relative_lengths

__all__ = ["Bar", "cells_of", "count_metres", "cut_bars"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bar:
    """Consecutive labelled beats of one bar.

    Parameters
    ----------
    metre : int or str
        Of the bar; 0 if unknown.
    first : int
        Position of its first labelled beat in the bar, counted from 0.
    times_s : float64 [shape=(labelled beats + 1,)]
        The start of each, and the end of the last.
    """

    metre: Metre
    first: int
    times_s: Floats


def cells_of(metre: Metre, cells: int) -> Ints:
    """Return the number of cells of each beat: the given one for the usual beat, and in proportion to its length."""
    return np.maximum(1, np.rint(cells * relative_lengths(metre))).astype(np.int64)


def count_metres(labels: Sequence[Beats], unequal: Sequence[str] = ()) -> dict[Metre, int]:
    """Count the complete bars by their beats per bar, without those so rare that they are mistakes.

    Where no bar is complete the highest position is taken for the number of beats; without positions there are none.
    """
    counts: Counter[Metre] = Counter()
    for beats in labels:
        counts.update({metre: bars for metre, bars in beats.metres.items() if metre <= LONGEST_BAR})
        for bar in labelled_bars(beats, unequal):
            if isinstance(bar.metre, str):
                counts.update({bar.metre: 1, beats_in(bar.metre): -1})
    total = counts.total()
    in_order = sorted(counts, key=lambda metre: (beats_in(metre), str(metre)))
    kept = {metre: counts[metre] for metre in in_order if counts[metre] >= max(1, total / 20)}
    highest = max((int(beats.positions.max(initial=0)) for beats in labels), default=0)
    if not kept and 1 < highest <= LONGEST_BAR:
        return {highest: 1}
    return kept


def cut_bars(beats: Beats, metres: Sequence[Metre]) -> list[Bar]:
    """Cut labels at their downbeats.

    A bar that is not whole has the metre of the nearest one that is, or else the first of `metres` it fits into. Beats
    without a place in any known bar are bars of their own with 0 beats. Uneven beats are left out.
    """
    times, positions = beats.times_s, _numbered(beats.positions)
    unequal = [metre for metre in metres if isinstance(metre, str)]
    whole = _whole_bars(Beats(times, positions), metres, unequal)
    known = np.flatnonzero(whole)

    def near(start: int) -> Metre:
        return metres[whole[known[np.abs(known - start).argmin()]] - 1] if len(known) else 0

    even = are_steady(even_intervals(beats, unequal))
    bars: list[Bar] = []
    start = 0
    for i in range(len(times) - 1):
        ends = i + 2 == len(times) or not _follows(int(positions[i]), int(positions[i + 1]))
        if not even[i]:
            bars += _bar(times[start : i + 1], positions[start:i], metres, near(start))
            start = i + 1
        elif ends:
            bars += _bar(times[start : i + 2], positions[start : i + 1], metres, near(start))
            start = i + 1
    return bars


def _bar(times_s: Floats, positions: Ints, metres: Sequence[Metre], near: Metre) -> list[Bar]:
    """Return consecutive beats, and the end of the last, as a bar like the nearest one; none if there are none."""
    if not len(positions):
        return []
    if positions[0]:
        for metre in (near, *metres):
            if beats_in(metre) >= positions[-1]:
                return [Bar(metre, int(positions[0]) - 1, times_s)]
    return [Bar(0, 0, times_s[i : i + 2]) for i in range(len(positions))]


def _numbered(positions: Ints) -> Ints:
    """Number the beats from one downbeat to the next where no position is known."""
    numbered = positions.copy()
    ones = np.flatnonzero(positions == 1)
    for first, following in pairwise(ones.tolist()):
        if not positions[first + 1 : following].any():
            numbered[first:following] = np.arange(1, following - first + 1)
    return numbered


def _whole_bars(beats: Beats, metres: Sequence[Metre], unequal: Sequence[str]) -> Ints:
    """Return the metre of the whole bar that each beat is in, counted from 1 among some, 0 where it is in none."""
    whole = np.zeros(len(beats), np.int64)
    for bar in labelled_bars(beats, unequal):
        if bar.metre in metres:
            whole[bar.first : bar.first + beats_in(bar.metre)] = 1 + metres.index(bar.metre)
    return whole


def _follows(position: int, following: int) -> bool:
    """Whether a beat is in the same bar as the one before."""
    return position > 0 and following == position + 1
