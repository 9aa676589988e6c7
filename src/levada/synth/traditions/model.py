"""Dataclasses of a tradition: patterns, instruments, form and cycle."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from levada.io.metres import Metre, metre_of

__all__ = ["Evidence", "Form", "Instrument", "Pattern", "Tradition"]


@dataclass(frozen=True)
class Pattern:
    """A pattern of an instrument.

    Parameters
    ----------
    grid : str
        Stroke letters, one a tatum, whole cycles long.
    probability : float
        Probability of being chosen for a section, normalised over the patterns of an instrument.
    """

    grid: str
    probability: float = 1.0


@dataclass(frozen=True)
class Instrument:
    """An instrument of the ensemble.

    Parameters
    ----------
    name : str
        Its name in the tradition; names its stem.
    voice : str
        Name of the voice that plays it.
    patterns : tuple of Pattern
    strokes : mapping of str to str
        Stroke letter -> stroke ("open", "muted", "slap" …), or note where it is pitched ("root", "chord" …).
    presence : float
        Probability that it plays; 1 if the tradition requires it.
    level_db : float
        Relative level, in dB.
    fills : tuple of str
        Grids that may end a section.
    fill_chance : float
        Probability of one.
    calls : tuple of str
        Grids that may begin a section.
    call_chance : float
        Probability of one.
    players : tuple of int
        Least and greatest number of players.
    enters : int or None
        Cycles after the start at which it joins, where instruments enter one after another.
    microtiming : tuple of float
        Overrides that of the tradition.
    spread : float or None
        Overrides that of the tradition.
    tuning : int or None
        Order of its pitch among instruments of the same voice: 1 is the lowest; any where it is None.
    aliases : tuple of str
        Further names, as stems may be called; without effect on the sound.
    """

    name: str
    voice: str
    patterns: tuple[Pattern, ...]
    strokes: Mapping[str, str] = field(default_factory=dict)
    presence: float = 1.0
    level_db: float = 0.0
    fills: tuple[str, ...] = ()
    fill_chance: float = 0.25
    calls: tuple[str, ...] = ()
    call_chance: float = 0.1
    players: tuple[int, int] = (1, 1)
    enters: int | None = None
    microtiming: tuple[float, ...] = ()
    spread: float | None = None
    tuning: int | None = None
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Evidence:
    """What a source says of where in the cycle an instrument strikes.

    Parameters
    ----------
    instrument : str
        The name of an instrument of the tradition.
    strokes : str
        Letters of its strokes; a capital is an accented stroke only.
    beats : tuple of float
        Where most of these strokes are, in beats: 1 is the first, 2.5 is half a beat after the second.
    source : str
        A reference.
    """

    instrument: str
    strokes: str
    beats: tuple[float, ...]
    source: str


@dataclass(frozen=True)
class Form:
    """Form of a performance.

    Parameters
    ----------
    section : tuple of int
        Least and greatest number of cycles of a section.
    entries : float
        Probability that instruments enter one after another.
    breaks : float
        Probability that a section ends with a cycle in which only one instrument plays.
    endings : float
        Probability that the performance ends on a common last stroke.
    """

    section: tuple[int, int] = (4, 4)
    entries: float = 0.0
    breaks: float = 0.0
    endings: float = 0.0


@dataclass(frozen=True)
class Tradition:
    """A musical tradition: cycle, tempo and instruments.

    Parameters
    ----------
    name : str
    beats : int
        Beats in the cycle.
    tatums : int
        Tatums in a beat; in the longest one where beats are of unequal length.
    tempo_bpm : tuple of float
        Mean and standard deviation of the tempo of performances.
    instruments : tuple of Instrument
    drift : float
        Standard deviation of the change of log tempo from a beat to the next.
    microtiming : tuple of float
        Mean delay of each tatum, in fractions of a beat; of length `tatums` (of the cycle where beats are of unequal
        length), or empty.
    spread : float
        Standard deviation of single strokes, in fractions of a beat.
    sources : tuple of str
        References.
    checked : tuple of Evidence
        Sources that the metre was compared with.
    unchecked : str
        What of the metre no source was compared with; empty if nothing.
    title, about : str
        Display name and description.
    acceleration : tuple of float
        Mean and standard deviation, over performances, of the log of the last tempo over the first.
    jitter_s : float
        Standard deviation of single beats around a steady tempo, in seconds.
    ensemble : tuple of int or None
        Least and greatest number of players in all.
    form : Form
    unequal : tuple of int
        Tatums of each beat where these are not all the same; the tempo is then that of the median beat.
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
    checked: tuple[Evidence, ...] = ()
    unchecked: str = ""
    title: str = ""
    about: str = ""
    acceleration: tuple[float, float] = (0.0, 0.03)
    jitter_s: float = 0.003
    ensemble: tuple[int, int] | None = None
    form: Form = field(default_factory=Form)
    unequal: tuple[int, ...] = ()

    @property
    def cycle(self) -> int:
        """Tatums in the cycle."""
        return sum(self.beat_tatums)

    @property
    def beat_tatums(self) -> tuple[int, ...]:
        """Tatums in each beat of the cycle."""
        return self.unequal or (self.tatums,) * self.beats

    @property
    def metre(self) -> Metre:
        """Number of beats, or the lengths of beats of unequal length, such as "2+2+2+3"."""
        return metre_of("+".join(map(str, self.unequal))) if self.unequal else self.beats

    def tatums_before(self, beat: int) -> int:
        """Return the tatums before a beat, counted from 0 and on over the cycles."""
        cycles, place = divmod(beat, self.beats)
        return cycles * self.cycle + sum(self.beat_tatums[:place])
