"""Folders of weights: safetensors, JSON and a card a person can read.

A folder holds `model.safetensors`, `config.json` and `README.md`. Nothing is pickled, the network is chosen from a
list and never imported by a name in a file, and a model without a card (origin, licence, data, minutes, scores)
cannot be saved.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from levada.errors import InputError
from levada.files import atomic_folder
from levada.nets.card import CONFIG, FORMAT, README, TENSORS, Card, read_card, read_config
from levada.nets.tcn import Tcn, TcnSettings

__all__ = ["Card", "Weights", "load", "partway", "save"]


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
        If a weight is not finite, the folder exists and `force` is not set, or it cannot be written.
    """
    from safetensors.torch import save as as_bytes

    config = {
        "format": FORMAT,
        "network": "tcn",
        "settings": asdict(weights.net.settings),
        "decoder": dict(weights.decoder),
        "training": dict(weights.training),
        "card": asdict(weights.card),
    }
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.net.state_dict().items()}
    if not _finite(tensors):
        raise InputError("will not be written: the network holds numbers that are not finite", path=folder)
    with atomic_folder(folder, known_by=CONFIG, force=force) as temporary:
        (temporary / TENSORS).write_bytes(as_bytes(tensors))  # save_file would keep others from reading it
        (temporary / CONFIG).write_text(json.dumps(config, indent=1) + "\n", encoding="utf-8")
        page = weights.card.markdown({key: config[key] for key in ("network", "settings", "decoder", "training")})
        (temporary / README).write_text(page, encoding="utf-8")


def load(folder: str | Path) -> Weights:
    """Read a folder of weights.

    Raises
    ------
    InputError
        If a file is missing or damaged, or the tensors do not fit the network.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    config, card, path = read_config(folder), read_card(folder), Path(folder) / TENSORS
    try:
        net = Tcn(TcnSettings(**config["settings"]))
    except (TypeError, ValueError) as error:
        raise InputError(f"is damaged: {error}", path=Path(folder) / CONFIG) from None
    try:
        tensors = load_file(path)
        net.load_state_dict(tensors)
    except FileNotFoundError:
        raise InputError(f"is not a whole model: it has no {TENSORS}", path=folder) from None
    except (SafetensorError, OSError, RuntimeError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"is damaged, or not the weights of its {CONFIG}: {reason}", path=path) from None
    if not _finite(tensors):
        raise InputError("is damaged: it holds numbers that are not finite", path=path)
    return Weights(net.eval(), card, config["decoder"], config["training"])


def partway(start: Tcn, end: Tcn, *, share: float) -> Tcn:
    """A network whose weights lie so far on the straight way from one to the other.

    A network trained on and averaged with the one it came from forgets less of what that knew (Wortsman et al.,
    "Robust fine-tuning of zero-shot models", CVPR 2022).
    """
    net, first, last = Tcn(end.settings), start.state_dict(), end.state_dict()
    net.load_state_dict({name: first[name].lerp(last[name], share) for name in last})
    return net.eval()


def _finite(tensors: Mapping[str, Tensor]) -> bool:
    return all(bool(tensor.isfinite().all()) for tensor in tensors.values())
