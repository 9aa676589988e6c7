"""Beats the user is sure of: the decoder passes through them, or says which it cannot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from levada.beat_tracking.decoder import DecoderSettings, decode_beats, posteriors
from levada.beat_tracking.decoder.hints import hint_windows, widen_tempo_range
from levada.beat_tracking.decoder.peaks import snap_to_peaks
from levada.io.beats import Beats

Floats = npt.NDArray[np.float64]


def bumps(times_s: npt.ArrayLike, duration_s: float, *, downbeats_s: npt.ArrayLike = ()) -> Floats:
    frames = np.arange(round(duration_s * 100)) / 100
    activations = np.full((len(frames), 2), 0.02)
    for column, times in ((0, times_s), (1, downbeats_s)):
        for time in np.asarray(times):
            bump = 0.9 * np.exp(-0.5 * ((frames - time) / 0.02) ** 2)
            activations[:, column] = np.maximum(activations[:, column], bump)
    return activations


def assert_passes_through(found: Beats, hints: Beats, *, within_s: float = 0.025) -> None:
    index = np.abs(found.times_s[:, None] - hints.times_s).argmin(axis=0)
    assert (np.diff(index) > 0).all()
    assert np.abs(found.times_s[index] - hints.times_s).max(initial=0) <= within_s
    known = hints.positions > 0
    np.testing.assert_array_equal(found.positions[index][known], hints.positions[known])


def test_one_hint_moves_the_downbeat() -> None:
    times = np.arange(0.5, 20, 0.5)
    activations = bumps(times, 20, downbeats_s=times[::4])
    activations[:, 1] *= 0.6
    hints = Beats([times[13]], [1])
    known = DecoderSettings(metres=(4,), metre_change=0, min_tempo_bpm=100, max_tempo_bpm=140)
    assert decode_beats(activations, settings=known).positions[0] == 1
    found = decode_beats(activations, settings=known, hints=hints)
    assert len(found) == len(times)
    assert_passes_through(found, hints)
    np.testing.assert_array_equal(found.positions[13::4], 1)


def test_hints_against_the_sound_move_the_phase() -> None:
    """The network hears the offbeats; beats tapped over two bars put the rest right."""
    offbeats = np.arange(0.25, 20, 0.5)
    hints = Beats(np.arange(5.0, 9.1, 0.5))
    found = decode_beats(bumps(offbeats, 20), hints=hints)
    assert_passes_through(found, hints)
    assert len(found.between(5.1, 8.9)) == 7


def test_positions_beyond_the_downbeat() -> None:
    times = np.arange(0.5, 20, 0.5)
    hints = Beats(times[[6, 20]], [3, 2])
    found = decode_beats(bumps(times, 20), hints=hints)
    assert_passes_through(found, hints)


def test_dense_hints_are_the_result() -> None:
    rng = np.random.default_rng(3)
    times = np.cumsum(rng.uniform(0.4, 0.65, 30))
    hints = Beats(times, np.arange(30) % 4 + 1)
    found = decode_beats(np.full((2000, 2), 0.3), hints=hints)
    assert_passes_through(found, hints)
    assert len(found.between(times[0], times[-1] + 0.01)) == 30


def test_one_hint_in_silence_is_a_beat() -> None:
    found = decode_beats(np.zeros((500, 2)), hints=Beats([2.504]))
    np.testing.assert_array_equal(found.times_s, [2.504])


def test_hints_at_both_ends() -> None:
    hints = Beats([0.0, 9.999], [3, 2])
    times = np.arange(0, 10, 0.5)
    found = decode_beats(bumps(times, 10, downbeats_s=times[::4]), hints=hints)
    assert_passes_through(found, hints)


def test_no_hints_are_no_hints() -> None:
    activations = bumps(np.arange(0.5, 10, 0.5), 10)
    assert decode_beats(activations, hints=Beats([])) == decode_beats(activations)


def test_posteriors_are_certain_at_hints() -> None:
    result = posteriors(np.full((600, 2), 0.1), hints=Beats([3.0], [1]))
    np.testing.assert_allclose(result[290:311].sum(axis=0), 1, atol=1e-6)


@pytest.mark.parametrize(
    ("hints", "low", "high"),
    [
        (Beats([1.0, 1.25, 1.5]), 55, 244.8),  # a beat of 0.25 s is 240 bpm
        (Beats([1.0, 2.2]), 55, 215),  # may be two beats at 100 bpm
        (Beats([1.0, 2.15], [3, 4]), 51.15, 215),  # one beat at 52 bpm, for five would be too fast
        (Beats([1.0, 11.0], [1, 1]), 55, 215),
        (Beats([1.0]), 55, 215),
    ],
)
def test_tempo_range_widens_only_where_it_must(hints: Beats, low: float, high: float) -> None:
    wide = widen_tempo_range(DecoderSettings(), hints)
    assert (wide.min_tempo_bpm, wide.max_tempo_bpm) == pytest.approx((low, high), rel=1e-3)


def test_fast_and_slow_hints_are_met() -> None:
    for interval in (0.17, 1.15):
        times = np.arange(1.0, 9.0, interval)
        hints = Beats(times, np.arange(len(times)) % 4 + 1)
        found = decode_beats(
            np.full((1000, 2), 0.1), hints=hints, settings=DecoderSettings(metres=(4,), metre_change=0)
        )
        assert_passes_through(found, hints)
        assert len(found.between(times[0], times[-1] + 0.01)) == len(times)


def test_hints_may_ask_for_tempi_the_stiffness_forbids() -> None:
    hints = Beats(np.cumsum(np.tile([0.4, 1.0], 5)), np.arange(10) % 2 + 1)
    stiff = DecoderSettings(tempo_stiffness=1e4, metres=(2,))
    assert_passes_through(decode_beats(np.full((800, 2), 0.2), settings=stiff, hints=hints), hints)


def test_a_narrow_tempo_range_is_widened() -> None:
    narrow = DecoderSettings(min_tempo_bpm=119, max_tempo_bpm=121)
    hints = Beats([1.0, 1.8])
    found = decode_beats(np.full((400, 2), 0.2), settings=narrow, hints=hints)
    assert_passes_through(found, hints)


def jittered(times_s: Floats, *, seed: int = 0, by_s: float = 0.02) -> Beats:
    rng = np.random.default_rng(seed)
    return Beats(times_s + rng.uniform(-by_s, by_s, len(times_s)), np.arange(len(times_s)) % 4 + 1)


def test_the_jitter_of_a_person_does_not_stay_where_there_are_peaks() -> None:
    times = np.arange(0.5, 10, 0.5)
    hints = jittered(times)
    found = decode_beats(bumps(times, 10), hints=hints)
    assert np.abs(hints.times_s - times).max() > 0.015
    assert np.abs(found.times_s - times).max() < 0.003
    np.testing.assert_array_equal(found.positions, hints.positions)
    assert found.confidence is not None
    assert (found.confidence == 1).all()


def test_hints_are_exact_if_that_is_asked_for() -> None:
    times = np.arange(0.5, 10, 0.5)
    hints = jittered(times)
    assert_passes_through(decode_beats(bumps(times, 10), hints=hints, hint_tolerance_s=0), hints, within_s=0)


@pytest.mark.parametrize("activation", [np.zeros(1000), np.full(1000, 0.7), np.linspace(0, 1, 1000)])
def test_hints_are_exact_where_there_is_no_peak(activation: Floats) -> None:
    hints = jittered(np.arange(0.5, 9.9, 0.5))
    found = decode_beats(np.stack([activation, activation / 2], 1), hints=hints)
    assert_passes_through(found, hints, within_s=0)


def test_peaks_that_are_far_low_or_broad_move_nothing() -> None:
    fps, at = 100.0, np.array([1.0])
    frames = np.arange(300)
    for peak in (
        0.9 * np.exp(-0.5 * ((frames - 104) / 1.5) ** 2),  # 40 ms late
        0.1 * np.exp(-0.5 * ((frames - 101) / 1.5) ** 2),
        0.9 * np.exp(-0.5 * ((frames - 101) / 30.0) ** 2),
    ):
        np.testing.assert_array_equal(snap_to_peaks(at, peak, fps=fps, tolerance_s=0.025), at)
    near = 0.9 * np.exp(-0.5 * ((frames - 101.4) / 1.5) ** 2)
    assert snap_to_peaks(at, near, fps=fps, tolerance_s=0.025)[0] == pytest.approx(1.014, abs=0.001)
    assert snap_to_peaks(np.zeros(0), near, fps=fps, tolerance_s=0.025).shape == (0,)


@pytest.mark.parametrize(
    ("hints", "met", "named"),
    [
        (Beats([1.0, 1.005, 2.0]), Beats([1.0, 2.0]), ["hint 2 at 1.005 s"]),
        (Beats([1.0, 2.0, 2.1]), Beats([1.0, 2.0]), ["hint 3 at 2.100 s"]),
        (Beats([1.0, 2.0], [5, 2]), Beats([1.0, 2.0], [0, 2]), ["hint 1 at 1.000 s, beat 5"]),
        (Beats([1.0, 12.0], [2, 1]), Beats([1.0], [2]), ["hint 2 at 12.000 s"]),
        (Beats([1.0, 12.0, 13.0]), Beats([1.0]), ["hint 2 at 12.000 s", "hint 3 at 13.000 s"]),
        (Beats([20.0]), Beats([]), ["hint 1 at 20.000 s"]),
        (Beats([1.0, 1.5, 2.0], [1, 3, 4]), Beats([1.0, 1.5, 2.0], [0, 3, 4]), ["hint 1 at 1.000 s, beat 1"]),
    ],
)
def test_hints_that_cannot_be_are_named_and_the_others_count(
    hints: Beats, met: Beats, named: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    activations = bumps(np.arange(0.5, 10, 0.5), 10)
    found = decode_beats(activations, hints=hints, settings=DecoderSettings(max_tempo_bpm=140))
    assert len(caplog.messages) == len(named)
    assert all(name in message for name, message in zip(named, caplog.messages, strict=True))
    caplog.clear()
    assert found == decode_beats(activations, hints=met, settings=DecoderSettings(max_tempo_bpm=140))
    assert not caplog.messages
    if len(met):
        assert_passes_through(found, met)
    again = posteriors(activations, hints=hints)
    assert len(caplog.messages) == len(named)
    np.testing.assert_array_equal(again, posteriors(activations, hints=met))


@pytest.mark.parametrize("most", [215.0, 300.0])
@pytest.mark.parametrize(
    ("positions", "wrong"),
    [([2, 2, 3, 4, 1, 2, 3, 4], [0, 1]), ([1, 2, 3, 4, 2, 2, 3, 4], [4]), ([1, 2, 4, 1, 2, 3, 4, 1], [1, 2])],
)
def test_no_beats_are_made_to_honour_a_number(positions: list[int], wrong: list[int], most: float) -> None:
    """Two beats in half a second, or more, would be in the tempo range, or widen it: the others are of 120 bpm."""
    hints = Beats(np.arange(1, 9) * 0.5, positions)
    found = decode_beats(np.full((450, 2), 0.2), settings=DecoderSettings(max_tempo_bpm=most), hints=hints)
    inside = found.between(0.45, 4.05)
    np.testing.assert_allclose(inside.times_s, hints.times_s, atol=0.001)
    differ = np.flatnonzero(inside.positions != hints.positions).tolist()
    assert len(differ) <= 1
    assert set(differ) <= set(wrong)


def test_where_two_hints_exclude_each_other_one_is_left_out(caplog: pytest.LogCaptureFixture) -> None:
    """Each two hints would do: a bar of three, a bar of four, but the metre may not change."""
    hints = Beats(np.arange(1.0, 8.0, 0.6), [1, 2, 3, 1, 2, 3, 1, 2, 3, 4, 1, 2])
    kept = DecoderSettings(metres=(3, 4), metre_change=0, min_tempo_bpm=90, max_tempo_bpm=110)
    found = decode_beats(np.full((1000, 2), 0.2), settings=kept, hints=hints)
    np.testing.assert_allclose(found.between(0.9, 7.7).times_s, hints.times_s, atol=0.001)
    assert (found.between(0.9, 7.7).positions != hints.positions).sum() == len(caplog.messages) == 3
    assert set(found.metres) == {3}
    caplog.clear()
    assert posteriors(np.full((1000, 2), 0.2), settings=kept, hints=hints).shape == (1000, 2)
    assert len(caplog.messages) == 3


def test_a_stray_hint_leaves_the_others_alone() -> None:
    """A tap between two beats, in a tempo that no beats have: the others are more."""
    times = np.arange(0.5, 10, 0.5)
    hints = Beats(np.sort([*times, 5.1]))
    found = decode_beats(bumps(times, 10), hints=hints)
    np.testing.assert_allclose(found.times_s, times, atol=0.002)


def test_hints_for_an_empty_recording(caplog: pytest.LogCaptureFixture) -> None:
    assert len(decode_beats(np.zeros((0, 2)), hints=Beats([0.0]))) == 0
    assert "hint 1 at 0.000 s" in caplog.messages[0]


@settings(max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(1, 12), most=st.integers(0, 6))
def test_whatever_is_hinted_there_are_beats(seed: int, n: int, most: int) -> None:
    rng = np.random.default_rng(seed)
    hints = Beats(np.unique(rng.uniform(0, 7, n).round(3)))
    hints = Beats(hints.times_s, rng.integers(0, most + 1, len(hints)))
    beliefs = DecoderSettings(tempi=12, threshold=0, metre_change=0, metres=(3, 4))
    activations = rng.uniform(0, 1, (600, 2)) ** 4
    found = decode_beats(activations, settings=beliefs, hints=hints)
    assert len(found) >= 5
    assert (np.diff(found.times_s) > 0).all()
    assert np.isfinite(posteriors(activations, settings=beliefs, hints=hints)).all()


def test_windows_never_share_a_frame() -> None:
    windows = hint_windows(Beats([0.3, 0.6, 0.85]), frames=10, fps=10, settings=DecoderSettings())
    assert (windows.first[1:] > windows.last[:-1]).all()


@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    fps=st.sampled_from([20.0, 43.066, 50.0, 100.0]),
    width=st.sampled_from([2.0, 5.0, 16.0]),
    n=st.integers(0, 3),
)
@example(seed=1158, fps=100.0, width=2.0, n=2)
@example(seed=11, fps=100.0, width=2.0, n=3)
def test_times_always_rise(seed: int, fps: float, width: float, n: int) -> None:
    """`Beats` refuses times that do not; whatever is heard and hinted, they must."""
    rng = np.random.default_rng(seed)
    activations = rng.uniform(0, 1, (int(6 * fps), 2)) ** rng.uniform(0.2, 8)
    hints = Beats(np.sort(rng.choice(np.arange(0.2, 5.8, 0.7), n, replace=False)) + rng.uniform(-0.1, 0.1, n))
    beliefs = DecoderSettings(beat_width=width, tempi=12, threshold=0)
    found = decode_beats(activations, fps=fps, settings=beliefs, hints=hints)
    assert len(found) >= 5
    assert_passes_through(found, hints)
