"""Corpora through mirdata: its own loaders over made files, and datasets made up here."""

import json
import logging
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from levada.data import get, list_datasets, load_corpus
from levada.data import mirdata as ours
from levada.data.mirdata import open_mirdata
from levada.errors import InputError, MissingExtra
from levada.experiments.runner import open_corpora
from levada.experiments.spec import Source, Study
from levada.io.beats import Beats

CANDOMBE = ("csic.1995_ansina1_01", "csic.1995_cuareim_02", "proyecto.1992_lobo_01", "zavala.muniz.2014_41")
BRID = ("[0001] M4-01-SA", "[0042] M3-23-SE", "[0043] M3-24-SE", "[0216] S2-TB2-03-SE")


@pytest.fixture(autouse=True)
def _forget() -> Any:
    ours._dataset.cache_clear()
    yield
    ours._dataset.cache_clear()


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let mirdata's loaders find their index in a file made by the test: nothing is downloaded."""
    from mirdata import core

    path = tmp_path / "index.json"
    monkeypatch.setattr(core.Index, "get_path", lambda _: str(path))
    return path


def recording(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, np.zeros(800), 8000)


def labels(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def candombe(home: Path, index: Path, text: str = "0.5,1.1\n1.0,1.2\n1.5,1.3\n2.0,1.4\n2.5,2.1\n") -> None:
    paths = {i: (f"candombe_audio/{i}.flac", f"candombe_annotations/{i}.csv") for i in CANDOMBE}
    tracks = {i: {"audio": [audio, ""], "beats": [beats, ""]} for i, (audio, beats) in paths.items()}
    index.write_text(json.dumps({"version": "1.0", "tracks": tracks}))
    for audio, beats in paths.values():
        recording(home / "candombe" / audio)
        labels(home / "candombe" / beats, text)


def test_candombe_by_its_own_loader(tmp_path: Path, index: Path) -> None:
    candombe(tmp_path, index)
    corpus = load_corpus("mirdata:candombe", labels="beats", home=tmp_path)
    assert corpus.name == "candombe"
    assert "Attribution 4.0" in corpus.licence
    assert corpus.citation.startswith("@inproceedings{Nunes2015")
    assert [track.id for track in corpus.tracks] == list(CANDOMBE)
    assert [track.group for track in corpus.tracks] == [
        "csic.1995",
        "csic.1995",
        "proyecto.1992",
        "zavala.muniz.2014",
    ]
    assert corpus.tracks[0].beats() == Beats([0.5, 1.0, 1.5, 2.0, 2.5], [1, 2, 3, 4, 1])
    assert corpus.tracks[0].audio.is_file()
    assert corpus.tracks[0].duration_s == 0.1
    assert corpus.splits == {}


def test_tracks_travel_to_other_processes(tmp_path: Path, index: Path) -> None:
    candombe(tmp_path, index)
    track = pickle.loads(pickle.dumps(load_corpus("mirdata:candombe", labels="beats", home=tmp_path).tracks[0]))
    ours._dataset.cache_clear()
    assert len(track.beats()) == 5


def test_brid_by_its_own_loader(tmp_path: Path, index: Path) -> None:
    tracks = {}
    for i in BRID:
        tracks[i] = {
            "audio": [f"audio/{i}.wav", ""],
            "beats": [f"beats/{i}.beats", ""],
            "tempo": [f"{i}.bpm", ""],
        }
        recording(tmp_path / "brid" / "audio" / f"{i}.wav")
        labels(tmp_path / "brid" / "beats" / f"{i}.beats", "0.75\t2\n1.5\t1\n")
    labels(tmp_path / "brid" / "beats" / f"{BRID[1]}.beats", "-1\t0\n")  # how BRID marks what it cannot tell
    index.write_text(json.dumps({"version": "1.0", "tracks": tracks}))
    corpus = load_corpus("mirdata:brid", labels="beats", home=tmp_path)
    assert "Non Commercial" in corpus.licence
    assert [track.group for track in corpus.tracks] == ["M4", "M3", "M3", "TB2"]
    assert corpus.tracks[0].beats() == Beats([0.75, 1.5], [2, 1])
    with pytest.raises(InputError, match="brid has no beats for"):
        corpus.tracks[1].beats()


def test_annotation_that_mirdata_cannot_read_names_the_file(tmp_path: Path, index: Path) -> None:
    candombe(tmp_path, index, text="0.5,1.1\nhalf past,1.2\n")
    with pytest.raises(InputError, match="mirdata cannot read the beats of csic") as caught:
        load_corpus("mirdata:candombe", labels="beats", home=tmp_path).tracks[0].beats()
    assert str(caught.value.path).endswith("csic.1995_ansina1_01.csv")


def test_recordings_that_are_not_there_are_left_out_aloud(
    tmp_path: Path, index: Path, caplog: pytest.LogCaptureFixture
) -> None:
    candombe(tmp_path, index)
    (tmp_path / "candombe" / "candombe_audio" / f"{CANDOMBE[0]}.flac").unlink()
    with caplog.at_level(logging.WARNING):
        assert len(load_corpus("mirdata:candombe", labels="beats", home=tmp_path).tracks) == 3
    assert "candombe: 3 of 4 recordings are here" in caplog.text


def test_dataset_that_is_not_downloaded_says_how(tmp_path: Path, index: Path) -> None:
    with pytest.raises(InputError, match=r"candombe is not downloaded here; run: levada corpus get candombe"):
        load_corpus("mirdata:candombe", labels="beats", home=tmp_path)
    assert not index.exists()


def test_dataset_without_audio_says_how(tmp_path: Path, index: Path) -> None:
    index.write_text(json.dumps({"tracks": {"a_1999_b": {"audio": ["a.flac", ""], "beats": ["a.csv", ""]}}}))
    with pytest.raises(InputError, match=r"none of the 1 recordings of candombe are here"):
        load_corpus("mirdata:candombe", labels="beats", home=tmp_path)


def test_unknown_dataset_and_version(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mirdata has no dataset 'candomble'"):
        load_corpus("mirdata:candomble", labels="beats", home=tmp_path)
    with pytest.raises(InputError, match="mirdata cannot open candombe: Invalid version 9"):
        load_corpus("mirdata:candombe@9", labels="beats", home=tmp_path)


def test_dataset_without_beats(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mirdata's dataset vocadito has no beats"):
        load_corpus("mirdata:vocadito", labels="beats", home=tmp_path)


def test_missing_mirdata_says_how_to_install_it(tmp_path: Path, hide_module) -> None:
    hide_module("mirdata")
    with pytest.raises(MissingExtra, match=r"pip install 'levada\[data\]'"):
        load_corpus("mirdata:candombe", labels="beats", home=tmp_path)


class Member:
    """A track of a dataset made up here."""

    beats: Any = None

    def __init__(self, audio: Path, beats: Any, **facts: Any) -> None:
        self.audio_path, self.beats = str(audio), beats
        self.__dict__.update(facts)


class Made:
    """A dataset made up here, as far as mirdata's protocol is used."""

    bibtex, _license_info, _track_class = None, None, Member

    def __init__(self, members: dict[str, Member]) -> None:
        self.track_ids, self.track = list(members), members.__getitem__

    def get_track_splits(self) -> dict[str, list[str]]:
        return {"train": self.track_ids[:1], "test": self.track_ids[1:]}


def marks(times: list[float], positions: Any, unit: str = "bar_index") -> SimpleNamespace:
    return SimpleNamespace(times=np.array(times), positions=positions, position_unit=unit)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """Open a dataset whose tracks have these members."""

    def open_dataset(**members: dict[str, Any]) -> Any:
        recording(tmp_path / "a.wav")
        dataset = Made({name: Member(tmp_path / "a.wav", **facts) for name, facts in members.items()})

        def stand_in(*_: str) -> Made:
            return dataset

        stand_in.cache_clear = lambda: None  # type: ignore[attr-defined]
        monkeypatch.setattr(ours, "_dataset", stand_in)
        return load_corpus("mirdata:made", labels="beats", home=tmp_path)

    return open_dataset


@pytest.fixture
def downloaded_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Any], None]], None]:
    """Let a function be what downloads a dataset."""
    from mirdata import core

    return lambda download: monkeypatch.setattr(core.Dataset, "download", download)


