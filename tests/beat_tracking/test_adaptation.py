"""Strategies on a few rendered seconds with a network small enough to learn them by heart."""

import csv
import json
import os
import signal
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from levada.beat_tracking import adaptation as strategies
from levada.beat_tracking.adaptation import (
    KNOWN,
    STRATEGIES,
    UNKNOWN,
    AdaptSettings,
    adapt,
    decoder,
    finetune,
    finetune_augment,
    scratch,
    settings_of,
    training_for,
)
from levada.beat_tracking.augmentation import NO_AUGMENTATION
from levada.beat_tracking.evaluation import evaluate
from levada.beat_tracking.metrics import beat_scores
from levada.beat_tracking.networks import load
from levada.beat_tracking.networks.tcn import TcnSettings
from levada.beat_tracking.pretrained import tracker_of
from levada.data import Span, Track, annotated_spans, load_corpus, single
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import write_beats
from levada.learning.adaptation import with_scores
from levada.learning.training_log import log_files, read_log
from levada.synth.traditions import Pattern, read_tradition

QUICK = AdaptSettings(steps=4, learning_rate=1e-2, batch=1, excerpt_s=3.0, dropout=0.0, alpha=0.5)
BY_HEART = AdaptSettings(steps=100, learning_rate=1e-2, batch=2, excerpt_s=8.0, dropout=0.0, average=0.9, alpha=1.0)


@pytest.fixture
def base(tiny_model):
    return load(tiny_model)


@pytest.fixture
def track(rendered):
    return load_corpus(rendered, labels="beats").tracks[0]


@pytest.fixture
def span(track):
    return annotated_spans(track)[0]


@pytest.fixture
def small_scratch(monkeypatch):
    """Let `scratch` begin with the tiny network."""
    monkeypatch.setattr(strategies, "TcnSettings", lambda dropout: TcnSettings(channels=6, levels=5, dropout=dropout))


def scored(weights, track):
    found = tracker_of(weights, name="it").track(track.audio)
    return beat_scores(track.beats(), found, trim_s=0.0)


def same(one, other):
    ours, theirs = one.net.state_dict(), other.net.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


