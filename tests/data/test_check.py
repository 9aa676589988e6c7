"""Everything that can be wrong with a corpus is told, with file and line; nothing is told of a good one."""

import logging
import math
import re
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from levada.data import Problem, check, load_corpus, single

RATE = 44100
GOOD = "".join(f"{0.5 + 0.5 * i:.3f}\t{i % 4 + 1}\n" for i in range(17))


def song(
    folder: Path,
    name: str = "song.wav",
    *,
    beats: str | None = GOOD,
    seconds: float = 10.0,
    rate: int = RATE,
    channels: int = 1,
    gain: float = 0.3,
    seed: int = 0,
) -> Path:
    noise = np.random.default_rng(seed).uniform(-gain, gain, (round(seconds * rate), channels))
    soundfile.write(folder / name, noise, rate)
    if beats is not None:
        (folder / name).with_suffix(".beats").write_text(beats)
    return folder / name


def problems(folder: Path) -> list[Problem]:
    return list(check(load_corpus(folder, labels="beats")).problems)


def only(folder: Path) -> Problem:
    (problem,) = problems(folder)
    return problem


def test_a_good_corpus_has_rows_and_no_problems(tmp_path: Path) -> None:
    for i in range(3):
        song(tmp_path, f"{i}.wav", seed=i)
    report = check(load_corpus(tmp_path, labels="beats"))
    assert report.problems == ()
    assert report.ok
    assert report.minutes == pytest.approx(3 * 8 / 60)
    row = report.rows[1]
    assert (row.id, row.group, row.duration_s, row.annotated_s) == ("1", "1", 10.0, 8.0)
    assert (row.beats, row.tempo_bpm, row.metres, row.format) == (17, 120.0, {4: 4}, "beats")


def test_beats_past_the_end(tmp_path: Path) -> None:
    song(tmp_path, seconds=7.2)
    problem = only(tmp_path)
    assert str(problem) == (
        f"{tmp_path / 'song.beats'}, line 15: 3 beats after the end of the audio (7.20 s), first at 7.500 s"
    )
    assert problem.severity == "error"
    assert not check(load_corpus(tmp_path, labels="beats")).ok


@pytest.mark.parametrize(
    ("beats", "line"),
    [
        ("0.5 1\n1.5 2\n1.0 3\n", 3),
        ("0.5 1\n1.0 2\n1.0 3\n", 3),
        ("-1.5 1\n1.0 2\n", 1),
        ("0.5 1\nnan 2\n", 2),
        ("0.5 1\n1.0 2\n1.5 -3\n", 3),
    ],
)
def test_annotation_that_is_wrong_names_the_line(tmp_path: Path, beats: str, line: int) -> None:
    song(tmp_path, beats=beats)
    problem = only(tmp_path)
    assert (problem.severity, problem.path, problem.line) == ("error", tmp_path / "song.beats", line)


def test_doubled_beats(tmp_path: Path) -> None:
    song(tmp_path, beats=GOOD.replace("1.500\t3\n", "1.500\t3\n1.530\t3\n"))
    messages = {problem.severity: problem for problem in problems(tmp_path)}
    assert messages["error"].message.startswith(
        "a beat seems to be marked twice (1.530 s, 0.030 s after the one before"
    )
    assert messages["error"].line == 4


def test_a_missing_beat_is_warned_of(tmp_path: Path) -> None:
    song(tmp_path, beats=GOOD.replace("2.500\t1\n", ""))
    found = {problem.message: (problem.severity, problem.line) for problem in problems(tmp_path)}
    missing = "a beat seems to be missing (1.00 s from 2.000 s, where others are 0.50 s apart)"
    assert found == {missing: ("warning", 5), "positions jump from 4 to 2 at 3.000 s": ("warning", 5)}


def test_minutes_are_those_of_the_annotated_spans(tmp_path: Path) -> None:
    pieces = [np.arange(8) * 0.5 + start for start in (0.25, 6.25)]
    song(tmp_path, beats="".join(f"{t:.3f} {i % 4 + 1}\n" for piece in pieces for i, t in enumerate(piece)))
    report = check(load_corpus(tmp_path, labels="beats"))
    assert report.rows[0].annotated_s == pytest.approx(7.0)
    assert report.minutes == pytest.approx(7 / 60)
    (problem,) = report.problems
    assert (problem.severity, problem.line) == ("note", 8)
    assert problem.message.startswith("2 annotated spans, 7.0 s in all, apart by 1 gap, first of 2.50 s after 3.750 s")


