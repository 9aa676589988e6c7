"""`levada traditions`: the descriptions of traditions that ship with levada."""

from __future__ import annotations

import typer

from levada.cli import pages, terminal
from levada.cli.options import Json, Tradition

__all__ = ["app"]

app = pages.group(help="List and show descriptions of traditions.", invoke_without_command=True)


@app.callback()
def print_traditions(context: typer.Context, as_json: Json = False) -> None:
    """List the traditions that ship with levada; `show` draws one."""
    from dataclasses import asdict

    from levada.synth.traditions import list_traditions, read_tradition

    if context.invoked_subcommand is None:
        traditions = [read_tradition(name) for name in list_traditions()]
        terminal.print_json([asdict(one) for one in traditions]) if as_json else terminal.print_traditions(traditions)


@app.command("show")
def show_tradition(tradition: Tradition, as_json: Json = False) -> None:
    """Draw a tradition: its cycle, tempo and microtiming, and the patterns of every instrument."""
    from dataclasses import asdict

    from levada.synth.traditions import format_tradition, read_tradition

    described = read_tradition(tradition)
    terminal.print_json(asdict(described)) if as_json else print("\n".join(format_tradition(described)))
