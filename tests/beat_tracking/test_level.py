"""Levels: the same spectrogram from a quiet copy, in pieces or whole, and pauses that change nothing."""

import numpy as np
import pytest

from levada.beat_tracking.level import running_level, stream_relative_level
from levada.beat_tracking.spectrogram import (
    N_BANDS,
    N_SEMITONES,
    RELATIVE_BANDS,
    log_spectrogram,
    stream_log_spectrogram,
)

RATE = 44100
FPS = 100.0


def music(seconds=8.0, *, seed=0):
    """Decaying tones twice a second over a little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * RATE)) / RATE
    tones = np.sin(2 * np.pi * np.repeat([220, 330, 277, 440], RATE)[: RATE // 2].mean() * time)
    return (0.5 * tones * np.exp(-6 * (time % 0.5)) + 0.003 * rng.standard_normal(len(time))).astype(np.float32)


def compressed(bands):
    """What a network sees: differences far below the level are squeezed together."""
    return np.logaddexp(bands, np.log(0.05))


class TestRunningLevel:
    def test_of_a_constant(self):
        np.testing.assert_allclose(running_level(np.full(7000, 1.5), fps=FPS), 1.5)

    def test_pauses_do_not_count(self):
        """20 s of music in a minute of silence: its level, where a mean would be 5 dB lower."""
        loudest = np.full(6000, -13.8)
        loudest[2000:4000] = 3.0
        np.testing.assert_allclose(running_level(loudest, fps=FPS)[2000:4000], 3.0, atol=1e-6)

    def test_a_knock_changes_little(self):
        loudest = np.full(6000, 1.0)
        loudest[3000:3005] = 3.0
        assert np.abs(running_level(loudest, fps=FPS) - 1).max() < 0.05

    def test_it_follows_a_recording_that_becomes_quieter(self):
        loudest = np.repeat([2.0, -3.0], 12_000)
        level = running_level(loudest, fps=FPS)
        assert level[0] == pytest.approx(2.0)
        assert level[-1] == pytest.approx(-3.0)

    def test_silence_is_not_made_loud(self):
        assert running_level(np.full(500, np.log(1e-6)), fps=FPS).max() == -7.5

    @pytest.mark.parametrize("frames", [0, 1, 499, 500, 501])
    def test_of_any_length(self, frames):
        assert running_level(np.ones(frames), fps=FPS).shape == (frames,)


class TestStream:
    @pytest.mark.parametrize("frames", [0, 1, 2999, 3501, 21_000])
    @pytest.mark.parametrize("piece", [100, 1024, 50_000])
    def test_pieces_are_the_whole(self, frames, piece):
        rng = np.random.default_rng(frames)
        bands = (rng.standard_normal((frames, 5)) + np.sin(np.arange(frames) / 900)[:, None]).astype(np.float32)
        pieces = (bands[start : start + piece] for start in range(0, frames, piece))
        streamed = np.concatenate([np.zeros((0, 5)), *stream_relative_level(pieces, fps=FPS, n_bands=3)])
        level = running_level(bands[:, :3].max(1, initial=-np.inf), fps=FPS)
        np.testing.assert_allclose(streamed, bands + (2.2 - level)[:, None], atol=1e-5)

    def test_memory_is_that_of_half_a_minute(self):
        """What is received before the first output is bounded, however long the recording is."""
        received = 0

        def pieces():
            nonlocal received
            for _ in range(100):
                received += 1000
                yield np.ones((1000, 4), np.float32)

        emitted = 0
        for piece in stream_relative_level(pieces(), fps=FPS, n_bands=4):
            emitted += len(piece)
            assert received - emitted <= (30 + 5 + 10) * FPS
        assert emitted == 100_000


class TestGain:
    @pytest.mark.parametrize("gain_db", [-59, -40, -20, 5])
    def test_a_gain_changes_nothing(self, gain_db):
        samples = music()
        loud = log_spectrogram(samples[None], RATE, front_end=RELATIVE_BANDS)
        other = log_spectrogram(samples[None] * np.float32(10 ** (gain_db / 20)), RATE, front_end=RELATIVE_BANDS)
        assert loud.shape == (800, N_BANDS + N_SEMITONES)
        np.testing.assert_allclose(compressed(other), compressed(loud), atol=0.02)

    def test_in_blocks(self):
        samples = music(50.0)[None]
        whole = log_spectrogram(samples, RATE, front_end=RELATIVE_BANDS)
        blocks = np.array_split(samples, 37, axis=1)
        pieces = np.concatenate(list(stream_log_spectrogram(blocks, RATE, front_end=RELATIVE_BANDS)))
        np.testing.assert_allclose(pieces, whole, atol=1e-5)

    @pytest.mark.parametrize("samples", [0, 1, 100, 441, 5000])
    def test_short_recordings(self, samples):
        bands = log_spectrogram(np.ones((1, samples), np.float32), RATE, front_end=RELATIVE_BANDS)
        assert bands.shape == (-(-samples // 441), N_BANDS + N_SEMITONES)
        assert np.isfinite(bands).all()

    @pytest.mark.parametrize("rate", [8000, 22_050, 48_000])
    def test_other_sampling_rates(self, rate):
        """A tone has the same semitone bands at every rate that can hold it."""
        tones = [
            log_spectrogram(
                0.5 * np.sin(2 * np.pi * 440 * np.arange(2 * at) / at)[None].astype(np.float32),
                at,
                front_end=RELATIVE_BANDS,
            )
            for at in (RATE, rate)
        ]
        np.testing.assert_allclose(
            compressed(tones[1][50:150, N_BANDS:]), compressed(tones[0][50:150, N_BANDS:]), atol=0.05
        )
