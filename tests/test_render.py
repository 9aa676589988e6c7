"""Rendered music: hands keep to the beats that are claimed, and the same seed gives the same bytes."""

from dataclasses import replace

import numpy as np
import pytest

from levada.beats import Beats
from levada.errors import InputError
from levada.render import Performance, Stroke, perform, record, render, sound
from levada.tradition import FOLDER, Instrument, Pattern, Tradition, read_tradition
from levada.voices import PITCHED, RATE

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


class TestSound:
    def one_stroke(self, time_s=0.25, voice="conga", **changes):
        stroke = Stroke(time_s, "drum", 0.8, **changes)
        return Performance((stroke,), Beats([0.1]), {"drum": voice}, {"drum": 0.0}, 1.0)

    def test_an_onset_is_at_its_sample(self):
        stem = sound(self.one_stroke(), rng=rng())["drum"][0]
        onset = round(0.25 * RATE)
        assert not stem[:onset].any()
        assert np.abs(stem[onset : onset + 200]).max() > 0.3 * np.abs(stem).max()
        assert len(stem) == RATE

    def test_a_note_has_its_pitch(self):
        stem = sound(self.one_stroke(voice="keys", pitch_hz=330.0, duration_s=0.5), rng=rng())["drum"][0]
        spectrum = np.abs(np.fft.rfft(stem))
        assert spectrum.argmax() == pytest.approx(330, abs=4)

    def test_level_in_decibels(self):
        quiet = replace(self.one_stroke(), levels_db={"drum": -20.0})
        loud, soft = (sound(one, rng=rng())["drum"] for one in (self.one_stroke(), quiet))
        np.testing.assert_allclose(soft, 0.1 * loud, rtol=1e-4, atol=1e-7)

    def test_a_stroke_at_the_very_end(self):
        for time_s in (1 - 0.4 / RATE, 1 - 1.5 / RATE):
            stem = sound(self.one_stroke(time_s), rng=rng())["drum"]
            assert stem.shape == (1, RATE)
            assert not stem[0, :-2].any()

    def test_notes_together_are_the_sum_of_each(self):
        strokes = (Stroke(0.1, "drum", 0.8, "open", 220.0, 0.5), Stroke(0.2, "drum", 0.5, "open", 330.0, 0.5))
        both = replace(self.one_stroke(voice="keys"), strokes=strokes)
        together, first, second = (
            sound(replace(both, strokes=played), rng=rng())["drum"] for played in (strokes, strokes[:1], strokes[1:])
        )
        np.testing.assert_allclose(together, first + second, atol=1e-6)

    def test_harder_is_louder(self):
        strokes = tuple(Stroke(0.1 + 0.9 * i, "drum", velocity) for i, velocity in enumerate((0.2, 0.5, 0.95)))
        played = Performance(strokes, Beats([0.1]), {"drum": "bongo"}, {"drum": 0.0}, 3.0)
        stem = sound(played, rng=rng())["drum"][0]
        peaks = [np.abs(stem[round(RATE * (0.1 + 0.9 * i)) :][: RATE // 2]).max() for i in range(3)]
        assert peaks == pytest.approx([0.2 * peaks[2] / 0.95, 0.5 * peaks[2] / 0.95, peaks[2]], rel=1e-3)

    def test_unknown_voice(self):
        with pytest.raises(InputError, match="no voice 'tuba'"):
            sound(self.one_stroke(voice="tuba"), rng=rng())


class TestRecord:
    def test_never_clips(self):
        strokes = np.zeros((1, RATE // 2), np.float32)
        strokes[0, ::4410] = 3.0
        peaks = []
        for seed in range(25):
            recorded = record(strokes, rng=rng(seed))
            assert recorded.shape == strokes.shape
            assert recorded.dtype == np.float32
            assert np.isfinite(recorded).all()
            peaks.append(float(np.abs(recorded).max()))
        assert max(peaks) <= 0.981
        assert min(peaks) >= 0.98 * 10 ** (-14 / 20) - 1e-6
        assert np.ptp(peaks) > 0.3  # some level or other

    def test_onsets_stay(self):
        strokes = np.zeros((1, RATE // 2), np.float32)
        strokes[0, 9000:9400] = rng().standard_normal(400) * np.exp(-np.arange(400) / 80)
        for seed in range(12):
            recorded = np.abs(record(strokes, rng=rng(seed))[0])
            assert abs(int(recorded.argmax()) - 9000) < 441  # within one frame

    def test_silence_stays(self):
        silence = np.zeros((1, 1000), np.float32)
        assert not record(silence, rng=rng()).any()
        assert record(silence[:, :0], rng=rng()).shape == (1, 0)

    def test_what_is_given_is_not_changed(self):
        given = rng().standard_normal((1, 5000)).astype(np.float32)
        given.flags.writeable = False
        record(given, rng=rng(1))
        np.testing.assert_array_equal(given, rng().standard_normal((1, 5000)).astype(np.float32))


class TestRender:
    def test_the_same_seed_gives_the_same_bytes(self):
        one, same, other = (render(CANDOMBE, duration_s=4, rng=rng(seed)) for seed in (5, 5, 6))
        assert one.mixture.tobytes() == same.mixture.tobytes()
        assert one.beats == same.beats
        assert {name: stem.tobytes() for name, stem in one.stems.items()} == {
            name: stem.tobytes() for name, stem in same.stems.items()
        }
        assert one.mixture.tobytes() != other.mixture.tobytes()
        assert one.beats != other.beats

    def test_the_mixture_is_a_recording_of_the_stems(self):
        rendered = render(CANDOMBE, duration_s=4, rng=rng(1))
        again = rng(1)
        dry = sum(sound(perform(CANDOMBE, duration_s=4, rng=again), rng=again).values())
        np.testing.assert_allclose(sum(rendered.stems.values()), dry, atol=1e-6)
        np.testing.assert_array_equal(rendered.mixture, record(dry, rng=again))

    @pytest.mark.parametrize("path", KITS[1::6], ids=lambda path: path.stem)
    def test_kits_sound(self, path):
        rendered = render(read_tradition(path), duration_s=3, rng=rng())
        assert rendered.rate == RATE
        assert rendered.mixture.shape == (1, 3 * RATE)
        assert np.abs(rendered.mixture).max() <= 0.981
        assert np.sqrt((rendered.mixture**2).mean()) > 0.003
        assert all(stem.shape == (1, 3 * RATE) for stem in rendered.stems.values())
        assert len(rendered.beats) >= 2
