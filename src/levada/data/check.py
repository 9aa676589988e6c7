"""What is in a corpus, and everything that is wrong with it.

Each recording is read once, in blocks. Problems have three severities: an *error* makes a recording or its
labels unusable or wrong, a *warning* is probably a mistake or costs accuracy, a *note* is good to know. Where
many beats of one file share a problem, it is told once, with how often it occurs and where first.
"""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from levada.data.corpus import Corpus
from levada.data.label_check import check_labels
from levada.data.label_lag import lag_problems
from levada.data.problems import ORDER, Problem, Severity, count, others
from levada.data.spans import is_gap, stretches, usual_intervals
from levada.data.tracks import Track
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats

__all__ = ["Problem", "Report", "Row", "SongRow", "check", "duplicates", "reader_warnings"]

SILENT = 1e-4  # peak of what is taken for silence: -80 dB below full scale
FULL_SCALE = 0.9995  # at or above it a sample may be clipped
CLIPPED = 1e-3  # share of samples at full scale that is audible distortion
LATE_S = 15.0  # unannotated time at either end that is worth a note
OCTAVES = 0.8  # tempo this far from the corpus' median: half or double the beats, perhaps
SHOWN = 5  # files that are not used up to which a note names them
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


@dataclass(frozen=True)
class SongRow:
    """One song in the table."""

    id: str  # of the song
    group: str  # performers, session or instrument set
    duration_s: float  # NaN if it cannot be read
    mixture: bool  # whether there is a recording of it
    instruments: tuple[str, ...]  # names of its stems


@dataclass(frozen=True)
class Report:
    """Properties and problems of a corpus."""

    name: str  # of the corpus
    grouping: str  # the origin of its groups
    rows: tuple[Row | SongRow, ...]  # one for each recording
    problems: tuple[Problem, ...]  # errors first, then warnings and notes

    @property
    def ok(self) -> bool:
        """Whether nothing is an error."""
        return not any(problem.severity == "error" for problem in self.problems)

    @property
    def minutes(self) -> float:
        """Minutes with labels."""
        lengths = [row.annotated_s if isinstance(row, Row) else row.duration_s for row in self.rows]
        return sum(length for length in lengths if math.isfinite(length)) / 60


@dataclass(frozen=True)
class _Sound:
    """What one pass over a recording tells."""

    duration_s: float = float("nan")
    rate: int = 0
    print: tuple[int, ...] | None = None  # equal for equal samples, whatever the file is called
    problems: tuple[Problem, ...] = ()


def check(corpus: Corpus[Any]) -> Report:
    """Read every recording and every annotation of a corpus and say what is wrong.

    Parameters
    ----------
    corpus : Corpus
        The corpus.

    Returns
    -------
    Report
        Problems of the user's files are in the report; none is raised.
    """
    if corpus.labels == "stems":
        from levada.data.stem_check import check_stems, song_rows

        return Report(corpus.name, corpus.grouping, song_rows(corpus), check_stems(corpus))
    with reader_warnings() as said, ThreadPoolExecutor() as pool:
        sounds = list(pool.map(_listen, corpus.tracks))
    problems = [*corpus.notes, *(Problem("warning", message, path) for path, message in dict.fromkeys(said))]
    rows: list[Row] = []
    for track, sound in zip(corpus.tracks, sounds, strict=True):
        row, found = _row(track, sound)
        rows.append(row)
        problems += [*sound.problems, *found]
    problems += _among(corpus.tracks, sounds, rows)
    without = [track for track in corpus.tracks if not track.is_annotated]
    if without:
        what = f"is not annotated{others(len(without))}: to be tracked later"
        problems.append(Problem("note", what, without[0].audio))
    problems.sort(key=lambda problem: (ORDER.index(problem.severity), str(problem.path or ""), problem.line or 0))
    return Report(corpus.name, corpus.grouping, tuple(rows), tuple(problems))


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
            facts = audio.info(track.audio)
            alike.setdefault((facts.duration_s, facts.rate), []).append(track)
    first, found = dict[tuple[int, ...], str](), dict[str, str]()
    with reader_warnings():
        for track in (track for same in alike.values() if len(same) > 1 for track in same):
            code = _listen(track).print
            if code is not None and first.setdefault(code, track.id) != track.id:
                found[track.id] = first[code]
    return found


