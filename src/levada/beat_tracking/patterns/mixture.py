"""A Gaussian mixture whose components all cells of all patterns share; each cell has its own weights.

A mixture for each cell alone needs more bars than a minute has. Here the Gaussians are learnt once from all frames
and a cell learns its weights of them: a tied, or semi-continuous, mixture (Huang and Jack,
"Semi-continuous hidden Markov models for speech signals", Computer Speech and Language, 1989).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Mixture", "fit_mixture", "k_means"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

ROUNDS = 40
NARROWEST = 0.1  # least standard deviation of a Gaussian, as a fraction of that of all frames
MOST_FRAMES = 20_000  # enough for a dozen Gaussians


@dataclass(frozen=True, eq=False)
class Mixture:
    """Gaussians with diagonal covariance, and their weights over all frames.

    Parameters
    ----------
    means, spreads : float64 [shape=(components, dimensions)]
    weights : float64 [shape=(components,)]
    """

    means: Floats
    spreads: Floats
    weights: Floats

    def densities(self, features: Floats) -> Floats:
        """Density of each frame under each Gaussian, relative to that under the whole mixture.

        Parameters
        ----------
        features : float64 [shape=(frames, dimensions)]

        Returns
        -------
        float64 [shape=(components, frames)]
            Their sum with `weights` is 1 in every frame.
        """
        logs = np.zeros((len(self.means), len(features)))
        for mean, spread, values in zip(self.means.T, self.spreads.T, features.T, strict=True):
            logs -= 0.5 * ((values - mean[:, None]) / spread[:, None]) ** 2 + np.log(spread)[:, None]
        logs -= logs.max(axis=0, initial=-np.inf)
        each = np.exp(logs)
        relative: Floats = each / (self.weights @ each)
        return relative


def fit_mixture(features: Floats, *, components: int, rng: np.random.Generator) -> Mixture:
    """Fit a mixture by expectation and maximisation, from k-means.

    Parameters
    ----------
    features : float64 [shape=(frames, dimensions)]
    components : int
        The greatest number; fewer where there are not enough frames.
    rng : numpy.random.Generator

    Returns
    -------
    Mixture
    """
    if len(features) > MOST_FRAMES:
        features = features[rng.choice(len(features), MOST_FRAMES, replace=False)]
    components = max(1, min(components, len(features) // 10))
    least = NARROWEST * features.std(axis=0) + 1e-6
    near = k_means(features[:, None], components, rng=rng)
    share = np.eye(components)[near].T
    mixture = _moments(features, share, least)
    for _ in range(ROUNDS):
        share = mixture.densities(features) * mixture.weights[:, None]
        mixture = _moments(features, share, least)
    return mixture


def _moments(features: Floats, share: Floats, least: Floats) -> Mixture:
    """Fit a mixture with given responsibilities (components, frames)."""
    count = share.sum(axis=1) + 1e-6
    means = (share @ features) / count[:, None]
    spreads = np.sqrt(np.maximum((share @ features**2) / count[:, None] - means**2, least**2))
    return Mixture(means, spreads, count / count.sum())


def k_means(items: Floats, clusters: int, *, rng: np.random.Generator, tries: int = 4) -> Ints:
    """Group items, of which parts may be unknown, around as many means.

    Parameters
    ----------
    items : float64 [shape=(n, places, dimensions)]
        NaN where a place of an item is unknown.
    clusters : int
    rng : numpy.random.Generator
    tries : int
        Number of starts, of which the one with the smallest distances counts.

    Returns
    -------
    int64 [shape=(n,)]
        The group of each, from 0.
    """
    best, tightest = np.zeros(len(items), np.int64), np.inf
    for _ in range(tries if clusters > 1 else 0):
        chosen = [int(rng.integers(len(items)))]
        far = _distances(items, items[chosen])[:, 0]
        while len(chosen) < clusters:  # far from each other: k-means++
            weights = far + 1e-12
            chosen.append(int(rng.choice(len(items), p=weights / weights.sum())))
            far = np.minimum(far, _distances(items, items[chosen[-1:]])[:, 0])
        centres, group = items[chosen], np.full(len(items), -1)
        for _ in range(ROUNDS):
            before, group = group, _distances(items, centres).argmin(axis=1)
            if (group == before).all():
                break
            centres = np.stack([_mean(items[group == i], centres[i]) for i in range(clusters)])
        spread = float(_distances(items, centres).min(axis=1).sum())
        if spread < tightest:
            best, tightest = group, spread
    return best


def _distances(items: Floats, centres: Floats) -> Floats:
    """Return the mean squared distance (n, clusters) over the places that are known in both."""
    result = np.empty((len(items), len(centres)))
    known = np.isfinite(items).all(axis=2)
    for i, centre in enumerate(centres):
        both = known & np.isfinite(centre).all(axis=1)
        apart = np.zeros(known.shape)
        for values, mean in zip(np.moveaxis(items, 2, 0), centre.T, strict=True):  # few: their sum in a row is slow
            apart += (values - mean) ** 2
        result[:, i] = np.where(both, apart, 0).sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    return result


def _mean(items: Floats, default: Floats) -> Floats:
    known = np.isfinite(items)
    count = known.sum(axis=0)
    mean = np.where(known, items, 0).sum(axis=0) / np.maximum(count, 1)
    return np.where(count > 0, mean, default)
