"""Agreement of two sets of beats: of two annotators, or of two trackers on the same recordings.

Beats are matched one to one within 70 ms, as many as possible. Asynchrony is the time of the second beat less that of
the first of each pair: its median measures a constant lag, its median absolute deviation (MAD) the spread.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from levada.errors import InputError
from levada.io.beats import Beats

__all__ = ["Agreement", "compare_beat_files", "compare_beats"]

WINDOW_S = 0.07
SAME_MS = 1.0


@dataclass(frozen=True)
class Agreement:
    """Agreement of two sets of beats of a recording.

    Parameters
    ----------
    first, second : int
        Beats in each.
    f_measure : float
        F-measure of matched beats; NaN if both sets are empty.
    median_ms, mad_ms : float
        Median asynchrony of matched beats, and its median absolute deviation; NaN if none match.
    positions : float
        Share of matched beats with the same position in the bar, of those whose position is known in both.
    tempo_ratio : float
        Tempo of the second over that of the first; NaN if one has fewer than two beats.
    error : str
        Why they cannot be compared.
    """

    first: int = 0
    second: int = 0
    f_measure: float = math.nan
    median_ms: float = math.nan
    mad_ms: float = math.nan
    positions: float = math.nan
    tempo_ratio: float = math.nan
    error: str = ""

    @property
    def is_same(self) -> bool:
        """Whether all beats match within a millisecond, and all positions that are known in both are the same."""
        if self.error:
            return False
        if not self.first and not self.second:
            return True
        return self.f_measure == 1 and max(abs(self.median_ms), self.mad_ms) < SAME_MS and not self.positions < 1


def compare_beats(first: Beats, second: Beats) -> Agreement:
    """Compare two sets of beats.

    Parameters
    ----------
    first, second : Beats

    Returns
    -------
    Agreement

    Examples
    --------
    >>> compare_beats(Beats([0.5, 1.0, 1.5]), Beats([0.51, 1.01, 1.7])).median_ms
    10.0
    """
    pairs, one, other = list[tuple[int, int]](), 0, 0
    while one < len(first) and other < len(second):
        gap_s = float(second.times_s[other] - first.times_s[one])
        if abs(gap_s) <= WINDOW_S + 1e-9:
            pairs.append((one, other))
        one, other = one + (gap_s > -WINDOW_S - 1e-9), other + (gap_s < WINDOW_S + 1e-9)
    total = len(first) + len(second)
    at, to = (np.array(column, dtype=int) for column in (zip(*pairs, strict=True) if pairs else ((), ())))
    gaps_ms = np.round(1000 * (second.times_s[to] - first.times_s[at]), 6)
    median_ms = float(np.median(gaps_ms)) if pairs else math.nan
    numbered = (first.positions[at] > 0) & (second.positions[to] > 0)
    same = (first.positions[at] == second.positions[to])[numbered]
    both = len(first) > 1 and len(second) > 1
    return Agreement(
        len(first),
        len(second),
        2 * len(pairs) / total if total else math.nan,
        median_ms,
        float(np.median(np.abs(gaps_ms - median_ms))) if pairs else math.nan,
        float(same.mean()) if same.size else math.nan,
        second.tempo_bpm / first.tempo_bpm if both else math.nan,
    )


def compare_beat_files(
    first: Mapping[str, Path], second: Mapping[str, Path], *, names: tuple[str, str] = ("the first", "the second")
) -> dict[str, Agreement]:
    """Compare beat files of the same recordings.

    Parameters
    ----------
    first, second : mapping of str to Path
        Beat files by recording.
    names : tuple of two str
        Names of the two sets in error messages.

    Returns
    -------
    dict of str to Agreement
        One for each recording in either, sorted by name.
    """
    from levada.io.formats import read_beats

    agreements = dict[str, Agreement]()
    for name in sorted({*first, *second}):
        if name not in first or name not in second:
            agreements[name] = Agreement(error=f"only in {names[0] if name in first else names[1]}")
            continue
        try:
            agreements[name] = compare_beats(read_beats(first[name]), read_beats(second[name]))
        except InputError as error:
            agreements[name] = Agreement(error=str(error))
    return agreements
