"""`levada track`: the beats of a recording, or of a folder of recordings."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
    Timeout,
    To,
    parse_bpm,
    parse_clock,
    parse_metres,
)  # fmt: skip
from levada.cli.recording_table import print_recordings, recordings_by_certainty
from levada.cli.study import remote_executor
from levada.errors import InputError
from levada.io.text import clock

if TYPE_CHECKING:
    from levada.beat_tracking.analysis import Analysis

__all__ = ["track"]

MOST_PIECES = 20  # that are listed, one in a line
MOST_STRETCHES = 5
BESIDE = {"base": "latin", "latin": "base"}
"""The model that a folder is compared with by default."""


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
    plot: Annotated[
        Path | None,
        typer.Option(help="Draw tempo, confidence and beats here (.png, .svg, .pdf); for a folder, into this folder."),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(help="Write a web page here (.html) that plays the recording, with clicks on its beats."),
    ] = None,
    bpm: Bpm = None,
    metre: Metre = None,
    start: From = None,
    to: To = None,
    suffix: Annotated[str, typer.Option(help="Format of the files of a folder, by their suffix.")] = ".beats",
    table: Table = None,
    compare: Annotated[
        str,
        typer.Option(
            help="For a folder: another model whose beats are compared, which doubles the time; none for no other."
            " By default base is compared with latin, latin with base, and other models with none."
        ),
    ] = "auto",
    processes: Annotated[
        int | None, typer.Option(min=1, help="Recordings of a folder tracked at the same time; default: the fastest.")
    ] = None,
    timeout: Timeout = None,
    cluster: Cluster = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Track the beats of a recording, or of a folder of recordings (resumable).

    A folder ends in a table of the recordings, the least certain first.
    """
    tempo_bpm, metres = parse_bpm(bpm), parse_metres(metre)
    start_s, end_s = parse_clock("--from", start), parse_clock("--to", to)
    if start_s is not None and end_s is not None and start_s >= end_s:
        raise InputError(f"--from {start} is not before --to {to}")
    if recording.is_dir():
        if out is None:
            raise InputError("is a folder: give with -o a folder for the beats", path=recording)
        if hints:
            raise InputError("--hints is for one recording")
        if page is not None:
            raise InputError("--page is for one recording", path=recording)
        outputs.check_folders(clicks=clicks, plots=plot)
        options: dict[str, Any] = {"tempo_bpm": tempo_bpm, "metres": metres, "start_s": start_s, "end_s": end_s}
        options |= {"use_labels": use_labels, "clicks": clicks, "plots": plot, "compare": compare}
        if cluster is not None and timeout is not None:
            raise InputError("--timeout is not for a cluster", path=recording)
        options["timeout_s"] = timeout
        _track_folder(recording, model, out, suffix, table, processes, cluster, force, as_json, options)
        return
    if cluster is not None or table is not None or timeout is not None:
        raise InputError("--cluster, --table and --timeout are for a folder of recordings", path=recording)
    outputs.check_outputs(out, clicks, plot, page, force=force, inputs=(recording, hints))
    outputs.check_plot(plot)
    outputs.check_clicks(clicks, recording)
    from levada.beat_tracking.curves import ActivationRecorder
    from levada.beat_tracking.tracker import BeatTracker, provenance
    from levada.io import audio
    from levada.io.formats import read_beats, write_beats

    if out is not None:
        outputs.check_suffix(out)
    fixed = None if hints is None else read_beats(hints)
    length_s = audio.info(recording).duration_s
    span = audio.check_excerpt(start_s, end_s, duration_s=length_s, path=recording)
    if page is not None:
        from levada.player.player import check_length, check_page

        check_page(page)
        check_length(span[1] - span[0], recording)
    tracker = BeatTracker.from_pretrained(model).restrict(tempo_bpm=tempo_bpm, metres=metres)
    recorder = ActivationRecorder(tracker)
    if plot is not None or page is not None:
        tracker = recorder.tracker
    with terminal.progress("tracking") as progress:
        analysis = tracker.analyse(
            recording, hints=fixed, start_s=start_s, end_s=end_s, use_labels=use_labels, progress=progress
        )
    if use_labels and (kept := tracker.labels_of(recording)) is not None:
        terminal.info(f"{recording}: {len(kept)} labels that {tracker.name} learnt from are hints; --no-labels: not")
    beats = analysis.beats
    if out is not None:
        write_beats(out, beats, duration_s=length_s, provenance=provenance(tracker), force=force)
    if clicks is not None:
        audio.write_clicks(clicks, recording, beats, force=force)
    if plot is not None:
        from levada.beat_tracking.track_plot import plot_track

        title, curves = f"{recording.name}, {tracker.name}", recorder.curves(recording, *span)
        plot_track(plot, beats, curves, title=title, start_s=span[0], end_s=span[1], hints=fixed, force=force)
    if page is not None:
        from levada.player.player import Player

        curves = recorder.curves(recording, *span)
        values, fps = (None, 1.0) if curves is None else (curves.values, curves.fps)
        title, part = f"{recording.name}, {tracker.name}", audio.AudioExcerpt(recording, *span)
        player = Player(part, beats=beats, reference=fixed, activations=values, fps=fps, title=title)
        player.save(page, force=force)
    if as_json:
        rows = [
            {"time_s": time_s, "position": position, "confidence": in_time, "position_confidence": in_bar}
            for (time_s, position), in_time, in_bar in zip(
                beats, analysis.time_confidence.tolist(), analysis.position_confidence.tolist(), strict=True
            )
        ]
        terminal.print_json(
            {"recording": str(recording), "model": tracker.name, "analysis": analysis.to_json(), "beats": rows}
        )
    elif out is None:
        for time_s, position in beats:
            print(f"{time_s:.3f}\t{position}" if position else f"{time_s:.3f}")
    if not len(beats):
        terminal.info(f"{recording}: no beats found; it may be silent, or have no regular beat")
    elif out is not None and not as_json:
        counted = ", ".join(map(str, beats.metres)) or "?"
        terminal.info(
            f"{out}: {len(beats)} beats, {beats.tempo_bpm:.1f} bpm, {counted} beats a bar{_certainty(analysis)}"
        )
    if len(beats) and analysis.no_pulse and not as_json:
        terminal.info(f"{recording}: no beats {_stretches(analysis.no_pulse)}")
    if len(analysis.pieces) > 1 and not as_json:
        for number, piece in enumerate(analysis.pieces[:MOST_PIECES], start=1):
            terminal.info(f"piece {number}: {piece}")
        if (more := len(analysis.pieces) - MOST_PIECES) > 0:
            terminal.info(f"and {terminal.count(more, 'more piece')}; --json lists all")


