"""Every voice sounds, where it should, at once, and louder when it is struck harder; where sounds come from is open."""

import pickle
from copy import copy
from pathlib import Path

import numpy as np
import pytest

from levada.data.rendered import sounds_of
from levada.errors import InputError
from levada.io import audio
from levada.synth.instruments import PITCHED, RATE, STROKES, STRUCK, mix_sources, synthesise
from levada.synth.instruments.altered import altered
from levada.synth.instruments.drums import DRUMS
from levada.synth.instruments.idiophones import IDIOPHONES
from levada.synth.instruments.sampled import (
    SHAPES,
    SampledInstrument,
    change_speed,
    tilt_spectrum,
    trim_to_onset,
    velocity_layer,
)
from levada.synth.instruments.shakers import SHAKERS
from levada.synth.instruments.signals import band_noise, damped_sines, exponential_decay, log_uniform

REAL = Path(__file__).parents[3] / "shared" / "real"
LATE = {"shaker", "maracas", "chekere", "guira", "guiro", "quijada", "cuica", "whistle", "clap"}

# Middles over a dozen instruments: the strongest partial, the centroid of the first 120 ms (both Hz), and the time in
# which the sound would fall by 60 dB (s), each from least to greatest.
SANE = {
    "kick": ((40, 90), (90, 260), (0.1, 0.4)),
    "snare": ((150, 300), (700, 2700), (0.15, 0.7)),
    "rim": ((400, 900), (500, 2000), (0.02, 0.1)),
    "clap": ((900, 3000), (1500, 4500), (0.07, 0.4)),
    "hat": ((3000, 13000), (6000, 10500), (0.1, 0.4)),
    "open-hat": ((3000, 13000), (6000, 10500), (0.35, 1.2)),
    "ride": ((2000, 13000), (6000, 10500), (0.6, 2.2)),
    "crash": ((3000, 13000), (6000, 10500), (0.8, 2.5)),
    "tom": ((80, 190), (150, 600), (0.25, 0.9)),
    "conga": ((150, 330), (250, 700), (0.15, 0.6)),
    "bongo": ((300, 620), (450, 1200), (0.08, 0.3)),
    "timbale": ((230, 460), (450, 1300), (0.15, 0.6)),
    "djembe": ((80, 330), (200, 900), (0.1, 0.45)),
    "surdo": ((48, 110), (80, 250), (0.3, 1.4)),
    "tamborim": ((430, 740), (700, 1300), (0.05, 0.16)),
    "chico": ((290, 520), (400, 1100), (0.1, 0.32)),
    "repique": ((200, 370), (330, 900), (0.12, 0.4)),
    "piano-drum": ((80, 150), (130, 350), (0.25, 0.9)),
    "woodblock": ((700, 1900), (800, 2600), (0.04, 0.15)),
    "claves": ((1900, 2900), (2000, 4500), (0.04, 0.15)),
    "cowbell": ((450, 1250), (600, 1900), (0.1, 0.4)),
    "agogo": ((600, 2100), (900, 3200), (0.12, 0.6)),
    "triangle": ((2600, 16000), (4500, 13000), (0.5, 2.5)),
    "shaker": ((3500, 11000), (5000, 11000), (0.05, 0.4)),
    "maracas": ((4500, 13000), (6000, 12000), (0.03, 0.25)),
    "tambourine": ((3800, 13000), (6000, 11000), (0.06, 0.4)),
    "guiro": ((1200, 4500), (2000, 5000), (0.08, 0.6)),
    "caixa": ((190, 700), (1000, 5000), (0.08, 0.35)),
    "repinique": ((210, 400), (400, 1100), (0.1, 0.45)),
    "pandeiro": ((110, 700), (500, 3000), (0.08, 0.4)),
    "cuica": ((250, 900), (400, 1800), (0.1, 0.5)),
    "whistle": ((1800, 3700), (1900, 3700), (0.08, 3.0)),
    "zabumba": ((50, 100), (90, 260), (0.25, 0.9)),
    "alfaia": ((55, 120), (100, 320), (0.25, 0.9)),
    "gongue": ((330, 1050), (500, 1600), (0.2, 0.9)),
    "tambora": ((80, 160), (140, 400), (0.2, 0.7)),
    "llamador": ((230, 400), (400, 900), (0.12, 0.45)),
    "alegre": ((180, 350), (350, 900), (0.1, 0.4)),
    "guira": ((4000, 11000), (5500, 11000), (0.05, 0.5)),
    "bombo": ((50, 100), (90, 260), (0.3, 1.1)),
    "cajon": ((70, 130), (250, 1300), (0.05, 0.3)),
    "cata": ((450, 1300), (600, 2600), (0.02, 0.12)),
    "chekere": ((1500, 9000), (3000, 8000), (0.02, 0.5)),
    "quijada": ((1500, 5500), (2200, 5500), (0.01, 0.8)),
}


