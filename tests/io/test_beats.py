import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levada.errors import InputError
from levada.io.beats import Beats, distances, nearest

WALTZ = Beats([0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5], [3, 1, 2, 3, 1, 2, 3], [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7])


def test_what_beats_know() -> None:
    assert len(WALTZ) == 7
    assert WALTZ.downbeats_s.tolist() == [1.0, 2.5]
    assert WALTZ.intervals_s.tolist() == [0.5] * 6
    assert WALTZ.tempo_bpm == 120
    assert WALTZ.metres == {3: 1}
    assert list(WALTZ)[:2] == [(0.5, 3), (1.0, 1)]
    assert repr(WALTZ) == "Beats(7 from 0.50 s to 3.50 s, 120.0 bpm, 2 downbeats)"


def test_the_tempo_is_the_median() -> None:
    assert Beats([0, 0.5, 1.0, 9.0]).tempo_bpm == 120
    assert np.isnan(Beats([1.0]).tempo_bpm)


def test_metres_come_commonest_first() -> None:
    positions = [1, 2, 3, 1, 2, 1, 2, 1, 2, 3, 4]
    assert list(Beats(np.arange(11.0), positions).metres.items()) == [(2, 2), (3, 1)]
    assert Beats(np.arange(11.0), positions).metre == 2


def test_no_beats() -> None:
    none = Beats([])
    assert len(none) == 0
    assert none.metres == {}
    assert none.metre == 0
    assert list(none) == []
    assert none.downbeats_s.shape == (0,)
    assert repr(none) == "Beats(none)"
    assert none == Beats([], [], None)


def test_positions_are_unknown_by_default() -> None:
    assert Beats([0.5, 1]).positions.tolist() == [0, 0]
    assert Beats([0.5, 1]).confidence is None


def test_whole_floats_are_positions() -> None:
    assert Beats([0.5, 1], [1.0, 2.0]).positions.dtype == np.int64


def test_between_is_half_open() -> None:
    part = WALTZ.between(1.0, 2.5)
    assert part == Beats([1.0, 1.5, 2.0], [1, 2, 3], [0.2, 0.3, 0.4])
    assert len(WALTZ.between(2.5, 1.0)) == 0


def test_shift_moves_and_drops() -> None:
    assert WALTZ.shift(0.25).times_s.tolist() == [0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75]
    assert WALTZ.shift(-1.25) == Beats([0.25, 0.75, 1.25, 1.75, 2.25], [2, 3, 1, 2, 3], [0.3, 0.4, 0.5, 0.6, 0.7])


def test_stretch() -> None:
    assert WALTZ.stretch(2).tempo_bpm == 60
    assert WALTZ.stretch(2).positions.tolist() == WALTZ.positions.tolist()


@given(st.lists(st.floats(0.01, 10), max_size=20), st.floats(-50, 50), st.floats(0.1, 10))
def test_moving_keeps_beats_valid(gaps: list[float], offset: float, factor: float) -> None:
    beats = Beats(np.cumsum(gaps))
    moved = beats.shift(offset)
    assert len(moved) == sum(time + offset >= 0 for time in beats.times_s)
    assert len(beats.stretch(factor)) == len(beats)


def test_equality_and_hash() -> None:
    same = Beats(WALTZ.times_s, WALTZ.positions, WALTZ.confidence)
    assert same == WALTZ
    assert hash(same) == hash(WALTZ)
    assert Beats(WALTZ.times_s, WALTZ.positions) != WALTZ
    assert Beats([0.5], [1]) != Beats([0.5], [2])
    assert Beats([0.5], [1], [0.5]) != Beats([0.5], [1], [0.6])
    assert Beats([0.5]) != [0.5]


def test_nothing_can_be_changed() -> None:
    given = np.array([0.5, 1.0])
    beats = Beats(given, [1, 2], [0.5, 0.5])
    given[0] = 0
    assert beats.times_s[0] == 0.5
    for array in (beats.times_s, beats.positions, beats.confidence):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 9
    with pytest.raises(AttributeError):
        beats.times_s = given  # type: ignore[misc]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0.5, 0.4],), r"beat 2 \(0.4 s\) does not come after beat 1 \(0.5 s\)"),
        (([0.5, 0.5],), "beat 2 .* does not come after beat 1"),
        (([-0.5, 0.5],), "beat 1 is at -0.5 s: a beat cannot come before the recording starts"),
        (([0.5, np.nan],), "beat 2 is not a finite time"),
        (([0.5, np.inf],), "beat 2 is not a finite time"),
        (([[0.5, 1]],), r"not an array of shape \(1, 2\)"),
        (([0.5, 1], [1]), "2 beat times but 1 positions"),
        (([0.5, 1], [1, -1]), "beat 2 has a negative position"),
        (([0.5, 1], [1, 1.5]), "positions in the bar must be whole numbers"),
        (([0.5, 1], [1, np.nan]), "positions in the bar must be whole numbers"),
        (([0.5, 1], None, [0.5]), "2 beat times but 1 confidences"),
        (([0.5, 1], None, [0.5, 1.1]), "the confidence of beat 2 is not between 0 and 1"),
        (([0.5, 1], None, None, [0.5]), "2 beat times but 1 position confidences"),
        (([0.5, 1], None, None, [-0.1, 1]), "the position confidence of beat 1 is not between 0 and 1"),
        (([0.5, 1], None, [np.nan, 1]), "the confidence of beat 1 is not between 0 and 1"),
    ],
)
def test_what_is_refused(arguments: tuple, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Beats(*arguments)


@pytest.mark.parametrize("factor", [0, -1, float("nan")])
def test_a_stretch_must_be_positive(factor: float) -> None:
    with pytest.raises(InputError, match="stretch factor must be above 0"):
        WALTZ.stretch(factor)


@pytest.mark.parametrize("n_others", [1, 2, 3, 40])
def test_nearest_is_that_of_all_differences(n_others):
    rng = np.random.default_rng(n_others)
    others = np.sort(rng.integers(0, 200, n_others)) / 8.0  # halves: many are as near to two
    times = np.concatenate([rng.integers(-20, 220, 300) / 8.0, [-1e9, 1e9]])
    apart = np.abs(times[:, None] - others)
    np.testing.assert_array_equal(distances(times, others), apart.min(axis=1))
    np.testing.assert_array_equal(others[nearest(times, others)], others[apart.argmin(axis=1)])


def test_nothing_is_near_where_there_are_no_others():
    assert distances(np.array([0.0, 1.0]), np.zeros(0)).tolist() == [np.inf, np.inf]
    assert distances(np.zeros(0), np.zeros(0)).tolist() == distances(np.zeros(0), np.ones(1)).tolist() == []
    assert nearest(np.array([3.0, 1.0]), np.zeros(0)).tolist() == [0, 0]
