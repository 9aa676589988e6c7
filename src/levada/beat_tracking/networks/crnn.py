"""The convolutional recurrent network (CRNN) of BeatNet, which is causal.

After Mojtaba Heydari, Frank Cwitkowitz and Zhiyao Duan, "BeatNet: CRNN and Particle Filtering for Online Joint Beat,
Downbeat and Meter Tracking", ISMIR 2021. Given its authors' weights (402,325 of them), its probabilities are theirs;
what differs is their form. Theirs are of three classes, and sum to one: a beat that is no downbeat, a downbeat, and
neither; here they are, exactly, of a beat of either kind, and of a downbeat given a beat.

::

    (batch, frames, 136) -> magnitudes m, log10(1 + m), and by how much each band rose since the last frame
        -> (batch, frames, 272) -> conv of 10 bands, max of 2 bands -> linear
        -> (batch, frames, 150) -> 2 layers of LSTM, forwards in time -> 3 classes
        -> (batch, frames, 2): logits of a beat, and of a downbeat given a beat

Frames go through it a minute and a half at a time, the state of the LSTM from each stretch to the next: the
convolution's 526 features a frame would take 400 MB for an hour.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["Crnn", "CrnnSettings", "from_beatnet", "tiny"]

BANDS = 136
FLOOR = 1e-6  # which spectrograms add to magnitudes
KERNEL, FILTERS = 10, 2
STRETCH_FRAMES = 4500
NAMES = {"conv": "conv1", "fold": "linear0", "lstm": "lstm", "head": "linear"}
"""Our layers, and what BeatNet calls them."""


@dataclass(frozen=True)
class CrnnSettings:
    """What determines the shape of the network.

    Parameters
    ----------
    cells : int
        Features of a frame, and cells of each layer of the LSTM.
    levels : int
        Layers of the LSTM.
    dropout : float
        Share of what enters and leaves the LSTM silenced in training.
    """

    cells: int = 150
    levels: int = 2
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if not (1 <= self.cells <= 2048 and 1 <= self.levels <= 8):
            raise ValueError(f"a CRNN has 1 to 2048 cells and 1 to 8 levels, not {self.cells} and {self.levels}")
        if not 0 <= self.dropout < 1:
            raise ValueError("dropout lies in [0, 1)")


class Crnn(nn.Module):
    """Logits of a beat, and of a downbeat given a beat, from spectrograms of quarter tones.

    Parameters
    ----------
    settings : CrnnSettings
    """

    kind = "crnn"
    settings_type = CrnnSettings

    front_end = "log136"
    """Name of the spectrogram that is its input."""
    fps = 50
    """Frames per second."""

    def __init__(self, settings: CrnnSettings = CrnnSettings()) -> None:
        super().__init__()
        self.settings = settings
        self.conv = nn.Conv1d(1, FILTERS, KERNEL)
        self.fold = nn.Linear(FILTERS * ((2 * BANDS - KERNEL + 1) // 2), settings.cells)
        self.lstm = nn.LSTM(settings.cells, settings.cells, settings.levels, batch_first=True)
        self.dropout = nn.Dropout(settings.dropout)
        self.head = nn.Linear(settings.cells, 3)

    def forward(self, bands: Tensor) -> Tensor:
        """Logits of whole recordings.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, 136)]
            Spectrograms of quarter tones.

        Returns
        -------
        float32 tensor [shape=(batch, frames, 2)]
            Logits of a beat (downbeats included), and of a downbeat given a beat.
        """
        before, state, logits = _compressed(bands[:, :1]), None, []
        for stretch in torch.split(bands, STRETCH_FRAMES, 1):
            bands = _compressed(stretch)
            rise = functional.relu(bands - torch.cat([before, bands[:, :-1]], 1))
            before = bands[:, -1:]
            steps, state = self.lstm(self.dropout(self._folded(torch.cat([bands, rise], 2))), state)
            logits.append(self.head(self.dropout(steps)))
        beat, downbeat, neither = torch.cat(logits, 1).unbind(-1)
        return torch.stack([torch.logaddexp(beat, downbeat) - neither, downbeat - beat], -1)

    def _folded(self, bands: Tensor) -> Tensor:
        """The features of each frame by itself: (batch, frames, 272) -> (batch, frames, cells)."""
        x = functional.relu(self.conv(bands.flatten(0, 1).unsqueeze(1)))
        folded: Tensor = self.fold(functional.max_pool1d(x, 2).flatten(1))
        return folded.view(*bands.shape[:2], -1)


def _compressed(bands: Tensor) -> Tensor:
    """log10(1 + magnitude)."""
    return torch.log1p((bands.exp() - FLOOR).clamp(min=0)) / math.log(10)


def from_beatnet(tensors: Mapping[str, Tensor]) -> Crnn:
    """The network with BeatNet's weights.

    Parameters
    ----------
    tensors : mapping of str to tensor
        Its state, under its own names.

    Returns
    -------
    Crnn
        In evaluation mode.

    Raises
    ------
    ValueError
        If they are not the weights of this network.
    """
    net = Crnn()
    theirs = {name: ".".join([NAMES[layer], rest]) for name in net.state_dict() for layer, rest in [name.split(".", 1)]}
    if missing := sorted(set(theirs.values()) ^ set(tensors)):
        raise ValueError(f"these are not the tensors of BeatNet's network: {', '.join(missing)}")
    try:
        net.load_state_dict({ours: tensors[name] for ours, name in theirs.items()})
    except RuntimeError as error:
        raise ValueError(str(error).splitlines()[-1].strip()) from None
    return net.eval()


def tiny(*, cells: int = 32, levels: int = 1) -> Crnn:
    """A network small enough to train inside a test."""
    return Crnn(CrnnSettings(cells=cells, levels=levels, dropout=0.0))
