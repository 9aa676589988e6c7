"""Base models from nothing but rendered music: a tracker, and a separator."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from levada.beat_tracking.pretraining import (
    Exam,
    Piece,
    PretrainSettings,
    describe,
    exam,
    hear,
    make,
    pretrain,
    read_settings,
)
from levada.beat_tracking.pretraining_card import card
from levada.io.toml import read_toml
from levada.separation.pretraining import StemPretrainSettings, make_separator, read_stem_settings

if TYPE_CHECKING:
    from levada.learning.training import Progress
    from levada.learning.weights import Weights

__all__ = [
    "Exam",
    "Piece",
    "PretrainSettings",
    "StemPretrainSettings",
    "card",
    "describe",
    "exam",
    "hear",
    "made_from",
    "make",
    "make_separator",
    "pretrain",
    "read_settings",
    "read_stem_settings",
]


def made_from(
    recipe: str | Path, *, out: str | Path, workers: int = 1, force: bool = False, progress: Progress | None = None
) -> Weights:
    """Make a base model from a file of settings: a separator where it says `task = "stems"`, otherwise a tracker.

    Parameters
    ----------
    recipe : path-like
        A TOML file.
    out : path-like
        The folder of the model.
    workers : int
        Processes that render.
    force : bool
        Whether a model that exists may be replaced.
    progress : callable, optional
        Told steps done, steps in all and the loss.

    Returns
    -------
    Weights

    Raises
    ------
    InputError
        As for `read_settings` and `read_stem_settings`.
    """
    if read_toml(recipe).get("task") == "stems":
        return make_separator(read_stem_settings(recipe), out=out, workers=workers, force=force, progress=progress)
    return make(read_settings(recipe), out=out, workers=workers, force=force, progress=progress)
