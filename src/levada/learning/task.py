"""What a task, beat tracking or source separation, offers to `models`, `experiments` and `cli`.

Each task package implements the protocol by one module: `levada.beat_tracking.task` and `levada.separation.task`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from levada.data import Corpus
from levada.learning.training_log import LOG

__all__ = ["LOG", "SCORES", "BaseModel", "Task"]

SCORES = "scores.csv"
"""The file of the scores of a run."""


@dataclass(frozen=True)
class BaseModel:
    """Facts of a model that can be trained on.

    Parameters
    ----------
    name : str
    digest : str
        Of its weights.
    parameters : tuple of str
        Names of its tensors.
    network : str
        Class of its network in model folders.
    """

    name: str
    digest: str
    parameters: tuple[str, ...]
    network: str


class Task(Protocol):
    """A task as a module; heavy libraries are imported inside its functions."""

    NAME: str
    """Kind of its labels: "beats" or "stems"."""
    FROM_SCRATCH: tuple[str, ...]
    """Strategies that do not start from a base."""
    NON_NEURAL: tuple[str, ...]
    """Strategies that train no network, so that augmentation and layers do not apply."""
    WITHOUT_SETTINGS: tuple[str, ...]
    """Strategies that have no settings."""
    OWN_SETTINGS: tuple[str, ...]
    """Strategies with settings of their own, to which those of networks do not apply."""
    NETWORKS: tuple[str, ...]
    """Classes of networks that are fine-tuned with settings of their own."""
    AUGMENTATIONS: Mapping[str, str]
    """Kinds of augmentation, and the field of the settings of augmentation that each one is."""

    def strategies(self) -> Mapping[str, Callable[..., Any]]:
        """Strategies of adaptation by name: functions of labels, `base`, `folder` and `settings`."""

    def default_settings(self, network: str = "") -> Mapping[str, Any]:
        """Default settings of each strategy, for a network of a base."""

    def no_augmentation(self) -> Any:
        """Settings of augmentation that change nothing."""

    def selections(self) -> tuple[str, ...]:
        """Schemes of selection of labels, "random" first."""

    def warm_up(self) -> None:
        """Import and compile what is slow, so that its time is not measured."""

    def open_corpus(self, path: str) -> Corpus[Any]:
        """Corpus with labels of this task, from a folder or ``mirdata:NAME``."""

    def digest(self, corpus: Corpus[Any]) -> str:
        """16 hexadecimal digits of the content of a corpus: audio, labels and groups."""

    def duplicates(self, corpus: Corpus[Any]) -> dict[str, str]:
        """Ids of labelled recordings with the audio of another one -> the id of that one."""

    def split(
        self, corpus: Corpus[Any], *, test_size: float, seed: Sequence[int], halves: bool, ignore_groups: bool
    ) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Recordings, or parts of them, to draw labels from, and those to score."""

    def sample(self, train: Sequence[Any], *, minutes: float, selection: str, seed: Sequence[int]) -> list[Any]:
        """Sample a budget of labels by a scheme of selection."""

    def sample_files(self, train: Sequence[Any], *, files: int, selection: str, seed: Sequence[int]) -> list[Any]:
        """Sample all labels of a number of recordings by a scheme of selection."""

    def base_model(self, name: str) -> BaseModel:
        """Facts of a model to train on, by name or folder."""

    def base_weights(self, name: str) -> Any:
        """Weights of a model to train on, by name or folder."""

    def load(self, name: str, items: Sequence[Any]) -> Any:
        """Model by name or folder, ready to be scored on recordings."""

    def from_adapted(self, model: Any, name: str) -> Any:
        """Model ready to be scored, from what a strategy returned."""

    def fingerprint(self, name: str) -> str:
        """Fingerprint of a model: changes whenever its results may."""

    def trained_on(self, name: str) -> frozenset[str]:
        """SHA-256 of the files that a model was trained on."""

    def score(self, items: Sequence[Any], model: Any, *, name: str, trim_s: float | None, folder: Path) -> list[Path]:
        """Score recordings; write `SCORES`, a row for each recording or stem, and other tables into a folder."""
