"""The strategy that chooses, the score it chooses by, and patterns beside a network."""

import copy
import json
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from levada.beat_tracking import auto
from levada.beat_tracking.adaptation import adapt
from levada.beat_tracking.auto import BOTH, BOTH_BEATS, choose, decide, soft_f
from levada.beat_tracking.decoder.state_space import NetworkLikelihood
from levada.beat_tracking.folders import track_folder
from levada.beat_tracking.fusion import Fusion
from levada.beat_tracking.fusion import load as load_fusion
from levada.beat_tracking.networks import load
from levada.beat_tracking.networks.tcn_inference import TcnInference
from levada.beat_tracking.patterns.tracker import Observations
from levada.beat_tracking.pretrained import base_weights, load_tracker, read_model, tracker_of
from levada.data import Span, annotated_spans, load_corpus, single
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import read_beats, write_beats
from levada.learning.choice import Choice
from levada.learning.model_folder import ModelFolder
from levada.synth.composition import kit_styles
from levada.synth.render import render


@pytest.fixture(scope="module")
def spans(rendered):
    return [annotated_spans(track)[0] for track in load_corpus(rendered, labels="beats").tracks]


@pytest.fixture(scope="module")
def fusion(spans, tiny_model):
    model = choose(spans[:1], base=load(tiny_model), fine_tune=None)
    assert isinstance(model, Fusion)
    return model


class TestScore:
    def posterior(self, beats, *, frames=400):
        values = np.zeros((frames, 2))
        values[np.rint(beats.times_s * 100).astype(int), 0] = 1
        values[np.rint(beats.downbeats_s * 100).astype(int), 1] = 1
        return values

    BEATS = Beats([0.5, 1.0, 1.5, 2.0, 2.5, 3.0], [1, 2, 1, 2, 1, 2])

    def score(self, posterior, beats=None, span_s=(0.5, 3.0)):
        return soft_f(posterior, beats or self.BEATS, fps=100, span_s=span_s)

    def test_certain_and_right(self):
        assert self.score(self.posterior(self.BEATS)) == 1

    def test_half_sure(self):
        """Mass 3 at 6 labels: 2 * 3 / (3 + 6)."""
        assert self.score(0.5 * self.posterior(self.BEATS)) == pytest.approx(2 / 3)

    def test_the_tolerance_is_seventy_milliseconds(self):
        assert self.score(self.posterior(self.BEATS.shift(0.07)), span_s=(0.5, 3.1)) == 1
        assert self.score(self.posterior(self.BEATS.shift(0.09)), span_s=(0.5, 3.1)) == 0

    def test_wrong_downbeats_are_half_of_the_score(self):
        swapped = Beats(self.BEATS.times_s, [2, 1, 2, 1, 2, 1])
        assert self.score(self.posterior(swapped)) == 0.5

    def test_twice_as_many_beats(self):
        """12 beats, 6 of them right, and no positions: 2 * 6 / (12 + 6)."""
        twice = Beats(np.arange(0.5, 3.3, 0.25))
        plain = Beats(self.BEATS.times_s)
        assert self.score(self.posterior(twice), plain, (0.5, 3.3)) == pytest.approx(12 / 18)

    def test_outside_the_span_nothing_counts(self):
        posterior = self.posterior(self.BEATS)
        posterior[350:] = 1
        assert self.score(posterior) == 1


class TestDecide:
    @pytest.mark.parametrize(
        ("scores", "chosen"),
        [
            ({"base": 0.9, "patterns": 0.94, "patterns + base": 0.93}, "base"),
            ({"base": 0.5, "patterns": 0.8, "patterns + base": 0.7}, "patterns"),
            ({"base": 0.5, "patterns": 0.8, "patterns + base": 0.8}, "patterns + base"),
            ({"base": 0.5, "patterns": 0.6, "patterns + base": 0.6, "fine-tuned": 0.9}, "fine-tuned"),
            ({"base": 0.5, "patterns": 0.9, "fine-tuned": 0.6, "patterns + fine-tuned": 0.82}, "patterns + fine-tuned"),
            ({"base": 0.5, "patterns": 0.95, "fine-tuned": 0.6, "patterns + fine-tuned": 0.62}, "patterns"),
            ({"base": 0.5, BOTH: 0.7, BOTH_BEATS: 0.7}, BOTH),
            ({"base": 0.5, BOTH: 0.7, BOTH_BEATS: 0.71, "patterns": 0.9}, BOTH_BEATS),
            ({"base": 0.8, "patterns": 0.3, "fine-tuned": 0.84, "patterns + fine-tuned": 0.82}, "base"),
        ],
    )
    def test_by_scores(self, scores, chosen):
        assert decide(scores).name == chosen

    def test_one_line_with_the_scores(self):
        assert Choice("base", {"base": 0.5, "patterns": 0.25}, "because").line() == (
            "auto chose base: because (held-out scores: base 0.50, patterns 0.25)"
        )


