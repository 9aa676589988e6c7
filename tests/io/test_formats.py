import json
import logging
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import mido
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats import FORMATS, read_beats, write_beats

SAMBA = Beats([0.5, 1.0, 1.5, 2.125], [1, 2, 1, 2])


@pytest.fixture
def file(tmp_path: Path):
    def write(content: str | bytes, name: str = "song.beats", encoding: str = "utf-8") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
        return path

    return write


TABLES = {
    "tab": "0.5\t1\n1.0\t2\n1.5\t1\n2.125\t2\n",
    "space": "0.5 1\n1.0 2\n1.5 1\n2.125 2\n",
    "several spaces": " 0.5   1\n 1.0   2 \n 1.5   1\n 2.125 2\n",
    "tab between spaces": "0.5 \t 1\n1.0 \t 2\n1.5 \t 1\n2.125 \t 2\n",
    "comma": "0.5,1\n1.0,2\n1.5,1\n2.125,2\n",
    "comma and space": "0.5, 1\n1.0, 2\n1.5, 1\n2.125, 2\n",
    "semicolon": "0.5;1\n1.0;2\n1.5;1\n2.125;2\n",
    "mixed": "0.5 1\n1.0\t2\n1.5,1\n2.125;2\n",
    "decimal comma, tab": "0,5\t1\n1,0\t2\n1,5\t1\n2,125\t2\n",
    "decimal comma, semicolon": "0,5;1\n1,0;2\n1,5;1\n2,125;2\n",
    "decimal comma, space": "0,5 1\n1,0 2\n1,5 1\n2,125 2\n",
    "no last newline": "0.5 1\n1.0 2\n1.5 1\n2.125 2",
    "carriage returns": "0.5 1\r\n1.0 2\r\n1.5 1\r\n2.125 2\r\n",
    "old carriage returns": "0.5 1\r1.0 2\r1.5 1\r2.125 2\r",
    "comments and blanks": "# tapped by hand\n\n0.5 1\n1.0 2\n  \n1.5 1\n# the end\n2.125 2\n\n",
    "floats": "0.5\t1.0\n1.0\t2.0\n1.5\t1.0\n2.125\t2.0\n",
    "savetxt": "5.0e-01 1.000000000000000000e+00\n1.0e0 2.0e+00\n1.5 1.0e+00\n2.125 2.0e+00\n",
    "bar.beat": "0.5 1.1\n1.0 1.2\n1.5 2.1\n2.125 2.2\n",
    "bar.beat, three digits": "0.5 1.100\n1.0 1.200\n1.5 2.100\n2.125 2.200\n",
    "bar:beat": "0.5 1:1\n1.0 1:2\n1.5 2:1\n2.125 2:2\n",
    "candombe csv": "0.5,1.1\n1.0,1.2\n1.5,2.1\n2.125,2.2\n",
    "names": "time,position\n0.5,1\n1.0,2\n1.5,1\n2.125,2\n",
    "names in another order": "Bar;Beat;Time\n1;1;0,5\n1;2;1,0\n2;1;1,5\n2;2;2,125\n",
    "names and index": ",time,beat\n0,0.5,1\n1,1.0,2\n2,1.5,1\n3,2.125,2\n",
    "names, bar.beat": "time\tbar.beat\n0.5\t1.1\n1.0\t1.2\n1.5\t2.1\n2.125\t2.2\n",
    "time, beat, bar": "0.5 1 1\n1.0 2 1\n1.5 1 2\n2.125 2 2\n",
    "time, bar, beat": "0.5 1 1\n1.0 1 2\n1.5 2 1\n2.125 2 2\n",
    "quotes": '0.5,"1"\n1.0,"2"\n1.5,"1"\n2.125,"2"\n',
    "sonic visualiser": "0.500000000,1.1\n1.000000000,1.2\n1.500000000,2.1\n2.125000000,2.2\n",
    "sonic visualiser, names": "TIME,LABEL\n0.5,1\n1.0,2\n1.5,1\n2.125,2\n",
    "audacity": "0.500000\t0.500000\t1\n1.000000\t1.000000\t2\n1.500000\t1.500000\t1\n2.125000\t2.125000\t2\n",
    "audacity regions": "0.500000\t0.600000\t1.1\n1.000000\t1.100000\t1.2\n"
    "\\\t-1.000000\t-1.000000\n1.500000\t1.600000\t2.1\n2.125000\t2.200000\t2.2\n",
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_say_the_same(file, name: str) -> None:
    assert read_beats(file(TABLES[name])) == SAMBA


def test_the_name_does_not_matter(file) -> None:
    assert read_beats(file(TABLES["audacity"], "x.csv")) == SAMBA
    write_beats(path := file("", "x.jams"), SAMBA, force=True)
    assert read_beats(path.rename(path.with_suffix(".beats"))) == SAMBA


@pytest.mark.parametrize(
    "text", ["0.5\n1.0\n", "0.5,New Point\n1.0,New Point\n", "0.5,\n1.0,\n", "0.5\t0.5\t\n1.0\t1.0\t\n"]
)
def test_unknown_positions(file, text: str) -> None:
    assert read_beats(file(text)) == Beats([0.5, 1.0])


def test_only_downbeats_are_labelled(file) -> None:
    assert read_beats(file("0.5\t0.5\tdownbeat\n1.0\t1.0\tbeat\n1.5\t1.5\t\n")).positions.tolist() == [1, 0, 0]


def test_the_tenth_beat_of_a_bar_is_not_the_first(file) -> None:
    text = "".join(f"{i / 2:.1f}\t1.{i}\n" for i in range(1, 13)) + "6.5\t2.1\n"
    assert read_beats(file(text)).positions.tolist() == [*range(1, 13), 1]


def test_confidences_are_read(file) -> None:
    named = read_beats(file("time,beat,bar,confidence\n0.5,1,1,0.9\n1.0,2,1,0.25\n"))
    assert named == Beats([0.5, 1.0], [1, 2], [0.9, 0.25])
    assert read_beats(file("0.5 1 0.9\n1.0 2 0.25\n")) == named
    both = read_beats(file("time,position,confidence,position_confidence\n0.5,1,0.9,0.7\n1.0,2,0.25,0.2\n"))
    assert both == Beats([0.5, 1.0], [1, 2], [0.9, 0.25], [0.7, 0.2])
    assert read_beats(file("time,beat,confidence\n0.5,1,\n1.0,2,\n")).confidence is None


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "latin-1"])
def test_encodings(file, encoding: str) -> None:
    text = "# Antônio, tamborím\n" + TABLES["tab"]
    assert read_beats(file(text, encoding=encoding)) == SAMBA


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("0.5 1\n1 2\n2 1\n3 2\n4 1\n5 2\nhello\n", "line 7: 'hello' is not a time in seconds"),
        ("0.5\n1\n2\n3\n4\n5\nthe second verse starts here\n", "line 7: 'the' is not a time in seconds"),
        ("0.5 1\n1 2\n2 1 3\n", "line 3: has more columns than most lines"),
        ("0.5 1\n\n# x\n1.0 zwei\n", "line 4: 'zwei' is not the place of a beat"),
        ("0.5\n0.4\n", r"line 2: 0.4 s comes before 0.5 s in line 1: beats must be in order"),
        ("0.5\n0.5\n", "line 2: 0.5 s is the same beat as in line 1"),
        ("0.5 1\n0.500 2\n", "line 2: 0.5 s is the same beat as in line 1"),
        ("-1.1\n0.5\n", "line 1: -1.1 s: a beat cannot come before the recording starts"),
        ("0.5\nnan\n", "line 2: 'nan' is not a finite time"),
        ("0.5\n-Infinity\n", "line 2: '-Infinity' is not a finite time"),
        ("0.5 1\n1.0 -2\n", "line 2: '-2' is not the place"),
        ("0.5 1\n1.0 1.3\n2.0 2\n", "line 1: '1' is not bar.beat, but other labels are"),
        ("0.5 1.0\n1.0 1.25\n2.0 1.3\n", "line 1: '1.0' is not bar.beat: beats are counted from 1"),
        ("0,5\n1,0\n", "line 1: '0,5' may be one number or two"),
        ("1 2 3 4\n2 3 4 5\n", "line 1: has 4 columns: name them"),
        ("time,confidence\n0.5,high\n", "line 2: 'high' is not a confidence between 0 and 1"),
        ("0.5 1 0.5\n1.0 2 1.5\n", "line 2: '1.5' is not a confidence"),
        ("frame,label\n44100,1\n", "line 1: times are in frames"),
        ("start of the song\n0.5\n", "line 1: 'start' is not a time"),
        ("0:61.5 1\n", "line 1: '0:61.5' is not a time in seconds"),
        ("1_000 1\n", "'1_000' is not a time"),
        ("", "song.beats: has no beats"),
        ("\n \n", "song.beats: has no beats"),
        ("# nothing\n", "song.beats: has no beats"),
        ("time,position\n", "song.beats: has no beats"),
    ],
)
def test_bad_tables(file, text: str, words: str) -> None:
    with pytest.raises(InputError, match=r"song\.beats") as caught:
        read_beats(file(text))
    assert words in str(caught.value)


