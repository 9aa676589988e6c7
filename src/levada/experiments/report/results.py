"""The runs of a study as one table: scores by corpus, method, budget, seed and recording."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from levada.beat_tracking.metrics import ALL_SCORES as BEAT_SCORES
from levada.beat_tracking.metrics import DOWNBEAT_SCORES
from levada.errors import InputError
from levada.experiments.spec import ALL, PRETRAINED, RANDOM, UNITS
from levada.separation.metrics import STEM_SCORES

if TYPE_CHECKING:
    from levada.experiments.store import Run

__all__ = ["FACTORS", "MAIN", "ORACLE", "SCORES", "Key", "Method", "Results", "ScoreRow", "Unit", "collect"]

SCORES = (*BEAT_SCORES, *STEM_SCORES)
"""Scores of a recording, by a tracker and by a separator."""
MAIN = ("beat_f", "downbeat_f", "position_cmlt", "si_sdr_i", "sdr_i")
"""The scores that sentences and verdicts are about."""
ORACLE = "oracle"
"""Masks made of the true stems: an upper bound, and not a model to compare with."""

NOT_OF_METHODS = ("corpus", *UNITS, "also", "seed", "settings.seed", "data", "halves", "ignore_groups", "unscored")
"""Entries of a run's configuration that do not belong to its method: which data, how much, and which draw."""
_SPLITS = {"halves": "in halves", "ignore_groups": "groups ignored"}  # how a corpus is split, in its name
_DIGESTS = ("code", "weights")  # of which names show the beginning
FACTORS = ("strategy", "base", "selection", "augmentation", "layers")
_DEFAULTS = {"selection": RANDOM, "augmentation": ALL, "layers": ALL}
_ORDER = (PRETRAINED, "decoder", "bayes", "nmf", "nmf-conv", "scratch", "finetune", "finetune+augment", "auto")


@dataclass(frozen=True)
class Method:
    """What is compared: the configuration of a run without corpus, budget and seed."""

    strategy: str
    base: str
    selection: str
    augmentation: str
    layers: str
    settings: tuple[tuple[str, str], ...] = ()  # all other entries, sorted: "trim_s", "settings.learning_rate", …
    name: str = field(default="", compare=False)  # in tables

    @property
    def is_pretrained(self) -> bool:
        """Whether it is a model that is scored without any labels."""
        return self.strategy == PRETRAINED

    def levels(self) -> dict[str, str]:
        """Level of each factor."""
        return {factor: getattr(self, factor) for factor in FACTORS}

    def similarity(self, other: Method) -> int:
        """Number of settings that two methods have in common."""
        return len(set(self.settings) & set(other.settings))


@dataclass(frozen=True)
class ScoreRow:
    """Scores of one recording in one run, or of one of its stems."""

    run: str  # id of the run
    seed: int
    track: str
    group: str  # the recording itself where it has no group
    scores: Mapping[str, float]  # as of `SCORES`; empty after an error
    kind: str
    detail: str
    trained_on: bool
    error: str
    instrument: str = ""  # of the stem; empty for beats
    known: bool | None = None  # whether the model knows that instrument; None where it was not recorded
    downbeats: float = math.nan  # number of downbeats that the model predicted; NaN where it was not recorded


Key = tuple[str, Method, float]  # corpus, method, and budget in the unit of the corpus: minutes, if not other ones
Unit = tuple[int, str]  # a seed and a recording: the unit of statistics


