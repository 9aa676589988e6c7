"""Networks that run without PyTorch, in numpy, from the tensors of their weights."""

from __future__ import annotations

from typing import Self

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.learning.card import CONFIG, TENSORS
from levada.learning.weights import Weights, device_of

__all__ = ["Inference", "TensorReader"]


class Inference:
    """A network that runs in numpy on the CPU; on another device PyTorch runs it.

    Parameters
    ----------
    weights : Weights

    Attributes
    ----------
    module : nn.Module, optional
        That runs on another device than the CPU.
    """

    def __init__(self, weights: Weights) -> None:
        self._weights, self.module = weights, None

    def __reduce__(self) -> tuple[type[Self], tuple[Weights]]:
        """Pickle the weights alone: the arrays are made of them again."""
        return type(self), (self._weights,)

    @property
    def device(self) -> str:
        """Where it runs."""
        return "cpu" if self.module is None else str(device_of(self.module))

    def eval(self) -> Self:
        """Return itself: it is never in training mode."""
        return self

    def to(self, device: str) -> Self:
        """Run on a device."""
        self.module = None if device == "cpu" else self._weights.copy().eval().to(device)
        return self


class TensorReader:
    """Reads the tensors of a network for matrix products, each of the shape that it must have.

    Parameters
    ----------
    weights : Weights
    """

    def __init__(self, weights: Weights) -> None:
        self._weights, self._tensors = weights, weights.tensors

    def __call__(self, name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        """Return a tensor.

        Raises
        ------
        InputError
            If there is none of this name and shape.
        """
        tensor = self._tensors.get(name)
        if tensor is None or tensor.shape != shape:
            has = "there is none" if tensor is None else f"it has the shape {tensor.shape}"
            path = getattr(self._weights.source, "path", None)
            raise InputError(
                f"is damaged, or not the weights of its {CONFIG}: {name} must have the shape {shape}, and {has}",
                path=None if path is None else path / TENSORS,
            )
        return np.asarray(tensor, np.float32)

    def pair(self, name: str, shape: tuple[int, ...]) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return the weight of a layer, of a shape with outputs first, and its bias."""
        return self(f"{name}.weight", shape), self(f"{name}.bias", shape[:1])

    def convolution(
        self, name: str, shape: tuple[int, ...], axes: tuple[int, ...]
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Return a layer as a matrix from inputs at its places to outputs, and its bias.

        Parameters
        ----------
        name : str
        shape : tuple of int
            Of its weight, outputs first.
        axes : tuple of int
            Their order in the rows of the matrix, and that of outputs.
        """
        weight, bias = self.pair(name, shape)
        return np.ascontiguousarray(weight.transpose(axes).reshape(-1, shape[0])), bias
