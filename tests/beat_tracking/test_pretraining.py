"""Pre-training: settings that make sense, pieces told by their number, and a run that a kill does not change."""

import os
import shutil
import signal
from concurrent.futures import Future
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from levada.beat_tracking import pretraining as pretrain
from levada.beat_tracking import pretraining_pieces
from levada.beat_tracking.network_tracker import tracker_of_weights
from levada.beat_tracking.networks import load
from levada.beat_tracking.networks.tcn import Tcn, tiny
from levada.beat_tracking.pretraining import (
    PretrainSettings,
    ValidationSet,
    pretrain_tracker,
    read_settings,
    validation_set,
)
from levada.beat_tracking.pretraining_card import card
from levada.beat_tracking.pretraining_pieces import Piece, render_piece, soloists, with_interludes
from levada.data.sources import Source
from levada.errors import InputError
from levada.io.beats import Beats
from levada.learning import training
from levada.learning.card import Card
from levada.learning.training_log import LOG
from levada.learning.weights import Weights, save
from levada.synth.composition import Material

torch.set_num_threads(1)

SHORT = Material(piece_s=4.0, tunes_share=0.0)
SMALL = PretrainSettings(steps=3, batch=2, excerpt_s=2.0, first_pieces=2, pieces_per_step=0.5, pool=3, material=SHORT)


class Killed(BaseException):
    """What no code may catch."""


def rng(seed=0):
    return np.random.default_rng(seed)


class TestSettings:
    @pytest.mark.parametrize("name", ["base", "latin"])
    def test_the_recipes_that_ship(self, name):
        recipe = Path(__file__).parents[2] / "pretraining" / f"{name}.toml"
        settings = read_settings(recipe)
        assert settings.steps > 1000
        assert settings.material.groove.startswith(str(recipe.parent))
        assert settings.start == ("" if name == "base" else "base")
        assert bool(settings.traditions) == (name == "latin")

    def test_values_and_defaults(self, tmp_path):
        path = tmp_path / "mine.toml"
        path.write_text('steps = 7\nvalidation_corpus = "real"\n[material]\npiece_s = 5\ngroove = "data/groove"\n')
        material = Material(piece_s=5, groove=str(tmp_path / "data/groove"))
        assert read_settings(path) == PretrainSettings(
            steps=7, validation_corpus=str(tmp_path / "real"), material=material
        )

    def test_a_model_to_start_from_is_a_folder_beside_the_file_or_a_name(self, tmp_path):
        (tmp_path / "mine").mkdir()
        for start, expected in (("mine", str(tmp_path / "mine")), ("base", "base")):
            (tmp_path / "mine.toml").write_text(f'start = "{start}"')
            assert read_settings(tmp_path / "mine.toml").start == expected

    @pytest.mark.parametrize(
        ("text", "told"),
        [
            ("step = 3", "do not exist: step"),
            ("steps = 0", "steps must not be 0"),
            ("steps = 2.5", "steps must be a whole number"),
            ("steps = true", "steps must be a whole number"),
            ('batch = "six"', "batch must be a whole number"),
            ("excerpt_s = -1.0", "excerpt_s must not be -1.0"),
            ("excerpt_s = nan", "excerpt_s must not be nan"),
            ("first_pieces = 0", "first_pieces must not be 0"),
            ("pool = 0", "pool must not be 0"),
            ("learning_rate = 0", "learning_rate must not be 0"),
            ("learning_rate = inf", "learning_rate must not be inf"),
            ("sampled = 1.5", "sampled is a fraction"),
            ("traditions = 2.0", "traditions is a fraction"),
            ("average = 1.0", "average must be below 1"),
            ('precision = "half"', "float32 or bfloat16"),
            ('soundfonts = "a.sf2"', "soundfonts must be a list"),
            ("soundfonts = [3]", "soundfonts must be names"),
            ("start = 3", "start must be a text"),
            ("no_pulse = 1", "no_pulse must be true or false"),
            ("seed = -1", "seed must not be -1"),
            ("material = 3", "material must be a table"),
            ("[material]\npeice_s = 1", "do not exist: peice_s"),
            ("[material]\npiece_s = -1", "piece_s must be"),
        ],
    )
    def test_wrong(self, tmp_path, text, told):
        path = tmp_path / "mine.toml"
        path.write_text(text)
        with pytest.raises(InputError, match=told) as error:
            read_settings(path)
        assert error.value.path == path

    def test_broken_toml_names_the_line(self, tmp_path):
        (tmp_path / "mine.toml").write_text("steps = 3\nbatch 4\n")
        with pytest.raises(InputError, match="not valid TOML") as told:
            read_settings(tmp_path / "mine.toml")
        assert told.value.line == 2

    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            read_settings(tmp_path / "none.toml")


