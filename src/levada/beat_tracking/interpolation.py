"""How far to trust what few labels taught: cross-validation on those very labels.

A network trained on half of the labels is asked about the other half, and the other way round, at several places on the
straight way from the base's weights to its own. Where its answers are best is how far the network trained on all labels
goes; where that is the base itself, the labels teach the decoder alone. No label is needed beside those there are.
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
from levada.data.spans import halve
from levada.io.beats import Beats
from levada.learning.weights import interpolate

__all__ = ["ALPHAS", "Validation", "event_loss", "halves_of", "validate"]

Floats32 = npt.NDArray[np.float32]

ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)
CONTEXT_S = 20.0
"""Music heard on either side of a stretch that is asked about, in seconds."""
NEAR_S = 0.03
"""How far a peak may lie from its beat, in seconds."""
NOTHING = 0.01
"""A difference in loss that is none: the share nearer to the base is taken."""
UNKNOWN = 0.4
"""A base with a higher loss does not know this music: there is nothing to forget, and half of the gain is enough to go
farther, since a network trained on all labels is better than those trained on half of them."""


@dataclass(frozen=True)
class Validation:
    """What the labels that were held out said.

    Parameters
    ----------
    share : float
        How far to go from the base to the trained network.
    losses : tuple of float
        Mean `event_loss` on held-out labels at each of `SHARES`.
    """

    share: float
    losses: tuple[float, ...]


def halves_of(spans: Sequence[Span]) -> tuple[list[Span], list[Span]] | None:
    """Halve the labels: by groups where there are two, else by recordings, else near the middle of the only one.

    No beat is in both halves.

    Parameters
    ----------
    spans : sequence of Span

    Returns
    -------
    tuple of two lists of Span, or None
        About as long as each other; nothing where one of them would have fewer than four beats.
    """
    groups: dict[str, list[Span]] = {}
    recordings: dict[str, list[Span]] = {}
    for span in spans:
        groups.setdefault(span.track.group or span.track.id, []).append(span)
        recordings.setdefault(span.track.content_hash, []).append(span)
    units = groups if len(groups) > 1 and len(recordings) > 1 else recordings
    halves: tuple[list[Span], list[Span]] = ([], [])
    if len(units) > 1:
        for some in sorted(units.values(), key=lambda some: -_seconds(some)):
            min(halves, key=_seconds).extend(some)
    else:
        halves = halve(spans)
    if min(sum(len(span.beats) for span in half) for half in halves) < 4:
        return None
    return halves


def _seconds(spans: Sequence[Span]) -> float:
    return sum(span.duration_s for span in spans)


def validate(
    halves: tuple[Sequence[Span], Sequence[Span]],
    *,
    base: Any,
    train: Callable[[Sequence[Span], int], Any],
    hear: Callable[[Path], Floats32],
) -> Validation:
    """Train on each half and ask about the other.

    Parameters
    ----------
    halves : tuple of two sequences of Span
        As from `folds`.
    base : nn.Module
        The network that training starts from.
    train : callable
        From labels and the number of the half, 1 or 2, to a network trained on them.
    hear : callable
        From a recording to its spectrogram.

    Returns
    -------
    Validation
    """
    found, seconds = [], []
    for number, (taught, asked) in enumerate((halves, halves[::-1]), start=1):
        trained = train(taught, number)
        nets = [interpolate(base, trained, alpha=alpha) for alpha in ALPHAS]
        for span in asked:
            found.append([_asked(net, span, hear(span.track.audio)) for net in nets])
            seconds.append(span.duration_s)
    losses = np.average(found, axis=0, weights=seconds)
    return Validation(_share(losses), tuple(float(loss) for loss in losses))


def _share(losses: npt.NDArray[np.float64]) -> float:
    """The nearest share to the base that is as good as any; the farthest that is good enough where it knows nothing."""
    best = losses.min()
    if losses[0] > UNKNOWN:
        return ALPHAS[int(np.flatnonzero(losses <= (best + losses[0]) / 2)[-1])] if losses[0] > best else 0.0
    return ALPHAS[int(np.flatnonzero(losses <= best + NOTHING)[0])]


def _asked(net: Any, span: Span, heard: Floats32) -> float:
    """The loss of a network on a stretch, of which it hears what is around it too."""
    import torch

    grid = FRONT_ENDS[net.front_end].grid
    first = max(0, grid.frame(span.start_s - CONTEXT_S))
    bands = heard[first : grid.frame(span.end_s + CONTEXT_S) + 1]
    with torch.inference_mode():
        logits = net(torch.from_numpy(bands)[None])[0].numpy()
    return event_loss(probabilities(logits), span.beats.shift(-grid.time_s(first)), fps=float(grid.fps))


def event_loss(activations: npt.ArrayLike, beats: Beats, *, fps: float) -> float:
    """How wrong activations are about the beats of a stretch, event by event, whatever a decoder makes of them.

    Two questions, each judged by the mean square of what its answer lacks (Brier, 1950): at a beat, and between it and
    the next one, is there a beat? And at a beat whose position is known, is it a downbeat? Unlike a likelihood this is
    bounded: one confident mistake about the bar does not outweigh all else that was learnt.

    Parameters
    ----------
    activations : array_like [shape=(frames, 2)]
        Probabilities of a beat and of a downbeat.
    beats : Beats
        What is right, on the clock of the activations.
    fps : float
        Frames per second.

    Returns
    -------
    float
        From 0, all right, to 2, all wrong and sure of it.
    """
    heard = np.asarray(activations, np.float64)
    near = round(NEAR_S * fps)
    at = np.rint(beats.times_s * fps).astype(int)
    inside = at < len(heard)
    at, positions = at[inside], beats.positions[inside]
    peaks = [max(0, frame - near) + int(heard[max(0, frame - near) : frame + near + 1, 0].argmax()) for frame in at]
    between = [heard[one + 2 * near : other - 2 * near + 1, 0] for one, other in pairwise(at)]
    is_beat = [(1 - heard[peak, 0]) ** 2 for peak in peaks] + [gap.max() ** 2 for gap in between if len(gap)]
    is_one = [
        (heard[peak, 1] / max(heard[peak, 0], 1e-9) - (position == 1)) ** 2
        for peak, position in zip(peaks, positions, strict=True)
        if position
    ]
    return float(np.mean(is_beat) if is_beat else 0.0) + float(np.mean(is_one) if is_one else 0.0)
