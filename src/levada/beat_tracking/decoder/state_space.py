"""The bar-pointer model: its states, their transitions and their observation likelihoods.

A bar pointer moves through the bar at a tempo that changes only at beats (Whiteley, Cemgil & Godsill 2006;
state space of Krebs, Böck & Widmer 2015). Inside a beat the model is deterministic, so a *whole beat* is
one step here (a semi-Markov model): a beat is its start frame, its place in the bar and its length in frames,
and

    score(beat) = log likelihood of its frames + log probability of its transition from the beat before.

All metres are states of one model. At the end of a bar the metre is kept, or with a small probability sampled
again. A recording may begin and end anywhere inside any beat of a bar: pickup bars need nothing special.

The beats of a metre may be of unequal length, such as 2+2+2+3: the tempo is then steady where the length of a beat
changes as these proportions do (`Proportions`).

One more state has no pulse. It can follow any beat, lasts two seconds or more, and any beat can follow it, whose tempo
and place in the bar are sampled as at the beginning. A recording may begin and end anywhere inside it. Its frames have
a likelihood of their own (`no_pulse_scores`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from levada.beat_tracking.decoder.periodicity import periodicity
from levada.beat_tracking.decoder.settings import DecoderSettings
from levada.errors import InputError
from levada.io.metres import Metre, beats_in, relative_lengths

__all__ = [
    "BarPointer",
    "Likelihood",
    "LongBarPointer",
    "NetworkLikelihood",
    "NoPulse",
    "Proportions",
    "Windows",
    "bar_pointer",
    "beat_lengths",
    "metre_changes",
    "no_pulse_scores",
    "pattern_pointer",
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Likelihood = Callable[[Ints], Floats]  # start frames (K, n) -> log likelihoods (K, P, n) of whole beats

MIN_PROBABILITY = 0.02  # of any observation: chosen on real recordings, where 1e-5 was worse
FAINT = 0.1  # activations far below this do not distinguish downbeats from other beats
ALIGNMENT_S = 0.01  # how far a peak of the downbeat activation may lie from that of its beat
NO_PULSE_LEAST_S = 2.0
"""The shortest stretch without a pulse: a shorter one would be a break, or a jump of tempo."""
NO_PULSE_REACH_S = 0.5
"""A beat lies so near, wherever there is a pulse."""
NO_PULSE_HEIGHTS, NO_PULSE_SCORES = (0.0, 0.05, 0.1, 0.2), (-0.088, -0.062, -0.036, -0.03)
"""What a frame without a pulse scores beside one without a beat, by the highest activation near it: between what beats
gain in rendered music and in other sounds, and less in silence, so that short breaks are counted through."""
PERIODICITIES, PERIODICITY_SCORES = (0.12, 0.24, 0.4, 0.55), (0.02, 0.0, -0.03, -0.05)
"""What is added by the periodicity around it: talk has up to .25, weak activations of music .3 and more."""
BEGIN_WITHOUT = 0.5  # probability that a recording begins without a pulse
PEAK_S = 0.02  # how far outside the region of a beat its peak may lie
NEVER = -np.inf
RAREST = float(np.log(np.spacing(1)))  # tempo changes not worth counting, and
FRAMES_AT_ONCE = 1 << 16
MOST_CELLS = 1 << 28  # scores of a beat of each tempo and position at each frame of the slowest: 2 GiB
TEMPO_RANGE = 1.2  # least range of tempi by which the number of lengths grows with unequal beats
STILL_POSSIBLE = -300.0  # the same where hints may need them


@dataclass(frozen=True)
class Windows:
    """Stretches of frames, one after another, in each of which exactly one beat must start."""

    first: Ints  # [shape=(hints,)] first frame of each
    last: Ints  # [shape=(hints,)] last frame of each, included
    positions: Ints  # [shape=(hints,)] place in the bar that the beat must have, 0 for any
    missed: float = NEVER  # score of a window in which no beat starts
    misplaced: float = NEVER  # score of a beat with another place in the bar

    def between(self, start: int, stop: int) -> bool:
        """Whether any frame from one to another lies in a window."""
        return bool(np.searchsorted(self.last, start) < np.searchsorted(self.first, stop))

    def at(self, frames: Ints) -> Ints:
        """Index of the window each frame lies in, -1 for none."""
        window = np.searchsorted(self.last, frames, side="left").clip(max=len(self.last) - 1)
        inside = (self.first[window] <= frames) & (frames <= self.last[window])
        return np.where(inside, window, -1)


@dataclass(frozen=True)
class NoPulse:
    """The state without a pulse; scores are natural logarithms of probabilities."""

    scores: Floats  # (frames,) log likelihood of a frame in it
    begin: float  # to begin a recording
    enter: float  # to follow a beat
    least: int  # frames that it lasts, unless the recording begins or ends in it
    stay: float  # to last one frame more
    leave: float  # to be followed by a beat
    positions: Floats  # (P,) position of that beat
    tempi: Floats  # (K, P) and its length


@dataclass(frozen=True)
class Proportions:
    """Changes from beat to beat where the beats of some metres are of unequal length.

    At a bar line any metre may follow any other, so lengths are compared there by the usual beat of each: a last beat
    that is longer or shorter counts as the usual beat of the same tempo.

    Parameters
    ----------
    kinds : int [shape=(P,)]
        Index in `changes` of the change to each position from the one before it.
    changes : tuple of float64 [shape=(K, K)]
        From the length of a beat (row) to that of the next (column).
    usual : int [shape=(K, M)]
        Index of the length of the usual beat of a bar, given that of its last beat.
    """

    kinds: Ints
    changes: tuple[Floats, ...]
    usual: Ints


@dataclass(frozen=True)
class BarPointer:
    """The model for one recording; scores are natural logarithms of probabilities.

    Axes are named K (tempi, from fast to slow), P (positions: every place of every metre) and M (metres, or kinds
    of bars where a metre has several).
    """

    frames: int
    fps: float
    lengths: Ints  # (K,) frames a beat lasts
    regions: Ints  # (K,) frames at its start in which it is observed
    places: Ints  # (P,) place in the bar, counted from 1
    downbeat: Ints  # (P,) 1 for downbeats, 0 for the others
    firsts: Ints  # (M,) the position that begins a bar of each metre
    lasts: Ints  # (M,) and the one that ends it
    begin: Floats  # (K, P) to begin at any one frame of such a beat
    tempo_change: Floats  # (K, K) from a tempo (row) to the next beat's (column)
    bar_change: Floats  # (M, M) from a metre (row) to the next bar's (column)
    activation: Floats  # (frames,) probability of any beat
    sums: Floats  # (3, longest + frames + 1 + longest) running sums of the scores of beat, downbeat, no beat
    windows: Windows | None
    likelihood: Likelihood | None = None  # of whole beats, in place of `sums`; beats then lie at their first frame
    proportions: Proportions | None = None  # where not all beats of a bar are equal, in place of `tempo_change`
    no_pulse: NoPulse | None = None

    @property
    def longest(self) -> int:
        """Frames of the slowest beat."""
        return int(self.lengths[-1])

    @property
    def margin(self) -> int:
        """Frames beside a region in which its peak is looked for; so few that beats never change places."""
        if self.likelihood is not None:
            return 0
        return min(round(PEAK_S * self.fps), int((self.lengths - self.regions).min() - 1) // 2)

    @cached_property
    def position_change(self) -> Floats:
        """(P, P) from a position (row) to the next beat's (column)."""
        change = np.full((len(self.places),) * 2, NEVER)
        inside = np.setdiff1d(np.arange(len(self.places)), self.lasts)
        change[inside, inside + 1] = 0
        change[np.ix_(self.lasts, self.firsts)] = self.bar_change
        return change

    def change_to(self, tempo: int, position: int) -> Floats:
        """(K, P) from all beats to one of a tempo and a position."""
        if self.proportions is None:
            return self.tempo_change[:, tempo, None] + self.position_change[:, position]
        lengths = self.proportions.changes[self.proportions.kinds[position]][:, tempo]
        each = np.repeat(lengths[:, None], len(self.places), axis=1)
        if position in self.firsts:
            each[:, self.lasts] = lengths[self.proportions.usual]
        change: Floats = each + self.position_change[:, position]
        return change

    def relative(self) -> BarPointer:
        """Return the model with likelihoods relative to those of frames without a beat, or itself if it has no sums."""
        if self.likelihood is not None:
            return self
        rest, state = self.sums[2], self.no_pulse
        if state is not None:
            inside = np.diff(rest)[self.longest : self.longest + self.frames]
            state = replace(state, scores=state.scores - inside)
        return replace(self, sums=self.sums - rest, no_pulse=state)

    def evidence(
        self, tempi: Ints, start: int, stop: int, *, scores_of: Callable[[Floats], Floats] = np.asarray
    ) -> Floats:
        """Return the log likelihood of beats that start at each frame from one to another, or a function of it.

        Frames before the beginning and after the end of the recording score nothing: the beats it cuts are
        scored by what is left of them. A beat that passes over a window without starting in it is impossible.

        Parameters
        ----------
        tempi : int [shape=(n,)]
            Indices of their lengths.
        start, stop : int
            From ``1 - longest`` to `frames`, and no more than the longest beat apart.
        scores_of : callable
            From log likelihoods to what is returned.

        Returns
        -------
        scores : float64 [shape=(n, P, stop - start)]
        """
        if self.likelihood is not None:
            scores = self.likelihood(np.broadcast_to(np.arange(start, stop), (len(self.lengths), stop - start)))[tempi]
        else:
            windows = self._windows_of_sums[:, start + self.longest :, : stop - start]
            region_ends = windows[:, self.regions[tempi]]
            rest = windows[2, self.lengths[tempi]] - region_ends[2]
            scores = (region_ends[:2] - windows[:2, :1] + rest).swapaxes(0, 1)
        if self.windows is not None and self.windows.between(start, stop + self.longest):
            opened, closed = self._windows_passed
            starts = np.arange(start, stop) + self.longest
            missed = (closed[starts + self.lengths[tempi, None]] - opened[starts]).clip(0)
            scores += np.where(missed > 0, self.windows.missed * np.maximum(missed, 1), 0.0)[:, None]
        scores = scores_of(scores)
        return scores if self.likelihood is not None else scores[:, self.downbeat]

    def evidence_of(self, tempi: Ints, starts: Ints) -> Floats:
        """Return the log likelihood (n, P) of single beats of some lengths (n,) that start at some frames (n,).

        Frames outside the recording score nothing; windows are not considered.
        """
        if self.likelihood is not None:
            scores = self.likelihood(np.broadcast_to(starts, (len(self.lengths), len(starts))))
            return np.asarray(scores[tempi, :, np.arange(len(starts))])
        first = starts + self.longest  # the running sums begin one longest beat before the recording
        region_end, end = first + self.regions[tempi], first + self.lengths[tempi]
        both = self.sums[:2, region_end] - self.sums[:2, first] + self.sums[2, end] - self.sums[2, region_end]
        return np.asarray(both[self.downbeat].T)

    @cached_property
    def _windows_of_sums(self) -> Floats:
        """(3, longest + frames + longest, longest) of running sums, from one longest beat before the recording."""
        return sliding_window_view(np.pad(self.sums, ((0, 0), (0, self.longest)), mode="edge"), self.longest, axis=1)

    @property
    def no_pulse_scores(self) -> Floats:
        """Log likelihood of each frame without a pulse (frames,), windows included that it passes over."""
        assert self.no_pulse is not None
        if self.windows is None:
            return self.no_pulse.scores
        scores = self.no_pulse.scores.copy()
        np.add.at(scores, self.windows.last, self.windows.missed)
        return scores

    @cached_property
    def _windows_passed(self) -> tuple[Ints, Ints]:
        """How many windows have begun up to each frame, and have ended before it, from ``-longest`` on."""
        assert self.windows is not None
        frames = np.arange(-self.longest, self.frames + self.longest + 1)
        opened = np.searchsorted(self.windows.first, frames, side="right")
        return opened, np.searchsorted(self.windows.last, frames, side="left")

    def allowed(self, starts: Ints) -> Floats:
        """Score 0 (P, n) where a beat may start, never where a window asks for another position."""
        scores = np.zeros((len(self.places), len(starts)))
        if self.windows is not None:
            window = self.windows.at(starts)
            wanted = np.where(window >= 0, self.windows.positions[window], 0)
            scores[(wanted > 0) & (self.places[:, None] != wanted)] = self.windows.misplaced
        return scores


