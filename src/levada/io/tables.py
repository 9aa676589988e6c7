"""CSV tables and short texts of reports; NaN is an empty cell, or null in JSON."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from pathlib import Path

from levada.errors import InputError
from levada.io.files import atomic_file
from levada.io.text import escape_csv_cell

__all__ = ["card_scores", "count", "error_text", "join_names", "nan_to_none", "single_group_note", "write_csv"]


def write_csv(path: str | Path, rows: Sequence[Mapping[str, object]], *, force: bool = False) -> None:
    """Write a CSV with one line for each row.

    Parameters
    ----------
    path : path-like
    rows : sequence of mapping
        All with the same columns, one row at least.
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    InputError
        If the file exists and `force` is not given, or cannot be written.
    """
    with atomic_file(path, force=force) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        for row in rows:
            writer.writerow({name: "" if _is_nan(value) else escape_csv_cell(value) for name, value in row.items()})


def nan_to_none(values: Mapping[str, object]) -> dict[str, object]:
    """Replace NaN by None, for JSON."""
    return {name: None if _is_nan(value) else value for name, value in values.items()}


def join_names(names: Iterable[str], *, most: int = 5) -> str:
    """Join the first names, with the number of further ones."""
    names = list(names)
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def card_scores(means: Mapping[str, object], groups: Mapping[str, str], *, noun: str = "recording") -> dict[str, str]:
    """Return the scores of a model for its card, with the number of recordings and groups.

    Parameters
    ----------
    means : mapping of str to Interval
        Name of a score -> its mean and interval.
    groups : mapping of str to str
        Recording -> its group, for each that was scored.
    noun : str
    """
    several = len(set(groups.values()))
    scored = f"{count(len(groups), noun)} of {count(several, 'other group')}"
    note = ", which is no evidence for music of others" if several == 1 else ""
    return {**{name: str(mean) for name, mean in means.items()}, "scored on": scored + note}


def single_group_note(number: int, *, noun: str = "recording") -> str:
    """Return the caveat of scores from one group."""
    return f"scored on {count(number, noun)} of one group, which is no evidence for music of other groups"


def count(number: int, noun: str) -> str:
    """Format a number of things."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def error_text(problem: Exception) -> str:
    """Return the message of an error in one sentence."""
    return str(problem) if isinstance(problem, InputError | BrokenExecutor) else f"{type(problem).__name__}: {problem}"


def _is_nan(value: object) -> bool:
    return isinstance(value, float) and math.isnan(value)
