"""A project without a browser: opening, editing, decoding between anchors, learning, saving, two annotators."""

import shutil
import threading

import numpy as np
import pytest

import levada
from levada.beat_tracking.agreement import compare_beats
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import FORMATS, read_beats
from levada.studio import Project, decoding, views
from levada.studio.annotation import to_beats, verified
from studio_recordings import clicks


def test_a_recording_begins_with_the_beats_of_the_base(project, recordings):
    beats = to_beats(project.state("even").annotation)
    assert compare_beats(recordings[1]["even"], beats).f_measure > 0.9
    assert not verified(project.state("even").annotation)


def test_labels_beside_a_recording_are_its_first_annotation(recordings):
    folder, beats = recordings
    beats["even"].save(folder / "even.beats")
    project = Project(folder)
    annotation = project.state("even").annotation
    assert to_beats(annotation) == beats["even"]
    assert all(mark.verified for mark in annotation)
    project.close()


def test_a_moved_beat_has_the_others_between_its_anchors_decoded_again(project):
    before = project.state("even").annotation
    first, last, one = before[2], before[14], before[8]
    for mark in (first, last):
        project.edit("even", "verify", {"start_s": mark.time_s, "end_s": mark.time_s})
    state, warnings = project.edit(
        "even", "move", {"time_s": one.time_s, "to_s": one.time_s + 0.05}, decode=True
    )  # fmt: skip
    assert warnings == []
    after = state.annotation
    assert [mark.time_s for mark in verified(after)] == [first.time_s, one.time_s + 0.05, last.time_s]
    outside = [mark for mark in after if not first.time_s < mark.time_s < last.time_s]
    assert {mark.time_s for mark in outside} <= {mark.time_s for mark in before}
    assert project.undo("even").annotation == project.journal.state("even", "me").annotation
    assert project.state("even").annotation[8] == one


def test_a_drag_and_undo_leave_the_same_bytes(project, tmp_path):
    first = project.save("even", ".jams", out=tmp_path).read_bytes()
    one = project.state("even").annotation[5]
    project.edit("even", "move", {"time_s": one.time_s, "to_s": one.time_s + 0.03}, decode=True)
    project.undo("even")
    assert project.save("even", ".jams", out=tmp_path, force=True).read_bytes() == first


def test_a_hint_that_cannot_be_met_is_a_message_and_the_beats_stay(project):
    annotation = project.state("even").annotation
    for i in (4, 5, 6):
        mark = annotation[i]
        project.edit("even", "tap", {"time_s": mark.time_s, "position": 1})
    one = annotation[9]
    state, warnings = project.edit("even", "move", {"time_s": one.time_s, "to_s": one.time_s + 0.02}, decode=True)
    assert [mark.position for mark in verified(state.annotation)][:3] == [1, 1, 1]
    assert one.time_s + 0.02 in [mark.time_s for mark in verified(state.annotation)]
    assert all("left out" in warning for warning in warnings)


@pytest.mark.slow
def test_sixteen_taps_teach_what_the_base_does_not_know(tmp_path):
    piece = levada.render("candombe", duration_s=40, seed=31)
    audio.write(tmp_path / "piece.wav", piece.mixture, rate=piece.rate)
    project, rng = Project(tmp_path), np.random.default_rng(0)
    taps = list(piece.beats)[4:20]
    for time_s, position in taps:
        project.edit("piece", "tap", {"time_s": time_s + rng.normal(0, 0.01), "position": position})
    before = project.state("piece").annotation
    rest = piece.beats.between(taps[-1][0] + 0.1, 40)

    def score(annotation):
        return compare_beats(rest, to_beats(annotation).between(taps[-1][0] + 0.1, 40))

    project.learn("piece")
    assert project.jobs.wait(300)
    assert project.jobs.status()["errors"] == []
    assert [*project.proposals] == ["bayes", "auto"]
    for proposal in project.proposals.values():
        assert score(proposal.annotation).f_measure > 0.95
        assert score(proposal.annotation).positions > 0.95
        assert set(verified(before)) <= set(proposal.annotation)
    project.refuse()
    assert project.state("piece").annotation == before
    assert not (project.folder / "models").exists()
    project.learn("piece")
    assert project.jobs.wait(300)
    state = project.accept("auto")
    assert score(state.annotation).f_measure > 0.95
    assert levada.BeatTracker.from_pretrained(project.folder / "models" / "0001").name == "0001"
    project.close()
    again = Project(tmp_path)
    assert again.tracker.name == "0001"
    assert again.state("piece").annotation == state.annotation
    assert again.undo("piece").annotation == before
    again.close()


