"""The mask network: the share of each instrument in each band and frame.

Dilated, depthwise convolutions over time (as in Conv-TasNet: Luo and Mesgarani, TASLP 27, 2019) on the log power of a
mixture in bands, with outputs for all instruments; the masks of a band sum to one. It has no statistics over time, so
that pieces with enough context on either side give the same as the whole. ::

    (batch, frames, bands) -> conv of 3 frames -> residual blocks, dilation 1, 2, 4, 8, 16, 1, 2, 4, 8, 16
        -> bands of logits for each instrument -> (batch, instruments, frames, bands)

A softmax over instruments turns logits into masks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from levada.separation.label_matching import initial_instruments
from levada.separation.networks.mask_inference import MIN_POWER, MIN_SHARE, N_UPDATES, MaskSettings

__all__ = ["MaskNet", "MaskSettings", "features", "tiny"]


def features(power: Tensor, level: float | Tensor) -> Tensor:
    """Compute the input of the network: the log power of bands relative to the level of the recording.

    Parameters
    ----------
    power : float32 tensor [shape=(..., frames, bands)]
    level : float or tensor
        Mean power of a band in the whole recording.

    Returns
    -------
    float32 tensor [shape as power]
        About 1 at the mean, -2 in silence.
    """
    return torch.log10(power / (level + 1e-20) + MIN_POWER) / 2 + 1


class MaskNet(nn.Module):
    """Logits of masks from what `features` gives.

    Parameters
    ----------
    settings : MaskSettings
    """

    kind = "masks"

    def __init__(self, settings: MaskSettings) -> None:
        super().__init__()
        self.settings = settings
        self.front = nn.Conv1d(settings.bands, settings.channels, 3, padding=1)
        self.blocks = nn.ModuleList(
            _Block(settings.channels, settings.inside, dilation) for dilation in settings.dilations
        )
        self.head = nn.Conv1d(settings.channels, settings.bands * len(settings.instruments), 1)
        if settings.bases:
            self.register_buffer("bases", torch.ones(len(settings.instruments), settings.bases, settings.bands))

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instruments in the order of the masks."""
        return self.settings.instruments

    @property
    def context_frames(self) -> int:
        """Frames on either side that an output depends on."""
        return 1 + sum(self.settings.dilations)

    def forward(self, bands: Tensor) -> Tensor:
        """Compute logits of masks.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, bands)]

        Returns
        -------
        float32 tensor [shape=(batch, instruments, frames, bands)]
        """
        logits: Tensor = self.head(self.hidden(bands))
        logits = logits.reshape(len(bands), len(self.instruments), self.settings.bands, -1).transpose(2, 3)
        if not self.settings.bases:
            return logits
        return self.settings.trust * (logits.log_softmax(1) + torch.log(self.dictionary_masks(bands) + MIN_SHARE))

    def dictionary_masks(self, bands: Tensor) -> Tensor:
        """Compute the masks of the dictionaries: supervised NMF of each frame, as in `levada.separation.nmf`.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, bands)]
            From `features`.

        Returns
        -------
        float32 tensor [shape=(batch, instruments, frames, bands)]
            They sum to one.
        """
        with torch.no_grad():
            magnitudes = torch.sqrt((10 ** (2 * (bands - 1)) - MIN_POWER).clamp(min=0)) + 1e-4
            learnt: Tensor = self.get_buffer("bases")
            bases = learnt / (learnt.sum(2, keepdim=True) + 1e-12)
            flat = bases.flatten(0, 1)
            active = magnitudes.new_ones(*magnitudes.shape[:2], len(flat))
            for _ in range(N_UPDATES):
                active = active * ((magnitudes / (active @ flat + 1e-9)) @ flat.T)
            active = active.reshape(*magnitudes.shape[:2], *bases.shape[:2])
            estimates = torch.einsum("btik,ikf->bitf", active, bases) + 1e-9
            return estimates / estimates.sum(1, keepdim=True)

    def with_bases(self, bases: Tensor) -> MaskNet:
        """Return a copy with dictionaries, whose masks are combined with those of the network.

        Parameters
        ----------
        bases : float32 tensor [shape=(instruments, bases, bands)]
            Magnitudes.
        """
        new = MaskNet(replace(self.settings, bases=bases.shape[1]))
        new.load_state_dict({**self.state_dict(), "bases": bases})
        return new.train(self.training)

    def hidden(self, bands: Tensor) -> Tensor:
        """Compute the input of the head: (batch, frames, bands) -> (batch, channels, frames)."""
        x: Tensor = self.front(bands.transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        return functional.relu(x)

    def select(self, bands: Tensor, rows: Tensor) -> Tensor:
        """Compute logits of some instruments, which differ between excerpts.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, bands)]
        rows : int tensor [shape=(batch, selected)]
            Indices of instruments.

        Returns
        -------
        float32 tensor [shape=(batch, selected, frames, bands)]
        """
        count, width = len(self.instruments), self.settings.bands
        weight = self.head.weight.reshape(count, width, -1)[rows].flatten(1, 2)
        assert self.head.bias is not None
        bias = self.head.bias.reshape(count, width)[rows].flatten(1, 2)
        logits = torch.baddbmm(bias[:, :, None], weight, self.hidden(bands))
        return logits.reshape(len(bands), rows.shape[1], width, -1).transpose(2, 3)

    def with_instruments(self, instruments: Sequence[str]) -> MaskNet:
        """Return a copy with a head for other instruments, without dictionaries.

        Parameters
        ----------
        instruments : sequence of str
            Each is initialised from the instrument of the same voice, or from the mean of all.

        Returns
        -------
        MaskNet
        """
        new = MaskNet(replace(self.settings, instruments=tuple(instruments), bases=0))
        initial = initial_instruments(instruments, self.instruments)
        state = {name: tensor for name, tensor in self.state_dict().items() if name != "bases"}
        for name in ("head.weight", "head.bias"):
            rows = state[name].unflatten(0, (len(self.instruments), -1))
            chosen = [rows.mean(0) if one is None else rows[self.instruments.index(one)] for one in initial]
            state[name] = torch.cat(chosen)
        new.load_state_dict(state)
        return new.train(self.training)


class _Block(nn.Module):
    """A depthwise convolution between two linear layers, with a residual connection."""

    def __init__(self, channels: int, inside: int, dilation: int) -> None:
        super().__init__()
        self.before, self.within = nn.LayerNorm(channels), nn.LayerNorm(inside)
        self.widen = nn.Linear(channels, inside)
        self.depthwise = nn.Conv1d(inside, inside, 3, dilation=dilation, padding=dilation, groups=inside)
        self.narrow = nn.Linear(inside, channels)

    def forward(self, x: Tensor) -> Tensor:
        y = functional.relu(self.widen(self.before(x.transpose(1, 2)))).transpose(1, 2)
        y = functional.relu(self.within(self.depthwise(y).transpose(1, 2)))
        changed: Tensor = x + self.narrow(y).transpose(1, 2)
        return changed


def tiny(instruments: Sequence[str] = ("low", "high"), *, channels: int = 16) -> MaskNet:
    """Return a network small enough to train inside a test."""
    return MaskNet(MaskSettings(tuple(instruments), channels, 2 * channels, dilations=(1, 2)))
