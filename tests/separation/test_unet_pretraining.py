"""Pre-training of a U-Net of one instrument: settings, and a model that is saved with its card."""

from pathlib import Path

import pytest

from levada.errors import InputError
from levada.models.pretraining import pretrain
from levada.separation.pretrained import base_weights
from levada.separation.unet_pretraining import UNetPretrainSettings, read_unet_settings

RECIPE = Path(__file__).parents[2] / "pretraining" / "unet-bass.toml"
TINY = """
task = "stems"
network = "unet"
target = "{target}"
songs = 2
song_s = 4
channels = [4, 8]
bins = 32
steps = 2
batch = 1
"""


def test_the_recipe_is_read():
    settings = read_unet_settings(RECIPE)
    assert (settings.target, settings.channels) == ("bass", UNetPretrainSettings().channels)


def test_settings_that_do_not_exist(tmp_path):
    (tmp_path / "unet.toml").write_text(TINY.format(target="bass") + "layers = 3\n")
    with pytest.raises(InputError, match="names settings that do not exist: layers"):
        pretrain(tmp_path / "unet.toml", out=tmp_path / "model")


@pytest.mark.slow
def test_a_network_of_a_bass_and_its_rest_is_saved(tmp_path):
    (tmp_path / "unet.toml").write_text(TINY.format(target="bass"))
    trained = pretrain(tmp_path / "unet.toml", out=tmp_path / "model")
    assert base_weights(tmp_path / "model").net.instruments == trained.net.instruments == ("bass", "rest")
    assert trained.card.minutes == pytest.approx(2 * 4 / 60, abs=0.05)
    (tmp_path / "unet.toml").write_text(TINY.format(target="theremin"))
    with pytest.raises(InputError, match="no piece has a theremin"):
        pretrain(tmp_path / "unet.toml", out=tmp_path / "other")
