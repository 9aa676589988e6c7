"""Conversion of markers to beats: selection, order, and positions from labels."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats.conventions import NEGATIVE, is_recognised, label_error, normalize_label, read_positions
from levada.io.formats.layers import BeatAnnotation, Layer, Marker, normalize_text

__all__ = ["interpret"]

OFTEN = 0.1  # of all labels, above which a word that means nothing here is a system of its own, not a comment
BEFORE_S = 1.0  # a first beat this long before the recording is a pickup of an edited copy

_LIMIT = re.compile(r"(annotate|skip)\b")


def interpret(layer: Layer, *, format: str, convention: str = "", path: str | Path) -> BeatAnnotation:
    """Convert the markers of a layer to beats with positions.

    Parameters
    ----------
    layer : Layer
    format : str
        Of the result.
    convention : str
        A name in `CONVENTIONS`, or empty: recognised from all labels.
    path : path-like
        What errors name.

    Raises
    ------
    InputError
        If the labels are not those of beats, can be read in two ways, or times are wrong. Lines are named.
    """
    convention = convention or layer.convention
    notes = list(layer.notes)
    limits = [mark for mark in layer.marks if _LIMIT.match(normalize_text(mark.text)) and mark.end_s is not None]
    marks = [mark for mark in layer.marks if not _LIMIT.match(normalize_text(mark.text))]
    if not marks:
        raise InputError("has no beats yet, only regions to annotate" if limits else "has no beats", path=path)
    marks = _drop_comments(marks, layer, convention, notes, path)
    if not marks:
        raise InputError("has no beats", path=path)
    marks = _in_order(marks, layer, notes, path)
    read = read_positions(marks, convention, layer.unit, path)
    notes += [*read.notes, *_crosses(marks)]
    kept = _kept_indices(marks, limits, notes, path)
    return BeatAnnotation(
        Beats(
            [marks[i].time_s for i in kept],
            [read.positions[i] for i in kept],
            _complete(marks[i].confidence for i in kept),
            _complete(marks[i].position_confidence for i in kept),
        ),
        format,
        read.convention,
        tuple(notes),
        tuple(marks[i].line if layer.unit == "line" else None for i in kept),
        read.only_downbeats,
    )


def _complete(confidences: Iterable[float | None]) -> list[float] | None:
    """Return the confidences of all beats; None where one has none."""
    given = list(confidences)
    complete = [sure for sure in given if sure is not None]
    return complete if len(complete) == len(given) else None


def _crosses(marks: list[Marker]) -> list[str]:
    """Return notes about labels x and X, which may be beats or downbeats."""
    crosses = {mark.text.strip() for mark in marks} & {"x", "X"}
    if len(crosses) == 2:
        return ["its labels x and X are both beats whose positions are unknown: write 1 where X is a downbeat"]
    return [f"its label {one} is a beat whose position is unknown" for one in crosses]


def _where(mark: Marker, unit: str) -> str:
    return f"{mark.time_s:g} s" if mark.line is None else f"{unit} {mark.line} ({mark.time_s:g} s)"


def _in_order(marks: list[Marker], layer: Layer, notes: list[str], path: str | Path) -> list[Marker]:
    if not layer.is_sorted:
        ordered = sorted(marks, key=lambda mark: mark.time_s)
        if ordered != marks:
            notes.append("its beats are not in order of time: they were sorted")
        marks = ordered
    for before, mark in pairwise(marks):
        previous = f"in {layer.unit} {before.line}" if before.line is not None else "before"
        if mark.time_s == before.time_s:
            raise label_error(f"{mark.time_s:g} s is the same beat as {previous}", path, mark, layer.unit)
        if mark.time_s < before.time_s:
            earlier = f"{mark.time_s:g} s comes before {before.time_s:g} s {previous}: beats must be in order"
            raise label_error(earlier, path, mark, layer.unit)
    if marks[0].time_s < -BEFORE_S:
        what = f"{marks[0].time_s:g} s: a beat cannot come before the recording starts"
        raise label_error(f"{what}; the labels may belong to another copy of it", path, marks[0], layer.unit)
    return marks


def _kept_indices(marks: list[Marker], limits: list[Marker], notes: list[str], path: str | Path) -> list[int]:
    """Return the indices of beats after the start of the recording and inside the regions to use."""
    kept = [i for i, mark in enumerate(marks) if mark.time_s >= 0]
    if len(kept) < len(marks):
        dropped = len(marks) - len(kept)
        what = f"{dropped} beats before the recording starts are" if dropped > 1 else "its first beat is"
        notes.append(f"{what} left out, at {marks[0].time_s:g} s")
    if limits:
        use = [mark for mark in limits if normalize_text(mark.text).startswith("annotate")]
        skip = [mark for mark in limits if normalize_text(mark.text).startswith("skip")]
        inside = [
            i
            for i in kept
            if (not use or any(_covers(mark, marks[i].time_s) for mark in use))
            and not any(_covers(mark, marks[i].time_s) for mark in skip)
        ]
        notes.append(f"its regions annotate and skip leave {len(inside)} of {len(kept)} beats")
        kept = inside
    if not kept:
        raise InputError("has no beats after the start of the recording, or in its regions to annotate", path=path)
    return kept


def _covers(mark: Marker, time_s: float) -> bool:
    return mark.time_s <= time_s <= (mark.time_s if mark.end_s is None else mark.end_s)


def _drop_comments(
    marks: list[Marker], layer: Layer, convention: str, notes: list[str], path: str | Path
) -> list[Marker]:
    """Drop markers whose label is a comment, unless a beat would be missing."""
    words = [normalize_label(mark.text) for mark in marks]
    for mark, word in zip(marks, words, strict=True):
        if NEGATIVE.fullmatch(word):
            raise label_error(
                f"{mark.text!r} is not the place of a beat: positions are counted from 1", path, mark, layer.unit
            )
    others = [i for i, word in enumerate(words) if not is_recognised(word)]
    if not others or convention in ("times", "downbeats-only"):
        return marks
    first = marks[others[0]]
    if len(others) == len(marks) > 2 and len({words[i] for i in others}) == 1 and all(m.end_s is None for m in marks):
        notes.append(f"all labels are {first.text!r}: the positions in the bar are unknown")
        return [replace(mark, text="", end_s=None) for mark in marks]
    often = max(Counter(words[i] for i in others).values())
    if 2 * len(others) >= len(marks) or (often > 2 and often > OFTEN * len(marks)):
        if any(mark.end_s is not None and mark.end_s > mark.time_s for mark in marks):
            named = ", ".join(list(dict.fromkeys(marks[i].text for i in others))[:3])
            what = f"its regions are named {named}: these are parts of a piece, not beats"
            raise label_error(what, path, first, layer.unit)
        what = f"{first.text!r} is not the place of a beat"
        how = "write its position in the bar (1 is the downbeat), or bar.beat such as 12.3, or nothing"
        raise label_error(f"{what}: {how}", path, first, layer.unit)
    comments = {i for i in others if not _is_missed(marks, i, set(others))}
    for i in sorted(comments)[:1]:
        more = f" (and {len(comments) - 1} more)" if len(comments) > 1 else ""
        notes.append(f"{marks[i].text!r} in {_where(marks[i], layer.unit)} is a comment, not a beat{more}")
    return [
        replace(mark, text="", end_s=None) if i in others else mark for i, mark in enumerate(marks) if i not in comments
    ]


def _is_missed(marks: list[Marker], i: int, others: set[int]) -> bool:
    """Whether a marker with a comment divides a gap of about two beats evenly."""
    beats = sorted(mark.time_s for j, mark in enumerate(marks) if j not in others)
    at = sum(time < marks[i].time_s for time in beats)
    if len(beats) < 3:
        return False
    intervals = sorted(b - a for a, b in pairwise(beats))
    usual = intervals[len(intervals) // 2]
    before = marks[i].time_s - beats[at - 1] if at else usual
    after = beats[at] - marks[i].time_s if at < len(beats) else usual
    return abs(before - usual) < 0.3 * usual and abs(after - usual) < 0.3 * usual and 0 < at < len(beats)
