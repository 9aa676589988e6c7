"""`levada render`: an annotated corpus from the description of a tradition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from levada.cli import terminal
from levada.cli.options import Force, Json, Seed, Tradition

__all__ = ["render"]


def render(
    tradition: Tradition,
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the corpus.")],
    minutes: Annotated[float, typer.Option(help="Minutes of music in all.")] = 5.0,
    recordings: Annotated[int | None, typer.Option(help="Number of recordings; by default one a minute.")] = None,
    sounds: Annotated[
        str, typer.Option(help="synthesised, altered:SEED, a SoundFont (.sf2), or one-shots (a folder, or .toml).")
    ] = "synthesised",
    multitrack: Annotated[
        bool, typer.Option("--multitrack", help="A folder a song: the mixture and its stems, to adapt a separator to.")
    ] = False,
    strokes: Annotated[
        str, typer.Option(help="csv, midi or jams: write the strokes of each stem too, exact to the sample.")
    ] = "",
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Render a corpus of a tradition: recordings with exact beats, and stems (resumable)."""
    from levada.data.rendered import render_corpus
    from levada.synth.traditions import read_tradition

    described = read_tradition(tradition)
    title = described.title or described.name
    with terminal.progress(f"rendering {title}", at_once=2) as progress:
        done = render_corpus(
            out, described, minutes=minutes, recordings=recordings, seed=seed, sounds=sounds, multitrack=multitrack,
            strokes=strokes, force=force, progress=progress,
        )  # fmt: skip
    if as_json:
        terminal.print_json({"written": [*map(str, done.written)], "kept": [*map(str, done.kept)]})
    kept = f"; {len(done.kept)} existed already" if done.kept else ""
    terminal.info(
        f"{out}: {terminal.count(len(done.written), 'recording')} of {title} rendered, with beats and stems{kept}"
    )
