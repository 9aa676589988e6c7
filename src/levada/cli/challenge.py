"""`levada challenge`: the challenges of a hackathon, from data to a ranking."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from levada.cli import pages, terminal
from levada.cli.options import Force, Json
from levada.errors import InputError

__all__ = ["app"]

app = pages.group(
    help="Challenges of a hackathon: data to start from, one score that is the same for all, cards and a ranking.",
    no_args_is_help=True,
)

Name = Annotated[str, typer.Argument(help="A challenge: levada challenge list.")]
Instance = Annotated[int | None, typer.Option(min=0, help="Draws the music and its data: the same for all teams.")]
Data = Annotated[str, typer.Option(help="Real recordings instead of rendered ones: a folder, or mirdata:NAME.")]
Cards = Annotated[list[Path], typer.Argument(help="Cards, or folders of cards.")]


@app.command("list")
def list_challenges(as_json: Json = False) -> None:
    """List the challenges."""
    from dataclasses import asdict

    from levada.challenges import CHALLENGES

    if as_json:
        terminal.print_json([asdict(one) for one in CHALLENGES.values()])
    else:
        terminal.print_table(["challenge", "what to do"], [[one.name, one.question] for one in CHALLENGES.values()])


@app.command("start")
def start_challenge(
    name: Name,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A new folder; by default the challenge's name.")
    ] = None,
    instance: Instance = 0,
    data: Data = "",
    force: Force = False,
) -> None:
    """Write the data, the rules and the baseline of a challenge into a new folder."""
    from levada.challenges import start

    with terminal.progress("rendering", at_once=2) as progress:
        folder = start(name, out or Path(name), instance=instance or 0, data=data, force=force, progress=progress)
    print(f"{folder}: read README.md there first")


@app.command("score")
def score_models(
    models: Annotated[list[str], typer.Argument(help="Models: folders, or names of models that ship.")],
    challenge: Annotated[
        str, typer.Option(help="By default that of the model's data, or of the folder it is in.")
    ] = "",
    instance: Instance = None,
    seed: Annotated[
        int | None, typer.Option(min=1000, help="Draws the recordings that are scored; by default a new one.")
    ] = None,
    data: Data = "",
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder for the cards.")] = Path("cards"),
    team: Annotated[str, typer.Option(help="For the card.")] = "",
    keep: Annotated[
        Path | None, typer.Option(help="Keep the rendered recordings, to listen to them, in this folder.")
    ] = None,
    processes: Annotated[int, typer.Option(min=1, help="Recordings scored at the same time.")] = 2,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Score models on recordings that are rendered for this, and write a card of each."""
    from levada.challenges import find_challenge, format_table, score, write_card
    from levada.challenges.scoring import load_model

    name, of_data, corpus = _challenge_of(models, challenge, instance, data)
    described = find_challenge(name)
    loaded = {one: load_model(described, one) for one in dict.fromkeys(models)}
    named = {Path(one).resolve().name if Path(one).exists() else one: model for one, model in loaded.items()}
    if len(named) < len(loaded):
        raise InputError("two models have folders of one name, and cards are named by them: score them one by one")
    with terminal.progress("rendering and scoring", at_once=processes) as progress:
        cards = score(
            named, name, instance=of_data, seed=seed, data=corpus, keep=keep, team=team, processes=processes,
            progress=progress,
        )  # fmt: skip
    for card in cards:
        which = card.data if card.seed is None else card.seed
        name = re.sub(r"[^\w.-]+", "-", f"{card.model}-{described.name}-{which}")
        written = write_card(card, out / f"{name}.json", force=force)
        terminal.info(f"the card: {' and '.join(map(str, written))}")
        for note in card.notes:
            terminal.info(f"note: {note}")
    if as_json:
        from dataclasses import asdict

        terminal.print_json([asdict(card) for card in cards])
    else:
        print(format_table(cards), end="")


@app.command("table")
def print_ranking(
    cards: Cards,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Write it into a file (.md).")] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Rank the cards of many teams; only scores on the same recordings are in one table."""
    from dataclasses import asdict

    from levada.challenges import format_table, read_cards
    from levada.io.files import atomic_file

    read = read_cards(cards)
    if out is not None:
        with atomic_file(out, force=force) as temporary:
            temporary.write_text(format_table(read), encoding="utf-8")
    if as_json:
        terminal.print_json([asdict(card) for card in read])
    else:
        print(format_table(read), end="")


def _challenge_of(models: list[str], name: str, instance: int | None, data: str) -> tuple[str, int, str]:
    """Return challenge, instance and corpus: as named, of the data of a model, or of the folder that it is in."""
    from levada.challenges.data import TOML, instance_of
    from levada.learning.card import is_model, read_card

    for model in map(Path, models):
        if name and (instance is not None or data):
            break
        if is_model(model) and (
            match := re.search(r"levada challenge ([\w-]+), instance (\d+)", read_card(model).data)
        ):
            found = match[1], int(match[2]), ""
        else:
            place = next((one for one in (*model.resolve().parents, Path.cwd()) if (one / TOML).is_file()), None)
            if place is None:
                continue
            found = instance_of(place)
        if name in ("", found[0]):
            return found[0], found[1] if instance is None else instance, data or found[2]
    if not name:
        raise InputError(
            "the models do not say which challenge they are for: name it (--challenge; levada challenge list)"
        )
    return name, instance or 0, data
