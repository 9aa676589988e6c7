"""Annotations as lines of text: .beats, TSV, CSV, and the tables of Sonic Visualiser, Audacity, ASAP and AIST.

How a table is understood:

- Lines that start with `#`, `%`, `//` or `;;` are comments, and so is what follows one of these after a space; empty
  lines are ignored. The separator is detected in each line: tab, semicolon, comma or spaces; cells may be quoted. A
  decimal comma is read if the separator is not a comma. Times are seconds, or a clock such as 0:01:02.5.
- A first line of names says what the columns are, in English, Spanish, Portuguese, French, German or Italian. Without
  one they are a time; a time and a label; or a time, a position and a confidence, or the number of the bar if it is a
  whole number. Where the second number is an end, written like the first, the columns are the start, end and label of
  Audacity. Where the third has positions and the second has none, it is the height of a text layer.
- The meaning of the labels is in `levada.io.formats.conventions`.
"""

from __future__ import annotations

import csv as csv_lines
import re
from itertools import pairwise
from pathlib import Path

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats.conventions import (
    CONVENTIONS,
    HINT,
    TICKS,
    check_convention,
    format_labels,
    round_trips,
)
from levada.io.formats.layers import Layer, Marker, normalize_text, parse_time, split_lines
from levada.io.formats.provenance import Metadata

__all__ = ["dump_audacity", "dump_beats", "dump_csv", "dump_sonic_visualiser_csv", "parse"]

_NAMES = {  # what columns are called, without accents, spaces and signs
    "time": (
        "time times timesec timesecs times(s) timess timeinseconds timeseconds timeins seconds second secs sec s start"
        " starts starttime onset onsets onsettime beattime beattimes timestamp timestamps t begin segundo segundos"
        " inicio instante secondes debut zeit sekunden start(s) secondi inizio tiempos tiempoens tiemposeg"
        " tempos temposeg tiemposs tiempo(s) tempo(s)"
    ),
    "ms": "ms timems milliseconds millisecond msec timemsec timeinms startms onsetms milisegundos tiempoms tempoms",
    "end": "end ends endtime offset duration fin fim ende fine final durationsec length",
    "position": (
        "barbeat position positions beatposition beatpositions beatinbar beatinmeasure beatno beatnumber beatnum pos"
        " posicion posicao pulso pulsos golpe batida beat beats beatid number label labels metreauto metre meter"
        " metricalposition schlag zahlzeit temps battito tiempo tempo count value name"
    ),
    "bar": "bar bars barno barnumber measure measures measureno measurenumber compas compases compasso takt mesure",
    "downbeat": (
        "downbeat downbeats isdownbeat isfirstinmeasure isfirstinbar firstinmeasure firstbeat isfirst barline"
        " tiempofuerte tempoforte"
    ),
    "confidence": "confidence conf probability confianza confianca",
    "frames": "frame frames sample samples samplenumber",
}
_KIND = {name: kind for kind, names in reversed(_NAMES.items()) for name in names.split()}
_EITHER = ("tiempo", "tempo", "temps", "beats", "beat", "pulso", "pulsos")  # a time where no other column is one
_FILE = re.compile(r".*[/\\].*|.*\.[A-Za-z][A-Za-z0-9]{1,4}")
_WHOLE = re.compile(r"\d{1,9}")
_PLACE = re.compile(r"(?=[\d.,:|]{1,12}$)\d+([.,:|]\d+)?")
_COMMENT = re.compile(r"\s+(?:#|%|//|;;)\s.*$|\s+#.*$")
_STARTS = ("#", "%", "//", ";;", "\\")  # \ begins Audacity's lines of frequencies
_CONVENTION = re.compile(r"\s*[#%]\s*convention:\s*(\S.*?)\s*$")

Lines = list[tuple[int, str]]  # line counted from 1, text of the line or of one of its cells