def test_performers_are_groups_where_the_dataset_names_them(made: Callable[..., Any]) -> None:
    beats = marks([1.0], np.array([1]))
    facts = [{"drummer": "d1", "session": "s1"}, {"drummer": "d1", "session": "s2"}, {"artist": " Rada "}, {}]
    corpus = made(**{f"t{i}": {"beats": beats, **f} for i, f in enumerate(facts)})
    assert [track.group for track in corpus.tracks] == ["d1", "d1", "Rada", "t3"]
    assert corpus.splits == {"train": ("t0",), "test": ("t1", "t2", "t3")}


@pytest.mark.parametrize(
    ("positions", "unit", "expected"),
    [
        (np.array([1.0, 2.0]), "bar_index", [1, 2]),
        (np.array([0, 1]), "bar_index", [0, 1]),
        (np.array([5, 6]), "global_index", [0, 0]),
        (None, "bar_index", [0, 0]),
    ],
)
def test_positions_are_known_only_inside_bars(
    made: Callable[..., Any], positions: Any, unit: str, expected: list[int]
) -> None:
    corpus = made(t={"beats": marks([1.0, 2.0], positions, unit)})
    assert corpus.tracks[0].beats() == Beats([1.0, 2.0], expected)


def test_beats_out_of_order_are_an_input_error(made: Callable[..., Any]) -> None:
    corpus = made(t={"beats": marks([2.0, 1.0], None), "beats_path": None})
    with pytest.raises(InputError, match="does not come after"):
        corpus.tracks[0].beats()


