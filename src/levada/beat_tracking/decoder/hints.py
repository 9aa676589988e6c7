"""Hints, beats that are certain, as windows that the decoder must pass through."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder.settings import DecoderSettings
from levada.beat_tracking.decoder.state_space import Windows, beat_lengths
from levada.errors import InputError
from levada.io.beats import Beats

__all__ = ["hint_windows", "widen_tempo_range"]

Floats = npt.NDArray[np.float64]

TOLERANCE_S = 0.03  # a beat may start so much before or after the hint and is then moved onto it
SHORTEST_S, LONGEST_S = 0.15, 4.0  # beats that hints may ask for at all: 400 and 15 bpm
MARGIN = 1.02  # room beside a tempo that hints ask for
TOO_SHORT = 0.6  # beats shorter than this part of the usual ones are not taken from numbers
USUAL_FROM = 3  # beats from one numbered hint to the next, to say what is usual


def widen_tempo_range(settings: DecoderSettings, hints: Beats) -> DecoderSettings:
    """Widen the tempo range to fit the hints.

    Between two hints lie one or more beats, as many as their positions allow. Where no such number gives a
    tempo in the range, the one that asks for the least widening is taken. Times may widen the range, positions may not:
    a wrong number would put beats where there are none.

    Raises
    ------
    InputError
        If two hints are closer than any beats, or a position higher than any metre, or if two positions ask for
        beats for which there is no time.
    """
    high = hints.positions > max(settings.metres)
    if high.any():
        i = int(high.argmax())
        raise InputError(
            f"{_named(hints, i)} is beat {hints.positions[i]} of its bar, but no metre has so many beats: "
            f"metres are {', '.join(map(str, settings.metres))}"
        )
    _refuse_numbers(hints, settings)
    shortest, longest = 60 / settings.max_tempo_bpm, 60 / settings.min_tempo_bpm
    for i, gap_s in enumerate(hints.intervals_s):
        beats = _beats_between(hints.positions[i], hints.positions[i + 1], gap_s, settings)
        lengths = gap_s / beats
        lengths = lengths[(lengths >= SHORTEST_S) & (lengths <= LONGEST_S)]
        if not len(lengths):
            raise InputError(
                f"{_named(hints, i)} and {_named(hints, i + 1)} cannot both be beats: no tempo from "
                f"{60 / LONGEST_S:g} to {60 / SHORTEST_S:g} bpm fits {gap_s:.3f} s between them"
            )
        missing = np.maximum(np.log(shortest / lengths), np.log(lengths / longest))
        if missing.min() > 0:
            length = float(lengths[missing.argmin()])
            shortest, longest = min(shortest, length / MARGIN), max(longest, length * MARGIN)
    return replace(
        settings,
        min_tempo_bpm=min(settings.min_tempo_bpm, 60 / longest),
        max_tempo_bpm=max(settings.max_tempo_bpm, 60 / shortest),
    )


def _refuse_numbers(hints: Beats, settings: DecoderSettings) -> None:
    """Refuse positions that ask for beats much faster than those around them, or than the tempo range."""
    fewest = np.array([_fewest(a, b, settings) for a, b in pairwise(hints.positions.tolist())], dtype=np.int64)
    single = hints.intervals_s[(fewest == 1) & (hints.positions[:-1] > 0) & (hints.positions[1:] > 0)]
    usual = float(np.median(single)) if len(single) >= USUAL_FROM else 0.0
    shortest = max(60 / settings.max_tempo_bpm / MARGIN, TOO_SHORT * usual)
    for i, (gap_s, beats) in enumerate(zip(hints.intervals_s, fewest, strict=True)):
        if beats > 1 and gap_s / beats < shortest:
            raise InputError(
                f"{_named(hints, i)} and {_named(hints, i + 1)} are beats {hints.positions[i]} and "
                f"{hints.positions[i + 1]} of a bar, and {gap_s:.3f} s are too short for the {beats} beats between "
                "them: one of the numbers is wrong, or a beat is missing or too many"
            )


def _fewest(position: int, following: int, settings: DecoderSettings) -> int:
    """How many beats lie between two positions at least."""
    if not position or not following:
        return 1
    metres = [metre for metre in settings.metres if metre >= max(position, following)]
    return min(((following - position - 1) % metre + 1 for metre in metres), default=1)


def hint_windows(hints: Beats, *, frames: int, fps: float, settings: DecoderSettings) -> Windows:
    """Find the frames around each hint in which a beat must start.

    Raises
    ------
    InputError
        If a hint comes after the end of the recording.
    """
    shortest = int(beat_lengths(fps=fps, settings=settings)[0])
    tolerance = min(max(round(TOLERANCE_S * fps), 1), (shortest - 1) // 2)  # never as long as two beats
    centre = np.round(hints.times_s * fps).astype(np.int64)
    late = centre > (frames - 1 + tolerance if frames else -1)
    if late.any():
        raise InputError(
            f"{_named(hints, int(late.argmax()))} comes after the end of the recording ({frames / fps:.3f} s)"
        )
    first, last = centre - tolerance, centre + tolerance
    between = centre[:-1] + centre[1:]
    last[:-1] = np.minimum(last[:-1], (between - 1) // 2)
    first[1:] = np.maximum(first[1:], (between + 1) // 2)
    return Windows(first.clip(0, frames - 1), last.clip(0, frames - 1), hints.positions)


def _beats_between(position: int, following: int, gap_s: float, settings: DecoderSettings) -> npt.NDArray[np.int64]:
    """List the numbers of beats from one hint to the next that their positions allow in some metre."""
    beats = np.arange(1, max(int(gap_s / SHORTEST_S), 1) + 1)
    if not position or not following:
        return beats
    metres = [metre for metre in settings.metres if metre >= max(position, following)]
    fits = np.any([(beats - (following - position)) % metre == 0 for metre in metres], axis=0)
    return beats[fits]


def _named(hints: Beats, i: int) -> str:
    return f"hint {i + 1} at {hints.times_s[i]:.3f} s"
