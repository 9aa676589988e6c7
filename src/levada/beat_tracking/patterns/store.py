"""Patterns in a folder."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.patterns.mixture import Mixture
from levada.beat_tracking.patterns.model import NETWORK, BayesSettings, Patterns
from levada.errors import InputError, settings_from
from levada.io.metres import metre_of
from levada.learning.card import CONFIG
from levada.learning.model_folder import ModelFolder, wrap_damage

__all__ = ["load"]


def load(folder: str | Path | ModelFolder) -> Patterns:
    """Read patterns from a folder.

    Raises
    ------
    InputError
        If it holds none, or is damaged.
    """
    stored = ModelFolder.of(folder)
    settings = stored.settings(NETWORK, noun="patterns")
    bars, counted = settings.pop("bars", None), settings.pop("counted", True)
    if not (isinstance(bars, list) and bars and all(_is_metre(metre) for metre in bars)):
        raise InputError(f"is damaged: its bars are {bars!r}", path=stored.path / CONFIG)
    missing = sorted({"shares", "means", "spreads", "background", "weights"} - stored.tensors.keys())
    if missing:
        raise InputError(f"is damaged: it lacks {', '.join(missing)}", path=stored.path)
    whole = {name: tensor.astype(np.float64) for name, tensor in stored.tensors.items()}
    with wrap_damage(stored.path):
        return Patterns(
            settings_from(BayesSettings, settings),
            tuple(bars),
            whole["shares"],
            Mixture(whole["means"], whole["spreads"], whole["background"]),
            whole["weights"],
            DecoderSettings.from_dict(stored.config["decoder"]),
            stored.card,
            bool(counted),
        )


def _is_metre(value: object) -> bool:
    if isinstance(value, str):
        with suppress(InputError):
            return metre_of(value) == value
        return False
    return isinstance(value, int) and value > 0
