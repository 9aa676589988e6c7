"""Figure of one tracked recording of any length: tempo, confidence, and what its beats were decoded from."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.curves import LONGEST_S, Curves
from levada.beat_tracking.plots import BEAT, DOWNBEAT, MARKS, TRUTH, draw_marks
from levada.beat_tracking.tempo import find_pieces, tempo_curve
from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.text import clock
from levada.learning.figures import blank, save

__all__ = ["plot_track"]

Floats = npt.NDArray[np.float64]

WIDTH_IN = 13.0
MOST_ROWS = 12
ONE_ROW_S = 30.0
DETAIL_ROWS_S = (20.0, 30.0)
TEMPO_ROWS_S = (120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0)
DOWNBEATS_ROW_S = 600.0  # in longer rows downbeats would be a block
TICKS_S = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 28800, 86400)
MOST_TICKS = 13
LEAST_SPAN = 0.2  # of the axis of tempo, relative to the tempo: smaller changes shall look small
SPILL = 0.05  # of a row, by which the last one may be longer
UNSURE = 0.5  # confidences below are shaded
TEMPO, CONFIDENCE, SHADE = "#000000", "#0072b2", "#dddddd"


def plot_track(
    path: str | Path,
    beats: Beats,
    curves: Curves | None,
    *,
    title: str,
    end_s: float,
    start_s: float = 0.0,
    hints: Beats | None = None,
    force: bool = False,
) -> None:
    """Plot the tempo over time, the confidence and, row by row, the beats of a recording.

    Up to six minutes the rows show the activations, or the onset strength, and every beat; of longer recordings they
    show the tempo and the downbeats, in at most twelve rows.

    Parameters
    ----------
    path : path-like
        A PNG, SVG or PDF file.
    beats : Beats
    curves : Curves, optional
        Of the span that is plotted; not needed where that is longer than six minutes.
    title : str
    start_s, end_s : float
        The span that was tracked, in seconds.
    hints : Beats, optional
        Beats that were given, drawn as grey lines.
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    InputError
        If the span is empty, or the file exists, cannot be written or has an unknown suffix.
    MissingExtra
        If matplotlib is not installed.
    """
    if not start_s < end_s:
        raise InputError(f"there is nothing to plot from {start_s:g} s to {end_s:g} s")
    rows = _rows(start_s, end_s)
    in_detail = end_s - start_s <= LONGEST_S
    sure = beats.confidence is not None and len(beats) > 0
    heights = [1.7, *[0.9] * sure, *[1.15 if in_detail else 0.95] * len(rows)]
    figure = blank(path, width=WIDTH_IN, height=sum(heights) + 0.33 * len(heights) + 0.6)
    figure.set_layout_engine("constrained", h_pad=0.07)
    axes = list(figure.subplots(len(heights), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0])
    limits = _tempo_limits(beats)
    _draw_tempo(axes[0], beats, limits, number_pieces=True)
    axes[0].set_title(title, loc="left", fontsize=11, parse_math=False, pad=16)
    if sure:
        _draw_confidence(axes[1], beats)
    for overview in axes[: 1 + sure]:
        _draw_time(overview, start_s, end_s)
    for row, (first_s, last_s) in zip(axes[1 + sure :], rows, strict=True):
        _draw_time(row, first_s, last_s)
        end = min(last_s, end_s)
        if in_detail:
            _draw_beats(row, beats.between(first_s, end), curves, hints, first_s, end)
        else:
            _draw_tempo(row, beats, limits, downbeats=last_s - first_s <= DOWNBEATS_ROW_S)
    axes[-1].set_xlabel("time (h:mm:ss)" if end_s >= 3600 else "time (m:ss)", fontsize=9)
    entries = {label: handle for one in axes for handle, label in zip(*one.get_legend_handles_labels(), strict=True)}
    figure.legend(entries.values(), entries, loc="outside lower center", ncols=len(entries), frameon=False, fontsize=9)
    save(figure, path, force=force)


def _rows(start_s: float, end_s: float) -> list[tuple[float, float]]:
    """Divide a span into rows of equal length; the last one may end after it, or be a little longer."""
    span = end_s - start_s
    if span <= ONE_ROW_S:
        return [(start_s, end_s)]
    choices = DETAIL_ROWS_S if span <= LONGEST_S else TEMPO_ROWS_S
    hours = 3600.0 * math.ceil(span / (MOST_ROWS * 3600))
    row_s = next((row_s for row_s in choices if span <= (MOST_ROWS + SPILL) * row_s), hours)
    count = math.ceil(span / row_s - SPILL)
    starts = [start_s + index * row_s for index in range(count)]
    return [*pairwise(starts), (starts[-1], max(starts[-1] + row_s, end_s))]


def _draw_time(axes: Any, start_s: float, end_s: float) -> None:
    """Set limits and ticks of an axis of time, as clocks show it, and its frame."""
    step = next((step for step in TICKS_S if (end_s - start_s) / step <= MOST_TICKS), TICKS_S[-1])
    ticks = step * np.arange(math.ceil(start_s / step - 1e-9), math.floor(end_s / step + 1e-9) + 1)
    axes.set_xlim(start_s, end_s)
    axes.set_xticks(ticks, [clock(tick, decimals=int(step < 1)) for tick in ticks.tolist()], fontsize=8)
    axes.tick_params(axis="y", labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _tempo_limits(beats: Beats) -> tuple[float, float]:
    bpm = tempo_curve(beats)[1]
    bpm = bpm[np.isfinite(bpm)]
    if not len(bpm):
        return 0.0, 200.0
    low, high = float(bpm.min()), float(bpm.max())
    middle, span = (low + high) / 2, max(high - low, LEAST_SPAN * (low + high) / 2)
    return max(0.0, middle - 0.62 * span), middle + 0.62 * span


def _draw_tempo(
    axes: Any, beats: Beats, limits: tuple[float, float], *, downbeats: bool = False, number_pieces: bool = False
) -> None:
    """Draw the tempo curve; if wanted the downbeats below it, and the pieces of a rehearsal behind."""
    times_s, bpm = tempo_curve(beats)
    if len(times_s):
        axes.plot(times_s, bpm, color=TEMPO, lw=1.3, label="tempo", zorder=3)
    else:
        axes.text(0.5, 0.5, "no beats", transform=axes.transAxes, ha="center", va="center", color="#666666")
    axes.set_ylim(*limits)
    axes.set_ylabel("bpm", fontsize=9)
    axes.grid(axis="y", color="#dddddd", lw=0.6, zorder=0)
    if downbeats:
        axes.vlines(
            beats.downbeats_s, 0, 0.14, transform=axes.get_xaxis_transform(), color=DOWNBEAT, lw=0.9, label="downbeat"
        )
    pieces = find_pieces(beats)
    for number, piece in enumerate(pieces if number_pieces and len(pieces) > 1 else (), start=1):
        top = axes.get_xaxis_transform()
        axes.plot([piece.start_s, piece.end_s], [1, 1], transform=top, color="#666666", lw=3, solid_capstyle="butt")
        axes.annotate(
            str(number), (piece.start_s, 1), xycoords=top, xytext=(0, 3), textcoords="offset points", fontsize=9,
        )  # fmt: skip
    _shade_unsure(axes, beats)


def _shade_unsure(axes: Any, beats: Beats) -> None:
    """Shade the spans of beats of low confidence."""
    if beats.confidence is None or not len(beats):
        return
    unsure = np.r_[False, _smoothed(beats.confidence) < UNSURE, False]
    firsts, lasts = np.flatnonzero(~unsure[:-1] & unsure[1:]), np.flatnonzero(unsure[:-1] & ~unsure[1:]) - 1
    for first, last in zip(beats.times_s[firsts], beats.times_s[lasts], strict=True):
        axes.axvspan(first, last, color=SHADE, lw=0, zorder=0, label=f"confidence below {UNSURE:g}")


def _draw_confidence(axes: Any, beats: Beats) -> None:
    lines = ((beats.confidence, CONFIDENCE, "-", "beats"), (beats.position_confidence, DOWNBEAT, "--", "positions"))
    for values, color, style, name in lines:
        if values is not None:
            axes.plot(*_with_pauses(beats, values), style, color=color, lw=1.1, label=f"confidence of {name}")
    axes.set_ylim(0, 1.05)
    axes.set_yticks([0, 0.5, 1])
    axes.set_ylabel("confidence", fontsize=9)


def _with_pauses(beats: Beats, values: Floats) -> tuple[Floats, Floats]:
    """Return times and smoothed values of beats, NaN in the pauses between them."""
    middle_s, bpm = tempo_curve(beats)
    pauses = np.flatnonzero(np.isnan(bpm))
    smoothed = _smoothed(values)
    return np.insert(beats.times_s, pauses + 1, middle_s[pauses]), np.insert(smoothed, pauses + 1, np.nan)


def _smoothed(values: Floats, half: int = 2) -> Floats:
    padded = np.pad(values, half, mode="edge")
    mean: Floats = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).mean(axis=1)
    return mean


def _draw_beats(
    axes: Any, beats: Beats, curves: Curves | None, hints: Beats | None, start_s: float, end_s: float
) -> None:
    """Draw the curves of a row, hints as grey lines behind them, and the beats above."""
    if hints is not None:
        given = hints.between(start_s, end_s)
        axes.vlines(given.times_s, 0, 1, color=TRUTH, lw=1.5, label="hint", zorder=1)
    if curves is not None:
        first = max(0, round((start_s - curves.start_s) * curves.fps))
        values = curves.values[first : round((end_s - curves.start_s) * curves.fps) + 1]
        time_s = curves.start_s + (first + np.arange(len(values))) / curves.fps
        for column, (color, name) in enumerate(zip((BEAT, DOWNBEAT), curves.names, strict=False)):
            axes.fill_between(time_s, values[:, column], color=color, alpha=0.3, lw=0, zorder=2)
            axes.plot(time_s, values[:, column], color=color, lw=0.9, label=name, zorder=3)
    draw_marks(axes, beats, size=4.0)
    axes.set_ylim(0, MARKS + 0.06)
    axes.set_yticks([0, 0.5, 1])
    axes.spines["left"].set_bounds(0, 1)
