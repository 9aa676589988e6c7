"""`levada convert`: files of beats in other formats, or as click tracks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from levada.cli import outputs, terminal
from levada.cli.options import Convention, Force, Json
from levada.errors import InputError

if TYPE_CHECKING:
    from levada.io.formats import BeatAnnotation

__all__ = ["convert"]


def convert(
    source: Annotated[Path, typer.Argument(help="A file of beats in any format that levada reads, or a folder.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write: its suffix is its format; or a folder.")],
    suffix: Annotated[
        str, typer.Option(help="Format of the files of a folder, by their suffix; .wav for click tracks.")
    ] = ".beats",
    recording: Annotated[
        Path | None,
        typer.Option(help="The recording (or folder of recordings), for click tracks; default: beside the beats."),
    ] = None,
    convention: Convention = "",
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Convert a file of beats to another format, or a folder of them (resumable).

    A suffix of audio, such as .wav, writes the recording with clicks on the beats.
    """
    from levada.io.formats import check_convention

    if convention:
        check_convention(convention)
    if source.is_dir():
        _convert_folder(source, out, suffix, recording, convention, force=force, as_json=as_json)
        return
    outputs.check_outputs(out, force=force, inputs=(source, recording))
    outputs.check_suffix(out, clicks=True)
    reading = _convert(source, out, recording or _beside(source), convention, force=force)
    notes = [*reading.notes]
    if as_json:
        facts = {"format": reading.format, "convention": reading.convention, "beats": len(reading.beats)}
        terminal.print_json({"source": str(source), "out": str(out), **facts, "notes": notes})
    for note in notes:
        terminal.info(f"note: {source}: {note}")
    terminal.info(f"{out}: {terminal.count(len(reading.beats), 'beat')}; {source} was read as {_described(reading)}")


def _convert_folder(
    source: Path, out: Path, suffix: str, recordings: Path | None, convention: str, *, force: bool, as_json: bool
) -> None:
    from levada.data.folder import annotations_of
    from levada.io.batch import BatchReport
    from levada.io.run_folder import RunFolder

    if out.resolve() == source.resolve():
        raise InputError("holds the files to convert: give another folder", path=out)
    outputs.check_suffix(suffix, clicks=True)
    files = {
        name: path for name, path in annotations_of(source).items() if not path.resolve().is_relative_to(out.resolve())
    }
    written, kept, failed, read_as = [], [], dict[Path, str](), dict[str, list[str]]()
    config = {"suffix": suffix, "convention": convention}
    with (
        RunFolder.acquire(out, kind="converted beats", config=config, shared=True, force=force) as folder,
        terminal.progress("converting") as progress,
    ):
        for number, (name, path) in enumerate(sorted(files.items()), start=1):
            if not force and folder.is_done(name, source=path):
                kept.append(out / f"{name}{suffix}")
                continue
            try:
                with folder.writing(name, source=path) as temporary:
                    target = temporary / f"{name}{suffix}"
                    target.parent.mkdir(parents=True, exist_ok=True)
                    reading = _convert(path, target, _recording_of(name, recordings or source), convention)
            except InputError as error:
                failed[path] = str(error)
                folder.fail(name, str(error), source=path)
                continue
            written.append(out / f"{name}{suffix}")
            for note in (f"read as {_described(reading)}", *reading.notes):
                read_as.setdefault(note, []).append(str(path))
            progress(number, len(files))
    for note, paths in read_as.items():
        more = f" (and {len(paths) - 1} more)" if len(paths) > 1 else ""
        terminal.info(f"note: {paths[0]}: {note}{more}")
    outputs.finish_folder(
        BatchReport(tuple(written), tuple(kept), failed), out, results="beats", verb="converted", as_json=as_json
    )


def _convert(
    source: Path, out: Path, recording: Path | None, convention: str, *, force: bool = False
) -> BeatAnnotation:
    """Write a file of beats in the format of another file's name."""
    from levada.io import audio
    from levada.io.formats import read_annotation, write_beats
    from levada.io.formats.provenance import read_provenance

    reading = read_annotation(source, convention=convention)
    if outputs.is_audio(out.name):
        if recording is None:
            raise InputError("has no recording of its name beside it: give it with --recording", path=source)
        audio.write_clicks(out, recording, reading.beats, force=force)
        return reading
    duration_s = None if recording is None else audio.info(recording).duration_s
    provenance = read_provenance(source.read_bytes())  # beats that nobody corrected stay marked as such
    write_beats(out, reading.beats, duration_s=duration_s, provenance=provenance, force=force)
    return reading


def _beside(source: Path) -> Path | None:
    from levada.data.pairing import stem_of

    return _recording_of(stem_of(source), source.parent)


def _recording_of(name: str, place: Path) -> Path | None:
    """Find the recording of a name in a folder."""
    from levada.io import audio

    candidates = (place / f"{name}{suffix}" for suffix in sorted(audio.SUFFIXES))
    return place if place.is_file() else next((path for path in candidates if path.is_file()), None)


def _described(reading: Any) -> str:
    from levada.io.formats import CONVENTIONS, FORMATS

    about = FORMATS[reading.format].about if reading.format in FORMATS else "an array of numpy"
    return f"{about}, convention {reading.convention} ({CONVENTIONS.get(reading.convention, '')})"
