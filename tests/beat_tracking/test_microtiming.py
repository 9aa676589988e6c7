"""Onsets, microtiming and maps of bars, against strokes that are rendered at known times."""

import numpy as np
import pytest

import levada
from levada.beat_tracking.bar_map import BarMap, cluster_bars, map_bars
from levada.beat_tracking.microtiming import estimate_tatums, measure_microtiming, measure_stems, tatum_grid
from levada.beat_tracking.onsets import find_onsets
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.synth.instruments import RATE, synthesise

ATTACKS = {
    "click": ("claves", "woodblock", "rim"),
    "drum": ("surdo", "tamborim", "chico", "snare", "conga"),
    "metal": ("agogo", "hat", "triangle"),
    "shaker": ("shaker", "maracas", "guiro"),
    "plucked": ("guitar", "charango", "bass", "piano"),
}


@pytest.fixture(scope="module")
def samba():
    return levada.render("samba-enredo", duration_s=20, seed=1)


@pytest.fixture(scope="module")
def clicks():
    """Sixteenths of 16 beats in fours, the second of each beat 20 ms late and the third 30 ms early."""
    beats = Beats(0.5 + 0.5 * np.arange(17), np.arange(17) % 4 + 1)
    times_s = tatum_grid(beats, 4)
    times_s = times_s + np.resize([0.0, 0.020, -0.030, 0.0], len(times_s))
    return beats, times_s, pulses(times_s, 10.0)


def pulses(times_s, duration_s, level=0.5):
    samples = np.zeros(round(duration_s * RATE), np.float32)
    decay = (level * np.exp(-np.arange(400) / 60) * np.sin(np.arange(400) / 3 + 1)).astype(np.float32)
    for at in np.rint(np.asarray(times_s) * RATE).astype(int):
        samples[at : at + 400] += decay
    return samples


def strokes_of(voice, seed):
    """Fourteen strokes or notes of one player, half a second apart, and when they begin."""
    rng = np.random.default_rng(seed)
    instrument, samples = synthesise(voice, rng), np.zeros(8 * RATE, np.float32)
    starts = np.rint((0.3 + 0.5 * np.arange(14) + rng.uniform(0, 0.02, 14)) * RATE).astype(int)
    for start in starts.tolist():
        stroke = "shake" if voice in ("shaker", "maracas") else "open"
        velocity = rng.uniform(0.3, 1)
        pitch_hz = 80.0 if voice == "bass" else 220.0
        played = instrument.play(stroke, velocity=velocity, pitch_hz=pitch_hz, duration_s=0.3, rng=rng)
        samples[start : start + len(played)] += played[: len(samples) - start]
    return samples, starts / RATE


def nearest_errors(reference_s, found_s, within_s):
    errors = np.array([found_s[np.abs(found_s - time_s).argmin()] - time_s for time_s in reference_s])
    return errors[np.abs(errors) < within_s]


