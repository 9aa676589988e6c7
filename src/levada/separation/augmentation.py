"""Stems mixed anew: a few minutes of them become mixtures that nobody played.

Each stem is changed for itself, and the mixture is their sum, so that what belongs to whom stays known exactly.
Loudness, tone, polarity and absence are changed in the spectrum, where they cost nothing; pitch and room in time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.separation.stft import Stft

__all__ = ["AS_IT_IS", "StemAugmentation", "mix"]

Floats32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]
Generator = np.random.Generator

ROOMS, LONGEST_S = 24, 0.7
KNOTS = 7  # of an equaliser's curve, over the octaves


@dataclass(frozen=True)
class StemAugmentation:
    """How far stems are changed; 0 leaves a thing as it is.

    Parameters
    ----------
    remix : float
        Probability that the stems of an excerpt come from different places and songs.
    gain_db : float
        Loudness of each stem, up to so much more or less.
    tone_db : float
        An equaliser for each stem, up to so much at its knots.
    semitones : float
        Pitch and speed of each stem together, up to so much, as a tape has it.
    room : float
        Probability that a stem is put into another room.
    polarity : float
        Probability that a stem is turned upside down.
    drop : float
        Probability that a stem is silent.
    """

    remix: float = 0.9
    gain_db: float = 8.0
    tone_db: float = 6.0
    semitones: float = 1.5
    room: float = 0.15
    polarity: float = 0.5
    drop: float = 0.1

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            most = {"gain_db": 60, "tone_db": 40, "semitones": 12}.get(entry.name, 1)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
                raise InputError(f"{entry.name} must be a number from 0 to {most}, not {value!r}")

    @property
    def reach(self) -> float:
        """How many times as long as wanted a stem must be, for the fastest tape."""
        return float(2 ** (self.semitones / 12))


AS_IT_IS = StemAugmentation(remix=0, gain_db=0, tone_db=0, semitones=0, room=0, polarity=0, drop=0)


def mix(stems: Sequence[Floats32 | None], length: int, *, rate: int, by: StemAugmentation, rng: Generator) -> Complex64:
    """Change stems, each for itself.

    Parameters
    ----------
    stems : sequence of float32 [shape=(samples,)] or None
        At least `length * by.reach` samples each, or silence after them; nothing where there is no such stem.
    length : int
        Samples wanted.
    rate : int
        In Hz.
    by : StemAugmentation
    rng : numpy.random.Generator

    Returns
    -------
    complex64 [shape=(stems, frames, bins)]
        Spectra; their sum is the mixture's.
    """
    transform = Stft(rate)
    out = np.zeros((len(stems), transform.frames(length), transform.bins), np.complex64)
    for own, stem in zip(out, stems, strict=True):
        dropped = rng.random() < by.drop
        if stem is None or dropped or not len(stem):
            continue
        piece = _taped(stem, length, rng.uniform(-by.semitones, by.semitones))
        if rng.random() < by.room:
            piece = _elsewhere(piece, rate, rng)
        own[:] = transform.forward(piece)
        own *= _tone(transform, by, rng) * np.float32(-1 if rng.random() < by.polarity else 1)
    return out


def _taped(stem: Floats32, length: int, semitones: float) -> Floats32:
    """A stretch of that length, faster and higher or slower and lower; silence after the end."""
    if not semitones:
        piece = stem[:length]
    else:
        at = np.arange(length) * 2 ** (semitones / 12)
        piece = np.interp(at[at <= len(stem) - 1], np.arange(len(stem)), stem).astype(np.float32)
    return np.pad(piece, (0, length - len(piece)))


def _tone(transform: Stft, by: StemAugmentation, rng: Generator) -> Floats32:
    """Amplitudes of each bin, smooth over octaves: float32 [shape=(bins,)]."""
    gain_db = rng.uniform(-by.gain_db, by.gain_db)
    knots_db = rng.uniform(-by.tone_db, by.tone_db, KNOTS)
    octaves = np.log2(1 + np.arange(transform.bins)) / np.log2(transform.bins) * (KNOTS - 1)
    return np.asarray(10 ** ((gain_db + np.interp(octaves, np.arange(KNOTS), knots_db)) / 20), np.float32)


def _elsewhere(piece: Floats32, rate: int, rng: Generator) -> Floats32:
    from scipy.signal import oaconvolve

    answer = _answers(rate)[int(rng.integers(ROOMS))]
    return np.asarray(oaconvolve(piece, answer)[: len(piece)], np.float32)


@lru_cache(maxsize=2)
def _answers(rate: int) -> tuple[Floats32, ...]:
    """What some rooms answer to a click, short ones: drawn once."""
    from levada.io import audio
    from levada.synth.acoustics import rooms
    from levada.synth.instruments import RATE

    rng = np.random.default_rng(0)
    places = ("booth", "room", "bar", "street", "hall")
    drawn = [rooms.ring(rooms.draw(places[i % len(places)], rng=rng), rng=rng) for i in range(ROOMS)]
    return tuple(audio.resample(one[: int(LONGEST_S * RATE)], rate=RATE, to=rate) for one in drawn)
