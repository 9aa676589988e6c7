import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from levada.errors import InputError
from levada.io.files import LOCK, atomic_file, lock_folder
from levada.io.run_folder import MANIFEST, RunFolder, config_digest, working_folder

CONFIG = {"model": "base", "settings": {"steps": 3}}


def write(folder: RunFolder, item: str, text: str, *names: str, source: Path | None = None) -> None:
    with folder.writing(item, source=source) as temporary:
        for name in names or (f"{item}.beats",):
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_text(text)


def fill(path: Path, text: str, *items: str, config: object = CONFIG, force: bool = False) -> None:
    with RunFolder.acquire(path, kind="beats", config=config, force=force) as folder:
        for item in items:
            write(folder, item, text)


def test_what_was_finished_is_known_and_what_was_not_is_not(tmp_path: Path) -> None:
    fill(tmp_path / "out", "1", "a", "b")
    with RunFolder.acquire(tmp_path / "out", kind="beats", config=CONFIG) as folder:
        assert folder.is_done("a")
        assert folder.is_done("b")
        assert not folder.is_done("c")
        (tmp_path / "out" / "b.beats").unlink()
        assert not folder.is_done("b")
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name != LOCK) == ["a.beats", MANIFEST]


def test_another_config_is_refused_by_what_differs_and_forced_file_by_file(tmp_path: Path) -> None:
    out, other = tmp_path / "out", {"model": "base", "settings": {"steps": 4}}
    fill(out, "old", "a", "b")
    with pytest.raises(InputError, match=r"differs in settings\.steps"):
        fill(out, "new", config=other)
    with RunFolder.acquire(out, kind="beats", config=other, force=True) as folder:
        write(folder, "a", "new")  # and then it is killed
    assert [(out / f"{name}.beats").read_text() for name in "ab"] == ["new", "old"]
    with RunFolder.acquire(out, kind="beats", config=other) as folder:  # goes on without --force
        assert folder.is_done("a")
        assert not folder.is_done("b")
        write(folder, "b", "new")
    with pytest.raises(InputError, match=r"differs in settings\.steps"):
        fill(out, "old")


def test_what_a_person_changed_or_put_there_is_never_replaced_or_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out, "machine", "a", "b")
    (out / "a.beats").write_text("by hand")
    (out / "c.beats").write_text("by hand")
    with RunFolder.acquire(out, kind="beats", config={"model": "other"}, force=True) as folder:
        assert folder.edited("a") == ["a.beats"]
        assert folder.edited("b") == []
        for item, why in (("a", "changed after levada wrote it"), ("c", "not written by levada")):
            with pytest.raises(InputError, match=why):
                write(folder, item, "machine again")
        write(folder, "b", "machine again")
        assert folder.remove("a") == ["a.beats"]
        assert folder.remove("b") == []
    assert {path.name: path.read_text() for path in out.glob("*.beats")} == {"a.beats": "by hand", "c.beats": "by hand"}


def test_a_file_that_was_touched_or_copied_is_still_ours(tmp_path: Path) -> None:
    fill(tmp_path / "out", "1", "a")
    os.utime(tmp_path / "out" / "a.beats", (1, 1))
    fill(tmp_path / "out", "2", "a", force=True)
    assert (tmp_path / "out" / "a.beats").read_text() == "2"


def test_a_kill_between_two_files_of_an_item_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, replace, calls = tmp_path / "out", os.replace, list[str]()

    def dies(source: Path, target: Path) -> None:
        calls.append(str(target))
        if len(calls) == 2:
            raise KeyboardInterrupt
        replace(source, target)

    with RunFolder.acquire(out, kind="stems", config=CONFIG) as folder, monkeypatch.context() as patched:
        patched.setattr(os, "replace", dies)
        with pytest.raises(KeyboardInterrupt):
            write(folder, "a", "1", "a/surdo.wav", "a/caixa.wav")
    assert len(list(out.rglob("*.wav"))) == 1
    with RunFolder.acquire(out, kind="stems", config=CONFIG) as folder:
        assert not folder.is_done("a")
        write(folder, "a", "1", "a/surdo.wav", "a/caixa.wav")
        assert folder.is_done("a")


