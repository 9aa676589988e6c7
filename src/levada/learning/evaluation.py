"""What evaluations of both tasks share: tables of means with intervals, files, and the loop over recordings.

A task package has a row for each model on each recording (or stem), a subclass of `Evaluation` with its metrics, and a
function that scores all models on one recording.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from levada.errors import InputError
from levada.io.tables import error_text, join_names, nan_to_none, write_csv
from levada.io.workers import parallel_map
from levada.learning.statistics import Interval, mean_interval, paired_interval

__all__ = ["Evaluation", "Row", "Summary", "Table", "require_models", "score_all", "warnings_of"]

Table = Mapping[str, Mapping[str, Interval]]
"""Mean and interval by model and score."""


class Row(Protocol):
    """One model on one recording."""

    @property
    def model(self) -> str:
        """Name of the model."""

    @property
    def trained_on(self) -> bool:
        """Whether the model was trained on some of the recording."""

    @property
    def error(self) -> str:
        """Why there are no scores; empty where there are."""

    def flat(self) -> dict[str, object]:
        """Return the row as one row of a table."""


class Summary(dict[str, dict[str, Interval]]):
    """Means by model and score; as text, a table of some scores with a row for each model.

    Parameters
    ----------
    means : mapping of str to dict of str to Interval
    columns : sequence of str
        The scores of the text.
    noun : str
        What a recording is called.
    """

    def __init__(
        self, means: Mapping[str, dict[str, Interval]], *, columns: Sequence[str], noun: str = "recording"
    ) -> None:
        super().__init__(means)
        self.columns, self.noun = columns, noun

    def __str__(self) -> str:
        cells = [["model", *self.columns, f"{self.noun}s", "groups"]]
        for model, scores in self.items():
            means = [scores[name] for name in self.columns]
            counts = [str(max(getattr(one, name) for one in means)) for name in ("recordings", "groups")]
            cells.append([model, *map(str, means), *counts])
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in cells)

    __repr__ = __str__  # what a notebook shows


AnyRow = TypeVar("AnyRow", bound=Row)
Job = TypeVar("Job")


@dataclass(frozen=True, repr=False)
class Evaluation(Generic[AnyRow]):
    """All rows of an evaluation, and the means over them.

    Parameters
    ----------
    rows : tuple of Row
        For each recording in turn, the models in their order.
    models : tuple of str
        The first one is the reference of all differences.
    skipped : tuple of str
        Identifiers of the recordings that cannot be scored.
    warnings : tuple of str
        What a reader of the means must know.
    """

    metrics: ClassVar[tuple[str, ...]] = ()  # all scores
    main_metrics: ClassVar[tuple[str, ...]] = ()  # those of a card and of a printed summary
    noun: ClassVar[str] = "recording"

    rows: tuple[AnyRow, ...]
    models: tuple[str, ...]
    skipped: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        count = len(self._groups())
        return f"{type(self).__name__}({', '.join(self.models)}: {count} {self.noun}{'s' * (count != 1)})"

    def of(self, model: str) -> tuple[AnyRow, ...]:
        """Return the rows of one model, in the order of the recordings."""
        return tuple(row for row in self.rows if row.model == model)

    def summary(self) -> Summary:
        """Return the mean of each score over recordings with its interval over groups, for each model."""
        means = {
            model: {name: self._mean(self._values(model, name), name) for name in self.metrics} for model in self.models
        }
        return Summary(means, columns=self.main_metrics, noun=self.noun)

    def differences(self) -> dict[str, dict[str, Interval]]:
        """Return the mean paired difference of each score to the first model, for every other one."""
        first = self.models[0]
        return {
            model: {
                name: paired_interval(
                    *self._pairs(model, first, name), groups=self._groups(), bounds=self._bounds(name)
                )
                for name in self.metrics
            }
            for model in self.models[1:]
        }

    def tables(self) -> dict[str, Table]:
        """Return all tables of means by name."""
        return {"summary": self.summary(), "differences": self.differences()}

    def write_csv(self, path: str | Path, *, force: bool = False) -> None:
        """Write one line for each row.

        Raises
        ------
        InputError
            If the file exists and `force` is not given, or cannot be written.
        """
        write_csv(path, [row.flat() for row in self.rows], force=force)

    def to_json(self) -> str:
        """Return everything as JSON; NaN becomes null."""
        whole = self._details() | {
            name: {
                model: {key: nan_to_none(vars(one)) for key, one in scores.items()} for model, scores in table.items()
            }
            for name, table in self.tables().items()
        }
        whole |= {"warnings": self.warnings, "skipped": self.skipped}
        return json.dumps(whole | {"rows": [nan_to_none(row.flat()) for row in self.rows]}, indent=1, allow_nan=False)

    def _details(self) -> dict[str, Any]:
        """Return what JSON has beside rows, tables and warnings."""
        return {"models": self.models}

    def _values(self, model: str, name: str) -> list[float]:
        """Return a score of each recording."""
        raise NotImplementedError

    def _pairs(self, model: str, other: str, name: str) -> tuple[list[float], list[float]]:
        """Return a score of each recording for two models that are compared."""
        return self._values(model, name), self._values(other, name)

    def _groups(self) -> list[str]:
        """Return the group of each recording."""
        raise NotImplementedError

    def _bounds(self, name: str) -> tuple[float, float] | None:  # noqa: ARG002
        """Return the lowest and the highest possible value of a score, if there are any."""
        return None

    def _mean(self, values: Sequence[float], name: str) -> Interval:
        return mean_interval(values, groups=self._groups(), bounds=self._bounds(name))


def require_models(models: Collection[str], *, processes: int, out: str | Path | None, force: bool) -> None:
    """Check the arguments of an evaluation before the work.

    Raises
    ------
    InputError
        If there is no model, no process, or `out` exists and `force` is not given.
    """
    if not models:
        raise InputError("nothing to evaluate: name a model")
    if processes < 1:
        raise InputError(f"at least one process is needed, not {processes}")
    if out is not None and Path(out).exists() and not force:
        raise InputError("exists already; give another name, or --force to overwrite it", path=out)


def score_all(
    score: Callable[[Job], list[AnyRow]],
    jobs: Sequence[Job],
    *,
    failed: Callable[[Job, str], list[AnyRow]],
    name: Callable[[Job], str],
    processes: int,
    progress: Callable[[int, int, str], None] | None,
) -> list[AnyRow]:
    """Score all models on each recording.

    Parameters
    ----------
    score : callable
        From a job to its rows; picklable where there are several processes.
    jobs : sequence
    failed : callable
        From a job and an error to its rows, where scoring raised an exception.
    name : callable
        From a job to the identifier of the recording.
    processes : int
    progress : callable, optional
        Called with the number done, the number in all and the identifier after each recording.

    Returns
    -------
    list of Row
        In the order of the jobs.
    """
    rows: dict[int, list[AnyRow]] = {}
    for done, (job, outcome) in enumerate(parallel_map(score, jobs, processes=processes), start=1):
        rows[id(job)] = failed(job, error_text(outcome)) if isinstance(outcome, Exception) else outcome
        if progress is not None:
            progress(done, len(jobs), name(job))
    return [row for job in jobs for row in rows[id(job)]]


def warnings_of(rows: Collection[tuple[str, Row]], model: str, *, noun: str) -> Iterator[str]:
    """Yield warnings about the rows of one model: recordings that it was trained on, and recordings without scores.

    Parameters
    ----------
    rows : collection of tuple of (str, Row)
        Each with its recording.
    model : str
    noun : str
        What a recording is called.
    """
    trained = [name for name, row in rows if row.trained_on and not row.error]
    if trained:
        yield (
            f"{model} was trained on {len(trained)} of the {len(rows)} {noun}s it is scored on "
            f"({join_names(trained)}): these scores do not show how it generalises"
        )
    failed = [name for name, row in rows if row.error]
    if failed:
        first = next(row.error for _, row in rows if row.error)
        yield (
            f"{model} has no scores for {len(failed)} of {len(rows)} {noun}s ({join_names(failed)}) "
            f"and its means leave them out; the first: {first}"
        )
