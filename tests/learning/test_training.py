"""The training loop: what it aims at, that it learns, and that neither a kill nor Ctrl-C costs anything."""

import math
import os
import signal
import threading
from functools import partial

import numpy as np
import pytest
import torch

from levada.beat_tracking.decoder import decode_beats, probabilities
from levada.beat_tracking.metrics import beat_scores
from levada.beat_tracking.networks.tcn import Tcn, TcnSettings, tiny
from levada.beat_tracking.targets import (
    Batch,
    beat_loss_parts,
    frame_targets,
    pretraining_loss,
    pretraining_loss_parts,
    shift_tolerant_loss,
    widened_target_loss,
)
from levada.errors import InputError
from levada.io.beats import Beats
from levada.learning import training as module
from levada.learning.training import CHECKPOINT, FitSettings
from levada.learning.training_log import LOG, last_row, read_log

torch.set_num_threads(1)

fit = partial(module.fit, loss=widened_target_loss)

FRAMES = 300


class Killed(BaseException):
    """What no code may catch."""


def excerpt(seed=0, frames=FRAMES):
    """Strokes every 37 frames, the first of three with more bass, and some noise."""
    rng = np.random.default_rng(seed)
    magnitudes = 0.05 * rng.random((frames, 81))
    at = np.arange(10, frames, 37)
    for number, frame in enumerate(at):
        magnitudes[frame : frame + 4, 30:] += 1
        if number % 3 == 0:
            magnitudes[frame : frame + 6, :12] += 3
    return np.log(magnitudes + 1e-6).astype(np.float32), Beats(at / 100, np.arange(len(at)) % 3 + 1)


def batch(seed=0, size=2):
    examples = [excerpt(seed * 100 + index) for index in range(size)]
    columns = zip(*((bands, *frame_targets(beats, FRAMES)) for bands, beats in examples), strict=True)
    return Batch(*(torch.from_numpy(np.stack(column)) for column in columns))


def batches(start, *, steps=12):
    """What each step sees depends on its number alone."""
    for step in range(start, steps):
        yield batch(step)


def a_net(dropout=0.0):
    torch.manual_seed(0)
    return Tcn(TcnSettings(channels=4, levels=2, dropout=dropout))


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.state_dict().values(), other.state_dict().values(), strict=True))


def log(folder):
    rows = [line.split(",") for line in (folder / LOG).read_text().splitlines()]
    assert rows[0][:5] == ["step", "seconds", "loss", "validation", "learning_rate"]
    return rows[1:]


def dying(at, *, with_=Killed):
    def progress(step, *_):
        if step == at:
            raise with_

    return progress


class TestTargets:
    def test_values(self):
        targets, known = frame_targets(Beats([0.0, 0.504, 1.006, 5.0], [1, 2, 1, 2]), 120)
        assert np.flatnonzero(targets[:, 0]).tolist() == [0, 50, 101]
        assert np.flatnonzero(targets[:, 1]).tolist() == [0, 101]
        assert targets.shape == known.shape == (120, 2)
        assert (targets.dtype, known.dtype) == (np.float32, np.float32)
        assert set(targets.ravel()) == {0, 1}
        assert known.all()

    @pytest.mark.parametrize(("late", "frame"), [(0.0049, 10), (0.0051, 11), (-0.0049, 10), (-0.0051, 9)])
    def test_nearest_frame(self, late, frame):
        targets, _ = frame_targets(Beats([0.1 + late]), 30)
        assert np.flatnonzero(targets[:, 0]).tolist() == [frame]

    def test_downbeats_are_unknown_around_beats_without_a_position(self):
        _, known = frame_targets(Beats([0.1, 0.206, 0.3, 0.4], [1, 0, 1, 2]), 60)
        assert np.flatnonzero(known[:, 1] == 0).tolist() == list(range(11, 30))
        assert known[:, 0].all()

    def test_unknown_at_either_end(self):
        _, known = frame_targets(Beats([0.1, 0.2, 0.3, 0.4], [0, 1, 2, 0]), 60)
        assert np.flatnonzero(known[:, 1]).tolist() == list(range(20, 31))

    def test_no_position_at_all(self):
        targets, known = frame_targets(Beats([0.1, 0.2]), 60)
        assert not known[:, 1].any()
        assert not targets[:, 1].any()

    def test_only_the_annotated_stretch_is_known(self):
        _, known = frame_targets(Beats([0.3], [1]), 100, span_s=(0.2, 0.5))
        assert np.flatnonzero(known[:, 0]).tolist() == list(range(20, 51))

    @pytest.mark.parametrize("span_s", [(-5.0, -1.0), (3.0, 4.0)])
    def test_a_stretch_elsewhere_leaves_nothing_known(self, span_s):
        _, known = frame_targets(Beats([0.3], [1]), 100, span_s=span_s)
        assert not known.any()

    def test_a_stretch_longer_than_the_excerpt(self):
        _, known = frame_targets(Beats([0.3], [1]), 100, span_s=(-5.0, 9.0))
        assert known.all()

    def test_nothing(self):
        targets, known = frame_targets(Beats([]), 10)
        assert not targets.any()
        assert known.all()


