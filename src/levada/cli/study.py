"""`levada study`: a grid of budgets, strategies, models and seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.cli import terminal
from levada.cli.options import SOME_FAILED, Cluster, Json, LogTo

if TYPE_CHECKING:
    from levada.experiments import Study, Summary
    from levada.experiments.run import Job
    from levada.experiments.store import Run

__all__ = ["remote_executor", "study"]


def study(
    spec: Annotated[
        Path, typer.Argument(help="A TOML file, such as studies/minutes.toml, or surdo, which comes with levada.")
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="The folder of runs; a study that was stopped is continued in it.")
    ] = Path("runs"),
    corpus: Annotated[
        str | None, typer.Option(help="A folder or mirdata:NAME in the place of the one corpus of the study.")
    ] = None,
    target: Annotated[
        str, typer.Option(help="The instrument that is separated from the rest, in the place of the study's.")
    ] = "",
    processes: Annotated[
        int | None, typer.Option(min=1, help="Runs at the same time; by default as many as cores and memory allow.")
    ] = None,
    cluster: Cluster = None,
    log_to: LogTo = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="List the runs and their expected times; do none.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Repeat runs that are done.")] = False,
    as_json: Json = False,
) -> None:
    """Run a grid of budgets, strategies, models and seeds on corpora (resumable); levada report shows the results."""
    from levada.experiments import processes_that_fit, read_spec, run_study, with_corpus

    planned = read_spec(spec)
    if corpus is not None or target:
        planned = with_corpus(planned, corpus, target=target)
    at_once = processes_that_fit(processes)
    if dry_run:
        _print_plan(planned, out, at_once, as_json)
        return
    if cluster is None and processes is not None and at_once < processes:
        terminal.info(f"{terminal.count(at_once, 'run')} at a time: there is not enough memory for {processes}")
    log = _logger(log_to or [], out)
    terminal.set_dated(True)
    with terminal.progress(planned.name, is_timed=True) as progress:
        summary = run_study(
            planned, out=out, executor=_executor(cluster, at_once), max_workers=at_once, force=force, progress=progress,
            on_run=log, log=terminal.info,
        )  # fmt: skip
    _print_summary(summary, out, as_json)
    if summary.failed:
        raise typer.Exit(SOME_FAILED)


def remote_executor(cluster: str | None) -> Callable[..., Any] | None:
    """Return the executor of a Ray cluster, after a check that it answers; None where none is named."""
    if cluster is None:
        return None
    from levada.experiments import cluster as ray

    ray.check(cluster)
    return partial(ray.parallel_map, address=cluster)


def _executor(cluster: str | None, at_once: int) -> Callable[..., Any]:
    """Return the executor of the runs: processes of this machine, or a cluster."""
    from levada.io import workers

    return remote_executor(cluster) or partial(workers.parallel_map, processes=at_once, isolate=True)


def _print_plan(planned: Study, out: Path, at_once: int, as_json: bool) -> None:
    """Print the runs and their expected times."""
    from levada.experiments.runner import plan_study
    from levada.experiments.store import label

    look = plan_study(planned, out=out)
    if as_json:
        rows = [
            {"id": plan.id, "seconds": seconds, "done": plan.id in look.done, **plan.config()}
            for plan, seconds in look.runs
        ]
        terminal.print_json({"runs": rows, "left_out": look.grid.left_out, "notes": look.grid.notes})
        return
    for plan, seconds in look.runs:
        budget = plan.budget.text or "no labels"
        takes = "done" if plan.id in look.done else f"about {terminal.duration(seconds)}"
        print(f"{plan.id}  {plan.corpus}, {label(plan.config())}, {budget}, seed {plan.seed}: {takes}")
    for note in (*(f"left out: {why}" for why in look.grid.left_out), *look.grid.notes):
        terminal.info(note)
    todo = sum(seconds for plan, seconds in look.runs if plan.id not in look.done)
    runs = terminal.count(len(look.runs), "run")
    left = terminal.duration(todo / at_once)
    terminal.info(f"{runs}, {len(look.done)} of them done; the others take about {left}, {at_once} at a time")


def _print_summary(summary: Summary, out: Path, as_json: bool) -> None:
    for run, problem in summary.failed.items():
        terminal.error(f"failed: {run}: {problem}")
    if as_json:
        terminal.print_json(vars(summary) | {"out": str(out)})
    kept = f", {summary.kept} were done already" if summary.kept else ""
    failed = f", {len(summary.failed)} failed and are tried again by the next call" if summary.failed else ""
    took = f" in {terminal.duration(summary.seconds)}" if summary.done else ""
    terminal.info(f"{out}: {terminal.count(summary.done, 'run')} done{took}{kept}{failed}")
    if not summary.failed:
        terminal.info(f"show them: levada report {out}")


def _logger(names: Sequence[str], out: Path) -> Callable[[Run, Job], None] | None:
    """Return the callback that logs a finished run; None where no logger is named."""
    if not names:
        return None
    from levada.experiments.run_loggers import log_run
    from levada.learning import loggers

    loggers.check(names)
    return partial(log_run, names=names, out=out)
