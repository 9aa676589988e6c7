"""Errors of tapping and of numbering, found before anything is learnt from the labels.

An *error* is what cannot be right whatever the music: a beat marked twice, a beat that is missing although the numbers
count on, a number that implies beats where there is no time for them, beats of unequal length in one cycle whose
proportions are no small whole numbers. Each names the line, the time, and the remedy.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.data.label_lag import lag_problems
from levada.data.problems import Problem, Severity, others
from levada.data.spans import is_gap, usual_intervals
from levada.data.tracks import Track
from levada.data.unequal_beats import BARS, even_intervals, labelled_bars, unequal_metres, unfitted_metres
from levada.errors import InputError, os_error_text
from levada.io.beats import Beats
from levada.io.tables import count

__all__ = ["check_labels", "label_problems", "usable"]

Floats = npt.NDArray[np.float64]

DOUBLED_S = 0.1  # beats closer than this, 600 bpm, are one beat marked twice
HALF = 0.62  # an interval below this part of the usual one, which with its neighbour makes a usual one, divides it
SLOWEST_BPM, FASTEST_BPM = 15.0, 400.0
STEADY = (
    0.2  # deviation of the intervals around a beat from the usual one, as a part of it, up to which the beat is judged
)
CLEAR = 0.12  # the same where music that slows down must not be taken for a mistake
EVEN = 0.065  # and how far four of five intervals may be from it in music that holds no beats

Found = tuple[Severity, str, int | None]  # severity, what is wrong, and the beat at fault


def usable(tracks: Iterable[Track]) -> tuple[list[Track], list[Problem]]:
    """Select the annotated recordings that can be learnt from.

    Parameters
    ----------
    tracks : iterable of Track

    Returns
    -------
    tracks : list of Track
        Those whose audio and labels can be read, and whose labels have no error.
    problems : list of Problem
        The errors of the others, and the notes and warnings of all.
    """
    good, problems = list[Track](), list[Problem]()
    for track in tracks:
        found = [*check_labels(track), *_audio_problem(track)]
        if all(problem.severity != "error" for problem in found):
            good.append(track)
            found += lag_problems(track)
        problems += found
    return good, problems


def _audio_problem(track: Track) -> Iterator[Problem]:
    """Yield why a recording cannot be opened, if it cannot."""
    try:
        _ = track.duration_s
    except InputError as error:
        yield Problem("error", error.problem, Path(error.path or track.audio))
    except OSError as error:
        yield Problem("error", os_error_text(error), track.audio)


def check_labels(track: Track) -> list[Problem]:
    """Read the labels of a recording and list assumptions and problems; nothing is raised.

    Parameters
    ----------
    track : Track

    Returns
    -------
    list of Problem
    """
    source = track.annotation or track.audio
    problems: list[Problem] = []
    try:
        problems += [Problem("note", note, source) for note in track.labels.notes]
        beats = track.beats()
    except InputError as error:
        return [*problems, Problem("error", error.problem, Path(error.path or source), error.line)]
    lines = track.labels.lines
    for severity, message, beat in label_problems(beats):
        problems.append(Problem(severity, message, source, lines[beat] if beat is not None and lines else None))
    return problems


def label_problems(beats: Beats) -> Iterator[Found]:
    """Find errors of tapping and numbering.

    Parameters
    ----------
    beats : Beats

    Yields
    ------
    severity : str
    message : str
    beat : int or None
        Index of the beat at fault.
    """
    if len(beats) < 2:
        yield "error", f"has {count(len(beats), 'beat')}: nothing can be learnt from it", None
        return
    if not SLOWEST_BPM <= beats.tempo_bpm <= FASTEST_BPM:
        what = f"its beats are {np.median(beats.intervals_s):.3g} s apart, {beats.tempo_bpm:.3g} bpm"
        yield "error", f"{what}: no music has such beats, the times may be in another unit", 0
        return
    unequal = unequal_metres([beats])
    intervals = even_intervals(beats, unequal)
    usual = usual_intervals(intervals)
    doubled = _doubled(intervals, usual)
    yield from _doubled_problem(beats, doubled, usual)
    if not doubled:
        yield from _missing(beats, intervals, usual)
        yield from _numbers(beats, intervals, usual)
        yield from _unequal(beats, unequal)


def _doubled(intervals: Floats, usual: Floats) -> list[int]:
    """Beats that are marked twice: the second mark of each pair, or the one that divides an interval."""
    found: list[int] = []
    for i, interval in enumerate(intervals):
        if interval < DOUBLED_S or (
            i + 1 < len(intervals)
            and min(interval, intervals[i + 1]) < HALF * usual[i]
            and max(interval, intervals[i + 1]) < 0.9 * usual[i]
            and abs(interval + intervals[i + 1] - usual[i]) < STEADY * usual[i]
            and _is_steady(intervals, i, usual[i], skip=2)
        ):
            found.append(i + 1)
    return found


def _is_steady(intervals: Floats, i: int, usual: float, *, skip: int = 1, within: float = STEADY) -> bool:
    """Whether at least two intervals before and after an index, and most of them, are about the usual one."""
    around = np.concatenate([intervals[max(0, i - 3) : i], intervals[i + skip : i + skip + 3]])
    near = np.abs(around - usual) < within * usual
    return len(around) > 2 and bool(near.mean() > 0.8)


def _doubled_problem(beats: Beats, doubled: list[int], usual: Floats) -> Iterator[Found]:
    if not doubled:
        return
    first = doubled[0]
    time_s, before_s = beats.times_s[first], beats.times_s[first - 1]
    apart = f"{time_s - before_s:.3f} s after the one before it, where others are {usual[first - 1]:.2f} s apart"
    yield "error", f"a beat seems to be marked twice ({time_s:.3f} s, {apart}){others(len(doubled))}: delete it", first


def _missing(beats: Beats, intervals: Floats, usual: Floats) -> Iterator[Found]:
    """Find intervals of two beats in steady surroundings; longer ones are gaps, across which labels may begin anew."""
    errors, warnings = list[int](), list[int]()
    gaps = is_gap(beats.intervals_s)
    is_even = np.percentile(np.abs(intervals / usual - 1), 80) < EVEN
    for i, interval in enumerate(intervals):
        off = abs(interval / usual[i] - 2)
        if off > STEADY or gaps[i] or not _is_steady(intervals, i, usual[i]):
            continue
        clear = off < (CLEAR if is_even else CLEAR / 2) and _is_steady(intervals, i, usual[i], within=CLEAR)
        (errors if clear and _step(beats, i) == 1 else warnings).append(i)
    for severity, found in (("error", errors), ("warning", warnings)):
        if not found:
            continue
        i = found[0]
        time_s, interval = beats.times_s[i], beats.intervals_s[i]
        where = f"{interval:.2f} s from {time_s:.3f} s, where others are {usual[i]:.2f} s apart"
        if severity == "error":
            how = ", and the numbers count on: add it and number what follows again, or name a region over it skip"
            yield "error", f"a beat seems to be missing ({where}){others(len(found))}{how}", i + 1
        else:
            yield "warning", f"a beat seems to be missing ({where}){others(len(found))}", i + 1


def _step(beats: Beats, i: int) -> int | None:
    """Return the beats that the numbers count from one beat to the next; None where they are unknown."""
    this, following = int(beats.positions[i]), int(beats.positions[i + 1])
    if not this or not following:
        return None
    if following > this:
        return following - this
    metre = max(int(beats.positions.max()), 1)
    before = np.flatnonzero(beats.positions[: i + 1] == 1)
    usual = max(beats.metres, key=lambda length: beats.metres[length]) if beats.metres else metre
    if following == 1 and len(before) and this < usual:
        return usual - this + 1
    return (following - this) % usual or usual


def _numbers(beats: Beats, intervals: Floats, usual: Floats) -> Iterator[Found]:
    """Find numbers that imply beats where there is no time for them."""
    found = []
    for i, interval in enumerate(intervals):
        this, following = int(beats.positions[i]), int(beats.positions[i + 1])
        if not this or not following or following in (1, this + 1) or interval > 1.5 * usual[i]:
            continue
        found.append(i + 1)
    if found:
        beat = found[0]
        this, following = beats.positions[beat - 1], beats.positions[beat]
        what = f"position {following} follows {this} after one beat ({beats.times_s[beat]:.3f} s)"
        yield (
            "error",
            f"{what}{others(len(found))}: one of the numbers is wrong, or a beat is missing or too many",
            beat,
        )
    yield from _unknown_between(beats)


def _unknown_between(beats: Beats) -> Iterator[Found]:
    """Find marks without a number between beats whose numbers count on: divisions of beats, not beats."""
    numbered = np.flatnonzero(beats.positions)
    between = [(a, b) for a, b in pairwise(numbered) if b - a > 1 and beats.positions[b] == beats.positions[a] + 1]
    if between:
        a, b = between[0]
        what = f"{count(int(b - a - 1), 'mark')} without a number between beats {beats.positions[a]} and "
        what += f"{beats.positions[b]} of a bar, from {beats.times_s[a]:.3f} s{others(len(between))}"
        yield "error", f"{what}: they may divide beats, or the numbers may be those of bars", int(a) + 1


def _unequal(beats: Beats, metres: Sequence[str]) -> Iterator[Found]:
    """Find cycles of unequal beats, such as 2+2+2+3 eighths: those of small whole numbers can be learnt."""
    bars = [bar for bar in labelled_bars(beats, metres) if isinstance(bar.metre, str)]
    if bars:
        each = Counter(bar.metre for bar in bars).most_common()
        shapes = " and ".join(f"{metre} in {count(n, 'bar')}" for metre, n in each)
        yield "note", f"its beats are of unequal length: {shapes}", bars[0].first
        yield from _counted_anew([bar.first for bar in bars], [str(bar.metre) for bar in bars], beats)
    for lengths, starts in unfitted_metres(beats).items():
        shape = " : ".join(f"{length:.1f}" for length in lengths)
        how = "no small whole numbers fit, so they cannot be learnt: mark their common division instead"
        yield "error", f"its beats are of unequal length ({shape} in {count(len(starts), 'bar')}), and {how}", starts[0]
        return
    if not (beats.positions == 1).any():
        yield from _unequal_unnumbered(beats)


def _counted_anew(firsts: Sequence[int], metres: Sequence[str], beats: Beats) -> Iterator[Found]:
    """Find a place from which the same cycle is counted from another of its beats."""
    changes = [i for i, (one, other) in enumerate(pairwise(metres), start=1) if one != other]
    if len(changes) == 1 and f"+{metres[-1]}+" in f"+{metres[0]}+{metres[0]}+":
        i = changes[0]
        what = f"the cycle {metres[0]} is counted from another beat from {beats.times_s[firsts[i]]:.3f} s on"
        yield "error", f"{what} ({metres[i]}): a beat seems to be missing or too many before it", firsts[i]


def _unequal_unnumbered(beats: Beats) -> Iterator[Found]:
    """Find the same where positions are unknown: two lengths, three to two, that alternate again and again."""
    ratios = beats.intervals_s / np.median(beats.intervals_s)
    for long, short in ((1.5, 1.0), (1.0, 1 / 1.5)):
        is_long, is_short = np.abs(ratios / long - 1) < 0.1, np.abs(ratios / short - 1) < 0.1
        changes = np.count_nonzero(np.diff(is_long.astype(int)) == 1)
        if (is_long | is_short).mean() > 0.9 and 0.1 < is_long.mean() < 0.9 and changes >= BARS:
            first = int(np.flatnonzero(is_long)[0])
            what = f"its beats are of unequal length (1.5 : 1, {count(int(is_long.sum()), 'long one')})"
            how = "number them from the first of each cycle, 1 2 3 1 2 3, and they are learnt"
            yield "error", f"{what}, and without positions in the cycle they cannot be learnt: {how}", first
            return
