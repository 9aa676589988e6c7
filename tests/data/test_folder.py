"""Folders of recordings: which annotation belongs to which, and what corpus.toml may say."""

import pickle
from pathlib import Path

import numpy as np
import pytest
import soundfile

from levada.data import load_corpus, single
from levada.errors import InputError
from levada.io.beats import Beats


def recording(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(800), 8000)
    return path


def annotation(path: Path, text: str = "0.5\t1\n1.0\t2\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_tracks_are_sorted_and_named_by_their_path(tmp_path: Path) -> None:
    for name in ("b.wav", "a.flac", "sub/c.WAV"):
        recording(tmp_path / name)
    annotation(tmp_path / "a.beats")
    corpus = load_corpus(tmp_path, labels="beats")
    assert [track.id for track in corpus.tracks] == ["a", "b", "sub/c"]
    assert [track.id for track in corpus.annotated] == ["a"]
    assert corpus.tracks[0].beats() == Beats([0.5, 1.0], [1, 2])
    assert corpus.tracks[0].duration_s == 0.1
    assert corpus.name == tmp_path.name


@pytest.mark.parametrize(
    "place",
    [
        "song.beats",
        "song.wav.beats",
        "song.csv",
        "song.txt",
        "annotations/song.beats",
        "beats/song.wav.tsv",
        "song.labels.txt",
    ],
)
def test_annotation_lies_beside_or_in_a_folder_of_its_own(tmp_path: Path, place: str) -> None:
    recording(tmp_path / "song.wav")
    expected = annotation(tmp_path / place)
    assert load_corpus(tmp_path, labels="beats").tracks[0].annotation == expected


def test_annotations_lie_in_a_folder_beside_the_audio(tmp_path: Path) -> None:
    recording(tmp_path / "audio" / "song.wav")
    expected = annotation(tmp_path / "annotations" / "song.beats")
    assert load_corpus(tmp_path, labels="beats").tracks[0].annotation == expected


@pytest.mark.parametrize(
    "other", ["song.onsets.txt", "README.txt", "song2.beats", "son.beats", "song.md", "elsewhere/song.beats"]
)
def test_what_does_not_share_the_stem_is_no_annotation(tmp_path: Path, other: str) -> None:
    recording(tmp_path / "song.wav")
    annotation(tmp_path / other)
    assert load_corpus(tmp_path, labels="beats").tracks[0].annotation is None


def test_beats_come_first_where_several_agree(tmp_path: Path) -> None:
    recording(tmp_path / "song.wav")
    for suffix in ("txt", "csv", "beats"):
        annotation(tmp_path / f"song.{suffix}")
    track = load_corpus(tmp_path, labels="beats").tracks[0]
    assert track.annotation == tmp_path / "song.beats"
    assert track.alternatives == (tmp_path / "song.csv", tmp_path / "song.txt")


def test_annotations_without_recording_are_warned_of(tmp_path: Path) -> None:
    recording(tmp_path / "song.wav")
    first, _ = [annotation(tmp_path / "annotations" / "gone.csv"), annotation(tmp_path / "lost.beats")]
    for other in ("metadata.csv", "annotations/song.onsets.txt", "annotations/song.csv"):
        annotation(tmp_path / other)
    (note,) = [note for note in load_corpus(tmp_path, labels="beats").notes if note.severity == "warning"]
    assert note.path == first
    assert note.message.endswith("(and 1 more)")


def test_hidden_files_are_passed_over(tmp_path: Path) -> None:
    for name in ("song.wav", "._song.wav", ".cache/other.wav"):
        recording(tmp_path / name)
    assert [track.id for track in load_corpus(tmp_path, labels="beats").tracks] == ["song"]


def test_same_stem_twice_keeps_the_suffix_and_one_group(tmp_path: Path) -> None:
    recording(tmp_path / "song.wav")
    recording(tmp_path / "song.flac")
    tracks = load_corpus(tmp_path, labels="beats").tracks
    assert {track.id: track.audio.name for track in tracks} == {"song": "song.wav", "song.flac": "song.flac"}
    assert {track.group for track in tracks} == {"song"}


def test_recordings_that_corpus_toml_excludes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("a.wav", "Room/b.wav", "c-OVERHEAD.wav", "room/á.flac"):
        recording(tmp_path / name)
    annotation(tmp_path / "c-OVERHEAD.beats")
    (tmp_path / "corpus.toml").write_text('exclude = ["*overhead*", "room/a\u0301", "room/b.wav", "none"]\n')
    corpus = load_corpus(tmp_path, labels="beats")
    assert [track.id for track in corpus.tracks] == ["a"]
    assert corpus.notes == ()
    assert [record.getMessage().split(": ", 1)[1] for record in caplog.records] == [
        "line 1: exclude: no recording is called 'none'"
    ]


def test_groups_are_folders_where_there_are_several(tmp_path: Path) -> None:
    for name in ("ansina/1.wav", "ansina/2.wav", "cuareim/1.wav", "loose.wav"):
        recording(tmp_path / name)
    corpus = load_corpus(tmp_path, labels="beats")
    assert [track.group for track in corpus.tracks] == ["ansina", "ansina", "cuareim", "loose"]
    assert corpus.grouping == "the folder a recording lies in"


def test_groups_are_recordings_in_one_folder(tmp_path: Path) -> None:
    for name in ("audio/1.wav", "audio/2.wav"):
        recording(tmp_path / name)
    corpus = load_corpus(tmp_path, labels="beats")
    assert [track.group for track in corpus.tracks] == ["audio/1", "audio/2"]
    assert corpus.grouping == "each recording is its own group"


def test_corpus_toml_names_things_and_groups(tmp_path: Path) -> None:
    for name in ("s1/a.wav", "s1/b.wav", "s1/c.wav", "d.wav"):
        annotation(recording(tmp_path / name).with_suffix(".beats"))
    (tmp_path / "corpus.toml").write_text(
        'name = "Llamadas"\nlicense = "CC BY 4.0"\ncitation = "Nunes 2015"\n'
        '[groups]\n"s1/*" = "ansina"\n"s1/c" = "cuareim"\n'
    )
    corpus = load_corpus(tmp_path, labels="beats")
    assert (corpus.name, corpus.licence, corpus.citation) == ("Llamadas", "CC BY 4.0", "Nunes 2015")
    assert {track.id: track.group for track in corpus.tracks} == {
        "s1/a": "ansina",
        "s1/b": "ansina",
        "s1/c": "cuareim",
        "d": "d",
    }
    assert sorted(corpus.groups) == ["ansina", "cuareim", "d"]
    assert corpus.grouping == "corpus.toml; otherwise each recording is its own group"


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ('name = "a"\nlicence = CC\n', 2, "is not valid TOML"),
        ('name = "a"\nnmae = "b"\n', 2, "'nmae' is not known"),
        ("name = 3\n", 1, "name must be text"),
        ('groups = "a"\n', 1, "groups must be a table"),
        ("[groups]\nsong = 1\n", 2, "the group of 'song' must be a name"),
        ('[groups]\nsong = ""\n', 2, "the group of 'song' must be a name"),
        ('[groups]\nsub.song = "a"\n', 2, "the group of 'sub' must be a name"),
        ('name = "a"\n\xff', 2, "is not UTF-8"),
    ],
)
def test_mistakes_in_corpus_toml_name_the_line(tmp_path: Path, text: str, line: int, problem: str) -> None:
    recording(tmp_path / "song.wav")
    (tmp_path / "corpus.toml").write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=problem) as caught:
        load_corpus(tmp_path, labels="beats")
    assert (caught.value.path, caught.value.line) == (tmp_path / "corpus.toml", line)


