"""From recordings to beats: in pieces as in one, whatever the file, and folders that survive anything."""

import os
import pickle
import signal
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

from levada.beat_tracking import folders
from levada.beat_tracking.analysis import Analysis
from levada.beat_tracking.decoder import DecoderSettings, probabilities
from levada.beat_tracking.external.tracker import ExternalTracker
from levada.beat_tracking.folders import track_folder
from levada.beat_tracking.metrics import beat_scores
from levada.beat_tracking.network_tracker import NetworkTracker, flux_tracker, network_tracker, predict
from levada.beat_tracking.networks.tcn import tiny
from levada.beat_tracking.spectrogram import GRID, N_BANDS, log_spectrogram
from levada.beat_tracking.tracker import BeatTracker
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.files import LOCK
from levada.io.formats import read_beats
from levada.io.run_folder import MANIFEST

torch.set_num_threads(1)

RATE = 44100


def a_net(levels=4):
    torch.manual_seed(1)
    net = tiny(levels=levels)
    with torch.no_grad():
        net.head.weight *= 20  # so that silence, noise and clicks are not all the same to it
    return net.eval()


def a_tracker(**changes):
    settings = DecoderSettings(metres=(4,), min_tempo_bpm=90, max_tempo_bpm=150, tempi=20)
    return network_tracker(a_net(), name="tiny", settings=settings, **{"identity": "one", **changes})


def clicking(seconds=6.0, *, bpm=120.0, rate=RATE, channels=1):
    """Clicks on every beat, the first at 0.25 s, and a little noise."""
    rng = np.random.default_rng(0)
    sound = 0.002 * rng.standard_normal(round(seconds * rate))
    for at in np.arange(0.25, seconds - 0.1, 60 / bpm):
        start = round(at * rate)
        length = min(round(0.05 * rate), len(sound) - start)
        sound[start : start + length] += 0.5 * rng.standard_normal(length) * np.exp(-np.arange(length) / (0.01 * rate))
    return np.stack([sound] * channels).astype(np.float32)


def clicking_at(times_s, seconds):
    sound = np.zeros((1, round(seconds * RATE)), np.float32)
    click = 0.5 * np.random.default_rng(0).standard_normal(1500) * np.exp(-np.arange(1500) / 400)
    for at in times_s:
        sound[0, round(at * RATE) :][:1500] += click[: sound.shape[1] - round(at * RATE)].astype(np.float32)
    return sound


def bands(frames=700, seed=0):
    return np.random.default_rng(seed).normal(-3, 2, (frames, N_BANDS)).astype(np.float32)


def cut(rows, size):
    return [rows[start : start + size] for start in range(0, len(rows), size)]


class TestHear:
    @pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 64, 699, 1000])
    def test_pieces_are_the_whole(self, size):
        net, given = a_net(), bands()
        whole = predict(net, [given])
        assert whole.shape == (700, 2)
        assert whole.dtype == np.float32
        assert np.ptp(whole) > 0.1
        np.testing.assert_allclose(predict(net, cut(given, size)), whole, atol=1e-5)

    @pytest.mark.parametrize("chunk", [1, 50, 123, 349, 350, 351])
    def test_chunks_are_the_whole(self, chunk):
        net, given = a_net(), bands(300 if chunk == 1 else 700)
        whole = predict(net, [given])
        np.testing.assert_allclose(predict(net, cut(given, 90), chunk_steps=chunk), whole, atol=1e-5)

    def test_as_the_network_itself(self):
        net, given = a_net(), bands()
        with torch.inference_mode():
            expected = probabilities(net(torch.from_numpy(given)[None])[0].numpy())
        np.testing.assert_allclose(predict(net, [given]), expected, atol=1e-5)

    @pytest.mark.parametrize("frames", [1, 2, 5])
    def test_very_little(self, frames):
        net, given = a_net(), bands(frames)
        with torch.inference_mode():
            expected = probabilities(net(torch.from_numpy(given)[None])[0].numpy())
        np.testing.assert_allclose(predict(net, cut(given, 1)), expected, atol=1e-5)

    @pytest.mark.parametrize("pieces", [[], [bands(0)], [bands(0), bands(0)]])
    def test_nothing(self, pieces):
        assert predict(a_net(), pieces).shape == (0, 2)

    def test_empty_pieces_between(self):
        net, given = a_net(), bands(100)
        pieces = [bands(0), given[:40], bands(0), given[40:], bands(0)]
        np.testing.assert_allclose(predict(net, pieces), predict(net, [given]), atol=1e-5)


