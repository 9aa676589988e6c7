"""Evaluation on silent recordings, with trackers that know or do not know the beats."""

import csv
import json
import math
import os
import signal
from dataclasses import replace

import mir_eval
import numpy as np
import pytest
import soundfile

from levada.beat_tracking.evaluation import evaluate
from levada.beat_tracking.metrics import SCORES
from levada.data import Span, Track
from levada.errors import InputError
from levada.io.beats import Beats

RATE = 8000


def beats_of(duration_s, *, bpm=120.0):
    times = np.arange(0.25, duration_s, 60 / bpm)
    return Beats(times, np.arange(len(times)) % 4 + 1)


class Right:
    """Hears what is annotated."""

    late_s = 0.0

    def track(self, samples, rate):
        return beats_of(samples.shape[1] / rate).shift(self.late_s)


class Late(Right):
    """Sits a sixteenth behind."""

    late_s = 0.125


class Failing:
    def track(self, samples, rate):
        if samples.shape[1] / rate > 25:
            raise InputError("too long for me")
        raise ValueError("no idea")


class Halfway(Right):
    """Right on recordings of up to 25 s, failing on others."""

    def track(self, samples, rate):
        if samples.shape[1] / rate > 25:
            raise InputError("too long for me")
        return super().track(samples, rate)


