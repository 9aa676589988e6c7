"""Settings as axes: scores at each value of a setting, all else equal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from levada.experiments.report.compare import compared_values, interval
from levada.experiments.report.figures import SCORE_NAMES, text
from levada.experiments.report.results import Method, Results, Unit
from levada.experiments.report.tables import Row, Table, amount_text, numbers
from levada.experiments.spec import RANDOM

__all__ = ["settings_table"]

_SETTINGS, _FACTORS = "settings.", ("augmentation", "layers")
_OF_FACTORS = tuple(f"{_SETTINGS}{factor}" for factor in _FACTORS)
USUAL = "default"
"""Value of a setting that a run does not have."""


def settings_table(results: Results) -> Table:
    """Scores at each value of every setting that differs between runs of a strategy, and differences to the first.

    A value of a setting counts on the recordings and seeds that all of its values have, as a mean over the other
    settings with which all of its values were run.
    """
    rows: list[Row] = []
    figures: list[Row] = []
    for corpus in results.corpora:
        for amount in results.budgets_of(corpus):
            strategies: dict[tuple[str, str, str], list[Method]] = {}
            for method, _ in results.at(corpus, amount, pretrained=False):
                strategies.setdefault((method.strategy, method.base, method.selection), []).append(method)
            for (strategy, base, selection), methods in strategies.items():
                name = strategy + (f" from {base}" if base else "")
                name += f", labels by {selection}" if selection not in ("", RANDOM) else ""
                key = {"corpus": corpus, **amount_text(results, corpus, amount), "strategy": name}
                for setting, levels in _axes(methods).items():
                    made = _levels(results, corpus, amount, setting, levels, key)
                    rows += made[0]
                    figures += made[1]
    caption = "Scores by the value of a setting, all else equal, and differences to its first value, [95 % interval]."
    return Table("settings", caption, rows, figures, keys=5)


def _levels(
    results: Results, corpus: str, amount: float, setting: str, levels: Mapping[str, Sequence[Method]], key: Row
) -> tuple[list[Row], list[Row]]:
    """Rows of the values of one setting, for readers and for programs."""
    groups, figures = results.groups.get(corpus, {}), list[Row]()
    rows: list[dict[str, object]] = [{**key, "setting": setting, "value": level} for level in levels]
    for score in results.main:
        values = {
            level: [results.values((corpus, method, amount), score) for method in methods]
            for level, methods in levels.items()
        }
        units = [
            unit for unit in values[next(iter(levels))][0] if all(unit in one for of in values.values() for one in of)
        ]
        means: dict[str, dict[Unit, float]] = {
            level: {unit: sum(one[unit] for one in of) / len(of) for unit in units} for level, of in values.items()
        }
        first = next(iter(means.values()))
        for row, of in zip(rows, means.values(), strict=True):
            value, gap = interval(of, groups, score), compared_values(of, first, groups, score)
            row[SCORE_NAMES[score]] = text(score, value)
            row[f"difference in {SCORE_NAMES[score]}"] = "–" if of is first else text(score, gap, sign="+")
            figures.append(
                {**key, "setting": setting, "value": row["value"], "score": score} | numbers(gap, "difference")
            )
    return list(rows), figures


def _axes(methods: Sequence[Method]) -> dict[str, dict[str, list[Method]]]:
    """For each setting that differs, its values in order, and for each the methods of the same other settings."""
    levels_of = {method: _settings(method) for method in methods}
    names = sorted({name for levels in levels_of.values() for name in levels})
    axes = {}
    for name in names:
        others: dict[tuple[tuple[str, str], ...], dict[str, Method]] = {}
        for method, levels in levels_of.items():
            rest = tuple(sorted((key, value) for key, value in levels.items() if key != name))
            others.setdefault(rest, {})[levels.get(name, USUAL)] = method
        values = sorted({value for of in others.values() for value in of}, key=_order)
        complete = [of for of in others.values() if len(of) == len(values)]
        if len(values) > 1 and complete:
            axes[name] = {value: [of[value] for of in complete] for value in values}
    return axes


def _settings(method: Method) -> dict[str, str]:
    own = {
        key.removeprefix(_SETTINGS): value
        for key, value in method.settings
        if key.startswith(_SETTINGS) and not key.startswith(_OF_FACTORS)
    }
    return own | {factor: getattr(method, factor) for factor in _FACTORS}


def _order(value: str) -> tuple[float, str]:
    """Numbers by size, then words."""
    try:
        return float(value), ""
    except ValueError:
        return float("inf"), value
