"""Files that are either whole or not there.

Everything this project writes is written under a temporary name in the same folder and renamed when it is
complete, so that neither a crash nor a full disk leaves half a file behind, and nothing is overwritten unless
the user asked for it.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import socket
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from levada.errors import InputError, MissingExtra

__all__ = [
    "HOLDER",
    "LOCK",
    "atomic_file",
    "atomic_files",
    "atomic_folder",
    "check_can_write",
    "check_not_link",
    "check_parent_folder",
    "check_writable",
    "config_differences",
    "lock_folder",
    "read_midi",
    "remove_paths",
    "temporary_path",
    "utc_now",
    "wrap_errors",
]  # fmt: skip

SHORT = 40  # characters of a value up to which a message has it
TEMPORARY = ".levada-"
LOCK, HOLDER = ".levada-lock", ".levada-holder.json"

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed here",
    errno.EACCES: "you may not write in this folder",
    errno.EPERM: "you may not write in this folder",
    errno.EROFS: "this disk can only be read",
    errno.ENAMETOOLONG: "the name is too long",
}


@contextmanager
def atomic_file(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    r"""Lend a temporary path with the same suffix that becomes `path` if the block succeeds.

    Parameters
    ----------
    path : path-like
        The file to write. A symbolic link is followed. Folders that it is to lie in are made.
    force : bool
        Whether a file that exists may be replaced.

    Yields
    ------
    temporary : Path
        An empty file in the same folder; write to it and close it inside the block.

    Raises
    ------
    InputError
        If the file exists and `force` is not given, its folder cannot be made or written, or the disk is full.
        Whatever is raised, the temporary file is removed and a previous file is untouched.

    Examples
    --------
    >>> with atomic("song.beats") as temporary:        # doctest: +SKIP
    ...     temporary.write_text("0.5\t1\n")
    """
    target = Path(os.path.realpath(path))
    temporary = temporary_path(target)
    with wrap_errors(path, target, temporary), ExitStack() as stack:
        _refuse(path, target, force=force)
        stack.enter_context(_parents(path))
        try:
            temporary.touch(exist_ok=False)
            yield temporary
            _refuse(path, target, force=force)
            os.replace(temporary, target)
        finally:
            temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | Path, *, marker: str, force: bool = False) -> Iterator[Path]:
    """Lend a temporary folder that becomes `path` as a whole if the block succeeds.

    Parameters
    ----------
    path : path-like
        The folder to write. It may exist if it is empty. Folders that it is to lie in are made.
    marker : str
        Name of a file that every folder of this kind contains. With `force`, a folder is replaced only if it
        contains such a file, so that no mistyped output costs anybody a folder of something else.
    force : bool
        Whether a folder of the same kind may be replaced.

    Yields
    ------
    temporary : Path
        An empty folder in the same parent.

    Raises
    ------
    InputError
        As for `atomic_file`, and if `force` would replace a folder of another kind, or one that is only linked here.
    """
    target = Path(os.path.realpath(path))
    temporary = temporary_path(target)
    with wrap_errors(path, target, temporary), ExitStack() as stack:
        _refuse_folder(path, target, marker=marker, force=force)
        stack.enter_context(_parents(path))
        try:
            temporary.mkdir()
            yield temporary
            _refuse_folder(path, target, marker=marker, force=force)
            _swap(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextmanager
def atomic_files(
    path: str | Path, names: Collection[str], *, source: Path | None = None, force: bool = False
) -> Iterator[Path]:
    """Lend a temporary folder; the files made in it appear in `path` if the block succeeds.

    Parameters
    ----------
    path : path-like
        The folder the files go to. It is made, as a whole, if it does not exist; others in it stay as they are.
    names : collection of str
        Of all the files that the block makes.
    source : Path, optional
        A file that is not replaced whatever is asked for: what the others are made of.
    force : bool
        Whether files that exist may be replaced.

    Yields
    ------
    temporary : Path
        An empty folder on the same disk.

    Raises
    ------
    InputError
        As for `atomic_file`, for any of the files.
    """
    target = Path(os.path.realpath(path))
    inside = target / ".levada"
    temporary = temporary_path(inside if target.is_dir() else target)
    with wrap_errors(path, target, temporary), ExitStack() as stack:
        check_can_write(path, names, source=source, force=force)
        stack.enter_context(_parents(path))
        try:
            temporary.mkdir()
            yield temporary
            check_can_write(path, names, source=source, force=force)
            if not target.exists():
                temporary.rename(target)
                return
            for name in names:
                os.replace(temporary / name, target / name)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def check_can_write(
    path: str | Path, names: Collection[str], *, source: Path | None = None, force: bool = False
) -> None:
    """Refuse what `atomic_files` would refuse, before any time is spent.

    Raises
    ------
    InputError
        As for `atomic_files`.
    """
    target = Path(os.path.realpath(path))
    check_parent_folder(path)
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError("is a file: give the name of a folder", path=path)
    for name in names:
        if source is not None and (target / name).exists() and (target / name).samefile(source):
            raise InputError("is what is read here, and would be lost; choose another folder", path=Path(path) / name)
        _refuse(Path(path) / name, target / name, force=force)


def remove_paths(paths: Iterable[Path]) -> None:
    """Remove files, and folders with all that is in them, where they exist."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def read_midi(path: str | Path, *, purpose: str, missing: str = "there is no such file") -> Any:
    """Read a MIDI file.

    Parameters
    ----------
    path : path-like
    purpose : str
        What it is read for, completing "mido is needed to …".
    missing : str
        What is said where there is no such file.

    Returns
    -------
    mido.MidiFile

    Raises
    ------
    InputError
        If it cannot be read.
    MissingExtra
        If mido is not installed.
    """
    try:
        import mido
    except ImportError:
        raise MissingExtra("mido", extra="midi", purpose=purpose) from None
    try:
        return mido.MidiFile(path)
    except FileNotFoundError:
        raise InputError(missing, path=path) from None
    except (OSError, EOFError, ValueError, LookupError, mido.midifiles.meta.KeySignatureError) as error:
        raise InputError(f"is no MIDI file that can be read: {error or type(error).__name__}", path=path) from None


