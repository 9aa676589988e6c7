"""The runs of a study as one table: scores by corpus, arm, budget, seed and recording."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from levada.beat_tracking.metrics import DOWNBEAT_SCORES
from levada.beat_tracking.metrics import SCORES as BEAT_SCORES
from levada.errors import InputError
from levada.separation.metrics import STEM_SCORES

if TYPE_CHECKING:
    from levada.experiments.store import Run

__all__ = [
    "CEILING",
    "FACTORS",
    "LEADING",
    "MAIN",
    "SCORES",
    "UNTOUCHED",
    "Arm",
    "Key",
    "Place",
    "Results",
    "Scored",
    "collect",
]

SCORES = (*BEAT_SCORES, *STEM_SCORES)
"""What a recording may be scored by, as a tracker and as a separator sees it."""
MAIN = ("beat_f", "downbeat_f", "position_cmlt", "si_sdr_i", "sdr_i")
"""The scores that sentences and verdicts are about."""
ADDED = ("position_cmlt",)  # to the main scores later: runs of before have none
NO_DOWNBEATS = "no downbeats"  # a kind of error
UNTOUCHED = "untouched"
CEILING = "oracle"
"""The best that masks can do; it has heard the stems, so nothing is its rival."""
LEADING = "finetune+augment"
"""The strategy of which the first paragraph speaks, where the study has it."""

NOT_OF_ARMS = ("corpus", "minutes", "seed", "settings.seed", "data", "halves", "ignore_groups", "unscored")
"""What decides a run and is no part of an arm: where, how much and which draw; what is left out goes by the draw."""
_SIDES = {"halves": "in halves", "ignore_groups": "groups ignored"}  # how a corpus is split; names say it
_DIGESTS = ("code", "weights")  # of which names show the beginning
FACTORS = ("strategy", "base", "selection", "augmentation", "layers")
_USUAL = {"selection": "random", "augmentation": "all", "layers": "all"}
_ORDER = (UNTOUCHED, "decoder", "bayes", "nmf", "nmf-conv", "scratch", "finetune", LEADING)


@dataclass(frozen=True)
class Arm:
    """What is compared: all that decides a run but corpus, budget and seed. Runs that differ in any setting differ."""

    strategy: str
    base: str
    selection: str
    augmentation: str
    layers: str
    settings: tuple[tuple[str, str], ...] = ()  # all else that decides, sorted: "trim_s", "settings.learning_rate", …
    name: str = field(default="", compare=False)  # what tables call it

    @property
    def untouched(self) -> bool:
        """Whether it is a model that was given no labels."""
        return self.strategy == UNTOUCHED

    def levels(self) -> dict[str, str]:
        """Give the level of each factor."""
        return {factor: getattr(self, factor) for factor in FACTORS}

    def alike(self, other: Arm) -> int:
        """Count the settings in which another arm is the same."""
        return len(set(self.settings) & set(other.settings))


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
    known: bool | None = None  # whether the model knows that instrument; None where nobody noted it
    downbeats: float = math.nan  # how many downbeats the model gave; NaN where nobody noted it


Key = tuple[str, Arm, float]  # corpus, arm, minutes
Place = tuple[int, str]  # a seed and a recording


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
    trained_on: Mapping[str, Mapping[str, tuple[str, ...]]]  # corpus -> recording left out -> arms trained on it
    shared: Mapping[str, str]  # factors with one level in all arms, and that level
    arm_of: Mapping[str, Arm] = field(default_factory=dict, repr=False)  # by the id of the run
    corpus_of: Mapping[str, str] = field(default_factory=dict, repr=False)  # by the id of the run
    _known_stems: dict[tuple[str, str], Mapping[str, frozenset[str]]] = field(default_factory=dict, repr=False)
    _with_downbeats: dict[tuple[str, Arm], bool] = field(default_factory=dict, repr=False)

    @cached_property
    def scores(self) -> tuple[str, ...]:
        """All scores that recordings of these kinds have."""
        stems, beats = self.has("si_sdr_i"), self.has("beat_f")
        return STEM_SCORES if stems and not beats else SCORES if stems else BEAT_SCORES

    @cached_property
    def main(self) -> tuple[str, ...]:
        """The scores that sentences and verdicts are about."""
        stems, beats = self.has("si_sdr_i"), self.has("beat_f")
        mine = [
            name
            for name in MAIN
            if (stems if name in STEM_SCORES else beats or (not stems and name in BEAT_SCORES))
            and (name not in ADDED or self.has(name))
        ]
        return tuple(mine)

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

    def values(self, key: Key, score: str, *, instrument: str | None = None) -> dict[Place, float]:
        """One score of an arm for each seed and recording; the mean over its stems.

        Stems are those that all arms of the corpus have a value of. With an instrument, that of its stem alone. Scores
        of downbeats are missing for a model that gave none in any recording.
        """
        if score in DOWNBEAT_SCORES and not self._gives_downbeats(key[:2]):
            return {}
        found: dict[Place, list[float]] = {}
        common = self._stems(key[0], score) if instrument is None else {}
        for row in self.table.get(key, ()):
            value = row.scores.get(score, math.nan)
            if math.isnan(value) or instrument not in (None, row.instrument):
                continue
            if not row.instrument or instrument is not None or row.instrument in common[row.track]:
                found.setdefault((row.seed, row.track), []).append(value)
        return {place: sum(several) / len(several) for place, several in found.items()}

    def _stems(self, corpus: str, score: str) -> Mapping[str, frozenset[str]]:
        """Give the stems of each song of which every arm that scored the song has a value."""
        if (corpus, score) not in self._known_stems:
            found: dict[str, dict[tuple[Key, int], set[str]]] = {}
            for key, rows in self.table.items():
                for row in rows if key[0] == corpus else ():
                    of = found.setdefault(row.track, {})
                    if row.instrument and not row.error:
                        stems = of.setdefault((key, row.seed), set())
                        if not math.isnan(row.scores.get(score, math.nan)):
                            stems.add(row.instrument)
            self._known_stems[corpus, score] = {
                track: frozenset[str]().union(*of.values()).intersection(*of.values()) for track, of in found.items()
            }
        return self._known_stems[corpus, score]

    def _gives_downbeats(self, arm: tuple[str, Arm]) -> bool:
        """Whether an arm gave a downbeat in any recording of a corpus."""
        if arm not in self._with_downbeats:
            rows = [row for key, of in self.table.items() if key[:2] == arm for row in of if row.scores]
            if any(not math.isnan(row.downbeats) for row in rows):
                self._with_downbeats[arm] = any(row.downbeats > 0 for row in rows)
            else:  # runs of before that was noted
                none = any(row.kind == NO_DOWNBEATS for row in rows)
                self._with_downbeats[arm] = not none or any(row.scores["downbeat_f"] > 0 for row in rows)
        return self._with_downbeats[arm]

    def seeds_of(self, corpus: str, arm: Arm, minutes: float) -> frozenset[int]:
        """Give the seeds that an arm was scored with."""
        return frozenset(row.seed for row in self.table.get((corpus, arm, minutes), ()) if row.scores)

    def common_seeds(self, corpus: str, minutes: float) -> frozenset[int]:
        """Give the seeds that all arms with a budget were scored with; empty where there is none."""
        of = [self.seeds_of(corpus, arm, minutes) for arm, _ in self.at(corpus, minutes, zero=False)]
        return frozenset.intersection(*of) if of else frozenset()

    def known_of(self, corpus: str, arm: Arm, minutes: float) -> tuple[int, int] | None:
        """Count the instruments that an arm knows, and those it was scored on; None where nobody noted it."""
        rows = [row for row in self.table.get((corpus, arm, minutes), ()) if row.instrument and row.known is not None]
        names = {row.instrument for row in rows}
        return (len({row.instrument for row in rows if row.known}), len(names)) if names else None

    def budgets_of(self, corpus: str) -> tuple[float, ...]:
        """Give the budgets that a corpus has runs of."""
        return tuple(m for m in self.budgets if any(key[0] == corpus and key[2] == m for key in self.table))

    def base_of(self, corpus: str, arm: Arm) -> Arm | None:
        """Give the untouched model that an arm began with; without one, the base of most other arms.

        Of several with its name the one that is most alike in settings.
        """
        free = [other for other in self.arms if other.untouched and (corpus, other, 0.0) in self.table]
        models = {other.base: other for other in sorted(free, key=arm.alike)}
        if arm.base in models:
            return models[arm.base]
        bases = [other.base for other in self.arms if not other.untouched and other.base in models]
        return models[max(sorted(set(bases)), key=bases.count)] if bases else None

    def rivals_of(self, corpus: str, arm: Arm) -> list[Arm]:
        """Give the untouched models other than the one that an arm began with, and than the ceiling.

        Of several with one name the one that is most alike in settings.
        """
        own = self.base_of(corpus, arm)
        free = [a for a in self.arms if a.untouched and a.base != CEILING and (corpus, a, 0.0) in self.table]
        closest = {other.base: other for other in sorted(free, key=arm.alike)}
        return [a for a in free if closest[a.base] is a and (own is None or a.base != own.base)]

    def ceiling_of(self, corpus: str) -> Arm | None:
        """Give the ideal masks, where they were scored."""
        ideal = (arm for arm in self.arms if arm.untouched and arm.base == CEILING)
        return next((arm for arm in ideal if (corpus, arm, 0.0) in self.table), None)

    def find(self, corpus: str, minutes: float, **levels: str) -> list[Arm]:
        """Give the arms with these levels that have runs at a budget."""
        return [
            arm for arm in self.arms if (corpus, arm, minutes) in self.table and levels.items() <= arm.levels().items()
        ]

    def at_random(self, corpus: str, minutes: float, arm: Arm) -> list[Arm]:
        """Give the arm that drew its labels at random and is otherwise the same as one that selected them."""
        if arm.selection in ("", "random"):
            return []
        same = replace(arm, selection="random")
        return [other for other in self.find(corpus, minutes) if other == same]

    def has(self, score: str, corpus: str | None = None) -> bool:
        """Whether any recording has a value of this score."""
        return any(self.values(key, score) for key in self.table if corpus in (None, key[0]))


def collect(runs: Iterable[Run]) -> Results:
    """Order the runs of one or several studies.

    Parameters
    ----------
    runs : iterable of Run
        What `levada.experiments` measured. Runs without a score are kept apart.

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
    trained = _trained_on(table)
    for key, of in table.items():
        table[key] = [row for row in of if row.track not in trained.get(key[0], {})]
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
        trained,
        _shared(arms),
        named,
        corpora,
    )


