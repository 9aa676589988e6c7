"""The U-Net of the tutorial this half of the house began with, as a reference: one instrument, and the rest.

The network that Richa Namballa and others took for surdo ("Musical Source Separation of Brazilian Percussion", ISMIR
2024, late-breaking), which is that of Jansson and others (ISMIR 2017) and of Spleeter: 9.8 million weights. Magnitudes
go in, on linear frequencies; out comes how much of each belongs to the instrument. What is done otherwise than in the
tutorial's code:

- the mixture is measured against its own level, and nothing is normalised by itself, so that levels stay as they were;
- masks are made in evaluation mode, whatever mode the network is in: no dropout, and no statistics of the batch;
- whole recordings go through it, or pieces with context that give what the whole gives: no frame is dropped;
- the rest is an output too, and the two sum to the mixture.

::

    (batch, frames, bins) -> 6 convolutions of 5 x 5, every 2nd frame and bin: 16, 32, 64, 128, 256, 512 filters
        -> 6 the other way, each beside what the one of its size gave; dropout in the second, third and fourth
        -> logits of the instrument; 0 for the rest -> (batch, 2, frames, bins)

A softmax over the two makes masks of logits, as with the mask network.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["REST", "MagnitudeBatch", "UNet", "UNetSettings", "magnitude_loss", "tiny"]

REST = "rest"
"""What all that is not the instrument is called."""


@dataclass(frozen=True)
class UNetSettings:
    """What determines the shape of the network.

    Parameters
    ----------
    instruments : tuple of str
        The one instrument that is told from the rest.
    channels : tuple of int
        Filters of each layer on the way down; frames and bins are halved as many times.
    bins : int
        Frequencies heard, from 0 on; those above are treated like the highest of them.
    dropout : float
        Share of values silenced in training, in three layers on the way up.
    """

    instruments: tuple[str, ...] = ("surdo",)
    channels: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    bins: int = 1024
    dropout: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "instruments", tuple(self.instruments))  # JSON has lists
        object.__setattr__(self, "channels", tuple(self.channels))
        if len(self.instruments) != 1 or self.instruments[0] in ("", REST):
            raise ValueError(f"a U-Net tells one instrument from the rest, not {', '.join(self.instruments) or 'none'}")
        if not 2 <= len(self.channels) <= 8 or not all(1 <= filters <= 4096 for filters in self.channels):
            raise ValueError(f"a U-Net has 2 to 8 layers of 1 to 4096 filters, not {self.channels}")
        if not 1 <= self.bins <= 65536 or not 0 <= self.dropout < 1:
            raise ValueError(f"these are no sizes of a U-Net: {self}")


class UNet(nn.Module):
    """Logits of masks for one instrument and the rest, from magnitudes.

    Parameters
    ----------
    settings : UNetSettings
    """

    kind = "unet"

    def __init__(self, settings: UNetSettings = UNetSettings()) -> None:
        super().__init__()
        self.settings = settings
        sizes = (1, *settings.channels)
        self.down = nn.ModuleList(_Down(sizes[level], sizes[level + 1]) for level in range(len(sizes) - 1))
        self.up = nn.ModuleList()
        for number, level in enumerate(range(len(sizes) - 2, -1, -1)):
            beside = 1 if number == 0 else 2  # the deepest has nothing beside it
            dropout = settings.dropout if 1 <= number <= 3 and level > 0 else 0.0
            self.up.append(_Up(beside * sizes[level + 1], sizes[level], dropout, last=level == 0))

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instrument and the rest, in the order of the masks."""
        return (*self.settings.instruments, REST)

    @property
    def stride_frames(self) -> int:
        """Pieces agree with the whole if they begin at a multiple of so many frames: 64."""
        return 1 << len(self.settings.channels)

    @property
    def context_frames(self) -> int:
        """How far, on either side, it looks beyond a frame, as a multiple of the stride: 256."""
        return 4 * self.stride_frames

    def hear(self, power: Tensor, level: float | Tensor) -> Tensor:
        """What `forward` is given: magnitudes against the level of the recording.

        Parameters
        ----------
        power : float32 tensor [shape=(..., frames, bins)]
            At any rate: bins that a low one has not are silent, those above the highest one heard are left out.
        level : float or tensor
            Mean power of a band in the whole recording.

        Returns
        -------
        float32 tensor [shape=(..., frames, settings.bins)]
        """
        magnitude = torch.sqrt(power[..., : self.settings.bins] / (level + 1e-20))
        return functional.pad(magnitude, (0, self.settings.bins - magnitude.shape[-1]))

    def masks(self, power: Tensor, level: float) -> Tensor:
        """Masks of a recording or of a piece of one, in evaluation mode whatever mode the network is in.

        Parameters
        ----------
        power : float32 tensor [shape=(frames, bins)]
            Of the mixture.
        level : float
            Mean power of a band in the whole recording.

        Returns
        -------
        float32 tensor [shape=(2, frames, bins)]
            Of the instrument and of the rest; they sum to one.
        """
        training, wanted = self.training, power.shape[-1]
        try:
            with torch.inference_mode():
                masks = self.eval()(self.hear(power, level)[None])[0].softmax(0)[..., :wanted]
        finally:
            self.train(training)
        above = masks[..., -1:].expand(*masks.shape[:-1], wanted - masks.shape[-1])
        return torch.cat([masks, above], -1)

    def forward(self, bands: Tensor) -> Tensor:
        """Logits of masks.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, bins)]
            What `hear` gives.

        Returns
        -------
        float32 tensor [shape=(batch, 2, frames, bins)]
            Of the instrument, and 0 for the rest.
        """
        frames, bins, stride = bands.shape[1], bands.shape[2], self.stride_frames
        x = functional.pad(bands, (0, -bins % stride, 0, -frames % stride)).unsqueeze(1)
        beside: list[Tensor] = []
        for down in self.down:
            x = down(x)
            beside.append(x)
        x = self.up[0](beside.pop())
        for up in self.up[1:]:
            x = up(torch.cat([beside.pop(), x], 1))
        logits = x[:, 0, :frames, :bins]
        return torch.stack([logits, torch.zeros_like(logits)], 1)


