"""`levada remix`: solos become mixtures with their stems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from levada.cli import terminal
from levada.cli.evaluate_stems import open_corpus
from levada.cli.options import Force, Json, Model, Seed
from levada.errors import InputError

__all__ = ["remix"]


def remix(
    solos: Annotated[
        str, typer.Argument(help="A folder of solos named by instrument, of songs with stems, or mirdata:NAME.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of mixtures.")],
    mixtures: Annotated[int, typer.Option(min=1, help="How many.")] = 20,
    seconds: Annotated[float, typer.Option(min=1, help="About how long each is, in seconds.")] = 20.0,
    tempo: Annotated[str | None, typer.Option(help="Tempi of the mixtures: 90:140.")] = None,
    stretch: Annotated[float, typer.Option(help="How far a tempo may be changed, as a share.")] = 0.08,
    incoherent: Annotated[bool, typer.Option("--incoherent", help="Neither one tempo nor one bar.")] = False,
    rooms: Annotated[
        bool, typer.Option(help="Put all into one room, drawn for each mixture; they are mono then.")
    ] = True,
    instruments: Annotated[str | None, typer.Option(help="Only these: surdo,caixa.")] = None,
    test: Annotated[
        float | None,
        typer.Option(
            help="Share of the groups kept for testing alone: train/ and test/. By default two halves; 0 is no split."
        ),
    ] = None,
    model: Model = "base",
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Mix solos on one beat, with their stems; what has no beat file is tracked (resumable)."""
    from levada.beat_tracking.pretrained import load_tracker
    from levada.separation.remix import RemixSettings
    from levada.separation.remix import remix as mix

    settings = RemixSettings(mixtures, seconds, not incoherent, stretch, _tempi(tempo), rooms, test, seed=seed)
    corpus = open_corpus(solos)
    wanted = None if instruments is None else [name.strip() for name in instruments.split(",") if name.strip()]
    tracker = None if incoherent else load_tracker(model)
    with terminal.progress("mixing") as progress:
        made = mix(corpus, out, settings=settings, instruments=wanted, tracker=tracker, force=force, progress=progress)
    for why in made.left_out:
        terminal.say(f"note: {why}")
    if len(made.groups) < 2:
        terminal.say(
            "note: all mixtures may share players, so they are one group: to test what is learnt from them, other "
            "recordings are needed"
        )
    if made.channels < made.solo_channels:
        terminal.say("note: a room is recorded with one microphone, so mixtures are mono; --no-rooms keeps channels")
    if as_json:
        terminal.print_json({
            "rate": made.rate, "channels": made.channels, "written": [*map(str, made.written)],
            "kept": [*map(str, made.kept)], "left_out": list(made.left_out), "groups": list(made.groups),
        })  # fmt: skip
    there = f", {len(made.kept)} were there already" if made.kept else ""
    form = f"{made.rate} Hz, {terminal.count(made.channels, 'channel')}"
    terminal.say(f"{out}: {terminal.count(len(made.written), 'mixture')} written{there}; a corpus with stems, {form}")


def _tempi(given: str | None) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        low, high = map(float, given.split(":"))
    except ValueError:
        raise InputError(f"--tempo is two numbers with a colon between them, 90:140, not {given!r}") from None
    return low, high
