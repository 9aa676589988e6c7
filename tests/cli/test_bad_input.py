"""What users give by mistake, and what their machines do to them: a sentence that names the file, never a traceback."""

import errno
import json
import os
import re
import shutil
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile

from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import read_beats

BEATS = Beats(np.arange(0.5, 11.5, 0.5), np.arange(22) % 4 + 1)
RATE = 44100


@pytest.fixture
def song(tmp_path):
    """Twelve seconds of clicks, `song.wav`, with its beats beside it."""
    return clicks(tmp_path / "song.wav")


def clicks(path, *, rate=RATE, channels=1, duration_s=12.0):
    samples = np.repeat(audio.clicks(BEATS, rate=rate, duration_s=duration_s)[None], channels, axis=0)
    audio.write(path, samples, rate=rate)
    path.with_suffix(".beats").write_text("".join(f"{time:.3f}\t{position}\n" for time, position in BEATS))
    return path


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestFolders:
    @pytest.mark.parametrize(
        "arguments",
        [("track", "-o", "out"), ("adapt", "-o", "out"), ("evaluate",), ("corpus", "check")],
        ids=lambda arguments: " ".join(arguments),
    )
    @pytest.mark.usefixtures("in_tmp_path")
    def test_empty(self, refused, arguments):
        Path("nothing").mkdir()
        at = 2 if arguments[0] == "corpus" else 1
        said = refused(*arguments[:at], "nothing", *arguments[at:])
        assert "levada: nothing: " in said
        assert ".wav" in said
        assert os.listdir() == ["nothing"]

    @pytest.mark.parametrize("command", ["adapt", "evaluate"])
    def test_missing(self, refused, tmp_path, command):
        more = ("-o", tmp_path / "out") if command == "adapt" else ()
        assert f"{tmp_path / 'none'}: there is no such folder" in refused(command, tmp_path / "none", *more)

    def test_missing_partner_of_the_audio(self, refused, song, tmp_path):
        song.with_suffix(".beats").unlink()
        assert "holds no annotated recordings; put a beat file beside each" in refused(
            "adapt", tmp_path, "-o", tmp_path / "out"
        )
        assert "is annotated: nothing to score against" in refused("evaluate", tmp_path)

    def test_missing_partner_of_the_labels(self, levada, song, tmp_path):
        (tmp_path / "lost.beats").write_text("0.5\n1.0\n")
        code, out, _ = levada("corpus", "check", tmp_path)
        assert code == 0  # a warning: the rest can be used
        assert f"warning: {tmp_path / 'lost.beats'}: has no recording of its name" in out
        assert song.stem in out

    def test_one_recording_without_labels(self, refused, song, tmp_path):
        assert "song.wav: is one recording: give its beats with --beats" in refused(
            "adapt", song, "-o", tmp_path / "out"
        )

    def test_labels_for_a_folder(self, refused, song, tmp_path):
        said = refused("adapt", tmp_path, "--beats", song.with_suffix(".beats"), "-o", tmp_path / "out")
        assert f"{tmp_path}: is a folder" in said
        assert "--beats" in said

    def test_beats_of_a_folder_never_land_on_its_labels(self, refused, song, tmp_path):
        before = contents(tmp_path)
        assert "holds the recordings: give another folder" in refused("track", tmp_path, "-o", tmp_path, "--force")
        assert contents(tmp_path) == before
        assert song.exists()

    def test_beats_of_a_folder_without_an_output(self, refused, song, tmp_path):
        assert "is a folder: give with -o" in refused("track", tmp_path)
        assert "is a file: give with -o" in refused("track", tmp_path, "-o", song)

    def test_what_is_for_one_recording_is_refused_for_a_folder(self, refused, tmp_path):
        said = refused("track", tmp_path, "-o", tmp_path / "out", "--hints", tmp_path / "x.beats")
        assert "--hints is for one recording" in said

    def test_a_folder_of_figures_has_no_name_of_a_figure(self, refused, song, tmp_path):
        said = refused("track", tmp_path, "-m", "flux", "-o", tmp_path / "out", "--plot", tmp_path / "x.png")
        assert f"{tmp_path / 'x.png'}: is the name of a file" in said
        assert f"{song}: " in refused("track", tmp_path, "-m", "flux", "-o", tmp_path / "out", "--plot", song)
        assert not (tmp_path / "out").exists()

    def test_figures_without_matplotlib(self, refused, song, tmp_path, hide_module):
        hide_module("matplotlib")
        for recording, plot in ((song, tmp_path / "x.png"), (tmp_path, tmp_path / "plots")):
            said = refused("track", recording, "-m", "flux", "-o", tmp_path / "out", "--plot", plot)
            assert "levada[plot]" in said
        assert not (tmp_path / "out").exists()

    def test_click_tracks_among_the_recordings_or_in_a_file(self, refused, song, tmp_path):
        for place in (tmp_path, tmp_path / "clicks", tmp_path / "clicks.wav", song):
            said = refused("track", tmp_path, "-m", "flux", "-o", tmp_path / "out", "--clicks", place)
            assert f"{place}: " in said
        assert not (tmp_path / "clicks").exists()

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            (("--bpm", "0"), "--bpm 0: the tempo must be from 5 to 500 bpm"),
            (("--bpm", "140-100"), "--bpm 140-100: "),
            (("--bpm", "fast"), "--bpm takes a tempo, such as 120, or a range, such as 100-140, not 'fast'"),
            (("--bpm", "-3"), "--bpm"),
            (("--bpm", "1-2-3"), "'1-2-3'"),
            (
                ("--metre", "5,x"),
                "--metre takes numbers of beats a bar, such as 3 or 2,4, or the lengths of ",
            ),
            (("--metre", "2+2+"), "not '2+2+'"),
            (("--metre", "2+0+3"), "--metre 2+0+3: a metre is a number of beats"),
            (("--metre", "1+9"), "--metre 1+9: no beat is over 4 times as long as another"),
            (("--metre", "4+4+6,2+2+3"), "--metre 4+4+6,2+2+3: metres names a metre twice"),
            (("--metre", "0"), "--metre 0: "),
            (("--metre", "3,3"), "--metre 3,3: "),
            (("--from", "0:08", "--to", "0:05"), "--from 0:08 is not before --to 0:05"),
            (("--from", "3", "--to", "3"), "--from 3 is not before --to 3"),
            (("--from", "1:75"), "--from takes seconds, m:ss or h:mm:ss"),
            (("--to", "soon"), "--to takes seconds, m:ss or h:mm:ss"),
            (("--from", "12:00"), "beyond the end of the recording, which lasts 12.00 s"),
            (("--to", "0:14"), "beyond the end of the recording, which lasts 12.00 s"),
        ],
    )
    def test_options_of_tracking(self, refused, song, tmp_path, options, message):
        assert message in refused("track", song, "-m", "flux", "-o", tmp_path / "x.beats", *options)
        assert not (tmp_path / "x.beats").exists()
        if "beyond" not in message:
            assert message in refused("track", tmp_path, "-m", "flux", "-o", tmp_path / "out", *options)
            assert not (tmp_path / "out").exists()

    def test_too_few_labels_for_the_minutes(self, refused, song, tmp_path):
        assert "labelled minutes, fewer than 5" in refused("adapt", tmp_path, "--minutes", 5, "-o", tmp_path / "out")
        assert song.exists()


