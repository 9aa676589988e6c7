"""The command line: arguments in, sentences and tables out, nothing else."""

from __future__ import annotations

import json
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Optional

import typer

from levada.errors import InputError

if TYPE_CHECKING:
    from levada.corpus import Corpus, Report, Span
    from levada.evaluate import Evaluation

app = typer.Typer(
    help="Adapt beat trackers to a musical tradition from minutes of annotation, on a laptop.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
corpus_app = typer.Typer(help="Recordings with annotations: what is there, and what is wrong.", no_args_is_help=True)
app.add_typer(corpus_app, name="corpus")

Force = Annotated[bool, typer.Option("--force", help="Replace what exists.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Seed = Annotated[int, typer.Option(help="Seed of everything random.")]
Model = Annotated[str, typer.Option("--model", "-m", help="base, flux, or the folder of a model.")]


class Strategy(str, Enum):
    """How to adapt."""

    finetune_augment = "finetune+augment"
    finetune = "finetune"
    scratch = "scratch"
    decoder = "decoder"


@app.command()
def beats(
    recording: Annotated[Path, typer.Argument(help="A recording, or a folder of them.")],
    out: Annotated[
        Optional[Path], typer.Option("--out", "-o", help="Beat file (.beats, .csv, .svl, .jams, .mid …), or a folder.")
    ] = None,
    model: Model = "base",
    clicks: Annotated[Optional[Path], typer.Option(help="Write the recording with clicks here.")] = None,
    hints: Annotated[
        Optional[Path], typer.Option(help="Beats you are sure of; the result passes through them.")
    ] = None,
    plot: Annotated[Optional[Path], typer.Option(help="Draw activations and beats here (.png, .svg, .pdf).")] = None,
    suffix: Annotated[str, typer.Option(help="Format of the beat files of a folder.")] = ".beats",
    processes: Annotated[int, typer.Option(min=1, help="Recordings tracked at once, for a folder.")] = 2,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find the beats of a recording, or of a folder of them (resumable)."""
    from levada import models

    if recording.is_dir():
        if out is None:
            raise InputError("is a folder: say with -o in which folder its beats go", path=recording)
        if clicks or hints or plot:
            raise InputError("--clicks, --hints and --plot are for one recording")
        _folder(recording, model, out, suffix, processes, force, as_json)
        return
    for path in (out, clicks, plot):
        if path is not None and path.exists() and not force:
            raise InputError("exists already; choose another name, or --force to replace it", path=path)
    from levada import audio
    from levada.formats import read_beats, write_beats

    certain = None if hints is None else read_beats(hints)
    tracker = models.load(model)
    activations = tracker.file_activations(recording)
    found = tracker.decode(activations, hints=certain)
    if out is not None:
        write_beats(out, found, duration_s=audio.info(recording).duration_s, force=force)
    if clicks is not None:
        samples, rate = audio.read(recording)
        audio.write(clicks, audio.with_clicks(samples, found, rate=rate), rate=rate, force=force)
    if plot is not None:
        from levada.plot import Panel, plot_activations

        title = f"{recording.name}, {tracker.name}"
        plot_activations(plot, [Panel(title, activations, found)], reference=certain, force=force)
    if as_json:
        rows = [
            {"time_s": t, "position": p, "confidence": c} for (t, p), c in zip(found, _confidences(found), strict=True)
        ]
        _print_json({"recording": str(recording), "model": tracker.name, "beats": rows})
    elif out is None:
        for time_s, position in found:
            print(f"{time_s:.3f}\t{position}" if position else f"{time_s:.3f}")
    if not len(found):
        _say(f"{recording}: no beats heard; it may be silent, or without a pulse this model knows")
    elif out is not None and not as_json:
        metres = ", ".join(f"{metre}" for metre in found.metres) or "?"
        sure = sum(_confidences(found)) / len(found)
        _say(f"{out}: {len(found)} beats, {found.tempo_bpm:.1f} bpm, {metres} beats a bar, mean confidence {sure:.2f}")


def _confidences(found: Any) -> list[float]:
    return [math.nan] * len(found) if found.confidence is None else [float(value) for value in found.confidence]


def _folder(folder: Path, model: str, out: Path, suffix: str, processes: int, force: bool, as_json: bool) -> None:
    from levada import models
    from levada.track import track_folder

    with _progress(f"tracking {folder}") as progress:
        report = track_folder(
            folder, models.load(model), out=out, processes=processes, suffix=suffix, force=force, progress=progress
        )
    if as_json:
        failed = {str(path): problem for path, problem in report.failed.items()}
        _print_json({"written": [*map(str, report.written)], "kept": [*map(str, report.kept)], "failed": failed})
    for problem in report.failed.values():
        _say(problem)
    there = f", {len(report.kept)} were there already" if report.kept else ""
    lost = f", {len(report.failed)} could not be tracked" if report.failed else ""
    _say(f"{out}: beats of {len(report.written)} recordings written{there}{lost}")
    if report.failed:
        raise typer.Exit(2)


@app.command()
def adapt(
    corpus: Annotated[str, typer.Argument(help="A folder of recordings with labels, mirdata:NAME, or one recording.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the adapted model.")],
    minutes: Annotated[
        Optional[float],
        typer.Option(min=0.01, help="Minutes of labels to use; the rest scores the result. All by default."),
    ] = None,
    labels: Annotated[Optional[Path], typer.Option(help="Beats of a part of one recording.")] = None,
    strategy: Annotated[Strategy, typer.Option(help="How to adapt.")] = Strategy.finetune_augment,
    model: Model = "base",
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Adapt a tracker to minutes of labels, and score it before and after on recordings it has not seen."""
    import numpy as np

    from levada import models
    from levada.adapt.beats import DEFAULTS
    from levada.adapt.run import adapt as run
    from levada.nets.weights import load

    if out.exists() and not force:
        raise InputError("exists already; choose another name, or --force to replace it", path=out)
    began = time.monotonic()
    spans, unseen = _chosen(corpus, labels, minutes, np.random.default_rng(seed))
    base = load(models.find(model))
    used = sum(span.duration_s for span in spans) / 60
    _say(
        f"adapting {model} to {used:.2f} minutes of {len({span.track.id for span in spans})} recordings, {strategy.value}"
    )
    with _progress("adapting") as progress:
        adapted = run(
            spans, strategy=strategy.value, base=base, out=out, force=force, progress=progress,
            settings=DEFAULTS[strategy.value].seeded(seed),
        )  # fmt: skip
    _say(f"{out}: saved after {time.monotonic() - began:.0f} s")
    if unseen:
        _before_and_after(out, model, base, adapted, unseen, as_json)
    elif labels is not None:
        _rest(Path(corpus), labels, out)
    else:
        _say("all labels were used, so there is nothing to score it on; --minutes keeps some aside")


def _chosen(corpus: str, labels: Path | None, minutes: float | None, rng: Any) -> tuple[list[Span], list[Any]]:
    """What to learn from, and annotated recordings of other groups to score on."""
    from levada.corpus import annotated_span, draw, open_corpus, single, split

    if labels is not None or (not corpus.startswith("mirdata:") and Path(corpus).is_file()):
        if labels is None:
            raise InputError("is one recording: say with --labels where its beats are", path=corpus)
        track = single(corpus, labels).tracks[0]
        return ([annotated_span(track)] if minutes is None else draw([track], minutes=minutes, rng=rng)), []
    opened = open_corpus(corpus)
    if not opened.annotated:
        raise InputError("holds no annotated recordings; put a beat file beside each", path=corpus)
    if minutes is None:
        return [annotated_span(track) for track in opened.annotated], []
    if len(opened.groups) < 2:
        _say(f"all recordings are of one group ({opened.grouping}): there are none left to score on")
        return draw(opened.annotated, minutes=minutes, rng=rng), []
    for test in (0.6, 0.4, 0.2):
        train, unseen = split(opened, test=test, rng=rng)
        if sum(annotated_span(track).duration_s for track in train) >= 60 * minutes * 1.02:
            return draw(train, minutes=minutes, rng=rng), list(unseen)
    _say("too few labels to keep any aside: all groups are used, and nothing is scored")
    return draw(opened.annotated, minutes=minutes, rng=rng), []


def _before_and_after(out: Path, model: str, base: Any, adapted: Any, unseen: list[Any], as_json: bool) -> None:
    from levada import models
    from levada.adapt.run import with_scores
    from levada.evaluate import evaluate

    trackers = {
        model: models.tracker(base, name=model),
        out.name: models.tracker(adapted, name=out.name),
        models.FLUX: models.load(models.FLUX),
    }
    with _progress("scoring") as progress:
        evaluation = evaluate(unseen, trackers, processes=2, progress=progress)
    summary = evaluation.summary()[out.name]
    shown = {name: str(summary[name]) for name in ("beat_f", "beat_cmlt", "downbeat_f")}
    with_scores(out, adapted, {**shown, "scored on": f"{len(unseen)} recordings of other groups"})
    _show(evaluation, as_json)


def _rest(recording: Path, labels: Path, out: Path) -> None:
    """Beats of all of a recording of which a part is labelled."""
    from levada import models
    from levada.formats import read_beats, write_beats

    target = out / f"{recording.stem}.beats"
    found = models.load(out).file(recording, hints=read_beats(labels))
    write_beats(target, found, force=True)
    _say(f"{target}: {len(found)} beats of the whole recording, passing through your labels")


@app.command()
def evaluate(
    corpus: Annotated[str, typer.Argument(help="A folder of recordings with labels, or mirdata:NAME.")],
    model: Annotated[
        Optional[list[str]], typer.Option("--model", "-m", help="base, flux, or the folder of a model; repeat it.")
    ] = None,
    out: Annotated[
        Optional[Path], typer.Option("--out", "-o", help="Write a CSV with a row for each recording and model.")
    ] = None,
    trim: Annotated[float, typer.Option(min=0, help="Seconds at the start that are not scored (0 under 15 s).")] = 5.0,
    exclude_trained: Annotated[
        bool, typer.Option("--exclude-trained", help="Score only what no model was trained on.")
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Recordings scored at once.")] = 2,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Score models on annotated recordings, and say what kind of wrong each is."""
    from levada import models
    from levada.corpus import open_corpus
    from levada.evaluate import evaluate as score
    from levada.evaluate import with_floor

    tracks = open_corpus(corpus).tracks
    trackers = {name: models.load(name) for name in with_floor(model or ["base"])}
    with _progress("scoring") as progress:
        evaluation = score(
            tracks, trackers, out=out, force=force, trim_s=trim, exclude_trained_spans=exclude_trained,
            processes=processes, seed=seed, progress=progress,
        )  # fmt: skip
    _show(evaluation, as_json)


def _show(evaluation: Evaluation, as_json: bool) -> None:
    from levada.evaluate import summary_rows

    if as_json:
        print(evaluation.to_json())
    else:
        _table(summary_rows(evaluation))
        for model, scores in evaluation.differences().items():
            said = ", ".join(f"{name.replace('_', ' ')} {scores[name]}" for name in ("beat_f", "downbeat_f"))
            print(f"{model} against {evaluation.models[0]}: {said}")
    for warning in evaluation.warnings:
        _say(warning)


@app.command("models")
def list_models(as_json: Json = False) -> None:
    """List the models that come with levada: origin, licence, data, scores."""
    from levada.models import cards

    rows = cards()
    if as_json:
        _print_json(rows)
        return
    for row in rows:
        print(f"{row['name']}\n  {row['origin']}\n  licence: {row['licence']}\n  data: {row['data']}")
        for score, value in row["scores"].items():
            print(f"  {score}: {value}")
        print()
    print("Any folder made by `levada adapt` is a model too.")


@corpus_app.command("check")
def corpus_check(
    corpus: Annotated[str, typer.Argument(help="A folder of recordings, or mirdata:NAME.")], as_json: Json = False
) -> None:
    """Print durations, tempi and metres, and everything that is wrong."""
    from levada.corpus import check, open_corpus

    opened = open_corpus(corpus)
    report = check(opened)
    if as_json:
        _print_report_json(report)
    else:
        _print_report(opened, report)
    if not report.ok:
        raise typer.Exit(2)


def _print_report(opened: Corpus, report: Report) -> None:
    _table(
        [
            {
                "recording": row.id,
                "group": row.group,
                "length": _minutes(row.duration_s),
                "annotated": _minutes(row.annotated_s) if row.beats else "–",
                "beats": str(row.beats or "–"),
                "bpm": f"{row.tempo_bpm:.1f}" if row.beats > 1 else "–",
                "beats a bar": ", ".join(f"{metre} (×{bars})" for metre, bars in row.metres.items()) or "–",
                "labels": row.format or "–",
            }
            for row in report.rows
        ]
    )
    print(f"{report.name}: {len(report.rows)} recordings, {report.minutes:.1f} annotated minutes; {report.grouping}")
    print(f"licence: {opened.licence or 'not stated'}; citation: {opened.citation or 'not stated'}")
    for problem in report.problems:
        print(f"{problem.severity}: {problem}")
    if not report.problems:
        print("no problems found")


def _print_report_json(report: Report) -> None:
    from dataclasses import asdict

    problems = [{**asdict(problem), "path": str(problem.path) if problem.path else None} for problem in report.problems]
    _print_json({"corpus": report.name, "recordings": [asdict(row) for row in report.rows], "problems": problems})


@corpus_app.command("get")
def corpus_get(
    name: Annotated[str, typer.Argument(help="A mirdata dataset: candombe, brid …")],
    home: Annotated[Optional[Path], typer.Option(help="Where datasets lie; ~/mir_datasets by default.")] = None,
) -> None:
    """Download a dataset through mirdata; its licence and citation are shown."""
    from levada.corpus import get

    got = get(name.removeprefix("mirdata:"), home=home)
    print(f"{got.name}: {len(got.tracks)} recordings in {got.root}")
    print(f"\nlicence\n{got.licence}\n\ncite\n{got.citation}\n\nuse it as mirdata:{name.removeprefix('mirdata:')}")


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where everything is left to look at and listen to.")] = Path(
        "demo"
    ),
    real: Annotated[
        Optional[Path], typer.Option(help="A folder of annotated recordings instead of rendered ones.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Minutes of labels to adapt to.")] = 1.5,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Adapt to a tradition the base model has never heard, and show before and after."""
    from levada.demo import demo as run

    with _progress("demo") as progress:
        result = run(out, corpus=real, minutes=minutes, seed=seed, force=force, say=_say, progress=progress)
    _show(result.evaluation, False)
    print(f"adapted to {result.minutes:.2f} minutes of labels in {result.adapt_s:.0f} s; {result.total_s:.0f} s in all")
    print(f"look at {out / 'before-and-after.png'}, listen to {out / 'clicks'}, use {out / 'adapted'} as a model")


@app.command()
def pretrain(
    settings: Annotated[Path, typer.Argument(help="A TOML file of settings: pretraining/base.toml.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the new base model.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes that render while one trains.")] = 1,
    force: Force = False,
) -> None:
    """Train a base model on rendered music from nothing (hours; resumable)."""
    from levada.pretrain import make, read_settings

    chosen = read_settings(settings)
    with _progress("pre-training") as progress:
        make(chosen, out=out, workers=workers, force=force, progress=progress)
    _say(f"{out}: saved")


def _say(message: str) -> None:
    print(message, file=sys.stderr)


def _print_json(value: object) -> None:
    print(json.dumps(_plain(value), indent=1, ensure_ascii=False))


def _plain(value: Any) -> Any:
    """JSON has no NaN."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value


def _minutes(seconds: float) -> str:
    return "–" if math.isnan(seconds) else f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def _table(rows: list[dict[str, str]]) -> None:
    """Columns as wide as they need to be; a wide table becomes a block for each row."""
    if not rows:
        return
    headings = list(rows[0])
    widths = [max(len(heading), *(len(row[heading]) for row in rows)) for heading in headings]
    for cells in (headings, *([row[heading] for heading in headings] for row in rows)):
        print("  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip())


@contextmanager
def _progress(label: str) -> Iterator[Callable[..., None]]:
    """A bar with the time left on stderr, for what takes a while."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(label, total=None)

        def update(done: int, total: int, *_: object) -> None:
            bar.update(task, completed=done, total=total)

        yield update


def main() -> None:
    """Run a command; the user's mistakes are a sentence and exit code 2, ours a request and exit code 1."""
    logging.basicConfig(level=logging.WARNING, format="warning: %(message)s")
    try:
        app()
    except InputError as error:
        _say(f"levada: {error}")
        sys.exit(2)
    except KeyboardInterrupt:
        _say("stopped; the same call goes on where this one was")
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if os.environ.get("LEVADA_DEBUG"):
            raise
        _say(f"levada: our fault, not yours: {type(error).__name__}: {error}")
        _say("LEVADA_DEBUG=1 shows where; please report it with the command you typed")
        sys.exit(1)
