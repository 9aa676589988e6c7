"""A recording becomes files of its instruments, in memory that does not grow with its length.

It is read twice: once for its level, and once to be taken apart. Files have 16 bits where the recording has no more,
and 24 otherwise; samples are rounded so that the files sum to the recording exactly. A stem may be louder than the
mixture, where others cancel it: it is never cut if its file can hold it (wav and aiff then get floating point).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.io import audio
from levada.io.audio_backends import open_audio
from levada.io.containers import copy_broadcast
from levada.io.files import atomic_files, check_can_write
from levada.separation.masking import Progress, SeparatorLike, level_of, matched
from levada.separation.stft import Stft

__all__ = ["SUFFIXES", "Separated", "outputs", "separate_file"]

Floats32 = npt.NDArray[np.float32]
Write = Callable[[npt.NDArray[Any]], None]

SUFFIXES = (".wav", ".flac", ".aif", ".aiff")
"""Of the files that stems can be written as."""
KEPT = {suffix: suffix for suffix in SUFFIXES} | {".w64": ".wav", ".caf": ".wav"}
FULL = {"PCM_16": 1 << 15, "PCM_24": 1 << 23}
SHORT = {"pcm_16", "pcm_s8", "pcm_u8", "alac_16", "ulaw", "alaw", "pcm_s16le", "pcm_s16be"}  # no more than 16 bits
HUGE = 200.0
BLOCK_S = 4.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Separated:
    """What was written.

    Parameters
    ----------
    recording : Path
        What was taken apart.
    files : mapping of str to Path
        Each file by what it holds: an instrument, or "without-surdo".
    rate : int
        In Hz.
    channels : int
    duration_s : float
    codec : str
        "PCM_16" of recordings of 16 bits or fewer, "PCM_24", or "FLOAT".
    """

    recording: Path
    files: Mapping[str, Path]
    rate: int
    channels: int
    duration_s: float
    codec: str


@dataclass(frozen=True)
class _Heard:
    """What the first hearing tells."""

    rate: int
    channels: int
    codec: str
    length: int
    level: float
    peak: float


class _Beyond(Exception):
    """A stem that does not fit into integers."""


def separate_file(
    path: str | Path,
    separator: SeparatorLike,
    out: str | Path,
    *,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    force: bool = False,
    progress: Progress | None = None,
    suffix: str | None = None,
) -> Separated:
    """Write the instruments of a recording, a file each.

    Parameters
    ----------
    path : path-like
        The recording, of any rate and number of channels; the files have the same, and its level.
    separator : Separator
    out : path-like
        The folder of the files; it is made if it does not exist.
    only : sequence of str
        Write these instruments alone.
    without : sequence of str
        Write the mixture without these, as one file: to practise with. Together with `only`, both are written.
    force : bool
        Whether files that exist may be replaced; never the recording itself.
    progress : callable, optional
        Told how many seconds are done, and of how many.
    suffix : str, optional
        Format of the files, one of `SUFFIXES`: the recording's own by default, flac for what is not lossless.

    Returns
    -------
    Separated

    Raises
    ------
    InputError
        If the recording cannot be read, the separator does not know an instrument, or the files cannot be written:
        then nothing is.
    """
    wanted = outputs(separator, only=only, without=without)
    source, folder = Path(path), Path(out)
    ending = _ending(source, suffix)
    with open_audio(path) as recording:
        rate, channels, codec = recording.rate, recording.channels, recording.codec
    _need_rate(source, rate)
    check_can_write(folder, [name + ending for name in wanted], source=source, force=force)
    heard = _hear(source, rate, channels, codec)
    if ending == ".flac" and suffix is None and source.suffix.lower() != ".flac" and heard.peak > 1:
        ending = ".wav"  # what a lossy recording was decoded to is beyond full scale, and flac would cut it
    floats = ending != ".flac" and (heard.peak > 1 or codec.lower() in ("float", "double"))
    for kind in ["FLOAT"] if floats else ["PCM_16" if codec.lower() in SHORT else "PCM_24", "FLOAT"]:
        try:
            files = _write(source, separator, folder, wanted, ending, heard, kind, force, progress)
        except _Beyond:
            continue
        return Separated(source, files, rate, channels, heard.length / rate, kind)
    raise AssertionError("floating point holds everything")


def outputs(
    separator: SeparatorLike, *, only: Sequence[str] = (), without: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Name the files that are to be written, without suffix, and the instruments in each.

    Raises
    ------
    InputError
        If the separator does not know an instrument, or nothing is left of the mixture.
    """
    known = separator.instruments
    alone = tuple(dict.fromkeys(_known(name, separator) for name in only))
    muted = tuple(dict.fromkeys(_known(name, separator) for name in without))
    rest = tuple(name for name in known if name not in muted)
    if not rest:
        raise InputError(f"nothing is left without {', '.join(muted)}: it is all that {separator.name} tells apart")
    files: dict[str, tuple[str, ...]] = {name: (name,) for name in (alone if only or without else known)}
    if muted:
        files[f"without-{'-'.join(muted)}"] = rest
    safe = {re.sub(r'[/\\:*?"<>|\x00-\x1f]+', "-", name).lstrip(".") or "stem": group for name, group in files.items()}
    if len(safe) < len(files):
        raise InputError(f"some of {', '.join(files)} would have files of the same name")
    return safe


