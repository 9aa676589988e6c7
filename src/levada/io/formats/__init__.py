"""Readers and writers of beat annotations of many programs.

Formats are recognised by content, not by file name. Errors name the file and the line. What the labels of a file mean
is recognised from all of them (`levada.io.formats.conventions`); what was assumed is returned by `read_annotation` and
logged by `read_beats`.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np

from levada.arguments import checked
from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.files import atomic_file
from levada.io.formats import dj_grids, elan, jams, midi, reaper, sonic_visualiser, subtitles, text_tables, textgrid
from levada.io.formats.conventions import CONVENTIONS, LAYER, check_convention
from levada.io.formats.interpret import interpret
from levada.io.formats.layers import BeatAnnotation, Layer, Marker, choose_layer
from levada.io.formats.provenance import Metadata, seal
from levada.io.formats.xml_reader import has_root, parse_xml
from levada.io.text import decode_text, read_bytes

__all__ = [
    "CONVENTIONS",
    "FORMATS",
    "BeatAnnotation",
    "Format",
    "Metadata",
    "check_convention",
    "format_of",
    "read_annotation",
    "read_beats",
    "write_beats",
]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Format:
    """A file format of beats.

    Parameters
    ----------
    about : str
        Description.
    suffixes : tuple of str
        Suffixes for writing.
    parse : callable, optional
        From the text (or bytes) of a file and its `path`, which errors name, to a list of layers. It raises
        `InputError` for what is damaged. None for tables.
    recognise : callable, optional
        Whether a text is of this format; None for tables and binary formats.
    dump : callable, optional
        From beats and `Metadata` to the text or bytes of a file; None where a format is only read.
    step_s : float
        What times are rounded to when written.
    """

    about: str
    suffixes: tuple[str, ...]
    parse: Callable[..., list[Layer]] | None = None
    recognise: Callable[[str], bool] | None = None
    dump: Callable[[Beats, Metadata], str | bytes] | None = None
    step_s: float = 1e-6


FORMATS: dict[str, Format] = {
    "beats": Format("time and position, one beat a line", (".beats", ".txt", ".tsv"), dump=text_tables.dump_beats),
    "csv": Format("time, position and confidences, with names", (".csv",), dump=text_tables.dump_csv),
    "sv": Format("Sonic Visualiser's CSV: time,label", (".sv.csv",), dump=text_tables.dump_sonic_visualiser_csv),
    "svl": Format(
        "a layer of Sonic Visualiser", (".svl",), sonic_visualiser.parse, has_root("sv"), sonic_visualiser.dump,
        1 / 44100,
    ),
    "sv-session": Format(
        "a session of Sonic Visualiser", (".sv",), sonic_visualiser.parse_session, None, sonic_visualiser.dump_session,
        1 / 44100,
    ),
    "audacity": Format(
        "a label track of Audacity", (".labels.txt", ".audacity.txt"), dump=text_tables.dump_audacity
    ),
    "srt": Format(
        "subtitles, as Audacity exports labels", (".srt",), subtitles.parse, subtitles.is_subtitles, subtitles.dump,
        1e-3,
    ),
    "textgrid": Format(
        "a point tier of Praat", (".textgrid",), textgrid.parse, textgrid.is_textgrid, textgrid.dump
    ),
    "elan": Format("a tier of ELAN", (".eaf",), elan.parse, has_root("ANNOTATION_DOCUMENT"), elan.dump, 1e-3),
    "jams": Format(
        "JAMS, with positions and confidences", (".jams",), jams.parse, lambda text: text.startswith("{"), jams.dump
    ),
    "reaper": Format("markers for Reaper", (".reaper.csv",), reaper.parse, reaper.is_reaper, reaper.dump),
    "midi": Format("a MIDI tempo map for any DAW", (".mid", ".midi"), midi.parse, None, midi.dump),
    "rekordbox": Format("beat grids of rekordbox (read only)", (), dj_grids.parse_rekordbox, has_root("DJ_PLAYLISTS")),
    "traktor": Format("beat grids of Traktor (read only)", (), dj_grids.parse_traktor, has_root("NML")),
}  # fmt: skip
"""Every format, by name; numpy's .npy of times, or of times and positions, is read besides."""

