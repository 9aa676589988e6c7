"""Figures of a report: learning curves, differences, kinds of error, costs.

Colours are those of Okabe and Ito (2008), and every line has a marker and a stroke of its own, so that they are told
apart in grey and by every eye.
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

from levada.errors import MissingExtra
from levada.experiments.report.compare import FAMILIES, compare, families, mean
from levada.experiments.report.results import Arm, Results
from levada.learning.statistics import Interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["DECIBELS", "NAMES", "SUFFIXES", "as_image", "costs", "curves", "differences", "errors", "save", "text"]

SUFFIXES = (".pdf", ".svg", ".png")
NAMES = {
    "beat_f": "beat F",
    "downbeat_f": "downbeat F",
    "position_cmlt": "CMLt with positions",
    "beat_cmlt": "beat CMLt",
    "beat_amlt": "beat AMLt",
    "downbeat_cmlt": "downbeat CMLt",
    "downbeat_amlt": "downbeat AMLt",
    "si_sdr_i": "SI-SDR improvement, dB",
    "sdr_i": "SDR improvement, dB",
    "leak_db": "leak, dB (less is better)",
}
"""Scores as figures and tables call them, those first that sentences are about."""

DECIBELS = ("_i", "_db")
"""How the names of scores in decibels end."""

_OF_STRATEGY = {
    "finetune+augment": ("#d55e00", "o", "-"),
    "finetune": ("#e69f00", "s", "--"),
    "bayes": ("#0072b2", "D", "-."),
    "scratch": ("#009e73", "^", ":"),
    "nmf": ("#0072b2", "D", "-."),
    "nmf-conv": ("#56b4e9", "P", (0, (5, 1))),
    "decoder": ("#cc79a7", "v", (0, (3, 1, 1, 1, 1, 1))),
}
_OTHERS = (
    ("#d55e00", "o", "-"), ("#0072b2", "D", "-."), ("#009e73", "^", ":"), ("#e69f00", "s", "--"),
    ("#cc79a7", "v", (0, (3, 1, 1, 1, 1, 1))), ("#56b4e9", "P", (0, (5, 1))), ("#000000", "X", (0, (1, 1))),
)  # fmt: skip
_UNTOUCHED = ("X", "P", "*", "s", "^", "d", "v", "h")
_OF_FAMILY = {
    "right": ("#009e73", ""),
    "bars wrong": ("#56b4e9", "//"),
    "right in part": ("#f0e442", ".."),
    "shifted": ("#d55e00", "\\\\"),
    "other tempo": ("#cc79a7", "xx"),
    "lost": ("#444444", ""),
}
_LOOK = {
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


def text(score: str, found: Interval, *, sign: str = "") -> str:
    """A mean and its interval with as many digits as mean something."""
    return found.text(digits=1 if score.endswith(DECIBELS) else 2, sign=sign)


def curves(results: Results, corpus: str) -> Figure:
    """Scores of a corpus against minutes of labels, a panel a score; models without labels at the left edge.

    Parameters
    ----------
    results : Results
    corpus : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    matplotlib = _matplotlib()
    from matplotlib.ticker import NullFormatter

    budgets, labels = results.budgets_of(corpus), results.labels_of(corpus)
    scores = [score for score in NAMES if results.has(score, corpus)]
    untouched = [arm for arm in results.arms if arm.untouched and (corpus, arm, 0.0) in results.table]
    trained = [arm for arm in results.arms if any((corpus, arm, m) in results.table for m in budgets)]
    looks = _looks(trained)
    zero = (budgets[0] if budgets else 1.0) / 3
    seeds = len({row.seed for key, rows in results.table.items() if key[0] == corpus for row in rows})
    columns = min(3, len(scores))
    rows = math.ceil(len(scores) / columns)
    with matplotlib.rc_context(_LOOK):
        figure = _figure(3.1 * columns + 0.3, 2.5 * rows + 1.1)
        shared = not results.has("si_sdr_i", corpus)  # improvements and leaks are of another size
        panels = figure.subplots(rows, columns, sharex=True, sharey=shared, squeeze=False).ravel()
        for axes, score in zip(panels, scores, strict=False):
            for index, arm in enumerate(untouched):
                x = zero * 1.28 ** (index - (len(untouched) - 1) / 2)
                found = mean(results, corpus, arm, 0.0, score)
                began = any(other.base == arm.base for other in trained)
                marker = "o" if began else _UNTOUCHED[index % len(_UNTOUCHED)]
                _point(axes, x, found, color="#000000" if began else "#777777", marker=marker, label=arm.name)
                if began and not math.isnan(found.mean):
                    axes.axhline(found.mean, color="#000000", lw=0.8, linestyle=(0, (1, 3)), zorder=1)
            for place, arm in enumerate(trained):
                color, marker, stroke = looks[arm]
                own = [m for m in budgets if (corpus, arm, m) in results.table]
                found_of = [mean(results, corpus, arm, m, score) for m in own]
                xs = [m * 1.035 ** (place - (len(trained) - 1) / 2) for m in own]
                axes.plot(xs, [e.mean for e in found_of], color=color, linestyle=stroke, lw=1.5, zorder=3)
                axes.plot([], [], color=color, marker=marker, linestyle=stroke, lw=1.5, ms=5, label=arm.name)
                for x, found in zip(xs, found_of, strict=True):
                    _point(axes, x, found, color=color, marker=marker, hollow=found.seeds < seeds)
            axes.set_title(NAMES[score], loc="left", fontsize=10)
            axes.set_xscale("log")
            axes.set_xticks([zero, *budgets], [f"no {labels}", *(f"{m:g}" for m in budgets)])
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", which="minor", bottom=False)
            axes.axvline((zero * 1.28 ** (len(untouched) / 2) * (budgets[0] if budgets else 1)) ** 0.5, color="#bbbbbb",
                         lw=0.8, zorder=1)  # fmt: skip
            if not score.endswith(DECIBELS):
                axes.set_ylim(-0.03, 1.03)
        for axes in panels[len(scores) :]:
            axes.set_visible(False)
        for axes in panels[max(0, len(scores) - columns) : len(scores)]:
            axes.set_xlabel(f"minutes of {labels}")
            axes.tick_params(labelbottom=True)  # also where the panel below is left out
        _legend(figure, panels[0], columns=3 if len(untouched) + len(trained) > 6 else 2)
    return figure