def parse(text: str, *, path: str | Path, columns: str = "") -> Layer:
    """Read the marks of a table.

    Parameters
    ----------
    text : str
        The file's content.
    path : path-like
        What to call the file in errors.
    columns : str
        Names of its columns, such as `time,bar,beat`; by default from the first line or the cells.

    Raises
    ------
    InputError
        Naming the line that cannot be understood.
    """
    lines, convention = _lines(text, path)
    rows = [(number, _cells(content)) for number, content in lines]
    rows = [(number, cells) for number, cells in rows if any(cells)]
    notes: list[str] = []
    if columns:
        roles = {name: i for i, name in enumerate(columns.split(",")) if name != "-"}
        roles = {"position" if name == "beat" else name: i for name, i in roles.items()}
        if rows and parse_time(_cell(rows[0][1], roles["time"])) is None:
            rows = rows[1:]
    else:
        roles = _named(rows, notes, path)
        rows = rows[1:] if roles else rows
    if not rows:
        raise InputError("has no beats", path=path)
    if not roles:
        if all(re.fullmatch(r"\d+,\d+", content) for _, content in lines):
            either = f"{lines[0][1]!r} may be one number or two: write a decimal point, or a tab between columns"
            raise InputError(either, path=path, line=lines[0][0])
        rows, roles = _unnamed(rows, notes, path)
    marks, convention_here = _marks(rows, roles, notes, path, is_stated=bool(columns))
    return Layer(tuple(marks), convention=convention or convention_here, notes=tuple(notes))


def _lines(text: str, path: str | Path) -> tuple[Lines, str]:
    lines: Lines = []
    convention = ""
    for number, content in enumerate(split_lines(text), 1):
        stated = _CONVENTION.match(content)
        if stated:
            try:
                convention = check_convention(stated[1])
            except InputError as error:
                raise InputError(error.problem, path=path, line=number) from error
        content = content.strip(" \x00\ufeff")
        if not content.strip() or content.lstrip().startswith(_STARTS) or re.match(r"sep=.$", content, re.I):
            continue
        lines.append((number, _COMMENT.sub("", content)))
    return lines, convention if convention in CONVENTIONS else ""


def _cells(content: str) -> list[str]:
    bare = re.sub(r'"[^"]*"', "q", content)
    separator = next((mark for mark in "\t;" if mark in bare), None)
    if separator is None and "," in bare and not re.fullmatch(r"[\d:]+,\d+\s+\S+", bare):  # but for a decimal comma
        separator = ","
    if separator is None:
        cells = re.findall(r'"[^"]*"|\S+', content)
    elif '"' in content:
        try:
            cells = next(csv_lines.reader([content], delimiter=separator, skipinitialspace=True))
        except (csv_lines.Error, StopIteration):
            cells = content.split(separator)
    else:
        cells = content.split(separator)
    return [cell.strip().strip('"').strip() for cell in cells]


def _cell(cells: list[str], i: int) -> str:
    return cells[i] if i < len(cells) else ""


def _named(rows: list[tuple[int, list[str]]], notes: list[str], path: str | Path) -> dict[str, int]:
    """Tell which column is what by the names in the first line; nothing if it holds no names."""
    if not rows or any(parse_time(cell) is not None for cell in rows[0][1]):
        return {}
    line, cells = rows[0]
    names = [re.sub(r"[\s_()\[\].,:/-]", "", normalize_text(cell)) for cell in cells]
    kinds = [_KIND.get(name, "") for name in names]
    if "frames" in kinds and not {"time", "ms"} & set(kinds):
        raise InputError("times are in frames: export them in seconds", path=path, line=line)
    roles: dict[str, int] = {}
    for i, kind in enumerate(kinds):
        if kind and kind not in roles:
            roles[kind] = i
    if "time" not in roles and "ms" not in roles:
        either = [i for word in _EITHER for i, name in enumerate(names) if name == word and _rises(rows[1:], i)]
        if either:
            roles = {kind: i for kind, i in roles.items() if i != either[0]}
            roles["time"] = either[0]
            others = [i for i, kind in enumerate(kinds) if kind == "position" and i != either[0]]
            roles |= {"position": others[-1]} if others and "position" not in roles else {}
    if "time" not in roles and "ms" not in roles:
        if (
            len(cells) > 1
            and len(rows) > 1
            and all(re.search("[^\\W\\d]", c) for c in cells)
            and parse_time(rows[1][1][0]) is not None
        ):
            raise InputError(
                f"its columns {', '.join(cells)} are named, but none is known for a time: name one time, or {HINT}: "
                "time,beat",
                path=path,
                line=line,
            )
        return {}
    if len(cells) > 2 and "position" not in roles and "bar" not in roles and not any(kinds):
        return {}
    known = sum(map(bool, kinds))
    if len(cells) > 1 and known == 1 and len(rows) > 1 and len(rows[1][1]) < len(cells):
        return {}  # a sentence that begins with such a word
    _skip_bad_positions(rows, roles, kinds, names)
    passed = [cell for i, cell in enumerate(cells) if cell and i not in roles.values() and kinds[i] != "end"]
    if passed:
        notes.append(f"its columns {', '.join(passed)} are not used")
    return roles


