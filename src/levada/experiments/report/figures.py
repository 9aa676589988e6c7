"""Figures of a report: learning curves, differences, types of error, costs.

Colours are those of Okabe and Ito (2008), and every line has its own marker and line style, so that they can be
distinguished in grey and with any colour vision.
"""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from levada.beat_tracking.metrics import SCORE_NAMES as BEAT_SCORE_NAMES
from levada.experiments.report.compare import ERROR_FAMILIES, compare, error_shares, mean
from levada.experiments.report.results import Method, Results
from levada.learning.figures import matplotlib_context, new_figure
from levada.learning.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = [
    *("DECIBELS", "SCORE_NAMES", "SUFFIXES"),
    *("as_image", "costs", "curves", "differences", "errors", "save", "text"),
]

SUFFIXES = (".pdf", ".svg", ".png")
_FIRST = ("beat_f", "downbeat_f", "position_cmlt", "beat_cmlt", "beat_amlt", "downbeat_cmlt", "downbeat_amlt")
SCORE_NAMES = {name: BEAT_SCORE_NAMES[name] for name in _FIRST} | {
    "si_sdr_i": "SI-SDR improvement, dB",
    "sdr_i": "SDR improvement, dB",
    "leak_db": "leak, dB (less is better)",
}
"""Names of scores in figures and tables, those first that sentences are about."""

DECIBELS = ("_i", "_db")
"""Endings of the names of scores in decibels."""

Style = tuple[str, str, Any]
"""Colour, marker and line style."""

_STRATEGY_STYLES: Mapping[str, Style] = {
    "auto": ("#000000", "*", "-"),
    "finetune+augment": ("#d55e00", "o", "-"),
    "finetune": ("#e69f00", "s", "--"),
    "bayes": ("#0072b2", "D", "-."),
    "scratch": ("#009e73", "^", ":"),
    "nmf": ("#0072b2", "D", "-."),
    "nmf-conv": ("#56b4e9", "P", (0, (5, 1))),
    "decoder": ("#cc79a7", "v", (0, (3, 1, 1, 1, 1, 1))),
}
_STYLES: Sequence[Style] = (
    ("#d55e00", "o", "-"), ("#0072b2", "D", "-."), ("#009e73", "^", ":"), ("#e69f00", "s", "--"),
    ("#cc79a7", "v", (0, (3, 1, 1, 1, 1, 1))), ("#56b4e9", "P", (0, (5, 1))), ("#000000", "X", (0, (1, 1))),
)  # fmt: skip
_PRETRAINED_MARKERS = ("X", "P", "*", "s", "^", "d", "v", "h")
_FAMILY_STYLES = {
    "right": ("#009e73", ""),
    "bars wrong": ("#56b4e9", "//"),
    "right in part": ("#f0e442", ".."),
    "shifted": ("#d55e00", "\\\\"),
    "other tempo": ("#cc79a7", "xx"),
    "lost": ("#444444", ""),
}
RC = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    "svg.hashsalt": "levada",
    "hatch.linewidth": 0.5,
}


def text(score: str, value: Interval, *, sign: str = "") -> str:
    """A mean and its interval with as many digits as are significant."""
    return value.text(digits=1 if score.endswith(DECIBELS) else 2, sign=sign)


