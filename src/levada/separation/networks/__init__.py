"""Networks that separate mixtures, and their weights in model folders."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from levada.learning.model_folder import ModelFolder

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["load"]


def load(folder: str | Path | ModelFolder) -> Weights:
    """Read the network of a separator from a folder.

    Raises
    ------
    MissingExtra
        If it is Demucs, and demucs is not installed.
    InputError
        As for `levada.learning.weights.load`, and if it is no network that separates.
    """
    from levada.learning import weights
    from levada.separation.external.demucs_network import HTDemucs, HTDemucsSettings
    from levada.separation.networks.mask_net import MaskNet, MaskSettings
    from levada.separation.networks.unet import UNet, UNetSettings

    pairs = ((MaskNet, MaskSettings), (UNet, UNetSettings), (HTDemucs, HTDemucsSettings))
    return weights.load(folder, networks={network.kind: (network, settings) for network, settings in pairs})
