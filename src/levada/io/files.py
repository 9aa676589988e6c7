"""Atomic files and folders, folder locks, and checks before writing.

Every output is written under a temporary name in the same folder and renamed when it is complete: a crash or a full
disk leaves no partial file, and nothing is overwritten without `force`.
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
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from levada.errors import InputError, MissingExtra, os_error_text

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
    "is_on_network",
    "lock_folder",
    "read_midi",
    "remove_paths",
    "temporary_path",
    "utc_now",
    "wrap_errors",
]  # fmt: skip

SHORT = 40  # characters of a value up to which a message has it
TEMPORARY = ".levada-"
MOUNTS = "/proc/self/mounts"
NETWORK_DISKS = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "sshfs", "afs", "ceph", "9p", "davfs", "rclone", "glusterfs", "lustre"}
)
LOCK, HOLDER = ".levada-lock", ".levada-holder.json"

_FOLDER = dict.fromkeys((errno.EACCES, errno.EPERM), "you may not write in this folder")


@contextmanager
def atomic_file(path: str | Path, *, force: bool = False) -> Iterator[Path]:
    r"""Open a temporary path that is renamed to `path` if the block succeeds.

    Parameters
    ----------
    path : path-like
        The file to write. A symbolic link is followed. Missing parent folders are created.
    force : bool
        Whether a file that exists may be replaced.

    Yields
    ------
    temporary : Path
        An empty file in the same folder; write to it and close it inside the block.

    Raises
    ------
    InputError
        If the file exists and `force` is not given, its folder cannot be created or written, or the disk is full.
        After any error the temporary file is removed, and an existing file is unchanged.

    Examples
    --------
    >>> with atomic_file("song.beats") as temporary:        # doctest: +SKIP
    ...     temporary.write_text("0.5\t1\n")
    """
    target = Path(os.path.realpath(path))
    with _staged(
        path, target, temporary_path(target), lambda: _refuse(path, target, force=force),
        lambda temporary: os.replace(temporary, target),
    ) as temporary:  # fmt: skip
        temporary.touch(exist_ok=False)
        yield temporary


@contextmanager
def atomic_folder(path: str | Path, *, marker: str, force: bool = False) -> Iterator[Path]:
    """Open a temporary folder that is renamed to `path` if the block succeeds.

    Parameters
    ----------
    path : path-like
        The folder to write. It may exist if it is empty. Missing parent folders are created.
    marker : str
        Name of a file that every folder of this kind contains. With `force`, a folder is replaced only if it
        contains this file: a mistyped path cannot destroy other data.
    force : bool
        Whether a folder of the same kind may be replaced.

    Yields
    ------
    temporary : Path
        An empty folder in the same parent.

    Raises
    ------
    InputError
        As for `atomic_file`, and if `force` would replace a folder of another kind, or a symbolic link.
    """
    target = Path(os.path.realpath(path))
    with _staged(
        path, target, temporary_path(target), lambda: _refuse_folder(path, target, marker=marker, force=force),
        lambda temporary: _swap(temporary, target),
    ) as temporary:  # fmt: skip
        temporary.mkdir()
        yield temporary


@contextmanager
def atomic_files(
    path: str | Path, names: Collection[str], *, source: Path | None = None, force: bool = False
) -> Iterator[Path]:
    """Open a temporary folder whose files are moved to `path` if the block succeeds.

    Parameters
    ----------
    path : path-like
        The folder of the files; created if it does not exist. Other files in it are unchanged.
    names : collection of str
        Names of all files that the block writes.
    source : Path, optional
        The input file, which is never replaced.
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

    def publish(temporary: Path) -> None:
        if not target.exists():
            temporary.rename(target)
            return
        for name in names:
            os.replace(temporary / name, target / name)

    with _staged(
        path, target, temporary_path(target / ".levada" if target.is_dir() else target),
        lambda: check_can_write(path, names, source=source, force=force), publish,
    ) as temporary:  # fmt: skip
        temporary.mkdir()
        yield temporary


@contextmanager
def _staged(
    path: str | Path, target: Path, temporary: Path, check: Callable[[], None], publish: Callable[[Path], None]
) -> Iterator[Path]:
    """Check that a target may be written, lend a temporary path, and publish it if the block succeeds."""
    with wrap_errors(path, target, temporary), ExitStack() as stack:
        check()
        stack.enter_context(_parents(path))
        try:
            yield temporary
            check()
            publish(temporary)
        finally:
            with suppress(OSError):
                remove_paths([temporary])


