"""Log-band spectrograms: what the networks hear.

81 triangular bands, 12 per octave from 30 Hz to 17 kHz, of the magnitudes of 2048-sample Hann windows at
44.1 kHz, 100 frames a second, natural logarithm: the front end of Böck and Davies, "Deconstruct, Analyse,
Reconstruct: How to Improve Tempo, Beat, and Downbeat Estimation", ISMIR 2020.

Conventions
-----------
Frame `i` is centred on sample `i * hop`; a recording of `n` samples has `ceil(n / hop)` frames. The frame rate is
an exact fraction, so an hour of frames ends where an hour of audio does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from levada import audio
from levada.errors import InputError
from levada.files import atomic

if TYPE_CHECKING:
    import torch

__all__ = [
    "GRID",
    "N_BANDS",
    "FrameGrid",
    "file_log_bands",
    "filterbank",
    "log_bands",
    "stream_log_bands",
    "torch_log_bands",
]

Floats32 = npt.NDArray[np.float32]

WINDOW = 2048
BANDS_PER_OCTAVE = 12
LOWEST_HZ, HIGHEST_HZ = 30.0, 17000.0
FLOOR = 1e-6
_BLOCK_FRAMES = 1024


@dataclass(frozen=True)
class FrameGrid:
    """Where frames lie in time.

    Parameters
    ----------
    rate : int
        Samples per second.
    hop : int
        Samples from one frame's centre to the next.
    """

    rate: int = 44100
    hop: int = 441

    @property
    def fps(self) -> Fraction:
        """Frames per second, exactly."""
        return Fraction(self.rate, self.hop)

    def frames(self, samples: int) -> int:
        """How many frames a number of samples has."""
        return -(-samples // self.hop)

    def time_s(self, frame: float) -> float:
        """Time of a frame's centre, in seconds."""
        return float(frame * self.hop / self.rate)

    def frame(self, time_s: float) -> int:
        """The frame whose centre is nearest to a time in seconds."""
        return int(np.floor(time_s * self.rate / self.hop + 0.5))


GRID = FrameGrid()
N_BANDS = 81


