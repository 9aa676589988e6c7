"""Outputs of commands: checks that come before the work, and the summary of a folder of recordings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from levada.cli import terminal
from levada.cli.options import SOME_FAILED
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.io.batch import BatchReport

__all__ = [
    "check_clicks",
    "check_folders",
    "check_outputs",
    "check_plot",
    "check_table",
    "finish_folder",
    "finish_scores",
]


def check_outputs(
    *paths: Path | None, force: bool, inputs: tuple[Path | None, ...] = (), folders: bool = False
) -> None:
    """Refuse outputs that exist, would replace an input, or cannot be written; this is tried with an empty file.

    Each path is that of a file, or with `folders` that of a folder.
    """
    from levada.io.files import check_parent_folder, check_writable

    for path in filter(None, paths):
        check_parent_folder(path)
        if path.is_dir() and not folders:
            raise InputError("is a folder: give the name of a file", path=path)
        if path.exists():
            if any(given is not None and given.exists() and path.samefile(given) for given in inputs):
                raise InputError("is an input, and would be lost; choose another name", path=path)
            if not force:
                raise InputError("exists already; choose another name, or --force to replace it", path=path)
        check_writable(path)


def check_suffix(name: str | Path, *, clicks: bool = False) -> None:
    """Refuse a file, or a suffix, that is of no format of beats nor, with `clicks`, of audio."""
    from levada.io.formats import format_of

    suffix = name.name if isinstance(name, Path) else name
    if not (clicks and is_audio(suffix)):
        try:
            format_of(f"x{suffix}")
        except InputError as error:
            more = ", or .wav or .flac for click tracks" if clicks else ""
            raise InputError(f"{name}: {error.problem}{more}") from None


def is_audio(name: str) -> bool:
    """Whether a file's name, or its suffix alone, is one of audio."""
    from levada.io import audio

    return Path(f"x{name}").suffix.lower() in audio.SUFFIXES


def check_table(table: Path, out: Path, *, force: bool) -> None:
    """Refuse a table of a folder of recordings; one that exists may be replaced if the manifest in `out` lists it."""
    from levada.io.batch import check_table_path
    from levada.io.run_folder import MANIFEST

    check_table_path(table)
    check_outputs(table, force=force or (out / MANIFEST).is_file())


def check_plot(path: Path | None) -> None:
    """Refuse a figure of an unknown format, or any figure where matplotlib is missing."""
    if path is None:
        return
    from levada.learning.figures import SUFFIXES, matplotlib_context

    if path.suffix.lower() not in SUFFIXES:
        raise InputError(f"figures are drawn as {', '.join(SUFFIXES)}", path=path)
    matplotlib_context({})


def check_folders(*, clicks: Path | None, plots: Path | None) -> None:
    """Refuse folders for click tracks and figures that have names of files, and figures where matplotlib is missing."""
    from levada.learning.figures import SUFFIXES, matplotlib_context

    for folder, is_file in (
        (clicks, clicks is not None and is_audio(clicks.name)),
        (plots, plots is not None and plots.suffix.lower() in SUFFIXES),
    ):
        if folder is not None and is_file and not folder.is_dir():
            raise InputError("is the name of a file: for a folder of recordings, give a folder", path=folder)
    if plots is not None:
        matplotlib_context({})


def check_clicks(path: Path | None, recording: Path) -> None:
    """Refuse a click track whose format cannot hold the recording; this is tried with a tenth of a second."""
    if path is None:
        return
    import tempfile

    import numpy as np

    from levada.io import audio

    about = audio.info(recording)
    with tempfile.TemporaryDirectory(prefix="levada-") as folder:
        try:
            silence = np.zeros((about.channels, about.rate // 10 + 1), np.float32)
            audio.write(Path(folder) / f"clicks{path.suffix}", silence, rate=about.rate)
        except InputError as error:
            raise InputError(error.problem, path=path) from None


def finish_folder(
    report: BatchReport,
    out: Path,
    *,
    results: str,
    verb: str,
    as_json: bool,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Print the summary of a folder of recordings, with `more` in its JSON, and exit with the code for it."""
    if as_json:
        terminal.print_json({**report.to_json(), **(more or {})})
    for problem in report.failed.values():
        terminal.error(problem)
    for path, problem in report.skipped.items():
        terminal.error(f"skipped: {path}: {problem}")
    kept = f", {len(report.kept)} existed already" if report.kept else ""
    failed = f", {len(report.failed)} could not be {verb}" if report.failed else ""
    terminal.info(f"{out}: {results} of {terminal.count(len(report.written), 'recording')} written{kept}{failed}")
    if report.failed:
        raise typer.Exit(SOME_FAILED)


def finish_scores(rows: Iterable[Any]) -> None:
    """Exit with the code for failed items, where scores are missing; the rows name their errors."""
    if any(row.error for row in rows):
        raise typer.Exit(SOME_FAILED)
