"""The log of a training, `log.csv`: a row for each step, with losses, learning rate and validation scores.

Columns: `step`; `seconds` since the training began or went on; `loss`, which is minimised; `validation`, scores of the
averaged network as ``name=value`` separated by spaces, at the steps where there are any; `learning_rate`; and one for
each part of the loss (`beat_loss`, `downbeat_loss`), before it is weighted.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path

from levada.errors import InputError
from levada.io.files import atomic_file

__all__ = ["DIGITS", "LOG", "VALIDATION_LOSS", "append_row", "last_row", "log_files", "read_log", "truncate_log"]

LOG = "log.csv"
VALIDATION_LOSS = "validation_loss"
"""Name of the loss on held-out labels among the scores of the validation."""
DIGITS = 4
"""Of scores of the validation, after the point."""
FIRST = ("step", "seconds", "loss", "validation")
"""Columns of all logs; older ones have no others."""
TAIL_BYTES = 4096
"""A row is not longer."""


def log_files(folder: str | Path) -> dict[str, Path]:
    """Return the logs below a working folder or in the folder of a model.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    dict of str to Path
        By the name of the training: "" for the training on all labels, "half-1" and "half-2" for cross-validation.
    """
    folder = Path(folder)
    files = {"": folder / LOG}
    files |= {path.parent.name: path for path in sorted(folder.glob(f"half-*/{LOG}"))}
    files |= {path.stem.removeprefix("log-"): path for path in sorted(folder.glob("log-half-*.csv"))}
    return {name: path for name, path in files.items() if path.is_file()}


def append_row(
    path: Path,
    *,
    step: int,
    seconds: float,
    loss: float,
    learning_rate: float,
    parts: Mapping[str, float],
    validation: Mapping[str, float],
) -> None:
    """Append a row to a log, which is started where it is missing.

    Parameters
    ----------
    path : Path
    step, seconds, loss, learning_rate
        See the columns above.
    parts : mapping of str to float
        Parts of the loss, the same in each row of a log.
    validation : mapping of str to float

    Raises
    ------
    InputError
        If it cannot be written.
    """
    row: dict[str, str] = {
        "step": str(step),
        "seconds": f"{seconds:.2f}",
        "loss": f"{loss:.5f}",
        "validation": " ".join(f"{name}={value:.{DIGITS}f}" for name, value in validation.items()),
        "learning_rate": f"{learning_rate:.6g}",
        **{name: f"{value:.5f}" for name, value in parts.items()},
    }
    try:
        with path.open("a+", newline="", encoding="utf-8") as file:
            file.seek(0)
            columns = next(csv.reader(file), None)  # a log that goes on keeps its columns
            file.seek(0, 2)
            writer = csv.DictWriter(file, columns or list(row), extrasaction="ignore", lineterminator="\n")
            if columns is None:
                writer.writeheader()
            writer.writerow(row)
    except OSError as error:
        raise InputError(f"could not be written: {error.strerror}", path=path) from None


def truncate_log(path: Path, *, after: int) -> None:
    """Remove the rows of steps after a checkpoint, which will be repeated, and incomplete rows."""
    if not path.exists():
        return
    whole = [row for row in path.read_text(encoding="utf-8").splitlines(keepends=True) if row.endswith("\n")]
    kept = [row for row in whole if not (step := row.split(",")[0]).isdigit() or int(step) <= after]
    with atomic_file(path, force=True) as temporary:
        temporary.write_text("".join(kept), encoding="utf-8")


def read_log(path: str | Path) -> list[dict[str, float]]:
    """Read the log of a training.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    list of dict of str to float
        A row for each step; scores of the validation are among its values at the steps where there are any.

    Raises
    ------
    InputError
        If it cannot be read, or a row is damaged.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            if not set(FIRST[:3]) <= set(columns):
                raise InputError("is no log of a training: it lacks the columns step, seconds, loss", path=path)
            rows = []
            for line, row in enumerate(reader, start=2):
                try:
                    rows.append(_values(row))
                except (AttributeError, TypeError, ValueError):
                    raise InputError("a damaged row: it is not made of numbers", path=path, line=line) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from None
    except (UnicodeDecodeError, csv.Error):
        raise InputError("is no log of a training: it is not text", path=path) from None
    return rows


def last_row(path: str | Path) -> dict[str, float]:
    """Read the last row of a log that is being written, whatever its length."""
    with Path(path).open("rb") as file:
        header = file.readline()
        file.seek(max(len(header), file.seek(0, 2) - TAIL_BYTES))
        lines = (header + file.read().splitlines(keepends=True)[-1]).decode("utf-8").splitlines()
    return _values(next(csv.DictReader(lines)))


def _values(row: Mapping[str, str]) -> dict[str, float]:
    """Convert a row of a log to numbers."""
    values = {name: float(cell) for name, cell in row.items() if name != "validation" and cell}
    for score in (row.get("validation") or "").split():
        name, _, value = score.partition("=")
        values[name] = float(value)
    if not (math.isfinite(values["step"]) and "loss" in values):
        raise ValueError
    return values
