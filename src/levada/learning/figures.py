"""What all pictures share: they are drawn without a screen, and a file is whole or not there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from levada.errors import InputError, MissingExtra
from levada.io.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["blank", "save"]

SUFFIXES = (".png", ".svg", ".pdf")


def blank(path: str | Path, *, width: float, height: float) -> Figure:
    """Give an empty figure for a file.

    Parameters
    ----------
    path : path-like
        Where it will be saved.
    width, height : float
        In inches.

    Raises
    ------
    InputError
        If the file has the suffix of no picture.
    MissingExtra
        If matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError:
        raise MissingExtra("matplotlib", extra="plot", purpose="draw pictures") from None
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"pictures are drawn as {', '.join(SUFFIXES)}", path=path)
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
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
