"""Augmentation: beats move with the audio, and each change is the one it claims to be."""

import math

import numpy as np
import pytest

from levada.beat_tracking.augmentation import (
    NO_AUGMENTATION,
    SILENCE,
    Augmentation,
    add_noise,
    augment,
    change_tempo,
    equalise,
    fix_length,
    limit_band,
    mask,
    shift_pitch,
)
from levada.errors import InputError
from levada.io.beats import Beats

BEATS = Beats(np.arange(0.5, 10, 0.5), np.arange(19) % 4 + 1)
ONLY = {"tempo": 0, "pitch_bands": 0, "level_db": 0, "tone_db": 0, "noise_db": -np.inf, "hidden": 0}


def rng(seed=0):
    return np.random.default_rng(seed)


def clicks(beats=BEATS, *, frames=1000, band=40):
    """Quiet bands with a click in one of them at every beat."""
    bands = np.full((frames, 81), -8.0, np.float32)
    bands[np.round(beats.times_s * 100).astype(int), band - 2 : band + 3] = [0, 1, 2, 1, 0]
    return bands


def music(frames=500, seed=0):
    return rng(seed).normal(-4, 2, (frames, 81)).astype(np.float32)


def peaks(bands):
    """Frames at which the click is louder than in the frames beside it."""
    loudness = bands.max(1)
    inner = (loudness[1:-1] > loudness[:-2]) & (loudness[1:-1] >= loudness[2:]) & (loudness[1:-1] > -4)
    return np.flatnonzero(inner) + 1


class TestTempo:
    @pytest.mark.parametrize("factor", [0.8, 0.93, 1.0, 1.1, 1.25])
    def test_clicks_are_where_the_beats_are(self, factor):
        bands, beats = change_tempo(clicks(), BEATS, factor=factor)
        assert len(bands) == round(1000 * factor)
        np.testing.assert_allclose(peaks(bands), beats.times_s * 100, atol=1)
        np.testing.assert_allclose(beats.times_s, BEATS.times_s * factor)
        np.testing.assert_array_equal(beats.positions, BEATS.positions)

    def test_pitch_stays(self):
        bands, _ = change_tempo(clicks(), BEATS, factor=1.2)
        assert set(bands[peaks(bands)].argmax(1)) == {40}

    def test_the_same_length_is_the_same(self):
        bands, beats = change_tempo(music(), BEATS, factor=1.0)
        np.testing.assert_array_equal(bands, music())
        assert beats == BEATS

    def test_twice_as_long_has_every_frame_and_their_middles(self):
        given = music(50)
        bands, _ = change_tempo(given, BEATS, factor=2.0)
        np.testing.assert_array_equal(bands[::2], given)
        np.testing.assert_allclose(bands[1:-1:2], (given[:-1] + given[1:]) / 2, rtol=1e-5)
        np.testing.assert_array_equal(bands[-1], given[-1])

    @pytest.mark.parametrize("frames", [0, 1])
    def test_almost_nothing(self, frames):
        bands, _ = change_tempo(music(frames), BEATS, factor=0.3)
        np.testing.assert_array_equal(bands, music(frames))

    @pytest.mark.parametrize("factor", [0, -1, math.nan, math.inf])
    def test_factors_that_make_no_sense(self, factor):
        with pytest.raises(InputError, match="cannot be stretched"):
            change_tempo(music(), BEATS, factor=factor)


class TestPitch:
    @pytest.mark.parametrize("up", [-30, -2, 0, 1, 25])
    def test_whole_bands(self, up):
        moved = shift_pitch(clicks(), bands_up=up)
        assert set(moved[peaks(moved)].argmax(1)) == {40 + up}
        assert len(peaks(moved)) == len(BEATS)

    def test_half_a_band_is_between_two(self):
        given = music(20)
        np.testing.assert_allclose(
            shift_pitch(given, bands_up=0.5)[:, 1:], (given[:, 1:] + given[:, :-1]) / 2, rtol=1e-5
        )

    def test_edges_are_repeated(self):
        given = music(20)
        np.testing.assert_array_equal(shift_pitch(given, bands_up=3)[:, :4], given[:, :1].repeat(4, 1))
        np.testing.assert_array_equal(shift_pitch(given, bands_up=-3)[:, -4:], given[:, -1:].repeat(4, 1))

    def test_there_and_back(self):
        given = music(20)
        np.testing.assert_array_equal(shift_pitch(shift_pitch(given, bands_up=4), bands_up=-4)[:, :77], given[:, :77])


