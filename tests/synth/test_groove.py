"""Drum performances from a MIDI file and a table written here, in the form of the Groove MIDI Dataset."""

import mido
import numpy as np
import pytest

from levada.errors import InputError
from levada.synth.songs.groove import Groove, list_grooves, read_groove

HEAD = "drummer,session,id,style,bpm,beat_type,time_signature,midi_filename,audio_filename,duration,split"
LEAD_S = 0.05
QUARTER = 480


def write_midi(path, notes, *, bpm=120, numerator=4, tracks=1):
    """Notes are (quarters, note number, velocity); spread over as many tracks."""
    midi = mido.MidiFile(ticks_per_beat=QUARTER)
    for number in range(tracks):
        track = mido.MidiTrack()
        if number == 0:
            track.append(mido.MetaMessage("set_tempo", tempo=mido.bpm2tempo(bpm), time=0))
            track.append(mido.MetaMessage("time_signature", numerator=numerator, denominator=4, time=0))
        tick = 0
        for at, note, velocity in notes[number::tracks]:
            track.append(
                mido.Message("note_on", channel=9, note=note, velocity=velocity, time=round(at * QUARTER) - tick)
            )
            tick = round(at * QUARTER)
            track.append(mido.Message("note_on", channel=9, note=note, velocity=0, time=10))
            tick += 10
        midi.tracks.append(track)
    midi.save(path)


def rock(bars=8):
    """Kick on 1 and 3, snare on 2 and 4 a little late, hats on the eighths."""
    notes = []
    for quarter in range(4 * bars):
        notes += [(quarter, 36, 127)] if quarter % 2 == 0 else [(quarter + 0.05, 38, 64)]
        notes.append((quarter + 0.5, 42, 32))
    return sorted(notes)


@pytest.fixture
def dataset(tmp_path):
    write_midi(tmp_path / "rock.mid", rock())
    rows = [
        "d1,s1,a,rock,120,beat,4-4,rock.mid,,16.0,train",
        "d1,s1,b,rock,120,fill,4-4,fill.mid,,16.0,train",
        "d1,s1,c,rock,120,beat,4-4,short.mid,,3.0,train",
        "d1,s1,d,rock,120,beat,4-4,test.mid,,16.0,test",
        "d1,s1,e,rock,120,beat,7-8,odd.mid,,16.0,train",
        "d1,s1,f,jig,120,beat,6-8,jig.mid,,16.0,train",
    ]
    (tmp_path / "info.csv").write_text("\n".join([HEAD, *rows]) + "\n")
    return tmp_path


