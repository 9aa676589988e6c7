"""Specs of studies: a TOML file names corpora, budgets, strategies and the rest, and is read strictly.

Unknown keys, invalid values and empty grids are errors with the line in the file.
Names of strategies, models, schemes and layers are checked when the grid is laid out, where they are looked up.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from levada.beat_tracking import task as beat_tracking
from levada.errors import InputError, suggest
from levada.io.toml import line_of, read_toml
from levada.learning.task import Task
from levada.separation import task as separation
from levada.separation.remix import RemixSettings

__all__ = ["SHIPPED", "TASKS", "UNITS", "Budget", "Source", "Study", "is_path", "read_spec", "with_corpus"]

SHIPPED = Path(__file__).parent / "studies"
"""Specs that come with levada, which are found by their names."""

TASKS: Mapping[str, Task] = {"beats": beat_tracking, "stems": separation}
"""Tasks by the kind of their labels."""
ALL, NONE, RANDOM = "all", "none", "random"
PRETRAINED = "pretrained"
"""The strategy without labels: models are scored as they are."""
MIRDATA = "mirdata:"
PREFIXES = ("", "bayes", "beat_this", "demucs")
"""Prefixes of the path of a model, before a colon."""
MOST_SEEDS, MOST_FILES, MOST_LISTEN = 1000, 1_000_000, 100
UNITS = ("minutes", "files", "fraction")
"""Units of budgets: minutes of labels, recordings with all of their labels, or a fraction of the training set."""


@dataclass(frozen=True)
class Budget:
    """An amount of labels.

    Parameters
    ----------
    amount : float
        0 without labels.
    unit : {"minutes", "files", "fraction"}
        A fraction, up to 1, is of the labelled minutes of the training set.
    """

    amount: float
    unit: str = UNITS[0]

    @property
    def text(self) -> str:
        """Short text; empty without labels."""
        if not self.amount:
            return ""
        if self.unit == "minutes":
            return f"{self.amount:g} min"
        if self.unit == "files":
            return f"{self.amount:g} file{'s' if self.amount != 1 else ''}"
        return f"{100 * self.amount:g} % of the training set"

    @property
    def levels(self) -> dict[str, Any]:
        """The amount as a value for each unit, 0 for all but its own."""
        amounts = {unit: self.amount if unit == self.unit else 0.0 for unit in UNITS}
        return {**amounts, "files": int(amounts["files"])}

    @classmethod
    def of(cls, levels: Mapping[str, Any]) -> Budget:
        """Budget from values for units, as in the configuration of a run; those that are missing are 0."""
        amounts = {unit: float(levels.get(unit, 0)) for unit in UNITS}
        return next((cls(amount, unit) for unit, amount in amounts.items() if amount), cls(0.0))


@dataclass(frozen=True)
class Source:
    """One corpus of a study: a folder, a dataset of mirdata, or a tradition to render.

    Parameters
    ----------
    name : str
        Name in tables.
    path : str
        A folder, or ``mirdata:NAME``; empty where the corpus is rendered.
    render : str
        A tradition, by name or file; each recording has its own players, instruments and room.
    recordings : int
        How many are rendered.
    seconds : float
        Length of each.
    seed : int
        Of the rendering.
    sounds : str
        What it is rendered with: "synthesised", a SoundFont, or one-shots (a folder, or a TOML file).
    halves : bool
        Labels come from the first half of each recording, and the second half is scored: for corpora of one recording.
    ignore_groups : bool
        Recordings of one group may be on both sides of the split.
    optional : bool
        Whether the study goes on without it where it is missing.
    minutes, files, fraction : tuple of float
        Budgets of labels of this corpus, where they are other than the study's, in its unit.
    task : {"beats", "stems"}
        What it is labelled with.
    left_out : tuple of str
        Ids of recordings that are used neither for training nor for scores: duplicates of others.
    line : int, optional
        Where the spec names it.
    adapt : bool
        Whether models are adapted to it; if not, all of its recordings are scored.
    remix : RemixSettings, optional
        Stems: what is trained on and scored are mixtures of its solos, of the training and the test side; see
        `levada.separation.remix.remix`. They are the same for every seed of the study.
    """

    name: str
    path: str = ""
    render: str = ""
    recordings: int = 12
    seconds: float = 60.0
    seed: int = 0
    sounds: str = "synthesised"
    halves: bool = False
    ignore_groups: bool = False
    optional: bool = False
    minutes: tuple[float, ...] = ()
    files: tuple[int, ...] = ()
    fraction: tuple[float, ...] = ()
    adapt: bool = True
    task: str = "beats"
    left_out: tuple[str, ...] = ()
    line: int | None = None
    remix: RemixSettings | None = None

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Budgets of this corpus alone."""
        return _budgets(self)


