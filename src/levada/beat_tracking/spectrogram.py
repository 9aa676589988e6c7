"""Log spectrograms: the input of the networks.

"log81": 81 triangular bands, 12 per octave from 30 Hz to 17 kHz, of the magnitudes of 2048-sample Hann windows at
44.1 kHz, 100 frames a second, natural logarithm: the front end of Böck and Davies, "Deconstruct, Analyse,
Reconstruct: How to Improve Tempo, Beat, and Downbeat Estimation", ISMIR 2020.

"log81+semitones": the same bands and beside them 61 of a semitone up to 2.2 kHz, of windows of 183 ms, 50 frames a
second (each stands twice), which separate the notes of chords: changes of harmony mark bars. Both are relative to the
level of the recording.

Conventions
-----------
Frame `i` is centred on sample `i * hop`; a recording of `n` samples has `ceil(n / hop)` frames. The frame rate is
an exact fraction, so an hour of frames ends where an hour of audio does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.level import stream_relative_level
from levada.errors import InputError
from levada.io import audio
from levada.io.files import atomic_file
from levada.learning.frame_grid import FrameGrid

__all__ = [
    "FRONT_ENDS",
    "GRID",
    "LOG_BANDS",
    "MEL_BANDS",
    "N_BANDS",
    "N_SEMITONES",
    "QUARTER_TONES",
    "RELATIVE_BANDS",
    "SEMITONES",
    "FrontEnd",
    "file_log_spectrogram",
    "filterbank",
    "log_filterbank",
    "log_spectrogram",
    "mel_filterbank",
    "quarter_tone_filterbank",
    "semitone_filterbank",
    "semitones_from_a4",
    "stream_log_spectrogram",
]

Floats32 = npt.NDArray[np.float32]

WINDOW = 2048
BANDS_PER_OCTAVE = 12
LOWEST_HZ, HIGHEST_HZ = 30.0, 17000.0
LOG_OFFSET = 1e-6
_BLOCK_FRAMES = 1024


GRID = FrameGrid()
N_BANDS = 81


def log_filterbank(*, rate: int, window: int, bands_per_octave: int, lowest_hz: float, highest_hz: float) -> Floats32:
    """Triangular bands of unit area over the bins of the Fourier transform.

    Parameters
    ----------
    rate : int
        Samples per second.
    window : int
        Samples of a frame.
    bands_per_octave : int
    lowest_hz, highest_hz : float
        Range of the band edges.

    Returns
    -------
    float32 [shape=(window // 2, bands)]
        Weight of each bin below the Nyquist frequency in each band. Band edges are equal steps around 440 Hz,
        moved to the nearest bin; those that fall on the same bin are one. As in madmom (Böck et al., 2016).
    """
    bins_hz = np.arange(window // 2) * rate / window
    low = np.floor(np.log2(lowest_hz / 440) * bands_per_octave)
    high = np.ceil(np.log2(highest_hz / 440) * bands_per_octave)
    steps_hz = 440 * 2 ** (np.arange(low, high + 1) / bands_per_octave)
    steps_hz = steps_hz[(steps_hz >= lowest_hz) & (steps_hz <= highest_hz)]
    edges = np.unique(np.searchsorted((bins_hz[:-1] + bins_hz[1:]) / 2, steps_hz))
    bank = np.zeros((window // 2, len(edges) - 2))
    for band, (left, centre, right) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        bank[left:centre, band] = np.linspace(0, 1, centre - left, endpoint=False)
        bank[centre:right, band] = np.linspace(1, 0, right - centre, endpoint=False)
    return np.asarray(bank / bank.sum(0), np.float32)


@lru_cache(maxsize=1)
def filterbank() -> Floats32:
    """Return the 81 bands of the pretrained networks [shape=(1024, 81)]: see `log_filterbank`."""
    unit = log_filterbank(
        rate=GRID.rate,
        window=WINDOW,
        bands_per_octave=BANDS_PER_OCTAVE,
        lowest_hz=LOWEST_HZ,
        highest_hz=HIGHEST_HZ,
    )
    unit.flags.writeable = False
    return unit


@dataclass(frozen=True)
class FrontEnd:
    """A kind of spectrogram: ln(magnitudes of Hann windows through bands + 1e-6).

    Parameters
    ----------
    grid : FrameGrid
        Where frames lie.
    window : int
        Samples of a frame.
    filters : callable
        Returns the weight of each bin in each band, float32 [shape=(bins, bands)]; higher bins are dropped.
    periodic : bool
        Whether the window is the periodic Hann window of torch, which ends one sample later than the symmetric one.
    beside : FrontEnd, optional
        Another one whose bands follow those of this one, each frame repeated to its frame rate.
    relative : bool
        Whether the level of the recording is subtracted: see `levada.beat_tracking.level`.
    """

    grid: FrameGrid
    window: int
    filters: Callable[[], Floats32]
    periodic: bool = False
    beside: FrontEnd | None = None
    relative: bool = False

    @property
    def bands(self) -> int:
        """Number of bands."""
        return self.own_bands + (self.beside.bands if self.beside else 0)

    @property
    def own_bands(self) -> int:
        """Number of bands without those of `beside`."""
        return int(self.filters().shape[1])

    @property
    def centres_hz(self) -> npt.NDArray[np.float64]:
        """Mean frequency of each band without those of `beside`, by the weights of its bins [shape=(own_bands,)]."""
        bank = self.filters()
        bins_hz = np.arange(len(bank)) * self.grid.rate / self.window
        return np.asarray(bins_hz @ bank / bank.sum(0), np.float64)


@lru_cache(maxsize=1)
def mel_filterbank() -> Floats32:
    """128 triangular bands of height 1 on the mel scale of Slaney's Auditory Toolbox, from 30 Hz to 11 kHz.

    Returns
    -------
    float32 [shape=(513, 128)]
        Weight of each bin of 1024 samples at 22.05 kHz. Bass bands have one bin or two, none of them at the band's
        peak: the same as torchaudio with `norm=None`, for Beat This! (Foscarin et al., ISMIR 2024).
    """
    linear_hz, linear_mel = 1000.0, 15.0  # below, 3 mel are 200 Hz; above, 27 mel are a factor of 6.4
    per_mel = np.log(6.4) / 27

    def mel(hz: float) -> float:
        return 3 * hz / 200 if hz < linear_hz else linear_mel + float(np.log(hz / linear_hz)) / per_mel

    steps = np.linspace(mel(30.0), mel(11_000.0), 128 + 2)
    edges_hz = np.where(steps < linear_mel, 200 * steps / 3, linear_hz * np.exp(per_mel * (steps - linear_mel)))
    away = edges_hz - np.linspace(0, 22_050 / 2, 513)[:, None]
    rise, fall = -away[:, :-2] / np.diff(edges_hz)[:-1], away[:, 2:] / np.diff(edges_hz)[1:]
    bank = np.asarray(np.maximum(0, np.minimum(rise, fall)), np.float32)
    bank.flags.writeable = False
    return bank


@lru_cache(maxsize=1)
def quarter_tone_filterbank() -> Floats32:
    """136 triangular bands, 24 per octave from 30 Hz to the Nyquist frequency of 22.05 kHz [shape=(705, 136)].

    Windows have 1411 samples, but bins are placed as if there were 1410: as in madmom, where a window's length is taken
    for twice its number of bins, for BeatNet (Heydari et al., ISMIR 2021).
    """
    bank = log_filterbank(rate=22_050, window=1410, bands_per_octave=24, lowest_hz=LOWEST_HZ, highest_hz=HIGHEST_HZ)
    bank.flags.writeable = False
    return bank


@lru_cache(maxsize=1)
def semitone_filterbank() -> Floats32:
    """61 triangular bands, 12 per octave from 50 Hz to 2.2 kHz at 6.3 kHz [shape=(bins, 61)].

    Scaled so that a sine has the magnitude that it has in the 81 bands, whose windows have more samples.
    """
    bank = log_filterbank(
        rate=SEMITONE_GRID.rate,
        window=SEMITONE_WINDOW,
        bands_per_octave=12,
        lowest_hz=50.0,
        highest_hz=2200.0,
    )
    bank = bank[: np.flatnonzero(bank.any(1))[-1] + 1] * np.float32(WINDOW / SEMITONE_WINDOW)
    bank.flags.writeable = False
    return bank


def semitones_from_a4() -> npt.NDArray[np.int64]:
    """Return the distance of each of the 61 bands from A4 (440 Hz), in semitones, rounded [shape=(61,)]."""
    return np.asarray(np.round(12 * np.log2(SEMITONES.centres_hz / 440)), np.int64)


SEMITONE_GRID, SEMITONE_WINDOW = FrameGrid(6300, 126), 1152
N_SEMITONES = 61

LOG_BANDS = FrontEnd(GRID, WINDOW, filterbank)
SEMITONES = FrontEnd(SEMITONE_GRID, SEMITONE_WINDOW, semitone_filterbank)
RELATIVE_BANDS = FrontEnd(GRID, WINDOW, filterbank, beside=SEMITONES, relative=True)
MEL_BANDS = FrontEnd(FrameGrid(22_050, 441), 1024, mel_filterbank, periodic=True)
QUARTER_TONES = FrontEnd(FrameGrid(22_050, 441), 1411, quarter_tone_filterbank)
FRONT_ENDS = {"log81": LOG_BANDS, "log81+semitones": RELATIVE_BANDS, "mel128": MEL_BANDS, "log136": QUARTER_TONES}
"""The input of each network, by the name in its `front_end`."""


def log_spectrogram(samples: Floats32, rate: int, *, front_end: FrontEnd = LOG_BANDS) -> Floats32:
    """Compute the log spectrogram of a recording.

    Parameters
    ----------
    samples : float32 [shape=(channels, samples)]
        Audio; its channels are averaged, and it is resampled where it has another rate than the front end.
    rate : int
        Samples per second.
    front_end : FrontEnd

    Returns
    -------
    float32 [shape=(frames, bands)]
        Natural logarithm of the magnitude in each band, plus 1e-6; 81 bands by default.

    Raises
    ------
    InputError
        If the samples are samples × channels.
    """
    return _joined(stream_log_spectrogram([audio.channels_first(samples)], rate, front_end=front_end), front_end)


def _joined(pieces: Iterable[Floats32], front_end: FrontEnd) -> Floats32:
    return np.concatenate([np.zeros((0, front_end.bands), np.float32), *pieces])


def stream_log_spectrogram(
    blocks: Iterable[Floats32], rate: int, *, front_end: FrontEnd = LOG_BANDS
) -> Iterator[Floats32]:
    """Compute the same spectrogram in pieces, from audio in pieces, with constant memory.

    Parameters
    ----------
    blocks : iterable of float32 [shape=(channels, samples)]
        Consecutive pieces of audio of any lengths.
    rate : int
        Samples per second.
    front_end : FrontEnd

    Yields
    ------
    float32 [shape=(frames, bands)]
        Consecutive pieces of the spectrogram.
    """
    if rate < 1:
        raise InputError(f"audio cannot have {rate} samples a second")
    mono = audio.to_mono_blocks(blocks, rate=rate)
    pieces: Iterator[Floats32]
    if front_end.beside is None:
        pieces = _stream_own_bands(mono, rate, front_end)
    else:
        mono, again = audio.tee(mono)
        other = stream_log_spectrogram((block[None] for block in again), rate, front_end=front_end.beside)
        repeats = round(front_end.grid.fps / front_end.beside.grid.fps)
        silence = np.full((1, front_end.beside.bands), np.log(LOG_OFFSET), np.float32)
        pieces = _side_by_side(_stream_own_bands(mono, rate, front_end), other, repeats, silence)
    if front_end.relative:
        pieces = stream_relative_level(pieces, fps=float(front_end.grid.fps), n_bands=front_end.own_bands)
    yield from pieces


def _stream_own_bands(mono: Iterable[Floats32], rate: int, front_end: FrontEnd) -> Iterator[Floats32]:
    from scipy.fft import rfft

    size, hop, bank = front_end.window, front_end.grid.hop, front_end.filters()
    window = (np.hanning(size + 1)[:-1] if front_end.periodic else np.hanning(size)).astype(np.float32)
    pending = np.zeros(size // 2, np.float32)
    total = done = 0

    def transform(padded: Floats32, frames: int) -> Iterator[Floats32]:
        views = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop]
        for start in range(0, frames, _BLOCK_FRAMES):
            spectra = rfft(views[start : min(start + _BLOCK_FRAMES, frames)] * window, axis=1)
            magnitudes = np.abs(spectra[:, : len(bank)])
            yield np.log(magnitudes @ bank + np.float32(LOG_OFFSET))

    for block in _resampled(mono, rate, front_end.grid.rate):
        total += len(block)
        pending = np.concatenate([pending, block])
        ready = max(0, (len(pending) - size) // hop + 1)
        if ready >= _BLOCK_FRAMES:
            yield from transform(pending, ready)
            pending = pending[ready * hop :]
            done += ready
    left = front_end.grid.frames(total) - done
    if left > 0:
        yield from transform(np.concatenate([pending, np.zeros(size + hop, np.float32)]), left)


def _side_by_side(
    pieces: Iterable[Floats32], others: Iterator[Floats32], repeats: int, row: Floats32
) -> Iterator[Floats32]:
    """Yield pieces with the columns of slower ones beside theirs; their last row, or the one given, fills the end."""
    buffer = row[:0]
    for piece in pieces:
        while len(buffer) < len(piece):
            other = next(others, None)
            if other is None:
                buffer = np.concatenate([buffer, row.repeat(len(piece) - len(buffer), 0)])
            else:
                buffer = np.concatenate([buffer, other.repeat(repeats, 0)])
                row = buffer[-1:]
        yield np.concatenate([piece, buffer[: len(piece)]], 1)
        buffer = buffer[len(piece) :]


def _resampled(mono: Iterable[Floats32], rate: int, new_rate: int) -> Iterator[Floats32]:
    """Yield mono audio at a new rate."""
    if rate == new_rate:
        yield from mono
        return
    import soxr

    stream = soxr.ResampleStream(rate, new_rate, 1, dtype="float32", quality="HQ")
    for block in mono:
        yield stream.resample_chunk(block)
    yield stream.resample_chunk(np.zeros(0, np.float32), last=True)


def file_log_spectrogram(
    path: str | Path, *, front_end: FrontEnd = LOG_BANDS, cache: str | Path | None = None
) -> Floats32:
    """Compute the spectrogram of a file, or read it from a cache.

    Parameters
    ----------
    path : path-like
        An audio file.
    front_end : FrontEnd
    cache : path-like, optional
        A folder of spectrograms, named by the content of their file; none by default.

    Returns
    -------
    float32 [shape=(frames, bands)]
    """
    n_bands, cached = front_end.bands, None
    if cache is not None:
        kind = n_bands if front_end == LOG_BANDS else f"{n_bands}-{front_end.grid.rate}-{front_end.window}"
        cached = Path(cache) / f"{audio.content_hash(path)}-{kind}.npy"
        if cached.exists():
            try:
                bands: Floats32 = np.load(cached, allow_pickle=False)
                if bands.ndim == 2 and bands.shape[1] == n_bands and bands.dtype == np.float32:
                    return bands
            except (OSError, ValueError, EOFError):
                pass  # a damaged cache file is computed again
    bands = _joined(
        stream_log_spectrogram(audio.read_blocks(path), audio.info(path).rate, front_end=front_end), front_end
    )
    if cached is not None:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with atomic_file(cached, force=True) as temporary, open(temporary, "wb") as file:
            np.save(file, bands)
    return bands
