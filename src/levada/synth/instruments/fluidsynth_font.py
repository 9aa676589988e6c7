"""Rendering of single notes by FluidSynth, without reverb and chorus, reproducibly."""

from __future__ import annotations

import contextlib
import ctypes
import io
from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError, MissingExtra
from levada.synth.instruments.general_midi import DRUMS
from levada.synth.instruments.sampled import trim_to_onset
from levada.synth.instruments.signals import Floats32
from levada.synth.instruments.strokes import RATE

__all__ = ["Font", "open_font"]

Floats16 = npt.NDArray[np.float16]

BLOCK = 64
CHANNELS = 48
STRUCK_S, RELEASE_S, SILENCE_S = 2.5, 1.0, 0.03
INAUDIBLE = 1e-6
CACHE_BYTES = 200_000_000
SETTINGS = {
    "synth.reverb.active": 0,
    "synth.chorus.active": 0,
    "synth.dynamic-sample-loading": 1,
    "synth.cpu-cores": 1,
    "audio.driver": "file",
}


class Font:
    """A SoundFont, loaded on demand, with a cache of rendered notes.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If the file is missing, or is no SoundFont.
    MissingExtra
        If FluidSynth is not installed.
    """

    def __init__(self, path: Path) -> None:
        fluidsynth = _library()
        _need_font(path)
        self.path = path
        self._synth: Any = fluidsynth.Synth(0.5, float(RATE), CHANNELS, **SETTINGS)
        self._write: Any = fluidsynth.cfunc(
            "fluid_synth_write_float", ctypes.c_int,
            *((name, kind, 1) for name, kind in (
                ("synth", ctypes.c_void_p), ("length", ctypes.c_int),
                ("left", ctypes.c_void_p), ("left_from", ctypes.c_int), ("left_step", ctypes.c_int),
                ("right", ctypes.c_void_p), ("right_from", ctypes.c_int), ("right_step", ctypes.c_int),
            )),
        )  # fmt: skip
        self._id = self._synth.sfload(str(path))
        if self._id < 0:
            raise InputError("cannot be read as a SoundFont", path=path)
        self._channels: OrderedDict[tuple[int, int], int] = OrderedDict()
        self._notes: OrderedDict[tuple[int, int, int, int, float], Floats16] = OrderedDict()
        self._bytes = 0
        self.kits = self._programs(DRUMS)
        self.programs = self._programs(0)

    def _programs(self, bank: int) -> tuple[int, ...]:
        return tuple(number for number in range(128) if self._synth.sfpreset_name(self._id, bank, number))

    def note(self, bank: int, program: int, key: int, *, velocity: int, duration_s: float = 0.0) -> Floats32:
        """Render one note.

        Parameters
        ----------
        bank, program, key : int
            `program` is a kit where the bank is that of drums.
        velocity : int
            1 to 127.
        duration_s : float
            How long the key is held; ignored for percussion.

        Returns
        -------
        float32 [shape=(samples,)]
            At 44.1 kHz, from its onset to silence, its peak at 1; empty where the font has nothing on that key.
        """
        name = (bank, program, key, velocity, duration_s)
        if name in self._notes:
            self._notes.move_to_end(name)
        else:
            self._notes[name] = self._render_note(*name).astype(np.float16)
            self._bytes += self._notes[name].nbytes
            while self._bytes > CACHE_BYTES:
                self._bytes -= self._notes.popitem(last=False)[1].nbytes
        return self._notes[name].astype(np.float32)

    def _render_note(self, bank: int, program: int, key: int, velocity: int, duration_s: float) -> Floats32:
        channel = self._channel(bank, program)
        for _ in range(2):  # the first rendering of a note may differ from all later ones: it is discarded
            self._synth.noteon(channel, key, velocity)
            if bank == DRUMS or not duration_s:
                sound = self._render(STRUCK_S)
            else:
                held = self._render(duration_s)
                self._synth.noteoff(channel, key)
                sound = np.concatenate([held, self._render(RELEASE_S)])
            self._synth.all_sounds_off(channel)
            self._render(SILENCE_S)
        peak = float(np.abs(sound).max())
        return trim_to_onset(sound / np.float32(peak)) if peak > INAUDIBLE else np.zeros(0, np.float32)

    def _channel(self, bank: int, program: int) -> int:
        """Return a channel on which the program is loaded."""
        name = (bank, program)
        if name in self._channels:
            self._channels.move_to_end(name)
            return self._channels[name]
        channel = len(self._channels) if len(self._channels) < CHANNELS else self._channels.popitem(last=False)[1]
        self._synth.program_select(channel, self._id, bank, program)
        self._channels[name] = channel
        return channel

    def _render(self, seconds: float) -> Floats32:
        """Render the next samples, in whole blocks, as notes start with a block."""
        samples = max(1, round(seconds * RATE / BLOCK)) * BLOCK
        left, right = np.empty(samples, np.float32), np.empty(samples, np.float32)
        self._write(self._synth.synth, samples, left.ctypes.data, 0, 1, right.ctypes.data, 0, 1)
        return np.asarray((left + right) / 2, np.float32)


@lru_cache(maxsize=4)
def open_font(path: str) -> Font:
    """Open a font once per process."""
    return Font(Path(path))


def _library() -> Any:
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints the path of the library if CI is set
            import fluidsynth
    except ModuleNotFoundError:
        raise MissingExtra("pyfluidsynth", extra="soundfont", purpose="play SoundFonts") from None
    except (ImportError, OSError):
        raise InputError(
            "the library FluidSynth is needed to play SoundFonts: install libfluidsynth3 (Debian and Ubuntu),"
            " fluidsynth (Fedora, Arch) or fluid-synth (Homebrew)"
        ) from None
    set_logger = fluidsynth.cfunc(
        "fluid_set_log_function", ctypes.c_void_p,
        ("level", ctypes.c_int, 1), ("function", ctypes.c_void_p, 1), ("data", ctypes.c_void_p, 1),
    )  # fmt: skip
    for level in range(5):  # errors are raised as InputError
        set_logger(level, None, None)
    return fluidsynth


def _need_font(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head, size = file.read(12), path.stat().st_size
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    if head[:4] != b"RIFF" or head[8:] != b"sfbk":
        raise InputError("is no SoundFont: .sf2 and .sf3 begin with RIFF and sfbk", path=path)
    promised = 8 + int.from_bytes(head[4:8], "little")
    if size < promised:
        raise InputError(f"has {size} bytes of the {promised} that it says it has: get it once more", path=path)
