"""Analyses of parts of a recording, joined."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from levada.beat_tracking.analysis import Analysis, Reading
from levada.beat_tracking.long_recordings import analyse_in_parts, duration_s
from levada.io.beats import Beats


@pytest.fixture
def short_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts of 20 s, so that a test needs no hour."""
    monkeypatch.setattr("levada.beat_tracking.long_recordings.PART_S", 20.0)
    monkeypatch.setattr("levada.beat_tracking.long_recordings.CONTEXT_S", 8.0)


def parts_of(*found: Analysis):
    """Return a function that gives these analyses, one a part."""
    rest = iter(found)
    return lambda *_: next(rest)


@pytest.mark.usefixtures("short_parts")
class TestJoins:
    SECONDS, SAMPLES = 40, np.zeros((1, 40 * 100), np.float32)

    def join(self, *found: Analysis) -> Analysis:
        return analyse_in_parts(parts_of(*found), self.SAMPLES, 100, hints=None, progress=None)

    def test_parts_without_a_common_beat_meet_in_the_middle(self) -> None:
        one, other = Beats(np.arange(0, 28, 0.5), [1] * 56), Beats(np.arange(0.2, 28, 0.7), [2] * 40)
        times = self.join(Analysis(one), Analysis(other)).beats.times_s
        assert (np.diff(times) >= 0.35 - 1e-9).all()
        np.testing.assert_allclose(times[:40], np.arange(0, 20, 0.5))
        np.testing.assert_allclose(times[-10:], other.times_s[-10:] + 12)

    def test_a_part_without_beats_leaves_those_of_the_other(self) -> None:
        beats = Beats(np.arange(0, 28, 0.5), np.resize([1, 2], 56))
        quiet = self.join(Analysis(Beats([])), Analysis(beats, 0.8))
        assert quiet.beats.times_s[0] == 20.0
        assert quiet.probability == 0.8
        nothing = self.join(Analysis(Beats([])), Analysis(Beats([])))
        assert len(nothing.beats) == 0
        assert np.isnan(nothing.probability)

    def test_readings_are_averaged_over_beats(self) -> None:
        one = Beats(np.arange(0, 28, 0.5), np.resize([1, 2], 56))
        turned = one.with_positions(np.resize([2, 1], 56))
        found = self.join(
            Analysis(one, 0.6, (Reading("half a bar later", 0.4, turned),)), Analysis(one, 0.9, no_pulse=((0.0, 10.0),))
        )
        (reading,) = found.readings
        assert (reading.name, reading.probability) == ("half a bar later", pytest.approx(0.2))
        assert found.probability == pytest.approx(0.75)
        early, late = reading.beats.between(0, 19), reading.beats.between(21, 40)
        np.testing.assert_array_equal(early.positions, found.beats.between(0, 19).positions % 2 + 1)
        np.testing.assert_array_equal(late.positions, found.beats.between(21, 40).positions)
        ((start, end),) = found.no_pulse
        assert abs(start - 20) < 0.05
        assert end == 22.0

    def test_a_stretch_without_beats_over_a_border_is_one(self) -> None:
        found = self.join(
            Analysis(Beats([1.0, 2.0]), no_pulse=((5.0, 28.0),)), Analysis(Beats([20.0, 21.0]), no_pulse=((0.0, 15.0),))
        )
        assert found.no_pulse == ((5.0, 27.0),)

    def test_warnings_say_where(self, caplog: pytest.LogCaptureFixture) -> None:
        def analyse(*_: object) -> Analysis:
            logging.getLogger("levada.test").warning("does not fit")
            return Analysis(Beats([]))

        analyse_in_parts(analyse, self.SAMPLES, 100, hints=None, progress=None)
        assert [record.getMessage() for record in caplog.records] == [
            "does not fit", "in the part from 12 s on: does not fit"
        ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "rate", "seconds"),
    [
        (np.zeros(300), 100, 3.0),
        (np.zeros((2, 300)), 100, 3.0),
        (np.zeros((2, 0)), 100, 0.0),
        (np.zeros(300), None, 0.0),
    ],
)
def test_length_of_samples(source: np.ndarray, rate: int | None, seconds: float) -> None:
    assert duration_s(source, rate) == seconds
