"""Which beats are likely at all, from a model of tempo alone.

Almost all of the posterior probability of a recording lies on one or two beats in a hundred. A model that is the
same but for the positions in the bar, in which each beat may be a downbeat, finds them in a ninth of the time, and
only they are decoded. It is run on windows of a few seconds at once, for no beat depends on what is far away.

This is an approximation: a beat whose probability is below `LEAST` here cannot be decoded. Where a decoded beat is
unlikely here, as where hints ask for a metre that nothing else supports, all are decoded near it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from levada.beat_tracking.decoder.state_space import BEGIN_WITHOUT, BarPointer

__all__ = ["LIKELY", "likely_beats"]

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]

LEAST, LEAST_WITHOUT = 1e-14, 1e-11  # probabilities of a beat and of no pulse that are decoded, and
LEAST_SHORT = 1e-12  # of a beat of a recording that is one window, where positions in the bar count for less
LIKELY = 1e-8
"""Probability that decoded beats have here, or all near them are decoded."""
CONTEXT, LENGTH = 2, 10  # longest beats around a window, and in it
LONGEST = 15  # longest beats of a recording that is one window
WINDOWS_AT_ONCE = 4
RESCALED = 4  # blocks from one scaling of probabilities to the next
SMALLEST = 1e-30  # likelihood of a frame without a pulse where there must be a beat


def likely_beats(model: BarPointer) -> tuple[Floats32, Floats32] | None:
    """Compute the posterior probability of beats, whatever their position in the bar, and of no pulse.

    Parameters
    ----------
    model : BarPointer

    Returns
    -------
    beats : float32 [shape=(K, frames)]
        Of a beat of each tempo that starts at each frame; those below `LEAST` or `LEAST_SHORT` are 0.
    no_pulse : float32 [shape=(frames,)]
        Of a stretch without a pulse that ends before each frame, or goes on; those below `LEAST_WITHOUT` are 0.

    None where positions differ in more than how well activations fit them: then all beats must be decoded.
    """
    if model.likelihood is not None or model.proportions is not None:
        return None
    past, step = model.longest, int(model.lengths[0])
    core, context, least = LENGTH * past, CONTEXT * past, LEAST
    if model.frames <= LONGEST * past:
        core, least = max(model.frames, 1), LEAST_SHORT
    length = -(-(core + 2 * context) // step) * step
    result = np.empty((len(model.lengths) + 1, model.frames), np.float32)
    for first in range(0, model.frames, WINDOWS_AT_ONCE * core):
        n = min(WINDOWS_AT_ONCE, -(-(model.frames - first) // core))
        part = _Windows(model, first - context, n, core, length).posterior()
        part = part[..., context : context + core].reshape(len(part), -1)
        result[:, first : first + n * core] = part[:, : model.frames - first]
    beats, without = result[:-1], result[-1]
    beats[beats < least] = 0
    without[~_lasting(without >= LEAST_WITHOUT, model)] = 0
    return beats, without


def _lasting(marked: npt.NDArray[np.bool_], model: BarPointer) -> npt.NDArray[np.bool_]:
    """Keep of marked frames the runs that are as long as stretches without a pulse, or at the ends: here all may be."""
    result = np.zeros_like(marked)
    if model.no_pulse is None:
        return result
    changes = np.diff(marked, prepend=False, append=False).nonzero()[0].reshape(-1, 2)
    for start, stop in changes.tolist():
        at_end = start <= 1 or stop == len(marked)
        result[start:stop] = at_end or stop - start >= model.no_pulse.least
    return result


class _Windows:
    """Probabilities of beats in windows of a recording, forward and backward, each scaled as it goes along.

    Parameters
    ----------
    model : BarPointer
    start : int
        First frame of the first window.
    n, hop, length : int
        Number of windows, and their hop and length in frames.
    """

    def __init__(self, model: BarPointer, start: int, n: int, hop: int, length: int) -> None:
        self.model, self.n, self.length = model, n, length
        self.step, self.past = int(model.lengths[0]), model.longest
        self.every = np.arange(len(model.lengths))
        self.change = np.exp(model.tempo_change)
        evidence, without = _evidence(model, start - self.past, start + (n - 1) * hop + length)
        across, along = evidence.strides
        self.evidence = as_strided(evidence, (len(evidence), n, self.past + length), (across, hop * along, along))
        self.without = as_strided(without[self.past :], (n, length), (hop * along, along))

    def posterior(self) -> Floats32:
        """Compute the posterior probability of beats, and in the last row of no pulse (K + 1, windows, length)."""
        model, past, state = self.model, self.past, self.model.no_pulse
        forward, stretches, scales, total = self._forward()
        after = np.ones((len(self.every), self.n, self.length + past))  # of a beat, by the frame of its end
        windows = sliding_window_view(after, self.step, axis=2)
        result = np.zeros((len(self.every) + 1, self.n, self.length), np.float32)
        scale, without = np.zeros(self.n), np.ones(self.n)
        for i, a in enumerate(reversed(range(0, self.length, self.step))):
            b = a + self.step
            onward = windows[self.every, :, a + model.lengths]
            with np.errstate(over="ignore", invalid="ignore"):
                factor = np.exp(scales[:, past + a : past + b] + (scale - total)[:, None])
                result[:-1, :, a:b] = forward[..., past + a : past + b] * onward * factor
            onward *= self.evidence[..., past + a : past + b]
            before = _along_tempi(self.change, onward)
            if state is not None:
                likelihood = self.without[:, a:b]
                left = np.exp(state.leave) * _along_tempi(np.exp(state.tempi[None, :, 0]), onward)[0]
                going_on = np.exp(state.stay) * np.cumprod(likelihood[:, ::-1], axis=1)[:, ::-1]
                going_on *= np.exp(state.stay) ** np.arange(self.step - 1, -1, -1)
                since = without[:, None] + np.cumsum((left / going_on)[:, ::-1], axis=1)[:, ::-1]
                inside = going_on * since
                later = np.concatenate([inside[:, 1:], without[:, None]], axis=1)
                before += np.exp(state.enter) * likelihood * later
                result[-1, :, a:b] = stretches[:, a:b] * inside * factor
                without = inside[:, 0].copy()
            after[..., a:b] = before
            if i % RESCALED == 0:
                highest = _rescale(after[..., a : a + past], without)
                scale += np.log(highest)
        result[:, ~np.isfinite(total)] = 1  # too unlikely to be computed
        return result

    def _forward(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Return probabilities up to each beat (K, windows, longest + length), no pulse, scales and the total."""
        model, past, state = self.model, self.past, self.model.no_pulse
        scores = np.zeros((len(self.every), self.n, past + self.length))
        begun = np.arange(-past, 0) >= -model.lengths[:, None]
        scores[..., :past] = np.exp(model.begin).sum(axis=1)[:, None, None] * begun[:, None] * self.evidence[..., :past]
        windows = sliding_window_view(scores, self.step, axis=2)
        scales, stretches = np.zeros((self.n, past + self.length)), np.zeros((self.n, self.length))
        scale, without = np.zeros(self.n), np.full(self.n, BEGIN_WITHOUT)
        for i, a in enumerate(range(0, self.length, self.step)):
            b = a + self.step
            arrived = windows[self.every, :, past + a - model.lengths]
            following = _along_tempi(self.change.T, arrived)
            if state is not None:
                likelihood = self.without[:, a:b]
                staying = np.cumprod(np.exp(state.stay) * likelihood, axis=1)
                entered = np.exp(state.enter) * arrived.sum(axis=0) * likelihood
                inside = staying * (without[:, None] + np.cumsum(entered / staying, axis=1))
                before = np.concatenate([without[:, None], inside[:, :-1]], axis=1)
                following += np.exp(state.leave) * np.exp(state.tempi[:, 0, None, None]) * before
                stretches[:, a:b], without = before, inside[:, -1].copy()
            following *= self.evidence[..., past + a : past + b]
            scores[..., past + a : past + b] = following
            scales[:, past + a : past + b] = scale[:, None]
            if i % RESCALED == 0:
                highest = _rescale(scores[..., b : past + b], without)
                stretches[:, max(b - past, 0) : b] /= highest[:, None]
                scale += np.log(highest)
                scales[:, b : past + b] = scale[:, None]
        ended = np.arange(-past, 0) >= -model.lengths[:, None]
        total = (scores[..., self.length :] * ended[:, None]).sum(axis=0).sum(axis=1)
        if state is not None:
            total += without
        with np.errstate(divide="ignore"):
            return scores, stretches, scales, np.log(total) + scale