@dataclass(frozen=True)
class Study:
    """Spec of a study: every combination of these is a run.

    Parameters
    ----------
    name : str
    corpora : tuple of Source
    strategies : tuple of str
        Strategies of the task, and "pretrained" for the bases without labels.
    minutes, files, fraction : tuple of float
        Budgets of labels: minutes, numbers of recordings, or fractions of the training set; one of the three.
    bases : tuple of str
        Models to adapt, and to score with "pretrained".
    external : tuple of str
        Other models to score without labels.
    selection : tuple of str
        Schemes of selection of labels: "random", or one of `levada select`.
    augmentation : tuple of tuple of str
        Levels: ("all",), ("none",), or kinds in `AUGMENTATIONS` of the task.
    layers : tuple of tuple of str
        Levels: ("all",), what the strategy trains by default, or beginnings of names of layers.
    seeds : tuple of int
        Each is another split, another sample of labels and another training.
    test : float
        Share of the annotated recordings of a corpus that is scored.
    trim_s : float, optional
        Start of each recording that is not scored, in seconds; by default 5 s, and nothing of those under 30 s.
    keep_weights : bool
        Whether the folders of runs hold the adapted models.
    task : {"beats", "stems"}
        What is learnt.
    settings : mapping
        Settings of every trained strategy that are other than its own; those under a strategy's name are its alone.
        A list is an axis of the grid.
    path : Path, optional
        The spec.
    also : tuple of str
        Names of corpora that are scored by the models adapted to the others too, for what was forgotten.
    bases_of : mapping of str to tuple of str
        The bases of each strategy, where a strategy has others than the rest.
    listen : int
        Number of test recordings of which runs with the first seed keep the audio of the stems, for the report.
    """

    name: str
    corpora: tuple[Source, ...]
    strategies: tuple[str, ...]
    minutes: tuple[float, ...] = ()
    bases: tuple[str, ...] = ("base",)
    external: tuple[str, ...] = ()
    selection: tuple[str, ...] = (RANDOM,)
    augmentation: tuple[tuple[str, ...], ...] = ((ALL,),)
    layers: tuple[tuple[str, ...], ...] = ((ALL,),)
    seeds: tuple[int, ...] = (0,)
    test: float = 0.5
    trim_s: float | None = None
    keep_weights: bool = False
    task: str = "beats"
    settings: Mapping[str, Any] = field(default_factory=dict)
    path: Path | None = None
    files: tuple[int, ...] = ()
    fraction: tuple[float, ...] = ()
    also: tuple[str, ...] = ()
    bases_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    listen: int = 0

    @property
    def budgets(self) -> tuple[Budget, ...]:
        """Budgets of corpora without budgets of their own."""
        return _budgets(self)

    def bases_for(self, strategy: str) -> tuple[str, ...]:
        """The bases that a strategy starts from or, without labels, that are scored."""
        return self.bases_of.get(strategy, self.bases)


def _budgets(of: Source | Study) -> tuple[Budget, ...]:
    return tuple(Budget(float(amount), unit) for unit in UNITS for amount in getattr(of, unit))


