"""Commands as a shell runs them: results on stdout, sentences on stderr, exit codes that scripts can trust."""

import csv
import json
import logging
import os
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from levada import __version__, cli
from levada.beat_tracking.analysis import Analysis
from levada.beat_tracking.networks import load
from levada.beat_tracking.pretrained import EXTERNAL, load_tracker
from levada.cli.pages import COMMANDS
from levada.data import load_corpus
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import FORMATS, read_beats, write_beats
from levada.learning.card import read_card
from levada.learning.training_log import read_log
from levada.models.cards import cards
from levada.synth.traditions import format_tradition, list_traditions, read_tradition

DATE = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d "

OPTIONS = {
    "track": [
        *(
            "--out",
            "--model",
            "--clicks",
            "--hints",
            "--plot",
            "--page",
            "--bpm",
            "--metre",
            "--from",
            "--to",
            "--suffix",
        ),
        *("--processes", "--force", "--json"),
    ],
    "adapt": [
        "--out",
        "--minutes",
        "--beats",
        "--labels",
        "--log-to",
        "--plot",
        "--strategy",
        "--model",
        "--seed",
        "--force",
        "--json",
    ],
    "evaluate": [
        "--model",
        "--out",
        "--trim",
        "--all-scores",
        "--exclude-trained",
        "--processes",
        "--seed",
        "--force",
        "--json",
    ],
    "models": ["--json"],
    "traditions": ["--json"],
    "render": ["--out", "--minutes", "--recordings", "--sounds", "--strokes", "--seed", "--force", "--json"],
    "demo": ["--out", "--real", "--minutes", "--seed", "--force"],
    "pretrain": ["--out", "--workers", "--force"],
}


@pytest.fixture
def song(rendered):
    return rendered / "a.wav"


class TestHelp:
    def test_of_track_lists_all_formats_of_beats(self, levada):
        _, out, _ = levada("track", "--help")
        for name, kind in FORMATS.items():
            lines = [line.split() for line in out.splitlines() if set(kind.suffixes) & set(line.split())]
            assert not kind.suffixes or any({*kind.suffixes, *kind.about.split()} == {*line} for line in lines), name

    def test_names_every_command(self, levada):
        code, out, err = levada("--help")
        assert code == 0
        assert err == ""
        assert "from minutes of labels, on a laptop" in " ".join(out.split())
        for command in (*OPTIONS, "corpus"):
            assert f" {command} " in out

    @pytest.mark.parametrize("command", COMMANDS)
    def test_of_all_commands_says_of_each_what_its_own_says_first(self, levada, command):
        code, out, _ = levada(command, "--help")
        assert code == 0
        paragraphs = [" ".join(part.split()) for part in out.split("\n\n")]
        assert paragraphs[1] == COMMANDS[command]

    @pytest.mark.parametrize(("words", "imported"), [([], set()), (["traditions"], {"traditions"})])
    def test_imports_only_the_command_that_is_meant(self, words, imported):
        code = "import atexit, sys; atexit.register(lambda: print('LOADED', *sys.modules))\n"
        code += "from levada.cli import main; main()"
        out = subprocess.run([sys.executable, "-c", code, *words, "--help"], capture_output=True, text=True, check=True)
        modules = out.stdout.split("LOADED")[1].split()
        assert {name for name in COMMANDS if f"levada.cli.{name}" in modules} == imported

    @pytest.mark.parametrize("command", OPTIONS)
    def test_of_a_command_names_its_options(self, levada, command):
        code, out, _ = levada(command, "--help")
        assert code == 0
        missing = [option for option in OPTIONS[command] if option not in out]
        assert missing == []

    def test_of_corpora_names_what_can_be_done(self, levada):
        out = levada("corpus", "--help")[1]
        assert " check " in out
        assert " get " in out

    @pytest.mark.parametrize(
        "arguments",
        [("trak",), ("track",), ("track", "x.wav", "--mdoel", "base"), ("adapt", "x", "-o", "y", "--minutes", "-1")],
    )
    def test_what_was_mistyped_exits_with_2(self, levada, arguments):
        code, out, err = levada(*arguments)
        assert code == 2
        assert out == ""
        assert "Usage: levada" in err


