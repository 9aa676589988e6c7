"""A model's folder: `model.safetensors`, `config.json` and a card as a page in Markdown, written atomically.

Nothing is pickled and torch is not needed, so that models without a network are saved in the same way.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.io.files import atomic_file, atomic_folder
from levada.learning.card import CONFIG, FORMAT, README, TENSORS, Card, card_from, read_config
from levada.version import __version__

__all__ = ["ModelFolder", "joined_facts", "model_digest", "read_tensors", "wrap_damage", "write_card", "write_model"]

Tensors = Mapping[str, npt.NDArray[Any]]


def write_model(
    folder: str | Path,
    *,
    network: str,
    settings: Mapping[str, Any],
    tensors: Tensors,
    card: Card,
    decoder: Mapping[str, Any],
    training: Mapping[str, Any],
    force: bool = False,
) -> None:
    """Write a model.

    Parameters
    ----------
    folder : path-like
    network : str
        Kind of the model: a name in `card.KINDS`.
    settings : mapping
        Settings that determine the shapes of its tensors.
    tensors : mapping of str to array
    card : Card
    decoder, training : mapping
        Settings of its decoder, and of its training.
    force : bool
        Whether an existing model may be replaced.

    Raises
    ------
    InputError
        If a number is not finite, the folder exists and `force` is not set, or it cannot be written.
    """
    from safetensors.numpy import save as as_bytes

    if not _finite(tensors):
        raise InputError("cannot be written: the model holds numbers that are not finite", path=folder)
    config = {
        "format": FORMAT,
        "levada": __version__,
        "network": network,
        "settings": dict(settings),
        "decoder": dict(decoder),
        "training": dict(training),
        "card": asdict(card),
    }
    with atomic_folder(folder, marker=CONFIG, force=force) as temporary:
        whole = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
        (temporary / TENSORS).write_bytes(as_bytes(whole))  # save_file would set restrictive permissions
        for name, text in _texts(config, card).items():
            (temporary / name).write_text(text, encoding="utf-8")


def write_card(folder: str | Path, card: Card) -> None:
    """Replace the card of a model; its tensors and other files are unchanged.

    Raises
    ------
    InputError
        If the folder is not a model, or cannot be written.
    """
    config = read_config(folder) | {"card": asdict(card)}
    for name, text in _texts(config, card).items():
        with atomic_file(Path(folder) / name, force=True) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _texts(config: Mapping[str, Any], card: Card) -> dict[str, str]:
    """Return the text files of a model: its settings as JSON, and its card in Markdown."""
    shown = {key: config[key] for key in ("network", "settings", "decoder", "training")}
    shown["training"] = {key: value for key, value in shown["training"].items() if key != "labels"}  # too many
    page = card.markdown(shown)
    return {CONFIG: json.dumps(config, indent=1) + "\n", README: page}


def read_tensors(folder: str | Path) -> dict[str, npt.NDArray[Any]]:
    """Read the tensors of a model.

    Raises
    ------
    InputError
        If they are missing, damaged or not finite.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    path = Path(folder) / TENSORS
    try:
        tensors: dict[str, npt.NDArray[Any]] = load_file(path)
    except FileNotFoundError:
        raise InputError(f"is not a whole model: it has no {TENSORS}", path=folder) from None
    except (SafetensorError, OSError) as error:
        reason = str(error).splitlines()[-1].strip()
        raise InputError(f"is damaged, or not the weights of its {CONFIG}: {reason}", path=path) from None
    if not _finite(tensors):
        raise InputError("is damaged: it holds numbers that are not finite", path=path)
    return tensors


class ModelFolder:
    """A model in a folder, of which each file is read once, when it is needed.

    Parameters
    ----------
    path : path-like

    Raises
    ------
    InputError
        By each property, if a file is missing or damaged.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @classmethod
    def of(cls, folder: str | Path | ModelFolder) -> ModelFolder:
        """Return a folder that may have been read already."""
        return folder if isinstance(folder, ModelFolder) else cls(folder)

    @cached_property
    def config(self) -> dict[str, Any]:
        """Its settings."""
        return read_config(self.path)

    @property
    def network(self) -> str:
        """Kind of the model: a name in `card.KINDS`."""
        return str(self.config["network"])

    @cached_property
    def card(self) -> Card:
        """Its card."""
        return card_from(self.config, path=self.path / CONFIG)

    @cached_property
    def tensors(self) -> dict[str, npt.NDArray[Any]]:
        """Its tensors."""
        return read_tensors(self.path)

    @property
    def digest(self) -> str:
        """Its `model_digest`."""
        settings, decoder = self.config["settings"], self.config["decoder"]
        return model_digest(network=self.network, settings=settings, tensors=self.tensors, decoder=decoder)

    def part(self, name: str) -> ModelFolder:
        """Return one of the models that this one consists of, whose tensors are called NAME.TENSOR."""
        part = ModelFolder(self.path)
        prefix = f"{name}."
        part.config = {**self.config, "decoder": {}, "training": {}, **self.config["settings"][name]}
        part.tensors = {
            key.removeprefix(prefix): tensor for key, tensor in self.tensors.items() if key.startswith(prefix)
        }
        return part

    def settings(self, network: str, *, noun: str, parts: Sequence[str] = ()) -> dict[str, Any]:
        """Return the settings of a kind of model, which consists of `noun`.

        An `InputError` if it is another kind, or lacks one of the models that it should consist of (`joined_facts`).
        """
        if self.network != network:
            raise InputError(f"holds no {noun}: it is a {self.network}", path=self.path)
        settings = dict(self.config["settings"])
        if missing := [name for name in parts if not isinstance(settings.get(name), dict)]:
            raise InputError(f"is damaged: it lacks its {' and its '.join(missing)}", path=self.path / CONFIG)
        return settings


def joined_facts(network: str, settings: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Join models into one, which `ModelFolder.part` takes apart again.

    Parameters
    ----------
    network : str
        Kind of the model.
    settings : mapping
        Its own.
    parts : mapping of str to mapping
        `network`, `settings`, `tensors` and `decoder` of each.

    Returns
    -------
    dict
        The same four of the model.
    """
    of_parts = {name: {key: part[key] for key in ("network", "settings", "decoder")} for name, part in parts.items()}
    tensors = {f"{name}.{key}": tensor for name, part in parts.items() for key, tensor in part["tensors"].items()}
    return {"network": network, "settings": {**settings, **of_parts}, "tensors": tensors, "decoder": {}}


@contextmanager
def wrap_damage(folder: str | Path) -> Iterator[None]:
    """Name the settings of a model in what is wrong with them: an `InputError` that names no file."""
    try:
        yield
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(f"is damaged: {error}", path=Path(folder) / CONFIG) from None


def model_digest(*, network: str, settings: Mapping[str, Any], tensors: Tensors, decoder: Mapping[str, Any]) -> str:
    """Compute a digest of everything in a model that determines its results.

    Names, cards, licences and recipes are excluded: a renamed model is the same model. Results also depend on the
    version of levada, which is saved with each digest.

    Parameters
    ----------
    network, settings, tensors, decoder
        As for `write_model`.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    facts = json.dumps([network, dict(settings), dict(decoder)], sort_keys=True, default=str)
    digest = hashlib.sha256(facts.encode())
    for name in sorted(tensors):
        tensor = np.ascontiguousarray(tensors[name])
        digest.update(f"\0{name} {tensor.dtype.str} {tensor.shape}\0".encode() + tensor.tobytes())
    return digest.hexdigest()[:16]


def _finite(tensors: Tensors) -> bool:
    return all(bool(np.isfinite(tensor).all()) for tensor in tensors.values())
