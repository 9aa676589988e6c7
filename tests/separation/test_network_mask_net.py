"""The mask network: shapes, context, a head for other instruments."""

import pytest
import torch

from levada.separation.networks.mask_net import MaskNet, MaskSettings, features, tiny
from levada.separation.stft import N_BANDS


def test_one_mask_an_instrument():
    net = tiny(("a", "b", "c")).eval()
    for frames in (1, 2, 70):
        assert net(torch.randn(2, frames, N_BANDS)).shape == (2, 3, frames, N_BANDS)


def test_a_piece_with_context_is_what_the_whole_is():
    torch.manual_seed(0)
    net, result = MaskNet(MaskSettings(("a", "b"), 16, 24)).eval(), torch.randn(1, 400, N_BANDS)
    assert net.context_frames == 63
    with torch.no_grad():
        whole, piece = net(result)[:, :, 200:230], net(result[:, 200 - 63 : 230 + 63])[:, :, 63:-63]
        other = net(torch.cat([result[:, :137] + 1, result[:, 137:]], 1))[:, :, 200:230]  # 63 before: no difference
    assert torch.allclose(whole, piece, atol=1e-5)
    assert torch.allclose(whole, other, atol=1e-5)


def test_features_do_not_know_how_loud_a_recording_is():
    power = torch.rand(1, 10, N_BANDS)
    assert torch.allclose(features(power, 0.3), features(power * 1e-4, 0.3e-4), atol=1e-5)
    assert torch.isfinite(features(torch.zeros(1, 2, N_BANDS), 0.0)).all()


def test_a_new_head_begins_as_what_is_known():
    torch.manual_seed(0)
    net, result = tiny(("surdo", "caixa", "agogo")).eval(), torch.randn(1, 30, N_BANDS)
    other = net.with_instruments(["gonzo", "my-surdo"])
    assert other.instruments == ("gonzo", "my-surdo")
    with torch.no_grad():
        old, new = net(result), other(result)
    assert torch.allclose(new[:, 1], old[:, 0])
    assert torch.allclose(new[:, 0], old.mean(1), atol=1e-6)


def test_dictionaries_have_a_say():
    torch.manual_seed(0)
    net = tiny(("low", "high")).eval()
    bases = torch.zeros(2, 3, N_BANDS)
    bases[0, :, :40], bases[1, :, 40:] = torch.rand(3, 40), torch.rand(3, N_BANDS - 40)
    told, result = net.with_bases(bases).eval(), features(torch.rand(1, 9, N_BANDS), 0.5)
    with torch.no_grad():
        shares, masks = told.dictionary_masks(result), told(result).softmax(1)
        alone = net(result).softmax(1)
    assert torch.allclose(shares.sum(1), torch.ones(1, 9, N_BANDS), atol=1e-5)
    assert shares[:, 0, :, :40].min() > 0.99
    assert shares[:, 1, :, 40:].min() > 0.99
    assert (masks[:, 0, :, :40] > alone[:, 0, :, :40]).all()
    assert (masks[:, 1, :, 40:] > alone[:, 1, :, 40:]).all()
    assert told.with_instruments(["a"]).settings.bases == 0


def test_silence_is_shared_out():
    net = tiny().with_bases(torch.zeros(2, 4, N_BANDS)).eval()
    masks = net(features(torch.zeros(1, 5, N_BANDS), 0.0)).softmax(1)
    assert torch.isfinite(masks).all()
    assert torch.allclose(net.dictionary_masks(torch.zeros(1, 2, N_BANDS)), torch.full((1, 2, 2, N_BANDS), 0.5))


def test_some_instruments_are_as_in_all():
    torch.manual_seed(0)
    net, result, rows = tiny(("a", "b", "c")).eval(), torch.randn(2, 20, N_BANDS), torch.tensor([[2, 0], [1, 1]])
    with torch.no_grad():
        every, some = net(result), net.select(result, rows)
    assert torch.allclose(some[0], every[0, [2, 0]], atol=1e-5)
    assert torch.allclose(some[1], every[1, [1, 1]], atol=1e-5)


@pytest.mark.parametrize(
    "wrong",
    [
        {"instruments": ()},
        {"instruments": ("a", "a")},
        {"channels": 0},
        {"dilations": ()},
        {"dilations": (0,)},
        {"bases": -1},
    ],
)
def test_sizes_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        MaskSettings(**{"instruments": ("a", "b"), **wrong})