class TestHear:
    def test_a_piece_is_told_by_its_number_and_the_seed(self):
        one, same, other, seeded = (
            render_piece(index, settings)
            for index, settings in ((4, SMALL), (4, SMALL), (5, SMALL), (4, replace(SMALL, seed=1)))
        )
        np.testing.assert_array_equal(one.bands, same.bands)
        assert one.beats == same.beats
        assert one.beats != other.beats
        assert one.beats != seeded.beats

    def test_what_is_heard(self):
        piece = render_piece(0, SMALL)
        assert piece.bands.shape == (400, 81)
        assert piece.bands.dtype == np.float16
        assert np.isfinite(piece.bands).all()
        assert np.ptp(piece.bands.astype(float)) > 3

    def test_traditions_are_heard_where_they_are_asked_for(self):
        settings = replace(SMALL, traditions=1.0)
        played = [pretraining_pieces._performance(rng(seed), settings).voices for seed in range(10)]
        parts = {part.name for known in pretraining_pieces._traditions() for part in known.instruments}
        assert all(
            {part.rsplit("-", 1)[0] if part[-1].isdigit() else part for part in voices} <= parts for voices in played
        )

    @pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
    def test_one_or_two_instruments_are_alone_as_often_as_the_settings_have_it(self, share):
        settings = replace(SMALL, traditions=1.0, soloists=share)
        numbers = [len(pretraining_pieces._performance(rng(seed), settings).voices) for seed in range(60)]
        alone = sum(number <= 2 for number in numbers) / 60
        assert share - 0.2 < alone <= min(1.0, share + 0.35)

    def test_who_plays_alone(self):
        """The lowest surdo and not the other, a guitar now and then, and nobody whose strokes are all off the beat."""

        def seen(name):
            tradition = next(known for known in pretraining_pieces._traditions() if known.name == name)
            groups = [soloists(tradition, rng(seed)).instruments for seed in range(300)]
            assert {len(group) for group in groups} == {1, 2}
            assert all(part.presence == 1 and part.players == (1, 1) for group in groups for part in group)
            return {part.name for group in groups for part in group}

        samba, choro, cumbia, candombe = (seen(name) for name in ("samba", "choro", "cumbia", "candombe"))
        assert {"surdo", "tamborim", "pandeiro"} <= samba
        assert "resposta" not in samba
        assert {"violao", "pandeiro"} <= choro
        assert "flauta" not in choro
        assert "llamador" not in cumbia
        assert {"chico", "repique", "piano"} <= candombe

    def test_relative_bands_and_no_music(self):
        settings = replace(SMALL, front_end="log81+semitones", non_music=1.0, quiet=1.0)
        piece = render_piece(3, settings)
        assert piece.bands.shape == (400, 142)
        assert len(piece.beats) == 0

    def test_a_metronome_has_beats(self):
        piece = render_piece(3, replace(SMALL, metronome=1.0))
        assert 2 <= len(piece.beats) < 14
        rows = np.rint(piece.beats.times_s * 100).astype(int)
        loud = piece.bands.astype(float).max(axis=1)
        near = np.array([loud[row - 3 : row + 6].max() for row in rows])
        assert np.median(near) > np.median(loud)

    def test_interludes_move_the_beats_with_the_music(self):
        """Clicks of a sine that nothing else has stay under the beats, wherever the sounds are put."""
        beats = Beats(np.arange(0.5, 9.5, 0.5), np.arange(18) % 4 + 1)
        samples = np.zeros(10 * 44100, np.float32)
        for time_s in beats.times_s:
            start = round(time_s * 44100)
            samples[start : start + 400] = np.sin(2 * np.pi * 11025 * np.arange(400) / 44100)
        places = set()
        for seed in range(12):
            longer, moved = with_interludes(samples, beats, rng=rng(seed))
            assert len(longer) > len(samples) + 3 * 44100
            assert len(moved) == len(beats)
            assert moved.positions.tolist() == beats.positions.tolist()
            shift = moved.times_s - beats.times_s
            places.add("after" if not shift.any() else "before" if shift.all() else "between")
            for time_s in moved.times_s:
                start = round(time_s * 44100)
                spectrum = np.abs(np.fft.rfft(longer[start : start + 400]))
                assert spectrum[95:106].max() > 40, (seed, time_s)  # less where the music fades
        assert places == {"before", "after", "between"}


