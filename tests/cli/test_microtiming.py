"""`levada microtiming`: tables, figures, stems and patterns, and input that cannot be used."""

import csv
import json

import numpy as np
import pytest

from levada.beat_tracking.microtiming import measure_microtiming, tatum_grid
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import write_beats

RATE, LENGTH_S = 22050, 10.0
BEATS = Beats(0.5 + 0.5 * np.arange(17), np.arange(17) % 4 + 1)
LATE_S = np.array([0.0, 0.020, -0.030, 0.0])


def pulses(times_s, seed=0, level=0.4):
    samples, rng = np.zeros(round(LENGTH_S * RATE), np.float32), np.random.default_rng(seed)
    burst = (level * np.exp(-np.arange(400) / 60) * rng.uniform(-1, 1, 400)).astype(np.float32)
    for at in np.rint(np.asarray(times_s) * RATE).astype(int):
        samples[at : at + 400] += burst
    return samples


@pytest.fixture(scope="module")
def song(tmp_path_factory):
    """A folder with `song.wav`, its beats, and two stems."""
    folder = tmp_path_factory.mktemp("song")
    grid = tatum_grid(BEATS, 4)
    low, high = pulses(BEATS.times_s), pulses(grid + np.resize(LATE_S, len(grid)), seed=1, level=0.2)
    audio.write(folder / "song.wav", low + high, rate=RATE)
    (folder / "stems").mkdir()
    for name, stem in (("low", low), ("high", high), ("mixture", low + high)):
        audio.write(folder / "stems" / f"{name}.wav", stem, rate=RATE)
    write_beats(folder / "song.beats", BEATS)
    return folder


class TestTable:
    def test_has_the_timing_of_each_position(self, levada, song, tmp_path):
        beats, table = ("--beats", song / "song.beats"), tmp_path / "onsets.csv"
        code, out, err = levada("microtiming", song / "song.wav", *beats, "-o", table, "--json")
        assert code == 0, err
        timing = json.loads(out)["timing"]["recording"]
        assert timing["tatums_per_beat"] == 4
        assert [(row["beat"], row["tatum"]) for row in timing["positions"]] == [
            (beat, tatum) for beat in (1, 2, 3, 4) for tatum in (1, 2, 3, 4)
        ]
        for row in timing["positions"]:
            assert row["mean_ms"] == pytest.approx(1000 * LATE_S[row["tatum"] - 1], abs=1)
        with open(table, encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        measured = measure_microtiming(song / "song.wav", BEATS)
        assert [float(row["time_s"]) for row in rows] == pytest.approx(measured.times_s, abs=1e-4)
        assert {row["stem"] for row in rows} == {"recording"}

    def test_is_printed(self, levada, song):
        code, out, _ = levada("microtiming", song / "song.wav", "--beats", song / "song.beats", "--patterns", 2)
        assert code == 0
        lines = [line.split() for line in out.splitlines()]
        (second,) = (line for line in lines if line[:3] == ["recording", "1", "2"])
        assert float(second[4]) == pytest.approx(20, abs=1)
        assert "pattern" in out

    def test_of_stems_names_those_that_are_withheld(self, levada, song):
        stems = ("--stems", song / "stems")
        code, out, err = levada("microtiming", song / "song.wav", "--beats", song / "song.beats", *stems, "--json")
        assert code == 0, err
        timing = json.loads(out)["timing"]
        assert set(timing) == {"low", "high"}
        assert timing["low"]["onsets"] == len(BEATS)
        assert timing["high"]["withheld"] is None

    @pytest.mark.slow
    def test_widens_by_the_uncertainty_of_the_model(self, levada, tmp_path):
        import levada as package

        llamada = package.render("candombe", duration_s=12, seed=2)  # of which the base is not sure
        audio.write(tmp_path / "song.wav", llamada.mixture, rate=llamada.rate)
        widths = []
        for n in (0, 40):
            code, out, err = levada("microtiming", tmp_path / "song.wav", "--samples", n, "--json")
            assert code == 0, err
            rows = json.loads(out)["timing"]["recording"]["positions"]
            widths.append(np.mean([row["high_ms"] - row["low_ms"] for row in rows if row["low_ms"] is not None]))
        assert widths[1] > widths[0]


class TestFigure:
    def test_has_positions_the_piece_and_the_bars(self, levada, song, tmp_path, drawn):
        pytest.importorskip("matplotlib")
        stems = ("--stems", song / "stems", "--patterns", 2)
        plot = tmp_path / "timing.png"
        code, _, err = levada("microtiming", song / "song.wav", "--beats", song / "song.beats", *stems, "--plot", plot)
        assert code == 0, err
        assert plot.stat().st_size > 10_000
        assert len(drawn[0].axes) == 6  # two for each stem, and two for the bars


class TestRefused:
    def refused(self, levada, *arguments):
        code, _, err = levada("microtiming", *arguments)
        assert code == 2
        assert err.count("\n") == 1
        return err

    def test_beats_that_are_none_or_of_another_recording(self, levada, song, tmp_path):
        for number, (times_s, named) in enumerate((([1.0], "two beats"), ([1.0, 2.0, 30.0], "another recording"))):
            file = tmp_path / f"{number}.beats"
            write_beats(file, Beats(times_s))
            assert named in self.refused(levada, song / "song.wav", "--beats", file)

    def test_silence(self, levada, song, tmp_path):
        audio.write(tmp_path / "silence.wav", np.zeros(10 * RATE, np.float32), rate=RATE)
        assert "silent" in self.refused(levada, tmp_path / "silence.wav", "--beats", song / "song.beats")

    def test_stems_of_another_length_or_none(self, levada, song, tmp_path):
        command = (song / "song.wav", "--beats", song / "song.beats", "--stems")
        assert "no such folder" in self.refused(levada, *command, tmp_path / "none")
        assert "fewer than two" in self.refused(levada, *command, tmp_path)
        for name in "ab":
            audio.write(tmp_path / f"{name}.wav", np.zeros(5 * RATE, np.float32), rate=RATE)
        assert "5.00 s" in self.refused(levada, *command, tmp_path)

    def test_more_patterns_than_bars(self, levada, song):
        err = self.refused(levada, song / "song.wav", "--beats", song / "song.beats", "--patterns", 5)
        assert "4 bars" in err

    def test_samples_beside_beats_and_unknown_formats(self, levada, song, tmp_path):
        command = (song / "song.wav", "--beats", song / "song.beats")
        assert "--samples" in self.refused(levada, *command, "--samples", 10)
        assert ".csv" in self.refused(levada, *command, "-o", tmp_path / "a.xls")