def one(at, *, frames=60, known=None):
    """A batch of one beat, a downbeat too."""
    targets = torch.zeros(1, frames, 2)
    targets[0, at] = 1
    return Batch(torch.zeros(1, frames, 81), targets, torch.ones(1, frames, 2) if known is None else known)


def peak(at, *, frames=60, height=30.0):
    """One beat is heard, and wherever one is, it is a downbeat."""
    logits = torch.full((1, frames, 2), height)
    logits[..., 0] = -height
    logits[0, at] = height
    return logits


class TestLosses:
    def test_widened_by_hand(self):
        wide = torch.zeros(60)
        wide[28:33] = torch.tensor([0.25, 0.5, 1, 0.5, 0.25])
        logits = torch.randn(1, 60, 2, generator=torch.Generator().manual_seed(0))
        beat, downbeat = logits[0].sigmoid().T
        beats = -(wide * beat.log() + (1 - wide) * (1 - beat).log()).mean()
        downbeats = -(wide * downbeat.log()).sum() / wide.sum()
        value = float(widened_target_loss(logits, one(30), downbeat_weight=0.5))
        assert value == pytest.approx(float(beats + 0.5 * downbeats), rel=1e-5)

    def test_widened_is_least_where_it_should_be(self):
        wide = torch.full((1, 60, 2), 1e-6)
        wide[0, 28:33] = torch.tensor([0.25, 0.5, 1 - 1e-6, 0.5, 0.25])[:, None]
        wide[..., 1] = 1 - 1e-6
        perfect = wide.logit().requires_grad_()
        value = widened_target_loss(perfect, one(30))
        value.backward()
        entropy = (2 * math.log(2) - 2 * (0.25 * math.log(0.25) + 0.75 * math.log(0.75))) / 60
        assert value.item() == pytest.approx(entropy, abs=1e-4)
        assert perfect.grad.abs().max() < 1e-6

    @pytest.mark.parametrize("loss", [widened_target_loss, shift_tolerant_loss])
    def test_downbeats_are_asked_for_at_beats_alone(self, loss):
        two = Batch(torch.zeros(1, 60, 81), torch.zeros(1, 60, 2), torch.ones(1, 60, 2))
        two.targets[0, 20] = 1
        two.targets[0, 40, 0] = 1
        right = torch.full((1, 60, 2), -30.0)
        right[0, [20, 40], 0] = 30
        right[0, 10:30, 1] = 30  # around the downbeat yes, around the other beat no; elsewhere whatever
        elsewhere, wrong = right.clone(), right.clone()
        elsewhere[0, 30, 1], wrong[0, 40, 1] = 5, 30
        assert float(loss(elsewhere, two)) == float(loss(right, two))
        assert float(loss(wrong, two)) > float(loss(right, two)) + 0.5

    def test_shift_tolerant_is_nought_where_all_is_right(self):
        assert float(shift_tolerant_loss(peak(30), one(30), tolerance=3)) < 1e-9

    @pytest.mark.parametrize("tolerance", [0, 1, 3])
    def test_shift_tolerant_forgives_so_many_frames_and_no_more(self, tolerance):
        def missed_by(distance):
            logits = peak(30 + distance)
            return float(shift_tolerant_loss(logits, one(30), tolerance=tolerance, positive_weight=1))

        for distance in range(-tolerance, tolerance + 1):
            assert missed_by(distance) < 1e-9
        for distance in (tolerance + 1, -tolerance - 1):  # a beat missed; a false one too where it is farther away
            assert missed_by(distance) == pytest.approx(0.5 if tolerance else 1.0)
        assert missed_by(2 * tolerance + 1) == pytest.approx(1.0)

    @pytest.mark.parametrize("loss", [widened_target_loss, partial(shift_tolerant_loss, tolerance=3)])
    def test_what_nobody_knows_is_not_judged(self, loss):
        known = torch.ones(1, 60, 2)
        known[0, :20] = 0
        judged = one(30, known=known)
        wrong = peak(30)
        wrong[0, :20] = 30.0
        assert float(loss(wrong, judged)) == float(loss(peak(30), judged))
        wrong[0, 20] = 30.0
        assert float(loss(wrong, judged)) > float(loss(peak(30), judged)) + 0.1

    @pytest.mark.parametrize("loss", [widened_target_loss, partial(shift_tolerant_loss, tolerance=3)])
    def test_nothing_known_is_no_loss(self, loss):
        assert float(loss(peak(10), one(30, known=torch.zeros(1, 60, 2)))) == 0

    def test_weight_of_downbeats(self):
        logits = peak(30)
        logits[..., 1] = -30  # the downbeat alone is missed
        beats, both, mostly = (
            float(widened_target_loss(logits, one(30), downbeat_weight=weight)) for weight in (0, 1, 3)
        )
        assert both - beats == pytest.approx(30)
        assert mostly - beats == pytest.approx(90)

    def test_weight_of_what_is_missed(self):
        def missed(weight):
            return float(shift_tolerant_loss(peak(50), one(30), tolerance=1, positive_weight=weight))

        assert missed(5) - missed(1) == pytest.approx(4 * 30 / 60)
        assert missed(0) == pytest.approx(30 / 60)  # the false one alone