class TestOnsets:
    @pytest.mark.parametrize("attack", ATTACKS)
    def test_have_no_bias_for_each_kind_of_attack(self, attack):
        for voice in ATTACKS[attack]:
            samples, times_s = strokes_of(voice, 0)
            errors = nearest_errors(times_s, find_onsets(samples, RATE).times_s, 0.05)
            assert len(errors) == 14, voice
            assert abs(np.median(errors)) < 0.001, voice

    def test_of_a_ringing_drum_are_its_strokes_alone(self):
        samples, times_s = strokes_of("surdo", 1)
        assert len(find_onsets(samples, RATE)) == len(times_s)

    def test_agree_with_annotated_onsets_of_a_real_tamborim(self, real):
        name = real / "brid" / "brid_0216_tamborim_samba_enredo"
        annotated_s = np.loadtxt(name.with_suffix(".onsets.txt"))[:, 0]
        found = find_onsets(name.with_suffix(".flac"))
        errors = nearest_errors(annotated_s, found.times_s, 0.03)
        assert len(errors) > 0.95 * len(annotated_s)
        assert len(found) < 1.05 * len(annotated_s)
        assert abs(np.median(errors)) < 0.002

    def test_do_not_depend_on_level_rate_or_blocks(self, clicks, tmp_path):
        _, times_s, samples = clicks
        expected = find_onsets(samples, RATE).times_s
        assert find_onsets(0.01 * samples, RATE).times_s == pytest.approx(expected, abs=1e-9)
        resampled = audio.resample(samples, rate=RATE, to=48000)
        assert find_onsets(resampled, 48000).times_s == pytest.approx(times_s, abs=0.0015)
        audio.write(tmp_path / "a.wav", samples, rate=RATE)
        assert find_onsets(tmp_path / "a.wav").times_s == pytest.approx(expected, abs=1e-9)

    def test_in_silence_are_none(self):
        for samples in (np.zeros(RATE, np.float32), np.zeros(1, np.float32), np.full(RATE, 0.5, np.float32)):
            found = find_onsets(samples, RATE)
            assert (len(found), len(found.strengths)) == (0, 0)

    def test_of_samples_that_are_no_numbers_are_refused(self, clicks):
        samples = clicks[2].copy()
        samples[1000] = np.nan
        with pytest.raises(InputError, match="finite"):
            find_onsets(samples, RATE)


class TestTatums:
    @pytest.mark.parametrize("count", [1, 2, 3, 4, 6])
    def test_are_counted_from_onsets(self, count):
        beats = Beats(0.5 * np.arange(1, 18))
        rng = np.random.default_rng(count)
        times_s = tatum_grid(beats, count) + rng.normal(0, 0.01, 16 * count + 1)
        assert estimate_tatums(times_s, beats) == count

    def test_of_early_sixteenths_are_four(self):
        """As a tamborim of samba plays them: the third and fourth come early by 6 and 8 % of a beat."""
        beats = Beats(0.45 * np.arange(1, 18))
        times_s = (0.45 * (np.arange(1, 17)[:, None] + [0.003, 0.263, 0.437, 0.669])).ravel()
        assert estimate_tatums(times_s, beats) == 4

    def test_without_onsets_are_one(self):
        assert estimate_tatums([], Beats([1.0, 2.0])) == 1


