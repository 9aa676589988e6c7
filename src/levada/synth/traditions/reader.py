"""Traditions from files: errors in them are reported with line and column."""

from __future__ import annotations

import re
import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from levada.errors import InputError, suggest
from levada.io.metres import LARGEST_RATIO, MOST_UNITS
from levada.io.toml import KeyPath, find_positions, read_toml
from levada.synth.instruments import PITCHED, STROKES, STRUCK
from levada.synth.traditions.model import Evidence, Form, Instrument, Pattern, Tradition

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
        return _tradition(path.stem, table)
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


Reader = Callable[[Any, KeyPath], Any]
"""Checks a value at a place of the file, and returns it."""


def _read_table(
    table: object, where: KeyPath, readers: Mapping[str, Reader] | Reader, *, required: Iterable[str] = ()
) -> dict[str, Any]:
    """Read the entries of a table, each by its reader, or all by one; those without a reader are misspelt."""
    if not isinstance(table, Mapping):
        raise _Fault(f"{where[-1]} must be a table, not {_shown(table)}", where)
    readers = readers if isinstance(readers, Mapping) else dict.fromkeys(table, readers)
    for key in table:
        if key not in readers:
            raise _Fault(f"there is no entry {key!r}; {suggest(key, readers)}", (*where, key), key=True)
    for key in required:
        if key not in table:
            raise _Fault(f"lacks the entry {key!r}", where)
    return {key: readers[key](value, (*where, key)) for key, value in table.items()}


def _name(where: KeyPath) -> str:
    """Return the last key of a place, without positions in lists."""
    return next(str(part) for part in reversed(where) if isinstance(part, str))


def _raw(value: object, where: KeyPath) -> object:  # noqa: ARG001
    return value


def _text(value: object, where: KeyPath) -> str:
    if not isinstance(value, str):
        raise _Fault(f"{_name(where)} must be text in quotation marks, not {_shown(value)}", where)
    return value


def _number(least: float, most: float, *, whole: bool = False) -> Reader:
    kinds = (int,) if whole else (int, float)
    what = f"a {'whole ' if whole else ''}number from {least:g} to {most:g}"

    def read(value: Any, where: KeyPath) -> float:
        if type(value) not in kinds or not least <= value <= most:
            raise _Fault(f"{_name(where)} must be {what}, not {_shown(value)}", where)
        return kinds[-1](value)

    return read


def _whole(least: int, most: int) -> Reader:
    return _number(least, most, whole=True)


def _list(reader: Reader) -> Reader:
    def read(value: object, where: KeyPath) -> Any:
        if not isinstance(value, list):
            raise _Fault(f"{_name(where)} must be a list, in square brackets, not {_shown(value)}", where)
        return tuple(reader(entry, (*where, index)) for index, entry in enumerate(value))

    return read


def _pair(what: str, *readers: Reader) -> Reader:
    def read(value: object, where: KeyPath) -> Any:
        if len(_list(_raw)(value, where)) != 2:
            raise _Fault(f"{_name(where)} is {what}, two numbers, not {_shown(value)}", where)
        return _list(lambda entry, at: readers[int(at[-1])](entry, at))(value, where)

    return read


def _span(most: int) -> Reader:
    """Read a least and a greatest number."""
    what = "the least and the most"

    def read(value: object, where: KeyPath) -> Any:
        low, high = _pair(what, _whole(1, most), _whole(1, most))(value, where)
        if low > high:
            raise _Fault(f"{_name(where)} is {what}, in this order, not [{low}, {high}]", where)
        return low, high

    return read


def _spread(least: float, most: float) -> Reader:
    return _pair("a mean and a standard deviation", _number(least, most), _number(0, most / 4))


def _fractions(count: int) -> Reader:
    """Read fractions of a beat, one a tatum."""

    def read(value: object, where: KeyPath) -> Any:
        fractions = _list(_number(-0.5, 0.5))(value, where)
        if len(fractions) != count:
            raise _Fault(f"{_name(where)} needs {count} fractions of a beat, one a tatum, not {len(fractions)}", where)
        return fractions

    return read


def _tatums(value: object, where: KeyPath, beats: int) -> tuple[int, ...]:
    """Read the tatums of each beat: one number for all, or a list where beats are of unequal length."""
    if not isinstance(value, list):
        return (int(_whole(1, 32)(value, where)),) * beats
    each: tuple[int, ...] = _list(_whole(1, MOST_UNITS))(value, where)
    if len(each) != beats:
        raise _Fault(f"tatums is one number, or a list of one for each of the {beats} beats, not of {len(each)}", where)
    if max(each) > LARGEST_RATIO * min(each):
        raise _Fault(f"no beat is over {LARGEST_RATIO} times as long as another", where)
    return each


