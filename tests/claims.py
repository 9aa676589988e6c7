"""Claims of the documentation, held to the tables they come from.

A table is named by a comment above it, and a claim stands in a comment after the sentences it is about; neither is seen
by readers of the page::

    <!-- table: drums -->
    | minutes | model      | beat F            | downbeat F        |
    |---------|------------|-------------------|-------------------|
    | –       | base       | 0.98 [0.93, 1.00] | 0.80 [0.61, 0.95] |
    | 1.5     | adapted    | 0.98 [0.94, 1.00] | 0.76 [0.44, 0.99] |

    Labels cost .04 of the downbeats, and no beat.
    <!-- claim: drums[– | base | downbeat F] - drums[1.5 | adapted | downbeat F] = .04;
         drums[1.5 | * | beat F] >= drums[– | base | beat F] -->

``drums[1.5 | adapted | downbeat F]`` is a cell: the first cells of its row, then the head of its column. Its value is
the first number in it, ``.low`` and ``.high`` behind the brackets are the ends of its interval. A cell such as ``.98 /
.76``, and columns such as ``beat F / downbeat F``, have several values, and so has what is named with ``*``, which
stands for anything, also in names of tables; dashes among them are passed over. Values are added, subtracted and
compared one by one, or all with one; a claim holds if it holds for all of them. ``min``, ``max`` and ``count`` make
one value of many, and ``count`` takes a comparison too: ``count(a[* | x] >= b[* | x]) = 6``. ``=`` compares at the
precision of the coarser side, as printed.

Every score in prose (``.76``, ``+.04``, ``7.5 dB``) must be in a claim that follows it, and sentences that compare
models in words (best, never, every …) need one; ``<!-- no claim: why -->`` is for what comes from no table. Cells of a
table without a name are prose.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import dropwhile, takewhile

NUMBER = r"(?:\d+\.\d+|\.\d+|\d+)"
COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)
TOKEN = re.compile(
    rf"(?P<cells>[\w*][\w*-]*\[[^\]]*\](?:\.low|\.high)?)|(?P<number>{NUMBER})|(?P<name>min|max|count)|(?P<op><=|>=|[<>=+(),-])"
)
COMPARE = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
ENDS = {"": 0, ".low": 1, ".high": 2}

UNIT = r"(?!\d|\.\d|(?: to [\d.]+)?[ -]?(?:s|ms|min|minutes|hours|MB|GB|Hz|bpm|times|×|%)(?!\w))"
SCORE = re.compile(rf"(?<![\w.,])(?<!load )[+−-]?(?:0?\.\d{{2,3}}|1\.0+){UNIT}")
DECIBELS = re.compile(rf"(?<![\w.,])[+−-]?\d*\.\d+{UNIT}")
MODELS = "base|latin|bayes|finetune|scratch|decoder|madmom|madmom-tcn|beatnet|librosa|flux|nmf|rivals?"
NAMED = re.compile(rf"(?<![\w-])(?:{MODELS})(?![\w-])", re.IGNORECASE)
WORDS = re.compile(
    r"\b(?:best|worst|better|worse|never|always|every|none|nothing|no (?:table|tracker|difference|model)|wins?|loses?"
    rf"|lost|beats (?:every|all|any|both|{MODELS})|as (?:good|well) as|at or (?:above|below))\b",
    re.IGNORECASE,
)


class ClaimError(ValueError):
    """A claim that cannot be read, or names what no table has."""


@dataclass(frozen=True)
class Value:
    """A number, and to how many decimals it is known; None where it is exact."""

    number: float
    decimals: int | None = None


@dataclass(frozen=True)
class Table:
    """A table of Markdown as plain text: heads of columns, and rows of cells."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass
class Passage:
    """Prose, and the comments that follow it: claims, or why there are none."""

    line: int
    text: str = ""
    claims: list[str] = field(default_factory=list)
    is_exempt: bool = False


def tables_of(markdown: str) -> dict[str, Table]:
    """Read the named tables of a document.

    Raises
    ------
    ClaimError
        If a name is used twice, or no table follows it.
    """
    lines, found = markdown.splitlines(), dict[str, Table]()
    for number, line in enumerate(lines, start=1):
        name = re.fullmatch(r"<!--\s*table:\s*([\w-]+)\s*-->", line.strip())
        if name is None:
            continue
        after = list(dropwhile(lambda one: not one.strip(), lines[number:]))
        rows = [one.strip().strip("|").split("|") for one in takewhile(lambda one: one.startswith("|"), after)]
        if len(rows) < 3:
            raise ClaimError(f"line {number}: no table follows the name {name[1]}")
        if name[1] in found:
            raise ClaimError(f"line {number}: there are two tables called {name[1]}")
        head, _, *cells = (tuple(re.sub(r"[*`]", "", cell).strip() for cell in row) for row in rows)
        found[name[1]] = Table(head, tuple(cells))
    return found


