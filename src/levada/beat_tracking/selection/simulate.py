"""Simulated selection: a sample of labels from the annotated recordings that a scheme would have selected."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from levada import data
from levada.beat_tracking.pretrained import load_tracker
from levada.beat_tracking.selection.features import all_rhythm_features, similarity
from levada.beat_tracking.selection.schemes import get_scheme
from levada.beat_tracking.selection.uncertainty import mean_uncertainties
from levada.beat_tracking.tracker import TrackerLike
from levada.data import Span, Track
from levada.data.sampling import STRETCH_S
from levada.errors import InputError

__all__ = ["sample"]

RANDOM, UNCERTAINTY = "random", "uncertainty"


def sample(
    tracks: Sequence[Track],
    *,
    minutes: float,
    scheme: str,
    rng: np.random.Generator,
    tracker: TrackerLike | None = None,
) -> list[Span]:
    """Sample a budget of annotated minutes from the recordings that a scheme would have annotated first.

    The scheme uses the audio alone; labels decide only where bars begin, in `corpus.draw`, which
    spends the budget on as many recordings as it would visit at random. Where these have too few labels, others follow.

    Parameters
    ----------
    tracks : sequence of Track
        Where to draw from; those without annotation are not used.
    minutes : float
        The budget, in minutes of annotated audio.
    scheme : str
        One of `SCHEMES`; "random" is exactly `corpus.draw`.
    rng : numpy.random.Generator
        Breaks ties, and decides which passages.
    tracker : TrackerLike, optional
        The tracker whose confidence "uncertainty" uses; the pretrained base by default.

    Returns
    -------
    list of Span
        Sorted by track and time. They sum to at most the budget and miss it by less than a bar.

    Raises
    ------
    InputError
        If there is no such scheme, the budget is not above zero, is shorter than a bar, or less is annotated than
        the budget; or if the tracker gives no confidence.
    """
    chooser = get_scheme(scheme)
    if scheme == RANDOM or not minutes > 0:
        return data.sample(tracks, minutes=minutes, seed=rng)
    pool = [track for track in tracks if track.is_annotated]
    rhythms = all_rhythm_features(pool, otherwise="used last")
    usable, rest = list(rhythms), [track for track in pool if track not in rhythms]
    if not usable:
        return data.sample(pool, minutes=minutes, seed=rng)
    similarities = similarity(list(rhythms.values()))
    if scheme == UNCERTAINTY:
        tracker = load_tracker("base") if tracker is None else tracker
        chooser = partial(chooser, uncertainties=mean_uncertainties(usable, tracker=tracker))
    for count in range(min(max(1, round(60 * minutes / STRETCH_S)), len(usable)), len(usable) + 1):
        chosen = [usable[i] for i in chooser(similarities, count=count, rng=rng)]
        try:
            return data.sample(chosen, minutes=minutes, seed=rng)
        except InputError:  # they have too few labels
            continue
    return data.sample([*usable, *rest], minutes=minutes, seed=rng)
