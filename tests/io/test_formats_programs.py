"""Files as the programs that mark beats write them, and what levada writes for them."""

import bz2
import json
from itertools import pairwise
from pathlib import Path

import mido
import numpy as np
import pytest

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats import read_annotation, read_beats, write_beats

FOUR = Beats([0.5, 1.0, 1.5, 2.0, 2.5], [1, 2, 3, 4, 1])


@pytest.fixture
def file(tmp_path: Path):
    def write(content: str | bytes, name: str = "song.x", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
        return path

    return write


def svl(*layers: tuple[str, str, str], rate: int = 1000) -> str:
    """A file of Sonic Visualiser with layers of these types, names and points."""
    data = display = ""
    dimensions = {"timeinstants": 1, "regions": 3, "notes": 3}
    for i, (kind, name, points) in enumerate(layers):
        size = dimensions.get(kind, 2)
        data += f'<model id="{2 * i}" sampleRate="{rate}" type="sparse" dimensions="{size}" dataset="{2 * i + 1}"/>'
        data += f'<dataset id="{2 * i + 1}" dimensions="{size}">{points}</dataset>'
        display += f'<layer id="{100 + i}" type="{kind}" name="{name}" model="{2 * i}"/>'
    return f"<sv><data>{data}</data><display>{display}</display></sv>"


POINTS = "".join(f'<point frame="{500 * i}" label="{(i - 1) % 4 + 1}"/>' for i in range(1, 6))
VALUES = "".join(f'<point frame="{500 * i}" value="{(i - 1) % 4 + 1}.0" label=""/>' for i in range(1, 6))
TEXTS = "".join(f'<point frame="{500 * i}" height="0.5" label="1.{i}"/>' for i in range(1, 4))


def test_of_several_layers_the_one_of_instants_is_read_and_named(file) -> None:
    path = file(
        svl(("text", "notes of Ana", TEXTS), ("timeinstants", "Beats", POINTS), ("timevalues", "tempo", VALUES))
    )
    reading = read_annotation(path)
    assert reading.beats == FOUR
    assert "3 layers" in reading.notes[0]
    assert "'Beats' is used" in reading.notes[0]
    assert read_beats(path, convention="layer:notes of Ana") == Beats([0.5, 1.0, 1.5], [1, 2, 3])
    with pytest.raises(InputError, match=r"has no layer 'x' with marks; it has 'notes of Ana', 'Beats', 'tempo'"):
        read_annotation(path, convention="layer:x")


def test_a_layer_named_for_beats_is_read_rather_than_another_of_its_kind(file) -> None:
    other = '<point frame="77" label=""/>'
    assert read_beats(file(svl(("timeinstants", "onsets", other), ("timeinstants", "my beats", POINTS)))) == FOUR


def test_values_are_positions_where_there_are_no_labels(file) -> None:
    assert read_beats(file(svl(("timevalues", "beats", VALUES)))) == FOUR


def test_values_that_are_tempi_are_refused(file) -> None:
    tempi = "".join(f'<point frame="{10 * i}" value="{120.19 + i % 2}" label=""/>' for i in range(4))
    with pytest.raises(InputError, match=r"point 1: labels such as '120.19' do not count beats"):
        read_beats(file(svl(("timevalues", "tempo", tempi))))


def test_sessions_are_unpacked(file) -> None:
    wave = svl(("notes", "melody", TEXTS), ("timeinstants", "Beats", POINTS))
    assert read_beats(file(bz2.compress(wave.encode()), "song.sv")) == FOUR
    with pytest.raises(InputError, match="its end is missing"):
        read_beats(file(bz2.compress(wave.encode())[:-8], "song.sv"))
    with pytest.raises(InputError, match="damaged session"):
        read_beats(file(b"BZh91AY&SY" + bytes(60)))
    with pytest.raises(InputError, match="too large"):
        read_beats(file(bz2.compress(bytes(50_000_001))))


def jams(*annotations: dict) -> str:
    return json.dumps({"annotations": list(annotations), "file_metadata": {"duration": 3}})


def annotation(values: list, annotator: str = "", namespace: str = "beat") -> dict:
    data = [{"time": 0.5 * i, "duration": 0, "value": value, "confidence": None} for i, value in enumerate(values, 1)]
    return {"namespace": namespace, "data": data, "annotation_metadata": {"annotator": {"name": annotator}}}


def test_of_several_annotators_one_is_read_and_the_others_are_named(file) -> None:
    path = file(jams(annotation([]), annotation([1, 2, 3, 4, 1], "Ana"), annotation([2, 3, 1], "Bea")))
    reading = read_annotation(path)
    assert reading.beats == FOUR
    assert reading.notes == ("holds 2 layers ('Ana', 'Bea'): 'Ana' is used; convention 'layer:NAME' chooses another",)
    assert read_beats(path, convention="layer:Bea").positions.tolist() == [2, 3, 1]


@pytest.mark.parametrize(
    ("values", "positions"),
    [
        ([1, float("nan"), None, 1.0, float("nan")], [1, 0, 0, 1, 0]),
        ([0, 1, 0.0, 1, 0, 0], [0, 1, 0, 1, 0, 0]),
        ([0, 1, 2, 0, 1, 2], [1, 2, 3, 1, 2, 3]),
        ([1.0, 1.25, 1.5, 1.75, 2.0], [1, 2, 3, 4, 1]),
        (["1.1", "1.2", "2.1"], [1, 2, 1]),
    ],
)
def test_jams_values(file, values: list, positions: list[int]) -> None:
    assert read_beats(file(jams(annotation(values)))).positions.tolist() == positions


def test_jams_keeps_what_made_the_beats(tmp_path: Path) -> None:
    made = {"model": "base", "version": "1.2", "weights": "ab12"}
    write_beats(tmp_path / "a.jams", FOUR, duration_s=13.0, provenance=made)
    document = json.loads((tmp_path / "a.jams").read_text())
    (annotation,) = document["annotations"]
    assert annotation["sandbox"]["levada"] == made
    assert annotation["annotation_metadata"]["version"] == "1.2"
    assert annotation["annotation_metadata"]["data_source"] == "program"
    assert document["file_metadata"]["duration"] == annotation["duration"] == 13.0


def test_reaper_markers_come_back_and_regions_limit_them(file, tmp_path: Path) -> None:
    write_beats(tmp_path / "a.reaper.csv", FOUR)
    assert read_beats(tmp_path / "a.reaper.csv") == FOUR
    mine = "#,Name,Start,End,Length\nM1,,0:00.500,,\nM2,Marker 2,0:01.000,,\nR1,skip,0:01.200,0:01.700,0:00.500\n"
    assert read_beats(file(mine + "M3,,1.500,,\nM4,,0:02.000,,\n")) == Beats([0.5, 1.0, 2.0])
    with pytest.raises(InputError, match=r"line 2: '3\.1\.00' is not a start in seconds"):
        read_beats(file("#,Name,Start,End,Length\nM1,1,3.1.00,,\n"))


SRT = "1\n00:00:00,500 --> 00:00:00,500\n1\n\n2\n00:00:01,000 --> 00:00:01,000\n2\n\n"


def test_subtitles(file) -> None:
    assert read_beats(file(SRT)) == Beats([0.5, 1.0], [1, 2])
    assert read_beats(file(SRT.replace("\n", "\r\n"))) == Beats([0.5, 1.0], [1, 2])
    bare = "1\n00:00:00,500 --> 00:00:00,600\n\n2\n00:00:01,000 --> 00:00:01,100\n\n"
    assert read_beats(file(bare)) == Beats([0.5, 1.0])
    vtt = "WEBVTT\n\n00:00.500 --> 00:00.600 align:start\n1\n\n01:01:01.000 --> 01:01:01.100\n2\n"
    assert read_beats(file(vtt)) == Beats([0.5, 3661.0], [1, 2])
    with pytest.raises(InputError, match=r"line 2: .* has no clocks from 0 to 59"):
        read_beats(file("1\n00:00:75,000 --> 00:00:76,000\n1\n"))


GRID = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 3
tiers? <exists>
size = 2
item []:
    item [1]:
        class = "IntervalTier"
        name = "words, "\" 1"
        xmin = 0
        xmax = 3
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 1
            text = ""
        intervals [2]:
            xmin = 1
            xmax = 3
            text = "ca-lle"
    item [2]:
        class = "TextTier"
        name = "beats"
        xmin = 0
        xmax = 3
        points: size = 3
        points [1]:
            number = 0.5
            mark = "1.1"
        points [2]:
            time = 1
            mark = "1.2"
        points [3]:
            number = 1.5
            mark = "2.1"
"""
SHORT = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n3\n<exists>\n1\n"TextTier"\n"beats"\n0\n3\n2\n'
SHORT += '0.5\n"1"\n1\n"2"\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_textgrids(file, encoding: str) -> None:
    reading = read_annotation(file(GRID, encoding=encoding))
    assert reading.beats == Beats([0.5, 1.0, 1.5], [1, 2, 1])
    assert reading.lines == (31, 34, 37)
    assert read_beats(file(SHORT, encoding=encoding)) == Beats([0.5, 1.0], [1, 2])
    with pytest.raises(InputError, match="ends in the middle of a tier"):
        read_beats(file(SHORT[: SHORT.rindex("1")]))
    with pytest.raises(InputError, match="no TextGrid"):
        read_beats(file(SHORT.replace('"TextGrid"', '"PitchTier"')))
    with pytest.raises(InputError, match="line 14: 2 stands where a text should be"):
        read_beats(file(SHORT.replace('"1"\n1\n', "2\n")))


EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"/><TIME_ORDER>
<TIME_SLOT TIME_SLOT_ID="ts1" TIME_VALUE="500"/><TIME_SLOT TIME_SLOT_ID="ts2" TIME_VALUE="1000"/>
<TIME_SLOT TIME_SLOT_ID="ts3" TIME_VALUE="1500"/><TIME_SLOT TIME_SLOT_ID="ts4"/></TIME_ORDER>
<TIER TIER_ID="gestures"/><TIER TIER_ID="pulso">
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a2" TIME_SLOT_REF1="ts2" TIME_SLOT_REF2="ts3">
<ANNOTATION_VALUE>2</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>
<ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a1" TIME_SLOT_REF1="ts1" TIME_SLOT_REF2="ts2">
<ANNOTATION_VALUE>1</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"""


def test_elan(file, tmp_path: Path) -> None:
    assert read_beats(file(EAF)) == Beats([0.5, 1.0], [1, 2])
    with pytest.raises(InputError, match="annotation 1 of tier 'pulso' has no time"):
        read_beats(file(EAF.replace('REF1="ts2"', 'REF1="ts9"')))
    with pytest.raises(InputError, match="damaged time"):
        read_beats(file(EAF.replace('"500"', '"5e2"')))
    write_beats(tmp_path / "a.eaf", Beats([0.5, 0.52, 1.0], [1, 2, 3]))
    from xml.etree import ElementTree

    root = ElementTree.parse(tmp_path / "a.eaf").getroot()
    slots = {slot.attrib["TIME_SLOT_ID"]: int(slot.attrib["TIME_VALUE"]) for slot in root.iter("TIME_SLOT")}
    spans = [
        (slots[a.attrib["TIME_SLOT_REF1"]], slots[a.attrib["TIME_SLOT_REF2"]])
        for a in root.iter("ALIGNABLE_ANNOTATION")
    ]
    assert spans == [(500, 520), (520, 570), (1000, 1050)]  # ELAN has no points, and none may overlap
    assert list(slots.values()) == sorted(slots.values())


REKORDBOX = """<?xml version="1.0"?><DJ_PLAYLISTS Version="1.0.0"><COLLECTION Entries="2">
<TRACK Name="Other" TotalTime="9" Location="file://localhost/m/other.mp3">
<TEMPO Inizio="0.1" Bpm="100.00" Metro="4/4" Battito="1"/></TRACK>
<TRACK Name="Song" TotalTime="3" Location="file://localhost/m/a%20song.mp3">
<TEMPO Inizio="0.500" Bpm="120.00" Metro="4/4" Battito="3"/>
<TEMPO Inizio="1.510" Bpm="60.00" Metro="3/4" Battito="1"/></TRACK>
</COLLECTION></DJ_PLAYLISTS>"""
TRAKTOR = """<?xml version="1.0"?><NML VERSION="19"><COLLECTION><ENTRY TITLE="Song"><LOCATION FILE="a song.mp3"/>
<INFO PLAYTIME="3"/><TEMPO BPM="120.0"/><CUE_V2 NAME="AutoGrid" TYPE="4" START="500.0" LEN="0"/>
<CUE_V2 NAME="x" TYPE="0" START="700.0"/></ENTRY></COLLECTION></NML>"""


def test_grids_of_disc_jockeys(file) -> None:
    found = read_beats(file(REKORDBOX, "a song.xml"))
    assert found == Beats([0.5, 1.0, 1.51, 2.51], [3, 4, 1, 2])
    with pytest.raises(InputError, match=r"2 recordings .'other', 'a song'., none of the annotation's name"):
        read_beats(file(REKORDBOX, "collection.xml"))
    assert read_beats(file(REKORDBOX, "collection.xml"), convention="layer:a song") == found
    reading = read_annotation(file(TRAKTOR, "collection.nml"))
    assert reading.beats == Beats([0.5, 1.0, 1.5, 2.0, 2.5, 3.0], [1, 2, 3, 4, 1, 2])
    assert "taken for downbeats" in reading.notes[0]
    with pytest.raises(InputError, match="a grid of 0 bpm"):
        read_beats(file(TRAKTOR.replace('BPM="120.0"', 'BPM="0"')))


def tempi(path: Path) -> tuple[list[float], list[float]]:
    """Tempi of a MIDI file in bpm, and when each begins in seconds, read by mido."""
    song = mido.MidiFile(path)
    now, tempo, at, found = 0.0, 500_000, [], []
    for message in song.tracks[0]:
        now += mido.tick2second(message.time, song.ticks_per_beat, tempo)
        if message.type == "set_tempo":
            tempo = message.tempo
            at.append(now)
            found.append(60e6 / tempo)
    return found, at


@pytest.mark.parametrize("first", [0.02, 0.004, 0.1, 0.33, 0.5, 0.74, 3.0, 0.0])
def test_a_tempo_map_has_sane_tempi_before_the_first_beat(tmp_path: Path, first: float) -> None:
    beats = Beats(first + 0.5 * np.arange(9), np.arange(9) % 4 + 1)
    write_beats(tmp_path / "a.mid", beats)
    found, _ = tempi(tmp_path / "a.mid")
    assert all(80 <= tempo <= 180 for tempo in found)
    read = read_beats(tmp_path / "a.mid")
    np.testing.assert_allclose(read.times_s, beats.times_s, atol=1e-6 if first != 0.004 else 5e-3)
    assert read.positions.tolist() == beats.positions.tolist()


def test_tempo_maps_of_others(tmp_path: Path) -> None:
    song = mido.MidiFile(type=1, ticks_per_beat=480)
    song.tracks.append(track := mido.MidiTrack())
    track.append(mido.MetaMessage("time_signature", numerator=3, denominator=4))
    track.append(mido.MetaMessage("set_tempo", tempo=500_000))
    track.append(mido.MetaMessage("time_signature", numerator=6, denominator=8, time=3 * 480))
    track.append(mido.MetaMessage("set_tempo", tempo=1_000_000, time=3 * 480))
    track.append(mido.MetaMessage("end_of_track", time=3 * 480))
    song.save(tmp_path / "a.mid")
    reading = read_annotation(tmp_path / "a.mid")
    # three quarters of half a second, two dotted quarters of 0.75 s, two of 1.5 s
    assert reading.beats.times_s.tolist() == [0, 0.5, 1.0, 1.5, 2.25, 3.0, 4.5]
    assert reading.beats.positions.tolist() == [1, 2, 3, 1, 2, 1, 2]
    assert "tempo map" in reading.notes[0]


def test_a_midi_file_without_length_or_in_frames_is_refused(tmp_path: Path) -> None:
    song = mido.MidiFile()
    song.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500_000)]))
    song.save(tmp_path / "a.mid")
    with pytest.raises(InputError, match="has a tempo, but no length"):
        read_beats(tmp_path / "a.mid")
    content = (tmp_path / "a.mid").read_bytes()
    (tmp_path / "b.mid").write_bytes(content[:12] + b"\xe7\x28" + content[14:])
    with pytest.raises(InputError, match="counts time in frames"):
        read_beats(tmp_path / "b.mid")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{\\rtf1\\ansi\n0.5 1\\\n}", "word processor"),
        (b"PK\x03\x04" + bytes(40), "spreadsheet"),
        ("%PDF-1.4\n", "PDF"),
        (b"\x1f\x8b\x08\x00", "gzip"),
        ("<html><body>404</body></html>", "its XML begins with 'html'"),
    ],
)
def test_other_files_are_named(file, content: str | bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_beats(file(content))


def test_audacity_reads_what_is_written_for_it(tmp_path: Path) -> None:
    """Audacity takes two numbers of a line for a region: `.beats` has them, a label track does not."""
    write_beats(tmp_path / "a.labels.txt", FOUR)
    rows = [line.split("\t") for line in (tmp_path / "a.labels.txt").read_text().splitlines()]
    assert all(start == end and label for start, end, label in rows)
    assert [float(b[0]) - float(a[0]) for a, b in pairwise(rows)] == [0.5] * 4
