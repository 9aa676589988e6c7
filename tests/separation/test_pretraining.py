"""The base separator's recipe: settings, songs that are there already, a model with a card."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levada.errors import InputError
from levada.io import audio
from levada.models.pretraining import pretrain
from levada.separation import pretraining as recipe
from levada.separation.networks import load
from levada.separation.pretraining import StemPretrainSettings, pretrain_separator, read_stem_settings
from levada.synth.instrument_names import stem_names
from levada.synth.traditions import read_tradition

SMALL = StemPretrainSettings(songs=1, song_s=1.5, steps=2, batch=2, excerpt_s=0.5)


@pytest.fixture
def two(monkeypatch):
    """Only two traditions exist."""
    monkeypatch.setattr(recipe, "list_traditions", lambda: {"candombe": None, "samba": None})


def test_the_recipe_that_ships():
    path = Path(__file__).parents[2] / "pretraining" / "stems.toml"
    settings = read_stem_settings(path)
    assert settings.songs > 10
    assert "TimGM6mb.sf2" not in settings.soundfonts  # kept for the exam


@pytest.mark.slow
@pytest.mark.usefixtures("two")
def test_a_model_that_knows_all_instruments(tmp_path):
    (tmp_path / "recipe.toml").write_text(
        'task = "stems"\nsongs = 1\nsong_s = 1.5\nsteps = 2\nbatch = 2\nexcerpt_s = 0.5\n'
    )
    pretrain(tmp_path / "recipe.toml", out=tmp_path / "base")
    made = load(tmp_path / "base")
    voices = {voice for name in ("candombe", "samba") for voice in stem_names(read_tradition(name)).values()}
    assert set(made.net.instruments) == voices
    assert "candombe, samba" in made.card.data
    assert not (tmp_path / "base.part").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("two")
def test_songs_are_rendered_once(tmp_path, monkeypatch):
    songs = recipe._songs(SMALL, tmp_path / "songs", 1)
    assert len(songs) == 2
    assert all(np.isfinite(stem).all() and stem.dtype == np.float16 for song in songs for stem in song.stems.values())

    def again(*_):
        raise AssertionError("rendered again")

    monkeypatch.setattr(recipe, "_render", again)
    assert len(recipe._songs(SMALL, tmp_path / "songs", 1)) == 2


@pytest.mark.slow
@pytest.mark.usefixtures("two")
def test_a_second_stage_starts_from_the_first_and_keeps_a_part_of_it(tmp_path):
    settings = 'task = "stems"\nsongs = 1\nsong_s = 1.5\nsteps = 2\nbatch = 2\nexcerpt_s = 0.5\n'
    (tmp_path / "first.toml").write_text(settings)
    first = pretrain(tmp_path / "first.toml", out=tmp_path / "first")
    more = "alpha = 0\nvalidate_every = 1\n[augmentation]\nresonance_db = 6\n"
    (tmp_path / "second.toml").write_text(f'{settings}start = "first"\n{more}')
    second = pretrain(tmp_path / "second.toml", out=tmp_path / "second")
    assert second.tensors.keys() == first.tensors.keys()
    assert all(np.array_equal(tensor, first.tensors[name]) for name, tensor in second.tensors.items())
    assert "Trained from first, with 100% of the weights of first" in second.card.origin
    assert second.training["augmentation"]["resonance_db"] == 6
    (tmp_path / "wrong.toml").write_text(f"{settings}augmentation = 3\n")
    with pytest.raises(InputError, match="augmentation must be a table"):
        pretrain(tmp_path / "wrong.toml", out=tmp_path / "x")
    (tmp_path / "none.toml").write_text(f'{settings}start = "nowhere"\n')
    with pytest.raises(InputError, match="no model 'nowhere'"):
        pretrain(tmp_path / "none.toml", out=tmp_path / "x")


@pytest.fixture
def strokes(tmp_path):
    """A folder with one recorded drum: a tone of 3 kHz in place of a chico."""
    at = np.arange(4410) / 44100
    audio.write(tmp_path / "mine" / "chico-open.wav", np.float32(np.sin(2 * np.pi * 3000 * at))[None], rate=44100)
    return tmp_path / "mine"


@pytest.mark.usefixtures("two")
def test_songs_of_recorded_strokes(tmp_path, strokes):
    settings = replace(SMALL, song_s=4, one_shots=str(strokes), one_shots_share=1.0)
    recipe._render(settings, tmp_path, "candombe", 0)
    with np.load(tmp_path / "candombe-000.npz") as song:
        peaks = {
            name: np.fft.rfftfreq(song[name].size, 1 / 44100)[
                np.abs(np.fft.rfft(song[name].astype(np.float32))).argmax()
            ]
            for name in ("chico", "repique", "piano-drum")
        }
    assert 2800 < peaks["chico"] < 3200  # recorded, up to a semitone
    assert max(peaks["repique"], peaks["piano-drum"]) < 1500  # synthesised


@pytest.mark.slow
@pytest.mark.usefixtures("two")
def test_a_model_of_recorded_strokes_says_so_and_follows_their_bytes(tmp_path, strokes):
    path = tmp_path / "mine.toml"
    path.write_text(
        'task = "stems"\nsongs = 1\nsong_s = 1.5\nsteps = 2\nbatch = 2\nexcerpt_s = 0.5\n'
        'one_shots = "mine"\none_shots_share = 1.0\n'
    )
    made = pretrain(path, out=tmp_path / "model")
    assert "100% with the recorded strokes of mine" in made.card.data
    assert made.training["one_shots"] == "mine"  # no path of this machine
    (tmp_path / "none.toml").write_text(path.read_text().replace('"mine"', '"nowhere"'))
    with pytest.raises(InputError, match="nowhere: there is no such folder of recorded strokes"):
        pretrain(tmp_path / "none.toml", out=tmp_path / "other")
    (strokes / "chico-open.wav").write_text("not a recording")
    with pytest.raises(InputError, match=r"chico-open\.wav"):
        pretrain(path, out=tmp_path / "other")


def test_an_output_that_exists(tmp_path):
    with pytest.raises(InputError, match="exists already"):
        pretrain_separator(SMALL, out=tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("song = 3", "settings that do not exist: song"),
        ("songs = 0", "songs must not be 0"),
        ('steps = "many"', "steps must be a whole number"),
        ('soundfonts = "a.sf2"', "soundfonts must be a list"),
        ("soundfont_share = 2", "soundfont_share is a fraction, at most 1"),
        ("songs = ", "line 2"),
        ("one_shots_share = 0.2", "one_shots and one_shots_share need each other"),
        ('one_shots = "mine"', "one_shots and one_shots_share need each other"),
        ("one_shots = 3", "one_shots must be a text"),
        (
            'soundfonts = ["a.sf2"]\nsoundfont_share = 0.6\none_shots_share = 0.5\none_shots = "mine"',
            "soundfont_share and one_shots_share are at most 1 together",
        ),
    ],
)
def test_settings_that_make_no_sense(tmp_path, text, said):
    path = tmp_path / "recipe.toml"
    path.write_text(f'task = "stems"\n{text}\n')
    with pytest.raises(InputError) as refused:
        pretrain(path, out=tmp_path / "x")
    assert said in str(refused.value)
    assert str(path) in str(refused.value)


def test_settings_are_checked_when_they_are_made():
    with pytest.raises(InputError, match="batch"):
        replace(SMALL, batch=0)