def test_a_word_of_one_line_is_not_taken_for_a_column(file) -> None:
    with pytest.raises(InputError, match="line 3: '' is not a time"):
        read_beats(file("0.5\t1\n1.0\t2\n\t1\n"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"RIFF\x24\x00\x00\x00WAVEfmt ", "is not text"),
        (bytes(range(256)), "is not text"),
        (b"MThd\x00\x00\x00\x06", "is a damaged MIDI file"),
        (b"\xff\xfe0", "line 1"),
        (b"\x93NUMPY\x01\x00", "is a damaged array"),
        (b"{", "line 1: is not JSON"),
        (b'{"annotations": []}', "is JSON without an annotation of beats"),
        (b"[" * 100_000, "is not a time"),
        (b'{"a":' * 100_000, "is not JSON"),
        (b"<sv>\n<data>", "line 2: is not whole XML"),
        (b"<html></html>", "has no layer of points"),
    ],
)
def test_bad_content(file, content: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_beats(file(content))


def test_no_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.beats: there is no such file"):
        read_beats(tmp_path / "none.beats")
    with pytest.raises(InputError, match="is a folder"):
        read_beats(tmp_path)


def test_a_file_too_large(tmp_path: Path) -> None:
    with open(tmp_path / "huge.beats", "wb") as huge:
        huge.truncate(50_000_001)
    with pytest.raises(InputError, match="too large"):
        read_beats(tmp_path / "huge.beats")


def jams(data: object, namespace: str = "beat") -> str:
    return json.dumps({"annotations": [{"namespace": "chord", "data": []}, {"namespace": namespace, "data": data}]})


def test_jams_of_others(file) -> None:
    sparse = [{"time": 0.5, "duration": 0, "value": 1, "confidence": 1}, {"time": 1, "value": 2.0}]
    assert read_beats(file(jams(sparse))) == Beats([0.5, 1.0], [1, 2])
    dense = {"time": [0.5, 1], "duration": [0, 0], "value": [None, 1], "confidence": [0.5, 1]}
    assert read_beats(file(jams(dense))) == Beats([0.5, 1.0], [0, 1], [0.5, 1.0])
    place = {"position": 3, "measure": 1, "num_beats": 4, "beat_units": 4}
    assert read_beats(file(jams([{"time": 0.5, "value": place}], "beat_position"))) == Beats([0.5], [3])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "has no beats"),
        (None, "has no data"),
        ([{"value": 1}], "beat 1 has no time"),
        ([{"time": "1"}], "beat 1 has no time"),
        ([{"time": 0.5}, {"time": float("nan")}], "beat 2 has no time"),
        ([{"time": 0.5, "value": [1]}], "beat 1 has .* as its position"),
        ([{"time": 0.5, "value": "eins"}], "beat 1: 'eins' is not the place of a beat"),
        ([{"time": 0.5, "confidence": "sure"}], "beat 1 has 'sure' as its confidence"),
        ([{"time": 0.5, "confidence": 2}], "confidence of beat 1 is not between 0 and 1"),
        ([{"time": 0.5}, {"time": 0.5}], "song.beats: beat 2: 0.5 s is the same beat as in beat 1"),
        ({"time": [0.5, 1], "value": [1]}, "different lengths"),
    ],
)
def test_bad_jams(file, data: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_beats(file(jams(data)))


def svl(points: str, head: str = "<!DOCTYPE sonic-visualiser>") -> str:
    model = '<model id="7" sampleRate="48000" type="sparse" dimensions="1" dataset="6" />'
    wave = '<model id="1" type="wavefile" sampleRate="44100" />'
    return f'<?xml version="1.0"?>{head}<sv><data>{wave}{model}<dataset id="6">{points}</dataset></data></sv>'


def test_svl_of_others(file) -> None:
    points = '<point frame="48000" label="New Point" />\n<point frame="24000" label="1.2" />'
    assert read_beats(file(svl(points))) == Beats([0.5, 1.0], [2, 0])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (svl(""), "has no beats"),
        (svl('<point label="1" />'), "damaged number"),
        (svl('<point frame="5" label="chorus" />'), "point 1: 'chorus' is not the place of a beat"),
        (svl('<point frame="5" /><point frame="5" />'), "song.beats: point 2: .* is the same beat as in point 1"),
        (svl('<point frame="-96000" />'), "cannot come before the recording starts"),
        (svl('<point frame="5" label="&x;" />', '<!DOCTYPE sv [<!ENTITY x "1">]>'), "declares XML entities"),
        (svl("").replace("48000", "0"), "sample rate of 0 Hz"),
    ],
)
def test_bad_svl(file, text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_beats(file(text))


def test_arrays(tmp_path: Path) -> None:
    path = tmp_path / "song.npy"
    np.save(path, np.array([0.5, 1.0]))
    assert read_beats(path) == Beats([0.5, 1.0])
    np.save(path, np.array([[0.5, 1], [1.0, 2]]))
    assert read_beats(path) == Beats([0.5, 1.0], [1, 2])
    for bad, words in [
        (np.zeros((3, 4)), r"array of float64 \(3, 4\)"),
        (np.array(["a"]), "array of <U1"),
        (np.array([]), "has no beats"),
        (np.array([0.5, np.nan]), r"song\.npy: beat 2 is not a finite time"),
        (np.array([[0.5, 1.5]]), "whole numbers"),
    ]:
        np.save(path, bad)
        with pytest.raises(InputError, match=words):
            read_beats(path)
    np.save(path, np.array([{}]), allow_pickle=True)
    with pytest.raises(InputError, match="damaged array"):
        read_beats(path)


microseconds = st.lists(st.integers(23, 5_000_000), min_size=1, max_size=40)  # 23 us: a frame of an svl


@st.composite
def beats(draw: st.DrawFn) -> Beats:
    times_us = np.cumsum(draw(microseconds))
    n = len(times_us)
    positions = draw(st.lists(st.integers(0, 12), min_size=n, max_size=n))
    millionths = st.integers(0, 10**6).map(lambda number: number / 1e6)
    confidences = st.none() | st.lists(millionths, min_size=n, max_size=n)
    return Beats(times_us / 1e6, positions, draw(confidences), draw(confidences))


WRITTEN = [name for name, kind in FORMATS.items() if kind.dump is not None]


@pytest.mark.parametrize("kind", WRITTEN)
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(written=beats())
def test_round_trips(tmp_path: Path, kind: str, written: Beats) -> None:
    path = tmp_path / "song"
    step_s = FORMATS[kind].step_s
    assume(len(np.unique(np.round(written.times_s / step_s))) == len(written))
    assume(kind != "midi" or len(written) > 1)
    assume(set(written.positions) - {0} != {10})  # where all are bar.10, it is 1 with a decimal more
    write_beats(path, written, format=kind, force=True)
    read = read_beats(path)
    off = step_s / 2 if step_s > 1e-6 else 1e-12 if kind != "midi" else 1.001e-6
    first = 0.011 * np.median(written.intervals_s) if kind == "midi" else 0.0  # may be put at the start
    np.testing.assert_allclose(read.times_s[1:], written.times_s[1:], rtol=0, atol=off * (1 + 1e-6))
    np.testing.assert_allclose(read.times_s[0], written.times_s[0], rtol=0, atol=first + off * (1 + 1e-6))
    np.testing.assert_array_equal(read.positions, written.positions)
    for name in ("confidence", "position_confidence"):
        before, after = getattr(written, name), getattr(read, name)
        if kind in ("csv", "jams") and before is not None:
            np.testing.assert_allclose(after, before, rtol=0, atol=1e-12)
        else:
            assert after is None
    write_beats(again := tmp_path / "again", read, format=kind, force=True)
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("beats", "0.500000\t1\n1.000000\t2\n1.500000\t1\n2.125000\t2\n"),
        ("csv", "time,position\n0.500000,1\n1.000000,2\n1.500000,1\n2.125000,2\n"),
        ("sv", "0.500000,1\n1.000000,2\n1.500000,1\n2.125000,2\n"),
        (
            "audacity",
            "0.500000\t0.500000\t1\n1.000000\t1.000000\t2\n1.500000\t1.500000\t1\n2.125000\t2.125000\t2\n",
        ),
        (
            "reaper",
            "#,Name,Start,End,Length\nM1,1.1,0:00:00.500000,,\nM2,1.2,0:00:01.000000,,\n"
            "M3,2.1,0:00:01.500000,,\nM4,2.2,0:00:02.125000,,\n",
        ),
    ],
)
def test_what_is_written(tmp_path: Path, kind: str, text: str) -> None:
    write_beats(tmp_path / "song", SAMBA, format=kind)
    assert (tmp_path / "song").read_text() == text


