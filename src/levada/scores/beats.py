"""Scores of beats against a reference, and what kind of wrong they are.

The scores are mir_eval's (Raffel et al., ISMIR 2014); the kinds of error are read from where the estimated
beats fall between the reference ones, which is why a tracker that sits a sixteenth late is told from one
that is lost.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from levada.beats import Beats
from levada.errors import InputError

__all__ = ["SCORES", "ErrorKind", "beat_scores", "kind_of_error"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

SCORES = (
    "beat_f",
    "beat_cmlt",
    "beat_amlt",
    "downbeat_f",
    "downbeat_cmlt",
    "downbeat_amlt",
    "tempo_error_percent",
)
"""The scores of one recording, in the order in which tables show them."""

SHORTEST_TRIMMED_S = 15.0  # clips below this length, in seconds, are scored from their start
HIT_S = 0.07  # mir_eval's window for a hit, in seconds
SAME = 0.175  # how far, relative to a beat, two intervals may differ and count as equal: that of CMLt
MOSTLY = 0.8  # F-measure from which beats, or downbeats, count as right
STEADY = 0.6  # share of the estimated intervals that must agree for their tempo to be spoken of
CONSTANT = 0.75  # length of the mean phase vector from which a shift counts as one and the same throughout
LEVELS = {2.0: "double tempo", 3.0: "triple tempo", 1 / 2: "half tempo", 1 / 3: "third tempo"}


def beat_scores(
    reference: Beats, estimate: Beats, *, trim_s: float = 5.0, duration_s: float | None = None
) -> dict[str, float]:
    """Agreement of estimated beats and downbeats with the reference ones.

    Beats of either side before `trim_s` are not looked at, as in ``mir_eval.beat.evaluate``; clips under 15
    s are scored whole. For bars of two beats `downbeat_amlt` is nearly free, for the off-beat variant of
    their downbeats is the other beat of every bar: look at `downbeat_f` and `downbeat_cmlt` there.

    Parameters
    ----------
    reference : Beats
        The beats that are right.
    estimate : Beats
        The beats to score.
    trim_s : float
        Time from the start of the recording that is not scored, in seconds.
    duration_s : float, optional
        Length of the recording, in seconds. Taken to be the last reference beat if not given.

    Returns
    -------
    dict of str to float
        `beat_f` (F-measure, hits within 70 ms), `beat_cmlt` and `beat_amlt` (share in beats that go on, at
        the right metrical level and at any), the same for downbeats, all from 0 to 1;
        `tempo_error_percent`, the difference of the median tempi relative to the reference, 100 without an
        estimated tempo; `trim_s`, the trim that was used. Downbeat scores are NaN without a downbeat in the
        reference, the tempo error is NaN with fewer than two beats there. Fewer than two beats on a side
        score 0 in CMLt and AMLt, none 0 in F.

    References
    ----------
    Davies, Degara and Plumbley, "Evaluation Methods for Musical Audio Beat Tracking Algorithms", 2009.
    """
    if len(reference) and duration_s is None:
        duration_s = float(reference.times_s[-1])
    trim = trim_s if duration_s is not None and duration_s >= SHORTEST_TRIMMED_S else 0.0
    reference, estimate = reference.between(trim, math.inf), estimate.between(trim, math.inf)
    beats = _event_scores(reference.times_s, estimate.times_s)
    bars = _event_scores(reference.downbeats_s, estimate.downbeats_s)
    if not len(reference.downbeats_s):
        bars = (math.nan, math.nan, math.nan)
    values = (*beats, *bars, _tempo_error_percent(reference, estimate))
    return dict(zip(SCORES, values, strict=True)) | {"trim_s": trim}


def _event_scores(reference: Floats, estimate: Floats) -> tuple[float, float, float]:
    """F-measure, CMLt and AMLt of event times in seconds."""
    if not len(reference) or not len(estimate):
        return 0.0, 0.0, 0.0
    from mir_eval.beat import continuity, f_measure

    f = float(f_measure(reference, estimate, f_measure_threshold=HIT_S))
    if len(reference) < 2 or len(estimate) < 2:
        return f, 0.0, 0.0
    _, cmlt, _, amlt = continuity(reference, estimate)
    return f, float(cmlt), float(amlt)


def _tempo_error_percent(reference: Beats, estimate: Beats) -> float:
    if len(reference) < 2:
        return math.nan
    if len(estimate) < 2:
        return 100.0
    return abs(estimate.tempo_bpm / reference.tempo_bpm - 1) * 100


@dataclass(frozen=True)
class ErrorKind:
    """What kind of wrong an estimate is."""

    kind: str  # right, phase shift, double/half/triple/third/other tempo, wrong metre, wrong one, no downbeats,
    # drifting, no beats, partly right or other
    detail: str  # the same for people, with its size
    shift_beats: float | None = None  # how late the beats are, in reference beats, between -0.5 and 0.5
    shift_tatums: int | None = None  # the same to the nearest tatum
    shift_ms: float | None = None  # the same in milliseconds at the median reference tempo
    tempo_ratio: float | None = None  # estimated tempo relative to the reference
    bar_shift_beats: int | None = None  # how many beats late the estimated downbeats are
    metres: tuple[int, int] | None = None  # beats per bar, commonest in the reference and in the estimate

    def __str__(self) -> str:
        return self.detail


def kind_of_error(reference: Beats, estimate: Beats, *, tatums: int = 4) -> ErrorKind:
    """Tell in what way an estimate is wrong.

    Every estimated beat gets its place between the reference beats around it. The intervals of these places
    tell the metrical level; the mean direction of the places, as angles, tells a constant shift where they
    agree, and their walk over windows of four beats tells a drift where they do not.

    Parameters
    ----------
    reference : Beats
        The beats that are right; only the stretch they cover is looked at.
    estimate : Beats
        The beats to judge.
    tatums : int
        Tatums in a beat: 4 for sixteenths, 3 for triplets.

    Returns
    -------
    ErrorKind
        ``right`` where the beats have an F-measure of .8 or more and, if both sides name downbeats, the
        downbeats as well; ``partly right`` where no other name fits and half of the beats, or of the bars,
        are right.

    Raises
    ------
    InputError
        If `tatums` is below 1.
    """
    if tatums < 1:
        raise InputError(f"a beat has at least one tatum, not {tatums}")
    if len(reference) < 2:
        return ErrorKind("other", "fewer than two reference beats: nothing can be told")
    heard, places = _places(reference, estimate)
    if len(heard) < 2:
        return ErrorKind("no beats", "no beats where the reference has some")
    f, _, _ = _event_scores(reference.times_s, heard.times_s)
    steps = np.diff(places)
    ratio = float(1 / np.median(steps))
    if np.mean(np.abs(steps * ratio - 1) < SAME) < STEADY:
        return _unnamed(f)
    if abs(ratio - 1) < SAME:
        return _in_tempo(reference, heard, places, f, tatums)
    kinds = [kind for level, kind in LEVELS.items() if abs(ratio / level - 1) < SAME]
    kind = kinds[0] if kinds else "other tempo"
    return ErrorKind(kind, f"{kind}: {ratio:.2f} times the reference", tempo_ratio=ratio)


def _places(reference: Beats, estimate: Beats) -> tuple[Beats, Floats]:
    """Estimated beats up to half a beat outside the reference; their times in reference beats from 0."""
    times = reference.times_s
    around = np.concatenate([[2 * times[0] - times[1]], times, [2 * times[-1] - times[-2]]])
    first, last = (around[0] + around[1]) / 2, (around[-1] + around[-2]) / 2
    heard = estimate.between(first, last)
    return heard, np.interp(heard.times_s, around, np.arange(-1.0, len(times) + 1))


def _in_tempo(reference: Beats, heard: Beats, places: Floats, f: float, tatums: int) -> ErrorKind:
    """Tell the kind of error of an estimate that has the tempo of the reference."""
    vector = np.mean(np.exp(2j * np.pi * places))
    if abs(vector) < CONSTANT:
        return _wandering(places, f)
    shift = float(np.angle(vector) / (2 * np.pi))
    if abs(shift) < SAME and f >= MOSTLY:
        return _bars(reference, heard, np.rint(places).astype(np.int64))
    shift_tatums = round(shift * tatums)
    shift_ms = shift * float(np.median(reference.intervals_s)) * 1000
    if shift_tatums or abs(shift_ms) > HIT_S * 1000:
        near = f"{abs(shift):.2f} beats" if not shift_tatums else _counted(abs(shift_tatums), "tatum")
        detail = f"beats {near} {'late' if shift > 0 else 'early'} ({shift_ms:+.0f} ms)"
        return ErrorKind("phase shift", detail, shift, shift_tatums, shift_ms)
    return _unnamed(f)


def _wandering(places: Floats, f: float) -> ErrorKind:
    """Tell a drift from jumps, where the tempo is right and the phase is not one and the same."""
    width = 4
    if len(places) < 3 * width or f >= 0.5:
        return _unnamed(f)
    turns = np.exp(2j * np.pi * places)
    means = np.convolve(turns, np.full(width, 1 / width), mode="valid")
    walk = np.unwrap(np.angle(means)) / (2 * np.pi)
    moved = float(np.ptp(walk))
    fastest = float(np.max(np.abs(walk[width:] - walk[:-width])))
    if fastest > 0.6 * moved:  # a jump makes its whole way within one window
        return _unnamed(f)
    return ErrorKind("drifting", f"beats drift by {moved:.1f} beats against the reference")


def _bars(reference: Beats, heard: Beats, index: Ints) -> ErrorKind:
    """Judge the bars of an estimate whose beats are right; `index`: the reference beat nearest to each."""
    ones = np.flatnonzero(reference.positions == 1)
    if not len(ones):
        return ErrorKind("right", "beats right (no downbeats in the reference)")
    heard_ones = np.unique(index[heard.positions == 1])
    if not len(heard_ones):
        return ErrorKind("no downbeats", "beats right, no downbeats given")
    f = 2 * len(np.intersect1d(ones, heard_ones)) / (len(ones) + len(heard_ones))
    if f >= MOSTLY:
        return ErrorKind("right", "beats and downbeats right")
    metre, heard_metre = _metre(ones, reference.positions), _metre(heard_ones, heard.positions)
    if metre != heard_metre:
        detail = f"beats right, bars of {heard_metre} where the reference has {metre}"
        return ErrorKind("wrong metre", detail, metres=(metre, heard_metre))
    known = (index >= 0) & (index < len(reference)) & (heard.positions > 0)
    there, here = reference.positions[index[known]], heard.positions[known]
    offsets = (there - here)[there > 0] % metre
    counts = np.bincount(offsets, minlength=1)
    late = int(np.argmax(counts))
    if late and counts[late] >= STEADY * counts.sum():
        late = late if late <= metre / 2 else late - metre
        detail = f"beats right, the one {_counted(abs(late), 'beat')} {'late' if late > 0 else 'early'}"
        return ErrorKind("wrong one", detail, bar_shift_beats=late, metres=(metre, metre))
    detail = f"beats right, downbeats only in part (F {f:.2f})"
    return ErrorKind("partly right", detail, metres=(metre, metre))


def _metre(ones: Ints, positions: Ints) -> int:
    """Commonest distance of downbeats, in reference beats; the largest position if there is one only."""
    return int(np.argmax(np.bincount(np.diff(ones)))) if len(ones) > 1 else int(positions.max())


def _unnamed(f: float) -> ErrorKind:
    if f >= 0.5:
        return ErrorKind("partly right", f"beats right in part (F {f:.2f})")
    return ErrorKind("other", f"beats wrong in no one way (F {f:.2f})")


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
