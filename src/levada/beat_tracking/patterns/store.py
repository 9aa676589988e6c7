"""Patterns in a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import numpy as np

from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.patterns.mixture import Mixture
from levada.beat_tracking.patterns.model import BayesSettings, Patterns
from levada.errors import InputError
from levada.learning.card import CONFIG, read_card, read_config
from levada.learning.model_folder import read_tensors, write_model

__all__ = ["NETWORK", "load", "save"]

NETWORK = "bayes"


def save(folder: str | Path, patterns: Patterns, *, force: bool = False) -> None:
    """Write patterns into a folder, as any model is written.

    Raises
    ------
    InputError
        If the folder exists and `force` is not set, or it cannot be written.
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
    config = read_config(folder)
    path = Path(folder) / CONFIG
    if config["network"] != NETWORK:
        raise InputError(f"holds no patterns: it is a {config['network']}", path=folder)
    settings = dict(config["settings"])
    bars, counted = settings.pop("bars", None), settings.pop("counted", True)
    if not (isinstance(bars, list) and bars and all(isinstance(n, int) and n > 0 for n in bars)):
        raise InputError(f"is damaged: its bars are {bars!r}", path=path)
    tensors = read_tensors(folder)
    missing = sorted({"shares", "means", "spreads", "background", "weights"} - tensors.keys())
    if missing:
        raise InputError(f"is damaged: it lacks {', '.join(missing)}", path=folder)
    whole = {name: tensor.astype(np.float64) for name, tensor in tensors.items()}
    try:
        return Patterns(
            BayesSettings.from_dict(settings),
            tuple(bars),
            whole["shares"],
            Mixture(whole["means"], whole["spreads"], whole["background"]),
            whole["weights"],
            DecoderSettings.from_dict(config["decoder"]),
            read_card(folder),
            bool(counted),
        )
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(f"is damaged: {error}", path=path) from None
