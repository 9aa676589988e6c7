"""Challenges: their data, their score computed by hand, cards and rankings."""

import json
import math
from dataclasses import replace
from types import MappingProxyType

import mir_eval
import numpy as np
import pytest

from levada.challenges import CHALLENGES, Card, find_challenge, format_table, read_cards, score, start, write_card
from levada.challenges.data import render_test
from levada.challenges.relatives import exchange_voices, relative_of
from levada.data import load_corpus
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import read_beats
from levada.learning.statistics import mean_interval
from levada.synth.performance import perform
from levada.synth.traditions import read_tradition


def accents(tradition, part):
    """Place in the bar, in tatums, where an instrument has most strokes over twenty performances."""
    counts = np.zeros(tradition.cycle)
    for seed in range(20):
        one = perform(tradition, duration_s=20, rng=np.random.default_rng(seed))
        times, places = one.beats.times_s, one.beats.positions
        for stroke in one.strokes:
            at = int(np.searchsorted(times, stroke.time_s, side="right")) - 1
            if stroke.part.startswith(part) and stroke.velocity > 0.7 and 0 <= at < len(times) - 1:
                place = (stroke.time_s - times[at]) / (times[at + 1] - times[at]) * tradition.tatums
                counts[(int(places[at] - 1) * tradition.tatums + round(place)) % tradition.cycle] += 1
    return int(counts.argmax())


