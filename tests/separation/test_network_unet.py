"""The reference U-Net: shapes, masks that share the mixture, pieces like the whole, and that it learns."""

import numpy as np
import pytest
import torch

from levada.errors import InputError
from levada.learning.card import CONFIG, Card
from levada.learning.training import FitSettings, fit
from levada.learning.weights import Weights, save
from levada.separation.networks import load
from levada.separation.networks.unet import REST, MagnitudeBatch, UNet, UNetSettings, magnitude_loss, tiny

torch.set_num_threads(1)


def a_net(seed=0, **kwargs):
    """One whose norms have seen something, so that both modes differ."""
    torch.manual_seed(seed)
    net = tiny(**kwargs)
    with torch.no_grad():
        net(torch.rand(4, 64, net.settings.bins))
    return net.eval()


def card():
    return Card(name="a test", origin="made", licence="CC0", data="none", minutes=0.0, scores={"none": "none"})


def test_it_has_the_size_of_the_tutorials():
    net = UNet()
    assert sum(parameter.numel() for parameter in net.parameters()) == 9_823_315
    assert (net.stride_frames, net.context_frames) == (64, 256)
    assert net.instruments == ("surdo", REST)
    assert [up.dropout.p for up in net.up] == [0, 0.5, 0.5, 0.5, 0, 0]


@pytest.mark.parametrize("frames", [1, 8, 13, 50])
def test_any_length_and_any_number_of_bins(frames):
    net = a_net()
    assert net(torch.rand(2, frames, 60)).shape == (2, 2, frames, 60)
    for bins in (20, 60, 100):  # a low rate, and a high one
        assert net.masks(torch.rand(frames, bins), 0.5).shape == (2, frames, bins)


def test_several_instruments_have_an_output_each():
    net = a_net(instruments=("surdo", "caixa", "agogo"))
    masks = net.masks(torch.rand(20, 60), 0.5)
    assert net.instruments == ("surdo", "caixa", "agogo")
    assert masks.shape == (3, 20, 60)
    assert torch.allclose(masks.sum(0), torch.ones(20, 60), atol=1e-6)


def test_masks_share_the_mixture():
    masks = a_net().masks(100 * torch.rand(40, 60), 0.5)
    assert masks.min() >= 0
    assert masks.max() <= 1
    assert torch.allclose(masks.sum(0), torch.ones(40, 60), atol=1e-6)
    assert masks[0].std() > 0.01  # not the same everywhere


def test_bins_above_those_heard_are_treated_like_the_highest():
    masks = a_net().masks(torch.rand(10, 80), 0.5)
    assert torch.equal(masks[..., 60:], masks[..., 59:60].expand(2, 10, 20))


def test_masks_do_not_depend_on_loudness_nor_on_the_mode():
    net, power = UNet(UNetSettings(("surdo",), (8, 12, 16, 16, 16), 60)), torch.rand(40, 60)
    with torch.no_grad():
        net(torch.rand(2, 64, 60))
    masks = net.train().masks(power, 0.5)
    assert net.training  # as it was before
    assert torch.equal(masks, net.train().masks(power, 0.5))  # no dropout
    assert torch.allclose(masks, net.eval().masks(power * 1e-4, 0.5e-4), atol=1e-5)
    assert torch.isfinite(net.masks(torch.zeros(3, 60), 0.0)).all()


def test_what_is_heard_does_not_depend_on_the_rest_of_the_batch():
    net, result = a_net(), torch.rand(3, 40, 60)
    with torch.no_grad():
        together, alone = net(result), net(result[1:2])
    assert torch.allclose(together[1:2], alone, atol=1e-5)


def test_a_piece_with_context_is_what_the_whole_is():
    net, result = a_net(), torch.rand(1, 331, 60)
    context = net.context_frames
    assert (net.stride_frames, context) == (8, 32)
    with torch.no_grad():
        whole = net(result)
        for start, end in ((0, 64), (64, 128), (160, 331), (320, 331)):
            first, last = max(0, start - context), min(331, end + context)
            piece = net(result[:, first:last])[:, :, start - first : end - first]
            assert torch.allclose(whole[:, :, start:end], piece, atol=1e-5), start


