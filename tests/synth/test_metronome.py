"""Metronomes: clicks lie at the beats, accents at downbeats."""

import numpy as np
import pytest

from levada.errors import InputError
from levada.synth.instruments import RATE
from levada.synth.metronome import METRES, render_metronome


@pytest.mark.parametrize("seed", range(12))
def test_clicks_lie_at_the_beats(seed):
    samples, beats = render_metronome(np.random.default_rng(seed), duration_s=12)
    assert samples.shape == (12 * RATE,)
    assert np.isfinite(samples).all()
    assert 0.01 < np.abs(samples).max() <= 1
    assert len(beats) > 6
    assert set(beats.positions.tolist()) <= {*range(max(METRES) + 1)}
    energy = np.concatenate([[0], np.cumsum(samples.astype(float) ** 2)])
    start, end = (np.rint((beats.times_s[:-1] + at) * RATE).astype(int) for at in (-0.03, 0.06))
    before, after = energy[start + round(0.03 * RATE)] - energy[start], energy[end] - energy[start + round(0.03 * RATE)]
    assert (after > before).mean() > 0.9


def test_the_same_number_gives_the_same_recording():
    (one, beats), (same, others) = (render_metronome(np.random.default_rng(3), duration_s=4) for _ in range(2))
    assert np.array_equal(one, same)
    assert np.array_equal(beats.times_s, others.times_s)


def test_no_length():
    with pytest.raises(InputError, match="longer than 0"):
        render_metronome(np.random.default_rng(0), duration_s=0)
