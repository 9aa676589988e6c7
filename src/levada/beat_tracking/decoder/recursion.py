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

Two properties make it fast without a compiler. No beat is shorter than `length[0]` frames, so that as many
frames never depend on each other and are computed at once. And only the *scores* are kept, no back-pointers:
the few beats of the best path find their predecessors by computing them again. Memory stays flat for long
recordings, for scores are kept for one stretch of frames at a time; on the way back each stretch is computed
again from what was saved at its beginning.
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from levada.beat_tracking.decoder.state_space import NEVER, BarPointer
from levada.errors import InputError, MissingExtra

__all__ = ["Algebra", "Forward", "Impl", "backward", "best_product", "log_sum", "sum_product"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Product = Callable[[Floats], Floats]  # (n, columns) -> (m, columns)
Impl = Literal["auto", "numpy", "numba"]

STRETCH_BYTES = 16_000_000
WORTH_NUMBA = 2e9  # number of sums above which loading numba saves time


class Algebra(NamedTuple):
    """What "sum" is, and the product of a matrix with it."""

    product: Callable[[Floats], Product]  # weights (n, m), from row to column -> the product with them
    add: Callable[[float, float], float]


class Forward:
    """Scores of all beat starts from the beginning of a recording, readable backwards stretch by stretch.

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

    def __init__(self, model: BarPointer, algebra: Algebra) -> None:
        self._model, self._add = model, algebra.add
        self.no_pulse, self.lasted, self.entered = np.full((3, model.frames + 1), NEVER)
        self.cut, self.ending_without = np.zeros(0), NEVER
        if model.no_pulse is not None:
            self._stretches_without = _StretchScores(model)
        self._bars, self._tempi = algebra.product(model.bar_change), _TempoChange(model, algebra)
        self._all = algebra.product(np.zeros((model.begin.size, 1)))
        states, past = model.begin.size, model.longest
        stretch = min(max(past, STRETCH_BYTES // (8 * states)), model.frames)
        self._stretches = [(a, min(a + stretch, model.frames)) for a in range(1, max(model.frames, 2), stretch)]
        self._scores = np.full((*model.begin.shape, past + stretch), NEVER)
        self._rows = sliding_window_view(self._scores, int(model.lengths[0]), axis=2)
        self._saved: list[Floats] = []
        self._needed = np.arange(-past, 0) >= -model.lengths[:, None]  # (K, longest) of the frames before a stretch
        begun = np.where(self._needed, 0, NEVER)  # a beat that reaches into the recording
        self._scores[..., :past] = model.begin[..., None] + begun[:, None]
        self._scores[..., :past] += model.allowed(np.arange(1 - past, 1))
        for start, stop in self._stretches:
            if self._saved:
                self._scores[..., :past] = self._scores[..., stretch : stretch + past].copy()
            self._saved.append(self._scores[..., :past].swapaxes(1, 2)[self._needed])
            self._fill(start, stop)
        last = np.arange(model.frames - past, model.frames)
        ended = np.where(last + model.lengths[:, None] >= model.frames, 0, NEVER)
        offset = model.frames - self._stretches[-1][0]
        self.ending = self._scores[..., offset : offset + past] + ended[:, None]
        self.ending += model.evidence(np.broadcast_to(last, ended.shape))
        if model.no_pulse is not None:
            self._fill_no_pulse(model.frames, model.frames + 1)
            entered = np.arange(max(1, model.frames - model.no_pulse.least + 1), model.frames)
            self.cut = self.entered[entered] + self._stretches_without(entered, model.frames)
            self.ending_without = functools.reduce(algebra.add, self.cut.tolist(), float(self.no_pulse[-1]))

    @property
    def possible(self) -> bool:
        """Whether there is any path: hints may leave none."""
        return bool(max(self.ending.max(), self.ending_without) > NEVER)

    def backwards(self) -> Iterator[tuple[int, int, Floats]]:
        """Yield ``start, stop, scores`` of each stretch, the last first.

        The scores [shape=(K, P, longest + stop - start)] begin one longest beat before frame `start`.
        """
        past = self._model.longest
        for (start, stop), saved in zip(reversed(self._stretches), reversed(self._saved), strict=True):
            if (start, stop) != self._stretches[-1]:
                self._scores[..., :past] = NEVER
                self._scores[..., :past].swapaxes(1, 2)[self._needed] = saved
                self._fill(start, stop)
            yield start, stop, self._scores[..., : past + stop - start]

    def _fill(self, start: int, stop: int) -> None:
        """Compute the scores of the frames from start to stop from those before."""
        model = self._model
        zero = start - model.longest  # the frame at index 0
        for a, b in _blocks(start, stop, int(model.lengths[0])):
            arrived = _gather(self._rows, a - model.lengths - zero)[..., : b - a]
            arrived += model.evidence(np.arange(a, b) - model.lengths[:, None])
            tempi, positions, n = arrived.shape
            following = np.empty((tempi + (model.no_pulse is not None), positions, n))
            following[:tempi, 1:] = arrived[:, :-1]
            ended = self._tempi.ended(arrived[:, model.lasts])
            following[:tempi, model.firsts] = _along_positions(self._bars, ended)
            if model.no_pulse is not None:
                self.entered[a:b] = self._all(arrived.reshape(-1, n))[0] + model.no_pulse.enter
                self._fill_no_pulse(a, b)
                following[tempi] = self.no_pulse[a:b] + model.no_pulse.leave + model.no_pulse.positions[:, None]
            scores = self._scores[..., a - zero : b - zero]
            scores[:] = self._tempi(following)
            if model.windows is not None:
                scores += model.allowed(np.arange(a, b))

    def _fill_no_pulse(self, start: int, stop: int) -> None:
        """Compute the scores without a pulse up to the frames from start to stop, from those before."""
        state, frames = self._model.no_pulse, np.arange(start, stop)
        assert state is not None
        long_ago = frames[frames > state.least] - state.least
        self.lasted[frames[frames > state.least]] = self.entered[long_ago] + self._stretches_without(
            long_ago, long_ago + state.least
        )
        scores = self._stretches_without.frames
        if start == 1:
            self.lasted[1] = state.begin + scores[0]
        score, result = float(self.no_pulse[start - 1]), list[float]()
        for lasted, frame in zip(self.lasted[frames].tolist(), scores[frames - 1].tolist(), strict=True):
            score = self._add(score + state.stay + frame, lasted)
            result.append(score)
        self.no_pulse[frames] = result


class _StretchScores:
    """Log likelihood of stretches without a pulse."""

    def __init__(self, model: BarPointer) -> None:
        assert model.no_pulse is not None
        self.frames = model.no_pulse_scores  # windows included
        self._sums = np.concatenate([[0.0], np.cumsum(model.no_pulse.scores)])
        self._windows = model.windows

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

        def product_of(change: Floats, position: int) -> Product:
            change = change.T if backward else change
            if no_pulse is not None:
                one_more = np.full(len(change), no_pulse.enter) if backward else no_pulse.tempi[:, position]
                change = np.vstack([change, one_more])
            return algebra.product(change)

        self._equal = None if unequal is not None else product_of(model.tempo_change, 0)
        self._groups: list[tuple[Ints, Product]] = []
        self._usual: list[tuple[int, Product]] = []
        if unequal is None:
            return
        for kind, change in enumerate(unequal.changes):
            positions = np.flatnonzero(unequal.kinds == kind)
            self._groups.append((positions, product_of(change, int(positions[0]))))
        same = np.arange(len(model.lengths))
        for bar, usual in enumerate(unequal.usual.T):
            if not np.array_equal(usual, same):
                change = np.where(usual[:, None] == same, 0.0, NEVER)
                self._usual.append((bar, algebra.product(change.T if backward else change)))

    def __call__(self, scores: Floats) -> Floats:
        """Change the lengths of beats of all positions: (K, P, n), or (K + 1, P, n) with no pulse, to (K, P, n)."""
        if self._equal is not None:
            return _along_tempi(self._equal, scores)
        changed = [(positions, _along_tempi(product, scores[:, positions])) for positions, product in self._groups]
        result = np.empty((len(changed[0][1]), *scores.shape[1:]))
        for positions, part in changed:
            result[:, positions] = part
        return result

    def ended(self, scores: Floats) -> Floats:
        """Change the lengths of last beats (K, M, n) to those of the usual beats of their bars, or back."""
        for bar, product in self._usual:
            scores[:, bar] = product(scores[:, bar])
        return scores


def backward(model: BarPointer, forward: Forward, no_pulse: Floats | None = None) -> Iterator[tuple[int, Floats]]:
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
    first : int
        The frame at index 0; from ``1 - longest``, for a recording may begin inside a beat.
    probabilities : float64 [shape=(K, P, n)]
        Posterior probability that a beat of each tempo and position starts at each frame.
    """
    bars, tempi = sum_product.product(model.bar_change.T), _TempoChange(model, sum_product, backward=True)
    step, past = int(model.lengths[0]), model.longest
    total = log_sum(np.append(forward.ending, forward.ending_without))
    without = None if model.no_pulse is None else _BackwardNoPulse(model)
    ahead = np.zeros((*model.begin.shape, past))  # score of all that follows a beat, by the frame of its end
    for start, stop, scores in forward.backwards():
        zero = start - past
        lowest = zero if start == 1 else start
        following = np.empty((*model.begin.shape, stop - lowest + past + step))
        following[..., stop - lowest : stop - lowest + past] = ahead
        rows = sliding_window_view(following, step, axis=2)
        for a, b in reversed(_blocks(lowest, stop, step)):
            onward = _gather(rows, a + model.lengths - lowest)[..., : b - a]
            onward += model.evidence(np.broadcast_to(np.arange(a, b), (len(onward), b - a)))
            probability = scores[..., a - zero : b - zero] + onward
            probability -= total
            yield a, np.exp(probability, out=probability)
            if model.windows is not None:
                onward += model.allowed(np.arange(a, b))
            if without is not None:
                entered = np.broadcast_to(without.entered(a, onward), (1, onward.shape[1], b - a))
                onward = np.concatenate([onward, entered])
            leaving = tempi(onward)
            before = following[..., a - lowest : b - lowest]
            before[:, :-1] = leaving[:, 1:]
            before[:, model.lasts] = tempi.ended(_along_positions(bars, leaving[:, model.firsts]))
        ahead = following[..., :past].copy()
    if without is not None and no_pulse is not None:
        no_pulse[:] = without.posterior(forward, total)


class _BackwardNoPulse:
    """Scores of all that follows stretches without a pulse, from the last block of frames to the first."""

    def __init__(self, model: BarPointer) -> None:
        assert model.no_pulse is not None
        self._state, self._scores = model.no_pulse, _StretchScores(model)
        begin = model.no_pulse.tempi + model.no_pulse.positions
        self._begin = sum_product.product(begin.reshape(-1, 1))
        self._after = np.full(model.frames + 1, NEVER)  # of all after a frame up to which there is none for long enough
        self._after[-1] = 0.0
        self._from = np.full(model.frames, NEVER)  # of all from a frame on where a stretch begins

    def entered(self, first: int, onward: Floats) -> Floats:
        """Return the scores of all that follows from the frames (n,) of a block on, where stretches begin there.

        Parameters
        ----------
        first : int
            First frame of the block; negative ones are never.
        onward : float64 [shape=(K, P, n)]
            Scores of beats that start at each of its frames, and of all that follows them.
        """
        n, frames = onward.shape[2], len(self._from)
        left = (self._begin(onward.reshape(-1, n))[0] + self._state.leave).tolist()
        stop = first + n
        score, stay = float(self._after[stop]) if stop > 0 else 0.0, self._state.stay
        for t in reversed(range(max(first, 1), stop)):
            score = _log_add(score + stay + float(self._scores.frames[t]), left[t - first])
            self._after[t] = score
        inside = np.arange(max(first, 1), max(stop, 1))
        until = np.minimum(inside + self._state.least, frames)
        self._from[inside] = self._scores(inside, until) + self._after[until]
        result = np.full(n, NEVER)
        result[inside - first] = self._from[inside]
        return result

    def posterior(self, forward: Forward, total: float) -> Floats:
        """Return the posterior probability of no pulse in each frame, given the score of all paths."""
        frames, least = len(self._from), self._state.least
        goes_on = forward.no_pulse[:-1] + self._state.stay + self._scores.frames + self._after[1:]
        goes_on[0] = self._state.begin + self._scores.frames[0] + self._after[1]
        begun = np.concatenate([[0.0], np.cumsum(np.exp(forward.entered[:-1] + self._from - total))])
        lately = begun[1:] - begun[(np.arange(frames) + 1 - least).clip(0)]
        probability: Floats = (np.exp(goes_on - total) + lately).clip(0, 1)
        return probability


def _sum_product(weights: Floats) -> Product:
    """Multiply probabilities given as logarithms; every column has its own scale, so that none underflows."""
    matrix = np.exp(weights.T)

    def product(scores: Floats) -> Floats:
        scale = np.maximum.reduce(scores)
        scale[scale == NEVER] = 0
        with np.errstate(divide="ignore"):
            result: Floats = np.log(matrix @ np.exp(scores - scale))
        result += scale
        return result

    return product


def _log_add(one: float, other: float) -> float:
    """Log of the sum of two exponentials."""
    low, high = min(one, other), max(one, other)
    return high + math.log1p(math.exp(low - high)) if low > NEVER else high


sum_product = Algebra(_sum_product, _log_add)
"""Sums of probabilities given as logarithms."""


def best_product(impl: Impl, *, work: float) -> Algebra:
    """Choose the implementation of the max-sum product; numpy and numba give the same bits.

    Parameters
    ----------
    impl : {"auto", "numpy", "numba"}
        "auto" uses numba where it is installed and saves time.
    work : float
        Sums to be compared, roughly.
    """
    if impl not in ("auto", "numpy", "numba"):
        raise InputError(f'impl must be "auto", "numpy" or "numba", not {impl!r}')
    worthwhile = work > WORTH_NUMBA or "numba" in sys.modules
    if impl == "numba" or (impl == "auto" and worthwhile):
        try:
            _compiled_loop()
        except ImportError:
            if impl == "numba":
                raise MissingExtra("numba", extra="fast", purpose='decode with impl="numba"') from None
        else:
            return Algebra(_best_product_numba, max)
    return Algebra(_best_product_numpy, max)


def _best_product_numpy(weights: Floats) -> Product:
    """One diagonal of the matrix at a time: along each, whole rows are added and compared at once."""
    n, m = weights.shape
    if m == 1:
        return lambda scores: np.maximum.reduce(scores + weights, axis=0, keepdims=True)
    diagonals = []
    for offset in range(1 - n, m):
        weight = np.diagonal(weights, offset)
        finite = np.flatnonzero(weight > NEVER)
        if len(finite):
            first, last = int(finite[0]), int(finite[-1]) + 1
            row, column = max(0, -offset), max(0, offset)
            rows, columns = slice(row + first, row + last), slice(column + first, column + last)
            diagonals.append((rows, columns, weight[first:last, None]))

    def product(scores: Floats) -> Floats:
        best = np.full((m, scores.shape[1]), NEVER)
        room = np.empty_like(scores)
        for rows, columns, weight in diagonals:
            candidate = np.add(scores[rows], weight, out=room[: len(weight)])
            np.maximum(best[columns], candidate, out=best[columns])
        return best

    return product


def _best_product_numba(weights: Floats) -> Product:
    weights = np.ascontiguousarray(weights)
    finite = weights > NEVER
    first = finite.argmax(axis=0)
    stop = np.where(finite.any(axis=0), len(weights) - finite[::-1].argmax(axis=0), 0)
    loop = _compiled_loop()

    def product(scores: Floats) -> Floats:
        best = np.full((weights.shape[1], scores.shape[1]), NEVER)
        loop(weights, first, stop, np.ascontiguousarray(scores), best)
        return best

    return product


def _best_loop(weights: Floats, first: Ints, stop: Ints, scores: Floats, best: Floats) -> None:
    """Compute, once compiled by numba, the product over the band of finite weights of each column."""
    for column in range(weights.shape[1]):
        for row in range(first[column], stop[column]):
            weight = weights[row, column]
            if weight == NEVER:
                continue
            for i in range(scores.shape[1]):
                candidate = scores[row, i] + weight
                best[column, i] = max(best[column, i], candidate)


@functools.cache
def _compiled_loop() -> Callable[..., None]:
    """Compile the loop, once a process: numba's cache on disk is not safe where two processes fill it at a time."""
    import numba

    types = "void(float64[:, ::1], int64[::1], int64[::1], float64[:, ::1], float64[:, ::1])"
    return numba.njit(types)(_best_loop)  # type: ignore[no-any-return]


def _gather(rows: Floats, first: Ints) -> Floats:
    """Take (K, P, n) from all rows of n scores (K, P, time, n): for each tempo those from its own time (K,)."""
    tempi, positions = rows.shape[:2]
    return rows[np.arange(tempi)[:, None], np.arange(positions), first[:, None]]


def _along_tempi(product: Product, scores: Floats) -> Floats:
    """Apply a product along the first axis of a table of (tempi, positions, frames)."""
    return product(scores.reshape(len(scores), -1)).reshape(-1, *scores.shape[1:])


def _along_positions(product: Product, scores: Floats) -> Floats:
    """Apply a product along the second axis of a (K, M, n) table."""
    swapped = scores.swapaxes(0, 1)
    return product(swapped.reshape(len(swapped), -1)).reshape(swapped.shape).swapaxes(0, 1)


def log_sum(scores: Floats) -> float:
    """Log of the sum of exponentials of all, of which one at least is possible."""
    top = scores.max()
    return float(np.log(np.exp(scores - top).sum()) + top)


def _blocks(start: int, stop: int, n: int) -> list[tuple[int, int]]:
    """First frame and the frame after the last of every n frames from start to stop."""
    return [(a, min(a + n, stop)) for a in range(start, stop, n)]
