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
from contextlib import suppress
from dataclasses import dataclass, field
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
    "position_confidence": "positionconfidence",
    "frames": "frame frames sample samples samplenumber",
}
_KIND = {name: kind for kind, names in reversed(_NAMES.items()) for name in names.split()}
_EITHER = ("tiempo", "tempo", "temps", "beats", "beat", "pulso", "pulsos")  # a time where no other column is one
_FILE = re.compile(r".*[/\\].*|.*\.[A-Za-z][A-Za-z0-9]{1,4}")
_WHOLE = re.compile(r"\d{1,9}")
_PLACE = re.compile(r"(?=[\d.,:|]{1,12}$)\d+([.,:|]\d+)?")
_LETTER = re.compile(r"[^\W\d]")
_FINE = re.compile(r"\d+[.,](\d{3,})")
_UNITS_S = {"time": 1.0, "ms": 0.001, "hundredths": 0.01}  # of columns of times
_COMMENT = re.compile(r"\s+(?:#|%|//|;;)\s.*$|\s+#.*$")
_STARTS = ("#", "%", "//", ";;", "\\")  # \ begins Audacity's lines of frequencies
_CONVENTION = re.compile(r"\s*[#%]\s*convention:\s*(\S.*?)\s*$")


def parse(text: str, *, path: str | Path, columns: str = "") -> Layer:
    """Read the marks of a table.

    Parameters
    ----------
    text : str
    path : path-like
        What errors name.
    columns : str
        Names of its columns, such as `time,bar,beat`; by default from the first line or the cells.

    Raises
    ------
    InputError
        Naming the line that cannot be understood.
    """
    lines, convention = _lines(text, path)
    rows = [_Row(line, cells) for line, content in lines if any(cells := _cells(content))]
    table = _Table(rows, path)
    if columns:
        roles = {"position" if name == "beat" else name: i for i, name in enumerate(columns.split(",")) if name != "-"}
        has_names = bool(rows) and parse_time(rows[0][roles["time"]]) is None
    else:
        roles = table.roles_by_name()
        has_names = bool(roles)
    table.rows = rows[has_names:]
    if not table.rows:
        raise InputError("has no beats", path=path)
    if not roles:
        if all(re.fullmatch(r"\d+,\d+", content) for _, content in lines):
            either = f"{lines[0][1]!r} may be one number or two: write a decimal point, or a tab between columns"
            raise InputError(either, path=path, line=lines[0][0])
        roles = table.roles_by_content()
    marks, implied = table.marks(roles, is_stated=bool(columns))
    return Layer(tuple(marks), convention=convention or implied, notes=tuple(table.notes))


def _lines(text: str, path: str | Path) -> tuple[list[tuple[int, str]], str]:
    """Return lines that are no comments, counted from 1, and the convention that a comment names."""
    lines, convention = list[tuple[int, str]](), ""
    for number, content in enumerate(split_lines(text), 1):
        if stated := _CONVENTION.match(content):
            try:
                convention = check_convention(stated[1])
            except InputError as error:
                raise InputError(error.problem, path=path, line=number) from error
        content = content.strip(" \x00\ufeff")
        if content.strip() and not content.lstrip().startswith(_STARTS) and not re.match(r"sep=.$", content, re.I):
            lines.append((number, _COMMENT.sub("", content)))
    return lines, convention if convention in CONVENTIONS else ""


def _cells(content: str) -> list[str]:
    bare = re.sub(r'"[^"]*"', "q", content)
    separator = next((mark for mark in "\t;" if mark in bare), None)
    if separator is None and "," in bare and not re.fullmatch(r"[\d:]+,\d+\s+\S+", bare):  # but for a decimal comma
        separator = ","
    cells = re.findall(r'"[^"]*"|\S+', content) if separator is None else content.split(separator)
    if separator and '"' in content:
        with suppress(csv_lines.Error, StopIteration):
            cells = next(csv_lines.reader([content], delimiter=separator, skipinitialspace=True))
    return [cell.strip().strip('"').strip() for cell in cells]


@dataclass(frozen=True)
class _Row:
    """The cells of a line; those that it lacks are empty."""

    line: int
    cells: list[str]

    def __getitem__(self, i: int) -> str:
        return self.cells[i] if i < len(self.cells) else ""

    def __len__(self) -> int:
        return len(self.cells)


