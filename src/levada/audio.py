"""Recordings in and out: samples are float32 [shape=(channels, samples)] and travel with their rate, in Hz.

wav, flac, mp3, ogg, opus and their like are read by libsndfile; anything else (m4a, webm, wma, …) by the ffmpeg
program or by PyAV where one of them is installed. What is read is always finite: samples that are not numbers
become silence, and a warning says so. A truncated file gives what is there, with a warning.
"""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.beats import Beats
from levada.errors import InputError
from levada.files import atomic

if TYPE_CHECKING:
    import soundfile

__all__ = [
    "SUFFIXES",
    "AudioInfo",
    "blocks",
    "clicks",
    "content_hash",
    "info",
    "lacks_length_header",
    "mono",
    "read",
    "resample",
    "with_clicks",
    "write",
]

Samples = npt.NDArray[np.float32]

_FOREIGN = {".m4a", ".aac", ".mp4", ".webm", ".wma", ".mka", ".mkv", ".mov", ".ac3"}
SUFFIXES = frozenset(
    {".wav", ".flac", ".mp3", ".ogg", ".opus", ".oga", ".aif", ".aiff", ".caf", ".w64"} | _FOREIGN
)
"""Suffixes, in lower case, of what is taken for a recording in a folder."""

_WRITTEN = {
    ".wav": ("WAV", "PCM_24"),
    ".flac": ("FLAC", "PCM_24"),
    ".aif": ("AIFF", "PCM_24"),
    ".aiff": ("AIFF", "PCM_24"),
    ".ogg": ("OGG", "VORBIS"),
    ".opus": ("OGG", "OPUS"),
    ".mp3": ("MP3", "MPEG_LAYER_III"),
}
_PIECE = (
    1 << 14
)  # samples a channel asked of a decoder at once: what a damaged file may lose before the damage

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class AudioInfo:
    """What a recording is, without its samples."""

    duration_s: float  # how long it lasts
    rate: int  # samples a second in each channel, in Hz
    channels: int  # 1 is mono
    samples: int  # in each channel
    codec: str  # how the samples are stored, as the decoder calls it: "PCM_16", "VORBIS", "aac"


def info(path: str | Path) -> AudioInfo:
    """Length, rate and channels of a recording.

    A recording that libsndfile cannot read is decoded from beginning to end to know its exact length.

    Raises
    ------
    InputError
        If there is no such file, or it is not audio, or it has no samples.
    """
    with _opened(path) as stream:
        length = stream.length
        if length is None:
            length = sum(piece.shape[1] for piece in stream.pieces)
        if not length:
            raise InputError("has no audio samples", path=path)
        return AudioInfo(length / stream.rate, stream.rate, stream.channels, length, stream.codec)


