"""Choose the weight of a fine-tuned network in its interpolation with the base (WiSE-FT) by two-fold cross-validation.

A network is trained on each half of the labels and evaluated on the other half, for several interpolations of its
weights with those of the base. The best weight, alpha, is then used for the network trained on all labels; with
alpha 0 the base network is kept and only the decoder is adapted. No further labels are needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder import probabilities
from levada.beat_tracking.spectrogram import FRONT_ENDS
from levada.data import Span
from levada.io.beats import Beats
from levada.learning.weights import interpolate

__all__ = ["ALPHAS", "HIGH_LOSS", "Validation", "event_loss", "held_out_loss", "validate"]

Floats32 = npt.NDArray[np.float32]

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
CONTEXT_S = 20.0
"""Context on either side of a span that is evaluated, in seconds."""
NEAR_S = 0.03
"""Tolerance between a peak and its beat, in seconds."""
SAME_LOSS = 0.01
"""Losses that differ by less count as equal: the smaller alpha is taken."""
HIGH_LOSS = 0.4
"""A base with a higher loss does not fit this music: the greatest alpha with half of the best gain is taken, since a
network trained on all labels is better than those trained on half of them."""


@dataclass(frozen=True)
class Validation:
    """Result of the cross-validation.

    Parameters
    ----------
    alpha : float
        Weight of the trained network; 0 is the base.
    losses : tuple of float
        Mean `event_loss` on held-out labels at each of `ALPHAS`.
    networks : tuple of nn.Module
        Those trained on each half.
    """

    alpha: float
    losses: tuple[float, ...]
    networks: tuple[Any, ...] = ()


def validate(
    halves: tuple[Sequence[Span], Sequence[Span]],
    *,
    base: Any,
    train: Callable[[Sequence[Span], int], Any],
    load_spectrogram: Callable[[Path], Floats32],
) -> Validation:
    """Train on each half and evaluate on the other.

    Parameters
    ----------
    halves : tuple of two sequences of Span
        As from `halves_of`.
    base : nn.Module
        The network that training starts from.
    train : callable
        From labels and the number of the half, 1 or 2, to a network trained on them.
    load_spectrogram : callable
        From a recording to its spectrogram.

    Returns
    -------
    Validation
    """
    losses, seconds, networks = list[list[float]](), list[float](), []
    for number, (training, test) in enumerate((halves, halves[::-1]), start=1):
        trained = train(training, number)
        networks.append(trained)
        nets = [interpolate(base, trained, alpha=alpha) for alpha in ALPHAS]
        for span in test:
            losses.append([_loss(net, span, load_spectrogram(span.track.audio)) for net in nets])
            seconds.append(span.duration_s)
    means = np.average(losses, axis=0, weights=seconds)
    return Validation(_choose_alpha(means), tuple(float(loss) for loss in means), tuple(networks))


def _choose_alpha(losses: npt.NDArray[np.float64]) -> float:
    """Return the smallest alpha among the best; the greatest that is good enough if the base fits badly."""
    best = losses.min()
    if losses[0] > HIGH_LOSS:
        return ALPHAS[int(np.flatnonzero(losses <= (best + losses[0]) / 2)[-1])] if losses[0] > best else 0.0
    return ALPHAS[int(np.flatnonzero(losses <= best + SAME_LOSS)[0])]


def held_out_loss(net: Any, spans: Sequence[Span], load_spectrogram: Callable[[Path], Floats32]) -> float:
    """Return the mean `event_loss` of a network on spans, by their lengths; the network is moved to the CPU."""
    net = net.cpu().eval()
    losses = [_loss(net, span, load_spectrogram(span.track.audio)) for span in spans]
    return float(np.average(losses, weights=[span.duration_s for span in spans]))


def _loss(net: Any, span: Span, spectrogram: Floats32) -> float:
    """Return the loss of a network on a span, whose context is part of its input."""
    import torch

    grid = FRONT_ENDS[net.front_end].grid
    first = max(0, grid.frame(span.start_s - CONTEXT_S))
    bands = spectrogram[first : grid.frame(span.end_s + CONTEXT_S) + 1]
    with torch.inference_mode():
        logits = net(torch.from_numpy(bands)[None])[0].numpy()
    return event_loss(probabilities(logits), span.beats.shift(-grid.time_s(first)), fps=float(grid.fps))


def event_loss(activations: npt.ArrayLike, beats: Beats, *, fps: float) -> float:
    """Compute the Brier score of activations at the beats of a span, independent of a decoder.

    The sum of two mean squared errors (Brier, 1950): of the probability of a beat, at each beat and between it and the
    next one; and of the probability of a downbeat given a beat, at each beat whose position is known. Unlike a
    likelihood it is bounded: one confident error about the bar does not outweigh the rest.

    Parameters
    ----------
    activations : array_like [shape=(frames, 2)]
        Probabilities of a beat and of a downbeat.
    beats : Beats
        The reference, in seconds from the first frame.
    fps : float
        Frames per second.

    Returns
    -------
    float
        From 0, best, to 2.
    """
    values = np.asarray(activations, np.float64)
    near = round(NEAR_S * fps)
    at = np.rint(beats.times_s * fps).astype(int)
    inside = at < len(values)
    at, positions = at[inside], beats.positions[inside]
    peaks = [max(0, frame - near) + int(values[max(0, frame - near) : frame + near + 1, 0].argmax()) for frame in at]
    between = [values[one + 2 * near : other - 2 * near + 1, 0] for one, other in pairwise(at)]
    is_beat = [(1 - values[peak, 0]) ** 2 for peak in peaks] + [gap.max() ** 2 for gap in between if len(gap)]
    is_downbeat = [
        (values[peak, 1] / max(values[peak, 0], 1e-9) - (position == 1)) ** 2
        for peak, position in zip(peaks, positions, strict=True)
        if position
    ]
    return float(np.mean(is_beat) if is_beat else 0.0) + float(np.mean(is_downbeat) if is_downbeat else 0.0)
