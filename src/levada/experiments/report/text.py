"""What came out, in sentences: made from the numbers, and never surer than they are."""

from __future__ import annotations

import math
from collections.abc import Sequence

from levada.experiments.report.caveats import fallbacks, other_budgets, told_by_studies
from levada.experiments.report.compare import Comparison, Verdict, compare, mean, selection_gain, selections, verdicts
from levada.experiments.report.figures import DECIBELS, NAMES, text
from levada.experiments.report.results import Arm, Results
from levada.learning.statistics import MIN_GROUPS, Interval

__all__ = ["about", "findings", "leading", "main_budget", "missing", "on_selection", "worth"]

USUAL_BUDGET = 1.5
DICTIONARIES = "nmf"
"""The strategy that every other must beat before it is called a success."""
ABOUT_BEATS = (
    "For bars of two, downbeat AMLt is nearly free. A tracker that counts in two where bars have four still has "
    "downbeat F .67; CMLt tells. A recording without downbeats scores 0; a model "
    "that gives none in any recording has no such score. Downbeat CMLt accepts downbeats that are off by "
    "up to 17.5 % of a bar; CMLt with positions wants right beats with their right positions in the bar."
)
ABOUT_STEMS = (
    "A song's score is the mean over its stems that sound. Improvements are over the mixture itself, taken for every "
    "stem. The leak is what a model gives for an instrument that is silent throughout, against the mixture."
)


def main_budget(results: Results, corpus: str) -> float | None:
    """The budget that sentences speak of: the one nearest to a minute and a half."""
    budgets = results.budgets_of(corpus)
    return min(budgets, key=lambda m: abs(math.log(m / USUAL_BUDGET)), default=None)


def leading(results: Results, corpus: str, minutes: float) -> Arm | None:
    """The arm that sentences speak of: of those that learn, the one with the highest means in the main scores."""
    return next(iter(_ranking(results, corpus, minutes)), None)


def _ranking(results: Results, corpus: str, minutes: float) -> list[Arm]:
    """Arms that learn, by the sum of their means of the main scores, the highest first.

    A model that gives no downbeats has 0 for their scores here; one without any score comes last.
    """

    def total(arm: Arm) -> float:
        means = [mean(results, corpus, arm, minutes, score).mean for score in results.main]
        known = [value for value in means if not math.isnan(value)]
        return sum(known) if known else -math.inf

    return sorted((arm for arm, _ in results.at(corpus, minutes, zero=False)), key=total, reverse=True)


def findings(results: Results) -> list[str]:
    """A paragraph for each corpus: what the labels gave, beside the models that need none.

    Parameters
    ----------
    results : Results

    Returns
    -------
    list of str
    """
    return [sentence for corpus in results.corpora if (sentence := _finding(results, corpus))]


def _finding(results: Results, corpus: str) -> str:
    minutes = main_budget(results, corpus)
    arm = None if minutes is None else leading(results, corpus, minutes)
    if minutes is None or arm is None:
        return f"{corpus}: no run with {results.labels_of(corpus)} has scores yet."
    found = {score: mean(results, corpus, arm, minutes, score) for score in results.main}
    said = [
        f"{corpus}: with {minutes:g} minute{'s' if minutes != 1 else ''} of {results.labels_of(corpus)}, {arm.name} "
        "reaches " + _listed([_value(score, value) for score, value in found.items() if value.values])
    ]
    for score in results.main:
        if not found[score].values:
            continue
        gaps = []
        base = results.base_of(corpus, arm)
        if base is not None:
            gap = compare(results, corpus, minutes, score, (arm, minutes), (base, 0.0))
            gaps.append(f"against {base.base} untouched {_gap(gap)}")
        for other in results.find(corpus, minutes, strategy=DICTIONARIES):
            if other != arm:
                gap = compare(results, corpus, minutes, score, (arm, minutes), (other, minutes))
                gaps.append(f"against dictionaries of the same stems ({other.name}) {_gap(gap)}")
        best = _best(results, corpus, arm, score)
        if best is not None:
            gap = compare(results, corpus, minutes, score, (arm, minutes), (best, 0.0))
            value = text(score, mean(results, corpus, best, 0.0, score))
            labels = results.labels_of(corpus)
            gaps.append(f"against {best.base}, the best other model without {labels} ({value}), {_gap(gap)}")
        ceiling = results.ceiling_of(corpus)
        if ceiling is not None:
            ideal = mean(results, corpus, ceiling, 0.0, score)
            gaps.append(f"masks made of the true stems would reach {_number(score, ideal)}" if ideal.values else "")
        if any(gaps):
            said.append(f"{_name(score)}: {'; '.join(gap for gap in gaps if gap)}")
    leak = mean(results, corpus, arm, minutes, "leak_db")
    if leak.values:
        said.append(f"what it gives for instruments that do not play is at {_number('leak_db', leak)} of the mixture")
    if second := _second(results, corpus, minutes):
        said.append(second)
    return ". ".join(sentence[0].upper() + sentence[1:] if at else sentence for at, sentence in enumerate(said)) + "."


