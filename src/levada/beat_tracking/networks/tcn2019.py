"""The temporal convolutional network (TCN) of madmom, for beats alone, made to learn downbeats too.

After Matthew Davies and Sebastian Böck, "Temporal convolutional networks for musical audio beat tracking", EUSIPCO
2019, in the form that Sebastian Böck, Matthew Davies and Peter Knees trained for "Multi-Task learning of tempo and
beat: learning one to improve the other", ISMIR 2019, and that madmom has weights of. Given those, its beats are
madmom's; 24,818 parameters, of which 17 are ours:

- the second output is new: the probability of a downbeat *given a beat*. It begins at one half everywhere, and
  is learnt from labels;
- the tempo head is left out: the decoder learns tempo from the labels.

::

    (batch, frames, 81) -> conv 3x3, max of 3 bands -> conv 3x3, max of 3 bands -> conv 1x8
        -> (batch, 16, frames) -> 11 residual blocks of one dilated convolution (1, 2, 4 … 1024)
        -> (batch, frames, 2): logits of a beat, and of a downbeat given a beat
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn import functional

from levada.beat_tracking.networks.tcn import DilatedNetwork

__all__ = ["Tcn2019", "Tcn2019Settings", "from_arrays", "tiny"]

POOLED_BANDS = 8  # of 81, after two convolutions and two poolings


@dataclass(frozen=True)
class Tcn2019Settings:
    """What determines the shape of the network.

    Parameters
    ----------
    channels : int
        Filters in every layer.
    levels : int
        Residual blocks; the dilation doubles from each to the next.
    dropout : float
        Share of filters silenced in training.
    """

    channels: int = 16
    levels: int = 11
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not (1 <= self.channels <= 512 and 1 <= self.levels <= 16):
            raise ValueError(f"a TCN has 1 to 512 channels and 1 to 16 levels, not {self.channels} and {self.levels}")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout lies in [0, 1)")


class Tcn2019(DilatedNetwork):
    """Logits of a beat, and of a downbeat given a beat, from log-band spectrograms.

    An output depends on 8,193 frames (82 s, half before and half after) at 11 levels.

    Parameters
    ----------
    settings : Tcn2019Settings
    """

    kind = "tcn2019"
    settings_type = Tcn2019Settings
    fps = 100
    """Frames per second."""
    stride = 1
    front_context_frames = 2

    def __init__(self, settings: Tcn2019Settings = Tcn2019Settings()) -> None:
        super().__init__()
        c = settings.channels
        self.settings = settings
        self.conv1 = nn.Conv2d(1, c, 3)
        self.conv2 = nn.Conv2d(c, c, 3)
        self.conv3 = nn.Conv2d(c, c, (1, POOLED_BANDS))
        self.front_dropout = nn.Dropout2d(settings.dropout)
        self.blocks = nn.ModuleList(_Block(c, 2**level, settings.dropout) for level in range(settings.levels))
        self.head = nn.Conv1d(c, 2, 1)
        with torch.no_grad():  # no downbeat is predicted before training
            self.head.weight[1] = 0
            assert self.head.bias is not None
            self.head.bias[1] = 0
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def body_context_steps(self) -> int:
        """Steps on either side that an output of `body` depends on."""
        return 2 * ((1 << self.settings.levels) - 1)

    def front(self, bands: Tensor) -> Tensor:
        """Frames with their neighbours: (batch, frames + 4, 81) -> (batch, channels, frames).

        The two frames more on either side are the caller's: neighbours, or repeats at the ends of a recording.
        """
        x = bands.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        for conv in (self.conv1, self.conv2):
            # the maximum goes first, as ELU never falls: the same numbers from a third of the work
            x = self.front_dropout(functional.elu(functional.max_pool2d(conv(x), (1, 3))))
        return functional.elu(self.conv3(x)).squeeze(3)


class _Block(nn.Module):
    """A dilated convolution added to what came in, each mixed by a convolution of one frame."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.dilated = nn.Conv1d(channels, channels, 5, dilation=dilation, padding=2 * dilation)
        self.dropout = nn.Dropout1d(dropout)
        self.skip = nn.Conv1d(channels, channels, 1)
        self.residual = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        mixed: Tensor = self.residual(x) + self.skip(self.dropout(functional.elu(self.dilated(x))))
        return mixed


def from_arrays(arrays: Mapping[str, npt.NDArray[Any]], settings: Tcn2019Settings = Tcn2019Settings()) -> Tcn2019:
    """A network from arrays under the names of its tensors; those of the head are of the beat alone.

    Parameters
    ----------
    arrays : mapping of str to array
        ``head.weight`` has shape (1, channels, 1) and ``head.bias`` (1,); the rest is as in the network.
    settings : Tcn2019Settings

    Returns
    -------
    Tcn2019
        In evaluation mode; its second output is not trained yet.

    Raises
    ------
    ValueError
        If an array is missing, unknown, or has another shape.
    """
    net = Tcn2019(settings)
    tensors = {name: torch.tensor(array, dtype=torch.float32) for name, array in arrays.items()}
    for name in ("head.weight", "head.bias"):
        if name in tensors:
            tensors[name] = torch.cat([tensors[name], torch.zeros_like(tensors[name])])
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        raise ValueError(str(error).splitlines()[-1].strip()) from None
    return net.eval()


def tiny(*, channels: int = 4, levels: int = 5) -> Tcn2019:
    """A network small enough to train inside a test."""
    return Tcn2019(Tcn2019Settings(channels=channels, levels=levels, dropout=0.0))
