"""Cards of scored models, to share, and the table of many of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from levada.challenges.definitions import CHALLENGES
from levada.errors import InputError
from levada.io.files import atomic_files
from levada.io.tables import nan_to_none
from levada.learning.statistics import Interval

__all__ = ["Card", "format_table", "read_cards", "write_card"]

FORMAT = "levada challenge card 1"
UNITS = {"beats": "", "stems": " dB"}
NAMES = {"downbeat_f": "downbeat F", "si_sdr_i": "SI-SDR improvement"}


@dataclass(frozen=True)
class Card:
    """The score of a model in a challenge, with everything that it depends on.

    Parameters
    ----------
    challenge : str
    instance : int
        The music; 0 for real recordings.
    seed : int or None
        The recordings that were scored; None for real ones.
    data : str
        "rendered", or the name of the corpus.
    model : str
    identity : str
        Digest of everything in the model that determines its results; empty where it has none.
    minutes : float
        Annotated minutes that the model was trained on, by its own card; NaN where it has none.
    score : Interval
        Mean over recordings with its 95 % interval.
    difference : Interval
        To the best baseline, on the same recordings.
    baselines : mapping of str to Interval
        Scores of models that ship.
    recordings : mapping of str to float
        The score of each recording; NaN where there is none.
    notes : tuple of str
        What a reader of the score must know.
    team : str
    levada : str
        Version.
    date : str
        When it was scored: ISO 8601, UTC.
    """

    challenge: str
    instance: int
    seed: int | None
    data: str
    model: str
    identity: str
    minutes: float
    score: Interval
    difference: Interval
    baselines: Mapping[str, Interval]
    recordings: Mapping[str, float]
    notes: tuple[str, ...] = ()
    team: str = ""
    levada: str = ""
    date: str = ""

    @property
    def name(self) -> str:
        """Of the team, or of the model."""
        return self.team or self.model

    def markdown(self) -> str:
        """Return the card as a page in Markdown."""
        challenge = CHALLENGES[self.challenge]
        unit, score = UNITS[challenge.labels], NAMES[challenge.score]
        what = f"instance {self.instance}, seed {self.seed}" if self.seed is not None else self.data
        minutes = "not stated" if math.isnan(self.minutes) else f"{self.minutes:.2f}"
        rows = [f"| **{self.name}** | **{self.score.text()}{unit}** |"]
        rows += [f"| {name} | {value.text()}{unit} |" for name, value in self.baselines.items()]
        notes = "".join(f"- {note}\n" for note in self.notes)
        return (
            f"# {self.name}: {challenge.title}\n\n{challenge.question} Scored on {len(self.recordings)} recordings "
            f"({what}).\n\n| model | {score} |\n|---|---|\n" + "\n".join(rows) + "\n\n"
            f"Difference to the best baseline: {self.difference.text(sign='+')}{unit}. Annotated minutes: {minutes}.\n"
            f"{chr(10) + notes if notes else ''}\n"
            f"levada {self.levada}, {self.date}; model {self.identity or self.model}\n"
        )


def write_card(card: Card, path: str | Path, *, force: bool = False) -> tuple[Path, Path]:
    """Write a card as JSON, and beside it as a page in Markdown.

    Parameters
    ----------
    card : Card
    path : path-like
        The file, with the suffix .json.
    force : bool
        Whether files that exist may be replaced.

    Returns
    -------
    tuple of Path
        The two files.

    Raises
    ------
    InputError
        If the suffix is another one, a file exists and `force` is not given, or they cannot be written.
    """
    whole, page = Path(path), Path(path).with_suffix(".md")
    if whole.suffix != ".json":
        raise InputError("a card is written as NAME.json, with NAME.md beside it", path=path)
    facts = {"format": FORMAT, **_plain(asdict(card))}
    with atomic_files(whole.parent, [whole.name, page.name], force=force) as temporary:
        text = json.dumps(facts, indent=1, ensure_ascii=False, allow_nan=False)
        (temporary / whole.name).write_text(f"{text}\n", encoding="utf-8")
        (temporary / page.name).write_text(card.markdown(), encoding="utf-8")
    return whole, page


def read_cards(places: Iterable[str | Path]) -> list[Card]:
    """Read cards: files, and all in folders.

    Raises
    ------
    InputError
        If a file is no card, or there is none.
    """
    files = list[Path]()
    for place in map(Path, places):
        files += sorted(place.glob("*.json")) if place.is_dir() else [place]
    if not files:
        raise InputError("there are no cards (NAME.json, which levada challenge score writes)")
    return [_read(path) for path in files]


def format_table(cards: Sequence[Card]) -> str:
    """Format the ranking of cards as Markdown: a table for each set of recordings, the best first.

    Only scores on the same recordings are in one table. Of a team that has several cards in one, each is a row.
    """
    tables: dict[tuple[object, ...], list[Card]] = {}
    for card in cards:
        tables.setdefault((card.challenge, card.data, card.instance, card.seed), []).append(card)
    return "\n\n".join(_ranking(group) for _, group in sorted(tables.items(), key=lambda item: str(item[0]))) + "\n"


def _ranking(cards: Sequence[Card]) -> str:
    first = cards[0]
    challenge = CHALLENGES[first.challenge]
    unit, score = UNITS[challenge.labels], NAMES[challenge.score]
    where = f"instance {first.instance}, seed {first.seed}" if first.seed is not None else first.data
    lines = [
        f"## {challenge.title}: {where}, {len(first.recordings)} recordings", "",
        f"|  | team | {score}{f',{unit}' if unit else ''} | to the best baseline | minutes of labels | notes |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    baselines = [(name, value) for name, value in first.baselines.items() if name not in {card.name for card in cards}]
    rows = [
        (
            *(card.score, card.name, card.difference.text(sign="+")),
            *("–" if math.isnan(card.minutes) else f"{card.minutes:.2f}", "; ".join(card.notes)),
        )
        for card in cards
    ] + [(value, f"*{name}*", "", "", "baseline") for name, value in baselines]
    rows.sort(key=lambda row: (math.isnan(row[0].mean), -row[0].mean, row[1]))
    lines += [
        f"| {place} | {name} | {value.text()} | {' | '.join(rest)} |"
        for place, (value, name, *rest) in enumerate(rows, start=1)
    ]
    return "\n".join(lines)


def _plain(value: Any) -> Any:
    """Replace NaN by None in nested mappings."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in nan_to_none(value).items()}
    return value


def _read(path: Path) -> Card:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
        if facts.pop("format") != FORMAT:
            raise ValueError
        intervals = {name: _interval(facts[name]) for name in ("score", "difference")}
        tables = {
            "baselines": {name: _interval(one) for name, one in facts["baselines"].items()},
            "recordings": {name: _number(one) for name, one in facts["recordings"].items()},
        }
        if facts["challenge"] not in CHALLENGES:
            raise ValueError
        rest = {"minutes": _number(facts["minutes"]), "notes": tuple(map(str, facts["notes"]))}
        return Card(**{**facts, **intervals, **tables, **rest})
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise InputError("is no card of a challenge, or is damaged", path=path) from None


def _number(value: Any) -> float:
    return math.nan if value is None else float(value)


def _interval(facts: Mapping[str, Any]) -> Interval:
    known: dict[str, Any] = {one.name: facts[one.name] for one in fields(Interval)}
    return Interval(**known | {name: _number(known[name]) for name in ("mean", "low", "high")})
