"""`levada study` and `levada report`: how many minutes, which ones, and what to do with them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.cli import terminal
from levada.cli.options import SOME_FAILED, Force, Json

if TYPE_CHECKING:
    from levada.experiments import Study, Summary
    from levada.experiments.run import Job
    from levada.experiments.store import Run

__all__ = ["elsewhere", "report", "study"]

Out = Annotated[Path, typer.Option("--out", "-o", help="The folder of runs; a killed study goes on in it.")]


def study(
    spec: Annotated[Path, typer.Argument(help="A TOML file: studies/minutes.toml.")],
    out: Out = Path("runs"),
    processes: Annotated[
        int | None, typer.Option(min=1, help="Runs done at once; as many as there are cores and memory by default.")
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(help="Do the runs on a Ray cluster: its address, or auto. All must see the same files."),
    ] = None,
    track: Annotated[
        list[str] | None, typer.Option(help="Show the runs elsewhere too: tensorboard, wandb; repeat it.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List the runs and what they will take; do none.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Do runs again that are done.")] = False,
    as_json: Json = False,
) -> None:
    """Run a grid of budgets, strategies, models and seeds on corpora (resumable); levada report shows it."""
    from levada.experiments import processes_that_fit, read_spec, run_study

    asked = read_spec(spec)
    lanes = processes_that_fit(processes)
    if dry_run:
        _ahead(asked, out, lanes, as_json)
        return
    if cluster is None and processes is not None and lanes < processes:
        terminal.say(f"{terminal.count(lanes, 'run')} at once: there is not enough memory for {processes}")
    seen = _tracked(track or [], out)
    terminal.set_dated(True)
    with _shown(asked.name) as told:
        summary = run_study(
            asked,
            out=out,
            each=_each(cluster, lanes),
            lanes=lanes,
            force=force,
            progress=told,
            told=seen,
            say=terminal.say,
        )
    _tell(summary, out, as_json)
    if summary.failed:
        raise typer.Exit(SOME_FAILED)


def report(
    runs: Annotated[Path, typer.Argument(help="The folder of runs of levada study.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the report.")] = Path("report"),
    force: Force = False,
) -> None:
    """Make a page of the runs of studies: learning curves, differences with their intervals, tables, costs."""
    from levada.experiments.report import write_report

    with terminal.progress("reporting") as progress:
        write_report(runs, out=out, force=force, progress=progress)
    terminal.say(f"{out}: open index.html")


def elsewhere(cluster: str | None) -> Callable[..., Any] | None:
    """What works on a cluster, once it has answered; nothing where none is named."""
    if cluster is None:
        return None
    from levada.experiments import cluster as ray

    ray.check(cluster)  # said before the work, not after it
    return partial(ray.each, address=cluster)


def _each(cluster: str | None, lanes: int) -> Callable[..., Any]:
    """What does the runs: processes of this machine, or a cluster."""
    from levada.io import workers

    return elsewhere(cluster) or partial(workers.parallel_map, processes=lanes, isolate=True)


def _ahead(asked: Study, out: Path, lanes: int, as_json: bool) -> None:
    """What would be run, and about how long it would take."""
    from levada.experiments.runner import look_ahead
    from levada.experiments.store import label

    look = look_ahead(asked, out=out)
    if as_json:
        rows = [
            {"id": plan.id, "seconds": seconds, "done": plan.id in look.done, **plan.config()}
            for plan, seconds in look.runs
        ]
        terminal.print_json({"runs": rows, "left_out": look.grid.left_out, "notes": look.grid.notes})
        return
    for plan, seconds in look.runs:
        budget = f"{plan.minutes:g} min" if plan.minutes else "no labels"
        takes = "done" if plan.id in look.done else f"about {terminal.length(seconds)}"
        print(f"{plan.id}  {plan.corpus}, {label(plan.config())}, {budget}, seed {plan.seed}: {takes}")
    for sentence in (*(f"left out: {why}" for why in look.grid.left_out), *look.grid.notes):
        terminal.say(sentence)
    todo = sum(seconds for plan, seconds in look.runs if plan.id not in look.done)
    runs = terminal.count(len(look.runs), "run")
    left = terminal.length(todo / lanes)
    terminal.say(f"{runs}, {len(look.done)} of them done; the others take about {left}, {lanes} at once")


def _tell(summary: Summary, out: Path, as_json: bool) -> None:
    for what, why in summary.failed.items():
        terminal.error(f"failed: {what}: {why}")
    if as_json:
        terminal.print_json(vars(summary) | {"out": str(out)})
    kept = f", {summary.kept} were done already" if summary.kept else ""
    lost = f", {len(summary.failed)} failed and are tried again by the next call" if summary.failed else ""
    took = f" in {terminal.length(summary.seconds)}" if summary.done else ""
    terminal.say(f"{out}: {terminal.count(summary.done, 'run')} done{took}{kept}{lost}")
    if not summary.failed:
        terminal.say(f"look at them: levada report {out}")


@contextmanager
def _shown(name: str, *, every_s: float = 10.0) -> Iterator[Callable[[int, int, float], None]]:
    """Runs done and the time left, by what runs of each kind took: a bar on a terminal, elsewhere a line at times."""
    if sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        columns = (TextColumn(name), BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
        with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
            task = bar.add_task("", total=None)
            yield lambda done, total, left_s: bar.update(task, completed=done, total=total, description=_left(left_s))
        return
    said = time.monotonic()

    def update(done: int, total: int, left_s: float) -> None:
        nonlocal said
        if time.monotonic() - said >= every_s and 0 < done < total:
            said = time.monotonic()
            terminal.say(f"{name}: {done} of {total} runs, {_left(left_s)}", dated=True)

    yield update


def _left(seconds: float) -> str:
    return "" if seconds != seconds else f"about {terminal.length(seconds)} left"


def _tracked(names: Sequence[str], out: Path) -> Callable[[Run, Job], None] | None:
    """Whom every run that is done is shown to, where somebody wants to see it."""
    if not names:
        return None
    from levada.experiments.run_loggers import show
    from levada.learning import loggers

    loggers.check(names)  # said before the first run, not after it
    return partial(show, names=names, out=out)
