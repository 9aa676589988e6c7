"""Outputs of commands: refused before the work where they cannot be written; what became of a folder of recordings."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from levada.cli import terminal
from levada.cli.options import SOME_FAILED
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.io.batch import BatchReport

__all__ = ["finish_folder", "finish_scores", "need_clicks", "need_pictures", "need_table_writable", "need_writable"]


def need_writable(
    *paths: Path | None, force: bool, inputs: tuple[Path | None, ...] = (), folders: bool = False
) -> None:
    """Refuse outputs that exist, would replace an input, or cannot be written: an empty file is written for it.

    A file is meant, but for `folders`.
    """
    from levada.io.files import check_parent_folder, check_writable

    for path in filter(None, paths):
        check_parent_folder(path)
        if path.is_dir() and not folders:
            raise InputError("is a folder: give the name of a file", path=path)
        if path.exists():
            if any(given is not None and given.exists() and path.samefile(given) for given in inputs):
                raise InputError("is what is read here, and would be lost; choose another name", path=path)
            if not force:
                raise InputError("exists already; choose another name, or --force to replace it", path=path)
        check_writable(path)


def need_table_writable(table: Path, out: Path, *, force: bool) -> None:
    """Refuse a table of a folder of recordings; whether one that exists may be replaced, the manifest in `out` says."""
    from levada.io.batch import check_table_path
    from levada.io.run_folder import MANIFEST

    check_table_path(table)
    need_writable(table, force=force or (out / MANIFEST).is_file())


def need_pictures(path: Path | None) -> None:
    """Refuse a picture of an unknown format."""
    from levada.learning.figures import SUFFIXES

    if path is not None and path.suffix.lower() not in SUFFIXES:
        raise InputError(f"pictures are drawn as {', '.join(SUFFIXES)}", path=path)


def need_clicks(path: Path | None, recording: Path) -> None:
    """Refuse a recording with clicks whose format cannot hold it: a tenth of a second is written for it."""
    if path is None:
        return
    import tempfile

    import numpy as np

    from levada.io import audio

    found = audio.info(recording)
    with tempfile.TemporaryDirectory(prefix="levada-") as place:
        try:
            silence = np.zeros((found.channels, found.rate // 10 + 1), np.float32)
            audio.write(Path(place) / f"clicks{path.suffix}", silence, rate=found.rate)
        except InputError as error:
            raise InputError(error.problem, path=path) from None


def finish_folder(report: BatchReport, out: Path, *, results: str, verb: str, as_json: bool) -> None:
    """Say what became of a folder of recordings, and end with the exit code for it."""
    if as_json:
        terminal.print_json(report.to_json())
    for problem in report.failed.values():
        terminal.error(problem)
    for path, problem in report.skipped.items():
        terminal.error(f"skipped: {path}: {problem}")
    there = f", {len(report.kept)} were there already" if report.kept else ""
    lost = f", {len(report.failed)} could not be {verb}" if report.failed else ""
    terminal.say(f"{out}: {results} of {terminal.count(len(report.written), 'recording')} written{there}{lost}")
    if report.failed:
        raise typer.Exit(SOME_FAILED)


def finish_scores(rows: Iterable[Any]) -> None:
    """End with the exit code for scores of which some are missing: rows with an error, which are named elsewhere."""
    if any(row.error for row in rows):
        raise typer.Exit(SOME_FAILED)