class TestEqualise:
    def test_a_gain_is_added_to_logarithms_exactly(self):
        louder = equalise(music(), gains_db=[6.0])
        np.testing.assert_allclose(louder - music(), 6 * math.log(10) / 20, rtol=1e-5)

    def test_gains_lie_evenly_and_between_them(self):
        added = equalise(np.zeros((3, 81), np.float32), gains_db=[-20, 0, 40])
        np.testing.assert_allclose(added[1, [0, 20, 40, 60, 80]] / math.log(10), [-1, -0.5, 0, 1, 2], atol=1e-6)
        assert added.dtype == np.float32


class TestNoise:
    @pytest.mark.parametrize("level_db", [-60, -15, 0, 20])
    def test_nothing_gets_quieter(self, level_db):
        assert (add_noise(music(), level_db=level_db, rng=rng()) >= music()).all()

    def test_level_beside_the_mean_magnitude(self):
        bands = clicks()
        bands[:, 60:] = SILENCE
        heard = add_noise(bands, level_db=-20, rng=rng())
        added = np.exp(heard.astype(float)) - np.exp(bands.astype(float))
        relative_db = 20 * np.log10(added.mean() / np.exp(bands.astype(float)).mean())
        assert relative_db == pytest.approx(-20, abs=4)  # its slope is drawn

    def test_nothing_in_nothing_out(self):
        assert add_noise(music(0), level_db=-10, rng=rng()).shape == (0, 81)


class TestHide:
    def test_bands_and_moments(self):
        seen = {"bands": [], "frames": []}
        for seed in range(200):
            lost = mask(music(300), probability=1.0, rng=rng(seed)) == SILENCE
            seen["bands"].append(int(lost.all(0).sum()))
            seen["frames"].append(int(lost.all(1).sum()))
            assert (lost == (lost.all(0)[None] | lost.all(1)[:, None])).all()
        assert min(seen["bands"]) >= 1
        assert max(seen["bands"]) == 11
        assert min(seen["frames"]) >= 1
        assert 90 <= max(seen["frames"]) <= 99

    def test_how_often(self):
        lost = [mask(music(300), probability=0.3, rng=rng(seed)) == SILENCE for seed in range(300)]
        assert np.mean([one.all(0).any() for one in lost]) == pytest.approx(0.3, abs=0.08)
        assert np.mean([one.all(1).any() for one in lost]) == pytest.approx(0.3, abs=0.08)

    def test_never(self):
        np.testing.assert_array_equal(mask(music(), probability=0, rng=rng()), music())

    def test_the_rest_is_untouched(self):
        hidden = mask(music(), probability=1, rng=rng(1))
        kept = hidden != SILENCE
        np.testing.assert_array_equal(hidden[kept], music()[kept])


class TestSemitones:
    """Bands of a semitone beside the log bands change alike."""

    def both(self):
        return rng(3).normal(-4, 2, (300, 142)).astype(np.float32)

    def test_pitch_moves_both_and_mixes_neither(self):
        given = self.both()
        up = shift_pitch(given, bands_up=2)
        np.testing.assert_array_equal(up[:, 2:81], given[:, :79])
        np.testing.assert_array_equal(up[:, 83:], given[:, 81:-2])

    def test_a_band_that_is_masked_is_masked_in_both(self):
        given = self.both()
        changed = mask(given, probability=1.0, rng=rng(8))
        silent = (changed == np.log(np.float32(1e-6))).all(0)
        assert silent[:81].any()
        low = [seed for seed in range(40) if self.masked(seed)[81:].any()]
        assert low
        for seed in low:
            assert self.masked(seed)[:81].any()

    def masked(self, seed):
        changed = mask(self.both(), probability=1.0, rng=rng(seed))
        return (changed == np.log(np.float32(1e-6))).all(0)

    def test_a_limited_band_loses_its_ends(self):
        given = np.zeros((10, 142), np.float32)
        changed = limit_band(given, probability=1.0, rng=rng(1))
        assert changed[0, 80] < -1
        assert changed[0, 0] < changed[0, 35]
        assert (np.diff(changed[0, 40:81]) <= 0).all()
        np.testing.assert_array_equal(limit_band(given, probability=0.0, rng=rng(1)), given)


