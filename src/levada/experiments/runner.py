"""Runs a study: finished runs are kept, missing ones are done, and an interrupted study is resumed."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import BrokenExecutor
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from levada.data import log_notes
from levada.errors import InputError, Interrupted, MissingExtra
from levada.experiments.corpora import (
    OpenCorpus,
    data_digest,
    is_missing,
    mix_source,
    open_source,
    placeholder,
    render_source,
    without_duplicates,
)
from levada.experiments.cost import Clock, guess_s
from levada.experiments.grid import Grid, Plan, make_grid
from levada.experiments.run import WEIGHTS, Job, failure, run
from levada.experiments.spec import MIRDATA, PRETRAINED, Source, Study, read_spec
from levada.experiments.store import Run, label, recover, unplanned_runs, valid_runs, write_run, write_study
from levada.io import workers
from levada.io.files import lock_folder, wrap_errors

__all__ = ["Executor", "StudyPlan", "Summary", "open_corpora", "plan_study", "processes_that_fit", "run_study"]

Executor = Callable[[Callable[[Job], Mapping[str, bytes]], Sequence[Job]], Iterator[tuple[Job, Any]]]
"""What does all runs, as `workers.each` with a number of processes does."""

RUN_MB = 1024.0
"""Memory that is kept free for each run that is done at the same time, in MB."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Summary:
    """Result of a call of `run_study`.

    Parameters
    ----------
    done, kept : int
        Runs done now, and those that an earlier call had done.
    failed : mapping of str to str
        Titles of runs that failed, and why.
    left_out, notes : tuple of str
        Parts that cannot be run, and caveats for readers of the scores.
    seconds : float
        Duration of the call.
    work_s : float
        Sum of the durations of its runs.
    """

    done: int
    kept: int
    failed: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    work_s: float = 0.0


def run_study(
    study: Study | str | Path,
    *,
    out: str | Path,
    executor: Executor | None = None,
    force: bool = False,
    progress: Callable[[int, int, float], None] | None = None,
    render_progress: Callable[[int, int], None] | None = None,
    on_run: Callable[[Run, Job], None] | None = None,
    log: Callable[[str], None] = lambda _: None,
    max_workers: int = 1,
) -> Summary:
    """Do the missing runs of a study.

    Repeat a call that was killed: finished runs are kept, unfinished ones are done again.

    Parameters
    ----------
    study : Study or path-like
        A spec, or its file.
    out : path-like
        The folder of runs. Several studies may share one, one after the other: a run they have in common is done once.
    executor : callable, optional
        Executes the runs: from a function and jobs to pairs of job and result, in any order. Here and one after the
        other, by default.
    force : bool
        Whether runs that are done are done again.
    progress : callable, optional
        Called with runs done, all runs, and the estimated seconds left (NaN where unknown).
    render_progress : callable, optional
        Called with recordings rendered, and of how many, while a corpus is rendered.
    on_run : callable, optional
        Called with every run that was done, failed ones included, and its job.
    log : callable
        Called with messages.
    max_workers : int
        Number of runs that `executor` does at the same time, for the time left.

    Returns
    -------
    Summary

    Raises
    ------
    InputError
        If the spec is wrong, another study writes to the folder, or it cannot be written. What is finished stays.
    Interrupted
        After Ctrl-C or SIGTERM, with what was done until then.
    """
    study = study if isinstance(study, Study) else read_spec(study)
    executor = executor if executor is not None else partial(workers.parallel_map, processes=1)
    out, began = Path(out), time.monotonic()
    with wrap_errors(out):
        out.mkdir(parents=True, exist_ok=True)
    with lock_folder(out):
        corpora, grid = _grid(study, out, render_progress=render_progress, log=log)
        for sentence in (*(f"left out: {why}" for why in grid.left_out), *grid.notes):
            log(sentence)
        finished = {} if force else _finished(recover(out), study)
        _write_study(out, study, grid)
        if (unplanned := unplanned_runs(out)) is not None:
            log(unplanned)
            grid = replace(grid, notes=(*grid.notes, unplanned))
            _write_study(out, study, grid)
        jobs = _jobs(study, grid, finished)
        kept = len(grid.plans) - len(jobs)
        if kept and jobs:
            log(f"{kept} of {len(grid.plans)} runs are done; going on with the others")
        done, failed, work_s = 0, dict[str, str](), 0.0
        clock = Clock(
            finished.values(), guesses=_guesses(grid, corpora, study), max_workers=max(1, min(max_workers, len(jobs)))
        )
        waiting = {job.plan.id: job.plan for job in jobs}
        if progress is not None and jobs:
            progress(0, len(jobs), clock.left_s(waiting.values()))
        try:
            with closing(_results(executor, jobs)) as results:
                for job, files in results:
                    written = write_run(out, files)
                    del waiting[job.plan.id]
                    work_s += written.costs.get("wall_s", 0.0)
                    if written.error:
                        failed[_title(job.plan)] = written.error
                        _log.warning("%s failed: %s", _title(job.plan), written.error)
                    else:
                        done += 1
                        clock.add(written)
                    if on_run is not None:
                        on_run(written, job)
                    if progress is not None:
                        progress(done + len(failed), len(jobs), clock.left_s(waiting.values()))
        except KeyboardInterrupt as stop:
            raise Interrupted.of(stop, report={"done": done, "kept": kept, "failed": failed}) from None
    return Summary(done, kept, failed, grid.left_out, grid.notes, time.monotonic() - began, work_s)


