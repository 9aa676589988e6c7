"""The command line: a module for each command, assembled here."""

from __future__ import annotations

import errno
import logging
import os
import sys
from typing import Annotated

import typer

from levada.cli import pages, process, terminal
from levada.cli.options import EXIT_CODES, UNUSABLE
from levada.errors import InputError, Interrupted, MissingExtra, os_error_text

__all__ = ["app", "main"]

app = pages.group(
    pages.LazyGroup,
    help="Adapt beat trackers and source separators to a musical tradition from minutes of labels, on a laptop.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    context_settings={"max_content_width": 100},
)


@app.callback()
def _options(
    quiet: Annotated[
        bool,
        typer.Option("--quiet", help="Print only results, warnings and errors; can also stand after the command."),
    ] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=process.show_version, is_eager=True, help="Print versions and exit.")
    ] = False,
) -> None:
    terminal.set_quiet(quiet)
    terminal.set_dated(False)


OUTSIDE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS}
"""Errors of a disk that are neither errors of levada nor of its input."""


def main() -> None:
    """Run a command, and end the process with its exit code (`options.EXIT_CODES`)."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads that spin slow down a busy machine
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # of numpy: its small products are slower on more, and differ
    logging.basicConfig(level=logging.WARNING, handlers=[terminal.WarningHandler()])
    terminal.prepare_streams()
    try:
        with process.terminable():
            app(process.quiet_first(sys.argv[1:]), prog_name="levada")
    except InputError as error:
        terminal.error(f"levada: {error}")
        sys.exit(UNUSABLE)
    except SystemExit as stop:
        cause = getattr(stop.__context__, "__cause__", None)  # Typer turns every KeyboardInterrupt into exit code 130
        if not isinstance(cause, KeyboardInterrupt):
            raise
        stopped = Interrupted.of(cause)
        if "--json" in sys.argv:
            terminal.print_json({**stopped.report, "interrupted": str(stopped)})
        terminal.error("stopped; the same command continues (adapt, pretrain, render, and commands on a folder)")
        sys.exit(stopped.exit_code)
    except Exception as error:
        if os.environ.get("LEVADA_DEBUG"):
            raise
        if isinstance(error, ModuleNotFoundError) and error.name == "torch":
            terminal.error(f"levada: {MissingExtra('torch', extra='train', purpose='do this')}")
            sys.exit(UNUSABLE)
        if isinstance(error, OSError) and (error.filename is not None or error.errno in OUTSIDE):
            terminal.error(f"levada: {os.fsdecode(error.filename or 'a file')}: {os_error_text(error)}")
            sys.exit(UNUSABLE)
        terminal.error(f"levada: error inside levada: {type(error).__name__}: {error}")
        terminal.error("please report it with the command you typed; LEVADA_DEBUG=1 shows the traceback")
        sys.exit(1)
    finally:
        terminal.set_dated(False)
