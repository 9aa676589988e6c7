"""Solos become mixtures: strokes meet on one beat, stems sum, nobody is on both sides."""

import csv
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from levada.beat_tracking.pretrained import load_tracker
from levada.data import annotated_spans, load_corpus
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.formats import read_beats, write_beats
from levada.separation.adaptation import adapt as adapt_stems
from levada.separation.pretrained import separator_of
from levada.separation.remix import RemixSettings, remix
from levada.separation.remix.solos import bars_of, beats_of, metrical_levels, solos_of, views_of
from levada.separation.remix.stretch import detect_onsets, warp
from levada.separation.song_scores import trained_spans
from levada.synth.render import render_multitrack
from levada.synth.traditions import read_tradition

RATE = 44100
REAL = Path(__file__).parents[3] / "shared" / "real" / "brid"
SMALL = RemixSettings(mixtures=2, seconds=4.0, rooms=False)


def strokes(times_s, seconds, hz=400):
    out, time = np.zeros(round(seconds * RATE), np.float32), np.arange(4000) / RATE
    for at in np.rint(np.asarray(times_s) * RATE).astype(int):
        piece = out[at : at + 4000]
        piece += (0.5 * np.exp(-time / 0.02) * np.sin(2 * np.pi * hz * time))[: len(piece)].astype(np.float32)
    return out


def solo(folder, name, tempo, seconds=9.0, hz=400, positions=4, beats=True):
    times = np.arange(0.3, seconds - 0.3, 60 / tempo)
    audio.write(folder / f"{name}.wav", strokes(times, seconds, hz)[None], rate=RATE)
    if beats:
        write_beats(folder / f"{name}.beats", Beats(times, np.arange(len(times)) % positions + 1))


@pytest.fixture
def solos(tmp_path):
    """Four solos at 100 to 106 bpm, and one that is far too fast for them."""
    folder = tmp_path / "solos"
    folder.mkdir()
    for name, tempo, hz in (("surdo-1", 100, 90), ("caixa-1", 106, 900), ("surdo-2", 103, 100), ("caixa-2", 101, 950)):
        solo(folder, name, tempo, seconds=9.0 + tempo / 100, hz=hz)
    solo(folder, "agogo-1", 148, seconds=11, hz=2000, positions=3)
    return load_corpus(folder, labels="stems")


def read(place, name):
    return audio.read(place / f"{name}.wav")[0][0]


