"""Separate a recording into files of its instruments, in constant memory.

The recording is read twice: to measure its level, and to separate it. Files have 16 bits if the recording has no more,
and 24 otherwise; samples are rounded so that the files sum to the recording exactly. A stem may be louder than the
mixture, where other stems cancel it: it is not clipped if the format can avoid it (wav and aiff then get floats).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError, quiet
from levada.io import audio
from levada.io.audio_backends import open_audio
from levada.io.containers import copy_broadcast
from levada.io.files import atomic_files, check_can_write
from levada.separation.masking import Decision, Progress, SeparatorLike, for_recording, level_of, matched
from levada.separation.stft import Stft

__all__ = ["SUFFIXES", "Separated", "outputs", "separate_file"]

Floats32 = npt.NDArray[np.float32]

SUFFIXES = (".wav", ".flac", ".aif", ".aiff")
"""Suffixes of the formats that stems can be written in."""
KEPT = {suffix: suffix for suffix in SUFFIXES} | {".w64": ".wav", ".caf": ".wav"}
FULL = {"PCM_16": 1 << 15, "PCM_24": 1 << 23}
SHORT = {"pcm_16", "pcm_s8", "pcm_u8", "alac_16", "ulaw", "alaw", "pcm_s16le", "pcm_s16be"}  # no more than 16 bits
HUGE = 200.0
BLOCK_S = 4.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Separated:
    """The files of a separated recording.

    Parameters
    ----------
    recording : Path
        The separated recording.
    files : mapping of str to Path
        Files by content: an instrument, or "without-surdo".
    rate : int
        In Hz.
    channels : int
    duration_s : float
    codec : str
        "PCM_16" of recordings of 16 bits or fewer, "PCM_24", or "FLOAT".
    decision : Decision, optional
        How the recording is separated, of a model that decides it for each recording.
    """

    recording: Path
    files: Mapping[str, Path]
    rate: int
    channels: int
    duration_s: float
    codec: str
    decision: Decision | None = None


@dataclass(frozen=True)
class _Properties:
    """Properties of the recording from the first reading."""

    rate: int
    channels: int
    length: int
    level: float
    peak: float


class _Clipped(Exception):
    """Some samples of a stem are beyond full scale, and cannot be written as integers."""


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
    """Separate a recording, and write a file for each instrument.

    Parameters
    ----------
    path : path-like
        The recording, of any rate and number of channels; the files have the same, and its level.
    separator : Separator
    out : path-like
        The folder of the files; it is created if it does not exist.
    only : sequence of str
        Write only these instruments.
    without : sequence of str
        Write the mixture without these as one file, for example to practise with. With `only`, both are written.
    force : bool
        Whether existing files may be replaced; the recording itself never is.
    progress : callable, optional
        Called with the seconds done and all seconds.
    suffix : str, optional
        Format of the files, one of `SUFFIXES`: by default that of the recording, or flac if that is lossy.

    Returns
    -------
    Separated

    Raises
    ------
    InputError
        If the recording cannot be read, the separator does not have an instrument, or the files cannot be written;
        then no file is written.
    """
    wanted = outputs(separator, only=only, without=without)
    source, folder = Path(path), Path(out)
    ending = _ending(source, suffix)
    with open_audio(path) as recording:
        rate, channels, codec = recording.rate, recording.channels, recording.codec
    _need_rate(source, rate)
    check_can_write(folder, [name + ending for name in wanted], source=source, force=force)
    properties = _measure(source, rate, channels)
    if ending == ".flac" and suffix is None and source.suffix.lower() != ".flac" and properties.peak > 1:
        ending = ".wav"  # a lossy recording decoded beyond full scale, which flac would clip
    chosen, decision = for_recording(separator, audio.read_blocks(source, block_s=BLOCK_S), rate)
    floats = ending != ".flac" and (properties.peak > 1 or codec.lower() in ("float", "double"))
    for kind in ["FLOAT"] if floats else ["PCM_16" if codec.lower() in SHORT else "PCM_24", "FLOAT"]:
        try:
            files = _write(source, chosen, folder, wanted, ending, properties, kind, force, progress)
        except _Clipped:
            continue
        return Separated(source, files, rate, channels, properties.length / rate, kind, decision)
    raise AssertionError("floats are never clipped")


def outputs(
    separator: SeparatorLike, *, only: Sequence[str] = (), without: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Return the names of the files to be written, without suffix, and the instruments in each.

    Raises
    ------
    InputError
        If the separator does not have an instrument, or nothing is left of the mixture.
    """
    instruments = separator.instruments
    alone = tuple(dict.fromkeys(_match(name, separator) for name in only))
    muted = tuple(dict.fromkeys(_match(name, separator) for name in without))
    rest = tuple(name for name in instruments if name not in muted)
    if not rest:
        raise InputError(f"nothing is left without {', '.join(muted)}: {separator.name} has no other stem")
    files: dict[str, tuple[str, ...]] = {name: (name,) for name in (alone if only or without else instruments)}
    if muted:
        files[f"without-{'-'.join(muted)}"] = rest
    safe = {re.sub(r'[/\\:*?"<>|\x00-\x1f]+', "-", name).lstrip(".") or "stem": group for name, group in files.items()}
    if len(safe) < len(files):
        raise InputError(f"some of {', '.join(files)} would have files of the same name")
    return safe


