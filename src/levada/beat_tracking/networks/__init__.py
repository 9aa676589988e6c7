"""Networks that turn spectrograms into activations of beats and downbeats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.beat_tracking.networks.tcn_inference import TcnInference, TcnSettings
from levada.learning import weights
from levada.learning.model_folder import ModelFolder

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["inference_of", "load"]

KINDS = ("tcn", "tcn2019", "crnn", "beat_this")


def load(folder: str | Path | ModelFolder) -> Weights:
    """Read the network of a tracker from a folder, as `levada.learning.weights.load` does.

    Raises
    ------
    InputError
        If a file is missing or damaged, or it is no network for beats.
    """
    return weights.load(folder, kinds=KINDS, module=_module, settings={"tcn": TcnSettings})


def inference_of(model: Weights) -> Any:
    """Return what computes activations: without PyTorch where levada can, otherwise the network itself.

    Raises
    ------
    InputError
        If the tensors do not fit the network.
    """
    return TcnInference(model) if getattr(model.source, "kind", "") == "tcn" else model.net


def _module(kind: str) -> type[Any]:
    """Import the class of a network."""
    if kind == "tcn":
        from levada.beat_tracking.networks.tcn import Tcn

        return Tcn
    if kind == "tcn2019":
        from levada.beat_tracking.networks.tcn2019 import Tcn2019

        return Tcn2019
    if kind == "crnn":
        from levada.beat_tracking.networks.crnn import Crnn

        return Crnn
    from levada.beat_tracking.networks.beat_this import BeatThis

    return BeatThis
