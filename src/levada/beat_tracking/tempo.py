"""The tempo over time, and the pieces of a recording with pauses between them, from beats alone.

A pause is a stretch without beats (`stretches_without_beats`), in tables as in curves. Where the decoder has a state
without a pulse, these are the stretches that it spends there; where it has none, silence and rests.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.io.beats import Beats
from levada.io.text import clock

__all__ = ["Piece", "find_pieces", "stretches_without_beats", "tempo_curve"]

Floats = npt.NDArray[np.float64]

AROUND = 4  # the tempo of an interval is that of so many before and after it too
UNEQUAL = 0.2  # beats are uneven where more of their intervals than this are not near the median of those around
EVEN_RANGE, UNEQUAL_RANGE = 1.15, 1.7  # longest interval that counts, to the median: of uneven beats 3 to 2, not 2 to 1
PAUSE_S = 2.0  # after the end of a beat; shorter stretches without beats are rests,
PAUSE_BEATS = 1.5  # as those of fewer beats are
SAME_PIECE_S, SAME_PIECE_TEMPO = 8.0, 0.04  # what goes on after so short a pause, in nearly that tempo, is no new piece
LEAST_BEATS, LEAST_S = 8, 5.0  # of a piece


@dataclass(frozen=True)
class Piece:
    """A piece of a recording: beats without a pause between them.

    Parameters
    ----------
    start_s, end_s : float
        Times of its first and last beat, in seconds.
    tempo_bpm : float
        Its median tempo.
    metre : int
        The commonest number of beats a bar; 0 if unknown.
    beats : int
        How many it has.
    """

    start_s: float
    end_s: float
    tempo_bpm: float
    metre: int
    beats: int

    def to_json(self) -> dict[str, Any]:
        """Return the piece as JSON values; an unknown metre is null."""
        return {
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "tempo_bpm": round(self.tempo_bpm, 2),
            "metre": self.metre or None,
            "beats": self.beats,
        }

    def __str__(self) -> str:
        """Return the piece as a line for people."""
        metre = f", {self.metre} beats a bar" if self.metre else ""
        return f"{clock(self.start_s)} to {clock(self.end_s)}, {self.tempo_bpm:.1f} bpm{metre}"


def tempo_curve(beats: Beats) -> tuple[Floats, Floats]:
    """Compute the tempo over time: the mean of those of nine intervals between beats that are near their median.

    Single beats that are missing, too many or displaced leave no trace in it, and a change of tempo by more than 15 %
    stays a step. Where beats are of unequal length, as in 2+2+2+3, all count that are not about twice as long or short.

    Parameters
    ----------
    beats : Beats

    Returns
    -------
    times_s : float64 [shape=(n,)]
        In the middle of each interval; where there is a pause, in the middle of that.
    bpm : float64 [shape=(n,)]
        In beats per minute; NaN in pauses.
    """
    intervals = beats.intervals_s
    bpm = np.full(len(intervals), np.nan)
    for first, last in _stretches(beats):
        around = _windows(intervals[first : last - 1])
        typical = np.nanmedian(around, axis=1)
        apart = np.maximum(around / typical[:, None], typical[:, None] / around)
        unequal = np.nanmean(np.where(np.isnan(apart), np.nan, apart > EVEN_RANGE)) > UNEQUAL
        near = apart <= (UNEQUAL_RANGE if unequal else EVEN_RANGE)  # not where there is none
        mean = np.where(near, around, 0).sum(axis=1) / near.sum(axis=1).clip(1)
        bpm[first : last - 1] = 60 / np.where(near.any(axis=1), mean, typical)
    return beats.times_s[:-1] + intervals / 2, bpm


def stretches_without_beats(beats: Beats, *, duration_s: float) -> tuple[tuple[float, float], ...]:
    """List the stretches without beats, each from the end of the beat before: 2 s or more, and 1.5 beats or more.

    Parameters
    ----------
    beats : Beats
    duration_s : float
        Length of the recording, in seconds.

    Returns
    -------
    tuple of (float, float)
        From and to, in seconds; all of the recording for fewer than two beats.
    """
    if len(beats) < 2:
        return ((0.0, duration_s),) if duration_s > 0 else ()
    usual_s = _usual_intervals(beats)
    lengths_s = np.append(usual_s, usual_s[-1])
    starts_s = np.append(0.0, beats.times_s + lengths_s)
    ends_s = np.append(beats.times_s, duration_s)
    long = ends_s - starts_s >= _shortest_pause(np.append(lengths_s[0], lengths_s))
    return tuple(zip(starts_s[long].tolist(), ends_s[long].tolist(), strict=True))


def find_pieces(beats: Beats) -> tuple[Piece, ...]:
    """Find the pieces of a recording with pauses between them, such as a rehearsal.

    What goes on within 8 s, in the same metre and within 4 % of the tempo, belongs to the piece before. Fewer than 8
    beats, or less than 5 s, are no piece.

    Parameters
    ----------
    beats : Beats

    Returns
    -------
    tuple of Piece
    """
    parts = list[tuple[int, int]]()
    for first, last in _stretches(beats):
        if parts and _continues(beats, parts[-1], (first, last)):
            parts[-1] = (parts[-1][0], last)
        else:
            parts.append((first, last))
    pieces = (_piece(_part(beats, *part)) for part in parts)
    return tuple(piece for piece in pieces if piece.beats >= LEAST_BEATS and piece.end_s - piece.start_s >= LEAST_S)


def _stretches(beats: Beats) -> Iterator[tuple[int, int]]:
    """Yield the first beat of each stretch without pauses, and the one after its last; single beats are left out."""
    usual_s = _usual_intervals(beats)
    pauses = beats.intervals_s - usual_s >= _shortest_pause(usual_s)
    edges = [0, *(np.flatnonzero(pauses) + 1).tolist(), len(beats)]
    yield from ((first, last) for first, last in pairwise(edges) if last - first > 1)


def _usual_intervals(beats: Beats) -> Floats:
    """Return the median of the intervals around each one, without it where there are others, in seconds."""
    around = _windows(beats.intervals_s)
    if len(around) > 1:
        around = np.delete(around, AROUND, axis=1)
    return np.asarray(np.nanmedian(around, axis=1))


def _shortest_pause(usual_s: Floats) -> Floats:
    return np.maximum(PAUSE_S, PAUSE_BEATS * usual_s)


def _windows(values: Floats) -> Floats:
    """Return each value with its neighbours [shape=(n, 9)], NaN beyond the ends."""
    padded = np.pad(values, AROUND, constant_values=np.nan)
    return np.lib.stride_tricks.sliding_window_view(padded, 2 * AROUND + 1) if len(values) else padded[:0, None]


def _continues(beats: Beats, before: tuple[int, int], after: tuple[int, int]) -> bool:
    one, other = _piece(_part(beats, *before)), _piece(_part(beats, *after))
    near = other.start_s - one.end_s <= SAME_PIECE_S
    return near and one.metre == other.metre and abs(np.log(one.tempo_bpm / other.tempo_bpm)) <= SAME_PIECE_TEMPO


def _part(beats: Beats, first: int, last: int) -> Beats:
    return Beats(beats.times_s[first:last], beats.positions[first:last])


def _piece(beats: Beats) -> Piece:
    start_s, end_s = float(beats.times_s[0]), float(beats.times_s[-1])
    return Piece(start_s, end_s, beats.tempo_bpm, beats.metre, len(beats))
