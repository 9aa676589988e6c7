"""Recordings of hours for trackers that need all of a recording at once: analysed in parts that overlap, and joined.

Two parts are joined at a beat that both have, at the same time and position in the bar: the one nearest to the middle
of their overlap. So memory is that of one part. (Networks need less: their decoder works in parts of its own.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.analysis import Analysis, Reading
from levada.beat_tracking.decoder.parts import CONTEXT_S, PART_S
from levada.beat_tracking.tracker import AudioLike, Progress
from levada.errors import collected_warnings, log_again
from levada.io import audio
from levada.io.beats import Beats

__all__ = ["analyse_in_parts", "duration_s"]

SAME_S = 0.02
"""How far the same beat may be from itself in another part."""

Analyse = Callable[[AudioLike, int | None, Beats | None], Analysis]
Seams = npt.NDArray[np.float64]


def duration_s(source: AudioLike, rate: int | None = None) -> float:
    """Return the length of a file, an excerpt or samples, in seconds, without reading the file."""
    if not isinstance(source, str | Path | audio.AudioExcerpt):
        return np.shape(source)[-1] / rate if np.ndim(source) and rate else 0.0
    excerpt = source if isinstance(source, audio.AudioExcerpt) else audio.AudioExcerpt(source)
    return excerpt.duration_s or audio.info(excerpt.path).duration_s - excerpt.start_s


def analyse_in_parts(
    analyse: Analyse, source: AudioLike, rate: int | None, *, hints: Beats | None, progress: Progress | None
) -> Analysis:
    """Analyse a recording in parts of 20 minutes, each with a minute around it.

    Parameters
    ----------
    analyse : callable
        From a part of the recording, its rate and its hints to its analysis.
    source : path-like, AudioExcerpt, or array_like [shape=(channels, samples)] or [shape=(samples,)]
    rate : int, optional
        Of samples, in Hz.
    hints : Beats, optional
    progress : callable, optional
        Called after each part with the seconds done, and of how many.

    Returns
    -------
    Analysis
        The probability of a reading is its mean over the beats; where a part lacks it, its beats are those decoded.
    """
    length_s = duration_s(source, rate)
    middles = np.arange(0.0, length_s, PART_S)
    if len(middles) > 1 and length_s - middles[-1] < CONTEXT_S:
        middles = middles[:-1]
    parts = []
    for middle in middles.tolist():
        start, end = max(0.0, middle - CONTEXT_S), middle + PART_S + CONTEXT_S
        is_last = middle == middles[-1]
        inside = None if hints is None else hints.between(start, math.inf if is_last else end).shift(-start)
        with collected_warnings() as warned:
            analysis = analyse(_cut(source, rate, start, length_s if is_last else end), rate, inside)
        where = f"in the part from {start:.0f} s on: " if start else ""
        log_again((name, level, where + message) for name, level, message in warned)
        parts.append(analysis.shift(start))
        if progress is not None:
            progress(round(length_s if is_last else middle + PART_S), round(length_s))
    return _join(parts, middles)


def _cut(source: AudioLike, rate: int | None, start_s: float, end_s: float) -> AudioLike:
    if isinstance(source, audio.AudioExcerpt):
        return audio.AudioExcerpt(source.path, source.start_s + start_s, source.start_s + end_s)
    if isinstance(source, str | Path):
        return audio.AudioExcerpt(source, start_s, end_s)
    samples, known_rate = audio.samples_of(source, rate)
    return samples[:, round(start_s * known_rate) : round(end_s * known_rate)]


def _join(parts: Sequence[Analysis], middles: npt.NDArray[np.float64]) -> Analysis:
    pairs = zip(parts, parts[1:], middles[1:].tolist(), strict=False)
    seams = np.array([0.0, *(_seam(one.beats, other.beats, middle) for one, other, middle in pairs), np.inf])
    beats = _joined([part.beats for part in parts], seams)
    weights = np.array([len(part.beats) for part in parts], np.float64)
    names = dict.fromkeys(reading.name for part in parts for reading in part.readings)
    readings = []
    for name in names:
        of_parts = [{one.name: one for one in part.readings}.get(name) for part in parts]
        shares = np.array([0.0 if one is None else one.probability for one in of_parts])
        chosen = [part.beats if one is None else one.beats for one, part in zip(of_parts, parts, strict=True)]
        joined = _joined(chosen, seams)
        readings.append(Reading(name, float(weights @ shares / weights.sum()), Beats(joined.times_s, joined.positions)))
    known = np.array([part.probability for part in parts])
    has = np.isfinite(known) & (weights > 0)
    probability = float(weights[has] @ known[has] / weights[has].sum()) if has.any() else math.nan
    readings.sort(key=lambda reading: -reading.probability)
    return Analysis(beats, probability, tuple(readings), _joined_stretches(parts, seams))


def _seam(before: Beats, after: Beats, middle_s: float) -> float:
    """Return the time from which the beats of a later part count: that of a beat that both have, if there is one."""
    one, other = (beats.between(middle_s - CONTEXT_S, middle_s + CONTEXT_S) for beats in (before, after))
    same = (abs(one.times_s[:, None] - other.times_s) < SAME_S) & (one.positions[:, None] == other.positions)
    common = other.times_s[same.any(axis=0)]
    return float(common[abs(common - middle_s).argmin()] - SAME_S) if len(common) else middle_s


def _joined(parts: Sequence[Beats], seams: Seams) -> Beats:
    """Join beats at seams; of two that are nearer than half a beat there, the later one is left out."""
    kept: list[Beats] = []
    for beats, start, end in zip(parts, seams, seams[1:], strict=False):
        inside = beats.between(start, end)
        if kept and len(kept[-1]) and len(inside):
            usual = np.median(beats.intervals_s) if len(beats) > 1 else 0.0
            if inside.times_s[0] - kept[-1].times_s[-1] < usual / 2:
                inside = inside.between(inside.times_s[0] + 1e-9, np.inf)
        kept.append(inside)
    columns = [[one.confidence, one.position_confidence] for one in kept]
    confidences = [
        None if any(column is None for column in same) else np.concatenate([c for c in same if c is not None])
        for same in zip(*columns, strict=True)
    ]
    times, positions = (np.concatenate([getattr(one, name) for one in kept]) for name in ("times_s", "positions"))
    return Beats(times, positions, *confidences)


def _joined_stretches(parts: Sequence[Analysis], seams: Seams) -> tuple[tuple[float, float], ...]:
    """Return stretches without beats, each from the part that counts there, joined where they touch."""
    found: list[tuple[float, float]] = []
    for part, first, last in zip(parts, seams, seams[1:], strict=False):
        for start, end in part.no_pulse:
            start, end = max(start, first), min(end, last)
            if start >= end:
                continue
            if found and start - found[-1][1] < SAME_S:
                start = found.pop()[0]
            found.append((start, end))
    return tuple((float(start), float(end)) for start, end in found)
