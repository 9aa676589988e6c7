"""Instruments from a folder of recorded strokes.

Files are named by instrument and stroke, with anything behind a digit or a sign: `chico-open.wav`, `chico-open 2.wav`,
`chico-slap_loud.flac`, or, with a folder for each instrument, `chico/open.wav`. Instruments are percussion voices. Of
several recordings of a stroke, louder ones are used for higher velocities.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from levada.errors import InputError
from levada.io import audio
from levada.synth.instruments import Instrument
from levada.synth.instruments.pitched import PITCHED
from levada.synth.instruments.sampled import SampledInstrument, trim_to_onset
from levada.synth.instruments.signals import Floats32, Generator
from levada.synth.instruments.strokes import RATE, STROKES
from levada.synth.instruments.synthesis import STRUCK

__all__ = ["OneShots"]

Recordings = Mapping[str, tuple[Floats32, ...]]

LONGEST_S = 4.0
ALIKE_DB = 3.0
OPEN = "open"


@dataclass(frozen=True)
class OneShots:
    """An instrument source that reads a folder of recorded strokes.

    Parameters
    ----------
    folder : Path

    Raises
    ------
    InputError
        If there is no such folder, no recording in it, or a file name has no known instrument and stroke.
    """

    folder: Path

    def __post_init__(self) -> None:
        _files(Path(self.folder))

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the recorded voices."""
        return tuple(_files(Path(self.folder)))

    def __call__(self, voice: str, rng: Generator) -> Instrument:
        """Sample an instrument of a voice: the recorded one, slightly transposed.

        Raises
        ------
        LookupError
            If there are no recordings of that voice.
        InputError
            If a recording cannot be read, or is silent.
        """
        recordings = _recordings(Path(self.folder), voice)
        if not recordings:
            raise LookupError(f"{self.folder} has no {voice}")
        plain = OPEN if OPEN in recordings else next(iter(recordings))

        def read(stroke: str, velocity: float, rng: Generator) -> Floats32:
            return _one_of(recordings.get(stroke, recordings[plain]), velocity, rng)

        return SampledInstrument(voice, read, strokes=recordings, semitones=float(rng.uniform(-1, 1)))


def _files(folder: Path) -> dict[str, dict[str, list[Path]]]:
    """Return the files of every stroke of every voice."""
    if not folder.is_dir():
        raise InputError("there is no such folder of recorded strokes", path=folder)
    found: dict[str, dict[str, list[Path]]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in audio.SUFFIXES and not path.name.startswith(".") and path.is_file():
            voice, stroke = _named(path, folder)
            found.setdefault(voice, {}).setdefault(stroke, []).append(path)
    if not found:
        raise InputError("there are no recordings in it: name them like conga-open.wav, or conga/open.wav", path=folder)
    return found


def _named(path: Path, folder: Path) -> tuple[str, str]:
    """Parse voice and stroke from a file name."""
    name, at = path.stem.lower(), path.relative_to(folder).parent.name.lower()
    if at:
        voice, rest = at, name
    else:
        voice = max((known for known in STRUCK if name.startswith(f"{known}-")), key=len, default="")
        voice, rest = (voice, name[len(voice) + 1 :]) if voice else (name.split("-")[0], "")
    if voice not in STRUCK:
        why = "plays notes, and is not struck" if voice in PITCHED else "is not an instrument"
        raise InputError(f"{voice!r} {why}; there are {', '.join(STRUCK)}", path=path)
    match = re.match(r"[a-z]+", rest)
    if match is None or match[0] not in STROKES:
        raise InputError(f"{rest!r} begins with no stroke; there are {', '.join(STROKES)}", path=path)
    return voice, match[0]


@lru_cache(maxsize=64)
def _recordings(folder: Path, voice: str) -> Recordings:
    """Read the recordings of every stroke of a voice, the softest first."""
    files = _files(folder).get(voice, {})
    return {stroke: tuple(sorted(map(_read, paths), key=_loudness_db)) for stroke, paths in files.items()}


def _read(path: Path) -> Floats32:
    samples, rate = audio.read(path, duration_s=3 * LONGEST_S)
    sound = trim_to_onset(audio.resample(audio.to_mono(samples), rate=rate, to=RATE), lead_s=np.inf)
    if not sound.any():
        raise InputError("is silent: there is no stroke in it", path=path)
    fade = np.minimum(1, np.arange(int(LONGEST_S * RATE), 0, -1, dtype=np.float32) / (0.1 * RATE))
    return np.asarray(sound[: len(fade)] * fade[: len(sound)] if len(sound) > len(fade) else sound, np.float32)


def _one_of(recordings: tuple[Floats32, ...], velocity: float, rng: Generator) -> Floats32:
    """Choose a recording by velocity, at random among those of about the same loudness."""
    right = _loudness_db(recordings[round(float(np.clip(velocity, 0, 1)) * (len(recordings) - 1))])
    alike = [recording for recording in recordings if abs(_loudness_db(recording) - right) < ALIKE_DB]
    return alike[int(rng.integers(len(alike)))]


def _loudness_db(sound: Floats32) -> float:
    """Return the energy of the first 0.1 s, in dB."""
    head = sound[: RATE // 10].astype(np.float64)
    return float(10 * np.log10((head**2).sum() + 1e-20))
