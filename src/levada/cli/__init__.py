"""The command line: a module for each command, assembled here."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from levada.cli import (
    adapt,
    challenge,
    convert,
    corpus,
    demo,
    evaluate,
    export,
    microtiming,
    models,
    pretrain,
    process,
    remix,
    render,
    report,
    select,
    separate,
    studio,
    study,
    terminal,
    track,
    traditions,
)
from levada.cli.options import EXIT_CODES, UNUSABLE, WithFormats
from levada.errors import InputError, Interrupted, MissingExtra, os_error_text

__all__ = ["app", "main"]

app = typer.Typer(
    help="Adapt beat trackers and source separators to a musical tradition from minutes of labels, on a laptop.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
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


COMMANDS: tuple[Callable[..., None], ...] = (
    *(track.track, separate.separate, adapt.adapt, evaluate.evaluate, convert.convert, select.select),
    *(microtiming.microtiming, render.render, studio.studio, remix.remix, study.study, report.report),
    *(pretrain.pretrain, export.export, demo.demo),
)
for _command in COMMANDS:
    app.command(cls=WithFormats if _command in (track.track, convert.convert) else None)(_command)
app.add_typer(corpus.app, name="corpus")
app.add_typer(traditions.app, name="traditions")
app.add_typer(challenge.app, name="challenge")
app.command()(models.models)

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