def _rescale(scores: Floats, without: Floats) -> Floats:
    """Divide scores (K, windows, frames), in place, and those without a pulse by the highest, which is returned."""
    highest: Floats = np.maximum(scores.max(axis=0).max(axis=1), without)
    highest[highest == 0] = 1
    scores /= highest[:, None]
    without /= highest
    return highest


def _along_tempi(matrix: Floats, scores: Floats) -> Floats:
    result: Floats = (matrix @ scores.reshape(len(scores), -1)).reshape(-1, *scores.shape[1:])
    return result


def _evidence(model: BarPointer, start: int, stop: int) -> tuple[Floats, Floats]:
    """Compute the likelihood of beats (K, n) that start at some frames, and of these frames without a pulse (n,).

    Both are relative to that of frames without a beat. A beat is a downbeat as often as in the model.
    """
    past, frames = model.longest, np.arange(start, stop)
    index = np.arange(start, stop + past) + past
    sums = (model.sums[:2] - model.sums[2])[:, index.clip(0, model.sums.shape[1] - 1)]
    n = len(frames)
    positions = np.exp(model.begin).sum(axis=0)
    downbeat = positions[model.firsts].sum() / positions.sum()
    evidence = np.empty((len(model.regions), n))
    for row, region in zip(evidence, model.regions.tolist(), strict=True):
        beat, first = np.exp(sums[:, region : region + n] - sums[:, :n])
        np.add((1 - downbeat) * beat, downbeat * first, out=row)
    without = np.ones(n)
    if model.no_pulse is not None:
        inside = (frames >= 0) & (frames < model.frames)
        rest = np.diff(model.sums[2])[past : past + model.frames]
        without[inside] = np.exp(model.no_pulse_scores - rest)[frames[inside]].clip(min=SMALLEST)
    if model.windows is not None:
        opened = np.searchsorted(model.windows.first, frames, side="right")
        closed = np.searchsorted(model.windows.last, np.arange(start, stop + past), side="left")
        for row, length in zip(evidence, model.lengths.tolist(), strict=True):
            row[closed[length : length + n] > opened] = 0
    return evidence, without
