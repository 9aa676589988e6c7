"""Random samples of labels: a budget of minutes, spread over groups and recordings.

People annotate and record contiguous passages, so a budget is spent on a few stretches: about one for every 16 seconds
of it, never more than one for each recording as long as others are left. The same seed selects the same stretches.

Beats are sampled in whole bars, from downbeat to downbeat. The groups take turns, and the recordings inside a group, in
an order the seed decides. What whole stretches leave over is spent on bars beside them, so that the sum is never above
the budget and less than one bar below it.

Stems are sampled at random positions. Instruments take turns, then groups, and of a few positions the one is taken at
which most stems are active.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice, zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.data.multitracks import Multitrack, audio_info
from levada.data.spans import annotated_spans, stretches
from levada.data.tracks import Span, T, Track
from levada.errors import InputError
from levada.io import audio

__all__ = ["LONGEST_BAR", "STRETCH_BARS", "STRETCH_S", "Seed", "available_minutes", "sample", "sample_files"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Seed = int | Sequence[int] | np.random.Generator

STRETCH_S = 16.0  # usual length of a stretch, in seconds; longer where recordings are few
STRETCH_BARS = 4  # and at least this many bars
LONGEST_BAR = 3.0  # a bar this many times the median one lacks downbeats
POSITIONS = 5  # in a song that are compared before one is taken
ACTIVE, FRAME_S = 3e-3, 0.5  # peak of a frame, and its length, from which on a stem is active: -50 dB full scale
SHORTEST_GAP_S = 2.0  # of what is left over between two stretches


def sample(tracks: Sequence[T], *, minutes: float | None, seed: Seed = 0) -> list[Span[T]]:
    """Select a budget of labelled minutes at random, spread over groups, recordings and instruments.

    Parameters
    ----------
    tracks : sequence of Track, or of Multitrack
        Recordings without labels are ignored.
    minutes : float or None
        The budget, in minutes of labelled audio, however many stems it has; None for all labels.
    seed : int, sequence of int, or numpy.random.Generator
        Selects the stretches.

    Returns
    -------
    list of Span
        Sorted by track and time. Stems sum to the budget. Beats sum to at most the budget and miss it by less than a
        bar, or a beat where a recording has no downbeats.

    Raises
    ------
    InputError
        If the budget is not above zero, is shorter than a bar, or is more than there is, or a file cannot be read.
    """
    labelled = [track for track in tracks if track.is_annotated]
    if minutes is None:
        return [span for track in labelled for span in annotated_spans(track)]
    if not minutes > 0:
        raise InputError(f"a budget must be above 0 minutes, not {minutes:g}")
    rng = np.random.default_rng(seed)
    songs = [track for track in labelled if isinstance(track, Multitrack)]
    recordings = [track for track in labelled if isinstance(track, Track)]
    spans: list[Any] = [
        *(_sample_stems(songs, 60 * minutes, rng) if songs else _sample_beats(recordings, 60 * minutes, rng))
    ]
    return sorted(spans, key=lambda span: (span.track.id, span.start_s))


def sample_files(tracks: Sequence[T], *, files: int, seed: Seed = 0) -> list[Span[T]]:
    """Select a number of recordings at random, with all of their labels.

    Groups take turns, and for stems instruments before them. With the same seed, more files contain those of fewer.

    Parameters
    ----------
    tracks : sequence of Track, or of Multitrack
        Recordings without labels are ignored.
    files : int
        Number of recordings.
    seed : int, sequence of int, or numpy.random.Generator
        Selects them.

    Returns
    -------
    list of Span
        Sorted by track and time.

    Raises
    ------
    InputError
        If there are fewer recordings, the number is not above zero, or a file cannot be read.
    """
    labelled: list[Any] = [track for track in tracks if track.is_annotated]
    if files < 1:
        raise InputError(f"a budget must be above 0 files, not {files}")
    if files > len(labelled):
        raise InputError(f"the corpus has {len(labelled)} labelled recordings, fewer than {files}")
    rng = np.random.default_rng(seed)
    songs = [_Song(track, [(0.0, track.duration_s)]) for track in labelled if isinstance(track, Multitrack)]
    if songs:
        by_instrument, by_group, chosen = Counter[str](), Counter[str](), list[Any]()
        while len(chosen) < files:
            left = [song for song in songs if song.track not in chosen]
            track = _next_song(left, by_instrument, by_group, rng).track
            by_group[track.group] += 1
            by_instrument.update(track.instruments)
            chosen.append(track)
    else:
        chosen = list(islice(_in_turn(labelled, rng=rng), files))
    return [span for track in sorted(chosen, key=lambda one: str(one.id)) for span in annotated_spans(track)]


def available_minutes(tracks: Sequence[T]) -> float:
    """Return the largest budget of minutes that `sample` can meet: whole bars of beats, and songs with stems.

    Raises
    ------
    InputError
        If a file cannot be read.
    """
    lengths_s = [
        float(bars.lengths_s[bars.free].sum()) if (bars := _bars_of(track)) else track.duration_s
        for track in tracks
        if track.is_annotated
    ]
    return sum(lengths_s) / 60


def _bars_of(track: Any) -> _Bars | None:
    return _bars(track) if isinstance(track, Track) else None


def _stretch_s(available_s: float, budget_s: float, recordings: int, *, tolerance_s: float) -> float:
    """Return the length of a stretch.

    Raises
    ------
    InputError
        If less is available than the budget.
    """
    if available_s < budget_s - tolerance_s:
        raise InputError(f"the corpus has {available_s / 60:.2f} labelled minutes, fewer than {budget_s / 60:g}")
    return float(budget_s / np.clip(round(budget_s / STRETCH_S), 1, max(1, recordings)))


@dataclass
class _Bars:
    """The whole bars of a recording and which of them are taken; beats where it has no downbeats."""

    track: Track
    starts_s: Floats
    ends_s: Floats
    free: Bools  # annotated and not yet taken
    taken: Bools

    @property
    def lengths_s(self) -> Floats:
        return self.ends_s - self.starts_s

    def runs(self, mask: Bools) -> list[tuple[int, int]]:
        """Return the runs of neighbouring bars inside a mask, as half-open ranges."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
        return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]

    def take(self, first: int, last: int) -> float:
        self.free[first:last], self.taken[first:last] = False, True
        return float(self.lengths_s[first:last].sum())

    def spans(self) -> list[Span]:
        return [Span(self.track, float(self.starts_s[a]), float(self.ends_s[b - 1])) for a, b in self.runs(self.taken)]


