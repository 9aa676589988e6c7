"""The mask network: how much of each band, at each moment, belongs to each instrument.

A stack of dilated, depthwise convolutions over time (as in Conv-TasNet: Luo and Mesgarani, TASLP 27, 2019) that hears
the log power of a mixture in bands and says all instruments at once; the masks of a band sum to one. It keeps no
statistics over time, so that pieces with enough context on either side give what the whole gives. ::

    (batch, frames, bands) -> conv of 3 frames -> residual blocks, dilation 1, 2, 4, 8, 16, 1, 2, 4, 8, 16
        -> bands of logits for each instrument -> (batch, instruments, frames, bands)

A softmax over instruments makes masks of logits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from levada.separation.label_matching import initial_instruments
from levada.separation.stft import N_BANDS

__all__ = ["MaskNet", "MaskSettings", "features", "tiny"]

QUIETEST = 1e-6
UPDATES, LEAST_SHARE = 30, 1e-3


@dataclass(frozen=True)
class MaskSettings:
    """What determines the shape of the network.

    Parameters
    ----------
    instruments : tuple of str
        What is told apart, in the order of the masks.
    channels : int
        Channels between blocks.
    inside : int
        Channels within a block.
    dilations : tuple of int
        Of the blocks, in frames.
    bands : int
        Of the spectrogram.
    bases : int
        Spectra of each instrument that dictionaries have, which then have a say in the masks; 0 is none.
    trust : float
        The exponent of both, the masks of the network and those of the dictionaries, before they are multiplied.
    """

    instruments: tuple[str, ...]
    channels: int = 128
    inside: int = 192
    dilations: tuple[int, ...] = (1, 2, 4, 8, 16, 1, 2, 4, 8, 16)
    bands: int = N_BANDS
    bases: int = 0
    trust: float = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "instruments", tuple(self.instruments))  # JSON has lists
        object.__setattr__(self, "dilations", tuple(self.dilations))
        if not self.instruments or len(set(self.instruments)) != len(self.instruments):
            raise ValueError(f"a mask network tells different instruments apart, not {', '.join(self.instruments)}")
        if not (1 <= self.channels <= 1024 and 1 <= self.inside <= 2048 and 1 <= self.bands <= 4096):
            raise ValueError(f"these are no sizes of a mask network: {self}")
        if not (0 <= self.bases <= 256 and 0 <= self.trust <= 1):
            raise ValueError(f"a mask network has up to 256 bases and trusts them from 0 to 1: {self}")
        if not self.dilations or not all(1 <= dilation <= 4096 for dilation in self.dilations):
            raise ValueError(f"dilations lie between 1 and 4096 frames: {self.dilations}")


def features(power: Tensor, level: float | Tensor) -> Tensor:
    """What the network hears: the log power of bands against the level of the recording.

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
    return torch.log10(power / (level + 1e-20) + QUIETEST) / 2 + 1


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
        """What is told apart, in the order of the masks."""
        return self.settings.instruments

    @property
    def context_frames(self) -> int:
        """How far, on either side, it looks beyond a frame."""
        return 1 + sum(self.settings.dilations)

    def forward(self, bands: Tensor) -> Tensor:
        """Logits of masks.

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
        return self.settings.trust * (logits.log_softmax(1) + torch.log(self.shares(bands) + LEAST_SHARE))

    def shares(self, bands: Tensor) -> Tensor:
        """What the dictionaries say: supervised NMF of each frame, as `levada.separation.nmf` has it.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, bands)]
            As `features` gives them.

        Returns
        -------
        float32 tensor [shape=(batch, instruments, frames, bands)]
            They sum to one.
        """
        with torch.no_grad():
            heard = torch.sqrt((10 ** (2 * (bands - 1)) - QUIETEST).clamp(min=0)) + 1e-4
            learnt: Tensor = self.get_buffer("bases")
            bases = learnt / (learnt.sum(2, keepdim=True) + 1e-12)
            flat = bases.flatten(0, 1)
            active = heard.new_ones(*heard.shape[:2], len(flat))
            for _ in range(UPDATES):
                active = active * ((heard / (active @ flat + 1e-9)) @ flat.T)
            active = active.reshape(*heard.shape[:2], *bases.shape[:2])
            found = torch.einsum("btik,ikf->bitf", active, bases) + 1e-9
            return found / found.sum(1, keepdim=True)

    def with_bases(self, bases: Tensor) -> MaskNet:
        """The same network, with dictionaries that have a say.

        Parameters
        ----------
        bases : float32 tensor [shape=(instruments, bases, bands)]
            Magnitudes, not negative.
        """
        new = MaskNet(replace(self.settings, bases=bases.shape[1]))
        new.load_state_dict({**self.state_dict(), "bases": bases})
        return new.train(self.training)

    def hidden(self, bands: Tensor) -> Tensor:
        """What the head makes masks of: (batch, frames, bands) -> (batch, channels, frames)."""
        x: Tensor = self.front(bands.transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        return functional.relu(x)

    def some(self, bands: Tensor, rows: Tensor) -> Tensor:
        """Logits of some instruments, others for each excerpt.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, bands)]
        rows : int tensor [shape=(batch, some)]
            Which instruments.

        Returns
        -------
        float32 tensor [shape=(batch, some, frames, bands)]
        """
        known, width = len(self.instruments), self.settings.bands
        weight = self.head.weight.reshape(known, width, -1)[rows].flatten(1, 2)
        assert self.head.bias is not None
        bias = self.head.bias.reshape(known, width)[rows].flatten(1, 2)
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
    """A depthwise convolution between two mixtures of channels, added to what came in."""

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
    """A network small enough to train inside a test."""
    return MaskNet(MaskSettings(tuple(instruments), channels, 2 * channels, dilations=(1, 2)))
