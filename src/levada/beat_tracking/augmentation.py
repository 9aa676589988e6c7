"""Spectrograms and beats changed together: one annotated minute becomes many that might have been.

Changes are made to log-band spectrograms, where each is exact or nearly so and takes a millisecond: a tempo is a rate
of frames (as in Maia et al., ISMIR 2022), a semitone is one band up, a gain or an equaliser an addition, a noise an
addition of magnitudes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.io.beats import Beats

__all__ = [
    "NO_AUGMENTATION",
    "Augmentation",
    "add_noise",
    "augment",
    "change_tempo",
    "equalise",
    "fix_length",
    "mask",
    "shift_pitch",
]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator

SILENCE = np.float32(np.log(1e-6))


@dataclass(frozen=True)
class Augmentation:
    """How much a recording is changed; zero leaves a property as it is.

    Parameters
    ----------
    tempo : float
        Greatest change of tempo either way, as a logarithm: 0.1 is about 10 %.
    pitch_bands : float
        Greatest change of pitch either way, in bands; a band is a semitone but for the lowest few.
    level_db : float
        Standard deviation of the level.
    tone_db : float
        Standard deviation of a smooth equaliser's gains.
    noise_db : float
        Loudest noise added, relative to the recording's mean level; a quarter of the excerpts get none.
    hidden : float
        Probability that a few bands, and that a moment, are lost.
    """

    tempo: float = 0.15
    pitch_bands: float = 2.0
    level_db: float = 5.0
    tone_db: float = 3.0
    noise_db: float = -15.0
    hidden: float = 0.2

    def __post_init__(self) -> None:
        sizes = (self.pitch_bands, self.level_db, self.tone_db)
        sound = 0 <= self.tempo < 1 and all(0 <= size < np.inf for size in sizes) and 0 <= self.hidden <= 1
        if not sound or not self.noise_db < np.inf:
            raise InputError(f"these changes make no sense: {self}")


NO_AUGMENTATION = Augmentation(tempo=0, pitch_bands=0, level_db=0, tone_db=0, noise_db=-np.inf, hidden=0)


def augment(bands: Floats32, beats: Beats, *, by: Augmentation, rng: Generator) -> tuple[Floats32, Beats, float]:
    """A spectrogram as it might have been, and the beats it then has.

    Parameters
    ----------
    bands : float32 [shape=(frames, 81)]
        Log-band spectrogram.
    beats : Beats
        Beats in it.
    by : Augmentation
    rng : numpy.random.Generator

    Returns
    -------
    bands : float32 [shape=(frames', 81)]
    beats : Beats
    factor : float
        How many times as long it now lasts.
    """
    factor = float(np.exp(rng.uniform(-by.tempo, by.tempo)))
    if by.tempo:
        bands, beats = change_tempo(bands, beats, factor=factor)
    if by.pitch_bands:
        bands = shift_pitch(bands, bands_up=float(rng.uniform(-by.pitch_bands, by.pitch_bands)))
    if by.level_db or by.tone_db:
        gains_db = rng.normal(0, by.tone_db, 6) + rng.normal(0, by.level_db)
        bands = equalise(bands, gains_db=gains_db)
    if np.isfinite(by.noise_db) and rng.random() < 0.75:
        bands = add_noise(bands, level_db=by.noise_db - float(rng.uniform(0, 30)), rng=rng)
    if by.hidden:
        bands = mask(bands, probability=by.hidden, rng=rng)
    return bands, beats, factor


def change_tempo(bands: Floats32, beats: Beats, *, factor: float) -> tuple[Floats32, Beats]:
    """Make it last `factor` times as long at the same pitch, by reading frames at another rate."""
    if not 0 < factor < np.inf:
        raise InputError(f"a recording cannot last {factor} times as long")
    frames = max(min(1, len(bands)), round(len(bands) * factor))
    return _between(bands, np.arange(frames) / factor), beats.stretch(factor)


def shift_pitch(bands: Floats32, *, bands_up: float) -> Floats32:
    """Move the spectrum up by a number of bands, whole or not; the edges are repeated."""
    return _between(bands.T, np.arange(bands.shape[1]) - bands_up).T


def equalise(bands: Floats32, *, gains_db: npt.ArrayLike) -> Floats32:
    """Add gains, in dB, at places spread evenly from the lowest band to the highest, and between them."""
    gains = np.asarray(gains_db, np.float64) * np.log(10) / 20
    places = np.linspace(0, bands.shape[1] - 1, len(gains))
    return np.asarray(bands + np.interp(np.arange(bands.shape[1]), places, gains), np.float32)


def add_noise(bands: Floats32, *, level_db: float, rng: Generator) -> Floats32:
    """Add steady noise, white to brown, so many dB beside the recording's mean magnitude."""
    if not len(bands):
        return bands
    mean = np.log(np.exp(bands, dtype=np.float64).mean()) + level_db * np.log(10) / 20
    slope = rng.uniform(-2, 0.5) * np.linspace(-1, 1, bands.shape[1])
    flutter = rng.rayleigh(0.8, bands.shape)
    return np.asarray(np.logaddexp(bands, mean + slope + np.log(flutter + 1e-3)), np.float32)


def mask(bands: Floats32, *, probability: float, rng: Generator) -> Floats32:
    """Lose a few bands, or a moment of up to a second, or both."""
    changed = bands.copy()
    if rng.random() < probability:
        first = int(rng.integers(bands.shape[1]))
        changed[:, first : first + int(rng.integers(2, 12))] = SILENCE
    if rng.random() < probability:
        first = int(rng.integers(max(1, len(bands))))
        changed[first : first + int(rng.integers(20, 100))] = SILENCE
    return changed


def fix_length(rows: Floats32, frames: int, *, fill: float = 0.0) -> Floats32:
    """Exactly so many rows: the first ones, and filled ones where there are too few."""
    if len(rows) >= frames:
        return rows[:frames]
    return np.concatenate([rows, np.full((frames - len(rows), rows.shape[1]), fill, np.float32)])


def _between(rows: Floats32, at: npt.NDArray[np.floating]) -> Floats32:
    """Rows at fractional places, between their neighbours; the first and the last are repeated beyond the ends."""
    at = at.clip(0, max(0, len(rows) - 1))
    low = at.astype(int)
    share = (at - low)[:, None].astype(np.float32)
    mixed: Floats32 = rows[low] * (1 - share) + rows[np.minimum(low + 1, len(rows) - 1)] * share
    return mixed
