import csv
import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from levada import __version__
from levada.errors import InputError, Interrupted
from levada.io.batch import COLUMNS, BatchReport, Result, find_recordings, find_skipped, process_folder
from levada.io.formats import read_beats


def recordings(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def copied(paths: Sequence[Path]) -> Iterator[tuple[Path, Result]]:
    for path in paths:
        yield path, lambda target, path=path: target.write_bytes(path.read_bytes())


def run(folder: Path, out: Path, suffix: str = ".txt", **options: object) -> BatchReport:
    config = options.pop("config", {"model": "one"})
    return process_folder(folder, out, copied, kind="copies", config=config, about={}, suffix=suffix, **options)


def test_what_counts_as_a_recording(tmp_path: Path) -> None:
    folder = recordings(
        tmp_path / "in", "a.wav", "b.FLAC", "c/d.mp3", ".hidden.wav", ".cache/x.wav", "e.stems/surdo.wav", "notes.txt",
        "out/y.wav",
    )  # fmt: skip
    found = find_recordings(folder, out=folder / "out")
    assert [path.relative_to(folder).as_posix() for path in found] == ["a.wav", "b.FLAC", "c/d.mp3"]
    with pytest.raises(InputError, match="holds no recordings"):
        find_recordings(recordings(tmp_path / "texts", "a.txt"), out=tmp_path / "out")
    with pytest.raises(InputError, match="no such folder"):
        find_recordings(tmp_path / "none", out=tmp_path / "out")


def test_each_has_a_name_of_its_own_that_stays(tmp_path: Path) -> None:
    folder, out = recordings(tmp_path / "in", "a.wav"), tmp_path / "out"
    assert run(folder, out).written == (out / "a.txt",)
    recordings(folder, "a.flac", "a.wav.mp3", "a.flac.mp3")
    report = run(folder, out)
    assert report.kept == (out / "a.txt",)
    assert len(set(report.written)) == 3
    for path in (*report.written, *report.kept):
        assert (folder / path.read_text()).is_file()  # each holds its own, and none was written over by another
    assert {path.read_text() for path in out.glob("*.txt")} == {"a.wav", "a.flac", "a.wav.mp3", "a.flac.mp3"}


def test_results_that_lie_side_by_side(tmp_path: Path) -> None:
    folder, out = recordings(tmp_path / "in", "a.wav"), tmp_path / "out"

    def process(name: str) -> BatchReport:
        def work(paths: Sequence[Path]) -> Iterator[tuple[Path, Result]]:
            for path in paths:
                yield path, lambda target: (target.mkdir(), (target / name).write_text(name))

        return process_folder(folder, out, work, kind="stems", config={}, about={}, variant=name)

    assert [len(process(name).written) for name in ("surdo", "caixa", "surdo")] == [1, 1, 0]
    assert sorted(path.name for path in (out / "a").iterdir()) == ["caixa", "surdo"]


def test_one_failure_costs_one_recording_and_is_tried_again(tmp_path: Path) -> None:
    folder, out, broken = recordings(tmp_path / "in", "a.wav", "b.wav"), tmp_path / "out", {"a.wav"}

    def work(paths: Sequence[Path]) -> Iterator[tuple[Path, Result]]:
        for path, result in copied(paths):
            yield path, ZeroDivisionError("a fault") if path.name in broken else result

    def go() -> BatchReport:
        return process_folder(folder, out, work, kind="copies", config={}, about={}, suffix=".txt")

    first = go()
    assert first.failed == {folder / "a.wav": f"{folder / 'a.wav'}: ZeroDivisionError: a fault"}
    broken.clear()
    again = go()
    assert (again.written, again.kept, again.failed) == ((out / "a.txt",), (out / "b.txt",), {})


class TestTable:
    """A row for each recording, failed and skipped ones too, with what made it."""

    def test_has_a_row_for_everything(self, levada, rendered, tmp_path):
        archive, out = tmp_path / "in", tmp_path / "out"
        (archive / "deep").mkdir(parents=True)
        shutil.copy(rendered / "a.wav", archive / "=a.wav")
        (archive / "bad.wav").write_bytes(b"hello")
        (archive / "tape.dsf").touch()
        (archive / "notes.txt").touch()
        (archive / "more").symlink_to(rendered)
        (archive / "gone.wav").symlink_to(tmp_path / "nothing.wav")
        words = ("track", archive, "-m", "flux", "-o", out, "--processes", 1)
        assert levada(*words, "--table", tmp_path / "a.csv")[0] == 3
        assert levada(*words, "--table", tmp_path / "b.jsonl")[0] == 3
        with open(tmp_path / "a.csv", newline="") as file:
            rows = {row["path"]: row for row in csv.DictReader(file)}
        assert {path: row["status"] for path, row in rows.items()} == {
            "'=a.wav": "written", "bad.wav": "failed", "gone.wav": "skipped", "more": "skipped", "tape.dsf": "skipped",
        }  # fmt: skip
        beats = read_beats(out / "=a.beats")
        row = rows["'=a.wav"]
        assert row["file"] == "'=a.beats"
        assert row["sha256"] == hashlib.sha256((rendered / "a.wav").read_bytes()).hexdigest()
        assert int(row["beats"]) == len(beats)
        assert float(row["tempo_bpm"]) == pytest.approx(beats.tempo_bpm, abs=0.1)
        assert int(row["metre"].split()[0]) == next(iter(beats.metres))
        assert 0 < float(row["confidence"]) <= 1
        assert (row["model"], row["digest"], row["levada"]) == ("flux", "flux", __version__)
        assert row["date"].endswith("Z")
        assert "is not audio" in rows["bad.wav"]["error"]
        assert rows["more"]["error"] == "is a link to a folder, which is not followed"
        again = {row["path"]: row for row in map(json.loads, (tmp_path / "b.jsonl").read_text().splitlines())}
        assert again["=a.wav"]["status"] == "kept"
        assert again["=a.wav"]["beats"] == len(beats)
        assert list(again["=a.wav"]) == list(row) == list(COLUMNS)

    @pytest.mark.skipif(not os.geteuid(), reason="root reads every folder")
    def test_names_folders_that_cannot_be_read(self, tmp_path):
        (tmp_path / "locked").mkdir(mode=0)
        try:
            found = find_skipped(tmp_path, out=tmp_path / "out")
        finally:
            (tmp_path / "locked").chmod(0o700)
        assert found == {tmp_path / "locked": "cannot be read: permission denied"}

    def test_that_cannot_be_written_is_refused_before_the_work(self, levada, rendered, tmp_path):
        (tmp_path / "there.csv").write_text("mine")
        for name, problem in (("x.txt", "written as .csv or .jsonl"), ("there.csv", "exists already")):
            code, _, err = levada("track", rendered, "-m", "flux", "-o", tmp_path / "out", "--table", tmp_path / name)
            assert code == 2
            assert problem in err
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_is_written_when_interrupted_and_again_by_the_call_that_goes_on(self, tmp_path, number):
        folder, out = recordings(tmp_path / "in", "a.wav", "b.wav", "c.wav"), tmp_path / "out"
        table = tmp_path / "table.csv"

        def stopped(paths: Sequence[Path]) -> Iterator[tuple[Path, Result]]:
            some = copied(paths)
            yield next(some)
            yield folder / "b.wav", InputError("no", path=folder / "b.wav")
            raise Interrupted(number)

        def go(work=copied, **options):
            return process_folder(
                folder, out, work, kind="copies", config={}, about={}, suffix=".txt", table=table, **options
            )

        def rows():
            with table.open(newline="") as file:
                return [(row["path"], row["status"]) for row in csv.DictReader(file)]

        with pytest.raises(Interrupted) as stop:
            go(stopped)
        assert stop.value.number == number
        assert rows() == [("a.wav", "written"), ("b.wav", "failed")]
        go()
        assert rows() == [("a.wav", "kept"), ("b.wav", "written"), ("c.wav", "written")]
        table.write_text("mine")
        with pytest.raises(InputError, match="exists already"):
            go()
        assert table.read_text() == "mine"
        go(force=True)
        assert rows() == [("a.wav", "written"), ("b.wav", "written"), ("c.wav", "written")]

    def test_that_cannot_be_written_hides_no_interrupt(self, tmp_path, caplog):
        folder, table = recordings(tmp_path / "in", "a.wav"), tmp_path / "gone" / "table.csv"

        def stopped(paths: Sequence[Path]) -> Iterator[tuple[Path, Result]]:
            yield from copied(paths)
            table.parent.write_text("a file now")
            raise KeyboardInterrupt

        with pytest.raises(Interrupted) as stop:
            process_folder(
                folder, tmp_path / "out", stopped, kind="copies", config={}, about={}, suffix=".txt", table=table
            )
        assert stop.value.report["written"] == [str(tmp_path / "out" / "a.txt")]
        assert str(table) in caplog.text
