"""`levada separate`: a recording, or a folder of them, becomes files of its instruments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.cli import terminal
from levada.cli.options import Force, Json, Table
from levada.cli.outputs import finish_folder, need_pictures, need_table_writable, need_writable
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.separation.files import Separated
    from levada.separation.masking import SeparatorLike

__all__ = ["separate"]

DRAWN_S = 30.0


def separate(
    recording: Annotated[Path, typer.Argument(help="A recording, or a folder of them.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for the files, one an instrument.")
    ] = None,
    model: Annotated[
        str, typer.Option("--model", "-m", help="base, a tradition, or the folder of a separator.")
    ] = "base",
    only: Annotated[list[str] | None, typer.Option(help="Write this instrument alone; repeat it.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Write the mixture without this one, to practise with; repeat it.")
    ] = None,
    instruments: Annotated[
        str | None, typer.Option(help="All that plays, if the model knows more: surdo,caixa.")
    ] = None,
    suffix: Annotated[str | None, typer.Option(help="Format: .wav, .flac or .aiff; the recording's own.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the spectrograms here (.png, .svg, .pdf).")] = None,
    table: Table = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Take a recording apart: a file an instrument, which sum to it; or a folder of recordings (resumable)."""
    from levada.separation.files import separate_file
    from levada.separation.pretrained import load_separator

    if out is None:
        raise InputError("say with -o in which folder the files go", path=recording)
    if plot is not None:
        _need_plot(plot, recording, force=force)
    wanted = [name.strip() for name in (instruments or "").split(",") if name.strip()]
    separator = load_separator(model, instruments=wanted)
    chosen: dict[str, Any] = {"only": only or [], "without": without or [], "suffix": suffix}
    if recording.is_dir():
        _folder(recording, separator, out, chosen, table=table, force=force, as_json=as_json)
        return
    if table is not None:
        raise InputError("--table is for a folder of recordings", path=recording)
    with terminal.progress("taking apart") as progress:
        made = separate_file(recording, separator, out, force=force, progress=progress, **chosen)
    if plot is not None:
        _draw(plot, made, force=force)
    if as_json:
        files = {name: str(path) for name, path in made.files.items()}
        terminal.print_json(
            {
                "recording": str(recording),
                "model": separator.name,
                "files": files,
                "rate": made.rate,
                "channels": made.channels,
                "duration_s": made.duration_s,
            }
        )
        return
    for path in made.files.values():
        print(path)
    what = terminal.count(len(made.files), "file")
    terminal.say(f"{out}: {what} of {terminal.length(made.duration_s)}, by {separator.name}")


def _folder(
    folder: Path,
    separator: SeparatorLike,
    out: Path,
    chosen: dict[str, Any],
    *,
    table: Path | None,
    force: bool,
    as_json: bool,
) -> None:
    from levada.separation.folder import separate_folder

    if table is not None:
        need_table_writable(table, out, force=force)
    terminal.set_dated(True)
    with terminal.progress("taking apart") as progress:
        report = separate_folder(folder, separator, out, table=table, force=force, progress=progress, **chosen)
    finish_folder(report, out, results="stems", verb="taken apart", as_json=as_json)


def _need_plot(plot: Path, recording: Path, *, force: bool) -> None:
    if recording.is_dir():
        raise InputError("--plot is for one recording")
    need_pictures(plot)
    need_writable(plot, force=force)


def _draw(plot: Path, made: Separated, *, force: bool) -> None:
    """The first half minute: more is too narrow to be seen, and an hour would not fit."""
    from levada.io import audio
    from levada.separation.plots import plot_stems

    mixture, rate = audio.read(made.recording, duration_s=DRAWN_S)
    stems = {name: audio.read(path, duration_s=DRAWN_S)[0] for name, path in made.files.items()}
    plot_stems(plot, mixture, stems, rate, force=force)
