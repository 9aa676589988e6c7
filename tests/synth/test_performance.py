"""What hands do: they keep to the beats that are claimed, and to what is written."""

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats import read_beats
from levada.synth.instruments import PITCHED
from levada.synth.performance import Performance, perform
from levada.synth.traditions import FOLDER, Form, Instrument, Pattern, Tradition, read_tradition

CANDOMBE = replace(read_tradition("candombe"), form=Form(), ensemble=None)
KITS = sorted((FOLDER / "kits").glob("*.toml"))
ALL = sorted(FOLDER.rglob("*.toml"))
SKIPPED = 0.015  # of the strokes written, on average


def rng(seed=0):
    return np.random.default_rng(seed)


def simple(*, voice="conga", grid="x...", **changes):
    """One instrument that plays what is written, on time."""
    part = Instrument(voice, voice, (Pattern(grid),))
    return replace(Tradition("simple", 1, 4, (120.0, 0.0), (part,), drift=0.0, spread=0.0), **changes)


def phases(performance):
    """Where in its beat each stroke falls, and who played it; strokes beside the first and last beats are left out."""
    beats = performance.beats.times_s
    strokes = [stroke for stroke in performance.strokes if beats[0] <= stroke.time_s < beats[-1]]
    times = np.array([stroke.time_s for stroke in strokes])
    index = np.searchsorted(beats, times, side="right") - 1
    return (times - beats[index]) / np.diff(beats)[index], np.array([stroke.part for stroke in strokes])