def test_reaper_markers_after_an_hour_and_in_a_pickup(tmp_path: Path) -> None:
    write_beats(tmp_path / "x.reaper.csv", Beats([1.0, 3599.9999999, 3661.25], [4, 1, 0]))
    rows = (tmp_path / "x.reaper.csv").read_text().splitlines()
    assert rows[1:] == ["M1,0.4,0:00:01.000000,,", "M2,1.1,1:00:00.000000,,", "M3,beat,1:01:01.250000,,"]


@pytest.mark.parametrize(
    ("name", "begins"),
    [
        ("a.beats", b"0.5"),
        ("a.TXT", b"0.500000\t1\n"),
        ("a.csv", b"time,"),
        ("a.sv.csv", b"0.500000,1"),
        ("a.reaper.csv", b"#,Name"),
        ("a.labels.txt", b"0.500000\t0.500000"),
        ("a.jams", b"{"),
        ("a.svl", b"<?xml"),
        ("a.mid", b"MThd"),
    ],
)
def test_the_suffix_names_the_format(tmp_path: Path, name: str, begins: bytes) -> None:
    write_beats(tmp_path / name, SAMBA)
    assert (tmp_path / name).read_bytes().startswith(begins)


def test_jams_keeps_to_the_schema(tmp_path: Path) -> None:
    write_beats(tmp_path / "a.jams", Beats([0.5, 1], [0, 1], [0.5, 1]), duration_s=3.5)
    document = json.loads((tmp_path / "a.jams").read_text())
    assert document["file_metadata"]["duration"] == 3.5
    assert document["sandbox"] == {}
    (annotation,) = document["annotations"]
    assert annotation["namespace"] == "beat"
    assert {"annotation_metadata", "data", "sandbox", "time", "duration"} < set(annotation)
    assert annotation["data"][0] == {"time": 0.5, "duration": 0.0, "value": None, "confidence": 0.5}