def read(path: str | Path, *, start_s: float = 0.0, duration_s: float | None = None) -> tuple[Samples, int]:
    """Read a recording or a stretch of it, every channel, at its own rate.

    Parameters
    ----------
    path : path-like
        The recording.
    start_s : float
        Where to start, in seconds, rounded to the nearest sample.
    duration_s : float, optional
        How much to read, in seconds; less is returned where the recording ends earlier.

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
    with _opened(path, start_s=start_s) as stream:
        left = stream.length if stream.length is not None else 0
        wanted = None if duration_s is None else max(1, round(duration_s * stream.rate))
        samples = _gathered(_finite(stream, path, start_s), stream.channels, room=left, limit=wanted)
        if not samples.size:
            empty = "has no audio samples" if start_s == 0 else f"ends before {start_s:g} s"
            raise InputError(empty, path=path)
        return samples, stream.rate


def blocks(path: str | Path, *, block_s: float = 30.0) -> Iterator[Samples]:
    """Read a recording piece by piece, in memory that does not grow with its length.

    Parameters
    ----------
    path : path-like
        The recording.
    block_s : float
        Length of a block, in seconds; the last one may be shorter.

    Yields
    ------
    samples : float32 [shape=(channels, n)]
        One after the other they are what `read` gives.

    Raises
    ------
    InputError
        As for `read`, when the first block is asked for.
    """
    with _opened(path) as stream:
        size = max(1, round(block_s * stream.rate))
        held: list[Samples] = []
        count = total = 0
        for piece in _finite(stream, path):
            total += piece.shape[1]
            while count + piece.shape[1] >= size:
                yield np.concatenate([*held, piece[:, : size - count]], axis=1)
                held, piece, count = [], piece[:, size - count :], 0  # noqa: PLW2901
            held.append(piece)
            count += piece.shape[1]
        if count:
            yield np.concatenate(held, axis=1)
        if not total:
            raise InputError("has no audio samples", path=path)


def write(path: str | Path, samples: npt.ArrayLike, *, rate: int, force: bool = False) -> None:
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
    force : bool
        Whether a file that exists may be overwritten.

    Raises
    ------
    InputError
        If the suffix is unknown, the file exists, the disk is full, there are no samples, one of them is not
        finite, or the format cannot hold this rate or number of channels.
    """
    import soundfile

    suffix = Path(path).suffix.lower()
    if suffix not in _WRITTEN:
        raise InputError(
            f"audio is written as {', '.join(_WRITTEN)}, not as {suffix or 'a file without suffix'}",
            path=path,
        )
    sound = np.atleast_2d(np.asarray(samples, dtype=np.float32))
    if sound.ndim != 2 or not sound.size:
        raise InputError(f"there are no samples to write: shape {sound.shape}", path=path)
    if not np.isfinite(sound).all():
        raise InputError("the samples to write are not all finite", path=path)
    over = int((np.abs(sound) > 1).sum())
    if over:
        _log.warning("%s: %d samples beyond full scale were clipped", path, over)
    container, codec = _WRITTEN[suffix]
    channels, length = sound.shape
    with atomic(path, force=force) as temporary:
        try:
            with soundfile.SoundFile(
                temporary, "w", samplerate=rate, channels=channels, format=container, subtype=codec
            ) as file:
                for start in range(0, length, _PIECE):  # libsndfile overflows the stack on long vorbis writes
                    file.write(np.clip(sound[:, start : start + _PIECE], -1, 1).T)
            whole = soundfile.info(str(temporary)).frames == length
        except (soundfile.SoundFileError, AssertionError, ValueError) as error:
            what = f"{channels} channels at {rate} Hz could not be written as {suffix}"
            raise InputError(f"{what}: {error or 'is the disk full?'}", path=path) from error
        if not whole:
            raise InputError("could not be written as a whole: is the disk full?", path=path)


def resample(samples: npt.ArrayLike, *, rate: int, to: int) -> Samples:
    """Samples at another rate, by soxr's high-quality resampler.

    Parameters
    ----------
    samples : float32 [shape=(channels, samples)] or [shape=(samples,)]
        The sound.
    rate, to : int
        Its rate and the rate wanted, in Hz.

    Returns
    -------
    samples : float32 [shape=(channels, about samples * to / rate)]
        The same array where the rates are equal.
    """
    sound = np.asarray(samples, dtype=np.float32)
    if rate == to:
        return sound
    if rate < 1 or to < 1:
        raise InputError(f"cannot resample from {rate} Hz to {to} Hz")
    import soxr

    return np.ascontiguousarray(soxr.resample(sound.T, rate, to, quality="HQ").T)


def mono(samples: npt.ArrayLike) -> Samples:
    """Mean of the channels, float32 [shape=(samples,)]."""
    sound = np.asarray(samples, dtype=np.float32)
    return sound if sound.ndim == 1 else np.asarray(sound.mean(axis=0, dtype=np.float32))