_OTHERS = {  # starts of files that are not annotations
    "{\\rtf": "a document of a word processor (RTF): save it as plain text",
    "%PDF": "a PDF: export the labels as text",
}
_OTHERS_BYTES = {
    b"PK\x03\x04": "a spreadsheet or a document (or another ZIP archive): save the table as CSV, or export the labels",
    b"\xd0\xcf\x11\xe0": "a spreadsheet or a document of an old Office: save the table as CSV",
    b"RIFF": "audio: it is not text",
    b"\x1f\x8b": "compressed by gzip: unpack it",
    b"SQLite": "a database, not text: export the labels",
}


@checked
def read_beats(path: str | Path, *, convention: str = "") -> Beats:
    """Read an annotation of beats in any format levada knows; what was assumed is logged as a warning.

    Parameters
    ----------
    path : path-like
        A file in one of `FORMATS`, or an `.npy` array of times or of times and positions.
    convention : str
        What its labels mean: a name in `CONVENTIONS`, `layer:NAME` to choose a layer, tier or annotator, or the columns
        of a table such as `time,bar,beat`. Recognised from all labels if left out.

    Returns
    -------
    Beats

    Raises
    ------
    InputError
        Naming the file and the line: there is no such file, it is not an annotation, it holds no beats, a line
        cannot be understood or its labels be read in two ways, or a beat does not come after the one before.
    """
    reading = read_annotation(path, convention=convention)
    for note in reading.notes:
        _log.warning("%s: %s", path, note)
    return reading.beats


def read_annotation(path: str | Path, *, convention: str = "") -> BeatAnnotation:
    """Read an annotation of beats, and what was assumed to read it.

    Parameters
    ----------
    path, convention : path-like, str
        As of `read_beats`.

    Returns
    -------
    BeatAnnotation

    Raises
    ------
    InputError
        As `read_beats`.
    """
    if convention:
        check_convention(convention)
    try:
        return _read(read_bytes(path), convention, path)
    except InputError as error:
        if error.path is not None:
            raise
        raise InputError(error.problem, path=path) from error


def _read(content: bytes, convention: str, path: str | Path) -> BeatAnnotation:
    columns = convention if "," in convention or convention == "time" else ""
    wanted = convention.removeprefix(LAYER) if convention.startswith(LAYER) else ""
    meaning = "" if columns or wanted else convention
    if not content.strip():
        raise InputError("has no beats: the file is empty", path=path)
    if content.startswith(b"\x93NUMPY"):
        return interpret(_from_array(content, path), format="npy", convention=meaning, path=path)
    if midi.is_midi(content):
        name, layers = "midi", midi.parse(content, path=path)
    elif sonic_visualiser.is_session(content):
        name, layers = "sv-session", sonic_visualiser.parse_session(content, path=path)
    else:
        name, layers = _parse_text(_text(content, path), columns, path)
    if columns and name != "beats":
        raise InputError(f"is not a table: it has no columns to name by convention {columns}", path=path)
    return interpret(choose_layer(layers, wanted=wanted, path=path), format=name, convention=meaning, path=path)


def _parse_text(text: str, columns: str, path: str | Path) -> tuple[str, list[Layer]]:
    head = text.lstrip("\ufeff \t\r\n")
    for begins, what in _OTHERS.items():
        if head.startswith(begins):
            raise InputError(f"is {what}", path=path)
    for name, kind in FORMATS.items():
        if kind.recognise is not None and kind.parse is not None and kind.recognise(head):
            return name, kind.parse(text.lstrip("\ufeff"), path=path)
    if head.startswith("<"):
        root = parse_xml(text, path=path)
        known = "Sonic Visualiser, ELAN, rekordbox or Traktor"
        raise InputError(
            f"has no layer of points: its XML begins with {root.tag[:40]!r}, not that of {known}", path=path
        )
    return "beats", [text_tables.parse(text, path=path, columns=columns)]