def test_learning_needs_some_beats_and_can_be_cancelled(project):
    with pytest.raises(InputError, match="verify or tap 4 beats"):
        project.learn("even")
    project.edit("even", "verify", {"start_s": 0, "end_s": 6})
    project.jobs.cancel(project.learn("even"))
    assert project.jobs.wait(60)
    assert project.proposals == {}
    with pytest.raises(InputError, match="no such proposal"):
        project.accept("auto")


def test_the_next_bar_is_the_least_certain_one_anywhere(project):
    project.analyse_all()
    assert project.jobs.wait(60)
    visited = []
    while (bar := project.next_uncertain()) is not None:
        visited.append(bar)
    assert {bar["id"] for bar in visited} == {"even", "waltz"}
    uncertainty = [bar["uncertainty"] for bar in visited]
    assert uncertainty == sorted(uncertainty, reverse=True)
    assert project.next_uncertain() == visited[0]
    rows = project.recordings()
    certain = [row["position_certainty"] for row in rows]
    assert certain == sorted(certain)


def test_a_verified_beat_that_looks_wrong_is_played_once_more(project, recordings):
    right = recordings[1]["even"]
    assert project.next_suspect("even") is None  # nothing is verified
    project.edit("even", "verify", {"start_s": 0, "end_s": 20})
    assert project.next_suspect("even") is None
    one = verified(project.state("even").annotation)[12]
    project.edit("even", "move", {"time_s": one.time_s, "to_s": one.time_s + 0.15})
    found = project.next_suspect("even")
    assert found["time_s"] == pytest.approx(right.times_s[12] + 0.15, abs=0.02)
    assert found["start_s"] < right.times_s[12] < found["end_s"]
    assert project.next_suspect("even") is None  # it was visited
    assert project.next_suspect("even", "bea") is None
    gone = verified(project.state("even").annotation)[20]
    project.edit("even", "delete", {"time_s": gone.time_s})
    missing = project.next_suspect("even")
    assert (missing["reason"], missing["left"]) == ("missing", 0)
    assert missing["time_s"] == pytest.approx(gone.time_s, abs=0.02)
    with pytest.raises(InputError, match="no recording"):
        project.next_suspect("odd")


def test_after_verifying_bars_that_patterns_have_otherwise_come_first(project):
    marks = project.state("even").annotation
    project.edit("even", "verify", {"start_s": 0, "end_s": marks[8].time_s})
    assert project.jobs.wait(60)
    assert project.jobs.status()["errors"] == []
    one = marks[25]
    project.edit("even", "delete", {"time_s": one.time_s})
    bar = project.next_uncertain()
    assert bar["id"] == "even"
    assert bar["end_s"] > one.time_s - 0.01  # from there on they are counted otherwise
    assert bar["uncertainty"] > 1


def test_verifying_beats_of_which_nothing_can_be_learnt_is_no_error(project):
    for mark in project.state("even").annotation[::5]:
        project.edit("even", "verify", {"start_s": mark.time_s - 1e-6, "end_s": mark.time_s + 1e-6})
    project.edit("even", "delete", {"time_s": 3})
    assert project.jobs.wait(60)
    assert project.jobs.status()["errors"] == []
    assert project.next_uncertain()["id"] == "even"


