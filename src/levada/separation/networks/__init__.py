"""Networks that turn spectra of a mixture into a mask for each instrument."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["load"]


def load(folder: str | Path) -> Weights:
    """Read the weights of a separator's network.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    Weights

    Raises
    ------
    InputError
        If a file is missing or damaged, the tensors do not fit the network, or it holds no network for stems.
    """
    from levada.learning import weights
    from levada.separation.networks.mask_net import MaskNet, MaskSettings
    from levada.separation.networks.unet import UNet, UNetSettings

    pairs = ((MaskNet, MaskSettings), (UNet, UNetSettings))
    return weights.load(folder, networks={network.kind: (network, settings) for network, settings in pairs})
