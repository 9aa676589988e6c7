"""What a network for beats is trained towards: targets of each frame, and losses.

Targets are 1 at the frame of a beat or a downbeat. Losses either widen them over neighbouring frames or accept a peak
that is a few frames early or late.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from levada.beat_tracking.spectrogram import GRID
from levada.io.beats import Beats
from levada.learning.frame_grid import FrameGrid

__all__ = ["Batch", "frame_targets", "shift_tolerant_loss", "widened_target_loss"]


class Batch(NamedTuple):
    """What a network sees in a step.

    Parameters
    ----------
    bands : float32 tensor [shape=(batch, frames, 81)]
    targets : float32 tensor [shape=(batch, frames, 2)]
        1 where a beat or a downbeat is, 0 elsewhere.
    known : float32 tensor [shape=(batch, frames, 2)]
        0 where nobody knows: unannotated stretches, and downbeats of beats without positions.
    """

    bands: Tensor
    targets: Tensor
    known: Tensor


def frame_targets(
    beats: Beats, frames: int, *, known_s: tuple[float, float] | None = None, grid: FrameGrid = GRID
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """What a network should say in each frame, and where anybody knows.

    Parameters
    ----------
    beats : Beats
    frames : int
        Length of the spectrogram.
    known_s : tuple of float, optional
        The annotated stretch, from and to, in seconds; all by default.
    grid : FrameGrid
        Where frames lie.

    Returns
    -------
    targets, known : float32 [shape=(frames, 2)]
        Columns are beats and downbeats. Where a beat has no position, downbeats are unknown between the beats on its
        either side.
    """
    targets, known = np.zeros((frames, 2), np.float32), np.ones((frames, 2), np.float32)
    at = np.floor(beats.times_s * float(grid.fps) + 0.5).astype(int)
    inside = at < frames
    targets[at[inside], 0] = 1
    targets[at[inside & (beats.positions == 1)], 1] = 1
    if known_s is not None:
        known[: max(0, grid.frame(known_s[0]))] = 0
        known[max(0, grid.frame(known_s[1]) + 1) :] = 0
    edges = np.concatenate([[-1], at, [max(frames, at.max(initial=0) + 1)]])
    for index in np.flatnonzero(beats.positions == 0):
        known[edges[index] + 1 : edges[index + 2], 1] = 0
    return targets, known


def widened_target_loss(
    logits: Tensor, batch: Batch, *, downbeat_weight: float = 0.25, positive_weight: float = 1.0
) -> Tensor:
    """Cross-entropy with targets of 1, 0.5 and 0.25 at a beat's frame, beside it, and beyond that (ISMIR 2020).

    Downbeats are asked for only there, with these weights: is it one, given that it is a beat?
    """
    wide = torch.maximum(
        torch.maximum(batch.targets, 0.5 * _nearby(batch.targets, 1)), 0.25 * _nearby(batch.targets, 2)
    )
    weight = torch.tensor(positive_weight, device=logits.device)
    beat = functional.binary_cross_entropy_with_logits(
        logits[..., 0], wide[..., 0], pos_weight=weight, reduction="none"
    )
    return _weighted_mean(beat, batch.known[..., 0]) + downbeat_weight * _downbeat_loss(logits, batch, wide)


def shift_tolerant_loss(
    logits: Tensor,
    batch: Batch,
    *,
    tolerance: int = 3,
    downbeat_weight: float = 0.25,
    positive_weight: float = 8.0,
) -> Tensor:
    """Cross-entropy that forgives a peak a few frames away (Foscarin, Schlüter and Widmer, ISMIR 2024).

    A beat asks for one high logit within `tolerance` frames of it; frames twice as far away must be low. Wherever the
    peak may be it is asked whether it is a downbeat.
    """
    beats = batch.targets[..., :1]
    highest = _nearby(logits[..., :1], tolerance)
    positive = positive_weight * beats * functional.softplus(-highest)
    negative = (1 - _nearby(beats, 2 * tolerance)) * functional.softplus(logits[..., :1])
    beat = _weighted_mean(positive + negative, batch.known[..., :1])
    return beat + downbeat_weight * _downbeat_loss(logits, batch, _nearby(batch.targets, tolerance))


def _nearby(values: Tensor, reach: int) -> Tensor:
    """The highest value within so many frames of each [shape=(batch, frames, columns)]."""
    return functional.max_pool1d(values.transpose(1, 2), 2 * reach + 1, 1, reach).transpose(1, 2)


def _downbeat_loss(logits: Tensor, batch: Batch, wide: Tensor) -> Tensor:
    """Is a beat a downbeat? Asked where there are beats, with a weight that falls away from them."""
    beats, downbeats = wide[..., 0], wide[..., 1]
    loss = functional.binary_cross_entropy_with_logits(logits[..., 1], (downbeats >= beats).float(), reduction="none")
    return _weighted_mean(loss, beats * batch.known[..., 1])


def _weighted_mean(values: Tensor, weights: Tensor) -> Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1)
