"""Instruments: what turns strokes and notes into sound.

An *instrument* has ``play(stroke, velocity=, pitch_hz=, duration_s=, rng=)``, which gives the sound of one stroke at
44.1 kHz from its onset on. *Sounds* are where instruments come from: functions from the name of a voice and a
generator to one instrument, drawn for one performance. `synthesise` has every voice and needs nothing installed;
`levada.synth.instruments.soundfont` has SoundFonts, `levada.synth.instruments.one_shots` folders of one-shots, and
`mix_sources` takes now from one and then from another.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.synth.instruments.pitched import PITCHED
from levada.synth.instruments.strokes import RATE, STROKES
from levada.synth.instruments.synthesis import STRUCK, synthesise

__all__ = ["PITCHED", "RATE", "STROKES", "STRUCK", "Instrument", "InstrumentSource", "mix_sources", "synthesise"]

Generator = np.random.Generator


class Instrument(Protocol):
    """One instrument, which sounds like itself at every stroke and never twice the same."""

    def play(
        self, stroke: str, *, velocity: float, pitch_hz: float, duration_s: float, rng: Generator
    ) -> npt.NDArray[np.float32]:
        """The sound of a stroke, or of a note where the voice is pitched.

        Parameters
        ----------
        stroke : str
            A name in `STROKES`; notes do not look at it.
        velocity : float
            How hard, from 0 to 1.
        pitch_hz, duration_s : float
            Of a note; strokes do not look at them.
        rng : numpy.random.Generator

        Returns
        -------
        float32 [shape=(samples,)]
        """
        ...


InstrumentSource = Callable[[str, Generator], Instrument]


def mix_sources(shares: Sequence[tuple[float, InstrumentSource]]) -> InstrumentSource:
    """Sounds that come now from one source and then from another.

    Parameters
    ----------
    shares : sequence of (float, Sounds)
        How often each is asked first; where it lacks the voice (`LookupError`) the others are, in their order.

    Raises
    ------
    InputError
        If the shares are not numbers from 0 up, one of them above it.
    """
    chances = [float(share) for share, _ in shares]
    if not (all(0 <= chance < float("inf") for chance in chances) and sum(chances) > 0):
        raise InputError(f"shares of sounds are numbers from 0 up, and not all of them 0: {chances}")
    return partial(_one_of, tuple(shares))


def _one_of(shares: Sequence[tuple[float, InstrumentSource]], voice: str, rng: Generator) -> Instrument:
    chances = np.array([share for share, _ in shares])
    first = int(rng.choice(len(shares), p=chances / chances.sum()))
    for index in (first, *(other for other in range(len(shares)) if other != first)):
        try:
            return shares[index][1](voice, rng)
        except LookupError:
            continue
    raise LookupError(f"there is nobody who has a {voice}")