def test_pieces_of_the_whole_size_agree_too():
    net = UNet(UNetSettings(channels=(2, 2, 2, 2, 2, 2), bins=64)).eval()
    result = torch.rand(1, 900, 64)
    with torch.no_grad():
        whole, piece = net(result), net(result[:, 320 - 256 : 448 + 256])
    assert torch.allclose(whole[:, :, 320:448], piece[:, :, 256:-256], atol=1e-5)


def test_later_by_the_stride_is_the_same_later():
    net, result = a_net(), torch.rand(1, 160, 60)
    with torch.no_grad():
        early, late = net(result), net(torch.cat([torch.zeros(1, 16, 60), result], 1))
    assert torch.allclose(early[:, :, 32:], late[:, :, 48:], atol=1e-5)


@pytest.mark.slow
def test_it_learns_an_excerpt_and_keeps_its_statistics(tmp_path):
    rng = np.random.default_rng(0)
    low, high = torch.zeros(1, 64, 60), torch.zeros(1, 64, 60)
    low[:, ::8, :20], high[:, 3::8, 10:] = 3, 2
    noise = torch.from_numpy(0.1 * rng.random((2, 1, 64, 60)).astype(np.float32))
    stems = torch.stack([low + noise[0], high + noise[1]], 1)
    batch = MagnitudeBatch(stems.sum(1), stems)
    torch.manual_seed(0)
    net = tiny()
    before = float(magnitude_loss(net.eval()(batch.features), batch).detach())
    trained = fit(
        net,
        lambda start: iter([batch] * (120 - start)),
        settings=FitSettings(120, 1e-2, clip=5.0, average=0.9),
        loss=magnitude_loss,
        folder=tmp_path,
    )
    after = float(magnitude_loss(trained(batch.features), batch).detach())
    assert not trained.training
    assert after < 0.25 * before
    save(tmp_path / "unet", Weights(trained, card()))
    loaded = load(tmp_path / "unet").net
    assert loaded.settings == trained.settings
    power = batch.features[0] ** 2
    assert torch.equal(loaded.masks(power, 1.0), trained.masks(power, 1.0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"instruments": ()},
        {"instruments": ("surdo", "surdo")},
        {"instruments": ("rest",)},
        {"instruments": ("",)},
        {"channels": (16,)},
        {"channels": (16, 0)},
        {"channels": (1,) * 9},
        {"bins": 0},
        {"dropout": 1.0},
    ],
)
def test_sizes_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match="U-Net"):
        UNetSettings(**wrong)


def test_a_damaged_folder_is_said_to_be_one(tmp_path):
    folder = tmp_path / "unet"
    save(folder, Weights(a_net(), card()))
    config = (folder / CONFIG).read_text(encoding="utf-8")
    (folder / CONFIG).write_text(config.replace('"surdo"', '"rest"'), encoding="utf-8")
    with pytest.raises(InputError, match="name of an instrument"):
        load(folder)
    (folder / CONFIG).write_text(config.replace("12,", "13,"), encoding="utf-8")
    with pytest.raises(InputError, match="damaged"):
        load(folder)


class TestWithOtherInstruments:
    def test_one_instrument_takes_the_place_of_another(self):
        net = a_net()
        other = net.with_instruments(["bass"])
        power = torch.rand(40, 60)
        assert (other.instruments, net.instruments) == (("bass", REST), ("surdo", REST))
        assert torch.equal(other.masks(power, 0.5), net.masks(power, 0.5))

    def test_several_start_from_equal_masks(self):
        masks = a_net().with_instruments(["surdo", "caixa", "agogo"]).masks(torch.rand(40, 60), 0.5)
        assert torch.allclose(masks, torch.full_like(masks, 1 / 3), atol=1e-5)
