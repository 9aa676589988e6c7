"""`levada microtiming`: how early or late the onsets of a recording, or of its stems, are against the grid of beats."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.cli import outputs, terminal
from levada.cli.options import Force, Json, Model, Seed
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.beat_tracking.bar_map import BarMap, PatternClusters
    from levada.beat_tracking.microtiming import Microtiming
    from levada.io.beats import Beats

__all__ = ["microtiming"]

RECORDING = "recording"
"""What the onsets are of, where no stems are given."""


def microtiming(
    recording: Annotated[Path, typer.Argument(help="A recording, best of one instrument.")],
    beats: Annotated[
        Path | None, typer.Option(help="A file of its beats, with positions in the bar; default: --model finds them.")
    ] = None,
    model: Model = "base",
    samples: Annotated[
        int,
        typer.Option(min=0, help="Readings to sample from the posterior of --model: its uncertainty widens intervals."),
    ] = 0,
    stems: Annotated[
        Path | None, typer.Option(help="A folder of all stems of the recording: each stem has its own timing.")
    ] = None,
    tatums: Annotated[
        int | None, typer.Option(min=1, max=12, help="Tatums of each beat; default: estimated from the onsets.")
    ] = None,
    patterns: Annotated[int, typer.Option(min=0, help="Group the bars into so many rhythmic patterns; 0: do not.")] = 0,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Write a table with a row for each onset (.csv).")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the timing by position and along the piece here (.png, .svg, .pdf).")
    ] = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Measure how early or late onsets are against the grid of the beats, by position in the bar and along a piece."""
    outputs.check_outputs(out, plot, force=force, inputs=(recording, beats))
    outputs.check_plot(plot)
    if out is not None and out.suffix.lower() != ".csv":
        raise InputError("the table of onsets is written as .csv; --json prints one of positions", path=out)
    if beats is not None and samples:
        raise InputError("--samples is for beats that --model finds, and --beats are given")
    from levada.beat_tracking.microtiming import measure_microtiming, measure_stems

    grid, readings = _grid(recording, beats, model, samples, seed)
    if stems is None:
        timings = {RECORDING: measure_microtiming(recording, grid, tatums=tatums, samples=readings)}
    else:
        timings = measure_stems(_stem_files(stems, recording), grid, tatums=tatums, samples=readings)
    count = next(iter(timings.values())).tatums_per_beat
    bars, clusters = _patterns(recording, grid, count, patterns, seed)
    if out is not None:
        _write_table(out, timings, force=force)
    if plot is not None:
        from levada.beat_tracking.microtiming_plot import plot_microtiming

        plot_microtiming(plot, timings, title=recording.name, bars=bars, clusters=clusters, force=force)
    if as_json:
        terminal.print_json(_report(recording, timings, bars, clusters))
        return
    _print(timings, bars, clusters)
    if out is not None:
        terminal.info(f"{out}: {terminal.count(sum(map(len, timings.values())), 'onset')}")


def _grid(recording: Path, file: Path | None, model: str, samples: int, seed: int) -> tuple[Beats, list[Beats]]:
    """Return the beats of a file, or those that a model finds and readings sampled from its posterior."""
    if file is not None:
        from levada.io.formats import read_beats

        return read_beats(file), []
    from levada.beat_tracking.tracker import BeatTracker

    tracker = BeatTracker.from_pretrained(model)
    with terminal.progress("tracking") as progress:
        found = tracker.track(recording, progress=progress)
    return found, tracker.sample(recording, n=samples, seed=seed) if samples else []


