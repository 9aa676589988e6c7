"""The temporal convolutional network (TCN) for beats and downbeats.

After Sebastian Böck and Matthew Davies, "Deconstruct, Analyse, Reconstruct: How to Improve Tempo, Beat, and Downbeat
Estimation", ISMIR 2020, changed for training on a laptop's two cores:

- strides take the place of pooling, and rhythm is read at 50 frames a second: two and a half times as fast with three
  times the parameters (185,864);
- the second output is the probability of a downbeat *given a beat*, learnt at beats alone: as a share of all frames
  downbeats are so rare that a network learns little more than their rate;
- magnitudes below a floor are squeezed together before the first layer, so that the noise of a cheap recorder, or
  digital silence, does not differ from the training data;
- there is no tempo head: the decoder learns tempo from the labels;
- with `harmony`, features of harmonic change stand beside those of the bands: chords change at downbeats.

::

    (batch, frames, 81) -> conv 3x3, every 3rd band -> conv 3x3, every 3rd band -> conv of 4 frames, every 2nd frame
        -> (batch, 40, frames / 2) -> 8 residual blocks of two dilated convolutions (d and 2d; d = 1, 2, 4 … 128)
        -> two frames of two logits each -> (batch, frames, 2): a beat, and a downbeat given a beat
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from levada.beat_tracking.networks.harmonic_change import HarmonicChange
from levada.beat_tracking.networks.tcn_inference import BANDS, CHANGE_REACH, CONTEXT, TcnSettings
from levada.beat_tracking.spectrogram import N_SEMITONES

__all__ = ["DilatedNetwork", "Tcn", "TcnSettings", "tiny"]


class DilatedNetwork(nn.Module):
    """A network of a front end, which looks at a few frames, and residual blocks of dilated convolutions."""

    front_end: str = "log81"
    """Name of the spectrogram that is its input."""
    stride: int
    """Frames folded into one step of the body."""
    front_context_frames: int
    """Frames on either side that a step of `front` depends on, beyond its own."""
    kept_layers: tuple[str, ...] = ()
    """Beginnings of the names of layers that fine-tuning leaves as they are, where it is not given any."""
    blocks: nn.ModuleList
    head: nn.Conv1d

    @property
    def body_context_steps(self) -> int:
        """Steps on either side that an output of `body` depends on."""
        raise NotImplementedError

    @property
    def receptive_frames(self) -> int:
        """Frames that an output depends on."""
        return self.stride * (1 + 2 * self.body_context_steps) + 2 * self.front_context_frames

    def front(self, bands: Tensor) -> Tensor:
        """Compute features from a spectrogram.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames + 2 * front_context_frames, 81)]
            With context on either side: neighbouring frames, or repeats at the ends of a recording.

        Returns
        -------
        float32 tensor [shape=(batch, channels, frames / stride)]
        """
        raise NotImplementedError

    def body(self, features: Tensor) -> Tensor:
        """Compute logits [shape=(batch, stride * steps, 2)] from features [shape=(batch, channels, steps)]."""
        for block in self.blocks:
            features = block(features)
        logits: Tensor = self.head(functional.elu(features)).transpose(1, 2)
        return logits.reshape(len(logits), -1, 2)

    def forward(self, bands: Tensor) -> Tensor:
        """Logits of whole recordings.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, 81)]
            Log-band spectrograms.

        Returns
        -------
        float32 tensor [shape=(batch, frames, 2)]
            Logits of a beat (downbeats included), and of a downbeat given a beat.
        """
        frames, pad = bands.shape[1], self.front_context_frames
        first = bands[:, :1].expand(-1, pad, -1)
        last = bands[:, -1:].expand(-1, pad + -frames % self.stride, -1)
        return self.body(self.front(torch.cat([first, bands, last], 1)))[:, :frames]


class Tcn(DilatedNetwork):
    """Logits of a beat, and of a downbeat given a beat, from log-band spectrograms.

    An output depends on 4,088 frames (41 s, half before and half after) at 8 levels.

    Parameters
    ----------
    settings : TcnSettings
    """

    kind = "tcn"
    stride = 2
    kept_layers = ("conv1", "conv2")
    """A sixtieth of the weights, and a fourth of the time of a step."""

    def __init__(self, settings: TcnSettings = TcnSettings()) -> None:  # noqa: B008  # they are frozen
        super().__init__()
        c, (first, second) = settings.channels, settings.front
        self.settings = settings
        self.conv1 = nn.Conv2d(1, first, 3, stride=(1, 3))
        self.conv2 = nn.Conv2d(first, second, 3, stride=(1, 3))
        self.conv3 = nn.Conv1d(second * (BANDS // 9), c, 4, stride=self.stride)
        self.front_dropout = nn.Dropout1d(settings.dropout)
        self.front_context_frames = CONTEXT
        if settings.harmony:
            self.front_end = "log81+semitones"
            self.change = HarmonicChange()
            self.change_norm = nn.BatchNorm1d(self.change.n_features)
            self.change_conv = nn.Conv1d(self.change.n_features, c, 2 * CHANGE_REACH + 1)
            self.front_context_frames = CONTEXT + 1 + self.stride * (self.change.context + CHANGE_REACH)
        self.blocks = nn.ModuleList(_Block(c, 2**level, settings.dropout) for level in range(settings.levels))
        self.head = nn.Conv1d(c, 2 * self.stride, 1)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # twice as fast on a CPU

    @property
    def body_context_steps(self) -> int:
        """Steps on either side that an output of `body` depends on."""
        return 4 * ((1 << self.settings.levels) - 1)

    def front(self, bands: Tensor) -> Tensor:
        """Fold two frames and their neighbours into a step: (batch, frames, bands) -> (batch, channels, steps).

        The frames more on either side are the caller's: neighbours, or repeats at the ends of a recording.
        """
        x = functional.softplus(bands - math.log(self.settings.floor))
        extra = self.front_context_frames - CONTEXT
        low = x[:, extra : x.shape[1] - extra, :BANDS].unsqueeze(1).contiguous(memory_format=torch.channels_last)
        low = functional.elu(self.conv2(functional.elu(self.conv1(low))))
        folded: Tensor = self.conv3(self.front_dropout(low.transpose(2, 3).flatten(1, 2)))
        if self.settings.harmony:
            folded = folded + self._harmony(x[:, CONTEXT + 1 : x.shape[1] - CONTEXT - 1, BANDS:])
        return functional.elu(folded)

    def _harmony(self, semitones: Tensor) -> Tensor:
        """Features of harmonic change as channels: (batch, frames + context, 61) -> (batch, channels, steps)."""
        with torch.autocast(semitones.device.type, enabled=False):  # cumulative sums need the digits
            features = self.change(semitones.float().reshape(len(semitones), -1, self.stride, N_SEMITONES).mean(2))
        changes: Tensor = self.change_conv(self.change_norm(features.transpose(1, 2)))
        return changes


class _Block(nn.Module):
    """Two dilated convolutions side by side, added to what came in."""

    def __init__(self, channels: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.near = nn.Conv1d(channels, channels, 5, dilation=dilation, padding=2 * dilation)
        self.far = nn.Conv1d(channels, channels, 5, dilation=2 * dilation, padding=4 * dilation)
        self.dropout = nn.Dropout1d(dropout)
        self.mix = nn.Conv1d(2 * channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.cat([self.near(x), self.far(x)], 1)
        mixed: Tensor = x + self.mix(self.dropout(functional.elu(both)))
        return mixed


def tiny(*, channels: int = 6, levels: int = 5) -> Tcn:
    """A network small enough to train inside a test."""
    return Tcn(TcnSettings(channels=channels, levels=levels, front=(4, 6), dropout=0.0))
