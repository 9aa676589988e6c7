"""The multi-task temporal convolutional network (TCN) for beats and downbeats.

Sebastian Böck and Matthew Davies, "Deconstruct, Analyse, Reconstruct: How to Improve Tempo, Beat, and Downbeat
Estimation", ISMIR 2020, with three changes, each for adaptation on a laptop:

- the tempo head is left out: the decoder learns tempo from the labels (65,962 parameters remain of 72,262);
- magnitudes below a floor are squeezed together before the first layer, so that the noise of a cheap recorder, or
  digital silence, does not look like music never heard in training;
- maxima are pooled before the ELU, which gives the same numbers (the ELU is monotonic) in half the time.

::

    (batch, frames, 81) -> conv 3x3 -> pool 3 -> conv 1x10 -> pool 3 -> conv 3x3 -> pool 3 -> (batch, 20, frames)
        -> 11 residual blocks of two parallel dilated convolutions (d and 2d; d = 1, 2, 4 … 1024) -> ELU
        -> a linear layer -> (batch, frames, 2): logits of a beat (downbeats included) and of a downbeat
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Tcn", "TcnSettings", "tiny"]


@dataclass(frozen=True)
class TcnSettings:
    """What determines the shape of the network.

    Parameters
    ----------
    channels : int
        Filters in every layer.
    levels : int
        Residual blocks; the dilation doubles from each to the next.
    dropout : float
        Share of filters silenced in training.
    floor : float
        Magnitude below which differences are squeezed together.
    """

    channels: int = 20
    levels: int = 11
    dropout: float = 0.15
    floor: float = 0.05

    def __post_init__(self) -> None:
        if not (1 <= self.channels <= 512 and 1 <= self.levels <= 16):
            raise ValueError(f"a TCN has 1 to 512 channels and 1 to 16 levels, not {self.channels} and {self.levels}")
        if not (0 <= self.dropout < 1 and self.floor > 0):
            raise ValueError("dropout lies in [0, 1) and the floor above 0")


class Tcn(nn.Module):
    """Beat and downbeat logits from log-band spectrograms.

    Parameters
    ----------
    settings : TcnSettings
    """

    def __init__(self, settings: TcnSettings = TcnSettings()) -> None:
        super().__init__()
        c = settings.channels
        self.settings = settings
        self.conv1 = nn.Conv2d(1, c, (3, 3))
        self.conv2 = nn.Conv2d(c, c, (1, 10))
        self.conv3 = nn.Conv2d(c, c, (3, 3))
        self.front_dropout = nn.Dropout2d(settings.dropout)
        self.blocks = nn.ModuleList(_Block(c, 2**level, settings.dropout) for level in range(settings.levels))
        self.head_dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(c, 2)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU

    @property
    def front_context_frames(self) -> int:
        """How far, on either side, `front` looks beyond a frame."""
        return 2

    @property
    def body_context_frames(self) -> int:
        """How far, on either side, `body` looks beyond a frame."""
        return 4 * ((1 << self.settings.levels) - 1)

    @property
    def receptive_frames(self) -> int:
        """Frames that decide one output: 16,381 (164 s, half before and half after) at 11 levels."""
        return 1 + 2 * (self.front_context_frames + self.body_context_frames)

    def front(self, bands: Tensor) -> Tensor:
        """What the frequency axis is folded into: (batch, frames + 4, 81) -> (batch, channels, frames).

        The two frames more on either side are the caller's: neighbours, or repeats at the ends of a recording.
        """
        x = functional.softplus(bands - math.log(self.settings.floor))
        x = x.unsqueeze(1).contiguous(memory_format=torch.channels_last)
        for conv in (self.conv1, self.conv2, self.conv3):
            x = self.front_dropout(functional.elu(functional.max_pool2d(conv(x), (1, 3))))
        return x.squeeze(-1)

    def body(self, features: Tensor) -> Tensor:
        """Rhythm from features in time: (batch, channels, frames) -> logits (batch, frames, 2)."""
        for block in self.blocks:
            features = block(features)
        logits: Tensor = self.head(self.head_dropout(functional.elu(features).transpose(1, 2)))
        return logits

    def forward(self, bands: Tensor) -> Tensor:
        """Logits of whole recordings.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, 81)]
            Log-band spectrograms.

        Returns
        -------
        float32 tensor [shape=(batch, frames, 2)]
            Logits of a beat (downbeats included) and of a downbeat.
        """
        pad = self.front_context_frames
        first, last = bands[:, :1].expand(-1, pad, -1), bands[:, -1:].expand(-1, pad, -1)
        return self.body(self.front(torch.cat([first, bands, last], 1)))


class _Block(nn.Module):
    """Two dilated convolutions side by side, beside a shortcut."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.near = nn.Conv1d(channels, channels, 5, dilation=dilation, padding=2 * dilation)
        self.far = nn.Conv1d(channels, channels, 5, dilation=2 * dilation, padding=4 * dilation)
        self.dropout = nn.Dropout1d(dropout)
        self.mix = nn.Conv1d(2 * channels, channels, 1)
        self.shortcut = nn.Conv1d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.near(x), self.far(x)], 1)
        mixed: Tensor = self.mix(self.dropout(functional.elu(both))) + self.shortcut(x)
        return mixed


def tiny(*, channels: int = 6, levels: int = 5) -> Tcn:
    """A network small enough to train inside a test."""
    return Tcn(TcnSettings(channels=channels, levels=levels, dropout=0.0))
