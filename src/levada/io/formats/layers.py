"""Common result of all format readers: layers of markers, before labels are interpreted."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from levada.errors import InputError
from levada.io.beats import Beats

__all__ = [
    "BeatAnnotation",
    "Layer",
    "Marker",
    "choose_layer",
    "normalize_text",
    "parse_time",
    "spans_ms",
    "split_lines",
]

_TIME = re.compile(r"[+-]?(\d+([.,]\d*)?|[.,]\d+)([eE][+-]?\d{1,3})?\s?s?")
_CLOCK = re.compile(r"([+-]?)(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2}(?:[.,]\d*)?)")
_BEATS = re.compile(r"beat|pulso|batida|tactus|downbeat|compas|tiempo|taps?\b")


@dataclass(frozen=True)
class Marker:
    """A labelled point or region of a file."""

    time_s: float  # where it is, or where it begins
    text: str = ""  # its label
    line: int | None = None  # where it stands in the file, counted from 1 in the layer's unit
    end_s: float | None = None  # where a region ends
    confidence: float | None = None  # of its time, between 0 and 1
    position_confidence: float | None = None  # of its position, between 0 and 1


@dataclass(frozen=True)
class Layer:
    """A layer, tier or table of markers; sessions and JAMS files may have several."""

    marks: tuple[Marker, ...]
    name: str = ""  # what the file calls it
    rank: int = 0  # how much its kind speaks for beats: instants above values
    unit: str = "line"  # what `Mark.line` counts
    convention: str = ""  # how its labels are to be read, where the file says so
    is_sorted: bool = True  # whether marks out of order are a mistake in this format
    notes: tuple[str, ...] = ()  # what was assumed so far, one plain sentence each


@dataclass(frozen=True)
class BeatAnnotation:
    """Beats that were read, and the assumptions made."""

    beats: Beats
    format: str  # a key of `levada.io.formats.FORMATS`, or npy
    convention: str  # a key of `levada.io.formats.conventions.CONVENTIONS`
    notes: tuple[str, ...] = ()  # what was assumed or left out, one plain sentence each
    lines: tuple[int | None, ...] = ()  # the line of every beat, None where the format has no lines
    only_downbeats: bool = False  # every label is a downbeat: the beats between are unknown, not absent


def choose_layer(layers: Sequence[Layer], *, wanted: str, path: str | Path) -> Layer:
    """Choose the layer that holds the beats.

    Parameters
    ----------
    layers : sequence of Layer
        All layers of a file, in its order.
    wanted : str
        The name of one, or empty: the layer whose kind and name speak most for beats, the first among equals.
    path : path-like
        What to call the file in errors.

    Raises
    ------
    InputError
        If no layer has marks, or none has the name that is wanted.
    """
    filled = [layer for layer in layers if layer.marks]
    names = ", ".join(repr(layer.name) for layer in filled)
    if wanted:
        filled = [layer for layer in filled if layer.name == wanted]
        if not filled:
            raise InputError(f"has no layer {wanted!r} with marks; it has {names or 'none'}", path=path)
        return filled[0]
    if not filled:
        raise InputError("has no beats", path=path)
    best = max(filled, key=lambda layer: (layer.rank, bool(_BEATS.search(normalize_text(layer.name)))))
    if len(filled) == 1:
        return best
    if best.rank < 0:
        which = f"holds {len(filled)} recordings ({names[:200]}), none of the annotation's name"
        raise InputError(f"{which}: convention 'layer:NAME' chooses one", path=path)
    note = f"holds {len(filled)} layers ({names}): {best.name!r} is used; convention 'layer:NAME' chooses another"
    return replace(best, notes=(*best.notes, note))


def split_lines(text: str) -> list[str]:
    """Split a text at the line ends of any operating system."""
    return re.split(r"\r\n|\r|\n", text)


def spans_ms(beats: Beats, longest_ms: int = 50) -> list[tuple[int, int]]:
    """Return start and end of each beat in ms, for formats without points; a beat ends before the next one starts."""
    starts = [round(time * 1000) for time, _ in beats]
    nexts = [*starts[1:], 1 << 62][: len(starts)]
    return [(start, min(start + longest_ms, following)) for start, following in zip(starts, nexts, strict=True)]


def normalize_text(text: str) -> str:
    """Convert a text to lower case without accents."""
    letters = unicodedata.normalize("NFKD", text.strip())
    return "".join(letter for letter in letters if not unicodedata.combining(letter)).lower()


def parse_time(text: str) -> float | None:
    """Read seconds, or a clock such as 1:02.5 or 0:01:02,5; None for anything else."""
    if _TIME.fullmatch(text):
        return float(text.rstrip("s ").replace(",", "."))
    clock = _CLOCK.fullmatch(text)
    if clock is None or float(clock[4].replace(",", ".")) >= 60:
        return None
    seconds = 3600 * int(clock[2] or 0) + 60 * int(clock[3]) + float(clock[4].replace(",", "."))
    return -seconds if clock[1] == "-" else seconds
