"""The likelihood of whole beats under the patterns."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.patterns.mixture import Mixture
from levada.io.beats import Beats

__all__ = ["CellLikelihood", "beats_score"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STRETCH = 2048  # start frames whose scores are computed at once


class CellLikelihood:
    """Log likelihood of beats that start at given frames, for `decoder.state_space.pattern_pointer`.

    The frames of a beat fall into its cells by their place in the beat; each scores the logarithm of its density in
    its cell over that of all cells. Frames outside the recording score 0. Only the scores of one stretch of start
    frames are kept, so memory does not grow with the recording.

    Parameters
    ----------
    features : float64 [shape=(frames, dimensions)]
    mixture : Mixture
    weights : float64 [shape=(positions, most cells, components)]
        Weights of the Gaussians in each cell of each beat of all kinds of bars.
    lengths : int64 [shape=(K,)]
        Frames that a beat lasts at each tempo, shortest first.
    trust : float
        Weight of the log likelihood: neighbouring frames are not independent.
    cells : int64 [shape=(positions,)], optional
        Number of cells of each beat; by default as many as there are weights.
    """

    def __init__(
        self,
        features: Floats,
        mixture: Mixture,
        weights: Floats,
        *,
        lengths: Ints,
        trust: float,
        cells: Ints | None = None,
    ) -> None:
        self._features, self._mixture, self._trust = features, mixture, trust
        self._positions, self._width = weights.shape[:2]
        self._cells = _positions_by_cells(weights, cells)
        self._weights = weights.reshape(-1, weights.shape[2])
        self._lengths = lengths
        self._first = self._stop = 0
        self._scores = np.empty((len(lengths), self._positions, 0))

    def __call__(self, starts: Ints) -> Floats:
        """Return scores [shape=(K, positions, n)] of beats that start at frames [shape=(K, n)]."""
        first, stop = int(starts.min()), int(starts.max()) + 1
        if first < self._first or stop > self._stop:
            self._fill(first - STRETCH // 2, stop + STRETCH // 2)
        tempi, positions = np.arange(len(self._lengths)), np.arange(self._positions)
        return self._scores[tempi[:, None, None], positions[:, None], (starts - self._first)[:, None, :]]

    def _fill(self, first: int, stop: int) -> None:
        """Compute the scores of all beats that start from one frame to another."""
        first, stop = max(first, 1 - int(self._lengths[-1])), min(stop, len(self._features) + 1)
        n = stop - first
        sums = self._running_sums(first, stop + int(self._lengths[-1]))
        scores = np.zeros((len(self._lengths), self._positions, n))
        for score, length in zip(scores, self._lengths.tolist(), strict=True):
            for cells, positions in self._cells:
                edges = -(-np.arange(cells + 1) * length // cells)
                for cell, (left, right) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)):
                    if right > left:
                        score[positions] += sums[positions, cell, right : right + n]
                        score[positions] -= sums[positions, cell, left : left + n]
        self._first, self._stop, self._scores = first, stop, scores

    def _running_sums(self, first: int, stop: int) -> Floats:
        """Sum up the scores of frames in each cell (positions, cells, stop - first + 1)."""
        inside = slice(max(first, 0), min(stop, len(self._features)))
        features = self._features[inside]
        sums = np.zeros((len(self._weights), stop - first + 1))
        if len(features):
            at = inside.start - first + 1
            logs = np.log(self._weights @ self._mixture.densities(features))
            np.multiply(logs, self._trust, out=sums[:, at : at + len(features)])
        sums = np.cumsum(sums, axis=1)
        return sums.reshape(self._positions, self._width, -1)


def beats_score(
    features: Floats,
    beats: Beats,
    *,
    mixture: Mixture,
    weights: Floats,
    places: Ints,
    fps: float,
    trust: float,
    cells: Ints | None = None,
) -> float:
    """Compute the log likelihood of given beats per second: how well patterns explain the music between them.

    Parameters
    ----------
    features : float64 [shape=(frames, dimensions)]
    beats : Beats
        In seconds from the first frame.
    mixture, weights, trust, cells
        As for `CellLikelihood`.
    places : int64 [shape=(positions,)]
        Place in its bar, from 1, of each row of `weights`. Each beat counts with the best row of its place, or with the
        best of all where there is none.
    fps : float
        Frames per second.

    Returns
    -------
    float
        0 where there are no two beats: neither for nor against.
    """
    edges = np.rint(beats.times_s * fps).astype(np.int64).clip(0, len(features))
    if len(edges) < 2 or edges[-1] <= edges[0]:
        return 0.0
    frames = np.arange(edges[0], edges[-1])
    beat = np.searchsorted(edges, frames, side="right") - 1
    logs = np.log(weights.reshape(-1, weights.shape[2]) @ mixture.densities(features[frames]))
    logs = logs.reshape(*weights.shape[:2], -1)
    each = np.empty((len(weights), len(frames)))
    for number, positions in _positions_by_cells(weights, cells):
        cell = (frames - edges[beat]) * number // np.maximum(1, np.diff(edges)[beat])
        each[positions] = (
            logs[positions, cell, np.arange(len(frames))]
            if isinstance(positions, slice)
            else (logs[positions[:, None], cell, np.arange(len(frames))])
        )
    scores = np.stack([np.bincount(beat, row, minlength=len(edges) - 1) for row in each])
    fits = places[:, None] == beats.positions[None, :-1]
    fits |= ~fits.any(axis=0)
    best = np.where(fits, scores, -np.inf).max(axis=0).sum()
    return float(trust * best * fps / len(frames))


def _positions_by_cells(weights: Floats, cells: Ints | None) -> list[tuple[int, Ints | slice]]:
    """Return each number of cells, and the positions whose beats have so many."""
    numbers = [weights.shape[1]] if cells is None else np.unique(cells).tolist()
    if cells is None or len(numbers) == 1:
        return [(numbers[0], slice(None))]
    return [(number, np.flatnonzero(cells == number)) for number in numbers]
