"""The one table from a name or a folder to a tracker or a separator, and to the weights that are fine-tuned."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.beat_tracking import patterns as bayes
from levada.beat_tracking.external import beat_this, beatnet, librosa, madmom
from levada.beat_tracking.pretrained import load_tracker
from levada.beat_tracking.tracker import Tracker, flux_tracker
from levada.errors import InputError
from levada.learning.card import CONFIG, SEPARATORS, both_error, is_model, read_card, read_config
from levada.learning.model_folder import folder_digest
from levada.learning.shipped import STEMS_BASE, shipped
from levada.separation import nmf
from levada.separation.masking import Separator, matched
from levada.separation.masks import net_separator, nmf_separator
from levada.synth.instrument_names import ensemble
from levada.synth.traditions import Tradition, read_tradition
from levada.synth.traditions import shipped as traditions

if TYPE_CHECKING:
    from levada.beat_tracking.adaptation import AdaptSettings
    from levada.learning.weights import Weights

__all__ = [
    "BASES",
    "ELSEWHERE",
    "FLUX",
    "NMF",
    "RIVALS",
    "SETTINGS",
    "base_weights",
    "cards",
    "display_names",
    "find",
    "floor",
    "load",
    "place",
    "separator",
    "separator_of",
    "shipped",
    "typed",
    "weights_of",
]

FLUX, BAYES = "flux", "bayes"
CHECKPOINT = "beat_this:"
"""Before the name or the file of a checkpoint of Beat This!: beat_this:small0."""

NMF, DEMUCS = "nmf", "demucs:"

ROWS = ("mixture", "oracle")
"""Rows of tables of stems that are no models."""

_log = logging.getLogger(__name__)


RIVALS: Mapping[str, Callable[[], Tracker]] = {
    "madmom": madmom.tracker,
    "madmom-tcn": madmom.tcn_tracker,
    "beatnet": beatnet.tracker,
    "beat_this": beat_this.tracker,
    "librosa": librosa.tracker,
}
"""Trackers made elsewhere, by name; each says how to get it where it is missing."""

BASES: Mapping[str, Callable[[], Weights]] = {
    "madmom-tcn": madmom.weights,
    "beatnet": beatnet.weights,
    "beat_this": beat_this.weights,
}
"""Those whose weights can be fine-tuned."""

SETTINGS: Mapping[str, Callable[[], AdaptSettings]] = {"beat_this": beat_this.gentle}
"""How a base is fine-tuned whose network is of another size than ours."""

ELSEWHERE = {
    "madmom": ("madmom's recurrent networks of 2016 and its own decoder.", f"{madmom.LICENCE} (models)"),
    "madmom-tcn": ("madmom's eight convolutional networks of 2019 behind our decoder.", f"{madmom.LICENCE} (models)"),
    "beatnet": ("BeatNet's recurrent network behind our decoder, offline.", beatnet.LICENCE),
    "beat_this": ("Beat This!, a transformer without a decoder; its checkpoint is fetched once.", "MIT (code)"),
    "librosa": ("librosa's dynamic programming on onset strength; no downbeats.", "ISC"),
}
"""What is to be known of each before it is there: origin and licence."""


def cards(*names: str | Path) -> list[dict[str, Any]]:
    """What is to be known of models: name, task, digest, origin, licence, data, scores, what they were trained on.

    Parameters
    ----------
    *names : str or path-like
        Names or folders of models; all that levada knows by default.

    Raises
    ------
    InputError
        If there is no such model, or it is damaged.
    """
    if names:
        rows = {row["name"]: row for row in cards()}
        return [
            rows[str(name)] if place(name) is None and str(name) in rows else _card_of(find(name)) for name in names
        ]
    known, separators = (
        [{**_card_of(folder), "name": name} for name, folder in shipped(task).items()] for task in ("beats", "stems")
    )
    baseline = {
        "name": FLUX,
        "origin": "Spectral flux and bass onsets behind the same decoder; no learning.",
        "licence": "Apache-2.0",
        "data": "none",
        "minutes": 0.0,
        "scores": {"beside every model": "levada evaluate shows it in each table"},
        "trained_on": {},
        "sources": (),
        "task": "beats",
        "digest": None,
    }
    others: list[dict[str, Any]] = [
        {
            "name": name,
            "origin": origin,
            "licence": licence,
            "data": "see its authors",
            "minutes": None,
            "trained_on": {},
            "sources": (),
            "task": "beats",
            "digest": None,
        }
        | {"scores": {"made elsewhere": "told how to get it where it is missing; the report of a study has its scores"}}
        for name, (origin, licence) in ELSEWHERE.items()
    ]
    return [*known, *separators, baseline, *others]


def _card_of(folder: Path) -> dict[str, Any]:
    task = "stems" if read_config(folder)["network"] in SEPARATORS else "beats"
    return {**asdict(read_card(folder)), "task": task, "digest": folder_digest(folder)}


def place(name: str | Path) -> Path | None:
    """Return the folder that a model's name means; None for the name of a model that levada knows.

    All commands go by this: a `Path`, and text that is no known name, is a folder.

    Raises
    ------
    InputError
        If the name is that of a known model, and of a model's folder in the working directory too.
    """
    if isinstance(name, Path) or not _is_known(name):
        return Path(name)
    if is_model(name):
        raise both_error(name)
    return None


def _is_known(name: str) -> bool:
    shipped_names = ("base", *shipped(), STEMS_BASE, *shipped("stems"), FLUX, NMF, *ROWS)
    return name in (*shipped_names, *RIVALS, *BASES, *traditions()) or name.startswith(
        (CHECKPOINT, f"{BAYES}:", DEMUCS)
    )


def typed(folder: Path) -> str:
    """Return what to write for a model's folder in a command: its path, with ./ where that would be another model."""
    return f"./{folder}" if _is_known(str(folder)) else str(folder)


