"""Symbolic performances of traditions: strokes and notes in time, with exact beats.

`perform` samples a `Performance` from a tradition: tempo, players, sections, fills and timing. The same seed gives the
same strokes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.metres import relative_lengths
from levada.synth.instruments import PITCHED
from levada.synth.instruments.signals import Floats, Generator
from levada.synth.traditions import Instrument, Tradition

__all__ = ["Performance", "Stroke", "midi_to_hz", "perform"]


RETURN = 0.97  # autocorrelation of tempo drift from one beat to the next
STEADINESS = 0.3  # standard deviation, over performances, of log drift and log jitter
TIGHT_S = 0.008  # greatest standard deviation of asynchrony between players
MOST_CYCLES = 32  # of a section that is extended to whole patterns of different lengths
SKIPS = 0.03  # greatest probability that a player omits a stroke (claves of Cuban son play 98 to 100 %)

SCALE = (0, 2, 4, 5, 7, 9, 11)
REGISTER = {"bass": 38, "singer": 65, "flute": 76, "reed": 67, "brass": 65, "strings": 67, "charango": 69}
MELODIC = ("singer", "flute", "reed", "brass", "strings")


class Stroke(NamedTuple):
    """One stroke of a performance, or a note if it has a pitch."""

    time_s: float
    part: str
    velocity: float
    stroke: str = "open"
    pitch_hz: float = 0.0
    duration_s: float = 0.0


@dataclass(frozen=True)
class Performance:
    """Symbolic music: strokes, beats, voices and levels.

    Parameters
    ----------
    strokes : tuple of Stroke
    beats : Beats
    voices : mapping of str to str
        Part -> name of its voice.
    levels_db : mapping of str to float
        Part -> its relative level, in dB.
    duration_s : float
    tunings : mapping of str to int
        Part -> order of its pitch among parts of the same voice, for those that have one: 1 is the lowest.
    """

    strokes: tuple[Stroke, ...]
    beats: Beats
    voices: Mapping[str, str]
    levels_db: Mapping[str, float]
    duration_s: float
    tunings: Mapping[str, int] = field(default_factory=dict)


def midi_to_hz(midi: float) -> float:
    """Convert a MIDI note number to a frequency in Hz; 69 is 440 Hz."""
    return 440 * 2 ** ((midi - 69) / 12)


def perform(tradition: Tradition, *, duration_s: float, rng: Generator, along: Beats | None = None) -> Performance:
    """Sample a performance: tempo and drift, players, sections, fills, breaks and timing.

    It begins anywhere in the cycle, unless instruments enter one after another. Several players of an instrument are
    parts of their own, "chico-1" and "chico-2", with the same strokes and independent timing.

    Parameters
    ----------
    tradition : Tradition
    duration_s : float
        Length, in seconds; above 0.
    rng : numpy.random.Generator
    along : Beats, optional
        Beats to follow, in the tradition's metre; sampled by default.

    Returns
    -------
    Performance
        Its strokes begin between 0 s and `duration_s`.

    Raises
    ------
    InputError
        If the duration is not above 0, or `along` is empty or in another metre.
    """
    if not 0 < duration_s < np.inf:
        raise InputError(f"a performance cannot last {duration_s:g} s")
    if along is not None and not (len(along) and 1 <= along.positions[0] <= tradition.beats):
        raise InputError(f"there are no beats of a metre of {tradition.beats} to play along with")
    entering = along is None and rng.random() < tradition.form.entries
    ending = along is None and rng.random() < tradition.form.endings
    if along is None:
        first = 0 if entering else int(rng.integers(tradition.beats))
        lead_s = float(rng.uniform(0.05, 1.0)) if entering else None
        times = _beat_times(tradition, duration_s, rng, first=first, lead_s=lead_s)
    else:
        first, times = int(along.positions[0]) - 1, along.times_s
    positions = (np.arange(len(times)) + first) % tradition.beats + 1
    finals = np.flatnonzero((positions == 1) & (times < duration_s - 1.0)) if ending else np.zeros(0, np.int64)
    final = int(finals[-1]) if len(finals) else None
    ensemble = _ensemble(tradition, rng)
    written = _written([part for part, _ in ensemble], tradition, len(times) + first, entering, rng)
    harmony = _harmony(tradition, len(times) + first, rng)
    tight_s = rng.uniform(0, TIGHT_S)
    strokes, voices, levels_db, tunings = list[Stroke](), dict[str, str](), dict[str, float](), dict[str, int]()
    for part, players in ensemble:
        letters = written[part.name]
        if final is not None:
            letters = letters[: tradition.tatums_before(final + first)] + _last(part)
        level_db = part.level_db + rng.normal(0, 3)
        for player in [part.name] if players == 1 else [f"{part.name}-{number + 1}" for number in range(players)]:
            voices[player], levels_db[player] = part.voice, level_db + rng.normal(0, 1.5)
            late_s = float(rng.normal(0, tight_s))
            if part.tuning is not None:
                tunings[player] = part.tuning
            strokes += _played(player, part, letters, tradition, times, first, late_s, harmony, rng)
    inside = (times < duration_s) & (np.arange(len(times)) <= (len(times) if final is None else final))
    return Performance(
        tuple(sorted(stroke for stroke in strokes if 0 <= stroke.time_s < duration_s)),
        Beats(times[inside], positions[inside]),
        voices,
        levels_db,
        duration_s,
        tunings,
    )


def _beat_times(tradition: Tradition, duration_s: float, rng: Generator, *, first: int, lead_s: float | None) -> Floats:
    """Sample beat times: a tempo, its drift and acceleration, and jitter of single beats.

    The first beat, with the given place in the cycle, is after `lead_s` of silence; without one, the performance starts
    inside a beat.
    """
    mean, deviation = tradition.tempo_bpm
    tempo = float(np.clip(rng.normal(mean, deviation), mean - 2.5 * deviation, mean + 2.5 * deviation))
    loose = float(np.exp(rng.normal(0, STEADINESS)))
    beats = duration_s * tempo / 60
    count = int(beats * 1.5) + 8
    drift, steps = np.zeros(count), rng.normal(0, tradition.drift * loose, count)
    for beat in range(1, count):
        drift[beat] = RETURN * drift[beat - 1] + steps[beat]
    ramp = rng.normal(*tradition.acceleration) * (np.arange(count) / beats - 0.5).clip(-0.5, 0.5)
    intervals = 60 / tempo * np.exp(-drift - ramp)
    if tradition.unequal:
        places = np.arange(count) + first - (lead_s is None)  # without a lead the piece starts in the beat before
        intervals *= relative_lengths(tradition.metre)[places % tradition.beats]
    times = np.concatenate([[0.0], np.cumsum(intervals)])
    times += rng.normal(0, tradition.jitter_s * loose, count + 1).clip(-intervals.min() / 4, intervals.min() / 4)
    times += (lead_s if lead_s is not None else -rng.uniform(0, intervals[0])) - times[0]
    if tradition.unequal:
        times[1] = max(times[1], 0.0)  # or the first beat would have another place
    times = times[times >= 0]
    return np.asarray(times[: int(np.searchsorted(times, duration_s)) + 2])


def _ensemble(tradition: Tradition, rng: Generator) -> list[tuple[Instrument, int]]:
    """Sample the instruments, and the number of players of each."""
    parts = tradition.instruments
    n = [part.players[0] if rng.random() < part.presence else 0 for part in parts]
    if not any(n):
        surest = max(range(len(parts)), key=lambda index: parts[index].presence)
        n[surest] = parts[surest].players[0]
    n = [int(rng.integers(few, part.players[1] + 1)) if few else 0 for few, part in zip(n, parts, strict=True)]
    least, most = tradition.ensemble or (1, sum(n))
    while sum(n) > most:
        fewer = [i for i, part in enumerate(parts) if n[i] > part.players[0]]
        fewer = fewer or [i for i, part in enumerate(parts) if part.presence < 1 and 0 < n[i] < sum(n)]
        if not fewer:
            break
        index = fewer[int(rng.integers(len(fewer)))]
        n[index] = n[index] - 1 if n[index] > parts[index].players[0] else 0
    while sum(n) < least:
        more = [i for i, part in enumerate(parts) if 0 < n[i] < part.players[1]]
        room = most - sum(n)
        more = more or [i for i, part in enumerate(parts) if not n[i] and part.presence and part.players[0] <= room]
        if not more:
            break
        index = more[int(rng.integers(len(more)))]
        n[index] = n[index] + 1 if n[index] else parts[index].players[0]
    return [(part, players) for part, players in zip(parts, n, strict=True) if players]


def _written(
    parts: Sequence[Instrument], tradition: Tradition, beats: int, entering: bool, rng: Generator
) -> dict[str, str]:
    """Write the grid of every part, one letter a tatum, section by section from the start of a cycle.

    Sections hold whole patterns of all parts.
    """
    cycles, cycle, form = -(-beats // tradition.beats), tradition.cycle, tradition.form
    lengths = [len(pattern.grid) // cycle for part in parts for pattern in part.patterns]
    longest = math.lcm(*lengths) if math.lcm(*lengths) <= MOST_CYCLES else max(lengths)
    written = {part.name: list[str]() for part in parts}
    done, begun = 0, 0
    while done < cycles + begun:
        length = -(-int(rng.integers(form.section[0], form.section[1] + 1)) // longest) * longest
        begun = int(rng.integers(length)) if not done and not entering else begun
        goes_on = parts[int(rng.integers(len(parts)))].name if length > 1 and rng.random() < form.breaks else None
        for part in parts:
            letters = _section(part, length * cycle, rng)
            if goes_on not in (None, part.name):
                letters = letters[:-cycle] + "." * cycle
            written[part.name].append(letters)
        done += length
    joins = _joins(parts, cycles, rng) if entering else {}
    silence = {name: cycle * after for name, after in joins.items()}
    return {
        name: "." * silence.get(name, 0) + "".join(sections)[begun * cycle + silence.get(name, 0) :]
        for name, sections in written.items()
    }


def _section(part: Instrument, length: int, rng: Generator) -> str:
    """Repeat a sampled pattern, with a call at the start or a fill at the end."""
    shares = np.array([pattern.probability for pattern in part.patterns])
    grid = part.patterns[int(rng.choice(len(shares), p=shares / shares.sum()))].grid
    letters = (grid * (length // len(grid) + 1))[:length]
    if part.calls and rng.random() < part.call_chance:
        call = part.calls[int(rng.integers(len(part.calls)))][:length]
        letters = call + letters[len(call) :]
    if part.fills and rng.random() < part.fill_chance:
        fill = part.fills[int(rng.integers(len(part.fills)))][-length:]
        letters = letters[: length - len(fill)] + fill
    return letters


def _joins(parts: Sequence[Instrument], cycles: int, rng: Generator) -> dict[str, int]:
    """Return after how many cycles each instrument enters, sampled unless the tradition specifies it.

    If it specifies none, the densest of the instruments that are always present begins. All have entered by half time.
    """
    joins = {part.name: part.enters for part in parts if part.enters is not None}
    others = [parts[int(index)] for index in rng.permutation(len(parts)) if parts[int(index)].enters is None]
    if not joins:
        others.sort(key=lambda part: (part.presence, _density(part)), reverse=True)
        others[1:] = [others[1:][int(index)] for index in rng.permutation(len(others) - 1)]
    after = 0 if not joins else int(rng.integers(1, 3))
    for part in others:
        joins[part.name] = after
        after += int(rng.integers(1, 3))
    begins = min(joins.values())
    return {name: min(after - begins, cycles // 2) for name, after in joins.items()}


def _density(part: Instrument) -> float:
    """Strokes per tatum of the most probable pattern."""
    grid = max(part.patterns, key=lambda pattern: pattern.probability).grid
    return 1 - grid.count(".") / len(grid)


def _last(part: Instrument) -> str:
    """Return the letter of the final stroke: that of the first tatum of a pattern, if any."""
    letters = [pattern.grid[0] for pattern in part.patterns if pattern.grid[0] != "."]
    return letters[0].upper() if letters else "X"


class _Harmony(NamedTuple):
    """A key, and chords by scale degree, each of some tatums."""

    key: int
    degrees: tuple[int, ...]
    tatums: int


def _harmony(tradition: Tradition, beats: int, rng: Generator) -> _Harmony:
    """Sample one or two chords a cycle, repeating every two to four chords, in a major or minor key."""
    home = int(rng.choice((0, 5)))
    turns = (home, *(int(degree) for degree in rng.choice(7, size=int(rng.integers(1, 4)))))
    even = tradition.beats % 2 == 0 and tradition.beats > 2 and not tradition.unequal
    halves = 2 if even and rng.random() < 0.35 else 1
    count = 2 * (beats // tradition.beats + 2)
    return _Harmony(int(rng.integers(12)), (turns * count)[:count], tradition.cycle // halves)


def _played(
    player: str, part: Instrument, letters: str, tradition: Tradition, times: Floats, first: int, late_s: float,
    harmony: _Harmony, rng: Generator,
) -> list[Stroke]:  # fmt: skip
    """Convert a grid to the strokes of one player, with omissions, microtiming and dynamics."""
    each = np.array(tradition.beat_tatums)
    earlier = each[first - 1] / each[first] if tradition.unequal else 1.0  # the beat before the first, over the first
    before = times[0] - (times[1] - times[0]) * earlier if len(times) > 1 else times[0]
    grid = np.concatenate([[before], times])
    written = np.array([at for at, letter in enumerate(letters) if letter != "."], np.int64)
    beat_of = np.repeat(np.arange(len(each)), each)
    beat = written // tradition.cycle * tradition.beats + beat_of[written % tradition.cycle] - first + 1
    written, beat = (array[(beat >= 0) & (beat < len(grid) - 1)] for array in (written, beat))
    kept = (rng.random(len(written)) >= rng.uniform(0, SKIPS)) | (written == len(letters) - 1)  # the last always
    written, beat = written[kept], beat[kept]
    size = each[(beat + first - 1) % tradition.beats]
    place = written % tradition.cycle - (np.cumsum(each) - each)[(beat + first - 1) % tradition.beats]
    delays = np.array(part.microtiming or tradition.microtiming or (0.0,) * tradition.cycle)
    delay = delays[written % tradition.cycle if tradition.unequal else place]
    spread = tradition.spread if part.spread is None else part.spread
    offset = place / size + delay + rng.normal(0, spread, len(written))
    ibi_s = grid[beat + 1] - grid[beat]
    at_s = grid[beat] + ibi_s * offset + late_s
    force = [1.0 if letters[at].isupper() else 0.35 if letters[at] == "o" else 0.7 for at in written]
    velocity = (np.array(force) * rng.uniform(0.7, 1.0) + rng.normal(0, 0.06, len(written))).clip(0.08, 1)
    names = [part.strokes.get(letters[at].lower(), "") for at in written]
    if part.voice not in PITCHED:
        return [
            Stroke(time_s, player, strength, name or "open")
            for time_s, strength, name in zip(at_s.tolist(), velocity.tolist(), names, strict=True)
        ]
    gaps_s = np.minimum(np.diff(at_s, append=at_s[-1:] + 1.0), 2 * ibi_s).clip(0.05)
    lengths_s = gaps_s * rng.uniform(0.5, 1.0, len(written))
    notes, walk = list[Stroke](), 0
    for index, at in enumerate(written.tolist()):
        degree = harmony.degrees[at // harmony.tatums % len(harmony.degrees)]
        walk = _walk(walk, degree, letters[at].isupper(), rng)
        for pitch in _pitches(names[index] or _usual(part.voice, rng), part.voice, harmony.key, degree, walk):
            note = Stroke(at_s[index], player, velocity[index], "open", midi_to_hz(pitch), float(lengths_s[index]))
            notes.append(note)
    return notes


def _usual(voice: str, rng: Generator) -> str:
    if voice == "bass":
        return "root" if rng.random() < 0.75 else "fifth"
    return "melody" if voice in MELODIC else "chord"


def _walk(walk: int, degree: int, accent: bool, rng: Generator) -> int:
    """Return the next scale step of a melody; accents are chord tones."""
    walk = int(np.clip(walk + rng.choice((-2, -1, -1, 0, 1, 1, 2)), -6, 7))
    while accent and (walk - degree) % 7 not in (0, 2, 4):
        walk += 1
    return walk


def _pitches(note: str, voice: str, key: int, degree: int, walk: int) -> list[int]:
    """Return the MIDI numbers of a note or chord, in the register of the voice."""
    centre = REGISTER.get(voice, 58)
    root, third, fifth = (key + SCALE[(degree + step) % 7] for step in (0, 2, 4))

    def near(pitch: int) -> int:
        return centre + (pitch - centre + 6) % 12 - 6

    if note == "chord":
        return [near(root), near(third), near(fifth)]
    if note == "melody":
        return [near(key) + 12 * (walk // 7) + SCALE[walk % 7]]
    return [near(root) + {"root": 0, "third": (third - root) % 12, "fifth": (fifth - root) % 12, "octave": 12}[note]]
