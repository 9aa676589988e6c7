"""Properties and problems of a corpus.

Each recording is read once, in blocks. Problems have three severities: an *error* makes a recording or its labels
unusable or wrong, a *warning* is probably a mistake or costs accuracy, a *note* is good to know. Where many beats of
one file share a problem, it is reported once, with its number of occurrences and the first of them.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from levada.data import beat_check, stem_check
from levada.data.audio_scan import reader_warnings
from levada.data.beat_check import Row
from levada.data.corpus import Corpus
from levada.data.problems import ORDER, Problem
from levada.data.stem_check import SongRow
from levada.io.workers import usable_cores

__all__ = ["Report", "check"]


@dataclass(frozen=True)
class Report:
    """Properties and problems of a corpus."""

    name: str  # of the corpus
    grouping: str  # the origin of its groups
    rows: tuple[Row | SongRow, ...]  # one for each recording
    problems: tuple[Problem, ...]  # errors first, then warnings and notes

    @property
    def ok(self) -> bool:
        """Whether nothing is an error."""
        return not any(problem.severity == "error" for problem in self.problems)

    @property
    def minutes(self) -> float:
        """Minutes with labels."""
        lengths = [row.annotated_s if isinstance(row, Row) else row.duration_s for row in self.rows]
        return sum(length for length in lengths if math.isfinite(length)) / 60


def check(corpus: Corpus[Any]) -> Report:
    """Read every recording and all labels of a corpus, and report properties and problems.

    Parameters
    ----------
    corpus : Corpus

    Returns
    -------
    Report
        Problems of the user's files are in the report; none is raised.
    """
    kind: Any = stem_check if corpus.labels == "stems" else beat_check
    with reader_warnings() as warnings, ThreadPoolExecutor(usable_cores()) as pool:
        scans = list(pool.map(kind.scan, corpus.tracks))
    rows, found = kind.rows_and_problems(corpus, scans)
    problems = [*corpus.notes, *warnings, *found]
    problems.sort(key=lambda problem: (ORDER.index(problem.severity), str(problem.path or ""), problem.line or 0))
    return Report(corpus.name, corpus.grouping, tuple(rows), tuple(problems))