@pytest.mark.slow
class TestStrategies:
    def test_finetune_learns_its_labels(self, base, track, span, tmp_path):
        before = scored(base, track)
        after = scored(finetune([span], base=base, settings=BY_HEART, folder=tmp_path), track)
        assert before["beat_f"] < 0.6
        assert after["beat_f"] > 0.95
        assert after["downbeat_f"] > 0.8

    @pytest.mark.usefixtures("small_scratch")
    def test_scratch_learns_its_labels(self, track, span, tmp_path):
        plain = replace(BY_HEART, augmentation=NO_AUGMENTATION)
        assert scored(scratch([span], settings=plain, folder=tmp_path), track)["beat_f"] > 0.9

    @pytest.mark.usefixtures("small_scratch")
    def test_scratch_takes_nothing_of_the_base(self, base, span, tmp_path):
        alone = scratch([span], settings=QUICK, folder=tmp_path / "a")
        beside = scratch([span], settings=QUICK, folder=tmp_path / "b", base=base)
        assert same(alone, beside)
        assert base.card.name not in {source.name for source in alone.card.sources}

    def test_the_base_is_not_changed(self, base, tiny_model, span, tmp_path):
        finetune([span], base=base, settings=QUICK, folder=tmp_path)
        assert same(base, load(tiny_model))

    def test_finetune_is_augment_with_nothing_augmented(self, base, span, tmp_path):
        plain = finetune([span], base=base, settings=QUICK, folder=tmp_path / "a")
        none = replace(QUICK, augmentation=NO_AUGMENTATION)
        assert same(plain, finetune_augment([span], base=base, settings=none, folder=tmp_path / "b"))
        assert not same(plain, finetune_augment([span], base=base, settings=QUICK, folder=tmp_path / "c"))

    def test_augmentation_follows_the_seed(self, base, span, tmp_path):
        one = finetune_augment([span], base=base, settings=QUICK, folder=tmp_path / "a")
        again = finetune_augment([span], base=base, settings=QUICK, folder=tmp_path / "b")
        other = finetune_augment([span], base=base, settings=replace(QUICK, seed=1), folder=tmp_path / "c")
        assert same(one, again)
        assert not same(one, other)

    def test_the_result_is_an_interpolation(self, base, span, tmp_path):
        none, half, whole = (
            finetune([span], base=base, settings=replace(QUICK, alpha=share), folder=tmp_path / str(share))
            for share in (0.0, 0.5, 1.0)
        )
        assert same(none, base)
        for name, tensor in half.net.state_dict().items():
            torch.testing.assert_close(tensor, (none.net.state_dict()[name] + whole.net.state_dict()[name]) / 2)

    def test_only_the_layers_asked_for_are_trained(self, base, span, tmp_path):
        settings = replace(QUICK, layers=("head",))
        trained = finetune([span], base=base, settings=settings, folder=tmp_path).net.state_dict()
        changed = {name for name, tensor in base.net.state_dict().items() if not torch.equal(tensor, trained[name])}
        assert changed == {"head.weight", "head.bias"}

    def test_fine_tuning_keeps_the_first_layers_unless_they_are_named(self, base, span, tmp_path):
        for layers, kept in (((), {"conv1", "conv2"}), (("conv1",), {"conv2", "conv3", "blocks", "head"})):
            tuned = finetune(
                [span], base=base, settings=replace(QUICK, layers=layers), folder=tmp_path / "-".join(layers)
            )
            pairs = [(name.split(".")[0], tuned.tensors[name], base.tensors[name]) for name in base.tensors]
            assert {name for name, one, other in pairs if np.array_equal(one, other)} == kept

    @pytest.mark.parametrize("strategy", ["scratch", "finetune", "finetune+augment"])
    @pytest.mark.usefixtures("small_scratch")
    def test_a_layer_that_does_not_exist_is_refused(self, base, span, tmp_path, strategy):
        settings = replace(QUICK, layers=("head", "block.1"))
        with pytest.raises(InputError, match=r"no layer 'block\.1'; did you mean 'blocks'"):
            adapt([span], strategy=strategy, base=base, settings=settings, out=tmp_path / "mine")

    @pytest.mark.parametrize("strategy", ["finetune", "finetune+augment"])
    def test_a_shift_tolerant_loss_trains_too(self, base, span, tmp_path, strategy):
        settings = replace(QUICK, tolerance=2)
        assert not same(base, STRATEGIES[strategy]([span], base=base, settings=settings, folder=tmp_path))

    def test_labels_outside_the_span_do_not_matter(self, base, track, tmp_path):
        moved = track.beats().times_s.copy()
        moved[moved > 4] += 0.15
        path = tmp_path / "moved.beats"
        write_beats(path, Beats(moved, track.beats().positions))
        first = track.beats().between(0, 4)
        start_s, end_s = float(first.times_s[0]), float(first.times_s[-1])
        weights = [
            finetune([Span(known, start_s, end_s)], base=base, settings=replace(QUICK, steps=8), folder=tmp_path / name)
            for name, known in (("a", track), ("b", Track("moved", track.audio, path)))
        ]
        assert same(*weights)

    def test_labels_inside_the_span_do(self, base, track, span, tmp_path):
        path = tmp_path / "moved.beats"
        write_beats(path, track.beats().shift(0.05))
        moved = annotated_spans(Track("moved", track.audio, path))[0]
        one = finetune([span], base=base, settings=QUICK, folder=tmp_path / "a")
        assert not same(one, finetune([moved], base=base, settings=QUICK, folder=tmp_path / "b"))

    @pytest.mark.usefixtures("small_scratch")
    @pytest.mark.parametrize("strategy", ["finetune", "finetune+augment", "scratch"])
    def test_nothing_cannot_be_learnt_from(self, base, tmp_path, strategy):
        with pytest.raises(InputError, match="no annotated beats to learn from"):
            STRATEGIES[strategy]([], base=base, settings=QUICK, folder=tmp_path)