def differences(results: Results, corpus: str, minutes: float, arm: Arm) -> Figure:
    """One arm less each other, paired, with intervals; filled where the interval leaves zero out.

    Parameters
    ----------
    results : Results
    corpus : str
    minutes : float
        The budget.
    arm : Arm

    Returns
    -------
    matplotlib.figure.Figure
    """
    matplotlib = _matplotlib()
    others = [(other, m) for other, m in results.at(corpus, minutes) if other != arm]
    scores = [score for score in (*results.main, "downbeat_cmlt") if results.has(score, corpus)]
    with matplotlib.rc_context({**_LOOK, "axes.grid.axis": "x"}):
        figure = _figure(2.9 * len(scores) + 1.8, 0.32 * len(others) + 1.2)
        for axes, score in zip(figure.subplots(1, len(scores), sharey=True, squeeze=False)[0], scores, strict=True):
            axes.axvline(0, color="#000000", lw=0.9)
            for row, (other, budget) in enumerate(others):
                found = compare(results, corpus, minutes, score, (arm, minutes), (other, budget))
                gap = found.difference
                if math.isnan(gap.mean):
                    continue
                color = "#0072b2" if gap.mean >= 0 else "#d55e00"
                if not math.isnan(gap.low):
                    axes.plot([gap.low, gap.high], [row, row], color=color, lw=1.6)
                axes.plot(gap.mean, row, "o", ms=6, mec=color, mfc=color if found.told else "white", mew=1.4)
            axes.set_title(NAMES[score], loc="left", fontsize=10)
            axes.set_yticks(range(len(others)), [other.name for other, _ in others])
            axes.tick_params(axis="y", length=0)
            reach = max(0.12, *(abs(end) for end in axes.get_xlim()))
            axes.set_xlim(-reach, reach)
            axes.set_ylim(len(others) - 0.5, -0.5)
        figure.supxlabel(f"{arm.name} is … better (right) or worse (left) than", fontsize=9)
    return figure


def errors(results: Results, corpus: str, minutes: float) -> Figure:
    """What kind of wrong each arm is: shares of the scored recordings, models without labels above.

    Parameters
    ----------
    results : Results
    corpus : str
    minutes : float
        The budget.

    Returns
    -------
    matplotlib.figure.Figure
    """
    matplotlib = _matplotlib()
    arms = results.at(corpus, minutes)
    arms.sort(key=lambda pair: pair[1] > 0)
    with matplotlib.rc_context({**_LOOK, "axes.grid": False}):
        figure = _figure(7.6, 0.32 * len(arms) + 1.1)
        axes = figure.subplots()
        left = np.zeros(len(arms))
        for family in dict.fromkeys(FAMILIES.values()):
            widths = np.array([families(results.table[corpus, arm, m])[family] for arm, m in arms])
            color, hatch = _OF_FAMILY[family]
            axes.barh(
                range(len(arms)), widths, left=left, height=0.72, color=color, hatch=hatch, edgecolor="white",
                linewidth=0.6, label=family,
            )  # fmt: skip
            left += widths
        axes.set_yticks(range(len(arms)), [arm.name for arm, _ in arms])
        axes.set_ylim(len(arms) - 0.4, -0.6)
        axes.set_xlim(0, 1)
        axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "25 %", "50 %", "75 %", "100 %"])
        axes.tick_params(axis="y", length=0)
        _legend(figure, axes, columns=6)
    return figure