@dataclass(frozen=True)
class Results:
    """All scores of the runs of one or several studies."""

    runs: tuple[Run, ...]  # those with scores
    failed: tuple[Run, ...]  # those without
    table: Mapping[Key, tuple[ScoreRow, ...]]
    costs: Mapping[Key, tuple[Mapping[str, float], ...]]  # of each run
    groups: Mapping[str, Mapping[str, str]]  # corpus -> recording -> group
    corpora: tuple[str, ...]
    methods: tuple[Method, ...]  # models without labels first
    budgets: tuple[float, ...]  # amounts of labels, in the unit of each corpus, without the zero
    trained_on: Mapping[str, Mapping[str, tuple[str, ...]]]  # corpus -> recording left out -> methods trained on it
    shared: Mapping[str, str]  # factors with one level in all methods, and that level
    method_of: Mapping[str, Method] = field(default_factory=dict, repr=False)  # by the id of the run
    corpus_of: Mapping[str, str] = field(default_factory=dict, repr=False)  # by the id of the run
    units: Mapping[str, str] = field(default_factory=dict)  # corpus -> unit of its budgets
    also: Mapping[tuple[Key, str], tuple[ScoreRow, ...]] = field(default_factory=dict)  # by the other corpus
    labelled_min: Mapping[Key, tuple[float, ...]] = field(default_factory=dict, repr=False)  # minutes of labels
    _common: dict[tuple[str, str], Mapping[str, frozenset[str]]] = field(default_factory=dict, repr=False)
    _with_downbeats: dict[tuple[str, Method], bool] = field(default_factory=dict, repr=False)

    @cached_property
    def scores(self) -> tuple[str, ...]:
        """Names of all scores that recordings of these tasks have."""
        stems, beats = self.has("si_sdr_i"), self.has("beat_f")
        return STEM_SCORES if stems and not beats else SCORES if stems else BEAT_SCORES

    @cached_property
    def main(self) -> tuple[str, ...]:
        """Names of the scores that sentences and verdicts are about."""
        return tuple(name for name in MAIN if name in self.scores)

    def unit_of(self, corpus: str | None = None) -> str:
        """Unit of the budgets of a corpus, or of all: "minutes", "files", "fraction"; "budget" where they differ."""
        units = {self.units.get(name, UNITS[0]) for name in (self.corpora if corpus is None else (corpus,))}
        return units.pop() if len(units) == 1 else "budget"

    def axis_of(self, corpus: str | None = None) -> str:
        """Name of the axis of budgets, with its unit."""
        labels = self.labels_of(corpus)
        names = {
            "minutes": f"minutes of {labels}", "files": f"recordings with {labels}",
            "fraction": f"fraction of the {labels} for training", "budget": f"amount of {labels}",
        }  # fmt: skip
        return names[self.unit_of(corpus)]

    def amount_text(self, corpus: str, amount: float) -> str:
        """A budget in sentences: "1.5 minutes of labels"."""
        labels, unit = self.labels_of(corpus), self.unit_of(corpus)
        if unit == "files":
            return f"{labels} of {amount:g} recording{'s' if amount != 1 else ''}"
        if unit == "fraction":
            return f"{100 * amount:g} % of the {labels} for training"
        return f"{amount:g} minute{'s' if amount != 1 else ''} of {labels}"

    def short_text(self, corpus: str, amount: float) -> str:
        """The same in few words, without what is labelled: "1.5 minutes"."""
        return f"{amount:g} minutes" if self.unit_of(corpus) == "minutes" else self.amount_text(corpus, amount)

    def labels_of(self, corpus: str | None = None) -> str:
        """What budgets are of: "labels" or "stems"."""
        stems, beats = self.has("si_sdr_i", corpus), self.has("beat_f", corpus)
        return "labels and stems" if stems and beats else "stems" if stems else "labels"

    def instruments_of(self, corpus: str) -> tuple[str, ...]:
        """Instruments of which a corpus has stems, those of most songs first."""
        songs: dict[str, set[str]] = {}
        for row in (row for key, rows in self.table.items() if key[0] == corpus for row in rows):
            if row.instrument and not math.isnan(row.scores.get("si_sdr_i", math.nan)):
                songs.setdefault(row.instrument, set()).add(row.track)
        return tuple(sorted(songs, key=lambda name: (-len(songs[name]), name)))

    def at(self, corpus: str, minutes: float, *, pretrained: bool = True) -> list[tuple[Method, float]]:
        """Methods of a corpus with a budget and, by default, those without labels; each with its budget."""
        budgets = (minutes, 0.0) if pretrained else (minutes,)
        return [(one, m) for one in self.methods for m in budgets if (corpus, one, m) in self.table]

    def values(self, key: Key, score: str, *, instrument: str | None = None) -> dict[Unit, float]:
        """One score of a method for each seed and recording; of stems, the mean over those of a recording.

        Only stems count of which all methods of the corpus have a value; with `instrument`, only its stem. Scores of
        downbeats are missing for a model that predicted none in any recording.
        """
        if score in DOWNBEAT_SCORES and not self._has_downbeats(key[:2]):
            return {}
        values: dict[Unit, list[float]] = {}
        common = self._common_stems(key[0], score) if instrument is None else {}
        for row in self.table.get(key, ()):
            value = row.scores.get(score, math.nan)
            if math.isnan(value) or instrument not in (None, row.instrument):
                continue
            if not row.instrument or instrument is not None or row.instrument in common[row.track]:
                values.setdefault((row.seed, row.track), []).append(value)
        return {unit: sum(several) / len(several) for unit, several in values.items()}

    def values_on(self, key: Key, other: str, score: str) -> dict[Unit, float]:
        """The same on another corpus that the models of a method were scored on too; on its own as `values`."""
        if other == key[0]:
            return self.values(key, score)
        rows = self.also.get((key, other), ())
        if score in DOWNBEAT_SCORES and not any(row.downbeats != 0 for row in rows):
            return {}
        values: dict[Unit, list[float]] = {}
        for row in rows:
            if not math.isnan(value := row.scores.get(score, math.nan)):
                values.setdefault((row.seed, row.track), []).append(value)
        return {unit: sum(several) / len(several) for unit, several in values.items()}

    def _common_stems(self, corpus: str, score: str) -> Mapping[str, frozenset[str]]:
        """Stems of each song of which every method that scored the song has a value."""
        if (corpus, score) not in self._common:
            scored: dict[str, dict[tuple[Key, int], set[str]]] = {}
            for key, rows in self.table.items():
                for row in rows if key[0] == corpus else ():
                    of_song = scored.setdefault(row.track, {})
                    if row.instrument and not row.error:
                        stems = of_song.setdefault((key, row.seed), set())
                        if not math.isnan(row.scores.get(score, math.nan)):
                            stems.add(row.instrument)
            self._common[corpus, score] = {
                track: frozenset[str]().union(*of.values()).intersection(*of.values()) for track, of in scored.items()
            }
        return self._common[corpus, score]

    def _has_downbeats(self, key: tuple[str, Method]) -> bool:
        """Whether a method predicted a downbeat in any recording of a corpus; True where it was not recorded."""
        if key not in self._with_downbeats:
            counts = [row.downbeats for of, rows in self.table.items() if of[:2] == key for row in rows if row.scores]
            known = [count for count in counts if not math.isnan(count)]
            self._with_downbeats[key] = not known or any(known)
        return self._with_downbeats[key]

    def seeds_of(self, corpus: str, minutes: float | None = None, method: Method | None = None) -> frozenset[int]:
        """Seeds with scores: of a corpus, of one of its budgets, of one method."""
        return frozenset(
            row.seed
            for (name, one, budget), rows in self.table.items()
            if name == corpus and minutes in (None, budget) and method in (None, one)
            for row in rows
            if row.scores
        )

    def common_seeds(self, corpus: str, minutes: float) -> frozenset[int]:
        """Seeds that all methods with a budget were scored with; empty where there is none."""
        seeds = [self.seeds_of(corpus, minutes, method) for method, _ in self.at(corpus, minutes, pretrained=False)]
        return frozenset.intersection(*seeds) if seeds else frozenset()

    def known_of(self, corpus: str, method: Method, minutes: float) -> tuple[int, int] | None:
        """Number of instruments that a method knows, and that it was scored on; None where it was not recorded."""
        rows = [r for r in self.table.get((corpus, method, minutes), ()) if r.instrument and r.known is not None]
        names = {row.instrument for row in rows}
        return (len({row.instrument for row in rows if row.known}), len(names)) if names else None

    def budgets_of(self, corpus: str) -> tuple[float, ...]:
        """Budgets that a corpus has runs of."""
        return tuple(m for m in self.budgets if any(key[0] == corpus and key[2] == m for key in self.table))

    def _pretrained(self, corpus: str, method: Method) -> dict[str, Method]:
        """Models without labels by name; of several with one name the one with the most similar settings."""
        models = [one for one in self.methods if one.is_pretrained and (corpus, one, 0.0) in self.table]
        return {one.base: one for one in sorted(models, key=method.similarity)}

    def base_of(self, corpus: str, method: Method) -> Method | None:
        """The pretrained model that a method started from; without one, the base of most other methods."""
        models = self._pretrained(corpus, method)
        if method.base in models:
            return models[method.base]
        bases = [one.base for one in self.methods if not one.is_pretrained and one.base in models]
        return models[max(sorted(set(bases)), key=bases.count)] if bases else None

    def external_of(self, corpus: str, method: Method) -> list[Method]:
        """The models without labels other than the base of a method and the oracle."""
        base = self.base_of(corpus, method)
        models = {name: one for name, one in self._pretrained(corpus, method).items() if name != ORACLE}
        return [one for one in self.methods if one in models.values() and (base is None or one.base != base.base)]

    def oracle_of(self, corpus: str) -> Method | None:
        """The oracle masks, where they were scored."""
        oracles = (one for one in self.methods if one.is_pretrained and one.base == ORACLE)
        return next((one for one in oracles if (corpus, one, 0.0) in self.table), None)

    def find(self, corpus: str, minutes: float, **levels: str) -> list[Method]:
        """Methods with these levels that have runs at a budget."""
        methods = (one for one, _ in self.at(corpus, minutes, pretrained=False))
        return [one for one in methods if levels.items() <= one.levels().items()]

    def at_random(self, corpus: str, minutes: float, method: Method) -> list[Method]:
        """For a method with selected labels: the one with randomly drawn labels that is otherwise the same."""
        is_selected = method.selection not in ("", RANDOM)
        return [one for one in self.find(corpus, minutes) if is_selected and one == replace(method, selection=RANDOM)]

    def has(self, score: str, corpus: str | None = None) -> bool:
        """Whether any recording has a value of this score."""
        return any(self.values(key, score) for key in self.table if corpus in (None, key[0]))