def test_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    annotation(tmp_path / "song.beats")
    with pytest.raises(InputError, match=r"has no audio files; looked for .*\.flac, .*\.wav"):
        load_corpus(tmp_path, labels="beats")


def test_missing_folder_and_file_for_a_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        load_corpus(tmp_path / "none", labels="beats")
    with pytest.raises(InputError, match="is a file; a corpus is a folder"):
        load_corpus(recording(tmp_path / "song.wav"), labels="beats")


def test_beats_are_read_when_asked_for_and_errors_name_the_line(tmp_path: Path) -> None:
    recording(tmp_path / "song.wav")
    annotation(tmp_path / "song.beats", "0.5 1\n1.0 2\nend\n")
    track = load_corpus(tmp_path, labels="beats").tracks[0]
    with pytest.raises(InputError) as caught:
        track.beats()
    assert caught.value.line == 3


def test_a_track_without_annotation_says_so(tmp_path: Path) -> None:
    path = recording(tmp_path / "song.wav")
    with pytest.raises(InputError, match="has no beat annotation") as caught:
        load_corpus(tmp_path, labels="beats").tracks[0].beats()
    assert caught.value.path == path


def test_tracks_travel_to_other_processes(tmp_path: Path) -> None:
    annotation(recording(tmp_path / "song.wav").with_suffix(".beats"))
    corpus = load_corpus(tmp_path, labels="beats")
    assert pickle.loads(pickle.dumps(corpus)) == corpus