def passages_of(markdown: str) -> Iterator[Passage]:
    """Yield the prose of a document, each stretch with the comments after it; tables without a name are prose too."""
    is_code = is_named = False
    block, start, before = "", 1, ""
    for number, line in enumerate([*markdown.splitlines(), ""], start=1):
        is_fence, is_open, is_row = (
            line.startswith("```"),
            block.count("<!--") > block.count("-->"),
            line.startswith("|"),
        )
        if is_row and not before.startswith("|"):
            is_named = before.startswith("<!-- table:")
        is_item = bool(re.match(r"\s*(?:[-*]|\d+\.) ", line))
        is_prose = bool(line.strip()) and not (is_fence or is_code or line.startswith("#") or (is_row and is_named))
        if not is_open and (is_item or not is_prose):
            yield from _passages(block, start)
            block = ""
        if is_prose or is_open:
            block, start = (f"{block}\n{line}", start) if block else (line, number)
        is_code ^= is_fence
        before = line if line.strip() else before


def problems_of(markdown: str, tables: Mapping[str, Table]) -> list[str]:
    """List every claim that does not hold and every sentence that lacks one, with their lines."""
    found = list[str]()
    for passage in passages_of(markdown):
        known = set[str]()
        for claim in passage.claims:
            known |= {_figure(number) for number in re.findall(NUMBER, re.sub(r"\[.*?\]", "", claim))}
            try:
                problem = None if holds(claim, tables) else "does not hold"
            except ClaimError as error:
                problem = str(error)
            if problem:
                found.append(f"line {passage.line}: {claim}: {problem}")
        for sentence in [] if passage.is_exempt else re.split(r"(?<=[.!?])\s+(?=\W*[A-Z])", passage.text):
            figures = re.sub(r"`[^`]*`", "", sentence)
            kind = DECIBELS if re.search(r"\bdB\b", sentence) else SCORE
            missing = [figure for figure in kind.findall(figures) if _figure(figure) not in known]
            if missing:
                found.append(f"line {passage.line}: no claim has {', '.join(missing)}: {sentence}")
            elif not passage.claims and WORDS.search(sentence) and NAMED.search(sentence):
                found.append(f"line {passage.line}: compares models, and has no claim: {sentence}")
    return found


def holds(claim: str, tables: Mapping[str, Table]) -> bool:
    """Evaluate a comparison, such as ``a[x | y] - .1 <= max(b[* | y])``.

    Raises
    ------
    ClaimError
        If it is none, or names what no table has.
    """
    parser = _Parser(claim, tables)
    found = all(parser.comparison())
    if parser.tokens:
        raise ClaimError(f"cannot be read from {parser.tokens[0][1]!r} on")
    return found


class _Parser:
    """Comparisons, by recursive descent."""

    def __init__(self, text: str, tables: Mapping[str, Table]) -> None:
        self.tables, self.tokens, at = tables, list[tuple[str, str]](), 0
        text = " ".join(text.replace("−", "-").split())
        while at < len(text):
            token = TOKEN.match(text, at)
            if token is None:
                raise ClaimError(f"cannot be read from {text[at : at + 20]!r} on")
            self.tokens.append((str(token.lastgroup), token[0]))
            at = token.end() + (text[token.end() : token.end() + 1] == " ")

    def comparison(self) -> list[bool]:
        """Whether it holds, for each of the values compared; of a chain, for each of its links."""
        one, found = self.sum(), list[bool]()
        while (op := self.taken("<", "<=", ">", ">=", "=")) is not None:
            other = self.sum()
            found += [_compared(*pair, op) for pair in _paired(one, other)]
            one = other
        if not found:
            raise ClaimError("compares nothing")
        return found

    def sum(self) -> list[Value]:
        """Values, added and subtracted."""
        total = self.term()
        while (op := self.taken("+", "-")) is not None:
            pairs = _paired(total, self.term())
            total = [
                Value(one.number + (other.number if op == "+" else -other.number), _coarser(one, other))
                for one, other in pairs
            ]
        return total

    def term(self) -> list[Value]:
        """A number, cells, or a function of values."""
        if (op := self.taken("+", "-")) is not None:
            return [Value(one.number if op == "+" else -one.number, one.decimals) for one in self.term()]
        kind, text = self.tokens.pop(0) if self.tokens else ("", "its end")
        if kind == "number":
            return [_value(text)]
        if kind == "cells":
            return _cells(text, self.tables)
        if kind != "name" or self.taken("(") is None:
            raise ClaimError(f"a number, a cell or a function is missing before {text!r}")
        values = self.sum()
        if text == "count" and (op := self.taken("<", "<=", ">", ">=", "=")) is not None:
            values = [pair[0] for pair in _paired(values, self.sum()) if _compared(*pair, op)]
        while text != "count" and self.taken(",") is not None:
            values += self.sum()
        if self.taken(")") is None:
            raise ClaimError("')' is missing")
        if text == "count":
            return [Value(len(values))]
        return [(min if text == "min" else max)(values, key=lambda value: value.number)]

    def taken(self, *ops: str) -> str | None:
        """Take the next token if it is one of these."""
        return self.tokens.pop(0)[1] if self.tokens and self.tokens[0] in {("op", op) for op in ops} else None