@pytest.fixture
def tracks(tmp_path):
    """Three recordings of two groups, 20, 24 and 28 s long."""
    found = []
    for i, duration_s in enumerate([20, 24, 28]):
        path = tmp_path / f"song{i}.wav"
        # the recordings differ, or they would be one and the same to a model's memory
        soundfile.write(path, np.full(duration_s * RATE, i / 10, np.float32), RATE)
        lines = [f"{time:.3f}\t{position}" for time, position in beats_of(duration_s)]
        path.with_suffix(".beats").write_text("\n".join(lines) + "\n")
        found.append(Track(path.stem, path, path.with_suffix(".beats"), group="ab"[i // 2]))
    return found


def test_scores_of_every_pair(tracks):
    done = []
    result = evaluate(tracks, {"right": Right(), "late": Late()}, progress=lambda *a: done.append(a))
    assert [(row.track, row.model) for row in result.rows] == [
        (f"song{i}", model) for i in range(3) for model in ("right", "late")
    ]
    assert done == [(1, 3, "song0"), (2, 3, "song1"), (3, 3, "song2")]
    right, late = result.of("right")[0], result.of("late")[0]
    assert (right.scores["beat_f"], right.scores["downbeat_f"], right.kind) == (1, 1, "right")
    assert (late.scores["beat_f"], late.detail) == (0, "beats 1 tatum late (+125 ms)")
    assert (right.start_s, right.end_s, right.scored_s, right.duration_s, right.scores["trim_s"]) == (0, 20, 20, 20, 0)
    assert right.cpu_s >= 0
    assert right.estimate == beats_of(20)
    assert result.warnings == ("shorter than 30 s and scored from their start: song0, song1, song2",)


def test_summary_and_differences(tracks):
    result = evaluate(tracks, {"right": Right(), "late": Late(), "halfway": Halfway()})
    summary = result.summary()
    assert (summary["right"]["beat_f"].mean, summary["late"]["beat_f"].mean) == (1, 0)
    assert summary["right"]["beat_f"].groups == 2
    assert summary["halfway"]["beat_f"].values == 2
    differences = result.differences()
    assert list(differences) == ["late", "halfway"]
    assert (differences["late"]["beat_f"].mean, differences["late"]["beat_f"].high) == (-1, -1)
    assert (differences["halfway"]["beat_f"].mean, differences["halfway"]["beat_f"].values) == (0, 2)
    assert result.error_types() == {"right": {"right": 3}, "late": {"phase shift": 3}, "halfway": {"right": 2}}
    header, right, late, halfway = str(summary).splitlines()
    assert header.split() == ["model", "beat_f", "beat_cmlt", "downbeat_f", "recordings", "groups"]
    assert right.startswith("right")
    assert "1.00 (range 1.00 to 1.00, 2 groups)" in right
    assert [line.split()[-2:] for line in (right, late, halfway)] == [["3", "2"], ["3", "2"], ["2", "1"]]


def test_failures_are_rows(tracks, caplog):
    result = evaluate(tracks, {"right": Right(), "failing": Failing()})
    assert [row.error for row in result.of("failing")] == ["ValueError: no idea"] * 2 + ["too long for me"]
    assert all(math.isnan(row.cpu_s) for row in result.of("failing"))
    assert [row.scores["beat_f"] for row in result.of("right")] == [1, 1, 1]
    assert math.isnan(result.summary()["failing"]["beat_f"].mean)
    assert str(result.summary()).splitlines()[2].split() == ["failing", "–", "–", "–", "0", "0"]
    assert "failing has no scores for 3 of 3 recordings" in result.warnings[0]
    assert "failing failed on song0" in caplog.text


def test_unreadable_recordings_and_annotations_do_not_stop_it(tracks):
    tracks[0].audio.write_text("this is no audio")
    tracks[1].annotation.write_text("0.5\t1\nhello\n")
    result = evaluate(tracks, {"right": Right()})
    first, second, third = result.rows
    assert str(tracks[0].audio) in first.error
    assert f"{tracks[1].annotation}, line 2" in second.error
    assert (third.error, third.scores["beat_f"]) == ("", 1)


def test_a_tracker_without_downbeats_has_no_score_of_them(tracks):
    class Beatless(Right):
        def track(self, samples, rate):
            return Beats(super().track(samples, rate).times_s)

    class Sometimes(Right):
        def track(self, samples, rate):
            found = super().track(samples, rate)
            return found if samples.shape[1] / rate > 25 else Beats(found.times_s)

    result = evaluate(tracks, {"right": Right(), "bare": Beatless(), "sometimes": Sometimes()})
    summary = result.summary()
    for name in ("downbeat_f", "downbeat_cmlt", "position_cmlt"):
        assert math.isnan(summary["bare"][name].mean)
        assert summary["sometimes"][name].mean == pytest.approx(1 / 3)
        assert math.isnan(result.differences()["bare"][name].mean)
    assert summary["bare"]["beat_f"].mean == 1
    assert str(summary["bare"]["downbeat_f"]) == "–"
    assert [row.flat()["downbeats"] for row in result.of("sometimes")] == [0, 0, 14]


def test_nothing_but_failures(tracks):
    for track in tracks:
        track.audio.unlink()
    with pytest.raises(InputError, match=r"none of 3 recordings could be scored; the first: .*song0"):
        evaluate(tracks, {"right": Right()})


def test_recordings_without_annotation_are_named(tracks):
    bare = Track("bare", tracks[0].audio)
    result = evaluate([bare, *tracks], {"right": Right()})
    assert result.skipped == ("bare",)
    assert "without annotation and skipped: bare" in result.warnings
    assert len(result.rows) == 3
    with pytest.raises(InputError, match="none of 1 recordings is annotated"):
        evaluate([bare], {"right": Right()})


def test_one_annotated_beat_is_an_error(tracks):
    tracks[0].annotation.write_text("1.5\t1\n")
    result = evaluate(tracks, {"right": Right()})
    assert "fewer than two annotated beats" in result.rows[0].error


class TestTrim:
    def test_short_recordings_are_scored_from_their_start(self, tmp_path):
        class LateStart(Right):
            def track(self, samples, rate):
                return super().track(samples, rate).between(5, math.inf)

        found = []
        for seconds in (16, 30):
            path = tmp_path / f"{seconds}.wav"
            soundfile.write(path, np.zeros(seconds * RATE), RATE)
            found.append(Track(str(seconds), path, load=lambda seconds=seconds: beats_of(seconds)))
        result = evaluate(found, {"late start": LateStart()})
        short, long = result.rows
        assert (short.scores["trim_s"], short.scored_s) == (0, 16)
        assert short.scores["beat_f"] == pytest.approx(2 * 22 / (32 + 22))  # 10 of 32 beats are before 5 s
        assert (long.start_s, long.scores["trim_s"], long.scored_s, long.scores["beat_f"]) == (5, 5, 25, 1)
        assert "shorter than 30 s and scored from their start: 16" in result.warnings
        assert [row["scored_s"] for row in json.loads(result.to_json())["rows"]] == [16, 25]
        obeyed = evaluate(found, {"late start": LateStart()}, trim_s=5)
        assert [(row.scored_s, row.scores["beat_f"]) for row in obeyed.rows] == [(11, 1), (25, 1)]
        assert obeyed.warnings == ()

    def test_a_recording_of_which_nothing_is_left_has_no_scores(self, tracks):
        result = evaluate(tracks, {"right": Right()}, trim_s=23)
        assert [row.scores.get("beat_f") for row in result.rows] == [None, 1, 1]
        assert "nothing is left to score after the first 23 s" in result.rows[0].error
        mean = result.summary()["right"]["beat_f"]
        assert (mean.mean, mean.values) == (1, 2)

    def test_beyond_every_recording_is_an_error(self, tracks):
        with pytest.raises(InputError, match="nothing is left to score after the first 60 s"):
            evaluate(tracks, {"right": Right()}, trim_s=60)


class TestStretches:
    def test_of_a_span(self, tracks):
        class WrongElsewhere(Right):
            def track(self, samples, rate):
                return super().track(samples, rate).between(9.9, 26.4).shift(-0.01)

        result = evaluate([Span(tracks[2], 10.25, 26.25)], {"it": WrongElsewhere()})
        row = result.rows[0]
        assert (row.start_s, row.end_s) == (10.0, 26.5)
        assert row.scores["beat_f"] == row.scores["beat_cmlt"] == 1
        assert row.scored_s == 16.5

    def test_of_a_recording_annotated_in_part(self, tracks):
        part = Track("part", tracks[2].audio, load=lambda: beats_of(28).between(8, 18))
        (row,) = evaluate([part], {"right": Right()}).rows
        assert (row.scores["beat_f"], row.scores["beat_cmlt"], row.scores["position_cmlt"]) == (1, 1, 1)
        assert (row.start_s, row.end_s, row.scored_s) == (8, 18, 10)
        wrong = np.sort(np.concatenate([np.arange(0.1, 7, 0.3), beats_of(28).between(8, 18).times_s[:-2] + 0.05]))

        class Partly:
            def track(self, *_):
                return Beats(wrong)

        (row,) = evaluate([part], {"partly": Partly()}).rows
        reference = beats_of(28).between(8, 18).times_s
        assert row.scores["beat_f"] == pytest.approx(mir_eval.beat.f_measure(reference, wrong[wrong >= 8]))
        assert row.scores["beat_cmlt"] == pytest.approx(mir_eval.beat.continuity(reference, wrong[wrong >= 8])[1])

    def test_three_pieces_are_one_row(self, tracks):
        class Elsewhere(Right):
            """Right where there are labels, and lost between them."""

            def track(self, samples, rate):
                right = super().track(samples, rate)
                parts = [right.between(2, 6), Beats(np.arange(6.5, 10.4, 0.33)), right.between(11, 15)]
                parts += [Beats(np.arange(15.7, 19.5, 0.41)), right.between(20, 24)]
                return Beats(
                    np.concatenate([part.times_s for part in parts]), np.concatenate([part.positions for part in parts])
                )

        right = [beats_of(28).between(start, start + 4) for start in (2, 11, 20)]
        times, positions = (
            np.concatenate(parts) for parts in zip(*((b.times_s, b.positions) for b in right), strict=True)
        )
        pieces = Track("pieces", tracks[2].audio, load=lambda: Beats(times, positions))
        (row,) = evaluate([pieces], {"it": Elsewhere()}).rows
        assert [row.scores[name] for name in SCORES] == [1, 1, 1, 1, 1, 1, 1, 0]
        assert (row.kind, row.start_s, row.end_s, row.scored_s) == ("right", 2, 24, 12)


class TestTrainedOn:
    def remembering(self, *tracks, spans=((0.0, 60.0),)):
        tracker = Right()
        tracker.trained_spans = {track.content_hash: spans for track in tracks}
        return tracker

    def test_is_flagged_and_warned_of(self, tracks):
        result = evaluate(tracks, {"mine": self.remembering(tracks[1]), "right": Right()})
        assert [row.trained_on for row in result.of("mine")] == [False, True, False]
        assert not any(row.trained_on for row in result.of("right"))
        assert "mine was trained on 1 of the 3 recordings it is scored on (song1)" in result.warnings[0]

    def test_a_copy_is_known_by_its_content(self, tracks, tmp_path):
        copy = tmp_path / "copy.wav"
        copy.write_bytes(tracks[0].audio.read_bytes())
        renamed = Track("copy", copy, tracks[0].annotation)
        assert evaluate([renamed], {"mine": self.remembering(tracks[0])}).rows[0].trained_on

    @pytest.mark.parametrize("spans", [[(0.0, 60.0)], [(0.25, 4.25)]])
    def test_whole_recordings_and_their_groups_are_left_out(self, tracks, spans):
        mine = self.remembering(tracks[0], spans=spans)  # song0 is of group a, as song1 is
        result = evaluate(tracks, {"late": Late(), "mine": mine}, exclude_trained=True)
        assert [(row.track, row.model) for row in result.rows] == [("song2", "late"), ("song2", "mine")]
        (warning,) = [text for text in result.warnings if "left out" in text]
        assert warning.endswith("trained on them: song0; and for being of the same groups: song1")

    def test_a_recording_without_labels_counts_for_its_group(self, tracks):
        bare = Track("bare", tracks[0].audio, group="b")
        result = evaluate([bare, *tracks[1:]], {"mine": self.remembering(tracks[0])}, exclude_trained=True)
        assert [row.track for row in result.rows] == ["song1"]

    def test_nothing_is_left(self, tracks):
        mine = self.remembering(tracks[0], tracks[2])
        with pytest.raises(InputError, match=r"trained on every annotated recording.*nothing is left"):
            evaluate(tracks, {"mine": mine}, exclude_trained=True)

    def test_a_span_beside_the_training_is_none_of_it(self, tracks):
        mine = self.remembering(tracks[2], spans=[(0.25, 8.25)])
        beside, across = Span(tracks[2], 8.75, 26.25), Span(tracks[2], 8.25, 26.25)
        result = evaluate([beside, across], {"mine": mine})
        assert [row.trained_on for row in result.rows] == [False, True]  # the second shares the beat at 8.25 s


class TestFiles:
    def test_csv(self, tracks, tmp_path):
        tracks[0].audio.unlink()
        out = tmp_path / "rows.csv"
        evaluate(tracks, {"right": Right(), "late": Late()}, out=out)
        with open(out, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == 6
        assert (rows[0]["beat_f"], rows[0]["end_s"]) == ("", "")
        assert "song0.wav" in rows[0]["error"]
        assert (rows[3]["track"], rows[3]["model"], rows[3]["kind"]) == ("song1", "late", "phase shift")
        assert float(rows[2]["beat_f"]) == 1
        assert rows[2]["trained_on"] == "False"

    def test_existing_file_is_refused_before_any_work(self, tracks, tmp_path):
        out = tmp_path / "rows.csv"
        out.write_text("mine")
        calls = []
        with pytest.raises(InputError, match="exists already"):
            evaluate(tracks, {"right": Right()}, out=out, progress=lambda *a: calls.append(a))
        assert not calls
        assert out.read_text() == "mine"
        evaluate(tracks, {"right": Right()}, out=out, force=True)
        assert out.read_text().startswith("track,group,model")

    def test_json_has_null_for_nan(self, tracks):
        tracks[0].audio.unlink()
        found = json.loads(evaluate(tracks, {"right": Right(), "late": Late()}).to_json())
        assert found["models"] == ["right", "late"]
        assert found["summary"]["late"]["beat_f"]["mean"] == 0
        assert found["differences"]["late"]["beat_f"]["mean"] == -1
        assert found["rows"][0]["beat_f"] is None
        assert found["rows"][2]["beat_f"] == 1
        assert found["rows"][2]["error"] == ""
        assert found["kinds"]["late"] == {"phase shift": 2}


@pytest.mark.slow
def test_processes_give_the_same(tracks):
    trackers = {"right": Right(), "late": Late()}
    alone, together = evaluate(tracks, trackers), evaluate(tracks, trackers, processes=2)
    assert [r.scores for r in alone.rows] == [r.scores for r in together.rows]
    assert [r.detail for r in alone.rows] == [r.detail for r in together.rows]
    assert alone.summary() == together.summary()


class Killed(Right):
    def track(self, samples, rate):
        if samples.shape[1] / rate == 24:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().track(samples, rate)


@pytest.mark.slow
def test_a_process_that_dies_costs_one_recording(tracks):
    done = []
    result = evaluate(tracks, {"right": Right(), "it": Killed()}, processes=2, progress=lambda *a: done.append(a[:2]))
    assert [(row.track, bool(row.error)) for row in result.of("it")] == [
        ("song0", False), ("song1", True), ("song2", False),
    ]  # fmt: skip
    assert done == [(1, 3), (2, 3), (3, 3)]
    mean = result.summary()["it"]["beat_f"]
    assert (mean.mean, mean.values) == (1, 2)


def test_one_group_is_warned_of(tracks):
    result = evaluate(tracks[:2], {"right": Right()})
    assert any("2 recordings of one group" in warning for warning in result.warnings)
    alone = evaluate(tracks[:1], {"right": Right()})
    assert any("1 recording of one group" in warning and "no evidence" in warning for warning in alone.warnings)


def test_bad_arguments(tracks):
    with pytest.raises(InputError, match="name a model"):
        evaluate(tracks, {})
    with pytest.raises(InputError, match="at least one process"):
        evaluate(tracks, {"right": Right()}, processes=0)
    with pytest.raises(InputError, match="none of 0 recordings"):
        evaluate([], {"right": Right()})


class TestReadings:
    @pytest.fixture
    def several(self, tracks):
        """The first recording may be read half a bar later, too; the second twice as fast."""
        other = {0: beats_of(20).with_positions((np.arange(40) + 2) % 4 + 1), 1: beats_of(24, bpm=240.0)}
        for i, beats in other.items():
            path = tracks[i].audio.with_suffix(".other.beats")
            path.write_text("".join(f"{time:.3f}\t{position}\n" for time, position in beats))
            tracks[i] = replace(tracks[i], readings={"labels": tracks[i].annotation, "other": path})
        return tracks

    def test_each_is_scored_and_means_are_of_the_first(self, several):
        class HalfBars(Right):
            def track(self, samples, rate):
                beats = super().track(samples, rate)
                return beats.with_positions((beats.positions + 1) % 4 + 1)

        result = evaluate(several, {"right": Right(), "half": HalfBars()})
        assert [row.reading for row in result.rows] == ["labels", "other", "labels", "other", "", ""]
        half = result.of("half")
        assert half[0].scores == half[0].readings["labels"]
        assert half[0].readings["labels"]["downbeat_f"] == 0
        assert half[0].readings["other"]["downbeat_f"] == half[0].readings["other"]["beat_f"] == 1
        # 120 of 240 bpm: half of the beats and of the downbeats, F = 2 * 1 * .5 / 1.5
        assert half[1].readings["other"]["beat_f"] == pytest.approx(2 / 3, abs=0.02)
        assert result.summary()["half"]["downbeat_f"].mean == 0
        assert result.tables()["best_reading"]["half"]["downbeat_f"].mean == pytest.approx(
            (1 + 2 / 3 + 0) / 3, abs=0.02
        )
        assert result.tables()["best_reading"]["right"]["downbeat_f"].mean == 1

    def test_are_in_the_files(self, several, tmp_path):
        result = evaluate(several, {"right": Right()}, out=tmp_path / "scores.csv")
        rows = list(csv.DictReader((tmp_path / "scores.csv").read_text().splitlines()))
        assert [(row["reading"], row["best_beat_f"]) for row in rows] == [("labels", "1.0")] * 2 + [("", "1.0")]
        found = json.loads(result.to_json())
        assert [(one["track"], one["reading"], [*one["scores"]]) for one in found["readings"]] == [
            ("song0", "labels", ["labels", "other"]),
            ("song1", "labels", ["labels", "other"]),
        ]
        assert "best_reading" in found

    def test_one_that_cannot_be_read_is_a_row_with_an_error(self, several):
        several[0].readings["other"].write_text("0.5 one\n")
        result = evaluate(several, {"right": Right()})
        assert "song0.other.beats" in result.rows[0].error
        assert [bool(row.error) for row in result.rows] == [True, False, False]

    def test_without_several_there_are_none(self, tracks):
        result = evaluate(tracks, {"right": Right()})
        assert "readings" not in json.loads(result.to_json())
        assert [*result.tables()] == ["summary", "differences"]
