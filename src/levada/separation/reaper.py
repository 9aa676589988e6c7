"""Projects of Reaper: a track for each stem."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["reaper_project"]

SOURCES = {".wav": "WAVE", ".aif": "WAVE", ".aiff": "WAVE", ".flac": "FLAC"}


def reaper_project(
    files: Mapping[str, Path], *, rate: int, duration_s: float, gains: Mapping[str, float] | None = None
) -> str:
    """Return the text of a project (.rpp) with a track for each file, all from the beginning.

    Parameters
    ----------
    files : mapping of str to Path
        Files by the name of their track; the project refers to them by their names, so it has to lie beside them.
    rate : int
        In Hz.
    duration_s : float
        Length of the files, in seconds.
    gains : mapping of str to float, optional
        Positions of the faders, as factors; 1 by default.
    """
    lines = ['<REAPER_PROJECT 0.1 "6.0" 0', f"  SAMPLERATE {rate} 1 0"]
    for name, path in files.items():
        lines += [
            "  <TRACK",
            f"    NAME {_quoted(name)}",
            f"    VOLPAN {(gains or {}).get(name, 1.0):.8g} 0 -1 -1 1",
            "    <ITEM",
            "      POSITION 0",
            f"      LENGTH {duration_s:.9f}",
            f"      NAME {_quoted(name)}",
            f"      <SOURCE {SOURCES[path.suffix.lower()]}",
            f"        FILE {_quoted(path.name)}",
            "      >",
            "    >",
            "  >",
        ]
    return "\n".join([*lines, ">", ""])


def _quoted(text: str) -> str:
    """Quote a text by a sign that is not in it."""
    sign = next((sign for sign in "\"'`" if sign not in text), "`")
    return f"{sign}{text.replace(sign, chr(39))}{sign}"
