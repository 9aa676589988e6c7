"""Beat This! as a rival and as a base: checkpoints in its package's format, its peaks, fine-tuning."""

import json
import math
import pickle
import socket
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("einops")
pytest.importorskip("rotary_embedding_torch")
pytest.importorskip("beat_this.model.beat_tracker")

import torch

from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.external import beat_this
from levada.beat_tracking.metrics import beat_scores
from levada.beat_tracking.networks import load
from levada.beat_tracking.networks.beat_this import Rhythm
from levada.beat_tracking.spectrogram import MEL_BANDS, file_log_spectrogram, log_spectrogram
from levada.data import Span, Track
from levada.errors import InputError, MissingExtra
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import write_beats
from levada.learning.weights import Weights, save

SMALL = {
    "spect_dim": 128, "fps": 50, "transformer_dim": 128, "ff_mult": 4, "n_layers": 6, "stem_dim": 32, "head_dim": 32,
    "dropout": {"frontend": 0.1, "transformer": 0.2}, "lr": 0.0008, "weight_decay": 0.01,
    "pos_weights": {"beat": 1, "downbeat": 1}, "sum_head": True, "partial_transformers": True,
}  # fmt: skip
TINY = {**SMALL, "transformer_dim": 32, "n_layers": 1, "stem_dim": 16, "head_dim": 16}


def checkpoint(shape: dict, *, seed: int = 0) -> dict:
    """What the authors publish, but with weights from a seed: a Lightning checkpoint without its optimiser."""
    from beat_this.model.beat_tracker import BeatThis

    torch.manual_seed(seed)
    arguments = ("spect_dim", "transformer_dim", "ff_mult", "n_layers", "head_dim", "stem_dim", "dropout", "sum_head")
    net = BeatThis(**{name: shape[name] for name in arguments})
    with torch.no_grad():
        net.task_heads.beat_downbeat_lin.weight.mul_(30)
        for norm in net.modules():
            if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                norm.running_mean.normal_()
                norm.bias.normal_()
    tensors = {f"model.{name}": tensor for name, tensor in net.state_dict().items()}
    return {
        "state_dict": tensors,
        "hyper_parameters": shape,
        "datamodule_hyper_parameters": {"fold": None},
        "epoch": 99,
    }


