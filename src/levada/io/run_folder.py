"""Output folders of commands that process many items: a lock, and a manifest of every file written.

A folder of beats, stems, rendered recordings or mixtures is filled item by item by a command that may be killed and
started again. `RunFolder` gives all of these a lock, so that one process writes at a time, and a manifest (`MANIFEST`,
JSON lines, append-only) with the input, configuration, date and file hashes of every item. **A file is replaced only
if the manifest lists it and it is unchanged**: files that a person edited or added are never overwritten or removed.

>>> with RunFolder.acquire("out", kind="beats", config={"model": "base"}) as folder:    # doctest: +SKIP
...     for recording in recordings:
...         if not folder.is_done(recording.name, source=recording):
...             with folder.writing(recording.name, source=recording) as temporary:
...                 write_beats(temporary / "song.beats", beats)
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from levada.errors import InputError
from levada.io.files import (
    HOLDER,
    LOCK,
    check_not_link,
    check_parent_folder,
    config_differences,
    lock_folder,
    remove_paths,
    temporary_path,
    utc_now,
    wrap_errors,
)
from levada.io.tables import join_names
from levada.version import __version__

__all__ = ["MANIFEST", "Entry", "RunFolder", "config_digest", "sha256_of", "unchanged_files", "working_folder"]

MANIFEST = "levada-manifest.jsonl"
FORMAT = 1
DONE, FAILED, WRITING, REMOVED = "done", "failed", "writing", "removed"


@dataclass(frozen=True)
class Entry:
    """The result of one item.

    Parameters
    ----------
    item : str
        Relative path of a recording, or a name.
    status : {"done", "failed", "writing", "removed"}
    config : str
        Digest of the configuration (`config_digest`).
    source : mapping
        State of the input file: ``sha256``, and ``size`` and ``mtime_ns``, which detect an unchanged file without
        reading it. Empty without an input, or for one that cannot be read.
    files : mapping of str to mapping
        State of each output file, by its relative path.
    error : str
        Reason of a failure.
    version : str
        Version of levada.
    date : str
        Date of completion: ISO 8601, UTC.
    facts : mapping
        Numbers and texts about the result, for tables.
    """

    item: str
    status: str
    config: str
    source: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    error: str = ""
    version: str = __version__
    date: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)


class RunFolder:
    """An output folder locked by this process; see `acquire`.

    Parameters
    ----------
    path : Path
    kind : str
        Kind of its content: "beats", "stems", "rendered recordings" …
    is_continued : bool
        Whether an earlier run of the same configuration wrote to it.
    config : str
        Digest of the configuration of this run.
    entries : iterable of Entry
        Entries of the manifest, in order; the attribute maps each item to its newest entry.
    """

    def __init__(self, path: Path, kind: str, config: str, entries: Iterable[Entry] = ()) -> None:
        self.path, self.kind, self.config, self.entries = path, kind, config, dict[str, Entry]()
        self.is_continued = False
        self._written: dict[str, list[Mapping[str, Any]]] = {}  # every state in which levada wrote a file
        for entry in entries:
            self._remember(entry)

    @classmethod
    @contextmanager
    def acquire(
        cls,
        path: str | Path,
        *,
        kind: str,
        config: Mapping[str, Any],
        about: Mapping[str, Any] | None = None,
        shared: bool = False,
        advice: str = "name another folder, or --force to replace them one by one",
        force: bool = False,
    ) -> Iterator[RunFolder]:
        """Lock an output folder, which is created if it does not exist.

        Parameters
        ----------
        path : path-like
        kind : str
            Kind of its content.
        config : mapping
            Everything that determines the results, as JSON: model, its digest, settings. An interrupted run continues
            in one of the same configuration.
        about : mapping, optional
            Further information that does not affect the results, such as the name of a model.
        shared : bool
            Whether a folder without a manifest may hold other files, which are kept.
        advice : str
            Advice of the message about files of another configuration.
        force : bool
            Whether files of another configuration in the manifest may be replaced, one by one.

        Yields
        ------
        RunFolder

        Raises
        ------
        InputError
            If another process holds the lock; the folder has files and no manifest, another kind of content, or files
            of another configuration and `force` is not given; or it cannot be created or written.
        """
        folder = Path(path)
        if folder.exists() and not folder.is_dir():
            raise InputError("is a file: give the name of a folder", path=path)
        check_parent_folder(path)
        with wrap_errors(folder, *folder.parents):
            folder.mkdir(parents=True, exist_ok=True)
        if not shared and not (folder / MANIFEST).exists() and _is_in_use(folder):
            raise InputError(
                f"is not empty and was not made by levada (there is no {MANIFEST} in it); name a new folder", path=path
            )
        with lock_folder(folder):
            header, entries = _read_manifest(folder)
            config = {**config, "levada": __version__}
            digest = config_digest(config)
            if header is not None and header["kind"] != kind:
                raise InputError(f"holds {header['kind']}, not {kind}; name another folder", path=path)
            if header is not None and header["digest"] != digest and not force:
                what = join_names(config_differences(header["config"], json.loads(_canonical(config))))
                raise InputError(
                    f"holds {kind} of a run that differs in {what}; {advice}",
                    path=path,
                )
            found = cls(folder, kind, digest, entries)
            found.is_continued = header is not None and header["digest"] == digest
            if not found.is_continued:
                row = {"format": FORMAT, "kind": kind, "digest": digest, "config": config, "about": dict(about or {})}
                found._append(row)
            yield found

    def is_done(self, item: str, *, source: Path | None = None) -> bool:
        """Whether an item is done: same configuration, unchanged input, existing files.

        Parameters
        ----------
        item : str
        source : Path, optional
            Its input file.
        """
        entry = self.entries.get(item)
        return (
            entry is not None
            and (entry.status, entry.config) == (DONE, self.config)
            and (source is None or _is_unchanged(source, entry.source))
            and all((self.path / name).is_file() for name in entry.files)
        )

    def edited(self, item: str) -> list[str]:
        """Return the files of an item that were changed since they were written."""
        entry = self.entries.get(item)
        files = {} if entry is None else entry.files
        return [name for name in files if (self.path / name).exists() and not self._is_unedited(name)]

    def need_replaceable(self, names: Iterable[str]) -> None:
        """Refuse to overwrite files that are not in the manifest, or were changed since.

        Raises
        ------
        InputError
            Naming the first such file.
        """
        for name in names:
            target = self.path / name
            if not os.path.lexists(target) or self._is_unedited(name):
                continue
            if name in self._written:
                raise InputError("was changed after levada wrote it, and is kept; move it away", path=target)
            raise InputError("exists, was not written by levada, and is kept; move it away", path=target)

    @contextmanager
    def writing(
        self, item: str, *, source: Path | None = None, facts: Mapping[str, Any] | None = None
    ) -> Iterator[Path]:
        """Open a temporary folder whose files become the files of an item.

        Unchanged files of an earlier run of the item that are not written again are removed.

        Parameters
        ----------
        item : str
        source : Path, optional
            Its input file.
        facts : mapping, optional
            Numbers and texts about the result; the block may add to it.

        Yields
        ------
        temporary : Path
            Folder for the files, at the relative paths that they will have.

        Raises
        ------
        InputError
            If a file would replace one that must be kept, or cannot be written; then nothing is changed.
        """
        temporary, state = temporary_path(self.path / "item"), _state_or_none(source)
        with wrap_errors(self.path, temporary):
            try:
                temporary.mkdir()
                yield temporary
                names = sorted(
                    file.relative_to(temporary).as_posix() for file in temporary.rglob("*") if file.is_file()
                )
                self.need_replaceable(names)
                before = self.entries.get(item)
                files = {name: _state(temporary / name) for name in names}
                self._record(Entry(item, WRITING, self.config, state, files, date=utc_now()))  # a kill may follow
                for name in names:
                    target = self.path / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    os.replace(temporary / name, target)
                for name in set() if before is None else set(before.files) - set(names):
                    self._unlink(name)
                self._record(Entry(item, DONE, self.config, state, files, date=utc_now(), facts=dict(facts or {})))
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def fail(self, item: str, error: str, *, source: Path | None = None) -> None:
        """Record that an item failed; files of an earlier run stay in the folder and in the manifest."""
        before = self.entries.get(item)
        files = {} if before is None else before.files
        self._record(Entry(item, FAILED, self.config, _state_or_none(source), files, error, date=utc_now()))

    def remove(self, item: str) -> list[str]:
        """Remove the unchanged files of an item.

        Returns
        -------
        list of str
            Changed files, which are kept.
        """
        names = self.entries[item].files if item in self.entries else {}
        for name in names:
            self._unlink(name)
        self._record(Entry(item, REMOVED, self.config, date=utc_now()))
        return [name for name in names if (self.path / name).exists()]

    def remove_others(self, items: Iterable[str]) -> None:
        """Remove the unchanged files of all other items."""
        for item in set(self.entries) - set(items):
            if self.entries[item].status != REMOVED:
                self.remove(item)

    def write_text(self, name: str, text: str) -> None:
        """Write a text file about the folder, unless a person changed or added it."""
        target = self.path / name
        if os.path.lexists(target) and not self._is_unedited(name):
            return
        with self.writing(name) as temporary:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_text(text, encoding="utf-8")

    def _unlink(self, name: str) -> None:
        """Remove a file if it is unchanged, and folders that become empty."""
        if self._is_unedited(name):
            (self.path / name).unlink()
            for parent in list(PurePosixPath(name).parents)[:-1]:
                with suppress(OSError):  # not empty
                    (self.path / parent).rmdir()

    def _is_unedited(self, name: str) -> bool:
        """Whether a file is as levada wrote it, and not reached by a symbolic link."""
        if any((self.path / parent).is_symlink() for parent in list(PurePosixPath(name).parents)[:-1]):
            return False
        return any(_is_unchanged(self.path / name, state) for state in self._written.get(name, ()))

    def _record(self, entry: Entry) -> None:
        self._append(asdict(entry))
        self._remember(entry)

    def _remember(self, entry: Entry) -> None:
        self.entries[entry.item] = entry
        for name, state in entry.files.items():
            if state not in self._written.setdefault(name, []):
                self._written[name].append(state)

    def _append(self, line: Mapping[str, Any]) -> None:
        path = self.path / MANIFEST
        with wrap_errors(path), path.open("ab") as file:
            file.write(_canonical(line).encode("utf-8", "backslashreplace") + b"\n")


@contextmanager
def working_folder(path: str | Path, *, run: Mapping[str, Any], force: bool = False) -> Iterator[Path]:
    """Lock a folder for intermediate results; it is removed if the block succeeds.

    Parameters
    ----------
    path : path-like
    run : mapping
        Everything that determines the result, as JSON. An unfinished run of the same configuration is continued.
    force : bool
        Whether unfinished results of another run may be removed.

    Yields
    ------
    Path
        The folder, with the results of an interrupted run or only the manifest.

    Raises
    ------
    InputError
        As of `RunFolder.acquire`.
    """
    check_not_link(path)
    advice = "repeat that command to finish it, or --force to discard it"
    with RunFolder.acquire(path, kind="unfinished work", config=run, advice=advice, force=force) as held:
        if not held.is_continued:
            remove_paths(file for file in held.path.iterdir() if file.name not in (MANIFEST, LOCK, HOLDER))
        yield held.path
    shutil.rmtree(path)


def config_digest(config: Mapping[str, Any]) -> str:
    """Return a digest of a configuration: 16 hexadecimal digits.

    Examples
    --------
    >>> config_digest({"model": "base", "steps": 3}) == config_digest({"steps": 3, "model": "base"})
    True
    """
    return hashlib.sha256(_canonical(config).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def sha256_of(path: str | Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _is_in_use(folder: Path) -> bool:
    return any(not file.name.startswith(".levada-") for file in folder.iterdir())


def _read_manifest(folder: Path) -> tuple[dict[str, Any] | None, list[Entry]]:
    """Return the last header and all entries; a last line that was not completed is removed."""
    path = folder / MANIFEST
    if not path.exists():
        return None, []
    header, entries = None, list[Entry]()
    with wrap_errors(path):
        content = path.read_bytes()
    lines = content.splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            if "kind" in row:
                header = {key: row[key] for key in ("kind", "digest", "config")}
            else:
                entries.append(_confined(Entry(**row)))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if number == len(lines) and not content.endswith(b"\n"):
                path.write_bytes(content[: content.rfind(b"\n") + 1])  # so that the next line is not joined to it
                break
            raise InputError(f"is damaged ({error}): move it away", path=path, line=number) from None
    return header, entries


def unchanged_files(folder: Path, *, kind: str) -> set[Path]:
    """Return the files of a folder that are in its manifest and unchanged.

    Parameters
    ----------
    folder : Path
    kind : str
        Kind of content, as in `RunFolder.acquire`; a folder of another kind gives an empty set.

    Raises
    ------
    InputError
        If the manifest is damaged.
    """
    header, entries = _read_manifest(folder)
    if header is None or header["kind"] != kind:
        return set()
    states = {folder / name: state for entry in entries for name, state in entry.files.items()}  # the newest of each
    return {path for path, state in states.items() if _is_unchanged(path, state)}


def _confined(entry: Entry) -> Entry:
    """Check that all files of an entry lie inside the folder, as a manifest is untrusted input."""
    for name in entry.files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{name!r} is outside the folder")
    return entry


def _state(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {"sha256": sha256_of(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _state_or_none(path: Path | None) -> dict[str, Any]:
    """Return the state of an input; empty without one, or for one that cannot be read."""
    with suppress(OSError):
        return {} if path is None else _state(path)
    return {}


def _is_unchanged(path: Path, state: Mapping[str, Any]) -> bool:
    """Whether a file is unchanged: the same size and time, or the same content."""
    try:
        now = path.stat()
    except OSError:
        return False
    if not state or not path.is_file() or now.st_size != state["size"]:
        return False
    return bool(now.st_mtime_ns == state["mtime_ns"] or sha256_of(path) == state["sha256"])


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
