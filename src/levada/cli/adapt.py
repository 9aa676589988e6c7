"""`levada adapt`: minutes of labels become a tracker or a separator, scored on recordings that gave no labels."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.cli import corpora, evaluate, outputs, terminal
from levada.cli.options import Convention, Force, Json, Labels, LogTo, Seed
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.data import Track
    from levada.learning.loggers import RunLogger

__all__ = ["adapt"]


class Strategy(StrEnum):
    """How to adapt."""

    auto = "auto"
    finetune_augment = "finetune+augment"
    finetune = "finetune"
    scratch = "scratch"
    unet = "unet"
    decoder = "decoder"
    bayes = "bayes"
    nmf = "nmf"
    nmf_conv = "nmf-conv"


LABELS = {"decoder": "beats", "bayes": "beats", "unet": "stems", "nmf": "stems", "nmf-conv": "stems"}
"""Strategies that exist for one kind of labels."""


def adapt(
    corpus: Annotated[str, typer.Argument(help="A folder of recordings with labels, mirdata:NAME, or one recording.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The folder of the adapted model.")],
    minutes: Annotated[
        float | None,
        typer.Option(min=0.01, help="Minutes of labels to train on; the other groups score the result. Default: all."),
    ] = None,
    beats: Annotated[Path | None, typer.Option(help="Beats of a part of the recording, if CORPUS is one.")] = None,
    labels: Labels = None,
    convention: Convention = "",
    strategy: Annotated[
        Strategy,
        typer.Option(help="decoder, bayes: for beats; unet, nmf, nmf-conv: for stems; the others: for both."),
    ] = Strategy.auto,
    prior: Annotated[
        str | None, typer.Option(help="Beats: a tradition (name or file) whose description is used beside the labels.")
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            help="base, latin, beat_this, madmom-tcn or beatnet; for stems base or demucs:NAME; or a model's folder.",
        ),
    ] = "base",
    steps: Annotated[int | None, typer.Option(min=1, help="Training steps; default: the strategy's.")] = None,
    learning_rate: Annotated[float | None, typer.Option(min=0, help="Default: the strategy's.")] = None,
    layers: Annotated[
        list[str] | None,
        typer.Option(help="Train only layers whose names begin so (head, blocks.9); can be repeated."),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw losses, learning rate and the chosen alpha of the training here (.png, .svg, .pdf)."),
    ] = None,
    log_to: LogTo = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Adapt a tracker to minutes of beats, or a separator to minutes of stems, and score it before and after."""
    outputs.check_outputs(out, force=force, folders=True)
    if plot is not None:
        _check_plot(plot, strategy.value, force=force)
    kind = LABELS.get(strategy.value, labels)
    if labels is not None and kind != labels:
        raise InputError(f"strategy {strategy.value} is for {kind}, not for {labels.value}")
    import numpy as np

    from levada.learning.adaptation import with_scores
    from levada.learning.names import argument_for
    from levada.models.evaluation import evaluate as score
    from levada.synth.traditions import read_tradition

    tradition = None if prior is None else read_tradition(prior)
    rng, started = np.random.default_rng(seed), time.monotonic()
    spans: Sequence[Any]
    test, stems = None, False
    if beats is not None or (not corpus.startswith(corpora.MIRDATA) and Path(corpus).is_file()):
        spans = _one_recording(corpus, beats, convention, minutes, rng)
    else:
        opened = corpora.load(corpus, labels=kind, convention=convention)
        stems = opened.labels == "stems"
        spans, test = corpora.divide(opened if stems else corpora.without_errors(opened), minutes, rng)
        if stems:
            corpora.check_stems(opened, spans)
    if stems and prior is not None:
        raise InputError("--prior is for labels of beats, and this corpus has stems", path=corpus)
    tracks = {span.track.id for span in spans}
    instruments = sorted({name for span in spans for name in span.track.instruments}) if stems else []
    used_s = sum(span.duration_s for span in spans)
    options: dict[str, Any] = {"steps": steps, "learning_rate": learning_rate, "layers": tuple(layers or ())}
    base: Any
    if stems:
        from levada.separation.separator import Separator

        base = Separator.from_pretrained(model)
    else:
        from levada.beat_tracking.tracker import BeatTracker

        base, options["prior"] = BeatTracker.from_pretrained(model), tradition
    description = "" if tradition is None else f" and the description of {tradition.name}"
    names = f": {', '.join(instruments)}" * stems
    amount = f"{terminal.duration(used_s)} of labels of {terminal.count(len(tracks), 'recording')}{names}{description}"
    terminal.info(f"adapting {model} to {amount}; {strategy.value}")
    config = {"strategy": strategy.value, "model": model, "labels_s": used_s, "prior": prior, "seed": seed}
    evaluation, rest = None, None
    with _logger(log_to, out, config) as log:
        with terminal.progress("adapting") as progress:
            adapted = base.adapt(
                spans, strategy=strategy.value, seed=seed, out=out, force=force, progress=_with_log(progress, log, out),
                **options,
            )  # fmt: skip
        if "chosen" in adapted.model.card.scores:  # what auto chose, and why
            terminal.info(str(adapted.model.card.scores["chosen"]))
        use = f"levada {'separate' if stems else 'track'} song.wav --model {argument_for(out)}"
        terminal.info(f"{out}: saved after {time.monotonic() - started:.0f} s; use it with: {use}")
        with_prior = strategy is Strategy.auto  # others use it without a training too
        given = [name for name, value in options.items() if value and (with_prior or name != "prior")]
        _after_training(out, plot, given, force=force)
        if test:
            compared = _separators if stems else _trackers
            models, name = compared(model, base, out, adapted, strategy.value, spans)
            with terminal.progress("scoring", at_once=2) as progress:
                evaluation = score(models, test, processes=2, progress=progress)
            with_scores(out, adapted.model, evaluation.card_scores(name))
            _log_scores(log, evaluation, name, () if stems else test.tracks, adapted)
        elif beats is not None:
            rest = _track_rest(Path(corpus), beats, convention, out)
        else:
            terminal.info("all labels were used, so there is nothing to score on; --minutes keeps a test set")
    if as_json:
        scores = None if evaluation is None else json.loads(evaluation.to_json())
        facts = {"model": str(out), "labels_s": used_s, "recordings": len(tracks)}
        facts |= {"instruments": instruments} if stems else {"beats": rest}
        terminal.print_json({**facts, "evaluation": scores})
    if evaluation is not None:
        evaluate.show(evaluation, tables=not as_json)