def test_get_downloads_then_opens(tmp_path: Path, index: Path, downloaded_by: Any) -> None:
    downloaded_by(lambda _: candombe(tmp_path, index))
    corpus = get("candombe", home=tmp_path, progress=False)
    assert len(corpus.tracks) == 4
    assert corpus.licence
    assert corpus.citation


def test_get_without_network_says_so(
    tmp_path: Path, index: Path, downloaded_by: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    from urllib.error import URLError

    def fail(_: Any) -> None:
        print("noise", file=sys.stderr)
        logging.warning("noise")  # as mirdata does it
        raise URLError("Name or service not known")

    downloaded_by(fail)
    with pytest.raises(InputError, match=r"could not download candombe: .*Name or service.*network"):
        get("candombe", home=tmp_path, progress=False)
    assert capsys.readouterr().err == ""
    assert not index.exists()


def test_get_of_a_damaged_download_says_which_file_to_delete(tmp_path: Path, index: Path, downloaded_by: Any) -> None:
    def fail(_: Any) -> None:
        raise OSError("audio.zip has an MD5 checksum (1) differing from expected (2), file may be corrupted.")

    downloaded_by(fail)
    with pytest.raises(InputError, match=r"audio\.zip has an MD5 .* delete that file and run it again"):
        get("candombe", home=tmp_path, progress=False)
    assert not index.exists()


def test_opening_a_dataset_leaves_the_logging_of_the_program_alone(tmp_path: Path, index: Path) -> None:
    root = logging.getLogger()
    before = list(root.handlers), root.level
    candombe(tmp_path, index)
    load_corpus("mirdata:candombe", labels="beats", home=tmp_path)
    assert (root.handlers, root.level) == before


def test_solos_of_brid_by_their_ids(tmp_path: Path, index: Path) -> None:
    ids = ("[0001] M4-01-SA", "[0216] S2-TB3-02-SE", "[0230] S1-SU1-01-SA", "[0231] S1-TB1-01-SA")
    tracks = {i: {"audio": [f"audio/{i}.wav", ""], "beats": [f"{i}.beats", ""], "tempo": ["", ""]} for i in ids}
    index.write_text(json.dumps({"version": "1.0", "tracks": tracks}))
    for i in ids:
        recording(tmp_path / "brid" / "audio" / f"{i}.wav")
    labels(tmp_path / "brid" / f"{ids[1]}.beats", "0.5\t1\n1.0\t2\n")
    corpus = load_corpus("mirdata:brid", labels="stems", home=tmp_path)
    assert corpus.is_solos
    assert [(song.id, *song.instruments, song.group) for song in corpus.tracks] == [
        (ids[1], "tamborim", "TB3"),
        (ids[2], "surdo", "SU1"),
        (ids[3], "tamborim", "TB1"),
    ]
    assert "Non Commercial" in corpus.licence
    assert [song.annotation is not None for song in corpus.tracks] == [True, False, False]


def test_stems_that_are_not_downloaded_or_that_nobody_knows(tmp_path: Path, index: Path) -> None:
    with pytest.raises(InputError, match="brid is not downloaded here; run: levada corpus get brid --home"):
        load_corpus("mirdata:brid", labels="stems", home=tmp_path)
    assert not index.exists()
    with pytest.raises(InputError, match="mirdata has no dataset 'nothing'"):
        load_corpus("mirdata:nothing", labels="stems", home=tmp_path)


class TestEnsembles:
    def test_are_finer_groups_and_their_risk_is_noted(self, index, tmp_path, caplog):
        candombe(tmp_path, index)
        sessions = open_mirdata("candombe", home=tmp_path)
        assert sessions.caveat == ""
        assert not caplog.records
        ensembles = open_mirdata("candombe:ensemble", home=tmp_path)
        assert {track.id: track.group for track in ensembles.tracks} == {
            "csic.1995_ansina1_01": "ansina",
            "csic.1995_cuareim_02": "cuareim",
            "proyecto.1992_lobo_01": "lobo",
            "zavala.muniz.2014_41": "zavala.muniz.2014",
        }
        assert len(ensembles.groups) == len(sessions.groups) + 1
        assert "players may play in several ensembles" in ensembles.caveat
        assert ensembles.caveat in caplog.text

    @pytest.mark.parametrize("name", ["candombe:player", "brid:ensemble"])
    def test_groups_that_there_are_not(self, name, tmp_path):
        with pytest.raises(InputError, match=r"has no groups called .*there are candombe:ensemble"):
            open_mirdata(name, home=tmp_path)

    def test_a_study_has_the_note(self, index, home_in_tmp_path):
        candombe(home_in_tmp_path / "mir_datasets", index)
        source = Source("candombe", path="mirdata:candombe:ensemble")
        (opened,), _, notes = open_corpora(Study("mine", (source,), (), external=("flux",)), out=home_in_tmp_path)
        assert len(opened.corpus.groups) == 4
        assert any("players may play in several ensembles" in note for note in notes)


def test_datasets_are_listed_with_what_is_known_of_them(index, tmp_path):
    candombe(tmp_path, index)
    steps = []
    found = {one.name: one for one in list_datasets(home=tmp_path, progress=lambda *step: steps.append(step))}
    assert steps[-1][0] == steps[-1][1] > len(found) > 10
    one = found["candombe"]
    assert (one.labels, one.tracks, one.minutes, one.versions, one.downloaded) == (("beats",), 4, 120, ("1.0",), True)
    assert one.licence.startswith("Creative Commons Attribution 4.0")
    assert found["brid"].labels == ("beats", "stems")
    assert found["brid"].minutes == 177
    assert not found["brid"].downloaded
    assert found["slakh"].labels == ("stems",)
    assert found["gtzan_genre"].versions == ("1.0", "mini")
    assert "vocadito" not in found


def test_corpus_list(index, tmp_path, levada):
    candombe(tmp_path, index)
    code, out, _ = levada("corpus", "list", "--home", tmp_path)
    assert code == 0
    (row,) = [line for line in out.splitlines() if line.startswith("candombe ")]
    assert {"beats", "4", "120", "1.0", "yes"} <= set(row.split())
    code, out, _ = levada("corpus", "list", "--home", tmp_path, "--json")
    assert {"name", "labels", "licence", "downloaded"} <= set(json.loads(out)[0])
