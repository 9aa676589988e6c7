"""The temporal convolutional network of `levada.beat_tracking.networks.tcn` without PyTorch, to track.

Strides are as long as the kernels over bands, and convolutions over time are products of a matrix with the frames
beside each other, so that the numbers are those of PyTorch but for rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.networks.registers import harmonic_change, registers
from levada.beat_tracking.spectrogram import N_SEMITONES
from levada.learning.inference import Inference, TensorReader

if TYPE_CHECKING:
    from levada.learning.weights import Weights

__all__ = ["BANDS", "CHANGE_REACH", "CONTEXT", "TcnInference", "TcnSettings"]

Floats32 = npt.NDArray[np.float32]

BANDS = 81
CONTEXT = 3
"""Frames on either side that the layers over bands depend on."""
CHANGE_REACH = 2
"""Steps on either side that the layer over harmonic change depends on."""
NORM_EPSILON = 1e-5  # of PyTorch's batch norm


@dataclass(frozen=True)
class TcnSettings:
    """What determines the shape of the network.

    Parameters
    ----------
    channels : int
        Filters in every block.
    levels : int
        Residual blocks; the dilation doubles from each to the next.
    front : tuple of int
        Filters of the first two layers.
    dropout : float
        Share of filters silenced in training.
    floor : float
        Magnitude below which differences are squeezed together.
    harmony : bool
        Whether semitone bands are part of the input, and harmonic change is read from them.
    """

    channels: int = 40
    levels: int = 8
    front: tuple[int, int] = (12, 20)
    dropout: float = 0.1
    floor: float = 0.05
    harmony: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "front", tuple(self.front))  # JSON has lists
        if not all(isinstance(size, int) for size in (self.channels, self.levels, *self.front)):
            raise ValueError(f"the sizes of a TCN are whole numbers, not {self}")
        if not (1 <= self.channels <= 512 and 1 <= self.levels <= 16):
            raise ValueError(f"a TCN has 1 to 512 channels and 1 to 16 levels, not {self.channels} and {self.levels}")
        if len(self.front) != 2 or not all(1 <= filters <= 512 for filters in self.front):
            raise ValueError(f"a TCN's front has two layers of 1 to 512 filters, not {self.front}")
        if not (0 <= self.dropout < 1 and self.floor > 0):
            raise ValueError("dropout lies in [0, 1) and the floor above 0")


class TcnInference(Inference):
    """What computes activations in pieces, as `DilatedNetwork` does; time is the first axis of all arrays.

    Parameters
    ----------
    weights : Weights
        Of a `Tcn`.

    Raises
    ------
    InputError
        If the tensors do not fit the network.
    """

    stride = 2

    def __init__(self, weights: Weights) -> None:
        super().__init__(weights)
        self.settings: TcnSettings = weights.source.settings
        channels, (first, second) = self.settings.channels, self.settings.front
        self.front_end = "log81+semitones" if self.settings.harmony else "log81"
        self.front_context_frames = CONTEXT
        read = TensorReader(weights)
        self._conv1 = read.convolution("conv1", (first, 1, 3, 3), (2, 3, 1, 0))
        self._conv2 = read.convolution("conv2", (second, first, 3, 3), (2, 3, 1, 0))
        fold, bias = read("conv3.weight", (channels, second * (BANDS // 9), 4)), read("conv3.bias", (channels,))
        by_band = fold.reshape(channels, second, BANDS // 9, 4).transpose(3, 2, 1, 0)
        self._conv3 = np.ascontiguousarray(by_band.reshape(-1, channels)), bias
        if self.settings.harmony:
            n = 3 * (len(registers().reaches) + 1)
            mean, variance, scale, shift = (
                read(f"change_norm.{name}", (n,)) for name in ("running_mean", "running_var", "weight", "bias")
            )
            self._scale = scale / np.sqrt(variance + np.float32(NORM_EPSILON))
            self._shift = shift - mean * self._scale
            self._change = read.convolution("change_conv", (channels, n, 2 * CHANGE_REACH + 1), (2, 1, 0))
            self.front_context_frames += 1 + self.stride * (max(registers().reaches) + CHANGE_REACH)
        self._blocks = [
            (
                1 << level,
                read.convolution(f"blocks.{level}.near", (channels, channels, 5), (2, 1, 0)),
                read.convolution(f"blocks.{level}.far", (channels, channels, 5), (2, 1, 0)),
                read.convolution(f"blocks.{level}.mix", (channels, 2 * channels, 1), (2, 1, 0)),
            )
            for level in range(self.settings.levels)
        ]
        self._head = read.convolution("head", (2 * self.stride, channels, 1), (2, 1, 0))

    @property
    def body_context_steps(self) -> int:
        """Steps on either side that an output of `body` depends on."""
        return 4 * ((1 << self.settings.levels) - 1)

    def front(self, bands: Floats32) -> Floats32:
        """Compute features (frames / 2, channels) from a spectrogram (frames + 2 * front_context_frames, bands)."""
        x = np.log(1 + np.exp(bands - np.float32(math.log(self.settings.floor))))  # softplus
        extra = self.front_context_frames - CONTEXT
        low = _elu(_convolve(x[extra : len(x) - extra, :BANDS].reshape(-1, BANDS // 3, 3), self._conv1, 3))
        low = _elu(_convolve(low.reshape(len(low), BANDS // 9, -1), self._conv2, 3))
        frames = low.reshape(len(low) // 2, -1)  # two a step
        folded = _times(np.concatenate([frames[:-1], frames[1:]], axis=1), self._conv3)
        if self.settings.harmony:
            folded += self._harmony(x[CONTEXT + 1 : len(x) - CONTEXT - 1, BANDS:])
        return _elu(folded)

    def body(self, features: Floats32) -> Floats32:
        """Compute logits (2 * steps, 2) from features (steps, channels)."""
        x = features
        for dilation, near, far, mix in self._blocks:
            padded = np.pad(x, ((4 * dilation, 4 * dilation), (0, 0)))
            inner = padded[2 * dilation : len(padded) - 2 * dilation]
            both = [_convolve(inner, near, 5, dilation), _convolve(padded, far, 5, 2 * dilation)]
            x = x + _times(_elu(np.concatenate(both, axis=1)), mix)
        return _times(_elu(x), self._head).reshape(-1, 2)

    def _harmony(self, semitones: Floats32) -> Floats32:
        """Features of harmonic change as channels: (frames + context, 61) -> (steps, channels)."""
        features = harmonic_change(semitones.reshape(-1, self.stride, N_SEMITONES).mean(axis=1))
        return _convolve(features * self._scale + self._shift, self._change, 2 * CHANGE_REACH + 1)


Layer = tuple[Floats32, Floats32]  # a matrix (inputs, outputs) and a bias (outputs,)


def _convolve(x: Floats32, layer: Layer, taps: int, dilation: int = 1) -> Floats32:
    """Convolve over time: (frames + (taps - 1) * dilation, ..., inputs) -> (frames, ..., outputs)."""
    frames = len(x) - (taps - 1) * dilation
    shifted: Sequence[Any] = [x[i * dilation : i * dilation + frames] for i in range(taps)]
    return _times(np.concatenate(shifted, axis=-1), layer)


def _times(x: Floats32, layer: Layer) -> Floats32:
    weight, bias = layer
    result: Floats32 = x.reshape(-1, len(weight)) @ weight
    result += bias
    return result.reshape(*x.shape[:-1], -1)


def _elu(x: Floats32) -> Floats32:
    low = np.minimum(x, 0)
    np.exp(low, out=low)
    low -= 1
    return np.maximum(x, low, out=low)  # of each number the right one: exp(x) - 1 >= x
