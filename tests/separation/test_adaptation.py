"""Minutes of stems become a separator: the loss is the score, excerpts are what they should be, training separates."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from levada.data import load_corpus
from levada.errors import InputError
from levada.io import audio
from levada.learning.card import Card
from levada.learning.training_log import read_log
from levada.learning.weights import Weights, digest
from levada.separation.adaptation import DEFAULTS, adapt
from levada.separation.augmentation import NO_AUGMENTATION, StemAugmentation
from levada.separation.examples import Example, StemDataset, StemSettings, batches, collate, sample_excerpt, stem_loss
from levada.separation.metrics import stem_scores
from levada.separation.networks import load
from levada.separation.networks.mask_net import MaskNet, MaskSettings, tiny
from levada.separation.separator import Separator
from levada.separation.stft import N_BANDS, Stft
from levada.separation.unet_training import UNetTraining

RATE = 44100
SHORT = StemSettings(steps=4, batch=2, excerpt_s=0.6)


def stem_batches(dataset, instruments, settings, start=0):
    sample = partial(sample_excerpt, dataset, settings)
    return batches(sample, partial(collate, instruments=instruments), settings, start)


def first_excerpts(dataset, settings):
    return next(batches(partial(sample_excerpt, dataset, settings), list, settings, 0))


def hits(hz, every_s, seconds=4.0, seed=0):
    """A drum: decaying tones at a rate, never twice the same."""
    rng, out = np.random.default_rng(seed), np.zeros(round(seconds * RATE), np.float32)
    time = np.arange(round(0.2 * RATE)) / RATE
    for start in np.arange(0.1, seconds - 0.3, every_s):
        one = np.exp(-time / 0.05) * np.sin(2 * np.pi * hz * rng.uniform(0.97, 1.03) * time) * rng.uniform(0.4, 0.8)
        out[round(start * RATE) :][: len(one)] += one.astype(np.float32)
    return out


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Two songs of a low and a high drum, the second without the bell of the first."""
    folder = tmp_path_factory.mktemp("stems")
    for song in range(2):
        stems = {"surdo": hits(90, 0.5, seed=song), "tamborim": hits(900, 0.25, seed=9 + song)}
        if song == 0:
            stems["gongo"] = hits(3000, 0.7)
        (folder / f"song-{song}").mkdir()
        for name, stem in stems.items():
            audio.write(folder / f"song-{song}" / f"{name}.wav", stem[None] * 0.3, rate=RATE)
    return load_corpus(folder, labels="stems")


@pytest.fixture
def spans(corpus):
    return corpus.sample()


@pytest.fixture(scope="module")
def base():
    torch.manual_seed(0)
    return Weights(tiny(("surdo", "tamborim", "other")), Card("b", "Drawn.", "CC0-1.0", "none", 0.0, {"any": "none"}))


class TestLoss:
    def batch(self, **by):
        dataset = StemDataset([Example({"a": hits(100, 0.5), "b": hits(1000, 0.3)}, ("a", "b", "c"))])
        settings = replace(SHORT, augmentation=StemAugmentation(**{**NO_AUGMENTATION.__dict__, **by}))
        return next(stem_batches(dataset, ("a", "b", "c"), settings)), first_excerpts(dataset, settings)

    def test_it_is_what_the_spectra_say(self):
        batch, (one, _) = self.batch()
        masks = torch.rand(3, *one.mixture.shape).softmax(0)
        wanted = []
        for mask, shared, own in zip(masks.numpy(), one.cross, one.power, strict=True):
            error = (mask**2 * one.mixture - 2 * mask * shared + own).sum()
            soft = one.mixture.sum() * (1e-3 if own.any() else 0.1)
            wanted.append(10 * np.log10((error + soft) / (own.sum() + soft)))
        first = type(batch)(*(part[:1] for part in batch))
        assert float(stem_loss(masks.log()[None], first)) == pytest.approx(np.mean(wanted), abs=1e-3)

    def test_bands_know_the_error_of_the_sound(self):
        """What three numbers of a band say is what one hears: the energy of the difference."""
        transform = Stft(RATE)
        low, high = transform.forward(hits(100, 0.5)), transform.forward(hits(1000, 0.3))
        mixture, mask = low + high, np.random.default_rng(0).random((len(low), N_BANDS)).astype(np.float32)
        error = np.square(np.abs(transform.expand_bands(mask) * mixture - low)).sum()
        power, own = transform.to_bands(np.abs(mixture) ** 2), transform.to_bands(np.abs(low) ** 2)
        shared = transform.to_bands((mixture * low.conj()).real)
        assert (mask**2 * power - 2 * mask * shared + own).sum() == pytest.approx(error, rel=1e-4)

    def test_right_masks_are_better_than_equal_ones(self):
        batch, _ = self.batch()
        right = (batch.power / (batch.power.sum(1, keepdim=True) + 1e-9) + 1e-6).log()
        assert float(stem_loss(right, batch)) < float(stem_loss(torch.zeros_like(right), batch)) - 5

    def test_what_is_not_asked_for_gets_nothing(self):
        batch, _ = self.batch()
        asked = batch._replace(included=torch.tensor([[1.0, 1.0, 0.0]] * 2))
        logits = torch.zeros_like(batch.power)
        assert float(stem_loss(logits, asked)) == float(stem_loss(logits.index_fill(1, torch.tensor([2]), 50), asked))


