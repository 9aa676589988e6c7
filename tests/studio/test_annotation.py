"""Operations on an annotation: what they change, and that verified beats never move."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from levada.errors import InputError
from levada.io.beats import Beats
from levada.studio.annotation import (
    OPERATIONS,
    Mark,
    apply,
    difference,
    edit,
    merge,
    of_beats,
    to_beats,
    uncertain_bars,
    verified,
)


def steady(n: int = 16, *, metre: int = 4, sure: tuple[int, ...] = ()) -> tuple[Mark, ...]:
    """Beats at 0.5, 1.0, 1.5 … s; those of some indices are verified."""
    return tuple(Mark(0.5 * (i + 1), i % metre + 1, i in sure) for i in range(n))


def times(annotation):
    return [round(mark.time_s, 6) for mark in annotation]


def positions(annotation):
    return [mark.position for mark in annotation]


def test_a_tap_is_verified_and_replaces_the_beats_of_the_model_around_it():
    after = edit(steady(8), "tap", {"time_s": 1.62, "position": 0})
    assert times(verified(after)) == [1.62]
    assert 1.5 not in times(after)
    assert len(after) == 8


def test_a_second_tap_within_100_ms_is_the_same_beat():
    once = edit((), "tap", {"time_s": 2.0})
    assert edit(once, "tap", {"time_s": 2.09}) == once
    assert len(edit(once, "tap", {"time_s": 2.2})) == 2


def test_taps_count_on_from_one_with_a_position():
    annotation = edit((), "tap", {"time_s": 1.0, "position": 3})
    for time_s in (1.5, 2.0, 2.5):
        annotation = edit(annotation, "tap", {"time_s": time_s})
    assert positions(annotation) == [3, 4, 1, 2]


def test_tapping_clears_what_the_model_found_between_two_taps():
    wrong = tuple(Mark(0.3 * i + 0.1, 1) for i in range(1, 20))
    annotation = wrong
    for time_s in (1.0, 1.5, 2.0, 2.5):
        annotation = edit(annotation, "tap", {"time_s": time_s})
    assert [one for one in times(annotation) if 0.9 < one < 2.6] == [1.0, 1.5, 2.0, 2.5]


def test_a_moved_beat_is_verified_and_cannot_pass_its_neighbours():
    after = edit(steady(), "move", {"time_s": 2.02, "to_s": 2.1})
    assert Mark(2.1, 4, True) in after
    with pytest.raises(InputError, match="past its neighbour"):
        edit(steady(), "move", {"time_s": 2.0, "to_s": 3.2})
    with pytest.raises(InputError, match="already"):
        edit(steady(), "move", {"time_s": 2.0, "to_s": 2.49})


def test_a_deletion_keeps_the_numbers_of_the_bars_right_up_to_the_next_anchor():
    annotation = edit(steady(12, sure=(8,)), "delete", {"time_s": 1.5})  # a third beat that was none
    assert positions(annotation) == [1, 2, 3, 4, 1, 2, 3, 1, 2, 3, 4]
    assert times(annotation) == [0.5, 1.0, *[0.5 * i for i in range(4, 13)]]


def test_an_inserted_beat_is_counted_and_those_after_it_up_to_the_next_anchor():
    gap = tuple(mark for mark in steady(13, sure=(12,)) if mark.time_s != 1.5)
    gap = tuple(mark._replace(position=(i % 4) + 1) for i, mark in enumerate(gap[:-1])) + gap[-1:]
    assert positions(edit(gap, "insert", {"time_s": 1.5})) == [1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1]
    with pytest.raises(InputError, match="already"):
        edit(steady(), "insert", {"time_s": 1.05})


def test_a_downbeat_counts_its_own_stretch_alone():
    annotation = edit(steady(12, sure=(6,)), "downbeat", {"time_s": 1.0})
    assert positions(annotation) == [1, 1, 2, 3, 4, 1, 3, 4, 1, 2, 3, 4]
    assert verified(annotation) == verified(steady(12, sure=(6,)))


def test_a_downbeat_numbers_all_taps_without_positions():
    tapped = tuple(Mark(0.5 * i, 0, True) for i in range(1, 9))
    assert positions(edit(tapped, "downbeat", {"time_s": 1.5})) == [3, 4, 1, 2, 3, 4, 1, 2]


def test_beats_of_a_bar_that_are_stated_count_the_whole_verified_run_again():
    found = steady(12)  # of a model that takes bars of four
    tapped = edit(found, "verify", {"start_s": 1.0, "end_s": 4.0})
    counted = [1, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]
    assert positions(edit(tapped, "downbeat", {"time_s": 2.5, "metre": 3})) == counted
    again = edit(edit(tapped, "downbeat", {"time_s": 2.5, "metre": 2}), "downbeat", {"time_s": 2.5, "metre": 3})
    assert positions(again) == counted
    assert positions(edit(found, "downbeat", {"time_s": 2.5, "metre": 3})) == [1, 2, 3, 4, *counted[4:]]
    with pytest.raises(InputError, match="at most 24 beats"):
        edit(tapped, "downbeat", {"time_s": 2.5, "metre": 25})


def test_a_downbeat_on_a_verified_beat_counts_the_verified_run_again():
    tapped = tuple(Mark(0.5 * i, (i - 1) % 4 + 1, True) for i in range(1, 9))
    assert positions(edit(tapped, "downbeat", {"time_s": 1.0})) == [1, 1, 2, 3, 4, 1, 2, 3]


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("half", [0.5, 1.0, 2.0, 3.0, 4.0, 4.5, 5.0]),
        ("double", [0.5, 1.0, 1.25, 1.5, 1.75, 2.0, 2.25, 2.5, 2.75, 3.0, 3.25, 3.5, 3.75, 4.0, 4.5, 5.0]),
        ("offbeat", [0.5, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75, 4.0, 4.5, 5.0]),
    ],
)
def test_half_double_and_offbeat_act_from_here_to_the_next_anchor(kind, expected):
    before = steady(10, sure=(7,))  # 4.0 s
    after = edit(before, kind, {"time_s": 1.0})
    assert times(after) == expected
    assert verified(after) == verified(before)


def test_verifying_marks_what_lies_between_two_times():
    after = edit(steady(), "verify", {"start_s": 1.0, "end_s": 2.0})
    assert times(verified(after)) == [1.0, 1.5, 2.0]
    with pytest.raises(InputError, match="no beats"):
        edit(steady(), "verify", {"start_s": 0.6, "end_s": 0.9})


def test_merged_beats_keep_their_distance_to_verified_ones():
    before = (Mark(1.0, 1, True), Mark(1.6, 2), Mark(2.0, 3, True))
    found = [Mark(0.52), Mark(1.02), Mark(1.51), Mark(2.04), Mark(2.5)]
    assert times(merge(before, found)) == [0.52, 1.0, 1.51, 2.0, 2.5]
    assert times(merge(before, found, 1.0, 2.0)) == [1.0, 1.51, 2.0]


@given(
    sure=st.sets(st.integers(0, 15)),
    steps=st.lists(
        st.tuples(st.sampled_from([name for name in OPERATIONS if name not in ("move", "delete")]), st.floats(0, 9)),
        max_size=8,
    ),
)
def test_no_operation_moves_or_removes_a_verified_beat(sure, steps):
    annotation = steady(sure=tuple(sure))
    for kind, time_s in steps:
        before = set(times(verified(annotation)))
        try:
            annotation = edit(annotation, kind, {"time_s": time_s, "start_s": time_s, "end_s": time_s + 1})
        except InputError:
            continue
        assert before <= set(times(annotation))
        assert len(to_beats(annotation)) == len(annotation)  # strictly increasing


@given(st.sets(st.integers(0, 40)), st.sets(st.integers(0, 40)))
def test_a_difference_leads_from_one_annotation_to_the_other_and_back(one, other):
    before, after = (tuple(Mark(0.1 * i) for i in sorted(numbers)) for numbers in (one, other))
    removed, added = difference(before, after)
    assert apply(before, removed, added) == after
    assert apply(after, added, removed) == before


def test_the_least_certain_bars_come_first_and_verified_ones_are_left_out():
    confidence = [0.9] * 4 + [0.2] * 4 + [0.6] * 4
    beats = Beats([0.5 * i for i in range(1, 13)], [1, 2, 3, 4] * 3, confidence, confidence)
    bars = uncertain_bars(of_beats(beats))
    assert [bar.start_s for bar in bars] == [2.5, 4.5, 0.5]
    assert bars[0].uncertainty == pytest.approx(0.8)
    verify = edit(of_beats(beats), "verify", {"start_s": 2.5, "end_s": 4.0})
    assert [bar.start_s for bar in uncertain_bars(verify)] == [4.5, 0.5]


@pytest.mark.parametrize(
    ("kind", "arguments", "problem"),
    [
        ("fly", {}, "no operation"),
        ("tap", {}, "needs a number"),
        ("tap", {"time_s": "1"}, "needs a number"),
        ("tap", {"time_s": -1}, "needs a number"),
        ("tap", {"time_s": math.nan}, "needs a number"),
        ("tap", {"time_s": True}, "needs a number"),
        ("delete", {"time_s": 1.0}, "no beats yet"),
    ],
)
def test_what_cannot_be_done_is_refused(kind, arguments, problem):
    with pytest.raises(InputError, match=problem):
        edit((), kind, arguments)