def check_can_write(
    path: str | Path, names: Collection[str], *, source: Path | None = None, force: bool = False
) -> None:
    """Check early whether `atomic_files` could write.

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
            raise InputError("is the input and would be overwritten; choose another folder", path=Path(path) / name)
        _refuse(Path(path) / name, target / name, force=force)


def remove_paths(paths: Iterable[Path]) -> None:
    """Remove files, and folders with their content, where they exist."""
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
        Why it is read, completing "mido is needed to …".
    missing : str
        Message for a missing file.

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
        raise InputError(f"cannot be read as MIDI: {error or type(error).__name__}", path=path) from None


def config_differences(existing: Any, new: Any, name: str = "") -> list[str]:
    """List the dotted names of entries in which two configurations differ, with short values."""
    if isinstance(existing, dict) and isinstance(new, dict):
        keys = sorted({*existing, *new})
        return [one for key in keys for one in config_differences(existing.get(key), new.get(key), f"{name}.{key}")]
    if existing == new:
        return []
    values = [json.dumps(value, ensure_ascii=False, default=str) for value in (existing, new)]
    is_short = all(len(value) <= SHORT and not re.fullmatch(r'"[0-9a-f]{16,}"', value) for value in values)
    return [(name.removeprefix(".") or "everything") + (f" ({values[0]} before, {values[1]} now)" if is_short else "")]


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; the lock of a process that has ended does not count.

    Raises
    ------
    InputError
        If another process holds it; the message names process and host.
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
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": utc_now()}
        with suppress(OSError):
            (folder / HOLDER).write_text(json.dumps(holder), encoding="utf-8")
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
        return "unknown"


def utc_now() -> str:
    """Return the current date and time: ISO 8601, UTC."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def is_on_network(path: str | Path, *, mounts: str | Path = MOUNTS) -> bool:
    r"""Whether a folder is on a disk of another machine, where locks and shared memory cannot be relied on.

    Parameters
    ----------
    path : path-like
        It exists.
    mounts : path-like
        The system's table of disks; where there is none, as on Windows, only addresses such as ``\\server\share``
        are recognised.

    Returns
    -------
    bool
    """
    place = Path(path).resolve()
    if place.drive.startswith("\\\\"):
        return True
    try:
        rows = [line.split() for line in Path(mounts).read_text(encoding="utf-8", errors="replace").splitlines()]
    except OSError:
        return False
    kinds = {Path(row[1].replace("\\040", " ")): row[2] for row in rows if len(row) > 2}  # the last one mounted counts
    kind = next((kinds[folder] for folder in (place, *place.parents) if folder in kinds), "")
    return kind.removeprefix("fuse.") in NETWORK_DISKS


def temporary_path(target: Path) -> Path:
    """Return a temporary name in the folder of a file or folder.

    The name holds host and process. Temporary files of killed processes of this host are removed on the way; those of
    other hosts on a shared disk are kept.
    """
    _remove_leftovers(target.parent)
    return target.with_name(f"{TEMPORARY}{_host()}-{os.getpid()}-{uuid.uuid4().hex[:8]}{target.suffix[:16]}")


@lru_cache(maxsize=1024)
def _remove_leftovers(folder: Path) -> None:
    """Remove temporary files of processes of this host that have ended; once per folder and process."""
    for leftover in folder.glob(f"{TEMPORARY}{_host()}-*"):
        found = re.match(rf"{re.escape(TEMPORARY)}{_host()}-(\d+)-", leftover.name)
        if found and not _is_alive(int(found[1])):
            with suppress(OSError):
                remove_paths([leftover])


@lru_cache(maxsize=1)
def _host() -> str:
    """Return an identifier of this host and, in containers, of the PID namespace."""
    space = ""
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid")
    return hashlib.sha256(f"{socket.gethostname()} {space}".encode()).hexdigest()[:8]


def _is_alive(pid: int) -> bool:
    if os.name == "nt":  # where os.kill would end the process
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
        raise InputError("is not an ordinary file and cannot be replaced", path=path)
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
        raise InputError(f"holds other files (there is no {marker} in it); give another name", path=path)
    if not force:
        raise InputError("exists already; give another name, or --force to replace it", path=path)
    check_not_link(path)


def check_not_link(path: str | Path) -> None:
    """Refuse a symbolic link to a folder whose content would be removed.

    Raises
    ------
    InputError
    """
    if Path(path).is_symlink():
        target = os.path.realpath(path)
        raise InputError(f"is a link, and its target is not replaced; name {target}, or remove the link", path=path)


def check_writable(path: str | Path) -> None:
    """Check that a file can be written, by creating and removing an empty one.

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
    """Refuse a path below a file.

    Raises
    ------
    InputError
    """
    existing = _existing(Path(os.path.realpath(path)).parent)
    if not existing.is_dir():
        raise InputError(f"cannot be created: {existing} is a file, not a folder", path=path)


@contextmanager
def _parents(path: str | Path) -> Iterator[None]:
    """Create missing parent folders; remove them again if the block fails."""
    folder = Path(os.path.realpath(path)).parent
    missing = [one for one in (folder, *folder.parents) if not os.path.lexists(one)]
    try:
        with wrap_errors(path, folder, *folder.parents):
            folder.mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for one in missing:
            with suppress(OSError):  # not empty, or not created
                one.rmdir()
        raise


def _existing(folder: Path) -> Path:
    """Return the folder, or its nearest parent that exists."""
    return next(one for one in (folder, *folder.parents) if os.path.lexists(one))


@contextmanager
def wrap_errors(path: str | Path, *parts: Path) -> Iterator[None]:
    """Convert an `OSError` about an output into an `InputError`.

    Parameters
    ----------
    path : path-like
        The output, as the message names it.
    *parts : Path
        Other files and folders of it; errors about any other path pass.

    Raises
    ------
    InputError
        In place of an `OSError` about `path`. One about a file in a temporary folder names the file that it would
        have become.
    """
    paths = {Path(path), *parts}
    try:
        yield
    except InputError as error:
        for part in parts:
            if error.path is not None and part.name.startswith(TEMPORARY) and Path(error.path).is_relative_to(part):
                raise InputError(error.problem, path=Path(path) / Path(error.path).relative_to(part)) from error
        raise
    except OSError as error:
        about = None if error.filename is None else Path(error.filename)
        if error.errno is None or not (about is None or about in paths or paths & set(about.parents)):
            raise
        reason = _FOLDER.get(error.errno) or os_error_text(error)
        raise InputError(f"could not be written: {reason}", path=path) from error


def _swap(temporary: Path, target: Path) -> None:
    """Rename `temporary` to `target`; an existing folder is renamed first, and back on failure."""
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