class TestChoose:
    def test_of_one_recording_nothing_is_trained(self, spans, tiny_model, caplog):
        def never():
            raise AssertionError

        with caplog.at_level("INFO"):
            model = choose(spans[:1], base=load(tiny_model), fine_tune=never)
        assert isinstance(model, Fusion)
        assert "no network is trained" in model.card.scores["chosen"]
        assert "auto chose patterns + base" in caplog.text

    def test_of_several_all_candidates_are_scored(self, spans, tiny_model, monkeypatch):
        """The base is untrained; that its fine-tuned version is perfect is claimed, and it is scored all the same."""
        monkeypatch.setattr(auto, "GOOD_ENOUGH", 2.0)
        base = load(tiny_model)
        model = choose(
            spans, base=base, fine_tune=lambda: (replace(base, training={"alpha": 1.0}), [base.net, base.net])
        )
        scores = model.card.scores
        names = ["base", "patterns", "patterns + base", "fine-tuned", "patterns + fine-tuned"]
        assert [name for name in names if any(name in key for key in scores)] == names
        chosen = model.card.scores["chosen"]
        assert chosen.startswith("auto chose patterns")

    def test_a_network_runs_once_for_each_span(self, spans, tiny_model, monkeypatch):
        """Five candidates take the activations of the base, three of them those of the networks of both halves."""
        monkeypatch.setattr(auto, "GOOD_ENOUGH", 2.0)
        base, tuned = load(tiny_model), [load(tiny_model).net.eval() for _ in range(2)]
        runs, done, of_base = [], [], TcnInference.body
        for index, net in enumerate(tuned, start=1):

            def body(features, index=index, run=net.body):
                runs.append((index, features.numpy().tobytes()))
                return run(features)

            monkeypatch.setattr(net, "body", body)

        def body_of_base(self, features):
            runs.append((0, features.tobytes()))
            return of_base(self, features)

        monkeypatch.setattr(TcnInference, "body", body_of_base)
        choose(
            spans,
            base=base,
            fine_tune=lambda: (replace(base, training={"alpha": 1.0}), tuned),
            progress=lambda *counts: done.append(counts),
        )
        assert len(runs) == len({*runs}) == 2 * len(spans)  # of the base each span, of the others those not learnt from
        assert sum(index == 0 for index, _ in runs) == len(spans)
        each = [(i + 1, len(spans)) for i in range(len(spans))]
        assert done == each * (len(done) // len(spans))
        assert len(done) >= 5 * len(spans)

    def test_a_base_that_is_right_stays(self, spans):
        """The shipped base is nearly right on its own labels: nothing may replace it."""
        base = load_tracker("base")
        right = []
        for span in spans:
            beats = base.track(span.track.audio)
            right.append(Span(replace(span.track, load=partial(beats.between, 0.0, 99.0)), 1.0, 10.0))
        model = choose(right, base=base_weights("base"), fine_tune=None)
        assert model.training["auto"]["chosen"] == "base"
        tracked = tracker_of(model, name="it").track(spans[0].track.audio, use_labels=False)
        assert tracked == base.track(spans[0].track.audio)

    def test_labels_without_two_beats_in_a_row(self, spans, tiny_model):
        one = Span(spans[0].track, spans[0].start_s, spans[0].start_s + 0.05)
        model = choose([one], base=load(tiny_model), fine_tune=None)
        assert model.training["auto"]["chosen"] == "base"
        assert "no patterns could be learnt" in model.card.scores["chosen"]

    def test_labels_half_a_beat_late(self, tmp_path, caplog):
        rock = next(style for style in kit_styles() if style.name == "rock")
        piece = render(rock, duration_s=12.0, rng=np.random.default_rng(0))
        audio.write(tmp_path / "a.wav", piece.mixture, rate=piece.rate)
        half = float(np.median(piece.beats.intervals_s)) / 2
        for shift_s, warned in ((0.0, False), (half, True)):
            caplog.clear()
            write_beats(tmp_path / "a.beats", piece.beats.shift(shift_s).between(0.0, 11.5), force=True)
            (track,) = single(tmp_path / "a.wav", tmp_path / "a.beats").tracks
            choose([Span(track, 1.0, 10.0)], base=base_weights("base"), fine_tune=None)
            assert ("half a beat off" in caplog.text) == warned

    def test_by_name(self, spans, tiny_model, tmp_path):
        model = adapt(spans[:1], strategy="auto", base=load(tiny_model), out=tmp_path / "mine")
        assert isinstance(model, Fusion)
        stored = json.loads((tmp_path / "mine" / "config.json").read_text())
        assert stored["network"] == "fusion"
        assert stored["training"]["auto"]["chosen"] == "patterns + base"
        assert stored["card"]["trained_on"].keys() == {spans[0].track.content_hash}


class TestFusion:
    def test_saved_and_loaded_it_finds_the_same_beats(self, fusion, spans, tmp_path):
        fusion.save(tmp_path / "mine")
        samples, rate = audio.read(spans[1].track.audio)
        expected = tracker_of(fusion, name="it").track(samples, rate)
        assert load_tracker(tmp_path / "mine").track(samples, rate) == expected
        again = read_model(tmp_path / "mine")
        again.save(tmp_path / "again")
        assert ModelFolder(tmp_path / "again").digest == ModelFolder(tmp_path / "mine").digest

    def test_without_weight_the_network_moves_beats_and_no_more(self, fusion, spans):
        samples, rate = audio.read(spans[1].track.audio)
        alone = tracker_of(fusion.patterns, name="it").track(samples, rate)
        both = tracker_of(replace(fusion, weight=0.0, own_score=None), name="it").track(samples, rate)
        np.testing.assert_array_equal(both.positions, alone.positions)
        assert np.abs(both.times_s - alone.times_s).max() <= 0.036

    def test_with_the_base_the_mean_of_both_counts(self, fusion, spans, tmp_path):
        """A copy of the network as the base changes nothing, another one does."""
        samples, rate = audio.read(spans[1].track.audio)
        expected = tracker_of(replace(fusion, own_score=None), name="it").backend.observe(samples, rate).activations
        other = replace(fusion.network, source=copy.deepcopy(fusion.network.net))
        with torch.no_grad():
            for values in other.net.parameters():
                values.add_(0.1)
        for base, same in ((fusion.network, True), (other, False)):
            both = replace(fusion, base=base, own_score=None)
            both.save(tmp_path / f"{same}")
            found = load_tracker(tmp_path / f"{same}").backend.observe(samples, rate).activations
            if same:
                np.testing.assert_allclose(found, expected, atol=1e-6)
            else:
                alone = tracker_of(other, name="it").activations(samples, rate)
                np.testing.assert_allclose(found, (expected + alone) / 2, atol=1e-5)

    def test_downbeats_of_the_network_may_not_count(self, fusion, spans, tmp_path):
        """Then its activations of downbeats change nothing."""
        for counts in (False, True):
            replace(fusion, own_score=None, weight=1.0, network_downbeats=counts).save(tmp_path / f"{counts}")
            backend = load_tracker(tmp_path / f"{counts}").backend
            observations = backend.observe(spans[1].track.audio)
            swapped = observations.activations.copy()
            swapped[:, 1] = np.random.default_rng(0).uniform(0, 1, len(swapped)) * swapped[:, 0]
            one, other = (
                backend.posteriors(observations._replace(activations=a)) for a in (observations.activations, swapped)
            )
            assert np.allclose(one, other) != counts

    @pytest.mark.parametrize("is_music", [True, False])
    def test_only_where_the_network_finds_no_pulse_are_no_beats(self, fusion, spans, is_music):
        """After the labels comes another piece, at a tempo that the patterns do not know, or noise."""
        settings = replace(tracker_of(fusion.network, name="it").backend.settings, no_pulse_enter=16.0)
        backend = tracker_of(replace(fusion, own_score=None, weight=1.0), name="it").backend
        backend = replace(backend, network=replace(backend.network, settings=settings))
        labels = spans[0].beats.times_s
        beat_s, end_s = float(np.median(np.diff(labels))), float(labels[-1]) + 1
        later_s = end_s + np.arange(0.5, 14, 1.45 * beat_s if beat_s < 0.6 else 0.69 * beat_s)
        activations = np.full((round((end_s + 15) * 100), 2), 0.01, np.float32)
        bands = np.random.default_rng(0).normal(-8, 0.1, (len(activations), 81)).astype(np.float32)
        rng = np.random.default_rng(0)
        bands[rng.integers(round(end_s * 100), len(bands), 120)] += rng.uniform(2, 5, (120, 1))
        activations[np.rint(labels * 100).astype(int), 0] = 0.9
        if is_music:
            activations[np.rint(later_s * 100).astype(int), 0] = 0.5
        observed = backend.observe(spans[0].track.audio).bands[: round(end_s * 100)]
        bands[: len(observed)] = observed
        found = backend.decode(Observations(bands, activations)).times_s
        assert (found < end_s).sum() > 0.8 * len(labels)
        assert ((found > end_s + 1).sum() > 5) == is_music

    def test_its_labels_are_found_again(self, fusion, spans):
        found = tracker_of(fusion, name="it").track(spans[0].track.audio)
        right = spans[0].beats.times_s
        assert (np.abs(found.times_s[:, None] - right).min(axis=0) < 0.07).mean() > 0.9

    def test_hints_stay_where_they_are(self, fusion, spans):
        hint = Beats([float(spans[1].beats.times_s[4]) + 0.012], [2])
        found = tracker_of(fusion, name="it").track(spans[1].track.audio, hints=hint)
        at = int(np.abs(found.times_s - hint.times_s[0]).argmin())
        assert (found.times_s[at], found.positions[at]) == (hint.times_s[0], 2)

    def test_it_was_trained_on_what_its_network_was_trained_on_too(self, fusion, spans):
        card = replace(fusion.network.card, trained_on={"ab": [(0.0, 2.0)]})
        both = tracker_of(replace(fusion, network=replace(fusion.network, card=card)), name="it")
        assert both.trained_spans.keys() == {"ab", spans[0].track.content_hash}

    def test_adapting_it_again_starts_from_its_network(self, fusion):
        assert tracker_of(fusion, name="it").weights().card == fusion.network.card

    @pytest.mark.parametrize(
        ("old", "new", "message"),
        [
            ('"weight": 0.25', '"weight": -1', "weight of the network"),
            ('"weight": 0.25', '"weights": 0.5', "weight of the network"),
            ('"patterns": {', '"pattern": {', "lacks its patterns"),
            ('"network": "fusion"', '"network": "tcn"', "damaged"),
        ],
    )
    def test_damaged_folders(self, fusion, tmp_path, old, new, message):
        fusion.save(tmp_path / "mine")
        config = tmp_path / "mine" / "config.json"
        text = config.read_text()
        assert old in text
        config.write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match=message):
            load_tracker(tmp_path / "mine")

    def test_only_a_fusion_is_read_as_one(self, tiny_model):
        with pytest.raises(InputError, match="holds no patterns with a network"):
            load_fusion(tiny_model)


