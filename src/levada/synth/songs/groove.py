"""Human drummers: performances of the Groove MIDI Dataset as strokes on an exact grid.

Jon Gillick, Adam Roberts, Jesse Engel, Douglas Eck and David Bamman, "Learning to Groove with Inverse Sequence
Transformations", ICML 2019; 13.6 hours, CC BY 4.0. The dataset is not part of levada.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.files import read_midi
from levada.synth.performance import Performance, Stroke

__all__ = ["Groove", "list_grooves", "read_groove"]

VOICES = {
    36: "kick", 38: "snare", 40: "snare", 37: "rim", 48: "tom", 50: "tom", 45: "tom", 47: "tom", 43: "tom", 58: "tom",
    46: "open-hat", 26: "open-hat", 42: "hat", 22: "hat", 44: "hat", 49: "crash", 55: "crash", 57: "crash", 52: "crash",
    51: "ride", 59: "ride", 53: "ride",
}  # fmt: skip
PULSES = {"4-4": (4, 1.0), "3-4": (3, 1.0), "5-4": (5, 1.0), "6-8": (2, 1.5)}  # beats a bar, quarters a beat


@dataclass(frozen=True)
class Groove:
    """One drum performance.

    Parameters
    ----------
    path : Path
    metre : str
        As the dataset writes it, such as "4-4".
    """

    path: Path
    metre: str


def list_grooves(folder: str | Path, *, split: str = "train", least_s: float = 12.0) -> list[Groove]:
    """List the performances of a split that are beats, not fills, and long enough.

    Raises
    ------
    InputError
        If the folder does not hold the dataset, or no such performance.
    """
    table = Path(folder) / "info.csv"
    try:
        rows = list(csv.DictReader(table.read_text(encoding="utf-8").splitlines()))
        found = _chosen(rows, Path(folder), split, least_s)
    except OSError:
        raise InputError("holds no Groove MIDI Dataset: it has no info.csv", path=folder) from None
    except (KeyError, TypeError, ValueError):
        raise InputError("is not the table of the Groove MIDI Dataset", path=table) from None
    if not found:
        raise InputError(f"has no takes of {least_s:g} s or more in its split {split!r}", path=table)
    return found


def _chosen(rows: list[dict[str, str]], folder: Path, split: str, least_s: float) -> list[Groove]:
    return [
        Groove(folder / row["midi_filename"], row["time_signature"])
        for row in rows
        if row["split"] == split and row["beat_type"] == "beat" and float(row["duration"]) >= least_s
        and row["time_signature"] in PULSES
    ]  # fmt: skip


def read_groove(groove: Groove, *, start_beat: int = 0, duration_s: float = 40.0, faster: float = 1.0) -> Performance:
    """Read an excerpt of a drum performance.

    Parameters
    ----------
    groove : Groove
    start_beat : int
        First beat of the excerpt, modulo the number of possible ones.
    duration_s : float
        Greatest length, in seconds.
    faster : float
        Factor of the tempo.

    Returns
    -------
    Performance

    Raises
    ------
    InputError
        If the file cannot be read.
    MissingExtra
        If mido is not installed.
    """
    per_bar, quarters = PULSES[groove.metre]
    beat_s, notes = _notes(groove.path, quarters)
    beat_s /= faster
    last = int(max((beat for beat, *_ in notes), default=0)) + 1
    first = start_beat % max(1, last - int(duration_s / beat_s))
    lead_s = 0.05
    length_s = min(duration_s, (last - first) * beat_s)
    strokes = [
        Stroke((beat - first) * beat_s + lead_s, VOICES[note] + ("-low" if note in (43, 58) else ""), velocity)
        for beat, note, velocity in notes
    ]
    strokes = [stroke for stroke in strokes if 0 <= stroke.time_s < length_s]
    parts = {stroke.part: stroke.part.removesuffix("-low") for stroke in strokes}
    times = np.arange(0, last - first) * beat_s + lead_s
    beats = Beats(times[times < length_s], (np.arange(first, last)[times < length_s]) % per_bar + 1)
    return Performance(tuple(sorted(strokes)), beats, parts, dict.fromkeys(parts, 0.0), length_s)


@lru_cache(maxsize=512)
def _notes(path: Path, quarters: float) -> tuple[float, tuple[tuple[float, int, float], ...]]:
    """Return seconds per beat; and beat, note number and velocity of every stroke."""
    midi = read_midi(path, purpose="read drum performances")
    from mido import merge_tracks

    tempo = next((message.tempo for track in midi.tracks for message in track if message.type == "set_tempo"), 500000)
    notes, tick = [], 0
    for message in merge_tracks(midi.tracks):
        tick += message.time
        if message.type == "note_on" and message.velocity > 0 and message.note in VOICES:
            notes.append((tick / midi.ticks_per_beat / quarters, message.note, message.velocity / 127))
    return tempo / 1e6 * quarters, tuple(notes)
