"""Confidence intervals of means over recordings that come in groups, and over seeds.

One implementation for evaluations, reports and benchmarks. `docs/statistics.md` derives it and prints its coverage.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError

__all__ = ["MIN_GROUPS", "Interval", "mean_interval", "paired_interval"]

MIN_GROUPS = 3
"""With fewer groups the range of the means of groups is given instead of an interval."""

DECIMALS = 12  # to which means and ends are rounded, so that no 1e-17 counts as above zero
Floats = npt.NDArray[np.float64]
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval, or with the range of the groups if there are too few for an interval."""

    mean: float  # over all values, NaN without any
    low: float  # lower end, NaN without an interval or range
    high: float  # upper end
    kind: str  # "interval", "range" or, with one value or none, ""
    over: str  # what the ends are computed over: "groups", "groups and seeds"; of a range also "recordings" or "seeds"
    values: int  # number of values
    recordings: int  # number of recordings
    groups: int  # number of groups
    seeds: int  # number of seeds

    @property
    def excludes_zero(self) -> bool:
        """Whether zero is outside the confidence interval; False for a range."""
        return self.kind == "interval" and (self.low > 0 or self.high < 0)

    def text(self, *, digits: int = 2, sign: str = "") -> str:
        """Mean and ends, as "0.71 [0.62, 0.80]" or "0.71 (range 0.60 to 0.82, 2 groups)".

        Parameters
        ----------
        digits : int
            Digits after the point. One more is shown where the ends are less than five units of the last one apart.
        sign : str
            "+" to show the sign of positive values.
        """
        return " ".join(part for part in self.parts(digits=digits, sign=sign) if part)

    def parts(self, *, digits: int = 2, sign: str = "") -> tuple[str, str]:
        """Format the mean and the ends separately, as in `text`; the ends are empty if there are none."""
        if math.isnan(self.mean):
            return "–", ""
        shown = digits + (0 < self.high - self.low < 5 * 10**-digits)
        mean, low, high = (f"{value:{sign}z.{shown}f}" for value in (self.mean, self.low, self.high))
        if self.kind == "interval":
            return mean, f"[{low}, {high}]"
        if self.kind == "range":
            count = getattr(self, self.over)
            return mean, f"(range {low} to {high}, {count} {self.over})"
        return mean, ""

    def __str__(self) -> str:
        return self.text()


def mean_interval(
    values: npt.ArrayLike,
    *,
    groups: Sequence[Hashable] | None = None,
    recordings: Sequence[Hashable] | None = None,
    seeds: Sequence[Hashable] | None = None,
    level: float = 0.95,
    bounds: Bounds | None = None,
) -> Interval:
    """Mean of scores with a confidence interval that holds for few groups.

    Recordings of one group are not independent, so this is the t interval over the means of groups, each
    weighted by its number of values. Where values were computed with several seeds, the variance between the means of
    seeds is added, and the degrees of freedom are those of Welch and Satterthwaite. The end on the side of the longer
    tail is moved out by the skewness term of the Edgeworth expansion.

    With fewer than three groups, or if all groups have the same mean, the ends are the range of the means of groups
    (with one group of recordings, with one recording of seeds) and `Interval.kind` says so.

    Parameters
    ----------
    values : array_like [shape=(n,)]
        One score for each recording, or for each recording and seed. NaNs are left out.
    groups : sequence, optional
        The group of each value. Every recording is its own group by default.
    recordings : sequence, optional
        The recording of each value. Every value is of its own recording by default.
    seeds : sequence, optional
        The seed of each value. One seed by default.
    level : float
        Nominal coverage.
    bounds : tuple of float, optional
        Least and greatest value that a score can have; the ends are clipped to them.

    Returns
    -------
    Interval

    Raises
    ------
    InputError
        If there are not as many groups, recordings or seeds as values, or `level` is not between 0 and 1.

    References
    ----------
    Cameron, Gelbach and Miller, "Robust inference with multiway clustering", Journal of Business & Economic Statistics
    29, 2011. Johnson, "Modified t tests and confidence intervals for asymmetrical populations", Journal of the American
    Statistical Association 73, 1978. Hall, "The Bootstrap and Edgeworth Expansion", 1992.
    """
    scores = np.asarray(values, dtype=np.float64)
    if scores.ndim != 1:
        raise InputError(f"values must be in one row, not of shape {scores.shape}")
    if not 0 < level < 1:
        raise InputError(f"the level of an interval must be between 0 and 1, not {level}")
    kept = ~np.isnan(scores)
    scores = scores[kept]
    names = list(range(len(kept))) if recordings is None else recordings
    of = {
        name: _codes(labels, kept, name)
        for name, labels in (
            ("groups", names if groups is None else groups),
            ("recordings", names),
            ("seeds", [0] * len(kept) if seeds is None else seeds),
        )
    }
    counts = {name: int(codes.max(initial=-1)) + 1 for name, codes in of.items()}
    if not len(scores):
        return Interval(math.nan, math.nan, math.nan, "", "", 0, **counts)
    mean = float(np.round(scores.mean(), DECIMALS))
    group_means = np.bincount(of["groups"], scores) / np.bincount(of["groups"])
    if counts["groups"] < MIN_GROUPS or np.ptp(group_means) < 10**-DECIMALS:
        over = next((name for name in of if counts[name] > 1), "")
        low, high, kind = math.nan, math.nan, ""
        if over:
            means = np.bincount(of[over], scores) / np.bincount(of[over])
            low, high, kind = float(means.min()), float(means.max()), "range"
    else:
        kind, over = "interval", "groups and seeds" if counts["seeds"] > 1 else "groups"
        low, high = _ends(scores, of["groups"], of["seeds"], level)
        if bounds is not None:
            low, high = max(low, bounds[0]), min(high, bounds[1])
    return Interval(mean, round(float(low), DECIMALS), round(float(high), DECIMALS), kind, over, len(scores), **counts)


