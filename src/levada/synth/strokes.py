"""Strokes of rendered stems as files: when each instrument is struck, how, and with which accent.

Times are exact to a sample of the rendering. CSV has a line for each stroke; MIDI has a tick for each sample; JAMS has
the strokes as open tags.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from levada.errors import InputError
from levada.io.files import atomic_file
from levada.io.formats.midi import variable_length
from levada.synth.instruments import RATE
from levada.synth.performance import Stroke

__all__ = ["SUFFIXES", "write_strokes"]

SUFFIXES = {"csv": ".csv", "midi": ".mid", "jams": ".jams"}
"""Formats, and the endings of their files."""

_FIRST_NOTE, _DRUMS, _SHORT_S = 36, 9, 0.05  # note of the first kind of stroke, its channel, and its length


def write_strokes(path: str | Path, strokes: Sequence[Stroke], *, force: bool = False) -> None:
    """Write the strokes of a stem (`levada.synth.render.Rendering.strokes`) as CSV, MIDI or JAMS.

    Parameters
    ----------
    path : path-like
        The ending chooses the format: ``.csv`` has the columns `time_s`, `stroke` (its name, as "open"), `accent`
        (0 to 1) and `pitch_hz` (0 without a pitch); ``.mid`` has a note for each kind of stroke, named in its text
        events, with the accent as velocity, and the notes themselves where they have pitches; ``.jams`` has the name as
        value and the accent as confidence.
    strokes : sequence of Stroke
        In the order of time.
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    InputError
        If the ending is of none of the formats, or the file exists or cannot be written.
    """
    dump = {".csv": _csv, ".mid": _midi, ".jams": _jams}.get(Path(path).suffix.lower())
    if dump is None:
        raise InputError(f"strokes are written as {', '.join(SUFFIXES.values())}", path=path)
    content = dump(strokes)
    with atomic_file(path, force=force) as temporary:
        temporary.write_bytes(content)


def _csv(strokes: Sequence[Stroke]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["time_s", "stroke", "accent", "pitch_hz"])
    for one in strokes:
        writer.writerow([f"{one.time_s:.9f}", one.stroke, f"{one.velocity:.6f}", f"{one.pitch_hz:.3f}"])
    return text.getvalue().encode()


def _jams(strokes: Sequence[Stroke]) -> bytes:
    data = [{"time": one.time_s, "duration": 0.0, "value": one.stroke, "confidence": one.velocity} for one in strokes]
    duration = strokes[-1].time_s if strokes else 0.0
    about = {"annotation_tools": "levada", "data_source": "program", "annotation_rules": "confidence: accent, 0 to 1"}
    annotation = {
        "namespace": "tag_open", "annotation_metadata": about, "time": 0.0, "duration": duration, "sandbox": {},
        "data": data,
    }  # fmt: skip
    file = {"identifiers": {}, "duration": duration, "jams_version": "0.3.4"}
    return (json.dumps({"sandbox": {}, "file_metadata": file, "annotations": [annotation]}, indent=1) + "\n").encode()


def _midi(strokes: Sequence[Stroke]) -> bytes:
    kinds = sorted({one.stroke for one in strokes if not one.pitch_hz})
    notes = {kind: _FIRST_NOTE + index for index, kind in enumerate(kinds)}
    events = [(0, 0, b"\xff\x51\x03" + (500_000).to_bytes(3, "big"))]
    events += [(0, 1, _text(f"note {note}: {kind}")) for kind, note in notes.items()]
    events += _notes(strokes, notes)
    track, before = bytearray(), 0
    for tick, _, event in sorted(events, key=lambda one: one[:2]):
        track += variable_length(tick - before) + event
        before = tick
    track += b"\x00\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"\x00\x00\x00\x01" + (RATE // 2).to_bytes(2, "big")
    return header + b"MTrk" + len(track).to_bytes(4, "big") + bytes(track)


def _notes(strokes: Sequence[Stroke], notes: dict[str, int]) -> Iterator[tuple[int, int, bytes]]:
    """Yield beginnings and ends of notes as tick, order within a tick, and event; no note overlaps itself."""
    onsets: dict[tuple[int, int], list[tuple[int, int, float]]] = {}
    for one in strokes:
        pitch = round(69 + 12 * math.log2(one.pitch_hz / 440)) if one.pitch_hz else notes[one.stroke]
        key = (0 if one.pitch_hz else _DRUMS, min(max(pitch, 0), 127))
        velocity = min(max(round(127 * one.velocity), 1), 127)
        onsets.setdefault(key, []).append((round(one.time_s * RATE), velocity, one.duration_s or _SHORT_S))
    for (channel, note), played in onsets.items():
        following = [onset for onset, *_ in played[1:]] + [math.inf]
        for (onset, velocity, length_s), limit in zip(played, following, strict=True):
            yield onset, 3, bytes([0x90 | channel, note, velocity])
            yield int(min(onset + max(round(length_s * RATE), 1), limit)), 2, bytes([0x80 | channel, note, 0])


def _text(text: str) -> bytes:
    data = text.encode()
    return b"\xff\x01" + variable_length(len(data)) + data
