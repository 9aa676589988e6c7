"""Spectral flux as activations: the baseline without learning.

Onsets are where the log spectrogram rises, downbeats where its bass rises most. With the same decoder this ties with
trained networks on easy music, which is why it is in every table of scores.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectrogram import GRID, N_BANDS
from levada.errors import InputError
from levada.io.onset_strength import moving_mean, rise

__all__ = ["activations", "rises"]

Floats32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

COMPRESSION = 10.0  # magnitudes are compressed as ln(1 + 10 x), x relative to the loud parts of the recording
LAG_FRAMES = 2  # a rise is the difference to the frame 20 ms before
BASS_BANDS = 6  # up to 150 Hz: kick and bass, below the fundamental of most snares
MEAN_S = 4.0  # flux is relative to its mean over the 4 seconds around
EVEN_ODDS = 3.0  # a beat has probability 0.5 where the flux is three times that mean
SHARPNESS = 1.5  # exponent from relative flux to the odds of a beat
BASS_MEAN_S = 8.0  # a bass onset is relative to the mean over the onsets of the 8 seconds around
BASS_REACH_FRAMES = 4  # a bass onset counts for onsets up to 40 ms away, since low notes have slow attacks
_BLOCK = 4096


def activations(bands: Floats32) -> Floats32:
    """Compute pseudo-probabilities of beats and downbeats from the rises of a log spectrogram.

    Parameters
    ----------
    bands : float32 [shape=(frames, 81)]
        `spectrogram.log_spectrogram` of a whole recording.

    Returns
    -------
    float32 [shape=(frames, 2)]
        "Probability" of a beat and of a downbeat, the second never above the first, both above 0 and below 1. The level
        of the recording and constant sound make no difference.

    Raises
    ------
    InputError
        If `bands` has another shape.
    """
    if not len(bands):
        check_shape(bands)
        return np.zeros((0, 2), np.float32)
    flux, bass = np.zeros(len(bands)), np.zeros(len(bands))
    for frames, rising in rises(bands):
        flux[frames], bass[frames] = rising.mean(axis=1), rising[:, :BASS_BANDS].mean(axis=1)
    reach = np.pad(bass, BASS_REACH_FRAMES)
    bass = np.lib.stride_tricks.sliding_window_view(reach, 2 * BASS_REACH_FRAMES + 1).max(axis=1)
    local = EVEN_ODDS * (_mean_around(flux, MEAN_S) + 0.1 * flux.mean() / EVEN_ODDS) + 1e-9
    odds = (flux / local) ** SHARPNESS
    beat = np.clip(odds / (1 + odds), 1e-4, 0.98)
    mean_bass = _mean_around(bass * beat, BASS_MEAN_S) / _mean_around(beat, BASS_MEAN_S) + 1e-6
    downbeat_given_beat = 1 / (1 + np.exp(1 - np.minimum(bass / mean_bass, 4)))
    return np.stack([beat, beat * downbeat_given_beat], axis=1).astype(np.float32)


def rises(bands: Floats32) -> Iterator[tuple[slice, Floats32]]:
    """Yield by how much each band rises, block by block, with magnitudes relative to the level of the recording.

    Parameters
    ----------
    bands : float32 [shape=(frames, 81)]

    Yields
    ------
    frames : slice
    rising : float32 [shape=(frames, 81)]

    Raises
    ------
    InputError
        If `bands` has another shape.
    """
    check_shape(bands)
    starts = range(0, len(bands), _BLOCK)
    loudness = np.concatenate([np.exp(bands[start : start + _BLOCK]).mean(axis=1) for start in starts])
    gain = np.float32(COMPRESSION / (np.percentile(loudness, 95) + 1e-4))
    for start in starts:
        first = max(start - LAG_FRAMES, 0)
        rising = rise(np.log1p(gain * np.exp(bands[first : start + _BLOCK])), lag=LAG_FRAMES, maximum_filter=True)
        yield slice(first + LAG_FRAMES, first + LAG_FRAMES + len(rising)), rising.astype(np.float32, copy=False)


def check_shape(bands: Floats32) -> None:
    """Raise an `InputError` if a spectrogram is none of 81 bands."""
    if bands.ndim != 2 or bands.shape[1] != N_BANDS:
        raise InputError(f"onset strength needs spectrograms of shape (frames, {N_BANDS}), not {bands.shape}")


def _mean_around(values: Floats, width_s: float) -> Floats:
    return moving_mean(values, half=int(width_s * GRID.fps / 2))
