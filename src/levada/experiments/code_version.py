"""The version of the code, as far as results of runs may depend on it.

Everything in the package counts, data too, but a short list of packages that no run and no rendering can reach by any
import: a new module counts until somebody lists it. Sources count by their bytes, comments included.
"""

from __future__ import annotations

from levada import __version__
from levada.io.package_digest import package_digest

__all__ = ["ASIDE", "code_digest"]

ASIDE = frozenset(
    [
        *("cli", "terminal", "demo", "report", "plot", "tracking", "cluster"),
        *("pretrain", "compose", "songs", "arrange", "groove", "remix", "export"),
    ]
)
"""What cannot change the result of a run: a test follows all imports from `study.conduct` and `study.run`."""


def code_digest() -> str:
    """Version and 16 hexadecimal digits that change with every file of the package outside `ASIDE`."""
    return f"{__version__}-{package_digest(ASIDE)[:16]}"