CHANCE = _number(0, 1)
FORM = {"section": _span(64), "entries": CHANCE, "breaks": CHANCE, "endings": CHANCE}


def _tradition(name: str, table: Mapping[str, Any]) -> Tradition:
    readers = {entry.name: _raw for entry in fields(Tradition) if entry.name not in ("name", "unequal")}
    _read_table(table, (), readers, required=("beats", "tatums", "tempo_bpm", "instruments"))
    beats = _whole(1, 64)(table["beats"], ("beats",))
    each = _tatums(table["tatums"], ("tatums",), beats)
    unequal = each if len(set(each)) > 1 else ()
    delays = _fractions(sum(each) if unequal else each[0])

    def instruments(ensemble: object, where: KeyPath) -> tuple[Instrument, ...]:
        parts = _read_table(ensemble, where, lambda part, at: _instrument(part, at, each, delays))
        if not parts:
            raise _Fault("nobody plays: there are no instruments", where)
        return tuple(parts.values())

    entries = _read_table(table, (), {
        "beats": _raw, "tatums": _raw, "tempo_bpm": _spread(20, 400), "title": _text, "about": _text,
        "sources": _list(_text), "drift": _number(0, 0.1), "spread": _number(0, 0.2), "jitter_s": _number(0, 0.1),
        "acceleration": _spread(-1, 1), "microtiming": delays, "ensemble": _span(200), "form": _raw,
        "checked": _list(_evidence), "unchecked": _text, "instruments": instruments,
    })  # fmt: skip
    mean, deviation = entries["tempo_bpm"]
    if deviation > 0.35 * mean:
        problem = f"tempo_bpm is a mean and a standard deviation, and {deviation:g} would let the music stand still"
        raise _Fault(problem, ("tempo_bpm", 1))
    form = Form(**_read_table(entries.pop("form", {}), ("form",), FORM))
    none = (0.0,) * (sum(each) if unequal else each[0])
    entries |= {"beats": beats, "tatums": max(each)}
    found = Tradition(name, form=form, unequal=unequal, **{"microtiming": none, **entries})
    _agreeing(found)
    return found


def _agreeing(tradition: Tradition) -> None:
    """Refuse an ensemble that its instruments cannot make up, and parts that could not be distinguished."""
    parts = tradition.instruments
    for index, evidence in enumerate(tradition.checked):
        _placed(evidence, tradition, ("checked", index))
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


def _evidence(value: object, where: KeyPath) -> Evidence:
    entries = _read_table(
        value,
        where,
        {"instrument": _text, "strokes": _text, "beats": _list(_number(1, 65)), "source": _text},
        required=("instrument", "strokes", "beats", "source"),
    )
    return Evidence(**entries)


def _placed(evidence: Evidence, tradition: Tradition, where: KeyPath) -> None:
    """Refuse evidence of an instrument, a stroke or a place in the cycle that the tradition lacks."""
    part = next((part for part in tradition.instruments if part.name == evidence.instrument), None)
    if part is None:
        known = suggest(evidence.instrument, [part.name for part in tradition.instruments])
        raise _Fault(f"there is no instrument {evidence.instrument!r}; {known}", (*where, "instrument"))
    for letter in evidence.strokes.lower():
        if letter not in {"x", "o", *part.strokes}:
            raise _Fault(f"{letter!r} is no stroke of {part.name}", (*where, "strokes"))
    for index, beat in enumerate(evidence.beats):
        whole = int(beat) - 1
        tatum = tradition.tatums_before(whole) + (beat - 1 - whole) * tradition.beat_tatums[whole % tradition.beats]
        if round(tatum) >= tradition.cycle or abs(tatum - round(tatum)) > 0.05:
            raise _Fault(f"{beat:g} is no place of its cycle", (*where, "beats", index))


