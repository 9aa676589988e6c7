"""Beats the user is sure of: the decoder passes through them, or says which it cannot."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from levada.beat_tracking.decoder import DecoderSettings, decode_beats, posteriors
from levada.beat_tracking.decoder.hints import hint_windows, widen_tempo_range
from levada.errors import InputError
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


def assert_passes_through(found: Beats, hints: Beats) -> None:
    index = np.searchsorted(found.times_s, hints.times_s)
    np.testing.assert_array_equal(found.times_s[index], hints.times_s)
    known = hints.positions > 0
    np.testing.assert_array_equal(found.positions[index][known], hints.positions[known])
    assert found.confidence is not None
    np.testing.assert_array_equal(found.confidence[index], 1.0)


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


def test_numpy_and_numba_pass_through_alike() -> None:
    pytest.importorskip("numba")
    activations = np.random.default_rng(0).uniform(0, 1, (900, 2))
    hints = Beats([1.0, 4.02, 4.5], [1, 0, 2])
    assert decode_beats(activations, hints=hints, impl="numpy") == decode_beats(activations, hints=hints, impl="numba")


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


@pytest.mark.parametrize(
    ("hints", "message"),
    [
        (Beats([1.0, 1.005]), r"hint 1 at 1.000 s and hint 2 at 1.005 s cannot both be beats"),
        (Beats([1.0, 2.0, 2.1]), r"hint 2 at 2.000 s and hint 3 at 2.100 s"),
        (Beats([1.0], [5]), r"hint 1 at 1.000 s is beat 5 of its bar.*metres are 2, 3, 4"),
        (Beats([1.0, 12.0]), r"hint 2 at 12.000 s comes after the end of the recording \(10.000 s\)"),
        (Beats([1.0, 1.2, 1.4], [1, 1, 1]), "hint 1 at 1.000 s and hint 2 at 1.200 s"),
    ],
)
def test_impossible_hints(hints: Beats, message: str) -> None:
    activations = bumps(np.arange(0.5, 10, 0.5), 10)
    with pytest.raises(InputError, match=message):
        decode_beats(activations, hints=hints)
    with pytest.raises(InputError, match=message):
        posteriors(activations, hints=hints)


@pytest.mark.parametrize(
    ("positions", "words"),
    [
        ([2, 2, 3, 4, 1, 2, 3, 4], "hint 1 at 0.500 s and hint 2 at 1.000 s are beats 2 and 2 of a bar"),
        ([1, 2, 3, 4, 2, 2, 3, 4], "hint 4 at 2.000 s and hint 5 at 2.500 s are beats 4 and 2 of a bar"),
        ([1, 2, 4, 1, 2, 3, 4, 1], "hint 2 at 1.000 s and hint 3 at 1.500 s are beats 2 and 4 of a bar"),
    ],
)
def test_no_beats_are_made_to_honour_a_number(positions: list[int], words: str) -> None:
    """Two beats in half a second, or more, would be in the tempo range, or widen it: the others are of 120 bpm."""
    hints = Beats(np.arange(1, 9) * 0.5, positions)
    for most in (215.0, 300.0):
        with pytest.raises(InputError, match=words):
            decode_beats(np.full((600, 2), 0.2), settings=DecoderSettings(max_tempo_bpm=most), hints=hints)


def test_the_first_hint_that_fits_no_bar_is_named() -> None:
    """Each two hints would do: a bar of three, a bar of four, but the metre may not change."""
    hints = Beats(np.arange(1.0, 8.0, 0.6), [1, 2, 3, 1, 2, 3, 1, 2, 3, 4, 1, 2])
    kept = DecoderSettings(metres=(3, 4), metre_change=0, min_tempo_bpm=90, max_tempo_bpm=110)
    for function in (decode_beats, posteriors):
        with pytest.raises(InputError, match=r"hint 10 at 6.400 s does not fit after hint 9 at 5.800 s"):
            function(np.full((1000, 2), 0.2), settings=kept, hints=hints)


def test_hints_for_an_empty_recording() -> None:
    with pytest.raises(InputError, match="after the end"):
        decode_beats(np.zeros((0, 2)), hints=Beats([0.0]))


def test_windows_never_share_a_frame() -> None:
    windows = hint_windows(Beats([0.3, 0.6, 0.85]), frames=10, fps=10, settings=DecoderSettings())
    assert (windows.first[1:] > windows.last[:-1]).all()


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    fps=st.sampled_from([20.0, 43.066, 50.0, 100.0]),
    width=st.sampled_from([2.0, 5.0, 16.0]),
    n=st.integers(0, 3),
)
def test_times_always_rise(seed: int, fps: float, width: float, n: int) -> None:
    """`Beats` refuses times that do not; whatever is heard and hinted, they must."""
    rng = np.random.default_rng(seed)
    activations = rng.uniform(0, 1, (int(6 * fps), 2)) ** rng.uniform(0.2, 8)
    hints = Beats(np.sort(rng.choice(np.arange(0.2, 5.8, 0.7), n, replace=False)) + rng.uniform(-0.1, 0.1, n))
    beliefs = DecoderSettings(beat_width=width, tempi=12, threshold=0)
    found = decode_beats(activations, fps=fps, settings=beliefs, hints=hints, impl="numpy")
    assert len(found) >= 5
    assert_passes_through(found, hints)
