"""Recordings and folders that were misread, refused or not found: small reproductions in ../shared/cases."""

from pathlib import Path

import numpy as np
import pytest

from levada.beat_tracking.pretrained import load_tracker
from levada.data import check, load_corpus
from levada.errors import InputError
from levada.io import audio

CASES = Path(__file__).parent.parent.parent / "shared" / "cases"

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no cases beside the project (../shared/cases)")

SEVEN_S = [0.5 * i for i in range(1, 13)]


def holds(times_s: np.ndarray, expected: list[float]) -> bool:
    """Whether each expected beat has one within 50 ms."""
    return all(np.abs(times_s - time_s).min() < 0.05 for time_s in expected)


def test_joined_mp3s_have_all_their_beats() -> None:
    path = CASES / "mp3-joined" / "joined.mp3"
    assert audio.info(path).duration_s == pytest.approx(14.0, abs=0.01)
    assert holds(load_tracker("base").track(path).times_s, [*SEVEN_S, *(7 + time_s for time_s in SEVEN_S)])


def test_a_header_44_bytes_too_long_is_no_truncation(caplog) -> None:
    samples, rate = audio.read(CASES / "wav-44-bytes-short" / "take.wav")
    assert samples.shape[1] / rate == 7.0
    assert not caplog.records


def test_a_wav_that_was_never_closed_has_its_sound(caplog) -> None:
    path = CASES / "wav-never-closed" / "take.wav"
    assert holds(load_tracker("base").track(path).times_s, SEVEN_S)
    assert "7.00 s" in caplog.text


def test_channels_in_antiphase_have_their_beats() -> None:
    folder = CASES / "antiphase-stereo"
    found = load_tracker("base").track(folder / "take.flac").times_s
    assert holds(found, SEVEN_S)
    assert any("cancel" in problem.message for problem in check(load_corpus(folder, labels="beats")).problems)


def test_a_web_page_is_no_recording(capfd) -> None:
    with pytest.raises(InputError, match="is not audio"):
        audio.read(CASES / "web-page-named-mp3" / "page.mp3")
    assert capfd.readouterr() == ("", "")


def test_one_sample_has_no_beats() -> None:
    assert len(load_tracker("base").track(CASES / "one-sample" / "one.wav")) == 0


@pytest.mark.parametrize("case", ["name-nfd", "suffix-upper-case", "beats-txt", "brid-layout"])
def test_labels_that_are_there_are_found(case: str) -> None:
    corpus = load_corpus(CASES / case / "data", labels="beats")
    (track,) = corpus.tracks
    np.testing.assert_allclose(track.beats().times_s, [0.5 * i for i in range(1, 25)])
    assert not [note for note in corpus.notes if note.severity == "warning"]


@pytest.mark.usefixtures("few_steps")
def test_a_pickup_before_the_start_keeps_no_recording_out(levada, tmp_path) -> None:
    code, _, err = levada("adapt", CASES / "adapt-one-bad-file" / "data", "--strategy", "bayes", "-o", tmp_path / "m")
    assert code == 0, err
    assert "s1" in err
    assert (tmp_path / "m").is_dir()


def test_a_file_of_a_word_processor_is_named() -> None:
    problems = check(load_corpus(CASES / "rtf", labels="beats")).problems
    assert any("word processor" in problem.message for problem in problems if problem.severity == "error")