ROWS = [f"{time:.3f}\t{position}" for time, position in BEATS]
LABELS = {
    "text in line 7": ([*ROWS[:6], "the chorus starts", *ROWS[6:]], 7),
    "out of order": ([*ROWS[:4], ROWS[5], ROWS[4], *ROWS[6:]], 6),
    "doubled": ([*ROWS[:4], ROWS[3], *ROWS[4:]], 5),
    "negative": (["-1.500\t4", *ROWS], 1),
    "not a number": ([*ROWS[:2], "nan\t3", *ROWS[3:]], 3),
    "infinite": ([*ROWS[:-1], "inf\t2"], 22),
}


@pytest.mark.parametrize(("rows", "line"), LABELS.values(), ids=LABELS)
class TestLabels:
    def labels(self, song, rows):
        path = song.with_suffix(".beats")
        path.write_text("\n".join(rows) + "\n")
        return path

    def test_to_adapt_to(self, refused, song, tmp_path, rows, line):
        labels = self.labels(song, rows)
        for said in (
            refused("adapt", tmp_path, "-o", tmp_path / "out"),
            refused("adapt", song, "--beats", labels, "-o", tmp_path / "out"),
        ):
            assert f"levada: {labels}, line {line}: " in said
        assert not list(tmp_path.glob("out*"))

    def test_as_hints(self, refused, song, rows, line):
        labels = self.labels(song, rows)
        assert f"levada: {labels}, line {line}: " in refused("track", song, "-m", "flux", "--hints", labels)

    def test_to_score_against(self, refused, song, tmp_path, rows, line):
        labels = self.labels(song, rows)
        assert f"{labels}, line {line}: " in refused("evaluate", tmp_path, "-m", "flux", "--processes", 1)

    def test_in_a_corpus(self, levada, song, tmp_path, rows, line):
        labels = self.labels(song, rows)
        code, out, err = levada("corpus", "check", tmp_path)
        assert code == 2
        assert f"error: {labels}, line {line}: " in out
        assert "Traceback" not in out + err


