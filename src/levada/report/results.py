"""The runs of a study as one table: scores by corpus, arm, budget, seed and recording."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from levada.errors import InputError
from levada.scores import SCORES as BEAT_SCORES
from levada.scores import STEM_SCORES

if TYPE_CHECKING:
    from levada.study.store import Run

__all__ = ["CEILING", "FACTORS", "LEADING", "MAIN", "SCORES", "UNTOUCHED", "Arm", "Key", "Results", "Scored", "collect"]

SCORES = (*BEAT_SCORES, *STEM_SCORES)
"""What a recording may be scored by, as a tracker and as a separator sees it."""
MAIN = ("beat_f", "downbeat_f", "si_sdr_i", "sdr_i")
"""The scores that sentences and verdicts are about."""
UNTOUCHED = "untouched"
CEILING = "oracle"
"""The best that masks can do; it has heard the stems, so nothing is its rival."""
LEADING = "finetune+augment"
"""The strategy of which the first paragraph speaks, where the study has it."""

FACTORS = ("strategy", "base", "selection", "augmentation", "layers")
_USUAL = {"selection": "random", "augmentation": "all", "layers": "all"}
_ORDER = (UNTOUCHED, "decoder", "bayes", "nmf", "nmf-conv", "scratch", "finetune", LEADING)


@dataclass(frozen=True)
class Arm:
    """What is compared: a model as it came, or a strategy with all that was chosen for it but the budget."""

    strategy: str
    base: str
    selection: str
    augmentation: str
    layers: str
    name: str = field(default="", compare=False)  # what tables call it

    @property
    def untouched(self) -> bool:
        """Whether it is a model that was given no labels."""
        return self.strategy == UNTOUCHED

    def levels(self) -> dict[str, str]:
        """Give the level of each factor."""
        return {factor: getattr(self, factor) for factor in FACTORS}


@dataclass(frozen=True)
class Scored:
    """One recording in one run, or one stem of it."""

    run: str  # id of the run
    seed: int
    track: str
    group: str  # the recording itself where it has no group
    scores: Mapping[str, float]  # as of `SCORES`; empty after an error
    kind: str
    detail: str
    trained_on: bool
    error: str
    instrument: str = ""  # what the stem that was scored should be; empty for beats


Key = tuple[str, Arm, float]  # corpus, arm, minutes


@dataclass(frozen=True)
class Results:
    """All that the runs of one or several studies measured."""

    runs: tuple[Run, ...]  # those with scores
    failed: tuple[Run, ...]  # those without
    table: Mapping[Key, tuple[Scored, ...]]
    costs: Mapping[Key, tuple[Mapping[str, float], ...]]  # of each run
    groups: Mapping[str, Mapping[str, str]]  # corpus -> recording -> group
    corpora: tuple[str, ...]
    arms: tuple[Arm, ...]  # models without labels first
    budgets: tuple[float, ...]  # minutes of labels, without the zero
    shared: Mapping[str, str]  # factors with one level in all arms, and that level
    arm_of: Mapping[str, Arm] = field(default_factory=dict, repr=False)  # by the id of the run
    corpus_of: Mapping[str, str] = field(default_factory=dict, repr=False)  # by the id of the run

    @cached_property
    def scores(self) -> tuple[str, ...]:
        """All scores that recordings of these kinds have."""
        stems, beats = self.has("si_sdr_i"), self.has("beat_f")
        return STEM_SCORES if stems and not beats else SCORES if stems else BEAT_SCORES

    @cached_property
    def main(self) -> tuple[str, ...]:
        """The scores that sentences and verdicts are about."""
        stems, beats = self.has("si_sdr_i"), self.has("beat_f")
        return MAIN[2:] if stems and not beats else MAIN if stems else MAIN[:2]

    def labels_of(self, corpus: str | None = None) -> str:
        """What minutes are counted of: "labels" or "stems"."""
        stems, beats = self.has("si_sdr_i", corpus), self.has("beat_f", corpus)
        return "labels and stems" if stems and beats else "stems" if stems else "labels"

    def instruments_of(self, corpus: str) -> tuple[str, ...]:
        """Give the instruments of which a corpus has stems, those of most songs first."""
        songs: dict[str, set[str]] = {}
        for key, rows in self.table.items():
            for row in rows if key[0] == corpus else ():
                if row.instrument and not math.isnan(row.scores.get("si_sdr_i", math.nan)):
                    songs.setdefault(row.instrument, set()).add(row.track)
        return tuple(sorted(songs, key=lambda name: (-len(songs[name]), name)))

    def at(self, corpus: str, minutes: float, *, zero: bool = True) -> list[tuple[Arm, float]]:
        """Arms of a corpus with this budget and, if asked for, those that need no labels; each with its budget."""
        wanted = (minutes, 0.0) if zero else (minutes,)
        return [(arm, m) for arm in self.arms for m in wanted if (corpus, arm, m) in self.table]

    def values(self, key: Key, score: str, *, instrument: str | None = None) -> dict[tuple[int, str], float]:
        """One score of an arm for each seed and recording; the mean over its stems, and over runs that repeat.

        With an instrument, that of its stem alone.
        """
        found: dict[tuple[int, str], list[float]] = {}
        for row in self.table.get(key, ()):
            value = row.scores.get(score, math.nan)
            if not math.isnan(value) and instrument in (None, row.instrument):
                found.setdefault((row.seed, row.track), []).append(value)
        return {place: sum(several) / len(several) for place, several in found.items()}

    def budgets_of(self, corpus: str) -> tuple[float, ...]:
        """Give the budgets that a corpus has runs of."""
        return tuple(m for m in self.budgets if any(key[0] == corpus and key[2] == m for key in self.table))

    def base_of(self, corpus: str, arm: Arm) -> Arm | None:
        """Give the untouched model that an arm began with; without one, the base of most other arms."""
        models = {other.base: other for other in self.arms if other.untouched and (corpus, other, 0.0) in self.table}
        if arm.base in models:
            return models[arm.base]
        bases = [other.base for other in self.arms if not other.untouched and other.base in models]
        return models[max(sorted(set(bases)), key=bases.count)] if bases else None

    def rivals_of(self, corpus: str, arm: Arm) -> list[Arm]:
        """Give the untouched models other than the one that an arm began with, and than the ceiling."""
        own = self.base_of(corpus, arm)
        free = [a for a in self.arms if a.untouched and a.base != CEILING]
        return [a for a in free if a != own and (corpus, a, 0.0) in self.table]

    def ceiling_of(self, corpus: str) -> Arm | None:
        """Give the ideal masks, where they were scored."""
        ideal = (arm for arm in self.arms if arm.untouched and arm.base == CEILING)
        return next((arm for arm in ideal if (corpus, arm, 0.0) in self.table), None)

    def find(self, corpus: str, minutes: float, **levels: str) -> list[Arm]:
        """Give the arms with these levels that have runs at a budget."""
        return [
            arm for arm in self.arms if (corpus, arm, minutes) in self.table and levels.items() <= arm.levels().items()
        ]

    def has(self, score: str, corpus: str | None = None) -> bool:
        """Whether any recording has a value of this score."""
        return any(self.values(key, score) for key in self.table if corpus in (None, key[0]))


def collect(runs: Iterable[Run]) -> Results:
    """Order the runs of one or several studies.

    Parameters
    ----------
    runs : iterable of Run
        What `levada.study` measured. Runs without a score are kept apart.

    Returns
    -------
    Results
        Corpora of one name whose recordings differ between runs are told apart by their digest.

    Raises
    ------
    InputError
        If there are no runs.
    """
    everything = sorted(runs, key=lambda run: run.id)
    if not everything:
        raise InputError("there are no runs to report on: let `levada study` finish one first")
    good = [run for run in everything if _has_scores(run)]
    failed = tuple(run for run in everything if not _has_scores(run))
    named = _named_arms(everything)
    corpora = _named_corpora(everything)
    table: dict[Key, list[Scored]] = {}
    costs: dict[Key, list[Mapping[str, float]]] = {}
    groups: dict[str, dict[str, str]] = {}
    for run in good:
        key = (corpora[run.id], named[run.id], float(run.minutes))
        rows = list(_rows(run))
        table.setdefault(key, []).extend(rows)
        costs.setdefault(key, []).append(run.costs)
        groups.setdefault(key[0], {}).update({row.track: row.group for row in rows})
    order = {arm: _place(arm) for arm in named.values()}
    arms = tuple(sorted(order, key=order.__getitem__))
    return Results(
        tuple(good),
        failed,
        {key: tuple(rows) for key, rows in table.items()},
        {key: tuple(of) for key, of in costs.items()},
        groups,
        tuple(sorted({key[0] for key in table} or set(corpora.values()))),
        arms,
        tuple(sorted({float(run.minutes) for run in everything if run.minutes > 0})),
        _shared(arms),
        named,
        corpora,
    )


def _has_scores(run: Run) -> bool:
    return any(not math.isnan(_number(row.get(name, ""))) for row in run.scores for name in SCORES)


def _rows(run: Run) -> Iterator[Scored]:
    for row in run.scores:
        track = str(row.get("track", ""))
        error = str(row.get("error", "") or "")
        yield Scored(
            run=run.id,
            seed=int(run.seed),
            track=track,
            group=str(row.get("group", "") or "") or track,
            scores={} if error else {name: _number(row.get(name, "")) for name in SCORES},
            kind=str(row.get("kind", "") or ""),
            detail=str(row.get("detail", "") or ""),
            trained_on=str(row.get("trained_on", "")).lower() in ("true", "1"),
            error=error,
            instrument=str(row.get("instrument", "") or ""),
        )


def _number(cell: object) -> float:
    try:
        value = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def _named_arms(runs: Sequence[Run]) -> dict[str, Arm]:
    """Arms by id of run, named by what tells them apart."""
    bare = {run.id: Arm(*(str(getattr(run, factor)) for factor in FACTORS)) for run in runs}
    schemes = {arm.selection for arm in bare.values() if arm.selection}
    names = {}
    for run in runs:
        arm = bare[run.id]
        name = f"{run.label} untouched" if arm.untouched else run.label
        at_random = arm.selection == "random" and len(schemes) > 1
        names[arm] = f"{name}, labels at random" if at_random else name
    return {run: Arm(**arm.levels(), name=names[arm]) for run, arm in bare.items()}


def _place(arm: Arm) -> tuple[Any, ...]:
    """Where an arm stands in tables: what costs least first."""
    rank = _ORDER.index(arm.strategy) if arm.strategy in _ORDER else len(_ORDER)
    usual = [getattr(arm, factor) != level for factor, level in _USUAL.items()]
    return (rank, arm.strategy, arm.base, usual, arm.selection, arm.augmentation, arm.layers)


def _shared(arms: Sequence[Arm]) -> dict[str, str]:
    """Give the factors that have one level in all arms that learn."""
    levels = {factor: {getattr(arm, factor) for arm in arms if not arm.untouched} for factor in FACTORS}
    return {factor: next(iter(of)) for factor, of in levels.items() if len(of) == 1}


def _named_corpora(runs: Sequence[Run]) -> dict[str, str]:
    """Name the corpus of each run, with its digest where one name stands for several."""
    digests: dict[str, set[str]] = {}
    for run in runs:
        digests.setdefault(str(run.corpus), set()).add(str(run.deciding.get("data", "")))
    return {
        run.id: str(run.corpus)
        if len(digests[str(run.corpus)]) == 1
        else f"{run.corpus} ({str(run.deciding.get('data', ''))[:6] or 'no digest'})"
        for run in runs
    }