@dataclass(frozen=True)
class LongBarPointer(BarPointer):
    """The model of a recording of hours, whose sums are computed again where single beats are scored.

    Parameters
    ----------
    part : callable
        From the first frame of a part of the recording and the one after its last to the model of this part.
    """

    part: Callable[[int, int], BarPointer] = field(kw_only=True)

    def evidence_of(self, tempi: Ints, starts: Ints) -> Floats:
        """Return the log likelihood of single beats, as that of a recording that is in memory as a whole."""
        scores = np.zeros((len(starts), len(self.downbeat)))
        near = starts // FRAMES_AT_ONCE
        for number in np.unique(near):
            some = np.flatnonzero(near == number)
            first = max(0, int(starts[some].min()) - self.longest)
            part = self.part(first, min(self.frames, int(starts[some].max()) + 2 * self.longest))
            scores[some] = replace(part, downbeat=self.downbeat).evidence_of(tempi[some], starts[some] - first)
        return scores


def bar_pointer(
    activations: Floats, *, fps: float, settings: DecoderSettings, windows: Windows | None = None
) -> BarPointer:
    """Build the model of one recording.

    Parameters
    ----------
    activations : float64 [shape=(frames, 2)]
        Probabilities of a beat, downbeats included, and of a downbeat.
    fps : float
        Frames per second.
    settings : DecoderSettings
    windows : Windows, optional
        Where beats must start.
    """
    activation = activations.max(axis=1, initial=0)
    weights, change = metre_changes(settings)
    lengths = beat_lengths(fps=fps, settings=settings)
    reach, margin = round(ALIGNMENT_S * fps), int(lengths[-1])
    sums = _running_sums(activations[:, 1], activation, beat_width=settings.beat_width, reach=reach, margin=margin)
    regions = np.ceil(lengths / settings.beat_width).astype(np.int64)
    states = settings.metres, weights, change, regions, activation, sums
    no_pulse = None if settings.no_pulse_enter is None else no_pulse_scores(activations, fps=fps, settings=settings)
    return _pointer(*states, fps=fps, settings=settings, windows=windows, no_pulse=no_pulse)


