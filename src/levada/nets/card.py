"""A model's card and settings: all that can be known of it without its tensors, and without importing torch."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from levada.errors import InputError

__all__ = ["CONFIG", "FORMAT", "KINDS", "README", "SEPARATORS", "TENSORS", "Card", "read_card", "read_config"]

FORMAT = 1
KINDS = ("tcn", "tcn2019", "crnn", "beat_this", "bayes", "masks", "unet", "demucs", "nmf")
"""What a model may be: networks, and the bar pointer's learnt patterns."""
SEPARATORS = ("masks", "unet", "nmf", "demucs")
"""Those that take recordings apart; the others find beats."""
TENSORS, CONFIG, README = "model.safetensors", "config.json", "README.md"

_NEEDED = ("name", "origin", "licence", "data", "minutes", "scores")


@dataclass(frozen=True)
class Card:
    """What must be known of a model before anyone uses it.

    Parameters
    ----------
    name : str
        What to call it.
    origin : str
        How it came to be: the recipe, and the model it started from.
    licence : str
        Under which its weights may be used.
    data : str
        What it was trained on, with the licences of that.
    minutes : float
        Minutes of annotated audio it has seen, labels used for validation included.
    scores : dict
        Names and values of scores, or of the place that states them; never empty.
    trained_on : dict
        SHA-256 of each recording's file it was trained on -> stretches used, as pairs of seconds.
    """

    name: str
    origin: str
    licence: str
    data: str
    minutes: float
    scores: Mapping[str, Any]
    trained_on: Mapping[str, list[tuple[float, float]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        empty = [name for name in _NEEDED if getattr(self, name) in ("", None, {})]
        if empty:
            raise InputError(f"a model's card needs {', '.join(empty)}: a model without cannot be used")
        if not isinstance(self.minutes, int | float) or not 0 <= self.minutes < math.inf:
            raise InputError(f"a card's minutes are a number, not {self.minutes!r}")
        for name in ("scores", "trained_on"):
            if not isinstance(getattr(self, name), Mapping):
                raise InputError(f"a card's {name} are a table, not {getattr(self, name)!r}")

    def markdown(self, settings: Mapping[str, Any]) -> str:
        """The card as a page with the header that model hubs read."""
        separates = settings.get("network") in SEPARATORS
        does = "music-source-separation" if separates else "beat-tracking, downbeat-tracking"
        tags = f"library_name: levada\ntags: [{does}]"
        scores = "\n".join(f"| {name} | {value} |" for name, value in self.scores.items())
        return (
            f"---\nlicense: {self.licence.lower()}\n{tags}\n---\n\n"
            f"# {self.name}\n\n{self.origin}\n\n## Data\n\n{self.data}\n\n"
            f"Annotated audio seen, labels used for validation included: {self.minutes:.2f} minutes.\n\n"
            f"## Scores\n\n| score | value |\n|---|---|\n{scores}\n\n## Licence\n\n{self.licence}\n\n"
            f"## Settings\n\n```json\n{json.dumps(settings, indent=1)}\n```\n"
        )


def read_config(folder: str | Path) -> dict[str, Any]:
    """The JSON beside the weights, checked, without loading any tensor.

    Raises
    ------
    InputError
        If it is missing, damaged, or names a network or format this version does not know.
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
    if not isinstance(config, dict):
        raise InputError("is damaged: it holds no table of settings", path=path)
    missing = [key for key in ("format", "network", "settings", "card") if key not in config]
    if missing:
        raise InputError(f"is damaged: it lacks {', '.join(missing)}", path=path)
    if config["format"] != FORMAT:
        raise InputError(f"has format {config['format']}, which this version of levada does not read", path=path)
    if config["network"] not in KINDS:
        raise InputError(f"names an unknown network, {config['network']!r}; levada knows {', '.join(KINDS)}", path=path)
    for key in ("settings", "card", "decoder", "training"):
        if not isinstance(config.setdefault(key, {}), dict):
            raise InputError(f"is damaged: {key} is no table", path=path)
    return config


def read_card(folder: str | Path) -> Card:
    """The card of a model.

    Raises
    ------
    InputError
        As for `read_config`, and if the card lacks something.
    """
    given, path = read_config(folder)["card"], Path(folder) / CONFIG
    unknown = sorted(given.keys() - {entry.name for entry in fields(Card)})
    if unknown:
        raise InputError(f"is damaged: its card has unknown entries, {', '.join(unknown)}", path=path)
    try:
        return Card(**dict.fromkeys(_NEEDED) | given)
    except InputError as error:
        raise InputError(f"is damaged: {error}", path=path) from None