@pytest.mark.parametrize("suffix", [one for kind in FORMATS.values() if kind.dump for one in kind.suffixes])
def test_every_format_keeps_the_beats_within_a_millisecond(project, tmp_path, suffix):
    project.edit("even", "verify", {"start_s": 0, "end_s": 20})
    kept = to_beats(project.state("even").annotation)
    again = read_beats(project.save("even", suffix, out=tmp_path))
    assert again.times_s == pytest.approx(kept.times_s, abs=1e-3)
    assert again.positions.tolist() == kept.positions.tolist()


def test_saving_does_not_replace_a_file_unless_it_may(project, recordings):
    target = project.save("even")
    assert target == recordings[0].resolve() / "even.beats"
    with pytest.raises(InputError, match="exists"):
        project.save("even")
    project.save("even", force=True)
    with pytest.raises(InputError, match="no format"):
        project.save("even", ".doc")
    with pytest.raises(InputError, match="no beats to save"):
        project.save("even", ".csv", only_verified=True)


def test_beats_that_nobody_verified_are_no_labels(project, recordings):
    project.save("even")
    assert levada.load_corpus(recordings[0]).annotated == ()
    project.edit("even", "verify", {"start_s": 0, "end_s": 5})
    project.save("even", force=True)
    assert [track.id for track in levada.load_corpus(recordings[0]).annotated] == ["even"]


def test_a_second_annotator_starts_from_the_base_and_is_compared(project):
    base = project.state("even").annotation
    project.edit("even", "downbeat", {"time_s": base[1].time_s})
    project.edit("even", "delete", {"time_s": base[-1].time_s})
    assert project.state("even", "bea").annotation == base
    found = project.agreement("even", "me", "bea")
    assert found["f_measure"] == pytest.approx(2 * (len(base) - 1) / (2 * len(base) - 1), abs=1e-4)
    assert found["median_ms"] == 0
    assert found["positions"] < 0.1
    assert found["differences"][-1] == {
        "time_s": base[-1].time_s,
        "only": "second",
        "position": base[-1].position,
    }
    assert project.save("even", annotator="bea").name == "even.bea.beats"


def test_a_recording_that_changes_is_noticed(project, recordings):
    assert project.info("even")["notes"] == []
    clicks(recordings[0] / "even.wav", bpm=121, seconds=25)
    info = project.info("even")
    assert "has changed" in info["notes"][0]
    assert info["duration_s"] == 25


def test_labels_that_are_longer_than_the_recording_are_reported(recordings):
    (recordings[0] / "even.beats").write_text("1.0 1\n99.0 2\n")
    (recordings[0] / "waltz.beats").write_text("1.0 1\n2.0 2\n")
    project = Project(recordings[0])
    assert "even.beats has beats up to 99.0 s" in project.info("even")["notes"][0]
    assert project.info("waltz")["notes"] == []
    project.close()


def test_two_studios_do_not_share_a_folder(project):
    with pytest.raises(InputError, match=r"open in another studio.*process \d+"):
        Project(project.path)


