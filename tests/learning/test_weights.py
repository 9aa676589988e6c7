"""Folders of weights and their cards: what is saved is what is loaded, and what is damaged says so."""

import json
import math
import pickletools
from dataclasses import replace

import pytest
import torch

from levada.beat_tracking.networks import load
from levada.beat_tracking.networks.tcn import tiny
from levada.beat_tracking.pretrained import load_tracker
from levada.errors import InputError
from levada.learning.card import CONFIG, README, TENSORS, Card, read_card, read_config
from levada.learning.weights import Weights, save

torch.set_num_threads(1)

CARD = Card(
    name="street",
    origin="Fine-tuned from nothing.",
    licence="CC-BY-4.0",
    data="Two recordings, CC BY 4.0.",
    minutes=1.5,
    scores={"beat F on the rest": 0.91},
    trained_on={"ab" * 32: [(0.0, 8.0)]},
)


def a_model(seed=0):
    torch.manual_seed(seed)
    return Weights(tiny().eval(), CARD, {"min_tempo_bpm": 70.0, "metres": [4]}, {"steps": 120})


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / "street", a_model())
    return tmp_path / "street"


def edit(folder, **changes):
    """Change entries of the configuration; None removes one."""
    config = json.loads((folder / CONFIG).read_text()) | changes
    (folder / CONFIG).write_text(json.dumps({key: value for key, value in config.items() if value is not None}))


def edit_card(folder, **changes):
    card = json.loads((folder / CONFIG).read_text())["card"] | changes
    edit(folder, card={key: value for key, value in card.items() if value is not ...})


def rewrite(folder, change):
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / TENSORS)
    save_file(change(tensors), folder / TENSORS)


class TestRoundTrip:
    def test_bit_exact(self, folder):
        saved, loaded = a_model(), load(folder)
        assert loaded.net.settings == saved.net.settings
        theirs = loaded.net.state_dict()
        assert theirs.keys() == saved.net.state_dict().keys()
        for name, tensor in saved.net.state_dict().items():
            assert torch.equal(tensor, theirs[name]), name
        assert not loaded.net.training

    def test_all_that_travels_beside(self, folder):
        loaded = load(folder)
        assert loaded.decoder == {"min_tempo_bpm": 70.0, "metres": [4]}
        assert loaded.training == {"steps": 120}
        assert replace(loaded.card, trained_on={}) == replace(CARD, trained_on={})
        assert loaded.card.trained_on == {"ab" * 32: [[0.0, 8.0]]}

    def test_three_files_and_no_more(self, folder):
        assert sorted(path.name for path in folder.iterdir()) == [README, CONFIG, TENSORS]
        assert [path.name for path in folder.parent.iterdir()] == ["street"]

    def test_whoever_may_read_one_may_read_all(self, folder):
        assert len({path.stat().st_mode for path in folder.iterdir()}) == 1

    def test_nothing_is_pickled(self, folder):
        for path in folder.iterdir():
            content = path.read_bytes()
            assert not content.startswith(b"PK"), path  # nor a zip, in which torch hides pickles
            with pytest.raises(ValueError, match=r"opcode|pickle|exhausted|expected|unicode|digit|invalid"):
                list(pickletools.genops(content))

    def test_card_without_tensors(self, folder):
        (folder / TENSORS).unlink()
        assert read_card(folder).minutes == 1.5
        assert read_config(folder)["network"] == "tcn"

    def test_page_for_people(self, folder):
        page = (folder / README).read_text()
        assert page.startswith("---\nlicense: cc-by-4.0\nlibrary_name: levada\n")
        for what in ("# street", CARD.origin, CARD.data, "1.50 minutes", "| beat F on the rest | 0.91 |", "CC-BY-4.0"):
            assert what in page
        assert '"min_tempo_bpm": 70.0' in page

    def test_zero_minutes_are_minutes(self):
        assert replace(CARD, minutes=0.0).minutes == 0

    def test_replaced_with_force(self, folder):
        save(folder, a_model(seed=1), force=True)
        assert torch.equal(load(folder).net.head.weight, a_model(seed=1).net.head.weight)


class TestRefusals:
    @pytest.mark.parametrize("field", ["name", "origin", "licence", "data", "minutes", "scores"])
    @pytest.mark.parametrize("nothing", ["", None, {}])
    def test_no_card_without(self, field, nothing):
        with pytest.raises(InputError, match=field):
            replace(CARD, **{field: nothing})

    @pytest.mark.parametrize(
        "wrong",
        [{"minutes": "two"}, {"minutes": -1}, {"minutes": math.nan}, {"scores": ["good"]}, {"trained_on": "me"}],
    )
    def test_card_of_the_wrong_kind(self, wrong):
        with pytest.raises(InputError, match=f"card's {next(iter(wrong))}"):
            replace(CARD, **wrong)

    def test_existing(self, folder):
        before = {path.name: path.read_bytes() for path in folder.iterdir()}
        with pytest.raises(InputError, match="exists already") as raised:
            save(folder, a_model(seed=1))
        assert raised.value.path == folder
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before

    def test_a_folder_of_something_else_even_with_force(self, tmp_path):
        (tmp_path / "thesis").mkdir()
        (tmp_path / "thesis" / "chapter1.txt").write_text("precious")
        with pytest.raises(InputError, match="holds other files"):
            save(tmp_path / "thesis", a_model(), force=True)
        assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "precious"

    def test_a_parent_that_is_a_file(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="is a file"):
            save(tmp_path / "file" / "model", a_model())

    def test_weights_that_are_not_finite(self, tmp_path):
        model = a_model()
        with torch.no_grad():
            model.net.head.bias[0] = math.nan
        with pytest.raises(InputError, match="not finite"):
            save(tmp_path / "model", model)
        assert not list(tmp_path.iterdir())

    @pytest.mark.parametrize("existing", [False, True])
    def test_a_failure_in_the_middle_leaves_what_was(self, tmp_path, full_disk, existing):
        if existing:
            save(tmp_path / "street", a_model())
        before = {path.name: path.read_bytes() for path in tmp_path.glob("*/*")}
        with full_disk(5000), pytest.raises(InputError, match="larger than is allowed"):
            save(tmp_path / "street", a_model(seed=1), force=True)
        assert {path.name: path.read_bytes() for path in tmp_path.glob("*/*")} == before
        assert len(list(tmp_path.iterdir())) == existing


