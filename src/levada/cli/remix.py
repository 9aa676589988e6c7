"""`levada remix`: mixtures of solos, with their stems."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from levada.cli import corpora, terminal
from levada.cli.options import Force, Json, Model, Seed
from levada.errors import InputError

__all__ = ["remix"]


def remix(
    solos: Annotated[
        str, typer.Argument(help="A folder of solos named by instrument, of songs with stems, or mirdata:NAME.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of mixtures.")],
    mixtures: Annotated[int, typer.Option(min=1, help="Number of mixtures.")] = 20,
    seconds: Annotated[float, typer.Option(min=1, help="Approximate duration of each mixture, in seconds.")] = 20.0,
    tempo: Annotated[str | None, typer.Option(help="Range of tempi of the mixtures, such as 90:140.")] = None,
    stretch: Annotated[float, typer.Option(help="Largest change of a tempo, as a fraction.")] = 0.08,
    incoherent: Annotated[
        bool, typer.Option("--incoherent", help="Mix at random: do not align tempi and bars.")
    ] = False,
    reverb: Annotated[
        bool, typer.Option(help="Place all instruments in one simulated room for each mixture, which is mono then.")
    ] = True,
    instruments: Annotated[str | None, typer.Option(help="Only these instruments, such as surdo,caixa.")] = None,
    target: Annotated[
        str, typer.Option(help="Instrument of every mixture whose stem alone is written; all else is the rest.")
    ] = "",
    test_size: Annotated[
        float | None,
        typer.Option(
            "--test-size",
            help="Fraction of the groups for test/; the others are for train/. Default: half; 0 for no split.",
        ),
    ] = None,
    model: Model = "base",
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Mix solos in the same tempo and bar, with their stems; solos without a beat file are tracked (resumable)."""
    from levada.beat_tracking.pretrained import load_tracker
    from levada.separation.remix import RemixSettings
    from levada.separation.remix import remix as mix

    settings = RemixSettings(
        mixtures, seconds, not incoherent, stretch, _tempi(tempo), reverb, test_size, target=target, seed=seed
    )
    corpus = corpora.load(solos, labels="stems")
    wanted = None if instruments is None else [name.strip() for name in instruments.split(",") if name.strip()]
    tracker = None if incoherent else load_tracker(model)
    with terminal.progress("mixing") as progress:
        done = mix(corpus, out, settings=settings, instruments=wanted, tracker=tracker, force=force, progress=progress)
    for note in done.left_out:
        terminal.info(f"note: {note}")
    if len(done.groups) < 2:
        terminal.info(
            "note: all mixtures may share players, so they are one group: test models that are trained on them with "
            "other recordings"
        )
    if done.channels < done.solo_channels:
        terminal.info("note: a simulated room has one microphone, so mixtures are mono; --no-reverb keeps channels")
    if as_json:
        terminal.print_json({
            "rate": done.rate, "channels": done.channels, "written": [*map(str, done.written)],
            "kept": [*map(str, done.kept)], "left_out": list(done.left_out), "groups": list(done.groups),
        })  # fmt: skip
    kept = f", {len(done.kept)} existed already" if done.kept else ""
    form = f"{done.rate} Hz, {terminal.count(done.channels, 'channel')}"
    terminal.info(f"{out}: {terminal.count(len(done.written), 'mixture')} written{kept}; a corpus with stems, {form}")


def _tempi(given: str | None) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        low, high = map(float, given.split(":"))
    except ValueError:
        raise InputError(
            f"--tempo must be two numbers with a colon between them, such as 90:140, not {given!r}"
        ) from None
    return low, high
