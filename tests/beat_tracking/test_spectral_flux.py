"""Flux on spectrograms built by hand, on silence, and behind the decoder on real drums."""

import numpy as np
import pytest

from levada.beat_tracking import spectral_flux
from levada.beat_tracking.decoder import decode_beats
from levada.beat_tracking.metrics import beat_scores, error_type
from levada.beat_tracking.spectrogram import N_BANDS, log_spectrogram
from levada.errors import InputError
from levada.io import audio
from levada.io.formats import read_beats

EVERY, BAR = 50, 4  # frames a beat, beats a bar


def bursts(n_beats=24, *, level=1.0, noise=0.0, seed=0):
    """Log bands of decaying strokes every half second, with bass on the first of every four."""
    rng = np.random.default_rng(seed)
    magnitudes = np.abs(rng.normal(0, noise, (n_beats * EVERY, N_BANDS))) if noise else 0
    envelope = np.exp(-np.arange(EVERY) / 8)
    strokes = np.zeros((n_beats, EVERY, N_BANDS))
    strokes[:, :, 20:] = envelope[:, None]
    strokes[::BAR, :, : spectral_flux.BASS_BANDS] = envelope[:, None]
    quiet_start = np.zeros((25, N_BANDS))
    total = np.concatenate([quiet_start, strokes.reshape(-1, N_BANDS) + magnitudes]) * level
    return np.log(total + 1e-6).astype(np.float32)


class TestActivations:
    @pytest.mark.parametrize("noise", [0, 0.02])
    def test_peaks_on_strokes_and_nowhere_else(self, noise):
        found = spectral_flux.activations(bursts(noise=noise))
        strokes = 25 + EVERY * np.arange(24)
        assert found.shape == (25 + 24 * EVERY, 2)
        assert found.dtype == np.float32
        assert (found[strokes, 0] > 0.9).all()
        between = np.delete(np.arange(len(found)), (strokes[:, None] + np.arange(-1, 4)).ravel())
        assert found[between, 0].max() < 0.1

    def test_downbeats_where_bass_sounds(self):
        found = spectral_flux.activations(bursts())
        share = found[25::EVERY, 1] / found[25::EVERY, 0]
        assert (share[::BAR] > 0.9).all()
        assert (np.delete(share, np.s_[::BAR]) < 0.3).all()

    def test_level_makes_no_difference(self):
        soft, loud = (spectral_flux.activations(bursts(level=level, noise=0.02)) for level in (0.3, 10))
        np.testing.assert_allclose(soft, loud, atol=5e-3)

    def test_vibrato_is_no_onset(self):
        frames = np.arange(600)
        peak = 40 + np.round(np.sin(2 * np.pi * frames / 17))
        bands = np.log(np.exp(-np.abs(np.arange(N_BANDS) - peak[:, None])) + 1e-6).astype(np.float32)
        assert (np.diff(peak) != 0).sum() > 50
        assert max(rising.mean(axis=1).max() for _, rising in spectral_flux.rises(bands)) == pytest.approx(0, abs=1e-6)

    def test_blocks_make_no_difference(self, monkeypatch):
        bands = bursts(noise=0.05)
        whole = spectral_flux.activations(bands)
        monkeypatch.setattr(spectral_flux, "_BLOCK", 97)
        np.testing.assert_allclose(spectral_flux.activations(bands), whole, atol=1e-5)

    @pytest.mark.parametrize("frames", [0, 1, 2, 3, 500])
    def test_silence_and_almost_nothing(self, frames):
        found = spectral_flux.activations(np.full((frames, N_BANDS), np.log(1e-6), np.float32))
        assert found.shape == (frames, 2)
        assert (found[:, 0] < 0.01).all()
        assert (found > 0).all()

    def test_the_second_is_part_of_the_first(self):
        noise = np.random.default_rng(1).normal(-3, 2, (1000, N_BANDS)).astype(np.float32)
        found = spectral_flux.activations(noise)
        assert (found[:, 1] <= found[:, 0]).all()
        assert found.max() < 1

    def test_argument_is_not_changed(self):
        bands = bursts()
        before = bands.copy()
        spectral_flux.activations(bands)
        np.testing.assert_array_equal(bands, before)

    @pytest.mark.parametrize("shape", [(81,), (10, 80), (2, 10, 81)])
    def test_other_shapes(self, shape):
        with pytest.raises(InputError, match="shape"):
            spectral_flux.activations(np.zeros(shape, np.float32))


@pytest.mark.real
class TestReal:
    def scores(self, path):
        samples, rate = audio.read(path)
        estimate = decode_beats(spectral_flux.activations(log_spectrogram(samples, rate)))
        reference = read_beats(path.with_suffix(".beats"))
        return beat_scores(reference, estimate), error_type(reference, estimate)

    @pytest.mark.parametrize("name", ["Punk", "Rock"])
    def test_drums(self, real, name):
        found, _ = self.scores(real / "mdb_drums" / "drums_only" / f"{name}.flac")
        assert found["beat_f"] > 0.95
        assert found["downbeat_f"] > 0.5

    def test_candombe_is_a_sixteenth_late(self, real):
        found, kind = self.scores(real / "candombe" / "csic_1995_ansina1_01_first16s.flac")
        assert found["beat_f"] < 0.1  # what adaptation is for
        assert (kind.kind, kind.shift_tatums) == ("phase shift", 1)
