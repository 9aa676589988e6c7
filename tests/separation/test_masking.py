"""Separators in memory: masks in pieces without a seam, stems that sum, the ceiling."""

import pickle

import numpy as np
import pytest
import torch

from levada.errors import InputError
from levada.separation.masking import MaskSeparator, level_of, matched, mean_masks, sample_pieces
from levada.separation.masks import mask_separator, oracle
from levada.separation.networks import unet
from levada.separation.networks.mask_net import tiny
from levada.separation.stft import N_BANDS, Stft

torch.set_num_threads(1)

RATE = 44100
REACH = 3


def shares(power, level, _rate, *, reach=REACH):
    """Masks that depend on the power around each frame, and on the level."""
    result = np.log10(power / (level + 1e-20) + 1e-6)
    padded = np.pad(result, [(reach, reach), (0, 0)])
    around = np.mean([padded[at : at + len(result)] for at in range(2 * reach + 1)], axis=0)
    first = 1 / (1 + np.exp(-around))
    return np.stack([first, 0.25 * (1 - first), 0.75 * (1 - first)]).astype(np.float32)


def made(**more):
    return MaskSeparator("made", ("low", "mid", "high"), shares, **{"context_frames": REACH, **more})


def noise(seconds, *, rate=RATE, channels=2, seed=0):
    rng = np.random.default_rng(seed)
    swell = np.sin(np.arange(max(1, round(seconds * rate))) / rate * 5) + 1.1
    return (rng.normal(0, 0.1, (channels, len(swell))) * swell).astype(np.float32)


def beyond_db(stems, mixture):
    """How far below the mixture lies what is missing of it."""
    missing = np.sum(list(stems.values()), axis=0, dtype=np.float64) - mixture
    return 10 * np.log10((np.sum(missing**2) + 1e-30) / np.sum(mixture.astype(np.float64) ** 2))


class TestPieces:
    @pytest.mark.parametrize("piece_frames", [1, 16, 100])
    def test_have_no_seam(self, piece_frames):
        mixture = noise(6)
        whole = made(piece_frames=10**6).separate(mixture, RATE)
        pieces = made(piece_frames=piece_frames).separate(mixture, RATE)
        for name, stem in whole.items():
            assert np.abs(stem - pieces[name]).max() < 1e-6

    def test_would_have_one_without_context(self):
        mixture = noise(6)
        whole = made(piece_frames=10**6).separate(mixture, RATE)["low"]
        assert np.abs(whole - made(piece_frames=16, context_frames=0).separate(mixture, RATE)["low"]).max() > 1e-4

    @pytest.mark.slow
    def test_of_many_channels_are_shorter_and_have_no_seam_either(self):
        mixture = noise(5, rate=96000, channels=8)
        pieces = list(made(piece_frames=100).stream([mixture], 96000, level=1e-6))
        assert len(pieces) > len(list(made(piece_frames=100).stream([mixture[:1]], 96000, level=1e-6)))
        whole = next(made(piece_frames=10**6).stream([mixture], 96000, level=1e-6))
        for name, stem in whole.items():
            found = np.concatenate([piece[name] for piece in pieces], axis=1)
            assert np.abs(found - stem[:, : found.shape[1]]).max() < 1e-6

    def test_come_in_whatever_lengths(self):
        mixture = noise(12)
        expected = made().separate(mixture, RATE)
        cut = np.split(mixture, [0, 1, 700, 701, 40_000, 500_000, mixture.shape[1]], axis=1)
        level = level_of(cut, RATE)
        found = list(made(piece_frames=50).stream(cut, RATE, level=level))
        for name, stem in expected.items():
            assert np.abs(np.concatenate([piece[name] for piece in found], axis=1) - stem).max() < 1e-6

    def test_are_made_as_they_come(self):
        seen = []

        def pieces():
            for number in range(40):
                seen.append(number)
                yield noise(1, seed=number)

        first = next(made(piece_frames=64).stream(pieces(), RATE, level=1e-6))
        assert first["low"].shape[1] > RATE
        assert len(seen) < 15

    @pytest.mark.parametrize("net", [tiny(("low", "high")), unet.tiny()], ids=["masks", "unet"])
    def test_of_networks_have_no_seam(self, net):
        from dataclasses import replace

        separator = mask_separator(net, name="net")
        mixture = noise(14, rate=8000, channels=1)
        whole = replace(separator, piece_frames=10**6).separate(mixture, 8000)
        for name, stem in replace(separator, piece_frames=64).separate(mixture, 8000).items():
            assert np.abs(stem - whole[name]).max() < 1e-5


