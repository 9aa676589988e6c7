"""Rendered corpora: synthetic recordings of a tradition, with exact beats and stems.

Each recording has its own ensemble, tempo, instruments and room, and is a group of its own. Beside ``NAME-001.wav``
lie its beats, ``NAME-001.beats``, and what each part plays alone, ``NAME-001.stems/PART.wav``, before the room but as
loud as in the mixture. Multitracks, to learn separation from, are folders: ``NAME-001/mixture.wav``, its beats, and a
file an instrument, in the room and as they sum to the mixture. The manifest (`levada.io.run_folder`) lists what was
rendered, so that an interrupted run can go on.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.io import audio
from levada.io.files import temporary_path, wrap_errors
from levada.io.formats import write_beats
from levada.io.run_folder import RunFolder
from levada.io.workers import process_pool
from levada.synth.instruments import STRUCK, InstrumentSource, mix_sources, synthesise
from levada.synth.instruments.altered import altered
from levada.synth.render import render
from levada.synth.render import render_multitrack as render_multitrack
from levada.synth.strokes import SUFFIXES as STROKE_SUFFIXES
from levada.synth.strokes import write_strokes
from levada.synth.traditions import Tradition
from levada.version import __version__

__all__ = ["ALTERED", "SYNTHESISED", "Rendered", "render_corpus", "sounds_digest", "sounds_of"]

Floats32 = npt.NDArray[np.float32]

_log = logging.getLogger(__name__)

SYNTHESISED, ALTERED = "synthesised", "altered:"
LICENCE = "CC0-1.0"
"""Of what is rendered with levada's own sounds."""
TOML, MIXTURE, STROKES = "corpus.toml", "mixture.wav", "strokes"
USUAL_S, LEAST_S, MOST_S = 60.0, 2.0, 900.0
MOST_MINUTES = 10_000.0
WORTH_A_PROCESS_S = 120.0  # of music: below that, starting another one costs more than it saves


@dataclass(frozen=True)
class Rendered:
    """The result of a run.

    Parameters
    ----------
    folder : Path
    written, kept : tuple of Path
        Recordings that were rendered now, and those that an earlier run had finished.
    """

    folder: Path
    written: tuple[Path, ...]
    kept: tuple[Path, ...]


@dataclass(frozen=True)
class _Job:
    """One recording to render, as it is sent to a process."""

    item: str
    target: Path  # its final path
    scratch: Path  # the folder it is rendered in, with paths as in the corpus
    tradition: Tradition
    length_s: float
    seed: tuple[int, int]
    sounds: str
    multitrack: bool = False
    strokes: str = ""  # format of the files of strokes; none without


