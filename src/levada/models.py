"""The one table from a name or a folder to a tracker."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.decode import DecoderSettings
from levada.errors import InputError
from levada.nets.card import CONFIG, TENSORS, read_card
from levada.track import Tracker, flux_tracker, tcn_tracker

if TYPE_CHECKING:
    from levada.nets.weights import Weights

__all__ = ["FLUX", "cards", "find", "load", "shipped", "tracker"]

FLUX = "flux"
FOLDER = Path(__file__).parent / "weights"


def shipped() -> Mapping[str, Path]:
    """Names of the models that come with levada, and their folders."""
    return {path.parent.name: path.parent for path in sorted(FOLDER.glob(f"*/{CONFIG}"))}


def cards() -> list[dict[str, Any]]:
    """What is to be known of each tracker that comes with levada: name, origin, licence, data, scores."""
    known = [{**asdict(read_card(folder)), "name": name} for name, folder in shipped().items()]
    floor = {
        "name": FLUX,
        "origin": "Spectral flux and bass onsets behind the same decoder; no learning.",
        "licence": "Apache-2.0",
        "data": "none",
        "minutes": 0.0,
        "scores": {"beside every model": "levada evaluate shows it in each table"},
        "trained_on": {},
    }
    return [*known, floor]


def find(name: str | Path) -> Path:
    """The folder of a model's weights.

    Raises
    ------
    InputError
        If there is none of that name and no such folder.
    """
    folder = shipped().get(str(name), Path(name))
    if not folder.is_dir():
        known = ", ".join([*shipped(), FLUX])
        raise InputError(f"there is no model {str(name)!r}: name the folder of one, or one of {known}")
    return folder


def load(name: str | Path) -> Tracker:
    """A tracker from its name or its folder.

    Parameters
    ----------
    name : str or path-like
        "flux", a model that comes with levada, or a folder of weights.

    Returns
    -------
    Tracker

    Raises
    ------
    InputError
        If there is no such model, or it is damaged.
    """
    if str(name) == FLUX:
        return flux_tracker()
    from levada.nets.weights import load as load_weights

    folder = find(name)
    digest = hashlib.sha256((folder / TENSORS).read_bytes() if (folder / TENSORS).is_file() else b"")
    digest.update((folder / CONFIG).read_bytes() if (folder / CONFIG).is_file() else b"")
    try:
        return tracker(load_weights(folder), name=folder.resolve().name, identity=digest.hexdigest()[:16])
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(f"is damaged: {error}", path=folder / CONFIG) from None


def tracker(weights: Weights, *, name: str, identity: str = "") -> Tracker:
    """A tracker from weights in memory."""
    return tcn_tracker(
        weights.net,
        name=name,
        settings=DecoderSettings.from_dict(weights.decoder),
        identity=identity,
        trained_spans=weights.card.trained_on,
    )
