"""Names of strokes, as traditions use them."""

from __future__ import annotations

from levada.errors import InputError

__all__ = ["RATE", "STROKES", "check_stroke", "pair_ratio"]

RATE = 44100
"""Sample rate of all instruments, in Hz."""

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
"""Strokes of every percussion voice, with descriptions."""


def check_stroke(stroke: str) -> None:
    """Raise an `InputError` if there is no stroke of that name."""
    if stroke not in STROKES:
        raise InputError(f"there is no stroke {stroke!r}; there are {', '.join(STROKES)}")


def pair_ratio(stroke: str, interval: float) -> float:
    """Return the pitch ratio of a stroke on the higher or lower of two heads or bells, an interval apart."""
    return float({"high": interval**0.5, "low": interval**-0.5}.get(stroke, 1.0))
