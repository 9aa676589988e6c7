"""Rhythm features to compare recordings by, largely independent of level and timbre.

Two descriptions, both from a spectrogram of 40 mel bands of audio at 8 kHz, 50 frames a second, as in Maia et al.,
"Selective Annotation of Few Data for Beat Tracking of Latin American Music Using Rhythmic Features", TISMIR 7(1), 2024:

- Scale transform magnitudes (Holzapfel and Stylianou, "Scale Transform in Rhythmic Similarity of Music", IEEE TASLP
  19(1), 2011): the autocorrelation of the onset strength in 8-second windows, on an exponential axis where another
  tempo is a shift, and magnitudes of the Fourier transform of that, which no shift changes.
- Onset patterns (Pohle et al., "On Rhythm and General Music Similarity", ISMIR 2009): how strongly the bands pulse at
  each of 25 modulation frequencies from 0.5 to 14 Hz. These depend on the tempo.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectrogram import FrontEnd, stream_log_spectrogram
from levada.data import Track
from levada.errors import InputError
from levada.io import audio
from levada.io.onset_strength import rise
from levada.learning.frame_grid import FrameGrid

__all__ = [
    "FPS", "RhythmFeatures",
    "all_rhythm_features", "onset_patterns", "onset_strength", "rhythm_features", "scale_transform", "similarity",
]  # fmt: skip

_log = logging.getLogger(__name__)

Floats = npt.NDArray[np.float64]
Complexes = npt.NDArray[np.complex128]
Floats32 = npt.NDArray[np.float32]

RATE, HOP, WINDOW, BANDS = 8000, 160, 256, 40
FPS = RATE // HOP
SHORTEST_S = 2.0  # of a recording
RANGE = np.log(1e4)  # bands are clipped at 80 dB below the loudest
SILENT = np.log(3e-3)  # the loudest band of noise with a peak of 80 dB below full scale
WINDOW_S, HOP_S = 8.0, 0.5  # of the local autocorrelation
SMOOTH_FRAMES = 1.0  # width of the onsets: the standard deviation of a Gaussian
EARLIEST, BETA, SCALES = 0.5, 0.5, 200  # first lag of the exponential axis, in frames; 0.5 is the scale transform
AVERAGE_S = 0.25  # onsets are what rises above the mean of this long
LOWEST_HZ, PER_OCTAVE, MODULATIONS = 0.5, 5, 25


@dataclass(frozen=True, eq=False)
class RhythmFeatures:
    """Rhythm features of a recording.

    Parameters
    ----------
    scales : float64 [shape=(200,)]
        Scale transform magnitudes.
    patterns : float64 [shape=(25,)]
        Onset patterns; they sum to 1.
    onsets : float32 [shape=(frames,)]
        Onset strength, 50 frames a second.
    """

    scales: Floats
    patterns: Floats
    onsets: Floats32

    @property
    def duration_s(self) -> float:
        """Length of the recording, in seconds."""
        return len(self.onsets) / FPS


def rhythm_features(track: Track) -> RhythmFeatures:
    """Compute the rhythm features of a recording; cached by content in each process.

    Raises
    ------
    InputError
        If it cannot be read, lasts less than 2 s, or is silent.
    """
    return _features(track.content_hash, _Source(track.audio))


def all_rhythm_features(
    tracks: Sequence[Track], *, otherwise: str, step: Callable[[], None] = lambda: None
) -> dict[Track, RhythmFeatures]:
    """Compute the rhythm features of all recordings that have them.

    Parameters
    ----------
    tracks : sequence of Track
    otherwise : str
        What becomes of the others, for a warning.
    step : callable
        Called after each recording.
    """
    rhythms: dict[Track, RhythmFeatures] = {}
    for track in tracks:
        try:
            rhythms[track] = rhythm_features(track)
        except InputError as error:
            _log.warning("%s: %s", error, otherwise)
        step()
    return rhythms


class _Source:
    """A path that is equal to any other, so that the content alone is the key of the cache."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Source)

    def __hash__(self) -> int:
        return 0


