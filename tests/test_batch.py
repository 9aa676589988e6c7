from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from levada.batch import BatchReport, Result, find_recordings, process_folder
from levada.errors import InputError


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
