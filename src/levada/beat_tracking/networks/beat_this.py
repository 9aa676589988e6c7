"""Beat This!, a transformer over mel bands, as one of our networks.

The network is that of the package `beat_this`, layer for layer (Francesco Foscarin, Jan Schlüter and Gerhard Widmer,
"Beat This! Accurate Beat Tracking Without DBN Postprocessing", ISMIR 2024); nothing of it that needs torchaudio is
imported. What is ours is around it:

- the first layer hears the logarithm of our spectrograms, and turns it into the compression that it was trained on;
- its outputs, a beat and a downbeat asked apart, become a beat and a downbeat *given a beat*;
- recordings are heard in pieces of 30 s with 120 ms of neighbours around, as the package does;
- in training, batch norms keep the statistics they have, rotations are constants, and attention is never thinned out by
  dropout, which takes eight times as long on a CPU.

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

from levada.errors import InputError, MissingExtra

__all__ = ["BORDER", "PIECE", "BeatThis", "BeatThisSettings", "Rhythm", "given_a_beat", "package_network", "pieces"]

BANDS = 128
FLOOR = 1e-6  # what the logarithm of a spectrogram added to magnitudes
SCALE = 1000 / math.sqrt(1024)  # their magnitudes are divided by the root of the window's length, then multiplied
PIECE, BORDER = 1500, 6
"""Frames heard at once, and how many at either end of them are not believed."""
_NEVER_CERTAIN = math.log1p(-1e-6)  # a downbeat given a beat is at most this likely: its log odds stay finite


class _MissingBeatThis(MissingExtra):
    """An extra can bring what its network is made of, but not the package without torchaudio."""

    def __init__(self) -> None:
        InputError.__init__(
            self,
            "beat-this is needed to run Beat This!: pip install 'levada[beat-this]' (brings einops and "
            "rotary-embedding-torch), then pip install --no-deps beat-this (torchaudio is not used)",
        )


@dataclass(frozen=True)
class BeatThisSettings:
    """What determines the shape of the network; that of the checkpoints "final" by default.

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
        Share of activations silenced in training, outside attention.
    sum_head : bool
        Whether evidence of a downbeat is evidence of a beat.
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
        sizes = {"transformer_dim": 4096, "ff_mult": 16, "n_layers": 48, "head_dim": 512, "stem_dim": 512}
        for name, most in sizes.items():
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
                raise ValueError(f"{name} must be a whole number from 1 to {most}, not {value!r}")
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

    front_end = "mel128"
    """The kind of spectrogram it hears."""
    fps = 50
    """Frames a second."""

    def __init__(self, settings: BeatThisSettings = BeatThisSettings()) -> None:
        super().__init__()
        self.settings = settings
        theirs = package_network()(
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
        for module in theirs.modules():
            if hasattr(module, "cached_freqs"):
                _keep_constant(module)
            if type(module).__name__ == "Attend":
                module.dropout = 0.0
        self.frontend, self.transformer, self.heads = theirs.frontend, theirs.transformer_blocks, theirs.task_heads

    def train(self, mode: bool = True) -> BeatThis:
        """To training or evaluation; batch norms keep their statistics, which a few excerpts would spoil."""
        super().train(mode)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()
        return self

    def compress(self, bands: Tensor) -> Tensor:
        """The logarithm of magnitudes [shape=(batch, frames, 128)] as ln(1 + 1000 m), what the first layer hears."""
        return torch.log1p(SCALE * (bands.exp() - FLOOR).clamp(min=0))

    def logits(self, bands: Tensor) -> Tensor:
        """The network's own two outputs: logits of a beat and of a downbeat, asked apart.

        Parameters
        ----------
        bands : float32 tensor [shape=(batch, frames, 128)]

        Returns
        -------
        float32 tensor [shape=(batch, frames, 2)]
        """
        done, heard = 0, []
        for start, piece in pieces(self.compress(bands)):
            kept = _beat_and_downbeat(self.heads(self.transformer(self.frontend(piece))))[:, BORDER:-BORDER]
            heard.append(kept[:, done - start :])  # where two pieces overlap, the earlier is believed
            done = start + kept.shape[1]
        return torch.cat(heard, 1) if heard else bands.new_zeros(len(bands), 0, 2)

    def forward(self, bands: Tensor) -> Tensor:
        """Logits of whole recordings.

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


class Rhythm(nn.Module):
    """What comes after the front end, to be trained on features that are computed once.

    Parameters
    ----------
    net : BeatThis
        Its transformer and heads are these, not copies.
    """

    def __init__(self, net: BeatThis) -> None:
        super().__init__()
        self.transformer, self.heads = net.transformer, net.heads

    def forward(self, features: Tensor) -> Tensor:
        """From what the `frontend` of `BeatThis` gives, (batch, frames, features), to its logits (batch, frames, 2)."""
        return given_a_beat(_beat_and_downbeat(self.heads(self.transformer(features))))


def pieces(mels: Tensor) -> Iterator[tuple[int, Tensor]]:
    """Stretches that are heard at once, with their neighbours; silence lies around the recording.

    The last is as long as the others, and overlaps the one before it.

    Parameters
    ----------
    mels : float32 tensor [shape=(batch, frames, bands)]

    Yields
    ------
    start : int
        The first frame whose output is believed.
    piece : float32 tensor [shape=(batch, at most 1500, bands)]
        That frame and those after it, with 6 more at either end.
    """
    frames, inner = mels.shape[1], PIECE - 2 * BORDER
    padded = functional.pad(mels, (0, 0, BORDER, BORDER))
    for start in range(0, frames, inner):
        first = min(start, max(0, frames - inner))
        yield first, padded[:, first : first + PIECE]


def package_network() -> type[Any]:
    """The class of the network in the package `beat_this`, which is imported only now.

    Raises
    ------
    MissingExtra
        If the package, or what its network is made of, is not installed.
    """
    try:
        from beat_this.model.beat_tracker import BeatThis as Theirs
    except ImportError:
        raise _MissingBeatThis from None
    kind: type[Any] = Theirs
    return kind


def given_a_beat(logits: Tensor) -> Tensor:
    """Logits of a beat and of a downbeat, asked apart, as those of a beat and of a downbeat given a beat.

    A downbeat given a beat is as likely as the quotient of the two, and never certain. The gradient is not that of the
    quotient, which vanishes where a downbeat seems likelier than a beat and has no bound where they are about as
    likely: it is passed to the logit of the downbeat as it is. Cross-entropy then pulls on it by the difference of what
    is said and what is true, at most 1, which has the sign and the zero of the exact gradient.

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
        share = share.clamp(max=_NEVER_CERTAIN)
        odds = share - torch.log(-torch.expm1(share))
    return torch.stack([beat, odds + (downbeat - downbeat.detach())], -1)


def _beat_and_downbeat(outputs: dict[str, Tensor]) -> Tensor:
    return torch.stack([outputs["beat"].float(), outputs["downbeat"].float()], -1)


def _keep_constant(rotary: Any) -> None:
    """Angles of rotation by position are no weights, and one kept from tracking cannot be trained through."""
    angles = rotary.freqs.detach()
    del rotary.freqs
    rotary.register_buffer("freqs", angles)
    rotary.cache_if_possible = False
