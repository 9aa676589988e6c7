"""Beat This!, a transformer over mel bands.

The network is that of the package `beat_this`, layer for layer (Francesco Foscarin, Jan Schlüter and Gerhard Widmer,
"Beat This! Accurate Beat Tracking Without DBN Postprocessing", ISMIR 2024); nothing of it that needs torchaudio is
imported. What levada adds around it:

- the input is the logarithm of the mel spectrogram, which is converted to the compression that it was trained on;
- its outputs, a beat and a downbeat each by itself, become a beat and a downbeat *given a beat*;
- recordings are processed in pieces of 30 s with 120 ms of context around, as the package does;
- in training, batch norms keep the statistics they have, rotations are constants, and attention has no dropout, which
  takes eight times as long on a CPU.

::

    (batch, frames, 128) -> frontend: convolutions, attention across bands and across time -> (batch, frames, 512)
        -> transformer: 6 blocks -> heads -> (batch, frames, 2)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from levada.beat_tracking.external.installed import MissingPackage
from levada.errors import check_integers

__all__ = ["BORDER", "PIECE", "BeatThis", "BeatThisSettings", "given_a_beat", "package_network", "pieces"]

BANDS = 128
LOG_OFFSET = 1e-6  # added to magnitudes before their logarithm
SCALE = 1000 / math.sqrt(1024)  # their magnitudes are divided by the root of the window's length, then multiplied
PIECE, BORDER = 1500, 6
"""Frames of a piece, and how many at either end of it are context whose output is dropped."""
_LOG_MAX = math.log1p(-1e-6)  # log of the greatest probability of a downbeat given a beat: its log odds stay finite


@dataclass(frozen=True)
class BeatThisSettings:
    """Shape of the network; that of the checkpoints "final" by default.

    Parameters
    ----------
    transformer_dim : int
        Features of a frame after the front end: 512, and 128 in the checkpoints "small".
    ff_mult : int
        How many times wider the layers between two attentions are.
    n_layers : int
        Blocks of the transformer.
    head_dim : int
        Features of an attention head; divides the two dimensions beside it.
    stem_dim : int
        Filters of the first layer.
    dropout : float
        Dropout rate outside attention.
    sum_head : bool
        Whether the logit of a downbeat is added to that of a beat.
    partial_transformers : bool
        Whether there is attention in the front end.
    """

    transformer_dim: int = 512
    ff_mult: int = 4
    n_layers: int = 6
    head_dim: int = 32
    stem_dim: int = 32
    dropout: float = 0.0
    sum_head: bool = True
    partial_transformers: bool = True

    def __post_init__(self) -> None:
        check_integers(self, transformer_dim=(1, 4096), ff_mult=(1, 16), n_layers=(1, 48))
        check_integers(self, head_dim=(1, 512), stem_dim=(1, 512))
        uneven = self.transformer_dim % self.head_dim or (self.partial_transformers and self.stem_dim % self.head_dim)
        if uneven or self.head_dim % 2:
            raise ValueError(f"heads of {self.head_dim} features do not divide the layers they are in")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout lies in [0, 1), not at {self.dropout}")


class BeatThis(nn.Module):
    """Logits of a beat, and of a downbeat given a beat, from the logarithm of mel bands.

    Parameters
    ----------
    settings : BeatThisSettings

    Raises
    ------
    MissingExtra
        If the package `beat_this`, or what its network is made of, is not installed.
    """

    kind = "beat_this"
    settings_type = BeatThisSettings

    front_end = "mel128"
    """Its input, a key of `spectrogram.FRONT_ENDS`."""
    fps = 50
    """Frames per second."""

    def __init__(self, settings: BeatThisSettings = BeatThisSettings()) -> None:
        super().__init__()
        self.settings = settings
        package = package_network()(
            spect_dim=BANDS,
            transformer_dim=settings.transformer_dim,
            ff_mult=settings.ff_mult,
            n_layers=settings.n_layers,
            head_dim=settings.head_dim,
            stem_dim=settings.stem_dim,
            dropout={"frontend": settings.dropout, "transformer": settings.dropout},
            sum_head=settings.sum_head,
            partial_transformers=settings.partial_transformers,
        )
        for module in package.modules():
            if hasattr(module, "cached_freqs"):
                _keep_constant(module)
            if type(module).__name__ == "Attend":
                module.dropout = 0.0
        self.frontend, self.transformer, self.heads = (package.frontend, package.transformer_blocks, package.task_heads)
        self.train()  # batch norms keep their statistics from the first step on

    def train(self, mode: bool = True) -> BeatThis:
        """Set training or evaluation mode; batch norms keep their statistics, which a few excerpts would spoil."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()
        return self

    def compress(self, bands: Tensor) -> Tensor:
        """Convert log magnitudes, ln m [shape=(batch, frames, 128)], to ln(1 + 1000 m), the first layer's input."""
        return torch.log1p(SCALE * (bands.exp() - LOG_OFFSET).clamp(min=0))

    def logits(self, bands: Tensor) -> Tensor:
        """Compute the package's two outputs: logits of a beat and of a downbeat, each by itself.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, 128)]

        Returns
        -------
        float32 tensor [shape=(batch, frames, 2)]
        """
        done, outputs = 0, []
        for start, piece in pieces(self.compress(bands)):
            kept = _beat_and_downbeat(self.heads(self.transformer(self.frontend(piece))))[:, BORDER:-BORDER]
            outputs.append(kept[:, done - start :])  # where two pieces overlap, the earlier counts
            done = start + kept.shape[1]
        return torch.cat(outputs, 1) if outputs else bands.new_zeros(len(bands), 0, 2)

    def forward(self, bands: Tensor) -> Tensor:
        """Compute the logits of whole recordings.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, 128)]
            Logarithm of magnitudes in mel bands, plus 1e-6.

        Returns
        -------
        float32 tensor [shape=(batch, frames, 2)]
            Logits of a beat (downbeats included), and of a downbeat given a beat.
        """
        return given_a_beat(self.logits(bands))