class TestExitCodes:
    @pytest.fixture
    def failing(self, monkeypatch):
        """Let every command fail with an error."""
        monkeypatch.delenv("LEVADA_DEBUG", raising=False)

        def let(error, *, debugged=False):
            def fail(*_, **__):
                raise error

            monkeypatch.setattr(cli, "app", fail)
            if debugged:
                monkeypatch.setenv("LEVADA_DEBUG", "1")

        return let

    def test_2_for_the_users_mistakes(self, levada, failing):
        failing(InputError("is text", path="song.beats", line=7))
        assert levada() == (2, "", "levada: song.beats, line 7: is text\n")

    def test_2_for_what_the_disk_refuses(self, levada, failing):
        failing(OSError(28, "No space left on device", "x/song.beats"))
        code, _, err = levada()
        assert (code, err) == (2, "levada: x/song.beats: the disk is full: make room or choose another\n")

    def test_1_for_ours_without_a_traceback(self, levada, failing):
        failing(ZeroDivisionError("division by zero"))
        code, out, err = levada()
        assert (code, out) == (1, "")
        assert "levada: error inside levada: ZeroDivisionError: division by zero" in err
        assert "Traceback" not in err

    def test_ours_is_raised_for_whoever_debugs(self, failing):
        failing(ZeroDivisionError(), debugged=True)
        with pytest.raises(ZeroDivisionError):
            cli.main()

    def test_130_after_ctrl_c(self, levada, monkeypatch):
        def stop(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr("levada.models.cards.cards", stop)
        code, out, err = levada("models")
        assert (code, out, err) == (
            130,
            "",
            "stopped; the same command continues (adapt, pretrain, render, and commands on a folder)\n",
        )


class TestQuick:
    @pytest.mark.parametrize("arguments", [("--help",), ("models",), ("traditions",)], ids=" ".join)
    def test_does_not_load_torch(self, arguments):
        code = "import sys; from levada.cli import main; sys.argv = ['levada', *sys.argv[1:]]\n"
        code += "try: main()\nfinally: print(*[name for name in ('torch', 'scipy', 'numba') if name in sys.modules])"
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines()[-1] == ""

    def test_refusals_do_not_load_torch(self, rendered, tmp_path):
        """Each in a process of its own would take ten times as long."""
        (tmp_path / "there").write_text("mine")
        song, there, new = rendered / "a.wav", tmp_path / "there", tmp_path / "new"
        commands = [
            ("track", "none.wav"),
            ("track", song, "-m", "nowhere"),
            ("track", song, "-o", tmp_path / "x.xyz"),
            ("track", rendered, "-o", new, "--suffix", ".xyz"),
            ("adapt", "nowhere", "-o", new),
            ("adapt", rendered, "-o", new, "-m", "nowhere"),
            ("adapt", rendered, "-o", there),
            ("evaluate", rendered, "-m", "base", "-m", "nowhere"),
            ("evaluate", rendered, "--oracle"),
            ("separate", song, "--level", "surdo"),
            ("separate", song, "-o", new, "--instruments", "surdo,cuicaa"),
            ("separate", song, "-o", new, "-m", "candombe", "--only", "theremin"),
            ("separate", rendered, "-o", rendered, "-m", "base"),
            ("convert", song.with_suffix(".beats"), "-o", tmp_path / "x.xyz"),
            ("remix", "nowhere", "-o", new),
            ("select", rendered, "--scheme", "nothing"),
            ("study", "none.toml"),
            ("report", "nowhere"),
            ("export", "nowhere", "-o", tmp_path / "x.onnx"),
            ("render", "nowhere", "-o", new),
            ("pretrain", "none.toml", "-o", there),
            ("demo", "-o", there),
            ("models", "nowhere"),
        ]
        code = f"""
import sys
from levada.cli import main
for arguments in {[[*map(str, one)] for one in commands]!r}:
    sys.argv = ["levada", *arguments]
    try:
        main()
    except SystemExit as stop:
        assert stop.code == 2, arguments
    assert not {{"torch", "numba", "matplotlib"}} & set(sys.modules), arguments
"""
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        assert [path.name for path in tmp_path.iterdir()] == ["there"]

    def test_checking_a_corpus_does_not_load_torch(self, rendered):
        code = "import sys; from levada.cli import main\n"
        code += "try: main()\nfinally: assert not {'torch', 'numba', 'matplotlib', 'mirdata'} & set(sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", code, "corpus", "check", str(rendered)],
            capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""


