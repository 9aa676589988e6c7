"""Audio decoders: libsndfile, the ffmpeg program or PyAV.

Times are those of a player: if the audio of a video begins after its picture, silence is inserted before it.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError, wrap_read_errors
from levada.io import containers

if TYPE_CHECKING:
    import soundfile

__all__ = ["BLOCK", "Recording", "Samples", "check_audio_file", "open_audio"]

Samples = npt.NDArray[np.float32]

BLOCK = 1 << 14
"""Samples per channel of one block of a decoder: a damaged file may lose as much before the damage."""

_ENDLESS = 1 << 40  # samples a channel: a file whose header has no length
_LARGEST = 2.0**32  # far beyond full scale of any integer format: damage, and the squares would overflow
_LONGEST_DELAY_S = 3600.0  # more is damage
_SHORTFALL_S = 0.01  # a header's size may count itself
_MPEG_BEFORE_S = 1.0  # decoded before the first sample of an excerpt: a frame needs some of those before it
_MPEG_STEP = 2304  # samples: from every second frame on, libmpg123 adds in the same order as from the first one

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recording:
    """An open audio file with an iterator over its samples."""

    rate: int
    channels: int
    codec: str
    length: int | None  # remaining samples per channel, if known
    promised: int | None  # remaining samples per channel according to the header
    pieces: Iterator[Samples]  # all finite, float32 [shape=(channels, n)]
    note: str = ""  # a problem of the file, logged when it has been read


@contextmanager
def open_audio(path: str | Path, *, start_s: float = 0.0) -> Iterator[Recording]:
    """Open an audio file with a suitable decoder.

    Parameters
    ----------
    path : path-like
        The recording.
    start_s : float
        Where the pieces start, in seconds, rounded to the nearest sample.

    Yields
    ------
    recording : Recording
        Its blocks can be read once.

    Raises
    ------
    InputError
        If there is no such file, or nothing can decode it.
    """
    check_audio_file(path)
    with ExitStack() as stack:
        with wrap_read_errors(path):
            recording = _decoder(path, start_s, stack)
        yield replace(recording, pieces=_finite(recording, path, start_s))


def _decoder(path: str | Path, start_s: float, stack: ExitStack) -> Recording:
    """Start a suitable decoder; `stack` closes it."""
    import soundfile

    parts = containers.sections(path)
    try:
        if parts:
            file = stack.enter_context(_sound_file(stack.enter_context(containers.spliced(path, parts[0]))))
        else:
            file = stack.enter_context(_sound_file(os.fsencode(path) if os.name == "posix" else path))
    except soundfile.SoundFileError as error:
        if what := containers.not_audio(path):
            raise InputError(f"is not audio but {what}", path=path) from error
        return stack.enter_context(_foreign_decoder(path, start_s, error))
    return _libsndfile(file, path, start_s, parts)


def _sound_file(source: Any) -> soundfile.SoundFile:
    import soundfile

    with _quiet():
        return soundfile.SoundFile(source)


_quiet_lock = threading.Lock()
_quiet_depth, _quiet_kept = 0, -1


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress stderr output of C libraries; libmpg123 has no quiet mode."""
    global _quiet_depth, _quiet_kept
    with _quiet_lock:
        if _quiet_depth == 0:
            if sys.stderr is not None:
                sys.stderr.flush()
            try:
                _quiet_kept = os.dup(2)
            except OSError:  # it is closed
                _quiet_kept = -1
            else:
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, 2)
                os.close(null)
        _quiet_depth += 1
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0 and _quiet_kept >= 0:
                os.dup2(_quiet_kept, 2)
                os.close(_quiet_kept)