@lru_cache(maxsize=4096)
def _features(_: str, source: _Source) -> RhythmFeatures:
    about = audio.info(source.path)
    if about.duration_s < SHORTEST_S:
        raise InputError(f"lasts {about.duration_s:.3g} s: too short for rhythm features", path=source.path)
    bands = np.concatenate([*stream_log_spectrogram(audio.read_blocks(source.path), about.rate, front_end=FRONT_END)])
    if bands.max() < SILENT:
        raise InputError("is silent", path=source.path)
    bands = np.maximum(bands, bands.max() - np.float32(RANGE))
    onsets = onset_strength(bands)
    return RhythmFeatures(scale_transform(onsets), onset_patterns(bands), onsets.astype(np.float32))


@lru_cache(maxsize=1)
def _mel() -> Floats32:
    """Triangles of unit area, evenly spaced on the mel scale up to 4 kHz [shape=(129, 40)]."""
    steps = np.linspace(0, 2595 * np.log10(1 + RATE / 2 / 700), BANDS + 2)
    edges_hz = 700 * (10 ** (steps / 2595) - 1)
    away = edges_hz - np.linspace(0, RATE / 2, WINDOW // 2 + 1)[:, None]
    rise, fall = -away[:, :-2] / np.diff(edges_hz)[:-1], away[:, 2:] / np.diff(edges_hz)[1:]
    bank = np.maximum(0, np.minimum(rise, fall))
    return np.asarray(bank / bank.sum(0), np.float32)


FRONT_END = FrontEnd(FrameGrid(RATE, HOP), WINDOW, _mel)


def onset_strength(bands: Floats32) -> Floats:
    """Compute the mean rise of the bands from frame to frame, without its slow part, smoothed.

    Parameters
    ----------
    bands : float32 [shape=(frames, bands)]
        Natural logarithms of magnitudes, 50 frames a second.

    Returns
    -------
    float64 [shape=(frames,)]
    """
    from scipy.ndimage import gaussian_filter1d
    from scipy.signal import lfilter

    strength = np.pad(rise(bands, lag=1).mean(axis=1, dtype=np.float64), (1, 0))
    level = lfilter([1.0, -1.0], [1.0, -0.99], strength)  # removes the mean as librosa does
    return np.asarray(gaussian_filter1d(level, SMOOTH_FRAMES), np.float64)


def scale_transform(onsets: Floats) -> Floats:
    """Compute scale transform magnitudes, which hardly depend on the tempo.

    Parameters
    ----------
    onsets : float64 [shape=(frames,)]
        Onset strength, 50 frames a second; silence follows what is shorter than 8 s.

    Returns
    -------
    float64 [shape=(200,)]
        The mean over windows of 8 s, one every 0.5 s.
    """
    lags = int(WINDOW_S * FPS)
    padded = np.pad(onsets, (0, max(0, lags - len(onsets))))
    windows = np.lib.stride_tricks.sliding_window_view(padded, lags)[:: int(HOP_S * FPS)]
    total, used = np.zeros(SCALES), 0
    for start in range(0, len(windows), 256):
        power = np.abs(np.fft.rfft(windows[start : start + 256], 2 * lags, axis=1)) ** 2
        correlation = np.fft.irfft(power, axis=1)[:, :lags]
        sounding = correlation[correlation[:, 0] > 1e-9]
        total += np.abs(sounding / sounding[:, :1] @ _scales(lags).T).sum(axis=0)
        used += len(sounding)
    return total / max(used, 1)


@lru_cache(maxsize=1)
def _scales(lags: int) -> Complexes:
    """The scale transform as a matrix [shape=(200, lags)]: cubic splines, then Fourier, are both linear.

    `librosa.fmt` (McFee et al., 2015) places its samples and weighs them in the same way.
    """
    from scipy.interpolate import make_interp_spline

    step = np.log((lags - 1) / (lags - 2))
    count = int(np.ceil((np.log(lags - 1) - np.log(EARLIEST)) / step))
    axis = np.exp(np.linspace(np.log(EARLIEST / lags), 0, count + 1, endpoint=False)[:-1])
    axis = np.clip(axis, EARLIEST / lags, (lags - 1) / lags)
    resampled = make_interp_spline(np.arange(lags) / lags, np.eye(lags), k=3)(axis)
    weighed = resampled * (axis**BETA * np.sqrt(lags) / count)[:, None]
    return np.asarray(np.fft.rfft(weighed, axis=0)[:SCALES])


def onset_patterns(bands: Floats32) -> Floats:
    """Compute the strength of each modulation frequency in the bands.

    Parameters
    ----------
    bands
        As for `onset_strength`.

    Returns
    -------
    float64 [shape=(25,)]
        Five to the octave from 0.5 Hz; the mean over bands and time, divided by its sum.
    """
    from scipy.ndimage import uniform_filter1d

    sharp = np.maximum(bands - uniform_filter1d(bands, round(AVERAGE_S * FPS), axis=0), 0)
    kernels = _modulations()
    half = kernels.shape[1] // 2
    padded = np.pad(sharp, ((half, half), (0, 0)))
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernels.shape[1], axis=0)[:: int(HOP_S * FPS)]
    total = np.zeros(MODULATIONS)
    for start in range(0, len(windows), 32):
        part = windows[start : start + 32].reshape(-1, kernels.shape[1])
        total += np.hypot(part @ kernels.real.T, part @ kernels.imag.T).sum(axis=0)
    return np.asarray(total / max(float(total.sum()), 1e-12))