def config_differences(theirs: Any, ours: Any, name: str = "") -> list[str]:
    """Name the entries in which two manifests differ, dotted, with their values where these are short."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        keys = sorted({*theirs, *ours})
        return [found for key in keys for found in config_differences(theirs.get(key), ours.get(key), f"{name}.{key}")]
    if theirs == ours:
        return []
    values = [json.dumps(value, ensure_ascii=False, default=str) for value in (theirs, ours)]
    is_short = all(len(value) <= SHORT and not re.fullmatch(r'"[0-9a-f]{16,}"', value) for value in values)
    return [(name.removeprefix(".") or "everything") + (f" ({values[0]} there, {values[1]} now)" if is_short else "")]


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder for the time of a block; the lock of a process that is gone counts for nothing.

    Raises
    ------
    InputError
        If another process holds it; says which one, on which machine.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(folder / LOCK, timeout=0)
    with wrap_errors(folder, folder / LOCK):
        try:
            lock.acquire()
        except Timeout:
            raise InputError(
                f"another process writes to this folder ({_holder(folder)}); wait for it, or name another folder",
                path=folder,
            ) from None
    try:
        me = {"pid": os.getpid(), "host": socket.gethostname(), "since": utc_now()}
        with suppress(OSError):
            (folder / HOLDER).write_text(json.dumps(me), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            (folder / HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(folder: Path) -> str:
    try:
        holder = json.loads((folder / HOLDER).read_text(encoding="utf-8"))
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "it does not say which"


def utc_now() -> str:
    """Return date and time of day: ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def temporary_path(target: Path) -> Path:
    """A name beside a file or folder, to write it under until it is whole.

    The name has this process in it. Those of processes of this machine that are gone are removed on the way: they were
    killed. What another machine is writing on a shared disk is left alone.
    """
    _remove_leftovers(target.parent)
    return target.with_name(f"{TEMPORARY}{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}{target.suffix[:16]}")