@dataclass(frozen=True)
class StudyPlan:
    """Runs that a study would do.

    Parameters
    ----------
    grid : Grid
    runs : tuple of Plan and float
        All runs, with the estimated seconds of each; for those that are done, the measured ones.
    done : frozenset of str
        Ids of those that are done.
    """

    grid: Grid
    runs: tuple[tuple[Plan, float], ...]
    done: frozenset[str]


def plan_study(study: Study, *, out: str | Path) -> StudyPlan:
    """Plan a study and estimate its duration, without doing or writing anything.

    Parameters
    ----------
    study : Study
    out : path-like
        The folder of runs, if there is one already.

    Returns
    -------
    StudyPlan
        Where corpora are not rendered yet, ids and feasible budgets are approximate.

    Raises
    ------
    InputError
        As `run_study`.
    """
    corpora, grid = _grid(study, Path(out), dry_run=True)
    finished = _finished(valid_runs(out), study)
    clock = Clock(finished.values(), guesses=_guesses(grid, corpora, study))
    runs = tuple((plan, clock.expected_s(plan)) for plan in grid.plans)
    return StudyPlan(grid, runs, frozenset(finished) & {plan.id for plan in grid.plans})


def _grid(study: Study, out: Path, **options: Any) -> tuple[list[OpenCorpus], Grid]:
    """Open the corpora of a study, and make its grid with all notes."""
    corpora, missing, notes = open_corpora(study, out=out, **options)
    grid = make_grid(study, corpora, left_out=missing)
    return corpora, replace(grid, notes=(*notes, *grid.notes))


def _guesses(grid: Grid, corpora: Sequence[OpenCorpus], study: Study) -> dict[str, float]:
    scored_min = {opened.source.name: _scored_min(opened, study) for opened in corpora}
    return {
        plan.id: guess_s(plan, scored_min=sum(scored_min[one] for one in (plan.corpus, *(a.corpus for a in plan.also))))
        for plan in grid.plans
    }


def _scored_min(opened: OpenCorpus, study: Study) -> float:
    source = opened.source
    corpus = opened.corpus
    scored = corpus.tracks if corpus.labels == "stems" else corpus.annotated
    known_s = source.remix.seconds if source.remix else source.seconds if source.render else None
    lengths_s = [track.duration_s if known_s is None else known_s for track in scored]
    return sum(lengths_s) / 60 * (1.0 if source.halves or not source.adapt else study.test)