class TestNetworkLikelihood:
    def score(self, activations, starts, *, bars=(2,), weight=1.0):
        likelihood = NetworkLikelihood(
            activations, bars=bars, lengths=np.array([40, 50]), fps=100, beat_width=16, weight=weight
        )
        return likelihood(np.array(starts))

    def test_a_beat_is_likely_where_the_activation_is(self):
        activations = np.full((400, 2), 0.02)
        activations[100] = 0.95, 0.9
        scores = self.score(activations, [[90, 100, 110]] * 2)
        assert scores.shape == (2, 2, 3)
        assert (scores[:, 0].argmax(axis=1) == 1).all()
        assert (scores[:, 0, 1] > scores[:, 1, 1]).all()  # a downbeat

    def test_outside_the_recording_nothing_counts(self):
        activations = np.full((100, 2), 0.3)
        np.testing.assert_allclose(self.score(activations, [[-39], [-49]])[:, :, 0], 0, atol=2)
        assert np.isfinite(self.score(activations, [[99], [99]])).all()

    def test_weight(self):
        activations = np.random.default_rng(0).uniform(0, 1, (300, 2))
        starts = [[10, 100], [10, 100]]
        np.testing.assert_allclose(
            self.score(activations, starts, weight=0.5), 0.5 * self.score(activations, starts), rtol=1e-9
        )

    def test_without_positions_all_beats_are_alike(self):
        activations = np.full((400, 2), 0.02)
        activations[100] = 0.95, 0.9
        assert self.score(activations, [[100], [100]], bars=()).shape == (2, 1, 1)


