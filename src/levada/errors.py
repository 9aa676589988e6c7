"""What is said when the user's input is at fault.

One class, so that a door can tell the user's mistakes (exit code 2, the message alone) from ours (exit code 1).
"""

from __future__ import annotations

from pathlib import Path

__all__ = ["InputError", "MissingExtra"]


class InputError(ValueError):
    """Something the user gave cannot be used.

    Parameters
    ----------
    problem : str
        What is wrong and what to do about it, in one sentence or two.
    path : path-like or None
        The file at fault.
    line, column : int or None
        The line at fault and where in it, counted from 1.
    """

    def __init__(
        self, problem: str, *, path: str | Path | None = None, line: int | None = None, column: int | None = None
    ) -> None:
        self.problem, self.path, self.line, self.column = problem, path, line, column
        place = "" if line is None else f", line {line}" if column is None else f", line {line}, column {column}"
        super().__init__(problem if path is None else f"{path}{place}: {problem}")


class MissingExtra(InputError):
    """A library that an optional part needs is not installed.

    Parameters
    ----------
    library : str
        The library's name on the package index.
    extra : str
        The extra of this project that brings it.
    purpose : str
        What it is needed for, completing "… is needed to".
    """

    def __init__(self, library: str, *, extra: str, purpose: str) -> None:
        super().__init__(f"{library} is needed to {purpose}: pip install 'levada[{extra}]'")
