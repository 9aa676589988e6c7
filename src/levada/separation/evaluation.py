"""Separators against songs of which the stems are known: a row for each stem, means with intervals, leaks, warnings.

All models are scored on the same stems, with the same knowledge: which instruments play in a song, but not when. An
instrument that a model has no stem for is scored as what it leaves over of the mixture, and, where it leaves nothing,
as the mixture, which gains 0 dB: who wants that instrument has nothing better. (Silence would be worse than that in
SI-SDR by whatever floor one chooses, and better in SDR, for its error is only as large as the stem.) What a model knows
is in each row, and differences between two models are over what both know.

>>> result = evaluate_stems(corpus.tracks, {"nmf": nmf, "mine": mine}, oracle=True)     # doctest: +SKIP
>>> result.summary()["mine"]["si_sdr_i"]                                               # doctest: +SKIP
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.data import Multitrack
from levada.errors import InputError
from levada.io.tables import card_scores, error_text, join_names, nan_to_none, single_group_note, write_csv
from levada.io.workers import parallel_map
from levada.learning.statistics import Interval, mean_interval, paired_interval
from levada.separation.label_matching import Match, match
from levada.separation.metrics import STEM_SCORES
from levada.separation.song_scores import MIXTURE, ORACLE, HeldOut, Job, Separating, StemRow, score, spans_of

__all__ = ["StemEvaluation", "evaluate_stems"]

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class StemEvaluation:
    """All rows, and what can be said from them."""

    rows: tuple[StemRow, ...]  # for each song in turn, the models in their order
    models: tuple[str, ...]  # the first one is what the others are compared with; mixture and oracle come last
    instruments: tuple[str, ...]  # of the songs, those of most songs first
    skipped: tuple[str, ...] = ()  # ids of songs that are no mixtures
    excluded: tuple[str, ...] = ()  # ids of songs left out because a model was trained on them or on their group
    extra: tuple[StemRow, ...] = ()  # stems of a model that are no instrument of the song: what is in them is a leak
    warnings: tuple[str, ...] = ()  # what a reader of the means must know
    about: Mapping[str, str] = field(default_factory=dict)  # what models were trained on, where that is known

    def of(self, model: str) -> tuple[StemRow, ...]:
        """Give the rows of one model, in the order of the songs."""
        return tuple(row for row in self.rows if row.model == model)

    def summary(self) -> dict[str, dict[str, Interval]]:
        """Mean of each score over songs, of a song over its stems, with its interval over groups."""
        return {model: {name: self._mean(self._songs(model, name)) for name in STEM_SCORES} for model in self.models}

    def by_instrument(self, name: str = "si_sdr_i") -> dict[str, dict[str, Interval]]:
        """Mean of one score over the songs that have an instrument, for each model and instrument."""
        return {
            model: {one: self._mean(self._songs(model, name, instrument=one)) for one in self.instruments}
            for model in self.models
        }

    def knows(self, model: str) -> tuple[str, ...]:
        """Give the instruments that a model has a stem of, in at least one song."""
        known = {row.instrument for row in self.of(model) if row.known}
        return tuple(name for name in self.instruments if name in known)

    def differences(self) -> dict[str, dict[str, Interval]]:
        """Mean paired difference of each score to the first model, for every other one.

        Over songs, of a song over the instruments that both models know.
        """
        first = self.models[0]
        return {
            model: {
                name: paired_interval(*self._paired(model, first, name), groups=self._groups()) for name in STEM_SCORES
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
            Mean over songs of the share of an instrument that is in a stem: see `levada.separation.metrics.leakage`.
        """
        mine = [row for row in (*self.of(model), *self.extra) if row.model == model and row.shares]
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

    def card_scores(self, model: str) -> dict[str, str]:
        """Give what the card of a model says of its scores here."""
        means = self.summary()[model]
        groups = {row.song: row.group or row.song for row in self.of(model) if not row.error}
        known = f"{len(self.knows(model))} of {len(self.instruments)} instruments"
        shown = {name: means[name] for name in ("si_sdr_i", "sdr_i", "leak_db")}
        return card_scores({**shown, "knows": known}, groups, noun="song")

    def write_csv(self, path: str | Path, *, force: bool = False) -> None:
        """Write one line for each row.

        Raises
        ------
        InputError
            If the file exists and `force` is not given, or cannot be written.
        """
        write_csv(path, [row.flat() for row in self.rows], force=force)

    def to_json(self) -> str:
        """Everything as JSON; what is not a number is null."""
        whole: dict[str, Any] = {"models": self.models, "instruments": self.instruments, "about": dict(self.about)}
        tables = {"summary": self.summary(), "differences": self.differences(), "by_instrument": self.by_instrument()}
        for name, table in tables.items():
            whole[name] = {m: {s: nan_to_none(vars(i)) for s, i in scores.items()} for m, scores in table.items()}
        whole["leaks"] = {}
        for model in self.models:
            stems, instruments, shares = self.leaks(model)
            whole["leaks"][model] = {
                stem: nan_to_none(dict(zip(instruments, row, strict=True)))
                for stem, row in zip(stems, shares.tolist(), strict=True)
            }
        whole["knows"] = {model: self.knows(model) for model in self.models}
        whole |= {"warnings": self.warnings, "skipped": self.skipped, "excluded": self.excluded}
        whole["rows"] = [nan_to_none(row.flat()) for row in self.rows]
        return json.dumps(whole, indent=1, allow_nan=False)

    def _songs(self, model: str, name: str, *, instrument: str | None = None) -> list[float]:
        """One value a song: the mean of its stems that have one."""
        found: dict[str, list[float]] = {song: [] for song in dict.fromkeys(row.song for row in self.rows)}
        for row in self.of(model):
            if instrument in (None, row.instrument):
                found[row.song].append(row.scores.get(name, math.nan))
        return [_nanmean(values) for values in found.values()]

    def _paired(self, model: str, other: str, name: str) -> tuple[list[float], list[float]]:
        """One value a song for each of two models: means over the stems that both know and that have a score."""
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

    def _mean(self, values: Sequence[float]) -> Interval:
        return mean_interval(values, groups=self._groups())