class TestTrainingByTheLossOfTheBase:
    def test_a_base_that_does_not_fit_is_trained_longer_and_faster_in_the_same_time(self):
        assert training_for(0.1, AdaptSettings()) == KNOWN
        assert training_for(0.6, AdaptSettings()) == UNKNOWN
        assert UNKNOWN.steps > KNOWN.steps
        assert UNKNOWN.learning_rate > KNOWN.learning_rate
        assert UNKNOWN.steps + 2 * UNKNOWN.steps_of_half <= KNOWN.steps + 2 * KNOWN.steps_of_half

    @pytest.mark.parametrize("loss", [0.1, 0.6])
    def test_what_is_given_stays(self, loss):
        assert training_for(loss, AdaptSettings(steps=7, learning_rate=0.1)) == (7, 0.1, 7)
        assert training_for(loss, AdaptSettings(steps=7)).learning_rate == training_for(loss, AdaptSettings())[1]
        assert training_for(loss, AdaptSettings(learning_rate=0.1)).steps == training_for(loss, AdaptSettings()).steps

    @pytest.mark.slow
    @pytest.mark.parametrize("loss", [0.1, 0.6])
    def test_the_log_and_the_model_have_what_was_chosen(self, base, span, tmp_path, monkeypatch, loss):
        of_known, of_unknown = KNOWN._replace(steps=3, steps_of_half=3), UNKNOWN._replace(steps=6, steps_of_half=2)
        monkeypatch.setattr(strategies, "KNOWN", of_known)
        monkeypatch.setattr(strategies, "UNKNOWN", of_unknown)
        monkeypatch.setattr(strategies, "held_out_loss", lambda *_: loss)
        expected = of_unknown if loss == 0.6 else of_known
        settings, done = replace(QUICK, steps=None, learning_rate=None, alpha=None), []
        adapted = adapt(
            [span], strategy="finetune+augment", base=base, settings=settings, out=tmp_path / "mine",
            progress=lambda *now: done.append(now[:2]),
        )  # fmt: skip
        rows = {name: read_log(path) for name, path in log_files(tmp_path / "mine").items()}
        assert {name: len(of_training) for name, of_training in rows.items()} == {
            "": expected.steps, "half-1": expected.steps_of_half, "half-2": expected.steps_of_half,
        }  # fmt: skip
        for of_training in rows.values():
            assert max(row["learning_rate"] for row in of_training) == pytest.approx(expected.learning_rate)
        total = expected.steps + 2 * expected.steps_of_half
        assert done == [(step, total) for step in range(1, total + 1)]
        kept = {key: adapted.training[key] for key in ("steps", "learning_rate", "steps_of_half", "base_loss")}
        assert kept == {**expected._asdict(), "base_loss": loss}


class TestDecoder:
    def test_leaves_the_network_bit_for_bit(self, base, span):
        assert same(decoder([span], base=base), base)

    def test_learns_tempo_and_metre(self, base, span):
        learnt = decoder([span], base=base).decoder
        bpm = span.track.beats().tempo_bpm
        assert learnt["min_tempo_bpm"] < bpm < learnt["max_tempo_bpm"]
        assert learnt["max_tempo_bpm"] - learnt["min_tempo_bpm"] < 150 < 215 - 55
        assert learnt["tempo_mean_bpm"] == pytest.approx(bpm, rel=0.05)
        assert learnt["metre_weights"][learnt["metres"].index(4)] == max(learnt["metre_weights"])

    def test_learns_another_metre_from_other_labels(self, base, track, tmp_path):
        path, times = tmp_path / "three.beats", track.beats().times_s
        write_beats(path, Beats(times, [index % 3 + 1 for index in range(len(times))]))
        learnt = decoder([annotated_spans(Track("three", track.audio, path))[0]], base=base).decoder
        weights = dict(zip(learnt["metres"], learnt["metre_weights"], strict=True))
        assert weights[3] == max(weights.values())
        assert weights[3] > 0.5

    @pytest.mark.slow
    def test_every_strategy_carries_the_priors_of_its_labels(self, base, span, tmp_path):
        assert (
            finetune([span], base=base, settings=QUICK, folder=tmp_path).decoder == decoder([span], base=base).decoder
        )


