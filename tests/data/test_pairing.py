"""Which file is the annotation of which recording."""

import unicodedata
from pathlib import Path

import pytest

from levada.data import check, load_corpus
from levada.errors import InputError
from levada.io.run_folder import RunFolder


def corpus(root: Path, *names: str) -> Path:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("0.5\t1\n1.0\t2\n")
    return root


def pairs(root: Path) -> dict[str, list[str]]:
    return {
        track.id: [
            path.relative_to(root).as_posix()
            for path in ([track.annotation] if track.annotation else []) + list(track.alternatives)
        ]
        for track in load_corpus(root, labels="beats").tracks
    }


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_composed_and_decomposed_letters_are_the_same(tmp_path, form):
    other = {"NFC": "NFD", "NFD": "NFC"}[form]
    song, labels = (unicodedata.normalize(one, "canción") for one in (form, other))
    corpus(tmp_path, f"{song}.flac", f"beats/{labels}.beats", f"{labels}.csv", "b.flac")
    (tmp_path / "corpus.toml").write_text(f'[groups]\n"{labels}" = "ana"\n"b" = "berta"\n')
    assert pairs(tmp_path)[song] == [f"beats/{labels}.beats", f"{labels}.csv"]
    assert {track.id: track.group for track in load_corpus(tmp_path, labels="beats").tracks} == {
        song: "ana",
        "b": "berta",
    }


@pytest.mark.parametrize(
    "name",
    ["song.BEATS", "song.beats.txt", "song.Beats.TXT", "song.SVL", "song.Csv", "song.wav.BEATS", "song.TextGrid"],
)
def test_suffixes_may_be_in_upper_case_or_hidden_behind_another(tmp_path, name):
    assert pairs(corpus(tmp_path, "song.wav", name)) == {"song": [name]}


def test_suffixes_of_recordings_may_be_in_upper_case(tmp_path):
    assert pairs(corpus(tmp_path, "a.WAV", "a.beats", "b.MOV", "b.csv", "c.3GP")) == {
        "a": ["a.beats"],
        "b": ["b.csv"],
        "c": [],
    }


def test_another_stem_is_none(tmp_path):
    assert pairs(corpus(tmp_path, "song.wav", "song.onsets.txt", "song2.beats", "Song.md")) == {"song": []}


LAYOUTS = {  # as the indexes of mirdata have them: a recording, its annotation, and files that are none
    "brid": (
        "Data/Acoustic Mixtures/[0001] M4-01-SA.wav",
        "Annotations/beats/[0001] M4-01-SA.beats",
        ["Annotations/tempo/[0001] M4-01-SA.bpm"],
    ),
    "candombe": ("candombe_audio/csic.1995_ansina1_01.flac", "candombe_annotations/csic.1995_ansina1_01.csv", []),
    "ballroom": ("B_1.0/audio/ChaChaCha/Albums-01.wav", "B_1.0/annotations/beats/Albums-01.beats", []),
    "hainsworth": ("audio/song.wav", "annotations/beats/song.txt", ["annotations/onsets/song.txt"]),
    "tempo and chords": (
        "audio/x.wav",
        "beat_labels/x.csv",
        ["chord_annotations/x.lab", "annotations/tempo/x.csv", "midi/x.mid"],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_annotations_may_lie_apart_from_the_recordings(tmp_path, layout):
    recording, annotation, others = LAYOUTS[layout]
    corpus(tmp_path, recording, annotation, *others)
    assert list(pairs(tmp_path).values()) == [[annotation]]


def test_of_two_recordings_of_one_name_neither_gets_what_lies_apart(tmp_path):
    corpus(tmp_path, "1995/take.wav", "1996/take.wav", "annotations/old/take.beats")
    assert pairs(tmp_path) == {"1995/take": [], "1996/take": []}


def test_what_lies_beside_goes_before_what_lies_apart(tmp_path):
    corpus(tmp_path, "audio/take.wav", "audio/take.csv", "annotations/old/take.beats")
    assert pairs(tmp_path) == {"audio/take": ["audio/take.csv"]}


def test_beats_that_levada_wrote_are_no_labels_until_somebody_corrects_them(tmp_path):
    corpus(tmp_path, "a.wav", "b.wav", "b.csv")
    with RunFolder.acquire(tmp_path / "beats", kind="beats", config={"model": "base"}) as held:
        for name in "ab":
            with held.writing(name) as temporary:
                (temporary / f"{name}.beats").write_text("0.5\t1\n1.0\t2\n")
    assert pairs(tmp_path) == {"a": [], "b": ["b.csv"]}
    notes = [
        problem
        for problem in check(load_corpus(tmp_path, labels="beats")).problems
        if problem.path == tmp_path / "beats/a.beats"
    ]
    assert len(notes) == 1
    (tmp_path / "beats" / "a.beats").write_text("0.51\t1\n1.02\t2\n")
    assert pairs(tmp_path) == {"a": ["beats/a.beats"], "b": ["b.csv"]}


def test_an_annotation_without_a_recording_is_named(tmp_path):
    corpus(tmp_path, "a.wav", "a.beats", "b.BEATS", "annotations/c.txt", "notes.txt")
    (note,) = [note for note in load_corpus(tmp_path, labels="beats").notes if note.severity == "warning"]
    assert note.path.name == "c.txt"
    assert note.message.endswith("(and 1 more)")


def test_what_a_folder_holds_besides_is_named_in_one_note(tmp_path):
    corpus(
        tmp_path, "a.wav", "a.beats", "a.csv", "README.md", "LICENSE", "s/.hidden", "a.onsets.txt", "scan.pdf", "b.rar"
    )
    corpus(tmp_path, "a.ana.svl", "a.bea.svl", "a.stems/x.wav", "gone.beats")
    (tmp_path / "corpus.toml").write_text('[groups]\ncsv = "metadata.csv"\n')
    (tmp_path / "metadata.csv").write_text("recording,group\na,x\n")
    assert load_corpus(tmp_path, labels="beats").notes[1].message.endswith(": a.onsets.txt, b.rar, scan.pdf")
    corpus(tmp_path, "notes/1.doc", "notes/2.doc", "notes/3.doc", "notes/4.doc")
    (note,) = [one for one in check(load_corpus(tmp_path, labels="beats")).problems if "not used" in one.message]
    assert (note.severity, note.path) == ("note", tmp_path)
    assert note.message.endswith(": a.onsets.txt, b.rar, notes/1.doc, notes/2.doc, notes/3.doc and 2 more")


def test_a_folder_without_recordings_is_refused(tmp_path):
    with pytest.raises(InputError, match="no audio files"):
        load_corpus(corpus(tmp_path, "a.beats"), labels="beats")
