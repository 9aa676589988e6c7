"""Recordings: every place and fault does what it says, and whatever happens, beats stay where they were."""

from dataclasses import fields

import numpy as np
import pytest
from scipy.signal import butter, sosfilt

from levada.errors import InputError
from levada.synth.acoustics import DegradationConfig, ambience, codecs, degrade, dynamics, recorders, rooms
from levada.synth.acoustics.noise import (
    COLOURS_DB,
    coloured_noise,
    curve_length,
    filter_minimum_phase,
    interpolate_curve,
    random_curve,
    rms,
)
from levada.synth.instruments import RATE

NAMES = [entry.name for entry in fields(DegradationConfig) if entry.name != "level_db"]
CLICKS = np.arange(4410, 4 * RATE, 22050)
NOISES = {
    "traffic": ambience.traffic,
    "wind": ambience.wind,
    "babble": ambience.babble,
    "applause": ambience.applause,
    "calls": ambience.calls,
    "handled": recorders.handling_noise,
    "hum": recorders.hum,
    "hiss": recorders.hiss,
    "crackle": recorders.crackle,
}
CHANGES = {
    "automatic": dynamics.automatic_gain,
    "compressed": dynamics.compress,
    "limited": dynamics.limit,
    "overloaded": dynamics.clip,
    "pumping": dynamics.pump,
    "taped": dynamics.tape_saturation,
    "cheap": recorders.cheap_microphone,
    "combed": recorders.comb_filter,
    "muffled": recorders.muffle,
    "wavering": recorders.wow_and_flutter,
    "coded": codecs.lossy_codec,
    "telephoned": codecs.telephone,
}


def rng(seed=0):
    return np.random.default_rng(seed)


def only(*names, **changes):
    """Nothing but that happens."""
    return DegradationConfig(**{**dict.fromkeys(NAMES, 0.0), **dict.fromkeys(names, 1.0), **changes})


def everything():
    return only(*NAMES, studio=0)


def clicks():
    """Strokes that begin at `CLICKS`: bursts with a bright edge."""
    burst = rng(8).standard_normal(600) * np.exp(-np.arange(600) / 120)
    burst[0] = 3
    out = np.zeros(4 * RATE + 22050, np.float32)
    for start in CLICKS:
        out[start : start + 600] += burst
    return out[None]


def music(seconds=2.0):
    """Decaying chords and a floor of noise."""
    count = int(seconds * RATE)
    time = np.arange(count) / RATE
    tones = sum(np.sin(2 * np.pi * pitch * time) for pitch in (110, 277, 440, 1319, 5000))
    return (tones * np.exp(-((time % 0.5) / 0.15)) + 0.02 * rng(3).standard_normal(count)).astype(np.float32)


def late_ms(recorded):
    """How late each click rises to half of what it becomes."""
    rises = []
    for start in CLICKS:
        around = np.abs(recorded[start - 2205 : start + 2205])
        rises.append((np.argmax(around >= 0.5 * around.max()) - 2205) * 1000 / RATE)
    return np.array(rises)


def late_together_ms(recorded):
    """How late the clicks are on average, heard through anything: where power grows most from 2 ms to the next."""
    power = np.convolve(np.diff(recorded.astype(float), prepend=0) ** 2, np.ones(88))
    growth = power[88:] - power[:-88]  # of what follows over what was before
    lags = np.arange(-1000, 1000)
    return lags[np.median([growth[start + lags] for start in CLICKS], axis=0).argmax()] * 1000 / RATE


def level_db(samples, low_hz, high_hz):
    """Power between two frequencies."""
    power = np.abs(np.fft.rfft(samples.astype(np.float64))) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    return 10 * np.log10(power[(hz >= low_hz) & (hz < high_hz)].sum() + 1e-30)


