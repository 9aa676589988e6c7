"""What is said when the user's input is at fault.

One class, so that a door can tell the user's mistakes (exit code 2, the message alone) from ours (exit code 1).
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

__all__ = ["InputError", "MissingExtra", "portable"]


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

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle without calling `__init__`, whose arguments differ between subclasses and may be keyword-only."""
        return _restored, (type(self), self.args, self.__dict__)


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


def portable(error: Exception) -> Exception:
    """An exception that can be sent to another process.

    Parameters
    ----------
    error : Exception

    Returns
    -------
    Exception
        The same one if it survives pickling. Otherwise an `InputError` or a `RuntimeError` with the same message:
        an exception that cannot be unpickled breaks the pool of processes that receives it.
    """
    with suppress(Exception):
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    if isinstance(error, InputError):
        return InputError(str(error))
    return RuntimeError(f"{type(error).__name__}: {error}".removesuffix(": "))


def _restored(kind: type[Exception], args: tuple[Any, ...], state: Mapping[str, Any]) -> Exception:
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(state)
    return error
