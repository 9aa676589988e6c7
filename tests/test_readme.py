"""Every command and every line of Python of the README, run one after another as a reader would."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from levada import audio
from levada.beats import Beats
from levada.formats import read_beats, write_beats

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
LINES = [
    line.removeprefix("$ ").split("  #")[0].strip()
    for kind, text in BLOCKS
    if kind in ("bash", "sh", "console")
    for line in text.splitlines()
]
INLINE = re.findall(r"`(levada [^`]+ [^`]+)`", README)
COMMANDS = list(dict.fromkeys(line for line in (*LINES, *INLINE) if line.startswith("levada ")))


@pytest.fixture(scope="module")
def reader(tmp_path_factory):
    """A folder with what the README speaks of, its recordings made of clicks."""
    folder = tmp_path_factory.mktemp("reader")
    for seed, name in enumerate(
        ["song", *(f"my-recordings/{n}" for n in range(6)), "archive/old", "archive/tape/older"]
    ):
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        beats = Beats(
            np.arange(0.3, 30, 0.5 + seed / 100), np.arange(len(np.arange(0.3, 30, 0.5 + seed / 100))) % 4 + 1
        )
        audio.write(path, audio.clicks(beats, rate=22050, duration_s=30.5)[None], rate=22050)
        if "my-recordings" in name:
            write_beats(path.with_suffix(".beats"), beats)
        if name == "song":
            write_beats(folder / "first-bars.beats", beats.between(0, 10))
    return folder


@pytest.fixture(autouse=True)
def as_reader(reader, monkeypatch):
    """Be in that folder, at home nowhere else, and let mirdata find one recording on the network."""
    from mirdata.core import Dataset

    def download(self, *_, **__):
        track = self.track(self.track_ids[0])
        for path in (track.audio_path, track.beats_path):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(track.audio_path).write_bytes((reader / "song.wav").read_bytes())
        Path(track.beats_path).write_text("0.5,1.1\n1.0,1.2\n")

    monkeypatch.chdir(reader)
    monkeypatch.setenv("HOME", str(reader / "home"))
    monkeypatch.setattr(Dataset, "download", download)


def test_there_are_commands_to_run():
    assert len(COMMANDS) >= 8
    assert {shlex.split(command)[1] for command in COMMANDS} >= {"beats", "adapt", "evaluate", "corpus", "models"}


@pytest.mark.usefixtures("few_steps", "one_process")
@pytest.mark.parametrize("command", COMMANDS)
def test_command(levada, command):
    words = shlex.split(command)[1:]
    code, out, err = levada(*words)
    assert code == 0, err
    for option in ("-o", "--clicks"):
        if option in words:
            assert Path(words[words.index(option) + 1]).exists()
    assert out or "-o" in words


@pytest.mark.parametrize("code", [text for kind, text in BLOCKS if kind == "python"])
def test_python(code):
    exec(compile(code, "README.md", "exec"), {})


def test_what_was_written_is_what_the_readme_says(reader):
    assert len(read_beats(reader / "song.beats")) > 40
    assert sorted(path.relative_to(reader / "out").as_posix() for path in (reader / "out").rglob("*.beats")) == [
        "old.beats",
        "tape/older.beats",
    ]
    known, found = read_beats(reader / "first-bars.beats"), read_beats(reader / "song-model" / "song.beats")
    assert np.abs(found.times_s[None] - known.times_s[:, None]).min(axis=1).max() < 0.011


def test_make_has_the_targets_the_readme_names():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)
    named = set(re.findall(r"(?:^|`)make ([\w-]+)", README, re.MULTILINE))
    assert phony is not None
    assert {"demo", "test"} <= named <= set(phony[1].split())


def test_files_the_readme_points_to_exist():
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert [link for link in links if not (ROOT / link).exists()] == []