class TestBeats:
    def test_are_printed_as_a_beat_file(self, levada, song, tmp_path):
        code, out, err = levada("track", song, "-m", "flux")
        assert (code, err) == (0, "")
        (tmp_path / "printed.beats").write_text(out)
        printed, found = read_beats(tmp_path / "printed.beats"), load_tracker("flux").track(song)
        np.testing.assert_allclose(printed.times_s, found.times_s, atol=0.0006)
        np.testing.assert_array_equal(printed.positions, found.positions)

    def test_are_written_into_a_page_to_listen_to(self, levada, song, tmp_path):
        page, files = tmp_path / "a.html", tmp_path / "a.beats"
        assert levada("track", song, "-m", "flux", "-o", files, "--page", page, "--from", "1", "--to", "4")[0] == 0
        facts = json.loads(page.read_text(encoding="utf-8").split('"application/json">')[1].split("</script>")[0])
        assert facts["start_s"] == 1
        assert facts["duration_s"] == pytest.approx(3)
        shown = [time_s + 1 for time_s, *_ in facts["layers"][0]["beats"]]
        assert shown == pytest.approx(read_beats(files).times_s, abs=1e-3)
        assert levada("track", song.parent, "-o", tmp_path / "out", "--page", page)[0] == 2

    def test_are_written_with_clicks_and_a_picture(self, levada, song, tmp_path):
        files = [tmp_path / name for name in ("a.beats", "a-clicks.wav", "a.png")]
        code, out, err = levada("track", song, "-m", "flux", "-o", files[0], "--clicks", files[1], "--plot", files[2])
        assert (code, out) == (0, "")
        found = read_beats(files[0])
        assert f"{files[0]}: {len(found)} beats, {found.tempo_bpm:.1f} bpm, 4 beats a bar, mean confidence " in err
        (samples, rate), (clicked, clicked_rate) = audio.read(song), audio.read(files[1])
        assert clicked_rate == rate
        assert clicked.shape == samples.shape
        assert 0.3 < np.abs(clicked).max() <= 1
        free = slice(round((found.times_s[1] + 0.06) * rate), round(found.times_s[2] * rate) - 1)  # of clicks
        level = (clicked[0, free] @ samples[0, free]) / (samples[0, free] @ samples[0, free])
        only = clicked / level - samples
        loudness = np.sqrt((samples**2).mean())
        for at in found.times_s[1:-1]:
            start = round(at * rate)
            assert 0.5 < np.abs(only[0, start : start + 100]).max() / loudness < 10  # a click begins here,
            assert np.abs(only[0, start - 100 : start - 1]).max() < 0.1 * loudness  # and not before
        assert files[2].read_bytes().startswith(b"\x89PNG")

    def test_in_json_carry_confidences(self, levada, song):
        code, out, err = levada("track", song, "-m", "flux", "--json")
        said = json.loads(out)
        assert (code, err) == (0, "")
        assert (said["recording"], said["model"]) == (str(song), "flux")
        assert len(said["beats"]) > 20
        assert all(0 <= beat["confidence"] <= 1 and beat["position"] in (1, 2, 3, 4) for beat in said["beats"])
        assert all(0 <= beat["position_confidence"] <= beat["confidence"] for beat in said["beats"])
        assert said["analysis"]["metre"] in (2, 3, 4)

    @pytest.mark.parametrize("name", ["x.csv", "x.svl", "x.jams", "x.mid", "x.tsv"])
    def test_in_the_format_of_the_name(self, levada, song, tmp_path, name):
        code, out, _ = levada("track", song, "-m", "flux", "-o", tmp_path / name)
        assert (code, out) == (0, "")
        if name != "x.mid":
            found = load_tracker("flux").track(song)
            np.testing.assert_allclose(read_beats(tmp_path / name).times_s, found.times_s, atol=0.001)

    def test_pass_through_hints(self, levada, song, rendered, tmp_path):
        known = read_beats(rendered / "a.beats").between(0, 4)
        hints = tmp_path / "hints.beats"
        write_beats(hints, known)
        levada("track", song, "-m", "flux", "--hints", hints, "-o", tmp_path / "x.beats")
        found = read_beats(tmp_path / "x.beats")
        gaps = np.abs(found.times_s[None] - known.times_s[:, None])
        assert gaps.min(axis=1).max() < 0.026
        np.testing.assert_array_equal(found.positions[gaps.argmin(axis=1)], known.positions)

    def test_of_a_part_with_a_tempo_and_a_metre(self, levada, song, rendered, tmp_path):
        options = ("-m", "flux", "--bpm", "60-90", "--metre", "3", "--from", "0:01.5", "--to", "9")
        assert levada("track", song, *options, "-o", tmp_path / "x.beats")[0] == 0
        found = read_beats(tmp_path / "x.beats")
        assert 1.5 <= found.times_s[0] < found.times_s[-1] < 9
        assert set(found.metres) == {3}
        assert 60 <= found.tempo_bpm <= 90.5
        assert levada("track", rendered, *options, "-o", tmp_path / "out", "--processes", 1)[0] == 0
        same = read_beats(tmp_path / "out" / "a.beats")
        np.testing.assert_array_equal(same.times_s, found.times_s)
        code, _, err = levada("track", rendered, "-m", "flux", "-o", tmp_path / "out", "--processes", 1)
        assert code == 2
        assert "out" in err

    def test_of_beats_of_unequal_length(self, levada, song, rendered, tmp_path):
        options = ("-m", "flux", "--metre", "2+2+2+3")
        assert levada("track", song, *options, "-o", tmp_path / "x.beats")[0] == 0
        found = read_beats(tmp_path / "x.beats")
        assert set(found.metres) == {4}
        longer = (
            found.intervals_s[found.positions[:-1] == 4].mean() / found.intervals_s[found.positions[:-1] != 4].mean()
        )
        assert longer == pytest.approx(1.5, abs=0.1)
        command = ("track", rendered, *options, "-o", tmp_path / "out", "--processes", 1)
        assert levada(*command)[0] == 0
        assert levada(*command)[0] == 0  # resumed

    def test_of_a_folder(self, levada, rendered, tmp_path):
        command = ("track", rendered, "-m", "flux", "-o", tmp_path / "out", "--suffix", ".csv", "--json")
        code, out, err = levada(*command, "--processes", 1)
        assert code == 0
        assert re.fullmatch(DATE + re.escape(f"{tmp_path / 'out'}: beats of 3 recordings written\n"), err)
        written = [str(tmp_path / "out" / f"{name}.csv") for name in "abc"]
        result = json.loads(out)
        assert sorted(one["path"] for one in result.pop("recordings")) == ["a.wav", "b.wav", "c.wav"]
        assert result == {"written": written, "kept": [], "failed": {}, "skipped": {}}
        found = load_tracker("flux").track(rendered / "b.wav")
        np.testing.assert_allclose(read_beats(written[1]).times_s, found.times_s, atol=1e-5)
        again = json.loads(levada(*command)[1])
        assert (again["written"], again["kept"], again["failed"]) == ([], written, {})
        assert again["recordings"] == json.loads(out)["recordings"]

    def test_of_a_folder_have_click_tracks(self, levada, rendered, tmp_path):
        command = ("track", rendered, "-m", "flux", "-o", tmp_path / "out", "--processes", 1)
        for place in (tmp_path / "clicks", tmp_path / "out"):
            assert levada(*command, "--clicks", place)[0] == 0
            assert sorted(path.name for path in place.glob("*.wav")) == [f"{name}-clicks.wav" for name in "abc"]
            clicked, rate = audio.read(place / "b-clicks.wav")
            samples, _ = audio.read(rendered / "b.wav")
            expected = audio.add_clicks(samples, read_beats(tmp_path / "out" / "b.beats"), rate=rate)
            np.testing.assert_allclose(clicked, expected, atol=1e-6)
        before = (place / "a-clicks.wav").stat().st_mtime_ns
        assert "3 existed already" in levada(*command, "--clicks", place)[2]
        assert (place / "a-clicks.wav").stat().st_mtime_ns == before
        assert levada("track", rendered, "-m", "flux", "--bpm", 100, "-o", tmp_path / "out2", "--clicks", place)[0] == 2

    def test_of_a_folder_have_figures(self, levada, rendered, tmp_path):
        pytest.importorskip("matplotlib", reason="matplotlib is not installed (levada[plot])")
        command = ("track", rendered, "-m", "flux", "-o", tmp_path / "out", "--processes", 1)
        assert levada(*command, "--plot", tmp_path / "out", "--clicks", tmp_path / "out")[0] == 0
        names = [f"{name}{ending}" for name in "abc" for ending in ("-clicks.wav", "-plot.png", ".beats")]
        assert sorted(path.name for path in (tmp_path / "out").glob("?[.-]*")) == names
        figure = tmp_path / "out" / "a-plot.png"
        before = figure.read_bytes()
        assert before.startswith(b"\x89PNG")
        assert levada(*command, "--plot", tmp_path / "later")[0] == 0
        assert (tmp_path / "later" / "a-plot.png").read_bytes() == before  # confidences, which files lack, included
        figure.write_bytes(b"of a person")
        assert levada(*command, "--plot", tmp_path / "out")[0] == 0
        assert figure.read_bytes() == b"of a person"

    def test_of_a_part_have_a_figure(self, levada, song, tmp_path):
        pytest.importorskip("matplotlib", reason="matplotlib is not installed (levada[plot])")
        files = ("-o", tmp_path / "a.beats", "--plot", tmp_path / "a.png")
        assert levada("track", song, "-m", "flux", "--from", 2, "--to", 8, *files)[0] == 0
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
        code, _, err = levada("track", song, "-m", "flux", "--plot", tmp_path / "a.png")
        assert code == 2
        assert "exists already" in err

    @pytest.mark.slow
    def test_of_a_folder_in_processes(self, levada, rendered, tmp_path, tiny_model):
        levada("track", rendered, "-m", tiny_model, "-o", tmp_path / "one", "--processes", 1)
        levada("track", rendered, "-m", tiny_model, "-o", tmp_path / "two", "--processes", 2)
        for name in "abc":
            assert (tmp_path / "one" / f"{name}.beats").read_bytes() == (
                tmp_path / "two" / f"{name}.beats"
            ).read_bytes()


