"""Separate a recording into files of its instruments, in constant memory.

The recording is read twice: to measure its level, and to separate it. Files have 16 bits if the recording has no more,
and 24 otherwise; samples are rounded so that the files sum to the recording exactly. A stem may be louder than the
mixture, where other stems cancel it: it is not clipped if the format can avoid it (wav and aiff then get floats).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError, quiet
from levada.io import audio
from levada.io.audio_backends import open_audio
from levada.io.containers import copy_broadcast
from levada.io.files import atomic_files, check_can_write
from levada.separation.activity import LIKELY, estimate_activity
from levada.separation.masking import Decision, Progress, SeparatorLike, for_recording, level_of, matched
from levada.separation.practice_mix import PracticeMix
from levada.separation.reaper import reaper_project
from levada.separation.stft import Stft

__all__ = ["SUFFIXES", "Separated", "outputs", "separate_file"]

Floats32 = npt.NDArray[np.float32]

SUFFIXES = (".wav", ".flac", ".aif", ".aiff")
"""Suffixes of the formats that stems can be written in."""
KEPT = {suffix: suffix for suffix in SUFFIXES} | {".w64": ".wav", ".caf": ".wav"}
FULL = {"PCM_16": 1 << 15, "PCM_24": 1 << 23}
SHORT = {"pcm_16", "pcm_s8", "pcm_u8", "alac_16", "ulaw", "alaw", "pcm_s16le", "pcm_s16be"}  # no more than 16 bits
HUGE = 200.0
MULTICHANNEL, PROJECT = "stems", ".rpp"
FLAC_CHANNELS = 8
LEVELS_DB = (-100.0, 24.0)
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
        Files by content: an instrument, "without-surdo", "mix-surdo-12dB", "stems" for all in the channels of one
        file, or "project".
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
    left_db: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Of each mix with reduced instruments, the estimated level of each of them relative to the recording."""
    activity: Mapping[str, float] = field(default_factory=dict)
    """Where this was estimated, the confidence that each instrument plays."""


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
    levels: Mapping[str, float] | None = None,
    harder: bool = False,
    multichannel: bool = False,
    reaper: bool = False,
    active: bool = False,
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
    levels : mapping of str to float, optional
        Write the mixture with these instruments at other levels, in dB relative to the recording, as one file.
    harder : bool
        Whether to take more of what is reduced in mixes, at the cost of the other instruments.
    multichannel : bool
        Write all instruments into one file, in the order of their names in the separator, each with the channels of the
        recording.
    reaper : bool
        Write a project of Reaper with a track for each instrument, with its fader at its level in `levels`.
    active : bool
        Whether to separate only the instruments that seem to play (see `levada.separation.activity`), and those that
        are named in the other arguments. All, where none seems to.
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
    wanted = outputs(separator, only=only, without=without, levels=levels, reaper=reaper)
    confidence: dict[str, float] = {}
    if active:
        confidence = estimate_activity(path, separator)
        named = {_match(name, separator) for name in (*only, *without, *(levels or {}))}
        separator = _active(separator, confidence, named)
        wanted = outputs(separator, only=only, without=without, levels=levels, reaper=reaper)
    if multichannel and reaper:
        raise InputError("a project needs a file for each instrument: leave out multichannel or reaper")
    source, folder = Path(path), Path(out)
    ending = _ending(source, suffix)
    with open_audio(path) as recording:
        rate, channels, codec = recording.rate, recording.channels, recording.codec
    _need_rate(source, rate)
    files = _file_names(wanted, multichannel=multichannel)
    if ending == ".flac" and suffix is None and max(map(len, files.values())) * channels > FLAC_CHANNELS:
        ending = ".wav"
    project = f"{source.stem}{PROJECT}" if reaper else ""
    check_can_write(folder, [*(name + ending for name in files), *filter(None, [project])], source=source, force=force)
    properties = _measure(source, rate, channels)
    if ending == ".flac" and suffix is None and source.suffix.lower() != ".flac" and properties.peak > 1:
        ending = ".wav"  # a lossy recording decoded beyond full scale, which flac would clip
    chosen, decision = for_recording(separator, audio.read_blocks(source, block_s=BLOCK_S), rate)
    floats = ending != ".flac" and (properties.peak > 1 or codec.lower() in ("float", "double"))
    mixes = {name: PracticeMix(gains, harder=harder) for name, gains in wanted.items() if len(gains) > 1}
    for kind in ["FLOAT"] if floats else ["PCM_16" if codec.lower() in SHORT else "PCM_24", "FLOAT"]:
        plan = _Plan(
            source, folder, wanted, files, {name: replace(mix) for name, mix in mixes.items()}, ending, project
        )
        try:
            written = _write(plan, chosen, properties, kind, force, progress)
        except _Clipped:
            continue
        left = {name: mix.left_db for name, mix in plan.mixes.items() if mix.reduced}
        return Separated(source, written, rate, channels, properties.length / rate, kind, decision, left, confidence)
    raise AssertionError("floats are never clipped")


