"""Findings in sentences, made from the numbers and never more certain than they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from levada.experiments.report.caveats import budget_deviations, fallbacks, study_notes
from levada.experiments.report.compare import (
    Comparison,
    compare,
    mean,
    selection_comparisons,
    selection_gain,
    verdicts,
)
from levada.experiments.report.figures import DECIBELS, SCORE_NAMES, text
from levada.experiments.report.results import Method, Results
from levada.learning.statistics import MIN_GROUPS, Interval

__all__ = ["findings", "leading_method", "main_budget", "methods_text", "missing", "selection_text", "verdict_text"]

USUAL_BUDGET = 1.5
DICTIONARIES = "nmf"
"""The strategy that a separator must beat to be called a success."""
ABOUT_BEATS = (
    "For bars of two, downbeat AMLt is nearly free. A tracker that counts in two where bars have four still has "
    "downbeat F .67; CMLt shows it. A recording without downbeats scores 0; a model "
    "that gives none in any recording has no such score. Downbeat CMLt accepts downbeats that are off by "
    "up to 17.5 % of a bar; CMLt with positions requires correct beats with their correct positions in the bar."
)
ABOUT_STEMS = (
    "A song's score is the mean over its stems that sound. Improvements are over the mixture itself, taken for every "
    "stem. The leak is the level of a model's stem of an instrument that is silent throughout, relative to the mixture."
)


def main_budget(results: Results, corpus: str) -> float | None:
    """The budget that sentences are about: the one nearest to a minute and a half, or the middle one of other units."""
    budgets = results.budgets_of(corpus)
    if budgets and results.unit_of(corpus) != "minutes":
        return budgets[len(budgets) // 2]
    return min(budgets, key=lambda m: abs(math.log(m / USUAL_BUDGET)), default=None)


def leading_method(results: Results, corpus: str, minutes: float) -> Method | None:
    """The method that sentences are about: the trained one with the highest means of the main scores."""
    return next(iter(_ranking(results, corpus, minutes)), None)


def _ranking(results: Results, corpus: str, minutes: float) -> list[Method]:
    """Trained methods by the sum of their means of the main scores, the highest first.

    A model that gives no downbeats has 0 for their scores here; one without any score comes last.
    """

    def total(method: Method) -> float:
        means = [mean(results, corpus, method, minutes, score).mean for score in results.main]
        valid = [value for value in means if not math.isnan(value)]
        return sum(valid) if valid else -math.inf

    return sorted((one for one, _ in results.at(corpus, minutes, pretrained=False)), key=total, reverse=True)


def findings(results: Results) -> list[str]:
    """A paragraph for each corpus: gains from labels, beside the models without labels.

    Parameters
    ----------
    results : Results

    Returns
    -------
    list of str
    """
    return [sentence for corpus in results.corpora if (sentence := _finding(results, corpus))]


def _finding(results: Results, corpus: str) -> str:
    labels, minutes = results.labels_of(corpus), main_budget(results, corpus)
    method = None if minutes is None else leading_method(results, corpus, minutes)
    if minutes is None or method is None:
        return f"{corpus}: no run with {labels} has scores yet."
    values = {score: mean(results, corpus, method, minutes, score) for score in results.main}
    sentences = [
        f"{corpus}: with {results.amount_text(corpus, minutes)}, {method.name} reaches "
        + _listed([_value(score, value) for score, value in values.items() if value.values])
    ]
    for score in (score for score in results.main if values[score].values):
        gaps = []

        def gap(other: Method, budget: float, score: str = score) -> str:
            return _gap(compare(results, corpus, minutes, score, (method, minutes), (other, budget)))

        if (base := results.base_of(corpus, method)) is not None:
            gaps.append(f"against {base.base} without {labels} {gap(base, 0.0)}")
        gaps += [
            f"against dictionaries of the same stems ({other.name}) {gap(other, minutes)}"
            for other in results.find(corpus, minutes, strategy=DICTIONARIES)
            if other != method
        ]
        if (best := _best(results, corpus, method, score)) is not None:
            value = text(score, mean(results, corpus, best, 0.0, score))
            gaps.append(f"against {best.base}, the best other model without {labels} ({value}), {gap(best, 0.0)}")
        if (oracle := results.oracle_of(corpus)) is not None:
            ideal = mean(results, corpus, oracle, 0.0, score)
            gaps += [f"masks made of the true stems would reach {_number(score, ideal)}"] * bool(ideal.values)
        if gaps:
            sentences.append(f"{_name(score)}: {'; '.join(gaps)}")
    leak = mean(results, corpus, method, minutes, "leak_db")
    if leak.values:
        sentences.append(f"its stems of instruments that do not play are at {_number('leak_db', leak)} of the mixture")
    if second := _second(results, corpus, minutes):
        sentences.append(second)
    return ". ".join(one[0].upper() + one[1:] if at else one for at, one in enumerate(sentences)) + "."


def _listed(parts: Sequence[str]) -> str:
    """Join parts of a sentence: a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _name(score: str) -> str:
    """A score in sentences."""
    return SCORE_NAMES[score].split(",")[0]