@dataclass
class _Table:
    """The rows of a table, and what was assumed about them.

    `roles` are columns by what they hold: a key of `_NAMES`, or "hundredths" for times of AIST.
    """

    rows: list[_Row]
    path: str | Path
    notes: list[str] = field(default_factory=list)

    def column(self, i: int) -> list[str]:
        return [row[i] for row in self.rows]

    def error(self, problem: str, row: int = 0) -> InputError:
        return InputError(problem, path=self.path, line=self.rows[row].line)

    def roles_by_name(self) -> dict[str, int]:
        """Return the roles of columns by the names in the first row; none if it holds no names."""
        if not self.rows or any(parse_time(cell) is not None for cell in self.rows[0].cells):
            return {}
        cells, body = self.rows[0].cells, _Table(self.rows[1:], self.path)
        names = [re.sub(r"[\s_()\[\].,:/-]", "", normalize_text(cell)) for cell in cells]
        kinds = [_KIND.get(name, "") for name in names]
        if "frames" in kinds and not {"time", "ms"} & set(kinds):
            raise self.error("times are in frames: export them in seconds")
        roles = {kind: kinds.index(kind) for kind in kinds if kind}
        if not {"time", "ms"} & set(roles):
            either = [i for word in _EITHER for i, name in enumerate(names) if name == word and body.rises(i)]
            if either:
                roles = {kind: i for kind, i in roles.items() if i != either[0]} | {"time": either[0]}
                others = [i for i, kind in enumerate(kinds) if kind == "position" and i != either[0]]
                roles |= {"position": others[-1]} if others and "position" not in roles else {}
            elif (
                len(cells) > 1
                and body.rows
                and all(re.search("[^\\W\\d]", cell) for cell in cells)
                and parse_time(body.rows[0][0]) is not None
            ):
                problem = f"its columns {', '.join(cells)} are named, but none is known for a time: name one time, or "
                raise self.error(f"{problem}{HINT}: time,beat")
            else:
                return {}
        known = sum(map(bool, kinds))
        is_sentence = known == 1 and len(cells) > 1 and body.rows and len(body.rows[0]) < len(cells)
        if is_sentence or (len(cells) > 2 and not known and not {"position", "bar"} & set(roles)):
            return {}
        body._choose_position(roles, kinds, names)
        unused = [cell for i, cell in enumerate(cells) if cell and i not in roles.values() and kinds[i] != "end"]
        if unused:
            self.notes.append(f"its columns {', '.join(unused)} are not used")
        return roles

    def _choose_position(self, roles: dict[str, int], kinds: list[str], names: list[str]) -> None:
        """Use another column of positions where the first so named has none: `tempo` may hold tempi."""
        for i in [roles.pop("position", -1), *(j for j, kind in enumerate(kinds) if kind == "position")]:
            if i < 0 or i == roles.get("time"):
                continue
            are_whole = all(not cell or _WHOLE.fullmatch(cell) for cell in self.column(i))
            if names[i] not in ("tempo", "value", "count", "name") or are_whole:
                roles["position"] = i
                return

    def rises(self, i: int) -> bool:
        """Whether a column has times, which are not all whole numbers."""
        cells = [cell for cell in self.column(i) if cell]
        times = [time for cell in cells if (time := parse_time(cell)) is not None]
        if not cells or len(times) < len(cells) or all(map(_WHOLE.fullmatch, cells)):
            return False
        return all(b > a for a, b in pairwise(times))

    def roles_by_content(self) -> dict[str, int]:
        """Return the roles of columns by what is in the cells; leaves out columns before the times."""
        self._drop_file()
        self._drop_index()
        for row in self.rows:
            self._time(row, 0)
        columns = [self.column(i) for i in range(max(map(len, self.rows)))]
        while len(columns) > 1 and not any(columns[-1]):
            columns.pop()
        if len(columns) == 1:
            return {"time": 0}
        self._refuse_tempi(columns)
        if _is_aist(columns):
            self.notes.append("its times are taken for hundredths of a second, as in AIST's annotation of RWC")
            return {"hundredths": 0, "position": len(columns) - 1}
        if _are_ends(columns[0], columns[1], equal=len(columns) == 2):
            return {"time": 0, "end": 1, "position": next((i for i in range(2, len(columns)) if any(columns[i])), 2)}
        if len(columns) == 2:
            return {"time": 0, "position": 1}
        for column in columns[2:]:
            if 0 < sum(map(bool, column)) < len(self.rows) / 2:
                odd = next(k for k, cell in enumerate(column) if cell)
                if all(parse_time(cell) is None for cell in column if cell):
                    what = f"{column[odd]!r} in line {self.rows[odd].line}"
                    self.notes.append(f"what follows the label is passed over: {what}")
                    return {"time": 0, "position": 1}
                raise self.error("has more columns than most lines", odd)
        if len(columns) > 3:
            wanted = f"name them in a first line, like time,position,confidence, or {HINT}: time,beat"
            raise self.error(f"has {len(columns)} columns: {wanted}")
        _, second, third = columns
        if all(parse_time(cell) is None for cell in third if cell) and all(map(_PLACE.fullmatch, second)):
            self.notes.append(f"its third column is not used: {next(cell for cell in third if cell)!r}")
            return {"time": 0, "position": 1}
        if all(map(_WHOLE.fullmatch, second)) and all(map(_WHOLE.fullmatch, third)):
            if _is_bar(second, third) == _is_bar(third, second):
                either = f"its second and third column can both be bars or beats: name them in a first line, or {HINT}"
                raise self.error(f"{either}: time,bar,beat")
            bar = 1 if _is_bar(second, third) else 2
            return {"time": 0, "position": 3 - bar, "bar": bar}
        filled = [cell for cell in third if cell]
        are_labels = all(_PLACE.fullmatch(cell) or _LETTER.search(cell) for cell in filled)
        if are_labels and _are_heights(second) and not all(map(_is_confidence, filled)):
            return {"time": 0, "position": 2}
        return {"time": 0, "position": 1, "confidence": 2}

    def _drop_file(self) -> None:
        """Leave out a first column with the name of the recording, as sonic-annotator writes it."""
        first = self.column(0)[0]
        is_file = set(self.column(0)) <= {first, ""} and parse_time(first) is None and _FILE.fullmatch(first)
        if is_file and all(parse_time(cell) is not None for cell in self.column(1)):
            self.rows = [_Row(row.line, row.cells[1:]) for row in self.rows]

    def _drop_index(self) -> None:
        """Leave out a first column that only counts the rows, before one of times."""
        count = len(self.rows)
        is_index = any(self.column(0) == [str(i) for i in range(first, first + count)] for first in (0, 1))
        if is_index and count > 2 and max(map(len, self.rows)) > 2 and self.rises(1):
            self.notes.append("its first column numbers the rows: the second has the times")
            self.rows = [_Row(row.line, row.cells[1:]) for row in self.rows]

    def _refuse_tempi(self, columns: list[list[str]]) -> None:
        """Refuse a curve of tempi: its times are those of changes, not of beats."""
        for i, column in enumerate(columns[2:], 2):
            tempi = [re.fullmatch(r"(\d+(?:\.\d+)?)\s*bpm", normalize_text(cell)) for cell in column]
            for before in columns[1:i]:
                values = [parse_time(cell) for cell in before]
                if all(
                    tempo and value is not None and abs(float(tempo[1]) - value) < 0.51
                    for tempo, value in zip(tempi, values, strict=True)
                ):
                    raise self.error("has tempi and when they change, not beats: export the beats of the beat tracker")

    def marks(self, roles: dict[str, int], *, is_stated: bool) -> tuple[list[Marker], str]:
        """Return a mark for each row, and the convention that the name of the column of labels implies."""
        unit = next(kind for kind in _UNITS_S if kind in roles)
        if unit == "ms":
            self.notes.append("its times are in milliseconds, by the name of the column")
        label, convention = (roles["position"], "") if is_stated and "position" in roles else self._label_column(roles)
        sure_columns = {
            role: roles[role]
            for role in ("confidence", "position_confidence")
            if role in roles and any(self.column(roles[role]))
        }
        marks = []
        for row in self.rows:
            for column in sure_columns.values():
                if not _is_confidence(row[column]):
                    problem = f"{row[column]!r} is not a confidence between 0 and 1"
                    raise InputError(problem, path=self.path, line=row.line)
            marks.append(
                Marker(
                    self._time(row, roles[unit]) * _UNITS_S[unit],
                    "" if label is None else row[label],
                    row.line,
                    parse_time(row[roles["end"]]) if "end" in roles else None,
                    **{role: parse_time(row[column]) for role, column in sure_columns.items()},
                )
            )
        return marks, convention

    def _time(self, row: _Row, i: int) -> float:
        text, time = row[i], parse_time(row[i])
        if re.fullmatch(r"[+-]?(nan|inf|infinity)", text.lower()):
            raise InputError(f"{text!r} is not a finite time", path=self.path, line=row.line)
        if time is None or abs(time) > 1e7:
            raise InputError(f"{text[:60]!r} is not a time in seconds", path=self.path, line=row.line)
        return time

    def _label_column(self, roles: dict[str, int]) -> tuple[int | None, str]:
        """Choose the column of labels, and the convention that its name implies."""
        if "position" in roles:
            values = self.column(roles["position"])
            counts = (
                len(values) > 2
                and all(map(_WHOLE.fullmatch, values))
                and all(int(b) > int(a) for a, b in pairwise(values))
            )
            if not counts or not {"bar", "downbeat"} & set(roles):
                return roles["position"], ""
            if "bar" in roles and len(set(self.column(roles["bar"]))) == 1:
                return roles["position"], "positions"  # one bar only
        for name, convention in (("downbeat", "downbeat"), ("bar", "bars")):
            if name in roles:
                return roles[name], convention
        return None, ""