def _skip_bad_positions(
    rows: list[tuple[int, list[str]]], roles: dict[str, int], kinds: list[str], names: list[str]
) -> None:
    """Take another column for the positions where the first so named has none: `tempo` may hold tempi."""
    for i in [roles.get("position", -1), *(j for j, kind in enumerate(kinds) if kind == "position")]:
        if i < 0 or i == roles.get("time"):
            continue
        cells = [_cell(row, i) for _, row in rows[1:]]
        if names[i] not in ("tempo", "value", "count", "name") or all(not c or _WHOLE.fullmatch(c) for c in cells):
            roles["position"] = i
            return
    roles.pop("position", None)


def _rises(rows: list[tuple[int, list[str]]], i: int) -> bool:
    """Whether a column has times, which are not all whole numbers."""
    cells = [_cell(row, i) for _, row in rows]
    times = [parse_time(cell) for cell in cells if cell]
    if len(times) < 1 or any(time is None for time in times):
        return False
    whole = all(_WHOLE.fullmatch(cell) for cell in cells if cell)
    return not whole and all(b is not None and a is not None and b > a for a, b in pairwise(times))


def _unnamed(
    rows: list[tuple[int, list[str]]], notes: list[str], path: str | Path
) -> tuple[list[tuple[int, list[str]]], dict[str, int]]:
    """Tell which column is what by what is in the cells."""
    rows = _without_index(_without_file(rows), notes)
    for line, cells in rows:
        _time(_cell(cells, 0), path, line)
    width = max(len(cells) for _, cells in rows)
    columns = [[_cell(cells, i) for _, cells in rows] for i in range(width)]
    while len(columns) > 1 and not any(columns[-1]):
        columns.pop()
    if len(columns) == 1:
        return rows, {"time": 0}
    _refuse_tempi(rows, columns, path)
    if _is_aist(columns):
        notes.append("its times are taken for hundredths of a second, as in AIST's annotation of RWC")
        return rows, {"hundredths": 0, "position": len(columns) - 1}
    if _are_ends(columns[0], columns[1], equal=len(columns) == 2):
        label = next((i for i in range(2, len(columns)) if any(columns[i])), 2)
        return rows, {"time": 0, "end": 1, "position": label}
    if len(columns) == 2:
        return rows, {"time": 0, "position": 1}
    filled = [sum(map(bool, column)) for column in columns]
    for i in range(2, len(columns)):
        if 0 < filled[i] < len(rows) / 2:
            odd = next(k for k, cell in enumerate(columns[i]) if cell)
            if all(parse_time(cell) is None for cell in columns[i] if cell):
                what = f"{columns[i][odd]!r} in line {rows[odd][0]}"
                notes.append(f"what follows the label is passed over: {what}")
                return rows, {"time": 0, "position": 1}
            raise InputError("has more columns than most lines", path=path, line=rows[odd][0])
    if len(columns) > 3:
        wanted = f"name them in a first line, like time,position,confidence, or {HINT}: time,beat"
        raise InputError(f"has {len(columns)} columns: {wanted}", path=path, line=rows[0][0])
    if all(parse_time(cell) is None for cell in columns[2] if cell) and all(map(_PLACE.fullmatch, columns[1])):
        notes.append(f"its third column is not used: {next(cell for cell in columns[2] if cell)!r}")
        return rows, {"time": 0, "position": 1}
    return rows, _three(columns, rows, path)


def _three(columns: list[list[str]], rows: list[tuple[int, list[str]]], path: str | Path) -> dict[str, int]:
    """Tell what the second and the third of three columns are."""
    second, third = columns[1:]
    if all(map(_WHOLE.fullmatch, second)) and all(map(_WHOLE.fullmatch, third)):
        if _is_bar(second, third) == _is_bar(third, second):
            either = f"its second and third column can both be bars or beats: name them in a first line, or {HINT}"
            raise InputError(f"{either}: time,bar,beat", path=path, line=rows[0][0])
        return {"time": 0, "position": 2, "bar": 1} if _is_bar(second, third) else {"time": 0, "position": 1, "bar": 2}
    shares = all(not cell or ((value := parse_time(cell)) is not None and 0 <= value <= 1) for cell in third)
    if not shares and all(parse_time(cell) is not None for cell in second):
        heights = not all(map(_WHOLE.fullmatch, second)) or len(set(second)) == 1
        labels = sum(bool(_PLACE.fullmatch(cell)) or not cell or bool(re.search(r"[^\W\d]", cell)) for cell in third)
        if heights and labels == len(third):
            return {"time": 0, "position": 2}
    return {"time": 0, "position": 1, "confidence": 2}


