"""Files of other people that were misread, refused or not found: the small reproductions in ../shared/cases."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from levada.data import check, load_corpus
from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats import BeatAnnotation, read_annotation

CASES = Path(__file__).parent.parent.parent / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no cases beside the project (../shared/cases)")

TIMES = [0.5 * i for i in range(1, 25)]
FOUR = [1, 2, 3, 4] * 6
DOWNBEATS = [1, 0, 0, 0] * 6
UNKNOWN = [0] * 24


def labels(case: str) -> BeatAnnotation:
    """Read the one file of labels of a case."""
    (path,) = (p for p in (CASES / case).iterdir() if p.name != "case.json" and p.suffix not in (".flac", ".wav"))
    return read_annotation(path)


@pytest.mark.parametrize(
    ("case", "positions"),
    [
        ("asap-labels", DOWNBEATS),
        ("clock-times", FOUR),
        ("comment-inline", FOUR),
        ("comment-percent", FOUR),
        ("excel-sep-line", FOUR),
        ("excel-trailing-semicolons", FOUR),
        ("header-downbeat-column", DOWNBEATS),
        ("header-spanish", FOUR),
        ("header-t-beat", FOUR),
        ("jams-first-annotation-empty", FOUR),
        ("jams-nan", DOWNBEATS),
        ("jams-unsorted", FOUR),
        ("negative-pickup", FOUR),
        ("pandas-unnamed-index", FOUR),
        ("quoted-decimal-comma", FOUR),
        ("reaper-back", FOUR),
        ("rwc-aist-beat-txt", FOUR),
        ("sonic-annotator-filename", FOUR),
        ("sv-bpm-labels", UNKNOWN),
        ("sv-labels-one-and-x", DOWNBEATS),
        ("sv-text-layer", FOUR),
        ("svl-bpm-labels", UNKNOWN),
        ("svl-time-values", FOUR),
        ("textgrid-points", FOUR),
        ("zero-based-positions", FOUR),
    ],
)
def test_labels_are_read_as_they_were_meant(case: str, positions: list[int]) -> None:
    reading = labels(case)
    np.testing.assert_allclose(reading.beats.times_s, TIMES, rtol=0, atol=1e-9)
    assert reading.beats.positions.tolist() == positions
    report = check(load_corpus(CASES / case, labels="beats"))
    assert [row.beats for row in report.rows] == [24]
    assert report.ok


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("header-downbeat-column", "positions of the other beats are unknown"),
        ("jams-unsorted", "sorted"),
        ("negative-pickup", "-0.013 s"),
        ("pandas-unnamed-index", "piano, bass, drums"),
        ("rwc-aist-beat-txt", "hundredths"),
        ("sv-bpm-labels", "tempi"),
        ("svl-bpm-labels", "tempi"),
        ("zero-based-positions", "count from 0"),
    ],
)
def test_what_was_assumed_is_shown_by_corpus_check(case: str, words: str) -> None:
    problems = check(load_corpus(CASES / case, labels="beats")).problems
    assert any(words in problem.message and problem.severity != "error" for problem in problems)


@pytest.mark.parametrize(("case", "words"), [("rtf", "word processor"), ("segments-lab-as-beats", "silence, intro")])
def test_what_is_no_annotation_of_beats_is_refused_by_name(case: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        labels(case)
    report = check(load_corpus(CASES / case, labels="beats"))
    assert not report.ok
    assert any(words in problem.message for problem in report.problems)


def test_adapt_refuses_segments(levada, tmp_path: Path) -> None:
    shutil.copytree(CASES / "segments-lab-as-beats", tmp_path / "data")
    code, _, err = levada("adapt", tmp_path / "data", "--strategy", "bayes", "-o", tmp_path / "m")
    assert code == 2
    assert "silence, intro" in err
    assert not (tmp_path / "m").exists()


def test_adapt_labels_zero_based(levada, tmp_path: Path) -> None:
    song, first = CASES / "adapt-labels-zero-based" / "song.flac", CASES / "adapt-labels-zero-based" / "first.beats"
    code, _, err = levada("adapt", song, "--beats", first, "--strategy", "bayes", "-o", tmp_path / "m")
    assert code == 0
    assert "count from 0" in err
    beats: Beats = read_annotation(tmp_path / "m" / "song.beats").beats
    np.testing.assert_allclose(beats.times_s[:12], TIMES[:12], rtol=0, atol=0.02)
    assert beats.positions[:12].tolist() == FOUR[:12]


def test_every_case_has_a_test() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_cases*.py"))
    cases = [path.parent.name for path in CASES.glob("*/case.json")]
    assert len(cases) == 44
    assert [case for case in cases if f'"{case}"' not in text] == []


def beats_of(path: Path, model: str = "base") -> Beats:
    """Track a recording with a model that ships."""
    from levada.beat_tracking.pretrained import load_tracker

    return load_tracker(model).track(path)


def test_gain_changes_no_beats() -> None:
    from levada.beat_tracking.pretrained import load_tracker
    from levada.io import audio

    tracker = load_tracker("latin")
    samples, rate = audio.read(CASES / "gain-changes-beats" / "take.mp3")
    truth = read_annotation(CASES / "gain-changes-beats" / "take.beats").beats
    loud = tracker.track(samples, rate)
    np.testing.assert_allclose(loud.times_s, truth.times_s, atol=0.07)
    for gain_db in (-18, -24, -36, -48):
        found = tracker.track(samples * np.float32(10 ** (gain_db / 20)), rate)
        assert found.positions.tolist() == loud.positions.tolist()
        np.testing.assert_allclose(found.times_s, loud.times_s, atol=0.001)


@pytest.mark.parametrize(
    ("case", "model", "gain_db"), [("quiet-45db-float-latin", "latin", 45), ("quiet-60db", "base", 60)]
)
def test_quiet_recordings_have_their_beats(case: str, model: str, gain_db: float) -> None:
    from levada.beat_tracking.pretrained import load_tracker
    from levada.io import audio

    (path,) = (p for p in (CASES / case).iterdir() if p.suffix in (".wav", ".flac") and p.stem == "take")
    samples, rate = audio.read(path)
    loud = load_tracker(model).track(samples * np.float32(10 ** (gain_db / 20)), rate)
    found = beats_of(path, model)
    assert 110 < found.tempo_bpm < 130
    assert len(found) >= 2 * samples.shape[1] / rate - 2
    assert found.positions.tolist() == loud.positions.tolist()
    np.testing.assert_allclose(found.times_s, loud.times_s, atol=0.02)


def test_silence_has_no_beats() -> None:
    (path,) = (CASES / "silence").glob("*.flac")
    assert len(beats_of(path)) == 0


def test_silence_around_music_has_no_beats() -> None:
    (path,) = (CASES / "silence-before-and-after").glob("*.flac")
    found = beats_of(path)
    assert len(found) == 20
    np.testing.assert_allclose(found.times_s, 10.5 + 0.5 * np.arange(20), atol=0.07)