def paired_interval(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    bounds: Bounds | None = None,
    **options: Any,
) -> Interval:
    """Mean of the paired differences ``a - b``, with a confidence interval; pairs with a NaN are left out.

    Parameters
    ----------
    a, b : array_like [shape=(n,)]
        Scores of two models on the same recordings, and with the same seeds, in the same order.
    bounds : tuple of float, optional
        Least and greatest value of a score, not of a difference.
    **options
        `groups`, `recordings`, `seeds` and `level`, as for `mean_interval`.

    Returns
    -------
    Interval
        Above zero where `a` is better.

    Raises
    ------
    InputError
        If the two are not of one length, or as in `mean_interval`.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise InputError(f"paired scores must have the same length, not {first.size} and {second.size}")
    reach = None if bounds is None else (bounds[0] - bounds[1], bounds[1] - bounds[0])
    return mean_interval(first - second, bounds=reach, **options)


def _codes(labels: Sequence[Hashable], kept: npt.NDArray[np.bool_], name: str) -> npt.NDArray[np.intp]:
    """Number the labels of the values that are kept."""
    if len(labels) != len(kept):
        raise InputError(f"{len(kept)} values but {len(labels)} {name}")
    numbers: dict[Hashable, int] = {}
    wanted = (label for label, keep in zip(labels, kept.tolist(), strict=True) if keep)
    return np.array([numbers.setdefault(label, len(numbers)) for label in wanted], dtype=np.intp)


def _ends(
    scores: Floats, groups: npt.NDArray[np.intp], seeds: npt.NDArray[np.intp], level: float
) -> tuple[float, float]:
    """Ends of the interval of the mean of values in groups crossed with seeds."""
    from scipy.special import ndtri, stdtrit

    mean = float(scores.mean())
    variance, freedom = _clustered(scores, groups)
    if seeds.any():
        added, few = _clustered(scores, seeds)
        freedom = (variance + added) ** 2 / (variance**2 / freedom + added**2 / few)  # Welch and Satterthwaite
        variance += added
    tail = (1 + level) / 2
    half = stdtrit(freedom, tail) * math.sqrt(variance)
    third = float((np.bincount(groups, scores - mean) ** 3).sum()) / len(scores) ** 3  # third cumulant of the mean
    skew = third / variance * (1 + 2 * ndtri(tail) ** 2) / 6
    return mean - half + min(skew, 0.0), mean + half + max(skew, 0.0)


def _clustered(scores: Floats, clusters: npt.NDArray[np.intp]) -> tuple[float, float]:
    """Variance of the mean of values in independent clusters, and its degrees of freedom.

    The mean of all values is the mean of the clusters' means weighted by their shares p of the values, so that its
    variance is s² Σp², with s² the sample variance of the clusters' means.
    """
    sizes = np.bincount(clusters)
    means = np.bincount(clusters, scores) / sizes
    return float(means.var(ddof=1) * ((sizes / len(scores)) ** 2).sum()), float(len(sizes) - 1)
