"""Which bars to annotate first in a pool of recordings without labels."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.selection.features import FPS, RhythmFeatures, rhythm_features, similarity
from levada.beat_tracking.selection.schemes import get_scheme
from levada.beat_tracking.selection.uncertainty import cached_beats, uncertainties
from levada.beat_tracking.tracker import TrackerLike
from levada.data import Track
from levada.data.sampling import LONGEST_BAR, STRETCH_BARS, STRETCH_S
from levada.errors import InputError
from levada.io.beats import Beats

__all__ = ["Selection", "select"]

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

UNCERTAINTY = "uncertainty"
STILL = 0.1  # a bar with a tenth of the usual onset strength is a pause: nobody could annotate it
REST_S = 4.0  # less than this is not worth another stretch

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """A stretch to annotate.

    Parameters
    ----------
    track : Track
        The recording.
    start_s, end_s : float
        From a downbeat to a downbeat that the tracker found, in seconds; from beat to beat where it knows no downbeats.
    bars : int
        How many lie between, or beats where it knows no downbeats.
    rank : int
        1 for what to annotate first.
    why : str
        For people.
    """

    track: Track
    start_s: float
    end_s: float
    bars: int
    rank: int
    why: str

    @property
    def duration_s(self) -> float:
        """Its length in seconds: what it costs of a budget."""
        return self.end_s - self.start_s


def select(
    tracks: Sequence[Track],
    *,
    minutes: float,
    scheme: str,
    rng: np.random.Generator,
    tracker: TrackerLike,
    progress: Callable[[int, int], None] | None = None,
) -> list[Selection]:
    """Choose what to annotate first.

    The scheme ranks the recordings. The budget goes to them in that order in stretches of about 16 s, one a recording
    while there are recordings enough: for "uncertainty" where the tracker is least sure, else in the middle, or evenly
    spread where a recording gets several. Passages in which nothing is played are left out.

    Parameters
    ----------
    tracks : sequence of Track
        The pool. Recordings that are annotated are passed over, but what is like them is worth less; those that cannot
        be read, are silent or shorter than 2 s are passed over with a warning.
    minutes : float
        How much will be annotated, in minutes of audio.
    scheme : str
        One of `SCHEMES`.
    rng : numpy.random.Generator
        Breaks ties; the same seed chooses the same stretches.
    tracker : TrackerLike
        Finds bars, and says how sure it is.
    progress : callable, optional
        Told recordings done, and of how many; those that are heard and tracked count twice.

    Returns
    -------
    list of Choice
        The most useful one first. They sum to at most the budget.

    Raises
    ------
    InputError
        If there is no such scheme, nothing is left to annotate or can be read, the pool has less than the budget, or
        the budget is shorter than a bar; or if "uncertainty" is asked of a tracker that tells no confidence.
    """
    chooser = get_scheme(scheme)
    if not 0 < minutes < math.inf:
        raise InputError(f"a budget must be above 0 minutes, not {minutes:g}")
    stretches = max(1, round(60 * minutes / STRETCH_S))
    todo = sum(not track.is_annotated for track in tracks)
    told = _Told(progress, len(tracks) + (todo if scheme == UNCERTAINTY else min(stretches, todo)))
    heard = _heard(tracks, told)
    pool = list(heard)
    known = [i for i, track in enumerate(pool) if track.is_annotated]
    free = [i for i, track in enumerate(pool) if not track.is_annotated]
    _check(tracks, [heard[pool[i]] for i in free], minutes)
    alike, doubt = similarity(list(heard.values())), None
    bars = {i: _Bars(heard[pool[i]], pieces=math.ceil(stretches / len(free))) for i in free}

    def ready(i: int) -> _Bars:
        if not bars[i].is_tracked:
            bars[i].find(pool[i], tracker, needs_confidence=scheme == UNCERTAINTY)
            told.step()
        return bars[i]

    if scheme == UNCERTAINTY:
        doubt = np.zeros(len(pool))
        for i in free:
            doubt[i] = ready(i).mean_doubt
        chooser = partial(chooser, unsure=doubt)
    first = chooser(alike, count=stretches, rng=rng, known=known)
    order = first + chooser(alike, count=len(free), rng=rng, known=[*known, *first])
    taken = _spend(order, ready, budget_s=60 * minutes, stretches=stretches, doubtful=doubt is not None)
    chosen = list(dict.fromkeys(i for i, _, _ in taken))
    why = {i: _why(scheme, i, alike, known, chosen) for i in chosen}
    return [
        Selection(
            pool[i],
            float(bars[i].cuts_s[a]),
            float(bars[i].cuts_s[b]),
            b - a,
            rank,
            why[i] if doubt is None else _sure(float(bars[i].doubt[a:b].mean()), float(doubt[free].mean())),
        )
        for rank, (i, a, b) in enumerate(taken, start=1)
    ]


@dataclass
class _Told:
    """Progress in steps."""

    progress: Callable[[int, int], None] | None
    total: int
    done: int = 0

    def step(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(min(self.done, self.total), self.total)


def _heard(tracks: Sequence[Track], told: _Told) -> dict[Track, RhythmFeatures]:
    heard: dict[Track, RhythmFeatures] = {}
    for track in tracks:
        try:
            heard[track] = rhythm_features(track)
        except InputError as error:
            _log.warning("%s; it is left out", error)
        told.step()
    return heard


def _check(tracks: Sequence[Track], free: Sequence[RhythmFeatures], minutes: float) -> None:
    """Whether there is enough to choose from."""
    if not tracks:
        raise InputError("there are no recordings to choose from")
    if all(track.is_annotated for track in tracks):
        raise InputError(f"all recordings ({len(tracks)}) are annotated already: there is nothing to choose")
    if not free:
        raise InputError("no recording that is not annotated can be used")
    there_s = sum(rhythm.duration_s for rhythm in free)
    if there_s < 60 * minutes:
        raise InputError(_too_little(there_s, minutes))


def _too_little(there_s: float, minutes: float) -> str:
    return f"there are {there_s / 60:.2f} minutes that could be annotated; asked {minutes:g}"


@dataclass
class _Bars:
    """The bars of one recording, and which of them are chosen."""

    rhythm: RhythmFeatures
    pieces: int  # stretches that are planned here
    is_tracked: bool = False
    cuts_s: Floats = field(default_factory=lambda: np.zeros(0))
    free: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    doubt: Floats = field(default_factory=lambda: np.zeros(0))
    used: int = 0

    @property
    def lengths_s(self) -> Floats:
        return np.diff(self.cuts_s)

    @property
    def free_s(self) -> float:
        return float(self.lengths_s[self.free].sum()) if len(self.free) else 0.0

    @property
    def mean_doubt(self) -> float:
        """Mean uncertainty of the bars that can be chosen: no other bar of the recording is ever annotated."""
        return float(self.doubt[self.free].mean()) if self.free.any() else 0.0

    def find(self, track: Track, tracker: TrackerLike, *, needs_confidence: bool) -> None:
        """Track the recording."""
        self.is_tracked = True
        beats = cached_beats(track, tracker=tracker)
        if needs_confidence:
            uncertainties(beats, tracker=tracker)
        cuts = beats.downbeats_s if len(beats.downbeats_s) > 1 else beats.times_s
        if len(cuts) < 2:
            _log.warning("%s: %s finds no bars in it; it is left out", track.audio, tracker.name)
            return
        self.cuts_s = cuts
        self.doubt = _doubt(beats, cuts)
        loud = np.concatenate([[0.0], np.cumsum(np.maximum(self.rhythm.onsets, 0), dtype=np.float64)])
        edges = np.clip(np.round(cuts * FPS).astype(int), 0, len(loud) - 1)
        strength = np.diff(loud[edges]) / self.lengths_s
        self.free = (self.lengths_s <= LONGEST_BAR * np.median(self.lengths_s)) & (
            strength > STILL * np.median(strength)
        )

    def take(self, goal_s: float, left_s: float, *, doubtful: bool) -> tuple[int, int] | None:
        """Choose a stretch of about the length wanted, never above what is left; which bars, half-open."""
        places = list(self._places(goal_s, left_s))
        if not places:
            return None
        longest = max(self.cuts_s[b] - self.cuts_s[a] for a, b in places)
        places = [(a, b) for a, b in places if self.cuts_s[b] - self.cuts_s[a] >= 0.8 * min(longest, goal_s)]
        if doubtful:
            best = max(places, key=lambda ab: round(float(self.doubt[ab[0] : ab[1]].mean()), 9))
        else:
            share = ((self.used % self.pieces) + 0.5) / self.pieces
            wanted_s = self.cuts_s[0] + share * (self.cuts_s[-1] - self.cuts_s[0])
            best = min(places, key=lambda ab: abs(float(self.cuts_s[ab[0]] + self.cuts_s[ab[1]]) / 2 - wanted_s))
        self.free[best[0] : best[1]] = False
        self.used += 1
        return best

    def _places(self, goal_s: float, left_s: float) -> Iterator[tuple[int, int]]:
        edges = np.flatnonzero(np.diff(np.concatenate(([False], self.free, [False])).astype(np.int8)))
        for first, last in edges.reshape(-1, 2).tolist():
            for start in range(first, last):
                ends = self.cuts_s[start + 1 : last + 1] - self.cuts_s[start]
                fitting = int(np.searchsorted(ends, left_s + 1e-6, side="right"))
                wanted = max(int(np.abs(ends - goal_s).argmin()) + 1, STRETCH_BARS)
                if fitting:
                    yield start, start + min(wanted, fitting)


def _doubt(beats: Beats, cuts_s: Floats) -> Floats:
    """1 - confidence of the beats in each bar, on average; 0 where nothing is told."""
    if beats.confidence is None:
        return np.zeros(len(cuts_s) - 1)
    total = np.concatenate([[0.0], np.cumsum(1 - beats.confidence)])
    at = np.searchsorted(beats.times_s, cuts_s)
    return np.asarray(np.diff(total[at]) / np.diff(at))


def _spend(
    order: Sequence[int],
    ready: Callable[[int], _Bars],
    *,
    budget_s: float,
    stretches: int,
    doubtful: bool,
) -> list[tuple[int, int, int]]:
    """Recordings and bars, in turn, until the budget is spent."""
    left_s, planned, taken = budget_s, stretches, list[tuple[int, int, int]]()
    while True:
        before = len(taken)
        for i in order:
            if planned < 1 and left_s < REST_S:
                return taken
            found = ready(i).take(left_s / max(planned, 1), left_s, doubtful=doubtful)
            if found is not None:
                taken.append((i, *found))
                left_s -= float(ready(i).cuts_s[found[1]] - ready(i).cuts_s[found[0]])
                planned -= 1
        if len(taken) == before:
            break
    if not any(ready(i).free.any() for i in order) and (not taken or left_s >= REST_S):
        raise InputError(_too_little(budget_s - left_s, budget_s / 60))
    if not taken:
        raise InputError(f"a budget of {budget_s / 60:.2g} minutes is shorter than a bar")
    return taken


def _why(scheme: str, one: int, alike: Floats, known: Sequence[int], chosen: Sequence[int]) -> str:
    if scheme == "random":
        return "at random"
    if scheme == "diversity":
        before = [*known, *chosen[: chosen.index(one)]]
        if not before:
            return "at random, as the first"
        return f"unlike those before it: similarity at most {alike[one, before].max():.2f}"
    them = [*known, *chosen]
    stands = int((np.array(them)[alike[:, them].argmax(axis=1)] == one).sum())
    return f"stands for {stands} of {len(alike)} recordings" if stands > 1 else "like no other"


def _sure(here: float, pool: float) -> str:
    return f"{1 - here:.0%} sure here, {1 - pool:.0%} in the pool"
