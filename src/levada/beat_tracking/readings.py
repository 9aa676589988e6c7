"""Other readings of a recording than the one decoded, scored by the same model.

A reading is a set of beats with positions in the bar: the decoded beats counted from another beat, in another metre,
twice or half as fast, or off the beat. Each is scored as the decoder scores a path, by the log likelihood of whole
beats (`state_space.BarPointer.evidence`), with every beat at its best start near the place where the reading puts it.
Scores are kept for each decoded beat, relative to the decoded reading, so that they can be summed over a recording or
near a beat.

All readings look up a few tables, one for each kind of beat (on the decoded beats, half-way between them, …), so
scoring takes a small fraction of the time of decoding.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder.decode import DecodedBeats
from levada.beat_tracking.decoder.state_space import BarPointer
from levada.io.beats import Beats

__all__ = ["DECODED", "HALF", "HALF_BAR", "TWICE", "ScoredReading", "score_readings"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DECODED, HALF_BAR, TWICE, HALF = "as decoded", "half a bar later", "twice as fast", "half as fast"
"""Names of readings."""
SEARCH_S = 0.02  # how far from its place a beat of a reading may start
SEARCH_STEPS = 2  # starts that are tried on either side
LENGTH_OFF = 0.06  # a beat length is in the range of tempi if one of the decoder's lengths is so near
BEATS_AT_ONCE = 256
TIME_KINDS = ("offbeat", "twice", "half", "compound")
"""Kinds of readings with other beats; those of the others, "later" and "metre", are the decoded ones."""


@dataclass(frozen=True, eq=False)
class ScoredReading:
    """A reading of a recording, and how it scores.

    Parameters
    ----------
    name : str
        For people.
    kind : {"decoded", "later", "metre", "offbeat", "twice", "half", "compound"}
        The decoded reading; the same beats counted from a later one, or in bars of another number of beats; half a beat
        later; twice or half as many; two beats where three were decoded, or three where two were.
    beats : Beats
    scores : float64 [shape=(n,)]
        Log likelihood of the reading less that of the decoded one, at each decoded beat.
    """

    name: str
    kind: str
    beats: Beats
    scores: Floats

    @property
    def has_decoded_beats(self) -> bool:
        """Whether its beats are those decoded, which it counts in another way."""
        return self.kind not in TIME_KINDS


def score_readings(decoded: DecodedBeats, *, counted: bool = True) -> list[ScoredReading]:
    """Score the decoded reading and all others that the model has tempi and metres for.

    Parameters
    ----------
    decoded : DecodedBeats
    counted : bool
        Whether positions in the bar are known; without, there are no readings with other positions alone.

    Returns
    -------
    list of ScoredReading
        The decoded one first; it alone for fewer than two beats.
    """
    here = ScoredReading(DECODED, "decoded", decoded.beats, np.zeros(len(decoded.beats)))
    if len(decoded.beats) < 2:
        return [here]
    tables = _Tables(decoded)
    found = [*(_counted_otherwise(tables) if counted else ()), *_other_beats(tables)]
    return [here, *(replace(reading, scores=reading.scores - tables.decoded) for reading in found)]


class _Tables:
    """Scores of beats at places relative to the decoded ones."""

    def __init__(self, decoded: DecodedBeats) -> None:
        self.model = replace(decoded.model, windows=None)
        if self.model.likelihood is None:  # downbeats and other beats are all that the activations distinguish
            self.model = replace(self.model, downbeat=np.array([1, 0]))
        self.beats, self.states = decoded.beats, decoded.states
        self.starts, self.lengths = decoded.starts, decoded.model.lengths[decoded.tempi]
        self.bars = decoded.model.lasts - decoded.model.firsts + 1
        kinds = np.searchsorted(decoded.model.lasts, decoded.states)
        self.metre = int(np.bincount(self.bars[kinds]).argmax())  # of most beats
        self.metres = sorted({int(n) for n in self.bars})
        self._cached: dict[tuple[Fraction, Fraction], Floats | None] = {}
        self.decoded = self.on(decoded.states)

    def table(self, place: Fraction, length: Fraction) -> Floats | None:
        """Return scores [shape=(P, n)] of beats relative to the decoded ones; None if the model has none so long."""
        if (place, length) not in self._cached:
            self._cached[place, length] = self._computed(float(place), float(length))
        return self._cached[place, length]

    def _computed(self, place: float, length: float) -> Floats | None:
        model, wanted = self.model, self.lengths * length
        nearest = np.abs(np.log(model.lengths[:, None] / wanted)).argmin(axis=0)
        if np.median(np.abs(np.log(model.lengths[nearest] / wanted))) > LENGTH_OFF:
            return None
        reach = max(1, round(SEARCH_S * model.fps))
        offsets = np.unique(np.round(np.linspace(-reach, reach, 2 * SEARCH_STEPS + 1)).astype(np.int64))
        centre = np.round(self.starts + place * self.lengths).astype(np.int64)
        tried = (centre[:, None] + offsets).clip(1 - model.longest, model.frames - 1)
        parts = []
        for first in range(0, len(centre), BEATS_AT_ONCE):
            some = tried[first : first + BEATS_AT_ONCE]
            rows = np.repeat(nearest[first : first + BEATS_AT_ONCE], len(offsets))
            scores = model.evidence_of(rows, some.ravel())
            parts.append(scores.reshape(len(some), len(offsets), -1).max(axis=1).T)
        return np.concatenate(parts, axis=1)

    def on(self, states: Ints) -> Floats:
        """Return the scores of the decoded beats in other states."""
        table = self.table(Fraction(0), Fraction(1))
        assert table is not None  # the decoder has their lengths
        return self._looked_up(table, self.model, states)

    def _looked_up(self, table: Floats, model: BarPointer, states: Ints) -> Floats:
        rows = states if model.likelihood is not None else 1 - np.isin(states, model.firsts)
        return np.asarray(table[rows, np.arange(len(states))])

    def score(self, place: Fraction, length: Fraction, positions: Ints, metre: int) -> Floats | None:
        """Score beats (n,) with positions in bars of a metre; None where the model has no such beats."""
        table = self.table(place, length)
        if table is None:
            return None
        if self.model.likelihood is None:
            return np.asarray(table[(positions != 1).astype(np.int64), np.arange(len(positions))])
        of_metre = self.model.firsts[self.bars == metre]
        if not len(of_metre):
            return None
        kinds = [table[first + positions - 1, np.arange(len(positions))] for first in of_metre.tolist()]
        return np.asarray(max(kinds, key=np.sum))


def _counted_otherwise(tables: _Tables) -> Iterator[ScoredReading]:
    """Yield the readings with the same beats and other positions."""
    firsts, lasts = tables.model.firsts, tables.model.lasts
    kinds = np.searchsorted(lasts, tables.states)
    first, size = firsts[kinds], tables.bars[kinds]
    metre = tables.metre
    names = {1: "one beat later", metre - 1: "one beat earlier"}
    if metre % 2 == 0:
        names[metre // 2] = HALF_BAR
    for later, name in sorted(names.items()):
        if 0 < later < metre:
            states = first + (tables.states - first - later) % size
            positions = states - first + 1
            yield ScoredReading(name, "later", tables.beats.with_positions(positions), tables.on(states))
    index = np.arange(len(tables.beats))
    for other in tables.metres:
        if other in (metre, 1):
            continue
        choices = [(index - phase) % other + 1 for phase in range(other)]
        scored = [(tables.score(Fraction(0), Fraction(1), positions, other), positions) for positions in choices]
        possible = [(scores, positions) for scores, positions in scored if scores is not None]
        scores, positions = max(possible, key=lambda one: float(one[0].sum()))
        yield ScoredReading(f"{other} beats a bar", "metre", tables.beats.with_positions(positions), scores)


def _other_beats(tables: _Tables) -> Iterator[ScoredReading]:
    """Yield the readings with other beats."""
    metre, positions = tables.metre, tables.model.places[tables.states]
    half, one = Fraction(1, 2), Fraction(1)
    scores = tables.score(half, one, positions, metre)
    if scores is not None:
        yield ScoredReading("off the beat", "offbeat", _beats_at(tables, [half], [positions]), scores)
    metre_twice = 2 * metre if 2 * metre in tables.metres else metre
    doubled = [(2 * positions - 2) % metre_twice + 1, (2 * positions - 1) % metre_twice + 1]
    both = [tables.score(half * i, half, doubled[i], metre_twice) for i in (0, 1)]
    if both[0] is not None and both[1] is not None:
        twice = _beats_at(tables, [Fraction(0), half], doubled)
        yield ScoredReading(TWICE, "twice", twice, both[0] + both[1])
    yield from _half(tables, positions)
    yield from _compound(tables, positions)


def _half(tables: _Tables, positions: Ints) -> Iterator[ScoredReading]:
    """Yield the better of the two readings that leave out every other beat."""
    metre = tables.metre // 2 if tables.metre % 2 == 0 and tables.metre > 2 else tables.metre
    index, choices = np.arange(len(positions)), []
    for odd in (0, 1):
        if metre < tables.metre:  # 1 of 4 stays 1, or 2 does
            kept = positions % 2 == 1 - odd
            counted = (positions - 1 - odd) // 2 % metre + 1
            ways = [(kept, counted)]
        else:
            ways = [(index % 2 == odd, (index // 2 - phase) % metre + 1) for phase in range(metre)]
        for kept, counted in ways:
            scores = tables.score(Fraction(0), Fraction(2), counted, metre)
            if scores is not None and kept.any():
                choices.append((np.where(kept, scores, 0.0), kept, counted))
    if choices:
        scores, kept, counted = max(choices, key=lambda choice: float(choice[0].sum()))
        beats = Beats(tables.beats.times_s[kept], counted[kept])
        yield ScoredReading(HALF, "half", beats, scores)


def _compound(tables: _Tables, positions: Ints) -> Iterator[ScoredReading]:
    """Yield two beats in a bar of three, as in 6/8 for 3/4, or three in a bar of two."""
    other = {3: 2, 2: 3}.get(tables.metre)
    if other is None or other not in tables.metres:
        return
    length = Fraction(tables.metre, other)
    index = np.arange(len(positions))
    last = (index + tables.metre - 1).clip(max=len(index) - 1)
    ones = (positions == 1) & (positions[last] == tables.metre) & (last == index + tables.metre - 1)
    inside = np.isin(index, np.flatnonzero(ones)[:, None] + np.arange(tables.metre))  # in bars of that metre
    total, places = np.where(inside, 0.0, tables.decoded), []
    for i in range(other):
        place = i * length
        scores = tables.score(place, length, np.full(len(positions), i + 1), other)
        if scores is None:
            return
        total += np.where(ones, scores, 0.0)
        places.append(place)
    if ones.any():
        name = "6/8 instead of 3/4" if other == 2 else "3/4 instead of 6/8"
        counted = [np.full(len(positions), i + 1) for i in range(other)]
        yield ScoredReading(name, "compound", _beats_at(tables, places, counted, where=ones), total)


def _beats_at(
    tables: _Tables, places: list[Fraction], positions: list[Ints], *, where: npt.NDArray[np.bool_] | None = None
) -> Beats:
    """Return beats at places relative to the decoded ones (of those `where`), inside the recording."""
    times_s, model = tables.beats.times_s, tables.model
    lengths_s = tables.lengths / model.fps
    lengths_s[:-1] = np.minimum(np.diff(times_s), 1.5 * lengths_s[:-1])  # but across gaps
    of = np.arange(len(times_s)) if where is None else np.flatnonzero(where)
    times = np.concatenate([times_s[of] + float(place) * lengths_s[of] for place in places])
    counted = np.concatenate([one[of] for one in positions])
    order = np.argsort(times, kind="stable")
    times, counted = times[order], counted[order]
    kept = np.concatenate([[True], np.diff(times) > 1e-3]) & (times < model.frames / model.fps)
    return Beats(times[kept], counted[kept])
