"""Names, files and streams that no program likes: each ends in a sentence, and one of many stops nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000
BEATS = "".join(f"{0.5 * i:.3f}\t{(i - 1) % 4 + 1}\n" for i in range(1, 16))


def clicks(path: Path) -> Path:
    sound = np.zeros(8 * RATE, np.float32)
    for i in range(1, 16):
        sound[i * RATE // 2 :][:200] = 0.5 * np.sin(np.arange(200))
    soundfile.write(os.fsencode(path), sound, RATE, format="WAV")
    return path


def latin1(name: str) -> str:
    return os.fsdecode(name.encode("latin-1"))


def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[bytes]:
    code = "from levada.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", code, *map(os.fsencode, arguments)], check=False, capture_output=True, **options
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Four annotated recordings, one with a name that is not UTF-8, and everything that may lie among them."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name in ("a", "b", "c", latin1("canci\u00f3n")):
        clicks(folder / f"{name}.wav")
        (folder / f"{name}.beats").write_text(BEATS)
    (folder / "broken.wav").write_bytes(b"RIFF\xff\0\0\0WAVEfmt ")
    (folder / "broken.beats").write_text(BEATS)
    clicks(folder / "wrong.wav")
    (folder / "wrong.beats").write_text("this is\nno beat file\n")
    (folder / "loop.wav").symlink_to("loop.wav")
    clicks(folder / "pipe.wav")
    os.mkfifo(folder / "pipe.beats")
    os.mkfifo(folder / "fifo.wav")
    return folder


@pytest.mark.parametrize(
    "name",
    ["x" * 300 + ".wav", "file/a.wav", "loop/a.wav", "none/a.wav", "folder", "fifo.wav", latin1("canci\u00f3n.wav")],
)
@pytest.mark.parametrize("command", [["track"], ["separate", "-m", "base"], ["corpus", "check"]], ids=" ".join)
def test_a_recording_that_cannot_be_opened_is_the_users_to_mend(levada, tmp_path, command, name):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo.wav")
    code, _, err = levada(*command, tmp_path / name)
    assert code == 2
    assert "error inside levada" not in err
    assert err.count("\n") == 1
    err.encode("utf-8")


@pytest.mark.parametrize("name", ["x" * 300 + ".beats", "file/a.beats", "loop/a.beats"])
def test_an_output_that_cannot_be_written_is_refused(levada, tmp_path, name):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    code, _, err = levada("track", clicks(tmp_path / "song.wav"), "-m", "flux", "-o", tmp_path / name)
    assert code == 2
    assert "error inside levada" not in err


@pytest.mark.slow
@pytest.mark.usefixtures("one_process")
def test_check_evaluate_select_and_beats_go_on_past_what_cannot_be_used(levada, corpus, tmp_path, caplog):
    code, out, err = levada("corpus", "check", corpus)
    assert code == 2, err
    for name in ("broken.wav", "wrong.beats", "pipe.beats", "fifo.wav", "loop.wav"):
        assert f"/{name}" in out, name
    assert "canci\\xf3n" in out
    code, _, err = levada("evaluate", corpus, "-m", "flux", "-o", tmp_path / "scores.csv")
    assert code == 3, err
    text = (tmp_path / "scores.csv").read_text(encoding="utf-8")
    assert "canci\\xf3n" in text
    assert all(name in text for name in ("broken", "wrong", "pipe"))
    for name in ("d.wav", latin1("ag\u00fe.wav")):
        clicks(corpus / name)
    (corpus / "e.wav").write_bytes(b"RIFF\xff\0\0\0WAVEfmt ")
    code, _, err = levada("select", corpus, "-o", tmp_path / "chosen", "--minutes", "0.1")
    assert code == 0, err
    assert "e.wav" in caplog.text
    code, _, err = levada("track", corpus, "-m", "flux", "-o", tmp_path / "beats", "--json")
    assert "error inside levada" not in err
    assert len([*(tmp_path / "beats").glob("*.beats")]) == 8


@pytest.mark.usefixtures("one_process", "few_steps")
def test_adapt_names_what_it_cannot_use_and_goes_on(levada, corpus, tmp_path):
    code, _, err = levada("adapt", corpus, "--strategy", "decoder", "-o", tmp_path / "m")
    assert code == 0, err
    for name in ("broken.wav", "wrong.beats", "pipe.beats"):
        assert name in err
    assert (tmp_path / "m" / "config.json").is_file()


def test_json_of_a_name_that_is_not_utf8_is_json(corpus):
    done = run("track", corpus / latin1("canci\u00f3n.wav"), "-m", "flux", "--json")
    assert done.returncode == 0, done.stderr
    assert os.fsencode(json.loads(done.stdout)["recording"]).endswith(b"canci\xf3n.wav")


@pytest.mark.slow
@pytest.mark.parametrize("closed", [(2,), (1, 2), (0, 1, 2)])
def test_closed_streams_stop_nothing_and_get_nothing(tmp_path, closed):
    song = clicks(tmp_path / "song.wav")
    command = " ".join(f"{number}>&-" if number else "0<&-" for number in closed)
    done = subprocess.run(
        ["sh", "-c", f'exec "$0" -c "from levada.cli import main; main()" track "$1" -m flux -o "$2" {command}',
         sys.executable, song, tmp_path / "song.beats"],
        check=False, capture_output=True,
    )  # fmt: skip
    assert done.returncode == 0
    assert done.stdout == b""
    mark, *lines = (tmp_path / "song.beats").read_text().splitlines()
    assert mark.startswith("#")
    assert len(lines) >= 14
    assert all(len(line.split("\t")) == 2 for line in lines)


def test_a_message_does_not_reach_the_terminal_raw(levada, tmp_path):
    code, _, err = levada("track", tmp_path / "\x1b]0;title\x07.wav")
    assert code == 2
    assert "\x1b" not in err
    assert "\\x1b]0;title\\x07.wav" in err


@pytest.mark.parametrize("seed", ["-1", "4294967296", "99999999999999999999"])
@pytest.mark.parametrize("command", [["adapt", "x", "-o", "m"], ["evaluate", "x"], ["render", "candombe", "-o", "r"]])
@pytest.mark.usefixtures("in_tmp_path")
def test_a_seed_that_no_generator_takes_is_refused(levada, command, seed):
    code, _, err = levada(*command, "--seed", seed)
    assert code == 2
    assert "seed" in err


@pytest.mark.parametrize(
    "content", ["[" * 100_000 + "]" * 100_000, '{"format": ' + "9" * 5000 + "}", '{"format": 1e999}', "\0", ""]
)
def test_a_model_whose_description_is_damaged_is_refused(levada, tmp_path, tiny_model, content):
    import shutil

    shutil.copytree(tiny_model, tmp_path / "m")
    (tmp_path / "m" / "config.json").write_text(content)
    code, _, err = levada("track", clicks(tmp_path / "song.wav"), "-m", tmp_path / "m")
    assert code == 2
    assert "error inside levada" not in err
