"""What a reader of the pages does, line by line; `test_pages` runs this file in a process of its own."""

import json
import shlex
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import read_beats, write_beats
from test_pages import COMMANDS, PYTHON

STUDY = """
strategies = ["pretrained", "decoder"]
minutes = [0.25]
external = ["flux"]
seeds = 1

[corpora]
mine = "my-recordings"
"""
DRUM_RATE = 8000
LESS_MUSIC = "render candombe --minutes 5", "render candombe --minutes 2"  # two recordings show the same
EXTERNAL = {"madmom": "madmom", "beatnet": "BeatNet", "librosa": "librosa"}


@pytest.fixture
def reader(tmp_path):
    """A folder with the files that the pages name; recordings are made of clicks."""
    folder = tmp_path / "reader"
    folder.mkdir()
    (folder / "my-study.toml").write_text(STUDY, encoding="utf-8")
    names = ["song", *(f"my-recordings/{number}" for number in range(6)), "archive/old", "archive/tape/older"]
    names += [f"my-pool/{number}" for number in range(4)]
    for seed, name in enumerate(names):
        path = folder / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        times = np.arange(0.3, 30, 0.5 + seed / 100)
        beats = Beats(times, np.arange(len(times)) % 4 + 1)
        audio.write(path, audio.clicks(beats, rate=22050, duration_s=30.5)[None], rate=22050)
        if name.startswith("my-recordings"):
            write_beats(path.with_suffix(".beats"), beats)
        if name == "song":
            write_beats(folder / "first-bars.beats", beats.between(0, 10))
    _struck(folder)
    return folder


def _struck(folder):
    """Songs of two drums, each at its own pace, with stems; solos and one-shots of them; and a recording of both."""
    songs = [*((folder / "my-stems", n, 50.0) for n in range(3)), *((folder / "more-stems", n, 20.0) for n in (3, 4))]
    for stems, number, length_s in songs:
        (stems / f"roda-{number}").mkdir(parents=True)
        for name, pace in (("surdo", 0.8), ("tamborim", 0.3)):
            one = _drum(name, pace + number / 50, length_s)
            audio.write(stems / f"roda-{number}" / f"{name}.wav", one[None], rate=DRUM_RATE)
    (folder / "my-solos").mkdir()
    for name, pace in (("surdo-1", 1.0), ("surdo-2", 1.05), ("tamborim-1", 0.25), ("tamborim-2", 0.26)):
        audio.write(folder / "my-solos" / f"{name}.wav", _drum(name, pace, 12.0)[None], rate=DRUM_RATE)
        times = np.arange(0.0, 11.8, 0.5 * pace / (1.0 if "surdo" in name else 0.25))
        write_beats(folder / "my-solos" / f"{name}.beats", Beats(times, np.arange(len(times)) % 2 + 1))
    (folder / "my-drums").mkdir()
    for stroke, name in (("bass", "surdo"), ("slap", "tamborim")):
        audio.write(folder / "my-drums" / f"cajón-{stroke}.wav", _drum(name, 1.0, 0.4)[None], rate=DRUM_RATE)
    roda = _drum("surdo", 0.8, 6.0), _drum("tamborim", 0.3, 6.0)
    audio.write(folder / "roda.wav", np.stack([roda[0] + 0.5 * roda[1], roda[0] + roda[1]]), rate=DRUM_RATE)


def _drum(name, pace_s, length_s):
    """Low or high strokes that die away."""
    time = np.arange(round(length_s * DRUM_RATE)) / DRUM_RATE
    low = name.startswith("surdo")
    stroke = np.exp(-(time % pace_s) * (6 if low else 30)) * np.sin(2 * np.pi * (70 if low else 1400) * (time % pace_s))
    return 0.3 * stroke.astype(np.float32)


@pytest.fixture(autouse=True)
def _as_reader(reader, monkeypatch):
    """Be in that folder and at home in it; what numba has compiled for librosa, which takes a minute, is kept."""
    cache = reader / "home" / ".cache" / "levada"
    cache.mkdir(parents=True)
    for compiled in (Path.home() / ".cache" / "levada").glob("numba-*"):
        (cache / compiled.name).symlink_to(compiled)
    monkeypatch.chdir(reader)
    monkeypatch.setenv("HOME", str(reader / "home"))


@pytest.fixture
def _network(reader, monkeypatch):
    """Let mirdata find one recording of candombe, and its index, where it looks for them."""
    from mirdata import core

    index = {"version": "1.0", "tracks": {"ansina": {"audio": ["ansina.flac", ""], "beats": ["ansina.csv", ""]}}}
    (reader / "index.json").write_text(json.dumps(index))

    def download(dataset, *_, **__):
        home = Path(dataset.data_home)
        (home / "ansina.flac").write_bytes((reader / "song.wav").read_bytes())
        (home / "ansina.csv").write_text("0.5,1.1\n1.0,1.2\n")

    monkeypatch.setattr(core.Index, "get_path", lambda *_: str(reader / "index.json"))
    monkeypatch.setattr(core.Dataset, "download", download)


@pytest.mark.usefixtures("few_steps", "one_process", "_network")
def test_every_command_does_what_it_says(levada, reader):
    for command in COMMANDS:
        words = shlex.split(command.replace(*LESS_MUSIC))[1:]
        if not all(find_spec(module) for name, module in EXTERNAL.items() if name in words):
            continue
        code, out, err = levada(*words)
        assert code == 0, f"{command}: {err}"
        assert out or "-o" in words, command
        written = [words[at + 1] for at, word in enumerate(words) if word in ("-o", "--clicks")]
        assert all(Path(name).exists() for name in written), command
    assert len(read_beats("song.beats")) > 40
    tracked = {path.relative_to("out").as_posix() for path in Path("out").rglob("*.beats")}
    assert tracked == {"old.beats", "tape/older.beats"}
    known, found = read_beats("first-bars.beats"), read_beats("song-model/song.beats")
    assert np.abs(found.times_s[None] - known.times_s[:, None]).min(axis=1).max() < 0.026
    whole, _ = audio.read("roda.wav")
    stems = {path.stem: audio.read(path)[0] for path in Path("stems").iterdir()}
    assert "surdo" in stems
    assert len(stems) > 1
    np.testing.assert_allclose(sum(stems.values()), whole, atol=1e-4)
    practice, _ = audio.read("practice/without-surdo.wav")
    np.testing.assert_allclose(practice, whole - stems["surdo"], atol=1e-4)
    assert (reader / "home" / "mir_datasets" / "candombe" / "ansina.csv").exists()


@pytest.mark.usefixtures("few_steps")
@pytest.mark.parametrize(("page", "code"), [(page, code) for page, code in PYTHON.items() if code])
def test_every_line_of_python_runs(page, code):
    """All blocks of a page, in their order."""
    exec(compile(code, page, "exec"), {})
