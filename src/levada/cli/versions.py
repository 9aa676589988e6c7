"""`levada --version`."""

from __future__ import annotations

import platform
from contextlib import suppress
from importlib import metadata

import typer

__all__ = ["show"]


def show(asked: bool) -> None:
    """Print what decides results, where `--version` was given: versions, and a digest of the package's files."""
    if not asked:
        return
    from levada import __version__
    from levada.digest import package_digest

    print(f"levada {__version__} (files {package_digest()[:16]})")
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for library in ("numpy", "scipy", "torch", "numba", "lightning"):
        with suppress(metadata.PackageNotFoundError):
            print(f"{library} {metadata.version(library)}")
    raise typer.Exit
