"""Spectral flux as activations: the floor of every table.

No learning, nothing to install. Onsets are where the log-band spectrogram rises (SuperFlux: Böck and
Widmer, "Maximum Filter Vibrato Suppression for Onset Detection", DAFx 2013), downbeats where its bass rises
most. Behind a good decoder this ties with trained networks on easy music, which is why no score is shown
without it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectrogram import GRID, N_BANDS
from levada.errors import InputError

__all__ = ["activations"]

Floats32 = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]

COMPRESSION = 10.0  # magnitudes are compressed as ln(1 + 10 x), x relative to the loud parts of the recording
LAG_FRAMES = 2  # a rise is the difference to the frame 20 ms before
BASS_BANDS = 6  # up to 150 Hz: kick and bass, below the fundamental of most snares
MEAN_S = 4.0  # an onset is judged by the mean flux of the 4 seconds around it
EVEN_ODDS = 3.0  # flux of three times that mean is a beat as likely as not
SHARPNESS = 1.5  # exponent from relative flux to the odds of a beat
BASS_MEAN_S = 8.0  # a bass onset is judged by the mean over the onsets of the 8 seconds around it
BASS_REACH_FRAMES = 4  # a bass onset counts for onsets up to 40 ms away, since low notes speak slowly
_BLOCK = 4096


def activations(bands: Floats32) -> Floats32:
    """Pseudo-probabilities of beats and downbeats from the rises of a log-band spectrogram.

    Parameters
    ----------
    bands : float32 [shape=(frames, 81)]
        `spectrogram.log_spectrogram` of a whole recording.

    Returns
    -------
    float32 [shape=(frames, 2)]
        "Probability" of a beat and of a downbeat, the second never above the first, both above 0 and below 1.
        The level of the recording and constant sound make no difference.

    Raises
    ------
    InputError
        If `bands` has another shape.
    """
    if bands.ndim != 2 or bands.shape[1] != N_BANDS:
        raise InputError(f"the flux needs spectrograms of shape (frames, {N_BANDS}), not {bands.shape}")
    if not len(bands):
        return np.zeros((0, 2), np.float32)
    flux, bass = _rises(bands)
    local = EVEN_ODDS * (_moving_mean(flux, MEAN_S) + 0.1 * flux.mean() / EVEN_ODDS) + 1e-9
    odds = (flux / local) ** SHARPNESS
    beat = np.clip(odds / (1 + odds), 1e-4, 0.98)
    mean_bass = _moving_mean(bass * beat, BASS_MEAN_S) / _moving_mean(beat, BASS_MEAN_S) + 1e-6
    downbeat_share = 1 / (1 + np.exp(1 - np.minimum(bass / mean_bass, 4)))
    return np.stack([beat, beat * downbeat_share], axis=1).astype(np.float32)


def _rises(bands: Floats32) -> tuple[Floats, Floats]:
    """Mean rise over all bands, and over the bass at its largest nearby, in each frame [shape=(frames,)]."""
    starts = range(0, len(bands), _BLOCK)
    loudness = np.concatenate([np.exp(bands[start : start + _BLOCK]).mean(axis=1) for start in starts])
    gain = np.float32(COMPRESSION / (np.percentile(loudness, 95) + 1e-4))
    flux, bass = np.zeros(len(bands)), np.zeros(len(bands))
    for start in starts:
        first = max(start - LAG_FRAMES, 0)
        levels = np.log1p(gain * np.exp(bands[first : start + _BLOCK]))
        before = levels[:-LAG_FRAMES].copy()  # with each band's neighbours, so that vibrato is no onset
        np.maximum(before[:, 1:], levels[:-LAG_FRAMES, :-1], out=before[:, 1:])
        np.maximum(before[:, :-1], levels[:-LAG_FRAMES, 1:], out=before[:, :-1])
        rise = np.maximum(levels[LAG_FRAMES:] - before, 0)
        here = slice(first + LAG_FRAMES, first + LAG_FRAMES + len(rise))
        flux[here], bass[here] = rise.mean(axis=1), rise[:, :BASS_BANDS].mean(axis=1)
    reach = np.pad(bass, BASS_REACH_FRAMES)
    return flux, np.lib.stride_tricks.sliding_window_view(reach, 2 * BASS_REACH_FRAMES + 1).max(axis=1)


def _moving_mean(values: Floats, width_s: float) -> Floats:
    """Mean over the frames there are within a width around each."""
    half = int(width_s * GRID.fps / 2)
    total = np.concatenate([[0.0], np.cumsum(values)])
    frames = np.arange(len(values))
    last, first = np.minimum(frames + half + 1, len(values)), np.maximum(frames - half, 0)
    mean: Floats = (total[last] - total[first]) / (last - first)
    return mean
