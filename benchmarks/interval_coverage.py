"""Coverage of the confidence intervals, by simulation (`docs/statistics.md`): `python benchmarks/interval_coverage.py`.

How often does a nominal 95 % interval contain the true mean, and how wide is it? The bootstraps that levada had before
stand beside it: of groups and of recordings within them (`levada evaluate`), and of groups and seeds (reports).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import product

import numpy as np
from scipy import stats
from scipy.special import stdtrit

from levada.learning.statistics import mean_interval

SAMPLES = 1500  # in each cell: the standard error is .006 at .95
DRAWS = 1000  # of each bootstrap
GROUPS = (2, 3, 4, 6, 8, 12, 20)
Ends = tuple[float, float]
Method = Callable[[np.ndarray, np.ndarray, np.ndarray], Ends]


@dataclass(frozen=True)
class Distribution:
    """What the means of groups are drawn from."""

    draw: Callable[[np.random.Generator, int], np.ndarray]
    mean: float
    skewness: float


DISTRIBUTIONS = {
    "normal": Distribution(lambda rng, n: rng.normal(0.6, 0.15, n), 0.6, 0.0),
    "beta(.5, .3)": Distribution(lambda rng, n: rng.beta(0.5, 0.3, n), *map(float, stats.beta(0.5, 0.3).stats("ms"))),
    "beta(8, 1)": Distribution(lambda rng, n: rng.beta(8, 1, n), *map(float, stats.beta(8, 1).stats("ms"))),
    "beta(1, .2)": Distribution(lambda rng, n: rng.beta(1, 0.2, n), *map(float, stats.beta(1, 0.2).stats("ms"))),
}
DESIGNS = {  # standard deviations: of groups, of seeds, and of one group with one seed
    "groups differ": (1.0, 0.0, 0.0),
    "groups and seeds differ": (1.0, 1.0, 1.0),
    "seeds differ": (0.2, 1.0, 0.3),
    "noise alone": (0.0, 0.0, 1.0),
}
CROSSED = ((3, 3), (6, 2), (6, 3), (12, 5))  # groups and seeds
SIZES = {3: (1, 2, 4), 4: (1, 1, 2, 6), 8: (1, 1, 1, 2, 2, 3, 4, 6), 20: (*[1] * 10, *[3] * 6, *[6] * 4)}
UNEQUAL = {"groups alone": (1.0, 0.0), "groups and recordings": (1.0, 1.0), "recordings alone": (0.0, 1.0)}


def interval(values: np.ndarray, groups: np.ndarray, seeds: np.ndarray) -> Ends:
    """What levada gives."""
    found = mean_interval(values, groups=groups.tolist(), seeds=seeds.tolist())
    return found.low, found.high


def student(values: np.ndarray, groups: np.ndarray, _: np.ndarray) -> Ends:
    """The t interval over the means of groups."""
    means = np.bincount(groups, values) / np.bincount(groups)
    mean, half = means.mean(), stdtrit(len(means) - 1, 0.975) * (means.var(ddof=1) / len(means)) ** 0.5
    return float(mean - half), float(mean + half)


def nested(rng: np.random.Generator) -> Method:
    """Give the percentile bootstrap of groups and of recordings within them, as `levada evaluate` had it."""

    def ends(values: np.ndarray, groups: np.ndarray, _: np.ndarray) -> Ends:
        count = int(groups.max()) + 1
        drawn = rng.integers(count, size=(DRAWS, count))
        sums, sizes = np.zeros(drawn.shape), np.zeros(drawn.shape)
        for group in range(count):
            members, here = values[groups == group], drawn == group
            picks = rng.integers(len(members), size=(int(here.sum()), len(members)))
            sums[here], sizes[here] = members[picks].sum(axis=1), len(members)
        return _quantiles(sums.sum(axis=1) / sizes.sum(axis=1))

    return ends


def pigeonhole(rng: np.random.Generator) -> Method:
    """Give the percentile bootstrap of groups and seeds, as reports had it."""

    def ends(values: np.ndarray, groups: np.ndarray, seeds: np.ndarray) -> Ends:
        shape = int(seeds.max()) + 1, int(groups.max()) + 1
        sums, counts = np.zeros(shape), np.zeros(shape)
        np.add.at(sums, (seeds, groups), values)
        np.add.at(counts, (seeds, groups), 1)
        drawn = [rng.multinomial(n, np.full(n, 1 / n), size=DRAWS).astype(float) for n in shape]
        total, weight = (((drawn[0] @ of) * drawn[1]).sum(axis=1) for of in (sums, counts))
        return _quantiles(total[weight > 0] / weight[weight > 0])

    return ends


def _quantiles(means: np.ndarray) -> Ends:
    low, high = np.quantile(means, [0.025, 0.975])
    return float(low), float(high)


def coverage(samples: Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]], true: float, method: Method) -> Ends:
    """Share of the samples whose interval contains the true mean, and the mean width of the intervals."""
    found = np.array([method(*sample) for sample in samples])
    return float(((found[:, 0] <= true) & (true <= found[:, 1])).mean()), float(np.diff(found).mean())


def one_each(name: str, groups: int, *, n: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Draw `n` samples with one value a group."""
    rng = np.random.default_rng(seed)
    for _ in range(n):
        yield DISTRIBUTIONS[name].draw(rng, groups), np.arange(groups), np.zeros(groups, int)


