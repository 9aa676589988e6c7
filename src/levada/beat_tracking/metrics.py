"""Metrics of beats against a reference, and the type of error.

The scores are mir_eval's (Raffel et al., ISMIR 2014). Types of error follow from the phase of the estimated beats
between the reference beats, which distinguishes a constant shift of a sixteenth from beats without any relation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.continuity import continuity, position_cmlt
from levada.beat_tracking.event_metrics import cemgil, information_gain, p_score, tempo_accuracies
from levada.errors import InputError
from levada.io.beats import Beats

__all__ = [
    *("ALL_SCORES", "DOWNBEAT_SCORES", "SCORES", "SCORE_NAMES", "SCORE_TEXTS", "ErrorType"),
    *("beat_scores", "default_trim_s", "error_type", "score_bounds"),
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
_Piece = tuple[Beats, Beats]

SCORES = (
    "beat_f",
    "beat_cmlt",
    "beat_amlt",
    "downbeat_f",
    "downbeat_cmlt",
    "downbeat_amlt",
    "position_cmlt",
    "tempo_error_percent",
)
"""The scores of one recording that tables show, in their order."""

_OF_EVENTS = ("f", "cmlc", "cmlt", "amlc", "amlt", "cemgil", "information_gain", "p_score")  # of beats and of downbeats
_MORE = ("cmlc", "amlc", "cemgil", "information_gain", "p_score")
ALL_SCORES = (
    *SCORES,
    *(f"beat_{name}" for name in _MORE),
    *("tempo_accuracy_1", "tempo_accuracy_2"),
    *(f"downbeat_{name}" for name in _MORE),
)
"""All scores of one recording, those of `SCORES` first."""

DOWNBEAT_SCORES = tuple(name for name in ALL_SCORES if name.startswith(("downbeat_", "position_")))
"""Those that a model without downbeats does not have."""

SCORE_NAMES: Mapping[str, str] = {
    "beat_f": "beat F",
    "beat_cmlt": "beat CMLt",
    "beat_amlt": "beat AMLt",
    "downbeat_f": "downbeat F",
    "downbeat_cmlt": "downbeat CMLt",
    "downbeat_amlt": "downbeat AMLt",
    "position_cmlt": "CMLt with positions",
    "tempo_error_percent": "tempo error, %",
    "beat_cmlc": "beat CMLc",
    "beat_amlc": "beat AMLc",
    "beat_cemgil": "beat Cemgil",
    "beat_information_gain": "beat information gain",
    "beat_p_score": "beat P-score",
    "tempo_accuracy_1": "tempo accuracy 1",
    "tempo_accuracy_2": "tempo accuracy 2",
    "downbeat_cmlc": "downbeat CMLc",
    "downbeat_amlc": "downbeat AMLc",
    "downbeat_cemgil": "downbeat Cemgil",
    "downbeat_information_gain": "downbeat information gain",
    "downbeat_p_score": "downbeat P-score",
}
"""Names of the scores in tables."""

SCORE_TEXTS: Mapping[str, str] = {
    "beat F": "Beats within 70 ms: no other beats, and none missing (F-measure).",
    "CMLt": "Share of the beats that go on evenly at the right metrical level, within 17.5 % of an interval.",
    "CMLc": "The same, but only the longest run without an error: one error in the middle costs half.",
    "AMLt, AMLc": "CMLt and CMLc at the best of five levels: right, off-beat, double, and half from either beat.",
    "Cemgil": "Nearness of the nearest beat, as a Gaussian of 40 ms: falls with every millisecond, where F does not.",
    "information gain": "How constant the relative errors are; a constant shift has 1, beats without relation 0.",
    "P-score": "Beats within a fifth of the median interval: the most lenient; at 120 bpm 100 ms.",
    "downbeat …": "The same scores of the downbeats alone, with intervals of a bar: only F and Cemgil are strict.",
    "CMLt with positions": "Beats that CMLt counts and that have the right position in the bar.",
    "tempo error, %": "Difference of the median tempi, relative to the reference.",
    "tempo accuracy 1": "Share of the recordings whose median tempo is within 4 %.",
    "tempo accuracy 2": "The same, where twice, half, three times and a third of the tempo are right too.",
}
"""What each score measures, in one line."""

TRIM_S, SHORTEST_TRIMMED_S = 5.0, 30.0  # what is not scored at the start of a recording of at least this length
HIT_S = 0.07  # mir_eval's window for a hit, in seconds
SAME = 0.175  # how far, relative to a beat, two intervals may differ and count as equal: that of CMLt
MOSTLY = 0.8  # F-measure from which beats, or downbeats, count as right
STEADY = 0.6  # fraction of the estimated intervals that must agree for a tempo ratio
CONSTANT = 0.75  # length of the mean phase vector from which a shift counts as one and the same throughout
LEVELS = {2.0: "double tempo", 3.0: "triple tempo", 1 / 2: "half tempo", 1 / 3: "third tempo"}


def beat_scores(
    reference: Beats,
    estimate: Beats,
    *,
    spans_s: Sequence[tuple[float, float]] | None = None,
    trim_s: float | None = None,
    duration_s: float | None = None,
) -> dict[str, float]:
    """Compute scores of estimated beats and downbeats against a reference.

    Beats before `trim_s` are ignored, as in ``mir_eval.beat.evaluate``. Where the reference
    covers the recording in pieces, each is scored by itself: hits, successes and events are summed over them, and no
    gap is an interval.

    Three scores are about the bar. `downbeat_f` counts downbeats within 70 ms. `downbeat_cmlt` and `downbeat_amlt` are
    CMLt and AMLt of the downbeats alone, as in papers; their tolerance of 17.5 % of a bar is .7 of a beat in bars of
    four, so that downbeats on no beat at all may score 1. `position_cmlt` is the share of the beats that go on as
    CMLt wants and have the right position in the bar. For bars of two beats `downbeat_amlt` is nearly free, for the
    off-beat variant of their downbeats is the other beat of every bar.

    Parameters
    ----------
    reference : Beats
        The beats that are right.
    estimate : Beats
        The beats to score.
    spans_s : sequence of (float, float), optional
        Pieces of the recording that are scored, from and to in seconds, half-open; all of it by default.
    trim_s : float, optional
        Time from the start of the recording that is not scored, in seconds; `default_trim_s` by default.
    duration_s : float, optional
        Length of the recording, in seconds. Taken to be the last reference beat if not given.

    Returns
    -------
    dict of str to float
        `ALL_SCORES`, described by `SCORE_TEXTS`. `beat_f` (F-measure, hits within 70 ms), `beat_cmlt`, `beat_cmlc`,
        `beat_amlt` and `beat_amlc` (share in beats that go on, at the right metrical level and at any), `beat_cemgil`,
        `beat_information_gain` and `beat_p_score`, the same for downbeats, `position_cmlt`, `tempo_accuracy_1` and
        `tempo_accuracy_2`, all from 0 to 1; `tempo_error_percent`, the difference of the median tempi relative to the
        reference, 100 without an estimated tempo; `trim_s`, the trim that was used. Scores that the reference does not
        define are NaN: F and Cemgil without an event in it, positions where it has none, all others without two events
        in one piece.

    References
    ----------
    Davies, Degara and Plumbley, "Evaluation Methods for Musical Audio Beat Tracking Algorithms", 2009.
    """
    if len(reference) and duration_s is None:
        duration_s = float(reference.times_s[-1])
    trim = default_trim_s(duration_s) if trim_s is None else trim_s
    pieces = _pieces(reference, estimate, spans_s, since_s=trim)
    scores = {"position_cmlt": position_cmlt(pieces), "tempo_error_percent": _tempo_error_percent(pieces)}
    beats = [(mine.times_s, theirs.times_s) for mine, theirs in pieces]
    downbeats = [(mine.downbeats_s, theirs.downbeats_s) for mine, theirs in pieces]
    for events, of_events in (("beat", beats), ("downbeat", downbeats)):
        cmlc, cmlt, amlc, amlt = continuity(of_events)
        values = (
            *(_f_measure(of_events), cmlc, cmlt, amlc, amlt),
            *(cemgil(of_events), information_gain(of_events), p_score(of_events)),
        )
        scores |= {f"{events}_{name}": value for name, value in zip(_OF_EVENTS, values, strict=True)}
    scores["tempo_accuracy_1"], scores["tempo_accuracy_2"] = tempo_accuracies(beats)
    return {name: scores[name] for name in ALL_SCORES} | {"trim_s": trim}


def default_trim_s(duration_s: float | None) -> float:
    """Return what is not scored at the start of a recording unless a number is given: 5 s, or 0 below 30 s.

    Parameters
    ----------
    duration_s : float or None
        Length of the recording, in seconds.

    Returns
    -------
    float
    """
    return TRIM_S if duration_s is not None and duration_s >= SHORTEST_TRIMMED_S else 0.0


def _pieces(
    reference: Beats, estimate: Beats, spans_s: Sequence[tuple[float, float]] | None, *, since_s: float = -math.inf
) -> list[_Piece]:
    """Reference and estimate in each span, from a time on."""
    spans = [(-math.inf, math.inf)] if spans_s is None else spans_s
    bounds = [(max(start_s, since_s), end_s) for start_s, end_s in spans]
    return [(reference.between(*bound), estimate.between(*bound)) for bound in bounds]


def _f_measure(pieces: Sequence[tuple[Floats, Floats]]) -> float:
    from mir_eval.util import match_events

    if not sum(len(reference) for reference, _ in pieces):
        return math.nan
    hits = sum(len(match_events(*piece, HIT_S)) for piece in pieces if len(piece[0]) and len(piece[1]))
    return 2 * hits / sum(len(reference) + len(estimate) for reference, estimate in pieces)


def _tempo_error_percent(pieces: Sequence[_Piece]) -> float:
    theirs, mine = (np.concatenate([piece[side].intervals_s for piece in pieces] or [np.zeros(0)]) for side in (0, 1))
    if not len(theirs):
        return math.nan
    if not len(mine):
        return 100.0
    return float(abs(np.median(theirs) / np.median(mine) - 1) * 100)


@dataclass(frozen=True)
class ErrorType:
    """The type of error of an estimate."""

    kind: str  # right, phase shift, double/half/triple/third/other tempo, wrong metre,
    # wrong downbeat phase, no downbeats, drifting, no beats, partly right or other
    detail: str  # the same as text, with its size
    shift_beats: float | None = None  # how late the beats are, in reference beats, between -0.5 and 0.5
    shift_tatums: int | None = None  # the same to the nearest tatum
    shift_ms: float | None = None  # the same in milliseconds at the median reference tempo
    tempo_ratio: float | None = None  # estimated tempo relative to the reference
    bar_shift_beats: int | None = None  # how many beats late the estimated downbeats are
    metres: tuple[int, int] | None = None  # beats per bar, commonest in the reference and in the estimate

    def __str__(self) -> str:
        return self.detail


def error_type(
    reference: Beats,
    estimate: Beats,
    *,
    spans_s: Sequence[tuple[float, float]] | None = None,
    tatums: int = 4,
) -> ErrorType:
    """Classify the error of an estimate.

    Every estimated beat gets its phase between the reference beats around it. The intervals of these phases give the
    metrical level; their circular mean gives a constant shift where they agree, and their circular mean over windows of
    four beats gives a drift where they do not.

    Parameters
    ----------
    reference : Beats
        The beats that are right; only the span that they cover counts.
    estimate : Beats
        The beats to judge.
    spans_s : sequence of (float, float), optional
        Pieces of the recording that count, as for `beat_scores`; all of it by default.
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
    cut = _pieces(reference, estimate, spans_s)
    pieces = [(piece[0], *_places(*piece)) for piece in cut if len(piece[0]) > 1]
    if not pieces:
        return ErrorType("other", "fewer than two reference beats")
    steps = np.concatenate([np.diff(places) for _, _, places in pieces])
    if not len(steps):
        return ErrorType("no beats", "no beats where the reference has some")
    f = _f_measure([(right.times_s, estimated.times_s) for right, estimated, _ in pieces])
    ratio = float(1 / np.median(steps))
    if np.mean(np.abs(steps * ratio - 1) < SAME) < STEADY:
        return _unnamed(f)
    if abs(ratio - 1) < SAME:
        return _in_tempo(pieces, f, tatums)
    kinds = [kind for level, kind in LEVELS.items() if abs(ratio / level - 1) < SAME]
    kind = kinds[0] if kinds else "other tempo"
    return ErrorType(kind, f"{kind}: {ratio:.2f} times the reference", tempo_ratio=ratio)


