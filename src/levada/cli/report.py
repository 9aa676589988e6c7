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
    players: Annotated[
        int,
        typer.Option(
            min=0,
            help="Beats: write a page beside it that plays this many recordings of each corpus, with their labels and "
            "the beats before and after. It has their sound: mind their licences.",
        ),
    ] = 0,
    recording: Annotated[
        list[str] | None, typer.Option(help="Play this one, in place of those that changed most; repeat for more.")
    ] = None,
    method: Annotated[
        list[str] | None,
        typer.Option(help="Method before, and method after, as tables name them; by default the base and the best."),
    ] = None,
    force: Force = False,
) -> None:
    """Write a page about the runs of studies: learning curves, differences with their intervals, tables, costs."""
    from levada.experiments.report import write_report

    with terminal.progress("reporting") as progress:
        made = write_report(
            runs, out=out, players=players, recordings=recording or (), methods=method or (), force=force,
            progress=progress,
        )  # fmt: skip
    terminal.info(f"{out}: open index.html")
    if made.players is not None:
        for sentence in (*made.players.licences, *made.players.notes):
            terminal.info(f"note: {sentence}")
