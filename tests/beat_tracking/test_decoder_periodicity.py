"""The periodicity of activations at any height."""

import numpy as np
import pytest

from levada.beat_tracking.decoder.periodicity import periodicity


def bumps(times: np.ndarray, duration_s: float, *, height: float, fps: float = 100) -> np.ndarray:
    frames = np.arange(round(duration_s * fps)) / fps
    result = np.zeros(len(frames))
    for time in times:
        result = np.maximum(result, height * np.exp(-0.5 * ((frames - time) / 0.02) ** 2))
    return result


@pytest.mark.parametrize("bpm", [57, 120, 210])
@pytest.mark.parametrize("height", [0.05, 0.9])
@pytest.mark.parametrize("fps", [50, 100])
def test_a_steady_pulse_is_periodic_at_any_height(bpm: float, height: float, fps: float) -> None:
    found = periodicity(bumps(np.arange(0.2, 20, 60 / bpm), 20, height=height, fps=fps), fps=fps)
    assert found.shape == (20 * fps,)
    assert found.min() > 0.7


@pytest.mark.parametrize("seed", range(3))
def test_irregular_peaks_and_noise_are_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    irregular = np.cumsum(rng.uniform(0.1, 0.9, 60))
    assert periodicity(bumps(irregular, 24, height=0.9), fps=100).max() < 0.4
    assert periodicity(rng.uniform(0, 0.3, 2400), fps=100).max() < 0.4


def test_silence_and_short_recordings_have_none() -> None:
    assert periodicity(np.zeros(3000), fps=100).max() < 1e-6
    assert periodicity(np.zeros(0), fps=100).shape == (0,)
    assert periodicity(bumps(np.arange(0, 3, 0.5), 3, height=0.9), fps=100).max() == 0


def test_it_changes_where_the_pulse_ends() -> None:
    found = periodicity(bumps(np.arange(0.2, 20, 0.5), 60, height=0.9), fps=100)
    assert found[:1500].min() > 0.7
    assert found[2600:].max() < 0.1


def test_windows_are_the_same_in_long_recordings(monkeypatch: pytest.MonkeyPatch) -> None:
    activation = bumps(np.arange(0.2, 60, 0.4), 60, height=0.5)
    whole = periodicity(activation, fps=100)
    monkeypatch.setattr("levada.beat_tracking.decoder.periodicity.WINDOWS_AT_ONCE", 7)
    np.testing.assert_allclose(periodicity(activation, fps=100), whole, atol=1e-12)
