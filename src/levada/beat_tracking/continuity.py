"""Continuity metrics: CMLc, CMLt, AMLc and AMLt, and CMLt with the right position in the bar.

The criteria are those of Hainsworth (2004) and of Davies, Degara and Plumbley (2009) as in ``mir_eval.beat``,
with which the results agree. They are computed here because mir_eval returns a fraction, but not the beats it counted,
without which neither pieces of a recording nor positions in the bar can be scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from levada.io.beats import Beats, nearest

__all__ = ["continuity", "position_cmlt", "with_counted_positions"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

TOLERANCE = 0.175  # how far, relative to an interval of the reference, a beat and an interval may be off


def continuity(pieces: Sequence[tuple[Floats, Floats]]) -> tuple[float, float, float, float]:
    """Return CMLc, CMLt, AMLc and AMLt of events in one or more pieces of a recording.

    Each piece is scored by itself, so that a gap between pieces is never an interval; successes and events are summed
    over the pieces, and the longest continuous run is inside one. The metrical level of AMLc, and that of AMLt, is one
    for all pieces: the best.

    Parameters
    ----------
    pieces : sequence of (ndarray, ndarray)
        Times of reference and estimated events of each piece, in seconds. Pieces with fewer than two events in the
        reference have no interval, and are left out.

    Returns
    -------
    cmlc, cmlt, amlc, amlt : float
        NaN where no piece is left.
    """
    usable = [(reference, estimate) for reference, estimate in pieces if len(reference) > 1]
    if not usable:
        return (float("nan"),) * 4
    longest, successes, events = np.zeros(5), np.zeros(5), np.zeros(5)
    for reference, estimate in usable:
        for level, variation in enumerate(_levels(reference)):
            correct = _correct(variation, estimate)[0]
            longest[level] = max(longest[level], _longest_run(correct))
            successes[level] += correct.sum()
            events[level] += max(len(variation), len(estimate))
    continuous, total = (counts / np.maximum(events, 1) for counts in (longest, successes))
    return float(continuous[0]), float(total[0]), float(continuous.max()), float(total.max())


def position_cmlt(pieces: Sequence[tuple[Beats, Beats]]) -> float:
    """Return the total continuity of beats whose position in the bar is right too.

    Counted is an estimated beat that CMLt counts and that has the position of the reference beat it falls on; the share
    is of as many beats as CMLt's. It equals CMLt where all positions are right. A reference beat whose position is not
    known, not even by counting between downbeats, is judged as in CMLt.

    Why not CMLt of the downbeats: its tolerance is 17.5 % of a *bar*, .7 of a beat, so that it accepts downbeats that
    are on no beat at all.

    Parameters
    ----------
    pieces : sequence of (Beats, Beats)
        Reference and estimate of each piece. Pieces with fewer than two beats in the reference are left out.

    Returns
    -------
    float
        NaN where no piece is left, or no reference beat has a position.
    """
    usable = [(with_counted_positions(reference), estimate) for reference, estimate in pieces if len(reference) > 1]
    if not any(reference.positions.any() for reference, _ in usable):
        return float("nan")
    successes = events = 0
    for reference, estimate in usable:
        correct, nearest = _correct(reference.times_s, estimate.times_s)
        there = reference.positions[nearest]
        successes += int((correct & ((there == 0) | (there == estimate.positions))).sum())
        events += max(len(reference), len(estimate))
    return successes / events


def with_counted_positions(beats: Beats) -> Beats:
    """Return the beats with positions also where they are unknown between two downbeats, by counting.

    Parameters
    ----------
    beats : Beats

    Returns
    -------
    Beats
        Those that are known are unchanged.
    """
    positions = beats.positions.copy()
    downbeats = np.flatnonzero(positions == 1)
    for first, last in pairwise(downbeats.tolist()):
        counted = np.arange(1, last - first + 1)
        bar = positions[first:last]
        if ((bar == 0) | (bar == counted)).all():
            positions[first:last] = counted
    return beats.with_positions(positions)


def _levels(reference: Floats) -> Iterator[Floats]:
    """Yield the reference, its off-beats, its double tempo, and its half tempo from the first and the second event."""
    double = np.interp(np.arange(0, len(reference) - 0.5, 0.5), np.arange(len(reference)), reference)
    yield from (reference, double[1::2], double, reference[::2], reference[1::2])


def _longest_run(correct: Bools) -> int:
    """Largest number of correct events in a row."""
    wrong = np.flatnonzero(~np.concatenate([[False], correct, [False]]))
    return int(np.diff(wrong).max()) - 1


def _correct(reference: Floats, estimate: Floats) -> tuple[Bools, Ints]:
    """Return which estimated events are continuous with the reference, and the index of the nearest reference event.

    An event is correct if it is near enough to a reference event, if the interval before it (after it, at either
    beginning) is long enough, and if no earlier one was correct there.
    """
    correct = np.zeros(len(estimate), np.bool_)
    if len(reference) < 2 or len(estimate) < 2:
        return correct, np.zeros(len(estimate), np.int64)
    at = nearest(estimate, reference)
    off = np.abs(estimate - reference[at])
    mine, theirs = np.diff(estimate), np.diff(reference)
    index = np.arange(len(estimate))
    beginning = (index == 0) | (at == 0)
    # At a beginning the interval after the event counts, or the one before where there is none after.
    of_mine = np.where(beginning, np.minimum(index, len(mine) - 1), index - 1)
    of_theirs = np.where(beginning, np.minimum(at, len(theirs) - 1), at - 1)
    interval = theirs[of_theirs]
    near = np.abs(off / interval) < TOLERANCE
    candidates = near & (np.abs(1 - mine[of_mine] / interval) < TOLERANCE)
    used = set[int]()
    for event in np.flatnonzero(candidates):
        if int(at[event]) not in used:
            used.add(int(at[event]))
            correct[event] = True
    return correct, at
