"""The mask network: shapes, context, a head for other instruments."""

import pytest
import torch

from levada.separation.networks.mask_net import BANDS, MaskNet, MaskSettings, features, tiny
from levada.separation.stft import BANDS as HEARD


def test_it_hears_the_bands_of_the_transform():
    assert BANDS == HEARD


def test_one_mask_an_instrument():
    net = tiny(("a", "b", "c")).eval()
    for frames in (1, 2, 70):
        assert net(torch.randn(2, frames, BANDS)).shape == (2, 3, frames, BANDS)


def test_a_piece_with_context_is_what_the_whole_is():
    torch.manual_seed(0)
    net, heard = MaskNet(MaskSettings(("a", "b"), 16, 24)).eval(), torch.randn(1, 400, BANDS)
    assert net.context_frames == 63
    with torch.no_grad():
        whole, piece = net(heard)[:, :, 200:230], net(heard[:, 200 - 63 : 230 + 63])[:, :, 63:-63]
        other = net(torch.cat([heard[:, :137] + 1, heard[:, 137:]], 1))[:, :, 200:230]  # 63 before: no difference
    assert torch.allclose(whole, piece, atol=1e-5)
    assert torch.allclose(whole, other, atol=1e-5)


def test_features_do_not_know_how_loud_a_recording_is():
    power = torch.rand(1, 10, BANDS)
    assert torch.allclose(features(power, 0.3), features(power * 1e-4, 0.3e-4), atol=1e-5)
    assert torch.isfinite(features(torch.zeros(1, 2, BANDS), 0.0)).all()


def test_a_new_head_begins_as_what_is_known():
    torch.manual_seed(0)
    net, heard = tiny(("surdo", "caixa", "agogo")).eval(), torch.randn(1, 30, BANDS)
    other = net.telling(["gonzo", "my-surdo"], like=[None, "surdo"])
    assert other.instruments == ("gonzo", "my-surdo")
    with torch.no_grad():
        old, new = net(heard), other(heard)
    assert torch.allclose(new[:, 1], old[:, 0])
    assert torch.allclose(new[:, 0], old.mean(1), atol=1e-6)


def test_dictionaries_have_a_say():
    torch.manual_seed(0)
    net = tiny(("low", "high")).eval()
    bases = torch.zeros(2, 3, BANDS)
    bases[0, :, :40], bases[1, :, 40:] = torch.rand(3, 40), torch.rand(3, BANDS - 40)
    told, heard = net.with_bases(bases).eval(), features(torch.rand(1, 9, BANDS), 0.5)
    with torch.no_grad():
        shares, masks = told.shares(heard), told(heard).softmax(1)
        alone = net(heard).softmax(1)
    assert torch.allclose(shares.sum(1), torch.ones(1, 9, BANDS), atol=1e-5)
    assert shares[:, 0, :, :40].min() > 0.99
    assert shares[:, 1, :, 40:].min() > 0.99
    assert (masks[:, 0, :, :40] > alone[:, 0, :, :40]).all()
    assert (masks[:, 1, :, 40:] > alone[:, 1, :, 40:]).all()
    assert told.telling(["a"], like=["low"]).settings.bases == 0


def test_silence_is_shared_out():
    net = tiny().with_bases(torch.zeros(2, 4, BANDS)).eval()
    masks = net(features(torch.zeros(1, 5, BANDS), 0.0)).softmax(1)
    assert torch.isfinite(masks).all()
    assert torch.allclose(net.shares(torch.zeros(1, 2, BANDS)), torch.full((1, 2, 2, BANDS), 0.5))


def test_some_instruments_are_as_in_all():
    torch.manual_seed(0)
    net, heard, rows = tiny(("a", "b", "c")).eval(), torch.randn(2, 20, BANDS), torch.tensor([[2, 0], [1, 1]])
    with torch.no_grad():
        every, some = net(heard), net.some(heard, rows)
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
    with pytest.raises(ValueError, match=r"mask network|dilations"):
        MaskSettings(**{"instruments": ("a", "b"), **wrong})
