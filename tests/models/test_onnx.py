"""Networks as ONNX files: what ONNX Runtime gives, at any length, and what stands in the file."""

import json
from copy import deepcopy

import numpy as np
import pytest
import torch

from levada.beat_tracking.networks import crnn, tcn
from levada.errors import InputError, MissingExtra
from levada.learning import weights
from levada.learning.card import Card
from levada.models import export as exporting
from levada.models import onnx
from levada.separation.networks import mask_net, unet
from levada.separation.stft import N_BANDS, Stft

torch.set_num_threads(1)


def card(name="a test"):
    return Card(name=name, origin="made here", licence="CC0-1.0", data="none", minutes=0.0, scores={"none": "none"})


def a_net(kind, *arguments):
    torch.manual_seed(0)
    return kind.tiny(*arguments).eval()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The kinds, exported once."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    folder = tmp_path_factory.mktemp("onnx")
    nets = {"masks": a_net(mask_net, ("surdo", "caixa", "agogo")), "unet": a_net(unet), "tcn": a_net(tcn)}
    torch.manual_seed(0)
    nets["harmony"] = tcn.Tcn(tcn.TcnSettings(channels=4, levels=2, front=(3, 4), harmony=True)).eval()
    made = {}
    for name, net in nets.items():
        weights.save(folder / name, weights.Weights(net, card(name)))
        made[name] = net, exporting.export(folder / name, folder / f"{name}.onnx")
    return made


def session(exported):
    import onnxruntime

    return onnxruntime.InferenceSession(str(exported.path), providers=["CPUExecutionProvider"])


def both(net, exported, output, *, batch=1, frames=100):
    """What torch gives for some spectrogram and what ONNX Runtime does."""
    opened = session(exported)
    bands = torch.rand(batch, frames, opened.get_inputs()[0].shape[2]) * 3 - 2
    with torch.no_grad():
        wanted = net(bands) if output == "logits" else net(bands).softmax(1)
    (given,) = opened.run([output], {"bands": bands.numpy()})
    return wanted.numpy(), given


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "output"), [("masks", "masks"), ("unet", "masks"), ("tcn", "logits"), ("harmony", "logits")]
)
@pytest.mark.parametrize(("batch", "frames"), [(1, 1), (1, 37), (2, 300)])
def test_it_gives_what_torch_gives_at_any_length(written, name, output, batch, frames):
    net, exported = written[name]
    wanted, given = both(net, exported, output, batch=batch, frames=frames)
    assert given.shape == wanted.shape
    assert np.abs(given - wanted).max() < onnx.LARGEST_DIFFERENCE
    if output == "masks":
        assert np.allclose(given.sum(1), 1, atol=1e-5)


@pytest.mark.slow
def test_sizes_that_are_free_have_names(written):
    heard, given = (one(session(written["masks"][1]))[0].shape for one in (_inputs, _outputs))
    assert heard == ["batch", "frames", N_BANDS]
    assert [given[0], given[2], given[3]] == ["batch", "frames", N_BANDS]
    assert _outputs(session(written["unet"][1]))[0].shape[2] == "frames"


def _inputs(opened):
    return opened.get_inputs()


def _outputs(opened):
    return opened.get_outputs()


@pytest.mark.slow
def test_the_file_says_what_it_is(written):
    said = session(written["masks"][1]).get_modelmeta().custom_metadata_map
    assert said["name"] == "masks"
    assert said["licence"] == "CC0-1.0"
    assert said["task"] == "stems"
    assert json.loads(said["instruments"]) == ["surdo", "caixa", "agogo"]
    assert json.loads(said["levada.card"])["origin"] == "made here"
    assert json.loads(said["pieces"]) == {"context_frames": 4, "multiples_of_frames": 1}
    assert json.loads(session(written["unet"][1]).get_modelmeta().custom_metadata_map["instruments"]) == [
        "surdo",
        "rest",
    ]
    assert session(written["tcn"][1]).get_modelmeta().custom_metadata_map["task"] == "beats"


