"""Cross-validation on the labels: halves that share no music, and a share that unseen labels ask for."""

import logging
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from levada.beat_tracking import interpolation
from levada.beat_tracking.adaptation import AdaptSettings, adapt, finetune
from levada.beat_tracking.augmentation import NO_AUGMENTATION
from levada.beat_tracking.interpolation import ALPHAS, event_loss, validate
from levada.beat_tracking.networks import load
from levada.beat_tracking.spectrogram import file_log_spectrogram
from levada.data import Span, Track, annotated_spans, load_corpus
from levada.data.spans import halves_of
from levada.io.beats import Beats
from levada.learning.weights import interpolate

torch.set_num_threads(1)

QUICK = AdaptSettings(steps=4, learning_rate=1e-2, batch=1, excerpt_s=3.0, dropout=0.0)


@pytest.fixture
def base(tiny_model):
    return load(tiny_model)


@pytest.fixture
def tracks(rendered):
    return load_corpus(rendered, labels="beats").annotated


def a_span(name, seconds, *, start_s=0.0, positions=True):
    times = np.arange(start_s, start_s + seconds + 1e-9, 0.5)
    beats = Beats(times, np.arange(len(times)) % 4 + 1 if positions else None)
    track = Track(name, audio=name, load=lambda: beats)
    track.__dict__["content_hash"] = name  # there is no such file
    return Span(track, start_s, start_s + seconds)


def length(spans):
    return sum(span.duration_s for span in spans)


class TestFolds:
    def test_no_recording_is_on_both_sides(self):
        spans = [a_span(name, seconds) for name, seconds in [("a", 20), ("b", 8), ("c", 8), ("a", 4), ("d", 6)]]
        one, other = halves_of(spans)
        assert not {span.track.id for span in one} & {span.track.id for span in other}
        assert sorted(map(id, [*one, *other])) == sorted(map(id, spans))
        assert abs(length(one) - length(other)) <= 4

    def test_one_stretch_is_cut_at_the_bar_line_nearest_its_middle(self):
        one, other = halves_of([a_span("a", 17.0)])
        assert (one[0].start_s, one[0].end_s) == (0.0, 8.0)
        assert (other[0].start_s, other[0].end_s) == (8.5, 17.0)  # the downbeat at 8 s is in one half alone

    def test_at_a_beat_where_no_bars_are_known(self):
        one, other = halves_of([a_span("a", 5.0, positions=False)])
        assert (one[0].end_s, other[0].start_s) == (2.5, 3.0)

    def test_stretches_of_one_recording_stay_in_order(self):
        one, other = halves_of([a_span("a", 4.0), a_span("a", 8.0, start_s=20.0), a_span("a", 4.0, start_s=40.0)])
        assert max(span.end_s for span in one) < min(span.start_s for span in other)
        assert (length(one), length(other)) == (8.0, 7.5)

    def test_groups_are_kept_together(self):
        names = [("a", "ana"), ("b", "ana"), ("c", "bea"), ("d", "bea"), ("e", "cid")]
        spans = [a_span(name, 8.0) for name, _ in names]
        for span, (_, group) in zip(spans, names, strict=True):
            span.track.__dict__["group"] = group
        halves = halves_of(spans)
        assert not {span.track.group for span in halves[0]} & {span.track.group for span in halves[1]}
        assert sorted(length(half) for half in halves) == [16.0, 24.0]

    def test_recordings_of_one_group_are_parted(self):
        spans = [a_span(name, 8.0) for name in "abcd"]
        for span in spans:
            span.track.__dict__["group"] = "ana"
        assert [length(half) for half in halves_of(spans)] == [16.0, 16.0]

    @pytest.mark.parametrize("seconds", [0.5, 1.0, 2.5])
    def test_too_few_beats_to_halve(self, seconds):
        assert halves_of([a_span("a", seconds)]) is None

    def test_a_second_recording_with_one_beat_is_no_half(self):
        assert halves_of([a_span("a", 20.0), a_span("b", 0.5)]) is None