class TestLabels:
    """The labels of a recording that a model learnt from are hints where this recording is tracked."""

    @pytest.fixture(scope="class")
    def shifted(self, spans, tiny_model):
        """A model of labels that are not where its beats would be: 0.1 s late."""
        track = spans[0].track
        late = replace(track, load=partial(spans[0].beats.shift, 0.1))
        return choose([Span(late, spans[0].start_s + 0.1, spans[0].end_s + 0.1)], base=load(tiny_model), fine_tune=None)

    def test_they_are_kept(self, shifted, spans, tmp_path):
        shifted.save(tmp_path / "mine")
        tracker = load_tracker(tmp_path / "mine")
        labels = tracker.labels_of(spans[0].track.audio)
        inside = spans[0].beats.between(0.0, 11.9)
        np.testing.assert_allclose(labels.times_s, inside.times_s + 0.1, atol=1e-4)
        np.testing.assert_array_equal(labels.positions, inside.positions)
        tracked = tracker.track(spans[0].track.audio)
        assert np.abs(tracked.times_s[:, None] - labels.times_s).min(axis=0).max() <= 0.026
        assert '"labels":' not in (tmp_path / "mine" / "README.md").read_text().split("## Settings")[1]

    def test_not_for_samples_other_recordings_or_where_they_are_not_wanted(self, shifted, spans):
        tracker, audio_path = tracker_of(shifted, name="it"), spans[0].track.audio
        samples, rate = audio.read(audio_path)
        assert tracker.labels_of(spans[1].track.audio) is None
        without = tracker.track(audio_path, use_labels=False)
        np.testing.assert_allclose(tracker.track(samples, rate).times_s, without.times_s, atol=0.02)
        assert tracker.track(audio_path) != without

    def test_hints_count_more_than_labels(self, shifted, spans):
        hint = Beats([float(spans[0].beats.times_s[4])])
        tracked = tracker_of(shifted, name="it").track(spans[0].track.audio, hints=hint)
        assert np.abs(tracked.times_s - hint.times_s[0]).min() <= 0.025

    def test_in_a_part_and_in_a_folder(self, shifted, spans, tmp_path):
        path = spans[0].track.audio
        tracker = tracker_of(shifted, name="it")
        labels = tracker.labels_of(path)
        part = tracker.track(path, start_s=2.0, end_s=6.0)
        inside = labels.between(2.1, 5.9).times_s
        assert np.abs(part.times_s[:, None] - inside).min(axis=0).max() <= 0.026
        (tmp_path / "in").mkdir()
        (tmp_path / "in" / path.name).write_bytes(path.read_bytes())
        for use_labels, name in ((True, "with"), (False, "without")):
            report = track_folder(tmp_path / "in", tracker, out=tmp_path / name, use_labels=use_labels)
            assert not report.failed
        files = [read_beats(next((tmp_path / name).glob("*.beats"))) for name in ("with", "without")]
        assert files[0] != files[1]


