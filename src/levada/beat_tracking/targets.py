"""Targets and losses of networks for beats.

Targets are 1 at the frame of a beat or a downbeat. Losses either widen them over neighbouring frames or accept a peak
that is a few frames early or late.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectrogram import GRID
from levada.io.beats import Beats
from levada.learning.frame_grid import FrameGrid
from levada.learning.training import LossParts

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "Batch", "beat_loss_parts", "frame_targets", "phase_loss", "pretraining_loss", "pretraining_loss_parts",
    "shift_tolerant_loss", "widened_target_loss",
]  # fmt: skip

PHASE_SCALE = 2.0
"""Mean logits are multiplied by this: differences of a few units are enough."""


class Batch(NamedTuple):
    """Excerpts of one training step.

    Parameters
    ----------
    bands : float32 tensor [shape=(batch, frames, 81)]
    targets : float32 tensor [shape=(batch, frames, 2)]
        1 at beats or downbeats, otherwise 0.
    mask : float32 tensor [shape=(batch, frames, 2)]
        0 where the targets are unknown: outside annotated spans, and downbeats of beats without positions.
    """

    bands: Tensor
    targets: Tensor
    mask: Tensor


def frame_targets(
    beats: Beats, frames: int, *, span_s: tuple[float, float] | None = None, grid: FrameGrid = GRID
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Return the targets of each frame, and where they are known.

    Parameters
    ----------
    beats : Beats
    frames : int
        Length of the spectrogram.
    span_s : tuple of float, optional
        Start and end of the annotated span, in seconds; all of the recording by default.
    grid : FrameGrid
        Where frames lie.

    Returns
    -------
    targets, mask : float32 [shape=(frames, 2)]
        Columns are beats and downbeats; the mask is 0 where targets are unknown. Around a beat without position,
        downbeats are unknown from the beat before to the beat after.
    """
    targets, mask = np.zeros((frames, 2), np.float32), np.ones((frames, 2), np.float32)
    at = np.floor(beats.times_s * float(grid.fps) + 0.5).astype(int)
    inside = at < frames
    targets[at[inside], 0] = 1
    targets[at[inside & (beats.positions == 1)], 1] = 1
    if span_s is not None:
        mask[: max(0, grid.frame(span_s[0]))] = 0
        mask[max(0, grid.frame(span_s[1]) + 1) :] = 0
    edges = np.concatenate([[-1], at, [max(frames, at.max(initial=0) + 1)]])
    for index in np.flatnonzero(beats.positions == 0):
        mask[edges[index] + 1 : edges[index + 2], 1] = 0
    return targets, mask


def widened_target_loss(
    logits: Tensor, batch: Batch, *, downbeat_weight: float = 0.25, positive_weight: float = 1.0
) -> Tensor:
    """Cross-entropy with targets of 1, 0.5 and 0.25 at a beat's frame, beside it, and beyond that (ISMIR 2020).

    The loss of downbeats, given a beat, counts at these frames alone, with these weights.
    """
    beat, downbeat = _widened_target_losses(logits, batch, positive_weight=positive_weight)
    return beat + downbeat_weight * downbeat


def _widened_target_losses(logits: Tensor, batch: Batch, *, positive_weight: float = 1.0) -> tuple[Tensor, Tensor]:
    import torch
    from torch.nn import functional

    wide = torch.maximum(
        torch.maximum(batch.targets, 0.5 * _nearby(batch.targets, 1)), 0.25 * _nearby(batch.targets, 2)
    )
    weight = torch.tensor(positive_weight, device=logits.device)
    beat = functional.binary_cross_entropy_with_logits(
        logits[..., 0], wide[..., 0], pos_weight=weight, reduction="none"
    )
    return _weighted_mean(beat, batch.mask[..., 0]), _downbeat_loss(logits, batch, wide)


def shift_tolerant_loss(
    logits: Tensor,
    batch: Batch,
    *,
    tolerance: int = 3,
    downbeat_weight: float = 0.25,
    positive_weight: float = 8.0,
) -> Tensor:
    """Cross-entropy that forgives a peak a few frames away (Foscarin, Schlüter and Widmer, ISMIR 2024).

    The highest logit within `tolerance` frames of a beat should be high; logits more than twice as far away should be
    low. The loss of downbeats counts wherever the peak may lie.
    """
    beat, downbeat = _shift_tolerant_losses(logits, batch, tolerance=tolerance, positive_weight=positive_weight)
    return beat + downbeat_weight * downbeat


