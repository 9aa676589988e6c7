"""One song, taken apart by everybody: what a process does, and the rows that come of it."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from levada.data import Multitrack, Span
from levada.errors import InputError
from levada.io import audio
from levada.separation.label_matching import Match, match
from levada.separation.metrics import STEM_SCORES, StemScores

__all__ = ["MIXTURE", "ORACLE", "HeldOut", "Job", "Separating", "StemRow", "score", "spans_of", "told"]

Floats32 = npt.NDArray[np.float32]
Stretch = tuple[float, float]

MIXTURE, ORACLE = "mixture", "oracle"
"""What every table shows, and what it shows if asked: doing nothing, and the best that masks can do."""

WINDOW_S = 120.0  # the most that is taken apart at once
MARGIN_S = 5.0  # that is heard, and not scored, before and after a window

_log = logging.getLogger(__name__)


class Separating(Protocol):
    """Anything that takes mixtures apart.

    What it was trained on it may tell by ``trained_on``, which has stretches ``(start_s, end_s)`` for content hashes
    of audio files. With ``restricted(instruments)`` it gives a separator of some of its instruments; without, it
    separates all that it knows, whatever plays.
    """

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of its stems."""
        ...

    def separate(self, samples: Floats32, rate: int, /) -> Mapping[str, Floats32]:
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
    """One instrument of one song, separated by one model."""

    song: str  # id of the song in its corpus
    group: str  # performers, session or instrument set
    model: str  # name of the separator
    instrument: str = ""  # of the song; empty where nothing could be scored
    known: bool = False  # whether the model has a stem of this instrument alone
    scores: Mapping[str, float] = field(default_factory=dict)  # as of `scores.stem_scores`; empty after an error
    shares: Mapping[str, float] = field(default_factory=dict)  # of each instrument, in this stem: `scores.leakage`
    duration_s: float = math.nan  # how much was scored, in seconds
    cpu_s: float = math.nan  # processor time of all stems of the song, in seconds
    mixture: str = ""  # what was separated: the recording, as it relates to its stems, or the sum of the stems
    trained_on: bool = False  # whether the separator was trained on some of the song
    plays: bool = True  # False for a stem of the model that is no instrument of the song
    error: str = ""  # why there are no scores

    def flat(self) -> dict[str, object]:
        """Give the row as one flat table row, without the shares."""
        scores = {name: self.scores.get(name, math.nan) for name in STEM_SCORES}
        first = {name: getattr(self, name) for name in ("song", "group", "model", "instrument", "known")}
        last = ("duration_s", "cpu_s", "mixture", "trained_on", "error")
        return first | scores | {name: getattr(self, name) for name in last}


@dataclass(frozen=True)
class Job:
    """What a process needs to score everybody on one song."""

    song: Multitrack
    separators: Mapping[str, Separating | None]
    trained: frozenset[str]  # names of those that were trained on some of it
    context: tuple[str, ...] = ()  # instruments of the whole corpus
    problem: str = ""  # why nothing can be scored

    def failed(self, error: str) -> list[StemRow]:
        """Give a row with the error for everybody."""
        return [self._row(name, error=error) for name in self.separators]

    def _row(self, model: str, **said: Any) -> StemRow:
        return StemRow(self.song.id, self.song.group, model, trained_on=model in self.trained, **said)


def told(separator: Separating, song: Multitrack, *, context: Sequence[str] = ()) -> Separating:
    """Tell a separator which instruments play in a song, if it knows all of them.

    Every model that is compared knows the same of a song: what plays, but not when. If it has no stem for something
    that plays, or nobody knows what is in the rest of the mixture, it remains as it is: what goes into its other stems
    is then what it leaves over.

    Parameters
    ----------
    separator : Separator
    song : Multitrack
    context : sequence of str
        Instruments of the whole corpus.

    Returns
    -------
    Separator
    """
    found = match(song.instruments, separator.instruments, context=context)
    restricted = getattr(separator, "restricted", None)
    if song.has_rest or restricted is None or not all(one.stems for one in found.values()):
        return separator
    kept = [stem for stem in separator.instruments if any(stem in one.stems for one in found.values())]
    chosen: Separating = restricted(kept)
    return chosen


