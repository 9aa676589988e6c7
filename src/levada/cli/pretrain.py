"""`levada pretrain`: a base model from rendered music."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from levada.cli import outputs, terminal
from levada.cli.options import Force

__all__ = ["pretrain"]


def pretrain(
    settings: Annotated[Path, typer.Argument(help="A TOML file of settings, such as pretraining/base.toml.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the new base model.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes that render music during training.")] = 1,
    force: Force = False,
) -> None:
    """Train a base model on rendered music (resumable): hours for a tracker, an hour for a separator."""
    outputs.check_outputs(out, force=force, folders=True)
    from levada.models.pretraining import pretrain as run

    with terminal.progress("pre-training") as progress:
        run(settings, out=out, workers=workers, force=force, progress=progress)
    terminal.info(f"{out}: saved")
