"""What is said of a file in which something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["Problem", "Severity", "say_notes"]

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True)
class Problem:
    """Something wrong, in a plain sentence."""

    severity: Severity  # "error", "warning" or "note"
    message: str  # what is wrong and, where it is not obvious, what to do
    path: Path | None = None  # the file at fault
    line: int | None = None  # the line at fault, counted from 1, where the file has lines

    def __str__(self) -> str:
        where = (
            "" if self.path is None else f"{self.path}: " if self.line is None else f"{self.path}, line {self.line}: "
        )
        return where + self.message


def say_notes(notes: Iterable[Problem], say: Callable[[str], object]) -> None:
    """Print what was assumed of the files of a corpus, and which are left out.

    Parameters
    ----------
    notes : iterable of Problem
        As a `StemCorpus` has them.
    say : callable
        What prints a sentence.
    """
    for note in notes:
        say(f"note: {note}")
