"""Rendered corpora: each recording whole or not there, the same seed the same bytes, and nothing of others is lost."""

import json
import re
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levada.data import check, load_corpus
from levada.data import rendered as room
from levada.data.rendered import render_corpus, sounds_of
from levada.errors import InputError
from levada.io import audio
from levada.io.files import lock_folder
from levada.io.formats import read_beats
from levada.synth.instruments import RATE, STRUCK, synthesise
from levada.synth.render import render
from levada.synth.traditions import read_tradition

CANDOMBE = read_tradition("candombe")


def made(folder, *, minutes=0.2, recordings=3, **changes):
    """Three recordings of four seconds."""
    return render_corpus(folder, CANDOMBE, minutes=minutes, recordings=recordings, **changes)


def contents(folder):
    """Files by path, but for the manifest, which has the time, and the lock."""
    files = [path for path in folder.rglob("*") if path.is_file() and "levada-" not in path.name]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def listed(folder):
    return {path.name for path in folder.iterdir() if "levada-" not in path.name}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A rendered corpus that nobody changes."""
    folder = tmp_path_factory.mktemp("rendered") / "corpus"
    made(folder)
    return folder


class TestContents:
    def test_every_recording_has_its_beats_and_stems(self, corpus):
        names = [f"candombe-00{number}" for number in (1, 2, 3)]
        there = listed(corpus)
        assert there == {
            "corpus.toml",
            *(f"{n}{e}" for n in names for e in (".wav", ".beats", ".stems")),
        }
        for name in names:
            facts = audio.info(corpus / f"{name}.wav")
            assert (facts.duration_s, facts.rate) == (4.0, RATE)
            beats = read_beats(corpus / f"{name}.beats")
            assert 6 < len(beats) < 11
            assert set(np.diff(beats.positions) % 4) == {1}
            stems = sorted(path.name for path in (corpus / f"{name}.stems").iterdir())
            assert {"chico.wav", "piano.wav"} <= {stem.replace("-1.", ".") for stem in stems}

    @pytest.fixture
    def changed(self, monkeypatch):
        """Let what is rendered be changed by a function."""

        def let(change):
            monkeypatch.setattr(room, "render", lambda *given, **asked: change(render(*given, **asked)))

        return let

    @pytest.mark.parametrize("gain", [0.25, 1.0, 3.0])
    def test_stems_are_as_loud_as_in_the_mixture(self, tmp_path, changed, gain):
        def in_the_rain(played):
            dry = sum(played.stems.values())
            rain = 0.02 * np.random.default_rng(0).standard_normal(dry.shape)
            late = np.roll(dry, 200, axis=1)  # the microphone stands a step and a half away
            return replace(played, mixture=(gain * late + rain).astype(np.float32))

        changed(in_the_rain)
        recording = made(tmp_path / "corpus", recordings=1, minutes=0.1).written[0]
        mixture = audio.read(recording)[0]
        stems = [audio.read(path)[0] for path in recording.with_suffix(".stems").iterdir()]
        assert all(stem.shape == mixture.shape for stem in stems)
        together = np.roll(sum(stems), 200, axis=1)
        assert (mixture * together).sum() / (together**2).sum() == pytest.approx(1, abs=0.05)  # within half a decibel

    def test_nothing_is_clipped(self, tmp_path, changed, caplog):
        changed(lambda played: replace(played, stems={part: 30 * stem for part, stem in played.stems.items()}))
        for path in made(tmp_path / "corpus", recordings=1, minutes=0.1).written:
            sounds = [audio.read(one)[0] for one in (path, *path.with_suffix(".stems").iterdir())]
            assert max(float(np.abs(sound).max()) for sound in sounds) <= 1
        assert not caplog.records

    def test_silence_stays_silent(self, tmp_path, changed):
        changed(lambda played: replace(played, stems={part: 0 * stem for part, stem in played.stems.items()}))
        recording = made(tmp_path / "corpus", recordings=1, minutes=0.1).written[0]
        assert not any(audio.read(path)[0].any() for path in recording.with_suffix(".stems").iterdir())

    def test_it_is_a_corpus_that_has_nothing_wrong(self, corpus):
        opened = load_corpus(corpus, labels="beats")
        assert [track.id for track in opened.tracks] == [f"candombe-00{number}" for number in (1, 2, 3)]
        assert [track.group for track in opened.tracks] == [track.id for track in opened.tracks]
        assert (opened.name, opened.licence) == ("Candombe, rendered", "CC0-1.0")
        assert "seed 0" in opened.citation
        assert CANDOMBE.sources[0] in opened.citation
        assert check(opened).ok

    def test_it_says_what_it_is(self, corpus):
        header = json.loads((corpus / "levada-manifest.jsonl").read_text().splitlines()[0])
        assert header["kind"] == "rendered recordings"
        said = header["config"]
        assert (said["tradition"], said["minutes"], said["recordings"], said["seed"]) == ("candombe", 0.2, 3, 0)
        assert said["levada"]
        assert len(said["description"]) == 64

    def test_recordings_differ(self, corpus):
        assert len({path.read_bytes() for path in corpus.glob("*.beats")}) == 3

    def test_a_minute_each_by_default(self, tmp_path, monkeypatch):
        def no_music(job):
            job.scratch.mkdir()
            (job.scratch / f"{job.item}.wav").touch()
            return job

        monkeypatch.setattr(room, "_render", no_music)
        for minutes, count in ((0.5, 1), (1.4, 1), (1.6, 2), (120, 120)):
            done = render_corpus(tmp_path / str(minutes), CANDOMBE, minutes=minutes, processes=1)
            assert len(done.written) == count

    def test_names_of_traditions_that_would_hide_their_files(self, tmp_path):
        hidden = replace(CANDOMBE, name=".candombe")
        done = render_corpus(tmp_path / "corpus", hidden, minutes=0.05)
        assert [path.name for path in done.written] == ["candombe-001.wav"]

    def test_titles_that_toml_would_stumble_over(self, tmp_path):
        odd = replace(CANDOMBE, title='A "quoted"\n\x7f\\ é title', sources=("\x01",))
        render_corpus(tmp_path / "corpus", odd, minutes=0.05)
        assert 'A "quoted"' in load_corpus(tmp_path / "corpus", labels="beats").name


class TestSeeds:
    def test_the_same_seed_gives_the_same_bytes(self, corpus, tmp_path):
        made(tmp_path / "again")
        assert contents(tmp_path / "again") == contents(corpus)

    def test_other_seeds_give_others(self, corpus, tmp_path):
        made(tmp_path / "other", seed=1)
        assert contents(tmp_path / "other")["candombe-001.wav"] != contents(corpus)["candombe-001.wav"]

    def test_processes_make_no_difference(self, corpus, tmp_path, monkeypatch):
        monkeypatch.setattr(room, "WORTH_A_PROCESS_S", 0.0)
        done = made(tmp_path / "two", processes=2)
        assert contents(tmp_path / "two") == contents(corpus)
        assert [path.name for path in done.written] == [f"candombe-00{number}.wav" for number in (1, 2, 3)]


@pytest.mark.slow
class TestGoingOn:
    def test_what_is_finished_is_kept(self, corpus, tmp_path):
        folder, told = tmp_path / "corpus", []
        made(folder)
        (folder / "candombe-002.wav").unlink()  # the last of a recording that is written
        first = (folder / "candombe-001.wav").stat().st_mtime_ns
        done = made(folder, progress=lambda *said: told.append(said))
        assert [path.name for path in done.written] == ["candombe-002.wav"]
        assert [path.name for path in done.kept] == ["candombe-001.wav", "candombe-003.wav"]
        assert (folder / "candombe-001.wav").stat().st_mtime_ns == first
        assert told == [(3, 3)]
        assert contents(folder) == contents(corpus)

    def test_a_killed_run_goes_on(self, corpus, tmp_path):
        folder = tmp_path / "corpus"
        code = (
            "import sys; from levada.data.rendered import render_corpus as r; from levada.synth.traditions import *\n"
        )
        code += "r(sys.argv[1], read_tradition('candombe'), minutes=0.2, recordings=3)"
        child = subprocess.Popen([sys.executable, "-c", code, folder])
        while not (folder / "candombe-002.wav").exists() and child.poll() is None:
            time.sleep(0.005)
        child.send_signal(signal.SIGKILL)
        child.wait()
        done = made(folder)
        assert len(done.kept) >= 1
        assert len(done.kept) + len(done.written) == 3
        there = {name: data for name, data in contents(folder).items() if not name.startswith(".levada-")}
        assert there == contents(corpus)

    @pytest.mark.parametrize("where", ["stems", "beats", "mixture"])
    def test_a_full_disk_leaves_no_half_recording(self, tmp_path, monkeypatch, where):
        folder, target = tmp_path / "corpus", "candombe-002"
        write_audio, write_beats = audio.write, room.write_beats

        def full(path):
            raise InputError("could not be written: the disk is full", path=path)

        def fail_audio(path, *given, **said):
            at_stems = where == "stems" and path.name == "piano.wav" and (folder / "candombe-001.wav").exists()
            if at_stems or (where == "mixture" and path.name == f"{target}.wav"):
                full(path)
            write_audio(path, *given, **said)

        def fail_beats(path, *given, **said):
            if where == "beats" and path.name == f"{target}.beats":
                full(path)
            write_beats(path, *given, **said)

        with monkeypatch.context() as patched:
            patched.setattr(audio, "write", fail_audio)
            patched.setattr(room, "write_beats", fail_beats)
            with pytest.raises(InputError) as error:
                made(folder)
        assert str(error.value) == (
            f"{folder / target}.wav: could not be written: the disk is full; "
            "finished and kept: 1 of 3 recordings; the same command goes on with the others"
        )
        assert sorted(listed(folder)) == [
            "candombe-001.beats", "candombe-001.stems", "candombe-001.wav", "corpus.toml",
        ]  # fmt: skip
        assert len(made(folder).kept) == 1

    def test_files_that_may_not_be_as_large(self, tmp_path):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
        try:
            with pytest.raises(
                InputError, match=r"candombe-001.wav: .*could not be written.*; finished and kept: 0 of 3"
            ):
                made(tmp_path / "corpus")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert sorted(contents(tmp_path / "corpus")) == ["corpus.toml"]

    def test_errors_in_processes_are_the_same(self, tmp_path, monkeypatch):
        monkeypatch.setattr(room, "WORTH_A_PROCESS_S", 0.0)
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, hard))
        try:
            with pytest.raises(InputError, match=r"^\S*candombe-00\d.wav: .*; finished and kept: 0 of 3") as error:
                made(tmp_path / "corpus")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert error.value.path.parent == tmp_path / "corpus"
        assert sorted(contents(tmp_path / "corpus")) == ["corpus.toml"]

    def test_ctrl_c_leaves_no_half_recording(self, tmp_path, monkeypatch):
        def stop(*_):
            raise KeyboardInterrupt

        monkeypatch.setattr(room, "write_beats", stop)
        with pytest.raises(KeyboardInterrupt):
            made(tmp_path / "corpus")
        assert sorted(contents(tmp_path / "corpus")) == ["corpus.toml"]


class TestFolders:
    def test_of_something_else_are_left_alone(self, tmp_path):
        (tmp_path / "thesis.txt").write_text("mine")
        for force in (False, True):
            with pytest.raises(InputError, match=r"is not empty and was not made by levada"):
                made(tmp_path, force=force)
        assert contents(tmp_path) == {"thesis.txt": b"mine"}

    @pytest.mark.parametrize(
        ("changes", "told"),
        [
            ({"seed": 1}, "seed (0 before, 1 now)"),
            ({"recordings": 2}, "recordings (3 before, 2 now)"),
            ({"minutes": 0.3}, "minutes (0.2 before, 0.3 now)"),
            ({"minutes": 0.3, "seed": 4}, "minutes (0.2 before, 0.3 now), seed (0 before, 4 now)"),
        ],
    )
    def test_of_another_run_are_replaced_with_force_alone(self, tmp_path, changes, told):
        made(tmp_path / "corpus", recordings=3, minutes=0.2)
        before = contents(tmp_path / "corpus")
        with pytest.raises(
            InputError,
            match=re.escape(f"of a run that differs in {told}; name another folder, or --force"),
        ):
            made(tmp_path / "corpus", **changes)
        assert contents(tmp_path / "corpus") == before
        (tmp_path / "corpus" / "mine.wav").write_bytes(b"mine")
        (tmp_path / "corpus" / "candombe-1.wav").write_bytes(b"mine")
        done = made(tmp_path / "corpus", force=True, **changes)
        assert not done.kept
        count = changes.get("recordings", 3)
        assert len(list((tmp_path / "corpus").glob("candombe-00*.wav"))) == len(done.written) == count
        assert (tmp_path / "corpus" / "mine.wav").read_bytes() == b"mine"
        assert (tmp_path / "corpus" / "candombe-1.wav").read_bytes() == b"mine"

    def test_of_a_description_that_changed(self, tmp_path):
        made(tmp_path / "corpus")
        with pytest.raises(InputError, match="of a run that differs in description"):
            render_corpus(tmp_path / "corpus", replace(CANDOMBE, spread=0.02), minutes=0.2, recordings=3)

    def test_of_sounds_replaced_under_the_same_name(self, tmp_path):
        shots, clicks = tmp_path / "shots", np.zeros((2, 400), np.float32)
        shots.mkdir()
        clicks[0, 0], clicks[1, 5] = 0.9, 0.9
        audio.write(shots / "chico-open.wav", clicks[:1], rate=RATE)
        made(tmp_path / "corpus", sounds=str(shots))
        audio.write(shots / "chico-open.wav", clicks[1:], rate=RATE, force=True)
        with pytest.raises(InputError, match="of a run that differs in sounds_digest"):
            made(tmp_path / "corpus", sounds=str(shots))

    def test_with_force_the_same_run_is_done_anew(self, corpus, tmp_path):
        made(tmp_path / "corpus")
        assert len(made(tmp_path / "corpus", force=True).written) == 3
        assert contents(tmp_path / "corpus") == contents(corpus)

    def test_what_somebody_changed_is_never_replaced(self, corpus, tmp_path):
        folder = tmp_path / "corpus"
        made(folder)
        (folder / "candombe-001.beats").write_text("0.5 1\n")
        (folder / "corpus.toml").write_text("[groups]\n'*' = 'mine'\n")
        before = contents(folder)
        for changes in ({}, {"seed": 1}, {"recordings": 2}):
            with pytest.raises(InputError, match=r"candombe-001.beats: was changed after levada wrote it"):
                made(folder, force=True, **changes)
            assert contents(folder) == before
        (folder / "candombe-001.beats").rename(tmp_path / "mine.beats")
        assert len(made(folder, force=True).written) == 3
        assert contents(folder) == {**contents(corpus), "corpus.toml": before["corpus.toml"]}

    def test_fewer_recordings_leave_those_that_somebody_changed(self, tmp_path):
        folder = tmp_path / "corpus"
        made(folder)
        (folder / "candombe-003.beats").write_text("0.5 1\n")
        (folder / "notes.txt").write_text("mine")
        made(folder, recordings=1, minutes=0.05, force=True)
        left = {f"candombe-001{ending}" for ending in (".wav", ".beats", ".stems")}
        assert listed(folder) == {*left, "corpus.toml", "candombe-003.beats", "notes.txt"}

    def test_two_processes_at_once_are_one(self, tmp_path):
        (tmp_path / "corpus").mkdir()
        with lock_folder(tmp_path / "corpus"), pytest.raises(InputError, match="another process"):
            made(tmp_path / "corpus")
        assert not listed(tmp_path / "corpus")

    def test_that_are_files_or_nowhere(self, tmp_path):
        (tmp_path / "file").write_text("mine")
        with pytest.raises(InputError, match="is a file: give the name of a folder"):
            made(tmp_path / "file")
        with pytest.raises(InputError, match="is a file, not a folder"):
            made(tmp_path / "file" / "corpus")

    def test_of_stems_are_no_recordings(self, corpus):
        assert all(".stems" not in str(track.audio) for track in load_corpus(corpus, labels="beats").tracks)
        assert load_corpus(corpus / "candombe-001.stems", labels="beats").tracks  # but may be opened on purpose


class TestAsked:
    @pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf"), 1e9])
    def test_minutes_that_make_no_sense(self, tmp_path, minutes):
        with pytest.raises(InputError, match="minutes to render must be above 0 and at most 10000, not "):
            render_corpus(tmp_path / "corpus", CANDOMBE, minutes=minutes)
        assert not (tmp_path / "corpus").exists()

    @pytest.mark.parametrize(
        ("minutes", "recordings", "told"),
        [
            (5, 0, "recordings to render must be 1 or more, not 0"),
            (5, -3, "must be 1 or more, not -3"),
            (1, 1000, "recordings of 0.1 s are too short to hold a few beats; render more minutes"),
            (0.01, None, "recordings of 0.6 s are too short"),
            (60, 1, "recordings of 60 minutes are too long; render 4 recordings or more"),
        ],
    )
    def test_recordings_that_make_no_sense(self, tmp_path, minutes, recordings, told):
        with pytest.raises(InputError, match=told):
            render_corpus(tmp_path / "corpus", CANDOMBE, minutes=minutes, recordings=recordings)
        assert not (tmp_path / "corpus").exists()

    @pytest.mark.parametrize("seed", [-1, 2**70])
    def test_seeds_that_are_none(self, tmp_path, seed):
        with pytest.raises(InputError, match="a seed must be a whole number"):
            made(tmp_path / "corpus", seed=seed)

    @pytest.mark.parametrize("sounds", ["none.sf2", "violins", "", "none/folder"])
    def test_sounds_that_are_not_there(self, tmp_path, sounds):
        with pytest.raises(InputError):
            made(tmp_path / "corpus", sounds=sounds)
        assert not (tmp_path / "corpus").exists()

    @pytest.mark.parametrize("listed", [False, True])
    def test_strokes_of_other_instruments(self, tmp_path, caplog, listed):
        shots = tmp_path / "shots"
        audio.write(shots / "pandeiro-open.wav", np.full((1, 400), 0.5, np.float32), rate=RATE)
        sounds = str(shots)
        if listed:
            sounds = str(tmp_path / "shots.toml")
            (tmp_path / "shots.toml").write_text("[pandeiro]\nopen = 'shots/pandeiro-open.wav'")
        with pytest.raises(InputError, match=r"has strokes of pandeiro, and none of what Candombe has: .*chico"):
            made(tmp_path / "corpus", sounds=sounds)
        assert not (tmp_path / "corpus").exists()
        audio.write(shots / "chico-open.wav", np.full((1, 400), 0.5, np.float32), rate=RATE)
        if listed:
            (tmp_path / "shots.toml").write_text("[chico]\nopen = 'shots/chico-open.wav'")
        made(tmp_path / "corpus", minutes=0.05, recordings=1, sounds=sounds)
        (message,) = caplog.messages
        assert "has no strokes of" in message
        assert "piano" in message
        assert "chico" not in message

    def test_sounds_of_a_folder_and_what_it_lacks_is_synthesised(self, tmp_path):
        shots = tmp_path / "shots"
        shots.mkdir()
        click = np.zeros((1, 400), np.float32)
        click[0, 0] = 0.9
        audio.write(shots / "chico-open.wav", click, rate=RATE)
        made(tmp_path / "corpus", sounds=str(shots))
        assert load_corpus(tmp_path / "corpus", labels="beats").licence == f"that of the sounds: {shots}"
        sounds, rng = sounds_of(str(shots)), np.random.default_rng(0)
        kinds = {type(sounds(voice, rng)) for voice in STRUCK}
        assert kinds == {type(sounds("chico", rng)), type(synthesise("surdo", rng))}
        assert len(kinds) == 2


class TestMultitracks:
    """Songs whose instruments were recorded each for itself."""

    @pytest.fixture(scope="class")
    def songs(self, tmp_path_factory):
        """Two songs that nobody changes."""
        folder = tmp_path_factory.mktemp("multitracks") / "corpus"
        made(folder, recordings=2, multitrack=True)
        return folder

    def test_every_song_is_a_folder_that_opens_and_nothing_is_wrong_with(self, songs):
        corpus = load_corpus(songs, labels="stems")
        assert [song.id for song in corpus.tracks] == ["candombe-001", "candombe-002"]
        assert set(corpus.instruments) <= {"chico", "repique", "piano", "madera"}
        assert corpus.licence == "CC0-1.0"
        assert not [problem for problem in check(corpus).problems if problem.severity != "note"]
        for song in corpus.tracks:
            assert len(song.instruments) >= 2
            assert song.duration_s == 6.0
            assert len(song.beats()) > 8

    def test_stems_sum_to_the_mixture(self, songs):
        corpus = load_corpus(songs, labels="stems")
        for song in corpus.tracks:
            stems, mixture = song.read(corpus.instruments, rate=RATE)
            assert np.array_equal(mixture, audio.read(song.mixture)[0])
            assert np.abs(stems.sum(axis=0) - mixture).max() < 1e-6
            assert 0.1 < np.abs(mixture).max() <= 1

    def test_the_same_seed_gives_the_same_bytes_also_when_interrupted(self, songs, tmp_path):
        for path in songs.rglob("*"):
            if path.is_file() and "candombe-002" not in path.parts:
                copy = tmp_path / "corpus" / path.relative_to(songs)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(path.read_bytes())
        went_on = made(tmp_path / "corpus", recordings=2, multitrack=True)
        assert [path.parent.name for path in went_on.written] == ["candombe-002"]
        assert [path.parent.name for path in went_on.kept] == ["candombe-001"]
        assert contents(tmp_path / "corpus") == contents(songs)

    def test_a_song_that_fails_leaves_nothing(self, tmp_path, full_disk):
        with full_disk(100_000), pytest.raises(InputError, match="finished and kept: 0 of 1"):
            made(tmp_path / "corpus", recordings=1, minutes=0.1, multitrack=True)
        assert listed(tmp_path / "corpus") == {"corpus.toml"}

    def test_other_kinds_are_refused_and_replaced_when_asked(self, tmp_path):
        made(tmp_path / "corpus", recordings=1, minutes=0.05)
        with pytest.raises(InputError, match=r"differs in multitrack \(false before, true now\)"):
            made(tmp_path / "corpus", recordings=1, minutes=0.05, multitrack=True)
        made(tmp_path / "corpus", recordings=1, minutes=0.05, multitrack=True, force=True)
        (tmp_path / "corpus" / "candombe-002").mkdir()
        assert listed(tmp_path / "corpus") == {
            *("corpus.toml", "candombe-001", "candombe-002"),
        }
        with pytest.raises(InputError, match=r"differs in multitrack \(true before, false now\)"):
            made(tmp_path / "corpus", recordings=1, minutes=0.05)
        made(tmp_path / "corpus", recordings=1, minutes=0.05, force=True)
        there = listed(tmp_path / "corpus")
        assert there >= {"candombe-001.wav", "candombe-002"}
        assert "candombe-001" not in there

    def test_the_command(self, tmp_path, levada):
        where = ("-o", tmp_path / "out")
        code, out, err = levada("render", "candombe", "--minutes", "0.05", "--multitrack", *where, "--json")
        assert code == 0, err
        assert [path.parent.name for path in map(Path, json.loads(out)["written"])] == ["candombe-001"]