class TestParts:
    @pytest.mark.parametrize("weight", [0.0, 0.3])
    def test_of_pretraining(self, weight):
        logits = torch.randn(2, FRAMES, 2, generator=torch.Generator().manual_seed(0))
        given = batch()
        total, parts = pretraining_loss_parts(logits, given, downbeat_weight=0.5, phase_weight=weight)
        assert torch.equal(total, pretraining_loss(logits, given, downbeat_weight=0.5, phase_weight=weight))
        assert set(parts) == {"beat_loss", "downbeat_loss"} | ({"phase_loss"} if weight else set())

    @pytest.mark.parametrize(
        ("tolerance", "loss"), [(0, widened_target_loss), (3, partial(shift_tolerant_loss, tolerance=3))]
    )
    def test_the_total_is_the_loss_without_parts(self, tolerance, loss):
        logits = torch.randn(2, FRAMES, 2, generator=torch.Generator().manual_seed(0))
        total, parts = beat_loss_parts(logits, batch(), tolerance=tolerance, downbeat_weight=0.5)
        assert torch.equal(total, loss(logits, batch(), downbeat_weight=0.5))
        assert torch.equal(total, parts["beat_loss"] + 0.5 * parts["downbeat_loss"])


class TestReadLog:
    def test_older_logs(self, tmp_path):
        (tmp_path / LOG).write_text("step,seconds,loss,validation\n1,0.10,0.50000,\n2,0.20,0.25000,beat_f=0.5000 x=1\n")
        first, second = read_log(tmp_path / LOG)
        assert first == {"step": 1, "seconds": 0.1, "loss": 0.5}
        assert second == {"step": 2, "seconds": 0.2, "loss": 0.25, "beat_f": 0.5, "x": 1}
        assert last_row(tmp_path / LOG) == second

    @pytest.mark.parametrize(
        ("text", "problem"),
        [
            ("", "lacks the columns"),
            ("a,b\n1,2\n", "lacks the columns"),
            ("step,seconds,loss,validation\n1,0.1,low,\n", "line 2: a damaged row"),
            ("step,seconds,loss,validation\n1,0.1,0.5,\n2,0.1\n", "line 3: a damaged row"),
            ("step,seconds,loss,validation\n1,0.1,0.5,beat_f\n", "line 2: a damaged row"),
            ("step,seconds,loss,validation\n1,0.1,0.5,,7\n", "line 2: a damaged row"),
        ],
    )
    def test_damaged(self, tmp_path, text, problem):
        (tmp_path / LOG).write_text(text)
        with pytest.raises(InputError, match=problem):
            read_log(tmp_path / LOG)

    def test_missing_and_no_text(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_log(tmp_path / "none.csv")
        (tmp_path / LOG).write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="not text"):
            read_log(tmp_path / LOG)


