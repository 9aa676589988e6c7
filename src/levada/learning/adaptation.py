"""Runs of adaptation that end in a model's folder, whatever happens on the way, for both tasks.

While a network trains, `NAME.part` beside the output holds the log, the checkpoint and what decides the run; a run that
was stopped is continued by the same call, and never by another.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, TypeVar

from levada.errors import InputError, check_integer, check_number, suggest
from levada.io.run_folder import working_folder
from levada.learning import loggers
from levada.learning.model import Model
from levada.learning.model_folder import write_card
from levada.learning.training_log import log_files

__all__ = [
    "Progress",
    "changed",
    "check_layers",
    "require_strategy",
    "start_facts",
    "train_into",
    "with_scores",
    "working_path",
]

Progress = Callable[[int, int, float], None]
MOST_STEPS = 10_000_000


M = TypeVar("M", bound=Model)
S = TypeVar("S")


def train_into(
    out: str | Path | None,
    *,
    train: Callable[[Path, Progress | None], M],
    config: Mapping[str, Any],
    force: bool = False,
    log_to: Sequence[str] = (),
    progress: Progress | None = None,
) -> M:
    """Train a model beside its folder, or go on with what lies there, and put it in its place.

    Parameters
    ----------
    out : path-like or None
        The folder of the model; None for a model in memory alone.
    train : callable
        From the working folder and the progress to the model.
    config : mapping
        What makes a run the same run: labels, weights to start from, settings.
    force : bool
        Whether a model that exists, or an unfinished run of another configuration, may be replaced.
    log_to : sequence of str
        Loggers beside the CSV file, as of `loggers.start`; their files lie in ``NAME.logs``.
    progress : callable, optional
        Called with steps done, of how many, and the loss.

    Returns
    -------
    Weights, Patterns or Dictionaries

    Raises
    ------
    InputError
        If the output exists, an unfinished run there was another one, or there are loggers and no output.
    """
    if out is None:
        if log_to:
            raise InputError("loggers need a folder: give out=")
        with tempfile.TemporaryDirectory(prefix="levada-") as folder:
            return train(Path(folder), progress)
    out = Path(out)
    if out.exists() and not force:
        raise InputError("exists already; choose another name, or --force to replace it", path=out)
    with working_folder(working_path(out), run=config, force=force) as part:
        if log_to:
            with loggers.start(log_to, folder=out.with_name(f"{out.name}.logs"), run=out.name, config=config) as run:
                model = train(part, _both(progress, loggers.log_training(run, part)))
        else:
            model = train(part, progress)
        model = replace(model, card=replace(model.card, name=out.name))  # type: ignore[type-var]
        model.save(out, force=force)
        for name, log in log_files(part).items():
            os.replace(log, out / (f"log-{name}.csv" if name else log.name))
    return model


def working_path(out: str | Path) -> Path:
    """Return the folder that a model trains in before it is put in its place."""
    out = Path(out)
    return out.with_name(out.name + ".part")


def _both(shown: Progress | None, logged: Progress) -> Progress:
    def progress(step: int, steps: int, loss: float) -> None:
        if shown is not None:
            shown(step, steps, loss)
        logged(step, steps, loss)

    return progress


def require_strategy(strategy: str, strategies: Collection[str]) -> None:
    """Raise an `InputError` if a strategy does not exist."""
    if strategy not in strategies:
        raise InputError(f"there is no strategy {strategy!r}; there are {', '.join(strategies)}")


def changed(settings: S, strategy: str, *, steps: int | None, learning_rate: float | None, layers: Sequence[str]) -> S:
    """Return the settings of a strategy with those changed that are given.

    Raises
    ------
    InputError
        If the strategy has no such setting, or a value is out of range.
    """
    values = {"steps": steps, "learning_rate": learning_rate, "layers": tuple(layers) or None}
    given = {name: value for name, value in values.items() if value is not None}
    if missing := [name for name in given if not hasattr(settings, name)]:
        raise InputError(f"{strategy} has no setting {', '.join(missing)}")
    if steps is not None:
        check_integer("steps", steps, 1, MOST_STEPS)
    if learning_rate is not None:
        check_number("learning_rate", learning_rate, 0)
        if not learning_rate:
            raise InputError("learning_rate must be above 0: with 0 nothing is trained")
    return replace(settings, **given)  # type: ignore[type-var]


def check_layers(names: Iterable[str], layers: Sequence[str]) -> None:
    """Check that each prefix selects parameters of a network.

    Parameters
    ----------
    names : iterable of str
        Names of its parameters.
    layers : sequence of str
        Prefixes of those to train.

    Raises
    ------
    InputError
        If a prefix selects none; the message has the layers of the network.
    """
    names = list(names)
    for layer in layers:
        if not layer or not any(name.startswith(layer) for name in names):
            parts = sorted({name.partition(".")[0] for name in names})
            raise InputError(f"the network has no layer {layer!r}; {suggest(layer, parts)}")


def start_facts(base_digest: str | None, settings: Any) -> dict[str, Any]:
    """Return what decides a run beside its labels: the weights to start from, and the settings."""
    return {"base": base_digest, "settings": None if settings is None else asdict(settings)}


def with_scores(folder: str | Path, model: M, scores: Mapping[str, str]) -> M:
    """Write scores into the card of a model that was just saved; why it was chosen, and all else, stays."""
    chosen = {name: score for name, score in model.card.scores.items() if name.startswith(("held-out", "chosen"))}
    card = replace(model.card, scores={**chosen, **scores})
    write_card(folder, card)
    return replace(model, card=card)  # type: ignore[type-var]
