"""The table from names and folders to trackers, and the model that ships."""

import json
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from levada.beat_tracking.decoder import DecoderSettings, probabilities
from levada.beat_tracking.networks import load
from levada.beat_tracking.networks.tcn import Tcn, tiny
from levada.beat_tracking.pretrained import EXTERNAL, find_folder, load_tracker, tracker_of
from levada.beat_tracking.tracker import BeatTracker
from levada.errors import InputError
from levada.learning.card import CONFIG, README, TENSORS, Card
from levada.learning.names import shipped
from levada.learning.weights import Weights, save
from levada.models.cards import cards
from levada.separation.separator import Separator

torch.set_num_threads(1)

HASH = "ab" * 32


def a_model(seed=0, **decoder):
    torch.manual_seed(seed)
    card = Card("street", "Made up.", "CC0-1.0", "none", 0.5, {"none": "yet"}, {HASH: [(0.0, 8.0)]})
    return Weights(tiny().eval(), card, decoder)


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "my-model", a_model(min_tempo_bpm=90.0, metres=[4]))
    return tmp_path / "my-model"


class TestLoad:
    def test_flux(self):
        tracker = load_tracker("flux")
        assert (tracker.name, tracker.identity, tracker.trained_spans) == ("flux", "flux", {})
        assert tracker.backend.settings == DecoderSettings()

    def test_a_folder(self, folder):
        tracker = load_tracker(folder)
        assert tracker.name == "my-model"
        assert tracker.backend.settings == DecoderSettings(min_tempo_bpm=90.0, metres=(4,))
        assert set(tracker.trained_spans) == {HASH}
        bands = np.random.default_rng(0).normal(-3, 1, (60, 81)).astype(np.float32)
        with torch.inference_mode():
            expected = probabilities(load(folder).net(torch.from_numpy(bands)[None])[0].numpy())
        np.testing.assert_allclose(tracker.backend.predict([bands]), expected, atol=1e-6)

    def test_device(self, folder):
        tracker = BeatTracker.from_pretrained(folder, device="cpu")
        assert tracker.device == "cpu"
        assert tracker.to("cpu") is tracker
        assert BeatTracker.from_pretrained("flux", device="cpu").device == "cpu"

    @pytest.mark.parametrize("device", ["gpu", "cuda:99", ""])
    def test_no_such_device(self, folder, device):
        for model in (BeatTracker.from_pretrained("flux"), BeatTracker.from_pretrained(folder)):
            with pytest.raises(InputError, match="device"):
                model.to(device)
        with pytest.raises(InputError, match="device"):
            Separator.from_pretrained("base", device=device)

    def test_named_by_its_folder_wherever_one_stands(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        assert load_tracker(".").name == "my-model"
        assert load_tracker(str(folder) + "/").name == "my-model"

    def test_identity_changes_with_the_beats(self, folder, tmp_path):
        first = load_tracker(folder).identity
        shutil.copytree(folder, tmp_path / "copy")
        assert load_tracker(tmp_path / "copy").identity == first
        save(tmp_path / "weights", a_model(seed=1, min_tempo_bpm=90.0, metres=[4]))
        save(tmp_path / "priors", a_model(min_tempo_bpm=91.0, metres=[4]))
        assert len({first, *(load_tracker(tmp_path / name).identity for name in ("weights", "priors"))}) == 3

    def test_weights_in_memory(self):
        tracker = tracker_of(a_model(), name="fresh", identity="now")
        assert (tracker.name, tracker.identity, set(tracker.trained_spans)) == ("fresh", "now", {HASH})


class TestRefused:
    @pytest.mark.parametrize("name", ["nonsense", "FLUX", "nowhere/at-all"])
    def test_unknown(self, name):
        with pytest.raises(InputError, match=f"no model {name!r}.*flux"):
            load_tracker(name)

    def test_an_empty_folder(self, tmp_path):
        with pytest.raises(InputError, match="not a model") as raised:
            load_tracker(tmp_path)
        assert raised.value.path == tmp_path

    def test_a_file(self, folder):
        with pytest.raises(InputError, match="no model"):
            load_tracker(folder / TENSORS)

    @pytest.mark.parametrize("name", [CONFIG, TENSORS])
    @pytest.mark.parametrize("damage", [b"", b"{", b"\x00" * 200])
    def test_damaged(self, folder, name, damage):
        (folder / name).write_bytes(damage)
        with pytest.raises(InputError, match="damaged") as raised:
            load_tracker(folder)
        assert raised.value.path == folder / name

    def test_priors_that_make_no_sense(self, folder):
        config = json.loads((folder / CONFIG).read_text())
        config["decoder"] = {"min_tempo_bpm": 300.0}
        (folder / CONFIG).write_text(json.dumps(config))
        with pytest.raises(InputError, match="min_tempo_bpm") as raised:
            load_tracker(folder)
        assert raised.value.path == folder / CONFIG


class TestShipped:
    def test_base_is_there(self):
        assert "base" in shipped(), "src/levada/weights/base is missing: no model ships"

    @pytest.mark.parametrize("name", ["base", *shipped()])
    def test_whole_and_documented(self, name):
        folder = find_folder(name)
        assert {path.name for path in folder.iterdir()} >= {README, CONFIG, TENSORS}
        weights = load(folder)
        assert replace(weights.net.settings, harmony=False) == Tcn().settings
        assert weights.card.licence in {"CC-BY-4.0", "Apache-2.0"}
        assert weights.card.minutes > 60
        assert "/" not in str(weights.training.get("groove", ""))  # no place on somebody's machine
        assert load_tracker(name).name == name
        assert (folder / TENSORS).stat().st_size < 1_000_000

    def test_base_hears_a_beat(self):
        """Eight bars of clicks: no scores, but better than a network that knows nothing."""
        rate, rng = 44100, np.random.default_rng(0)
        sound = 0.001 * rng.standard_normal((1, 16 * rate)).astype(np.float32)
        for number in range(31):
            start = round((0.3 + 0.5 * number) * rate)
            burst = rng.standard_normal(2000) * np.exp(-np.arange(2000) / 300)
            sound[0, start : start + 2000] += (0.8 if number % 4 == 0 else 0.3) * burst[: sound.shape[1] - start]
        activations = load_tracker("base").activations(sound, rate)[:, 0]
        at = np.round(30 + 50 * np.arange(2, 29)).astype(int)
        on = np.array([activations[frame - 2 : frame + 3].max() for frame in at])
        between = np.array([activations[frame + 12 : frame + 20].max() for frame in at])
        assert np.median(on) > 3 * np.median(between)

    def test_what_is_there_is_named(self, folder, empty_weights):
        """A model ships by standing in the folder of weights; one that is not there yet is in no list."""
        assert dict(shipped()) == {}
        assert [card["name"] for card in cards()] == ["flux", *EXTERNAL]
        (empty_weights / "latin").mkdir()  # half made: no model yet
        with pytest.raises(InputError, match=r"no model 'latin'.*one of flux"):
            find_folder("latin")
        for name in ("latin", "base"):
            shutil.copytree(folder, empty_weights / name, dirs_exist_ok=True)
        assert list(shipped()) == ["base", "latin"]
        assert load_tracker("latin").name == "latin"
        assert [card["name"] for card in cards()] == ["base", "latin", "flux", *EXTERNAL]
        with pytest.raises(InputError, match="one of base, latin, flux"):
            find_folder("cuban")

    def test_cards(self):
        known = {card["name"]: card for card in cards()}
        assert known.keys() == {*shipped(), *shipped("stems"), "flux", *EXTERNAL}
        for card in known.values():
            facts = {
                "name",
                "origin",
                "licence",
                "data",
                "minutes",
                "scores",
                "trained_on",
                "sources",
                "digest",
                "task",
            }
            assert card.keys() == facts
        assert known["flux"]["minutes"] == 0

    def test_cards_without_torch(self):
        script = "import sys; from levada.models.cards import cards; cards(); assert 'torch' not in sys.modules"
        subprocess.run([sys.executable, "-c", script], check=True)