def _listen(track: Track) -> _Sound:
    """One pass over the samples."""
    path = track.audio
    try:
        facts = audio.info(path)
        peak, full, samples, code, cancelled = 0.0, 0, 0, 0, 0
        for block in audio.read_blocks(path, block_s=1.0):
            size = np.abs(block)
            top = float(size.max())
            peak = max(peak, top)
            if top >= FULL_SCALE:
                full += int(np.count_nonzero(size >= FULL_SCALE))
            samples += block.shape[1]
            cancelled += audio.channels_cancel(block) * block.shape[1]
            code = zlib.crc32((block[0] * 32767).astype(np.int16).data, code)
        lacking = path.suffix.lower() == ".mp3" and audio.lacks_length_header(path)
    except InputError as error:
        return _Sound(problems=(Problem("error", error.problem, path),))
    duration_s = samples / facts.rate
    return _Sound(
        duration_s,
        facts.rate,
        (code, samples, facts.rate) if peak > SILENT else None,
        (
            *_sound_problems(
                path, facts, duration_s, peak, full / max(samples * facts.channels, 1), lacking, cancelled / facts.rate
            ),
            *(lag_problems(track) if track.is_annotated else ()),
        ),
    )


def _sound_problems(
    path: Path,
    facts: audio.AudioInfo,
    duration_s: float,
    peak: float,
    clipped: float,
    lacking: bool,
    cancelled_s: float,
) -> Iterator[Problem]:
    if duration_s < 1:
        samples = round(duration_s * facts.rate)
        yield Problem("error", f"lasts {duration_s:.3g} s ({samples} {'sample' if samples == 1 else 'samples'})", path)
    elif peak <= SILENT:
        yield Problem("error", "is silent", path)
    if cancelled_s > 1:
        what = (
            f"has channels that cancel each other for {cancelled_s:.0f} s, as if one were inverted: the loudest is used"
        )
        yield Problem("warning", what, path)
    if clipped > CLIPPED:
        yield Problem("warning", f"is clipped: {clipped:.1%} of its samples are at full scale", path)
    if lacking:
        what = "is an MP3 without a length header: beats annotated in another program may be shifted by 25 ms"
        yield Problem("warning", what, path)
    if facts.rate < LOW_RATE:
        yield Problem("warning", f"is at {facts.rate} Hz: it has nothing above {facts.rate / 2000:g} kHz", path)
    elif facts.rate > HIGH_RATE:
        yield Problem("note", f"is at {facts.rate} Hz: more than tracking uses, it only takes longer to read", path)
    if facts.channels > 2:
        yield Problem("note", f"has {facts.channels} channels: their mean is tracked", path)


def _row(track: Track, sound: _Sound) -> tuple[Row, list[Problem]]:
    kind = track.annotation.suffix.lstrip(".").lower() if track.annotation else "mirdata" if track.load else ""
    beats, problems = Beats([]), list[Problem]()
    if track.is_annotated:
        problems = check_labels(track)
        try:
            beats = track.beats()
            problems += _beat_problems(track, beats, sound)
        except InputError:
            pass  # `check_labels` says it
    annotated_s = sum(end_s - start_s for start_s, end_s in stretches(beats))
    row = Row(track.id, track.group, sound.duration_s, annotated_s, len(beats), beats.tempo_bpm, beats.metres, kind)
    return row, problems


