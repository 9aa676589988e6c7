"""Samples from the posterior: whole readings of a recording, each as often as it is probable.

Forward filtering, backward sampling (Frühwirth-Schnatter 1994; Carter and Kohn 1994): `recursion.Forward` sums all
paths up to each beat, and a path is drawn from its end, each beat given the one that follows it. The model is
semi-Markov, so a step back is a whole beat, or a whole stretch without a pulse. All samples walk back together, so that
the scores are read once, block by block.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder import decode
from levada.beat_tracking.decoder.peaks import sub_frame
from levada.beat_tracking.decoder.recursion import Block, Forward, sum_product
from levada.beat_tracking.decoder.settings import DecoderSettings
from levada.beat_tracking.decoder.state_space import BarPointer
from levada.errors import InputError
from levada.io.beats import Beats

__all__ = ["SampledPath", "sample_beats", "sample_paths"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class SampledPath(NamedTuple):
    """Beats of one reading of a recording, in the order of time."""

    starts: Ints  # (n,) first frame of each; below 1 for the one that has begun before the recording
    tempi: Ints  # (n,) index of its length
    positions: Ints  # (n,) index of its position in the bar


def sample_beats(
    activations: npt.ArrayLike,
    n: int,
    *,
    fps: float | Fraction = 100,
    settings: DecoderSettings | None = None,
    hints: Beats | None = None,
    seed: int | np.random.Generator = 0,
) -> list[Beats]:
    """Sample readings of a recording from the exact posterior of the decoder.

    The share of the samples that have a beat, or a downbeat, at a frame is its probability in `posteriors`, up to the
    error of `n` draws. What `decode_beats` leaves out at both ends (beats below the threshold of the settings) is
    left out here too.

    Parameters
    ----------
    activations, fps, settings, hints
        As in `decode_beats`. Beats pass through the windows of hints, and lie at the peaks in them.
    n : int
        Number of samples.
    seed : int or numpy.random.Generator

    Returns
    -------
    list of Beats
        Without confidences.

    Raises
    ------
    InputError
        As in `decode_beats`, and if there are fewer samples than one.
    """
    if n < 1:
        raise InputError(f"at least one sample is drawn, not {n}")
    build, frames, rate = decode._from_activations(activations, fps)
    model, settings, hints = decode._prepared(build, frames, rate, settings, hints)
    if model.frames == 0 or (hints is None and model.activation.max(initial=0) < settings.threshold):
        return [Beats([]) for _ in range(n)]
    rng = np.random.default_rng(seed)
    paths = sample_paths(model, n, rng=rng)
    if not paths:
        assert hints is not None  # without hints every recording has a path
        model, _ = decode._with_met_hints(build, model, hints, settings=settings)
        paths = sample_paths(model, n, rng=rng)
    return [_beats_of(path, model, settings.threshold) for path in paths]


def sample_paths(model: BarPointer, n: int, *, rng: np.random.Generator) -> list[SampledPath]:
    """Sample paths of a model; none if none is possible.

    Parameters
    ----------
    model : BarPointer
    n : int
        Number of samples.
    rng : numpy.random.Generator

    Returns
    -------
    list of SampledPath
    """
    forward = Forward(model, sum_product)
    if not forward.possible:
        return []
    walks = [_Walk(model, forward, rng) for _ in range(n)]
    blocks, near = forward.backwards(), list[tuple[Block, Floats]]()
    while going := [walk for walk in walks if walk.frame > 0]:
        last = max(walk.frame for walk in going)
        near = [block for block in near if block[0].start < last]
        while not near or near[-1][0].start > last - model.longest:
            near.append(next(blocks))
        for walk in going:
            while walk.frame > 0 and near[-1][0].start <= walk.frame - model.longest:
                walk.step(near)
    return [walk.path() for walk in walks]


class _Walk:
    """One path, from its end to the frame that is reached."""

    def __init__(self, model: BarPointer, forward: Forward, rng: np.random.Generator) -> None:
        self._model, self._forward, self._rng = model, forward, rng
        self._beats = list[tuple[int, int, int]]()
        self._following: tuple[int, int] | None = None  # tempo and position of the beat that starts at the frame
        self.frame = model.frames
        ends = np.append(forward.ending.ravel(), [forward.ending_without])
        chosen = self._draw(ends)
        if chosen == len(ends) - 1:
            self._without_pulse()
        else:
            k, p, last = (int(i) for i in np.unravel_index(chosen, forward.ending.shape))
            self._begin(last + model.frames - model.longest, k, p)

    def step(self, near: Sequence[tuple[Block, Floats]]) -> None:
        """Draw what is before the frame: a beat, or a stretch without a pulse."""
        model, following = self._model, self._following
        origins = self.frame - model.lengths
        parts, chosen = list[Floats](), list[tuple[Ints, Ints, int]]()
        for block, scores in near:
            at = origins[block.tempi]
            rows = ((at >= block.start) & (at < block.stop)).nonzero()[0]
            if len(rows):
                parts.append(scores[rows, :, at[rows] - block.start])
                chosen.append((block.tempi[rows], rows, len(rows)))
        weights, tempi = np.concatenate(parts), np.concatenate([one[0] for one in chosen])
        n_positions = weights.shape[1]
        if following is not None:
            weights = weights + model.change_to(*following)[tempi]
        flat = weights.ravel()
        if following is not None and model.no_pulse is not None:
            left = model.no_pulse.leave + model.no_pulse.tempi[following] + model.no_pulse.positions[following[1]]
            flat = np.append(flat, self._forward.no_pulse[self.frame] + left)
        index = self._draw(flat)
        if index == weights.size:
            self._without_pulse()
        else:
            row, p = divmod(index, n_positions)
            k = int(tempi[row])
            self._begin(int(origins[k]), k, p)

    def path(self) -> SampledPath:
        """The beats, in the order of time."""
        starts, tempi, positions = np.array(self._beats[::-1], np.int64).reshape(-1, 3).T
        return SampledPath(starts, tempi, positions)

    def _begin(self, frame: int, tempo: int, position: int) -> None:
        self._beats.append((frame, tempo, position))
        self.frame, self._following = frame, (tempo, position)

    def _without_pulse(self) -> None:
        """Draw where the stretch without a pulse begins that ends before the frame."""
        model, forward, stop = self._model, self._forward, self.frame
        assert model.no_pulse is not None
        self._following = None
        if stop == model.frames and len(forward.cut):
            index = self._draw(np.append(forward.cut, forward.no_pulse[stop]))
            if index < len(forward.cut):
                self.frame = stop - len(forward.cut) + index
                return
        frame = stop
        while self._rng.random() >= np.exp(forward.lasted[frame] - forward.no_pulse[frame]):
            frame -= 1
        self.frame = max(frame - model.no_pulse.least, 0)

    def _draw(self, scores: Floats) -> int:
        """Draw an index with probabilities given as logarithms, up to a constant."""
        sums = np.cumsum(np.exp(scores - scores.max()))
        return int(np.searchsorted(sums, self._rng.random() * sums[-1], side="right"))


def _beats_of(path: SampledPath, model: BarPointer, threshold: float) -> Beats:
    """Beats at the peaks of their regions, from the first to the last that is evident."""
    at = decode._loudest(model, model.regions[path.tempi], path.starts)
    evident = ((at >= 0) & (model.activation[at] >= threshold)).nonzero()[0]
    if not len(evident):
        return Beats([])
    kept = slice(evident[0], evident[-1] + 1)
    return Beats(sub_frame(model.activation, at[kept]) / model.fps, model.places[path.positions[kept]])
