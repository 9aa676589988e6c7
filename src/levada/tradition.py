"""A tradition as data: its cycle, its instruments and what they play.

A tradition is a TOML file that a percussionist can read and write: patterns are grids of stroke letters, one letter
a tatum, spaces and bars (`|`) free. `.` is a rest, `x` a stroke, `o` a ghost note; further letters are named in the
instrument's `strokes`. A capital is an accent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from levada.errors import InputError
from levada.files import read_toml
from levada.voices import PITCHED, STROKES, STRUCK

__all__ = ["Instrument", "Pattern", "Tradition", "read_tradition", "shipped"]

FOLDER = Path(__file__).parent / "traditions"


@dataclass(frozen=True)
class Pattern:
    """One thing an instrument may play.

    Parameters
    ----------
    grid : str
        Stroke letters, one a tatum, whole cycles long.
    weight : float
        How often it is chosen, relative to its alternatives.
    """

    grid: str
    weight: float = 1.0


@dataclass(frozen=True)
class Instrument:
    """One part of the ensemble.

    Parameters
    ----------
    name : str
        Its name in the tradition; names its stem.
    voice : str
        The sound it is played with.
    patterns : tuple of Pattern
    strokes : mapping of str to str
        Stroke letter -> stroke ("open", "muted", "slap", "stick", "bass").
    presence : float
        Probability that it is there at all; 1 where the tradition does not exist without it.
    level_db : float
        How loud it is beside the others.
    """

    name: str
    voice: str
    patterns: tuple[Pattern, ...]
    strokes: Mapping[str, str] = field(default_factory=dict)
    presence: float = 1.0
    level_db: float = 0.0


@dataclass(frozen=True)
class Tradition:
    """A cycle and those who play it.

    Parameters
    ----------
    name : str
    beats : int
        Beats in the cycle.
    tatums : int
        Tatums in a beat.
    tempo_bpm : tuple of float
        Mean and standard deviation of the tempo of performances.
    drift : float
        Standard deviation of the change of log tempo from a beat to the next.
    microtiming : tuple of float
        How late each tatum of the beat is played, in fractions of a beat; as long as `tatums`.
    spread : float
        Standard deviation of single strokes around that, in fractions of a beat.
    instruments : tuple of Instrument
    sources : tuple of str
        Where all of this is documented.
    """

    name: str
    beats: int
    tatums: int
    tempo_bpm: tuple[float, float]
    instruments: tuple[Instrument, ...]
    drift: float = 0.005
    microtiming: tuple[float, ...] = ()
    spread: float = 0.012
    sources: tuple[str, ...] = ()

    @property
    def cycle(self) -> int:
        """Tatums in the cycle."""
        return self.beats * self.tatums


def shipped() -> dict[str, Path]:
    """Names of the traditions that come with levada, and their files."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def read_tradition(source: str | Path) -> Tradition:
    """Read a tradition from a file, or one that comes with levada by its name.

    Raises
    ------
    InputError
        If there is no such tradition, or its description contradicts itself; names the file and the entry.
    """
    path = shipped().get(str(source), Path(source))
    if not path.exists():
        known = ", ".join(shipped())
        raise InputError(f"there is no tradition {str(source)!r}: name a TOML file, or one of {known}")
    table = read_toml(path)
    try:
        return _tradition(path.stem, table)
    except KeyError as error:
        raise InputError(f"lacks the entry {error.args[0]!r}", path=path) from None
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(str(error), path=path) from None


def _tradition(name: str, table: Mapping[str, Any]) -> Tradition:
    _only(table, Tradition, but="name")
    beats, tatums = _whole(table, "beats"), _whole(table, "tatums")
    tempo = tuple(float(value) for value in table["tempo_bpm"])
    if len(tempo) != 2 or not (20 <= tempo[0] <= 400 and 0 <= tempo[1] < tempo[0] / 2):
        raise ValueError(f"tempo_bpm is a mean and a standard deviation, not {table['tempo_bpm']}")
    microtiming = tuple(float(value) for value in table.get("microtiming", [0.0] * tatums))
    if len(microtiming) != tatums or not all(abs(value) <= 0.5 for value in microtiming):
        raise ValueError(f"microtiming needs {tatums} fractions of a beat, one a tatum, not {list(microtiming)}")
    drift, spread = (_within(table, key, usual, most=0.5) for key, usual in (("drift", 0.005), ("spread", 0.012)))
    cycle = beats * tatums
    instruments = tuple(
        _instrument(part, entry, cycle) for part, entry in _table(table["instruments"], "instruments").items()
    )
    if not instruments:
        raise ValueError("nobody plays: there are no instruments")
    sources = tuple(table.get("sources", ()))
    return Tradition(name, beats, tatums, (tempo[0], tempo[1]), instruments, drift, microtiming, spread, sources)


def _instrument(name: str, entry: Mapping[str, Any], cycle: int) -> Instrument:
    try:
        _only(_table(entry, "it"), Instrument, but="name")
        voice, strokes = entry.get("voice", name), _table(entry.get("strokes", {}), "strokes")
        if voice not in STRUCK and voice not in PITCHED:
            raise ValueError(f"there is no voice {voice!r}; there are {', '.join([*STRUCK, *PITCHED])}")
        for letter, stroke in strokes.items():
            if stroke not in STROKES:
                raise ValueError(f"{letter} is no known stroke, {stroke!r}; there are {', '.join(STROKES)}")
        patterns = tuple(_pattern(given, strokes, cycle) for given in entry["patterns"])
        if not patterns:
            raise ValueError("has no patterns")
        presence, level_db = _within(entry, "presence", 1.0), float(entry.get("level_db", 0.0))
    except KeyError as error:
        raise ValueError(f"instrument {name}: lacks the entry {error.args[0]!r}") from None
    except (TypeError, ValueError) as error:
        raise ValueError(f"instrument {name}: {error}") from None
    return Instrument(name, voice, patterns, strokes, presence, level_db)


def _pattern(given: str | Mapping[str, Any], strokes: Mapping[str, str], cycle: int) -> Pattern:
    grid, weight = (given, 1.0) if isinstance(given, str) else (given["grid"], float(given["weight"]))
    if not 0 < weight < math.inf:
        raise ValueError(f"a pattern's weight must be above 0, not {weight:g}")
    bare = "".join(grid.replace("|", " ").split())
    if not bare or len(bare) % cycle:
        raise ValueError(f"{grid!r} has {len(bare)} tatums, but the cycle has {cycle}")
    unknown = sorted({letter for letter in bare if letter.lower() not in {".", "x", "o", *strokes}})
    if unknown:
        raise ValueError(f"{grid!r} uses {', '.join(unknown)}, which its strokes do not name")
    return Pattern(bare, weight)


def _only(table: Mapping[str, Any], kind: type, *, but: str) -> None:
    """Refuse entries that nothing reads: they are misspelt ones that something should."""
    known = [entry.name for entry in fields(kind) if entry.name != but]
    unknown = [key for key in table if key not in known]
    if unknown:
        raise ValueError(f"unknown entries {', '.join(unknown)}; there are {', '.join(known)}")


def _table(given: object, name: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise ValueError(f"{name} must be a table, not {given!r}")
    return given


def _whole(table: Mapping[str, Any], key: str) -> int:
    value = table[key]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError(f"{key} must be a whole number above 0, not {value!r}")
    return value


def _within(table: Mapping[str, Any], key: str, usual: float, *, most: float = 1.0) -> float:
    value = float(table.get(key, usual))
    if not 0 <= value <= most:
        raise ValueError(f"{key} must be between 0 and {most:g}, not {value:g}")
    return value
