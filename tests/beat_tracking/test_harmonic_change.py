"""Harmonic change: a chord change peaks where it is, a repeated chord does not, and pieces are the whole."""

import numpy as np
import pytest
import torch

from levada.beat_tracking.network_tracker import predict
from levada.beat_tracking.networks.harmonic_change import HarmonicChange
from levada.beat_tracking.networks.tcn import Tcn, TcnSettings
from levada.beat_tracking.spectrogram import N_BANDS, N_SEMITONES, RELATIVE_BANDS, log_spectrogram, semitones_from_a4

torch.set_num_threads(1)

RATE = 44100


def chords(notes, *, chord_s=1.0):
    """Sustained chords, struck every half second, so that onsets alone do not tell where they change."""
    time = np.arange(round(chord_s * RATE)) / RATE
    parts = [
        sum(np.sin(2 * np.pi * 440 * 2 ** (note / 12) * time) for note in chord) * np.exp(-3 * (time % 0.5))
        for chord in notes
    ]
    return 0.1 * np.concatenate(parts).astype(np.float32)


def features(samples):
    """The fifteen features of 50 frames a second."""
    change = HarmonicChange()
    bands = log_spectrogram(samples[None], RATE, front_end=RELATIVE_BANDS)[:, N_BANDS:]
    magnitudes = torch.from_numpy(np.logaddexp(bands[::2], np.log(0.05)) - np.log(0.05)).float()
    padded = torch.cat(
        [magnitudes[:1].expand(change.context, -1), magnitudes, magnitudes[-1:].expand(change.context, -1)]
    )
    return change(padded[None])[0].numpy()


C_MAJOR, F_MAJOR = (-9, -5, -2), (-16, -12, -7)


class TestBands:
    def test_a_note_is_in_its_band(self):
        for note in (-24, -9, 0, 3, 12, 24):
            tone = np.sin(2 * np.pi * 440 * 2 ** (note / 12) * np.arange(RATE) / RATE)
            bands = log_spectrogram(tone[None].astype(np.float32), RATE, front_end=RELATIVE_BANDS)[50, N_BANDS:]
            assert semitones_from_a4()[bands.argmax()] == note

    def test_pitch_classes(self):
        change = HarmonicChange()
        assert change.classes.shape == (N_SEMITONES, 12)
        np.testing.assert_allclose(change.classes.sum(0), 1, rtol=1e-5)


class TestFeatures:
    def test_a_chord_change_peaks_where_it_is(self):
        change = features(chords([C_MAJOR, C_MAJOR, F_MAJOR, F_MAJOR]))
        for column in (6, 7, 8, 11, 12, 13):  # chords and pitch classes, over 0.24 to 1 s
            assert abs(int(change[25:175, column].argmax()) + 25 - 100) <= 3, column

    def test_repeated_chords_change_little(self):
        same, other = features(chords([C_MAJOR] * 4)), features(chords([C_MAJOR, C_MAJOR, F_MAJOR, F_MAJOR]))
        assert same[90:110, 12].max() < 0.3 * other[90:110, 12].max()

    def test_silence_does_not_change(self):
        quiet = features(np.zeros(4 * RATE, np.float32))
        np.testing.assert_allclose(quiet[:, [0, 5, 10]], 0, atol=1e-3)
        np.testing.assert_allclose(quiet, np.broadcast_to(quiet[:1], quiet.shape), atol=1e-3)


class TestNetwork:
    def net(self):
        torch.manual_seed(0)
        return Tcn(TcnSettings(channels=6, levels=3, front=(4, 6), harmony=True)).eval()

    def test_receptive_field_is_true(self):
        net = self.net()
        frames, at = 2 * net.receptive_frames + 40, net.receptive_frames + 20
        before = torch.randn(1, frames, N_BANDS + N_SEMITONES, generator=torch.Generator().manual_seed(1))
        after = before.clone()
        after[0, at] += 5
        with torch.inference_mode():
            difference = (net(before) - net(after)).abs().amax(-1)[0]
        changed = (difference > 1e-5).nonzero().flatten().tolist()  # cumulative sums are rounded
        assert changed[-1] - changed[0] + 1 <= net.receptive_frames
        assert changed[-1] - changed[0] > 0.6 * net.receptive_frames

    @pytest.mark.parametrize("sizes", [[1], [300], [1000, 1, 2, 5000, 77]])
    def test_pieces_are_the_whole(self, sizes):
        rng = np.random.default_rng(0)
        pieces = [rng.standard_normal((size, N_BANDS + N_SEMITONES)).astype(np.float32) for size in sizes]
        whole = predict(self.net(), [np.concatenate(pieces)])
        np.testing.assert_allclose(predict(self.net(), pieces, chunk_steps=100), whole, atol=2e-5)

    def test_old_settings_have_no_harmony(self):
        assert Tcn().front_end == "log81"
        assert not hasattr(Tcn(), "change")