def curves(results: Results, corpus: str) -> Figure:
    """Plot the scores of a corpus against budgets of labels, a panel a score; models without labels at the left edge.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    budgets, labels = results.budgets_of(corpus), results.labels_of(corpus)
    scores = [score for score in SCORE_NAMES if results.has(score, corpus)]
    pretrained = results.find(corpus, 0.0)
    trained = [one for one in results.methods if any((corpus, one, m) in results.table for m in budgets)]
    styles = method_styles(trained)
    zero = (budgets[0] if budgets else 1.0) / 3
    n_seeds = len(results.seeds_of(corpus))
    n_columns = min(3, len(scores))
    n_rows = math.ceil(len(scores) / n_columns)
    with matplotlib_context(RC):
        figure = new_figure(3.1 * n_columns + 0.3, 2.5 * n_rows + 1.1)
        is_shared = not results.has("si_sdr_i", corpus)  # improvements and leaks differ in scale
        panels = figure.subplots(n_rows, n_columns, sharex=True, sharey=is_shared, squeeze=False).ravel()
        for axes, score in zip(panels, scores, strict=False):
            for index, method in enumerate(pretrained):
                value = mean(results, corpus, method, 0.0, score)
                is_base = any(other.base == method.base for other in trained)
                color = "#000000" if is_base else "#777777"
                marker = "o" if is_base else _PRETRAINED_MARKERS[index % len(_PRETRAINED_MARKERS)]
                x = zero * 1.28 ** (index - (len(pretrained) - 1) / 2)
                _point(axes, x, value, color=color, marker=marker, label=method.name)
                if is_base and not math.isnan(value.mean):
                    axes.axhline(value.mean, color=color, lw=0.8, linestyle=(0, (1, 3)), zorder=1)
            for index, method in enumerate(trained):
                color, marker, stroke = styles[method]
                minutes = [m for m in budgets if (corpus, method, m) in results.table]
                values = [mean(results, corpus, method, m, score) for m in minutes]
                xs = [m * 1.035 ** (index - (len(trained) - 1) / 2) for m in minutes]
                axes.plot(xs, [value.mean for value in values], color=color, linestyle=stroke, lw=1.5, zorder=3)
                axes.plot([], [], color=color, marker=marker, linestyle=stroke, lw=1.5, ms=5, label=method.name)
                for x, value in zip(xs, values, strict=True):
                    _point(axes, x, value, color=color, marker=marker, hollow=value.seeds < n_seeds)
            axes.set_title(SCORE_NAMES[score], loc="left", fontsize=10)
            _budget_axis(axes, budgets, labels, zero=zero)
            edge = (zero * 1.28 ** (len(pretrained) / 2) * (budgets[0] if budgets else 1)) ** 0.5
            axes.axvline(edge, color="#bbbbbb", lw=0.8, zorder=1)
            if not score.endswith(DECIBELS):
                axes.set_ylim(-0.03, 1.03)
        for axes in panels[len(scores) :]:
            axes.set_visible(False)
        for axes in panels[max(0, len(scores) - n_columns) : len(scores)]:
            axes.set_xlabel(results.axis_of(corpus))
            axes.tick_params(labelbottom=True)  # also where the panel below is left out
        _legend(figure, panels[0], columns=3 if len(pretrained) + len(trained) > 6 else 2)
    return figure


def differences(results: Results, corpus: str, minutes: float, method: Method) -> Figure:
    """Plot differences of a method to all others at a budget, with intervals; filled where these exclude zero."""
    others = [(other, m) for other, m in results.at(corpus, minutes) if other != method]
    scores = [score for score in (*results.main, "downbeat_cmlt") if results.has(score, corpus)]
    with matplotlib_context({**RC, "axes.grid.axis": "x"}):
        figure = new_figure(2.9 * len(scores) + 1.8, 0.32 * len(others) + 1.2)
        for axes, score in zip(figure.subplots(1, len(scores), sharey=True, squeeze=False)[0], scores, strict=True):
            axes.axvline(0, color="#000000", lw=0.9)
            for row, other in enumerate(others):
                gap = compare(results, corpus, minutes, score, (method, minutes), other).difference
                if math.isnan(gap.mean):
                    continue
                color = "#0072b2" if gap.mean >= 0 else "#d55e00"
                if not math.isnan(gap.low):
                    axes.plot([gap.low, gap.high], [row, row], color=color, lw=1.6)
                axes.plot(gap.mean, row, "o", ms=6, mec=color, mfc=color if gap.excludes_zero else "white", mew=1.4)
            axes.set_title(SCORE_NAMES[score], loc="left", fontsize=10)
            _method_axis(axes, [other.name for other, _ in others])
            reach = max(0.12, *(abs(end) for end in axes.get_xlim()))
            axes.set_xlim(-reach, reach)
        figure.supxlabel(f"{method.name} is … better (right) or worse (left) than", fontsize=9)
    return figure


def errors(results: Results, corpus: str, minutes: float) -> Figure:
    """Plot the types of error of each method at a budget, as shares of the recordings; models without labels above."""
    methods = sorted(results.at(corpus, minutes), key=lambda pair: pair[1] > 0)
    shares = [error_shares(results.table[corpus, method, m]) for method, m in methods]
    with matplotlib_context({**RC, "axes.grid": False}):
        figure = new_figure(7.6, 0.32 * len(methods) + 1.1)
        axes = figure.subplots()
        left = np.zeros(len(methods))
        for family in dict.fromkeys(ERROR_FAMILIES.values()):
            widths = np.array([share[family] for share in shares])
            color, hatch = _FAMILY_STYLES[family]
            axes.barh(
                range(len(methods)), widths, left=left, height=0.72, color=color, hatch=hatch, edgecolor="white",
                linewidth=0.6, label=family,
            )  # fmt: skip
            left += widths
        _method_axis(axes, [method.name for method, _ in methods])
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
        _legend(figure, axes, columns=6)
    return figure


def costs(results: Results) -> Figure:
    """Plot the processor seconds to adapt and the peak memory of a run, by method and budget."""
    trained = [method for method in results.methods if not method.is_pretrained]
    styles = method_styles(trained)
    with matplotlib_context(RC):
        from matplotlib.ticker import ScalarFormatter

        figure = new_figure(7.6, 3.1)
        time_s, memory = figure.subplots(1, 2)
        for axes, name in ((time_s, "adapt_cpu_s"), (memory, "peak_mb")):
            for method in trained:
                by_budget: dict[float, list[float]] = {}
                for (_, other, minutes), runs in results.costs.items():
                    if other == method:
                        costs = [float(run.get(name, math.nan)) for run in runs]
                        by_budget.setdefault(minutes, []).extend(cost for cost in costs if not math.isnan(cost))
                medians = {m: float(np.median(of)) for m, of in sorted(by_budget.items()) if of}
                color, marker, stroke = styles[method]
                line = {"color": color, "marker": marker, "linestyle": stroke, "label": method.name}
                axes.plot(list(medians), list(medians.values()), lw=1.5, ms=5, **line)
            _budget_axis(axes, results.budgets, results.labels_of())
            axes.margins(y=0.12)
            axes.set_xlabel(results.axis_of())
        time_s.set_title("CPU seconds to adapt (median)", loc="left", fontsize=10)
        time_s.set_yscale("symlog", linthresh=1)
        time_s.yaxis.set_major_formatter(ScalarFormatter())
        time_s.set_ylim(bottom=-0.05)
        memory.set_title("peak memory of a run, MB (median)", loc="left", fontsize=10)
        memory.set_ylim(bottom=0)
        _legend(figure, time_s, columns=3)
    return figure


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write a figure as PDF, SVG and PNG."""
    with matplotlib_context(RC):
        for suffix in SUFFIXES:
            metadata = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(suffix)
            figure.savefig(folder / f"{name}{suffix}", dpi=160, metadata=metadata)


