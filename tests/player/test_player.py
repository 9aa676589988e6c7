"""Players as files: what they contain, how large they are, and inputs that cannot be played."""

import base64
import json
import re
import zlib

import numpy as np
import pytest

import levada
from levada.errors import InputError
from levada.io import audio
from levada.io.audio import AudioExcerpt
from levada.player import script

RATE = 22_050
BEATS = levada.Beats([0.5, 1.0, 1.5, 2.0], [1, 2, 1, 2])


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(0).normal(0, 0.1, (2, 3 * RATE)).astype(np.float32)


def facts(element):
    return json.loads(re.search(r"<script type=.application/json.>(.*?)</script>", element).group(1))


def test_a_page_of_one_file_has_sound_and_beats_in_it(tmp_path, noise):
    player = levada.Player(noise, RATE, beats=BEATS, title="One </script> & <two>")
    player.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=.https?:", text)
    data = facts(text)
    assert data["title"] == "One </script> & <two>"
    assert data["duration_s"] == pytest.approx(3)
    assert data["layers"] == [
        {"name": "beats", "is_reference": False, "beats": [[0.5, 1], [1.0, 2], [1.5, 1], [2.0, 2]]}
    ]
    (tmp_path / "sound.opus").write_bytes(base64.b64decode(data["audio"].split(",")[1]))
    assert audio.info(tmp_path / "sound.opus").duration_s == pytest.approx(3, abs=0.001)
    with pytest.raises(InputError, match="exists"):
        player.save(tmp_path / "page.html")


def test_files_of_a_site_are_small_and_named_by_relative_addresses(tmp_path):
    minute = np.random.default_rng(0).normal(0, 0.1, 60 * RATE)
    player = levada.Player(minute, RATE, beats={"before": BEATS, "after": BEATS.times_s}, reference=BEATS)
    element = player.write(tmp_path, "song", address="_static/sound/")
    assert 'src="_static/sound/song.json"' in element
    assert 'src="_static/sound/levada-player.js"' in element
    assert (tmp_path / "song.opus").stat().st_size < 200_000
    data = json.loads((tmp_path / "song.json").read_text(encoding="utf-8"))
    assert data["audio"] == "song.opus"
    assert [(one["name"], one["is_reference"]) for one in data["layers"]] == [
        ("reference", True), ("before", False), ("after", False),
    ]  # fmt: skip
    assert len(zlib.decompress(base64.b64decode(data["spectrogram"]["data"]))) == 81 * 3000
    with pytest.raises(InputError, match="20 kB"):
        player.write(tmp_path, "small", most_kb=20)
    with pytest.raises(InputError, match="exists"):
        player.write(tmp_path, "song")
    with pytest.raises(InputError, match="name of a file"):
        player.write(tmp_path, "../song")


def test_stems_are_files_of_their_own(tmp_path, noise):
    levada.Player(noise, RATE, stems={"drum": noise[0], "bell": noise}).write(tmp_path, "song")
    assert {path.name for path in tmp_path.glob("*.opus")} == {"song.opus", "song.drum.opus", "song.bell.opus"}
    data = json.loads((tmp_path / "song.json").read_text(encoding="utf-8"))
    assert data["stems"] == {"drum": "song.drum.opus", "bell": "song.bell.opus"}


def test_beats_of_an_excerpt_have_times_of_the_whole(tmp_path, noise):
    audio.write(tmp_path / "song.wav", noise, rate=RATE)
    excerpt = AudioExcerpt(tmp_path / "song.wav", 0.75, 1.75)
    data = facts(levada.Player(excerpt, beats=BEATS)._repr_html_())
    assert data["start_s"] == 0.75
    assert data["layers"][0]["beats"] == [[0.25, 2], [0.75, 1]]


def test_activations_and_confidences_are_kept(noise):
    beats = levada.Beats([0.5], [1], [0.9], [0.75])
    data = facts(levada.Player(noise, RATE, beats=beats, activations=[[0.5, 1], [2, -1]], fps=50)._repr_html_())
    assert list(zlib.decompress(base64.b64decode(data["activations"]["data"]))) == [127, 255, 255, 0]
    assert data["activations"]["fps"] == 50
    assert data["layers"][0]["beats"] == [[0.5, 1, 0.9, 0.75]]
    assert "spectrogram" not in facts(levada.Player(noise, RATE, spectrogram=False)._repr_html_())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"audio": np.zeros(0)}, "0.0 s"),
        ({"audio": np.zeros(1300 * 100), "rate": 100}, "1300.0 s"),
        ({"rate": None}, "rate"),
        ({"language": "fr"}, "en, es, pt"),
        ({"activations": np.zeros((3, 4))}, "activations"),
        ({"activations": [np.nan]}, "activations"),
        ({"beats": [2.0, 1.0]}, "beat 2"),
        ({"fps": 0}, "fps"),
    ],
)
def test_what_cannot_be_played_is_named(arguments, message):
    given = {"audio": np.zeros(RATE), "rate": RATE, **arguments}
    with pytest.raises(InputError, match=message):
        levada.Player(given.pop("audio"), given.pop("rate"), **given)


def test_a_page_is_named_html(tmp_path, noise):
    with pytest.raises(InputError, match="html"):
        levada.Player(noise, RATE).save(tmp_path / "page.txt")


def test_the_script_is_one_file_that_a_page_may_contain():
    text = script()
    assert "</script" not in text
    assert not re.search(r"^(import|export)\b", text, re.MULTILINE)
    assert len(text) < 60_000
