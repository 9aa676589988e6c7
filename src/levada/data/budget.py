"""Budgets in minutes of annotated audio, and splits that keep performers apart.

People annotate contiguous passages, not isolated bars, so a budget is spent on a few stretches: about one for
every 16 seconds of it, never more than one for each recording, from a downbeat to a downbeat. The groups are
visited in turn and the recordings inside a group in turn, in an order the seed decides. What whole stretches
leave over goes to bars beside them, so that the sum is never above the budget and less than one bar below it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

import numpy as np
import numpy.typing as npt

from levada.data.spans import cut, stretches
from levada.data.tracks import Corpus, Span, Track
from levada.errors import InputError

__all__ = ["draw", "hold_out", "split"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

STRETCH_S = 16.0  # a stretch lasts about this long, in seconds, or longer where recordings are few
STRETCH_BARS = 4  # and at least this many bars
LONGEST_BAR = 3.0  # a bar this many times the median one lacks downbeats


@dataclass
class _Bars:
    """The whole bars of one track and which of them are drawn; beats where no downbeat is known."""

    track: Track
    starts_s: Floats
    ends_s: Floats
    free: Bools  # annotated and not yet drawn
    drawn: Bools

    @property
    def lengths_s(self) -> Floats:
        return self.ends_s - self.starts_s

    def runs(self, mask: Bools) -> list[tuple[int, int]]:
        """Stretches of neighbouring bars inside a mask, as half-open ranges."""
        edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
        return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]

    def take(self, first: int, last: int) -> float:
        self.free[first:last], self.drawn[first:last] = False, True
        return float(self.lengths_s[first:last].sum())

    def spans(self) -> list[Span]:
        return [Span(self.track, float(self.starts_s[a]), float(self.ends_s[b - 1])) for a, b in self.runs(self.drawn)]


def _bars(track: Track, *, within: Span | None = None) -> _Bars:
    beats = track.beats() if within is None else within.beats
    cuts = beats.downbeats_s if len(beats.downbeats_s) > 1 else beats.times_s
    starts, ends = cuts[:-1], cuts[1:]
    known = np.zeros(len(starts), dtype=np.bool_)
    for start_s, end_s in stretches(beats):
        known |= (starts >= start_s) & (ends <= end_s)
    if known.any():
        known &= ends - starts <= LONGEST_BAR * np.median((ends - starts)[known])
    return _Bars(track, starts, ends, known, np.zeros_like(known))


def draw(tracks: Sequence[Track], *, minutes: float, rng: np.random.Generator) -> list[Span]:
    """Draw a budget of annotated minutes in whole bars, spread over groups and recordings.

    Parameters
    ----------
    tracks : sequence of Track
        Where to draw from; those without annotation are passed over.
    minutes : float
        The budget, in minutes of annotated audio. Labels for validation come out of it too (`hold_out`).
    rng : numpy.random.Generator
        Decides which passages; the same seed draws the same ones.

    Returns
    -------
    list of Span
        Sorted by track and time. They sum to at most the budget and miss it by less than a bar, or a beat
        where a recording has no downbeats.

    Raises
    ------
    InputError
        If the budget is not above zero, is shorter than a bar, or less is annotated than asked.
    """
    if not minutes > 0:
        raise InputError(f"a budget must be above 0 minutes, not {minutes:g}")
    pool = [_bars(track) for track in tracks if track.is_annotated]
    there = sum(float(bars.lengths_s[bars.free].sum()) for bars in pool)
    left = 60.0 * minutes
    if there < left - 1e-6:
        raise InputError(f"the corpus has {there / 60:.2f} annotated minutes in whole bars; asked {minutes:g}")
    pool = [bars for bars in pool if bars.free.any()]
    stretch_s = left / np.clip(round(left / STRETCH_S), 1, len(pool))
    left += 1e-6  # a budget that is exactly what is annotated must not fail by a rounding
    for bars in _in_turn(pool, rng=rng):
        if left < stretch_s / 2:
            break
        left -= _take_stretch(bars, stretch_s=stretch_s, left_s=left, rng=rng)
    left = _take_rest(pool, left_s=left, rng=rng)
    spans = [span for bars in pool for span in bars.spans()]
    if not spans:
        raise InputError(f"a budget of {minutes:g} minutes is shorter than a bar")
    return sorted(spans, key=lambda span: (span.track.id, span.start_s))


def _in_turn(pool: Sequence[_Bars], *, rng: np.random.Generator) -> Iterator[_Bars]:
    """Every track once, the groups taking turns, in random order."""
    groups: dict[str, list[_Bars]] = {}
    for i in rng.permutation(len(pool)):
        groups.setdefault(pool[i].track.group, []).append(pool[i])
    for turn in zip_longest(*groups.values()):
        yield from (bars for bars in turn if bars is not None)


def _take_stretch(bars: _Bars, *, stretch_s: float, left_s: float, rng: np.random.Generator) -> float:
    """Draw one stretch of neighbouring bars at a random place; returns its length in seconds."""
    ends = np.concatenate(([0.0], np.cumsum(bars.lengths_s)))
    best: list[tuple[int, int]] = []
    for first, last in bars.runs(bars.free):
        for start in range(first, last):
            fitting = int(np.searchsorted(ends, ends[start] + stretch_s, side="right")) - 1
            stop = min(max(fitting, start + STRETCH_BARS), last)
            if ends[stop] - ends[start] > left_s:
                stop = min(stop, int(np.searchsorted(ends, ends[start] + left_s, side="right")) - 1)
            if stop > start:
                best.append((start, stop))
    if not best:
        return 0.0
    # Places near the end hold less than a whole stretch: they are for recordings that have nothing longer.
    longest = max(ends[b] - ends[a] for a, b in best)
    full = [(a, b) for a, b in best if ends[b] - ends[a] >= 0.9 * min(longest, stretch_s)]
    return bars.take(*full[rng.integers(len(full))])


def _take_rest(pool: Sequence[_Bars], *, left_s: float, rng: np.random.Generator) -> float:
    """Draw single bars, those beside drawn ones first, until none fits; returns what is left in seconds."""
    order = [pool[i] for i in rng.permutation(len(pool))]
    while True:
        before = left_s
        for bars in order:
            fits = bars.free & (bars.lengths_s <= left_s)
            beside = np.zeros_like(fits)
            beside[:-1] |= bars.drawn[1:]
            beside[1:] |= bars.drawn[:-1]
            if (fits & beside).any():
                bar = int(np.flatnonzero(fits & beside)[0])
                left_s -= bars.take(bar, bar + 1)
        if left_s == before:
            fresh = [bars for bars in order if (bars.free & (bars.lengths_s <= left_s)).any()]
            if not fresh:
                return left_s
            bar = int(np.flatnonzero(fresh[0].free & (fresh[0].lengths_s <= left_s))[0])
            left_s -= fresh[0].take(bar, bar + 1)


def hold_out(spans: Sequence[Span], *, share: float, rng: np.random.Generator) -> tuple[list[Span], list[Span]]:
    """Set a part of the drawn labels aside for validation, inside the same budget.

    Whole spans go to validation while they fit into the share; the rest of it is cut from the end of one more
    span, at a bar.

    Parameters
    ----------
    spans : sequence of Span
        What `draw` drew.
    share : float
        The part to set aside, between 0 and 1 of the summed duration. At least one bar is, and one stays.
    rng : numpy.random.Generator
        Decides which spans.

    Returns
    -------
    train, validation : list of Span
        Together the spans given, without the beat interval at a cut: no beat is on both sides.

    Raises
    ------
    InputError
        If the share is not between 0 and 1, or there is only one bar.
    """
    if not 0 < share < 1:
        raise InputError(f"the share held out for validation must be between 0 and 1, not {share:g}")
    wanted = share * sum(span.duration_s for span in spans)
    train: list[Span] = []
    held: list[Span] = []
    for i in rng.permutation(len(spans)):
        span = spans[i]
        last = len(train) + len(held) == len(spans) - 1
        if span.duration_s <= wanted + 1e-6 and not (last and not train):
            held.append(span)
            wanted -= span.duration_s
            continue
        line_s = _line_s(span, wanted, at_least_one=last and not held)
        before, after = (span, None) if line_s is None else cut(span, line_s)
        if before is None or after is None:
            train.append(span)
            continue
        train.append(before)
        held.append(after)
        wanted = 0.0
    if not held and len(train) > 1:  # single bars everywhere, each longer than the share
        held.append(train.pop())
    if not train or not held:
        raise InputError("only one bar is annotated: nothing can be held out for validation")

    def place(span: Span) -> tuple[str, float]:
        return span.track.id, span.start_s

    return sorted(train, key=place), sorted(held, key=place)


def _line_s(span: Span, wanted_s: float, *, at_least_one: bool) -> float | None:
    """Where to cut so that about the wanted seconds lie behind: a bar line strictly inside the span."""
    cuts = _bars(span.track, within=span).starts_s
    cuts = cuts[(cuts > span.start_s) & (cuts < span.end_s)]
    if not at_least_one:
        cuts = cuts[span.end_s - cuts <= wanted_s + 1e-6]
    if not len(cuts):
        return None
    return float(cuts[np.argmin(np.abs(span.end_s - cuts - wanted_s))])


def split(
    corpus: Corpus, *, test: float = 0.5, rng: np.random.Generator, ignore_groups: bool = False
) -> tuple[tuple[Track, ...], tuple[Track, ...]]:
    """Split the annotated tracks into training and test so that no group is on both sides.

    Parameters
    ----------
    corpus : Corpus
        Where the tracks and their groups come from.
    test : float
        The part of the annotated tracks to test on, between 0 and 1, met as closely as whole groups allow.
    rng : numpy.random.Generator
        Decides which groups.
    ignore_groups : bool
        Split recordings instead of groups. Then the scores also count how well a model knows the performers,
        and must be reported so.

    Returns
    -------
    train, test : tuple of Track
        Sorted as in the corpus; each has at least one track.

    Raises
    ------
    InputError
        If the share is not between 0 and 1, or there is only one group (or recording) to split.
    """
    if not 0 < test < 1:
        raise InputError(f"the share of test tracks must be between 0 and 1, not {test:g}")
    tracks = corpus.annotated
    groups = {track.id: (track,) for track in tracks} if ignore_groups else corpus.groups
    if len(groups) < 2:
        if len(tracks) < 2:
            raise InputError(
                f"{len(tracks)} of its recordings annotated: a split into training and test needs 2", path=corpus.root
            )
        raise InputError(
            f"all {len(tracks)} annotated recordings are in one group ({next(iter(groups))}), so a test "
            "would know its performers from training: tell them apart under [groups] in corpus.toml",
            path=corpus.root,
        )
    names = [list(groups)[i] for i in rng.permutation(len(groups))]
    wanted, chosen, count = test * len(tracks), set[str](), 0
    for name in names:
        size = len(groups[name])
        if abs(count + size - wanted) < abs(count - wanted) and len(chosen) < len(names) - 1:
            chosen.add(name)
            count += size
    if not chosen:
        chosen.add(min(names, key=lambda name: len(groups[name])))
    tested = {track.id for name in chosen for track in groups[name]}
    return tuple(t for t in tracks if t.id not in tested), tuple(t for t in tracks if t.id in tested)
