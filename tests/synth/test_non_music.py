"""Recordings without music: every kind sounds, at a level of its own, and none has a steady pulse."""

import numpy as np
import pytest

from levada.errors import InputError
from levada.synth.instruments import RATE
from levada.synth.non_music import KINDS, render_non_music
from levada.synth.speech import sample_talker, talk


def rng(*seed):
    return np.random.default_rng(seed or 0)


def envelope(samples, hop=441):
    """Rises of the log level in four bands, a value every 10 ms."""
    frames = np.lib.stride_tricks.sliding_window_view(samples, 2 * hop)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(2 * hop))) ** 2
    bands = np.add.reduceat(power, (0, 6, 20, 80), axis=1)
    rises = np.maximum(0, np.diff(np.log(bands + 1e-4 * bands.max()), axis=0)).sum(1)
    return rises - rises.mean()


def pulse(samples):
    """Greatest autocorrelation of the rises at two successive multiples of a period of 0.3 to 1.2 s."""
    rises = envelope(samples)
    power = np.fft.irfft(np.abs(np.fft.rfft(rises, 4 * len(rises))) ** 2)
    lags = np.arange(30, 120)
    return float((np.minimum(power[lags], power[2 * lags]) / power[0]).max())


class TestKinds:
    @pytest.mark.parametrize("kind", KINDS)
    def test_every_kind(self, kind):
        for seed in range(3):
            samples, name = render_non_music(rng(seed), duration_s=3.3, kind=kind)
            assert name == kind
            assert samples.dtype == np.float32
            assert samples.shape == (round(3.3 * RATE),)
            assert np.isfinite(samples).all()
            assert np.abs(samples).max() <= 1
            if kind != "silence":
                assert np.abs(samples).max() > 5e-4

    def test_silence_is_silent(self):
        quiet = [render_non_music(rng(seed), duration_s=2, kind="silence")[0] for seed in range(30)]
        assert any(not samples.any() for samples in quiet)
        assert all(np.std(samples) < 1e-3 for samples in quiet)

    def test_levels_and_kinds_vary(self):
        rendered = [render_non_music(rng(seed, 1), duration_s=0.5) for seed in range(80)]
        peaks_db = [20 * np.log10(np.abs(samples).max()) for samples, kind in rendered if kind != "silence"]
        assert {kind for _, kind in rendered} == set(KINDS)
        assert min(peaks_db) < -45
        assert max(peaks_db) > -6

    def test_the_same_seed_is_the_same_recording(self):
        one, same, other = (render_non_music(rng(seed), duration_s=2, kind="talk")[0] for seed in (1, 1, 2))
        assert np.array_equal(one, same)
        assert not np.array_equal(one, other)

    @pytest.mark.parametrize("duration_s", [1e-5, 0.01, 0.2])
    @pytest.mark.parametrize("kind", KINDS)
    def test_very_short(self, kind, duration_s):
        samples, _ = render_non_music(rng(), duration_s=duration_s, kind=kind)
        assert len(samples) == max(1, round(duration_s * RATE))
        assert np.isfinite(samples).all()

    @pytest.mark.parametrize("changes", [{"duration_s": 0}, {"duration_s": np.inf}, {"duration_s": 1, "kind": "jazz"}])
    def test_invalid(self, changes):
        with pytest.raises(InputError):
            render_non_music(rng(), **changes)

    def test_no_steady_pulse(self):
        clicks = np.zeros(12 * RATE, np.float32)
        clicks[:: RATE // 2] = 1
        steady = pulse(clicks + 0.01 * rng().standard_normal(len(clicks), dtype=np.float32))
        assert steady > 0.5
        for kind in ("noise", "talk", "applause", "street"):
            pulses = [pulse(render_non_music(rng(seed, 2), duration_s=12, kind=kind)[0]) for seed in range(5)]
            assert np.median(pulses) < 0.25 * steady, kind


class TestTalk:
    def test_syllables_come_at_the_rate_of_speech(self):
        """The level of speech is modulated most between 2 and 8 Hz (Houtgast and Steeneken 1985)."""
        shares = []
        for seed in range(6):
            samples = talk(15 * RATE, rng=rng(seed))
            level = np.sqrt(np.add.reduceat(samples**2, np.arange(0, len(samples), 441)))
            power = np.abs(np.fft.rfft(level - level.mean())) ** 2
            hz = np.fft.rfftfreq(len(level), 0.01)
            shares.append(power[(hz > 1) & (hz < 9)].sum() / power[hz > 1].sum())
        assert np.mean(shares) > 0.6

    def test_pitch_is_that_of_the_talker(self):
        low = [sample_talker(rng(seed)).pitch_hz for seed in range(100)]
        assert 75 <= min(low) < 110
        assert max(low) > 240

    def test_unit_power_and_pauses(self):
        samples = talk(10 * RATE, rng=rng(3), pause_s=0.8)
        frames = np.abs(samples[: len(samples) // 4410 * 4410]).reshape(-1, 4410).max(1)
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(1, rel=1e-3)
        assert 0.05 < (frames < 0.01).mean() < 0.8