def pattern_pointer(
    likelihood: Likelihood,
    *,
    bars: Sequence[Metre],
    weights: Floats,
    change: Floats,
    activation: Floats,
    fps: float,
    settings: DecoderSettings,
    windows: Windows | None = None,
    no_pulse: Floats | None = None,
) -> BarPointer:
    """Build the model of one recording from a likelihood of whole beats.

    Parameters
    ----------
    likelihood : callable
        From start frames int64 [shape=(K, n)], one row for each of `beat_lengths`, to scores float64
        [shape=(K, P, n)], a new array; frames outside the recording score nothing.
    bars : sequence of int or str
        Metre of each kind of bar; there may be several of a metre. P is the sum of their beats, in this order.
    weights : float64 [shape=(M,)]
        Probability of each kind of bar.
    change : float64 [shape=(M, M)]
        Probability that a kind of bar (row) is followed by another (column).
    activation : float64 [shape=(frames,)]
        Between 0 and 1: of an onset. It decides where the music begins and ends, and nothing else.
    fps : float
        Frames per second.
    settings : DecoderSettings
        Of which the tempi, the threshold and the costs of no pulse count.
    windows : Windows, optional
        Where beats must start.
    no_pulse : float64 [shape=(frames,)], optional
        Log likelihood of each frame without a pulse; without it every frame has one.
    """
    regions = np.ones(len(beat_lengths(fps=fps, settings=settings)), np.int64)
    states = bars, weights, change, regions, activation, np.empty((3, 0))
    return _pointer(*states, fps=fps, settings=settings, windows=windows, likelihood=likelihood, no_pulse=no_pulse)


