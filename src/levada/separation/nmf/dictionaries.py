"""Settings and dictionaries of supervised NMF, and their model folders."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError, check_integers, check_number, settings_from
from levada.learning.card import CONFIG, Card
from levada.learning.model_folder import ModelFolder, wrap_damage, write_model
from levada.separation.stft import N_BANDS

__all__ = ["CONVOLUTIVE", "NETWORK", "Dictionaries", "NmfSettings", "joined", "load"]

Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class NmfSettings:
    """Settings of the learning of bases and of the masks computed from them.

    Raises
    ------
    InputError
        If a value is out of range; the message names the field.
    """

    bases: int = 8
    """Bases of each instrument."""
    taps: int = 1
    """Frames of a basis; more than 1 is the convolutive variant."""
    bands: bool = False
    """Whether bases are of the bands of `levada.separation.stft` and not of its bins: a seventh of the time."""
    learning_steps: int = 60
    """Updates of bases and activations while learning."""
    steps: int = 30
    """Updates of the activations of a mixture; more fit the bases more closely, which did not improve scores."""
    exponent: float = 1.0
    """Exponent of estimated magnitudes, to which masks are proportional."""
    seed: int = 0
    """Of the frames from which bases are initialised."""

    def __post_init__(self) -> None:
        steps = {"learning_steps": (1, 10_000), "steps": (1, 1000)}
        check_integers(self, bases=(1, 256), taps=(1, 64), seed=(0, 2**63 - 1), **steps)
        if not isinstance(self.bands, bool):
            raise InputError(f"bands must be true or false, not {self.bands!r}")
        check_number("exponent", self.exponent, 0.1, 10)

    def is_like(self, other: NmfSettings) -> bool:
        """Whether bases of both are of the same shape but for their number."""
        return (self.taps, self.bands) == (other.taps, other.bands)


MOST_BASES = 64
"""Of an instrument in dictionaries of several trainings: a limit of time, not tuned."""
NETWORK = "nmf"
"""Kind of model in model folders."""
CONVOLUTIVE = NmfSettings(taps=8, bands=True)
"""Bases of 0.2 s, in bands."""


@dataclass(frozen=True, eq=False)
class Dictionaries:
    """Bases of the spectra of each instrument.

    Parameters
    ----------
    instruments : tuple of str
        Instruments that are separated.
    bases : tuple of float32 [shape=(bases, taps, bins or bands)]
        Of each instrument: magnitudes, each basis with sum 1. All 0 where the instrument was silent.
    card : Card
    settings : NmfSettings

    Raises
    ------
    InputError
        If shapes or values are wrong.
    """

    instruments: tuple[str, ...]
    bases: tuple[Floats32, ...]
    card: Card
    settings: NmfSettings = NmfSettings()

    def __post_init__(self) -> None:
        object.__setattr__(self, "instruments", tuple(self.instruments))
        object.__setattr__(self, "bases", tuple(np.asarray(basis, np.float32) for basis in self.bases))
        if not self.instruments or len(set(self.instruments)) != len(self.instruments):
            raise InputError(f"the instruments must be different, not {', '.join(self.instruments) or 'none'}")
        if len(self.bases) != len(self.instruments):
            raise InputError(f"dictionaries of {len(self.bases)} for {len(self.instruments)} instruments")
        rows = N_BANDS if self.settings.bands else self.bases[0].shape[-1] if self.bases[0].ndim else 0
        right = (self.settings.bases, self.settings.taps, rows)
        for name, basis in zip(self.instruments, self.bases, strict=True):
            if basis.shape != right or math.prod(right) == 0:
                raise InputError(f"the bases of {name} have the shape {basis.shape} and should have {right}")
            if not (np.isfinite(basis).all() and (basis >= 0).all()):
                raise InputError(f"the bases of {name} must be numbers from 0 upwards")

    def restricted(self, instruments: Sequence[str]) -> Dictionaries:
        """Return the dictionaries of some of the instruments."""
        bases = [self.bases[self.instruments.index(name)] for name in instruments]
        return replace(self, instruments=tuple(instruments), bases=tuple(bases))

    def facts(self) -> dict[str, Any]:
        """Return everything that determines their results, as `levada.learning.model_folder.write_model` takes it."""
        return {
            "network": NETWORK,
            "settings": {"instruments": list(self.instruments), **asdict(self.settings)},
            "tensors": {f"bases.{index}": basis for index, basis in enumerate(self.bases)},
            "decoder": {},
        }

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write them into a folder, as `levada.learning.model_folder.write_model`."""
        write_model(folder, **self.facts(), card=self.card, training=asdict(self.settings), force=force)

    @property
    def context_frames(self) -> int:
        """Frames on either side that the mask of a frame depends on: the frames of a basis with every update."""
        return (self.settings.steps + 1) * (self.settings.taps - 1)


def joined(before: Dictionaries | None, after: Dictionaries, instruments: Sequence[str]) -> Dictionaries:
    """Join dictionaries of two trainings: instruments of both have the bases of both.

    Parameters
    ----------
    before : Dictionaries or None
        Those learnt earlier.
    after : Dictionaries
        The new ones, with the card and the settings of the result.
    instruments : sequence of str
        Of the result; without bases, an instrument is silent.

    Returns
    -------
    Dictionaries
        At most `MOST_BASES` of an instrument: the oldest ones are left out.

    Raises
    ------
    InputError
        If they are of different kinds.
    """
    if before is not None and not after.settings.is_like(before.settings):
        kinds = ["convolutive" if one.settings.taps > 1 else "plain" for one in (before, after)]
        raise InputError(f"the model has {kinds[0]} dictionaries, which {kinds[1]} ones cannot be added to")
    parts = [dict(zip(one.instruments, one.bases, strict=True)) for one in (before, after) if one is not None]
    empty = np.zeros((0, *after.bases[0].shape[1:]), np.float32)
    bases = [np.concatenate([part.get(name, empty) for part in parts])[-MOST_BASES:] for name in instruments]
    most = max(map(len, bases))
    padded = tuple(np.pad(one, [(0, most - len(one)), (0, 0), (0, 0)]) for one in bases)
    return replace(after, instruments=tuple(instruments), bases=padded, settings=replace(after.settings, bases=most))


def load(folder: str | Path | ModelFolder) -> Dictionaries:
    """Read dictionaries from a model folder.

    Raises
    ------
    InputError
        If it holds none, or is damaged.
    """
    stored = ModelFolder.of(folder)
    settings = stored.settings(NETWORK, noun="dictionaries")
    names = settings.pop("instruments", None)
    if not (isinstance(names, list) and names and all(isinstance(name, str) and name for name in names)):
        raise InputError(f"is damaged: its instruments are {names!r}", path=stored.path / CONFIG)
    expected = [f"bases.{index}" for index in range(len(names))]
    wrong = sorted(set(expected) ^ stored.tensors.keys())
    if wrong:
        raise InputError(f"is damaged: {', '.join(wrong)} is missing or unknown", path=stored.path)
    with wrap_damage(stored.path):
        bases = tuple(stored.tensors[name] for name in expected)
        return Dictionaries(tuple(names), bases, stored.card, settings_from(NmfSettings, settings))
