"""Players: bass, chords, pad, riff and melody, each from the same lead sheet.

A player samples figures of one or two bars for each letter of a section.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from levada.synth.arrangement.form import Bar, Chord
from levada.synth.arrangement.timing import Note

__all__ = ["Figure", "LeadSheet", "bass", "chords", "melody", "pad", "riff"]

Generator = np.random.Generator
Figure = tuple[tuple[float, float, int], ...]  # place in the bar and length, in beats; which note of the chord

ALL = -1  # the whole chord
NEXT = -2  # the root of the next chord


@dataclass(frozen=True)
class LeadSheet:
    """Form and harmony that all players read.

    Parameters
    ----------
    bars : tuple of Bar
    chords : tuple of Chord
    compound : bool
        Whether a beat is divided in three.
    accent : float
        Additional velocity on downbeats.
    rng : numpy.random.Generator
    kicks : mapping of int to tuple of float
        Number of a bar -> positions of bass drum strokes, in beats.
    even : bool
        Whether bass and chords play the same rhythm in both halves of a bar, so that harmony alone marks it.
    """

    bars: tuple[Bar, ...]
    chords: tuple[Chord, ...]
    compound: bool
    accent: float
    rng: Generator
    kicks: Mapping[int, tuple[float, ...]] = field(default_factory=dict)
    even: bool = False
    starts: npt.NDArray[np.float64] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "starts", np.array([chord.beat for chord in self.chords]))

    @property
    def tatums(self) -> int:
        """Subdivisions of a beat."""
        return 3 if self.compound else 4

    def chord(self, beat: float) -> Chord:
        """Return the chord at a beat."""
        return self.chords[max(0, int(np.searchsorted(self.starts, beat + 1e-6)) - 1)]

    def loudness(self, place: float) -> float:
        """Sample the velocity of a note at a position in the bar; downbeats are accented."""
        accent = self.accent if place < 1e-6 else 0.0
        return float(np.clip(0.66 + accent - (0.06 if place % 1 > 1e-6 else 0) + self.rng.normal(0, 0.05), 0.1, 1))


def _grid_figure(grid: str, tatums: int, *, tone: int = 0) -> Figure:
    """Convert a grid of a tradition to a figure."""
    places = [place for place, letter in enumerate(grid) if letter != "."]
    ends = [*places[1:], len(grid)][: len(places)]  # a bar may be empty
    return tuple((place / tatums, (end - place) / tatums, tone) for place, end in zip(places, ends, strict=True))


def _cell(beats: int, tatums: int, density: float, rng: Generator, *, syncopation: float = 0.3) -> Figure:
    """Sample a rhythm of one bar; strong positions are more probable the lower the syncopation."""
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


def _figures(sheet: LeadSheet, sample: Callable[[int], Sequence[Figure]]) -> list[tuple[int, Bar, Figure]]:
    """Return the figure of every bar: sampled once for each letter and length of bar."""
    drawn: dict[tuple[str, int], Sequence[Figure]] = {}
    found = []
    for number, bar in enumerate(sheet.bars):
        key = (bar.letter, bar.beats)
        if key not in drawn:
            same = [figures for (_, beats), figures in drawn.items() if beats == bar.beats]
            drawn[key] = same[0] if same and sheet.rng.random() < 0.5 else sample(bar.beats)
        found.append((number, bar, drawn[key][bar.number % len(drawn[key])]))
    return found


def _from_grids(grids: Sequence[str], tatums: int, beats: int, rng: Generator, *, tone: int) -> list[Figure]:
    """Return the bars of one of the grids of whole bars; none if no grid fits."""
    size = beats * tatums
    fitting = [grid for grid in grids if len(grid) % size == 0]
    if not fitting:
        return []
    grid = fitting[int(rng.integers(len(fitting)))]
    return [_grid_figure(grid[at : at + size], tatums, tone=tone) for at in range(0, len(grid), size)]


def bass(sheet: LeadSheet, grids: Sequence[str]) -> list[tuple[int, Note]]:
    """Write a bass line: the number of the bar, and the note.

    Parameters
    ----------
    sheet : Sheet
    grids : sequence of str
        Rhythms of the style, one letter a tatum, of whole bars; may be empty.

    Returns
    -------
    list of (int, Note)
    """
    rng, off = sheet.rng, 2 / 3 if sheet.compound else 0.5
    styles = ("root", "fifth", "eighths", "beats", "octave", "walk", "cell", "cell", "dotted", "push", "tumbao")
    shares = np.array([2, 2, 1.5, 1, 0.7, 1, 2, 2, 0.7, 1, 0.5])
    style = str(rng.choice(styles, p=shares / shares.sum()))
    style = "grid" if grids and rng.random() < 0.5 else style
    style = str(rng.choice(["eighths", "beats", "octave", "halves"])) if sheet.even else style
    density, syncopation, firm = rng.uniform(0.12, 0.4), rng.uniform(-0.2, 0.6), rng.random() < 0.85
    locked = bool(sheet.kicks) and rng.random() < 0.3 and not sheet.even
    lift = 12 * (rng.random() < 0.2)

    def sample(beats: int) -> list[Figure]:
        half = 2 if beats >= 4 else beats - 1
        match style:
            case "grid" if found := _from_grids(grids, sheet.tatums, beats, rng, tone=0):
                return found
            case "root":
                return [((0, beats, 0),)]
            case "halves" if beats % 2 == 0:
                return [((0, beats * 0.45, 0), (beats // 2, beats * 0.45, 0))]
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
        return [_on_downbeat(cell) for cell in cells] if firm else cells

    notes = []
    for number, bar, written in _figures(sheet, sample):
        figure = _on_kicks(sheet.kicks[number], bar.beats) if locked and number in sheet.kicks else written
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


def _on_kicks(places: Sequence[float], beats: int) -> Figure:
    """Return roots at the strokes of the bass drum."""
    return tuple((place, 0.9 * (end - place), 0) for place, end in zip(places, [*places[1:], beats], strict=True))


def _on_downbeat(cell: Figure) -> Figure:
    """Return the figure with a root on the downbeat."""
    return ((0.0, cell[0][0] or cell[0][1], 0), *(note for note in cell if note[0] > 0))


def _strum(beats: int, compound: bool) -> Figure:
    step = 1 / 3 if compound else 0.5
    skipped = {1, 4} if beats == 4 and not compound else {1} if not compound else set()
    return tuple((i * step, step * 0.8, ALL) for i in range(round(beats / step)) if i not in skipped)


def chords(sheet: LeadSheet, grids: Sequence[str]) -> list[tuple[int, Note]]:
    """Write chords: held, repeated, strummed or arpeggiated."""
    rng, step = sheet.rng, 1 / 3 if sheet.compound else 0.5
    off = 2 / 3 if sheet.compound else 0.5
    styles = ("block", "half", "beats", "eighths", "strum", "offs", "backs", "charleston", "arpeggio", "oompah", "cell",
              "tresillo", "alberti")  # fmt: skip
    shares = np.array([2, 1, 1, 1, 1.5, 1, 0.7, 0.6, 2, 1, 2, 0.6, 0.6])
    style = str(rng.choice(styles, p=shares / shares.sum()))
    style = "grid" if grids and rng.random() < 0.5 else style
    style = str(rng.choice(["half", "beats", "eighths", "offs", "backs", "arpeggio"])) if sheet.even else style
    density, syncopation = rng.uniform(0.12, 0.45), rng.uniform(-0.2, 0.8)
    finer = step / 2 if not sheet.compound and rng.random() < 0.35 else step
    order = [int(tone) for tone in rng.choice([(0, 1, 2, 1), (0, 1, 2, 3), (0, 2, 1, 2), (3, 2, 1, 2), (0, 2, 3, 2)])]

    def sample(beats: int) -> list[Figure]:
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

    lowest = int(rng.choice([48, 52, 55, 60, 64]))
    notes = []
    for number, bar, figure in _figures(sheet, sample):
        for place, length, tone in figure:
            if place and rng.random() < 0.03:
                continue
            beat, loud = bar.start + place, sheet.loudness(place)
            voiced = sorted(lowest + (pitch - lowest) % 12 for pitch in sheet.chord(beat).pitches)
            wanted = voiced if tone == ALL else [(*voiced, voiced[0] + 12)[min(tone, len(voiced))]]
            notes += [(number, Note(beat, length, "chords", loud, midi)) for midi in wanted]
    return notes


def pad(sheet: LeadSheet, _grids: Sequence[str]) -> list[tuple[int, Note]]:
    """Write sustained chords."""
    lowest, starts = int(sheet.rng.choice([48, 55, 60, 67])), [bar.start for bar in sheet.bars]
    notes = []
    for chord in sheet.chords:
        number = max(0, int(np.searchsorted(starts, chord.beat + 1e-6)) - 1)
        pieces = np.arange(chord.beat, chord.beat + chord.length - 1e-6, 16.0)  # a long chord is struck again
        for beat in pieces.tolist():
            length = min(16.0, chord.beat + chord.length - beat)
            notes += [
                (number, Note(beat, length * 0.98, "pad", 0.65, lowest + (pitch - lowest) % 12))
                for pitch in chord.pitches
            ]
    return notes


def riff(sheet: LeadSheet, _grids: Sequence[str]) -> list[tuple[int, Note]]:
    """Write an ostinato of one or two bars, which may follow the roots of the harmony."""
    rng = sheet.rng
    density, syncopation, follows = rng.uniform(0.2, 0.5), rng.uniform(0, 0.6), rng.random() < 0.6
    firm, lowest, home = rng.random() < 0.75, int(rng.choice([48, 60, 67, 72])), sheet.chords[0].pitches[0]
    tones: dict[Figure, list[int]] = {}

    def sample(beats: int) -> list[Figure]:
        cells = [_cell(beats, sheet.tatums, density, rng, syncopation=syncopation) for _ in range(rng.integers(1, 3))]
        return [_on_downbeat(cell) for cell in cells] if firm else cells

    notes = []
    for number, bar, figure in _figures(sheet, sample):
        if figure not in tones:
            tones[figure] = [0, *(int(rng.choice([0, 3, 5, 7, 10, 12])) for _ in figure[1:])]
        root = sheet.chord(bar.start).pitches[0] if follows else home
        for (place, length, _), tone in zip(figure, tones[figure], strict=True):
            midi = lowest + (root - lowest) % 12 + tone
            notes.append((number, Note(bar.start + place, length, "riff", sheet.loudness(place), midi)))
    return notes


def melody(sheet: LeadSheet, _grids: Sequence[str]) -> list[tuple[int, Note]]:
    """Write a melody of repeated motives; phrases end on a long note on the downbeat."""
    rng = sheet.rng
    density, syncopation = rng.uniform(0.15, 0.4), rng.uniform(-0.3, 0.6)
    phrase, centre, rests = int(rng.choice([4, 4, 2, 8])), int(rng.choice([60, 67, 72, 76])), rng.uniform(0, 0.2)
    pickup = rng.random() < 0.4

    def sample(beats: int) -> list[Figure]:
        one, other = (_cell(beats, sheet.tatums, density, rng, syncopation=syncopation) for _ in range(2))
        return [one, other] if rng.random() < 0.6 else [one, one, one, other]

    notes: list[tuple[int, Note]] = []
    steps: dict[Figure, list[int]] = {}
    for number, bar, figure in _figures(sheet, sample):
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
