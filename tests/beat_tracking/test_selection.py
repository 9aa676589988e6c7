import csv
import itertools
import logging
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from levada import data
from levada.beat_tracking import selection as select
from levada.beat_tracking.selection import SCHEMES
from levada.beat_tracking.selection.features import rhythm_features, similarity
from levada.data import Track, load_corpus
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import read_beats, write_beats

PATTERNS = {"a": "x...x...x...x...", "b": "x..x..x...x.x...", "c": "xxx.xx.xxx.x.xx."}


def beaten(pattern: str, *, seed: int, duration_s: float = 20.0, bpm: float = 120.0, rate: int = 16000) -> np.ndarray:
    """Short bursts of noise on a pattern of sixteenths, from 1 s on."""
    rng, sound = np.random.default_rng(seed), np.zeros(round(duration_s * rate))
    burst = np.exp(-np.arange(800) / 150) * rng.standard_normal(800) * 0.1
    for n, time_s in enumerate(np.arange(1.0, duration_s - 0.1, 15 / bpm)):
        if pattern[n % len(pattern)] == "x":
            sound[round(time_s * rate) :][:800] += burst
    return sound[None].astype(np.float32)


@dataclass(frozen=True)
class Metronome:
    """Finds a beat every half a second from 1 s on, four to a bar, and is as sure of it as it is told."""

    sure: dict[str, float] = field(default_factory=dict)  # by the file's stem
    doubtful: tuple[float, float] = (0.0, 0.0)  # between these seconds it knows nothing
    downbeats: bool = True
    confident: bool = True
    name: str = "metronome"
    identity: str = ""
    trained_spans: dict = field(default_factory=dict)

    def track(self, path, **_) -> Beats:
        times = np.arange(1.0, audio.info(path).duration_s, 0.5)
        sure = np.full(len(times), self.sure.get(Path(path).stem, 0.9))
        sure[(times >= self.doubtful[0]) & (times < self.doubtful[1])] = 0.1
        positions = np.arange(len(times)) % 4 + 1 if self.downbeats else None
        return Beats(times, positions, sure if self.confident else None)


@pytest.fixture(scope="module")
def pool(tmp_path_factory) -> Path:
    """Three recordings of each of three rhythms: a0 … c2, 20 s each; not annotated, not to be changed."""
    folder = tmp_path_factory.mktemp("pool")
    for name, pattern in PATTERNS.items():
        for seed in range(3):
            sound = beaten(pattern, seed=seed, bpm=114.0 + 6 * seed)
            audio.write(folder / f"{name}{seed}.wav", sound, rate=16000)
    return folder


@pytest.fixture
def labelled(pool) -> list[Track]:
    """The same with labels: bars of 2 s from 1 s on."""
    times = np.arange(1.0, 19.1, 0.5)
    beats = Beats(times, np.arange(len(times)) % 4 + 1)
    return [replace(track, load=lambda: beats) for track in load_corpus(pool, labels="beats").tracks]


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def chosen(tracks, **said):
    settings = {"minutes": 0.75, "scheme": "facility", "rng": rng(), "tracker": Metronome()} | said
    return select.select(tracks, **settings)


def plainly(choices) -> list[tuple]:
    return [(one.track.id, one.start_s, one.end_s, one.bars) for one in choices]


