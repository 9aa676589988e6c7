"""`levada demo`: a model adapted to a tradition, with scores before and after, for beats or for stems; the studio."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from levada.cli import evaluate, terminal
from levada.cli.options import Force, Seed
from levada.errors import InputError

__all__ = ["demo"]


def demo(
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="The folder for all results; demo, demo-stems or demo-studio by default."),
    ] = None,
    real: Annotated[
        Path | None, typer.Option(help="A folder of recordings with labels, instead of rendered ones.")
    ] = None,
    stems: Annotated[bool, typer.Option("--stems", help="Adapt a separator instead of a beat tracker.")] = False,
    studio: Annotated[
        bool, typer.Option("--studio", help="Open the studio on rendered recordings without labels, to annotate.")
    ] = False,
    minutes: Annotated[float, typer.Option(min=0.1, help="Minutes of labels to adapt to.")] = 1.5,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Adapt to a tradition that the base model was not trained on, with scores and audio before and after."""
    from levada.cli.demo.output import check_folder

    out = out or Path("demo-studio" if studio else "demo-stems" if stems else "demo")
    check_folder(out, force=force)
    if studio:
        from levada.cli import studio as command
        from levada.cli.demo.studio import demo_studio

        if stems or real is not None:
            raise InputError("--studio renders its own recordings: levada studio FOLDER opens yours")
        command.studio(demo_studio(out, force=force))
        return
    if real is not None and not real.is_dir():
        raise InputError("there is no such folder", path=real)
    if stems:
        from levada.cli.demo.stems import demo_stems

        result = demo_stems(out, corpus=real, minutes=minutes, seed=seed, force=force)
    else:
        from levada.cli.demo.beats import demo_beats

        result = demo_beats(out, corpus=real, minutes=minutes, seed=seed, force=force)
    evaluate.show(result.evaluation)
    pictures = f"{out / 'stems.png'}, {out / 'leakage.png'}" if stems else f"{out / 'before-and-after.png'}"
    use = (
        f"separate my-song.wav --model {out / 'adapted'} -o my-stems"
        if stems
        else f"track my-song.wav --model {out / 'adapted'}"
    )
    print(
        f"\nadapted to {terminal.duration(60 * result.minutes)} of labels in {result.adapt_s:.0f} s; "
        f"{result.total_s:.0f} s in all\n"
        f"figures    {pictures}\n"
        f"audio      {out / ('listen' if stems else 'clicks')}\n"
        f"next       levada {use}"
    )