class TestEventLoss:
    beats = Beats([0.5, 1.0, 1.5, 2.0], [1, 2, 1, 2])

    def result(self, beat=0.0, at=(), ones=()):
        activations = np.full((250, 2), beat)
        activations[:, 1] = 0.0
        for frame, height in at:
            activations[frame, 0] = height
        for frame, share in ones:
            activations[frame, 1] = activations[frame, 0] * share
        return activations

    def test_all_right_costs_nothing_a_little_aside_neither(self):
        beats = [(50, 1.0), (103, 1.0), (147, 1.0), (200, 1.0)]
        assert event_loss(self.result(at=beats, ones=[(50, 1.0), (147, 1.0)]), self.beats, fps=100) == 0.0

    def test_sure_and_wrong_costs_two(self):
        off = [(75, 1.0), (125, 1.0), (175, 1.0)]
        small = [(frame, 1e-9) for frame in (50, 100, 150, 200)]  # where nothing is heard, ones cannot be asked for
        wrong = self.result(at=[*off, *small], ones=[(100, 1.0), (200, 1.0)])
        assert event_loss(wrong, self.beats, fps=100) == pytest.approx(2.0)

    def test_not_knowing_costs_a_quarter_each(self):
        at = [(frame, 0.5) for frame in (50, 75, 100, 125, 150, 175, 200)]
        ones = [(frame, 0.5) for frame in (50, 100, 150, 200)]
        assert event_loss(self.result(at=at, ones=ones), self.beats, fps=100) == pytest.approx(0.5)

    def test_ones_are_asked_for_where_they_are_known(self):
        at = [(frame, 1.0) for frame in (50, 100, 150, 200)]
        assert event_loss(self.result(at=at), Beats(self.beats.times_s), fps=100) == 0.0
        assert event_loss(self.result(at=at), self.beats, fps=100) == pytest.approx(0.5)

    def test_beats_after_the_end_are_passed_over(self):
        assert event_loss(np.zeros((10, 2)), self.beats, fps=100) == 0.0


@pytest.mark.slow
class TestValidate:
    def test_a_network_that_knows_both_halves_goes_far(self, base, tracks, tmp_path):
        span = annotated_spans(tracks[0])[0]
        settings = replace(QUICK, steps=100, batch=2, excerpt_s=8.0, alpha=1.0, augmentation=NO_AUGMENTATION)
        wise = finetune([span], base=base, settings=settings, folder=tmp_path).net
        found = self.validated(span, base, lambda *_: wise)
        assert found.alpha >= 0.75
        assert found.losses[0] > found.losses[2] > found.losses[4]

    def test_a_network_that_learnt_nonsense_goes_nowhere(self, base, tracks):
        torch.manual_seed(1)
        spoilt = interpolate(base.net, base.net, alpha=0.0)
        with torch.no_grad():
            spoilt.head.bias += 20.0  # a beat in every frame, and each the one
        found = self.validated(annotated_spans(tracks[0])[0], base, lambda *_: spoilt)
        assert found.alpha == 0.0
        assert found.losses[0] < found.losses[1]

    def test_each_half_is_asked_about_the_other(self, base, tracks):
        halves = halves_of([annotated_spans(tracks[0])[0]])
        taught = []
        self.validated(None, base, lambda spans, number: taught.append((spans, number)) or base.net, halves=halves)
        assert taught == [(halves[0], 1), (halves[1], 2)]

    @staticmethod
    def validated(span, base, train, halves=None):
        halves = halves or halves_of([span])
        return validate(halves, base=base.net, train=train, load_spectrogram=file_log_spectrogram)