def _number(score: str, value: Interval) -> str:
    return f"{text(score, value)}{' dB' if score.endswith(DECIBELS) else ''}"


def _value(score: str, value: Interval) -> str:
    is_gain = score in ("si_sdr_i", "sdr_i")
    return f"{'an ' if is_gain else ''}{_name(score)} {'of ' if is_gain else ''}{_number(score, value)}"


def _best(results: Results, corpus: str, method: Method, score: str) -> Method | None:
    """The model without labels with the highest mean, other than the base of a method."""
    means = {other: mean(results, corpus, other, 0.0, score).mean for other in results.external_of(corpus, method)}
    return max((other for other in means if not math.isnan(means[other])), key=means.__getitem__, default=None)


def _second(results: Results, corpus: str, minutes: float) -> str:
    """Differences of the method with the highest means to the next one with as many labels."""
    ranking, labels = _ranking(results, corpus, minutes), results.labels_of(corpus)
    if len(ranking) < 2:
        return ""
    best, second = ranking[:2]
    gaps = [
        f"{_name(score)} {_gap(gap)}"
        for score in results.main
        if (gap := compare(results, corpus, minutes, score, (best, minutes), (second, minutes))).difference.values
    ]
    sentence = f"no other strategy had higher means with as many {labels}"
    return f"{sentence}; against the next, {second.name}: {'; '.join(gaps)}" if gaps else sentence


def _gap(gap: Comparison) -> str:
    meaning = {
        "above": "a gain",
        "below": "a loss",
        "level": "no difference at all",
        "not distinguishable": "which these recordings cannot distinguish from none",
        "no interval": "a range, which is no evidence of a difference",
        "nothing in common": "nothing in common to compare",
    }[gap.verdict]
    if gap.verdict in ("level", "nothing in common"):
        return meaning
    return f"{text(gap.score, gap.difference, sign='+')}{' dB' if gap.score.endswith(DECIBELS) else ''}, {meaning}"


def selection_text(results: Results, scores: Sequence[str] | None = None) -> str:
    """Whether selecting recordings to label beats drawing them at random; empty without such runs."""
    scores = results.main if scores is None else scores
    found = [one for one in selection_comparisons(results, scores) if one.difference.values]
    if not found:
        return ""
    n_better, n_worse = (sum(one.verdict == verdict for one in found) for verdict in ("above", "below"))
    schemes = []
    for scheme in dict.fromkeys(one.first.selection for one in found):
        gains = [(score, selection_gain(results, scheme, score)) for score in scores]
        schemes.append(
            f"{scheme} " + ", ".join(f"{_name(s)} {text(s, gain, sign='+')}" for s, gain in gains if gain.values)
        )
    return (
        f"Does choosing what to label beat drawing it at random? Over all corpora, budgets and strategies: "
        f"{'; '.join(schemes)}. Of {len(found)} separate comparisons, {n_better} are above drawing at random and "
        f"{n_worse} below it by more than their interval; about {round(0.05 * len(found))} would be by chance."
    )


def verdict_text(results: Results, scores: Sequence[str] | None = None) -> list[str]:
    """For each trained method: how often it is at or above its base, the other models and training from scratch.

    Parameters
    ----------
    results : Results
    scores : sequence of str, optional
        The main ones by default.

    Returns
    -------
    list of str
        A sentence for each method; corpora, budgets and scores are counted separately.
    """
    found = verdicts(results, results.main if scores is None else scores)
    sentences = []
    for method in results.methods:
        parts = []
        for name, key in (("its base", "base"), ("every other model", "external"), ("scratch", "scratch")):
            against = [c for one in found if one.method == method and (c := getattr(one, key)) is not None]
            if against:
                n_holding, n_below = sum(one.holds for one in against), sum(one.verdict == "below" for one in against)
                below = f" (in {n_below} below it by more than the interval)" if n_below else ""
                parts.append(f"at or above {name} in {n_holding} of {len(against)}{below}")
        if parts:
            sentences.append(f"{method.name}: {', '.join(parts)}.")
    return sentences


