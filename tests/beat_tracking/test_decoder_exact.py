"""The decoder against every possible reading of tiny recordings, listed one by one."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from levada.beat_tracking.decoder import DecoderSettings, decode_beats, posteriors, sample_beats
from levada.beat_tracking.decoder.decode import _best_path, _posteriors
from levada.beat_tracking.decoder.hints import hint_windows
from levada.beat_tracking.decoder.recursion import Forward, max_sum, sum_product
from levada.beat_tracking.decoder.sampling import sample_paths
from levada.beat_tracking.decoder.state_space import BarPointer, Windows, bar_pointer
from levada.errors import InputError
from levada.io.beats import Beats

Floats = npt.NDArray[np.float64]
Step = tuple[int, int, tuple[int, int]]  # start, length, (metre, place); of metre 0 for a stretch without a pulse
Reading = tuple[float, list[Step]]  # log probability, and its steps

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


WITHOUT = replace(TINY, no_pulse_enter=2.0, no_pulse_leave=1.5)
NO_PULSE = (0, 0)
LEAST = 2  # frames


def readings(activations: Floats, windows: Windows | None = None, no_pulse: Floats | None = None) -> Iterator[Reading]:
    """Every reading with its log probability, straight from the definitions and frame by frame.

    With scores (frames,) of no pulse, stretches of the recording may be without.
    """
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
            if place == NO_PULSE:
                if start <= last < end:
                    return False
                continue
            if first <= start <= last and position not in (0, place[1]):
                return False
            if start < first and min(end, frames) > last:
                return False
        return True

    def begin(k: int, place: tuple[int, int]) -> float:
        return math.log(prior[k] * weights[place[0]] / place[0])

    def extend(logp: float, path: list[Step]) -> Iterator[Reading]:
        start, n, place = path[-1]
        if not fits(start, start + n, place):
            return
        if place == NO_PULSE:
            assert no_pulse is not None
            logp += no_pulse[start : start + n].sum()
            logp += (n - 1 if start == 0 else max(n - LEAST, 0)) * math.log(1 - math.exp(-1.5))
        else:
            logp += sum(sound(start + i, i, n, place[1] == 1) for i in range(n))
        if start + n >= frames:
            yield logp, path
            return
        if place == NO_PULSE:
            for k in range(2):
                for after in places:
                    yield from extend(logp - 1.5 + begin(k, after), [*path, (start + n, lengths[k], after)])
            return
        if no_pulse is not None:
            rest = frames - start - n
            for m in {*range(LEAST, rest + 1), rest}:
                yield from extend(logp - 2, [*path, (start + n, m, NO_PULSE)])
            logp += math.log(1 - math.exp(-2))
        for k in range(2):
            for after, probability in following(place):
                change = math.log(probability * tempo_change(lengths.index(n), k))
                yield from extend(logp + change, [*path, (start + n, lengths[k], after)])

    places = [(metre, i) for metre in weights for i in range(1, metre + 1)]
    with_pulse = 0.0 if no_pulse is None else math.log(0.5)
    for k, n in enumerate(lengths):
        for place in places:
            for start in range(1 - n, 1):
                yield from extend(with_pulse + begin(k, place) - math.log(n), [(start, n, place)])
    if no_pulse is not None:
        for n in range(1, frames + 1):
            yield from extend(math.log(0.5), [(0, n, NO_PULSE)])


def random_activations(frames: int, seed: int) -> Floats:
    beat, downbeat = np.random.default_rng(seed).uniform(0.05, 0.95, (2, frames))
    return np.stack([beat, beat * downbeat], axis=1)


def with_random_no_pulse(model: BarPointer, seed: int) -> tuple[BarPointer, Floats]:
    """Replace the scores of no pulse by random ones, and make the shortest stretch shorter."""
    scores = np.random.default_rng(seed).uniform(-4, 0.5, model.frames)
    assert model.no_pulse is not None
    return replace(model, no_pulse=replace(model.no_pulse, scores=scores, least=LEAST)), scores


def path_of(model: BarPointer) -> list[tuple[int, int, int]]:
    found = _best_path(model)
    assert found is not None
    starts, tempi, positions, _ = found
    return list(zip(starts.tolist(), model.lengths[tempi].tolist(), model.places[positions].tolist(), strict=True))


@pytest.mark.parametrize(("frames", "seed"), [(1, 0), (2, 1), (5, 2), (12, 3), (15, 4), (18, 5)])
def test_best_path_and_its_score(frames: int, seed: int) -> None:
    activations = random_activations(frames, seed)
    score, best = max(readings(activations), key=lambda reading: reading[0])
    model = bar_pointer(activations, fps=FPS, settings=TINY)
    assert Forward(model, max_sum).ending.max() == pytest.approx(score, abs=1e-9)
    assert path_of(model) == [(start, length, place) for start, length, (_, place) in best]


def expected_posteriors(activations: Floats, windows: Windows | None = None, no_pulse: Floats | None = None) -> Floats:
    """Probabilities of beats and downbeats, and of no pulse where it has scores."""
    result, total = np.zeros((len(activations), 2 + (no_pulse is not None))), 0.0
    heard = activations.max(axis=1)
    for score, path in readings(activations, windows, no_pulse):
        probability = math.exp(score)
        total += probability
        for start, length, (metre, place) in path:
            if not metre:
                result[start : start + length, 2] += probability
                continue
            region = range(max(start, 0), min(start + math.ceil(length / 2.5), len(heard)))
            if region:
                frame = max(region, key=lambda i: heard[i])
                result[frame, :2] += probability * np.array([1.0, place == 1])
    return result / total


@pytest.mark.parametrize(("frames", "seed"), [(1, 0), (2, 1), (5, 2), (12, 3), (16, 4)])
def test_posteriors(frames: int, seed: int) -> None:
    activations = random_activations(frames, seed)
    found = posteriors(activations, fps=FPS, settings=TINY)
    np.testing.assert_allclose(found, expected_posteriors(activations), atol=1e-10)


@pytest.mark.parametrize(("settings", "least"), [(TINY, 1), (WITHOUT, 1), (WITHOUT, 4), (WITHOUT, 20)])
def test_sum_of_all_readings_is_one_reading_per_recording(settings: DecoderSettings, least: int) -> None:
    """The prior alone, without sound, sums to one: nothing is counted twice or left out."""
    silent = np.full((14, 2), 0.5)
    model = bar_pointer(silent, fps=FPS, settings=settings)
    mute = replace(model, sums=np.zeros_like(model.sums))
    if mute.no_pulse is not None:
        mute = replace(mute, no_pulse=replace(mute.no_pulse, scores=np.zeros(14), least=least))
    forward = Forward(mute, sum_product)
    assert np.exp(forward.ending).sum() + np.exp(forward.ending_without) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize(("frames", "seed"), [(1, 0), (2, 1), (5, 2), (9, 3), (11, 4), (11, 5), (12, 6)])
def test_best_path_with_stretches_without_pulse(frames: int, seed: int) -> None:
    activations = random_activations(frames, seed)
    model, scores = with_random_no_pulse(bar_pointer(activations, fps=FPS, settings=WITHOUT), seed)
    score, best = max(readings(activations, no_pulse=scores), key=lambda reading: reading[0])
    forward = Forward(model, max_sum)
    assert max(forward.ending.max(), forward.ending_without) == pytest.approx(score, abs=1e-9)
    assert path_of(model) == [(start, length, place) for start, length, (metre, place) in best if metre]
    found = _best_path(model)
    assert found is not None
    assert found.no_pulse.tolist() == [[start, start + n] for start, n, (metre, _) in best if not metre]


@pytest.mark.parametrize(("frames", "seed"), [(1, 0), (2, 1), (5, 2), (10, 3), (10, 4)])
def test_posteriors_with_stretches_without_pulse(frames: int, seed: int) -> None:
    activations = random_activations(frames, seed)
    model, scores = with_random_no_pulse(bar_pointer(activations, fps=FPS, settings=WITHOUT), seed)
    found = _posteriors(model)
    assert found is not None
    expected = expected_posteriors(activations, no_pulse=scores)
    np.testing.assert_allclose(np.column_stack(found[:2]), expected, atol=1e-10)


@pytest.mark.parametrize("seed", range(4))
def test_no_stretch_without_pulse_passes_over_a_hint(seed: int) -> None:
    activations = random_activations(11, seed)
    windows = hint_windows(Beats([0.3, 0.9], [2, 0]), frames=11, fps=FPS, settings=WITHOUT)
    model, scores = with_random_no_pulse(bar_pointer(activations, fps=FPS, settings=WITHOUT, windows=windows), seed)
    score, best = max(readings(activations, windows, scores), key=lambda reading: reading[0])
    forward = Forward(model, max_sum)
    assert max(forward.ending.max(), forward.ending_without) == pytest.approx(score, abs=1e-9)
    assert path_of(model) == [(start, length, place) for start, length, (metre, place) in best if metre]
    found = _posteriors(model)
    assert found is not None
    expected = expected_posteriors(activations, windows, scores)
    np.testing.assert_allclose(np.column_stack(found[:2]), expected, atol=1e-10)


@pytest.mark.parametrize("seed", range(6))
def test_hints_leave_the_best_of_the_readings_that_pass(seed: int) -> None:
    activations = random_activations(16, seed)
    hints = Beats([0.3, 1.1], [2, 1])
    windows = hint_windows(hints, frames=16, fps=FPS, settings=TINY)
    score, best = max(readings(activations, windows), key=lambda reading: reading[0])
    model = bar_pointer(activations, fps=FPS, settings=TINY, windows=windows)
    assert Forward(model, max_sum).ending.max() == pytest.approx(score, abs=1e-9)
    assert path_of(model) == [(start, length, place) for start, length, (_, place) in best]
    found = posteriors(activations, fps=FPS, settings=TINY, hints=hints)
    np.testing.assert_allclose(found, expected_posteriors(activations, windows), atol=1e-10)


DRAWS = 4000
MONTE_CARLO = 4.5 * 0.5 / math.sqrt(DRAWS)  # four and a half standard errors of the worst probability


def frequencies(samples: list[Beats], frames: int) -> Floats:
    """Share of the samples with a beat, and with a downbeat, within half a frame of each frame."""
    result = np.zeros((frames, 2))
    for beats in samples:
        at = np.rint(beats.times_s * FPS).astype(int).clip(0, frames - 1)
        result[at, 0] += 1
        result[at[beats.positions == 1], 1] += 1
    return result / len(samples)


@pytest.mark.parametrize(("frames", "seed"), [(1, 0), (5, 2), (12, 3), (16, 4)])
@pytest.mark.parametrize("settings", [TINY, WITHOUT])
def test_samples_are_as_frequent_as_readings_are_probable(frames: int, seed: int, settings: DecoderSettings) -> None:
    activations = random_activations(frames, seed)
    samples = sample_beats(activations, DRAWS, fps=FPS, settings=settings, seed=seed)
    expected = posteriors(activations, fps=FPS, settings=settings)
    np.testing.assert_allclose(frequencies(samples, frames), expected, atol=MONTE_CARLO)


@pytest.mark.parametrize("seed", range(3))
def test_sampled_paths_are_as_frequent_as_they_are_probable(seed: int) -> None:
    """Whole readings, stretches without a pulse included: not only their marginals."""
    activations = random_activations(9, seed)
    model, scores = with_random_no_pulse(bar_pointer(activations, fps=FPS, settings=WITHOUT), seed)
    expected = Counter[tuple[tuple[int, int, int], ...]]()
    for score, path in readings(activations, no_pulse=scores):
        beats = tuple((start, length, place) for start, length, (metre, place) in path if metre)
        expected[beats] += math.exp(score)  # type: ignore[assignment]
    total = sum(expected.values())
    drawn = Counter(
        tuple(zip(path.starts.tolist(), model.lengths[path.tempi].tolist(), model.places[path.positions].tolist(),
                  strict=True))
        for path in sample_paths(model, DRAWS, rng=np.random.default_rng(seed))
    )  # fmt: skip
    assert set(drawn) <= set(expected)
    for beats, probability in expected.items():
        assert drawn[beats] / DRAWS == pytest.approx(probability / total, abs=MONTE_CARLO)


def test_samples_pass_through_hints() -> None:
    activations = random_activations(16, 2)
    hints = Beats([0.3, 1.1], [2, 1])
    samples = sample_beats(activations, DRAWS, fps=FPS, settings=TINY, hints=hints, seed=0)
    expected = posteriors(activations, fps=FPS, settings=TINY, hints=hints)
    np.testing.assert_allclose(frequencies(samples, 16), expected, atol=MONTE_CARLO)


def test_samples_of_a_long_recording_are_read_in_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    activations = random_activations(300, 1)
    whole = sample_beats(activations, 20, fps=FPS, settings=WITHOUT, seed=3)
    monkeypatch.setattr("levada.beat_tracking.decoder.recursion.STRETCH_BYTES", 5000)
    pieces = sample_beats(activations, 20, fps=FPS, settings=WITHOUT, seed=3)
    assert [one.times_s.tolist() for one in whole] == [one.times_s.tolist() for one in pieces]
    assert len({tuple(one.times_s) for one in whole}) > 10  # random activations leave many readings


def test_a_sample_of_nothing() -> None:
    assert [len(one) for one in sample_beats(np.zeros((0, 2)), 2)] == [0, 0]
    with pytest.raises(InputError, match="at least one sample"):
        sample_beats(np.zeros((10, 2)), 0)


def test_confidence_is_the_posterior_within_30_ms() -> None:
    activations = random_activations(18, 7)
    found = decode_beats(activations, fps=FPS, settings=TINY)
    assert found.confidence is not None
    beats = posteriors(activations, fps=FPS, settings=TINY)[:, 0]
    frames = [int(np.argmin(np.abs(np.arange(18) / FPS - time))) for time in found.times_s]
    near = [beats[max(f - 1, 0) : f + 2].sum() for f in frames]
    np.testing.assert_allclose(found.confidence, np.clip(near, 0, 1), atol=1e-9)
