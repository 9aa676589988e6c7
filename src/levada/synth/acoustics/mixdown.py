"""Multitrack mixdown: one microphone for each instrument, one room, and a mixture that is the sum of the stems.

Every step is linear in each stem, or the stems would not sum to the mixture: no compressor, no noise, no overload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from levada.synth.acoustics import recorders, rooms
from levada.synth.acoustics.noise import Floats32, Generator, rms
from levada.synth.instruments import RATE

__all__ = ["mix_down"]

CLOSE = 0.4  # probability of close microphones, with little of the room
BALANCE = 0.6  # part of the difference in level, in decibels, that the mix removes
GAIN_SPREAD_DB, TONE_SPREAD_DB = 2.5, 3.0
PEAK = 0.7


def mix_down(players: Mapping[str, Sequence[Floats32]], *, rng: Generator, rate: int = RATE) -> dict[str, Floats32]:
    """Mix dry parts in one room, every player at a position of their own.

    Parameters
    ----------
    players : mapping of str to sequence of float32 [shape=(samples,)]
        Instrument -> the dry signal of each of its players.
    rng : numpy.random.Generator
    rate : int
        Of the samples, in Hz. Rooms are computed at 44.1 kHz and resampled to it.

    Returns
    -------
    dict of str to float32 [shape=(samples,)]
        A stem for each instrument; their sum does not clip.
    """
    place = "booth" if rng.random() < CLOSE else rooms.sample_room_type(rng)
    wet = {name: _reverberant(parts, place, rng, rate) for name, parts in players.items()}
    levels_db = {name: 20 * np.log10(max(rms(stem), 1e-9)) for name, stem in wet.items()}
    middle = float(np.median(list(levels_db.values()))) if levels_db else 0.0
    for name, stem in wet.items():
        gain_db = BALANCE * (middle - levels_db[name]) + rng.normal(0, GAIN_SPREAD_DB)
        wet[name] = stem * np.float32(10 ** (gain_db / 20))
    peak = float(np.abs(sum(wet.values(), np.zeros(1, np.float32))).max())
    peak = max([peak, *(float(np.abs(stem).max()) for stem in wet.values())])
    return {name: stem * np.float32(PEAK / max(peak, 1e-9)) for name, stem in wet.items()}


def _reverberant(parts: Sequence[Floats32], place: str, rng: Generator, rate: int) -> Floats32:
    wet = np.zeros(len(parts[0]), np.float32)
    for part in parts:
        wet += rooms.reverberate(part, rooms.sample_room(place, rng=rng), rng=rng, rate=rate)
    return recorders.random_equaliser(wet, rng=rng, spread_db=TONE_SPREAD_DB, rate=rate)