class TestLabelsBeyondTheAudio:
    def test_are_not_learnt(self, refused, song, tmp_path):
        short = clicks(tmp_path / "short.wav", duration_s=4.0)
        labels = short.with_suffix(".beats")
        for said in (
            refused("adapt", tmp_path, "-o", tmp_path / "out", "--strategy", "decoder"),
            refused("adapt", short, "--beats", labels, "-o", tmp_path / "out"),
        ):
            assert f"{labels}: has beats up to 11.00 s, and short.wav ends at 4.00 s" in said
        assert not list(tmp_path.glob("out*"))
        assert song.exists()

    def test_are_found_with_their_line(self, levada, tmp_path):
        short = clicks(tmp_path / "short.wav", duration_s=4.0)
        code, out, _ = levada("corpus", "check", tmp_path)
        assert code == 2
        assert f"error: {short.with_suffix('.beats')}, line 9: 14 beats after the end of the audio (4.00 s)" in out


class TestAudio:
    def tracked(self, levada, path):
        code, out, err = levada("track", path, "-m", "flux", "--json")
        assert code == 0, err
        assert "Traceback" not in err
        return [beat["time_s"] for beat in json.loads(out)["beats"]], err

    @pytest.mark.parametrize(
        ("name", "content", "said"),
        [
            ("none.wav", None, "there is no such file"),
            ("empty.wav", b"", "is an empty file"),
            ("text.wav", b"hello", "is not audio"),
            ("header.wav", b"RIFF\x24\x00\x00\x00WAVEfmt ", "is damaged"),
        ],
    )
    def test_that_is_none(self, refused, tmp_path, name, content, said):
        if content is not None:
            (tmp_path / name).write_bytes(content)
        assert f"levada: {tmp_path / name}: {said}" in refused("track", tmp_path / name, "-m", "flux")

    def test_of_zero_length(self, refused, tmp_path):
        soundfile.write(tmp_path / "zero.wav", np.zeros(0, np.float32), RATE)
        assert "zero.wav: has no audio samples" in refused("track", tmp_path / "zero.wav", "-m", "flux")

    def test_truncated_is_used_as_far_as_it_goes(self, levada, song, caplog):
        song.write_bytes(song.read_bytes()[: song.stat().st_size // 2])
        found, _ = self.tracked(levada, song)
        assert found[-1] < 6.1
        assert len(found) == pytest.approx(11, abs=2)
        assert "song.wav: truncated: its header promises 12.00 s, 6.00 s are there" in caplog.text

    @pytest.mark.parametrize("samples", [np.zeros(12 * RATE), np.ones(1), np.zeros(1)], ids=["silence", "1", "0"])
    def test_without_music_has_no_beats(self, levada, tmp_path, samples):
        path = tmp_path / "quiet.wav"
        soundfile.write(path, samples.astype(np.float32), RATE)
        found, err = self.tracked(levada, path)
        assert found == []
        assert "quiet.wav: no beats found; it may be silent" in err

    def test_without_music_makes_an_empty_beat_file_and_silent_clicks(self, levada, tmp_path, tiny_model):
        soundfile.write(tmp_path / "quiet.wav", np.zeros(3 * RATE, np.float32), RATE)
        out, clicked = tmp_path / "quiet.beats", tmp_path / "clicks.wav"
        code, _, err = levada("track", tmp_path / "quiet.wav", "-m", "flux", "-o", out, "--clicks", clicked)
        assert code == 0, err
        assert all(line.startswith("#") for line in out.read_text().splitlines())
        assert not audio.read(clicked)[0].any()
        code, _, err = levada("track", tmp_path / "quiet.wav", "-m", tiny_model)
        assert code == 0, err

    @pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (192_000, 1), (44100, 8)])
    def test_of_unusual_shape_gives_its_beats(self, levada, tmp_path, rate, channels):
        found, _ = self.tracked(levada, clicks(tmp_path / "odd.wav", rate=rate, channels=channels))
        inside = [time for time in found if 0.4 < time < 11.1]
        np.testing.assert_allclose(inside, BEATS.times_s, atol=0.03)

    def test_that_may_not_be_read(self, refused, song, monkeypatch):
        if os.geteuid():
            song.chmod(0)
        else:  # root reads everything
            refuse(monkeypatch, song)
        said = refused("track", song, "-m", "flux")
        assert f"{song}: " in said
        assert "permi" in said.lower() or "not read" in said

    def test_one_bad_recording_does_not_cost_the_others_their_beats(self, levada, song, tmp_path):
        (tmp_path / "bad.wav").write_bytes(b"hello")
        code, out, err = levada("track", tmp_path, "-m", "flux", "-o", tmp_path / "out", "--processes", 1, "--json")
        assert code == 3
        assert f"{tmp_path / 'bad.wav'}: is not audio" in err
        assert "beats of 1 recording written, 1 could not be tracked" in err
        assert json.loads(out)["written"] == [str(tmp_path / "out" / "song.beats")]
        assert len(read_beats(tmp_path / "out" / song.with_suffix(".beats").name)) >= 20


