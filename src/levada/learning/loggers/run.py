"""The log of a run: plain files in a folder, passed on to every other logger."""

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
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy.typing as npt

from levada.errors import InputError, MissingExtra, suggest
from levada.io import audio
from levada.io.beats import Beats
from levada.io.files import atomic_file, wrap_errors
from levada.learning.training_log import last_row, log_files

__all__ = ["NAMES", "Logger", "Row", "RunLogger", "check", "log_progress", "log_training", "start"]

NAMES = ("csv", "tensorboard", "wandb")
"""Names of loggers. Plain files are written whether "csv" is named or not."""
MISSING: Mapping[str, Callable[[], MissingExtra]] = {
    "tensorboard": lambda: MissingExtra("tensorboard", extra="tensorboard", purpose="log to TensorBoard"),
    "wandb": lambda: MissingExtra("wandb", extra="wandb", purpose="log to Weights & Biases"),
}
"""Loggers that need a library of their name, and the error where it is not installed."""

SCALARS, CONFIG = "scalars.csv", "config.json"

Row = Mapping[str, Any]

_log = logging.getLogger(__name__)


class Logger(Protocol):
    """What a logger does; files are those that `RunLogger` wrote."""

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers at a step."""

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Log a table."""

    def log_audio(self, name: str, file: Path, rate: int) -> None:
        """Log a wav file."""

    def log_image(self, name: str, file: Path) -> None:
        """Log a PNG file."""

    def close(self) -> None:
        """End the log."""


