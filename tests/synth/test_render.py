"""Rendered music: stems and beats belong together, and the same seed gives the same bytes."""

from dataclasses import replace

import numpy as np
import pytest

from levada.errors import InputError
from levada.io.beats import Beats
from levada.synth.acoustics import degrade
from levada.synth.instruments import RATE, mix_sources, synthesise
from levada.synth.performance import Performance, Stroke, perform
from levada.synth.render import render, synthesise_stems
from levada.synth.traditions import FOLDER, read_tradition

CANDOMBE = read_tradition("candombe")
KITS = sorted((FOLDER / "kits").glob("*.toml"))


def rng(seed=0):
    return np.random.default_rng(seed)


class TestSound:
    def one_stroke(self, time_s=0.25, voice="conga", **changes):
        stroke = Stroke(time_s, "drum", 0.8, **changes)
        return Performance((stroke,), Beats([0.1]), {"drum": voice}, {"drum": 0.0}, 1.0)

    def test_an_onset_is_at_its_sample(self):
        stem = synthesise_stems(self.one_stroke(), rng=rng())["drum"][0]
        onset = round(0.25 * RATE)
        assert not stem[:onset].any()
        assert np.abs(stem[onset : onset + 200]).max() > 0.3 * np.abs(stem).max()
        assert len(stem) == RATE

    def test_a_note_has_its_pitch(self):
        stem = synthesise_stems(self.one_stroke(voice="keys", pitch_hz=330.0, duration_s=0.5), rng=rng())["drum"][0]
        spectrum = np.abs(np.fft.rfft(stem))
        assert spectrum.argmax() == pytest.approx(330, abs=4)

    def test_level_in_decibels(self):
        quiet = replace(self.one_stroke(), levels_db={"drum": -20.0})
        loud, soft = (synthesise_stems(one, rng=rng())["drum"] for one in (self.one_stroke(), quiet))
        np.testing.assert_allclose(soft, 0.1 * loud, rtol=1e-4, atol=1e-7)

    def test_a_stroke_at_the_very_end(self):
        for time_s in (1 - 0.4 / RATE, 1 - 1.5 / RATE):
            stem = synthesise_stems(self.one_stroke(time_s), rng=rng())["drum"]
            assert stem.shape == (1, RATE)
            assert not stem[0, :-2].any()

    def test_notes_together_are_the_sum_of_each(self):
        strokes = (Stroke(0.1, "drum", 0.8, "open", 220.0, 0.5), Stroke(0.2, "drum", 0.5, "open", 330.0, 0.5))
        both = replace(self.one_stroke(voice="keys"), strokes=strokes)
        together, first, second = (
            synthesise_stems(replace(both, strokes=played), rng=rng())["drum"]
            for played in (strokes, strokes[:1], strokes[1:])
        )
        np.testing.assert_allclose(together, first + second, atol=1e-6)

    def test_harder_is_louder(self):
        strokes = tuple(Stroke(0.1 + 0.9 * i, "drum", velocity) for i, velocity in enumerate((0.2, 0.5, 0.95)))
        played = Performance(strokes, Beats([0.1]), {"drum": "bongo"}, {"drum": 0.0}, 3.0)
        stem = synthesise_stems(played, rng=rng())["drum"][0]
        peaks = [np.abs(stem[round(RATE * (0.1 + 0.9 * i)) :][: RATE // 2]).max() for i in range(3)]
        assert peaks == pytest.approx([0.2 * peaks[2] / 0.95, 0.5 * peaks[2] / 0.95, peaks[2]], rel=1e-3)

    def test_unknown_voice(self):
        with pytest.raises(InputError, match="no voice 'tuba'"):
            synthesise_stems(self.one_stroke(voice="tuba"), rng=rng())

    def test_instruments_come_from_the_sounds_that_are_given(self):
        asked = []

        class Click:
            def play(self, stroke, *, velocity, pitch_hz, duration_s, rng):
                asked.append((stroke, velocity, pitch_hz, duration_s, rng))
                return np.array([1.0, -1.0], np.float32)

        def clicks(voice, rng):
            asked.append((voice, rng))
            return Click()

        one = rng()
        stem = synthesise_stems(self.one_stroke(voice="tuba", pitch_hz=50.0, duration_s=0.2), rng=one, sounds=clicks)[
            "drum"
        ][0]
        assert asked == [("tuba", one), ("open", 0.8, 50.0, 0.2, one)]
        onset = round(0.25 * RATE)
        np.testing.assert_array_equal(np.flatnonzero(stem), [onset, onset + 1])
        assert stem[onset] == 1

    def test_a_part_has_one_instrument(self):
        drawn = []

        def counted(voice, rng):
            drawn.append(voice)
            return synthesise(voice, rng)

        synthesise_stems(perform(CANDOMBE, duration_s=4, rng=rng()), rng=rng(), sounds=counted)
        assert sorted(drawn) == sorted(perform(CANDOMBE, duration_s=4, rng=rng()).voices.values())


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
        dry = sum(synthesise_stems(perform(CANDOMBE, duration_s=4, rng=again), rng=again).values())
        np.testing.assert_allclose(sum(rendered.stems.values()), dry, atol=1e-6)
        np.testing.assert_array_equal(rendered.mixture, degrade(dry, rng=again))

    @pytest.mark.parametrize("path", KITS[1::6], ids=lambda path: path.stem)
    def test_kits_sound(self, path):
        rendered = render(read_tradition(path), duration_s=3, rng=rng())
        assert rendered.rate == RATE
        assert rendered.mixture.shape == (1, 3 * RATE)
        assert np.abs(rendered.mixture).max() <= 0.981
        assert np.sqrt((rendered.mixture**2).mean()) > 0.003
        assert all(stem.shape == (1, 3 * RATE) for stem in rendered.stems.values())
        assert len(rendered.beats) >= 2

    def test_in_other_sounds(self):
        def nobody(voice, _):
            raise LookupError(voice)

        ours, same = (
            render(CANDOMBE, duration_s=3, rng=rng(), sounds=sounds)
            for sounds in (mix_sources([(1.0, synthesise)]), mix_sources([(1.0, synthesise), (0.0, nobody)]))
        )
        assert ours.mixture.tobytes() == same.mixture.tobytes()
        with pytest.raises(LookupError, match="no instrument source has"):
            render(CANDOMBE, duration_s=3, rng=rng(), sounds=mix_sources([(1.0, nobody)]))
