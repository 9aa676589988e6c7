"""Figures: drawn without a screen, and written whole or not at all; the figure of a training."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.errors import InputError, MissingExtra
from levada.io.files import atomic_file
from levada.learning.card import read_config
from levada.learning.training_log import VALIDATION_LOSS, log_files, read_log

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SUFFIXES", "blank", "matplotlib_context", "new_figure", "plot_training", "save"]

SUFFIXES = (".png", ".svg", ".pdf")
COLORS = ("#000000", "#0072b2", "#d55e00", "#009e73", "#cc79a7")  # Okabe and Ito, 2008
NO_LOSSES = frozenset(("step", "seconds", "learning_rate"))


def matplotlib_context(rc: Mapping[str, Any]) -> AbstractContextManager[None]:
    """Context with settings of matplotlib.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise MissingExtra("matplotlib", extra="plot", purpose="draw figures") from None
    context: AbstractContextManager[None] = matplotlib.rc_context(dict(rc))
    return context


def new_figure(width: float, height: float) -> Figure:
    """An empty figure.

    Parameters
    ----------
    width, height : float
        In inches.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    with matplotlib_context({}):
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def blank(path: str | Path, *, width: float, height: float) -> Figure:
    """An empty figure for a file.

    Parameters
    ----------
    path : path-like
        Where it will be saved.
    width, height : float
        In inches.

    Raises
    ------
    InputError
        If the suffix of the file is none of `SUFFIXES`.
    MissingExtra
        If matplotlib is not installed.
    """
    figure = new_figure(width, height)
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"figures are written as {', '.join(SUFFIXES)}", path=path)
    return figure


def save(figure: Figure, path: str | Path, *, force: bool = False) -> None:
    """Write a figure.

    Raises
    ------
    InputError
        If the file exists and `force` is not given, or cannot be written.
    """
    with atomic_file(path, force=force) as temporary, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # in names of files: boxes are drawn
        figure.savefig(temporary, dpi=120)


def plot_training(path: str | Path, model: str | Path, *, force: bool = False) -> None:
    """Plot the training of an adapted model from the logs in its folder.

    Drawn over the steps are the loss and its parts, the learning rate and, where the labels were cross-validated, the
    loss of the network of each half on the other half; below, the loss on held-out labels over the weight alpha of the
    trained network in the interpolation with the base, and the alpha that was chosen.

    Parameters
    ----------
    path : path-like
        A PNG, SVG or PDF file.
    model : path-like
        The folder of a model, of beats or stems, as `adapt` leaves it.
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    InputError
        If the folder is no model, has no log, a log is damaged, or the file exists, cannot be written or has an unknown
        suffix.
    MissingExtra
        If matplotlib is not installed.

    Examples
    --------
    >>> base.adapt(labels, out="my-model")                      # doctest: +SKIP
    >>> plot_training("my-model-training.png", "my-model")      # doctest: +SKIP
    """
    training = read_config(model).get("training")
    facts: Mapping[str, Any] = training if isinstance(training, Mapping) else {}
    logs = {name: read_log(file) for name, file in log_files(model).items()}
    if not any(logs.values()):
        raise InputError("there is nothing to plot: it has no log of a training", path=model)
    held_out = {name: [row for row in rows if VALIDATION_LOSS in row] for name, rows in logs.items()}
    choice = facts.get("auto")
    is_kept = isinstance(choice, Mapping) and "fine-tuned" not in str(choice.get("chosen"))  # losses are an older run's
    losses = {} if is_kept else facts.get("held_out_losses") or {}
    by_alpha = {float(alpha): float(loss) for alpha, loss in losses.items()}
    panels = ["loss", "learning rate"]
    panels += ["loss on held-out labels"] * any(held_out.values()) + ["alpha"] * bool(by_alpha)
    figure = blank(path, width=9, height=0.8 + 2.1 * len(panels))
    axes_of = dict(zip(panels, figure.subplots(len(panels), 1, squeeze=False)[:, 0], strict=True))
    rows = logs.get("") or next(rows for rows in logs.values() if rows)
    steps = [row["step"] for row in rows]
    names = [name for name in rows[0] if name not in NO_LOSSES and all(name in row for row in rows)]
    for name, color in zip(names, COLORS, strict=False):
        label = "total loss" if name == "loss" else name.replace("_", " ")
        axes_of["loss"].plot(steps, [row[name] for row in rows], color=color, lw=1.2, label=label)
    rated = [row for row in rows if "learning_rate" in row]
    rates = [row["learning_rate"] for row in rated]
    axes_of["learning rate"].plot([row["step"] for row in rated], rates, color=COLORS[0], lw=1.2)
    if any(held_out.values()):
        for (name, points), color in zip(((n, p) for n, p in held_out.items() if p), COLORS[1:], strict=False):
            of_points = ([row["step"] for row in points], [row[VALIDATION_LOSS] for row in points])
            label = f"network of {name.replace('-', ' ')}, on the other half"
            axes_of["loss on held-out labels"].plot(*of_points, "o-", color=color, lw=1.2, ms=4, label=label)
        if 0.0 in by_alpha:
            axes_of["loss on held-out labels"].axhline(by_alpha[0.0], color="#888888", ls="--", lw=1, label="base")
    if by_alpha:
        axes, chosen = axes_of["alpha"], facts.get("alpha")
        axes.plot(list(by_alpha), list(by_alpha.values()), "o-", color=COLORS[0], lw=1.2, ms=4)
        if isinstance(chosen, int | float):
            axes.axvline(chosen, color=COLORS[2], lw=1.5, label=f"chosen: alpha = {chosen:g}")
        axes.set_xlabel("alpha: weight of the trained network (0 is the base)")
    for name, axes in axes_of.items():
        axes.set_ylabel("loss on held-out labels" if name == "alpha" else name, fontsize=9)
        if name != "alpha":
            axes.set_xlabel("step", fontsize=9)
            axes.set_xlim(0, max(row["step"] for rows in logs.values() for row in rows))
        if axes.get_legend_handles_labels()[0]:
            axes.legend(frameon=False, fontsize=9)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
    figure.suptitle(_training_title(Path(model), facts, by_alpha), fontsize=11)
    save(figure, path, force=force)


def _training_title(model: Path, facts: Mapping[str, Any], by_alpha: Mapping[float, float]) -> str:
    """Name the model; what `auto` chose; and an alpha that was given, not chosen."""
    title, chosen, alpha = model.resolve().name, facts.get("auto"), facts.get("alpha")
    if isinstance(chosen, Mapping) and "chosen" in chosen:
        return f"{title}: auto chose {chosen['chosen']}"
    if facts.get("base") and not by_alpha and isinstance(alpha, int | float):
        return f"{title}: alpha = {alpha:g}"
    return title