class NetworkLikelihood:
    """Log likelihood of whole beats under the activations of a network, for `pattern_pointer`.

    The same as in `bar_pointer`, but a beat is observed around its first frame, where patterns place it.

    Parameters
    ----------
    activations : float64 [shape=(frames, 2)]
        Probabilities of a beat and of a downbeat.
    bars : sequence of int or str
        Metre of each kind of bar; without any, beats have no place in the bar.
    lengths : int64 [shape=(K,)]
        Frames that a beat lasts at each tempo, shortest first.
    fps, beat_width : float
        See `DecoderSettings`.
    weight : float
        Factor of the log likelihood.
    """

    def __init__(
        self,
        activations: Floats,
        *,
        bars: Sequence[Metre],
        lengths: Ints,
        fps: float,
        beat_width: float,
        weight: float,
    ) -> None:
        self._lengths = lengths
        self._regions = np.ceil(lengths / beat_width).astype(np.int64)
        self._margin = 2 * int(lengths[-1])
        activation = activations.max(axis=1, initial=0)
        downbeats = activations[:, 1] if bars else activation / 2  # the same for both kinds of beats
        self._sums = weight * _running_sums(
            downbeats, activation, beat_width=beat_width, reach=round(ALIGNMENT_S * fps), margin=self._margin
        )
        firsts = np.cumsum([0, *map(beats_in, bars)])
        self._downbeat = np.isin(np.arange(max(1, firsts[-1])), firsts[:-1]).astype(np.int64)

    def __call__(self, starts: Ints) -> Floats:
        """Return scores [shape=(K, positions, n)] of beats that start at frames [shape=(K, n)]."""
        regions = self._regions[:, None]
        first = starts + self._margin
        start = first - regions // 2
        end, last = start + regions, first + self._lengths[:, None] - regions // 2
        rest = self._sums[2][last] - self._sums[2][end]
        return _observed(self._sums, start, end, rest=rest, downbeat=self._downbeat)