class TestOtherRecordings:
    """Patterns of one recording count on another one only where they fit it."""

    def test_of_one_recording_the_own_score_is_kept(self, fusion, tmp_path):
        assert fusion.own_score > 0
        fusion.save(tmp_path / "mine")
        assert load_fusion(tmp_path / "mine").own_score == fusion.own_score

    def test_the_score_of_the_labels_is_higher_than_that_of_others(self, fusion, spans):
        tracker = tracker_of(fusion, name="it").backend
        observations = tracker.observe(spans[0].track.audio)
        right = tracker.score(observations, spans[0].beats)
        late = spans[0].beats.shift(float(spans[0].beats.intervals_s[0]) / 2).between(0.0, 11.9)
        assert right == pytest.approx(fusion.own_score, rel=0.05)
        assert tracker.score(observations, late) < 0.5 * right
        assert tracker.score(observations, Beats([1.0])) == 0

    @pytest.mark.parametrize(
        ("given", "keeps_patterns"),
        [
            ({"own_score": 1e-9}, True),
            ({"own_score": 1e9}, False),
            ({"own_score": 1e-9, "least_certainty": 1e-3}, True),
            ({"own_score": 1e-9, "least_certainty": 1.0}, False),
        ],
    )
    def test_where_they_do_not_fit_the_network_is_alone(self, fusion, spans, caplog, given, keeps_patterns):
        """The untrained network has no beats in common with the patterns."""
        tracker = tracker_of(replace(fusion, **given), name="it")
        tracked = tracker.track(spans[0].track.audio, use_labels=False)
        network = tracker_of(fusion.network, name="it").track(spans[0].track.audio)
        both = tracker_of(replace(fusion, own_score=None), name="it").track(spans[0].track.audio, use_labels=False)
        assert both != network
        assert tracked == (both if keeps_patterns else network)
        assert ("do not fit" in caplog.text) != keeps_patterns
        if not keeps_patterns:
            assert str(spans[0].track.audio) in caplog.text

    @pytest.mark.parametrize("proven", [True, False])
    def test_another_tempo_does_not_fit_unless_patterns_are_proven(self, fusion, spans, proven):
        decoder = fusion.patterns.decoder
        patterns = replace(fusion.patterns, decoder=replace(decoder, tempo_mean_bpm=2.5 * decoder.tempo_mean_bpm))
        given = replace(fusion, patterns=patterns, own_score=1e-9, proven=proven)
        beats = tracker_of(given, name="it").track(spans[0].track.audio, use_labels=False)
        network = tracker_of(fusion.network, name="it").track(spans[0].track.audio)
        assert (beats != network) == proven


