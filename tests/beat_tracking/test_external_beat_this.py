"""Beat This! as a rival and as a base: checkpoints in its package's format, its peaks, fine-tuning."""

import math
import pickle
import socket
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("einops")
pytest.importorskip("rotary_embedding_torch")
pytest.importorskip("beat_this.model.beat_tracker")

import torch

from levada.beat_tracking.adaptation import settings_of
from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.external import beat_this
from levada.beat_tracking.networks import load
from levada.beat_tracking.pretrained import base_weights
from levada.beat_tracking.spectrogram import MEL_BANDS, log_spectrogram
from levada.beat_tracking.tracker import BeatTracker
from levada.data import Track, annotated_spans, load_corpus
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
        with pytest.raises(InputError, match=r"get http://127.0.0.1:9/nobody/final0.ckpt") as error:
            beat_this.weights()
        assert time.monotonic() - began < 30
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

    def test_what_is_missing_is_said_before_anything_is_fetched(self, hide_module, monkeypatch):
        monkeypatch.setattr(torch.hub, "download_url_to_file", lambda *_: pytest.fail("asked"))
        hide_module("beat_this.model.beat_tracker")
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

    def result(self, beats: list[int], downbeats: list[int]) -> Beats:
        logits = np.full((500, 2), -8.0)
        logits[beats, 0] = 3.0
        logits[downbeats, 1] = 2.0
        return beat_this.peaks(logits)

    def test_positions_are_those_of_the_package(self):
        from beat_this.utils import infer_beat_numbers

        beats = self.result(list(range(10, 490, 25)), [60, 160, 235, 335])
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
        assert self.result([50, 100, 150, 200, 250, 300], downbeats).positions.tolist() == positions

    def test_of_two_downbeats_at_one_beat_one_is_left(self):
        beats = self.result([50, 100, 150], [96, 104])
        assert beats.positions.tolist() == [0, 1, 2]

    def test_downbeats_without_beats_are_nothing(self):
        assert len(self.result([], [100])) == 0

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
            result = torch.from_numpy(log_spectrogram(*audio.read(short.audio), front_end=MEL_BANDS))[None]
            beat, downbeat = beat_this.weights(tiny).net.logits(result)[0].T
        shift = torch.stack([(beat - downbeat).median(), downbeat.median()])
        whole["state_dict"]["model.task_heads.beat_downbeat_lin.bias"] -= shift
        torch.save(whole, tiny)
        return tiny

    def test_its_beats_are_the_peaks_of_its_network(self, lively, short):
        from beat_this.model.postprocessor import Postprocessor

        tracker = beat_this.tracker(lively)
        beats = tracker.track(short.audio)
        assert tracker.name == f"beat_this:{lively}"
        assert beats == tracker.track(*audio.read(short.audio))
        with torch.inference_mode():
            result = torch.from_numpy(log_spectrogram(*audio.read(short.audio), front_end=MEL_BANDS))[None]
            times_s, downbeats_s = Postprocessor()(*beat_this.weights(lively).net.logits(result)[0].T)
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
class TestAdapt:
    """Fine-tuning, through `BeatTracker.adapt` and the command, with a tiny network of the package's class."""

    @pytest.fixture(scope="class")
    def corpus(self, tmp_path_factory) -> Path:
        folder = tmp_path_factory.mktemp("corpus")
        for name in ("a", "b"):
            (folder / name).mkdir()
            waltz(folder / name, 9.0)
        return folder

    def changed_layers(self, before: Weights, after: Weights) -> set[str]:
        start = before.net.state_dict()
        return {
            name.split(".")[0]
            for name, tensor in after.net.state_dict().items()
            if not torch.equal(tensor, start[name])
        }

    def test_the_command_takes_a_checkpoint(self, corpus, tiny, tmp_path, levada):
        out = tmp_path / "mine"
        options = ("--strategy", "finetune+augment", "--steps", 5)
        code, _, err = levada("adapt", corpus, "--model", f"beat_this:{tiny}", *options, "-o", out)
        assert code == 0, err
        made = load(out)
        assert made.training["steps"] == 5
        assert made.training["learning_rate"] == 1e-4
        assert made.training["alpha"] == 0.5
        assert self.changed_layers(beat_this.weights(tiny), made) == set(beat_this.LAYERS)
        assert "Beat This!" in made.card.origin
        BeatTracker.from_pretrained(out).track(corpus / "a" / "a.wav")

    @pytest.mark.parametrize("name", ["file", "beat_this:file", "beat_this:small0"])
    def test_checkpoints_are_named_by_file_or_name(self, name, hub, tiny):
        torch.save(checkpoint(TINY), hub / "beat_this-small0.ckpt")
        base = base_weights(name.replace("file", str(tiny)))
        assert base.net.kind == "beat_this"
        assert BeatTracker.from_pretrained(name.replace("file", str(tiny))).weights().card.name == base.card.name

    def test_what_is_adapted_is_fine_tuned_with_the_same_settings_again(self, corpus, tiny, tmp_path):
        labels = [span for track in load_corpus(str(corpus), labels="beats").tracks for span in annotated_spans(track)]
        once = BeatTracker.from_pretrained(f"beat_this:{tiny}").adapt(labels, strategy="finetune", steps=2)
        once.save(tmp_path / "once")
        again = BeatTracker.from_pretrained(tmp_path / "once").adapt(labels, strategy="finetune", steps=1)
        assert again.model.training["learning_rate"] == 1e-4
        assert self.changed_layers(once.model, again.model) == set(beat_this.LAYERS)

    def test_settings_of_other_bases_are_the_usual_ones(self):
        assert settings_of("finetune", network="tcn") == settings_of("finetune")
        assert settings_of("scratch", network="beat_this") == settings_of("scratch")
        assert settings_of("finetune", network="beat_this") == beat_this.finetune_settings()
