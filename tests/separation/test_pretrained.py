"""The table from names and folders to separators."""

import json
import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from levada.beat_tracking.pretrained import base_weights, find_folder, load_tracker
from levada.errors import InputError
from levada.learning.card import CONFIG, TENSORS, Card
from levada.learning.names import shipped
from levada.learning.weights import Weights, save
from levada.models.cards import cards
from levada.separation import nmf
from levada.separation.networks.mask_net import tiny
from levada.separation.pretrained import base_weights as stem_weights
from levada.separation.pretrained import load_separator, separator_of
from levada.separation.stft import Stft

torch.set_num_threads(1)

RATE = 8000
KNOWN = ("surdo", "caixa", "tamborim", "shaker", "other")


def saved(folder, instruments=KNOWN, *, seed=0):
    torch.manual_seed(seed)
    card = Card("roda", "Made up.", "CC0-1.0", "none", 0.5, {"none": "yet"}, {"ab" * 32: [(0.0, 8.0)]})
    save(folder, Weights(tiny(instruments).eval(), card))
    return folder


@pytest.fixture
def folder(tmp_path):
    return saved(tmp_path / "my-separator")


@pytest.fixture
def base(empty_weights):
    """A separator in the place of the one that ships, and no trackers."""
    return saved(empty_weights / "stems")


class TestFolders:
    def test_hold_separators(self, folder):
        separator = load_separator(folder)
        assert (separator.name, separator.instruments) == ("my-separator", KNOWN)
        assert separator.trained_on == {"ab" * 32: [[0.0, 8.0]]}
        mixture = np.random.default_rng(0).normal(0, 0.1, (2, 4000)).astype(np.float32)
        np.testing.assert_allclose(sum(separator.separate(mixture, RATE).values()), mixture, atol=1e-6)

    def test_restricted_to_what_plays(self, folder):
        some = load_separator(folder, instruments=["Caixa", "ganzá"])
        assert some.instruments == ("Caixa", "ganzá")
        assert some.identity != load_separator(folder).identity

    def test_another_of_the_same_name_is_another(self, folder, tmp_path):
        other = saved(tmp_path / "other" / "my-separator", seed=1) if (tmp_path / "other").mkdir() is None else None
        assert load_separator(folder).identity != load_separator(other).identity

    @pytest.mark.parametrize("name", [CONFIG, TENSORS])
    @pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 200])
    def test_damaged(self, folder, name, damage):
        (folder / name).write_bytes(damage)
        with pytest.raises(InputError, match="damaged") as raised:
            load_separator(folder)
        assert raised.value.path == folder / name

    def test_of_another_kind(self, folder):
        with pytest.raises(InputError, match="is no network"):
            load_separator(f"demucs:{folder}")

    def test_of_no_model(self, tmp_path):
        with pytest.raises(InputError, match="is not a model"):
            load_separator(tmp_path)

    def test_an_instrument_it_does_not_know(self, folder):
        with pytest.raises(
            InputError, match="has no stem of cuica: its stems are surdo, caixa, tamborim, sh"
        ) as raised:
            load_separator(folder, instruments=["surdo", "cuica"])
        assert raised.value.path == folder


class TestDictionaries:
    @pytest.fixture
    def learnt(self):
        rng, stft = np.random.default_rng(0), Stft(RATE)
        stems = {
            "surdo": [np.abs(stft.forward(np.cumsum(rng.normal(0, 0.01, RATE)).astype(np.float32)))],
            "caixa": [np.abs(stft.forward(np.diff(rng.normal(0, 0.1, RATE)).astype(np.float32)))],
            "shaker": [np.abs(stft.forward(rng.normal(0, 0.1, RATE).astype(np.float32)))],
        }
        settings = nmf.NmfSettings(bases=2, taps=3, steps=5, learning_steps=5)
        card = Card("dictionaries", "made up", "CC0-1.0", "none", 0.1, {"none": "yet"})
        return nmf.Dictionaries(tuple(stems), nmf.learn(stems, settings=settings), card, settings)

    def test_are_separators(self, learnt, tmp_path):
        learnt.save(tmp_path / "mine")
        separator = load_separator(tmp_path / "mine")
        assert (separator.name, separator.instruments) == ("mine", ("surdo", "caixa", "shaker"))
        mixture = np.random.default_rng(1).normal(0, 0.1, (2, RATE)).astype(np.float32)
        expected = separator_of(learnt, name="memory").separate(mixture, RATE)
        stems = separator.separate(mixture, RATE)
        np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-6)
        np.testing.assert_allclose(stems["caixa"], expected["caixa"], atol=1e-6)
        assert load_separator(tmp_path / "mine", instruments=["ganza", "surdo"]).instruments == ("ganza", "surdo")

    def test_have_no_seam(self, learnt):
        separator = separator_of(learnt, name="mine").backend
        mixture = np.random.default_rng(1).normal(0, 0.1, (1, 6 * RATE)).astype(np.float32)
        whole = replace(separator, piece_frames=10**6).separate(mixture, RATE)
        for name, stem in replace(separator, piece_frames=40).separate(mixture, RATE).items():
            assert np.abs(stem - whole[name]).max() < 1e-5

    def test_are_no_tracker(self, learnt, tmp_path):
        learnt.save(tmp_path / "mine")
        with pytest.raises(InputError, match="is a separator: it separates recordings"):
            load_tracker(tmp_path / "mine")

    def test_damaged(self, learnt, tmp_path):
        learnt.save(tmp_path / "mine")
        (tmp_path / "mine" / TENSORS).write_bytes(b"words")
        with pytest.raises(InputError, match="damaged"):
            load_separator(tmp_path / "mine")


