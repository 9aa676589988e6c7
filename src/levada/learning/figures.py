"""Figures: drawn without a screen, and written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.errors import InputError, MissingExtra
from levada.io.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["SUFFIXES", "blank", "matplotlib_context", "new_figure", "save"]

SUFFIXES = (".png", ".svg", ".pdf")


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
    with atomic_file(path, force=force) as temporary:
        figure.savefig(temporary, dpi=120)
