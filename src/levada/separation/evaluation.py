"""Evaluation of separators on songs with stems: a row for each stem, means with intervals, leakage, warnings.

All models are scored on the same stems, with the same knowledge: which instruments play in a song, but not when. An
instrument for which a model has no stem is scored as the residual of its stems, and as the mixture where there is none,
which gains 0 dB. (Silence would be worse in SI-SDR, by whatever lowest value one chooses, and better in SDR, for its
error is as large as the stem.) Each row says whether the model has a stem of the instrument, and differences between
two models are over the instruments that both have.

>>> result = evaluate_stems(corpus.tracks, {"nmf": nmf, "mine": mine}, oracle=True)     # doctest: +SKIP
>>> result.summary()["mine"]["si_sdr_i"]                                               # doctest: +SKIP
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.data import Multitrack
from levada.errors import InputError
from levada.io.tables import card_scores, join_names, nan_to_none, single_group_note
from levada.learning.evaluation import Evaluation, Table, require_models, score_all, warnings_of
from levada.learning.statistics import Interval
from levada.separation.metrics import STEM_SCORES
from levada.separation.song_scores import (
    MIXTURE,
    ORACLE,
    AnySeparator,
    CrossValidated,
    Job,
    StemRow,
    score,
    trained_spans,
)

__all__ = ["StemEvaluation", "evaluate_stems"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, repr=False)
class StemEvaluation(Evaluation[StemRow]):
    """All rows of an evaluation of separators, and the means over them.

    The mixture and the oracle are the last models. Means of a song are over its stems.

    Parameters
    ----------
    rows, models, skipped, warnings
        See `levada.learning.evaluation.Evaluation`.
    instruments : tuple of str
        Of the songs, those of most songs first.
    excluded : tuple of str
        Identifiers of songs left out because a model was trained on them or on their group.
    extra : tuple of StemRow
        Stems of a model that are no instrument of the song, for the leakage.
    about : mapping of str to str
        What a model was trained on, where that is known.
    """

    metrics = STEM_SCORES
    main_metrics = ("si_sdr_i", "sdr_i", "leak_db")
    noun = "song"

    instruments: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    extra: tuple[StemRow, ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)

    def tables(self) -> dict[str, Table]:
        """Return all tables of means by name."""
        return {**super().tables(), "by_instrument": self.by_instrument()}

    def by_instrument(self, name: str = "si_sdr_i") -> dict[str, dict[str, Interval]]:
        """Return the mean of a score over the songs that have an instrument, for each model and instrument."""
        return {
            model: {one: self._mean(self._values(model, name, instrument=one), name) for one in self.instruments}
            for model in self.models
        }

    def knows(self, model: str) -> tuple[str, ...]:
        """Return the instruments that a model has a stem of, in at least one song."""
        known = {row.instrument for row in self.of(model) if row.known}
        return tuple(name for name in self.instruments if name in known)

    def leaks(self, model: str) -> tuple[tuple[str, ...], tuple[str, ...], Floats]:
        """Return the shares of each instrument in the stems of one model.

        Returns
        -------
        stems, instruments : tuple of str
            Labels of the rows and the columns: the stems of the model, and the instruments that play.
        shares : float64 [shape=(stems, instruments)]
            Mean over songs of the share of an instrument that is in a stem: see `levada.separation.metrics.leakage`.
        """
        rows = [row for row in (*self.of(model), *self.extra) if row.model == model and row.shares]
        order = {name: index for index, name in enumerate(self.instruments)}

        def ordered(names: Iterable[str]) -> tuple[str, ...]:
            return tuple(sorted({*names}, key=lambda name: (order.get(name, len(order)), name)))

        stems = ordered(row.instrument for row in rows)
        columns = ordered(name for row in rows for name, share in row.shares.items() if not math.isnan(share))
        shares = np.full((len(stems), len(columns)), math.nan)
        for (i, stem), (j, name) in product(enumerate(stems), enumerate(columns)):
            shares[i, j] = _nanmean([row.shares.get(name, math.nan) for row in rows if row.instrument == stem])
        return stems, columns, shares

    def card_scores(self, model: str) -> dict[str, str]:
        """Return the scores of one model for its card."""
        means = self.summary()[model]
        groups = {row.song: row.group or row.song for row in self.of(model) if not row.error}
        known = f"{len(self.knows(model))} of {len(self.instruments)} instruments"
        shown = {name: means[name] for name in self.main_metrics}
        return card_scores({**shown, "knows": known}, groups, noun="song")

    def _details(self) -> dict[str, Any]:
        leaks = {}
        for model in self.models:
            stems, instruments, shares = self.leaks(model)
            rows = zip(stems, shares.tolist(), strict=True)
            leaks[model] = {stem: nan_to_none(dict(zip(instruments, row, strict=True))) for stem, row in rows}
        details = {"instruments": self.instruments, "about": dict(self.about), "excluded": self.excluded}
        return {**super()._details(), **details, "leaks": leaks, "knows": {one: self.knows(one) for one in self.models}}

    def _values(self, model: str, name: str, *, instrument: str | None = None) -> list[float]:
        """Return a score of each song: the mean over its stems that have one."""
        scores: dict[str, list[float]] = {song: [] for song in dict.fromkeys(row.song for row in self.rows)}
        for row in self.of(model):
            if instrument in (None, row.instrument):
                scores[row.song].append(row.scores.get(name, math.nan))
        return [_nanmean(values) for values in scores.values()]

    def _pairs(self, model: str, other: str, name: str) -> tuple[list[float], list[float]]:
        """Return a score of each song for two models: means over the stems that both have and that have a score."""
        scores = [
            {(row.song, row.instrument): row.scores.get(name, math.nan) for row in self.of(one) if row.known}
            for one in (model, other)
        ]
        both = [key for key in scores[0] if key in scores[1] and not any(math.isnan(one[key]) for one in scores)]
        songs = dict.fromkeys(row.song for row in self.rows)
        first, second = ([_nanmean([one[key] for key in both if key[0] == song]) for song in songs] for one in scores)
        return first, second

    def _groups(self) -> list[str]:
        return list({row.song: row.group or row.song for row in self.rows}.values())


def evaluate_stems(
    songs: Iterable[Multitrack],
    separators: Mapping[str, AnySeparator | CrossValidated],
    *,
    out: str | Path | None = None,
    force: bool = False,
    oracle: bool = False,
    exclude_trained: bool = False,
    processes: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> StemEvaluation:
    """Score every separator on every song with stems.

    The mixture itself, taken for every stem, is scored too: its improvement is 0 dB by definition. Instruments and
    stems with different names are matched (`levada.separation.label_matching`). What is separated is the recorded
    mixture, if there is one and it is made of the stems (`Multitrack.fit`). Songs of more than two minutes are
    separated in windows of at most two, each with a little more on either side, so that memory does not grow.

    Parameters
    ----------
    songs : iterable of Multitrack
        Songs of one instrument are left out and named.
    separators : mapping of str to AnySeparator or CrossValidated
        Separators by name; the first is the reference of all differences.
    out : path-like, optional
        Where to write the rows as CSV.
    force : bool
        Whether `out` may be overwritten.
    oracle : bool
        Whether to score the ideal ratio masks of the true stems, the upper bound of all masks.
    exclude_trained : bool
        Whether to leave out the songs that any of the separators was trained on, and all others of their groups.
    processes : int
        Number of processes. With more than one, separators must be picklable.
    progress : callable, optional
        Called with the number done, the number in all and the song's identifier after each song.

    Returns
    -------
    StemEvaluation
        A song that cannot be read, and a separator that fails on one, are rows with an error.

    Raises
    ------
    InputError
        If there is no separator or no mixture of two instruments, if no separator could be scored on any song or has
        any of the instruments, if a model was trained on every group, or if `out` exists and `force` is not given.
    """
    require_models(separators, processes=processes, out=out, force=force)
    bounds = (MIXTURE, ORACLE) if oracle else (MIXTURE,)
    if taken := {*bounds} & separators.keys():
        raise InputError(f"{', '.join(taken)} is a row of every table: choose another name for the model")
    given = list(songs)
    mixtures = [song for song in given if len(song.instruments) > 1]
    if not mixtures:
        raise InputError(
            f"none of {len(given)} songs has two instruments that play together: there is nothing to separate; "
            "solos can be mixed first: levada remix"
        )
    count = Counter(name for song in mixtures for name in song.instruments)
    instruments = tuple(sorted(count, key=lambda name: (-count[name], name)))
    jobs = [_job(song, instruments, separators) for song in mixtures]
    excluded: tuple[str, ...] = ()
    if exclude_trained:
        groups = {job.group for job in jobs if job.trained}
        excluded = tuple(job.song.id for job in jobs if job.group in groups)
        jobs = [job for job in jobs if job.song.id not in excluded]
        if not jobs:
            raise InputError(f"a model was trained on each of the {len(groups)} groups: no song is left to score")
    _require_known(jobs, instruments)
    every = score_all(
        partial(score, oracle=oracle),
        jobs,
        failed=Job.failed,
        name=lambda job: job.song.id,
        processes=processes,
        progress=progress,
    )
    rows, extra = [row for row in every if row.plays], [row for row in every if not row.plays]
    if all(row.error for row in rows if row.model in separators):
        raise InputError(f"none of {len(jobs)} songs could be scored; the first: {rows[0].error}")
    skipped = tuple(song.id for song in given if len(song.instruments) < 2)
    scored = {row.instrument for row in rows if any(not math.isnan(value) for value in row.scores.values())}
    warnings = [*_warnings(rows, extra, tuple(separators), jobs)]
    if excluded:
        warnings.append(
            f"left out, since a model was trained on them or on their group: {join_names(excluded, most=20)}"
        )
    if skipped:
        warnings.append(f"songs of one instrument, skipped: {join_names(skipped)}")
    result = StemEvaluation(
        tuple(rows),
        (*separators, *bounds),
        skipped,
        tuple(warnings),
        instruments=tuple(name for name in instruments if name in scored),
        excluded=excluded,
        extra=tuple(extra),
        about={name: one.about for name, one in separators.items() if isinstance(one, CrossValidated) and one.about},
    )
    if out is not None:
        result.write_csv(out, force=force)
    return result


def _job(song: Multitrack, context: tuple[str, ...], separators: Mapping[str, AnySeparator | CrossValidated]) -> Job:
    """Choose the separators of a song, and find out which were trained on it."""
    try:
        chosen = {name: one.of(song) if isinstance(one, CrossValidated) else one for name, one in separators.items()}
        trained = frozenset(name for name, one in chosen.items() if trained_spans(song, one))
    except (InputError, OSError) as error:
        return Job(song, dict.fromkeys(separators), frozenset(), context, str(error))
    return Job(song, chosen, trained, context)


def _require_known(jobs: Sequence[Job], instruments: Sequence[str]) -> None:
    """Raise an error if no model has a stem for any instrument."""
    stems = {name: one.instruments for job in jobs for name, one in job.separators.items() if one is not None}
    if stems and not any(one.stems for model in stems for job in jobs for one in job.matches(model).values()):
        known = "; ".join(f"{name} separates {join_names(names)}" for name, names in stems.items())
        raise InputError(f"no model knows any of the instruments of these songs ({join_names(instruments)}): {known}")


def _warnings(
    rows: Sequence[StemRow], extra: Sequence[StemRow], models: Sequence[str], jobs: Sequence[Job]
) -> Iterator[str]:
    for model in models:
        yield from warnings_of({row.song: row for row in rows if row.model == model}.items(), model, noun="song")
        groups = {job.group for job in jobs if model in job.trained}
        near = [job.song.id for job in jobs if job.song.group in groups and model not in job.trained]
        if near:
            yield f"{model} was trained on other songs of the groups of {join_names(near)}"
        matches = [(name, one) for job in jobs for name, one in job.matches(model).items()]
        missing = dict.fromkeys(name for name, one in matches if not one.stems)
        if missing:
            yield (
                f"{model} has no stem for {join_names([*missing])}: scored as the residual of its stems, or as the "
                "mixture where there is no residual"
            )
        shared = dict.fromkeys(name for name, one in matches if one.stems and not one.known)
        if shared:
            yield f"{model} has one stem for several instruments, scored for each: {join_names([*shared])}"
        unmatched = dict.fromkeys(row.instrument for row in extra if row.model == model)
        if unmatched:
            yield f"{model} also has {join_names([*unmatched])}, which do not play here: their content is leakage"
    kinds: dict[str, list[str]] = {}
    for song, kind in {row.song: row.mixture for row in rows}.items():
        if "," in kind or "differs" in kind:  # it is not simply the sum of the stems
            kinds.setdefault(kind, []).append(song)
    for kind, ids in kinds.items():
        yield f"mixture of {join_names(ids)}: {kind}"
    if len({job.group for job in jobs}) == 1:
        yield single_group_note(len(jobs), noun="song")


def _nanmean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
