"""Arm against arm on the same recordings and seeds: differences, verdicts, and which recordings changed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from levada.beat_tracking.metrics import score_bounds
from levada.experiments.report.results import Arm, Place, Results, Scored
from levada.learning.statistics import Interval, mean_interval

__all__ = [
    "FAMILIES",
    "Change",
    "Comparison",
    "Verdict",
    "against_base",
    "changes",
    "compare",
    "comparisons",
    "families",
    "interval",
    "mean",
    "selection_gain",
    "selections",
    "verdicts",
]

TIE = 5e-4  # means closer than this are the same in every table, which show three digits at most
FAMILIES = {
    "right": "right",
    "wrong one": "bars wrong",
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
"""Kinds of error of `scores.kind_of_error` and the family in which figures show them, from right to lost."""


@dataclass(frozen=True)
class Comparison:
    """One arm against another on what both were scored on."""

    corpus: str
    minutes: float  # the budget; an arm that needs no labels stands beside every budget
    score: str
    first: Arm
    second: Arm
    difference: Interval  # first less second

    @property
    def told(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.difference.excludes_zero

    @property
    def verdict(self) -> str:
        """In a word or two: above, below, level, not told apart, no interval, nothing in common."""
        found = self.difference
        if math.isnan(found.mean):
            return "nothing in common"
        if found.low == found.high == 0:
            return "level"
        if found.kind != "interval":
            return "no interval"
        return ("above" if found.mean > 0 else "below") if found.excludes_zero else "not told apart"


@dataclass(frozen=True)
class Verdict:
    """Whether an arm is at or above what it must not fall behind, in one score."""

    corpus: str
    minutes: float
    arm: Arm
    score: str
    value: Interval
    base: Comparison | None  # against the model it began with
    rival: Comparison | None  # against the best untouched rival, the one with the least favourable difference
    scratch: Comparison | None  # against the same labels without a base

    @staticmethod
    def holds(found: Comparison | None) -> bool | None:
        """Whether the mean is at or above the other's; None without a comparison."""
        if found is None or math.isnan(found.difference.mean):
            return None
        return found.difference.mean >= -TIE


@dataclass(frozen=True)
class Change:
    """One recording before and after labels, over the seeds that scored it."""

    corpus: str
    minutes: float
    arm: Arm
    base: Arm
    track: str
    group: str
    score: str
    before: float
    after: float
    kind_before: str  # kinds of error over the seeds whose change has the sign of the mean change
    kind_after: str
    seeds: int

    @property
    def gain(self) -> float:
        """What the labels added."""
        return self.after - self.before


def interval(
    values: Mapping[Place, float], groups: Mapping[str, str], score: str, *, difference: bool = False
) -> Interval:
    """Mean of the values of one score, or of its differences, over recordings in groups and over seeds.

    Parameters
    ----------
    values : mapping of (int, str) to float
        One value for each seed and recording.
    groups : mapping of str to str
        The group of each recording.
    score : str
        What was measured.
    difference : bool
        Whether the values are differences of two scores.
    """
    bounds = score_bounds(score)
    if bounds is not None and difference:
        bounds = (bounds[0] - bounds[1], bounds[1] - bounds[0])
    tracks = [track for _, track in values]
    return mean_interval(
        list(values.values()),
        groups=[groups[track] for track in tracks],
        recordings=tracks,
        seeds=[seed for seed, _ in values],
        bounds=bounds,
    )


def mean(results: Results, corpus: str, arm: Arm, minutes: float, score: str) -> Interval:
    """Mean of one score of an arm, with its interval: over the seeds that all arms of its budget have, if there are."""
    values = results.values((corpus, arm, minutes), score)
    if common := results.common_seeds(corpus, minutes):
        values = {place: value for place, value in values.items() if place[0] in common}
    return interval(values, results.groups.get(corpus, {}), score)


def compare(
    results: Results, corpus: str, minutes: float, score: str, first: tuple[Arm, float], second: tuple[Arm, float]
) -> Comparison:
    """Compare two arms, each with its own budget, on the recordings and seeds that both have."""
    a, b = (results.values((corpus, *one), score) for one in (first, second))
    gaps = {place: a[place] - b[place] for place in a if place in b}
    found = interval(gaps, results.groups.get(corpus, {}), score, difference=True)
    return Comparison(corpus, minutes, score, first[0], second[0], found)


def comparisons(results: Results, scores: Sequence[str], *, corpus: str | None = None) -> list[Comparison]:
    """Compare each arm with each at every budget, those that need no labels included; on one corpus or on all.

    Two arms without labels are compared once a corpus, with 0 minutes.
    """
    found = []
    wanted = results.corpora if corpus is None else (corpus,)
    for corpus in wanted:
        free = [(arm, 0.0) for arm in results.arms if (corpus, arm, 0.0) in results.table]
        pairs = [(0.0, one, other) for one, other in combinations(free, 2)]
        for minutes in results.budgets_of(corpus):
            paid = results.at(corpus, minutes, zero=False)
            pairs += [(minutes, one, other) for one in paid for other in free]
            pairs += [(minutes, other, one) for one, other in combinations(paid, 2)]
        found += [compare(results, corpus, m, score, one, other) for score in scores for m, one, other in pairs]
    return found


def against_base(results: Results, scores: Sequence[str]) -> list[Comparison]:
    """Compare each arm at each budget with the untouched model it began with."""
    found = []
    for corpus in results.corpora:
        for score in scores:
            for arm in results.arms:
                base = results.base_of(corpus, arm)
                if arm.untouched or base is None:
                    continue
                found += [
                    compare(results, corpus, m, score, (arm, m), (base, 0.0))
                    for m in results.budgets_of(corpus)
                    if (corpus, arm, m) in results.table
                ]
    return found


