"""A cache of what numba compiles for a library that many processes may use at a time; numba's own is not safe then.

Each process has a folder of its own. The first one that is done with a library publishes a copy of its folder by
renaming it into place; later processes start from a copy of that, and nothing writes to it again.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
from contextlib import suppress
from importlib import metadata
from pathlib import Path

from levada.io.workers import private_numba_cache

__all__ = ["publish", "restore"]


def restore(library: str) -> None:
    """Copy what an earlier process compiled for a library into this process's folder; call it before the import.

    Parameters
    ----------
    library : str
        Its name on the package index.
    """
    own, published = private_numba_cache(), _published(library)
    if published.is_dir() and not own.exists():
        with suppress(OSError):  # it is compiled again
            shutil.copytree(published, own)


def publish(library: str) -> None:
    """Publish what this process compiled for a library; only the first copy is kept.

    Parameters
    ----------
    library : str
    """
    own, published = private_numba_cache(), _published(library)
    if published.exists() or not own.is_dir():
        return
    temporary = published.with_name(f"{own.name}-{published.name}")
    with suppress(OSError):  # the disk may be full, or another process was first
        published.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copytree(own, temporary)
            temporary.rename(published)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _published(library: str) -> Path:
    """Return the published folder: one for each version of all that decides the machine code."""
    facts = [library, sys.prefix, sys.version, platform.machine(), platform.node()]
    for name in (library, "numba", "llvmlite", "numpy"):
        with suppress(metadata.PackageNotFoundError):
            facts.append(f"{name} {metadata.version(name)}")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "levada" / f"numba-{library}-{hashlib.sha256(repr(facts).encode()).hexdigest()[:16]}"