def _beat_problems(track: Track, beats: Beats, sound: _Sound) -> Iterator[Problem]:
    path = track.annotation or track.audio
    times, lines = beats.times_s, track.labels.lines

    def problem(severity: Severity, message: str, beat: int | None = None) -> Problem:
        return Problem(severity, message, path, lines[beat] if beat is not None and lines else None)

    if track.alternatives:
        unused = ", ".join(other.name for other in track.alternatives)
        yield problem("note", f"is used; {unused} {'is' if len(track.alternatives) == 1 else 'are'} not")
    if len(beats) < 2:
        return
    late = np.flatnonzero(times > sound.duration_s)
    if len(late):
        what = f"{count(len(late), 'beat')} after the end of the audio ({sound.duration_s:.2f} s)"
        yield problem("error", f"{what}, first at {times[late[0]]:.3f} s", int(late[0]))
    gaps = np.flatnonzero(is_gap(beats.intervals_s))
    if len(gaps):
        at, spans = int(gaps[0]), stretches(beats)
        annotated_s = sum(end_s - start_s for start_s, end_s in spans)
        where = f"first of {beats.intervals_s[at]:.2f} s after {times[at]:.3f} s"
        what = f"{count(len(spans), 'annotated span')}, {annotated_s:.1f} s in all, apart by {count(len(gaps), 'gap')}"
        yield problem("note", f"{what}, {where}: nothing is learnt from gaps, and nothing is scored there", at)
    yield from (problem(severity, what, beat) for severity, what, beat in _bar_problems(beats))
    if np.isfinite(sound.duration_s):
        if times[0] > LATE_S:
            yield problem("note", f"starts at {times[0]:.1f} s: the time before is taken for unknown", 0)
        if sound.duration_s - times[-1] > LATE_S:
            what = f"ends at {times[-1]:.1f} s of {sound.duration_s:.1f} s: the rest is taken for unknown"
            yield problem("note", what, len(times) - 1)


def _bar_problems(beats: Beats) -> Iterator[tuple[Severity, str, int | None]]:
    """Say what is unusual about positions in the bar: severity, message and the beat at fault."""
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


def _among(tracks: Sequence[Track], sounds: Sequence[_Sound], rows: Sequence[Row]) -> Iterator[Problem]:
    """Say what only shows when tracks are compared."""
    first: dict[tuple[int, ...], Track] = {}
    for track, sound in zip(tracks, sounds, strict=True):
        if sound.print is None:
            continue
        twin = first.setdefault(sound.print, track)
        if twin is not track:
            apart = "" if twin.group == track.group else ", in another group: a split may test on what was trained on"
            yield Problem("error" if apart else "warning", f"is the same audio as {twin.audio}{apart}", track.audio)
    rates = [sound.rate for sound in sounds if sound.rate]
    common = max(set(rates), key=rates.count, default=0)
    for track, sound in zip(tracks, sounds, strict=True):
        if sound.rate not in (0, common) and LOW_RATE <= sound.rate <= HIGH_RATE:
            yield Problem("note", f"is at {sound.rate} Hz, most others at {common} Hz", track.audio)
    tempi = np.array([row.tempo_bpm for row in rows])
    if np.isfinite(tempi).sum() < 3:
        return
    usual = float(np.nanmedian(tempi))
    for track, tempo in zip(tracks, tempi, strict=True):
        if abs(np.log2(tempo / usual)) > OCTAVES:
            part = "half" if tempo < usual else "double"
            what = f"is at {tempo:.0f} bpm, the median is {usual:.0f}: perhaps {part} the beats are annotated"
            yield Problem("warning", what, track.annotation or track.audio)


@contextmanager
def reader_warnings() -> Iterator[list[tuple[Path, str]]]:
    """Collect what the readers of audio warn of (truncated, damaged, not finite) instead of logging it."""
    said: list[tuple[Path, str]] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            path = record.args[0] if isinstance(record.args, tuple) and record.args else ""
            one = Path(str(path)), record.getMessage().removeprefix(f"{path}: ")
            if one not in said:
                said.append(one)

    logger, listener = logging.getLogger("levada"), Listener(logging.WARNING)
    handlers, propagate = logger.handlers, logger.propagate
    logger.handlers, logger.propagate = [listener], False
    try:
        yield said
    finally:
        logger.handlers, logger.propagate = handlers, propagate
