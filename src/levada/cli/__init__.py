"""The command line: arguments in, sentences and tables out, nothing else."""

from __future__ import annotations

import errno
import json
import logging
import math
import os
import sys
import time
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.beat_tracking.pretrained import tracker_of
from levada.cli import (
    adapt_stems,
    demo_command,
    evaluate_stems,
    export,
    loggers,
    outputs,
    process,
    remix,
    select,
    separate,
    study,
    terminal,
    traditions,
)
from levada.cli import corpus as corpora
from levada.cli import models as listing
from levada.cli.labels import chosen, say_assumptions
from levada.cli.loggers import Track_
from levada.cli.options import EXIT_CODES, UNUSABLE, Convention, Force, Json, Model, Seed, Table, Task
from levada.errors import InputError, Interrupted, os_error_text

if TYPE_CHECKING:
    from levada.beat_tracking.evaluation import Evaluation

app = typer.Typer(
    help="Adapt beat trackers to a musical tradition from minutes of annotation, on a laptop.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(corpora.app, name="corpus")


@app.callback()
def _options(
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Print results, warnings and errors alone; may stand after the command too.")
    ] = False,
    _: Annotated[
        bool, typer.Option("--version", callback=process.show_version, is_eager=True, help="Print versions and exit.")
    ] = False,
) -> None:
    terminal.set_quiet(quiet)
    terminal.set_dated(False)


app.add_typer(traditions.app, name="traditions")


OUTSIDE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EACCES, errno.EPERM, errno.EROFS}
"""What a disk may say that is neither our fault nor anything we could have foreseen."""


class Strategy(StrEnum):
    """How to adapt."""

    finetune_augment = "finetune+augment"
    finetune = "finetune"
    scratch = "scratch"
    decoder = "decoder"
    bayes = "bayes"
    unet = "unet"
    nmf = "nmf"
    nmf_conv = "nmf-conv"


