"""What a reader must know before believing a report: what was left out, is not done, failed, or is not alike."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from levada.experiments.report.results import Results

if TYPE_CHECKING:
    from levada.experiments.store import Run

__all__ = ["fallbacks", "other_budgets", "told_by_studies"]

ALIKE = 0.1
"""How far, relative to the budget, the labels of a run may be from it without a word."""


def told_by_studies(runs: Sequence[Run]) -> list[str]:
    """Sentences of the studies themselves: what they left out, what to note, how many runs are not done.

    Parameters
    ----------
    runs : sequence of Run
        All that were read, those that failed too. What is told lies beside the folder they are in.

    Returns
    -------
    list of str
        Nothing for runs without a study beside them.
    """
    done = {run.id for run in runs}
    said = []
    for folder in sorted({run.folder.parent.parent / "studies" for run in runs}):
        for path in sorted(folder.glob("*.json")):
            study = _read(path)
            name = str(study.get("name", path.stem))
            planned = study.get("runs", [])
            lacking = len({str(one) for one in planned} - done)
            if lacking:
                said.append(f"{name}: {lacking} of {len(planned)} runs are not done; `levada study` goes on with them.")
            said += [f"{name} left out {one}." for one in study.get("left_out", [])]
            said += [f"{one}." for one in study.get("notes", [])]
    return list(dict.fromkeys(said))


def _read(path: Any) -> Mapping[str, Any]:
    """A file of a study; nothing where it is damaged, for its runs are there without it."""
    try:
        study = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    lists = isinstance(study, dict) and all(isinstance(study.get(k, []), list) for k in ("runs", "left_out", "notes"))
    return study if lists else {}


def other_budgets(results: Results) -> list[str]:
    """Budgets whose runs had clearly fewer or more minutes of labels than they are named by."""
    had: dict[tuple[str, float], list[float]] = {}
    for run in results.runs:
        minutes = run.about.get("labels_minutes")
        if run.minutes and isinstance(minutes, int | float):
            had.setdefault((results.corpus_of[run.id], float(run.minutes)), []).append(float(minutes))
    return [
        f"{corpus}: the runs of {asked:g} minutes had {min(of):.2f} to {max(of):.2f} minutes of labels."
        for (corpus, asked), of in sorted(had.items())
        if min(of) < (1 - ALIKE) * asked or max(of) > (1 + ALIKE) * asked
    ]


def fallbacks(results: Results) -> list[str]:
    """How often an arm found its own training worse than its base and kept the base's network."""
    counts: dict[tuple[str, str, float], list[bool]] = {}
    for run in results.runs:
        model = run.about.get("model")
        if run.minutes and isinstance(model, Mapping):
            key = (results.corpus_of[run.id], results.arm_of[run.id].name, float(run.minutes))
            counts.setdefault(key, []).append(bool(model.get("fell_back")))
    return [
        f"{corpus}: {arm} with {minutes:g} minutes kept the network it began with in {sum(of)} of {len(of)} runs."
        for (corpus, arm, minutes), of in sorted(counts.items())
        if any(of)
    ]
