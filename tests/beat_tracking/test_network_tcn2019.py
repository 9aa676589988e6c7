"""The network of madmom: its size, what it sees, the equalities its speed rests on, and what it does not know yet."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from levada.beat_tracking.decoder import probabilities
from levada.beat_tracking.network_tracker import predict
from levada.beat_tracking.networks import tcn2019
from levada.beat_tracking.networks.tcn2019 import Tcn2019, Tcn2019Settings, from_arrays, tiny

torch.set_num_threads(1)


def bands(*, batch=1, frames=60, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, frames, 81, generator=generator, dtype=dtype) * 2 - 3


def seeded(**settings):
    torch.manual_seed(0)
    return tiny(**settings).eval()


def beat_arrays(net):
    """The tensors of a network as a file of madmom's would have them: with a head for beats alone."""
    arrays = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    return arrays | {name: arrays[name][:1] for name in ("head.weight", "head.bias")}


class TestSize:
    def test_parameters_and_receptive_field_are_those_the_page_states(self):
        net = Tcn2019()
        assert f"{sum(parameter.numel() for parameter in net.parameters()):,}" in tcn2019.__doc__
        assert net.receptive_frames == 8193

    def test_hears_the_81_bands_at_their_frame_rate(self):
        from levada.beat_tracking.spectrogram import FRONT_ENDS, LOG_BANDS

        assert FRONT_ENDS[Tcn2019.front_end] is LOG_BANDS
        assert Tcn2019.fps == LOG_BANDS.grid.fps

    @pytest.mark.parametrize("levels", [1, 2, 4])
    def test_receptive_field_is_true(self, levels):
        net = seeded(levels=levels).double()
        frames, at = 2 * net.receptive_frames, net.receptive_frames
        before = bands(frames=frames, dtype=torch.float64)
        after = before.clone()
        after[0, at] += 5
        with torch.inference_mode():
            changed = (net(before) != net(after)).any(-1)[0].nonzero().flatten().tolist()
        half = net.receptive_frames // 2
        assert changed == list(range(at - half, at + half + 1))

    @pytest.mark.parametrize("frames", [1, 2, 7, 100])
    def test_a_logit_pair_for_every_frame(self, frames):
        with torch.inference_mode():
            assert seeded()(bands(batch=3, frames=frames)).shape == (3, frames, 2)

    @pytest.mark.parametrize(
        "wrong",
        [
            *({"channels": 0}, {"channels": 513}, {"levels": 0}, {"levels": 17}),
            *({"dropout": 1.0}, {"dropout": -0.1}, {"dropout": math.nan}),
        ],
    )
    def test_settings_that_make_no_sense(self, wrong):
        with pytest.raises(ValueError, match=r"TCN has|dropout lies"):
            Tcn2019Settings(**wrong)


class TestEqualities:
    def test_forward_is_front_and_body_on_repeated_ends(self):
        net, given = seeded(), bands(frames=50)
        padded = torch.cat([*[given[:, :1]] * 2, given, *[given[:, -1:]] * 2], 1)
        with torch.inference_mode():
            assert torch.equal(net(given), net.body(net.front(padded)))

    def test_the_front_is_convolutions_each_with_its_elu_before_its_maximum(self):
        net, given = seeded(), bands(frames=20)
        with torch.inference_mode():
            x = functional.max_pool2d(functional.elu(net.conv1(given[:, None])), (1, 3))
            x = functional.max_pool2d(functional.elu(net.conv2(x)), (1, 3))
            assert x.shape[3] == 8
            torch.testing.assert_close(net.front(given), functional.elu(net.conv3(x))[..., 0])

    def test_a_block_is_a_dilated_convolution_and_its_input_both_mixed(self):
        block = seeded(levels=3).blocks[2]
        x = torch.randn(1, 4, 40)
        with torch.inference_mode():
            far = functional.conv1d(x, block.dilated.weight, block.dilated.bias, dilation=4, padding=8)
            wanted = block.skip(functional.elu(far)) + block.residual(x)
            torch.testing.assert_close(block(x), wanted)

    def test_in_pieces_it_hears_the_same(self):
        net, given = seeded(), bands(frames=531)
        with torch.no_grad():
            net.head.weight[1] = torch.randn(4, 1)
        pieces = [piece.numpy() for piece in given[0].split([1, 200, 17, 313])]
        with torch.inference_mode():
            whole = probabilities(net(given)[0].numpy())
        np.testing.assert_allclose(predict(net, pieces, chunk_steps=100), whole, rtol=0, atol=1e-6)

    def test_dropout_in_training_only(self):
        torch.manual_seed(0)
        net, given = Tcn2019(Tcn2019Settings(4, 2, dropout=0.5)), bands()
        assert not torch.equal(net(given), net(given))
        net.eval()
        assert torch.equal(net(given), net(given))


class TestDownbeats:
    def test_of_which_it_knows_nothing_yet(self):
        with torch.inference_mode():
            logits = Tcn2019().eval()(bands())
        assert torch.equal(logits[..., 1], torch.zeros_like(logits[..., 1]))
        assert logits[..., 0].std() > 0

    def test_but_can_learn(self):
        net, given = tiny(), bands()
        step = torch.optim.SGD(net.parameters(), lr=0.1)
        net(given)[..., 1].sum().backward()
        step.step()
        with torch.inference_mode():
            assert net(given)[..., 1].abs().min() > 0

    def test_gradients_reach_every_layer(self):
        net = seeded()
        net(bands()).square().sum().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters() if parameter is not net.head.bias)


class TestFromArrays:
    def test_gives_the_same_beats_and_a_head_that_says_nothing(self):
        net, given = seeded(), bands()
        with torch.no_grad():
            net.head.weight[1] = 3
        other = from_arrays(beat_arrays(net), net.settings)
        assert not other.training
        with torch.inference_mode():
            assert torch.equal(other(given)[..., 0], net(given)[..., 0])
            assert not other(given)[..., 1].any()

    def test_one_is_missing(self):
        arrays = beat_arrays(seeded())
        del arrays["blocks.3.skip.bias"]
        with pytest.raises(ValueError, match=r"blocks\.3\.skip\.bias"):
            from_arrays(arrays, seeded().settings)

    def test_another_shape(self):
        with pytest.raises(ValueError, match="size mismatch"):
            from_arrays(beat_arrays(seeded(channels=3)), seeded().settings)

    def test_one_too_many(self):
        with pytest.raises(ValueError, match="tempo"):
            from_arrays(beat_arrays(seeded()) | {"tempo": np.zeros(3)}, seeded().settings)
