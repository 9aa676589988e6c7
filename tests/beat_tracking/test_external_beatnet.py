"""BeatNet: its weights without its code, its own results from its own files, and what is said where they are not."""

import importlib
import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch

from levada.beat_tracking.adaptation import AdaptSettings, finetune
from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.external import beatnet
from levada.beat_tracking.metrics import beat_scores
from levada.beat_tracking.networks import load
from levada.beat_tracking.networks.crnn import Crnn
from levada.beat_tracking.pretrained import base_weights, load_tracker, tracker_of
from levada.beat_tracking.spectrogram import log_spectrogram
from levada.data import annotated_spans, load_corpus
from levada.errors import InputError, MissingExtra
from levada.io import audio
from levada.io.beats import Beats
from levada.learning.weights import save
from levada.synth.render import render
from levada.synth.traditions import read_tradition

torch.set_num_threads(1)

HERE = importlib.util.find_spec("BeatNet") is not None
needs_beatnet = pytest.mark.skipif(not HERE, reason="BeatNet is not installed (pip install --no-deps BeatNet)")


def beatnets(*, seed=0):
    """Tensors as BeatNet names them."""
    torch.manual_seed(seed)
    return {
        name.replace("conv.", "conv1.").replace("fold.", "linear0.").replace("head.", "linear."): tensor
        for name, tensor in Crnn().state_dict().items()
    }


@pytest.fixture
def another(tmp_path, monkeypatch):
    """Put a package of that name before any other, which must not be imported; gives the folder of its models."""
    folder = tmp_path / "BeatNet" / "models"
    folder.mkdir(parents=True)
    (tmp_path / "BeatNet" / "__init__.py").write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(tmp_path)
    return folder


@pytest.fixture(scope="module")
def piece():
    return render(read_tradition("chachacha"), duration_s=30.0, rng=np.random.default_rng(3))


@pytest.fixture(scope="module")
def original():
    """BeatNet's own features and network, without the parts that want a microphone, and madmom's decoder."""
    if not HERE:
        pytest.skip("BeatNet is not installed (pip install --no-deps BeatNet)")
    downbeats = pytest.importorskip("madmom.features.downbeats")
    pytest.importorskip("librosa")
    folder = Path(next(iter(importlib.util.find_spec("BeatNet").submodule_search_locations)))
    package = types.ModuleType("BeatNet")
    package.__path__ = [str(folder)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "BeatNet", package)
        parts = {name: importlib.import_module(f"BeatNet.{name}") for name in ("common", "log_spect", "model")}
        for name in parts:
            patch.delitem(sys.modules, f"BeatNet.{name}")
    features = parts["log_spect"].LOG_SPECT(
        sample_rate=22050, win_length=1411, hop_size=441, n_bands=[24], mode="offline"
    )

    def hear(heard, model):
        net = parts["model"].BDA(272, 150, 2, "cpu")
        net.load_state_dict(torch.load(folder / "models" / f"model_{model}_weights.pt", weights_only=True))
        with torch.inference_mode():
            return net.eval().final_pred(net(torch.from_numpy(heard)[None])[0]).numpy()[:2].T

    decode = downbeats.DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=50)
    return types.SimpleNamespace(
        features=lambda samples: features.process_audio(samples).T, predict=hear, decode=decode
    )


@pytest.mark.slow
@needs_beatnet
class TestAsTheOriginal:
    def test_features(self, original, piece):
        import librosa

        sound = audio.to_mono(piece.mixture)
        theirs = original.features(librosa.resample(sound, orig_sr=piece.rate, target_sr=22050))
        ours = log_spectrogram(piece.mixture, piece.rate, front_end=beatnet.FRONT_END)
        assert ours.shape == (len(theirs), 136) == (1500, 136)
        np.testing.assert_allclose(np.log10(1 + np.exp(ours) - 1e-6), theirs[:, :136], atol=5e-6)

    @pytest.mark.parametrize("model", [1, 2, 3])
    def test_activations(self, original, piece, model):
        import librosa

        sound = librosa.resample(audio.to_mono(piece.mixture), orig_sr=piece.rate, target_sr=22050)
        beat, downbeat = original.predict(original.features(sound), model).T
        ours = beatnet.tracker(model).activations(piece.mixture, piece.rate)
        np.testing.assert_allclose(ours, np.stack([beat + downbeat, downbeat], 1), atol=5e-5)

    def test_beats(self, original, piece):
        tracker = beatnet.tracker()
        activations = tracker.activations(piece.mixture, piece.rate)
        times, positions = original.decode(activations - [[1, 0]] * activations[:, 1:]).T
        ours, theirs = tracker.decode(activations), Beats(times, positions.astype(int))
        assert len(theirs) > 40
        away = np.abs(np.subtract.outer(theirs.times_s, ours.times_s)).min(1)
        assert np.median(away) < 0.01  # theirs lie on frames
        assert (away < 0.03).mean() > 0.95
        assert beat_scores(theirs, ours, trim_s=0)["downbeat_f"] > 0.95

    def test_a_file_gives_what_its_samples_do(self, piece, tmp_path):
        path = tmp_path / "piece.wav"
        audio.write(path, piece.mixture, rate=piece.rate)
        tracker = beatnet.tracker()
        samples, rate = audio.read(path)
        np.testing.assert_allclose(tracker.activations(path), tracker.activations(samples, rate), atol=1e-5)

    def test_it_was_not_imported(self, piece):
        assert len(beatnet.tracker().track(piece.mixture[:, : 5 * piece.rate], piece.rate))
        assert "BeatNet" not in sys.modules


