"""Every voice sounds, where it should, at once, and louder when it is struck harder."""

from dataclasses import replace

import numpy as np
import pytest

from levada.errors import InputError
from levada.voices import PITCHED, RATE, STROKES, STRUCK
from levada.voices.synthesis import MEMBRANE, Timbre, note, strike

MEMBRANES = sorted(name for name, voice in STRUCK.items() if voice.modes == MEMBRANE and name != "snare")


def rng(seed=0):
    return np.random.default_rng(seed)


def spectrum(sound):
    return np.abs(np.fft.rfft(sound, 1 << 17)), np.fft.rfftfreq(1 << 17, 1 / RATE)


def centroid_hz(sound):
    power, hz = spectrum(sound)[0] ** 2, spectrum(sound)[1]
    return float((power * hz).sum() / power.sum())


def loudness(sound):
    return float(np.sqrt((sound.astype(float) ** 2).sum()))


class TestStruck:
    @pytest.mark.parametrize("name", STRUCK)
    def test_sounds(self, name):
        for seed in range(3):
            sound = strike(Timbre.draw(name, rng(seed)), rng=rng(seed))
            assert sound.dtype == np.float32
            assert np.isfinite(sound).all()
            assert np.abs(sound).max() == pytest.approx(0.8 * STRUCK[name].level, rel=1e-4)
            assert 0.02 * RATE < len(sound) <= 2.5 * RATE
            assert abs(sound[-1]) < 1e-6  # it fades, and does not click

    @pytest.mark.parametrize("name", STRUCK)
    def test_begins_with_the_onset(self, name):
        """A drum is loud within 5 ms, a shaker within its attack."""
        voice = STRUCK[name]
        for seed in range(3):
            sound = np.abs(strike(Timbre.draw(name, rng(seed)), rng=rng(seed)))
            early = sound[: round((0.005 + 1.2 * voice.attack_s) * RATE)]
            assert early.max() > 0.3 * sound.max()
            if not voice.attack_s:
                assert sound[:3].max() > 0.001 * sound.max()

    @pytest.mark.parametrize("name", MEMBRANES)
    def test_pitch_of_a_skin(self, name):
        for seed in range(4):
            timbre = replace(Timbre.draw(name, rng(seed)), noise=0.0)
            low, high = STRUCK[name].pitch_hz
            assert low <= timbre.pitch_hz <= high
            sound = strike(timbre, rng=rng(seed))[RATE // 50 :]  # after the glide
            size, hz = spectrum(sound)
            below = (hz > 0.5 * timbre.pitch_hz) & (hz < 1.3 * timbre.pitch_hz)
            assert hz[below][size[below].argmax()] == pytest.approx(timbre.pitch_hz, rel=0.2)

    @pytest.mark.parametrize(
        ("low", "high"),
        [("surdo", "conga"), ("kick", "snare"), ("conga", "tamborim"), ("piano-drum", "chico"), ("tom", "hat")],
    )
    def test_one_is_darker_than_the_other(self, low, high):
        dark, bright = (
            np.mean([centroid_hz(strike(Timbre.draw(name, rng(seed)), rng=rng(seed))) for seed in range(6)])
            for name in (low, high)
        )
        assert 1.3 * dark < bright

    @pytest.mark.parametrize("name", ["shaker", "maracas", "guiro", "hat", "crash", "tambourine"])
    def test_noise_lies_in_its_band(self, name):
        low, high = STRUCK[name].band_hz
        found = np.mean([centroid_hz(strike(Timbre.draw(name, rng(seed)), rng=rng(seed))) for seed in range(6)])
        assert 0.5 * low < found < high

    @pytest.mark.parametrize("name", STRUCK)
    def test_louder_when_struck_harder(self, name):
        timbre = Timbre.draw(name, rng())
        soft, middle, hard = (strike(timbre, velocity=velocity, rng=rng(1)) for velocity in (0.2, 0.5, 1.0))
        assert loudness(soft) < loudness(middle) < loudness(hard)
        assert np.abs(hard).max() == pytest.approx(5 * np.abs(soft).max(), rel=1e-3)

    def test_brighter_when_struck_harder(self):
        timbre = replace(Timbre.draw("conga", rng()), noise=0.0)
        assert centroid_hz(strike(timbre, velocity=1.0, rng=rng(1))) > centroid_hz(
            strike(timbre, velocity=0.1, rng=rng(1))
        )

    def test_strokes_differ(self):
        timbre = Timbre.draw("conga", rng())
        sounds = {stroke: strike(timbre, stroke=stroke, rng=rng(1)) for stroke in STROKES}
        assert len(sounds["muted"]) < len(sounds["open"]) < len(sounds["bass"])
        assert centroid_hz(sounds["slap"]) > centroid_hz(sounds["open"]) > centroid_hz(sounds["bass"])

    def test_a_clap_is_several(self):
        sound = np.abs(strike(Timbre.draw("clap", rng()), rng=rng()))
        step = round(0.011 * RATE)
        before, after = (sound[step + offset : step + offset + 150].mean() for offset in (-160, 0))
        assert after > before

    def test_never_twice_the_same_but_the_same_by_seed(self):
        timbre, one = Timbre.draw("snare", rng()), rng(1)
        first, second = strike(timbre, rng=one), strike(timbre, rng=one)
        assert not np.array_equal(first[:1000], second[:1000])
        np.testing.assert_array_equal(first, strike(timbre, rng=rng(1)))

    def test_silence_at_velocity_nought(self):
        assert not strike(Timbre.draw("kick", rng()), velocity=0.0, rng=rng()).any()

    def test_instruments_are_drawn_from_their_voice(self):
        drawn = [Timbre.draw("djembe", rng(seed)) for seed in range(200)]
        low, high = STRUCK["djembe"].pitch_hz
        pitches = np.array([timbre.pitch_hz for timbre in drawn])
        assert low <= pitches.min() < 1.1 * low
        assert high / 1.1 < pitches.max() <= high
        assert np.median(pitches) == pytest.approx(np.sqrt(low * high), rel=0.2)  # evenly in the logarithm

    @pytest.mark.parametrize("name", ["tuba", "", "bass"])
    def test_unknown_voice(self, name):
        with pytest.raises(InputError, match=f"no voice {name!r}; there are kick"):
            Timbre.draw(name, rng())

    def test_unknown_stroke(self):
        with pytest.raises(InputError, match="no stroke 'kiss'; there are open"):
            strike(Timbre.draw("conga", rng()), stroke="kiss", rng=rng())


class TestPitched:
    @pytest.mark.parametrize("name", PITCHED)
    @pytest.mark.parametrize("pitch_hz", [110.0, 440.0])
    def test_sounds_at_its_pitch(self, name, pitch_hz):
        sound = note(PITCHED[name], pitch_hz=pitch_hz, duration_s=0.5)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()
        assert len(sound) == int(0.56 * RATE)
        assert np.abs(sound).max() == pytest.approx(0.8 * PITCHED[name].level, rel=1e-4)
        assert abs(sound[-1]) < 1e-6
        size, hz = spectrum(sound)
        assert hz[size.argmax()] == pytest.approx(pitch_hz, rel=0.02)

    def test_odd_harmonics_alone(self):
        size, hz = spectrum(note(replace(PITCHED["reed"], vibrato=0.0), pitch_hz=200.0, duration_s=1.0))
        first, second, third = (size[(np.abs(hz - at)).argmin()] for at in (200, 400, 600))
        assert second < 0.02 * first
        assert third > 0.1 * first

    def test_louder_when_played_harder(self):
        soft, hard = (note(PITCHED["keys"], pitch_hz=220, duration_s=0.3, velocity=velocity) for velocity in (0.3, 0.9))
        np.testing.assert_allclose(hard, 3 * soft, rtol=1e-4, atol=1e-6)

    def test_an_instrument_is_drawn_near_its_kind(self):
        kind = PITCHED["pluck"]
        drawn = [kind.draw(rng(seed)) for seed in range(50)]
        assert all(0.75 * kind.tilt <= one.tilt <= 1.3 * kind.tilt for one in drawn)
        assert all(0.6 * kind.decay_s <= one.decay_s <= 1.6 * kind.decay_s for one in drawn)
        assert len({one.tilt for one in drawn}) == 50

    def test_beyond_hearing_is_silence(self):
        assert not note(PITCHED["pluck"], pitch_hz=30000.0, duration_s=0.1).any()

    def test_a_voice_is_struck_or_pitched(self):
        assert not set(STRUCK) & set(PITCHED)