class TestStems:
    @pytest.mark.parametrize("rate", [8000, 22050, 44100, 96000])
    @pytest.mark.parametrize("channels", [1, 2, 8])
    def test_sum_to_the_mixture(self, rate, channels):
        mixture = noise(1.3, rate=rate, channels=channels)
        stems = made().separate(mixture, rate)
        assert {stem.shape for stem in stems.values()} == {mixture.shape}
        assert {stem.dtype for stem in stems.values()} == {np.dtype(np.float32)}
        assert beyond_db(stems, mixture) < -110

    @pytest.mark.parametrize("samples", [1, 2, 1023, 1024, 1025, 4097])
    def test_of_any_length(self, samples):
        mixture = noise(samples / RATE)
        stems = made().separate(mixture, RATE)
        assert stems["low"].shape == mixture.shape == (2, samples)
        assert beyond_db(stems, mixture) < -110 or samples < 3
        np.testing.assert_allclose(sum(stems.values()), mixture, atol=1e-7)

    def test_keep_the_place_between_loudspeakers(self):
        left = noise(2, channels=1)
        stems = made().separate(np.concatenate([left, np.zeros_like(left)]), RATE)
        assert all(np.abs(stem[1]).max() == 0 for stem in stems.values())

    def test_do_not_change_with_the_level(self):
        mixture = noise(2)
        quiet = made().separate(mixture * np.float32(1e-3), RATE)
        for name, stem in made().separate(mixture, RATE).items():
            np.testing.assert_allclose(quiet[name] * 1e3, stem, atol=2e-6)

    def test_of_silence_are_silent(self):
        stems = made().separate(np.zeros((2, 5000), np.float32), RATE)
        assert all(not stem.any() for stem in stems.values())

    def test_do_not_touch_what_they_were_given(self):
        mixture = noise(1)
        before = mixture.copy()
        made().separate(mixture, RATE)
        assert np.array_equal(mixture, before)

    def test_tell_how_far_they_are(self):
        told = []
        made(piece_frames=16).separate(noise(4), RATE, progress=lambda done, total: told.append((done, total)))
        assert told[-1] == (4, 4)
        assert [done for done, _ in told] == sorted(done for done, _ in told)

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    def test_refuse_what_is_not_finite(self, value):
        mixture = noise(1)
        mixture[1, 500] = value
        with pytest.raises(InputError, match="not all finite"):
            made().separate(mixture, RATE)

    @pytest.mark.parametrize("shape", [(0,), (2, 0), (1, 2, 3)])
    def test_refuse_what_is_no_sound(self, shape):
        with pytest.raises(InputError, match=r"no samples to separate|not of 3 axes"):
            made().separate(np.zeros(shape, np.float32), RATE)

    @pytest.mark.parametrize("rate", [0, 1999, 10**6])
    def test_refuse_rates_that_nobody_records_at(self, rate):
        with pytest.raises(InputError, match="cannot be separated"):
            made().separate(noise(1), rate)


def test_the_level_is_the_mean_power_of_bands():
    mixture, stft = noise(20), Stft(RATE)
    expected = stft.to_bands(np.mean(np.abs(stft.forward(mixture)) ** 2, axis=0))
    assert expected.shape[1] == N_BANDS
    assert level_of(np.array_split(mixture, 7, axis=1), RATE) == pytest.approx(expected.mean(dtype=float), rel=1e-5)
    assert level_of([np.zeros((1, 9), np.float32)], RATE) == 0
    assert level_of([], RATE) == 0