class TestValidation:
    BEATS = Beats(np.arange(0.5, 19.5, 0.5), np.arange(38) % 4 + 1)

    def recordings(self):
        bands = np.full((2000, 81), -8, np.float32)
        return ValidationSet((("clicks", bands, self.BEATS),))

    def test_grades_of_a_network_that_knows(self):
        class Knowing(torch.nn.Module):
            def forward(self, bands):
                logits = torch.full((1, bands.shape[1], 2), -6.0)
                logits[0, 50:1950:50, 0] = 6
                logits[0, 50:1950:200, 1] = 6
                return logits

        grades = self.recordings().score(Knowing())
        assert grades == {
            "clicks_beat": 1.0,
            "clicks_downbeat": 1.0,
            "clicks_downbeat_cmlt": 1.0,
            "clicks_peaks": 1.0,
        }

    def test_grades_of_one_that_does_not(self):
        torch.manual_seed(0)
        assert self.recordings().score(tiny().eval())["clicks_peaks"] < 0.7

    def test_recordings(self, rendered):
        found = validation_set(replace(SMALL, validation_corpus=str(rendered))).recordings
        assert len(found) >= 2
        assert all(bands.shape[1] == 81 and len(beats) for _, bands, beats in found)

    def test_no_music_is_scored_where_it_is_trained_on(self, monkeypatch):
        pytest.importorskip("fluidsynth", reason="FluidSynth is not installed")
        monkeypatch.setattr(pretrain, "VALIDATION_PIECES", 1)
        try:
            settings = replace(SMALL, validation_soundfont="TimGM6mb.sf2", non_music=0.1)
            recordings = validation_set(settings).recordings
        except InputError:
            pytest.skip("the SoundFont is not installed")
        if not recordings:
            pytest.skip("the SoundFont is not installed")
        assert [(group, bool(len(beats))) for group, _, beats in recordings] == [
            ("rendered", True),
            ("non_music", False),
        ]
        assert validation_set(settings).score(tiny().eval()).keys() >= {"rendered_beat", "non_music_peaks_per_s"}

    def test_what_is_missing_is_left_out_and_said(self, tmp_path, caplog):
        settings = replace(SMALL, validation_corpus=str(tmp_path / "none"), validation_soundfont="nobody-has-this.sf2")
        assert validation_set(settings).recordings == ()
        assert "none is missing" in caplog.text
        assert "nobody-has-this.sf2" in caplog.text


class Here:
    """A pool of processes that is this one, and makes pieces of its own in place of music."""

    def __init__(self, make):
        self.asked, self.make = [], make

    def submit(self, _, index, settings):
        self.asked.append(index)
        future = Future()
        future.set_result(self.make(index, settings))
        return future


def told_apart(index, settings):
    """A piece that shows its number in every frame, with a beat every half second."""
    beats = np.arange(0.2, settings.material.piece_s, 0.5)
    bands = np.full((round(settings.material.piece_s * 100), 81), float(index), np.float16)
    return Piece(bands, Beats(beats, np.arange(len(beats)) % 4 + 1))