@lru_cache(maxsize=1)
def filterbank() -> Floats32:
    """Triangular bands of unit area over the bins of the Fourier transform.

    Returns
    -------
    float32 [shape=(1024, 81)]
        Weight of each bin below the Nyquist frequency in each band. Band edges are semitones around 440 Hz,
        moved to the nearest bin; those that fall on the same bin are one.
    """
    bins_hz = np.arange(WINDOW // 2) * GRID.rate / WINDOW
    low = np.floor(np.log2(LOWEST_HZ / 440) * BANDS_PER_OCTAVE)
    high = np.ceil(np.log2(HIGHEST_HZ / 440) * BANDS_PER_OCTAVE)
    semitones_hz = 440 * 2 ** (np.arange(low, high + 1) / BANDS_PER_OCTAVE)
    semitones_hz = semitones_hz[(semitones_hz >= LOWEST_HZ) & (semitones_hz <= HIGHEST_HZ)]
    edges = np.unique(np.searchsorted((bins_hz[:-1] + bins_hz[1:]) / 2, semitones_hz))
    bank = np.zeros((WINDOW // 2, len(edges) - 2))
    for band, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        bank[left:centre, band] = np.linspace(0, 1, centre - left, endpoint=False)
        bank[centre:right, band] = np.linspace(1, 0, right - centre, endpoint=False)
    unit = np.asarray(bank / bank.sum(0), np.float32)
    unit.flags.writeable = False
    return unit


def log_bands(samples: Floats32, rate: int) -> Floats32:
    """The log-band spectrogram of a recording.

    Parameters
    ----------
    samples : float32 [shape=(channels, samples)]
        Audio; its channels are averaged, and it is resampled to 44.1 kHz where it has another rate.
    rate : int
        Samples per second.

    Returns
    -------
    float32 [shape=(frames, 81)]
        Natural logarithm of the magnitude in each band, plus 1e-6.
    """
    pieces = list(stream_log_bands([samples], rate))
    return np.concatenate(pieces) if pieces else np.zeros((0, N_BANDS), np.float32)


def stream_log_bands(blocks: Iterable[Floats32], rate: int) -> Iterator[Floats32]:
    """The same spectrogram in pieces, from audio in pieces, in flat memory.

    Parameters
    ----------
    blocks : iterable of float32 [shape=(channels, samples)]
        Consecutive stretches of audio of any lengths.
    rate : int
        Samples per second.

    Yields
    ------
    float32 [shape=(frames, 81)]
        Consecutive stretches of the spectrogram.
    """
    from scipy.fft import rfft

    window = np.hanning(WINDOW).astype(np.float32)
    pending = np.zeros(WINDOW // 2, np.float32)
    total = done = 0

    def transform(padded: Floats32, frames: int) -> Iterator[Floats32]:
        views = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[:: GRID.hop]
        for start in range(0, frames, _BLOCK_FRAMES):
            spectra = rfft(views[start : min(start + _BLOCK_FRAMES, frames)] * window, axis=1)
            magnitudes = np.abs(spectra[:, : WINDOW // 2])
            yield np.log(magnitudes @ filterbank() + np.float32(FLOOR))

    for block in _resampled(blocks, rate):
        total += len(block)
        pending = np.concatenate([pending, block])
        ready = max(0, (len(pending) - WINDOW) // GRID.hop + 1)
        if ready >= _BLOCK_FRAMES:
            yield from transform(pending, ready)
            pending = pending[ready * GRID.hop :]
            done += ready
    left = GRID.frames(total) - done
    if left > 0:
        yield from transform(np.concatenate([pending, np.zeros(WINDOW + GRID.hop, np.float32)]), left)


def _resampled(blocks: Iterable[Floats32], rate: int) -> Iterator[Floats32]:
    """Mono audio at the grid's rate."""
    if rate < 1:
        raise InputError(f"audio cannot have {rate} samples a second")
    if rate == GRID.rate:
        yield from (audio.mono(block) for block in blocks)
        return
    import soxr

    stream = soxr.ResampleStream(rate, GRID.rate, 1, dtype="float32", quality="HQ")
    for block in blocks:
        yield stream.resample_chunk(audio.mono(block))
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def file_log_bands(path: str | Path, *, cache: str | Path | None = None) -> Floats32:
    """The spectrogram of a file, kept on disk for the next time.

    Parameters
    ----------
    path : path-like
        An audio file.
    cache : path-like, optional
        A folder for spectrograms, named by the content of the file they are of; nothing is kept without one.

    Returns
    -------
    float32 [shape=(frames, 81)]
    """
    kept = None if cache is None else Path(cache) / f"{audio.content_hash(path)}-{N_BANDS}.npy"
    if kept is not None and kept.exists():
        try:
            bands: Floats32 = np.load(kept, allow_pickle=False)
            if bands.ndim == 2 and bands.shape[1] == N_BANDS and bands.dtype == np.float32:
                return bands
        except (OSError, ValueError, EOFError):
            pass  # a damaged cache is only a slow one
    pieces = list(stream_log_bands(audio.blocks(path), audio.info(path).rate))
    bands = np.concatenate(pieces) if pieces else np.zeros((0, N_BANDS), np.float32)
    if kept is not None:
        kept.parent.mkdir(parents=True, exist_ok=True)
        with atomic(kept, force=True) as temporary, open(temporary, "wb") as file:
            np.save(file, bands)
    return bands


def torch_log_bands(samples: torch.Tensor) -> torch.Tensor:
    """The same spectrogram on tensors, for training.

    Parameters
    ----------
    samples : float32 tensor [shape=(..., samples)]
        Mono audio at 44.1 kHz.

    Returns
    -------
    float32 tensor [shape=(..., frames, 81)]
    """
    import torch

    if samples.shape[-1] == 0:
        raise InputError("a spectrogram needs at least one sample")
    flat = samples.reshape(-1, samples.shape[-1])
    window = torch.hann_window(WINDOW, periodic=False, device=samples.device)
    spectra = torch.stft(flat, WINDOW, GRID.hop, window=window, center=True, pad_mode="constant", return_complex=True)
    magnitudes = spectra[:, : WINDOW // 2, : GRID.frames(samples.shape[-1])].abs().transpose(1, 2)
    bank = torch.tensor(filterbank(), device=samples.device)
    bands = torch.log(magnitudes @ bank + FLOOR)
    return bands.reshape(*samples.shape[:-1], *bands.shape[1:])