def test_a_folder_that_cannot_be_written_is_annotated_all_the_same(recordings, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (recordings[0] / ".levada-studio").write_text("a file is in the way")
    project = Project(recordings[0])
    assert not project.is_beside
    assert (tmp_path / "data") in project.folder.parents
    project.close()


def test_a_folder_on_a_network_has_its_journal_on_this_machine(recordings, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("levada.studio.project.is_on_network", lambda _: True)
    project = Project(recordings[0])
    assert not project.is_beside
    assert (tmp_path / "data") in project.folder.parents
    assert not (recordings[0] / ".levada-studio").exists()
    project.close()


def test_what_is_no_recording_is_refused(tmp_path, project):
    with pytest.raises(InputError, match="no audio files"):
        Project(tmp_path / "recordings" / ".levada-studio")
    with pytest.raises(InputError, match="no such folder or recording"):
        Project(tmp_path / "missing")
    text = tmp_path / "text.wav"
    text.write_text("this is no audio")
    with pytest.raises(InputError, match=r"text\.wav"):
        Project(text)
    with pytest.raises(InputError, match="no recording"):
        project.state("../../etc/passwd")


def test_a_file_that_cannot_be_read_is_named_in_the_list(recordings):
    (recordings[0] / "broken.wav").write_bytes(b"RIFF nothing")
    project = Project(recordings[0])
    project.analyse_all()
    assert project.jobs.wait(60)
    problems = {row["id"]: row["problem"] for row in project.recordings()}
    assert "broken.wav" in problems["broken"]
    assert problems["even"] is None
    project.close()


def test_silence_has_no_beats_and_can_be_tapped(tmp_path):
    audio.write(tmp_path / "silence.wav", np.zeros((1, 22_050 * 10), np.float32), rate=22_050)
    project = Project(tmp_path / "silence.wav")
    assert project.state("silence").annotation == ()
    state, _ = project.edit("silence", "tap", {"time_s": 2.0, "position": 1})
    assert to_beats(state.annotation) == Beats([2.0], [1])
    with pytest.raises(InputError, match="after the end"):
        project.edit("silence", "tap", {"time_s": 11.0})
    project.close()


def test_everything_is_applied_to_the_other_recordings_through_their_verified_beats(project):
    project.edit("waltz", "verify", {"start_s": 0, "end_s": 3})
    sure = verified(project.state("waltz").annotation)
    project.apply_to_all()
    assert project.jobs.wait(120)
    assert set(sure) <= set(project.state("waltz").annotation)
    assert project.state("even").annotation


def test_separated_instruments_sum_to_the_recording_and_are_mixed(project, recordings):
    assert project.stems("even") == {}
    project.separate("even", "candombe")
    assert project.jobs.wait(120)
    assert project.jobs.status()["errors"] == []
    stems = project.stems("even")
    assert len(stems) > 2
    whole, rate = audio.read(recordings[0] / "even.wav")
    parts = {name: audio.read(path)[0] for name, path in stems.items()}
    np.testing.assert_allclose(sum(parts.values()), whole, atol=1e-3)
    one, other, *_ = parts
    mixed, mixed_rate = audio.read(project.write_mix("even", {one: 0.5, other: 1.0}))
    assert mixed_rate == rate
    np.testing.assert_allclose(mixed, 0.5 * parts[one] + parts[other], atol=1e-3)
    with pytest.raises(InputError, match="nothing to write"):
        project.write_mix("even", {one: 0.0})
    with pytest.raises(InputError, match="no separator"):
        project.separate("even", "../base")


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100])
def test_peaks_are_the_lowest_and_highest_sample_of_every_5_ms(tmp_path, rate):
    samples = np.random.default_rng(0).uniform(-1, 1, (2, 3 * rate)).astype(np.float32)
    path = tmp_path / "noise.wav"
    audio.write(path, samples, rate=rate)
    peaks = views.PeakReader(path).read()
    assert len(peaks) == 3 * views.PEAKS_FPS
    at = round(100 * rate / views.PEAKS_FPS), round(101 * rate / views.PEAKS_FPS)
    assert np.abs(peaks[100] / 127).max() == pytest.approx(np.abs(samples[:, at[0] : at[1]]).max(), abs=0.01)


def test_parts_of_the_peaks_join_in_any_order(tmp_path, monkeypatch):
    monkeypatch.setattr(views, "PART_S", 1.0)
    monkeypatch.setattr(views, "TILE_S", 0.5)
    samples = np.random.default_rng(0).uniform(-1, 1, (1, round(2.6 * 8000))).astype(np.float32)
    audio.write(tmp_path / "noise.wav", samples, rate=8000)
    in_order, others = views.PeakReader(tmp_path / "noise.wav"), views.PeakReader(tmp_path / "noise.wav")
    parts = [in_order.read(number) for number in range(4)]
    assert [len(part) for part in parts] == [200, 200, 120, 0]
    for number in (1, 2, 0, 2):
        np.testing.assert_array_equal(others.read(number), parts[number])
    expected = samples[0, 8000 : 8000 + 40]
    assert parts[1][0].tolist() == [round(127 * expected.min()), round(127 * expected.max())]
    for number in (-1, 9):
        with pytest.raises(InputError):
            others.read(number)
    with pytest.raises(InputError, match="no such file"):
        views.PeakReader(tmp_path / "none.wav").read()