@pytest.mark.slow
@pytest.mark.usefixtures("few_steps")
class TestAdapt:
    @pytest.mark.usefixtures("one_process")
    def test_to_a_folder_scores_before_and_after(self, levada, rendered, tiny_model, tmp_path):
        options = ("--minutes", 0.15, "-m", tiny_model, "--strategy", "finetune+augment")
        code, out, err = levada("adapt", rendered, *options, "-o", tmp_path / "mine")
        assert code == 0
        assert f"adapting {tiny_model} to 8 s of labels of 1 recording; finetune+augment" in err
        assert f"{tmp_path / 'mine'}: saved after" in err
        lines = out.splitlines()
        assert lines[0].split()[:4] == ["model", "n", "beat", "F"]
        assert [line.split()[0] for line in lines[1:6:2]] == [str(tiny_model), "mine", "flux"]
        card = load(tmp_path / "mine").card
        assert set(card.scores) == {"beat_f", "beat_cmlt", "downbeat_f", "scored on"}
        assert card.scores["scored on"] == "2 recordings of 2 other groups"
        assert 0.1 < card.minutes <= 0.15
        assert (tmp_path / "mine" / "log.csv").exists()

    @pytest.mark.usefixtures("one_process")
    def test_is_logged(self, levada, rendered, tiny_model, tmp_path):
        options = (
            "--minutes",
            0.15,
            "-m",
            tiny_model,
            "--log-to",
            "csv",
            "--steps",
            2,
            "--strategy",
            "finetune+augment",
        )
        assert levada("adapt", rendered, "-o", tmp_path / "mine", *options)[0] == 0
        logs = tmp_path / "mine.logs"
        assert json.loads((logs / "config.json").read_text())["config"]["strategy"] == "finetune+augment"
        assert (logs / "tables" / "scores.csv").read_text().count("\n") == 1 + 3 * 2
        logged = {line.split(",")[1] for line in (logs / "scalars.csv").read_text().splitlines()[1:]}
        assert {"loss", "beat_loss", "downbeat_loss", "learning_rate", "half-2/validation_loss"} <= logged
        assert list(logs.rglob("*.png"))

    def test_is_plotted(self, levada, rendered, tiny_model, tmp_path):
        pytest.importorskip("matplotlib", reason="matplotlib is not installed (levada[plot])")
        given = ("adapt", rendered, "-m", tiny_model, "--steps", 3, "--learning-rate", 0.01, "--layers", "head")
        code, _, _ = levada(*given, "-o", tmp_path / "mine", "--plot", tmp_path / "training.png")
        assert code == 0
        assert (tmp_path / "training.png").read_bytes()[:4] == b"\x89PNG"
        assert [row["step"] for row in read_log(tmp_path / "mine" / "log.csv")] == [1, 2, 3]
        assert max(row["learning_rate"] for row in read_log(tmp_path / "mine" / "log.csv")) == 0.01

    @pytest.mark.parametrize("strategy", ["decoder", "bayes"])
    @pytest.mark.parametrize(
        "option", [("--steps", 5), ("--learning-rate", 0.01), ("--layers", "head"), ("--plot", "training.png")]
    )
    def test_options_of_training_are_refused_where_nothing_is_trained(
        self, levada, rendered, tiny_model, tmp_path, monkeypatch, strategy, option
    ):
        monkeypatch.chdir(tmp_path)
        given = ("adapt", rendered, "-m", tiny_model, "-o", tmp_path / "mine", "--strategy", strategy)
        code, _, err = levada(*given, *option)
        assert code == 2
        assert f"{strategy} trains no network" in err
        assert not list(tmp_path.glob("mine*"))

    @pytest.mark.usefixtures("one_process")
    def test_in_json_is_one_object(self, levada, rendered, tiny_model, tmp_path):
        arguments = ("--minutes", 0.15, "-m", tiny_model, "-o", tmp_path / "mine", "--strategy", "decoder", "--json")
        code, out, _ = levada("adapt", rendered, *arguments)
        said = json.loads(out)
        assert code == 0
        assert said["model"] == str(tmp_path / "mine")
        assert 6 < said["labels_s"] <= 9
        assert said["recordings"] == 1
        assert said["evaluation"]["models"] == [str(tiny_model), "mine", "flux"]
        trained = {row["track"] for row in said["evaluation"]["rows"] if row["trained_on"]}
        assert trained == set()

    def test_labels_in_pieces_count_by_their_pieces(self, levada, rendered, tiny_model, tmp_path):
        whole = read_beats(rendered / "a.beats")
        pieces = [whole.between(0, 3.5), whole.between(8, 11)]
        times, positions = (
            np.concatenate(parts) for parts in zip(*((p.times_s, p.positions) for p in pieces), strict=True)
        )
        write_beats(tmp_path / "pieces.beats", Beats(times, positions))
        arguments = ("--beats", tmp_path / "pieces.beats", "--strategy", "decoder", "-m", tiny_model)
        code, out, _ = levada("adapt", rendered / "a.wav", *arguments, "-o", tmp_path / "mine", "--json")
        assert code == 0
        spans = [pytest.approx([p.times_s[0], p.times_s[-1]], abs=1e-5) for p in pieces]
        seconds = sum(p.times_s[-1] - p.times_s[0] for p in pieces)
        assert json.loads(out)["labels_s"] == pytest.approx(seconds, abs=1e-4)
        card = load(tmp_path / "mine").card
        assert card.minutes == pytest.approx(seconds / 60, abs=1e-5)
        (trained,) = list(card.trained_on.values())[-1:]
        assert [list(span) for span in trained] == spans

    def test_to_all_labels_has_nothing_to_score_on(self, levada, rendered, tiny_model, tmp_path):
        code, out, err = levada("adapt", rendered, "-m", tiny_model, "-o", tmp_path / "mine", "--strategy", "decoder")
        assert (code, out) == (0, "")
        assert "all labels were used, so there is nothing to score on; --minutes keeps a test set" in err
        assert set(load(tmp_path / "mine").card.trained_on) == {
            audio.content_hash(rendered / f"{name}.wav") for name in "abc"
        }

    def test_to_a_part_of_one_recording_gives_the_rest(self, levada, rendered, tiny_model, tmp_path):
        labels = tmp_path / "first.beats"
        known = read_beats(rendered / "a.beats").between(0, 6)
        write_beats(labels, known)
        arguments = ("--beats", labels, "-m", tiny_model, "-o", tmp_path / "mine", "--json")
        code, out, err = levada("adapt", rendered / "a.wav", *arguments)
        assert code == 0, err
        assert "auto chose patterns + base" in err
        written = tmp_path / "mine" / "a.beats"
        assert json.loads(out)["beats"] == str(written)
        assert f"{written}: {len(read_beats(written))} beats of the whole recording, your labels among them" in err
        found = read_beats(written).times_s
        assert np.abs(found[None] - known.times_s[:, None]).min(axis=1).max() < 0.026
        for option, kept in ((), True), (("--no-labels",), False):
            _, _, err = levada("track", rendered / "a.wav", "-m", tmp_path / "mine", *option)
            assert (f"{len(known)} labels" in err) == kept
        assert found[-1] > 10
        stretches = read_card(tmp_path / "mine").trained_on[audio.content_hash(rendered / "a.wav")]
        np.testing.assert_allclose(stretches, [(known.times_s[0], known.times_s[-1])])

    @pytest.mark.parametrize("strategy", ["finetune", "finetune+augment", "decoder"])
    def test_by_each_strategy(self, levada, rendered, tiny_model, tmp_path, strategy):
        arguments = ("--beats", rendered / "a.beats", "-m", tiny_model, "-o", tmp_path / "mine")
        assert levada("adapt", rendered / "a.wav", *arguments, "--strategy", strategy)[0] == 0
        assert levada("track", rendered / "b.wav", "-m", tmp_path / "mine")[0] == 0

    def test_follows_the_seed(self, levada, rendered, tiny_model, tmp_path):
        for name, seed in (("a", 0), ("b", 0), ("c", 1)):
            arguments = ("--beats", rendered / "a.beats", "-m", tiny_model, "--seed", seed, "-o", tmp_path / name)
            assert levada("adapt", rendered / "a.wav", *arguments)[0] == 0
        one, again, other = ((tmp_path / name / "model.safetensors").read_bytes() for name in "abc")
        assert one == again != other