class TestMixing:
    def test_strokes_meet_on_the_beat(self, solos, tmp_path):
        made = remix(solos, tmp_path / "out", settings=SMALL)
        for place in made.written:
            beats = read_beats(place / "mixture.beats").times_s[:-1]
            for name in ("surdo", "caixa"):
                heard = detect_onsets(read(place, name)[None], RATE) / RATE
                assert np.abs(heard[None] - beats[:, None]).min(axis=1).max() < 0.010

    def test_without_regard_to_beats_they_do_not(self, solos, tmp_path):
        made = remix(solos, tmp_path / "out", settings=replace(SMALL, coherent=False, mixtures=4))
        apart = []
        for place in made.written:
            names = sorted(path.stem for path in place.glob("*.wav") if path.stem != "mixture")
            first, second = (detect_onsets(read(place, name)[None], RATE) / RATE for name in names[:2])
            apart.append(np.abs(first[None] - second[:, None]).min(axis=1).max())
            assert not (place / "mixture.beats").exists()
        assert max(apart) > 0.05

    @pytest.mark.parametrize("rooms", [False, True])
    def test_stems_sum_and_do_not_clip(self, solos, tmp_path, rooms):
        made = remix(solos, tmp_path / "out", settings=replace(SMALL, rooms=rooms))
        assert len(made.written) == 2
        for song in load_corpus(tmp_path / "out", labels="stems").tracks:
            stems = sum(read(song.mixture.parent, name) for name in song.instruments)
            mixture = read(song.mixture.parent, "mixture")
            assert np.abs(stems - mixture).max() < 1e-5
            assert np.abs(mixture).max() <= 0.71

    @pytest.mark.parametrize(("rooms", "channels"), [(False, 2), (True, 1)])
    @pytest.mark.parametrize("coherent", [False, True])
    def test_keep_the_rate_and_without_a_room_the_channels(self, tmp_path, rooms, channels, coherent):
        """A surdo that is on the right only, at 48 kHz, and a caixa at 32 kHz in both."""
        times = np.arange(0.3, 8.7, 0.6)
        for name, rate, sides, hz in (("surdo", 48000, (0, 1), 90), ("caixa", 32000, (1, 1), 900)):
            wave = audio.resample(strokes(times, 9.0 + rate / 1e5, hz)[None], rate=RATE, to=rate)
            audio.write(tmp_path / "solos" / f"{name}.wav", wave * np.array(sides, np.float32)[:, None], rate=rate)
            write_beats(tmp_path / "solos" / f"{name}.beats", Beats(times, np.arange(len(times)) % 4 + 1))
        settings = replace(SMALL, rooms=rooms, coherent=coherent)
        made = remix(load_corpus(tmp_path / "solos", labels="stems"), tmp_path / "out", settings=settings)
        assert (made.rate, made.channels, made.solo_channels) == (48000, channels, 2)
        for place in made.written:
            sounds = {name: audio.read(place / f"{name}.wav") for name in ("surdo", "caixa", "mixture")}
            assert {(rate, len(samples)) for samples, rate in sounds.values()} == {(48000, channels)}
            np.testing.assert_allclose(sounds["surdo"][0] + sounds["caixa"][0], sounds["mixture"][0], atol=1e-5)
            if channels == 2:
                assert not sounds["surdo"][0][0].any()
                np.testing.assert_array_equal(*sounds["caixa"][0])
            spectrum = np.abs(np.fft.rfft(sounds["caixa"][0][-1]))
            peak_hz = spectrum.argmax() * 48000 / sounds["caixa"][0].shape[1]
            assert rooms or peak_hz == pytest.approx(900, abs=60)

    def test_the_same_seed_is_the_same_bytes_and_goes_on(self, solos, tmp_path):
        one, two = (remix(solos, tmp_path / name, settings=SMALL) for name in ("one", "two"))
        for a, b in zip(one.written, two.written, strict=True):
            assert (a / "mixture.wav").read_bytes() == (b / "mixture.wav").read_bytes()
        again = remix(solos, tmp_path / "one", settings=SMALL)
        assert (again.written, len(again.kept)) == ((), 2)
        other = remix(solos, tmp_path / "other", settings=replace(SMALL, seed=1))
        assert (other.written[0] / "mixture.wav").read_bytes() != (one.written[0] / "mixture.wav").read_bytes()

    def test_a_full_disk_leaves_no_half_mixture(self, solos, tmp_path, full_disk):
        out = tmp_path / "out"
        with full_disk(100_000), pytest.raises(InputError, match="could not be written: the file would be") as error:
            remix(solos, out, settings=SMALL)
        assert error.value.path.parent == out / "half-1" / "mix-001"
        assert [one for one in out.rglob("*") if one.suffix == ".wav" or one.name.startswith(".levada-0")] == []

    def test_nobody_is_on_both_sides(self, solos, tmp_path):
        remix(solos, tmp_path / "out", settings=replace(SMALL, mixtures=6, test=0.4, coherent=False, seed=3))
        rows = list(csv.DictReader((tmp_path / "out" / "mixtures.csv").read_text().splitlines()))
        sides = {side: {row["group"] for row in rows if row["mixture"].startswith(side)} for side in ("train", "test")}
        assert sides["train"]
        assert sides["test"]
        assert not sides["train"] & sides["test"]

    def test_takes_of_equal_length_are_in_the_groups_that_they_are_given(self, tmp_path):
        (tmp_path / "solos").mkdir()
        for name, hz in (("surdo-1", 90), ("caixa-1", 900), ("surdo-2", 100), ("caixa-2", 950)):
            solo(tmp_path / "solos", name, 100, hz=hz, beats=False)
        (tmp_path / "solos" / "corpus.toml").write_text('[groups]\n"*-1" = "ana"\n"*-2" = "bia"\n')
        settings = replace(SMALL, mixtures=4, test=0.5, coherent=False)
        remix(load_corpus(tmp_path / "solos", labels="stems"), tmp_path / "out", settings=settings)
        rows = list(csv.DictReader((tmp_path / "out" / "mixtures.csv").read_text().splitlines()))
        sides = {side: {row["solo"] for row in rows if row["mixture"].startswith(side)} for side in ("train", "test")}
        assert sorted(map(sorted, sides.values())) == [["caixa-1", "surdo-1"], ["caixa-2", "surdo-2"]]

    def test_the_number_of_instruments(self, tmp_path):
        (tmp_path / "solos").mkdir()
        for number, name in enumerate(("surdo", "caixa", "agogo", "tamborim", "repique")):
            solo(tmp_path / "solos", name, 100, seconds=9.0 + number, beats=False)
        settings = replace(SMALL, mixtures=12, test=0, coherent=False, fewest=3, most=4)
        made = remix(load_corpus(tmp_path / "solos", labels="stems"), tmp_path / "out", settings=settings)
        assert {len([*place.glob("*.wav")]) - 1 for place in made.written} == {3, 4}

    @pytest.mark.parametrize("coherent", [False, True])
    def test_a_target_is_in_every_mixture_and_all_else_is_its_rest(self, solos, tmp_path, coherent):
        settings = replace(SMALL, mixtures=6, test=0.4, target="surdo", coherent=coherent)
        made = remix(solos, tmp_path / "out", settings=settings)
        for place in made.written:
            assert sorted(path.name for path in place.glob("*.wav")) == ["mixture.wav", "surdo.wav"]
        for song in load_corpus(tmp_path / "out" / "train", labels="stems").tracks:
            assert song.instruments == ("rest", "surdo")
            stems, mixture = song.read(song.instruments, rate=RATE)
            np.testing.assert_allclose(stems.sum(0), mixture, atol=1e-5)
            assert np.abs(stems[0]).max() > 0.01
        with pytest.raises(InputError, match="has no cuica; its instruments are agogo, caixa, surdo"):
            remix(solos, tmp_path / "other", settings=replace(settings, target="cuica"))

    def test_a_tracker_hears_what_nobody_annotated(self, tmp_path):
        solo(tmp_path, "surdo", 100, 9.0, 90, beats=False)
        solo(tmp_path, "caixa", 104, 9.5, 900)

        class Heard:
            def track(self, samples, rate):
                times = np.arange(0.3, samples.shape[1] / rate - 0.3, 0.6)
                return Beats(times, np.arange(len(times)) % 4 + 1)

        assert (
            len(remix(load_corpus(tmp_path, labels="stems"), tmp_path / "out", settings=SMALL, tracker=Heard()).written)
            == 2
        )