class TestNets:
    def test_some_of_what_a_network_knows_share_all(self):
        net = tiny(("surdo", "shaker", "caixa"))
        mixture = noise(1)
        some = mask_separator(net, name="some", instruments={"caixa": "caixa", "ganza": "shaker"}, identity="x")
        stems = some.separate(mixture, RATE)
        assert tuple(stems) == some.instruments == ("caixa", "ganza")
        assert beyond_db(stems, mixture) < -110
        every = mask_separator(net, name="every", identity="x")
        assert tuple(every.separate(mixture, RATE)) == every.instruments == ("surdo", "shaker", "caixa")
        other = mask_separator(net, name="other", instruments={"caixa": "caixa", "surdo": "surdo"}, identity="x")
        assert len({some.identity, every.identity, other.identity}) == 3

    def test_restricting_a_network_to_all_it_knows_in_another_order_changes_no_stem(self):
        net, mixture = tiny(("surdo", "shaker")), noise(1)
        turned = mask_separator(net, name="turned", instruments={"shaker": "shaker", "surdo": "surdo"})
        expected = mask_separator(net, name="net").separate(mixture, RATE)
        for name, stem in turned.separate(mixture, RATE).items():
            np.testing.assert_allclose(stem, expected[name], atol=1e-7)

    @pytest.mark.parametrize(
        ("instruments", "said"),
        [
            ({"cuica": "cuica"}, "has no stem of cuica: its stems are surdo, shaker"),
            ({}, "has no stem of nothing"),
            ({"a": "surdo", "b": "surdo"}, "cannot separate them"),
        ],
    )
    def test_what_a_network_does_not_know(self, instruments, said):
        with pytest.raises(InputError, match=said):
            mask_separator(tiny(("surdo", "shaker")), name="net", instruments=instruments)

    def test_travels_to_another_process(self):
        separator, mixture = mask_separator(tiny(), name="net", trained_on={"ab": [(0.0, 1.0)]}), noise(0.5)
        copy = pickle.loads(pickle.dumps(separator))
        assert copy.trained_on == {"ab": [(0.0, 1.0)]}
        np.testing.assert_array_equal(copy.separate(mixture, RATE)["low"], separator.separate(mixture, RATE)["low"])


class TestOracle:
    def stems(self, rate=RATE):
        time_s = np.arange(2 * rate) / rate
        low = np.sin(2 * np.pi * 100 * time_s) * (time_s % 0.5 < 0.2)
        high = np.random.default_rng(0).normal(0, 0.3, len(time_s)) * (time_s % 0.25 < 0.03)
        return {"low": low[None].astype(np.float32), "high": high[None].astype(np.float32)}

    @pytest.mark.parametrize("bands", [False, True])
    def test_tells_apart_what_masks_can(self, bands):
        true = self.stems()
        mixture = sum(true.values())
        found = oracle(true, mixture, RATE, bands=bands)
        assert beyond_db(found, mixture) < -110
        for name, stem in true.items():
            error = np.sum((found[name] - stem) ** 2) / np.sum(stem**2)
            assert -10 * np.log10(error) > 12

    def test_gives_silence_where_an_instrument_is_silent(self):
        true = {**self.stems(), "none": np.zeros((1, 2 * RATE), np.float32)}
        found = oracle(true, sum(true.values()), RATE)
        assert np.abs(found["none"]).max() < 1e-6

    @pytest.mark.parametrize("lengths", [{"a": 1, "b": 2}, {"a": 2}, {}])
    def test_refuses_stems_that_differ_from_the_mixture_in_length(self, lengths):
        with pytest.raises(InputError, match="length and the channels"):
            oracle({name: noise(seconds) for name, seconds in lengths.items()}, noise(1), RATE)


@pytest.mark.parametrize(
    ("name", "instruments", "expected"),
    [
        ("Surdo", ("surdo", "shaker"), "surdo"),
        ("ganzá", ("surdo", "shaker"), "shaker"),
        ("primeira", ("surdo", "shaker"), "surdo"),
        ("agogô", ("surdo", "shaker"), None),
        ("my own drum", ("my own drum", "rest"), "my own drum"),
        ("nonsense", ("surdo", "other"), None),
        ("guitar", ("surdo", "other"), None),
        ("other", ("surdo", "other"), "other"),
        ("surdo", ("primeira", "segunda"), None),
    ],
)
def test_which_instrument_is_meant(name, instruments, expected):
    assert matched(name, instruments) == expected


