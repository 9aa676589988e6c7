"""What goes in comes out, at any rate; bands add up to bins."""

import numpy as np
import pytest

from levada.errors import InputError
from levada.separation.stft import N_BANDS, Stft

RATES = [8000, 11025, 22050, 44100, 48000, 96000]


def noise(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("length", [0, 1, 2, 1023, 1024, 1025, 50_001])
def test_nothing_is_lost(rate, length):
    samples, transform = noise(2, length), Stft(rate)
    spectra = transform.forward(samples)
    assert spectra.shape == (2, transform.n_frames(length), transform.n_bins)
    back = transform.inverse(spectra, length)
    assert back.shape == samples.shape
    assert np.abs(back - samples).max(initial=0) < 2e-6


def test_masks_that_sum_to_one_give_parts_that_sum_to_all():
    transform, samples = Stft(44100), noise(30_000)
    spectra = transform.forward(samples)
    masks = np.random.default_rng(1).dirichlet(np.ones(5), (spectra.shape[0], N_BANDS)).transpose(2, 0, 1)
    np.testing.assert_allclose(transform.mean_over_bands(transform.expand_bands(masks)), masks, rtol=1e-5)
    parts = transform.inverse(transform.expand_bands(masks) * spectra, len(samples))
    error = np.square(parts.sum(0) - samples).mean() / np.square(samples).mean()
    assert 10 * np.log10(error) < -110


@pytest.mark.parametrize("hz", [60, 440, 3000])
def test_a_tone_has_the_same_power_in_the_same_band_at_every_rate(hz):
    found = []
    for rate in RATES:
        tone = np.sin(2 * np.pi * hz * np.arange(rate) / rate)
        power = Stft(rate).to_bands(np.abs(Stft(rate).forward(tone)) ** 2)[10]
        assert power.shape == (N_BANDS,)
        found.append((int(power.argmax()), float(power.sum())))
    assert len({band for band, _ in found}) == 1
    assert max(power for _, power in found) == pytest.approx(min(power for _, power in found), rel=0.02)


def test_bands_hold_all_bins_and_a_low_rate_lacks_some():
    for rate in RATES:
        transform = Stft(rate)
        power = noise(3, transform.n_bins) ** 2
        assert transform.to_bands(power).sum() == pytest.approx(power.sum(), rel=1e-5)
        assert (np.diff(transform.band_of) >= 0).all()
    assert Stft(8000).band_of[-1] < N_BANDS - 1 == Stft(44100).band_of[-1]


@pytest.mark.parametrize("rate", [0, 100, 1_000_000])
def test_rates_that_make_no_sense(rate):
    with pytest.raises(InputError, match="cannot be separated"):
        Stft(rate)
