"""What a tracker's beats are decoded from, as curves over time: activations, or onset strength where it has none."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar, cast

import numpy as np
import numpy.typing as npt

from levada.beat_tracking import spectral_flux
from levada.beat_tracking.network_tracker import NetworkTracker, Predict, spectrogram_pieces
from levada.beat_tracking.patterns import PatternTracker
from levada.beat_tracking.spectrogram import GRID, N_BANDS
from levada.beat_tracking.tracker import BeatTracker, TrackerLike
from levada.io.audio import AudioExcerpt

__all__ = ["LONGEST_S", "ActivationRecorder", "Curves"]

Floats32 = npt.NDArray[np.float32]
T = TypeVar("T", bound=TrackerLike)

LONGEST_S = 360.0
"""The longest recording whose figure shows curves."""
ACTIVATIONS = ("beat activation", "downbeat activation")
ONSETS = ("onset strength",)


@dataclass(frozen=True, eq=False)
class Curves:
    """Curves over time, between 0 and 1.

    Parameters
    ----------
    values : float32 [shape=(frames, curves)]
    names : tuple of str
        What each of them is.
    fps : float
        Frames per second.
    start_s : float
        Time of the first frame, in seconds.
    """

    values: Floats32
    names: tuple[str, ...]
    fps: float
    start_s: float = 0.0


class ActivationRecorder(Generic[T]):
    """A tracker whose activations are kept while it tracks, so that a figure of them costs no second run.

    Parameters
    ----------
    tracker : TrackerLike

    Attributes
    ----------
    tracker : TrackerLike
        The same tracker, which keeps the activations of the last recording.
    """

    def __init__(self, tracker: T) -> None:
        self.tracker = tracker
        self._kept: _Kept | None = None
        inner, network = _inner(tracker), _network(tracker)
        if network is not None:
            self._kept = _Kept(network.predict)
            network = replace(network, predict=self._kept)
            backend = replace(inner, network=network) if isinstance(inner, PatternTracker) else network
            kept: TrackerLike = BeatTracker(backend, tracker.model) if isinstance(tracker, BeatTracker) else backend
            self.tracker = cast("T", kept)

    def curves(self, path: str | Path, start_s: float, end_s: float) -> Curves | None:
        """Return the curves of the recording that was tracked last.

        Parameters
        ----------
        path : path-like
            The recording; it is read again where no activations were kept.
        start_s, end_s : float
            The part that was tracked, in seconds.

        Returns
        -------
        Curves or None
            Activations of the network, or onset strength where there is none; None of more than `LONGEST_S`, whose
            figure has no curves.
        """
        if end_s - start_s > LONGEST_S:
            return None
        network, part = _network(self.tracker), AudioExcerpt(path, start_s, end_s)
        if network is None:
            bands = np.concatenate([np.zeros((0, N_BANDS), np.float32), *spectrogram_pieces(part)])
            return Curves(spectral_flux.activations(bands)[:, :1], ONSETS, float(GRID.fps), start_s)
        kept = None if self._kept is None else self._kept.values
        values = network.activations(part) if kept is None else kept
        return Curves(values, ACTIVATIONS, float(network.front_end.grid.fps), start_s)


@dataclass
class _Kept:
    """A function from spectrograms to activations that keeps its last result."""

    predict: Predict
    values: Floats32 | None = field(default=None, repr=False)

    def __call__(self, pieces: Iterable[Floats32]) -> Floats32:
        self.values = self.predict(pieces)
        return self.values


def _network(tracker: TrackerLike) -> NetworkTracker | None:
    """Return the network of a tracker, also of one beside patterns."""
    inner = _inner(tracker)
    network = inner.network if isinstance(inner, PatternTracker) else inner
    return network if isinstance(network, NetworkTracker) else None


def _inner(tracker: TrackerLike) -> TrackerLike:
    return tracker.backend if isinstance(tracker, BeatTracker) else tracker
