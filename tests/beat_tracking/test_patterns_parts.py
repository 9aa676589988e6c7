"""Bars, features, Gaussians and the sound of whole beats, each against what is known of it."""

import numpy as np
import pytest

from levada.beat_tracking.decoder import DecoderSettings, decode_states, model_posteriors
from levada.beat_tracking.decoder.hints import hint_windows
from levada.beat_tracking.decoder.recursion import Forward, sum_product
from levada.beat_tracking.decoder.state_space import BarPointer, Windows, pattern_pointer
from levada.beat_tracking.patterns.bars import count_metres, cut_bars
from levada.beat_tracking.patterns.features import band_onset_strength
from levada.beat_tracking.patterns.likelihood import CellLikelihood
from levada.beat_tracking.patterns.mixture import Mixture, fit_mixture, k_means
from levada.beat_tracking.spectrogram import log_spectrogram
from levada.errors import InputError
from levada.io.beats import Beats


def parts(beats: Beats, metres: list[int]) -> list[tuple[int, int, int]]:
    return [(bar.metre, bar.first, len(bar.times_s) - 1) for bar in cut_bars(beats, metres)]


@pytest.mark.parametrize(
    ("positions", "metres", "expected"),
    [
        ([1, 2, 3, 4, 1, 2, 3, 4, 1], [4], [(4, 0, 4), (4, 0, 4)]),
        ([3, 4, 1, 2, 3, 4, 1, 2], [4], [(4, 2, 2), (4, 0, 4), (4, 0, 1)]),
        ([1, 0, 0, 1, 0, 0, 1], [3], [(3, 0, 3), (3, 0, 3)]),
        ([0, 0, 0, 0], [], [(0, 0, 1)] * 3),
        ([1, 2, 1, 2, 3, 1, 2], [2, 3], [(2, 0, 2), (3, 0, 3), (3, 0, 1)]),
        ([0, 0, 1, 2, 1], [2], [(0, 0, 1), (0, 0, 1), (2, 0, 2)]),
        ([2, 3], [4], [(4, 1, 1)]),
        ([1, 2, 4, 1], [4], [(4, 0, 2), (4, 3, 1)]),
        ([5, 1, 2], [2], [(0, 0, 1), (2, 0, 1)]),
        ([1], [4], []),
        ([], [4], []),
    ],
)
def test_bars(positions: list[int], metres: list[int], expected: list[tuple[int, int, int]]) -> None:
    assert parts(Beats(np.arange(len(positions)) * 0.5, positions), metres) == expected


def test_a_missed_beat_is_no_long_one() -> None:
    times = np.delete(np.arange(13) * 0.5, 6)
    assert parts(Beats(times, np.delete(np.r_[np.tile([1, 2, 3, 4], 3), 1], 6)), [4]) == [
        (4, 0, 4),
        (4, 0, 1),
        (4, 3, 1),
        (4, 0, 4),
    ]


@pytest.mark.parametrize(
    ("positions", "expected"),
    [
        (np.r_[np.tile([1, 2, 3, 4], 30), 1, 2, 3, 1], {4: 30}),  # one bar of 3 in 31 is a slip
        ([1, 2, 3, 4, 1, 2, 1, 2, 1], {2: 2, 4: 1}),
        ([2, 3, 4], {4: 1}),
        ([1, 1, 1], {1: 2}),
        ([0, 0, 0], {}),
        ([1], {}),
        ([], {}),
    ],
)
def test_metres(positions: list[int], expected: dict[int, int]) -> None:
    assert count_metres([Beats(np.arange(len(positions)) * 0.5, positions)]) == expected


