"""Problems of the files of a corpus."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["ORDER", "Problem", "Severity", "log_notes", "others"]

Severity = Literal["error", "warning", "note"]
ORDER = ("error", "warning", "note")


@dataclass(frozen=True)
class Problem:
    """A problem of a file, in a sentence."""

    severity: Severity  # "error", "warning" or "note"
    message: str  # what is wrong and, where it is not obvious, what to do
    path: Path | None = None  # the file at fault
    line: int | None = None  # the line at fault, counted from 1, where the file has lines

    def __str__(self) -> str:
        where = (
            "" if self.path is None else f"{self.path}: " if self.line is None else f"{self.path}, line {self.line}: "
        )
        return where + self.message


def log_notes(notes: Iterable[Problem], log: Callable[[str], object]) -> None:
    """Report the assumptions about the files of a corpus, and the files that are not used.

    Parameters
    ----------
    notes : iterable of Problem
        `Corpus.notes`.
    log : callable
        Takes a sentence.
    """
    for note in notes:
        log(f"{note.severity}: {note}")


def others(number: int) -> str:
    """Format how many more there are beside the one that is named."""
    return "" if number == 1 else f" (and {number - 1} more)"
