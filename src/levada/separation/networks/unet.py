"""A U-Net on magnitudes: the network of a tutorial on Brazilian percussion, for one or more instruments.

Richa Namballa and others used it for surdo ("Musical Source Separation of Brazilian Percussion", ISMIR 2024,
late-breaking); it is that of Jansson and others (ISMIR 2017) and of Spleeter, with 9.8 million weights. Its input is
magnitudes on linear frequencies, its output the share of each instrument. Differences from the tutorial's code:

- the mixture is normalised by its own level and nothing else is normalised, so that levels are preserved;
- masks are computed in evaluation mode, whatever mode the network is in: no dropout, and no statistics of the batch;
- whole recordings are processed, or pieces with enough context to give the same: no frame is dropped;
- with one instrument the rest is an output too; with several, one network has an output for each. Outputs sum to the
  mixture.

::

    (batch, frames, bins) -> 6 convolutions of 5 x 5, every 2nd frame and bin: 16, 32, 64, 128, 256, 512 filters
        -> 6 transposed ones, each with the output of the same size; dropout in the second, third and fourth
        -> logits of the instruments; 0 for the rest -> (batch, instruments, frames, bins)

A softmax over instruments turns logits into masks, as with the mask network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["REST", "MagnitudeBatch", "UNet", "UNetSettings", "magnitude_loss", "tiny"]

REST = "rest"
"""Name of the stem of everything that is not the one instrument."""


@dataclass(frozen=True)
class UNetSettings:
    """Sizes of a U-Net.

    Parameters
    ----------
    instruments : tuple of str
        Those with an output. If there is one, everything else is the stem "rest".
    channels : tuple of int
        Filters of each layer on the way down; frames and bins are halved as many times.
    bins : int
        Number of frequencies of the input, from 0 on; higher ones get the mask of the highest of them.
    dropout : float
        Probability of dropout in training, in three layers on the way up.
    """

    instruments: tuple[str, ...] = ("surdo",)
    channels: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    bins: int = 1024
    dropout: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "instruments", tuple(self.instruments))  # JSON has lists
        object.__setattr__(self, "channels", tuple(self.channels))
        if not all(self.instruments) or self.instruments in ((), (REST,)):
            raise ValueError("a U-Net needs the name of an instrument other than 'rest'")
        if len(set(self.instruments)) < len(self.instruments):
            raise ValueError(f"the instruments of a U-Net must be different: {', '.join(self.instruments)}")
        if not 2 <= len(self.channels) <= 8 or not all(1 <= filters <= 4096 for filters in self.channels):
            raise ValueError(f"a U-Net has 2 to 8 layers of 1 to 4096 filters, not {self.channels}")
        if not 1 <= self.bins <= 65536 or not 0 <= self.dropout < 1:
            raise ValueError(f"a U-Net has 1 to 65536 bins, and a dropout from 0 to below 1: {self}")


class UNet(nn.Module):
    """Logits of masks from magnitudes.

    Parameters
    ----------
    settings : UNetSettings
    """

    kind = "unet"
    settings_type = UNetSettings

    def __init__(self, settings: UNetSettings = UNetSettings()) -> None:
        super().__init__()
        self.settings = settings
        sizes = (1, *settings.channels)
        self.down = nn.ModuleList(_Down(sizes[level], sizes[level + 1]) for level in range(len(sizes) - 1))
        self.up = nn.ModuleList()
        for number, level in enumerate(range(len(sizes) - 2, -1, -1)):
            skip = 1 if number == 0 else 2  # the deepest layer has no skip connection
            dropout = settings.dropout if 1 <= number <= 3 and level > 0 else 0.0
            filters = sizes[level] if level else len(settings.instruments)
            self.up.append(_Up(skip * sizes[level + 1], filters, dropout, last=level == 0))

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instruments in the order of the masks, with the rest where there is only one."""
        instruments = self.settings.instruments
        return instruments if len(instruments) > 1 else (*instruments, REST)

    @property
    def stride_frames(self) -> int:
        """Pieces give the same as the whole if they begin at a multiple of so many frames: 64."""
        return 1 << len(self.settings.channels)

    @property
    def context_frames(self) -> int:
        """Frames on either side that an output depends on, as a multiple of the stride: 256."""
        return 4 * self.stride_frames

    def with_instruments(self, instruments: Sequence[str]) -> UNet:
        """Return a copy for other instruments: a network of one instrument for another one, in its place.

        Parameters
        ----------
        instruments : sequence of str
            As in `UNetSettings`. Where their number differs, all outputs start from the mean of these here.

        Returns
        -------
        UNet
        """
        new = UNet(replace(self.settings, instruments=tuple(instruments)))
        state, count = self.state_dict(), len(new.settings.instruments)
        last = f"up.{len(self.up) - 1}"
        if count != len(self.settings.instruments):
            for name, axis in ((f"{last}.conv.weight", 1), (f"{last}.conv.bias", 0)):
                state[name] = state[name].mean(axis, keepdim=True).repeat_interleave(count, axis)
            for name in ("weight", "bias", "running_mean", "running_var"):
                state[f"{last}.norm.{name}"] = state[f"{last}.norm.{name}"].mean(0, keepdim=True).repeat(count)
        new.load_state_dict(state)
        return new.train(self.training)

    def features(self, power: Tensor, level: float | Tensor) -> Tensor:
        """Compute the input of `forward`: magnitudes relative to the level of the recording.

        Parameters
        ----------
        power : float32 tensor [shape=(..., frames, bins)]
            At any rate: bins that a low one lacks are silent, those above `settings.bins` are left out.
        level : float or tensor
            Mean power of a band in the whole recording.

        Returns
        -------
        float32 tensor [shape=(..., frames, settings.bins)]
        """
        magnitude = torch.sqrt(power[..., : self.settings.bins] / (level + 1e-20))
        return functional.pad(magnitude, (0, self.settings.bins - magnitude.shape[-1]))

    def masks(self, power: Tensor, level: float) -> Tensor:
        """Compute masks of a recording or of a piece of one, in evaluation mode whatever mode the network is in.

        Parameters
        ----------
        power : float32 tensor [shape=(frames, bins)]
            Of the mixture.
        level : float
            Mean power of a band in the whole recording.

        Returns
        -------
        float32 tensor [shape=(len(instruments), frames, bins)]
            They sum to one.
        """
        training, n_bins = self.training, power.shape[-1]
        try:
            with torch.inference_mode():
                masks = self.eval()(self.features(power, level)[None])[0].softmax(0)[..., :n_bins]
        finally:
            self.train(training)
        above = masks[..., -1:].expand(*masks.shape[:-1], n_bins - masks.shape[-1])
        return torch.cat([masks, above], -1)

    def forward(self, magnitudes: Tensor) -> Tensor:
        """Compute logits of masks.

        Parameters
        ----------
        magnitudes : float32 tensor [shape=(batch, frames, bins)]
            From `features`.

        Returns
        -------
        float32 tensor [shape=(batch, len(instruments), frames, bins)]
            0 for the rest.
        """
        frames, bins, stride = magnitudes.shape[1], magnitudes.shape[2], self.stride_frames
        x = functional.pad(magnitudes, (0, -bins % stride, 0, -frames % stride)).unsqueeze(1)
        skips: list[Tensor] = []
        for down in self.down:
            x = down(x)
            skips.append(x)
        x = self.up[0](skips.pop())
        for up in self.up[1:]:
            x = up(torch.cat([skips.pop(), x], 1))
        logits = x[:, :, :frames, :bins]
        return logits if logits.shape[1] > 1 else torch.cat([logits, torch.zeros_like(logits)], 1)