def test_onsets_are_heard_in_their_band() -> None:
    t = np.arange(44100) / 44100
    sound = np.zeros(3 * 44100, np.float32)
    swell = 0.3 * np.minimum(t / 0.02, 1) * np.exp(-t / 0.1)
    sound[44100:88200] += (swell * np.sin(2 * np.pi * 100 * t)).astype(np.float32)
    sound[88200:] += (swell * np.sin(2 * np.pi * 3000 * t)).astype(np.float32)
    found = band_onset_strength(log_spectrogram(sound[None], 44100), edges_hz=(250.0,))
    assert found.shape == (300, 2)
    assert abs(int(found[:, 0].argmax()) - 100) <= 4
    assert abs(int(found[150:, 1].argmax()) + 150 - 200) <= 4
    assert found[190:210, 0].max() < 0.3 * found[:, 0].max()
    half = band_onset_strength(log_spectrogram(sound[None], 44100), edges_hz=(250.0,), every=2)
    assert half.shape == (150, 2)
    assert abs(int(half[:, 0].argmax()) - 50) <= 2


def test_nothing_begins_in_silence_or_a_constant() -> None:
    assert not band_onset_strength(np.full((50, 81), np.log(1e-6), np.float32), edges_hz=(250.0,)).any()
    assert band_onset_strength(np.full((50, 81), -1, np.float32), edges_hz=(250.0, 900.0)).max() == 0
    assert band_onset_strength(np.zeros((0, 81), np.float32), edges_hz=(250.0,)).shape == (0, 2)


@pytest.mark.parametrize("shape", [(81,), (10, 80), (2, 10, 81)])
def test_onsets_of_something_else(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match=r"\(frames, 81\)"):
        band_onset_strength(np.zeros(shape, np.float32), edges_hz=(250.0,))


def test_gaussians_are_found_again() -> None:
    rng = np.random.default_rng(0)
    features = np.concatenate([rng.normal([0, 5], [0.5, 1], (3000, 2)), rng.normal([4, 0], [1, 0.5], (1000, 2))])
    mixture = fit_mixture(features, components=2, rng=rng)
    order = np.argsort(mixture.means[:, 0])
    np.testing.assert_allclose(mixture.means[order], [[0, 5], [4, 0]], atol=0.2)
    np.testing.assert_allclose(mixture.weights[order], [0.75, 0.25], atol=0.02)
    densities = mixture.densities(features[:50])
    np.testing.assert_allclose(mixture.weights @ densities, 1)


def test_gaussians_of_hardly_anything() -> None:
    mixture = fit_mixture(np.zeros((3, 2)), components=12, rng=np.random.default_rng(0))
    assert mixture.weights.tolist() == [1]
    np.testing.assert_allclose(mixture.densities(np.array([[0.0, 0.0], [1e6, -1e6]])), 1)


def test_groups_with_unknown_places() -> None:
    items = np.array([[[0.0], [1.0]], [[0.1], [np.nan]], [[5.0], [np.nan]], [[5.1], [9.0]], [[np.nan], [9.1]]])
    group = k_means(items, 2, rng=np.random.default_rng(0))
    assert len(set(group[:2].tolist())) == 1
    assert len(set(group[2:].tolist())) == 1
    assert group[0] != group[4]


LENGTHS = np.array([5, 7, 10])