def as_image(figure: Figure) -> str:
    """Data URI of a figure: SVG in base 64."""
    whole = io.BytesIO()
    with matplotlib_context(RC):
        figure.savefig(whole, format="svg", metadata={"Date": None})
    small = re.sub(rb"(\d\.\d\d)\d+", rb"\1", whole.getvalue())  # coordinates to hundredths of a point
    return "data:image/svg+xml;base64," + base64.b64encode(small).decode("ascii")


def method_styles(methods: Sequence[Method]) -> Mapping[Method, Style]:
    """A style for each method: that of its strategy where no two methods have the same strategy."""
    strategies = [method.strategy for method in methods]
    if len(set(strategies)) == len(strategies) and set(strategies) <= set(_STRATEGY_STYLES):
        return {method: _STRATEGY_STYLES[method.strategy] for method in methods}
    return {method: _STYLES[index % len(_STYLES)] for index, method in enumerate(methods)}


def _budget_axis(axes: Any, budgets: Sequence[float], labels: str, *, zero: float | None = None) -> None:
    """A logarithmic axis of budgets, with a tick for models without labels at `zero`."""
    from matplotlib.ticker import NullFormatter

    axes.set_xscale("log")
    first = [] if zero is None else [(zero, f"no {labels}")]
    ticks = [*first, *((m, f"{m:g}") for m in budgets)]
    axes.set_xticks([at for at, _ in ticks], [label for _, label in ticks])
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.tick_params(axis="x", which="minor", bottom=False)


def _method_axis(axes: Any, names: Sequence[str]) -> None:
    """A row for each method, the first on top."""
    axes.set_yticks(range(len(names)), names)
    axes.tick_params(axis="y", length=0)
    axes.set_ylim(len(names) - 0.5, -0.5)


def _point(axes: Any, x: float, value: Any, *, color: str, marker: str, label: str = "", hollow: bool = False) -> None:
    """A mean with its interval; hollow where seeds are missing, so that it is over fewer recordings."""
    if math.isnan(value.mean):
        return
    is_labelled = label in axes.get_legend_handles_labels()[1]
    axes.plot(
        x, value.mean, marker, color=color, mfc="white" if hollow else color, ms=5, zorder=4, ls="none",
        label=None if is_labelled or not label else label,
    )  # fmt: skip
    if not math.isnan(value.low):
        axes.plot([x, x], [value.low, value.high], color=color, lw=1, alpha=0.75, zorder=2)


def _legend(figure: Figure, axes: Any, *, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles, labels, loc="outside lower center", ncols=min(columns, len(labels)), frameon=False, fontsize=8,
            handlelength=3.5,
        )  # fmt: skip
