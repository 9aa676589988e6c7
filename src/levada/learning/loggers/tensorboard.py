"""TensorBoard: files of events in the folder of the run, written by torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from levada.io import audio
from levada.learning.loggers.run import MISSING, Row

__all__ = ["TensorBoardLogger"]


class TensorBoardLogger:
    """Numbers, tables (as text), audio and images for ``tensorboard --logdir``.

    Parameters
    ----------
    folder : Path
        Where the files of events are written.
    config : mapping
        Plain values; shown as text and as hyperparameters.

    Raises
    ------
    MissingExtra
        If TensorBoard is not installed.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        self._folder, self._step = folder, 0
        self._is_resumed = any(folder.glob("events.out.tfevents.*"))
        self._writer = _writer(folder)
        settings = _flat(config)
        self._text("config", ("setting", "value"), list(settings.items()))
        self._writer.add_hparams(settings, {}, run_name=".")
        self._writer.flush()

    def log_scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Log numbers; the first ones of a resumed run invalidate those of later steps."""
        if self._is_resumed:
            self._writer.close()
            self._writer = _writer(self._folder, purge_step=max(step, 1))
            self._is_resumed = False
        self._step = step
        for name, value in values.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def log_table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Log a table as Markdown."""
        self._text(name, columns, [[row.get(column, "") for column in columns] for row in rows])

    def log_audio(self, name: str, file: Path, rate: int) -> None:
        """Log an excerpt, mixed to one channel."""
        import torch

        samples, _ = audio.read(file)
        self._writer.add_audio(name, torch.from_numpy(samples.mean(axis=0)), self._step, sample_rate=rate)
        self._writer.flush()

    def log_image(self, name: str, file: Path) -> None:
        """Log an image."""
        import numpy as np
        from PIL import Image

        with Image.open(file) as image:
            self._writer.add_image(name, np.asarray(image.convert("RGB")), self._step, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        self._writer.close()

    def _text(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        lines = [columns, ["---"] * len(columns), *rows]
        markdown = "\n".join("| " + " | ".join(_text(value) for value in line) + " |" for line in lines)
        self._writer.add_text(name, markdown, self._step)
        self._writer.flush()  # so that a run that is killed keeps what it logged


def _writer(folder: Path, *, purge_step: int | None = None) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise MISSING["tensorboard"]() from None
    return SummaryWriter(folder, purge_step=purge_step)


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, bool | float | str]:
    flat: dict[str, bool | float | str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}/")
        else:
            flat[prefix + name] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat


def _text(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
