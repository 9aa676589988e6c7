"""Hints, beats that are certain, as windows that the decoder must pass through."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.decoder.settings import DecoderSettings
from levada.beat_tracking.decoder.state_space import Windows, beat_lengths
from levada.io.beats import Beats

__all__ = ["hint_windows", "possible_hints", "widen_tempo_range"]

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

TOLERANCE_S = 0.03  # a beat may start so much before or after the hint
SHORTEST_S, LONGEST_S = 0.15, 4.0  # beats that hints may ask for at all: 400 and 15 bpm
MARGIN = 1.02  # room beside a tempo that hints ask for
TOO_SHORT = 0.6  # beats shorter than this part of the usual ones are not taken from numbers
USUAL_FROM = 3  # beats from one numbered hint to the next, to say what is usual
LOOK_BACK = 64  # numbered hints that one may agree with


def possible_hints(hints: Beats, *, frames: int, fps: float, settings: DecoderSettings) -> tuple[Beats, dict[int, str]]:
    """Leave out the hints, or their positions, that no beats can meet, as few as possible.

    Left out are hints after the end of the recording, those too close to the one before, positions higher than any
    metre, and positions that ask for beats much faster than those around them, or than the tempo range: times may widen
    the tempo range, positions may not, as a wrong number would put beats where there are none.

    Parameters
    ----------
    hints : Beats
    frames, fps, settings
        Of the recording, and the decoder's.

    Returns
    -------
    possible : Beats
        Positions that are left out are 0.
    messages : dict of int to str
        Index of a hint -> what of it is left out, and why.
    """
    messages, kept = dict[int, str](), list[int]()
    for i, time_s in enumerate(hints.times_s.tolist()):
        if round(time_s * fps) > (frames - 1 + max(round(TOLERANCE_S * fps), 1) if frames else -1):
            messages[i] = f"{named(hints, i)} is left out: it is after the end of the recording ({frames / fps:.3f} s)"
        elif kept and time_s - hints.times_s[kept[-1]] < SHORTEST_S:
            gap_s = time_s - hints.times_s[kept[-1]]
            messages[i] = (
                f"{named(hints, i)} is left out: it is {gap_s:.3f} s after {named(hints, kept[-1])}, and no two beats "
                f"are so close (at most {60 / SHORTEST_S:g} bpm)"
            )
        else:
            kept.append(i)
    positions = hints.positions.copy()
    for i in np.flatnonzero(positions > max(settings.beats_per_bar)).tolist():
        positions[i] = 0
        metres = ", ".join(map(str, settings.metres))
        messages.setdefault(
            i,
            f"the position of {named(hints, i)}, beat {hints.positions[i]} of its bar, is left out: no metre has so "
            f"many beats (metres are {metres})",
        )
    rest = Beats(hints.times_s[kept], positions[kept])
    for index in _contradictions(rest, settings):
        i = kept[index]
        positions[i] = 0
        messages[i] = (
            f"the position of {named(hints, i)}, beat {hints.positions[i]} of its bar, is left out: there is no time "
            "for the beats that it asks for beside other hints; it is wrong, or a beat is missing or too many"
        )
    return Beats(hints.times_s[kept], positions[kept]), dict(sorted(messages.items()))


def widen_tempo_range(settings: DecoderSettings, hints: Beats) -> DecoderSettings:
    """Widen the tempo range to fit the hints.

    Between two hints lie one or more beats, as many as their positions allow. Where no such number gives a
    tempo in the range, the one that asks for the least widening is taken. Times may widen the range, positions may not:
    a wrong number would put beats where there are none.
    """
    low, high = settings.extreme_lengths
    shortest, longest = 60 / settings.max_tempo_bpm * low, 60 / settings.min_tempo_bpm * high
    for i, gap_s in enumerate(hints.intervals_s):
        beats = _beats_between(hints.positions[i], hints.positions[i + 1], gap_s, settings)
        lengths = gap_s / beats
        lengths = lengths[(lengths >= SHORTEST_S) & (lengths <= LONGEST_S)]
        if not len(lengths):
            continue
        missing = np.maximum(np.log(shortest / lengths), np.log(lengths / longest))
        if missing.min() > 0:
            length = float(lengths[missing.argmin()])
            shortest, longest = min(shortest, length / MARGIN), max(longest, length * MARGIN)
    return replace(
        settings,
        min_tempo_bpm=min(settings.min_tempo_bpm, 60 / longest * high),
        max_tempo_bpm=max(settings.max_tempo_bpm, 60 / shortest * low),
    )


def _contradictions(hints: Beats, settings: DecoderSettings) -> list[int]:
    """List the fewest hints without whose positions there is time for all beats between two numbered hints."""
    numbered = np.flatnonzero(hints.positions).tolist()
    fewest = np.array([_fewest(a, b, settings) for a, b in pairwise(hints.positions.tolist())], dtype=np.int64)
    single = hints.intervals_s[(fewest == 1) & (hints.positions[:-1] > 0) & (hints.positions[1:] > 0)]
    usual = float(np.median(single)) if len(single) >= USUAL_FROM else 0.0
    shortest = max(60 / settings.max_tempo_bpm / MARGIN, TOO_SHORT * usual) * settings.extreme_lengths[0]
    most = np.maximum(1, np.floor(hints.intervals_s / shortest + 1e-9)).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(most)])

    def agree(i: int, j: int) -> bool:
        a, b = (int(hints.positions[k]) for k in (i, j))
        beats = np.arange(
            max(j - i, int(np.ceil((hints.times_s[j] - hints.times_s[i]) / LONGEST_S))), total[j] - total[i] + 1
        )
        return any(((beats - (b - a)) % metre == 0).any() for metre in settings.beats_per_bar if metre >= max(a, b))

    if all(agree(i, j) for i, j in pairwise(numbered)):
        return []
    best, before = [1] * len(numbered), [-1] * len(numbered)
    for end in range(len(numbered)):
        for start in range(max(0, end - LOOK_BACK), end):
            if best[start] >= best[end] and agree(numbered[start], numbered[end]):
                best[end], before[end] = best[start] + 1, start
    at, kept = int(np.argmax(best)), set[int]()
    while at >= 0:
        kept.add(numbered[at])
        at = before[at]
    return [i for i in numbered if i not in kept]


def _fewest(position: int, following: int, settings: DecoderSettings) -> int:
    """How many beats lie between two positions at least."""
    if not position or not following:
        return 1
    metres = [metre for metre in settings.beats_per_bar if metre >= max(position, following)]
    return min(((following - position - 1) % metre + 1 for metre in metres), default=1)


def hint_windows(hints: Beats, *, frames: int, fps: float, settings: DecoderSettings) -> Windows:
    """Find the frames around each hint in which a beat must start; hints are possible ones."""
    shortest = int(beat_lengths(fps=fps, settings=settings)[0])
    tolerance = min(max(round(TOLERANCE_S * fps), 1), (shortest - 1) // 2)  # never as long as two beats
    centre = np.round(hints.times_s * fps).astype(np.int64)
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
    metres = [metre for metre in settings.beats_per_bar if metre >= max(position, following)]
    fits = np.any([(beats - (following - position)) % metre == 0 for metre in metres], axis=0)
    return beats[fits]


def named(hints: Beats, i: int) -> str:
    """Name a hint in a message, by its number and its time."""
    return f"hint {i + 1} at {hints.times_s[i]:.3f} s"
