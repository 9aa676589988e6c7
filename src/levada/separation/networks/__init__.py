"""Networks that separate mixtures, and their weights in model folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.learning import weights
from levada.learning.model_folder import ModelFolder
from levada.separation.networks.mask_inference import MaskInference, MaskSettings

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["inference_of", "load"]

KINDS = ("masks", "unet", "demucs")


def load(folder: str | Path | ModelFolder) -> Weights:
    """Read the network of a separator from a folder.

    Raises
    ------
    MissingExtra
        If it is Demucs, and demucs is not installed.
    InputError
        As for `levada.learning.weights.load`, and if it is no network that separates.
    """
    return weights.load(folder, kinds=KINDS, module=_module, settings={"masks": MaskSettings})


def inference_of(model: Weights) -> Any:
    """Return what computes masks: without PyTorch where levada can, otherwise the network itself.

    Raises
    ------
    InputError
        If the tensors do not fit the network.
    """
    return MaskInference(model) if model.source.kind == "masks" else model.net


def _module(kind: str) -> type[Any]:
    """Import the class of a network."""
    if kind == "masks":
        from levada.separation.networks.mask_net import MaskNet

        return MaskNet
    if kind == "unet":
        from levada.separation.networks.unet import UNet

        return UNet
    from levada.separation.external.demucs_network import HTDemucs

    return HTDemucs