def format_of(path: str | Path) -> str:
    """Return the format of a file name's suffix.

    Raises
    ------
    InputError
        If no format has the suffix.
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
    provenance: Mapping[str, str] | None = None,
    force: bool = False,
) -> None:
    """Write beats to a file, which appears only when it is complete.

    Parameters
    ----------
    path : path-like
        Where to write.
    beats : Beats
        What to write. Times keep six digits; ELAN and subtitles have milliseconds, Sonic Visualiser the nearest of
        44100 frames a second. CSV and JAMS keep confidences.
    format : str, optional
        A name in `FORMATS`; by default that of the suffix.
    duration_s : float, optional
        Length of the recording, in seconds, for the formats that have a place for it.
    provenance : mapping of str to str, optional
        What made the beats (version, model, identity), for the formats that have a place for it: a file with this
        mark is no label until somebody edits it (`levada.io.formats.provenance`).
    force : bool
        Whether a file that exists may be overwritten.

    Raises
    ------
    InputError
        If the format is unknown or only read, cannot represent two beats as different, or the file exists or cannot be
        written.
    """
    if format is None:
        format = format_of(path)
    kind = FORMATS.get(format)
    if kind is None or kind.dump is None:
        written = ", ".join(name for name, kind in FORMATS.items() if kind.dump is not None)
        raise InputError(f"there is no format {format!r}: use one of {written}")
    if len(np.unique(np.round(beats.times_s / kind.step_s))) < len(beats):
        raise InputError(f"two beats fall together in this format, less than {kind.step_s:.6f} s apart", path=path)
    try:
        content = kind.dump(beats, Metadata(duration_s, provenance))
    except InputError as error:
        raise InputError(error.problem, path=path) from error
    with atomic_file(path, force=force) as temporary:
        temporary.write_bytes(seal(content if isinstance(content, bytes) else content.encode()))


def _text(content: bytes, path: str | Path) -> str:
    """Decode a file; refuse what is no text."""
    for begins, what in _OTHERS_BYTES.items():
        if content.startswith(begins):
            raise InputError(f"is {what}", path=path)
    text = decode_text(content)
    if any(ord(letter) < 32 and letter not in "\t\n\r\f\v\x1a" for letter in set(text)):
        raise InputError("is not text, and no annotation of beats that can be read", path=path)
    return text.rstrip("\x1a")


def _from_array(content: bytes, path: str | Path) -> Layer:
    """Convert an array of times, or of times and positions, to a layer."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about old headers
            array = np.load(BytesIO(content), allow_pickle=False)
    except Exception as error:  # numpy's reader of headers raises what it likes
        raise InputError(f"is a damaged array ({type(error).__name__})", path=path) from error
    if array.dtype.kind not in "iuf" or not (array.ndim == 1 or (array.ndim == 2 and array.shape[1] in (1, 2))):
        wanted = "numbers [shape=(beats,)] or [shape=(beats, 2)]"
        raise InputError(f"is an array of {array.dtype} {array.shape}, not of {wanted}", path=path)
    if not len(array):
        raise InputError("has no beats", path=path)
    columns = array.reshape(len(array), -1).T.astype(np.float64)
    beyond = ~np.isfinite(columns[0]) | (np.abs(columns[0]) > 1e7)
    if beyond.any():
        raise InputError(f"beat {int(beyond.argmax()) + 1} is not a finite time in seconds", path=path)
    texts = [""] * len(array)
    if len(columns) > 1:
        if not (np.abs(columns[1]) < 1e9).all() or (columns[1] != np.round(columns[1])).any() or (columns[1] < 0).any():
            raise InputError("its positions in the bar must be whole numbers from 0", path=path)
        texts = [str(int(position)) for position in columns[1]]
    marks = (Marker(float(time), text, i) for i, (time, text) in enumerate(zip(columns[0], texts, strict=True), 1))
    return Layer(tuple(marks), unit="beat")