def _is_bar(first: list[str], other: list[str]) -> bool:
    """Whether the first column has numbers of bars if the other one has beats: it never falls, and beats restart."""
    bars, beats = [int(cell) for cell in first], [int(cell) for cell in other]
    good = [
        (bar == before and beat == last + 1) or (bar == before + 1 and beat in (0, 1) and beat < last)
        for (before, bar), (last, beat) in zip(pairwise(bars), pairwise(beats), strict=True)
    ]
    return sum(good) >= 0.8 * len(good) if good else False


def _without_file(rows: list[tuple[int, list[str]]]) -> list[tuple[int, list[str]]]:
    """Leave out a first column with the name of the recording, as sonic-annotator writes it."""
    first = [_cell(cells, 0) for _, cells in rows]
    named = {cell for cell in first if cell}
    is_file = len(named) == 1 and first[0] in named and parse_time(first[0]) is None and _FILE.fullmatch(first[0])
    if not is_file or any(parse_time(_cell(cells, 1)) is None for _, cells in rows):
        return rows
    return [(line, cells[1:]) for line, cells in rows]


def _without_index(rows: list[tuple[int, list[str]]], notes: list[str]) -> list[tuple[int, list[str]]]:
    """Leave out a first column that only counts the rows, before one of times."""
    first = [_cell(cells, 0) for _, cells in rows]
    counts = [int(cell) for cell in first if _WHOLE.fullmatch(cell)]
    if len(rows) < 3 or len(counts) < len(rows) or counts != list(range(counts[0], counts[0] + len(rows))):
        return rows
    if counts[0] > 1 or max(len(cells) for _, cells in rows) < 3 or not _rises(rows, 1):
        return rows
    notes.append("its first column numbers the rows: the second has the times")
    return [(line, cells[1:]) for line, cells in rows]


def _refuse_tempi(rows: list[tuple[int, list[str]]], columns: list[list[str]], path: str | Path) -> None:
    """Refuse a curve of tempi: its times are those of changes, not of beats."""
    for i, column in enumerate(columns[2:], 2):
        tempi = [re.fullmatch(r"(\d+(?:\.\d+)?)\s*bpm", normalize_text(cell)) for cell in column]
        for before in columns[1:i]:
            values = [parse_time(cell) for cell in before]
            if all(
                tempo and value is not None and abs(float(tempo[1]) - value) < 0.51
                for tempo, value in zip(tempi, values, strict=True)
            ):
                what = "has tempi and when they change, not beats: export the beats of the beat tracker"
                raise InputError(what, path=path, line=rows[0][0])


def _is_aist(columns: list[list[str]]) -> bool:
    if not all(map(_WHOLE.fullmatch, columns[0] + columns[-1])):
        return False
    ticks = [int(cell) for cell in columns[-1]]
    return TICKS in ticks and all(0 < tick <= TICKS and tick % 12 == 0 for tick in ticks)


def _are_ends(starts: list[str], ends: list[str], *, equal: bool) -> bool:
    """Whether the second column is the end of what starts in the first, as in Audacity's labels."""
    if starts == ends:
        return True
    if not equal and len(ends) > 2 and (_follow(starts, ends) or _mostly_points(starts, ends)):
        return True
    fine = re.compile(r"\d+[.,](\d{3,})")
    pairs = [(fine.fullmatch(start), fine.fullmatch(end)) for start, end in zip(starts, ends, strict=True)]
    return not equal and all(
        start and end and len(start[1]) == len(end[1]) and _float(end[0]) >= _float(start[0]) for start, end in pairs
    )


def _follow(starts: list[str], ends: list[str]) -> bool:
    """Whether regions follow one another: each ends where the next one begins."""
    times = [(parse_time(start), parse_time(end)) for start, end in zip(starts, ends, strict=True)]
    rise = all(start is not None and end is not None and end > start for start, end in times)
    return rise and all(end == start for (_, end), (start, _) in pairwise(times))


def _mostly_points(starts: list[str], ends: list[str]) -> bool:
    """Whether most rows are points, which end where they begin, and the others are regions."""
    times = [(parse_time(start), parse_time(end)) for start, end in zip(starts, ends, strict=True)]
    forward = all(start is not None and end is not None and end >= start for start, end in times)
    return forward and 2 * sum(end == start for start, end in times) > len(times)


def _float(text: str) -> float:
    return float(text.replace(",", "."))


