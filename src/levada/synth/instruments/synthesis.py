"""Our own voices: what there is to be struck and played without anything to install."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.synth.instruments.drums import DRUMS
from levada.synth.instruments.idiophones import IDIOPHONES
from levada.synth.instruments.pitched import PITCHED
from levada.synth.instruments.shakers import SHAKERS
from levada.synth.instruments.strokes import RATE, check_stroke
from levada.synth.instruments.whistles import WHISTLES

__all__ = ["STRUCK", "Kind", "Struck", "SynthesisedInstrument", "synthesise"]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator

TAKES = 4
SOFTEST = 0.2


class Struck(Protocol):
    """One instrument that can be struck."""

    def strike(self, stroke: str, velocity: float, rng: Generator) -> npt.NDArray[np.float64]:
        """The sound of one stroke, at some level or other [shape=(samples,)]."""
        ...


class Kind(Protocol):
    """A voice: a kind of instrument, of which one may draw one."""

    @property
    def level(self) -> float:
        """Amplitude beside a snare drum."""
        ...

    def sample_params(self, rng: Generator) -> Struck:
        """One instrument of this kind."""
        ...


STRUCK: Mapping[str, Kind] = {**DRUMS, **IDIOPHONES, **SHAKERS, **WHISTLES}
"""Voices that are struck, by name."""


class SynthesisedInstrument:
    """One of our own instruments; remembers a few takes of each stroke, as playing all anew would be slow.

    Parameters
    ----------
    voice : str
    rng : numpy.random.Generator
        Of what is drawn: its size, its skin, its player's hands.

    Raises
    ------
    InputError
        If there is no such voice.
    """

    def __init__(self, voice: str, rng: Generator) -> None:
        if voice not in STRUCK and voice not in PITCHED:
            raise InputError(f"there is no voice {voice!r}; there are {', '.join([*STRUCK, *PITCHED])}")
        self.level = (STRUCK[voice] if voice in STRUCK else PITCHED[voice]).level
        self.struck = STRUCK[voice].sample_params(rng) if voice in STRUCK else None
        self.player = None if voice in STRUCK else PITCHED[voice].sample_params(rng)
        self.takes: dict[tuple[object, ...], Floats32] = {}

    def play(self, stroke: str, *, velocity: float, pitch_hz: float, duration_s: float, rng: Generator) -> Floats32:
        """The sound of one stroke or note, at 44.1 kHz from its onset on [shape=(samples,)]."""
        hard = max(SOFTEST, 0.35 + 0.3 * round((velocity - 0.35) / 0.3))
        if self.player is not None:
            held_s = float(np.ceil(duration_s * 8) / 8)
            key: tuple[object, ...] = (round(pitch_hz, 1), held_s, hard)
            if key not in self.takes:
                self.takes[key] = _levelled(self.player.note(pitch_hz, held_s, hard), self.level)
        else:
            check_stroke(stroke)
            key = (stroke, hard, int(rng.integers(TAKES)))
            if key not in self.takes and self.struck is not None:
                self.takes[key] = _levelled(self.struck.strike(stroke, hard, rng), self.level)
        return self.takes[key] * np.float32(velocity)


def _levelled(sound: npt.NDArray[np.float64], level: float) -> Floats32:
    """A sound with that peak, which ends in silence."""
    fade = min(len(sound), RATE // 200)
    ended = np.concatenate([sound[: len(sound) - fade], sound[len(sound) - fade :] * np.linspace(1, 0, fade)])
    return np.asarray(ended * (level / max(float(np.abs(ended).max()), 1e-9)), np.float32)


def synthesise(voice: str, rng: Generator) -> SynthesisedInstrument:
    """One of our own instruments, drawn for one performance.

    Raises
    ------
    InputError
        If there is no such voice.
    """
    return SynthesisedInstrument(voice, rng)