class TestPerform:
    def test_strokes_are_where_they_are_written(self):
        for grid, place in (("x...", 0.0), (".x..", 0.25), ("...x", 0.75)):
            phase, _ = phases(perform(simple(grid=grid), duration_s=300, rng=rng(1)))
            at = np.median((phase - place + 0.5) % 1 - 0.5)
            assert abs(at) < 0.04  # a player's own lateness, 8 ms at the most

    @pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
    def test_every_tradition_is_played(self, path):
        tradition = read_tradition(path)
        played = perform(tradition, duration_s=20, rng=rng(2))
        assert isinstance(played, Performance)
        assert played.duration_s == 20
        assert len(played.strokes) > 10
        assert list(played.strokes) == sorted(played.strokes)
        times = np.array([stroke.time_s for stroke in played.strokes])
        assert times.min() >= 0
        assert times.max() < 20
        assert all(0 < stroke.velocity <= 1 for stroke in played.strokes)
        assert {stroke.part for stroke in played.strokes} <= set(played.voices) == set(played.levels_db)
        assert played.beats.times_s[-1] < 20
        pitched = {part for part, voice in played.voices.items() if voice in PITCHED}
        assert all((stroke.pitch_hz > 30) == (stroke.part in pitched) for stroke in played.strokes)

    @pytest.mark.parametrize("path", KITS[::5], ids=lambda path: path.stem)
    def test_positions_cycle(self, path):
        tradition = read_tradition(path)
        first = set()
        for seed in range(30):
            positions = perform(tradition, duration_s=10, rng=rng(seed)).beats.positions
            assert set(np.diff(positions) % tradition.beats) <= {1 % tradition.beats}
            assert positions.min() >= 1
            assert positions.max() <= tradition.beats
            first.add(int(positions[0]))
        assert len(first) >= min(tradition.beats, 3)  # a recording begins anywhere

    def test_tempo_is_drawn_around_the_files(self):
        mean, deviation = CANDOMBE.tempo_bpm
        tempi = np.array([perform(CANDOMBE, duration_s=15, rng=rng(seed)).beats.tempo_bpm for seed in range(200)])
        assert tempi.mean() == pytest.approx(mean, abs=3 * deviation / np.sqrt(200) + 1)
        assert 0.7 * deviation < tempi.std() < 1.6 * deviation
        assert (abs(tempi / mean - 1) < 2.5 * deviation / mean + 0.15).all()

    def test_beats_fill_the_performance(self):
        for seed in range(20):
            beats = perform(CANDOMBE, duration_s=20, rng=rng(seed)).beats
            assert beats.times_s[0] < beats.intervals_s.max()
            assert beats.times_s[-1] > 20 - 1.2 * beats.intervals_s.max()

    def test_tempo_stays_within_a_performance(self):
        steady = perform(simple(), duration_s=60, rng=rng()).beats.intervals_s
        assert np.std(steady) / np.mean(steady) < 0.04
        loose = perform(simple(drift=0.03), duration_s=60, rng=rng()).beats.intervals_s
        assert np.std(loose) > 2 * np.std(steady)

    def test_letters_become_strokes_and_accents(self):
        part = Instrument("drum", "conga", (Pattern("Hs.o"),), {"h": "open", "s": "slap"})
        played = perform(simple(instruments=(part,)), duration_s=200, rng=rng(3))
        phase, _ = phases(played)
        beats = played.beats.times_s
        inside = [stroke for stroke in played.strokes if beats[0] <= stroke.time_s < beats[-1]]
        by_place = {place: [] for place in range(4)}
        for at, stroke in zip(np.round(phase * 4).astype(int) % 4, inside, strict=True):
            by_place[int(at)].append(stroke)
        assert {stroke.stroke for stroke in by_place[0]} == {"open"}
        assert {stroke.stroke for stroke in by_place[1]} == {"slap"}
        accent, plain, ghost = (np.median([stroke.velocity for stroke in by_place[place]]) for place in (0, 1, 3))
        assert accent > 1.2 * plain > 1.2 * 1.5 * ghost
        assert len(by_place[2]) == 0

    def test_weights_choose(self):
        part = Instrument("drum", "conga", (Pattern("x...", 9.0), Pattern("..x.", 1.0)))
        on = []
        for seed in range(30):
            phase, _ = phases(perform(simple(instruments=(part,)), duration_s=60, rng=rng(seed)))
            on.extend(np.round(phase * 4) % 4 == 0)
        assert np.mean(on) == pytest.approx(0.9, abs=0.06)

    def test_presence(self):
        there = Instrument("drum", "conga", (Pattern("x..."),))
        maybe = Instrument("bell", "cowbell", (Pattern("x.x."),), presence=0.3)
        seen = [
            set(perform(simple(instruments=(there, maybe)), duration_s=5, rng=rng(seed)).voices) for seed in range(200)
        ]
        assert all("drum" in parts for parts in seen)
        assert np.mean(["bell" in parts for parts in seen]) == pytest.approx(0.3, abs=0.1)

    def test_somebody_plays(self):
        rare = Instrument("bell", "cowbell", (Pattern("x.x."),), presence=0.0)
        rarer = Instrument("drum", "conga", (Pattern("x.x."),), presence=0.01)
        assert set(perform(simple(instruments=(rare, rarer)), duration_s=5, rng=rng()).voices) == {"drum"}

    def test_along_with_given_beats(self):
        along = Beats(0.3 + 0.47 * np.arange(40), (np.arange(40) + 2) % 4 + 1)
        played = perform(CANDOMBE, duration_s=15, rng=rng(), along=along)
        assert played.beats == along.between(0, 15)
        phase, _ = phases(played)
        off = phase - np.round(phase * 4) / 4
        assert np.quantile(np.abs(off), 0.99) < 0.125
        assert np.std(off) < 0.04

    @pytest.mark.parametrize("along", [Beats([]), Beats([1.0, 2.0]), Beats([1.0, 2.0], [5, 1])])
    def test_along_with_other_beats(self, along):
        with pytest.raises(InputError, match="metre of 4"):
            perform(CANDOMBE, duration_s=15, rng=rng(), along=along)

    @pytest.mark.parametrize("duration_s", [0, -1, np.nan, np.inf])
    def test_durations_that_make_no_sense(self, duration_s):
        with pytest.raises(InputError, match="cannot last"):
            perform(CANDOMBE, duration_s=duration_s, rng=rng())


