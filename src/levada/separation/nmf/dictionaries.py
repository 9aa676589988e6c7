"""Settings and dictionaries of supervised NMF, and their model folders."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.errors import InputError, check_integers, check_number, settings_from
from levada.learning.card import CONFIG, Card
from levada.learning.model_folder import ModelFolder, wrap_damage, write_model
from levada.separation.stft import N_BANDS

__all__ = ["CONVOLUTIVE", "NETWORK", "Dictionaries", "NmfSettings", "load"]

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

    def save(self, folder: str | Path, *, force: bool = False) -> None:
        """Write them into a folder, as `levada.learning.model_folder.write_model`."""
        settings = asdict(self.settings)
        write_model(
            folder,
            network=NETWORK,
            settings={"instruments": list(self.instruments), **settings},
            tensors={f"bases.{index}": basis for index, basis in enumerate(self.bases)},
            card=self.card,
            decoder={},
            training=settings,
            force=force,
        )

    @property
    def context_frames(self) -> int:
        """Frames on either side that the mask of a frame depends on: the frames of a basis with every update."""
        return (self.settings.steps + 1) * (self.settings.taps - 1)


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
