"""Pre-training of a base model, a tracker or a separator, from a file of settings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from levada.beat_tracking.pretraining import pretrain_tracker, read_settings
from levada.io.toml import read_toml
from levada.separation.pretraining import pretrain_separator, read_stem_settings
from levada.separation.unet_pretraining import pretrain_unet, read_unet_settings

if TYPE_CHECKING:
    from levada.learning.training import Progress
    from levada.learning.weights import Weights

__all__ = ["pretrain"]


def pretrain(
    settings: str | Path, *, out: str | Path, workers: int = 1, force: bool = False, progress: Progress | None = None
) -> Weights:
    """Train a base model on rendered music alone: a separator where the file has `task = "stems"`, else a tracker.

    With `network = "unet"` the separator is a U-Net of one instrument.

    Parameters
    ----------
    settings : path-like
        A TOML file.
    out, workers, force, progress
        As for `levada.beat_tracking.pretraining.pretrain_tracker`.

    Returns
    -------
    Weights

    Raises
    ------
    InputError
        If the file cannot be read or a setting is invalid, or `out` exists and `force` is not set.
    """
    table = read_toml(settings)
    if table.get("network") == "unet":
        unet = read_unet_settings(settings)
        return pretrain_unet(unet, out=out, workers=workers, force=force, progress=progress)
    if table.get("task") == "stems":
        stems = read_stem_settings(settings)
        return pretrain_separator(stems, out=out, workers=workers, force=force, progress=progress)
    return pretrain_tracker(read_settings(settings), out=out, workers=workers, force=force, progress=progress)