class TestTracker:
    @pytest.mark.parametrize("make", [a_tracker, flux_tracker])
    @pytest.mark.parametrize(("rate", "channels"), [(44100, 1), (44100, 8), (8000, 1), (192000, 2)])
    def test_a_file_as_an_array(self, tmp_path, monkeypatch, make, rate, channels):
        """In blocks and chunks that are much shorter than the recording."""
        tracker = make()
        audio.write(tmp_path / "song.wav", clicking(rate=rate, channels=channels), rate=rate)
        samples, found_rate = audio.read(tmp_path / "song.wav")
        assert (found_rate, samples.shape[0]) == (rate, channels)
        whole = tracker.track(samples, rate)
        whole_blocks = audio.read_blocks
        monkeypatch.setattr("levada.beat_tracking.network_tracker.CHUNK_STEPS", 110)
        monkeypatch.setattr(audio, "read_blocks", lambda path: whole_blocks(path, block_s=0.7))
        np.testing.assert_allclose(
            tracker.activations(tmp_path / "song.wav"), tracker.activations(samples, rate), atol=2e-4
        )
        streamed = tracker.track(tmp_path / "song.wav")
        np.testing.assert_allclose(streamed.times_s, whole.times_s, atol=1e-6)
        np.testing.assert_array_equal(streamed.positions, whole.positions)

    @pytest.mark.parametrize("rate", [8000, 44100, 192000])
    def test_flux_finds_clicks(self, rate):
        found = flux_tracker().track(clicking(12, rate=rate), rate)
        reference = Beats(np.arange(0.25, 11.9, 0.5))
        assert beat_scores(reference, found, trim_s=0)["beat_f"] > 0.95
        assert found.tempo_bpm == pytest.approx(120, rel=0.01)

    def test_samples_of_clicks_agree_with_the_beats(self):
        tracker = BeatTracker(flux_tracker())
        clicks = clicking(12, rate=RATE)
        samples = tracker.sample(clicks, RATE, n=20, seed=1)
        assert len(samples) == 20
        beats = tracker.track(clicks, RATE)
        assert np.mean([beat_scores(beats, one, trim_s=0)["beat_f"] for one in samples]) > 0.9
        again = tracker.sample(clicks, RATE, n=20, seed=1)
        assert [one.times_s.tolist() for one in again] == [one.times_s.tolist() for one in samples]
        slow = tracker.sample(clicks, RATE, n=5, tempo_bpm=60)
        assert np.median([one.tempo_bpm for one in slow]) == pytest.approx(60, rel=0.08)

    def test_a_tracker_without_a_posterior_has_no_samples(self):
        class Constant:
            name, identity, trained_spans = "constant", "", {}

            def track(self, *_, **__):
                return Beats([0.5, 1.0])

        with pytest.raises(InputError, match="constant has no posterior"):
            BeatTracker(Constant()).sample(clicking(2, rate=RATE), RATE)

    @pytest.mark.parametrize("samples", [0, 1, 441, RATE])
    def test_silence_has_no_beats(self, samples):
        assert len(flux_tracker().track(np.zeros((1, samples), np.float32), RATE)) == 0

    @pytest.mark.parametrize("samples", [1, 2, 1000])
    def test_hardly_any_samples(self, samples):
        found = a_tracker().track(np.full((1, samples), 0.3, np.float32), RATE)
        assert isinstance(found, Beats)
        assert (found.times_s < GRID.time_s(GRID.frames(samples))).all()

    def test_hints_are_passed_through(self):
        hints = Beats([1.0, 1.5, 2.0], [1, 2, 3])
        found = a_tracker().track(clicking(), RATE, hints=hints)
        for at in hints.times_s:
            assert np.abs(found.times_s - at).min() < 0.026

    def test_activations_are_probabilities(self):
        found = a_tracker().activations(clicking(2), RATE)
        assert found.shape == (200, 2)
        assert found.min() >= 0
        assert found.max() <= 1

    def test_settings_are_the_decoders(self):
        half = NetworkTracker("half", flux_tracker().predict, DecoderSettings(min_tempo_bpm=50, max_tempo_bpm=70))
        assert half.track(clicking(12), RATE).tempo_bpm == pytest.approx(60, rel=0.02)

    def test_what_it_was_trained_on(self):
        tracker = a_tracker(trained_spans={"ab": [(0.0, 8.0)]})
        assert tracker.trained_spans == {"ab": [(0.0, 8.0)]}
        assert flux_tracker().trained_spans == {}

    @pytest.mark.parametrize(("tempo_bpm", "expected"), [(60, 60), ((100, 140), 120), ((200, 260), 240)])
    def test_tempi_are_those_asked_for(self, tempo_bpm, expected):
        found = BeatTracker(flux_tracker()).track(clicking(12), RATE, tempo_bpm=tempo_bpm)
        assert found.tempo_bpm == pytest.approx(expected, rel=0.02)

    @pytest.mark.parametrize("metre", [2, 3, 5, 7])
    def test_bars_have_the_beats_asked_for(self, metre):
        found = BeatTracker(flux_tracker()).track(clicking(12), RATE, metres=[metre])
        assert set(found.metres) == {metre}

    def test_beats_of_the_unequal_lengths_asked_for(self):
        lengths = np.tile([0.4, 0.4, 0.4, 0.6], 8)
        times = 0.25 + np.concatenate([[0], np.cumsum(lengths)])
        tracker = BeatTracker(flux_tracker())
        found = tracker.track(clicking_at(times, 15), RATE, metres=["2+2+2+3"], tempo_bpm=(120, 180))
        assert len(found) == len(times)
        np.testing.assert_allclose(found.times_s, times, atol=0.025)
        np.testing.assert_array_equal(found.positions, np.arange(len(times)) % 4 + 1)  # what is long is the fourth
        same, other = (tracker.restrict(metres=metres) for metres in (["4+4+4+6", 4], [4, "2+2+2+3"]))
        assert same.identity == other.identity != tracker.restrict(metres=[4]).identity

    def test_a_part_is_the_part_alone_at_its_place(self, tmp_path):
        sound = clicking(12)
        audio.write(tmp_path / "song.wav", sound, rate=RATE)
        sound, _ = audio.read(tmp_path / "song.wav")
        for backend in (flux_tracker(), a_tracker()):
            alone = backend.track(sound[:, 3 * RATE : 8 * RATE], RATE)
            assert len(alone)
            for source in ((tmp_path / "song.wav",), (sound, RATE)):
                part = BeatTracker(backend).track(*source, start_s=3, end_s=8)
                np.testing.assert_allclose(part.times_s, alone.times_s + 3, atol=1e-6)
                np.testing.assert_array_equal(part.positions, alone.positions)
        rest = BeatTracker(flux_tracker()).track(tmp_path / "song.wav", start_s=6)
        np.testing.assert_allclose(rest.times_s, flux_tracker().track(sound[:, 6 * RATE :], RATE).times_s + 6)

    def test_hints_keep_their_place_in_a_part(self):
        hints = Beats([1.0, 4.0, 4.5], [4, 1, 2])
        found = BeatTracker(a_tracker()).track(clicking(), RATE, hints=hints, start_s=3)
        for at, position in ((4.0, 1), (4.5, 2)):
            nearest = np.abs(found.times_s - at).argmin()
            assert abs(found.times_s[nearest] - at) < 0.03
            assert found.positions[nearest] == position
        assert found.times_s[0] >= 3

    def test_hints_of_a_part_that_are_not_met_are_named(self, caplog):
        hints = Beats([1.0, 4.0, 4.5], [4, 9, 2])
        found = BeatTracker(a_tracker()).track(clicking(), RATE, hints=hints, start_s=3, end_s=5)
        outside, high = caplog.messages
        assert "1 of 3" in outside
        assert high.startswith("in the part from 3.000 s on: the position of hint 1 at 1.000 s, beat 9")
        assert np.abs(found.times_s - 4.0).min() < 0.026

    @pytest.mark.parametrize(
        "options", [{"start_s": 4, "end_s": 2}, {"start_s": 2, "end_s": 2}, {"start_s": 6.0}, {"end_s": 7.5},
                    {"start_s": -1}, {"end_s": float("nan")}, {"end_s": 0}]
    )  # fmt: skip
    def test_parts_that_are_none(self, tmp_path, options):
        audio.write(tmp_path / "song.wav", clicking(), rate=RATE)
        for source in ((tmp_path / "song.wav",), (clicking(), RATE)):
            with pytest.raises(InputError):
                BeatTracker(flux_tracker()).track(*source, **options)

    def test_an_end_that_was_rounded_up_is_the_end(self):
        tracker = BeatTracker(flux_tracker())
        assert tracker.track(clicking(), RATE, end_s=7) == tracker.track(clicking(), RATE)

    def test_an_excerpt_of_an_excerpt(self, tmp_path):
        audio.write(tmp_path / "song.wav", clicking(), rate=RATE)
        with pytest.raises(InputError, match="excerpt already"):
            BeatTracker(flux_tracker()).track(audio.AudioExcerpt(tmp_path / "song.wav", 1), start_s=1)

    @pytest.mark.parametrize(
        ("options", "named"), [({"tempo_bpm": 100}, "a range of tempi"), ({"metres": (3,)}, "metres")]
    )
    def test_trackers_of_others_name_what_they_cannot(self, options, named):
        other = BeatTracker(ExternalTracker("other", lambda samples, rate: Beats([samples.shape[1] / rate / 2])))
        with pytest.raises(InputError, match=f"other cannot be restricted to {named}"):
            other.track(clicking(), RATE, **options)
        assert other.track(clicking(), RATE, start_s=1, end_s=3).times_s.tolist() == [2.0]

    def test_a_restricted_tracker_has_another_identity(self):
        tracker = BeatTracker(a_tracker())
        changed = [{"tempo_bpm": 100}, {"tempo_bpm": (100, 120)}, {"metres": (3,)}, {"tempo_bpm": 100, "metres": (3,)}]
        assert len({tracker.restrict(**options).identity for options in [{}, *changed]}) == 5
        assert tracker.restrict(metres=(2, 4)).identity == tracker.restrict(metres=(4, 2)).identity
        assert tracker.restrict() is tracker

    def test_missing_file(self, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            a_tracker().track(tmp_path / "none.wav")

    def test_the_spectrogram_alone_is_heard(self):
        seen = []

        def listen(pieces):
            seen.extend(pieces)
            return np.zeros((0, 2), np.float32)

        NetworkTracker("ear", listen).activations(clicking(1), RATE)
        np.testing.assert_array_equal(seen[0], log_spectrogram(clicking(1), RATE))


@pytest.fixture
def archive(tmp_path):
    """Three recordings in two folders, and a text that is none."""
    for name, bpm in (("a.wav", 100), ("b.flac", 120), ("tape/c.wav", 140)):
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        audio.write(path, clicking(5, bpm=bpm), rate=RATE)
    (tmp_path / "archive" / "notes.txt").write_text("recorded in May")
    return tmp_path / "archive"


def names(folder):
    found = (path for path in folder.rglob("*") if path.is_file() and path.name not in (LOCK, MANIFEST))
    return sorted(str(path.relative_to(folder)) for path in found)


class SleepsOnB:
    """A tracker that never ends with one recording."""

    name, identity, trained_spans = "sleeps on b", "1", {}

    def track(self, audio, *_others, **_options):
        if audio.name == "b.flac":
            time.sleep(600)
        return Beats([1.0, 2.0])


class TestFolder:
    def test_a_recording_that_takes_too_long_is_named_and_left_out(self, archive, tmp_path):
        report = track_folder(archive, SleepsOnB(), out=tmp_path / "out", timeout_s=8.0)
        assert names(tmp_path / "out") == ["a.beats", "tape/c.beats"]
        (problem,) = report.failed.values()
        assert list(report.failed) == [archive / "b.flac"]
        assert "8 s" in problem
        assert "b.flac" in problem
        with pytest.raises(InputError, match="seconds above 0"):
            track_folder(archive, SleepsOnB(), out=tmp_path / "out", timeout_s=0)

    def test_a_beat_file_for_each(self, archive, tmp_path):
        told = []
        report = track_folder(archive, flux_tracker(), out=tmp_path / "out", progress=lambda *row: told.append(row))
        assert names(tmp_path / "out") == ["a.beats", "b.beats", "tape/c.beats"]
        assert report.written == tuple(tmp_path / "out" / name for name in ("a.beats", "b.beats", "tape/c.beats"))
        assert (report.kept, report.failed) == ((), {})
        assert told == [(1, 3, "a.wav"), (2, 3, "b.flac"), (3, 3, "c.wav")]
        for name, recording in (("a", "a.wav"), ("b", "b.flac"), ("tape/c", "tape/c.wav")):
            written = read_beats(tmp_path / "out" / f"{name}.beats")
            np.testing.assert_allclose(written.times_s, flux_tracker().track(archive / recording).times_s, atol=1e-6)

    def test_goes_on_where_it_was(self, archive, tmp_path):
        out = tmp_path / "out"
        track_folder(archive, flux_tracker(), out=out)
        (out / "b.beats").unlink()
        (out / "a.beats").write_text("9.0\t1\n")  # would change if it were tracked again
        report = track_folder(archive, flux_tracker(), out=out)
        assert report.written == (out / "b.beats",)
        assert report.kept == (out / "a.beats", out / "tape" / "c.beats")
        assert (out / "a.beats").read_text() == "9.0\t1\n"

    def test_other_options_are_another_run(self, archive, tmp_path):
        out = tmp_path / "out"
        options = {"tempo_bpm": (60, 90), "metres": (3,), "start_s": 1, "end_s": 4}
        report = track_folder(archive, flux_tracker(), out=out, **options)
        assert report.failed == {}
        found = read_beats(out / "a.beats")
        expected = BeatTracker(flux_tracker()).track(archive / "a.wav", **options)
        np.testing.assert_allclose(found.times_s, expected.times_s, atol=1e-6)
        assert 1 <= found.times_s[0] < found.times_s[-1] < 4
        assert len(track_folder(archive, flux_tracker(), out=out, **options).kept) == 3
        for name in options:
            with pytest.raises(InputError, match="another"):
                track_folder(archive, flux_tracker(), out=out, **{**options, name: None})

    def test_a_part_of_recordings_that_are_shorter(self, archive, tmp_path):
        audio.write(archive / "short.wav", clicking(2), rate=RATE)
        report = track_folder(archive, flux_tracker(), out=tmp_path / "out", start_s=2.5, end_s=30)
        assert len(report.written) == 3
        assert [path.name for path in report.failed] == ["short.wav"]
        assert read_beats(tmp_path / "out" / "a.beats").times_s[-1] > 4

    def test_options_that_are_none_are_refused_before_any_work(self, archive, tmp_path):
        for options in ({"start_s": 4, "end_s": 2}, {"tempo_bpm": 0}, {"metres": (5, 5)}):
            with pytest.raises(InputError):
                track_folder(archive, flux_tracker(), out=tmp_path / "out", **options)
        assert not (tmp_path / "out").exists()

    def test_clicks_of_the_recordings_that_have_beats(self, archive, tmp_path):
        (archive / "broken.wav").write_bytes(b"no audio")
        out = tmp_path / "out"
        report = track_folder(archive, flux_tracker(), out=out, clicks=out)
        assert [path.name for path in report.failed] == ["broken.wav"]
        clicked = ["a-clicks.wav", "b-clicks.wav", "tape/c-clicks.wav"]
        assert names(out) == sorted([*clicked, "a.beats", "b.beats", "tape/c.beats"])
        (out / "b-clicks.wav").unlink()
        (out / "a-clicks.wav").write_bytes(b"edited")
        again = track_folder(archive, flux_tracker(), out=out, clicks=out)
        assert again.written == ()
        assert (out / "b-clicks.wav").exists()
        assert (out / "a-clicks.wav").read_bytes() == b"edited"

    def test_clicks_among_the_recordings_are_refused(self, archive, tmp_path):
        for place in (archive, archive / "tape", archive / "clicks"):
            with pytest.raises(InputError, match="among the recordings"):
                track_folder(archive, flux_tracker(), out=tmp_path / "out", clicks=place)
        track_folder(archive, flux_tracker(), out=archive / "out", clicks=archive / "out" / "clicks")
        again = track_folder(archive, flux_tracker(), out=archive / "out", clicks=archive / "out" / "clicks")
        assert len(again.kept) == 3

    def test_all_anew_with_force(self, archive, tmp_path):
        out = tmp_path / "out"
        track_folder(archive, flux_tracker(), out=out)
        before = (out / "a.beats").stat().st_mtime_ns
        report = track_folder(archive, flux_tracker(), out=out, force=True)
        assert len(report.written) == 3
        assert (out / "a.beats").stat().st_mtime_ns > before

    def test_what_a_person_corrected_is_kept_even_with_force(self, archive, tmp_path):
        out = tmp_path / "out"
        track_folder(archive, flux_tracker(), out=out)
        (out / "a.beats").write_text("9.0\t1\n")
        report = track_folder(archive, a_tracker(), out=out, force=True)
        assert len(report.written) == 2
        assert "was changed after levada wrote it" in report.failed[archive / "a.wav"]
        assert (out / "a.beats").read_text() == "9.0\t1\n"

    def test_two_models_never_mix(self, archive, tmp_path):
        out = tmp_path / "out"
        track_folder(archive, flux_tracker(), out=out)
        for other in (a_tracker(), NetworkTracker("flux", flux_tracker().predict, identity="flux of tomorrow")):
            with pytest.raises(InputError, match="beats of a run that differs") as told:
                track_folder(archive, other, out=out)
            assert told.value.path == out

    def test_another_version_of_the_same_model(self, archive, tmp_path):
        out = tmp_path / "out"
        track_folder(archive, a_tracker(), out=out)
        with pytest.raises(InputError, match="beats of a run that differs in tracker"):
            track_folder(archive, a_tracker(identity="two"), out=out)

    def test_another_model_with_force_replaces_file_by_file_and_goes_on_after_a_kill(self, archive, tmp_path):
        out = tmp_path / "out"
        track_folder(archive, flux_tracker(), out=out)

        def die(*_):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            track_folder(archive, a_tracker(), out=out, force=True, progress=die)
        assert names(out) == ["a.beats", "b.beats", "tape/c.beats"]  # none was lost before its successor was there
        report = track_folder(archive, a_tracker(), out=out)
        assert (len(report.kept), len(report.written)) == (1, 2)

    def test_a_recording_replaced_under_its_name_is_tracked_again(self, archive, tmp_path):
        out = tmp_path / "out"
        track_folder(archive, flux_tracker(), out=out)
        audio.write(archive / "a.wav", clicking(5, bpm=140), rate=RATE, force=True)
        audio.write(archive / "new.wav", clicking(5, bpm=140), rate=RATE)
        report = track_folder(archive, flux_tracker(), out=out)
        assert [path.name for path in report.written] == ["a.beats", "new.beats"]
        assert read_beats(out / "a.beats").tempo_bpm == pytest.approx(140, rel=0.02)

    def test_beats_that_no_run_wrote_are_kept_and_are_not_the_models(self, archive, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "a.beats").write_text("1.0\t1\n")
        for force in (False, True):
            report = track_folder(archive, flux_tracker(), out=tmp_path / "out", force=force)
            assert "was not written by levada" in report.failed[archive / "a.wav"]
            assert (tmp_path / "out" / "a.beats").read_text() == "1.0\t1\n"
        assert len(report.written) == 2

    def test_a_neighbour_that_comes_later_changes_no_name(self, archive, tmp_path):
        out = tmp_path / "out"
        track_folder(archive, flux_tracker(), out=out)
        for name in ("a.flac", "a.wav.flac"):
            audio.write(archive / name, clicking(5, bpm=140), rate=RATE)
        report = track_folder(archive, flux_tracker(), out=out)
        assert names(out) == ["a.beats", "a.flac.beats", "a.wav.beats", "b.beats", "tape/c.beats"]
        assert (len(report.kept), len(report.written)) == (3, 2)

    def test_names_that_would_be_one_are_two(self, tmp_path):
        for name in ("a.wav", "a.flac", "a.wav.flac"):
            (tmp_path / "in").mkdir(exist_ok=True)
            audio.write(tmp_path / "in" / name, clicking(5), rate=RATE)
        report = track_folder(tmp_path / "in", flux_tracker(), out=tmp_path / "out")
        assert len(set(report.written)) == len(names(tmp_path / "out")) == 3

    @pytest.mark.parametrize("content", ["{\n", "[]\n", '"flux"\n'])
    def test_a_damaged_manifest_is_not_trusted(self, archive, tmp_path, content):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / MANIFEST).write_text(content)
        with pytest.raises(InputError, match=r"line 1: is damaged"):
            track_folder(archive, flux_tracker(), out=tmp_path / "out")

    def test_its_own_output_and_hidden_folders_hold_no_recordings(self, archive):
        (archive / ".cache").mkdir()
        audio.write(archive / ".cache" / "x.wav", clicking(5), rate=RATE)
        (archive / "out").mkdir()
        audio.write(archive / "out" / "y.wav", clicking(5), rate=RATE)
        report = track_folder(archive, flux_tracker(), out=archive / "out")
        assert names(archive / "out") == ["a.beats", "b.beats", "tape/c.beats", "y.wav"]
        assert len(report.written) == 3

    def test_a_recording_that_fails_does_not_stop_the_others(self, archive, tmp_path):
        (archive / "a.wav").write_bytes(b"this is not audio")
        (archive / "empty.wav").write_bytes(b"")
        report = track_folder(archive, flux_tracker(), out=tmp_path / "out")
        assert set(report.failed) == {archive / "a.wav", archive / "empty.wav"}
        assert all(str(path) in problem for path, problem in report.failed.items())
        assert names(tmp_path / "out") == ["b.beats", "tape/c.beats"]
        audio.write(archive / "a.wav", clicking(5), rate=RATE, force=True)
        again = track_folder(archive, flux_tracker(), out=tmp_path / "out")
        assert again.written == (tmp_path / "out" / "a.beats",)
        assert set(again.failed) == {archive / "empty.wav"}

    def test_a_full_disk_is_said_of_each(self, archive, tmp_path, monkeypatch):
        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(folders, "write_beats", full)
        report = track_folder(archive, flux_tracker(), out=tmp_path / "out")
        assert len(report.failed) == 3
        assert all("the disk is full" in problem for problem in report.failed.values())

    def test_names_that_differ_in_their_suffix_alone(self, archive, tmp_path):
        audio.write(archive / "a.flac", clicking(5, bpm=140), rate=RATE)
        report = track_folder(archive, flux_tracker(), out=tmp_path / "out")
        assert len(report.written) == 4
        assert names(tmp_path / "out") == ["a.flac.beats", "a.wav.beats", "b.beats", "tape/c.beats"]
        fast, slow = (read_beats(tmp_path / "out" / f"a.{kind}.beats").tempo_bpm for kind in ("flac", "wav"))
        assert (fast, slow) == (pytest.approx(140, rel=0.02), pytest.approx(100, rel=0.02))

    def test_another_format(self, archive, tmp_path):
        report = track_folder(archive, flux_tracker(), out=tmp_path / "out", suffix=".jams")
        assert {path.suffix for path in report.written} == {".jams"}
        assert read_beats(report.written[0]).tempo_bpm == pytest.approx(100, rel=0.02)

    def test_hidden_files_are_no_recordings(self, archive, tmp_path):
        (archive / "._a.wav").write_bytes(b"what a Mac leaves on a disk")
        assert not track_folder(archive, flux_tracker(), out=tmp_path / "out").failed

    @pytest.mark.parametrize("suffix", [".docx", "", "beats?"])
    def test_no_format(self, archive, tmp_path, suffix):
        with pytest.raises(InputError, match="names no format"):
            track_folder(archive, flux_tracker(), out=tmp_path / "out", suffix=suffix)
        assert not (tmp_path / "out").exists()

    def test_nothing_to_track(self, tmp_path):
        (tmp_path / "empty").mkdir()
        (tmp_path / "empty" / "notes.txt").write_text("soon")
        with pytest.raises(InputError, match="holds no recordings") as told:
            track_folder(tmp_path / "empty", flux_tracker(), out=tmp_path / "out")
        assert told.value.path == tmp_path / "empty"
        assert not (tmp_path / "out").exists()

    def test_no_folder(self, tmp_path):
        with pytest.raises(InputError, match="no such folder"):
            track_folder(tmp_path / "none", flux_tracker(), out=tmp_path / "out")

    def test_a_file_in_the_place_of_the_output(self, archive, tmp_path):
        (tmp_path / "out").write_text("")
        with pytest.raises(InputError, match="is a file"):
            track_folder(archive, flux_tracker(), out=tmp_path / "out")


