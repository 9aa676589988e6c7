"""Runs in loggers: loss curves, scores, and an example of a kept model."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from levada.beat_tracking.metrics import ALL_SCORES
from levada.experiments.corpora import open_source
from levada.experiments.run import LOG, WEIGHTS, Job
from levada.experiments.store import Run
from levada.learning.training_log import read_log
from levada.separation.metrics import STEM_SCORES

if TYPE_CHECKING:
    from levada.beat_tracking.tracker import BeatTracker
    from levada.data import Track
    from levada.learning.loggers import RunLogger

__all__ = ["log_example", "log_run"]

FOLDER = "logs"
EXCERPT_S = 20.0


def log_run(run: Run, job: Job, *, names: Sequence[str], out: str | Path) -> None:
    """Log a finished run.

    Parameters
    ----------
    run : Run
    job : Job
        Its job.
    names : sequence of str
        Names of loggers, out of `loggers.NAMES`.
    out : path-like
        The folder of the study; log files are written into its folder ``logs``.

    Raises
    ------
    InputError
        If a name is unknown, or nothing can be written.
    MissingExtra
        If a library is not installed.
    """
    from levada.learning import loggers

    budget = f" {run.budget.text}" if run.budget.amount else ""
    title = f"{run.corpus} {run.label}{budget} seed {run.seed}"
    folder = Path(out) / FOLDER / run.id
    with loggers.start(names, folder=folder, project=run.study, run=title, config=dict(run.config)) as logger:
        steps = _curve(logger, run.folder / LOG)
        there = [name for name in (*ALL_SCORES, *STEM_SCORES) if any(name in row for row in run.scores)]
        values = {name: [_number(row.get(name, "")) for row in run.scores] for name in there}
        means = {name: float(np.nanmean(of)) for name, of in values.items() if not all(map(math.isnan, of))}
        logger.log_scalars(steps + 1, means | dict(run.costs))
        logger.log_table("scores", run.scores)
        if run.error:
            logger.log_table("error", [{"error": run.error}])
        corpus = open_source(job.source) if run.scores else None
        if corpus is None or corpus.labels != "beats":
            return  # no example of stems
        tracks = {track.id: track for track in corpus.annotated}
        ranked = sorted((row for row in run.scores if not row["error"]), key=lambda row: float(row["beat_f"]))
        if ranked and (run.folder / WEIGHTS).is_dir():
            from levada.beat_tracking.tracker import BeatTracker

            track = tracks[str(ranked[0]["track"])]
            log_example(logger, BeatTracker.from_pretrained(run.folder / WEIGHTS), track)


def _number(cell: str | float) -> float:
    return math.nan if cell == "" else float(cell)


def _curve(logger: RunLogger, log: Path) -> int:
    """Log the losses and the learning rate of every step; returns the last step."""
    step = 0
    for row in read_log(log) if log.is_file() else ():
        step = int(row["step"])
        logger.log_scalars(step, {name: value for name, value in row.items() if name not in ("step", "seconds")})
    return step


def log_example(logger: RunLogger, tracker: BeatTracker, track: Track) -> None:
    """Log an excerpt from the middle of a recording: audio with clicks, and activations where there are any.

    Parameters
    ----------
    logger : RunLogger
    tracker : BeatTracker
    track : Track
        An annotated recording: that with the lowest score.
    """
    from levada.beat_tracking.network_tracker import NetworkTracker
    from levada.beat_tracking.plots import Panel, plot_activations
    from levada.beat_tracking.spectrogram import GRID
    from levada.io import audio

    samples, rate = audio.read(track.audio)
    tracked, reference = tracker.track(samples, rate), track.beats()
    start_s = max(0.0, float(reference.times_s[len(reference) // 2]) - EXCERPT_S / 2)
    end_s = min(start_s + EXCERPT_S, samples.shape[1] / rate)
    piece = samples[:, round(start_s * rate) : round(end_s * rate)]
    logger.log_audio("lowest-score", piece, rate, beats=tracked.between(start_s, end_s).shift(-start_s))
    if not isinstance(tracker.backend, NetworkTracker) or tracker.backend.front_end.grid != GRID:
        return  # figures have one grid
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "activations.png"
        panel = Panel(f"{track.id}, {tracker.name}", tracker.activations(samples, rate), tracked)
        plot_activations(picture, [panel], reference=reference, start_s=start_s, end_s=end_s)
        logger.log_image("lowest-score", picture)