class TestDraw:
    def test_random_is_what_a_corpus_draws(self, labelled):
        for seed in range(4):
            ours = select.sample(labelled, minutes=0.8, scheme="random", rng=rng(seed))
            assert ours == data.sample(labelled, minutes=0.8, seed=rng(seed))

    @pytest.mark.parametrize("scheme", SCHEMES)
    @pytest.mark.parametrize("minutes", [0.25, 0.8, 2.6])
    def test_whole_bars_up_to_the_budget(self, labelled, scheme, minutes):
        spans = select.sample(labelled, minutes=minutes, scheme=scheme, rng=rng(), tracker=Metronome())
        total_s = sum(span.duration_s for span in spans)
        assert 60 * minutes - 2.0 < total_s <= 60 * minutes + 1e-6
        assert all((span.start_s - 1) % 2 == (span.end_s - 1) % 2 == 0 for span in spans)
        again = select.sample(labelled, minutes=minutes, scheme=scheme, rng=rng(), tracker=Metronome())
        assert spans == again

    @pytest.mark.parametrize("scheme", ["facility", "k-medoids", "diversity"])
    def test_three_stretches_are_of_three_rhythms(self, labelled, scheme):
        spans = select.sample(labelled, minutes=0.8, scheme=scheme, rng=rng())
        assert {span.track.id[0] for span in spans} == set("abc")

    @pytest.mark.parametrize("scheme", sorted(set(SCHEMES) - {"random"}))
    def test_labels_have_no_say_in_what_is_labelled(self, labelled, scheme):
        times = np.arange(1.25, 19.1, 0.25)
        other = Beats(times, np.arange(len(times)) % 3 + 1)
        moved = [replace(track, load=lambda: other) for track in labelled]
        ids = [
            {
                span.track.id
                for span in select.sample(tracks, minutes=0.8, scheme=scheme, rng=rng(), tracker=Metronome())
            }
            for tracks in (labelled, moved)
        ]
        assert ids[0] == ids[1]

    def test_uncertainty_asks_the_tracker(self, labelled):
        spans = select.sample(
            labelled, minutes=0.26, scheme="uncertainty", rng=rng(), tracker=Metronome(sure={"b1": 0.2})
        )
        assert {span.track.id for span in spans} == {"b1"}

    def test_the_base_model_is_asked_where_none_is_named(self, labelled, monkeypatch):

        asked = []
        monkeypatch.setattr(
            "levada.beat_tracking.selection.simulate.load_tracker",
            lambda name: asked.append(name) or Metronome(sure={"c0": 0.1}),
        )
        spans = select.sample(labelled, minutes=0.26, scheme="uncertainty", rng=rng())
        assert asked == ["base"]
        assert {span.track.id for span in spans} == {"c0"}

    def test_others_follow_where_the_first_have_too_few_labels(self, labelled):
        few = Beats([1.0, 1.5, 2.0, 2.5, 3.0], [1, 2, 3, 4, 1])
        tracks = [replace(track, load=lambda: few) for track in labelled]
        spans = select.sample(tracks, minutes=0.25, scheme="facility", rng=rng())
        assert len({span.track.id for span in spans}) == 7

    def test_what_cannot_be_heard_is_drawn_last(self, labelled, tmp_path, caplog):
        audio.write(tmp_path / "silent.wav", np.zeros((1, 44100 * 20), np.float32), rate=44100)
        tracks = [*labelled, replace(labelled[0], id="silent", audio=tmp_path / "silent.wav")]
        spans = select.sample(tracks, minutes=2.0, scheme="facility", rng=rng())
        assert "silent" not in {span.track.id for span in spans}
        assert "is silent: used last" in caplog.text
        spans = select.sample(tracks, minutes=3.0, scheme="facility", rng=rng())
        assert "silent" in {span.track.id for span in spans}

    @pytest.mark.parametrize(
        ("said", "wrong"),
        [
            ({"scheme": "facillity"}, "did you mean 'facility'"),
            ({"minutes": 0.0}, "above 0 minutes"),
            ({"minutes": float("nan")}, "above 0 minutes"),
            ({"minutes": 0.02}, "shorter than a bar"),
            ({"minutes": 60.0}, "has 2.70 labelled minutes"),
            ({"scheme": "uncertainty", "tracker": Metronome(confident=False)}, "gives no confidence"),
        ],
    )
    def test_what_cannot_be_drawn(self, labelled, said, wrong):
        with pytest.raises(InputError, match=wrong):
            select.sample(labelled, **{"minutes": 0.8, "scheme": "facility", "rng": rng(), **said})

    def test_nothing_is_annotated(self, pool):
        with pytest.raises(InputError, match=r"0\.00 labelled minutes"):
            select.sample(load_corpus(pool, labels="beats").tracks, minutes=0.5, scheme="facility", rng=rng())


