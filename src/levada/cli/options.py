"""Options that mean the same in every command, and exit codes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperCommand

UNUSABLE, SOME_FAILED = 2, 3
EXIT_CODES = (
    f"Exit codes: 0 success; 1 an error inside levada; {UNUSABLE} wrong usage, or input that cannot be used (corpus "
    f"check: errors were found); {SOME_FAILED} finished, but some items failed and are listed (track, separate and "
    "convert of a folder, evaluate, study); 130 stopped by Ctrl-C, 143 by SIGTERM."
)

__all__ = [
    *("EXIT_CODES", "SOME_FAILED", "Cluster", "Convention", "Force", "Json", "LabelType", "Labels", "LogTo", "Model"),
    *("Seed", "Table", "Tradition", "UNUSABLE", "WithFormats"),
]


class LabelType(StrEnum):
    """The labels of a corpus: beats for trackers, or stems for separators."""

    beats = "beats"
    stems = "stems"


Force = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Table = Annotated[
    Path | None,
    typer.Option(help="Write a table with a row for each recording of a folder (.csv, .jsonl), failed ones included."),
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Seed of all random choices.")]
Model = Annotated[str, typer.Option("--model", "-m", help="base, latin, flux, or the folder of a model.")]
Labels = Annotated[
    LabelType | None, typer.Option("--labels", help="Which labels to use, where a corpus has both beats and stems.")
]
Convention = Annotated[
    str,
    typer.Option(help="What labels mean if their file does not show it: positions, zero-based … (docs/labels.md)."),
]
LogTo = Annotated[
    list[str] | None,
    typer.Option("--log-to", help="Log the runs to tensorboard or wandb as well; can be repeated."),
]
Cluster = Annotated[
    str | None,
    typer.Option(help="Work on a Ray cluster: its address, or auto."),
]
Tradition = Annotated[str, typer.Argument(help="A tradition that ships with levada, or a TOML file.")]


class WithFormats(TyperCommand):
    """A command whose help lists the formats that beats can be written in, with their suffixes."""

    @property
    def epilog(self) -> str:
        """The formats; they are imported here, for `levada --help` does not need them."""
        from levada.io.formats import FORMATS

        rows = {" ".join(kind.suffixes): kind.about for kind in FORMATS.values() if kind.dump is not None}
        width = max(map(len, rows))
        lines = [f"{suffixes:{width}}  {about}" for suffixes, about in rows.items()]
        return "  \n".join(["Formats of beats, by suffix:", *lines])  # two spaces: a line break in Markdown

    @epilog.setter
    def epilog(self, _: str | None) -> None:
        """Ignore the one that Typer sets."""