def _instrument(table: object, where: KeyPath, tatums: Sequence[int], delays: Reader) -> Instrument:
    name = str(where[-1])
    if not re.fullmatch(r"\w[\w-]*", name):
        raise _Fault("its name must be a word of letters, digits and hyphens: it names files", where, key=True)
    entries = _read_table(table, where, {
        "voice": _text, "patterns": _list(_raw), "strokes": _raw, "presence": CHANCE, "level_db": _number(-60, 20),
        "fills": _list(_raw), "fill_chance": CHANCE, "calls": _list(_raw), "call_chance": CHANCE,
        "players": _span(64), "enters": _whole(0, 1000), "microtiming": delays, "spread": _number(0, 0.2),
        "tuning": _whole(1, 64), "aliases": _list(_alias),
    }, required=["patterns"])  # fmt: skip
    voice = entries.setdefault("voice", name)
    if voice not in STRUCK and voice not in PITCHED:
        fault = f"there is no voice {voice!r}; {suggest(voice, [*STRUCK, *PITCHED])}"
        raise _Fault(fault, (*where, "voice"))
    strokes = entries["strokes"] = _strokes(entries.get("strokes", {}), (*where, "strokes"), voice)

    def grid(value: object, at: KeyPath) -> str:
        return _grid(value, at, strokes, tatums)

    for key in ("fills", "calls"):
        entries[key] = _list(grid)(list(entries.get(key, ())), (*where, key))
    entries["patterns"] = _patterns(entries["patterns"], (*where, "patterns"), grid)
    if not any(set(pattern.grid) - {REST} for pattern in entries["patterns"]):
        raise _Fault("plays nothing: its patterns hold no stroke", (*where, "patterns"))
    return Instrument(name, **entries)


def _alias(value: object, where: KeyPath) -> str:
    alias = _text(value, where)
    if not re.fullmatch(r"\w[\w -]*", alias):
        raise _Fault(f"an alias is a name of letters, digits, spaces and hyphens, not {_shown(alias)}", where)
    return alias


def _strokes(table: object, where: KeyPath, voice: str) -> dict[str, str]:
    kinds = tuple(STROKES) if voice in STRUCK else NOTES
    strokes = _read_table(table, where, _text)
    for letter, stroke in strokes.items():
        if len(letter) != 1 or not letter.isalpha() or not letter.islower():
            problem = f"a stroke is named by one small letter, not {letter!r}: a capital is an accent"
            raise _Fault(problem, (*where, letter), key=True)
        if stroke not in kinds:
            problem = f"{letter} is not a stroke of a {voice}, {stroke!r}; {suggest(stroke, kinds)}"
            raise _Fault(problem, (*where, letter))
    return strokes


def _patterns(values: Sequence[object], where: KeyPath, grid: Reader) -> tuple[Pattern, ...]:
    """Read patterns, each a grid or a table of a grid and its probability; those without share what is left."""
    entries = [
        _read_table(value, (*where, index), {"grid": grid, "probability": CHANCE}, required=["grid"])
        if isinstance(value, Mapping)
        else {"grid": grid(value, (*where, index))}
        for index, value in enumerate(values)
    ]
    if not entries:
        raise _Fault("has no patterns", where)
    given = [entry["probability"] for entry in entries if "probability" in entry]
    total, without = sum(given), len(entries) - len(given)
    if without and total >= 1:
        raise _Fault(
            f"the probabilities given sum to {total:g}, which leaves nothing for the patterns without one", where
        )
    if not without and abs(total - 1) > 0.011:  # thirds are written as 0.33
        raise _Fault(f"the probabilities of its patterns sum to {total:g}, not to 1", where)
    rest, scale = (1 - total) / max(without, 1), 1.0 if without else total
    return tuple(
        Pattern(entry["grid"], entry["probability"] / scale if "probability" in entry else rest) for entry in entries
    )


def _grid(value: object, where: KeyPath, strokes: Mapping[str, str], tatums: Sequence[int]) -> str:
    grid, known = _text(value, where), {REST, "x", "o", *strokes}
    for index, letter in enumerate(grid):
        if not letter.isspace() and letter != "|" and letter.lower() not in known:
            problem = f"{letter!r} in {_shown(grid)} is not among its strokes: {' '.join(sorted(known))}"
            raise _Fault(problem, where, character=index)
    groups = grid.replace("|", " ").split()
    bare = "".join(groups)
    if not bare or len(bare) % sum(tatums):
        each = str(tatums[0]) if len(set(tatums)) == 1 else "+".join(map(str, tatums))
        cycle = f"{sum(tatums)}: {len(tatums)} beats of {each}"
        problem = f"{_shown(grid)} has {len(bare)} tatums, but the cycle has {cycle}"
        odd = [
            (beat, group)
            for beat, group in enumerate(groups, start=1)
            if len(group) != tatums[(beat - 1) % len(tatums)]
        ]
        if len(odd) == 1 and len(groups) > 1:
            problem += "; beat {}, {!r}, has {}".format(*odd[0], len(odd[0][1]))
        raise _Fault(problem, where)
    return bare


def _shown(value: object) -> str:
    short = reprlib.Repr()
    short.maxstring = short.maxother = 60
    return short.repr(value)
