"""The mask network of `levada.separation.networks.mask_net` without PyTorch, to separate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from levada.errors import check_integers, check_number
from levada.learning.inference import Inference, TensorReader
from levada.separation.stft import N_BANDS

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["MIN_POWER", "MIN_SHARE", "N_UPDATES", "MaskInference", "MaskSettings"]

Floats32 = npt.NDArray[np.float32]

MIN_POWER = 1e-6
N_UPDATES, MIN_SHARE = 30, 1e-3
NORM_EPSILON = np.float32(1e-5)  # of PyTorch's layer norm


@dataclass(frozen=True)
class MaskSettings:
    """Sizes of a mask network.

    Parameters
    ----------
    instruments : tuple of str
        In the order of the masks.
    channels : int
        Channels between blocks.
    inside : int
        Channels within a block.
    dilations : tuple of int
        Of the blocks, in frames.
    bands : int
        Number of bands of the spectrogram.
    bases : int
        Spectra of each instrument in dictionaries, whose masks are combined with those of the network; 0 for none.
    trust : float
        Exponent of the masks of the network and of the dictionaries, before they are multiplied.
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
            raise ValueError(f"the instruments of a mask network must be different, not {', '.join(self.instruments)}")
        check_integers(self, channels=(1, 1024), inside=(1, 2048), bands=(1, 4096), bases=(0, 256))
        check_number("trust", self.trust, 0, 1)
        if not self.dilations or not all(1 <= dilation <= 4096 for dilation in self.dilations):
            raise ValueError(f"dilations lie between 1 and 4096 frames: {self.dilations}")


class MaskInference(Inference):
    """What computes masks from bands, as `MaskNet` does; time is the first axis of all arrays.

    Parameters
    ----------
    weights : Weights
        Of a `MaskNet`.

    Raises
    ------
    InputError
        If the tensors do not fit the network.
    """

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self.settings: MaskSettings = weights.source.settings
        read, channels, inside = TensorReader(weights), self.settings.channels, self.settings.inside
        bands, instruments = self.settings.bands, len(self.settings.instruments)
        self._front = read.convolution("front", (channels, bands, 3), (2, 1, 0))
        self._blocks = [
            (
                dilation,
                read.pair(f"blocks.{n}.before", (channels,)),
                read.convolution(f"blocks.{n}.widen", (inside, channels), (1, 0)),
                read.pair(f"blocks.{n}.depthwise", (inside, 1, 3)),
                read.pair(f"blocks.{n}.within", (inside,)),
                read.convolution(f"blocks.{n}.narrow", (channels, inside), (1, 0)),
            )
            for n, dilation in enumerate(self.settings.dilations)
        ]
        weight, bias = read.pair("head", (bands * instruments, channels, 1))
        self._head = weight.reshape(instruments, bands, channels), bias.reshape(instruments, bands)
        self._bases = None
        if self.settings.bases:
            bases = read("bases", (instruments, self.settings.bases, bands))
            self._bases = bases / (bases.sum(axis=2, keepdims=True) + np.float32(1e-12))

    @property
    def instruments(self) -> tuple[str, ...]:
        """The instruments in the order of the masks."""
        return self.settings.instruments

    @property
    def context_frames(self) -> int:
        """Frames on either side that an output depends on."""
        return 1 + sum(self.settings.dilations)

    def masks(self, power: Floats32, level: float, rows: Sequence[int]) -> Floats32:
        """Compute masks of some instruments.

        Parameters
        ----------
        power : float32 [shape=(frames, bands)]
        level : float
            Mean power of a band in the whole recording.
        rows : sequence of int
            Indices of the instruments; the others are silent.

        Returns
        -------
        float32 [shape=(rows, frames, bands)]
            They sum to one.
        """
        features = np.log10(power / np.float32(level + 1e-20) + np.float32(MIN_POWER)) / 2 + np.float32(1)
        x = self._hidden(features)
        weight, bias = (array[list(rows)] for array in self._head)
        logits = np.matmul(x, weight.transpose(0, 2, 1)) + bias[:, None]
        if self._bases is not None:
            dictionaries = np.log(self._dictionary_masks(features, self._bases)[list(rows)] + np.float32(MIN_SHARE))
            logits = np.float32(self.settings.trust) * (logits + dictionaries)
        logits -= logits.max(axis=0)
        np.exp(logits, out=logits)
        logits /= logits.sum(axis=0)
        return np.asarray(logits, np.float32)

    def _hidden(self, features: Floats32) -> Floats32:
        """Compute the input of the head: (frames, bands) -> (frames, channels)."""
        padded = np.pad(features, ((1, 1), (0, 0)))
        frames = len(features)
        x = np.concatenate([padded[i : i + frames] for i in range(3)], axis=1) @ self._front[0] + self._front[1]
        for dilation, before, widen, depthwise, within, narrow in self._blocks:
            y = np.maximum(_normalised(x, before) @ widen[0] + widen[1], 0)
            padded = np.pad(y, ((dilation, dilation), (0, 0)))
            taps = [padded[i * dilation : i * dilation + frames] * depthwise[0][:, 0, i] for i in range(3)]
            y = sum(taps) + depthwise[1]
            y = np.maximum(_normalised(y, within), 0)
            x += y @ narrow[0] + narrow[1]
        return np.asarray(np.maximum(x, 0))

    @staticmethod
    def _dictionary_masks(features: Floats32, bases: Floats32) -> Floats32:
        """Compute the masks of the dictionaries, as `MaskNet.dictionary_masks` does."""
        power = np.float32(10) ** (2 * (features - 1)) - np.float32(MIN_POWER)
        magnitudes = np.sqrt(np.maximum(power, 0)) + np.float32(1e-4)
        flat = bases.reshape(-1, bases.shape[2])
        active = np.ones((len(magnitudes), len(flat)), np.float32)
        for _ in range(N_UPDATES):
            active *= (magnitudes / (active @ flat + np.float32(1e-9))) @ flat.T
        by_instrument = active.reshape(len(active), *bases.shape[:2]).transpose(1, 0, 2)
        estimates = by_instrument @ bases + np.float32(1e-9)
        return np.asarray(estimates / estimates.sum(axis=0), np.float32)


def _normalised(x: Floats32, norm: tuple[Floats32, Floats32]) -> Floats32:
    """Normalise each frame (frames, channels), as PyTorch's layer norm does."""
    centred = x - x.mean(axis=1, keepdims=True)
    variance = np.einsum("ij,ij->i", centred, centred)[:, None] / np.float32(x.shape[1])
    result: Floats32 = centred / np.sqrt(variance + NORM_EPSILON) * norm[0] + norm[1]
    return result