@pytest.mark.slow
@needs_beatnet
class TestWeights:
    @pytest.mark.parametrize(("model", "unheard"), [(1, "GTZAN"), (2, "Ballroom"), (3, "Rock Corpus")])
    def test_card(self, model, unheard):
        card = beatnet.weights(model).card
        assert card.licence == "CC-BY-4.0"
        assert unheard in card.data
        assert all(author in card.origin for author in ("Heydari", "Cwitkowitz", "Duan", f"Model {model} "))

    def test_each_model_is_its_own(self):
        nets = [beatnet.weights(model).net for model in (1, 2, 3)]
        assert len({tuple(net.head.bias.tolist()) for net in nets}) == 3
        assert len({beatnet.tracker(model).identity for model in (1, 2, 3)}) == 3

    def test_they_are_the_tracker_s(self, piece):
        mine = tracker_of(beatnet.weights(), name="mine")
        theirs = load_tracker("beatnet")
        assert theirs.name == "beatnet"
        assert theirs.backend.settings == mine.backend.settings
        assert mine.track(piece.mixture, piece.rate) == theirs.track(piece.mixture, piece.rate)

    def test_settings_are_those_of_its_offline_mode(self):
        settings = DecoderSettings.from_dict(beatnet.weights().decoder)
        assert (settings.min_tempo_bpm, settings.max_tempo_bpm) == (55, 215)
        assert (settings.metres, settings.metre_change) == ((2, 3, 4), 0)

    def test_a_folder_keeps_them(self, tmp_path):
        weights = beatnet.weights(2)
        save(tmp_path / "two", weights)
        again = load(tmp_path / "two")
        assert again.card == weights.card
        assert torch.equal(again.net.fold.weight, weights.net.fold.weight)

    def test_can_be_fine_tuned(self, rendered, tmp_path):
        base, spans = base_weights("beatnet"), [annotated_spans(load_corpus(rendered, labels="beats").tracks[0])[0]]
        settings = AdaptSettings(steps=3, learning_rate=1e-3, batch=1, excerpt_s=2.0, alpha=0.5)
        tuned = finetune(spans, base=base, settings=settings, folder=tmp_path)
        assert isinstance(tuned.net, Crnn)
        assert not torch.equal(tuned.net.fold.weight, base.net.fold.weight)
        assert tuned.card.licence.startswith("CC-BY-4.0 (beatnet-1); not stated (")
        assert "Heydari" in tuned.card.origin


class TestBadInput:
    @pytest.mark.parametrize("model", [0, 4, -1, True, "1", None, 1.5])
    @pytest.mark.parametrize("give", [beatnet.tracker, beatnet.weights])
    def test_no_such_model(self, model, give):
        with pytest.raises(InputError, match="models 1 to 3"):
            give(model)

    @pytest.mark.parametrize("give", [beatnet.tracker, beatnet.weights])
    def test_not_installed(self, give, hide_module):
        hide_module("BeatNet")
        with pytest.raises(MissingExtra, match=r"pip install --no-deps BeatNet"):
            give()

    def test_something_else_of_that_name(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "BeatNet", types.ModuleType("BeatNet"))
        with pytest.raises(MissingExtra):
            beatnet.tracker()

    def test_no_file(self, another):
        with pytest.raises(InputError, match="is missing") as caught:
            beatnet.tracker()
        assert caught.value.path == another / "model_1_weights.pt"

    def test_another_installation_is_read(self, another):
        torch.save(beatnets(seed=3), another / "model_2_weights.pt")
        assert torch.equal(beatnet.weights(2).net.conv.weight, beatnets(seed=3)["conv1.weight"])

    @pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
    def test_cut_short(self, another, share):
        path = another / "model_1_weights.pt"
        torch.save(beatnets(), path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(InputError, match="cannot be read") as caught:
            beatnet.tracker()
        assert caught.value.path == path

    def test_no_code_is_run(self, another):
        torch.save({"conv1.weight": Path("somewhere")}, another / "model_1_weights.pt")
        with pytest.raises(InputError, match="cannot be read"):
            beatnet.weights()

    @pytest.mark.parametrize("held", [[1, 2], {"state": {}}, {"epoch": 3}])
    def test_no_table_of_tensors(self, another, held):
        torch.save(held, another / "model_1_weights.pt")
        with pytest.raises(InputError, match="no table of tensors"):
            beatnet.weights()

    def test_not_finite(self, another):
        tensors = beatnets()
        tensors["linear.bias"][1] = float("nan")
        torch.save(tensors, another / "model_1_weights.pt")
        with pytest.raises(InputError, match="not finite"):
            beatnet.weights()

    @pytest.mark.parametrize("changed", [{"linear.bias": torch.zeros(2)}, {"other": torch.zeros(2)}])
    def test_another_network(self, another, changed):
        torch.save(beatnets() | changed, another / "model_1_weights.pt")
        with pytest.raises(InputError, match="not a network of BeatNet's"):
            beatnet.tracker()