def struck(tradition, played):
    """Part, tatum of the cycle, how much later than its tatum in fractions of a beat, and time of every stroke."""
    beats = played.beats
    inside = [stroke for stroke in played.strokes if beats.times_s[0] <= stroke.time_s < beats.times_s[-1]]
    times = np.array([stroke.time_s for stroke in inside])
    parts = np.array([stroke.part for stroke in inside])
    index = np.searchsorted(beats.times_s, times, side="right") - 1
    phase = (times - beats.times_s[index]) / beats.intervals_s[index]
    tatum, off = np.zeros(len(times), int), np.zeros(len(times))
    for part in tradition.instruments:
        own = parts == part.name
        late = np.array(part.microtiming or tradition.microtiming or [0.0] * tradition.tatums)
        places = np.arange(-1, tradition.tatums + 1)
        nearest = np.abs(phase[own, None] - (places / tradition.tatums + late[places % tradition.tatums])).argmin(1)
        place = places[nearest]
        off[own] = phase[own] - place / tradition.tatums
        tatum[own] = (beats.positions[index[own]] - 1) * tradition.tatums + place
    return parts, tatum % tradition.cycle, off, times


def shortest(tradition):
    """Cycles of the shortest section that holds everybody's patterns whole."""
    lengths = [len(pattern.grid) // tradition.cycle for one in tradition.instruments for pattern in one.patterns]
    return math.lcm(*lengths) if math.lcm(*lengths) <= 32 else max(lengths)


def expected(part, tradition):
    """Probability of a stroke at each tatum of the cycle, in sections as short as patterns allow."""
    length = tradition.cycle * shortest(tradition)

    def there(grid):
        return np.array([letter != "." for letter in grid], float)

    total = sum(pattern.probability for pattern in part.patterns)
    plays = sum(pattern.probability / total * there((pattern.grid * length)[:length]) for pattern in part.patterns)
    for grids, chance, at_end in ((part.calls, part.call_chance, False), (part.fills, part.fill_chance, True)):
        if grids:
            with_it = []
            for grid in grids:
                cut = grid[-length:] if at_end else grid[:length]
                once = plays.copy()
                once[slice(length - len(cut), None) if at_end else slice(0, len(cut))] = there(cut)
                with_it.append(once)
            plays = (1 - chance) * plays + chance * np.mean(with_it, axis=0)
    return plays.reshape(-1, tradition.cycle).mean(axis=0) * (1 - SKIPPED)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.stem)
class TestShipped:
    """What is rendered has the statistics that its file claims."""

    def everybody(self, path):
        """The tradition with one player of every instrument, all of them there, in the shortest of sections."""
        tradition = read_tradition(path)
        parts = tuple(replace(part, presence=1.0, players=(1, 1)) for part in tradition.instruments)
        return replace(tradition, instruments=parts, ensemble=None, form=Form(section=(1, 1)), jitter_s=0.0)

    def test_tempo(self, path):
        tradition, tempi = read_tradition(path), []
        mean, deviation = tradition.tempo_bpm
        alone = replace(tradition, instruments=tradition.instruments[:1], form=Form(), ensemble=None)
        for seed in range(60):
            times = perform(alone, duration_s=12, rng=rng(seed)).beats.times_s
            tempi.append(60 * (len(times) - 1) / (times[-1] - times[0]))
        assert np.mean(tempi) == pytest.approx(mean, abs=0.4 * deviation + 0.01 * mean)
        assert np.std(tempi) == pytest.approx(deviation, rel=0.3, abs=0.025 * mean)

    @pytest.mark.slow
    def test_strokes_and_their_timing(self, path):
        tradition = self.everybody(path)
        cycle_s = tradition.beats * 60 / tradition.tempo_bpm[0]
        played = perform(tradition, duration_s=300 * shortest(tradition) * cycle_s, rng=rng(1))
        parts, tatums, off, times = struck(tradition, played)
        often = np.bincount(played.beats.positions[:-1], minlength=tradition.beats + 1)[1:]
        for part in tradition.instruments:
            own = parts == part.name
            once = np.unique(np.stack([times[own], tatums[own]]), axis=1)[1].astype(int)  # a chord is one stroke
            counts = np.bincount(once, minlength=tradition.cycle)
            found = counts / np.repeat(often, tradition.tatums)
            np.testing.assert_allclose(found, expected(part, tradition), atol=0.13)
            late = np.array(part.microtiming or tradition.microtiming or [0.0] * tradition.tatums)
            spread = tradition.spread if part.spread is None else part.spread
            place, own_off = tatums[own] % tradition.tatums, off[own]
            player = np.mean(own_off - late[place])
            assert abs(player) < 0.03 * tradition.tempo_bpm[0] / 60
            for number in range(tradition.tatums):
                at = own_off[place == number]
                if len(at) >= 100:
                    assert at.mean() - player == pytest.approx(late[number], abs=5 * spread / np.sqrt(len(at)) + 0.001)
                    assert at.std() == pytest.approx(spread, rel=0.2, abs=0.0015)


