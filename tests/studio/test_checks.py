"""Verified beats that look wrong: what is listed, and what is not."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from levada.io.beats import Beats
from levada.studio.annotation import Mark, to_beats
from levada.studio.checks import bars_to_check, suspects


def verified_beats(n=24, *, every_s=0.5, metre=4, spread_s=0.0, seed=0):
    """Verified beats at 0.5, 1.0 … s, tapped with a spread."""
    late = np.random.default_rng(seed).normal(0, spread_s, n)
    return [Mark(float(every_s * (i + 1) + late[i]), i % metre + 1, verified=True) for i in range(n)]


def test_of_2000_taps_with_the_spread_of_a_person_a_few_are_suspect():
    taps = [tuple(verified_beats(100, spread_s=0.02, seed=seed)) for seed in range(20)]
    assert sum(len(suspects(one)) for one in taps) <= 4
    assert sum(len(suspects(one, to_beats(verified_beats(100)))) for one in taps) <= 8


def test_a_tempo_that_changes_is_not_suspect():
    times = np.cumsum(0.5 * np.exp(0.3 * np.sin(np.arange(60) / 8)))
    assert suspects(tuple(Mark(float(time_s), i % 4 + 1, True) for i, time_s in enumerate(times))) == []


@pytest.mark.parametrize("by_s", [-0.2, -0.1, 0.1, 0.2])
def test_a_beat_off_its_place_is_found_alone(by_s):
    marks = verified_beats()
    marks[9] = marks[9]._replace(time_s=marks[9].time_s + by_s)
    (found,) = suspects(tuple(marks))
    assert (found.time_s, found.reason) == (marks[9].time_s, "uneven")
    assert (found.start_s, found.end_s) == (marks[8].time_s, marks[10].time_s)


def test_a_missing_beat_and_one_too_many_are_found():
    marks = verified_beats()
    (missing,) = suspects(tuple(marks[:9] + marks[10:]))
    assert (missing.reason, missing.time_s) == ("missing", pytest.approx(5.0))
    assert (missing.start_s, missing.end_s) == (4.5, 5.5)
    extra = Mark(5.25, 1, verified=True)
    found = suspects((*marks[:10], extra, *marks[10:]))
    assert any(one.start_s <= 5.25 <= one.end_s for one in found)
    assert all(one.start_s >= 4.4 and one.end_s <= 6.1 for one in found)


def test_the_gap_between_two_tapped_places_is_no_missing_beat():
    marks = verified_beats()
    assert suspects(tuple(marks[:8] + marks[14:])) == []


def test_beats_that_nobody_verified_are_not_listed():
    marks = [mark._replace(verified=False) for mark in verified_beats()]
    marks[9] = marks[9]._replace(time_s=marks[9].time_s + 0.2)
    assert suspects(tuple(marks), to_beats(verified_beats())) == []


def test_what_a_model_has_elsewhere_or_counts_otherwise_is_found_where_it_has_the_others():
    marks = verified_beats()
    last = marks[-1]._replace(time_s=marks[-1].time_s + 0.09)  # it has no neighbour after it
    other = marks[5]._replace(position=4)
    given = (*marks[:5], other, *marks[6:-1], last)
    found = suspects(given, to_beats(verified_beats()))
    assert [(one.time_s, one.reason) for one in found] == [(other.time_s, "position"), (last.time_s, "model")]
    assert suspects(given) == []


def test_a_model_that_has_few_of_the_verified_beats_says_nothing():
    marks = tuple(verified_beats())
    off = to_beats(verified_beats())
    assert suspects(marks, off.shift(0.25)) == []
    assert suspects(marks, Beats([])) == []
    assert suspects(marks[:6], Beats([0.5, 1.0, 1.5, 2.0, 2.5, 3.25])) == []  # too few to judge it by
    late = Beats(off.times_s, np.roll(off.positions, 1))
    assert suspects(marks, late) == []  # it counts from another beat throughout: that is its error


def test_a_beat_of_the_model_between_two_verified_ones_counts_if_it_is_sure():
    marks = verified_beats(16, every_s=1.0)
    times = sorted([*(mark.time_s for mark in marks), 6.5])
    for confidence, expected in ((0.9, [6.5]), (0.2, [])):
        found = Beats(times, confidence=[confidence if time_s == 6.5 else 0.9 for time_s in times])
        assert [one.time_s for one in suspects(tuple(marks), found)] == expected


@given(st.lists(st.tuples(st.floats(0, 60), st.integers(0, 4), st.booleans()), max_size=30))
def test_any_annotation_gives_places_inside_of_it_in_order(rows):
    marks = tuple(sorted(Mark(*row) for row in {row[0]: row for row in rows}.values()))
    found = suspects(marks, to_beats(marks[::2]))
    assert [one.time_s for one in found] == sorted(one.time_s for one in found)
    for one in found:
        assert marks[0].time_s <= one.start_s <= one.time_s <= one.end_s <= marks[-1].time_s


def test_bars_that_another_model_has_otherwise_come_first():
    marks = tuple(Mark(0.5 * (i + 1), i % 4 + 1, False, 0.9, 0.9 - 0.01 * i) for i in range(16))
    assert [bar.start_s for bar in bars_to_check(marks)] == [6.5, 4.5, 2.5, 0.5]
    same = to_beats(marks)
    assert bars_to_check(marks, same) == bars_to_check(marks)
    shifted = Beats([*same.times_s[:4], *(same.times_s[4:8] + 0.25), *same.times_s[8:]], same.positions)
    assert [bar.start_s for bar in bars_to_check(marks, shifted)] == [2.5, 6.5, 4.5, 0.5]
    counted = Beats(same.times_s, [*same.positions[:12], 2, 3, 4, 1])
    bars = bars_to_check(marks, counted)
    assert bars[0].start_s == 6.5
    assert bars[0].uncertainty == pytest.approx(1 + 1 - 0.9 + 0.01 * 13.5)
    more = Beats(sorted([*same.times_s, 0.75, 1.25]))  # without positions, and two beats more in the first bar
    assert bars_to_check(marks, more)[0].start_s == 0.5


def test_a_gap_without_beats_comes_first():
    marks = verified_beats(8) + [Mark(0.5 * (i + 1), i % 4 + 1, False, 0.9, 0.8) for i in range(20, 28)]
    bars = bars_to_check(tuple(marks))
    assert [(bar.start_s, bar.end_s) for bar in bars] == [(4.0, 10.5), (10.5, 12.5), (12.5, 14.5)]
    assert bars[0].uncertainty == 1
    assert bars_to_check(tuple(marks[:1])) == []


def test_bars_that_are_verified_need_no_check_whatever_another_model_has():
    assert bars_to_check(tuple(verified_beats()), Beats([0.1, 0.3])) == []
    assert bars_to_check((), Beats([0.1])) == []