def display_names(given: Sequence[str | Path]) -> list[str]:
    """Return names for the models of one table, no two alike.

    Parameters
    ----------
    given : sequence of str or Path
        Names, which stay as they are, and folders, which get the last part of their path or, where that is also the
        name of another model, all of it.

    Returns
    -------
    list of str
        In the order given.
    """
    chains = [[one] if isinstance(one, str) else [one.resolve().name, typed(one), str(one.resolve())] for one in given]
    names = list[str]()
    for index, chain in enumerate(chains):
        rest = [one for at, one in enumerate(given) if at != index]
        others = {*map(str, rest), *(Path(one).resolve().name for one in rest)}
        free = [name for name in chain if len(chain) == 1 or not (name in others or _is_known(name))]
        numbered = (f"{chain[-1]} ({number})" for number in itertools.count(2))
        names.append(next(name for name in itertools.chain(free, numbered) if name not in names))
    return names


def find(name: str | Path) -> Path:
    """The folder of a model's weights.

    Raises
    ------
    InputError
        If there is none of that name and no such folder, or the name is that of both.
    """
    folder = place(name) or {**shipped("stems"), **shipped()}.get(str(name))
    if folder is None or not folder.is_dir():
        known = ", ".join([*shipped(), FLUX, *RIVALS])
        raise InputError(f"there is no model {str(name)!r}: name the folder of one, or one of {known}")
    return folder


def floor() -> Tracker:
    """Return "flux", the tracker without learning that every table shows; a folder of that name is no obstacle."""
    return flux_tracker()


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
    given, patterns = str(name), False
    if place(name) is None:
        if given == FLUX:
            return floor()
        if given in RIVALS:
            return RIVALS[given]()
        if given.startswith(CHECKPOINT):
            return beat_this.tracker(given.removeprefix(CHECKPOINT))
        patterns = given.startswith(f"{BAYES}:")
    folder = find(Path(given.removeprefix(f"{BAYES}:")) if patterns else name)
    kind = read_config(folder)["network"] if (folder / CONFIG).exists() else ""
    if patterns and kind != BAYES:
        raise InputError("holds no learnt patterns of the bar pointer", path=folder)
    return load_tracker(folder)


def separator(name: str | Path, *, instruments: Sequence[str] = ()) -> Separator:
    """A separator from its name or its folder.

    Parameters
    ----------
    name : str or path-like
        "base", the name or the file of a tradition (the base, and the instruments of that tradition), "demucs:FOLDER",
        or a folder of weights or of dictionaries.
    instruments : sequence of str
        What is to be told apart, if not all that the model knows: the others do not play.

    Returns
    -------
    Separator

    Raises
    ------
    InputError
        If there is no such model, it is damaged or a tracker, or does not know an instrument.
    MissingExtra
        If it is made elsewhere and not installed.
    """
    given, folder = str(name), place(name)
    if folder is None and given == NMF:
        raise InputError(
            "nmf has to learn from stems first: levada adapt my-stems --task stems --strategy nmf -o FOLDER, "
            "then --model FOLDER"
        )
    if (folder is None and given in traditions()) or (given.lower().endswith(".toml") and not Path(given).is_dir()):
        tradition = read_tradition(given)
        return _separator(_base_separator(), name=tradition.name, instruments=instruments, tradition=tradition)
    if folder is None and given in ("base", STEMS_BASE):
        return _separator(_base_separator(), name=STEMS_BASE, instruments=instruments)
    demucs_only = folder is None and given.startswith(DEMUCS)
    if demucs_only:
        folder = Path(given.removeprefix(DEMUCS))
    if folder is None or not folder.is_dir():
        known = ", ".join([*shipped("stems"), *traditions()])
        if given in (*shipped(), FLUX, BAYES, *RIVALS):
            raise InputError(f"{given} is a tracker: it finds beats and takes nothing apart; there are {known}")
        raise InputError(f"there is no separator {given!r}: name the folder of one, or one of {known}")
    if demucs_only and read_config(folder)["network"] != "demucs":
        raise InputError("holds no network of Demucs", path=folder)
    return _separator(folder, name=folder.resolve().name, instruments=instruments)


