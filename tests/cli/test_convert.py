"""`levada convert`: files of beats in other formats, click tracks, and folders of them."""

import json

import numpy as np
import pytest

from levada.beat_tracking.tracker import BeatTracker, provenance
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import FORMATS, read_annotation, read_beats, write_beats
from levada.io.formats.provenance import is_unedited

BEATS = Beats(np.arange(0.5, 11.5, 0.5), np.arange(22) % 4 + 1)
SUFFIXES = [suffix for kind in FORMATS.values() if kind.dump is not None for suffix in kind.suffixes]


@pytest.fixture
def corrected(tmp_path):
    """Beats that a person corrected, `song.beats`."""
    write_beats(tmp_path / "song.beats", BEATS)
    return tmp_path / "song.beats"


@pytest.fixture
def song(corrected):
    """The recording of `corrected`, beside it."""
    audio.write(corrected.with_suffix(".wav"), np.zeros((1, 12 * 22050), np.float32), rate=22050)
    return corrected.with_suffix(".wav")


class TestFile:
    @pytest.mark.parametrize("suffix", SUFFIXES)
    def test_to_every_format_and_back(self, levada, corrected, tmp_path, suffix):
        there, back = tmp_path / f"x{suffix}", tmp_path / "back.beats"
        code, out, err = levada("convert", corrected, "-o", there)
        assert (code, out) == (0, ""), err
        assert levada("convert", there, "-o", back)[0] == 0
        beats = read_beats(back)
        np.testing.assert_allclose(beats.times_s, BEATS.times_s, atol=0.002)
        np.testing.assert_array_equal(beats.positions, BEATS.positions)

    def test_names_the_convention_that_it_assumed(self, levada, tmp_path):
        (tmp_path / "a.txt").write_text("".join(f"{0.5 * i:.3f}\t{i % 4}\n" for i in range(1, 30)))
        code, out, err = levada("convert", tmp_path / "a.txt", "-o", tmp_path / "a.svl", "--json")
        assert code == 0
        assert json.loads(out)["convention"] == read_annotation(tmp_path / "a.txt").convention == "zero-based"
        assert "convention zero-based (0 is the downbeat" in err
        code, out, _ = levada(
            "convert", tmp_path / "a.txt", "-o", tmp_path / "b.svl", "--convention", "times", "--json"
        )
        assert json.loads(out)["convention"] == "times"
        assert not read_beats(tmp_path / "b.svl").positions.any()

    def test_replaces_nothing_without_force(self, levada, corrected, tmp_path):
        (tmp_path / "x.svl").write_text("mine")
        code, _, err = levada("convert", corrected, "-o", tmp_path / "x.svl")
        assert code == 2
        assert "exists already" in err
        assert (tmp_path / "x.svl").read_text() == "mine"
        assert levada("convert", corrected, "-o", tmp_path / "x.svl", "--force")[0] == 0
        code, _, err = levada("convert", corrected, "-o", corrected, "--force")
        assert code == 2
        assert "is an input" in err

    def test_an_unknown_suffix(self, levada, corrected, tmp_path):
        code, _, err = levada("convert", corrected, "-o", tmp_path / "x.docx")
        assert code == 2
        assert ".reaper.csv" in err
        assert ".wav" in err

    @pytest.mark.usefixtures("corrected")
    def test_beats_that_nobody_corrected_stay_marked(self, levada, tmp_path):
        write_beats(tmp_path / "found.beats", BEATS, provenance=provenance(BeatTracker.from_pretrained("flux")))
        for name in ("found", "song"):
            assert levada("convert", tmp_path / f"{name}.beats", "-o", tmp_path / f"{name}.svl")[0] == 0
        assert is_unedited(tmp_path / "found.svl")
        assert not is_unedited(tmp_path / "song.svl")


class TestClicks:
    @pytest.mark.usefixtures("song")
    def test_on_the_recording_beside_the_beats(self, levada, corrected, tmp_path):
        code, _, err = levada("convert", corrected, "-o", tmp_path / "clicks.wav")
        assert code == 0, err
        clicked, rate = audio.read(tmp_path / "clicks.wav")
        assert (rate, clicked.shape) == (22050, (1, 12 * 22050))
        for time_s in BEATS.times_s:
            start = round(time_s * rate)
            assert np.abs(clicked[0, start : start + 100]).max() > 0.1
            assert np.abs(clicked[0, start - 100 : start - 1]).max() < 0.01

    def test_on_another_recording(self, levada, song, corrected, tmp_path):
        song.rename(tmp_path / "take-2.wav")
        code, _, err = levada("convert", corrected, "-o", tmp_path / "clicks.flac")
        assert code == 2
        assert "give it with --recording" in err
        options = ("--recording", tmp_path / "take-2.wav")
        assert levada("convert", corrected, "-o", tmp_path / "clicks.flac", *options)[0] == 0
        assert audio.info(tmp_path / "clicks.flac").duration_s == 12


class TestFolder:
    @pytest.fixture
    def labels(self, rendered, tmp_path):
        folder = tmp_path / "labels"
        (folder / "tape").mkdir(parents=True)
        for name, target in (("a", "a"), ("b", "tape/b")):
            (folder / f"{target}.beats").write_bytes((rendered / f"{name}.beats").read_bytes())
        return folder

    def test_is_converted_once(self, levada, labels, tmp_path):
        command = ("convert", labels, "-o", tmp_path / "out", "--suffix", ".reaper.csv", "--json")
        code, out, err = levada(*command)
        written = [str(tmp_path / "out" / name) for name in ("a.reaper.csv", "tape/b.reaper.csv")]
        assert code == 0
        assert json.loads(out) == {"written": written, "kept": [], "failed": {}, "skipped": {}}
        assert "convention positions" in err
        np.testing.assert_allclose(
            read_beats(written[1]).times_s, read_beats(labels / "tape" / "b.beats").times_s, atol=1e-6
        )
        assert json.loads(levada(*command)[1])["kept"] == written

    def test_with_a_file_that_cannot_be_read_converts_the_others(self, levada, labels, tmp_path):
        (labels / "c.beats").write_text("the chorus starts\n")
        code, _, err = levada("convert", labels, "-o", tmp_path / "out", "--suffix", ".svl")
        assert code == 3
        assert f"{labels / 'c.beats'}" in err
        assert sorted(path.name for path in (tmp_path / "out").rglob("*.svl")) == ["a.svl", "b.svl"]

    def test_keeps_what_others_wrote(self, levada, labels, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a.svl").write_text("mine")
        code, _, err = levada("convert", labels, "-o", tmp_path / "out", "--suffix", ".svl", "--force")
        assert code == 3
        assert "was not written by levada" in err
        assert (tmp_path / "out" / "a.svl").read_text() == "mine"

    def test_itself_is_no_output(self, levada, labels):
        code, _, err = levada("convert", labels, "-o", labels, "--suffix", ".svl")
        assert code == 2
        assert "give another folder" in err

    def test_to_clicks_on_recordings_elsewhere(self, levada, labels, rendered, tmp_path):
        (labels / "tape" / "b.beats").rename(labels / "b.beats")
        options = ("--suffix", ".wav", "--recording", rendered)
        assert levada("convert", labels, "-o", tmp_path / "out", *options)[0] == 0
        assert audio.info(tmp_path / "out" / "b.wav").duration_s == pytest.approx(12, abs=0.01)
