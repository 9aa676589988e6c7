"""Help pages in plain text, and commands whose modules are imported when they are called."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from levada.cli.options import WithFormats

__all__ = ["COMMANDS", "CommandGroup", "LazyGroup", "group"]

COMMANDS = {
    "track": "Track the beats of a recording, or of a folder of recordings (resumable).",
    "separate": "Separate the instruments of a recording, or of a folder of recordings (resumable); the files sum to "
    "the mixture.",
    "adapt": "Adapt a tracker to minutes of beats, or a separator to minutes of stems, and score it before and after.",
    "evaluate": "Score trackers on annotated recordings, with the types of their errors; or separators on songs with "
    "stems.",
    "convert": "Convert a file of beats to another format, or a folder of them (resumable).",
    "select": "Choose which recordings, and which bars of them, to annotate first.",
    "microtiming": "Measure how early or late onsets are against the grid of the beats, by position in the bar and "
    "along a piece.",
    "render": "Render a corpus of a tradition: recordings with exact beats, and stems (resumable).",
    "studio": "Annotate recordings in the browser: tap a few beats, learn from them, correct the rest.",
    "remix": "Mix solos in the same tempo and bar, with their stems; solos without a beat file are tracked "
    "(resumable).",
    "study": "Run a grid of budgets, strategies, models and seeds on corpora (resumable); levada report shows the "
    "results.",
    "report": "Write a page about the runs of studies: learning curves, differences with their intervals, tables, "
    "costs.",
    "pretrain": "Train a base model on rendered music (resumable): hours for a tracker, an hour for a separator.",
    "export": "Write a model as an ONNX file, for programs without torch.",
    "demo": "Adapt to a tradition that the base model was not trained on, with scores and audio before and after.",
    "models": "List models: origin, licence, data and scores; for adapted ones, the sources they were trained on as "
    "well.",
    "corpus": "Recordings with beats, and songs with stems: check them, list and download datasets, compare "
    "annotators.",
    "traditions": "List and show descriptions of traditions.",
    "challenge": "Challenges of a hackathon: data to start from, one score that is the same for all, cards and a "
    "ranking.",
}
"""What each command does; its module has the same name, and its docstring the same first sentence."""
WITH_FORMATS = ("track", "convert")


class CommandGroup(TyperGroup):
    """A group of commands whose help has the whole first sentence of each."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        """Write the names of the commands and what they do."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, one.get_short_help_str(limit=1000)) for name, one in self.commands.items()])


class LazyGroup(CommandGroup):
    """The group of all `COMMANDS`; the page of the group imports none of their modules."""

    def __init__(self, **options: Any) -> None:
        options["commands"] = {name: TyperCommand(name, short_help=about) for name, about in COMMANDS.items()}
        super().__init__(**options)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        """Import the module of a command; none if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"levada.cli.{cmd_name}")
        if not hasattr(module, "app"):
            module.app = group()  # type: ignore[attr-defined]  # of one command
            module.app.command(cls=WithFormats if cmd_name in WITH_FORMATS else None)(getattr(module, cmd_name))
        command = get_command(module.app)
        command.name = cmd_name
        return command


def group(cls: type[TyperGroup] = CommandGroup, **options: Any) -> typer.Typer:
    """Create a group of commands.

    Parameters
    ----------
    cls : type
    **options
        Of `typer.Typer`.
    """
    return typer.Typer(
        cls=cls,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # importing rich takes longer than all else that a page of help needs
        **options,
    )
