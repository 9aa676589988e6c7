"""`levada traditions` and `levada render`: traditions as data, and as audio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from levada.cli import terminal
from levada.cli.options import Force, Json, Seed

__all__ = ["app", "render"]

app = typer.Typer(help="Traditions as data: what ships, and what is in one.", invoke_without_command=True)


@app.callback()
def list_traditions(context: typer.Context, as_json: Json = False) -> None:
    """List the traditions that come with levada; `show` draws one."""
    from dataclasses import asdict

    from levada.synth.traditions import list_traditions, read_tradition

    if context.invoked_subcommand is None:
        known = [read_tradition(name) for name in list_traditions()]
        terminal.print_json([asdict(one) for one in known]) if as_json else terminal.print_traditions(known)


@app.command("show")
def show_tradition(
    tradition: Annotated[str, typer.Argument(help="A tradition that ships, or a TOML file.")], as_json: Json = False
) -> None:
    """Draw a tradition: its cycle, tempo and microtiming, and what every instrument plays."""
    from dataclasses import asdict

    from levada.synth.traditions import format_tradition, read_tradition

    found = read_tradition(tradition)
    terminal.print_json(asdict(found)) if as_json else print("\n".join(format_tradition(found)))


def render(
    tradition: Annotated[str, typer.Argument(help="A tradition that ships, or a TOML file.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the corpus.")],
    minutes: Annotated[float, typer.Option(help="Minutes of music in all.")] = 5.0,
    recordings: Annotated[int | None, typer.Option(help="How many; a minute each by default.")] = None,
    sounds: Annotated[str, typer.Option(help="synthesised, a SoundFont, or a folder of one-shots.")] = "synthesised",
    multitrack: Annotated[bool, typer.Option("--multitrack", help="Stems in the room, to learn separation.")] = False,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Render a corpus of a tradition: recordings, exact beats, and stems (resumable)."""
    from levada.data.rendered import render_corpus
    from levada.synth.traditions import read_tradition

    found = read_tradition(tradition)
    with terminal.progress(f"rendering {found.title or found.name}", at_once=2) as progress:
        done = render_corpus(
            out,
            found,
            minutes=minutes,
            recordings=recordings,
            seed=seed,
            sounds=sounds,
            multitrack=multitrack,
            force=force,
            progress=progress,
        )
    if as_json:
        terminal.print_json({"written": [*map(str, done.written)], "kept": [*map(str, done.kept)]})
    rendered = f"{terminal.count(len(done.written), 'recording')} of {found.title or found.name} rendered"
    terminal.say(f"{out}: {rendered}, with beats and stems" + f"; {len(done.kept)} finished before" * bool(done.kept))
