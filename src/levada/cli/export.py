"""`levada export`: a model for programs without torch."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from levada.cli import terminal
from levada.cli.options import Force, Json

__all__ = ["export"]


def export(
    model: Annotated[str, typer.Argument(help="A model that ships with levada, or the folder of one.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write (.onnx).")],
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Write a model as an ONNX file, for programs without torch."""
    from levada.beat_tracking.pretrained import find_folder
    from levada.models import export

    exported = export.export(find_folder(model), out, force=force)
    if as_json:
        terminal.print_json({**asdict(exported), "path": str(exported.path)})
        return
    terminal.info(
        f"{exported.path}: {exported.name}, {exported.size / 1e6:.1f} MB; outputs of ONNX Runtime and torch differ by "
        f"at most {exported.difference:.0e}. The file contains its input format and its card"
    )
