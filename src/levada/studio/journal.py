"""The journal of a project: every edit as a row that is only ever added, in SQLite beside the recordings.

A row has what the edit removed and what it added, so that undo is a row too, and the state is what all rows give in
order. A row is on the disk when `add` returns: a server that is killed loses nothing.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from levada.errors import InputError
from levada.studio.annotation import Annotation, Mark, apply, difference

__all__ = ["Journal", "State"]

SCHEMA = """
CREATE TABLE IF NOT EXISTS edits(
  id INTEGER PRIMARY KEY AUTOINCREMENT, recording TEXT NOT NULL, annotator TEXT NOT NULL, kind TEXT NOT NULL,
  of_edit INTEGER, removed TEXT NOT NULL, added TEXT NOT NULL, at TEXT NOT NULL, origin TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS edits_of ON edits(recording, annotator);
CREATE TABLE IF NOT EXISTS facts(name TEXT PRIMARY KEY, value TEXT NOT NULL);
"""
VERSION = 1
CORRECTIONS = ("tap", "move", "insert", "delete")
LEAST_RIGHT = 2
"""Stretches in a row that were right before a recording is called done."""
FIRST = ("labels", "model")
"""Kinds of the first row of an annotation, which cannot be undone."""


@dataclass
class State:
    """An annotation, and its edits that can be undone and redone.

    Parameters
    ----------
    annotation : Annotation
    revision : int
        Number of its last row; 0 without any.
    done, undone : list of int
        Rows that can be undone and redone, the last one first to go.
    """

    annotation: Annotation = ()
    revision: int = 0
    done: list[int] = field(default_factory=list)
    undone: list[int] = field(default_factory=list)

    def follow(self, row: int, kind: str, removed: Annotation, added: Annotation) -> None:
        """Apply a row."""
        is_first, self.revision = not self.revision, row
        self.annotation = apply(self.annotation, removed, added)
        if kind == "undo":
            self.undone.append(self.done.pop())
        elif kind == "redo":
            self.done.append(self.undone.pop())
        elif not (is_first and kind in FIRST):
            self.done.append(row)
            self.undone.clear()


class Journal:
    """The edits of all recordings and annotators of a project.

    Parameters
    ----------
    path : Path
        Of the database, which is created where there is none.

    Raises
    ------
    InputError
        If it cannot be opened, is damaged, or a newer levada wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._states: dict[tuple[str, str], State] = {}
        with self._wrap():
            self._connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version > VERSION:
                raise InputError("was written by a newer levada: update this one", path=path)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=FULL")
            self._connection.executescript(SCHEMA)
            self._connection.execute(f"PRAGMA user_version={VERSION}")

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def state(self, recording: str, annotator: str) -> State:
        """Return the annotation of a recording by an annotator."""
        with self._lock, self._wrap():
            key = (recording, annotator)
            if key not in self._states:
                state = State()
                rows = self._connection.execute(
                    "SELECT id, kind, removed, added FROM edits WHERE recording=? AND annotator=? ORDER BY id",
                    key,
                )
                for row, kind, removed, added in rows:
                    state.follow(row, kind, _marks(removed), _marks(added))
                self._states[key] = state
            return self._states[key]

    def add(
        self, recording: str, annotator: str, kind: str, after: Annotation, *, origin: Mapping[str, Any] | None = None
    ) -> State:
        """Add the edit that leads to an annotation; one that changes nothing is no row.

        Parameters
        ----------
        recording, annotator, kind : str
        after : Annotation
        origin : mapping, optional
            Where it is from: device, its lag, the model.
        """
        with self._lock:
            state = self.state(recording, annotator)
            removed, added = difference(state.annotation, after)
            if removed or added or not state.revision:
                self._write(state, recording, annotator, kind, None, removed, added, origin)
            return state

    def undo(self, recording: str, annotator: str) -> State:
        """Undo the last edit; where there is none nothing happens."""
        with self._lock:
            state = self.state(recording, annotator)
            if state.done:
                removed, added = self._delta(state.done[-1])
                self._write(state, recording, annotator, "undo", state.done[-1], added, removed, None)
            return state

    def redo(self, recording: str, annotator: str) -> State:
        """Apply the last undone edit again; where there is none nothing happens."""
        with self._lock:
            state = self.state(recording, annotator)
            if state.undone:
                removed, added = self._delta(state.undone[-1])
                self._write(state, recording, annotator, "redo", state.undone[-1], removed, added, None)
            return state

    def annotators(self) -> list[str]:
        """List the annotators with an edit, sorted by name."""
        with self._lock, self._wrap():
            rows = self._connection.execute("SELECT DISTINCT annotator FROM edits ORDER BY annotator")
            return [name for (name,) in rows]

    def recordings(self, annotator: str) -> list[str]:
        """List the recordings that an annotator has, sorted by name."""
        with self._lock, self._wrap():
            query = "SELECT DISTINCT recording FROM edits WHERE annotator=? ORDER BY recording"
            return [name for (name,) in self._connection.execute(query, (annotator,))]

    def kept_shares(self, annotator: str) -> list[tuple[int, float]]:
        """Count, after each model that was accepted, the beats a person judged, and the share that stayed as placed.

        A beat that is verified stayed; one that is tapped, moved, inserted or deleted did not. Undone edits do not
        count.

        Returns
        -------
        list of (int, float)
            Beats judged and share, first of the base; the share is 1 where none was judged.
        """
        with self._lock, self._wrap():
            rows = self._connection.execute(
                "SELECT id, kind, of_edit, added FROM edits WHERE annotator=? ORDER BY id", (annotator,)
            ).fetchall()
        undone = dict[int, bool]()
        for _, kind, of_edit, _ in rows:
            if kind in ("undo", "redo"):
                undone[of_edit] = kind == "undo"
        counts = [[0, 0]]
        for row, kind, _, added in rows:
            if undone.get(row):
                continue
            if kind == "learn":
                counts.append([0, 0])
            elif kind == "verify":
                counts[-1][0] += len(json.loads(added))
            elif kind in CORRECTIONS:
                counts[-1][1] += 1
        return [(right + wrong, right / (right + wrong) if right + wrong else 1.0) for right, wrong in counts]

    def checked(self, recording: str, annotator: str) -> tuple[int, bool]:
        """Count the stretches that were verified as they were since any other edit, and say if that is enough.

        Two are, or one more than there were stretches with corrections. The first of all does not count where a
        person began by verifying it, as it was not the least certain one.

        Returns
        -------
        count : int
        is_enough : bool
        """
        with self._lock, self._wrap():
            done = set(self.state(recording, annotator).done)
            query = "SELECT id, kind FROM edits WHERE recording=? AND annotator=? ORDER BY id"
            kinds = [kind for row, kind in self._connection.execute(query, (recording, annotator)) if row in done]
        right, wrong, is_corrected, has_begun = 0, 0, False, False
        for kind in kinds:
            if kind != "verify":
                right, is_corrected = 0, (is_corrected or kind in CORRECTIONS) and kind != "learn"
                has_begun = has_begun or kind == "tap"
            elif is_corrected:
                wrong, is_corrected, has_begun = wrong + has_begun, False, True
            else:
                right, has_begun = right + has_begun, True
        return right, right >= max(LEAST_RIGHT, wrong + 1)

    def read(self, name: str) -> Any:
        """Return a fact of the project by its name; None where there is none."""
        with self._lock, self._wrap():
            row = self._connection.execute("SELECT value FROM facts WHERE name=?", (name,)).fetchone()
            return None if row is None else json.loads(row[0])

    def write(self, name: str, value: Any) -> None:
        """Write a fact of the project: a JSON value."""
        with self._lock, self._wrap():
            self._connection.execute("INSERT OR REPLACE INTO facts VALUES(?, ?)", (name, json.dumps(value)))

    def _delta(self, row: int) -> tuple[Annotation, Annotation]:
        with self._wrap():
            removed, added = self._connection.execute("SELECT removed, added FROM edits WHERE id=?", (row,)).fetchone()
        return _marks(removed), _marks(added)

    def _write(
        self, state: State, recording: str, annotator: str, kind: str, of_edit: int | None, removed: Annotation,
        added: Annotation, origin: Mapping[str, Any] | None,
    ) -> None:  # fmt: skip
        at = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}.{time.time_ns() // 1_000_000 % 1000:03d}Z"
        texts = (json.dumps(removed), json.dumps(added), at, json.dumps(dict(origin or {})))
        with self._wrap():
            row = self._connection.execute(
                "INSERT INTO edits(recording, annotator, kind, of_edit, removed, added, at, origin)"
                " VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
                (recording, annotator, kind, of_edit, *texts),
            ).lastrowid
        assert row is not None
        state.follow(row, kind, removed, added)

    @contextmanager
    def _wrap(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            problem = str(error)
            if "full" in problem:
                problem = "the disk is full: the last edit is not saved; make room, and repeat it"
            raise InputError(f"the journal of edits cannot be used ({problem})", path=self.path) from error


def _marks(text: str) -> Annotation:
    return tuple(Mark(*values) for values in json.loads(text))
