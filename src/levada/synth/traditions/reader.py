"""Traditions from files: errors in them are reported with line and column."""

from __future__ import annotations

import math
import re
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

from levada.errors import InputError, suggest
from levada.io.toml import KeyPath, find_positions, read_toml
from levada.synth.instruments import PITCHED, STROKES, STRUCK
from levada.synth.traditions.model import Form, Instrument, Pattern, Tradition

__all__ = ["FOLDER", "NOTES", "list_traditions", "read_tradition"]

FOLDER = Path(__file__).parents[2] / "traditions"
NOTES = ("root", "third", "fifth", "octave", "chord", "melody")
REST = "."


def list_traditions() -> dict[str, Path]:
    """Names of the traditions that come with levada, and their files."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def read_tradition(source: str | Path) -> Tradition:
    """Read a tradition from a file, or one that comes with levada by its name.

    Raises
    ------
    InputError
        If there is no such tradition, or its description contradicts itself; names the file, line and column.
    """
    known = list_traditions()
    path = known.get(str(source), Path(source))
    if not _exists(path):
        if path.suffix == ".toml":
            raise InputError("there is no such file", path=path)
        problem = f"there is no tradition {str(source)!r}; {suggest(str(source), known)}, or name a TOML file"
        raise InputError(problem)
    table = read_toml(path)
    if not table:
        raise InputError("is empty: a tradition has beats, tatums, tempo_bpm and [instruments.NAME]", path=path)
    try:
        return _tradition(path.stem, _Table(table))
    except _Fault as fault:
        positions = find_positions(path.read_text(encoding="utf-8-sig"))
        line, column = positions.of(fault.where, character=fault.character, key=fault.key) or (None, None)
        who = f"instrument {fault.where[1]}: " if len(fault.where) > 1 and fault.where[0] == "instruments" else ""
        raise InputError(who + str(fault), path=path, line=line, column=column) from None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # no name of a file at all
        return False


class _Fault(Exception):
    """Something is wrong with an entry, with one character of it, or with its key."""

    def __init__(self, problem: str, where: KeyPath, *, character: int | None = None, key: bool = False) -> None:
        super().__init__(problem)
        self.where, self.character, self.key = where, character, key


class _Table:
    """A table of the file and its place: an entry is as it should be, or a fault."""

    def __init__(self, entries: object, where: KeyPath = ()) -> None:
        if not isinstance(entries, Mapping):
            raise _Fault(f"{where[-1] if where else 'it'} must be a table, not {_shown(entries)}", where)
        self.entries, self.where = entries, where

    def only(self, known: Sequence[str]) -> None:
        """Refuse entries that nothing reads: they are misspelt ones that something should."""
        for key in self.entries:
            if key not in known:
                raise _Fault(f"there is no entry {key!r}; {suggest(key, known)}", (*self.where, key), key=True)

    def need(self, key: str) -> object:
        if key not in self.entries:
            raise _Fault(f"lacks the entry {key!r}", self.where)
        return self.entries[key]

    def table(self, key: str) -> _Table:
        return _Table(self.entries.get(key, {}), (*self.where, key))

    def text(self, key: str, usual: str = "") -> str:
        return _text(self.entries.get(key, usual), key, (*self.where, key))

    def number(self, key: str, usual: float, least: float, most: float) -> float:
        return _number(self.entries.get(key, usual), key, (*self.where, key), least, most)

    def whole(self, key: str, least: int, most: int) -> int:
        return _whole(self.need(key), key, (*self.where, key), least, most)

    def items(self, key: str) -> list[tuple[object, KeyPath]]:
        """The elements of a list, each with its place; none where there is no such entry."""
        given = self.entries.get(key, [])
        if not isinstance(given, list):
            raise _Fault(f"{key} must be a list, in square brackets, not {_shown(given)}", (*self.where, key))
        return [(value, (*self.where, key, index)) for index, value in enumerate(given)]

    def pair(self, key: str, what: str) -> tuple[tuple[object, KeyPath], tuple[object, KeyPath]]:
        given = self.items(key)
        if len(given) != 2:
            problem = f"{key} is {what}, two numbers, not {_shown(self.entries[key])}"
            raise _Fault(problem, (*self.where, key))
        return given[0], given[1]

    def span(self, key: str, usual: tuple[int, int] | None, most: int) -> tuple[int, int] | None:
        """The least and the most of something."""
        if key not in self.entries:
            return usual
        low, high = (_whole(*one, 1, most) for one in _named(key, self.pair(key, "the least and the most")))
        if low > high:
            raise _Fault(f"{key} is the least and the most, in this order, not [{low}, {high}]", (*self.where, key))
        return low, high

    def spread(self, key: str, usual: tuple[float, float], least: float, most: float) -> tuple[float, float]:
        """A mean and a standard deviation."""
        if key not in self.entries:
            return usual
        mean, deviation = _named(key, self.pair(key, "a mean and a standard deviation"))
        return _number(*mean, least, most), _number(*deviation, 0, most / 4)

    def fractions(self, key: str, count: int) -> tuple[float, ...]:
        """Fractions of a beat, one a tatum."""
        given = self.items(key)
        if key in self.entries and len(given) != count:
            problem = f"{key} needs {count} fractions of a beat, one a tatum, not {len(given)}"
            raise _Fault(problem, (*self.where, key))
        return tuple(_number(value, key, where, -0.5, 0.5) for value, where in given)


def _tradition(name: str, table: _Table) -> Tradition:
    table.only([entry.name for entry in fields(Tradition) if entry.name != "name"])
    beats, tatums = table.whole("beats", 1, 64), table.whole("tatums", 1, 32)
    table.need("tempo_bpm")
    tempo = table.spread("tempo_bpm", (0, 0), 20, 400)
    if tempo[1] > 0.35 * tempo[0]:
        problem = f"tempo_bpm is a mean and a standard deviation, and {tempo[1]:g} would let the music stand still"
        raise _Fault(problem, ("tempo_bpm", 1))
    table.need("instruments")
    ensemble = table.table("instruments")
    if not ensemble.entries:
        raise _Fault("nobody plays: there are no instruments", ("instruments",))
    form = table.table("form")
    form.only([entry.name for entry in fields(Form)])
    found = Tradition(
        name, beats, tatums, tempo,
        instruments=tuple(_instrument(part, ensemble.table(part), beats, tatums) for part in ensemble.entries),
        drift=table.number("drift", 0.005, 0, 0.1),
        microtiming=table.fractions("microtiming", tatums) or (0.0,) * tatums,
        spread=table.number("spread", 0.012, 0, 0.2),
        sources=tuple(_text(value, "sources", where) for value, where in table.items("sources")),
        title=table.text("title"),
        about=table.text("about"),
        acceleration=table.spread("acceleration", (0.0, 0.03), -1, 1),
        jitter_s=table.number("jitter_s", 0.003, 0, 0.1),
        ensemble=table.span("ensemble", None, 200),
        form=Form(
            form.span("section", (4, 4), 64) or (4, 4),
            *(form.number(key, 0.0, 0, 1) for key in ("entries", "breaks", "endings")),
        ),
    )  # fmt: skip
    _agreeing(found)
    return found


def _agreeing(tradition: Tradition) -> None:
    """Refuse an ensemble that its instruments cannot make up, and parts that could not be distinguished."""
    parts = tradition.instruments
    if tradition.ensemble:
        least = sum(part.players[0] for part in parts if part.presence == 1)
        most = sum(part.players[1] for part in parts if part.presence > 0)
        if least > tradition.ensemble[1] or most < tradition.ensemble[0]:
            asked = f"{tradition.ensemble[0]} to {tradition.ensemble[1]} players"
            raise _Fault(f"asks for {asked}, but its instruments make {least} to {most}", ("ensemble",))
    for part in parts:
        for other in parts:
            if part.players[1] > 1 and re.fullmatch(rf"{re.escape(part.name)}-\d+", other.name):
                problem = f"is what one of the players of {part.name} is called; give it another name"
                raise _Fault(problem, ("instruments", other.name), key=True)
            for index, alias in enumerate(part.aliases):
                if other is not part and alias.lower() in (other.name.lower(), *map(str.lower, other.aliases)):
                    where = ("instruments", part.name, "aliases", index)
                    raise _Fault(f"{alias!r} is also what {other.name} is called", where)


def _instrument(name: str, table: _Table, beats: int, tatums: int) -> Instrument:
    if not re.fullmatch(r"\w[\w-]*", name):
        raise _Fault("its name must be a word of letters, digits and hyphens: it names files", table.where, key=True)
    table.only([entry.name for entry in fields(Instrument) if entry.name != "name"])
    voice = table.text("voice", name)
    if voice not in STRUCK and voice not in PITCHED:
        where = (*table.where, "voice") if "voice" in table.entries else table.where
        raise _Fault(f"there is no voice {voice!r}; {suggest(voice, [*STRUCK, *PITCHED])}", where)
    strokes = _strokes(table.table("strokes"), voice)

    def grids(key: str) -> tuple[str, ...]:
        return tuple(_grid(value, where, strokes, beats, tatums) for value, where in table.items(key))

    table.need("patterns")
    patterns = _patterns(table, strokes, beats, tatums)
    if not any(set(pattern.grid) - {REST} for pattern in patterns):
        raise _Fault("plays nothing: its patterns hold no stroke", (*table.where, "patterns"))
    return Instrument(
        name, voice, patterns, strokes,
        presence=table.number("presence", 1.0, 0, 1),
        level_db=table.number("level_db", 0.0, -60, 20),
        fills=grids("fills"),
        fill_chance=table.number("fill_chance", 0.25, 0, 1),
        calls=grids("calls"),
        call_chance=table.number("call_chance", 0.1, 0, 1),
        players=table.span("players", (1, 1), 64) or (1, 1),
        enters=table.whole("enters", 0, 1000) if "enters" in table.entries else None,
        microtiming=table.fractions("microtiming", tatums),
        spread=table.number("spread", 0, 0, 0.2) if "spread" in table.entries else None,
        aliases=tuple(_alias(value, where) for value, where in table.items("aliases")),
    )  # fmt: skip


def _alias(value: object, where: KeyPath) -> str:
    alias = _text(value, "an alias", where)
    if not re.fullmatch(r"\w[\w -]*", alias):
        raise _Fault(f"an alias is a name of letters, digits, spaces and hyphens, not {_shown(alias)}", where)
    return alias


def _strokes(table: _Table, voice: str) -> dict[str, str]:
    kinds = tuple(STROKES) if voice in STRUCK else NOTES
    for letter in table.entries:
        if len(letter) != 1 or not letter.isalpha() or not letter.islower():
            problem = f"a stroke is named by one small letter, not {letter!r}: a capital is an accent"
            raise _Fault(problem, (*table.where, letter), key=True)
        stroke = table.text(letter)
        if stroke not in kinds:
            problem = f"{letter} is not a stroke of a {voice}, {stroke!r}; {suggest(stroke, kinds)}"
            raise _Fault(problem, (*table.where, letter))
    return {letter: table.text(letter) for letter in table.entries}


def _patterns(table: _Table, strokes: Mapping[str, str], beats: int, tatums: int) -> tuple[Pattern, ...]:
    grids, given = [], []
    for value, where in table.items("patterns"):
        probability = math.nan
        if isinstance(value, Mapping):
            entry = _Table(value, where)
            entry.only(["grid", "probability"])
            grids.append(_grid(entry.need("grid"), (*where, "grid"), strokes, beats, tatums))
            if "probability" in value:
                probability = entry.number("probability", 1, 0, 1)
        else:
            grids.append(_grid(value, where, strokes, beats, tatums))
        given.append(probability)
    if not grids:
        raise _Fault("has no patterns", (*table.where, "patterns"))
    total, without = sum(value for value in given if not math.isnan(value)), sum(map(math.isnan, given))
    if without and total >= 1:
        problem = f"the probabilities given sum to {total:g}, which leaves nothing for the patterns without one"
        raise _Fault(problem, (*table.where, "patterns"))
    if not without and abs(total - 1) > 0.011:  # thirds are written as 0.33
        raise _Fault(f"the probabilities of its patterns sum to {total:g}, not to 1", (*table.where, "patterns"))
    rest, scale = (1 - total) / max(without, 1), 1.0 if without else total
    return tuple(
        Pattern(grid, rest if math.isnan(value) else value / scale) for grid, value in zip(grids, given, strict=True)
    )


def _grid(value: object, where: KeyPath, strokes: Mapping[str, str], beats: int, tatums: int) -> str:
    grid, known = _text(value, "a pattern", where), {REST, "x", "o", *strokes}
    for index, letter in enumerate(grid):
        if not letter.isspace() and letter != "|" and letter.lower() not in known:
            problem = f"{letter!r} in {_shown(grid)} is not among its strokes: {' '.join(sorted(known))}"
            raise _Fault(problem, where, character=index)
    groups = grid.replace("|", " ").split()
    bare = "".join(groups)
    if not bare or len(bare) % (beats * tatums):
        cycle = f"{beats * tatums}: {beats} beats of {tatums}"
        problem = f"{_shown(grid)} has {len(bare)} tatums, but the cycle has {cycle}"
        odd = [(beat, group) for beat, group in enumerate(groups, start=1) if len(group) != tatums]
        if len(odd) == 1 and len(groups) > 1:
            problem += "; beat {}, {!r}, has {}".format(*odd[0], len(odd[0][1]))
        raise _Fault(problem, where)
    return bare


def _named(key: str, pair: Iterable[tuple[object, KeyPath]]) -> list[tuple[object, str, KeyPath]]:
    return [(value, key, where) for value, where in pair]


def _text(value: object, name: str, where: KeyPath) -> str:
    if not isinstance(value, str):
        raise _Fault(f"{name} must be text in quotation marks, not {_shown(value)}", where)
    return value


def _whole(value: object, name: str, where: KeyPath, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise _Fault(f"{name} must be a whole number from {least} to {most}, not {_shown(value)}", where)
    return value


def _number(value: object, name: str, where: KeyPath, least: float, most: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _Fault(f"{name} must be a number from {least:g} to {most:g}, not {_shown(value)}", where)
    return float(value)


def _shown(value: object) -> str:
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    return short.repr(value)
