"""Beat This! as one of our networks: the same numbers as in its package, and fit to be trained on."""

import math
import sys
from types import ModuleType

import numpy as np
import pytest

pytest.importorskip("einops")
pytest.importorskip("rotary_embedding_torch")
pytest.importorskip("beat_this.model.beat_tracker")

import torch
from torch.nn import functional

from levada.beat_tracking.decoder import probabilities
from levada.beat_tracking.network_tracker import predict
from levada.beat_tracking.networks import load
from levada.beat_tracking.networks.beat_this import BeatThis, BeatThisSettings, given_a_beat, pieces
from levada.beat_tracking.spectrogram import MEL_BANDS, log_spectrogram, mel_filterbank
from levada.beat_tracking.targets import Batch, shift_tolerant_loss
from levada.errors import InputError, MissingExtra
from levada.learning.training import FitSettings, fit
from levada.learning.weights import Card, Weights, interpolate, save

TINY = BeatThisSettings(transformer_dim=32, n_layers=1, head_dim=16, stem_dim=16)
CARD = Card("tiny", "Drawn from a seed.", "CC0-1.0", "none", 0.0, {"any": "none"})


@pytest.fixture(autouse=True)
def quiet_drawing():
    torch.manual_seed(0)


def loud(net: BeatThis) -> BeatThis:
    """With outputs that differ from frame to frame and norms that have seen music, as in a trained network."""
    with torch.no_grad():
        net.heads.beat_downbeat_lin.weight.mul_(30)
        for norm in net.modules():
            if isinstance(norm, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
                norm.running_mean.normal_()
                norm.bias.normal_()
    return net.eval()


@pytest.fixture
def net() -> BeatThis:
    return loud(BeatThis(TINY))


def music(frames: int, *, seed: int = 0) -> torch.Tensor:
    """The logarithm of magnitudes between those of silence and of a loud chord."""
    return torch.from_numpy(np.random.default_rng(seed).uniform(-13.8, 4, (1, frames, 128)).astype(np.float32))


@pytest.fixture
def package(monkeypatch):
    """The package's own inference, with a stand-in for the library of audio that it imports and we never call."""
    monkeypatch.setitem(sys.modules, "torchaudio", ModuleType("torchaudio"))
    for name in ("beat_this.inference", "beat_this.preprocessing"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    import beat_this.inference

    yield beat_this.inference
    for name in ("beat_this.inference", "beat_this.preprocessing"):
        sys.modules.pop(name, None)


def theirs(net: BeatThis):
    """The package's network with the same weights."""
    from beat_this.model.beat_tracker import BeatThis as Theirs

    settings = net.settings
    twin = Theirs(
        transformer_dim=settings.transformer_dim, n_layers=settings.n_layers, head_dim=settings.head_dim,
        stem_dim=settings.stem_dim, sum_head=settings.sum_head, partial_transformers=settings.partial_transformers,
    )  # fmt: skip
    renamed = {
        name.replace("transformer.", "transformer_blocks.", 1).replace("heads.", "task_heads.", 1): tensor
        for name, tensor in net.state_dict().items()
    }
    twin.load_state_dict(renamed)
    return twin.eval()


class TestFrontEnd:
    RATE = 22_050

    def sound(self, seconds: float = 3.0) -> np.ndarray:
        at = np.arange(int(self.RATE * seconds)) / self.RATE
        noise = np.random.default_rng(0).standard_normal(len(at))
        strokes = noise * np.exp(-30 * (at % 0.5))
        return (0.3 * np.sin(2 * np.pi * 220 * at) + 0.2 * strokes + 1e-4 * noise).astype(np.float32)

    def reference(self, samples: np.ndarray) -> np.ndarray:
        """What the package computes, written with torch alone: padding by reflection, magnitudes over 32."""
        spectrum = torch.stft(
            torch.from_numpy(samples), 1024, 441, window=torch.hann_window(1024), center=True, pad_mode="reflect",
            normalized=True, return_complex=True,
        ).abs()  # fmt: skip
        hz = torch.linspace(0, self.RATE // 2, 513)
        mel = torch.linspace(0.45, 15 + 27 * math.log(11) / math.log(6.4), 130)
        edges = torch.where(mel < 15, 200 * mel / 3, 1000 * torch.exp(math.log(6.4) / 27 * (mel - 15)))
        away, width = edges[None] - hz[:, None], edges.diff()
        bank = torch.minimum(-away[:, :-2] / width[:-1], away[:, 2:] / width[1:]).clamp(min=0)
        return torch.log1p(1000 * (spectrum.T @ bank)).numpy()

    def result(self, net: BeatThis, samples: np.ndarray) -> np.ndarray:
        bands = log_spectrogram(samples[None], self.RATE, front_end=MEL_BANDS)
        return net.compress(torch.from_numpy(bands)).numpy()

    def test_hears_what_the_package_hears(self, net):
        sound = self.sound()
        ours, expected = self.result(net, sound), self.reference(sound)
        assert ours.shape == (150, 128)
        assert expected.max() > 7
        np.testing.assert_allclose(ours[2:-1], expected[2 : len(ours) - 1], atol=2e-3)

    def test_only_the_two_frames_whose_windows_leave_the_recording_differ(self, net):
        sound = self.sound()
        difference = np.abs(self.result(net, sound) - self.reference(sound)[:150]).max(axis=1)
        assert (difference > 0.05).nonzero()[0].tolist() in ([0, 1], [0, 1, 149])
        assert difference[:2].max() < 3

    def test_silence_is_zero(self, net):
        result = self.result(net, np.zeros(22_050, np.float32))
        assert result.max() < 1e-6

    def test_bands_have_their_places(self):
        bank = mel_filterbank()
        assert bank.shape == (513, 128)
        assert (bank.max(axis=0) > 0.5).all()
        assert bank[512].max() == 0  # nothing is heard at 11,025 Hz
        assert not bank[0].any()
        tops_hz = bank.argmax(axis=0) * 22_050 / 1024
        assert tops_hz[[0, -1]] == pytest.approx([55.5, 10_714], abs=22)  # to the nearest bin

    def test_the_bank_cannot_be_changed_by_accident(self):
        with pytest.raises(ValueError, match="read-only"):
            mel_filterbank()[0, 0] = 1


class TestNetwork:
    @pytest.mark.slow
    @pytest.mark.parametrize("frames", [1, 1488, 1489, 3200])
    def test_hears_recordings_of_any_length_as_the_package_does(self, net, package, frames):
        bands = music(frames)
        with torch.inference_mode():
            expected = package.split_predict_aggregate(net.compress(bands)[0], 1500, 6, "keep_first", theirs(net))
            ours = net.logits(bands)[0]
        assert ours.std() > 0.1 or frames == 1
        torch.testing.assert_close(ours[:, 0], expected["beat"], atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(ours[:, 1], expected["downbeat"], atol=1e-4, rtol=1e-4)

    @pytest.mark.parametrize(
        "other", [{"sum_head": False}, {"partial_transformers": False}, {"n_layers": 2, "transformer_dim": 64}]
    )
    def test_its_variants_are_those_of_the_package(self, other):
        net = loud(BeatThis(BeatThisSettings(**{**vars(TINY), **other})))
        bands = music(100)
        padded = functional.pad(net.compress(bands), (0, 0, 6, 6))
        with torch.inference_mode():
            torch.testing.assert_close(net.logits(bands)[..., 1], theirs(net)(padded)["downbeat"][:, 6:-6])

    def test_its_default_shapes_are_those_of_the_checkpoints(self):
        final = sum(weights.numel() for weights in BeatThis().parameters())
        small = sum(weights.numel() for weights in BeatThis(BeatThisSettings(transformer_dim=128)).parameters())
        assert (final, small) == (20_251_696, 2_099_944)

    def test_a_long_recording_is_a_row_of_pieces(self):
        mels = torch.arange(4000.0)[None, :, None]
        result = dict(pieces(mels))
        assert list(result) == [0, 1488, 2512]
        assert [piece.shape[1] for piece in result.values()] == [1500] * 3
        assert result[0][0, :8, 0].tolist() == [0, 0, 0, 0, 0, 0, 0, 1]  # silence, then the first frames
        assert result[1488][0, [0, 6, -1], 0].tolist() == [1482, 1488, 2981]
        assert result[2512][0, [6, -7], 0].tolist() == [2512, 3999]

    def test_nothing_gives_nothing(self, net):
        assert net(music(0)).shape == (1, 0, 2)
        assert predict(net, []).shape == (0, 2)

    def test_in_pieces_or_whole_it_hears_the_same(self, net):
        bands = music(200)[0].numpy()
        np.testing.assert_array_equal(predict(net, [bands[:70], bands[70:]]), predict(net, [bands]))

    @pytest.mark.parametrize(
        ("wrong", "message"),
        [
            ({"transformer_dim": 0}, "transformer_dim"),
            ({"n_layers": 1.5}, "n_layers"),
            ({"ff_mult": True}, "ff_mult"),
            ({"head_dim": 24}, "do not divide"),
            ({"stem_dim": 8}, "do not divide"),
            ({"head_dim": 1}, "do not divide"),
            ({"dropout": 1.0}, "dropout"),
        ],
    )
    def test_shapes_that_cannot_be_are_refused(self, wrong, message):
        with pytest.raises(ValueError, match=message):
            BeatThisSettings(**{**vars(TINY), **wrong})

    @pytest.mark.parametrize("library", ["beat_this.model.beat_tracker", "rotary_embedding_torch"])
    def test_what_is_missing_is_named_with_the_way_to_get_it(self, library, hide_module, monkeypatch):
        monkeypatch.delitem(sys.modules, "beat_this.model.beat_tracker")
        hide_module(library)
        with pytest.raises(MissingExtra, match=r"pip install --no-deps beat-this") as error:
            BeatThis(TINY)
        assert "rotary-embedding-torch" in str(error.value)
        assert "einops" in str(error.value)

    def test_a_folder_of_weights_keeps_it(self, net, tmp_path):
        save(tmp_path / "model", Weights(net, CARD))
        kept = load(tmp_path / "model").net
        assert kept.settings == TINY
        bands = music(50)
        torch.testing.assert_close(kept(bands), net(bands), atol=0, rtol=0)


class TestGivenABeat:
    def test_activations_are_the_networks_own_probabilities(self):
        logits = torch.from_numpy(np.random.default_rng(0).normal(-2, 4, (500, 2)).astype(np.float32))
        beat, downbeat = logits.double().sigmoid().numpy().T
        activations = probabilities(given_a_beat(logits).numpy())
        np.testing.assert_allclose(activations[:, 0], beat, rtol=1e-5)
        np.testing.assert_allclose(activations[:, 1], np.minimum(downbeat, beat), rtol=1e-3)
        assert (activations[:, 1] <= activations[:, 0]).all()

    @pytest.mark.parametrize("beat", [-1000.0, -40.0, 0.0, 40.0, 1000.0])
    @pytest.mark.parametrize("downbeat", [-1000.0, -40.0, 0.0, 40.0, 1000.0])
    def test_extremes_stay_finite(self, beat, downbeat):
        logits = torch.tensor([beat, downbeat], requires_grad=True)
        converted = given_a_beat(logits)
        converted.sum().backward()
        assert converted.isfinite().all()
        assert logits.grad.isfinite().all()
        assert converted[1] <= 14  # never certain

    @pytest.mark.parametrize("truth", [0.0, 1.0])
    @pytest.mark.parametrize(("beat", "downbeat"), [(3.0, 1.0), (1.0, 1.0), (-1.0, 2.0), (2.0, -6.0)])
    def test_the_gradient_is_what_is_said_less_what_is_true(self, beat, downbeat, truth):
        logits = torch.tensor([beat, downbeat], requires_grad=True)
        said = given_a_beat(logits)[1]
        functional.binary_cross_entropy_with_logits(said, torch.tensor(truth)).backward()
        quotient = min(1.0, (1 + math.exp(-beat)) / (1 + math.exp(-downbeat)))
        assert logits.grad.tolist() == pytest.approx([0.0, quotient - truth], abs=1e-5)


@pytest.mark.slow
class TestTraining:
    def batches(self, start: int):
        """Strokes that begin a bar are high, the others low; there is a little noise."""
        for step in range(start, 100):
            targets = torch.zeros(1, 80, 2)
            targets[:, 5::20, 0] = targets[:, 5::40, 1] = 1
            bands = 0.1 * torch.randn(1, 80, 128, generator=torch.Generator().manual_seed(step)) - 9
            bands[:, 5::40, 64:] += 10
            bands[:, 25::40, :64] += 10
            yield Batch(bands, targets, torch.ones(1, 80, 2))

    def fitted(self, net, tmp_path, *layers: str, steps: int = 2):
        return fit(
            net, self.batches, settings=FitSettings(steps=steps, learning_rate=2e-3), loss=shift_tolerant_loss,
            folder=tmp_path, trained=(lambda name: name.startswith(layers)) if layers else None,
        )  # fmt: skip

    def test_only_the_layers_asked_for_change(self, net, tmp_path):
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        after = self.fitted(net, tmp_path, "transformer", "heads").state_dict()
        changed = {name for name in after if not torch.equal(after[name], before[name])}
        assert {name.split(".")[0] for name in changed} == {"transformer", "heads"}

    def test_training_all_of_it_keeps_the_norms_and_the_rotations(self, net, tmp_path):
        before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
        after = self.fitted(net, tmp_path).state_dict()
        kept = [name for name in after if name.endswith(("running_mean", "running_var", "tracked", "freqs"))]
        assert len(kept) > 20
        assert all(torch.equal(after[name], before[name]) for name in kept)
        assert not torch.equal(after["frontend.stem.conv2d.weight"], before["frontend.stem.conv2d.weight"])

    def test_one_that_has_tracked_can_still_be_trained(self, net, tmp_path):
        with torch.inference_mode():
            net(music(100))
        self.fitted(net, tmp_path, steps=1)

    def test_it_learns(self, net, tmp_path):
        batch = next(self.batches(99))
        learnt = self.fitted(net, tmp_path, steps=25)
        with torch.inference_mode():
            assert shift_tolerant_loss(learnt(batch.bands), batch) < 0.5 * shift_tolerant_loss(net(batch.bands), batch)

    def test_attention_is_never_thinned_out(self):
        net = BeatThis(BeatThisSettings(**{**vars(TINY), "dropout": 0.2})).train()
        rates = {type(module).__name__: module.dropout for module in net.modules() if hasattr(module, "dropout")}
        assert rates == {"Attend": 0.0}
        assert {module.p for module in net.modules() if isinstance(module, torch.nn.Dropout)} == {0.2}

    def test_part_of_the_way_back_lies_between(self, net):
        other = loud(BeatThis(TINY))
        name = "transformer.layers.0.0.to_qkv.weight"
        middle = interpolate(net, other, alpha=0.25).state_dict()[name]
        torch.testing.assert_close(middle, 0.75 * net.state_dict()[name] + 0.25 * other.state_dict()[name])

    def test_a_damaged_folder_is_refused(self, net, tmp_path):
        save(tmp_path / "model", Weights(net, CARD))
        config = tmp_path / "model" / "config.json"
        config.write_text(config.read_text().replace('"head_dim": 16', '"head_dim": 15'))
        with pytest.raises(InputError, match="do not divide"):
            load(tmp_path / "model")
