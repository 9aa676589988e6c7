"""Logits as probabilities, and peaks without a model."""

from __future__ import annotations

import numpy as np
import pytest

from levada.beat_tracking.decoder import pick_peaks, probabilities
from levada.errors import InputError


def test_probabilities_are_the_logistic_function_and_downbeats_are_beats() -> None:
    found = probabilities([[0.0, np.log(3)], [-np.log(3), 40], [40, -np.log(3)]])
    np.testing.assert_allclose(found, [[0.5, 0.375], [0.25, 0.25], [1, 0.25]])
    assert probabilities(np.zeros((2, 2), np.float32)).dtype == np.float32


def test_probabilities_never_overflow() -> None:
    logits = np.array([[-1e30, 1e30], [-np.inf, np.inf], [800, 800]], np.float32)
    np.testing.assert_array_equal(probabilities(logits), [[0, 0], [0, 0], [1, 1]])
    assert probabilities(np.array([-50.0, 0.0]))[0] == pytest.approx(np.exp(-50), rel=1e-6)


def peaks_at(frames: dict[int, float], n: int = 100) -> np.ndarray:
    activations = np.zeros((n, 2))
    for frame, height in frames.items():
        activations[frame, 0] = height
    return activations


def test_peaks_and_their_heights() -> None:
    found = pick_peaks(peaks_at({10: 0.9, 50: 0.4, 80: 0.2}), fps=100)
    np.testing.assert_allclose(found.times_s, [0.1, 0.5])
    np.testing.assert_allclose(found.confidence, [0.9, 0.4])
    np.testing.assert_array_equal(found.positions, [0, 0])
    assert len(pick_peaks(peaks_at({10: 0.9, 50: 0.4, 80: 0.2}), threshold=0.1)) == 3


def test_peaks_between_frames() -> None:
    parabola = 0.9 - 0.05 * (np.arange(20) - 9.3) ** 2
    activations = np.stack([parabola.clip(0, 1), np.zeros(20)], axis=1)
    assert pick_peaks(activations, fps=10).times_s == pytest.approx([0.93])


def test_the_higher_of_two_near_peaks() -> None:
    activations = peaks_at({10: 0.6, 20: 0.9, 41: 0.5})
    np.testing.assert_allclose(pick_peaks(activations, fps=100, min_distance_s=0.2).times_s, [0.2, 0.41])
    assert len(pick_peaks(activations, fps=100, min_distance_s=0.1)) == 3


def test_peaks_at_the_ends_and_plateaus() -> None:
    activations = peaks_at({0: 0.8, 40: 1.0, 41: 1.0, 42: 1.0, 99: 0.8})
    np.testing.assert_allclose(pick_peaks(activations, fps=100).times_s, [0, 0.41, 0.99])


def test_positions_between_known_downbeats() -> None:
    activations = peaks_at(dict.fromkeys(range(10, 100, 10), 0.9))
    activations[[21, 51, 79], 1] = 0.8  # a frame aside
    found = pick_peaks(activations, fps=20)
    np.testing.assert_array_equal(found.positions, [0, 1, 2, 3, 1, 2, 3, 1, 0])


def test_downbeats_far_from_beats_are_ignored() -> None:
    activations = peaks_at({20: 0.9, 60: 0.9})
    activations[[30, 60], 1] = 0.9
    np.testing.assert_array_equal(pick_peaks(activations, fps=100).positions, [0, 1])


@pytest.mark.parametrize("frames", [0, 1, 2, 3, 50])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_nothing_stands_out(frames: int, level: float) -> None:
    assert len(pick_peaks(np.full((frames, 2), level))) == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [({"threshold": 1.2}, "threshold"), ({"min_distance_s": -1}, "min_distance_s"), ({"fps": 0}, "fps")],
)
def test_wrong_options(options: dict[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        pick_peaks(np.zeros((10, 2)), **options)


def test_logits_are_not_activations() -> None:
    with pytest.raises(InputError, match="probabilities"):
        pick_peaks(np.array([[3.0, -2.0]]))