class TestCard:
    def test_tells_what_it_was_trained_on(self, base, track, span, tmp_path):
        card = finetune_augment([span], base=base, settings=QUICK, folder=tmp_path).card
        assert card.minutes == pytest.approx(span.duration_s / 60)
        assert card.trained_on == {audio.content_hash(track.audio): [(span.start_s, span.end_s)]}
        assert card.licence == f"CC0-1.0 (tiny); not stated ({span.track.corpus.name})"
        assert "augmentation from tiny" in card.origin
        assert f"{span.duration_s / 60:.2f} annotated minutes of 1 recordings" in card.data
        assert "levada evaluate" in str(card.scores)

    def test_remembers_what_its_base_was_trained_on(self, base, rendered):
        a, b, _ = load_corpus(rendered, labels="beats").tracks
        once = decoder([annotated_spans(a)[0]], base=base)
        twice = decoder([annotated_spans(b)[0]], base=once)
        assert set(twice.card.trained_on) == {a.content_hash, b.content_hash}

    def test_two_stretches_of_a_recording_are_both_told(self, base, track):
        spans = [Span(track, 1.0, 4.0), Span(track, 6.0, 9.0)]
        assert decoder(spans, base=base).card.trained_on == {track.content_hash: [(1.0, 4.0), (6.0, 9.0)]}

    def test_evaluation_warns_of_a_recording_it_was_trained_on(self, base, rendered, span):
        adapted = tracker_of(decoder([span], base=base), name="mine")
        result = evaluate(load_corpus(rendered, labels="beats").tracks, {"mine": adapted})
        assert [row.track for row in result.rows if row.trained_on] == ["a"]
        assert any("mine was trained on 1 of the 3 recordings it is scored on (a)" in said for said in result.warnings)
        result = evaluate(load_corpus(rendered, labels="beats").tracks[1:], {"mine": adapted})
        assert not any("trained on" in said for said in result.warnings)


class Killed(BaseException):
    """What nobody catches."""


def killed_after(steps):
    def progress(step, *_):
        if step == steps:
            raise Killed

    return progress