def rng(seed=0):
    return np.random.default_rng(seed)


def played(voice, *, stroke="open", velocity=0.8, pitch_hz=220.0, duration_s=0.5, seed=0):
    instrument = synthesise(voice, rng(seed))
    return instrument.play(stroke, velocity=velocity, pitch_hz=pitch_hz, duration_s=duration_s, rng=rng(seed))


def changed(instrument, **parameters):
    other = copy(instrument)
    vars(other).update(parameters)
    return other


def spectrum(sound):
    return np.abs(np.fft.rfft(sound, 1 << 16)), np.fft.rfftfreq(1 << 16, 1 / RATE)


def centroid_hz(sound):
    size, hz = spectrum(sound)
    return float((size**2 * hz).sum() / (size**2).sum())


def pitch_of(sound):
    size, hz = spectrum(sound)
    return float(hz[hz > 30][size[hz > 30].argmax()])


def ring_of(sound):
    """Seconds in which a sound would fall by 60 dB, from where it is 3 to where it is 15 dB below its loudest."""
    padded = np.pad(np.asarray(sound, float), (441, RATE // 5))
    level = 10 * np.log10(np.convolve(padded**2, np.ones(441) / 441, "same")[::110] + 1e-12)
    level = level[level.argmax() :] - level.max()
    return float((np.argmax(level < -15) - np.argmax(level < -3)) * 110 / RATE * 5)


def head(sound, seconds=0.12):
    """The beginning, fading."""
    return (
        sound[: round(seconds * RATE)] * np.hanning(2 * round(seconds * RATE))[-round(seconds * RATE) :][: len(sound)]
    )


def loudness(sound):
    return float(np.sqrt((sound.astype(float) ** 2).sum()))


class TestStruck:
    @pytest.mark.parametrize("voice", STRUCK)
    def test_knows_every_stroke(self, voice):
        for stroke in STROKES:
            sound = played(voice, stroke=stroke, seed=len(stroke))
            assert sound.dtype == np.float32
            assert np.isfinite(sound).all()
            assert np.abs(sound).max() == pytest.approx(0.8 * STRUCK[voice].level, rel=1e-4)
            assert 0.01 * RATE < len(sound) <= 2.6 * RATE
            assert abs(sound[-1]) < 1e-6  # it fades, and does not click

    @pytest.mark.parametrize("voice", STRUCK)
    def test_begins_with_the_onset(self, voice):
        """A drum is loud within 8 ms, a shaker within 25."""
        for seed in range(5):
            sound = np.abs(played(voice, seed=seed))
            early = sound[: round((0.025 if voice in LATE else 0.008) * RATE)]
            assert early.max() > 0.3 * sound.max()
            assert sound[: round(0.002 * RATE)].max() > 0.01 * sound.max()

    def test_all_of_them_are_known(self):
        assert set(SANE) == set(STRUCK)

    @pytest.mark.parametrize("voice", STRUCK)
    def test_sounds_like_what_it_is(self, voice):
        sounds = [played(voice, seed=seed) for seed in range(12)]
        pitch, centroid, ring_s = SANE[voice]
        assert pitch[0] < np.median([pitch_of(sound) for sound in sounds]) < pitch[1]
        assert centroid[0] < np.median([centroid_hz(head(sound)) for sound in sounds]) < centroid[1]
        assert ring_s[0] < np.median([ring_of(sound) for sound in sounds]) < ring_s[1]

    @pytest.mark.parametrize("voice", DRUMS)
    def test_pitch_of_a_skin(self, voice):
        for seed in range(4):
            skin = changed(DRUMS[voice].sample_params(rng(seed)), click=0.0, wires=0.0, jingles=None)
            low, high = DRUMS[voice].pitch_hz
            assert low <= skin.pitch_hz <= high
            sound = skin.strike("bass", 0.8, rng(seed))[RATE // 50 :]  # after the glide
            assert pitch_of(sound) == pytest.approx(0.82 * skin.pitch_hz, rel=0.05)

    @pytest.mark.parametrize(
        ("low", "high"),
        [("surdo", "conga"), ("kick", "snare"), ("conga", "tamborim"), ("piano-drum", "repique"), ("repique", "chico"),
         ("tom", "hat"), ("gongue", "agogo"), ("guiro", "guira"), ("snare", "caixa"), ("alfaia", "llamador")],
    )  # fmt: skip
    def test_one_is_darker_than_the_other(self, low, high):
        dark, bright = (np.mean([centroid_hz(played(name, seed=seed)) for seed in range(12)]) for name in (low, high))
        assert 1.15 * dark < bright

    @pytest.mark.parametrize("voice", STRUCK)
    def test_louder_when_struck_harder(self, voice):
        instrument = synthesise(voice, rng())
        soft, middle, hard = (
            instrument.play("open", velocity=velocity, pitch_hz=0, duration_s=0, rng=rng(1))
            for velocity in (0.2, 0.5, 1.0)
        )
        assert loudness(soft) < loudness(middle) < loudness(hard)
        assert np.abs(hard).max() == pytest.approx(5 * np.abs(soft).max(), rel=1e-3)

    @pytest.mark.parametrize("voice", ["conga", "tamborim", "snare", "agogo", "hat"])
    def test_brighter_when_struck_harder(self, voice):
        soft, hard = (
            np.mean([centroid_hz(played(voice, velocity=velocity, seed=seed)) for seed in range(8)])
            for velocity in (0.2, 1.0)
        )
        assert hard > 1.05 * soft

    def test_never_twice_the_same_but_the_same_by_seed(self):
        skin, one = DRUMS["snare"].sample_params(rng()), rng(1)
        first, second = skin.strike("open", 0.8, one), skin.strike("open", 0.8, one)
        assert not np.array_equal(first[:1000], second[:1000])
        np.testing.assert_array_equal(first, skin.strike("open", 0.8, rng(1)))

    def test_a_few_takes_are_remembered(self):
        instrument, one = synthesise("conga", rng()), rng(1)
        takes = [instrument.play("open", velocity=0.8, pitch_hz=0, duration_s=0, rng=one).tobytes() for _ in range(60)]
        assert len(set(takes)) == 4

    def test_silence_at_velocity_nought(self):
        assert not played("kick", velocity=0.0).any()

    def test_instruments_are_drawn_from_their_voice(self):
        low, high = DRUMS["djembe"].pitch_hz
        pitches = np.array([DRUMS["djembe"].sample_params(rng(seed)).pitch_hz for seed in range(200)])
        assert low <= pitches.min() < 1.1 * low
        assert high / 1.1 < pitches.max() <= high
        assert np.median(pitches) == pytest.approx(np.sqrt(low * high), rel=0.2)  # evenly in the logarithm

    @pytest.mark.parametrize("voice", ["tuba", "", "open"])
    def test_unknown_voice(self, voice):
        with pytest.raises(InputError, match=f"no voice {voice!r}; there are kick, snare, .*, strings"):
            synthesise(voice, rng())

    def test_unknown_stroke(self):
        with pytest.raises(InputError, match="no stroke 'kiss'; there are open, muted"):
            played("conga", stroke="kiss")


class TestHands:
    """What strokes do to drums, bells and shakers."""

    def by_stroke(self, voice, figure, *, seeds=5):
        return {stroke: np.mean([figure(played(voice, stroke=stroke, seed=seed)) for seed in range(seeds)])
                for stroke in STROKES}  # fmt: skip

    @pytest.mark.parametrize("voice", ["conga", "surdo", "chico"])
    def test_on_a_skin(self, voice):
        rings, bright = self.by_stroke(voice, ring_of), self.by_stroke(voice, centroid_hz)
        assert rings["muted"] < 0.5 * rings["open"]
        assert rings["slap"] < 0.8 * rings["open"]
        assert bright["bass"] < bright["open"] < bright["slap"]
        assert bright["open"] < bright["stick"]
        assert bright["open"] < bright["rim"]

    def test_the_middle_sounds_rounder_than_the_rim(self):
        skin = changed(DRUMS["conga"].sample_params(rng(2)), click=0.0)
        middle, rim = (changed(skin, place=place).strike("open", 0.8, rng(1)) for place in (0.05, 0.9))
        size, hz = spectrum(middle)
        round_, crossed = (size[np.abs(hz - skin.pitch_hz * at).argmin()] for at in (1.0, 1.594**skin.stretch))
        assert crossed < 0.15 * round_  # struck in the middle, the mode with a diameter hardly sounds
        assert centroid_hz(rim) > 1.15 * centroid_hz(middle)

    @pytest.mark.parametrize("voice", ["agogo", "tom", "surdo", "gongue", "conga", "cuica", "whistle"])
    def test_high_and_low(self, voice):
        ratios = [
            pitch_of(played(voice, stroke="high", seed=seed)[RATE // 50 :])
            / pitch_of(played(voice, stroke="low", seed=seed)[RATE // 50 :])
            for seed in range(9)
        ]
        assert 1.1 < np.median(ratios) < 1.8

    def test_snares_last_where_wires_are(self):
        for voice in ("snare", "caixa"):
            skin = DRUMS[voice].sample_params(rng(3))
            high = [
                loudness(np.diff(np.diff(one.strike("open", 0.8, rng(1))))) for one in (changed(skin, wires=0.0), skin)
            ]
            assert high[1] > 2 * high[0]

    def test_jingles_are_heard_alone_when_shaken(self):
        bright = self.by_stroke("pandeiro", centroid_hz)
        assert bright["shake"] > 1.5 * bright["open"] > 1.5 * bright["bass"]

    def test_a_bell_can_be_damped(self):
        for voice in ("agogo", "triangle", "open-hat"):
            rings = self.by_stroke(voice, ring_of)
            assert rings["muted"] < 0.5 * rings["open"]

    def test_a_gourd_has_a_bass(self):
        assert played("chekere", stroke="bass").any()
        bright = self.by_stroke("chekere", centroid_hz)
        assert bright["bass"] < 0.7 * bright["open"]

    def test_a_clap_is_several(self):
        for seed in range(5):
            clap = SHAKERS["clap"].sample_params(rng(seed))
            assert 2 <= len(clap.times_s) <= 5
            assert len(clap.strike("open", 0.8, rng(seed))) > RATE * clap.times_s[-1]

    def test_a_scrape_is_many_blows_and_a_rattle_slows_down(self):
        scrape, rattle = (SHAKERS[voice].sample_params(rng(1)) for voice in ("guiro", "quijada"))
        gaps = [np.diff(np.flatnonzero(one.sample_impacts(one.length_s, rng(2)))) for one in (scrape, rattle)]
        assert len(gaps[0]) > 8
        assert gaps[0][: len(gaps[0]) // 2].mean() > gaps[0][len(gaps[0]) // 2 :].mean()  # it speeds up
        assert gaps[1][: len(gaps[1]) // 2].mean() < gaps[1][len(gaps[1]) // 2 :].mean()

    def test_a_cuica_glides(self):
        sound = played("cuica", seed=4)
        third = len(sound) // 3
        pitches = [pitch_of(sound[at : at + third] * np.hanning(third)) for at in (0, third)]
        assert abs(np.log2(pitches[1] / pitches[0])) > 0.02

    def test_bells_have_two_halves_and_beat(self):
        bell = IDIOPHONES["agogo"].sample_params(rng(1))
        assert 0.0005 <= bell.beating <= 0.004
        assert 1.19 <= bell.interval <= 1.5  # a third to a fifth


class TestPitched:
    @pytest.mark.parametrize("voice", PITCHED)
    @pytest.mark.parametrize("pitch_hz", [82.4, 220.0, 660.0])
    def test_sounds_at_its_pitch(self, voice, pitch_hz):
        for seed in range(3):
            sound = played(voice, pitch_hz=pitch_hz, seed=seed)
            assert sound.dtype == np.float32
            assert np.isfinite(sound).all()
            assert 0.5 * RATE < len(sound) < 0.8 * RATE
            assert np.abs(sound).max() == pytest.approx(0.8 * PITCHED[voice].level, rel=1e-4)
            assert abs(sound[-1]) < 1e-6
            partial = pitch_of(sound) / pitch_hz
            assert partial == pytest.approx(max(1, round(partial)), rel=0.03)
            assert partial < 10

    @pytest.mark.parametrize("voice", ["bass", "piano", "guitar", "tres", "charango", "pluck", "keys", "organ"])
    def test_begins_with_the_onset(self, voice):
        sound = np.abs(played(voice))
        assert sound[: RATE // 50].max() > 0.4 * sound.max()

    @pytest.mark.parametrize(("quick", "slow"), [("piano", "strings"), ("guitar", "pad"), ("accordion", "pad")])
    def test_some_swell(self, quick, slow):
        def rise_s(voice):
            sounds = [np.abs(played(voice, duration_s=1.0, seed=seed)) for seed in range(6)]
            return np.mean([np.argmax(sound > 0.5 * sound.max()) / RATE for sound in sounds])

        assert 2 * rise_s(quick) < rise_s(slow)

    def test_strings_die_away_and_pipes_do_not(self):
        for voice, dies in (("guitar", True), ("charango", True), ("piano", True), ("organ", False), ("flute", False)):
            sound = played(voice, duration_s=2.0, pitch_hz=330.0)
            early, late = loudness(sound[RATE // 10 : RATE // 2]), loudness(sound[3 * RATE // 2 : 19 * RATE // 10])
            assert (late < 0.4 * early) == dies, voice

    def test_odd_harmonics_of_a_reed(self):
        reed = changed(PITCHED["reed"].sample_params(rng()), vibrato=0.0, formants_hz=(), breath=0.0)
        size, hz = spectrum(reed.note(200.0, 1.0, 0.8))
        first, second, third = (size[np.abs(hz - at).argmin()] for at in (200, 400, 600))
        assert second < 0.2 * first
        assert third > 0.1 * first

    def test_a_string_plucked_in_the_middle_has_no_second_harmonic(self):
        guitar = changed(PITCHED["guitar"].sample_params(rng()), place=0.5, formants_hz=(), blow=0.0)
        size, hz = spectrum(guitar.note(200.0, 1.0, 0.8))
        first, second, third = (size[np.abs(hz - at).argmin()] for at in (200, 400, 600))
        assert second < 0.1 * first
        assert third > second

    def test_courses_have_an_octave(self):
        tres = changed(PITCHED["tres"].sample_params(rng()), place=0.5, blow=0.0)
        size, hz = spectrum(tres.note(200.0, 1.0, 0.8))
        assert size[np.abs(hz - 400).argmin()] > 0.2 * size[np.abs(hz - 200).argmin()]

    def test_louder_and_brighter_when_played_harder(self):
        soft, hard = (played("piano", velocity=velocity) for velocity in (0.3, 0.9))
        assert np.abs(hard).max() == pytest.approx(3 * np.abs(soft).max(), rel=1e-4)
        assert centroid_hz(hard) > 1.05 * centroid_hz(soft)

    def test_a_note_is_the_same_whenever_it_is_played(self):
        instrument = synthesise("flute", rng())
        first = instrument.play("open", velocity=0.7, pitch_hz=440.0, duration_s=0.3, rng=rng(1))
        instrument.variants.clear()
        again = instrument.play("open", velocity=0.7, pitch_hz=440.0, duration_s=0.3, rng=rng(2))
        np.testing.assert_array_equal(first, again)

    @pytest.mark.parametrize(("pitch_hz", "duration_s"), [(30000.0, 0.1), (0.5, 0.1), (440.0, 0.0)])
    def test_notes_nobody_plays(self, pitch_hz, duration_s):
        for voice in PITCHED:
            assert np.isfinite(played(voice, pitch_hz=pitch_hz, duration_s=duration_s)).all()

    def test_a_voice_is_struck_or_pitched(self):
        assert not set(STRUCK) & set(PITCHED)


class TestMixed:
    def source(self, *voices):
        def draw(voice, _):
            if voice not in voices:
                raise LookupError(voice)
            return f"{voices[0]}'s {voice}"

        return draw

    def test_as_often_as_told(self):
        sounds = mix_sources([(3.0, self.source("a", "drum")), (1.0, self.source("b", "drum"))])
        drawn = [sounds("drum", rng(seed)) for seed in range(400)]
        assert np.mean([one == "a's drum" for one in drawn]) == pytest.approx(0.75, abs=0.07)

    def test_another_where_one_lacks_the_voice(self):
        sounds = mix_sources(
            [(1.0, self.source("a")), (0.0, self.source("b", "bell")), (0.0, self.source("c", "bell"))]
        )
        assert {sounds("bell", rng(seed)) for seed in range(20)} == {"b's bell"}

    def test_nobody_has_it(self):
        with pytest.raises(LookupError, match="tuba"):
            mix_sources([(1.0, self.source("a"))])("tuba", rng())

    def test_our_own_have_everything(self):
        sounds = mix_sources([(1.0, self.source("a")), (0.0, synthesise)])
        assert sounds("chico", rng()).play("open", velocity=0.5, pitch_hz=0, duration_s=0, rng=rng()).any()

    @pytest.mark.parametrize("shares", [[], [(0.0, synthesise)], [(-1.0, synthesise), (2.0, synthesise)]])
    def test_shares_that_make_no_sense(self, shares):
        with pytest.raises(InputError, match="probabilities"):
            mix_sources(shares)

    def test_is_handed_to_other_processes(self):
        sounds = pickle.loads(pickle.dumps(mix_sources([(1.0, synthesise)])))
        assert sounds("kick", rng()).play("open", velocity=0.5, pitch_hz=0, duration_s=0, rng=rng()).any()


class TestPartials:
    def test_a_ring_rings_where_and_as_long_as_told(self):
        sound = damped_sines([(400.0, 1.0, 0.5), (30000.0, 1.0, 9.0)], rng())
        assert len(sound) == int(0.5 * RATE)  # what nobody can hear is left out
        assert pitch_of(sound) == pytest.approx(400, rel=0.01)
        assert ring_of(sound) == pytest.approx(0.5, rel=0.1)

    def test_nothing_rings(self):
        assert not damped_sines([], rng()).any()

    def test_a_glide_settles(self):
        sound = damped_sines([(200.0, 1.0, 1.0)], rng(), glide=0.5, glide_s=0.01)
        crossings = np.flatnonzero(np.diff(np.sign(sound)))
        assert np.diff(crossings)[0] < 0.8 * np.diff(crossings)[20]
        assert np.diff(crossings)[20] == pytest.approx(RATE / 400, abs=1)

    def test_noise_lies_in_its_band(self):
        sound = band_noise(RATE, (2000, 4000), rng())
        assert np.abs(sound).max() == pytest.approx(1)
        assert 2000 < centroid_hz(sound) < 4000
        assert len(band_noise(3, (100, 1000), rng())) == 3
        assert band_noise(0, (100, 1000), rng()).shape == (0,)

    def test_a_resonance_stands_out(self):
        assert pitch_of(band_noise(RATE, (100, 9000), rng(), peaks=[(1000, 0.05, 30)])) == pytest.approx(1000, rel=0.05)

    def test_falls_by_60_db(self):
        assert exponential_decay(RATE + 1, 1.0)[[0, -1]] == pytest.approx([1, 0.001], rel=1e-3)

    def test_ranges(self):
        drawn = [log_uniform((2.0, 8.0), rng(seed)) for seed in range(300)]
        assert 2 <= min(drawn) <= max(drawn) <= 8
        assert np.median(drawn) == pytest.approx(4, rel=0.15)
        assert log_uniform((0, 0), rng()) == 0


class TestTakes:
    def test_from_the_onset_to_silence(self):
        sound = np.zeros(RATE, np.float32)
        sound[1000:5000] = np.linspace(1, 0.01, 4000)
        result = trim_to_onset(sound)
        assert result[0] == 1
        assert len(result) == 4000
        assert result[-1] == 0
        assert sound[4999] > 0  # what is given is not changed

    def test_what_swells_stays(self):
        swell = np.linspace(0, 1, RATE, dtype=np.float32) ** 3
        assert len(trim_to_onset(swell)) > 0.94 * RATE
        assert len(trim_to_onset(swell, lead_s=np.inf)) < 0.9 * RATE

    @pytest.mark.parametrize("sound", [np.zeros(0, np.float32), np.zeros(50, np.float32)])
    def test_silence(self, sound):
        assert len(trim_to_onset(sound)) <= 1
        assert (
            not SampledInstrument("kick", lambda *_: sound)
            .play("open", velocity=1.0, pitch_hz=0, duration_s=0, rng=rng())
            .any()
        )

    def test_resampled(self):
        tone = np.sin(2 * np.pi * 400 * np.arange(RATE) / RATE).astype(np.float32)
        higher = change_speed(tone, 1.5)
        assert pitch_of(higher) == pytest.approx(600, rel=0.01)
        assert len(higher) == pytest.approx(RATE / 1.5, abs=2)
        assert change_speed(tone, 1.0) is tone
        assert len(change_speed(tone[:1], 1.5)) == 1

    def test_tilted(self):
        sound = band_noise(RATE, (100, 10000), rng()).astype(np.float32)
        assert centroid_hz(tilt_spectrum(sound, -0.8)) < centroid_hz(sound) < centroid_hz(tilt_spectrum(sound, 0.8))

    def test_hardness(self):
        assert [velocity_layer(velocity) for velocity in (0.0, 0.1, 0.3, 0.5, 0.8, 1.0, 2.0)] == [1, 1, 1, 2, 3, 4, 4]

    def test_every_stroke_has_a_shape(self):
        assert set(SHAPES) == set(STROKES)


@pytest.mark.slow
@pytest.mark.real
class TestReal:
    """Figures of real drums: ours must lie around them."""

    def read(self, *names):
        path = REAL.joinpath(*names)
        if not path.exists():
            pytest.skip("the real recordings are not beside the project")
        samples, rate = audio.read(path)
        return audio.resample(audio.to_mono(samples), rate=rate, to=RATE)

    def strokes(self, recording, *, apart_s, length_s=0.12):
        """Beginnings of the strokes of a recording: where it is suddenly louder."""
        energy = np.convolve(recording.astype(float) ** 2, np.ones(220) / 220, "same")[::110]
        rise = np.maximum(0, np.diff(10 * np.log10(energy + 1e-7), n=1, prepend=-70))
        rise = np.convolve(rise, np.ones(6), "same")
        found: list[int] = []
        for at in np.argsort(-rise)[: np.count_nonzero(rise > 9)]:
            start = at * 110
            if all(abs(start - other) > apart_s * RATE for other in found):
                found.append(start)
        size, floor = round(length_s * RATE), 0.1 * np.abs(recording).max()
        heads = [recording[max(0, start - 150) :][:size] for start in sorted(found)]
        return [one for one in heads if len(one) == size and np.abs(one).max() > floor]

    def around(self, values, voice, figure, *, stroke="open", factor=1.5):
        ours = [figure(played(voice, stroke=stroke, seed=seed)) for seed in range(30)]
        low, high = np.percentile(ours, [5, 95])
        real = float(np.median(values))
        assert low / factor < real < factor * high, f"{voice}: {real:.0f} is not around {low:.0f} to {high:.0f}"

    def test_a_tamborim(self):
        strokes = self.strokes(self.read("brid", "brid_0216_tamborim_samba_enredo.flac"), apart_s=0.1, length_s=0.1)
        assert len(strokes) > 80
        self.around([pitch_of(one) for one in strokes], "tamborim", pitch_of, factor=1.1)
        self.around([centroid_hz(head(one, 0.1)) for one in strokes], "tamborim", lambda x: centroid_hz(head(x, 0.1)))
        self.around([ring_of(one) for one in strokes], "tamborim", ring_of)

    def test_a_candombe(self):
        """The strongest partials of the ensemble are those of its drums: one where each of ours has its own."""
        from scipy.signal import find_peaks, welch

        hz, power = welch(self.read("candombe", "csic_1995_ansina1_01_first16s.flac"), RATE, nperseg=1 << 14)
        peaks = hz[find_peaks(10 * np.log10(power), prominence=3)[0]]
        for voice in ("piano-drum", "repique", "chico"):
            low, high = DRUMS[voice].pitch_hz
            assert ((low < peaks) & (peaks < high)).any(), voice
        self.around([hz[power.argmax()]], "piano-drum", pitch_of, factor=1.1)

    def test_a_drum_kit(self):
        kicks, snares = [], []
        for name in ("Rock", "Beatles"):
            for one in self.strokes(self.read("mdb_drums", "drums_only", f"{name}.flac"), apart_s=0.2):
                size, hz = spectrum(head(one))
                share = [float((size[(hz > a) & (hz < b)] ** 2).sum() / (size**2).sum())
                         for a, b in ((0, 130), (140, 350), (3000, 20000))]  # fmt: skip
                if share[0] > 0.75 and share[2] < 0.05:
                    kicks.append(one)
                elif share[0] < 0.3 and share[1] > 0.3 and share[2] > 0.05:
                    snares.append(one)
        assert len(kicks) > 20
        assert len(snares) > 10
        self.around([pitch_of(one) for one in kicks], "kick", pitch_of)
        self.around([centroid_hz(head(one)) for one in kicks], "kick", lambda x: centroid_hz(head(x)))
        self.around([pitch_of(one) for one in snares], "snare", pitch_of)
        self.around([centroid_hz(head(one)) for one in snares], "snare", lambda x: centroid_hz(head(x)))


class TestAltered:
    @pytest.mark.parametrize("voice", ["surdo", "tamborim", "claves"])
    def test_the_pitch_is_moved_and_the_onset_is_not(self, voice):
        def strongest_hz(instrument):
            sound = instrument.play("open", velocity=0.8, pitch_hz=0, duration_s=0, rng=np.random.default_rng(1))
            assert np.flatnonzero(np.abs(sound) > 0.05 * np.abs(sound).max())[0] < 0.003 * RATE
            return np.abs(np.fft.rfft(sound, 2**17)).argmax() * RATE / 2**17

        usual = strongest_hz(synthesise(voice, np.random.default_rng(0)))
        semitones = [
            12 * np.log2(strongest_hz(altered(seed, voice, np.random.default_rng(0))) / usual) for seed in range(6)
        ]
        assert np.abs(semitones).min() > 1
        assert np.ptp(semitones) > 3

    def test_a_seed_alters_a_voice_in_one_way(self):
        one, again, other = (altered(seed, "surdo", np.random.default_rng(0)) for seed in (3, 3, 4))
        assert one.semitones == again.semitones != other.semitones
        near = altered(3, "surdo", np.random.default_rng(1))
        assert 0 < abs(near.semitones - one.semitones) < 2.5

    def test_names(self):
        assert (
            sounds_of("altered:3")("surdo", np.random.default_rng(0)).semitones
            == altered(3, "surdo", np.random.default_rng(0)).semitones
        )
        for name in ("altered:", "altered:x", "altered:-1"):
            with pytest.raises(InputError, match="have a seed"):
                sounds_of(name)
