"""The network: its size, what it sees, and the equalities its speed rests on."""

import math

import pytest
import torch
from torch.nn import functional

from levada.nets.tcn import Tcn, TcnSettings, tiny

torch.set_num_threads(1)


def bands(*, batch=1, frames=60, seed=0, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, frames, 81, generator=generator, dtype=dtype) * 2 - 3


def seeded(**settings):
    torch.manual_seed(0)
    return tiny(**settings).eval()


def changed_frames(net, *, frames, at):
    """Which outputs change when one input frame does, in double precision."""
    net = net.double()
    before = bands(frames=frames, dtype=torch.float64)
    after = before.clone()
    after[0, at] += 5
    with torch.inference_mode():
        return (net(before) != net(after)).any(-1)[0].nonzero().flatten().tolist()


class TestSize:
    def test_parameters_are_those_of_the_paper_without_the_tempo_head(self):
        assert sum(parameter.numel() for parameter in Tcn().parameters()) == 65_962

    def test_receptive_field_is_stated(self):
        assert Tcn().receptive_frames == 16_381
        assert "16,381" in Tcn.receptive_frames.__doc__

    @pytest.mark.parametrize("levels", [1, 2, 3, 5])
    def test_receptive_field_is_true(self, levels):
        net = seeded(levels=levels)
        half = net.receptive_frames // 2
        frames, at = 2 * half + 41, half + 20
        changed = changed_frames(net, frames=frames, at=at)
        assert changed == list(range(at - half, at + half + 1))
        assert len(changed) == net.receptive_frames

    def test_front_sees_two_frames_either_side(self):
        net = seeded().double()
        before = bands(frames=21, dtype=torch.float64)
        after = before.clone()
        after[0, 10] += 5
        with torch.inference_mode():
            changed = (net.front(before) != net.front(after)).any(1)[0].nonzero().flatten().tolist()
        assert changed == [6, 7, 8, 9, 10]  # folded frame i is made of frames i to i + 4
        assert net.front_context_frames == 2

    @pytest.mark.parametrize("frames", [1, 2, 7, 100])
    def test_a_logit_pair_for_every_frame(self, frames):
        with torch.inference_mode():
            assert seeded()(bands(batch=3, frames=frames)).shape == (3, frames, 2)

    @pytest.mark.parametrize(
        "wrong",
        [
            *({"channels": 0}, {"channels": 513}, {"levels": 0}, {"levels": 17}),
            *({"dropout": 1.0}, {"dropout": -0.1}, {"floor": 0.0}, {"floor": math.nan}),
        ],
    )
    def test_settings_that_make_no_sense(self, wrong):
        with pytest.raises(ValueError, match=r"TCN has|dropout lies"):
            TcnSettings(**wrong)


class TestEqualities:
    def test_forward_is_front_and_body_on_repeated_ends(self):
        net, given = seeded(), bands(frames=50)
        padded = torch.cat([given[:, :1], given[:, :1], given, given[:, -1:], given[:, -1:]], 1)
        with torch.inference_mode():
            assert torch.equal(net(given), net.body(net.front(padded)))

    def test_pooling_before_the_elu_gives_what_the_paper_computes(self):
        net, given = seeded(), bands(frames=30)
        with torch.inference_mode():
            x = functional.softplus(given - math.log(net.settings.floor)).unsqueeze(1)
            for conv in (net.conv1, net.conv2, net.conv3):
                x = functional.max_pool2d(functional.elu(conv(x)), (1, 3))
            torch.testing.assert_close(net.front(given), x.squeeze(-1), rtol=1e-5, atol=1e-6)

    def test_a_block_is_two_dilated_convolutions_and_a_shortcut(self):
        block = seeded(levels=3).blocks[2]
        assert (block.near.dilation, block.far.dilation) == ((4,), (8,))
        x = torch.randn(1, 6, 40)
        with torch.inference_mode():
            near = functional.conv1d(x, block.near.weight, block.near.bias, dilation=4, padding=8)
            far = functional.conv1d(x, block.far.weight, block.far.bias, dilation=8, padding=16)
            mixed = block.mix(functional.elu(torch.cat([near, far], 1))) + block.shortcut(x)
            torch.testing.assert_close(block(x), mixed)

    def test_memory_format_makes_no_difference(self):
        net, plain, given = seeded(), seeded(), bands(frames=40)
        plain.to(memory_format=torch.contiguous_format)
        assert net.conv2.weight.stride() != plain.conv2.weight.stride()
        with torch.inference_mode():
            torch.testing.assert_close(net(given), plain(given), rtol=1e-5, atol=1e-6)

    def test_a_batch_is_as_good_as_one_at_a_time(self):
        net, given = seeded(), bands(batch=4)
        with torch.inference_mode():
            alone = torch.cat([net(one[None]) for one in given])
            torch.testing.assert_close(net(given), alone, rtol=1e-5, atol=1e-6)

    def test_differences_far_below_the_floor_are_not_heard(self):
        net = seeded()
        levels = [torch.full((1, 30, 81), math.log(magnitude)) for magnitude in (1e-6, 1e-4, 1.0)]
        with torch.inference_mode():
            silence, hiss, music = (net.front(level) for level in levels)
        assert (silence - hiss).abs().max() < 0.01 * (silence - music).abs().max()

    def test_dropout_in_training_only(self):
        torch.manual_seed(0)
        net, given = Tcn(TcnSettings(6, 2, 0.5)), bands()
        assert not torch.equal(net(given), net(given))
        net.eval()
        assert torch.equal(net(given), net(given))


class TestState:
    def test_round_trip(self):
        net, other = seeded(), tiny().eval()
        other.load_state_dict(net.state_dict())
        with torch.inference_mode():
            assert torch.equal(net(bands()), other(bands()))

    def test_another_shape_is_refused(self):
        with pytest.raises(RuntimeError, match="size mismatch"):
            tiny(channels=4).load_state_dict(tiny().state_dict())

    def test_gradients_reach_every_layer(self):
        net = seeded()
        net(bands()).square().sum().backward()
        assert all(parameter.grad.abs().sum() > 0 for parameter in net.parameters())