def collect(runs: Iterable[Run]) -> Results:
    """Arrange the runs of one or several studies.

    Parameters
    ----------
    runs : iterable of Run
        Runs of `levada.experiments`. Those without a score are kept apart.

    Returns
    -------
    Results
        Corpora of one name whose content differs between runs have the digest of the content in their name.

    Raises
    ------
    InputError
        If there are no runs.
    """
    every = sorted(runs, key=lambda run: run.id)
    if not every:
        raise InputError("there are no runs to report on: finish one with `levada study` first")
    method_of, corpus_of = _named_methods(every), _named_corpora(every)
    rows_of = {run.id: list(_rows(run)) for run in every}
    has_scores = {
        run: any(not math.isnan(value) for row in rows for value in row.scores.values())
        for run, rows in rows_of.items()
    }
    scored, failed = (tuple(run for run in every if has_scores[run.id] == wanted) for wanted in (True, False))
    names, units = _with_units(every, corpus_of)
    corpus_of = {run: of[0] for run, of in names.items()}
    table: dict[Key, list[ScoreRow]] = {}
    labelled: dict[Key, list[float]] = {}
    costs: dict[Key, list[Mapping[str, float]]] = {}
    groups: dict[str, dict[str, str]] = {}
    for run, corpus in [(one, corpus) for one in scored for corpus in names[one.id]]:
        key, rows = (corpus, method_of[run.id], run.budget.amount), rows_of[run.id]
        table.setdefault(key, []).extend(rows)
        costs.setdefault(key, []).append(run.costs)
        groups.setdefault(key[0], {}).update({row.track: row.group for row in rows})
        labelled.setdefault(key, []).append(_number(run.record.get("labels_minutes", "")))
    also = _also(scored, names, units, method_of)
    for (_, other), others in also.items():
        groups.setdefault(other, {}).update({row.track: row.group for row in others})
    trained = _trained_on(table)
    methods = tuple(sorted(set(method_of.values()), key=_rank))
    corpora = tuple(sorted({key[0] for key in table} or set(corpus_of.values())))
    budgets = tuple(sorted({run.budget.amount for run in every if run.budget.amount > 0}))
    kept = {key: tuple(row for row in rows if row.track not in trained.get(key[0], {})) for key, rows in table.items()}
    return Results(
        scored, failed, kept, {key: tuple(of) for key, of in costs.items()}, groups, corpora, methods,
        budgets, trained, _shared(methods), method_of, corpus_of, units,
        also, {key: tuple(of) for key, of in labelled.items()},
    )  # fmt: skip


