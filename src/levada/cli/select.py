"""`levada select`: which recordings and bars to annotate first."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated

import typer

from levada.cli import terminal
from levada.cli.options import Force, Json, Model, Seed
from levada.errors import InputError
from levada.io.text import clock

if TYPE_CHECKING:
    from levada.beat_tracking.selection import Selection

__all__ = ["select"]

TABLE = "selection.csv"
LABELS, BEATS = ".annotate.txt", ".annotate.beats"
"""Suffixes of files that are not read as annotations."""


def select(
    pool: Annotated[str, typer.Argument(help="A folder of recordings, annotated or not, or mirdata:NAME.")],
    minutes: Annotated[float, typer.Option(min=0.01, help="Minutes of audio that will be annotated.")] = 1.5,
    scheme: Annotated[
        str, typer.Option(help="random, vote-k, facility, diversity, k-medoids or uncertainty.")
    ] = "facility",
    model: Model = "base",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A folder for the table and for files to annotate in.")
    ] = None,
    seed: Seed = 0,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Choose which recordings, and which bars of them, to annotate first."""
    import numpy as np

    from levada.beat_tracking import selection
    from levada.beat_tracking.pretrained import load_tracker
    from levada.beat_tracking.selection.schemes import get_scheme
    from levada.data import load_corpus

    get_scheme(scheme)
    opened = load_corpus(pool, labels="beats")
    _check(out, force=force)
    tracker = load_tracker(model)
    with terminal.progress("computing features") as progress:
        choices = selection.select(
            opened.tracks, minutes=minutes, scheme=scheme, rng=np.random.default_rng(seed), tracker=tracker,
            progress=progress,
        )  # fmt: skip
    if as_json:
        facts = [{"audio": str(one.track.audio), **row} for one, row in zip(choices, _rows(choices), strict=True)]
        terminal.print_json({"pool": pool, "scheme": scheme, "model": tracker.name, "seed": seed, "choices": facts})
    else:
        rows = [
            [
                str(one.rank), one.track.id, clock(one.start_s, decimals=1), clock(one.end_s, decimals=1),
                str(one.bars), one.reason,
            ]
            for one in choices
        ]  # fmt: skip
        terminal.print_table(["rank", "recording", "from", "to", "bars", "reason"], rows)
    chosen_s, recordings = sum(one.duration_s for one in choices), len({one.track.id for one in choices})
    terminal.info(
        f"{terminal.duration(chosen_s)} in {terminal.count(recordings, 'recording')}, by {scheme}; bars are "
        f"those that {tracker.name} tracks: correct their ends where they are wrong"
    )
    if out is not None:
        _write(out, choices)


def _rows(choices: Sequence[Selection]) -> list[dict[str, str | float | int]]:
    return [
        {
            "rank": one.rank, "recording": one.track.id, "start_s": round(one.start_s, 3),
            "end_s": round(one.end_s, 3), "bars": one.bars, "reason": one.reason,
        }
        for one in choices
    ]  # fmt: skip


def _check(out: Path | None, *, force: bool) -> None:
    """Refuse an output folder that cannot be written, before the work."""
    from levada.io.files import check_parent_folder

    if out is None:
        return
    if out.exists() and not out.is_dir():
        raise InputError("is a file: give the name of a folder", path=out)
    check_parent_folder(out)
    if (out / TABLE).exists() and not force:
        raise InputError("exists already; give another folder, or --force to replace it", path=out / TABLE)


def _write(out: Path, choices: Sequence[Selection]) -> None:
    """Write the table and, for each recording, labels of where to annotate and a file for its beats."""
    from levada.io.files import atomic_file
    from levada.io.text import escape_csv_cell

    with atomic_file(out / TABLE, force=True) as temporary, open(temporary, "w", newline="", encoding="utf-8") as file:
        rows = _rows(choices)
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: escape_csv_cell(cell) for name, cell in row.items()} for row in rows)
    kept = 0
    for track in dict.fromkeys(one.track for one in choices):
        stretches = sorted((one for one in choices if one.track == track), key=lambda one: one.start_s)
        target = out.joinpath(*(part for part in PurePosixPath(track.id).parts if part not in ("/", "..")))
        labels = "".join(f"{one.start_s:.6f}\t{one.end_s:.6f}\tannotate {one.rank}\n" for one in stretches)
        with atomic_file(target.with_name(target.name + LABELS), force=True) as temporary:
            temporary.write_text(labels, encoding="utf-8")
        beats = target.with_name(target.name + BEATS)
        if _has_beats(beats):
            kept += 1
            continue
        with atomic_file(beats, force=True) as temporary:
            temporary.write_text(_template(track.audio.name, stretches), encoding="utf-8")
    if kept:
        terminal.info(f"{terminal.count(kept, 'file')} that contain beats already are kept")
    terminal.info(
        f"{out}: {TABLE}; a {LABELS} for Audacity and a {BEATS} for each recording. Save your beats as NAME.beats "
        "beside the recording"
    )


def _template(recording: str, stretches: Sequence[Selection]) -> str:
    where = "".join(f"# annotate {one.start_s:.3f} s to {one.end_s:.3f} s ({one.bars} bars)\n" for one in stretches)
    return (
        f"# {recording}\n{where}# one beat a line: its time in seconds, a tab, its position in the bar from 1; "
        f"then save it as {Path(recording).stem}.beats beside the recording\n"
    )


def _has_beats(path: Path) -> bool:
    """Whether a file contains more than comments."""
    if not path.exists():
        return False
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return True
    return any(line.strip() and not line.lstrip().startswith("#") for line in lines)