def test_single_is_a_corpus_of_one_partly_annotated_recording(tmp_path: Path) -> None:
    audio, labels = recording(tmp_path / "song.wav"), annotation(tmp_path / "first-bars.beats")
    corpus = single(audio, labels)
    (track,) = corpus.tracks
    assert (track.id, track.audio, track.annotation) == ("song", audio, labels)
    assert len(track.content_hash) == 64


def test_single_names_the_file_that_is_missing_or_wrong(tmp_path: Path) -> None:
    audio, labels = recording(tmp_path / "song.wav"), annotation(tmp_path / "bad.beats", "one\ntwo\n")
    with pytest.raises(InputError, match=r"gone\.wav: there is no such recording"):
        single(tmp_path / "gone.wav", labels)
    with pytest.raises(InputError, match=r"gone\.beats: there is no such beat file"):
        single(audio, tmp_path / "gone.beats")
    with pytest.raises(InputError, match=r"bad\.beats"):
        single(audio, labels)


@pytest.mark.real
def test_real_folders_find_their_partners(real: Path) -> None:
    brid = load_corpus(real / "brid", labels="beats").tracks[0]
    assert brid.annotation is not None
    assert brid.annotation.name == "brid_0216_tamborim_samba_enredo.beats"
    assert len(load_corpus(real / "mdb_drums" / "drums_only", labels="beats").annotated) == 13
    candombe = load_corpus(real / "candombe", labels="beats")
    assert len(candombe.annotated) == 1
    assert candombe.notes[0].message.endswith("(and 34 more)")


def test_groups_of_recordings_that_are_not_there_are_warned_of(tmp_path, caplog):
    for name in ("song.wav", "other.wav"):
        (tmp_path / name).touch()
    (tmp_path / "corpus.toml").write_text('[groups]\nsong = "a"\nsnog = "b"\n"x/*" = "c"\n')
    groups = {track.id: track.group for track in load_corpus(tmp_path, labels="beats").tracks}
    assert groups == {"song": "a", "other": "other"}
    said = [record.getMessage() for record in caplog.records]
    assert said == [
        f"{tmp_path / 'corpus.toml'}: line 3: [groups]: no recording is called 'snog'",
        f"{tmp_path / 'corpus.toml'}: line 4: [groups]: no recording is called 'x/*'",
    ]


class TestReadings:
    def folder(self, root: Path, toml: str) -> Path:
        for name in ("a", "b", "c"):
            recording(root / f"{name}.wav")
        annotation(root / "a.beats")
        annotation(root / "a.later.beats", "0.5\t2\n1.0\t1\n")
        annotation(root / "b.beats")
        annotation(root / "annotations" / "later" / "c.beats", "0.5\t2\n1.0\t1\n")
        (root / "corpus.toml").write_text(toml)
        return root

    def test_are_all_beside_the_labels_and_never_in_their_place(self, tmp_path):
        root = self.folder(tmp_path, '[labels]\nreadings = ["later"]\n')
        corpus = load_corpus(root)
        a, b, c = corpus.tracks
        assert a.annotation == root / "a.beats"
        assert {name: track.beats().positions.tolist() for name, track in a.by_reading().items()} == {
            "labels": [1, 2],
            "later": [2, 1],
        }
        assert (b.annotation, dict(b.readings)) == (root / "b.beats", {})
        assert (c.annotation, dict(c.readings)) == (root / "annotations" / "later" / "c.beats", {})  # its only labels
        assert not corpus.notes

    def test_of_the_caller_with_an_annotator(self, tmp_path):
        root = self.folder(tmp_path, "")
        annotation(root / "b.ana.beats")
        annotation(root / "b.later.beats")
        ana = {track.id: list(track.readings) for track in load_corpus(root, annotator="ana", readings=["later"])}
        assert ana == {"a": [], "b": ["ana", "later"], "c": []}

    @pytest.mark.parametrize(
        ("toml", "problem", "line"),
        [
            ('[labels]\nreadings = ["earlier"]\n', "no labels of an annotator 'earlier'; annotators: later", 2),
            ('[labels]\nreadings = "later"\n', "must be a list of annotators", 2),
            ("[labels]\nreadings = [3]\n", "must be a list of annotators", 2),
        ],
    )
    def test_that_are_wrong_name_the_line(self, tmp_path, toml, problem, line):
        with pytest.raises(InputError, match=problem) as error:
            load_corpus(self.folder(tmp_path, toml))
        assert error.value.line == line

    def test_are_checked_as_labels_are(self, tmp_path):
        root = self.folder(tmp_path, '[labels]\nreadings = ["later"]\n')
        annotation(root / "a.later.beats", "one\t1\n")
        problems = load_corpus(root).check().problems
        assert ("error", root / "a.later.beats", 1) in {(one.severity, one.path, one.line) for one in problems}