@app.command()
def beats(
    recording: Annotated[Path, typer.Argument(help="A recording, or a folder of them.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Beat file (.beats, .csv, .svl, .jams, .mid …), or a folder.")
    ] = None,
    model: Model = "base",
    clicks: Annotated[Path | None, typer.Option(help="Write the recording with clicks here.")] = None,
    hints: Annotated[Path | None, typer.Option(help="Beats you are sure of; the result passes through them.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw activations and beats here (.png, .svg, .pdf).")] = None,
    suffix: Annotated[str, typer.Option(help="Format of the beat files of a folder.")] = ".beats",
    table: Table = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Recordings tracked at once, for a folder; by default as is fastest.")
    ] = None,
    cluster: Annotated[
        str | None, typer.Option(help="Track a folder on a Ray cluster: its address, or auto. Recordings travel there.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Find the beats of a recording, or of a folder of them (resumable)."""
    from levada.beat_tracking.pretrained import load_tracker

    if recording.is_dir():
        if out is None:
            raise InputError("is a folder: say with -o in which folder its beats go", path=recording)
        if clicks or hints or plot:
            raise InputError("--clicks, --hints and --plot are for one recording")
        _folder(recording, model, out, suffix, table, processes, cluster, force, as_json)
        return
    if cluster is not None or table is not None:
        raise InputError("--cluster and --table are for a folder of recordings", path=recording)
    outputs.need_writable(out, clicks, plot, force=force, inputs=(recording, hints))
    outputs.need_pictures(plot)
    outputs.need_clicks(clicks, recording)
    from levada.beat_tracking.network_tracker import NetworkTracker
    from levada.beat_tracking.tracker import provenance
    from levada.io import audio
    from levada.io.formats import format_of, read_beats, write_beats

    if out is not None:
        format_of(out)  # said before the work, not after it
    certain = None if hints is None else read_beats(hints)
    tracker = load_tracker(model)
    if plot is not None and not isinstance(tracker.backend, NetworkTracker):
        raise InputError(f"{tracker.name} has no activations to draw")
    with terminal.progress("listening") as progress:
        if isinstance(tracker.backend, NetworkTracker):
            activations = tracker.activations(recording, progress=progress)
            found = tracker.backend.decode(activations, hints=certain)
        else:
            found = tracker.track(recording, hints=certain, progress=progress)
    if out is not None:
        length_s = audio.info(recording).duration_s
        write_beats(out, found, duration_s=length_s, provenance=provenance(tracker), force=force)
    if clicks is not None:
        samples, rate = audio.read(recording)
        audio.write(clicks, audio.add_clicks(samples, found, rate=rate), rate=rate, force=force)
    if plot is not None:
        from levada.beat_tracking.plots import Panel, plot_activations

        title = f"{recording.name}, {tracker.name}"
        plot_activations(plot, [Panel(title, activations, found)], reference=certain, force=force)
    if as_json:
        rows = [
            {"time_s": t, "position": p, "confidence": c} for (t, p), c in zip(found, _confidences(found), strict=True)
        ]
        terminal.print_json({"recording": str(recording), "model": tracker.name, "beats": rows})
    elif out is None:
        for time_s, position in found:
            print(f"{time_s:.3f}\t{position}" if position else f"{time_s:.3f}")
    if not len(found):
        terminal.say(f"{recording}: no beats heard; it may be silent, or without a pulse this model knows")
    elif out is not None and not as_json:
        metres = ", ".join(f"{metre}" for metre in found.metres) or "?"
        sure = sum(_confidences(found)) / len(found)
        terminal.say(
            f"{out}: {len(found)} beats, {found.tempo_bpm:.1f} bpm, {metres} beats a bar, mean confidence {sure:.2f}"
        )


def _confidences(found: Any) -> list[float]:
    return [math.nan] * len(found) if found.confidence is None else [float(value) for value in found.confidence]


def _folder(
    folder: Path, model: str, out: Path, suffix: str, table: Path | None, processes: int | None, cluster: str | None,
    force: bool, as_json: bool,
) -> None:  # fmt: skip
    from levada.beat_tracking.pretrained import load_tracker
    from levada.beat_tracking.tracker import track_folder

    if out.resolve() == folder.resolve():
        raise InputError(
            "holds the recordings: choose another folder for the beats, so that no labels are lost", path=out
        )
    if out.is_file():
        raise InputError("is a file: say with -o in which folder the beats go", path=out)
    if table is not None:
        outputs.need_table_writable(table, out, force=force)
    terminal.set_dated(True)
    with terminal.progress(f"tracking {folder}", at_once=processes or 2) as progress:
        report = track_folder(
            folder, load_tracker(model), out=out, processes=processes, each=study.elsewhere(cluster), suffix=suffix,
            table=table, force=force, progress=progress,
        )  # fmt: skip
    outputs.finish_folder(report, out, results="beats", verb="tracked", as_json=as_json)


@app.command()
def adapt(
    corpus: Annotated[str, typer.Argument(help="A folder of recordings with labels, mirdata:NAME, or one recording.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the adapted model.")],
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Minutes of labels to use; the rest scores the result. All by default."),
    ] = None,
    labels: Annotated[Path | None, typer.Option(help="Beats of a part of one recording.")] = None,
    convention: Convention = "",
    strategy: Annotated[Strategy, typer.Option(help="How to adapt.")] = Strategy.finetune_augment,
    prior: Annotated[
        str | None, typer.Option(help="A tradition, by name or file, whose description teaches beside the labels.")
    ] = None,
    model: Model = "base",
    task: Annotated[
        Task, typer.Option(help="Labels: beats, or stems (a separator; nmf and nmf-conv are for these).")
    ] = Task.beats,
    layers: Annotated[
        list[str] | None, typer.Option(help="Train only these layers of a separator: head, blocks.9; repeat it.")
    ] = None,
    track: Track_ = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Adapt a tracker or a separator to minutes, and score it before and after on recordings it has not seen."""
    outputs.need_writable(out, force=force, folders=True)
    if task is Task.stems:
        if labels is not None or prior is not None:
            raise InputError("--labels and --prior are for beats; stems are learnt from a folder of songs with stems")
        adapt_stems.adapt(
            corpus, out=out, minutes=minutes, strategy=strategy.value, model=model, layers=tuple(layers or ()),
            track=track, seed=seed, force=force, as_json=as_json,
        )  # fmt: skip
        return
    if layers:
        raise InputError("--layers is for --task stems")
    if strategy in (Strategy.unet, Strategy.nmf, Strategy.nmf_conv):
        raise InputError(f"{strategy.value} is for --task stems")
    import numpy as np

    from levada.beat_tracking.adaptation import DEFAULTS
    from levada.beat_tracking.adaptation import adapt as run
    from levada.beat_tracking.pretrained import ADAPT_SETTINGS, base_weights
    from levada.learning.names import argument_for
    from levada.synth.traditions import read_tradition

    described = None if prior is None else read_tradition(prior)
    began = time.monotonic()
    spans, unseen = chosen(corpus, labels, convention, minutes, np.random.default_rng(seed))
    base = base_weights(model)
    used_s, recordings = sum(span.duration_s for span in spans), len({span.track.id for span in spans})
    labelled = f"{terminal.length(used_s)} of labels of {terminal.count(recordings, 'recording')}"
    beside = "" if described is None else f" and the description of {described.name}"
    terminal.say(f"adapting {model} to {labelled}{beside}, {strategy.value}")
    settings = ADAPT_SETTINGS.get(model.partition(":")[0], lambda: DEFAULTS[strategy.value])().seeded(seed)
    config = {"strategy": strategy.value, "model": model, "labels_s": used_s, "prior": prior, **asdict(settings)}
    evaluation, written = None, None
    with loggers.followed(track, out, config) as told:
        with terminal.progress("adapting") as progress:
            adapted = run(
                spans, strategy=strategy.value, base=base, out=out, force=force, prior=described, settings=settings,
                progress=loggers.both(progress, told),
            )  # fmt: skip
        terminal.say(f"{out}: saved after {time.monotonic() - began:.0f} s; use it with --model {argument_for(out)}")
        if unseen:
            evaluation = _before_and_after(out, model, base, adapted, unseen)
            loggers.show(told, evaluation, unseen, out)
        elif labels is not None:
            written = _rest(Path(corpus), labels, convention, out)
        else:
            terminal.say("all labels were used, so there is nothing to score it on; --minutes keeps some aside")
    if as_json:
        scores = evaluation and json.loads(evaluation.to_json())
        terminal.print_json(
            {"model": str(out), "labels_s": used_s, "recordings": recordings, "beats": written, "evaluation": scores}
        )
        _notes(evaluation.warnings if evaluation else ())
    elif evaluation is not None:
        _show(evaluation, False)


def _before_and_after(out: Path, model: str, base: Any, adapted: Any, unseen: list[Any]) -> Evaluation:
    from levada.beat_tracking.evaluation import evaluate
    from levada.beat_tracking.pretrained import baseline
    from levada.learning.adaptation import with_scores
    from levada.learning.names import FLUX, display_names

    names = display_names([model, out, FLUX])
    trackers = dict(
        zip(
            names,
            [tracker_of(base, name=names[0]), tracker_of(adapted, name=names[1]), baseline()],
            strict=True,
        )
    )
    with terminal.progress("scoring", at_once=2) as progress:
        evaluation = evaluate(unseen, trackers, processes=2, progress=progress)
    with_scores(out, adapted, evaluation.card_scores(names[1]))
    return evaluation


def _rest(recording: Path, labels: Path, convention: str, out: Path) -> str:
    """Beats of all of a recording of which a part is labelled."""
    from levada.beat_tracking.pretrained import load_tracker
    from levada.beat_tracking.tracker import provenance
    from levada.io.formats import read_annotation, write_beats

    target = out / f"{recording.stem}.beats"
    tracker = load_tracker(out)
    found = tracker.track(recording, hints=read_annotation(labels, convention=convention).beats)
    write_beats(target, found, provenance=provenance(tracker), force=True)
    terminal.say(f"{target}: {len(found)} beats of the whole recording, passing through your labels")
    return str(target)


@app.command()
def evaluate(
    corpus: Annotated[str, typer.Argument(help="A folder of recordings with labels, or mirdata:NAME.")],
    model: Annotated[
        list[str] | None,
        typer.Option("--model", "-m", help="base, flux (stems: nmf), or the folder of a model; repeat it."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a CSV with a row for each recording and model.")
    ] = None,
    trim: Annotated[
        float | None,
        typer.Option(
            min=0, help="Seconds at the start that are not scored; by default 5, and 0 of recordings under 30 s."
        ),
    ] = None,
    exclude_trained: Annotated[
        bool,
        typer.Option("--exclude-trained", help="Leave out recordings that a model was trained on, and their groups."),
    ] = False,
    processes: Annotated[int, typer.Option(min=1, help="Recordings scored at once.")] = 2,
    task: Annotated[Task, typer.Option(help="What the corpus is labelled with.")] = Task.beats,
    convention: Convention = "",
    oracle: Annotated[bool, typer.Option("--oracle", help="Stems: show the best that masks could do.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Stems: draw which instrument ends up where (.png, .svg, .pdf).")
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Stems: minutes of other songs that nmf learns from; 1.5 by default.")
    ] = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Score models on annotated recordings, and say what kind of wrong each is; or separators on songs with stems."""
    outputs.need_writable(out, plot, force=force)
    if task is Task.stems:
        evaluate_stems.evaluate(
            corpus, model=model, out=out, plot=plot, oracle=oracle, minutes=minutes, exclude_trained=exclude_trained,
            processes=processes, seed=seed, force=force, as_json=as_json,
        )  # fmt: skip
        return
    if oracle or plot is not None or minutes is not None:
        raise InputError("--oracle, --plot and --minutes are for --task stems")
    from levada.beat_tracking.evaluation import evaluate as score
    from levada.beat_tracking.evaluation import with_baseline
    from levada.beat_tracking.pretrained import baseline, load_tracker
    from levada.data import load_corpus, log_notes

    opened = load_corpus(corpus, labels="beats", convention=convention)
    log_notes(opened.notes, terminal.say)
    tracks = opened.tracks
    say_assumptions(track for track in tracks if track.is_annotated)
    asked = model or ["base"]
    trackers = {name: load_tracker(name) if name in asked else baseline() for name in with_baseline(asked)}
    with terminal.progress("scoring", at_once=processes) as progress:
        evaluation = score(
            tracks, trackers, out=out, force=force, trim_s=trim, exclude_trained=exclude_trained,
            processes=processes, progress=progress,
        )  # fmt: skip
    _show(evaluation, as_json)
    outputs.finish_scores(evaluation.rows)


def _show(evaluation: Evaluation, as_json: bool) -> None:
    if as_json:
        print(evaluation.to_json())
    else:
        terminal.print_evaluation(evaluation)
    _notes(evaluation.warnings)


def _notes(warnings: tuple[str, ...]) -> None:
    for warning in warnings:
        terminal.say(f"note: {warning}")


app.command("models")(listing.models)
app.command()(traditions.render)
app.command()(select.select)
app.command()(export.export)
app.command()(separate.separate)
app.command()(remix.remix)
app.command()(study.study)
app.command()(study.report)


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", "-o", help="Where everything is left to look at and listen to.")] = Path(
        "demo"
    ),
    real: Annotated[
        Path | None, typer.Option(help="A folder of annotated recordings instead of rendered ones.")
    ] = None,
    minutes: Annotated[float, typer.Option(min=0.1, help="Minutes of labels to adapt to.")] = 1.5,
    task: Annotated[Task, typer.Option(help="Find beats, or take songs apart into stems.")] = Task.beats,
    seed: Seed = 0,
    force: Force = False,
) -> None:
    """Adapt to a tradition the base model has never heard, and show before and after."""
    if task is Task.stems:
        demo_command.demo(out, real=real, minutes=minutes, seed=seed, force=force)
        return
    from levada.cli.demo import demo as run

    result = run(
        out, corpus=real, minutes=minutes, seed=seed, force=force, say=terminal.say, progress=terminal.progress
    )
    _show(result.evaluation, False)
    labels = terminal.length(60 * result.minutes)
    print(
        f"\nadapted to {labels} of labels in {result.adapt_s:.0f} s; {result.total_s:.0f} s in all\n"
        f"look at    {out / 'before-and-after.png'}\n"
        f"listen to  {out / 'clicks'}\n"
        f"go on      levada beats my-song.wav --model {out / 'adapted'}"
    )


