"""Dictionaries in model folders."""

from __future__ import annotations

from pathlib import Path

from levada.errors import InputError
from levada.learning.card import CONFIG
from levada.learning.model_folder import ModelFolder, wrap_damage
from levada.separation.nmf.dictionaries import NETWORK, Dictionaries, NmfSettings

__all__ = ["load"]


def load(folder: str | Path | ModelFolder) -> Dictionaries:
    """Read dictionaries from a model folder.

    Raises
    ------
    InputError
        If it holds none, or is damaged.
    """
    stored = ModelFolder.of(folder)
    stored.require(NETWORK, noun="dictionaries")
    settings = dict(stored.config["settings"])
    names = settings.pop("instruments", None)
    if not (isinstance(names, list) and names and all(isinstance(name, str) and name for name in names)):
        raise InputError(f"is damaged: its instruments are {names!r}", path=stored.path / CONFIG)
    expected = [f"bases.{index}" for index in range(len(names))]
    wrong = sorted(set(expected) ^ stored.tensors.keys())
    if wrong:
        raise InputError(f"is damaged: {', '.join(wrong)} is missing or unknown", path=stored.path)
    with wrap_damage(stored.path):
        bases = tuple(stored.tensors[name] for name in expected)
        return Dictionaries(tuple(names), bases, stored.card, NmfSettings.from_dict(settings))
