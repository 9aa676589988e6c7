"""A name means one model in every command: never a shipped one in place of a folder's, and no two alike in a table."""

import shutil
from pathlib import Path

import pytest
import torch

from levada.beat_tracking.pretrained import base_weights, find_folder, load_tracker
from levada.errors import InputError
from levada.learning.card import Card
from levada.learning.names import argument_for, display_names, folder_of
from levada.learning.weights import Weights, save
from levada.models.cards import cards
from levada.separation.networks.mask_net import tiny
from levada.separation.pretrained import base_weights as stem_weights
from levada.separation.pretrained import load_separator

KNOWN = [
    "base",
    "flux",
    "latin",
    "madmom",
    "stems-base",
    "unet-bass",
    "samba-enredo",
    "nmf",
    "mixture",
    "beat_this:small0",
]


@pytest.fixture
def separator(tmp_path_factory):
    torch.manual_seed(0)
    card = Card("tiny", "Drawn.", "CC0-1.0", "none", 0.0, {"any": "none"})
    folder = tmp_path_factory.mktemp("separators") / "tiny"
    save(folder, Weights(tiny(("surdo", "caixa")), card))
    return folder


@pytest.fixture
def here(in_tmp_path):
    return in_tmp_path


class TestPlace:
    @pytest.mark.parametrize("name", KNOWN)
    def test_a_known_name_that_is_a_folder_of_a_model_too_is_refused(self, name, here, tiny_model, separator):
        shutil.copytree(tiny_model, here / name)
        lookups = [load_tracker, find_folder, cards, load_separator, base_weights]
        for lookup in lookups:
            with pytest.raises(InputError, match=rf"{name} is both .*: write \./{name} for the folder"):
                lookup(name)
        with pytest.raises(InputError, match="is both"):
            stem_weights(name)
        for given in (f"./{name}", Path(name), here / name):
            assert load_tracker(given).name == name
            assert find_folder(given).resolve() == here / name
            assert base_weights(given).card.name == "tiny"
            (card,) = cards(given)
            assert (card["name"], card["task"]) == ("tiny", "beats")
        shutil.rmtree(here / name)
        shutil.copytree(separator, here / name)
        for given in (f"./{name}", Path(name)):
            assert load_separator(given).instruments == ("surdo", "caixa")
            assert stem_weights(given).net.instruments == ("surdo", "caixa")

    @pytest.mark.parametrize("name", ["base", "samba-enredo", "flux"])
    def test_a_folder_of_something_else_is_no_model(self, name, here):
        (here / name).mkdir()
        assert folder_of(name) is None

    def test_known_names_alone_and_folders_alone(self, here, tiny_model):
        assert all(folder_of(name) is None for name in KNOWN)
        shutil.copytree(tiny_model, here / "mine")
        assert folder_of("mine") == Path("mine")
        assert load_tracker("mine").name == "mine"
        (card,) = cards("base")
        assert (card["name"], card["licence"]) == ("base", "CC-BY-4.0")

    def test_a_folder_that_ends_like_a_description(self, here, separator):
        shutil.copytree(separator, here / "mine.toml")
        assert load_separator("mine.toml").instruments == ("surdo", "caixa")

    @pytest.mark.parametrize("name", KNOWN)
    def test_what_is_typed_for_a_folder_is_that_folder(self, name, here, tiny_model):
        shutil.copytree(tiny_model, here / name)
        assert find_folder(argument_for(Path(name))).resolve() == here / name
        assert argument_for(Path("mine")) == "mine"
        assert argument_for(here / name) == str(here / name)


class TestDisplayNames:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            (["base", Path("mine"), "flux"], ["base", "mine", "flux"]),
            (["base", Path("x/base"), "flux"], ["base", "x/base", "flux"]),
            (["base", Path("flux"), "flux"], ["base", "./flux", "flux"]),
            (["base", Path("samba-enredo")], ["base", "./samba-enredo"]),
            ([Path("a/x"), Path("b/x"), Path("c/y")], ["a/x", "b/x", "y"]),
            (["a/x", Path("b/x")], ["a/x", "b/x"]),
            (["x", "x"], ["x", "x (2)"]),
        ],
    )
    def test_by_hand(self, given, expected):
        assert display_names(given) == expected

    def test_a_folder_under_the_name_it_is_called_by_already(self, here):
        assert display_names(["mine", Path("mine")]) == ["mine", str(here / "mine")]
