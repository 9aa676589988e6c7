"""What is wrong with recordings and their beats."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from levada.data.audio_scan import AudioScan, reader_warnings
from levada.data.corpus import Corpus
from levada.data.label_check import check_labels
from levada.data.label_lag import lag_problems
from levada.data.problems import Problem, Severity, others
from levada.data.spans import is_gap, stretches, usual_intervals
from levada.data.tracks import Track
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.tables import count

__all__ = ["BeatScan", "Row", "duplicates", "rows_and_problems", "scan"]

LATE_S = 15.0  # unannotated time at either end that is worth a note
OCTAVES = 0.8  # tempo this far from the corpus' median: half or double the beats, perhaps
LOW_RATE = 32000  # Hz; below it a part of the bands up to 17 kHz is empty
HIGH_RATE = 96000  # Hz


@dataclass(frozen=True)
class Row:
    """One recording in the table."""

    id: str  # of the track
    group: str  # performer, session or instrument set
    duration_s: float  # of the audio; NaN if it cannot be read
    annotated_s: float  # of its annotated spans; 0 without annotation
    beats: int  # how many are annotated
    tempo_bpm: float  # median; NaN without annotation
    metres: dict[int, int]  # beats per bar, and how many bars have them
    format: str  # the annotation's suffix without the dot; empty without annotation


@dataclass
class BeatScan(AudioScan):
    """Properties of the recording of a track."""

    code: int = 0  # checksum of its samples
    cancelled: int = 0  # samples in blocks whose channels cancel each other
    lacks_header: bool = False  # an MP3 without a length header
    label_problems: tuple[Problem, ...] = ()  # what the labels and the recording show together

    @property
    def fingerprint(self) -> tuple[int, ...] | None:
        """Equal for equal samples, whatever the file is called; None for silence."""
        return (self.code, self.samples, self.rate) if self.is_audible else None

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong with it."""
        yield from super().problems()
        if self.error:
            return
        path, cancelled_s = self.path, self.cancelled / self.rate
        if cancelled_s > 1:
            what = f"has channels that cancel each other for {cancelled_s:.0f} s, as if one were inverted"
            yield Problem("warning", f"{what}: the loudest is used", path)
        if self.lacks_header:
            what = "is an MP3 without a length header: beats annotated in another program may be shifted by 25 ms"
            yield Problem("warning", what, path)
        if self.rate < LOW_RATE:
            yield Problem("warning", f"is at {self.rate} Hz: it has nothing above {self.rate / 2000:g} kHz", path)
        elif self.rate > HIGH_RATE:
            what = f"is at {self.rate} Hz: more than tracking uses, it only takes longer to read"
            yield Problem("note", what, path)
        if self.channels > 2:
            yield Problem("note", f"has {self.channels} channels: their mean is tracked", path)


def scan(track: Track) -> BeatScan:
    """Read a recording once."""
    result = _scan_audio(track)
    if track.is_annotated and not result.error:
        result.label_problems = tuple(lag_problems(track))
    return result


def _scan_audio(track: Track) -> BeatScan:
    result = BeatScan(track.audio)
    for block in result.blocks(block_s=1.0):
        result.cancelled += audio.channels_cancel(block) * block.shape[1]
        result.code = zlib.crc32((block[0] * 32767).astype(np.int16).data, result.code)
    if track.audio.suffix.lower() == ".mp3" and not result.error:
        result.lacks_header = audio.lacks_length_header(track.audio)
    return result


def rows_and_problems(corpus: Corpus, scans: Sequence[BeatScan]) -> tuple[list[Row], list[Problem]]:
    """Return a row for each recording, and the problems of recordings and beats."""
    rows, problems = list[Row](), list[Problem]()
    for track, one in zip(corpus.tracks, scans, strict=True):
        row, found = _row(track, one)
        rows.append(row)
        problems += [*one.problems(), *one.label_problems, *found]
    problems += _comparison_problems(corpus.tracks, scans, rows)
    without = [track for track in corpus.tracks if not track.is_annotated]
    if without:
        what = f"is not annotated{others(len(without))}: it can be tracked later"
        problems.append(Problem("note", what, without[0].audio))
    return rows, problems


def duplicates(tracks: Sequence[Track]) -> dict[str, str]:
    """Find recordings with the same samples as an earlier one, whatever their files are called.

    Only recordings of the same length and rate are decoded and compared.

    Parameters
    ----------
    tracks : sequence of Track

    Returns
    -------
    dict of str to str
        From the id of each duplicate to the id of the first recording with these samples. Recordings that cannot be
        read, and silent ones, are no duplicates.
    """
    alike = dict[tuple[float, int], list[Track]]()
    for track in tracks:
        with suppress(InputError):
            info = audio.info(track.audio)
            alike.setdefault((info.duration_s, info.rate), []).append(track)
    first, found = dict[tuple[int, ...], str](), dict[str, str]()
    with reader_warnings():
        for track in (track for same in alike.values() if len(same) > 1 for track in same):
            code = _scan_audio(track).fingerprint
            if code is not None and first.setdefault(code, track.id) != track.id:
                found[track.id] = first[code]
    return found