class TestRecord:
    def test_never_clips(self):
        strokes = np.zeros((1, RATE // 2), np.float32)
        strokes[0, ::4410] = 3.0
        peaks = []
        for seed in range(40):
            recorded = degrade(strokes, rng=rng(seed))
            assert recorded.shape == strokes.shape
            assert recorded.dtype == np.float32
            assert np.isfinite(recorded).all()
            peaks.append(float(np.abs(recorded).max()))
        assert max(peaks) <= 0.9801
        assert min(peaks) >= 0.98 * 10 ** (-14 / 20) - 1e-4
        assert np.ptp(peaks) > 0.3  # some level or other

    @pytest.mark.parametrize("name", NAMES)
    def test_onsets_stay_whatever_happens(self, name):
        given = clicks()
        for seed in range(6):
            late = late_ms(degrade(given, rng=rng(seed), config=only(name))[0])
            assert np.abs(late).max() < 3, seed

    def test_onsets_stay_when_much_happens_at_once(self):
        given = clicks()
        config = only("room", "comb", "colour", "cheap", "hum", "compressor", "tape", "waver", "hiss", "coder")
        assert late_together_ms(given[0]) == pytest.approx(0, abs=0.1)
        late = [abs(late_together_ms(degrade(given, rng=rng(seed), config=config)[0])) for seed in range(24)]
        assert sum(np.array(late) > 3) <= 2  # where a wall is louder than the player
        assert np.median(late) < 0.5

    def test_onsets_stay_as_recordings_come(self):
        given = clicks()
        assert max(abs(late_together_ms(degrade(given, rng=rng(seed))[0])) for seed in range(24)) < 3

    @pytest.mark.parametrize("name", NAMES)
    def test_each_fault_is_heard(self, name):
        given = music()[None]
        plain = degrade(given, rng=rng(1), config=only(level_db=0))
        faulty = degrade(given, rng=rng(1), config=only(name, level_db=0))
        assert rms(faulty[0] - plain[0]) > 1e-4
        assert np.abs(faulty).max() == pytest.approx(0.98, abs=1e-4)

    def test_without_faults_only_the_level_changes(self):
        given = music()
        recorded = degrade(given[None], rng=rng(), config=only(level_db=0))[0]
        np.testing.assert_allclose(recorded, given * (0.98 / np.abs(given).max()), atol=0.51 / 32768)

    @pytest.mark.parametrize(
        "config", [DegradationConfig(), DegradationConfig(studio=1), everything()], ids=["some", "studio", "everything"]
    )
    def test_the_same_seed_gives_the_same_bytes(self, config):
        given = music(0.7)[None]
        one, same, other = (degrade(given, rng=rng(seed), config=config).tobytes() for seed in (5, 5, 6))
        assert one == same
        assert one != other

    @pytest.mark.parametrize(
        "config", [DegradationConfig(), DegradationConfig(studio=1), everything()], ids=["some", "studio", "everything"]
    )
    def test_silence_stays(self, config):
        silence = np.zeros((1, 1000), np.float32)
        assert not degrade(silence, rng=rng(), config=config).any()
        assert degrade(silence[:, :0], rng=rng(), config=config).shape == (1, 0)

    @pytest.mark.parametrize(
        "config", [DegradationConfig(), DegradationConfig(studio=1), everything()], ids=["some", "studio", "everything"]
    )
    @pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200, 577, 3000])
    def test_short_loud_and_soft(self, config, count):
        for seed, scale in ((0, 1), (1, 1e-20), (2, 1e20)):
            given = rng(seed).standard_normal((1, count)).astype(np.float32) * np.float32(scale)
            recorded = degrade(given, rng=rng(seed), config=config)
            assert recorded.shape == (1, count)
            assert 0.19 < np.abs(recorded).max() <= 0.9801

    def test_what_is_given_is_not_changed(self):
        given = rng().standard_normal((1, 5000)).astype(np.float32)
        given.flags.writeable = False
        for config in (DegradationConfig(studio=1), everything()):
            degrade(given, rng=rng(1), config=config)
        np.testing.assert_array_equal(given, rng().standard_normal((1, 5000)).astype(np.float32))

    def test_music_is_not_drowned(self):
        given = clicks()
        for seed in range(30):
            recorded = degrade(given, rng=rng(seed), config=DegradationConfig(studio=0))[0]
            strokes = [np.abs(recorded[start : start + 600]).max() for start in CLICKS]
            assert np.median(strokes) > 0.02

    def test_a_third_come_from_a_studio(self):
        given = music(0.1)[None]
        far = only("telephone", studio=0.34)
        narrow = [level_db(degrade(given, rng=rng(s), config=far)[0], 4500, 6000) for s in range(120)]
        wide = [level_db(degrade(given, rng=rng(s), config=only())[0], 4500, 6000) for s in range(120)]
        assert np.mean(np.array(narrow) > np.median(wide) - 20) == pytest.approx(0.34, abs=0.12)

    def test_the_studio_is_clean(self):
        given = music()
        for seed in range(10):
            recorded = degrade(given[None], rng=rng(seed), config=DegradationConfig(studio=1))[0]
            across = np.abs(np.fft.rfft(given) * np.conj(np.fft.rfft(recorded)))
            assert across.sum() / (np.linalg.norm(np.fft.rfft(given)) * np.linalg.norm(np.fft.rfft(recorded))) > 0.8

    @pytest.mark.parametrize("value", [-0.1, 1.1, np.nan, np.inf, "often", None, True])
    @pytest.mark.parametrize("name", ["studio", "room", "coder"])
    def test_probabilities_that_are_none(self, name, value):
        with pytest.raises(InputError, match=f"{name} must be a number from 0 to 1"):
            DegradationConfig(**{name: value})

    @pytest.mark.parametrize("value", [-1, 61, np.nan])
    def test_levels_that_make_no_sense(self, value):
        with pytest.raises(InputError, match="level_db must be a number from 0 to 60"):
            DegradationConfig(level_db=value)


