"""One run: labels are sampled, a model is adapted, and it is scored on other recordings.

Its result is a dict from file names to bytes, written by the caller: a run may be done by another process or on another
machine, and only one process writes to the folder of a study.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from levada.errors import InputError
from levada.experiments.corpora import open_source, sample_labels, split_corpus
from levada.experiments.grid import Plan
from levada.experiments.spec import PRETRAINED, TASKS, Source
from levada.experiments.store import ALSO, FORMAT, RECORD, SCORES, label
from levada.io.workers import usable_cores
from levada.learning.task import LOG
from levada.separation import task as separation
from levada.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LISTEN", "LOG", "WEIGHTS", "Job", "failure", "peak_mb", "reset_peak", "run"]

WEIGHTS, LISTEN = "weights", "listen"


@dataclass(frozen=True)
class Job:
    """A run with all that a process needs to do it.

    Parameters
    ----------
    plan : Plan
    source : Source
        Its corpus; the path must be there wherever the run is done.
    study : str
    keep_weights : bool
    model : str
        Name or folder of the base; its name in the plan by default.
    also : tuple of Source
        Corpora that are scored too.
    listen : int
        Number of test recordings of which the stems are kept as audio.
    """

    plan: Plan
    source: Source
    study: str
    keep_weights: bool = False
    model: str = ""
    also: tuple[Source, ...] = ()
    listen: int = 0


def run(job: Job) -> dict[str, bytes]:
    """Do a run.

    Parameters
    ----------
    job : Job

    Returns
    -------
    dict of str to bytes
        The files of its folder: "run.json", "scores.csv", "beats.json" of trackers, "log.csv" where it trained and
        those of "weights/" and of "listen/" if they are kept.

    Raises
    ------
    InputError
        If the labels cannot be learnt from, or no recording could be scored.
    """
    plan, task = job.plan, TASKS[job.plan.task]
    name, model_name = label(plan.config()), job.model or plan.base
    _warm_up(plan.task)
    with _one_thread(), tempfile.TemporaryDirectory(prefix="levada-run-") as temporary:
        folder = Path(temporary)
        reset_peak()
        start_s, start_cpu_s = time.perf_counter(), _cpu_s()
        split = split_corpus(job.source, open_source(job.source), seed=plan.seed, test=plan.test_share)
        test = [item for item in split.test if _id(item) not in plan.unscored]
        if plan.strategy == PRETRAINED:
            spans: Sequence[Any] = []
            adapted, model = None, task.load(model_name, test)
        else:
            spans = sample_labels(split, task=plan.task, budget=plan.budget, selection=plan.selection, seed=plan.seed)
            base = task.base_weights(model_name) if model_name else None
            settings = {} if plan.settings is None else {"settings": plan.settings}
            adapted = task.strategies()[plan.strategy](spans, base=base, folder=folder / "training", **settings)
            model = task.from_adapted(adapted, name)
        adapt_s, adapt_cpu_s = time.perf_counter() - start_s, _cpu_s() - start_cpu_s
        written = task.score(test, model, name=name, trim_s=plan.trim_s, folder=folder)
        also = _score_also(job, model, name, folder) if adapted is not None else {}
        costs = {
            "wall_s": time.perf_counter() - start_s,
            "cpu_s": _cpu_s() - start_cpu_s,
            "adapt_s": adapt_s if spans else 0.0,
            "adapt_cpu_s": adapt_cpu_s if spans else 0.0,
            "score_cpu_s": _cpu_s() - start_cpu_s - adapt_cpu_s,
            "peak_mb": peak_mb(),
        }
        files = {path.name: path.read_bytes() for path in written} | also
        if (folder / "training" / LOG).is_file():
            files[LOG] = (folder / "training" / LOG).read_bytes()
        if job.listen:
            for path in separation.write_audio(test[: job.listen], model, folder=folder / LISTEN):
                files[path.relative_to(folder).as_posix()] = path.read_bytes()
        if job.keep_weights and adapted is not None:
            adapted.save(folder / WEIGHTS)
            files |= {f"{WEIGHTS}/{path.name}": path.read_bytes() for path in sorted((folder / WEIGHTS).iterdir())}
    return {RECORD: _record(job, spans, test, adapted, costs), **files}


def _score_also(job: Job, model: Any, name: str, folder: Path) -> dict[str, bytes]:
    """Score the test sets of other corpora; a table for each."""
    plan, task, tables = job.plan, TASKS[job.plan.task], dict[str, bytes]()
    sources = {source.name: source for source in job.also}
    for number, scored in enumerate(plan.also):
        source, place = sources[scored.corpus], folder / f"{ALSO}-{number}"
        place.mkdir()
        split = split_corpus(source, open_source(source), seed=plan.seed, test=scored.test_share)
        items = [item for item in split.test if _id(item) not in scored.unscored]
        task.score(items, model, name=name, trim_s=plan.trim_s, folder=place)
        tables[f"{ALSO}/{scored.corpus}.csv"] = (place / SCORES).read_bytes()
    return tables


def failure(job: Job, error: BaseException) -> dict[str, bytes]:
    """Files of a failed run: its error."""
    reason = str(error) or "no reason given"
    problem = reason if isinstance(error, InputError) else f"{type(error).__name__}: {reason}"
    return {RECORD: _record(job, [], [], None, {}, error=problem)}


def reset_peak() -> None:
    """Measure the highest memory from now on, where the system can; what earlier runs left is given back first."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Highest resident memory of this process since `reset_peak`, in MB; since its start where the system cannot."""
    with suppress(OSError, StopIteration):
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
    try:
        import resource
    except ImportError:
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def _cpu_s() -> float:
    """Seconds of processor time of this process and of those it has waited for: decoders of recordings."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


@lru_cache(maxsize=2)
def _warm_up(task: str) -> None:
    """Load what is slow to load, once in each process, so that its time is not that of a run."""
    with suppress(ImportError):
        import torch  # noqa: F401
    TASKS[task].warm_up()


@contextmanager
def _one_thread() -> Iterator[None]:
    """Runs share a machine, so each has one thread; its scores do not depend on the number of cores either."""
    try:
        import torch
    except ImportError:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _record(
    job: Job,
    spans: Sequence[Any],
    test: Sequence[Any],
    adapted: Any,
    costs: dict[str, float],
    *,
    error: str = "",
) -> bytes:
    plan, card = job.plan, getattr(adapted, "card", None)
    record = {
        "format": FORMAT,
        "id": plan.id,
        "study": job.study,
        "config": plan.config(),
        "labels": [[_id(span), round(span.start_s, 4), round(span.end_s, 4)] for span in spans],
        "source": {"path": job.source.path, "left_out": list(job.source.left_out)},
        "labels_minutes": sum(span.duration_s for span in spans) / 60,
        "test": [_id(item) for item in test],
        "costs": {name: round(value, 3) for name, value in costs.items()},
        "environment": _environment(),
        "model": {
            "card": None if card is None else asdict(card),
            "fell_back": getattr(adapted, "training", {}).get("alpha") == 0,
            "held_out": {name: getattr(adapted, "training", {}).get(name) for name in ("alpha", "held_out_losses")},
        },
        "listen": job.listen,
        "error": error,
    }
    return json.dumps(record, default=str).encode()


def _id(item: Any) -> str:
    """The recording of a stretch, or the recording itself."""
    whole = getattr(item, "track", None) or getattr(item, "song", None) or item
    return str(whole.id)


def _environment() -> dict[str, Any]:
    versions: dict[str, Any] = {"levada": __version__, "python": platform.python_version()}
    for library in ("torch", "numpy", "scipy"):
        with suppress(metadata.PackageNotFoundError):
            versions[library] = metadata.version(library)
    machine = {"platform": platform.platform(), "machine": platform.machine(), "cores": usable_cores()}
    return versions | machine | {"threads": 1}
