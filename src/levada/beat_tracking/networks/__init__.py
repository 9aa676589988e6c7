"""Networks that turn spectrograms into activations of beats and downbeats."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from levada.learning.model_folder import ModelFolder
    from levada.learning.weights import Weights

__all__ = ["load"]


def load(folder: str | Path | ModelFolder) -> Weights:
    """Read the network of a tracker from a folder, as `levada.learning.weights.load` does.

    Raises
    ------
    InputError
        If a file is missing or damaged, or it is no network for beats.
    """
    from levada.beat_tracking.networks.beat_this import BeatThis, BeatThisSettings
    from levada.beat_tracking.networks.crnn import Crnn, CrnnSettings
    from levada.beat_tracking.networks.tcn import Tcn, TcnSettings
    from levada.beat_tracking.networks.tcn2019 import Tcn2019, Tcn2019Settings
    from levada.learning import weights

    pairs = ((Tcn, TcnSettings), (Tcn2019, Tcn2019Settings), (Crnn, CrnnSettings), (BeatThis, BeatThisSettings))
    return weights.load(folder, networks={network.kind: (network, settings) for network, settings in pairs})
