"""A tradition as data: its cycle, its instruments and what they play.

A tradition is a TOML file that a percussionist can read and write: patterns are grids of stroke letters, one letter
a tatum, spaces and bars (`|`) free. `.` is a rest, `x` a stroke, `o` a ghost note; further letters are named in the
instrument's `strokes`. A capital is an accent.
"""

from __future__ import annotations

from levada.synth.traditions.model import Form, Instrument, Pattern, Tradition
from levada.synth.traditions.notation import drawn, in_words
from levada.synth.traditions.reader import FOLDER, NOTES, read_tradition, shipped

__all__ = [
    "FOLDER",
    "NOTES",
    "Form",
    "Instrument",
    "Pattern",
    "Tradition",
    "drawn",
    "in_words",
    "read_tradition",
    "shipped",
]