class TestTakes:
    def test_beats_long_enough_of_the_split_in_known_metres(self, dataset):
        assert list_grooves(dataset) == [Groove(dataset / "rock.mid", "4-4"), Groove(dataset / "jig.mid", "6-8")]
        assert list_grooves(dataset, split="test") == [Groove(dataset / "test.mid", "4-4")]
        assert [take.path.name for take in list_grooves(dataset, least_s=2)] == ["rock.mid", "short.mid", "jig.mid"]

    @pytest.mark.parametrize("folder", [".", "nowhere"])
    def test_no_dataset(self, tmp_path, folder):
        with pytest.raises(InputError, match=r"no info\.csv") as raised:
            list_grooves(tmp_path / folder)
        assert raised.value.path == tmp_path / folder

    @pytest.mark.parametrize("content", ["a,b\n1,2\n", HEAD + "\nd1,s1,a,rock,120,beat,4-4,rock.mid,,long,train\n"])
    def test_another_table(self, tmp_path, content):
        (tmp_path / "info.csv").write_text(content)
        with pytest.raises(InputError, match="not the table") as raised:
            list_grooves(tmp_path)
        assert raised.value.path == tmp_path / "info.csv"

    def test_a_table_that_is_no_text(self, tmp_path):
        (tmp_path / "info.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="not the table"):
            list_grooves(tmp_path)

    @pytest.mark.parametrize("wanted", [{"split": "nonsense"}, {"least_s": 1000}])
    def test_nothing_of_that_kind(self, dataset, wanted):
        with pytest.raises(InputError, match="has no takes"):
            list_grooves(dataset, **wanted)


class TestReading:
    def test_strokes(self, dataset):
        played = read_groove(list_grooves(dataset)[0])
        kicks, snares, hats = (
            [stroke for stroke in played.strokes if stroke.part == part] for part in ("kick", "snare", "hat")
        )
        np.testing.assert_allclose([stroke.time_s for stroke in kicks], LEAD_S + np.arange(16), atol=1e-6)
        np.testing.assert_allclose([stroke.time_s for stroke in snares], LEAD_S + 0.525 + np.arange(16), atol=1e-6)
        assert len(hats) == 32
        assert {stroke.velocity for stroke in kicks} == {1.0}
        assert {stroke.velocity for stroke in snares} == {64 / 127}
        assert played.voices == {"kick": "kick", "snare": "snare", "hat": "hat"}
        assert set(played.levels_db.values()) == {0.0}
        assert list(played.strokes) == sorted(played.strokes)

    def test_beats_are_the_grids_not_the_hands(self, dataset):
        beats = read_groove(list_grooves(dataset)[0]).beats
        np.testing.assert_allclose(beats.times_s, LEAD_S + 0.5 * np.arange(32))
        np.testing.assert_array_equal(beats.positions, np.arange(32) % 4 + 1)

    def test_tempo_of_the_file(self, tmp_path):
        write_midi(tmp_path / "slow.mid", rock(), bpm=80)
        assert read_groove(Groove(tmp_path / "slow.mid", "4-4")).beats.tempo_bpm == pytest.approx(80)

    def test_faster(self, dataset):
        played = read_groove(list_grooves(dataset)[0], faster=1.25)
        assert played.beats.tempo_bpm == pytest.approx(150)
        assert played.strokes[-1].time_s == pytest.approx(LEAD_S + 31.5 * 0.4, abs=1e-6)

    def test_a_stretch_of_a_take(self, dataset):
        played = read_groove(list_grooves(dataset)[0], start_beat=5, duration_s=4.0)
        assert played.duration_s == 4
        assert played.beats.positions[0] == 2
        np.testing.assert_allclose(played.beats.times_s, LEAD_S + 0.5 * np.arange(8))
        first = played.strokes[0]
        assert (first.part, first.time_s) == ("snare", pytest.approx(LEAD_S + 0.025))
        assert all(stroke.time_s < 4 for stroke in played.strokes)

    def test_a_start_too_late_wraps_around(self, dataset):
        take = list_grooves(dataset)[0]
        assert read_groove(take, start_beat=29, duration_s=4) == read_groove(take, start_beat=29 % 24, duration_s=4)

    def test_two_beats_of_three_eighths(self, tmp_path):
        write_midi(tmp_path / "jig.mid", [(quarter * 1.5, 36, 100) for quarter in range(8)])
        beats = read_groove(Groove(tmp_path / "jig.mid", "6-8")).beats
        np.testing.assert_allclose(beats.intervals_s, 0.75)
        np.testing.assert_array_equal(beats.positions, [1, 2] * 4)

    def test_several_tracks(self, dataset, tmp_path):
        write_midi(tmp_path / "two.mid", rock(), tracks=2)
        assert read_groove(Groove(tmp_path / "two.mid", "4-4")).strokes == read_groove(list_grooves(dataset)[0]).strokes

    def test_floor_tom_is_an_instrument_of_its_own(self, tmp_path):
        write_midi(tmp_path / "toms.mid", [(0, 48, 90), (1, 43, 90), (2, 99, 90)])
        played = read_groove(Groove(tmp_path / "toms.mid", "4-4"))
        assert played.voices == {"tom": "tom", "tom-low": "tom"}  # note 99 is no drum

    def test_an_empty_take(self, tmp_path):
        write_midi(tmp_path / "empty.mid", [])
        played = read_groove(Groove(tmp_path / "empty.mid", "4-4"))
        assert played.strokes == ()
        assert len(played.beats) == 1

    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            read_groove(Groove(tmp_path / "none.mid", "4-4"))

    @pytest.mark.parametrize("keep", [0, 3, 20, 60])
    def test_damaged(self, dataset, keep):
        path = dataset / "rock.mid"
        path.write_bytes(path.read_bytes()[:keep])
        with pytest.raises(InputError, match="cannot be read as MIDI") as raised:
            read_groove(Groove(path, "4-4"))
        assert raised.value.path == path

    def test_text(self, dataset):
        (dataset / "rock.mid").write_text("this is no music")
        with pytest.raises(InputError, match="cannot be read as MIDI"):
            read_groove(list_grooves(dataset)[0])