def _known(name: str, separator: SeparatorLike) -> str:
    found = matched(name, separator.instruments)
    if found is None:
        known = ", ".join(separator.instruments)
        raise InputError(f"{separator.name} does not know the instrument {name!r}: it tells apart {known}")
    return found


def _ending(source: Path, suffix: str | None) -> str:
    if suffix is None:
        return KEPT.get(source.suffix.lower(), ".flac")
    ending = suffix.lower() if suffix.startswith(".") else f".{suffix.lower()}"
    if ending not in SUFFIXES:
        raise InputError(f"stems are written as {', '.join(SUFFIXES)}, which lose nothing, and not as {suffix}")
    return ending


def _need_rate(source: Path, rate: int) -> None:
    try:
        Stft(rate)
    except InputError as error:
        raise InputError(error.problem, path=source) from None


def _hear(source: Path, rate: int, channels: int, codec: str) -> _Heard:
    length, peak = 0, 0.0

    def counted() -> Iterator[Floats32]:
        nonlocal length, peak
        for piece in audio.read_blocks(source, block_s=BLOCK_S):
            length += piece.shape[1]
            peak = max(peak, float(piece.max()), -float(piece.min()))
            yield piece

    level = level_of(counted(), rate)
    return _Heard(rate, channels, codec, length, level, peak)


def _copy_broadcast(source: Path, files: Sequence[Path]) -> None:
    for file in files:
        if file.exists():
            copy_broadcast(source, file)


def _write(
    source: Path,
    separator: SeparatorLike,
    folder: Path,
    wanted: Mapping[str, tuple[str, ...]],
    ending: str,
    heard: _Heard,
    kind: str,
    force: bool,
    progress: Progress | None,
) -> dict[str, Path]:
    """Take it apart into a temporary folder; its files appear all at the end."""
    names = {name: name + ending for name in wanted}
    instruments = [name for group in wanted.values() for name in group]
    whole = sorted(instruments) == sorted(separator.instruments)  # the files sum to the mixture
    cut = done = 0
    lent = atomic_files(folder, list(names.values()), source=source, force=force)
    with lent as temporary, ExitStack() as stack, _said_before():
        if ending == ".wav":
            stack.callback(_copy_broadcast, source, [temporary / name for name in names.values()])  # after the writers
        writers: list[Write] = [
            stack.enter_context(
                audio.open_writer(
                    temporary / name, rate=heard.rate, channels=heard.channels, codec=kind, length=heard.length,
                    named=folder / name,
                )
            )
            for name in names.values()
        ]  # fmt: skip
        pieces = audio.read_blocks(source, block_s=BLOCK_S)
        for stems in separator.stream(pieces, heard.rate, level=heard.level):
            sounds = [_sum(stems[name] for name in group) for group in wanted.values()]
            if kind in FULL:
                sounds, beyond = _rounded(sounds, FULL[kind], exact=whole)
                if beyond and ending != ".flac":
                    raise _Beyond
                cut += beyond
            for write, sound in zip(writers, sounds, strict=True):
                write(sound)
            done += sounds[0].shape[1]
            if progress is not None:
                progress(round(done / heard.rate), round(heard.length / heard.rate))
    if cut:
        _log.warning(
            "%s: %d samples of stems are beyond full scale, which flac cannot hold: what is beyond is in the other "
            "files; --suffix .wav keeps it in place", source, cut,
        )  # fmt: skip
    return {name: folder / file for name, file in names.items()}


def _sum(stems: Iterable[Floats32]) -> Floats32:
    first, *others = stems
    return first if not others else np.sum([first, *others], axis=0, dtype=np.float32)


def _rounded(sounds: Sequence[Floats32], full: int, *, exact: bool) -> tuple[list[Any], int]:
    """Samples as integers up to `full`, and how many do not fit; if exact, they sum to the rounded sum of all."""
    wide = [np.rint(np.clip(sound, -HUGE, HUGE) * np.float32(full)).astype(np.int32) for sound in sounds]
    beyond = sum(int(np.count_nonzero(np.abs(sound) > full)) for sound in wide)
    held = [np.clip(sound, -full, full - 1) for sound in wide]
    if exact:
        total = np.rint(np.clip(_sum(sounds), -1, 1) * np.float32(full)).astype(np.int32)
        rest = np.minimum(total, full - 1) - np.sum(held, axis=0, dtype=np.int32)
        for number in reversed(range(len(held))):
            if not rest.any():
                break
            fuller = np.clip(held[number] + rest, -full, full - 1)
            rest -= fuller - held[number]
            held[number] = fuller
    return held, beyond


@contextmanager
def _said_before() -> Iterator[None]:
    """Keep what was said of a recording when it was heard first from being said again."""
    log = logging.getLogger("levada.io.audio_backends")

    def silent(_: logging.LogRecord) -> bool:
        return False

    log.addFilter(silent)
    try:
        yield
    finally:
        log.removeFilter(silent)
