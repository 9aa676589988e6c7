"""How far to trust what few labels taught: cross-validation on those very labels.

A network trained on half of the labels is asked about the other half, and the other way round, at several places on the
straight way from the base's weights to its own. Where its answers are best is how far the network trained on all labels
goes; where that is the base itself, the labels teach the decoder alone. No label is needed beside those there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.corpus import Span
from levada.fit import Batch, frame_targets, shift_tolerant_loss
from levada.nets.weights import partway
from levada.spectrogram import FRONT_ENDS, FrontEnd

__all__ = ["SHARES", "Validation", "folds", "validate"]

Floats32 = npt.NDArray[np.float32]

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
CONTEXT_S = 20.0
"""Music heard on either side of a stretch that is asked about, in seconds."""


@dataclass(frozen=True)
class Validation:
    """What the labels that were held out said.

    Parameters
    ----------
    share : float
        How far to go from the base to the trained network: where the loss was lowest.
    losses : tuple of float
        Mean loss on held-out labels at each of `SHARES`.
    """

    share: float
    losses: tuple[float, ...]


def folds(spans: Sequence[Span]) -> tuple[list[Span], list[Span]] | None:
    """Halve the labels: whole recordings where there are two, else at a bar line near the middle.

    Parameters
    ----------
    spans : sequence of Span

    Returns
    -------
    tuple of two lists of Span, or None
        About as long as each other; nothing where one of them would have fewer than four beats.
    """
    recordings: dict[str, list[Span]] = {}
    for span in spans:
        recordings.setdefault(span.track.content_hash, []).append(span)
    halves: tuple[list[Span], list[Span]] = ([], [])
    if len(recordings) > 1:
        for some in sorted(recordings.values(), key=lambda some: -_seconds(some)):
            min(halves, key=_seconds).extend(some)
    else:
        middle = _seconds(spans) / 2
        for span in spans:
            done = _seconds(halves[0])
            if done + span.duration_s <= middle:
                halves[0].append(span)
            elif halves[1]:
                halves[1].append(span)
            else:
                lines = span.beats.downbeats_s if len(span.beats.downbeats_s) > 2 else span.beats.times_s
                line = float(lines[np.abs(lines - span.start_s - (middle - done)).argmin()])
                halves[0].append(Span(span.track, span.start_s, line))
                halves[1].append(Span(span.track, line, span.end_s))
    if min(sum(len(span.beats) for span in half) for half in halves) < 4:
        return None
    return halves


def _seconds(spans: Sequence[Span]) -> float:
    return sum(span.duration_s for span in spans)


def validate(
    halves: tuple[Sequence[Span], Sequence[Span]],
    *,
    base: Any,
    train: Callable[[Sequence[Span], int], Any | None],
    hear: Callable[[Path], Floats32],
    downbeat_weight: float,
    tolerance: int = 3,
) -> Validation | None:
    """Train on each half and ask about the other.

    Parameters
    ----------
    halves : tuple of two sequences of Span
        As from `folds`.
    base : nn.Module
        The network that training starts from.
    train : callable
        From labels and the number of the half, 1 or 2, to a network trained on them; nothing if it was interrupted.
    hear : callable
        From a recording to its spectrogram.
    downbeat_weight : float
        Weight of downbeats in the loss.
    tolerance : int
        Frames by which a peak may miss a label without penalty.

    Returns
    -------
    Validation or None
        Nothing if training was interrupted.
    """
    loss = partial(shift_tolerant_loss, tolerance=tolerance, downbeat_weight=downbeat_weight)
    losses, weights = [], []
    for number, (taught, asked) in enumerate((halves, halves[::-1]), start=1):
        trained = train(taught, number)
        if trained is None:
            return None
        nets = [partway(base, trained, share=share) for share in SHARES]
        for span in asked:
            losses.append([_loss(net, span, hear(span.track.audio), loss) for net in nets])
            weights.append(span.duration_s)
    mean = np.average(losses, axis=0, weights=weights)
    return Validation(SHARES[int(mean.argmin())], tuple(float(value) for value in mean))


def _loss(net: Any, span: Span, heard: Floats32, loss: Callable[[Any, Batch], Any]) -> float:
    """The loss of a network on a stretch, of which it hears what is around it too."""
    import torch

    ear: FrontEnd = FRONT_ENDS[net.front_end]
    first = max(0, ear.grid.frame(span.start_s - CONTEXT_S))
    bands = heard[first : ear.grid.frame(span.end_s + CONTEXT_S) + 1]
    offset_s = ear.grid.time_s(first)
    known_s = (span.start_s - offset_s, span.end_s - offset_s)
    targets, known = frame_targets(span.beats.shift(-offset_s), len(bands), known_s=known_s, grid=ear.grid)
    with torch.inference_mode():
        logits = net(torch.from_numpy(bands)[None])
        tensors = (torch.from_numpy(rows)[None] for rows in (bands, targets, known))
        return float(loss(logits, Batch(*tensors)))
