"""Frames of MPEG audio (MP3 and its older layers), found without decoding: ISO 11172-3, 2.4.1.3, and ISO 13818-3."""

from __future__ import annotations

import mmap as memory_map
import re
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap

__all__ = ["Header", "Run", "after_id3", "has_info", "info_frame", "read_header", "release", "runs"]

_SYNC = re.compile(rb"\xff[\xe2-\xff]")
_FEWEST = 3  # consecutive frames that are taken for audio
_FRAMES_AT_ONCE = 1 << 15  # after which what was read of a file is dropped
_KBPS = {  # bit rates of each layer in MPEG 1, then in MPEG 2 and 2.5
    (True, 1): range(32, 449, 32),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
} | dict.fromkeys([(False, 2), (False, 3)], (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160))


@dataclass(frozen=True)
class Header:
    """Header of one frame.

    Parameters
    ----------
    size : int
        Bytes of the frame, header included.
    samples : int
        Samples a channel that it holds.
    kind : tuple of int
        Version, layer, rate in Hz and channels: equal in all frames of a recording.
    """

    size: int
    samples: int
    kind: tuple[int, int, int, int]


@dataclass(frozen=True)
class Run:
    """Frames of one kind that follow each other without a gap.

    Parameters
    ----------
    start, stop : int
        Bytes in the file.
    frames : int
    header : Header
        Of the first frame.
    is_start : bool
        Whether the first frame is the Xing, Info or VBRI frame that an encoder writes at the start of a file.
    promised : int
        Frames of sound in the file by that first frame; 0 where it does not say.
    is_variable : bool
        Whether the bit rate changes.
    """

    start: int
    stop: int
    frames: int
    header: Header
    is_start: bool
    promised: int = 0
    is_variable: bool = False


def read_header(data: bytes) -> Header | None:
    """Read the header of a frame, four bytes; None if they are none, or of the free format."""
    if len(data) < 4 or data[0] != 0xFF or data[1] & 0xE0 != 0xE0:
        return None
    version, layer = data[1] >> 3 & 3, 4 - (data[1] >> 1 & 3)  # version 3 is MPEG 1, 2 is MPEG 2, 0 is MPEG 2.5
    rate_index, kbps_index, padding = data[2] >> 2 & 3, data[2] >> 4, data[2] >> 1 & 1
    if version == 1 or layer == 4 or kbps_index in (0, 15) or rate_index == 3:
        return None
    rate = (44100, 48000, 32000)[rate_index] // {3: 1, 2: 2, 0: 4}[version]
    bits_s = 1000 * _KBPS[version == 3, layer][kbps_index - 1]
    samples = 384 if layer == 1 else 576 if layer == 3 and version != 3 else 1152
    size = (12 * bits_s // rate + padding) * 4 if layer == 1 else samples // 8 * bits_s // rate + padding
    return Header(size, samples, (version, layer, rate, 1 if data[3] >> 6 == 3 else 2))


def has_info(frame: bytes) -> bool:
    """Whether a frame, or its first 64 bytes, carries the length of the recording instead of sound."""
    return any(name in frame for name in (b"Xing", b"Info", b"VBRI"))


def after_id3(data: bytes | mmap, start: int = 0) -> int:
    """Return where the ID3v2 tag that starts here ends; `start` itself where there is none."""
    head = data[start : start + 10]
    if len(head) < 10 or head[:3] != b"ID3" or any(byte & 0x80 for byte in head[6:]):
        return start
    size = sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
    return start + 10 + size + (10 if head[5] & 0x10 else 0)


def release(data: bytes | mmap) -> None:
    """Let the system drop the pages of a mapped file that have been read: files of a day are larger than the memory."""
    if isinstance(data, mmap) and hasattr(memory_map, "MADV_DONTNEED"):  # not on Windows
        data.madvise(memory_map.MADV_DONTNEED)


def runs(data: bytes | mmap) -> Iterator[Run]:
    """Find the runs of frames in a file; what lies between them is not audio, or damaged.

    A frame with the length of a recording starts a new run: there another file was joined.

    Parameters
    ----------
    data : bytes or mmap

    Yields
    ------
    Run
    """
    known: dict[bytes, Header | None] = {}
    at, stop = after_id3(data), len(data)
    while match := _SYNC.search(data, at, stop):
        run = _run(data, match.start(), known)
        if run is not None and (run.frames >= _FEWEST or (run.stop == stop and run.frames > 1)):
            yield run
            at = run.stop
            at = after_id3(data, at)
        else:
            at = match.start() + 1


def _run(data: bytes | mmap, start: int, known: dict[bytes, Header | None]) -> Run | None:
    """Follow frames of one kind as far as they go."""
    at, frames, first, is_variable = start, 0, None, False
    while True:
        key = data[at : at + 4]
        try:
            header = known[key]
        except KeyError:
            header = known[key] = read_header(key)
        if header is None or (first is not None and header.kind != first.kind):
            break
        if first is None:
            first = header
        elif has_info(data[at : at + 64]):
            break
        is_variable |= abs(header.size - first.size) > 4  # a frame may have one slot more
        at, frames = at + header.size, frames + 1
        if frames % _FRAMES_AT_ONCE == 0:
            release(data)
    if first is None:
        return None
    info = data[start : start + 64]
    return Run(start, min(at, len(data)), frames, first, has_info(info), _promised(info), is_variable)


def info_frame(header: bytes, frames: int) -> bytes:
    """Build the first frame of a file that says how many frames of layer III follow.

    Parameters
    ----------
    header : bytes
        Of one of these frames: four bytes.
    frames : int

    Returns
    -------
    bytes
    """
    for kbps_index in range(1, 15):
        mine = bytes([header[0], header[1] | 1, kbps_index << 4 | header[2] & 0x0C, header[3]])  # no checksum
        read = read_header(mine)
        if read is not None and read.size >= 64:
            break
    else:
        raise ValueError("there is no such frame")
    is_first, channels = read.kind[0] == 3, read.kind[3]
    side = {(True, 2): 32, (True, 1): 17, (False, 2): 17, (False, 1): 9}[is_first, channels]
    return (mine + bytes(side) + b"Xing\0\0\0\1" + frames.to_bytes(4, "big")).ljust(read.size, b"\0")


def _promised(info: bytes) -> int:
    """Read how many frames follow from a Xing or Info frame."""
    at = max(info.find(b"Xing"), info.find(b"Info"))
    has_frames = at >= 0 and len(info) >= at + 12 and info[at + 7] & 1
    return int.from_bytes(info[at + 8 : at + 12], "big") if has_frames else 0
