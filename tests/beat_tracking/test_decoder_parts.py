"""Recordings of hours: decoded in parts they have the beats that they have as a whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from levada.beat_tracking.analysis import analyse_beats
from levada.beat_tracking.decoder import DecodedBeats, DecoderSettings, decode_activations
from levada.beat_tracking.level import running_level, stream_relative_level
from levada.io.beats import Beats

FPS = 100
SETTINGS = DecoderSettings(metres=(3, 4), no_pulse_enter=16.0)


def concert(seconds: int) -> npt.NDArray[np.float32]:
    """Activations of pieces of different tempi and metres, with pauses between them."""
    rng = np.random.default_rng(0)
    activations = rng.uniform(0.0, 0.08, (seconds * FPS, 2)).astype(np.float32)
    frame = 30.0
    while frame < len(activations) - 3000:
        length, metre = rng.uniform(40, 70), int(rng.integers(3, 5))
        for beat in range(int(rng.integers(40, 80))):
            activations[int(frame), 0] = rng.uniform(0.4, 0.95)
            activations[int(frame), 1] = 0.7 * (beat % metre == 0)
            frame += length + rng.normal(0, 0.4)
        frame += rng.uniform(200, 1500)
    return activations


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 40 s from a minute on, so that a test needs no hour."""
    monkeypatch.setattr("levada.beat_tracking.decoder.decode.LONGEST_S", 60.0)
    monkeypatch.setattr("levada.beat_tracking.decoder.parts.PART_S", 40.0)
    monkeypatch.setattr("levada.beat_tracking.decoder.parts.CONTEXT_S", 15.0)
    monkeypatch.setattr("levada.beat_tracking.decoder.state_space.FRAMES_AT_ONCE", 1000)


def assert_same(ours: DecodedBeats, theirs: DecodedBeats) -> None:
    np.testing.assert_array_equal(ours.starts, theirs.starts)
    np.testing.assert_array_equal(ours.beats.positions, theirs.beats.positions)
    np.testing.assert_allclose(ours.beats.times_s, theirs.beats.times_s, atol=1e-9)
    assert ours.beats.confidence is not None
    assert theirs.beats.confidence is not None
    np.testing.assert_allclose(ours.beats.confidence, theirs.beats.confidence, atol=1e-3)
    np.testing.assert_allclose(ours.no_pulse, theirs.no_pulse, atol=1e-3)


def test_parts_have_the_beats_and_the_readings_of_the_whole(
    request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    activations = concert(240)
    whole = decode_activations(activations, fps=FPS, settings=SETTINGS)
    hints = Beats([20.0, 95.3, 150.5], [1, 0, 2])
    hinted = decode_activations(activations, fps=FPS, settings=SETTINGS, hints=hints)
    readings = [analyse_beats(decoded) for decoded in (whole, hinted)]
    caplog.clear()
    request.getfixturevalue("short_parts")
    assert_same(decode_activations(activations, fps=FPS, settings=SETTINGS), whole)
    late = Beats(np.append(hints.times_s, 300.0), np.append(hints.positions, 0))
    joined = decode_activations(activations, fps=FPS, settings=SETTINGS, hints=late)
    assert_same(joined, hinted)
    assert [record.getMessage() for record in caplog.records if "300.000" in record.getMessage()] == [
        "hint 4 at 300.000 s is left out: it is after the end of the recording (240.000 s)"
    ]
    again = [analyse_beats(decode_activations(activations, fps=FPS, settings=SETTINGS)), analyse_beats(joined)]
    for ours, theirs in zip(again, readings, strict=True):
        assert [reading.name for reading in ours.readings] == [reading.name for reading in theirs.readings]
        np.testing.assert_allclose(
            [reading.probability for reading in ours.readings], [reading.probability for reading in theirs.readings],
            atol=1e-6,
        )  # fmt: skip
        np.testing.assert_allclose(ours.position_confidence, theirs.position_confidence, atol=1e-3)


@pytest.mark.usefixtures("short_parts")
def test_hours_of_silence_have_no_beats() -> None:
    decoded = decode_activations(np.zeros((20_000, 2), np.float32), fps=FPS, settings=SETTINGS)
    assert len(decoded.beats) == 0
    assert decoded.no_pulse.tolist() == [1.0] * 20_000
    assert len(analyse_beats(decoded).beats) == 0


def test_the_level_of_a_long_recording_is_that_of_the_recording_at_once() -> None:
    rng = np.random.default_rng(0)
    bands = rng.normal(0, 2, (30_000, 3)).astype(np.float32)
    pieces = list(stream_relative_level(np.array_split(bands, 70), fps=100, n_bands=3))
    expected = bands + (2.2 - running_level(bands.max(axis=1), fps=100))[:, None]
    np.testing.assert_array_equal(np.concatenate(pieces), expected)


@pytest.mark.usefixtures("short_parts")
def test_progress_counts_the_parts() -> None:
    told: list[tuple[int, int]] = []
    decode_activations(concert(150), fps=FPS, settings=SETTINGS, progress=lambda *now: told.append(now))
    assert told == [(40, 150), (80, 150), (120, 150), (150, 150)]
