"""Open a recording with whatever can decode it: libsndfile, the ffmpeg program or PyAV."""

from __future__ import annotations

import importlib.util
import logging
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError

if TYPE_CHECKING:
    import soundfile

__all__ = ["PIECE", "Recording", "Samples", "lacks_length_header", "need_file", "opened"]

Samples = npt.NDArray[np.float32]

PIECE = 1 << 14
"""Samples a channel that pass a decoder at once: what a damaged file may lose before the damage."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """A recording being decoded, from some start on."""

    rate: int
    channels: int
    codec: str
    length: int | None  # samples a channel to come, where the decoder knows
    promised: int | None  # as many as should come by the file's header
    pieces: Iterator[Samples]  # all finite, float32 [shape=(channels, n)]


@contextmanager
def opened(path: str | Path, *, start_s: float = 0.0) -> Iterator[Recording]:
    """Open with whatever can decode it; the file is closed, or the program ended, with the block.

    Parameters
    ----------
    path : path-like
        The recording.
    start_s : float
        Where the pieces start, in seconds, rounded to the nearest sample.

    Yields
    ------
    recording : Recording
        Its pieces can be taken once.

    Raises
    ------
    InputError
        If there is no such file, or nothing can decode it.
    """
    need_file(path)
    import soundfile

    try:
        file = soundfile.SoundFile(path)
    except soundfile.SoundFileError as error:
        with _foreign_decoder(path, start_s, error) as recording:
            yield replace(recording, pieces=_finite(recording, path, start_s))
        return
    with file:
        recording = _libsndfile(file, path, start_s)
        yield replace(recording, pieces=_finite(recording, path, start_s))


def _libsndfile(file: soundfile.SoundFile, path: str | Path, start_s: float) -> Recording:
    import soundfile

    rate, pieces = file.samplerate, _libsndfile_pieces(file, path)
    start = min(round(start_s * rate), file.frames)
    length: int | None = file.frames - start
    promised: int | None = max(file.frames, _header_length(file)) - start
    if file.subtype.startswith("MPEG"):  # the decoder needs what comes before: no exact seeking
        pieces = _from(pieces, start)
        if lacks_length_header(path):
            length = promised = None
    else:
        try:
            file.seek(start)
        except soundfile.SoundFileError as error:
            raise InputError(f"is damaged before {start_s:g} s ({error})", path=path) from error
    return Recording(rate, file.channels, file.subtype, length, promised, pieces)


def _foreign_decoder(
    path: str | Path, start_s: float, error: soundfile.SoundFileError
) -> AbstractContextManager[Recording]:
    """Decode what libsndfile cannot."""
    if shutil.which("ffmpeg"):
        return _ffmpeg(path, start_s)
    if importlib.util.find_spec("av"):
        return _pyav(path, start_s)
    known = getattr(error, "code", 1) != 1  # libsndfile's 1 is "format not recognised"
    problem = f"is damaged ({error.error_string.rstrip('.')})" if known else "is not audio"
    raise InputError(
        f"{problem}, or of a kind that needs the ffmpeg program or PyAV: "
        "install ffmpeg, or pip install 'levada[video]'",
        path=path,
    ) from error


def _libsndfile_pieces(file: soundfile.SoundFile, path: str | Path) -> Iterator[Samples]:
    import soundfile

    # soundfile seeks to where it is before and after every read of a file that can seek; an mp3 decoder forgets
    # what it needs for the next frame by that, and the joints would be noise
    file.seekable = lambda: False
    while True:
        try:
            piece = file.read(PIECE, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            _log.warning("%s: damaged, only what comes before the damage is used (%s)", path, error)
            return
        if not len(piece):
            return
        yield np.ascontiguousarray(piece.T)


def _header_length(file: soundfile.SoundFile) -> int:
    """Count the samples that the header of a wav or aiff promises, where libsndfile found fewer, else 0."""
    found = re.search(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    if not found or not int(found[2]) or int(found[1]) >= 0xFFFFFF00:  # a stream's header knows no length
        return 0
    return int(file.frames) * int(found[1]) // int(found[2])


@contextmanager
def _ffmpeg(path: str | Path, start_s: float) -> Iterator[Recording]:
    """Decode with the ffmpeg program: it writes a 32-bit float wav to a pipe."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-protocol_whitelist", "file,pipe"]
    source, target = (
        ["-i", f"file:{os.path.abspath(path)}", "-map", "0:a:0"],
        ["-c:a", "pcm_f32le", "-f", "wav"],
    )
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen([*command, *source, *target, "pipe:1"], stdout=subprocess.PIPE, stderr=said)
        assert process.stdout is not None
        try:
            header = _wav_header(process.stdout)
            if header is None:
                process.wait()
                raise InputError(f"ffmpeg finds no audio in it ({_last_line(said)})", path=path)
            rate, channels = header
            pieces = _raw_pieces(process, channels, said, path)
            codec = re.search(r"Audio: (\w+)", _text(said))
            name = codec[1] if codec else "unknown"
            yield Recording(rate, channels, name, None, None, _from(pieces, round(start_s * rate)))
        finally:
            process.kill()
            process.stdout.close()
            process.wait()


