"""Arm against arm on the same recordings and seeds: differences, verdicts, and which recordings changed."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from levada.report.intervals import Estimate, estimate, estimate_difference
from levada.report.results import Arm, Results, Scored

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
    "mean",
    "selection_gain",
    "selections",
    "verdicts",
]

SEED = 0  # of every bootstrap: the same draws for all, and the same report from the same runs
TIE = 5e-4  # means closer than this are the same in every table, which show three digits
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
    difference: Estimate  # first less second

    @property
    def told(self) -> bool:
        """Whether the interval leaves zero out and there are groups enough to say so."""
        return self.difference.excludes_zero and not self.difference.few

    @property
    def verdict(self) -> str:
        """In a word or two: above, below, level, not told apart, too few groups, nothing in common."""
        found = self.difference
        if math.isnan(found.mean):
            return "nothing in common"
        if found.low == found.high == 0:
            return "level"
        if found.few:
            return "too few groups"
        return ("above" if found.mean > 0 else "below") if found.excludes_zero else "not told apart"


@dataclass(frozen=True)
class Verdict:
    """Whether an arm is at or above what it must not fall behind, in one score."""

    corpus: str
    minutes: float
    arm: Arm
    score: str
    value: Estimate
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
    kind_before: str  # the commonest over the seeds, with its size
    kind_after: str
    seeds: int

    @property
    def gain(self) -> float:
        """What the labels added."""
        return self.after - self.before


def mean(results: Results, corpus: str, arm: Arm, minutes: float, score: str) -> Estimate:
    """Mean of one score of an arm, with its interval."""
    values = results.values((corpus, arm, minutes), score)
    return estimate(values, results.groups.get(corpus, {}), rng=np.random.default_rng(SEED))


def compare(
    results: Results, corpus: str, minutes: float, score: str, first: tuple[Arm, float], second: tuple[Arm, float]
) -> Comparison:
    """Compare two arms, each with its own budget, on the recordings and seeds that both have."""
    difference = estimate_difference(
        results.values((corpus, *first), score),
        results.values((corpus, *second), score),
        results.groups.get(corpus, {}),
        rng=np.random.default_rng(SEED),
    )
    return Comparison(corpus, minutes, score, first[0], second[0], difference)


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
                alike = {**arm.levels(), "selection": "random"}
                rest = results.find(corpus, minutes, **alike) if arm.selection not in ("", "random") else []
                for score in scores:
                    found += [compare(results, corpus, minutes, score, (arm, minutes), (o, minutes)) for o in rest]
    return found


def selection_gain(results: Results, scheme: str, score: str) -> Estimate:
    """What a scheme of selection gains over drawing at random, all corpora, budgets and strategies together.

    Of a recording and seed the mean difference over budgets and strategies counts; groups of all corpora and seeds
    are drawn anew.
    """
    differences: dict[tuple[int, str], list[float]] = {}
    groups: dict[str, str] = {}
    for corpus in results.corpora:
        for minutes in results.budgets_of(corpus):
            for arm in results.find(corpus, minutes, selection=scheme):
                for other in results.find(corpus, minutes, **{**arm.levels(), "selection": "random"}):
                    chosen, drawn = (results.values((corpus, one, minutes), score) for one in (arm, other))
                    for seed, track in chosen.keys() & drawn.keys():
                        name = f"{corpus}/{track}"
                        groups[name] = f"{corpus}/{results.groups[corpus][track]}"
                        differences.setdefault((seed, name), []).append(chosen[seed, track] - drawn[seed, track])
    values = {place: sum(of) / len(of) for place, of in sorted(differences.items())}
    return estimate(values, groups, rng=np.random.default_rng(SEED))


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
            _commonest(results.table[corpus, base, 0.0], places),
            _commonest(results.table[corpus, arm, minutes], places),
            len(places),
        )


def _commonest(rows: Sequence[Scored], places: Sequence[tuple[int, str]]) -> str:
    counts = Counter(row.detail or row.kind for row in rows if (row.seed, row.track) in places)
    return counts.most_common(1)[0][0] if counts else ""
