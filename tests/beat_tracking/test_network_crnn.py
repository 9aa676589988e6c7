"""BeatNet's network: three classes said as two logits, the past alone, and any length in flat memory."""

import math

import numpy as np
import pytest
import torch

from levada.beat_tracking.decoder import decode_beats, probabilities
from levada.beat_tracking.metrics import beat_scores
from levada.beat_tracking.networks import crnn, load
from levada.beat_tracking.networks.crnn import Crnn, CrnnSettings, from_beatnet, tiny
from levada.beat_tracking.spectrogram import FRONT_ENDS, log_spectrogram
from levada.beat_tracking.targets import Batch, frame_targets, widened_target_loss
from levada.learning.training import FitSettings, fit
from levada.learning.weights import Card, Weights, save
from levada.synth.render import render
from levada.synth.traditions import read_tradition

torch.set_num_threads(1)


def bands(*, batch=1, frames=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, frames, 136, generator=generator) * 2 - 3


def seeded(**settings):
    torch.manual_seed(0)
    return tiny(**settings).eval()


def entering(net, given):
    """What its first layer is given [shape=(frames, 272)]."""
    result = []
    net.conv.register_forward_pre_hook(lambda _, inputs: result.append(inputs[0].squeeze(1)))
    with torch.inference_mode():
        net(given)
    return torch.cat(result)


def beatnets(*, seed=0):
    """Tensors as BeatNet names them."""
    torch.manual_seed(seed)
    return {
        name.replace("conv.", "conv1.").replace("fold.", "linear0.").replace("head.", "linear."): tensor
        for name, tensor in Crnn().state_dict().items()
    }


class TestShape:
    def test_parameters_are_those_the_page_states(self):
        assert f"{sum(parameter.numel() for parameter in Crnn().parameters()):,}" in crnn.__doc__

    def test_front_end_is_known_and_fits(self):
        ear = FRONT_ENDS[Crnn.front_end]
        assert (ear.bands, ear.grid.fps) == (crnn.BANDS, Crnn.fps)

    @pytest.mark.parametrize(("batch", "frames"), [(1, 1), (1, 2), (3, 17)])
    def test_two_logits_a_frame(self, batch, frames):
        assert seeded()(bands(batch=batch, frames=frames)).shape == (batch, frames, 2)

    def test_recordings_of_a_batch_do_not_meet(self):
        net, both = seeded(levels=2), bands(batch=2, frames=40)
        with torch.inference_mode():
            torch.testing.assert_close(net(both)[1:], net(both[1:]))

    @pytest.mark.parametrize(
        "settings",
        [{"cells": 0}, {"cells": 4000}, {"levels": 0}, {"levels": 9}, {"dropout": 1.0}, {"dropout": -0.1}],
    )
    def test_settings_that_make_no_sense(self, settings):
        with pytest.raises(ValueError, match=r"a CRNN has|dropout lies"):
            CrnnSettings(**settings)


class TestHearing:
    def test_magnitudes_are_compressed_and_their_rise_stands_beside(self):
        magnitudes = np.zeros((3, 136), np.float32)
        magnitudes[1, 5], magnitudes[2, 5], magnitudes[2, 7] = 9, 99, 0.5
        result = entering(seeded(), torch.from_numpy(np.log(magnitudes + 1e-6))[None])
        assert result.shape == (3, 272)
        assert result[:, 5].tolist() == pytest.approx([0, 1, 2], abs=1e-5)
        assert result[:, 136 + 5].tolist() == pytest.approx([0, 1, 1], abs=1e-5)
        assert float(result[2, 136 + 7]) == pytest.approx(math.log10(1.5), abs=1e-5)

    def test_what_falls_does_not_count_as_rising(self):
        falling = torch.log(torch.linspace(5, 1, 8))[None, :, None].expand(1, 8, 136)
        assert not entering(seeded(), falling)[:, 136:].any()

    def test_the_first_frame_has_not_risen(self):
        assert not entering(seeded(), bands() + 10)[0, 136:].any()

    @pytest.mark.parametrize("level", [math.log(1e-6), -30.0, 15.0])
    def test_silence_and_noise_give_numbers(self, level):
        assert seeded()(torch.full((1, 50, 136), level)).isfinite().all()

    def test_only_the_past_counts(self):
        net, before = seeded(levels=2), bands(frames=60)
        after = before.clone()
        after[0, 30] += 5
        with torch.inference_mode():
            changed = (net(before) != net(after)).any(-1)[0]
        assert not changed[:30].any()
        assert changed[30:45].all()  # and less and less after that


