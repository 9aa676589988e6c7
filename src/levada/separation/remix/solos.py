"""Solos and their regular bars: the parts of recordings that can be mixed, and their tempo.

The tempo is that of the annotation, if there is one. A tempo estimated by a tracker may be wrong by octaves (McKinney
and Moelants 2006), so that the metrical level is decided for all solos together.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from levada.data import REST, Corpus, Multitrack, Span
from levada.data.audio_scan import SILENT
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.separation.remix.stretch import detect_onsets, warp
from levada.synth.instrument_names import find_voice, normalise_name, slug

__all__ = [
    "BARE",
    "FEWEST",
    "BeatEstimator",
    "Solo",
    "View",
    "bars_of",
    "beats_of",
    "metrical_levels",
    "solos_of",
    "views_of",
]

Floats = npt.NDArray[np.float64]

BARE = 4  # beats in a unit where bars are not known
LEAST_S = 1.0  # shortest recording that can be tracked
UNEVEN = 0.25  # maximum relative deviation of a beat interval from the mean of its bar
DRIFT = 0.07  # maximum relative change of the length from bar to bar
LATE_S = 0.04  # maximum distance of the first stroke of a bar from the bar line
NEAR_S = 0.09  # tolerance between an annotated and an estimated beat
FEWEST = 12  # tracked beats below which a solo is too short for its tempo to be trusted
TEMPO_BPM, USUAL_BPM = (60.0, 180.0), 100.0  # range of estimated tempi, and the most likely one
SAME = 0.08  # maximum relative difference of tempi that count as equal
MOVED = 0.3  # cost of a correction by an octave; that of a tempo an octave from the usual one is 1
ANNOTATED = 10.0  # weight of an annotated tempo
SMOOTH = 3  # beats on either side for the smoothing of estimated ones, which are at frames 10 ms apart


class BeatEstimator(Protocol):
    """A beat tracker."""

    def track(self, audio: npt.NDArray[np.float32], rate: int, /) -> Beats:
        """Return the beats of a recording in memory."""


@dataclass(frozen=True)
class Solo:
    """One instrument of one recording."""

    id: str
    instrument: str
    song: Multitrack = field(compare=False)  # with this stem alone
    group: str

    @property
    def files(self) -> tuple[Path, ...]:
        """Audio files; their sum is the solo."""
        return self.song.files

    def read(self, start_s: float, end_s: float, *, rate: int, channels: int) -> npt.NDArray[np.float32]:
        """Read a span: float32 [shape=(channels, samples)]."""
        stems, _ = Span(self.song, start_s, end_s).read([self.instrument], rate=rate, channels=channels)
        return np.asarray(stems[0])


@dataclass(frozen=True, eq=False)
class View:
    """The bars of a solo in one metre.

    Parameters
    ----------
    solo : Solo
    metre : int
        Beats in a bar; 0 if unknown.
    beats_s : float [shape=(bars * size + 1,)]
        Consecutive beats from a downbeat to the downbeat after the last bar.
    """

    solo: Solo
    metre: int
    beats_s: Floats

    @property
    def size(self) -> int:
        """Beats in a bar, or in a unit where bars are not known."""
        return self.metre or BARE

    @property
    def bars(self) -> int:
        """Number of bars."""
        return (len(self.beats_s) - 1) // self.size

    @property
    def tempo_bpm(self) -> float:
        """Mean tempo."""
        return float(60 * (len(self.beats_s) - 1) / (self.beats_s[-1] - self.beats_s[0]))

    def play(self, new_s: Floats, first: int, length: int, *, rate: int, channels: int) -> npt.NDArray[np.float32]:
        """Stretch its bars to other beats.

        Parameters
        ----------
        new_s : float [shape=(beats,)]
            Times of the new beats, whole bars.
        first : int
            First bar of the solo; the bars are repeated in a loop.
        length : int
            Samples of the result.
        rate, channels : int

        Returns
        -------
        float32 [shape=(channels, length)]
        """
        size = self.size
        sound = self.solo.read(0.0, float(self.beats_s[-1]) + 0.5, rate=rate, channels=channels)
        struck = detect_onsets(sound, rate) / rate
        old, new, loose = list[float](), list[float](), list[bool]()
        for bar in range((len(new_s) - 1) // size):
            source = (first + bar) % self.bars
            source_s, target_s = (
                times[size * at : size * (at + 1) + 1] for times, at in ((self.beats_s, source), (new_s, bar))
            )
            inside = struck[(struck >= source_s[0] - LATE_S) & (struck < source_s[-1] - LATE_S)]
            at_s = np.interp(inside, source_s, target_s) + np.minimum(0, inside - source_s[0])
            if not len(inside) or inside[0] > source_s[0] + LATE_S:
                old.append(float(source_s[0]))
                new.append(float(target_s[0]))
                loose.append(True)
            old += [float(value) for value in inside]
            new += [float(value) for value in at_s]
            loose += [False] * len(inside)
        kept = [at for at in range(len(new)) if at == 0 or new[at] > max(new[:at])]
        was, becomes = (np.rint(np.array(times)[kept] * rate).astype(np.int64) for times in (old, new))
        return warp(sound, was, becomes, length, rate=rate, loose=np.array(loose, bool)[kept])


def solos_of(corpus: Corpus[Multitrack], *, instruments: Collection[str] | None = None) -> list[Solo]:
    """Return every stem of a corpus as a solo.

    Parameters
    ----------
    corpus : Corpus[Multitrack]
    instruments : collection of str, optional
        Instruments to use, by any name of their voice; all by default.

    Raises
    ------
    InputError
        If an instrument is not in the corpus.
    """
    available = [name for name in corpus.instruments if name != REST]
    wanted = set(available) if instruments is None else set[str]()
    for given in instruments or ():
        voice = find_voice(given, among=available)
        named = {one for one in available if slug(given) == one} or {
            one
            for one in available
            if normalise_name(given) == one or (voice and find_voice(one, among=available) == voice)
        }
        if not named:
            raise InputError(f"has no {given}; its instruments are {', '.join(available) or 'none'}", path=corpus.root)
        wanted |= named
    if len(corpus.tracks) == 1 and corpus.tracks[0].mixture is None:  # a flat folder of files of equal length
        return [_file(path, name) for name, takes in corpus.tracks[0].stems.items() for path in takes if name in wanted]
    return [
        Solo(
            song.id if len(song.stems) == 1 else f"{song.id}/{name}",
            name,
            replace(song, stems={name: takes}, mixture=None, mixture_right=None, has_rest=False),
            song.group or song.id,
        )
        for song in corpus.tracks
        for name, takes in song.stems.items()
        if name in wanted
    ]


def _file(path: Path, instrument: str) -> Solo:
    annotation = path.with_suffix(".beats")
    song = Multitrack(path.stem, {instrument: (path,)}, None, path.stem, annotation if annotation.exists() else None)
    return Solo(path.stem, instrument, song, path.stem)


def beats_of(solo: Solo, tracker: BeatEstimator | None) -> tuple[Beats, bool]:
    """Return the beats of a solo, and whether they are estimated.

    An annotation has precedence; a tracker estimates downbeats where the annotation has none.

    Raises
    ------
    InputError
        If it is silent, too short, cannot be read, or its beats cannot be estimated.
    """
    samples, rate = _read_mono(solo)
    if np.abs(samples).max(initial=0) < SILENT:
        raise InputError(f"{solo.id} is silent")
    if solo.song.annotation is not None:
        beats = solo.song.beats()
        if (beats.positions > 0).any() or tracker is None or len(beats) < BARE:
            return beats, False
        return _with_downbeats(beats, tracker.track(samples, rate)), False
    if tracker is None:
        raise InputError(f"{solo.id} has no beat file, and there is no tracker")
    if samples.shape[1] < LEAST_S * rate:
        raise InputError(
            f"{solo.id} lasts {samples.shape[1] / rate:.2f} s, which is too short for beats to be estimated"
        )
    beats = tracker.track(samples, rate)
    if len(beats) < 2:
        raise InputError(f"no beats were found in {solo.id}; add a beat file")
    return beats, True


def bars_of(solo: Solo, beats: Beats, *, tracked: bool = False) -> View:
    """Find the longest run of regular bars.

    Parameters
    ----------
    solo : Solo
    beats : Beats
    tracked : bool
        Whether beats are estimated, and so jitter by a frame.

    Raises
    ------
    InputError
        If there is no regular bar.
    """
    counted = bool((beats.positions > 0).any())
    metre = beats.metre if counted else 0
    if counted and metre < 2:
        raise InputError(f"{solo.id} has no whole bar: {len(beats)} beats, {len(beats.downbeats_s)} downbeats")
    run = _longest(_bars(beats, metre))
    if run is None:
        raise InputError(f"{solo.id} has no bar that is regular enough to be mixed: {len(beats)} beats")
    return View(solo, metre, _smoothed(run) if tracked else run)


def metrical_levels(
    tempi_bpm: Sequence[float],
    annotated: Sequence[bool],
    *,
    tempo_bpm: tuple[float, float] | None = None,
    tolerance: float = SAME,
) -> list[int]:
    """Compute the correction of the tempo of each solo, in octaves.

    Solos whose tempi differ by octaves alone are brought to one tempo: that of annotated ones, or else the one inside
    the range that moves the fewest of them and is nearest to 100 bpm.

    Parameters
    ----------
    tempi_bpm : sequence of float
        The tempo of each solo.
    annotated : sequence of bool
        Whether it comes from an annotation, which is never corrected.
    tempo_bpm : tuple of float, optional
        Lowest and highest tempo, where these are known; 60 to 180 by default.
    tolerance : float
        How far tempi that are the same may differ, as a share.

    Returns
    -------
    list of int
        Octaves to add: 1 is double the tempo, -1 is half of it.

    Examples
    --------
    >>> metrical_levels([47.5, 190.0, 95.0], [False, False, False])
    [1, -1, 0]
    >>> metrical_levels([66.0, 132.0], [False, True])
    [1, 0]
    """
    octaves = np.log2(np.asarray(tempi_bpm, np.float64))
    near = np.log2(1 + tolerance)
    weights = np.where(annotated, ANNOTATED, MOVED)
    corrections = []
    for octave, is_fixed in zip(octaves, annotated, strict=True):
        apart = octaves - octave
        same = np.abs(apart - np.rint(apart)) <= near
        fixed = octaves[same & np.asarray(annotated, bool)]
        levels = [0] if is_fixed else [0, 1, -1, 2, -2]
        for low, high in (tempo_bpm, TEMPO_BPM) if tempo_bpm is not None else (TEMPO_BPM,):
            inside = [
                level
                for level in levels
                if np.log2(low) - near <= octave + level <= np.log2(high) + near
                or (np.abs(fixed - octave - level) <= near).any()
            ]
            if inside:
                break
        cost = {
            level: float(weights[same] @ np.abs(np.rint(octave + level - octaves[same])))
            + same.sum() * abs(octave + level - np.log2(USUAL_BPM))
            for level in inside or [0]
        }
        corrections.append(min(cost, key=lambda level: cost[level]))
    return corrections


def views_of(bars: View, level: int = 0) -> tuple[View, ...]:
    """Return the bars of a solo at a metrical level, in all metres that the level allows.

    Parameters
    ----------
    bars : View
    level : int
        Octaves by which the tempo is corrected.

    Raises
    ------
    InputError
        If no whole bar is left.
    """
    times, metre = bars.beats_s, bars.metre
    if level == 0:
        return (bars,)
    if level > 0:
        times = np.interp(np.arange(2**level * (len(times) - 1) + 1) / 2**level, np.arange(len(times)), times)
        metres = [metre, 2 * metre]
    else:
        times, metres = times[:: 2**-level], [metre, *([metre // 2] if metre % 2 == 0 and metre >= 4 else [])]
    whole = [(one, (len(times) - 1) // (one or BARE) * (one or BARE)) for one in dict.fromkeys(metres)]
    views = tuple(View(bars.solo, one, times[: count + 1]) for one, count in whole if count)
    if not views:
        raise InputError(f"{bars.solo.id} has no whole bar at {bars.tempo_bpm * 2.0**level:.0f} bpm")
    return views


def _read_mono(solo: Solo) -> tuple[npt.NDArray[np.float32], int]:
    """Read a whole solo, mono."""
    rate = max(audio.info(path).rate for path in solo.files)
    return solo.read(0.0, solo.song.duration_s, rate=rate, channels=1), rate


def _with_downbeats(beats: Beats, estimated: Beats) -> Beats:
    """Return annotated beats with estimated downbeats, if most of these agree."""
    metre = estimated.metre
    if metre < 2:
        return beats
    votes = np.zeros(metre)
    for time_s, position in estimated:
        nearest = int(np.abs(beats.times_s - time_s).argmin())
        if position and abs(beats.times_s[nearest] - time_s) < NEAR_S:
            votes[(position - 1 - nearest) % metre] += 1
    if votes.max() <= votes.sum() / 2:
        return beats
    return Beats(beats.times_s, (np.arange(len(beats)) + int(votes.argmax())) % metre + 1)


def _bars(beats: Beats, metre: int) -> Iterable[Floats | None]:
    """Yield the times of each regular bar and of the downbeat after it; None for an irregular one."""
    size = metre or BARE
    pattern = [*range(1, size + 1), 1] if metre else [0] * (size + 1)
    first = int(np.flatnonzero(beats.positions == 1)[0]) if metre else 0
    at = first
    while at + size < len(beats):
        times = beats.times_s[at : at + size + 1]
        gaps = np.diff(times)
        if beats.positions[at : at + size + 1].tolist() != pattern:
            yield None
            later = np.flatnonzero(beats.positions[at + 1 :] == 1) if metre else np.array([0])
            if not len(later):
                return
            at += 1 + int(later[0])
        elif np.abs(gaps / gaps.mean() - 1).max() > UNEVEN:
            yield None
            at += size if metre else 1
        else:
            yield times
            at += size


def _longest(bars: Iterable[Floats | None]) -> Floats | None:
    """Return the longest run of consecutive bars of about one tempo."""
    rows: list[list[Floats]] = [[]]
    for bar in bars:
        if bar is None:
            rows.append([])
            continue
        last = rows[-1][-1] if rows[-1] else None
        length = bar[-1] - bar[0]
        if last is not None and (last[-1] != bar[0] or abs((last[-1] - last[0]) / length - 1) > DRIFT):
            rows.append([])
        rows[-1].append(bar)
    best = max(rows, key=len)
    return np.concatenate([best[0][:1], *(bar[1:] for bar in best)]) if best else None


def _smoothed(times: Floats) -> Floats:
    """Smooth beats by linear regression over their neighbours."""
    number = np.arange(len(times))
    out = times.copy()
    for at in number:
        near = slice(max(0, at - SMOOTH), at + SMOOTH + 1)
        if len(times[near]) > 2:
            _, start = np.polyfit(number[near] - at, times[near], 1)
            out[at] = start
    return out if all(late > early for early, late in pairwise(out)) else times
