"""Scoring of all models on one song: the work of one process, and the rows that result."""

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
from levada.io.tables import error_text
from levada.separation.label_matching import Match, match
from levada.separation.metrics import STEM_SCORES, StemScores

__all__ = [
    "MIXTURE",
    "ORACLE",
    "AnySeparator",
    "CrossValidated",
    "Job",
    "StemRow",
    "restricted_to",
    "score",
    "trained_spans",
]

Floats32 = npt.NDArray[np.float32]
Stretch = tuple[float, float]

MIXTURE, ORACLE = "mixture", "oracle"
"""Rows of every table, and of those with an upper bound: the unprocessed mixture, and ideal ratio masks."""

WINDOW_S = 120.0  # longest piece that is separated at once
MARGIN_S = 5.0  # separated and not scored, before and after a window

_log = logging.getLogger(__name__)


class AnySeparator(Protocol):
    """Anything that separates mixtures.

    Optional attributes are ``trained_on``, stretches ``(start_s, end_s)`` by content hash of audio files,
    ``restricted(instruments)``, which returns a separator of some of the instruments (without it, all stems are always
    separated), and ``available``, the names of those, where they are more than its stems.
    """

    @property
    def instruments(self) -> tuple[str, ...]:
        """Names of its stems."""

    def separate(self, samples: Floats32, rate: int, /) -> Mapping[str, Floats32]:
        """Return the stems of a mixture."""


@dataclass(frozen=True)
class CrossValidated:
    """A separator for each group of songs, trained on other groups.

    Parameters
    ----------
    by_group : mapping of str to AnySeparator
        Group, or identifier of a song without one -> the separator that was not trained on it.
    about : str
        What each was trained on, in a few words.
    """

    by_group: Mapping[str, AnySeparator]
    about: str = ""

    def of(self, song: Multitrack) -> AnySeparator:
        """Return the separator that was not trained on a song."""
        try:
            return self.by_group[song.group or song.id]
        except KeyError:
            raise InputError(f"no model was trained without the group of {song.id}") from None


@dataclass(frozen=True)
class StemRow:
    """One instrument of one song, separated by one model."""

    song: str  # identifier of the song in its corpus
    group: str  # performers, session or instrument set
    model: str  # name of the separator
    instrument: str = ""  # of the song; empty where nothing could be scored
    known: bool = False  # whether the model has a stem of this instrument alone
    scores: Mapping[str, float] = field(default_factory=dict)  # as of `metrics.stem_scores`; empty after an error
    shares: Mapping[str, float] = field(default_factory=dict)  # of each instrument in this stem: `metrics.leakage`
    duration_s: float = math.nan  # length of what was scored, in seconds
    cpu_s: float = math.nan  # processor time of all stems of the song, in seconds
    mixture: str = ""  # what was separated: the recording, as it relates to its stems, or the sum of the stems
    trained_on: bool = False  # whether the separator was trained on some of the song
    plays: bool = True  # False for a stem of the model that is no instrument of the song
    error: str = ""  # why there are no scores

    def flat(self) -> dict[str, object]:
        """Return the row as one row of a table, without the shares."""
        scores = {name: self.scores.get(name, math.nan) for name in STEM_SCORES}
        first = {name: getattr(self, name) for name in ("song", "group", "model", "instrument", "known")}
        last = ("duration_s", "cpu_s", "mixture", "trained_on", "error")
        return first | scores | {name: getattr(self, name) for name in last}


@dataclass(frozen=True)
class Job:
    """What a process needs to score all models on one song."""

    song: Multitrack
    separators: Mapping[str, AnySeparator | None]
    trained: frozenset[str]  # names of those that were trained on some of it
    context: tuple[str, ...] = ()  # instruments of the whole corpus
    problem: str = ""  # why nothing can be scored

    @property
    def group(self) -> str:
        """The group of the song; its identifier where it has none."""
        return self.song.group or self.song.id

    def matches(self, model: str) -> dict[str, Match]:
        """Match the instruments of the song with the stems of a model; empty if there is no such model for it."""
        separator = self.separators[model]
        return {} if separator is None else match(self.song.instruments, _available(separator), context=self.context)

    def failed(self, error: str) -> list[StemRow]:
        """Return a row with the error for each model."""
        return [self.row(name, error=error) for name in self.separators]

    def row(self, model: str, **values: Any) -> StemRow:
        """Return a row of one model."""
        return StemRow(self.song.id, self.song.group, model, trained_on=model in self.trained, **values)


