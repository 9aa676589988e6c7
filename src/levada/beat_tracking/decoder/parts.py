"""Recordings of hours, decoded in parts that overlap: in the memory of one part, and in time that grows with length.

Two parts are joined at a beat that both have, with the same length and position: the one nearest to the middle of their
overlap. What is more than a minute away hardly ever changes a beat, so this is what the whole recording would give, but
for music whose reading is open for minutes: there the reading may change at the border of a part.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder.state_space import BarPointer, LongBarPointer
from levada.io.beats import Beats

if TYPE_CHECKING:
    from levada.beat_tracking.decoder.decode import DecodedBeats

__all__ = ["LONGEST_S", "decode_parts"]

LONGEST_S = 3600.0
"""The longest recording that is decoded as a whole."""
PART_S, CONTEXT_S = 1200.0, 60.0

Ints = npt.NDArray[np.int64]
Columns = tuple[npt.NDArray[Any], ...]


def decode_parts(
    decode_part: Callable[[int, int], DecodedBeats],
    model_part: Callable[[int, int], BarPointer],
    activation: npt.NDArray[np.floating],
    *,
    fps: float,
    progress: Callable[[int, int], None] | None = None,
) -> DecodedBeats:
    """Decode a recording in parts, and join their beats.

    Parameters
    ----------
    decode_part : callable
        From the first frame of a part and the one after its last to its beats, with times from its beginning.
    model_part : callable
        From the same to its model, as `LongBarPointer` takes it.
    activation : floating [shape=(frames,)]
        Probability of any beat.
    fps : float
        Frames per second.
    progress : callable, optional
        Called with the seconds decoded so far, and of how many.

    Returns
    -------
    DecodedBeats
    """
    frames, size, context = len(activation), round(PART_S * fps), round(CONTEXT_S * fps)
    parts, no_pulse = list[Columns](), np.zeros(frames, np.float32)
    for middle in range(0, frames, size):
        start, stop = max(0, middle - context), min(frames, middle + size + context)
        decoded = decode_part(start, stop)
        columns = _columns(decoded, start, start / fps)
        seam = middle
        if parts:
            seam = _seam(parts[-1], columns, middle, context)
            parts[-1] = _rows(parts[-1], parts[-1][0] < seam)
            columns = _rows(columns, columns[0] >= seam)
            if len(columns[0]) and len(parts[-1][0]) and _too_near(parts[-1], columns, decoded.model.lengths):
                columns = _rows(columns, np.arange(len(columns[0])) > 0)
        parts.append(columns)
        no_pulse[seam:stop] = decoded.no_pulse[seam - start :]
        if progress is not None:
            progress(round(min(frames, middle + size) / fps), round(frames / fps))
        if stop == frames:
            break
    starts, tempi, states, hinted, times, positions, confidence = map(np.concatenate, zip(*parts, strict=True))
    of_part = {field.name: getattr(decoded.model, field.name) for field in fields(BarPointer)}
    of_part |= {"frames": frames, "activation": activation, "sums": np.zeros((3, 0)), "windows": None, "no_pulse": None}
    model = LongBarPointer(**of_part, part=model_part)
    return replace(
        decoded, beats=Beats(times, positions, confidence), model=model, starts=starts, tempi=tempi, states=states,
        hinted=hinted, no_pulse=no_pulse,
    )  # fmt: skip


def _columns(decoded: DecodedBeats, start: int, start_s: float) -> Columns:
    """Return starts, tempi, states, whether hinted, times, positions and confidences of beats, in the recording."""
    beats = decoded.beats
    confidence = np.zeros(0) if beats.confidence is None else beats.confidence
    return (
        decoded.starts + start, decoded.tempi, decoded.states, decoded.hinted,
        beats.times_s + start_s, beats.positions, confidence,
    )  # fmt: skip


def _rows(columns: Columns, kept: npt.NDArray[np.bool_]) -> Columns:
    return tuple(column[kept] for column in columns)


def _seam(before: Columns, after: Columns, middle: int, context: int) -> int:
    """Return the first frame of the beat that two parts have in common next to a frame; that frame if there is none."""
    one, other = (np.stack(part[:3]).astype(np.int64) for part in (before, after))
    near = one[:, abs(one[0] - middle) < context]
    same = (near[:, :, None] == other[:, None]).all(axis=0).any(axis=1)
    common: Ints = near[0, same]
    return int(common[abs(common - middle).argmin()]) if len(common) else middle


def _too_near(before: Columns, after: Columns, lengths: Ints) -> bool:
    """Whether the first beat after a seam is less than half a beat from the last one before it."""
    (start, tempo), following = (int(column[-1]) for column in before[:2]), int(after[0][0])
    return following - start < int(lengths[tempo]) / 2
