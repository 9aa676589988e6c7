"""Beats in the files that people and programs use, told apart by what is in them.

Nothing is guessed from a file's name when reading. Errors name the file and the line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from levada.beats import Beats
from levada.errors import InputError
from levada.files import atomic
from levada.formats import tables

__all__ = ["FORMATS", "Format", "format_of", "read_beats", "write_beats"]

_LARGEST = 50_000_000  # bytes of an annotation: a year of beats


@dataclass(frozen=True)
class Format:
    """A way to write beats."""

    about: str  # one line for people
    suffixes: tuple[str, ...]  # ends of file names that ask for it
    dump: Callable[[Beats, float | None], str | bytes]  # from the beats and the recording's length, if known


def _jams(beats: Beats, duration_s: float | None) -> str:
    from levada.formats import jams

    return jams.dump(beats, duration_s=duration_s)


def _svl(beats: Beats, _: float | None) -> str:
    from levada.formats import svl

    return svl.dump(beats)


def _midi(beats: Beats, _: float | None) -> bytes:
    from levada.formats import midi

    return midi.dump(beats)


def _table(dump: Callable[[Beats], str]) -> Callable[[Beats, float | None], str]:
    return lambda beats, _: dump(beats)


FORMATS: dict[str, Format] = {
    "beats": Format("time and position, one beat a line", (".beats", ".txt", ".tsv"), _table(tables.beats)),
    "csv": Format("time,position and confidence, with names", (".csv",), _table(tables.csv)),
    "sv": Format("Sonic Visualiser's CSV: time,label", (".sv.csv",), _table(tables.sonic_visualiser_csv)),
    "svl": Format("a layer of Sonic Visualiser", (".svl",), _svl),
    "audacity": Format("a label track of Audacity", (".labels.txt", ".audacity.txt"), _table(tables.audacity)),
    "jams": Format("JAMS, with positions and confidences", (".jams",), _jams),
    "reaper": Format("markers for Reaper (written only)", (".reaper.csv",), _table(tables.reaper)),
    "midi": Format("a MIDI tempo map for any DAW (written only)", (".mid", ".midi"), _midi),
}
"""Every format that is written, by name. All but reaper and midi are read, and numpy's .npy besides."""


def read_beats(path: str | Path) -> Beats:
    """Read an annotation of beats in any format levada knows.

    Parameters
    ----------
    path : path-like
        A text table (`levada.formats.tables` has the rules), an `.svl`, a JAMS file, or an `.npy` array of times
        or of times and positions.

    Raises
    ------
    InputError
        Naming the file and the line: there is no such file, it is not an annotation, it holds no beats, a line
        cannot be understood, or a beat does not come after the one before.
    """
    try:
        content = _content(path)
        if content.startswith(b"\x93NUMPY"):
            return _from_array(content, path)
        text = _text(content, path)
        if text.lstrip().startswith("<"):
            from levada.formats import svl

            found = svl.parse(text, path=path)
        elif text.lstrip().startswith("{"):
            from levada.formats import jams

            found = jams.parse(text, path=path)
        else:
            found = tables.parse(text, path=path)
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(error.problem, path=path) from error
    if not len(found):
        raise InputError("has no beats", path=path)
    return found


def format_of(path: str | Path) -> str:
    """The format that the end of a file's name asks for.

    Raises
    ------
    InputError
        If it asks for none.
    """
    name = Path(path).name.lower()
    ends = {suffix: key for key, kind in FORMATS.items() for suffix in kind.suffixes if name.endswith(suffix)}
    if not ends:
        known = ", ".join(suffix for kind in FORMATS.values() for suffix in kind.suffixes)
        raise InputError(f"its suffix names no format of beats: use one of {known}", path=path)
    return ends[max(ends, key=len)]


def write_beats(
    path: str | Path,
    beats: Beats,
    *,
    format: str | None = None,
    duration_s: float | None = None,
    force: bool = False,
) -> None:
    """Write beats to a file, which appears only when it is complete.

    Parameters
    ----------
    path : path-like
        Where to write.
    beats : Beats
        What to write. Times keep six digits, an `.svl` the nearest of 44100 frames a second. CSV and JAMS keep
        confidences.
    format : str, optional
        A name in `FORMATS`; told by the suffix if left out.
    duration_s : float, optional
        Length of the recording, in seconds, for the formats that have a place for it.
    force : bool
        Whether a file that exists may be overwritten.

    Raises
    ------
    InputError
        If the format is unknown, cannot tell two beats apart, or the file cannot be written or exists.
    """
    if format is None:
        format = format_of(path)
    if format not in FORMATS:
        raise InputError(f"there is no format {format!r}: use one of {', '.join(FORMATS)}")
    step_s = 1 / 44100 if format == "svl" else 1e-6
    if len(np.unique(np.round(beats.times_s / step_s))) < len(beats):
        raise InputError(f"two beats fall together in this format, less than {step_s:.6f} s apart", path=path)
    try:
        content = FORMATS[format].dump(beats, duration_s)
    except InputError as error:
        raise InputError(error.problem, path=path) from error
    with atomic(path, force=force) as temporary:
        temporary.write_bytes(content if isinstance(content, bytes) else content.encode())


def _content(path: str | Path) -> bytes:
    try:
        with open(path, "rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise InputError("there is no such file", path=path) from None
    except IsADirectoryError:
        raise InputError("is a folder, not an annotation", path=path) from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=path) from error
    if len(content) > _LARGEST:
        raise InputError("is too large to be an annotation of beats", path=path)
    if not content.strip():
        raise InputError("has no beats: the file is empty", path=path)
    return content


def _text(content: bytes, path: str | Path) -> str:
    """Decode utf-8, utf-16 with its mark, or latin-1; refuse what is no text."""
    marks = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}
    encodings = [name for mark, name in marks.items() if content.startswith(mark)] or ["utf-8", "latin-1"]
    for encoding in encodings:
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if any(ord(letter) < 32 and letter not in "\t\n\r\f\v" for letter in set(text)):
            break
        return text
    kind = "a MIDI file" if content.startswith(b"MThd") else "not text"
    raise InputError(f"is {kind}, not an annotation of beats that can be read", path=path)


def _from_array(content: bytes, path: str | Path) -> Beats:
    try:
        array = np.load(BytesIO(content), allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise InputError(f"is a damaged array ({error})", path=path) from error
    if array.dtype.kind not in "iuf" or not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] in (1, 2))):
        wanted = "numbers [shape=(beats,)] or [shape=(beats, 2)]"
        raise InputError(f"is an array of {array.dtype} {array.shape}, not of {wanted}", path=path)
    if not len(array):
        raise InputError("has no beats", path=path)
    columns = array.reshape(len(array), -1).T
    return Beats(columns[0], columns[1] if len(columns) > 1 else None)