def _also(
    runs: Sequence[Run], names: Mapping[str, tuple[str, ...]], units: Mapping[str, str], method_of: Mapping[str, Method]
) -> dict[tuple[Key, str], tuple[ScoreRow, ...]]:
    """Scores on other corpora, by the key of the method and the name of the other; without what it was trained on."""
    known: dict[tuple[str, str], dict[str, None]] = {}
    for run in runs:
        known.setdefault((run.corpus, str(run.config.get("data", ""))), {}).update(dict.fromkeys(names[run.id]))
    found: dict[tuple[Key, str], list[ScoreRow]] = {}
    for run in runs:
        key = (names[run.id][0], method_of[run.id], run.budget.amount)
        for scored in run.config.get("also", []):
            candidates = list(known.get((scored["corpus"], scored["data"]), {scored["corpus"]: None}))
            alike = [name for name in candidates if units.get(name) == run.budget.unit]
            rows = [row for row in _rows(run, run.also[scored["corpus"]]) if not row.trained_on]
            found.setdefault((key, (alike or candidates)[0]), []).extend(rows)
    return {key: tuple(rows) for key, rows in found.items()}


def _with_units(runs: Sequence[Run], corpus_of: Mapping[str, str]) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Names of the corpus of each run, and the unit of the budgets of each; a corpus with two units is two corpora.

    A model without labels is then scored on both.
    """
    found: dict[str, set[str]] = {}
    for run in runs:
        found.setdefault(corpus_of[run.id], set()).update({run.budget.unit} if run.budget.amount else ())
    names, units = dict[str, tuple[str, ...]](), dict[str, str]()
    usual = sorted({unit for of in found.values() for unit in of}, key=UNITS.index)[:1]
    for run in runs:
        name = corpus_of[run.id]
        of = sorted(found[name], key=UNITS.index) or usual  # nothing is adapted to a corpus that is scored only
        several = {unit: f"{name} ({unit})" if len(of) > 1 else name for unit in of or UNITS[:1]}
        units |= {corpus: unit for unit, corpus in several.items()}
        names[run.id] = (several[run.budget.unit],) if run.budget.amount else tuple(several.values())
    return names, units


def _trained_on(table: Mapping[Key, Sequence[ScoreRow]]) -> dict[str, dict[str, tuple[str, ...]]]:
    """Recordings of each corpus that a scored model was trained on, with the names of its methods."""
    names: dict[str, dict[str, dict[str, None]]] = {}
    for (corpus, method, _), rows in table.items():
        for row in rows:
            if row.trained_on:
                names.setdefault(corpus, {}).setdefault(row.track, {})[method.name] = None
    return {corpus: {track: tuple(methods) for track, methods in of.items()} for corpus, of in names.items()}


def _rows(run: Run, scores: Sequence[Mapping[str, str | float]] | None = None) -> Iterator[ScoreRow]:
    """Rows of a run: those of its corpus, or of another."""
    for row in run.scores if scores is None else scores:
        text = {key: str(row.get(key, "") or "") for key in ("track", "group", "kind", "detail", "error", "instrument")}
        yield ScoreRow(
            **text | {"group": text["group"] or text["track"]},
            run=run.id,
            seed=run.seed,
            scores={} if text["error"] else {name: _number(row.get(name, "")) for name in SCORES},
            trained_on=bool(_flag(row.get("trained_on", ""))),
            known=_flag(row.get("known", "")),
            downbeats=_number(row.get("downbeats", "")),
        )


def _flag(cell: object) -> bool | None:
    return None if str(cell) in ("", "nan") else str(cell).lower() in ("true", "1")


def _number(cell: object) -> float:
    try:
        value = float(cell)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) else math.nan


def _named_methods(runs: Sequence[Run]) -> dict[str, Method]:
    """Methods by id of run; the names of those that share one are extended by the settings in which they differ."""
    methods = {
        run.id: Method(**{factor: getattr(run, factor) for factor in FACTORS}, settings=_settings(run)) for run in runs
    }
    schemes = {method.selection for method in methods.values() if method.selection}
    namesakes: dict[str, list[Method]] = {}
    for run in runs:
        method = methods[run.id]
        name = f"{run.label}, labels at random" if method.selection == RANDOM and len(schemes) > 1 else run.label
        if method not in namesakes.setdefault(name, []):
            namesakes[name].append(method)
    names = {
        method: f"{name}, {difference}" if difference else name
        for name, several in namesakes.items()
        for method, difference in zip(several, _differences(several), strict=True)
    }
    return {run: replace(method, name=names[method]) for run, method in methods.items()}


def _settings(run: Run) -> tuple[tuple[str, str], ...]:
    """All entries of a run's configuration that are settings of its method and no factors."""
    config = dict(_flat(run.config))
    return tuple(sorted((key, str(config[key])) for key in config.keys() - {*FACTORS, *NOT_OF_METHODS}))


