"""Models of beats as trackers: from memory, and from the folders that `save` wrote."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from levada.beat_tracking import networks, patterns
from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.patterns import Patterns
from levada.beat_tracking.patterns.store import NETWORK
from levada.beat_tracking.tracker import Tracker, net_tracker
from levada.errors import InputError
from levada.learning.card import CONFIG, SEPARATORS, read_config
from levada.learning.model_folder import folder_digest

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["load_tracker", "read_model", "tracker_of"]


def read_model(folder: str | Path) -> Weights | Patterns:
    """Read the model of a tracker: a network, or rhythmic patterns.

    Raises
    ------
    InputError
        If the folder holds none, or a file of it is damaged.
    """
    kind = read_config(folder)["network"]
    if kind in SEPARATORS:
        raise InputError("is a separator: it takes recordings apart (levada separate) and finds no beats", path=folder)
    return patterns.load(folder) if kind == NETWORK else networks.load(folder)


def load_tracker(folder: str | Path, *, name: str = "") -> Tracker:
    """Read the tracker of a model's folder.

    Parameters
    ----------
    folder : path-like
    name : str
        What tables call it; the name of the folder by default.

    Raises
    ------
    InputError
        As `read_model`.
    """
    folder = Path(folder)
    try:
        return tracker_of(read_model(folder), name=name or folder.resolve().name, identity=folder_digest(folder))
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(f"is damaged: {error}", path=folder / CONFIG) from None


def tracker_of(model: Weights | Patterns, *, name: str, identity: str = "") -> Tracker:
    """Return the tracker of a model in memory."""
    if isinstance(model, Patterns):
        return patterns.tracker(model, name=name, identity=identity)
    return net_tracker(
        model.net,
        name=name,
        settings=DecoderSettings.from_dict(model.decoder),
        identity=identity,
        trained_spans=model.card.trained_on,
    )
