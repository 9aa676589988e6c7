"""`levada separate` as people call it."""

import json
import signal

import numpy as np
import pytest
import soundfile
import torch

from levada.io import audio
from levada.learning.card import Card
from levada.learning.weights import Weights, save
from levada.separation.networks.mask_net import tiny

RATE = 22050


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("separators") / "mine"
    card = Card("mine", "Drawn from a seed.", "CC0-1.0", "none", 0.0, {"any": "none"})
    save(folder, Weights(tiny(("surdo", "caixa", "shaker")), card))
    return folder


@pytest.fixture
def song(tmp_path):
    sound = np.random.default_rng(0).normal(0, 0.1, (2, 2 * RATE)).astype(np.float32)
    soundfile.write(tmp_path / "roda.wav", sound.T, RATE, subtype="PCM_16")
    return tmp_path / "roda.wav"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


class TestSeparate:
    def test_writes_a_file_an_instrument(self, levada, song, model, tmp_path):
        out = tmp_path / "stems"
        code, printed, said = levada("separate", song, "--model", model, "-o", out)
        assert code == 0
        assert printed.splitlines() == [str(out / f"{name}.wav") for name in ("surdo", "caixa", "shaker")]
        assert said.splitlines()[-1] == f"{out}: 3 files of 2 s, by mine"
        total = sum(audio.read(out / name)[0] for name in names(out))
        np.testing.assert_allclose(total, audio.read(song)[0], atol=3e-7)

    def test_in_json(self, levada, song, model, tmp_path):
        code, printed, _ = levada("separate", song, "-m", model, "-o", tmp_path / "stems", "--only", "surdo", "--json")
        assert code == 0
        assert json.loads(printed) == {
            "recording": str(song),
            "model": "mine",
            "files": {"surdo": str(tmp_path / "stems" / "surdo.wav")},
            "rate": RATE,
            "channels": 2,
            "duration_s": 2.0,
        }

    def test_a_practice_mix(self, levada, song, model, tmp_path):
        chosen = ("--without", "surdo", "--without", "caixa", "--suffix", ".flac")
        assert levada("separate", song, "-m", model, "-o", tmp_path / "stems", *chosen)[0] == 0
        assert names(tmp_path / "stems") == ["without-surdo-caixa.flac"]

    def test_restricted_to_what_plays(self, levada, song, model, tmp_path):
        chosen = ("--instruments", "surdo, ganza")
        assert levada("separate", song, "-m", model, "-o", tmp_path / "stems", *chosen)[0] == 0
        assert names(tmp_path / "stems") == ["ganza.wav", "surdo.wav"]

    def test_what_exists_is_replaced_with_force_alone(self, levada, song, model, tmp_path):
        call = ("separate", song, "-m", model, "-o", tmp_path / "stems")
        assert levada(*call)[0] == 0
        code, printed, said = levada(*call)
        assert (code, printed) == (2, "")
        assert f"levada: {tmp_path / 'stems' / 'surdo.wav'}: exists already" in said
        assert levada(*call, "--force")[0] == 0

    def test_a_folder(self, levada, song, model, tmp_path):
        songs = tmp_path / "songs"
        songs.mkdir()
        song.rename(songs / "roda.wav")
        (songs / "words.wav").write_bytes(b"words")
        call = ("separate", songs, "-m", model, "-o", tmp_path / "stems")
        code, printed, said = levada(*call, "--json")
        assert code == 3
        assert f"{songs / 'words.wav'}: " in said
        assert "stems of 1 recording written, 1 could not be separated" in said
        assert json.loads(printed)["written"] == [str(tmp_path / "stems" / "roda")]
        (songs / "words.wav").unlink()
        code, _, said = levada(*call)
        assert code == 0
        assert "stems of 0 recordings written, 1 existed already" in said

    def test_a_plot(self, levada, song, model, tmp_path):
        call = ("separate", song, "-m", model, "-o", tmp_path / "stems", "--plot", tmp_path / "x.png")
        assert levada(*call)[0] == 0
        assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
        assert len(names(tmp_path / "stems")) == 3

    def test_is_listed_beside_the_trackers(self, levada, model, empty_weights):
        (empty_weights / "stems").symlink_to(model)
        code, printed, _ = levada("models")
        assert code == 0
        assert printed.startswith("stems-base (stems)\n")