class TestCut:
    @pytest.mark.parametrize("frames", [0, 3, 5, 8])
    def test_exactly_so_many(self, frames):
        rows = fix_length(music(5), frames, fill=-7)
        assert rows.shape == (frames, 81)
        np.testing.assert_array_equal(rows[:5], music(5)[:frames])
        assert (rows[5:] == -7).all()
        assert rows.dtype == np.float32


class TestAugment:
    def test_none_changes_nothing(self):
        bands, beats, factor = augment(music(), BEATS, config=NO_AUGMENTATION, rng=rng())
        np.testing.assert_array_equal(bands, music())
        assert beats == BEATS
        assert factor == 1

    @pytest.mark.parametrize("seed", range(5))
    def test_beats_move_with_the_audio(self, seed):
        by = Augmentation(**(ONLY | {"tempo": 0.25, "pitch_bands": 2, "level_db": 3}))
        bands, beats, factor = augment(clicks(), BEATS, config=by, rng=rng(seed))
        assert len(bands) == round(1000 * factor)
        np.testing.assert_allclose(beats.times_s, BEATS.times_s * factor)
        clicked = bands[np.round(beats.times_s * 100).astype(int)].max(1)
        between = np.setdiff1d(np.arange(len(bands)), np.round(beats.times_s[:, None] * 100 + np.arange(-2, 3)))
        assert clicked.min() > bands[between].max() + 2

    def test_the_same_seed_is_the_same(self):
        one, same, other = (augment(music(), BEATS, config=Augmentation(), rng=rng(seed)) for seed in (3, 3, 4))
        np.testing.assert_array_equal(one[0], same[0])
        assert one[1:] == same[1:]
        assert one[2] != other[2]

    def test_what_was_given_is_not_changed(self):
        bands = music()
        bands.flags.writeable = False
        for seed in range(10):
            augment(bands, BEATS, config=Augmentation(hidden=1), rng=rng(seed))
        np.testing.assert_array_equal(bands, music())

    def test_types_and_numbers(self):
        for seed in range(20):
            bands, _, _ = augment(music(), BEATS, config=Augmentation(hidden=0.5), rng=rng(seed))
            assert bands.dtype == np.float32
            assert np.isfinite(bands).all()
            assert bands.shape[1] == 81

    def test_tempo_within_its_limits(self):
        by = Augmentation(**(ONLY | {"tempo": 0.2}))
        factors = [augment(music(10), BEATS, config=by, rng=rng(seed))[2] for seed in range(300)]
        assert math.exp(-0.2) <= min(factors) < math.exp(-0.18)
        assert math.exp(0.18) < max(factors) <= math.exp(0.2)
        assert np.mean(np.log(factors)) == pytest.approx(0, abs=0.03)

    def test_level_as_loud_as_said(self):
        by = Augmentation(**(ONLY | {"level_db": 5}))
        gains = [(augment(music(10), BEATS, config=by, rng=rng(seed))[0] - music(10)) for seed in range(400)]
        assert max(float(np.ptp(gain)) for gain in gains) < 1e-4  # the same in every frame and band
        db = [float(gain.mean()) * 20 / math.log(10) for gain in gains]
        assert np.std(db) == pytest.approx(5, rel=0.12)

    def test_a_quarter_stays_without_noise(self):
        by = Augmentation(**(ONLY | {"noise_db": 0.0}))
        clean = [
            np.array_equal(augment(music(20), BEATS, config=by, rng=rng(seed))[0], music(20)) for seed in range(400)
        ]
        assert np.mean(clean) == pytest.approx(0.25, abs=0.07)

    def test_no_frames(self):
        bands, beats, _ = augment(music(0), Beats([]), config=Augmentation(hidden=1), rng=rng())
        assert bands.shape == (0, 81)
        assert len(beats) == 0

    @pytest.mark.parametrize(
        "wrong",
        [
            *({"tempo": -0.1}, {"tempo": 1}, {"tempo": math.nan}, {"pitch_bands": -1}, {"level_db": -1}),
            *({"tone_db": math.inf}, {"level_db": math.nan}, {"hidden": 1.5}, {"hidden": -1}, {"noise_db": math.nan}),
        ],
    )
    def test_settings_that_make_no_sense(self, wrong):
        with pytest.raises(InputError, match="out of range"):
            Augmentation(**wrong)