@app.command()
def pretrain(
    settings: Annotated[Path, typer.Argument(help="A TOML file of settings: pretraining/base.toml.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the new base model.")],
    workers: Annotated[int, typer.Option(min=1, help="Processes that render while one trains.")] = 1,
    force: Force = False,
) -> None:
    """Train a base model on rendered music from nothing (resumable): a tracker in hours, a separator in one."""
    from levada.models.pretraining import made_from

    with terminal.progress("pre-training") as progress:
        made_from(settings, out=out, workers=workers, force=force, progress=progress)
    terminal.say(f"{out}: saved")


def main() -> None:
    """Run a command, and end the process with its exit code (`options.EXIT_CODES`)."""
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # or idle threads spin, and stall a busy machine
    logging.basicConfig(level=logging.WARNING, handlers=[terminal.Notes()])
    terminal.prepare_streams()
    try:
        with process.terminable():
            app(process.quiet_first(sys.argv[1:]), prog_name="levada")
    except InputError as error:
        terminal.error(f"levada: {error}")
        sys.exit(UNUSABLE)
    except SystemExit as stop:
        cause = getattr(stop.__context__, "__cause__", None)  # Typer makes every KeyboardInterrupt exit code 130
        if not isinstance(cause, KeyboardInterrupt):
            raise
        stopped = Interrupted.of(cause)
        if "--json" in sys.argv:
            terminal.print_json({**stopped.report, "interrupted": str(stopped)})
        terminal.error("stopped; called again, adapt, pretrain, render and work on a folder go on where they were")
        sys.exit(stopped.exit_code)
    except Exception as error:
        if os.environ.get("LEVADA_DEBUG"):
            raise
        if isinstance(error, OSError) and (error.filename is not None or error.errno in OUTSIDE):
            terminal.error(f"levada: {os.fsdecode(error.filename or 'a file')}: {os_error_text(error)}")
            sys.exit(UNUSABLE)
        terminal.error(f"levada: our fault, not yours: {type(error).__name__}: {error}")
        terminal.error("LEVADA_DEBUG=1 shows where; please report it with the command you typed")
        sys.exit(1)
    finally:
        terminal.set_dated(False)
