"""MIDI tempo maps: a DAW that imports one has every beat on a quarter note of its grid.

A standard MIDI file, format 0, without notes. Every beat is the start of a quarter note; the tempo of each quarter is
the interval to the next beat, rounded so that no beat is off by more than a microsecond however long the recording.
The time before the first beat is filled with quarters, or with a part of one, at a tempo near that of the music; a
first beat less than a hundredth of a beat after the start is put there. Bars get time signatures where the positions
are known. Every beat has a text event with its position, which DAWs pass over: by these a map is read back.

Read from other programs, every beat of a tempo map is one, as its time signatures have it, up to the last event.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats.conventions import format_labels
from levada.io.formats.layers import Layer, Marker
from levada.io.formats.provenance import Metadata

__all__ = ["dump", "is_midi", "parse", "variable_length"]

_TICKS = 960  # a quarter note
_LONGEST_US = (1 << 24) - 1  # a quarter note's tempo is three bytes of microseconds
_LONGEST_BAR = 255  # beats; a time signature's numerator is one byte
_SHORTEST = 6  # powers of two that a quarter before the first beat is divided by, at most
_USUAL_US = 500_000  # a quarter note where no tempo is set
_MOST = 200_000  # beats of a recording
_TEXT = "beat"  # begins the text event of every beat


def is_midi(content: bytes) -> bool:
    """Whether bytes begin as a MIDI file does."""
    return content.startswith(b"MThd")


@dataclass
class _TempoMap:
    """Tempi, time signatures and texts of a MIDI file."""

    ticks: int = _TICKS  # a quarter note
    end: int = 0  # of the last event, in ticks
    tempi: list[tuple[int, int]] = field(default_factory=list)  # tick, microseconds a quarter
    metres: list[tuple[int, int, int]] = field(default_factory=list)  # tick, beats, power of two
    texts: list[tuple[int, str]] = field(default_factory=list)


def parse(content: bytes, *, path: str | Path) -> list[Layer]:
    """Read the beats of a tempo map.

    Raises
    ------
    InputError
        If it is damaged, counts time in frames, or has no length.
    """
    try:
        tempo_map = _events(content, path)
    except (IndexError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError("is a damaged MIDI file", path=path) from None
    tempo_map.tempi.sort()
    tempo_map.metres.sort()
    ours = sorted((tick, text) for tick, text in tempo_map.texts if re.fullmatch(rf"{_TEXT}( [\d.]*)?", text))
    if ours:
        times = _seconds([tick for tick, _ in ours], tempo_map)
        marks = [
            Marker(time, text.removeprefix(_TEXT).strip(), number)
            for number, (time, (_, text)) in enumerate(zip(times, ours, strict=True), 1)
        ]
        return [Layer(tuple(marks), "tempo map", unit="beat", is_sorted=False)]
    ticks = list(_grid(tempo_map, path))
    notes = ["every beat of its tempo map is taken for one, up to its last event"]
    if not tempo_map.metres:
        notes.append("it has no time signature: the positions in the bar are unknown")
    times = _seconds([tick for tick, _ in ticks], tempo_map)
    places = [str(position) if tempo_map.metres else "" for _, position in ticks]
    marks = [Marker(time, text, number) for number, (time, text) in enumerate(zip(times, places, strict=True), 1)]
    return [Layer(tuple(marks), "tempo map", unit="beat", convention="positions", is_sorted=False, notes=tuple(notes))]


def _events(content: bytes, path: str | Path) -> _TempoMap:
    """Collect tempi, time signatures and texts of all tracks."""
    tempo_map = _TempoMap()
    kind, division = int.from_bytes(content[8:10], "big"), int.from_bytes(content[12:14], "big")
    if len(content) < 14 or kind > 1 or not division:
        raise InputError("is a damaged MIDI file, or one of several songs", path=path)
    if division & 0x8000:
        raise InputError("counts time in frames of film: it has no tempo map", path=path)
    tempo_map.ticks = division
    at = 8 + int.from_bytes(content[4:8], "big")
    while at + 8 <= len(content):
        name, size = content[at : at + 4], int.from_bytes(content[at + 4 : at + 8], "big")
        if name == b"MTrk":
            _track(content[at + 8 : at + 8 + size], tempo_map)
        at += 8 + size
    return tempo_map


def _track(data: bytes, tempo_map: _TempoMap) -> None:
    at, tick, status = 0, 0, 0
    while at < len(data):
        step, at = _read_length(data, at)
        tick += step
        if data[at] & 0x80:
            status, at = data[at], at + 1
        elif not 0x80 <= status < 0xF0:
            raise ValueError("no status")
        if status == 0xFF:
            kind = data[at]
            size, at = _read_length(data, at + 1)
            body = data[at : at + size]
            if len(body) < size:
                raise ValueError("cut off")
            at += size
            if kind == 0x51 and size == 3 and any(body):
                tempo_map.tempi.append((tick, int.from_bytes(body, "big")))
            elif kind == 0x58 and size >= 2 and body[0] and body[1] < 9:
                tempo_map.metres.append((tick, body[0], body[1]))
            elif kind == 0x01:
                tempo_map.texts.append((tick, body.decode("latin-1")))
            elif kind == 0x2F:
                break
        elif status in (0xF0, 0xF7):
            size, at = _read_length(data, at)
            at += size
        elif status >= 0xF0:
            raise ValueError("no event of a file")
        else:
            at += 1 if 0xC0 <= status < 0xE0 else 2
    tempo_map.end = max(tempo_map.end, tick)


def _read_length(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for i in range(at, at + 4):
        value = value << 7 | data[i] & 0x7F
        if not data[i] & 0x80:
            return value, i + 1
    raise ValueError("too long a number")


def _grid(tempo_map: _TempoMap, path: str | Path) -> Iterator[tuple[float, int]]:
    """Ticks of the beats that time signatures ask for, and their positions."""
    if not tempo_map.end:
        raise InputError("has a tempo, but no length: export the tempo map with the end of the song", path=path)
    metres = tempo_map.metres if tempo_map.metres and tempo_map.metres[0][0] == 0 else [(0, 4, 2), *tempo_map.metres]
    total = 0
    for (start, beats, power), (stop, *_) in pairwise([*metres, (tempo_map.end, 0, 0)]):
        compound = power == 3 and beats > 3 and beats % 3 == 0  # 6/8 has two beats
        length = 4 * tempo_map.ticks / 2**power * (3 if compound else 1)
        in_bar = beats // 3 if compound else beats
        count = max(0, math.ceil((min(stop, tempo_map.end) - start) / length))
        total += count
        if total > _MOST:
            raise InputError(f"has more than {_MOST} beats", path=path)
        for i in range(count):
            yield start + i * length, i % in_bar + 1


def _seconds(ticks: list[float] | list[int], tempo_map: _TempoMap) -> list[float]:
    """Times of ticks that never fall."""
    tempi = [(0, _USUAL_US), *tempo_map.tempi]
    times, at, us, next_tempo = [], 0.0, 0.0, 0
    length = _USUAL_US
    for tick in ticks:
        while next_tempo < len(tempi) and tempi[next_tempo][0] <= tick:
            change, following = tempi[next_tempo]
            us += (change - at) * length / tempo_map.ticks
            at, length, next_tempo = change, following, next_tempo + 1
        times.append(round(us + (tick - at) * length / tempo_map.ticks, 3) / 1e6)
    return times


def dump(beats: Beats, metadata: Metadata) -> bytes:
    """Write the tempo map of at least two beats; provenance becomes a text at its start.

    Raises
    ------
    InputError
        If there are fewer than two beats: they have no tempo.
    """
    if len(beats) < 2:
        raise InputError("a tempo map needs at least two beats")
    times_us = [round(time * 1e6) for time, _ in beats]
    lead_ticks, lead_us, divided = _lead(times_us)
    if not lead_ticks:
        times_us[0] = 0
    quarters_us, starts = list[int](), list[int]()  # starts of beats are in quarters after the lead
    for this, following in pairwise(times_us):
        starts.append(len(quarters_us))
        quarters_us += _parts(following - this, -(-(following - this) // _LONGEST_US))
    starts.append(len(quarters_us))
    quarters_us.append(quarters_us[-1])  # the last beat rings on in the last tempo

    tempi = [(i * _TICKS, us) for i, us in enumerate(lead_us)]
    tempi += [(lead_ticks + i * _TICKS, us) for i, us in enumerate(quarters_us)]
    events = [
        (at, 1, b"\xff\x51\x03" + us.to_bytes(3, "big"))
        for (at, us), (_, before) in zip(tempi, [(0, 0), *tempi[:-1]], strict=True)
        if us != before
    ]
    lead = [(0, max(1, lead_ticks // _TICKS), 2 + divided)] if lead_ticks else []
    bars = [*lead, *((lead_ticks + at * _TICKS, length, 2) for at, length in _bars(beats, starts))]
    events += [
        (at, 0, b"\xff\x58\x04" + bytes((length, power, 24, 8)))
        for (at, *metre), (_, *before) in zip(bars, [(0, 0, 0), *bars[:-1]], strict=True)
        if metre != before
        for length, power in [metre]
    ]
    for start, text in zip(starts, format_labels(beats), strict=True):
        body = f"{_TEXT} {text}".strip()
        events.append((lead_ticks + start * _TICKS, 2, _text_event(body)))
    track, now = b"\x00" + _text_event(metadata.comment) if metadata.comment else b"", 0
    for at, _, message in sorted(events):
        track += variable_length(at - now) + message
        now = at
    track += variable_length(lead_ticks + len(quarters_us) * _TICKS - now) + b"\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"".join(n.to_bytes(2, "big") for n in (0, 1, _TICKS))
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def _text_event(text: str) -> bytes:
    body = text.encode()
    return b"\xff\x01" + variable_length(len(body)) + body


def _lead(times_us: list[int]) -> tuple[int, list[int], int]:
    """Fill the time before the first beat: ticks, tempo of its quarters, and how often a quarter is halved."""
    first, typical = times_us[0], float(np.median(np.diff(times_us)))
    if first >= 0.7 * typical:
        least = -(-first // _LONGEST_US)
        count = max(least, min(_LONGEST_BAR, round(first / typical)))
        return count * _TICKS, _parts(first, count), 0
    divided = round(math.log2(typical / first)) if first else _SHORTEST + 1
    while divided <= _SHORTEST and first << divided > _LONGEST_US:
        divided -= 1
    if divided > _SHORTEST:
        return 0, [], 0
    return _TICKS >> divided, [first << divided], divided


def _parts(whole: int, count: int) -> list[int]:
    """Divide microseconds into whole ones, as equal as possible."""
    edges = [whole * i // count for i in range(count + 1)]
    return [end - start for start, end in pairwise(edges)]


def _bars(beats: Beats, starts: list[int]) -> list[tuple[int, int]]:
    """Find where the length of bars changes: quarter after the lead, and beats a bar."""
    downbeats = [start for start, (_, position) in zip(starts, beats, strict=True) if position == 1]
    if not downbeats:
        return [(0, 4)]
    edges = sorted({0, *downbeats})
    lengths = [end - start for start, end in pairwise(edges)]
    longest = int(beats.positions[beats.positions > 0].max())
    lengths.append(lengths[-1] if len(downbeats) > 1 else longest)
    return [(at, min(length, _LONGEST_BAR)) for at, length in zip(edges, lengths, strict=True)]


def variable_length(number: int) -> bytes:
    """Write a number as MIDI does: seven bits a byte, the last one without the eighth."""
    data = bytes([number & 0x7F])
    while number := number >> 7:
        data = bytes([number & 0x7F | 0x80]) + data
    return data
