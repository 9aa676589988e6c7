"""Folders of recordings, processed one after another into an output folder that a killed run can go on with."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from levada import audio
from levada.errors import InputError, Interrupted
from levada.folders import DONE, RunFolder

__all__ = ["BatchReport", "Result", "find_recordings", "process_folder"]

Result = Callable[[Path], None] | Exception
"""What came of a recording: a function that writes its files to where it is told, or why there are none."""


@dataclass(frozen=True)
class BatchReport:
    """What became of a folder of recordings.

    Parameters
    ----------
    written : tuple of Path
        What was written now: a file, or a folder of files, for each recording.
    kept : tuple of Path
        What an earlier call had written.
    failed : mapping of Path to str
        Recordings without a result, and why.
    """

    def to_json(self) -> dict[str, Any]:
        """The same for programs: paths and reasons."""
        return {
            "written": [str(path) for path in self.written],
            "kept": [str(path) for path in self.kept],
            "failed": {str(path): problem for path, problem in self.failed.items()},
        }

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    failed: Mapping[Path, str]


def find_recordings(folder: str | Path, *, out: Path) -> list[Path]:
    """Recordings in a folder and the folders inside it, sorted.

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
    root = Path(folder)
    if not root.is_dir():
        raise InputError("there is no such folder", path=folder)
    found = []
    for path in root.rglob("*"):
        inside = path.relative_to(root)
        if path.suffix.lower() not in audio.SUFFIXES or not path.is_file():
            continue
        if any(part.startswith(".") for part in inside.parts) or any(one.suffix == ".stems" for one in inside.parents):
            continue
        if out.resolve() != root.resolve() and path.resolve().is_relative_to(out.resolve()):
            continue
        found.append(path)
    if not found:
        raise InputError(f"holds no recordings ({', '.join(sorted(audio.SUFFIXES))})", path=folder)
    return sorted(found)


def process_folder(
    folder: str | Path,
    out: str | Path,
    process: Callable[[Sequence[Path]], Iterator[tuple[Path, Result]]],
    *,
    kind: str,
    config: Mapping[str, Any],
    about: Mapping[str, Any],
    suffix: str = "",
    variant: str = "",
    force: bool = False,
) -> BatchReport:
    """Process every recording in a folder and the folders inside it; a killed run goes on where it was.

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
        Tells results apart that lie side by side: of one recording, some stems now and others later.
    force : bool
        Process again what has been processed before.

    Returns
    -------
    BatchReport
        A recording whose output a person has changed, or made, is among those that failed: it is kept.

    Raises
    ------
    InputError
        If there is nothing to process, or the output folder cannot be used (`RunFolder.acquire`).
    Interrupted
        After Ctrl-C or SIGTERM, with what was done until then.
    """
    root, out = Path(folder), Path(out)
    recordings = find_recordings(root, out=out)
    items = {path: path.relative_to(root).as_posix() + (f" ({variant})" if variant else "") for path in recordings}
    with RunFolder.acquire(out, kind=kind, config=config, about=about, shared=True, force=force) as held:
        names = _names(items, root, held, suffix)
        kept = [path for path in recordings if not force and held.is_done(items[path], source=path)]
        failed, written = dict[Path, str](), dict[Path, None]()
        todo = []
        for path in recordings:
            if path not in kept:
                try:
                    held.need_replaceable(_outputs(held, items[path], names[path], is_file=bool(suffix)))
                    todo.append(path)
                except InputError as error:
                    failed[path] = str(error)

        def report() -> BatchReport:
            order = [path for path in recordings if path in written]
            done, before = (tuple(out / names[path] for path in some) for some in (order, kept))
            return BatchReport(done, before, failed)

        try:
            with closing(_closable(process(todo))) as results:
                for path, result in results:
                    problem = _write(held, path, items[path], names[path], result)
                    if problem:
                        failed[path] = problem
                    else:
                        written[path] = None
        except KeyboardInterrupt as stop:
            raise Interrupted.of(stop, report=report().to_json()) from None
        return report()


def _closable(results: Iterator[tuple[Path, Result]]) -> Generator[tuple[Path, Result], None, None]:
    """The same, ended at once when whoever reads it stops."""
    yield from results


def _outputs(held: RunFolder, item: str, name: str, *, is_file: bool) -> list[str]:
    """Files that are certainly going to be replaced: what else a result has is checked when it is written."""
    entry = held.entries.get(item)
    return [name] if is_file else [] if entry is None else list(entry.files)


def _names(items: Mapping[Path, str], root: Path, held: RunFolder, suffix: str) -> dict[Path, str]:
    """A name of the output for each: as it was before, else without the recording's suffix, else with it."""
    names, taken = dict[Path, str](), set[str]()
    for path, item in items.items():
        entry = held.entries.get(item)
        before = "" if entry is None or entry.status != DONE or not entry.files else next(iter(entry.files))
        name = before if suffix else before.rpartition("/")[0]
        if name and name.endswith(suffix):
            names[path] = name
            taken.add(name)
    alike: dict[Path, int] = {}
    for path in items:
        alike[path.with_suffix("")] = alike.get(path.with_suffix(""), 0) + 1
    for path in items:
        if path not in names:
            whole, short = (one.relative_to(root).as_posix() for one in (path, path.with_suffix("")))
            choices = [whole] if alike[path.with_suffix("")] > 1 else [short, whole]
            choices += [f"{whole}.{number}" for number in range(2, 2 + len(items))]
            names[path] = next(f"{choice}{suffix}" for choice in choices if f"{choice}{suffix}" not in taken)
            taken.add(names[path])
    return names


def _write(held: RunFolder, path: Path, item: str, name: str, result: Result) -> str:
    """What kept the files of a recording from being written, if anything did."""
    try:
        if isinstance(result, Exception):
            raise result
        with held.writing(item, source=path) as temporary:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            result(temporary / name)
        return ""
    except Exception as error:  # one recording's failure must not cost the others
        problem = _in_words(path, error)
        held.fail(item, problem, source=path)
        return problem


def _in_words(path: Path, error: Exception) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, BrokenExecutor | OSError) and str(error):
        return f"{path}: {error}"
    return f"{path}: {type(error).__name__}: {error}".removesuffix(": ")