class _Down(nn.Module):
    """A convolution that halves frames and bins."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(inputs, outputs, 5, stride=2, padding=2), nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x)), 0.2)


class _Up(nn.Module):
    """A transposed convolution that doubles frames and bins; the last one gives logits."""

    def __init__(self, inputs: int, outputs: int, dropout: float, *, last: bool) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(inputs, outputs, 5, stride=2, padding=2, output_padding=1)
        self.norm, self.dropout, self.last = nn.BatchNorm2d(outputs), nn.Dropout(dropout), last

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.norm(self.conv(x)))
        return x if self.last else functional.relu(x)


class MagnitudeBatch(NamedTuple):
    """Input and target of a training step.

    Parameters
    ----------
    features : float32 tensor [shape=(batch, frames, bins)]
        Magnitudes of mixtures, from `UNet.features`.
    stems : float32 tensor [shape=(batch, len(instruments), frames, bins)]
        Magnitudes of the stems, relative to the same level.
    """

    features: Tensor
    stems: Tensor


def magnitude_loss(logits: Tensor, batch: MagnitudeBatch) -> Tensor:
    """Return the mean absolute error of masked magnitudes over all stems, as in the tutorial."""
    return (logits.softmax(1) * batch.features[:, None] - batch.stems).abs().mean()


def tiny(instruments: tuple[str, ...] = ("surdo",), *, bins: int = 60) -> UNet:
    """Return a network small enough to train inside a test."""
    return UNet(UNetSettings(instruments, (8, 12, 16), bins, dropout=0.0))