class TestEvaluate:
    def test_table_fits_a_page_and_csv_has_every_row(self, levada, rendered, tiny_model, tmp_path):
        rows = tmp_path / "rows.csv"
        code, out, err = levada("evaluate", rendered, "-m", tiny_model, "-o", rows, "--processes", 1)
        assert code == 0
        assert "note: shorter than 30 s and scored from their start: a, b, c" in err
        assert "flux" in out  # though nobody asked for it
        with rows.open(newline="") as file:
            found = list(csv.DictReader(file))
        assert [(row["track"], row["model"]) for row in found] == [
            (track, model) for track in "abc" for model in (str(tiny_model), "flux")
        ]
        assert all(0 <= float(row["beat_f"]) <= 1 for row in found)

    def test_in_json(self, levada, rendered):
        code, out, _ = levada("evaluate", rendered, "-m", "flux", "--processes", 1, "--json")
        said = json.loads(out)
        assert code == 0
        assert said["models"] == ["flux"]
        assert {row["track"] for row in said["rows"]} == {"a", "b", "c"}
        mean = np.mean([row["beat_f"] for row in said["rows"]])
        assert said["summary"]["flux"]["beat_f"]["mean"] == pytest.approx(mean)

    def test_readings_of_a_recording(self, levada, rendered, tmp_path):
        folder = tmp_path / "in"
        shutil.copytree(rendered, folder)
        beats = read_beats(folder / "b.beats")
        write_beats(folder / "b.later.beats", beats.with_positions(beats.positions % beats.positions.max() + 1))
        (folder / "corpus.toml").write_text('[labels]\nreadings = ["later"]\n')
        code, out, _ = levada("evaluate", folder, "-m", "flux", "--processes", 1)
        assert code == 0
        assert re.search(r"\nb +flux +(labels|later) +labels [\d.]+ / [\d.]+, later [\d.]+ / [\d.]+\n", out)

    @pytest.mark.slow
    def test_warns_of_what_a_model_was_trained_on(self, levada, rendered, tiny_model, tmp_path):
        labels = ("--beats", rendered / "b.beats", "--strategy", "decoder")
        levada("adapt", rendered / "b.wav", *labels, "-m", tiny_model, "-o", tmp_path / "mine")
        scoring = ("evaluate", rendered, "-m", tmp_path / "mine", "--processes", 1)
        assert "mine was trained on 1 of the 3 recordings it is scored on (b)" in levada(*scoring)[2]
        _, out, err = levada(*scoring, "--exclude-trained", "--json")
        assert {row["track"] for row in json.loads(out)["rows"]} == {"a", "c"}
        assert "left out because a model was trained on them: b" in err

    def test_trims_what_it_is_told_to(self, levada, rendered):
        scoring = ("evaluate", rendered, "-m", "flux", "--processes", 1, "--json", "--trim")
        status, _, err = levada(*scoring, 600)
        assert status == 2
        assert "nothing is left to score after the first 600 s" in err
        assert json.loads(levada(*scoring, 0)[1])["rows"][0]["trim_s"] == 0