def restricted_to(song: Multitrack, separator: AnySeparator, *, context: Sequence[str] = ()) -> AnySeparator:
    """Restrict a separator to the instruments that play in a song, if it has a stem for each of them.

    All models that are compared have the same knowledge of a song: what plays, but not when. If a model has no stem for
    something that plays, or the mixture has unknown instruments, it is not restricted: what goes into its other stems
    is its residual.

    Parameters
    ----------
    song : Multitrack
    separator : AnySeparator
    context : sequence of str
        Instruments of the whole corpus.

    Returns
    -------
    AnySeparator
    """
    available = _available(separator)
    matches = match(song.instruments, available, context=context)
    restricted = getattr(separator, "restricted", None)
    if song.has_rest or restricted is None or not all(one.stems for one in matches.values()):
        return separator
    kept = [stem for stem in available if any(stem in one.stems for one in matches.values())]
    chosen: AnySeparator = restricted(kept)
    return chosen


def _available(separator: AnySeparator) -> tuple[str, ...]:
    """Return the stems that a separator can be restricted to."""
    return tuple(getattr(separator, "available", separator.instruments))


class _ModelScores:
    """Scores of one model on the windows of a song so far.

    An instrument for which the model has no stem is scored as the residual of its other stems; if that is empty (60 dB
    below the mixture), as the mixture itself, which gains nothing.
    """

    def __init__(self, job: Job, model: str, separator: AnySeparator | None) -> None:
        self.model, self.cpu_s, self.error, self.separator = model, 0.0, "", separator
        names = job.song.instruments
        if separator is None:  # the mixture, and the oracle, have a stem for each
            self.matches = {name: Match((name,), known=True) for name in names}
            self.extra: tuple[str, ...] = ()
        else:
            self.separator = restricted_to(job.song, separator, context=job.context)
            self.matches = match(names, self.separator.instruments, context=job.context)
            used = {stem for one in self.matches.values() for stem in one.stems}
            unused = [stem for stem in self.separator.instruments if stem not in used]
            self.extra = tuple(unused) if all(one.stems for one in self.matches.values()) else ()
        self.stems = tuple(dict.fromkeys(stem for one in self.matches.values() for stem in one.stems))
        self.labels = {stem: f"{stem} (stem)" if stem in names else stem for stem in self.extra}
        self.scores = StemScores([*names, *self.labels.values()])

    def add(
        self, references: Mapping[str, Floats32], stems: Mapping[str, Floats32], mixture: Floats32, at: slice
    ) -> None:
        """Add the stems of a window, inside the margins."""
        whole = mixture[:, at]
        lacks = any(not one.stems for one in self.matches.values())
        residual = whole - _sum(stems, self.stems, whole, at) if lacks else whole
        estimates = {
            name: _sum(stems, one.stems, whole, at) if one.stems else residual for name, one in self.matches.items()
        } | {label: _sum(stems, (stem,), whole, at) for stem, label in self.labels.items()}
        self.scores.add({name: _sum(references, (name,), whole, at) for name in estimates}, estimates, whole)

    def rows(self, job: Job, mixture: Mapping[str, Mapping[str, float]]) -> list[StemRow]:
        """Return a row for each instrument, then for each stem that is no instrument of the song.

        Parameters
        ----------
        job : Job
        mixture : mapping
            Scores of the mixture, for each instrument.
        """
        if self.error:
            return [job.row(self.model, error=self.error, cpu_s=self.cpu_s)]
        scores, shares, names = self.scores.scores(), self.scores.leakage(), job.song.instruments
        fit = job.song.fit
        rows = []
        for index, name in enumerate(self.scores.names):
            plays = index < len(names)
            is_lost = plays and not self.matches[name].stems and name in self.scores.empty
            row = job.row(
                self.model,
                instrument=name,
                known=plays and self.matches[name].known,
                scores=mixture[name] if is_lost else scores[name],
                shares={} if is_lost else dict(zip(names, shares[index, : len(names)].tolist(), strict=True)),
                plays=plays,
                duration_s=job.song.duration_s,
                cpu_s=self.cpu_s,
                mixture="sum of the stems; there is no recording" if fit is None else str(fit),
            )
            rows.append(row)
        return rows


