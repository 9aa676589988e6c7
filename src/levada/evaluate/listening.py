"""One song, taken apart by everybody: what a process does, and the rows that come of it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from levada import audio
from levada.corpus import Multitrack, StemSpan
from levada.errors import InputError
from levada.evaluate.matching import match
from levada.scores import STEM_SCORES, StemScores

__all__ = ["MIXTURE", "ORACLE", "HeldOut", "Job", "Separating", "StemRow", "free", "score", "spans_of"]

Floats32 = npt.NDArray[np.float32]
Stretch = tuple[float, float]

MIXTURE, ORACLE = "mixture", "oracle"
"""What every table shows, and what it shows if asked: doing nothing, and the best that masks can do."""

WINDOW_S = 120.0  # the most that is taken apart at once
MARGIN_S = 5.0  # that is heard, and not scored, before and after a window
SHORTEST_S = 0.5  # of a stretch between others that were trained on, to be scored

_log = logging.getLogger(__name__)


class Separating(Protocol):
    """Anything that takes mixtures apart.

    What it was trained on it may tell by ``trained_on``, which has stretches ``(start_s, end_s)`` for content hashes
    of audio files.
    """

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of its stems."""
        ...

    def stems(self, samples: Floats32, rate: int) -> Mapping[str, Floats32]:
        """Take a mixture apart."""
        ...


@dataclass(frozen=True)
class HeldOut:
    """A separator for each group of songs, learnt from other groups."""

    by_group: Mapping[str, Separating]  # group, or id of a song without one -> the separator that has not heard it
    about: str = ""  # what each was trained on, in a few words

    def of(self, song: Multitrack) -> Separating:
        """Give the one that has not heard a song."""
        try:
            return self.by_group[song.group or song.id]
        except KeyError:
            raise InputError(f"no model was trained without the group of {song.id}") from None


@dataclass(frozen=True)
class StemRow:
    """One stem of one song, separated by one model."""

    song: str  # id of the song in its corpus
    group: str  # performers, session or instrument set
    model: str  # name of the separator
    instrument: str = ""  # what should be in the stem, several joined by "+"; empty where nothing could be scored
    scores: Mapping[str, float] = field(default_factory=dict)  # as of `scores.stem_scores`; empty after an error
    shares: Mapping[str, float] = field(default_factory=dict)  # of each instrument, in this stem: `scores.leakage`
    duration_s: float = math.nan  # how much was scored, in seconds
    cpu_s: float = math.nan  # processor time of all stems of the song, in seconds
    trained_on: bool = False  # whether the separator was trained on what it is scored on
    error: str = ""  # why there are no scores

    def flat(self) -> dict[str, object]:
        """Give the row as one flat table row, without the shares."""
        scores = {name: self.scores.get(name, math.nan) for name in STEM_SCORES}
        first = {name: getattr(self, name) for name in ("song", "group", "model", "instrument")}
        last = ("duration_s", "cpu_s", "trained_on", "error")
        return first | scores | {name: getattr(self, name) for name in last}


@dataclass(frozen=True)
class Job:
    """What a process needs to score everybody on one song."""

    song: Multitrack
    instruments: tuple[str, ...]  # what may play in it; those without a stem are silent
    separators: Mapping[str, Separating | None]
    stretches: tuple[Stretch, ...]  # what is scored, in seconds
    trained: frozenset[str]  # names of those that were trained on some of it
    problem: str = ""  # why nothing can be scored

    def failed(self, error: str) -> list[StemRow]:
        """Give a row with the error for everybody."""
        return [self._row(name, error=error) for name in self.separators]

    def _row(self, model: str, **said: Any) -> StemRow:
        return StemRow(self.song.id, self.song.group, model, trained_on=model in self.trained, **said)


class _Held:
    """What one model has done on a song so far."""

    def __init__(self, job: Job, model: str, stems: Sequence[str]) -> None:
        self.pairs = match(job.instruments, stems)
        self.scores = StemScores([pair.label for pair in self.pairs])
        self.model, self.cpu_s, self.error = model, 0.0, ""
        if not any(pair.stems and pair.instruments for pair in self.pairs):
            said = f"knows none of the instruments: it tells apart {', '.join(stems)}, and these are"
            self.error = f"{said} {', '.join(job.instruments)}"

    def add(self, played: Mapping[str, Floats32], heard: Mapping[str, Floats32], mixture: Floats32, at: slice) -> None:
        """Take what was heard in a window, and of it what is inside the margins."""
        whole = mixture[:, at]
        self.scores.add(
            {pair.label: _sum(played, pair.instruments, whole, at) for pair in self.pairs},
            {pair.label: _sum(heard, pair.stems, whole, at) for pair in self.pairs},
            whole,
        )

    def rows(self, job: Job) -> list[StemRow]:
        if self.error:
            return [job._row(self.model, error=self.error, cpu_s=self.cpu_s)]
        duration_s = sum(end - start for start, end in job.stretches)
        scores, shares = self.scores.scores(), self.scores.leakage()
        played = [index for index, pair in enumerate(self.pairs) if pair.instruments]
        return [
            job._row(
                self.model,
                instrument=pair.label,
                scores=scores[pair.label],
                shares={self.pairs[index].label: float(row[index]) for index in played},
                duration_s=duration_s,
                cpu_s=self.cpu_s,
            )
            for pair, row in zip(self.pairs, shares, strict=True)
            if pair.stems
        ]