def refuse(monkeypatch, path):
    """Let opening a file fail as it does for whoever may not read it."""
    real_open, real_soundfile = open, soundfile.SoundFile

    def opened(file, *arguments, **words):
        if str(file) == str(path):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real_open(file, *arguments, **words)

    class Refusing(real_soundfile):
        def __init__(self, file, *arguments, **words):
            if str(file) == str(path):
                raise PermissionError(errno.EACCES, "Permission denied", str(path))
            super().__init__(file, *arguments, **words)

    monkeypatch.setattr("builtins.open", opened)
    monkeypatch.setattr(soundfile, "SoundFile", Refusing)


class TestModels:
    @pytest.fixture
    def model(self, tiny_model, tmp_path):
        return Path(shutil.copytree(tiny_model, tmp_path / "model"))

    def test_that_does_not_exist(self, refused, song):
        said = refused("track", song, "-m", "bass")
        assert "there is no model 'bass': name the folder of one, or one of base, latin, flux" in said

    @pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
    def test_with_a_missing_file(self, refused, song, model, missing):
        (model / missing).unlink()
        said = refused("track", song, "-m", model)
        assert str(model) in said
        assert missing in said

    @pytest.mark.parametrize("damaged", ["config.json", "model.safetensors"])
    @pytest.mark.parametrize("kept", [0, 100])
    def test_with_a_damaged_file(self, refused, song, model, damaged, kept):
        (model / damaged).write_bytes((model / damaged).read_bytes()[:kept])
        said = refused("track", song, "-m", model)
        assert str(model / damaged) in said
        assert "is damaged" in said

    def change(self, model, **changes):
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**config, **changes}))

    def test_of_an_unknown_network(self, refused, song, model):
        self.change(model, network="transformer")
        said = refused("track", song, "-m", model)
        assert f"{model / 'config.json'}: has an unknown network, 'transformer'" in said

    def test_of_another_shape_than_its_weights(self, refused, song, model):
        self.change(model, settings={"channels": 7, "levels": 5})
        assert f"{model / 'model.safetensors'}: is damaged, or not the weights of its config.json" in refused(
            "track", song, "-m", model
        )

    @pytest.mark.parametrize(
        "decoder", [{"min_tempo_bpm": 200, "max_tempo_bpm": 100}, {"magic": 1}, {"metres": "four"}, "no table"]
    )
    def test_with_a_decoder_that_makes_no_sense(self, refused, song, model, decoder):
        self.change(model, decoder=decoder)
        refused("track", song, "-m", model)

    def test_in_the_middle_of_a_comparison(self, refused, song, model, tmp_path):
        (model / "model.safetensors").unlink()
        assert song.exists()
        assert "model.safetensors" in refused("evaluate", tmp_path, "-m", "flux", "-m", model)


