"""The demo of stems with two short songs and a tiny network: everything that it lists is written."""

import csv
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from levada.cli.demo import stems as demo
from levada.cli.demo.output import CONTENTS
from levada.data import load_corpus
from levada.errors import InputError
from levada.io import audio
from levada.separation.pretrained import load_separator

pytestmark = [pytest.mark.usefixtures("few_steps"), pytest.mark.slow]

KEY = pytest.StashKey()


@pytest.fixture(scope="module")
def separator(tmp_path_factory):
    """The folder of an untrained separator."""
    import torch

    from levada.learning.card import Card
    from levada.learning.weights import Weights, save
    from levada.separation.networks.mask_net import tiny

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "stems"
    card = Card("stems", "Drawn from a seed.", "CC0-1.0", "none", 0.0, {"any": "none"})
    save(folder, Weights(tiny(("surdo", "caixa", "tamborim", "claves")), card))
    return folder


@pytest.fixture(autouse=True)
def small(separator, empty_weights):
    (empty_weights / "stems").symlink_to(separator)


@pytest.fixture(scope="module")
def left(tmp_path_factory):
    """Where the demo of this module is left."""
    return tmp_path_factory.mktemp("demo") / "it"


@pytest.fixture
def result(left, request, capsys):
    """The result of the demo and its messages; it runs once."""
    known = request.session.stash.setdefault(KEY, {})
    if not known:
        found = demo.demo_stems(left, minutes=0.08, songs=(2, 3.0), test_songs=(2, 2.5))
        known["it"] = found, [line for line in capsys.readouterr().err.splitlines() if not re.match(r"\d{4}-", line)]
    return known["it"]


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Three songs of a drum and a bell of one's own, all with other takes."""
    folder, rng = tmp_path_factory.mktemp("songs") / "mine", np.random.default_rng(0)
    time = np.arange(3 * 22050) / 22050
    for song in ("a", "b", "c"):
        for name, hz in (("repinique", 300), ("agogo", 1500)):
            (folder / song).mkdir(parents=True, exist_ok=True)
            hits = np.exp(-((time * rng.uniform(2, 4)) % 1) * 8) * np.sin(2 * np.pi * hz * rng.uniform(0.9, 1.1) * time)
            audio.write(folder / song / f"{name}.wav", 0.3 * hits.astype(np.float32)[None], rate=22050)
    return folder


def rows(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


class TestResult:
    def test_scores_what_it_promises(self, result):
        found, _ = result
        assert found.evaluation.models == ("base", "nmf", "adapted", "mixture", "oracle")
        assert 0.05 < found.minutes <= 0.081
        assert 0 < found.adapt_s < found.total_s
        assert not any(row.trained_on or row.error for row in found.evaluation.rows)
        gained = {model: scores["si_sdr_i"].mean for model, scores in found.evaluation.summary().items()}
        assert gained["mixture"] == pytest.approx(0, abs=1e-6)
        assert gained["oracle"] > max(gained["base"], gained["nmf"], gained["adapted"])

    def test_reports_its_steps(self, result):
        _, messages = result
        assert messages[0] == "rendering 2 songs of bateria to train on and 2 to test on, with their stems"
        assert messages[1].startswith("adapting to 0.08 minutes of 2 songs: ")
        assert messages[2].startswith("auto chose ")
        assert messages[3] == "scoring on 2 songs of other groups"


@pytest.mark.usefixtures("result")
class TestFiles:
    def test_are_those_it_names(self, left):
        there = {path.name for path in left.iterdir()}
        assert there == {name.rstrip("/") for name in demo.FILES if name} | {CONTENTS}
        said = (left / CONTENTS).read_text()
        assert all(name in said for name in demo.FILES)

    def test_songs_to_train_and_to_test_on_have_nothing_in_common(self, left):
        songs, others = load_corpus(left / "songs", labels="stems"), load_corpus(left / "test", labels="stems")
        assert (len(songs.tracks), len(others.tracks)) == (2, 2)
        taken = {one for song in songs.tracks for one in song.stem_hashes}
        assert not taken & {one for song in others.tracks for one in song.stem_hashes}

    def test_stems_of_everybody_sum_to_the_mixture(self, left):
        song = min((left / "listen").iterdir())
        mixture, rate = audio.read(song / "mixture.wav")
        assert mixture.shape[-1] == pytest.approx(2.5 * rate, abs=rate / 2)
        for word in ("true", *demo.WORDS.values()):
            stems = [audio.read(path)[0] for path in (song / word).iterdir()]
            assert len(stems) >= 3
            np.testing.assert_allclose(sum(stems), mixture, atol=1e-3)

    def test_the_practice_mix_is_the_mixture_without_the_surdo(self, left):
        song = min((left / "listen").iterdir())
        mixture, _ = audio.read(song / "mixture.wav")
        surdo, _ = audio.read(song / "after" / "surdo.wav")
        practice, _ = audio.read(song / "without-surdo.wav")
        np.testing.assert_allclose(practice, mixture - surdo, atol=1e-4)

    def test_separators_can_be_used_again(self, left):
        adapted, learnt = load_separator(left / "adapted"), load_separator(left / "nmf")
        assert adapted.instruments == learnt.instruments
        assert "surdo" in adapted.instruments
        scores = adapted.card.scores
        assert set(scores) >= {"si_sdr_i", "sdr_i", "leak_db", "knows", "scored on"}

    def test_tables_say_what_was_scored(self, left, result):
        table = {(row["model"], row["instrument"]): row for row in rows(left / "table.csv")}
        summary = result[0].evaluation.summary()
        assert float(table["adapted", "all"]["si_sdr_i"]) == pytest.approx(summary["adapted"]["si_sdr_i"].mean)
        assert {model for model, _ in table} == {"base", "nmf", "adapted", "mixture", "oracle"}
        assert {row["song"] for row in rows(left / "scores.csv")} == {"bateria-001", "bateria-002"}

    @pytest.mark.parametrize("name", ["stems.png", "leakage.png"])
    def test_pictures_are_some(self, left, name):
        assert (left / name).read_bytes().startswith(b"\x89PNG")
        assert (left / name).stat().st_size > 10_000


class TestFolder:
    def test_of_something_else_is_left_alone(self, tmp_path):
        (tmp_path / "thesis.tex").write_text("years of work")
        with pytest.raises(InputError, match="is not empty and no earlier demo"):
            demo.demo_stems(tmp_path, force=True)
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]

    def test_of_an_earlier_demo_is_kept_without_force(self, tmp_path):
        (tmp_path / CONTENTS).write_text("earlier")
        with pytest.raises(InputError, match="contains an earlier demo; --force replaces it"):
            demo.demo_stems(tmp_path)
        assert (tmp_path / CONTENTS).read_text() == "earlier"

    def test_is_not_touched_where_no_separator_ships(self, tmp_path, empty_weights):
        (empty_weights / "stems").unlink()
        with pytest.raises(InputError, match="no separator comes with this copy"):
            demo.demo_stems(tmp_path / "it")
        assert not (tmp_path / "it").exists()


