"""`levada studio`: annotate, adapt and correct in a local web page."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from levada.cli import terminal
from levada.cli.options import Force, Model
from levada.errors import Interrupted

__all__ = ["studio"]

INTERRUPTED = 130


def studio(
    path: Annotated[Path, typer.Argument(help="A folder of recordings, or a recording.")],
    model: Model = "base",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Of the page; 0 for any that is free.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")] = True,
    export: Annotated[
        str,
        typer.Option(help="Write the beats of every annotated recording in this format (.beats, .csv, …), and end."),
    ] = "",
    annotator: Annotated[str, typer.Option(help="Whose beats --export writes.")] = "me",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for --export; beside the recordings by default.")
    ] = None,
    force: Force = False,
) -> None:
    """Annotate recordings in the browser: tap a few beats, learn from them, correct the rest."""
    from levada.studio.project import Project

    if not export:
        from levada.studio.server import Server  # first, so that a missing extra is noticed before all else
    project = Project(path, model)
    try:
        if export:
            for written in project.save_all(export, annotator=annotator, force=force, out=out):
                print(written)
            return
        _ = project.base  # a model that there is not is an error here, and not in the page
        server = Server(project, port)
        terminal.info(f"the studio of {project.path} is open; Ctrl-C ends it, and everything is saved already")
        if not project.is_beside:
            terminal.info(f"{project.root} cannot be written, or is on a network: edits are saved in {project.folder}")
        print(server.address, flush=True)
        if browser and not webbrowser.open(server.address):
            terminal.info("no browser could be opened: open the address above")
        server.run()
    except KeyboardInterrupt as stop:
        if Interrupted.of(stop).exit_code != INTERRUPTED:  # Ctrl-C is how a studio ends
            raise
    finally:
        project.close()
