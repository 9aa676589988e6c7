"""Figure of microtiming: distributions by position in the bar, deviations along the piece, and the map of the bars."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from levada.beat_tracking.bar_map import BarMap, PatternClusters
from levada.beat_tracking.microtiming import Microtiming
from levada.errors import InputError
from levada.learning.figures import blank, save

__all__ = ["plot_microtiming"]

COLORS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#999999")  # Okabe and Ito, 2008
WIDTH_IN, STEM_IN, MAP_IN = 12.0, 2.6, 3.2
SPREAD = 0.16  # of points beside each other, in tatums


def plot_microtiming(
    path: str | Path,
    timings: Mapping[str, Microtiming],
    *,
    title: str = "",
    bars: BarMap | None = None,
    clusters: PatternClusters | None = None,
    force: bool = False,
) -> None:
    """Plot the microtiming of a recording or of its stems.

    Each has a row: on the left every onset by its position in the bar, with the mean and its interval; on the right the
    same onsets along the piece. Below is the map of the bars, with their clusters beside it.

    Parameters
    ----------
    path : path-like
        A PNG, SVG or PDF file.
    timings : mapping of str to Microtiming
        By name; those that are withheld are not drawn.
    title : str
    bars : BarMap, optional
    clusters : PatternClusters, optional
        Of the same bars.
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    InputError
        If there is nothing to plot, or the file exists, cannot be written or has an unknown suffix.
    MissingExtra
        If matplotlib is not installed.
    """
    drawn = {name: timing for name, timing in timings.items() if not timing.withheld and len(timing)}
    if not drawn and bars is None:
        raise InputError("there is nothing to plot: all stems are withheld", path=path)
    heights = [STEM_IN] * len(drawn) + [MAP_IN] * (bars is not None)
    figure = blank(path, width=WIDTH_IN, height=sum(heights) + 0.5)
    axes = figure.subplots(
        len(heights), 2, squeeze=False, gridspec_kw={"height_ratios": heights, "width_ratios": [1, 1.3]}
    )
    for row, (name, timing) in zip(axes, drawn.items(), strict=False):
        _draw_positions(row[0], timing)
        _draw_piece(row[1], timing)
        row[0].set_title(name, loc="left", fontsize=11, parse_math=False)
    if bars is not None:
        _draw_map(axes[-1], bars, clusters)
    figure.suptitle(title, fontsize=11, parse_math=False)
    save(figure, path, force=force)


def _draw_positions(axes: Any, timing: Microtiming) -> None:
    """Draw the onsets of each position, their mean and its interval."""
    rng = np.random.default_rng(0)
    count, first = timing.tatums_per_beat, 1 if timing.beats.any() else 0
    columns = (timing.beats - first) * count + timing.tatums - 1
    spread = rng.uniform(-SPREAD, SPREAD, len(timing))
    axes.scatter(columns + spread, 1000 * timing.deviations_s, s=7, color="#999999", alpha=0.6, lw=0)
    for place in timing.places():
        x, color = (place.beat - first) * count + place.tatum - 1, COLORS[(place.tatum - 1) % len(COLORS)]
        axes.plot(x, 1000 * place.mean_s, "_", color=color, ms=14, mew=2.5)
        if np.isfinite(place.low_s):
            axes.plot([x, x], [1000 * place.low_s, 1000 * place.high_s], color=color, lw=1.5)
    last = max(int(columns.max()), count - 1)
    labels = [str(x // count + first) if x % count == 0 else "" for x in range(last + 1)]
    axes.set_xticks(range(last + 1), labels if first else ["beat", *[""] * last])
    axes.set_xlabel("beat" if first else "tatum", fontsize=9)
    _finish(axes)


def _draw_piece(axes: Any, timing: Microtiming) -> None:
    """Draw the onsets in time, in the colour of their tatum."""
    for tatum in range(1, timing.tatums_per_beat + 1):
        here = timing.tatums == tatum
        if here.any():
            color = COLORS[(tatum - 1) % len(COLORS)]
            axes.plot(
                timing.times_s[here], 1000 * timing.deviations_s[here], ".", color=color, ms=4, label=f"tatum {tatum}"
            )
    axes.set_xlabel("time (s)", fontsize=9)
    axes.legend(frameon=False, fontsize=8, ncols=4, loc="lower right", bbox_to_anchor=(1, 1))
    _finish(axes)


def _draw_map(axes: Any, bars: BarMap, clusters: PatternClusters | None) -> None:
    """Draw the map of the bars, and the mean pattern of each cluster."""
    n, columns = bars.values.shape
    extent = (-0.5, columns - 0.5, n + 0.5, 0.5)  # bars count from 1
    axes[0].imshow(bars.values, aspect="auto", cmap="gray_r", vmin=0, vmax=1, interpolation="nearest", extent=extent)
    starts = np.arange(bars.metre) * bars.tatums_per_beat
    labels = [str(beat + 1) for beat in range(bars.metre)]
    axes[0].set_xticks(starts, labels)
    axes[0].set_xlabel("beat", fontsize=9)
    axes[0].set_ylabel("bar", fontsize=9)
    axes[1].set_visible(clusters is not None)
    if clusters is None:
        return
    for bar, label in enumerate(clusters.labels.tolist(), start=1):
        axes[0].plot(-0.9, bar, "s", color=COLORS[(label - 1) % len(COLORS)], ms=4, clip_on=False)
    for label, (pattern, size) in enumerate(zip(clusters.patterns, clusters.sizes.tolist(), strict=True), start=1):
        color = COLORS[(label - 1) % len(COLORS)]
        axes[1].step(
            np.arange(len(pattern)), pattern, where="mid", color=color, lw=1.5, label=f"pattern {label}, {size} bars"
        )
    axes[1].set_xticks(starts, labels)
    axes[1].set_xlabel("beat", fontsize=9)
    axes[1].set_ylabel("onset strength", fontsize=9)
    axes[1].set_ylim(0, 1.05)
    axes[1].legend(frameon=False, fontsize=8)
    for side in ("top", "right"):
        axes[1].spines[side].set_visible(False)


def _finish(axes: Any) -> None:
    axes.axhline(0, color="#bbbbbb", lw=0.8, zorder=0)
    axes.set_ylabel("late (ms)", fontsize=9)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
