"""Beats of unequal length in the decoder: every reading of tiny recordings, and activations like real ones."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import asdict

import numpy as np
import numpy.typing as npt
import pytest

from levada.beat_tracking.decoder import DecoderSettings, decode_beats, posteriors
from levada.beat_tracking.decoder.decode import _best_path
from levada.beat_tracking.decoder.recursion import Forward, max_sum, sum_product
from levada.beat_tracking.decoder.state_space import BarPointer, bar_pointer, beat_lengths
from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.metres import relative_lengths

Floats = npt.NDArray[np.float64]
Place = tuple[int, int]  # metre, place in it from 0
Reading = tuple[float, list[tuple[int, int, Place]]]  # log probability; start, length, place

FPS = 10.0
TINY = DecoderSettings(
    min_tempo_bpm=150,  # 4 frames
    max_tempo_bpm=200,  # 3 frames
    metres=(2, "2+2+3", "3+2"),
    metre_weights=(0.5, 0.3, 0.2),
    metre_change=0.2,
    tempo_stiffness=3,
    tempo_mean_bpm=160,
    tempo_spread_octaves=0.5,
    beat_width=2.5,
    threshold=0,
)


def readings(activations: Floats) -> Iterator[Reading]:
    """Every reading with its log probability, from the definitions."""
    frames = len(activations)
    lengths = beat_lengths(fps=FPS, settings=TINY).tolist()
    assert lengths == [2, 3, 4, 5, 6]
    relative = [relative_lengths(metre) for metre in TINY.metres]
    weights = TINY.metre_weights or ()

    def prior(place: Place) -> list[float]:
        ratio = float(relative[place[0]][place[1]])
        values = [
            math.exp(-0.5 * (math.log2(600 / (n / ratio) / 160) / 0.5) ** 2)
            if round(3 * ratio) <= n <= round(4 * ratio)
            else 0.0
            for n in lengths
        ]
        return [value / sum(values) for value in values]

    def tempo_change(old: float, place: Place, ratio: float) -> list[float]:
        to = [math.exp(-3 * abs(n / (old * ratio) - 1)) * p for n, p in zip(lengths, prior(place), strict=True)]
        return [value / sum(to) for value in to]

    def following(length: int, place: Place) -> Iterator[tuple[Place, int, float]]:
        metre, i = place
        one = relative[metre]
        if i + 1 < len(one):
            after = (metre, i + 1)
            for n, p in zip(lengths, tempo_change(length, after, one[i + 1] / one[i]), strict=True):
                yield after, n, p
            return
        usual = min(lengths, key=lambda n: abs(math.log(n) - math.log(length / one[i])))
        for m, weight in enumerate(weights):
            after = (m, 0)
            kept = 0.8 * (m == metre) + 0.2 * weight
            for n, p in zip(lengths, tempo_change(usual, after, relative[m][0]), strict=True):
                yield after, n, kept * p

    activation = activations.max(axis=1)
    share = (activations[:, 1] + 0.05) / (activation + 0.1)
    limited = 0.02 + 0.96 * activation

    def frame_score(frame: int, since: int, length: int, downbeat: bool) -> float:
        if not 0 <= frame < frames:
            return 0.0
        if since < length / 2.5:
            return math.log(limited[frame] * (share[frame] if downbeat else 1 - share[frame]))
        return math.log((1 - limited[frame]) / 1.5)

    def extend(logp: float, path: list[tuple[int, int, Place]]) -> Iterator[Reading]:
        start, n, place = path[-1]
        logp += sum(frame_score(start + i, i, n, place[1] == 0) for i in range(n))
        if start + n >= frames:
            yield logp, path
            return
        for after, length, probability in following(n, place):
            if probability > 0:
                yield from extend(logp + math.log(probability), [*path, (start + n, length, after)])

    for metre, weight in enumerate(weights):
        for i in range(len(relative[metre])):
            for n, p in zip(lengths, prior((metre, i)), strict=True):
                for start in range(1 - n, 1) if p else ():
                    yield from extend(math.log(p / n * weight / len(relative[metre])), [(start, n, (metre, i))])


def activations_of(beats: Beats, duration_s: float, *, noise: float = 0.05, missing: float = 0.0) -> Floats:
    """Activations with a bump at every beat that was not missed, and noise between; the first and the last stay."""
    rng = np.random.default_rng(0)
    frames = np.arange(round(duration_s * 100)) / 100
    activations = rng.uniform(0, noise, (len(frames), 2))
    for time, position in beats:
        if rng.uniform() >= missing or time in beats.times_s[[0, -1]]:
            bump = np.exp(-0.5 * ((frames - time) / 0.02) ** 2)
            activations[:, 0] = np.maximum(activations[:, 0], rng.uniform(0.6, 0.95) * bump)
            height = rng.uniform(0.4, 0.9) if position == 1 else rng.uniform(0, 0.2)
            activations[:, 1] = np.maximum(activations[:, 1], height * bump)
    return activations


def assert_same(found: Beats, expected: Beats) -> None:
    assert len(found) == len(expected)
    np.testing.assert_allclose(found.times_s, expected.times_s, atol=0.02)
    np.testing.assert_array_equal(found.positions, expected.positions)


def random_activations(frames: int, seed: int) -> Floats:
    beat, downbeat = np.random.default_rng(seed).uniform(0.05, 0.95, (2, frames))
    return np.stack([beat, beat * downbeat], axis=1)


@pytest.mark.parametrize(("frames", "seed"), [(1, 0), (5, 2), (10, 3), (13, 4)])
def test_best_path_and_posteriors(frames: int, seed: int) -> None:
    activations = random_activations(frames, seed)
    every = list(readings(activations))
    score, best = max(every, key=lambda reading: reading[0])
    model = bar_pointer(activations, fps=FPS, settings=TINY)
    assert Forward(model, max_sum).ending.max() == pytest.approx(score, abs=1e-9)
    path = _best_path(model)
    assert path is not None
    starts, tempi, positions, _ = path
    found = zip(starts.tolist(), model.lengths[tempi].tolist(), model.places[positions].tolist(), strict=True)
    assert list(found) == [(start, n, place + 1) for start, n, (_, place) in best]
    expected, total = np.zeros_like(activations), 0.0
    activation = activations.max(axis=1)
    for score, path_ in every:
        probability = math.exp(score)
        total += probability
        for start, n, (_, place) in path_:
            region = range(max(start, 0), min(start + math.ceil(n / 2.5), frames))
            if region:
                expected[max(region, key=lambda i: activation[i])] += probability * np.array([1.0, place == 0])
    np.testing.assert_allclose(posteriors(activations, fps=FPS, settings=TINY), expected / total, atol=1e-10)


def test_readings_sum_to_one() -> None:
    model = bar_pointer(np.full((14, 2), 0.5), fps=FPS, settings=TINY)
    mute = BarPointer(**{**model.__dict__, "sums": np.zeros_like(model.sums)})
    assert np.exp(Forward(mute, sum_product).ending).sum() == pytest.approx(1.0, abs=1e-12)


def aksak(metre: str, bpm: float, duration_s: float, *, first: int = 0, drift: float = 0.0, seed: int = 0) -> Beats:
    """Beats of unequal length; the tempo is that of the usual beat."""
    rng = np.random.default_rng(seed)
    relative = relative_lengths(metre)
    times, positions, time, place = [], [], 0.4, first
    while time < duration_s - 0.2:
        times.append(time + rng.normal(0, 0.006))
        positions.append(place + 1)
        time += 60 / bpm * relative[place] * (1 + drift * np.sin(time / 6))
        place = (place + 1) % len(relative)
    return Beats(times, positions)


@pytest.mark.parametrize(
    ("metre", "bpm", "first"),
    [("2+2+2+3", 130, 0), ("3+2+2", 160, 1), ("2+3", 100, 0), ("2+2+3+2+2", 180, 3), ("1+2", 90, 0)],
)
def test_beats_of_unequal_length(metre: str, bpm: float, first: int) -> None:
    beats = aksak(metre, bpm, 30, first=first, drift=0.05)
    settings = DecoderSettings(metres=(2, 3, 4, metre))
    found = decode_beats(activations_of(beats, 30, noise=0.04), settings=settings)
    assert_same(found, beats)
    assert found.confidence is not None
    assert np.median(found.confidence) > 0.9
    one = decode_beats(activations_of(beats, 30, noise=0.04, missing=0.15), settings=DecoderSettings(metres=(metre,)))
    assert np.mean(np.abs(one.times_s - beats.times_s) < 0.04) > 0.9
    np.testing.assert_array_equal(one.positions, beats.positions)


def test_equal_beats_beside_a_metre_of_unequal_ones() -> None:
    for bpm, metre in ((60, 4), (92, 2), (120, 3), (205, 4)):
        times = np.arange(0.3, 19.9, 60 / bpm)
        beats = Beats(times, np.arange(len(times)) % metre + 1)
        assert_same(
            decode_beats(activations_of(beats, 20), settings=DecoderSettings(metres=(2, 3, 4, "2+2+2+3"))), beats
        )


def test_a_change_from_equal_to_unequal_beats() -> None:
    first, second = Beats(0.3 + 0.5 * np.arange(24), np.arange(24) % 4 + 1), aksak("3+2+2", 120, 16)
    start = first.times_s[-1] + 0.5 - second.times_s[0]
    beats = Beats([*first.times_s, *(second.times_s + start)], [*first.positions, *second.positions])
    assert first.positions[-1] == 4
    assert_same(decode_beats(activations_of(beats, 28), settings=DecoderSettings(metres=(4, "3+2+2"))), beats)


def test_hints() -> None:
    beats = aksak("2+2+2+3", 130, 20)
    given = Beats(beats.times_s[[5, 9, 10]], beats.positions[[5, 9, 10]])
    flat = np.full((2000, 2), 0.05)
    found = decode_beats(flat, settings=DecoderSettings(metres=("2+2+2+3",), tempo_stiffness=300), hints=given)
    inside = (found.times_s > beats.times_s[3]) & (found.times_s < beats.times_s[14])
    np.testing.assert_allclose(found.times_s[inside], beats.times_s[4:14], atol=0.06)
    np.testing.assert_array_equal(found.positions[inside], beats.positions[4:14])


def test_settings_are_kept_in_lowest_terms() -> None:
    settings = DecoderSettings(metres=(4, "4+4+4+6", " 2 + 3 "))
    assert settings.metres == (4, "2+2+2+3", "2+3")
    assert settings.beats_per_bar == (4, 4, 2)
    assert settings.extreme_lengths == pytest.approx((0.8, 1.5))
    assert DecoderSettings(metres=("2+2",)).metres == (2,)
    assert DecoderSettings.from_dict(json.loads(json.dumps(asdict(settings)))) == settings
    assert settings.restrict(metres=["2+2+2+3"]).metres == ("2+2+2+3",)


@pytest.mark.parametrize("metre", ["2+", "2+x", "0+2", "1+9", "+".join("23" * 40), "2-3", "2+2+2+3x"])
def test_metres_that_are_none(metre: str) -> None:
    with pytest.raises(InputError):
        DecoderSettings(metres=(metre,))


def test_the_same_metre_twice() -> None:
    with pytest.raises(InputError, match="twice"):
        DecoderSettings(metres=("2+3", "4+6"))
