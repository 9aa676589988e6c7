"""The strategy that chooses for stems: what is held out, levels, dictionaries beside a network, and adapting again."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from levada.data import load_corpus
from levada.errors import InputError
from levada.io import audio
from levada.learning.card import Card
from levada.learning.weights import Weights, digest
from levada.separation import nmf
from levada.separation.adaptation import FINETUNE, adapt
from levada.separation.auto import Mixture, decide, folds_of, levelled
from levada.separation.examples import read_examples
from levada.separation.fusion import Fusion, product
from levada.separation.fusion import decide as decide_recording
from levada.separation.masks import BLIND_WEIGHT, MEAN_WEIGHT, mask_separator
from levada.separation.metrics import stem_scores
from levada.separation.networks.mask_net import MaskNet, MaskSettings, tiny
from levada.separation.pretrained import read_model, separator_of
from levada.separation.separator import Separator
from levada.separation.stft import Stft

RATE = 44100
FEW_STEPS = replace(FINETUNE, steps=3, batch=2, excerpt_s=0.6)


def hits(hz, every_s, *, seconds=8.0, seed=0, noise=0.0):
    """A drum: decaying tones at a rate, no two the same."""
    rng, out = np.random.default_rng(seed), np.zeros(round(seconds * RATE), np.float32)
    time = np.arange(round(0.2 * RATE)) / RATE
    for start in np.arange(0.1, seconds - 0.3, every_s):
        tone = np.sin(2 * np.pi * hz * rng.uniform(0.97, 1.03) * time) + noise * rng.normal(size=len(time))
        out[round(start * RATE) :][: len(time)] += (np.exp(-time / 0.05) * tone * rng.uniform(0.4, 0.8)).astype("f4")
    return out


DRUMS = {"surdo": (90, 0.5), "tamborim": (900, 0.25), "gongo": (3000, 0.7)}


def write_song(folder, names=tuple(DRUMS), *, seed=0, seconds=8.0, factor=1.0):
    folder.mkdir(parents=True)
    for number, name in enumerate(names):
        hz, every_s = DRUMS[name]
        stem = hits(hz * factor, every_s, seconds=seconds, seed=seed + 10 * number)
        audio.write(folder / f"{name}.wav", 0.2 * stem[None], rate=RATE)


def spans_of(folder):
    return load_corpus(folder, labels="stems").sample()


@pytest.fixture(scope="module")
def one_song(tmp_path_factory):
    folder = tmp_path_factory.mktemp("one")
    write_song(folder / "song")
    return folder


@pytest.fixture(scope="module")
def base():
    torch.manual_seed(0)
    return Weights(tiny(("surdo", "tamborim", "other")), Card("b", "Drawn.", "CC0-1.0", "none", 0.0, {"any": "none"}))


@pytest.fixture(scope="module")
def fusion(one_song, base):
    return adapt(spans_of(one_song), base=base, settings=FEW_STEPS)


class TestFolds:
    def test_are_takes_where_all_instruments_have_two(self, tmp_path):
        for number in range(4):
            write_song(tmp_path / f"song-{number}", seed=number)
        spans = spans_of(tmp_path)
        folds, how = folds_of(spans, [[one] for one in read_examples(spans, sorted(DRUMS))])
        assert how == "other takes"
        assert [(len(fold.train), len(fold.test)) for fold in folds] == [(2, 2), (2, 2)]
        ends = {fold.train[0].stems["surdo"].tobytes() for fold in folds}
        assert len(ends) == 2

    def test_are_blocks_of_time_of_one_take(self, one_song):
        spans = spans_of(one_song)
        (example,) = read_examples(spans, sorted(DRUMS))
        folds, how = folds_of(spans, [[example]])
        assert "blocks of time" in how
        first, second = folds[0].train[0].stems["surdo"], folds[1].train[0].stems["surdo"]
        assert len(first) == len(second) == (8 * RATE - RATE // 2) // 2
        whole = example.stems["surdo"]
        assert np.array_equal(first, whole[: len(first)])
        assert np.array_equal(second, whole[-len(second) :])
        (tested,) = folds[0].test
        power = Stft(RATE).to_bands(np.abs(Stft(RATE).forward(second)) ** 2)
        assert np.allclose(tested.powers[tested.instruments.index("surdo")], power, rtol=1e-3)

    def test_songs_of_the_same_recordings_are_one_take(self, tmp_path):
        for number in range(2):
            write_song(tmp_path / f"song-{number}", seed=number)
            listed = {"surdo": {"sha256": ["a" * 64], "duration_s": 8.0}}
            (tmp_path / f"song-{number}" / "solos.json").write_text(json.dumps(listed))
        spans = spans_of(tmp_path)
        assert "blocks of time" in folds_of(spans, [[one] for one in read_examples(spans, sorted(DRUMS))])[1]

    def test_there_are_none_of_too_few_labels(self, tmp_path):
        write_song(tmp_path / "song", seconds=2.0)
        spans = spans_of(tmp_path)
        assert folds_of(spans, [[one] for one in read_examples(spans, sorted(DRUMS))])[0] == []

    def test_instruments_one_after_the_other_are_solos(self, base, tmp_path):
        (tmp_path / "strokes").mkdir()
        for number, (name, drum) in enumerate(DRUMS.items()):
            stem = np.zeros((1, 18 * RATE), np.float32)
            stem[0, 6 * number * RATE :][: 6 * RATE] = 0.2 * hits(*drum, seconds=6.0)
            audio.write(tmp_path / "strokes" / f"{name}.wav", stem, rate=RATE)
        model = adapt(spans_of(tmp_path), base=base, settings=FEW_STEPS)
        assert model.training["auto"]["held_out_scores"]["nmf-conv"] > 10


def test_scores_from_bands_are_near_those_of_samples():
    drums = {name: hits(*DRUMS[name], seed=5) for name in DRUMS}
    mixture, transform = Mixture(drums), Stft(RATE)
    rough = (mixture.powers + 1e-12) ** 0.15
    masks = rough / rough.sum(0)
    whole = sum(drums.values())
    stems = transform.inverse(transform.expand_bands(masks) * transform.forward(whole), len(whole))
    scores = stem_scores(
        {name: one[None] for name, one in drums.items()}, dict(zip(drums, stems[:, None], strict=True)), whole[None]
    )
    assert mixture.score(masks) == pytest.approx(np.mean([one["si_sdr_i"] for one in scores.values()]), abs=0.5)


def test_masks_of_a_network_are_those_that_it_separates_with(base):
    drums = {"surdo": hits(90, 0.5, seed=5), "tamborim": hits(900, 0.25, seed=6)}
    separator = mask_separator(
        base.net,
        name="",
        instruments={name: name for name in drums},
        mean_weight=MEAN_WEIGHT,
        blind_weight=BLIND_WEIGHT,
    )
    whole = sum(drums.values())[None]
    true = {name: stem[None] for name, stem in drums.items()}
    scores = stem_scores(true, separator.separate(whole, RATE), whole)
    mixture = Mixture(drums)
    assert mixture.score(mixture.masks(base.net)) == pytest.approx(
        np.mean([one["si_sdr_i"] for one in scores.values()]), abs=0.5
    )


class TestLevels:
    def test_are_those_of_the_mixture(self):
        """Equal masks are corrected to the mean share of each stem."""
        net = MaskNet(MaskSettings(("a", "b"), 4, 4, dilations=(1,)))
        for parameter in net.parameters():
            torch.nn.init.zeros_(parameter)
        noise = np.random.default_rng(0).normal(size=(2, RATE)).astype("f4")
        mixture = Mixture({"a": 3 * noise[0], "b": noise[1]})
        masks = mask_separator(levelled(net, [mixture]), name="").masks(mixture.power, mixture.level, RATE)
        assert masks[0].mean() == pytest.approx(0.9, abs=0.02)
        assert net.head.bias.abs().max() == 0

    def test_an_instrument_without_labels_stays(self, base):
        drums = {"surdo": hits(90, 0.5), "tamborim": hits(900, 0.25)}
        before, after = base.net.head.bias, levelled(base.net, [Mixture(drums)]).head.bias
        rows = [one.reshape(3, -1) for one in (before, after)]
        assert torch.equal(rows[0][2], rows[1][2])
        assert not torch.equal(rows[0][0], rows[1][0])


class TestDeciding:
    def test_the_base_stays_unless_something_is_better(self):
        assert decide({"base": 8.0, "nmf-conv": 8.2, "nmf-conv + base": 6.0}).name == "base"
        assert decide({"base": 8.0, "nmf-conv": 5.0, "nmf-conv + base": 7.5}).name == "nmf-conv + base"
        assert decide({"base": 8.0, "nmf-conv": 9.0, "nmf-conv + base": 9.5}).name == "nmf-conv + base"

    @pytest.mark.parametrize(
        ("ratio", "weight"), [(0.5, 0.15), (1.1, 0.15), (1.3675, 0.425), (1.7, 0.7), (5, 0.85), (9, 0.85)]
    )
    def test_the_network_counts_more_the_worse_dictionaries_explain_a_recording(self, ratio, weight):
        assert decide_recording(0.15, 0.1 * ratio, 0.1).weight == pytest.approx(weight, abs=1e-3)

    def test_a_network_that_is_best_on_the_labels_stays_alone(self):
        assert [decide_recording(1.0, 0.1 * one, 0.1).weight for one in (1, 2, 9)] == [1, 1, 1]

    def test_a_network_is_trained_if_that_is_clearly_better(self):
        assert decide({"base": 8.0, "nmf-conv": 9.0, "fine-tuned": 9.9}).name == "nmf-conv"
        assert decide({"base": 8.0, "nmf-conv": 9.0, "fine-tuned": 10.1}).name == "fine-tuned"

    @pytest.mark.parametrize(("ratio", "weight"), [(1, 0.15), (3, 0.5), (3 * 5 / 1.7, 0.85)])
    def test_labels_of_other_takes_tell_the_weight_for_other_drums(self, ratio, weight):
        decision = decide_recording(0.15, 0.1 * ratio, 0.1, weight_other=0.5, divergence_other=0.3)
        assert decision.weight == pytest.approx(weight, abs=1e-3)

    @pytest.mark.parametrize(
        ("weight_far", "at_1", "at_2", "at_9"),
        [(1.0, 0.15, 0.72, 0.85), (0.4, 0.15, 0.4, 0.4), (0.0, 0.15, 0.15, 0.15)],
    )
    def test_a_network_that_does_not_separate_the_labels_does_not_replace_dictionaries(
        self, weight_far, at_1, at_2, at_9
    ):
        weights = [decide_recording(0.15, 0.1 * one, 0.1, weight_far=weight_far).weight for one in (1, 2, 9)]
        assert weights == pytest.approx([at_1, at_2, at_9], abs=2e-2)

    def test_masks_are_multiplied(self):
        one, other = np.array([[0.8], [0.2]], "f4"), np.array([[0.5], [0.5]], "f4")
        assert product(one, other, 0.5)[0, 0] == pytest.approx(2 / 3, abs=1e-2)
        assert np.array_equal(product(one, other, 0), one)
        assert np.array_equal(product(one, other, 1), other)


class TestChoosing:
    def test_dictionaries_that_are_better_are_taken_and_nothing_is_trained(self, fusion):
        assert isinstance(fusion, Fusion)
        assert fusion.instruments == tuple(sorted(DRUMS))
        assert fusion.available == (*sorted(DRUMS), "other")
        scores = fusion.training["auto"]["held_out_scores"]
        assert scores["nmf-conv"] > scores["base"] + 10
        assert not any("fine-tuned" in name for name in scores)
        assert fusion.card.scores["chosen"].startswith("auto chose nmf")
        assert "too high" in fusion.card.scores["held-out labels are"]

    def test_it_is_saved_whole(self, fusion, tmp_path):
        fusion.save(tmp_path / "mine")
        again = read_model(tmp_path / "mine")
        assert (again.weight, again.divergence) == (fusion.weight, fusion.divergence)
        assert digest(again.network) == digest(fusion.network)
        assert all(
            np.array_equal(*pair) for pair in zip(again.dictionaries.bases, fusion.dictionaries.bases, strict=True)
        )
        separator, same = Separator.from_pretrained(tmp_path / "mine"), separator_of(fusion, name="mine")
        sound = hits(90, 0.5, seconds=2.0, seed=5)[None]
        for name, stem in separator.separate(sound, RATE).items():
            assert np.allclose(stem, same.separate(sound, RATE)[name], atol=1e-6)

    def test_the_drums_of_the_labels_are_separated_by_dictionaries_and_others_by_the_network(self, fusion, tmp_path):
        separator = separator_of(replace(fusion, weight_far=1.0), name="mine")  # as of a base that separates the labels
        same = {name: hits(*DRUMS[name], seed=99)[None] for name in DRUMS}
        other = {name: hits(DRUMS[name][0] * 1.7, DRUMS[name][1], seed=99, noise=1.0)[None] for name in DRUMS}
        for drums, is_same in ((same, True), (other, False)):
            mixture = sum(drums.values())
            stems = separator.separate(mixture, RATE)
            assert np.abs(sum(stems.values()) - mixture).max() < 1e-5
            assert (stems.decision.weight == fusion.weight) == is_same
            if is_same:
                scores = stem_scores(drums, stems, mixture)
                assert min(one["si_sdr_i"] for one in scores.values()) > 10
        audio.write(tmp_path / "song.wav", sum(other.values()) / 4, rate=RATE)
        separated = separator.separate_file(tmp_path / "song.wav", tmp_path / "stems")
        assert separated.decision.weight == pytest.approx(stems.decision.weight, abs=0.02)

    @pytest.mark.parametrize(("factor", "is_same"), [(1.0, True), (1.35, False)])
    def test_only_of_other_drums_something_is_learnt_from_the_recording(self, fusion, factor, is_same):
        drums = {name: hits(hz * factor, every_s, seed=99)[None] for name, (hz, every_s) in DRUMS.items()}
        mixture = sum(drums.values())
        fusion = replace(fusion, weight=0.0, weight_far=0.0)  # dictionaries alone
        plain = mask_separator(fusion.dictionaries, name="").separate(mixture, RATE)
        stems = separator_of(fusion, name="mine").separate(mixture, RATE)
        before, after = (
            np.mean([one["si_sdr_i"] for one in stem_scores(drums, given, mixture).values()])
            for given in (plain, stems)
        )
        assert (after == pytest.approx(before, abs=1e-3)) == is_same
        assert after >= before - 1e-3

    def test_a_part_of_its_instruments(self, fusion):
        separator = separator_of(fusion, name="mine", instruments={"low": "surdo", "high": "tamborim"})
        mixture = (hits(90, 0.5, seed=7) + hits(900, 0.25, seed=8))[None]
        assert separator.separate(mixture, RATE).decision.weight == fusion.weight
        assert separator.restricted(["low"]).instruments == ("low",)

    def test_an_instrument_of_the_base_that_labels_lack(self, fusion):
        """The network alone decides how much is of it; the rest is separated by both."""
        separator = separator_of(fusion, name="mine").restricted(["surdo", "tamborim", "other"])
        assert separator.instruments == ("surdo", "tamborim", "other")
        mixture = (hits(90, 0.5, seed=7) + hits(900, 0.25, seed=8))[None]
        stems = separator.separate(mixture, RATE)
        assert np.abs(sum(stems.values()) - mixture).max() < 1e-5
        network = mask_separator(
            fusion.network.net, name="", instruments={one: one for one in stems}, mean_weight=MEAN_WEIGHT,
            blind_weight=BLIND_WEIGHT,
        )  # fmt: skip
        assert np.allclose(stems["other"], network.separate(mixture, RATE)["other"], atol=1e-5)

    def test_pieces_give_the_stems_of_the_whole(self, fusion):
        separator = separator_of(fusion, name="mine")
        sound = sum(hits(*DRUMS[name], seconds=12.0, seed=9) for name in DRUMS)[None]
        whole = separator.separate(sound, RATE)
        level = float(Stft(RATE).to_bands(np.abs(Stft(RATE).forward(sound[0])) ** 2).mean())
        pieces = separator.stream([sound[:, :200_000], sound[:, 200_000:]], RATE, level=level)
        joined = [np.concatenate(parts, 1) for parts in zip(*(piece.values() for piece in pieces), strict=True)]
        for one, name in zip(joined, whole, strict=True):
            assert np.abs(one - whole[name]).max() < 1e-2

    def test_a_network_is_trained_where_dictionaries_are_not_clearly_better(self, one_song, base, monkeypatch):
        monkeypatch.setattr("levada.separation.auto.CLEAR_DB", 100.0)
        model = adapt(spans_of(one_song), base=base, settings=FEW_STEPS)
        assert {"fine-tuned", "nmf-conv + fine-tuned"} <= set(model.training["auto"]["held_out_scores"])

    def test_the_weight_for_the_same_drums_is_chosen_on_blocks_of_time(self, base, tmp_path):
        for number, factor in enumerate((0.7, 1.0, 1.3, 1.7)):
            write_song(tmp_path / f"song-{number}", seed=number, factor=factor)
        model = adapt(spans_of(tmp_path), base=base, settings=FEW_STEPS)
        assert model.training["held_out"] == "other takes"
        assert model.divergence < model.divergence_other
        assert model.weight <= model.weight_other
        replace(model, weight_far=0.4).save(tmp_path / "mine")
        again = read_model(tmp_path / "mine")
        assert again.weight_far == 0.4
        assert (again.weight_other, again.divergence_other) == (model.weight_other, model.divergence_other)

    def test_too_few_labels_stay_near_the_base(self, base, tmp_path):
        write_song(tmp_path / "song", seconds=2.0)
        model = adapt(spans_of(tmp_path), base=base, settings=FEW_STEPS)
        assert (model.weight, dict(model.training["auto"]["held_out_scores"])) == (0.5, {})

    def test_silence(self, base, tmp_path):
        (tmp_path / "song").mkdir()
        for name in ("surdo", "tamborim"):
            audio.write(tmp_path / "song" / f"{name}.wav", np.zeros((1, 8 * RATE), np.float32), rate=RATE)
        with pytest.raises(InputError, match="no stems to train on"):
            adapt(spans_of(tmp_path), base=base)


class TestAgain:
    @pytest.fixture
    def more(self, tmp_path):
        write_song(tmp_path / "more" / "song", ("surdo", "tamborim"), seed=50, factor=1.3)
        return spans_of(tmp_path / "more")

    def test_instruments_that_new_stems_lack_are_kept(self, fusion, more):
        again = adapt(more, base=fusion, settings=FEW_STEPS)
        assert again.instruments == fusion.instruments
        gongo = [one.dictionaries.bases[one.instruments.index("gongo")] for one in (fusion, again)]
        assert np.array_equal(gongo[0], gongo[1][: len(gongo[0])])
        assert not gongo[1][len(gongo[0]) :].any()

    def test_dictionaries_have_the_old_bases_and_new_ones(self, fusion, more):
        surdo = [one.dictionaries.bases[2] for one in (fusion, adapt(more, base=fusion, settings=FEW_STEPS))]
        assert len(surdo[1]) == 2 * len(surdo[0])
        assert np.array_equal(surdo[1][: len(surdo[0])], surdo[0])

    def test_the_card_adds_the_minutes(self, fusion, more):
        again = adapt(more, base=fusion, settings=FEW_STEPS)
        assert again.card.minutes == pytest.approx(fusion.card.minutes + 8 / 60, abs=0.01)
        assert set(fusion.card.trained_on) < set(again.card.trained_on)

    @pytest.mark.parametrize("strategy", ["nmf-conv", "finetune"])
    def test_other_strategies_keep_them_too(self, one_song, base, more, strategy):
        settings = FEW_STEPS if strategy == "finetune" else None
        first = adapt(spans_of(one_song), strategy=strategy, base=base, settings=settings)
        again = adapt(more, strategy=strategy, base=first, settings=settings)
        names = again.net.instruments if strategy == "finetune" else again.instruments
        assert names == tuple(sorted(DRUMS))
        assert again.card.minutes == pytest.approx(16 / 60, abs=0.01)

    def test_one_new_instrument_alone(self, one_song, base, tmp_path):
        first = adapt(spans_of(one_song), strategy="nmf-conv", base=base)
        (tmp_path / "song").mkdir()
        audio.write(tmp_path / "song" / "caixa.wav", 0.2 * hits(2000, 0.3)[None], rate=RATE)
        again = adapt(spans_of(tmp_path), strategy="nmf-conv", base=first)
        assert again.instruments == ("caixa", *sorted(DRUMS))

    def test_dictionaries_of_another_kind_cannot_be_joined(self, one_song, more):
        first = adapt(spans_of(one_song), strategy="nmf")
        with pytest.raises(InputError, match="plain dictionaries, which convolutive ones"):
            adapt(more, strategy="nmf-conv", base=first)


def test_divergence_is_what_its_formula_says():
    """One basis and one frame have a closed form: the activation is the sum of the frame."""
    basis = np.array([0.25, 0.75], np.float32)
    card = Card("d", "Drawn.", "CC0-1.0", "none", 0.0, {"any": "none"})
    model = nmf.Dictionaries(("a",), (basis[None, None],), card, nmf.NmfSettings(bases=1))
    frame = np.array([3.0, 1.0])
    expected = (frame * np.log(frame / (frame.sum() * basis))).sum() / frame.sum()
    assert nmf.divergence(model, frame[None]) == pytest.approx(expected, rel=1e-4)
    assert nmf.divergence(model, np.zeros((3, 2))) == 0
