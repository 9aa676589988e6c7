"""The network: its size, what it sees, and the equalities its speed rests on."""

import math

import pytest
import torch
from torch.nn import functional

from levada.beat_tracking.networks import tcn
from levada.beat_tracking.networks.tcn import Tcn, TcnSettings, tiny

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
    def test_parameters_and_receptive_field_are_those_the_page_states(self):
        net = Tcn()
        assert f"{sum(parameter.numel() for parameter in net.parameters()):,}" in tcn.__doc__
        assert net.receptive_frames == 4088
        assert sum(parameter.numel() for parameter in net.parameters()) < 300_000

    @pytest.mark.parametrize("levels", [1, 2, 3, 5])
    def test_receptive_field_is_true(self, levels):
        net = seeded(levels=levels)
        frames, at = 2 * net.receptive_frames, net.receptive_frames
        changed = changed_frames(net, frames=frames, at=at)
        assert changed == list(range(changed[0], changed[-1] + 1))
        assert len(changed) == net.receptive_frames

    def test_front_sees_three_frames_either_side(self):
        net = seeded().double()
        before = bands(frames=26, dtype=torch.float64)
        after = before.clone()
        after[0, 12] += 5
        with torch.inference_mode():
            changed = (net.front(before) != net.front(after)).any(1)[0].nonzero().flatten().tolist()
        assert changed == [3, 4, 5, 6]  # step i is made of frames 2 i to 2 i + 7
        assert net.front_context_frames == 3

    @pytest.mark.parametrize("frames", [1, 2, 7, 100])
    def test_a_logit_pair_for_every_frame(self, frames):
        with torch.inference_mode():
            assert seeded()(bands(batch=3, frames=frames)).shape == (3, frames, 2)

    @pytest.mark.parametrize(
        "wrong",
        [
            *({"channels": 0}, {"channels": 513}, {"levels": 0}, {"levels": 17}),
            *({"front": (4,)}, {"front": (0, 4)}),
            *({"dropout": 1.0}, {"dropout": -0.1}, {"floor": 0.0}, {"floor": math.nan}),
        ],
    )
    def test_settings_that_make_no_sense(self, wrong):
        with pytest.raises(ValueError, match=r"TCN has|TCN's front|dropout lies"):
            TcnSettings(**wrong)


class TestEqualities:
    def test_forward_is_front_and_body_on_repeated_ends(self):
        net, given = seeded(), bands(frames=50)
        padded = torch.cat([*[given[:, :1]] * 3, given, *[given[:, -1:]] * 3], 1)
        with torch.inference_mode():
            assert torch.equal(net(given), net.body(net.front(padded)))

    def test_an_odd_frame_out_is_the_last_one_repeated(self):
        net, given = seeded(), bands(frames=51)
        with torch.inference_mode():
            assert torch.equal(net(given), net(torch.cat([given, given[:, -1:]], 1))[:, :51])

    def test_a_block_is_two_dilated_convolutions_added_to_what_came_in(self):
        block = seeded(levels=3).blocks[2]
        assert (block.near.dilation, block.far.dilation) == ((4,), (8,))
        x = torch.randn(1, 6, 40)
        with torch.inference_mode():
            near = functional.conv1d(x, block.near.weight, block.near.bias, dilation=4, padding=8)
            far = functional.conv1d(x, block.far.weight, block.far.bias, dilation=8, padding=16)
            mixed = block.mix(functional.elu(torch.cat([near, far], 1)))
            torch.testing.assert_close(block(x), x + mixed)

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
        net, given = Tcn(TcnSettings(6, 2, dropout=0.5)), bands()
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