@pytest.mark.slow
class TestStream:
    @pytest.fixture
    def stream(self, monkeypatch):
        monkeypatch.setattr(pretrain, "AUGMENTATION", replace(pretrain.AUGMENTATION, level_db=0, tone_db=0, hidden=0))

        def make_stream(**changes):
            return pretrain._Stream(replace(SMALL, **changes), Here(told_apart), ahead=2)

        return make_stream

    def heard(self, batch):
        return set(batch.bands.numpy().round().astype(int).ravel().tolist())

    def test_shapes(self, stream):
        (batch, *_) = stream(batch=3).batches(0)
        assert batch.bands.shape == (3, 200, 81)
        assert batch.targets.shape == batch.mask.shape == (3, 200, 2)
        assert all(column.dtype == torch.float32 for column in batch)

    def test_pieces_come_with_the_steps_and_old_ones_go(self, stream):
        settings = {"steps": 40, "batch": 30, "first_pieces": 2, "pieces_per_step": 0.5, "pool": 3}
        heard = [self.heard(batch) for batch in stream(**settings).batches(0)]
        for step, pieces in enumerate(heard):
            last = 2 + step // 2
            assert pieces == set(range(max(0, last - 3), last)), step

    def test_nothing_is_rendered_that_nobody_hears(self, stream):
        streamed = stream(steps=9, first_pieces=2, pieces_per_step=0.5)
        assert len(list(streamed.batches(0))) == 9
        assert streamed.pool.asked == list(range(2 + 8 // 2))

    @pytest.mark.parametrize("start", [1, 6, 19])
    def test_a_resumed_stream_is_the_same(self, stream, start):
        settings = {"steps": 20, "first_pieces": 2, "pieces_per_step": 0.7, "pool": 4}
        whole, resumed = list(stream(**settings).batches(0)), list(stream(**settings).batches(start))
        assert len(resumed) == 20 - start
        for one, other in zip(whole[start:], resumed, strict=True):
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))

    def test_beats_stay_on_the_audio(self, monkeypatch):
        """Clicks in the spectrogram are where the targets are, however fast the excerpt became."""

        def clicking(index, settings):
            piece = told_apart(index, settings)
            bands = np.full_like(piece.bands, -8)
            bands[np.round(piece.beats.times_s * 100).astype(int)] = 2
            return Piece(bands, piece.beats)

        monkeypatch.setattr(pretrain, "AUGMENTATION", replace(pretrain.AUGMENTATION, hidden=0))
        settings = replace(SMALL, steps=10, batch=4)
        intervals = []
        for batch in pretrain._Stream(settings, Here(clicking), ahead=2).batches(0):
            for bands, targets in zip(batch.bands.mean(2).numpy(), batch.targets[..., 0].numpy(), strict=True):
                at = np.flatnonzero(targets)
                clicks = np.flatnonzero(bands > (bands.min() + bands.max()) / 2)
                clicks = clicks[clicks > 2]  # a beat just before the excerpt is none of its beats
                assert np.abs(clicks[:, None] - at).min(1).max() <= 1
                intervals.extend(np.diff(at))
        assert 40 <= min(intervals) < 47
        assert 53 < max(intervals) <= 62

    def test_beyond_the_end_of_a_piece_nobody_knows(self, stream):
        for batch in stream(material=replace(SHORT, piece_s=1.0), batch=10).batches(0):
            known = batch.mask[..., 0].sum(1)
            assert (known <= 124).all()
            assert (known >= 80).all()
            assert not batch.targets[:, 124:].any()


@pytest.mark.slow
class TestPretrain:
    def test_a_killed_run_goes_on_as_if_nothing_had_happened(self, tmp_path, monkeypatch):
        monkeypatch.setattr(training, "SAVE_EVERY_S", 0)

        def die(step, *_):
            if step == 2:
                raise Killed

        with pytest.raises(Killed):
            pretrain.train_network(SMALL, folder=tmp_path / "killed", progress=die)
        resumed = pretrain.train_network(SMALL, folder=tmp_path / "killed")
        whole = pretrain.train_network(SMALL, folder=tmp_path / "whole")
        assert isinstance(resumed, Tcn)
        for name, weights in whole.state_dict().items():
            assert torch.equal(weights, resumed.state_dict()[name]), name
        logs = [(tmp_path / name / LOG).read_text().splitlines() for name in ("killed", "whole")]
        assert [[row.split(",")[i] for i in (0, 2)] for row in logs[0]] == [
            [row.split(",")[i] for i in (0, 2)] for row in logs[1]
        ]

    def test_make_saves_a_model_with_its_card_and_log(self, tmp_path):
        base = pretrain_tracker(replace(SMALL, steps=1), out=tmp_path / "base")
        loaded = load(tmp_path / "base")
        assert torch.equal(loaded.net.head.weight, base.net.head.weight)
        assert loaded.card.name == "base"
        assert loaded.training["steps"] == 1
        assert (tmp_path / "base" / LOG).read_text().startswith("step,seconds,loss")
        assert [path.name for path in tmp_path.iterdir()] == ["base"]

    @pytest.mark.parametrize(
        ("settings", "decoder"),
        [({}, {}), ({"non_music": 0.2}, {"no_pulse_enter": 16.0}), ({"non_music": 0.2, "no_pulse": False}, {})],
    )
    def test_a_model_trained_without_music_too_has_stretches_without_a_pulse(self, tmp_path, settings, decoder):
        pretrain_tracker(replace(SMALL, steps=1, **settings), out=tmp_path / "base")
        loaded = load(tmp_path / "base")
        assert loaded.decoder == decoder
        assert tracker_of_weights(loaded, name="").settings.no_pulse_enter == decoder.get("no_pulse_enter")

    def test_another_model_of_the_same_name_to_start_from_is_another_run(self, tmp_path):
        def die(*_):
            raise Killed

        for place, seed in (("one", 0), ("two", 1)):
            torch.manual_seed(seed)
            (tmp_path / place).mkdir()
            save(tmp_path / place / "base", Weights(tiny(), card(SMALL, name="base")))
        one, two = (replace(SMALL, start=str(tmp_path / place / "base")) for place in ("one", "two"))
        with pytest.raises(Killed):
            pretrain_tracker(one, out=tmp_path / "mine", progress=die)
        with pytest.raises(InputError, match=r"differs in content\.start"):
            pretrain_tracker(two, out=tmp_path / "mine")

    def test_ctrl_c_saves_no_model(self, tmp_path):
        def interrupt(step, *_):
            if step == 1:
                os.kill(os.getpid(), signal.SIGINT)

        with pytest.raises(KeyboardInterrupt):
            pretrain_tracker(replace(SMALL, steps=500), out=tmp_path / "base", progress=interrupt)
        assert [path.name for path in tmp_path.iterdir()] == ["base.part"]
        assert (tmp_path / "base.part" / LOG).read_text().count("\n") == 2

    def test_existing_output(self, tmp_path):
        (tmp_path / "base").mkdir()
        with pytest.raises(InputError, match="exists already"):
            pretrain_tracker(SMALL, out=tmp_path / "base")