def _places(reference: Beats, estimate: Beats) -> tuple[Beats, Floats]:
    """Return estimated beats up to half a beat outside the reference, and their times in reference beats from 0."""
    times = reference.times_s
    around = np.concatenate([[2 * times[0] - times[1]], times, [2 * times[-1] - times[-2]]])
    first, last = (around[0] + around[1]) / 2, (around[-1] + around[-2]) / 2
    inside = estimate.between(first, last)
    return inside, np.interp(inside.times_s, around, np.arange(-1.0, len(times) + 1))


def _in_tempo(pieces: Sequence[tuple[Beats, Beats, Floats]], f: float, tatums: int) -> ErrorType:
    """Classify the error of an estimate that has the tempo of the reference."""
    vector = np.mean(np.exp(2j * np.pi * np.concatenate([places for _, _, places in pieces])))
    if abs(vector) < CONSTANT:
        return _wandering(max((places for _, _, places in pieces), key=len), f)
    shift = float(np.angle(vector) / (2 * np.pi))
    if abs(shift) < SAME and f >= MOSTLY:
        return _bars(pieces)
    shift_tatums = round(shift * tatums)
    shift_ms = shift * float(np.median(np.concatenate([right.intervals_s for right, _, _ in pieces]))) * 1000
    if shift_tatums or abs(shift_ms) > HIT_S * 1000:
        near = f"{abs(shift):.2f} beats" if not shift_tatums else _counted(abs(shift_tatums), "tatum")
        detail = f"beats {near} {'late' if shift > 0 else 'early'} ({shift_ms:+.0f} ms)"
        return ErrorType("phase shift", detail, shift, shift_tatums, shift_ms)
    return _unnamed(f)