class TestDamage:
    """Each of these names the file."""

    def refused(self, folder, *, path, match, line=None):
        with pytest.raises(InputError, match=match) as raised:
            load_tracker(folder)
        assert raised.value.path == path
        assert raised.value.line == line
        assert str(path) in str(raised.value)

    @pytest.mark.parametrize("name", [CONFIG, TENSORS])
    def test_missing_file(self, folder, name):
        (folder / name).unlink()
        self.refused(folder, path=folder, match=f"has no {name}")

    def test_missing_page_is_no_harm(self, folder):
        (folder / README).unlink()
        assert load(folder).card.name == "street"

    @pytest.mark.parametrize("keep", [0, 4, 100, -8])
    def test_truncated_tensors(self, folder, keep):
        (folder / TENSORS).write_bytes((folder / TENSORS).read_bytes()[:keep])
        self.refused(folder, path=folder / TENSORS, match="is damaged")

    def test_tensors_that_are_a_folder(self, folder):
        (folder / TENSORS).unlink()
        (folder / TENSORS).mkdir()
        self.refused(folder, path=folder / TENSORS, match="is damaged")

    def test_broken_json_names_the_line(self, folder):
        lines = (folder / CONFIG).read_text().splitlines()
        lines[4] = lines[4].replace(":", "=")
        (folder / CONFIG).write_text("\n".join(lines))
        self.refused(folder, path=folder / CONFIG, match="damaged", line=5)

    @pytest.mark.parametrize("content", ["[]", '"tcn"', "3", "null"])
    def test_json_that_is_no_table(self, folder, content):
        (folder / CONFIG).write_text(content)
        self.refused(folder, path=folder / CONFIG, match="not hold a table")

    def test_json_that_is_no_text(self, folder):
        (folder / CONFIG).write_bytes(b"\xff\xfe\x00")
        self.refused(folder, path=folder / CONFIG, match="cannot be read")

    @pytest.mark.parametrize("key", ["format", "network", "settings", "card"])
    def test_missing_key(self, folder, key):
        edit(folder, **{key: None})
        self.refused(folder, path=folder / CONFIG, match=f"lacks {key}")

    @pytest.mark.parametrize("key", ["settings", "card", "decoder", "training"])
    def test_entry_that_is_no_table(self, folder, key):
        edit(folder, **{key: [1]})
        self.refused(folder, path=folder / CONFIG, match=f"{key} is not a table")

    @pytest.mark.parametrize("version", [2, "1", 0])
    def test_another_format(self, folder, version):
        edit(folder, format=version)
        self.refused(folder, path=folder / CONFIG, match=f"has format {version}")

    @pytest.mark.parametrize("name", ["transformer", "os.system", 7])
    def test_unknown_network(self, folder, name):
        edit(folder, network=name)
        self.refused(folder, path=folder / CONFIG, match="unknown network")

    @pytest.mark.parametrize(
        "settings", [{"chanels": 6}, {"channels": "six"}, {"channels": 0}, {"levels": 40}, {"channels": 2.5}]
    )
    def test_settings_of_the_network(self, folder, settings):
        edit(folder, settings=settings)
        self.refused(folder, path=folder / CONFIG, match="is damaged")

    @pytest.mark.parametrize("settings", [{"tempo": 120}, {"min_tempo_bpm": "slow"}, {"metres": 4}])
    def test_settings_of_the_decoder(self, folder, settings):
        edit(folder, decoder=settings)
        self.refused(folder, path=folder / CONFIG, match="is damaged")

    def test_wrong_shapes(self, folder):
        edit(folder, settings={"channels": 5, "levels": 5})
        self.refused(folder, path=folder / TENSORS, match="must have the shape")

    def test_missing_tensor(self, folder):
        rewrite(folder, lambda tensors: {name: tensor for name, tensor in tensors.items() if name != "head.bias"})
        self.refused(folder, path=folder / TENSORS, match=r"head\.bias")

    @pytest.mark.parametrize("value", [math.nan, math.inf])
    def test_tensors_that_are_not_finite(self, folder, value):
        rewrite(folder, lambda tensors: tensors | {"head.bias": torch.tensor([0.0, 0.0, 0.0, value])})
        self.refused(folder, path=folder / TENSORS, match="not finite")

    @pytest.mark.parametrize("field", ["name", "origin", "licence", "data", "minutes", "scores"])
    def test_card_that_lacks(self, folder, field):
        edit_card(folder, **{field: ...})
        self.refused(folder, path=folder / CONFIG, match=field)

    def test_card_with_more(self, folder):
        edit_card(folder, colour="red")
        self.refused(folder, path=folder / CONFIG, match="colour")
