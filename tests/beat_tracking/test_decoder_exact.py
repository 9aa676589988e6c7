"""The decoder against every possible reading of tiny recordings, listed one by one."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
import pytest

from levada.beat_tracking.decoder import DecoderSettings, decode_beats, posteriors
from levada.beat_tracking.decoder.decode import _best_path
from levada.beat_tracking.decoder.hints import hint_windows
from levada.beat_tracking.decoder.recursion import Forward, best_product
from levada.beat_tracking.decoder.state_space import BarPointer, Windows, bar_pointer
from levada.io.beats import Beats

Floats = npt.NDArray[np.float64]
Reading = tuple[float, list[tuple[int, int, tuple[int, int]]]]  # log probability; start, length, (metre, place)

FPS = 10.0
TINY = DecoderSettings(
    min_tempo_bpm=150,  # 4 frames
    max_tempo_bpm=200,  # 3 frames
    metres=(2, 3),
    metre_weights=(0.7, 0.3),
    metre_change=0.2,
    tempo_stiffness=3,
    tempo_mean_bpm=160,
    tempo_spread_octaves=0.5,
    beat_width=2.5,
    threshold=0,
)


def readings(activations: Floats, windows: Windows | None = None) -> Iterator[Reading]:
    """Every reading with its log probability, straight from the definitions and frame by frame."""
    frames, lengths, weights = len(activations), (3, 4), {2: 0.7, 3: 0.3}
    prior = [math.exp(-0.5 * (math.log2(60 * FPS / n / 160) / 0.5) ** 2) for n in lengths]
    prior = [p / sum(prior) for p in prior]

    def tempo_change(old: int, new: int) -> float:
        to = [math.exp(-3 * abs(n / lengths[old] - 1)) * p for n, p in zip(lengths, prior, strict=True)]
        return to[new] / sum(to)

    def following(place: tuple[int, int]) -> list[tuple[tuple[int, int], float]]:
        metre, i = place
        if i < metre:
            return [((metre, i + 1), 1.0)]
        return [((m, 1), 0.8 * (m == metre) + 0.2 * w) for m, w in weights.items()]

    heard = activations.max(axis=1)
    share = (activations[:, 1] + 0.05) / (heard + 0.1)  # 10 ms beside are less than a frame here
    heard = 0.02 + 0.96 * heard

    def sound(frame: int, since: int, length: int, downbeat: bool) -> float:
        if not 0 <= frame < frames:
            return 0.0
        if since < length / 2.5:
            return math.log(heard[frame] * (share[frame] if downbeat else 1 - share[frame]))
        return math.log((1 - heard[frame]) / 1.5)

    def fits(start: int, end: int, place: tuple[int, int]) -> bool:
        if windows is None:
            return True
        for first, last, position in zip(windows.first, windows.last, windows.positions, strict=True):
            if first <= start <= last and position not in (0, place[1]):
                return False
            if start < first and min(end, frames) > last:
                return False
        return True

    def extend(logp: float, path: list[tuple[int, int, tuple[int, int]]]) -> Iterator[Reading]:
        start, k, place = path[-1]
        n = lengths[k]
        if not fits(start, start + n, place):
            return
        logp += sum(sound(start + i, i, n, place[1] == 1) for i in range(n))
        if start + n >= frames:
            yield logp, [(s, lengths[j], p) for s, j, p in path]
            return
        for other in range(2):
            for after, probability in following(place):
                change = math.log(probability * tempo_change(k, other))
                yield from extend(logp + change, [*path, (start + n, other, after)])

    for k, n in enumerate(lengths):
        for metre, weight in weights.items():
            for i in range(1, metre + 1):
                for start in range(1 - n, 1):
                    yield from extend(math.log(prior[k] / n * weight / metre), [(start, k, (metre, i))])


def random_activations(frames: int, seed: int) -> Floats:
    beat, downbeat = np.random.default_rng(seed).uniform(0.05, 0.95, (2, frames))
    return np.stack([beat, beat * downbeat], axis=1)


def path_of(model: BarPointer) -> list[tuple[int, int, int]]:
    found = _best_path(model, best_product("numpy", work=0))
    assert found is not None
    starts, tempi, positions = found
    return list(zip(starts.tolist(), model.lengths[tempi].tolist(), model.places[positions].tolist(), strict=True))


@pytest.mark.parametrize(("frames", "seed"), [(1, 0), (2, 1), (5, 2), (12, 3), (15, 4), (18, 5)])
def test_best_path_and_its_score(frames: int, seed: int) -> None:
    activations = random_activations(frames, seed)
    score, best = max(readings(activations), key=lambda reading: reading[0])
    model = bar_pointer(activations, fps=FPS, settings=TINY)
    assert Forward(model, best_product("numpy", work=0)).ending.max() == pytest.approx(score, abs=1e-9)
    assert path_of(model) == [(start, length, place) for start, length, (_, place) in best]


def expected_posteriors(activations: Floats, windows: Windows | None = None) -> Floats:
    result, total = np.zeros_like(activations), 0.0
    heard = activations.max(axis=1)
    for score, path in readings(activations, windows):
        probability = math.exp(score)
        total += probability
        for start, length, (_, place) in path:
            region = range(max(start, 0), min(start + math.ceil(length / 2.5), len(heard)))
            if region:
                frame = max(region, key=lambda i: heard[i])
                result[frame] += probability * np.array([1.0, place == 1])
    return result / total


@pytest.mark.parametrize(("frames", "seed"), [(1, 0), (2, 1), (5, 2), (12, 3), (16, 4)])
def test_posteriors(frames: int, seed: int) -> None:
    activations = random_activations(frames, seed)
    found = posteriors(activations, fps=FPS, settings=TINY)
    np.testing.assert_allclose(found, expected_posteriors(activations), atol=1e-10)


def test_sum_of_all_readings_is_one_reading_per_recording() -> None:
    """The prior alone, without sound, sums to one: nothing is counted twice or left out."""
    silent = np.full((14, 2), 0.5)
    model = bar_pointer(silent, fps=FPS, settings=TINY)
    mute = BarPointer(**{**model.__dict__, "sums": np.zeros_like(model.sums)})
    from levada.beat_tracking.decoder.recursion import sum_product

    assert np.exp(Forward(mute, sum_product).ending).sum() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_hints_leave_the_best_of_the_readings_that_pass(seed: int) -> None:
    activations = random_activations(16, seed)
    hints = Beats([0.3, 1.1], [2, 1])
    windows = hint_windows(hints, frames=16, fps=FPS, settings=TINY)
    score, best = max(readings(activations, windows), key=lambda reading: reading[0])
    model = bar_pointer(activations, fps=FPS, settings=TINY, windows=windows)
    assert Forward(model, best_product("numpy", work=0)).ending.max() == pytest.approx(score, abs=1e-9)
    assert path_of(model) == [(start, length, place) for start, length, (_, place) in best]
    found = posteriors(activations, fps=FPS, settings=TINY, hints=hints)
    np.testing.assert_allclose(found, expected_posteriors(activations, windows), atol=1e-10)


def test_confidence_is_the_posterior_within_30_ms() -> None:
    activations = random_activations(18, 7)
    found = decode_beats(activations, fps=FPS, settings=TINY, impl="numpy")
    assert found.confidence is not None
    beats = posteriors(activations, fps=FPS, settings=TINY)[:, 0]
    frames = [int(np.argmin(np.abs(np.arange(18) / FPS - time))) for time in found.times_s]
    near = [beats[max(f - 1, 0) : f + 2].sum() for f in frames]
    np.testing.assert_allclose(found.confidence, np.clip(near, 0, 1), atol=1e-9)
