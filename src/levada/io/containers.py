"""Audio files that libsndfile would read in part: unfinished, of unknown length, joined, or with a hole.

`sections` finds, from the bytes of the file, the stretches that each are a whole recording once their header is
corrected. Nothing is decoded here.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from mmap import ACCESS_READ, mmap
from pathlib import Path

from levada.io import mpeg

__all__ = ["Section", "copy_broadcast", "lacks_length_header", "not_audio", "sections", "spliced"]

_WAVE = (b"RIFF", b"RIFX", b"RF64", b"BW64")
_UNKNOWN = 0xFFFFFFFF
_STALE = 4096  # bytes after the sound of a wav that are more than an odd end
_DECODER_DELAY = 529  # samples that libmpg123 drops at the start of a file that says its length
_BYTES_AT_ONCE, _PAGES_AT_ONCE = 1 << 24, 1 << 12  # after which what was read of a file is dropped
_MPEG_SUFFIXES = (".mp3", ".mp2", ".mpga", ".mpa")


@dataclass(frozen=True)
class Section:
    """A stretch of a file that is a recording by itself.

    Parameters
    ----------
    start, stop : int
        Bytes in the file.
    head : bytes
        What is read in place of the first bytes of the stretch.
    replaced : int
        How many bytes `head` replaces; 0 where it is read before them.
    lost : int
        Samples a channel that are missing before this section.
    note : str
        What is wrong with it, for a warning; empty where nothing is.
    """

    start: int
    stop: int
    head: bytes = b""
    replaced: int = 0
    lost: int = 0
    note: str = ""


def sections(path: str | Path) -> list[Section]:
    """Find the stretches of a file that are recordings by themselves.

    Parameters
    ----------
    path : path-like
        A file that exists and is not empty.

    Returns
    -------
    list of Section
        Empty where the file can be read as it is, or is of a kind not known here.
    """
    with _mapped(path) as data:
        magic = data[mpeg.after_id3(data) :][:4] if data[:3] == b"ID3" else data[:4]
        if magic in _WAVE:
            found = _wave_sections(data)
        elif magic == b"caff":
            found = _caf_sections(data)
        elif magic == b".snd":
            found = _au_sections(data)
        elif magic == b"fLaC":
            found = _at_every(data, b"fLaC\0\0\0\x22")
        elif magic == b"OggS":
            found = _ogg_sections(data)
        elif mpeg.read_header(magic) or Path(path).suffix.lower() in _MPEG_SUFFIXES:
            found = _mpeg_sections(data)
        else:
            return []
        whole = len(found) == 1 and not found[0].head and (found[0].start, found[0].stop) == (0, len(data))
        return [] if whole else found


@contextmanager
def spliced(path: str | Path, section: Section) -> Iterator[io.BufferedIOBase]:
    """Open a section as a file of its own."""
    with open(path, "rb") as file, _Spliced(file, section) as spliced_file:
        yield spliced_file


def lacks_length_header(path: str | Path) -> bool:
    """Whether this is an MP3 without a Xing, Info or VBRI header.

    Decoders cannot know how much silence the encoder of such a file put first, so that beats annotated on
    another copy may be shifted by about 25 ms.

    Returns
    -------
    lacking : bool
        False for everything that is not an MP3.
    """
    with open(path, "rb") as file:
        file.seek(mpeg.after_id3(file.read(10)))
        start = file.read(1 << 16)
    if start[:4] in (*_WAVE, b"fLaC", b"OggS", b"FORM"):
        return False
    first = next(mpeg.runs(start), None)
    return first is not None and first.header.kind[1] == 3 and not first.is_start


def not_audio(path: str | Path) -> str:
    """Say what a file is that certainly holds no audio, and what to do; empty where it may hold some."""
    with open(path, "rb") as file:
        start = file.read(2048)
    begins = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magics, what in _OTHERS.items():
        if begins.startswith(magics):
            return what
    if not start.strip(b"\0"):
        return "nothing but zeros at its start: a copy or download that was not completed"
    text = start[:-4] if len(start) == 2048 else start  # a letter of several bytes may be cut
    try:
        is_text = all(letter.isprintable() or letter in "\t\r\n\f" for letter in text.decode("utf-8"))
    except UnicodeDecodeError:
        return ""
    return "text" if is_text else ""


_OTHERS = {
    (b"<!doctype html", b"<html"): "a web page: download the recording itself",
    (b"version https://git-lfs",): "a pointer of Git LFS: run git lfs pull",
    (b"{\\rtf",): "a file of a word processor",
    (b"%pdf",): "a PDF file",
    (b"pk\3\4",): "a ZIP archive: unpack it first",
    (b"mthd",): "a MIDI file",
}


class _Spliced(io.BufferedIOBase):
    """A section of an open file; reading past its end gives nothing, and no position is an error."""

    def __init__(self, file: io.BufferedReader, section: Section) -> None:
        self._file, self._head, self._at = file, section.head, 0
        self._shift = section.start + section.replaced - len(section.head)  # from a position here to one in the file
        self._length = section.stop - self._shift

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._length}[whence]
        self._at = min(max(0, base + offset), self._length)
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        left = self._length - self._at
        size = left if size is None or size < 0 else min(size, left)
        piece = self._head[self._at : self._at + size]
        if len(piece) < size:
            self._file.seek(self._shift + self._at + len(piece))
            piece += self._file.read(size - len(piece))
        self._at += len(piece)
        return piece


def copy_broadcast(source: str | Path, target: str | Path) -> None:
    """Copy the `bext` chunk of a broadcast WAV (EBU Tech 3285), which holds its start time, to another WAV.

    Nothing happens where the source has none, or the target is no WAV of less than 4 GB.

    Parameters
    ----------
    source, target : path-like
        Of the same rate: the start time counts samples.
    """
    with _mapped(source) as data:
        chunk = _chunk(data, b"bext") if data[:4] in _WAVE else b""
    with open(target, "r+b") as file:
        start = file.read(12)
        size = file.seek(0, os.SEEK_END)
        total = size + size % 2 + len(chunk)
        if chunk and start[:4] == b"RIFF" and start[8:] == b"WAVE" and total < _UNKNOWN:
            file.write(b"\0" * (size % 2) + chunk)
            file.seek(4)
            file.write(struct.pack("<I", total - 8))


def _chunk(data: mmap, wanted: bytes) -> bytes:
    """Find a chunk of a WAV: header, content and padding; empty if there is none."""
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        if data[at : at + 4] == wanted:
            return data[at : at + 8 + size].ljust(8 + size + size % 2, b"\0")
        at += 8 + size + size % 2
    return b""


@contextmanager
def _mapped(path: str | Path) -> Iterator[mmap]:
    with open(path, "rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        yield data


def _wave_sections(data: mmap) -> list[Section]:
    """WAV and its kin: unfinished, BW64, with a stale length, or several joined."""
    found = list[Section]()
    start = 0
    while data[start : start + 4] in _WAVE and data[start + 8 : start + 12] == b"WAVE":
        section = _wave_section(data, start)
        found.append(section)
        start = section.stop
    return found


def _wave_section(data: mmap, start: int) -> Section:
    magic, end = data[start : start + 4], len(data)
    order = ">" if magic == b"RIFX" else "<"
    at, long_size = start + 12, None
    while at + 8 <= end:
        name, size = data[at : at + 4], struct.unpack(f"{order}I", data[at + 4 : at + 8])[0]
        if name == b"ds64" and at + 24 <= end:
            long_size = struct.unpack("<Q", data[at + 16 : at + 24])[0]
        if name == b"data":
            break
        at += 8 + size + size % 2
    else:
        return Section(start, end)
    sound = at + 8
    if size == _UNKNOWN and long_size is not None:
        size = long_size
    there, note, unknown = end - sound, "", False
    if size == 0 and there > 0 and not _chunks_follow(data, sound):
        note, unknown = "its recorder did not finish it, and its header has no length; it is read up to the end", True
    elif size < there:
        after = sound + size
        if data[after : after + 4] in _WAVE and data[after + 8 : after + 12] == b"WAVE":
            return _patched(start, after, b"RF64") if magic == b"BW64" else Section(start, after)
        if there - size > _STALE and not _chunks_follow(data, after) and data[after : after + (1 << 20)].strip(b"\0"):
            note, unknown = "its header promises less sound than follows; it is read up to the end", True
    if not unknown and magic != b"BW64":
        return Section(start, end)
    head = bytearray(data[start:sound])
    if magic in (b"BW64", b"RF64"):
        head[:4] = b"RF64"
        if unknown and long_size is not None:
            ds64 = head.index(b"ds64")
            head[ds64 + 8 : ds64 + 24] = struct.pack("<QQ", end - start - 8, there)
        elif unknown:
            head[-4:] = struct.pack("<I", _UNKNOWN)
    elif unknown:
        head[4:8] = head[-4:] = b"\xff" * 4
    return _patched(start, end, bytes(head), note=note)


def _patched(start: int, stop: int, head: bytes, *, note: str = "") -> Section:
    return Section(start, stop, head, len(head), note=note)


def _chunks_follow(data: mmap, at: int) -> bool:
    """Whether from here to the end there is nothing but chunks, after an even number of bytes."""
    end, at = len(data), at + at % 2
    while at + 8 <= end and all(32 <= byte < 127 for byte in data[at : at + 4]):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return end <= at <= end + 1


def _caf_sections(data: mmap) -> list[Section]:
    """CAF whose sound has no length yet: -1 by the specification, 0 from some recorders."""
    at, end = 8, len(data)
    while at + 12 <= end:
        name, size = data[at : at + 4], struct.unpack(">q", data[at + 4 : at + 12])[0]
        if name == b"data":
            if size > 0 or at + 16 >= end:
                break
            return [_patched(0, end, data[: at + 4] + struct.pack(">q", end - at - 12))]
        if size < 0:
            break
        at += 12 + size
    return []


def _au_sections(data: mmap) -> list[Section]:
    """AU whose recorder did not finish it."""
    if len(data) > 24 and data[8:12] == b"\0" * 4:
        return [_patched(0, len(data), data[:8] + b"\xff" * 4)]
    return []


def _at_every(data: mmap, magic: bytes) -> list[Section]:
    """Split a file wherever another one was joined to it."""
    return _split(data, [0, *_all_of(data, magic, 1)])


def _all_of(data: mmap, magic: bytes, start: int = 0) -> Iterator[int]:
    """Yield where some bytes occur, without keeping the file in memory."""
    while start < len(data):
        stop = start + _BYTES_AT_ONCE
        at = data.find(magic, start, stop + len(magic) - 1)
        if at >= 0:
            yield at
        else:
            mpeg.release(data)
        start = stop if at < 0 else at + 1


def _split(data: mmap, starts: list[int]) -> list[Section]:
    """Return a section for each start; none where the file is one recording."""
    if len(starts) == 1:
        return []
    return [Section(start, stop) for start, stop in zip(starts, [*starts[1:], len(data)], strict=True)]


def _ogg_sections(data: mmap) -> list[Section]:
    """Chained Ogg streams: a first page after one that is none (RFC 3533, section 4)."""
    starts, among_first = [0], True
    for n, at in enumerate(_all_of(data, b"OggS\0")):
        is_first = bool(data[at + 5] & 2) if at + 5 < len(data) else False
        if is_first and not among_first:
            starts.append(at)
        among_first = is_first
        if n % _PAGES_AT_ONCE == 0:
            mpeg.release(data)
    return _split(data, starts)


def _mpeg_sections(data: mmap) -> list[Section]:
    """Joined files are sections by themselves; so is what follows a hole."""
    runs = list(mpeg.runs(data))
    if not runs:
        return []
    starts = [
        n
        for n, run in enumerate(runs)
        if n == 0 or run.is_start or data[runs[n - 1].stop : runs[n - 1].stop + 3] == b"ID3"
    ]
    found = list[Section]()
    for first, after in zip(starts, [*starts[1:], len(runs)], strict=True):
        file = runs[first:after]
        lost = _lost_frames(file)
        found += [_mpeg_section(data, run, frames) for run, frames in zip(file, lost, strict=True)]
    ends_in_tag = _is_tag(data[runs[-1].stop : runs[-1].stop + 8])
    found[-1] = replace(found[-1], stop=len(data) if ends_in_tag else runs[-1].stop)
    if runs[0].start <= mpeg.after_id3(data) and not found[0].head:
        found[0] = replace(found[0], start=0)
    return found


def _mpeg_section(data: mmap, run: mpeg.Run, lost_frames: int) -> Section:
    """Make a section of a run; with variable bit rate its length is written too, since libsndfile would guess it."""
    lost = lost_frames * run.header.samples
    if run.is_start or not run.is_variable or run.header.kind[1] != 3:
        return Section(run.start, run.stop, lost=lost)
    head = mpeg.info_frame(data[run.start : run.start + 4], run.frames)
    return Section(run.start, run.stop, head, lost=lost + _DECODER_DELAY)


def _lost_frames(runs: list[mpeg.Run]) -> list[int]:
    """Estimate how many frames are missing before each run of a file.

    By the bytes between them; scaled to how many are missing in all, where the header of the file says how many there
    should be.
    """
    gaps = [0.0]
    for before, run in pairwise(runs):
        gaps.append((run.start - before.stop) * before.frames / (before.stop - before.start))
    missing = runs[0].promised - sum(run.frames for run in runs) + 1  # the frame that says so is none of them
    if runs[0].promised and missing >= 0 and sum(gaps) > 0:
        gaps = [gap * missing / sum(gaps) for gap in gaps]
    return [round(gap) for gap in gaps]


def _is_tag(start: bytes) -> bool:
    return start.startswith((b"TAG", b"APETAGEX", b"LYRICSBEGIN"[:8]))
