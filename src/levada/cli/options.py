"""Options that mean the same in every command."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

UNUSABLE, SOME_FAILED = 2, 3
EXIT_CODES = (
    f"Exit codes: 0 done; 1 a fault of levada's own; {UNUSABLE} wrong usage, or input that cannot be used: in all "
    f"commands, and corpus check where it finds errors; {SOME_FAILED} done, but for items that failed, which are "
    "named: beats and separate of a folder, evaluate, study; 130 stopped by Ctrl-C, 143 by SIGTERM."
)

__all__ = [
    "EXIT_CODES",
    "SOME_FAILED",
    "UNUSABLE",
    "Convention",
    "Force",
    "Json",
    "Labels",
    "Model",
    "Seed",
    "Table",
    "Task",
]


class Task(StrEnum):
    """What a corpus is labelled with, and a model learns."""

    beats = "beats"
    stems = "stems"


Labels = Annotated[
    Task | None, typer.Option("--labels", help="beats or stems, where a corpus has both; what it has by default.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Table = Annotated[
    Path | None,
    typer.Option(help="Write a row for each recording of a folder here (.csv, .jsonl): failed and skipped ones too."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of everything random.")]
Model = Annotated[str, typer.Option("--model", "-m", help="base, latin, flux, or the folder of a model.")]
Convention = Annotated[
    str, typer.Option(help="What labels mean where it cannot be told: positions, zero-based … (docs/labels.md).")
]