def _active(separator: SeparatorLike, confidence: Mapping[str, float], named: Collection[str]) -> SeparatorLike:
    """Return the separator of the instruments that seem to play and of those that are named, if there are two."""
    playing = [name for name in separator.instruments if confidence[name] >= LIKELY or name in named]
    restrict = getattr(separator, "restricted", None)
    likely = any(confidence[name] >= LIKELY for name in playing)
    if restrict is None or not likely or len(playing) == len(separator.instruments):
        return separator
    restricted: SeparatorLike = restrict(playing)
    return restricted


def outputs(
    separator: SeparatorLike,
    *,
    only: Sequence[str] = (),
    without: Sequence[str] = (),
    levels: Mapping[str, float] | None = None,
    reaper: bool = False,
) -> dict[str, dict[str, float]]:
    """Return what is to be written: its name, and the gain of each instrument in it.

    Parameters
    ----------
    separator : SeparatorLike
    only, without, levels, reaper
        As in `separate_file`.

    Returns
    -------
    dict of str to dict of str to float
        A single stem has one instrument; a mix has all of them.

    Raises
    ------
    InputError
        If the separator does not have an instrument, a level is out of range, or nothing is left of the mixture.
    """
    instruments = separator.instruments
    alone = tuple(dict.fromkeys(_match(name, separator) for name in only))
    muted = tuple(dict.fromkeys(_match(name, separator) for name in without))
    levels_db = {_match(name, separator): _level(name, level) for name, level in (levels or {}).items()}
    if len(muted) == len(instruments):
        raise InputError(f"nothing is left without {', '.join(muted)}: {separator.name} has no other stem")
    stems = alone if only or ((without or levels) and not reaper) else instruments
    wanted = {name: {name: 1.0} for name in stems}
    if muted:
        wanted[f"without-{'-'.join(muted)}"] = {name: float(name not in muted) for name in instruments}
    if levels_db:
        gains = {name: 10 ** (levels_db.get(name, 0.0) / 20) for name in instruments}
        wanted[f"mix-{'-'.join(f'{name}{level:+g}dB' for name, level in levels_db.items())}"] = gains
    safe = {re.sub(r'[/\\:*?"<>|\x00-\x1f]+', "-", name).lstrip(".") or "stem": one for name, one in wanted.items()}
    if len(safe) < len(wanted):
        raise InputError(f"some of {', '.join(wanted)} would have files of the same name")
    return safe


def _level(name: str, level: float) -> float:
    low, high = LEVELS_DB
    if not low <= level <= high:
        raise InputError(f"the level of {name} must be from {low:g} to {high:g} dB, not {level:g}")
    return float(level)


def _file_names(wanted: Mapping[str, Mapping[str, float]], *, multichannel: bool) -> dict[str, list[str]]:
    """Return the names of the files, without suffix, and what is in the channels of each."""
    if not multichannel:
        return {name: [name] for name in wanted}
    single = [name for name, gains in wanted.items() if len(gains) == 1]
    return ({MULTICHANNEL: single} if single else {}) | {name: [name] for name in wanted if name not in single}


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


@dataclass(frozen=True)
class _Plan:
    """The files of a recording that are to be written."""

    source: Path
    folder: Path
    wanted: Mapping[str, Mapping[str, float]]  # content -> gain of each instrument
    files: Mapping[str, Sequence[str]]  # name of a file -> its contents
    mixes: Mapping[str, PracticeMix]  # of the contents that are mixes
    ending: str
    project: str  # name of the project, if there is one

    @property
    def paths(self) -> dict[str, str]:
        """Names of files with suffix by their names."""
        return {name: name + self.ending for name in self.files}


def _write(
    plan: _Plan,
    separator: SeparatorLike,
    properties: _Properties,
    kind: str,
    force: bool,
    progress: Progress | None,
) -> dict[str, Path]:
    """Separate into a temporary folder, and move all files in place at the end."""
    rate, n_clipped, done = properties.rate, 0, 0
    names = [*plan.paths.values(), *filter(None, [plan.project])]
    with atomic_files(plan.folder, names, source=plan.source, force=force) as temporary:
        with ExitStack() as stack, quiet("levada.io.audio_backends"):  # which warned in the first reading
            writers = {
                name: stack.enter_context(
                    audio.open_writer(
                        temporary / file, rate=rate, channels=properties.channels * len(plan.files[name]), codec=kind,
                        length=properties.length, named=plan.folder / file,
                    )
                )
                for name, file in plan.paths.items()
            }  # fmt: skip
            pieces = audio.read_blocks(plan.source, block_s=BLOCK_S)
            stream = separator.stream(pieces, rate, level=properties.level)
            for sounds in _contents(plan, stream, rate):
                if kind in FULL:
                    sounds, clipped = _as_integers(plan, separator, sounds, FULL[kind])
                    if clipped and plan.ending != ".flac":
                        raise _Clipped
                    n_clipped += clipped
                for name, contents in plan.files.items():
                    found = [sounds[one] for one in contents if one in sounds]
                    if found:
                        writers[name](found[0] if len(found) == 1 else np.concatenate(found))
                done += max((sound.shape[1] for name, sound in sounds.items() if name not in plan.mixes), default=0)
                if progress is not None:
                    progress(round(done / rate), round(properties.length / rate))
        if plan.ending == ".wav":
            for file in plan.paths.values():
                copy_broadcast(plan.source, temporary / file)
        files = {name: plan.folder / file for name, file in plan.paths.items()}
        if plan.project:
            text = _project(plan, files, properties)
            (temporary / plan.project).write_text(text, encoding="utf-8")
            files["project"] = plan.folder / plan.project
    if n_clipped:
        _log.warning(
            "%s: %d samples of stems are beyond full scale, which flac cannot represent: the excess is in the other "
            "files; --suffix .wav avoids this", plan.source, n_clipped,
        )  # fmt: skip
    return files