@pytest.mark.slow
def test_who_has_the_file_alone_can_separate(written):
    """A separator in numpy, made from what the metadata say, against ours."""
    net, exported = written["masks"]
    said = session(exported).get_modelmeta().custom_metadata_map
    frames, heard = json.loads(said["frames"]), json.loads(said["features"])
    rate = 32000
    samples = np.random.default_rng(0).normal(size=rate).astype(np.float32)
    transform = Stft(rate)
    assert transform.hop == round(rate * frames["hop_s"])
    assert frames["bin_hz"] == pytest.approx(rate / transform.frame_length, rel=1e-3)
    power = np.abs(transform.forward(samples)) ** 2
    edges = [edge for edge in heard["band_edges"] if edge < power.shape[1]]
    bands = np.pad(np.add.reduceat(power, edges, axis=1), ((0, 0), (0, len(heard["band_edges"]) - len(edges))))
    level = bands.mean()
    theirs = np.log10(bands / (level + 1e-20) + 1e-6) / 2 + 1
    ours = mask_net.features(torch.from_numpy(transform.to_bands(power)), float(level))
    assert np.allclose(theirs, ours.numpy(), atol=1e-5)
    (given,) = session(exported).run(None, {"bands": theirs[None].astype(np.float32)})
    with torch.no_grad():
        assert np.allclose(given, net(ours[None]).softmax(1).numpy(), atol=1e-4)


@pytest.mark.slow
def test_it_says_how_far_apart_the_two_are(written):
    for name, (net, exported) in written.items():
        assert (exported.name, exported.network, exported.size) == (name, net.kind, exported.path.stat().st_size)
        assert 0 <= exported.difference < onnx.LARGEST_DIFFERENCE
        other = deepcopy(net)
        with torch.no_grad():
            next(other.parameters()).mul_(3)  # as if the file held other weights
        wanted, given = both(other, exported, onnx.EXPORTED[net.kind])
        assert np.abs(given - wanted).max() > onnx.LARGEST_DIFFERENCE


def test_a_network_that_cannot_be_exported_is_said_to_be_one(tmp_path):
    pytest.importorskip("onnx")
    weights.save(tmp_path / "crnn", weights.Weights(a_net(crnn), card()))
    with pytest.raises(InputError, match=r"crnn.*cannot be exported"):
        exporting.export(tmp_path / "crnn", tmp_path / "model.onnx")
    with pytest.raises(InputError, match=r"crnn.*cannot be exported"):
        onnx.write_onnx(tmp_path / "model.onnx", weights.Weights(a_net(crnn), card()), description={})
    assert not (tmp_path / "model.onnx").exists()


@pytest.mark.slow
def test_a_file_that_is_not_what_torch_gives_is_not_written(tmp_path, monkeypatch):
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(onnx, "LARGEST_DIFFERENCE", 0.0)  # rounding is too much already
    with pytest.raises(InputError, match="something else than torch"):
        onnx.write_onnx(tmp_path / "model.onnx", weights.Weights(a_net(tcn), card()), description={})
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_named(tmp_path, hide_module):

    hide_module("onnx")
    with pytest.raises(MissingExtra, match=r"levada\[onnx\]"):
        onnx.write_onnx(tmp_path / "model.onnx", weights.Weights(a_net(tcn), card()), description={})


@pytest.mark.parametrize(("name", "said"), [("model.pt", "must end in .onnx"), ("there.onnx", "exists already")])
def test_names_that_cannot_be_written(tmp_path, name, said):
    weights.save(tmp_path / "tcn", weights.Weights(a_net(tcn), card()))
    (tmp_path / "there.onnx").write_bytes(b"mine")
    with pytest.raises(InputError, match=said):
        exporting.export(tmp_path / "tcn", tmp_path / name)
    assert (tmp_path / "there.onnx").read_bytes() == b"mine"


def test_a_folder_that_is_no_model(tmp_path):
    with pytest.raises(InputError, match="is not a model"):
        exporting.export(tmp_path, tmp_path / "model.onnx")
