"""How sure a mean over recordings and seeds is.

A run is scored on the recordings that its seed put aside, so one recording is met under several seeds and one
seed holds many recordings: groups of recordings and seeds are crossed, and both are drawn anew.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from levada.errors import InputError

__all__ = ["FEWEST_GROUPS", "Estimate", "estimate", "estimate_difference"]

FEWEST_GROUPS = 6
"""Below so many groups nothing is called a difference: were there none, all of five groups would still point the
same way once in sixteen times (2 / 2 ** 5 = .06), so that no test that trusts groups alone could exclude it at 5 %."""

DIGITS = 12  # of means and ends after the point, so that no 1e-17 counts as above zero
Place = tuple[int, str]  # a seed and a recording


@dataclass(frozen=True)
class Estimate:
    """A mean over recordings and seeds with its interval."""

    mean: float  # NaN where there is no value
    low: float  # lower end, NaN where nothing could be drawn anew
    high: float  # upper end
    values: int  # how many pairs of a recording and a seed have a value
    recordings: int  # how many recordings they are of
    groups: int  # how many groups these are from
    seeds: int  # how many seeds they were met under
    resampled: str  # "groups and seeds", "groups", "recordings and seeds", "recordings", "seeds" or "nothing"

    @property
    def few(self) -> bool:
        """Whether there are too few groups to call anything a difference."""
        return self.groups < FEWEST_GROUPS

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval leaves zero out; false without an interval."""
        return self.low > 0 or self.high < 0

    @property
    def short(self) -> str:
        """Two digits, for pages and sentences."""
        if math.isnan(self.mean):
            return "–"
        return f"{self.mean:.2f}" + ("" if math.isnan(self.low) else f" [{self.low:.2f}, {self.high:.2f}]")

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "–"
        ends = "" if math.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.mean:.3f}{ends}"


def estimate(
    values: Mapping[Place, float],
    groups: Mapping[str, str],
    *,
    rng: np.random.Generator,
    n: int = 2000,
    level: float = 0.95,
) -> Estimate:
    """Mean with a percentile bootstrap interval over groups and seeds.

    Groups are drawn with replacement, each with all its values, and so are seeds; a value counts as often as
    its group and its seed were drawn together. Where there is one group, recordings are drawn in its place.

    Parameters
    ----------
    values : mapping of (int, str) to float
        One score for each seed and recording; NaNs are left out.
    groups : mapping of str to str
        The group of each recording.
    rng : numpy.random.Generator
        Where the draws come from.
    n : int
        Number of draws. Draws in which no value is left do not count.
    level : float
        Share of the draws inside the interval.

    Returns
    -------
    Estimate
        The mean over all values, the ends, and what was drawn anew.

    Raises
    ------
    InputError
        If `n` or `level` is out of range.

    References
    ----------
    Owen, "The pigeonhole bootstrap", Annals of Applied Statistics 1, 2007.
    """
    if n < 1 or not 0 < level < 1:
        raise InputError(f"a bootstrap needs a draw or more and a level between 0 and 1, not {n} and {level}")
    known = {place: value for place, value in values.items() if not math.isnan(value)}
    recordings = sorted({track for _, track in known})
    seeds = sorted({seed for seed, _ in known})
    names = sorted({groups[track] for track in recordings})
    mean = round(sum(known.values()) / len(known), DIGITS) if known else math.nan
    alone = len(names) == 1
    unit_of = {track: track if alone else groups[track] for track in recordings}
    units = sorted(set(unit_of.values()))
    what = ["recordings" if alone else "groups"] * (len(units) > 1) + ["seeds"] * (len(seeds) > 1)
    low = high = math.nan
    if what:
        low, high = _ends(known, unit_of, units, seeds, rng, n, level)
    resampled = " and ".join(what) or "nothing"
    return Estimate(mean, low, high, len(known), len(recordings), len(names), len(seeds), resampled)


def estimate_difference(
    a: Mapping[Place, float],
    b: Mapping[Place, float],
    groups: Mapping[str, str],
    *,
    rng: np.random.Generator,
    n: int = 2000,
    level: float = 0.95,
) -> Estimate:
    """Mean of the differences ``a - b`` on the recordings and seeds that both have, with its interval.

    Parameters
    ----------
    a, b : mapping of (int, str) to float
        Scores of two models.
    groups : mapping of str to str
        The group of each recording.
    rng : numpy.random.Generator
        Where the draws come from.
    n : int
        Number of draws.
    level : float
        Share of the draws inside the interval.

    Returns
    -------
    Estimate
        As `estimate` of the differences.

    Raises
    ------
    InputError
        As in `estimate`.
    """
    return estimate({place: a[place] - b[place] for place in a if place in b}, groups, rng=rng, n=n, level=level)


def _ends(
    known: Mapping[Place, float],
    unit_of: Mapping[str, str],
    units: Sequence[str],
    seeds: Sequence[int],
    rng: np.random.Generator,
    n: int,
    level: float,
) -> tuple[float, float]:
    """Draw units and seeds anew; the ends of the means."""
    row, column = {s: i for i, s in enumerate(seeds)}, {u: i for i, u in enumerate(units)}
    sums, counts = np.zeros((len(seeds), len(units))), np.zeros((len(seeds), len(units)))
    for (seed, track), value in known.items():
        sums[row[seed], column[unit_of[track]]] += value
        counts[row[seed], column[unit_of[track]]] += 1
    of_seeds = rng.multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), size=n).astype(np.float64)
    of_units = rng.multinomial(len(units), np.full(len(units), 1 / len(units)), size=n).astype(np.float64)
    total = ((of_seeds @ sums) * of_units).sum(axis=1)
    weight = ((of_seeds @ counts) * of_units).sum(axis=1)
    means = total[weight > 0] / weight[weight > 0]
    ends = np.round(np.quantile(means, [(1 - level) / 2, (1 + level) / 2]), DIGITS)
    return float(ends[0]), float(ends[1])
