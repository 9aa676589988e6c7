"""What every command does as a process: `--version`, `--quiet`, and signals."""

from __future__ import annotations

import platform
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import metadata

import typer

from levada.errors import Interrupted

__all__ = ["quiet_first", "show_version", "terminable"]


def show_version(asked: bool) -> None:
    """Print what decides results, where `--version` was given: versions, and a digest of the package's files."""
    if not asked:
        return
    from levada import __version__
    from levada.io.package_digest import package_digest

    print(f"levada {__version__} (files {package_digest()[:16]})")
    print(f"Python {platform.python_version()}, {platform.system()} {platform.machine()}")
    for library in ("numpy", "scipy", "torch", "numba", "lightning"):
        with suppress(metadata.PackageNotFoundError):
            print(f"{library} {metadata.version(library)}")
    raise typer.Exit


def quiet_first(arguments: list[str]) -> list[str]:
    """Arguments with an option of all commands before the command."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    ours = [word for word in arguments[:end] if word != "--quiet"]
    return ["--quiet"] * (len(ours) < end) + ours + arguments[end:]


@contextmanager
def terminable() -> Iterator[None]:
    """End the block upon SIGTERM as upon Ctrl-C: what is being written is removed, what is finished stays."""

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
