"""How sure a mean is: bootstrap intervals over groups of recordings."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from levada.errors import InputError

__all__ = ["Interval", "bootstrap", "bootstrap_difference"]


@dataclass(frozen=True)
class Interval:
    """A mean with its bootstrap interval."""

    mean: float  # mean over the recordings that have a value
    low: float  # lower end, NaN where nothing could be resampled
    high: float  # upper end
    values: int  # how many recordings have a value
    groups: int  # how many groups they come from
    resampled: str  # "groups", or "recordings" where there is one group, or "nothing" with one value or none

    def __str__(self) -> str:
        if math.isnan(self.mean):
            return "–"
        ends = "" if math.isnan(self.low) else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.mean:.3f}{ends}"


def bootstrap(
    values: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    groups: Sequence[Hashable] | None = None,
    n: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Mean with a percentile bootstrap interval over groups of recordings.

    Groups are drawn with replacement, then recordings with replacement within each drawn group, since
    recordings of one performer are no independent evidence. With a single group recordings alone are drawn,
    and the interval says so: it speaks of more recordings of that group, not of other groups.

    Parameters
    ----------
    values : array_like [shape=(n_recordings,)]
        One score a recording; NaNs are left out.
    rng : numpy.random.Generator
        Where the draws come from.
    groups : sequence, optional
        The group of each recording. Every recording is its own group by default.
    n : int
        Number of draws.
    level : float
        Share of the draws inside the interval.

    Returns
    -------
    Interval
        The mean, the ends, and what was resampled.

    Raises
    ------
    InputError
        If there are not as many groups as values, or `n` or `level` is out of range.

    References
    ----------
    Davison and Hinkley, "Bootstrap Methods and their Application", 1997, section 3.8.
    """
    scores = np.asarray(values, dtype=np.float64)
    names = list(range(len(scores))) if groups is None else list(groups)
    if scores.ndim != 1 or len(names) != len(scores):
        raise InputError(f"{scores.size} values but {len(names)} groups")
    if n < 1 or not 0 < level < 1:
        raise InputError(f"a bootstrap needs a draw or more and a level between 0 and 1, not {n} and {level}")
    members: dict[Hashable, list[float]] = {}
    for score, name in zip(scores.tolist(), names, strict=True):
        if not math.isnan(score):
            members.setdefault(name, []).append(score)
    count = sum(map(len, members.values()))
    if count < 2:
        mean = float(sum(map(sum, members.values()))) if count else math.nan
        return Interval(mean, math.nan, math.nan, count, len(members), "nothing")
    drawn = rng.integers(len(members), size=(n, len(members)))
    sums, sizes = np.zeros(drawn.shape), np.zeros(drawn.shape)
    for g, scores_of_group in enumerate(members.values()):
        here, size = drawn == g, len(scores_of_group)
        picks = rng.integers(size, size=(int(here.sum()), size))
        sums[here], sizes[here] = np.array(scores_of_group)[picks].sum(axis=1), size
    means = sums.sum(axis=1) / sizes.sum(axis=1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    what = "groups" if len(members) > 1 else "recordings"
    mean = float(np.mean(np.concatenate([np.array(m) for m in members.values()])))
    return Interval(mean, float(low), float(high), count, len(members), what)


def bootstrap_difference(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    *,
    rng: np.random.Generator,
    groups: Sequence[Hashable] | None = None,
    n: int = 2000,
    level: float = 0.95,
) -> Interval:
    """Mean of the paired differences ``a - b`` over the recordings that have both, with its interval.

    Parameters
    ----------
    a, b : array_like [shape=(n_recordings,)]
        Scores of two trackers on the same recordings in the same order.
    rng : numpy.random.Generator
        Where the draws come from.
    groups : sequence, optional
        The group of each recording.
    n : int
        Number of draws.
    level : float
        Share of the draws inside the interval.

    Returns
    -------
    Interval
        As `bootstrap` of the differences.

    Raises
    ------
    InputError
        If the two are not of one length, or as in `bootstrap`.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise InputError(f"paired scores must be as many on both sides, not {first.size} and {second.size}")
    return bootstrap(first - second, rng=rng, groups=groups, n=n, level=level)
