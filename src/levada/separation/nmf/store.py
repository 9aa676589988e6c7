"""Dictionaries in model folders."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from levada.errors import InputError
from levada.learning.card import CONFIG
from levada.learning.model_folder import read_model, wrap_damage, write_model
from levada.separation.nmf.dictionaries import Dictionaries, NmfSettings

__all__ = ["NETWORK", "load", "save"]

NETWORK = "nmf"


def save(folder: str | Path, dictionaries: Dictionaries, *, force: bool = False) -> None:
    """Write dictionaries into a model folder.

    Raises
    ------
    InputError
        As `levada.learning.model_folder.write_model`.
    """
    settings = asdict(dictionaries.settings)
    write_model(
        folder,
        network=NETWORK,
        settings={"instruments": list(dictionaries.instruments), **settings},
        tensors={f"bases.{index}": basis for index, basis in enumerate(dictionaries.bases)},
        card=dictionaries.card,
        decoder={},
        training=settings,
        force=force,
    )


def load(folder: str | Path) -> Dictionaries:
    """Read dictionaries from a model folder.

    Raises
    ------
    InputError
        If it holds none, or is damaged.
    """
    config, card, tensors = read_model(folder, network=NETWORK, noun="dictionaries")
    settings = dict(config["settings"])
    names = settings.pop("instruments", None)
    if not (isinstance(names, list) and names and all(isinstance(name, str) and name for name in names)):
        raise InputError(f"is damaged: its instruments are {names!r}", path=Path(folder) / CONFIG)
    expected = [f"bases.{index}" for index in range(len(names))]
    wrong = sorted(set(expected) ^ tensors.keys())
    if wrong:
        raise InputError(f"is damaged: {', '.join(wrong)} is missing or unknown", path=folder)
    with wrap_damage(folder):
        bases = tuple(tensors[name] for name in expected)
        return Dictionaries(tuple(names), bases, card, NmfSettings.from_dict(settings))
