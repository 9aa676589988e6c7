"""Budgets in minutes of stems, and splits that keep performers apart and instruments on both sides.

People record a few stretches, not isolated seconds, so a budget is spent as `levada.data.budget` spends one: about a
stretch for every 16 seconds of it, at random places, of as many songs as there are stretches. Instruments take turns,
then groups, and of a few places the one is taken at which most stems are heard.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from levada.data.budget import STRETCH_S
from levada.data.multitracks import Multitrack, StemCorpus, StemSpan, facts_of
from levada.errors import InputError
from levada.io import audio

__all__ = ["draw_stems", "split_stems", "whole"]

Generator = np.random.Generator

PLACES = 5  # that are listened to before one is taken
HEARD, LOOK_S = 3e-3, 0.5  # peak, of so many seconds, from which on a stem is heard: -50 dB below full scale
LEAST_S = 2.0  # nothing shorter is left over between stretches


@dataclass
class _Rest:
    """A song and what of it is not yet drawn."""

    song: Multitrack
    free: list[tuple[float, float]]
    drawn: list[tuple[float, float]] = field(default_factory=list)

    @property
    def free_s(self) -> float:
        return sum(end - start for start, end in self.free)

    def take(self, length_s: float, rng: Generator) -> float:
        """Draw a stretch of about that length, never a longer one; returns its length."""
        room = [(start, end) for start, end in self.free if end - start >= length_s - 1e-9]
        if not room:
            start, end = max(self.free, key=lambda one: one[1] - one[0])
        else:
            start, end = self._best(room, length_s, rng)
        self.free = [
            piece
            for a, b in self.free
            for piece in ([(a, start), (end, b)] if a <= start and end <= b else [(a, b)])
            if piece[1] - piece[0] > 1e-6
        ]
        self.drawn.append((start, end))
        return end - start

    def _best(self, room: Sequence[tuple[float, float]], length_s: float, rng: Generator) -> tuple[float, float]:
        """Of a few random places, the one at which most is heard."""
        slack = np.array([end - start - length_s for start, end in room])
        places: list[tuple[float, float]] = []
        for _ in range(PLACES if slack.max() > 1e-6 else 1):
            at = int(rng.choice(len(room), p=(slack + 1e-9) / (slack + 1e-9).sum()))
            first, last = room[at]
            start = first + round(float(rng.uniform(0, max(slack[at], 0))), 3)
            if start - first < LEAST_S:
                start = first
            if last - start - length_s < LEAST_S:
                start = max(first, last - length_s)
            places.append((start, min(start + length_s, last)))
        if len(places) == 1:
            return places[0]
        return max(places, key=lambda place: _heard(self.song, *place))

    def spans(self) -> list[StemSpan]:
        """What was drawn, neighbours as one."""
        found: list[tuple[float, float]] = []
        for start, end in sorted(self.drawn):
            if found and start - found[-1][1] < 1e-6:
                found[-1] = (found[-1][0], end)
            else:
                found.append((start, end))
        return [StemSpan(self.song, start, end) for start, end in found]


def whole(song: Multitrack) -> StemSpan:
    """Give all of a song as one stretch."""
    return StemSpan(song, 0.0, song.duration_s)


def draw_stems(songs: Sequence[Multitrack], *, minutes: float, rng: Generator) -> list[StemSpan]:
    """Draw a budget of minutes of stems, spread over instruments, groups and songs.

    Parameters
    ----------
    songs : sequence of Multitrack
        Where to draw from.
    minutes : float
        The budget: minutes of music, however many stems it has. What is set aside for validation comes out of it.
    rng : numpy.random.Generator
        Decides which stretches; the same seed draws the same ones.

    Returns
    -------
    list of StemSpan
        Sorted by song and time; they sum to the budget.

    Raises
    ------
    InputError
        If the budget is not above zero, or there is less than asked, or a file cannot be read.
    """
    if not minutes > 0:
        raise InputError(f"a budget must be above 0 minutes, not {minutes:g}")
    pool = [_Rest(song, [(0.0, song.duration_s)]) for song in songs]
    there, left = sum(rest.free_s for rest in pool), 60.0 * minutes
    if there < left - 1e-3:
        raise InputError(f"the corpus has {there / 60:.2f} minutes of stems; asked {minutes:g}")
    stretch_s = left / np.clip(round(left / STRETCH_S), 1, len(pool))
    played, asked = Counter[str](), Counter[str]()
    while left > 1e-3:
        taking = [rest for rest in pool if rest.free]
        if not taking:
            break
        rest = _next([one for one in taking if not one.drawn] or taking, played, asked, rng)
        length_s = rest.take(min(float(stretch_s), left), rng)
        left -= length_s
        asked[rest.song.group] += 1
        for name in rest.song.instruments:
            played[name] += 1
    return [span for rest in sorted(pool, key=lambda rest: rest.song.id) for span in rest.spans()]


def _next(pool: Sequence[_Rest], played: Counter[str], asked: Counter[str], rng: Generator) -> _Rest:
    """Whose turn it is: a song with an instrument that was drawn least, of the group that was."""
    order: list[_Rest] = [pool[index] for index in rng.permutation(len(pool))]
    least = min(played[name] for rest in order for name in rest.song.instruments)

    def turns(rest: _Rest) -> tuple[bool, int]:
        return min(played[name] for name in rest.song.instruments) > least, asked[rest.song.group]

    return min(order, key=turns)


def _heard(song: Multitrack, start_s: float, end_s: float) -> float:
    """How much of a stretch each stem is heard in, summed over stems."""
    total = 0.0
    for takes in song.stems.values():
        loud = np.zeros(max(1, round((end_s - start_s) / LOOK_S)), np.bool_)
        for path in takes:
            facts = facts_of(path)
            if round(start_s * facts.rate) >= facts.samples:
                continue
            samples, rate = audio.read(path, start_s=start_s, duration_s=end_s - start_s)
            peaks = np.abs(samples).max(axis=0)
            size = max(1, round(LOOK_S * rate))
            frames = peaks[: len(peaks) // size * size].reshape(-1, size).max(axis=1)[: len(loud)]
            loud[: len(frames)] |= frames > HEARD
        total += float(loud.mean())
    return total


def split_stems(
    corpus: StemCorpus, *, test: float = 0.4, rng: Generator
) -> tuple[tuple[Multitrack, ...], tuple[Multitrack, ...]]:
    """Split songs into training and test so that no group is on both sides.

    Parameters
    ----------
    corpus : StemCorpus
        Where songs and their groups come from.
    test : float
        The part of the songs to test on, between 0 and 1, met as closely as whole groups allow. Every instrument
        stays in training; those that several groups have are tested first.
    rng : numpy.random.Generator
        Decides which groups.

    Returns
    -------
    train, test : tuple of Multitrack
        Sorted as in the corpus; each has at least one.

    Raises
    ------
    InputError
        If the share is not between 0 and 1, or there is only one group to split.
    """
    if not 0 < test < 1:
        raise InputError(f"the share of test songs must be between 0 and 1, not {test:g}")
    groups = corpus.groups
    if len(groups) < 2:
        what = f"all {len(corpus.songs)} songs are in one group ({next(iter(groups))})"
        if len(corpus.songs) < 2:
            raise InputError("has one song: a split into training and test needs 2", path=corpus.root)
        raise InputError(
            f"{what}, so a test would know its performers from training: tell them apart under [groups] in corpus.toml",
            path=corpus.root,
        )
    names = [list(groups)[index] for index in rng.permutation(len(groups))]
    wanted, chosen, count = test * len(corpus.songs), list[str](), 0
    tested, kept = Counter[str](), Counter(name for song in corpus.songs for name in song.instruments)
    while len(chosen) < len(names) - 1:
        fits = [
            name
            for name in names
            if name not in chosen and abs(count + len(groups[name]) - wanted) < abs(count - wanted)
        ]
        safe = [name for name in fits if all(kept[one] > often for one, often in _often(groups[name]).items())]
        if not (safe or (fits and not chosen)):
            break
        name = min(safe or fits, key=lambda name: min(tested[one] for one in _often(groups[name])))
        chosen.append(name)
        count += len(groups[name])
        tested.update(_often(groups[name]))
        kept.subtract(_often(groups[name]))
    if not chosen:
        chosen.append(min(names, key=lambda name: len(groups[name])))
    return (
        tuple(song for song in corpus.songs if song.group not in chosen),
        tuple(song for song in corpus.songs if song.group in chosen),
    )


def _often(songs: Sequence[Multitrack]) -> Counter[str]:
    """How many of these songs have each instrument."""
    return Counter(name for song in songs for name in song.instruments)
