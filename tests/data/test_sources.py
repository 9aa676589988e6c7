"""Provenance: what a card says a model was trained on, and under which licences, after any number of adaptations."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from levada.beat_tracking.adaptation import decoder
from levada.beat_tracking.evaluation import evaluate
from levada.beat_tracking.networks import load
from levada.beat_tracking.patterns import train
from levada.beat_tracking.pretrained import tracker_of
from levada.data import Span, annotated_spans, load_corpus, single
from levada.data.sources import Source, combined_licence
from levada.errors import InputError
from levada.io import audio
from levada.learning.card import CONFIG, README, Card, adapted_card, joined_stretches, lineage, read_card
from levada.learning.weights import Weights, save
from levada.separation.adaptation import StemSettings
from levada.separation.adaptation import adapt as adapt_stems
from levada.separation.evaluation import evaluate_stems
from levada.separation.networks.mask_net import tiny
from levada.separation.pretrained import separator_of
from levada.synth.traditions import read_tradition

NC = Source("Street drums", "CC BY-NC-SA 4.0", "@inproceedings{street, title={Street drums}}")


def a_card(**changed):
    return replace(Card("base", "Drawn.", "CC-BY-4.0", "none", 100.0, {"any": "none"}), **changed)


@pytest.fixture
def base(tiny_model):
    return load(tiny_model)


@pytest.fixture
def corpus(rendered, tmp_path):
    """The recordings in a folder that states a licence and a citation."""
    for path in rendered.iterdir():
        (tmp_path / "drums").mkdir(exist_ok=True)
        (tmp_path / "drums" / path.name).symlink_to(path)
    facts = {"name": NC.name, "licence": NC.licence, "citation": NC.citation}
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in facts.items())
    (tmp_path / "drums" / "corpus.toml").write_text("".join(lines))
    return load_corpus(tmp_path / "drums", labels="beats")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Two songs of two drums in a folder with a licence."""
    folder = tmp_path_factory.mktemp("stems")
    for number in range(2):
        (folder / f"song-{number}").mkdir()
        for name, hz in (("surdo", 90), ("tamborim", 900)):
            noise = np.random.default_rng([number, hz]).standard_normal(3 * 44100)
            wave = 0.2 * noise * np.sin(2 * np.pi * hz * np.arange(3 * 44100) / 44100)
            audio.write(folder / f"song-{number}" / f"{name}.wav", wave[None].astype(np.float32), rate=44100)
    (folder / "corpus.toml").write_text('name = "Two songs"\nlicence = "CC BY-NC 4.0"\ncitation = "Me, 2020"\n')
    return load_corpus(folder, labels="stems").tracks


class TestJoinedStretches:
    def test_by_hand(self):
        one = {"a": [(4.0, 6.0), (0.0, 2.0)], "b": [(1.0, 2.0)]}
        other = {"a": [[1.0, 3.0], [6.0, 7.0]], "c": [(5.0, 6.0)]}
        assert joined_stretches(one, other) == {
            "a": [(0.0, 3.0), (4.0, 7.0)], "b": [(1.0, 2.0)], "c": [(5.0, 6.0)]
        }  # fmt: skip

    def test_the_same_instants_are_covered(self):
        """Compared with a plain mask of a thousand instants."""
        rng = np.random.default_rng(0)
        starts = rng.uniform(0, 100, (6, 5))
        tables = [
            {"a": [(s, s + length) for s, length in zip(row, rng.uniform(0, 9, 5), strict=True)]} for row in starts
        ]
        joined = joined_stretches(*tables)["a"]
        instants = np.linspace(0, 110, 1001)
        expected = np.any([(a <= instants) & (instants <= b) for table in tables for a, b in table["a"]], axis=0)
        np.testing.assert_array_equal(np.any([(a <= instants) & (instants <= b) for a, b in joined], axis=0), expected)
        assert all(first[1] < second[0] for first, second in pairwise(joined))


