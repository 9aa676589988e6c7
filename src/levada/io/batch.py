"""Batch processing of folders of recordings, which a later run can continue."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from levada.errors import InputError, Interrupted
from levada.io import audio
from levada.io.files import atomic_file
from levada.io.run_folder import DONE, Entry, RunFolder
from levada.io.tables import error_text
from levada.io.text import escape_csv_cell
from levada.version import __version__

__all__ = [
    "COLUMNS",
    "BatchReport",
    "Result",
    "check_table_path",
    "check_timeout",
    "find_recordings",
    "find_skipped",
    "process_folder",
    "write_table",
]

Result = Callable[[Path], object] | Exception
"""Result of a recording: a function that writes its files to a path and may return a mapping of numbers and texts for
tables, or the error."""

COLUMNS = ("path", "sha256", "file", "status", "error", "tempo_bpm", "metre", "beats", "confidence",
           "position_confidence", "tempo_changes", "alternative", "alternative_probability", "octave_probability",
           "half_bar_probability", "compared_with", "agreement", "model", "digest", "levada", "date")  # fmt: skip
TABLE = "(table) {}"
"""Manifest item of a table; unlike a recording, it has no suffix."""
UNSUPPORTED = frozenset({".ac3", ".dff", ".dsf", ".dts", ".mpc", ".ra", ".rm", ".tak", ".tta"})
"""Suffixes of audio formats that levada does not read."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BatchReport:
    """Result of processing a folder of recordings.

    Parameters
    ----------
    written : tuple of Path
        Outputs written by this run: a file, or a folder of files, for each recording.
    kept : tuple of Path
        Outputs of an earlier run.
    failed : mapping of Path to str
        Recording -> error message.
    skipped : mapping of Path to str
        Skipped path -> reason: unreadable folders, links to folders, other audio formats.
    rows : tuple of mapping
        A row for each of all these, in the order of their paths (`COLUMNS`).
    """

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    failed: Mapping[Path, str]
    skipped: Mapping[Path, str] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return paths and messages as JSON values."""
        return {
            "written": [str(path) for path in self.written],
            "kept": [str(path) for path in self.kept],
            "failed": {str(path): problem for path, problem in self.failed.items()},
            "skipped": {str(path): problem for path, problem in self.skipped.items()},
        }


def find_recordings(folder: str | Path, *, out: Path) -> list[Path]:
    """Find the recordings in a folder and its subfolders, sorted.

    Hidden files and folders, stems of rendered recordings (``NAME.stems``) and the output folder are passed over.

    Parameters
    ----------
    folder : path-like
    out : Path
        Where results are written.

    Returns
    -------
    list of Path

    Raises
    ------
    InputError
        If there is no such folder, or no recording in it.
    """
    if not Path(folder).is_dir():
        raise InputError("there is no such folder", path=folder)
    found, _ = _scan(Path(folder), out)
    if not found:
        raise InputError(f"holds no recordings ({', '.join(sorted(audio.SUFFIXES))})", path=folder)
    return found


def find_skipped(folder: Path, *, out: Path) -> dict[Path, str]:
    """Find files and folders that `find_recordings` skips although they may hold audio, with the reason.

    Parameters
    ----------
    folder, out : Path
        As of `find_recordings`.

    Returns
    -------
    dict of Path to str
    """
    return _scan(folder, out)[1]


def _scan(root: Path, out: Path) -> tuple[list[Path], dict[Path, str]]:
    """Find the recordings below a folder, and what is skipped although it may hold audio, with the reason."""
    recordings, skipped = list[Path](), dict[Path, str]()

    def unreadable(error: OSError) -> None:
        skipped[Path(error.filename)] = f"cannot be read: {(error.strerror or str(error)).lower()}"

    for name, folders, files in os.walk(root, onerror=unreadable):
        place = Path(name)
        folders[:] = [
            one
            for one in folders
            if not one.startswith(".") and not one.endswith(".stems") and (place / one).resolve() != out.resolve()
        ]
        for path in (place / one for one in folders):
            if path.is_symlink():
                skipped[path] = "is a link to a folder, which is not followed"
        for path in (place / one for one in files if not one.startswith(".")):
            suffix = path.suffix.lower()
            if suffix in audio.SUFFIXES and path.is_file():
                recordings.append(path)
            elif suffix in audio.SUFFIXES:
                skipped[path] = "is a link to nothing, or no ordinary file"
            elif suffix in UNSUPPORTED:
                skipped[path] = f"{suffix} is not read; convert it to wav or flac"
    return sorted(recordings), dict(sorted(skipped.items()))


def write_table(path: str | Path, report: BatchReport, *, force: bool = False) -> None:
    """Write a row for each recording: CSV, or JSON lines.

    Parameters
    ----------
    path : path-like
        Its suffix says which: .csv or .jsonl.
    report : BatchReport
    force : bool
        Whether a file that exists may be replaced.

    Raises
    ------
    InputError
        If the suffix is another one, the file exists, or it cannot be written.
    """
    check_table_path(path)
    with (
        atomic_file(path, force=force) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file,
    ):
        if Path(path).suffix.lower() == ".jsonl":
            file.writelines(
                json.dumps({key: row.get(key) for key in COLUMNS}, ensure_ascii=False) + "\n" for row in report.rows
            )
            return
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        writer.writerows(
            [escape_csv_cell("" if row.get(key) is None else row[key]) for key in COLUMNS] for row in report.rows
        )


def check_table_path(path: str | Path) -> None:
    """Refuse a path that `write_table` would refuse for its suffix.

    Raises
    ------
    InputError
    """
    if Path(path).suffix.lower() not in (".csv", ".jsonl"):
        raise InputError("tables are written as .csv or .jsonl", path=path)


def check_timeout(timeout_s: float | None) -> None:
    """Refuse a time for each recording that is no number of seconds above 0.

    Raises
    ------
    InputError
    """
    if timeout_s is not None and not 0 < timeout_s < math.inf:
        raise InputError(f"the time for each recording must be a number of seconds above 0, not {timeout_s:g}")


def _facts(entry: Entry | None, name: str, about: Mapping[str, Any]) -> dict[str, Any]:
    """What the manifest has of a recording, as cells of a table."""
    found: dict[str, Any] = {"model": about.get("model"), "digest": about.get("digest"), "levada": __version__}
    if entry is None:
        return found
    file = name if entry.status == DONE else ""
    dated = {"sha256": entry.source.get("sha256"), "levada": entry.version, "date": entry.date}
    return {**found, "file": file, **dated, **entry.facts}


def process_folder(
    folder: str | Path,
    out: str | Path,
    process: Callable[[Sequence[Path]], Generator[tuple[Path, Result], None, None]],
    *,
    kind: str,
    config: Mapping[str, Any],
    about: Mapping[str, Any],
    suffix: str = "",
    variant: str = "",
    table: str | Path | None = None,
    force: bool = False,
) -> BatchReport:
    """Process every recording in a folder and its subfolders; a later run continues an interrupted one.

    Parameters
    ----------
    folder, out : path-like
    process : callable
        From recordings to pairs of recording and result, each as soon as it is done, in any order.
    kind, config, about
        As of `RunFolder.acquire`.
    suffix : str
        Of the file that is written for a recording; without one, a folder is.
    variant : str
        Distinguishes several results of the same recording, such as different stems.
    table : path-like, optional
        Write a row for each recording here (`write_table`), also when interrupted. A table that an earlier call wrote
        for the same output folder is replaced if it was not changed since.
    force : bool
        Process again what has been processed before, and replace any table.

    Returns
    -------
    BatchReport
        A recording whose output was edited or added by a person counts as failed; that output is kept.

    Raises
    ------
    InputError
        If there is nothing to process, the output folder cannot be used (`RunFolder.acquire`), or the table exists and
        may not be replaced, or cannot be written.
    Interrupted
        After Ctrl-C or SIGTERM, with what was done until then.
    """
    root, out = Path(folder), Path(out)
    recordings = find_recordings(root, out=out)
    items = {path: path.relative_to(root).as_posix() + (f" ({variant})" if variant else "") for path in recordings}
    with RunFolder.acquire(out, kind=kind, config=config, about=about, shared=True, force=force) as run_folder:
        if table is not None:
            _need_replaceable(run_folder, Path(table), force=force)
        names = _names(items, root, run_folder, suffix)
        kept = [path for path in recordings if not force and run_folder.is_done(items[path], source=path)]
        failed, written = dict[Path, str](), dict[Path, None]()
        todo = []
        kept_paths = set(kept)
        for path in (path for path in recordings if path not in kept_paths):
            try:
                run_folder.need_replaceable(_outputs(run_folder, items[path], names[path], is_file=bool(suffix)))
                todo.append(path)
            except InputError as error:
                failed[path] = str(error)

        def report() -> BatchReport:
            order = [path for path in recordings if path in written]
            done, before = (tuple(out / names[path] for path in some) for some in (order, kept))
            skipped = find_skipped(root, out=out)
            status = dict.fromkeys(skipped, "skipped") | dict.fromkeys(kept, "kept") | dict.fromkeys(written, "written")
            status |= dict.fromkeys(failed, "failed")
            rows = [
                {
                    "path": path.relative_to(root).as_posix(),
                    "status": status[path],
                    "error": (failed | skipped).get(path, ""),
                }
                | _facts(run_folder.entries.get(items.get(path, "")), names.get(path, ""), about)
                for path in sorted(status)
            ]
            return BatchReport(done, before, failed, skipped, tuple(rows))

        try:
            with closing(process(todo)) as results:
                for path, result in results:
                    problem = _write(run_folder, path, items[path], names[path], result)
                    if problem:
                        failed[path] = problem
                    else:
                        written[path] = None
        except KeyboardInterrupt as stop:
            found = report()
            try:
                _write_table(run_folder, table, found)
            except InputError as error:
                _log.warning("%s", error)
            raise Interrupted.of(stop, report=found.to_json()) from None
        found = report()
        _write_table(run_folder, table, found)
        return found


def _need_replaceable(run_folder: RunFolder, table: Path, *, force: bool) -> None:
    """Refuse to replace a table, unless levada wrote it for this folder and it is unchanged."""
    check_table_path(table)
    if os.path.lexists(table) and not force and not run_folder.is_done(TABLE.format(table.name), source=table):
        raise InputError("exists already; choose another name, or --force to replace it", path=table)


def _write_table(run_folder: RunFolder, table: str | Path | None, report: BatchReport) -> None:
    """Write a table, and record its hash in the manifest."""
    if table is None:
        return
    write_table(table, report, force=True)
    with run_folder.writing(TABLE.format(Path(table).name), source=Path(table)):
        pass  # it has no files inside the folder


def _outputs(run_folder: RunFolder, item: str, name: str, *, is_file: bool) -> list[str]:
    """Return the known output files of an item; further ones are checked when written."""
    entry = run_folder.entries.get(item)
    return [name] if is_file else [] if entry is None else list(entry.files)


def _names(items: Mapping[Path, str], root: Path, run_folder: RunFolder, suffix: str) -> dict[Path, str]:
    """Choose an output name for each recording: the previous one, else without its suffix, else with it."""
    names, taken = dict[Path, str](), set[str]()
    for path, item in items.items():
        entry = run_folder.entries.get(item)
        before = "" if entry is None or entry.status != DONE or not entry.files else next(iter(entry.files))
        name = before if suffix else before.rpartition("/")[0]
        if name and name.endswith(suffix):
            names[path] = name
            taken.add(name)
    alike = Counter(path.with_suffix("") for path in items)
    for path in items:
        if path not in names:
            whole, short = (one.relative_to(root).as_posix() for one in (path, path.with_suffix("")))
            choices = [whole] if alike[path.with_suffix("")] > 1 else [short, whole]
            choices += [f"{whole}.{number}" for number in range(2, 2 + len(items))]
            names[path] = next(f"{choice}{suffix}" for choice in choices if f"{choice}{suffix}" not in taken)
            taken.add(names[path])
    return names


def _write(run_folder: RunFolder, path: Path, item: str, name: str, result: Result) -> str:
    """Write the files of a recording; return the error message, or an empty text."""
    try:
        if isinstance(result, Exception):
            raise result
        facts = dict[str, Any]()
        with run_folder.writing(item, source=path, facts=facts) as temporary:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            known = result(temporary / name)
            facts |= known if isinstance(known, Mapping) else {}
        return ""
    except Exception as error:  # an error of one recording must not end the others
        problem = str(error) if isinstance(error, InputError) else f"{path}: {error_text(error)}"
        run_folder.fail(item, problem, source=path)
        return problem
