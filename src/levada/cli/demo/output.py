"""Where a demo leaves everything, and who is told how far it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from levada.errors import InputError
from levada.io.files import check_not_link, remove_paths

__all__ = ["MARK", "Stage", "emptied", "unwatched"]

Stage = Callable[[str], AbstractContextManager[Callable[..., None]]]
"""From the name of a stage to a context manager that lends what is to be told of steps done and steps in all."""

MARK = "levada-demo.txt"


@contextmanager
def unwatched(_: str) -> Iterator[Callable[..., None]]:
    """Lend progress that nobody watches."""
    yield lambda *_: None


def emptied(out: str | Path, left: Mapping[str, str], *, force: bool) -> Path:
    """Make a folder for a demo: a new one, or with `force` that of an earlier demo.

    Parameters
    ----------
    out : path-like
    left : mapping of str to str
        What will be in it, and what that is; written into the folder.
    force : bool
        Whether what an earlier demo left there may be replaced; nothing else is removed.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If it is a file, holds something else or an earlier demo, is a link, or cannot be made.
    """
    out = Path(out)
    if out.is_file():
        raise InputError("is a file; the demo leaves a folder", path=out)
    if out.exists() and any(out.iterdir()):
        if not (out / MARK).exists():
            raise InputError("is not empty and no earlier demo; choose another folder", path=out)
        if not force:
            raise InputError("holds an earlier demo; --force replaces it", path=out)
        check_not_link(out)
        remove_paths(out / name for name in (*filter(None, left), MARK))  # what else lies there is somebody's
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot be made: {error.strerror}", path=out) from None
    width = max(map(len, left)) + 2
    lines = [f"{name:{width}}{what}\n" for name, what in left.items()]
    (out / MARK).write_text("".join(lines), encoding="utf-8")
    return out
