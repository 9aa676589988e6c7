"""Groups from a table of metadata: a CSV with a row for each recording, as archives have them.

``[groups]`` of corpus.toml names it: ``csv = "metadata.csv"``. Its first line has names of columns. The column of
recordings is the one, of those called as in `RECORDING`, of which most cells name recordings: ids, paths in the folder,
or names of files, with or without suffix. The column of groups is called as in `GROUP`; where there are several,
``column = "performer"`` chooses one, which may then have any name.
"""

from __future__ import annotations

import csv
import logging
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath

from levada.data.pairing import normal
from levada.errors import InputError
from levada.io.formats.layers import normalize_text
from levada.io.text import decode_text, read_bytes

__all__ = ["GROUP", "RECORDING", "read_groups"]

RECORDING = (
    *("recording", "file", "filename", "filepath", "path", "audio", "audiofile", "track", "trackid", "id", "name"),
    *("song", "title", "grabacion", "archivo", "pista", "gravacao", "arquivo", "faixa"),
)
GROUP = (
    *("group", "grupo", "performer", "performers", "artist", "player", "ensemble", "band", "session", "interprete"),
    *("artista", "conjunto", "sesion", "sessao"),
)

_log = logging.getLogger(__name__)


def read_groups(path: Path, recordings: Mapping[str, Iterable[str]], *, column: str = "") -> tuple[dict[str, str], str]:
    """Read the group of each recording.

    Parameters
    ----------
    path : Path
        The table: separated by commas, semicolons or tabs.
    recordings : mapping of str to iterable of str
        Id of each recording -> other names that it has: its path, with and without suffix.
    column : str
        Name of the column of groups; recognised if left out.

    Returns
    -------
    groups : dict of str to str
        Id -> group, of the recordings that the table has. A row without a group is ignored.
    column : str
        Name of the column that is used.

    Raises
    ------
    InputError
        If it cannot be read, has no such columns or several, a row is too short, a name may be of several recordings,
        or two rows put one recording into different groups. Names the line.
    """
    (line, names), *rows = _rows(path)
    words = [re.sub(r"[\W_]", "", normalize_text(name)) for name in names]
    at = _group_column(names, words, column, path, line)
    ids_by_name = _by_name(recordings)
    columns = [i for i, word in enumerate(words) if word in RECORDING and i != at]
    if not columns:
        expected = "recording, file or id"
        raise InputError(
            f"has no column of recordings: call one {expected}; it has {', '.join(names)}", path=path, line=line
        )
    of = max(columns, key=lambda i: sum(_key(cells[i]) in ids_by_name for _, cells in rows if i < len(cells)))
    groups, unknown = dict[str, tuple[str, int]](), list[tuple[int, str]]()
    for line, cells in rows:
        if len(cells) <= max(of, at):
            raise InputError(f"has {len(cells)} of {len(names)} columns", path=path, line=line)
        name, group = cells[of], cells[at]
        ids = ids_by_name.get(_key(name), ())
        if len(ids) > 1:
            raise InputError(f"{name!r} may be {' or '.join(sorted(ids))}: write its path", path=path, line=line)
        if not ids:
            unknown += [(line, name)] if name else []
            continue
        (id,) = ids
        before = groups.get(id)
        if group and before is not None and before[0] != group:
            what = f"{name!r} is in group {group!r} here and in {before[0]!r} in line {before[1]}"
            raise InputError(what, path=path, line=line)
        if group:
            groups.setdefault(id, (group, line))
    if unknown:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        _log.warning("%s: line %s: no recording is called %r%s", path, *unknown[0], more)
    return {id: group for id, (group, _) in groups.items()}, names[at]


def _rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the lines that are not empty, with their cells; at least one."""
    text = decode_text(read_bytes(path)).removeprefix("\ufeff")
    first = next((line for line in text.splitlines() if line.strip()), "")
    separator = max(",;\t", key=first.count)
    reader = csv.reader(text.replace("\x00", "").splitlines(keepends=True), delimiter=separator)
    found = list[tuple[int, list[str]]]()
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                found.append((reader.line_num, [cell.strip() for cell in cells]))
    except csv.Error as error:
        raise InputError(f"is not a table: {error}", path=path, line=reader.line_num) from None
    if not found:
        raise InputError("is empty", path=path)
    return found


def _group_column(names: list[str], words: list[str], column: str, path: Path, line: int) -> int:
    if column:
        same = [i for i, name in enumerate(names) if normal(name) == normal(column)]
        if len(same) != 1:
            what = "no column" if not same else "several columns"
            raise InputError(f"has {what} called {column!r}; it has {', '.join(names)}", path=path, line=line)
        return same[0]
    found = [i for i, word in enumerate(words) if word in ("group", "grupo")]
    found = found or [i for i, word in enumerate(words) if word in GROUP]
    if len(found) != 1:
        what = "several columns" if found else "no column"
        shown = ", ".join(names[i] for i in found) if found else ", ".join(names)
        problem = f"has {what} that may be groups ({shown}): name one in corpus.toml: [groups] column = "
        raise InputError(f'{problem}"{names[found[0]] if found else "performer"}"', path=path, line=line)
    return found[0]


def _by_name(recordings: Mapping[str, Iterable[str]]) -> dict[str, set[str]]:
    """Return the ids that a name may mean: an id or a path goes before the name of a file."""
    exact, bare = dict[str, set[str]](), dict[str, set[str]]()
    for id, others in recordings.items():
        for name in {id, *others}:
            exact.setdefault(_key(name), set()).add(id)
            bare.setdefault(_key(PurePosixPath(name).name), set()).add(id)
    for id in recordings:
        exact[_key(id)] = {id}
    return {**bare, **exact}


def _key(name: str) -> str:
    return normal(name).replace("\\", "/").removeprefix("./")
