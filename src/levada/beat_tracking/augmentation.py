"""Augmentation of log spectrograms together with their beats.

Each change is exact or nearly so on a log spectrogram, and takes a millisecond: a change of tempo resamples frames (as
in Maia et al., ISMIR 2022), a semitone shifts bands by one, a gain or an equaliser is added, noise adds magnitudes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectrogram import LOG_BANDS, N_BANDS, N_SEMITONES, SEMITONES
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
    "limit_band",
    "mask",
    "shift_pitch",
]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator

SILENCE = np.float32(np.log(1e-6))


@dataclass(frozen=True)
class Augmentation:
    """Ranges of the random changes; zero leaves a property unchanged.

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
        Greatest level of noise, relative to the recording's mean level; a quarter of the excerpts get none.
    hidden : float
        Probability that a few bands are masked, and that a few frames are.
    band_limit : float
        Probability that the highest frequencies are removed, as by a telephone or a codec, and that the lowest are.
    """

    tempo: float = 0.15
    pitch_bands: float = 2.0
    level_db: float = 5.0
    tone_db: float = 3.0
    noise_db: float = -15.0
    hidden: float = 0.2
    band_limit: float = 0.0

    def __post_init__(self) -> None:
        sizes = (self.pitch_bands, self.level_db, self.tone_db)
        valid = (
            0 <= self.tempo < 1
            and all(0 <= size < np.inf for size in sizes)
            and 0 <= self.hidden <= 1
            and 0 <= self.band_limit <= 1
        )
        if not valid or not self.noise_db < np.inf:
            raise InputError(f"augmentation out of range: {self}")


NO_AUGMENTATION = Augmentation(tempo=0, pitch_bands=0, level_db=0, tone_db=0, noise_db=-np.inf, hidden=0, band_limit=0)


def augment(bands: Floats32, beats: Beats, *, config: Augmentation, rng: Generator) -> tuple[Floats32, Beats, float]:
    """Change a spectrogram and its beats at random.

    Parameters
    ----------
    bands : float32 [shape=(frames, 81)] or [shape=(frames, 142)]
        Log-band spectrogram, with semitone bands beside it or not.
    beats : Beats
        Beats in it.
    config : Augmentation
    rng : numpy.random.Generator

    Returns
    -------
    bands : float32 [shape=(frames', bands)]
    beats : Beats
    factor : float
        The new duration over the old one.
    """
    factor = float(np.exp(rng.uniform(-config.tempo, config.tempo)))
    if config.tempo:
        bands, beats = change_tempo(bands, beats, factor=factor)
    if config.pitch_bands:
        bands = shift_pitch(bands, bands_up=float(rng.uniform(-config.pitch_bands, config.pitch_bands)))
    if config.level_db or config.tone_db:
        gains_db = rng.normal(0, config.tone_db, 6) + rng.normal(0, config.level_db)
        bands = equalise(bands, gains_db=gains_db)
    if np.isfinite(config.noise_db) and rng.random() < 0.75:
        bands = add_noise(bands, level_db=config.noise_db - float(rng.uniform(0, 30)), rng=rng)
    if config.band_limit:
        bands = limit_band(bands, probability=config.band_limit, rng=rng)
    if config.hidden:
        bands = mask(bands, probability=config.hidden, rng=rng)
    return bands, beats, factor


def change_tempo(bands: Floats32, beats: Beats, *, factor: float) -> tuple[Floats32, Beats]:
    """Stretch a spectrogram in time by a factor at the same pitch, by interpolating frames."""
    if not 0 < factor < np.inf:
        raise InputError(f"a recording cannot be stretched by {factor}")
    frames = max(min(1, len(bands)), round(len(bands) * factor))
    return _interpolate_rows(bands, np.arange(frames) / factor), beats.stretch(factor)


def shift_pitch(bands: Floats32, *, bands_up: float) -> Floats32:
    """Shift the spectrum up by a number of bands, whole or not; the edges are repeated."""
    shifted = [
        _interpolate_rows(block.T, np.arange(block.shape[1]) - bands_up).T
        for block in np.split(bands, [N_BANDS], axis=1)
        if block.shape[1]
    ]
    return np.concatenate(shifted, 1)


def equalise(bands: Floats32, *, gains_db: npt.ArrayLike) -> Floats32:
    """Add gains in dB, given at points evenly spaced from the lowest band to the highest and interpolated between."""
    gains = np.asarray(gains_db, np.float64) * np.log(10) / 20
    by_band = np.interp(_places(bands.shape[1]), np.linspace(0, 1, len(gains)), gains)
    return np.asarray(bands + by_band.astype(np.float32), np.float32)


def add_noise(bands: Floats32, *, level_db: float, rng: Generator) -> Floats32:
    """Add stationary noise, white to brown, at a level relative to the recording's mean magnitude."""
    if not len(bands):
        return bands
    magnitudes = np.exp(bands)
    mean = np.log(magnitudes[:, :N_BANDS].mean(dtype=np.float64)) + level_db * np.log(10) / 20
    slope = rng.uniform(-2, 0.5) * (2 * _places(bands.shape[1]) - 1)
    noise = np.sqrt(rng.standard_exponential(bands.shape, np.float32))  # Rayleigh's distribution but for its scale
    noise *= np.float32(0.8 * np.sqrt(2))
    noise += np.float32(1e-3)
    noise *= np.exp(mean + slope).astype(np.float32)
    noise += magnitudes
    return np.asarray(np.log(noise, out=noise), np.float32)


def limit_band(bands: Floats32, *, probability: float, rng: Generator) -> Floats32:
    """Remove the highest bands, or the lowest, or both, each with a probability and from a random band on."""
    places, gains = _places(bands.shape[1]), np.zeros(bands.shape[1])
    if rng.random() < probability:
        above = places - rng.uniform(0.5, 0.97)
        gains -= above.clip(0) * N_BANDS * rng.uniform(0.3, 2)
    if rng.random() < probability:
        below = rng.uniform(0.02, 0.25) - places
        gains -= below.clip(0) * N_BANDS * rng.uniform(0.1, 1)
    return np.asarray(np.maximum(bands + gains, SILENCE), np.float32)


def mask(bands: Floats32, *, probability: float, rng: Generator) -> Floats32:
    """Mask a few bands, or up to a second of frames, or both, each with a probability."""
    changed = bands.copy()
    if rng.random() < probability:
        n_bands = min(N_BANDS, bands.shape[1])
        first = int(rng.integers(n_bands))
        last = first + int(rng.integers(2, 12))
        places = _places(bands.shape[1]) * (n_bands - 1)
        changed[:, (places > first - 0.5) & (places < last - 0.5)] = SILENCE
    if rng.random() < probability:
        first = int(rng.integers(max(1, len(bands))))
        changed[first : first + int(rng.integers(20, 100))] = SILENCE
    return changed


@lru_cache(maxsize=8)
def _places(n_bands: int) -> npt.NDArray[np.float64]:
    """Return where each band lies between the lowest (0) and the highest (1) of the main ones [shape=(bands,)]."""
    if n_bands != N_BANDS + N_SEMITONES:
        return np.linspace(0, 1, n_bands)
    main = np.linspace(0, 1, N_BANDS)
    return np.concatenate([main, np.interp(np.log(SEMITONES.centres_hz), np.log(LOG_BANDS.centres_hz), main)])


def fix_length(rows: Floats32, frames: int, *, fill: float = 0.0) -> Floats32:
    """Return the first rows of a number, padded where there are fewer."""
    if len(rows) >= frames:
        return rows[:frames]
    return np.concatenate([rows, np.full((frames - len(rows), rows.shape[1]), fill, np.float32)])


def _interpolate_rows(rows: Floats32, at: npt.NDArray[np.floating]) -> Floats32:
    """Interpolate rows at fractional indices; the first and the last are repeated beyond the ends."""
    at = at.clip(0, max(0, len(rows) - 1))
    low = at.astype(int)
    weight = (at - low)[:, None].astype(np.float32)
    mixed: Floats32 = rows[low] * (1 - weight) + rows[np.minimum(low + 1, len(rows) - 1)] * weight
    return mixed
