"""Conventions of beat labels: one for a whole file, recognised from all of its labels.

A label `1` may be a position in the bar, the first bar, or the first beat. A convention is used if all labels agree
with it and with no other; the assumption is reported as a note. Ambiguous labels are refused, and the convention must
be named: `--convention`,
`[labels] convention = …` in corpus.toml, or `# convention: …` in the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats.layers import Marker, normalize_text

__all__ = [
    "COLUMNS",
    "CONVENTIONS",
    "HINT",
    "LAYER",
    "NEGATIVE",
    "TICKS",
    "Positions",
    "check_convention",
    "format_labels",
    "is_recognised",
    "label_error",
    "normalize_label",
    "read_positions",
    "round_trips",
]

CONVENTIONS = {
    "positions": "1 is the downbeat, 2 the beat after it; 0 or nothing is unknown",
    "zero-based": "0 is the downbeat, 1 the beat after it",
    "bar.beat": "12.3 is the third beat of bar 12",
    "fractions": "12.5 is the middle of bar 12",
    "downbeat": "1 or true is a downbeat; for other beats the position is unknown",
    "bars": "the number of the bar: on its first beat only, or on all of its beats",
    "downbeats-only": "every mark is a downbeat: the beats between are unknown",
    "ticks": "384 is the downbeat, 48 a quarter note later (RWC, AIST)",
    "times": "labels say nothing: the positions are unknown",
}
"""Every convention by its name, and what it means."""
LAYER = "layer:"  # before the name of the layer to read
COLUMNS = ("time", "end", "bar", "beat", "downbeat", "confidence", "position_confidence", "-")
"""A list of them names the columns of a table."""

LARGEST = 64  # beats of a bar; longer cycles are counted in parts
LONGEST_COUNT = 7  # labels that only count up, from 1: more of them number the beats, fewer may be one bar
TICKS = 384

_UNKNOWN = {
    *("", "new point", "beat", "b", "br", "?", "x", "-", ".", "o", "nan", "none", "null", "na", "n/a", "false"),
    *("tap", "taps", "click", "pulso", "golpe", "batida", "other"),
}
_DOWNBEAT = {"downbeat", "db", "d", "bar", "measure", "compas", "compasso", "tiempo fuerte", "true", "barline"}
_WHOLE = re.compile(r"\d{1,9}")
_WHOLE_FLOAT = re.compile(r"(\d{1,9})[.,]0*|(\d)[.,]\d*0[eE]\+?00")
_BAR_BEAT = re.compile(r"(\d{1,9})[.:|,/](\d{1,18})")
NEGATIVE = re.compile(r"-\d+([.,]\d+)?")
_SPELLINGS = (
    (re.compile(r"(db|br|b),.*"), r"\1"),
    (re.compile(r"(?:beat|b|pulso|tiempo|tempo|batida|golpe)[ .]?(\d{1,3})"), r"\1"),
    (
        re.compile(r"(?:bar|measure|m|compas|compasso)[ .]?(\d{1,6})[ ,;:.-]*(?:beat|b|tiempo|tempo)[ .]?(\d{1,3})"),
        r"\1.\2",
    ),
    (re.compile(r"(\d{1,6})-(\d{1,3})"), r"\1.\2"),
    (re.compile(r"(\d{1,6})\.(\d{1,3})\.0+"), r"\1.\2"),
)
_NUMBERS = (
    *("one uno um un", "two dos dois deux", "three tres trois", "four cuatro quatro quatre", "five cinco", "six seis"),
)
_NUMBER_OF = {name: str(number) for number, names in enumerate(_NUMBERS, 1) for name in names.split()}
_OF_METRE = re.compile(r"(\d{1,2})/(\d{1,2})")
_BPM = re.compile(r"~?\s*\d{1,4}([.,]\d+)?\s*bpm")

_ONLY_DOWNBEATS = "every beat is a downbeat: the beats between them are unknown, not absent"
HINT = 'name the convention (--convention, or [labels] convention = "…" in corpus.toml)'


@dataclass(frozen=True)
class Positions:
    """Positions in the bar read from labels."""

    positions: list[int]  # one a beat, counted from 1; 0 is unknown
    convention: str  # a name in `CONVENTIONS`
    notes: tuple[str, ...] = ()  # what was assumed
    only_downbeats: bool = False  # the beats between are unknown


def check_convention(name: str) -> str:
    """Return a convention's name if it is one.

    Raises
    ------
    InputError
        If it is neither in `CONVENTIONS`, nor a layer, nor a list of columns with a time.
    """
    columns = name.split(",")
    are_columns = "time" in columns and all(column in COLUMNS for column in columns)
    if name in CONVENTIONS or (name.startswith(LAYER) and name != LAYER) or are_columns:
        return name
    raise InputError(
        f"there is no convention {name!r} of labels: use {', '.join(CONVENTIONS)}; {LAYER}NAME; or the columns of a "
        f"table, such as time,bar,beat, out of {', '.join(COLUMNS)}"
    )


def label_error(problem: str, path: str | Path, mark: Marker, unit: str) -> InputError:
    """Return an error that names where a label stands: in a line, or at a point or beat of a layer."""
    if unit == "line" or mark.line is None:
        return InputError(problem, path=path, line=mark.line)
    return InputError(f"{unit} {mark.line}: {problem}", path=path)


def is_recognised(word: str) -> bool:
    """Whether a label means something here: a number, a word for a beat or a downbeat, or a tempo."""
    return word in _UNKNOWN or word in _DOWNBEAT or _is_place(word) or bool(_BPM.fullmatch(word))


def _is_place(text: str) -> bool:
    return bool(_WHOLE.fullmatch(text) or _WHOLE_FLOAT.fullmatch(text) or _BAR_BEAT.fullmatch(text))


def normalize_label(text: str) -> str:
    """Normalise the spelling of a label.

    Without accents and capitals; of ASAP's `db,4/4,1` what stands before the metre and the key; `beat 2`, `two` and
    `dos` are 2; `bar 3 beat 2`, `3-2` and `3.2.00` are 3.2.
    """
    word = normalize_text(text)
    for pattern, wanted in _SPELLINGS:
        match = pattern.fullmatch(word)
        if match:
            return match.expand(wanted)
    return _NUMBER_OF.get(word, word)


def read_positions(marks: Sequence[Marker], convention: str, unit: str, path: str | Path) -> Positions:
    """Read the labels of beats.

    Parameters
    ----------
    marks : sequence of Marker
        The beats, in order.
    convention : str
        A name in `CONVENTIONS`, or empty: recognised from all labels.
    unit : str
        What `Marker.line` counts.
    path : path-like
        What to call the file in errors.

    Returns
    -------
    Positions

    Raises
    ------
    InputError
        If the labels can be read in two ways, contradict the convention, or are not those of beats.
    """
    if convention in ("times", "downbeats-only"):
        only_downbeats = convention == "downbeats-only"
        return Positions([int(only_downbeats)] * len(marks), convention, only_downbeats=only_downbeats)
    labels = _Labels(marks, unit, path)
    words = [normalize_label(mark.text) for mark in marks]
    bpm = [word for word in words if _BPM.fullmatch(word)]
    notes = [f"labels such as {bpm[0]!r} are tempi: the positions in the bar are unknown there"] if bpm else []
    places = {i: word for i, word in enumerate(words) if _is_place(word) and not _BPM.fullmatch(word)}
    for i, word in enumerate(words):
        if word in _DOWNBEAT:
            places[i] = "1"
        elif word == "false" and "true" in words:
            places[i] = "0"
    if not places:
        return Positions([0] * len(marks), "times", tuple(notes))
    fractional = [i for i, word in places.items() if not (_WHOLE.fullmatch(word) or _WHOLE_FLOAT.fullmatch(word))]
    if convention in ("bar.beat", "fractions") or (fractional and not convention):
        read = _read_pairs(places, labels, convention)
    elif fractional:
        i = fractional[0]
        raise labels.error(f"{marks[i].text!r} is not a whole number, as convention {convention} has it", i)
    else:
        numbers = {i: int(float(word.replace(",", "."))) for i, word in places.items()}
        named = any(word in _DOWNBEAT for word in words) and max(numbers.values()) == 1
        read = _read_numbers(numbers, labels, convention or ("downbeat" if named else ""))
    counts_on = read.convention in ("bars", "downbeat")  # beats without a label have a position there
    positions = [position if i in places or counts_on else 0 for i, position in enumerate(read.positions)]
    for i, position in enumerate(positions):
        if position > LARGEST:
            what = f"{position} is not a position in a bar of at most {LARGEST} beats"
            raise labels.error(f"{what}: if it is the number of a beat or bar, {HINT}", i)
    return Positions(positions, read.convention, (*notes, *read.notes), read.only_downbeats)


@dataclass(frozen=True)
class _Labels:
    """The beats of a layer, and how errors name them."""

    marks: Sequence[Marker]
    unit: str
    path: str | Path

    def error(self, problem: str, i: int) -> InputError:
        return label_error(problem, self.path, self.marks[i], self.unit)


def _read_numbers(numbers: dict[int, int], labels: _Labels, convention: str) -> Positions:
    """Read whole numbers; they stand at these indices."""
    values, count = list(numbers.values()), len(labels.marks)
    everywhere = len(values) == count
    is_stated = convention == "positions"
    if not convention:
        convention = _recognised(numbers, labels, everywhere=everywhere)
    read, notes = dict[int, int](), list[str]()
    if convention == "times":
        notes = ["its numbers count the beats: the positions in the bar are unknown"]
    elif convention == "zero-based":
        notes = ["its positions count from 0: 0 is taken for the downbeat"]
        read = {i: value + 1 for i, value in numbers.items()}
    elif convention == "ticks":
        notes = [f"its numbers are ticks, {TICKS} for the downbeat, as in AIST's annotation of RWC"]
        step = min((value for value in values if 0 < value < TICKS), default=48)
        read = {i: 1 if value == TICKS else value // step + 1 for i, value in numbers.items()}
    elif convention == "bars":
        notes = ["its numbers are those of bars: a beat is a downbeat where a new one begins"]
        read = dict(enumerate(_by_bar(numbers, count, everywhere=everywhere)))
    elif convention == "downbeat":
        notes = ["1 marks downbeats: the positions of the other beats are unknown"] if 0 in values else []
        read = {i: int(value == 1) for i, value in numbers.items()}
    else:
        stride = 1 if is_stated else _stride(values)
        if stride > 1:
            notes = [f"its positions go up by {stride}: {1 + stride} is taken for the second beat of the bar"]
        read = {i: (value - 1) // stride + 1 if value else 0 for i, value in numbers.items()}
    positions = [read.get(i, 0) for i in range(count)]
    if everywhere and not is_stated and count > 1 and set(positions) == {1}:
        return Positions(positions, "downbeats-only", (*notes, _ONLY_DOWNBEATS), only_downbeats=True)
    return Positions(positions, convention, tuple(notes))


def _recognised(numbers: dict[int, int], labels: _Labels, *, everywhere: bool) -> str:
    """Recognise the convention of whole numbers, or refuse."""
    values = list(numbers.values())
    steps = list(pairwise(values))

    def refuse(readings: str) -> InputError:
        return labels.error(f"its labels can be read as {readings}: {HINT}", next(iter(numbers)))

    if TICKS in values and len(values) > 1 and all(value <= TICKS and value % 12 == 0 for value in values):
        return "ticks"
    counts_up = bool(steps) and all(b == a + 1 for a, b in steps)
    if everywhere and counts_up and len(values) > LONGEST_COUNT:
        return "times"
    if everywhere and counts_up and values[0] == 0 and len(values) > 2:
        raise refuse("one bar counted from 0 (zero-based), a count of beats (times), or positions")
    filled = {i: value for i, value in numbers.items() if value}
    if 1 < len(filled) < len(labels.marks) and all(b == a + 1 for a, b in pairwise(filled.values())):
        between = [b - a - 1 for a, b in pairwise(filled)]
        if min(between) > 1:
            return "bars"
        if min(between) == 1 and len(filled) > 2:
            raise refuse("bars of two beats (bars), or as positions with a mark between every two beats (positions)")
    if everywhere and 0 not in values and all(b - a in (0, 1) for a, b in steps) and len(set(values)) > 1:
        runs = [len(list(run)) for _, run in groupby(values)]
        if min(runs[:-1]) > 1 or (len(runs) > 2 and min(runs[1:-1]) > 1):
            return "bars"
    if 0 not in values or max(values) == 0:
        return "positions"
    if max(values) == 1:
        if everywhere and len(values) > 3 and all(a != b for a, b in steps):
            raise refuse("1 for the downbeat of bars of two (downbeat), or as counted from 0 (zero-based)")
        return "downbeat" if everywhere and len(values) > 2 else "positions"
    return "zero-based" if everywhere and _is_zero_based(steps) else "positions"


def _stride(values: list[int]) -> int:
    """Return the step of positions from beat to beat: 2 if half notes are marked and quarters counted."""
    steps = [b - a for a, b in pairwise(values) if b != 1]
    stride = min(steps, default=1)
    even = stride > 1 and len(values) > 3 and 1 in values and all(value % stride == 1 for value in values)
    return stride if even and all(step == stride for step in steps) else 1


def _is_zero_based(steps: list[tuple[int, int]]) -> bool:
    """Whether 0 stands where a bar begins: before each 1 and after the highest, and nothing else leads to 1."""
    wraps = sum(a > 0 and b == 0 for a, b in steps)
    after_zero = [b for a, b in steps if a == 0]
    before_one = [a for a, b in steps if b == 1]
    good = sum(b == 1 for b in after_zero) >= 0.8 * len(after_zero)
    return wraps > 0 and good and sum(a == 0 for a in before_one) >= 0.8 * len(before_one)


def _by_bar(numbers: dict[int, int], count: int, *, everywhere: bool) -> list[int]:
    """Count beats from those where a number of a bar begins."""
    starts: list[int] = []
    before = None
    for i, value in numbers.items():
        if value and value != before:
            starts.append(i)
            before = value
    positions = [0] * count
    for start, end in pairwise([*starts, count]):
        positions[start:end] = range(1, end - start + 1)
    if everywhere and len(starts) > 1 and starts[0] == 0:  # the first bar may be the end of one
        first, length = starts[1], (starts[2] if len(starts) > 2 else count) - starts[1]
        if first < length:
            positions[:first] = range(length - first + 1, length + 1)
    return positions


def _read_pairs(places: dict[int, str], labels: _Labels, convention: str) -> Positions:
    """Read bar.beat, or positions as fractions of a bar."""
    marks, first = labels.marks, next(iter(places))

    def filled(positions: Iterable[int]) -> list[int]:
        at = dict(zip(places, positions, strict=True))
        return [at.get(i, 0) for i in range(len(marks))]

    of_metre = [match for text in places.values() if (match := _OF_METRE.fullmatch(text))]
    if len(of_metre) == len(places) > 1 and len({match[2] for match in of_metre}) == 1:  # 2/4: the second of four
        if any(not 1 <= int(match[1]) <= int(match[2]) for match in of_metre):
            raise labels.error(f"{marks[first].text!r} is not a beat of a bar: {HINT}", first)
        note = f"labels such as {of_metre[0][0]!r} are beats of bars"
        return Positions(filled(int(match[1]) for match in of_metre), "positions", (note,))
    if convention != "bar.beat":
        fractions = _fractions(places)
        if fractions is not None:
            note = "its numbers are fractions of a bar: whole ones are downbeats"
            return Positions(filled(fractions), "fractions", (note,))
        if convention == "fractions":
            raise labels.error(f"{marks[first].text!r}: its numbers do not divide bars evenly", first)
    bars, written = list[int](), list[str]()
    for i, text in places.items():
        match = _BAR_BEAT.fullmatch(text)
        if match is None:
            raise labels.error(f"{text!r} is not bar.beat, but other labels are", i)
        bars.append(int(match[1]))
        written.append(match[2])
    if len(written) > 1 and len(set(map(len, written))) == 1 and all(beat.endswith("0") for beat in written):
        written = [beat.rstrip("0") or "0" for beat in written]
    beats = [int(beat) for beat in written]
    steps = list(pairwise(zip(bars, beats, strict=True)))
    zero = 0 in beats
    if zero and not _counts(steps, start=0) >= 0.8:
        i = list(places)[beats.index(0)]
        raise labels.error(f"{marks[i].text!r} is not bar.beat: beats are counted from 1", i)
    if len(steps) > 1 and _counts(steps, start=1 - zero) < 0.5:
        tempi = bars[0] >= 20 or any(b < a for a, b in pairwise(bars))
        if tempi or max(beats) > LARGEST:
            what = f"labels such as {marks[first].text!r} do not count beats of bars: they may be tempi or levels"
            raise labels.error(f"{what}; if only the times are wanted, {HINT}: times", first)
    positions = filled(beat + zero for beat in beats)
    notes = ("its beats of bars count from 0: bar.0 is taken for the downbeat",) if zero else ()
    if convention != "bar.beat" and len(places) == len(marks) > 1 and set(positions) == {1}:
        return Positions(positions, "downbeats-only", (*notes, _ONLY_DOWNBEATS), only_downbeats=True)
    return Positions(positions, "bar.beat", notes)


def _counts(steps: list[tuple[tuple[int, int], tuple[int, int]]], *, start: int) -> float:
    """Share of the steps that count on: the next beat of the bar, or the first of the next bar."""
    good = [
        (bar == before and beat == last + 1) or (bar == before + 1 and beat == start)
        for (before, last), (bar, beat) in steps
    ]
    return sum(good) / len(good) if good else 1.0


def _fractions(labelled: dict[int, str]) -> list[int] | None:
    """Positions of beats whose labels divide bars evenly, such as 1.0, 1.25, 1.5; None if they do not."""
    if any(not re.fullmatch(r"\d{1,9}([.,]\d+)?", text) for text in labelled.values()):
        return None
    values = [float(text.replace(",", ".")) for text in labelled.values()]
    rises = [b - a if b > a else b + 1 - a for a, b in pairwise(values)]
    if len(rises) < 2 or not any(value == int(value) for value in values):
        return None
    if all(value < 1 for value in values) is False and any(b <= a for a, b in pairwise(values)):
        return None
    usual = sorted(rises)[len(rises) // 2]
    beats = round(1 / usual) if 1 / LARGEST < usual < 0.6 else 0
    if beats < 2 or sum(abs(rise * beats - 1) > 0.1 for rise in rises) > 0.1 * len(rises):
        return None
    return [round((value - int(value)) * beats) % beats + 1 for value in values]


def format_labels(beats: Beats) -> list[str]:
    """Format a label for every beat such that reading returns the same positions.

    Parameters
    ----------
    beats : Beats

    Returns
    -------
    list of str
        Positions, empty if unknown; bar.beat if positions alone would be ambiguous.
    """
    texts = [str(position or "") for _, position in beats]
    if round_trips(beats, texts):
        return texts
    bar, before, pairs = 1, 0, list[str]()
    for _, position in beats:
        if position:
            bar += before >= position
            before = position
        pairs.append(f"{bar}.{position}" if position else "")
    return pairs


def round_trips(beats: Beats, texts: Sequence[str]) -> bool:
    """Whether labels are read back as the positions of the beats."""
    marks = [Marker(time, text, i) for i, ((time, _), text) in enumerate(zip(beats, texts, strict=True), 1)]
    if not marks:
        return True
    try:
        read = read_positions(marks, "", "line", "")
    except InputError:
        return False
    return read.positions == beats.positions.tolist() and not read.only_downbeats