class TestRelatives:
    @pytest.mark.parametrize("seed", range(6))
    def test_the_bar_of_a_relative_begins_on_another_beat(self, seed):
        samba = read_tradition("samba")
        assert accents(samba, "surdo") == samba.tatums  # on two
        assert accents(relative_of(samba, seed=seed), "surdo") // samba.tatums == 0  # on one, or beside it

    def test_strokes_are_moved_and_none_is_lost(self):
        samba, relative = read_tradition("samba"), relative_of(read_tradition("samba"), seed=3)
        moved = 0
        for before, after in zip(samba.instruments, relative.instruments, strict=True):
            for old, new in zip(before.patterns, after.patterns, strict=True):
                assert sorted(old.grid) == sorted(new.grid)
                cycles = [old.grid[at : at + 8] for at in range(0, len(old.grid), 8)]
                moved += new.grid != "".join(one[4:] + one[:4] for one in cycles)
            assert sum(one.probability for one in after.patterns) == pytest.approx(1)
        assert 3 < moved < sum(len(part.patterns) for part in samba.instruments)

    def test_a_seed_gives_one_relative(self):
        candombe = read_tradition("candombe")
        assert relative_of(candombe, seed=5) == relative_of(candombe, seed=5)
        relatives = [relative_of(candombe, seed=seed) for seed in range(12)]
        assert len({one.tempo_bpm for one in relatives}) == 12
        assert len({accents(one, "piano") // 4 for one in relatives[:6]}) > 1

    @pytest.mark.parametrize("seed", range(6))
    def test_every_instrument_has_the_voice_of_another_one(self, seed):
        samba = CHALLENGES["surdo-from-solos"].music(seed)
        names = {part.name: part.voice for part in read_tradition("samba").instruments}
        assert all(names[part.name] != part.voice for part in samba.instruments)
        assert sorted(names[part.name] for part in samba.instruments) == sorted(one.voice for one in samba.instruments)
        always = {part.name for part in samba.instruments if part.presence == 1}
        assert always == {"surdo", next(part.name for part in samba.instruments if part.voice == "surdo")}
        assert exchange_voices(samba, seed=seed) == exchange_voices(samba, seed=seed) != samba


class TestStart:
    def test_data_of_candombe(self, tmp_path):
        folder = start("candombe-downbeats", tmp_path / "mine")
        train = load_corpus(folder / "train")
        assert len(train.annotated) == 6
        assert sum(track.duration_s for track in train.tracks) == pytest.approx(90)
        assert "challenge candombe-downbeats, instance 0" in train.name
        assert len([*(folder / "recordings").glob("*.wav")]) == 4
        assert not [*(folder / "recordings").glob("*.beats")]
        with pytest.raises(InputError, match="exists"):
            start("candombe-downbeats", folder)
        again = start("candombe-downbeats", tmp_path / "again")
        other = start("candombe-downbeats", tmp_path / "other", instance=1)
        sound = "train/03.wav"
        assert (again / sound).read_bytes() == (folder / sound).read_bytes() != (other / sound).read_bytes()

    def test_samba_has_a_description_and_no_label(self, tmp_path):
        folder = start("samba-without-labels", tmp_path / "mine")
        assert not [*folder.rglob("*.beats")]
        pattern = CHALLENGES["samba-without-labels"].music(0).instruments[0].patterns[0].grid
        assert " ".join(pattern) in (folder / "README.md").read_text(encoding="utf-8")

    def test_solos_of_the_surdo(self, tmp_path):
        solos = load_corpus(start("surdo-from-solos", tmp_path / "mine") / "solos", labels="stems")
        assert solos.is_solos
        assert "surdo" in solos.instruments
        assert all(len(song.stems) == 1 for song in solos.tracks)

    @pytest.mark.parametrize(
        ("name", "options", "message"),
        [
            ("cumbia", {}, "there is no challenge 'cumbia'"),
            ("own-tradition", {}, "name their folder"),
            ("candombe-downbeats", {"instance": -1}, "not negative"),
        ],
    )
    def test_wrong_wishes(self, tmp_path, name, options, message):
        with pytest.raises(InputError, match=message):
            start(name, tmp_path / "mine", **options)
        assert not [*tmp_path.iterdir()]

    def test_recordings_of_two_groups_are_too_few(self, tmp_path):
        (tmp_path / "two").mkdir()
        for number in range(2):
            audio.write(tmp_path / "two" / f"{number}.wav", np.full((1, 80_000), 0.1 * number), rate=8000)
            (tmp_path / "two" / f"{number}.beats").write_text("1 1\n2 2\n3 1\n4 2\n")
        with pytest.raises(InputError, match="has 2 groups"):
            start("own-tradition", tmp_path / "mine", data=str(tmp_path / "two"))


class Every:
    """Gives a downbeat every two seconds."""

    trained_spans = MappingProxyType({})

    def track(self, samples, rate):
        times = np.arange(0.5, np.shape(samples)[-1] / rate, 1.0)
        return Beats(times, np.arange(len(times)) % 2 + 1)


@pytest.mark.slow
class TestScore:
    def test_the_score_is_that_of_the_kept_recordings_and_levada_s_models_do_not_solve_it(self, tmp_path):
        (card,) = score({"every": Every()}, "candombe-downbeats", seed=1234, keep=tmp_path / "kept", team="Cuareim")
        by_hand = {}
        for path in sorted((tmp_path / "kept").glob("*.wav")):
            reference = read_beats(path.with_suffix(".beats"))
            estimate = Every().track(np.zeros((1, 30 * 44100)), 44100)
            first, second, *_, last_but_one, last = reference.times_s
            estimate = estimate.between(first - (second - first) / 2, last + (last - last_but_one) / 2)
            downs = [mir_eval.beat.trim_beats(one.times_s[one.positions == 1]) for one in (reference, estimate)]
            by_hand[path.stem] = mir_eval.beat.f_measure(*downs)
        assert card.recordings == pytest.approx(by_hand, abs=1e-9)
        assert card.score.mean == pytest.approx(np.mean([*by_hand.values()]))
        assert (card.seed, card.data, card.name, math.isnan(card.minutes)) == (1234, "rendered", "Cuareim", True)
        assert set(card.baselines) == {"base", "latin"}
        assert max(one.mean for one in card.baselines.values()) < 0.5
        best = max(card.baselines.values(), key=lambda one: one.mean).mean
        assert card.difference.mean == pytest.approx(card.score.mean - best)

    def test_seeds_draw_other_recordings_of_the_same_music(self, tmp_path):
        challenge = find_challenge("candombe-downbeats")
        few = replace(challenge, test=(1, 10.0))
        for name, seed in (("a", 1000), ("b", 1001), ("c", 1000)):
            render_test(few, tmp_path / name, instance=0, seed=seed)
        first, second, third = (next((tmp_path / name).glob("*.wav")).read_bytes() for name in "abc")
        assert first == third != second
        with pytest.raises(InputError, match="1000 or more"):
            render_test(few, tmp_path / "d", instance=0, seed=7)


def card_of(name, values, *, seed=1000, challenge="candombe-downbeats", base=0.25):
    flat = mean_interval([base, base, base])
    return Card(
        challenge=challenge, instance=0, seed=seed, data="rendered", model=name, identity="ab", minutes=1.5,
        score=mean_interval(values), difference=mean_interval(np.array(values) - base),
        baselines={"base": flat}, recordings={str(index): value for index, value in enumerate(values)},
        notes=("a, b",), date="2026-11-29T00:00:00Z",
    )  # fmt: skip


class TestCards:
    def test_round_trip(self, tmp_path):
        card = card_of("mine", [0.5, math.nan, 0.75])
        whole, page = write_card(card, tmp_path / "cards" / "mine.json")
        (again,) = read_cards([whole.parent])
        assert str(again) == str(card)
        assert "**0.62" in page.read_text(encoding="utf-8")
        assert json.loads(whole.read_text())["recordings"]["1"] is None
        with pytest.raises(InputError, match="exists"):
            write_card(card, whole)

    def test_a_ranking_for_each_set_of_recordings(self):
        low, high = card_of("low", [0.1, 0.2, 0.3]), card_of("high", [0.7, 0.8, 0.9])
        other, silent = card_of("other", [0.9] * 3, seed=2000), card_of("silent", [math.nan] * 3)
        first, second = format_table([low, other, silent, high]).split("\n\n## ")

        def names(table):
            cells = [[cell.strip() for cell in line.split("|")] for line in table.splitlines() if "|" in line]
            return [row[2] for row in cells if row[1].isdigit()]

        assert names(first) == ["high", "*base*", "low", "silent"]
        assert names(second) == ["other", "*base*"]

    @pytest.mark.parametrize("text", ["", "{}", "[1]", '{"format": "levada challenge card 1"}'])
    def test_damaged_cards(self, tmp_path, text):
        (tmp_path / "one.json").write_text(text)
        with pytest.raises(InputError, match="is no card") as error:
            read_cards([tmp_path])
        assert error.value.path == tmp_path / "one.json"

    def test_a_folder_without_cards(self, tmp_path):
        with pytest.raises(InputError, match="there are no cards"):
            read_cards([tmp_path])
