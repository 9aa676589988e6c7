"""Groups from tables of metadata, and ids that neighbours do not change."""

import logging
from pathlib import Path

import pytest

from levada.data import load_corpus
from levada.errors import InputError


def corpus(
    root: Path, table: str, toml: str = 'csv = "metadata.csv"', *, names: str = "a.wav s/b.wav s/c.flac"
) -> Path:
    for name in names.split():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "metadata.csv").write_bytes(table.encode("utf-8", "surrogateescape"))
    (root / "corpus.toml").write_text(f"[groups]\n{toml}\n")
    return root


def groups(root: Path) -> dict[str, str]:
    return {track.id: track.group for track in load_corpus(root, labels="beats").tracks}


@pytest.mark.parametrize(
    "table",
    [
        "recording,group\na,x\ns/b,y\ns/c,x\n",
        "file,group\na.wav,x\ns/b.wav,y\ns/c.flac,x\n",
        "file;performer\r\na.wav;x\r\nb.wav;y\r\nc;x\r\n",
        "\ufeffID\tTrack title\tPerformer\n\na\tone\tx\n./s\\b\ttwo\ty\n\nc\tthree\tx\n",
        'id,file,group\n1,a.wav,x\n2,s/b.wav,"y"\n3,s/c.flac,x\n',  # the column that names recordings is used
        'notes,Group,recording\n"two\nlines",x,a\n,y,b\n,x,c\n',
    ],
)
def test_every_recording_gets_the_group_of_its_row(tmp_path: Path, table: str) -> None:
    assert groups(corpus(tmp_path, table)) == {"a": "x", "s/b": "y", "s/c": "x"}


def test_what_the_table_leaves_out_is_grouped_as_ever_and_corpus_toml_goes_first(tmp_path, caplog) -> None:
    table = "recording,group\na,x\nz,y\nq,y\ns/b,\ns/c,x\n"
    root = corpus(tmp_path, table, 'csv = "metadata.csv"\n"a" = "mine"')
    with caplog.at_level(logging.WARNING):
        assert groups(root) == {"a": "mine", "s/b": "s/b", "s/c": "x"}
    assert [record.getMessage() for record in caplog.records] == [
        f"{root / 'metadata.csv'}: line 3: no recording is called 'z' (and 1 more)"
    ]
    grouping = load_corpus(root, labels="beats").grouping
    assert grouping.startswith("corpus.toml and column group of metadata.csv; otherwise ")


def test_a_column_is_chosen_by_name(tmp_path: Path) -> None:
    table = "recording,performer,session,Año\na,p,1,1995\nb,p,2,1996\nc,q,2,1995\n"
    with pytest.raises(InputError, match=r"\(performer, session\)") as error:
        groups(corpus(tmp_path, table))
    assert error.value.line == 1
    for column, found in (("session", "122"), ("performer", "ppq"), ("Año", ["1995", "1996", "1995"])):
        corpus(tmp_path, table, f'csv = "metadata.csv"\ncolumn = "{column}"')
        assert groups(tmp_path) == dict(zip(["a", "s/b", "s/c"], found, strict=True))


@pytest.mark.parametrize(
    ("table", "line", "problem"),
    [
        ("", None, "is empty"),
        ("group\nx\n", 1, "no column of recordings"),
        ("recording,tempo\na,120\n", 1, "no column that may be groups"),
        ("recording,group\na,x\n\nb\n", 4, "has 1 of 2 columns"),
        ("recording,group\na,x\nb,x\na.wav,y\n", 4, "'a.wav' is in group 'y' here and in 'x' in line 2"),
        ("recording,group\nsong,x\n", 2, "'song' may be s/song or t/song"),
        ('recording,group\na,x\n"b' + "x" * 200_000 + '",y\n', 3, "is not a table"),
    ],
)
def test_mistakes_name_the_line(tmp_path: Path, table: str, line: int | None, problem: str) -> None:
    root = corpus(tmp_path, table, names="a.wav b.wav s/song.wav t/song.wav")
    with pytest.raises(InputError, match=problem) as error:
        load_corpus(root, labels="beats")
    assert (error.value.path, error.value.line) == (root / "metadata.csv", line)


def test_a_table_that_is_missing_and_one_in_latin_1(tmp_path: Path) -> None:
    root = corpus(tmp_path, "")
    (root / "metadata.csv").write_bytes("recording,intérprete\na,Peña\n".encode("latin-1"))
    assert groups(root)["a"] == "Peña"
    (root / "metadata.csv").unlink()
    with pytest.raises(InputError, match="no such file"):
        load_corpus(root, labels="beats")
    (root / "corpus.toml").write_text('[groups]\ncsv = "metadata.csv"\ncolumn = 3\n')
    with pytest.raises(InputError, match="'column' must be a name") as error:
        load_corpus(root, labels="beats")
    assert error.value.line == 3


def test_a_recording_may_be_called_csv(tmp_path: Path) -> None:
    assert groups(corpus(tmp_path, "", 'csv = "ana"', names="csv.wav b.wav")) == {"csv": "ana", "b": "b"}


def test_songs_with_stems_are_grouped_likewise(tmp_path: Path) -> None:
    names = " ".join(f"{song}/{stem}.wav" for song in ("one", "two", "three") for stem in ("mixture", "surdo", "agogo"))
    root = corpus(tmp_path, "song,ensemble\none,x\ntwo,y\nthree,x\n", names=names)
    assert {song.id: song.group for song in load_corpus(root, labels="stems").tracks} == {
        "one": "x",
        "two": "y",
        "three": "x",
    }


def test_an_id_does_not_change_when_a_copy_appears(tmp_path: Path) -> None:
    (tmp_path / "corpus.toml").write_text('[groups]\nsong = "mine"\n')

    def ids() -> dict[str, str]:
        corpus = load_corpus(tmp_path, labels="beats")
        assert {track.group for track in corpus.tracks if track.audio.stem == "song"} == {"mine"}
        return {track.audio.name: track.id for track in corpus.tracks}

    known = dict[str, str]()
    for name in ("song.wav", "song.wav.mp3", "song.flac", "song.aac", "song.mp3"):
        (tmp_path / name).touch()
        assert known.items() <= ids().items()
        known = ids()
        assert len(set(known.values())) == len(known)
    assert known["song.wav"] == "song"
    for name in ("song.mp3", "song.flac"):
        (tmp_path / name).unlink()
        del known[name]
        assert ids() == known


def test_ids_are_unique_where_a_name_looks_like_another_with_its_suffix(tmp_path: Path) -> None:
    for name in ("song.wav", "song.mp3", "song.mp3.wav", "song.mp3.mp3.wav"):
        (tmp_path / name).touch()
    assert {track.audio.name: track.id for track in load_corpus(tmp_path, labels="beats").tracks} == {
        "song.wav": "song",
        "song.mp3.wav": "song.mp3",
        "song.mp3.mp3.wav": "song.mp3.mp3",
        "song.mp3": "song.mp3.mp3.mp3",
    }
