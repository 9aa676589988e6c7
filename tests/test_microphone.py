"""What a microphone makes of music: never clipped, never late, never the same."""

import numpy as np

from levada.microphone import record
from levada.voices import RATE


def rng(seed=0):
    return np.random.default_rng(seed)


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
