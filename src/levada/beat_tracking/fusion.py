"""Rhythmic patterns and a network behind one decoder, as a model that is saved in one folder."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.network_tracker import Predict, tracker_of_weights
from levada.beat_tracking.patterns import Patterns, PatternTracker
from levada.beat_tracking.patterns import load as load_patterns
from levada.errors import check_number
from levada.learning.card import Card
from levada.learning.model_folder import ModelFolder, joined_facts, write_model

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["NETWORK", "Fusion", "load", "predict_mean", "tracker"]

Floats32 = npt.NDArray[np.float32]

NETWORK = "fusion"


@dataclass(frozen=True, eq=False)
class Fusion:
    """Patterns and a network that score the same beats.

    Parameters
    ----------
    patterns : Patterns
    network : Weights
    weight : float
        Weight of the log likelihood of the network beside that of the patterns.
    card : Card
    training : mapping
        How it was chosen.
    own_score : float, optional
        See `PatternTracker`; for patterns that may not fit other recordings.
    base : Weights, optional
        The network that `network` was fine-tuned from: the mean of the activations of both counts. Where only one of
        them is confident, the patterns decide.
    network_downbeats : bool
        See `PatternTracker`.
    least_certainty, proven
        See `PatternTracker`.
    """

    patterns: Patterns
    network: Weights
    weight: float
    card: Card
    training: Mapping[str, Any] = field(default_factory=dict)
    own_score: float | None = None
    base: Weights | None = None
    network_downbeats: bool = True
    least_certainty: float = 0.0
    proven: bool = False

    def __post_init__(self) -> None:
        check_number("the weight of the network", self.weight, 0)
        check_number("the least certainty of positions", self.least_certainty, 0, 1)
        if self.own_score is not None:
            check_number("the score of patterns on their own recording", self.own_score, -math.inf)

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write both into a folder."""
        from levada.learning.weights import model_facts

        parts = {"patterns": self.patterns.facts(), "network": model_facts(self.network)}
        parts |= {} if self.base is None else {"base": model_facts(self.base)}
        own: dict[str, Any] = {"weight": self.weight}
        own |= {} if self.network_downbeats else {"network_downbeats": False}
        own |= {} if self.own_score is None else {"own_score": self.own_score}
        own |= {"least_certainty": self.least_certainty} if self.least_certainty else {}
        own |= {"proven": True} if self.proven else {}
        facts = joined_facts(NETWORK, own, parts)
        write_model(folder, **facts, card=self.card, training=self.training, force=force)


def load(folder: str | Path | ModelFolder) -> Fusion:
    """Read patterns and a network from a folder.

    Raises
    ------
    InputError
        If it holds none, or is damaged.
    """
    from levada.beat_tracking import networks

    stored = ModelFolder.of(folder)
    settings = stored.settings(NETWORK, noun="patterns with a network", parts=("patterns", "network"))
    return Fusion(
        load_patterns(stored.part("patterns")),
        networks.load(stored.part("network")),
        settings.get("weight"),  # type: ignore[arg-type]  # checked when made
        stored.card,
        stored.config["training"],
        settings.get("own_score"),
        networks.load(stored.part("base")) if isinstance(settings.get("base"), dict) else None,
        settings.get("network_downbeats") is not False,
        settings.get("least_certainty", 0.0),
        settings.get("proven") is True,
    )


def predict_mean(predictions: Sequence[Predict], pieces: Iterable[Floats32]) -> Floats32:
    """Compute the mean of the activations of networks that take the same spectrogram [shape=(frames, 2)]."""
    pieces = pieces if isinstance(pieces, Sequence) else list(pieces)
    mean: Floats32 = np.mean([predict(pieces) for predict in predictions], axis=0, dtype=np.float32)
    return mean


def tracker(fusion: Fusion, *, name: str, identity: str = "") -> PatternTracker:
    """Return the tracker of patterns with a network."""
    network = tracker_of_weights(fusion.network, name=name, identity=identity)
    if fusion.base is not None:
        base = tracker_of_weights(fusion.base, name=name)
        networks = (*network.networks, *base.networks)
        network = replace(network, predict=partial(predict_mean, (network.predict, base.predict)), networks=networks)
    return PatternTracker(
        fusion.patterns,
        name,
        identity,
        network,
        fusion.weight,
        fusion.own_score,
        fusion.network_downbeats,
        fusion.least_certainty,
        fusion.proven,
    )
