"""How something is struck: the names that traditions use."""

from __future__ import annotations

from levada.errors import InputError

__all__ = ["RATE", "STROKES", "check_stroke"]

RATE = 44100
"""Samples in a second of every sound that instruments make."""

STROKES = {
    "open": "struck so that it rings",
    "muted": "struck and damped, by the hand or against the skin",
    "slap": "struck by the flat hand near the rim: short and sharp",
    "stick": "struck by a stick where usually a hand or a mallet does",
    "bass": "struck in the middle: low and round",
    "rim": "struck on the rim, the shell or the edge",
    "high": "struck on the higher of two heads or bells",
    "low": "struck on the lower of two heads or bells",
    "shake": "shaken, brushed or rubbed: noise alone",
}
"""Strokes that every struck voice knows, and what they are."""


def check_stroke(stroke: str) -> None:
    """Raise an `InputError` if there is no stroke of that name."""
    if stroke not in STROKES:
        raise InputError(f"there is no stroke {stroke!r}; there are {', '.join(STROKES)}")
