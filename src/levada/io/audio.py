"""Reading and writing audio: samples are float32 [shape=(channels, samples)], sample rates are in Hz.

wav, flac, mp3, ogg, opus and their like are read by libsndfile; anything else (m4a, webm, wma, …) by the
ffmpeg program or by PyAV where one of them is installed. Samples are always finite: NaN and
infinity are replaced by silence, with a warning. A truncated file is read to its end, with a warning.
"""

from __future__ import annotations

import hashlib
import logging
import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from levada.arguments import to_array
from levada.errors import InputError
from levada.io.audio_backends import BLOCK, Recording, Samples, check_audio_file, open_audio
from levada.io.beats import Beats
from levada.io.containers import lacks_length_header
from levada.io.files import atomic_file, wrap_errors
from levada.io.run_folder import sha256_of

__all__ = [
    "SUFFIXES",
    "AudioExcerpt",
    "AudioInfo",
    "add_clicks",
    "channels_cancel",
    "channels_first",
    "check_excerpt",
    "clicks",
    "content_hash",
    "info",
    "lacks_length_header",
    "open_writer",
    "read",
    "read_blocks",
    "resample",
    "samples_of",
    "tee",
    "to_mono",
    "to_mono_blocks",
    "write",
    "write_clicks",
]

_CANCELLED = 0.01
_ROUNDED_UP_S = 1.0  # an end that a player shows may be so much beyond that of the recording
_MOST_CHANNELS = 64
_LEVEL_HOP_S, _LEVEL_HOPS = 0.1, 4  # the level is measured in blocks of so many hops
_LEVEL_AROUND_S = 2.5
_LEVEL_QUANTILE = 0.75
_LOWEST_LEVEL = 0.1
_ROUNDING = 1e-12
_CLICKED_PEAK = 0.98
_CLICK_ABOVE = 4.5  # peak of a downbeat's click to the RMS of the music around it
SUFFIXES = frozenset(
    {
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".mp3", ".mp2", ".ogg", ".oga", ".opus"),
        *(".aif", ".aiff", ".aifc", ".caf", ".au", ".snd"),
        *(".m4a", ".m4b", ".aac", ".amr", ".wma", ".wv", ".ape", ".mka"),  # from here on by ffmpeg or PyAV
        *(".mp4", ".m4v", ".mov", ".3gp", ".3g2", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".wmv"),
    }
)
"""Suffixes of audio files, in lower case."""

