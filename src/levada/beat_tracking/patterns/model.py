"""Patterns: the weights of a few Gaussians in each cell of each kind of bar, and their settings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.decoder.settings import TempoRange
from levada.beat_tracking.patterns.bars import cells_of
from levada.beat_tracking.patterns.mixture import Mixture
from levada.errors import InputError, check_integers, check_number
from levada.io.metres import Metre, beats_in, sorted_metres
from levada.learning.card import Card
from levada.learning.model_folder import write_model

__all__ = ["NETWORK", "BayesSettings", "Patterns"]

NETWORK = "bayes"

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class BayesSettings:
    """Settings of learning and decoding, checked when made.

    Raises
    ------
    InputError
        If a value is out of range; the message names the field.
    """

    cells: int = 16
    """Cells that a beat is divided into."""
    edges_hz: tuple[float, ...] = (250.0,)
    """Frequencies that separate the bands of onset strength."""
    every: int = 1
    """Length of a frame, in hundredths of a second."""
    components: int = 12
    """Gaussians that all cells share."""
    patterns: int = 2
    """Greatest number of patterns of each metre."""
    bars_per_pattern: int = 24
    """Bars for each further pattern."""
    shrinkage: float = 2.0
    """Weight of the prior, in visits: a cell's is its mean over the beats, a pattern's that of its metre."""
    smoothing: float = 0.25
    """Weight of each neighbour in the smoothing of cells."""
    trust: float = 0.5
    """Weight of the log likelihood: neighbouring frames are not independent."""
    pattern_change: float = 0.0
    """Probability that the pattern is sampled again at the end of a bar."""
    seed: int = 0
    """Of the groups and the Gaussians."""

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "edges_hz", tuple(float(edge) for edge in self.edges_hz))
        except (TypeError, ValueError):
            raise InputError(f"edges_hz must be a list of frequencies, not {self.edges_hz!r}") from None
        check_integers(self, cells=(2, 64), every=(1, 4), components=(1, 64), patterns=(1, 16))
        check_integers(self, bars_per_pattern=(1, 10_000), seed=(0, 2**63 - 1))
        for name, high in (("shrinkage", math.inf), ("smoothing", 0.5), ("trust", 10.0), ("pattern_change", 1.0)):
            check_number(name, getattr(self, name), 0, high)
        rising = all(a < b for a, b in zip((0.0, *self.edges_hz), (*self.edges_hz, 15_000.0), strict=True))
        if not rising:
            raise InputError(f"edges_hz must rise from above 0 to below 15000, not {self.edges_hz}")


@dataclass(frozen=True, eq=False)
class Patterns:
    """Rhythmic patterns, the observation model of a bar pointer.

    Parameters
    ----------
    settings : BayesSettings
    bars : tuple of int or str
        Metre of each pattern; several patterns may have the same.
    shares : float64 [shape=(patterns,)]
        Probability of each pattern among those of its metre.
    mixture : Mixture
        The Gaussians, with their weights over all frames.
    weights : float64 [shape=(beats of all patterns, most cells, components)]
        Their weights in every cell of every beat of every pattern; those of cells that a beat lacks are not used.
    decoder : DecoderSettings
        Tempo and metres as learnt.
    card : Card
    counted : bool
        Whether the labels have positions; if not, bars of one beat stand for beats.
    """

    settings: BayesSettings
    bars: tuple[Metre, ...]
    shares: Floats
    mixture: Mixture
    weights: Floats
    decoder: DecoderSettings
    card: Card
    counted: bool = True

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write them into a folder, as `levada.learning.model_folder.write_model`."""
        write_model(folder, **self.facts(), card=self.card, training=asdict(self.settings), force=force)

    @property
    def beat_cells(self) -> Ints:
        """Number of cells of every beat of every pattern."""
        return np.concatenate([cells_of(metre, self.settings.cells) for metre in self.bars])

    def facts(self) -> dict[str, Any]:
        """Return everything that determines their results, as `write_model` takes it."""
        return {
            "network": NETWORK,
            "settings": {"bars": list(self.bars), "counted": self.counted, **asdict(self.settings)},
            "tensors": {
                "shares": self.shares,
                "means": self.mixture.means,
                "spreads": self.mixture.spreads,
                "background": self.mixture.weights,
                "weights": self.weights,
            },
            "decoder": asdict(self.decoder),
        }

    def restrict(self, *, tempo_bpm: TempoRange | None = None, metres: Sequence[Metre] | None = None) -> Patterns:
        """Return the patterns with another range of tempi, or those of some metres alone.

        Parameters
        ----------
        tempo_bpm, metres : optional
            As in `levada.BeatTracker.track`.

        Raises
        ------
        InputError
            If there are no patterns of a metre, or a value is out of range.
        """
        decoder = self.decoder.restrict(tempo_bpm=tempo_bpm, metres=metres)
        if metres is None:
            return replace(self, decoder=decoder)
        if not self.counted:
            raise InputError("the patterns were learnt from labels without positions: they have no metres to choose")
        unknown = sorted_metres({*decoder.metres} - {*self.bars})
        if unknown:
            raise InputError(
                f"there are patterns of {', '.join(map(str, dict.fromkeys(self.bars)))} beats a bar, and none of "
                f"{', '.join(map(str, unknown))}: choose among those metres, or another model"
            )
        kept = [index for index, beats in enumerate(self.bars) if beats in decoder.metres]
        rows = np.repeat(np.arange(len(self.bars)), [beats_in(metre) for metre in self.bars])
        cells = self.beat_cells[np.isin(rows, kept)]
        return replace(
            self,
            bars=tuple(self.bars[index] for index in kept),
            shares=self.shares[kept],
            weights=self.weights[np.isin(rows, kept), : cells.max()],
            decoder=decoder,
        )

    def __post_init__(self) -> None:
        components, dimensions = self.mixture.means.shape
        bands = len(self.settings.edges_hz) + 1
        for name, values, shape in (
            ("shares", self.shares, (len(self.bars),)),
            ("weights", self.weights, (len(self.beat_cells), int(self.beat_cells.max()), components)),
            ("spreads", self.mixture.spreads, (components, bands)),
            ("background", self.mixture.weights, (components,)),
        ):
            if values.shape != shape:
                raise InputError(f"{name} of patterns have the shape {values.shape} and should have {shape}")
            if not (np.isfinite(values).all() and (values > 0).all()):
                raise InputError(f"{name} of patterns must be above 0")
        if dimensions != bands:
            raise InputError(f"patterns of {dimensions} bands, and edges of {bands}")
        if set(self.bars) != set(self.decoder.metres):
            raise InputError(f"patterns of bars of {self.bars}, and a decoder for metres of {self.decoder.metres}")
