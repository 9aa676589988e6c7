"""Files of packages that are installed but not imported, and checkpoints that are read without running code."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.errors import InputError, MissingExtra

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["MissingPackage", "is_finite", "package_folder", "read_checkpoint"]


class MissingPackage(MissingExtra):
    """A package is missing that no extra can bring; the message says how to install it."""

    def __init__(self, message: str) -> None:
        InputError.__init__(self, message)


def package_folder(name: str) -> Path | None:
    """Return the folder of an installed package, which is not imported; None if there is none."""
    try:
        spec = find_spec(name)
    except ValueError:  # a module without a specification was put in its place
        return None
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations)))


def read_checkpoint(path: Path, *, advice: str) -> Any:
    """Read what `torch.save` wrote, without running code that the file may hold.

    Parameters
    ----------
    path : Path
    advice : str
        What to do about a damaged file, for the message.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    import torch

    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except Exception as error:  # torch raises another error for each way in which a file can be damaged
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise InputError(f"cannot be read as a checkpoint ({reason}); {advice}", path=path) from None


def is_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether all numbers of some tensors are finite."""
    return all(bool(tensor.isfinite().all()) for tensor in tensors)
