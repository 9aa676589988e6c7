"""Beat annotations: times, positions in the bar, and confidences.

Conventions
-----------
Times are seconds from the start of the recording, float64, strictly increasing and never negative. Positions
count from 1 inside the bar: 1 is a downbeat, 0 is unknown. Confidences are probabilities: one that the time of a beat
is right, the other that its position in the bar is right too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.arguments import checked, to_array
from levada.errors import InputError

__all__ = ["Beats", "distances", "nearest"]

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
        Probability that the time of each beat is right, between 0 and 1.
    position_confidence : array_like [shape=(n,)], optional
        Probability that its time and its position are right, between 0 and 1.

    Raises
    ------
    InputError
        If an array has the wrong shape, a time is not finite, negative or not after its predecessor,
        a position is negative, or a confidence is outside 0 to 1. The message counts beats from 1.
    """

    times_s: Floats
    positions: Ints
    confidence: Floats | None
    position_confidence: Floats | None

    def __init__(
        self,
        times_s: npt.ArrayLike,
        positions: npt.ArrayLike | None = None,
        confidence: npt.ArrayLike | None = None,
        position_confidence: npt.ArrayLike | None = None,
    ) -> None:
        times: Floats = to_array("times_s", times_s)
        if times.ndim != 1:
            raise InputError(f"beat times must be one row of numbers, not an array of shape {times.shape}")
        positions_given = np.zeros(len(times), np.int64) if positions is None else _places(positions)
        in_time = None if confidence is None else to_array("confidence", confidence)
        in_bar = None if position_confidence is None else to_array("position_confidence", position_confidence)
        _validate(times, positions_given, in_time, in_bar)
        places = positions_given.astype(np.int64)
        for array in (times, places, in_time, in_bar):
            if array is not None:
                array.flags.writeable = False
        object.__setattr__(self, "times_s", times)
        object.__setattr__(self, "positions", places)
        object.__setattr__(self, "confidence", in_time)
        object.__setattr__(self, "position_confidence", in_bar)

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

    @property
    def metre(self) -> int:
        """Beats per bar of most complete bars; 0 where no bar is complete."""
        return next(iter(self.metres), 0)

    @checked
    def between(self, start_s: float, end_s: float) -> Beats:
        """The beats in the half-open stretch from start to end, their times unchanged."""
        return self._where((self.times_s >= start_s) & (self.times_s < end_s))

    @checked
    def shift(self, offset_s: float) -> Beats:
        """All beats moved later by an offset, in seconds; those that would fall before zero are dropped."""
        moved = self._where(self.times_s + offset_s >= 0)
        return moved.with_times(moved.times_s + offset_s)

    @checked
    def stretch(self, factor: float) -> Beats:
        """The same beats in a recording that lasts `factor` times as long."""
        if not factor > 0:
            raise InputError(f"a stretch factor must be above 0, not {factor}")
        return self.with_times(self.times_s * factor)

    def with_times(self, times_s: npt.ArrayLike) -> Beats:
        """Return the beats at other times, with the same positions and confidences."""
        return Beats(times_s, self.positions, self.confidence, self.position_confidence)

    def with_positions(self, positions: npt.ArrayLike) -> Beats:
        """Return the beats with other positions in the bar, at the same times and with the same confidences."""
        return Beats(self.times_s, positions, self.confidence, self.position_confidence)

    @checked
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
        in_time, in_bar = (None if sure is None else sure[keep] for sure in self._confidences)
        return Beats(self.times_s[keep], self.positions[keep], in_time, in_bar)

    @property
    def _confidences(self) -> tuple[Floats | None, Floats | None]:
        return self.confidence, self.position_confidence

    def __len__(self) -> int:
        return len(self.times_s)

    def __iter__(self) -> Iterator[tuple[float, int]]:
        return zip(self.times_s.tolist(), self.positions.tolist(), strict=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Beats):
            return NotImplemented
        same = np.array_equal(self.times_s, other.times_s) and np.array_equal(self.positions, other.positions)
        return same and all(
            mine is theirs if mine is None or theirs is None else np.array_equal(mine, theirs)
            for mine, theirs in zip(self._confidences, other._confidences, strict=True)
        )

    def __hash__(self) -> int:
        return hash((self.times_s.tobytes(), self.positions.tobytes()))

    def __repr__(self) -> str:
        if not len(self):
            return "Beats(none)"
        return (
            f"Beats({len(self)} from {self.times_s[0]:.2f} s to {self.times_s[-1]:.2f} s, "
            f"{self.tempo_bpm:.1f} bpm, {len(self.downbeats_s)} downbeats)"
        )


def nearest(times_s: Floats, others_s: Floats) -> Ints:
    """Return the index of the nearest of other times, which are sorted, for each time; the earlier of two as near.

    Parameters
    ----------
    times_s : float64 [shape=(n,)]
        Seconds, in any order.
    others_s : float64 [shape=(m,)]
        Seconds, increasing. Where there are none, all indices are 0.
    """
    if len(others_s) < 2:
        return np.zeros(len(times_s), np.int64)
    after = np.searchsorted(others_s, times_s).clip(1, len(others_s) - 1)
    return np.where(np.abs(times_s - others_s[after - 1]) <= np.abs(times_s - others_s[after]), after - 1, after)


def distances(times_s: Floats, others_s: Floats) -> Floats:
    """Return how far each time is from the nearest of other times, which are sorted; infinite where there are none.

    Parameters
    ----------
    times_s : float64 [shape=(n,)]
        Seconds, in any order.
    others_s : float64 [shape=(m,)]
        Seconds, increasing.

    Examples
    --------
    >>> distances(np.array([0.5, 2.0]), np.array([0.0, 0.75, 1.5]))
    array([0.25, 0.5 ])
    """
    if not len(others_s):
        return np.full(len(times_s), np.inf)
    return np.abs(times_s - others_s[nearest(times_s, others_s)])


def _validate(times: Floats, positions: npt.NDArray[np.generic], *confidences: Floats | None) -> None:
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
    for what, confidence in zip(("confidence", "position confidence"), confidences, strict=True):
        if confidence is None:
            continue
        if confidence.shape != times.shape:
            raise InputError(f"{len(times)} beat times but {confidence.size} {what}s")
        bad = ~((confidence >= 0) & (confidence <= 1))
        if bad.any():
            raise InputError(f"the {what} of beat {_first(bad)} is not between 0 and 1")


def _places(positions: npt.ArrayLike) -> npt.NDArray[np.generic]:
    """Return positions as they are given, if they are numbers."""
    to_array("positions", positions)
    return np.array(positions)


def _first(mask: npt.NDArray[np.bool_]) -> int:
    """Index of the first True, counted from 1 as people count beats."""
    return int(np.flatnonzero(mask)[0]) + 1