def _flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            yield from _flat(entry, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", entry


def _differences(methods: Sequence[Method]) -> list[str]:
    """For each of several methods, the settings in which it differs from the others, as text."""
    settings = [dict(method.settings) for method in methods]
    keys = sorted({key for one in settings for key in one if len({other.get(key, "") for other in settings}) > 1})
    return [
        ", ".join(
            f"{key.rpartition('.')[2]} {(one[key][:6] if key in _DIGESTS else one[key]) or 'none'}"
            for key in keys
            if key in one
        )
        for one in settings
    ]


def _rank(method: Method) -> tuple[Any, ...]:
    """Sorting key of methods in tables: what costs least first."""
    rank = _ORDER.index(method.strategy) if method.strategy in _ORDER else len(_ORDER)
    changed = [getattr(method, factor) != level for factor, level in _DEFAULTS.items()]
    levels = (method.selection, method.augmentation, method.layers)
    return (rank, method.strategy, method.base, changed, *levels, method.settings)


def _shared(methods: Sequence[Method]) -> dict[str, str]:
    """Factors that have one level in all trained methods."""
    levels = {factor: {getattr(one, factor) for one in methods if not one.is_pretrained} for factor in FACTORS}
    return {factor: next(iter(of)) for factor, of in levels.items() if len(of) == 1}


def _named_corpora(runs: Sequence[Run]) -> dict[str, str]:
    """Name of the corpus of each run; several of one name are extended by what they differ in."""
    marks = {
        run.id: (
            str(run.config.get("data", ""))[:6] or "no digest",
            *(text if run.config.get(key) else f"not {text}" for key, text in _SPLITS.items()),
        )
        for run in runs
    }
    names = {}
    for run in runs:
        alike = [marks[other.id] for other in runs if other.corpus == run.corpus]
        parts = [mark for at, mark in enumerate(marks[run.id]) if len({one[at] for one in alike}) > 1]
        names[run.id] = f"{run.corpus} ({', '.join(parts)})" if parts else run.corpus
    return names