@pytest.mark.slow
class TestLearning:
    def test_overfits_one_excerpt(self, tmp_path):
        bands, beats = excerpt()
        only = Batch(*(torch.from_numpy(array)[None] for array in (bands, *frame_targets(beats, FRAMES))))
        torch.manual_seed(0)
        net = tiny(channels=8, levels=4)
        settings = FitSettings(steps=100, learning_rate=1e-2, average=0.9)
        trained = fit(net, lambda start: iter([only] * (100 - start)), settings=settings, folder=tmp_path)
        with torch.inference_mode():
            found = decode_beats(probabilities(trained(only.bands)[0].numpy()))
        scores = beat_scores(beats, found, trim_s=0)
        assert scores["beat_f"] == 1
        assert scores["downbeat_f"] == 1
        losses = [float(row[2]) for row in log(tmp_path)]
        assert losses[-1] < 0.3 * losses[0]

    def test_what_is_silenced_changes_with_the_step_and_the_seed(self, tmp_path):
        drawn = []

        def loss(logits, given):
            drawn.append(float(torch.rand(1)))
            return widened_target_loss(logits, given)

        for seed in (0, 1):
            settings = FitSettings(steps=3, seed=seed)
            fit(a_net(0.3), batches, settings=settings, folder=tmp_path / str(seed), loss=loss)
        assert len(set(drawn)) == 6

    def test_the_network_given_is_not_changed(self, tmp_path):
        net, untouched = a_net(), a_net()
        trained = fit(net, batches, settings=FitSettings(steps=2), folder=tmp_path)
        assert same(net, untouched)
        assert not same(trained, untouched)
        assert net.training
        assert not trained.training
        assert all(parameter.requires_grad for parameter in trained.parameters())

    def test_only_what_is_chosen_is_trained(self, tmp_path):
        net = a_net()
        trained = fit(
            net, batches, settings=FitSettings(steps=3), folder=tmp_path, trained=lambda name: name.startswith("head")
        )
        before = dict(net.named_parameters())
        for name, parameter in trained.named_parameters():
            assert torch.equal(parameter, before[name]) == (not name.startswith("head")), name

    def test_weights_are_averaged(self, tmp_path):
        def path(average):
            weights = []

            def validate(net):
                weights.append(net.head.weight.detach().clone())
                return {}

            settings = FitSettings(steps=4, average=average)
            folder = tmp_path / str(average)
            trained = fit(a_net(), batches, settings=settings, folder=folder, validate=validate, validate_every=1)
            assert torch.equal(trained.head.weight, weights[-1])
            return weights

        last, mean = path(0), path(0.9)
        expected = last[0]
        for count, weights in enumerate(last[1:], start=1):
            expected = expected + max(0.1, 9 / (10 + count)) * (weights - expected)
        assert not torch.equal(last[-1], mean[-1])
        torch.testing.assert_close(mean[-1], expected)

    def test_validation_is_logged(self, tmp_path):
        seen = []

        def validate(net):
            seen.append(net.training)
            return {"beat_f": 0.25 * len(seen)}

        settings = FitSettings(steps=5)
        fit(a_net(), batches, settings=settings, folder=tmp_path, validate=validate, validate_every=2)
        assert [row[3] for row in log(tmp_path)] == ["", "beat_f=0.2500", "", "beat_f=0.5000", "beat_f=0.7500"]
        assert seen == [False] * 3

    @pytest.mark.parametrize(
        ("losses", "patience", "steps", "lowest"),
        [
            ((0.5, 0.4, 0.45, 0.41, 0.3, 0.2), 2, 8, 4),  # stopped after two without a lower one: .3 is not seen
            ((0.5, 0.4, 0.45, 0.41, 0.3, 0.2), 3, 12, 12),
            ((0.5, 0.4, 0.4, 0.40004, 0.3, 0.2), 2, 8, 4),  # equal to as many digits as the log has
            ((0.5, 0.4, 0.45, 0.41, 0.42, 0.43), 0, 12, 12),
            ((0.5, 0.4, 0.3, 0.2, 0.1, 0.15), 2, 12, 10),  # all steps, and not the last weights
        ],
    )
    def test_early_stopping_returns_the_weights_of_the_lowest_loss(self, tmp_path, losses, patience, steps, lowest):
        seen = {}

        def validate(net):
            seen[2 * len(seen) + 2] = net
            return {"validation_loss": losses[len(seen) - 1]}

        settings = FitSettings(steps=12, learning_rate=1e-2, patience=patience)
        trained = fit(a_net(), batches, settings=settings, folder=tmp_path, validate=validate, validate_every=2)
        assert (log(tmp_path)[-1][0], max(seen)) == (str(steps), steps)
        assert [step for step, net in seen.items() if same(trained, net)] == [lowest]

    def test_no_validation_stops_nothing_early(self, tmp_path):
        fit(a_net(), batches, settings=FitSettings(steps=12, patience=1), folder=tmp_path)
        assert len(log(tmp_path)) == 12

    def test_progress_and_log_have_every_step(self, tmp_path):
        told = []
        fit(a_net(), batches, settings=FitSettings(steps=5), folder=tmp_path, progress=lambda *row: told.append(row))
        assert [(step, steps) for step, steps, _ in told] == [(step, 5) for step in range(1, 6)]
        assert [int(row[0]) for row in log(tmp_path)] == [1, 2, 3, 4, 5]
        assert [float(row[2]) for row in log(tmp_path)] == pytest.approx([loss for *_, loss in told], abs=1e-5)

    @pytest.mark.parametrize("tolerance", [0, 3])
    def test_the_log_has_the_parts_of_the_loss_and_the_learning_rate(self, tmp_path, tolerance):
        settings = FitSettings(steps=8, learning_rate=1e-2, warmup=0.5)
        loss = partial(beat_loss_parts, tolerance=tolerance, downbeat_weight=0.5)
        fit(a_net(), batches, settings=settings, folder=tmp_path, loss=loss)
        rows = read_log(tmp_path / LOG)
        for row in rows:
            assert row["loss"] == pytest.approx(row["beat_loss"] + 0.5 * row["downbeat_loss"], abs=3e-5)
            assert min(row["beat_loss"], row["downbeat_loss"]) > 0
        rates = [row["learning_rate"] for row in rows]
        assert rates[:4] == pytest.approx([2.5e-3, 5e-3, 7.5e-3, 1e-2])
        assert rates == pytest.approx([2.5e-3, 5e-3, 7.5e-3, 1e-2, *sorted(rates[4:], reverse=True)])
        assert last_row(tmp_path / LOG) == rows[-1]

    def test_parts_change_no_weights(self, tmp_path):
        loss = partial(beat_loss_parts, tolerance=0, downbeat_weight=0.25)
        with_parts = fit(a_net(0.2), batches, settings=FitSettings(steps=4), folder=tmp_path / "a", loss=loss)
        assert same(with_parts, fit(a_net(0.2), batches, settings=FitSettings(steps=4), folder=tmp_path / "b"))

    def test_a_log_of_an_older_version_goes_on_with_its_columns(self, tmp_path):
        old = "step,seconds,loss,validation\n"
        (tmp_path / LOG).write_text(old)
        fit(a_net(), batches, settings=FitSettings(steps=2), folder=tmp_path)
        lines = (tmp_path / LOG).read_text().splitlines()
        assert lines[0] + "\n" == old
        assert [line.count(",") for line in lines] == [3, 3, 3]
        assert [set(row) for row in read_log(tmp_path / LOG)] == [{"step", "seconds", "loss"}] * 2

    def test_random_numbers_of_the_caller_are_left_alone(self, tmp_path):
        net = a_net(0.3)
        torch.manual_seed(5)
        before = torch.get_rng_state()
        fit(net, batches, settings=FitSettings(steps=2), folder=tmp_path)
        assert torch.equal(torch.get_rng_state(), before)

    @pytest.mark.parametrize(
        "wrong",
        [
            {"steps": 0},
            {"learning_rate": 0},
            {"learning_rate": math.nan},
            {"average": 1},
            {"average": -0.1},
            {"warmup": 2},
            {"patience": -1},
        ],
    )
    def test_settings_that_make_no_sense(self, wrong):
        with pytest.raises(InputError, match="invalid training settings"):
            FitSettings(**wrong)