@lru_cache(maxsize=1)
def _modulations() -> npt.NDArray[np.complex64]:
    """Windowed oscillations of a constant number of periods [shape=(25, frames)], each of unit sum."""
    hz = LOWEST_HZ * 2 ** (np.arange(MODULATIONS) / PER_OCTAVE)
    periods = 1 / (2 ** (1 / PER_OCTAVE) - 1)
    half = int(np.ceil(periods / LOWEST_HZ * FPS / 2))
    time_s = np.arange(-half, half + 1) / FPS
    place = np.clip(time_s * hz[:, None] / periods, -0.5, 0.5)
    window = 0.5 + 0.5 * np.cos(2 * np.pi * place)
    kernels = window * np.exp(-2j * np.pi * hz[:, None] * time_s) / window.sum(axis=1, keepdims=True)
    return np.asarray(kernels, np.complex64)


def similarity(rhythms: Sequence[RhythmFeatures]) -> Floats:
    """Return the cosine similarities of all pairs of recordings.

    Each number is standardised over the recordings, and the two descriptions weigh the same.

    Parameters
    ----------
    rhythms : sequence of Rhythm

    Returns
    -------
    float64 [shape=(n, n)]
        Cosine similarities, between -1 and 1; recordings in which nothing differs are as similar as can be.
    """
    parts = [np.array([r.scales for r in rhythms]), np.array([r.patterns for r in rhythms])]
    features = np.concatenate([_standard(part) / np.sqrt(part.shape[1]) for part in parts], axis=1)
    length = np.linalg.norm(features, axis=1, keepdims=True)
    directions = features / np.maximum(length, 1e-9)
    cosine = np.clip(directions @ directions.T, -1, 1)
    still = length[:, 0] < 1e-9
    cosine[np.ix_(still, still)] = 1.0
    np.fill_diagonal(cosine, 1.0)
    return np.asarray(cosine)


def _standard(part: Floats) -> Floats:
    spread = part.std(axis=0)
    usual = np.abs(part).mean(axis=0)
    return np.asarray(np.where(spread > 1e-9 * usual, (part - part.mean(axis=0)) / np.maximum(spread, 1e-300), 0.0))
