"""Draw labels from annotated recordings as if a scheme had said which of them to annotate."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial

import numpy as np

from levada import data
from levada.beat_tracking.pretrained import load_tracker
from levada.beat_tracking.selection.features import RhythmFeatures, rhythm_features, similarity
from levada.beat_tracking.selection.schemes import get_scheme
from levada.beat_tracking.selection.uncertainty import mean_uncertainties
from levada.beat_tracking.tracker import TrackerLike
from levada.data import Span, Track
from levada.data.sampling import STRETCH_S
from levada.errors import InputError

__all__ = ["sample"]

RANDOM, UNCERTAINTY = "random", "uncertainty"

_log = logging.getLogger(__name__)


def sample(
    tracks: Sequence[Track],
    *,
    minutes: float,
    scheme: str,
    rng: np.random.Generator,
    tracker: TrackerLike | None = None,
) -> list[Span]:
    """Draw a budget of annotated minutes from the recordings that a scheme would have annotated first.

    The scheme hears the recordings and nothing else; labels decide only where bars begin, in `corpus.draw`, which
    spends the budget on as many recordings as it would visit at random. Where these have too few labels, others follow.

    Parameters
    ----------
    tracks : sequence of Track
        Where to draw from; those without annotation are passed over.
    minutes : float
        The budget, in minutes of annotated audio.
    scheme : str
        One of `SCHEMES`; "random" is exactly `corpus.draw`.
    rng : numpy.random.Generator
        Breaks ties, and decides which passages.
    tracker : TrackerLike, optional
        Whose confidence "uncertainty" asks; the base model that ships by default.

    Returns
    -------
    list of Span
        Sorted by track and time. They sum to at most the budget and miss it by less than a bar.

    Raises
    ------
    InputError
        If there is no such scheme, the budget is not above zero, is shorter than a bar, or less is annotated than
        asked; or if the tracker tells no confidence.
    """
    chooser = get_scheme(scheme)
    if scheme == RANDOM or not minutes > 0:
        return data.sample(tracks, minutes=minutes, seed=rng)
    pool = [track for track in tracks if track.is_annotated]
    heard = _heard(pool)
    usable, rest = list(heard), [track for track in pool if track not in heard]
    if not usable:
        return data.sample(pool, minutes=minutes, seed=rng)
    alike = similarity(list(heard.values()))
    if scheme == UNCERTAINTY:
        chooser = partial(chooser, unsure=mean_uncertainties(usable, tracker=_base() if tracker is None else tracker))
    for count in range(min(max(1, round(60 * minutes / STRETCH_S)), len(usable)), len(usable) + 1):
        chosen = [usable[i] for i in chooser(alike, count=count, rng=rng)]
        try:
            return data.sample(chosen, minutes=minutes, seed=rng)
        except InputError:  # they have too few labels
            continue
    return data.sample([*usable, *rest], minutes=minutes, seed=rng)


def _heard(pool: Sequence[Track]) -> dict[Track, RhythmFeatures]:
    heard: dict[Track, RhythmFeatures] = {}
    for track in pool:
        try:
            heard[track] = rhythm_features(track)
        except InputError as error:
            _log.warning("%s: chosen last", error)
    return heard


def _base() -> TrackerLike:
    return load_tracker("base")
