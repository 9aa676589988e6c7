"""`levada separate`: a file for each instrument of a recording, or of every recording of a folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.cli import outputs, terminal
from levada.cli.options import Force, Json, Table, Timeout
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.separation.files import Separated
    from levada.separation.separator import Separator

__all__ = ["separate"]

BASE = "base"
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
    level: Annotated[
        list[str] | None,
        typer.Option(
            help="Write the mixture with an instrument at another level in dB, as surdo=-12; can be repeated."
        ),
    ] = None,
    harder: Annotated[
        bool, typer.Option("--harder", help="Take more of what is reduced in mixes, at the cost of the others.")
    ] = False,
    multichannel: Annotated[
        bool, typer.Option("--multichannel", help="Write all instruments into the channels of one file.")
    ] = False,
    reaper: Annotated[
        bool, typer.Option("--reaper", help="Write a Reaper project with a track for each instrument (.rpp).")
    ] = False,
    suffix: Annotated[str | None, typer.Option(help="Format: .wav, .flac or .aiff; default: the recording's.")] = None,
    plot: Annotated[Path | None, typer.Option(help="Draw the spectrograms here (.png, .svg, .pdf).")] = None,
    table: Table = None,
    timeout: Timeout = None,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Separate the instruments of a recording, or of a folder of recordings (resumable); the files sum to the mixture.

    Name a tradition or a separator with --model. Of a tradition, those instruments are written that seem to play;
    --instruments names them instead.
    """
    wanted = [name.strip() for name in (instruments or "").split(",") if name.strip()]
    if not recording.is_dir():
        from levada.io import audio

        audio.info(recording)
    out = out or Path(f"{recording.resolve().stem}-stems")
    if out.resolve() == recording.resolve():
        raise InputError("holds the recordings: give another folder for their stems", path=out)
    if plot is not None:
        if recording.is_dir():
            raise InputError("--plot is for one recording")
        outputs.check_plot(plot)
        outputs.check_outputs(plot, force=force)
    if (table is not None or timeout is not None) and not recording.is_dir():
        raise InputError("--table and --timeout are for a folder of recordings", path=recording)
    model = model or "base"
    levels = _levels(level or [])
    _check_instruments(model, wanted, [*(only or []), *(without or []), *levels])
    from levada.separation.files import separate_file
    from levada.separation.separator import Separator

    separator = Separator.from_pretrained(model, instruments=wanted)
    options: dict[str, Any] = {
        "only": only or [], "without": without or [], "levels": levels, "harder": harder,
        "multichannel": multichannel, "reaper": reaper, "suffix": suffix, "force": force,
        "active": not wanted and _is_general(model),
    }  # fmt: skip
    if recording.is_dir():
        _separate_folder(recording, separator, out, options, table=table, timeout=timeout, as_json=as_json)
        return
    with terminal.progress("separating") as progress:
        separated = separate_file(recording, separator, out, progress=progress, **options)
    if plot is not None:
        _plot(plot, separated, force=force)
    if as_json:
        files = {name: str(path) for name, path in separated.files.items()}
        facts: dict[str, Any] = {name: getattr(separated, name) for name in ("rate", "channels", "duration_s")}
        facts |= {} if separated.decision is None else {"decision": asdict(separated.decision)}
        facts |= {"left_db": separated.left_db} if separated.left_db else {}
        facts |= {"activity": separated.activity} if separated.activity else {}
        terminal.print_json({"recording": str(recording), "model": separator.name, "files": files, **facts})
        return
    if separated.activity:
        terminal.info(_activity_text(separated.activity))
    for path in separated.files.values():
        print(path)
    if separated.decision is not None:
        terminal.info(separated.decision.line())
    files_of = f"{terminal.count(len(separated.files), 'file')} of {terminal.duration(separated.duration_s)}"
    for name, left_db in separated.left_db.items():
        levels_of = ", ".join(f"{instrument} at {level:.0f} dB" for instrument, level in left_db.items())
        terminal.info(f"{separated.files[name].name}: by estimate it has {levels_of} of the recording's")
    terminal.info(f"{out}: {files_of}, by {separator.name}")


def _levels(given: list[str]) -> dict[str, float]:
    """Parse levels such as "surdo=-12"."""
    levels = dict[str, float]()
    for text in given:
        name, sign, level = text.rpartition("=")
        try:
            levels[name.strip()] = float(level)
        except ValueError:
            sign = ""
        if not sign or not name.strip():
            raise InputError(f"--level must be an instrument and decibels, such as surdo=-12, not {text!r}")
    return levels


def _separate_folder(
    folder: Path,
    separator: Separator,
    out: Path,
    options: dict[str, Any],
    *,
    table: Path | None,
    timeout: float | None,
    as_json: bool,
) -> None:
    from levada.separation.folder import separate_folder

    if table is not None:
        outputs.check_table(table, out, force=options["force"])
    terminal.set_dated(True)
    with terminal.progress("separating") as progress:
        report = separate_folder(folder, separator, out, table=table, timeout_s=timeout, progress=progress, **options)
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


def _is_general(model: str) -> bool:
    """Whether a model is the base or a tradition, of which not everything plays, and no other model."""
    from levada.learning.names import UNET_BASS, folder_of

    folder = folder_of(model)
    return ":" not in model and model != UNET_BASS and (folder is None or not folder.is_dir())


def _activity_text(activity: Mapping[str, float]) -> str:
    """Which instruments seem to play, the most confident first, and which do not."""
    from levada.separation.activity import LIKELY

    ordered = sorted(activity.items(), key=lambda item: -item[1])
    texts = [
        ", ".join(f"{name} ({confidence:.0%})" for name, confidence in ordered if (confidence >= LIKELY) is playing)
        for playing in (True, False)
    ]
    if not texts[0]:
        return f"by estimate none of the instruments plays, so that all are written: {texts[1]}"
    others = f"; not: {texts[1]}" if texts[1] else ""
    return f"by estimate these play: {texts[0]}{others}; --instruments names others"


def _check_instruments(model: str, wanted: list[str], selected: list[str]) -> None:
    """Refuse names of instruments that a separator does not know, before its weights are loaded."""
    from levada.learning.names import folder_of
    from levada.separation.label_matching import substitute
    from levada.separation.masking import matched
    from levada.synth.instrument_names import stem_names
    from levada.synth.traditions import list_traditions, read_tradition

    folder = folder_of(model)
    if folder is not None and folder.is_dir():
        known = _instruments(folder)
    elif folder is None and model in list_traditions():
        known = tuple(name for name, voice in stem_names(read_tradition(model)).items() if voice in _base_instruments())
    else:
        known = _base_instruments() if folder is None and model == BASE else ()
    unknown = [name for name in wanted or selected if matched(name, known) is None]
    if wanted:
        unknown = [name for name in unknown if substitute(name, known) is None]
    if known and unknown:
        raise InputError(f"{model} does not know {', '.join(unknown)}: it can separate {', '.join(known)}")
    missing = [name for name in selected if wanted and matched(name, wanted) is None]
    if missing:
        raise InputError(f"{', '.join(missing)} would have no stem: --instruments names {', '.join(wanted)} alone")


def _plot(plot: Path, separated: Separated, *, force: bool) -> None:
    from levada.io import audio
    from levada.separation.plots import plot_stems

    mixture, rate = audio.read(separated.recording, duration_s=PLOT_S)
    paths = {name: path for name, path in separated.files.items() if path.suffix != ".rpp"}
    stems = {name: audio.read(path, duration_s=PLOT_S)[0] for name, path in paths.items()}
    plot_stems(plot, mixture, stems, rate, force=force)
