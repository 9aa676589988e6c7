"""Annotations as lines of text: .beats, TSV, CSV, and those of Sonic Visualiser, Audacity and Reaper.

How a table is understood:

- Lines that start with `#` and empty lines say nothing. The separator is told line by line: tab, semicolon,
  comma or spaces. A decimal comma is understood where something else separates the columns.
- A first line of names (`time`, and any of `bar.beat`, `position`, `beat`, `label`, `confidence`) says what the
  columns are. Without one they are a time; a time and a place; or a time, a place and a confidence, or the
  number of the bar if it is a whole number. Where the second number is an end, written like the first, the
  columns are the start, end and label of Audacity.
- Places are read from their text, all of a file in the same way. `1`, `1.0` and `1.000` are positions if no
  place has a digit other than 0 after the point. Else `12.3` is beat 3 of bar 12 and `12.10` is beat 10; but
  where all places have equally many digits and end in zeros (`1.100`, `1.200`) a program added the zeros and
  they are dropped. An empty place, `New Point` and `beat` are unknown, `downbeat` is 1. More than 16 places
  that only count up are the number of the beat, not its place.
"""

from __future__ import annotations

import logging
import re
from itertools import pairwise
from pathlib import Path

from levada.beats import Beats
from levada.errors import InputError

__all__ = ["audacity", "beats", "csv", "parse", "places", "reaper", "sonic_visualiser_csv"]

_log = logging.getLogger(__name__)

_TIMES = ("time", "times", "timesec", "time(s)", "seconds", "start", "onset", "beattime", "timestamp")
_PLACES = ("bar.beat", "barbeat", "position", "beatposition", "beatinbar", "pos", "beat", "number", "label")
_CONFIDENCES = ("confidence", "conf", "probability")
_WORDS = {"": 0, "new point": 0, "beat": 0, "b": 0, "?": 0, "downbeat": 1, "db": 1, "d": 1}

_NUMBER = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"\d{1,9}")
_WHOLE_FLOAT = re.compile(r"(\d{1,9})[.,]0*|(\d)[.,]0+[eE]\+?00")
_BAR_BEAT = re.compile(r"\d{1,9}[.:|,]\d+")
_LONGEST_BAR = 16

Lines = list[tuple[int, str]]  # line counted from 1, text of the line or of one of its cells


def parse(text: str, *, path: str | Path) -> Beats:
    """Read beats from a table.

    Parameters
    ----------
    text : str
        The file's content.
    path : path-like
        What to call the file in errors.

    Raises
    ------
    InputError
        Naming the line, if it cannot be understood or its time is not after the one before.
    """
    lines = [
        (number, content.strip(" "))
        for number, content in enumerate(re.split(r"\r\n|\r|\n", text), 1)
        if content.strip() and content.strip()[0] not in "#\\"  # \ begins Audacity's lines of frequencies
    ]
    names = _names(lines, path)
    lines = lines[1:] if names else lines
    if not lines:
        raise InputError("has no beats", path=path)
    if not names and all(re.fullmatch(r"\d+,\d+", content) for _, content in lines):
        either = f"{lines[0][1]!r} may be one number or two: write a decimal point, or a tab between columns"
        raise InputError(either, path=path, line=lines[0][0])

    rows = [_cells(content) for _, content in lines]
    width = max(map(len, rows))
    columns = [
        [(line, row[i] if i < len(row) else "") for (line, _), row in zip(lines, rows, strict=True)]
        for i in range(width)
    ]
    while len(columns) > 1 and not any(text for _, text in columns[-1]):
        columns.pop()
    times = _times(columns[min(names.get("time", 0), len(columns) - 1)], path)
    kinds = names or _kinds(columns, path)
    found = {kind: columns[i] for kind, i in kinds.items() if i < len(columns)}
    return Beats(
        times,
        places(found["place"], path) if "place" in found else None,
        _confidences(found["confidence"], path) if "confidence" in found else None,
    )


