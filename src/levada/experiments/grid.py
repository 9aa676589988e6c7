"""The grid of a study: every combination is a plan, once, and its id is the hash of all that decides its result."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any, get_type_hints

from levada.beat_tracking.augmentation import NO_AUGMENTATION as UNCHANGED
from levada.beat_tracking.augmentation import Augmentation
from levada.beat_tracking.pretrained import BASES, EXTERNAL, base_weights, find_folder
from levada.data import Corpus
from levada.errors import InputError, MissingExtra, suggest
from levada.experiments.code_version import code_digest
from levada.experiments.compared_models import labels_of, trained_items
from levada.experiments.corpora import Opened, Sides, labels, sides
from levada.experiments.spec import ALL, KINDS, NONE, PRETRAINED, RANDOM, STEM_KINDS, Source, Study
from levada.experiments.task import BEATS, STEMS, TASKS, Task
from levada.io.toml import line_of
from levada.learning.card import read_config
from levada.learning.names import FLUX, shipped
from levada.separation.augmentation import NO_AUGMENTATION, StemAugmentation
from levada.separation.pretrained import base_weights as stem_weights

__all__ = ["FROM_SCRATCH", "Grid", "Plan", "fingerprint", "lay_out", "settings_of"]

FROM_SCRATCH = tuple(dict.fromkeys((*BEATS.from_scratch, *STEMS.from_scratch)))
"""Strategies that take nothing of a base."""
NON_NEURAL = (*BEATS.non_neural, *STEMS.non_neural)
WITH, WITHOUT = "finetune+augment", "finetune"
FACTORS = ("seed", "layers", "augmentation", "strategy")
"""What the grid decides is no setting."""


@dataclass(frozen=True)
class Plan:
    """All that decides the result of a run.

    Parameters
    ----------
    corpus : str
        What the study calls the corpus: tables tell runs apart by it.
    strategy : str
        "pretrained", or what labels are used for.
    base : str
        What tables call the model that is scored or adapted, wherever it lies; empty where nothing is taken of one.
    minutes : float
        Budget of labels; 0 where none are used.
    selection : str
    augmentation, layers : tuple of str
        These three are empty where they mean nothing to a strategy.
    seed : int
    test_share : float
    trim_s : float or None
    halves, ignore_groups : bool
        As of `spec.Source`.
    settings : dataclass, optional
        All settings of the strategy, augmentation, layers and seed among them.
    code, data, weights : str
        Digests of the code, of the content of the corpus and of the base.
    task : {"beats", "stems"}
    unscored : tuple of str
        Ids of recordings of the scored side that are left out, as a model that is compared was trained on them.
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

    def config(self) -> dict[str, Any]:
        """The same as plain values, a text for each level."""
        levels = {"augmentation": "+".join(self.augmentation), "layers": "+".join(self.layers)}
        found: dict[str, Any] = _plain(asdict(self) | levels)
        if self.task == BEATS.name:  # as it was before there were others
            del found["task"]
        if not self.unscored:
            del found["unscored"]
        return found

    @property
    def id(self) -> str:
        """16 hexadecimal digits: the hash of what decides."""
        return fingerprint(self.config())