def score(job: Job, *, oracle: bool = False) -> list[StemRow]:
    """Score everybody on one song, window by window.

    Parameters
    ----------
    job : Job
    oracle : bool
        Whether the ideal ratio masks are among them.

    Returns
    -------
    list of StemRow
        For each separator, then the mixture, then the oracle, a row for each stem; one with the error where one failed.
    """
    if job.problem:
        return job.failed(job.problem)
    held = {name: _Held(job, name, one.instruments) for name, one in job.separators.items() if one is not None}
    held[MIXTURE] = _Held(job, MIXTURE, job.instruments)
    if oracle:
        held[ORACLE] = _Held(job, ORACLE, job.song.instruments)
    try:
        rate = max(audio.info(path).rate for path in ([job.song.mixture] if job.song.mixture else job.song.files))
        for played, mixture, at in _windows(job, rate):
            for name, mine in held.items():
                if not mine.error:
                    _listen(job, name, mine, played, mixture, rate, at)
    except (InputError, OSError) as error:
        return job.failed(str(error))
    return [row for mine in held.values() for row in mine.rows(job)]


def spans_of(song: Multitrack, separator: Separating) -> list[Stretch]:
    """Stretches of a song that a separator was trained on.

    Parameters
    ----------
    song : Multitrack
    separator : Separator
        It may know the song, its mixture or any of its stems by their content.

    Returns
    -------
    list of tuple of float
        Start and end in seconds; without ends where it does not tell.
    """
    known: Mapping[str, Sequence[Stretch]] = getattr(separator, "trained_on", {})
    if not known:
        return []
    hashes = [song.content_hash, *song.stem_hashes]
    hashes += [audio.content_hash(song.mixture)] if song.mixture is not None else []
    found = {(float(start), float(end)) for one in hashes if one in known for start, end in known[one]}
    if any(one in known for one in song.sources) or (not found and any(one in known for one in hashes)):
        return [(-math.inf, math.inf)]
    return sorted(found)


def free(duration_s: float, spans: Iterable[Stretch]) -> tuple[Stretch, ...]:
    """Give the stretches of a recording outside all spans, but for those too short to score."""
    stretches, at = list[Stretch](), 0.0
    for start, end in sorted(spans):
        stretches.append((at, min(start, duration_s)))
        at = max(at, end)
    stretches.append((at, duration_s))
    least = min(SHORTEST_S, duration_s)
    return tuple((start, end) for start, end in stretches if end - start >= least)


def _windows(job: Job, rate: int) -> Iterator[tuple[dict[str, Floats32], Floats32, slice]]:
    """Stems and mixture of each window, with margins, and which samples of them are scored."""
    names, length, margin = job.song.instruments, round(job.song.duration_s * rate), round(MARGIN_S * rate)
    for first, last in job.stretches:
        count = math.ceil((last - first) / WINDOW_S)
        edges = [round(edge) for edge in np.linspace(first * rate, last * rate, count + 1).tolist()]
        for start, end in pairwise(edges):  # in samples, so that none is scored twice and none is lost
            early, late = max(0, start - margin), max(end, min(length, end + margin))
            stems, mixture = StemSpan(job.song, early / rate, late / rate).read(names, rate=rate, channels=None)
            yield dict(zip(names, stems, strict=True)), mixture, slice(start - early, end - early)


def _listen(
    job: Job, name: str, mine: _Held, played: Mapping[str, Floats32], mixture: Floats32, rate: int, at: slice
) -> None:
    """Let one of them hear a window."""
    began = time.process_time()
    try:
        if name == MIXTURE:
            heard: Mapping[str, Floats32] = dict.fromkeys(job.instruments, mixture)
        elif name == ORACLE:
            from levada import separate

            heard = separate.oracle(played, rate).stems(mixture, rate)
        else:
            separator = job.separators[name]
            assert separator is not None
            heard = separator.stems(mixture, rate)
        mine.cpu_s += time.process_time() - began
        missing = [stem for pair in mine.pairs for stem in pair.stems if stem not in heard]
        if missing and name != ORACLE:
            raise InputError(f"gave no stem of {', '.join(missing)}")
        wrong = [stem for stem, samples in heard.items() if samples.shape != mixture.shape]
        if wrong:
            raise InputError(f"gave a stem of shape {heard[wrong[0]].shape} for a mixture of {mixture.shape}")
        mine.add(played, heard, mixture, at)
    except Exception as error:  # one separator's failure must not cost the others their scores
        _log.debug("%s failed on %s", name, job.song.id, exc_info=True)
        mine.error = str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def _sum(stems: Mapping[str, Floats32], names: Sequence[str], like: Floats32, at: slice) -> Floats32:
    """Several stems as one; silence, which takes no memory, where there is none of them."""
    found = [stems[name][:, at] for name in names if name in stems]
    if not found:
        return np.broadcast_to(np.float32(0), like.shape)
    return found[0] if len(found) == 1 else np.sum(found, axis=0)