def _cells(content: str) -> list[str]:
    cells = content.split()
    if "," in content and not re.fullmatch(r"\d+,\d+\s+\S+", content):  # but for a decimal comma
        cells = content.split(",")
    for separator in ";\t":
        if separator in content:
            cells = content.split(separator)
    return [cell.strip().strip('"').strip() for cell in cells]


def _names(lines: Lines, path: str | Path) -> dict[str, int]:
    """Tell which column is what by the names in the first line; nothing if it holds no names."""
    if not lines:
        return {}
    names = [re.sub(r"[ _]", "", cell.lower()) for cell in _cells(lines[0][1])]
    if "frame" in names and "time" not in names:
        raise InputError("times are in frames: export them in seconds", path=path, line=lines[0][0])
    kinds = {"time": _TIMES, "place": _PLACES, "confidence": _CONFIDENCES}
    found = {kind: [names.index(word) for word in words if word in names] for kind, words in kinds.items()}
    prose = not re.search("[\t;,]", lines[0][1]) and set(names) - {*_TIMES, *_PLACES, *_CONFIDENCES, "bar"}
    return {kind: at[0] for kind, at in found.items() if at} if found["time"] and not prose else {}


def _kinds(columns: list[Lines], path: str | Path) -> dict[str, int]:
    """Tell which column is what by what is in the cells."""
    texts = [[text for _, text in column] for column in columns]
    if len(columns) == 1:
        return {"time": 0}
    if _are_ends(texts[0], texts[1], equal=len(columns) == 2):
        return {"time": 0, "place": 2}
    if len(columns) == 2:
        return {"time": 0, "place": 1}
    odd = [line for line, text in columns[2] if text]
    if len(odd) < len(columns[0]) / 2:
        raise InputError("has more columns than most lines", path=path, line=odd[0] if odd else None)
    if len(columns) > 3:
        line = next(line for line, text in columns[3] if text)
        wanted = "name them in a first line, like time,position,confidence"
        raise InputError(f"has {len(columns)} columns: {wanted}", path=path, line=line)
    if not all(map(_WHOLE.fullmatch, texts[2])):
        return {"time": 0, "place": 1, "confidence": 2}
    return {"time": 0, "place": 2 if _never_falls(texts[1]) and not _never_falls(texts[2]) else 1}


def _are_ends(starts: list[str], ends: list[str], *, equal: bool) -> bool:
    """Whether the second column is the end of what starts in the first, as in Audacity's labels."""
    if starts == ends:
        return True
    fine = re.compile(r"\d+[.,](\d{3,})")
    pairs = [(fine.fullmatch(start), fine.fullmatch(end)) for start, end in zip(starts, ends, strict=True)]
    return not equal and all(
        start and end and len(start[1]) == len(end[1]) and _float(end[0]) >= _float(start[0]) for start, end in pairs
    )


def _never_falls(texts: list[str]) -> bool:
    return all(map(_WHOLE.fullmatch, texts)) and all(int(a) <= int(b) for a, b in pairwise(texts))


def _float(text: str) -> float:
    return float(text.replace(",", "."))


def _times(cells: Lines, path: str | Path) -> list[float]:
    times: list[float] = []
    before = 0
    for line, text in cells:
        if re.fullmatch(r"[+-]?(nan|inf|infinity)", text.lower()):
            raise InputError(f"{text!r} is not a finite time", path=path, line=line)
        if not _NUMBER.fullmatch(text):
            raise InputError(f"{text!r} is not a time in seconds", path=path, line=line)
        time = _float(text)
        if time < 0:
            raise InputError(f"{text} s: a beat cannot come before the recording starts", path=path, line=line)
        if times and time == times[-1]:
            raise InputError(f"{text} s is the same beat as in line {before}", path=path, line=line)
        if times and time < times[-1]:
            earlier = f"{text} s comes before {times[-1]:g} s in line {before}: beats must be in order"
            raise InputError(earlier, path=path, line=line)
        times.append(time)
        before = line
    return times