class TestGroups:
    """Mixtures that share a player, or a take, are of one group."""

    @pytest.fixture
    def players(self, tmp_path):
        """Two players, each with two takes of one instrument and one of another."""
        for player, hz in (("ana", 90), ("bea", 120)):
            folder = tmp_path / "players" / player
            folder.mkdir(parents=True)
            for name, higher in (("surdo-1", 1.0), ("surdo-2", 1.1), ("caixa-1", 9.0), ("caixa-2", 9.5)):
                solo(folder, name, 100, seconds=7 + higher / 10, hz=hz * higher)
        return load_corpus(tmp_path / "players", labels="stems")

    @staticmethod
    def takes(out, songs):
        """What the table says of songs: takes and players."""
        ids = {song.id for song in songs}
        rows = [row for row in csv.DictReader((out / "mixtures.csv").read_text().splitlines()) if row["mixture"] in ids]
        return {row["solo"] for row in rows}, {row["group"] for row in rows}

    @pytest.mark.parametrize("changes", [{}, {"coherent": False}, {"test": 0.5}])
    @pytest.mark.parametrize("seed", [0, 1])
    def test_no_take_is_on_both_sides_of_any_split(self, players, tmp_path, changes, seed):
        made = remix(players, tmp_path / "out", settings=replace(SMALL, mixtures=5, seed=seed, **changes))
        assert len(made.written) == 5
        mixed = load_corpus(tmp_path / "out", labels="stems")
        assert len(mixed.groups) == len(made.groups) == 2
        for at in range(4):
            train, test = mixed.split(test_size=0.4, seed=np.random.default_rng(at))
            for mine, other in zip(
                self.takes(tmp_path / "out", train), self.takes(tmp_path / "out", test), strict=True
            ):
                assert mine
                assert other
                assert not mine & other

    def test_mixed_all_with_all_they_are_one_group(self, players, tmp_path):
        made = remix(players, tmp_path / "out", settings=replace(SMALL, mixtures=3, test=0))
        mixed = load_corpus(tmp_path / "out", labels="stems")
        assert len(mixed.groups) == len(made.groups) == 1
        with pytest.raises(InputError, match="one group"):
            mixed.split(test_size=0.4, seed=np.random.default_rng(0))

    def test_a_half_alone_is_one_group(self, players, tmp_path):
        remix(players, tmp_path / "out", settings=replace(SMALL, mixtures=4))
        assert [len(load_corpus(tmp_path / "out" / f"half-{number}", labels="stems").groups) for number in (1, 2)] == [
            1,
            1,
        ]

    def test_of_an_interrupted_run_too(self, players, tmp_path):
        def stop(done, _):
            if done == 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            remix(players, tmp_path / "out", settings=replace(SMALL, mixtures=6), progress=stop)
        mixed = load_corpus(tmp_path / "out", labels="stems")
        assert len(mixed.tracks) == 2
        assert len(mixed.groups) == 1

    def test_players_that_cannot_be_dealt_into_halves_are_one_group(self, tmp_path):
        for player, name in (("ana", "surdo"), ("bea", "caixa")):
            (tmp_path / "solos" / player).mkdir(parents=True)
            solo(tmp_path / "solos" / player, name, 100)
        made = remix(load_corpus(tmp_path / "solos", labels="stems"), tmp_path / "out", settings=SMALL)
        assert len(made.groups) == len(load_corpus(tmp_path / "out", labels="stems").groups) == 1

    def test_a_mixture_knows_its_takes(self, players, tmp_path):
        remix(players, tmp_path / "out", settings=SMALL)
        by_hash = {song.stem_hashes[0]: song for song in players.tracks}
        for song in load_corpus(tmp_path / "out", labels="stems").tracks:
            used = {by_hash[digest].id for digest in song.sources}
            assert used == self.takes(tmp_path / "out", [song])[0]
            for digest, length_s in song.sources.items():
                assert length_s == pytest.approx(by_hash[digest].duration_s)
        assert players.tracks[0].sources == {}

    def test_what_is_learnt_from_mixtures_is_learnt_from_their_takes(self, players, tmp_path):
        remix(players, tmp_path / "out", settings=SMALL)
        remix(players, tmp_path / "again", settings=replace(SMALL, seed=5, test=0))
        mixed, again = (
            load_corpus(tmp_path / "out", labels="stems").tracks,
            load_corpus(tmp_path / "again", labels="stems").tracks,
        )
        learnt = adapt_stems([*annotated_spans(mixed[0])], strategy="nmf")
        separator = separator_of(learnt, name="mine")
        for song in players.tracks:
            used = song.stem_hashes[0] in mixed[0].sources
            assert trained_spans(song, separator) == ([(0.0, pytest.approx(song.duration_s))] if used else [])
        for song in again:
            is_known = bool(set(song.sources) & set(mixed[0].sources))
            assert trained_spans(song, separator) == ([(-np.inf, np.inf)] if is_known else [])


