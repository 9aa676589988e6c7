"""Pickled networks are read as data: the list of names is all that is ever touched."""

import os
import pickle
import sys
from types import ModuleType

import numpy as np
import pytest

from levada.beat_tracking.external.safe_pickle import read_network
from levada.errors import InputError

CLASSES = ["oldlib.layers.Net", "oldlib.layers.Layer"]
FUNCTIONS = ["oldlib.layers.elu"]


@pytest.fixture
def oldlib(monkeypatch):
    """A library that pickles its objects; gone when they are read."""
    module = ModuleType("oldlib.layers")
    for name in ("Net", "Layer"):
        setattr(module, name, type(name, (), {"__module__": "oldlib.layers"}))
    exec("def elu(x): raise AssertionError('was run')", vars(module))
    module.elu.__module__ = "oldlib.layers"
    monkeypatch.setitem(sys.modules, "oldlib", ModuleType("oldlib"))
    monkeypatch.setitem(sys.modules, "oldlib.layers", module)
    return module


@pytest.fixture
def pickled(tmp_path, monkeypatch):
    def write(thing, *, protocol=2):
        (tmp_path / "net.pkl").write_bytes(pickle.dumps(thing, protocol=protocol))
        monkeypatch.delitem(sys.modules, "oldlib.layers", raising=False)
        return tmp_path / "net.pkl"

    return write


def read(path):
    return read_network(path, classes=CLASSES, functions=FUNCTIONS)


def network(oldlib, **attributes):
    net, layer = oldlib.Net(), oldlib.Layer()
    vars(layer).update(attributes)
    net.layers = [layer]
    return net


class TestReads:
    @pytest.mark.parametrize("protocol", [2, 4])
    def test_attributes_and_names_without_the_library(self, oldlib, pickled, protocol):
        path = pickled(network(oldlib, size=(1, 3), fn=oldlib.elu), protocol=protocol)
        net = read(path)
        assert "oldlib.layers" not in sys.modules
        assert type(net).__name__ == "Net"
        assert net.layers[0].size == (1, 3)
        assert net.layers[0].fn == "elu"

    @pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8"])
    @pytest.mark.parametrize("order", ["C", "F"])
    def test_arrays(self, oldlib, pickled, dtype, order):
        weights = np.arange(24, dtype=dtype).reshape(2, 3, 4).copy(order)
        found = read(pickled(network(oldlib, weights=weights))).layers[0].array("weights")
        assert np.array_equal(found, weights)
        assert found.dtype.isnative


class Hostile:
    def __init__(self, *call):
        self.call = call

    def __reduce__(self):
        return self.call


class TestRefuses:
    @pytest.mark.parametrize(
        "call",
        [
            (os.mkdir, ("HERE",)),
            (eval, ("__import__('os').mkdir('HERE')",)),
            (getattr, (3, "real")),
            (np.load, ("HERE",)),
        ],
        ids=["os", "eval", "getattr", "numpy"],
    )
    def test_what_calls_for_anything_else(self, oldlib, pickled, in_tmp_path, call):
        path = pickled(network(oldlib, weights=Hostile(*call)))
        with pytest.raises(InputError, match=r"which no network should"):
            read(path)
        assert not (in_tmp_path / "HERE").exists()

    def test_a_class_that_is_not_on_the_list(self, oldlib, pickled):
        path = pickled(network(oldlib))
        with pytest.raises(InputError, match=r"oldlib\.layers\.Layer"):
            read_network(path, classes=["oldlib.layers.Net"])

    def test_a_name_on_the_list_that_is_called(self, oldlib, pickled):
        with pytest.raises(InputError, match="is damaged"):
            read(pickled(network(oldlib, weights=Hostile(oldlib.elu, (3,)))))

    @pytest.mark.parametrize("damage", [b"", b"not a pickle", None])
    def test_a_damaged_file(self, oldlib, pickled, damage):
        path = pickled(network(oldlib, weights=np.zeros(9, np.float32)))
        path.write_bytes(path.read_bytes()[:-20] if damage is None else damage)
        with pytest.raises(InputError, match=r"net\.pkl: is damaged"):
            read(path)

    def test_what_is_no_network(self, pickled):
        with pytest.raises(InputError, match="holds no network"):
            read(pickled([1, 2, 3]))

    def test_a_file_that_is_not_there(self, tmp_path):
        with pytest.raises(InputError, match=r"net\.pkl: cannot be read"):
            read(tmp_path / "net.pkl")

    @pytest.mark.parametrize("weights", [None, "text", np.arange(3), np.array([{}, 3], object)])
    def test_what_is_no_array_of_floats(self, oldlib, pickled, weights):
        layer = read(pickled(network(oldlib, weights=weights))).layers[0]
        with pytest.raises(ValueError, match=r"no array weights|damaged"):
            layer.array("weights")

    def test_an_array_shorter_than_it_says(self, oldlib, pickled):
        path = pickled(network(oldlib, weights=np.ones(20, np.float32)))
        given = path.read_bytes()
        assert given.count(b"K\x14\x85") == 1  # the shape, (20,)
        path.write_bytes(given.replace(b"K\x14\x85", b"K\x15\x85"))
        with pytest.raises(ValueError, match="damaged"):
            read(path).layers[0].array("weights")
