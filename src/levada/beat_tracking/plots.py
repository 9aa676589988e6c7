"""Plots of activations and of the beats decoded from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectrogram import GRID
from levada.errors import InputError
from levada.io.beats import Beats
from levada.learning.figures import blank, save

__all__ = ["Panel", "draw_marks", "plot_activations"]

BEAT, DOWNBEAT, TRUTH = (
    "#56b4e9",
    "#b03a00",
    "#cccccc",
)  # apart for colour-blind readers, and without colour
MARKS = 1.12  # height of the markers of decoded beats


@dataclass(frozen=True)
class Panel:
    """The row of one tracker.

    Parameters
    ----------
    title : str
    activations : float32 [shape=(frames, 2)]
    beats : Beats
        Decoded from the activations.
    """

    title: str
    activations: npt.NDArray[np.float32]
    beats: Beats


def plot_activations(
    path: str | Path,
    panels: Sequence[Panel],
    *,
    reference: Beats | None = None,
    start_s: float = 0.0,
    end_s: float | None = None,
    force: bool = False,
) -> None:
    """Plot activations and the beats decoded from them, with a row for each tracker.

    Parameters
    ----------
    path : path-like
        A PNG, SVG or PDF file.
    panels : sequence of Panel
    reference : Beats, optional
        Annotated beats, drawn as grey lines; downbeats are wider.
    start_s, end_s : float
        The span to plot, in seconds; all by default.
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    InputError
        If there is nothing to plot, or the file exists, cannot be written or has an unknown suffix.
    MissingExtra
        If matplotlib is not installed.
    """
    figure = blank(path, width=11, height=1.2 + 1.7 * len(panels))
    if not panels:
        raise InputError("there is nothing to plot: no tracker was given")
    last_s = end_s if end_s is not None else max(GRID.time_s(len(panel.activations)) for panel in panels)
    if not 0 <= start_s < last_s:
        raise InputError(f"there is nothing to plot from {start_s:g} s to {last_s:g} s")
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(rows, panels, strict=True):
        axes.set_xlim(start_s, last_s)
        _draw(axes, panel, reference, start_s, last_s)
    rows[-1].set_xlabel("time (s)")
    handles, labels = rows[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False, fontsize=9)
    save(figure, path, force=force)


def _draw(axes: Any, panel: Panel, reference: Beats | None, start_s: float, end_s: float) -> None:
    """Draw annotations as grey lines, activations over them, and markers of decoded beats above."""
    first, last = round(start_s * GRID.fps), round(end_s * GRID.fps) + 1
    activations = panel.activations[first:last]
    time_s = (first + np.arange(len(activations))) / float(GRID.fps)
    if reference is not None:
        annotated = reference.between(start_s, end_s)
        axes.vlines(annotated.times_s, 0, 1, color=TRUTH, lw=1, label="annotated beat", zorder=1)
        axes.vlines(annotated.downbeats_s, 0, 1, color=TRUTH, lw=5, label="annotated downbeat", zorder=1)
    for column, (color, what) in enumerate(((BEAT, "beat activation"), (DOWNBEAT, "downbeat activation"))):
        axes.fill_between(time_s, activations[:, column], color=color, alpha=0.15, lw=0, zorder=2)
        axes.plot(time_s, activations[:, column], color=color, lw=1.1, label=what, zorder=3)
    decoded = panel.beats.between(start_s, end_s)
    draw_marks(axes, decoded, prefix="decoded ")
    axes.set_ylim(0, MARKS + 0.06)
    axes.set_yticks([0, 0.5, 1])
    axes.spines["left"].set_bounds(0, 1)
    axes.set_title(panel.title, loc="left", fontsize=11, parse_math=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def draw_marks(axes: Any, beats: Beats, *, prefix: str = "", size: float = 5.0) -> None:
    """Draw beats as dots and downbeats as triangles above curves between 0 and 1."""
    is_downbeat = beats.positions == 1
    kinds = (("beat", ~is_downbeat, "o", BEAT, size), ("downbeat", is_downbeat, "v", DOWNBEAT, 1.8 * size))
    for name, which, marker, color, points in kinds:
        if which.any():  # without points its extent would be the origin, and the layout is of all extents
            times_s = beats.times_s[which]
            style = {"color": color, "ms": points, "label": prefix + name, "clip_on": False}
            axes.plot(times_s, np.full(len(times_s), MARKS), marker, **style)
