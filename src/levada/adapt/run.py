"""A run of a strategy that ends in a folder of weights, whatever happens on the way.

While it trains, `NAME.part` beside the output holds the log, the checkpoint and what the run was; a killed run is
continued by the same call, and never by another.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from levada import bayes
from levada.adapt.beats import STRATEGIES, AdaptSettings
from levada.bayes import Patterns
from levada.corpus import Span
from levada.errors import InputError
from levada.files import atomic, working_folder
from levada.fit import LOG, Progress
from levada.nets import weights
from levada.nets.card import Card
from levada.nets.weights import Weights
from levada.tradition import Tradition

__all__ = ["Model", "adapt", "save", "with_scores"]

Model = Weights | Patterns

BEYOND_S = 0.1
"""How far a label may lie after the end of its recording: codecs disagree by a few hundredths of a second."""

_log = logging.getLogger(__name__)


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

    Ctrl-C while it trains ends it early: what has been learnt so far is saved, and a warning and the card say so.

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
    """
    if strategy not in STRATEGIES:
        raise InputError(f"there is no strategy {strategy!r}; there are {', '.join(STRATEGIES)}")
    out = Path(out)
    if out.exists() and not force:
        raise InputError("exists already; choose another name, or --force to replace it", path=out)
    if not out.absolute().parent.is_dir():
        raise InputError(f"there is no folder {out.parent}: make it first", path=out)
    _check(spans)
    run = _description(spans, strategy, base, settings, prior)
    part = working_folder(out.with_name(out.name + ".part"), run=run, force=force)
    reached: list[tuple[int, int]] = []

    def told(step: int, steps: int, loss: float) -> None:
        reached[:] = [(step, steps)]
        if progress is not None:
            progress(step, steps, loss)

    chosen = {} if settings is None else {"settings": settings}
    adapted: Model = STRATEGIES[strategy](spans, base=base, folder=part, prior=prior, progress=told, **chosen)
    card = replace(adapted.card, name=out.name)
    for step, steps in reached:
        if step < steps:
            _log.warning("stopped after %d of %d steps: what was learnt so far is kept", step, steps)
            card = replace(card, origin=f"{card.origin} Stopped by hand after {step} of {steps} steps.")
    adapted = replace(adapted, card=card)
    save(out, adapted, force=force)
    if (part / LOG).exists():
        os.replace(part / LOG, out / LOG)
    shutil.rmtree(part)
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
    else:
        bayes.save(folder, model, force=force)


def with_scores(folder: str | Path, adapted: Model, scores: dict[str, str]) -> Model:
    """Write scores into the card of a model that was just saved; its log stays."""
    card: Card = replace(adapted.card, scores=scores)
    scored = replace(adapted, card=card)
    log = Path(folder) / LOG
    kept = log.read_bytes() if log.exists() else None
    save(folder, scored, force=True)
    if kept is not None:
        with atomic(log) as temporary:
            temporary.write_bytes(kept)
    return scored


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
) -> str:
    """What makes a run the same run: labels, weights to start from, settings."""
    tensors = hashlib.sha256()
    for name, tensor in base.net.state_dict().items():
        tensors.update(name.encode() + tensor.detach().cpu().numpy().tobytes())
    labels = [
        [span.track.content_hash, span.start_s, span.end_s, hashlib.sha256(repr(list(span.beats)).encode()).hexdigest()]
        for span in spans
    ]
    return json.dumps(
        {
            "strategy": strategy,
            "base": tensors.hexdigest(),
            "decoder": dict(base.decoder),
            "settings": None if settings is None else asdict(settings),
            "labels": labels,
            "prior": repr(prior),
        },
        default=str,
    )