class TestMicrotiming:
    def test_is_what_was_played(self, clicks):
        beats, times_s, samples = clicks
        timing = measure_microtiming(samples, beats, rate=RATE)
        assert timing.tatums_per_beat == 4
        assert timing.times_s == pytest.approx(times_s, abs=0.0005)
        places = timing.places()
        assert [(place.beat, place.tatum, place.n) for place in places][:5] == [
            (1, 1, 5), (1, 2, 4), (1, 3, 4), (1, 4, 4), (2, 1, 4),
        ]  # fmt: skip
        expected = {1: 0.0, 2: 0.020, 3: -0.030, 4: 0.0}
        for place in places:
            assert place.mean_s == pytest.approx(expected[place.tatum], abs=0.0005)
            assert place.mean_beats == pytest.approx(expected[place.tatum] / 0.5, abs=0.001)
            assert place.sd_s < 0.0005
        assert timing.bars.tolist() == np.repeat([1, 2, 3, 4, 5], [16, 16, 16, 16, 1]).tolist()
        row = timing.rows()[1]
        assert (row["bar"], row["beat"], row["tatum"]) == (1, 1, 2)
        assert row["deviation_ms"] == pytest.approx(20, abs=0.5)

    def test_of_a_rendered_stem_is_that_of_its_strokes(self, samba):
        timing = measure_microtiming(samba.stems["tamborim"], samba.beats, rate=samba.rate, tatums=4)
        true_s = np.array([stroke.time_s for stroke in samba.strokes["tamborim"]])
        grid = tatum_grid(samba.beats, 4)
        compared = 0
        for place in timing.places():
            here = (timing.beats == place.beat) & (timing.tatums == place.tatum)
            played = np.array([true_s[np.abs(true_s - time_s).argmin()] for time_s in timing.times_s[here]])
            expected_s = np.mean([time_s - grid[np.abs(grid - time_s).argmin()] for time_s in played])
            assert place.mean_s == pytest.approx(expected_s, abs=0.0005)
            compared += place.n > 8
        assert compared >= 6

    def test_intervals_contain_the_mean_and_shrink_with_bars(self, clicks):
        beats = clicks[0]
        rng = np.random.default_rng(3)
        times_s = beats.times_s + rng.normal(0, 0.008, len(beats))
        timing = measure_microtiming(pulses(times_s, 10.0), beats, rate=RATE, tatums=1)
        (first, *_) = timing.places()
        assert first.low_s < first.mean_s < first.high_s
        assert 0.5 * first.sd_s < (first.high_s - first.low_s) / 2 < 5 * first.sd_s

    def test_intervals_carry_the_uncertainty_of_a_tracker(self, clicks):
        beats, _, samples = clicks
        rng = np.random.default_rng(0)
        readings = [beats.shift(float(shift_s)) for shift_s in rng.normal(0, 0.010, 200)]
        narrow = measure_microtiming(samples, beats, rate=RATE).places()
        wide = measure_microtiming(samples, beats, rate=RATE, samples=readings).places()
        for without, with_samples in zip(narrow, wide, strict=True):
            assert with_samples.mean_s == without.mean_s
            width_s = with_samples.high_s - with_samples.low_s
            assert width_s == pytest.approx(2 * 1.96 * 0.010, rel=0.25)  # of the shifts

    def test_of_beats_without_positions_is_by_tatum(self, clicks):
        beats, _, samples = clicks
        timing = measure_microtiming(samples, Beats(beats.times_s), rate=RATE)
        assert [(place.beat, place.tatum) for place in timing.places()] == [(0, 1), (0, 2), (0, 3), (0, 4)]

    def test_leaves_out_what_is_played_in_a_pause(self, clicks):
        beats, _, samples = clicks
        gap = np.r_[0:8, 12:17]
        pausing = Beats(beats.times_s[gap], beats.positions[gap])
        timing = measure_microtiming(samples, pausing, rate=RATE, tatums=4)
        inside = (timing.times_s > 4.1) & (timing.times_s < 6.4)
        assert not inside.any()
        assert len(timing) == 7 * 4 + 4 * 4 + 2

    def test_of_one_bar_has_no_interval(self, clicks):
        beats, _, samples = clicks
        timing = measure_microtiming(samples, beats.between(0, 2.6), rate=RATE)
        assert all(np.isnan([place.low_s, place.high_s]).all() for place in timing.places() if place.n < 3)

    @pytest.mark.parametrize(
        ("beats", "tatums", "named"),
        [
            (Beats([]), None, "no grid"),
            (Beats([1.0]), None, "no grid"),
            (Beats([1.0, 2.0, 30.0]), None, "30.00 s"),
            (Beats([1.0, 2.0]), 0, "tatums"),
            (Beats([1.0, 2.0]), 13, "tatums"),
        ],
    )
    def test_of_a_grid_that_is_none_is_refused(self, clicks, beats, tatums, named):
        with pytest.raises(InputError, match=named):
            measure_microtiming(clicks[2], beats, rate=RATE, tatums=tatums)

    def test_of_silence_is_refused(self, clicks):
        with pytest.raises(InputError, match="silent"):
            measure_microtiming(np.zeros(10 * RATE, np.float32), clicks[0], rate=RATE)