def score(job: Job, *, oracle: bool = False) -> list[StemRow]:
    """Score all models on one song, window by window.

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
        models = {name: _ModelScores(job, name, one) for name, one in job.separators.items() if one is not None}
        models |= {name: _ModelScores(job, name, None) for name in (MIXTURE, *([ORACLE] if oracle else []))}
        rate = max(audio.info(path).rate for path in job.song.mixture_files or job.song.files)
        for references, mixture, at in _windows(job.song, rate):
            for model in models.values():
                if not model.error:
                    _separate(job, model, references, mixture, rate, at)
        of_mixture = models[MIXTURE].scores.scores()
        return [row for model in models.values() for row in model.rows(job, of_mixture)]
    except (InputError, OSError) as error:
        return job.failed(str(error))


def trained_spans(song: Multitrack, separator: AnySeparator) -> list[Stretch]:
    """Return the stretches of a song that a separator was trained on.

    Parameters
    ----------
    song : Multitrack
    separator : AnySeparator
        It may have the hash of the song, of its mixture or of any of its stems in ``trained_on``.

    Returns
    -------
    list of tuple of float
        Start and end in seconds; from -inf to inf where they are not known.
    """
    trained: Mapping[str, Sequence[Stretch]] = getattr(separator, "trained_on", {})
    if not trained:
        return []
    hashes = [song.content_hash, *song.stem_hashes]
    hashes += [audio.content_hash(path) for path in song.mixture_files]
    spans = {(float(start), float(end)) for one in hashes if one in trained for start, end in trained[one]}
    if any(one in trained for one in song.sources) or (not spans and any(one in trained for one in hashes)):
        return [(-math.inf, math.inf)]
    return sorted(spans)


def _windows(song: Multitrack, rate: int) -> Iterator[tuple[dict[str, Floats32], Floats32, slice]]:
    """Yield the stems and the mixture of each window with its margins, and the samples of it that are scored."""
    names, length, margin = song.instruments, round(song.duration_s * rate), round(MARGIN_S * rate)
    count = max(1, math.ceil(song.duration_s / WINDOW_S))
    edges = [round(edge) for edge in np.linspace(0, length, count + 1).tolist()]
    for start, end in pairwise(edges):  # in samples, so that none is scored twice and none is lost
        early, late = max(0, start - margin), min(length, end + margin)
        stems, mixture = Span(song, early / rate, late / rate).read(names, rate=rate, channels=None)
        yield dict(zip(names, stems, strict=True)), mixture, slice(start - early, end - early)


def _separate(
    job: Job, model: _ModelScores, references: Mapping[str, Floats32], mixture: Floats32, rate: int, at: slice
) -> None:
    """Separate a window with one model, and score it."""
    from levada.separation import masks

    began = time.process_time()
    try:
        if model.separator is not None:
            stems = model.separator.separate(mixture, rate)
        elif model.model == MIXTURE:
            stems = dict.fromkeys(job.song.instruments, mixture)
        else:
            stems = masks.oracle(references, mixture, rate)
        model.cpu_s += time.process_time() - began
        missing = [stem for stem in (*model.stems, *model.extra) if stem not in stems]
        if missing:
            raise InputError(f"gave no stem of {', '.join(missing)}")
        wrong = [stem for stem, samples in stems.items() if samples.shape != mixture.shape]
        if wrong:
            raise InputError(f"gave a stem of shape {stems[wrong[0]].shape} for a mixture of {mixture.shape}")
        model.add(references, stems, mixture, at)
    except Exception as error:  # the failure of one separator must not cost the others their scores
        _log.debug("%s failed on %s", model.model, job.song.id, exc_info=True)
        model.error = error_text(error)


def _sum(stems: Mapping[str, Floats32], names: Sequence[str], like: Floats32, at: slice) -> Floats32:
    """Return the sum of some stems; silence, which takes no memory, where there is none of them."""
    chosen = [stems[name][:, at] for name in names if name in stems]
    if not chosen:
        return np.broadcast_to(np.float32(0), like.shape)
    return chosen[0] if len(chosen) == 1 else np.sum(chosen, axis=0)