@pytest.mark.slow
class TestAdaptation:
    def test_what_was_chosen_is_written_down(self, base, tracks, tmp_path):
        made = finetune([annotated_spans(tracks[0])[0]], base=base, settings=QUICK, folder=tmp_path)
        losses = made.training["held_out_losses"]
        assert list(losses) == [str(share) for share in ALPHAS]
        assert all(0 <= loss <= 2 for loss in losses.values())
        assert made.training["alpha"] in ALPHAS

    @pytest.mark.parametrize(
        ("losses", "share"),
        [
            ([0.20, 0.10, 0.08, 0.09, 0.30], 0.5),  # known music: the best
            ([0.20, 0.10, 0.095, 0.30, 0.30], 0.25),  # or what is as good and nearer
            ([0.20, 0.195, 0.21, 0.30, 0.40], 0.0),
            ([0.70, 0.40, 0.30, 0.35, 0.45], 1.0),  # unknown music: the farthest with half of the gain
            ([0.70, 0.40, 0.30, 0.35, 0.55], 0.75),
            ([0.70, 0.75, 0.80, 0.90, 1.20], 0.0),
            ([0.70, 0.70, 0.70, 0.70, 0.70], 0.0),
        ],
    )
    def test_how_far(self, losses, share):
        assert interpolation._choose_alpha(np.array(losses)) == share

    def test_labels_that_teach_nothing_leave_the_network_alone_and_say_so(self, base, tracks, tmp_path, caplog):
        spoiling = replace(QUICK, learning_rate=30.0, steps=6)
        with caplog.at_level(logging.WARNING):
            made = finetune([annotated_spans(tracks[0])[0]], base=base, settings=spoiling, folder=tmp_path)
        assert made.training["alpha"] == 0.0
        assert "only the decoder is adapted" in caplog.text
        assert "network unchanged" in made.card.origin
        for name, tensor in made.net.state_dict().items():
            torch.testing.assert_close(tensor, base.net.state_dict()[name], rtol=0, atol=0)
        assert made.decoder != base.decoder

    def test_few_labels_are_not_halved(self, base, tracks, tmp_path):
        start_s = float(tracks[0].beats().times_s[0])
        told = []
        made = finetune(
            [Span(tracks[0], start_s, start_s + 1.5)],
            base=base, settings=QUICK, folder=tmp_path, progress=lambda *now: told.append(now[:2]),
        )  # fmt: skip
        assert made.training["alpha"] == 0.5
        assert told[-1] == (4, 4)

    def test_progress_counts_the_halves_too(self, base, tracks, tmp_path):
        told = []
        span = annotated_spans(tracks[0])[0]
        finetune([span], base=base, settings=QUICK, folder=tmp_path, progress=lambda *now: told.append(now[:2]))
        assert told == [(step, 12) for step in range(1, 13)]

    @pytest.mark.parametrize("step", [2, 6, 10])
    def test_ctrl_c_in_any_part_saves_no_model(self, base, tracks, tmp_path, step):
        def stop(now, *_):
            if now == step:
                os.kill(os.getpid(), signal.SIGINT)

        spans, told = [annotated_spans(tracks[0])[0]], []
        with pytest.raises(KeyboardInterrupt):
            adapt(spans, strategy="finetune", base=base, settings=QUICK, out=tmp_path / "mine", progress=stop)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.part"]
        adapt(
            spans, strategy="finetune", base=base, settings=QUICK, out=tmp_path / "mine",
            progress=lambda now, *_: told.append(now),
        )  # fmt: skip
        assert told == list(range(step + 1, 13))

    def test_a_run_killed_in_a_half_ends_as_an_unbroken_one(self, base, tracks, tmp_path):
        def killed(now, *_):
            if now == 7:
                raise MemoryError

        spans = [annotated_spans(tracks[0])[0]]
        whole = adapt(spans, strategy="finetune", base=base, settings=QUICK, out=tmp_path / "whole")
        with pytest.raises(MemoryError):
            adapt(spans, strategy="finetune", base=base, settings=QUICK, out=tmp_path / "mine", progress=killed)
        resumed = adapt(spans, strategy="finetune", base=base, settings=QUICK, out=tmp_path / "mine")
        assert resumed.training["held_out_losses"] == whole.training["held_out_losses"]
        for name, tensor in resumed.net.state_dict().items():
            torch.testing.assert_close(tensor, whole.net.state_dict()[name], rtol=0, atol=0)
