"""Beat annotations: times, positions in the bar, and confidences.

Conventions
-----------
Times are seconds from the start of the recording, float64, strictly increasing and never negative. Positions
count from 1 inside the bar: 1 is a downbeat, 0 is unknown. A confidence is a probability.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.errors import InputError

__all__ = ["Beats"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False, repr=False)
class Beats:
    """Immutable, validated beat times with positions in the bar.

    Parameters
    ----------
    times_s : array_like [shape=(n,)]
        Beat times, in seconds, strictly increasing, not negative.
    positions : array_like of int [shape=(n,)], optional
        Position in the bar, counted from 1; 1 is a downbeat, 0 (the default) is unknown.
    confidence : array_like [shape=(n,)], optional
        Probability that each beat is right, between 0 and 1.

    Raises
    ------
    InputError
        If an array has the wrong shape, a time is not finite, negative or not after its predecessor,
        a position is negative, or a confidence is outside 0 to 1. The message counts beats from 1.
    """

    times_s: Floats
    positions: Ints
    confidence: Floats | None

    def __init__(
        self,
        times_s: npt.ArrayLike,
        positions: npt.ArrayLike | None = None,
        confidence: npt.ArrayLike | None = None,
    ) -> None:
        times = np.array(times_s, dtype=np.float64)
        if times.ndim != 1:
            raise InputError(f"beat times must be one row of numbers, not an array of shape {times.shape}")
        positions_given = np.zeros(len(times), np.int64) if positions is None else np.array(positions)
        sure = None if confidence is None else np.array(confidence, dtype=np.float64)
        _validate(times, positions_given, sure)
        places = positions_given.astype(np.int64)
        for array in (times, places, sure):
            if array is not None:
                array.flags.writeable = False
        object.__setattr__(self, "times_s", times)
        object.__setattr__(self, "positions", places)
        object.__setattr__(self, "confidence", sure)

    @property
    def downbeats_s(self) -> Floats:
        """Times of the downbeats, in seconds [shape=(m,)]."""
        downbeats: Floats = self.times_s[self.positions == 1]
        return downbeats

    @property
    def intervals_s(self) -> Floats:
        """Inter-beat intervals, in seconds [shape=(n - 1,)]."""
        return self.times_s[1:] - self.times_s[:-1]

    @property
    def tempo_bpm(self) -> float:
        """Median tempo, in beats per minute; NaN for fewer than two beats."""
        return float(60 / np.median(self.intervals_s)) if len(self) > 1 else float("nan")

    @property
    def metres(self) -> dict[int, int]:
        """Beats per bar of every complete bar, and how many bars have it, the commonest first."""
        downbeats = np.flatnonzero(self.positions == 1)
        lengths, counts = np.unique(np.diff(downbeats), return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {int(lengths[i]): int(counts[i]) for i in order}

    def between(self, start_s: float, end_s: float) -> Beats:
        """The beats in the half-open stretch from start to end, their times unchanged."""
        return self._where((self.times_s >= start_s) & (self.times_s < end_s))

    def shift(self, offset_s: float) -> Beats:
        """All beats moved later by an offset, in seconds; those that would fall before zero are dropped."""
        moved = self._where(self.times_s + offset_s >= 0)
        return Beats(moved.times_s + offset_s, moved.positions, moved.confidence)

    def stretch(self, factor: float) -> Beats:
        """The same beats in a recording that lasts `factor` times as long."""
        if not factor > 0:
            raise InputError(f"a stretch factor must be above 0, not {factor}")
        return Beats(self.times_s * factor, self.positions, self.confidence)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Write the beats into a file that other programs read.

        Parameters
        ----------
        path : path-like
            Its suffix names the format: ``.beats``, ``.csv``, ``.txt`` (Audacity), ``.svl`` (Sonic Visualiser),
            ``.mid``, ``.jams`` and the others of `levada.io.formats.FORMATS`.
        force : bool
            Whether a file that exists may be replaced.

        Raises
        ------
        InputError
            If the suffix names no format, the file exists and `force` is not set, or it cannot be written.
        """
        from levada.io.formats import write_beats

        write_beats(path, self, force=force)

    def _where(self, keep: npt.NDArray[np.bool_]) -> Beats:
        sure = None if self.confidence is None else self.confidence[keep]
        return Beats(self.times_s[keep], self.positions[keep], sure)

    def __len__(self) -> int:
        return len(self.times_s)

    def __iter__(self) -> Iterator[tuple[float, int]]:
        return zip(self.times_s.tolist(), self.positions.tolist(), strict=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Beats):
            return NotImplemented
        if (self.confidence is None) != (other.confidence is None):
            return False
        same = np.array_equal(self.times_s, other.times_s) and np.array_equal(self.positions, other.positions)
        if self.confidence is None or other.confidence is None:
            return same
        return same and np.array_equal(self.confidence, other.confidence)

    def __hash__(self) -> int:
        return hash((self.times_s.tobytes(), self.positions.tobytes()))

    def __repr__(self) -> str:
        if not len(self):
            return "Beats(none)"
        return (
            f"Beats({len(self)} from {self.times_s[0]:.2f} s to {self.times_s[-1]:.2f} s, "
            f"{self.tempo_bpm:.1f} bpm, {len(self.downbeats_s)} downbeats)"
        )


def _validate(times: Floats, positions: npt.NDArray[np.generic], confidence: Floats | None) -> None:
    if positions.shape != times.shape:
        raise InputError(f"{len(times)} beat times but {positions.size} positions")
    if not np.isfinite(times).all():
        raise InputError(f"beat {_first(~np.isfinite(times))} is not a finite time")
    if (times < 0).any():
        i = _first(times < 0)
        raise InputError(f"beat {i} is at {times[i - 1]:g} s: a beat cannot come before the recording starts")
    late = np.diff(times) <= 0
    if late.any():
        i = _first(late)
        raise InputError(f"beat {i + 1} ({times[i]:g} s) does not come after beat {i} ({times[i - 1]:g} s)")
    whole = np.issubdtype(positions.dtype, np.integer) or positions.size == 0
    if not whole and not np.array_equal(positions, np.round(positions.astype(np.float64))):
        raise InputError("positions in the bar must be whole numbers")
    if (positions.astype(np.float64) < 0).any():
        raise InputError(f"beat {_first(positions.astype(np.float64) < 0)} has a negative position in the bar")
    if confidence is not None:
        if confidence.shape != times.shape:
            raise InputError(f"{len(times)} beat times but {confidence.size} confidences")
        bad = ~((confidence >= 0) & (confidence <= 1))
        if bad.any():
            raise InputError(f"the confidence of beat {_first(bad)} is not between 0 and 1")


def _first(mask: npt.NDArray[np.bool_]) -> int:
    """Index of the first True, counted from 1 as people count beats."""
    return int(np.flatnonzero(mask)[0]) + 1