def read_spec(path: str | Path) -> Study:
    """Read the spec of a study.

    Parameters
    ----------
    path : path-like
        A TOML file, or the name of one that comes with levada: "surdo". Paths in it are relative to its folder.

    Returns
    -------
    Study

    Raises
    ------
    InputError
        If it cannot be read, has an unknown key or an invalid value, or leaves nothing to run; with its line.
    """
    path = _found(path)
    given = read_toml(path)
    reader = _Reader(path)
    reader.check_keys(given, _KEYS, ())
    corpora = given.get("corpora", {})
    if not isinstance(corpora, dict) or not corpora:
        raise reader.error('names no corpora: write [corpora] and under it NAME = "FOLDER"', "corpora")
    task = given.get("task", "beats")
    if task not in TASKS:
        raise reader.error(f"there is no task {task!r}; {suggest(str(task), TASKS)}", "task")
    test = reader.value(given, "test", 0.5, lambda it: _is_number(it) and 0 < it < 1, "a number between 0 and 1")
    strategies = reader.names(given, "strategies", ())
    bases, bases_of = reader.bases(given, [name for name in strategies if name not in TASKS[task].FROM_SCRATCH])
    study = Study(
        name=reader.value(given, "name", Path(path).stem, _is_name, f"a short text of {_CHARACTERS}"),
        corpora=tuple(replace(reader.source(name, entry, task, test), task=task) for name, entry in corpora.items()),
        strategies=strategies,
        **reader.budgets(given),
        bases=bases,
        bases_of=bases_of,
        external=tuple(reader.model(name) for name in reader.names(given, "external", ())),
        selection=reader.names(given, "selection", (RANDOM,)),
        augmentation=reader.levels(given, "augmentation", (ALL, NONE, *TASKS[task].AUGMENTATIONS)),
        layers=reader.levels(given, "layers"),
        seeds=reader.seeds(given),
        test=test,
        trim_s=reader.number(given, "trim_s", low=0, high=3600) if "trim_s" in given else None,
        keep_weights=reader.flag(given, "keep_weights"),
        task=task,
        settings=reader.value(given, "settings", {}, lambda it: isinstance(it, dict), "a table: [settings]"),
        path=Path(path),
        also=reader.names(given, "also", ()),
        listen=reader.whole(given, "listen", 0, low=0, high=MOST_LISTEN),
    )
    if study.listen and task != "stems":
        raise reader.error('listen is for stems: write task = "stems", or leave it out', "listen")
    for name in study.also:
        if name not in corpora:
            raise reader.error(f"there is no corpus {name!r} to score also; {suggest(name, corpora)}", "also")
    if study.also and PRETRAINED not in study.strategies:
        raise reader.error(
            'also compares scores before and after adaptation: name "pretrained" under strategies for those before',
            "also",
        )
    if set(study.strategies) - {PRETRAINED} and not any(source.adapt for source in study.corpora):
        raise reader.error("has strategies, and no corpus to adapt to: all have adapt = false", "corpora")
    if not study.strategies and not study.external:
        raise reader.error("has no run in it: name strategies, or external models to score", "strategies")
    budgets = study.budgets or all(source.budgets for source in study.corpora if source.adapt)
    if set(study.strategies) - {PRETRAINED} and not budgets:
        raise reader.error(
            "has no budgets: minutes = [0.5, 1.5] states how many minutes of labels, files = [1, 2] how many "
            "recordings, fraction = [0.5, 1] which part of the training set",
            "minutes",
        )
    places = [((), study), *((("corpora", source.name), source) for source in study.corpora)]
    named = [(unit, (*where, unit)) for where, of in places for unit in UNITS if getattr(of, unit)]
    for unit, where in named:
        if unit != named[0][0]:
            raise reader.error(f"has budgets in {named[0][0]} and in {unit}: a study has one of the two", *where)
    for key in ("bases", "selection", "augmentation", "layers", "seeds"):
        if not getattr(study, key):
            raise reader.error(f"has no run in it: {key} is empty; leave it out for its default", key)
    return study


