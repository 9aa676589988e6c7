"""A model is its tensors, shape and decoder: neither its name nor its card, in memory as in its folder."""

import hashlib
import json
import shutil
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from levada import __version__
from levada.beat_tracking.networks import load
from levada.beat_tracking.pretrained import load_tracker
from levada.learning.model_folder import ModelFolder, model_digest
from levada.learning.names import shipped
from levada.learning.weights import digest, save
from levada.models.cards import cards


@pytest.fixture
def copy(tiny_model, tmp_path):
    return Path(shutil.copytree(tiny_model, tmp_path / "elsewhere" / "another-name"))


def edited(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    for key, value in changes.items():
        config[key] = {**config[key], **value}
    (folder / "config.json").write_text(json.dumps(config, indent=3))


def test_is_a_hash_of_network_settings_decoder_and_tensors():
    tensors = {"b": np.arange(3, dtype="<f4"), "a": np.ones((1, 2), "<f8")}
    found = model_digest(network="tcn", settings={"z": 1, "a": 2}, tensors=tensors, decoder={})
    expected = hashlib.sha256(b'["tcn", {"a": 2, "z": 1}, {}]')
    expected.update(b"\0a <f8 (1, 2)\0" + tensors["a"].tobytes() + b"\0b <f4 (3,)\0" + tensors["b"].tobytes())
    assert found == expected.hexdigest()[:16]


def test_of_a_renamed_folder_with_another_card_is_the_same(tiny_model, copy):
    edited(copy, card={"licence": "CC0-1.0", "name": "mine", "scores": {"beat_f": "1"}}, training={"steps": 7})
    weights = load(tiny_model)
    assert (
        ModelFolder(tiny_model).digest
        == ModelFolder(copy).digest
        == digest(weights)
        == load_tracker(tiny_model).identity
        == load_tracker(copy).identity
        == cards(copy)[0]["digest"]
    )


def test_of_another_decoder_or_other_tensors_is_another(tiny_model, copy):
    before = ModelFolder(copy).digest
    edited(copy, decoder={**asdict(load_tracker(copy).backend.settings), "max_tempo_bpm": 200.0})
    other = ModelFolder(copy).digest
    tensors = load_file(copy / "model.safetensors")
    name = sorted(tensors)[0]
    tensors[name] = tensors[name] + np.float32(1e-3)
    save_file(tensors, copy / "model.safetensors")
    assert len({before, other, ModelFolder(copy).digest}) == 3
    assert before == ModelFolder(tiny_model).digest


def test_survives_saving(tiny_model, tmp_path):
    weights = load(tiny_model)
    with torch.no_grad():
        next(iter(weights.net.parameters())).mul_(1.01)
    weights = replace(weights, decoder={"metres": (3, 4)})
    save(tmp_path / "saved", weights)
    assert ModelFolder(tmp_path / "saved").digest == digest(weights) == digest(load(tmp_path / "saved"))
    assert digest(weights) != ModelFolder(tiny_model).digest


def test_of_every_model_that_ships_is_listed(levada):
    rows = {row["name"]: row for row in json.loads(levada("models", "--json")[1])}
    for task in ("beats", "stems"):
        for name, folder in shipped(task).items():
            assert rows[name]["digest"] == ModelFolder(folder).digest
            assert rows[name]["digest"] in levada("models")[1]


@pytest.mark.usefixtures("few_steps")
def test_of_the_base_and_the_version_travel_with_an_adapted_model(levada, rendered, tiny_model, tmp_path):
    labels = ("adapt", rendered / "a.wav", "--beats", rendered / "a.beats", "--model", tiny_model)
    assert levada(*labels, "--strategy", "decoder", "-o", tmp_path / "mine")[0] == 0
    config = json.loads((tmp_path / "mine" / "config.json").read_text())
    assert config["levada"] == __version__
    assert config["training"]["base_digest"] == ModelFolder(tiny_model).digest
    assert levada(*labels, "--strategy", "scratch", "-o", tmp_path / "new")[0] == 0
    assert "base_digest" not in json.loads((tmp_path / "new" / "config.json").read_text())["training"]