def pieces(mels: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Cut a recording into pieces with context around them; zeros lie around the recording.

    The last is as long as the others, and overlaps the one before it.

    Parameters
    ----------
    mels : float32 tensor [shape=(batch, frames, bands)]

    Yields
    ------
    start : int
        The first frame whose output counts.
    piece : float32 tensor [shape=(batch, at most 1500, bands)]
        That frame and those after it, with 6 more at either end.
    """
    frames, inner = mels.shape[1], PIECE - 2 * BORDER
    padded = functional.pad(mels, (0, 0, BORDER, BORDER))
    for start in range(0, frames, inner):
        first = min(start, max(0, frames - inner))
        yield first, padded[:, first : first + PIECE]


def package_network() -> type[Any]:
    """Import the class of the network in the package `beat_this`.

    Raises
    ------
    MissingExtra
        If the package, or what its network is made of, is not installed.
    """
    try:
        from beat_this.model.beat_tracker import BeatThis as PackageNetwork
    except ImportError:
        raise MissingPackage(
            "beat-this is needed to run Beat This!: pip install 'levada[beat-this]' (brings einops and "
            "rotary-embedding-torch), then pip install --no-deps beat-this (torchaudio is not used)"
        ) from None
    kind: type[Any] = PackageNetwork
    return kind


def given_a_beat(logits: Tensor) -> Tensor:
    """Convert the logits of a beat and of a downbeat to those of a beat and of a downbeat given a beat.

    The probability of a downbeat given a beat is the quotient of the two, limited to below 1. The gradient is not that
    of the quotient, which vanishes where a downbeat is likelier than a beat and has no bound where they are about as
    likely: it is passed to the logit of the downbeat as it is (straight-through). Cross-entropy then contributes the
    difference of prediction and target, at most 1, which has the sign and the zero of the exact gradient.

    Parameters
    ----------
    logits : float32 tensor [shape=(..., 2)]

    Returns
    -------
    float32 tensor [same shape]
    """
    beat, downbeat = logits.unbind(-1)
    with torch.no_grad():
        share = functional.logsigmoid(downbeat) - functional.logsigmoid(beat)
        share = share.clamp(max=_LOG_MAX)
        odds = share - torch.log(-torch.expm1(share))
    return torch.stack([beat, odds + (downbeat - downbeat.detach())], -1)


def _beat_and_downbeat(outputs: dict[str, Tensor]) -> Tensor:
    return torch.stack([outputs["beat"].float(), outputs["downbeat"].float()], -1)


def _keep_constant(rotary: Any) -> None:
    """Make the angles of rotation constants: cached from inference, they cannot be part of a backward pass."""
    angles = rotary.freqs.detach()
    del rotary.freqs
    rotary.register_buffer("freqs", angles)
    rotary.cache_if_possible = False
