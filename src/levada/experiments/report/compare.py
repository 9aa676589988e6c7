"""Methods compared on the same recordings and seeds: differences, verdicts, and which recordings changed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from levada.beat_tracking.metrics import score_bounds
from levada.experiments.report.results import Method, Results, ScoreRow, Unit
from levada.learning.statistics import Interval, mean_interval

__all__ = [
    "ERROR_FAMILIES",
    "Change",
    "Comparison",
    "Verdict",
    "changes",
    "compare",
    "compared_values",
    "comparisons",
    "error_shares",
    "interval",
    "mean",
    "selection_comparisons",
    "selection_gain",
    "verdicts",
]

TIE = 5e-4  # means closer than this are equal in every table, which show three digits at most
ERROR_FAMILIES = {
    "right": "right",
    "wrong downbeat phase": "bars wrong",
    "wrong metre": "bars wrong",
    "no downbeats": "bars wrong",
    "partly right": "right in part",
    "phase shift": "shifted",
    "double tempo": "other tempo",
    "triple tempo": "other tempo",
    "half tempo": "other tempo",
    "third tempo": "other tempo",
    "other tempo": "other tempo",
    "drifting": "lost",
    "no beats": "lost",
    "other": "lost",
}
"""Types of error of `beat_tracking.metrics` and the family in which figures show them, from right to lost."""


@dataclass(frozen=True)
class Comparison:
    """One method against another on all recordings and seeds that both were scored on."""

    corpus: str
    minutes: float  # the budget, in the unit of the corpus; a method without labels is compared at every budget
    score: str
    first: Method
    second: Method
    difference: Interval  # first less second

    @property
    def verdict(self) -> str:
        """One of: above, below, level, not distinguishable, no interval, nothing in common."""
        gap = self.difference
        if math.isnan(gap.mean):
            return "nothing in common"
        if gap.low == gap.high == 0:
            return "level"
        if gap.kind != "interval":
            return "no interval"
        return ("above" if gap.mean > 0 else "below") if gap.excludes_zero else "not distinguishable"

    @property
    def holds(self) -> bool:
        """Whether the mean of the first is at or above that of the second."""
        return self.difference.mean >= -TIE


@dataclass(frozen=True)
class Verdict:
    """Whether a method is at or above the methods it must not fall behind, in one score."""

    corpus: str
    minutes: float
    method: Method
    score: str
    value: Interval
    base: Comparison | None  # against the pretrained model it started from
    external: Comparison | None  # against the other model without labels with the least favourable difference
    scratch: Comparison | None  # against the same labels without a base


@dataclass(frozen=True)
class Change:
    """One recording without and with labels, over the seeds that scored it."""

    corpus: str
    minutes: float
    method: Method
    base: Method
    track: str
    group: str
    score: str
    before: float
    after: float
    kind_before: str  # types of error over the seeds whose change has the sign of the mean change
    kind_after: str
    seeds: int

    @property
    def gain(self) -> float:
        """Difference that the labels made."""
        return self.after - self.before


def interval(
    values: Mapping[Unit, float], groups: Mapping[str, str], score: str, *, difference: bool = False
) -> Interval:
    """Mean of the values of one score, or of its differences, over recordings in groups and over seeds.

    Parameters
    ----------
    values : mapping of (int, str) to float
        One value for each seed and recording.
    groups : mapping of str to str
        The group of each recording.
    score : str
        Name of the score.
    difference : bool
        Whether the values are differences of two scores.
    """
    bounds = score_bounds(score)
    if bounds is not None and difference:
        bounds = (bounds[0] - bounds[1], bounds[1] - bounds[0])
    seeds, tracks = [seed for seed, _ in values], [track for _, track in values]
    of = [groups[track] for track in tracks]
    return mean_interval(list(values.values()), groups=of, recordings=tracks, seeds=seeds, bounds=bounds)


def mean(results: Results, corpus: str, method: Method, minutes: float, score: str) -> Interval:
    """Mean of one score of a method, over the seeds that all methods of its budget have, if there are any."""
    values = results.values((corpus, method, minutes), score)
    if common := results.common_seeds(corpus, minutes):
        values = {unit: value for unit, value in values.items() if unit[0] in common}
    return interval(values, results.groups.get(corpus, {}), score)


def compare(
    results: Results, corpus: str, minutes: float, score: str, first: tuple[Method, float], second: tuple[Method, float]
) -> Comparison:
    """Compare two methods, each with its own budget, on the recordings and seeds that both have."""
    a, b = (results.values((corpus, *one), score) for one in (first, second))
    difference = compared_values(a, b, results.groups.get(corpus, {}), score)
    return Comparison(corpus, minutes, score, first[0], second[0], difference)


def compared_values(
    a: Mapping[Unit, float], b: Mapping[Unit, float], groups: Mapping[str, str], score: str
) -> Interval:
    """Difference of two sets of values of one score, on the recordings and seeds that both have."""
    gaps = {unit: a[unit] - b[unit] for unit in a if unit in b}
    return interval(gaps, groups, score, difference=True)


def comparisons(results: Results, scores: Sequence[str], *, corpus: str | None = None) -> list[Comparison]:
    """Compare all pairs of methods at every budget, on one corpus or on all.

    Two methods without labels are compared once a corpus, with 0 minutes.
    """
    found = []
    for name in results.corpora if corpus is None else (corpus,):
        without = results.at(name, 0.0, pretrained=False)
        pairs = [(0.0, one, other) for one, other in combinations(without, 2)]
        for minutes in results.budgets_of(name):
            trained = results.at(name, minutes, pretrained=False)
            pairs += [(minutes, one, other) for one in trained for other in without]
            pairs += [(minutes, other, one) for one, other in combinations(trained, 2)]
        found += [compare(results, name, m, score, one, other) for score in scores for m, one, other in pairs]
    return found


def _selected(results: Results) -> Iterator[tuple[str, float, Method, Method]]:
    """Every method with selected labels beside the same one with labels drawn at random."""
    for corpus in results.corpora:
        for minutes in results.budgets_of(corpus):
            for method in results.find(corpus, minutes):
                for other in results.at_random(corpus, minutes, method):
                    yield corpus, minutes, method, other


def selection_comparisons(results: Results, scores: Sequence[str]) -> list[Comparison]:
    """Compare each scheme of selection with drawing at random, all else equal."""
    return [
        compare(results, corpus, minutes, score, (method, minutes), (other, minutes))
        for corpus, minutes, method, other in _selected(results)
        for score in scores
    ]


def selection_gain(results: Results, scheme: str, score: str) -> Interval:
    """Gain of a scheme of selection over drawing at random, over all corpora, budgets and strategies.

    The value of a recording and seed is the mean difference over budgets and strategies.
    """
    differences: dict[Unit, list[float]] = {}
    groups: dict[str, str] = {}
    for corpus, minutes, method, other in _selected(results):
        if method.selection != scheme:
            continue
        selected, drawn = (results.values((corpus, one, minutes), score) for one in (method, other))
        for seed, track in selected.keys() & drawn.keys():
            name = f"{corpus}/{track}"
            groups[name] = f"{corpus}/{results.groups[corpus][track]}"
            differences.setdefault((seed, name), []).append(selected[seed, track] - drawn[seed, track])
    values = {unit: sum(several) / len(several) for unit, several in sorted(differences.items())}
    return interval(values, groups, score, difference=True)


def verdicts(results: Results, scores: Sequence[str]) -> list[Verdict]:
    """Compare each method at each budget with its base, the other models without labels, and training from scratch."""
    return [
        _verdict(results, corpus, minutes, method, score)
        for corpus in results.corpora
        for minutes in results.budgets_of(corpus)
        for method, _ in results.at(corpus, minutes, pretrained=False)
        for score in scores
        if results.has(score, corpus)
    ]


def _verdict(results: Results, corpus: str, minutes: float, method: Method, score: str) -> Verdict:
    def least(others: Sequence[Method], budget: float) -> Comparison | None:
        """The least favourable comparison."""
        found = [compare(results, corpus, minutes, score, (method, minutes), (other, budget)) for other in others]
        valid = [one for one in found if not math.isnan(one.difference.mean)]
        return min(valid, key=lambda one: one.difference.mean, default=None)

    base = results.base_of(corpus, method)
    scratch = [other for other in results.find(corpus, minutes, strategy="scratch") if other != method]
    alike = [o for o in scratch if (o.selection, o.augmentation) == (method.selection, method.augmentation)] or scratch
    most = max(map(method.similarity, alike), default=0)
    nearest = [one for one in alike if method.similarity(one) == most and method.strategy != "scratch"]
    value = mean(results, corpus, method, minutes, score)
    against = (
        least([base] if base else [], 0.0),
        least(results.external_of(corpus, method), 0.0),
        least(nearest, minutes),
    )
    return Verdict(corpus, minutes, method, score, value, *against)


def error_shares(rows: Sequence[ScoreRow]) -> dict[str, float]:
    """Share of the recordings in each family of errors, from right to lost; those without a type are left out."""
    counts = Counter(ERROR_FAMILIES.get(row.kind, "lost") for row in rows if row.kind)
    return {family: counts[family] / max(counts.total(), 1) for family in dict.fromkeys(ERROR_FAMILIES.values())}


def changes(results: Results, score: str) -> list[Change]:
    """Every recording without and with labels, for every method and budget; the worst loss first."""
    found = [
        change
        for (corpus, method, minutes) in results.table
        if not method.is_pretrained and (base := results.base_of(corpus, method)) is not None
        for change in _changes(results, corpus, minutes, method, base, score)
    ]
    return sorted(found, key=lambda c: (c.gain, c.corpus, c.minutes, c.method.name, c.track))


def _changes(
    results: Results, corpus: str, minutes: float, method: Method, base: Method, score: str
) -> Iterator[Change]:
    keys = ((corpus, base, 0.0), (corpus, method, minutes))
    before, after = (results.values(key, score) for key in keys)
    both = sorted(set(after) & set(before))
    for track in dict.fromkeys(track for _, track in both):
        units = [unit for unit in both if unit[1] == track]
        total = sum(after[unit] - before[unit] for unit in units)
        moved = {unit for unit in units if (after[unit] - before[unit]) * total > 0} or set(units)
        means = [sum(of[unit] for unit in units) / len(units) for of in (before, after)]
        kinds = [_kinds([row for row in results.table[key] if (row.seed, row.track) in moved]) for key in keys]
        yield Change(
            corpus, minutes, method, base, track, results.groups[corpus][track], score, means[0], means[1], kinds[0],
            kinds[1], len(units),
        )  # fmt: skip


def _kinds(rows: Sequence[ScoreRow]) -> str:
    """Types of error of rows, with their counts where there are several."""
    counts = Counter(row.detail or row.kind for row in rows if row.detail or row.kind)
    return "; ".join(kind if len(counts) == 1 else f"{kind} ({n} of {len(rows)})" for kind, n in counts.most_common())