def _listed(parts: Sequence[str]) -> str:
    """Join parts of a sentence: a, b and c."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def _name(score: str) -> str:
    """A score as sentences call it."""
    return NAMES[score].split(",")[0]


def _number(score: str, value: Interval) -> str:
    return f"{text(score, value)}{' dB' if score.endswith(DECIBELS) else ''}"


def _value(score: str, value: Interval) -> str:
    of = "an " if score in ("si_sdr_i", "sdr_i") else ""
    return f"{of}{_name(score)} {'of ' if of else ''}{_number(score, value)}"


def _best(results: Results, corpus: str, arm: Arm, score: str) -> Arm | None:
    """The untouched model with the highest mean, other than the one that an arm began with."""
    means = {other: mean(results, corpus, other, 0.0, score).mean for other in results.rivals_of(corpus, arm)}
    return max((other for other in means if not math.isnan(means[other])), key=means.__getitem__, default=None)


def _second(results: Results, corpus: str, minutes: float) -> str:
    """How far the highest means are above those of the next strategy with as many labels."""
    ranking, labels = _ranking(results, corpus, minutes), results.labels_of(corpus)
    if len(ranking) < 2:
        return ""
    best, second = ranking[:2]
    gaps = [
        f"{_name(score)} {_gap(gap)}"
        for score in results.main
        if (gap := compare(results, corpus, minutes, score, (best, minutes), (second, minutes))).difference.values
    ]
    said = f"no other strategy had higher means with as many {labels}"
    return f"{said}; against the next, {second.name}: {'; '.join(gaps)}" if gaps else said


def _gap(found: Comparison) -> str:
    gap = found.difference
    told = {
        "above": "a gain",
        "below": "a loss",
        "level": "no difference at all",
        "not told apart": "which these recordings cannot tell from none",
        "no interval": "a range, which is no evidence of a difference",
        "nothing in common": "nothing in common to compare",
    }[found.verdict]
    unit = " dB" if found.score.endswith(DECIBELS) else ""
    return (
        told if found.verdict in ("level", "nothing in common") else f"{text(found.score, gap, sign='+')}{unit}, {told}"
    )


def on_selection(results: Results, scores: Sequence[str] | None = None) -> str:
    """Whether choosing what to label beats drawing it at random; empty where that was not asked."""
    scores = results.main if scores is None else scores
    found = [one for one in selections(results, scores) if one.difference.values]
    if not found:
        return ""
    better, worse = [[one for one in found if one.told and one.verdict == way] for way in ("above", "below")]
    schemes = []
    for scheme in dict.fromkeys(one.first.selection for one in found):
        over = [(score, selection_gain(results, scheme, score)) for score in scores]
        schemes.append(
            f"{scheme} " + ", ".join(f"{_name(s)} {text(s, gap, sign='+')}" for s, gap in over if gap.values)
        )
    return (
        f"Does choosing what to label beat drawing it at random? Over all corpora, budgets and strategies: "
        f"{'; '.join(schemes)}. Of {len(found)} comparisons apart, {len(better)} are above drawing at random and "
        f"{len(worse)} below it by more than their interval; about {round(0.05 * len(found))} would be by chance."
    )


def worth(results: Results, scores: Sequence[str] | None = None) -> list[str]:
    """For each arm that learns: how often it is at or above its base, the best untouched rival and scratch.

    Parameters
    ----------
    results : Results
    scores : sequence of str, optional
        The main ones by default.

    Returns
    -------
    list of str
        A sentence an arm; corpora, budgets and scores count apart.
    """
    every = verdicts(results, results.main if scores is None else scores)
    said = []
    for arm in results.arms:
        parts = []
        for name, which in (("its base", "base"), ("every other untouched model", "rival"), ("scratch", "scratch")):
            found = [c for one in every if one.arm == arm and (c := getattr(one, which)) is not None]
            if found:
                up = sum(bool(Verdict.holds(one)) for one in found)
                lost = sum(one.told and one.difference.mean < 0 for one in found)
                below = f" (in {lost} below it by more than the interval)" if lost else ""
                parts.append(f"at or above {name} in {up} of {len(found)}{below}")
        if parts:
            said.append(f"{arm.name}: {', '.join(parts)}.")
    return said


def about(results: Results) -> list[str]:
    """What was measured and how the intervals were made."""
    seeds = {run.seed for run in results.runs}
    tracks = sum(len(of) for of in results.groups.values())
    groups = sum(len(set(of.values())) for of in results.groups.values())
    shared = ", ".join(f"{factor} {level}" for factor, level in results.shared.items() if level)
    said = [
        f"{len(results.runs)} runs on {len(results.corpora)} corpora: {tracks} recordings of {groups} groups scored, "
        f"{len(seeds)} seeds. A seed decides which groups give labels and which are scored, which labels are drawn, "
        "and the training; all arms of a seed are scored on the same recordings."
        + (f" The same in all of them: {shared}." if shared else ""),
        "Intervals are 95 % t intervals over the means of groups, to which the variance between seeds is added "
        f"(docs/statistics.md has their coverage). With fewer than {MIN_GROUPS} groups, or where all are alike, the "
        "range of the groups is given in their place, which is no evidence. Differences are paired: the same "
        "recordings, the same seeds. Many "
        "comparisons stand here and none is corrected for that: one in twenty would leave zero out by chance.",
        *([ABOUT_STEMS] if results.has("si_sdr_i") else []),
        *([] if results.labels_of() == "stems" else [ABOUT_BEATS]),
    ]
    alone = [corpus for corpus in results.corpora if len(set(results.groups.get(corpus, {}).values())) == 1]
    if alone:
        said.append(
            f"{', '.join(alone)}: all recordings are of one group, so that nothing here speaks of other groups; the "
            "ends are the range of its recordings."
        )
    for corpus, trained in results.trained_on.items():
        names = ", ".join(f"{track} ({', '.join(arms)})" for track, arms in sorted(trained.items()))
        said.append(f"{corpus}: left out for all models, as one was trained on them: {names}.")
    return said


def missing(results: Results) -> list[str]:
    """What is not there: runs that failed, recordings that could not be scored, studies and code that differ."""
    said = [f"Run {run.id} ({run.label}, {run.minutes:g} minutes, {run.corpus}, seed {run.seed}) has no scores: "
            f"{run.error or 'every recording failed'}." for run in results.failed]  # fmt: skip
    failures: dict[tuple[str, str, str], set[str]] = {}
    for (corpus, arm, _), rows in results.table.items():
        for row in rows:
            if row.error:
                failures.setdefault((corpus, arm.name, row.error), set()).add(row.track)
    said += [
        f"{corpus}: {arm} has no scores for {', '.join(sorted(tracks)[:5])}{' …' if len(tracks) > 5 else ''}: {error}"
        for (corpus, arm, error), tracks in sorted(failures.items())
    ]
    runs = [*results.runs, *results.failed]
    studies = sorted({run.study for run in runs})
    if len(studies) > 1:
        said.append(f"These are runs of several studies: {', '.join(studies)}.")
    versions = {str(run.deciding.get("code", "")) for run in runs}
    if len(versions) > 1:
        said.append(
            f"They were made by {len(versions)} versions of levada's code; arms of different versions differ in it."
        )
    for corpus in results.corpora:
        arms = [arm for arm in results.arms if not arm.untouched]
        for m in results.budgets:
            gone = [arm.name for arm in arms if (corpus, arm, m) not in results.table]
            if gone:
                what = "no strategy" if len(gone) == len(arms) else f"not {', '.join(gone)}"
                said.append(
                    f"{corpus} has {what} with {m:g} minutes: left out, too little is annotated, or not run yet."
                )
    for corpus in results.corpora:
        seeds = {m: _seeds(results, corpus, m) for m in results.budgets_of(corpus)}
        most = max(map(len, seeds.values()), default=0)
        said += [
            f"{corpus} with {m:g} minutes has {len(of)} of {most} seeds: it is scored on other recordings than its "
            "neighbours on the curve (hollow points), and may lie above or below them for that alone."
            for m, of in seeds.items()
            if len(of) < most
        ]
    said += [*told_by_studies(runs), *other_budgets(results), *fallbacks(results)]
    if len({run.seed for run in results.runs}) == 1:
        said.append("There is one seed: nothing here says how much another draw of labels would change.")
    return said


def _seeds(results: Results, corpus: str, minutes: float) -> set[int]:
    """The seeds that have runs with a budget."""
    return {row.seed for key, rows in results.table.items() if key[::2] == (corpus, minutes) for row in rows}