class TestChoose:
    @pytest.mark.parametrize("scheme", SCHEMES)
    def test_stretches_of_bars_up_to_the_budget(self, pool, scheme):
        found = chosen(load_corpus(pool, labels="beats").tracks, scheme=scheme)
        assert [one.rank for one in found] == [1, 2, 3]
        assert len({one.track.id for one in found}) == 3
        assert 45 - 2 < sum(one.duration_s for one in found) <= 45
        for one in found:
            assert (one.start_s - 1) % 2 == 0
            assert one.end_s - one.start_s == pytest.approx(2.0 * one.bars)
            assert one.reason
        assert plainly(found) == plainly(chosen(load_corpus(pool, labels="beats").tracks, scheme=scheme))

    def test_each_stands_for_its_rhythm(self, pool):
        found = chosen(load_corpus(pool, labels="beats").tracks)
        assert {one.track.id[0] for one in found} == set("abc")
        assert [one.reason for one in found] == ["represents 3 of 9 recordings"] * 3

    def test_what_is_like_an_annotated_one_waits(self, pool):
        beats = Beats([1.0, 1.5])
        tracks = [
            replace(track, load=lambda: beats) if track.id in ("a0", "b0") else track
            for track in load_corpus(pool, labels="beats").tracks
        ]
        for scheme in ("facility", "diversity"):
            assert chosen(tracks, minutes=0.25, scheme=scheme)[0].track.id[0] == "c"
        ids = {one.track.id for one in chosen(tracks, minutes=1.8)}
        assert len(ids) == 7
        assert not ids & {"a0", "b0"}

    def test_where_the_tracker_is_least_sure(self, pool):
        tracker = Metronome(sure={"c2": 0.3}, doubtful=(9.0, 13.0))
        found = chosen(
            load_corpus(pool, labels="beats").tracks, minutes=8.1 / 60, scheme="uncertainty", tracker=tracker
        )
        assert [one.track.id for one in found] == ["c2"]
        assert found[0].start_s <= 9.0
        assert found[0].end_s >= 13.0
        assert "mean confidence 20% here" in found[0].reason

    def test_beats_outside_the_bars_that_are_offered_do_not_count(self, pool):
        class Lost(Metronome):
            """Is quite sure of c2, but for many beats after a pause that belong to no whole bar."""

            def track(self, path, **kwargs):
                beats = super().track(path, **kwargs)
                if Path(path).stem != "c2":
                    return beats
                sure, positions = np.array(beats.confidence), np.array(beats.positions)
                late = beats.times_s >= 11.0
                sure[~late], sure[late] = 1.0, 0.0
                positions[late & (positions == 1)] = 2  # one endless bar, which is not offered
                positions[-1] = 1
                return Beats(beats.times_s, positions, sure)

        found = chosen(
            load_corpus(pool, labels="beats").tracks,
            minutes=8.1 / 60,
            scheme="uncertainty",
            tracker=Lost(sure={"b1": 0.6}),
        )
        assert [one.track.id for one in found] == ["b1"]
        assert "mean confidence 60% here" in found[0].reason

    def test_one_recording_is_chosen_from_in_several_places(self, tmp_path):
        audio.write(tmp_path / "long.wav", beaten(PATTERNS["b"], seed=0, duration_s=121.0), rate=16000)
        tracks = load_corpus(tmp_path, labels="beats").tracks
        found = sorted(chosen(tracks, minutes=0.8), key=lambda one: one.start_s)
        assert [round(one.start_s) for one in found] == pytest.approx([13, 53, 93], abs=4)
        tracker = Metronome(doubtful=(71.0, 79.0))
        unsure = chosen(tracks, minutes=0.5, scheme="uncertainty", tracker=tracker)
        assert any(one.start_s <= 71 and one.end_s >= 79 for one in unsure)
        for first, second in itertools.pairwise(found):
            assert first.end_s <= second.start_s

    def test_pauses_are_not_annotated(self, tmp_path):
        sound = beaten(PATTERNS["b"], seed=0, duration_s=60.0)
        sound[:, 16 * 16000 : 45 * 16000] = 0
        audio.write(tmp_path / "pause.wav", sound, rate=16000)
        for scheme in ("facility", "uncertainty"):
            tracker = Metronome(doubtful=(20.0, 40.0))
            for one in chosen(
                load_corpus(tmp_path, labels="beats").tracks, minutes=0.25, scheme=scheme, tracker=tracker
            ):
                assert one.end_s <= 17 or one.start_s >= 43

    def test_a_tracker_without_downbeats_or_confidence_gives_beats(self, pool):
        found = chosen(load_corpus(pool, labels="beats").tracks, tracker=Metronome(downbeats=False, confident=False))
        assert all(one.end_s - one.start_s == pytest.approx(0.5 * one.bars) for one in found)

    def test_the_whole_pool(self, pool):
        found = chosen(load_corpus(pool, labels="beats").tracks, minutes=2.4)
        assert len({one.track.id for one in found}) == 9

    def test_progress_ends_where_it_said(self, pool):
        for scheme in ("facility", "uncertainty"):
            told = []
            chosen(
                load_corpus(pool, labels="beats").tracks, scheme=scheme, progress=lambda *at, told=told: told.append(at)
            )
            assert told[0][0] == 1
            assert told[-1][0] == told[-1][1]

    def test_what_cannot_be_used_is_named_and_left_out(self, pool, tmp_path, caplog):
        import soundfile

        for name in ("a0.wav", "b0.wav"):
            shutil.copy(pool / name, tmp_path)
        audio.write(tmp_path / "silent.wav", np.zeros((1, 90_000), np.float32), rate=44100)
        audio.write(tmp_path / "one.wav", np.ones((1, 1), np.float32), rate=44100)
        soundfile.write(tmp_path / "nan.wav", np.full(200_000, np.nan, np.float32), 44100, subtype="FLOAT")
        (tmp_path / "text.wav").write_text("no music")
        with caplog.at_level(logging.WARNING):
            found = chosen(load_corpus(tmp_path, labels="beats").tracks, minutes=0.4)
        assert {one.track.id for one in found} == {"a0", "b0"}
        left_out = [line for line in caplog.messages if "skipped" in line]
        assert len(left_out) == 4
        assert all(any(f"{name}.wav" in line for line in left_out) for name in ("silent", "one", "nan", "text"))

    @pytest.mark.parametrize(
        ("said", "wrong"),
        [
            ({"scheme": "vote_k"}, "did you mean 'vote-k'"),
            ({"minutes": 0.0}, "above 0 minutes"),
            ({"minutes": float("inf")}, "above 0 minutes"),
            ({"minutes": 0.01}, "shorter than a bar"),
            ({"minutes": 10.0}, "3.00 minutes that could be annotated; asked 10"),
            ({"minutes": 2.95}, r"2\.\d+ minutes that could be annotated; asked 2.95"),
            ({"scheme": "uncertainty", "tracker": Metronome(confident=False)}, "gives no confidence"),
        ],
    )
    def test_what_cannot_be_chosen(self, pool, said, wrong):
        with pytest.raises(InputError, match=wrong):
            chosen(load_corpus(pool, labels="beats").tracks, **said)

    def test_nothing_to_choose_from(self, labelled, tmp_path):
        with pytest.raises(InputError, match="no recordings"):
            chosen([])
        with pytest.raises(InputError, match=r"all recordings \(9\) are annotated"):
            chosen(labelled)
        audio.write(tmp_path / "silent.wav", np.zeros((1, 90_000), np.float32), rate=44100)
        with pytest.raises(InputError, match="can be used"):
            chosen(load_corpus(tmp_path, labels="beats").tracks)

    def test_no_bars_are_found(self, pool, caplog):
        @dataclass(frozen=True)
        class Deaf(Metronome):
            def track(self, *_, **__) -> Beats:
                return Beats([])

        with pytest.raises(InputError, match=r"0\.00 minutes that could be annotated"):
            chosen(load_corpus(pool, labels="beats").tracks, tracker=Deaf())
        assert caplog.text.count("finds no bars") == 9


