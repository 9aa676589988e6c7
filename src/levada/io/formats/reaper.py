"""Markers of Reaper, as its region/marker manager writes and reads them: number, name, start, end, length."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats.layers import Layer, Marker, parse_time, split_lines
from levada.io.formats.provenance import Metadata

__all__ = ["dump", "is_reaper", "parse"]

_HEAD = re.compile(r'\ufeff?"?#"?[,;\t]"?name"?[,;\t]"?start"?', re.I)


def is_reaper(text: str) -> bool:
    """Whether a text begins as an export of Reaper's markers does."""
    return bool(_HEAD.match(text.lstrip()))


def parse(text: str, *, path: str | Path) -> list[Layer]:
    """Read markers, and regions beside them.

    Raises
    ------
    InputError
        If a start is no time in seconds or minutes.
    """
    separator = next(mark for mark in text if mark in ",;\t")
    marks = []
    for number, line in enumerate(split_lines(text), 1):
        if not line.strip() or _HEAD.match(line.strip()):
            continue
        try:
            cells = [cell.strip() for cell in next(csv.reader([line], delimiter=separator))]
        except (csv.Error, StopIteration) as error:
            raise InputError("is not a line of Reaper's markers", path=path, line=number) from error
        start = parse_time(cells[2]) if len(cells) > 2 else None
        if start is None:
            what = f"{cells[2]!r}" if len(cells) > 2 else "this line"
            how = "show times as minutes and seconds in Reaper, and export again"
            raise InputError(f"{what} is not a start in seconds: {how}", path=path, line=number)
        end = parse_time(cells[3]) if len(cells) > 3 and cells[0].upper().startswith("R") else None
        marks.append(Marker(start, _label(cells[1]), number, end))
    return [Layer(tuple(marks), "markers")]


def _label(name: str) -> str:
    return "" if re.fullmatch(r"(marker|region)\s*\d*", name, re.I) else name


def dump(beats: Beats, _: Metadata) -> str:
    """Write markers, named bar.beat where the position is known."""
    rows, bar, before = ["#,Name,Start,End,Length\n"], 0, 0
    for number, (time, position) in enumerate(beats, 1):
        bar += position > 0 and (position == 1 or position <= before)
        before = position or before
        minutes, microseconds = divmod(round(time * 1e6), 60_000_000)
        clock = f"{minutes // 60}:{minutes % 60:02d}:{microseconds / 1e6:09.6f}"
        rows.append(f"M{number},{f'{bar}.{position}' if position else 'beat'},{clock},,\n")
    return "".join(rows)
