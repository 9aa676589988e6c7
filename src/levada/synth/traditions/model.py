"""What a tradition is made of: patterns, those who play them, the form of a performance, and the cycle itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Form", "Instrument", "Pattern", "Tradition"]


@dataclass(frozen=True)
class Pattern:
    """One thing an instrument may play.

    Parameters
    ----------
    grid : str
        Stroke letters, one a tatum, whole cycles long.
    probability : float
        That it is chosen for a section; where those of an instrument do not sum to 1, they count in proportion.
    """

    grid: str
    probability: float = 1.0


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
        Stroke letter -> stroke ("open", "muted", "slap" …), or note where it is pitched ("root", "chord" …).
    presence : float
        Probability that it is there at all; 1 where the tradition does not exist without it.
    level_db : float
        How loud it is beside the others.
    fills : tuple of str
        Grids it may end a section with.
    fill_chance : float
        Probability that it does.
    calls : tuple of str
        Grids it may announce a section with.
    call_chance : float
        Probability that it does.
    players : tuple of int
        The least and the most who play it.
    enters : int or None
        Cycles after the start at which it joins, where instruments enter one after another.
    microtiming : tuple of float
        Its own, where it is not the tradition's.
    spread : float or None
        Its own, where it is not the tradition's.
    aliases : tuple of str
        What else it is called, by those who name stems after it; nothing is played otherwise for it.
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
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class Form:
    """How a performance goes.

    Parameters
    ----------
    section : tuple of int
        The least and the most cycles in which everybody stays with one pattern.
    entries : float
        Probability that instruments enter one after another.
    breaks : float
        Probability that a section ends with a cycle of silence for all but one.
    endings : float
        Probability that the performance ends on a common last stroke.
    """

    section: tuple[int, int] = (4, 4)
    entries: float = 0.0
    breaks: float = 0.0
    endings: float = 0.0


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
    instruments : tuple of Instrument
    drift : float
        Standard deviation of the change of log tempo from a beat to the next.
    microtiming : tuple of float
        How late each tatum of the beat is played, in fractions of a beat; as long as `tatums`, or empty.
    spread : float
        Standard deviation of single strokes around that, in fractions of a beat.
    sources : tuple of str
        Where all of this is documented.
    title, about : str
        What people call it, and what it is.
    acceleration : tuple of float
        Mean and standard deviation, over performances, of the log of the last tempo over the first.
    jitter_s : float
        Standard deviation of single beats around a steady tempo, in seconds.
    ensemble : tuple of int or None
        The least and the most players.
    form : Form
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
    title: str = ""
    about: str = ""
    acceleration: tuple[float, float] = (0.0, 0.03)
    jitter_s: float = 0.003
    ensemble: tuple[int, int] | None = None
    form: Form = field(default_factory=Form)

    @property
    def cycle(self) -> int:
        """Tatums in the cycle."""
        return self.beats * self.tatums