@pytest.mark.slow
class TestKilled:
    """The process dies at some step; what the disk holds is all there is."""

    SETTINGS = FitSettings(steps=12, seed=3)

    def killed(self, folder, at, dropout=0.0, save_every_s=0.0):
        with pytest.raises(Killed):
            fit(
                a_net(dropout),
                batches,
                settings=self.SETTINGS,
                folder=folder,
                progress=dying(at),
                save_every_s=save_every_s,
            )

    def unbroken(self, folder, dropout=0.0):
        return fit(a_net(dropout), batches, settings=self.SETTINGS, folder=folder)

    @pytest.mark.parametrize("dropout", [0.0, 0.3])
    @pytest.mark.parametrize("at", [2, 7, 12])
    def test_a_resumed_run_equals_an_unbroken_one(self, tmp_path, at, dropout):
        self.killed(tmp_path / "killed", at, dropout)
        assert (tmp_path / "killed" / CHECKPOINT).exists()
        resumed = fit(a_net(dropout), batches, settings=self.SETTINGS, folder=tmp_path / "killed")
        assert same(resumed, self.unbroken(tmp_path / "whole", dropout))
        killed, whole = ([(row[0], row[2]) for row in log(tmp_path / name)] for name in ("killed", "whole"))
        assert killed == whole

    def test_killed_again_and_again(self, tmp_path):
        for at in (3, 4, 9):
            self.killed(tmp_path / "killed", at)
        resumed = fit(a_net(), batches, settings=self.SETTINGS, folder=tmp_path / "killed")
        assert same(resumed, self.unbroken(tmp_path / "whole"))

    def test_rows_after_the_checkpoint_are_forgotten(self, tmp_path):
        """The checkpoint is of step 4; the log has rows up to 7 and half a row more."""
        self.killed(tmp_path, 5)
        with (tmp_path / LOG).open("a") as file:
            file.write("6,0.1,0.5,\n7,0.1,0.5,\n1")
        fit(a_net(), batches, settings=self.SETTINGS, folder=tmp_path)
        assert [int(row[0]) for row in log(tmp_path)] == list(range(1, 13))

    @pytest.mark.parametrize("at", [3, 5, 8])  # before the lowest loss, after it, and when training was stopped
    def test_early_stopping_is_the_same_after_a_kill(self, tmp_path, at):
        by_step = {2: 0.5, 4: 0.3, 6: 0.4, 8: 0.4, 10: 0.1, 12: 0.1}
        settings = FitSettings(steps=12, seed=3, patience=2)

        def run(folder, **more):
            def validate(_):
                return {"validation_loss": by_step[len(log(folder)) + 1]}

            return fit(a_net(), batches, settings=settings, folder=folder, validate=validate, validate_every=2, **more)

        with pytest.raises(Killed):
            run(tmp_path / "killed", progress=dying(at), save_every_s=0)
        resumed, whole = run(tmp_path / "killed"), run(tmp_path / "whole")
        assert same(resumed, whole)
        assert [row[0] for row in log(tmp_path / "killed")] == [row[0] for row in log(tmp_path / "whole")]
        assert len(log(tmp_path / "whole")) == 8

    def test_killed_before_the_first_checkpoint(self, tmp_path):
        self.killed(tmp_path / "killed", 5, save_every_s=1e9)
        assert not (tmp_path / "killed" / CHECKPOINT).exists()
        again = fit(a_net(), batches, settings=self.SETTINGS, folder=tmp_path / "killed")
        assert same(again, self.unbroken(tmp_path / "whole"))
        assert [int(row[0]) for row in log(tmp_path / "killed")] == list(range(1, 13))

    def test_a_finished_run_is_not_run_again(self, tmp_path):
        first = self.unbroken(tmp_path)
        told = []
        again = fit(a_net(), batches, settings=self.SETTINGS, folder=tmp_path, progress=lambda *row: told.append(row))
        assert same(first, again)
        assert not told

    def test_checkpoints_are_saved_now_and_then(self, tmp_path):
        self.killed(tmp_path, 9, save_every_s=1e9)
        assert [path.name for path in tmp_path.iterdir()] == [LOG]


