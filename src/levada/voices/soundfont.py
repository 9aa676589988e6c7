"""SoundFonts as instruments: any .sf2 or .sf3, played by FluidSynth a note at a time.

Every note is rendered alone, from its onset on, and remembered; music is then mixed like that of our own voices. What
is struck is played by the keys of General MIDI's percussion (Level 2 and GS: 27 to 87) on one of the font's kits, notes
by one of the programs of their kind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError, MissingExtra
from levada.voices import PITCHED, RATE, STRUCK

__all__ = ["SoundFont", "find"]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator

PLACES = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts", "~/.local/share/soundfonts")
PACKAGES = {
    "fluidr3": "fluid-soundfont-gm",
    "musescore": "musescore-general-soundfont",
    "timgm6mb": "timgm6mb-soundfont",
}
KITS = 128
"""The bank of percussion."""

OPEN = "open"
KEYS: Mapping[str, Mapping[str, tuple[int, ...]]] = {  # voice -> stroke -> keys that may play it
    "kick": {OPEN: (36, 35)},
    "snare": {OPEN: (38, 40), "rim": (37,), "stick": (37,)},
    "rim": {OPEN: (37,)},
    "clap": {OPEN: (39,)},
    "hat": {OPEN: (42, 44)},
    "open-hat": {OPEN: (46,)},
    "ride": {OPEN: (51, 59)},
    "crash": {OPEN: (49, 57)},
    "tom": {OPEN: (45, 47, 48), "low": (41, 43), "high": (48, 50)},
    "conga": {OPEN: (63,), "low": (64,), "high": (63,), "muted": (62,), "slap": (62,), "bass": (64,)},
    "bongo": {OPEN: (60,), "high": (60,), "low": (61,)},
    "timbale": {OPEN: (65,), "high": (65,), "low": (66,), "rim": (37,)},
    "agogo": {OPEN: (67,), "high": (67,), "low": (68,)},
    "shaker": {OPEN: (82, 69)},
    "maracas": {OPEN: (70,)},
    "claves": {OPEN: (75,)},
    "woodblock": {OPEN: (76, 77), "high": (76,), "low": (77,)},
    "cuica": {OPEN: (79,), "muted": (78,), "high": (78,), "low": (79,)},
    "triangle": {OPEN: (81,), "muted": (80,)},
    "tambourine": {OPEN: (54,)},
    "cowbell": {OPEN: (56,)},
    "guiro": {OPEN: (74, 73), "muted": (73,)},
    "whistle": {OPEN: (72, 71), "muted": (71,)},
    "surdo": {OPEN: (87,), "muted": (86,)},
    "castanets": {OPEN: (85,)},
}
PROGRAMS: Mapping[str, tuple[int, ...]] = {
    "bass": (32, 33, 33, 34, 35, 36, 37, 38, 39, 43),
    "pluck": (24, 25, 26, 27, 28, 45, 46, 105, 106, 107),
    "keys": (0, 1, 2, 4, 5, 6, 7, 8, 11, 12),
    "organ": (16, 17, 18, 19, 20, 21),
    "pad": (48, 49, 50, 51, 52, 88, 89, 90, 91, 94),
    "reed": (64, 65, 66, 67, 68, 71, 22, 40),
    "singer": (52, 53, 54, 85, 73, 40, 64, 80, 81),
    "piano": (0, 1, 2, 3),
    "guitar": (24, 25, 26, 27, 29, 30),
    "tres": (25, 106, 107),
    "charango": (24, 25, 107, 46),
    "accordion": (21, 22, 23),
    "flute": (72, 73, 74, 75, 77, 79),
    "brass": (56, 57, 58, 60, 61, 62),
    "strings": (40, 41, 42, 48, 49, 45),
}
RELEASE_S = 0.4
LONGEST_S = 3.0
TAKES = 3


def find(name: str | Path) -> Path:
    """The file of a SoundFont, by its path, or by its name in the usual places and in `$LEVADA_SOUNDFONTS`.

    Raises
    ------
    InputError
        If there is none; says which package has it, where one is known.
    """
    if Path(name).is_file():
        return Path(name)
    stem = Path(name).stem.lower()
    for place in (*os.environ.get("LEVADA_SOUNDFONTS", "").split(os.pathsep), *PLACES):
        for path in sorted(Path(place).expanduser().glob("*.sf[23]")) if place else ():
            if path.stem.lower() in (stem, f"{stem}_full"):
                return path
    package = next((package for start, package in PACKAGES.items() if stem.startswith(start)), None)
    hint = f"; on Debian it is in the package {package}" if package else ""
    raise InputError(
        f"there is no SoundFont {str(name)!r}: give its path, or name its folder in LEVADA_SOUNDFONTS{hint}"
    )


@dataclass(frozen=True)
class SoundFont:
    """Instruments of a SoundFont: call it with the name of a voice.

    Parameters
    ----------
    path : Path
        An .sf2 or .sf3 file.
    """

    path: Path

    def __call__(self, voice: str, rng: Generator) -> Sampled:
        """Draw an instrument for a voice.

        Raises
        ------
        LookupError
            If the font has nothing that could be that voice.
        InputError
            If the file cannot be read.
        MissingExtra
            If FluidSynth is not installed.
        """
        font = _opened(str(self.path))
        if voice in PROGRAMS:
            return Sampled(font, voice, 0, int(rng.choice(PROGRAMS[voice])), float(rng.uniform(-0.5, 0.5)))
        if voice in KEYS and font.kits:
            return Sampled(font, voice, KITS, int(rng.choice(font.kits)), float(rng.normal(0, 1.5)))
        raise LookupError(f"{self.path.name} has no {voice}")


@dataclass
class Sampled:
    """One instrument of a SoundFont, a little higher or lower than it is there."""

    font: _Font
    voice: str
    bank: int
    program: int
    semitones: float
    takes: dict[tuple[object, ...], Floats32] = field(default_factory=dict)

    def play(self, stroke: str, *, velocity: float, pitch_hz: float, duration_s: float, rng: Generator) -> Floats32:
        """The sound of a stroke or a note, at 44.1 kHz from its onset on [shape=(samples,)]."""
        loud = float(np.clip(round(velocity * 4), 1, 4)) / 4
        if self.bank == KITS:
            strokes = KEYS[self.voice]
            keys = strokes.get(stroke, strokes[OPEN])
            key, length_s, level, bend = keys[0], 0.0, STRUCK[self.voice].level, self.semitones
            take = int(rng.integers(TAKES))
        else:
            midi = 69 + 12 * float(np.log2(pitch_hz / 440))
            key, take, bend = int(np.clip(round(midi), 12, 115)), 0, 0.0
            length_s, level = float(np.ceil(min(duration_s, LONGEST_S) * 8) / 8), PITCHED[self.voice].level
        name = (key, loud, length_s, take)
        if name not in self.takes:
            sound = self.font.note(self.bank, self.program, key, int(127 * loud), length_s)
            if self.bank == KITS:
                bend += (take - 1) * 0.15
                sound = _bent(sound, 2 ** (bend / 12))
            peak = float(np.abs(sound).max(initial=0.0))
            self.takes[name] = sound * np.float32(level / max(peak, 1e-9))
        return self.takes[name] * np.float32(velocity)


def _bent(sound: Floats32, factor: float) -> Floats32:
    """Read faster: higher by that factor."""
    at = np.arange(0, max(0, len(sound) - 1), factor)
    return np.asarray(np.interp(at, np.arange(len(sound)), sound), np.float32)


class _Font:
    """A font in memory, and the notes it has played."""

    def __init__(self, path: str) -> None:
        try:
            import fluidsynth
        except ImportError as error:
            lacks = "the library fluidsynth (Debian: libfluidsynth3)" if "library" in str(error) else "pyfluidsynth"
            raise MissingExtra(lacks, extra="soundfont", purpose="play SoundFonts") from None
        if not Path(path).is_file():
            raise InputError("there is no such file", path=path)
        self.synth: Any = fluidsynth.Synth(gain=0.5, samplerate=float(RATE))
        for setting in ("synth.reverb.active", "synth.chorus.active"):
            self.synth.setting(setting, 0)
        self.id = self.synth.sfload(path)
        if self.id < 0:
            raise InputError("is no SoundFont that can be read", path=path)
        self.kits = tuple(kit for kit in range(128) if self.synth.sfpreset_name(self.id, KITS, kit))
        self.note = lru_cache(maxsize=600)(self._note)

    def _note(self, bank: int, program: int, key: int, velocity: int, length_s: float) -> Floats32:
        self.synth.program_select(0, self.id, bank, program)
        self.synth.noteon(0, key, velocity)
        if bank == KITS:
            played = self._listen(1.5)
        else:
            held = self._listen(length_s)
            self.synth.noteoff(0, key)
            played = np.concatenate([held, self._listen(RELEASE_S)])
        self.synth.all_sounds_off(0)
        self._listen(0.01)
        level = np.abs(played)
        peak = level.max(initial=0.0)
        if not peak:
            return np.zeros(1, np.float32)
        first = min(int(np.argmax(level > 0.02 * peak)), int(0.05 * RATE))
        last = len(level) - int(np.argmax(level[::-1] > 1e-3 * peak))
        heard = played[first:last].copy()
        fade = min(len(heard), 440)
        heard[len(heard) - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
        return heard

    def _listen(self, seconds: float) -> Floats32:
        if seconds <= 0:
            return np.zeros(0, np.float32)
        both = self.synth.get_samples(int(seconds * RATE)).reshape(-1, 2)
        return np.asarray(both.mean(1) / 32768, np.float32)


@lru_cache(maxsize=4)
def _opened(path: str) -> _Font:
    return _Font(path)
