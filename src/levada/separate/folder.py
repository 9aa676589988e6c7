"""A folder of recordings, taken apart one after the other: a folder of files each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from levada import audio
from levada.errors import InputError
from levada.files import claim_folder, remove
from levada.separate.masking import Separator
from levada.separate.recording import SUFFIXES, outputs, separate_file

__all__ = ["FolderStems", "separate_folder"]

RUN = "levada-run.json"


@dataclass(frozen=True)
class FolderStems:
    """What came of the recordings of a folder.

    Parameters
    ----------
    written : tuple of Path
        Folders of stems that are new.
    kept : tuple of Path
        Those that were there before.
    failed : mapping
        Recordings that could not be taken apart, and why.
    """

    written: tuple[Path, ...]
    kept: tuple[Path, ...]
    failed: Mapping[Path, str]


def separate_folder(
    folder: str | Path,
    separator: Separator,
    out: str | Path,
    *,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    force: bool = False,
    progress: Callable[[int, int], None] | None = None,
    suffix: str | None = None,
) -> FolderStems:
    """Take apart every recording in a folder and the folders inside it; a killed run goes on where it was.

    Parameters
    ----------
    folder : path-like
    separator : Separator
    out : path-like
        Where a folder of stems is made for each recording, in folders like those of the recordings.
    only, without, suffix
        As in `separate_file`.
    force : bool
        Take apart again what has been before.
    progress : callable, optional
        Told how many seconds are done, and of how many, where these are known.

    Returns
    -------
    FolderStems

    Raises
    ------
    InputError
        If there is nothing to take apart, the separator does not know an instrument, or `out` is the folder itself,
        holds stems of another model or cannot be written.
    """
    root, out = Path(folder), Path(out)
    if not root.is_dir():
        raise InputError("there is no such folder", path=folder)
    if out.resolve() == root.resolve():
        raise InputError("holds the recordings: choose another folder for their stems", path=out)
    wanted = outputs(separator, only=only, without=without)
    recordings = _recordings(root, out)
    targets = _targets(recordings, root, out)
    files = [target / (name + ending) for target in targets.values() for name in wanted for ending in SUFFIXES]
    claim_folder(
        out,
        {"model": separator.name, "identity": separator.identity},
        manifest=RUN,
        holds="stems",
        clear=lambda _: remove(files),
        inputs={path.relative_to(root).as_posix(): digest for path, digest in audio.content_hashes(recordings).items()},
        is_done=lambda name: _is_whole(targets[root / name], wanted, suffix),
        outputs=files,
        force=force,
    )
    kept = [] if force else [path for path in recordings if _is_whole(targets[path], wanted, suffix)]
    todo = [path for path in recordings if path not in kept]
    failed: dict[Path, str] = {}
    lengths = {path: _length_s(path) for path in todo} if progress is not None else {}
    done_s, total_s = 0, sum(lengths.values())
    for path in todo:
        tell = None
        if progress is not None:
            tell = _after(progress, done_s, total_s)
            done_s += lengths[path]
        try:
            targets[path].parent.mkdir(parents=True, exist_ok=True)
            separate_file(
                path, separator, targets[path], only=only, without=without, force=True, progress=tell, suffix=suffix
            )
        except InputError as error:
            failed[path] = str(error)
        except OSError as error:
            failed[path] = f"{path}: {error}"
    new = tuple(targets[path] for path in todo if path not in failed)
    return FolderStems(new, tuple(targets[path] for path in kept), failed)


def _recordings(root: Path, out: Path) -> list[Path]:
    found = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() in audio.SUFFIXES and path.is_file()
        if not any(part.startswith(".") for part in path.relative_to(root).parts)
        if not any(folder.suffix == ".stems" for folder in path.relative_to(root).parents)  # parts of a recording
        if not path.resolve().is_relative_to(out.resolve())
    )
    if not found:
        raise InputError(f"holds no recordings ({', '.join(sorted(audio.SUFFIXES))})", path=root)
    return found


def _targets(recordings: Sequence[Path], root: Path, out: Path) -> dict[Path, Path]:
    """A folder for each; recordings that differ in their suffix alone keep it."""
    alike = Counter(path.with_suffix("") for path in recordings)
    names = {path: path if alike[path.with_suffix("")] > 1 else path.with_suffix("") for path in recordings}
    return {path: out / name.relative_to(root) for path, name in names.items()}


def _is_whole(target: Path, wanted: Mapping[str, tuple[str, ...]], suffix: str | None) -> bool:
    """Whether all its files are there; each is whole if it is."""
    endings = SUFFIXES if suffix is None else (f".{suffix.lower().removeprefix('.')}",)
    return any(all((target / (name + ending)).is_file() for name in wanted) for ending in endings)


def _length_s(path: Path) -> int:
    try:
        return round(audio.info(path).duration_s)
    except InputError:
        return 0  # it is said when its turn comes


def _after(progress: Callable[[int, int], None], before_s: int, total_s: int) -> Callable[[int, int], None]:
    return lambda done, _: progress(min(total_s, before_s + done), total_s)