def _wandering(places: Floats, f: float) -> ErrorType:
    """Distinguish a drift from jumps, where the tempo is right and the phase is not constant."""
    width = 4
    if len(places) < 3 * width or f >= 0.5:
        return _unnamed(f)
    turns = np.exp(2j * np.pi * places)
    means = np.convolve(turns, np.full(width, 1 / width), mode="valid")
    walk = np.unwrap(np.angle(means)) / (2 * np.pi)
    moved = float(np.ptp(walk))
    fastest = float(np.max(np.abs(walk[width:] - walk[:-width])))
    if fastest > 0.6 * moved:  # a jump happens within one window
        return _unnamed(f)
    return ErrorType("drifting", f"beats drift by {moved:.1f} beats against the reference")


def _bars(pieces: Sequence[tuple[Beats, Beats, Floats]]) -> ErrorType:
    """Classify the error of the bars of an estimate whose beats are right."""
    nearest = [np.rint(places).astype(np.int64) for _, _, places in pieces]  # reference beat of each estimated one
    ones = [np.flatnonzero(right.positions == 1) for right, _, _ in pieces]
    if not any(map(len, ones)):
        return ErrorType("right", "beats right (no downbeats in the reference)")
    estimated_ones = [
        np.unique(at[estimated.positions == 1]) for at, (_, estimated, _) in zip(nearest, pieces, strict=True)
    ]
    if not any(map(len, estimated_ones)):
        return ErrorType("no downbeats", "beats right, no downbeats given")
    common = sum(len(np.intersect1d(*both)) for both in zip(ones, estimated_ones, strict=True))
    f = 2 * common / sum(map(len, ones + estimated_ones))
    if f >= MOSTLY:
        return ErrorType("right", "beats and downbeats right")
    metre = _metre(ones, [right.positions for right, _, _ in pieces])
    estimated_metre = _metre(estimated_ones, [estimated.positions for _, estimated, _ in pieces])
    if metre != estimated_metre:
        detail = f"beats right, bars of {estimated_metre} where the reference has {metre}"
        return ErrorType("wrong metre", detail, metres=(metre, estimated_metre))
    differences = list[Ints]()
    for at, (right, estimated, _) in zip(nearest, pieces, strict=True):
        known = (at >= 0) & (at < len(right)) & (estimated.positions > 0)
        expected, found = right.positions[at[known]], estimated.positions[known]
        differences.append((expected - found)[expected > 0])
    offsets = np.concatenate(differences) % metre
    counts = np.bincount(offsets, minlength=1)
    late = int(np.argmax(counts))
    if late and counts[late] >= STEADY * counts.sum():
        late = late if late <= metre / 2 else late - metre
        detail = f"beats right, downbeats {_counted(abs(late), 'beat')} {'late' if late > 0 else 'early'}"
        return ErrorType("wrong downbeat phase", detail, bar_shift_beats=late, metres=(metre, metre))
    detail = f"beats right, downbeats only in part (F {f:.2f})"
    return ErrorType("partly right", detail, metres=(metre, metre))


def _metre(ones: Sequence[Ints], positions: Sequence[Ints]) -> int:
    """Commonest distance of downbeats, in reference beats; the largest position where no piece has two."""
    bars = np.concatenate([np.diff(some) for some in ones])
    return int(np.argmax(np.bincount(bars))) if len(bars) else max(int(some.max()) for some in positions if len(some))


def _unnamed(f: float) -> ErrorType:
    if f >= 0.5:
        return ErrorType("partly right", f"beats right in part (F {f:.2f})")
    return ErrorType("other", f"beats wrong without a pattern (F {f:.2f})")


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def score_bounds(score: str) -> tuple[float, float] | None:
    """Return the least and the greatest value of a score; None for scores in dB, which have no bounds."""
    if score not in ALL_SCORES:
        return None
    return (0.0, math.inf) if score == "tempo_error_percent" else (0.0, 1.0)
