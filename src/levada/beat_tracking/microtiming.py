"""Microtiming: how early or late the onsets of each tatum are, against the grid of the beats.

The grid divides each interval between beats into equal tatums. Every onset belongs to the nearest one, and the
strongest of those at the same tatum counts. What is folded by the position in the bar shows the timing of a music; what
stays in order shows how it changes along a piece.

Errors have three sources: of the onset (`levada.beat_tracking.onsets`), of the beats, and few bars. Intervals hold
for bars, and also for the tracker where beats were sampled from its posterior. A constant error of the beats moves
all positions alike, so that differences between positions do not depend on it.

After J. Bilmes, "Techniques to foster drum machine expressivity", ICMC 1993, and the package carat (M. Rocamora and
L. Jure).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.onsets import (
    FRACTION,
    HOP_S,
    Onsets,
    finite_samples,
    levels,
    onsets_of_levels,
    rises_at,
)
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats, nearest
from levada.learning.statistics import MIN_GROUPS, mean_interval

__all__ = [
    *("Microtiming", "PlaceTiming", "check_grid", "estimate_tatums", "measure_microtiming", "measure_stems"),
    "tatum_grid",
]

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]

SUBDIVISIONS = (1, 2, 3, 4, 6, 8)  # tatums a beat that are tried
MOST_TATUMS = 12
SCATTER = 0.045  # standard deviation of onsets around equal tatums, in beats, for the estimate of the subdivision
STRAY = 0.05  # fraction of onsets that it expects anywhere

# Onsets in two stems that are one, and stems that are withheld; chosen on separated stems of twelve traditions.
SAME_WAVE = 0.3  # least correlation of the waveforms
WAVE_S, BEFORE_ATTACK_S, LAG_S = 0.025, 0.002, 0.003  # length that is compared, its part before the onset, largest lag
CLEAN = 0.02  # fraction of onsets left out up to which stems are clean
BLEED_FRACTION = 0.2  # of the attack, at which the onsets of other stems are
MOST_BLEED = 1 / 3  # fraction of a stem's onsets that may be left out
LEAST_ONSETS = 8

TINY = 1e-12
SAME_LENGTH_S = 0.05
PAUSE = 1.9  # an interval between beats that is longer than so many usual ones has no tatums
END_S = 0.5  # a last beat may be so long after the end of a recording


@dataclass(frozen=True)
class PlaceTiming:
    """Timing of the onsets at one position of the bar.

    Parameters
    ----------
    beat : int
        Position of the beat in the bar, from 1; 0 where it is unknown.
    tatum : int
        Of the beat, from 1, which is the beat itself.
    n : int
        Number of onsets.
    mean_s, low_s, high_s : float
        Mean deviation from the grid, late is positive, and its 95 % interval, in seconds; NaN with fewer than three.
    sd_s, median_s : float
        Standard deviation and median of the onsets, in seconds.
    mean_beats : float
        Mean deviation in fractions of a beat.
    """

    beat: int
    tatum: int
    n: int
    mean_s: float
    low_s: float
    high_s: float
    sd_s: float
    median_s: float
    mean_beats: float

    def to_json(self) -> dict[str, Any]:
        """Return the timing as JSON values, in ms and in beats; NaN stays."""
        times_s = {
            "mean": self.mean_s,
            "low": self.low_s,
            "high": self.high_s,
            "sd": self.sd_s,
            "median": self.median_s,
        }
        in_ms = {f"{name}_ms": round(1000 * value, 2) for name, value in times_s.items()}
        return {"beat": self.beat, "tatum": self.tatum, "n": self.n, **in_ms, "mean_beats": round(self.mean_beats, 4)}


@dataclass(frozen=True, eq=False)
class Microtiming:
    """Onsets of a recording, or of a stem, against the grid of its beats.

    Parameters
    ----------
    times_s, strengths : float64 [shape=(n,)]
        Time of each onset, in seconds, and its strength; the strongest of the recording has 1.
    bars : int64 [shape=(n,)]
        Bar of its tatum, from 1; 0 is before the first downbeat.
    beats, tatums : int64 [shape=(n,)]
        Position of its beat in the bar, 0 if unknown, and its tatum in the beat, from 1.
    deviations_s : float64 [shape=(n,)]
        Time after the tatum, in seconds; early is negative.
    intervals_s : float64 [shape=(n,)]
        Length of its beat, in seconds.
    tatums_per_beat : int
    sampled_s : float64 [shape=(samples, n)]
        Deviations from the nearest tatum of each sampled reading; NaN beyond its beats.
    withheld : str
        Why the timing of a stem is not to be trusted; empty if it is.
    set_aside : int
        Onsets of a stem that were left out, as those of other stems are stronger at the same time.
    """

    times_s: Floats
    strengths: Floats
    bars: Ints
    beats: Ints
    tatums: Ints
    deviations_s: Floats
    intervals_s: Floats
    tatums_per_beat: int
    sampled_s: Floats
    withheld: str = ""
    set_aside: int = 0

    def __len__(self) -> int:
        return len(self.times_s)

    def places(self) -> tuple[PlaceTiming, ...]:
        """Return the timing at each position of the bar that has onsets, in their order.

        The interval of a mean is that over bars; where readings were sampled, the spread of the means over these is
        added to it in quadrature.
        """
        keys = sorted(set(zip(self.beats.tolist(), self.tatums.tolist(), strict=True)))
        return tuple(self._place(beat, tatum) for beat, tatum in keys)

    def rows(self) -> list[dict[str, Any]]:
        """Return a row for each onset: time, bar, beat, tatum, deviation in ms and in beats, and strength."""
        places = (self.bars, self.beats, self.tatums)
        columns = (self.times_s, *places, self.deviations_s, self.intervals_s, self.strengths)
        return [
            {
                "time_s": round(time_s, 4), "bar": bar, "beat": beat, "tatum": tatum,
                "deviation_ms": round(1000 * deviation_s, 2), "deviation_beats": round(deviation_s / interval_s, 4),
                "strength": round(strength, 4),
            }
            for time_s, bar, beat, tatum, deviation_s, interval_s, strength in zip(
                *(column.tolist() for column in columns), strict=True
            )
        ]  # fmt: skip

    def to_json(self) -> dict[str, Any]:
        """Return the timing of each position as JSON values, in ms and in beats; NaN stays."""
        return {
            "onsets": len(self),
            "tatums_per_beat": self.tatums_per_beat,
            "withheld": self.withheld or None,
            "set_aside": self.set_aside,
            "positions": [place.to_json() for place in self.places()],
        }

    def _place(self, beat: int, tatum: int) -> PlaceTiming:
        here = (self.beats == beat) & (self.tatums == tatum)
        values = self.deviations_s[here]
        interval = mean_interval(values)
        low_s, high_s = (interval.low, interval.high) if len(values) >= MIN_GROUPS else (np.nan, np.nan)
        sampled = self.sampled_s[:, here]
        sampled = sampled[np.isfinite(sampled).any(axis=1)]
        if len(sampled):
            means = np.nanmean(sampled, axis=1)
            ends = np.quantile(means, [0.025, 0.975]) - np.median(means)
            low_s = interval.mean - float(np.hypot(interval.mean - low_s, ends[0]))
            high_s = interval.mean + float(np.hypot(high_s - interval.mean, ends[1]))
        deviation = float(values.std(ddof=1)) if len(values) > 1 else float("nan")
        in_beats = float((values / self.intervals_s[here]).mean())
        return PlaceTiming(
            beat, tatum, len(values), interval.mean, low_s, high_s, deviation, float(np.median(values)), in_beats
        )


def measure_microtiming(
    source: str | Path | audio.AudioExcerpt | npt.ArrayLike,
    beats: Beats,
    *,
    rate: int | None = None,
    tatums: int | None = None,
    samples: Sequence[Beats] = (),
) -> Microtiming:
    """Measure how early or late the onsets of a recording are against the grid of its beats.

    Parameters
    ----------
    source : path-like, AudioExcerpt, or array_like [shape=(channels, samples)] or [shape=(samples,)]
        A recording, best of one instrument: of a mixture an onset is that of whoever is first.
    beats : Beats
        Beats of the recording, with their positions in the bar if these are known.
    rate : int, optional
        Sampling rate of the samples, in Hz.
    tatums : int, optional
        Tatums of each beat; estimated from the onsets by default.
    samples : sequence of Beats, optional
        Readings sampled from the posterior of a tracker (`BeatTracker.sample`), whose spread widens the intervals.

    Returns
    -------
    Microtiming

    Raises
    ------
    InputError
        If there are fewer than two beats, one is after the end of the recording, the recording cannot be read or has no
        onset between its beats, or the number of tatums is out of range.

    Examples
    --------
    >>> import levada
    >>> samba = levada.render("samba-enredo", duration_s=20, seed=1)
    >>> timing = measure_microtiming(samba.stems["tamborim"], samba.beats, rate=samba.rate)
    >>> timing.tatums_per_beat
    4
    """
    level = levels(source, rate)
    check_grid(beats, len(level) * HOP_S, tatums, path=_path(source))
    timing = _against_grid(onsets_of_levels(level), beats, tatums, samples)
    if not len(timing):
        raise InputError("has no onset between its beats: is it silent there?", path=_path(source))
    return timing


def measure_stems(
    stems: Mapping[str, str | Path | npt.ArrayLike],
    beats: Beats,
    *,
    rate: int | None = None,
    tatums: int | None = None,
    samples: Sequence[Beats] = (),
) -> dict[str, Microtiming]:
    """Measure the microtiming of each stem of a recording, where its onsets are its own.

    In a stem that was separated many onsets are what is left of other instruments. An onset is left out where another
    stem rises more and has the same waveform around it (a correlation of .3 or more within 3 ms); a stem is withheld
    where more than a third of its onsets are left out, or fewer than eight remain. Separation also spreads attacks to
    before their time, so that onsets are at a fifth of the attack where more than 2 % are left out, and at a twentieth
    otherwise.

    Parameters
    ----------
    stems : mapping of str to path-like or array_like
        All stems of the recording: files, or samples, of one rate.
    beats, rate, tatums, samples
        As in `measure_microtiming`; the number of tatums is estimated from all stems together.

    Returns
    -------
    dict of str to Microtiming
        Those that are withheld have a reason.

    Raises
    ------
    InputError
        If there are fewer than two stems, their rates differ or their lengths by more than 50 ms, or as of
        `measure_microtiming`.
    """
    if len(stems) < 2:
        raise InputError(f"onsets of {len(stems)} stems cannot be compared with those of others: give all stems")
    signals = {name: finite_samples(stem, rate) for name, stem in stems.items()}
    rates = {name: one for name, (_, one) in signals.items()}
    if len(set(rates.values())) > 1:
        raise InputError(f"stems of one recording have one sampling rate, not {', '.join(map(str, rates.values()))} Hz")
    one_rate = next(iter(rates.values()))
    lengths = sorted((sound.shape[-1] / one_rate, name) for name, (sound, _) in signals.items())
    (shortest_s, short), (longest_s, long) = lengths[0], lengths[-1]
    if longest_s - shortest_s > SAME_LENGTH_S:
        raise InputError(
            f"{short} lasts {shortest_s:.2f} s and {long} {longest_s:.2f} s: stems of one recording are equally long"
        )
    check_grid(beats, shortest_s, tatums)
    sounds = {name: audio.to_mono(sound[..., : round(shortest_s * one_rate)]) for name, (sound, _) in signals.items()}
    level = {name: levels(sound, one_rate) for name, sound in sounds.items()}
    for fraction in (FRACTION, BLEED_FRACTION):
        onsets = {name: onsets_of_levels(values, fraction=fraction) for name, values in level.items()}
        kept = {name: _own_onsets(found, name, level, sounds, one_rate) for name, found in onsets.items()}
        if sum(map(len, kept.values())) >= (1 - CLEAN) * sum(map(len, onsets.values())):
            break
    all_onsets = onsets_of_levels(np.sum(list(level.values()), axis=0))
    count = tatums or estimate_tatums(all_onsets.times_s, beats)
    timings = {}
    for name, found in kept.items():
        timing, total = _against_grid(found, beats, count, samples), len(onsets[name])
        others = total - len(found)
        withheld = ""
        if others > MOST_BLEED * total:
            withheld = f"{others} of its {total} onsets seem to be those of other stems, which are stronger there"
        elif len(timing) < LEAST_ONSETS:
            withheld = f"it has {len(timing)} onsets of its own, and {LEAST_ONSETS} are the least"
        timings[name] = replace(timing, withheld=withheld, set_aside=others)
    return timings


def _own_onsets(
    onsets: Onsets, name: str, level: Mapping[str, Floats], sounds: Mapping[str, Floats32], rate: int
) -> Onsets:
    """Return the onsets of a stem that are not those of a stronger stem with the same waveform."""
    rise = rises_at(level[name], onsets.times_s)
    keep = np.ones(len(onsets), np.bool_)
    for other, sound in sounds.items():
        if other == name:
            continue
        stronger = np.flatnonzero(keep & (rises_at(level[other], onsets.times_s) >= rise))
        if len(stronger):
            keep[stronger] = _correlations(sounds[name], sound, onsets.times_s[stronger], rate) < SAME_WAVE
    return Onsets(onsets.times_s[keep], onsets.strengths[keep])


def _correlations(one: Floats32, other: Floats32, times_s: Floats, rate: int) -> Floats:
    """Return the largest correlation of the differences of two signals around each time, at lags of up to 3 ms."""
    size, lags = round(WAVE_S * rate), round(LAG_S * rate)
    starts = np.rint((times_s - BEFORE_ATTACK_S) * rate).astype(np.int64).clip(0)
    spectra = []
    for sound in (one, other):
        padded = np.pad(np.diff(sound.astype(np.float64)), (0, size + 1))
        pieces = np.lib.stride_tricks.sliding_window_view(padded, size)[starts.clip(0, len(padded) - size)]
        norm = np.sqrt((pieces**2).sum(axis=1, keepdims=True))
        spectra.append(np.fft.rfft(pieces / np.maximum(norm, TINY), 2 * size))
    correlation = np.abs(np.fft.irfft(spectra[0] * spectra[1].conj(), 2 * size))
    return np.asarray(np.maximum(correlation[:, : lags + 1].max(axis=1), correlation[:, -lags:].max(axis=1)))


def estimate_tatums(times_s: npt.ArrayLike, beats: Beats) -> int:
    """Estimate into how many tatums the beats are divided.

    It is the number under which the onsets are likeliest, where each of the tatums is as likely as the others, has one
    onset at most, and onsets scatter around them by 4.5 % of a beat.

    Parameters
    ----------
    times_s : array_like [shape=(n,)]
        Times of onsets, in seconds.
    beats : Beats

    Returns
    -------
    int
        One of `SUBDIVISIONS`; 1 without onsets.
    """
    places = np.interp(np.asarray(times_s, np.float64), beats.times_s, np.arange(len(beats)), left=np.nan, right=np.nan)
    places = places[np.isfinite(places)]
    if not len(places):
        return 1
    likelihoods = []
    for count in SUBDIVISIONS:
        tatum = np.rint(places * count)
        away = np.abs(places - tatum / count)
        density = np.exp(-0.5 * (away / SCATTER) ** 2) / (count * SCATTER * np.sqrt(2 * np.pi))
        density[~_first_of_each(tatum, away)] = 0
        likelihoods.append(float(np.log(STRAY + (1 - STRAY) * density).mean()))
    return SUBDIVISIONS[int(np.argmax(likelihoods))]


def tatum_grid(beats: Beats, tatums: int) -> Floats:
    """Divide each interval between beats into equal tatums.

    Parameters
    ----------
    beats : Beats
    tatums : int
        Of each beat.

    Returns
    -------
    float64 [shape=((beats - 1) * tatums + 1,)]
        Their times, in seconds; the last is the last beat.
    """
    steps = np.arange((len(beats) - 1) * tatums + 1) / tatums
    return np.asarray(np.interp(steps, np.arange(len(beats)), beats.times_s))


def _against_grid(onsets: Onsets, beats: Beats, tatums: int | None, samples: Sequence[Beats]) -> Microtiming:
    """Assign onsets to the tatums of a grid."""
    count = tatums or estimate_tatums(onsets.times_s, beats)
    grid = tatum_grid(beats, count)
    tatum = nearest(onsets.times_s, grid)
    deviation_s = onsets.times_s - grid[tatum]
    usual = beats.intervals_s <= PAUSE * np.median(beats.intervals_s)
    step_s = np.where(np.repeat(usual, count), np.diff(grid), np.nan)  # no tatums in pauses
    before_s, after_s = np.append(np.nan, step_s), np.append(step_s, np.nan)
    before_s, after_s = np.where(np.isnan([before_s, after_s]), [after_s, before_s], [before_s, after_s])
    kept = (deviation_s <= after_s[tatum] / 2) & (deviation_s >= -before_s[tatum] / 2)
    kept[kept] = _first_of_each(tatum[kept], -onsets.strengths[kept])
    tatum, deviation_s = tatum[kept], deviation_s[kept]
    at = tatum // count
    sampled = [_deviations(onsets.times_s[kept], reading, count) for reading in samples]
    bars = np.cumsum(beats.positions == 1)
    return Microtiming(
        onsets.times_s[kept], onsets.strengths[kept], bars[at] if bars[-1] else at + 1, beats.positions[at],
        tatum % count + 1, deviation_s, count * after_s[tatum], count,
        np.array(sampled).reshape(len(sampled), len(at)),
    )  # fmt: skip


def _deviations(times_s: Floats, reading: Beats, tatums: int) -> Floats:
    """Return the time after the nearest tatum of a sampled reading; NaN beyond its beats."""
    if len(reading) < 2:
        return np.full(len(times_s), np.nan)
    grid = tatum_grid(reading, tatums)
    deviation_s = times_s - grid[nearest(times_s, grid)]
    beyond = np.abs(deviation_s) > np.diff(grid).max()
    return np.where(beyond, np.nan, deviation_s)


def check_grid(beats: Beats, duration_s: float, tatums: int | None, *, path: str | Path | None = None) -> None:
    """Refuse a grid that is none, or one of another recording.

    Parameters
    ----------
    beats : Beats
    duration_s : float
        Length of the recording, in seconds.
    tatums : int, optional
    path : path-like, optional
        The recording, for the message.

    Raises
    ------
    InputError
        As of `measure_microtiming`.
    """
    if tatums is not None and not 1 <= tatums <= MOST_TATUMS:
        raise InputError(f"a beat has 1 to {MOST_TATUMS} tatums, not {tatums}")
    if len(beats) < 2:
        raise InputError(f"there is no grid: a beat file with two beats or more is needed, not {len(beats)}", path=path)
    if beats.times_s[-1] > duration_s + END_S:
        last = f"the last beat is at {beats.times_s[-1]:.2f} s"
        raise InputError(f"ends at {duration_s:.2f} s, but {last}: these are beats of another recording", path=path)


def _first_of_each(keys: npt.NDArray[Any], order: Floats) -> npt.NDArray[np.bool_]:
    """Whether each value is the first of those with its key, in an order."""
    sorted_ = np.lexsort((order, keys))
    first = np.zeros(len(keys), np.bool_)
    first[sorted_[np.append(True, np.diff(keys[sorted_]) != 0)[: len(keys)]]] = True
    return first


def _path(source: object) -> str | Path | None:
    if isinstance(source, audio.AudioExcerpt):
        return source.path
    return source if isinstance(source, str | Path) else None