@lru_cache(maxsize=1024)
def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders of processes of this machine that are gone; once a folder and process."""
    for leftover in folder.glob(f"{TEMPORARY}{_host()}-*"):
        found = re.match(rf"{re.escape(TEMPORARY)}{_host()}-(\d+)-", leftover.name)
        if found and not _is_alive(int(found[1])):
            with suppress(OSError):
                remove_paths([leftover])


@lru_cache(maxsize=1)
def _host() -> str:
    """What tells this machine apart, with the space of process numbers where there are several (containers)."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:8]


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # where asking would end it
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _refuse(path: str | Path, target: Path, *, force: bool) -> None:
    check_parent_folder(path)
    if target.is_dir():
        raise InputError("is a folder: give the name of a file", path=path)
    if target.exists() and not target.is_file():
        raise InputError("is not an ordinary file and would be destroyed by writing to it", path=path)
    if target.exists() and not force:
        raise InputError("exists already; give another name, or --force to overwrite it", path=path)


def _refuse_folder(path: str | Path, target: Path, *, marker: str, force: bool) -> None:
    check_parent_folder(path)
    if not target.exists():
        return
    if not target.is_dir():
        raise InputError("is a file: give the name of a folder", path=path)
    if not any(target.iterdir()):
        return
    if not (target / marker).is_file():
        raise InputError(f"holds something else (there is no {marker} in it); give another name", path=path)
    if not force:
        raise InputError("exists already; give another name, or --force to replace it", path=path)
    check_not_link(path)


def check_not_link(path: str | Path) -> None:
    """Refuse a link to a folder whose content would be removed: what it points to may be another's.

    Raises
    ------
    InputError
    """
    if Path(path).is_symlink():
        target = os.path.realpath(path)
        raise InputError(
            f"is a link, and the folder that it points to is not replaced; name {target}, or remove the link", path=path
        )


def check_writable(path: str | Path) -> None:
    """Refuse a file that cannot be written: try it, with an empty one that is removed.

    Raises
    ------
    InputError
    """
    target = Path(os.path.realpath(path))
    folder = _existing(target.parent)
    temporary = temporary_path(folder / target.name)
    with wrap_errors(path, *(folder / part for part in target.relative_to(folder).parts), temporary):
        for part in target.relative_to(folder).parts:
            with suppress(FileNotFoundError):
                (folder / part).lstat()  # which fails for a name that is too long
        temporary.touch(exist_ok=False)
        temporary.unlink()


def check_parent_folder(path: str | Path) -> None:
    """Refuse a path below a file: no folder can be made there.

    Raises
    ------
    InputError
    """
    existing = _existing(Path(os.path.realpath(path)).parent)
    if not existing.is_dir():
        raise InputError(f"cannot be made: {existing} is a file, not a folder", path=path)


@contextmanager
def _parents(path: str | Path) -> Iterator[None]:
    """Make the folders that a path lies in; those that were made are removed if the block fails."""
    folder = Path(os.path.realpath(path)).parent
    missing = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    try:
        with wrap_errors(path, folder, *folder.parents):
            folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for one in missing:
            with suppress(OSError):  # not empty, or never made
                one.rmdir()
        raise


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that there is."""
    return next(one for one in (folder, *folder.parents) if os.path.lexists(one))


@contextmanager
def wrap_errors(path: str | Path, *parts: Path) -> Iterator[None]:
    """Turn an `OSError` about a file into an `InputError` in the user's words.

    Parameters
    ----------
    path : path-like
        What the user wants written, as the message names it.
    *parts : Path
        Files and folders that are a part of it; errors about others pass.

    Raises
    ------
    InputError
        Where the system says why `path` cannot be written.
    """
    ours = {Path(path), *parts}
    try:
        yield
    except OSError as error:
        about = None if error.filename is None else Path(error.filename)
        if error.errno is None or not (about is None or about in ours or ours & set(about.parents)):
            raise
        reason = _REASONS.get(error.errno, error.strerror or str(error))
        raise InputError(f"could not be written: {reason}", path=path) from error


def _swap(temporary: Path, target: Path) -> None:
    """Move `temporary` to `target`; a folder that was there is put aside first and back if that fails."""
    if not target.exists():
        temporary.rename(target)
        return
    aside = temporary_path(target)
    target.rename(aside)
    try:
        temporary.rename(target)
    except OSError:
        aside.rename(target)
        raise
    shutil.rmtree(aside, ignore_errors=True)