class TestTiming:
    def test_players_are_late_by_milliseconds_of_their_own(self):
        part = Instrument("drum", "conga", (Pattern("x..."),), players=(6, 6))
        late = []
        for seed in range(80):
            played = perform(simple(instruments=(part,), spread=0.0), duration_s=8, rng=rng(seed))
            phase, who = phases(played)
            off_s = (phase - np.round(phase)) / 2
            late.append([np.median(off_s[who == name]) for name in sorted(set(who))])
        assert np.mean(late) == pytest.approx(0, abs=0.0015)
        sd = np.std(late, axis=1)
        assert sd.min() < 0.002
        assert 0.006 < sd.max() < 0.015

    def test_instruments_may_have_microtiming_of_their_own(self):
        early = Instrument("bell", "cowbell", (Pattern("xxxx"),), microtiming=(0.0, -0.05, -0.1, -0.05), spread=0.0)
        plain = Instrument("drum", "conga", (Pattern("xxxx"),))
        played = perform(
            simple(instruments=(early, plain), microtiming=(0.0, 0.02, 0.0, 0.02), jitter_s=0), duration_s=60, rng=rng()
        )
        tradition = simple(instruments=(early, plain), microtiming=(0.0, 0.02, 0.0, 0.02))
        parts, tatums, off, _ = struck(tradition, played)
        for name, late in (("bell", early.microtiming), ("drum", (0.0, 0.02, 0.0, 0.02))):
            found = [np.median(off[(parts == name) & (tatums == place)]) for place in range(4)]
            np.testing.assert_allclose(np.array(found) - found[0], late, atol=0.001)

    def test_acceleration_is_the_log_of_the_last_tempo_over_the_first(self):
        faster = simple(acceleration=(0.2, 0.0), jitter_s=0.0)
        intervals = perform(faster, duration_s=60, rng=rng()).beats.intervals_s
        assert np.log(intervals[0] / intervals[-1]) == pytest.approx(0.2, abs=0.01)
        assert len(intervals) == pytest.approx(120, abs=3)
        found = []
        for seed in range(100):
            intervals = perform(simple(acceleration=(0.05, 0.1)), duration_s=60, rng=rng(seed)).beats.intervals_s
            found.append(np.log(intervals[:5].mean() / intervals[-5:].mean()))
        assert np.mean(found) == pytest.approx(0.05, abs=0.03)
        assert np.std(found) == pytest.approx(0.1, rel=0.25)

    def test_jitter_is_of_single_beats(self):
        sds = []
        for seed in range(50):
            played = perform(simple(jitter_s=0.005, acceleration=(0.0, 0.0)), duration_s=60, rng=rng(seed))
            times = played.beats.times_s
            line = np.polyval(np.polyfit(np.arange(len(times)), times, 1), np.arange(len(times)))
            sds.append(np.std(times - line))
        assert np.median(sds) == pytest.approx(0.005, rel=0.15)
        assert np.std(np.log(sds)) == pytest.approx(0.3, abs=0.1)  # some performances are steadier than others

    @pytest.mark.parametrize("tempo", [(400.0, 100.0), (20.0, 0.0)])
    def test_beats_stay_in_order_at_proven(self, tempo):
        for seed in range(20):
            wild = simple(tempo_bpm=tempo, jitter_s=0.1, drift=0.05, acceleration=(0.5, 0.2))
            played = perform(wild, duration_s=30, rng=rng(seed))
            assert (played.beats.intervals_s > 0).all()


