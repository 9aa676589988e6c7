"""One pass over the samples of a recording: what checks of beats and of stems have in common."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.data.problems import Problem
from levada.errors import InputError, collected_records
from levada.io import audio

__all__ = ["CLIPPED", "FULL_SCALE", "SILENT", "AudioScan", "reader_warnings"]

SILENT = 1e-4  # largest peak of silence: -80 dB below full scale
FULL_SCALE = 0.9995  # from here on a sample may be clipped
CLIPPED = 1e-3  # share of samples at full scale that is audible distortion
SHORTEST_S = 1.0  # nothing can be learnt from less


@dataclass
class AudioScan:
    """Properties of a recording, filled block by block."""

    path: Path
    rate: int = 0  # Hz
    channels: int = 0
    samples: int = 0  # of each channel
    peak: float = 0.0
    full: int = 0  # samples at full scale
    error: str = ""  # why it cannot be read

    def blocks(self, *, block_s: float) -> Iterator[npt.NDArray[np.float32]]:
        """Read the recording in blocks [shape=(channels, samples)]; ends early, with an error, if it cannot be read."""
        try:
            info = audio.info(self.path)
            self.rate, self.channels = info.rate, info.channels
            for block in audio.read_blocks(self.path, block_s=block_s):
                size = np.abs(block)
                top = float(size.max())
                self.peak = max(self.peak, top)
                if top >= FULL_SCALE:
                    self.full += int(np.count_nonzero(size >= FULL_SCALE))
                yield block
                self.samples += block.shape[1]
        except InputError as error:
            self.error = error.problem

    @property
    def duration_s(self) -> float:
        """Length in seconds, as far as it was read; NaN if it cannot be read."""
        return self.samples / self.rate if self.rate and not self.error else float("nan")

    @property
    def is_audible(self) -> bool:
        """Whether it can be read and is not silent."""
        return not self.error and self.peak > SILENT

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it alone."""
        if self.error:
            yield Problem("error", self.error, self.path)
            return
        if self.duration_s < SHORTEST_S:
            samples = f"{self.samples} {'sample' if self.samples == 1 else 'samples'}"
            yield Problem("error", f"lasts {self.duration_s:.3g} s ({samples})", self.path)
        elif not self.is_audible:
            yield Problem("error", "is silent", self.path)
        clipped = self.full / max(1, self.samples * self.channels)
        if clipped > CLIPPED:
            yield Problem("warning", f"is clipped: {clipped:.1%} of its samples are at full scale", self.path)


@contextmanager
def reader_warnings() -> Iterator[list[Problem]]:
    """Collect the warnings of the readers of audio (truncated, damaged, not finite) instead of logging them."""
    problems = list[Problem]()

    def problem(record: logging.LogRecord) -> Problem:
        path = record.args[0] if isinstance(record.args, tuple) and record.args else ""
        return Problem("warning", record.getMessage().removeprefix(f"{path}: "), Path(str(path)))

    with collected_records(problem, problems):
        yield problems
