"""A run of a strategy that ends in a folder of weights, whatever happens on the way.

While it trains, `NAME.part` beside the output holds the log, the checkpoint and what the run was; a killed run is
continued by the same call, and never by another.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Union

from levada.beat_tracking import patterns
from levada.beat_tracking.adaptation import STRATEGIES, AdaptSettings
from levada.beat_tracking.patterns import Patterns
from levada.data import Span
from levada.errors import InputError
from levada.io.run_folder import working_folder
from levada.learning import weights
from levada.learning.card import Card
from levada.learning.model_folder import write_card
from levada.learning.training import LOG, Progress
from levada.learning.weights import Weights
from levada.synth.traditions import Tradition

if TYPE_CHECKING:
    from levada.data import StemSpan
    from levada.separation.adaptation import StemSettings
    from levada.separation.nmf import Dictionaries, NmfSettings

__all__ = ["Model", "adapt", "adapt_separator", "save", "with_scores"]

Model = Union[Weights, Patterns, "Dictionaries"]

BEYOND_S = 0.1
"""How far a label may lie after the end of its recording: codecs disagree by a few hundredths of a second."""


def adapt(
    spans: Sequence[Span],
    *,
    strategy: str = "finetune+augment",
    base: Weights,
    out: str | Path,
    settings: AdaptSettings | None = None,
    prior: Tradition | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Model:
    """Adapt a model to annotated stretches and save it.

    Parameters
    ----------
    spans : sequence of Span
        What is annotated.
    strategy : str
        A name in `STRATEGIES`.
    base : Weights
        The model to start from; `scratch` and `bayes` take nothing of it.
    out : path-like
        The folder of the adapted model.
    settings : AdaptSettings, optional
        The strategy's own by default.
    prior : Tradition, optional
        A tradition whose description teaches beside the labels.
    force : bool
        Whether a model that exists, or an unfinished run of other settings, may be replaced.
    progress : callable, optional
        Told steps done, steps in all and the loss.

    Returns
    -------
    Weights or Patterns

    Raises
    ------
    InputError
        If the strategy does not exist, the output does, labels lie after the end of their recording, or an
        unfinished run there was another one.
    Interrupted
        After Ctrl-C or SIGTERM (see `levada.learning.training.fit`): no model is saved, and the same call goes on
        with the training.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"there is no strategy {strategy!r}; there are {', '.join(STRATEGIES)}")
    out = Path(out)
    if out.exists() and not force:
        raise InputError("exists already; choose another name, or --force to replace it", path=out)
    _check(spans)

    def made(part: Path, told: Progress | None) -> Model:
        chosen = {} if settings is None else {"settings": settings}
        model: Model = STRATEGIES[strategy](spans, base=base, folder=part, prior=prior, progress=told, **chosen)
        return model

    run = _description(spans, strategy, base, settings, prior)
    return _run(made, out=out, run=run, force=force, progress=progress)


def adapt_separator(
    spans: Sequence[StemSpan],
    *,
    strategy: str = "finetune+augment",
    base: Weights | None,
    out: str | Path,
    settings: StemSettings | NmfSettings | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Model:
    """Adapt a separator to stretches of songs with stems and save it, as `adapt` does a tracker.

    Parameters
    ----------
    spans : sequence of StemSpan
        What there are stems of.
    strategy : str
        A name in `levada.separation.adaptation.STRATEGIES`.
    base : Weights or None
        The separator to start from; `scratch` and dictionaries take nothing of it.
    out : path-like
        The folder of the adapted model.
    settings : StemSettings or NmfSettings, optional
        The strategy's own by default.
    force : bool
        Whether a model that exists, or an unfinished run of other settings, may be replaced.
    progress : callable, optional
        Told steps done, steps in all and the loss.

    Returns
    -------
    Weights or Dictionaries

    Raises
    ------
    InputError
        If the strategy does not exist, the output does, there are fewer than two instruments, or an unfinished run
        there was another one.
    """
    from levada.separation.adaptation import adapt_stems

    def made(part: Path, told: Progress | None) -> Model:
        return adapt_stems(spans, strategy=strategy, base=base, settings=settings, folder=part, progress=told)

    labels = [[span.song.content_hash, span.start_s, span.end_s, list(span.song.instruments)] for span in spans]
    run = {"strategy": strategy, "labels": labels} | _start(base, settings)
    return _run(made, out=Path(out), run=run, force=force, progress=progress)


def _run(
    made: Callable[[Path, Progress | None], Model],
    *,
    out: Path,
    run: Mapping[str, Any],
    force: bool,
    progress: Progress | None,
) -> Model:
    """Train beside the output, or go on with what lies there, and put the model in its place."""
    if out.exists() and not force:
        raise InputError("exists already; choose another name, or --force to replace it", path=out)
    with working_folder(out.with_name(out.name + ".part"), run=run, force=force) as part:
        adapted = made(part, progress)
        adapted = replace(adapted, card=replace(adapted.card, name=out.name))
        save(out, adapted, force=force)
        if (part / LOG).exists():
            os.replace(part / LOG, out / LOG)
    return adapted


def save(folder: str | Path, model: Model, *, force: bool = False) -> None:
    """Write a model of any kind to a folder.

    Raises
    ------
    InputError
        If the folder exists and `force` is not set, or it cannot be written.
    """
    if isinstance(model, Weights):
        weights.save(folder, model, force=force)
    elif isinstance(model, Patterns):
        patterns.save(folder, model, force=force)
    else:
        from levada.separation import nmf

        nmf.save(folder, model, force=force)


def with_scores(folder: str | Path, adapted: Model, scores: dict[str, str]) -> Model:
    """Write scores into the card of a model that was just saved; all else in its folder stays."""
    card: Card = replace(adapted.card, scores=scores)
    write_card(folder, card)
    return replace(adapted, card=card)


def _check(spans: Sequence[Span]) -> None:
    for span in spans:
        if span.end_s > span.track.duration_s + BEYOND_S:
            end = f"{span.track.audio.name} ends at {span.track.duration_s:.2f} s"
            raise InputError(
                f"has beats up to {span.end_s:.2f} s, and {end}: they may belong to another recording",
                path=span.track.annotation or span.track.audio,
            )


def _description(
    spans: Sequence[Span], strategy: str, base: Weights, settings: AdaptSettings | None, prior: Tradition | None
) -> dict[str, Any]:
    """What makes a run the same run: labels, weights to start from, settings."""
    labels = [
        [span.track.content_hash, span.start_s, span.end_s, hashlib.sha256(repr(list(span.beats)).encode()).hexdigest()]
        for span in spans
    ]
    return {"strategy": strategy, "labels": labels, "prior": repr(prior)} | _start(base, settings)


def _start(base: Weights | None, settings: Any) -> dict[str, Any]:
    """What decides a run beside its labels: the weights to start from, and the settings."""
    return {
        "base": None if base is None else weights.digest(base),
        "settings": None if settings is None else asdict(settings),
    }