def _trained_on(table: Mapping[Key, Sequence[Scored]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Recordings of each corpus on which a model was scored that was trained on them, with the names of its arms."""
    found: dict[str, dict[str, dict[str, None]]] = {}
    for (corpus, arm, _), rows in table.items():
        for row in rows:
            if row.trained_on:
                found.setdefault(corpus, {}).setdefault(row.track, {})[arm.name] = None
    return {corpus: {track: tuple(arms) for track, arms in of.items()} for corpus, of in found.items()}


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
            known=None if (known := str(row.get("known", ""))) in ("", "nan") else known.lower() in ("true", "1"),
            downbeats=_number(row.get("downbeats", "")),
        )


def _number(cell: object) -> float:
    try:
        value = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def _named_arms(runs: Sequence[Run]) -> dict[str, Arm]:
    """Arms by id of run, named by what tells them apart."""
    bare = {
        run.id: Arm(**{factor: str(getattr(run, factor)) for factor in FACTORS}, settings=_settings(run))
        for run in runs
    }
    schemes = {arm.selection for arm in bare.values() if arm.selection}
    names: dict[Arm, str] = {}
    for run in runs:
        arm = bare[run.id]
        name = f"{run.label} untouched" if arm.untouched else run.label
        at_random = arm.selection == "random" and len(schemes) > 1
        names[arm] = f"{name}, labels at random" if at_random else name
    namesakes: dict[str, list[Arm]] = {}
    for arm, name in names.items():
        namesakes.setdefault(name, []).append(arm)
    for name, several in namesakes.items():
        for arm, what in zip(several, _differences(several), strict=True):
            names[arm] = f"{name}, {what}" if what else name
    return {run: replace(arm, name=names[arm]) for run, arm in bare.items()}


def _settings(run: Run) -> tuple[tuple[str, str], ...]:
    """All that decides a run and is neither a factor of its arm nor outside of it."""
    known = dict(_flat(run.deciding))
    return tuple(sorted((key, str(known[key])) for key in known.keys() - {*FACTORS, *NOT_OF_ARMS}))


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            yield from _flat(entry, f"{before}{key}.")
        else:
            yield f"{before}{key}", entry


def _differences(arms: Sequence[Arm]) -> list[str]:
    """Say of each of several arms of one name in which settings it differs from the others."""
    known = [dict(arm.settings) for arm in arms]
    keys = sorted({key for one in known for key in one if len({other.get(key, "") for other in known}) > 1})
    return [
        ", ".join(
            f"{key.rpartition('.')[2]} {(one[key][:6] if key in _DIGESTS else one[key]) or 'none'}"
            for key in keys
            if key in one
        )
        for one in known
    ]


def _place(arm: Arm) -> tuple[Any, ...]:
    """Where an arm stands in tables: what costs least first."""
    rank = _ORDER.index(arm.strategy) if arm.strategy in _ORDER else len(_ORDER)
    usual = [getattr(arm, factor) != level for factor, level in _USUAL.items()]
    return (rank, arm.strategy, arm.base, usual, arm.selection, arm.augmentation, arm.layers, arm.settings)


def _shared(arms: Sequence[Arm]) -> dict[str, str]:
    """Give the factors that have one level in all arms that learn."""
    levels = {factor: {getattr(arm, factor) for arm in arms if not arm.untouched} for factor in FACTORS}
    return {factor: next(iter(of)) for factor, of in levels.items() if len(of) == 1}


def _named_corpora(runs: Sequence[Run]) -> dict[str, str]:
    """Name the corpus of each run, with what tells it apart where one name stands for several."""
    digests = {run.id: str(run.deciding.get("data", "")) for run in runs}
    sides = {run.id: tuple(bool(run.deciding.get(key)) for key in _SIDES) for run in runs}
    names = {}
    for run in runs:
        alike = [other.id for other in runs if other.corpus == run.corpus]
        parts = [digests[run.id][:6] or "no digest"] * (len({digests[one] for one in alike}) > 1)
        parts += [
            word if sides[run.id][at] else f"not {word}"
            for at, word in enumerate(_SIDES.values())
            if len({sides[one][at] for one in alike}) > 1
        ]
        names[run.id] = f"{run.corpus} ({', '.join(parts)})" if parts else str(run.corpus)
    return names
