"""The figure of a recording: of any length, and of every kind of tracker."""

from dataclasses import replace

import numpy as np
import pytest

from levada.beat_tracking.curves import LONGEST_S, ActivationRecorder, Curves
from levada.beat_tracking.external.tracker import ExternalTracker
from levada.beat_tracking.network_tracker import flux_tracker
from levada.beat_tracking.pretrained import load_tracker
from levada.beat_tracking.track_plot import plot_track
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats

pytest.importorskip("matplotlib", reason="matplotlib is not installed (levada[plot])")

MOST_PIXELS = 5_000_000


def beats_of(end_s, *, bpm=120.0, confidence=0.9):
    times = np.arange(0.5, end_s, 60 / bpm)
    return Beats(times, np.arange(len(times)) % 4 + 1, np.full(len(times), confidence))


def curves_of(end_s):
    return Curves(np.zeros((round(end_s * 100), 2), np.float32), ("beat activation", "downbeat activation"), 100.0)


def labels(axes):
    return set(axes.get_legend_handles_labels()[1])


class TestPlot:
    @pytest.mark.parametrize("end_s", [0.01, 3.0, 25.0, 180.0, LONGEST_S, 400.0, 3605.0, 10 * 3600.0, 30 * 3600.0])
    def test_of_any_length_is_readable(self, tmp_path, drawn, end_s):
        curves = curves_of(end_s) if end_s <= LONGEST_S else None
        plot_track(tmp_path / "a.png", beats_of(end_s, bpm=60), curves, title="a", end_s=end_s)
        (figure,) = drawn
        width, height = figure.canvas.get_width_height()
        assert width * height < MOST_PIXELS
        rows = figure.axes[1 + (end_s > 0.5) :]
        assert 1 <= len(rows) <= 12
        edges = [row.get_xlim() for row in rows]
        assert edges[0][0] == 0
        assert edges[-1][1] >= end_s - 1e-6
        assert [first for first, _ in edges[1:]] == [last for _, last in edges[:-1]]
        for axes in figure.axes:
            shown = [label.get_text() for label in axes.get_xticklabels()]
            assert 1 <= len(shown) <= 15
            assert len(set(shown)) == len(shown)

    def test_times_are_as_clocks_show_them(self, tmp_path, drawn):
        plot_track(tmp_path / "a.png", beats_of(150), curves_of(150), title="a", start_s=100, end_s=150)
        assert [label.get_text() for label in drawn[0].axes[0].get_xticklabels()][:2] == ["1:40", "1:45"]

    def test_shows_activations_and_every_beat_of_a_song(self, tmp_path, drawn):
        plot_track(tmp_path / "a.png", beats_of(60), curves_of(60), title="a", end_s=60, hints=Beats([0.5, 1.0]))
        tempo, confidence, *rows = drawn[0].axes
        assert labels(tempo) == {"tempo"}
        assert labels(confidence) == {"confidence of beats"}
        assert labels(rows[1]) == {"beat activation", "downbeat activation", "beat", "downbeat"} | {"hint"}
        marks = [line.get_xdata() for row in rows for line in row.get_lines() if line.get_label() == "downbeat"]
        np.testing.assert_allclose(np.concatenate(marks), beats_of(60).downbeats_s)

    def test_shows_tempo_and_downbeats_of_an_hour(self, tmp_path, drawn):
        plot_track(tmp_path / "a.png", beats_of(3600), None, title="a", end_s=3600)
        assert all(labels(row) == {"tempo", "downbeat"} for row in drawn[0].axes[2:])

    def test_shades_what_is_uncertain_and_numbers_pieces(self, tmp_path, drawn):
        one, two = beats_of(30), beats_of(30, bpm=90, confidence=0.2).shift(60)
        both = Beats(
            *(np.r_[getattr(one, name), getattr(two, name)] for name in ("times_s", "positions", "confidence"))
        )
        plot_track(tmp_path / "a.png", both, curves_of(90), title="a", end_s=90)
        tempo = drawn[0].axes[0]
        assert "confidence below 0.5" in labels(tempo)
        assert [text.get_text() for text in tempo.texts] == ["1", "2"]

    def test_without_beats_or_confidences(self, tmp_path, drawn):
        plot_track(tmp_path / "a.png", Beats([]), curves_of(20), title="$a_{b$", end_s=20)
        plot_track(tmp_path / "b.png", Beats([1.0, 2.0, 3.0]), curves_of(20), title="日本", end_s=20)
        assert [len(figure.axes) for figure in drawn] == [2, 2]
        assert drawn[0].axes[0].get_title(loc="left") == "$a_{b$"

    @pytest.mark.parametrize("end_s", [0.0, -1.0])
    def test_of_nothing_is_refused(self, tmp_path, end_s):
        with pytest.raises(InputError, match="nothing to plot"):
            plot_track(tmp_path / "a.png", Beats([]), None, title="a", end_s=end_s)


class TestCurves:
    def test_of_a_network_are_those_it_decoded(self, rendered, tiny_model):
        tracker = load_tracker(tiny_model)
        recorder = ActivationRecorder(tracker)
        assert recorder.tracker.track(rendered / "a.wav") == tracker.track(rendered / "a.wav")
        curves = recorder.curves(rendered / "a.wav", 0.0, 12.0)
        np.testing.assert_array_equal(curves.values, tracker.activations(rendered / "a.wav"))
        assert curves.names == ("beat activation", "downbeat activation")

    def test_of_a_part_begin_there(self, rendered):
        recorder = ActivationRecorder(flux_tracker())
        part = audio.AudioExcerpt(rendered / "a.wav", 4.0, 8.0)
        recorder.tracker.track(part)
        curves = recorder.curves(rendered / "a.wav", 4.0, 8.0)
        assert (len(curves.values), curves.fps, curves.start_s) == (400, 100.0, 4.0)
        np.testing.assert_array_equal(curves.values, flux_tracker().activations(part))

    def test_of_a_tracker_without_a_network_are_onset_strength(self, rendered):
        tracker = ExternalTracker("other", lambda *_: Beats([1.0, 2.0]))
        recorder = ActivationRecorder(tracker)
        assert recorder.tracker is tracker
        curves = recorder.curves(rendered / "a.wav", 0.0, 12.0)
        assert curves.names == ("onset strength",)
        assert curves.values.shape == (1200, 1)
        assert 0.5 < curves.values.max() <= 1

    def test_of_patterns_with_and_without_a_network(self, rendered, tiny_model):
        from levada.beat_tracking.patterns import PatternTracker
        from levada.data import load_corpus

        labels = load_corpus(rendered).sample(minutes=0.5, seed=0)
        patterns = load_tracker("base").adapt(labels, strategy="bayes").backend
        assert isinstance(patterns, PatternTracker)
        network = load_tracker(tiny_model).backend
        for tracker, names in ((patterns, 1), (replace(patterns, network=network, weight=1.0), 2)):
            recorder = ActivationRecorder(tracker)
            assert recorder.tracker.track(rendered / "b.wav") == tracker.track(rendered / "b.wav")
            assert recorder.curves(rendered / "b.wav", 0.0, 12.0).values.shape == (1200, names)

    def test_of_long_recordings_are_left_out(self, rendered):
        assert ActivationRecorder(flux_tracker()).curves(rendered / "a.wav", 0.0, LONGEST_S + 1) is None
