"""MIDI tempo maps: a DAW that imports one has every beat on a quarter note of its grid.

A standard MIDI file, format 0, without notes. Every beat is the start of a quarter note; the tempo of each
quarter is the interval to the next beat, rounded so that no beat is off by more than a microsecond however long
the recording. The time before the first beat is filled with a bar of quarters at a steady tempo near that of the
music. Bars get time signatures where the positions are known.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from levada.beats import Beats
from levada.errors import InputError

__all__ = ["dump"]

_TICKS = 480  # a quarter note
_LONGEST_US = (1 << 24) - 1  # a quarter note's tempo is three bytes of microseconds
_LONGEST_BAR = 255  # beats; a time signature's numerator is one byte


def dump(beats: Beats) -> bytes:
    """Write the tempo map of at least two beats.

    Raises
    ------
    InputError
        If there are fewer than two beats: they have no tempo.
    """
    if len(beats) < 2:
        raise InputError("a tempo map needs at least two beats")
    times_us = [round(time * 1e6) for time, _ in beats]
    quarters_us, lead = [], 0
    if times_us[0]:
        typical_us = float(np.median(np.diff(times_us)))
        least = -(-times_us[0] // _LONGEST_US)
        lead = max(least, min(_LONGEST_BAR, max(1, round(times_us[0] / typical_us))))
        quarters_us += _parts(times_us[0], lead)
    starts = []  # of each beat, in quarters
    for this, following in pairwise(times_us):
        starts.append(len(quarters_us))
        quarters_us += _parts(following - this, -(-(following - this) // _LONGEST_US))
    starts.append(len(quarters_us))
    quarters_us.append(quarters_us[-1])  # the last beat rings on in the last tempo

    events = [(at, 1, b"\xff\x51\x03" + us.to_bytes(3, "big")) for at, us in enumerate(quarters_us)]
    events = [event for event, us, before in zip(events, quarters_us, [0, *quarters_us], strict=False) if us != before]
    events += [(at, 0, b"\xff\x58\x04" + bytes((length, 2, 24, 8))) for at, length in _bars(beats, starts, lead)]
    track, now = b"", 0
    for at, _, message in sorted(events):
        track += _variable_length((at - now) * _TICKS) + message
        now = at
    track += _variable_length((len(quarters_us) - now) * _TICKS) + b"\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"".join(n.to_bytes(2, "big") for n in (0, 1, _TICKS))
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def _parts(whole: int, count: int) -> list[int]:
    """Divide microseconds into whole ones, as equal as possible."""
    edges = [whole * i // count for i in range(count + 1)]
    return [end - start for start, end in pairwise(edges)]


def _bars(beats: Beats, starts: list[int], lead: int) -> list[tuple[int, int]]:
    """Find where the length of bars changes: quarter and beats a bar."""
    downbeats = [start for start, (_, position) in zip(starts, beats, strict=True) if position == 1]
    if not downbeats:
        return [(0, lead), (lead, 4)] if 0 < lead <= _LONGEST_BAR else [(0, 4)]
    edges = sorted({0, lead, *downbeats})
    lengths = [end - start for start, end in pairwise(edges)]
    longest = int(beats.positions[beats.positions > 0].max())
    lengths.append(lengths[-1] if len(downbeats) > 1 else longest)
    return [
        (at, min(length, _LONGEST_BAR))
        for at, length, before in zip(edges, lengths, [0, *lengths], strict=False)
        if length != before
    ]


def _variable_length(number: int) -> bytes:
    """Write a number as MIDI does: seven bits a byte, the last one without the eighth."""
    data = bytes([number & 0x7F])
    while number := number >> 7:
        data = bytes([number & 0x7F | 0x80]) + data
    return data
