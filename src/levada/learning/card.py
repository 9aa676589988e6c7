"""The card and the settings of a model, read without its tensors and without torch."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.data.sources import Source, combined_licence
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.data import Span

__all__ = [
    "CONFIG", "FORMAT", "KINDS", "README", "SEPARATORS", "TENSORS", "Card", "Stretches",
    "adapted_card", "both_error", "card_from", "is_model", "joined_stretches", "lineage", "read_card", "read_config",
]  # fmt: skip

Stretches = Mapping[str, list[tuple[float, float]]]
"""SHA-256 of the file of a recording -> spans of it, as pairs of seconds."""

FORMAT = 1
SEPARATORS = ("masks", "unet", "demucs", "nmf", "stem_fusion")
"""Kinds of separators: networks, NMF dictionaries, and dictionaries with a network."""
KINDS = ("tcn", "tcn2019", "crnn", "beat_this", "bayes", "fusion", *SEPARATORS)
"""Kinds of models; those that are no separators are networks, patterns, and patterns with a network, for beats."""
TENSORS, CONFIG, README = "model.safetensors", "config.json", "README.md"

_HUB_LICENCES = r"cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[1-4]\.\d|mit|isc|apache-2\.0|bsd-[23]-clause"
"""Identifiers that model hubs accept; any other licence is "other" to them."""

_NEEDED = ("name", "origin", "licence", "data", "minutes", "scores")


@dataclass(frozen=True)
class Card:
    """The card of a model: its origin, licence, training data and scores.

    Parameters
    ----------
    name : str
        Name of the model.
    origin : str
        The recipe, and the model that it started from.
    licence : str
        Licence of the weights; for an adapted model, the licences of all its `sources`.
    data : str
        Description of the training data.
    minutes : float
        Minutes of annotated audio used for training and validation; for an adapted model, those of all adaptations,
        each second counted once.
    scores : dict
        Names and values of scores, or where they are stated; never empty.
    trained_on : dict
        SHA-256 of the file of each recording that was used -> spans, as pairs of seconds. A copy in another encoding
        has another hash and is not recognised.
    sources : tuple of Source
        Licence and citation of the model it was adapted from and of all data it was adapted to; empty for a model that
        was not adapted.
    """

    name: str
    origin: str
    licence: str
    data: str
    minutes: float
    scores: Mapping[str, Any]
    trained_on: Stretches = field(default_factory=dict)
    sources: tuple[Source, ...] = ()

    def __post_init__(self) -> None:
        empty = [name for name in _NEEDED if getattr(self, name) in ("", None, {})]
        if empty:
            raise InputError(f"the card of a model must have {', '.join(empty)}")
        if not isinstance(self.minutes, int | float) or not 0 <= self.minutes < math.inf:
            raise InputError(f"a card's minutes are a number, not {self.minutes!r}")
        for name in ("scores", "trained_on"):
            if not isinstance(getattr(self, name), Mapping):
                raise InputError(f"a card's {name} are a table, not {getattr(self, name)!r}")
        if not all(isinstance(source, Source) for source in self.sources):
            raise InputError(f"a card's sources are names, licences and citations, not {self.sources!r}")

    def markdown(self, settings: Mapping[str, Any]) -> str:
        """Return the card as a page in Markdown with the header for model hubs."""
        separates = settings.get("network") in SEPARATORS
        task = "music-source-separation" if separates else "beat-tracking, downbeat-tracking"
        tags = f"library_name: levada\ntags: [{task}]"
        scores = "\n".join(f"| {name} | {value} |" for name, value in self.scores.items())
        identifier = "-".join(self.licence.lower().split())
        licence = identifier if re.fullmatch(_HUB_LICENCES, identifier) else "other"
        sources = "\n".join(f"- {source.line}" for source in self.sources)
        return (
            f"---\nlicense: {licence}\n{tags}\n---\n\n"
            f"# {self.name}\n\n{self.origin}\n\n## Data\n\n{self.data}\n\n"
            f"Annotated audio seen, labels used for validation included: {self.minutes:.2f} minutes.\n\n"
            f"## Scores\n\n| score | value |\n|---|---|\n{scores}\n\n## Licence\n\n{self.licence}\n\n"
            f"{f'Of what it was trained from:{chr(10)}{chr(10)}{sources}{chr(10)}{chr(10)}' if sources else ''}"
            f"## Settings\n\n```json\n{json.dumps(settings, indent=1)}\n```\n"
        )


def joined_stretches(*tables: Mapping[str, Sequence[Sequence[float]]]) -> dict[str, list[tuple[float, float]]]:
    """Join the spans of each recording; those that overlap or touch become one.

    Parameters
    ----------
    *tables : mapping of str to sequence of pairs of float
        Hash of a recording -> spans in seconds.

    Returns
    -------
    dict of str to list of pairs of float
        Sorted in time.
    """
    joined: dict[str, list[tuple[float, float]]] = {}
    for digest in dict.fromkeys(digest for table in tables for digest in table):
        stretches = joined[digest] = []
        for start, end in sorted((float(a), float(b)) for table in tables for a, b in table.get(digest, ())):
            if stretches and start <= stretches[-1][1]:
                stretches[-1] = (stretches[-1][0], max(stretches[-1][1], end))
            else:
                stretches.append((start, end))
    return joined


def adapted_card(
    spans: Sequence[Span[Any]],
    *,
    origin: str,
    base: Card | None = None,
    stems: bool = False,
    name: str = "adapted",
    besides: Mapping[str, Source] | None = None,
) -> Card:
    """Return the card of an adapted model: all of its training data, with their licences.

    Parameters
    ----------
    spans : sequence of Span or Span[Multitrack]
        Training data of the adaptation.
    origin : str
        Description of the strategy.
    base : Card, optional
        Card of the base model.
    stems : bool
        Whether it is a separator.
    name : str
        Name of a model without a base.
    besides : mapping of str to Source, optional
        Description of data that is not a recording -> its licence and citation.

    Returns
    -------
    Card
    """
    recordings = [span.track for span in spans]
    new: dict[str, list[tuple[float, float]]] = {}
    for span in spans:
        for digest in span.track.hashes:
            new.setdefault(digest, []).append((span.start_s, span.end_s))
    before = joined_stretches({} if base is None else base.trained_on)
    mixed = {digest: [(0.0, length_s)] for one in recordings for digest, length_s in one.sources.items()}
    trained_on = joined_stretches(before, new, mixed)
    longer = {digest: _seconds(trained_on[digest]) - _seconds(before.get(digest, ())) for digest in new}
    added_s = sum(max(longer[digest] for digest in hashes) for hashes in {one.hashes for one in recordings} if hashes)
    minutes = sum(span.end_s - span.start_s for span in spans) / 60
    earlier = base.minutes if base is not None and before else 0.0
    corpora = list(dict.fromkeys(one.corpus or Source("recordings of no corpus") for one in recordings))
    kind = ("minutes of stems of", "songs") if stems else ("annotated minutes of", "recordings")
    count, groups = (len({(one.corpus, getattr(one, key)) for one in recordings}) for key in ("id", "group"))
    data = [*(besides or {}), f"{minutes:.2f} {kind[0]} {count} {kind[1]} in {groups} groups"]
    names = ", ".join(corpus.name for corpus in corpora)
    sources = tuple(dict.fromkeys([*(() if base is None else lineage(base)), *(besides or {}).values(), *corpora]))
    return Card(
        name=name if base is None else f"{base.name}, adapted",
        origin=f"{origin}." if base is None else f"{origin} from {base.name} ({base.origin})",
        licence=combined_licence(sources),
        data=f"{'; '.join(data)} ({names})." + ("" if base is None else f" Before that: {base.data}"),
        minutes=earlier + added_s / 60,
        scores={"none yet": "score it on others than these: levada evaluate"},
        trained_on=trained_on,
        sources=sources,
    )


def lineage(card: Card) -> tuple[Source, ...]:
    """Return the licences and citations of the training data of a model, or of the model itself if not adapted.

    Cards of adapted models written by earlier versions hold only the licence of their base; that of the recordings
    is then not stated.
    """
    if card.sources:
        return card.sources
    unstated = (Source(f"the recordings of {card.name}"),) if card.trained_on else ()
    return (Source(card.name, card.licence, card.origin), *unstated)


def _seconds(stretches: Sequence[tuple[float, float]]) -> float:
    return sum(end - start for start, end in stretches)


def both_error(name: str, *, path: Path | None = None) -> InputError:
    """Return the error for the name of a model of levada that is also the name of a folder of a model."""
    return InputError(f"{name} is both a model of levada and a folder: write ./{name} for the folder", path=path)


def is_model(folder: str | Path) -> bool:
    """Whether a folder holds a model."""
    return (Path(folder) / CONFIG).is_file()


def read_config(folder: str | Path) -> dict[str, Any]:
    """Read and check the settings of a model, without its tensors.

    Raises
    ------
    InputError
        If it is missing, damaged, or has an unknown network or format.
    """
    path = Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"is not a model: it has no {CONFIG}", path=folder) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    except json.JSONDecodeError as error:
        raise InputError(f"is damaged: {error.msg}", path=path, line=error.lineno) from None
    except (RecursionError, ValueError) as error:  # nested too deeply, or numbers of thousands of digits
        raise InputError(f"is damaged: {error}", path=path) from None
    if not isinstance(config, dict):
        raise InputError("is damaged: it does not hold a table of settings", path=path)
    missing = [key for key in ("format", "network", "settings", "card") if key not in config]
    if missing:
        raise InputError(f"is damaged: it lacks {', '.join(missing)}", path=path)
    if config["format"] != FORMAT:
        raise InputError(f"has format {config['format']}, which this version of levada does not read", path=path)
    if config["network"] not in KINDS:
        raise InputError(
            f"has an unknown network, {config['network']!r}; known networks: {', '.join(KINDS)}", path=path
        )
    for key in ("settings", "card", "decoder", "training"):
        if not isinstance(config.setdefault(key, {}), dict):
            raise InputError(f"is damaged: {key} is not a table", path=path)
    return config


def read_card(folder: str | Path) -> Card:
    """Read the card of a model.

    Raises
    ------
    InputError
        As for `read_config`, and if the card is incomplete.
    """
    return card_from(read_config(folder), path=Path(folder) / CONFIG)


def card_from(config: Mapping[str, Any], *, path: Path) -> Card:
    """Read the card from the settings of a model, whose file is named in errors."""
    given = config["card"]
    unknown = sorted(given.keys() - {entry.name for entry in fields(Card)})
    if unknown:
        raise InputError(f"is damaged: its card has unknown entries, {', '.join(unknown)}", path=path)
    try:
        sources = tuple(Source(**source) for source in given.get("sources", ()))
        return Card(**dict.fromkeys(_NEEDED) | given | {"sources": sources})
    except TypeError:
        raise InputError(f"is damaged: the sources of its card are {given['sources']!r}", path=path) from None
    except InputError as error:
        raise InputError(f"is damaged: {error}", path=path) from None
