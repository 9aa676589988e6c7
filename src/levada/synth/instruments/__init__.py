"""Instruments: synthesisers of strokes and notes.

An *instrument* has ``play(stroke, velocity=, pitch_hz=, duration_s=, rng=)``, which gives the sound of one stroke at
44.1 kHz from its onset on. An
*instrument source* is a function from the name of a voice and a
generator to one instrument, sampled for one performance. `synthesise` has every voice and needs nothing installed;
`levada.synth.instruments.soundfont` has SoundFonts, `levada.synth.instruments.one_shots` folders of one-shots, and
`mix_sources` chooses among several sources.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from levada.errors import InputError
from levada.synth.instruments.pitched import PITCHED
from levada.synth.instruments.signals import Floats32, Generator
from levada.synth.instruments.strokes import RATE, STROKES
from levada.synth.instruments.synthesis import STRUCK, synthesise

__all__ = ["PITCHED", "RATE", "STROKES", "STRUCK", "Instrument", "InstrumentSource", "mix_sources", "synthesise"]


class Instrument(Protocol):
    """One instrument: constant parameters, and variation from stroke to stroke."""

    def play(self, stroke: str, *, velocity: float, pitch_hz: float, duration_s: float, rng: Generator) -> Floats32:
        """Synthesise a stroke, or a note if the voice is pitched.

        Parameters
        ----------
        stroke : str
            A name in `STROKES`; ignored by pitched voices.
        velocity : float
            From 0 to 1.
        pitch_hz, duration_s : float
            Of a note; ignored by percussion.
        rng : numpy.random.Generator

        Returns
        -------
        float32 [shape=(samples,)]
        """
        ...


InstrumentSource = Callable[[str, Generator], Instrument]


def mix_sources(shares: Sequence[tuple[float, InstrumentSource]]) -> InstrumentSource:
    """Combine instrument sources, one of which is chosen for each instrument.

    Parameters
    ----------
    shares : sequence of (float, InstrumentSource)
        Relative probability of each source; where it lacks the voice (`LookupError`), the others are tried in order.

    Raises
    ------
    InputError
        If a probability is negative or infinite, or all are 0.
    """
    chances = [float(share) for share, _ in shares]
    if not (all(0 <= chance < float("inf") for chance in chances) and sum(chances) > 0):
        raise InputError(f"probabilities of instrument sources must be 0 or above, and not all 0: {chances}")
    return partial(_one_of, tuple(shares))


def _one_of(shares: Sequence[tuple[float, InstrumentSource]], voice: str, rng: Generator) -> Instrument:
    chances = np.array([share for share, _ in shares])
    first = int(rng.choice(len(shares), p=chances / chances.sum()))
    for index in (first, *(other for other in range(len(shares)) if other != first)):
        try:
            return shares[index][1](voice, rng)
        except LookupError:
            continue
    raise LookupError(f"no instrument source has the voice {voice}")