def _observed(sums: Floats, start: Ints, end: Ints, *, rest: Floats, downbeat: Ints) -> Floats:
    """Score beats that are observed from one frame to another (K, P, n), given the scores of their other frames."""
    both = [kind[end] - kind[start] + rest for kind in sums[:2]]
    return np.take(np.stack(both, axis=1), downbeat, axis=1)


def no_pulse_scores(activations: Floats, *, fps: float, settings: DecoderSettings) -> Floats:
    """Return the log likelihood of each frame without a pulse (frames,).

    That of a frame without a beat, and more or less by the highest activation within half a second and by the
    periodicity of activations within four seconds. In music, beats gain 6 to 20 nats a second over frames without a
    beat; where there is no music they lose 5 to 14, for they cannot follow the peaks of talk and find none in noise.

    Parameters
    ----------
    activations : float64 [shape=(frames, 2)]
        Probabilities of a beat and of a downbeat.
    fps : float
        Frames per second.
    settings : DecoderSettings
    """
    activation = activations.max(axis=1, initial=0)
    limited = MIN_PROBABILITY + (1 - 2 * MIN_PROBABILITY) * activation
    near = _highest_nearby(activation, round(NO_PULSE_REACH_S * fps))
    by_height = np.interp(near, NO_PULSE_HEIGHTS, NO_PULSE_SCORES)
    by_periodicity = np.interp(periodicity(activation, fps=fps), PERIODICITIES, PERIODICITY_SCORES)
    by_periodicity[(near < NO_PULSE_HEIGHTS[1]) & (by_periodicity < 0)] = 0  # of a machine, or of what is not there
    scores: Floats = np.log((1 - limited) / (settings.beat_width - 1)) + by_height + by_periodicity
    return scores


def metre_changes(settings: DecoderSettings) -> tuple[Floats, Floats]:
    """Return the probability of each metre (M,), and of each after each other one (M, M)."""
    weights = np.ones(len(settings.metres)) if settings.metre_weights is None else np.array(settings.metre_weights)
    weights = weights / weights.sum()
    sampled_again = settings.metre_change * weights
    return weights, (1 - settings.metre_change) * np.eye(len(weights)) + sampled_again


