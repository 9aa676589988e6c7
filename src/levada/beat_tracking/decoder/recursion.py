"""The recursion of the model, for the best path and for the posteriors.

The score of a beat that starts at frame t, at position p and with tempo k, collects all paths to it:

    S[k', p', t] = "sum" over k, p of
        S[k, p, t - length[k]] + evidence of that beat + change (p to p') + change (k to k')

With the maximum for "sum" this is Viterbi's best path, with the logarithm of the sum of exponentials the
forward probability. Both are products of a matrix with a table, in two different algebras. Probabilities themselves,
with a scale for the frames of a few beats, are a third one: the forward probability without logarithms, where none is
too small for that. A model with a state without
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

__all__ = [
    *("Algebra", "Block", "Forward", "TooUnlikelyError", "backward", "blocks_of", "log_sum", "max_sum"),
    *("scaled_sum_product", "sum_product"),
]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

STRETCH_BYTES = 32_000_000
WINDOW_BEATS = 8  # longest beats in the window of scores that are computed and read
AT_ONCE = 100_000  # sums that are compared in one array
MOST_POSITIONS = 16  # of which all changes are computed, although most are impossible
HIGHEST = 1e80  # probabilities are scaled where they are all lower than its inverse, or one is higher
TOO_SMALL = -600.0  # logarithm of a probability that may be lost beside 1
LOWEST = -450.0  # logarithm of what is possible as a whole beside what is likely up to a frame, and after it


class TooUnlikelyError(ArithmeticError):
    """Probabilities that are too small to be summed without logarithms."""


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
        Running "sum" of logarithms (n,).
    times : callable
        Product of scores.
    scores, logs : callable
        From logarithms to scores, and back.
    never : float
        Score of what is impossible.
    """

    weights: Callable[[Floats], Floats]
    product: Callable[[Floats, Floats], Floats]
    total: Callable[[Floats], Floats]
    accumulate: Callable[[Floats], Floats]
    times: np.ufunc = np.add
    scores: Callable[[Floats], Floats] = np.asarray
    logs: Callable[[Floats], Floats] = np.asarray
    never: float = NEVER


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
    algebra : Algebra
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
        self._model, self.algebra = model, algebra
        self.no_pulse, self.lasted, self.entered = np.full((3, model.frames + 1), NEVER)
        self.cut, self.ending_without = np.zeros(0), NEVER
        if model.no_pulse is not None:
            self._stretches_without = _StretchScores(model)
        self._tempi = _TempoChange(model, algebra)
        self._bars = algebra.weights(model.bar_change)
        self._positions = algebra.weights(model.position_change.T) if _in_one_product(model, algebra) else None
        past, every = model.longest, np.arange(len(model.lengths))
        begun = np.where(np.arange(-past, 0) >= -model.lengths[:, None], 0, NEVER)  # a beat that reaches into it
        first = model.begin[..., None] + begun[:, None] + model.evidence(every, 1 - past, 1)
        first += model.allowed(np.arange(1 - past, 1))
        self._scale = float(first.max()) if algebra.times is np.multiply else 0.0  # of all scores, as a logarithm
        first = algebra.scores(first - self._scale)
        self._beginning = Block(1 - past, 1, every, every, False), first, self._scale
        self._needed = np.isfinite(begun)
        self._scores = np.full((*model.begin.shape, (2 + WINDOW_BEATS) * past), algebra.never)
        self._windows = sliding_window_view(self._scores, past, axis=2)
        self._zero = 1 - past  # the frame at index 0
        self._scores[..., :past] = first
        self._stretches = list[tuple[int, list[Block], Floats, float]]()
        self._kept = list[tuple[Floats, float]]()
        size = STRETCH_BYTES
        for block in blocks_of(model) if blocks is None else blocks:
            if size >= STRETCH_BYTES:
                self._move(block.start)
                saved = self._scores[..., :past].swapaxes(1, 2)[self._needed]
                self._stretches.append((block.start, [], saved, self._scale))
                self._kept, size = [], 0
            self._stretches[-1][1].append(block)
            self._kept.append(self._compute(block))
            size += self._kept[-1][0].nbytes
        last = np.arange(model.frames - past, model.frames)
        ended = np.where(last + model.lengths[:, None] >= model.frames, 0, NEVER)
        self.ending = algebra.logs(self._scores[..., last - self._zero]) + self._scale + ended[:, None]
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
        yield from ((block, scores) for block, scores, _ in self.scaled_backwards())

    def scaled_backwards(self) -> Iterator[tuple[Block, Floats, float]]:
        """Yield the same, and the logarithm of the scale of the scores."""
        past = self._model.longest
        for n, (start, blocks, saved, scale) in enumerate(reversed(self._stretches)):
            kept = self._kept
            if n:
                self._zero, self._scale = start - past, scale
                self._scores[:] = self.algebra.never
                self._scores[..., :past].swapaxes(1, 2)[self._needed] = saved
                kept = [self._compute(block) for block in blocks]
            for block, (scores, scale_of_block) in zip(reversed(blocks), reversed(kept), strict=True):
                yield block, scores, scale_of_block
        yield self._beginning

    def _move(self, start: int) -> None:
        """Move the window of scores so that it begins one longest beat before a frame."""
        past, first = self._model.longest, start - self._model.longest - self._zero
        self._scores[..., :past] = self._scores[..., first : first + past].copy()
        self._zero = start - past

    def _compute(self, block: Block) -> tuple[Floats, float]:
        """Compute the scores of the beats that start in a block, from those before, and their scale."""
        model, algebra = self._model, self.algebra
        a, b, tempi, ended, no_pulse = block
        n, positions = b - a, np.arange(len(model.places))
        if b - self._zero > self._scores.shape[2] - model.longest:
            self._move(a)
        window = self._scores[..., a - self._zero : b - self._zero]
        window[:] = algebra.never
        first = a - model.lengths[ended] - self._zero
        arrived = self._windows[ended[:, None], positions, first[:, None], :n]
        following = np.empty((len(ended) + no_pulse, len(positions), n))
        if self._positions is None:
            following[: len(ended), 1:] = arrived[:, :-1]
            bars = self._tempi.ended(arrived[:, model.lasts], ended)
            following[: len(ended), model.firsts] = _along_positions(algebra, self._bars, bars)
        else:
            np.matmul(self._positions, arrived, out=following[: len(ended)])
        if no_pulse:
            assert model.no_pulse is not None
            arrived_without = algebra.logs(algebra.total(arrived.reshape(-1, n))) + self._scale
            self.entered[a:b] = arrived_without + model.no_pulse.enter
            self._fill_no_pulse(a, b)
            left = self.no_pulse[a:b] + model.no_pulse.leave - self._scale
            following[-1] = algebra.scores(left + model.no_pulse.positions[:, None])
        scores, scale = self._tempi(following, ended, tempi), self._scale
        algebra.times(scores, model.evidence(tempi, a, b, scores_of=algebra.scores), out=scores)
        if model.windows is not None and model.windows.between(a, b):
            algebra.times(scores, algebra.scores(model.allowed(np.arange(a, b))), out=scores)
        window[tempi] = scores
        if algebra.times is np.multiply:
            without = float(self.no_pulse[b - 1]) if no_pulse else NEVER
            self._scale = _rescaled(self._scores, slice(b - model.longest, b), self._zero, scores, scale, without)
        return scores, scale

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
        self.no_pulse[start:stop] = _run(self.algebra, score, stays, self.lasted[start:stop])


