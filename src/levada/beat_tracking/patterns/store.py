"""Patterns in a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.patterns.mixture import Mixture
from levada.beat_tracking.patterns.model import BayesSettings, Patterns
from levada.errors import InputError
from levada.learning.card import CONFIG
from levada.learning.model_folder import read_model, wrap_damage, write_model

__all__ = ["NETWORK", "load", "save"]

NETWORK = "bayes"


def save(folder: str | Path, patterns: Patterns, *, force: bool = False) -> None:
    """Write patterns into a model folder.

    Raises
    ------
    InputError
        As `levada.learning.model_folder.write_model`.
    """
    settings = asdict(patterns.settings)
    write_model(
        folder,
        network=NETWORK,
        settings={"bars": list(patterns.bars), "counted": patterns.counted, **settings},
        tensors={
            "shares": patterns.shares,
            "means": patterns.mixture.means,
            "spreads": patterns.mixture.spreads,
            "background": patterns.mixture.weights,
            "weights": patterns.weights,
        },
        card=patterns.card,
        decoder=asdict(patterns.decoder),
        training=settings,
        force=force,
    )


def load(folder: str | Path) -> Patterns:
    """Read patterns from a folder.

    Raises
    ------
    InputError
        If it holds none, or is damaged.
    """
    config, card, tensors = read_model(folder, network=NETWORK, noun="patterns")
    settings = dict(config["settings"])
    bars, counted = settings.pop("bars", None), settings.pop("counted", True)
    if not (isinstance(bars, list) and bars and all(isinstance(n, int) and n > 0 for n in bars)):
        raise InputError(f"is damaged: its bars are {bars!r}", path=Path(folder) / CONFIG)
    missing = sorted({"shares", "means", "spreads", "background", "weights"} - tensors.keys())
    if missing:
        raise InputError(f"is damaged: it lacks {', '.join(missing)}", path=folder)
    whole = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    with wrap_damage(folder):
        return Patterns(
            BayesSettings.from_dict(settings),
            tuple(bars),
            whole["shares"],
            Mixture(whole["means"], whole["spreads"], whole["background"]),
            whole["weights"],
            DecoderSettings.from_dict(config["decoder"]),
            card,
            bool(counted),
        )
