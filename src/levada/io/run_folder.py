"""Output folders of commands that process many items: one writer at a time, and a manifest of every file written.

A folder of beats, of stems, of rendered recordings or of mixtures is filled item by item, perhaps over days, by a
command that may be killed. `RunFolder` is what all of these share: a lock, so that two processes never write to one
folder; a manifest (`MANIFEST`, JSON lines, only appended to), which says for each item what it was made from, by what,
when, and the hash of each file; and the rule that follows from it: **a file is replaced only if the manifest has it and
it is unchanged**. What a person edited or put there is never overwritten and never removed.

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

from levada import __version__
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

__all__ = ["MANIFEST", "Entry", "RunFolder", "config_digest", "sha256_of", "unchanged_files", "working_folder"]

MANIFEST = "levada-manifest.jsonl"
FORMAT = 1
SHOWN = 5  # differing entries up to which a message has them
DONE, FAILED, WRITING, REMOVED = "done", "failed", "writing", "removed"


@dataclass(frozen=True)
class Entry:
    """What became of one item.

    Parameters
    ----------
    item : str
        What was processed: the path of a recording inside its folder, or a name.
    status : {"done", "failed", "writing", "removed"}
    config : str
        Digest of all that decides the result (`config_digest`).
    source : mapping
        State of the input file: its ``sha256``, and ``size`` and ``mtime_ns``, by which an unchanged file is
        recognised without reading it. Empty where there is no input, or it cannot be read.
    files : mapping of str to mapping
        State of each file written, by its path inside the folder.
    error : str
        Why it failed.
    version : str
        Of levada.
    date : str
        When it was finished: ISO 8601, UTC.
    facts : mapping
        What is to be known of the result, for tables: numbers and texts.
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
    """An output folder that is held by this process; get one by `acquire`.

    Parameters
    ----------
    path : Path
    kind : str
        What it holds: "beats", "stems", "rendered recordings" …
    is_continued : bool
        Whether an earlier call of the same config wrote to it.
    config : str
        Digest of what decides the results of this run.
    entries : iterable of Entry
        What the manifest says, in its order; the attribute of this name has the newest entry of each item.
    """

    def __init__(self, path: Path, kind: str, config: str, entries: Iterable[Entry] = ()) -> None:
        self.path, self.kind, self.config, self.entries = path, kind, config, dict[str, Entry]()
        self.is_continued = False
        self._written: dict[str, list[Mapping[str, Any]]] = {}  # every state of a file that levada ever wrote
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
        """Take an output folder for the time of a block; it is made if it does not exist.

        Parameters
        ----------
        path : path-like
        kind : str
            What it is to hold.
        config : mapping
            All that decides the results, as JSON has it: model, its digest, settings. A run that was interrupted is
            continued by one of the same config.
        about : mapping, optional
            What else is worth knowing and decides nothing: the name of a model.
        shared : bool
            Whether a folder without a manifest may hold other files, which stay.
        advice : str
            What to do about files of another config, for the message.
        force : bool
            Whether a run of another config may replace what the manifest has, file by file as new ones are written.

        Yields
        ------
        RunFolder

        Raises
        ------
        InputError
            If another process holds the folder; it holds files and no manifest, another kind of files, or those of
            another config and `force` is not given; or it cannot be made or written.
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
                what = _listed(config_differences(header["config"], json.loads(_canonical(config))))
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
        """Whether an item was finished with this config, from its input as it is now, and its files are there.

        Parameters
        ----------
        item : str
        source : Path, optional
            Its input.
        """
        entry = self.entries.get(item)
        return (
            entry is not None
            and (entry.status, entry.config) == (DONE, self.config)
            and (source is None or _is_unchanged(source, entry.source))
            and all((self.path / name).is_file() for name in entry.files)
        )

    def edited(self, item: str) -> list[str]:
        """Files of an item that were changed since they were written."""
        entry = self.entries.get(item)
        files = {} if entry is None else entry.files
        return [name for name in files if (self.path / name).exists() and not self._is_ours(name)]

    def need_replaceable(self, names: Iterable[str]) -> None:
        """Refuse to write over files that are not in the manifest, or were changed since.

        Raises
        ------
        InputError
            For the first of such files; it says which.
        """
        for name in names:
            target = self.path / name
            if not os.path.lexists(target) or self._is_ours(name):
                continue
            if name in self._written:
                raise InputError("was changed after levada wrote it, and is kept; move it away", path=target)
            raise InputError("exists, was not written by levada, and is kept; move it away", path=target)

    @contextmanager
    def writing(
        self, item: str, *, source: Path | None = None, facts: Mapping[str, Any] | None = None
    ) -> Iterator[Path]:
        """Lend a temporary folder; what the block writes there becomes the files of an item.

        Files of an earlier run of the same item that are not among the new ones are removed, if they are unchanged.

        Parameters
        ----------
        item : str
        source : Path, optional
            Its input.
        facts : mapping, optional
            What is to be known of the result; the block may still add to it.

        Yields
        ------
        temporary : Path
            Files go there under the paths that they will have inside the folder.

        Raises
        ------
        InputError
            If a file would replace one that may not be replaced, or cannot be written; then nothing is changed.
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
                self._record(Entry(item, WRITING, self.config, state, files, date=utc_now()))  # a kill may come now
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
        """Record that an item failed, and why; files of an earlier run of it stay, and stay known."""
        before = self.entries.get(item)
        files = {} if before is None else before.files
        self._record(Entry(item, FAILED, self.config, _state_or_none(source), files, error, date=utc_now()))

    def remove(self, item: str) -> list[str]:
        """Remove the files of an item that are unchanged.

        Returns
        -------
        list of str
            Those that were changed by somebody, which are kept.
        """
        names = self.entries[item].files if item in self.entries else {}
        for name in names:
            self._unlink(name)
        self._record(Entry(item, REMOVED, self.config, date=utc_now()))
        return [name for name in names if (self.path / name).exists()]

    def remove_others(self, items: Iterable[str]) -> None:
        """Remove what earlier runs wrote for items that are none of these, but for files that somebody changed."""
        for item in set(self.entries) - set(items):
            if self.entries[item].status != REMOVED:
                self.remove(item)

    def write_text(self, name: str, text: str) -> None:
        """Write a file that describes the others; one that somebody changed, or put there, stays."""
        target = self.path / name
        if os.path.lexists(target) and not self._is_ours(name):
            return
        with self.writing(name) as temporary:
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_text(text, encoding="utf-8")

    def _unlink(self, name: str) -> None:
        """Remove a file that is unchanged, and the folders that it leaves empty."""
        if self._is_ours(name):
            (self.path / name).unlink()
            for parent in list(PurePosixPath(name).parents)[:-1]:
                with suppress(OSError):  # not empty
                    (self.path / parent).rmdir()

    def _is_ours(self, name: str) -> bool:
        """Whether a file is as levada wrote it, and lies in this folder: a linked one below it may be another's."""
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
    """Hold a folder of work that may be interrupted; it is removed if the block succeeds.

    Parameters
    ----------
    path : path-like
    run : mapping
        All that decides the result, as JSON has it. The unfinished work of the same run is gone on with.
    force : bool
        Whether the unfinished work of another run may be thrown away.

    Yields
    ------
    Path
        The folder: with what an interrupted call of the same run had done, or nothing but the manifest.

    Raises
    ------
    InputError
        As of `RunFolder.acquire`.
    """
    check_not_link(path)
    advice = "repeat that call to finish it, or --force to throw it away"
    with RunFolder.acquire(path, kind="unfinished work", config=run, advice=advice, force=force) as held:
        if not held.is_continued:
            remove_paths(file for file in held.path.iterdir() if file.name not in (MANIFEST, LOCK, HOLDER))
        yield held.path
    shutil.rmtree(path)


