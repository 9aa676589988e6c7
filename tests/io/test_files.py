import errno
import os
from pathlib import Path

import pytest

from levada.errors import InputError
from levada.io.files import atomic_file, atomic_files, atomic_folder, check_parent_folder, check_writable, is_on_network


def names(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_whole_under_its_name(tmp_path: Path) -> None:
    target = tmp_path / "song.beats"
    with atomic_file(target) as temporary:
        temporary.write_text("0.5\t1\n")
        assert not target.exists()
        assert temporary.parent == tmp_path
        assert temporary.suffix == ".beats"
    assert target.read_text() == "0.5\t1\n"
    assert names(tmp_path) == ["song.beats"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), atomic_file(tmp_path / "a.txt") as temporary:
        temporary.write_text(f"half {1 / 0}")
    assert names(tmp_path) == []


def test_ctrl_c_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_file(tmp_path / "a.txt"):
        raise KeyboardInterrupt
    assert names(tmp_path) == []


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    target.write_text("old")
    with pytest.raises(InputError, match=r"a\.txt: exists already; .*--force"), atomic_file(target):
        raise AssertionError("the block must not run")
    with pytest.raises(ZeroDivisionError), atomic_file(target, force=True):
        raise ZeroDivisionError
    assert target.read_text() == "old"
    with atomic_file(target, force=True) as temporary:
        temporary.write_text("new")
    assert target.read_text() == "new"


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    with pytest.raises(InputError, match="exists already"), atomic_file(target):
        target.write_text("theirs")
    assert target.read_text() == "theirs"
    assert names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize(
    ("code", "words"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "can only be read"), (errno.EIO, "error")],
)
def test_a_failing_disk_is_said_by_name(tmp_path: Path, code: int, words: str) -> None:
    with (
        pytest.raises(InputError, match=rf"a\.txt: could not be written: .*{words}"),
        atomic_file(tmp_path / "a.txt"),
    ):
        raise OSError(code, os.strerror(code))
    assert names(tmp_path) == []


def test_an_error_in_a_temporary_folder_names_the_file_that_it_would_become(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError) as error,
        atomic_folder(tmp_path / "out", marker="x") as temporary,
        atomic_file(temporary / "song" / "drums.wav"),
    ):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert str(error.value).startswith(f"{tmp_path / 'out' / 'song' / 'drums.wav'}: could not be written: the disk is")
    assert names(tmp_path) == []
    with pytest.raises(InputError, match=r"^other\.wav: no"), atomic_folder(tmp_path / "out", marker="x"):
        raise InputError("no", path="other.wav")