def _stem_files(folder: Path, recording: Path) -> dict[str, Path]:
    """Return the files of stems by their names, without the recording itself."""
    from levada.data.stem_folder import MIXTURES
    from levada.io import audio

    if not folder.is_dir():
        raise InputError("there is no such folder of stems", path=folder)
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() in audio.SUFFIXES and path.is_file()]
    length_s = audio.info(recording).duration_s
    stems = {file.stem: file for file in files if file.stem.lower() not in MIXTURES and not file.samefile(recording)}
    for file in stems.values():
        stem_s = audio.info(file).duration_s
        if abs(stem_s - length_s) > 0.05:
            raise InputError(
                f"lasts {stem_s:.2f} s, and the recording {length_s:.2f} s: is it a stem of it?", path=file
            )
    if len(stems) < 2:
        raise InputError("has fewer than two stems: levada separate writes them", path=folder)
    return stems


def _patterns(
    recording: Path, grid: Beats, tatums: int, n_clusters: int, seed: int
) -> tuple[BarMap | None, PatternClusters | None]:
    if not n_clusters:
        return None, None
    from levada.beat_tracking.bar_map import cluster_bars, map_bars

    bars = map_bars(recording, grid, tatums=tatums)
    return bars, cluster_bars(bars, n_clusters, seed=seed)


def _write_table(path: Path, timings: Mapping[str, Microtiming], *, force: bool) -> None:
    from levada.io.tables import write_csv

    rows = [{"stem": name, **row} for name, timing in timings.items() if not timing.withheld for row in timing.rows()]
    if not rows:
        raise InputError("would be empty: all stems are withheld", path=path)
    write_csv(path, rows, force=force)


def _report(
    recording: Path, timings: Mapping[str, Microtiming], bars: BarMap | None, clusters: PatternClusters | None
) -> dict[str, Any]:
    report: dict[str, Any] = {
        "recording": str(recording),
        "timing": {name: timing.to_json() for name, timing in timings.items()},
    }
    if bars is not None and clusters is not None:
        report["patterns"] = {
            "explained": round(clusters.explained, 4),
            "bars": [
                {"start_s": round(start_s, 3), "pattern": label}
                for start_s, label in zip(bars.starts_s.tolist(), clusters.labels.tolist(), strict=True)
            ],
            "means": clusters.patterns.round(4).tolist(),
        }
    return report


def _print(timings: Mapping[str, Microtiming], bars: BarMap | None, clusters: PatternClusters | None) -> None:
    """Print the timing of each position, the stems that are withheld, and the patterns of the bars."""
    rows = []
    for name, timing in timings.items():
        if timing.withheld:
            continue
        for place in timing.places():
            ms = [1000 * value for value in (place.mean_s, place.low_s, place.high_s, place.sd_s)]
            interval = "" if ms[1] != ms[1] else f"{ms[1]:+.1f} to {ms[2]:+.1f}"
            deviation = "" if ms[3] != ms[3] else f"{ms[3]:.1f}"
            cells = [str(place.beat or "–"), str(place.tatum), str(place.n), f"{ms[0]:+.1f}", interval, deviation]
            rows.append([name, *cells, f"{place.mean_beats:+.3f}"])
    if rows:
        terminal.print_table(["", "beat", "tatum", "onsets", "mean (ms)", "95 %", "SD (ms)", "mean (beats)"], rows)
    for name, timing in timings.items():
        if timing.withheld:
            terminal.info(f"{name}: withheld: {timing.withheld}")
        elif timing.set_aside:
            terminal.info(f"{name}: {timing.set_aside} onsets left out: others are stronger at the same time")
    if bars is not None and clusters is not None:
        print()
        shown = ["".join("█▆▄▂ "[4 - round(4 * value)] for value in row) for row in clusters.patterns.tolist()]
        which = [[str(i + 1) for i in (clusters.labels == label).nonzero()[0]] for label in range(1, len(shown) + 1)]
        sizes = [str(size) for size in clusters.sizes.tolist()]
        listed = [", ".join(some[:12]) + (" …" if len(some) > 12 else "") for some in which]
        numbers = map(str, range(1, len(shown) + 1))
        terminal.print_table(
            ["pattern", "bars", "onset strength", "which"],
            [*map(list, zip(numbers, sizes, shown, listed, strict=True))],
        )