def test_a_tempo_change_is_no_gap(tmp_path: Path) -> None:
    times = np.concatenate([np.arange(8) * 0.4, 3.2 + np.arange(8) * 0.6])
    song(tmp_path, beats="".join(f"{t:.3f} {i % 4 + 1}\n" for i, t in enumerate(times)))
    assert problems(tmp_path) == []


def test_no_positions(tmp_path: Path) -> None:
    song(tmp_path, beats="".join(f"{0.5 + 0.5 * i}\n" for i in range(17)))
    assert only(tmp_path).message == "has no positions in the bar: downbeats cannot be learnt from it"


def test_no_downbeats(tmp_path: Path) -> None:
    song(tmp_path, beats="0.5 2\n1.0 3\n1.5 4\n")
    assert only(tmp_path).message == "marks no downbeat (position 1)"


def test_some_positions_unknown(tmp_path: Path) -> None:
    song(tmp_path, beats=GOOD.replace("\t2\n", "\t0\n", 1))
    assert only(tmp_path) == Problem("note", "1 beat without a position in the bar", tmp_path / "song.beats", 2)


def test_a_bar_that_is_too_short(tmp_path: Path) -> None:
    numbers = [1, 2, 3, 4] * 12 + [1, 2, 3] + [1, 2, 3, 4] * 12
    lines = [f"{0.2 * i + 0.2:.1f} {n}\n" for i, n in enumerate(numbers)]
    song(tmp_path, beats="".join(lines), seconds=22)
    problem = only(tmp_path)
    assert (problem.message, problem.line) == ("1 bar of 3 beats among 24 bars, first at 9.800 s", 49)


def test_too_few_beats(tmp_path: Path) -> None:
    song(tmp_path, beats="0.5 1\n")
    assert only(tmp_path).message == "has 1 beat: nothing can be learnt from it"


def test_annotation_of_a_part(tmp_path: Path) -> None:
    path = song(tmp_path, seconds=60, beats="".join(f"{20 + 0.5 * i} {i % 4 + 1}\n" for i in range(9)))
    assert [(problem.severity, problem.line) for problem in problems(tmp_path)] == [("note", 1), ("note", 9)]
    (row,) = check(single(path, path.with_suffix(".beats"))).rows
    assert row.annotated_s == 4.0


@pytest.mark.parametrize(
    ("made", "severity", "message"),
    [
        ({"gain": 0.0}, "error", "is silent"),
        ({"gain": 2.0}, "warning", r"is clipped: 50\.\d% of its samples are at full scale"),
        ({"rate": 8000}, "warning", "is at 8000 Hz: it has nothing above 4 kHz"),
        ({"rate": 192000}, "note", "is at 192000 Hz: more than tracking uses"),
        ({"channels": 8}, "note", "has 8 channels: their mean is tracked"),
    ],
)
def test_odd_audio(tmp_path: Path, made: dict[str, float], severity: str, message: str) -> None:
    path = song(tmp_path, **made)  # type: ignore[arg-type]
    problem = only(tmp_path)
    assert problem.severity == severity
    assert problem.path == path
    assert re.match(message, problem.message)


def test_one_sample(tmp_path: Path) -> None:
    song(tmp_path, seconds=1 / RATE, beats=None)
    assert ("error", "lasts 2.27e-05 s (1 sample)") in [(p.severity, p.message) for p in problems(tmp_path)]


def empty(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("not audio")


def no_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0), RATE)


