"""Errors of tapping and numbering are found from the labels, before anything is learnt from them."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from levada.data import check, check_labels, load_corpus, single, usable
from levada.data.label_check import label_problems
from levada.data.label_lag import label_lag_s, lag_problems, onset_strength
from levada.io.beats import Beats
from levada.io.formats import read_annotation, write_beats

TIMES = 0.5 * np.arange(1, 41)
FOUR = np.arange(40) % 4 + 1


def errors(times: np.ndarray, positions: np.ndarray | list[int] | None = None) -> list[tuple[str, int | None]]:
    return [(what, at) for severity, what, at in label_problems(Beats(times, positions)) if severity == "error"]


def warnings(times: np.ndarray, positions: np.ndarray | None = None) -> list[tuple[str, int | None]]:
    return [(what, at) for severity, what, at in label_problems(Beats(times, positions)) if severity == "warning"]


def numbered(changes: dict[int, int]) -> np.ndarray:
    positions = FOUR.copy()
    positions[list(changes)] = list(changes.values())
    return positions


def test_good_labels_have_no_problems() -> None:
    rng = np.random.default_rng(0)
    tapped = TIMES + rng.normal(0, 0.015, 40)
    for times in (TIMES, tapped, np.cumsum(0.5 * np.linspace(1.4, 0.7, 40)), np.cumsum([0.4] * 20 + [0.6] * 20)):
        for positions in (FOUR, None, np.arange(40) % 3 + 1, [1, 2, 3, 4, 1, 2, 3] + [1, 2, 3, 4] * 8 + [0]):
            assert [*label_problems(Beats(times, positions))] == []


def test_swing_and_a_late_last_beat_are_no_unequal_beats() -> None:
    """A Viennese waltz hurries the second beat; a cycle of 2+2+3 does not look like it."""
    waltz = np.cumsum(np.tile([0.29, 0.38, 0.33], 13))
    assert errors(waltz, np.arange(39) % 3 + 1) == []


def test_a_missed_beat_over_which_the_numbers_count_on() -> None:
    ((what, at),) = errors(np.delete(TIMES, 10), FOUR[:39])
    assert at == 10
    assert "a beat seems to be missing (1.00 s from 5.000 s, where others are 0.50 s apart)" in what
    assert "add it" in what


def test_a_missed_beat_that_the_numbers_know_of_is_a_warning() -> None:
    for positions in (np.delete(FOUR, 10), None):
        assert errors(np.delete(TIMES, 10), positions) == []
        ((what, at),) = warnings(np.delete(TIMES, 10), positions)
        assert (at, what[:26]) == (10, "a beat seems to be missing")


@pytest.mark.parametrize("late", [0.04, 0.08, 0.12, 0.25, 0.4])
@pytest.mark.parametrize("usual", [0.5, 1.0])
def test_a_beat_tapped_twice(late: float, usual: float) -> None:
    times = np.insert(TIMES * usual / 0.5, 11, TIMES[10] * usual / 0.5 + late * usual / 0.5)
    for positions in (np.arange(41) % 4 + 1, np.insert(FOUR, 11, FOUR[10]), None):
        ((what, at),) = errors(times, positions)
        assert at == 11
        assert f"marked twice ({times[11]:.3f} s" in what


@pytest.mark.parametrize(
    ("changes", "at"),
    [({0: 2}, 1), ({8: 2}, 8), ({8: 2, 12: 2, 16: 2}, 8), ({9: 4}, 9), ({10: 1, 11: 3}, 11)],
)
def test_numbers_for_which_there_is_no_time(changes: dict[int, int], at: int) -> None:
    ((what, found),) = errors(TIMES, numbered(changes))
    assert found == at
    assert "after one beat" in what


def test_marks_between_numbered_beats_are_no_beats() -> None:
    ((what, at),) = errors(TIMES / 2, [number for beat in FOUR[:20] for number in (beat, 0)])
    assert at == 1
    assert "1 mark without a number between beats 1 and 2" in what


@pytest.mark.parametrize("cycle", [[2, 2, 2, 3], [3, 2, 2], [2, 3], [2, 2, 3, 2, 2], [1, 2], [1, 1, 1, 2]])
def test_unequal_beats_in_a_cycle(cycle: list[int]) -> None:
    """They are recognised where they are numbered; without numbers nobody knows where the cycle begins."""
    rng = np.random.default_rng(1)
    intervals = np.tile(cycle, 12) * 0.2 + rng.normal(0, 0.01, 12 * len(cycle))
    times = np.cumsum([0.3, *intervals[:-1]])
    ((severity, what, at),) = label_problems(Beats(times, np.arange(len(times)) % len(cycle) + 1))
    assert (severity, at) == ("note", 0)
    assert f"{'+'.join(map(str, cycle))} in 11 bars" in what
    if 2 in cycle and 3 in cycle:
        assert "number them" in errors(times)[0][0]


@pytest.mark.parametrize("cycle", [[1.0, 1.2, 1.75], [1.0, 2.9]])
def test_unequal_beats_that_fit_no_small_whole_numbers(cycle: list[float]) -> None:
    times = np.cumsum(np.tile(cycle, 12) * 0.3)
    ((what, at),) = errors(times, np.arange(len(times)) % len(cycle) + 1)
    assert at == 0
    assert "no small whole numbers" in what


def test_a_missed_beat_among_unequal_ones() -> None:
    """The numbers count on, so that the cycle begins on another beat from then on."""
    times = np.cumsum([0.3, *np.tile([0.4, 0.4, 0.6], 14)])
    for missed in (18, 19, 20):
        found = errors(np.delete(times, missed), (np.arange(42) % 3 + 1))
        assert any("counted from another beat" in what and at in (18, 21) for what, at in found)


@pytest.mark.parametrize("scale", [1000.0, 100.0, 0.001])
def test_times_in_another_unit(scale: float) -> None:
    ((what, _),) = errors(TIMES * scale, FOUR)
    assert "another unit" in what


def test_the_line_is_named(tmp_path: Path) -> None:
    rows = [f"{time:.3f}\t{position}\n" for time, position in zip(TIMES, FOUR, strict=True)]
    del rows[10]
    text = "# ana\n\n" + "".join(f"{row.split()[0]}\t{FOUR[i]}\n" for i, row in enumerate(rows))
    (tmp_path / "a.beats").write_text(text)
    (tmp_path / "a.wav").touch()
    (problem,) = check_labels(single(tmp_path / "a.wav", tmp_path / "a.beats").tracks[0])
    assert (problem.severity, problem.line) == ("error", 13)


def test_downbeats_alone_are_read_and_not_learnt_from(tmp_path: Path) -> None:
    (tmp_path / "a.beats").write_text("".join(f"{2 * i}.5\t1\n" for i in range(9)))
    (tmp_path / "a.wav").touch()
    assert len(read_annotation(tmp_path / "a.beats").beats) == 9
    good, problems = usable(single(tmp_path / "a.wav", tmp_path / "a.beats").tracks)
    assert good == []
    assert any("marks downbeats only" in problem.message for problem in problems)


@pytest.mark.parametrize("tradition", ["candombe", "samba", "chacarera"])
def test_no_shift_is_told_of_good_labels(tradition: str) -> None:
    from levada.synth.render import render
    from levada.synth.traditions import read_tradition

    piece = render(read_tradition(tradition), duration_s=20.0, rng=np.random.default_rng(3))
    strength, beats = onset_strength(piece.mixture, piece.rate), piece.beats.between(1, 19)
    for shift_s in (0.0, 0.02, -0.02):
        assert label_lag_s(strength, beats.shift(shift_s), fps=100.0) is None


@pytest.mark.real
def test_labels_that_are_all_early_or_late(real: Path, tmp_path: Path) -> None:
    song, beats = real / "pop" / "pop_100bpm.flac", read_annotation(real / "pop" / "pop_100bpm.beats").beats
    told = {}
    for shift_s in (0.0, 0.08, -0.08):
        write_beats(tmp_path / "a.beats", beats.between(1, 1e9).shift(shift_s), force=True)
        told[shift_s] = [p.message for p in lag_problems(single(song, tmp_path / "a.beats").tracks[0])]
    assert told[0.0] == []
    assert "80 ms after the onsets" in told[0.08][0]
    assert "80 ms before the onsets" in told[-0.08][0]


def test_the_shift_is_measured_and_not_told_of_noise() -> None:
    fps, n = 100.0, 3000
    strength = np.random.default_rng(0).uniform(0, 0.1, n)
    times = np.arange(1.0, 29.0, 0.5)
    strength[np.round(times * fps).astype(int)] += 1.0
    assert label_lag_s(strength, Beats(times), fps=fps) is None
    assert label_lag_s(strength, Beats(times - 0.06), fps=fps) == pytest.approx(0.06, abs=0.011)
    assert label_lag_s(strength, Beats(times + 0.1), fps=fps) == pytest.approx(-0.1, abs=0.011)
    assert label_lag_s(strength, Beats(times + 0.25), fps=fps) is None  # half a beat is another question
    assert label_lag_s(np.random.default_rng(1).uniform(0, 1, n), Beats(times), fps=fps) is None
    assert label_lag_s(strength, Beats(times[:10] - 0.06), fps=fps) is None  # too few to tell


@pytest.fixture
def corpus(rendered: Path, tmp_path: Path) -> Path:
    """Three recordings, the labels of one of which are 2 after a 4."""
    folder = tmp_path / "data"
    shutil.copytree(rendered, folder)
    rows = (folder / "b.beats").read_text().splitlines()
    downbeats = [i for i, row in enumerate(rows) if row.endswith("\t1")]
    rows[downbeats[1]] = rows[downbeats[1]][:-1] + "2"
    (folder / "b.beats").write_text("\n".join(rows) + "\n")
    return folder


def test_adapt_leaves_out_recordings_whose_labels_have_errors_and_names_them(levada, corpus: Path) -> None:
    code, _, err = levada("adapt", corpus, "--strategy", "bayes", "-o", corpus.parent / "m")
    assert code == 0
    assert "left out: " in err
    assert "b.beats, line" in err
    assert "of 2 recordings" in err


def test_adapt_refuses_one_recording_before_any_work(levada, corpus: Path) -> None:
    code, _, err = levada("adapt", corpus / "b.wav", "--beats", corpus / "b.beats", "-o", corpus.parent / "m")
    assert code == 2
    assert "after one beat" in err
    assert "adapting" not in err
    assert not (corpus.parent / "m").exists()


def test_a_convention_is_named_for_a_folder_or_a_command(levada, rendered: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(rendered, folder)
    (folder / "a.beats").write_text("".join(f"{0.5 * i:.3f}\t{(i - 1) % 2}\n" for i in range(1, 20)))
    assert not check(load_corpus(folder, labels="beats")).ok
    assert load_corpus(folder, labels="beats", convention="zero-based").tracks[0].beats().metres == {2: 9}
    (folder / "corpus.toml").write_text('[labels]\nconvention = "downbeat"\n')
    assert load_corpus(folder, labels="beats").tracks[0].beats().positions.tolist() == [0, 1] * 9 + [0]
    code, _, err = levada("adapt", folder / "a.wav", "--beats", folder / "a.beats", "-o", tmp_path / "m")
    assert code == 2
    assert "--convention" in err
    (folder / "corpus.toml").write_text('[labels]\nconvention = "downbeet"\n')
    code, _, err = levada("corpus", "check", folder)
    assert code == 2
    assert "corpus.toml, line 2: there is no convention 'downbeet'" in err


def test_labels_of_no_length_are_refused_before_any_work(levada, rendered: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(rendered, folder)
    for path in folder.glob("*.beats"):
        path.write_text("1.0\t1\n")
    code, _, err = levada("adapt", folder, "-o", tmp_path / "m")
    assert code == 2
    assert "has 1 beat: nothing can be learnt from it" in err


def test_evaluate_says_what_it_assumed_once_for_all_recordings(levada, rendered: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(rendered, folder)
    for path in folder.glob("*.beats"):
        rows = [row.split("\t") for row in path.read_text().splitlines()]
        path.write_text("".join(f"{time}\t{int(position) - 1}\n" for time, position in rows))
    code, _, err = levada("evaluate", folder, "--model", "flux", "--processes", "1")
    assert code == 0
    (line,) = [line for line in err.splitlines() if "count from 0" in line]
    assert line.endswith("(and 2 more recordings)")
