"""Instruments from recorded strokes.

In a folder, files are named by instrument and stroke, with anything behind a digit or a sign: `chico-open.wav`,
`chico-open 2.wav`, `chico-slap_loud.flac`, or, with a folder for each instrument, `chico/open.wav`. Instruments are
percussion voices, or names of them in traditions. Of several recordings of a stroke, louder ones are used for higher
velocities.

A TOML file names files of any folder as they are, and may have several instruments of a voice, one of which is drawn
for each performance::

    folder = "samples"                  # relative to this file; its own folder if it is left out

    [[surdo]]
    open = "dununba_head*.wav"          # a pattern, or a list of them
    muted = ["dununba_mute.wav"]
    semitones = [-4, 0]                 # range of transposition, from -1 to 1 if it is left out

    [[kick]]
    each = "bd_*.flac"                  # every file is an instrument of its own, with this open stroke
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from glob import glob
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from levada.errors import InputError
from levada.io import audio
from levada.io.run_folder import sha256_of
from levada.io.toml import line_of, read_toml
from levada.synth.instrument_names import find_voice
from levada.synth.instruments import Instrument
from levada.synth.instruments.pitched import PITCHED
from levada.synth.instruments.sampled import SampledInstrument, trim_to_onset
from levada.synth.instruments.signals import Floats32, Generator
from levada.synth.instruments.strokes import RATE, STROKES
from levada.synth.instruments.synthesis import STRUCK

__all__ = ["OneShots", "one_shots_digest"]

Recordings = Mapping[str, tuple[Floats32, ...]]

LONGEST_S = 4.0
ALIKE_DB = 3.0
OPEN = "open"
EACH, SEMITONES, FOLDER = "each", "semitones", "folder"
SLIGHTLY = (-1.0, 1.0)
MOST_SEMITONES = 24.0


class _Kit(NamedTuple):
    """The files of one instrument, by stroke, and its range of transposition."""

    files: Mapping[str, tuple[Path, ...]]
    semitones: tuple[float, float] = SLIGHTLY


@dataclass(frozen=True)
class OneShots:
    """An instrument source that reads recorded strokes.

    Parameters
    ----------
    folder : Path
        A folder of them, or a TOML file that names them.

    Raises
    ------
    InputError
        If there is no such folder or file, no recording in it, a file name has no known instrument and stroke, or an
        entry of the TOML file is wrong.
    """

    folder: Path

    def __post_init__(self) -> None:
        _kits(Path(self.folder))

    @property
    def voices(self) -> tuple[str, ...]:
        """Names of the recorded voices."""
        return tuple(_kits(Path(self.folder)))

    @property
    def files(self) -> tuple[Path, ...]:
        """All recordings, sorted."""
        kits = [kit for found in _kits(Path(self.folder)).values() for kit in found]
        return tuple(sorted({path for kit in kits for paths in kit.files.values() for path in paths}))

    def __call__(self, voice: str, rng: Generator) -> Instrument:
        """Sample an instrument of a voice: a recorded one, slightly transposed.

        Raises
        ------
        LookupError
            If there are no recordings of that voice.
        InputError
            If a recording cannot be read, or is silent.
        """
        kits = _kits(Path(self.folder)).get(voice, ())
        if not kits:
            raise LookupError(f"{self.folder} has no {voice}")
        at = int(rng.integers(len(kits))) if len(kits) > 1 else 0
        recordings = _recordings(Path(self.folder), voice, at)
        plain = OPEN if OPEN in recordings else next(iter(recordings))

        def read(stroke: str, velocity: float, rng: Generator) -> Floats32:
            return _one_of(recordings.get(stroke, recordings[plain]), velocity, rng)

        return SampledInstrument(voice, read, strokes=recordings, semitones=float(rng.uniform(*kits[at].semitones)))


def one_shots_digest(path: str | Path) -> str:
    """Return the SHA-256 of a folder of one-shots, or of a TOML file and of all that it names."""
    files = OneShots(Path(path)).files
    if Path(path).is_dir():
        return audio.content_hash(path)
    digests = [sha256_of(path), *map(audio.content_hash, files)]
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _kits(path: Path) -> dict[str, tuple[_Kit, ...]]:
    """Return the instruments of every voice."""
    if path.is_file():
        return _listed(path)
    found: dict[str, dict[str, tuple[Path, ...]]] = {}
    if not path.is_dir():
        raise InputError("there is no such folder of recorded strokes", path=path)
    for file in sorted(path.rglob("*")):
        if _is_recording(file):
            voice, stroke = _named(file, path)
            files = found.setdefault(voice, {})
            files[stroke] = (*files.get(stroke, ()), file)
    if not found:
        raise InputError("there are no recordings in it: name them like conga-open.wav, or conga/open.wav", path=path)
    return {voice: (_Kit(files),) for voice, files in found.items()}


def _is_recording(path: Path) -> bool:
    return path.suffix.lower() in audio.SUFFIXES and not path.name.startswith(".") and path.is_file()


def _listed(path: Path) -> dict[str, tuple[_Kit, ...]]:
    """Return the instruments of a TOML file."""
    table = read_toml(path)
    folder = table.pop(FOLDER, "")
    if not isinstance(folder, str):
        raise InputError(f"folder must be a path, not {folder!r}", path=path, line=line_of(path, FOLDER))
    found = dict[str, tuple[_Kit, ...]]()
    for name, entries in table.items():
        try:
            voice = _voice_of(name)
            found[voice] = found.get(voice, ()) + _instruments(path.parent / folder, name, entries)
        except InputError as error:
            raise InputError(error.problem, path=path, line=line_of(path, name)) from None
    if not found:
        raise InputError('names no instrument: it needs [[conga]] and open = "FILE", for instance', path=path)
    return found


def _instruments(folder: Path, voice: str, entries: Any) -> tuple[_Kit, ...]:
    """Read the instruments of one voice of a TOML file."""
    entries = [entries] if isinstance(entries, dict) else entries
    if not (isinstance(entries, list) and entries and all(isinstance(entry, dict) for entry in entries)):
        raise InputError(f"{voice} must be a table, [[{voice}]]")
    kits = list[_Kit]()
    for entry in entries:
        if unknown := set(entry) - {EACH, SEMITONES, *STROKES}:
            known = ", ".join((EACH, SEMITONES, *STROKES))
            raise InputError(f"{voice} has {min(unknown)!r}; there are {known}")
        semitones = _semitones(entry.get(SEMITONES, list(SLIGHTLY)))
        files = {stroke: _matching(folder, entry[stroke]) for stroke in entry if stroke != SEMITONES}
        if not files:
            raise InputError(f"{voice} has no recordings")
        kits += [_Kit({OPEN: (file,)}, semitones) for file in files.pop(EACH, ())]
        kits += [_Kit(files, semitones)] if files else []
    return tuple(kits)


def _semitones(given: Any) -> tuple[float, float]:
    match given:
        case [int() | float() as low, int() | float() as high] if -MOST_SEMITONES <= low <= high <= MOST_SEMITONES:
            return float(low), float(high)
    raise InputError(f"semitones must be a range such as [-3, 1] within {MOST_SEMITONES:g}, not {given!r}")


def _matching(folder: Path, patterns: Any) -> tuple[Path, ...]:
    """Return the recordings of a folder that have a name or match a pattern."""
    patterns = [patterns] if isinstance(patterns, str) else patterns
    if not (isinstance(patterns, list) and patterns and all(isinstance(one, str) for one in patterns)):
        raise InputError(f"recordings are a name, a pattern or a list of them, not {patterns!r}")
    found = list[Path]()
    for pattern in patterns:
        names = [pattern] if (folder / pattern).is_file() else sorted(glob(pattern, root_dir=folder))
        files = [folder / name for name in names if _is_recording(folder / name)]
        if not files:
            raise InputError(f"there is no recording {pattern!r} in {folder}")
        found += files
    return tuple(found)


def _voice_of(name: str) -> str:
    """Return the voice that a name in any spelling or language denotes."""
    if name in STRUCK:
        return name
    voice = None if name in PITCHED else find_voice(name)
    if voice is None or voice not in STRUCK:
        why = "plays notes, and is not struck" if name in PITCHED or voice else "is not an instrument"
        raise InputError(f"{name!r} {why}; there are {', '.join(STRUCK)}")
    return voice


def _named(path: Path, folder: Path) -> tuple[str, str]:
    """Parse voice and stroke from a file name."""
    name, at = path.stem.lower(), path.relative_to(folder).parent.name.lower()
    if at:
        voice, rest = at, name
    else:
        voice = max((known for known in STRUCK if name.startswith(f"{known}-")), key=len, default="")
        voice, rest = (voice, name[len(voice) + 1 :]) if voice else (name.rpartition("-")[0] or name, "")
        rest = rest or name[len(voice) + 1 :]
    try:
        voice = _voice_of(voice)
    except InputError as error:
        raise InputError(error.problem, path=path) from None
    match = re.match(r"[a-z]+", rest)
    if match is None or match[0] not in STROKES:
        raise InputError(f"{rest!r} begins with no stroke; there are {', '.join(STROKES)}", path=path)
    return voice, match[0]


@lru_cache(maxsize=64)
def _recordings(folder: Path, voice: str, at: int) -> Recordings:
    """Read the recordings of every stroke of an instrument, the softest first."""
    files = _kits(folder)[voice][at].files
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
