"""TensorBoard: one file of events in the run's folder, written by itself, without TensorFlow and without torch."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from levada.errors import MissingExtra
from levada.learning.loggers.run import Row

__all__ = ["Events"]


class Events:
    """Numbers, tables (as text), audio and pictures for `tensorboard --logdir`.

    Parameters
    ----------
    folder : Path
        Where the file goes.
    config : mapping
        Plain values; those that are numbers, texts or switches also stand in the tab of hyperparameters.

    Raises
    ------
    MissingExtra
        If TensorBoard is not installed.
    """

    def __init__(self, folder: Path, config: Mapping[str, Any]) -> None:
        try:
            from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
            from tensorboard.plugins.hparams import plugin_data_pb2
            from tensorboard.summary.writer.record_writer import RecordWriter
        except ImportError:
            raise MissingExtra("tensorboard", extra="tensorboard", purpose="write for TensorBoard") from None
        self._events, self._summaries, self._tensors, self._types = event_pb2, summary_pb2, tensor_pb2, types_pb2
        self._goes_on = any(folder.glob("events.out.tfevents.*"))
        self._step = 0
        name = f"events.out.tfevents.{time.time():.6f}.{platform.node() or 'here'}.{os.getpid()}"
        self._file = open(folder / name, "xb")  # noqa: SIM115 - closed by finish
        self._records = RecordWriter(self._file)
        self._write(file_version="brain.Event:2")
        flat = _flat(config)
        self._text("config", ("setting", "value"), list(flat.items()))
        began = plugin_data_pb2.SessionStartInfo(group_name=folder.absolute().name, start_time_secs=time.time())
        for key, value in flat.items():
            kind = (
                "bool_value"
                if isinstance(value, bool)
                else "string_value"
                if isinstance(value, str)
                else "number_value"
            )
            setattr(began.hparams[key], kind, value)
        self._about("_hparams_/session_start_info", plugin_data_pb2.HParamsPluginData(session_start_info=began))

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers; the first ones of a run that goes on put those of later steps out of force."""
        if self._goes_on:
            restart = self._events.SessionLog(status=self._events.SessionLog.START)
            self._write(step=max(step, 1), session_log=restart)
            self._goes_on = False
        self._step = step
        self._summary(*(self._summaries.Summary.Value(tag=name, simple_value=value) for name, value in values.items()))

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Row]) -> None:
        """Write a table as text."""
        self._text(name, columns, [[row.get(column, "") for column in columns] for row in rows])

    def audio(self, name: str, file: Path, rate: int) -> None:
        """Write a recording."""
        sound = self._summaries.Summary.Audio(
            sample_rate=rate, encoded_audio_string=file.read_bytes(), content_type="audio/wav"
        )
        self._summary(self._summaries.Summary.Value(tag=name, audio=sound))

    def picture(self, name: str, file: Path) -> None:
        """Write a picture."""
        png = file.read_bytes()
        width, height = int.from_bytes(png[16:20]), int.from_bytes(png[20:24])  # where every PNG has them
        image = self._summaries.Summary.Image(width=width, height=height, colorspace=4, encoded_image_string=png)
        self._summary(self._summaries.Summary.Value(tag=name, image=image))

    def finish(self) -> None:
        """Close the file."""
        self._file.close()

    def _text(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        lines = [columns, ["---"] * len(columns), *rows]
        markdown = "\n".join("| " + " | ".join(_said(value) for value in line) + " |" for line in lines)
        tensor = self._tensors.TensorProto(dtype=self._types.DT_STRING, string_val=[markdown.encode()])
        self._summary(
            self._summaries.Summary.Value(tag=f"{name}/text_summary", metadata=self._metadata("text"), tensor=tensor)
        )

    def _about(self, tag: str, content: Any) -> None:
        nothing = self._tensors.TensorProto(dtype=self._types.DT_FLOAT)
        nothing.tensor_shape.dim.add(size=0)
        metadata = self._metadata("hparams", content.SerializeToString())
        self._summary(self._summaries.Summary.Value(tag=tag, metadata=metadata, tensor=nothing))

    def _metadata(self, plugin: str, content: bytes = b"") -> Any:
        kind = self._summaries.SummaryMetadata
        return kind(plugin_data=kind.PluginData(plugin_name=plugin, content=content))

    def _summary(self, *values: Any) -> None:
        self._write(step=self._step, summary=self._summaries.Summary(value=values))

    def _write(self, **what: Any) -> None:
        self._records.write(self._events.Event(wall_time=time.time(), **what).SerializeToString())
        self._records.flush()  # a run that is killed keeps what it told


def _flat(config: Mapping[str, Any], before: str = "") -> dict[str, bool | float | str]:
    flat: dict[str, bool | float | str] = {}
    for name, value in config.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{before}{name}/")
        else:
            flat[before + name] = value if isinstance(value, bool | int | float | str) else str(value)
    return flat


def _said(value: Any) -> str:
    text = f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)
    return text.replace("|", "\\|").replace("\n", " ")