def _in_one_product(model: BarPointer, algebra: Algebra) -> bool:
    """Whether changes of position are a product with one matrix, and it is not larger than what it replaces."""
    return algebra.times is np.multiply and model.proportions is None and len(model.places) <= MOST_POSITIONS


def _rescaled(scores: Floats, recent: slice, zero: int, latest: Floats, scale: float, without: float) -> float:
    """Divide scores (K, P, n) of recent frames by the highest, in place, where it has become too high or too low.

    Parameters
    ----------
    scores : float64 [shape=(K, P, n)]
        Probabilities from frame `zero` on.
    recent : slice
        Frames that are still needed.
    zero : int
    latest : float64
        The last of these probabilities that were computed.
    scale : float
        Logarithm of their scale.
    without : float
        Logarithm of the probability without a pulse.

    Returns
    -------
    float
        The new scale.
    """
    highest = float(latest.max(initial=0.0))
    if 1 / HIGHEST < highest < HIGHEST and without - scale < np.log(HIGHEST):
        return scale
    part = scores[..., recent.start - zero : recent.stop - zero]
    highest = float(part.max(initial=0.0))
    by = max(float(np.log(highest)) if highest > 0 else NEVER, without - scale)
    if by == NEVER:
        return scale
    part *= np.exp(-by)
    return scale + by


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
        Computed with `sum_product` or `scaled_sum_product`.
    no_pulse : float64 [shape=(frames,)], optional
        Filled, once all blocks have been yielded, with the posterior probability that each frame has no pulse, if the
        model has such a state.

    Yields
    ------
    block : Block
        The last begins at frame ``1 - longest``, for a recording may begin inside a beat.
    probabilities : float64 [shape=(tempi of the block, P, n)]
        Posterior probability that a beat of each tempo and position starts at each frame.

    Raises
    ------
    TooUnlikelyError
        If probabilities are computed without logarithms, and are too small.
    """
    algebra = forward.algebra
    tempi, bars = _TempoChange(model, algebra, backward=True), algebra.weights(model.bar_change.T)
    change = algebra.weights(model.position_change) if _in_one_product(model, algebra) else None
    past, positions = model.longest, np.arange(len(model.places))
    total = log_sum(np.append(forward.ending, forward.ending_without))
    without = None if model.no_pulse is None else _BackwardNoPulse(model, algebra)
    size = (2 + WINDOW_BEATS) * past
    following = algebra.scores(np.zeros((*model.begin.shape, size)))  # of all that follows a beat, by its end
    windows = sliding_window_view(following, past, axis=2)
    zero, scale = model.frames + 2 * past - size, 0.0  # the frame at index 0, and the scale of all as a logarithm
    for block, scores, scale_of_scores in forward.scaled_backwards():
        a, b = block.start, block.stop
        if a < zero:
            following[..., size - 2 * past :] = following[..., b - zero : b - zero + 2 * past].copy()
            zero = b + 2 * past - size
        onward = windows[block.tempi[:, None], positions, (a + model.lengths[block.tempi] - zero)[:, None], : b - a]
        probability, shift = algebra.times(scores, onward), scale_of_scores + scale - total
        if algebra.times is np.multiply:
            if shift > -LOWEST:
                raise TooUnlikelyError
            probability *= np.exp(shift)
        else:
            probability += shift
            np.exp(probability, out=probability)
        yield block, probability
        if a < 1:
            break
        algebra.times(onward, model.evidence(block.tempi, a, b, scores_of=algebra.scores), out=onward)
        if model.windows is not None and model.windows.between(a, b):
            algebra.times(onward, algebra.scores(model.allowed(np.arange(a, b))), out=onward)
        if without is not None and block.no_pulse:
            entered = algebra.scores(without.entered(block, onward, scale) - scale)
            onward = np.concatenate([onward, np.broadcast_to(entered, (1, onward.shape[1], b - a))])
        leaving = tempi(onward, block.tempi, block.ended)
        if change is None:
            before = np.empty((len(block.ended), len(positions), b - a))
            before[:, :-1] = leaving[:, 1:]
            before[:, model.lasts] = tempi.ended(_along_positions(algebra, bars, leaving[:, model.firsts]), block.ended)
        else:
            before = np.matmul(change, leaving)
        following[block.ended, :, a - zero : b - zero] = before
        if algebra.times is np.multiply:
            from_here = NEVER if without is None or not block.no_pulse else without.after(a)
            scale = _rescaled(following, slice(a, a + past), zero, before, scale, from_here)
    if without is not None and no_pulse is not None:
        no_pulse[:] = without.posterior(forward, total)


class _BackwardNoPulse:
    """Scores of all that follows stretches without a pulse, from the last block of frames to the first."""

    def __init__(self, model: BarPointer, algebra: Algebra) -> None:
        assert model.no_pulse is not None
        self._state, self._scores, self._algebra = model.no_pulse, _StretchScores(model), algebra
        self._begin = algebra.scores((model.no_pulse.tempi + model.no_pulse.positions)[..., None])
        self._after = np.full(model.frames + 1, NEVER)  # of all after a frame up to which there is none for long enough
        self._after[-1] = 0.0
        self._from = np.full(model.frames, NEVER)  # of all from a frame on where a stretch begins
        frames = np.arange(model.frames)
        self._until = np.minimum(frames + model.no_pulse.least, model.frames)  # it lasts, at least
        self._least = self._scores(frames, self._until)

    def after(self, frame: int) -> float:
        """Return the logarithm of the score of all from a frame on, in whose block `entered` has been computed."""
        return float(self._after[frame])

    def entered(self, block: Block, onward: Floats, scale: float) -> Floats:
        """Return the logarithms of scores of all from the frames (n,) of a block on, where stretches begin there.

        Parameters
        ----------
        block : Block
        onward : float64 [shape=(tempi of the block, P, n)]
            Scores of beats that start at each of its frames, and of all that follows them.
        scale : float
            Logarithm of their scale.
        """
        a, b, state, algebra = block.start, block.stop, self._state, self._algebra
        each = algebra.times(onward, self._begin[block.tempi]).reshape(-1, b - a)
        left = algebra.logs(algebra.total(each)) + scale + state.leave
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
    """Multiply probabilities given as logarithms.

    Every column has its own scale. What is too small beside the highest score of its column is summed once more where
    that one does not lead: it may be all there is.
    """
    scale = np.maximum.reduce(scores, initial=NEVER)
    scale[scale == NEVER] = 0
    with np.errstate(divide="ignore"):
        result: Floats = np.log(factors.T @ np.exp(scores - scale))
        small = ((scores < scale + TOO_SMALL) & (scores > NEVER)).any(axis=0)
        small &= (result < TOO_SMALL).any(axis=0)
        if small.any():
            result[:, small] = _log_product(scores[:, small], np.log(factors)) - scale[small]
    result += scale
    return result


def _log_product(scores: Floats, weights: Floats) -> Floats:
    """Multiply probabilities given as logarithms, whatever their sizes."""
    (n, m), columns = weights.shape, scores.shape[1]
    result = np.empty((m, columns))
    size = max(1, AT_ONCE // (n * m))
    for part in (slice(first, first + size) for first in range(0, columns, size)):
        terms = scores[:, None, part] + weights[..., None]
        top = np.maximum.reduce(terms, initial=NEVER)
        top[top == NEVER] = 0
        result[:, part] = np.log(np.exp(terms - top).sum(axis=0)) + top
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


def _logs(scores: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(scores)


sum_product = Algebra(np.exp, _sum_product, _log_sums, np.logaddexp.accumulate)
"""Sums of probabilities given as logarithms."""
scaled_sum_product = Algebra(
    np.exp, lambda scores, weights: weights.T @ scores, lambda scores: np.add.reduce(scores), np.logaddexp.accumulate,
    times=np.multiply, scores=np.exp, logs=_logs, never=0.0,
)  # fmt: skip
"""Sums of probabilities, which all have the same scale."""
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
    started = np.zeros((len(lengths), 2 * longest), np.bool_)  # of frames before a block; none after its first
    started[:, :longest] = True
    before = sliding_window_view(started, longest, axis=1)
    while a < model.frames:
        ahead = beats[:, a : a + longest]
        wait = ahead.argmax(axis=1)
        wait[~ahead[every, wait]] = longest
        n = min(int(np.maximum(lengths, wait).min()), model.frames - a)
        starting = np.asarray(wait < n)
        ended = np.asarray(before[every, longest - lengths, :n].any(axis=1))
        without = bool(no_pulse[a - 1 : a + n + 1].any())  # it begins at the frame before
        result.append(Block(a, a + n, starting.nonzero()[0], ended.nonzero()[0], without))
        started[:, : longest - n] = started[:, n:longest].copy()
        started[:, longest - n : longest] = starting[:, None]
        a += n
    return result