def cell_sound(frames: int = 23, *, cells: int = 4) -> tuple[CellLikelihood, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(frames)
    mixture = Mixture(rng.normal(0, 1, (3, 2)), np.ones((3, 2)), np.array([0.2, 0.3, 0.5]))
    weights = rng.dirichlet([1, 1, 1], (5, cells))
    features = rng.normal(0, 1, (frames, 2))
    logs = np.log(weights @ mixture.densities(features))  # (5, cells, frames)
    return CellLikelihood(features, mixture, weights, lengths=LENGTHS, trust=0.7), logs, features


def test_the_sound_of_a_beat_is_that_of_its_frames() -> None:
    sound, logs, features = cell_sound(4200)
    for first in (4192, 2045, 3, -9, 0, 4095, 4195):
        starts = np.arange(first, first + 4) + np.zeros((3, 1), np.int64)
        expected = np.zeros((3, 5, 4))
        for k, length in enumerate(LENGTHS.tolist()):
            for i in range(4):
                for offset in range(length):
                    frame = first + i + offset
                    if 0 <= frame < len(features):
                        expected[k, :, i] += 0.7 * logs[:, offset * 4 // length, frame]
        np.testing.assert_allclose(sound(starts), expected, atol=1e-10)


SETTINGS = DecoderSettings(min_tempo_bpm=60, max_tempo_bpm=120, metres=(2, 3), threshold=0)


def model_of(frames: int, *, deaf: bool = False) -> tuple[object, int]:
    """Two kinds of bars, of 2 and 3 beats, at 10 frames a second: beats of 5 to 10 frames."""
    sound = cell_sound(frames)[0]

    def build(settings: DecoderSettings, windows: Windows | None) -> BarPointer:
        lengths = np.arange(5, 11)
        rng = np.random.default_rng(1)
        mixture = Mixture(rng.normal(0, 1, (3, 2)), np.ones((3, 2)), np.array([0.2, 0.3, 0.5]))
        weights = rng.dirichlet([1, 1, 1], (5, 4))
        full = CellLikelihood(sound._features, mixture, weights, lengths=lengths, trust=1.0)
        return pattern_pointer(
            (lambda starts: np.zeros((6, 5, starts.shape[1]))) if deaf else full,
            bars=(2, 3),
            weights=np.array([0.4, 0.6]),
            change=np.array([[0.9, 0.1], [0.2, 0.8]]),
            activation=np.ones(frames),
            fps=10.0,
            settings=settings,
            windows=windows,
        )

    return build, frames


def test_without_sound_all_readings_sum_to_one() -> None:
    build, _ = model_of(17, deaf=True)
    model = build(SETTINGS, None)
    assert np.exp(Forward(model, sum_product).ending).sum() == pytest.approx(1, abs=1e-12)


def brute(model: BarPointer) -> np.ndarray:
    """Posteriors (frames, 2) by walking through every reading there is."""
    result, total = np.zeros((model.frames, 2)), 0.0
    change = model.position_change

    def sound(start: int, k: int, p: int) -> float:
        scores = model.evidence(np.arange(len(model.lengths)), start, start + 1)
        return float(scores[k, p, 0])

    def walk(path: list[tuple[int, int, int]], score: float) -> None:
        nonlocal total
        start, k, p = path[-1]
        if score == -np.inf:
            return
        end = start + int(model.lengths[k])
        score += sound(start, k, p)
        if end >= model.frames:
            total += np.exp(score)
            for at, _, place in path:
                if at >= 0:
                    result[at] += np.exp(score) * np.array([1, model.places[place] == 1])
            return
        allowed = model.allowed(np.array([end]))[:, 0]
        for j in range(len(model.lengths)):
            for q in range(len(model.places)):
                walk([*path, (end, j, q)], score + model.tempo_change[k, j] + change[p, q] + allowed[q])

    for k, length in enumerate(model.lengths.tolist()):
        for p in range(len(model.places)):
            for start in range(1 - length, 1):
                walk([(start, k, p)], float(model.begin[k, p] + model.allowed(np.array([start]))[p, 0]))
    return result / total


@pytest.mark.parametrize("hints", [None, Beats([0.6], [2])])
def test_posteriors_are_those_of_all_readings(hints: Beats | None) -> None:
    build, frames = model_of(12)
    windows = None if hints is None else hint_windows(hints, frames=frames, fps=10.0, settings=SETTINGS)
    expected = brute(build(SETTINGS, windows))
    found = model_posteriors(build, frames=frames, fps=10.0, settings=SETTINGS, hints=hints)
    np.testing.assert_allclose(found, expected, atol=1e-10)
    beats = decode_states(build, frames=frames, fps=10.0, settings=SETTINGS, hints=hints).beats
    assert len(beats)
    if hints is not None:
        assert hints.times_s[0] in beats.times_s