def _check_plot(plot: Path, strategy: str, *, force: bool) -> None:
    """Refuse a figure that could not be drawn after the training."""
    from levada.beat_tracking import task as beats
    from levada.learning.figures import matplotlib_context
    from levada.separation import task as stems

    if strategy in (*beats.NON_NEURAL, *stems.NON_NEURAL):
        raise InputError(f"{strategy} trains no network, so that --plot has nothing to draw", path=plot)
    outputs.check_plot(plot)
    outputs.check_outputs(plot, force=force)
    matplotlib_context({})  # if it is missing, that is an error before the training


def _after_training(out: Path, plot: Path | None, given: Sequence[str], *, force: bool) -> None:
    """Draw the training; without one, which `auto` may decide on, report the options that had no effect."""
    from levada.learning.figures import plot_training
    from levada.learning.training_log import log_files

    if log_files(out):
        if plot is not None:
            plot_training(plot, out, force=force)
            terminal.info(f"{plot}: the training")
        return
    without = [f"--{name.replace('_', '-')}" for name in given] + ["--plot"] * (plot is not None)
    if without:
        terminal.info(f"no network was trained: {', '.join(without)} had no effect")


def _one_recording(
    recording: str, beats: Path | None, convention: str, minutes: float | None, rng: Any
) -> Sequence[Any]:
    """The labelled parts of one recording."""
    from levada.data import sample, single

    if beats is None:
        raise InputError("is one recording: give its beats with --beats", path=recording)
    if Path(recording).is_dir():
        raise InputError(
            "is a folder, in which beat files lie beside the recordings; --beats is for one recording", path=recording
        )
    (track,) = corpora.without_errors(single(recording, beats, convention=convention)).tracks
    return sample([track], minutes=minutes, seed=rng)


def _trackers(model: str, base: Any, out: Path, adapted: Any, *_: object) -> tuple[dict[str, Any], str]:
    """The base, the adapted tracker and spectral flux by name, and the name of the adapted one."""
    from levada.beat_tracking.pretrained import baseline
    from levada.learning.names import FLUX, display_names

    names = display_names([model, out, FLUX])
    return dict(zip(names, (base, adapted, baseline()), strict=True)), names[1]


def _separators(
    model: str, base: Any, out: Path, adapted: Any, strategy: str, spans: Sequence[Any]
) -> tuple[dict[str, Any], str]:
    """The base, NMF of the same stems and the adapted separator by name, and the name of the adapted one."""
    from levada.learning.names import NMF, ROWS, display_names, folder_of

    bases = [folder_of(model) or model] if strategy == "auto" or strategy.startswith("finetune") else []
    name, *others = display_names([out, *bases, NMF, *ROWS])[: -len(ROWS)]
    separators = {others[0]: base} if bases else {}
    if strategy != NMF:
        separators[others[-1]] = evaluate.train_nmf(spans)
    return {**separators, name: adapted}, name


def _track_rest(recording: Path, beats: Path, convention: str, out: Path) -> str:
    """Track all of a recording of which a part is labelled."""
    from levada.beat_tracking.tracker import BeatTracker, provenance
    from levada.io.formats import read_annotation, write_beats

    target = out / f"{recording.stem}.beats"
    tracker = BeatTracker.from_pretrained(out)
    tracked = tracker.track(recording, hints=read_annotation(beats, convention=convention).beats)
    write_beats(target, tracked, provenance=provenance(tracker), force=True)
    terminal.info(f"{target}: {len(tracked)} beats of the whole recording, your labels among them")
    return str(target)


def _logger(names: Sequence[str] | None, out: Path, config: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Log to the loggers that are named, and to plain files in ``NAME.logs`` beside the model; None without a name."""
    if not names:
        return nullcontext()
    from levada.learning import loggers

    return loggers.start(names, folder=out.with_name(f"{out.name}.logs"), run=out.name, config=config)


def _with_log(shown: Callable[..., None], log: RunLogger | None, out: Path) -> Callable[..., None]:
    """A progress callback that also logs each step of the training."""
    if log is None:
        return shown
    from levada.learning import loggers
    from levada.learning.adaptation import working_path

    log_step = loggers.log_training(log, working_path(out))

    def progress(step: int, steps: int, value: float) -> None:
        shown(step, steps, value)
        log_step(step, steps, value)

    return progress


def _log_scores(log: RunLogger | None, evaluation: Any, name: str, tracks: Sequence[Track], tracker: Any) -> None:
    """Log all scores and, of the track with the lowest score of the adapted model, clicks and a figure."""
    if log is None:
        return
    from levada.experiments.run_loggers import log_example

    log.log_table("scores", [row.flat() for row in evaluation.rows])
    rows = [row for row in evaluation.of(name) if not row.error] if tracks else []
    if rows:
        lowest = min(rows, key=lambda row: row.scores["beat_f"]).track
        log_example(log, tracker, next(track for track in tracks if track.id == lowest))