def test_files_that_a_new_run_of_an_item_does_not_make_are_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with RunFolder.acquire(out, kind="stems", config=CONFIG) as folder:
        write(folder, "a", "1", "a/surdo.wav", "a/caixa.wav", "a/chico.wav")
        (out / "a" / "chico.wav").write_text("edited")
        write(folder, "a", "2", "a/surdo.wav")
    assert {path.name: path.read_text() for path in out.rglob("*.wav")} == {"surdo.wav": "2", "chico.wav": "edited"}


def test_failures_are_remembered_with_their_reason(tmp_path: Path) -> None:
    with RunFolder.acquire(tmp_path / "out", kind="beats", config=CONFIG) as folder:
        folder.fail("a", "song.wav: holds no sound")
    with RunFolder.acquire(tmp_path / "out", kind="beats", config=CONFIG) as folder:
        assert (folder.entries["a"].status, folder.entries["a"].error) == ("failed", "song.wav: holds no sound")
        assert not folder.is_done("a")


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").touch()
    (tmp_path / "file").touch()
    fill(tmp_path / "beats", "1", "a")
    for path, kind, why in (
        ("photos", "beats", "not made by levada"), ("file", "beats", "is a file"), ("beats", "stems", "holds beats"),
    ):  # fmt: skip
        with (
            pytest.raises(InputError, match=why),
            RunFolder.acquire(tmp_path / path, kind=kind, config=CONFIG, force=True),
        ):
            raise AssertionError("the block must not run")


def test_two_processes_never_write_to_one_folder(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from levada.io.files import lock_folder\n"
        "with lock_folder(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(600)\n"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"another process .*process {other.pid} on "), lock_folder(tmp_path):
            raise AssertionError("the block must not run")
    finally:
        other.kill()
        other.communicate()
    with lock_folder(tmp_path):  # the lock of a process that was killed counts for nothing
        pass


def test_a_line_that_was_half_written_is_passed_over_and_a_damaged_one_is_said(tmp_path: Path) -> None:
    out = tmp_path / "out"
    fill(out, "1", "a", "b")
    content = (out / MANIFEST).read_bytes()
    (out / MANIFEST).write_bytes(content[:-20])
    with RunFolder.acquire(out, kind="beats", config=CONFIG) as folder:
        assert folder.is_done("a")
        assert not folder.is_done("b")
        write(folder, "b", "2")
    fill(out, "3")
    lines = (out / MANIFEST).read_bytes().splitlines(keepends=True)
    for bad in (b"{\n", b"[]\n", b'{"item": 1}\n', b"\xff\n", b"[" * 100_000 + b"\n"):
        (out / MANIFEST).write_bytes(b"".join([lines[0], bad, *lines[1:]]))
        with pytest.raises(InputError, match=r"manifest\.jsonl, line 2: is damaged"):
            fill(out, "4")


def test_a_manifest_cannot_name_files_outside(tmp_path: Path) -> None:
    out, victim = tmp_path / "out", tmp_path / "victim"
    victim.write_text("mine")
    fill(out, "1", "a")
    for name in ("../victim", str(victim)):
        row = {"item": "x", "status": "done", "config": "", "files": {name: {"sha256": "", "size": 4, "mtime_ns": 0}}}
        saved = (out / MANIFEST).read_text()
        (out / MANIFEST).write_text(saved + json.dumps(row) + "\n")
        with pytest.raises(InputError, match="outside the folder"):
            fill(out, "2")
        (out / MANIFEST).write_text(saved)
    assert victim.read_text() == "mine"


