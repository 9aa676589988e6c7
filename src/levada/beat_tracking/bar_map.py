"""The bars of a recording under each other: onset strength at each position of each bar, and clusters of alike bars.

A row is a bar, a column a tatum: what repeats is a vertical line, a fill or another pattern a row of another kind.
After the maps of the package carat (M. Rocamora, L. Jure and L. W. P. Biscainho, "Tools for detection and
classification of piano drum patterns from candombe recordings", CIM 2014).
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.microtiming import check_grid, estimate_tatums, tatum_grid
from levada.beat_tracking.onsets import find_onsets, finite_samples
from levada.beat_tracking.spectral_flux import rises
from levada.beat_tracking.spectrogram import GRID, file_log_spectrogram, log_spectrogram
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats

__all__ = ["BarMap", "PatternClusters", "cluster_bars", "map_bars"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

STARTS = 10  # of k-means, of which the best is kept
LOUD = 0.95  # quantile of the map that counts as 1


@dataclass(frozen=True, eq=False)
class BarMap:
    """Onset strength of each bar of a recording at each tatum.

    Parameters
    ----------
    values : float64 [shape=(bars, columns)]
        The largest onset strength around each tatum, from 0 to 1.
    starts_s : float64 [shape=(bars,)]
        Times of the downbeats, in seconds.
    metre, tatums_per_beat : int
        Beats a bar and tatums a beat: their product is the number of columns.
    """

    values: Floats
    starts_s: Floats
    metre: int
    tatums_per_beat: int


@dataclass(frozen=True, eq=False)
class PatternClusters:
    """Bars in clusters.

    Parameters
    ----------
    labels : int64 [shape=(bars,)]
        Cluster of each bar, from 1, which has most bars.
    patterns : float64 [shape=(clusters, columns)]
        Mean of the bars of each cluster.
    sizes : int64 [shape=(clusters,)]
        Number of bars.
    explained : float
        Fraction of the variance between bars that the clusters explain.
    """

    labels: Ints
    patterns: Floats
    sizes: Ints
    explained: float


def map_bars(
    source: str | Path | npt.ArrayLike, beats: Beats, *, rate: int | None = None, tatums: int | None = None
) -> BarMap:
    """Fold the onset strength of a recording by its bars.

    The onset strength is the sum over 81 bands of their rises in 20 ms, 100 frames a second.

    Parameters
    ----------
    source : path-like, or array_like [shape=(channels, samples)] or [shape=(samples,)]
        A recording, or a stem.
    beats : Beats
        With positions in the bar; bars of another number of beats than most are left out.
    rate : int, optional
        Sampling rate of the samples, in Hz.
    tatums : int, optional
        Tatums of each beat; estimated from the onsets by default.

    Returns
    -------
    BarMap

    Raises
    ------
    InputError
        If the recording cannot be read, no bar is complete, or as of `measure_microtiming`.
    """
    path = source if isinstance(source, str | Path) else None
    if path is not None:
        bands, duration_s = file_log_spectrogram(path), audio.info(path).duration_s
    else:
        samples, rate = finite_samples(source, rate)
        bands, duration_s = log_spectrogram(samples, rate), samples.shape[-1] / rate
    check_grid(beats, duration_s, tatums, path=path)
    metre = beats.metre
    if not metre:
        raise InputError("no bar is complete: beats need their positions, and a downbeat after the last bar", path=path)
    count = tatums or estimate_tatums(find_onsets(source, rate).times_s, beats)
    strength = np.zeros(len(bands))
    for frames, rising in rises(bands):
        strength[frames] = rising.sum(axis=1)
    downbeats = np.flatnonzero(beats.positions == 1)
    first = downbeats[:-1][np.diff(downbeats) == metre]
    grid = tatum_grid(beats, count)
    columns = (first * count)[:, None] + np.arange(metre * count)
    half = np.diff(grid) / 2
    low = np.rint((grid - np.append(half[:1], half)) * float(GRID.fps)).astype(np.int64)
    high = np.rint((grid + np.append(half, half[-1:])) * float(GRID.fps)).astype(np.int64)
    around = np.array(
        [strength[max(0, a) : b].max(initial=0) for a, b in zip(low.tolist(), high.tolist(), strict=True)]
    )
    loud = float(np.quantile(around, LOUD)) or 1.0
    return BarMap(np.minimum(around[columns] / loud, 1), beats.times_s[first], metre, count)


def cluster_bars(bars: BarMap, n_clusters: int, *, seed: int = 0) -> PatternClusters:
    """Group the bars of a recording by their onset strengths: k-means, the best of ten starts.

    Parameters
    ----------
    bars : BarMap
    n_clusters : int
        At most as many as there are bars.
    seed : int
        The same seed gives the same clusters.

    Returns
    -------
    PatternClusters
        Fewer clusters where bars are equal.

    Raises
    ------
    InputError
        If the number is below 1 or above that of the bars.

    Examples
    --------
    >>> import numpy as np
    >>> fill = BarMap(np.array([[1, 0], [1, 0], [0, 1], [1, 0]], float), np.arange(4.0), 2, 1)
    >>> cluster_bars(fill, 2).labels
    array([1, 1, 2, 1])
    """
    from scipy.cluster.vq import kmeans2

    n = len(bars.values)
    if not 1 <= n_clusters <= n:
        raise InputError(f"{n} bars cannot be grouped into {n_clusters} patterns: give a number from 1 to {n}")
    rows = np.unique(bars.values, axis=0)
    rng = np.random.default_rng(seed)
    best, labels = np.inf, np.zeros(n, np.int64)
    for _ in range(STARTS):
        start = rows[rng.choice(len(rows), min(n_clusters, len(rows)), replace=False)]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "One of the clusters is empty")  # it is left out below
            centres, assigned = kmeans2(bars.values, start, minit="matrix")
        error = float(((bars.values - centres[assigned]) ** 2).sum())
        if error < best:
            best, labels = error, assigned.astype(np.int64)
    used, sizes = np.unique(labels, return_counts=True)
    order = np.argsort(-sizes, kind="stable")
    ranks = np.empty(int(used.max()) + 1, np.int64)
    ranks[used[order]] = np.arange(1, len(used) + 1)
    patterns = np.array([bars.values[labels == used[one]].mean(axis=0) for one in order])
    total = float(((bars.values - bars.values.mean(axis=0)) ** 2).sum())
    return PatternClusters(ranks[labels], patterns, sizes[order], 1 - best / total if total else 1.0)
