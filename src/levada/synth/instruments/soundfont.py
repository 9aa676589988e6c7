"""Instruments from SoundFonts (.sf2, .sf3), rendered note by note by FluidSynth.

Every note is rendered alone from its onset, and cached. Percussion voices use General MIDI percussion of one of the
kits of the font, pitched voices one of the General MIDI programs of their kind.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from levada.errors import InputError
from levada.synth.instruments import Instrument
from levada.synth.instruments.fluidsynth_font import Font, open_font
from levada.synth.instruments.general_midi import DRUMS, PERCUSSION, PROGRAMS, Source
from levada.synth.instruments.pitched import PITCHED
from levada.synth.instruments.sampled import SampledInstrument, change_speed, velocity_layer
from levada.synth.instruments.signals import Floats32, Generator

__all__ = ["SoundFont", "find_soundfont", "licence_of", "list_soundfonts"]


PLACES = ("/usr/share/sounds/sf2", "/usr/share/sounds/sf3", "/usr/share/soundfonts", "~/.local/share/soundfonts")
SUFFIXES = (".sf2", ".sf3")
PACKAGES = {
    "fluidr3": "fluid-soundfont-gm",
    "musescore": "musescore-general-soundfont",
    "timgm6mb": "timgm6mb-soundfont",
    "opl-3": "opl3-soundfont",
}
LICENCES = {"fluidr3": "MIT", "musescore": "MIT", "timgm6mb": "GPL-2.0", "opl-3": "CC-BY-SA-4.0"}

KITS = range(48)
"""Kits with the key map of General MIDI; orchestral and marching kits have others."""
LONGEST_S = 8.0
OPEN = "open"


@dataclass(frozen=True)
class SoundFont:
    """An instrument source that plays a SoundFont.

    The file is read once per process, when the first instrument is sampled.

    Parameters
    ----------
    path : Path
        An .sf2 or .sf3 file.
    """

    path: Path

    def __call__(self, voice: str, rng: Generator) -> Instrument:
        """Sample an instrument of a voice.

        Raises
        ------
        LookupError
            If the font lacks the voice.
        InputError
            If the file is missing or cannot be read, or FluidSynth is not installed.
        """
        opened = open_font(str(self.path))
        if voice in PROGRAMS:
            known = [program for program in PROGRAMS[voice] if program in opened.programs]
            if known:
                return _Notes(opened, voice, int(rng.choice(known)), float(rng.normal(0, 0.06)))
        ways = PERCUSSION.get(voice, ())
        for way in rng.permutation(len(ways)):
            drawn = _sample_percussion(opened, voice, ways[way], rng)
            if drawn is not None:
                return drawn
        raise LookupError(f"{Path(self.path).name} has no {voice}")


def _sample_percussion(opened: Font, voice: str, way: Source, rng: Generator) -> SampledInstrument | None:
    """Sample an instrument for a voice; None if the font lacks its keys or program."""
    bank, programs = (DRUMS, [kit for kit in opened.kits if kit in KITS]) if way.program is None else (0, [way.program])
    if not set(programs) & set(opened.kits if bank == DRUMS else opened.programs):
        return None
    program, semitones = int(rng.choice(programs)), float(rng.uniform(*way.semitones))
    keys = {stroke: int(rng.choice(keys)) for stroke, keys in way.strokes.items()}

    def note(key: int, velocity: float) -> Floats32:
        return opened.note(bank, program, key, velocity=round(127 * velocity))

    keys = {stroke: key for stroke, key in keys.items() if note(key, 1.0).size}
    if OPEN not in keys:
        return None
    return SampledInstrument(
        voice,
        lambda stroke, velocity, _: note(keys[stroke], velocity),
        strokes=keys,
        semitones=semitones,
        ring_s=way.ring_s,
    )


class _Notes:
    """One pitched instrument of a SoundFont, slightly detuned."""

    def __init__(self, opened: Font, voice: str, program: int, semitones: float) -> None:
        self.font, self.level, self.program, self.semitones = opened, PITCHED[voice].level, program, semitones
        self.notes: dict[tuple[float, int, float], Floats32] = {}

    def play(self, stroke: str, *, velocity: float, pitch_hz: float, duration_s: float, rng: Generator) -> Floats32:  # noqa: ARG002
        """Return one note at 44.1 kHz, from its onset: float32 [shape=(samples,)]."""
        held_s = float(np.ceil(np.clip(duration_s, 0.06, LONGEST_S) * 8) / 8)
        name = (round(pitch_hz, 2), velocity_layer(velocity), held_s)
        if name not in self.notes:
            self.notes[name] = self._note(*name)
        return self.notes[name] * np.float32(velocity * 10 ** (rng.uniform(-0.7, 0.7) / 20))

    def _note(self, pitch_hz: float, hard: int, held_s: float) -> Floats32:
        midi = 69 + 12 * float(np.log2(pitch_hz / 440)) + self.semitones
        nearest = round(midi - self.semitones)
        for octaves in (0, 1, -1, 2, -2, 3, -3):
            key = nearest + 12 * octaves
            if 0 <= key <= 127:
                sound = self.font.note(0, self.program, key, velocity=127 * hard // 4, duration_s=held_s)
                if sound.size:
                    return change_speed(sound, 2 ** ((midi - nearest) / 12)) * np.float32(self.level)
        return np.zeros(1, np.float32)


def find_soundfont(name: str | Path) -> Path:
    """Find the file of a SoundFont by its path, or by its name in `list_soundfonts`.

    Raises
    ------
    InputError
        If there is none; the message names the package that has it, if known.
    """
    if Path(name).is_file():
        return Path(name)
    known = list_soundfonts()
    stem = Path(name).stem.lower()
    for meant in (stem, f"{stem}_full"):
        if meant in known:
            return known[meant]
    package = next((package for start, package in PACKAGES.items() if stem.startswith(start)), None)
    hint = f", or install it: on Debian it is in the package {package}" if package else ""
    here = f"; there are {', '.join(path.name for path in known.values())}" if known else ""
    raise InputError(
        f"there is no SoundFont {str(name)!r}: give its path, or name its folder in LEVADA_SOUNDFONTS{hint}{here}"
    )


def licence_of(name: str) -> str:
    """Return the licence of a SoundFont by its name."""
    stem = Path(name).stem.lower()
    return next((licence for start, licence in LICENCES.items() if stem.startswith(start)), "licence not known")


def list_soundfonts() -> Mapping[str, Path]:
    """Return the SoundFonts of this machine: name in lower case without suffix -> path.

    Folders of `$LEVADA_SOUNDFONTS` are searched first, then the usual ones; the first file of a name is used.
    """
    found: dict[str, Path] = {}
    for place in (*os.environ.get("LEVADA_SOUNDFONTS", "").split(os.pathsep), *PLACES):
        folder = Path(place).expanduser()
        if place and folder.is_dir():
            for path in sorted(folder.iterdir()):
                if path.suffix.lower() in SUFFIXES and path.is_file():
                    found.setdefault(path.stem.lower(), path)
    return found