@pytest.mark.slow
class TestRun:
    def run(self, span, base, out, **options):
        chosen = {"strategy": "finetune+augment", "settings": QUICK} | options
        return adapt([span], base=base, out=out, **chosen)

    def test_leaves_weights_card_and_log(self, base, span, tmp_path):
        adapted = self.run(span, base, tmp_path / "mine")
        assert {path.name for path in (tmp_path / "mine").iterdir()} == {
            "README.md",
            "config.json",
            "log.csv",
            "model.safetensors",
        }
        assert [path.name for path in tmp_path.iterdir()] == ["mine"]
        assert same(load(tmp_path / "mine"), adapted)
        assert load(tmp_path / "mine").card.name == "mine"
        assert load(tmp_path / "mine").training["steps"] == 4
        with open(tmp_path / "mine" / "log.csv", newline="") as file:
            assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]

    def test_each_step_is_logged_with_the_loss_on_the_half_held_out(self, base, span, tmp_path):
        settings = replace(QUICK, steps=21, alpha=None)
        adapted = self.run(span, base, tmp_path / "mine", settings=settings, log_to=["csv"])
        logs = log_files(tmp_path / "mine")
        assert list(logs) == ["", "half-1", "half-2"]
        rows = {name: read_log(path) for name, path in logs.items()}
        for of_training in rows.values():
            assert [row["step"] for row in of_training] == list(range(1, 22))
            assert all(row["learning_rate"] > 0 and row["downbeat_loss"] > 0 for row in of_training)
            assert all(row["loss"] == pytest.approx(row["beat_loss"] + 0.5 * row["downbeat_loss"], abs=3e-5)
                       for row in of_training)  # fmt: skip
        held_out = {name: [(row["step"], row["validation_loss"]) for row in rows[name] if "validation_loss" in row]
                    for name in rows}  # fmt: skip
        assert {name: [step for step, _ in points] for name, points in held_out.items()} == {
            "": [], "half-1": [20, 21], "half-2": [20, 21],
        }  # fmt: skip
        last = [held_out[name][-1][1] for name in ("half-1", "half-2")]
        whole = adapted.training["held_out_losses"]["1.0"]
        assert min(last) - 1e-4 <= whole <= max(last) + 1e-4  # their mean, weighted by length
        with open(tmp_path / "mine.logs" / "scalars.csv", newline="") as file:
            scalars = [(int(step), name, float(value)) for step, name, value in list(csv.reader(file))[1:]]
        for offset, (name, of_training) in enumerate(rows.items()):
            for kind in ("loss", "beat_loss", "downbeat_loss", "learning_rate", "validation_loss"):
                expected = [(21 * offset + row["step"], row[kind]) for row in of_training if kind in row]
                key = f"{name}/{kind}" if name else kind
                assert [(step, value) for step, logged, value in scalars if logged == key] == expected

    def test_the_loss_on_held_out_labels_changes_no_weights(self, base, span, tmp_path, monkeypatch):
        settings = replace(QUICK, alpha=None)
        once = self.run(span, base, tmp_path / "once", settings=settings)
        monkeypatch.setattr(strategies, "VALIDATE_EVERY", 1)
        assert same(once, self.run(span, base, tmp_path / "often", settings=settings))
        assert ["validation_loss" in row for row in read_log(tmp_path / "often" / "log-half-1.csv")] == [True] * 4

    def test_tells_progress(self, base, span, tmp_path):
        told = []
        self.run(span, base, tmp_path / "mine", progress=lambda *now: told.append(now))
        assert [(step, steps) for step, steps, _ in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
        assert all(loss > 0 for *_, loss in told)

    def test_refuses_what_exists(self, base, span, tmp_path):
        self.run(span, base, tmp_path / "mine", strategy="decoder", settings=None)
        before = {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()}
        with pytest.raises(InputError, match=r"exists already.*--force"):
            self.run(span, base, tmp_path / "mine")
        assert {path.name: path.read_bytes() for path in (tmp_path / "mine").iterdir()} == before
        self.run(span, base, tmp_path / "mine", force=True)
        assert not same(load(tmp_path / "mine"), base)

    def test_force_spares_a_folder_of_something_else(self, base, span, tmp_path):
        (tmp_path / "mine").mkdir()
        (tmp_path / "mine" / "thesis.tex").write_text("years of work")
        with pytest.raises(InputError, match="holds other files"):
            self.run(span, base, tmp_path / "mine", strategy="decoder", settings=None, force=True)
        assert (tmp_path / "mine" / "thesis.tex").read_text() == "years of work"

    def test_a_killed_run_goes_on_and_ends_as_an_unbroken_one(self, base, span, tmp_path, monkeypatch):
        settings = replace(QUICK, steps=6)
        unbroken = self.run(span, base, tmp_path / "unbroken", settings=settings)
        hours = iter(range(0, 10**9, 3600))
        with monkeypatch.context() as patched:  # an hour a step: a checkpoint at each
            patched.setattr("levada.learning.training.time.monotonic", lambda: next(hours))
            with pytest.raises(Killed):
                self.run(span, base, tmp_path / "broken", settings=settings, progress=killed_after(4))
        assert not (tmp_path / "broken").exists()
        assert (tmp_path / "broken.part" / "training.ckpt").exists()
        told = []
        resumed = self.run(
            span, base, tmp_path / "broken", settings=settings, progress=lambda *now: told.append(now[0])
        )
        assert told[0] > 1
        assert told[-1] == 6
        assert same(resumed, unbroken)
        assert not (tmp_path / "broken.part").exists()

    def test_a_run_killed_before_it_is_saved_is_saved_by_the_next_call(self, base, span, tmp_path, monkeypatch):
        unbroken = self.run(span, base, tmp_path / "unbroken")

        def kill(*_, **__):
            raise Killed

        with monkeypatch.context() as patched:
            patched.setattr("levada.learning.weights.save", kill)
            with pytest.raises(Killed):
                self.run(span, base, tmp_path / "broken")
        assert same(self.run(span, base, tmp_path / "broken"), unbroken)

    def test_refuses_the_unfinished_run_of_other_settings(self, base, span, tmp_path):
        with pytest.raises(Killed):
            self.run(span, base, tmp_path / "mine", progress=killed_after(2))
        with pytest.raises(
            InputError,
            match=r"mine\.part: holds unfinished work .* differs in settings\.seed \(0 before, 1 now\)",
        ):
            self.run(span, base, tmp_path / "mine", settings=replace(QUICK, seed=1))
        assert (tmp_path / "mine.part" / "levada-manifest.jsonl").exists()
        self.run(span, base, tmp_path / "mine", settings=replace(QUICK, seed=1), force=True)
        assert load(tmp_path / "mine").training["seed"] == 1

    def test_refuses_the_unfinished_run_of_another_base(self, base, span, tmp_path):
        with pytest.raises(Killed):
            self.run(span, base, tmp_path / "mine", progress=killed_after(2))
        other = finetune([span], base=base, settings=QUICK, folder=tmp_path / "other")
        with pytest.raises(InputError, match=r"unfinished work of a run that differs in base"):
            self.run(span, replace(other, card=base.card), tmp_path / "mine")

    @pytest.mark.parametrize("force", [False, True])
    def test_leaves_a_working_folder_alone_that_is_not_its_own(self, base, span, tmp_path, force):
        (tmp_path / "mine.part").mkdir()
        (tmp_path / "mine.part" / "thesis.tex").write_text("years of work")
        with pytest.raises(InputError, match="is not empty and was not made by levada"):
            self.run(span, base, tmp_path / "mine", force=force)
        assert (tmp_path / "mine.part" / "thesis.tex").read_text() == "years of work"

    def test_takes_an_empty_working_folder(self, base, span, tmp_path):
        (tmp_path / "mine.part").mkdir()
        (tmp_path / "mine.part" / ".levada-0123.json").touch()  # killed before it could say whose it is
        assert self.run(span, base, tmp_path / "mine").card.name == "mine"

    def test_says_which_strategies_there_are(self, base, span, tmp_path):
        with pytest.raises(
            InputError, match=r"no strategy 'magic'; there are auto, scratch, finetune, finetune\+augment"
        ):
            self.run(span, base, tmp_path / "mine", strategy="magic")

    def test_needs_a_folder_to_write_in(self, base, span, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match=r"cannot be created: .* is a file"):
            self.run(span, base, tmp_path / "file" / "mine")

    def test_refuses_labels_after_the_end(self, base, track, tmp_path):
        path = tmp_path / "late.beats"
        write_beats(path, track.beats().shift(60))
        late = annotated_spans(single(track.audio, path).tracks[0])[0]
        with pytest.raises(InputError, match=r"late\.beats: has beats up to 7\d\.\d\d s, and a\.wav ends at 12\.00 s"):
            self.run(late, base, tmp_path / "mine")
        assert not (tmp_path / "mine.part").exists()

    def test_ctrl_c_saves_no_model_and_the_same_call_goes_on(self, base, span, tmp_path):
        def stop(step, *_):
            if step == 2:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            self.run(span, base, tmp_path / "mine", progress=stop)
        assert [path.name for path in tmp_path.iterdir()] == ["mine.part"]
        resumed = self.run(span, base, tmp_path / "mine")
        assert same(resumed, self.run(span, base, tmp_path / "unbroken"))

    def test_scores_go_into_the_card_and_the_log_stays(self, base, span, tmp_path):
        adapted = self.run(span, base, tmp_path / "mine")
        log = (tmp_path / "mine" / "log.csv").read_bytes()
        with_scores(tmp_path / "mine", adapted, {"beat_f": "0.991"})
        assert load(tmp_path / "mine").card.scores == {"beat_f": "0.991"}
        assert "| beat_f | 0.991 |" in (tmp_path / "mine" / "README.md").read_text()
        assert (tmp_path / "mine" / "log.csv").read_bytes() == log
        assert json.loads((tmp_path / "mine" / "config.json").read_text())["card"]["name"] == "mine"


class TestSettings:
    @pytest.mark.parametrize("strategy", ["auto", "scratch", "finetune", "finetune+augment"])
    def test_of_the_training_are_changed(self, strategy):
        changed = settings_of(strategy, steps=7, learning_rate=0.5, layers=["head"])
        assert changed == replace(settings_of(strategy), steps=7, learning_rate=0.5, layers=("head",))

    @pytest.mark.parametrize("strategy", ["decoder", "bayes"])
    @pytest.mark.parametrize("given", [{"steps": 7}, {"learning_rate": 0.5}, {"layers": ["head"]}])
    def test_are_refused_where_nothing_is_trained(self, strategy, given):
        assert settings_of(strategy)
        with pytest.raises(InputError, match=f"{strategy} trains no network"):
            settings_of(strategy, **given)

    @pytest.mark.parametrize(
        "given",
        [
            {"steps": 0}, {"steps": 2.5}, {"steps": True}, {"learning_rate": 0}, {"learning_rate": -1},
            {"learning_rate": float("nan")}, {"learning_rate": float("inf")},
        ],
    )  # fmt: skip
    def test_out_of_range(self, given):
        with pytest.raises(InputError, match="must be"):
            settings_of("finetune", **given)


@pytest.mark.slow
class TestPrior:
    """A description that teaches beside the labels."""

    CANDOMBE = read_tradition("candombe")

    @pytest.fixture(autouse=True)
    def short_pieces(self, monkeypatch):
        monkeypatch.setattr(strategies, "PIECE_S", 6.0)

    def test_it_teaches(self, base, span, tmp_path):
        settings = replace(QUICK, prior_share=1.0, prior_pieces=2, augmentation=NO_AUGMENTATION)
        alone = finetune([span], base=base, settings=settings, folder=tmp_path / "a")
        beside = finetune([span], base=base, settings=settings, prior=self.CANDOMBE, folder=tmp_path / "b")
        again = finetune([span], base=base, settings=settings, prior=self.CANDOMBE, folder=tmp_path / "c")
        assert not same(alone, beside)
        assert same(beside, again)
        assert "description of candombe" in beside.card.data
        assert "description" not in alone.card.data

    def test_a_share_of_nought_is_no_prior_for_the_network(self, base, span, tmp_path):
        settings = replace(QUICK, prior_share=0.0)
        alone = finetune_augment([span], base=base, settings=settings, folder=tmp_path / "a")
        beside = finetune_augment([span], base=base, settings=settings, prior=self.CANDOMBE, folder=tmp_path / "b")
        assert same(alone, beside)

    def test_the_decoder_learns_its_tempi_and_metres(self, base, span):
        fast = replace(self.CANDOMBE, tempo_bpm=(240.0, 2.0), beats=3, instruments=threes(self.CANDOMBE))
        alone, beside = (decoder([span], base=base, prior=prior).decoder for prior in (None, fast))
        assert beside["max_tempo_bpm"] > 240 > alone["max_tempo_bpm"]
        assert 3 in beside["metres"]

    def test_another_prior_is_another_run(self, base, span, tmp_path):
        settings = AdaptSettings(steps=3, batch=1, excerpt_s=2.0)
        run = partial(adapt, [span], strategy="finetune", base=base, out=tmp_path / "mine", settings=settings)
        with pytest.raises(Killed):
            run(progress=killed_after(1))
        with pytest.raises(InputError, match="prior"):
            run(prior=self.CANDOMBE)


def threes(tradition):
    """Its first instrument, on every beat of three."""
    part = tradition.instruments[0]
    return (replace(part, presence=1.0, patterns=(Pattern("x..." * 3),)),)


class TestContradictingPrior:
    def test_one_that_contradicts_the_labels_is_warned_of(self, base, span, caplog):
        candombe = read_tradition("candombe")  # four beats, as the labels
        labels = [
            replace(span, track=replace(span.track, load=partial(_counted, span.beats, beats))) for beats in (3, 4)
        ]
        for spans, warned in zip(labels, (True, False), strict=True):
            caplog.clear()
            adapt([spans], strategy="decoder", base=base, prior=candombe)
            assert ("contradicts the labels" in caplog.text) == warned


def _counted(beats, metre):
    return Beats(beats.times_s, np.arange(len(beats)) % metre + 1)
