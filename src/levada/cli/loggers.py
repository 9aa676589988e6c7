"""`--track`: an adaptation told to those who keep an eye on it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from levada.beat_tracking.evaluation import Evaluation
    from levada.data import Track
    from levada.learning.loggers import RunLogger

__all__ = ["Track_", "both", "followed", "show"]

Track_ = Annotated[
    list[str] | None, typer.Option("--track", help="Show the run elsewhere too: tensorboard, wandb; repeat it.")
]
HEARD_S = 20.0


@contextmanager
def followed(names: Sequence[str] | None, out: Path, config: Mapping[str, Any]) -> Iterator[RunLogger | None]:
    """Give whom to tell of a run; nobody where nobody was named.

    Plain files of all that is told lie beside the model, in ``NAME.tracking``.
    """
    if not names:
        yield None
        return
    from levada.learning import loggers

    with loggers.start(names, folder=out.with_name(f"{out.name}.tracking"), run=out.name, config=config) as told:
        yield told


def both(shown: Callable[..., None], told: RunLogger | None) -> Callable[..., None]:
    """A progress that is shown, and of which every tenth step is told."""
    if told is None:
        return shown
    from levada.learning import loggers

    loss = loggers.log_progress(told)

    def progress(step: int, steps: int, value: float) -> None:
        shown(step, steps, value)
        loss(step, steps, value)

    return progress


def show(told: RunLogger | None, evaluation: Evaluation, tracks: Sequence[Track], folder: Path) -> None:
    """Log the scores of the base and of the adapted model, which come in this order.

    Of the recording that the adapted model scored lowest on, clicks and a picture are logged too.
    """
    if told is None:
        return
    from levada.beat_tracking.network_tracker import NetworkTracker
    from levada.beat_tracking.plots import Panel, plot_activations
    from levada.beat_tracking.pretrained import load_tracker
    from levada.io import audio

    told.log_table("scores", [row.flat() for row in evaluation.rows])
    ranked = sorted(
        (row for row in evaluation.of(evaluation.models[1]) if not row.error), key=lambda row: row.scores["beat_f"]
    )
    tracker = load_tracker(folder)
    if not ranked:
        return
    track = next(track for track in tracks if track.id == ranked[0].track)
    samples, rate = audio.read(track.audio)
    samples = samples[:, : round(HEARD_S * rate)]
    found = tracker.track(samples, rate)
    told.log_audio(track.id, samples, rate, beats=found)
    if isinstance(tracker.backend, NetworkTracker):
        with tempfile.TemporaryDirectory() as place:
            path = Path(place) / "activations.png"
            panel = Panel(f"{track.id}, {folder.name}", tracker.activations(samples, rate), found)
            plot_activations(path, [panel], reference=track.beats())
            told.log_image(track.id, path)
