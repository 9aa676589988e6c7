"""The front end: golden numbers, an independent computation, and the same values by every way to them.

`golden()` writes `data/spectrogram.npz`; run it only when the front end changes on purpose, as every network must then
be trained anew:  python -c "import test_spectrogram; test_spectrogram.golden()"
"""

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from levada.beat_tracking import spectrogram
from levada.beat_tracking.spectrogram import (
    GRID,
    N_BANDS,
    file_log_spectrogram,
    filterbank,
    log_spectrogram,
    stream_log_spectrogram,
)
from levada.errors import InputError
from levada.io import audio
from levada.learning.frame_grid import FrameGrid

torch.set_num_threads(1)

GOLDEN = Path(__file__).parents[1] / "golden" / "spectrogram.npz"
RATE = 44100
SILENCE = np.log(np.float32(1e-6))


def song(seconds=0.5, rate=RATE, channels=1):
    """Chirp, tone, click and noise, the same on every machine to 32 bits."""
    time = np.arange(round(seconds * rate)) / rate
    sound = 0.3 * np.sin(2 * np.pi * (60 * time + 2000 * time**2)) + 0.1 * np.sin(2 * np.pi * 440 * time)
    sound += 0.01 * np.sin(12345.678 * np.arange(len(time)) ** 2)  # noise without a generator
    sound[len(time) // 2 : len(time) // 2 + 3] += 0.5
    return np.stack([sound * (1 - 0.1 * channel) for channel in range(channels)]).astype(np.float32)


def golden():
    np.savez_compressed(GOLDEN, bands=log_spectrogram(song(), RATE), filterbank=filterbank())


def madmom_bands(samples):
    """What madmom 0.16 computes, in double precision, from its documentation: frames, FFT, triangles, logarithm."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2047)
    padded = np.concatenate([np.zeros(1024), samples.astype(float), np.zeros(4096)])
    frames = -(-len(samples) // 441)
    magnitudes = np.array([np.abs(np.fft.fft(padded[441 * i : 441 * i + 2048] * window))[:1024] for i in range(frames)])
    edges = []
    for semitone in range(-60, 80):
        hz = 440 * 2 ** (semitone / 12)
        if 30 <= hz <= 17000:
            nearest = int(np.abs(np.arange(1024) * 44100 / 2048 - hz).argmin())
            if nearest not in edges:
                edges.append(nearest)
    bands = np.zeros((frames, len(edges) - 2))
    for band in range(len(edges) - 2):
        left, centre, right = edges[band : band + 3]
        bins = np.arange(left, right)
        rise = (bins - left) / (centre - left)
        weights = np.where(bins < centre, rise, (right - bins) / (right - centre))
        bands[:, band] = magnitudes[:, bins] @ (weights / weights.sum())
    return np.log(bands + 1e-6)


class TestGrid:
    def test_exact(self):
        assert GRID.fps == Fraction(100)
        assert isinstance(GRID.fps, Fraction)
        assert FrameGrid(48000, 441).fps == Fraction(16000, 147)

    @pytest.mark.parametrize(
        ("samples", "frames"), [(0, 0), (1, 1), (441, 1), (442, 2), (44100, 100), (158760001, 360001)]
    )
    def test_frames(self, samples, frames):
        assert GRID.frames(samples) == frames

    def test_times(self):
        assert GRID.time_s(150) == 1.5
        assert GRID.time_s(360000) == 3600  # an hour of frames is an hour

    @pytest.mark.parametrize(("time_s", "frame"), [(0.0, 0), (0.0049, 0), (0.0051, 1), (1.5, 150), (-0.02, -2)])
    def test_nearest_frame(self, time_s, frame):
        assert GRID.frame(time_s) == frame
        assert abs(GRID.time_s(frame) - time_s) <= 0.005


class TestFilterbank:
    def test_shape_and_area(self):
        assert N_BANDS == 81
        assert filterbank().shape == (1024, 81)
        np.testing.assert_allclose(filterbank().sum(0), 1, atol=1e-6)
        assert (filterbank() >= 0).all()

    def test_bands_rise_without_gaps_between_30_hz_and_17_khz(self):
        assert (np.diff(filterbank().argmax(0)) > 0).all()
        heard = np.flatnonzero(filterbank().sum(1)) * RATE / 2048
        assert heard[0] > 30
        assert heard[-1] < 17000
        assert (np.diff(heard) < 22).all()

    def test_nobody_can_change_it(self):
        with pytest.raises(ValueError, match="read-only"):
            filterbank()[0, 0] = 1

    def test_golden(self):
        np.testing.assert_allclose(filterbank(), np.load(GOLDEN)["filterbank"], atol=1e-7)


class TestValues:
    def test_golden(self):
        expected = np.load(GOLDEN)["bands"]
        assert expected.shape == (50, 81)
        np.testing.assert_allclose(log_spectrogram(song(), RATE), expected, atol=1e-3)
        assert GOLDEN.stat().st_size < 50_000

    def test_as_madmom_defines_them(self):
        bands = log_spectrogram(song(), RATE)
        assert bands.dtype == np.float32
        np.testing.assert_allclose(bands, madmom_bands(song()[0]), atol=1e-3)

    @pytest.mark.parametrize("hz", [110, 440, 1000, 5000, 15000])
    def test_a_tone_peaks_in_its_band(self, hz):
        tone = np.sin(2 * np.pi * hz * np.arange(RATE) / RATE)[None].astype(np.float32)
        bands = log_spectrogram(tone, RATE)
        assert set(bands[5:-5].argmax(1)) == {int(filterbank()[round(hz * 2048 / RATE)].argmax())}

    @pytest.mark.parametrize("frame", [0, 7, 30, 49])
    def test_a_frame_is_centred_on_its_time(self, frame):
        sound = np.zeros((1, RATE // 2), np.float32)
        sound[0, frame * 441] = 1
        bands = log_spectrogram(sound, RATE)
        assert bands.sum(1).argmax() == frame

    @pytest.mark.parametrize("rate", [8000, 48000, 192000])
    def test_resampling_moves_nothing(self, rate):
        sound = np.zeros((1, rate), np.float32)
        sound[0, rate // 2] = 1
        bands = log_spectrogram(sound, rate)
        assert abs(len(bands) - 100) <= 1
        assert bands[:, :40].sum(1).argmax() == 50

    def test_silence(self):
        np.testing.assert_allclose(log_spectrogram(np.zeros((1, 5000), np.float32), RATE), SILENCE, rtol=1e-6)

    @pytest.mark.parametrize("samples", [1, 2, 441, 442])
    def test_very_little(self, samples):
        bands = log_spectrogram(np.full((1, samples), 0.5, np.float32), RATE)
        assert bands.shape == (GRID.frames(samples), 81)
        assert np.isfinite(bands).all()

    @pytest.mark.parametrize("rate", [RATE, 48000])
    def test_nothing(self, rate):
        assert log_spectrogram(np.zeros((2, 0), np.float32), rate).shape == (0, 81)
        assert list(stream_log_spectrogram([], rate)) == []

    def test_channels_are_averaged(self):
        eight = song(0.2, channels=8)
        np.testing.assert_array_equal(log_spectrogram(eight, RATE), log_spectrogram(eight.mean(0, keepdims=True), RATE))

    def test_argument_is_not_changed(self):
        sound = song(0.1)
        log_spectrogram(sound, RATE)
        np.testing.assert_array_equal(sound, song(0.1))

    @pytest.mark.parametrize("rate", [0, -44100])
    def test_rates_that_make_no_sense(self, rate):
        with pytest.raises(InputError, match=str(rate)):
            log_spectrogram(song(0.1), rate)


class TestStream:
    @pytest.mark.parametrize("size", [1000, 4410, 44100, 44099, 10**6])
    @pytest.mark.parametrize("rate", [44100, 48000, 8000, 192000])
    def test_pieces_are_the_whole(self, size, rate):
        sound = song(12 if rate == 44100 else 2.3, rate, channels=2)
        pieces = [sound[:, start : start + size] for start in range(0, sound.shape[1], size)]
        streamed = np.concatenate(list(stream_log_spectrogram(pieces, rate)))
        whole = log_spectrogram(sound, rate)
        assert streamed.shape == whole.shape
        np.testing.assert_allclose(np.exp(streamed), np.exp(whole), atol=1e-5)
        if rate == 44100:
            np.testing.assert_allclose(streamed, whole, atol=1e-5)

    def test_odd_and_empty_pieces(self):
        sound = song(3)
        cuts = [0, 0, 1, 2, 440, 441, 2049, 2049, 30001, 100000, sound.shape[1]]
        pieces = [sound[:, start:end] for start, end in pairwise(cuts)]
        streamed = np.concatenate(list(stream_log_spectrogram(pieces, RATE)))
        np.testing.assert_allclose(streamed, log_spectrogram(sound, RATE), atol=1e-5)

    def test_pieces_come_while_audio_does(self):
        given = 0

        def blocks():
            nonlocal given
            for _ in range(60):
                given += 1
                yield np.zeros((1, RATE), np.float32)

        stream = stream_log_spectrogram(blocks(), RATE)
        assert len(next(stream)) >= 1000
        assert given < 15


class TestFiles:
    @pytest.fixture
    def path(self, tmp_path):
        audio.write(tmp_path / "song.wav", song(0.5, channels=2), rate=RATE)
        return tmp_path / "song.wav"

    def forget_how(self, monkeypatch):
        def unreachable(*_, **__):
            raise AssertionError("it was computed again")

        monkeypatch.setattr(spectrogram, "stream_log_spectrogram", unreachable)

    def test_file_as_array(self, path):
        samples, rate = audio.read(path)
        np.testing.assert_allclose(file_log_spectrogram(path), log_spectrogram(samples, rate), atol=1e-5)
        assert [entry.name for entry in path.parent.iterdir()] == ["song.wav"]

    def test_the_second_call_reads_what_the_first_kept(self, path, tmp_path, monkeypatch):
        first = file_log_spectrogram(path, cache=tmp_path / "cache" / "deep")
        self.forget_how(monkeypatch)
        again = file_log_spectrogram(path, cache=tmp_path / "cache" / "deep")
        np.testing.assert_array_equal(first, again)
        with pytest.raises(AssertionError, match="computed again"):
            file_log_spectrogram(path)

    def test_kept_by_content_not_by_name(self, path, tmp_path, monkeypatch):
        first = file_log_spectrogram(path, cache=tmp_path / "cache")
        renamed = path.rename(tmp_path / "other.wav")
        self.forget_how(monkeypatch)
        np.testing.assert_array_equal(first, file_log_spectrogram(renamed, cache=tmp_path / "cache"))

    def test_other_content_is_computed(self, path, tmp_path):
        first = file_log_spectrogram(path, cache=tmp_path / "cache")
        audio.write(path, song(0.5)[:, ::-1], rate=RATE, force=True)
        assert not np.array_equal(first, file_log_spectrogram(path, cache=tmp_path / "cache"))
        assert len(list((tmp_path / "cache").iterdir())) == 2

    @pytest.mark.parametrize("damage", ["empty", "truncated", "text", "shape", "kind", "pickle"])
    def test_a_damaged_cache_is_computed_again(self, path, tmp_path, damage):
        first = file_log_spectrogram(path, cache=tmp_path / "cache")
        (kept,) = (tmp_path / "cache").iterdir()
        content = kept.read_bytes()
        if damage in ("empty", "truncated", "text"):
            kept.write_bytes({"empty": b"", "truncated": content[:-100], "text": b"hello"}[damage])
        else:
            wrong = {"shape": first[:, :80], "kind": first.astype(float), "pickle": np.array([{}], object)}[damage]
            with kept.open("wb") as file:
                np.save(file, wrong)
        np.testing.assert_array_equal(file_log_spectrogram(path, cache=tmp_path / "cache"), first)
        assert kept.read_bytes() == content

    def test_missing(self, tmp_path):
        for cache in (None, tmp_path / "cache"):
            with pytest.raises(InputError, match="no such file"):
                file_log_spectrogram(tmp_path / "none.wav", cache=cache)