def clicks(beats: Beats, *, rate: int, duration_s: float) -> Samples:
    """A click at every beat, a higher and louder one at every downbeat.

    Beats are 1000 Hz and downbeats 1500 Hz, as in the tutorial of Davies, Böck & Fuentes, "Tempo, Beat and
    Downbeat Estimation", ISMIR 2021. A click starts at the sample nearest to its beat and is cut off by the next.

    Parameters
    ----------
    beats : Beats
        Those after `duration_s` are left out.
    rate : int
        In Hz.
    duration_s : float
        Length of the track, in seconds.

    Returns
    -------
    samples : float32 [shape=(samples,)]
        Never beyond -0.5 to 0.5.
    """
    track = np.zeros(round(duration_s * rate), np.float32)
    time_s = (np.arange(round(0.05 * rate)) + 0.5) / rate
    decay = np.exp(-time_s / 0.01)
    beat = (0.3 * decay * np.sin(2 * np.pi * 1000 * time_s)).astype(np.float32)
    downbeat = (0.5 * decay * np.sin(2 * np.pi * 1500 * time_s)).astype(np.float32)
    for at_s, position in beats:
        onset = round(at_s * rate)
        click = downbeat if position == 1 else beat
        track[onset : onset + len(click)] = click[: max(0, len(track) - onset)]
    return track


def with_clicks(samples: npt.ArrayLike, beats: Beats, *, rate: int) -> Samples:
    """The recording with clicks at its beats.

    The recording is brought to a peak of half of full scale, so that the sum with the clicks never clips.

    Parameters
    ----------
    samples : float32 [shape=(channels, samples)] or [shape=(samples,)]
        The recording.
    beats : Beats
        Where to click.
    rate : int
        In Hz.

    Returns
    -------
    samples : float32 [shape as given]
        Never beyond -1 to 1.
    """
    sound = np.asarray(samples, dtype=np.float32)
    peak = float(np.abs(sound).max(initial=0.0))
    level = np.float32(0.49 / peak if peak > 0 else 1.0)
    return np.asarray(sound * level + clicks(beats, rate=rate, duration_s=sound.shape[-1] / rate), np.float32)


def content_hash(path: str | Path) -> str:
    """SHA-256 of the file's bytes, in hexadecimal: the same recording under whatever name."""
    _need_file(path)
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lacks_length_header(path: str | Path) -> bool:
    """Whether this is an MP3 without a Xing, Info or VBRI header.

    Decoders cannot know how much silence the encoder of such a file put first, so that its beats, if they were
    annotated elsewhere, may be shifted by about 25 ms.

    Returns
    -------
    lacking : bool
        False for everything that is not an MP3.
    """
    _need_file(path)
    with open(path, "rb") as file:
        start = file.read(10)
        if start[:3] == b"ID3" and len(start) == 10:
            size = sum((byte & 0x7F) << shift for byte, shift in zip(start[6:], (21, 14, 7, 0), strict=True))
            file.seek(10 + size + (10 if start[5] & 0x10 else 0))
        else:
            file.seek(0)
        data = file.read(1 << 16)
    if data[:4] in (b"RIFF", b"fLaC", b"OggS", b"FORM"):
        return False
    for at in range(len(data) - 4):
        length = _mpeg_frame_length(data[at : at + 4])
        if length and (
            at + length >= len(data) - 4 or _mpeg_frame_length(data[at + length : at + length + 4])
        ):
            return not any(name in data[at : at + 64] for name in (b"Xing", b"Info", b"VBRI"))
    return False


_KBPS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def _mpeg_frame_length(header: bytes) -> int:
    """Bytes of the layer III frame that starts with this header, 0 if none does (ISO 11172-3, 2.4.1.3)."""
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3  # version 3 is MPEG 1, 2 is MPEG 2, 0 is MPEG 2.5
    kbps, hertz, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer != 1 or kbps in (0, 15) or hertz == 3:
        return 0
    rate = (44100, 48000, 32000)[hertz] // {3: 1, 2: 2, 0: 4}[version]
    table, half_samples = (_KBPS_1, 144) if version == 3 else (_KBPS_2, 72)
    return half_samples * 1000 * table[kbps - 1] // rate + padding


@dataclass(frozen=True)
class _Stream:
    """A recording being decoded."""

    rate: int
    channels: int
    codec: str
    length: int | None  # samples from the start asked for, where the decoder knows
    promised: int | None  # the same as the file's header has it
    pieces: Iterator[Samples]


