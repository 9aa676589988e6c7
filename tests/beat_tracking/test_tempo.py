"""The tempo over time, and the pieces of a recording with pauses."""

import numpy as np
import pytest

from levada.beat_tracking.analysis import Analysis
from levada.beat_tracking.tempo import find_pieces, stretches_without_beats, tempo_curve
from levada.io.beats import Beats


def steady(bpm, start_s, end_s, *, metre=4):
    times = np.arange(start_s, end_s, 60 / bpm)
    return times, np.arange(len(times)) % metre + 1


def joined(*parts):
    return Beats(*(np.concatenate(values) for values in zip(*parts, strict=True)))


class TestTempoCurve:
    def test_of_a_steady_beat(self):
        times, bpm = tempo_curve(Beats(steady(120, 1, 20)[0]))
        np.testing.assert_allclose(bpm, 120)
        np.testing.assert_allclose(times[:2], [1.25, 1.75])

    @pytest.mark.parametrize("count", [0, 1])
    def test_of_hardly_any_beats(self, count):
        times, bpm = tempo_curve(Beats(np.arange(count)))
        assert len(times) == len(bpm) == 0

    def test_has_no_spikes_at_wrong_beats(self):
        times = steady(100, 0, 60)[0]
        wrong = np.sort(np.r_[np.delete(times, [20, 50]), times[33] + 0.3, 41.111])
        np.testing.assert_allclose(tempo_curve(Beats(wrong))[1], 100, rtol=0.03)

    def test_of_jitter_is_smooth(self):
        times = steady(100, 0, 60)[0] + np.random.default_rng(0).uniform(-0.02, 0.02, 100)
        np.testing.assert_allclose(tempo_curve(Beats(times + 1))[1], 100, rtol=0.02)

    def test_changes_at_once(self):
        before = steady(90, 0, 30)[0]
        after = np.arange(before[-1] + 60 / 140, 60, 60 / 140)
        times, bpm = tempo_curve(Beats(np.r_[before, after]))
        np.testing.assert_allclose(bpm[times < before[-1]], 90)
        np.testing.assert_allclose(bpm[times > before[-1]], 140)

    def test_of_unequal_beats_is_their_mean(self):
        cycle = np.tile([2, 3], 30) * 0.15
        bpm = tempo_curve(Beats(np.cumsum(cycle)))[1]
        np.testing.assert_allclose(bpm[4:-4], 60 / 0.375, rtol=0.03)

    def test_has_gaps_at_pauses(self):
        beats = joined(steady(120, 0, 20), steady(80, 35, 60))
        times, bpm = tempo_curve(beats)
        (pause,) = np.flatnonzero(np.isnan(bpm))
        assert 19.5 < times[pause] < 35
        np.testing.assert_allclose(np.delete(bpm, pause), np.where(np.delete(times, pause) < 20, 120, 80))


class TestPieces:
    def test_of_a_rehearsal(self):
        beats = joined(steady(90, 5, 60), steady(140, 75, 120, metre=3), steady(60, 121 + 30, 200))
        pieces = find_pieces(beats)
        assert [round(piece.tempo_bpm) for piece in pieces] == [90, 140, 60]
        assert [piece.metre for piece in pieces] == [4, 3, 4]
        assert [piece.start_s for piece in pieces] == [5, 75, 151]
        assert pieces[0].end_s == pytest.approx(59.67, abs=0.01)
        assert sum(piece.beats for piece in pieces) == len(beats)
        assert Analysis(beats).to_json()["pieces"] == Analysis(beats).summary()["pieces"]
        assert Analysis(beats).to_json()["pieces"][1]["metre"] == 3

    def test_of_a_song_with_a_break_is_one(self):
        assert len(find_pieces(joined(steady(120, 0, 30), steady(121, 36, 60)))) == 1

    def test_with_another_tempo_after_a_short_pause_are_two(self):
        assert len(find_pieces(joined(steady(120, 0, 30), steady(140, 34, 60)))) == 2

    def test_are_long_enough(self):
        assert len(find_pieces(joined(steady(120, 0, 30), steady(100, 50, 53)))) == 1
        assert find_pieces(Beats([])) == find_pieces(Beats([3.0])) == ()


def test_a_stretch_without_beats_is_a_pause_everywhere():
    """Of 1.9 s it is a rest, of 2.1 s a pause: between pieces, in the curve, and among the stretches without beats."""
    for gap_s, is_pause in ((1.9, False), (2.1, True)):
        beats = joined(steady(120, 0, 30), steady(140, 30 + gap_s, 60))
        without = stretches_without_beats(beats, duration_s=60)
        assert (
            (len(find_pieces(beats)) == 2) == bool(np.isnan(tempo_curve(beats)[1]).any()) == bool(without) == is_pause
        )
        np.testing.assert_allclose(without, [(30.0, 30.0 + gap_s)] * is_pause, atol=0.05)
