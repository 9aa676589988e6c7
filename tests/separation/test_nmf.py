"""Dictionaries learnt from stems, what they make of mixtures, and their folders."""

import importlib
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from levada.errors import InputError, settings_from
from levada.learning.card import Card
from levada.separation import nmf
from levada.separation.nmf import CONVOLUTIVE, Dictionaries, NmfSettings
from levada.separation.stft import N_BANDS, Stft

RATE = 22050
STFT = Stft(RATE)
FAST = NmfSettings(bases=3, learning_steps=30)
FAST_STROKES = NmfSettings(bases=2, taps=6, bands=True, learning_steps=30)
BOTH = pytest.mark.parametrize("settings", [FAST, FAST_STROKES], ids=["bins", "strokes"])
CARD = Card("two drums", "made up", "CC0-1.0", "nothing real", 0.1, {"none": "yet"})


def tone(low_hz: float, high_hz: float, *, decay_s: float = 0.05, seconds: float = 6.0, seed: int = 0) -> np.ndarray:
    """Strokes of coloured noise at random times: float32 [shape=(samples,)]."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(0.6 * RATE)) / RATE
    out = np.zeros(round(seconds * RATE))
    for at in np.flatnonzero(rng.random(round(seconds * 8)) < 0.5) * RATE // 8:
        spectrum = np.fft.rfft(rng.normal(0, 1, len(t)))
        frequency = np.fft.rfftfreq(len(t), 1 / RATE)
        spectrum[(frequency < low_hz) | (frequency > high_hz)] = 0
        stroke = np.fft.irfft(spectrum, len(t)) * np.exp(-t / decay_s)
        out[at : at + len(t)] += stroke[: len(out) - at]
    return (0.3 * out / np.abs(out).max()).astype(np.float32)


def heard(sound: np.ndarray) -> np.ndarray:
    return np.abs(STFT.forward(sound))


def learnt(stems: dict[str, list[np.ndarray]], settings: NmfSettings) -> Dictionaries:
    return Dictionaries(tuple(stems), nmf.learn(stems, settings=settings), CARD, settings)


def close(values: np.ndarray, right: np.ndarray | float, tolerance: float) -> bool:
    return bool(np.allclose(values, right, rtol=0, atol=tolerance))


def sdr(true: np.ndarray, estimate: np.ndarray) -> float:
    return float(10 * np.log10(np.sum(true**2) / np.sum((true - estimate) ** 2)))


def taken_apart(dictionaries: Dictionaries, mixture: np.ndarray) -> np.ndarray:
    spectra = STFT.forward(mixture)
    return STFT.inverse(nmf.masks(dictionaries, np.abs(spectra)) * spectra, len(mixture))


LOW, HIGH = {"low": (60, 300), "high": (3000, 6000)}.values()


@pytest.fixture(scope="module", params=[FAST, FAST_STROKES], ids=["bins", "strokes"])
def two(request: pytest.FixtureRequest) -> Dictionaries:
    return learnt({"low": [heard(tone(*LOW))], "high": [heard(tone(*HIGH))]}, request.param)


def test_stems_that_share_no_frequency_come_apart(two: Dictionaries) -> None:
    low, high = tone(*LOW, seed=5), tone(*HIGH, seed=6)
    for true, estimate in zip((low, high), taken_apart(two, low + high), strict=True):
        assert sdr(true, estimate) > 20


def test_strokes_tell_by_how_they_ring_what_single_spectra_cannot() -> None:
    def sounds(seed: int) -> dict[str, np.ndarray]:
        return {
            "short": tone(200, 2000, decay_s=0.015, seed=seed),
            "long": tone(200, 2000, decay_s=0.25, seed=seed + 1),
        }

    stems = {name: [heard(sound)] for name, sound in sounds(0).items()}
    mixed, gain = sounds(7), {}
    mixture = np.sum(list(mixed.values()), axis=0)
    for taps in (1, 8):
        dictionaries = learnt(stems, NmfSettings(bases=2, taps=taps, bands=True))
        estimates = taken_apart(dictionaries, mixture)
        gain[taps] = np.mean([sdr(t, e) - sdr(t, mixture) for t, e in zip(mixed.values(), estimates, strict=True)])
    assert gain[8] > gain[1] + 1
    assert gain[8] > 4


def test_masks_are_shares(two: Dictionaries) -> None:
    rng = np.random.default_rng(0)
    for magnitude in (heard(tone(100, 5000)), rng.random((40, STFT.n_bins)) ** 8, np.eye(30, STFT.n_bins)):
        masks = nmf.masks(two, magnitude)
        assert masks.shape == (2, *magnitude.shape)
        assert masks.dtype == np.float32
        assert (masks >= 0).all()
        assert close(masks.sum(axis=0), 1, 1e-5)


def test_the_level_does_not_matter(two: Dictionaries) -> None:
    magnitude = heard(tone(100, 5000))
    for factor in (1e-4, 300.0):
        changed = nmf.masks(two, factor * magnitude) - nmf.masks(two, magnitude)
        assert close(changed * magnitude, 0, 1e-5 * magnitude.max())


@BOTH
def test_a_seed_gives_the_same_bases_and_another_gives_others(settings: NmfSettings) -> None:
    stems = {"low": [heard(tone(*LOW))], "high": [heard(tone(*HIGH))]}
    first, again = nmf.learn(stems, settings=settings), nmf.learn(stems, settings=settings)
    other = nmf.learn(stems, settings=replace(settings, seed=1))
    alone = nmf.learn({"high": stems["high"]}, settings=settings)
    assert all(a.tobytes() == b.tobytes() for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])
    assert np.array_equal(first[1], alone[0])
    for basis in first:
        assert basis.shape == (settings.bases, settings.taps, N_BANDS if settings.bands else STFT.n_bins)
        assert close(basis.sum(axis=(1, 2)), 1, 1e-4)


def test_learning_changes_nothing_it_is_given() -> None:
    stem = heard(tone(*LOW))
    before = stem.copy()
    dictionaries = learnt({"low": [stem], "high": [heard(tone(*HIGH))]}, FAST)
    nmf.masks(dictionaries, stem)
    assert np.array_equal(stem, before)


def test_pieces_with_context_are_as_the_whole(two: Dictionaries) -> None:
    magnitude = heard(tone(100, 5000, seconds=40, seed=3))
    whole, context = nmf.masks(two, magnitude), two.context_frames
    assert (context == 0) == (two.settings.taps == 1)
    for first, last in ((0, 200), (500, 640), (1000, 1030), (1500, len(magnitude))):
        start = max(0, first - context)
        piece = nmf.masks(two, magnitude[start : last + context])[:, first - start : last - start]
        assert close(piece, whole[:, first:last], 1e-5)


@BOTH
def test_an_instrument_that_was_never_heard_has_no_share(settings: NmfSettings) -> None:
    stems = {"low": [heard(tone(*LOW))], "none": [], "silent": [np.zeros((50, STFT.n_bins), np.float32)]}
    dictionaries = learnt(stems, settings)
    masks = nmf.masks(dictionaries, heard(tone(100, 5000)))
    assert not masks[1:].any()
    assert close(masks[0], 1, 1e-6)


@BOTH
def test_where_nothing_was_heard_at_all_shares_are_equal(settings: NmfSettings) -> None:
    silence = [np.zeros((50, STFT.n_bins), np.float32)]
    masks = nmf.masks(learnt({"a": silence, "b": silence, "c": []}, settings), heard(tone(100, 5000)))
    assert close(masks, np.float32(1 / 3), 1e-6)


def test_silence_has_masks_as_well(two: Dictionaries) -> None:
    magnitude = np.zeros((30, STFT.n_bins), np.float32)
    assert close(nmf.masks(two, magnitude).sum(axis=0), 1, 1e-5)
    assert nmf.masks(two, magnitude[:0]).shape == (2, 0, STFT.n_bins)


def test_one_frame_is_enough(two: Dictionaries) -> None:
    frame = heard(tone(*LOW))[10:11] + np.float32(1e-6)
    masks = nmf.masks(two, frame)
    assert masks.shape == (2, 1, STFT.n_bins)
    assert close(masks.sum(axis=0), 1, 1e-5)


@BOTH
def test_fewer_frames_than_bases(settings: NmfSettings) -> None:
    frame = heard(tone(*LOW))[:1] + np.float32(1e-6)
    dictionaries = learnt({"low": [frame], "high": [heard(tone(*HIGH))[:2]]}, replace(settings, bases=9))
    assert all(np.isfinite(basis).all() for basis in dictionaries.bases)
    assert np.isfinite(nmf.masks(dictionaries, heard(tone(100, 5000)))).all()


@BOTH
def test_long_stems_are_learnt_from_in_stretches(settings: NmfSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("levada.separation.nmf.learn")
    monkeypatch.setattr(module, "MOST_FRAMES", 100)
    monkeypatch.setattr(module, "STRETCH", 25)
    dictionaries = learnt({"low": [heard(tone(*LOW))], "high": [heard(tone(*HIGH))]}, settings)
    low, high = tone(*LOW, seed=5), tone(*HIGH, seed=6)
    assert min(sdr(t, e) for t, e in zip((low, high), taken_apart(dictionaries, low + high), strict=True)) > 10


@pytest.mark.parametrize("rate", [4000, 11025, 48000])
def test_other_rates(two: Dictionaries, rate: int) -> None:
    sound = 0.1 * np.sin(2 * np.pi * 150 * np.arange(2 * rate) / rate)
    masks = nmf.masks(two, np.abs(Stft(rate).forward(sound)))
    assert masks.shape[-1] == Stft(rate).n_bins
    assert close(masks.sum(axis=0), 1, 1e-5)
    assert masks[0, 5:-5, 6:9].mean() > 0.9  # bins of 22 Hz


def test_an_instrument_above_all_there_is_has_no_share() -> None:
    low, high = np.zeros((2, 1, 1, STFT.n_bins))
    low[..., :30], high[..., 100:] = 1 / 30, 1 / (STFT.n_bins - 100)
    dictionaries = Dictionaries(("low", "high"), (low, high), CARD, NmfSettings(bases=1))
    masks = nmf.masks(dictionaries, np.abs(Stft(2000).forward(tone(*LOW)[::11])))
    assert close(masks[0], 1, 1e-6)
    assert not masks[1].any()


@pytest.mark.parametrize(
    ("spoilt", "message"),
    [
        (np.nan, "not finite"),
        (np.inf, "not finite"),
        (-1.0, "negative"),
    ],
)
def test_numbers_that_are_no_magnitudes(two: Dictionaries, spoilt: float, message: str) -> None:
    magnitude = np.ones((4, STFT.n_bins), np.float32)
    magnitude[2, 7] = spoilt
    with pytest.raises(InputError, match=f"the mixture.*{message}"):
        nmf.masks(two, magnitude)
    with pytest.raises(InputError, match=f"a stem of surdo.*{message}"):
        nmf.learn({"caixa": [], "surdo": [magnitude]}, settings=FAST)


@pytest.mark.parametrize("shape", [(5,), (2, 5, 9), (5, 1), (5, 0)])
def test_shapes_that_are_no_spectrogram(two: Dictionaries, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="frames and bins are needed"):
        nmf.masks(two, np.ones(shape, np.float32))


def test_nothing_to_learn_from() -> None:
    for stems in ({}, {"surdo": []}, {"surdo": [np.zeros((0, 9), np.float32)]}):
        with pytest.raises(InputError, match="there are no stems"):
            nmf.learn(stems)
    with pytest.raises(InputError, match="9, 12 bins: read them all at one rate"):
        nmf.learn({"surdo": [np.ones((5, 9), np.float32)], "caixa": [np.ones((5, 12), np.float32)]})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"bases": 0}, "bases must be a whole number from 1 to 256, not 0"),
        ({"bases": True}, "bases must be"),
        ({"taps": 2.5}, "taps must be"),
        ({"steps": 0}, "steps must be"),
        ({"learning_steps": "many"}, "learning_steps must be"),
        ({"seed": -1}, "seed must be"),
        ({"bands": 1}, "bands must be true or false"),
        ({"exponent": 0}, "exponent must be a number"),
        ({"exponent": float("nan")}, "exponent must be a number"),
        ({"exponent": True}, "exponent must be a number"),
        ({"atoms": 8}, "unknown settings atoms; there are bases"),
    ],
)
def test_settings_that_make_no_sense(values: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        settings_from(NmfSettings, values)


def test_settings_survive_json() -> None:
    assert settings_from(NmfSettings, json.loads(json.dumps(asdict(CONVOLUTIVE)))) == CONVOLUTIVE


@pytest.mark.parametrize(
    ("instruments", "bases", "message"),
    [
        ((), (), "must be different, not none"),
        (("a", "a"), (np.ones((3, 1, 9)),) * 2, "must be different, not a, a"),
        (("a", "b"), (np.ones((3, 1, 9)),), "1 for 2 instruments"),
        (("a",), (np.ones((2, 1, 9)),), "the bases of a have the shape"),
        (("a",), (np.ones(3),), "the bases of a have the shape"),
        (("a",), (np.ones((3, 1, 0)),), "the bases of a have the shape"),
        (("a", "b"), (np.ones((3, 1, 9)), np.ones((3, 1, 8))), "the bases of b have the shape"),
        (("a",), (-np.ones((3, 1, 9)),), "from 0 upwards"),
        (("a",), (np.full((3, 1, 9), np.nan),), "from 0 upwards"),
    ],
)
def test_dictionaries_that_do_not_fit_together(
    instruments: tuple[str, ...], bases: tuple[np.ndarray, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Dictionaries(instruments, bases, CARD, FAST)


def test_saved_dictionaries_are_the_same(two: Dictionaries, tmp_path: Path) -> None:
    two.save(tmp_path / "mine")
    again = nmf.load(tmp_path / "mine")
    assert (again.instruments, again.settings, again.card) == (two.instruments, two.settings, two.card)
    magnitude = heard(tone(100, 5000))
    assert nmf.masks(again, magnitude).tobytes() == nmf.masks(two, magnitude).tobytes()


def test_a_folder_that_exists_is_not_replaced_by_mistake(two: Dictionaries, tmp_path: Path) -> None:
    two.save(tmp_path / "mine")
    with pytest.raises(InputError, match="exists already"):
        two.save(tmp_path / "mine")
    two.save(tmp_path / "mine", force=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"instruments": []}, r"its instruments are \[\]"),
        ({"instruments": ["low", 3]}, "its instruments are"),
        ({"instruments": ["low"]}, "bases.1"),
        ({"instruments": ["low", "high", "third"]}, "bases.2"),
        ({"instruments": ["low", "low"]}, "is damaged: the instruments must be different"),
        ({"bases": 5}, "is damaged: the bases of low have the shape"),
        ({"taps": "two"}, "is damaged: taps must be"),
        ({"atoms": 5}, "is damaged: unknown settings atoms"),
    ],
)
def test_damaged_settings(two: Dictionaries, tmp_path: Path, change: dict[str, object], message: str) -> None:
    two.save(tmp_path / "mine")
    path = tmp_path / "mine" / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    config["settings"] |= change
    path.write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(InputError, match=message):
        nmf.load(tmp_path / "mine")


def test_damaged_folders(two: Dictionaries, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"is not a model: it has no config\.json"):
        nmf.load(tmp_path)
    two.save(tmp_path / "mine")
    weights, config = tmp_path / "mine" / "model.safetensors", tmp_path / "mine" / "config.json"
    content, text = weights.read_bytes(), config.read_text(encoding="utf-8")
    weights.write_bytes(content[:-40])
    with pytest.raises(InputError, match="is damaged"):
        nmf.load(tmp_path / "mine")
    weights.unlink()
    with pytest.raises(InputError, match="is not a whole model"):
        nmf.load(tmp_path / "mine")
    weights.write_bytes(content)
    config.write_text(text.replace('"network": "nmf"', '"network": "tcn"'), encoding="utf-8")
    with pytest.raises(InputError, match="holds no dictionaries: it is a tcn"):
        nmf.load(tmp_path / "mine")


class TestBlindly:
    """Dictionaries from a mixture of two drums, and masks that are wrong for some strokes."""

    def drums(self):
        rng = np.random.default_rng(1)
        frames, bins = 400, 1025  # as of 44.1 kHz
        low, high = np.exp(-np.arange(bins) / 40), np.exp(-np.square((np.arange(bins) - 300) / 120))
        stems = np.zeros((2, frames, bins), np.float32)
        for stem, spectrum, step in zip(stems, (low, high), (16, 11), strict=True):
            for at in range(0, frames - 12, step):
                stem[at : at + 12] += rng.uniform(0.6, 1) * np.exp(-np.arange(12) / 3)[:, None] * spectrum
        return stems, rng

    def test_the_masks_of_the_dictionaries_err_less(self):
        stems, rng = self.drums()
        mixture = stems.sum(0)
        true = stems / (mixture + 1e-9)
        errors = np.repeat(rng.uniform(0, 0.5, 25), 16)[None, :, None]  # a stroke has up to half of the other drum
        wrong = (1 - errors) * true + errors * true[::-1]
        settings = replace(CONVOLUTIVE, bases=1, learning_steps=10)
        bases = nmf.learn_blindly([mixture[:200], mixture[200:]], [wrong[:, :200], wrong[:, 200:]], settings=settings)
        assert [one.shape for one in bases] == [(1, 8, N_BANDS)] * 2
        learnt = nmf.masks(Dictionaries(("low", "high"), bases, CARD, settings), mixture)
        before, after = (float(np.square((shares - true) * mixture).sum()) for shares in (wrong, learnt))
        assert after < 0.5 * before

    def test_an_instrument_without_energy_stays_silent(self):
        stems, _ = self.drums()
        shares = np.stack([np.ones_like(stems[0]), np.zeros_like(stems[0])])
        settings = replace(CONVOLUTIVE, bases=1, learning_steps=3)
        first, second = nmf.learn_blindly([stems[0]], [shares], settings=settings)
        assert first.sum() == pytest.approx(1, abs=1e-4)
        assert not second.any()
        assert not np.concatenate(nmf.learn_blindly([0 * stems[0]], [shares], settings=settings)).any()


class TestAdapting:
    """Dictionaries of labels, fitted to a recording of similar drums."""

    def learnt(self, settings=FAST_STROKES):
        stems = {"low": [heard(tone(100, 300))], "high": [heard(tone(1000, 2000, seed=1))]}
        return Dictionaries(("low", "high"), nmf.learn(stems, settings=settings), CARD, settings)

    def test_they_explain_and_separate_it_better(self):
        dictionaries = self.learnt()
        before = [one.copy() for one in dictionaries.bases]
        stems = np.stack([heard(tone(200, 600, seed=2)), heard(tone(900, 2600, decay_s=0.1, seed=3))])
        mixture, true = stems.sum(axis=0), stems / (stems.sum(axis=0) + 1e-9)
        fitted = nmf.adapted(dictionaries, [mixture[:120], mixture[120:]])
        assert nmf.divergence(fitted, mixture) < 0.9 * nmf.divergence(dictionaries, mixture)
        errors = [np.square((nmf.masks(one, mixture) - true) * mixture).sum() for one in (dictionaries, fitted)]
        assert errors[1] < 0.8 * errors[0]
        assert all(np.array_equal(one, two) for one, two in zip(before, dictionaries.bases, strict=True))
        assert (fitted.instruments, fitted.settings) == (dictionaries.instruments, dictionaries.settings)

    def test_a_silent_instrument_stays_silent(self):
        low, _ = self.learnt().bases
        silent = Dictionaries(("low", "high"), (low, np.zeros_like(low)), CARD, FAST_STROKES)
        fitted = nmf.adapted(silent, [heard(tone(200, 600, seed=2))])
        assert not fitted.bases[1].any()
        assert np.abs(fitted.bases[0] - low).max() > 1e-4

    def test_nothing_to_fit_to(self):
        dictionaries, silence = self.learnt(), np.zeros((50, STFT.n_bins), np.float32)
        assert nmf.adapted(dictionaries, [silence]) is dictionaries
        assert nmf.adapted(dictionaries, []) is dictionaries
        bins = self.learnt(FAST)
        assert nmf.adapted(bins, [heard(tone(200, 600))]) is bins