def _marks(
    rows: list[tuple[int, list[str]]], roles: dict[str, int], notes: list[str], path: str | Path, *, is_stated: bool
) -> tuple[list[Marker], str]:
    at = next(roles[kind] for kind in ("time", "ms", "hundredths") if kind in roles)
    scale = 1.0 if "time" in roles else 0.001 if "ms" in roles else 0.01
    if scale == 0.001:
        notes.append("its times are in milliseconds, by the name of the column")
    label, convention = (roles["position"], "") if is_stated and "position" in roles else _label_column(rows, roles)
    confidences = _confidences(rows, roles, path)
    marks = []
    for (line, cells), sure in zip(rows, confidences, strict=True):
        time = _time(_cell(cells, at), path, line)
        end = parse_time(_cell(cells, roles["end"])) if "end" in roles else None
        marks.append(Marker(time * scale, _cell(cells, label) if label is not None else "", line, end, sure))
    return marks, convention


def _time(text: str, path: str | Path, line: int) -> float:
    time = parse_time(text)
    if re.fullmatch(r"[+-]?(nan|inf|infinity)", text.lower()):
        raise InputError(f"{text!r} is not a finite time", path=path, line=line)
    if time is None or abs(time) > 1e7:
        raise InputError(f"{text[:60]!r} is not a time in seconds", path=path, line=line)
    return time


def _label_column(rows: list[tuple[int, list[str]]], roles: dict[str, int]) -> tuple[int | None, str]:
    """Choose the column of labels, and the convention that its name implies."""
    if "position" in roles:
        values = [_cell(cells, roles["position"]) for _, cells in rows]
        counts = (
            len(values) > 2 and all(map(_WHOLE.fullmatch, values)) and all(int(b) > int(a) for a, b in pairwise(values))
        )
        if not counts or not {"bar", "downbeat"} & set(roles):
            return roles["position"], ""
        if "bar" in roles and len({_cell(cells, roles["bar"]) for _, cells in rows}) == 1:
            return roles["position"], "positions"  # one bar only
    if "downbeat" in roles:
        return roles["downbeat"], "downbeat"
    if "bar" in roles:
        return roles["bar"], "bars"
    return None, ""


def _confidences(rows: list[tuple[int, list[str]]], roles: dict[str, int], path: str | Path) -> list[float | None]:
    cells = [(line, _cell(cells, roles["confidence"]) if "confidence" in roles else "") for line, cells in rows]
    if not any(text for _, text in cells):
        return [None] * len(rows)
    values = [parse_time(text) for _, text in cells]
    for (line, text), value in zip(cells, values, strict=True):
        if value is None or not 0 <= value <= 1:
            raise InputError(f"{text!r} is not a confidence between 0 and 1", path=path, line=line)
    return values


def dump_beats(beats: Beats, metadata: Metadata) -> str:
    """Write `.beats`: time, tab, position; the time alone where no position is known; provenance is a comment."""
    comment = f"# {metadata.comment}\n" if metadata.comment else ""
    if not beats.positions.any():
        return comment + "".join(f"{time:.6f}\n" for time, _ in beats)
    return comment + _stated(beats) + "".join(f"{time:.6f}\t{position}\n" for time, position in beats)


def dump_csv(beats: Beats, _: Metadata) -> str:
    """Write CSV with names in the first line, and confidences if there are any."""
    if beats.confidence is None:
        return _stated(beats) + "time,position\n" + "".join(f"{time:.6f},{position}\n" for time, position in beats)
    rows = zip(beats, beats.confidence.tolist(), strict=True)
    return _stated(beats) + "time,position,confidence\n" + "".join(f"{t:.6f},{p},{c:.6f}\n" for (t, p), c in rows)


def _stated(beats: Beats) -> str:
    """Write a comment with the convention where the numbers alone could be read otherwise."""
    return "" if round_trips(beats, [str(position) for _, position in beats]) else "# convention: positions\n"


def dump_sonic_visualiser_csv(beats: Beats, _: Metadata) -> str:
    """Write what Sonic Visualiser imports as a layer of time instants: time, label."""
    texts = format_labels(beats)
    return "".join(f"{time:.6f},{text or 'New Point'}\n" for (time, _), text in zip(beats, texts, strict=True))


def dump_audacity(beats: Beats, _: Metadata) -> str:
    """Write a label track of Audacity: start, end, label."""
    texts = format_labels(beats)
    return "".join(f"{time:.6f}\t{time:.6f}\t{text}\n" for (time, _), text in zip(beats, texts, strict=True))
