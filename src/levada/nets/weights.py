"""Folders of weights: safetensors, JSON and a card a person can read.

A folder holds `model.safetensors`, `config.json` and `README.md`. Nothing is pickled, the network is chosen from a
list and never imported by a name in a file, and a model without a card (origin, licence, data, minutes, scores)
cannot be saved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from levada.errors import InputError
from levada.files import atomic_folder
from levada.nets.tcn import Tcn, TcnSettings

__all__ = ["Card", "Weights", "load", "read_config", "save"]

FORMAT = 1
TENSORS, CONFIG, README = "model.safetensors", "config.json", "README.md"


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
        empty = [f.name for f in fields(self) if f.name != "trained_on" and getattr(self, f.name) in ("", None, {})]
        if empty:
            raise InputError(f"a model cannot be saved without its card's {', '.join(empty)}")

    def markdown(self, settings: Mapping[str, Any]) -> str:
        """The card as a page with the header that model hubs read."""
        header = f"---\nlicense: {self.licence.lower()}\nlibrary_name: levada\ntags: [beat-tracking, downbeat-tracking]\n---\n"
        scores = "\n".join(f"| {name} | {value} |" for name, value in self.scores.items())
        return (
            f"{header}\n# {self.name}\n\n{self.origin}\n\n## Data\n\n{self.data}\n\n"
            f"Annotated audio seen, labels used for validation included: {self.minutes:.2f} minutes.\n\n"
            f"## Scores\n\n| score | value |\n|---|---|\n{scores}\n\n## Licence\n\n{self.licence}\n\n"
            f"## Settings\n\n```json\n{json.dumps(settings, indent=1)}\n```\n"
        )


@dataclass(frozen=True)
class Weights:
    """A network with all that travels beside it.

    Parameters
    ----------
    net : Tcn
        In evaluation mode.
    card : Card
    decoder : dict
        Settings of the decoder learnt with the weights; empty for the defaults.
    training : dict
        The settings of the recipe that made them.
    """

    net: Tcn
    card: Card
    decoder: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)


def save(folder: str | Path, weights: Weights, *, force: bool = False) -> None:
    """Write a folder of weights, whole or not at all.

    Raises
    ------
    InputError
        If the folder exists and `force` is not set, or cannot be written.
    """
    from safetensors.torch import save_file

    config = {
        "format": FORMAT,
        "network": "tcn",
        "settings": asdict(weights.net.settings),
        "decoder": dict(weights.decoder),
        "training": dict(weights.training),
        "card": asdict(weights.card),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.net.state_dict().items()}
    with atomic_folder(folder, force=force) as temporary:
        save_file(tensors, temporary / TENSORS)
        (temporary / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        page = weights.card.markdown({key: config[key] for key in ("network", "settings", "decoder", "training")})
        (temporary / README).write_text(page, encoding="utf-8")


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
    if config["network"] != "tcn":
        raise InputError(f"names an unknown network, {config['network']!r}; levada knows 'tcn'", path=path)
    return config


def load(folder: str | Path) -> Weights:
    """Read a folder of weights.

    Raises
    ------
    InputError
        If a file is missing or damaged, or the tensors do not fit the network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config, path = read_config(folder), Path(folder) / TENSORS
    try:
        net = Tcn(TcnSettings(**config["settings"]))
        card = Card(**config["card"])
    except (TypeError, ValueError) as error:
        raise InputError(f"is damaged: {error}", path=Path(folder) / CONFIG) from None
    try:
        tensors = load_file(path)
        net.load_state_dict(tensors)
    except FileNotFoundError:
        raise InputError(f"is not a whole model: it has no {TENSORS}", path=folder) from None
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"is damaged, or not the weights of its {CONFIG}: {reason}", path=path) from None
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise InputError("is damaged: it holds numbers that are not finite", path=path)
    return Weights(net.eval(), card, config.get("decoder", {}), config.get("training", {}))