class TestRefused:
    @pytest.fixture
    def refused(self, levada, song, model):
        def run(*arguments, recording=song, of=model):
            code, out, err = levada("separate", recording, "-m", of, *arguments)
            assert code == 2, (code, out, err)
            assert out == ""
            assert "Traceback" not in err
            assert "error inside levada" not in err
            return err

        return run

    def test_without_instruments_lists_the_choices(self, levada, song, tmp_path):
        code, out, err = levada("separate", song, "-o", tmp_path / "stems")
        assert (code, out) == (2, "")
        lines = [line.split() for line in err.splitlines()]
        assert ["candombe", "madera,", "chico,", "repique,", "piano"] in lines
        assert any("--instruments" in line for line in lines)
        assert not (tmp_path / "stems").exists()

    def test_without_a_place(self, refused):
        assert "give with -o a folder for the files" in refused()

    def test_below_a_file(self, refused, song):
        assert "is a file, not a folder" in refused("-o", song / "out")

    def test_what_is_not_known(self, refused, tmp_path):
        for option in ("--only", "--without"):
            said = refused("-o", tmp_path / "out", option, "cuica")
            assert "does not know cuica: it can separate surdo, caixa, shaker" in said
        assert "does not know cuica" in refused("-o", tmp_path / "out", "--instruments", "surdo,cuica")
        assert names(tmp_path) == ["roda.wav"]

    def test_a_tracker(self, refused, tiny_model, tmp_path):
        assert "is a tracker: it finds beats" in refused("-o", tmp_path / "out", of=tiny_model)
        assert "flux is a tracker" in refused("-o", tmp_path / "out", of="flux")

    def test_a_separator_for_beats(self, levada, song, model):
        code, _, said = levada("track", song, "-m", model)
        assert code == 2
        assert f"levada: {model}: is a separator: it separates recordings (levada separate)" in said

    def test_the_recording_in_place_of_a_stem(self, refused, song, tmp_path):
        song.rename(tmp_path / "surdo.wav")
        before = (tmp_path / "surdo.wav").read_bytes()
        said = refused("-o", tmp_path, "--force", recording=tmp_path / "surdo.wav")
        assert "is the input and would be overwritten" in said
        assert (tmp_path / "surdo.wav").read_bytes() == before
        assert names(tmp_path) == ["surdo.wav"]

    def test_the_folder_of_the_recordings_itself(self, refused, tmp_path):
        assert "holds the recordings: give another folder" in refused("-o", tmp_path, "--force", recording=tmp_path)

    def test_no_recording(self, refused, tmp_path):
        assert "there is no such file" in refused("-o", tmp_path / "out", recording=tmp_path / "none.wav")

    def test_a_plot_that_cannot_be(self, refused, song, tmp_path):
        out = ("-o", tmp_path / "out")
        assert "is a file, not a folder" in refused(*out, "--plot", song / "x.png")
        assert "figures are drawn as .png" in refused(*out, "--plot", song, "--force")
        (tmp_path / "x.png").write_text("mine")
        assert "exists already" in refused(*out, "--plot", tmp_path / "x.png")
        assert "--plot is for one recording" in refused(*out, "--plot", tmp_path / "y.png", recording=tmp_path)
        assert not (tmp_path / "out").exists()


@pytest.mark.slow
class TestInterrupted:
    @pytest.fixture
    def songs(self, tmp_path):
        folder = tmp_path / "songs"
        folder.mkdir()
        for seed, name in enumerate("ab"):
            sound = np.random.default_rng(seed).normal(0, 0.1, (1, 20 * 8000))
            soundfile.write(folder / f"{name}.wav", sound.T, 8000)
        return folder

    def test_killed_in_the_middle_nothing_is_half(self, interrupted, levada, songs, model, tmp_path):
        call = ("separate", songs, "-m", model, "-o", tmp_path / "out")
        done = interrupted("SIGKILL", 25, *call)
        assert done.returncode == -signal.SIGKILL
        assert names(tmp_path / "out" / "a") == ["caixa.wav", "shaker.wav", "surdo.wav"]
        assert not (tmp_path / "out" / "b").exists()
        code, _, said = levada(*call)
        assert code == 0
        assert "stems of 1 recording written, 1 existed already" in said
        assert audio.info(tmp_path / "out" / "b" / "caixa.wav").duration_s == 20

    def test_stopped_in_a_folder_writes_the_table_of_what_is_done(self, interrupted, songs, model, tmp_path):
        table = tmp_path / "table.jsonl"
        call = ("separate", songs, "-m", model, "-o", tmp_path / "out", "--table", table, "--json")
        done = interrupted("SIGTERM", 25, *call)
        assert done.returncode == 143, done.stderr
        assert json.loads(done.stdout)["written"] == [str(tmp_path / "out" / "a")]
        rows = [json.loads(line) for line in table.read_text().splitlines()]
        assert [(row["path"], row["status"]) for row in rows] == [("a.wav", "written")]

    def test_stopped_with_ctrl_c(self, interrupted, songs, model, tmp_path):
        done = interrupted("SIGINT", 5, "separate", songs / "a.wav", "-m", model, "-o", tmp_path / "out")
        assert done.returncode == 130, done.stderr
        assert names(tmp_path) == ["songs"]

    def test_a_full_disk(self, interrupted, songs, model, tmp_path):
        done = interrupted("full", 200_000, "separate", songs / "a.wav", "-m", model, "-o", tmp_path / "out")
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "error inside levada" not in done.stderr
        assert "full" in done.stderr or "larger than is allowed" in done.stderr
        assert names(tmp_path) == ["songs"]
