"""The one table from a name or a folder to a tracker, and to the weights that are fine-tuned."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada import bayes
from levada.decode import DecoderSettings
from levada.errors import InputError
from levada.nets.card import CONFIG, TENSORS, read_card, read_config
from levada.rivals import beatnet, beatthis, librosa, madmom
from levada.track import Tracker, flux_tracker, net_tracker

if TYPE_CHECKING:
    from levada.adapt.beats import AdaptSettings
    from levada.nets.weights import Weights

__all__ = [
    "BASES",
    "ELSEWHERE",
    "FLUX",
    "RIVALS",
    "SETTINGS",
    "base_weights",
    "cards",
    "find",
    "load",
    "shipped",
    "tracker",
]

FLUX, BAYES = "flux", "bayes"
CHECKPOINT = "beat_this:"
"""Before the name or the file of a checkpoint of Beat This!: beat_this:small0."""
FOLDER = Path(__file__).parent / "weights"


RIVALS: Mapping[str, Callable[[], Tracker]] = {
    "madmom": madmom.tracker,
    "madmom-tcn": madmom.tcn_tracker,
    "beatnet": beatnet.tracker,
    "beat_this": beatthis.tracker,
    "librosa": librosa.tracker,
}
"""Trackers made elsewhere, by name; each says how to get it where it is missing."""

BASES: Mapping[str, Callable[[], Weights]] = {
    "madmom-tcn": madmom.weights,
    "beatnet": beatnet.weights,
    "beat_this": beatthis.weights,
}
"""Those whose weights can be fine-tuned."""

SETTINGS: Mapping[str, Callable[[], AdaptSettings]] = {"beat_this": beatthis.gentle}
"""How a base is fine-tuned whose network is of another size than ours."""

ELSEWHERE = {
    "madmom": ("madmom's recurrent networks of 2016 and its own decoder.", f"{madmom.LICENCE} (models)"),
    "madmom-tcn": ("madmom's eight convolutional networks of 2019 behind our decoder.", f"{madmom.LICENCE} (models)"),
    "beatnet": ("BeatNet's recurrent network behind our decoder, offline.", beatnet.LICENCE),
    "beat_this": ("Beat This!, a transformer without a decoder; its checkpoint is fetched once.", "MIT (code)"),
    "librosa": ("librosa's dynamic programming on onset strength; no downbeats.", "ISC"),
}
"""What is to be known of each before it is there: origin and licence."""


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
    others: list[dict[str, Any]] = [
        {
            "name": name,
            "origin": origin,
            "licence": licence,
            "data": "see its authors",
            "minutes": None,
            "trained_on": {},
        }
        | {"scores": {"made elsewhere": "told how to get it where it is missing; the report of a study has its scores"}}
        for name, (origin, licence) in ELSEWHERE.items()
    ]
    return [*known, floor, *others]


def find(name: str | Path) -> Path:
    """The folder of a model's weights.

    Raises
    ------
    InputError
        If there is none of that name and no such folder.
    """
    folder = shipped().get(str(name), Path(name))
    if not folder.is_dir():
        known = ", ".join([*shipped(), FLUX, *RIVALS])
        raise InputError(f"there is no model {str(name)!r}: name the folder of one, or one of {known}")
    return folder


def load(name: str | Path) -> Tracker:
    """A tracker from its name or its folder.

    Parameters
    ----------
    name : str or path-like
        "flux", a model that comes with levada, one of `RIVALS` ("beat_this:small0" for another checkpoint), or a
        folder of weights or of patterns ("bayes:FOLDER" says that it must be the latter).

    Returns
    -------
    Tracker

    Raises
    ------
    InputError
        If there is no such model, or it is damaged.
    MissingExtra
        If it is made elsewhere and not installed.
    """
    if str(name) == FLUX:
        return flux_tracker()
    if str(name) in RIVALS:
        return RIVALS[str(name)]()
    if str(name).startswith(CHECKPOINT):
        return beatthis.tracker(str(name).removeprefix(CHECKPOINT))
    wanted, _, rest = str(name).rpartition(f"{BAYES}:")
    folder = find(rest if wanted == "" else name)
    kind = read_config(folder)["network"] if (folder / CONFIG).exists() else ""
    if str(name).startswith(f"{BAYES}:") and kind != BAYES:
        raise InputError("holds no learnt patterns of the bar pointer", path=folder)
    digest = hashlib.sha256((folder / TENSORS).read_bytes() if (folder / TENSORS).is_file() else b"")
    digest.update((folder / CONFIG).read_bytes() if (folder / CONFIG).is_file() else b"")
    try:
        return tracker(_model(folder, kind), name=folder.resolve().name, identity=digest.hexdigest()[:16])
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(f"is damaged: {error}", path=folder / CONFIG) from None


def _model(folder: Path, kind: str) -> Weights | bayes.Patterns:
    if kind == BAYES:
        return bayes.load(folder)
    from levada.nets.weights import load as load_weights

    return load_weights(folder)


def base_weights(name: str | Path) -> Weights:
    """Weights to fine-tune, from their name or their folder.

    Raises
    ------
    InputError
        If there are none of that name, or they are damaged.
    MissingExtra
        If they come with something that is not installed.
    """
    if str(name) in BASES:
        return BASES[str(name)]()
    if str(name).startswith(CHECKPOINT):
        return beatthis.weights(str(name).removeprefix(CHECKPOINT))
    from levada.nets.weights import load as load_weights

    if str(name) == FLUX or str(name) in RIVALS:
        raise InputError(f"{name} has no weights to train on; there are {', '.join([*shipped(), *BASES])}")
    return load_weights(find(name))


def tracker(model: Weights | bayes.Patterns, *, name: str, identity: str = "") -> Tracker:
    """A tracker from a model in memory."""
    if isinstance(model, bayes.Patterns):
        return bayes.tracker(model, name=name, identity=identity)
    return net_tracker(
        model.net,
        name=name,
        settings=DecoderSettings.from_dict(model.decoder),
        identity=identity,
        trained_spans=model.card.trained_on,
    )
