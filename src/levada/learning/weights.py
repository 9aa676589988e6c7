"""Save and load networks with their card and settings.

The class of a network is chosen from a list and never imported by a name in a file, and a model without a card (origin,
licence, data, minutes, scores) cannot be saved.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from levada.errors import InputError
from levada.learning.card import CONFIG, TENSORS, Card
from levada.learning.model_folder import ModelFolder, model_digest, write_model

__all__ = [
    "Card", "Networks", "Weights",
    "base_facts", "check_device", "device_of", "digest", "interpolate", "load", "model_facts",
    "network_kind", "on_cpu", "save",
]  # fmt: skip

Networks = Mapping[str, tuple[type[nn.Module], type[Any]]]
"""Kind of a network in model folders -> its class, and the class of its settings."""


@dataclass(frozen=True)
class Weights:
    """A network with its card and settings.

    Parameters
    ----------
    net : nn.Module
        In evaluation mode, with the attributes `kind` (the name of its class in model folders) and `settings`.
    card : Card
    decoder : dict
        Settings of the decoder learnt with the weights; empty for the defaults.
    training : dict
        Settings of the training.
    """

    net: Any
    card: Card
    decoder: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Save into a folder, as the function `save`."""
        save(folder, self, force=force)


def save(folder: str | Path, weights: Weights, *, force: bool = False) -> None:
    """Write a folder of weights, atomically.

    Raises
    ------
    InputError
        If a weight is not finite, the folder exists and `force` is not set, or it cannot be written.
    """
    write_model(folder, **model_facts(weights), card=weights.card, training=weights.training, force=force)


def digest(weights: Weights) -> str:
    """Compute the `model_digest` of weights: the same in memory as in their folder."""
    return model_digest(**model_facts(weights))


def base_facts(base: Weights | None) -> dict[str, str]:
    """Return the name and the digest of the base for the settings of adapted weights; empty without a base."""
    return {} if base is None else {"base": base.card.name, "base_digest": digest(base)}


def model_facts(weights: Weights) -> dict[str, Any]:
    """Return everything that determines the results of weights."""
    return {
        "network": network_kind(weights.net),
        "settings": asdict(weights.net.settings),
        "tensors": {name: tensor.detach().cpu().numpy() for name, tensor in weights.net.state_dict().items()},
        "decoder": dict(weights.decoder),
    }


def network_kind(net: Any) -> str:
    """Return the name of the class of a network in model folders.

    Raises
    ------
    InputError
        If it has none, because its class is not defined by levada and could not be loaded.
    """
    kind: str | None = getattr(net, "kind", None)
    if not isinstance(kind, str):
        name = type(net).__name__
        raise InputError(f"{name} cannot be saved as a model: its class has no `kind`; save its state_dict instead")
    return kind


def load(folder: str | Path | ModelFolder, *, networks: Networks) -> Weights:
    """Read a folder of weights.

    Parameters
    ----------
    folder : path-like or ModelFolder
    networks : mapping of str to pair of types
        The networks that the folder may hold: classes are chosen from it, and never by a name in a file.

    Returns
    -------
    Weights
        With the network in evaluation mode.

    Raises
    ------
    InputError
        If a file is missing or damaged, the tensors do not fit the network, or it is a model without a network.
    """
    stored = ModelFolder.of(folder)
    config, card = stored.config, stored.card
    if stored.network not in networks:
        raise InputError(f"is no network ({stored.network}): there is nothing in it to train on", path=stored.path)
    kind, settings = networks[stored.network]
    try:
        net = kind(settings(**config["settings"]))
    except (TypeError, ValueError) as error:
        raise InputError(f"is damaged: {error}", path=stored.path / CONFIG) from None
    try:
        net.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in stored.tensors.items()})
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(
            f"is damaged, or not the weights of its {CONFIG}: {reason}", path=stored.path / TENSORS
        ) from None
    return Weights(net.eval(), card, config["decoder"], config["training"])


def device_of(net: nn.Module) -> torch.device:
    """Return the device of the parameters of a network, where its inputs must be."""
    return next((parameter.device for parameter in net.parameters()), torch.device("cpu"))


def on_cpu(weights: Weights) -> Weights:
    """Return weights on the CPU: a copy if they are on another device."""
    if device_of(weights.net).type == "cpu":
        return weights
    return replace(weights, net=deepcopy(weights.net).cpu())


def check_device(name: str) -> None:
    """Raise an `InputError` if PyTorch cannot use a device of this name."""
    try:
        torch.empty(1, device=name).cpu()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"networks cannot run on the device {name!r}: {reason}") from None


def interpolate(start: nn.Module, end: nn.Module, *, alpha: float) -> Any:
    """Interpolate linearly between the weights of two networks of one shape.

    A fine-tuned network averaged with its base preserves more of what the base can do (WiSE-FT).

    Parameters
    ----------
    start, end : nn.Module
    alpha : float
        0 for the weights of `start`, 1 for those of `end`.

    Returns
    -------
    nn.Module
        A new network in evaluation mode; counters, which are not floating-point numbers, are those of `end`.

    References
    ----------
    M. Wortsman et al., "Robust fine-tuning of zero-shot models", CVPR 2022.
    """
    net, first, last = deepcopy(end), start.state_dict(), end.state_dict()
    counters = {name for name in last if not last[name].is_floating_point()}
    net.load_state_dict(
        {name: last[name] if name in counters else first[name].lerp(last[name], alpha) for name in last}
    )
    return net.eval()
