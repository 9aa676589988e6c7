"""A microphone for each instrument, one room for all, and a desk: stems that sum to the mixture.

Nothing here depends on what the others play, or the stems would not sum: no compressor over all, no noise, no overload.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from levada.io.audio import resample
from levada.synth.acoustics import recorders, rooms
from levada.synth.acoustics.noise import Floats32, Generator, rms
from levada.synth.instruments import RATE

__all__ = ["mix_down"]

CLOSE = 0.4  # how often microphones are close to the drums, and the room is hardly heard
BALANCE = 0.6  # how far, on the scale of decibels, whoever mixes brings loud and soft together
TASTE_DB, TONE_DB = 2.5, 3.0
PEAK = 0.7


def mix_down(players: Mapping[str, Sequence[Floats32]], *, rng: Generator, rate: int = RATE) -> dict[str, Floats32]:
    """Record what each plays in one room, every player in a place of its own, and mix.

    Parameters
    ----------
    players : mapping of str to sequence of float32 [shape=(samples,)]
        For each instrument those who play it.
    rng : numpy.random.Generator
    rate : int
        Of the samples, in Hz. Rooms are computed at 44.1 kHz and resampled to it.

    Returns
    -------
    dict of str to float32 [shape=(samples,)]
        A stem for each instrument; their sum does not clip.
    """
    weights = np.array([place.weight for place in rooms.ROOM_TYPES.values()])
    place = (
        "booth" if rng.random() < CLOSE else list(rooms.ROOM_TYPES)[rng.choice(len(weights), p=weights / weights.sum())]
    )
    heard = {name: _heard(parts, place, rng, rate) for name, parts in players.items()}
    levels_db = {name: 20 * np.log10(max(rms(stem), 1e-9)) for name, stem in heard.items()}
    middle = float(np.median(list(levels_db.values()))) if levels_db else 0.0
    for name, stem in heard.items():
        gain_db = BALANCE * (middle - levels_db[name]) + rng.normal(0, TASTE_DB)
        heard[name] = stem * np.float32(10 ** (gain_db / 20))
    peak = float(np.abs(sum(heard.values(), np.zeros(1, np.float32))).max())
    peak = max([peak, *(float(np.abs(stem).max()) for stem in heard.values())])
    return {name: stem * np.float32(PEAK / max(peak, 1e-9)) for name, stem in heard.items()}


def _heard(parts: Sequence[Floats32], place: str, rng: Generator, rate: int) -> Floats32:
    from scipy.signal import oaconvolve

    wet = np.zeros(len(parts[0]), np.float32)
    for part in parts:
        answer = resample(rooms.impulse_response(rooms.sample_room(place, rng=rng), rng=rng), rate=RATE, to=rate)
        wet += np.asarray(oaconvolve(part, answer[: len(part)])[: len(part)], np.float32)
    return recorders.random_equaliser(wet, rng=rng, spread_db=TONE_DB, rate=rate)