def _libsndfile(
    file: soundfile.SoundFile, path: str | Path, start_s: float, parts: list[containers.Section]
) -> Recording:
    import soundfile

    rate, start = file.samplerate, round(start_s * file.samplerate)
    codec, note = file.subtype, parts[0].note if parts else ""
    is_mpeg = file.subtype.startswith("MPEG")
    lost = parts[0].lost if is_mpeg and parts else 0
    if len(parts) > 1 or start < lost:
        return Recording(rate, file.channels, codec, None, None, _from(_joined(file, path, parts), start), note)
    pieces = _libsndfile_pieces(file, path)
    if is_mpeg and (parts or containers.lacks_length_header(path)):
        return Recording(rate, file.channels, codec, None, None, _mpeg_pieces(file, path, start - lost), note)
    if file.frames >= _ENDLESS:
        return Recording(rate, file.channels, codec, None, None, _from(pieces, start), note)
    start = min(start, file.frames)
    length: int | None = file.frames - start
    promised: int | None = max(file.frames, _header_length(file)) - start
    if is_mpeg:
        pieces = _mpeg_pieces(file, path, start)
    else:
        try:
            file.seek(start)
        except soundfile.SoundFileError as error:
            raise InputError(f"is damaged before {start_s:g} s ({error})", path=path) from error
    return Recording(rate, file.channels, codec, length, promised, pieces, note)


def _joined(file: soundfile.SoundFile, path: str | Path, parts: list[containers.Section]) -> Iterator[Samples]:
    """Read sections in order, with silence for lost samples between them."""
    total, rate, channels = parts[0].lost, file.samplerate, file.channels
    yield from _silence(parts[0].lost, channels)
    for piece in _libsndfile_pieces(file, path):
        total += piece.shape[1]
        yield piece
    for part in parts[1:]:
        if part.lost:
            _log.warning(
                "%s: damaged at %.2f s; silence stands for the %.2f s that cannot be read",
                path, total / rate, part.lost / rate,
            )  # fmt: skip
            yield from _silence(part.lost, channels)
            total += part.lost
        with containers.spliced(path, part) as lent, _sound_file(lent) as following:
            if (following.samplerate, following.channels) != (rate, channels):
                _log.warning(
                    "%s: at %.2f s another recording follows, of %d Hz and %d channels, and is not read; "
                    "save it as a file of its own",
                    path, total / rate, following.samplerate, following.channels,
                )  # fmt: skip
                return
            for piece in _libsndfile_pieces(following, path):
                total += piece.shape[1]
                yield piece


def _silence(samples: int, channels: int) -> Iterator[Samples]:
    for start in range(0, samples, BLOCK):
        yield np.zeros((channels, min(BLOCK, samples - start)), np.float32)


def _foreign_decoder(
    path: str | Path, start_s: float, error: soundfile.SoundFileError
) -> AbstractContextManager[Recording]:
    """Choose ffmpeg or PyAV for a file that libsndfile cannot read."""
    known = getattr(error, "code", 1) != 1  # libsndfile's 1 is "format not recognised"
    problem = f"is damaged ({error.error_string.rstrip('.')})" if known else "is not audio"
    if shutil.which("ffmpeg"):
        return _ffmpeg(path, start_s, problem)
    if importlib.util.find_spec("av"):
        return _pyav(path, start_s)
    raise InputError(
        f"{problem}, or of a kind that needs the ffmpeg program or PyAV: "
        "install ffmpeg, or pip install 'levada[video]'",
        path=path,
    ) from error


def _mpeg_pieces(file: soundfile.SoundFile, path: str | Path, start: int) -> Iterator[Samples]:
    """Read MPEG audio from a sample on, after decoding a little of what comes before it."""
    import soundfile

    before = max(0, start - round(_MPEG_BEFORE_S * file.samplerate)) // _MPEG_STEP * _MPEG_STEP
    if before:
        try:
            with _quiet():
                before = file.seek(before)
        except soundfile.SoundFileError:  # beyond the last frame
            before = file.seek(0)
    yield from _from(_libsndfile_pieces(file, path), start - before)


