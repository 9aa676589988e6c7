"""A band along beats: bars, sections, harmony, hands, and where the one is heard."""

from itertools import pairwise

import numpy as np
import pytest

from levada.errors import InputError
from levada.io.beats import Beats
from levada.synth.arrangement import (
    Bar,
    Note,
    Part,
    Swing,
    arrange_band,
    arrange_drums,
    sample_beats,
    sample_form,
    sample_harmony,
    tempo_drift,
    to_performance,
)
from levada.synth.composition import kit_styles

EXACT = {"solo": Part("keys", jitter_s=0.0)}


def rng(seed=0):
    return np.random.default_rng(seed)


def steady(count=64, metre=4, first=1, ibi_s=0.5):
    return Beats(0.1 + ibi_s * np.arange(count), (np.arange(count) + first - 1) % metre + 1)


def part_times(played, part):
    return np.array([stroke.time_s for stroke in played.strokes if stroke.part == part])


class TestForm:
    def test_bars_begin_on_ones(self):
        bars = sample_form([1, 2, 3, 1, 2, 3, 1, 2, 3], metre=3, rng=rng())
        assert [(bar.start, bar.beats) for bar in bars] == [(0, 3), (3, 3), (6, 3)]

    def test_a_piece_begins_and_ends_inside_a_bar(self):
        bars = sample_form([3, 4, 1, 2, 3, 4, 1], metre=4, rng=rng())
        assert [(bar.start, bar.beats) for bar in bars] == [(-2, 4), (2, 4), (6, 4)]

    def test_metres_may_change(self):
        bars = sample_form([1, 2, 3, 4, 1, 2, 1, 2, 3, 1, 2, 3], metre=3, rng=rng())
        assert [bar.beats for bar in bars] == [4, 2, 3, 3]

    def test_sections_are_counted_through(self):
        bars = sample_form(steady(400).positions, metre=4, rng=rng(3))
        for before, after in pairwise(bars):
            if before.left:
                assert after == Bar(
                    before.start + 4, 4, before.number + 1, before.left - 1, before.section, before.letter
                )
            else:
                assert (after.number, after.section) == (0, before.section + 1)
        assert {bar.letter for bar in bars} == set("ABC")

    @pytest.mark.parametrize("positions", [[], [1, 2, 0, 1], [0, 0]])
    def test_unknown_places(self, positions):
        with pytest.raises(InputError, match="known"):
            sample_form(positions, metre=4, rng=rng())


