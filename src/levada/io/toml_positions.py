"""Where the entries of a TOML file are written: its parser does not tell, and whoever misspelt one asks."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field

__all__ = ["Places", "Where", "find_places"]

Where = tuple[str | int, ...]

_BLANK = re.compile(r"(?:[ \t\n]|#[^\n]*)*")
_KEY = re.compile(r"""[ \t]*("(?:[^"\\]|\\.)*"|'[^']*'|[\w-]+)[ \t]*""")
_STRING = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")' r"|'''.*?'{3,5}(?!')" r'|"(?:[^"\\]|\\.)*"' r"|'[^']*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\n]*")


@dataclass(frozen=True)
class Places:
    """Offsets in a text, by the path of keys and indices that leads to an entry.

    Parameters
    ----------
    text : str
    keys : dict of tuple to int
        Where the key of an entry, or the header of a table, begins.
    values : dict of tuple to int
        Where its value begins.
    """

    text: str
    keys: dict[Where, int] = field(default_factory=dict)
    values: dict[Where, int] = field(default_factory=dict)

    def of(self, where: Where, *, character: int | None = None, key: bool = False) -> tuple[int, int] | None:
        """Line and column, from 1, of a value, of a character in a text, or of a key; None where nothing is near.

        What is not written anywhere is sought in the table it should be in.
        """
        for length in range(len(where), 0, -1):
            path = where[:length]
            offset = (self.keys if key else self.values).get(path, self.keys.get(path))
            if offset is not None:
                exact = length == len(where) and character is not None
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


def find_places(text: str) -> Places:
    """Find where every entry of a TOML file is written.

    Parameters
    ----------
    text : str
        TOML that `tomllib` has read.
    """
    scanner = _Scanner(text.replace("\r\n", "\n"))
    scanner.document()
    return scanner.places


class _Scanner:
    """A walk through TOML that is known to be right, and so may trust every bracket."""

    def __init__(self, text: str) -> None:
        self.text, self.at, self.places = text, 0, Places(text)
        self.last: dict[Where, int] = {}  # arrays of tables -> the index of their latest

    def document(self) -> None:
        table: Where = ()
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

    def _header(self) -> Where:
        start, brackets = self.at, 2 if self.text.startswith("[[", self.at) else 1
        self.at += brackets
        names, path = self._names(), Where()
        self.at += brackets
        for number, name in enumerate(names, start=1):
            path = (*path, name)
            if brackets == 2 and number == len(names):
                self.last[path] = self.last.get(path, -1) + 1
            if path in self.last:
                path = (*path, self.last[path])
        for length in range(1, len(path) + 1):
            self.places.keys.setdefault(path[:length], start)
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

    def _pair(self, table: Where) -> None:
        start, path = self.at, table
        for name in self._names():
            path = (*path, name)
            self.places.keys.setdefault(path, start)
        self.at += 1  # the equals sign
        self._value(path)

    def _value(self, path: Where) -> None:
        first, index = self._next(), 0
        self.places.values[path] = self.at
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
