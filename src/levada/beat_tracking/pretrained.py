"""Beat trackers by name or folder, and the weights that adaptation starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from levada.beat_tracking import fusion, networks, patterns
from levada.beat_tracking.external import beat_this, beatnet, librosa, madmom
from levada.beat_tracking.fusion import Fusion
from levada.beat_tracking.network_tracker import flux_tracker, tracker_of_weights
from levada.beat_tracking.patterns import Patterns, PatternTracker
from levada.beat_tracking.patterns.model import NETWORK as BAYES
from levada.beat_tracking.tracker import BeatTracker, TrackerLike
from levada.errors import InputError
from levada.learning.card import SEPARATORS, is_model
from levada.learning.model_folder import ModelFolder, wrap_damage
from levada.learning.names import FLUX, folder_of, shipped

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = [
    "BASES", "EXTERNAL", "EXTERNAL_MODELS",
    "base_weights", "baseline", "find_folder", "load_tracker", "read_model", "tracker_of",
]  # fmt: skip

CHECKPOINT = "beat_this:"
"""Before the name or the file of a checkpoint of Beat This!: beat_this:small0."""
CHECKPOINT_SUFFIX = ".ckpt"

EXTERNAL: Mapping[str, Callable[[], TrackerLike]] = {
    "madmom": madmom.tracker,
    "madmom-tcn": madmom.tcn_tracker,
    "beatnet": beatnet.tracker,
    "beat_this": beat_this.tracker,
    "librosa": librosa.tracker,
}
"""Trackers of other projects, by name; its error message says how to install it where it is missing."""

BASES: Mapping[str, Callable[[], Weights]] = {
    "madmom-tcn": madmom.weights,
    "beatnet": beatnet.weights,
    "beat_this": beat_this.weights,
}
"""Those whose weights can be fine-tuned."""

EXTERNAL_MODELS = {
    "madmom": ("madmom's recurrent networks of 2016 and its own decoder.", f"{madmom.LICENCE} (models)"),
    "madmom-tcn": ("madmom's eight convolutional networks of 2019 behind our decoder.", f"{madmom.LICENCE} (models)"),
    "beatnet": ("BeatNet's recurrent network behind our decoder, offline.", beatnet.LICENCE),
    "beat_this": ("Beat This!, a transformer without a decoder; its checkpoint is fetched once.", "MIT (code)"),
    "librosa": ("librosa's dynamic programming on onset strength; no downbeats.", "ISC"),
}
"""Origin and licence of each, known before it is installed."""


def baseline() -> BeatTracker:
    """Return "flux", the baseline without learning of every table; a folder of that name is no obstacle."""
    return BeatTracker(flux_tracker())


def find_folder(name: str | Path) -> Path:
    """Return the folder of a tracker's model.

    Raises
    ------
    InputError
        If there is none of that name and no such folder, or the name is that of both.
    """
    folder = folder_of(name) or {**shipped("stems"), **shipped()}.get(str(name))
    if folder is None or not folder.is_dir():
        known = ", ".join([*shipped(), FLUX, *EXTERNAL])
        raise InputError(f"there is no model {str(name)!r}: name the folder of one, or one of {known}")
    return folder


def load_tracker(name: str | Path) -> BeatTracker:
    """Load a tracker by its name or from its folder; see `BeatTracker.from_pretrained`.

    Parameters
    ----------
    name : str or path-like
        "flux", a model that comes with levada, one of `EXTERNAL`, another checkpoint of Beat This! ("beat_this:small0"
        or a file that ends in .ckpt), or a folder of weights or of patterns ("bayes:FOLDER" for patterns alone).

    Raises
    ------
    InputError
        If there is no such model, or it is damaged.
    MissingExtra
        If it belongs to another project that is not installed.
    """
    given, only_patterns = str(name), False
    if checkpoint := _checkpoint(name):
        return BeatTracker(beat_this.tracker(checkpoint))
    if folder_of(name) is None:
        if given == FLUX:
            return baseline()
        if given in EXTERNAL:
            return BeatTracker(EXTERNAL[given]())
        only_patterns = given.startswith(f"{BAYES}:")
    stored = ModelFolder(find_folder(Path(given.removeprefix(f"{BAYES}:")) if only_patterns else name))
    if only_patterns and not (is_model(stored.path) and stored.network == BAYES):
        raise InputError("holds no learnt patterns of the bar pointer", path=stored.path)
    with wrap_damage(stored.path):
        return tracker_of(read_model(stored), name=stored.path.resolve().name, identity=stored.digest)


def _checkpoint(name: str | Path) -> str:
    """Return the name or the file of a checkpoint of Beat This! that a model's name means; empty if it means none."""
    given = str(name)
    if given.endswith(CHECKPOINT_SUFFIX) and Path(given).is_file():
        return given
    return given.removeprefix(CHECKPOINT) if given.startswith(CHECKPOINT) and folder_of(name) is None else ""


def read_model(folder: str | Path | ModelFolder) -> Weights | Patterns | Fusion:
    """Read the model of a tracker: a network, rhythmic patterns, or both.

    Raises
    ------
    InputError
        If the folder holds none, or a file of it is damaged.
    """
    stored = ModelFolder.of(folder)
    if stored.network in SEPARATORS:
        problem = "is a separator: it separates recordings (levada separate) and finds no beats"
        raise InputError(problem, path=stored.path)
    if stored.network == BAYES:
        return patterns.load(stored)
    return fusion.load(stored) if stored.network == fusion.NETWORK else networks.load(stored)


def tracker_of(model: Weights | Patterns | Fusion, *, name: str, identity: str = "") -> BeatTracker:
    """Return the tracker of a model in memory."""
    if isinstance(model, Patterns):
        return BeatTracker(PatternTracker(model, name, identity), model)
    if isinstance(model, Fusion):
        return BeatTracker(fusion.tracker(model, name=name, identity=identity), model)
    return BeatTracker(tracker_of_weights(model, name=name, identity=identity), model)


def base_weights(name: str | Path) -> Weights:
    """Read the weights that a tracker is adapted from, by name or folder.

    Parameters
    ----------
    name : str or path-like

    Raises
    ------
    InputError
        If there are none of that name, they are damaged, or of a separator.
    MissingExtra
        If they come with something that is not installed.
    """
    if checkpoint := _checkpoint(name):
        return beat_this.weights(checkpoint)
    if folder_of(name) is None:
        if str(name) in BASES:
            return BASES[str(name)]()
        if str(name) == FLUX or str(name) in EXTERNAL:
            raise InputError(f"{name} has no weights to train on; there are {', '.join([*shipped(), *BASES])}")
    stored = ModelFolder(find_folder(name))
    if stored.network in SEPARATORS:
        raise InputError("is a separator: beats are learnt by trackers", path=stored.path)
    return fusion.load(stored).network if stored.network == fusion.NETWORK else networks.load(stored)