def methods_text(results: Results) -> list[str]:
    """What was measured, and how the intervals were made."""
    n_seeds = len({run.seed for run in results.runs})
    n_tracks = sum(len(of) for of in results.groups.values())
    n_groups = sum(len(set(of.values())) for of in results.groups.values())
    shared = ", ".join(f"{factor} {level}" for factor, level in results.shared.items() if level)
    sentences = [
        f"{len(results.runs)} runs on {len(results.corpora)} corpora: {n_tracks} recordings of {n_groups} groups "
        f"scored, {n_seeds} seeds. A seed decides which groups give labels and which are scored, which labels are "
        "drawn, and the training; all methods of a seed are scored on the same recordings."
        + (f" The same in all of them: {shared}." if shared else ""),
        "Intervals are 95 % t intervals over the means of groups, to which the variance between seeds is added "
        f"(docs/statistics.md has their coverage). With fewer than {MIN_GROUPS} groups, or where all are alike, the "
        "range of the groups is given instead, which is no evidence. Differences are paired: the same "
        "recordings, the same seeds. There are many "
        "comparisons here and none is corrected for that: one in twenty would exclude zero by chance.",
        *([ABOUT_STEMS] if results.has("si_sdr_i") else []),
        *([] if results.labels_of() == "stems" else [ABOUT_BEATS]),
    ]
    alone = [corpus for corpus in results.corpora if len(set(results.groups.get(corpus, {}).values())) == 1]
    if alone:
        sentences.append(
            f"{', '.join(alone)}: all recordings are of one group, so that nothing here is about other groups; the "
            "ends are the range of its recordings."
        )
    for corpus, trained in results.trained_on.items():
        names = ", ".join(f"{track} ({', '.join(methods)})" for track, methods in sorted(trained.items()))
        sentences.append(f"{corpus}: left out for all models, as one was trained on them: {names}.")
    return sentences


def missing(results: Results) -> list[str]:
    """What is missing or not comparable: failed runs, recordings without scores, studies and code that differ."""
    runs = [*results.runs, *results.failed]
    sentences = [
        f"Run {run.id} ({run.label}, {run.budget.text or 'no labels'}, {run.corpus}, seed {run.seed}) has no scores: "
        f"{run.error or 'every recording failed'}."
        for run in results.failed
    ]
    failures: dict[tuple[str, str, str], set[str]] = {}
    for (corpus, method, _), rows in results.table.items():
        for row in rows:
            if row.error:
                failures.setdefault((corpus, method.name, row.error), set()).add(row.track)
    sentences += [
        f"{corpus}: {name} has no scores for {', '.join(sorted(tracks)[:5])}{' …' if len(tracks) > 5 else ''}: {error}"
        for (corpus, name, error), tracks in sorted(failures.items())
    ]
    studies = sorted({run.study for run in runs})
    if len(studies) > 1:
        sentences.append(f"These are runs of several studies: {', '.join(studies)}.")
    versions = {str(run.config.get("code", "")) for run in runs}
    if len(versions) > 1:
        sentences.append(
            f"They were made by {len(versions)} versions of levada's code; methods of different versions differ in it."
        )
    trained = [method for method in results.methods if not method.is_pretrained]
    for corpus in results.corpora:
        unit = results.unit_of(corpus)
        alike = [name for name in results.corpora if results.unit_of(name) == unit]
        amounts = sorted({m for name in alike for m in results.budgets_of(name)})
        for m in results.budgets if results.unit_of() == unit else amounts:
            lacking = [method.name for method in trained if (corpus, method, m) not in results.table]
            if lacking:
                what = "no strategy" if len(lacking) == len(trained) else f"not {', '.join(lacking)}"
                sentences.append(
                    f"{corpus} has {what} with {results.short_text(corpus, m)}: left out, too little is annotated, or "
                    "not run yet."
                )
    for corpus in results.corpora:
        seeds = {m: results.seeds_of(corpus, m) for m in results.budgets_of(corpus)}
        most = max(map(len, seeds.values()), default=0)
        sentences += [
            f"{corpus} with {results.short_text(corpus, m)} has {len(of)} of {most} seeds: it is scored on other "
            "recordings than its neighbours on the curve (hollow points), and may lie above or below them for that "
            "alone."
            for m, of in seeds.items()
            if len(of) < most
        ]
    sentences += [*study_notes(runs), *budget_deviations(results), *fallbacks(results)]
    if len({run.seed for run in results.runs}) == 1:
        sentences.append("There is one seed: nothing here shows how much another draw of labels would change.")
    return sentences
