"""TextGrids of Praat, long or short: the tiers of points, and of intervals, whose starts are read."""

from __future__ import annotations

import re
from pathlib import Path

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats.conventions import format_labels
from levada.io.formats.layers import Layer, Marker
from levada.io.formats.provenance import Metadata

__all__ = ["dump", "is_textgrid", "parse"]

_TOKEN = re.compile(r'"((?:[^"]|"")*)"|<(exists|absent)>|(?<![\w\[.])(-?\d+(?:\.\d+)?(?:[eE][+-]?\d{1,3})?)(?![\w\]])')


def is_textgrid(text: str) -> bool:
    """Whether a text begins as a TextGrid does."""
    return "ooTextFile" in text[:200]


def parse(text: str, *, path: str | Path) -> list[Layer]:
    """Read all tiers.

    Raises
    ------
    InputError
        If it is another object of Praat, or ends in the middle.
    """
    if '"TextGrid"' not in text[:400]:
        raise InputError("is an object of Praat, but no TextGrid", path=path)
    body = text[text.index('"TextGrid"') + len('"TextGrid"') :]
    line = text.count("\n", 0, len(text) - len(body)) + 1
    tokens: list[tuple[str | float, int]] = []  # quoted texts, and numbers, with their lines; the rest is for people
    seen = 0
    for token in _TOKEN.finditer(body):
        line += body.count("\n", seen, token.start())
        seen = token.start()
        if token[1] is not None:
            tokens.append((token[1].replace('""', '"'), line))
        elif token[3] is not None:
            tokens.append((float(token[3]), line))
    stream = iter(tokens[2:])  # after the grid's own start and end

    def number() -> float:
        value, at = next(stream)
        if isinstance(value, str) or not abs(value) < 1e7:
            raise InputError(f"{str(value)[:40]!r} stands where a number should be", path=path, line=at)
        return value

    def word() -> tuple[str, int]:
        value, at = next(stream)
        if not isinstance(value, str):
            raise InputError(f"{value:g} stands where a text should be", path=path, line=at)
        return value, at

    layers = []
    try:
        for _ in range(_size(number(), path)):
            kind, at = word()
            if kind not in ("TextTier", "IntervalTier"):
                raise InputError(f"{kind[:40]!r} is not a kind of tier", path=path, line=at)
            name, _ = word()
            number(), number()
            marks = []
            for _ in range(_size(number(), path)):
                start = number()
                end = number() if kind == "IntervalTier" else None
                label, at = word()
                if kind == "TextTier" or label.strip():  # an interval without a label is the space between two
                    marks.append(Marker(start, label.strip(), at, end))
            layers.append(Layer(tuple(marks), name, 2 if kind == "TextTier" else 1, is_sorted=False))
    except (StopIteration, RuntimeError):
        raise InputError("ends in the middle of a tier", path=path) from None
    return layers


def _size(value: float, path: str | Path) -> int:
    if not 0 <= value <= 1e7 or value != int(value):
        raise InputError(f"{value:g} is not a number of tiers or points", path=path)
    return int(value)


def dump(beats: Beats, metadata: Metadata) -> str:
    """Write one tier of points, as long as the recording or up to the last beat."""
    end = max(metadata.duration_s or 0.0, float(beats.times_s[-1]) if len(beats) else 0.0)
    points = "".join(
        f'        points [{number}]:\n            number = {time:.6f}\n            mark = "{text}"\n'
        for number, ((time, _), text) in enumerate(zip(beats, format_labels(beats), strict=True), 1)
    )
    return (
        f'File type = "ooTextFile"\nObject class = "TextGrid"\n\nxmin = 0\nxmax = {end:.6f}\ntiers? <exists>\n'
        'size = 1\nitem []:\n    item [1]:\n        class = "TextTier"\n        name = "beats"\n        xmin = 0\n'
        f"        xmax = {end:.6f}\n        points: size = {len(beats)}\n{points}"
    )
