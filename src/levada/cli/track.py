"""`levada track`: the beats of a recording, or of a folder of recordings."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.cli import outputs, terminal
from levada.cli.options import (
    Bpm,
    Cluster,
    Force,
    From,
    Json,
    Metre,
    Model,
    Table,
    To,
    parse_bpm,
    parse_clock,
    parse_metres,
)  # fmt: skip
from levada.cli.study import remote_executor
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.io.beats import Beats

__all__ = ["track"]


def track(
    recording: Annotated[Path, typer.Argument(help="A recording, or a folder of recordings.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The file of beats: its suffix is its format; or a folder.")
    ] = None,
    model: Model = "base",
    clicks: Annotated[
        Path | None,
        typer.Option(help="Write the recording with clicks on the beats to this file; for a folder, to this folder."),
    ] = None,
    hints: Annotated[
        Path | None, typer.Option(help="A file of beats that are certain: the result passes within 25 ms of them.")
    ] = None,
    use_labels: Annotated[
        bool,
        typer.Option("--labels/--no-labels", help="Use the labels of the recording that the model has learnt from."),
    ] = True,
    plot: Annotated[Path | None, typer.Option(help="Draw activations and beats here (.png, .svg, .pdf).")] = None,
    bpm: Bpm = None,
    metre: Metre = None,
    start: From = None,
    to: To = None,
    suffix: Annotated[str, typer.Option(help="Format of the files of a folder, by their suffix.")] = ".beats",
    table: Table = None,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Recordings of a folder tracked at the same time; default: the fastest.")
    ] = None,
    cluster: Cluster = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Track the beats of a recording, or of a folder of recordings (resumable)."""
    tempo_bpm, metres = parse_bpm(bpm), parse_metres(metre)
    start_s, end_s = parse_clock("--from", start), parse_clock("--to", to)
    if start_s is not None and end_s is not None and start_s >= end_s:
        raise InputError(f"--from {start} is not before --to {to}")
    if recording.is_dir():
        if out is None:
            raise InputError("is a folder: give with -o a folder for the beats", path=recording)
        if hints or plot:
            raise InputError("--hints and --plot are for one recording")
        options = {
            "tempo_bpm": tempo_bpm,
            "metres": metres,
            "start_s": start_s,
            "end_s": end_s,
            "use_labels": use_labels,
        }
        _track_folder(
            recording, model, out, suffix, table, processes, cluster, force, as_json, {**options, "clicks": clicks}
        )
        return
    if cluster is not None or table is not None:
        raise InputError("--cluster and --table are for a folder of recordings", path=recording)
    outputs.check_outputs(out, clicks, plot, force=force, inputs=(recording, hints))
    outputs.check_plot(plot)
    outputs.check_clicks(clicks, recording)
    from levada.beat_tracking.network_tracker import NetworkTracker
    from levada.beat_tracking.tracker import BeatTracker, provenance
    from levada.io import audio
    from levada.io.formats import read_beats, write_beats

    if out is not None:
        outputs.check_suffix(out)
    fixed = None if hints is None else read_beats(hints)
    length_s = audio.info(recording).duration_s
    audio.check_excerpt(start_s, end_s, duration_s=length_s, path=recording)
    tracker = BeatTracker.from_pretrained(model).restrict(tempo_bpm=tempo_bpm, metres=metres)
    if plot is not None and not isinstance(tracker.backend, NetworkTracker):
        raise InputError(f"{tracker.name} has no activations to draw")
    if plot is not None and (start_s is not None or end_s is not None):
        raise InputError("--plot draws whole recordings: leave out --from and --to")
    with terminal.progress("tracking") as progress:
        if plot is not None and isinstance(tracker.backend, NetworkTracker):
            activations = tracker.activations(recording, progress=progress)
            beats = tracker.backend.decode(activations, hints=fixed)
        else:
            beats = tracker.track(
                recording, hints=fixed, start_s=start_s, end_s=end_s, use_labels=use_labels, progress=progress
            )
    if use_labels and (kept := tracker.labels_of(recording)) is not None:
        terminal.info(f"{recording}: {len(kept)} labels that {tracker.name} learnt from are kept; --no-labels does not")
    if out is not None:
        write_beats(out, beats, duration_s=length_s, provenance=provenance(tracker), force=force)
    if clicks is not None:
        outputs.write_clicks(clicks, recording, beats, force=force)
    if plot is not None:
        from levada.beat_tracking.plots import Panel, plot_activations

        panel = Panel(f"{recording.name}, {tracker.name}", activations, beats)
        plot_activations(plot, [panel], reference=fixed, force=force)
    if as_json:
        confidences = _confidences(beats)
        rows = [
            {"time_s": time_s, "position": position, "confidence": confidence}
            for (time_s, position), confidence in zip(beats, confidences, strict=True)
        ]
        terminal.print_json({"recording": str(recording), "model": tracker.name, "beats": rows})
    elif out is None:
        for time_s, position in beats:
            print(f"{time_s:.3f}\t{position}" if position else f"{time_s:.3f}")
    if not len(beats):
        terminal.info(f"{recording}: no beats found; it may be silent, or have no regular beat")
    elif out is not None and not as_json:
        counted = ", ".join(map(str, beats.metres)) or "?"
        confidence = sum(_confidences(beats)) / len(beats)
        terminal.info(
            f"{out}: {len(beats)} beats, {beats.tempo_bpm:.1f} bpm, {counted} beats a bar, "
            f"mean confidence {confidence:.2f}"
        )


def _confidences(beats: Beats) -> list[float]:
    return [math.nan] * len(beats) if beats.confidence is None else [float(value) for value in beats.confidence]


def _track_folder(
    folder: Path, model: str, out: Path, suffix: str, table: Path | None, processes: int | None, cluster: str | None,
    force: bool, as_json: bool, options: dict[str, Any],
) -> None:  # fmt: skip
    if out.resolve() == folder.resolve():
        raise InputError("holds the recordings: give another folder, so that no labels are replaced", path=out)
    if out.is_file():
        raise InputError("is a file: give with -o a folder for the beats", path=out)
    outputs.check_suffix(suffix)
    if table is not None:
        outputs.check_table(table, out, force=force)
    from levada.beat_tracking.tracker import BeatTracker, track_folder

    executor = remote_executor(cluster)
    terminal.set_dated(True)
    with terminal.progress(f"tracking {folder}", at_once=processes or 2) as progress:
        report = track_folder(
            folder, BeatTracker.from_pretrained(model), out=out, processes=processes, each=executor, suffix=suffix,
            table=table, force=force, progress=progress, **options,
        )  # fmt: skip
    if options["clicks"] is not None:
        terminal.info(f"{options['clicks']}: the recordings with clicks on their beats")
    outputs.finish_folder(report, out, results="beats", verb="tracked", as_json=as_json)
