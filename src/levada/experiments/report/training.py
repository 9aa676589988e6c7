"""Losses of networks on held-out labels while they were trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from levada.experiments.report.figures import RC, method_styles
from levada.experiments.report.results import Method, Results
from levada.experiments.report.tables import Row, Table, amount_text, file_name
from levada.learning.figures import matplotlib_context, new_figure
from levada.learning.training_log import LOG, VALIDATION_LOSS, read_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Curves", "loss_curves", "plot_losses", "training_table"]

Curve = list[tuple[float, float]]
Curves = dict[tuple[float, Method], list[Curve]]
"""Steps and losses of each run of a method, by budget and method."""


def loss_curves(results: Results, corpus: str) -> Curves:
    """Read the losses in validation of the runs on a corpus; runs without validation are left out."""
    curves: Curves = {}
    for run in results.runs:
        if results.corpus_of[run.id] == corpus and (run.folder / LOG).is_file():
            rows = [(row["step"], row[VALIDATION_LOSS]) for row in read_log(run.folder / LOG) if VALIDATION_LOSS in row]
            if rows:
                curves.setdefault((run.budget.amount, results.method_of[run.id]), []).append(rows)
    return {key: curves[key] for key in sorted(curves, key=lambda key: (key[0], results.methods.index(key[1])))}


def plot_losses(results: Results, corpus: str, curves: Curves) -> Figure:
    """Plot the losses over the steps, a panel for each budget and a line for each run."""
    amounts = list(dict.fromkeys(amount for amount, _ in curves))
    styles = method_styles(list(dict.fromkeys(method for _, method in curves)))
    with matplotlib_context(RC):
        from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

        figure = new_figure(2.6 * len(amounts) + 1.2, 3.6)
        panels = figure.subplots(1, len(amounts), sharey=True, squeeze=False)[0]
        for axes, amount in zip(panels, amounts, strict=True):
            for method, runs in ((one, of) for (budget, one), of in curves.items() if budget == amount):
                color, _, stroke = styles[method]
                for number, curve in enumerate(runs):
                    label = method.name if number == 0 else None
                    axes.plot(*zip(*curve, strict=True), color=color, linestyle=stroke, lw=1.2, label=label)
            axes.set_title(results.short_text(corpus, amount), loc="left", fontsize=10)
            axes.set_xlabel("step")
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
            axes.yaxis.set_major_formatter(ScalarFormatter())
            axes.yaxis.set_minor_formatter(NullFormatter())
        panels[0].set_ylabel("loss on held-out labels")
        handles = dict[str, Any]()
        for axes in panels:
            handles |= {label: line for line, label in zip(*axes.get_legend_handles_labels(), strict=True)}
        figure.legend(
            list(handles.values()), list(handles), loc="outside lower center", ncols=1, frameon=False, fontsize=8
        )
    return figure


def training_table(results: Results, corpus: str, curves: Curves) -> Table:
    """Steps until training ended, the lowest loss in validation and processor seconds, as means over seeds."""
    rows: list[Row] = []
    for (amount, method), runs in curves.items():
        costs = [run.get("adapt_cpu_s", np.nan) for run in results.costs.get((corpus, method, amount), ())]
        rows.append({
            **amount_text(results, corpus, amount),
            "method": method.name,
            "steps": _mean([curve[-1][0] for curve in runs], 0),
            "step of the lowest loss": _mean([min(curve, key=lambda point: point[1])[0] for curve in runs], 0),
            "lowest loss": _mean([min(loss for _, loss in curve) for curve in runs], 4),
            "CPU-s": _mean(costs, 0),
            "seeds": str(len(runs)),
        })  # fmt: skip
    caption = f"Trainings on {corpus}, means over seeds."
    return Table(f"trainings-{file_name(corpus)}", caption, rows)


def _mean(values: Sequence[float], digits: int) -> str:
    known = [value for value in values if not np.isnan(value)]
    return f"{np.mean(known):.{digits}f}" if known else "–"