class TestBlindDictionaries:
    """A separator that takes a tone for low or high by its loudness, which differs from stroke to stroke."""

    @staticmethod
    def drums():
        rng, length = np.random.default_rng(3), 6 * RATE
        stems = np.zeros((2, 1, length), np.float32)
        decay = np.exp(-np.arange(8000) / 1500)
        for stem, (low_hz, high_hz), step in zip(stems, ((80, 400), (1500, 6000)), (11_000, 7_900), strict=True):
            spectrum, frequency = np.fft.rfft(rng.normal(0, 1, 8000)), np.fft.rfftfreq(8000, 1 / RATE)
            spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0
            for at in range(0, length - 8000, step):
                stem[0, at : at + 8000] += rng.uniform(0.5, 1) * np.fft.irfft(spectrum, 8000) * decay
        return dict(zip(("low", "high"), stems / np.abs(stems).max(), strict=True))

    @staticmethod
    def separator(weight, instruments=("low", "high")):
        def masks(power, _level, _rate):
            frequency = np.linspace(0, 1, power.shape[1])
            right = (frequency < 900 / (RATE / 2)).astype(np.float32)
            wrong = 0.15 * (1 + np.sin(np.arange(len(power)) / 9))[:, None]
            low = (1 - wrong) * right + wrong * (1 - right)
            rest = (1 - low) / (len(instruments) - 1)
            return np.stack([low, *[rest] * (len(instruments) - 1)]).astype(np.float32)

        return MaskSeparator("made", instruments, masks, mean_weight=0.01, blind_weight=weight)

    def test_their_masks_are_multiplied_with_those_of_the_network(self):
        mixture = sum(self.drums().values())
        network, both, alone = (self.separator(weight).separate(mixture, RATE) for weight in (0.0, 0.3, 1.0))
        assert beyond_db(both, mixture) < -100
        assert not np.allclose(both["low"], network["low"], atol=1e-3)

        def distance(one, other):
            return float(np.square(one["low"] - other["low"]).sum())

        assert max(distance(both, network), distance(both, alone)) < distance(network, alone)
        assert distance(both, network) < distance(both, alone)  # the network has .7 of the weight

    def test_pieces_give_the_stems_of_the_whole(self):
        mixture = sum(self.drums().values())
        separator = self.separator(0.3)
        whole, level = separator.separate(mixture, RATE), level_of([mixture], RATE)
        pieces = [*separator.stream([mixture[:, :70_001], mixture[:, 70_001:]], RATE, level=level)]
        for name, stem in whole.items():
            assert np.abs(np.concatenate([piece[name] for piece in pieces], 1) - stem).max() < 1e-5

    def test_silence_and_few_samples_are_separated(self):
        for mixture in (np.zeros((1, RATE), np.float32), np.full((2, 50), 0.1, np.float32)):
            assert beyond_db(self.separator(0.3).separate(mixture, RATE), mixture + 1e-20) < -100 or not mixture.any()

    def test_of_many_instruments_none_are_learnt(self):
        mixture = sum(self.drums().values())
        many = tuple(f"drum {number}" for number in range(20))
        with_them, without = (self.separator(weight, many).separate(mixture, RATE) for weight in (0.3, 0.0))
        assert all(np.array_equal(with_them[name], without[name]) for name in many)


class TestMeanMasks:
    """A share of the mean masks of a recording beside those of its frames."""

    def separator(self, weight):
        def loud_is_low(power, level, _rate):
            loud = power.sum(1, keepdims=True) > level * 50
            low = np.broadcast_to(np.where(loud, 0.9, 0.2), power.shape)
            return np.stack([low, 1 - low]).astype(np.float32)

        return MaskSeparator("made", ("low", "high"), loud_is_low, mean_weight=weight)

    def test_they_are_weighted_by_power(self):
        masks = np.array([[[0.9, 0.9], [0.2, 0.2]], [[0.1, 0.1], [0.8, 0.8]]], np.float32)
        power = np.array([[3.0, 0.0], [1.0, 0.0]], np.float32)
        means = mean_masks([masks], [power])
        assert means[:, 0] == pytest.approx([(0.9 * 3 + 0.2) / 4, (0.1 * 3 + 0.8) / 4])
        assert means[:, 1] == pytest.approx([0.5, 0.5])

    def test_stems_are_the_weighted_sum_of_both(self):
        sound = np.random.default_rng(0).normal(0, 0.1, (1, 44100)).astype(np.float32)
        sound[:, 20000:] *= 0.1
        alone, mean, both = (self.separator(weight).separate(sound, 44100)["low"] for weight in (0.0, 1.0, 0.25))
        assert np.allclose(both, 0.75 * alone + 0.25 * mean, atol=1e-5)
        assert not np.allclose(alone, mean, atol=1e-3)

    def test_pieces_give_the_stems_of_the_whole(self):
        sound = np.random.default_rng(0).normal(0, 0.1, (2, 300_000)).astype(np.float32)
        separator = self.separator(0.6)
        whole, level = separator.separate(sound, 44100), level_of([sound], 44100)
        pieces = [*separator.stream([sound[:, :70_001], sound[:, 70_001:]], 44100, level=level)]
        for name, stem in whole.items():
            assert np.abs(np.concatenate([piece[name] for piece in pieces], 1) - stem).max() < 1e-6

    def test_an_hour_is_represented_by_pieces_evenly_spaced(self):
        seconds = (np.full((1, 1000), second, np.float32) for second in range(3600))
        kept = [int(piece[0, 0]) for piece in sample_pieces(seconds, 1000)]
        assert 8 <= len(kept) <= 16
        assert len({*np.diff(kept).tolist()}) == 1
        assert kept[-1] > 3000
