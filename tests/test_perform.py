"""What hands do: they keep to the beats that are claimed, and to what is written."""

from dataclasses import replace

import numpy as np
import pytest

from levada.beats import Beats
from levada.errors import InputError
from levada.perform import Performance, perform
from levada.tradition import FOLDER, Instrument, Pattern, Tradition, read_tradition
from levada.voices import PITCHED

CANDOMBE = read_tradition("candombe")
KITS = sorted((FOLDER / "kits").glob("*.toml"))


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
    def test_microtiming_and_spread_are_those_of_the_file(self):
        late, around = {place: [] for place in range(4)}, []
        for seed in range(60):
            phase, part = phases(perform(CANDOMBE, duration_s=30, rng=rng(seed)))
            place = np.round(phase * 4).astype(int)
            off = phase - place / 4
            for number in range(4):
                late[number].extend(off[place % 4 == number])
            for name in set(part):
                own = part == name
                left = off[own] - np.array(CANDOMBE.microtiming)[place[own] % 4]
                around.append(np.var(left, ddof=1))
        assert min(len(values) for values in late.values()) > 2000
        means = [np.mean(late[place]) for place in range(4)]
        np.testing.assert_allclose(means, CANDOMBE.microtiming, atol=0.0025)
        assert np.sqrt(np.mean(around)) == pytest.approx(CANDOMBE.spread, rel=0.05)

    def test_strokes_are_where_they_are_written(self):
        for grid, place in (("x...", 0.0), (".x..", 0.25), ("...x", 0.75)):
            phase, _ = phases(perform(simple(grid=grid), duration_s=300, rng=rng(1)))
            at = np.median((phase - place + 0.5) % 1 - 0.5)
            assert abs(at) < 0.03  # a player's own lateness, 4 ms

    @pytest.mark.parametrize("path", [FOLDER / "candombe.toml", *KITS], ids=lambda path: path.stem)
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
        assert np.std(steady) / np.mean(steady) < 0.03
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
        assert len(by_place[2]) < 0.2 * len(by_place[0])  # a rest, but for fills

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
        assert np.abs(off).max() < 0.125
        assert np.std(off) < 0.03

    @pytest.mark.parametrize("along", [Beats([]), Beats([1.0, 2.0]), Beats([1.0, 2.0], [5, 1])])
    def test_along_with_other_beats(self, along):
        with pytest.raises(InputError, match="metre of 4"):
            perform(CANDOMBE, duration_s=15, rng=rng(), along=along)

    @pytest.mark.parametrize("duration_s", [0, -1, np.nan, np.inf])
    def test_durations_that_make_no_sense(self, duration_s):
        with pytest.raises(InputError, match="cannot last"):
            perform(CANDOMBE, duration_s=duration_s, rng=rng())
