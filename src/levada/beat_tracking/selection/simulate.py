"""Simulated selection: a sample of labels from the annotated recordings that a scheme would have selected."""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
from levada.data.sampling import sample_files as data_sample_files
from levada.errors import InputError

__all__ = ["sample", "sample_files"]

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

    The scheme uses the audio alone; labels decide only where bars begin, in `levada.data.sample`, which
    spends the budget on as many recordings as it would visit at random. Where these have too few labels, others follow.

    Parameters
    ----------
    tracks : sequence of Track
        Where to draw from; those without annotation are not used.
    minutes : float
        The budget, in minutes of annotated audio.
    scheme : str
        One of `SCHEMES`; "random" is exactly `levada.data.sample`.
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
    get_scheme(scheme)
    if scheme == RANDOM or not minutes > 0:
        return data.sample(tracks, minutes=minutes, seed=rng)
    pool = [track for track in tracks if track.is_annotated]
    usable, rest, choose = _chooser(pool, scheme, rng, tracker)
    if not usable:
        return data.sample(pool, minutes=minutes, seed=rng)
    for count in range(min(max(1, round(60 * minutes / STRETCH_S)), len(usable)), len(usable) + 1):
        chosen = choose(count)
        try:
            return data.sample(chosen, minutes=minutes, seed=rng)
        except InputError:  # they have too few labels
            continue
    return data.sample([*usable, *rest], minutes=minutes, seed=rng)


def sample_files(
    tracks: Sequence[Track],
    *,
    files: int,
    scheme: str,
    rng: np.random.Generator,
    tracker: TrackerLike | None = None,
) -> list[Span]:
    """Sample all labels of the recordings that a scheme would have annotated first.

    Parameters
    ----------
    tracks, scheme, rng, tracker
        See `sample`; "random" is exactly `levada.data.sampling.sample_files`.
    files : int
        Number of recordings. Those without features of rhythm are used last.

    Returns
    -------
    list of Span
        Sorted by track and time.

    Raises
    ------
    InputError
        If there is no such scheme, the number is not above zero, or fewer are annotated.
    """
    get_scheme(scheme)
    pool = [track for track in tracks if track.is_annotated]
    if scheme == RANDOM or not 0 < files < len(pool):
        return data_sample_files(pool, files=files, seed=rng)
    usable, rest, choose = _chooser(pool, scheme, rng, tracker)
    chosen = choose(min(files, len(usable))) if usable else []
    chosen += rest[: files - len(chosen)]
    return data_sample_files(chosen, files=files, seed=rng)


def _chooser(
    pool: Sequence[Track], scheme: str, rng: np.random.Generator, tracker: TrackerLike | None
) -> tuple[list[Track], list[Track], Callable[[int], list[Track]]]:
    """Return recordings with features of rhythm, those without, and the choice of a number of the former."""
    chooser = get_scheme(scheme)
    rhythms = all_rhythm_features(pool, otherwise="used last")
    usable, rest = list(rhythms), [track for track in pool if track not in rhythms]
    if not usable:
        return usable, rest, lambda _: []
    similarities = similarity(list(rhythms.values()))
    if scheme == UNCERTAINTY:
        tracker = load_tracker("base") if tracker is None else tracker
        chooser = partial(chooser, uncertainties=mean_uncertainties(usable, tracker=tracker))
    return usable, rest, lambda count: [usable[i] for i in chooser(similarities, count=count, rng=rng)]
