import shutil
from dataclasses import replace

import numpy as np
import pytest

from levada.beat_tracking.selection import features
from levada.data import Track
from levada.errors import InputError
from levada.io import audio
from levada.synth.render import render
from levada.synth.traditions import read_tradition


def apart(one, other) -> float:
    return 1 - float(one @ other / np.linalg.norm(one) / np.linalg.norm(other))


def beaten(pattern: str, *, bpm: float, duration_s: float = 12.0, level: float = 0.3) -> np.ndarray:
    """Onset strength of a pattern of sixteenths."""
    onsets = np.zeros(round(duration_s * features.FPS))
    for n, time_s in enumerate(np.arange(0, duration_s - 0.1, 15 / bpm)):
        if pattern[n % len(pattern)] == "x":
            onsets[round(time_s * features.FPS)] += level
    return np.convolve(onsets, np.exp(-0.5 * (np.arange(-4, 5) / 1.5) ** 2), "same")


class TestScaleTransform:
    def test_is_librosas(self):
        librosa = pytest.importorskip("librosa", reason="librosa is not installed")
        rows = np.random.default_rng(0).standard_normal((3, 400)).cumsum(axis=1)
        theirs = np.abs(librosa.fmt(rows, t_min=0.5, beta=0.5, axis=1))[:, :200]
        ours = np.abs(rows @ features._scales(400).T)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-9 * theirs.max())

    @pytest.mark.parametrize("bpm", [85, 115, 120])
    def test_the_same_rhythm_at_another_tempo_is_nearer_than_another_rhythm(self, bpm):
        here = features.scale_transform(beaten("x..x..x...x.x...", bpm=100))
        other = features.scale_transform(beaten("x.x.x.x.", bpm=100))
        assert apart(here, features.scale_transform(beaten("x..x..x...x.x...", bpm=bpm))) < 0.5 * apart(here, other)

    def test_so_are_rendered_bands(self):
        def heard(name: str, bpm: float):
            tradition = replace(read_tradition(name), tempo_bpm=(bpm, 0.01))
            sound = render(tradition, duration_s=16.0, rng=np.random.default_rng(3))
            bands = np.concatenate(
                list(features.stream_log_spectrogram([sound.mixture], sound.rate, front_end=features.FRONT_END))
            )
            return features.scale_transform(features.onset_strength(bands))

        slow, fast, other = heard("candombe", 100.0), heard("candombe", 120.0), heard("chacarera", 100.0)
        assert apart(slow, fast) < apart(slow, other)
        assert apart(slow, fast) < apart(fast, other)

    def test_level_makes_no_difference(self):
        loud, soft = (features.scale_transform(beaten("x..x..x.", bpm=110, level=level)) for level in (1.0, 0.01))
        np.testing.assert_allclose(loud, soft, rtol=1e-9)

    def test_shorter_than_a_window_and_without_onsets(self):
        assert features.scale_transform(beaten("x.x.", bpm=100, duration_s=3.0)).shape == (200,)
        assert not features.scale_transform(np.zeros(500)).any()


class TestOnsetPatterns:
    @pytest.mark.parametrize("hz", [1.0, 2.0, 4.0, 8.0])
    def test_the_strongest_modulation_is_that_of_the_pulse(self, hz):
        frames = np.arange(1500) / features.FPS
        bands = np.repeat(np.maximum(np.cos(2 * np.pi * hz * frames), 0)[:, None], 3, axis=1).astype(np.float32)
        patterns = features.onset_patterns(bands)
        at_hz = 0.5 * 2 ** (np.arange(25) / 5)
        assert at_hz[patterns.argmax()] == pytest.approx(hz)
        assert patterns.sum() == pytest.approx(1)

    def test_know_the_tempo_which_scales_do_not(self):
        slow, fast = (beaten("x...", bpm=bpm) for bpm in (80, 120))
        patterns = [features.onset_patterns(onsets[:, None].astype(np.float32)) for onsets in (slow, fast)]
        assert apart(*patterns) > 3 * apart(features.scale_transform(slow), features.scale_transform(fast))

    def test_constant_sound_has_none(self):
        assert not features.onset_patterns(np.ones((200, 40), np.float32)).any()


class TestListen:
    def test_the_level_of_a_recording_and_its_name_make_no_difference(self, rendered, tmp_path):
        here = features.rhythm_features(Track("a", rendered / "a.wav"))
        samples, rate = audio.read(rendered / "a.wav")
        audio.write(tmp_path / "soft.wav", 0.2 * samples, rate=rate)
        soft = features.rhythm_features(Track("soft", tmp_path / "soft.wav"))
        np.testing.assert_allclose(soft.scales, here.scales, rtol=0.05)
        assert here.duration_s == pytest.approx(12.0, abs=0.05)
        shutil.copy(rendered / "a.wav", tmp_path / "copy.wav")
        assert features.rhythm_features(Track("copy", tmp_path / "copy.wav")) is here

    @pytest.mark.parametrize(
        ("samples", "wrong"),
        [
            (np.zeros((1, 44100 * 4), np.float32), "silent"),
            (np.zeros((1, 1), np.float32), "too short"),
            (np.full((1, 30000), 0.5, np.float32), "too short"),
        ],
        ids=["silent", "one sample", "short"],
    )
    def test_what_has_no_rhythm(self, tmp_path, samples, wrong):
        audio.write(tmp_path / "x.wav", samples, rate=44100)
        with pytest.raises(InputError, match=wrong) as raised:
            features.rhythm_features(Track("x", tmp_path / "x.wav"))
        assert raised.value.path == tmp_path / "x.wav"

    def test_not_a_number_throughout(self, tmp_path):
        import soundfile

        soundfile.write(tmp_path / "x.wav", np.full(200_000, np.nan, np.float32), 44100, subtype="FLOAT")
        with pytest.raises(InputError, match="silent"):
            features.rhythm_features(Track("x", tmp_path / "x.wav"))


class TestSimilarity:
    @staticmethod
    def rhythm(*numbers: float) -> features.RhythmFeatures:
        return features.RhythmFeatures(np.array(numbers), np.array(numbers[::-1]), np.zeros(1, np.float32))

    def test_copies_are_alike_and_opposites_are_not(self):
        alike = features.similarity([self.rhythm(0, 1), self.rhythm(0, 1), self.rhythm(1, 0), self.rhythm(1, 0)])
        np.testing.assert_allclose(alike, [[1, 1, -1, -1], [1, 1, -1, -1], [-1, -1, 1, 1], [-1, -1, 1, 1]])

    def test_nothing_differs(self):
        assert (features.similarity([self.rhythm(2, 3)] * 3) == 1).all()
        assert (features.similarity([self.rhythm(2, 3)]) == 1).all()