class TestTrainedOn:
    def test_adapting_again_on_the_same_recording(self, base, corpus):
        """Evaluation knows the stretches of both adaptations."""
        track = corpus.tracks[0]
        once = decoder([Span(track, 1.0, 4.0)], base=base)
        twice = decoder([Span(track, 7.0, 10.0)], base=once)
        assert twice.card.trained_on == {track.content_hash: [(1.0, 4.0), (7.0, 10.0)]}
        tracker = tracker_of(twice, name="twice")
        stretches = [Span(track, 1.5, 3.5), Span(track, 4.2, 6.8), Span(track, 7.5, 9.5)]
        rows = [evaluate([stretch], {"twice": tracker}, trim_s=0.0).rows[0] for stretch in stretches]
        assert [row.trained_on for row in rows] == [True, False, True]

    def test_from_weights_that_were_saved(self, base, corpus, tmp_path):
        track = corpus.tracks[0]
        save(tmp_path / "once", decoder([Span(track, 1.0, 4.0)], base=base))
        save(tmp_path / "twice", decoder([Span(track, 3.0, 6.0)], base=load(tmp_path / "once")))
        assert load(tmp_path / "twice").card.trained_on == {track.content_hash: [[1.0, 6.0]]}

    def test_adapting_a_separator_again(self, songs):
        torch.manual_seed(0)
        start = Weights(tiny(("surdo", "tamborim")), a_card())
        quick = StemSettings(steps=1, batch=1, excerpt_s=0.3, bases=0)
        made = start
        for begin, end in [(0.0, 1.0), (2.0, 3.0)]:
            span = Span(songs[0], begin, end)
            made = adapt_stems([span], base=made, settings=quick)
        assert made.card.trained_on == {digest: [(0.0, 1.0), (2.0, 3.0)] for digest in songs[0].stem_hashes}
        result = evaluate_stems(songs, {"mine": separator_of(made, name="mine")})
        assert {row.song for row in result.of("mine") if row.trained_on} == {"song-0"}

    def test_each_second_counts_once(self, corpus, songs):
        track = corpus.tracks[0]
        once = adapted_card([Span(track, 0.0, 6.0)], origin="", base=a_card())
        assert once.minutes == pytest.approx(0.1)  # of labels: what the base was trained on is in its own card
        twice = adapted_card([Span(track, 3.0, 9.0), Span(corpus.tracks[1], 0.0, 3.0)], origin="", base=once)
        assert twice.minutes == pytest.approx(0.2)
        stems = adapted_card([Span(songs[0], 0.0, 3.0), Span(songs[1], 0.0, 3.0)], origin="", stems=True)
        assert stems.minutes == pytest.approx(0.1)


class TestLicences:
    def test_every_recording_knows_those_of_its_corpus(self, corpus, rendered, songs):
        assert {track.corpus for track in corpus.tracks} == {NC}
        assert load_corpus(rendered, labels="beats").tracks[0].corpus == Source(rendered.name)
        assert {song.corpus for song in songs} == {Source("Two songs", "CC BY-NC 4.0", "Me, 2020")}
        one = single(corpus.root / "a.wav", corpus.root / "a.beats").tracks[0]
        assert one.corpus == NC

    def test_those_of_base_and_recordings_travel(self, base, corpus, rendered, tmp_path):
        once = decoder(annotated_spans(corpus.tracks[0]), base=base)
        twice = decoder(annotated_spans(load_corpus(rendered, labels="beats").tracks[1]), base=once)
        save(tmp_path / "twice", twice)
        card = read_card(tmp_path / "twice")
        assert card.sources == (Source("tiny", "CC0-1.0", "Drawn from a seed."), NC, Source(rendered.name))
        assert card.licence == f"CC0-1.0 (tiny); CC BY-NC-SA 4.0 (Street drums); not stated ({rendered.name})"
        page = (tmp_path / "twice" / README).read_text()
        assert page.startswith("---\nlicense: other\n")
        assert NC.licence in page
        assert NC.citation in page

    def test_a_description_that_was_trained_on_too(self, base, corpus):
        candombe = read_tradition("candombe")
        sources = decoder(annotated_spans(corpus.tracks[0]), base=base, prior=candombe).card.sources
        assert sources[1] == Source("the description of candombe", "CC0-1.0", "; ".join(candombe.sources))
        assert sources[2:] == (NC,)

    def test_without_a_base(self, corpus, songs):
        patterns = train(annotated_spans(corpus.tracks[0]))
        assert (patterns.card.licence, patterns.card.sources) == (NC.licence, (NC,))
        learnt = adapt_stems([*annotated_spans(songs[0])], strategy="nmf")
        assert (learnt.card.licence, learnt.card.sources[0].citation) == ("CC BY-NC 4.0", "Me, 2020")

    def test_combined(self):
        assert combined_licence([Source("a", "MIT"), Source("b", "MIT")]) == "MIT"
        assert combined_licence([Source("a", "MIT"), Source("b"), Source("c", "CC\n BY"), Source("d", "MIT")]) == (
            "MIT (a, d); not stated (b); CC BY (c)"
        )

    def test_cards_of_earlier_versions(self, tiny_model, tmp_path):
        """They lack the entry; one of an adapted model holds the licence of its base alone."""
        config = json.loads((tiny_model / CONFIG).read_text())
        del config["card"]["sources"]
        config["card"]["trained_on"] = {"ab" * 32: [[0.0, 8.0]]}
        (tmp_path / CONFIG).write_text(json.dumps(config))
        card = read_card(tmp_path)
        assert card.sources == ()
        assert [source.licence for source in lineage(card)] == ["CC0-1.0", ""]
        assert "not stated" in combined_licence(lineage(card))

    @pytest.mark.parametrize("damage", [["me"], [{"title": "x"}], 3])
    def test_damaged(self, damage, tiny_model, tmp_path):
        config = json.loads((tiny_model / CONFIG).read_text())
        config["card"]["sources"] = damage
        (tmp_path / CONFIG).write_text(json.dumps(config))
        with pytest.raises(InputError, match="damaged"):
            read_card(tmp_path)

    @pytest.mark.parametrize(
        ("licence", "identifier"),
        [("CC BY-NC-SA 4.0", "cc-by-nc-sa-4.0"), ("Apache-2.0", "apache-2.0"), ("MIT (code)", "other")],
    )
    def test_what_hubs_read(self, licence, identifier):
        assert a_card(licence=licence).markdown({}).startswith(f"---\nlicense: {identifier}\n")