def _pointer(
    bars: Sequence[Metre],
    weights: Floats,
    change: Floats,
    regions: Ints,
    activation: Floats,
    sums: Floats,
    *,
    fps: float,
    settings: DecoderSettings,
    windows: Windows | None,
    likelihood: Likelihood | None = None,
    no_pulse: Floats | None = None,
) -> BarPointer:
    """Build the states and their transitions."""
    beats = np.array([beats_in(metre) for metre in bars])
    lengths = beat_lengths(fps=fps, settings=settings)
    if (cells := len(lengths) * int(beats.sum()) * int(lengths[-1])) > MOST_CELLS:
        raise InputError(
            f"decoding would need {8 * cells / 2**30:.0f} GiB for {len(lengths)} tempi from "
            f"{settings.min_tempo_bpm:g} bpm on and {len(bars)} metres of {beats.sum()} beats in all; "
            "take fewer metres, fewer tempi or a faster min_tempo_bpm"
        )
    tempo = _tempo_prior(lengths, fps=fps, settings=settings)
    lasts = np.cumsum(beats) - 1
    firsts = lasts - beats + 1
    position = np.repeat(np.log(weights / beats), beats)
    with np.errstate(divide="ignore"):
        bar_change = np.log(change)
    rigid, priors = windows is None, np.repeat(tempo[:, None], len(position), axis=1)
    proportions = state = None
    if any(isinstance(metre, str) for metre in bars):
        priors, proportions = _proportions(bars, lengths, fps=fps, settings=settings, rigid=rigid)
    begin = priors - np.log(lengths)[:, None] + position
    tempo_change = _tempo_change(lengths, tempo, settings.tempo_stiffness, rigid=rigid)
    if no_pulse is not None and settings.no_pulse_enter is not None:
        enter, leave = -settings.no_pulse_enter, -settings.no_pulse_leave
        without = float(np.log(BEGIN_WITHOUT))
        least = max(1, round(NO_PULSE_LEAST_S * fps))
        state = NoPulse(no_pulse, without, enter, least, float(np.log1p(-np.exp(leave))), leave, position, priors)
        begin = begin + np.log(1 - BEGIN_WITHOUT)
        onward = float(np.log1p(-np.exp(enter)))
        tempo_change = tempo_change + onward
        if proportions is not None:
            proportions = replace(proportions, changes=tuple(change + onward for change in proportions.changes))
    return BarPointer(
        frames=len(activation),
        fps=fps,
        lengths=lengths,
        regions=regions,
        places=np.concatenate([np.arange(1, n + 1) for n in beats]),
        downbeat=np.isin(np.arange(beats.sum()), firsts).astype(np.int64),
        firsts=firsts,
        lasts=lasts,
        begin=begin,
        tempo_change=tempo_change,
        bar_change=bar_change,
        activation=activation,
        sums=sums,
        windows=windows,
        likelihood=likelihood,
        proportions=proportions,
        no_pulse=state,
    )


def _proportions(
    bars: Sequence[Metre], lengths: Ints, *, fps: float, settings: DecoderSettings, rigid: bool
) -> tuple[Floats, Proportions]:
    """Return the prior of the length of each position (K, P), and the changes from each beat to the next."""
    relative = [relative_lengths(metre) for metre in bars]
    limits = np.array([round(60 * fps / tempo) for tempo in (settings.max_tempo_bpm, settings.min_tempo_bpm)])

    def prior(length: float) -> Floats:
        shortest, longest = np.round(limits * length)
        inside = (lengths >= shortest) & (lengths <= longest)
        tempi = _tempo_prior(lengths / length, fps=fps, settings=settings)
        return _normalised(np.where(inside, tempi, NEVER))

    steps = [(before, after) for one in relative for before, after in zip([1.0, *one[:-1]], one, strict=True)]
    kinds = list(dict.fromkeys(steps))
    changes = [
        _tempo_change(lengths, prior(after), settings.tempo_stiffness, rigid=rigid, ratio=after / before)
        for before, after in kinds
    ]
    logs = np.log(lengths)
    wanted = logs[:, None, None] - np.log([one[-1] for one in relative])[:, None]  # (K, M, 1)
    return (
        np.stack([prior(after) for _, after in steps], axis=1),
        Proportions(
            np.array([kinds.index(step) for step in steps]), tuple(changes), np.abs(wanted - logs).argmin(axis=2)
        ),
    )


def beat_lengths(*, fps: float, settings: DecoderSettings) -> Ints:
    """List beat lengths in frames (K,), shortest first: all whole ones, or a number of them, log-spaced.

    With beats of unequal length, the range holds the shortest and the longest, and has as many more lengths.
    """
    shortest, longest = 60 * fps / settings.max_tempo_bpm, 60 * fps / settings.min_tempo_bpm
    tempi, (low, high) = settings.tempi, settings.extreme_lengths
    if low < high:
        tempi = round(tempi * (1 + np.log(high / low) / np.log(max(longest / shortest, TEMPO_RANGE))))
        shortest, longest = shortest * low, longest * high
    if round(shortest) < 2:
        raise InputError(
            f"{settings.max_tempo_bpm:g} bpm at {fps:g} frames per second is a beat of less than 2 frames: "
            f"use more frames or a slower max_tempo_bpm"
        )
    return _spaced_lengths(shortest, longest, tempi)


