"""Metrics of event times that are about distances: Cemgil's accuracy, information gain, P-score, tempo accuracy.

The first three are those of ``mir_eval.beat`` (Raffel et al., ISMIR 2014), with which the results agree. They are
computed here because mir_eval returns a fraction, and pieces of a recording need what it is a fraction of.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from levada.io.beats import distances, nearest

__all__ = ["cemgil", "information_gain", "p_score", "tempo_accuracies"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Pieces = Sequence[tuple[Floats, Floats]]

SIGMA_S = 0.04  # standard deviation of Cemgil's Gaussian, in seconds
BINS = 41  # of the histogram of errors, of which information gain is the distance to a uniform one
GRID_HZ, WINDOW = 100, 0.2  # grid of the P-score, and its window relative to the median reference interval
TEMPO_TOLERANCE, OCTAVES = 0.04, (1.0, 2.0, 1 / 2, 3.0, 1 / 3)  # tempo accuracy 1 is that of the first factor


def cemgil(pieces: Pieces) -> float:
    """Return Cemgil's accuracy: the nearness of an estimated event to each reference event, as a Gaussian of 40 ms.

    Parameters
    ----------
    pieces : sequence of (ndarray, ndarray)
        Times of reference and estimated events of each piece of a recording, in seconds.

    Returns
    -------
    float
        From 0 to 1; NaN without events in the reference.

    References
    ----------
    Cemgil, Kappen, Desain and Honing, "On tempo tracking: tempogram representation and Kalman filtering", Journal of
    New Music Research 28, 2001.
    """
    if not any(len(reference) for reference, _ in pieces):
        return math.nan
    near = 0.0
    for reference, estimate in pieces:
        if len(estimate):
            off = distances(reference, estimate)
            near += float(np.exp(-(off**2) / (2 * SIGMA_S**2)).sum())
    return near / (0.5 * sum(len(reference) + len(estimate) for reference, estimate in pieces))


def information_gain(pieces: Pieces) -> float:
    """Return the information gain: how far the histogram of relative errors is from a uniform one.

    A constant error of any size has one bin and a gain of 1; estimates without a relation to the reference have nearly
    0. The worse of both directions counts: errors of the estimate to the reference, and of the reference to the
    estimate.

    Parameters
    ----------
    pieces : sequence of (ndarray, ndarray)
        Times of reference and estimated events of each piece, in seconds. Pieces with fewer than two events in the
        reference have no interval, and are left out; so are those with fewer than two in the estimate.

    Returns
    -------
    float
        Relative to that of ``log2(41)`` bit, from 0 to 1; NaN without two reference events in one piece.

    References
    ----------
    Davies, Degara and Plumbley, "Measuring the performance of beat tracking algorithms using a beat error histogram",
    IEEE Signal Processing Letters 18, 2011.
    """
    if not any(len(reference) > 1 for reference, _ in pieces):
        return math.nan
    usable = [(reference, estimate) for reference, estimate in pieces if len(reference) > 1 and len(estimate) > 1]
    if not usable:
        return 0.0
    forward = _entropy([_relative_errors(reference, estimate) for reference, estimate in usable])
    backward = _entropy([_relative_errors(estimate, reference) for reference, estimate in usable])
    return 1 - max(forward, backward) / math.log2(BINS)


def p_score(pieces: Pieces) -> float:
    """Return McKinney's P-score: the share of events within a fifth of the median reference interval of each other.

    Parameters
    ----------
    pieces : sequence of (ndarray, ndarray)
        Times of reference and estimated events of each piece, in seconds. Pieces with fewer than two events in the
        reference are left out.

    Returns
    -------
    float
        From 0; 1 where every event has its partner; NaN without two reference events in one piece.

    References
    ----------
    McKinney, Moelants, Davies and Klapuri, "Evaluation of audio beat tracking and music tempo extraction algorithms",
    Journal of New Music Research 36, 2007.
    """
    usable = [(reference, estimate) for reference, estimate in pieces if len(reference) > 1]
    if not usable:
        return math.nan
    pairs = sum(_pairs(reference, estimate) for reference, estimate in usable if len(estimate) > 1)
    return pairs / sum(max(len(reference), len(estimate)) for reference, estimate in usable)


def tempo_accuracies(pieces: Pieces) -> tuple[float, float]:
    """Return tempo accuracy 1 and 2: whether the tempo is within 4 %, and whether it is but for an octave error.

    The tempo of events is that of their median interval, over all pieces. Accuracy 2 accepts twice, half, three times
    and a third of the reference tempo as well.

    Parameters
    ----------
    pieces : sequence of (ndarray, ndarray)
        Times of reference and estimated events of each piece, in seconds.

    Returns
    -------
    accuracy_1, accuracy_2 : float
        1 or 0; NaN without two reference events in one piece, 0 without two estimated ones.

    References
    ----------
    Gouyon, Klapuri, Dixon, Alonso, Tzanetakis, Uhle and Cano, "An experimental comparison of audio tempo induction
    algorithms", IEEE Transactions on Audio, Speech and Language Processing 14, 2006.
    """
    theirs, mine = (np.concatenate([np.diff(piece[side]) for piece in pieces] or [np.zeros(0)]) for side in (0, 1))
    if not len(theirs):
        return math.nan, math.nan
    if not len(mine):
        return 0.0, 0.0
    ratio = np.median(theirs) / np.median(mine)
    right = [abs(ratio / factor - 1) <= TEMPO_TOLERANCE for factor in OCTAVES]
    return float(right[0]), float(any(right))


def _relative_errors(reference: Floats, estimate: Floats) -> Floats:
    """Errors of estimated events relative to the reference interval on their side, between -0.5 and 0.5.

    As in mir_eval an event before the first reference event is measured by the length of the reference (its index of
    the event before is -1), and one after the last by the last interval.
    """
    at = nearest(estimate, reference)
    off = estimate - reference[at]
    last = len(reference) - 1
    before = reference[at] - reference[at - 1]
    after = reference[np.minimum(at + 1, last)] - reference[at]
    interval = np.where((off < 0) | (at == last), before, after)
    error: Floats = np.mod(0.5 * off / (0.5 * interval) + 0.5, -1) + 0.5
    return error


def _entropy(errors: Sequence[Floats]) -> float:
    """Entropy of the histogram of errors, in bit."""
    counts = np.histogram(np.concatenate(errors), np.linspace(-0.5, 0.5, BINS + 1))[0]
    shares = counts[counts > 0] / counts.sum()
    return float(-np.sum(shares * np.log2(shares)))


def _pairs(reference: Floats, estimate: Floats) -> int:
    """Number of pairs of events on a grid of 10 ms that are within the window."""
    offset = min(reference[0], estimate[0])
    theirs, mine = (np.unique(np.ceil((times - offset) * GRID_HZ)) for times in (reference, estimate))
    if len(theirs) < 2:
        return 0
    window = np.round(WINDOW * np.median(np.diff(theirs)))
    return int((np.searchsorted(mine, theirs + window, "right") - np.searchsorted(mine, theirs - window, "left")).sum())
