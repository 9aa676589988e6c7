"""Networks that other libraries have pickled, read without running code.

A pickle is a program. This reader has a short list of names, gives a plain stand-in for each, and refuses a file that
needs any other; neither the library that wrote it nor numpy's own readers are called.
"""

from __future__ import annotations

import pickle
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError

__all__ = ["Part", "read_network"]

_NUMBERS = {"f4": np.float32, "f8": np.float64}


class Part:
    """A stand-in for an object of the library that wrote the file: its attributes without its code.

    Its class has the name of the original class.
    """

    def array(self, name: str) -> npt.NDArray[Any]:
        """Return an attribute that is an array.

        Raises
        ------
        ValueError
            If there is none, or it is not an array of floating-point numbers of its stated length.
        """
        value = vars(self).get(name)
        if not isinstance(value, _Array):
            raise ValueError(f"{type(self).__name__} has no array {name}")
        return value.numbers()


class _Dtype:
    """A stand-in for numpy's dtype."""

    def __init__(self, code: str, *_: Any) -> None:
        self.code, self.order = code, "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = state[1]


class _Array:
    """A stand-in for numpy's array."""

    state: tuple[Any, ...] = ()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.state = state

    def numbers(self) -> npt.NDArray[Any]:
        try:
            _, shape, dtype, by_columns, data = self.state
            kind = np.dtype(_NUMBERS[dtype.code]).newbyteorder(dtype.order)
            flat = np.frombuffer(data, kind)
            return flat.reshape(shape, order="F" if by_columns else "C").astype(kind.newbyteorder("="))
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"an array is damaged: {error}") from None


class _Reader(pickle.Unpickler):
    def __init__(self, file: Any, classes: Collection[str], functions: Collection[str]) -> None:
        super().__init__(file, encoding="latin1")  # what Python 2 wrote
        self.stand_ins = _STAND_INS | {name: type(name.rpartition(".")[2], (Part,), {}) for name in classes}
        self.functions = functions

    def find_class(self, module: str, name: str) -> Any:
        full = f"{module}.{name}"
        if full in self.functions:
            return name
        if full in self.stand_ins:
            return self.stand_ins[full]
        raise pickle.UnpicklingError(f"it needs {full}, which no network should")


def _latin1(text: str, encoding: str) -> bytes:
    """Encode a string as Python 2's are stored."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"it needs the encoding {encoding}")
    return text.encode("latin1")


_STAND_INS: dict[str, Any] = {
    "numpy.core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy._core.multiarray._reconstruct": lambda *_: _Array(),
    "numpy.ndarray": _Array,
    "numpy.dtype": _Dtype,
    "_codecs.encode": _latin1,
}


def read_network(path: str | Path, *, classes: Collection[str], functions: Collection[str] = ()) -> Part:
    """Read a network that a library has pickled.

    Parameters
    ----------
    path : path-like
    classes : collection of str
        Full names of the classes that the file may hold objects of, ``package.module.Class``; a `Part` stands for each.
    functions : collection of str
        Full names of the functions that it may hold; the last part of the name stands for each.

    Returns
    -------
    Part

    Raises
    ------
    InputError
        If it cannot be read, is damaged, or needs any other name.
    """
    try:
        with open(path, "rb") as file:
            found = _Reader(file, classes, functions).load()
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except Exception as error:  # a damaged pickle may raise any error
        raise InputError(f"is damaged, or not the network it should be: {error}", path=path) from None
    if not isinstance(found, Part):
        raise InputError("is damaged, or not the network it should be: it holds no network", path=path)
    return found
