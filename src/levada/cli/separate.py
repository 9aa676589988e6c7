"""`levada separate`: a file for each instrument of a recording, or of every recording of a folder."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.cli import outputs, terminal
from levada.cli.options import Force, Json, Table
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.separation.files import Separated
    from levada.separation.separator import Separator

__all__ = ["separate"]

PLOT_S = 30.0
"""Seconds of a recording that are drawn: more is too narrow to be seen, and an hour does not fit into memory."""


def separate(
    recording: Annotated[Path, typer.Argument(help="A recording, or a folder of recordings.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="The folder for the files, one for each instrument.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", help="A tradition, the folder of a separator, or base for all it can separate."),
    ] = None,
    instruments: Annotated[
        str | None, typer.Option(help="The instruments that play, such as surdo,caixa; files get these names.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(help="Write this instrument only; can be repeated.")] = None,
    without: Annotated[
        list[str] | None, typer.Option(help="Write the mixture without this instrument; can be repeated.")
    ] = None,
    suffix: Annotated[str | None, typer.Option(help="Format: .wav, .flac or .aiff; default: the recording's.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the spectrograms here (.png, .svg, .pdf).")] = None,
    table: Table = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Separate the instruments of a recording, or of a folder of recordings (resumable); the files sum to the mixture.

    Name a tradition with --model, or the instruments with --instruments; without either, the choices are listed.
    """
    wanted = [name.strip() for name in (instruments or "").split(",") if name.strip()]
    if not recording.is_dir():
        from levada.io import audio

        audio.info(recording)
    if model is None and not wanted:
        raise InputError(_choices(), path=recording)
    if out is None:
        raise InputError("give with -o a folder for the files", path=recording)
    if out.resolve() == recording.resolve():
        raise InputError("holds the recordings: give another folder for their stems", path=out)
    if plot is not None:
        if recording.is_dir():
            raise InputError("--plot is for one recording")
        outputs.check_plot(plot)
        outputs.check_outputs(plot, force=force)
    if table is not None and not recording.is_dir():
        raise InputError("--table is for a folder of recordings", path=recording)
    model = model or "base"
    _check_instruments(model, wanted, [*(only or []), *(without or [])])
    from levada.separation.files import separate_file
    from levada.separation.separator import Separator

    separator = Separator.from_pretrained(model, instruments=wanted)
    options: dict[str, Any] = {"only": only or [], "without": without or [], "suffix": suffix, "force": force}
    if recording.is_dir():
        _separate_folder(recording, separator, out, options, table=table, as_json=as_json)
        return
    with terminal.progress("separating") as progress:
        separated = separate_file(recording, separator, out, progress=progress, **options)
    if plot is not None:
        _plot(plot, separated, force=force)
    if as_json:
        files = {name: str(path) for name, path in separated.files.items()}
        decision = None if separated.decision is None else asdict(separated.decision)
        facts = {
            "decision": decision,
            "rate": separated.rate,
            "channels": separated.channels,
            "duration_s": separated.duration_s,
        }
        terminal.print_json({"recording": str(recording), "model": separator.name, "files": files, **facts})
        return
    for path in separated.files.values():
        print(path)
    if separated.decision is not None:
        terminal.info(separated.decision.line())
    files_of = f"{terminal.count(len(separated.files), 'file')} of {terminal.duration(separated.duration_s)}"
    terminal.info(f"{out}: {files_of}, by {separator.name}")


def _separate_folder(
    folder: Path, separator: Separator, out: Path, options: dict[str, Any], *, table: Path | None, as_json: bool
) -> None:
    from levada.separation.folder import separate_folder

    if table is not None:
        outputs.check_table(table, out, force=options["force"])
    terminal.set_dated(True)
    with terminal.progress("separating") as progress:
        report = separate_folder(folder, separator, out, table=table, progress=progress, **options)
    outputs.finish_folder(report, out, results="stems", verb="separated", as_json=as_json)


def _base_instruments() -> tuple[str, ...]:
    from levada.learning.names import STEMS_BASE, shipped

    return _instruments(shipped("stems")[STEMS_BASE])


def _instruments(folder: Path) -> tuple[str, ...]:
    """Instruments of a separator by its configuration, without its weights; none where this does not list them."""
    from levada.learning.card import CONFIG, read_config

    if not (folder / CONFIG).is_file():
        return ()
    settings = read_config(folder)["settings"]
    network = settings.get("network", {}).get("settings", {})  # of dictionaries with a network, which has more
    return tuple(network.get("instruments", settings.get("instruments", ())))


def _choices() -> str:
    """The traditions with their instruments and the instruments of the base separator, for the terminal."""
    from levada.synth.instrument_names import stem_names
    from levada.synth.traditions import list_traditions, read_tradition

    known = _base_instruments()
    names = {name: stem_names(read_tradition(name)) for name in list_traditions()}
    rows = {name: [one for one, voice in voices.items() if voice in known] for name, voices in names.items()}
    width = max(map(len, rows)) + 2
    lines = ["which instruments play? Choose one of these", "", "--model TRADITION:"]
    for name, instruments in rows.items():
        first, *others = wrap(", ".join(instruments), 100 - width - 2) or [""]
        lines += [f"  {name:{width}}{first}", *(" " * (width + 2) + line for line in others)] if first else []
    lines += ["", "--instruments a,b,c, among:", *(f"  {line}" for line in wrap(", ".join(known), 98))]
    lines += ["", "--model FOLDER, a separator of your own: levada adapt my-stems -o FOLDER", ""]
    return "\n".join([*lines, "--model base writes a file for every instrument that it can separate"])


def _check_instruments(model: str, wanted: list[str], selected: list[str]) -> None:
    """Refuse names of instruments that a separator does not know, before its weights are loaded."""
    from levada.learning.names import folder_of
    from levada.separation.masking import matched
    from levada.synth.instrument_names import stem_names
    from levada.synth.traditions import list_traditions, read_tradition

    folder = folder_of(model)
    if folder is not None and folder.is_dir():
        known = _instruments(folder)
    elif folder is None and model in list_traditions():
        known = tuple(name for name, voice in stem_names(read_tradition(model)).items() if voice in _base_instruments())
    else:
        known = _base_instruments() if folder is None and model == "base" else ()
    for names, among in ((wanted, known), (selected, tuple(wanted) or known)):
        unknown = [name for name in names if matched(name, among) is None]
        if among and unknown:
            raise InputError(f"{model} does not know {', '.join(unknown)}: it can separate {', '.join(among)}")


def _plot(plot: Path, separated: Separated, *, force: bool) -> None:
    from levada.io import audio
    from levada.separation.plots import plot_stems

    mixture, rate = audio.read(separated.recording, duration_s=PLOT_S)
    stems = {name: audio.read(path, duration_s=PLOT_S)[0] for name, path in separated.files.items()}
    plot_stems(plot, mixture, stems, rate, force=force)