class TestExcerpts:
    def test_a_step_is_the_same_whenever_it_is_made(self):
        dataset = StemDataset([Example({"a": hits(100, 0.5), "b": hits(1000, 0.3)}, ("a", "b"))])
        again = list(stem_batches(dataset, ("a", "b"), SHORT, 2))
        for one, other in zip(list(stem_batches(dataset, ("a", "b"), SHORT))[2:], again, strict=True):
            assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))

    def test_a_song_as_it_is_stays_together(self):
        low = hits(100, 0.5)
        dataset = StemDataset([Example({"a": low, "b": low}, ("a", "b"))])
        (one, _) = first_excerpts(dataset, replace(SHORT, augmentation=NO_AUGMENTATION))
        assert np.allclose(one.power[0], one.power[1], rtol=1e-4)
        assert np.allclose(one.mixture, 4 * one.power[0], rtol=1e-3)

    def test_remixed_stems_come_from_anywhere(self):
        low = hits(100, 0.5)
        dataset = StemDataset([Example({"a": low}, ("a", "b")), Example({"b": low * 0.5}, ("a", "b"))])
        drawn = [dataset.sample(20_000, remix=1, rng=np.random.default_rng(seed))[0] for seed in range(30)]
        assert {frozenset(one) for one in drawn} == {frozenset("a"), frozenset("b"), frozenset("ab")}

    def test_no_stems_are_no_stock(self):
        with pytest.raises(InputError, match="no stems to train on"):
            StemDataset([Example({"a": np.zeros(0, np.float32)}, ("a",))])


