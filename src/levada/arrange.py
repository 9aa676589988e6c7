"""A band tied to the metre: bass, chords, figures and melodies that say where the one is.

Everything is written in beats first (`Note`) and put into time last (`play`), so that beats stay exact whatever hands
do. Music comes in sections of a few bars with letters: what has the same letter is the same music. The idioms are the
common ground of textbooks on arranging; every figure here is our own writing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levada.beats import Beats
from levada.errors import InputError
from levada.perform import Performance, Stroke
from levada.voices import PITCHED

__all__ = ["Bar", "Chord", "Note", "Part", "Swing", "band", "form", "grid_figure", "harmony", "play"]

Generator = np.random.Generator
Figure = tuple[tuple[float, float, int], ...]  # place in the bar and length, in beats; which note of the chord

ALL = -1  # the whole chord
NEXT = -2  # the root of the chord that comes
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)
PROGRESSIONS = (
    (0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (0, 3, 4, 4), (0, 3, 0, 4), (1, 4, 0, 0), (0, 0, 3, 4), (0, 4), (0, 3),
    (0, 6, 3, 0), (5, 4, 3, 4), (0, 2, 3, 4), (0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4), (0, 1), (0, 0, 0, 6), (0,),
    (3, 4, 0, 5), (3, 0, 4, 5), (0, 4, 5, 2, 3, 0, 3, 4), (1, 4, 2, 5),
)  # fmt: skip
BASSES = ("bass",)
CHORDS = ("keys", "pluck", "organ", "piano", "guitar", "piano", "guitar", "accordion", "strings")
PADS = ("pad", "organ", "strings", "pad")
LINES = ("singer", "singer", "reed", "flute", "brass", "strings", "pluck", "keys", "guitar", "piano")
RIFFS = ("pluck", "keys", "guitar", "brass", "organ", "piano", "reed")


class Note(NamedTuple):
    """One sound on the grid of beats: beats count from 0, as the beats of the piece do."""

    beat: float
    length: float
    part: str
    velocity: float
    midi: float = 0
    stroke: str = "open"


class Chord(NamedTuple):
    """A harmony: when and how long, in beats, and its pitch classes, the root first."""

    beat: float
    length: float
    pitches: tuple[int, ...]


class Bar(NamedTuple):
    """A bar and its place in the form.

    Parameters
    ----------
    start : int
        Its downbeat, counted from the first beat of the piece; below 0 where the piece begins inside it.
    beats : int
    number : int
        Its place in its section, from 0.
    left : int
        How many bars of its section follow.
    section : int
    letter : str
        Sections of one letter are the same music.
    """

    start: int
    beats: int
    number: int
    left: int
    section: int
    letter: str


@dataclass(frozen=True)
class Part:
    """One who plays.

    Parameters
    ----------
    voice : str
    level_db : float
    late_s : float
        How far behind the beat it plays; below 0 for ahead.
    jitter_s : float
        Standard deviation of single notes around that.
    """

    voice: str
    level_db: float = 0.0
    late_s: float = 0.0
    jitter_s: float = 0.005


@dataclass(frozen=True)
class Swing:
    """Where off-beats fall, as shares of what they divide; .5 is straight, .67 a triplet.

    Parameters
    ----------
    eighth : float
    sixteenth : float
    third : float
        For beats in three: how far the last third leans, in beats, from where it belongs.
    """

    eighth: float = 0.5
    sixteenth: float = 0.5
    third: float = 0.0

    def warp(self, places: npt.NDArray[np.float64], *, compound: bool) -> npt.NDArray[np.float64]:
        """Where in the beat those places are played, all in beats between 0 and 1."""
        if compound:
            return np.interp(places, (0, 1 / 3, 2 / 3, 1), (0, (1 + self.third) / 3, 2 / 3 + self.third, 1))
        half = np.floor(places * 2) / 2
        inner = np.interp((places - half) * 2, (0, 0.5, 1), (0, self.sixteenth, 1)) / 2
        return np.interp(half + inner, (0, 0.5, 1), (0, self.eighth, 1))


@dataclass(frozen=True)
class _Sheet:
    """What everybody in the band reads from."""

    bars: tuple[Bar, ...]
    chords: tuple[Chord, ...]
    compound: bool
    accent: float
    rng: Generator
    starts: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", np.array([chord.beat for chord in self.chords]))

    @property
    def tatums(self) -> int:
        return 3 if self.compound else 4

    def chord(self, beat: float) -> Chord:
        return self.chords[max(0, int(np.searchsorted(self.starts, beat + 1e-6)) - 1)]

    def loudness(self, place: float) -> float:
        at_one = self.accent if place < 1e-6 else 0.0
        return float(np.clip(0.68 + at_one - (0.06 if place % 1 > 1e-6 else 0) + self.rng.normal(0, 0.05), 0.1, 1))


def form(positions: Sequence[int] | npt.NDArray[np.int64], *, metre: int, rng: Generator) -> tuple[Bar, ...]:
    """Bars and sections of beats with these positions; a piece may begin inside a bar, and inside a section.

    Parameters
    ----------
    positions : sequence of int [shape=(beats,)]
        Place of each beat in its bar, from 1.
    metre : int
        Beats of a bar that is not heard whole.
    rng : numpy.random.Generator

    Returns
    -------
    tuple of Bar

    Raises
    ------
    InputError
        If there are no beats, or a position is unknown.
    """
    places = np.asarray(positions)
    if not len(places) or places.min() < 1:
        raise InputError("a band needs beats whose places in the bar are known")
    starts = [int(beat) for beat in np.flatnonzero(places == 1)]
    if places[0] != 1:
        starts.insert(0, 1 - int(places[0]))
    ends = [*starts[1:], max(starts[-1] + metre, len(places))]
    bars: list[Bar] = []
    section, letter, number, length = 0, "A", 0, _section(rng)
    number = int(rng.integers(length)) if rng.random() < 0.6 else 0
    for start, end in zip(starts, ends, strict=True):
        if number == length:
            section, number, length = section + 1, 0, _section(rng)
            letter = letter if rng.random() < 0.3 else str(rng.choice([other for other in "ABC" if other != letter]))
        bars.append(Bar(start, end - start, number, length - 1 - number, section, letter))
        number += 1
    return tuple(bars)


def _section(rng: Generator) -> int:
    return int(rng.choice([8, 4, 16, 6, 12, 2], p=[0.5, 0.36, 0.05, 0.03, 0.03, 0.03]))


def harmony(bars: Sequence[Bar], *, compound: bool, rng: Generator, jazz: float = 0.2) -> tuple[Chord, ...]:
    """Chords of a form: they change on downbeats, now and then in the middle of a bar or an off-beat early."""
    key, scale = int(rng.integers(12)), MAJOR if rng.random() < 0.6 else MINOR
    seventh = rng.random() < jazz
    rate = float(rng.choice([1, 2, 0.5, 4], p=[0.58, 0.2, 0.15, 0.07]))
    push = (1 / 3 if compound else 0.5) if rng.random() < 0.1 else 0.0
    letters = {letter: PROGRESSIONS[int(rng.integers(len(PROGRESSIONS)))] for letter in "ABC"}
    cadence = rng.random() < 0.6
    changes: list[tuple[float, int]] = []
    for bar in bars:
        progression = letters[bar.letter]
        halves = 2 if rate == 0.5 and bar.beats >= 3 else 1
        for half in range(halves):
            step = bar.number * halves + half if rate <= 1 else int(bar.number // rate)
            degree = progression[step % len(progression)]
            if cadence and bar.left == 0 and bar.number and half == halves - 1:
                degree = 4
            beat = bar.start + half * ((bar.beats + 1) // 2)
            if half == 0 and push and rng.random() < 0.5:
                beat -= push
            if not changes or changes[-1][1] != degree or (bar.number == 0 and half == 0):
                changes.append((float(beat), degree))
    end = float(bars[-1].start + bars[-1].beats)
    thirds = (0, 2, 4, 6) if seventh else (0, 2, 4)
    return tuple(
        Chord(beat, until - beat, tuple((key + scale[(degree + third) % 7]) % 12 for third in thirds))
        for (beat, degree), (until, _) in zip(changes, [*changes[1:], (end, 0)], strict=True)
    )


def band(
    beats: Beats,
    *,
    metre: int,
    compound: bool,
    rng: Generator,
    chords: Sequence[tuple[float, float, tuple[int, ...]]] | None = None,
    busy: float = 0.5,
    bars: Sequence[Bar] | None = None,
    grids: Mapping[str, Sequence[str]] | None = None,
    only: Sequence[str] = ("bass", "chords", "pad", "riff", "melody"),
    swing: Swing | None = None,
    duration_s: float | None = None,
) -> Performance:
    """A band that plays along with beats.

    Parameters
    ----------
    beats : Beats
        Its beats, with their places in the bar.
    metre : int
        Beats of a bar.
    compound : bool
        Whether a beat is divided in three.
    rng : numpy.random.Generator
    chords : sequence of (beat, length, pitch classes), optional
        Harmony, in beats from the first one, the root first; invented where there is none.
    busy : float
        How many play, between 0 and 1.
    bars : sequence of Bar, optional
        The form, from `form`; invented where there is none.
    grids : mapping of str to sequence of str, optional
        Rhythms of the style by voice ("bass", "keys"), as grids of a tradition without spaces.
    only : sequence of str
        Who may play: "bass", "chords", "pad", "riff", "melody".
    swing : Swing, optional
    duration_s : float, optional
        Until when they play; an interval after the last beat where it is not given.

    Returns
    -------
    Performance

    Raises
    ------
    InputError
        If there are no beats, a place in the bar is unknown, or somebody in `only` is no player.
    """
    unknown = sorted(set(only) - set(_PLAYERS))
    if unknown:
        raise InputError(f"a band has no {', '.join(unknown)}; it has {', '.join(_PLAYERS)}")
    bars = tuple(bars) if bars is not None else form(beats.positions, metre=metre, rng=rng)
    given = tuple(Chord(*chord) for chord in chords or ()) or harmony(bars, compound=compound, rng=rng)
    sheet = _Sheet(bars, given, compound, float(rng.uniform(0, 0.2)), rng)
    chances = {"bass": 0.6 + 0.6 * busy, "chords": 0.55 + 0.6 * busy, "pad": 0.2 + 0.2 * busy,
               "riff": 0.6 * busy, "melody": 0.25 + 0.7 * busy}  # fmt: skip
    seats = [name for name in only if rng.random() < chances[name]] or [only[0]]
    if "chords" in seats and rng.random() < 0.7 * busy:
        seats.append("chords")
    notes: list[Note] = []
    parts: dict[str, Part] = {}
    tight_s = float(np.exp(rng.uniform(np.log(0.002), np.log(0.018))))
    for seat, name in enumerate(seats):
        part = f"{name}-{seat}" if name in seats[:seat] else name
        voices = [voice for voice in _VOICES[name] if voice in PITCHED]
        level = _LEVELS_DB[name] + float(rng.normal(0, 3.5))
        late = float(np.clip(rng.normal(0.002, 0.008), -0.015, 0.025))
        parts[part] = Part(str(rng.choice(voices)), level, late, tight_s * float(rng.uniform(0.6, 1.4)))
        style = [grid for voice in (name, *voices) for grid in (grids or {}).get(voice, ())]
        played = _PLAYERS[name](sheet, style)
        silent = _silences(bars, rng, often=0.05 if name == "bass" else 0.18)
        notes += [note._replace(part=part) for number, note in played if number not in silent]
    return play(notes, parts, beats, rng=rng, compound=compound, swing=swing, duration_s=duration_s)


def _silences(bars: Sequence[Bar], rng: Generator, *, often: float) -> set[int]:
    """Bars in which a part rests: a section, or the beginning."""
    resting = {section for section in {bar.section for bar in bars} if rng.random() < often}
    if len(resting) > bars[-1].section:
        resting = set()
    return {number for number, bar in enumerate(bars) if bar.section in resting}


def play(
    notes: Sequence[Note],
    parts: Mapping[str, Part],
    beats: Beats,
    *,
    rng: Generator,
    compound: bool = False,
    swing: Swing | None = None,
    duration_s: float | None = None,
) -> Performance:
    """Notes in beats become strokes in time, early and late as hands are.

    Parameters
    ----------
    notes : sequence of Note
    parts : mapping of str to Part
    beats : Beats
    rng : numpy.random.Generator
    compound : bool
        Whether a beat is divided in three.
    swing : Swing, optional
    duration_s : float, optional
        As in `band`.

    Returns
    -------
    Performance
    """
    times = beats.times_s
    if len(times) < 2:
        raise InputError("a band needs two beats at least")
    last_s = float(2 * times[-1] - times[-2]) if duration_s is None else duration_s
    voices, levels = ({name: getattr(part, what) for name, part in parts.items()} for what in ("voice", "level_db"))
    if not notes:
        return Performance((), beats, voices, levels, last_s)
    at = np.array([note.beat for note in notes], float)
    until = at + np.array([note.length for note in notes], float)
    late = np.array([parts[note.part].late_s for note in notes])
    jitter = np.array([parts[note.part].jitter_s for note in notes]) * rng.standard_normal(len(notes))
    begin_s = _seconds(times, at, swing or Swing(), compound=compound)
    length_s = _seconds(times, until, Swing(), compound=compound) - begin_s
    begin_s = begin_s + late + jitter
    strokes = [
        Stroke(start, note.part, note.velocity, note.stroke, 440 * 2 ** ((note.midi - 69) / 12) if note.midi else 0.0,
               max(0.06, length) if note.midi else 0.0)
        for note, start, length in zip(notes, begin_s.tolist(), length_s.tolist(), strict=True)
        if 0 <= start < last_s
    ]  # fmt: skip
    return Performance(tuple(sorted(strokes)), beats, voices, levels, last_s)


def _seconds(
    times: npt.NDArray[np.float64], at: npt.NDArray[np.float64], swing: Swing, *, compound: bool
) -> npt.NDArray[np.float64]:
    """Times of places in beats, straight on beyond the first and the last beat."""
    whole = np.floor(at + 1e-6)
    warped = whole + swing.warp(np.clip(at - whole, 0, 1), compound=compound)
    held = np.clip(warped, 0, len(times) - 1)
    first, last = times[1] - times[0], times[-1] - times[-2]
    return np.asarray(
        np.interp(held, np.arange(len(times)), times)
        + np.minimum(warped, 0) * first
        + np.maximum(warped - (len(times) - 1), 0) * last
    )


def grid_figure(grid: str, tatums: int, *, tone: int = 0) -> Figure:
    """A grid of a tradition as a figure: places and lengths in beats."""
    places = [place for place, letter in enumerate(grid) if letter != "."]
    ends = [*places[1:], len(grid)]
    return tuple((place / tatums, (end - place) / tatums, tone) for place, end in zip(places, ends, strict=True))


def _cell(beats: int, tatums: int, density: float, rng: Generator, *, syncopation: float = 0.3) -> Figure:
    """A rhythm of one bar: strong places are likelier the less syncopated it is."""
    size = beats * tatums
    weights = np.ones(size)
    weights[:: max(1, tatums // 2)] = 1.8 if tatums % 2 == 0 else 1.0
    weights[::tatums] = 3
    weights[0] = 4
    weights = weights ** (1 - 1.3 * syncopation)
    count = int(np.clip(rng.binomial(size, density), 1, size))
    places = np.sort(rng.choice(size, size=count, replace=False, p=weights / weights.sum()))
    legato = rng.uniform(0.4, 1)
    return tuple(
        (place / tatums, float((end - place) / tatums * legato), int(rng.choice([0, 0, 1, 2, 3])))
        for place, end in zip(places.tolist(), [*places[1:].tolist(), size], strict=True)
    )


def _figures(sheet: _Sheet, draw: Callable[[int], Sequence[Figure]]) -> list[tuple[int, Bar, Figure]]:
    """The figure of every bar: drawn once for a letter and a length of bar, one bar or several in turn."""
    drawn: dict[tuple[str, int], Sequence[Figure]] = {}
    found = []
    for number, bar in enumerate(sheet.bars):
        key = (bar.letter, bar.beats)
        if key not in drawn:
            same = [figures for (_, beats), figures in drawn.items() if beats == bar.beats]
            drawn[key] = same[0] if same and sheet.rng.random() < 0.5 else draw(bar.beats)
        found.append((number, bar, drawn[key][bar.number % len(drawn[key])]))
    return found


def _from_grids(grids: Sequence[str], tatums: int, beats: int, rng: Generator, *, tone: int) -> list[Figure]:
    """Bars of one of the grids that are whole bars of so many beats; none where there is no such grid."""
    size = beats * tatums
    fitting = [grid for grid in grids if len(grid) % size == 0]
    if not fitting:
        return []
    grid = fitting[int(rng.integers(len(fitting)))]
    return [grid_figure(grid[at : at + size], tatums, tone=tone) for at in range(0, len(grid), size)]


def _bass(sheet: _Sheet, grids: Sequence[str]) -> list[tuple[int, Note]]:
    rng, off = sheet.rng, 2 / 3 if sheet.compound else 0.5
    styles = ("root", "fifth", "eighths", "beats", "octave", "walk", "cell", "cell", "dotted", "push", "tumbao")
    shares = np.array([2, 2, 1.5, 1, 0.7, 1, 2, 2, 0.7, 1, 0.5])
    style = str(rng.choice(styles, p=shares / shares.sum()))
    style = "grid" if grids and rng.random() < 0.6 else style
    density, syncopation, firm = rng.uniform(0.12, 0.4), rng.uniform(-0.2, 0.6), rng.random() < 0.85
    lift = 12 * (rng.random() < 0.2)

    def draw(beats: int) -> list[Figure]:
        half = 2 if beats >= 4 else beats - 1
        match style:
            case "grid" if found := _from_grids(grids, sheet.tatums, beats, rng, tone=0):
                return found
            case "root":
                return [((0, beats, 0),)]
            case "fifth":
                return [((0, half * 0.8, 0), (half, (beats - half) * 0.8, 2))] if beats > 1 else [((0, 1, 0),)]
            case "eighths":
                step = 1 / 3 if sheet.compound else 0.5
                return [tuple((i * step, step * 0.9, 0) for i in range(round(beats / step)))]
            case "beats":
                return [tuple((float(i), 0.85, 0) for i in range(beats))]
            case "octave":
                return [tuple((i + part, 0.4, 3 if part else 0) for i in range(beats) for part in (0, off))]
            case "walk":
                middle = [(float(i), 0.95, int(rng.integers(4))) for i in range(1, beats - 1)]
                return [((0, 0.95, 0), *middle, *([(beats - 1.0, 0.95, NEXT)] if beats > 1 else []))]
            case "dotted" if beats == 4:
                return [((0, 1.3, 0), (1 + off, 1.3, 0), (3, 0.9, 2))]
            case "push" if beats >= 2:
                return [((0, half * 0.7, 0), (half - 1 + off, 0.4, 2), (half, 0.9, 2), (beats - 1 + off, 0.4, NEXT))]
            case "tumbao" if beats == 4:
                return [((1 + off, 1.3, 2), (3, 2.4, NEXT))]
        cells = [_cell(beats, sheet.tatums, density, rng, syncopation=syncopation) for _ in range(rng.integers(1, 3))]
        return [_on_one(cell) for cell in cells] if firm else cells

    notes = []
    for number, bar, figure in _figures(sheet, draw):
        for place, length, tone in figure:
            if place and rng.random() < 0.03:
                continue
            beat = bar.start + place
            chord = sheet.chord(bar.start + bar.beats if tone == NEXT else beat)
            fill = bar.left == 0 and place > bar.beats - 1.6 and rng.random() < 0.3
            note = chord.pitches[0 if tone in (NEXT, 3) else (int(rng.integers(3)) if fill else tone)]
            midi = 28 + (note - 28) % 12 + (12 if tone == 3 else 0) + lift
            notes.append((number, Note(beat, length, "bass", sheet.loudness(place), midi)))
    return notes


def _on_one(cell: Figure) -> Figure:
    """The same with a root on the one."""
    return ((0.0, cell[0][0] or cell[0][1], 0), *(note for note in cell if note[0] > 0))


def _strum(beats: int, compound: bool) -> Figure:
    step = 1 / 3 if compound else 0.5
    skipped = {1, 4} if beats == 4 and not compound else {1} if not compound else set()
    return tuple((i * step, step * 0.8, ALL) for i in range(round(beats / step)) if i not in skipped)


def _chords(sheet: _Sheet, grids: Sequence[str]) -> list[tuple[int, Note]]:
    rng, step = sheet.rng, 1 / 3 if sheet.compound else 0.5
    off = 2 / 3 if sheet.compound else 0.5
    styles = ("block", "half", "beats", "eighths", "strum", "offs", "backs", "charleston", "arpeggio", "oompah", "cell",
              "tresillo", "alberti")  # fmt: skip
    shares = np.array([2, 1, 1, 1, 1.5, 1, 0.7, 0.6, 2, 1, 2, 0.6, 0.6])
    style = str(rng.choice(styles, p=shares / shares.sum()))
    style = "grid" if grids and rng.random() < 0.5 else style
    density, syncopation = rng.uniform(0.12, 0.45), rng.uniform(-0.2, 0.8)
    finer = step / 2 if not sheet.compound and rng.random() < 0.35 else step
    order = [int(tone) for tone in rng.choice([(0, 1, 2, 1), (0, 1, 2, 3), (0, 2, 1, 2), (3, 2, 1, 2), (0, 2, 3, 2)])]

    def draw(beats: int) -> list[Figure]:
        half = (beats + 1) // 2
        match style:
            case "grid" if found := _from_grids(grids, sheet.tatums, beats, rng, tone=ALL):
                return found
            case "block":
                return [((0, beats * 0.97, ALL),)]
            case "half" if beats >= 3:
                return [((0, half * 0.95, ALL), (half, (beats - half) * 0.95, ALL))]
            case "beats":
                return [tuple((float(i), 0.8, ALL) for i in range(beats))]
            case "eighths":
                return [tuple((i * step, step * 0.8, ALL) for i in range(round(beats / step)))]
            case "strum":
                return [_strum(beats, sheet.compound)]
            case "offs":
                return [tuple((i + off, 0.3, ALL) for i in range(beats))]
            case "backs" if beats % 2 == 0:
                return [tuple((float(i), 0.4, ALL) for i in range(1, beats, 2))]
            case "charleston" if beats >= 2:
                return [((0, 0.9, ALL), (1 + off, 0.4, ALL))]
            case "oompah":
                return [tuple((float(i), 0.5, ALL) for i in range(1, beats))
                        if beats > 2 else tuple((i + off, 0.4, ALL) for i in range(beats))]  # fmt: skip
            case "tresillo" if not sheet.compound and beats in (2, 4):
                return [tuple((i * beats / 8, 0.6, ALL) for i in (0, 3, 6))]
            case "arpeggio" | "alberti":
                tones = order if style == "arpeggio" else [0, 2, 1, 2]
                return [tuple((i * finer, finer * 1.5, tones[i % len(tones)]) for i in range(round(beats / finer)))]
        cells = [_cell(beats, sheet.tatums, density, rng, syncopation=syncopation) for _ in range(rng.integers(1, 3))]
        return [tuple((place, length, ALL) for place, length, _ in cell) for cell in cells]

    floor = int(rng.choice([48, 52, 55, 60, 64]))
    notes = []
    for number, bar, figure in _figures(sheet, draw):
        for place, length, tone in figure:
            if place and rng.random() < 0.03:
                continue
            beat, loud = bar.start + place, sheet.loudness(place)
            voiced = sorted(floor + (pitch - floor) % 12 for pitch in sheet.chord(beat).pitches)
            wanted = voiced if tone == ALL else [(*voiced, voiced[0] + 12)[min(tone, len(voiced))]]
            notes += [(number, Note(beat, length, "chords", loud, midi)) for midi in wanted]
    return notes


def _pad(sheet: _Sheet, _: Sequence[str]) -> list[tuple[int, Note]]:
    floor, starts = int(sheet.rng.choice([48, 55, 60, 67])), [bar.start for bar in sheet.bars]
    notes = []
    for chord in sheet.chords:
        number = max(0, int(np.searchsorted(starts, chord.beat + 1e-6)) - 1)
        pieces = np.arange(chord.beat, chord.beat + chord.length - 1e-6, 16.0)  # a long chord is struck again
        for beat in pieces.tolist():
            length = min(16.0, chord.beat + chord.length - beat)
            notes += [
                (number, Note(beat, length * 0.98, "pad", 0.65, floor + (pitch - floor) % 12))
                for pitch in chord.pitches
            ]
    return notes


def _riff(sheet: _Sheet, _: Sequence[str]) -> list[tuple[int, Note]]:
    """An ostinato of one bar or two, whatever the harmony does, or along with its roots."""
    rng = sheet.rng
    density, syncopation, follows = rng.uniform(0.2, 0.5), rng.uniform(0, 0.6), rng.random() < 0.6
    firm, floor, home = rng.random() < 0.75, int(rng.choice([48, 60, 67, 72])), sheet.chords[0].pitches[0]
    tones: dict[Figure, list[int]] = {}

    def draw(beats: int) -> list[Figure]:
        cells = [_cell(beats, sheet.tatums, density, rng, syncopation=syncopation) for _ in range(rng.integers(1, 3))]
        return [_on_one(cell) for cell in cells] if firm else cells

    notes = []
    for number, bar, figure in _figures(sheet, draw):
        if figure not in tones:
            tones[figure] = [0, *(int(rng.choice([0, 3, 5, 7, 10, 12])) for _ in figure[1:])]
        root = sheet.chord(bar.start).pitches[0] if follows else home
        for (place, length, _), tone in zip(figure, tones[figure], strict=True):
            midi = floor + (root - floor) % 12 + tone
            notes.append((number, Note(bar.start + place, length, "riff", sheet.loudness(place), midi)))
    return notes


def _melody(sheet: _Sheet, _: Sequence[str]) -> list[tuple[int, Note]]:
    """Motives of a bar or two that come again with the phrase, which ends on a long note on the one."""
    rng = sheet.rng
    density, syncopation = rng.uniform(0.15, 0.4), rng.uniform(-0.3, 0.6)
    phrase, centre, rests = int(rng.choice([4, 4, 2, 8])), int(rng.choice([60, 67, 72, 76])), rng.uniform(0, 0.2)
    pickup = rng.random() < 0.4

    def draw(beats: int) -> list[Figure]:
        one, other = (_cell(beats, sheet.tatums, density, rng, syncopation=syncopation) for _ in range(2))
        return [one, other] if rng.random() < 0.6 else [one, one, one, other]

    notes: list[tuple[int, Note]] = []
    steps: dict[Figure, list[int]] = {}
    for number, bar, figure in _figures(sheet, draw):
        last = bar.number % phrase == phrase - 1 or bar.left == 0
        if rng.random() < rests and not last:
            continue
        if figure not in steps:
            steps[figure] = rng.integers(-5, 6, len(figure)).tolist()
        written = ((0.0, max(1.0, bar.beats * 0.7), 0),) if last and rng.random() < 0.8 else figure
        for (place, length, _), step in zip(written, steps[figure], strict=False):
            beat = bar.start + place
            pitches, near = sheet.chord(beat).pitches, centre + step
            tuned = min((near + (pitch - near + 6) % 12 - 6 for pitch in pitches), key=lambda midi: abs(midi - near))
            midi = tuned if place % 1 < 1e-6 or rng.random() < 0.5 else tuned + int(rng.choice([-2, -1, 1, 2]))
            notes.append((number, Note(beat, length, "melody", sheet.loudness(place), midi)))
        if pickup and last and bar.beats > 1:
            beat, third = bar.start + bar.beats - 1, 1 / 3 if sheet.compound else 0.5
            notes += [(number, Note(beat + i * third, third * 0.9, "melody", 0.6, centre + i)) for i in (0, 1)]
    return notes


_PLAYERS: dict[str, Callable[[_Sheet, Sequence[str]], list[tuple[int, Note]]]] = {
    "bass": _bass, "chords": _chords, "pad": _pad, "riff": _riff, "melody": _melody,
}  # fmt: skip
_VOICES = {"bass": BASSES, "chords": CHORDS, "pad": PADS, "riff": RIFFS, "melody": LINES}
_LEVELS_DB = {"bass": 0.0, "chords": -5.0, "pad": -8.0, "riff": -5.0, "melody": -1.0}
