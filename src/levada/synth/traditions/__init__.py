"""Descriptions of traditions: cycle, tempo, instruments and patterns.

A tradition is a TOML file that a percussionist can read and write: patterns are grids of stroke letters, one letter
a tatum, spaces and bars (`|`) free. `.` is a rest, `x` a stroke, `o` a ghost note; further letters are named in the
instrument's `strokes`. A capital is an accent.
"""

from __future__ import annotations

from levada.synth.traditions.model import Evidence, Form, Instrument, Pattern, Tradition
from levada.synth.traditions.reader import FOLDER, NOTES, list_traditions, read_tradition
from levada.synth.traditions.text import describe, format_tradition

__all__ = [
    "FOLDER",
    "NOTES",
    "Evidence",
    "Form",
    "Instrument",
    "Pattern",
    "Tradition",
    "describe",
    "format_tradition",
    "list_traditions",
    "read_tradition",
]