class TestLogits:
    @pytest.mark.parametrize("classes", [(0.0, 0.0, 0.0), (2.0, -1.0, 0.5), (-3.0, 4.0, 1.0), (-60.0, -80.0, 30.0)])
    def test_probabilities_are_those_of_the_three_classes(self, classes):
        net = seeded()
        with torch.no_grad():
            net.head.weight.zero_()
            net.head.bias.copy_(torch.tensor(classes))
            logits = net(bands(frames=2)).double()
        beat, downbeat, _ = np.exp(np.array(classes)) / np.exp(np.array(classes)).sum()
        found = probabilities(logits[0, 0].numpy()[None])[0]
        assert found == pytest.approx([beat + downbeat, downbeat], rel=1e-5)


class TestLongRecordings:
    def test_stretches_are_one_recording(self, monkeypatch):
        net, given = seeded(levels=2), bands(batch=2, frames=100)
        with torch.inference_mode():
            whole = net(given)
            monkeypatch.setattr(crnn, "STRETCH_FRAMES", 7)
            torch.testing.assert_close(net(given), whole)

    def test_no_more_than_a_stretch_is_convolved_at_once(self):
        net, frames = seeded(), 2 * crnn.STRETCH_FRAMES + 10
        seen = []
        net.conv.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
        with torch.inference_mode():
            net(bands(frames=frames))
        assert (max(seen), sum(seen)) == (crnn.STRETCH_FRAMES, frames)

    def test_gradients_reach_back_over_stretches(self):
        given = bands(frames=crnn.STRETCH_FRAMES + 3).requires_grad_()
        seeded()(given)[0, -1].sum().backward()
        assert given.grad[0, -20].any()


class TestBeatNetsWeights:
    def test_names(self):
        given = beatnets(seed=1)
        net = from_beatnet(given)
        assert not net.training
        assert torch.equal(net.conv.weight, given["conv1.weight"])
        assert torch.equal(net.fold.bias, given["linear0.bias"])
        assert torch.equal(net.lstm.weight_hh_l1, given["lstm.weight_hh_l1"])
        assert torch.equal(net.head.weight, given["linear.weight"])

    @pytest.mark.parametrize("missing", ["conv1.weight", "lstm.bias_hh_l1"])
    def test_one_is_missing(self, missing):
        tensors = {name: tensor for name, tensor in beatnets().items() if name != missing}
        with pytest.raises(ValueError, match=missing):
            from_beatnet(tensors)

    def test_one_too_many(self):
        with pytest.raises(ValueError, match="tempo"):
            from_beatnet(beatnets() | {"tempo": torch.zeros(1)})

    def test_another_shape(self):
        with pytest.raises(ValueError, match=r"head\.bias"):
            from_beatnet(beatnets() | {"linear.bias": torch.zeros(4)})


def test_a_folder_keeps_it(tmp_path):
    net = seeded(cells=5, levels=2)
    save(tmp_path / "one", Weights(net, Card("one", "Drawn from a seed.", "CC0-1.0", "none", 0.0, {"any": "none"})))
    again = load(tmp_path / "one").net
    assert again.settings == net.settings
    with torch.inference_mode():
        assert torch.equal(again(bands()), net(bands()))


@pytest.mark.slow
class TestTraining:
    def test_overfits_one_excerpt(self, tmp_path):
        ear = FRONT_ENDS[Crnn.front_end]
        piece = render(read_tradition("chachacha"), duration_s=12.0, rng=np.random.default_rng(0))
        result = log_spectrogram(piece.mixture, piece.rate, front_end=ear)
        targets, known = frame_targets(piece.beats, len(result), grid=ear.grid)
        batch = Batch(*(torch.from_numpy(rows)[None] for rows in (result, targets, known)))
        net, steps = seeded(), 250

        def score(net):
            with torch.inference_mode():
                activations = probabilities(net(batch.bands)[0].numpy())
            return beat_scores(piece.beats, decode_beats(activations, fps=Crnn.fps), trim_s=0)["beat_f"]

        settings = FitSettings(steps=steps, learning_rate=5e-3, average=0)
        trained = fit(
            net,
            lambda start: iter([batch] * (steps - start)),
            settings=settings,
            loss=widened_target_loss,
            folder=tmp_path,
        )
        assert score(net) < 0.8
        assert score(trained) > 0.95