class _Held:
    """What one model has done on a song so far.

    An instrument that the model has no stem for is scored as what the stems of the others leave of the mixture; if
    they leave nothing (60 dB below the mixture), as the mixture itself, which gains nothing.
    """

    def __init__(self, job: Job, model: str, separator: Separating | None) -> None:
        self.model, self.cpu_s, self.error, self.separator = model, 0.0, "", separator
        names = job.song.instruments
        if separator is None:  # the mixture, and the oracle, have a stem for each
            self.found = {name: Match((name,), known=True) for name in names}
            self.extra: tuple[str, ...] = ()
        else:
            self.separator = told(separator, job.song, context=job.context)
            self.found = match(names, self.separator.instruments, context=job.context)
            used = {stem for one in self.found.values() for stem in one.stems}
            spare = [stem for stem in self.separator.instruments if stem not in used]
            self.extra = tuple(spare) if all(one.stems for one in self.found.values()) else ()
        self.stems = tuple(dict.fromkeys(stem for one in self.found.values() for stem in one.stems))
        self.labels = {stem: f"{stem} (stem)" if stem in names else stem for stem in self.extra}
        self.scores = StemScores([*names, *self.labels.values()])

    def add(self, played: Mapping[str, Floats32], heard: Mapping[str, Floats32], mixture: Floats32, at: slice) -> None:
        """Take what was separated in a window, and of it what is inside the margins."""
        whole = mixture[:, at]
        lacks = any(not one.stems for one in self.found.values())
        left = whole - _sum(heard, self.stems, whole, at) if lacks else whole
        delivered = {
            name: _sum(heard, one.stems, whole, at) if one.stems else left for name, one in self.found.items()
        } | {label: _sum(heard, (stem,), whole, at) for stem, label in self.labels.items()}
        references = {name: _sum(played, (name,), whole, at) for name in delivered}
        self.scores.add(references, delivered, whole)

    def rows(self, job: Job, nothing: Mapping[str, Mapping[str, float]]) -> list[StemRow]:
        """Give a row for each instrument, then for each stem that nobody plays.

        Parameters
        ----------
        job : Job
        nothing : mapping
            Scores of the mixture, for each instrument.
        """
        if self.error:
            return [job._row(self.model, error=self.error, cpu_s=self.cpu_s)]
        scores, shares, names = self.scores.scores(), self.scores.leakage(), job.song.instruments
        fit = job.song.fit
        common = {
            "duration_s": job.song.duration_s,
            "cpu_s": self.cpu_s,
            "mixture": "sum of the stems; there is no recording" if fit is None else str(fit),
        }
        rows = []
        for index, name in enumerate(self.scores.names):
            is_played = index < len(names)
            lost = is_played and not self.found[name].stems and name in self.scores.empty
            rows.append(
                job._row(
                    self.model,
                    instrument=name,
                    known=is_played and self.found[name].known,
                    scores=nothing[name] if lost else scores[name],
                    shares={} if lost else dict(zip(names, shares[index, : len(names)].tolist(), strict=True)),
                    plays=is_played,
                    **common,
                )
            )
        return rows


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
        For each separator, then the mixture, then the oracle, a row for each instrument of the song, and for each stem
        that is none of them; one with the error where one failed.
    """
    if job.problem:
        return job.failed(job.problem)
    try:
        held = {name: _Held(job, name, one) for name, one in job.separators.items() if one is not None}
        held |= {name: _Held(job, name, None) for name in (MIXTURE, *([ORACLE] if oracle else []))}
        rate = max(audio.info(path).rate for path in job.song.mixture_files or job.song.files)
        for played, mixture, at in _windows(job.song, rate):
            for name, mine in held.items():
                if not mine.error:
                    _separate(job, name, mine, played, mixture, rate, at)
        nothing = held[MIXTURE].scores.scores()
        return [row for mine in held.values() for row in mine.rows(job, nothing)]
    except (InputError, OSError) as error:
        return job.failed(str(error))


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
    hashes += [audio.content_hash(path) for path in song.mixture_files]
    found = {(float(start), float(end)) for one in hashes if one in known for start, end in known[one]}
    if any(one in known for one in song.sources) or (not found and any(one in known for one in hashes)):
        return [(-math.inf, math.inf)]
    return sorted(found)


def _windows(song: Multitrack, rate: int) -> Iterator[tuple[dict[str, Floats32], Floats32, slice]]:
    """Stems and mixture of each window, with margins, and which samples of them are scored."""
    names, length, margin = song.instruments, round(song.duration_s * rate), round(MARGIN_S * rate)
    count = max(1, math.ceil(song.duration_s / WINDOW_S))
    edges = [round(edge) for edge in np.linspace(0, length, count + 1).tolist()]
    for start, end in pairwise(edges):  # in samples, so that none is scored twice and none is lost
        early, late = max(0, start - margin), min(length, end + margin)
        stems, mixture = Span(song, early / rate, late / rate).read(names, rate=rate, channels=None)
        yield dict(zip(names, stems, strict=True)), mixture, slice(start - early, end - early)


def _separate(
    job: Job, name: str, mine: _Held, played: Mapping[str, Floats32], mixture: Floats32, rate: int, at: slice
) -> None:
    """Let one of them separate a window."""
    began = time.process_time()
    try:
        if mine.separator is not None:
            heard = mine.separator.separate(mixture, rate)
        elif name == MIXTURE:
            heard = dict.fromkeys(job.song.instruments, mixture)
        else:
            from levada.separation import masks

            heard = masks.oracle(played, rate).separate(mixture, rate)
        mine.cpu_s += time.process_time() - began
        missing = [stem for stem in (*mine.stems, *mine.extra) if stem not in heard]
        if missing:
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