class Tracked:
    """A tracker that finds a beat at each of these tempi, one recording after the other."""

    name = "tracked"

    def __init__(self, *tempi, identity="1"):
        self.tempi, self.identity = list(tempi), identity

    def track(self, samples, rate):
        times = np.arange(0.3, samples.shape[1] / rate - 0.3, 60 / self.tempi.pop(0))
        return Beats(times, np.arange(len(times)) % 4 + 1)


def tempi_of(made):
    return [read_beats(place / "mixture.beats").tempo_bpm for place in made.written]


class TestTempo:
    @pytest.mark.parametrize("seed", range(4))
    def test_labels_are_what_counts(self, tmp_path, seed):
        for name, hz in (("surdo", 90), ("caixa", 900)):
            solo(tmp_path, name, 132, hz=hz)
        made = remix(
            load_corpus(tmp_path, labels="stems"), tmp_path / "out", settings=replace(SMALL, seed=seed, mixtures=4)
        )
        assert tempi_of(made) == pytest.approx([132] * 4, abs=0.5)

    def test_octaves_that_a_tracker_mistakes_are_brought_together(self, tmp_path):
        for number, name in enumerate(("surdo", "caixa", "agogo")):
            solo(tmp_path, name, 95, seconds=20 + number, hz=90 * 3**number, beats=False)
        tracker = Tracked(47.5, 190, 95)
        made = remix(
            load_corpus(tmp_path, labels="stems"),
            tmp_path / "out",
            settings=replace(SMALL, mixtures=6),
            tracker=tracker,
        )
        assert tempi_of(made) == pytest.approx([95] * 6, rel=0.01)
        for place in made.written:
            beats = read_beats(place / "mixture.beats").times_s[:-1]
            for song in load_corpus(place, labels="stems").tracks:
                for path in song.files:
                    heard = detect_onsets(audio.read(path)[0], RATE) / RATE
                    assert np.abs(heard[None] - beats[:, None]).min(axis=1).max() < 0.010

    @pytest.mark.parametrize(
        ("tempi", "annotated", "tempo_bpm", "expected"),
        [
            ([47.5, 190, 95], [False] * 3, None, [95] * 3),
            ([190, 190], [False] * 2, None, [95] * 2),
            ([132, 66], [True, False], None, [132, 132]),
            ([66, 132], [True, False], None, [66, 66]),
            ([190, 95], [True, False], None, [190, 190]),  # beyond the usual range, but annotated
            ([66, 132], [True, True], None, [66, 132]),
            ([130, 160], [True, False], None, [130, 80]),
            ([130, 131, 65, 95], [False] * 4, None, [130, 131, 130, 95]),
            ([75, 150, 152], [False] * 3, None, [75, 75, 76]),
            ([95, 47.5], [False] * 2, (170, 200), [190, 190]),
            ([40], [False], None, [80]),
            ([400], [False], None, [100]),
        ],
    )
    def test_levels(self, tempi, annotated, tempo_bpm, expected):
        levels = metrical_levels(tempi, annotated, tempo_bpm=tempo_bpm)
        assert [tempo * 2.0**level for tempo, level in zip(tempi, levels, strict=True)] == expected

    @pytest.mark.slow
    def test_rendered_solos_of_95(self, tmp_path):
        """Ten seconds are tracked at the right tempo; six are too short to be trusted, but with labels they are."""
        tradition = replace(read_tradition("candombe"), tempo_bpm=(95.0, 0.0))
        for number, (length_s, player) in enumerate(((10, "ana"), (11, "bea"), (6, "eva"), (7, "ida"))):
            song = render_multitrack(tradition, duration_s=length_s, rng=np.random.default_rng(number))
            for name in ("chico", "repique"):
                (tmp_path / "solos" / player).mkdir(parents=True, exist_ok=True)
                path = tmp_path / "solos" / player / f"{name}.wav"
                audio.write(path, song.stems[name], rate=song.rate)
                if player == "ida":
                    write_beats(path.with_suffix(".beats"), song.beats)
        (tmp_path / "solos" / "corpus.toml").write_text('layout = "solos"')
        opened = load_corpus(tmp_path / "solos", labels="stems")
        assert len(opened.tracks) == 8
        made = remix(opened, tmp_path / "out", settings=replace(SMALL, mixtures=6), tracker=load_tracker("base"))
        assert tempi_of(made) == pytest.approx([95] * 6, rel=0.03)
        short = [why for why in made.left_out if "too short for its tempo to be trusted" in why]
        assert sorted(why.split()[0] for why in short) == ["eva/chico", "eva/repique"]

    def test_real_solos(self, tmp_path):
        """A tamborim at 130, annotated, and a shaker that the tracker takes to play twice as fast as samba is."""
        if not REAL.is_dir():
            pytest.skip("the real recordings are not here")
        with pytest.raises(InputError, match=r"brid_0216_\S+ 130, brid_0257_\S+ 80 bpm"):
            remix(load_corpus(REAL, labels="stems"), tmp_path / "out", settings=SMALL, tracker=load_tracker("base"))