_WRITTEN = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".aif": ("AIFF", "PCM_24"),
    ".aiff": ("AIFF", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
_UNUSED_BITS = {"PCM_16": 16, "PCM_24": 8}  # of int32, by codec
_SYSTEM_ERROR = 2  # code of libsndfile
_PROBES, _PROBE_BYTES = 16, 1 << 16  # more than libsndfile lacked room for

_log = logging.getLogger(__name__)

Block = TypeVar("Block")


@dataclass(frozen=True)
class AudioInfo:
    """Properties of an audio file."""

    duration_s: float  # in seconds
    rate: int  # samples a second in each channel, in Hz
    channels: int  # 1 is mono
    samples: int  # in each channel
    codec: str  # how the samples are stored, as the decoder calls it: "PCM_16", "VORBIS", "aac"


@dataclass(frozen=True)
class AudioExcerpt:
    """A part of an audio file, which trackers take in place of the file.

    Parameters
    ----------
    path : str or Path
    start_s : float
        In seconds.
    end_s : float, optional
        In seconds; the end of the file by default.
    """

    path: str | Path
    start_s: float = 0.0
    end_s: float | None = None

    @property
    def duration_s(self) -> float | None:
        """Its length, in seconds; None if it lasts to the end of the file."""
        return None if self.end_s is None else self.end_s - self.start_s


def check_excerpt(
    start_s: float | None,
    end_s: float | None,
    *,
    duration_s: float = math.inf,
    path: str | Path | None = None,
) -> tuple[float, float]:
    """Return the start and the end of an excerpt, in seconds, or refuse them.

    Parameters
    ----------
    start_s, end_s : float, optional
        In seconds; the beginning and the end of the recording by default. An end up to a second beyond that of the
        recording, as a player may show it, is taken for that.
    duration_s : float
        Length of the recording, if known.
    path : path-like, optional
        The recording, for the message.

    Raises
    ------
    InputError
        If a time is negative or not finite, the start is not before the end, or one is beyond the recording.
    """
    for value in (start_s, end_s):
        if value is not None and not (math.isfinite(value) and value >= 0):
            raise InputError(f"times must be finite and not negative, not {value:g} s", path=path)
    start, end = start_s or 0.0, duration_s if end_s is None else end_s
    if end_s is not None and start >= end_s:
        raise InputError(f"the start, {start:g} s, is not before the end, {end_s:g} s", path=path)
    if start >= duration_s or end > duration_s + _ROUNDED_UP_S:
        beyond = f"the start, {start:g} s, is" if start >= duration_s else f"the end, {end:g} s, is"
        raise InputError(f"{beyond} beyond the end of the recording, which lasts {duration_s:.2f} s", path=path)
    return start, min(end, duration_s)


def info(path: str | Path) -> AudioInfo:
    """Return duration, sample rate and channels of an audio file.

    A recording that libsndfile cannot read is decoded from beginning to end to know its exact length.

    Raises
    ------
    InputError
        If there is no such file, or it is not audio, or it has no samples.
    """
    with open_audio(path) as recording:
        length = recording.length
        if length is None:
            length = sum(piece.shape[1] for piece in recording.pieces)
        if not length:
            raise InputError("has no audio samples", path=path)
        rate = recording.rate
        return AudioInfo(length / rate, rate, recording.channels, length, recording.codec)


def read(path: str | Path, *, start_s: float = 0.0, duration_s: float | None = None) -> tuple[Samples, int]:
    """Read an audio file or an excerpt, all channels, at its sample rate.

    Parameters
    ----------
    path : path-like
        The recording.
    start_s : float
        Where to start, in seconds, rounded to the nearest sample.
    duration_s : float, optional
        Length to read, in seconds; less is returned if the file ends earlier.

    Returns
    -------
    samples : float32 [shape=(channels, samples)]
        Full scale is -1 to 1; all finite.
    rate : int
        In Hz.

    Raises
    ------
    InputError
        If there is no such file, it is not audio, has no samples, or ends before `start_s`.
    """
    if not start_s >= 0 or (duration_s is not None and not duration_s > 0):
        raise InputError(f"cannot read {duration_s} s from {start_s} s on: both must be positive", path=path)
    with open_audio(path, start_s=start_s) as recording:
        wanted = None if duration_s is None else max(1, round(duration_s * recording.rate))
        samples = _concatenate(recording, limit=wanted)
        if not samples.size:
            empty = "has no audio samples" if start_s == 0 else f"ends before {start_s:g} s"
            raise InputError(empty, path=path)
        return samples, recording.rate


def read_blocks(path: str | Path | AudioExcerpt, *, block_s: float = 30.0) -> Iterator[Samples]:
    """Read an audio file, or an excerpt, in blocks, in constant memory.

    Parameters
    ----------
    path : path-like or AudioExcerpt
        The recording.
    block_s : float
        Length of a block, in seconds; the last one may be shorter.

    Yields
    ------
    samples : float32 [shape=(channels, n)]
        Concatenated, they are what `read` returns.

    Raises
    ------
    InputError
        As for `read`, when the first block is asked for.
    """
    excerpt = path if isinstance(path, AudioExcerpt) else AudioExcerpt(path)
    with open_audio(excerpt.path, start_s=excerpt.start_s) as recording:
        total, pieces = 0, recording.pieces
        if excerpt.duration_s is not None:
            pieces = _first_samples(pieces, max(1, round(excerpt.duration_s * recording.rate)))
        for block in _reblocked(pieces, max(1, round(block_s * recording.rate))):
            total += block.shape[1]
            yield block
        if not total:
            empty = "has no audio samples" if excerpt.start_s == 0 else f"ends before {excerpt.start_s:g} s"
            raise InputError(empty, path=excerpt.path)


def _first_samples(pieces: Iterable[Samples], limit: int) -> Iterator[Samples]:
    """Yield consecutive pieces up to a number of samples."""
    for piece in pieces:
        yield piece[:, :limit]
        limit -= piece.shape[1]
        if limit <= 0:
            return


def _reblocked(pieces: Iterable[Samples], size: int) -> Iterator[Samples]:
    """Cut consecutive pieces into blocks of `size` samples; the last one may be shorter."""
    pending: list[Samples] = []
    count = 0
    for piece in pieces:
        rest = piece
        while count + rest.shape[1] >= size:
            cut = size - count
            yield np.concatenate([*pending, rest[:, :cut]], axis=1) if pending else rest[:, :cut]
            pending, rest, count = [], rest[:, cut:], 0
        if rest.shape[1]:
            pending.append(rest)
            count += rest.shape[1]
    if count:
        yield np.concatenate(pending, axis=1)


def write(
    path: str | Path, samples: npt.ArrayLike, *, rate: int, kbps: float | None = None, force: bool = False
) -> None:
    """Write samples to a wav, flac, aiff, ogg, opus or mp3 file, as its suffix says.

    Lossless files get 24 bits. Samples beyond full scale are clipped and a warning says how many.

    Parameters
    ----------
    path : path-like
        The file; it appears only when it is complete.
    samples : float32 [shape=(channels, samples)] or [shape=(samples,)]
        Full scale is -1 to 1.
    rate : int
        In Hz.
    kbps : float, optional
        Bit rate of an opus file, from 6 to 256 kbit/s; by default the codec's own.
    force : bool
        Whether a file that exists may be overwritten.

    Raises
    ------
    InputError
        If the suffix is unknown, the file exists, the disk is full, there are no samples, one of them is not
        finite, or the format cannot hold this rate or number of channels.
    """
    _check_written_suffix(path)
    sound = channels_first(samples)
    if not sound.size:
        raise InputError(f"there are no samples to write: shape {sound.shape}", path=path)
    if not np.isfinite(sound).all():
        raise InputError("the samples to write are not all finite", path=path)
    over = int((np.abs(sound) > 1).sum())
    if over:
        _log.warning("%s: %d samples beyond full scale were clipped", path, over)
    _write_blocks(path, [sound], rate=rate, channels=sound.shape[0], length=sound.shape[1], kbps=kbps, force=force)


def _check_written_suffix(path: str | Path) -> None:
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITTEN:
        raise InputError(
            f"audio is written as {', '.join(_WRITTEN)}, not as {suffix or 'a file without suffix'}",
            path=path,
        )


def _write_blocks(
    path: str | Path, blocks: Iterable[Samples], *, rate: int, channels: int, length: int, force: bool,
    kbps: float | None = None,
) -> None:  # fmt: skip
    """Write consecutive blocks, clipped to full scale, into a file."""
    with (
        atomic_file(path, force=force) as temporary,
        open_writer(temporary, rate=rate, channels=channels, kbps=kbps, length=length, named=path) as write_block,
    ):
        for block in blocks:
            for start in range(0, block.shape[1], BLOCK):  # libsndfile overflows the stack on long vorbis writes
                write_block(np.clip(block[:, start : start + BLOCK], -1, 1))


@contextmanager
def open_writer(
    path: str | Path,
    *,
    rate: int,
    channels: int,
    codec: str | None = None,
    kbps: float | None = None,
    length: int = 0,
    named: str | Path | None = None,
) -> Iterator[Callable[[npt.NDArray[Any]], None]]:
    """Open an audio file and yield a function that writes blocks.

    Parameters
    ----------
    path : path-like
        The file; a temporary one, as it is incomplete until the block ends.
    rate, channels : int
    codec : str, optional
        "PCM_16", "PCM_24", "FLOAT" or another one that the format can hold; by default the one that `write` uses.
    kbps : float, optional
        Bit rate of each channel of an opus file.
    length : int
        Number of samples per channel, if known: a wav beyond 4 GB needs an RF64 header.
    named : path-like, optional
        Name of the file in error messages.

    Yields
    ------
    callable
        Takes float32 [shape=(channels, n)], or int32 of as many bits as `codec` has.

    Raises
    ------
    InputError
        If the disk is full, or the format cannot hold this rate or number of channels.
    """
    import soundfile

    target, count, what = Path(named or path), 0, f"{channels} channels at {rate} Hz"
    container, usual = _WRITTEN[target.suffix.lower()]
    codec = codec or usual
    if container == "WAV" and length * channels * 4 >= 1 << 32:
        container = "RF64"
    options = {}
    if kbps is not None:
        if codec != "OPUS":
            raise InputError("only opus files have a bit rate that can be chosen", path=target)
        options["compression_level"] = min(max((256 - kbps) / 250, 0.0), 1.0)
    with _wrap_errors(path, target, what):
        file = soundfile.SoundFile(
            path, "w", samplerate=rate, channels=channels, format=container, subtype=codec, **options
        )

    def write_block(block: npt.NDArray[Any]) -> None:
        nonlocal count
        count += block.shape[1]
        with _wrap_errors(path, target, what):
            file.write(np.ascontiguousarray((block << _UNUSED_BITS[codec] if block.dtype.kind == "i" else block).T))

    with file:
        yield write_block
    with _wrap_errors(path, target, what):
        if soundfile.info(str(path)).frames != count:
            raise AssertionError("some samples were not written")


@contextmanager
def _wrap_errors(path: str | Path, target: Path, what: str) -> Iterator[None]:
    """Convert errors of libsndfile into `InputError`.

    Parameters
    ----------
    path : path-like
        The temporary file that is written.
    target : Path
        What it will be called.
    what : str
        Channels and rate.
    """
    import soundfile

    try:
        yield
    except (soundfile.SoundFileError, AssertionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        with wrap_errors(target, Path(path)):
            _check_disk(path)
        if isinstance(error, AssertionError) or getattr(error, "code", 0) == _SYSTEM_ERROR:
            problem = "could not be written as a whole: see whether its disk has room, and write it again"
        else:
            problem = f"{what} could not be written as {target.suffix}: {error}"
        raise InputError(problem, path=target) from error


def _check_disk(path: str | Path) -> None:
    """Write into a temporary file until the system says why libsndfile could not: it reports other reasons, or none.

    Raises
    ------
    OSError
    """
    with open(path, "ab", buffering=0) as file:
        for _ in range(_PROBES):
            file.write(bytes(_PROBE_BYTES))
        os.fsync(file.fileno())


def resample(samples: npt.ArrayLike, *, rate: int, to: int) -> Samples:
    """Resample with soxr's high quality.

    Parameters
    ----------
    samples : float32 [shape=(channels, samples)] or [shape=(samples,)]
        The sound.
    rate, to : int
        Its rate and the rate wanted, in Hz.

    Returns
    -------
    samples : float32 [shape=(channels, about samples * to / rate)]
        The same array where the rates are equal; at least one sample.
    """
    sound = np.asarray(samples, dtype=np.float32)
    if rate == to:
        return sound
    if rate < 1 or to < 1:
        raise InputError(f"cannot resample from {rate} Hz to {to} Hz")
    import soxr

    resampled = np.ascontiguousarray(soxr.resample(sound.T, rate, to, quality="HQ").T)
    return resampled if resampled.size else sound[..., :1]  # a sample or two may be less than one at the new rate


def to_mono(samples: npt.ArrayLike) -> Samples:
    """Mix to mono by averaging, unless the channels cancel each other.

    Where the average has less than a hundredth of the channels' mean power, as when one side of a stereo recording is
    inverted, it is the channel with most power instead.

    Parameters
    ----------
    samples : float32 [shape=(channels, samples)] or [shape=(samples,)]

    Returns
    -------
    float32 [shape=(samples,)]
    """
    sound = np.asarray(samples, dtype=np.float32)
    if sound.ndim == 1:
        return sound
    if channels_cancel(sound):
        return np.asarray(sound[int(np.einsum("ct,ct->c", sound, sound).argmax())])
    return np.asarray(sound.mean(axis=0, dtype=np.float32))


def channels_first(samples: npt.ArrayLike) -> Samples:
    """Check that an array is [shape=(channels, samples)], and convert it.

    Parameters
    ----------
    samples : array_like [shape=(channels, samples)] or [shape=(samples,)]

    Returns
    -------
    float32 [shape=(channels, samples)]

    Raises
    ------
    InputError
        If there are more than two axes, or far more channels than samples: then the axes are swapped.
    """
    is_sound = isinstance(samples, np.ndarray) and samples.dtype == np.float32
    sound = np.atleast_2d(samples if is_sound else to_array("samples", samples, np.float32))
    if sound.ndim > 2:
        raise InputError(f"samples must be an array of channels × samples, not of {sound.ndim} axes")
    if sound.shape[0] > max(_MOST_CHANNELS, sound.shape[1]):
        raise InputError(
            f"samples are channels × samples, and {sound.shape[0]} × {sound.shape[1]} is the other way round: "
            "give samples.T"
        )
    return sound


def samples_of(source: str | Path | AudioExcerpt | npt.ArrayLike, rate: int | None = None) -> tuple[Samples, int]:
    """Return samples and their rate: those of a file or an excerpt, or those that are given.

    Parameters
    ----------
    source : path-like, AudioExcerpt, or array_like [shape=(channels, samples)] or [shape=(samples,)]
    rate : int, optional
        Sampling rate of samples, in Hz; a file has its own.

    Returns
    -------
    samples : float32 [shape=(channels, samples)]
    rate : int

    Raises
    ------
    InputError
        If samples come without a rate, a file comes with one, or the file cannot be read.
    """
    if isinstance(source, str | Path | AudioExcerpt):
        excerpt = source if isinstance(source, AudioExcerpt) else AudioExcerpt(source)
        if rate is not None:
            raise InputError("has its own sampling rate: leave out `rate`", path=excerpt.path)
        return read(excerpt.path, start_s=excerpt.start_s, duration_s=excerpt.duration_s)
    if rate is None:
        raise InputError("samples need their sampling rate: give (samples, rate)")
    return channels_first(source), rate


def channels_cancel(samples: Samples) -> bool:
    """Whether the channels [shape=(channels, samples)] cancel each other when they are averaged."""
    if len(samples) < 2:
        return False
    mean = samples.mean(axis=0, dtype=np.float32)
    return float(mean @ mean) < _CANCELLED * float(np.einsum("ct,ct->", samples, samples)) / len(samples)


def to_mono_blocks(pieces: Iterable[Samples], *, rate: int, block_s: float = 4.0) -> Iterator[Samples]:
    """Mix consecutive blocks to mono; the result does not depend on the size of the blocks.

    Parameters
    ----------
    pieces : iterable of float32 [shape=(channels, n)] or [shape=(n,)]
    rate : int
        In Hz.
    block_s : float
        Length of the segments to which `to_mono` is applied, in seconds.

    Yields
    ------
    float32 [shape=(n,)]
    """
    yield from map(to_mono, _reblocked(map(np.atleast_2d, pieces), max(1, round(block_s * rate))))


def tee(blocks: Iterable[Block], count: int = 2) -> tuple[Iterator[Block], ...]:
    """Return iterators over the same blocks; each block is kept until all have read it.

    `itertools.tee` keeps 57 of them, whoever has read them.

    Parameters
    ----------
    blocks : iterable
    count : int
        How many iterators.
    """
    source, waiting = iter(blocks), [deque[Block]() for _ in range(count)]

    def read(mine: deque[Block]) -> Iterator[Block]:
        while mine or (following := list(islice(source, 1))):
            if not mine:
                for one in waiting:
                    one += following
            yield mine.popleft()

    return tuple(map(read, waiting))


def clicks(beats: Beats, *, rate: int, duration_s: float, gains: npt.ArrayLike | None = None) -> Samples:
    """Synthesise a click track: a click at every beat, higher and louder at downbeats.

    Beats are 1000 Hz and downbeats 1500 Hz, as in the tutorial of Davies, Böck & Fuentes, "Tempo, Beat and
    Downbeat Estimation", ISMIR 2021. A click starts at the sample nearest to its beat and
    ends before the next.

    Parameters
    ----------
    beats : Beats
        Those after `duration_s` are left out.
    rate : int
        In Hz.
    duration_s : float
        Length of the track, in seconds.
    gains : array_like [shape=(beats,)], optional
        Factor of the amplitude of each click; 1 by default.

    Returns
    -------
    samples : float32 [shape=(samples,)]
        Never beyond -0.5 to 0.5, times the gains.
    """
    return _click_block(beats, gains, rate=rate, first=0, count=round(duration_s * rate))


def _click_block(beats: Beats, gains: npt.ArrayLike | None, *, rate: int, first: int, count: int) -> Samples:
    """Synthesise a part of a click track: so many samples from the first on."""
    track = np.zeros(count, np.float32)
    time_s = (np.arange(round(0.05 * rate)) + 0.5) / rate
    decay = np.exp(-time_s / 0.01)
    beat = (0.3 * decay * np.sin(2 * np.pi * 1000 * time_s)).astype(np.float32)
    downbeat = (0.5 * decay * np.sin(2 * np.pi * 1500 * time_s)).astype(np.float32)
    factors = np.broadcast_to(np.asarray(1.0 if gains is None else gains, np.float32), (len(beats),))
    onsets = np.rint(beats.times_s * rate).astype(np.int64) - first
    for index in np.flatnonzero((onsets > -len(beat)) & (onsets < count)):
        onset = int(onsets[index])
        click = factors[index] * (downbeat if beats.positions[index] == 1 else beat)
        start, end = max(0, onset), min(count, onset + len(click))
        track[start:end] = click[start - onset : end - onset]
    return track


def add_clicks(samples: npt.ArrayLike, beats: Beats, *, rate: int) -> Samples:
    """Add clicks at the beats to a recording, as loud as the music around them.

    The level of the music is that of the louder quarter of the 400 ms (the momentary loudness of EBU R 128, unweighted)
    within 2.5 s of the beat: neither clipping nor a single knock changes it, nor the silence between sparse strokes. A
    downbeat peaks 13 dB above it, other beats 9 dB. In breaks clicks are at most 20 dB below those in the rest of the
    recording.

    Parameters
    ----------
    samples : float32 [shape=(channels, samples)] or [shape=(samples,)]
        The recording.
    beats : Beats
        Beats of the clicks.
    rate : int
        In Hz.

    Returns
    -------
    samples : float32 [shape as given]
        Scaled to a peak of 0.98; silence has clicks of a fixed level.
    """
    sound = np.asarray(samples, dtype=np.float32)
    duration_s = sound.shape[-1] / rate
    loudness = _measure_loudness([np.atleast_2d(sound)], rate=rate)
    gains = loudness.click_gains(beats.times_s)
    if gains is None:
        return np.asarray(sound + clicks(beats, rate=rate, duration_s=duration_s), np.float32)
    mixed = sound / np.float32(loudness.peak) + clicks(beats, rate=rate, duration_s=duration_s, gains=gains)
    return np.asarray(mixed * np.float32(_CLICKED_PEAK / np.abs(mixed).max()), np.float32)


def write_clicks(path: str | Path, recording: str | Path, beats: Beats, *, force: bool = False) -> None:
    """Write a recording with clicks at the beats, as `add_clicks` adds them; of any length, in constant memory.

    Parameters
    ----------
    path : path-like
        The file, as of `write`.
    recording : path-like
        It is read three times: for its level, for the peak of the mixture, and to write that.
    beats : Beats
    force : bool
        Whether a file that exists may be overwritten.

    Raises
    ------
    InputError
        If the recording cannot be read, or the file cannot be written, as of `write`.
    """
    _check_written_suffix(path)
    rate = info(recording).rate
    loudness = _measure_loudness(read_blocks(recording), rate=rate)
    gains = loudness.click_gains(beats.times_s)
    scale = np.float32(1 if gains is None else loudness.peak)

    def mixed() -> Iterator[Samples]:
        first = 0
        for block in read_blocks(recording):
            yield block / scale + _click_block(beats, gains, rate=rate, first=first, count=block.shape[1])
            first += block.shape[1]

    level = np.float32(1)
    if gains is not None:
        level = np.float32(_CLICKED_PEAK / max(float(np.abs(block).max()) for block in mixed()))
    scaled, size = (block * level for block in mixed()), {"channels": loudness.channels, "length": loudness.samples}
    _write_blocks(path, scaled, rate=rate, **size, force=force)


@dataclass(frozen=True)
class _Loudness:
    """Level of a recording over time.

    Parameters
    ----------
    levels : float64 [shape=(n,)]
        Amplitude (RMS, mean power of all channels) of each `width` hops, without what is constant.
    hop : int
        Samples.
    width : int
    peak : float
    channels, samples, rate : int
    """

    levels: npt.NDArray[np.float64]
    hop: int
    width: int
    peak: float
    channels: int
    samples: int
    rate: int

    def click_gains(self, times_s: npt.NDArray[np.float64]) -> npt.NDArray[np.float64] | None:
        """Return the gain of each click in the recording with a peak of 1: no overflow, whatever its level.

        None in silence.
        """
        if not self.levels.max(initial=0) > 0:
            return None
        lowest = _LOWEST_LEVEL * float(np.quantile(self.levels[self.levels > 0], _LEVEL_QUANTILE))
        centre = np.rint(np.asarray(times_s) * self.rate / self.hop - self.width / 2).astype(np.int64)
        reach = round(_LEVEL_AROUND_S * self.rate / self.hop)
        around = (
            self.levels[max(0, at - reach) : max(1, at + reach + 1)] for at in centre.clip(0, len(self.levels) - 1)
        )
        near = np.array([max(lowest, float(np.quantile(part, _LEVEL_QUANTILE))) for part in around])
        return near * (_CLICK_ABOVE / 0.5) / self.peak


def _measure_loudness(blocks: Iterable[Samples], *, rate: int) -> _Loudness:
    """Measure the level of a recording that arrives in blocks."""
    hop = max(1, round(_LEVEL_HOP_S * rate))
    sums, squares, peak, samples = list[Any](), list[Any](), 0.0, 0
    for block in _reblocked(blocks, 300 * hop):
        n = block.shape[1] // hop
        if not samples and n < _LEVEL_HOPS:  # too short for any block
            hop, n = max(1, block.shape[1]), min(1, block.shape[1])
        hops = block[:, : n * hop].reshape(len(block), n, hop)
        sums.append(hops.sum(axis=2, dtype=np.float64))
        squares.append(np.einsum("cnt,cnt->cn", hops, hops, dtype=np.float64))
        peak, samples = max(peak, float(np.abs(block).max())), samples + block.shape[1]
    if not samples:
        return _Loudness(np.zeros(0), hop, 1, 0.0, 0, 0, rate)
    total, square = np.concatenate(sums, axis=1), np.concatenate(squares, axis=1)
    channels, n = total.shape
    width = min(_LEVEL_HOPS, n)
    ones, power = np.ones(width), np.zeros(n - width + 1)
    for one_total, one_square in zip(total, square, strict=True):
        mean = np.convolve(one_total, ones, "valid") / (width * hop)
        power += (np.convolve(one_square, ones, "valid") / (width * hop) - mean**2).clip(0) / channels
    power[power < _ROUNDING * float(square.sum(axis=0).max()) / hop] = 0
    return _Loudness(np.sqrt(power), hop, width, peak, channels, samples, rate)  # an offset has no loudness


def content_hash(path: str | Path) -> str:
    """Compute the SHA-256 of a file's bytes, or of all files of a folder with their names, in hexadecimal."""
    if Path(path).is_dir():
        files = sorted(file for file in Path(path).rglob("*") if file.is_file())
        lines = [f"{content_hash(file)}  {file.relative_to(path).as_posix()}\n" for file in files]
        return hashlib.sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()
    check_audio_file(path)
    return sha256_of(path)


def _concatenate(recording: Recording, *, limit: int | None) -> Samples:
    """Concatenate all blocks, or the first `limit` samples of them."""
    size = min(recording.length or 0, 1 << 32)
    size = max(1, size if limit is None else min(size, limit))
    samples, count = np.empty((recording.channels, size), np.float32), 0
    for piece in recording.pieces:
        new = piece if limit is None else piece[:, : limit - count]
        end = count + new.shape[1]
        if end > samples.shape[1]:
            more = np.empty((recording.channels, end), np.float32)
            samples = np.concatenate([samples[:, :count], more], axis=1)
        samples[:, count:end] = new
        count = end
        if count == limit:
            break
    return samples if count == samples.shape[1] else samples[:, :count].copy()