def _bars(track: Track) -> _Bars:
    beats = track.beats()
    cuts = beats.downbeats_s if len(beats.downbeats_s) > 1 else beats.times_s
    starts, ends = cuts[:-1], cuts[1:]
    annotated = np.zeros(len(starts), dtype=np.bool_)
    for start_s, end_s in stretches(beats):
        annotated |= (starts >= start_s) & (ends <= end_s)
    if annotated.any():
        annotated &= ends - starts <= LONGEST_BAR * np.median((ends - starts)[annotated])
    return _Bars(track, starts, ends, annotated, np.zeros_like(annotated))


def _sample_beats(tracks: Sequence[Track], budget_s: float, rng: np.random.Generator) -> list[Span]:
    pool = [_bars(track) for track in tracks]
    available_s = sum(float(bars.lengths_s[bars.free].sum()) for bars in pool)
    pool = [bars for bars in pool if bars.free.any()]
    stretch_s = _stretch_s(available_s, budget_s, len(pool), tolerance_s=1e-6)
    left_s = budget_s + 1e-6  # a budget of all that is annotated must not fail because of rounding
    of_track = {id(bars.track): bars for bars in pool}
    for track in _in_turn([bars.track for bars in pool], rng=rng):
        if left_s < stretch_s / 2:
            break
        bars = of_track[id(track)]
        left_s -= _take_stretch(bars, stretch_s=stretch_s, left_s=left_s, rng=rng)
    _take_bars(pool, left_s=left_s, rng=rng)
    spans = [span for bars in pool for span in bars.spans()]
    if not spans:
        raise InputError(f"a budget of {budget_s / 60:g} minutes is shorter than a bar")
    return spans


def _in_turn(tracks: Sequence[Track], *, rng: np.random.Generator) -> Iterator[Track]:
    """Yield every recording once, the groups taking turns, in random order."""
    groups: dict[str, list[Track]] = {}
    for i in rng.permutation(len(tracks)):
        groups.setdefault(tracks[i].group, []).append(tracks[i])
    for turn in zip_longest(*groups.values()):
        yield from (track for track in turn if track is not None)


def _take_stretch(bars: _Bars, *, stretch_s: float, left_s: float, rng: np.random.Generator) -> float:
    """Take one stretch of neighbouring bars at a random position; returns its length in seconds."""
    ends = np.concatenate(([0.0], np.cumsum(bars.lengths_s)))
    possible: list[tuple[int, int]] = []
    for first, last in bars.runs(bars.free):
        for start in range(first, last):
            fitting = int(np.searchsorted(ends, ends[start] + stretch_s, side="right")) - 1
            stop = min(max(fitting, start + STRETCH_BARS), last)
            if ends[stop] - ends[start] > left_s:
                stop = min(stop, int(np.searchsorted(ends, ends[start] + left_s, side="right")) - 1)
            if stop > start:
                possible.append((start, stop))
    if not possible:
        return 0.0
    # Positions near the end have less than a whole stretch: they are for recordings that have nothing longer.
    longest = max(ends[b] - ends[a] for a, b in possible)
    full = [(a, b) for a, b in possible if ends[b] - ends[a] >= 0.9 * min(longest, stretch_s)]
    return bars.take(*full[rng.integers(len(full))])