def _contents(plan: _Plan, stream: Iterator[dict[str, Floats32]], rate: int) -> Iterator[dict[str, Floats32]]:
    """Yield consecutive pieces of all contents. Mixes that are suppressed harder lag behind the others."""
    computed = {name: mix for name, mix in plan.mixes.items() if mix.reduced}
    first, *others = audio.tee(stream, 1 + len(computed))
    mixed = {name: mix.mix(part, rate) for (name, mix), part in zip(computed.items(), others, strict=True)}
    late = {name for name, mix in computed.items() if mix.harder}
    for stems in chain(first, [None]):
        sounds = {} if stems is None else {
            name: _sum(stems, gains) for name, gains in plan.wanted.items() if name not in late
        }  # fmt: skip
        for name, pieces in mixed.items():
            piece = [*pieces] if stems is None else [*islice(pieces, 1)]
            if name in late and piece:
                sounds[name] = np.concatenate(piece, axis=1)
        if sounds:
            yield sounds


def _project(plan: _Plan, files: Mapping[str, Path], properties: _Properties) -> str:
    faders = {name: gain for mix in plan.mixes.values() for name, gain in mix.gains.items()}
    tracks = {name: files[name] for name, gains in plan.wanted.items() if len(gains) == 1}
    gains = {name: faders.get(next(iter(plan.wanted[name])), 1.0) for name in tracks}
    duration_s = properties.length / properties.rate
    return reaper_project(tracks, rate=properties.rate, duration_s=duration_s, gains=gains)


def _sum(stems: Mapping[str, Floats32], gains: Mapping[str, float]) -> Floats32:
    scaled = [stems[name] if gain == 1 else np.float32(gain) * stems[name] for name, gain in gains.items() if gain]
    return scaled[0] if len(scaled) == 1 else np.sum(scaled, axis=0, dtype=np.float32)


def _as_integers(
    plan: _Plan, separator: SeparatorLike, sounds: Mapping[str, Floats32], full: int
) -> tuple[dict[str, Any], int]:
    """Round samples to integers; contents that hold each instrument once, together, sum to the rounded recording."""
    parts = [name for name in sounds if set(plan.wanted[name].values()) <= {0.0, 1.0} and not _is_harder(plan, name)]
    held = [one for name in parts for one, gain in plan.wanted[name].items() if gain]
    exact = sorted(held) == sorted(separator.instruments)
    rounded, n_clipped = _rounded([sounds[name] for name in parts], full, exact=exact)
    integers = dict(zip(parts, rounded, strict=True))
    for name in sounds.keys() - integers.keys():
        (integers[name],), clipped = _rounded([sounds[name]], full, exact=False)
        n_clipped += clipped
    return integers, n_clipped


def _is_harder(plan: _Plan, name: str) -> bool:
    return name in plan.mixes and plan.mixes[name].harder


def _rounded(sounds: Sequence[Floats32], full: int, *, exact: bool) -> tuple[list[Any], int]:
    """Return samples as integers up to `full`, and how many are clipped; if exact, they sum to the rounded sum."""
    clipped, n_clipped = list[Any](), 0
    for sound in sounds:
        wide = np.rint(np.clip(sound, -HUGE, HUGE) * np.float32(full)).astype(np.int32)
        n_clipped += int(np.count_nonzero(np.abs(wide) > full))
        clipped.append(np.clip(wide, -full, full - 1, out=wide))
    if exact:
        total = np.rint(np.clip(np.sum(sounds, axis=0, dtype=np.float32), -1, 1) * np.float32(full)).astype(np.int32)
        rest = np.minimum(total, full - 1) - np.sum(clipped, axis=0, dtype=np.int32)
        for number in reversed(range(len(clipped))):
            if not rest.any():
                break
            fuller = np.clip(clipped[number] + rest, -full, full - 1)
            rest -= fuller - clipped[number]
            clipped[number] = fuller
    return clipped, n_clipped
