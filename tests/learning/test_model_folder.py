"""Folders of models, with or without a network."""

import json

import numpy as np
import pytest

from levada.errors import InputError
from levada.learning.card import CONFIG, README, TENSORS, Card, read_card, read_config
from levada.learning.model_folder import read_tensors, write_model

CARD = Card("patterns", "Made up.", "CC0-1.0", "none", 1.5, {"none": "yet"})
TENSOR = {"means": np.arange(6.0).reshape(2, 3).T, "counts": np.array([1, 2], np.int64)}  # not contiguous


def write(folder, tensors=TENSOR, **said):
    settings = {"network": "bayes", "settings": {"cells": 16}, "card": CARD, "decoder": {"metres": [4]}, "training": {}}
    write_model(folder, tensors=tensors, **{**settings, **said})


def test_comes_back_as_it_went(tmp_path):
    write(tmp_path / "m")
    found = read_tensors(tmp_path / "m")
    assert found.keys() == TENSOR.keys()
    for name, tensor in TENSOR.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found[name], tensor)
    config = read_config(tmp_path / "m")
    assert (config["network"], config["settings"], config["decoder"]) == ("bayes", {"cells": 16}, {"metres": [4]})
    assert read_card(tmp_path / "m") == CARD
    assert "# patterns" in (tmp_path / "m" / README).read_text(encoding="utf-8")


def test_an_existing_model_is_kept_unless_told_otherwise(tmp_path):
    write(tmp_path / "m")
    with pytest.raises(InputError, match="exists already"):
        write(tmp_path / "m", {"means": np.zeros(1)})
    assert set(read_tensors(tmp_path / "m")) == {"means", "counts"}
    write(tmp_path / "m", {"means": np.zeros(1)}, force=True)
    assert set(read_tensors(tmp_path / "m")) == {"means"}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_are_none_are_neither_written_nor_read(tmp_path, value):
    with pytest.raises(InputError, match="not finite"):
        write(tmp_path / "m", {"means": np.array([1.0, value])})
    assert not (tmp_path / "m").exists()
    write(tmp_path / "m", {"means": np.array([1.0, 2.0])})
    from safetensors.numpy import save_file

    save_file({"means": np.array([1.0, value])}, tmp_path / "m" / TENSORS)
    with pytest.raises(InputError, match="not finite"):
        read_tensors(tmp_path / "m")


def test_missing_and_damaged_tensors(tmp_path):
    write(tmp_path / "m")
    whole = (tmp_path / "m" / TENSORS).read_bytes()
    (tmp_path / "m" / TENSORS).write_bytes(whole[:-5])
    with pytest.raises(InputError, match="damaged"):
        read_tensors(tmp_path / "m")
    (tmp_path / "m" / TENSORS).unlink()
    with pytest.raises(InputError, match="not a whole model"):
        read_tensors(tmp_path / "m")


def test_a_kind_nobody_knows(tmp_path):
    write(tmp_path / "m")
    config = json.loads((tmp_path / "m" / CONFIG).read_text())
    (tmp_path / "m" / CONFIG).write_text(json.dumps(config | {"network": "oracle"}))
    with pytest.raises(InputError, match="unknown network, 'oracle'"):
        read_config(tmp_path / "m")