class TestOutputs:
    def test_that_exist_are_not_touched(self, refused, song, tmp_path):
        for name, option in (("x.beats", "-o"), ("x.wav", "--clicks"), ("x.png", "--plot")):
            (tmp_path / name).write_bytes(b"years of work")
            said = refused("track", song, "-m", "flux", option, tmp_path / name)
            assert f"{tmp_path / name}: exists already; choose another name, or --force" in said
            assert (tmp_path / name).read_bytes() == b"years of work"

    def test_of_which_one_exists_leave_no_other(self, refused, song, tmp_path):
        (tmp_path / "x.wav").write_bytes(b"years of work")
        refused("track", song, "-m", "flux", "-o", tmp_path / "x.beats", "--clicks", tmp_path / "x.wav")
        assert not (tmp_path / "x.beats").exists()

    def test_are_replaced_with_force(self, levada, song, tmp_path):
        (tmp_path / "x.beats").write_text("old")
        assert levada("track", song, "-m", "flux", "-o", tmp_path / "x.beats", "--force")[0] == 0
        assert len(read_beats(tmp_path / "x.beats")) >= 20

    def test_models_and_tables_that_exist_are_not_touched(self, refused, song, tmp_path):
        (tmp_path / "model").mkdir()
        (tmp_path / "model" / "config.json").write_text("{}")
        (tmp_path / "rows.csv").write_text("years of work")
        before = contents(tmp_path)
        assert "exists already" in refused("adapt", tmp_path, "-o", tmp_path / "model")
        assert "exists already" in refused("evaluate", tmp_path, "-o", tmp_path / "rows.csv")
        assert contents(tmp_path) == before
        assert song.exists()

    @pytest.mark.parametrize("option", ["-o", "--clicks"])
    def test_never_replace_what_is_read(self, refused, song, option):
        before = song.read_bytes()
        assert "is an input, and would be lost" in refused("track", song, option, song, "--force")
        assert song.read_bytes() == before

    def test_need_a_folder(self, refused, song, tmp_path):
        where = tmp_path / "file"
        where.touch()
        for arguments in (("track", song, "-o"), ("evaluate", tmp_path, "-o"), ("adapt", tmp_path, "-o")):
            said = refused(*arguments, where / "x.beats")
            assert f"{where / 'x.beats'}: cannot be created: {where} is a file" in said

    @pytest.mark.parametrize("option", ["-o", "--clicks", "--plot", "--page"])
    def test_of_unknown_kind_name_the_kinds_there_are(self, refused, song, tmp_path, option):
        name = "x.doc"
        said = refused("track", song, "-m", "flux", option, tmp_path / name)
        assert f"{tmp_path / name}: " in said
        assert not (tmp_path / name).exists()

    def test_on_a_full_disk_leave_nothing(self, refused, song, tmp_path, full_disk):
        with full_disk(100):
            said = refused("track", song, "-m", "flux", "-o", tmp_path / "x.beats")
        assert f"{tmp_path / 'x.beats'}: could not be written: the file would be larger" in said
        assert sorted(path.name for path in tmp_path.iterdir()) == ["song.beats", "song.wav"]