def _plain(value: Any) -> Any:
    """The same as JSON has it; numbers that are not finite are words."""
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def fingerprint(config: Mapping[str, Any]) -> str:
    """The id of a run from what decides it."""
    canonical = json.dumps(config, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Grid:
    """What is to be run, and what is not.

    Parameters
    ----------
    plans : tuple of Plan
        Each once; a seed after the other, so that a study that was stopped can be reported.
    sources : mapping of str to Source
        The corpora by name.
    left_out : tuple of str
        What the spec asks for and cannot be run, and why.
    notes : tuple of str
        What a reader of the scores must know.
    models : mapping of str to str
        Names and folders of models by what plans call them.
    """

    plans: tuple[Plan, ...]
    sources: Mapping[str, Source]
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    models: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Base:
    """A base model, as far as the grid must know it."""

    name: str
    digest: str
    parameters: tuple[str, ...]
    network: str = ""  # its class in model folders


def lay_out(study: Study, corpora: Sequence[Opened], *, left_out: Sequence[str] = ()) -> Grid:
    """Lay out the grid of a study.

    Parameters
    ----------
    study : Study
    corpora : sequence of Opened
        Those that are there.
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
    layout = _Layout(study, list(left_out), {}, labels_of(study))
    trackers = layout.trackers()
    bases = layout.bases()
    trained = layout.trained_on({*trackers, *(base.name for base in bases)})
    plans, unscored = dict[str, Plan](), dict[str, dict[str, str]]()
    for seed, opened in product(study.seeds, corpora):
        source = opened.source
        if (split := layout.split(source, opened.corpus, seed)) is None:
            continue
        hit = trained_items(source, opened.corpus, split.test, trained)
        unscored.setdefault(source.name, {}).update(hit)
        if len(hit) == len(split.test):
            layout.leave_out(f"{source.name}, seed {seed}: models were trained on all that would be scored")
            continue
        room = layout.room(source, split, seed)
        common = {
            "corpus": source.name,
            "seed": seed,
            "test_share": 0.5 if source.halves else study.test,
            "trim_s": study.trim_s if study.task == BEATS.name else 0.0,
            "halves": source.halves,
            "ignore_groups": source.ignore_groups,
            "code": code_digest(),
            "data": opened.digest,
            "task": study.task,
            "unscored": tuple(sorted(hit)),
        }
        for plan in [*_pretrained(trackers, layout.labels, common), *layout.trained(bases, room, common)]:
            plans.setdefault(plan.id, plan)
    layout.tell_budgets()
    if not plans:
        why = "; ".join(layout.told) or "every list in it is empty"
        raise InputError(f"leaves nothing to run: {why}", path=study.path)
    notes = [
        f"{opened.source.name}: nobody said who plays on its recordings, so each is a group of its own; a performer "
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
    paths = {label: name for name, label in layout.labels.items()}
    return Grid(tuple(plans.values()), sources, tuple(layout.told), tuple(notes), paths)


def settings_of(study: Study, strategy: str, *, network: str = "") -> Any:
    """The settings of a strategy: its own, with what the spec has otherwise.

    Raises
    ------
    InputError
        If the spec has one that does not exist or of another kind; the line is told.
    """
    STRATEGIES, DEFAULTS = _task(study).learn()
    general = {key: value for key, value in study.settings.items() if not isinstance(value, dict)}
    own = {key: value for key, value in study.settings.items() if isinstance(value, dict)}
    for name in own:
        if name not in STRATEGIES:
            raise _wrong(study, f"there is no strategy {name!r} to set; {suggest(name, STRATEGIES)}", "settings", name)
    task = _task(study)
    bare = set(task.non_neural) - set(task.settable)
    hints = {name: {} if name in bare else get_type_hints(type(usual)) for name, usual in DEFAULTS.items()}
    for key in general:
        known = sorted(
            {known for name, hint in hints.items() if name not in NON_NEURAL for known in hint} - set(FACTORS)
        )
        if key not in known:
            raise _wrong(study, f"{key!r} is no setting of any strategy; {suggest(key, known)}", "settings", key)
    for name, said in own.items():
        for key in said:
            known = sorted(set(hints[name]) - set(FACTORS))
            if key not in known:
                raise _wrong(study, f"{key!r} is no setting of {name}; {suggest(key, known)}", "settings", name, key)
    shared = general if strategy not in NON_NEURAL else {}  # whose steps are others than those of a network
    changed = {key: value for key, value in shared.items() if key in hints[strategy]} | own.get(strategy, {})
    for key, value in changed.items():
        where = (strategy, key) if key in own.get(strategy, {}) else (key,)
        changed[key] = _typed(study, key, value, hints[strategy][key], *where)
    usual = DEFAULTS[strategy]
    if network and task.name == BEATS.name:
        from levada.beat_tracking import adaptation

        usual = adaptation.settings_of(strategy, network=network)
    try:
        return replace(usual, **changed)
    except (InputError, TypeError, ValueError) as error:
        raise _wrong(study, f"these settings of {strategy} make no sense: {error}", "settings") from None


def _typed(study: Study, key: str, value: Any, hint: Any, *where: str) -> Any:
    """A setting as its field wants it."""
    kinds = set(getattr(hint, "__args__", ())) | {hint}
    if isinstance(value, bool) and bool in kinds:
        return value
    if isinstance(value, str) and str in kinds:
        return value
    if isinstance(value, int | float) and not isinstance(value, bool):
        whole = int in kinds and float not in kinds
        least = 1 if key in ("steps", "batch") else 0
        if {int, float} & kinds and (isinstance(value, int) or not whole) and least <= value < float("inf"):
            return value if whole else float(value)
    wanted = "a whole number" if int in kinds else "a number" if float in kinds else "of its kind"
    raise _wrong(study, f"{key} must be {wanted} that makes sense, not {value!r}", "settings", *where)


def _wrong(study: Study, problem: str, *keys: str) -> InputError:
    line = None if study.path is None else line_of(study.path, *keys)
    return InputError(problem, path=study.path, line=line)


def _check(study: Study) -> None:
    """Names that do not exist, told before anything is loaded."""
    STRATEGIES, _ = _task(study).learn()
    for strategy in study.strategies:
        if strategy != PRETRAINED and strategy not in STRATEGIES:
            problem = f"there is no strategy {strategy!r}; {suggest(strategy, [PRETRAINED, *STRATEGIES])}"
            raise _wrong(study, problem, "strategies")
    schemes = _schemes()
    for scheme in study.selection:
        if scheme not in schemes:
            raise _wrong(study, f"there is no selection {scheme!r}; {suggest(scheme, schemes)}", "selection")
    for strategy in [name for name in study.strategies if name != PRETRAINED] or _task(study).non_neural[:1]:
        settings_of(study, strategy)
    if study.task == STEMS.name:
        _check_stems(study)


def _task(study: Study) -> Task:
    return TASKS[study.task]


def _check_stems(study: Study) -> None:
    """What is asked of beats alone."""
    if study.selection != (RANDOM,):
        raise _wrong(study, "stems are drawn at random: leave selection out", "selection")


def _schemes() -> list[str]:
    try:
        from levada.beat_tracking import selection as select
    except ImportError:
        return [RANDOM]
    return list(dict.fromkeys([RANDOM, *select.SCHEMES]))


def _pretrained(trackers: Mapping[str, str], labels: Mapping[str, str], common: Mapping[str, Any]) -> list[Plan]:
    same: dict[str, Any] = {"strategy": PRETRAINED, "minutes": 0.0, "selection": "", "augmentation": (), "layers": ()}
    return [Plan(**same, **common, base=labels[name], weights=known) for name, known in trackers.items()]


@dataclass(frozen=True)
class _Layout:
    """A grid in the making, and what is left out of it."""

    study: Study
    told: list[str]
    too_large: dict[tuple[str, float], tuple[list[int], str]]  # budgets of corpora: the seeds, and why
    labels: Mapping[str, str]  # what tables call each model

    def leave_out(self, sentence: str) -> None:
        if sentence not in self.told:
            self.told.append(sentence)

    def found(self, key: str, look: Callable[[str], Any]) -> dict[str, Any]:
        """What is found for each model of a list; one that is not installed is left out, one that is unknown not."""
        there = {}
        for name in getattr(self.study, key):
            try:
                there[name] = look(name)
            except InputError as error:
                elsewhere = name in {*EXTERNAL, *BASES}
                if not elsewhere and not isinstance(error, MissingExtra):
                    known = [*shipped(), FLUX, *EXTERNAL]
                    problem = str(error)
                    if problem.startswith("there is no model") and "/" not in name:
                        problem = f"there is no model {name!r}; {suggest(name, known)}, and folders of models"
                    raise _wrong(self.study, problem, key) from None
                self.leave_out(f"{name}: {error}")
        return there

    def trackers(self) -> dict[str, str]:
        """Identities of the models that are scored as they are."""
        identity_of = _task(self.study).identity
        known = self.found("bases", identity_of) if PRETRAINED in self.study.strategies else {}
        return known | self.found("external", identity_of)

    def bases(self) -> list[_Base]:
        """The models that are trained on."""
        taking = [name for name in self.study.strategies if name != PRETRAINED and name not in FROM_SCRATCH]
        return list(self.found("bases", partial(_base, task=self.study.task)).values()) if taking else []

    def trained_on(self, names: Iterable[str]) -> dict[str, frozenset[str]]:
        """SHA-256 of the files each model was trained on, by what tables call it."""
        known = dict[str, frozenset[str]]()
        for name in names:
            with suppress(MissingExtra):
                known[self.labels.get(name, name)] = _task(self.study).trained(name)
        return known

    def split(self, source: Source, corpus: Corpus[Any], seed: int) -> Sides | None:
        """What labels are drawn from and what is scored; nothing where there are no two sides."""
        try:
            return sides(source, corpus, seed=seed, test=self.study.test)
        except InputError as error:
            self.leave_out(f"{source.name}: {error.problem}")
            return None

    def room(self, source: Source, split: Sides, seed: int) -> list[float]:
        """The budgets that fit on the training side."""
        train, fit = split.train, list[float]()
        for minutes in source.minutes or self.study.minutes:
            try:
                labels(train, minutes=minutes, selection=RANDOM, seed=seed)
                fit.append(minutes)
            except InputError as error:
                self.too_large.setdefault((source.name, minutes), ([], error.problem))[0].append(seed)
        return fit

    def tell_budgets(self) -> None:
        """Say once of each budget that does not fit, and for which seeds."""
        labelled = "labels" if self.study.task == BEATS.name else self.study.task
        for (name, minutes), (seeds, problem) in self.too_large.items():
            which = "" if len(seeds) == len(self.study.seeds) else f" with seed {', '.join(map(str, seeds))}"
            self.leave_out(
                f"{name}, {minutes:g} minutes of {labelled}{which}: of the side that gives labels, {problem}"
            )

    def trained(self, bases: Sequence[_Base], budgets: Iterable[float], common: Mapping[str, Any]) -> list[Plan]:
        study, plans = self.study, list[Plan]()
        trained = [name for name in study.strategies if name != PRETRAINED]
        for minutes, strategy, selection in product(budgets, trained, study.selection):
            for base in [None] if strategy in FROM_SCRATCH else bases:
                for kinds, layers in product(study.augmentation, study.layers):
                    beginnings = () if strategy in (*NON_NEURAL, "scratch") else layers
                    if base is not None and beginnings not in ((), (ALL,)) and not self.has(base, beginnings):
                        continue
                    name, level = _augmentation(strategy, kinds)
                    plans.append(
                        Plan(
                            **common,
                            strategy=name,
                            base="" if base is None else self.labels[base.name],
                            minutes=minutes,
                            selection=selection,
                            augmentation=level,
                            layers=beginnings,
                            settings=_resolved(study, strategy, level, beginnings, common["seed"], base),
                            weights="" if base is None else base.digest,
                        )
                    )
        return plans

    def has(self, base: _Base, beginnings: Sequence[str]) -> bool:
        """Whether a network has layers that begin so."""
        missing = [word for word in beginnings if not any(name.startswith(word) for name in base.parameters)]
        if not missing:
            return True
        there = list(dict.fromkeys(name.split(".")[0] for name in base.parameters))
        if len(self.study.bases) == 1:
            problem = f"{base.name} has no layers {missing[0]!r}; {suggest(missing[0], there)}"
            raise _wrong(self.study, problem, "layers")
        self.leave_out(f"{base.name} has no layers {', '.join(missing)}: there are {', '.join(there)}")
        return False


def _augmentation(strategy: str, kinds: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """A strategy and a level as tables call them: fine-tuning with augmentation by nothing is fine-tuning."""
    if strategy in (*NON_NEURAL, WITHOUT):
        return strategy, ()
    if strategy == WITH and kinds == (NONE,):
        return WITHOUT, ()
    return strategy, kinds if kinds in ((ALL,), (NONE,)) else tuple(
        kind for kind in (KINDS | STEM_KINDS) if kind in kinds
    )


def _resolved(
    study: Study, strategy: str, kinds: tuple[str, ...], layers: tuple[str, ...], seed: int, base: _Base | None
) -> Any:
    """The settings of a run; none where a strategy has none."""
    if strategy in _task(study).unset:
        return None
    settings = settings_of(study, strategy, network="" if base is None else base.network)
    names = {entry.name for entry in fields(settings)}
    changed: dict[str, Any] = {"seed": seed} if "seed" in names else {}
    if "layers" in names:
        changed["layers"] = settings.layers if layers in ((), (ALL,)) else layers
    if "augmentation" in names:
        changed["augmentation"] = _changes(settings.augmentation, kinds)
    return replace(settings, **changed)


def _changes(own: Augmentation | StemAugmentation, kinds: tuple[str, ...]) -> Augmentation | StemAugmentation:
    if kinds == (ALL,):
        return own
    stems = isinstance(own, StemAugmentation)
    unchanged, fields_of = (NO_AUGMENTATION, STEM_KINDS) if stems else (UNCHANGED, KINDS)
    if kinds in ((), (NONE,)):
        return unchanged
    return replace(unchanged, **{fields_of[kind]: getattr(own, fields_of[kind]) for kind in kinds})


def _base(name: str, *, task: str = "beats") -> _Base:
    """A base by name or folder; those in folders are not loaded for it."""
    from levada.learning.model_folder import folder_digest, read_tensors

    if name in BASES or name.startswith("beat_this:") or name.endswith(".ckpt") or task == STEMS.name:
        from levada.learning.weights import digest

        weights = stem_weights(name) if task == STEMS.name else base_weights(name)
        return _Base(name, digest(weights), tuple(weights.net.state_dict()), weights.net.kind)
    if name == FLUX or name in EXTERNAL:
        raise InputError(f"{name} has no weights to train on: name it under external, where it is scored as it is")
    folder: Path = find_folder(name)
    config = read_config(folder)
    if config["network"] == "bayes":
        raise InputError(
            "holds no network to train on: name it under external, where it is scored as it is", path=folder
        )
    return _Base(name, folder_digest(folder), tuple(read_tensors(folder)), config["network"])
