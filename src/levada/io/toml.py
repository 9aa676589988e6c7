"""TOML files, and where their entries are written: `tomllib` reads them, but gives no lines and columns.

`read_toml` reads a file, `line_of` finds the line of one entry, `find_positions` those of all.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from levada.errors import InputError
from levada.io.text import read_bytes

__all__ = ["KeyPath", "Positions", "find_positions", "line_of", "read_toml"]

KeyPath = tuple[str | int, ...]
"""Keys and indices that lead to an entry, from the outermost table."""

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")' r"|'''.*?'{3,5}(?!')" r'|"(?:[^"\\]|\\.)*"' r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


def read_toml(path: str | Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    InputError
        If it cannot be read or is not valid; names line and column.
    """
    content = read_bytes(path)
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise InputError("is not UTF-8 text", path=path, line=line) from None
    except tomllib.TOMLDecodeError as error:
        at = re.search(r" \(at line (\d+), column (\d+)\)$", str(error))
        problem = str(error)[: at.start()] if at else str(error)
        place = {"line": int(at[1]), "column": int(at[2])} if at else {}
        raise InputError(f"is not valid TOML: {problem}", path=path, **place) from None
    except RecursionError:
        raise InputError("is not valid TOML: its brackets are nested too deeply", path=path) from None


def line_of(path: str | Path, *keys: str | int) -> int | None:
    """Line of an entry of a TOML file, counted from 1.

    Parameters
    ----------
    path : path-like
        A file that `read_toml` has read.
    *keys : str or int
        Keys of the tables around it and its own.

    Returns
    -------
    int or None
        As for `Positions.of`; None too where the file cannot be read any more.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError:
        return None
    position = find_positions(text).of(keys, key=True)
    return None if position is None else position[0]


@dataclass(frozen=True)
class Positions:
    """Offsets in a text, by the path of keys and indices that leads to an entry.

    Parameters
    ----------
    text : str
    keys : dict of tuple to int
        KeyPath the key of an entry, or the header of a table, begins.
    values : dict of tuple to int
        KeyPath its value begins.
    """

    text: str
    keys: dict[KeyPath, int] = field(default_factory=dict)
    values: dict[KeyPath, int] = field(default_factory=dict)

    def of(self, keys: KeyPath, *, character: int | None = None, key: bool = False) -> tuple[int, int] | None:
        """Line and column, counted from 1, of a value, of a character of a text, or of a key.

        For an entry that the file does not have, the position of the innermost table around it that it has; None
        without such a table.
        """
        for length in range(len(keys), 0, -1):
            path = keys[:length]
            offset = (self.keys if key else self.values).get(path, self.keys.get(path))
            if offset is not None:
                exact = length == len(keys) and character is not None
                return self._line_and_column(offset + (self._inside(offset, character or 0) if exact else 0))
        return None

    def _inside(self, offset: int, character: int) -> int:
        """How far behind the beginning of a text one of its characters is written; 0 where escapes hide it."""
        raw = _STRING.match(self.text, offset)
        if raw is None:
            return 0
        quotes = 3 if raw[0][:3] in ('"""', "'''") else 1
        if quotes == 3 and raw[0][3:4] == "\n":
            quotes += 1
        return 0 if raw[0][0] == '"' and "\\" in raw[0] else quotes + character

    def _line_and_column(self, offset: int) -> tuple[int, int]:
        return self.text.count("\n", 0, offset) + 1, offset - self.text.rfind("\n", 0, offset)


def find_positions(text: str) -> Positions:
    """Find the positions of all entries of a TOML file.

    Parameters
    ----------
    text : str
        Valid TOML: what `tomllib` has read.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.positions


class _Scanner:
    """A walk through TOML that is known to be right, and so may trust every bracket."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.positions = text, 0, Positions(text)
        self.last: dict[KeyPath, int] = {}  # arrays of tables -> the index of their latest

    def document(self) -> None:
        table: KeyPath = ()
        while self._next():
            if self._next() == "[":
                table = self._header()
            else:
                self._pair(table)

    def _next(self) -> str:
        """Step over blanks and comments; the character there, or nothing at the end."""
        blank = _BLANK.match(self.text, self.at)
        self.at = blank.end() if blank else self.at
        return self.text[self.at : self.at + 1]

    def _header(self) -> KeyPath:
        start, brackets = self.at, 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        names, path = self._names(), KeyPath()
        self.at += brackets
        for number, name in enumerate(names, start=1):
            path = (*path, name)
            if brackets == 2 and number == len(names):
                self.last[path] = self.last.get(path, -1) + 1
            if path in self.last:
                path = (*path, self.last[path])
        for length in range(1, len(path) + 1):
            self.positions.keys.setdefault(path[:length], start)
        return path

    def _names(self) -> list[str]:
        names: list[str] = []
        while key := _KEY.match(self.text, self.at):
            self.at = key.end()
            names.append(str(tomllib.loads(f"key = {key[1]}")["key"]) if key[1][0] in "\"'" else key[1])
            if self.text[self.at : self.at + 1] != ".":
                break
            self.at += 1
        return names

    def _pair(self, table: KeyPath) -> None:
        start, path = self.at, table
        for name in self._names():
            path = (*path, name)
            self.positions.keys.setdefault(path, start)
        self.at += 1  # the equals sign
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        first, index = self._next(), 0
        self.positions.values[path] = self.at
        if first in "[{":
            self.at += 1
            while self._next() not in "]}":
                if first == "[":
                    self._value((*path, index))
                    index += 1
                else:
                    self._pair(path)
                self.at += self._next() == ","
            self.at += 1
        else:
            raw = (_STRING if first in "\"'" else _SCALAR).match(self.text, self.at)
            self.at = raw.end() if raw else len(self.text)