@pytest.mark.slow
class TestInterrupted:
    @pytest.fixture
    def adapting(self, rendered, tiny_model):
        audio_and_labels = (rendered / "a.wav", "--beats", rendered / "a.beats")
        options = ("--model", tiny_model, "--strategy", "finetune+augment")
        return lambda out: ("adapt", *audio_and_labels, *options, "-o", out)

    def test_adapting_killed_goes_on(self, interrupted, adapting, tmp_path):
        done = interrupted("SIGKILL", 2, *adapting(tmp_path / "mine"))
        assert done.returncode == -signal.SIGKILL
        assert not (tmp_path / "mine").exists()
        assert (tmp_path / "mine.part" / "training.ckpt").exists()
        assert interrupted("nothing", -1, *adapting(tmp_path / "mine")).returncode == 0
        log = (tmp_path / "mine" / "log.csv").read_text().splitlines()
        assert [row.split(",")[0] for row in log[-2:]] == ["2", "3"]
        assert log[2].startswith("2,")  # heard before the kill, and again: only step 1 was in the checkpoint
        assert interrupted("nothing", -1, *adapting(tmp_path / "unbroken")).returncode == 0
        weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("mine", "unbroken")]
        assert weights[0] == weights[1]
        assert sorted(path.name for path in tmp_path.iterdir()) == ["mine", "unbroken"]

    @pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
    def test_adapting_stopped_by_a_signal_goes_on(self, interrupted, adapting, tmp_path, name, code):
        done = interrupted(name, 2, *adapting(tmp_path / "mine"), "--json")
        assert done.returncode == code, done.stderr
        assert json.loads(done.stdout) == {"interrupted": name}
        assert done.stderr.splitlines()[1:] == [
            "stopped; the same command continues (adapt, pretrain, render, and commands on a folder)"
        ]
        assert [path.name for path in tmp_path.iterdir()] == ["mine.part"]
        assert interrupted("nothing", -1, *adapting(tmp_path / "mine")).returncode == 0
        steps = [row.split(",")[0] for row in (tmp_path / "mine" / "log.csv").read_text().splitlines()]
        assert steps == ["step", "1", "2", "3"]  # the step in which the signal came was finished and is not done again
        assert interrupted("nothing", -1, *adapting(tmp_path / "unbroken")).returncode == 0
        weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("mine", "unbroken")]
        assert weights[0] == weights[1]

    def test_adapting_on_a_full_disk_leaves_no_half_model(self, interrupted, adapting, tmp_path):
        done = interrupted("full", 4096, *adapting(tmp_path / "mine"))
        assert done.returncode == 2, done.stderr
        assert "Traceback" not in done.stderr
        assert "error inside levada" not in done.stderr
        assert "larger than is allowed" in done.stderr or "too large" in done.stderr
        assert not (tmp_path / "mine").exists()

    def test_a_folder_killed_goes_on(self, interrupted, levada, rendered, tmp_path):
        tracking = ("track", rendered, "-m", "flux", "-o", tmp_path / "out", "--processes", 1)
        done = interrupted("SIGKILL", 1, *tracking)
        assert done.returncode == -signal.SIGKILL
        assert [path.name for path in (tmp_path / "out").glob("*.beats")] == ["a.beats"]
        first = (tmp_path / "out" / "a.beats").stat().st_mtime_ns
        code, _, err = levada(*tracking)
        assert code == 0
        assert "beats of 2 recordings written, 1 existed already" in err
        assert (tmp_path / "out" / "a.beats").stat().st_mtime_ns == first
        assert all(len(read_beats(tmp_path / "out" / f"{name}.beats")) > 10 for name in "abc")

    @pytest.mark.parametrize(("name", "code"), [("SIGINT", 130), ("SIGTERM", 143)])
    def test_a_folder_stopped_by_a_signal_says_how_to_go_on(self, interrupted, rendered, tmp_path, name, code):
        out = tmp_path / "out"
        done = interrupted(name, 1, "track", rendered, "-m", "flux", "-o", out, "--processes", 1, "--json")
        assert done.returncode == code
        told = {"written": [str(out / "a.beats")], "kept": [], "failed": {}, "skipped": {}, "interrupted": name}
        assert json.loads(done.stdout) == told
        assert not [path for path in out.iterdir() if path.name.startswith(".levada-host")]
        said = "stopped; the same command continues (adapt, pretrain, render, and commands on a folder)"
        assert re.fullmatch(r"[-\d]{10} [:\d]{8} " + re.escape(said), done.stderr.strip())
        assert (tmp_path / "out" / "a.beats").exists()

    def test_a_folder_begun_with_another_model_is_left_alone(self, levada, refused, rendered, tiny_model, tmp_path):
        tracking = ("track", rendered, "-o", tmp_path / "out", "--processes", 1, "-m")
        assert levada(*tracking, "flux")[0] == 0
        before = contents(tmp_path / "out")
        assert "holds beats of a run that differs in tracker" in refused(*tracking, tiny_model)
        assert contents(tmp_path / "out") == before


class TestBeforeTheWork:
    """What cannot be written is refused before anything is tracked."""

    @pytest.mark.parametrize(
        ("option", "name", "problem"),
        [
            ("-o", "x.xyz", "x.xyz"),
            ("-o", f"{'x' * 300}.beats", "name is too long"),
            ("-o", "folder.beats", "is a folder"),
            ("--clicks", "x.xyz", "audio is written as"),
            ("--clicks", "x.opus", "x.opus"),
            ("--plot", "x.xyz", "figures are drawn as"),
        ],
    )
    def test_outputs(self, refused, tmp_path, option, name, problem):
        (tmp_path / "folder.beats").mkdir()
        song = clicks(tmp_path / "song.wav", channels=9 if name == "x.opus" else 1, rate=RATE)
        (tmp_path / "damaged").mkdir()
        said = refused("track", song, "-m", tmp_path / "damaged", option, tmp_path / name, "--force")
        assert problem in said  # and nothing of the model

    def test_a_disk_that_cannot_be_written(self, refused, song, tmp_path, monkeypatch):
        real = Path.touch

        def touch(path, *given, **more):
            if path.parent == tmp_path:
                raise OSError(errno.EROFS, "Read-only file system", str(path))
            real(path, *given, **more)

        monkeypatch.setattr(Path, "touch", touch)
        for arguments in (("track", song, "-o"), ("adapt", tmp_path, "-o"), ("evaluate", tmp_path, "-o")):
            assert "its disk can only be read" in refused(*arguments, tmp_path / "x.beats")
