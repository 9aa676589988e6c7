"""Options that mean the same in every command, and exit codes."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from levada.errors import InputError

if TYPE_CHECKING:
    from levada.io import metres

UNUSABLE, SOME_FAILED = 2, 3
EXIT_CODES = (
    f"Exit codes: 0 success; 1 an error inside levada; {UNUSABLE} wrong usage, or input that cannot be used (corpus "
    f"check: errors were found); {SOME_FAILED} finished, but some items failed and are listed (track, separate and "
    "convert of a folder, evaluate, study); 130 stopped by Ctrl-C, 143 by SIGTERM."
)

__all__ = [
    *("EXIT_CODES", "SOME_FAILED", "Bpm", "Cluster", "Convention", "Force", "From", "Json", "LabelType", "Labels"),
    *("LogTo", "Metre", "Model", "Seed", "Table", "Timeout", "To", "Tradition", "UNUSABLE", "WithFormats"),
    *("parse_bpm", "parse_clock", "parse_metres"),
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
Timeout = Annotated[
    float | None,
    typer.Option(help="Seconds for each recording of a folder: one that takes longer is named and left out."),
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

Bpm = Annotated[
    str | None,
    typer.Option(help="Range of tempi, such as 100-140; a single number means 8 % below to 8 % above it."),
]
Metre = Annotated[str | None, typer.Option(help="Beats a bar may have, such as 3 or 2,4; of unequal length, 2+2+2+3.")]
From = Annotated[str | None, typer.Option("--from", help="Where to start: seconds, m:ss or h:mm:ss.")]
To = Annotated[str | None, typer.Option(help="Where to end: seconds, m:ss or h:mm:ss.")]


def parse_bpm(text: str | None) -> tuple[float, float] | None:
    """Return the range of tempi that ``--bpm`` means.

    Raises
    ------
    InputError
        If it is neither a number nor two with a hyphen between them, or one is out of range.
    """
    if text is None:
        return None
    from levada.beat_tracking.decoder.settings import tempo_range

    parts = [part.strip() for part in text.split("-")]
    if len(parts) > 2 or not all(re.fullmatch(r"\d+(\.\d*)?", part, re.ASCII) for part in parts):
        raise InputError(f"--bpm takes a tempo, such as 120, or a range, such as 100-140, not {text!r}")
    numbers = [float(part) for part in parts]
    try:
        return tempo_range((numbers[0], numbers[1]) if len(numbers) > 1 else numbers[0])
    except InputError as error:
        raise InputError(f"--bpm {text}: {error.problem}") from None


def parse_metres(text: str | None) -> tuple[metres.Metre, ...] | None:
    """Return the metres that ``--metre`` means.

    Raises
    ------
    InputError
        If they are not whole numbers, or these with plus signs, with commas between them, or one is out of range or
        named twice.
    """
    if text is None:
        return None
    from levada.beat_tracking.decoder.settings import DecoderSettings

    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"\d{1,9}(\s*\+\s*\d{1,4})*", part, re.ASCII) for part in parts):
        beats = "numbers of beats a bar, such as 3 or 2,4, or the lengths of beats, such as 2+2+2+3"
        raise InputError(f"--metre takes {beats}, not {text!r}")
    try:
        return DecoderSettings(metres=tuple(part if "+" in part else int(part) for part in parts)).metres
    except InputError as error:
        raise InputError(f"--metre {text}: {error.problem}") from None


def parse_clock(option: str, text: str | None) -> float | None:
    """Return the seconds that a time means.

    Parameters
    ----------
    option : str
        Its name, for the message.
    text : str, optional
        Seconds, minutes:seconds or hours:minutes:seconds; seconds may have decimals.

    Raises
    ------
    InputError
        If it is written in another way, or minutes or seconds after a colon are 60 or more.
    """
    if text is None:
        return None
    *units, seconds = text.strip().split(":")
    values = [int(unit) for unit in units if re.fullmatch(r"\d{1,6}", unit, re.ASCII)]
    right = len(values) == len(units) <= 2 and re.fullmatch(r"\d{1,9}(\.\d*)?", seconds, re.ASCII)
    if not right or any(value >= 60 for value in [*values[1:], *([float(seconds)] if units else [])]):
        raise InputError(f"{option} takes seconds, m:ss or h:mm:ss, such as 62, 1:02 or 1:02.5, not {text!r}")
    total = 0
    for value in values:
        total = 60 * total + value
    return 60.0 * total + float(seconds)


class WithFormats(TyperCommand):
    """A command whose help lists the formats that beats can be written in, with their suffixes."""

    @property
    def epilog(self) -> str:
        """The formats; they are imported here, for `levada --help` does not need them."""
        from levada.io.formats import FORMATS

        rows = {" ".join(kind.suffixes): kind.about for kind in FORMATS.values() if kind.dump is not None}
        width = max(map(len, rows))
        lines = [f"{suffixes:{width}}  {about}" for suffixes, about in rows.items()]
        return "\n".join(["\b", "Formats of beats, by suffix:", *lines])  # \b: its lines stay

    @epilog.setter
    def epilog(self, _: str | None) -> None:
        """Ignore the one that Typer sets."""