class TestTasks:
    def test_a_separator_is_no_tracker(self, folder):
        with pytest.raises(InputError, match=r"is a separator: it separates recordings \(levada separate\)") as raised:
            load_tracker(folder)
        assert raised.value.path == folder
        with pytest.raises(InputError, match="is a separator: beats are learnt by trackers"):
            base_weights(folder)
        assert stem_weights(folder).net.instruments == KNOWN

    def test_a_tracker_is_no_separator(self, tiny_model):
        with pytest.raises(InputError, match=r"is a tracker: it finds beats \(levada track\)") as raised:
            load_separator(tiny_model)
        assert raised.value.path == tiny_model
        with pytest.raises(InputError, match="is a tracker: stems are learnt by separators"):
            stem_weights(tiny_model)

    @pytest.mark.parametrize("name", ["flux", "latin", "beat_this", "madmom"])
    def test_names_of_trackers(self, name):
        with pytest.raises(InputError, match=f"{name} is a tracker: it finds beats and separates nothing"):
            load_separator(name)

    def test_nmf_has_to_learn_first(self):
        with pytest.raises(InputError, match="nmf has to learn from stems first: levada adapt"):
            load_separator("nmf")

    @pytest.mark.parametrize("name", ["nonsense", "nowhere/at-all"])
    def test_unknown(self, name):
        with pytest.raises(InputError, match=r"there is no separator '.*': name the folder of one, or one of .*samba"):
            load_separator(name)


class TestBase:
    @pytest.mark.parametrize("name", ["base", "stems-base"])
    def test_by_name(self, base, name):
        assert load_separator(name).instruments == KNOWN
        assert load_separator(name).name == "stems-base"
        assert find_folder("stems-base") == base
        assert stem_weights(name).card.name == "roda"

    def test_is_listed_with_its_task(self, base):
        assert dict(shipped()) == {}
        assert dict(shipped("stems")) == {"stems-base": base}
        assert next((card["name"], card["task"]) for card in cards()) == ("stems-base", "stems")
        assert {card["task"] for card in cards()[1:]} == {"beats"}

    @pytest.mark.usefixtures("base")
    def test_for_a_tradition(self, caplog):
        with caplog.at_level(logging.WARNING):
            separator = load_separator("samba")
        assert separator.name == "samba"
        assert set(separator.instruments) == {
            "surdo",
            "caixa",
            "tamborim",
            "ganza",
        }  # it calls a shaker by its own name
        assert "agogo" in caplog.text
        assert "left out" in caplog.text
        assert load_separator("samba", instruments=["primeira"]).instruments == ("primeira",)

    @pytest.mark.usefixtures("base")
    def test_a_similar_instrument_takes_the_place_of_one_that_it_lacks(self, caplog):
        with caplog.at_level(logging.WARNING):
            separator = load_separator("base", instruments=["caixa", "tom"])
        assert separator.instruments == ("caixa", "tom")
        assert "not trained on tom: it is separated as surdo" in caplog.text
        mixture = np.random.default_rng(0).normal(0, 0.1, (1, 8000)).astype(np.float32)
        as_surdo = load_separator("base", instruments=["caixa", "surdo"]).separate(mixture, RATE)
        np.testing.assert_array_equal(separator.separate(mixture, RATE)["tom"], as_surdo["surdo"])
        with pytest.raises(InputError, match="has no stem of tom"):  # the surdo plays itself
            load_separator("base", instruments=["surdo", "tom"])

    @pytest.mark.usefixtures("base")
    def test_for_a_tradition_it_never_heard(self):
        with pytest.raises(InputError, match="no stem of an instrument of candombe: its stems are surdo"):
            load_separator("candombe")

    @pytest.mark.usefixtures("base")
    def test_for_a_tradition_in_a_file(self, tmp_path):
        with pytest.raises(InputError, match="there is no such file"):
            load_separator(tmp_path / "mine.toml")

    @pytest.mark.parametrize("name", ["base", "stems-base", "samba"])
    @pytest.mark.usefixtures("empty_weights")
    def test_where_none_ships(self, name):
        with pytest.raises(InputError, match="no separator comes with this copy of levada"):
            load_separator(name)

    def test_whose_card_is_not_whole(self, base):
        config = json.loads((base / CONFIG).read_text())
        del config["card"]["licence"]
        (base / CONFIG).write_text(json.dumps(config))
        with pytest.raises(InputError, match="is damaged"):
            load_separator("base")