def unequal(kind: str, groups: int, *, n: int, seed: int = 0) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Draw `n` samples with groups of unequal sizes."""
    rng = np.random.default_rng(seed)
    of_groups, of_recordings = UNEQUAL[kind]
    index = np.repeat(np.arange(groups), SIZES[groups])
    for _ in range(n):
        values = of_groups * rng.normal(size=groups)[index] + of_recordings * rng.normal(size=len(index))
        yield values, index, np.zeros(len(index), int)


def crossed(
    design: str, groups: int, seeds: int, *, half: bool, n: int, seed: int = 0
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Draw `n` samples of groups crossed with seeds; with `half`, each seed has a random half of the groups."""
    rng = np.random.default_rng(seed)
    a, b, c = DESIGNS[design]
    for _ in range(n):
        index = np.empty(0)
        while len(np.unique(index)) < 3:  # with fewer there is no interval
            shown = [rng.permutation(groups)[: (groups + 1) // 2 if half else groups] for _ in range(seeds)]
            index, of_seed = np.concatenate(shown), np.repeat(np.arange(seeds), len(shown[0]))
        index = np.unique(index, return_inverse=True)[1]
        values = a * rng.normal(size=groups)[index] + b * rng.normal(size=seeds)[of_seed]
        yield values + c * rng.normal(size=len(index)), index, of_seed


def tables(n: int, *, seed: int = 0, bootstraps: bool = True) -> dict[str, dict[tuple[str, ...], list[float]]]:
    """Every table: by the first cells of each row, coverage and width of each method.

    Parameters
    ----------
    n : int
        Samples in each cell.
    seed : int
        Of the samples.
    bootstraps : bool
        Whether to compute the former bootstraps too, which take most of the time; NaN without.
    """
    rng = np.random.default_rng(seed + 1)
    old, older = (pigeonhole(rng), nested(rng)) if bootstraps else (None, None)
    made: dict[str, dict[tuple[str, ...], list[float]]] = {"groups": {}, "sizes": {}, "seeds": {}}
    for name, count in product(DISTRIBUTIONS, GROUPS):
        samples = partial(one_each, name, count, n=n, seed=seed)
        made["groups"][name, str(count)] = _row(samples, DISTRIBUTIONS[name].mean, older)
    for kind, count in product(UNEQUAL, SIZES):
        made["sizes"][kind, str(count)] = _row(partial(unequal, kind, count, n=n, seed=seed), 0.0, older)
    for half, design, (count, seeds) in product((False, True), DESIGNS, CROSSED):
        samples = partial(crossed, design, count, seeds, half=half, n=n, seed=seed)
        made["seeds"]["half" if half else "all", design, str(count), str(seeds)] = _row(samples, 0.0, old)
    return made


def _row(samples: Callable[[], Iterator], true: float, old: Method | None) -> list[float]:
    """Coverage of levada's interval, its width against that of the t interval, coverage of t and of the bootstrap."""
    (covers, width), (of_t, width_of_t) = (coverage(samples(), true, method) for method in (interval, student))
    return [covers, width / width_of_t, of_t, coverage(samples(), true, old)[0] if old else float("nan")]


HEADINGS = {
    "groups": ("group means", "groups"),
    "sizes": ("what differs", "groups"),
    "seeds": ("groups a seed", "what differs", "groups", "seeds"),
}
FIGURES = ("coverage", "width / t", "t over group means", "bootstrap before")


def markdown(name: str, rows: dict[tuple[str, ...], list[float]]) -> str:
    """A table as in the documentation."""
    heading = [*HEADINGS[name], *FIGURES]
    lines = [f"| {' | '.join(heading)} |", "|---" * len(heading) + "|"]
    for cells, (covers, width, of_t, old) in rows.items():
        lines.append(f"| {' | '.join(cells)} | {covers:.3f} | {width:.2f} | {of_t:.3f} | {old:.3f} |")
    return "\n".join(lines)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--samples", type=int, default=SAMPLES, help="in each cell")
    arguments.add_argument("--seed", type=int, default=0)
    wanted = arguments.parse_args()
    for name, rows in tables(wanted.samples, seed=wanted.seed).items():
        print(f"<!-- table: {name} -->\n{markdown(name, rows)}\n", flush=True)


if __name__ == "__main__":
    main()