class TestEnsemble:
    def drums(self, *presences, **changes):
        return tuple(
            Instrument(f"drum{number}", "conga", (Pattern("x..."),), presence=presence, **changes)
            for number, presence in enumerate(presences)
        )

    def sizes(self, ensemble, parts):
        band = simple(instruments=parts, ensemble=ensemble)
        return [perform(band, duration_s=2, rng=rng(seed)).voices for seed in range(60)]

    def test_several_players_are_parts_of_their_own(self):
        part = Instrument("chico", "chico", (Pattern("x..."),), players=(2, 3), level_db=-6)
        played = [perform(simple(instruments=(part,)), duration_s=4, rng=rng(seed)) for seed in range(30)]
        assert {tuple(one.voices) for one in played} == {("chico-1", "chico-2"), ("chico-1", "chico-2", "chico-3")}
        assert all(set(one.voices.values()) == {"chico"} for one in played)
        assert np.mean([level for one in played for level in one.levels_db.values()]) == pytest.approx(-6, abs=1.5)
        assert {stroke.part for stroke in played[0].strokes} == set(played[0].voices)
        times = {name: [s.time_s for s in played[0].strokes if s.part == name] for name in played[0].voices}
        assert not set(times["chico-1"]) & set(times["chico-2"])

    def test_one_player_has_the_name_of_the_instrument(self):
        part = Instrument("chico", "chico", (Pattern("x..."),), players=(1, 2))
        found = {tuple(perform(simple(instruments=(part,)), duration_s=2, rng=rng(seed)).voices) for seed in range(30)}
        assert found == {("chico",), ("chico-1", "chico-2")}

    def test_is_as_large_as_it_may_be(self):
        for ensemble in ((1, 2), (3, 3), (4, 5)):
            seen = {len(voices) for voices in self.sizes(ensemble, self.drums(1.0, 0.5, 0.5, 0.5, 0.5))}
            assert min(seen) >= ensemble[0]
            assert max(seen) <= ensemble[1]

    def test_keeps_those_without_whom_it_is_not(self):
        for voices in self.sizes((2, 2), self.drums(1.0, 0.9, 0.9, 1.0)):
            assert list(voices) == ["drum0", "drum3"]

    def test_has_more_players_before_it_has_more_instruments(self):
        for voices in self.sizes((4, 4), self.drums(1.0, 0.0, players=(1, 4))):
            assert list(voices) == [f"drum0-{number}" for number in (1, 2, 3, 4)]

    def test_that_cannot_be_is_as_near_as_it_gets(self):
        for voices in self.sizes((4, 4), self.drums(1.0, 1.0, 0.5, players=(3, 3))):
            assert len(voices) == 6
        for voices in self.sizes((9, 9), self.drums(1.0, 0.0)):
            assert len(voices) == 1


def at_cycles(played):
    """Which parts strike in each cycle, the first whole one first."""
    downbeats = played.beats.downbeats_s
    return [
        {stroke.part for stroke in played.strokes if start - 0.05 <= stroke.time_s < end - 0.05}
        for start, end in pairwise(downbeats)
    ]


