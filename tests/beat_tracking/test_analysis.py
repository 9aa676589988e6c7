"""Readings, confidences and tempo changes of analyses."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from levada.beat_tracking.analysis import Analysis, analyse_beats
from levada.beat_tracking.confidence import CALIBRATION, confidences, reading_features
from levada.beat_tracking.decoder import DecoderSettings, decode_activations
from levada.beat_tracking.network_tracker import NetworkTracker
from levada.beat_tracking.readings import score_readings
from levada.beat_tracking.tempo import stretches_without_beats
from levada.beat_tracking.tracker import BeatTracker
from levada.io.beats import Beats

FPS = 100


def activations(beats: Beats, *, duration_s: float = 30.0, downbeat: float = 0.9, offbeat: float = 0.0) -> np.ndarray:
    """Peaks at beats, of a height of .9 in the first column; downbeats are as high as given in the second."""
    frames = np.arange(round(duration_s * FPS)) / FPS
    bump = np.exp(-0.5 * ((frames[:, None] - beats.times_s) / 0.015) ** 2)
    on = 0.9 * bump.max(axis=1)
    down = (bump * np.where(beats.positions == 1, downbeat, 0.05)).max(axis=1)
    if offbeat:
        middle = beats.times_s + np.median(beats.intervals_s) / 2
        on = np.maximum(on, offbeat * np.exp(-0.5 * ((frames[:, None] - middle) / 0.015) ** 2).max(axis=1))
    return np.stack([on, np.minimum(on, down)], axis=1).clip(0.01, 0.99)


def counted(metre: int, *, interval_s: float = 0.5, duration_s: float = 30.0) -> Beats:
    times = np.arange(0.3, duration_s - 0.2, interval_s)
    return Beats(times, np.arange(len(times)) % metre + 1)


def analyse(beats: Beats, *, settings: DecoderSettings | None = None, **options: float) -> Analysis:
    return analyse_beats(decode_activations(activations(beats, **options), fps=FPS, settings=settings))


def probability(analysis: Analysis, name: str) -> float:
    return next((reading.probability for reading in analysis.readings if reading.name == name), 0.0)


def test_clear_beats_and_downbeats_are_certain() -> None:
    beats = counted(4)
    found = analyse(beats)
    np.testing.assert_allclose(found.beats.times_s, beats.times_s, atol=0.01)
    np.testing.assert_array_equal(found.beats.positions, beats.positions)
    assert found.mean_time_confidence > 0.85
    assert found.mean_position_confidence > 0.7
    assert found.probability > 0.6
    assert found.metre == 4
    assert found.tempo_changes == ()
    assert found.no_pulse == ()


def test_probabilities_of_readings_sum_to_one_less_that_of_none() -> None:
    found = analyse(counted(3))
    total = found.probability + sum(reading.probability for reading in found.readings)
    assert 0.8 < total <= 1
    probabilities = [reading.probability for reading in found.readings]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len({reading.name for reading in found.readings}) == len(probabilities)


def test_positions_are_uncertain_where_downbeats_are_not_marked() -> None:
    clear, flat = analyse(counted(4)), analyse(counted(4), downbeat=0.06)
    assert flat.mean_time_confidence > 0.8
    assert flat.mean_position_confidence < 0.6 * clear.mean_position_confidence
    assert flat.probability < 0.7 * clear.probability


def test_half_a_bar_later_is_likely_where_both_halves_are_marked() -> None:
    beats = counted(4)
    marked = activations(beats)
    halves = activations(Beats(beats.times_s, (beats.positions - 1) % 2 + 1))
    only_four = DecoderSettings(metres=(4,))
    clear = analyse_beats(decode_activations(marked, fps=FPS, settings=only_four))
    found = analyse_beats(decode_activations(halves, fps=FPS, settings=only_four))
    assert probability(found, "half a bar later") > 2 * probability(clear, "half a bar later")
    assert probability(found, "half a bar later") > probability(found, "one beat later")
    half = next(reading for reading in found.readings if reading.name == "half a bar later")
    np.testing.assert_array_equal(half.beats.positions, (found.beats.positions + 1) % 4 + 1)


def test_twice_as_fast_is_likelier_with_offbeats() -> None:
    slow = DecoderSettings(max_tempo_bpm=215, metres=(4,))
    beats = counted(4, interval_s=0.8)
    plain, subdivided = analyse(beats, settings=slow), analyse(beats, settings=slow, offbeat=0.2)
    assert subdivided.tempo_bpm == pytest.approx(75, abs=1)
    assert probability(subdivided, "twice as fast") > probability(plain, "twice as fast")
    twice = next(reading for reading in subdivided.readings if reading.name == "twice as fast")
    assert twice.beats.tempo_bpm == pytest.approx(150, abs=2)


def test_readings_outside_the_tempi_or_metres_are_left_out() -> None:
    names = {reading.name for reading in analyse(counted(4), settings=DecoderSettings(min_tempo_bpm=90)).readings}
    assert "half as fast" not in names
    names = {reading.name for reading in analyse(counted(4), settings=DecoderSettings(metres=(4,))).readings}
    assert "3 beats a bar" not in names
    assert {"one beat later", "half a bar later", "one beat earlier"} <= names


def test_six_eight_is_a_reading_of_three_four() -> None:
    found = analyse(counted(3))
    compound = next(reading for reading in found.readings if reading.name == "6/8 instead of 3/4")
    assert compound.beats.tempo_bpm == pytest.approx(80, abs=1)
    assert set(compound.beats.positions.tolist()) == {1, 2}


def test_hints_are_certain() -> None:
    beats = counted(4)
    found = analyse_beats(decode_activations(activations(beats), fps=FPS, hints=Beats([beats.times_s[8]], [1])))
    at = int(np.abs(found.beats.times_s - beats.times_s[8]).argmin())
    assert found.time_confidence[at] == 1


def test_without_positions_there_is_no_confidence_of_them() -> None:
    found = analyse_beats(decode_activations(activations(counted(4)), fps=FPS), counted=False)
    assert not found.beats.positions.any()
    assert found.beats.position_confidence is None
    assert np.isnan(found.mean_position_confidence)
    assert "half a bar later" not in {reading.name for reading in found.readings}


def test_confidence_of_positions_has_a_limit() -> None:
    decoded = decode_activations(activations(counted(4)), fps=FPS)
    scored = score_readings(decoded)
    features = reading_features(decoded, scored)
    (time, of_one), (same, of_half) = (
        confidences(decoded, scored, features, calibration=replace(CALIBRATION, position_limit=limit))
        for limit in (1.0, 0.5)
    )
    np.testing.assert_array_equal(time, same)
    np.testing.assert_allclose(of_half, 0.5 * of_one)
    assert (analyse(counted(4)).position_confidence <= CALIBRATION.position_limit * time).all()


def test_silence_has_no_beats_and_no_confidence() -> None:
    found = analyse_beats(decode_activations(np.full((1000, 2), 0.001), fps=FPS))
    assert len(found.beats) == 0
    assert found.no_pulse == ((0.0, 10.0),)
    assert np.isnan(found.mean_time_confidence)
    assert found.to_json()["tempo_bpm"] is None


def test_stretches_without_beats() -> None:
    beats = Beats(np.concatenate([np.arange(4, 10, 0.5), np.arange(20, 25, 0.5)]))
    assert stretches_without_beats(beats, duration_s=30) == ((0.0, 4.0), (10.0, 20.0), (25.0, 30.0))
    assert stretches_without_beats(beats, duration_s=25.5) == ((0.0, 4.0), (10.0, 20.0))


def test_stretches_without_beats_are_those_that_the_decoder_finds_without_a_pulse() -> None:
    music = activations(counted(4, duration_s=20), duration_s=20)
    nothing = 0.02 * np.random.default_rng(0).random((1500, 2))
    settings = DecoderSettings(no_pulse_enter=16.0)
    decoded = decode_activations(np.concatenate([nothing, music, nothing, music]), fps=FPS, settings=settings)
    edges = np.flatnonzero(np.diff(np.pad((decoded.no_pulse >= 0.5).astype(int), 1))) / FPS
    found = analyse_beats(decoded)
    np.testing.assert_allclose(np.ravel(found.no_pulse), edges, atol=0.6)
    assert [round(piece.start_s) for piece in found.pieces] == [15, 50]


def test_changes_of_tempo() -> None:
    times = np.concatenate([np.arange(0, 10, 0.5), 10 + np.arange(0, 10, 0.4)])
    changes = Analysis(Beats(times)).tempo_changes
    assert len(changes) == 1
    assert changes[0].time_s == pytest.approx(10)
    assert changes[0].from_bpm == pytest.approx(120)
    assert changes[0].to_bpm == pytest.approx(150)
    rng = np.random.default_rng(0)
    jittered = Beats(np.arange(100) * 0.5 + rng.normal(0, 0.02, 100) + 1)
    assert Analysis(jittered).tempo_changes == ()


def test_a_tracker_has_the_beats_of_its_analysis() -> None:
    beats = counted(4)
    predicted = activations(beats)
    tracker = BeatTracker(NetworkTracker("fixed", lambda pieces: [*pieces] and predicted), None)
    samples = np.zeros(30 * 44100, np.float32)
    assert tracker.track(samples, 44100) == tracker.analyse(samples, 44100).beats
    later = tracker.analyse(np.zeros(45 * 44100, np.float32), 44100, start_s=10, end_s=40)
    assert later.beats.times_s[0] == pytest.approx(10 + beats.times_s[0], abs=0.01)
    assert later.readings[0].beats.times_s[0] >= 10