def _libsndfile_pieces(file: soundfile.SoundFile, path: str | Path) -> Iterator[Samples]:
    import soundfile

    # soundfile seeks to where it is before and after every read of a file that can seek; an mp3 decoder forgets
    # what it needs for the next frame by that, and the joints would be noise
    file.seekable = lambda: False
    quiet = _quiet if file.subtype.startswith("MPEG") else nullcontext
    while True:
        try:
            with quiet():
                piece = file.read(BLOCK, dtype="float32", always_2d=True)
        except soundfile.SoundFileError as error:
            _log.warning("%s: damaged, only what comes before the damage is used (%s)", path, error)
            return
        if not len(piece):
            return
        yield np.ascontiguousarray(piece.T)


def _header_length(file: soundfile.SoundFile) -> int:
    """Return the number of samples in the header of a truncated wav or aiff, else 0."""
    found = re.search(r"^\s*(?:data|SSND)\s*: (\d+) \(should be (\d+)\)", file.extra_info, re.MULTILINE)
    if not found or not int(found[2]) or int(found[1]) >= 0xFFFFFF00:  # a stream's header knows no length
        return 0
    return int(file.frames) * int(found[1]) // int(found[2])


@contextmanager
def _ffmpeg(path: str | Path, start_s: float, problem: str) -> Iterator[Recording]:
    """Decode with the ffmpeg program: it writes a 32-bit float wav to a pipe."""
    command = ["ffmpeg", "-nostdin", "-hide_banner", "-nostats", "-protocol_whitelist", "file,pipe"]
    source, target = (
        ["-i", f"file:{os.path.abspath(path)}", "-map", "0:a:0"],
        ["-c:a", "pcm_f32le", "-f", "wav"],
    )
    with tempfile.TemporaryFile() as stderr:
        process = subprocess.Popen([*command, *source, *target, "pipe:1"], stdout=subprocess.PIPE, stderr=stderr)
        assert process.stdout is not None
        try:
            header = _wav_header(process.stdout)
            if header is None:
                process.wait()
                raise InputError(f"{problem}; ffmpeg finds no audio in it either ({_last_line(stderr)})", path=path)
            rate, channels = header
            pieces = _raw_pieces(process, channels, stderr, path)
            codec = re.search(r"Audio: (\w+)", _text(stderr))
            name = codec[1] if codec else "unknown"
            pieces = _delayed(pieces, _probed_delay_s(path), rate, channels, path)
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
    process: subprocess.Popen[bytes], channels: int, stderr: IO[bytes], path: str | Path
) -> Iterator[Samples]:
    assert process.stdout is not None
    while data := process.stdout.read(BLOCK * channels * 4):
        sound = np.frombuffer(data[: len(data) // (4 * channels) * 4 * channels], "<f4")
        yield np.ascontiguousarray(sound.reshape(-1, channels).T, np.float32)
    if process.wait():
        _log.warning("%s: damaged, only what could be decoded is used (%s)", path, _last_line(stderr))


@contextmanager
def _pyav(path: str | Path, start_s: float) -> Iterator[Recording]:
    """Decode with PyAV."""
    import av

    try:
        with av.open(str(path)) as container:
            if not container.streams.audio:
                raise InputError("there is no audio in it", path=path)
            track = container.streams.audio[0]
            starts = [_pyav_start_s(picture) for picture in container.streams.video]
            delay_s = _delay_s(_pyav_start_s(track), starts)
            pieces = _delayed(_pyav_pieces(container, path), delay_s, track.rate, track.channels, path)
            pieces = _from(pieces, round(start_s * track.rate))
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


def _pyav_start_s(stream: Any) -> float | None:
    """Return the start time of a stream, in seconds; None for cover art."""
    if stream.start_time is None or "attached_pic" in str(getattr(stream, "disposition", "")).lower():
        return None
    return float(stream.start_time * stream.time_base)


def _probed_delay_s(path: str | Path) -> float:
    """Return the delay of audio after video according to ffprobe; 0 if unknown."""
    entries = "stream=codec_type,start_time:stream_disposition=attached_pic"
    command = ["ffprobe", "-v", "error", "-protocol_whitelist", "file,pipe", "-show_entries", entries, "-of", "json"]
    try:
        found = subprocess.run(
            [*command, f"file:{os.path.abspath(path)}"], stdin=subprocess.DEVNULL, capture_output=True, check=True
        )
        streams = json.loads(found.stdout)["streams"]
        starts: dict[str, list[float | None]] = {"audio": [], "video": []}
        for stream in streams:
            if stream.get("codec_type") in starts and not stream["disposition"]["attached_pic"]:
                start = stream.get("start_time", "N/A")
                starts[stream["codec_type"]].append(None if start == "N/A" else float(start))
        return _delay_s(starts["audio"][0], starts["video"])
    except (OSError, subprocess.SubprocessError, ValueError, LookupError, TypeError, AttributeError):
        return 0.0


def _delay_s(sound_s: float | None, pictures_s: list[float | None]) -> float:
    """Return the delay of audio after video; 0 without video, or if the audio begins first."""
    known = [start_s for start_s in pictures_s if start_s is not None]
    return max(0.0, sound_s - min(known)) if sound_s is not None and known else 0.0


def _delayed(
    pieces: Iterator[Samples], delay_s: float, rate: int, channels: int, path: str | Path
) -> Iterator[Samples]:
    """Insert silence before audio that begins after the video."""
    if delay_s > _LONGEST_DELAY_S:
        _log.warning("%s: its sound begins %.0f s after the picture; times are from its sound on", path, delay_s)
        delay_s = 0.0
    elif delay_s >= _SHORTFALL_S:
        _log.warning("%s: its sound begins %.3f s after the picture; times are those of the picture", path, delay_s)
    return chain(_silence(round(delay_s * rate), channels), pieces)


def _from(pieces: Iterator[Samples], start: int) -> Iterator[Samples]:
    """Drop the first `start` samples."""
    for piece in pieces:
        if start < piece.shape[1]:
            yield piece[:, start:]
        start = max(0, start - piece.shape[1])


def _finite(recording: Recording, path: str | Path, start_s: float) -> Iterator[Samples]:
    """Replace NaN, infinity and absurd values by silence; warn once, and for truncated files."""
    total, clean = 0, True
    for piece in recording.pieces:
        bad = ~(np.abs(piece) <= _LARGEST)
        if bad.any():
            if clean:
                at_s = start_s + (total + int(bad.any(axis=0).argmax())) / recording.rate
                _log.warning("%s: samples from %.3f s on are not finite; silence is used instead", path, at_s)
            clean = False
            piece = np.where(bad, np.float32(0), piece)
        total += piece.shape[1]
        yield piece
    if recording.note:
        _log.warning("%s: %s: %.2f s", path, recording.note, start_s + total / recording.rate)
    elif recording.promised is not None and total < recording.promised - _SHORTFALL_S * recording.rate:
        there_s, promised_s = start_s + total / recording.rate, start_s + recording.promised / recording.rate
        _log.warning("%s: truncated: its header promises %.2f s, %.2f s are there", path, promised_s, there_s)


def check_audio_file(path: str | Path) -> None:
    """Check that a path is a regular, non-empty file.

    Raises
    ------
    InputError
        If it is not.
    """
    with wrap_read_errors(path):
        mode = os.stat(path).st_mode
        if stat.S_ISDIR(mode):
            raise InputError("is a folder, not a recording", path=path)
        if not stat.S_ISREG(mode):
            raise InputError("is not an ordinary file", path=path)
        with open(path, "rb") as file:
            if not file.read(1):
                raise InputError("is an empty file", path=path)


def _text(stderr: IO[bytes]) -> str:
    return os.pread(stderr.fileno(), 1 << 20, 0).decode("utf-8", "replace")


def _last_line(stderr: IO[bytes]) -> str:
    return (_text(stderr).strip().splitlines() or ["no reason given"])[-1]
