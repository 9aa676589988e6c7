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
from levada.synth.render import render_multitrack
from levada.synth.traditions import read_tradition

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

    def test_a_mix_with_levels_is_the_sum_of_stems_at_them(self, levada, song, model, tmp_path):
        assert levada("separate", song, "-m", model, "-o", tmp_path / "stems")[0] == 0
        call = ("separate", song, "-m", model, "-o", tmp_path / "mix", "--level", "surdo=-12", "--level", "ganza=+3")
        code, printed, _ = levada(*call, "--json")
        assert code == 0
        assert names(tmp_path / "mix") == ["mix-surdo-12dB-shaker+3dB.wav"]
        stems = {name: audio.read(tmp_path / "stems" / f"{name}.wav")[0] for name in ("surdo", "caixa", "shaker")}
        expected = 10 ** (-12 / 20) * stems["surdo"] + stems["caixa"] + 10 ** (3 / 20) * stems["shaker"]
        mix = audio.read(tmp_path / "mix" / "mix-surdo-12dB-shaker+3dB.wav")[0]
        np.testing.assert_allclose(mix, expected, atol=2e-4)  # 16 bits
        left = json.loads(printed)["left_db"]
        assert list(left) == ["mix-surdo-12dB-shaker+3dB"]
        assert -12 < left["mix-surdo-12dB-shaker+3dB"]["surdo"] < 0
        assert "by estimate it has surdo at" in levada(*call, "--force")[2]

    def test_harder_takes_more_away(self, levada, song, model, tmp_path):
        left, loud = [], []
        for number, more in enumerate(((), ("--harder",))):
            out = tmp_path / str(number)
            call = ("separate", song, "-m", model, "-o", out, "--without", "surdo", *more)
            left.append(json.loads(levada(*call, "--json")[1])["left_db"]["without-surdo"]["surdo"])
            samples = audio.read(out / "without-surdo.wav")[0]
            assert samples.shape == audio.read(song)[0].shape
            loud.append(np.square(samples).mean())
        assert left[1] < left[0] - 2
        assert loud[1] < loud[0]

    def test_all_in_the_channels_of_one_file(self, levada, song, model, tmp_path):
        assert levada("separate", song, "-m", model, "-o", tmp_path / "stems")[0] == 0
        code, printed, _ = levada("separate", song, "-m", model, "-o", tmp_path / "one", "--multichannel")
        assert (code, printed.strip()) == (0, str(tmp_path / "one" / "stems.wav"))
        together = audio.read(tmp_path / "one" / "stems.wav")[0]
        assert together.shape == (6, 2 * RATE)
        for number, name in enumerate(("surdo", "caixa", "shaker")):
            alone = audio.read(tmp_path / "stems" / f"{name}.wav")[0]
            np.testing.assert_array_equal(together[2 * number : 2 * number + 2], alone)

    def test_a_project_of_reaper(self, levada, song, model, tmp_path):
        call = ("separate", song, "-m", model, "-o", tmp_path / "stems", "--reaper", "--level", "caixa=-6")
        assert levada(*call)[0] == 0
        assert names(tmp_path / "stems") == ["caixa.wav", "mix-caixa-6dB.wav", "roda.rpp", "shaker.wav", "surdo.wav"]
        lines = [line.split() for line in (tmp_path / "stems" / "roda.rpp").read_text().splitlines()]
        assert [line[1] for line in lines if line[0] == "FILE"] == ['"surdo.wav"', '"caixa.wav"', '"shaker.wav"']
        faders = [float(line[1]) for line in lines if line[0] == "VOLPAN"]
        assert faders == pytest.approx([1, 10 ** (-6 / 20), 1])
        assert {float(line[1]) for line in lines if line[0] == "LENGTH"} == {2.0}
        opened = sum(line[0].startswith("<") for line in lines)
        assert opened == sum(line == [">"] for line in lines) == 1 + 3 * 3

    def test_a_place_of_its_own_where_none_is_named(self, levada, song, model, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert levada("separate", song.name, "-m", model, "--only", "surdo")[0] == 0
        assert names(tmp_path / "roda-stems") == ["surdo.wav"]

    def test_what_plays_is_estimated_where_nobody_says_it(self, levada, tmp_path):
        played = render_multitrack(read_tradition("candombe"), duration_s=6, rng=np.random.default_rng(3))
        kept = {name: stem for name, stem in played.stems.items() if name in ("chico", "piano")}
        audio.write(tmp_path / "two.wav", sum(kept.values()), rate=played.rate)
        code, printed, _ = levada("separate", tmp_path / "two.wav", "-m", "candombe", "-o", tmp_path / "out", "--json")
        assert code == 0
        confidence = json.loads(printed)["activity"]
        assert min(confidence["chico"], confidence["piano"]) > 0.5 > confidence["madera"]
        stems = {path.stem: audio.read(path)[0] for path in (tmp_path / "out").iterdir()}
        assert {name for name, value in confidence.items() if value >= 0.5} == set(stems)
        np.testing.assert_allclose(sum(stems.values()), audio.read(tmp_path / "two.wav")[0], atol=1e-6)
        call = ("separate", tmp_path / "two.wav", "-m", "candombe", "-o", tmp_path / "given", "--instruments")
        assert levada(*call, "chico,madera")[0] == 0
        assert names(tmp_path / "given") == ["chico.wav", "madera.wav"]

    def test_nothing_plays(self, levada, tmp_path):
        soundfile.write(tmp_path / "silence.wav", np.zeros(RATE), RATE)
        code, printed, said = levada("separate", tmp_path / "silence.wav", "-m", "candombe", "-o", tmp_path / "out")
        assert code == 0
        assert len(printed.splitlines()) == 4
        assert "none of the instruments plays, so that all are written" in said
        assert not any(audio.read(path)[0].any() for path in (tmp_path / "out").iterdir())

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
    def refused(self, refused, song, model):
        def run(*arguments, recording=song, of=model):
            return refused("separate", recording, "-m", of, *arguments)

        return run

    @pytest.mark.parametrize(
        ("level", "message"),
        [
            ("surdo", "an instrument and decibels, such as surdo=-12, not 'surdo'"),
            ("surdo=loud", "such as surdo=-12, not 'surdo=loud'"),
            ("=-12", "such as surdo=-12"),
            ("cuica=-12", "does not know cuica: it can separate surdo, caixa, shaker"),
            ("surdo=300", "the level of surdo must be from -100 to 24 dB, not 300"),
            ("surdo=nan", "the level of surdo must be from -100 to 24 dB"),
        ],
    )
    def test_levels_that_cannot_be(self, refused, tmp_path, level, message):
        assert message in refused("-o", tmp_path / "out", "--level", level)
        assert names(tmp_path) == ["roda.wav"]

    def test_a_project_of_one_file(self, refused, tmp_path):
        assert "a project needs a file for each instrument" in refused(
            "-o", tmp_path / "out", "--reaper", "--multichannel"
        )

    def test_below_a_file(self, refused, song):
        assert "is a file, not a folder" in refused("-o", song / "out")

    def test_what_is_not_known(self, refused, tmp_path):
        for option in ("--only", "--without"):
            said = refused("-o", tmp_path / "out", option, "cuica")
            assert "does not know cuica: it can separate surdo, caixa, shaker" in said
        assert "does not know cuica" in refused("-o", tmp_path / "out", "--instruments", "surdo,cuica")
        said = refused("-o", tmp_path / "out", "--instruments", "surdo,caixa", "--level", "shaker=-12")
        assert "shaker would have no stem: --instruments names surdo, caixa alone" in said
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