@pytest.mark.parametrize("damage", [empty, text, no_samples])
def test_unreadable_audio_is_told_and_the_rest_is_checked(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    damage(song(tmp_path, "bad.wav"))
    song(tmp_path, "good.wav")
    report = check(load_corpus(tmp_path, labels="beats"))
    (problem,) = report.problems
    assert (problem.severity, problem.path) == ("error", tmp_path / "bad.wav")
    assert math.isnan(report.rows[0].duration_s)
    assert report.rows[1].duration_s == 10.0


def test_truncated_audio_is_told_and_not_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = song(tmp_path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with caplog.at_level(logging.WARNING):
        found = {problem.message for problem in problems(tmp_path)}
    assert any("truncated" in message for message in found)
    assert any("after the end of the audio (5.00 s)" in message for message in found)
    assert caplog.text == ""


def test_samples_that_are_not_numbers(tmp_path: Path) -> None:
    sound = np.full(RATE * 10, 0.1, np.float32)
    sound[RATE:] = np.nan
    soundfile.write(tmp_path / "song.wav", sound, RATE, subtype="FLOAT")
    (tmp_path / "song.beats").write_text(GOOD)
    assert any("not finite" in problem.message for problem in problems(tmp_path))


def test_the_same_audio_under_another_name_and_format(tmp_path: Path) -> None:
    song(tmp_path, "a.wav", seed=1)
    sound, rate = soundfile.read(tmp_path / "a.wav", dtype="int16")
    soundfile.write(tmp_path / "b.flac", sound, rate)
    (tmp_path / "b.beats").write_text(GOOD)
    song(tmp_path, "c.wav", seed=2)
    problem = only(tmp_path)
    assert (problem.severity, problem.path) == ("error", tmp_path / "b.flac")
    assert problem.message.startswith(f"is the same audio as {tmp_path / 'a.wav'}, in another group")


def test_the_same_audio_in_one_group_is_a_warning(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        song(tmp_path, name)
    (tmp_path / "corpus.toml").write_text('[groups]\n"*" = "one"\n')
    assert only(tmp_path).severity == "warning"


def test_mp3_without_length_header(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    song(tmp_path, "song.mp3")
    assert problems(tmp_path) == []
    monkeypatch.setattr("levada.io.audio.lacks_length_header", lambda _: True)
    assert only(tmp_path).message.startswith("is an MP3 without a length header")


def test_partners_that_are_missing(tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        song(tmp_path, name, beats=None, seed=ord(name[0]))
    (tmp_path / "gone.beats").write_text(GOOD)
    assert [str(problem) for problem in problems(tmp_path)] == [
        f"{tmp_path / 'gone.beats'}: has no recording of its name",
        f"{tmp_path / 'a.wav'}: is not annotated (and 1 more): it can be tracked later",
    ]


def test_several_annotations_say_which_is_used(tmp_path: Path) -> None:
    song(tmp_path)
    (tmp_path / "song.csv").write_text("1,1\n2,2\n")
    assert only(tmp_path) == Problem("note", "is used; song.csv is not", tmp_path / "song.beats")


def test_half_the_beats_annotated(tmp_path: Path) -> None:
    for i in range(3):
        song(tmp_path, f"{i}.wav", seed=i)
    song(tmp_path, "slow.wav", beats="".join(f"{0.5 + i} {i % 4 + 1}\n" for i in range(9)), seed=9)
    problem = only(tmp_path)
    assert problem.path == tmp_path / "slow.beats"
    assert problem.message == "is at 60 bpm, the median is 120: perhaps half the beats are annotated"


def test_a_rate_unlike_the_others(tmp_path: Path) -> None:
    for i, rate in enumerate((44100, 44100, 48000)):
        song(tmp_path, f"{i}.wav", rate=rate, seed=i)
    assert only(tmp_path) == Problem("note", "is at 48000 Hz, most others at 44100 Hz", tmp_path / "2.wav")


def test_problems_come_worst_first(tmp_path: Path) -> None:
    song(tmp_path, "a.wav", rate=8000, seed=1)
    song(tmp_path, "b.wav", gain=0)
    song(tmp_path, "c.wav", channels=3, seed=2)
    assert [problem.severity for problem in problems(tmp_path)] == ["error", "warning", "note"]


def test_check_of_ten_files_imports_nothing_heavy(tmp_path: Path) -> None:
    for i in range(10):
        with wave.open(str(tmp_path / f"{i}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(np.random.default_rng(i).integers(-9999, 9999, RATE * 10, np.int16).tobytes())
        (tmp_path / f"{i}.beats").write_text(GOOD)
    program = (
        "import sys; from levada.data import load_corpus; report = load_corpus(sys.argv[1]).check();"
        "print(len(report.problems), *({'torch', 'mirdata', 'scipy', 'librosa', 'soxr'} & set(sys.modules)))"
    )
    answer = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["0"]


@pytest.mark.real
@pytest.mark.parametrize("folder", ["mdb_drums/drums_only", "brid", "pop"])
def test_good_real_music_has_no_problems(real: Path, folder: str) -> None:
    problems = check(load_corpus(real / folder, labels="beats")).problems
    harmless = ("is not annotated", "has files that are not used: brid_0216_tamborim_samba_enredo.onsets.txt")
    assert [problem for problem in problems if not problem.message.startswith(harmless)] == []


@pytest.mark.real
def test_rubato_is_warned_of(real: Path) -> None:
    missing, gap = check(load_corpus(real / "choro", labels="beats")).problems
    assert (missing.severity, missing.line) == ("warning", 19)
    assert "a beat seems to be missing (1.66 s from 18.820 s" in missing.message
    assert (gap.severity, gap.line) == ("note", 32)
    assert gap.message.startswith("2 annotated spans")