def test_an_svl_has_the_frames(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    write_beats(tmp_path / "a.svl", SAMBA)
    root = ElementTree.parse(tmp_path / "a.svl").getroot()
    model, layer = root.find("data/model"), root.find("display/layer")
    assert model is not None
    assert layer is not None
    assert model.attrib["sampleRate"] == "44100"
    assert layer.attrib["model"] == model.attrib["id"]
    assert [p.attrib["frame"] for p in root.iter("point")] == ["22050", "44100", "66150", "93712"]


def grid(path: Path) -> tuple[list[float], dict[float, str]]:
    """Times of the quarter notes of a tempo map, in seconds, and its time signatures by quarter, read by mido."""
    song = mido.MidiFile(path)
    tempi, signatures, tick = [], {}, 0
    for message in song.tracks[0]:
        tick += message.time
        if message.type == "set_tempo":
            tempi.append((tick, message.tempo))
        if message.type == "time_signature":
            signatures[tick / song.ticks_per_beat] = f"{message.numerator}/{message.denominator}"
    quarters, now = [], Fraction(0)
    for quarter in range(tick // song.ticks_per_beat):
        quarters.append(float(now))
        now += Fraction([us for at, us in tempi if at <= quarter * song.ticks_per_beat][-1], 10**6)
    return quarters, signatures


def test_a_tempo_map_keeps_every_beat_on_the_grid(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    times = 0.37 + np.cumsum(rng.uniform(0.3, 0.6, 700))
    write_beats(tmp_path / "a.mid", Beats(times, np.arange(3, 703) % 4 + 1))
    quarters, signatures = grid(tmp_path / "a.mid")
    assert times[-1] > 300
    lead = len(quarters) - 1 - 700 + 1
    np.testing.assert_allclose(quarters[lead:], times, rtol=0, atol=1.001e-6)
    assert (lead, signatures) == (2, {0: "2/4", 2: "1/4", 3: "4/4"})


def test_a_tempo_map_from_zero_with_changing_bars(tmp_path: Path) -> None:
    positions = [1, 2, 3, 1, 2, 1, 2, 1, 2]
    write_beats(tmp_path / "a.mid", Beats(np.arange(9) * 0.5, positions))
    quarters, signatures = grid(tmp_path / "a.mid")
    assert quarters == [i * 0.5 for i in range(9)]
    assert signatures == {0: "3/4", 3: "2/4"}


def test_a_tempo_map_bridges_long_silences(tmp_path: Path) -> None:
    write_beats(tmp_path / "a.mid", Beats([40, 40.5, 100, 100.5]))
    quarters, signatures = grid(tmp_path / "a.mid")
    assert {40.0, 40.5, 100.0, 100.5} <= set(quarters)
    assert signatures[0] == "80/4"


@pytest.mark.parametrize(
    ("beats", "name", "options", "words"),
    [
        (SAMBA, "a.xyz", {}, r"a\.xyz: its suffix names no format .* \.beats, \.txt"),
        (SAMBA, "a.beats", {"format": "xls"}, "no format 'xls': use one of beats, csv"),
        (Beats([0.5]), "a.mid", {}, r"a\.mid: a tempo map needs at least two beats"),
        (Beats([0.5, 0.50001]), "a.svl", {}, "two beats fall together"),
        (Beats([0.5, 0.5000001]), "a.beats", {}, "two beats fall together"),
        (SAMBA, "file/a.beats", {}, "file is a file, not a folder"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, beats: Beats, name: str, options: dict, words: str) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=words):
        write_beats(tmp_path / name, beats, **options)
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_nothing_is_overwritten_without_force(file) -> None:
    path = file("mine")
    with pytest.raises(InputError, match="--force"):
        write_beats(path, SAMBA)
    assert path.read_text() == "mine"
    write_beats(path, SAMBA, force=True)
    assert read_beats(path) == SAMBA


@pytest.mark.parametrize("kind", [name for name in WRITTEN if name != "midi"])
def test_no_beats_can_be_written_but_not_read(tmp_path: Path, kind: str) -> None:
    write_beats(tmp_path / "song", Beats([]), format=kind)
    with pytest.raises(InputError, match="has no beats"):
        read_beats(tmp_path / "song")


REAL = {
    "candombe/csic_1995_ansina1_01_first16s.beats": (36, 9, {4: 8}),
    "candombe/annotations/proyecto.1992_magarinos_02.beats": (1573, 394, {4: 393}),
    "brid/brid_0216_tamborim_samba_enredo.beats": (54, 27, {2: 26}),
    "choro/choros_no1_guitar.beats": (34, 17, {2: 16}),
    "pop/pop_100bpm.beats": (36, 9, {4: 8}),
    "mdb_drums/full_mixes/Rock/mixture.beats": (24, 6, {4: 5}),
}


@pytest.mark.real
def test_real_annotations(real: Path, caplog) -> None:
    paths = sorted(real.rglob("*.beats"))
    assert len(paths) >= 56
    with caplog.at_level(logging.WARNING):
        read = {path: read_beats(path) for path in paths}
    assert not caplog.records
    assert all(len(beats) == len(path.read_text().splitlines()) for path, beats in read.items())
    for name, (count, downbeats, metres) in REAL.items():
        beats = read[real / name]
        assert (len(beats), len(beats.downbeats_s), beats.metres) == (count, downbeats, metres)


def test_reading_imports_little() -> None:
    code = (
        "import sys, levada.io.formats; print(*sorted({'torch', 'scipy', 'soundfile', 'xml.etree'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