def _stretches(stretches: Sequence[tuple[float, float]]) -> str:
    """Return the first of some stretches of time, for a message."""
    texts = [f"from {clock(start_s)} to {clock(end_s)}" for start_s, end_s in stretches[:MOST_STRETCHES]]
    more = len(stretches) - len(texts)
    return ", ".join(texts) + (f" and in {more} more stretches" if more else "")


def _certainty(analysis: Analysis) -> str:
    """Return the confidences of a recording and its next reading, for a message."""
    texts = [
        f", mean confidence {value:.2f} of {what}"
        for value, what in ((analysis.mean_time_confidence, "times"), (analysis.mean_position_confidence, "positions"))
        if not math.isnan(value)
    ]
    if analysis.readings:
        other = analysis.readings[0]
        texts.append(f"; or else {other.name}, {other.probability:.2f}")
    return "".join(texts)


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
    from levada.beat_tracking.folders import track_folder
    from levada.beat_tracking.tracker import BeatTracker

    tracker = BeatTracker.from_pretrained(model)
    other = BESIDE.get(tracker.name, "none") if options["compare"] == "auto" else options["compare"]
    options["compare"] = None if other == "none" else BeatTracker.from_pretrained(other)
    executor = remote_executor(cluster)
    terminal.set_dated(True)
    with terminal.progress(f"tracking {folder}", at_once=processes or 2) as progress:
        report = track_folder(
            folder, tracker, out=out, processes=processes, each=executor, suffix=suffix,
            table=table, force=force, progress=progress, **options,
        )  # fmt: skip
    if options["clicks"] is not None:
        terminal.info(f"{options['clicks']}: the recordings with clicks on their beats")
    if options["plots"] is not None:
        terminal.info(f"{options['plots']}: a figure of each recording")
    recordings = recordings_by_certainty(report.rows)
    if recordings and not as_json:
        print_recordings(recordings)
    outputs.finish_folder(
        report, out, results="beats", verb="tracked", as_json=as_json, more={"recordings": recordings}
    )
