"""One run: labels are drawn, a model is adapted, and it is scored on recordings that gave no labels.

What comes of it is a dict from file name to bytes. Whoever asked for it writes them: a run may be done by another
process or another machine, and only one process writes to the folder of a study.
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

from levada import __version__
from levada.beat_tracking.pretrained import base_weights
from levada.data import Multitrack, Span, Track
from levada.errors import InputError, MissingExtra
from levada.experiments.corpora import labels, open_source, sides
from levada.experiments.grid import Plan
from levada.experiments.spec import PRETRAINED, Source
from levada.experiments.store import FORMAT, RECORD, label
from levada.experiments.task import TASKS, Task
from levada.separation.pretrained import base_weights as stem_weights

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LOG", "WEIGHTS", "Job", "failure", "forget_peak", "peak_mb", "run"]

LOG, WEIGHTS = "log.csv", "weights"


@dataclass(frozen=True)
class Job:
    """A run, as a process needs to know it.

    Parameters
    ----------
    plan : Plan
    source : Source
        Its corpus; the path must be there wherever the run is done.
    study : str
    keep_weights : bool
    model : str
        Name or folder of the base; what the plan calls it, by default.
    """

    plan: Plan
    source: Source
    study: str
    keep_weights: bool = False
    model: str = ""


def run(job: Job) -> dict[str, bytes]:
    """Do a run.

    Parameters
    ----------
    job : Job

    Returns
    -------
    dict of str to bytes
        The files of its folder: "run.json", "scores.csv", "log.csv" where it trained and those of "weights/" if they
        are kept.

    Raises
    ------
    InputError
        If the labels cannot be learnt from, or no recording could be scored.
    """
    _ready()
    plan, task = job.plan, TASKS[job.plan.task]
    with _one_thread(), tempfile.TemporaryDirectory(prefix="levada-run-") as name:
        folder = Path(name)
        forget_peak()
        began_s, began_cpu_s = time.perf_counter(), _cpu_s()
        corpus = open_source(job.source)
        split = sides(job.source, corpus, seed=plan.seed, test=plan.test_share)
        test: Any = [item for item in split.test if _id(item) not in plan.unscored]
        if plan.strategy == PRETRAINED:
            spans: Sequence[Any] = []
            made, model = None, task.pretrained(job.model or plan.base, test)
        else:
            spans = labels(split.train, minutes=plan.minutes, selection=plan.selection, seed=plan.seed)
            made = _adapted(plan, job.model or plan.base, task, spans, folder / "training")
            model = task.made(made, label(plan.config()))
        adapt_s, adapt_cpu_s = time.perf_counter() - began_s, _cpu_s() - began_cpu_s
        written = task.scored(test, label(plan.config()), model, plan.trim_s, folder)
        costs = {
            "wall_s": time.perf_counter() - began_s,
            "cpu_s": _cpu_s() - began_cpu_s,
            "adapt_s": adapt_s if spans else 0.0,
            "adapt_cpu_s": adapt_cpu_s if spans else 0.0,
            "score_cpu_s": _cpu_s() - began_cpu_s - adapt_cpu_s,
            "peak_mb": peak_mb(),
        }
        files = {path.name: path.read_bytes() for path in written}
        if (folder / "training" / LOG).is_file():
            files[LOG] = (folder / "training" / LOG).read_bytes()
        if job.keep_weights and made is not None:
            files |= _weights(made, folder / WEIGHTS)
    return {RECORD: _about(job, spans, test, made, costs), **files}


def failure(job: Job, error: BaseException) -> dict[str, bytes]:
    """The files of a run that failed: why."""
    said = str(error) or "it gives no reason"
    problem = said if isinstance(error, InputError) else f"{type(error).__name__}: {said}"
    return {RECORD: _about(job, [], [], None, {}, error=problem)}


def forget_peak() -> None:
    """Measure the highest memory from now on, where the system can; what earlier runs left is given back first."""
    gc.collect()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    """Highest resident memory of this process since `forget_peak`, in MB; since its start where the system cannot."""
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


def _adapted(
    plan: Plan, base_name: str, task: Task, spans: Sequence[Span] | Sequence[Span[Multitrack]], folder: Path
) -> Any:
    strategies, _ = task.learn()
    read = stem_weights if task.name == "stems" else base_weights
    base = read(base_name) if base_name else None
    settings = {} if plan.settings is None else {"settings": plan.settings}
    return strategies[plan.strategy](spans, base=base, folder=folder, **settings)


@lru_cache(maxsize=1)
def _ready() -> None:
    """Load what is slow to load, once in each process, so that no run is charged for it."""
    import numpy as np

    from levada.beat_tracking.decoder import decode_beats
    from levada.beat_tracking.spectrogram import GRID
    from levada.learning import training

    with suppress(MissingExtra):
        training._lightning()
    decode_beats(np.full((200, 2), 0.1, np.float32), fps=GRID.fps)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Runs share a machine, so each has one thread; its scores do not depend on the number of cores either."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _weights(made: Any, folder: Path) -> dict[str, bytes]:
    """The files of a model's folder."""
    from levada.beat_tracking.pretrained import save_model as save_beats
    from levada.separation.nmf import Dictionaries
    from levada.separation.pretrained import save_model as save_stems

    (save_stems if isinstance(made, Dictionaries) else save_beats)(folder, made)
    return {f"{WEIGHTS}/{path.name}": path.read_bytes() for path in sorted(folder.iterdir())}


def _about(
    job: Job,
    spans: Sequence[Span] | Sequence[Span[Multitrack]],
    test: Sequence[Track | Span] | Sequence[Multitrack],
    made: Any,
    costs: dict[str, float],
    *,
    error: str = "",
) -> bytes:
    plan, card = job.plan, getattr(made, "card", None)
    record = {
        "format": FORMAT,
        "id": plan.id,
        "study": job.study,
        "config": plan.config(),
        "labels": [[_id(span), round(span.start_s, 4), round(span.end_s, 4)] for span in spans],
        "labels_minutes": sum(span.duration_s for span in spans) / 60,
        "test": [_id(item) for item in test],
        "costs": {name: round(value, 3) for name, value in costs.items()},
        "environment": _environment(),
        "model": {
            "card": None if card is None else asdict(card),
            "fell_back": getattr(made, "training", {}).get("partway") == 0,
            "held_out": {name: getattr(made, "training", {}).get(name) for name in ("partway", "held_out_losses")},
        },
        "error": error,
    }
    return json.dumps(record, default=str).encode()


def _id(item: Any) -> str:
    """The recording of a stretch, or the recording itself."""
    whole = getattr(item, "track", None) or getattr(item, "song", None) or item
    return str(whole.id)


def _environment() -> dict[str, Any]:
    found: dict[str, Any] = {"levada": __version__, "python": platform.python_version()}
    for library in ("torch", "numpy", "scipy"):
        with suppress(metadata.PackageNotFoundError):
            found[library] = metadata.version(library)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return found | {"platform": platform.platform(), "machine": platform.machine(), "cores": cores, "threads": 1}
