"""Source separation as a `levada.learning.task.Task`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.data import REST, Corpus, Multitrack, Span, load_corpus
from levada.data import sample as sample_spans
from levada.data.sampling import sample_files as sample_songs
from levada.errors import InputError
from levada.io import audio
from levada.io.tables import write_csv
from levada.learning.task import SCORES, BaseModel
from levada.separation.song_scores import MIXTURE, ORACLE

if TYPE_CHECKING:
    from levada.learning.weights import Weights
    from levada.separation.nmf import Dictionaries

__all__ = [
    "AUGMENTATIONS", "FROM_SCRATCH", "LEAKS", "NAME", "NETWORKS", "NON_NEURAL", "OWN_SETTINGS", "WITHOUT_SETTINGS",
    "base_model", "base_weights", "default_settings", "digest", "duplicates", "fingerprint", "from_adapted", "load",
    "no_augmentation", "open_corpus", "sample", "sample_files", "score", "selections", "split", "strategies",
    "trained_on", "warm_up", "write_audio",
]  # fmt: skip

NAME: str = "stems"
FROM_SCRATCH: tuple[str, ...] = ("scratch", "unet", "nmf", "nmf-conv")
NON_NEURAL: tuple[str, ...] = ("nmf", "nmf-conv")
WITHOUT_SETTINGS: tuple[str, ...] = ()
OWN_SETTINGS: tuple[str, ...] = ("nmf", "nmf-conv")
NETWORKS: tuple[str, ...] = ("demucs", "unet")
AUGMENTATIONS: Mapping[str, str] = {
    "remix": "remix",
    "gain": "gain_db",
    "tone": "tone_db",
    "pitch": "semitones",
    "room": "room",
    "polarity": "polarity",
    "drop": "drop",
}
LEAKS = "leaks.csv"
"""File of a run with the share of each instrument in each stem."""
RANDOM = "random"
REFERENCES = (MIXTURE, ORACLE)
"""Rows that are not models: the mixture as every stem, and masks made of the true stems."""
_SCORED_AS = "reference"
TRUE = "true"
"""Name under which runs keep the stems that are to be found, beside those of a model."""

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class _Reference:
    """The mixture itself as the stem of every instrument."""

    name: str
    instruments: tuple[str, ...]

    def separate(self, samples: Floats32, rate: int) -> dict[str, Floats32]:  # noqa: ARG002
        return dict.fromkeys(self.instruments, samples)


def strategies() -> Mapping[str, Callable[..., Any]]:
    """Strategies by name."""
    from levada.separation.adaptation import STRATEGIES

    return STRATEGIES


def default_settings(network: str = "") -> Mapping[str, Any]:
    """Default settings of each strategy, for a network of a base."""
    from levada.separation.adaptation import DEFAULTS, OTHER_NETWORKS

    if network not in OTHER_NETWORKS:
        return DEFAULTS
    other = OTHER_NETWORKS[network]
    return {name: other if name.startswith("finetune") else settings for name, settings in DEFAULTS.items()}


def no_augmentation() -> Any:
    """Settings of augmentation that change nothing."""
    from levada.separation.augmentation import NO_AUGMENTATION

    return NO_AUGMENTATION


def selections() -> tuple[str, ...]:
    """Stems are sampled at random."""
    return (RANDOM,)


def warm_up() -> None:
    """Nothing is compiled."""


def open_corpus(path: str) -> Corpus[Multitrack]:
    """Open a corpus of songs with stems.

    Raises
    ------
    InputError
        If it does not exist, or holds solos.
    """
    corpus = load_corpus(path, labels="stems")
    if corpus.is_solos:
        raise InputError("holds solos, which need no separation: levada remix makes mixtures", path=corpus.root)
    return corpus


def digest(corpus: Corpus[Multitrack]) -> str:
    """16 hexadecimal digits of the audio, instruments and groups of the songs."""
    whole = hashlib.sha256()
    for song in corpus.tracks:
        whole.update(json.dumps([song.id, song.group, song.content_hash, song.instruments]).encode())
    return whole.hexdigest()[:16]


def duplicates(corpus: Corpus[Multitrack]) -> dict[str, str]:
    """Songs with the audio of another one."""
    first: dict[str, str] = {}
    firsts = {song.id: first.setdefault(song.content_hash, song.id) for song in corpus.tracks}
    return {name: other for name, other in firsts.items() if name != other}


def split(
    corpus: Corpus[Multitrack],
    *,
    test_size: float,
    seed: Sequence[int],
    halves: bool = False,
    ignore_groups: bool = False,
) -> tuple[tuple[Multitrack, ...], tuple[Multitrack, ...]]:
    """Split the songs of a corpus by groups.

    Raises
    ------
    InputError
        If there is one group, or an option of beats is asked for.
    """
    if halves or ignore_groups:
        raise InputError("halves and ignore_groups are for beats", path=corpus.root)
    train, test = corpus.split(test_size=test_size, seed=seed)
    return train.tracks, test.tracks


def sample(
    train: Sequence[Multitrack], *, minutes: float, selection: str, seed: Sequence[int]
) -> list[Span[Multitrack]]:
    """Sample spans of songs at random.

    Raises
    ------
    InputError
        If the budget is larger than the songs, or there is a scheme of selection.
    """
    if selection != RANDOM:
        raise InputError(f"songs with stems are sampled at random, not by {selection}")
    return sample_spans(train, minutes=minutes, seed=seed)


def sample_files(train: Sequence[Multitrack], *, files: int, selection: str, seed: Sequence[int]) -> list[Any]:
    """Sample a number of whole songs at random.

    Raises
    ------
    InputError
        If there are fewer, or there is a scheme of selection.
    """
    if selection != RANDOM:
        raise InputError(f"songs with stems are sampled at random, not by {selection}")
    return sample_songs(train, files=files, seed=seed)


def base_model(name: str) -> BaseModel:
    """Facts of a network to train on."""
    from levada.learning.weights import digest as weights_digest

    weights = base_weights(name)
    return BaseModel(name, weights_digest(weights), tuple(weights.tensors), weights.source.kind)


def base_weights(name: str) -> Weights:
    """Weights of a network to train on."""
    from levada.separation.pretrained import base_weights as read_weights

    return read_weights(name)


def load(name: str, items: Sequence[Multitrack]) -> Any:
    """A separator by name or folder; for the references, one of the instruments of some songs."""
    from levada.separation.pretrained import load_separator

    if name in REFERENCES:
        return _Reference(name, tuple(dict.fromkeys(one for song in items for one in song.instruments)))
    return load_separator(name)


def from_adapted(model: Weights | Dictionaries, name: str) -> Any:
    """A separator from adapted weights or dictionaries."""
    from levada.separation.pretrained import separator_of

    return separator_of(model, name=name)


def fingerprint(name: str) -> str:
    """Fingerprint of a separator."""
    return name if name in REFERENCES else load(name, ()).identity or name


def trained_on(name: str) -> frozenset[str]:
    """SHA-256 of the files that a separator was trained on."""
    return frozenset() if name in REFERENCES else frozenset(getattr(load(name, ()), "trained_on", {}))


def score(
    items: Sequence[Multitrack],
    model: Any,
    *,
    name: str,
    trim_s: float | None,  # noqa: ARG001
    folder: Path,
) -> list[Path]:
    """Score songs: a row for each stem, and a table of leaks where it is known."""
    from levada.separation.evaluation import evaluate_stems

    is_reference = isinstance(model, _Reference)
    evaluation = evaluate_stems(
        items, {_SCORED_AS if is_reference else name: model}, oracle=is_reference and model.name == ORACLE
    )
    row_name = model.name if is_reference else name
    scores = [
        {"track" if key == "song" else key: cell for key, cell in row.flat().items()} for row in evaluation.of(row_name)
    ]
    stems, instruments, shares = evaluation.leaks(row_name)
    leaks: list[dict[str, object]] = [
        {"stem": stem, "instrument": instrument, "share": share}
        for stem, row in zip(stems, shares.tolist(), strict=True)
        for instrument, share in zip(instruments, row, strict=True)
    ]
    tables = {folder / file: table for file, table in ((SCORES, scores), (LEAKS, leaks)) if table}
    for path, table in tables.items():
        write_csv(path, table)
    return list(tables)


def write_audio(items: Sequence[Multitrack], model: Any, *, folder: Path) -> list[Path]:
    """Write the stems of some songs by a model, all but the rest; beside the mixture, those that are to be found.

    Returns
    -------
    list of Path
        ``SONG/INSTRUMENT.mp3`` of the instruments that the model has a stem of, and ``SONG/true/INSTRUMENT.mp3``.
    """
    written = list[Path]()
    for song in items:
        names = [name for name in song.instruments if name != REST]
        rate = audio.info(song.files[0]).rate
        true, mixture = song.read(names, rate=rate, channels=None)
        stems: dict[str, Floats32] = {}
        if not isinstance(model, _Reference):
            stems = {name: stem for name, stem in model.separate(mixture, rate).items() if name in names}
        elif model.name == MIXTURE:
            stems = dict.fromkeys(names, mixture)
            stems |= {f"{TRUE}/{name}": stem for name, stem in zip(names, true, strict=True)}
        for name, stem in stems.items():
            path = folder / song.id.replace("/", "-") / f"{name}.mp3"
            audio.write(path, stem, rate=rate)
            written.append(path)
    return written