def _base_separator() -> Path:
    try:
        return shipped("stems")[STEMS_BASE]
    except KeyError:
        raise InputError(
            "no separator comes with this copy of levada: name the folder of one that levada adapt --task stems made"
        ) from None


def _separator(folder: Path, *, name: str, instruments: Sequence[str], tradition: Tradition | None = None) -> Separator:
    kind = read_config(folder)["network"]
    if kind not in SEPARATORS:
        raise InputError("is a tracker: it finds beats (levada beats) and takes nothing apart", path=folder)
    if kind == "demucs":
        from levada.separation.external import demucs

        if instruments:
            raise InputError(
                "tells apart what it was trained on, and nothing less: leave out the instruments", path=folder
            )
        return demucs.separator(folder)
    model: Any = nmf.load(folder) if kind == NMF else _model(folder, kind)
    known = model.instruments if kind == NMF else model.net.instruments
    chosen = _chosen(known, instruments, tradition, folder)
    return separator_of(model, name=name, instruments=chosen, identity=folder_digest(folder))


def _chosen(
    known: tuple[str, ...], wanted: Sequence[str], tradition: Tradition | None, folder: Path
) -> dict[str, str] | None:
    """Names of what is to be told apart, and what the model calls it; nothing for all that it knows."""
    names = {one: one for one in known}
    if tradition is not None:
        names = {name: voice for name, voice in ensemble(tradition).items() if voice in known}
        missing = [name for name in ensemble(tradition) if name not in names]
        if missing and names:
            _log.warning("the model has never heard %s of %s: left out", ", ".join(missing), tradition.name)
        if not names:
            raise InputError(f"the model knows no instrument of {tradition.name}: it knows {', '.join(known)}")
    if not wanted:
        return names if tradition is not None else None
    found = {name: matched(name, tuple(names)) for name in wanted}
    unknown = [name for name, one in found.items() if one is None]
    if unknown:
        raise InputError(f"does not know {', '.join(unknown)}: it tells apart {', '.join(names)}", path=folder)
    return {one: names[one] for one in found.values() if one is not None}


def _model(folder: Path, kind: str) -> Weights | bayes.Patterns:
    if kind == BAYES:
        return bayes.load(folder)
    return weights_of(folder)


def weights_of(folder: str | Path) -> Weights:
    """Read a folder of weights, of a tracker or of a separator.

    Raises
    ------
    InputError
        If it is damaged, or a model without a network.
    """
    from levada.beat_tracking import networks as beat_networks
    from levada.separation import networks as stem_networks

    separates = read_config(folder)["network"] in SEPARATORS
    return stem_networks.load(folder) if separates else beat_networks.load(folder)


def base_weights(name: str | Path, *, task: str = "beats") -> Weights:
    """Weights to fine-tune, from their name or their folder.

    Parameters
    ----------
    name : str or path-like
    task : {"beats", "stems"}
        What they are to learn: "base" is a tracker, or a separator.

    Raises
    ------
    InputError
        If there are none of that name, they are damaged, or of the other task.
    MissingExtra
        If they come with something that is not installed.
    """
    if task == "stems":
        folder = _base_separator() if place(name) is None and str(name) in ("base", STEMS_BASE) else find(name)
        if read_config(folder)["network"] not in SEPARATORS:
            raise InputError("is a tracker: stems are learnt by separators", path=folder)
        return weights_of(folder)
    if place(name) is None:
        if str(name) in BASES:
            return BASES[str(name)]()
        if str(name).startswith(CHECKPOINT):
            return beat_this.weights(str(name).removeprefix(CHECKPOINT))
        if str(name) == FLUX or str(name) in RIVALS:
            raise InputError(f"{name} has no weights to train on; there are {', '.join([*shipped(), *BASES])}")
    folder = find(name)
    if (folder / CONFIG).exists() and read_config(folder)["network"] in SEPARATORS:
        raise InputError("is a separator: beats are learnt by trackers", path=folder)
    return weights_of(folder)


def separator_of(
    model: Weights | nmf.Dictionaries,
    *,
    name: str,
    instruments: Mapping[str, str] | None = None,
    identity: str = "",
) -> Separator:
    """A separator from a model in memory.

    Parameters
    ----------
    model : Weights or Dictionaries
    name : str
        What tables call it.
    instruments : mapping of str to str, optional
        Names of what is to be told apart -> what the model calls it; all that it knows by default.
    identity : str
        Changes whenever its stems might.

    Raises
    ------
    InputError
        If it does not know an instrument.
    """
    if isinstance(model, nmf.Dictionaries):
        return nmf_separator(
            model, name=name, instruments=instruments, identity=identity, trained_on=model.card.trained_on
        )
    return net_separator(
        model.net, name=name, instruments=instruments, identity=identity, trained_on=model.card.trained_on
    )
