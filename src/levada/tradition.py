"""A tradition as data: its cycle, its instruments and what they play.

A tradition is a TOML file that a percussionist can read and write: patterns are grids of stroke letters, one letter
a tatum, spaces and bars (`|`) free. `.` is a rest, `x` a stroke, `o` a ghost note; further letters are named in the
instrument's `strokes`. A capital is an accent.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from levada.errors import InputError

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
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        known = ", ".join(shipped())
        raise InputError(f"there is no tradition {str(source)!r}: name a TOML file, or one of {known}") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"is not valid TOML: {error}", path=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", path=path) from None
    try:
        return _tradition(path.stem, table)
    except KeyError as error:
        raise InputError(f"lacks the entry {error.args[0]!r}", path=path) from None
    except (TypeError, ValueError) as error:
        raise InputError(str(error), path=path) from None


def _tradition(name: str, table: Mapping[str, Any]) -> Tradition:
    beats, tatums = int(table["beats"]), int(table["tatums"])
    if beats < 1 or tatums < 1:
        raise ValueError(f"a cycle needs at least one beat and one tatum, not {beats} and {tatums}")
    mean, deviation = (float(value) for value in table["tempo_bpm"])
    if not (20 <= mean <= 400 and 0 <= deviation < mean / 2):
        raise ValueError(f"tempo_bpm is a mean and a standard deviation, not {mean:g} and {deviation:g}")
    microtiming = tuple(float(value) for value in table.get("microtiming", [0.0] * tatums))
    if len(microtiming) != tatums or any(abs(value) > 0.5 for value in microtiming):
        raise ValueError(f"microtiming needs {tatums} fractions of a beat, one a tatum, not {list(microtiming)}")
    return Tradition(
        name=name,
        beats=beats,
        tatums=tatums,
        tempo_bpm=(mean, deviation),
        instruments=tuple(_instrument(part, entry, beats * tatums) for part, entry in table["instruments"].items()),
        drift=float(table.get("drift", 0.005)),
        microtiming=microtiming,
        spread=float(table.get("spread", 0.012)),
        sources=tuple(table.get("sources", ())),
    )


def _instrument(name: str, entry: Mapping[str, Any], cycle: int) -> Instrument:
    strokes = dict(entry.get("strokes", {}))
    letters = {".", "x", "o", *strokes}
    patterns = []
    for given in entry["patterns"]:
        grid, weight = (given, 1.0) if isinstance(given, str) else (given["grid"], float(given["weight"]))
        bare = "".join(grid.replace("|", " ").split())
        if not bare or len(bare) % cycle:
            raise ValueError(f"instrument {name}: {grid!r} has {len(bare)} tatums, but the cycle has {cycle}")
        unknown = sorted({letter for letter in bare if letter.lower() not in letters})
        if unknown:
            raise ValueError(f"instrument {name}: {grid!r} uses {', '.join(unknown)}, which its strokes do not name")
        patterns.append(Pattern(bare, weight))
    return Instrument(
        name=name,
        voice=entry.get("voice", name),
        patterns=tuple(patterns),
        strokes=strokes,
        presence=float(entry.get("presence", 1.0)),
        level_db=float(entry.get("level_db", 0.0)),
    )