def killed_by_the_system(_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.slow
class TestProcesses:
    def test_two_give_the_same_files(self, archive, tmp_path):
        (archive / "broken.wav").write_bytes(b"no audio")
        alone = track_folder(archive, a_tracker(), out=tmp_path / "one")
        both = track_folder(archive, a_tracker(), out=tmp_path / "two", processes=2)
        assert set(both.failed) == set(alone.failed) == {archive / "broken.wav"}
        assert names(tmp_path / "one") == names(tmp_path / "two")
        for name in names(tmp_path / "one"):
            assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()

    def test_a_process_that_is_killed_is_said(self, archive, tmp_path):
        report = track_folder(
            archive, NetworkTracker("doomed", killed_by_the_system), out=tmp_path / "out", processes=2
        )
        assert len(report.failed) == 3
        assert all(problem == f"{path}: {problem[len(str(path)) + 2 :]}" for path, problem in report.failed.items())
        assert all("SIGKILL" in problem for problem in report.failed.values())

    def test_killed_in_the_middle(self, tmp_path):
        """After its second file; what it left is whole, and the next call goes on."""
        archive, out = tmp_path / "archive", tmp_path / "out"
        archive.mkdir()
        for number in range(5):
            audio.write(archive / f"{number}.wav", clicking(4, bpm=100 + 10 * number), rate=RATE)
        script = (
            "import sys, time\n"
            "from levada.beat_tracking.network_tracker import flux_tracker\n"
            "from levada.beat_tracking.folders import track_folder\n"
            "stop = lambda done, *_: time.sleep(600 if done == 2 else 0)\n"
            "track_folder(sys.argv[1], flux_tracker(), out=sys.argv[2], progress=stop)\n"
        )
        run = subprocess.Popen([sys.executable, "-c", script, str(archive), str(out)])
        try:
            until = time.monotonic() + 300
            while not (out / "1.beats").exists() and time.monotonic() < until and run.poll() is None:
                time.sleep(0.01)
        finally:
            os.kill(run.pid, signal.SIGKILL)
            run.wait()
        assert run.returncode == -signal.SIGKILL
        left = sorted(path.name for path in out.glob("[0-9].beats"))
        assert 2 <= len(left) < 5
        report = track_folder(archive, flux_tracker(), out=out)
        assert [path.name for path in report.kept] == left
        assert len(report.written) == 5 - len(left)
        for number in range(5):
            found = read_beats(out / f"{number}.beats")
            np.testing.assert_allclose(
                found.times_s, flux_tracker().track(archive / f"{number}.wav").times_s, atol=1e-6
            )


def sent_away(work, jobs, *, load):
    """Other machines: nothing gets there or back but what can be pickled, and the last comes first."""
    for job in reversed(jobs):
        try:
            content = pickle.dumps(load(job))
            yield job, pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(work))(pickle.loads(content))))
        except Exception as error:
            yield job, pickle.loads(pickle.dumps(error))


