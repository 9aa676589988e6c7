"""Models on corpora that they were not adapted to: what was forgotten, and a matrix of corpora by corpora."""

from __future__ import annotations

from collections.abc import Iterator

from levada.experiments.report.compare import Comparison, compared_values, interval, mean
from levada.experiments.report.figures import SCORE_NAMES, text
from levada.experiments.report.results import Key, Results
from levada.experiments.report.tables import Row, Table, amount_text, numbers

__all__ = ["changes_on_others", "forgotten", "forgotten_text", "matrix"]


def changes_on_others(results: Results, score: str) -> Iterator[tuple[Key, str, Comparison]]:
    """Change of a score on each other corpus against the model that was adapted, on the same recordings and seeds.

    Yields
    ------
    Key, str, Comparison
        The method with the corpus it was adapted to and the budget; the other corpus; after less before.
    """
    for key, other in results.also:
        _, method, amount = key
        if (base := results.base_of(other, method)) is not None:
            before, after = results.values((other, base, 0.0), score), results.values_on(key, other, score)
            gap = compared_values(after, before, results.groups.get(other, {}), score)
            if gap.values:
                yield key, other, Comparison(other, amount, score, method, base, gap)


def forgotten(results: Results) -> Table:
    """Scores on other corpora before and after adaptation, and the change."""
    rows: list[Row] = []
    figures: list[Row] = []
    found = [one for score in results.main for one in changes_on_others(results, score)]
    for (corpus, method, amount), other, change in sorted(found, key=lambda one: (one[0][0], one[0][2], one[1])):
        score, groups = change.score, results.groups.get(other, {})
        before = mean(results, other, change.second, 0.0, score)
        after = interval(results.values_on((corpus, method, amount), other, score), groups, score)
        budget = amount_text(results, corpus, amount)
        key = {"adapted to": corpus, **budget, "method": method.name, "scored on": other}
        rows.append(
            key
            | {"score": SCORE_NAMES[score], "before": text(score, before), "after": text(score, after)}
            | {"change": text(score, change.difference, sign="+"), "verdict": change.verdict}
        )
        figures.append(key | {"score": score} | numbers(change.difference, "change"))
    caption = "Scores on other corpora than the one that a model was adapted to, before and after, [95 % interval]."
    return Table("forgotten", caption, rows, figures, keys=4)


def forgotten_text(results: Results) -> list[str]:
    """For each method: in how many comparisons its scores on other corpora fell by more than the interval."""
    counts: dict[str, list[str]] = {}
    for score in results.main:
        for (_, method, _), _, change in changes_on_others(results, score):
            counts.setdefault(method.name, []).append(change.verdict)
    return [
        f"{name}: scores on other corpora fell by more than the interval in {of.count('below')} of {len(of)} "
        f"comparisons, and rose in {of.count('above')}."
        for name, of in counts.items()
    ]


def matrix(results: Results) -> Table:
    """Scores on each corpus of the models adapted to each; empty where no two were scored by models of each other."""
    pairs = {(key[0], other) for key, other in results.also}
    both = [name for name in results.corpora if any({(name, one), (one, name)} <= pairs for one in results.corpora)]
    rows: list[Row] = []
    figures: list[Row] = []
    keys = list(dict.fromkeys((method, amount) for (_, method, amount), other in results.also if other in both))
    for score, (method, amount) in ((score, key) for score in results.main for key in keys):
        bases = {name: results.base_of(name, method) for name in both}
        levels = {"no adaptation": {n: mean(results, n, b, 0.0, score) for n, b in bases.items() if b is not None}}
        for corpus in both:
            values = {name: results.values_on((corpus, method, amount), name, score) for name in both}
            levels[corpus] = {
                name: interval(of, results.groups.get(name, {}), score) for name, of in values.items() if of
            }
        budget = amount_text(results, both[0], amount)
        for corpus, means in levels.items():
            key = {"score": SCORE_NAMES[score], **budget, "method": method.name, "adapted to": corpus}
            cells = {name: text(score, means[name]) if name in means else "–" for name in both}
            rows.append(key | cells)
            figures += [key | {"score": score, "scored on": n} | numbers(value, "mean") for n, value in means.items()]
    caption = "Mean scores on each corpus, above, of models adapted to each, at the left, [95 % interval]."
    return Table("matrix", caption, rows, figures, keys=4)