class TestCorpus:
    def test_of_ones_own_is_used_and_not_rendered(self, tmp_path, songs):
        found = demo.demo_stems(tmp_path / "it", corpus=songs, minutes=0.04)
        assert {row.song for row in found.evaluation.rows} < {"a", "b", "c"}
        assert not (tmp_path / "it" / "songs").exists()
        for song in (tmp_path / "it" / "listen").iterdir():
            assert {path.stem for path in (song / "after").iterdir()} == {"repinique", "agogo"}
            assert (song / "without-agogo.wav").exists() or (song / "without-repinique.wav").exists()

    def test_its_notes_are_printed_once(self, tmp_path, songs, capsys):
        folder = Path(shutil.copytree(songs, tmp_path / "songs"))
        shutil.copy(folder / "a" / "agogo.wav", folder / "a" / "click.wav")
        (folder / "corpus.toml").write_text('exclude = ["*click*"]\n')
        demo.demo_stems(tmp_path / "it", corpus=folder, minutes=0.04)
        said = capsys.readouterr().err.splitlines()
        assert [sentence for sentence in said if sentence.startswith("note: ")] == [
            f"note: {note}" for note in load_corpus(folder, labels="stems").notes
        ]
        assert "exclude leaves out 1 of 7" in said[0]

    def test_of_solos_is_refused(self, tmp_path, songs):
        for song in "ab":
            shutil.copy(songs / song / "agogo.wav", tmp_path / f"agogo-{song}.wav")
        with pytest.raises(InputError, match="levada remix makes mixtures"):
            demo.demo_stems(tmp_path / "it", corpus=tmp_path, minutes=0.04)
        assert not (tmp_path / "it").exists()

    def test_too_small_is_refused(self, tmp_path, songs):
        with pytest.raises(InputError, match="too few songs with stems to train on 9 minutes and score on others"):
            demo.demo_stems(tmp_path / "it", corpus=songs, minutes=9)
        assert not (tmp_path / "it").exists()


def test_the_base_calls_drums_as_the_songs_do():
    from levada.learning.card import Card
    from levada.learning.weights import Weights
    from levada.separation.networks.mask_net import tiny

    base = Weights(tiny(("surdo", "shaker", "claves")), Card("stems", "-", "CC0-1.0", "none", 0.0, {"any": "none"}))
    assert set(demo._base_separator(base, ["chocalho", "surdo", "theremin"]).instruments) == {"chocalho", "surdo"}
    assert set(demo._base_separator(base, ["theremin"]).instruments) == {"surdo", "shaker", "claves"}


def test_the_command_prints_the_tables_and_the_folder_of_audio(levada, tmp_path, songs):
    code, out, err = levada("demo", "--stems", "--real", str(songs), "--minutes", "0.1", "--out", str(tmp_path / "it"))
    assert code == 0, err
    assert all(word in out for word in ("base", "nmf", "adapted", "mixture", "oracle", "SI-SDR", "agogo"))
    assert f"audio      {tmp_path / 'it' / 'listen'}" in out
