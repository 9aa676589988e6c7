"""librosa's tracker: its own beats, no places in the bar, and clear words where it cannot."""

import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest

from levada.beat_tracking.external import librosa as external_librosa
from levada.beat_tracking.external.compiled_code import restore
from levada.errors import InputError, MissingExtra
from levada.io import audio, workers
from levada.io.beats import Beats
from levada.io.workers import private_numba_cache

librosa = pytest.importorskip("librosa", reason="librosa is not installed (pip install 'levada[librosa]')")


def clicks(*, rate=44100, bpm=120.0, duration_s=12.0):
    return audio.clicks(Beats(np.arange(0.5, duration_s - 0.5, 60 / bpm)), rate=rate, duration_s=duration_s)[None]


@pytest.mark.slow
class TestTracker:
    def test_its_beats_are_librosas_own(self, rendered):
        path = rendered / "a.wav"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            own = librosa.beat.beat_track(y=librosa.load(path)[0], units="time")[1]
        found = external_librosa.tracker().track(path)
        assert len(found) >= 10
        assert np.array_equal(found.times_s, own)

    @pytest.mark.parametrize("rate", [8000, 22050, 44100])
    def test_hears_clicks(self, rate):
        found = external_librosa.tracker().track(clicks(rate=rate), rate)
        assert found.tempo_bpm == pytest.approx(120, abs=4)
        assert np.abs((found.times_s - 0.5 + 0.25) % 0.5 - 0.25).max() < 0.06

    def test_knows_no_places_in_the_bar(self):
        assert not external_librosa.tracker().track(clicks(), 44100).positions.any()

    @pytest.mark.parametrize(
        ("samples", "rate"),
        [
            (np.zeros((1, 0), np.float32), 44100),
            (np.ones((1, 1), np.float32), 44100),
            (np.ones((2, 5), np.float32), 8000),
            (np.zeros((1, 44100), np.float32), 44100),
            (np.ones((1, 44100), np.float32), 44100),
            (np.random.default_rng(0).normal(0, 0.1, (8, 8000)).astype(np.float32), 8000),
        ],
        ids=["nothing", "one sample", "five samples", "silence", "constant", "eight channels"],
    )
    def test_little_or_strange_audio_has_few_beats(self, samples, rate):
        assert len(external_librosa.tracker().track(samples, rate)) <= 4

    def test_survives_a_process(self):
        tracker = external_librosa.tracker()
        assert tracker.identity == f"librosa {librosa.__version__}"
        assert pickle.loads(pickle.dumps(tracker)) == tracker


def found_apart(path):
    """Beats of a recording in a process of its own, and its cache before and after."""
    restore("librosa")
    cache = private_numba_cache()
    before = stamps(cache)
    found = external_librosa.tracker().track(path)
    return found.times_s, cache, before, stamps(cache)


def stamps(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.nb[ci]")}


@pytest.mark.slow
def test_what_is_compiled_is_written_by_one_process_and_copied_by_others(rendered, cache_in_tmp_path):
    """Two that fill one cache leave code that crashes whoever loads it, and the one beside librosa lasts."""
    beside = Path(librosa.__file__).parent
    untouched = stamps(beside)
    path = rendered / "a.wav"
    with workers.process_pool(1) as lent:
        times_s, cache, before, compiled = lent.submit(found_apart, path).result()
    assert not before
    assert compiled
    assert not cache.exists()
    (published,) = (cache_in_tmp_path / "levada").iterdir()
    assert stamps(published) == compiled
    with workers.process_pool(1) as one, workers.process_pool(1) as other:
        later = [future.result() for future in [lent.submit(found_apart, path) for lent in (one, other)]]
    assert len({cache, *(own for _, own, _, _ in later)}) == 3
    for found_s, _, begun, ended in later:
        assert begun == ended == compiled  # nothing is compiled again
        assert np.array_equal(found_s, times_s)
    assert stamps(published) == compiled
    assert stamps(beside) == untouched


class TestRefuses:
    def test_hints(self):
        with pytest.raises(InputError, match="librosa takes no hints"):
            external_librosa.tracker().track(clicks(), 44100, hints=Beats([1.0]))

    def test_what_is_not_finite(self):
        with pytest.raises(InputError, match="not all finite"):
            external_librosa.tracker().track(np.full((1, 44100), np.inf, np.float32), 44100)

    @pytest.mark.slow
    def test_fails_on_one_recording_and_not_on_the_next(self, monkeypatch):
        tracker = external_librosa.tracker()

        def failing(**_):
            raise librosa.ParameterError("no such thing")

        with monkeypatch.context() as patched:
            patched.setattr(librosa.beat, "beat_track", failing)
            with pytest.raises(InputError, match="librosa fails on this recording: ParameterError: no such thing"):
                tracker.track(clicks(), 44100)
        assert len(tracker.track(clicks(), 44100)) > 10

    def test_where_it_is_not_installed(self, hide_module):
        hide_module("librosa")
        with pytest.raises(MissingExtra, match=r"librosa is needed to use its beat tracker: .*levada\[librosa\]"):
            external_librosa.tracker()
