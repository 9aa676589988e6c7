"""Strokes of rendered stems, read back from files by independent readers."""

import csv
import json

import numpy as np
import pytest

from levada.data import check, load_corpus
from levada.data.rendered import render_corpus
from levada.errors import InputError
from levada.io import audio
from levada.synth.instruments import RATE
from levada.synth.performance import Stroke
from levada.synth.render import render_tradition
from levada.synth.strokes import write_strokes
from levada.synth.traditions import read_tradition


@pytest.fixture(scope="module")
def rendering():
    return render_tradition("candombe", duration_s=8, seed=1)


class TestRendering:
    @pytest.mark.parametrize("stems", [True, False])
    def test_each_stem_begins_with_its_first_stroke_to_the_sample(self, stems):
        rendered = render_tradition("candombe", duration_s=6, seed=3, stems=stems)
        assert set(rendered.strokes) == set(rendered.stems)
        for name, strokes in rendered.strokes.items():
            first = np.flatnonzero(np.abs(rendered.stems[name][0]) > 1e-6)[0]
            assert first == pytest.approx(strokes[0].time_s * RATE, abs=8), name  # an attack may begin at zero

    def test_times_are_whole_samples_in_order(self, rendering):
        for strokes in rendering.strokes.values():
            samples = np.array([one.time_s for one in strokes]) * RATE
            np.testing.assert_allclose(samples, np.rint(samples), atol=1e-6)
            assert (np.diff(samples) >= 0).all()
            assert all(0 < one.velocity <= 1 for one in strokes)


class TestFiles:
    def test_csv(self, rendering, tmp_path):
        strokes = rendering.strokes["chico"]
        write_strokes(tmp_path / "chico.csv", strokes)
        with open(tmp_path / "chico.csv", encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [round(float(row["time_s"]) * RATE) for row in rows] == [round(one.time_s * RATE) for one in strokes]
        assert [row["stroke"] for row in rows] == [one.stroke for one in strokes]
        assert [float(row["accent"]) for row in rows] == pytest.approx([one.velocity for one in strokes], abs=1e-6)

    def test_midi_is_exact_to_the_sample(self, rendering, tmp_path):
        mido = pytest.importorskip("mido")
        strokes = rendering.strokes["repique"]
        write_strokes(tmp_path / "repique.mid", strokes)
        file = mido.MidiFile(tmp_path / "repique.mid")
        names = {}
        notes, now = [], 0.0
        for message in file:
            now += message.time
            if message.type == "text":
                note, name = message.text.removeprefix("note ").split(": ")
                names[int(note)] = name
            if message.type == "note_on":
                notes.append((round(now * RATE), names[message.note], message.velocity))
        wanted = [(round(one.time_s * RATE), one.stroke, round(127 * one.velocity)) for one in strokes]
        assert sorted(notes) == sorted(wanted)

    def test_midi_keeps_pitches_and_ends_a_note_where_it_is_played_again(self, tmp_path):
        mido = pytest.importorskip("mido")
        played = [Stroke(0.1, "bass", 0.5, "open", 110.0, 1.0), Stroke(0.4, "bass", 0.001, "open", 110.0, 0.2)]
        write_strokes(tmp_path / "bass.mid", played)
        now, events = 0.0, []
        for message in mido.MidiFile(tmp_path / "bass.mid"):
            now += message.time
            if message.type in ("note_on", "note_off"):
                events.append((message.type, message.note, round(now, 6), message.channel))
        assert events == [
            ("note_on", 45, 0.1, 0), ("note_off", 45, 0.4, 0), ("note_on", 45, 0.4, 0), ("note_off", 45, 0.6, 0),
        ]  # fmt: skip

    def test_jams(self, rendering, tmp_path):
        strokes = rendering.strokes["piano"]
        write_strokes(tmp_path / "piano.jams", strokes)
        (annotation,) = json.loads((tmp_path / "piano.jams").read_text())["annotations"]
        assert annotation["namespace"] == "tag_open"
        found = [(one["time"], one["value"], one["confidence"]) for one in annotation["data"]]
        assert found == [(one.time_s, one.stroke, one.velocity) for one in strokes]

    def test_of_a_silent_stem(self, tmp_path):
        for ending in (".csv", ".mid", ".jams"):
            write_strokes(tmp_path / f"none{ending}", [])
            assert (tmp_path / f"none{ending}").stat().st_size > 0

    def test_other_endings_and_files_that_exist_are_refused(self, tmp_path):
        with pytest.raises(InputError, match=r"\.csv, \.mid, \.jams"):
            write_strokes(tmp_path / "a.txt", [])
        write_strokes(tmp_path / "a.csv", [])
        with pytest.raises(InputError, match="exists"):
            write_strokes(tmp_path / "a.csv", [])


class TestCorpus:
    @pytest.mark.parametrize("multitrack", [False, True])
    def test_strokes_lie_beside_the_stems_and_are_no_labels(self, tmp_path, multitrack):
        folder, candombe = tmp_path / "corpus", read_tradition("candombe")
        render_corpus(folder, candombe, minutes=0.1, recordings=1, multitrack=multitrack, strokes="csv")
        stems = folder / ("candombe-001" if multitrack else "candombe-001.stems")
        strokes = stems / "strokes"
        names = {path.stem for path in stems.glob("*.wav")} - {"mixture"}
        assert names == {path.stem for path in strokes.iterdir()}
        for name in names:
            with open(strokes / f"{name}.csv", encoding="utf-8", newline="") as file:
                rows = list(csv.DictReader(file))
            samples, _ = audio.read(stems / f"{name}.wav")
            if not rows:
                assert not samples.any()
                continue
            first = round(float(rows[0]["time_s"]) * RATE)
            assert np.abs(samples[0, first : first + 400]).max() > 10 * np.abs(samples[0, :first]).max(initial=0)
        for labels in ("stems",) if multitrack else ("beats",):
            corpus = load_corpus(folder, labels=labels)
            assert len(corpus.tracks) == 1
            if labels == "beats":
                assert not check(corpus).problems

    def test_change_nothing_else(self, tmp_path):
        candombe = read_tradition("candombe")
        for name, strokes in (("a", ""), ("b", "midi")):
            render_corpus(tmp_path / name, candombe, minutes=0.1, recordings=1, strokes=strokes)
        one, other = ((tmp_path / name / "candombe-001.wav").read_bytes() for name in "ab")
        assert one == other
        with pytest.raises(InputError, match="csv, midi, jams"):
            render_corpus(tmp_path / "c", candombe, minutes=0.1, strokes="xml")
