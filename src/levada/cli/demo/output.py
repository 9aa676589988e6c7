"""The output folder of a demo."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from levada.errors import InputError
from levada.io.files import check_not_link, remove_paths, wrap_errors

__all__ = ["CONTENTS", "check_folder", "make_folder"]

CONTENTS = "levada-demo.txt"
"""The file that lists what a demo wrote, by which its folder is recognised."""


def check_folder(out: Path, *, force: bool) -> None:
    """Refuse the folder of a demo as `make_folder` does, without writing anything."""
    if out.is_file():
        raise InputError("is a file; the demo writes a folder", path=out)
    if out.exists() and any(out.iterdir()):
        if not (out / CONTENTS).exists():
            raise InputError("is not empty and no earlier demo; choose another folder", path=out)
        if not force:
            raise InputError("contains an earlier demo; --force replaces it", path=out)
        check_not_link(out)


def make_folder(out: str | Path, contents: Mapping[str, str], *, force: bool) -> Path:
    """Make the folder of a demo, or with `force` empty that of an earlier one.

    Parameters
    ----------
    out : path-like
    contents : mapping of str to str
        Files and folders that the demo writes -> their description; written into the folder.
    force : bool
        Whether the files of an earlier demo may be removed; others never are.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If it is a file or a link, contains other files, or an earlier demo without `force`; or cannot be made.
    """
    out = Path(out)
    check_folder(out, force=force)
    if out.exists() and any(out.iterdir()):
        remove_paths(out / name for name in (*filter(None, contents), CONTENTS))
    with wrap_errors(out, *out.parents):
        out.mkdir(parents=True, exist_ok=True)
    width = max(map(len, contents)) + 2
    lines = [f"{name:{width}}{description}\n" for name, description in contents.items()]
    (out / CONTENTS).write_text("".join(lines), encoding="utf-8")
    return out