def _row(track: Track, scan: BeatScan) -> tuple[Row, list[Problem]]:
    kind = track.annotation.suffix.lstrip(".").lower() if track.annotation else "mirdata" if track.load else ""
    beats, problems = Beats([]), list[Problem]()
    if track.is_annotated:
        for reading in (track, *list(track.by_reading().values())[1:]):
            problems += check_labels(reading)
            with suppress(InputError):  # reported by `check_labels`
                problems += _beat_problems(reading, reading.beats(), scan)
        with suppress(InputError):
            beats = track.beats()
    annotated_s = sum(end_s - start_s for start_s, end_s in stretches(beats))
    row = Row(track.id, track.group, scan.duration_s, annotated_s, len(beats), beats.tempo_bpm, beats.metres, kind)
    return row, problems


def _beat_problems(track: Track, beats: Beats, scan: BeatScan) -> Iterator[Problem]:
    path = track.annotation or track.audio
    times, lines = beats.times_s, track.labels.lines

    def problem(severity: Severity, message: str, beat: int | None = None) -> Problem:
        return Problem(severity, message, path, lines[beat] if beat is not None and lines else None)

    if track.alternatives:
        unused = ", ".join(other.name for other in track.alternatives)
        yield problem("note", f"is used; {unused} {'is' if len(track.alternatives) == 1 else 'are'} not")
    if len(beats) < 2:
        return
    late = np.flatnonzero(times > scan.duration_s)
    if len(late):
        what = f"{count(len(late), 'beat')} after the end of the audio ({scan.duration_s:.2f} s)"
        yield problem("error", f"{what}, first at {times[late[0]]:.3f} s", int(late[0]))
    gaps = np.flatnonzero(is_gap(beats.intervals_s))
    if len(gaps):
        at, spans = int(gaps[0]), stretches(beats)
        annotated_s = sum(end_s - start_s for start_s, end_s in spans)
        where = f"first of {beats.intervals_s[at]:.2f} s after {times[at]:.3f} s"
        what = f"{count(len(spans), 'annotated span')}, {annotated_s:.1f} s in all, apart by {count(len(gaps), 'gap')}"
        yield problem("note", f"{what}, {where}: gaps are neither learnt from nor scored", at)
    yield from (problem(severity, what, beat) for severity, what, beat in _bar_problems(beats))
    if np.isfinite(scan.duration_s):
        if times[0] > LATE_S:
            yield problem("note", f"starts at {times[0]:.1f} s: the time before is unknown", 0)
        if scan.duration_s - times[-1] > LATE_S:
            what = f"ends at {times[-1]:.1f} s of {scan.duration_s:.1f} s: the rest is unknown"
            yield problem("note", what, len(times) - 1)


def _bar_problems(beats: Beats) -> Iterator[tuple[Severity, str, int | None]]:
    """Yield what is unusual about positions in the bar: severity, message and the beat at fault."""
    positions, times = beats.positions, beats.times_s
    unknown = np.flatnonzero(positions == 0)
    if len(unknown) == len(beats):
        yield "warning", "has no positions in the bar: downbeats cannot be learnt from it", None
        return
    if not (positions == 1).any():
        yield "warning", "marks no downbeat (position 1)", None
        return
    if len(unknown):
        yield "note", f"{count(len(unknown), 'beat')} without a position in the bar", int(unknown[0])
    before, after = positions[:-1], positions[1:]
    skips = (before > 0) & (after > 0) & (after != before + 1) & (after != 1)
    skips = np.flatnonzero(skips & (beats.intervals_s > 1.5 * usual_intervals(beats.intervals_s)))  # others are errors
    if len(skips):
        at = int(skips[0])
        what = f"positions jump from {before[at]} to {after[at]} at {times[at + 1]:.3f} s"
        yield "warning", what + others(len(skips)), at + 1
    downbeats = np.flatnonzero(positions == 1)
    lengths = np.diff(downbeats)
    for metre, bars in beats.metres.items():
        if metre == 1 or (bars <= 2 and bars < 0.05 * len(lengths)):
            first = int(downbeats[np.flatnonzero(lengths == metre)[0]])
            what = f"{count(bars, 'bar')} of {count(metre, 'beat')} among {len(lengths)} bars"
            yield "warning", f"{what}, first at {times[first]:.3f} s", first


def _comparison_problems(tracks: Sequence[Track], scans: Sequence[BeatScan], rows: Sequence[Row]) -> Iterator[Problem]:
    """Yield problems that only a comparison of recordings shows."""
    first: dict[tuple[int, ...], Track] = {}
    for track, scan in zip(tracks, scans, strict=True):
        if scan.fingerprint is None:
            continue
        twin = first.setdefault(scan.fingerprint, track)
        if twin is not track:
            apart = "" if twin.group == track.group else ", in another group: a split may test on what was trained on"
            yield Problem("error" if apart else "warning", f"is the same audio as {twin.audio}{apart}", track.audio)
    rates = [scan.rate for scan in scans if scan.rate]
    common = max(set(rates), key=rates.count, default=0)
    for track, scan in zip(tracks, scans, strict=True):
        if scan.rate not in (0, common) and LOW_RATE <= scan.rate <= HIGH_RATE:
            yield Problem("note", f"is at {scan.rate} Hz, most others at {common} Hz", track.audio)
    tempi = np.array([row.tempo_bpm for row in rows])
    if np.isfinite(tempi).sum() < 3:
        return
    usual = float(np.nanmedian(tempi))
    for track, tempo in zip(tracks, tempi, strict=True):
        if abs(np.log2(tempo / usual)) > OCTAVES:
            part = "half" if tempo < usual else "double"
            what = f"is at {tempo:.0f} bpm, the median is {usual:.0f}: perhaps {part} the beats are annotated"
            yield Problem("warning", what, track.annotation or track.audio)