def test_a_really_full_device(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    with (
        pytest.raises(InputError, match="the disk is full"),
        atomic_file(tmp_path / "a.txt"),
        open("/dev/full", "w", buffering=1) as full,
    ):
        full.write("x\n")
    assert names(tmp_path) == []


def test_an_error_about_another_file_is_not_ours(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), atomic_file(tmp_path / "a.txt"):
        (tmp_path / "input.wav").read_bytes()


def test_missing_folders_are_made_and_unmade(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no"), atomic_file(tmp_path / "a" / "b" / "c.txt"):
        raise ValueError("no")
    assert not (tmp_path / "a").exists()
    check_writable(tmp_path / "a" / "b" / "c.txt")
    assert not (tmp_path / "a").exists()
    with pytest.raises(InputError, match="name is too long"):
        check_writable(tmp_path / "a" / ("x" * 300))
    with atomic_file(tmp_path / "a" / "b" / "c.txt") as temporary:
        temporary.write_text("whole")
    with atomic_folder(tmp_path / "f" / "g" / "h", marker="x") as temporary:
        (temporary / "x").write_text("1")
    with atomic_files(tmp_path / "m" / "n", ["y"]) as temporary:
        (temporary / "y").write_text("2")
    found = {path.relative_to(tmp_path).as_posix(): path.read_text() for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"a/b/c.txt": "whole", "f/g/h/x": "1", "m/n/y": "2"}


def test_a_path_below_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for write in (atomic_file, lambda path: atomic_folder(path, marker="x"), lambda path: atomic_files(path, ["y"])):
        with (
            pytest.raises(InputError, match=r"cannot be created: .*file is a file"),
            write(tmp_path / "file" / "a" / "b"),
        ):
            raise AssertionError("the block must not run")
    with pytest.raises(InputError, match="is a file"):
        check_parent_folder(tmp_path / "file" / "a")


def test_a_folder_where_a_file_is_meant(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is a folder"), atomic_file(tmp_path, force=True):
        raise AssertionError("the block must not run")


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(InputError, match="not an ordinary file"), atomic_file("/dev/null", force=True):
        raise AssertionError("the block must not run")


def test_a_folder_that_may_not_be_written(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write anywhere")
    tmp_path.chmod(0o500)
    with pytest.raises(InputError, match="you may not write"), atomic_file(tmp_path / "a.txt"):
        raise AssertionError("the block must not run")


def test_the_file_gets_ordinary_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    with atomic_file(tmp_path / "ours"):
        pass
    assert (tmp_path / "ours").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link.txt"
    link.symlink_to(tmp_path / "there" / "real.txt")
    with atomic_file(link) as temporary:
        temporary.write_text("x")
    assert link.is_symlink()
    assert (tmp_path / "there" / "real.txt").read_text() == "x"


def test_a_long_name(tmp_path: Path) -> None:
    with atomic_file(tmp_path / ("x" * 250)) as temporary:
        temporary.write_text("fits")
    with pytest.raises(InputError, match="name is too long"), atomic_file(tmp_path / ("x" * 300)) as temporary:
        temporary.write_text("does not")
    assert names(tmp_path) == ["x" * 250]


def test_a_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    with atomic_folder(target, marker="model.json") as temporary:
        (temporary / "model.json").write_text("{}")
        assert names(target) == []
    assert names(target) == ["model.json"]
    assert names(tmp_path) == ["model"]


def test_a_folder_is_replaced_only_by_force(tmp_path: Path) -> None:
    target = tmp_path / "model"
    for word, force in (("one", False), ("two", True)):
        with atomic_folder(target, marker="model.json", force=force) as temporary:
            (temporary / "model.json").write_text(word)
            (temporary / word).touch()
    assert names(target) == ["model.json", "two"]
    with (
        pytest.raises(InputError, match=r"exists already; .*--force"),
        atomic_folder(target, marker="model.json"),
    ):
        raise AssertionError("the block must not run")
    assert names(tmp_path) == ["model"]


def test_force_never_removes_what_a_link_points_to(tmp_path: Path) -> None:
    real, link = tmp_path / "disk" / "model", tmp_path / "model"
    real.mkdir(parents=True)
    link.symlink_to(real)
    with atomic_folder(link, marker="model.json") as temporary:  # an empty one may be filled
        (temporary / "model.json").write_text("one")
    with (
        pytest.raises(InputError, match=r"is a link, .*disk/model"),
        atomic_folder(link, marker="model.json", force=True),
    ):
        raise AssertionError("the block must not run")
    assert (real / "model.json").read_text() == "one"
    assert link.is_symlink()


def test_a_folder_of_something_else_survives_force(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").touch()
    with (
        pytest.raises(InputError, match=r"there is no model\.json in it"),
        atomic_folder(tmp_path / "photos", marker="model.json", force=True),
    ):
        raise AssertionError("the block must not run")
    assert names(tmp_path / "photos") == ["me.jpg"]


def test_a_failing_folder_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "model"
    target.mkdir()
    (target / "model.json").write_text("old")
    with (
        pytest.raises(InputError, match="the disk is full"),
        atomic_folder(target, marker="model.json", force=True) as temporary,
    ):
        raise OSError(errno.ENOSPC, "No space left on device", str(temporary / "model.json"))
    assert (target / "model.json").read_text() == "old"
    assert names(tmp_path) == ["model"]


def test_a_file_where_a_folder_is_meant(tmp_path: Path) -> None:
    (tmp_path / "model").touch()
    with (
        pytest.raises(InputError, match="is a file"),
        atomic_folder(tmp_path / "model", marker="m", force=True),
    ):
        raise AssertionError("the block must not run")


def test_disks_of_other_machines_are_recognised_by_the_table_of_disks(tmp_path):
    share, local = tmp_path / "my share", tmp_path / "my share" / "usb"
    local.mkdir(parents=True)
    mounts = tmp_path / "mounts"
    name = str(share).replace(" ", "\\040")
    mounts.write_text(f"/dev/sda / ext4 rw 0 0\nnas:/music {name} nfs4 rw 0 0\n/dev/sdb {name}/usb vfat rw 0 0\n")
    assert is_on_network(share, mounts=mounts)
    assert not is_on_network(local, mounts=mounts)
    assert not is_on_network(tmp_path, mounts=mounts)
    assert not is_on_network(share, mounts=tmp_path / "missing")
    mounts.write_text("me@nas:/ / fuse.sshfs rw 0 0\n")
    assert is_on_network(tmp_path, mounts=mounts)
