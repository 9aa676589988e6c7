"""Metres: the beats of a bar, of the same length or in whole-number proportions such as 2+2+2+3.

A metre is a number of beats, 4, or the relative lengths of beats that are not all the same, "2+2+2+3". Lengths are
given here relative to the *usual* beat of the bar, the median one: that is the beat whose tempo is meant.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from levada.errors import InputError

__all__ = [
    *("LARGEST_RATIO", "MOST_UNITS", "Metre", "beat_units", "beats_in", "metre_of", "relative_lengths"),
    "sorted_metres",
]

Metre = int | str
"""A number of beats, or the whole-number lengths of beats of unequal length, such as "2+2+2+3"."""

Floats = npt.NDArray[np.float64]

MOST_UNITS = 16  # of one beat
LARGEST_RATIO = 4  # of a beat to another of its bar


@lru_cache(maxsize=256)
def metre_of(text: str) -> Metre:
    """Return the metre that a text means, in lowest terms: "4+4+6" is "2+2+3", and "2+2" is 2.

    Raises
    ------
    InputError
        If it is neither a whole number nor whole numbers with plus signs between them.
    """
    if not re.fullmatch(r"\s*[1-9]\d{0,8}(\s*\+\s*[1-9]\d{0,3})*\s*", text, re.ASCII):
        raise InputError(
            f"a metre is a number of beats, such as 4, or the lengths of its beats, such as 2+2+2+3, not {text!r}"
        )
    units = [int(part) for part in text.split("+")]
    if len(units) == 1:
        return units[0]
    shared = math.gcd(*units)
    units = [unit // shared for unit in units]
    if max(units) > MOST_UNITS or max(units) > LARGEST_RATIO * min(units):
        raise InputError(f"no beat is over {LARGEST_RATIO} times as long as another, as in the metre {text.strip()}")
    return len(units) if max(units) == 1 else "+".join(map(str, units))


def beat_units(metre: Metre) -> tuple[int, ...]:
    """Return the whole-number length of each beat of a metre, (2, 2, 2, 3); all are 1 where they are the same."""
    return tuple(map(int, metre.split("+"))) if isinstance(metre, str) else (1,) * metre


def beats_in(metre: Metre) -> int:
    """Return the number of beats of a metre."""
    return metre if not isinstance(metre, str) else metre.count("+") + 1


def sorted_metres(metres: Iterable[Metre]) -> list[Metre]:
    """Return metres in lowest terms, sorted by their numbers of beats, and those of as many beats by their lengths."""
    lowest = [metre_of(metre) if isinstance(metre, str) else metre for metre in metres]
    return sorted(lowest, key=lambda metre: (beats_in(metre), str(metre)))


def relative_lengths(metre: Metre) -> Floats:
    """Return the length of each beat of a metre over that of its usual one, the median [shape=(beats,)]."""
    units = np.array(beat_units(metre), np.float64)
    lengths: Floats = units / np.median(units)
    return lengths