def costs(results: Results) -> Figure:
    """Processor seconds to adapt and greatest memory of a run, by arm and budget.

    Parameters
    ----------
    results : Results

    Returns
    -------
    matplotlib.figure.Figure
    """
    matplotlib = _matplotlib()
    from matplotlib.ticker import NullFormatter, ScalarFormatter

    trained = [arm for arm in results.arms if not arm.untouched]
    looks = _looks(trained)
    with matplotlib.rc_context(_LOOK):
        figure = _figure(7.6, 3.1)
        time_s, memory = figure.subplots(1, 2)
        for axes, name in ((time_s, "adapt_cpu_s"), (memory, "peak_mb")):
            for arm in trained:
                of: dict[float, list[float]] = {}
                for (_, other, minutes), runs in results.costs.items():
                    if other == arm:
                        of.setdefault(minutes, []).extend(float(run.get(name, math.nan)) for run in runs)
                known = {m: [v for v in found if not math.isnan(v)] for m, found in sorted(of.items())}
                known = {m: found for m, found in known.items() if found}
                color, marker, stroke = looks[arm]
                axes.plot(
                    list(known), [float(np.median(found)) for found in known.values()], color=color, marker=marker,
                    linestyle=stroke, lw=1.5, ms=5, label=arm.name,
                )  # fmt: skip
            axes.set_xscale("log")
            axes.set_xticks(results.budgets, [f"{m:g}" for m in results.budgets])
            axes.xaxis.set_minor_formatter(NullFormatter())
            axes.tick_params(axis="x", which="minor", bottom=False)
            axes.margins(y=0.12)
            axes.set_xlabel(f"minutes of {results.labels_of()}")
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
    with _matplotlib().rc_context(_LOOK):
        for suffix in SUFFIXES:
            metadata = {".pdf": {"CreationDate": None}, ".svg": {"Date": None}}.get(suffix)
            figure.savefig(folder / f"{name}{suffix}", dpi=160, metadata=metadata)


def as_image(figure: Figure) -> str:
    """A figure as the address of an image that needs no file: SVG in base 64."""
    whole = io.BytesIO()
    with _matplotlib().rc_context(_LOOK):
        figure.savefig(whole, format="svg", metadata={"Date": None})
    small = re.sub(rb"(\d\.\d\d)\d+", rb"\1", whole.getvalue())  # hundredths of a point are seen by nobody
    return "data:image/svg+xml;base64," + base64.b64encode(small).decode("ascii")


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise MissingExtra("matplotlib", extra="plot", purpose="draw pictures") from None
    return matplotlib


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _looks(arms: Sequence[Arm]) -> Mapping[Arm, tuple[str, str, Any]]:
    """A colour, marker and stroke for each arm: those of its strategy where each strategy has one arm."""
    strategies = [arm.strategy for arm in arms]
    if len(set(strategies)) == len(strategies) and set(strategies) <= set(_OF_STRATEGY):
        return {arm: _OF_STRATEGY[arm.strategy] for arm in arms}
    return {arm: _OTHERS[index % len(_OTHERS)] for index, arm in enumerate(arms)}


def _point(axes: Any, x: float, found: Any, *, color: str, marker: str, label: str = "", hollow: bool = False) -> None:
    """A mean with its interval; hollow where some seeds have none, so that its neighbours are of other recordings."""
    if math.isnan(found.mean):
        return
    known = label in axes.get_legend_handles_labels()[1]
    face = "white" if hollow else color
    axes.plot(
        x,
        found.mean,
        marker,
        color=color,
        mfc=face,
        ms=5,
        zorder=4,
        label=None if known or not label else label,
        ls="none",
    )
    if not math.isnan(found.low):
        axes.plot([x, x], [found.low, found.high], color=color, lw=1, alpha=0.75, zorder=2)


def _legend(figure: Figure, axes: Any, *, columns: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    if handles:
        figure.legend(
            handles,
            labels,
            loc="outside lower center",
            ncols=min(columns, len(labels)),
            frameon=False,
            fontsize=8,
            handlelength=3.5,
        )
