"""What the code is, as far as it decides results: comments, docstrings and the way it is laid out do not."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

from levada import __version__

__all__ = ["ASIDE", "code_digest"]

PACKAGE = Path(__file__).parent.parent

ASIDE = frozenset(
    [
        *("cli", "terminal", "demo", "report", "plot", "tracking", "cluster", "workers"),
        *("pretrain", "compose", "songs", "arrange", "groove"),
        *("render", "perform", "tradition", "voices", "microphone"),
    ]
)
"""Rooms that show, carry, pre-train or render: no score of a run depends on them, as its audio is known by content."""
OF_STUDY = ("corpora.py", "run.py", "task.py")
"""Modules of this room that decide results."""


@lru_cache(maxsize=4)
def code_digest(rooms: tuple[str, ...] = ()) -> str:
    """What tells this version of the code apart.

    Parameters
    ----------
    rooms : tuple of str
        Modules and packages that count; by default all that decide the scores of a run.

    Returns
    -------
    str
        Version and 16 hexadecimal digits. They stay when comments, docstrings or the layout change, and are the same
        under every version of Python.
    """
    digest = hashlib.sha256()
    for path in sorted(_counted(rooms)):
        digest.update(str(path.relative_to(PACKAGE).as_posix()).encode())
        source = path.read_bytes()
        if path.suffix == ".py":
            for part in _said(ast.parse(source)):
                digest.update(part.encode())
        else:
            digest.update(source)
    return f"{__version__}-{digest.hexdigest()[:16]}"


def _counted(rooms: Iterable[str]) -> Iterator[Path]:
    for path in PACKAGE.rglob("*.py"):
        room, *inside = path.relative_to(PACKAGE).with_suffix("").parts
        if rooms:
            if room in rooms:
                yield path
        elif room not in ASIDE and (room != "study" or path.name in OF_STUDY) and (inside or room != "__init__"):
            yield path


def _said(node: ast.AST) -> Iterator[str]:
    """The nodes of a program and what is in them, without its docstrings; what is empty is left out."""
    yield f"({type(node).__name__}"
    for name, value in ast.iter_fields(node):
        entries = list(value) if isinstance(value, list) else [value]
        if name == "body":
            entries = [entry for entry in entries if not _is_text(entry)]
        for entry in entries:
            if isinstance(entry, ast.AST):
                yield f" {name}="
                yield from _said(entry)
            elif entry is not None:
                yield f" {name}={entry!r}"
    yield ")"


def _is_text(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