def places(cells: Lines, path: str | Path) -> list[int]:
    """Read positions in the bar from their text, by the rule in this module's docstring.

    Parameters
    ----------
    cells : list of (int, str)
        The line and the text of every place.
    path : path-like
        What to call the file in errors.

    Raises
    ------
    InputError
        Naming the line that holds something else.
    """
    written = [(line, text) for line, text in cells if text.lower() not in _WORDS]
    for line, text in written:
        if not (_WHOLE.fullmatch(text) or _WHOLE_FLOAT.fullmatch(text) or _BAR_BEAT.fullmatch(text)):
            wanted = "write its position in the bar (1 is the downbeat), or bar.beat such as 12.3, or nothing"
            raise InputError(f"{text!r} is not the place of a beat: {wanted}", path=path, line=line)
    if all(_WHOLE.fullmatch(text) or _WHOLE_FLOAT.fullmatch(text) for _, text in written):
        numbers = [int(_float(text)) for _, text in written]
        if len(numbers) > _LONGEST_BAR and all(b == a + 1 for a, b in pairwise(numbers)):
            _log.warning("%s: its numbers count the beats: positions in the bar are unknown", path)
            numbers = [0] * len(numbers)
    else:
        numbers = _beats_of_bars(written, path)
    known = dict(zip((line for line, _ in written), numbers, strict=True))
    return [known[line] if line in known else _WORDS[text.lower()] for line, text in cells]


def _beats_of_bars(written: Lines, path: str | Path) -> list[int]:
    for line, text in written:
        if not _BAR_BEAT.fullmatch(text):
            raise InputError(f"{text!r} is no bar.beat, but other lines have one", path=path, line=line)
    beats_of = [re.split(r"[.:|,]", text)[1] for _, text in written]
    if len({len(beat) for beat in beats_of}) == 1 and all(beat.endswith("0") for beat in beats_of):
        beats_of = [beat.rstrip("0") or "0" for beat in beats_of]
    for (line, text), beat in zip(written, beats_of, strict=True):
        if not 1 <= int(beat) < 1000:
            raise InputError(f"{text!r} is no bar.beat: beats are counted from 1", path=path, line=line)
    return [int(beat) for beat in beats_of]


def _confidences(cells: Lines, path: str | Path) -> list[float] | None:
    if not any(text for _, text in cells):
        return None
    for line, text in cells:
        if not _NUMBER.fullmatch(text) or not 0 <= _float(text) <= 1:
            raise InputError(f"{text!r} is not a confidence between 0 and 1", path=path, line=line)
    return [_float(text) for _, text in cells]


def beats(beats: Beats) -> str:
    """Write `.beats`: time, tab, position; the time alone where no position is known."""
    if not beats.positions.any():
        return "".join(f"{time:.6f}\n" for time, _ in beats)
    return "".join(f"{time:.6f}\t{position}\n" for time, position in beats)


def csv(beats: Beats) -> str:
    """Write CSV with names in the first line, and confidences if there are any."""
    if beats.confidence is None:
        return "time,position\n" + "".join(f"{time:.6f},{position}\n" for time, position in beats)
    rows = zip(beats, beats.confidence.tolist(), strict=True)
    return "time,position,confidence\n" + "".join(f"{t:.6f},{p},{c:.6f}\n" for (t, p), c in rows)


def sonic_visualiser_csv(beats: Beats) -> str:
    """Write what Sonic Visualiser imports as a layer of time instants: time, label."""
    return "".join(f"{time:.6f},{position or 'New Point'}\n" for time, position in beats)


def audacity(beats: Beats) -> str:
    """Write a label track of Audacity: start, end, label."""
    return "".join(f"{time:.6f}\t{time:.6f}\t{position or ''}\n" for time, position in beats)


def reaper(beats: Beats) -> str:
    """Write markers for Reaper's region/marker manager, named bar.beat where the position is known."""
    rows, bar = ["#,Name,Start,End,Length\n"], 0
    for number, (time, position) in enumerate(beats, 1):
        bar += position == 1
        minutes, microseconds = divmod(round(time * 1e6), 60_000_000)
        clock = f"{minutes // 60}:{minutes % 60:02d}:{microseconds / 1e6:09.6f}"
        rows.append(f"M{number},{f'{bar}.{position}' if position else 'beat'},{clock},,\n")
    return "".join(rows)