def _take_bars(pool: Sequence[_Bars], *, left_s: float, rng: np.random.Generator) -> None:
    """Take single bars, those beside taken ones first, until none fits."""
    order = [pool[i] for i in rng.permutation(len(pool))]
    while True:
        before = left_s
        for bars in order:
            fits = bars.free & (bars.lengths_s <= left_s)
            beside = np.zeros_like(fits)
            beside[:-1] |= bars.taken[1:]
            beside[1:] |= bars.taken[:-1]
            if (fits & beside).any():
                bar = int(np.flatnonzero(fits & beside)[0])
                left_s -= bars.take(bar, bar + 1)
        if left_s == before:
            others = [bars for bars in order if (bars.free & (bars.lengths_s <= left_s)).any()]
            if not others:
                return
            bar = int(np.flatnonzero(others[0].free & (others[0].lengths_s <= left_s))[0])
            left_s -= others[0].take(bar, bar + 1)


@dataclass
class _Song:
    """A song, and which parts of it are not yet taken."""

    track: Multitrack
    free: list[tuple[float, float]]
    taken: list[tuple[float, float]] = field(default_factory=list)

    def take(self, length_s: float, rng: np.random.Generator) -> float:
        """Take a stretch of about a length, never a longer one; returns its length in seconds."""
        long_enough = [(start, end) for start, end in self.free if end - start >= length_s - 1e-9]
        if not long_enough:
            start, end = max(self.free, key=lambda one: one[1] - one[0])
        else:
            start, end = self._best(long_enough, length_s, rng)
        self.free = [
            piece
            for a, b in self.free
            for piece in ([(a, start), (end, b)] if a <= start and end <= b else [(a, b)])
            if piece[1] - piece[0] > 1e-6
        ]
        self.taken.append((start, end))
        return end - start

    def _best(
        self, long_enough: Sequence[tuple[float, float]], length_s: float, rng: np.random.Generator
    ) -> tuple[float, float]:
        """Select the one of a few random positions at which most stems are active."""
        slack = np.array([end - start - length_s for start, end in long_enough])
        positions: list[tuple[float, float]] = []
        for _ in range(POSITIONS if slack.max() > 1e-6 else 1):
            at = int(rng.choice(len(long_enough), p=(slack + 1e-9) / (slack + 1e-9).sum()))
            first, last = long_enough[at]
            start = first + round(float(rng.uniform(0, max(slack[at], 0))), 3)
            if start - first < SHORTEST_GAP_S:
                start = first
            if last - start - length_s < SHORTEST_GAP_S:
                start = max(first, last - length_s)
            positions.append((start, min(start + length_s, last)))
        if len(positions) == 1:
            return positions[0]
        return max(positions, key=lambda position: _active(self.track, *position))

    def spans(self) -> list[Span[Multitrack]]:
        """Return the taken parts, neighbours as one."""
        spans: list[tuple[float, float]] = []
        for start, end in sorted(self.taken):
            if spans and start - spans[-1][1] < 1e-6:
                spans[-1] = (spans[-1][0], end)
            else:
                spans.append((start, end))
        return [Span(self.track, start, end) for start, end in spans]


def _sample_stems(songs: Sequence[Multitrack], budget_s: float, rng: np.random.Generator) -> list[Span[Multitrack]]:
    pool = [_Song(song, [(0.0, song.duration_s)]) for song in songs]
    available_s, left_s = sum(song.track.duration_s for song in pool), budget_s
    stretch_s = _stretch_s(available_s, budget_s, len(pool), tolerance_s=1e-3)
    by_instrument, by_group = Counter[str](), Counter[str]()
    while left_s > 1e-3:
        free = [song for song in pool if song.free]
        if not free:
            break
        song = _next_song([song for song in free if not song.taken] or free, by_instrument, by_group, rng)
        left_s -= song.take(min(stretch_s, left_s), rng)
        by_group[song.track.group] += 1
        by_instrument.update(song.track.instruments)
    return [span for song in pool for span in song.spans()]


def _next_song(
    pool: Sequence[_Song], by_instrument: Counter[str], by_group: Counter[str], rng: np.random.Generator
) -> _Song:
    """Select a song with an instrument that was taken least often, of the group that was taken least often."""
    order: list[_Song] = [pool[index] for index in rng.permutation(len(pool))]
    least = min(by_instrument[name] for song in order for name in song.track.instruments)

    def turns(song: _Song) -> tuple[bool, int]:
        return min(by_instrument[name] for name in song.track.instruments) > least, by_group[song.track.group]

    return min(order, key=turns)


def _active(song: Multitrack, start_s: float, end_s: float) -> float:
    """Compute the share of a stretch in which each stem is active, summed over stems."""
    total = 0.0
    for takes in song.stems.values():
        active = np.zeros(max(1, round((end_s - start_s) / FRAME_S)), np.bool_)
        for path in takes:
            info = audio_info(path)
            if round(start_s * info.rate) >= info.samples:
                continue
            samples, rate = audio.read(path, start_s=start_s, duration_s=end_s - start_s)
            peaks = np.abs(samples).max(axis=0)
            size = max(1, round(FRAME_S * rate))
            frames = peaks[: len(peaks) // size * size].reshape(-1, size).max(axis=1)[: len(active)]
            active[: len(frames)] |= frames > ACTIVE
        total += float(active.mean())
    return total
