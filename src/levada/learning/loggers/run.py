"""A run and those who are told of it."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
import json
import logging
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from levada.errors import InputError, MissingExtra, suggest
from levada.io import audio
from levada.io.beats import Beats
from levada.io.files import atomic_file

__all__ = ["NAMES", "Outlet", "Row", "Tracking", "check", "progress", "start"]

NAMES = ("csv", "tensorboard", "wandb")
"""Who can be told. Plain files are written whether they are named or not."""
MISSING: Mapping[str, Callable[[], MissingExtra]] = {
    "tensorboard": lambda: MissingExtra("tensorboard", extra="tensorboard", purpose="write for TensorBoard"),
    "wandb": lambda: MissingExtra("wandb", extra="wandb", purpose="tell Weights & Biases of a run"),
}
"""Those that need a library, which is called as they are, and the error where it is not installed."""

SCALARS, CONFIG = "scalars.csv", "config.json"

Row = Mapping[str, Any]

_log = logging.getLogger(__name__)


class Outlet(Protocol):
    """Somebody who is told of a run; files are those in its folder."""

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Hear of numbers at a step."""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Hear of a table."""

    def audio(self, name: str, file: Path, rate: int) -> None:
        """Hear of a wav file."""

    def picture(self, name: str, file: Path) -> None:
        """Hear of a PNG file."""

    def finish(self) -> None:
        """Hear that this was all."""


class Tracking:
    """A run that is told to somebody; `start` gives one.

    A block ends it, whatever happens inside.

    Parameters
    ----------
    folder : Path
        Holds `config.json`, `scalars.csv` (step, name, value), `tables/`, `audio/` and `pictures/`.
    config : mapping
        What the run was asked to do, in plain values.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder, self.config = folder, config
        self._outlets = dict[str, Outlet]()
        self._begun = False

    def __enter__(self) -> Tracking:
        return self

    def __exit__(self, *_: object) -> None:
        self.finish()

    def tell(self, name: str, begin: Callable[[], Outlet]) -> None:
        """Let somebody else be told from now on.

        Parameters
        ----------
        name : str
            What a warning calls it.
        begin : callable
            Gives it. If it cannot, a warning says so; what the user must put right is raised.
        """
        try:
            self._outlets[name] = begin()
        except InputError:
            self.finish()
            raise
        except Exception as error:
            _log.warning("%s failed and is not told: %s: %s", name, type(error).__name__, error)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Tell numbers.

        Parameters
        ----------
        step : int
            From 0 on. Where a run goes on after a kill, what was told of its first step and later ones is forgotten.
        values : mapping of str to float
        """
        plain = {name: float(value) for name, value in values.items()}
        path = self.folder / SCALARS
        if not self._begun:
            _forget(path, step)
            self._begun = True
        with _written(path), open(path, "a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows((step, name, repr(value)) for name, value in plain.items())
        self._tell(lambda outlet: outlet.scalars(step, plain))

    def table(self, name: str, rows: Sequence[Row]) -> None:
        """Tell a table, in place of an earlier one of this name.

        Parameters
        ----------
        name : str
        rows : sequence of mapping
            From columns to values; a column that a row does not have is empty there.
        """
        columns = list(dict.fromkeys(column for row in rows for column in row))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows({column: _cell(value) for column, value in row.items()} for row in rows)
        with atomic_file(self._file("tables", name, ".csv"), force=True) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8")
        self._tell(lambda outlet: outlet.table(name, columns, rows))

    def audio(self, name: str, samples: npt.ArrayLike, rate: int, *, beats: Beats | None = None) -> None:
        """Tell a recording.

        Parameters
        ----------
        name : str
        samples : float32 [shape=(channels, samples)] or [shape=(samples,)]
            Seconds rather than minutes: all of it is kept, and sent.
        rate : int
            In Hz.
        beats : Beats, optional
            Where to click.
        """
        file = self._file("audio", name, ".wav")
        sound = samples if beats is None else audio.add_clicks(samples, beats, rate=rate)
        audio.write(file, sound, rate=rate, force=True)
        self._tell(lambda outlet: outlet.audio(name, file, rate))

    def picture(self, name: str, path: str | Path) -> None:
        """Tell a picture.

        Parameters
        ----------
        name : str
        path : path-like
            A PNG file; it is copied.

        Raises
        ------
        InputError
            If it is none.
        """
        try:
            with open(path, "rb") as given:
                is_png = given.read(8) == b"\x89PNG\r\n\x1a\n"
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=path) from None
        if not is_png:
            raise InputError("is no PNG picture", path=path)
        file = self._file("pictures", name, ".png")
        if Path(path).resolve() != file.resolve():
            with atomic_file(file, force=True) as temporary:
                shutil.copyfile(path, temporary)
        self._tell(lambda outlet: outlet.picture(name, file))

    def finish(self) -> None:
        """End the run; once is enough, and nothing is told after it."""
        self._tell(lambda outlet: outlet.finish())
        self._outlets.clear()

    def _tell(self, what: Callable[[Outlet], None]) -> None:
        for name, outlet in list(self._outlets.items()):
            try:
                what(outlet)
            except Exception as error:
                _log.warning("%s failed and is told no more: %s: %s", name, type(error).__name__, error)
                del self._outlets[name]

    def _file(self, kind: str, name: str, suffix: str) -> Path:
        """Where something of this name lies: names of tracks may hold anything."""
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80]
        if plain != name:
            plain = f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}".lstrip("-")
        folder = self.folder / kind
        with _written(folder):
            folder.mkdir(exist_ok=True)
        return folder / (plain + suffix)


def check(names: Sequence[str]) -> None:
    """Make sure that all of these can be told, before there is anything to tell.

    Parameters
    ----------
    names : sequence of str
        Out of `NAMES`.

    Raises
    ------
    InputError
        If a name is unknown.
    MissingExtra
        If a library is not installed.
    """
    for name in names:
        if name not in NAMES:
            raise InputError(f"there is no logger {name!r}; {suggest(name, NAMES)}")
        if name in MISSING:
            there = find_spec(name)
            if there is None or there.origin is None:  # a mere folder of that name has no origin
                raise MISSING[name]()


def start(
    names: Sequence[str], *, folder: str | Path, project: str = "levada", run: str = "", config: Row | None = None
) -> Tracking:
    """Begin to tell of a run, or go on with it.

    Parameters
    ----------
    names : sequence of str
        Who is told, out of `NAMES`.
    folder : path-like
        Of this run alone; it is made if need be. Everything is written there.
    project : str
        What Weights & Biases puts the run under.
    run : str
        Its name; that of the folder by default.
    config : mapping, optional
        What the run was asked to do: settings, by name. Dataclasses and paths become plain values.

    Returns
    -------
    Tracking

    Raises
    ------
    InputError
        If a name is unknown, or the folder cannot be written.
    MissingExtra
        If a library is not installed.
    """
    check(names)
    folder, plain = Path(folder), _plain(config or {})
    with _written(folder):
        folder.mkdir(parents=True, exist_ok=True)
    about = {"project": project, "run": run or folder.absolute().name, "config": plain}
    with atomic_file(folder / CONFIG, force=True) as temporary:
        temporary.write_text(
            json.dumps(about, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace"
        )
    tracking = Tracking(folder, plain)
    if "tensorboard" in names:
        from levada.learning.loggers import tensorboard

        tracking.tell("TensorBoard", lambda: tensorboard.Events(folder, plain))
    if "wandb" in names:
        from levada.learning.loggers import wandb

        tracking.tell("Weights & Biases", lambda: wandb.Told(folder, plain, project=project, run=about["run"]))
    return tracking


def progress(tracking: Tracking, *, every: int = 10, name: str = "loss") -> Callable[[int, int, float], None]:
    """Tell of a training as it goes on.

    Parameters
    ----------
    tracking : Tracking
    every : int
        Steps from one that is told to the next; the first and the last always are.
    name : str
        What is told.

    Returns
    -------
    callable
        What `adapt.run.adapt` takes as its `progress`: of steps done, steps in all, and the loss.
    """

    def told(step: int, steps: int, value: float) -> None:
        if step <= 1 or step == steps or step % every == 0:
            tracking.scalars(step, {name: value})

    return told


@contextmanager
def _written(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", path=path) from None


def _forget(path: Path, first: int) -> None:
    """Keep what was told before a step, or begin a file; a line that a kill cut in two goes as well."""
    kept = []
    if path.exists():
        with open(path, encoding="utf-8", newline="") as file:
            kept = [row for row in csv.reader(file) if len(row) == 3 and row[0].isdigit() and int(row[0]) < first]
    with atomic_file(path, force=True) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("step", "name", "value"), *kept])


def _cell(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _plain(value: Any) -> Any:
    """What JSON can hold, of whatever was given."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inside) for inside in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