class TestPatternsOrBase:
    def learnt(self, spans):
        return auto.train(spans, settings=auto.BayesSettings())

    def test_patterns_that_hold_on_another_recording_need_not_be_certain(self, spans, tiny_model):
        assert len({span.track.content_hash for span in spans}) > 1
        fused = auto.patterns_or_base(self.learnt(spans), load(tiny_model), spans)  # the base is untrained
        assert (fused.weight, fused.least_certainty, fused.proven) == (0, 0, True)

    @pytest.mark.parametrize("base_score", [0.9, 0.25])
    def test_where_the_base_is_as_good_they_must_be(self, spans, monkeypatch, base_score):
        monkeypatch.setattr(auto, "_held_out", lambda tracker, _: 0.3 if hasattr(tracker, "patterns") else base_score)
        fused = auto.patterns_or_base(self.learnt(spans), base_weights("base"), spans)
        assert fused.weight == 0
        assert fused.own_score > 0
        assert fused.least_certainty > 0.5
        assert not fused.proven

    @pytest.mark.parametrize(("base_score", "is_kept"), [(0.9, True), (0.52, False), (0.1, False)])
    def test_of_one_recording_the_base_stays_where_it_is_better_on_held_out_labels(
        self, spans, monkeypatch, base_score, is_kept
    ):
        monkeypatch.setattr(auto, "_held_out", lambda tracker, _: 0.5 if hasattr(tracker, "patterns") else base_score)
        chosen = auto.patterns_or_base(self.learnt(spans[:1]), base_weights("base"), spans[:1])
        assert isinstance(chosen, Fusion) == (not is_kept)
        if isinstance(chosen, Fusion):
            assert chosen.weight == auto.WEIGHT_ONE
        assert chosen.card.trained_on.keys() >= {spans[0].track.content_hash}

    @pytest.mark.parametrize(("base_score", "holds"), [(0.9, False), (0.1, True)])
    def test_labels_of_one_recording_count_more_where_the_base_fails(self, spans, monkeypatch, base_score, holds):
        monkeypatch.setattr(auto, "_held_out", lambda *_: base_score)
        fused = auto.patterns_or_base(self.learnt(spans[:1]), base_weights("base"), spans[:1])
        assert (fused.proven, fused.least_certainty == 0) == (holds, holds)

    def test_one_recording_keeps_its_own_patterns_and_others_may_keep_the_base(self, spans, tiny_model, tmp_path):
        patterns = self.learnt(spans[:1])
        fused = auto.patterns_or_base(patterns, load(tiny_model), spans[:1])
        assert isinstance(fused, Fusion)
        assert fused.card.minutes == pytest.approx(patterns.card.minutes)
        fused.save(tmp_path / "mine")
        again = load_fusion(tmp_path / "mine")
        kept = ("weight", "own_score", "least_certainty", "proven")
        assert [getattr(again, name) for name in kept] == [getattr(fused, name) for name in kept]
        path = spans[0].track.audio
        both, alone = replace(tracker_of(fused, name="").backend, own_score=None), tracker_of(patterns, name="").backend
        np.testing.assert_array_equal(both.track(path).positions, alone.track(path).positions)