def _shift_tolerant_losses(
    logits: Tensor, batch: Batch, *, tolerance: int, positive_weight: float = 8.0
) -> tuple[Tensor, Tensor]:
    from torch.nn import functional

    beats = batch.targets[..., :1]
    highest = _nearby(logits[..., :1], tolerance)
    positive = positive_weight * beats * functional.softplus(-highest)
    negative = (1 - _nearby(beats, 2 * tolerance)) * functional.softplus(logits[..., :1])
    beat = _weighted_mean(positive + negative, batch.mask[..., :1])
    return beat, _downbeat_loss(logits, batch, _nearby(batch.targets, tolerance))


def beat_loss_parts(logits: Tensor, batch: Batch, *, tolerance: int, downbeat_weight: float) -> LossParts:
    """Return the loss of adaptation with its parts, those of beats and of downbeats, for the log.

    Parameters
    ----------
    logits : float32 tensor [shape=(batch, frames, 2)]
    batch : Batch
    tolerance : int
        In frames: that of `shift_tolerant_loss`; 0 is `widened_target_loss`.
    downbeat_weight : float
        Weight of downbeats in the total.
    """
    if tolerance:
        beat, downbeat = _shift_tolerant_losses(logits, batch, tolerance=tolerance)
    else:
        beat, downbeat = _widened_target_losses(logits, batch)
    return LossParts(beat + downbeat_weight * downbeat, {"beat_loss": beat, "downbeat_loss": downbeat})


def pretraining_loss(
    logits: Tensor, batch: Batch, *, downbeat_weight: float = 0.25, phase_weight: float = 0.0
) -> Tensor:
    """Loss of widened targets and, with a weight, of the phase of the downbeats."""
    return pretraining_loss_parts(logits, batch, downbeat_weight=downbeat_weight, phase_weight=phase_weight).total


def pretraining_loss_parts(logits: Tensor, batch: Batch, *, downbeat_weight: float, phase_weight: float) -> LossParts:
    """Return the loss of pre-training with its parts, those of beats, downbeats and their phase, for the log."""
    total, parts = beat_loss_parts(logits, batch, tolerance=0, downbeat_weight=downbeat_weight)
    if not phase_weight:
        return LossParts(total, parts)
    phase = phase_loss(logits, batch)
    return LossParts(total + phase_weight * phase, {**parts, "phase_loss": phase})


def phase_loss(logits: Tensor, batch: Batch) -> Tensor:
    """Cross-entropy of which beat of the bar is the first, from the downbeat logits of all beats of an excerpt.

    A decoder chooses one phase for many bars, so what counts is the mean logit of each beat of the bar over the
    excerpt, not every beat for itself. Excerpts count that have two downbeats or more and bars of one length.
    """
    import torch
    from torch.nn import functional

    losses = []
    for logit, targets, known in zip(logits[..., 1], batch.targets, batch.mask[..., 1], strict=True):
        at = torch.nonzero((targets[:, 0] > 0) & (known > 0))[:, 0]
        first = torch.nonzero(targets[at, 1] > 0)[:, 0]
        if len(first) < 2:
            continue
        metre = int(first[1] - first[0])
        if metre < 2 or bool((first.diff() != metre).any()) or len(at) < 2 * metre:
            continue
        whole = len(at) // metre * metre
        means = PHASE_SCALE * logit[at[:whole]].view(-1, metre).mean(0)
        losses.append(functional.cross_entropy(means[None], first[:1] % metre))
    return torch.stack(losses).mean() if losses else logits.sum() * 0


def _nearby(values: Tensor, reach: int) -> Tensor:
    """Return the highest value within a reach of each frame [shape=(batch, frames, columns)]."""
    from torch.nn import functional

    return functional.max_pool1d(values.transpose(1, 2), 2 * reach + 1, 1, reach).transpose(1, 2)


def _downbeat_loss(logits: Tensor, batch: Batch, wide: Tensor) -> Tensor:
    """Return the loss of a downbeat given a beat, weighted by the (widened) targets of beats."""
    from torch.nn import functional

    beats, downbeats = wide[..., 0], wide[..., 1]
    loss = functional.binary_cross_entropy_with_logits(logits[..., 1], (downbeats >= beats).float(), reduction="none")
    return _weighted_mean(loss, beats * batch.mask[..., 1])


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1)
