"""What is worth listening to: bars that are uncertain or that patterns dispute, and verified beats that look wrong."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

import numpy as np

from levada.io.beats import Beats, nearest
from levada.studio.annotation import Annotation, Bar, uncertain_bars, verified

__all__ = ["LEAST_VERIFIED", "Suspect", "bars_to_check", "suspects"]

NEAR_S = 0.07
"""A beat is that of the model within this: the tolerance of the F-measure."""
OFF_S, OFF_SHARE = 0.08, 0.12
"""How far a beat may be from the middle of its neighbours: in seconds, and as a share of the beats around it."""
LONG, SHORT, GAP = 1.6, 0.6, 2.6
"""Intervals relative to those around them: a beat may be missing, or be one too many; nothing was annotated."""
APART = 0.4
"""How far a beat of the model that is missing is from both its neighbours, relative to an interval."""
AROUND = 4
"""Intervals on either side that one is compared with."""
AGREES = 0.8
"""Share of the verified beats that a model must have for the others to be suspect."""
LEAST_VERIFIED = 8
SURE = 0.5
"""Confidence of a beat of the model that nobody has placed."""


@dataclass(frozen=True)
class Suspect:
    """A place where verified beats look wrong.

    Parameters
    ----------
    time_s : float
        Of the beat that is suspect, or between two beats where one may be missing.
    start_s, end_s : float
        What to listen to: from the beat before to the beat after it.
    reason : {"uneven", "missing", "model", "position"}
        It is not between its neighbours, one may be missing, the model has it elsewhere, or the model counts otherwise.
    """

    time_s: float
    start_s: float
    end_s: float
    reason: str


def bars_to_check(annotation: Annotation, other: Beats | None = None) -> list[Bar]:
    """List the bars that nobody has verified, those first that are uncertain or that another model has otherwise.

    A gap without beats between two bars counts as one, and is as uncertain as can be.

    Parameters
    ----------
    annotation : Annotation
    other : Beats, optional
        Of a model that has learnt from the verified beats: the share of a bar's beats that it has elsewhere, or counts
        otherwise, is added to its uncertainty.
    """
    bars, usual = uncertain_bars(annotation), _usual(annotation)
    gaps = [
        Bar(before.time_s, after.time_s, 1.0)
        for (before, after), length_s in zip(pairwise(annotation), usual, strict=True)
        if after.time_s - before.time_s > GAP * length_s
    ]
    bars = sorted([*bars, *gaps], key=lambda bar: (-bar.uncertainty, bar.start_s))
    if other is None:
        return bars
    found = []
    for bar in bars:
        marks = [mark for mark in annotation if bar.start_s <= mark.time_s < bar.end_s or mark.time_s == bar.start_s]
        others = other.between(bar.start_s - NEAR_S, bar.end_s - NEAR_S)
        near = [np.abs(others.times_s - mark.time_s) <= NEAR_S for mark in marks]
        same = sum(
            bool(one.any()) and (not mark.position or int(others.positions[one][0]) in (0, mark.position))
            for mark, one in zip(marks, near, strict=True)
        )
        disputed = 1 - same / max(len(marks), len(others), 1)
        found.append(replace(bar, uncertainty=bar.uncertainty + disputed))
    return sorted(found, key=lambda bar: (-bar.uncertainty, bar.start_s))


def suspects(annotation: Annotation, found: Beats | None = None) -> list[Suspect]:
    """List verified beats that look wrong, in order of time: they are worth listening to once more.

    Parameters
    ----------
    annotation : Annotation
    found : Beats, optional
        What a model that has learnt from the verified beats finds without being told of them. It counts where it has
        most of them.
    """
    places = dict[int, tuple[float, str]]()
    usual = _usual(annotation)
    for i, (before, after) in enumerate(pairwise(annotation)):
        length = after.time_s - before.time_s
        if before.verified and after.verified and LONG * usual[i] < length < GAP * usual[i]:
            places.setdefault(i, ((before.time_s + after.time_s) / 2, "missing"))
    off = _off(annotation, usual)
    for i, mark in enumerate(annotation):
        if mark.verified and off[i] > 1 and off[i] >= max(off[max(0, i - 1) : i + 2]):
            places.setdefault(i, (mark.time_s, "uneven"))
    if found is not None:
        for i, place in _against(annotation, usual, found).items():
            places.setdefault(i, place)
    last = len(annotation) - 1
    found_suspects = []
    for i, (time_s, reason) in sorted(places.items()):
        first, stop = (i, i + 1) if reason == "missing" else (max(0, i - 1), min(last, i + 1))
        found_suspects.append(Suspect(time_s, annotation[first].time_s, annotation[stop].time_s, reason))
    return sorted(found_suspects, key=lambda suspect: suspect.time_s)


def _usual(annotation: Annotation) -> list[float]:
    """Return the usual interval at each interval: the median of those around it."""
    lengths = [after.time_s - before.time_s for before, after in pairwise(annotation)]
    return [
        median([*lengths[max(0, i - AROUND) : i], *lengths[i + 1 : i + 1 + AROUND]] or [length])
        for i, length in enumerate(lengths)
    ]


def _off(annotation: Annotation, usual: list[float]) -> list[float]:
    """Return how far each beat is from the middle of its neighbours, in units of how far it may be."""
    off = [0.0] * len(annotation)
    for i in range(1, len(annotation) - 1):
        before, mark, after = annotation[i - 1 : i + 2]
        lengths = (mark.time_s - before.time_s, after.time_s - mark.time_s)
        if not (before.verified or after.verified) or max(lengths) > LONG * usual[i]:
            continue
        distance_s = abs(mark.time_s - (before.time_s + after.time_s) / 2)
        off[i] = distance_s / max(OFF_S, OFF_SHARE * usual[i])
        if min(lengths) < SHORT * usual[i]:
            off[i] = max(off[i], 2.0)
    return off


def _against(annotation: Annotation, usual: list[float], found: Beats) -> dict[int, tuple[float, str]]:
    """Return what a model contradicts, by the index of the beat."""
    sure = verified(annotation)
    if len(sure) < LEAST_VERIFIED or not len(found):
        return {}

    times_s = np.array([mark.time_s for mark in annotation])
    there = nearest(times_s, found.times_s)
    has = np.abs(found.times_s[there] - times_s) <= NEAR_S
    is_sure = np.array([mark.verified for mark in annotation])
    if has[is_sure].sum() < AGREES * len(sure):
        return {}
    places = dict[int, tuple[float, str]]()
    positions = np.array([mark.position for mark in annotation])
    counted = is_sure & has & (positions > 0)
    same = counted & (found.positions[there] == positions)
    for i, mark in enumerate(annotation):
        if not mark.verified:
            continue
        if not has[i]:
            places[i] = (mark.time_s, "model")
        elif counted[i] and not same[i] and same.sum() >= AGREES * counted.sum():
            places[i] = (mark.time_s, "position")
    for i, (before, after) in enumerate(pairwise(annotation)):
        if not (before.verified and after.verified) or after.time_s - before.time_s > GAP * usual[i]:
            continue
        apart_s = APART * usual[i]
        for time_s, confidence in zip(found.times_s, _confidence(found), strict=True):
            if before.time_s + apart_s < time_s < after.time_s - apart_s and confidence >= SURE:
                places.setdefault(i, (float(time_s), "missing"))
    return places


def _confidence(beats: Beats) -> list[float]:
    return [1.0] * len(beats) if beats.confidence is None else beats.confidence.tolist()