class TestHarmony:
    def test_chords_change_on_ones(self):
        on_one, changes = 0, 0
        for seed in range(40):
            bars = sample_form(steady(80).positions, metre=4, rng=rng(seed))
            starts = {bar.start for bar in bars}
            chords = sample_harmony(bars, compound=False, rng=rng(seed))
            on_one += sum(chord.beat in starts for chord in chords)
            changes += len(chords)
        assert changes > 300
        assert on_one / changes > 0.8

    def test_moving_harmony_changes_every_bar_or_two_on_ones(self):
        for seed in range(20):
            bars = sample_form(steady(80).positions, metre=4, rng=rng(seed))
            chords = sample_harmony(bars, compound=False, rng=rng(seed), moving=True)
            middles = [chord.beat for chord in chords if chord.beat % 4]
            assert len(chords) >= 7
            assert all(beat % 4 == 2 for beat in middles)
            assert len(middles) <= len(chords) / 3

    def test_a_phrase_may_end_with_two_chords_in_its_last_bar(self):
        bars = [Bar(4 * at, 4, at % 8, 7 - at % 8, at // 8, "AA"[at // 8]) for at in range(16)]
        ends = {
            sum(chord.beat in (28, 30) for chord in sample_harmony(bars, compound=False, rng=rng(seed), moving=True))
            for seed in range(40)
        }
        assert ends == {0, 1, 2}

    def test_they_follow_each_other(self):
        bars = sample_form(steady(80).positions, metre=4, rng=rng(1))
        chords = sample_harmony(bars, compound=False, rng=rng(1))
        for before, after in pairwise(chords):
            assert before.beat + before.length == pytest.approx(after.beat)
        assert chords[-1].beat + chords[-1].length == bars[-1].start + 4
        assert all(len(set(chord.pitches)) in (3, 4) and max(chord.pitches) < 12 for chord in chords)

    def test_the_same_letter_is_the_same_music(self):
        bars = [Bar(4 * at, 4, at % 4, 3 - at % 4, at // 4, "ABA"[at // 4]) for at in range(12)]
        chords = sample_harmony(bars, compound=False, rng=rng(5))
        first = [chord for chord in chords if chord.beat < 15.4]
        again = [chord for chord in chords if chord.beat >= 31.4]
        assert [chord.pitches for chord in again] == [chord.pitches for chord in first]
        assert [chord.beat - 32 for chord in again] == pytest.approx([chord.beat for chord in first], abs=0.5)


class TestPlay:
    def test_notes_fall_on_the_grid(self):
        beats = Beats([0.2, 0.7, 1.3, 1.8], [1, 2, 3, 4])
        notes = [Note(0, 1, "solo", 0.5, 69), Note(1.5, 0.5, "solo", 0.5, 57), Note(2.25, 1, "solo", 0.5, 81)]
        played = to_performance(notes, EXACT, beats, rng=rng())
        assert [stroke.time_s for stroke in played.strokes] == pytest.approx([0.2, 1.0, 1.425])
        assert [stroke.pitch_hz for stroke in played.strokes] == pytest.approx([440, 220, 880])
        assert [stroke.duration_s for stroke in played.strokes] == pytest.approx([0.5, 0.3, 0.5])
        assert played.beats is beats
        assert played.duration_s == pytest.approx(2.3)
        assert played.voices == {"solo": "keys"}

    def test_beyond_the_first_and_the_last_beat(self):
        beats = Beats([0.4, 0.9], [1, 2])
        notes = [Note(at, 1, "solo", 0.5, 60) for at in (-2, -0.5, 1.5, 3)]
        assert part_times(to_performance(notes, EXACT, beats, rng=rng(), duration_s=1.5), "solo") == pytest.approx(
            [0.15, 1.15]
        )

    def test_swing(self):
        beats = steady(4)
        notes = [Note(at, 0, "solo", 0.5) for at in (0, 0.25, 0.5, 0.75, 1)]

        def places(swing, *, compound=False):
            played = to_performance(notes, EXACT, beats, rng=rng(), swing=swing, compound=compound)
            return (part_times(played, "solo") - 0.1) / 0.5

        assert places(Swing()) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
        assert places(Swing(eighth=2 / 3)) == pytest.approx([0, 1 / 3, 2 / 3, 5 / 6, 1])
        assert places(Swing(sixteenth=0.6)) == pytest.approx([0, 0.3, 0.5, 0.8, 1])

    def test_a_third_leans(self):
        notes = [Note(at, 0, "solo", 0.5) for at in (0, 1 / 3, 2 / 3, 1)]
        played = to_performance(notes, EXACT, steady(4), rng=rng(), swing=Swing(third=0.06), compound=True)
        assert (part_times(played, "solo") - 0.1) / 0.5 == pytest.approx([0, 1.06 / 3, 2 / 3 + 0.06, 1])

    def test_a_part_is_late_and_trembles(self):
        notes = [Note(at, 0, "solo", 0.5) for at in range(60)]
        played = to_performance(notes, {"solo": Part("keys", late_s=0.02, jitter_s=0.01)}, steady(64), rng=rng())
        late = part_times(played, "solo") - steady(64).times_s[:60]
        assert late.mean() == pytest.approx(0.02, abs=0.004)
        assert late.std() == pytest.approx(0.01, abs=0.003)

    def test_music_that_has_ended(self):
        notes = [Note(at, 1, "solo", 0.5, 60) for at in (2, 3, 3.5, 4)]
        ended = to_performance(notes, EXACT, steady(4), rng=rng(), duration_s=4.0)
        assert part_times(ended, "solo") == pytest.approx([1.1, 1.6])
        goes_on = to_performance(notes, EXACT, steady(4), rng=rng(), duration_s=2.1)
        assert part_times(goes_on, "solo") == pytest.approx([1.1, 1.6, 1.85])

    def test_nothing(self):
        assert to_performance([], EXACT, steady(8), rng=rng()).strokes == ()

    def test_one_beat_is_no_grid(self):
        with pytest.raises(InputError, match="two beats"):
            to_performance([], EXACT, Beats([0.1], [1]), rng=rng())


class TestBand:
    def test_beats_stay_exact(self):
        beats = steady(64, metre=3, first=2)
        for seed in range(8):
            played = arrange_band(beats, metre=3, compound=bool(seed % 2), rng=rng(seed))
            assert played.beats == beats
            assert all(0 <= stroke.time_s < played.duration_s for stroke in played.strokes)
            assert {stroke.part for stroke in played.strokes} <= set(played.voices) == set(played.levels_db)

    def test_the_same_seed_is_the_same_band(self):
        one, same, other = (arrange_band(steady(), metre=4, compound=False, rng=rng(seed)) for seed in (1, 1, 2))
        assert one == same != other

    @pytest.mark.parametrize(("metre", "compound"), [(4, False), (3, False), (2, True), (4, True), (7, False)])
    def test_the_bass_says_where_the_one_is(self, metre, compound):
        beats, counts = steady(84, metre=metre), np.zeros(metre)
        for seed in range(40):
            played = arrange_band(beats, metre=metre, compound=compound, rng=rng(seed), only=("bass",))
            near = np.abs(part_times(played, "bass")[:, None] - beats.times_s).min(0) < 0.09
            for position in range(metre):
                counts[position] += near[position::metre].mean() / 40
        assert 0.7 < counts[0] < 1
        assert counts[0] > max(counts[1:]) + 0.08

    def test_the_bass_plays_the_chords(self):
        chords = [(4.0 * bar, 4.0, ((bar * 5) % 12, (bar * 5 + 4) % 12, (bar * 5 + 7) % 12)) for bar in range(16)]
        roots, heard = 0, 0
        for seed in range(12):
            played = arrange_band(steady(), metre=4, compound=False, rng=rng(seed), chords=chords, only=("bass",))
            for stroke in played.strokes:
                beat = (stroke.time_s - 0.1) / 0.5
                if abs(beat - round(beat)) < 0.1 and round(beat) % 4 == 0:
                    pitch = round(69 + 12 * np.log2(stroke.pitch_hz / 440)) % 12
                    roots += pitch == chords[min(15, round(beat) // 4)][2][0]
                    heard += 1
        assert heard > 100
        assert roots / heard > 0.9

    def test_a_rhythm_of_the_style(self):
        grid = "x......x..x....."
        hits = 0
        for seed in range(20):
            played = arrange_band(
                steady(), metre=4, compound=False, rng=rng(seed), grids={"bass": [grid]}, only=("bass",)
            )
            places = set(np.round((part_times(played, "bass") - 0.1) / 0.125).astype(int) % 16)
            hits += places <= {0, 7, 10} | {at + 1 for at in (0, 7, 10)}
        assert hits >= 8

    def test_a_bass_may_play_with_the_bass_drum(self):
        beats = steady()
        kick_s = np.concatenate([beats.times_s[::4], beats.times_s[2::4] + 0.25])
        together = 0
        for seed in range(30):
            played = arrange_band(beats, metre=4, compound=False, rng=rng(seed), kick_s=kick_s.tolist(), only=("bass",))
            away = np.abs(part_times(played, "bass")[:, None] - kick_s).min(1)
            together += away.max() < 0.09
        assert 4 <= together <= 15

    def test_phrases_return(self):
        bars = [Bar(4 * at, 4, at % 8, 7 - at % 8, at // 8, "AA"[at // 8]) for at in range(16)]
        played = arrange_band(steady(), metre=4, compound=False, rng=rng(3), bars=bars, only=("riff",), busy=1.0)
        places = np.round((part_times(played, "riff") - 0.1) / 0.125).astype(int)
        first, again = set(places[places < 128]), {place - 128 for place in places[places >= 128]}
        assert len(first & again) > 0.8 * len(first | again)

    def test_both_halves_of_an_even_bar_are_the_same(self):
        for seed in range(10):
            beats = steady(96)
            played = arrange_band(beats, metre=4, compound=False, rng=rng(seed), even=True, only=("bass", "chords"))
            level = np.zeros(32)
            for stroke in played.strokes:
                level[round((stroke.time_s - 0.1) / 0.0625) % 32] += stroke.velocity
            one, three = level[:2].sum() + level[30:].sum(), level[14:18].sum()
            assert {name.split("-")[0] for name in played.voices} == {"bass", "chords"}
            assert one == pytest.approx(three, rel=0.25)

    def test_who_plays(self):
        played = arrange_band(steady(), metre=4, compound=False, rng=rng(), only=("pad",))
        assert set(played.voices) == {"pad"}

    def test_an_unknown_player(self):
        with pytest.raises(InputError, match="no theremin; it has bass"):
            arrange_band(steady(), metre=4, compound=False, rng=rng(), only=("theremin",))

    def test_beats_without_places(self):
        with pytest.raises(InputError, match="known"):
            arrange_band(Beats([0.1, 0.6, 1.1]), metre=4, compound=False, rng=rng())


class TestDrumming:
    rock = next(kit for kit in kit_styles() if kit.name == "rock")

    def drum(self, seed, *, bars=None, count=64):
        beats = steady(count)
        bars = bars or sample_form(beats.positions, metre=4, rng=rng(seed))
        return arrange_drums(
            self.rock, bars, beats, rng=rng(seed), swing=Swing(), duration_s=float(beats.times_s[-1]) + 0.4
        )

    def test_kick_and_snare_are_where_rock_has_them(self):
        kicks, snares = np.zeros(4), np.zeros(4)
        for seed in range(20):
            played = self.drum(seed)
            for counts, part in ((kicks, "kick"), (snares, "snare")):
                times = part_times(played, part)
                near = np.abs(times[:, None] - played.beats.times_s) < 0.05
                counts += near.any(0).reshape(-1, 4).mean(0) / 20 if len(times) else 0
        assert kicks[0] > 0.7
        assert kicks[0] > kicks[1] + 0.3
        assert min(snares[1], snares[3]) > snares[0] + 0.3

    def test_even_halves(self):
        beats = steady(64)
        bars = sample_form(beats.positions, metre=4, rng=rng(1))
        for seed in range(10):
            played = arrange_drums(
                self.rock,
                bars,
                beats,
                rng=rng(seed),
                swing=Swing(),
                duration_s=float(beats.times_s[-1]) + 0.4,
                even=True,
            )
            near = np.abs(part_times(played, "kick")[:, None] - beats.times_s) < 0.05
            on_one, on_three = near.any(0)[0::4].sum(), near.any(0)[2::4].sum()
            assert abs(int(on_one) - int(on_three)) <= 5

    def test_cymbals_begin_sections(self):
        crashes, ones = 0, 0
        bars = [Bar(4 * at, 4, at % 4, 3 - at % 4, at // 4, "ABAC"[at // 4]) for at in range(16)]
        for seed in range(30):
            times = part_times(self.drum(seed, bars=bars), "crash")
            beat = np.round((times - 0.1) / 0.5).astype(int)
            crashes += len(beat)
            ones += int((beat % 4 == 0).sum())
        assert crashes > 20
        assert ones / crashes > 0.6

    def test_the_same_seed(self):
        assert self.drum(4) == self.drum(4)

    def test_bars_of_another_length_cut_the_pattern_short(self):
        beats = Beats(0.1 + 0.5 * np.arange(24), [1, 2, 3] * 8)
        bars = sample_form(beats.positions, metre=3, rng=rng())
        assert arrange_drums(self.rock, bars, beats, rng=rng(), swing=Swing(), duration_s=12.0).strokes


class TestTimeline:
    def test_places_follow_each_other(self):
        changed = 0
        for seed in range(200):
            beats, duration_s = sample_beats(110, 4, 30, rng(seed))
            assert beats.times_s[-1] < duration_s <= 30
            ones = np.flatnonzero(beats.positions == 1)
            steps = np.diff(beats.positions)
            assert ((steps == 1) | (beats.positions[1:] == 1)).all()
            changed += set(np.diff(ones).tolist()) != {4}
        assert 1 <= changed <= 20

    def test_any_beat_may_come_first(self):
        firsts = {int(sample_beats(120, 4, 10, rng(seed))[0].positions[0]) for seed in range(30)}
        assert firsts == {1, 2, 3, 4}
        assert sample_beats(120, 4, 10, rng(), first=2)[0].positions[0] == 3

    @pytest.mark.parametrize(("tempo", "heard"), [(110, 110), (5, 50), (900, 215)])
    def test_tempo(self, tempo, heard):
        assert sample_beats(tempo, 4, 40, rng(1))[0].tempo_bpm == pytest.approx(heard, rel=0.1)

    def test_a_very_short_piece_has_two_beats(self):
        for seed in range(20):
            beats, duration_s = sample_beats(60, 4, 1, rng(seed))
            assert len(beats) >= 2
            assert duration_s > beats.times_s[-1]

    def test_rubato_is_looser_than_a_band(self):
        def spread(*, loose):
            return np.median([np.diff(np.log(tempo_drift(60, rng(seed), loose=loose))).std() for seed in range(30)])

        assert spread(loose=False) < 0.012
        assert 0.015 < spread(loose=True) < 0.06
