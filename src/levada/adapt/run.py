"""A run of a strategy that ends in a folder of weights, whatever happens on the way.

While it trains, `NAME.part` beside the output holds the log, the checkpoint and what the run was; a killed run is
continued by the same call, and never by another.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from levada.adapt.beats import STRATEGIES, AdaptSettings
from levada.corpus import Span
from levada.errors import InputError
from levada.files import atomic
from levada.fit import LOG, Progress
from levada.nets import weights
from levada.nets.card import Card
from levada.nets.weights import Weights

__all__ = ["adapt", "with_scores"]

RUN = "run.json"


def adapt(
    spans: Sequence[Span],
    *,
    strategy: str = "finetune+augment",
    base: Weights,
    out: str | Path,
    settings: AdaptSettings | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Weights:
    """Adapt a model to annotated stretches and save it.

    Parameters
    ----------
    spans : sequence of Span
        What is annotated.
    strategy : str
        A name in `STRATEGIES`.
    base : Weights
        The model to start from; `scratch` takes nothing of it.
    out : path-like
        The folder of the adapted model.
    settings : AdaptSettings, optional
        The strategy's own by default.
    force : bool
        Whether a model that exists, or an unfinished run of other settings, may be replaced.
    progress : callable, optional
        Told steps done, steps in all and the loss.

    Returns
    -------
    Weights

    Raises
    ------
    InputError
        If the strategy does not exist, the output does, or an unfinished run there was another one.
    """
    if strategy not in STRATEGIES:
        raise InputError(f"there is no strategy {strategy!r}; there are {', '.join(STRATEGIES)}")
    out = Path(out)
    if out.exists() and not force:
        raise InputError("exists already; choose another name, or --force to replace it", path=out)
    part = out.with_name(out.name + ".part")
    _claim(part, _description(spans, strategy, base, settings), force=force)
    chosen = {} if settings is None else {"settings": settings}
    adapted = STRATEGIES[strategy](spans, base=base, folder=part, progress=progress, **chosen)
    adapted = replace(adapted, card=replace(adapted.card, name=out.name))
    weights.save(out, adapted, force=force)
    if (part / LOG).exists():
        os.replace(part / LOG, out / LOG)
    shutil.rmtree(part)
    return adapted


def with_scores(folder: str | Path, adapted: Weights, scores: dict[str, str]) -> Weights:
    """Write scores into the card of a model that was just saved; its log stays."""
    card: Card = replace(adapted.card, scores=scores)
    scored = replace(adapted, card=card)
    log = Path(folder) / LOG
    kept = log.read_bytes() if log.exists() else None
    weights.save(folder, scored, force=True)
    if kept is not None:
        with atomic(log) as temporary:
            temporary.write_bytes(kept)
    return scored


def _description(spans: Sequence[Span], strategy: str, base: Weights, settings: AdaptSettings | None) -> str:
    labels = [
        [span.track.content_hash, span.start_s, span.end_s, hashlib.sha256(repr(list(span.beats)).encode()).hexdigest()]
        for span in spans
    ]
    return json.dumps(
        {
            "strategy": strategy,
            "base": base.card.name,
            "base_training": dict(base.training),
            "settings": None if settings is None else asdict(settings),
            "labels": labels,
        },
        default=str,
    )


def _claim(part: Path, description: str, *, force: bool) -> None:
    """Make the working folder, or recognise it as this run's own."""
    run = part / RUN
    if part.exists() and not (run.exists() and run.read_text(encoding="utf-8") == description):
        if not force:
            raise InputError(
                "holds an unfinished run with other labels or settings: repeat that call to finish it, "
                "or --force to throw it away",
                path=part,
            )
        if not run.exists() and any(part.iterdir()):
            raise InputError(f"is not a run of levada (it has no {RUN}) and is left alone; move it away", path=part)
        shutil.rmtree(part)
    try:
        part.mkdir(parents=False, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=part) from None
    if not run.exists():
        with atomic(run) as temporary:
            temporary.write_text(description, encoding="utf-8")
