"""Annotated spans: the parts of a recording that have beat labels, from beat to beat.

Labels may cover a recording in pieces. Beats are known inside pieces only: these define how many
minutes are annotated, what is trained on and what is scored. Two pieces are separated by a *gap*, an interval much
longer than the intervals around it. The intervals around it are local, so that music may change its tempo; and one
beat that was forgotten, an interval of about twice its neighbours, is not a gap.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from levada.data.tracks import Span, T, Track
from levada.errors import InputError
from levada.io.beats import Beats

__all__ = [
    "annotated_spans", "cut", "halve", "halves_of", "is_gap", "stretches", "units_of", "usual_intervals",
    "with_margins",
]  # fmt: skip

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

GAP = 2.5
"""An interval more than this many times as long as `usual_intervals` is a gap; a forgotten beat makes one of 2."""
LONGEST_S = 6.0
"""And one longer than this always is, in seconds: no music has a beat of it."""
NEIGHBOURS = 4
"""Intervals on either side that an interval is compared with."""


def annotated_spans(track: T) -> tuple[Span[T], ...]:
    """Return the labelled spans of a recording, in order: runs of two or more beats without a gap; a song with stems.

    Parameters
    ----------
    track : Track or Multitrack

    Returns
    -------
    tuple of Span
        One at least. Spans of beats begin and end on a beat; a song with stems is one span.

    Raises
    ------
    InputError
        If there is no annotation, it cannot be read, or there are no two annotated beats in a row.
    """
    if not isinstance(track, Track):
        return (Span(track, 0.0, track.duration_s),)
    beats = track.beats()
    spans: tuple[Span[T], ...] = tuple(Span(track, start_s, end_s) for start_s, end_s in stretches(beats))
    if not spans:
        source = track.annotation or track.audio
        raise InputError(f"too few annotated beats in a row: {len(beats)} in all, at least 2 are needed", path=source)
    return spans


def stretches(beats: Beats) -> tuple[tuple[float, float], ...]:
    """Return the time of the first and the last beat of each run of two or more beats without a gap, in seconds.

    Parameters
    ----------
    beats : Beats

    Returns
    -------
    tuple of (float, float)
    """
    if len(beats) < 2:
        return ()
    gaps = np.flatnonzero(is_gap(beats.intervals_s))
    first, last = np.concatenate([[0], gaps + 1]), np.concatenate([gaps, [len(beats) - 1]])
    long = last > first
    return tuple(zip(beats.times_s[first[long]].tolist(), beats.times_s[last[long]].tolist(), strict=True))


def with_margins(beats: Beats, *, duration_s: float | None = None) -> tuple[tuple[float, float], ...]:
    """Return the `stretches` of some beats, each half a beat longer at both ends: what is scored of a recording.

    An estimated beat a little before the first annotated one is then still compared with it.

    Parameters
    ----------
    beats : Beats
    duration_s : float, optional
        Length of the recording, in seconds, which no stretch exceeds.

    Returns
    -------
    tuple of (float, float)
        Half-open, in seconds.
    """
    end_s = np.inf if duration_s is None else duration_s
    found = []
    for start_s, stop_s in stretches(beats):
        first, last = np.searchsorted(beats.times_s, [start_s, stop_s])
        before, after = beats.intervals_s[first] / 2, beats.intervals_s[last - 1] / 2
        found.append(
            (float(max(0.0, start_s - before)), float(max(min(end_s, stop_s + after), np.nextafter(stop_s, np.inf))))
        )
    return tuple(found)


def halve(spans: Sequence[Span]) -> tuple[list[Span], list[Span]]:
    """Divide spans into an earlier and a later half that have no beat in common.

    The cut is in a gap between two spans, or at the bar line nearest to the middle (a beat without downbeats): the
    earlier half ends on that beat, and the later half begins with the beat after it.

    Parameters
    ----------
    spans : sequence of Span
        Of one recording.

    Returns
    -------
    earlier, later : list of Span
        About equally long. The later one is empty where there are too few beats to divide.
    """
    middle_s = sum(span.duration_s for span in spans) / 2
    earlier: list[Span] = []
    later: list[Span] = []
    done_s = 0.0
    for span in sorted(spans, key=lambda span: span.start_s):
        if later or done_s >= middle_s:
            if earlier and span.start_s <= earlier[-1].end_s:  # they share the beat between them
                _, rest = cut(span, earlier[-1].end_s)
                later += [] if rest is None else [rest]
            else:
                later.append(span)
        elif done_s + span.duration_s <= middle_s:
            earlier.append(span)
        else:
            lines = span.beats.downbeats_s if len(span.beats.downbeats_s) > 2 else span.beats.times_s
            line_s = float(lines[np.abs(lines - span.start_s - (middle_s - done_s)).argmin()])
            before, after = cut(span, line_s)
            earlier += [] if before is None else [before]
            later += [] if after is None else [after]
        done_s += span.duration_s
    return earlier, later


def halves_of(spans: Sequence[Span]) -> tuple[list[Span], list[Span]] | None:
    """Halve the labels: by groups if there are two, else by recordings, else near the middle of the only one.

    No beat is in both halves.

    Parameters
    ----------
    spans : sequence of Span

    Returns
    -------
    tuple of two lists of Span, or None
        Of about the same length; None if one would have fewer than four beats.
    """
    units = units_of(spans)
    halves: tuple[list[Span], list[Span]] = ([], [])
    if len(units) > 1:
        for unit in sorted(units, key=lambda unit: -_seconds(unit)):
            min(halves, key=_seconds).extend(unit)
    else:
        halves = halve(spans)
    if min(sum(len(span.beats) for span in half) for half in halves) < 4:
        return None
    return halves


def units_of(spans: Sequence[Span[T]]) -> list[list[Span[T]]]:
    """Divide labels into what must not be divided: groups if there are two, else recordings."""
    groups: dict[str, list[Span[T]]] = {}
    recordings: dict[str, list[Span[T]]] = {}
    for span in spans:
        groups.setdefault(span.track.group or span.track.id, []).append(span)
        recordings.setdefault(span.track.content_hash, []).append(span)
    return list((groups if len(groups) > 1 and len(recordings) > 1 else recordings).values())


def _seconds(spans: Sequence[Span]) -> float:
    return sum(span.duration_s for span in spans)


def cut(span: Span, line_s: float) -> tuple[Span | None, Span | None]:
    """Cut a span after a beat, which stays in the first part; the second part begins with the next beat.

    Parameters
    ----------
    span : Span
    line_s : float
        Time of the beat.

    Returns
    -------
    before, after : Span or None
        None where a part would have fewer than two beats.
    """
    times = span.beats.times_s
    before, after = times[times <= line_s], times[times > line_s]
    return (
        Span(span.track, span.start_s, line_s) if len(before) > 1 else None,
        Span(span.track, float(after[0]), span.end_s) if len(after) > 1 else None,
    )


def is_gap(intervals: Floats) -> Bools:
    """Return which inter-beat intervals, in seconds, are gaps between annotated spans [shape=(n,)]."""
    return np.asarray(intervals > np.minimum(GAP * usual_intervals(intervals), LONGEST_S), np.bool_)


def usual_intervals(intervals: Floats) -> Floats:
    """Return the usual interval at each one: the median of those before it or after it, whichever is longer.

    Where music changes its tempo, an interval is then compared with those of its own side.

    Parameters
    ----------
    intervals : ndarray [shape=(n,)]

    Returns
    -------
    ndarray [shape=(n,)]
        Where neither side has two intervals, the median of both together; of a single interval, itself.
    """
    if not len(intervals):
        return np.empty(0)
    around = np.pad(np.asarray(intervals, np.float64), NEIGHBOURS, constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(around, 2 * NEIGHBOURS + 1)
    before, after = windows[:, :NEIGHBOURS], windows[:, NEIGHBOURS + 1 :]
    sides = [np.where(np.isfinite(side).sum(axis=1) > 1, _medians(side), np.nan) for side in (before, after)]
    usual = np.fmax(*sides)
    for neighbours in (np.concatenate([before, after], axis=1), windows):
        usual = np.where(np.isnan(usual), _medians(neighbours), usual)
    return usual


def _medians(rows: Floats) -> Floats:
    """Return the median of each row without its NaNs, NaN for a row of these alone."""
    ordered, count = np.sort(rows, axis=1), np.isfinite(rows).sum(axis=1)
    at = np.arange(len(rows))
    medians: Floats = (ordered[at, (count - 1) // 2] + ordered[at, count // 2]) / 2
    return np.where(count > 0, medians, np.nan)
