"""The process of a command: `--version`, `--quiet`, and signals."""

from __future__ import annotations

import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from levada.errors import Interrupted

__all__ = ["quiet_first", "show_version", "terminable"]


def show_version(is_given: bool) -> None:
    """Print the versions that results depend on and a digest of the package's files, if `--version` is given."""
    if not is_given:
        return
    from importlib import metadata

    from levada.io.package_digest import package_digest
    from levada.version import __version__

    print(f"levada {__version__} (files {package_digest()[:16]})")
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for library in ("numpy", "scipy", "torch", "numba"):
        with suppress(metadata.PackageNotFoundError):
            print(f"{library} {metadata.version(library)}")
    raise typer.Exit


def quiet_first(arguments: list[str]) -> list[str]:
    """Move `--quiet`, an option of all commands, before the command."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    others = [word for word in arguments[:end] if word != "--quiet"]
    return ["--quiet"] * (len(others) < end) + others + arguments[end:]


@contextmanager
def terminable() -> Iterator[None]:
    """End the block at SIGTERM as at Ctrl-C: unfinished files are removed, finished ones are kept."""

    def end(number: int, _: object) -> None:
        raise Interrupted(number)

    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
