"""The grid of a study: every combination is a plan, once, and its id is a hash of its configuration."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import product
from typing import Any, get_args, get_origin, get_type_hints

from levada.data import Corpus
from levada.errors import InputError, MissingExtra, suggest
from levada.experiments.code_version import code_digest
from levada.experiments.compared_models import display_names, trained_items
from levada.experiments.corpora import OpenCorpus, Split, sample_labels, split_corpus
from levada.experiments.spec import ALL, NONE, PRETRAINED, RANDOM, TASKS, UNITS, Budget, Source, Study
from levada.io.toml import line_of
from levada.learning.names import EXTERNAL_TRACKERS, FLUX, shipped
from levada.learning.task import BaseModel, Task

__all__ = ["AlsoScored", "Grid", "Plan", "fingerprint", "make_grid", "settings_of"]

WITH, WITHOUT = "finetune+augment", "finetune"
FACTORS = ("seed", "layers", "augmentation", "strategy")
"""Levels of the grid, which are not settings."""
OPTIONAL, OPTIONAL_SETTINGS = (*UNITS[1:], "also"), ("channels",)
"""Entries and settings that runs did not have before; without a value they are no part of a configuration, whose id
stays."""


@dataclass(frozen=True)
class AlsoScored:
    """Another corpus that an adapted model is scored on; see `Plan`."""

    corpus: str
    data: str
    test_share: float
    halves: bool
    ignore_groups: bool
    unscored: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """Configuration of a run: everything that its result depends on.

    Parameters
    ----------
    corpus : str
        Name of the corpus in the study.
    strategy : str
        "pretrained", or a strategy of adaptation.
    base : str
        Name in tables of the model that is scored or adapted; empty for a strategy from scratch.
    minutes, files, fraction : float
        Budget of labels, in one of these units; all are 0 without labels.
    selection : str
    augmentation, layers : tuple of str
        These three are empty where they do not apply to the strategy.
    seed : int
    test_share : float
    trim_s : float or None
    halves, ignore_groups : bool
        As of `spec.Source`.
    settings : dataclass, optional
        All settings of the strategy, augmentation, layers and seed among them; the configuration has those of
        `OPTIONAL_SETTINGS` only where they are given.
    code, data, weights : str
        Digests of the code, of the content of the corpus and of the base.
    task : {"beats", "stems"}
    unscored : tuple of str
        Ids of test recordings that are left out, since a compared model was trained on them.
    also : tuple of AlsoScored
        Test sets of other corpora that are scored too, with the seed of this one.
    """

    corpus: str
    strategy: str
    base: str
    minutes: float
    selection: str
    augmentation: tuple[str, ...]
    layers: tuple[str, ...]
    seed: int
    test_share: float
    trim_s: float | None
    halves: bool
    ignore_groups: bool
    settings: Any = None
    code: str = ""
    data: str = ""
    weights: str = ""
    task: str = "beats"
    unscored: tuple[str, ...] = ()
    files: int = 0
    fraction: float = 0.0
    also: tuple[AlsoScored, ...] = ()

    @property
    def budget(self) -> Budget:
        """Budget of labels."""
        return Budget.of({unit: getattr(self, unit) for unit in UNITS})

    def config(self) -> dict[str, Any]:
        """The same as plain values, with one text for each level."""
        levels = {"augmentation": "+".join(self.augmentation), "layers": "+".join(self.layers)}
        config: dict[str, Any] = _plain(asdict(self) | levels)
        for key in OPTIONAL:
            if not config[key]:
                del config[key]
        for key in OPTIONAL_SETTINGS:
            if config["settings"] and config["settings"].get(key, 0) is None:
                del config["settings"][key]
        return config

    @property
    def id(self) -> str:
        """16 hexadecimal digits: the fingerprint of the configuration."""
        return fingerprint(self.config())


def _plain(value: Any) -> Any:
    """Values of JSON; numbers that are not finite become text."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def fingerprint(config: Mapping[str, Any]) -> str:
    """Id of a run, from its configuration."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Grid:
    """All runs of a study, and what is left out of it.

    Parameters
    ----------
    plans : tuple of Plan
        Each once, ordered by seed, so that a study that was stopped can be reported.
    sources : mapping of str to Source
        The corpora by name.
    left_out : tuple of str
        Parts of the spec that cannot be run, and why.
    notes : tuple of str
        Caveats for readers of the scores.
    models : mapping of str to str
        Names and folders of models by their names in plans.
    """

    plans: tuple[Plan, ...]
    sources: Mapping[str, Source]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)


def make_grid(study: Study, corpora: Sequence[OpenCorpus], *, left_out: Sequence[str] = ()) -> Grid:
    """Make the grid of a study.

    Parameters
    ----------
    study : Study
    corpora : sequence of OpenCorpus
        Those that are available.
    left_out : sequence of str
        What could not be opened, and why.

    Returns
    -------
    Grid

    Raises
    ------
    InputError
        If the spec names a strategy, model, scheme, layer or setting that does not exist, a recording cannot be read,
        or nothing can be run.
    """
    _check(study)
    builder = _Builder(study, TASKS[study.task], list(left_out), {}, display_names(study))
    models = builder.scored_models()
    bases = builder.bases()
    trained = builder.trained_on({*models, *(base.name for base in bases)})
    plans, unscored = dict[str, Plan](), dict[str, dict[str, str]]()
    for seed in study.seeds:
        sides = dict[str, tuple[Source, Split, AlsoScored]]()
        for opened in corpora:
            source = opened.source
            if (split := builder.split(opened, seed)) is None:
                continue
            excluded = trained_items(source, opened.corpus, split.test, trained)
            unscored.setdefault(source.name, {}).update(excluded)
            if len(excluded) == len(split.test):
                builder.leave_out(f"{source.name}, seed {seed}: models were trained on all recordings of the test set")
                continue
            share = 0.5 if source.halves else study.test if source.adapt else 1.0
            scored = AlsoScored(
                source.name, opened.digest, share, source.halves, source.ignore_groups, tuple(sorted(excluded))
            )
            sides[source.name] = source, split, scored
        for source, split, scored in sides.values():
            common = {
                **{entry.name: getattr(scored, entry.name) for entry in fields(scored)}, "seed": seed,
                "trim_s": study.trim_s if study.task == "beats" else None, "code": code_digest(), "task": study.task,
            }  # fmt: skip
            also = tuple(sides[name][2] for name in study.also if name in sides and name != source.name)
            budgets = builder.feasible_budgets(source, split, seed) if source.adapt else []
            for plan in [
                *builder.pretrained(models, common),
                *builder.trained(bases, budgets, {**common, "also": also}),
            ]:
                plans.setdefault(plan.id, plan)
    builder.report_budgets()
    if not plans:
        why = "; ".join(builder.left_out) or "every list in it is empty"
        raise InputError(f"leaves nothing to run: {why}", path=study.path)
    notes = [
        f"{opened.source.name}: it is unknown who plays on its recordings, so each is a group of its own; a performer "
        "may be on both sides of a split"
        for opened in corpora
        if opened.corpus.grouping == Corpus.grouping and not opened.source.halves and not opened.source.render
    ]
    sources = {opened.source.name: opened.source for opened in corpora}
    notes += [f"{name}: groups are ignored" for name, source in sources.items() if source.ignore_groups]
    notes += [
        f"{name}: left out of the scores of all models, as one was trained on them: "
        + ", ".join(f"{one} ({why})" for one, why in sorted(items.items()))
        for name, items in unscored.items()
        if items
    ]
    paths = {label: name for name, label in builder.names.items()}
    return Grid(tuple(plans.values()), sources, tuple(builder.left_out), tuple(notes), paths)


def settings_of(study: Study, strategy: str, *, network: str = "") -> list[Any]:
    """Settings of a strategy: its defaults for the network of a base, with the changes of the spec.

    A setting whose value is a list is an axis of the grid.

    Parameters
    ----------
    study : Study
    strategy : str
    network : str
        Class of the network of the base in model folders.

    Returns
    -------
    list
        Settings for each combination of the values that are listed; one where nothing is.

    Raises
    ------
    InputError
        If the spec has a setting that does not exist or of another type; with its line.
    """
    task = TASKS[study.task]
    defaults = task.default_settings(network=network)
    general = {key: value for key, value in study.settings.items() if not isinstance(value, dict)}
    own = {key: value for key, value in study.settings.items() if isinstance(value, dict)}
    for name in own:
        _require(study, name, defaults, "there is no strategy {!r} to set", "settings", name)
    fixed = set(task.NON_NEURAL) - set(task.OWN_SETTINGS)
    hints = {name: {} if name in fixed else get_type_hints(type(usual)) for name, usual in defaults.items()}
    every = {name: set(of) for name, of in hints.items()}  # of any network, as a spec may have bases of several
    for other in task.NETWORKS:
        for name, usual in task.default_settings(network=other).items():
            every[name] |= set() if name in fixed else set(get_type_hints(type(usual)))
    known = sorted({key for name, of in every.items() if name not in task.NON_NEURAL for key in of} - set(FACTORS))
    for key in general:
        _require(study, key, known, "{!r} is not a setting of any strategy", "settings", key)
    for name, key in ((name, key) for name, entries in own.items() for key in entries):
        known = sorted(every[name] - set(FACTORS))
        _require(study, key, known, f"{{!r}} is not a setting of {name}", "settings", name, key)
    shared = general if strategy not in task.NON_NEURAL else {}  # general settings are those of networks
    given = {**shared, **own.get(strategy, {})}
    changed = {key: value for key, value in given.items() if key in hints[strategy]}
    axes = list[list[Any]]()
    for key, value in changed.items():
        where = (strategy, key) if key in own.get(strategy, {}) else (key,)
        axes.append(_axis(study, key, value, hints[strategy][key], *where))
    try:
        return [replace(defaults[strategy], **dict(zip(changed, values, strict=True))) for values in product(*axes)]
    except (InputError, TypeError, ValueError) as error:
        raise _error(study, f"these settings of {strategy} are invalid: {error}", "settings") from None


def _axis(study: Study, key: str, value: Any, hint: Any, *where: str) -> list[Any]:
    """Values of a setting: those of a list, or the one that is given; a tuple is a list in the spec too."""
    is_tuple = get_origin(hint) is tuple
    is_axis = isinstance(value, list) and (not is_tuple or all(isinstance(entry, list) for entry in value))
    if is_axis and not value:
        raise _error(study, f"{key} is empty: list its values, or leave it out for its default", "settings", *where)
    values = list[Any]()
    for entry in value if is_axis else [value]:
        if is_tuple:
            if not isinstance(entry, list) or not entry:
                raise _error(study, f"{key} must be a list of values, not {entry!r}", "settings", *where)
            of_entry = get_args(hint)[0]
            typed: Any = tuple(_typed(study, key, number, of_entry, *where) for number in entry)
        else:
            typed = _typed(study, key, entry, hint, *where)
        if typed in values:
            raise _error(study, f"{key} has {entry!r} twice", "settings", *where)
        values.append(typed)
    return values


def _typed(study: Study, key: str, value: Any, hint: Any, *where: str) -> Any:
    """A setting as the type of its field."""
    types = set(getattr(hint, "__args__", ())) | {hint}
    if type(value) in types & {bool, str}:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        is_whole = int in types and float not in types
        least = 1 if key in ("steps", "batch", "channels") else 0
        if {int, float} & types and (isinstance(value, int) or not is_whole) and least <= value < float("inf"):
            return value if is_whole else float(value)
    wanted = "a whole number" if int in types else "a number" if float in types else "of its type"
    raise _error(study, f"{key} must be {wanted} in its range, not {value!r}", "settings", *where)


def _error(study: Study, problem: str, *keys: str) -> InputError:
    line = None if study.path is None else line_of(study.path, *keys)
    return InputError(problem, path=study.path, line=line)


def _require(study: Study, name: str, known: Collection[str], problem: str, *keys: str) -> None:
    """Refuse an unknown name, with the nearest known ones."""
    if name not in known:
        raise _error(study, f"{problem.format(name)}; {suggest(name, known)}", *keys)


def _check(study: Study) -> None:
    """Refuse unknown names before anything is loaded."""
    task = TASKS[study.task]
    strategies, schemes = task.strategies(), task.selections()
    trained = [name for name in study.strategies if name != PRETRAINED]
    for strategy in trained:
        _require(study, strategy, [PRETRAINED, *strategies], "there is no strategy {!r}", "strategies")
    for scheme in study.selection:
        _require(study, scheme, schemes, "there is no selection {!r}", "selection")
    for strategy in trained or task.NON_NEURAL[:1]:
        settings_of(study, strategy)


@dataclass(frozen=True)
class _Builder:
    """A grid while it is built, and what is left out of it."""

    study: Study
    task: Task
    left_out: list[str]
    too_large: dict[tuple[str, Budget], tuple[list[int], str]]  # corpora and budgets: the seeds, and why
    names: Mapping[str, str]  # of the models, in tables

    def leave_out(self, sentence: str) -> None:
        if sentence not in self.left_out:
            self.left_out.append(sentence)

    def look_up(self, key: str, function: Callable[[str], Any], names: Sequence[str] | None = None) -> dict[str, Any]:
        """Result of a function for each model of a list; a model that is not installed is left out."""
        results = {}
        for name in getattr(self.study, key) if names is None else names:
            try:
                results[name] = function(name)
            except InputError as error:
                if name not in EXTERNAL_TRACKERS and not isinstance(error, MissingExtra):
                    problem = str(error)
                    if problem.startswith("there is no model") and "/" not in name:
                        known = [*shipped(), FLUX, *EXTERNAL_TRACKERS]
                        problem = f"there is no model {name!r}; {suggest(name, known)}, and folders of models"
                    raise _error(self.study, problem, key) from None
                self.leave_out(f"{name}: {error}")
        return results

    def scored_models(self) -> dict[str, str]:
        """Fingerprints of the models that are scored without labels."""
        bases = self.study.bases_for(PRETRAINED) if PRETRAINED in self.study.strategies else ()
        return self.look_up("bases", self.task.fingerprint, bases) | self.look_up("external", self.task.fingerprint)

    def bases(self) -> list[BaseModel]:
        """The models that are trained on."""
        trained = [name for name in self.study.strategies if name not in (PRETRAINED, *self.task.FROM_SCRATCH)]
        names = list(dict.fromkeys(base for strategy in trained for base in self.study.bases_for(strategy)))
        return list(self.look_up("bases", self.task.base_model, names).values())

    def trained_on(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """SHA-256 of the files that each model was trained on, by its name in tables."""
        files = dict[str, frozenset[str]]()
        for name in names:
            with suppress(MissingExtra):
                files[self.names.get(name, name)] = self.task.trained_on(name)
        return files

    def split(self, opened: OpenCorpus, seed: int) -> Split | None:
        """Split of a corpus; None where it cannot be split."""
        try:
            return split_corpus(opened.source, opened.corpus, seed=seed, test=self.study.test)
        except InputError as error:
            self.leave_out(f"{opened.source.name}: {error.problem}")
            return None

    def feasible_budgets(self, source: Source, split: Split, seed: int) -> list[Budget]:
        """Budgets that the training side is large enough for."""
        budgets = list[Budget]()
        for budget in source.budgets or self.study.budgets:
            try:
                sample_labels(split, task=self.study.task, budget=budget, selection=RANDOM, seed=seed)
                budgets.append(budget)
            except InputError as error:
                self.too_large.setdefault((source.name, budget), ([], error.problem))[0].append(seed)
        return budgets

    def report_budgets(self) -> None:
        """Leave out each budget that is too large once, with its seeds."""
        unit = "stems" if self.study.task == "stems" else "labels"
        for (name, budget), (seeds, problem) in self.too_large.items():
            which = "" if len(seeds) == len(self.study.seeds) else f" with seed {', '.join(map(str, seeds))}"
            amount = f"{budget.amount:g} minutes of {unit}" if budget.unit == "minutes" else f"{unit} of {budget.text}"
            self.leave_out(f"{name}, {amount}{which}: of the training side, {problem}")

    def pretrained(self, models: Mapping[str, str], common: Mapping[str, Any]) -> list[Plan]:
        """A plan for each model that is scored without labels."""
        same: dict[str, Any] = {"minutes": 0.0, "selection": "", "augmentation": (), "layers": ()}
        return [
            Plan(**common, **same, strategy=PRETRAINED, base=self.names[name], weights=digest)
            for name, digest in models.items()
        ]

    def trained(self, bases: Sequence[BaseModel], budgets: Iterable[Budget], common: Mapping[str, Any]) -> list[Plan]:
        """A plan for each combination of budget, strategy, selection, base, augmentation, layers and settings."""
        study, plans = self.study, list[Plan]()
        strategies = [name for name in study.strategies if name != PRETRAINED]
        levels = list(product(study.augmentation, study.layers))
        for budget, strategy, selection in product(budgets, strategies, study.selection):
            of = [base for base in bases if base.name in study.bases_for(strategy)]
            for base, (kinds, layers) in product([None] if strategy in self.task.FROM_SCRATCH else of, levels):
                prefixes = () if strategy in (*self.task.NON_NEURAL, *self.task.FROM_SCRATCH) else layers
                if base is not None and prefixes not in ((), (ALL,)) and not self.has_layers(base, prefixes):
                    continue
                name, level = self.augmentation(strategy, kinds)
                base_name, digest = ("", "") if base is None else (self.names[base.name], base.digest)
                plans += [
                    Plan(
                        **common, **budget.levels, strategy=name, base=base_name, selection=selection,
                        augmentation=level, layers=prefixes, settings=settings, weights=digest,
                    )
                    for settings in self.settings(name, level, prefixes, common["seed"], base)
                ]  # fmt: skip
        return plans

    def has_layers(self, base: BaseModel, prefixes: Sequence[str]) -> bool:
        """Whether a network has layers whose names begin with each of these."""
        missing = [prefix for prefix in prefixes if not any(name.startswith(prefix) for name in base.parameters)]
        if not missing:
            return True
        known = list(dict.fromkeys(name.split(".")[0] for name in base.parameters))
        if len(self.study.bases) == 1:
            raise _error(
                self.study, f"{base.name} has no layers {missing[0]!r}; {suggest(missing[0], known)}", "layers"
            )
        if not self.study.bases_of:  # which strategy has which bases is not said, and so not which has which layers
            self.leave_out(f"{base.name} has no layers {', '.join(missing)}: there are {', '.join(known)}")
        return False

    def augmentation(self, strategy: str, kinds: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """A strategy and its level of augmentation; fine-tuning with no augmentation is plain fine-tuning."""
        has_augmentation = hasattr(self.task.default_settings()[strategy], "augmentation")
        if strategy == WITHOUT or strategy in self.task.NON_NEURAL or not has_augmentation:
            return strategy, ()
        if strategy == WITH and kinds == (NONE,):
            return WITHOUT, ()
        is_single = kinds in ((ALL,), (NONE,))
        return strategy, kinds if is_single else tuple(kind for kind in self.task.AUGMENTATIONS if kind in kinds)

    def settings(
        self, strategy: str, kinds: tuple[str, ...], layers: tuple[str, ...], seed: int, base: BaseModel | None
    ) -> list[Any]:
        """Settings of the runs of a strategy; None where it has none."""
        if strategy in self.task.WITHOUT_SETTINGS:
            return [None]
        found = settings_of(self.study, strategy, network="" if base is None else base.network)
        names = {entry.name for entry in fields(found[0])}
        changed: dict[str, Any] = {"seed": seed} if "seed" in names else {}
        if "layers" in names and layers not in ((), (ALL,)):
            changed["layers"] = layers
        if "augmentation" in names and kinds != (ALL,):
            names_of = [self.task.AUGMENTATIONS[kind] for kind in kinds if kind != NONE]
            kept = {name: getattr(found[0].augmentation, name) for name in names_of}
            changed["augmentation"] = replace(self.task.no_augmentation(), **kept)
        return [replace(settings, **changed) for settings in found]
