"""`levada export`: a model for programs without torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from levada.cli import terminal
from levada.cli.options import Force, Json
from levada.errors import InputError

__all__ = ["export"]


def export(
    model: Annotated[str, typer.Argument(help="A model that comes with levada, or the folder of one.")],
    out: Annotated[Path | None, typer.Option("--out", "-o", help="The file to write (.onnx).")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a model as an ONNX file, for programs without torch."""
    from levada.beat_tracking.pretrained import find_folder
    from levada.models import export as exporting

    if out is None:
        raise InputError("say with -o which file to write, such as model.onnx")
    made = exporting.export(find_folder(model), out, force=force)
    if as_json:
        terminal.print_json({**asdict(made), "path": str(made.path)})
        return
    terminal.say(
        f"{made.path}: {made.name}, {made.size / 1e6:.1f} MB; ONNX Runtime gives what torch gives, within "
        f"{made.difference:.0e}. What it hears, and its card, stand in the file"
    )
