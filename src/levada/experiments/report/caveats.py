"""Caveats of a report: what was left out, is not done, failed, or is not comparable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from levada.experiments.report.results import Results

if TYPE_CHECKING:
    from levada.experiments.store import Run

__all__ = ["budget_deviations", "fallbacks", "study_notes"]

TOLERANCE = 0.1
"""Largest deviation of the labels of a run from its budget, relative to it, that is not mentioned."""


def study_notes(runs: Sequence[Run]) -> list[str]:
    """Sentences of the studies themselves: what they left out, their notes, and how many runs are not done.

    Parameters
    ----------
    runs : sequence of Run
        All that were read, failed ones included. The files of the studies lie beside the folder of the runs.

    Returns
    -------
    list of str
        Empty for runs without the file of a study.
    """
    done = {run.id for run in runs}
    notes = []
    for folder in sorted({run.folder.parent.parent / "studies" for run in runs}):
        for path in sorted(folder.glob("*.json")):
            study = _read(path)
            name, planned = str(study.get("name", path.stem)), study.get("runs", [])
            if n_missing := len({str(one) for one in planned} - done):
                notes.append(f"{name}: {n_missing} of {len(planned)} runs are not done; `levada study` resumes them.")
            notes += [f"{name} left out {one}." for one in study.get("left_out", [])]
            notes += [f"{one}." for one in study.get("notes", [])]
    return list(dict.fromkeys(notes))


def _read(path: Any) -> Mapping[str, Any]:
    """The file of a study; empty where it is damaged, since its runs can be read without it."""
    try:
        study = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    lists = isinstance(study, dict) and all(isinstance(study.get(k, []), list) for k in ("runs", "left_out", "notes"))
    return study if lists else {}


def budget_deviations(results: Results) -> list[str]:
    """Budgets whose runs had clearly fewer or more minutes of labels than the budget."""
    labelled: dict[tuple[str, float], list[float]] = {}
    for run in results.runs:
        minutes = run.record.get("labels_minutes")
        is_minutes = run.budget.amount and run.budget.unit == "minutes"
        if is_minutes and isinstance(minutes, int | float):
            labelled.setdefault((results.corpus_of[run.id], run.budget.amount), []).append(float(minutes))
    return [
        f"{corpus}: the runs of {budget:g} minutes had {min(of):.2f} to {max(of):.2f} minutes of labels."
        for (corpus, budget), of in sorted(labelled.items())
        if min(of) < (1 - TOLERANCE) * budget or max(of) > (1 + TOLERANCE) * budget
    ]


def fallbacks(results: Results) -> list[str]:
    """How often a method kept the network of its base, since its training was worse on held-out labels."""
    counts: dict[tuple[str, str, float], list[bool]] = {}
    for run in results.runs:
        model = run.record.get("model")
        if run.budget.amount and isinstance(model, Mapping):
            key = (results.corpus_of[run.id], results.method_of[run.id].name, run.budget.amount)
            counts.setdefault(key, []).append(bool(model.get("fell_back")))
    return [
        f"{corpus}: {method} with {results.short_text(corpus, minutes)} kept the network it started from in "
        f"{sum(of)} of {len(of)} runs."
        for (corpus, method, minutes), of in sorted(counts.items())
        if any(of)
    ]