class TestInterrupted:
    def interrupt(self, at, number=signal.SIGINT):
        def progress(step, *_):
            if step == at:
                os.kill(os.getpid(), number)

        return progress

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_is_raised_after_the_step_and_can_be_continued(self, tmp_path, number):
        settings = FitSettings(steps=12)
        handler = signal.signal(number, lambda *_: pytest.fail("the handler of before is not asked"))
        before = signal.getsignal(number)
        try:
            with pytest.raises(KeyboardInterrupt) as stop:
                fit(a_net(), batches, settings=settings, folder=tmp_path / "early", progress=self.interrupt(4, number))
            assert signal.getsignal(number) is before
        finally:
            signal.signal(number, handler)
        assert (stop.value.number, stop.value.exit_code) == (number, 128 + number)
        assert [int(row[0]) for row in log(tmp_path / "early")] == [1, 2, 3, 4]
        told = []
        resumed = fit(
            a_net(), batches, settings=settings, folder=tmp_path / "early", progress=lambda step, *_: told.append(step)
        )
        assert told == list(range(5, 13))
        assert same(resumed, fit(a_net(), batches, settings=settings, folder=tmp_path / "whole"))

    def test_signals_that_are_ignored_stay_ignored(self, tmp_path):
        handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            settings = FitSettings(steps=5)
            stopped = fit(a_net(), batches, settings=settings, folder=tmp_path / "a", progress=self.interrupt(2))
        finally:
            signal.signal(signal.SIGINT, handler)
        assert same(stopped, fit(a_net(), batches, settings=settings, folder=tmp_path / "b"))

    def test_a_second_one_means_it(self, tmp_path):
        def progress(step, *_):
            if step == 2:
                os.kill(os.getpid(), signal.SIGINT)
                os.kill(os.getpid(), signal.SIGINT)

        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            fit(a_net(), batches, settings=FitSettings(steps=12), folder=tmp_path, progress=progress)
        assert signal.getsignal(signal.SIGINT) is before

    def test_the_handler_is_restored_after_an_error(self, tmp_path):
        before = signal.getsignal(signal.SIGINT)
        with pytest.raises(Killed):
            fit(a_net(), batches, settings=FitSettings(steps=12), folder=tmp_path, progress=dying(2))
        assert signal.getsignal(signal.SIGINT) is before

    def test_works_beside_the_main_thread(self, tmp_path):
        result = []
        work = partial(fit, a_net(), batches, settings=FitSettings(steps=2), folder=tmp_path)
        thread = threading.Thread(target=lambda: result.append(work()))
        thread.start()
        thread.join(60)
        assert not same(result[0], a_net())

    def test_time_limit(self, tmp_path):
        endless = partial(batches, steps=100_000)
        fit(a_net(), endless, settings=FitSettings(steps=100_000), folder=tmp_path, time_limit_s=0.5)
        assert 1 <= len(log(tmp_path)) < 5000
        assert float(log(tmp_path)[-1][1]) < 5


