"""What the page draws and plays of a recording: peaks, tiles of the spectrogram, samples."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectrogram import GRID, N_BANDS, log_spectrogram
from levada.errors import InputError
from levada.io import audio
from levada.player.player import SPECTROGRAM_FPS, quantise

__all__ = [
    "N_BANDS", "PART_S", "PEAKS_FPS", "SPECTROGRAM_FPS", "TILE_S", "PeakReader", "SampleReader", "spectrogram_tile",
]  # fmt: skip

PEAKS_FPS = 200
TILE_S = 30.0
PART_S = 300.0
"""Of the waveform of a recording that is drawn before the rest is read."""
CONTEXT_S = 0.1
MOST_S = 30.0
MOST_OPEN = 12
"""Files that are kept open for the next part of them: recordings have stems."""

Bytes = npt.NDArray[np.int8]


class PeakReader:
    """Lowest and highest sample of every 5 ms of a recording, of all channels, in parts of five minutes.

    Parts that follow each other are read without seeking.

    Parameters
    ----------
    path : path-like
    """

    def __init__(self, path: str | Path) -> None:
        self.path = path
        self._parts: dict[int, Bytes] = {}
        self._blocks: Iterator[npt.NDArray[np.float32]] = iter(())
        self._next, self._rate = -1, 0
        self._lock = threading.Lock()

    def read(self, number: int = 0) -> Bytes:
        """Return a part, which is empty beyond the end.

        Returns
        -------
        int8 [shape=(peaks, 2)]
            Full scale is -127 to 127.
        """
        if number < 0:
            raise InputError(f"has no part {number}", path=self.path)
        with self._lock:
            if number not in self._parts:
                self._parts[number] = self._read(number)
            return self._parts[number]

    def _read(self, number: int) -> Bytes:
        if not self._rate:
            self._rate = audio.read(self.path, duration_s=1 / PEAKS_FPS)[1]
        if number != self._next:  # of a whole number of peaks, as the parts are
            self._blocks = audio.read_blocks(audio.AudioExcerpt(self.path, number * PART_S), block_s=TILE_S)
        self._next = -1  # where reading fails
        found = [_peaks(block, self._rate) for block in islice(self._blocks, round(PART_S / TILE_S))]
        self._next = number + 1
        return np.concatenate([np.zeros((0, 2), np.int8), *found])


def _peaks(block: npt.NDArray[np.float32], rate: int) -> Bytes:
    edges = (np.arange(block.shape[1] * PEAKS_FPS // rate + 1) * rate / PEAKS_FPS).round().astype(int)
    if len(edges) < 2:
        return np.zeros((0, 2), np.int8)
    channels = block[:, : edges[-1]]
    each = [(np.minimum.reduceat(one, edges[:-1]), np.maximum.reduceat(one, edges[:-1])) for one in channels]
    low, high = zip(*each, strict=True)
    both = np.stack([np.min(low, axis=0), np.max(high, axis=0)], axis=1)
    return (both.clip(-1, 1) * 127).round().astype(np.int8)


def spectrogram_tile(path: str | Path, number: int, *, duration_s: float) -> npt.NDArray[np.uint8]:
    """Compute 30 s of the spectrogram.

    Parameters
    ----------
    path : path-like
    number : int
        Of the tile, from 0.
    duration_s : float
        Of the recording.

    Returns
    -------
    uint8 [shape=(frames, 81)]
        50 frames a second; low bands first.
    """
    start_s = number * TILE_S
    if not 0 <= start_s < duration_s:
        raise InputError(f"has no tile {number}: it lasts {duration_s:.1f} s", path=path)
    first_s = max(0.0, start_s - CONTEXT_S)
    samples, rate = audio.read(path, start_s=first_s, duration_s=TILE_S + start_s - first_s + CONTEXT_S)
    skipped = round((start_s - first_s) * GRID.fps)
    return quantise(log_spectrogram(samples, rate)[skipped : skipped + round(TILE_S * GRID.fps)])


class SampleReader:
    """Reads parts of recordings for playback, and keeps files open for the part after the last one.

    A part has at most two channels.
    """

    def __init__(self) -> None:
        self._following: OrderedDict[tuple[str, float, float], tuple[Iterator[npt.NDArray[np.float32]], int]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    def read(self, path: str | Path, *, start_s: float, duration_s: float) -> tuple[npt.NDArray[np.int16], int]:
        """Read a part of a recording.

        Returns
        -------
        samples : int16 [shape=(samples, channels)]
        rate : int

        Raises
        ------
        InputError
            If more than 30 s are asked for, or the recording ends before them.
        """
        if not 0 < duration_s <= MOST_S:
            raise InputError(f"at most {MOST_S:.0f} s can be read at once", path=path)
        with self._lock:
            blocks, rate = self._following.pop(self._key(path, start_s, duration_s), (iter(()), 0))
        found = next(blocks, None)
        end_s = start_s + duration_s
        if found is None:
            found, rate = audio.read(path, start_s=start_s, duration_s=duration_s)
            blocks = audio.read_blocks(audio.AudioExcerpt(path, end_s), block_s=duration_s)
        with self._lock:
            self._following[self._key(path, end_s, duration_s)] = blocks, rate
            while len(self._following) > MOST_OPEN:
                self._following.popitem(last=False)
        played = found if len(found) <= 2 else audio.to_mono(found)[None]
        return np.ascontiguousarray((played.clip(-1, 1) * 32767).round().astype(np.int16).T), rate

    @staticmethod
    def _key(path: str | Path, start_s: float, duration_s: float) -> tuple[str, float, float]:
        return str(path), round(start_s, 4), round(duration_s, 4)
