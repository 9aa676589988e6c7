"""Random beat times: tempo, drift, pickup and ending."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from levada.io.beats import Beats

__all__ = ["sample_beats", "tempo_drift"]

Generator = np.random.Generator
SLOWEST_BPM, FASTEST_BPM = 50.0, 215.0


def sample_beats(
    tempo: float, metre: int, piece_s: float, rng: Generator, *, loose: bool = False, first: int | None = None
) -> tuple[Beats, float]:
    """Sample beats of a piece, and its duration; it may begin anywhere in the bar, and end early."""
    tempo = float(np.clip(tempo, SLOWEST_BPM, FASTEST_BPM))
    count = int(piece_s * tempo / 60 * 1.6) + 8
    intervals = 60 / tempo * tempo_drift(count, rng, loose=loose)
    begins = rng.random() < 0.25
    if first is None:
        places = _places(count + 1, metre, 0 if begins else int(rng.integers(metre)), rng)
    else:
        places = (np.arange(count + 1) + first) % metre + 1
    lead_s = float(rng.uniform(0.05, 1.5)) if begins else float(rng.uniform(0, intervals[0]))
    downbeats = np.flatnonzero(places == 1)
    if rng.random() < (0.3 if loose else 0.1):
        last = int(np.searchsorted(lead_s + np.cumsum(intervals), piece_s * rng.uniform(0.6, 0.9)))
        last = int(downbeats[max(1, int(np.searchsorted(downbeats, last)) - 1)])
        slowing = min(last, int(rng.integers(2, 9)))
        intervals[last - slowing : last] *= np.linspace(1, rng.uniform(1, 1.6), slowing)
        times = lead_s + np.concatenate([[0.0], np.cumsum(intervals[:last])])
        rest_s = 1.5 * float(intervals[last - 1]) + float(rng.uniform(0, 2))
        if len(times) > 2 and times[-1] + rest_s <= piece_s:
            return Beats(times, places[: last + 1]), float(times[-1]) + rest_s
    times = lead_s + np.concatenate([[0.0], np.cumsum(intervals)])
    inside = times < piece_s
    inside[:2] = True
    return Beats(times[inside], places[inside]), max(piece_s, float(times[1]) + 0.1)


def _places(count: int, metre: int, first: int, rng: Generator) -> npt.NDArray[np.int64]:
    """Sample positions in the bar, with rare changes of metre and irregular bars."""
    bars: list[int] = [metre] * (count // metre + 2)
    kind, at = rng.random(), int(rng.integers(1, max(2, len(bars) * 3 // 5)))
    if kind < 0.02:
        other = int(rng.choice([beats for beats in (2, 3, 4) if beats != metre]))
        bars[at:] = [other] * (count // 2)
    elif kind < 0.04:
        bars[at] = max(2, metre + int(rng.choice([-2, -1, 1, 2])))
    places = np.concatenate([np.arange(beats) + 1 for beats in bars])
    return np.asarray(places[first : first + count], np.int64)


def tempo_drift(count: int, rng: Generator, *, loose: bool = False) -> npt.NDArray[np.float64]:
    """Sample factors of the inter-beat intervals: constant, random drift, oscillation, ramp, or rubato."""
    steps, slow = np.arange(count), np.zeros(count)
    kind = "rubato" if loose else str(rng.choice(["machine", "hands", "wave", "ramp"], p=[0.3, 0.45, 0.15, 0.1]))
    if kind == "machine":
        return np.ones(count)
    noise = rng.normal(0, 1, count)
    memory, sd = (0.6, rng.uniform(0.01, 0.05)) if loose else (0.95, math.exp(rng.uniform(-6.9, -4.7)))
    for step in range(1, count):
        slow[step] = memory * slow[step - 1] + sd * noise[step]
    if kind in ("wave", "rubato"):
        depth = rng.uniform(0.01, 0.06 if loose else 0.04)
        slow += depth * np.sin(2 * np.pi * (steps / rng.uniform(12, 64) + rng.random()))
    if kind == "ramp":
        slow += rng.normal(0, 0.1) * steps / count
    return np.asarray(np.exp(slow) * (1 + rng.normal(0, 0.003, count)))