def test_an_edit_while_a_recording_is_analysed_waits_for_it_and_others_do_not(project, monkeypatch):
    began, may_end, found = threading.Event(), threading.Event(), []
    prepare = decoding.prepare

    def slow(tracker, path, **options):
        if path.stem == "even":
            began.set()
            assert may_end.wait(60)
        return prepare(tracker, path, **options)

    monkeypatch.setattr(decoding, "prepare", slow)
    analysing = threading.Thread(target=project.prepared, args=("even",), daemon=True)
    analysing.start()
    assert began.wait(60)
    tapping = threading.Thread(
        target=lambda: found.append(project.edit("even", "tap", {"time_s": 3.21, "position": 1})), daemon=True
    )
    tapping.start()
    state, _ = project.edit("waltz", "tap", {"time_s": 3.0, "position": 1})
    assert 3.0 in [mark.time_s for mark in state.annotation if mark.verified]
    assert not found
    may_end.set()
    tapping.join(60)
    analysing.join(60)
    ((state, _),) = found
    assert [mark.time_s for mark in state.annotation if mark.verified] == [3.21]


def test_after_a_restart_a_moved_beat_of_a_long_recording_does_not_wait(recordings, monkeypatch):
    project = Project(recordings[0])
    before = project.state("even").annotation
    project.close()
    monkeypatch.setattr("levada.studio.project.LONG_S", 5.0)
    project = Project(recordings[0])
    from_s = before[8].time_s
    state, warnings = project.edit("even", "move", {"time_s": from_s, "to_s": from_s + 0.05}, decode=True)
    assert len(warnings) == 1
    assert [mark.time_s for mark in state.annotation if mark not in before] == pytest.approx([from_s + 0.05])
    project.prepared("even")
    assert project.edit("even", "move", {"time_s": from_s + 0.05, "to_s": from_s}, decode=True)[1] == []
    project.close()


def test_tiles_of_the_spectrogram_join_without_a_gap(tmp_path):
    path = tmp_path / "clicks.wav"
    clicks(path, seconds=65)
    tiles = [views.spectrogram_tile(path, n, duration_s=65) for n in range(3)]
    assert [len(tile) for tile in tiles] == [1500, 1500, 250]
    loud = np.concatenate(tiles).mean(axis=1)
    assert abs(int(loud[1490:1510].argmax()) - 10) <= 1  # the click at 30 s is on the edge of two tiles
    with pytest.raises(InputError, match="no tile 3"):
        views.spectrogram_tile(path, 3, duration_s=65)


def test_samples_are_those_of_the_file_wherever_they_begin(project, recordings):
    whole, rate = audio.read(recordings[0] / "even.wav")
    for start_s, length_s in ((1.0, 0.5), (1.5, 0.5), (2.0, 0.5), (1.5, 0.5), (19.0, 2.0), (19.5, 0.25)):
        found, found_rate = project.samples("even", start_s=start_s, duration_s=length_s)
        first = round(start_s * rate)
        assert found_rate == rate
        assert pytest.approx(whole[:, first : first + round(length_s * rate)], abs=1e-4) == found.T / 32767
    with pytest.raises(InputError, match="ends before 20 s"):
        project.samples("even", start_s=20.0, duration_s=0.5)
    with pytest.raises(InputError, match="at most 30 s"):
        project.samples("even", start_s=0, duration_s=3600)
    with pytest.raises(InputError, match="no separated 'surdo'"):
        project.samples("even", start_s=0, duration_s=1, stem="surdo")


def test_a_project_that_is_discarded_leaves_the_folder_as_it_was(recordings):
    before = sorted(path.name for path in recordings[0].iterdir())
    project = Project(recordings[0])
    project.state("even")
    project.close()
    shutil.rmtree(project.folder)
    assert sorted(path.name for path in recordings[0].iterdir()) == before