def render_corpus(
    folder: str | Path,
    tradition: Tradition,
    *,
    minutes: float,
    recordings: int | None = None,
    seed: int = 0,
    sounds: str = SYNTHESISED,
    multitrack: bool = False,
    strokes: str = "",
    force: bool = False,
    processes: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Rendered:
    """Render a corpus; a run that was interrupted goes on where it was.

    Parameters
    ----------
    folder : path-like
        A new or an empty folder, or that of the same run.
    tradition : Tradition
    minutes : float
        Of all recordings together.
    recordings : int, optional
        Number of recordings; by default they last about a minute each.
    seed : int
        The same seed gives the same bytes.
    sounds : str
        "synthesised", "altered:SEED", a SoundFont, or one-shots (a folder, or a TOML file); see `sounds_of`.
    multitrack : bool
        Render every instrument by itself, in the room, for separation; without ambience.
    strokes : str
        "csv", "midi" or "jams": write what is struck in each stem, too (`levada.synth.strokes.write_strokes`), into
        the folder ``strokes`` beside the stems.
    force : bool
        Whether the recordings of another run there may be replaced. Nothing else in the folder is touched.
    processes : int
        Recordings rendered at the same time.
    progress : callable, optional
        Called with the number of recordings that are done, and of all.

    Returns
    -------
    Rendered

    Raises
    ------
    InputError
        If the lengths make no sense, the one-shots are of other instruments, the folder holds something else, or a file
        cannot be written: what is finished is kept, and nothing is left half done.
    """
    count = _count(minutes, recordings)
    if not 0 <= seed < 2**63:
        raise InputError(f"a seed must be a whole number that is not negative, not {seed}")
    sounds_of(sounds)  # raises errors early
    if not _is_synthesised(sounds) and _has_one_shots(sounds):
        _check_one_shots(sounds, tradition)
    folder = Path(folder)
    if strokes and strokes not in STROKE_SUFFIXES:
        raise InputError(f"strokes are written as {', '.join(STROKE_SUFFIXES)}, not {strokes}")
    run = _config(tradition, minutes, count, seed, sounds, multitrack) | ({"strokes": strokes} if strokes else {})
    with (
        RunFolder.acquire(folder, kind="rendered recordings", config=run, force=force) as held,
        _scratch(folder) as scratch,
    ):
        items = [f"{run['tradition']}-{number:03}" for number in range(1, count + 1)]
        ending = f"/{MIXTURE}" if multitrack else ".wav"
        jobs = [
            _Job(
                item,
                target=folder / f"{item}{ending}",
                scratch=scratch / item,
                tradition=tradition,
                length_s=60 * minutes / count,
                seed=(seed, number),
                sounds=sounds,
                multitrack=multitrack,
                strokes=strokes,
            )
            for number, item in enumerate(items, start=1)
        ]
        kept = [job for job in jobs if not force and held.is_done(job.item)]
        todo = [job for job in jobs if job not in kept]
        for job in todo:
            held.need_replaceable([job.target.relative_to(folder).as_posix(), *held.edited(job.item)])
        held.write_text(TOML, _corpus_toml(tradition, sounds, seed))
        written: list[Path] = []
        try:
            for job in _render_all(todo, processes if len(todo) * jobs[0].length_s > WORTH_A_PROCESS_S else 1):
                with held.writing(job.item) as temporary:
                    for part in job.scratch.iterdir():
                        part.rename(temporary / part.name)
                written.append(job.target)
                if progress is not None:
                    progress(len(kept) + len(written), count)
        except InputError as error:
            done = len(kept) + len(written)
            progress_text = f"finished and kept: {done} of {count} recordings; the same command goes on with the others"
            raise InputError(f"{error.problem.rstrip('?')}; {progress_text}", path=error.path) from None
        held.remove_others([TOML, *items])
    return Rendered(folder, tuple(sorted(written)), tuple(job.target for job in kept))


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Make a folder on the same disk to render in, and remove it afterwards."""
    scratch = temporary_path(folder / "rendered")
    scratch.mkdir()
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


@lru_cache(maxsize=2)
def sounds_of(name: str) -> InstrumentSource:
    """Return sounds by name; what a source lacks is synthesised.

    Parameters
    ----------
    name : str
        "synthesised"; "altered:7", the same with instruments that the seed 7 alters (other sizes, dampings and
        bodies, for tests on sounds that no training has); the path or the name of a SoundFont; or a folder of
        one-shots, or a TOML file that names them (`levada.synth.instruments.one_shots`).

    Raises
    ------
    InputError
        If there is no such SoundFont or folder, or the seed is no whole number.
    """
    if name == SYNTHESISED:
        return synthesise
    if name.startswith(ALTERED):
        seed = name.removeprefix(ALTERED)
        if not seed.isdecimal():
            raise InputError(f"sounds that are altered have a seed, such as {ALTERED}7, not {name!r}")
        return partial(altered, int(seed))
    if _has_one_shots(name):
        from levada.synth.instruments.one_shots import OneShots

        found: InstrumentSource = OneShots(Path(name))
    else:
        from levada.synth.instruments.soundfont import SoundFont, find_soundfont

        found = SoundFont(find_soundfont(name))
    return mix_sources([(1.0, found), (0.0, synthesise)])


def sounds_digest(name: str) -> str:
    """Compute a digest of what `sounds_of` reads; that of synthesised sounds is empty."""
    if _is_synthesised(name):
        return ""
    if _has_one_shots(name):
        from levada.synth.instruments.one_shots import one_shots_digest

        return one_shots_digest(name)
    from levada.synth.instruments.soundfont import find_soundfont

    return audio.content_hash(find_soundfont(name))


def _has_one_shots(name: str) -> bool:
    return Path(name).is_dir() or name.lower().endswith(".toml")


def _check_one_shots(name: str, tradition: Tradition) -> None:
    """Log which struck instruments of a tradition have no recorded strokes; none of them having any is an error."""
    from levada.synth.instruments.one_shots import OneShots

    recorded = OneShots(Path(name)).voices
    voices = dict.fromkeys(part.voice for part in tradition.instruments if part.voice in STRUCK)
    missing = ", ".join(voice for voice in voices if voice not in recorded)
    if not voices.keys() & set(recorded):
        problem = f"has strokes of {', '.join(recorded)}, and none of what {tradition.title or tradition.name} has"
        raise InputError(f"{problem}: {missing}", path=name)
    if missing:
        _log.warning("%s has no strokes of %s: these are synthesised", name, missing)


def _is_synthesised(name: str) -> bool:
    return name == SYNTHESISED or name.startswith(ALTERED)


def _count(minutes: float, recordings: int | None) -> int:
    if not 0 < minutes <= MOST_MINUTES:
        raise InputError(f"minutes to render must be above 0 and at most {MOST_MINUTES:.0f}, not {minutes:g}")
    count = max(1, round(60 * minutes / USUAL_S)) if recordings is None else recordings
    if count < 1:
        raise InputError(f"recordings to render must be 1 or more, not {count}")
    length_s = 60 * minutes / count
    if length_s < LEAST_S:
        raise InputError(f"recordings of {length_s:.1f} s are too short to hold a few beats; render more minutes")
    if length_s > MOST_S:
        least = math.ceil(60 * minutes / MOST_S)
        raise InputError(f"recordings of {length_s / 60:.0f} minutes are too long; render {least} recordings or more")
    return count


def _config(
    tradition: Tradition, minutes: float, count: int, seed: int, sounds: str, multitrack: bool
) -> dict[str, object]:
    """Return the parameters that identify a run."""
    description = asdict(tradition)
    for part in description["instruments"]:
        del part["aliases"]  # they do not change the audio
    content = json.dumps(description, sort_keys=True).encode()
    return {
        "tradition": tradition.name.lstrip(".") or "tradition",
        "description": hashlib.sha256(content).hexdigest(),
        "minutes": minutes,
        "recordings": count,
        "seed": seed,
        "sounds": Path(sounds).name,
        "sounds_digest": sounds_digest(sounds),
        "multitrack": multitrack,
    }


def _corpus_toml(tradition: Tradition, sounds: str, seed: int) -> str:
    """Return the content of `corpus.toml`."""
    licence = LICENCE if _is_synthesised(sounds) else f"that of the sounds: {sounds}"
    title = tradition.title or tradition.name
    origin = f"Rendered by levada {__version__} from its description of {title}, seed {seed}."
    citation = " ".join([origin, *(["Sources: " + "; ".join(tradition.sources)] if tradition.sources else [])])
    entries = {"name": f"{title}, rendered", "licence": licence, "citation": citation}
    lines = (f"{key} = {json.dumps(value, ensure_ascii=False)}\n" for key, value in entries.items())
    return "".join(lines).replace("\x7f", " ")


def _render_all(jobs: list[_Job], processes: int) -> Iterator[_Job]:
    """Render recordings; yields each as soon as it is written."""
    if processes <= 1 or len(jobs) <= 1:
        yield from map(_render, jobs)
        return
    try:
        with process_pool(min(processes, len(jobs))) as executor:
            for done in as_completed([executor.submit(_render, job) for job in jobs]):
                yield done.result()
    except BrokenExecutor as error:
        raise InputError(f"cannot be rendered: {error}", path=jobs[0].target.parent) from None


def _render(job: _Job) -> _Job:
    """Render a recording and its stems into its scratch folder."""
    rng, sounds = np.random.default_rng(job.seed), sounds_of(job.sounds)
    if job.multitrack:
        piece = render_multitrack(job.tradition, duration_s=job.length_s, rng=rng, sounds=sounds)
        loudest = np.float32(
            max(1.0, *(float(np.abs(sound).max()) for sound in (piece.mixture, *piece.stems.values())))
        )
        folder = stems = job.scratch / job.item
        name, rate, beats = Path(MIXTURE).stem, piece.rate, piece.beats
        scaled = {part: stem / loudest for part, stem in piece.stems.items()}
        mixture = piece.mixture / loudest
    else:
        piece = render(job.tradition, duration_s=job.length_s, rng=rng, sounds=sounds)
        dry = sum(piece.stems.values(), np.zeros_like(piece.mixture))
        gain = _gain(piece.mixture[0], dry[0], piece.rate)
        peak = max(1.0, *(gain * float(np.abs(stem).max(initial=0)) for stem in piece.stems.values()))
        folder, stems = job.scratch, job.scratch / f"{job.item}.stems"
        name, rate, beats = job.item, piece.rate, piece.beats
        scaled = {part: stem * np.float32(gain / peak) for part, stem in piece.stems.items()}
        mixture = piece.mixture / np.float32(peak)
    try:
        with wrap_errors(job.target, job.scratch):
            stems.mkdir(parents=True)
        for part, stem in scaled.items():
            audio.write(stems / f"{part}.wav", stem, rate=rate)
        write_beats(folder / f"{name}.beats", beats)
        audio.write(folder / f"{name}.wav", mixture, rate=rate)
        if job.strokes:
            with wrap_errors(job.target, job.scratch):
                (stems / STROKES).mkdir()
            for part, played in piece.strokes.items():
                write_strokes(stems / STROKES / f"{part}{STROKE_SUFFIXES[job.strokes]}", played)
    except InputError as error:
        raise InputError(error.problem, path=job.target) from None
    return job


def _gain(mixture: Floats32, dry: Floats32, rate: int) -> float:
    """Compute the gain of the dry sum in the mixture; constant ambience does not count."""
    frame = rate // 10
    dry_power, power = (
        np.square(samples[: len(samples) // frame * frame], dtype=np.float64).reshape(-1, frame).mean(axis=1)
        for samples in (dry, mixture)
    )
    if not dry_power.any():
        return 0.0
    around = dry_power - dry_power.mean()
    share = float(power @ around) / max(float(dry_power @ around), 1e-30)
    return math.sqrt(share if share > 0 else power.mean() / dry_power.mean())