def with_corpus(study: Study, path: str | Path | None = None, *, target: str = "") -> Study:
    """Return a study with another corpus in the place of its own, or another instrument that is separated.

    Parameters
    ----------
    study : Study
    path : path-like, optional
        A folder, or ``mirdata:NAME``, which is mixed in the same way.
    target : str
        The instrument, where mixtures are of one instrument and the rest.

    Raises
    ------
    InputError
        If the study has several corpora, or no mixtures of a target.
    """
    if len(study.corpora) > 1:
        names = ", ".join(source.name for source in study.corpora)
        raise InputError(f"has several corpora, {names}: a copy of it can name other ones", path=study.path)
    own = study.corpora[0]
    if target:
        if own.remix is None or not own.remix.target:
            raise InputError("does not mix solos to one instrument and the rest: it has no target", path=study.path)
        own = replace(own, remix=replace(own.remix, target=target))
    if path is not None:
        folder = str(path) if str(path).startswith(MIRDATA) else str(Path(path).expanduser().absolute())
        name = re.sub(r"[^\w .+-]", "-", Path(folder).name).lstrip(" .+-")[:100] or own.name
        own = replace(own, name=name, path=folder, render="", sounds=Source.sounds)
    return replace(study, corpora=(own,))


def _found(path: str | Path) -> Path:
    """Return the file of a spec: as given, or one that comes with levada."""
    given, shipped = Path(path), SHIPPED / f"{path}.toml"
    return shipped if not given.exists() and _is_name(str(path)) and shipped.is_file() else given


def is_path(name: str) -> bool:
    """Whether the name of a model is the path of a folder or file, and no word."""
    return name.startswith(("~", ".")) or "/" in name or "\\" in name


_KEYS = (
    *("name", "strategies", *UNITS, "bases", "external", "selection", "augmentation", "layers", "seeds", "test"),
    *("trim_s", "keep_weights", "task", "corpora", "settings", "also", "listen"),
)
_FOLDER_KEYS = ("path", *UNITS, "halves", "ignore_groups", "optional", "adapt", "remix")
_RENDER_KEYS = ("render", "recordings", "seconds", "seed", "sounds", *UNITS, "halves", "optional", "adapt", "remix")


_CHARACTERS = "letters, numbers, spaces and - + . _"


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and bool(re.fullmatch(r"\w[\w .+-]{0,99}", value))


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_IS_LIKE: Mapping[type, Callable[[Any], bool]] = {
    bool: lambda value: isinstance(value, bool),
    int: _is_whole,
    float: _is_number,
    str: _is_text,
    type(None): lambda value: isinstance(value, tuple) and len(value) == 2 and all(map(_is_number, value)),
}
"""Whether a value of a setting of `RemixSettings` is of the type of its default; without one, it is a range."""