def _match(name: str, separator: SeparatorLike) -> str:
    instrument = matched(name, separator.instruments)
    if instrument is None:
        stems = ", ".join(separator.instruments)
        raise InputError(f"{separator.name} has no stem of {name!r}: its stems are {stems}")
    return instrument


def _ending(source: Path, suffix: str | None) -> str:
    if suffix is None:
        return KEPT.get(source.suffix.lower(), ".flac")
    ending = suffix.lower() if suffix.startswith(".") else f".{suffix.lower()}"
    if ending not in SUFFIXES:
        raise InputError(f"stems cannot be written as {suffix!r}: use a lossless format, {', '.join(SUFFIXES)}")
    return ending


def _need_rate(source: Path, rate: int) -> None:
    try:
        Stft(rate)
    except InputError as error:
        raise InputError(error.problem, path=source) from None


def _measure(source: Path, rate: int, channels: int) -> _Properties:
    """Measure the length, the level and the peak of a recording."""
    length, peak = 0, 0.0

    def counted() -> Iterator[Floats32]:
        nonlocal length, peak
        for piece in audio.read_blocks(source, block_s=BLOCK_S):
            length += piece.shape[1]
            peak = max(peak, float(piece.max()), -float(piece.min()))
            yield piece

    level = level_of(counted(), rate)
    return _Properties(rate, channels, length, level, peak)


def _write(
    source: Path,
    separator: SeparatorLike,
    folder: Path,
    wanted: Mapping[str, tuple[str, ...]],
    ending: str,
    properties: _Properties,
    kind: str,
    force: bool,
    progress: Progress | None,
) -> dict[str, Path]:
    """Separate into a temporary folder, and move all files in place at the end."""
    names = {name: name + ending for name in wanted}
    instruments = [name for group in wanted.values() for name in group]
    whole = sorted(instruments) == sorted(separator.instruments)  # the files sum to the mixture
    rate, n_clipped, done = properties.rate, 0, 0
    with atomic_files(folder, list(names.values()), source=source, force=force) as temporary:
        with ExitStack() as stack, quiet("levada.io.audio_backends"):  # which warned in the first reading
            writers = [
                stack.enter_context(
                    audio.open_writer(
                        temporary / name, rate=rate, channels=properties.channels, codec=kind,
                        length=properties.length, named=folder / name,
                    )
                )
                for name in names.values()
            ]  # fmt: skip
            pieces = audio.read_blocks(source, block_s=BLOCK_S)
            for stems in separator.stream(pieces, rate, level=properties.level):
                sounds = [_sum(stems[name] for name in group) for group in wanted.values()]
                if kind in FULL:
                    sounds, clipped = _rounded(sounds, FULL[kind], exact=whole)
                    if clipped and ending != ".flac":
                        raise _Clipped
                    n_clipped += clipped
                for write, sound in zip(writers, sounds, strict=True):
                    write(sound)
                done += sounds[0].shape[1]
                if progress is not None:
                    progress(round(done / rate), round(properties.length / rate))
        if ending == ".wav":
            for name in names.values():
                copy_broadcast(source, temporary / name)
    if n_clipped:
        _log.warning(
            "%s: %d samples of stems are beyond full scale, which flac cannot represent: the excess is in the other "
            "files; --suffix .wav avoids this", source, n_clipped,
        )  # fmt: skip
    return {name: folder / file for name, file in names.items()}


def _sum(stems: Iterable[Floats32]) -> Floats32:
    first, *others = stems
    return first if not others else np.sum([first, *others], axis=0, dtype=np.float32)


def _rounded(sounds: Sequence[Floats32], full: int, *, exact: bool) -> tuple[list[Any], int]:
    """Return samples as integers up to `full`, and how many are clipped; if exact, they sum to the rounded sum."""
    wide = [np.rint(np.clip(sound, -HUGE, HUGE) * np.float32(full)).astype(np.int32) for sound in sounds]
    n_clipped = sum(int(np.count_nonzero(np.abs(sound) > full)) for sound in wide)
    clipped = [np.clip(sound, -full, full - 1) for sound in wide]
    if exact:
        total = np.rint(np.clip(_sum(sounds), -1, 1) * np.float32(full)).astype(np.int32)
        rest = np.minimum(total, full - 1) - np.sum(clipped, axis=0, dtype=np.int32)
        for number in reversed(range(len(clipped))):
            if not rest.any():
                break
            fuller = np.clip(clipped[number] + rest, -full, full - 1)
            rest -= fuller - clipped[number]
            clipped[number] = fuller
    return clipped, n_clipped
