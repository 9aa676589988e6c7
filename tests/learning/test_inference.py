"""Networks without PyTorch against the same networks with it."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.reduction import ForkingPickler

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.multiprocessing

from levada.beat_tracking import networks as beat_networks
from levada.beat_tracking.decoder import probabilities
from levada.beat_tracking.network_tracker import predict
from levada.beat_tracking.networks.tcn import Tcn, TcnSettings
from levada.errors import InputError
from levada.learning.card import Card
from levada.learning.names import shipped
from levada.learning.weights import Weights, save
from levada.separation import networks as stem_networks
from levada.separation.networks.mask_net import MaskNet, MaskSettings, features

Floats32 = npt.NDArray[np.float32]
CARD = Card("tiny", "a test", "CC0-1.0", "none", 0.0, {"none": "0"})


def spectrogram(frames: int, bands: int) -> Floats32:
    """Logarithms of magnitudes from silence to loud music."""
    rng = np.random.default_rng(frames)
    slow = np.cumsum(rng.normal(0, 0.3, (frames, bands)), axis=0)
    return np.asarray(slow - slow.mean(axis=0) + rng.normal(-2, 2, bands), np.float32)


def activations_of_torch(net: Tcn, bands: Floats32) -> Floats32:
    with torch.inference_mode():
        return np.asarray(probabilities(net(torch.from_numpy(bands)[None])[0].numpy()), np.float32)


@pytest.mark.parametrize("name", sorted(shipped()))
@pytest.mark.parametrize("frames", [1, 2, 1501])
def test_trackers_that_ship(name: str, frames: int) -> None:
    weights = beat_networks.load(shipped()[name])
    bands = spectrogram(frames, 142)
    found = predict(beat_networks.inference_of(weights), [bands])
    np.testing.assert_allclose(found, activations_of_torch(weights.net, bands), atol=1e-5)


@pytest.mark.parametrize("harmony", [False, True])
def test_trackers_that_are_trained(harmony: bool) -> None:
    """Pieces of a recording give what the whole gives, from a network in memory."""
    torch.manual_seed(0)
    net = Tcn(TcnSettings(channels=7, levels=3, front=(3, 5), harmony=harmony)).eval()
    bands = spectrogram(9001, 142 if harmony else 81)
    pieces = [bands[:10], bands[10:5000], bands[5000:]]
    found = predict(beat_networks.inference_of(Weights(net, CARD)), pieces, chunk_steps=1000)
    np.testing.assert_allclose(found, activations_of_torch(net, bands), atol=1e-5)


def test_another_process_computes_the_same() -> None:
    torch.manual_seed(0)
    net = Tcn(TcnSettings(channels=7, levels=3, front=(3, 5))).eval()
    inference, bands = beat_networks.inference_of(Weights(net, CARD)), spectrogram(500, 81)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        found = executor.submit(predict, inference, [bands]).result()
    np.testing.assert_allclose(found, activations_of_torch(net, bands), atol=1e-5)


def test_sending_the_weights_to_another_process_changes_nothing_here() -> None:
    """PyTorch moves tensors to shared memory then, and frees where they were."""
    torch.manual_seed(0)
    net = Tcn(TcnSettings()).eval()
    weights, bands = Weights(net, CARD), spectrogram(500, 81)
    inference = beat_networks.inference_of(weights)
    before = predict(inference, [bands])
    for _ in range(3):
        ForkingPickler.dumps(net)
    np.testing.assert_array_equal(predict(inference, [bands]), before)
    parameters = net.state_dict()
    assert not any(np.shares_memory(parameters[name].numpy(), tensor) for name, tensor in weights.tensors.items())


def power(frames: int, bands: int) -> Floats32:
    return np.asarray(np.exp(2 * spectrogram(frames, bands)), np.float32)


def masks_of_torch(net: MaskNet, values: Floats32, level: float, rows: list[int]) -> Floats32:
    with torch.inference_mode():
        return np.asarray(net(features(torch.from_numpy(values), level)[None])[0][rows].softmax(0).numpy())


@pytest.mark.parametrize("rows", [[0], [3, 1, 17], list(range(40))])
def test_the_separator_that_ships(rows: list[int]) -> None:
    weights = stem_networks.load(next(iter(shipped("stems").values())))
    values = power(300, 156)
    found = stem_networks.inference_of(weights).masks(values, 0.3, rows)
    np.testing.assert_allclose(found, masks_of_torch(weights.net, values, 0.3, rows), atol=1e-5)


@pytest.mark.parametrize("bases", [0, 3])
def test_separators_that_are_trained(bases: int) -> None:
    torch.manual_seed(0)
    net = MaskNet(MaskSettings(("a", "b", "c"), channels=9, inside=14, dilations=(1, 3), bands=20)).eval()
    if bases:
        net = net.with_bases(torch.rand(3, bases, 20))
    values = power(70, 20)
    found = stem_networks.inference_of(Weights(net, CARD)).masks(values, 2.0, [2, 0])
    np.testing.assert_allclose(found, masks_of_torch(net, values, 2.0, [2, 0]), atol=1e-5)


def test_weights_are_read_and_written_without_building_the_network(tmp_path) -> None:
    net = Tcn(TcnSettings(channels=4, levels=2, front=(2, 3)))
    save(tmp_path / "first", Weights(net, CARD))
    stored = beat_networks.load(tmp_path / "first")
    save(tmp_path / "second", replace(stored, card=replace(stored.card, name="second")))
    assert "net" not in vars(stored)
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(beat_networks.load(tmp_path / "second").tensors[name], tensor.numpy())


def test_tensors_of_another_shape(tmp_path) -> None:
    save(tmp_path / "model", Weights(Tcn(TcnSettings(channels=4, levels=2, front=(2, 3))), CARD))
    config = tmp_path / "model" / "config.json"
    config.write_text(config.read_text().replace('"channels": 4', '"channels": 5'))
    with pytest.raises(InputError, match=r"conv3\.weight must have the shape"):
        beat_networks.inference_of(beat_networks.load(tmp_path / "model"))