def _is_confidence(cell: str) -> bool:
    value = parse_time(cell)
    return value is not None and 0 <= value <= 1


def _are_heights(cells: list[str]) -> bool:
    """Whether numbers are heights of a text layer: not all whole, or all the same."""
    is_number = all(parse_time(cell) is not None for cell in cells)
    return is_number and (not all(map(_WHOLE.fullmatch, cells)) or len(set(cells)) == 1)


def _is_bar(first: list[str], other: list[str]) -> bool:
    """Whether the first column has numbers of bars if the other one has beats: it never falls, and beats restart."""
    bars, beats = [int(cell) for cell in first], [int(cell) for cell in other]
    good = [
        (bar == before and beat == last + 1) or (bar == before + 1 and beat in (0, 1) and beat < last)
        for (before, bar), (last, beat) in zip(pairwise(bars), pairwise(beats), strict=True)
    ]
    return sum(good) >= 0.8 * len(good) if good else False


def _is_aist(columns: list[list[str]]) -> bool:
    if not all(map(_WHOLE.fullmatch, columns[0] + columns[-1])):
        return False
    ticks = [int(cell) for cell in columns[-1]]
    return TICKS in ticks and all(0 < tick <= TICKS and tick % 12 == 0 for tick in ticks)


def _are_ends(starts: list[str], ends: list[str], *, equal: bool) -> bool:
    """Whether the second column is the end of what starts in the first, as in Audacity's labels.

    Regions end where the next one begins, most rows are points that end where they begin, or both columns are written
    with the same three decimals or more. Of two columns only equal ones are start and end.
    """
    if starts == ends:
        return True
    times = [(parse_time(start), parse_time(end)) for start, end in zip(starts, ends, strict=True)]
    spans = [(start, end) for start, end in times if start is not None and end is not None and end >= start]
    if equal or len(spans) < len(times):
        return False
    points = sum(end == start for start, end in spans)
    follow = not points and all(end == start for (_, end), (start, _) in pairwise(spans))
    if len(spans) > 2 and (follow or 2 * points > len(spans)):
        return True
    fine = [(_FINE.fullmatch(start), _FINE.fullmatch(end)) for start, end in zip(starts, ends, strict=True)]
    return all(start and end and len(start[1]) == len(end[1]) for start, end in fine)


def dump_beats(beats: Beats, metadata: Metadata) -> str:
    """Write `.beats`: time, tab, position; the time alone where no position is known; provenance is a comment."""
    comment = f"# {metadata.comment}\n" if metadata.comment else ""
    if not beats.positions.any():
        return comment + "".join(f"{time:.6f}\n" for time, _ in beats)
    return comment + _stated(beats) + "".join(f"{time:.6f}\t{position}\n" for time, position in beats)


def dump_csv(beats: Beats, _: Metadata) -> str:
    """Write CSV with names in the first line, and confidences if there are any."""
    confidences = {"confidence": beats.confidence, "position_confidence": beats.position_confidence}
    given = {name: sure for name, sure in confidences.items() if sure is not None}
    rows = zip(beats, *given.values(), strict=True)
    lines = (f"{time:.6f},{position}" + "".join(f",{sure:.6f}" for sure in row) for (time, position), *row in rows)
    return _stated(beats) + "\n".join([",".join(["time", "position", *given]), *lines]) + "\n"


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