class TestForm:
    PARTS = (
        Instrument("low", "surdo", (Pattern("x..."),)),
        Instrument("mid", "conga", (Pattern("x.x."),)),
        Instrument("bell", "cowbell", (Pattern("xxxx"),)),
    )

    def band(self, parts=PARTS, **form):
        return simple(beats=2, instruments=tuple(
            replace(part, patterns=tuple(replace(one, grid=one.grid * 2) for one in part.patterns)) for part in parts
        ), form=Form(**form), jitter_s=0.0)  # fmt: skip

    def test_sections_keep_their_pattern(self):
        part = Instrument("drum", "conga", (Pattern("x..."), Pattern("..x.")))
        band = self.band((part,), section=(3, 5))
        runs = []
        for seed in range(20):
            tatums = struck(band, perform(band, duration_s=120, rng=rng(seed)))[1]
            pattern = tatums % 4 == 2
            edges = np.flatnonzero(np.diff(pattern))
            runs += list(np.diff(edges) / 2)
        lengths, counts = np.unique(np.round(runs), return_counts=True)
        assert set(lengths[counts > 0.02 * counts.sum()]) >= {3, 4, 5}
        assert set(lengths[counts > 0.05 * counts.sum()]) & {1, 2} == set()

    def test_sections_hold_whole_patterns(self):
        part = Instrument("drum", "conga", (Pattern("x......." * 3 + "..x....."),))
        band = replace(self.band(section=(1, 3)), instruments=(part,))
        tatums = struck(band, perform(band, duration_s=120, rng=rng(1)))[1]
        odd = np.flatnonzero(tatums == 2)
        assert set(np.diff(odd)) <= {3, 4, 5}  # one in four, but for strokes left out

    def test_a_section_ends_with_a_fill_and_begins_with_a_call(self):
        part = Instrument("drum", "conga", (Pattern("x..."),), {"s": "slap", "m": "muted"},
                          fills=("mmmmmmmm",), fill_chance=1.0, calls=("ssssssss",), call_chance=1.0)  # fmt: skip
        band = replace(
            self.band((part,), section=(4, 4)),
            instruments=(
                replace(
                    part,
                    patterns=(
                        Pattern(
                            "x.......",
                        ),
                    ),
                ),
            ),
        )
        played = perform(band, duration_s=120, rng=rng(2))
        kinds = []
        for stroke in played.strokes:
            if not kinds or kinds[-1] != stroke.stroke:
                kinds.append(stroke.stroke)
        assert kinds[1:7] in (
            ["slap", "open", "muted"] * 2, ["open", "muted", "slap"] * 2, ["muted", "slap", "open"] * 2
        )  # fmt: skip
        by_kind = {kind: sum(stroke.stroke == kind for stroke in played.strokes) for kind in kinds}
        assert by_kind["slap"] == pytest.approx(240, abs=20)
        assert by_kind["muted"] == pytest.approx(by_kind["slap"], abs=14)
        assert by_kind["open"] == pytest.approx(60, abs=6)

    def test_fills_and_calls_come_as_often_as_they_should(self):
        part = Instrument("drum", "conga", (Pattern("x......."),), {"s": "slap"}, fills=("ssssssss",), fill_chance=0.3)
        band = replace(self.band(section=(2, 2)), instruments=(part,))
        played = perform(band, duration_s=2000, rng=rng(3))
        slaps = sum(stroke.stroke == "slap" for stroke in played.strokes) / 8 / 1000
        assert slaps == pytest.approx(0.3, abs=0.04)

    def test_breaks_leave_one(self):
        band = self.band(section=(4, 4), breaks=1.0)
        counts = [len(parts) for parts in at_cycles(perform(band, duration_s=200, rng=rng(4)))]
        alone = [place for place, count in enumerate(counts) if count == 1]
        assert set(np.diff(alone)) == {4}
        assert counts.count(3) == len(counts) - len(alone)
        who = {
            next(iter(parts))
            for seed in range(5)
            for parts in at_cycles(perform(band, duration_s=60, rng=rng(seed)))
            if len(parts) == 1
        }
        assert who == {"low", "mid", "bell"}

    def test_breaks_keep_the_beat(self):
        band = self.band(section=(4, 4), breaks=1.0)
        beats = perform(band, duration_s=60, rng=rng()).beats
        assert (np.diff(beats.positions) % 2 == 1).all()
        assert len(beats) == pytest.approx(120, abs=5)

    def test_everybody_enters_one_after_another(self):
        band = self.band(entries=1.0)
        for seed in range(20):
            played = perform(band, duration_s=60, rng=rng(seed))
            assert played.beats.positions[0] == 1
            assert 0.05 <= played.beats.times_s[0] <= 1.0
            cycles = at_cycles(played)
            first = {
                name: next(n for n, parts in enumerate(cycles) if name in parts) for name in ("low", "mid", "bell")
            }
            assert first["bell"] == 0  # the busiest keeps the time
            assert len(set(first.values())) == 3
            assert max(first.values()) <= 4
            assert cycles[-1] == {"low", "mid", "bell"}

    def test_entries_follow_the_file(self):
        parts = (replace(self.PARTS[0], enters=0), replace(self.PARTS[1], enters=6), replace(self.PARTS[2], enters=2))
        band = self.band(parts, entries=1.0)
        cycles = at_cycles(perform(band, duration_s=60, rng=rng()))
        assert [len(parts) for parts in cycles[:8]] == [1, 1, 2, 2, 2, 2, 3, 3]
        assert cycles[0] == {"low"}
        assert cycles[2] == {"low", "bell"}

    def test_all_are_in_by_half_time(self):
        parts = (self.PARTS[0], replace(self.PARTS[1], enters=500))
        band = self.band((replace(parts[0], enters=0), parts[1]), entries=1.0)
        cycles = at_cycles(perform(band, duration_s=20, rng=rng()))
        assert "mid" in cycles[len(cycles) // 2 + 1]

    def test_performances_end_on_a_common_last_stroke(self):
        band = self.band(endings=1.0)
        for seed in range(20):
            played = perform(band, duration_s=30, rng=rng(seed))
            assert played.beats.positions[-1] == 1
            last_s = played.beats.times_s[-1]
            assert 25 < last_s < 29
            final = [stroke for stroke in played.strokes if stroke.time_s > last_s - 0.05]
            assert sorted(stroke.part for stroke in final) == ["bell", "low", "mid"]
            assert all(stroke.velocity > 0.5 and abs(stroke.time_s - last_s) < 0.04 for stroke in final)

    def test_none_of_this_along_with_others(self):
        along = Beats(0.3 + 0.5 * np.arange(40), np.arange(40) % 2 + 1)
        played = perform(self.band(entries=1.0, endings=1.0), duration_s=15, rng=rng(), along=along)
        assert played.beats == along.between(0, 15)
        assert len({stroke.part for stroke in played.strokes if stroke.time_s < 1}) == 3

    def test_probabilities_are_those_of_performances(self):
        band = self.band(entries=0.4, endings=0.3)
        played = [perform(band, duration_s=12, rng=rng(seed)) for seed in range(200)]
        assert np.mean([one.beats.times_s[-1] < 11.2 for one in played]) == pytest.approx(0.3, abs=0.1)
        entered = [len({s.part for s in one.strokes if s.time_s < one.beats.times_s[0] + 0.9}) == 1 for one in played]
        assert np.mean(entered) == pytest.approx(0.4, abs=0.1)

    def test_is_whole_for_pieces_shorter_than_a_cycle(self):
        band = self.band(entries=1.0, endings=1.0, breaks=1.0)
        for seed in range(20):
            played = perform(band, duration_s=0.3, rng=rng(seed))
            assert all(stroke.time_s < 0.3 for stroke in played.strokes)


class TestNotes:
    def notes(self, voice, note, **changes):
        part = Instrument(voice, voice, (Pattern("n..."),), {"n": note} if note else {})
        return perform(simple(beats=1, instruments=(part,), **changes), duration_s=60, rng=rng(5)).strokes

    def classes(self, strokes):
        return [round(69 + 12 * np.log2(stroke.pitch_hz / 440)) % 12 for stroke in strokes]

    def test_chords_are_three_notes_at_once(self):
        strokes = self.notes("piano" if "piano" in PITCHED else "keys", "chord")
        times, counts = np.unique([stroke.time_s for stroke in strokes], return_counts=True)
        assert len(times) > 50
        assert set(counts) == {3}

    def test_notes_are_those_of_the_chord(self):
        roots = self.notes("keys", "root")
        for note, steps in (("third", {3, 4}), ("fifth", {6, 7}), ("octave", {12})):
            others = self.notes("keys", note)  # the same seed plays the same harmony
            apart = {round(12 * np.log2(high.pitch_hz / low.pitch_hz)) for high, low in zip(others, roots, strict=True)}
            assert apart <= steps
            assert apart

    def test_a_melody_moves_in_the_scale(self):
        strokes = self.notes("singer", "melody")
        midi = np.array([69 + 12 * np.log2(stroke.pitch_hz / 440) for stroke in strokes])
        assert len(set(np.round(midi) % 12)) in (5, 6, 7)
        assert np.abs(np.diff(midi)).max() <= 7
        assert 50 < midi.min() < midi.max() < 84

    def test_a_bass_is_low_and_plays_roots(self):
        strokes = self.notes("bass", "")
        assert max(stroke.pitch_hz for stroke in strokes) < 180
        roots = self.classes(self.notes("bass", "root"))
        same = np.mean([a == b for a, b in zip(self.classes(strokes), roots, strict=False)])
        assert same > 0.3

    def test_notes_last_until_the_next_at_most(self):
        strokes = self.notes("flute" if "flute" in PITCHED else "reed", "melody")
        gaps = np.diff([stroke.time_s for stroke in strokes])
        assert all(0.05 <= s.duration_s <= gap + 1e-9 for s, gap in zip(strokes, gaps, strict=False))


def shape(times_s):
    """Median tempo, greatest over least smoothed tempo, jitter in ms and its autocorrelation, last over first tempo."""
    intervals = np.diff(times_s)
    smooth = np.convolve(intervals, np.ones(17) / 17, "valid")
    rest = intervals[8:-8] - smooth
    one_on = np.corrcoef(rest[1:], rest[:-1])[0, 1]
    return np.median(60 / intervals), smooth.max() / smooth.min(), 1000 * rest.std(), one_on, smooth[0] / smooth[-1]


@pytest.mark.real
def test_candombe_goes_as_it_was_annotated(real):
    candombe = read_tradition("candombe")
    files = sorted((real / "candombe" / "annotations").glob("*.beats"))
    annotated = [read_beats(path).times_s for path in files]
    result = np.array([shape(times[times < times[0] + 180]) for times in annotated])
    made = np.array([shape(perform(candombe, duration_s=180, rng=rng(seed)).beats.times_s) for seed in range(35)])
    assert len(result) == 35
    tempo, wander, jitter, correlation, hurry = np.median(made, axis=0) - np.median(result, axis=0)
    assert abs(tempo) < 3  # bpm
    assert abs(wander) < 0.03
    assert abs(jitter) < 1.0  # ms
    assert abs(correlation) < 0.08
    assert abs(hurry) < 0.025
    assert made[:, 0].std() == pytest.approx(result[:, 0].std(), rel=0.3)
    assert np.quantile(made[:, 1], 0.9) == pytest.approx(np.quantile(result[:, 1], 0.9), abs=0.08)
    assert np.quantile(made[:, 2], [0.1, 0.9]) == pytest.approx(np.quantile(result[:, 2], [0.1, 0.9]), abs=2.5)