class TestRefused:
    def test_a_checkpoint_of_another_network(self, tmp_path):
        fit(a_net(), batches, settings=FitSettings(steps=2), folder=tmp_path)
        other = tiny(channels=5, levels=2)
        with pytest.raises(InputError, match="another run") as told:
            fit(other, batches, settings=FitSettings(steps=4), folder=tmp_path)
        assert told.value.path == tmp_path

    def test_a_checkpoint_with_other_layers_trained(self, tmp_path):
        fit(a_net(), batches, settings=FitSettings(steps=2), folder=tmp_path)
        settings = FitSettings(steps=4)
        with pytest.raises(InputError, match="another run"):
            fit(a_net(), batches, settings=settings, folder=tmp_path, trained=lambda name: name.startswith("head"))

    @pytest.mark.parametrize("keep", [0, 10, 2000, -50])
    def test_a_damaged_checkpoint(self, tmp_path, keep):
        fit(a_net(), batches, settings=FitSettings(steps=2), folder=tmp_path)
        (tmp_path / CHECKPOINT).write_bytes((tmp_path / CHECKPOINT).read_bytes()[:keep])
        with pytest.raises(InputError, match="cannot be continued") as told:
            fit(a_net(), batches, settings=FitSettings(steps=4), folder=tmp_path)
        assert told.value.path == tmp_path / CHECKPOINT

    @pytest.mark.parametrize("content", [{"step": 3}, [1, 2], 7])
    def test_a_checkpoint_of_something_else(self, tmp_path, content):
        torch.save(content, tmp_path / CHECKPOINT)
        with pytest.raises(InputError, match="cannot be continued"):
            fit(a_net(), batches, settings=FitSettings(steps=4), folder=tmp_path)

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_a_loss_that_is_not_finite(self, tmp_path, value):
        with pytest.raises(InputError, match="diverged"):
            fit(a_net(), batches, settings=FitSettings(steps=4), folder=tmp_path, loss=lambda x, _: x.sum() * value)
        assert not (tmp_path / CHECKPOINT).exists()

    def test_nothing_to_train(self, tmp_path):
        with pytest.raises(InputError, match="nothing to train"):
            fit(a_net(), batches, settings=FitSettings(steps=4), folder=tmp_path, trained=lambda _: False)

    def test_a_file_in_the_place_of_the_folder(self, tmp_path):
        (tmp_path / "run").write_text("")
        with pytest.raises(InputError, match="cannot be written"):
            fit(a_net(), batches, settings=FitSettings(steps=4), folder=tmp_path / "run")

    def test_a_full_disk(self, tmp_path, full_disk):
        with full_disk(1000), pytest.raises(InputError, match="larger than is allowed") as told:
            fit(a_net(), batches, settings=FitSettings(steps=2), folder=tmp_path)
        assert told.value.path == tmp_path / CHECKPOINT
        assert [path.name for path in tmp_path.iterdir()] == [LOG]
