"""The recursion of the model, for the best path and for the posteriors.

The score of a beat that starts at frame t, at position p and with tempo k, collects all paths to it:

    S[k', p', t] = "sum" over k, p of
        S[k, p, t - length[k]] + evidence of that beat + change (p to p') + change (k to k')

With the maximum for "sum" this is Viterbi's best path, with the logarithm of the sum of exponentials the
forward probability. Both are products of a matrix with a table, in two different algebras. A model with a state without
a pulse has two more scores for each frame, without[t] that of frame t in it:

    N[t] = "sum" of N[t - 1] + stay + without[t - 1] and E[t - least] + without[t - least] + ... + without[t - 1]

    E[t] = enter + "sum" over k, p of S[k, p, t - length[k]] + evidence of that beat

and N[t] + leave + log p(k') + log p(p') is one more term of S[k', p', t]: a row more in the matrix of tempi.

Three properties make it fast without a compiler. Frames are computed in blocks that are as short as the shortest beat
that starts in them, so that no two of them depend on each other. A block has only the tempi that are possible
there: all, or those of `levada.beat_tracking.decoder.likely`. And only the *scores* are kept, no back-pointers: the few
beats of the best path find their predecessors by computing them again. Memory stays flat for long recordings, for
scores are kept for the last stretch of blocks only; on the way back each stretch before it is computed again from what
was saved at its beginning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from levada.beat_tracking.decoder.state_space import NEVER, BarPointer

__all__ = ["Algebra", "Block", "Forward", "backward", "blocks_of", "log_sum", "max_sum", "sum_product"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STRETCH_BYTES = 32_000_000
WINDOW_BEATS = 8  # longest beats in the window of scores that are computed and read
AT_ONCE = 100_000  # sums that are compared in one array


class Algebra(NamedTuple):
    """What "sum" is.

    Parameters
    ----------
    weights : callable
        From weights of a matrix (n, m), from row to column, to the factors that `product` takes.
    product : callable
        From scores (n, columns) and factors (n, m) to scores (m, columns).
    total : callable
        "Sum" of scores over their first axis.
    accumulate : callable
        Running "sum" of scores (n,).
    """

    weights: Callable[[Floats], Floats]
    product: Callable[[Floats, Floats], Floats]
    total: Callable[[Floats], Floats]
    accumulate: Callable[[Floats], Floats]


class Block(NamedTuple):
    """Frames that are computed at once."""

    start: int
    stop: int
    tempi: Ints  # of the beats that may start in them
    ended: Ints  # of the beats that may end before each of them
    no_pulse: bool  # whether there may be none


class Forward:
    """Scores of all beat starts from the beginning of a recording, readable backwards block by block.

    Parameters
    ----------
    model : BarPointer
    algebra : Algebra
    blocks : list of Block, optional
        All frames but the first, with the tempi that are possible in them; by default all.

    Attributes
    ----------
    ending : float64 [shape=(K, P, longest)]
        Scores of complete paths through the recording whose last beat starts in each of its last frames,
        at index 0 at frame ``frames - longest``.
    no_pulse, lasted, entered : float64 [shape=(frames + 1,)]
        Scores of the paths up to each frame that have been without a pulse long enough for a beat to follow, of those
        that just reach this length there, and of those that begin to be without there.
    cut : float64 [shape=(<= least - 1,)]
        Scores of complete paths that begin to be without a pulse in each of the last frames.
    ending_without : float
        Score of all complete paths that end without a pulse.
    """

    def __init__(self, model: BarPointer, algebra: Algebra, blocks: list[Block] | None = None) -> None:
        self._model, self._algebra = model, algebra
        self.no_pulse, self.lasted, self.entered = np.full((3, model.frames + 1), NEVER)
        self.cut, self.ending_without = np.zeros(0), NEVER
        if model.no_pulse is not None:
            self._stretches_without = _StretchScores(model)
        self._tempi = _TempoChange(model, algebra)
        self._bars = algebra.weights(model.bar_change)
        past, every = model.longest, np.arange(len(model.lengths))
        begun = np.where(np.arange(-past, 0) >= -model.lengths[:, None], 0, NEVER)  # a beat that reaches into it
        first = model.begin[..., None] + begun[:, None] + model.evidence(every, 1 - past, 1)
        first += model.allowed(np.arange(1 - past, 1))
        self._beginning = Block(1 - past, 1, every, every, False), first
        self._needed = np.isfinite(begun)
        self._scores = np.full((*model.begin.shape, (2 + WINDOW_BEATS) * past), NEVER)
        self._windows = sliding_window_view(self._scores, past, axis=2)
        self._zero = 1 - past  # the frame at index 0
        self._scores[..., :past] = first
        self._stretches = list[tuple[int, list[Block], Floats]]()
        self._kept = list[Floats]()
        size = STRETCH_BYTES
        for block in blocks_of(model) if blocks is None else blocks:
            if size >= STRETCH_BYTES:
                self._move(block.start)
                saved = self._scores[..., :past].swapaxes(1, 2)[self._needed]
                self._stretches.append((block.start, [], saved))
                self._kept, size = [], 0
            self._stretches[-1][1].append(block)
            self._kept.append(self._compute(block))
            size += self._kept[-1].nbytes
        last = np.arange(model.frames - past, model.frames)
        ended = np.where(last + model.lengths[:, None] >= model.frames, 0, NEVER)
        self.ending = self._scores[..., last - self._zero] + ended[:, None]
        if model.no_pulse is not None:
            self._fill_no_pulse(model.frames, model.frames + 1)
            entered = np.arange(max(1, model.frames - model.no_pulse.least + 1), model.frames)
            self.cut = self.entered[entered] + self._stretches_without(entered, model.frames)
            self.ending_without = float(algebra.accumulate(np.append(self.cut, self.no_pulse[-1]))[-1])

    @property
    def possible(self) -> bool:
        """Whether there is any path: hints may leave none."""
        return bool(max(self.ending.max(), self.ending_without) > NEVER)

    def backwards(self) -> Iterator[tuple[Block, Floats]]:
        """Yield blocks and the scores of the beats that start in them, evidence included, the last first.

        The scores have the shape (tempi of the block, P, its frames). The last block yielded is that of the beats which
        have begun before the recording.
        """
        past = self._model.longest
        for n, (start, blocks, saved) in enumerate(reversed(self._stretches)):
            kept = self._kept
            if n:
                self._zero = start - past
                self._scores[:] = NEVER
                self._scores[..., :past].swapaxes(1, 2)[self._needed] = saved
                kept = [self._compute(block) for block in blocks]
            yield from zip(reversed(blocks), reversed(kept), strict=True)
        yield self._beginning

    def _move(self, start: int) -> None:
        """Move the window of scores so that it begins one longest beat before a frame."""
        past, first = self._model.longest, start - self._model.longest - self._zero
        self._scores[..., :past] = self._scores[..., first : first + past].copy()
        self._zero = start - past

    def _compute(self, block: Block) -> Floats:
        """Compute the scores of the beats that start in a block, from those before."""
        model = self._model
        a, b, tempi, ended, no_pulse = block
        n, positions = b - a, np.arange(len(model.places))
        if b - self._zero > self._scores.shape[2] - model.longest:
            self._move(a)
        window = self._scores[..., a - self._zero : b - self._zero]
        window[:] = NEVER
        first = a - model.lengths[ended] - self._zero
        arrived = self._windows[ended[:, None], positions, first[:, None], :n]
        following = np.empty((len(ended) + no_pulse, len(positions), n))
        following[: len(ended), 1:] = arrived[:, :-1]
        bars = self._tempi.ended(arrived[:, model.lasts], ended)
        following[: len(ended), model.firsts] = _along_positions(self._algebra, self._bars, bars)
        if no_pulse:
            assert model.no_pulse is not None
            self.entered[a:b] = self._algebra.total(arrived.reshape(-1, n)) + model.no_pulse.enter
            self._fill_no_pulse(a, b)
            following[-1] = self.no_pulse[a:b] + model.no_pulse.leave + model.no_pulse.positions[:, None]
        scores = self._tempi(following, ended, tempi)
        scores += model.evidence(tempi, a, b)
        if model.windows is not None:
            scores += model.allowed(np.arange(a, b))
        window[tempi] = scores
        return scores

    def _fill_no_pulse(self, start: int, stop: int) -> None:
        """Compute the scores without a pulse up to the frames from start to stop, from those before."""
        state, stretches = self._model.no_pulse, self._stretches_without
        assert state is not None
        if (later := max(start, state.least + 1)) < stop:
            entered = self.entered[later - state.least : stop - state.least]
            self.lasted[later:stop] = entered + stretches.least[later - state.least : stop - state.least]
        if start == 1:
            self.lasted[1] = state.begin + stretches.frames[0]
        score, stays = float(self.no_pulse[start - 1]), stretches.stays[start - 1 : stop - 1]
        self.no_pulse[start:stop] = _run(self._algebra, score, stays, self.lasted[start:stop])


def _run(algebra: Algebra, score: float, stays: Floats, begins: Floats) -> Floats:
    """Compute scores of a state: "sum" of the one before and what it costs to stay (n,), and those that begin (n,)."""
    if len(never := (stays == NEVER).nonzero()[0]):  # what was before has ended
        i = int(never[0])
        before = _run(algebra, score, stays[:i], begins[:i])
        after = _run(algebra, float(begins[i]), stays[i + 1 :], begins[i + 1 :])
        return np.concatenate([before, begins[i : i + 1], after])
    cost = np.cumsum(stays)
    terms = np.empty(len(stays) + 1)
    terms[0] = score
    np.subtract(begins, cost, out=terms[1:])
    result: Floats = algebra.accumulate(terms)[1:]
    result += cost
    return result


class _StretchScores:
    """Log likelihood of stretches without a pulse.

    Attributes
    ----------
    frames : float64 [shape=(frames,)]
        Of each frame, windows included.
    stays : float64 [shape=(frames,)]
        The same, with that of lasting one frame more.
    least : float64 [shape=(max(frames - least, 0) + 1,)]
        Of the shortest stretch that begins at each frame.
    """

    def __init__(self, model: BarPointer) -> None:
        assert model.no_pulse is not None
        self.frames = model.no_pulse_scores
        self.stays = self.frames + model.no_pulse.stay
        self._sums = np.concatenate([[0.0], np.cumsum(model.no_pulse.scores)])
        self._windows = model.windows
        begins = np.arange(max(0, model.frames - model.no_pulse.least) + 1)
        self.least = self(begins, np.minimum(begins + model.no_pulse.least, model.frames))

    def __call__(self, start: Ints, stop: Ints | int) -> Floats:
        """Score stretches from one frame (n,) to another."""
        scores: Floats = self._sums[stop] - self._sums[start]
        if self._windows is not None:
            missed = np.searchsorted(self._windows.last, stop) - np.searchsorted(self._windows.last, start)
            scores += np.where(missed > 0, self._windows.missed * np.maximum(missed, 1), 0.0)
        return scores


class _TempoChange:
    """Changes of the length of beats, from each position to the next or back; no pulse is one length more."""

    def __init__(self, model: BarPointer, algebra: Algebra, *, backward: bool = False) -> None:
        unequal, no_pulse = model.proportions, model.no_pulse
        self._algebra = algebra

        def weights_of(change: Floats, position: int) -> Floats:
            change = change.T if backward else change
            if no_pulse is not None:
                one_more = np.full(len(change), no_pulse.enter) if backward else no_pulse.tempi[:, position]
                change = np.vstack([change, one_more])
            return algebra.weights(change)

        self._equal = None if unequal is not None else weights_of(model.tempo_change, 0)
        self._groups: list[tuple[Ints, Floats]] = []
        self._usual: list[tuple[int, Floats]] = []
        if unequal is None:
            return
        for kind, change in enumerate(unequal.changes):
            positions = np.flatnonzero(unequal.kinds == kind)
            self._groups.append((positions, weights_of(change, int(positions[0]))))
        same = np.arange(len(model.lengths))
        for bar, usual in enumerate(unequal.usual.T):
            if not np.array_equal(usual, same):
                change = np.where(usual[:, None] == same, 0.0, NEVER)
                self._usual.append((bar, algebra.weights(change.T if backward else change)))

    def __call__(self, scores: Floats, before: Ints, after: Ints) -> Floats:
        """Change the lengths of beats of all positions from some (n,) to others (m,): (n, P, frames) to (m, P, frames).

        Scores without a pulse are one row more.
        """
        if len(scores) > len(before):
            before = np.append(before, -1)
        if self._equal is not None:
            return _along_tempi(self._algebra, self._equal[before[:, None], after], scores)
        result = np.empty((len(after), *scores.shape[1:]))
        for positions, weights in self._groups:
            result[:, positions] = _along_tempi(self._algebra, weights[before[:, None], after], scores[:, positions])
        return result

    def ended(self, scores: Floats, tempi: Ints) -> Floats:
        """Change the lengths of last beats (n, M, frames) to those of the usual beats of their bars, or back."""
        for bar, weights in self._usual:
            scores[:, bar] = self._algebra.product(scores[:, bar], weights[tempi[:, None], tempi])
        return scores


def backward(model: BarPointer, forward: Forward, no_pulse: Floats | None = None) -> Iterator[tuple[Block, Floats]]:
    """Probabilities of beat starts, from the last block of frames to the first.

    Parameters
    ----------
    model : BarPointer
    forward : Forward
        Computed with `sum_product`.
    no_pulse : float64 [shape=(frames,)], optional
        Filled, once all blocks have been yielded, with the posterior probability that each frame has no pulse, if the
        model has such a state.

    Yields
    ------
    block : Block
        The last begins at frame ``1 - longest``, for a recording may begin inside a beat.
    probabilities : float64 [shape=(tempi of the block, P, n)]
        Posterior probability that a beat of each tempo and position starts at each frame.
    """
    tempi, bars = _TempoChange(model, sum_product, backward=True), sum_product.weights(model.bar_change.T)
    past, positions = model.longest, np.arange(len(model.places))
    total = log_sum(np.append(forward.ending, forward.ending_without))
    without = None if model.no_pulse is None else _BackwardNoPulse(model)
    size = (2 + WINDOW_BEATS) * past
    following = np.zeros((*model.begin.shape, size))  # score of all that follows a beat, by the frame of its end
    windows = sliding_window_view(following, past, axis=2)
    zero = model.frames + 2 * past - size  # the frame at index 0
    for block, scores in forward.backwards():
        a, b = block.start, block.stop
        if a < zero:
            following[..., size - 2 * past :] = following[..., b - zero : b - zero + 2 * past].copy()
            zero = b + 2 * past - size
        onward = windows[block.tempi[:, None], positions, (a + model.lengths[block.tempi] - zero)[:, None], : b - a]
        probability = scores + onward
        probability -= total
        yield block, np.exp(probability, out=probability)
        if a < 1:
            break
        onward += model.evidence(block.tempi, a, b)
        if model.windows is not None:
            onward += model.allowed(np.arange(a, b))
        if without is not None and block.no_pulse:
            entered = np.broadcast_to(without.entered(block, onward), (1, onward.shape[1], b - a))
            onward = np.concatenate([onward, entered])
        leaving = tempi(onward, block.tempi, block.ended)
        before = np.empty((len(block.ended), len(positions), b - a))
        before[:, :-1] = leaving[:, 1:]
        before[:, model.lasts] = tempi.ended(_along_positions(sum_product, bars, leaving[:, model.firsts]), block.ended)
        following[block.ended, :, a - zero : b - zero] = before
    if without is not None and no_pulse is not None:
        no_pulse[:] = without.posterior(forward, total)


class _BackwardNoPulse:
    """Scores of all that follows stretches without a pulse, from the last block of frames to the first."""

    def __init__(self, model: BarPointer) -> None:
        assert model.no_pulse is not None
        self._state, self._scores = model.no_pulse, _StretchScores(model)
        self._begin = (model.no_pulse.tempi + model.no_pulse.positions)[..., None]
        self._after = np.full(model.frames + 1, NEVER)  # of all after a frame up to which there is none for long enough
        self._after[-1] = 0.0
        self._from = np.full(model.frames, NEVER)  # of all from a frame on where a stretch begins
        frames = np.arange(model.frames)
        self._until = np.minimum(frames + model.no_pulse.least, model.frames)  # it lasts, at least
        self._least = self._scores(frames, self._until)

    def entered(self, block: Block, onward: Floats) -> Floats:
        """Return the scores of all that follows from the frames (n,) of a block on, where stretches begin there.

        Parameters
        ----------
        block : Block
        onward : float64 [shape=(tempi of the block, P, n)]
            Scores of beats that start at each of its frames, and of all that follows them.
        """
        a, b, state = block.start, block.stop, self._state
        left = sum_product.total((onward + self._begin[block.tempi]).reshape(-1, b - a)) + state.leave
        stays, score = self._scores.stays[a:b], float(self._after[b])
        self._after[a:b] = _run(sum_product, score, stays[::-1], left[::-1])[::-1]
        self._from[a:b] = self._least[a:b] + self._after[self._until[a:b]]
        return self._from[a:b]

    def posterior(self, forward: Forward, total: float) -> Floats:
        """Return the posterior probability of no pulse in each frame, given the score of all paths."""
        frames, least = len(self._from), self._state.least
        goes_on = forward.no_pulse[:-1] + self._state.stay + self._scores.frames + self._after[1:]
        goes_on[0] = self._state.begin + self._scores.frames[0] + self._after[1]
        begun = np.concatenate([[0.0], np.cumsum(np.exp(forward.entered[:-1] + self._from - total))])
        lately = begun[1:] - begun[(np.arange(frames) + 1 - least).clip(0)]
        probability: Floats = (np.exp(goes_on - total) + lately).clip(0, 1)
        return probability


def _log_sums(scores: Floats) -> Floats:
    """Log of the sum of exponentials over the first axis."""
    return np.asarray(_sum_product(scores, np.ones((len(scores), 1)))[0])


def _sum_product(scores: Floats, factors: Floats) -> Floats:
    """Multiply probabilities given as logarithms; every column has its own scale, so that none underflows."""
    scale = np.maximum.reduce(scores, initial=NEVER)
    scale[scale == NEVER] = 0
    with np.errstate(divide="ignore"):
        result: Floats = np.log(factors.T @ np.exp(scores - scale))
    result += scale
    return result


def _best_product(scores: Floats, weights: Floats) -> Floats:
    """Find the best way to each column of weights: at once, or from one row after another to those within its reach."""
    n, m = weights.shape
    if n * m * scores.shape[1] <= AT_ONCE:
        return np.asarray(np.maximum.reduce(scores[:, None] + weights[..., None], initial=NEVER))
    best = np.full((m, scores.shape[1]), NEVER)
    candidates = np.empty_like(best)
    finite = weights > NEVER
    stops = m - finite[:, ::-1].argmax(axis=1)
    for row, start, stop in zip(range(n), finite.argmax(axis=1).tolist(), stops.tolist(), strict=True):
        if finite[row, start]:
            within = best[start:stop]
            candidate = np.add(scores[row], weights[row, start:stop, None], out=candidates[: stop - start])
            np.maximum(within, candidate, out=within)
    return best


sum_product = Algebra(np.exp, _sum_product, _log_sums, np.logaddexp.accumulate)
"""Sums of probabilities given as logarithms."""
max_sum = Algebra(
    np.asarray, _best_product, lambda scores: np.maximum.reduce(scores, initial=NEVER), np.maximum.accumulate
)
"""The best of all."""


def _along_tempi(algebra: Algebra, weights: Floats, scores: Floats) -> Floats:
    """Apply a product along the first axis of a table of (tempi, positions, frames)."""
    n = scores.shape[1] * scores.shape[2]  # explicit, for there may be no tempi
    return algebra.product(scores.reshape(-1, n), weights).reshape(-1, *scores.shape[1:])


def _along_positions(algebra: Algebra, weights: Floats, scores: Floats) -> Floats:
    """Apply a product along the second axis of a (K, M, n) table."""
    swapped = scores.swapaxes(0, 1)
    return algebra.product(swapped.reshape(len(swapped), -1), weights).reshape(swapped.shape).swapaxes(0, 1)


def log_sum(scores: Floats) -> float:
    """Log of the sum of exponentials of all, of which one at least is possible."""
    top = scores.max()
    return float(np.log(np.exp(scores - top).sum()) + top)


def blocks_of(model: BarPointer, beats: Bools | None = None, no_pulse: Bools | None = None) -> list[Block]:
    """Divide the frames from 1 on into blocks, each as short as the shortest beat that may start in it.

    Parameters
    ----------
    model : BarPointer
    beats : bool [shape=(K, frames)], optional
        At which frames a beat of each tempo may start; by default everywhere.
    no_pulse : bool [shape=(frames,)], optional
        Before which frames a stretch without a pulse may end, or go on; by default before all.
    """
    lengths, every = model.lengths, np.arange(len(model.lengths))
    shortest, longest = int(lengths[0]), model.longest
    if beats is None or no_pulse is None:
        without = model.no_pulse is not None
        starts = range(1, model.frames, shortest)
        return [Block(a, min(a + shortest, model.frames), every, every, without) for a in starts]
    result, a = list[Block](), 1
    started = np.zeros(
        (len(lengths), 2 * longest), np.bool_
    )  # tempi of the frames before a block; none after its first
    started[:, :longest] = True
    while a < model.frames:
        ahead = beats[:, a : a + longest]
        wait = np.where(ahead.any(axis=1), ahead.argmax(axis=1), longest)
        n = min(int(np.maximum(lengths, wait).min()), model.frames - a)
        starting = np.asarray(ahead[:, :n].any(axis=1))
        ended = np.asarray(started[every[:, None], (longest - lengths)[:, None] + np.arange(n)].any(axis=1))
        without = bool(no_pulse[a - 1 : a + n + 1].any())  # it begins at the frame before
        result.append(Block(a, a + n, starting.nonzero()[0], ended.nonzero()[0], without))
        started[:, : longest - n] = started[:, n:longest].copy()
        started[:, longest - n : longest] = starting[:, None]
        a += n
    return result
