"""Selection of the spans to annotate first in a pool of recordings without labels."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.selection.features import FPS, RhythmFeatures, all_rhythm_features, similarity
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
PAUSE = 0.1  # a bar with less than a tenth of the median onset strength is a pause
REST_S = 4.0  # a shorter rest of the budget is not used

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Selection:
    """A span to annotate.

    Parameters
    ----------
    track : Track
        The recording.
    start_s, end_s : float
        From a downbeat to a downbeat of the tracker, in seconds; from beat to beat if it finds no downbeats.
    bars : int
        Number of bars, or of beats if it finds no downbeats.
    rank : int
        1 for the first to annotate.
    reason : str
        Why it was selected, as text.
    """

    track: Track
    start_s: float
    end_s: float
    bars: int
    rank: int
    reason: str

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
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
    """Select the spans to annotate first.

    The scheme ranks the recordings. The budget goes to them in that order in stretches of about 16 s, one a recording
    while there are recordings enough: for "uncertainty" where the tracker is least certain, else in the middle, or
    evenly spread where a recording gets several. Passages in which nothing is played are left out.

    Parameters
    ----------
    tracks : sequence of Track
        The pool. Recordings that are annotated are not selected, but those similar to them are worth less. Those that
        cannot be read, are silent or shorter than 2 s are skipped with a warning.
    minutes : float
        How much will be annotated, in minutes of audio.
    scheme : str
        One of `SCHEMES`.
    rng : numpy.random.Generator
        Breaks ties; the same seed chooses the same stretches.
    tracker : TrackerLike
        Finds the bars, with their confidence.
    progress : callable, optional
        Called with recordings done, and of how many; those that are also tracked count twice.

    Returns
    -------
    list of Choice
        The most useful one first. They sum to at most the budget.

    Raises
    ------
    InputError
        If there is no such scheme, nothing is left to annotate or can be read, the pool has less than the budget, or
        the budget is shorter than a bar; or if the scheme is "uncertainty" and the tracker gives no confidence.
    """
    chooser = get_scheme(scheme)
    if not 0 < minutes < math.inf:
        raise InputError(f"a budget must be above 0 minutes, not {minutes:g}")
    stretches = max(1, round(60 * minutes / STRETCH_S))
    todo = sum(not track.is_annotated for track in tracks)
    steps = _Steps(progress, len(tracks) + (todo if scheme == UNCERTAINTY else min(stretches, todo)))
    rhythms = all_rhythm_features(tracks, otherwise="it is skipped", step=steps.step)
    pool = list(rhythms)
    annotated = [i for i, track in enumerate(pool) if track.is_annotated]
    free = [i for i, track in enumerate(pool) if not track.is_annotated]
    _check(tracks, [rhythms[pool[i]] for i in free], minutes)
    similarities, uncertainty = similarity(list(rhythms.values())), None
    bars = {i: _Bars(rhythms[pool[i]], pieces=math.ceil(stretches / len(free))) for i in free}

    def ready(i: int) -> _Bars:
        if not bars[i].is_tracked:
            bars[i].find(pool[i], tracker, needs_confidence=scheme == UNCERTAINTY)
            steps.step()
        return bars[i]

    if scheme == UNCERTAINTY:
        uncertainty = np.zeros(len(pool))
        for i in free:
            uncertainty[i] = ready(i).mean_uncertainty
        chooser = partial(chooser, uncertainties=uncertainty)
    first = chooser(similarities, count=stretches, rng=rng, annotated=annotated)
    order = first + chooser(similarities, count=len(free), rng=rng, annotated=[*annotated, *first])
    taken = _spend(order, ready, budget_s=60 * minutes, stretches=stretches, uncertain=uncertainty is not None)
    chosen = list(dict.fromkeys(i for i, _, _ in taken))
    reasons = {i: _reason(scheme, i, similarities, annotated, chosen) for i in chosen}
    return [
        Selection(
            pool[i],
            float(bars[i].cuts_s[a]),
            float(bars[i].cuts_s[b]),
            b - a,
            rank,
            reasons[i] if uncertainty is None else _confidence_text(bars[i].uncertainty[a:b], uncertainty[free]),
        )
        for rank, (i, a, b) in enumerate(taken, start=1)
    ]


@dataclass
class _Steps:
    """Progress, counted in steps."""

    progress: Callable[[int, int], None] | None
    total: int
    done: int = 0

    def step(self) -> None:
        self.done += 1
        if self.progress is not None:
            self.progress(min(self.done, self.total), self.total)


def _check(tracks: Sequence[Track], free: Sequence[RhythmFeatures], minutes: float) -> None:
    """Check that there is enough to select from."""
    if not tracks:
        raise InputError("there are no recordings to select from")
    if all(track.is_annotated for track in tracks):
        raise InputError(f"all recordings ({len(tracks)}) are annotated already: there is nothing to select")
    if not free:
        raise InputError("no recording that is not annotated can be used")
    available_s = sum(rhythm.duration_s for rhythm in free)
    if available_s < 60 * minutes:
        raise InputError(_too_little(available_s, minutes))


def _too_little(available_s: float, minutes: float) -> str:
    return f"there are {available_s / 60:.2f} minutes that could be annotated; asked {minutes:g}"


@dataclass
class _Bars:
    """The bars of one recording, and which of them can still be selected."""

    rhythm: RhythmFeatures
    pieces: int  # spans that are planned here
    is_tracked: bool = False
    cuts_s: Floats = field(default_factory=lambda: np.zeros(0))
    free: Bools = field(default_factory=lambda: np.zeros(0, np.bool_))
    uncertainty: Floats = field(default_factory=lambda: np.zeros(0))
    used: int = 0

    @property
    def lengths_s(self) -> Floats:
        return np.diff(self.cuts_s)

    @property
    def mean_uncertainty(self) -> float:
        """Mean uncertainty of the bars that can be selected."""
        return float(self.uncertainty[self.free].mean()) if self.free.any() else 0.0

    def find(self, track: Track, tracker: TrackerLike, *, needs_confidence: bool) -> None:
        """Track the recording, and cut it at its downbeats."""
        self.is_tracked = True
        beats = cached_beats(track, tracker=tracker)
        if needs_confidence:
            uncertainties(beats, tracker=tracker)
        cuts = beats.downbeats_s if len(beats.downbeats_s) > 1 else beats.times_s
        if len(cuts) < 2:
            _log.warning("%s: %s finds no bars in it; it is skipped", track.audio, tracker.name)
            return
        self.cuts_s = cuts
        self.uncertainty = _bar_uncertainties(beats, cuts)
        loud = np.concatenate([[0.0], np.cumsum(np.maximum(self.rhythm.onsets, 0), dtype=np.float64)])
        edges = np.clip(np.round(cuts * FPS).astype(int), 0, len(loud) - 1)
        strength = np.diff(loud[edges]) / self.lengths_s
        self.free = (self.lengths_s <= LONGEST_BAR * np.median(self.lengths_s)) & (
            strength > PAUSE * np.median(strength)
        )

    def take(self, goal_s: float, left_s: float, *, uncertain: bool) -> tuple[int, int] | None:
        """Select a span of about a length, never above what is left of the budget; return its bars, half-open."""
        places = list(self._places(goal_s, left_s))
        if not places:
            return None
        longest = max(self.cuts_s[b] - self.cuts_s[a] for a, b in places)
        places = [(a, b) for a, b in places if self.cuts_s[b] - self.cuts_s[a] >= 0.8 * min(longest, goal_s)]
        if uncertain:
            best = max(places, key=lambda ab: round(float(self.uncertainty[ab[0] : ab[1]].mean()), 9))
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


def _bar_uncertainties(beats: Beats, cuts_s: Floats) -> Floats:
    """1 - confidence of the beats in each bar, on average; 0 where nothing is steps."""
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
    uncertain: bool,
) -> list[tuple[int, int, int]]:
    """Return recordings and bars, in turn, until the budget is spent."""
    left_s, planned, taken = budget_s, stretches, list[tuple[int, int, int]]()
    while True:
        before = len(taken)
        for i in order:
            if planned < 1 and left_s < REST_S:
                return taken
            found = ready(i).take(left_s / max(planned, 1), left_s, uncertain=uncertain)
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


def _reason(scheme: str, one: int, similarities: Floats, annotated: Sequence[int], chosen: Sequence[int]) -> str:
    if scheme == "random":
        return "at random"
    if scheme == "diversity":
        before = [*annotated, *chosen[: chosen.index(one)]]
        if not before:
            return "at random, as the first"
        return f"dissimilar to those before it: similarity at most {similarities[one, before].max():.2f}"
    them = [*annotated, *chosen]
    stands = int((np.array(them)[similarities[:, them].argmax(axis=1)] == one).sum())
    return f"represents {stands} of {len(similarities)} recordings" if stands > 1 else "similar to no other"


def _confidence_text(here: Floats, pool: Floats) -> str:
    return f"mean confidence {1 - here.mean():.0%} here, {1 - pool.mean():.0%} in the pool"