class TestCorpora:
    def test_are_checked(self, levada, rendered):
        code, out, err = levada("corpus", "check", rendered)
        assert (code, err) == (0, "")
        lines = out.splitlines()
        assert lines[0].split() == ["recording", "length", "annotated", "beats", "bpm", "beats", "a", "bar", "labels"]
        first = load_corpus(rendered, labels="beats").tracks[0].beats()
        assert lines[1].split()[:2] == ["a", "0:12.0"]
        assert lines[1].split()[3:5] == [str(len(first)), f"{first.tempo_bpm:.1f}"]
        assert "3 recordings, 0.6 annotated minutes; each recording is its own group" in out
        assert lines[-1] == "no problems found"

    def test_are_checked_in_json(self, levada, rendered):
        code, out, _ = levada("corpus", "check", rendered, "--json")
        said = json.loads(out)
        assert code == 0
        assert [row["id"] for row in said["recordings"]] == ["a", "b", "c"]
        assert said["problems"] == []

    def test_with_errors_exit_with_2(self, levada, tmp_path):
        (tmp_path / "bad.wav").write_bytes(b"hello")
        code, out, _ = levada("corpus", "check", tmp_path, "--json")
        assert code == 2
        problem = json.loads(out)["problems"][0]
        assert (problem["severity"], problem["path"]) == ("error", str(tmp_path / "bad.wav"))

    def test_that_cannot_be_downloaded_say_why(self, levada, tmp_path, monkeypatch):
        from mirdata.core import Dataset

        def offline(*_, **__):
            raise OSError("the network is down")

        monkeypatch.setattr(Dataset, "download", offline)
        code, out, err = levada("corpus", "get", "candombe", "--home", tmp_path)
        assert (code, out) == (2, "")
        assert "could not download candombe: the network is down. To go on, see to the network" in err

    def test_that_nobody_knows(self, levada, tmp_path):
        code, _, err = levada("corpus", "get", "candombé", "--home", tmp_path)
        assert code == 2
        assert "mirdata has no dataset 'candombé'" in err

    @pytest.mark.usefixtures("home_in_tmp_path")
    def test_not_yet_downloaded_say_how(self, levada):
        code, _, err = levada("evaluate", "mirdata:candombe")
        assert code == 2
        assert "candombe is not downloaded here; run: levada corpus get candombe" in err

    def test_show_licence_and_citation_when_they_arrive(self, levada, rendered, tmp_path, monkeypatch):
        from dataclasses import replace

        from levada import data

        found = replace(
            load_corpus(rendered, labels="beats"), name="candombe", licence="CC BY 4.0", citation="@inproceedings{x}"
        )
        monkeypatch.setattr(data, "get", lambda name, **_: found if name == "candombe" else None)
        code, out, _ = levada("corpus", "get", "mirdata:candombe", "--home", tmp_path)
        assert code == 0
        assert f"candombe: 3 recordings in {rendered}" in out
        assert "licence\nCC BY 4.0" in out
        assert "cite\n@inproceedings{x}" in out
        assert out.endswith("use it as mirdata:candombe\n")


