"""`levada models`: the models that ship with levada or can be installed, and the cards of others."""

from __future__ import annotations

from textwrap import fill
from typing import Annotated

import typer

from levada.cli import terminal
from levada.cli.options import Json

__all__ = ["models"]


def models(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names or folders of models; all models known by name by default.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List models: origin, licence, data and scores; for adapted ones, the sources they were trained on as well."""
    from levada.data.sources import Source
    from levada.models.cards import cards

    rows = cards(*(names or ()))
    if as_json:
        terminal.print_json(rows)
        return
    for row in rows:
        digest = {"digest": row["digest"]} if row["digest"] else {}
        facts = {**digest, "licence": row["licence"], "data": row["data"], **row["scores"]}
        lines = [row["origin"], *(f"{fact}: {value}" for fact, value in facts.items())]
        print(f"{row['name']} ({row['task']})")
        for line in (*lines, *(f"trained from {Source(**source).line}" for source in row["sources"])):
            print(fill(line, width=100, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))
        print()
    if not names:
        print("Any folder written by `levada adapt` is a model too: levada models FOLDER.")
