"""`levada report`: the runs of studies as a page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from levada.cli import terminal
from levada.cli.options import Force

__all__ = ["report"]


def report(
    runs: Annotated[Path, typer.Argument(help="The folder of runs of levada study.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the report.")] = Path("report"),
    force: Force = False,
) -> None:
    """Write a page about the runs of studies: learning curves, differences with their intervals, tables, costs."""
    from levada.experiments.report import write_report

    with terminal.progress("reporting") as progress:
        write_report(runs, out=out, force=force, progress=progress)
    terminal.info(f"{out}: open index.html")