@lru_cache(maxsize=64)
def _spaced_lengths(shortest: float, longest: float, tempi: int) -> Ints:
    lengths = np.arange(round(shortest), round(longest) + 1)
    count = tempi
    while len(lengths) > tempi:  # rounding makes some equal: ask for more until enough are left
        spaced = np.unique(np.round(np.geomspace(shortest, longest, count)).astype(np.int64))
        if len(spaced) >= tempi:
            lengths = spaced
            break
        count += 1
    lengths.flags.writeable = False
    return lengths


def _tempo_prior(lengths: Ints | Floats, *, fps: float, settings: DecoderSettings) -> Floats:
    """Weigh each tempo (K,): log-normal, or all the same."""
    if settings.tempo_mean_bpm is None or settings.tempo_spread_octaves is None:
        return np.full(len(lengths), -np.log(len(lengths)))
    octaves = np.log2(60 * fps / lengths / settings.tempo_mean_bpm)
    return _normalised(-0.5 * (octaves / settings.tempo_spread_octaves) ** 2)


def _tempo_change(lengths: Ints, prior: Floats, stiffness: float, *, rigid: bool, ratio: float = 1.0) -> Floats:
    """Weigh each next tempo (K, K): the exponential of Krebs, Böck & Widmer (2015), times the prior.

    A beat of the same tempo is `ratio` times as long as the one before.

    Changes rarer than the resolution of a float are never (if `rigid`), which makes the matrix a narrow band.
    Hints may need sudden changes: with them all changes stay possible.
    """
    change = _normalised(-stiffness * np.abs(lengths / (lengths[:, None] * ratio) - 1) + prior)
    change = np.where(change > RAREST, change, NEVER) if rigid else np.maximum(change, STILL_POSSIBLE)
    return _normalised(change)


def _running_sums(downbeats: Floats, activation: Floats, *, beat_width: float, reach: int, margin: int) -> Floats:
    """Sum up the log densities of beat, downbeat and no beat (3, margin + frames + 1 + margin).

    The two outputs of a network are separate probabilities, of any beat (b) and of a downbeat (d), but
    every downbeat is a beat. With a = max(b, d), three exclusive events sum to one: a downbeat, another beat, and none,
    1 - a. Where the network contradicts itself (d > b) the downbeat counts, for it is the harder question.

    Which of the two kinds a beat is, is a trait of the beat and not of a single frame: peaks of d may be narrower
    than those of b, or a frame aside. The ratio d / b is therefore taken at the peaks of both within
    10 ms, and tends to one half where both are low.

    As there are `beat_width` - 1 times as many frames without a beat, their density is divided by that number
    (Böck, Krebs & Widmer 2016).
    """
    share = (_highest_nearby(downbeats, reach) + FAINT / 2) / (_highest_nearby(activation, reach) + FAINT)
    limited = MIN_PROBABILITY + (1 - 2 * MIN_PROBABILITY) * activation
    shares = np.stack([limited * (1 - share), limited * share, 1 - limited])
    shares[2] /= beat_width - 1
    sums = np.cumsum(np.log(shares), axis=1)
    return np.pad(np.pad(sums, ((0, 0), (margin + 1, 0))), ((0, 0), (0, margin)), mode="edge")


def _highest_nearby(heights: Floats, reach: int) -> Floats:
    """Return the highest value within a reach of each frame."""
    highest, width = np.pad(heights, reach), 1
    while 2 * width <= 2 * reach + 1:
        highest, width = np.maximum(highest[:-width], highest[width:]), 2 * width
    rest = 2 * reach + 1 - width
    return np.maximum(highest[rest:], highest[: len(highest) - rest])


def _normalised(scores: Floats) -> Floats:
    """Make every row log probabilities that sum to one."""
    shifted = scores - scores.max(axis=-1, keepdims=True)
    normalised: Floats = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return normalised
