"""Names of a package whose modules are imported when a name in them is first used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["lazy_names"]


def lazy_names(
    namespace: dict[str, Any], places: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return the functions ``__getattr__`` and ``__dir__`` of a package (PEP 562).

    Parameters
    ----------
    namespace : dict
        The ``globals()`` of the package.
    places : mapping of str to str
        By name, the module that it is in; ``module:name`` where it has another name there.

    Examples
    --------
    >>> __getattr__, __dir__ = lazy_names(globals(), {"join": "posixpath"})
    >>> __getattr__("join")("a", "b")
    'a/b'
    """

    def load(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}")
        from importlib import import_module

        module, _, attribute = places[name].partition(":")
        namespace[name] = getattr(import_module(module), attribute or name)
        return namespace[name]

    return load, lambda: sorted({*namespace, *places})