def open_corpora(
    study: Study,
    *,
    out: Path,
    dry_run: bool = False,
    render_progress: Callable[[int, int], None] | None = None,
    log: Callable[[str], None] = lambda _: None,
) -> tuple[list[OpenCorpus], list[str], list[str]]:
    """Open the corpora of a study without duplicates, and render those that must be.

    Parameters
    ----------
    study : Study
    out : Path
        The folder of the study.
    dry_run : bool
        Render nothing: look at what would be finished.
    render_progress, log : callable, optional

    Returns
    -------
    list of OpenCorpus, list of str, list of str
        What is there; of those that may be missing and are, why; and notes: which recordings are left out as
        duplicates, and what was assumed of stems.

    Raises
    ------
    InputError
        If one is missing and may not be, has no labels, or cannot be read.
    """
    opened, missing, notes = list[OpenCorpus](), list[str](), list[str]()
    for source in study.corpora:
        try:
            if is_missing(source):
                raise FileNotFoundError(source.path)
            stand_in = placeholder(source, out=out) if source.render or source.remix else None
            if stand_in is not None and dry_run:
                opened.append(OpenCorpus(source, stand_in, "to be rendered"))
                continue
            if stand_in is not None and source.render:
                log(f"rendering {source.recordings} recordings of {source.render}")
            rendered = render_source(source, out=out, progress=render_progress)
            if stand_in is not None and source.remix is not None:
                log(f"mixing solos of {source.name}: {source.remix.mixtures} mixtures")
            mixed, left_out = mix_source(rendered, out=out, progress=render_progress)
            notes += [f"{source.name}: {one}" for one in left_out]
            finished, note = without_duplicates(mixed)
            corpus = open_source(finished)
            caveat = getattr(corpus, "caveat", "")
            notes += [*([note] if note else []), *([f"{source.name}: {caveat}"] if caveat else [])]
            if corpus.labels == "stems":
                log_notes(corpus.notes, notes.append)
            opened.append(OpenCorpus(finished, corpus, data_digest(corpus)))
        except FileNotFoundError as error:
            if not source.optional:
                problem = f"there is no folder {error}; with optional = true the study does without it"
                raise _source_error(study, source, problem) from None
            missing.append(f"{source.name}: there is no folder {error}")
        except MissingExtra as error:
            if not source.optional:
                raise
            missing.append(f"{source.name}: {error}")
        except InputError as error:
            if source.optional and source.path.startswith(MIRDATA):
                missing.append(f"{source.name}: {error}")
            elif source.render and error.path is None:
                raise _source_error(study, source, error.problem) from None
            else:
                raise
    return opened, missing, list(dict.fromkeys(notes))


def processes_that_fit(wanted: int | None = None, *, free_mb: float | None = None) -> int:
    """Number of runs to do at the same time: as many as wanted, or as cores, and never more than memory allows.

    Parameters
    ----------
    wanted : int, optional
    free_mb : float, optional
        Memory that may be used, in MB; what is free now, if not given.

    Returns
    -------
    int
        At least one.
    """
    wanted = workers.usable_cores() if wanted is None else wanted
    free_mb = _free_mb() if free_mb is None else free_mb
    return max(1, min(wanted, int(free_mb // RUN_MB) if math.isfinite(free_mb) else wanted))


def _free_mb() -> float:
    """Memory that may be used now, in MB: of the machine, and of the container where there is one."""
    free = [math.inf]
    with suppress(OSError, StopIteration, ValueError):
        lines = Path("/proc/meminfo").read_text().splitlines()
        free.append(int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) / 1024)
    with suppress(OSError, ValueError):  # "max" is no number: no limit
        limit, used = (int(Path(f"/sys/fs/cgroup/memory.{name}").read_text()) for name in ("max", "current"))
        free.append((limit - used) / 2**20)
    return min(free)


def _write_study(out: Path, study: Study, grid: Grid) -> None:
    spec = "" if study.path is None else study.path.read_text(encoding="utf-8-sig")
    ids = [plan.id for plan in grid.plans]
    write_study(out, study.name, ids, spec=spec, left_out=list(grid.left_out), notes=list(grid.notes))


def _finished(runs: Mapping[str, Run], study: Study) -> dict[str, Run]:
    """Runs that need not be done again."""
    return {
        key: run
        for key, run in runs.items()
        if not run.error
        if not study.keep_weights or run.strategy == PRETRAINED or (run.folder / WEIGHTS).is_dir()
        if run.record.get("listen", 0) >= _listen(study, run.seed)
    }


def _jobs(study: Study, grid: Grid, finished: Mapping[str, Run]) -> list[Job]:
    return [
        Job(
            plan, grid.sources[plan.corpus], study.name, study.keep_weights, grid.models.get(plan.base, plan.base),
            tuple(grid.sources[scored.corpus] for scored in plan.also), _listen(study, plan.seed),
        )
        for plan in grid.plans
        if plan.id not in finished
    ]  # fmt: skip


def _listen(study: Study, seed: int) -> int:
    """Number of recordings of which a run with this seed keeps the stems."""
    return study.listen if seed == study.seeds[0] else 0


def _results(executor: Executor, jobs: Sequence[Job]) -> Generator[tuple[Job, Mapping[str, bytes]], None, None]:
    """Files of each run as soon as it is done; those of a failed run hold its error."""
    if not jobs:
        return
    for job, result in executor(run, jobs):
        if isinstance(result, BrokenExecutor):
            result = InputError(str(result))
        yield job, failure(job, result) if isinstance(result, BaseException) else result


def _title(plan: Plan) -> str:
    budget = f", {plan.budget.text}" if plan.budget.amount else ""
    return f"{plan.corpus}, {label(plan.config())}{budget}, seed {plan.seed}"


def _source_error(study: Study, source: Source, problem: str) -> InputError:
    return InputError(f"{source.name}: {problem}", path=study.path, line=source.line)