class TestStems:
    def test_that_are_clean_are_all_kept(self, samba):
        timings = measure_stems(samba.stems, samba.beats, rate=samba.rate)
        assert not any(timing.withheld for timing in timings.values())
        assert sum(timing.set_aside for timing in timings.values()) <= 2
        true_s = np.array([stroke.time_s for stroke in samba.strokes["surdo"]])
        assert len(timings["surdo"]) == len(true_s)
        assert nearest_errors(true_s, timings["surdo"].times_s, 0.02) == pytest.approx(0, abs=0.002)

    def test_with_onsets_of_others_are_withheld(self, samba):
        """A stem of five strokes, in which all others remain at a tenth of their level."""
        mixture = samba.mixture[0]
        few = pulses([2.0, 5.0, 8.0, 11.0, 14.0], len(mixture) / RATE, level=0.2)
        stems = {"all": mixture, "few": few + 0.1 * mixture}
        timings = measure_stems(stems, samba.beats, rate=samba.rate)
        assert "other stems" in timings["few"].withheld
        assert timings["few"].set_aside > 50
        assert not timings["all"].withheld

    def test_lose_the_onsets_of_others_and_keep_their_own(self, samba):
        own_s = np.arange(0.73, 19, 0.37)
        own = pulses(own_s, samba.mixture.shape[-1] / RATE, level=0.5)
        rest = pulses(samba.beats.times_s, samba.mixture.shape[-1] / RATE)
        rest *= np.resize([1.0, 0.5], len(rest)).astype(np.float32)  # another wave
        timings = measure_stems({"own": own + 0.1 * rest, "rest": rest}, samba.beats, rate=samba.rate, tatums=4)
        found = timings["own"].times_s
        far = np.array([np.abs(own_s - time_s).min() for time_s in found])
        assert (far < 0.003).all()
        assert timings["own"].set_aside > 10

    def test_that_do_not_belong_together_are_refused(self, clicks):
        beats, _, samples = clicks
        with pytest.raises(InputError, match="equally long"):
            measure_stems({"a": samples, "b": samples[: 8 * RATE]}, beats, rate=RATE)
        with pytest.raises(InputError, match="all stems"):
            measure_stems({"a": samples}, beats, rate=RATE)


class TestBarMap:
    def test_has_a_row_for_each_bar(self, clicks):
        beats = clicks[0]
        pattern = np.array([1, 0, 0, 1, 0, 0, 1, 0] * 2, bool)
        samples = pulses(tatum_grid(beats, 4)[:-1][np.resize(pattern, 64)], 10.0)
        bars = map_bars(samples, beats, rate=RATE, tatums=4)
        assert (bars.values.shape, bars.metre, bars.tatums_per_beat) == ((4, 16), 4, 4)
        assert bars.starts_s.tolist() == [0.5, 2.5, 4.5, 6.5]
        assert (bars.values[:, pattern] > 0.8).all()
        assert (bars.values[:, ~pattern] < 0.4).all()

    def test_without_a_complete_bar_is_refused(self, clicks):
        beats, _, samples = clicks
        for few in (beats.between(0, 1.6), Beats(beats.times_s)):
            with pytest.raises(InputError, match="no bar is complete"):
                map_bars(samples, few, rate=RATE)


class TestClusters:
    def bars(self, rows):
        return BarMap(np.array(rows, float), np.arange(len(rows), dtype=float), 2, 2)

    def test_are_the_patterns_that_were_played(self):
        rng = np.random.default_rng(0)
        kinds = np.array([[1, 0, 1, 0], [0, 1, 0, 1], [1, 1, 1, 1]])
        played = np.repeat([0, 1, 2], [9, 5, 2])[rng.permutation(16)]
        found = cluster_bars(self.bars((0.8 * kinds[played] + rng.uniform(0, 0.2, (16, 4))).clip(0, 1)), 3, seed=1)
        assert found.labels.tolist() == (played + 1).tolist()
        assert found.sizes.tolist() == [9, 5, 2]
        assert found.patterns == pytest.approx(0.8 * kinds + 0.1, abs=0.15)
        assert 0.9 < found.explained < 1

    def test_of_equal_bars_are_one(self):
        found = cluster_bars(self.bars([[1, 0, 1, 0]] * 5), 3)
        assert (found.labels.tolist(), found.sizes.tolist(), found.explained) == ([1] * 5, [5], 1.0)

    @pytest.mark.parametrize("n", [0, 3])
    def test_more_than_bars_or_none_are_refused(self, n):
        with pytest.raises(InputError, match="2 bars"):
            cluster_bars(self.bars([[1, 0, 1, 0], [0, 1, 0, 1]]), n)