@pytest.fixture(autouse=True)
def hub(tmp_path, monkeypatch):
    """An empty folder of torch.hub, and authors who cannot be reached."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(beat_this, "URL", "http://127.0.0.1:9/nobody")
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def tiny(tmp_path):
    torch.save(checkpoint(TINY), tmp_path / "tiny.ckpt")
    return tmp_path / "tiny.ckpt"


def waltz(folder: Path, seconds: float) -> Track:
    """Clicks in bars of three, with their labels."""
    times_s = np.arange(0.4, seconds - 0.5, 0.6)
    beats = Beats(times_s, np.arange(len(times_s)) % 3 + 1)
    audio.write(folder / "a.wav", audio.clicks(beats, rate=22_050, duration_s=seconds)[None], rate=22_050)
    write_beats(folder / "a.beats", beats)
    return Track("a", folder / "a.wav", folder / "a.beats", "a")


@pytest.fixture(scope="module")
def song(tmp_path_factory) -> Track:
    """Two pieces long, for the network."""
    return waltz(tmp_path_factory.mktemp("song"), 40.0)


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> Track:
    return waltz(tmp_path_factory.mktemp("short"), 8.0)


class TestWeights:
    def test_a_name_is_found_where_the_package_keeps_it(self, hub):
        torch.save(checkpoint(SMALL), hub / "beat_this-small0.ckpt")
        weights = beat_this.weights("small0")
        assert weights.net.settings.transformer_dim == 128
        assert not weights.net.training
        assert weights.card.name == "beat_this-small0"
        expected = checkpoint(SMALL)["state_dict"]["model.transformer_blocks.layers.5.0.to_qkv.weight"]
        assert torch.equal(weights.net.state_dict()["transformer.layers.5.0.to_qkv.weight"], expected)

    def test_a_file_is_taken_as_it_is(self, tiny):
        settings = beat_this.weights(tiny).net.settings
        assert (settings.transformer_dim, settings.n_layers, settings.stem_dim) == (32, 1, 16)
        assert settings.dropout == 0

    def test_a_compiled_one_is_read_too(self, tmp_path):
        whole = checkpoint(TINY)
        compiled = {name.replace("model.", "model._orig_mod."): value for name, value in whole["state_dict"].items()}
        torch.save({**whole, "state_dict": compiled}, tmp_path / "compiled.ckpt")
        assert beat_this.weights(tmp_path / "compiled.ckpt").net.settings.n_layers == 1

    @pytest.mark.parametrize(
        ("name", "said"),
        [
            ("final0", "candombe are not fair"),
            ("small2", "candombe are not fair"),
            ("fold3", "recordings of this fold alone"),
            ("single_final1", "ansina1_03"),
            ("single_nosumhead0", "ansina1_03"),
            ("hung0", "may not be fair"),
            ("mine", "Unknown"),
        ],
    )
    def test_its_card_says_which_scores_are_fair(self, name, said, tmp_path):
        torch.save(checkpoint(TINY), tmp_path / f"beat_this-{name}.ckpt")
        card = beat_this.weights(tmp_path / f"beat_this-{name}.ckpt").card
        assert said in card.data
        assert ("BRID" in card.data) == (name != "mine")
        assert card.licence.startswith("MIT") == (name != "mine")
        assert "table" in str(card.scores) or name == "mine"

    def test_a_folder_keeps_them(self, tiny, tmp_path):
        weights = beat_this.weights(tiny)
        save(tmp_path / "model", weights)
        kept = load(tmp_path / "model")
        assert kept.card == weights.card
        assert kept.net.settings == weights.net.settings
        before = weights.net.state_dict()
        assert all(torch.equal(tensor, before[name]) for name, tensor in kept.net.state_dict().items())

    def test_no_network_is_said_at_once_with_what_to_do(self, hub):
        began = time.monotonic()
        with pytest.raises(InputError, match=r"fetch http://127.0.0.1:9/nobody/final0.ckpt elsewhere") as error:
            beat_this.weights()
        assert time.monotonic() - began < 5
        assert error.value.path == hub / "beat_this-final0.ckpt"
        assert list(hub.iterdir()) == []
        assert socket.getdefaulttimeout() is None

    def test_it_is_fetched_once(self, monkeypatch):
        fetched = []

        def fetch(url, path):
            fetched.append(url)
            torch.save(checkpoint(TINY), path)

        monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
        beat_this.weights("fold7")
        beat_this.weights("fold7")
        assert fetched == ["http://127.0.0.1:9/nobody/fold7.ckpt"]

    @pytest.mark.parametrize("name", ["final3", "fold8", "Final0", "final0.ckpt", "", "../final0", "single_0"])
    def test_a_name_that_nobody_gave_is_not_asked_for(self, name, monkeypatch):
        monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_: pytest.fail("asked"))
        with pytest.raises(InputError, match="there is no checkpoint"):
            beat_this.weights(name)

    def test_what_is_missing_is_said_before_anything_is_fetched(self, monkeypatch):
        monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_: pytest.fail("asked"))
        monkeypatch.setitem(sys.modules, "beat_this.model.beat_tracker", None)
        with pytest.raises(MissingExtra, match="--no-deps beat-this"):
            beat_this.weights("final0")

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda whole: whole.pop("hyper_parameters"), "lacks hyper_parameters"),
            (lambda whole: whole.update(state_dict=3), "lacks hyper_parameters or state_dict"),
            (lambda whole: whole["state_dict"].pop("model.transformer_blocks.norm.gamma"), "no checkpoint of Beat"),
            (lambda whole: whole["state_dict"].update(other=torch.zeros(1)), "no checkpoint of Beat This!"),
            (lambda whole: whole.update(hyper_parameters={**TINY, "spect_dim": 81}), "81 bands"),
            (lambda whole: whole.update(hyper_parameters={**TINY, "n_layers": 2}), "no checkpoint of Beat This!"),
            (lambda whole: whole.update(hyper_parameters={**TINY, "n_layers": "six"}), "n_layers"),
            (lambda whole: whole["state_dict"]["model.frontend.linear.bias"].fill_(math.nan), "not finite"),
        ],
    )
    def test_a_wrong_checkpoint_is_named(self, change, message, tmp_path):
        whole = checkpoint(TINY)
        change(whole)
        torch.save(whole, tmp_path / "wrong.ckpt")
        with pytest.raises(InputError, match=message) as error:
            beat_this.weights(tmp_path / "wrong.ckpt")
        assert error.value.path == tmp_path / "wrong.ckpt"

    def test_half_a_file_is_named(self, tiny):
        tiny.write_bytes(tiny.read_bytes()[:1000])
        with pytest.raises(InputError, match=r"tiny.ckpt: cannot be read as a checkpoint"):
            beat_this.weights(tiny)

    def test_no_code_in_a_file_is_run(self, tmp_path):
        class Trap:
            def __reduce__(self):
                return (open, (str(tmp_path / "sprung"), "w"))

        torch.save({**checkpoint(TINY), "hyper_parameters": Trap()}, tmp_path / "trap.ckpt")
        with pytest.raises(InputError, match="cannot be read"):
            beat_this.weights(tmp_path / "trap.ckpt")
        assert not (tmp_path / "sprung").exists()


class TestPeaks:
    def package(self, logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        from beat_this.model.postprocessor import Postprocessor

        return Postprocessor()(*torch.from_numpy(logits.T.copy()))

    @pytest.mark.parametrize("seed", range(5))
    def test_times_and_downbeats_are_those_of_the_package(self, seed):
        rng = np.random.default_rng(seed)
        logits = rng.normal(-1, 2, (800, 2)).round(seed % 3)  # rounded, neighbours are often as high as each other
        times_s, downbeats_s = self.package(logits)
        beats = beat_this.peaks(logits)
        assert len(beats) > 50
        np.testing.assert_allclose(beats.times_s, times_s, atol=1e-12)
        np.testing.assert_allclose(beats.downbeats_s, downbeats_s, atol=1e-12)

    def heard(self, beats: list[int], downbeats: list[int]) -> Beats:
        logits = np.full((500, 2), -8.0)
        logits[beats, 0] = 3.0
        logits[downbeats, 1] = 2.0
        return beat_this.peaks(logits)

    def test_positions_are_those_of_the_package(self):
        from beat_this.utils import infer_beat_numbers

        beats = self.heard(list(range(10, 490, 25)), [60, 160, 235, 335])
        assert beats.positions.tolist() == infer_beat_numbers(beats.times_s, beats.downbeats_s).tolist()
        assert beats.positions[:7].tolist() == [3, 4, 1, 2, 3, 4, 1]
        assert beats.confidence[0] == pytest.approx(1 / (1 + math.exp(-3)))

    @pytest.mark.parametrize(
        ("downbeats", "positions"),
        [
            ([], [0, 0, 0, 0, 0, 0]),
            ([150], [0, 0, 1, 2, 3, 4]),
            ([200, 300], [0, 0, 0, 1, 2, 1]),  # more beats before than a bar has
            ([104], [0, 1, 2, 3, 4, 5]),  # moved to the nearest
        ],
    )
    def test_nobody_knows_what_the_package_would_make_up(self, downbeats, positions):
        assert self.heard([50, 100, 150, 200, 250, 300], downbeats).positions.tolist() == positions

    def test_of_two_downbeats_at_one_beat_one_is_left(self):
        beats = self.heard([50, 100, 150], [96, 104])
        assert beats.positions.tolist() == [0, 1, 2]

    def test_downbeats_without_beats_are_nothing(self):
        assert len(self.heard([], [100])) == 0

    def test_nothing_is_nothing(self):
        assert len(beat_this.peaks(np.zeros((0, 2)))) == 0

    @pytest.mark.parametrize("wrong", [np.zeros(5), np.zeros((5, 3)), np.full((5, 2), math.nan)])
    def test_what_are_no_logits_is_refused(self, wrong):
        with pytest.raises(InputError, match="finite numbers of shape"):
            beat_this.peaks(wrong)


class TestTracker:
    @pytest.fixture
    def lively(self, tiny, short):
        """A network whose logits are above 0 in half of the frames."""
        whole = torch.load(tiny, weights_only=True)
        with torch.inference_mode():
            heard = torch.from_numpy(log_spectrogram(*audio.read(short.audio), front_end=MEL_BANDS))[None]
            beat, downbeat = beat_this.weights(tiny).net.logits(heard)[0].T
        shift = torch.stack([(beat - downbeat).median(), downbeat.median()])
        whole["state_dict"]["model.task_heads.beat_downbeat_lin.bias"] -= shift
        torch.save(whole, tiny)
        return tiny

    def test_its_beats_are_the_peaks_of_its_network(self, lively, short):
        from beat_this.model.postprocessor import Postprocessor

        tracker = beat_this.tracker(lively)
        beats = tracker.track(short.audio)
        assert tracker.name == "beat_this-tiny"
        assert beats == tracker.track(*audio.read(short.audio))
        with torch.inference_mode():
            heard = torch.from_numpy(log_spectrogram(*audio.read(short.audio), front_end=MEL_BANDS))[None]
            times_s, downbeats_s = Postprocessor()(*beat_this.weights(lively).net.logits(heard)[0].T)
        assert len(times_s) > 5
        np.testing.assert_allclose(beats.times_s, times_s)
        np.testing.assert_allclose(beats.downbeats_s, downbeats_s)

    def test_it_takes_no_hints(self, tiny, short):
        with pytest.raises(InputError, match="takes no hints"):
            beat_this.tracker(tiny).track(short.audio, hints=Beats([1.0]))

    def test_our_decoder_may_follow_and_takes_hints(self, tiny, short):
        tracker = beat_this.tracker(tiny, settings=DecoderSettings(metres=(3,)))
        beats = tracker.track(short.audio, hints=Beats([4.0, 4.6]))
        assert {4.0, 4.6} <= set(beats.times_s.round(3))
        assert max(beats.positions) <= 3

    def test_its_identity_changes_with_whatever_changes_its_beats(self, tiny, tmp_path):
        torch.save(checkpoint(TINY, seed=1), tmp_path / "other.ckpt")
        metres = [DecoderSettings(metres=(3,)), DecoderSettings(metres=(4,))]
        trackers = [
            beat_this.tracker(path, settings=how) for path in (tiny, tmp_path / "other.ckpt") for how in (None, *metres)
        ]
        assert len({tracker.identity for tracker in trackers}) == 6
        assert beat_this.tracker(tiny).identity == trackers[0].identity

    def test_it_can_be_sent_to_another_process(self, lively, short):
        tracker = beat_this.tracker(lively)
        samples, rate = audio.read(short.audio)
        few = samples[:, : 5 * rate]
        assert len(tracker.track(few, rate)) > 0
        assert pickle.loads(pickle.dumps(tracker)).track(few, rate) == tracker.track(few, rate)

    def test_silence_and_a_moment_are_no_trouble(self, tiny):
        tracker = beat_this.tracker(tiny)
        assert len(tracker.track(np.zeros((1, 0), np.float32), 44_100)) == 0
        tracker.track(np.zeros((2, 500), np.float32), 44_100)


@pytest.mark.slow
class TestFinetune:
    SETTINGS = replace(beat_this.finetune_settings(), steps=40, learning_rate=3e-3, excerpt_s=6.0, partway=1.0)

    def spans(self, song: Track) -> list[Span]:
        return [Span(song, 2.0, 12.0), Span(song, 32.0, 38.0)]

    @pytest.fixture
    def base(self, tiny) -> Weights:
        return beat_this.weights(tiny)

    def test_it_learns_what_is_marked_and_leaves_the_front_end(self, base, song, tmp_path):
        told = []
        before = {name: tensor.clone() for name, tensor in base.net.state_dict().items()}
        made = beat_this.finetune(
            self.spans(song), base=base, settings=self.SETTINGS, folder=tmp_path, progress=lambda *row: told.append(row)
        )
        changed = {name for name, tensor in made.net.state_dict().items() if not torch.equal(tensor, before[name])}
        assert {name.split(".")[0] for name in changed} == set(beat_this.LAYERS)
        assert all(torch.equal(tensor, before[name]) for name, tensor in base.net.state_dict().items())
        assert [row[0] for row in told] == list(range(1, 41))
        assert np.mean([row[2] for row in told[-5:]]) < 0.3 * told[0][2]
        samples, rate = audio.read(song.audio)
        truth = song.beats()
        scores = [beat_scores(truth, beat_this._find(weights.net, samples, rate))["beat_f"] for weights in (base, made)]
        assert scores[1] > max(0.8, scores[0])

    def test_what_comes_of_it_says_where_it_comes_from(self, base, short, tmp_path):
        quick = replace(self.SETTINGS, steps=1)
        made = beat_this.finetune([Span(short, 2.0, 6.5)], base=base, settings=quick, folder=tmp_path / "log")
        assert made.card.minutes == pytest.approx(4.5 / 60)
        assert made.card.trained_on == {short.content_hash: [(2.0, 6.5)]}
        again = beat_this.finetune([Span(short, 0.5, 3.0)], base=made, settings=quick, folder=tmp_path / "again")
        assert again.card.trained_on == {short.content_hash: [(0.5, 6.5)]}
        assert made.card.data.endswith(base.card.data)
        assert base.card.licence in made.card.licence
        assert [source.licence for source in made.card.sources] == [base.card.licence, ""]
        assert made.decoder["metres"] == (2, 3, 4)
        assert made.decoder["tempo_mean_bpm"] == pytest.approx(100, abs=1)
        assert made.training["steps"] == 1
        save(tmp_path / "model", made)
        assert json.loads((tmp_path / "model" / "config.json").read_text())["network"] == "beat_this"

    def test_the_same_seed_gives_the_same_weights(self, base, short, tmp_path):
        made = []
        for run, seed in enumerate((0, 0, 1)):
            settings, folder = replace(self.SETTINGS, steps=3, seed=seed), tmp_path / str(run)
            made.append(beat_this.finetune([Span(short, 2.0, 6.5)], base=base, settings=settings, folder=folder))
        first, again, other = (weights.net.heads.beat_downbeat_lin.weight for weights in made)
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_part_of_the_way_is_part_of_the_way(self, base, short, tmp_path):
        made = []
        for share in (1.0, None):
            settings, folder = replace(self.SETTINGS, steps=2, partway=share), tmp_path / str(share)
            made.append(beat_this.finetune([Span(short, 2.0, 6.5)], base=base, settings=settings, folder=folder))
        start, end, middle = (weights.net.heads.beat_downbeat_lin.weight for weights in (base, *made))
        torch.testing.assert_close(middle, (start + end) / 2)

    def test_features_are_those_of_tracking(self, base, song):
        """Each piece through the front end once; only those in which something is marked, and only there known."""
        lessons = beat_this._lessons(base.net, self.spans(song))
        assert [len(lesson.features) for lesson in lessons] == [1500, 1500]
        assert [lesson.known[:, 0].sum() for lesson in lessons] == [501, 89 + 301]
        one = beat_this._lessons(base.net, self.spans(song)[:1])
        assert one[0].known[6 + 100 : 6 + 601].all()
        assert one[0].known.sum() == 2 * 501
        assert one[0].targets.sum(axis=0).tolist() == [17, 6]
        with torch.inference_mode():
            bands = torch.from_numpy(file_log_spectrogram(song.audio, front_end=MEL_BANDS))[None]
            heard = Rhythm(base.net).eval()(torch.from_numpy(lessons[0].features)[None])[:, 6:-6]
            torch.testing.assert_close(heard, base.net(bands)[:, :1488])

    def test_another_network_is_refused(self, song, tmp_path, tiny_model):
        with pytest.raises(InputError, match=r"is not Beat This!"):
            beat_this.finetune(self.spans(song), base=load(tiny_model), folder=tmp_path / "log")

    def test_without_beats_there_is_nothing_to_learn(self, base, song, tmp_path):
        for spans in ([], [Span(song, 39.6, 40.0)]):
            with pytest.raises(InputError, match="no annotated beats"):
                beat_this.finetune(spans, base=base, folder=tmp_path / "log")
