"""Folders of runs, with checksums: written by one process, whole or not at all, and read by any.

``OUT/runs/ID/`` holds ``run.json``, ``scores.csv`` with a row for each scored recording, ``beats.json`` with the
estimates of trackers and, where it trained, ``log.csv``; ``also/NAME.csv`` with the scores on other corpora;
``weights/`` where the study keeps them.
``OUT/studies/NAME.json`` says which runs the last call of a study had in its grid.
"""

from __future__ import annotations

import csv
import hashlib
import io
import itertools
import json
import logging
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from levada.errors import InputError
from levada.experiments.grid import fingerprint
from levada.experiments.spec import ALL, PRETRAINED, RANDOM, Budget
from levada.io.files import atomic_file, atomic_folder
from levada.io.text import unescape_csv_cell

__all__ = [
    "FORMAT",
    "Run",
    "label",
    "read_run",
    "read_runs",
    "recover",
    "unplanned_runs",
    "valid_runs",
    "write_run",
    "write_study",
]

FORMAT = 1
RUNS, STUDIES = "runs", "studies"
RECORD, SCORES, ALSO = "run.json", "scores.csv", "also"
WORDS = ("corpus", "strategy", "base", "selection", "augmentation", "layers")
"""Entries of a configuration that are text."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Run:
    """A run that was written.

    Parameters
    ----------
    id : str
    study : str
        The study that did it; others may have it in their grids.
    corpus : str
        Name of the corpus in the study.
    strategy : str
        Strategy of adaptation; "pretrained" without labels.
    base : str
        The model that was scored or adapted; empty for strategies from scratch.
    budget : Budget
        Amount of labels.
    selection : str
        Scheme of selection of labels; empty without labels.
    augmentation, layers : str
        Level of augmentation, and the layers that were trained; empty where they do not apply.
    seed : int
        Seed of the split, the sample and the training.
    label : str
        Name in tables, without corpus, budget and seed.
    error : str
        Why there are no scores.
    scores : tuple of mapping
        A row for each scored recording, as of `evaluation.Row.flat`: numbers where they are numbers, NaN where there
        are none. Empty for a run that failed.
    also : mapping of str to tuple of mapping
        The same for other corpora that were scored too, by name.
    costs : mapping
        "cpu_s", "wall_s", "adapt_cpu_s", "adapt_s", "score_cpu_s", "peak_mb".
    config : mapping
        Configuration, of which the id is a hash.
    record : mapping
        All of its `run.json`.
    folder : Path
    """

    id: str
    study: str
    corpus: str
    strategy: str
    base: str
    budget: Budget
    selection: str
    augmentation: str
    layers: str
    seed: int
    label: str
    error: str
    scores: tuple[Mapping[str, str | float], ...]
    costs: Mapping[str, float]
    config: Mapping[str, Any]
    record: Mapping[str, Any] = field(repr=False)
    folder: Path = field(repr=False)
    also: Mapping[str, tuple[Mapping[str, str | float], ...]] = field(default_factory=dict, repr=False)


def label(config: Mapping[str, Any]) -> str:
    """Name of a run in tables, from its configuration."""
    if config["strategy"] == PRETRAINED:
        return str(config["base"])
    words = [str(config["strategy"]) + (f" from {config['base']}" if config["base"] else "")]
    words += [f"{key} {config[key]}" for key in ("augmentation", "layers") if config[key] not in ("", ALL)]
    words += [f"labels by {config['selection']}"] * (config["selection"] not in ("", RANDOM))
    return ", ".join(words)


def write_run(out: str | Path, files: Mapping[str, bytes]) -> Run:
    """Write the folder of a run, whole or not at all; that of a failed try is replaced.

    Parameters
    ----------
    out : path-like
        The folder of the study.
    files : mapping of str to bytes
        Contents by path inside the folder; "run.json" is one of them.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If it cannot be written; then nothing of it is there.
    """
    record = json.loads(files[RECORD])
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items() if name != RECORD}
    folder = Path(out) / RUNS / record["id"]
    with atomic_folder(folder, marker=RECORD, force=True) as temporary:
        for name, content in files.items():
            path = temporary / name
            path.parent.mkdir(parents=True, exist_ok=True)
            written = _json(record | {"files": sums}) if name == RECORD else content
            path.write_bytes(written)
    return read_run(folder)


def read_run(folder: str | Path) -> Run:
    """Read the folder of a run.

    Raises
    ------
    InputError
        If it is damaged: a file is missing, was changed, or of another run.
    """
    folder = Path(folder)
    try:
        record = json.loads(_content(folder, RECORD).decode("utf-8"))
        config, reason = record["config"], str(record.get("error", ""))
        for name, digest in record.get("files", {}).items():
            if hashlib.sha256(_content(folder, name)).hexdigest() != digest:
                raise InputError(f"is damaged: {name} was changed", path=folder)
        rows = [] if reason else _rows(_content(folder, SCORES).decode("utf-8"))
        others = [] if reason else [str(one["corpus"]) for one in config.get("also", [])]
        also = {name: tuple(_rows(_content(folder, f"{ALSO}/{name}.csv").decode("utf-8"))) for name in others}
        words = {name: str(config[name]) for name in WORDS}
        run = Run(
            id=record["id"], study=record["study"], **words, budget=Budget.of(config), seed=int(config["seed"]),
            label=label(config), error=reason, scores=tuple(rows), costs=dict(record["costs"]), config=config,
            record=record, folder=folder, also=also,
        )  # fmt: skip
        has_its_name = run.id == folder.name == fingerprint(config)
    except InputError:
        raise
    except Exception as error:  # whatever the file holds
        raise InputError(f"is damaged: {type(error).__name__}: {error}", path=folder) from None
    if record.get("format") != FORMAT:
        raise InputError(f"was written by another version of levada (format {record.get('format')})", path=folder)
    if not has_its_name:
        raise InputError("is damaged: it holds another run than its name states", path=folder)
    if not rows and not run.error:
        raise InputError("is damaged: it has no scores", path=folder)
    return run


def read_runs(folder: str | Path, *, stale: bool = False) -> list[Run]:
    """Read the runs of one or several studies, those that failed too; damaged ones are skipped with a warning.

    Parameters
    ----------
    folder : path-like
        The folder of a study.
    stale : bool
        Whether to include runs that were in a grid only before the code, the corpora or the spec changed.

    Returns
    -------
    list of Run
        Sorted by id.

    Raises
    ------
    InputError
        If there is no such folder, or no run in it.
    """
    folder = Path(folder)
    paths = _folders(folder)
    if not paths:
        raise InputError("holds no runs: `levada study SPEC -o FOLDER` does some", path=folder)
    planned = _planned(folder)
    if planned and not stale:
        there = [path for path in paths if path.name in planned]
        if len(there) < len(paths):
            _log.info("%s: %d runs are of earlier grids and left out", folder, len(paths) - len(there))
        paths = there
    return list(_read_valid(paths))


def valid_runs(out: str | Path) -> dict[str, Run]:
    """Undamaged runs by id; empty without a folder."""
    return {run.id: run for run in _read_valid(_folders(Path(out)))} if Path(out).is_dir() else {}


def recover(out: str | Path) -> dict[str, Run]:
    """Undamaged runs by id; damaged ones are renamed, with a warning.

    Raises
    ------
    InputError
        If a damaged one cannot be moved.
    """
    return {run.id: run for run in _read_valid(_folders(Path(out)), move=True)}


def _read_valid(paths: Sequence[Path], *, move: bool = False) -> Iterator[Run]:
    """Undamaged runs; of others there is a warning, and with `move` they are renamed."""
    for path in paths:
        try:
            yield read_run(path)
        except InputError as error:
            if not move:
                _log.warning("%s; `levada study` does it again", error)
                continue
            names = (f"{path.name}.damaged-{number}" for number in itertools.count(1))
            aside = next(free for name in names if not (free := path.with_name(name)).exists())
            try:
                path.rename(aside)
            except OSError as problem:
                raise InputError(f"is damaged and cannot be moved aside: {problem.strerror}", path=path) from None
            _log.warning("%s; it is now %s, and the run is done again", error, aside.name)


def unplanned_runs(out: str | Path) -> str | None:
    """Sentence on the finished runs that are in no study's grid now, which reports leave out; None without any.

    Runs of another version of levada are counted separately.
    """
    planned = _planned(Path(out))
    runs = [run for run in valid_runs(out).values() if not run.error]
    codes = {run.config.get("code") for run in runs if run.id in planned}
    left = [run for run in runs if planned and run.id not in planned]
    if not left:
        return None
    current = Counter(f"{run.label}, {run.corpus}" for run in left if run.config.get("code") in codes)
    older = len(left) - current.total()
    parts = [f"{count} of {name}" for name, count in sorted(current.items())]
    parts += [f"{older} of another version of levada"] * bool(older)
    what = "1 finished run is" if len(left) == 1 else f"{len(left)} finished runs are"
    return f"{what} in no study's grid now, kept in {RUNS}, and left out of reports: {'; '.join(parts)}"


def write_study(out: str | Path, name: str, ids: Sequence[str], **facts: Any) -> None:
    """Write which runs a study has in its grid."""
    path = Path(out) / STUDIES / f"{name}.json"
    with atomic_file(path, force=True) as temporary:
        temporary.write_bytes(_json({"format": FORMAT, "name": name, **facts, "runs": list(ids)}))


def _json(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _content(folder: Path, name: str) -> bytes:
    """Read a file of a run: an ordinary one inside its folder, whatever a description says."""
    path = folder / name
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"is damaged: {name!r} is outside of it", path=folder)
    if path.exists() and not path.is_file():
        raise InputError(f"is damaged: {name!r} is not a file", path=folder)
    return path.read_bytes()


def _folders(out: Path) -> list[Path]:
    runs = out / RUNS
    if not out.is_dir():
        raise InputError("there is no such folder", path=out)
    return sorted(path for path in runs.glob("*") if re.fullmatch(r"[0-9a-f]{16}", path.name) and path.is_dir())


def _planned(out: Path) -> set[str]:
    """Ids that the last call of any study here had in its grid."""
    ids = set[str]()
    for path in (out / STUDIES).glob("*.json"):
        try:
            ids.update(json.loads(path.read_text(encoding="utf-8"))["runs"])
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            _log.warning("%s cannot be read; its runs are found by their folders alone", path)
            return set()
    return ids


def _rows(text: str) -> list[Mapping[str, str | float]]:
    words = {"track", "group", "model", "instrument", "known", "mixture", "kind", "detail", "trained_on", "error"}
    return [
        {key: unescape_csv_cell(cell) if key in words else float(cell or "nan") for key, cell in row.items()}
        for row in csv.DictReader(io.StringIO(text, newline=""))
    ]