def config_digest(config: Mapping[str, Any]) -> str:
    """Digest of what decides a result: 16 hexadecimal digits.

    Examples
    --------
    >>> config_digest({"model": "base", "steps": 3}) == config_digest({"steps": 3, "model": "base"})
    True
    """
    return hashlib.sha256(_canonical(config).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def sha256_of(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _listed(what: list[str]) -> str:
    more = f" and {len(what) - SHOWN} more" if len(what) > SHOWN else ""
    return ", ".join(what[:SHOWN]) + more


def _is_in_use(folder: Path) -> bool:
    return any(not file.name.startswith(".levada-") for file in folder.iterdir())


def _read_manifest(folder: Path) -> tuple[dict[str, Any] | None, list[Entry]]:
    """The last header and all entries; a last line that a kill left half written is passed over."""
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
                path.write_bytes(content[: content.rfind(b"\n") + 1])  # or the next line would be joined to it
                break
            raise InputError(f"is damaged ({error}): move it away", path=path, line=number) from None
    return header, entries


def unchanged_files(folder: Path, *, kind: str) -> set[Path]:
    """List the files in a folder that its manifest says levada wrote, and that nobody has changed since.

    Parameters
    ----------
    folder : Path
    kind : str
        What the folder must hold, as of `RunFolder.acquire`; one of another kind has no such files.

    Raises
    ------
    InputError
        If the manifest is damaged.
    """
    found, (header, entries) = set[Path](), _read_manifest(folder)
    if header is None or header["kind"] != kind:
        return found
    for entry in entries:
        for name, state in entry.files.items():
            path = folder / name
            if _is_unchanged(path, state):
                found.add(path)
            else:
                found.discard(path)
    return found


def _confined(entry: Entry) -> Entry:
    """An entry whose files lie inside the folder: a manifest is a file that anybody may have written."""
    for name in entry.files:
        if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
            raise ValueError(f"{name!r} is outside the folder")
    return entry


def _state(path: Path) -> dict[str, Any]:
    stat = path.stat()
    return {"sha256": sha256_of(path), "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}


def _state_or_none(path: Path | None) -> dict[str, Any]:
    """The state of an input; empty where there is none or it cannot be read, which is said elsewhere."""
    with suppress(OSError):
        return {} if path is None else _state(path)
    return {}


def _is_unchanged(path: Path, state: Mapping[str, Any]) -> bool:
    """Whether a file is as it was: the same size and time, or the same content."""
    try:
        now = path.stat()
    except OSError:
        return False
    if not state or not path.is_file() or now.st_size != state["size"]:
        return False
    return bool(now.st_mtime_ns == state["mtime_ns"] or sha256_of(path) == state["sha256"])


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, default=str)