def selections(results: Results, scores: Sequence[str]) -> list[Comparison]:
    """Compare each scheme of selection with drawing at random, all else alike."""
    found = []
    for corpus in results.corpora:
        for minutes in results.budgets_of(corpus):
            for arm in results.find(corpus, minutes):
                rest = results.at_random(corpus, minutes, arm)
                for score in scores:
                    found += [compare(results, corpus, minutes, score, (arm, minutes), (o, minutes)) for o in rest]
    return found


def selection_gain(results: Results, scheme: str, score: str) -> Interval:
    """What a scheme of selection gains over drawing at random, all corpora, budgets and strategies together.

    Of a recording and seed the mean difference over budgets and strategies counts.
    """
    differences: dict[tuple[int, str], list[float]] = {}
    groups: dict[str, str] = {}
    for corpus in results.corpora:
        for minutes in results.budgets_of(corpus):
            for arm in results.find(corpus, minutes, selection=scheme):
                for other in results.at_random(corpus, minutes, arm):
                    chosen, drawn = (results.values((corpus, one, minutes), score) for one in (arm, other))
                    for seed, track in chosen.keys() & drawn.keys():
                        name = f"{corpus}/{track}"
                        groups[name] = f"{corpus}/{results.groups[corpus][track]}"
                        differences.setdefault((seed, name), []).append(chosen[seed, track] - drawn[seed, track])
    values = {place: sum(of) / len(of) for place, of in sorted(differences.items())}
    return interval(values, groups, score, difference=True)


def verdicts(results: Results, scores: Sequence[str]) -> list[Verdict]:
    """Set each arm at each budget against its base, the best untouched rival and training from scratch."""
    return [
        _verdict(results, corpus, minutes, arm, score)
        for corpus in results.corpora
        for minutes in results.budgets_of(corpus)
        for arm, _ in results.at(corpus, minutes, zero=False)
        for score in scores
        if results.has(score, corpus)
    ]


def _verdict(results: Results, corpus: str, minutes: float, arm: Arm, score: str) -> Verdict:
    def against(others: list[Arm], budget: float) -> Comparison | None:
        """Give the least favourable comparison."""
        found = [compare(results, corpus, minutes, score, (arm, minutes), (other, budget)) for other in others]
        known = [one for one in found if not math.isnan(one.difference.mean)]
        return min(known, key=lambda one: one.difference.mean, default=None)

    base = results.base_of(corpus, arm)
    scratch = [other for other in results.find(corpus, minutes, strategy="scratch") if other != arm]
    alike = [o for o in scratch if (o.selection, o.augmentation) == (arm.selection, arm.augmentation)] or scratch
    closest = max(map(arm.alike, alike), default=0)
    alike = [other for other in alike if arm.alike(other) == closest]
    return Verdict(
        corpus,
        minutes,
        arm,
        score,
        mean(results, corpus, arm, minutes, score),
        against([base] if base else [], 0.0),
        against(results.rivals_of(corpus, arm), 0.0),
        against(alike, minutes) if arm.strategy != "scratch" else None,
    )


def families(rows: Sequence[Scored]) -> dict[str, float]:
    """Share of the recordings in each family of errors, from right to lost; those without a kind are left out."""
    counts = Counter(FAMILIES.get(row.kind, "lost") for row in rows if row.kind)
    return {family: counts[family] / max(counts.total(), 1) for family in dict.fromkeys(FAMILIES.values())}


def changes(results: Results, score: str) -> list[Change]:
    """Give every recording under every arm and budget before and after, the worst loss first."""
    found = [
        change
        for (corpus, arm, minutes) in results.table
        if not arm.untouched and (base := results.base_of(corpus, arm)) is not None
        for change in _changes(results, corpus, minutes, arm, base, score)
    ]
    return sorted(found, key=lambda c: (c.gain, c.corpus, c.minutes, c.arm.name, c.track))


def _changes(results: Results, corpus: str, minutes: float, arm: Arm, base: Arm, score: str) -> Iterator[Change]:
    after, before = results.values((corpus, arm, minutes), score), results.values((corpus, base, 0.0), score)
    both = sorted(set(after) & set(before))
    for track in dict.fromkeys(track for _, track in both):
        places = [place for place in both if place[1] == track]
        yield Change(
            corpus,
            minutes,
            arm,
            base,
            track,
            results.groups[corpus][track],
            score,
            sum(before[place] for place in places) / len(places),
            sum(after[place] for place in places) / len(places),
            *_kinds(results, corpus, (base, 0.0), (arm, minutes), score, places),
            len(places),
        )


def _kinds(
    results: Results,
    corpus: str,
    before: tuple[Arm, float],
    after: tuple[Arm, float],
    score: str,
    places: Sequence[Place],
) -> tuple[str, str]:
    """Give the kinds of error before and after of the seeds that changed as the mean did; of all where they tie."""
    old, new = (results.values((corpus, *one), score) for one in (before, after))
    total = sum(new[place] - old[place] for place in places)
    moved = {place for place in places if (new[place] - old[place]) * total > 0} or set(places)
    sides = []
    for one in (before, after):
        rows = [row for row in results.table[corpus, *one] if (row.seed, row.track) in moved]
        counts = Counter(row.detail or row.kind for row in rows if row.detail or row.kind)
        sides.append("; ".join(kind if len(counts) == 1 else f"{kind} ({n} of {len(rows)})"
                               for kind, n in counts.most_common()))  # fmt: skip
    return sides[0], sides[1]
