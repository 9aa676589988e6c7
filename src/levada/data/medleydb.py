"""Metadata of MedleyDB: the instrument of each stem, and the artist (Bittner et al., ISMIR 2014).

It is YAML of one shape, of which a few lines are needed: regular expressions find them.
"""

from __future__ import annotations

import re
from pathlib import Path

from levada.errors import InputError

__all__ = ["read_metadata"]

NO_ARTIST = {"musicdelta", "music delta"}  # a publisher: its pieces have different players


def read_metadata(path: str | Path) -> tuple[dict[str, str], str]:
    """Read the instruments of stems, and the artist.

    Parameters
    ----------
    path : path-like
        ``NAME_METADATA.yaml``.

    Returns
    -------
    instruments : dict of str to str
        File name of each stem -> its instrument, as it is written in the file.
    artist : str
        Empty where none is named.

    Raises
    ------
    InputError
        If it is not text, or names no stems.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        raise InputError("cannot be read as text", path=path) from None
    found = (_entries(stem) for stem in re.split(r"(?m)^\s+S\d+:\s*$", text)[1:])
    instruments = {file: instrument for file, instrument in found if file and instrument}
    if not instruments:
        raise InputError("names no stems: entries S01, S02 … with filename and instrument are looked for", path=path)
    artist = re.search(r"(?m)^artist:(.*)$", text)
    name = _bare(artist[1]) if artist else ""
    return instruments, "" if name.casefold() in NO_ARTIST else name


def _entries(stem: str) -> tuple[str, str]:
    """Return file and instrument of a stem; those of the raw tracks that it was mixed from come after them."""
    file = re.search(r"(?m)^\s+filename:(.*)$", stem)
    instrument = re.search(r"(?m)^\s+instrument:[ \t]*(?:\n\s+-[ \t]+)?(.*)$", stem)
    return _bare(file[1]) if file else "", _bare(instrument[1]) if instrument else ""


def _bare(value: str) -> str:
    return value.strip().strip("'\"[]").strip()
