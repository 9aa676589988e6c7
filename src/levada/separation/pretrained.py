"""Separators by name or folder, and the weights that adaptation starts from."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from levada.errors import InputError
from levada.learning.card import SEPARATORS
from levada.learning.model_folder import ModelFolder
from levada.learning.names import EXTERNAL_TRACKERS, FLUX, NMF, STEMS_BASE, folder_of, shipped
from levada.separation import fusion, networks, nmf
from levada.separation.fusion import Fusion
from levada.separation.label_matching import substitute
from levada.separation.masking import matched
from levada.separation.masks import BLIND_WEIGHT, MEAN_WEIGHT, mask_separator
from levada.separation.separator import Separator
from levada.synth.instrument_names import stem_names
from levada.synth.traditions import Tradition, read_tradition
from levada.synth.traditions import list_traditions as traditions

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["base_weights", "load_separator", "read_model", "separator_of"]

DEMUCS = "demucs:"

_log = logging.getLogger(__name__)


def load_separator(name: str | Path = "base", *, instruments: Sequence[str] = ()) -> Separator:
    """Load a separator by its name or from its folder; see `Separator.from_pretrained`.

    Parameters
    ----------
    name : str or path-like
        "base", "unet-bass" (a start for fine-tuning to another instrument), the name or the file of a tradition (the
        base, with the instruments of that tradition),
        "demucs:NAME" (see `levada.separation.external.demucs.weights`), or a folder of weights or of dictionaries.
    instruments : sequence of str
        What is to be separated, if not all that the model was trained on: the others do not play.

    Raises
    ------
    InputError
        If there is no such model, it is damaged or a tracker, or it does not have an instrument.
    MissingExtra
        If it belongs to another project that is not installed.
    """
    given, folder = str(name), folder_of(name)
    if folder is None and given == NMF:
        raise InputError(
            "nmf has to learn from stems first: levada adapt my-stems --strategy nmf -o FOLDER, then --model FOLDER"
        )
    if (folder is None and given in traditions()) or (given.lower().endswith(".toml") and not Path(given).is_dir()):
        tradition = read_tradition(given)
        return _load(_base_folder(), name=tradition.name, instruments=instruments, tradition=tradition)
    if folder is None and given in ("base", STEMS_BASE, *shipped("stems")):
        name = STEMS_BASE if given == "base" else given
        return _load(_base_folder(name), name=name, instruments=instruments)
    if folder is None and given.startswith(DEMUCS):
        from levada.learning.weights import digest

        model = base_weights(given)
        chosen = {name: name for name in instruments} or None
        return separator_of(model, name=model.card.name, instruments=chosen, identity=digest(model))
    if folder is None or not folder.is_dir():
        known = ", ".join([*shipped("stems"), *traditions()])
        if given in (*shipped(), FLUX, "bayes", *EXTERNAL_TRACKERS):
            raise InputError(f"{given} is a tracker: it finds beats and separates nothing; there are {known}")
        raise InputError(f"there is no separator {given!r}: name the folder of one, or one of {known}")
    return _load(folder, name=folder.resolve().name, instruments=instruments)


def _base_folder(name: str = STEMS_BASE) -> Path:
    try:
        return shipped("stems")[name]
    except KeyError:
        raise InputError(
            "no separator comes with this copy of levada: name the folder of one that levada adapt wrote"
        ) from None


def _load(folder: Path, *, name: str, instruments: Sequence[str], tradition: Tradition | None = None) -> Separator:
    stored = ModelFolder(folder)
    model = read_model(stored)
    chosen = _chosen(_available(model), instruments, tradition, folder)
    return separator_of(model, name=name, instruments=chosen, identity=stored.digest)


def _available(model: Weights | nmf.Dictionaries | Fusion) -> tuple[str, ...]:
    if isinstance(model, Fusion):
        return model.available
    return model.instruments if isinstance(model, nmf.Dictionaries) else tuple(networks.inference_of(model).instruments)


def _chosen(
    available: tuple[str, ...], wanted: Sequence[str], tradition: Tradition | None, folder: Path
) -> dict[str, str] | None:
    """Return the names of stems -> instruments of the model; None for all of its instruments."""
    names = {one: one for one in available}
    if tradition is not None:
        names = _with_substitutes(stem_names(tradition), available)
        missing = [name for name in stem_names(tradition) if name not in names]
        if missing and names:
            _log.warning("the model was not trained on %s of %s: left out", ", ".join(missing), tradition.name)
        if not names:
            raise InputError(
                f"the model has no stem of an instrument of {tradition.name}: its stems are {', '.join(available)}"
            )
    if not wanted:
        return names if tradition is not None else None
    matches = {name: matched(name, tuple(names)) or name for name in wanted}
    chosen = _with_substitutes({name: names.get(one, one) for name, one in matches.items()}, available)
    unknown = [name for name in wanted if name not in chosen]
    if unknown:
        raise InputError(f"has no stem of {', '.join(unknown)}: its stems are {', '.join(names)}", path=folder)
    return chosen


def _with_substitutes(names: Mapping[str, str], available: tuple[str, ...]) -> dict[str, str]:
    """Return the names of stems -> instruments of the model, similar ones for those that it lacks, as far as it can."""
    used = {one for one in names.values() if one in available}
    found = dict[str, str]()
    for name, instrument in names.items():
        one = instrument if instrument in used else substitute(instrument, available, used=used | {*found.values()})
        if one is None:
            continue
        if one != instrument:
            _log.warning("the model was not trained on %s: it is separated as %s, which is similar", name, one)
        found[name] = one
    return found


def read_model(folder: str | Path | ModelFolder) -> Weights | nmf.Dictionaries | Fusion:
    """Read the model of a separator: a network, dictionaries, or both.

    Raises
    ------
    InputError
        If the folder holds none, or a file of it is damaged.
    """
    stored = ModelFolder.of(folder)
    if stored.network not in SEPARATORS:
        raise InputError("is a tracker: it finds beats (levada track) and separates nothing", path=stored.path)
    if stored.network == fusion.NETWORK:
        return fusion.load(stored)
    return nmf.load(stored) if stored.network == NMF else networks.load(stored)


def separator_of(
    model: Weights | nmf.Dictionaries | Fusion,
    *,
    name: str,
    instruments: Mapping[str, str] | None = None,
    identity: str = "",
) -> Separator:
    """Return the separator of a model in memory.

    Parameters
    ----------
    model : Weights, Dictionaries or Fusion
    name : str
        Its name in tables.
    instruments : mapping of str to str, optional
        Names of the stems -> what the model calls them; all of its instruments by default.
    identity : str
        A digest that changes whenever its stems might.

    Raises
    ------
    InputError
        If it does not have an instrument.
    """
    if isinstance(model, Fusion):
        return Separator(fusion.separator(model, name=name, instruments=instruments, identity=identity), model)
    if not isinstance(model, nmf.Dictionaries) and model.source.kind == "demucs":
        from levada.separation.external.demucs import DemucsSeparator

        if instruments is not None:
            raise InputError("Demucs separates all its instruments and no fewer: leave out the instruments")
        return Separator(DemucsSeparator(model.net, name, identity, model.card.trained_on), model)
    source = model if isinstance(model, nmf.Dictionaries) else networks.inference_of(model)
    trained_on = model.card.trained_on
    pretrained = not isinstance(model, nmf.Dictionaries) and model.source.kind == "masks" and not trained_on
    separator = mask_separator(
        source, name=name, instruments=instruments, identity=identity, trained_on=trained_on,
        mean_weight=MEAN_WEIGHT if pretrained else 0.0, blind_weight=BLIND_WEIGHT if pretrained else 0.0,
    )  # fmt: skip
    return Separator(separator, model)


def base_weights(name: str | Path) -> Weights:
    """Read the weights that a separator is adapted from, by name or folder.

    Parameters
    ----------
    name : str or path-like
        "base", "unet-bass", "demucs:NAME" (see `levada.separation.external.demucs.weights`), or a folder.

    Raises
    ------
    InputError
        If there are none of that name, they are damaged, or of a tracker.
    MissingExtra
        If they are of Demucs, and it is not installed.
    """
    folder = folder_of(name)
    if folder is None and str(name).startswith(DEMUCS):
        from levada.separation.external import demucs

        return demucs.weights(str(name).removeprefix(DEMUCS))
    if folder is None:
        models = {**shipped(), **shipped("stems")}
        folder = _base_folder() if str(name) in ("base", STEMS_BASE) else models.get(str(name), Path(name))
    if not folder.is_dir():
        raise InputError(f"there is no model {str(name)!r}: name the folder of one, or {STEMS_BASE}")
    stored = ModelFolder(folder)
    if stored.network not in SEPARATORS:
        raise InputError("is a tracker: stems are learnt by separators", path=folder)
    return networks.load(stored)