def decay_s(response, octave_hz):
    """RT60 in an octave by backward integration (Schroeder 1965), from -5 to -25 dB."""
    octave = butter(3, [octave_hz / 2**0.4, octave_hz * 2**0.4], "bandpass", fs=RATE, output="sos")
    left = np.cumsum((sosfilt(octave, response) ** 2)[::-1])[::-1]
    left_db = 10 * np.log10(left / left[0] + 1e-12)
    begin, end = np.argmax(left_db < -5), np.argmax(left_db < -25)
    return 3 * (end - begin) / RATE


class TestRooms:
    @pytest.mark.parametrize("place", rooms.ROOM_TYPES)
    def test_the_direct_sound_comes_first(self, place):
        for seed in range(5):
            draws = rng(seed)
            answer = rooms.impulse_response(rooms.sample_room(place, rng=draws), rng=draws)
            assert answer.dtype == np.float32
            assert answer[0] == 1
            assert np.abs(answer).argmax() == 0
            assert len(answer) <= 3.1 * RATE

    @pytest.mark.parametrize("place", rooms.ROOM_TYPES)
    def test_people_are_inside(self, place):
        for seed in range(20):
            space = rooms.sample_room(place, rng=rng(seed))
            for person in (space.source_m, space.receiver_m):
                assert (person > 0).all()
                assert (person < space.size_m).all()
            assert ((space.absorption > 0) & (space.absorption < 1)).all()

    @pytest.mark.parametrize("octave", [250, 1000, 4000])
    @pytest.mark.parametrize("rt60", [0.3, 1.0, 2.0])
    def test_tails_decay_as_told(self, rt60, octave):
        ones = np.ones(len(rooms.OCTAVES_HZ))
        result = [
            decay_s(rooms.reverberation(rt60 * ones, energy=ones, rise_s=0.0, rng=rng(seed)), octave)
            for seed in range(4)
        ]
        assert np.mean(result) == pytest.approx(rt60, rel=0.12)

    def test_octaves_decay_each_at_its_own_pace(self):
        rt60 = np.linspace(2.0, 0.5, len(rooms.OCTAVES_HZ))
        tail = rooms.reverberation(rt60, energy=np.ones(len(rt60)), rise_s=0.0, rng=rng())
        for octave in (1, 3, 5):
            assert decay_s(tail, rooms.OCTAVES_HZ[octave]) == pytest.approx(rt60[octave], rel=0.2)

    def test_tails_have_their_energy_and_begin_in_time(self):
        ones = np.ones(len(rooms.OCTAVES_HZ))
        tail = rooms.reverberation(0.8 * ones, energy=0.3 * ones, rise_s=0.0, delay_s=0.02, rng=rng())
        assert not tail[: round(0.02 * RATE)].any()
        assert (tail.astype(float) ** 2).sum() == pytest.approx(0.3, rel=0.15)

    def test_eyring(self):
        absorption = np.full((3, 2, 7), 0.2)
        space = rooms.Room(np.array([10.0, 8.0, 3.0]), absorption, np.array([2.0, 2, 1]), np.array([5.0, 6, 1]))
        area, volume = 2 * (80 + 30 + 24), 240
        assert space.distance_m == 5
        assert space.rt60_s[0] == pytest.approx(0.161 * volume / (-area * np.log(0.8)), rel=0.01)
        assert space.rt60_s[6] < 0.9 * space.rt60_s[0]  # air takes the highs
        assert space.reverberant[3] == pytest.approx(16 * np.pi * 25 / (2 * area * 0.2 / 0.8))

    def test_the_first_reflection_is_that_of_the_floor(self):
        absorption = np.full((3, 2, 7), 0.99)
        absorption[2, 0] = 0.19
        space = rooms.Room(np.array([40.0, 40, 20]), absorption, np.array([18.0, 20, 1.5]), np.array([22.0, 20, 1.5]))
        answer = rooms.impulse_response(space, rng=rng())
        late = round((5 - 4) / 343 * RATE)  # 3, 4, 5
        assert np.abs(answer[20:400]).argmax() + 20 == late
        early_s = 0.12
        assert answer[late] == pytest.approx(0.9 * 4 / 5 * (1 - late / RATE / early_s), abs=0.03)

    def test_from_booth_to_church(self):
        def median_s(place):
            return np.median([rooms.sample_room(place, rng=rng(seed)).rt60_s[3] for seed in range(40)])

        assert 0.05 < median_s("booth") < 0.3
        assert 0.3 < median_s("room") < 0.7
        assert 0.5 < median_s("street") < 1.5
        assert 1 < median_s("hall") < 2.5
        assert 2 < median_s("church") < 5

    def test_farther_is_more_reverberant(self):
        near, far = [], []
        for seed in range(60):
            draws = rng(seed)
            space = rooms.sample_room("hall", rng=draws)
            answer = rooms.impulse_response(space, rng=draws).astype(float)
            ratio = -10 * np.log10((answer[1:] ** 2).sum())
            (near if space.distance_m < 5 else far).append(ratio)
        assert np.median(near) > np.median(far) + 4
        assert min(far) > -20

    def test_a_field_has_hardly_a_tail(self):
        def late(place, seed):
            draws = rng(seed)
            answer = rooms.impulse_response(rooms.sample_room(place, rng=draws), rng=draws)
            return (answer[RATE // 10 :].astype(float) ** 2).sum()

        assert np.median([late("open", s) for s in range(20)]) < 0.1 * np.median([late("hall", s) for s in range(20)])


class TestNoises:
    @pytest.mark.parametrize("name", NOISES)
    def test_unit_power_of_any_length(self, name):
        for count in (1, 2, 64, 1000, 3 * RATE):
            result = NOISES[name](count, rng=rng(4))
            assert result.shape == (count,)
            assert result.dtype == np.float32
            assert np.isfinite(result).all()
            assert rms(result) == pytest.approx(1, rel=1e-3) or not result.any() or name in ("hiss", "hum")

    @pytest.mark.parametrize("name", NOISES)
    def test_the_same_seed_gives_the_same(self, name):
        one, same, other = (NOISES[name](RATE, rng=rng(seed)) for seed in (2, 2, 3))
        np.testing.assert_array_equal(one, same)
        assert not np.array_equal(one, other)

    @pytest.mark.parametrize("colour", COLOURS_DB)
    def test_colours(self, colour):
        result = coloured_noise(colour, count=20 * RATE, rng=rng())
        assert rms(result) == pytest.approx(1, rel=0.1)
        knots_hz, knots_db = np.array(COLOURS_DB[colour]).T
        density = [level_db(result, hz / 1.1, hz * 1.1) - 10 * np.log10(0.19 * hz) for hz in (100, 400, 1600)]
        told = np.interp(np.log([100, 400, 1600]), np.log(knots_hz), knots_db)
        np.testing.assert_allclose(np.diff(density), np.diff(told), atol=2.5)

    def test_longer_than_the_loop(self):
        result = coloured_noise("pink", count=60 * RATE, rng=rng())
        assert result.shape == (60 * RATE,)
        np.testing.assert_array_equal(result[: 1 << 20], result[1 << 20 : 1 << 21])

    def test_curves(self):
        np.testing.assert_allclose(
            interpolate_curve(np.array([0.0, 64.0, 0.0]), count=128)[[0, 1, 63, 64, 65]], [0, 1, 63, 64, 63]
        )
        for count in (1, 64, 65, 1000):
            assert random_curve(count, rate_hz=3, rng=rng()).shape == (curve_length(count),)

    def test_traffic_and_wind_are_low(self):
        for seed in range(4):
            result = ambience.traffic(10 * RATE, rng=rng(seed))
            assert level_db(result, 30, 300) > level_db(result, 3000, 10000) + 8
            result = ambience.wind(10 * RATE, rng=rng(seed))
            assert level_db(result, 8, 100) > level_db(result, 300, 20000) + 15

    def test_hum_is_of_the_mains(self):
        found = set()
        for seed in range(12):
            power = np.abs(np.fft.rfft(recorders.hum(RATE, rng=rng(seed)))) ** 2
            lines = set(np.flatnonzero(power > 1e-3 * power.max()).tolist())
            mains = 50 if all(line % 50 == 0 for line in lines) else 60
            assert all(line % mains == 0 for line in lines)
            found.add(mains)
        assert found == {50, 60}

    def test_people_talk_in_syllables(self):
        talk = ambience._talker(0)
        loud = np.sqrt((talk[: len(talk) // 441 * 441].reshape(-1, 441) ** 2).mean(1))  # 100 a second
        power = np.abs(np.fft.rfft(loud - loud.mean())) ** 2
        hz = np.fft.rfftfreq(len(loud), 0.01)
        assert 2 < (power * hz)[hz < 20].sum() / power[hz < 20].sum() < 8
        assert level_db(talk, 200, 4000) > level_db(talk, 8000, 20000) + 12

    def test_hands_are_not_in_time(self):
        result = np.abs(ambience.applause(20 * RATE, rng=rng(1)))
        loud = result[: len(result) // 441 * 441].reshape(-1, 441).max(1)
        assert np.mean(loud < 1e-3) < 0.9
        loud = loud - loud.mean()
        again = np.correlate(loud, loud, "full")[len(loud) - 1 :]
        assert again[20:100].max() < 0.5 * again[0]


class TestChanges:
    @pytest.mark.parametrize("name", CHANGES)
    def test_shape_and_time_stay(self, name):
        given = clicks()[0]
        for seed in range(4):
            changed = CHANGES[name](given, rng=rng(seed))
            assert changed.shape == given.shape
            assert changed.dtype == np.float32
            assert np.abs(late_ms(changed)).max() < 3

    def test_a_filter_has_its_gain_and_begins_at_once(self):
        click = np.zeros(8192, np.float32)
        click[1000] = 1
        result = filter_minimum_phase(click, knots_hz=[100, 1000, 10000], gains_db=[-12, 0, -24])
        gains = 20 * np.log10(np.abs(np.fft.rfft(result)))
        hz = np.fft.rfftfreq(8192, 1 / RATE)
        told = np.interp(np.log(np.maximum(hz, 1)), np.log([100, 1000, 10000]), [-12, 0, -24])
        np.testing.assert_allclose(gains[hz < 15000], told[hz < 15000], atol=0.7)
        assert np.abs(result[:1000]).max() < 1e-4
        assert abs(np.abs(result).argmax() - 1000) <= 2

    def test_a_telephone_is_narrow(self):
        result = codecs.telephone(rng().standard_normal(2 * RATE).astype(np.float32), rng=rng())
        inside = level_db(result, 500, 3000)
        assert level_db(result, 20, 150) < inside - 25
        assert level_db(result, 5000, 20000) < inside - 20

    def test_small_microphones_are_narrow(self):
        white = rng().standard_normal(2 * RATE).astype(np.float32)
        for seed in range(8):
            result = recorders.cheap_microphone(white, rng=rng(seed))
            middle = level_db(result, 700, 2000) - 10 * np.log10(1300)
            assert level_db(result, 15, 30) - 10 * np.log10(15) < middle - 3
            assert level_db(result, 18000, 22000) - 10 * np.log10(4000) < middle - 3

    def test_behind_a_door(self):
        white = rng().standard_normal(RATE).astype(np.float32)
        for seed in range(8):
            result = recorders.muffle(white, rng=rng(seed))
            assert level_db(result, 10000, 12000) < level_db(white, 10000, 12000) - 11
            assert level_db(result, 50, 300) == pytest.approx(level_db(white, 50, 300), abs=1)

    @pytest.mark.parametrize("count", [1, 575, 576, 577, 10000])
    def test_the_coder_takes_apart_and_puts_together(self, count):
        given = rng().standard_normal(count).astype(np.float32)
        spectrum = codecs.mdct(given)
        np.testing.assert_allclose(codecs.imdct(spectrum, count=count), given, atol=1e-5)
        if count > 5000:
            assert (spectrum**2).sum() == pytest.approx((given**2).sum(), rel=1e-3)

    def test_fewer_bits_are_narrower_and_noisier(self):
        given = music() + 0.05 * rng().standard_normal(2 * RATE).astype(np.float32)
        snr, top = [], []
        for kbps in (16, 32, 64, 128):
            result = codecs.lossy_codec(given, rng=rng(), kbps=(kbps, kbps))
            snr.append(20 * np.log10(rms(given) / rms(given - result)))
            top.append(level_db(result, 12500, 14500) - level_db(given, 12500, 14500))
        assert snr == sorted(snr)
        assert 0 < snr[0] < snr[3] - 6
        assert max(top[:2]) < -15
        assert top[3] == pytest.approx(0, abs=2)

    def test_a_compressor_narrows_what_is_loud_and_soft(self):
        time = np.arange(2 * RATE) / RATE
        tone = np.sin(2 * np.pi * 440 * time).astype(np.float32) * np.where(time < 1, 1, 0.1).astype(np.float32)

        def step_db(result):
            return 20 * np.log10(rms(result[RATE // 2 : RATE]) / rms(result[-RATE // 4 :]))

        for seed in range(6):
            assert step_db(dynamics.compress(tone, rng=rng(seed), ratio=(4, 4))) < 20.1
            assert step_db(dynamics.automatic_gain(tone, rng=rng(seed))) < 19.5
        assert min(step_db(dynamics.automatic_gain(tone, rng=rng(s))) for s in range(6)) < 14
        assert min(step_db(dynamics.compress(tone, rng=rng(s), ratio=(4, 4))) for s in range(6)) < 16

    def test_automatic_gain_does_not_blow_up_the_first_stroke(self):
        given = np.zeros(2 * RATE, np.float32)
        given[RATE:] = music(1.0)
        for seed in range(6):
            assert np.abs(dynamics.automatic_gain(given, rng=rng(seed))).max() <= np.abs(given).max()

    def test_a_limiter_lowers_peaks_alone(self):
        given = clicks()[0] + np.float32(0.01) * rng().standard_normal(clicks().shape[1]).astype(np.float32)
        for seed in range(6):
            result = dynamics.limit(given, rng=rng(seed))
            ratio = 20 * np.log10(np.abs(given).max() / np.abs(result).max())
            assert 0.9 < ratio < 9.1
            np.testing.assert_array_equal(result[:2000], given[:2000])

    def test_everything_ducks_under_the_lowest(self):
        time = np.arange(4 * RATE) / RATE
        beat = time % 0.5
        kick = np.sin(2 * np.pi * 60 * beat) * np.exp(-beat / 0.05)
        pad = 0.1 * np.sin(2 * np.pi * 3000 * time)
        result = dynamics.pump((kick + pad).astype(np.float32), rng=rng(2))
        high = filter_minimum_phase(result, knots_hz=[500, 2000], gains_db=[-80, 0])
        after, before = (
            np.mean([rms(high[int((k * 0.5 + at) * RATE) :][:1000]) for k in range(1, 7)]) for at in (0.03, 0.45)
        )
        assert after < 0.75 * before

    def test_overload_is_flat_at_the_top(self):
        given = music()
        for seed in range(6):
            result = dynamics.clip(given, rng=rng(seed))
            assert np.abs(result).max() < np.abs(given).max()
            assert np.sum(result == result.max()) >= 5
            inside = np.abs(result) < 0.8 * np.abs(result).max()
            np.testing.assert_array_equal(result[inside], given[inside])

    def test_tape_brings_harmonics(self):
        tone = np.sin(2 * np.pi * 400 * np.arange(RATE) / RATE).astype(np.float32)
        result = dynamics.tape_saturation(tone, rng=rng(1))
        assert -60 < level_db(result, 1190, 1210) - level_db(result, 390, 410) < -8

    def test_time_wavers_by_two_milliseconds_at_most(self):
        ramp = np.arange(10 * RATE, dtype=np.float32)
        off = []
        for seed in range(20):
            wandered = recorders.wow_and_flutter(ramp, rng=rng(seed)) - ramp
            off.append(np.abs(wandered).max() * 1000 / RATE)
        assert max(off) <= 2.001
        assert max(off) > 0.7
        assert min(off) > 0.02

    def test_a_comb_has_teeth(self):
        click = np.zeros(1000, np.float32)
        click[100] = 1
        for seed in range(6):
            result = recorders.comb_filter(click, rng=rng(seed))
            (later,) = np.flatnonzero(result[101:])
            assert later + 1 <= 0.0025 * RATE + 1
            assert 0.3 <= abs(result[101 + later]) <= 0.95
