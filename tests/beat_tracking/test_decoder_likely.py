"""Decoding of the likely beats against decoding of all: the same beats, and nearly the same posteriors."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from levada.beat_tracking.decoder import DecoderSettings
from levada.beat_tracking.decoder.decode import _best_path, _decoded, _posteriors_by
from levada.beat_tracking.decoder.hints import hint_windows, possible_hints, widen_tempo_range
from levada.beat_tracking.decoder.likely import likely_beats
from levada.beat_tracking.decoder.recursion import (
    Forward,
    TooUnlikelyError,
    backward,
    scaled_sum_product,
    sum_product,
)
from levada.beat_tracking.decoder.state_space import BarPointer, Windows, bar_pointer
from levada.io.beats import Beats

Floats = npt.NDArray[np.float64]
FPS = 100.0
REAL = Path(__file__).parents[3] / "shared/real"


def song(rng: np.random.Generator, seconds: float, *, missing: float, noise: float) -> Floats:
    """Activations of beats whose tempo drifts, some of them missing, over noise."""
    frames = round(seconds * FPS)
    lengths = rng.uniform(30, 90) * (1 + 0.1 * np.sin(np.arange(200) / rng.uniform(3, 12)))
    beats = np.cumsum(lengths + rng.normal(0, 0.6, 200)).astype(int)
    beats = beats[beats < frames - 2]
    heights = rng.uniform(0.3, 1, len(beats)) * (rng.uniform(size=len(beats)) >= missing)
    activations = rng.uniform(0, noise, (frames, 2))
    for offset, part in ((-1, 0.5), (0, 1.0), (1, 0.5)):
        activations[beats + offset, 0] = np.maximum(activations[beats + offset, 0], part * heights)
    first = beats[:: int(rng.integers(2, 5))]
    activations[first, 1] = np.maximum(activations[first, 1], activations[first, 0] * rng.uniform(0.3, 1, len(first)))
    return activations.clip(0, 1)


def random_model(seed: int) -> BarPointer | None:
    """Noise, music that is easy or hard, rounded so that there are ties, with breaks, or with hints."""
    rng = np.random.default_rng(seed)
    kind, seconds = seed % 5, rng.uniform(5, 14)
    activations = song(rng, seconds, missing=rng.uniform(0, 0.6), noise=rng.uniform(0, 0.4))
    if kind == 0:
        activations = rng.uniform(0, rng.choice([0.1, 0.5, 1.0]), activations.shape)
    elif kind == 2:
        activations = np.round(activations, 1)
    elif kind == 3:
        activations = np.concatenate([activations, rng.uniform(0, 0.2, (300, 2)), activations[:300]])
    settings = DecoderSettings(
        metres=[(2, 3, 4), (4,), (3, 4, 5)][seed % 3],
        no_pulse_enter=[None, 16.0, 4.0][seed % 4 % 3],
        tempo_stiffness=float(rng.choice([10, 50, 100])),
    )
    if kind not in (1, 4):
        return bar_pointer(activations, fps=FPS, settings=settings)
    times = np.cumsum(rng.uniform(0.4, 3, rng.integers(1, 5)))
    hints, _ = possible_hints(
        Beats(times, rng.integers(0, 3, len(times))), frames=len(activations), fps=FPS, settings=settings
    )
    if not len(hints):
        return None
    settings = widen_tempo_range(settings, hints)
    windows = hint_windows(hints, frames=len(activations), fps=FPS, settings=settings)
    return bar_pointer(activations, fps=FPS, settings=settings, windows=windows)


def differences(model: BarPointer) -> tuple[bool, float]:
    """Whether the paths are not the same, and by how much posteriors differ at most."""
    decoded, expected, exact = _decoded(model), _best_path(model), _posteriors_by(sum_product, model, None)
    if decoded is None or expected is None or exact is None:
        return not decoded is expected is exact, 0.0
    path, found = decoded
    same = all(np.array_equal(ours, theirs) for ours, theirs in zip(path, expected, strict=True))
    return not same, max(float(np.abs(a - b).max()) for a, b in zip(found, exact, strict=True))


@pytest.mark.parametrize("seed", range(15))
def test_likely_beats_are_decoded_as_all_are(seed: int) -> None:
    model = random_model(seed)
    if model is not None:
        differ, largest = differences(model)
        assert not differ
        assert largest < 1e-3


@pytest.mark.parametrize("seed", range(15))
def test_sums_of_scaled_probabilities_are_those_of_logarithms(seed: int) -> None:
    model = random_model(seed)
    if model is not None:
        scaled = _posteriors_by(scaled_sum_product, model.relative(), None)
        expected = _posteriors_by(sum_product, model, None)
        assert scaled is not None
        assert expected is not None
        for ours, theirs in zip(scaled, expected, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("seconds", [45, 90])
def test_what_only_a_hint_at_the_end_makes_likely_is_summed_by_logarithms(seconds: int) -> None:
    """One tempo, no other metre: nothing but the hint says that all beats are half a beat later than the music."""
    activations = np.full((100 * seconds, 2), 0.01)
    activations[::50] = 0.99
    settings = DecoderSettings(min_tempo_bpm=119.9, max_tempo_bpm=120.1, metres=(1,), no_pulse_enter=None)
    late = np.array([100 * seconds - 75])
    model = bar_pointer(activations, fps=FPS, settings=settings, windows=Windows(late, late, np.array([0])))
    assert len(model.lengths) == 1
    with pytest.raises(TooUnlikelyError) if seconds == 45 else nullcontext():
        assert _posteriors_by(scaled_sum_product, model.relative(), None) is None
    decoded = _decoded(model)
    assert decoded is not None
    np.testing.assert_array_equal(decoded[0].starts % 50, 25)
    np.testing.assert_allclose(decoded[1].starts[0, 25::50], 1, atol=1e-6)
    assert decoded[1].starts[0, ::50].max() < 1e-6


@pytest.mark.slow
def test_of_500_random_recordings_nearly_all_have_the_same_beats() -> None:
    models = [model for seed in range(100, 600) if (model := random_model(seed)) is not None]
    differ, largest = np.array([differences(model) for model in models]).T
    assert differ.mean() <= 0.005
    assert np.quantile(largest, 0.9) < 1e-6


@pytest.mark.slow
@pytest.mark.real
@pytest.mark.skipif(not REAL.exists(), reason="there are no real recordings")
@pytest.mark.parametrize("name", ["brid", "candombe", "choro", "pop", "mdb_drums"])
def test_real_recordings_have_the_same_beats(name: str) -> None:
    from levada.beat_tracking.pretrained import load_tracker

    tracker = load_tracker("base").backend
    for file in sorted((REAL / name).rglob("*.flac")):
        model = bar_pointer(tracker.activations(file).astype(np.float64), fps=FPS, settings=tracker.settings)
        differ, largest = differences(model)
        assert not differ, file
        assert largest < 1e-4, file


def test_without_positions_the_probabilities_are_the_posteriors() -> None:
    """Bars of one beat have one position: the first pass, of one window, is the model itself."""
    activations = song(np.random.default_rng(1), 10, missing=0.3, noise=0.3)
    model = bar_pointer(activations, fps=FPS, settings=DecoderSettings(metres=(1,)))
    likely = likely_beats(model)
    assert likely is not None
    expected = np.zeros((len(model.lengths), model.frames))
    for block, probability in backward(model, Forward(model, sum_product)):
        if block.start > 0:
            expected[block.tempi, block.start : block.stop] = probability[:, 0]
    np.testing.assert_allclose(likely[0][:, 1:], expected[:, 1:], atol=1e-5)
