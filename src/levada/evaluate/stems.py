"""Separators against songs of which the stems are known: a row for each stem, means with intervals, leaks, warnings.

>>> result = evaluate_stems(corpus.songs, {"nmf": nmf, "mine": mine}, oracle=True)     # doctest: +SKIP
>>> result.summary()["mine"]["si_sdr_i"]                                               # doctest: +SKIP
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.corpus import Multitrack
from levada.errors import InputError
from levada.evaluate.listening import MIXTURE, ORACLE, HeldOut, Job, Separating, StemRow, free, score, spans_of
from levada.evaluate.matching import match
from levada.evaluate.tables import listed, plain_values, write_rows
from levada.scores import STEM_SCORES, Interval, bootstrap, bootstrap_difference
from levada.workers import each

__all__ = ["StemEvaluation", "evaluate_stems"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StemEvaluation:
    """All rows, and what can be said from them."""

    rows: tuple[StemRow, ...]  # for each song in turn, the models in their order
    models: tuple[str, ...]  # the first one is what the others are compared with; mixture and oracle come last
    instruments: tuple[str, ...]  # what is told apart, those of most songs first
    skipped: tuple[str, ...] = ()  # ids of songs that are no mixtures
    warnings: tuple[str, ...] = ()  # what a reader of the means must know
    seed: int = 0  # of the bootstrap
    about: Mapping[str, str] = field(default_factory=dict)  # what models were trained on, where that is known

    def of(self, model: str) -> tuple[StemRow, ...]:
        """Give the rows of one model, in the order of the songs."""
        return tuple(row for row in self.rows if row.model == model)

    def summary(self) -> dict[str, dict[str, Interval]]:
        """Mean of each score over songs, of a song over its stems, with its bootstrap interval over groups."""
        return {model: {name: self._mean(self._songs(model, name)) for name in STEM_SCORES} for model in self.models}

    def by_instrument(self, name: str = "si_sdr_i") -> dict[str, dict[str, Interval]]:
        """Mean of one score over the songs that have an instrument, for each model and instrument."""
        return {
            model: {one: self._mean(self._songs(model, name, instrument=one)) for one in self.instruments}
            for model in self.models
        }

    def differences(self) -> dict[str, dict[str, Interval]]:
        """Mean paired difference of each score to the first model, over songs, for every other one."""
        first = self.models[0]
        return {
            model: {
                name: bootstrap_difference(
                    self._songs(model, name), self._songs(first, name), groups=self._groups(), rng=self._rng()
                )
                for name in STEM_SCORES
            }
            for model in self.models[1:]
        }

    def leaks(self, model: str) -> tuple[tuple[str, ...], tuple[str, ...], Floats]:
        """Where the sound of each instrument goes with one model.

        Returns
        -------
        stems, instruments : tuple of str
            Labels of the rows and the columns: what the model gives, and what plays.
        shares : float64 [shape=(stems, instruments)]
            Mean over songs of the share of an instrument that is in a stem: see `levada.scores.leakage`.
        """
        mine = [row for row in self.of(model) if row.shares]
        order = {name: index for index, name in enumerate(self.instruments)}
        stems = sorted({row.instrument for row in mine}, key=lambda name: (order.get(name, len(order)), name))
        played = {name for row in mine for name, share in row.shares.items() if not math.isnan(share)}
        columns = sorted(played, key=lambda name: (order.get(name, len(order)), name))
        shares = np.full((len(stems), len(columns)), math.nan)
        for i, stem in enumerate(stems):
            for j, name in enumerate(columns):
                found = [row.shares.get(name, math.nan) for row in mine if row.instrument == stem]
                shares[i, j] = _nanmean(found)
        return tuple(stems), tuple(columns), shares

    def write_csv(self, path: str | Path, *, force: bool = False) -> None:
        """Write one line for each row.

        Raises
        ------
        InputError
            If the file exists and `force` is not given, or cannot be written.
        """
        write_rows(path, [row.flat() for row in self.rows], force=force)

    def to_json(self) -> str:
        """Everything as JSON; what is not a number is null."""
        whole: dict[str, Any] = {"models": self.models, "instruments": self.instruments, "about": dict(self.about)}
        tables = {"summary": self.summary(), "differences": self.differences(), "by_instrument": self.by_instrument()}
        for name, table in tables.items():
            whole[name] = {m: {s: plain_values(vars(i)) for s, i in scores.items()} for m, scores in table.items()}
        whole["leaks"] = {}
        for model in self.models:
            stems, instruments, shares = self.leaks(model)
            whole["leaks"][model] = {
                stem: plain_values(dict(zip(instruments, row, strict=True)))
                for stem, row in zip(stems, shares.tolist(), strict=True)
            }
        whole |= {"warnings": self.warnings, "skipped": self.skipped}
        whole["rows"] = [plain_values(row.flat()) for row in self.rows]
        return json.dumps(whole, indent=1, allow_nan=False)

    def _songs(self, model: str, name: str, *, instrument: str | None = None) -> list[float]:
        """One value a song: the mean of its stems that have one."""
        found: dict[str, list[float]] = {song: [] for song in dict.fromkeys(row.song for row in self.rows)}
        for row in self.of(model):
            if instrument in (None, row.instrument):
                found[row.song].append(row.scores.get(name, math.nan))
        return [_nanmean(values) for values in found.values()]

    def _groups(self) -> list[str]:
        return list({row.song: row.group or row.song for row in self.rows}.values())

    def _mean(self, values: Sequence[float]) -> Interval:
        return bootstrap(values, groups=self._groups(), rng=self._rng())

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)


def evaluate_stems(
    songs: Iterable[Multitrack],
    separators: Mapping[str, Separating | HeldOut],
    *,
    out: str | Path | None = None,
    force: bool = False,
    oracle: bool = False,
    exclude_trained: bool = False,
    processes: int = 1,
    seed: int = 0,
    progress: Callable[[int, int, str], None] | None = None,
) -> StemEvaluation:
    """Score every separator on every song with stems.

    The mixture itself, taken for every stem, is scored beside them: its improvement is 0 dB by definition. Instruments
    and stems that are called differently are matched (`levada.evaluate.matching`). Songs of more than two minutes are
    taken apart in stretches of at most two, each with a little more on either side, so that an hour is no matter of
    memory.

    Parameters
    ----------
    songs : iterable of Multitrack
        What to score on. Solos, which nobody need take apart, are left out and named.
    separators : mapping of str to Separator or HeldOut
        Separators by name; the first is what the others are compared with.
    out : path-like, optional
        Where to write the rows as CSV.
    force : bool
        Whether `out` may be overwritten.
    oracle : bool
        Whether to show the ideal ratio masks of the true stems, the ceiling of whatever works with masks.
    exclude_trained : bool
        Whether to leave out the stretches that any of the separators was trained on; all are scored on what remains.
    processes : int
        How many processes work at once. With more than one, separators must be picklable.
    seed : int
        Seed of the bootstrap.
    progress : callable, optional
        Called with the number done, the number in all and the song's id after each song.

    Returns
    -------
    StemEvaluation
        A song that cannot be read, and a separator that fails on one, are rows with an error.

    Raises
    ------
    InputError
        If there is no separator or no mixture of two instruments, if no separator could be scored on any song, or if
        `out` exists and `force` is not given.
    """
    if not separators:
        raise InputError("nothing to evaluate: name a model")
    if taken := {MIXTURE, *([ORACLE] if oracle else [])} & separators.keys():
        raise InputError(f"{', '.join(taken)} is shown beside every model; call yours something else")
    if processes < 1:
        raise InputError(f"at least one process is needed, not {processes}")
    if out is not None and Path(out).exists() and not force:
        raise InputError("exists already; give another name, or --force to overwrite it", path=out)
    given = list(songs)
    mixtures = [song for song in given if len(song.instruments) > 1]
    if not mixtures:
        raise InputError(
            f"none of {len(given)} songs has two instruments that play together: there is nothing to take apart; "
            "solos can be mixed first: levada remix"
        )
    often = {name: sum(name in song.instruments for song in mixtures) for song in mixtures for name in song.instruments}
    instruments = tuple(sorted(often, key=lambda name: (-often[name], name)))
    jobs = [_job(song, instruments, separators, exclude_trained) for song in mixtures]
    found: dict[int, list[StemRow]] = {}
    work = partial(score, oracle=oracle)
    for done, (job, outcome) in enumerate(each(work, jobs, processes=processes), start=1):
        at = next(index for index, one in enumerate(jobs) if one is job)
        found[at] = job.failed(_said(outcome)) if isinstance(outcome, Exception) else outcome
        if progress is not None:
            progress(done, len(jobs), job.song.id)
    rows = [row for index in range(len(jobs)) for row in found[index]]
    if all(row.error for row in rows if row.model in separators):
        raise InputError(f"none of {len(jobs)} songs could be scored; the first: {rows[0].error}")
    models = (*separators, MIXTURE, *([ORACLE] if oracle else []))
    skipped = tuple(song.id for song in given if len(song.instruments) < 2)
    labels = {row.instrument for row in rows if any(not math.isnan(value) for value in row.scores.values())}
    told = [name for name in instruments if name in labels]
    told += sorted(label for label in labels if "+" in label)
    warnings = [*_warnings(rows, tuple(separators), jobs)]
    if skipped:
        warnings.append(f"of one instrument, with nothing to take apart, and skipped: {listed(skipped)}")
    about = {name: one.about for name, one in separators.items() if isinstance(one, HeldOut) and one.about}
    result = StemEvaluation(tuple(rows), models, tuple(told), skipped, tuple(warnings), seed, about)
    if out is not None:
        result.write_csv(out, force=force)
    return result


def _job(
    song: Multitrack, instruments: tuple[str, ...], separators: Mapping[str, Separating | HeldOut], exclude: bool
) -> Job:
    """Decide who is asked, what plays, and which stretches are scored."""
    names = song.instruments if song.has_rest else instruments  # in a rest may be what other songs call by name
    try:
        asked = {name: one.of(song) if isinstance(one, HeldOut) else one for name, one in separators.items()}
        known = {name: spans_of(song, one) for name, one in asked.items()}
        stretches = free(song.duration_s, [span for spans in known.values() for span in spans] if exclude else [])
        if not stretches:
            raise InputError(f"a model was trained on all of {song.id}")
        heard = {name: [(a, b) for a, b in spans for start, end in stretches if a < end and b > start]
                 for name, spans in known.items()}  # fmt: skip
        trained = frozenset(name for name, spans in heard.items() if spans)
    except (InputError, OSError) as error:
        return Job(song, names, dict.fromkeys(separators), (), frozenset(), str(error))
    return Job(song, names, asked, stretches, trained)


def _said(problem: Exception) -> str:
    return str(problem) if isinstance(problem, InputError | BrokenExecutor) else f"{type(problem).__name__}: {problem}"


def _warnings(rows: Sequence[StemRow], models: Sequence[str], jobs: Sequence[Job]) -> Iterator[str]:
    """Say what a reader of the means must know."""
    for model in models:
        mine = [row for row in rows if row.model == model]
        songs = len({row.song for row in mine})
        known = list(dict.fromkeys(row.song for row in mine if row.trained_on and not row.error))
        if known:
            yield (
                f"{model} was trained on {len(known)} of the {songs} songs it is scored on ({listed(known)}): "
                "there its scores tell what it remembers, not what it would do elsewhere"
            )
        failed = list({row.song: row for row in mine if row.error}.values())
        if failed:
            yield (
                f"{model} has no scores for {len(failed)} of {songs} songs ({listed([row.song for row in failed])}) "
                f"and its means leave them out; the first: {failed[0].error}"
            )
        lacks, extra = _unmatched(model, jobs)
        if lacks:
            yield f"{model} does not know {listed(lacks)}: its means are of the other instruments alone"
        if extra:
            yield f"{model} also gives {listed(extra)}, which nobody plays here: what is in them is a leak"
    if len(jobs) > 1 and len({job.song.group or job.song.id for job in jobs}) == 1:
        yield "all songs are of one group: the intervals speak of more of them, not of other groups"


def _unmatched(model: str, jobs: Sequence[Job]) -> tuple[list[str], list[str]]:
    """Instruments that a model has no stem for, and stems of it that are no instrument of any song."""
    lacks, extra, there = dict[str, None](), dict[str, None](), set[str]()
    for job in jobs:
        separator = job.separators[model]
        if separator is None:
            continue
        for pair in match(job.instruments, separator.instruments):
            if not pair.stems:
                lacks |= dict.fromkeys(pair.instruments)
            elif not pair.instruments:
                extra |= dict.fromkeys(pair.stems)
            else:
                there |= {*pair.stems}
    return list(lacks), [name for name in extra if name not in there]


def _nanmean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
