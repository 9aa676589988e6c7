"""Score models in a challenge, beside the models that ship."""

from __future__ import annotations

import math
import secrets
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from levada.challenges.cards import Card
from levada.challenges.data import SMALLEST_SEED, check_data, render_test
from levada.challenges.definitions import Challenge, find_challenge
from levada.data import load_corpus
from levada.io.files import utc_now
from levada.learning.statistics import mean_interval, paired_interval
from levada.models.evaluation import evaluate
from levada.version import __version__

if TYPE_CHECKING:
    from levada.beat_tracking.tracker import TrackerLike
    from levada.separation.masking import SeparatorLike

__all__ = ["baselines_of", "load_model", "new_seed", "score"]

NEWEST_SEED = 2**31


def new_seed() -> int:
    """Draw the seed of recordings to score from the randomness of the system: it cannot be predicted."""
    return SMALLEST_SEED + secrets.randbelow(NEWEST_SEED - SMALLEST_SEED)


def load_model(challenge: Challenge, name: str) -> Any:
    """Load a model of the task of a challenge, by its name or from its folder."""
    if challenge.labels == "stems":
        from levada.separation.separator import Separator

        return Separator.from_pretrained(name)
    from levada.beat_tracking.pretrained import load_tracker

    return load_tracker(name)


def baselines_of(challenge: Challenge) -> dict[str, Any]:
    """Load the models that ship, for comparison."""
    if challenge.labels == "stems":
        return {"base": load_model(challenge, challenge.tradition or "base")}
    return {name: load_model(challenge, name) for name in ("base", "latin")}


def score(
    models: Mapping[str, TrackerLike] | Mapping[str, SeparatorLike],
    name: str,
    *,
    instance: int = 0,
    seed: int | None = None,
    data: str = "",
    keep: str | Path | None = None,
    team: str = "",
    processes: int = 1,
    progress: Callable[..., None] | None = None,
) -> list[Card]:
    """Score models on newly rendered recordings, or on those of a corpus.

    Parameters
    ----------
    models : mapping of str to BeatTracker or Separator
        By name; anything that `levada.evaluate` takes.
    name : str
        A name in `CHALLENGES`.
    instance : int
        The one that their data was drawn by.
    seed : int, optional
        Of the recordings that are scored, 1000 or more; by default a new one, which the card has.
    data : str
        A corpus of real recordings, which are scored instead; those that one of the models was trained on, and others
        of their groups, are left out.
    keep : path-like, optional
        The folder for the rendered recordings, which are otherwise removed; those of the same seed are used again.
    team : str
        For the cards.
    processes : int
        How many processes work at once.
    progress : callable, optional
        Called with the number done, of how many.

    Returns
    -------
    list of Card
        Of each model.

    Raises
    ------
    InputError
        If there is no such challenge, a model is of the other task, or nothing is left to score.
    """
    challenge = find_challenge(name)
    check_data(challenge, data)
    chosen = None if data else new_seed() if seed is None else seed
    place = tempfile.TemporaryDirectory(prefix="levada-challenge-") if keep is None else nullcontext(str(keep))
    with place as folder:
        if chosen is not None:
            render_test(challenge, Path(folder), instance=instance, seed=chosen, progress=progress)
        corpus = load_corpus(data or folder, labels=cast("Any", challenge.labels))
        baselines = {one: model for one, model in baselines_of(challenge).items() if one not in models}
        found: Any = evaluate(
            {**models, **baselines}, corpus, exclude_trained=bool(data), processes=processes, progress=progress
        )
    scores = {model: _scores(found, challenge, model) for model in found.models}
    groups = _groups(found)
    bounds = None if challenge.labels == "stems" else (0.0, 1.0)
    values = {model: [*one.values()] for model, one in scores.items()}
    means = {model: mean_interval(one, groups=groups, bounds=bounds) for model, one in values.items()}
    best = max(baselines or models, key=lambda one: (not math.isnan(means[one].mean), means[one].mean))
    return [
        Card(
            challenge=name, instance=0 if data else instance, seed=chosen, data=corpus.name if data else "rendered",
            model=model, identity=getattr(loaded, "identity", ""), minutes=_minutes(loaded), score=means[model],
            difference=paired_interval(values[model], values[best], groups=groups, bounds=bounds),
            baselines={one: means[one] for one in baselines}, recordings=scores[model],
            notes=tuple(note for note in found.warnings if note.startswith(model)), team=team, levada=__version__,
            date=utc_now(),
        )
        for model, loaded in models.items()
    ]  # fmt: skip


def _scores(found: Any, challenge: Challenge, model: str) -> dict[str, float]:
    """Return the score of each recording: for stems, of the target."""
    rows = [row for row in found.of(model) if challenge.target in ("", getattr(row, "instrument", ""))]
    return {_recording(row): row.scores.get(challenge.score, math.nan) for row in rows}


def _groups(found: Any) -> list[str]:
    """Return the group of each recording."""
    return list({_recording(row): row.group or _recording(row) for row in found.rows}.values())


def _recording(row: Any) -> str:
    return str(getattr(row, "song", "") or getattr(row, "track", ""))


def _minutes(model: Any) -> float:
    card = getattr(model, "card", None)
    return math.nan if card is None else float(card.minutes)