class _Down(nn.Module):
    """Half as many frames and bins."""

    def __init__(self, came: int, go: int) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(came, go, 5, stride=2, padding=2), nn.BatchNorm2d(go)

    def forward(self, x: Tensor) -> Tensor:
        return functional.leaky_relu(self.norm(self.conv(x)), 0.2)


class _Up(nn.Module):
    """Twice as many frames and bins; the last gives logits."""

    def __init__(self, came: int, go: int, dropout: float, *, last: bool) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(came, go, 5, stride=2, padding=2, output_padding=1)
        self.norm, self.dropout, self.last = nn.BatchNorm2d(go), nn.Dropout(dropout), last

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.norm(self.conv(x)))
        return x if self.last else functional.relu(x)


class MagnitudeBatch(NamedTuple):
    """What the network sees in a step of `fit`, and what it is asked.

    Parameters
    ----------
    bands : float32 tensor [shape=(batch, frames, bins)]
        Magnitudes of mixtures, as `UNet.hear` gives them.
    stems : float32 tensor [shape=(batch, 2, frames, bins)]
        Magnitudes of the instrument and of the rest, against the same level.
    """

    bands: Tensor
    stems: Tensor


def magnitude_loss(logits: Tensor, batch: MagnitudeBatch) -> Tensor:
    """Mean absolute error of masked magnitudes, that of the tutorial, for the instrument and for the rest."""
    return (logits.softmax(1) * batch.bands[:, None] - batch.stems).abs().mean()


def tiny(instrument: str = "surdo", *, bins: int = 60) -> UNet:
    """A network small enough to train inside a test."""
    return UNet(UNetSettings((instrument,), (8, 12, 16), bins, dropout=0.0))