class TestStretching:
    def test_strokes_keep_their_shape_and_pitch(self):
        times = np.arange(0.2, 4, 0.5)
        sound = strokes(times, 5)[None]
        old = np.rint(times * RATE).astype(int)
        new = np.rint((0.1 + (times - 0.2) * 1.06) * RATE).astype(int)
        out = warp(sound, old, new, 5 * RATE, rate=RATE)
        for was, now in zip(old, new, strict=True):
            assert np.allclose(sound[0, was : was + 1000], out[0, now : now + 1000], atol=1e-4)

    def test_onsets_of_silence_and_of_nothing(self):
        assert len(detect_onsets(np.zeros((1, RATE), np.float32), RATE)) == 0
        assert len(detect_onsets(np.zeros((1, 3), np.float32), RATE)) == 0


class TestWrong:
    def test_one_instrument(self, tmp_path):
        solo(tmp_path, "surdo-1", 100)
        solo(tmp_path, "surdo-2", 100, seconds=8)
        with pytest.raises(InputError, match="fewer than two instruments"):
            remix(load_corpus(tmp_path, labels="stems"), tmp_path / "out", settings=SMALL)

    def test_tempi_too_far_apart(self, tmp_path):
        solo(tmp_path, "surdo", 100)
        solo(tmp_path, "caixa", 130, seconds=8)
        with pytest.raises(InputError, match=r"no two instruments have a tempo .* surdo 100.*larger --stretch"):
            remix(load_corpus(tmp_path, labels="stems"), tmp_path / "out", settings=SMALL)

    def test_solos_that_cannot_be_tracked_are_told(self, solos, tmp_path):
        audio.write(solos.root / "ganza.wav", np.zeros((1, 5 * RATE), np.float32), rate=RATE)
        made = remix(load_corpus(solos.root, labels="stems"), tmp_path / "out", settings=SMALL)
        assert any("ganza is silent" in why for why in made.left_out)
        assert any("agogo" in why for why in made.left_out)

    def test_nothing_that_can_be_tracked(self, tmp_path):
        for name, length in (("surdo", 2), ("caixa", RATE)):
            audio.write(tmp_path / f"{name}.wav", np.zeros((1, length), np.float32), rate=RATE)
        with pytest.raises(InputError, match="no solo that can be aligned to beats"):
            remix(load_corpus(tmp_path, labels="stems"), tmp_path / "out", settings=SMALL)

    def test_a_folder_of_something_else(self, solos, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("mine")
        with pytest.raises(InputError, match="is not empty and was not made by levada"):
            remix(solos, tmp_path / "out", settings=SMALL)
        assert (tmp_path / "out" / "mine.txt").read_text() == "mine"

    def test_another_run(self, solos, tmp_path):
        remix(solos, tmp_path / "out", settings=SMALL)
        with pytest.raises(InputError, match=r"holds mixtures .* differs in settings\.seed \(0 before, 1 now\)"):
            remix(solos, tmp_path / "out", settings=replace(SMALL, seed=1))
        assert len(remix(solos, tmp_path / "out", settings=replace(SMALL, seed=1), force=True).written) == 2

    def test_force_keeps_what_somebody_changed_or_put_there(self, solos, tmp_path):
        out = tmp_path / "out"
        made = remix(solos, out, settings=replace(SMALL, mixtures=3, test=0))
        (made.written[0] / "notes.txt").write_text("mine")
        (made.written[2] / "mixture.beats").write_text("0.5 1\n")
        fewer = remix(solos, out, settings=replace(SMALL, mixtures=1, test=0, seed=1), force=True)
        assert (made.written[0] / "notes.txt").read_text() == "mine"
        assert [path.name for path in made.written[2].iterdir()] == ["mixture.beats"]
        assert not made.written[1].exists()
        assert fewer.written == made.written[:1]
        (fewer.written[0] / "mixture.wav").write_bytes(b"mine")
        with pytest.raises(InputError, match=r"mixture\.wav: was changed after levada wrote it"):
            remix(solos, out, settings=replace(SMALL, mixtures=1, test=0, seed=2), force=True)
        assert (fewer.written[0] / "mixture.wav").read_bytes() == b"mine"

    def test_another_tracker_or_other_labels_are_another_run(self, tmp_path):
        (tmp_path / "solos").mkdir()
        for name, hz in (("surdo", 90), ("caixa", 900)):
            solo(tmp_path / "solos", name, 100, hz=hz, beats=name == "surdo")
        opened, out = load_corpus(tmp_path / "solos", labels="stems"), tmp_path / "out"
        remix(opened, out, settings=SMALL, tracker=Tracked(100))
        before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
        with pytest.raises(InputError, match="differs in tracker"):
            remix(opened, out, settings=SMALL, tracker=Tracked(104, identity="2"))
        write_beats(
            tmp_path / "solos" / "surdo.beats", Beats(np.arange(0.3, 8, 0.3), np.arange(26) % 4 + 1), force=True
        )
        with pytest.raises(InputError, match=r"differs in solos\.surdo"):
            remix(opened, out, settings=SMALL, tracker=Tracked(100))
        assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before

    def test_one_group_cannot_be_split(self, tmp_path):
        (tmp_path / "song").mkdir()
        solo(tmp_path / "song", "surdo", 100)
        solo(tmp_path / "song", "caixa", 100)
        with pytest.raises(InputError, match="leave out --test"):
            remix(load_corpus(tmp_path, labels="stems"), tmp_path / "out", settings=replace(SMALL, test=0.5))

    @pytest.mark.parametrize(
        "wrong",
        [
            {"mixtures": 0},
            {"seconds": 0},
            {"stretch": 0.9},
            {"test": 1.0},
            {"tempo_bpm": (120, 90)},
            {"most": 1},
            {"fewest": 1},
            {"fewest": 9},
        ],
    )
    def test_settings_that_make_no_sense(self, wrong):
        with pytest.raises(InputError):
            RemixSettings(**wrong)


def test_views_are_of_whole_bars(solos):
    by_name = {one.id: one for one in solos_of(solos)}
    beats, tracked = beats_of(by_name["surdo-1"], None)
    assert not tracked
    bars = bars_of(by_name["surdo-1"], beats)
    assert bars.metre == 4
    assert bars.tempo_bpm == pytest.approx(100, abs=0.1)
    assert [(view.metre, round(view.tempo_bpm)) for view in views_of(bars)] == [(4, 100)]
    assert [(view.metre, round(view.tempo_bpm)) for view in views_of(bars, 1)] == [(4, 200), (8, 200)]
    assert [(view.metre, round(view.tempo_bpm)) for view in views_of(bars, -1)] == [(4, 50), (2, 50)]
    for level in (1, 0, -1):
        for view in views_of(bars, level):
            assert view.beats_s[0] == pytest.approx(0.3)
            assert np.diff(view.beats_s) == pytest.approx(60 / (100 * 2.0**level), abs=1e-3)
