"""Facts about models: what comes with levada, the baseline, trackers of other projects, and folders."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from levada.beat_tracking.pretrained import EXTERNAL_MODELS, find_folder
from levada.learning.card import SEPARATORS
from levada.learning.model_folder import ModelFolder
from levada.learning.names import FLUX, folder_of, shipped

__all__ = ["cards"]


def cards(*names: str | Path) -> list[dict[str, Any]]:
    """Return facts about models: name, task, digest, origin, licence, data, scores, what they were trained on.

    Parameters
    ----------
    *names : str or path-like
        Names or folders of models; all that levada knows by default.

    Raises
    ------
    InputError
        If there is no such model, or it is damaged.
    """
    if names:
        rows = {row["name"]: row for row in cards()}
        return [
            rows[str(name)] if folder_of(name) is None and str(name) in rows else _card_of(find_folder(name))
            for name in names
        ]
    trackers, separators = (
        [{**_card_of(folder), "name": name} for name, folder in shipped(task).items()] for task in ("beats", "stems")
    )
    baseline = {
        "name": FLUX,
        "origin": "Spectral flux and bass onsets behind the same decoder; no learning.",
        "licence": "Apache-2.0",
        "data": "none",
        "minutes": 0.0,
        "scores": {"beside every model": "levada evaluate shows it in each table"},
        "trained_on": {},
        "sources": (),
        "task": "beats",
        "digest": None,
    }
    others: list[dict[str, Any]] = [
        {
            "name": name,
            "origin": origin,
            "licence": licence,
            "data": "see its authors",
            "minutes": None,
            "trained_on": {},
            "sources": (),
            "task": "beats",
            "digest": None,
        }
        | {"scores": {"external model": "levada prints how to install it if it is missing; studies report its scores"}}
        for name, (origin, licence) in EXTERNAL_MODELS.items()
    ]
    return [*trackers, *separators, baseline, *others]


def _card_of(folder: Path) -> dict[str, Any]:
    stored = ModelFolder(folder)
    task = "stems" if stored.network in SEPARATORS else "beats"
    return {**asdict(stored.card), "task": task, "digest": stored.digest}
