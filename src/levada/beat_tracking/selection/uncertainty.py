"""Beats of a recording, cached in each process, and the tracker's uncertainty of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.tracker import TrackerLike
from levada.data import Track
from levada.errors import InputError
from levada.io.beats import Beats

__all__ = ["cached_beats", "mean_uncertainties", "uncertainties"]

Floats = npt.NDArray[np.float64]

_CACHE: dict[tuple[str, str, str], Beats] = {}


def cached_beats(track: Track, *, tracker: TrackerLike) -> Beats:
    """Return the beats of a recording; cached for trackers that have an identity.

    Raises
    ------
    InputError
        If the recording cannot be read.
    """
    if not tracker.identity:
        return tracker.track(track.audio)
    key = (tracker.name, tracker.identity, track.content_hash)
    if key not in _CACHE:
        _CACHE[key] = tracker.track(track.audio)
    return _CACHE[key]


def mean_uncertainties(tracks: Sequence[Track], *, tracker: TrackerLike) -> Floats:
    """Return the mean of 1 - confidence of the beats of each recording, 1 for no beats.

    Returns
    -------
    float64 [shape=(tracks,)]

    Raises
    ------
    InputError
        If the tracker gives no confidence.
    """
    found = [uncertainties(cached_beats(track, tracker=tracker), tracker=tracker) for track in tracks]
    return np.array([float(of.mean()) if len(of) else 1.0 for of in found])


def uncertainties(beats: Beats, *, tracker: TrackerLike) -> Floats:
    """Return 1 - confidence of each beat.

    Raises
    ------
    InputError
        If the tracker gives no confidence.
    """
    if beats.confidence is None and len(beats):
        raise InputError(f"{tracker.name} gives no confidence: choose another model, or another scheme")
    return np.zeros(0) if beats.confidence is None else 1 - beats.confidence
