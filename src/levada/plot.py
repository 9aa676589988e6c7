"""Pictures of what a tracker heard and what it made of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.beats import Beats
from levada.errors import MissingExtra
from levada.files import atomic
from levada.spectrogram import GRID

__all__ = ["Panel", "plot_activations"]

INK, BEAT, DOWNBEAT, TRUTH = "#222222", "#0072b2", "#d55e00", "#999999"


@dataclass(frozen=True)
class Panel:
    """One tracker's row.

    Parameters
    ----------
    title : str
    activations : float32 [shape=(frames, 2)]
    beats : Beats
        What was decoded from them.
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
    """Draw activations with the beats decoded from them, a row for each tracker.

    Parameters
    ----------
    path : path-like
        A PNG, SVG or PDF file.
    panels : sequence of Panel
    reference : Beats, optional
        Annotated beats, drawn behind; tall lines are downbeats.
    start_s, end_s : float
        The stretch to draw, in seconds; all by default.
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", extra="plot", purpose="draw pictures") from None
    last_s = end_s if end_s is not None else max(GRID.time_s(len(panel.activations)) for panel in panels)
    figure = Figure(figsize=(11, 0.8 + 1.75 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, panel in zip(rows, panels, strict=True):
        _draw(axes, panel, reference)
        axes.set_xlim(start_s, last_s)
    rows[-1].set_xlabel("time (s)")
    handles, labels = rows[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=len(labels), frameon=False, fontsize=9)
    with atomic(path, force=force) as temporary:
        figure.savefig(temporary, dpi=120)


def _draw(axes: Any, panel: Panel, reference: Beats | None) -> None:
    time_s = np.arange(len(panel.activations)) / float(GRID.fps)
    if reference is not None:
        axes.vlines(reference.times_s, 0, 1, color=TRUTH, lw=1, alpha=0.7, label="annotated beat")
        axes.vlines(reference.downbeats_s, 0, 1, color=TRUTH, lw=4, alpha=0.45, label="annotated downbeat")
    axes.plot(time_s, panel.activations[:, 0], color=INK, lw=0.9, label="beat activation")
    axes.plot(time_s, panel.activations[:, 1], color=DOWNBEAT, lw=0.9, alpha=0.8, label="downbeat activation")
    beats, downbeats = panel.beats.times_s, panel.beats.downbeats_s
    axes.plot(beats, np.full(len(beats), 1.08), "|", color=BEAT, ms=9, mew=2, label="decoded beat", clip_on=False)
    axes.plot(
        downbeats, np.full(len(downbeats), 1.08), "v", color=DOWNBEAT, ms=7, label="decoded downbeat", clip_on=False
    )
    axes.set_ylim(0, 1.18)
    axes.set_yticks([0, 0.5, 1])
    axes.set_title(panel.title, loc="left", fontsize=10)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