@contextmanager
def _opened(path: str | Path, *, start_s: float = 0.0) -> Iterator[_Stream]:
    """Open with whatever can decode it; the file is closed, or the program ended, with the block."""
    _need_file(path)
    import soundfile

    try:
        file = soundfile.SoundFile(path)
    except soundfile.SoundFileError as error:
        if shutil.which("ffmpeg"):
            decoder = _ffmpeg(path, start_s=start_s)
        elif importlib.util.find_spec("av"):
            decoder = _pyav(path, start_s=start_s)
        else:
            raise InputError(
                "is not audio, or of a kind that needs the ffmpeg program or PyAV: "
                "install ffmpeg, or pip install 'levada[video]'",
                path=path,
            ) from error
        with decoder as stream:
            yield stream
        return
    with file:
        start = min(round(start_s * file.samplerate), file.frames)
        length = file.frames - start
        promised = max(length, _header_length(file) - start)
        try:
            file.seek(start)
        except soundfile.SoundFileError as error:
            raise InputError(f"is damaged before {start_s:g} s ({error})", path=path) from error
        pieces = _libsndfile_pieces(file, path)
        yield _Stream(file.samplerate, file.channels, file.subtype, length, promised, pieces)


def _libsndfile_pieces(file: soundfile.SoundFile, path: str | Path) -> Iterator[Samples]:
    import soundfile

    while True:
        try:
            piece = file.read(_PIECE, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            _log.warning("%s: damaged, only what comes before the damage is used (%s)", path, error)
            return
        if not len(piece):
            return
        yield np.ascontiguousarray(piece.T)


def _header_length(file: soundfile.SoundFile) -> int:
    """Samples that the header of a wav or aiff promises, where libsndfile noticed that there are fewer."""
    found = re.search(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    if not found or not int(found[2]) or int(found[1]) >= 0xFFFFFF00:  # a stream's header knows no length
        return 0
    return file.frames * int(found[1]) // int(found[2])


@contextmanager
def _ffmpeg(path: str | Path, *, start_s: float) -> Iterator[_Stream]:
    """Decode with the ffmpeg program: it writes a 32-bit float wav to a pipe."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-protocol_whitelist", "file,pipe"]
    command += [
        "-i",
        f"file:{os.path.abspath(path)}",
        "-map",
        "0:a:0",
        "-c:a",
        "pcm_f32le",
        "-f",
        "wav",
        "pipe:1",
    ]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=said)
        assert process.stdout is not None
        try:
            header = _wav_header(process.stdout)
            if header is None:
                process.wait()
                raise InputError(f"ffmpeg finds no audio in it ({_last_line(said)})", path=path)
            rate, channels = header
            pieces = _raw_pieces(process, channels, said, path)
            codec = re.search(r"Audio: (\w+)", _text(said))
            start = round(start_s * rate)
            yield _Stream(rate, channels, codec[1] if codec else "unknown", None, None, _from(pieces, start))
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


def _wav_header(pipe: IO[bytes]) -> tuple[int, int] | None:
    """Rate and channels from a wav header, up to the first sample; None if the pipe ends before."""
    if pipe.read(12)[:4] != b"RIFF":
        return None
    rate = channels = 0
    while len(chunk := pipe.read(8)) == 8 and chunk[:4] != b"data":
        body = pipe.read(int.from_bytes(chunk[4:], "little") + chunk[4] % 2)
        if chunk[:4] == b"fmt ":
            channels, rate = int.from_bytes(body[2:4], "little"), int.from_bytes(body[4:8], "little")
    return (rate, channels) if rate and channels and len(chunk) == 8 else None


def _raw_pieces(
    process: subprocess.Popen[bytes], channels: int, said: IO[bytes], path: str | Path
) -> Iterator[Samples]:
    assert process.stdout is not None
    while data := process.stdout.read(_PIECE * channels * 4):
        sound = np.frombuffer(data[: len(data) // (4 * channels) * 4 * channels], "<f4")
        yield np.ascontiguousarray(sound.reshape(-1, channels).T, np.float32)
    if process.wait():
        _log.warning("%s: damaged, only what could be decoded is used (%s)", path, _last_line(said))


@contextmanager
def _pyav(path: str | Path, *, start_s: float) -> Iterator[_Stream]:
    """Decode with PyAV."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError("there is no audio in it", path=path)
            track = container.streams.audio[0]
            pieces = _from(_pyav_pieces(container, path), round(start_s * track.rate))
            yield _Stream(track.rate, track.channels, track.codec_context.name, None, None, pieces)
    except av.error.FFmpegError as error:
        raise InputError(f"is not audio that PyAV can read ({error})", path=path) from error


def _pyav_pieces(container: Any, path: str | Path) -> Iterator[Samples]:
    import av

    planar = av.AudioResampler(format="fltp")
    try:
        for frame in chain(container.decode(audio=0), [None]):
            for converted in planar.resample(frame):
                yield np.ascontiguousarray(converted.to_ndarray(), np.float32)
    except av.error.FFmpegError as error:
        _log.warning("%s: damaged, only what could be decoded is used (%s)", path, error)


def _from(pieces: Iterator[Samples], start: int) -> Iterator[Samples]:
    """The pieces without the first `start` samples."""
    for piece in pieces:
        if start < piece.shape[1]:
            yield piece[:, start:]
        start = max(0, start - piece.shape[1])


def _finite(stream: _Stream, path: str | Path, start_s: float = 0.0) -> Iterator[Samples]:
    """The pieces with silence in place of NaN and infinity; warns once of these, and of a truncated file."""
    total, clean = 0, True
    for piece in stream.pieces:
        bad = ~np.isfinite(piece)
        if bad.any():
            if clean:
                at_s = start_s + (total + int(bad.any(axis=0).argmax())) / stream.rate
                _log.warning("%s: samples from %.3f s on are not finite; silence is used instead", path, at_s)
            clean = False
            piece = np.where(bad, np.float32(0), piece)  # noqa: PLW2901
        total += piece.shape[1]
        yield piece
    if stream.promised is not None and total < stream.promised:
        there_s, promised_s = start_s + total / stream.rate, start_s + stream.promised / stream.rate
        _log.warning("%s: truncated: its header promises %.2f s, %.2f s are there", path, promised_s, there_s)


def _gathered(pieces: Iterator[Samples], channels: int, *, room: int, limit: int | None) -> Samples:
    """All pieces, or the first `limit` samples of them, in one array; `room` is a guess of how many come."""
    room = min(room, 1 << 32) if limit is None else min(room, limit)
    sound, count = np.empty((channels, max(room, 1)), np.float32), 0
    for piece in pieces:
        new = piece if limit is None else piece[:, : limit - count]
        if count + new.shape[1] > sound.shape[1]:
            sound = np.concatenate(
                [sound[:, :count], np.empty((channels, count + new.shape[1]), np.float32)], axis=1
            )
        sound[:, count : count + new.shape[1]] = new
        count += new.shape[1]
        if count == limit:
            break
    return sound if count == sound.shape[1] else sound[:, :count].copy()


def _need_file(path: str | Path) -> None:
    """Refuse what cannot be opened as an ordinary file with something in it."""
    place = Path(path)
    if not place.exists():
        raise InputError("there is no such file", path=path)
    if place.is_dir():
        raise InputError("is a folder, not a recording", path=path)
    if not place.is_file():
        raise InputError("is not an ordinary file", path=path)
    try:
        with open(place, "rb") as file:
            if not file.read(1):
                raise InputError("is an empty file", path=path)
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error


def _text(said: IO[bytes]) -> str:
    said.seek(0)
    return said.read().decode("utf-8", "replace")


def _last_line(said: IO[bytes]) -> str:
    return (_text(said).strip().splitlines() or ["no reason given"])[-1]
