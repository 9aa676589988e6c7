"""Stems of test recordings as players: the mixture, the stem that is to be found, and what each method found."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from levada.experiments.report.results import ORACLE, Results
from levada.experiments.run import LISTEN
from levada.separation.song_scores import MIXTURE
from levada.separation.task import TRUE

__all__ = ["Players", "players"]


@dataclass(frozen=True)
class Players:
    """A table of players on the page: for each row its name, and a data URI for each column, empty without sound."""

    caption: str
    columns: tuple[str, ...]
    players: Mapping[str, tuple[str, ...]]


def players(results: Results, corpus: str, minutes: float | None) -> Players | None:
    """Collect the stems that the runs at a budget, and those without labels, kept; None where none did."""
    found: dict[str, dict[str, Path]] = {}
    for run in results.runs:
        if results.corpus_of[run.id] != corpus or run.budget.amount not in (0.0, minutes) or run.base == ORACLE:
            continue
        root = run.folder / LISTEN
        for path in sorted(root.glob("**/*.mp3")):
            is_true = path.parent.name == TRUE
            song = (path.parent.parent if is_true else path.parent).name
            name = TRUE if is_true else results.method_of[run.id].name
            found.setdefault(name, {}).setdefault(f"{path.stem}, {song}", path)
    if not found:
        return None
    columns = tuple(sorted({column for of in found.values() for column in of}))
    order = [MIXTURE, TRUE, *(method.name for method in results.methods)]
    rows = {
        name: tuple(_uri(found[name][column]) if column in found[name] else "" for column in columns)
        for name in dict.fromkeys(order)
        if name in found
    }
    budget = f"; methods with {results.short_text(corpus, minutes)}" if minutes is not None else ""
    return Players(f"{corpus}: recordings of the test set{budget}.", columns, rows)


def _uri(path: Path) -> str:
    return "data:audio/mpeg;base64," + base64.b64encode(path.read_bytes()).decode("ascii")
