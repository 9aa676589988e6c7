"""Patterns learnt from labels, and what they find in other recordings."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from levada.beat_tracking import patterns as bayes
from levada.beat_tracking.adaptation import adapt
from levada.beat_tracking.long_recordings import duration_s
from levada.beat_tracking.metrics import beat_scores
from levada.beat_tracking.patterns import BayesSettings, Patterns
from levada.beat_tracking.pretrained import load_tracker, tracker_of
from levada.data import Span, Track
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import write_beats

RATE = 44100
FAST = BayesSettings(components=8)


def played(offset_s: float, *, bars: int, beat_s: float = 0.5, seed: int = 0) -> tuple[np.ndarray, Beats]:
    """A rhythm that hides its beats: noise in the middle of all, bass after the first and before the next one."""
    rng = np.random.default_rng(seed)
    beats = Beats(offset_s + beat_s * np.arange(4 * bars), np.tile([1, 2, 3, 4], bars))
    sound = rng.normal(0, 1e-3, round((offset_s + 4 * bars * beat_s) * RATE))
    t = np.arange(round(0.08 * RATE)) / RATE
    low = 0.5 * np.sin(2 * np.pi * 90 * t) * np.exp(-t / 0.03)
    for time_s, position in beats:
        tick = 0.2 * rng.normal(0, 1, len(t)) * np.exp(-t / 0.01)
        strokes = [(0.5, tick)] + ([(0.25, low)] if position == 1 else [(0.75, low)] if position == 4 else [])
        for place, stroke in strokes:
            at = round((time_s + place * beat_s) * RATE)
            part = sound[at : at + len(stroke)]
            part += stroke[: len(part)]
    return sound[None].astype(np.float32), beats


def track(folder: Path, name: str, sound: np.ndarray, beats: Beats) -> Track:
    audio.write(folder / f"{name}.wav", sound, rate=RATE)
    write_beats(folder / f"{name}.beats", beats)
    return Track(name, folder / f"{name}.wav", folder / f"{name}.beats")


def whole(recording: Track) -> Span:
    times = recording.beats().times_s
    return Span(recording, float(times[0]), float(times[-1]))


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory) -> Span:
    sound, beats = played(0.3, bars=8)
    return whole(track(tmp_path_factory.mktemp("lesson"), "a", sound, beats))


@pytest.fixture(scope="module")
def learnt(labelled: Span) -> Patterns:
    return bayes.train([labelled], settings=FAST)


def test_beats_that_nothing_sounds_on_are_found_elsewhere(learnt: Patterns) -> None:
    sound, right = played(1.13, bars=9, beat_s=0.55, seed=1)
    found = tracker_of(learnt, name="mine").track(sound, RATE)
    scores = beat_scores(right, found, trim_s=0)
    assert scores["beat_f"] > 0.95
    assert scores["downbeat_f"] > 0.94
    assert found.confidence is not None
    assert found.confidence.min() >= 0
    assert np.median(found.confidence) > 0.8


def test_the_level_of_a_recording_says_nothing(learnt: Patterns) -> None:
    sound, _ = played(0.7, bars=5, seed=2)
    tracker = tracker_of(learnt, name="mine")
    np.testing.assert_allclose(tracker.track(sound, RATE).times_s, tracker.track(sound / 4, RATE).times_s, atol=0.011)


def test_tempo_and_metre_come_from_the_labels(learnt: Patterns) -> None:
    assert learnt.bars == (4,)
    assert learnt.decoder.metres == (4,)
    assert learnt.decoder.tempo_mean_bpm == pytest.approx(120, abs=0.5)
    assert learnt.card.minutes == pytest.approx(15.5 / 60)
    assert list(learnt.card.trained_on.values()) == [[(pytest.approx(0.3), pytest.approx(15.8))]]


def test_the_same_labels_give_the_same_patterns(labelled: Span, learnt: Patterns) -> None:
    np.testing.assert_array_equal(bayes.train([labelled], settings=FAST).weights, learnt.weights)


def test_cells_expect_what_was_played_in_them(learnt: Patterns) -> None:
    bass = (learnt.weights @ learnt.mixture.means)[..., 0]
    assert {divmod(int(at), 16) for at in bass.ravel().argsort()[-4:]} == {(0, 3), (0, 4), (3, 11), (3, 12)}
    assert bass[[1, 2], 3].max() < 0.2 * bass[0, 3]
    assert bass[[1, 2], 11].max() < 0.2 * bass[3, 11]
    ticks = (learnt.weights @ learnt.mixture.means)[..., 1]
    assert (ticks[:, [7, 8]].min(axis=1) > 5 * ticks[:, 0]).all()


def test_what_was_never_heard_is_unlikely_and_not_impossible(learnt: Patterns) -> None:
    assert learnt.weights.min() > 0
    np.testing.assert_allclose(learnt.weights.sum(axis=2), 1, atol=1e-9)


def test_hints_are_passed_through(learnt: Patterns) -> None:
    sound, right = played(0.5, bars=5)
    tracker = tracker_of(learnt, name="mine")
    wrong_place = Beats([right.times_s[8] + 0.011], [3])
    found = tracker.track(sound, RATE, hints=wrong_place)
    at = int(np.abs(found.times_s - wrong_place.times_s[0]).argmin())
    assert found.times_s[at] == wrong_place.times_s[0]
    assert found.positions[at] == 3
    assert found.confidence is not None
    assert found.confidence[at] == 1


@pytest.mark.parametrize(
    ("hints", "met", "named"),
    [
        (Beats([2.0, 999.0]), Beats([2.0]), "hint 2 at 999.000 s"),
        (Beats([2.0, 4.0], [5, 3]), Beats([2.0, 4.0], [0, 3]), "hint 1 at 2.000 s, beat 5"),
        (Beats([2.0, 2.25], [1, 3]), Beats([2.0, 2.25], [1, 0]), "hint 2 at 2.250 s, beat 3"),
    ],
)
def test_hints_that_cannot_be(
    learnt: Patterns, hints: Beats, met: Beats, named: str, caplog: pytest.LogCaptureFixture
) -> None:
    sound, _ = played(0.5, bars=5)
    tracker = tracker_of(learnt, name="mine")
    found = tracker.track(sound, RATE, hints=hints)
    (message,) = caplog.messages
    assert named in message
    assert found == tracker.track(sound, RATE, hints=met)


def test_hints_move_to_onsets_near_them(learnt: Patterns) -> None:
    sound, right = played(0.5, bars=5)
    onset_s = float(right.times_s[8]) + 0.25  # the middle of a beat, where a stroke sounds
    found = tracker_of(learnt, name="mine").track(sound, RATE, hints=Beats([onset_s + 0.015]))
    nearest = float(np.abs(found.times_s - onset_s).min())
    assert nearest < 0.012


def test_metres_that_the_patterns_have_are_chosen(tmp_path: Path, labelled: Span) -> None:
    sound, _ = played(0.3, bars=8, seed=3)
    three = Beats(0.3 + 0.5 * np.arange(30), np.tile([1, 2, 3], 10))
    both = bayes.train([labelled, whole(track(tmp_path, "b", sound, three))], settings=FAST)
    assert set(both.bars) == {3, 4}
    tracker = tracker_of(both, name="mine", identity="one")
    for metre in (3, 4):
        kept = both.restrict(metres=[metre])
        assert set(kept.bars) == {metre}
        assert kept.weights.shape == (sum(kept.bars), *both.weights.shape[1:])
        start = sum(both.bars[: both.bars.index(metre)])
        np.testing.assert_array_equal(kept.weights[:metre], both.weights[start : start + metre])
        assert set(tracker.track(sound, RATE, metres=[metre]).metres) == {metre}
    assert tracker.track(sound, RATE, metres=(3, 4)) == tracker.track(sound, RATE)
    assert tracker.restrict(metres=[3]).identity not in ("", tracker.identity)


def test_metres_without_patterns(learnt: Patterns) -> None:
    with pytest.raises(InputError, match=r"patterns of 4 beats a bar, and none of 3, 5"):
        tracker_of(learnt, name="mine").track(np.zeros((1, RATE), np.float32), RATE, metres=(5, 4, 3))


def test_tempi_are_those_asked_for(learnt: Patterns) -> None:
    sound, _ = played(0.3, bars=8)
    found = tracker_of(learnt, name="mine").track(sound, RATE, tempo_bpm=60, start_s=2, end_s=14)
    assert found.tempo_bpm == pytest.approx(60, rel=0.02)
    assert 2 <= found.times_s[0] < found.times_s[-1] < 14


def test_files_and_memory_agree_and_progress_is_told(learnt: Patterns, labelled: Span) -> None:
    tracker = tracker_of(learnt, name="mine", identity="abc").backend
    told: list[tuple[int, int]] = []
    from_file = tracker.track(labelled.track.audio, progress=lambda done, all_of_it: told.append((done, all_of_it)))
    assert from_file == tracker.track(*audio.read(labelled.track.audio))
    assert told[-1] == (16, 16)
    assert (tracker.name, tracker.identity) == ("mine", "abc")
    assert tracker.trained_spans == learnt.card.trained_on


@pytest.mark.parametrize("seconds", [0.0, 0.004, 0.5, 6.0])
def test_silence_has_no_beats(learnt: Patterns, seconds: float) -> None:
    silence = np.zeros((1, round(seconds * RATE)), np.float32)
    assert len(tracker_of(learnt, name="mine").track(silence, RATE)) == 0


def test_music_after_silence_begins_where_it_begins(learnt: Patterns) -> None:
    sound, right = played(0.5, bars=5)
    late = np.concatenate([np.zeros((1, 4 * RATE), np.float32), sound], axis=1)
    found = tracker_of(learnt, name="mine").track(late, RATE)
    assert abs(found.times_s[0] - (right.times_s[0] + 4)) < 1.2


def test_labels_without_positions_teach_beats(tmp_path: Path) -> None:
    sound, beats = played(0.3, bars=8)
    blind = track(tmp_path, "blind", sound, Beats(beats.times_s))
    learnt = bayes.train([whole(blind)], settings=FAST)
    assert not learnt.counted
    other, right = played(0.9, bars=6, seed=3)
    tracker = tracker_of(learnt, name="mine")
    found = tracker.track(other, RATE)
    assert beat_scores(right, found, trim_s=0)["beat_f"] > 0.95
    assert not found.positions.any()
    hinted = tracker.track(other, RATE, hints=Beats(right.times_s[4:5], [3]))
    assert right.times_s[4] in hinted.times_s


def test_bars_of_two_kinds_are_two_patterns(tmp_path: Path, labelled: Span) -> None:
    sound, beats = played(0.3, bars=6)
    waltz = track(tmp_path, "b", sound, Beats(beats.times_s, np.tile([1, 2, 3], 8)))
    learnt = bayes.train([labelled, whole(waltz)], settings=FAST)
    assert learnt.bars == (3, 4)
    assert learnt.decoder.metres == (3, 4)
    assert len(learnt.weights) == 7


def test_beats_of_unequal_length(tmp_path: Path) -> None:
    """A cycle of 2+2+2+3 with a different stroke on each of its nine eighths, learnt at one tempo, found at another."""

    def aksak(eighth_s: float, bars: int, seed: int) -> tuple[np.ndarray, Beats]:
        rng = np.random.default_rng(seed)
        eighths = 0.3 + eighth_s * np.arange(9 * bars + 1)
        sound = rng.normal(0, 1e-3, round((eighths[-1] + 0.3) * RATE))
        t = np.arange(round(0.08 * RATE)) / RATE
        for i, time_s in enumerate(eighths[:-1]):
            if "D.dt.tDt."[i % 9] == ".":
                continue
            low = 0.5 * np.sin(2 * np.pi * 90 * t) * np.exp(-t / 0.03)
            at = round(time_s * RATE)
            sound[at : at + len(t)] += (
                low if "D.dt.tDt."[i % 9] in "Dd" else 0.2 * rng.normal(0, 1, len(t)) * np.exp(-t / 0.01)
            )
        first = np.isin(np.arange(9 * bars + 1) % 9, (0, 2, 4, 6))
        return sound[None].astype(np.float32), Beats(eighths[first], np.arange(first.sum()) % 4 + 1)

    model = bayes.train([whole(track(tmp_path, "a", *aksak(0.2, 8, 0)))], settings=FAST)
    assert model.bars == model.decoder.metres == ("2+2+2+3",)
    assert model.weights.shape == (4, 24, 8)
    assert model.beat_cells.tolist() == [16, 16, 16, 24]
    assert model.decoder.tempo_mean_bpm == pytest.approx(150, rel=0.01)
    model.save(tmp_path / "model")
    sound, right = aksak(0.22, 8, 1)
    found = bayes.load(tmp_path / "model")
    scores = beat_scores(right, tracker_of(found, name="mine").track(sound, RATE), trim_s=0)
    assert scores["beat_f"] > 0.95
    assert scores["downbeat_f"] > 0.94  # the last label is where the sound ends


def test_many_bars_are_grouped_into_patterns(tmp_path: Path) -> None:
    plain, beats = played(0.3, bars=8)
    turned, _ = played(0.3 + 1.0, bars=8)  # the same strokes two beats later in the bar
    spans = [whole(track(tmp_path, "a", plain, beats)), whole(track(tmp_path, "b", turned, beats))]
    assert len(bayes.train(spans, settings=FAST).bars) == 1
    learnt = bayes.train(spans, settings=replace(FAST, bars_per_pattern=5))
    assert learnt.bars == (4, 4)
    np.testing.assert_allclose(learnt.shares, [0.5, 0.5], atol=0.05)
    bass = (learnt.weights.reshape(2, 4, 16, -1) @ learnt.mixture.means)[..., 0].max(axis=2)
    assert sorted(bass.argmax(axis=1).tolist()) in ([0, 1], [0, 2], [1, 3], [2, 3])
    changing = replace(learnt, settings=replace(learnt.settings, pattern_change=0.2))
    for patterns in (learnt, changing):
        sound, right = played(0.5, bars=6, seed=5)
        assert beat_scores(right, tracker_of(patterns, name="mine").track(sound, RATE), trim_s=0)["beat_f"] > 0.9


def test_one_beat_of_labels_is_a_beat(labelled: Span) -> None:
    times = labelled.beats.times_s
    learnt = bayes.train([Span(labelled.track, float(times[4]), float(times[5]))], settings=FAST)
    assert len(tracker_of(learnt, name="mine").track(*audio.read(labelled.track.audio))) > 10


@pytest.mark.parametrize("end", [4.0, 4.2])
def test_a_single_label_teaches_nothing(labelled: Span, end: float) -> None:
    with pytest.raises(InputError, match="no two annotated beats in a row"):
        bayes.train([Span(labelled.track, 3.8, end)], settings=FAST)


def test_no_labels_teach_nothing() -> None:
    with pytest.raises(InputError, match="no two annotated beats in a row"):
        bayes.train([])


def test_labels_after_the_end_are_those_of_another_recording(tmp_path: Path) -> None:
    sound, _ = played(0.3, bars=1)
    wrong = track(tmp_path, "a", sound, Beats([1.0, 1.5, 2.0, 2.5, 3.0], [1, 2, 3, 4, 1]))
    with pytest.raises(InputError, match="another recording") as raised:
        adapt([whole(wrong)], strategy="bayes", base=None)
    assert raised.value.path == wrong.annotation


def test_silence_teaches_nothing(tmp_path: Path) -> None:
    silent = track(tmp_path, "a", np.zeros((1, 5 * RATE), np.float32), Beats(np.arange(1.0, 4.5, 0.5)))
    with pytest.raises(InputError, match="no onsets where the labels"):
        bayes.train([whole(silent)])


def test_saved_patterns_are_the_same(learnt: Patterns, tmp_path: Path) -> None:
    learnt.save(tmp_path / "mine")
    again = bayes.load(tmp_path / "mine")
    assert (again.settings, again.bars, again.decoder, again.counted) == (
        learnt.settings,
        learnt.bars,
        learnt.decoder,
        learnt.counted,
    )
    assert json.loads(json.dumps(asdict(again.card))) == json.loads(json.dumps(asdict(learnt.card)))
    np.testing.assert_array_equal(again.weights, learnt.weights)
    sound, _ = played(0.5, bars=4)
    expected = tracker_of(learnt, name="mine").track(sound, RATE)
    assert tracker_of(again, name="mine").track(sound, RATE) == expected
    assert load_tracker(tmp_path / "mine").track(sound, RATE) == expected


def test_patterns_are_not_written_over_by_accident(learnt: Patterns, tmp_path: Path) -> None:
    learnt.save(tmp_path / "mine")
    with pytest.raises(InputError, match="exists"):
        learnt.save(tmp_path / "mine")
    learnt.save(tmp_path / "mine", force=True)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"bars": [\n   4\n  ]', '"bars": [5]', "is damaged"),
        ('"bars": [\n   4\n  ]', '"bars": "four"', "its bars are"),
        ('"cells": 16', '"cells": 8', "shape"),
        ('"cells": 16', '"seeds": 16', "unknown settings seeds"),
        ('"trust": 0.5', '"trust": -1', "trust must be"),
        ('"network": "bayes"', '"network": "tcn"', "holds no patterns"),
    ],
)
def test_damaged_folders(learnt: Patterns, tmp_path: Path, old: str, new: str, message: str) -> None:
    learnt.save(tmp_path / "mine")
    config = tmp_path / "mine" / "config.json"
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message):
        bayes.load(tmp_path / "mine")


def test_a_folder_without_tensors(learnt: Patterns, tmp_path: Path) -> None:
    learnt.save(tmp_path / "mine")
    (tmp_path / "mine" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="not a whole model"):
        bayes.load(tmp_path / "mine")


@pytest.mark.parametrize(
    "wrong",
    [
        {"cells": 1},
        {"cells": 2.5},
        {"every": 0},
        {"components": True},
        {"edges_hz": 250.0},
        {"edges_hz": (300.0, 200.0)},
        {"shrinkage": -1.0},
        {"shrinkage": float("nan")},
        {"smoothing": 0.6},
        {"trust": float("inf")},
        {"pattern_change": 1.5},
        {"seed": -1},
    ],
)
def test_settings_that_make_no_sense(wrong: dict[str, object]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        BayesSettings(**wrong)


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 20 s from half a minute on, so that a test needs no hour."""
    monkeypatch.setattr("levada.beat_tracking.patterns.tracker.LONGEST_S", 30.0)
    monkeypatch.setattr("levada.beat_tracking.long_recordings.PART_S", 20.0)
    monkeypatch.setattr("levada.beat_tracking.long_recordings.CONTEXT_S", 8.0)


