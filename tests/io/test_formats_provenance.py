"""The mark of what levada made: comments that other programs pass over, and that do not outlive an edit."""

import bz2
import os
from pathlib import Path
from xml.etree import ElementTree

import mido
import numpy as np
import pytest

from levada.data import check, load_corpus, single
from levada.io.beats import Beats
from levada.io.formats import read_beats, write_beats
from levada.io.formats.provenance import is_unedited, read_provenance

FOUR = Beats([0.5, 1.0, 1.5, 2.0, 2.5], [1, 2, 3, 4, 1])
MADE = {"version": "1.2", "model": "my -- café's <model>", "identity": "0123456789abcdef"}
MARKED = ["a.beats", "a.txt", "a.svl", "a.sv", "a.eaf", "a.mid", "a.jams"]


@pytest.mark.parametrize("name", MARKED)
def test_files_say_what_made_them_and_are_read_as_before(tmp_path: Path, name: str) -> None:
    path, plain = tmp_path / name, tmp_path / f"plain-{name}"
    write_beats(path, FOUR, provenance=MADE)
    write_beats(plain, FOUR)
    np.testing.assert_array_equal(read_beats(path).times_s, read_beats(plain).times_s)
    assert read_beats(path).positions.tolist() == [1, 2, 3, 4, 1]
    assert is_unedited(path)
    assert not is_unedited(plain)
    made = read_provenance(path.read_bytes())
    assert made is not None
    assert (made["version"], made["identity"]) == ("1.2", "0123456789ab")


@pytest.mark.parametrize("name", ["a.beats", "a.svl", "a.eaf", "a.jams"])
def test_line_ends_are_no_edit_and_a_time_is(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    write_beats(path, FOUR, provenance=MADE)
    content = path.read_bytes()
    path.write_bytes(content.replace(b"\n", b"\r\n"))
    assert is_unedited(path)
    edits = {".beats": (b"1.000000", b"1.010000"), ".svl": (b'44100" l', b'44200" l'), ".eaf": (b"1000", b"1010")}
    old, new = edits.get(path.suffix, (b"1.0,", b"1.01,"))
    assert old in content
    path.write_bytes(content.replace(old, new))
    assert not is_unedited(path)
    assert len(read_beats(path)) == 5


def test_comments_are_where_each_format_has_them(tmp_path: Path) -> None:
    for name in MARKED:
        write_beats(tmp_path / name, FOUR, provenance=MADE)
    times, positions = np.loadtxt(tmp_path / "a.beats", unpack=True)  # its comments begin with #
    assert (times.tolist(), positions.tolist()) == ([0.5, 1.0, 1.5, 2.0, 2.5], [1, 2, 3, 4, 1])
    assert (tmp_path / "a.beats").read_text().splitlines()[0].startswith("# written by levada 1.2, model my")
    for content in ((tmp_path / "a.svl").read_bytes(), bz2.decompress((tmp_path / "a.sv").read_bytes())):
        assert len(list(ElementTree.fromstring(content).iter("point"))) == 5
    assert ElementTree.parse(tmp_path / "a.eaf").getroot().tag == "ANNOTATION_DOCUMENT"
    texts = [(event.time, event.text) for event in mido.MidiFile(tmp_path / "a.mid").tracks[0] if event.type == "text"]
    assert texts[0][0] == 0
    assert texts[0][1].startswith("written by levada 1.2")


@pytest.mark.parametrize("name", ["a.csv", "a.sv.csv", "a.labels.txt", "a.srt", "a.TextGrid", "a.reaper.csv"])
def test_formats_without_comments_are_written_as_they_were(tmp_path: Path, name: str) -> None:
    write_beats(tmp_path / name, FOUR, provenance=MADE)
    write_beats(tmp_path / f"plain-{name}", FOUR)
    assert (tmp_path / name).read_bytes() == (tmp_path / f"plain-{name}").read_bytes()


@pytest.mark.parametrize("name", ["song.beats", "annotations/song.svl", "beats/song.jams"])
def test_what_levada_wrote_beside_a_recording_is_no_label_until_it_is_edited(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    (tmp_path / "song.wav").touch()
    write_beats(path, FOUR, provenance=MADE)
    corpus = load_corpus(tmp_path, labels="beats")
    assert corpus.annotated == ()
    assert [note.path for note in corpus.notes] == [path]
    assert [problem.severity for problem in check(corpus).problems if problem.path == path] == ["note"]
    path.write_bytes(path.read_bytes().replace(b"written by levada", b"checked by Ana"))
    assert [track.annotation for track in load_corpus(tmp_path, labels="beats").annotated] == [path]


def test_a_file_that_is_named_is_used_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "song.wav").touch()
    write_beats(tmp_path / "song.beats", FOUR, provenance=MADE)
    assert single(tmp_path / "song.wav", tmp_path / "song.beats").tracks[0].beats() == FOUR
    assert [record.levelname for record in caplog.records] == ["WARNING"]


@pytest.mark.parametrize("content", [b"", b"BZh9 is no archive", b"# written by levada 1, model a (b), content 0\n1.0"])
def test_other_files_have_no_mark(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.beats").write_bytes(content)
    assert not is_unedited(tmp_path / "x.beats")
    assert not is_unedited(tmp_path / "missing.beats")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.beats")
    assert not is_unedited(tmp_path / "pipe.beats")
