"""Subtitles, SubRip `.srt` and WebVTT `.vtt`, which Audacity and video editors write from labels.

A cue has a number, its start and end as clocks, and lines of text: the label. Times are in milliseconds.
"""

from __future__ import annotations

import re
from pathlib import Path

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats.conventions import format_labels
from levada.io.formats.layers import Layer, Marker, parse_time, spans_ms, split_lines
from levada.io.formats.provenance import Metadata

__all__ = ["dump", "is_subtitles", "parse"]

_CLOCK = r"-?(?:\d{1,6}:)?\d{1,2}:\d{1,2}[.,]\d{1,9}"
_CUE = re.compile(rf"\s*({_CLOCK})\s*-->\s*({_CLOCK})(?:\s.*)?")


def is_subtitles(text: str) -> bool:
    """Whether a text has cues among its first lines."""
    head = split_lines(text[:4000])[:40]
    return text.lstrip("\ufeff ").startswith("WEBVTT") or any(_CUE.fullmatch(line) for line in head)


def parse(text: str, *, path: str | Path) -> list[Layer]:
    """Read the cues.

    Raises
    ------
    InputError
        If there is none, or a clock is impossible.
    """
    lines = split_lines(text)
    marks = []
    for number, line in enumerate(lines, 1):
        cue = _CUE.fullmatch(line)
        if cue is None:
            continue
        start, end = parse_time(cue[1]), parse_time(cue[2])
        if start is None or end is None:
            raise InputError(f"{line.strip()[:60]!r} has no clocks from 0 to 59", path=path, line=number)
        label = lines[number].strip() if number < len(lines) else ""
        following = lines[number + 1] if number + 1 < len(lines) else ""
        if re.fullmatch(r"\d+", label) and _CUE.fullmatch(following):
            label = ""  # a cue without text: this is the number of the next one
        marks.append(Marker(start, label, number, None if end <= start else end))
    if not marks:
        raise InputError("has no cues", path=path)
    return [Layer(tuple(marks), "subtitles", is_sorted=False)]


def dump(beats: Beats, _: Metadata) -> str:
    """Write a cue for every beat, which shows its position in the bar."""
    labels = zip(spans_ms(beats), format_labels(beats), strict=True)
    return "".join(
        f"{number}\n{_clock(start)} --> {_clock(end)}\n{text or 'beat'}\n\n"
        for number, ((start, end), text) in enumerate(labels, 1)
    )


def _clock(ms: int) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d},{ms % 1000:03d}"