def evaluate_stems(
    songs: Iterable[Multitrack],
    separators: Mapping[str, Separating | HeldOut],
    *,
    out: str | Path | None = None,
    force: bool = False,
    oracle: bool = False,
    exclude_trained: bool = False,
    processes: int = 1,
    progress: Callable[[int, int, str], None] | None = None,
) -> StemEvaluation:
    """Score every separator on every song with stems.

    The mixture itself, taken for every stem, is scored beside them: its improvement is 0 dB by definition. Instruments
    and stems that are called differently are matched (`levada.separation.label_matching`). What is separated is the
    recorded mixture, if there is one and it is made of the stems (`Multitrack.fit`). Songs of more than two minutes are
    separated in windows of at most two, each with a little more on either side, so that memory does not grow.

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
        Whether to leave out the songs that any of the separators was trained on, and all others of their groups.
    processes : int
        How many processes work at once. With more than one, separators must be picklable.
    progress : callable, optional
        Called with the number done, the number in all and the song's id after each song.

    Returns
    -------
    StemEvaluation
        A song that cannot be read, and a separator that fails on one, are rows with an error.

    Raises
    ------
    InputError
        If there is no separator or no mixture of two instruments, if no separator could be scored on any song or knows
        any of the instruments, if a model was trained on every group, or if `out` exists and `force` is not given.
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
    jobs = [_job(song, instruments, separators) for song in mixtures]
    excluded: tuple[str, ...] = ()
    if exclude_trained:
        groups = _trained_groups(jobs)
        excluded = tuple(job.song.id for job in jobs if (job.song.group or job.song.id) in groups)
        jobs = [job for job in jobs if job.song.id not in excluded]
        if not jobs:
            raise InputError(f"a model was trained on each of the {len(groups)} groups: no song is left to score on")
    stems = {name: one.instruments for job in jobs for name, one in job.separators.items() if one is not None}
    if stems and not any(one.stems for model in stems for job in jobs for one in _matched(job, model).values()):
        given_by = "; ".join(f"{name} separates {join_names(theirs)}" for name, theirs in stems.items())
        raise InputError(
            f"no model knows any of the instruments of these songs ({join_names(instruments)}): {given_by}"
        )
    found: dict[int, list[StemRow]] = {}
    work = partial(score, oracle=oracle)
    for done, (job, outcome) in enumerate(parallel_map(work, jobs, processes=processes), start=1):
        found[id(job)] = job.failed(error_text(outcome)) if isinstance(outcome, Exception) else outcome
        if progress is not None:
            progress(done, len(jobs), job.song.id)
    every = [row for job in jobs for row in found[id(job)]]
    rows, extra = [row for row in every if row.plays], [row for row in every if not row.plays]
    if all(row.error for row in rows if row.model in separators):
        raise InputError(f"none of {len(jobs)} songs could be scored; the first: {rows[0].error}")
    models = (*separators, MIXTURE, *([ORACLE] if oracle else []))
    skipped = tuple(song.id for song in given if len(song.instruments) < 2)
    labels = {row.instrument for row in rows if any(not math.isnan(value) for value in row.scores.values())}
    scored = tuple(name for name in instruments if name in labels)
    warnings = [*_warnings(rows, extra, tuple(separators), jobs)]
    if excluded:
        warnings.append(
            f"left out, for a model was trained on them or on others of their group: {join_names(excluded, most=20)}"
        )
    if skipped:
        warnings.append(f"of one instrument, with nothing to take apart, and skipped: {join_names(skipped)}")
    about = {name: one.about for name, one in separators.items() if isinstance(one, HeldOut) and one.about}
    result = StemEvaluation(tuple(rows), models, scored, skipped, excluded, tuple(extra), tuple(warnings), about)
    if out is not None:
        result.write_csv(out, force=force)
    return result


def _job(song: Multitrack, context: tuple[str, ...], separators: Mapping[str, Separating | HeldOut]) -> Job:
    """Decide who separates a song, and find out who was trained on it."""
    try:
        asked = {name: one.of(song) if isinstance(one, HeldOut) else one for name, one in separators.items()}
        trained = frozenset(name for name, one in asked.items() if spans_of(song, one))
    except (InputError, OSError) as error:
        return Job(song, dict.fromkeys(separators), frozenset(), context, str(error))
    return Job(song, asked, trained, context)


def _trained_groups(jobs: Sequence[Job], models: Collection[str] | None = None) -> set[str]:
    """Groups with a song that one of the models, any by default, was trained on."""
    return {
        job.song.group or job.song.id for job in jobs if (job.trained if models is None else job.trained & {*models})
    }


def _warnings(
    rows: Sequence[StemRow], extra: Sequence[StemRow], models: Sequence[str], jobs: Sequence[Job]
) -> Iterator[str]:
    """Say what a reader of the means must know."""
    for model in models:
        mine = [row for row in rows if row.model == model]
        songs = len({row.song for row in mine})
        known = list(dict.fromkeys(row.song for row in mine if row.trained_on and not row.error))
        if known:
            yield (
                f"{model} was trained on {len(known)} of the {songs} songs it is scored on ({join_names(known)}): "
                "there its scores tell what it remembers, not what it would do elsewhere"
            )
        groups = _trained_groups(jobs, [model])
        near = [job.song.id for job in jobs if job.song.group in groups and model not in job.trained]
        if near:
            yield f"{model} was trained on other songs of the groups of {join_names(near)}"
        failed = list({row.song: row for row in mine if row.error}.values())
        if failed:
            yield (
                f"{model} has no scores for {len(failed)} of {songs} songs "
                f"({join_names([row.song for row in failed])}) and its means leave them out; "
                f"the first: {failed[0].error}"
            )
        found = [(name, one) for job in jobs for name, one in _matched(job, model).items()]
        lacks = dict.fromkeys(name for name, one in found if not one.stems)
        if lacks:
            yield (
                f"{model} does not know {join_names([*lacks])}: scored as what its other stems leave of the mixture, "
                "or as the mixture where they leave nothing"
            )
        shared = dict.fromkeys(name for name, one in found if one.stems and not one.known)
        if shared:
            yield f"{model} does not tell {join_names([*shared])} apart: each is scored by the stem that holds them all"
        spare = dict.fromkeys(row.instrument for row in extra if row.model == model)
        if spare:
            yield f"{model} also gives {join_names([*spare])}, which nobody plays here: what is in them is a leak"
    for what, ids in _mixtures(rows).items():
        yield f"mixture of {join_names(ids)}: {what}"
    if len({job.song.group or job.song.id for job in jobs}) == 1:
        yield single_group_note(len(jobs), noun="song")


def _mixtures(rows: Sequence[StemRow]) -> dict[str, list[str]]:
    """Songs whose mixture is not simply the sum of its stems, by what it is."""
    found: dict[str, list[str]] = {}
    for song, what in {row.song: row.mixture for row in rows if "," in row.mixture or "differs" in row.mixture}.items():
        found.setdefault(what, []).append(song)
    return found


def _matched(job: Job, model: str) -> dict[str, Match]:
    """Where a model puts the instruments of a song; nothing if there is no such model for it."""
    separator = job.separators[model]
    if separator is None:
        return {}
    return match(job.song.instruments, separator.instruments, context=job.context)


def _nanmean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan
