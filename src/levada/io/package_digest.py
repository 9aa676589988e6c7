"""Digest of the files of this package: sources, traditions, weights and other data."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from functools import lru_cache
from pathlib import Path

__all__ = ["package_digest"]

PACKAGE = Path(__file__).parent.parent


@lru_cache(maxsize=4)
def package_digest(without: Collection[str] = frozenset()) -> str:
    """Return the SHA-256 of names and contents of all files of the package.

    Parameters
    ----------
    without : frozenset of str
        Files and folders of the package that are left out: paths from its root, without suffix, as "learning/loggers".

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in sorted(_files(PACKAGE, without)):
        content = path.read_bytes()
        digest.update(f"{path.relative_to(PACKAGE).as_posix()}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()


def _files(folder: Path, without: Collection[str]) -> Iterator[Path]:
    for path in folder.iterdir():
        if (
            path.name.startswith(".")
            or path.name == "__pycache__"
            or path.relative_to(PACKAGE).with_suffix("").as_posix() in without
        ):
            continue
        if path.is_dir():
            yield from _files(path, without)
        else:
            yield path