def _cells(text: str, tables: Mapping[str, Table]) -> list[Value]:
    """Values of the cells that a reference names."""
    name, inside, end = re.fullmatch(r"([\w*-]+)\[(.*)\](.*)", text).groups()  # type: ignore[union-attr]
    *wanted, heads = (part.strip() for part in inside.split("|"))
    chosen = [table for own, table in tables.items() if fnmatchcase(own, name)]
    if not chosen:
        raise ClaimError(f"there is no table {name}")
    found, rows = list[Value](), 0
    for table in chosen:
        columns = [head for one in heads.split(" / ") for head in table.columns if fnmatchcase(head, one)]
        if len(columns) < len(heads.split(" / ")):
            raise ClaimError(f"{name} has no column {heads}, but {', '.join(table.columns)}")
        for row in table.rows:
            if all(fnmatchcase(cell, part) for cell, part in zip(row, wanted, strict=False)):
                rows += 1
                for cell in (row[table.columns.index(head)] for head in columns):
                    if cell != "–" or "*" not in text:  # a dash is a score that a model does not have
                        found += _values(cell, end, text)
    if not found or (rows > 1 and "*" not in text):
        raise ClaimError(f"{text} names {rows} rows")
    return found


def _values(cell: str, end: str, text: str) -> list[Value]:
    """The values of a cell: the first number of each part, or an end of its interval."""
    found = []
    for part in cell.split(" / "):
        numbers = re.findall(rf"(?<![\w.])-?{NUMBER}", part.replace("−", "-"))
        if len(numbers) <= ENDS[end]:
            raise ClaimError(f"{text} is {cell!r}, which has no such number")
        found.append(_value(numbers[ENDS[end]]))
    return found


def _value(text: str) -> Value:
    return Value(float(text), len(text.partition(".")[2]))


def _coarser(one: Value, other: Value) -> int | None:
    known = [value.decimals for value in (one, other) if value.decimals is not None]
    return min(known, default=None)


def _compared(one: Value, other: Value, op: str) -> bool:
    decimals = _coarser(one, other)
    if op == "=":
        return abs(one.number - other.number) <= (0 if decimals is None else 0.5 * 10.0**-decimals) + 1e-9
    return bool(COMPARE[op](round(one.number, 9), round(other.number, 9)))


def _paired(one: Sequence[Value], other: Sequence[Value]) -> list[tuple[Value, Value]]:
    """One by one, or all with one."""
    if len(one) != len(other) and 1 not in (len(one), len(other)):
        raise ClaimError(f"{len(one)} values cannot be compared with {len(other)}")
    length = max(len(one), len(other))
    return list(zip(*(list(side) * (length if len(side) == 1 else 1) for side in (one, other)), strict=True))


def _passages(block: str, line: int) -> Iterator[Passage]:
    """Divide a block of prose where its comments end."""
    if not block:
        return
    passage, at = Passage(line), 0
    for comment in COMMENT.finditer(block):
        between = block[at : comment.start()].strip()
        if between and (passage.claims or passage.is_exempt):
            yield passage
            passage = Passage(line + block.count("\n", 0, comment.start()))
        passage.text = f"{passage.text} {' '.join(between.split())}".strip()
        kind, _, said = comment[1].partition(":")
        if kind == "claim":
            passage.claims += [" ".join(part.split()) for part in said.split(";") if part.strip()]
        passage.is_exempt |= kind == "no claim" and bool(said.strip())
        at = comment.end()
    rest = " ".join(block[at:].split())
    if rest and (passage.claims or passage.is_exempt):
        yield passage
        passage = Passage(line + block.count("\n"))
    passage.text = f"{passage.text} {rest}".strip()
    yield passage


def _figure(text: str) -> str:
    """A figure as all its ways of writing have it: ".57", "0.57" and "+.57" are one."""
    return text.lstrip("+−-0") or "0"