def test_leftovers_of_a_killed_process_are_removed_and_those_of_others_are_not(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from levada.io.files import atomic_file\n"
        "with atomic_file(Path(sys.argv[1]) / 'song.beats') as temporary:\n    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    (leftover,) = tmp_path.iterdir()
    other = tmp_path / leftover.name.replace(leftover.name[8:16], "0" * 8)  # of another machine on a shared disk
    other.touch()
    mine = tmp_path / f"{leftover.name[:17]}{os.getpid()}-00000000"  # of a process that works
    mine.touch()
    time.sleep(0.05)
    with atomic_file(tmp_path / "new.beats"):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([other.name, mine.name, "new.beats"])


def test_the_digest_is_of_values_and_not_of_their_order() -> None:
    assert config_digest({"a": 1, "b": [1, 2]}) == config_digest({"b": [1, 2], "a": 1})
    assert config_digest({"a": 1}) != config_digest({"a": 2})


def test_an_input_that_was_replaced_is_noticed_and_one_that_was_copied_is_not(tmp_path: Path) -> None:
    recording = tmp_path / "song.wav"
    recording.write_bytes(b"one")
    with RunFolder.acquire(tmp_path / "out", kind="beats", config=CONFIG) as folder:
        write(folder, "song", "1", source=recording)
        os.utime(recording, (1, 1))
        assert folder.is_done("song", source=recording)
        recording.write_bytes(b"two")
        assert not folder.is_done("song", source=recording)
        recording.unlink()
        assert not folder.is_done("song", source=recording)


def test_a_shared_folder_keeps_what_else_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with RunFolder.acquire(tmp_path, kind="beats", config=CONFIG, shared=True) as folder:
        write(folder, "a", "1")
        with pytest.raises(InputError, match="not written by levada"):
            write(folder, "b", "1", "notes.txt")
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_refused_folder_is_left_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").touch()
    with pytest.raises(InputError, match="not made by levada"):
        fill(tmp_path, "1", "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a.jpg"]


def test_folders_above_are_made(tmp_path: Path) -> None:
    fill(tmp_path / "a" / "b", "1", "x")
    assert (tmp_path / "a" / "b" / "x.beats").read_text() == "1"


def test_files_in_a_linked_subfolder_are_never_replaced_or_removed(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    with RunFolder.acquire(out, kind="beats", config=CONFIG) as folder:
        write(folder, "a", "one", "sub/a.beats")
    (out / "sub").rename(elsewhere)
    (out / "sub").symlink_to(elsewhere)
    with RunFolder.acquire(out, kind="beats", config={"model": "latin"}, force=True) as folder:
        with pytest.raises(InputError, match="is kept"):
            write(folder, "a", "two", "sub/a.beats")
        folder.remove("a")
    assert (elsewhere / "a.beats").read_text() == "one"


class TestWorkingFolder:
    def test_a_link_is_refused_and_what_it_points_to_stays(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "x.part").symlink_to(tmp_path / "real")
        with pytest.raises(InputError, match="is a link"), working_folder(tmp_path / "x.part", run={"steps": 3}):
            raise AssertionError("the block must not run")
        assert list((tmp_path / "real").iterdir()) == []

    def test_of_an_interrupted_run_is_continued_and_of_a_finished_one_removed(self, tmp_path):
        def interrupt():
            with working_folder(tmp_path / "x.part", run={"steps": 3}) as part:
                (part / "checkpoint").write_text("1")
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            interrupt()
        with working_folder(tmp_path / "x.part", run={"steps": 3}) as part:
            assert (part / "checkpoint").read_text() == "1"
            with pytest.raises(InputError, match="another process"), working_folder(part, run={"steps": 3}):
                pass
        assert not (tmp_path / "x.part").exists()

    def test_of_another_run_is_kept_or_thrown_away_as_a_whole(self, tmp_path):
        def leave(run, force=False):
            with working_folder(tmp_path / "x.part", run=run, force=force) as part:
                found = sorted(path.name for path in part.iterdir() if "levada-" not in path.name)
                (part / "songs").mkdir(exist_ok=True)
                (part / "songs" / "1.npz").write_text("1")
                raise MemoryError(found)

        with pytest.raises(MemoryError, match=r"\[\]"):
            leave({"steps": 3})
        with pytest.raises(InputError, match=r"of a run that differs in steps \(3 before, 4 now\)"):
            leave({"steps": 4})
        with pytest.raises(MemoryError, match="songs"):
            leave({"steps": 3})
        with pytest.raises(MemoryError, match=r"\[\]"):
            leave({"steps": 4}, force=True)


def test_what_differs_is_named_up_to_five_things(tmp_path):
    acquire = lambda value, **more: RunFolder.acquire(  # noqa: E731
        tmp_path / "out", kind="beats", config={str(number): value for number in range(8)}, **more
    )
    with acquire(0):
        pass
    with (
        pytest.raises(InputError, match=r"differs in 0 \(0 before, 1 now\), 1 .*, 4 \(0 before, 1 now\) and 3 more;"),
        acquire(1),
    ):
        pass