def crashes(_):
    raise ZeroDivisionError("a fault of its own")


class TestElsewhere:
    def test_gives_the_same_files(self, archive, tmp_path):
        (archive / "broken.wav").write_bytes(b"no audio")
        here = track_folder(archive, a_tracker(), out=tmp_path / "here")
        away = track_folder(archive, a_tracker(), out=tmp_path / "away", each=sent_away)
        assert [path.name for path in away.written] == [path.name for path in here.written]
        assert away.failed == here.failed
        assert names(tmp_path / "here") == names(tmp_path / "away")
        for name in names(tmp_path / "here"):
            assert (tmp_path / "here" / name).read_bytes() == (tmp_path / "away" / name).read_bytes()

    @pytest.mark.parametrize("how", [{"processes": 1}, {"processes": 2}, {"each": sent_away}])
    def test_a_damaged_recording_is_warned_of_by_its_name_wherever_it_is_tracked(self, archive, tmp_path, caplog, how):
        content = (archive / "a.wav").read_bytes()
        (archive / "a.wav").write_bytes(content[: len(content) // 2])
        track_folder(archive, flux_tracker(), out=tmp_path / "out", **how)
        (said,) = dict.fromkeys(caplog.messages)
        assert said.startswith(f"{archive / 'a.wav'}: truncated: ")

    def test_sees_no_file_of_ours(self, archive, tmp_path, monkeypatch):
        def of_another(_self, path, *_, **__):
            assert archive not in path.parents
            assert path.suffix in (".wav", ".flac")
            return Analysis(Beats(np.array([float(len(path.read_bytes()))])))

        monkeypatch.setattr(NetworkTracker, "analyse", of_another)
        track_folder(archive, a_tracker(), out=tmp_path / "out", each=sent_away)
        assert read_beats(tmp_path / "out" / "a.beats").times_s == [(archive / "a.wav").stat().st_size]

    def test_goes_on_where_it_was(self, archive, tmp_path):
        def dies(work, jobs, *, load):
            yield next(sent_away(work, jobs, load=load))
            raise InputError("the Ray cluster was lost on the way")

        with pytest.raises(InputError, match="lost on the way"):
            track_folder(archive, flux_tracker(), out=tmp_path / "out", each=dies)
        again = track_folder(archive, flux_tracker(), out=tmp_path / "out", each=sent_away)
        assert (len(again.kept), len(again.written)) == (1, 2)

    def test_a_recording_that_is_gone_does_not_stop_the_others(self, archive, tmp_path):
        def late(work, jobs, *, load):
            (archive / "a.wav").unlink()
            yield from sent_away(work, jobs, load=load)

        report = track_folder(archive, flux_tracker(), out=tmp_path / "out", each=late)
        assert set(report.failed) == {archive / "a.wav"}
        assert "No such file" in report.failed[archive / "a.wav"]
        assert len(report.written) == 2

    def test_a_process_that_was_lost_is_said(self, archive, tmp_path):
        def lost(_, jobs, **__):
            yield from ((job, BrokenExecutor("its process was lost 4 times")) for job in jobs)

        report = track_folder(archive, flux_tracker(), out=tmp_path / "out", each=lost)
        assert all("its process was lost 4 times" in problem for problem in report.failed.values())
        assert len(report.failed) == 3

    def test_a_fault_of_the_tracker_costs_one_recording(self, archive, tmp_path):
        report = track_folder(archive, NetworkTracker("faulty", crashes), out=tmp_path / "out", each=sent_away)
        assert len(report.failed) == 3
        assert all("ZeroDivisionError: a fault of its own" in problem for problem in report.failed.values())


def test_progress_counts_the_seconds_heard(tmp_path):
    recording = tmp_path / "song.wav"
    audio.write(recording, np.random.default_rng(0).normal(0, 0.1, (1, 44100 * 31)).astype(np.float32), rate=44100)
    told = []
    flux_tracker().activations(recording, progress=lambda done, total: told.append((done, total)))
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert told[-1] == (31, 31)


def test_jams_of_a_folder_says_what_made_it_and_how_long_the_recording_is(tmp_path):
    import json

    from levada import __version__

    (tmp_path / "in").mkdir()
    audio.write(tmp_path / "in" / "a.wav", np.random.default_rng(0).uniform(-0.3, 0.3, (1, 44100 * 6)), rate=44100)
    tracker = flux_tracker()
    track_folder(tmp_path / "in", tracker, out=tmp_path / "out", suffix=".jams")
    document = json.loads((tmp_path / "out" / "a.jams").read_text())
    assert document["file_metadata"]["duration"] == 6.0
    made = document["annotations"][0]["sandbox"]["levada"]
    assert made == {"version": __version__, "model": "flux", "identity": tracker.identity}


class TestDefaultProcesses:
    """By default, another process is started only where there is music enough for it, and a core."""

    @pytest.mark.parametrize(
        ("length_s", "cores", "processes"), [(12.0, 2, 1), (1000.0, 2, 2), (1000.0, 1, 1)], ids=["short", "long", "one"]
    )
    def test_are_no_more_than_are_worth_it(self, rendered, tmp_path, monkeypatch, length_s, cores, processes):
        asked = []

        def each(work, jobs, *, processes, timeout_s):
            assert timeout_s is None
            asked.append(processes)
            yield from ((job, work(job)) for job in jobs)

        info = audio.info
        monkeypatch.setattr(folders.audio, "info", lambda path: replace(info(path), duration_s=length_s))
        monkeypatch.setattr(folders.workers, "parallel_map", each)
        monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(cores)), raising=False)
        track_folder(rendered, flux_tracker(), out=tmp_path / "out", processes=None)
        assert asked == [processes]
