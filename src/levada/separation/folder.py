"""Separate the recordings of a folder: a folder of stems for each recording."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from levada.errors import InputError
from levada.io import audio, workers
from levada.io.batch import BatchReport, Result, check_timeout, process_folder
from levada.separation.files import outputs, separate_file
from levada.separation.masking import SeparatorLike

__all__ = ["separate_folder"]


def separate_folder(
    folder: str | Path,
    separator: SeparatorLike,
    out: str | Path,
    *,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    levels: Mapping[str, float] | None = None,
    harder: bool = False,
    multichannel: bool = False,
    reaper: bool = False,
    active: bool = False,
    timeout_s: float | None = None,
    table: str | Path | None = None,
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
    suffix: str | None = None,
) -> BatchReport:
    """Separate every recording in a folder and its subfolders; an interrupted run is resumed.

    Parameters
    ----------
    folder : path-like
    separator : Separator
    out : path-like
        The folder of the results: a folder of stems for each recording, in the same subfolders.
    only, without, levels, harder, multichannel, reaper, active, suffix
        As in `separate_file`.
    timeout_s : float, optional
        A recording that takes longer is left out, and counts as failed. Each then has a process of its own.
    table : path-like, optional
        A file with a row for each recording (.csv, .jsonl), written even if interrupted.
    force : bool
        Separate again recordings that are already separated.
    progress : callable, optional
        Called with the seconds done and all seconds.

    Returns
    -------
    BatchReport
        As of `levada.io.batch.process_folder`.

    Raises
    ------
    InputError
        If there is no recording, the separator does not have an instrument, or `out` is the folder itself,
        holds stems of another model or cannot be written.
    """
    if Path(out).resolve() == Path(folder).resolve():
        raise InputError("holds the recordings: choose another folder for their stems", path=out)
    check_timeout(timeout_s)
    chosen: dict[str, Any] = {"only": only, "without": without, "levels": levels, "reaper": reaper}
    outputs(separator, **chosen)  # raises before any work is done
    chosen |= {"harder": harder, "multichannel": multichannel, "active": active, "suffix": suffix}

    def process(recordings: Sequence[Path]) -> Generator[tuple[Path, Result], None, None]:
        lengths = {path: _length_s(path) for path in recordings} if progress is not None else {}
        done_s, total_s = 0, sum(lengths.values())
        for path in recordings:
            update = None if progress is None else partial(_add_progress, progress, done_s, total_s)
            done_s += lengths.get(path, 0)
            if timeout_s is None:
                yield path, partial(separate_file, path, separator, progress=update, **chosen)
            else:
                yield path, partial(_separate_within, timeout_s, path, separator, chosen)
                if update is not None:
                    update(lengths[path], lengths[path])

    config = {"separator": separator.identity or separator.name, "suffix": suffix}
    parts = [f"only {name}" for name in sorted(only)] + [f"without {name}" for name in sorted(without)]
    parts += [f"{name} {level:+g} dB" for name, level in sorted((levels or {}).items())]
    options = {"harder": harder, "multichannel": multichannel, "reaper": reaper, "active": active}
    variant = " ".join(parts + [name for name, given in options.items() if given])
    about = {"model": separator.name, "digest": separator.identity}
    return process_folder(
        folder, out, process, kind="stems", config=config, about=about, variant=variant, table=table, force=force
    )


def _separate_within(
    timeout_s: float, path: Path, separator: SeparatorLike, chosen: Mapping[str, Any], folder: Path
) -> object:
    """Separate a recording into a folder in a process of its own, which is ended when it takes too long."""
    work = partial(_separate_into, separator, folder, chosen)
    ((_, result),) = workers.parallel_map(work, [path], processes=1, timeout_s=timeout_s)
    if isinstance(result, Exception):
        raise result
    return result


def _separate_into(separator: SeparatorLike, folder: Path, chosen: Mapping[str, Any], path: Path) -> object:
    return separate_file(path, separator, folder, **chosen)


def _length_s(path: Path) -> int:
    try:
        return round(audio.info(path).duration_s)
    except InputError:
        return 0  # reported when it is separated


def _add_progress(progress: Callable[[int, int], None], before_s: int, total_s: int, done_s: int, _: int) -> None:
    progress(min(total_s, before_s + done_s), total_s)
