"""Scores of stems: known ratios, other people's implementations, silence, gain, pieces, and what cannot be scored."""

import math
import warnings

import numpy as np
import pytest

from levada.errors import InputError
from levada.separation.metrics import STEM_SCORES, StemScores, leakage, sdr, si_sdr, stem_scores

GAINS = {"surdo": 1, "caixa": 0.5, "agogo": 0.2}
NAMES = tuple(GAINS)


def noise(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ensemble(channels: int = 2, samples: int = 8000) -> tuple[dict, dict, np.ndarray]:
    """Three instruments, estimates that leak into each other, and the mixture."""
    stems = {name: gain * noise(i, channels, samples) for i, (name, gain) in enumerate(GAINS.items())}
    mixture = sum(stems.values())
    estimates = {name: np.float32(0.8) * stem + np.float32(0.1) * mixture for name, stem in stems.items()}
    return stems, estimates, mixture


class TestKnownRatios:
    def test_error_of_a_tenth_of_the_amplitude_is_20_db(self):
        s = noise(0, 1, 1000)
        assert sdr(s, 1.1 * s.astype(float)) == pytest.approx(20, abs=1e-6)

    def test_gain_costs_sdr_and_not_si_sdr(self):
        s = noise(0, 1, 1000)
        assert sdr(s, s / 2) == pytest.approx(6.0206, abs=1e-3)
        assert si_sdr(s, s / 2) == 100.0
        assert si_sdr(s, -s) == 100.0  # as everywhere, a sign is a gain
        assert sdr(s, -s) == pytest.approx(-6.0206, abs=1e-3)

    def test_perfect_stems_are_capped(self):
        s = noise(0, 2, 1000)
        assert sdr(s, s) == si_sdr(s, s) == 100.0

    def test_orthogonal_noise_of_equal_power_is_0_db(self):
        t = np.arange(4000) / 4000
        s, n = np.sin(2 * np.pi * 50 * t), np.cos(2 * np.pi * 50 * t)
        assert si_sdr(s, s + n) == pytest.approx(0, abs=1e-6)

    def test_mixture_as_estimate_improves_by_nothing(self):
        stems, _, mixture = ensemble()
        for scores in stem_scores(stems, dict.fromkeys(NAMES, mixture), mixture).values():
            assert scores["sdr_i"] == 0
            assert scores["si_sdr_i"] == pytest.approx(0, abs=1e-9)

    def test_improvement_is_the_difference_to_the_mixture(self):
        stems, estimates, mixture = ensemble()
        found = stem_scores(stems, estimates, mixture)
        for name in NAMES:
            assert tuple(found[name]) == STEM_SCORES
            assert found[name]["sdr_i"] == pytest.approx(sdr(stems[name], estimates[name]) - sdr(stems[name], mixture))
            better = si_sdr(stems[name], estimates[name]) - si_sdr(stems[name], mixture)
            assert found[name]["si_sdr_i"] == pytest.approx(better)
            assert math.isnan(found[name]["leak_db"])


class TestAgainstOthers:
    @pytest.mark.parametrize("seed", range(4))
    def test_sdr_and_si_sdr_are_those_of_torchmetrics(self, seed):
        torch = pytest.importorskip("torch")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            audio = pytest.importorskip("torchmetrics.functional.audio")
        s, e = noise(seed, 1, 5000), noise(seed, 1, 5000) + (0.1 + seed) * noise(seed + 9, 1, 5000)
        reference, estimate = torch.from_numpy(s).double(), torch.from_numpy(e).double()
        theirs = audio.signal_noise_ratio(estimate, reference, zero_mean=False).item()
        assert sdr(s, e) == pytest.approx(theirs, abs=1e-4)
        theirs = audio.scale_invariant_signal_distortion_ratio(estimate, reference, zero_mean=False).item()
        assert si_sdr(s, e) == pytest.approx(theirs, abs=1e-4)

    @pytest.mark.parametrize("gain", [1.0, 0.1])
    def test_bss_eval_forgives_more(self, gain):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            separation = pytest.importorskip("mir_eval.separation")
            stems, estimates, _ = ensemble(1, 6000)
            s = np.concatenate([stems[name] for name in NAMES]).astype(float)
            e = np.concatenate([gain * estimates[name] for name in NAMES]).astype(float)
            theirs, _, _, _ = separation.bss_eval_sources(s, e, compute_permutation=False)
        for index in range(3):
            assert theirs[index] >= si_sdr(s[index], e[index]) - 1e-6
            if gain < 1:  # which a filter makes good
                assert theirs[index] > sdr(s[index], e[index]) + 3


class TestSilence:
    def test_silent_instrument_has_a_leak_and_no_sdr(self):
        stems, estimates, mixture = ensemble()
        stems["agogo"] = np.zeros_like(mixture)
        mixture = stems["surdo"] + stems["caixa"]
        estimates["agogo"] = mixture / 10
        found = stem_scores(stems, estimates, mixture)
        assert found["agogo"]["leak_db"] == pytest.approx(-20, abs=1e-3)
        assert all(math.isnan(found["agogo"][name]) for name in STEM_SCORES if name != "leak_db")
        assert all(math.isfinite(found["surdo"][name]) for name in STEM_SCORES if name != "leak_db")

    def test_silence_where_there_is_silence_leaks_nothing(self):
        stems, estimates, mixture = ensemble()
        stems["agogo"] = estimates["agogo"] = np.zeros_like(mixture)
        assert stem_scores(stems, estimates, stems["surdo"] + stems["caixa"])["agogo"]["leak_db"] == -100.0

    def test_hum_of_an_instrument_that_does_not_play_is_silence(self):
        stems, estimates, mixture = ensemble()
        stems["agogo"] = np.float32(1e-4) * stems["surdo"]
        assert math.isnan(stem_scores(stems, estimates, mixture)["agogo"]["si_sdr"])

    def test_silent_estimate_is_the_floor(self):
        stems, estimates, mixture = ensemble()
        estimates["caixa"] = np.zeros_like(mixture)
        found = stem_scores(stems, estimates, mixture)["caixa"]
        assert found["si_sdr"] == -60.0
        assert found["sdr"] == pytest.approx(0, abs=1e-6)
        assert math.isfinite(found["si_sdr_i"])

    def test_all_is_silent(self):
        nothing = np.zeros((1, 100), np.float32)
        found = stem_scores({"surdo": nothing}, {"surdo": nothing}, nothing)["surdo"]
        assert math.isnan(found["si_sdr_i"])
        assert found["leak_db"] == -100.0
        assert math.isnan(sdr(nothing, nothing))

    def test_level_of_the_recording_does_not_matter(self):
        stems, estimates, mixture = ensemble()
        quiet = [{name: one * np.float32(1e-3) for name, one in by.items()} for by in (stems, estimates)]
        loud, soft = stem_scores(stems, estimates, mixture), stem_scores(*quiet, mixture * np.float32(1e-3))
        for name in NAMES:
            assert soft[name]["si_sdr_i"] == pytest.approx(loud[name]["si_sdr_i"], abs=1e-3)


class TestPieces:
    def test_pieces_are_the_whole(self):
        stems, estimates, mixture = ensemble()
        whole = stem_scores(stems, estimates, mixture)
        held = StemScores(NAMES)
        for first, last in ((0, 1), (1, 3000), (3000, 8000)):
            held.add(*({name: one[:, first:last] for name, one in by.items()} for by in (stems, estimates)),
                     mixture[:, first:last])  # fmt: skip
        assert held.samples == 8000
        for name, scores in held.scores().items():
            assert scores == pytest.approx(whole[name], nan_ok=True)

    def test_arguments_are_left_as_they_are(self):
        stems, estimates, mixture = ensemble()
        before = mixture.copy(), estimates["surdo"].copy()
        stem_scores(stems, estimates, mixture)
        assert np.array_equal(mixture, before[0])
        assert np.array_equal(estimates["surdo"], before[1])


class TestLeakage:
    def test_right_stems_are_the_identity(self):
        stems, _, _ = ensemble()
        assert np.allclose(leakage(stems, stems), np.eye(3), atol=1e-6)

    def test_shares_are_found_and_sum_to_one(self):
        stems, _, mixture = ensemble()
        estimates = {"surdo": 0.9 * stems["surdo"] + 0.3 * stems["caixa"], "caixa": 0.7 * stems["caixa"]}
        estimates["agogo"] = mixture - estimates["surdo"] - estimates["caixa"]
        expected = [[0.9, 0.3, 0], [0, 0.7, 0], [0.1, 0, 1]]
        assert np.allclose(leakage(stems, estimates), expected, atol=1e-6)

    def test_share_of_a_mask_is_the_energy_it_lets_through(self):
        spectrum = np.fft.rfft(noise(0, 4096).astype(float))
        low = np.where(np.arange(len(spectrum)) < 600, spectrum, 0)
        s, e = np.fft.irfft(spectrum), np.fft.irfft(low)
        shares = leakage({"surdo": s, "caixa": noise(1, 4096)}, {"surdo": e, "caixa": s - e})
        assert shares[0, 0] == pytest.approx(np.sum(e**2) / np.sum(s**2), abs=0.02)

    def test_silent_instrument_has_no_shares(self):
        stems, estimates, _ = ensemble()
        stems["caixa"] = np.zeros_like(stems["caixa"])
        shares = leakage(stems, estimates)
        assert np.isnan(shares[:, 1]).all()
        assert np.isfinite(shares[:, [0, 2]]).all()

    def test_the_same_take_under_two_names_is_shared(self):
        s = noise(0, 1, 1000)
        assert np.allclose(leakage({"a": s, "b": s}, {"a": s, "b": s}), 0.5, atol=1e-3)


class TestBadInput:
    def test_estimate_that_is_not_a_number(self):
        stems, estimates, mixture = ensemble()
        estimates["caixa"][0, 5] = np.nan
        with pytest.raises(InputError, match="estimate of caixa holds values that are not finite"):
            stem_scores(stems, estimates, mixture)

    def test_infinite_reference(self):
        stems, estimates, mixture = ensemble()
        stems["agogo"][1, 7] = np.inf
        with pytest.raises(InputError, match="reference of agogo"):
            stem_scores(stems, estimates, mixture)

    def test_mixture_that_is_not_a_number(self):
        stems, estimates, mixture = ensemble()
        mixture[0, 0] = np.nan
        with pytest.raises(InputError, match="the mixture holds"):
            stem_scores(stems, estimates, mixture)

    def test_missing_estimate(self):
        stems, estimates, mixture = ensemble()
        del estimates["surdo"]
        with pytest.raises(InputError, match="estimate of surdo is missing; there are caixa, agogo"):
            stem_scores(stems, estimates, mixture)

    def test_lengths_that_differ(self):
        stems, estimates, mixture = ensemble()
        estimates["surdo"] = estimates["surdo"][:, :-1]
        with pytest.raises(InputError, match=r"estimate of surdo has shape \(2, 7999\)"):
            stem_scores(stems, estimates, mixture)

    def test_no_stems(self):
        with pytest.raises(InputError, match="no stems"):
            stem_scores({}, {}, noise(0, 1, 10))

    def test_no_samples(self):
        with pytest.raises(InputError, match="empty"):
            sdr(np.zeros((1, 0)), np.zeros((1, 0)))
        with pytest.raises(InputError, match="no samples"):
            StemScores(["surdo"]).scores()
