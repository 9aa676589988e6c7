"""POP909: 909 pop songs arranged for the piano, with their beats and chords.

Ziyu Wang, Ke Chen, Junyan Jiang, Yiyi Zhang, Maoran Xu, Shuqi Dai, Xianbin Gu and Gus Xia, "POP909: A Pop-song Dataset
for Music Arrangement Generation", ISMIR 2020; MIT licence, the songs themselves are the works of others. It is
not part of levada.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.io.files import read_midi
from levada.synth.songs.notes import Chord, Note, Song

__all__ = ["list_pop909", "read_pop909"]

Floats = npt.NDArray[np.float64]

NO_SONG = "there is no such file: is the folder a song of POP909?"
PARTS = {"MELODY": "melody", "BRIDGE": "bridge", "PIANO": "piano"}
CHORDS = {
    "maj": (0, 4, 7), "min": (0, 3, 7), "sus2": (0, 2, 7), "sus4": (0, 5, 7), "aug": (0, 4, 8), "dim": (0, 3, 6),
    "maj7": (0, 4, 7, 11), "min7": (0, 3, 7, 10), "7": (0, 4, 7, 10), "minmaj7": (0, 3, 7, 11), "maj6": (0, 4, 7, 9),
    "min6": (0, 3, 7, 9), "hdim7": (0, 3, 6, 10), "dim7": (0, 3, 6, 9), "sus4(b7)": (0, 5, 7, 10),
}  # fmt: skip
LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
GAP = 1.7  # an interval so many times the median is a missing beat
# Fewer than 80 in 100 onsets lie within 1/32 of a beat of a quarter or a third of one; or more of them lie on another
# quarter of the beat than on the beat itself; or chords do not change most often on downbeats; or beats are
# missing.
DISAGREE = frozenset((
    11, 14, 40, 49, 56, 65, 86, 94, 96, 102, 114, 119, 134, 136, 164, 175, 206, 225, 237, 238, 247, 257,
    268, 269, 276, 282, 289, 302, 308, 326, 331, 334, 351, 355, 360, 371, 389, 393, 396, 406, 424, 425, 432, 434,
    454, 468, 483, 485, 491, 529, 534, 537, 540, 560, 574, 575, 593, 605, 609, 615, 620, 624, 626, 641, 647, 657,
    672, 675, 683, 701, 707, 729, 732, 740, 754, 756, 760, 769, 771, 781, 798, 806, 807, 867, 884, 885, 888, 909,
))  # fmt: skip
EARLY = 0.125  # beats: a note so much before the first beat belongs to it


def list_pop909(folder: str | Path) -> list[Path]:
    """List the folders of the usable songs of POP909.

    Parameters
    ----------
    folder : path-like
        The folder that holds the folders 001 to 909, or one above it.

    Returns
    -------
    list of Path
        Without the 88 whose notes or chords disagree with their beats.

    Raises
    ------
    InputError
        If it does not hold POP909.
    """
    for root in (Path(folder), Path(folder) / "POP909"):
        found = sorted(path.parent for path in root.glob("[0-9][0-9][0-9]/beat_midi.txt"))
        if found:
            return [path for path in found if int(path.name) not in DISAGREE]
    raise InputError("holds no POP909: it has no folders 001, 002, … with beat_midi.txt in them", path=folder)


def read_pop909(path: str | Path) -> Song:
    """Read a song: its longest segment without an irregular bar.

    Times become beats by interpolation on the song's beats, continued by at most a bar at either end; nothing is
    snapped to a grid. A bar of six is read as two of three, the reading that 3/4 and a slow 6/8 share.

    Parameters
    ----------
    path : path-like
        A folder as `list_pop909` gives it.

    Returns
    -------
    Song

    Raises
    ------
    InputError
        If a file is missing or damaged, or the beats have gaps; names file and line.
    MissingExtra
        If mido is not installed.
    """
    folder = Path(path)
    midi = folder / f"{folder.name}.mid"
    times, metre, tempo = _grid(folder / "beat_midi.txt")
    parts = {PARTS[name]: notes for name, found in _midi(midi).items() if (notes := _notes(found, times))}
    onsets = [note.beat for notes in parts.values() for note in notes]
    if not onsets:
        raise InputError("has no notes in its tracks MELODY, BRIDGE and PIANO", path=midi)
    silent = int(min(onsets) // metre) * metre  # whole bars before the first note, and after the last
    beats = (int((max(onsets) + EARLY) // metre) + 1) * metre - silent
    parts = {name: tuple(note._replace(beat=note.beat - silent) for note in notes) for name, notes in parts.items()}
    chords = _chords(folder / "chord_midi.txt", times[silent : silent + beats + 1])
    return Song(folder.name, metre, 1, tempo, parts, chords, beats)


def _notes(found: list[tuple[float, float, int, int]], grid: Floats) -> tuple[Note, ...]:
    """Convert notes that begin inside the grid to beats."""
    notes = []
    for start, end, number, velocity in found:
        begin, finish = _to_beats(np.array([start, end]), grid).tolist()
        if -EARLY <= begin < len(grid) - 1 and finish > max(0.0, begin):
            notes.append(Note(max(0.0, begin), finish - max(0.0, begin), number, velocity / 127))
    return tuple(sorted(notes))


def _grid(path: Path) -> tuple[Floats, int, float]:
    """Read the beats of the longest regular segment, from downbeat to downbeat; metre and tempo."""
    rows: list[tuple[float, float, float]] = []
    for number, line in enumerate(_lines(path), 1):
        try:
            time, half, bar = (float(word) for word in line.split())
        except ValueError:
            raise InputError("is not a time and two flags", path=path, line=number) from None
        if not (0 <= time < 1e5 and half in (0, 1) and bar in (0, 1)):
            raise InputError("is not a time in seconds and two flags, 0 or 1", path=path, line=number)
        if rows and time <= rows[-1][0]:
            raise InputError("is not after the beat before it", path=path, line=number)
        rows.append((time, half, bar))
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    intervals = np.diff(table[:, 0])
    downbeats = np.flatnonzero(table[:, 2])
    if len(downbeats) < 3:
        raise InputError("has fewer than three downbeats", path=path)
    median = float(np.median(intervals))
    if gaps := np.flatnonzero(intervals > GAP * median).tolist():
        raise InputError(f"beats are missing: {intervals[gaps[0]]:.2f} s without one", path=path, line=gaps[0] + 2)
    metre = Counter(np.diff(downbeats).tolist()).most_common(1)[0][0]
    if metre == 6:
        metre, downbeats = 3, np.flatnonzero(table[:, 1])
    if metre not in (3, 4):
        raise InputError(f"has bars of {metre} beats, not of 3, 4 or 6", path=path)
    return _stretch(table[:, 0], downbeats, metre), metre, 60 / median


def _stretch(times: Floats, downbeats: npt.NDArray[np.intp], metre: int) -> Floats:
    """Return the longest run of regular bars, with one more at the start and end of the song."""
    breaks = np.flatnonzero(np.diff(downbeats) != metre)
    runs = zip([0, *(breaks + 1).tolist()], [*breaks.tolist(), len(downbeats) - 1], strict=True)
    start, stop = max(runs, key=lambda run: run[1] - run[0])
    chosen = times[downbeats[start] : downbeats[stop] + 1]
    lead = min(metre, int(downbeats[0])) if start == 0 else 0
    before = times[downbeats[start] - lead : downbeats[start]]
    if start == 0:
        step = times[1] - times[0]
        before = np.append(times[0] - step * np.arange(metre - lead, 0, -1), before)
    after = times[:0]
    if stop == len(downbeats) - 1:
        after = times[downbeats[stop] + 1 :][:metre]
        after = np.append(after, times[-1] + (times[-1] - times[-2]) * np.arange(1, metre - len(after) + 1))
    return np.concatenate([before, chosen, after])


def _to_beats(times: Floats, grid: Floats) -> Floats:
    """Convert seconds to beats, extrapolated at the tempo of the first and last beat."""
    beats = np.interp(times, grid, np.arange(len(grid)))
    beats += np.minimum(0, times - grid[0]) / (grid[1] - grid[0])
    beats += np.maximum(0, times - grid[-1]) / (grid[-1] - grid[-2])
    return np.asarray(beats, dtype=np.float64)


def _chords(path: Path, grid: Floats) -> tuple[Chord, ...]:
    chords = []
    for number, line in enumerate(_lines(path), 1):
        try:
            start, end, name = line.split()
            edges = _to_beats(np.array([float(start), float(end)]), grid)
        except ValueError:
            raise InputError("is not a start, an end and a chord", path=path, line=number) from None
        if name == "N":
            continue
        match = re.fullmatch(r"([A-G])([#b]*):([^/]+)(/.*)?", name)
        if match is None or match[3] not in CHORDS:
            raise InputError(f"has a chord that is not known: {name!r}", path=path, line=number)
        begin, finish = np.clip(edges, 0, len(grid) - 1).round(3).tolist()
        if finish > begin:
            root = LETTERS[match[1]] + match[2].count("#") - match[2].count("b")
            chords.append(Chord(begin, finish - begin, tuple((root + step) % 12 for step in CHORDS[match[3]])))
    return tuple(chords)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise InputError(NO_SONG, path=path) from None
    except (OSError, UnicodeDecodeError):
        raise InputError("cannot be read as text", path=path) from None


def _midi(path: Path) -> dict[str, list[tuple[float, float, int, int]]]:
    """Read start and end in seconds, number and velocity of the notes of every track."""
    midi = read_midi(path, purpose="read POP909", missing=NO_SONG)
    tempi = [
        (0, 500000),
        *((tick, m.tempo) for track in midi.tracks for tick, m in _with_ticks(track) if m.type == "set_tempo"),
    ]
    tempi.sort(key=lambda change: change[0])
    at = np.array([tick for tick, _ in tempi], dtype=np.float64)
    per_tick = np.array([tempo for _, tempo in tempi]) / 1e6 / midi.ticks_per_beat
    seconds = np.concatenate([[0.0], np.cumsum(np.diff(at) * per_tick[:-1])])

    def when(tick: int) -> float:
        last = int(np.searchsorted(at, tick, side="right")) - 1
        return float(seconds[last] + (tick - at[last]) * per_tick[last])

    return {
        track.name: [(when(start), when(end), number, velocity) for start, end, number, velocity in _track_notes(track)]
        for track in midi.tracks
        if track.name in PARTS
    }


def _with_ticks(track: Any) -> Iterator[tuple[int, Any]]:
    tick = 0
    for message in track:
        tick += message.time
        yield tick, message


def _track_notes(track: Any) -> Iterator[tuple[int, int, int, int]]:
    """Yield start and end in ticks, number and velocity of every note of a track."""
    sounding: dict[int, list[tuple[int, int]]] = {}
    for tick, message in _with_ticks(track):
        if message.type == "note_on" and message.velocity > 0:
            sounding.setdefault(message.note, []).append((tick, message.velocity))
        elif message.type in ("note_on", "note_off") and sounding.get(message.note):
            start, velocity = sounding[message.note].pop(0)
            yield start, tick, message.note, velocity
