"""What the decoder believes: checked, saved, learnt from labels."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, asdict
from typing import Any

import numpy as np
import pytest

from levada.beat_tracking.decoder import DecoderSettings, learn_settings
from levada.beat_tracking.decoder.state_space import bar_pointer, beat_lengths
from levada.errors import InputError
from levada.io.beats import Beats


def test_round_trip_through_json() -> None:
    settings = DecoderSettings(metres=(4, 7), metre_weights=(3, 1), tempo_mean_bpm=90.0, tempo_spread_octaves=0.3)
    assert DecoderSettings.from_dict(json.loads(json.dumps(asdict(settings)))) == settings
    assert DecoderSettings.from_dict({}) == DecoderSettings()


def test_frozen() -> None:
    with pytest.raises(FrozenInstanceError):
        DecoderSettings().metres = (3,)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tempo": 3}, "unknown decoder settings tempo; there are min_tempo_bpm"),
        ({"min_tempo_bpm": "slow"}, "min_tempo_bpm must be a finite number, not 'slow'"),
        ({"min_tempo_bpm": None}, "min_tempo_bpm"),
        ({"max_tempo_bpm": float("nan")}, "max_tempo_bpm must be a finite number"),
        ({"min_tempo_bpm": 0}, "above 0"),
        ({"min_tempo_bpm": 1e-6}, "at least 5"),
        ({"min_tempo_bpm": 300}, "not above max_tempo_bpm"),
        ({"tempi": 0}, "tempi must be a whole number"),
        ({"tempi": 2.5}, "tempi must be a whole number"),
        ({"tempi": True}, "tempi must be a whole number"),
        ({"tempo_mean_bpm": 100}, "give both or neither"),
        ({"tempo_mean_bpm": -100, "tempo_spread_octaves": 1}, "tempo_mean_bpm must be above 0"),
        ({"tempo_mean_bpm": 100, "tempo_spread_octaves": 0}, "tempo_spread_octaves must be above 0"),
        ({"tempo_stiffness": -1}, "tempo_stiffness"),
        ({"metres": []}, "at least one"),
        ({"metres": 4}, "metres must be a list"),
        ({"metres": "34"}, "metres must be a list"),
        ({"metres": [4, 0]}, "each of metres must be a whole number from 1 to 64"),
        ({"metres": [4, 4]}, "twice"),
        ({"metre_weights": [1, 2]}, "3 metres but 2 metre_weights"),
        ({"metre_weights": [1, 0, 2]}, "must be above 0"),
        ({"metre_weights": ["a", "b", "c"]}, "finite number"),
        ({"metre_change": 1.5}, "between 0 and 1"),
        ({"threshold": -0.1}, "between 0 and 1"),
        ({"beat_width": 1}, "at least 2"),
    ],
)
def test_wrong_values(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        DecoderSettings.from_dict(values)


@pytest.mark.parametrize("values", [None, [], "metres", 3])
def test_not_even_a_table(values: object) -> None:
    with pytest.raises(InputError, match="table of names and values"):
        DecoderSettings.from_dict(values)  # type: ignore[arg-type]


def test_beat_lengths() -> None:
    lengths = beat_lengths(fps=100, settings=DecoderSettings())
    assert (len(lengths), lengths[0], lengths[-1]) == (60, 28, 109)
    assert (np.diff(lengths) > 0).all()
    np.testing.assert_array_equal(beat_lengths(fps=100, settings=DecoderSettings(tempi=1000)), np.arange(28, 110))
    np.testing.assert_array_equal(beat_lengths(fps=50, settings=DecoderSettings(tempi=1)), [14])


def test_probabilities_of_the_model_sum_to_one() -> None:
    settings = DecoderSettings(
        metres=(3, 4), metre_weights=(1, 3), metre_change=0.1, tempo_mean_bpm=100, tempo_spread_octaves=0.05
    )
    model = bar_pointer(np.full((10, 2), 0.5), fps=100, settings=settings)
    assert (np.exp(model.begin) * model.lengths[:, None]).sum() == pytest.approx(1)
    np.testing.assert_allclose(np.exp(model.tempo_change).sum(axis=1), 1)
    np.testing.assert_allclose(np.exp(model.bar_change), [[0.9 + 0.025, 0.075], [0.025, 0.9 + 0.075]])
    np.testing.assert_allclose(np.exp(model.position_change).sum(axis=1), 1)


def labels(bpm: float, bars: int, *, metre: int = 4, jitter: float = 0.0) -> Beats:
    n = bars * metre + 1
    rng = np.random.default_rng(0)
    return Beats(1 + np.arange(n) * 60 / bpm + rng.normal(0, jitter, n), np.arange(n) % metre + 1)


def test_one_recording_says_little_about_the_tempo_of_the_next() -> None:
    one, five = learn_settings([labels(120, 250)]), learn_settings([labels(120, 50)] * 5)
    assert one.max_tempo_bpm == pytest.approx(120 * 2**0.7)
    assert five.max_tempo_bpm == pytest.approx(120 * 2 ** (0.2 + 1 / np.sqrt(20)))


def test_tempi_of_few_labels_are_wider() -> None:
    few, many = learn_settings([labels(120, 2)]), learn_settings([labels(120, 50)] * 9)
    assert few.min_tempo_bpm < many.min_tempo_bpm < 120 < many.max_tempo_bpm < few.max_tempo_bpm
    assert (few.min_tempo_bpm, few.max_tempo_bpm) == pytest.approx((120 / 2**0.7, 120 * 2**0.7))
    assert many.tempo_mean_bpm == pytest.approx(120)
    assert many.tempo_spread_octaves == pytest.approx(0.2 + 1 / np.sqrt(36))


def test_tempi_cover_all_recordings() -> None:
    learnt = learn_settings([labels(90, 10), labels(150, 10)])
    assert learnt.min_tempo_bpm < 80
    assert learnt.max_tempo_bpm > 170


def test_missed_and_doubled_beats_do_not_widen_the_tempi() -> None:
    beats = labels(120, 20)
    kept = np.delete(np.arange(len(beats)), [11, 40])
    damaged = Beats(np.sort([*beats.times_s[kept], beats.times_s[20] + 0.25]))
    learnt, clean = learn_settings([damaged]), learn_settings([beats])
    assert learnt.min_tempo_bpm == pytest.approx(clean.min_tempo_bpm, rel=0.02)
    assert learnt.max_tempo_bpm == pytest.approx(clean.max_tempo_bpm, rel=0.02)


def test_metres_never_seen_go_only_after_twelve_bars() -> None:
    few = learn_settings([labels(120, 4)])
    assert few.metres == (2, 3, 4)
    assert few.metre_weights == pytest.approx((1 / 7, 1 / 7, 5 / 7))
    assert learn_settings([labels(120, 12)]).metres == (4,)
    assert learn_settings([labels(120, 6), labels(100, 6, metre=3)]).metres == (3, 4)


def test_new_metres_need_two_bars_and_a_twentieth() -> None:
    assert learn_settings([labels(120, 20, metre=7)]).metres == (7,)
    slips = labels(120, 60)
    assert learn_settings([slips, labels(120, 1, metre=5)]).metres == (4,)
    assert learn_settings([slips, labels(120, 2, metre=5)]).metres == (4,)
    assert learn_settings([slips, labels(120, 4, metre=5)]).metres == (4, 5)


def test_metre_changes_are_counted() -> None:
    positions = np.array([*([1, 2, 3, 4, 1, 2, 3] * 10), 1])
    mixed = learn_settings([Beats(np.arange(len(positions)) * 0.5, positions)])
    assert mixed.metres == (3, 4)
    assert mixed.metre_change == pytest.approx((19 + 0.05) / (19 + 50))
    assert learn_settings([labels(120, 50)]).metre_change < DecoderSettings().metre_change


def test_incomplete_bars_are_not_counted() -> None:
    gap = Beats(np.arange(9) * 0.5, [3, 4, 1, 2, 4, 1, 2, 3, 4])
    assert learn_settings([gap]).metre_weights is None
    only_downbeats = Beats(np.arange(9) * 0.5, [0, 1, 0, 0, 0, 1, 0, 0, 0])
    assert learn_settings([only_downbeats]).metre_weights == pytest.approx((1 / 4, 1 / 4, 2 / 4))


def test_what_labels_do_not_say_stays() -> None:
    start = DecoderSettings(metres=(5,), tempo_stiffness=70, threshold=0.2)
    assert learn_settings([], start=start) == start
    assert learn_settings([Beats([]), Beats([1.0], [1])], start=start) == start
    learnt = learn_settings([Beats(np.arange(20) * 0.5)], start=start)
    assert (learnt.metres, learnt.tempo_stiffness, learnt.threshold) == ((5,), 70, 0.2)
    assert learnt.tempo_mean_bpm == pytest.approx(120)


def test_labels_slower_than_any_beat_are_refused() -> None:
    with pytest.raises(InputError, match=r"60\.0 s apart"):
        learn_settings([Beats(np.arange(9) * 60.0)])
    assert learn_settings([Beats(np.arange(9) * 10.0)]).min_tempo_bpm == 5.0


def test_what_no_memory_would_hold_is_refused_before_it_is_asked_for() -> None:
    settings = DecoderSettings(min_tempo_bpm=5, tempi=1000, metres=tuple(range(1, 65)))
    with pytest.raises(InputError, match="GiB"):
        bar_pointer(np.full((100, 2), 0.1), fps=100, settings=settings)


@pytest.mark.parametrize(
    ("given", "expected"),
    [(120, (120 / 1.08, 129.6)), ((100, 140), (100, 140)), ([90.0, 90.0], (90, 90)), (5, (5, 5.4))],
)
def test_a_tempo_has_room_and_a_range_none(given: Any, expected: tuple[float, float]) -> None:
    settings = DecoderSettings().restrict(tempo_bpm=given)
    assert (settings.min_tempo_bpm, settings.max_tempo_bpm) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (0, "from 5 to 500 bpm, not 0"),
        (-3, "not -3"),
        (501, "not 501"),
        ((140, 100), "140-100"),
        (("a", 3), "'a'"),
        ("120", "'120'"),
        ((1, 2, 3), "one number or two"),
        (float("nan"), "finite"),
        (True, "True"),
    ],
)
def test_tempi_that_are_none(given: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        DecoderSettings().restrict(tempo_bpm=given)


def test_priors_stay_where_they_fit_the_range_and_the_metres() -> None:
    learnt = DecoderSettings(
        metres=(2, 3, 4), metre_weights=(1, 2, 7), tempo_mean_bpm=100, tempo_spread_octaves=0.1, metre_change=0.2
    )
    inside = learnt.restrict(tempo_bpm=(90, 110), metres=(4, 2))
    assert (inside.tempo_mean_bpm, inside.metres, inside.metre_weights) == (100, (4, 2), (7, 1))
    outside = learnt.restrict(tempo_bpm=200, metres=(2, 5))
    assert (outside.tempo_mean_bpm, outside.tempo_spread_octaves, outside.metre_weights) == (None, None, None)
    assert outside.metre_change == 0.2
    assert learnt.restrict() == learnt


@pytest.mark.parametrize("metres", [(), (0,), (65,), (2, 2), ("3",), "34", 3])
def test_metres_that_are_none(metres: Any) -> None:
    with pytest.raises(InputError, match="metres"):
        DecoderSettings().restrict(metres=metres)


def test_beats_of_unequal_length_are_learnt() -> None:
    """The tempo is that of the usual beat, and has no more spread than with equal beats."""
    rng = np.random.default_rng(0)
    intervals = np.tile([0.4, 0.4, 0.4, 0.6], 14) * (1 + rng.normal(0, 0.02, 56))
    beats = Beats(np.cumsum([0.5, *intervals]), np.arange(57) % 4 + 1)
    settings = learn_settings([beats])
    assert settings.metres == ("2+2+2+3",)
    assert settings.tempo_mean_bpm == pytest.approx(150, rel=0.02)
    even = learn_settings([Beats(np.cumsum([0.5, *(0.4 * (1 + rng.normal(0, 0.02, 56)))]), np.arange(57) % 4 + 1)])
    assert settings.max_tempo_bpm == pytest.approx(even.max_tempo_bpm, rel=0.05)
    few = learn_settings([Beats(beats.times_s[:25], beats.positions[:25])])
    assert few.metres == (2, 3, "2+2+2+3", 4)