class TestCard:
    def test_what_was_heard(self):
        material = replace(SHORT, groove="/home/me/groove", groove_share=0.35)
        known = card(replace(SMALL, material=material, soundfonts=("Any.sf2",)), name="base")
        assert known.licence == "CC-BY-4.0"
        assert "35% of the pieces" in known.data
        assert "Groove MIDI Dataset" in known.data
        assert "Any.sf2" in known.data
        assert "none is of the percussion ensemble" in known.data
        assert "/home/me" not in repr(known)
        assert known.minutes == pytest.approx((2 + 1) * 4 / 60, abs=0.05)

    def test_without_the_works_of_others(self):
        known = card(SMALL, name="base")
        assert known.licence == "Apache-2.0"
        assert "Groove" not in known.data
        assert "rock" in known.data

    def test_with_traditions(self):
        known = card(replace(SMALL, traditions=0.7, start="/home/me/base"), name="latin")
        assert "70% are played" in known.data
        assert "candombe" in known.data
        assert "from base" in known.origin
        assert "/home/me" not in repr(known)

    def test_from_an_adapted_model(self):
        """Its recordings and their licences stay known."""
        start = Card("mine", "o", "MIT (m); CC BY-NC 4.0 (drums)", "d", 1.0, {"any": "none"}, {"ab": [(0.0, 1.0)]},
            (Source("m", "MIT"), Source("drums", "CC BY-NC 4.0", "Me, 2020")))  # fmt: skip
        known = card(replace(SMALL, start="mine"), name="new", start=start)
        assert known.trained_on == {"ab": [(0.0, 1.0)]}
        assert known.licence == "MIT (m); CC BY-NC 4.0 (drums); Apache-2.0 (new)"
        assert known.sources[1].citation == "Me, 2020"
        assert "except those that its start was adapted to" in known.origin
        plain = card(
            replace(SMALL, start="base"),
            name="new",
            start=replace(start, trained_on={}, sources=(), licence="Apache-2.0"),
        )
        assert plain.licence == "Apache-2.0"

    def test_a_start_that_is_a_folder_and_ships_too_is_refused(self, tmp_path, tiny_model):
        shutil.copytree(tiny_model, tmp_path / "base")
        for start, place in (("base", None), ("./base", tmp_path / "base")):
            (tmp_path / "mine.toml").write_text(f'start = "{start}"')
            if place is None:
                with pytest.raises(InputError, match=r"base is both .* write \./base"):
                    read_settings(tmp_path / "mine.toml")
            else:
                assert Path(read_settings(tmp_path / "mine.toml").start) == place

    def test_settings_kept_beside_the_weights(self):
        kept = pretrain._portable(
            replace(SMALL, material=replace(SHORT, groove="/home/me/groove"), start="/home/me/base")
        )
        assert kept.keys() == {entry.name for entry in fields(PretrainSettings)}
        assert kept["material"]["groove"] == "groove"
        assert kept["start"] == "base"
        assert "/home" not in repr(kept)