def test_parts_of_a_long_recording_have_the_beats_of_the_whole(
    learnt: Patterns, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    sound, right = played(1.13, bars=50, beat_s=0.55, seed=1)
    tracker = tracker_of(learnt, name="mine")
    whole_beats = tracker.track(sound, RATE)
    request.getfixturevalue("short_parts")
    told: list[tuple[int, int]] = []
    parts = tracker.analyse(sound, RATE, progress=lambda *now: told.append(now))
    np.testing.assert_allclose(parts.beats.times_s, whole_beats.times_s, atol=0.011)
    np.testing.assert_array_equal(parts.beats.positions, whole_beats.positions)
    assert parts.beats.confidence is not None
    assert len(parts.beats.confidence) == len(parts.beats) >= len(right) - 2
    assert parts.readings
    assert sum(reading.probability for reading in parts.readings) + parts.probability <= 1 + 1e-6
    seconds = round(duration_s(sound, RATE))
    assert told[-1] == (seconds, seconds)
    assert [done for done, _ in told[:-1]] == [20 * (n + 1) for n in range(len(told) - 1)]

    audio.write(tmp_path / "long.wav", sound, rate=RATE)
    from_file = tracker.track(tmp_path / "long.wav")
    np.testing.assert_allclose(from_file.times_s, parts.beats.times_s, atol=0.011)
    excerpt = audio.AudioExcerpt(tmp_path / "long.wav", 11.0, 85.0)
    inside = tracker.track(excerpt)
    expected = whole_beats.between(13, 83).times_s - 11
    assert np.abs(expected[:, None] - inside.times_s).min(axis=1).max() < 0.02


@pytest.mark.usefixtures("short_parts")
def test_hints_count_in_their_part_of_a_long_recording(learnt: Patterns, caplog: pytest.LogCaptureFixture) -> None:
    sound, _ = played(1.13, bars=50, beat_s=0.55, seed=1)
    tracker = tracker_of(learnt, name="mine")
    plain = tracker.track(sound, RATE)
    moved = plain.times_s[60] + 0.06
    late = duration_s(sound, RATE) + 40
    found = tracker.track(sound, RATE, hints=Beats([moved, late]))
    assert np.abs(found.times_s - moved).min() < 0.02
    assert any("is left out" in record.getMessage() for record in caplog.records)
