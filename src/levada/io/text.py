"""Texts of users: reading them from files, and escaping them for terminals and tables; times as clocks show them."""

from __future__ import annotations

import re
from pathlib import Path

from levada.errors import InputError, wrap_read_errors

__all__ = ["clock", "decode_text", "escape_csv_cell", "printable", "read_bytes", "unescape_csv_cell"]

_ENCODINGS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16", b"\xef\xbb\xbf": "utf-8-sig"}  # by byte order mark

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_FORMULA = ("=", "+", "@", "-", "\t", "\r")


def read_bytes(path: str | Path, *, largest: int = 50_000_000) -> bytes:
    """Read a file of a user, which is no audio.

    Parameters
    ----------
    path : path-like
    largest : int
        Largest size, in bytes.

    Raises
    ------
    InputError
        If it is not an ordinary file, is larger, or cannot be read.
    """
    with wrap_read_errors(path):
        if Path(path).exists() and not Path(path).is_file() and not Path(path).is_dir():
            raise InputError("is not an ordinary file", path=path)
        with open(path, "rb") as file:
            content = file.read(largest + 1)
    if len(content) > largest:
        raise InputError(f"is too large: more than {largest / 1e6:g} MB", path=path)
    return content


def clock(seconds: float, *, decimals: int = 0) -> str:
    """Write a time as minutes and seconds, from an hour on with hours: 1:02, 1:02.5, 1:00:00.

    Parameters
    ----------
    seconds : float
    decimals : int
        Of the seconds.
    """
    ticks = round(seconds * 10**decimals)
    whole, fraction = divmod(ticks, 10**decimals)
    hours, minutes = divmod(whole // 60, 60)
    text = f"{hours}:{minutes:02}" if hours else f"{minutes}"
    return f"{text}:{whole % 60:02}" + (f".{fraction:0{decimals}}" if decimals else "")


def decode_text(content: bytes) -> str:
    """Decode UTF-8, UTF-16 with a byte order mark, or, where it is neither, Latin-1."""
    encoding = next((name for mark, name in _ENCODINGS.items() if content.startswith(mark)), "utf-8")
    try:
        return content.decode(encoding)
    except UnicodeDecodeError:
        return content.decode("latin-1")


def printable(text: str, *, lines: bool = True) -> str:
    r"""Write control characters, and bytes of a name that are not UTF-8, as escapes such as ``\x1b``.

    Parameters
    ----------
    text : str
    lines : bool
        Whether line feeds and tabs stay.

    Returns
    -------
    str
        Text that any terminal shows and any encoding of Unicode can hold.
    """
    escaped = _UNSEEN.sub(lambda letter: _escape(letter[0]), text)
    return escaped if lines else escaped.replace("\n", "\\n").replace("\t", "\\t")


def escape_csv_cell(value: object) -> object:
    """Prefix an apostrophe to a text that a spreadsheet would run as a formula.

    Parameters
    ----------
    value : object
        A cell. Numbers, and texts that are numbers, stay as they are.

    Returns
    -------
    object
        What is written; `unescape_csv_cell` gives the text back.
    """
    if not isinstance(value, str):
        return value
    value = _UNSEEN.sub(lambda letter: _escape(letter[0]), value)
    return f"'{value}" if value.startswith(_FORMULA) and not _is_number(value) else value


def unescape_csv_cell(cell: str) -> str:
    """Invert `escape_csv_cell`."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_FORMULA) else cell


def _escape(letter: str) -> str:
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is not UTF-8 (PEP 383)
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