@dataclass(frozen=True)
class _Reader:
    """Checks values of a spec; `where` are the keys of the table they are in."""

    path: Path

    def error(self, problem: str, *keys: str) -> InputError:
        return InputError(problem, path=self.path, line=line_of(self.path, *keys))

    def check_keys(self, given: Mapping[str, Any], keys: Iterable[str], where: tuple[str, ...]) -> None:
        keys = list(keys)
        for key in given:
            if key not in keys:
                raise self.error(f"{key!r} is not a key of it; {suggest(key, keys)}", *where, key)

    def value(
        self,
        given: Mapping[str, Any],
        key: str,
        default: Any,
        is_valid: Callable[[Any], bool],
        wanted: str,
        *where: str,
    ) -> Any:
        value = given.get(key, default)
        if not is_valid(value):
            raise self.error(f"{key} must be {wanted}, not {value!r}", *where, key)
        return value

    def flag(self, given: Mapping[str, Any], key: str, *where: str) -> bool:
        return bool(self.value(given, key, False, lambda it: isinstance(it, bool), "true or false", *where))

    def number(
        self, given: Mapping[str, Any], key: str, default: float = 0.0, *where: str, low: float, high: float
    ) -> float:
        wanted = f"a number between {low:g} and {high:g}"
        return float(self.value(given, key, default, lambda it: _is_number(it) and low <= it <= high, wanted, *where))

    def whole(self, given: Mapping[str, Any], key: str, default: int, *where: str, low: int, high: int) -> int:
        wanted = f"a whole number between {low} and {high}"
        return int(self.value(given, key, default, lambda it: _is_whole(it) and low <= it <= high, wanted, *where))

    def listed(
        self, given: Mapping[str, Any], key: str, default: Iterable[Any], is_valid: Callable[[Any], bool], wanted: str,
        *where: str,
    ) -> list[Any]:  # fmt: skip
        values = given.get(key, list(default))
        if not isinstance(values, list):
            raise self.error(f"{key} must be a list: {key} = [{values!r}]".replace("'", '"'), *where, key)
        for place, entry in enumerate(values):
            if entry in values[:place]:
                raise self.error(f"{key} has {entry!r} twice", *where, key)
            if not is_valid(entry):
                raise self.error(f"{key} must hold {wanted}, not {entry!r}", *where, key)
        return values

    def names(self, given: Mapping[str, Any], key: str, default: tuple[str, ...], *where: str) -> tuple[str, ...]:
        return tuple(self.listed(given, key, default, _is_text, "names in quotation marks", *where))

    def bases(
        self, given: Mapping[str, Any], strategies: Sequence[str]
    ) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
        """Bases of all strategies and, where a table names them, those of each: the default for those not in it."""
        table, default = given.get("bases"), ("base",)
        if not isinstance(table, dict):
            return tuple(self.model(name) for name in self.names(given, "bases", default)), {}
        for name in table:
            if name not in strategies:
                problem = f"{name!r} is no strategy of the study that starts from a base; {suggest(name, strategies)}"
                raise self.error(problem, "bases", name)
        bases_of = {
            name: tuple(self.model(one) for one in self.names(table, name, default, "bases")) for name in strategies
        }
        return tuple(dict.fromkeys(one for of in bases_of.values() for one in of)), bases_of

    def model(self, name: str) -> str:
        """A name of a model as it is; a path is relative to the spec."""
        word, _, folder = name.rpartition(":")
        if word not in PREFIXES or not is_path(folder):
            return name
        return f"{word}{':' if word else ''}{self.beside(folder)}"

    def beside(self, path: str) -> str:
        return str((self.path.parent / Path(path).expanduser()).absolute())

    def budgets(self, given: Mapping[str, Any], *where: str) -> dict[str, Any]:
        def listed(unit: str, is_budget: Callable[[Any], bool], wanted: str) -> list[Any]:
            return self.listed(given, unit, (), is_budget, wanted, *where)

        minutes = listed("minutes", lambda it: _is_number(it) and 0 < it < math.inf, "budgets above 0")
        files = listed("files", lambda it: _is_whole(it) and 0 < it <= MOST_FILES, "numbers of recordings above 0")
        fraction = listed("fraction", lambda it: _is_number(it) and 0 < it <= 1, "fractions above 0, and at most 1")
        return {"minutes": tuple(map(float, minutes)), "files": tuple(files), "fraction": tuple(map(float, fraction))}

    def seeds(self, given: Mapping[str, Any]) -> tuple[int, ...]:
        if not isinstance(given.get("seeds", 1), list):
            return tuple(range(self.whole(given, "seeds", 1, low=1, high=MOST_SEEDS)))
        wanted = "whole numbers that are not negative"
        return tuple(self.listed(given, "seeds", (), lambda it: _is_whole(it) and 0 <= it < 2**31, wanted))

    def levels(self, given: Mapping[str, Any], key: str, known: Sequence[str] = ()) -> tuple[tuple[str, ...], ...]:
        def is_level(value: Any) -> bool:
            return _is_text(value) or (isinstance(value, list) and bool(value) and all(map(_is_text, value)))

        entries = self.listed(given, key, (ALL,), is_level, "names, or lists of names")
        levels = tuple((entry,) if isinstance(entry, str) else tuple(entry) for entry in entries)
        for words in levels:
            if len(words) > 1 and {ALL, NONE} & set(words):
                raise self.error(f"{key}: {[*words]} is one level, and 'all' or 'none' must stand alone in one", key)
            for word in words if known else ():
                if word not in known:
                    raise self.error(f"there is no {key} {word!r}; {suggest(word, known)}", key)
        return levels

    def remix(self, given: Any, task: str, test: float, *where: str) -> RemixSettings:
        """Settings of mixtures; the share of the solos that is for testing is the study's."""
        if task != "stems":
            raise self.error('remix is for stems: write task = "stems"', *where)
        if not isinstance(given, dict):
            raise self.error(f"remix must be a table of settings of mixtures, not {given!r}", *where)
        known = [entry.name for entry in fields(RemixSettings) if entry.name != "test"]
        self.check_keys(given, known, where)
        values: dict[str, Any] = {key: tuple(of) if isinstance(of, list) else of for key, of in given.items()}
        for key, value in values.items():
            if not _IS_LIKE[type(getattr(RemixSettings, key))](value):
                raise self.error(f"remix: {key} cannot be {given[key]!r}", *where, key)
        try:
            return RemixSettings(**values, test=test)
        except (InputError, TypeError) as error:
            raise self.error(f"remix: {error}", *where) from None

    def source(self, name: str, entry: Any, task: str, test: float) -> Source:
        where = ("corpora", name)
        entry = {"path": entry} if isinstance(entry, str) else entry
        if not isinstance(entry, dict) or ("path" in entry) == ("render" in entry):
            problem = f"the corpus {name!r} must be a folder, mirdata:NAME, or a table with either path or render"
            raise self.error(problem, *where)
        if not _is_name(name):
            raise self.error(f"{name!r} cannot name a corpus: use {_CHARACTERS}", *where)
        self.check_keys(entry, _RENDER_KEYS if "render" in entry else _FOLDER_KEYS, where)
        for key in ("path", "render", "sounds"):
            self.value(entry, key, "-", _is_text, "a text in quotation marks", *where)
        flags: dict[str, Any] = {key: self.flag(entry, key, *where) for key in ("halves", "ignore_groups", "optional")}
        flags["adapt"] = self.value(entry, "adapt", True, lambda it: isinstance(it, bool), "true or false", *where)
        flags |= {**self.budgets(entry, *where), "line": line_of(self.path, *where)}
        if "remix" in entry and (flags["halves"] or flags["ignore_groups"]):
            raise self.error("solos are split by their groups before they are mixed: leave out halves", *where)
        if "remix" in entry:
            flags["remix"] = self.remix(entry["remix"], task, test, *where, "remix")
        if "path" in entry:
            path = entry["path"]
            return Source(name, path=path if path.startswith(MIRDATA) else self.beside(path), **flags)
        render, sounds = entry["render"], entry.get("sounds", Source.sounds)
        return Source(
            name,
            render=self.beside(render) if render.endswith(".toml") else render,
            recordings=self.whole(entry, "recordings", Source.recordings, *where, low=1, high=10_000),
            seconds=self.number(entry, "seconds", Source.seconds, *where, low=2, high=900),
            seed=self.whole(entry, "seed", Source.seed, *where, low=0, high=2**31),
            sounds=self.beside(sounds) if Path(self.beside(sounds)).exists() else sounds,
            **flags,
        )