class RunLogger:
    """Log of one run, in a folder and to other loggers; `start` opens one, and a ``with`` block closes it.

    Parameters
    ----------
    folder : Path
        Holds `config.json`, `scalars.csv` (step, name, value), `tables/`, `audio/` and `images/`.
    config : mapping
        Settings of the run, as plain values.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self.folder, self.config = folder, config
        self._loggers = dict[str, Logger]()
        self._has_scalars = False

    def __enter__(self) -> RunLogger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, name: str, open_logger: Callable[[], Logger]) -> None:
        """Pass everything on to another logger from now on.

        Parameters
        ----------
        name : str
            Its name in warnings.
        open_logger : callable
            Opens it. A failure is logged as a warning; an `InputError` is raised.
        """
        try:
            self._loggers[name] = open_logger()
        except InputError:
            self.close()
            raise
        except Exception as error:
            _log.warning("%s cannot be used and is left out: %s: %s", name, type(error).__name__, error)

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers.

        Parameters
        ----------
        step : int
            Not negative. The first step of a resumed run replaces itself and all later ones in an existing log.
        values : mapping of str to float
        """
        plain = {name: float(value) for name, value in values.items()}
        path = self.folder / SCALARS
        if not self._has_scalars:
            _truncate(path, step)
            self._has_scalars = True
        with wrap_errors(path), open(path, "a", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows((step, name, repr(value)) for name, value in plain.items())
        self._forward(lambda logger: logger.log_scalars(step, plain))

    def log_table(self, name: str, rows: Sequence[Row]) -> None:
        """Log a table, in place of an earlier one of the same name.

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
        self._forward(lambda logger: logger.log_table(name, columns, rows))

    def log_audio(self, name: str, samples: npt.ArrayLike, rate: int, *, beats: Beats | None = None) -> None:
        """Log an excerpt of audio.

        Parameters
        ----------
        name : str
        samples : float32 [shape=(channels, samples)] or [shape=(samples,)]
            A few seconds: all of it is stored and uploaded.
        rate : int
            In Hz.
        beats : Beats, optional
            Clicks are mixed in at these.
        """
        file = self._file("audio", name, ".wav")
        mixed = samples if beats is None else audio.add_clicks(samples, beats, rate=rate)
        audio.write(file, mixed, rate=rate, force=True)
        self._forward(lambda logger: logger.log_audio(name, file, rate))

    def log_image(self, name: str, path: str | Path) -> None:
        """Log a PNG file, which is copied.

        Raises
        ------
        InputError
            If it is not a PNG file.
        """
        try:
            with open(path, "rb") as given:
                is_png = given.read(8) == b"\x89PNG\r\n\x1a\n"
        except OSError as error:
            raise InputError(f"cannot be read: {error.strerror}", path=path) from None
        if not is_png:
            raise InputError("is not a PNG image", path=path)
        file = self._file("images", name, ".png")
        if Path(path).resolve() != file.resolve():
            with atomic_file(file, force=True) as temporary:
                shutil.copyfile(path, temporary)
        self._forward(lambda logger: logger.log_image(name, file))

    def close(self) -> None:
        """Close all loggers; a second call does nothing."""
        self._forward(lambda logger: logger.close())
        self._loggers.clear()

    def _forward(self, call: Callable[[Logger], None]) -> None:
        for name, logger in list(self._loggers.items()):
            try:
                call(logger)
            except Exception as error:
                _log.warning("%s failed and is left out from now on: %s: %s", name, type(error).__name__, error)
                del self._loggers[name]

    def _file(self, kind: str, name: str, suffix: str) -> Path:
        """Path of a file for a name, which may hold any character."""
        plain = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:80]
        if plain != name:
            plain = f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}".lstrip("-")
        folder = self.folder / kind
        with wrap_errors(folder):
            folder.mkdir(exist_ok=True)
        return folder / (plain + suffix)


def check(names: Sequence[str]) -> None:
    """Check that loggers exist and their libraries are installed.

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
            spec = find_spec(name)
            if spec is None or spec.origin is None:  # a mere folder of that name has no origin
                raise MISSING[name]()


def start(
    names: Sequence[str], *, folder: str | Path, project: str = "levada", run: str = "", config: Row | None = None
) -> RunLogger:
    """Start the log of a run, or resume it.

    Parameters
    ----------
    names : sequence of str
        Loggers, out of `NAMES`.
    folder : path-like
        Of this run alone; created where it is missing. Everything is written there.
    project : str
        Project of Weights & Biases.
    run : str
        Name of the run; that of the folder by default.
    config : mapping, optional
        Settings by name. Dataclasses and paths become plain values.

    Returns
    -------
    RunLogger

    Raises
    ------
    InputError
        If a name is unknown, or the folder cannot be written.
    MissingExtra
        If a library is not installed.
    """
    check(names)
    folder, plain = Path(folder), _plain(config or {})
    with wrap_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    manifest = {"project": project, "run": run or folder.absolute().name, "config": plain}
    with atomic_file(folder / CONFIG, force=True) as temporary:
        temporary.write_text(
            json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8", errors="backslashreplace"
        )
    logger = RunLogger(folder, plain)
    if "tensorboard" in names:
        from levada.learning.loggers.tensorboard import TensorBoardLogger

        logger.add("TensorBoard", lambda: TensorBoardLogger(folder, plain))
    if "wandb" in names:
        from levada.learning.loggers.wandb import WandbLogger

        logger.add("Weights & Biases", lambda: WandbLogger(folder, plain, project=project, run=manifest["run"]))
    return logger


def log_progress(logger: RunLogger, *, every: int = 10, name: str = "loss") -> Callable[[int, int, float], None]:
    """Progress callback that logs the loss of a training.

    Parameters
    ----------
    logger : RunLogger
    every : int
        Steps between two entries; the first and the last step are always logged.
    name : str
        Name of the scalar.

    Returns
    -------
    callable
        The `progress` of `learning.training.fit` and of `adapt`: called with steps done, all steps, and the loss.
    """

    def progress(step: int, steps: int, value: float) -> None:
        if step <= 1 or step == steps or step % every == 0:
            logger.log_scalars(step, {name: value})

    return progress


def log_training(logger: RunLogger, folder: str | Path) -> Callable[[int, int, float], None]:
    """Progress callback that logs each step of a training: losses, learning rate and validation scores.

    Parameters
    ----------
    logger : RunLogger
    folder : path-like
        Where the training writes its `log.csv`, and those of cross-validation in folders below. Their scalars are
        "half-1/loss" and so on; those of the training on all labels are "loss", "learning_rate" and so on.

    Returns
    -------
    callable
        The `progress` of `adapt`: called with steps done, all steps, and the loss; NaN is no step of a training.
    """

    def progress(step: int, _: int, value: float) -> None:
        if math.isnan(value):
            return
        files = log_files(folder)
        row: Mapping[str, float] = {"loss": value}
        name = max(files, key=lambda name: files[name].stat().st_mtime_ns, default=None)
        if name is not None:  # the one that this step was just appended to
            row = {key: number for key, number in last_row(files[name]).items() if key not in ("step", "seconds")}
        logger.log_scalars(step, {f"{name}/{key}" if name else key: number for key, number in row.items()})

    return progress


def _truncate(path: Path, step: int) -> None:
    """Keep the complete rows before a step; start the file with its header."""
    kept = []
    if path.exists():
        with open(path, encoding="utf-8", newline="") as file:
            kept = [row for row in csv.reader(file) if len(row) == 3 and row[0].isdigit() and int(row[0]) < step]
    with atomic_file(path, force=True) as temporary, open(temporary, "w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([("step", "name", "value"), *kept])


def _cell(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and math.isnan(value)) else value


def _plain(value: Any) -> Any:
    """Convert settings to what JSON can hold."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): _plain(inside) for name, inside in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(inside) for inside in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
