"""Recognition of beats of unequal length in labels."""

from __future__ import annotations

import numpy as np
import pytest

from levada.data.unequal_beats import even_intervals, labelled_bars, unequal_metres, unfitted_metres
from levada.io.beats import Beats

Floats = np.ndarray


def labels(cycles: list[list[float]], *, jitter: float = 0.04, seed: int = 0, unit_s: float = 0.2) -> Beats:
    """Bars of the given lengths of beats, with a downbeat after the last."""
    rng = np.random.default_rng(seed)
    lengths = np.concatenate([np.array(cycle, float) for cycle in cycles])
    times = 0.3 + np.concatenate([[0.0], np.cumsum(unit_s * lengths * (1 + rng.normal(0, jitter, len(lengths))))])
    positions = np.concatenate([*(np.arange(len(cycle)) + 1 for cycle in cycles), [1]])
    return Beats(times, positions)


@pytest.mark.parametrize(
    ("cycle", "metre"),
    [
        ([2, 2, 2, 3], "2+2+2+3"),
        ([3, 2, 2], "3+2+2"),
        ([2, 3], "2+3"),
        ([2, 2, 3, 2, 2], "2+2+3+2+2"),
        ([1, 2], "1+2"),
        ([2, 3, 4], "2+3+4"),
        ([2, 2, 2, 2.9], "2+2+2+3"),
        ([1.0, 1.65], "2+3"),
    ],
)
def test_small_whole_numbers(cycle: list[float], metre: str) -> None:
    beats = labels([cycle] * 10)
    assert unequal_metres([beats]) == (metre,)
    assert {bar.metre for bar in labelled_bars(beats, [metre])} == {metre}
    even = even_intervals(beats, [metre])
    assert even.std() / even.mean() < 0.11


@pytest.mark.parametrize("cycle", [[1, 1, 1, 1], [1, 1, 1], [0.29, 0.38, 0.33], [1, 1, 1.3], [1.0, 1.2]])
def test_swing_and_jitter_are_equal_beats(cycle: list[float]) -> None:
    beats = labels([cycle] * 20, jitter=0.06)
    assert unequal_metres([beats]) == ()
    assert unfitted_metres(beats) == {}
    assert even_intervals(beats, ()) is beats.intervals_s or np.array_equal(even_intervals(beats), beats.intervals_s)
    assert {bar.metre for bar in labelled_bars(beats)} == {len(cycle)}


def test_rubato_is_no_metre() -> None:
    rng = np.random.default_rng(0)
    times = np.cumsum(0.5 * np.exp(np.cumsum(rng.normal(0, 0.05, 200)) * 0.5 + rng.normal(0, 0.08, 200)))
    assert unequal_metres([Beats(times, np.arange(200) % 3 + 1)]) == ()


def test_bars_of_two_kinds() -> None:
    cycles = [[3, 2, 2] if bar % 3 else [2, 2, 3] for bar in range(24)]
    beats = labels([[float(part) for part in cycle] for cycle in cycles])
    metres = unequal_metres([beats])
    assert set(metres) == {"3+2+2", "2+2+3"}
    assert [bar.metre for bar in labelled_bars(beats, metres)] == ["+".join(map(str, cycle)) for cycle in cycles]


def test_few_bars_of_each_recording_count_together() -> None:
    parts = [labels([[2, 2, 2, 3]] * 2, seed=seed) for seed in range(3)]
    assert unequal_metres(parts[:1]) == ()
    assert unequal_metres(parts) == ("2+2+2+3",)


def test_equal_bars_beside_unequal_ones() -> None:
    beats = [labels([[1, 1, 1]] * 8, seed=1, unit_s=0.5), labels([[2, 2, 3]] * 8)]
    metres = unequal_metres(beats)
    assert metres == ("2+2+3",)
    assert {bar.metre for bar in labelled_bars(beats[0], metres)} == {3}
    assert np.array_equal(even_intervals(beats[0], metres), beats[0].intervals_s)


def test_beats_before_the_first_downbeat_have_the_length_of_their_position() -> None:
    whole = labels([[2, 2, 2, 3]] * 6, jitter=0.0)
    beats = Beats(whole.times_s[2:-2], whole.positions[2:-2])
    np.testing.assert_allclose(even_intervals(beats, ["2+2+2+3"]), 0.4)