@pytest.mark.slow
class TestAdapting:
    def test_training_separates_what_it_has_seen(self, spans, tmp_path):
        settings = StemSettings(
            steps=60, batch=3, excerpt_s=0.8, learning_rate=5e-3, average=0.9, augmentation=NO_AUGMENTATION
        )
        torch.manual_seed(0)
        made = adapt(spans[1:], strategy="scratch", settings=settings, out=tmp_path / "mine")
        assert made.net.instruments == ("surdo", "tamborim")
        log = (tmp_path / "mine" / "log.csv").read_text().splitlines()
        losses = [float(row.split(",")[2]) for row in log[1:]]
        assert losses[-1] < -8
        assert losses[-1] < losses[0] - 6

    def test_a_new_head_begins_as_the_base(self, base):
        net = base.net.with_instruments(["gongo", "surdo-de-primeira", "tamborim"])
        heard = torch.randn(1, 12, N_BANDS)
        with torch.no_grad():
            old, new = base.net(heard), net(heard)
        assert torch.allclose(new[:, 1], old[:, 0], atol=1e-6)
        assert torch.allclose(new[:, 2], old[:, 1], atol=1e-6)

    def test_what_is_frozen_stays(self, spans, base):
        settings = replace(SHORT, layers=("head",))
        made = adapt(spans, strategy="finetune+augment", base=base, settings=settings)
        assert torch.equal(made.net.front.weight, base.net.front.weight)
        assert not torch.equal(made.net.head.weight, base.net.with_instruments(made.net.instruments).head.weight)

    def test_plain_fine_tuning_changes_no_stem(self, spans, base):
        made = adapt(spans, strategy="finetune", base=base, settings=SHORT)
        assert StemAugmentation(**made.training["augmentation"]) == NO_AUGMENTATION

    def test_the_card_says_what_it_learnt_from(self, spans, base, tmp_path):
        made = adapt(spans, strategy="finetune+augment", base=base, settings=SHORT, out=tmp_path / "mine")
        card = load(tmp_path / "mine").card
        assert made.card.name == card.name == "mine"
        assert card.minutes == pytest.approx(8 / 60, abs=0.01)
        assert set(card.trained_on) == {digest for span in spans for digest in span.track.stem_hashes}
        assert not (tmp_path / "mine.part").exists()
        rows = read_log(tmp_path / "mine" / "log.csv")
        assert len(rows) == SHORT.steps
        assert all(set(row) == {"step", "seconds", "loss", "learning_rate"} for row in rows)
        assert 0 < rows[-1]["learning_rate"] < max(row["learning_rate"] for row in rows) == SHORT.learning_rate

    def test_a_unet_learns_an_output_for_each_instrument(self, spans, tmp_path):
        settings = UNetTraining(
            60, 1e-2, batch=2, excerpt_s=0.8, augmentation=NO_AUGMENTATION, channels=(4, 8, 8), bins=256, dropout=0
        )
        adapt(spans, strategy="unet", settings=settings, out=tmp_path / "mine")
        rows = (tmp_path / "mine" / "log.csv").read_text().splitlines()[1:]
        losses = [float(row.split(",")[2]) for row in rows]
        assert np.mean(losses[-10:]) < 0.7 * np.mean(losses[:10])
        separator = Separator.from_pretrained(tmp_path / "mine")
        assert separator.instruments == ("gongo", "surdo", "tamborim")
        truth, mixture = spans[0].read(separator.instruments, rate=RATE, channels=1)
        stems = separator.separate(mixture, RATE)
        assert np.abs(sum(stems.values()) - mixture).max() < 1e-5
        scores = stem_scores(dict(zip(separator.instruments, truth, strict=True)), stems, mixture)
        assert scores["surdo"]["si_sdr_i"] > 3

    def test_a_unet_has_the_same_weights_with_the_same_seed(self, spans):
        settings = UNetTraining(2, batch=1, excerpt_s=0.4, channels=(4, 8), bins=64)
        one, other = (adapt(spans, strategy="unet", settings=settings) for _ in range(2))
        assert digest(one) == digest(other)

    def test_a_unet_is_fine_tuned_in_parts(self, spans):
        sizes = {"batch": 1, "excerpt_s": 0.4, "channels": (4, 8), "bins": 64}
        base = adapt(spans, strategy="unet", settings=UNetTraining(1, **sizes))
        tuned = adapt(spans, strategy="finetune", base=base, settings=UNetTraining(3, layers=("up",), **sizes))
        assert tuned.net.kind == "unet"
        before, after = base.net.state_dict(), tuned.net.state_dict()
        changed = {name.split(".")[0] for name in before if "num" not in name and "running" not in name
                   and not torch.equal(before[name], after[name])}  # fmt: skip
        assert changed == {"up"}

    def test_dictionaries_are_models_too(self, spans, tmp_path):
        from levada.separation import nmf

        adapt(spans, strategy="nmf", base=None, out=tmp_path / "nmf")
        assert nmf.load(tmp_path / "nmf").instruments == ("gongo", "surdo", "tamborim")


class TestWrong:
    def test_no_such_strategy(self, spans):
        with pytest.raises(InputError, match="no strategy 'bayes'; there are"):
            adapt(spans, strategy="bayes")

    def test_fine_tuning_nothing(self, spans):
        with pytest.raises(InputError, match="needs a base"):
            adapt(spans, strategy="finetune")

    def test_one_instrument(self, tmp_path):
        (tmp_path / "song").mkdir()
        audio.write(tmp_path / "song" / "surdo.wav", hits(100, 0.5)[None], rate=RATE)
        alone = load_corpus(tmp_path, labels="stems").sample()
        with pytest.raises(InputError, match="two instruments or more, and the stems are of surdo alone"):
            adapt(alone, strategy="scratch")

    def test_silence(self, tmp_path):
        (tmp_path / "song").mkdir()
        for name in ("surdo", "caixa"):
            audio.write(tmp_path / "song" / f"{name}.wav", np.zeros((1, RATE), np.float32), rate=RATE)
        silent = load_corpus(tmp_path, labels="stems").sample()
        with pytest.raises(InputError, match="no stems to train on"):
            adapt(silent, strategy="scratch", settings=SHORT)

    def test_an_output_that_exists(self, spans, tmp_path):
        with pytest.raises(InputError, match="exists already"):
            adapt(spans, strategy="nmf", base=None, out=tmp_path)

    @pytest.mark.parametrize("wrong", [{"batch": 0}, {"excerpt_s": 0}, {"level_db": -1}])
    def test_settings_that_make_no_sense(self, wrong):
        with pytest.raises(InputError, match=next(iter(wrong))):
            StemSettings(**wrong)


def test_every_strategy_has_defaults():
    assert all(replace(settings, seed=3).seed == 3 for settings in DEFAULTS.values())
    assert MaskNet(MaskSettings(("a", "b"))).context_frames == 63
