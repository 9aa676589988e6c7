"""What is learnt: how often each cell of each kind of bar sounds like each of a few Gaussians."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.patterns.mixture import Mixture
from levada.errors import InputError
from levada.learning.card import Card

__all__ = ["BayesSettings", "Patterns"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class BayesSettings:
    """How patterns are learnt and heard, checked once when made.

    Raises
    ------
    InputError
        If a value makes no sense; the message names the field.
    """

    cells: int = 16
    """Cells that a beat is divided into."""
    edges_hz: tuple[float, ...] = (250.0,)
    """Frequencies that separate the bands in which onsets are heard."""
    every: int = 1
    """So many hundredths of a second make a frame."""
    components: int = 12
    """Gaussians that all cells share."""
    patterns: int = 2
    """At most so many patterns of each metre."""
    bars_per_pattern: int = 24
    """Another pattern is learnt for every so many bars."""
    shrinkage: float = 2.0
    """Visits worth of belief that a cell sounds as it does in the other beats, or a pattern as its metre does."""
    smoothing: float = 0.25
    """Share that each cell takes from each of its neighbours."""
    trust: float = 0.5
    """How much of the evidence counts: neighbouring frames are no independent witnesses."""
    pattern_change: float = 0.0
    """Probability that the pattern is drawn anew at the end of a bar."""
    seed: int = 0
    """Of the groups and the Gaussians."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "edges_hz", tuple(float(edge) for edge in self.edges_hz))
        except (TypeError, ValueError):
            raise InputError(f"edges_hz must be a list of frequencies, not {self.edges_hz!r}") from None
        for name, least, most in (
            ("cells", 2, 64),
            ("every", 1, 4),
            ("components", 1, 64),
            ("patterns", 1, 16),
            ("bars_per_pattern", 1, 10_000),
            ("seed", 0, 2**63 - 1),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
                raise InputError(f"{name} must be a whole number from {least} to {most}, not {value!r}")
        for name, high in (("shrinkage", math.inf), ("smoothing", 0.5), ("trust", 10.0), ("pattern_change", 1.0)):
            value = getattr(self, name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not 0 <= value <= high
                or math.isinf(value)
            ):
                raise InputError(f"{name} must be a number from 0 to {high:g}, not {value!r}")
        rising = all(a < b for a, b in zip((0.0, *self.edges_hz), (*self.edges_hz, 15_000.0), strict=True))
        if not rising:
            raise InputError(f"edges_hz must rise from above 0 to below 15000, not {self.edges_hz}")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> BayesSettings:
        """Read settings from what `dataclasses.asdict` gave, perhaps by way of a JSON file.

        Raises
        ------
        InputError
            If a key is unknown or a value is invalid.
        """
        known = [field.name for field in fields(cls)]
        unknown = [str(key) for key in values if key not in known]
        if unknown:
            raise InputError(f"unknown settings {', '.join(unknown)}; there are {', '.join(known)}")
        return cls(**values)


@dataclass(frozen=True, eq=False)
class Patterns:
    """Rhythmic patterns: a bar-pointer model's ears.

    Parameters
    ----------
    settings : BayesSettings
    bars : tuple of int
        Beats of the bars of each pattern; several patterns may have the same.
    shares : float64 [shape=(patterns,)]
        How likely each pattern is among those of its metre.
    mixture : Mixture
        The Gaussians, and how likely each is anywhere.
    weights : float64 [shape=(sum of bars, cells, components)]
        How likely each is in every cell of every beat of every pattern.
    decoder : DecoderSettings
        Tempo and metres as learnt.
    card : Card
    counted : bool
        Whether the labels said which beats are downbeats; if not, bars of one beat stand for beats.
    """

    settings: BayesSettings
    bars: tuple[int, ...]
    shares: Floats
    mixture: Mixture
    weights: Floats
    decoder: DecoderSettings
    card: Card
    counted: bool = True

    def __post_init__(self) -> None:
        components, dimensions = self.mixture.means.shape
        right = {
            "shares": (len(self.bars),),
            "weights": (sum(self.bars), self.settings.cells, components),
            "spreads": (components, len(self.settings.edges_hz) + 1),
            "background": (components,),
        }
        there = {
            "shares": self.shares,
            "weights": self.weights,
            "spreads": self.mixture.spreads,
            "background": self.mixture.weights,
        }
        for name, values in there.items():
            if values.shape != right[name]:
                raise InputError(f"{name} of patterns have the shape {values.shape} and should have {right[name]}")
            if not (np.isfinite(values).all() and (values > 0).all()):
                raise InputError(f"{name} of patterns must be above 0")
        if dimensions != len(self.settings.edges_hz) + 1:
            raise InputError(f"patterns of {dimensions} bands, and edges of {len(self.settings.edges_hz) + 1}")
        if set(self.bars) != set(self.decoder.metres):
            raise InputError(f"patterns of bars of {self.bars}, and a decoder for metres of {self.decoder.metres}")