class TestModels:
    def test_are_listed_with_what_must_be_known(self, levada):
        code, out, err = levada("models")
        assert (code, err) == (0, "")
        names = [line for line in out.splitlines() if line and not line.startswith(" ")][:-1]
        assert names == [f"{card['name']} ({card['task']})" for card in cards()]
        assert {"base (beats)", "flux (beats)"} <= set(names)
        assert out.count("  licence: ") == len(names)
        assert max(map(len, out.splitlines())) <= 100

    def test_in_json(self, levada):
        cards = json.loads(levada("models", "--json")[1])
        assert [card["name"] for card in cards[-6:]] == ["flux", *EXTERNAL]
        assert all({"origin", "licence", "data", "minutes", "scores"} <= set(card) for card in cards)


class TestTraditions:
    def test_are_listed_a_line_each(self, levada):
        code, out, err = levada("traditions")
        assert (code, err) == (0, "")
        table, _ = out.split("\n\n")
        headings, *lines = table.splitlines()
        assert headings.split() == ["name", "title", "cycle", "metre", "bpm", "instruments"]
        assert [line.split()[0] for line in lines] == list(list_traditions())
        candombe = next(line for line in lines if line.startswith("candombe "))
        assert "4 × 4" in candombe
        assert "133 ± 7" in candombe
        assert max(map(len, out.splitlines())) <= 100

    def test_are_listed_in_json(self, levada):
        said = json.loads(levada("traditions", "--json")[1])
        assert [one["name"] for one in said] == list(list_traditions())
        candombe = next(one for one in said if one["name"] == "candombe")
        assert (candombe["beats"], candombe["tatums"], candombe["tempo_bpm"]) == (4, 4, [133, 7])
        assert "chico" in [part["name"] for part in candombe["instruments"]]

    def test_are_drawn(self, levada):
        code, out, err = levada("traditions", "show", "candombe")
        assert (code, err) == (0, "")
        assert out.splitlines() == format_tradition(read_tradition("candombe"))

    def test_of_ones_own_are_drawn(self, levada, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text("beats = 1\ntatums = 2\ntempo_bpm = [90, 5]\n[instruments.conga]\npatterns = ['xX']")
        out = levada("traditions", "show", path)[1]
        assert out.startswith("mine\n")
        assert "x X" in out

    def test_are_shown_in_json(self, levada):
        said = json.loads(levada("traditions", "show", "candombe", "--json")[1])
        assert (said["name"], said["jitter_s"]) == ("candombe", read_tradition("candombe").jitter_s)
        assert said["instruments"][0]["patterns"][0].keys() == {"grid", "probability"}

    def test_that_nobody_knows(self, levada):
        code, out, err = levada("traditions", "show", "candonbe")
        assert (code, out) == (2, "")
        assert err.startswith("levada: there is no tradition 'candonbe'; did you mean 'candombe'? There are")

    def test_that_are_wrong_are_told_by_line_and_column(self, levada, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text("beats = 1\ntatums = 2\ntempo_bpm = [90, 5]\n[instruments.conga]\npatterns = ['xXx']")
        for command in (("traditions", "show", path), ("render", path, "-o", tmp_path / "out")):
            code, out, err = levada(*command)
            assert (code, out) == (2, "")
            assert f"{path}, line 5, column 13: instrument conga: 'xXx' has 3 tatums, but the cycle has 2" in err
        assert not (tmp_path / "out").exists()


class TestRender:
    def test_makes_a_corpus_to_adapt_to(self, levada, tmp_path):
        out_folder = tmp_path / "corpus"
        command = ("render", "candombe", "-o", out_folder, "--minutes", 0.2, "--recordings", 2)
        code, out, err = levada(*command)
        assert (code, out) == (0, "")
        assert err == f"{out_folder}: 2 recordings of Candombe rendered, with beats and stems\n"
        said = json.loads(levada("corpus", "check", out_folder, "--json")[1])
        assert [row["id"] for row in said["recordings"]] == ["candombe-001", "candombe-002"]
        assert said["problems"] == []

    def test_writes_strokes(self, levada, tmp_path):
        command = ("render", "candombe", "-o", tmp_path / "corpus", "--minutes", 0.1, "--recordings", 1)
        assert levada(*command, "--strokes", "csv")[0] == 0
        (file, *_) = (tmp_path / "corpus" / "candombe-001.stems" / "strokes").iterdir()
        assert file.read_text().startswith("time_s,stroke,accent,pitch_hz\n")
        code, _, err = levada("render", "candombe", "-o", tmp_path / "other", "--strokes", "xml")
        assert (code, "csv, midi, jams" in err) == (2, True)

    def test_goes_on_and_says_so_in_json(self, levada, tmp_path):
        command = ("render", "candombe", "-o", tmp_path / "corpus", "--minutes", 0.1, "--recordings", 2, "--json")
        names = [str(tmp_path / "corpus" / f"candombe-00{number}.wav") for number in (1, 2)]
        assert json.loads(levada(*command)[1]) == {"written": names, "kept": []}
        Path(names[1]).unlink()
        code, out, err = levada(*command)
        assert code == 0
        assert json.loads(out) == {"written": names[1:], "kept": names[:1]}
        assert "1 recording of Candombe rendered, with beats and stems; 1 existed already" in err

    @pytest.mark.parametrize("minutes", ["0", "-1", "nan", "inf", "1e9"])
    def test_minutes_that_make_no_sense(self, levada, tmp_path, minutes):
        code, out, err = levada("render", "candombe", "-o", tmp_path / "corpus", "--minutes", minutes)
        assert (code, out) == (2, "")
        assert "minutes to render must be above 0 and at most 10000" in err
        assert not (tmp_path / "corpus").exists()

    def test_what_is_not_a_number(self, levada, tmp_path):
        assert levada("render", "candombe", "-o", tmp_path / "corpus", "--minutes", "five")[0] == 2


@pytest.mark.slow
def test_a_reader_that_has_enough_is_not_shown_an_error(rendered):
    done = subprocess.run(
        [sys.executable, "-c", "from levada.cli import main; main()", "corpus", "check", str(rendered)],
        stdout=(closed := closed_pipe()), stderr=subprocess.PIPE, text=True, check=False, timeout=600,
    )  # fmt: skip
    os.close(closed)
    assert done.stderr == ""


def closed_pipe():
    read, write = os.pipe()
    os.close(read)
    return write


def test_warnings_of_libraries_of_ours_reach_the_user(levada, monkeypatch, caplog):
    def warn():
        logging.getLogger("levada.io.audio_backends").warning("song.mp3: has no length header")

    monkeypatch.setattr(cli, "app", lambda *_, **__: (warn(), sys.exit(0)))
    assert levada()[0] == 0
    assert "song.mp3: has no length header" in caplog.text


def test_beats_without_positions_are_printed_as_times_alone(levada, rendered, monkeypatch):
    tracker = load_tracker("flux")
    found = Analysis(Beats([0.5, 1.0]))
    monkeypatch.setattr(type(tracker), "analyse", lambda *_, **__: found)
    assert levada("track", Path(rendered) / "a.wav", "-m", "flux") == (0, "0.500\n1.000\n", "")


class TestNight:
    """What a job at night needs: quiet, and exit codes that say what became of it."""

    def test_version_says_what_decides_results(self, levada):
        from levada.io.package_digest import package_digest

        code, out, err = levada("--version")
        assert (code, err) == (0, "")
        first, second, *_ = out.splitlines()
        assert first == f"levada {__version__} (files {package_digest()[:16]})"
        assert second.startswith(f"Python {platform.python_version()}, ")
        assert f"torch {torch.__version__}" in out

    @pytest.mark.parametrize("at", [0, 3])
    def test_quiet_may_stand_anywhere_and_leaves_results_and_errors(self, levada, rendered, tmp_path, at):
        bad = tmp_path / "in"
        bad.mkdir()
        (bad / "a.wav").write_bytes((rendered / "a.wav").read_bytes())
        (bad / "bad.wav").write_bytes(b"hello")
        words = ["track", bad, "-m", "flux", "-o", tmp_path / "out", "--json"]
        words.insert(at, "--quiet")
        code, out, err = levada(*words)
        assert code == 3
        assert json.loads(out)["written"] == [str(tmp_path / "out" / "a.beats")]
        (line,) = err.splitlines()
        assert re.match(DATE + re.escape(f"{bad / 'bad.wav'}: "), line)

    @pytest.mark.slow
    def test_every_line_about_a_folder_is_dated(self, rendered, tmp_path):
        folder, content = tmp_path / "in", (rendered / "a.wav").read_bytes()
        folder.mkdir()
        (folder / "short.wav").write_bytes(content[: len(content) // 2])
        (folder / "bad.wav").write_bytes(b"hello")
        (folder / "more").symlink_to(rendered)
        code = "from levada.cli import main; main()"
        words = ("track", folder, "-m", "flux", "--processes", 1, "-o", tmp_path / "out")
        done = subprocess.run(
            [sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == 3, done.stderr
        assert all(re.match(DATE, line) for line in done.stderr.splitlines())
        lines = [re.sub(DATE, "", line) for line in done.stderr.splitlines()]
        assert [line.partition(": ")[0] for line in lines] == [
            "warning", str(folder / "bad.wav"), "skipped", str(tmp_path / "out"),
        ]  # fmt: skip
        assert "truncated" in lines[0]

    def test_exit_codes_are_in_the_help(self, levada):
        said = " ".join(levada("--help")[1].split())
        for words in (
            "2 wrong usage, or input that cannot be used (corpus check: errors were found)",
            "3 finished, but some items failed",
            "130 stopped by Ctrl-C",
            "143 by SIGTERM",
        ):
            assert words in said

    def test_scores_that_are_missing_exit_with_3(self, levada, rendered, tmp_path):
        folder = tmp_path / "in"
        shutil.copytree(rendered, folder)
        (folder / "b.wav").write_bytes(b"hello")
        code, out, err = levada("evaluate", folder, "-m", "flux", "--processes", 1, "--json")
        assert code == 3
        assert [row["track"] for row in json.loads(out)["rows"] if row["error"]] == ["b"]
        assert "no scores for 1 of 3 recordings (b)" in err
