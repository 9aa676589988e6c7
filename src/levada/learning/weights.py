"""Save and load networks with their card and settings.

The class of a network is chosen from a list and never imported by a name in a file, and a model without a card (origin,
licence, data, minutes, scores) cannot be saved.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from levada.errors import InputError, MissingExtra
from levada.learning.card import CONFIG, TENSORS, Card
from levada.learning.model_folder import ModelFolder, model_digest, write_model

if TYPE_CHECKING:
    import torch
    from torch import nn

__all__ = [
    "Card", "StoredNetwork", "Weights",
    "base_facts", "check_device", "device_of", "digest", "interpolate", "load", "model_facts",
    "network_kind", "on_cpu", "save",
]  # fmt: skip


@dataclass(frozen=True, eq=False)
class StoredNetwork:
    """A network as its folder holds it: enough to run it without PyTorch, if levada can (`networks.inference`).

    Parameters
    ----------
    kind : str
        Name of its class in model folders.
    settings : dataclass
    tensors : mapping of str to array
    path : Path
        The folder.
    module : callable
        From its kind to its class, which it imports.
    """

    kind: str
    settings: Any
    tensors: Mapping[str, npt.NDArray[Any]]
    path: Path
    module: Callable[[str], type[Any]]

    def build(self) -> Any:
        """Return the network for PyTorch, in evaluation mode.

        Raises
        ------
        InputError
            If no network has the settings, or the tensors do not fit it.
        MissingExtra
            If PyTorch is not installed.
        """
        try:
            import torch
        except ImportError:
            raise MissingExtra("torch", extra="train", purpose=f"run a network of the kind {self.kind}") from None
        try:
            net = self.module(self.kind)(self.settings)
        except ValueError as error:
            raise InputError(f"is damaged: {error}", path=self.path / CONFIG) from None
        try:
            net.load_state_dict({name: torch.from_numpy(tensor) for name, tensor in self.tensors.items()})
        except RuntimeError as error:
            reason = str(error).splitlines()[-1].strip()
            raise InputError(
                f"is damaged, or not the weights of its {CONFIG}: {reason}", path=self.path / TENSORS
            ) from None
        return net.eval()


@dataclass(frozen=True)
class Weights:
    """A network with its card and settings.

    Parameters
    ----------
    source : nn.Module or StoredNetwork
        In evaluation mode, with the attributes `kind` (the name of its class in model folders) and `settings`.
    card : Card
    decoder : dict
        Settings of the decoder learnt with the weights; empty for the defaults.
    training : dict
        Settings of the training.
    """

    source: Any
    card: Card
    decoder: Mapping[str, Any] = field(default_factory=dict)
    training: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def net(self) -> Any:
        """The network for PyTorch, built from a stored one when it is first used."""
        return self.source.build() if isinstance(self.source, StoredNetwork) else self.source

    def copy(self) -> Any:
        """Return a network for PyTorch that shares nothing with this one."""
        return self.source.build() if isinstance(self.source, StoredNetwork) else deepcopy(self.source)

    @property
    def tensors(self) -> Mapping[str, npt.NDArray[Any]]:
        """Its parameters and buffers, as copies: PyTorch moves tensors that it sends to another process."""
        network = self.__dict__.get("net", self.source)  # it may have been trained since it was built
        if isinstance(network, StoredNetwork):
            return network.tensors
        return {name: tensor.detach().cpu().numpy().copy() for name, tensor in network.state_dict().items()}

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
        "network": network_kind(weights.source),
        "settings": asdict(weights.source.settings),
        "tensors": dict(weights.tensors),
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


def load(
    folder: str | Path | ModelFolder,
    *,
    kinds: Collection[str],
    module: Callable[[str], type[Any]],
    settings: Mapping[str, type[Any]],
) -> Weights:
    """Read a folder of weights.

    Parameters
    ----------
    folder : path-like or ModelFolder
    kinds : collection of str
        The networks that the folder may hold: classes are chosen from them, and never by a name in a file.
    module : callable
        From a kind to its class, which it imports.
    settings : mapping of str to type
        Kind -> the class of its settings, where PyTorch is not needed for it; others are the class's attribute
        `settings_type`.

    Returns
    -------
    Weights
        With the network in evaluation mode.

    Raises
    ------
    InputError
        If a file is missing or damaged, or it is a model without a network. Whether tensors fit a network that runs
        without PyTorch is seen when it is built or run.
    """
    stored = ModelFolder.of(folder)
    config, card = stored.config, stored.card
    if stored.network not in kinds:
        raise InputError(f"is no network ({stored.network}): there is nothing in it to train on", path=stored.path)
    kind = settings.get(stored.network) or module(stored.network).settings_type
    try:
        shape = kind(**config["settings"])
    except (TypeError, ValueError) as error:
        raise InputError(f"is damaged: {error}", path=stored.path / CONFIG) from None
    source = StoredNetwork(stored.network, shape, stored.tensors, stored.path, module)
    return Weights(
        source if stored.network in settings else source.build(), card, config["decoder"], config["training"]
    )


def device_of(net: nn.Module) -> torch.device:
    """Return the device of the parameters of a network, where its inputs must be."""
    import torch

    return next((parameter.device for parameter in net.parameters()), torch.device("cpu"))


def on_cpu(weights: Weights) -> Weights:
    """Return weights on the CPU: a copy if they are on another device."""
    if isinstance(weights.source, StoredNetwork) or device_of(weights.net).type == "cpu":
        return weights
    return replace(weights, source=deepcopy(weights.net).cpu())


def check_device(name: str) -> None:
    """Raise an `InputError` if PyTorch cannot use a device of this name."""
    try:
        import torch
    except ImportError:
        raise MissingExtra("torch", extra="train", purpose=f"run networks on the device {name!r}") from None
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