def _wav_header(pipe: IO[bytes]) -> tuple[int, int] | None:
    """Read a wav header up to the first sample: rate and channels, or None if the pipe ends before."""
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
    while data := process.stdout.read(PIECE * channels * 4):
        sound = np.frombuffer(data[: len(data) // (4 * channels) * 4 * channels], "<f4")
        yield np.ascontiguousarray(sound.reshape(-1, channels).T, np.float32)
    if process.wait():
        _log.warning("%s: damaged, only what could be decoded is used (%s)", path, _last_line(said))


@contextmanager
def _pyav(path: str | Path, start_s: float) -> Iterator[Recording]:
    """Decode with PyAV."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError("there is no audio in it", path=path)
            track = container.streams.audio[0]
            pieces = _from(_pyav_pieces(container, path), round(start_s * track.rate))
            yield Recording(track.rate, track.channels, track.codec_context.name, None, None, pieces)
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
    """Drop the first `start` samples."""
    for piece in pieces:
        if start < piece.shape[1]:
            yield piece[:, start:]
        start = max(0, start - piece.shape[1])


def _finite(recording: Recording, path: str | Path, start_s: float) -> Iterator[Samples]:
    """Put silence in place of NaN and infinity; warn once of these, and of a truncated file."""
    total, clean = 0, True
    for piece in recording.pieces:
        bad = ~np.isfinite(piece)
        if bad.any():
            if clean:
                at_s = start_s + (total + int(bad.any(axis=0).argmax())) / recording.rate
                _log.warning("%s: samples from %.3f s on are not finite; silence is used instead", path, at_s)
            clean = False
            piece = np.where(bad, np.float32(0), piece)
        total += piece.shape[1]
        yield piece
    if recording.promised is not None and total < recording.promised:
        there_s, promised_s = start_s + total / recording.rate, start_s + recording.promised / recording.rate
        _log.warning("%s: truncated: its header promises %.2f s, %.2f s are there", path, promised_s, there_s)


def need_file(path: str | Path) -> None:
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


def lacks_length_header(path: str | Path) -> bool:
    """Whether this is an MP3 without a Xing, Info or VBRI header.

    Decoders cannot know how much silence the encoder of such a file put first, so that beats annotated on
    another copy may be shifted by about 25 ms.

    Returns
    -------
    lacking : bool
        False for everything that is not an MP3.
    """
    need_file(path)
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
        if length and (at + length >= len(data) - 4 or _mpeg_frame_length(data[at + length : at + length + 4])):
            return not any(name in data[at : at + 64] for name in (b"Xing", b"Info", b"VBRI"))
    return False


_KBPS_1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)
_KBPS_2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)


def _mpeg_frame_length(header: bytes) -> int:
    """Count the bytes of the layer III frame with this header, 0 if it is none (ISO 11172-3, 2.4.1.3)."""
    if header[0] != 0xFF or header[1] & 0xE0 != 0xE0:
        return 0
    version, layer = header[1] >> 3 & 3, header[1] >> 1 & 3  # version 3 is MPEG 1, 2 is MPEG 2, 0 is MPEG 2.5
    kbps, hertz, padding = header[2] >> 4, header[2] >> 2 & 3, header[2] >> 1 & 1
    if version == 1 or layer != 1 or kbps in (0, 15) or hertz == 3:
        return 0
    rate = (44100, 48000, 32000)[hertz] // {3: 1, 2: 2, 0: 4}[version]
    table, half_samples = (_KBPS_1, 144) if version == 3 else (_KBPS_2, 72)
    return half_samples * 1000 * table[kbps - 1] // rate + padding


def _text(said: IO[bytes]) -> str:
    return os.pread(said.fileno(), 1 << 20, 0).decode("utf-8", "replace")


def _last_line(said: IO[bytes]) -> str:
    return (_text(said).strip().splitlines() or ["no reason given"])[-1]
