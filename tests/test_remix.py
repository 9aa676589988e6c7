"""Solos become mixtures: strokes meet on one beat, stems sum, nobody is on both sides."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from levada import audio
from levada.beats import Beats
from levada.corpus import open_stems
from levada.errors import InputError
from levada.formats import read_beats, write_beats
from levada.remix import RemixSettings, remix
from levada.remix.solos import beats_of, solos_of, views_of
from levada.remix.stretch import onsets, placed

RATE = 44100
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
    return open_stems(folder)


def read(place, name):
    return audio.read(place / f"{name}.wav")[0][0]


class TestMixing:
    def test_strokes_meet_on_the_beat(self, solos, tmp_path):
        made = remix(solos, tmp_path / "out", settings=SMALL)
        for place in made.written:
            beats = read_beats(place / "mixture.beats").times_s[:-1]
            for name in ("surdo", "caixa"):
                heard = onsets(read(place, name)[None], RATE) / RATE
                assert np.abs(heard[None] - beats[:, None]).min(axis=1).max() < 0.010

    def test_without_regard_to_beats_they_do_not(self, solos, tmp_path):
        made = remix(solos, tmp_path / "out", settings=replace(SMALL, coherent=False, mixtures=4))
        apart = []
        for place in made.written:
            names = sorted(path.stem for path in place.glob("*.wav") if path.stem != "mixture")
            first, second = (onsets(read(place, name)[None], RATE) / RATE for name in names[:2])
            apart.append(np.abs(first[None] - second[:, None]).min(axis=1).max())
            assert not (place / "mixture.beats").exists()
        assert max(apart) > 0.05

    @pytest.mark.parametrize("rooms", [False, True])
    def test_stems_sum_and_do_not_clip(self, solos, tmp_path, rooms):
        made = remix(solos, tmp_path / "out", settings=replace(SMALL, rooms=rooms))
        assert len(made.written) == 2
        for song in open_stems(tmp_path / "out").songs:
            stems = sum(read(song.mixture.parent, name) for name in song.instruments)
            mixture = read(song.mixture.parent, "mixture")
            assert np.abs(stems - mixture).max() < 1e-5
            assert np.abs(mixture).max() <= 0.71

    def test_the_same_seed_is_the_same_bytes_and_goes_on(self, solos, tmp_path):
        one, two = (remix(solos, tmp_path / name, settings=SMALL) for name in ("one", "two"))
        for a, b in zip(one.written, two.written, strict=True):
            assert (a / "mixture.wav").read_bytes() == (b / "mixture.wav").read_bytes()
        again = remix(solos, tmp_path / "one", settings=SMALL)
        assert (again.written, len(again.kept)) == ((), 2)
        other = remix(solos, tmp_path / "other", settings=replace(SMALL, seed=1))
        assert (other.written[0] / "mixture.wav").read_bytes() != (one.written[0] / "mixture.wav").read_bytes()

    def test_nobody_is_on_both_sides(self, solos, tmp_path):
        remix(solos, tmp_path / "out", settings=replace(SMALL, mixtures=6, test=0.4, coherent=False, seed=3))
        rows = list(csv.DictReader((tmp_path / "out" / "mixtures.csv").read_text().splitlines()))
        sides = {side: {row["group"] for row in rows if row["mixture"].startswith(side)} for side in ("train", "test")}
        assert sides["train"]
        assert sides["test"]
        assert not sides["train"] & sides["test"]

    def test_a_tracker_hears_what_nobody_annotated(self, tmp_path):
        solo(tmp_path, "surdo", 100, 9.0, 90, beats=False)
        solo(tmp_path, "caixa", 104, 9.5, 900)

        class Heard:
            def beats(self, samples, rate):
                times = np.arange(0.3, samples.shape[1] / rate - 0.3, 0.6)
                return Beats(times, np.arange(len(times)) % 4 + 1)

        assert len(remix(open_stems(tmp_path), tmp_path / "out", settings=SMALL, tracker=Heard()).written) == 2


class TestStretching:
    def test_strokes_keep_their_shape_and_pitch(self):
        times = np.arange(0.2, 4, 0.5)
        sound = strokes(times, 5)[None]
        old = np.rint(times * RATE).astype(int)
        new = np.rint((0.1 + (times - 0.2) * 1.06) * RATE).astype(int)
        out = placed(sound, old, new, 5 * RATE, rate=RATE)
        for was, now in zip(old, new, strict=True):
            assert np.allclose(sound[0, was : was + 1000], out[0, now : now + 1000], atol=1e-4)

    def test_onsets_of_silence_and_of_nothing(self):
        assert len(onsets(np.zeros((1, RATE), np.float32), RATE)) == 0
        assert len(onsets(np.zeros((1, 3), np.float32), RATE)) == 0


class TestWrong:
    def test_one_instrument(self, tmp_path):
        solo(tmp_path, "surdo-1", 100)
        solo(tmp_path, "surdo-2", 100, seconds=8)
        with pytest.raises(InputError, match="fewer than two instruments"):
            remix(open_stems(tmp_path), tmp_path / "out", settings=SMALL)

    def test_tempi_too_far_apart(self, tmp_path):
        solo(tmp_path, "surdo", 100)
        solo(tmp_path, "caixa", 130, seconds=8)
        with pytest.raises(InputError, match=r"no two instruments have a tempo .* surdo 100.*larger --stretch"):
            remix(open_stems(tmp_path), tmp_path / "out", settings=SMALL)

    def test_solos_that_cannot_be_tracked_are_told(self, solos, tmp_path):
        audio.write(solos.root / "ganza.wav", np.zeros((1, 5 * RATE), np.float32), rate=RATE)
        made = remix(open_stems(solos.root), tmp_path / "out", settings=SMALL)
        assert any("ganza is silent" in why for why in made.left_out)
        assert any("agogo" in why for why in made.left_out)

    def test_nothing_that_can_be_tracked(self, tmp_path):
        for name, length in (("surdo", 2), ("caixa", RATE)):
            audio.write(tmp_path / f"{name}.wav", np.zeros((1, length), np.float32), rate=RATE)
        with pytest.raises(InputError, match="no solo that can be put on a beat"):
            remix(open_stems(tmp_path), tmp_path / "out", settings=SMALL)

    def test_a_folder_of_something_else(self, solos, tmp_path):
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "mine.txt").write_text("mine")
        with pytest.raises(InputError, match="holds something else"):
            remix(solos, tmp_path / "out", settings=SMALL)
        assert (tmp_path / "out" / "mine.txt").read_text() == "mine"

    def test_another_run(self, solos, tmp_path):
        remix(solos, tmp_path / "out", settings=SMALL)
        with pytest.raises(InputError, match="holds other mixtures"):
            remix(solos, tmp_path / "out", settings=replace(SMALL, seed=1))
        assert len(remix(solos, tmp_path / "out", settings=replace(SMALL, seed=1), force=True).written) == 2

    def test_one_group_cannot_be_split(self, tmp_path):
        (tmp_path / "song").mkdir()
        solo(tmp_path / "song", "surdo", 100)
        solo(tmp_path / "song", "caixa", 100)
        with pytest.raises(InputError, match=r"leave out --test|fewer than two instruments"):
            remix(open_stems(tmp_path), tmp_path / "out", settings=replace(SMALL, test=0.5))

    @pytest.mark.parametrize(
        "wrong",
        [{"mixtures": 0}, {"seconds": 0}, {"stretch": 0.9}, {"test": 1.0}, {"tempo_bpm": (120, 90)}, {"most": 1}],
    )
    def test_settings_that_make_no_sense(self, wrong):
        with pytest.raises(InputError):
            RemixSettings(**wrong)


def test_views_are_of_whole_bars(solos):
    by_name = {one.id: one for one in solos_of(solos)}
    beats, tracked = beats_of(by_name["surdo-1"], None)
    views = views_of(by_name["surdo-1"], beats, tracked=tracked)
    assert not tracked
    assert views[0].metre == 4
    assert views[0].tempo_bpm == pytest.approx(100, abs=0.1)
    assert {round(view.tempo_bpm) for view in views} == {100, 200, 50}