def test_rhythms_are_told_apart_whatever_the_tempo(pool):
    tracks = load_corpus(pool, labels="beats").tracks
    alike = similarity([rhythm_features(track) for track in tracks])
    np.fill_diagonal(alike, -2)
    assert all(tracks[i].id[0] == tracks[int(row.argmax())].id[0] for i, row in enumerate(alike))


class TestCommand:
    @pytest.fixture
    def run(self, monkeypatch, capsys):
        """The command as it is called, with a tracker that costs nothing."""
        import typer

        from levada.cli import select as selection

        monkeypatch.setattr("levada.beat_tracking.pretrained.load_tracker", lambda name: Metronome(name=str(name)))
        app = typer.Typer()
        app.command()(selection.select)

        def call(*arguments: object) -> tuple[str, str]:
            app([str(one) for one in arguments], standalone_mode=False)
            return capsys.readouterr()

        return call

    def test_a_table_for_people(self, pool, run):
        out, err = run(pool, "--minutes", "0.75")
        lines = out.splitlines()
        assert lines[0].split() == ["rank", "recording", "from", "to", "bars", "reason"]
        assert len(lines) == 4
        assert lines[1].split()[0] == "1"
        assert "3 recordings, by facility" in err

    def test_json_for_programs(self, pool, run):
        import json

        told = json.loads(run(pool, "--minutes", "0.75", "--scheme", "diversity", "--json")[0])
        assert told["scheme"] == "diversity"
        assert [one["rank"] for one in told["choices"]] == [1, 2, 3]
        assert {Path(one["audio"]).parent for one in told["choices"]} == {pool}

    def test_what_is_written_says_where_and_is_never_taken_for_labels(self, pool, tmp_path, run):
        from levada.data import check

        shutil.copytree(pool, tmp_path / "mine")
        run(tmp_path / "mine", "--minutes", "0.75", "-o", tmp_path / "mine")
        rows = list(csv.DictReader((tmp_path / "mine" / "selection.csv").read_text().splitlines()))
        assert [row["rank"] for row in rows] == ["1", "2", "3"]
        for row in rows:
            labels = (tmp_path / "mine" / f"{row['recording']}.annotate.txt").read_text().split("\t")
            assert (float(labels[0]), float(labels[1])) == (float(row["start_s"]), float(row["end_s"]))
            with pytest.raises(InputError, match="has no beats"):
                read_beats(tmp_path / "mine" / f"{row['recording']}.annotate.beats")
        opened = load_corpus(tmp_path / "mine", labels="beats")
        assert not opened.annotated
        assert not [note for note in opened.notes if note.severity == "warning"]
        assert check(opened).ok

    def test_work_is_never_overwritten(self, pool, tmp_path, run):
        shutil.copytree(pool, tmp_path / "mine")
        write_beats(tmp_path / "mine" / "a0.beats", Beats([1.0, 1.5], [1, 2]))
        before = (tmp_path / "mine" / "a0.beats").read_bytes()
        run(tmp_path / "mine", "--minutes", "1.8", "-o", tmp_path / "mine")
        begun = next((tmp_path / "mine").glob("*.annotate.beats"))
        begun.write_text(begun.read_text() + "1.000\t1\n")
        with pytest.raises(InputError, match="exists already"):
            run(tmp_path / "mine", "--minutes", "1.8", "-o", tmp_path / "mine")
        run(tmp_path / "mine", "--minutes", "1.8", "-o", tmp_path / "mine", "--force")
        assert begun.read_text().endswith("1.000\t1\n")
        assert (tmp_path / "mine" / "a0.beats").read_bytes() == before

    def test_recordings_in_folders_get_folders(self, pool, tmp_path, run):
        (tmp_path / "mine" / "one").mkdir(parents=True)
        shutil.copy(pool / "a0.wav", tmp_path / "mine" / "one")
        run(tmp_path / "mine", "--minutes", "0.2", "-o", tmp_path / "out")
        assert (tmp_path / "out" / "one" / "a0.annotate.txt").exists()

    @pytest.mark.parametrize(
        ("said", "wrong"),
        [
            (["--scheme", "faclity"], "did you mean 'facility'"),
            (["--minutes", "50"], "could be annotated; asked 50"),
        ],
    )
    def test_bad_input(self, pool, run, said, wrong):
        with pytest.raises(InputError, match=wrong):
            run(pool, *said)

    def test_the_output_is_a_file(self, pool, tmp_path, run):
        (tmp_path / "file").touch()
        with pytest.raises(InputError, match="is a file"):
            run(pool, "-o", tmp_path / "file")
        with pytest.raises(InputError, match="no audio files"):
            run(tmp_path)
