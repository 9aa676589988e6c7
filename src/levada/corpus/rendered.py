"""Rendered corpora: recordings of a tradition that nobody played, with beats that are known exactly.

Each recording has its own ensemble, tempo, instruments and room, and is a group of its own. Beside ``NAME-001.wav``
lie its beats, ``NAME-001.beats``, and what each part played alone, ``NAME-001.stems/PART.wav``, before the room but as
loud as in the mixture. Multitracks, to learn separation from, are folders: ``NAME-001/mixture.wav``, its beats, and a
file an instrument, in the room and as they sum to the mixture. ``corpus.json`` says what was rendered, so that an
interrupted run can go on.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import BrokenExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from levada import __version__, audio
from levada.errors import InputError
from levada.files import atomic, atomic_folder, claim_folder
from levada.formats import write_beats
from levada.render import multitrack as render_multitrack
from levada.render import render
from levada.tradition import Tradition
from levada.voices import Sounds, mixed, synthesised
from levada.workers import pool

__all__ = ["SYNTHESISED", "Rendered", "render_corpus", "sounds_digest", "sounds_of"]

Floats32 = npt.NDArray[np.float32]

SYNTHESISED = "synthesised"
LICENCE = "CC0-1.0"
"""Of what is rendered with levada's own sounds."""
RUN, TOML, MIXTURE = "corpus.json", "corpus.toml", "mixture.wav"
USUAL_S, LEAST_S, MOST_S = 60.0, 2.0, 900.0
MOST_MINUTES = 10_000.0
WORTH_A_PROCESS_S = 120.0  # of music: below that, starting another one costs more than it saves


@dataclass(frozen=True)
class Rendered:
    """What a run did.

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
    """One recording, as a process needs to know it."""

    target: Path
    tradition: Tradition
    length_s: float
    seed: tuple[int, int]
    sounds: str
    multitrack: bool = False

    @property
    def beats(self) -> Path:
        return self.target.with_suffix(".beats")

    @property
    def stems(self) -> Path:
        return self.target.with_suffix(".stems")

    @property
    def is_done(self) -> bool:
        return self.target.exists() and self.beats.exists()


def render_corpus(
    folder: str | Path,
    tradition: Tradition,
    *,
    minutes: float,
    recordings: int | None = None,
    seed: int = 0,
    sounds: str = SYNTHESISED,
    multitrack: bool = False,
    force: bool = False,
    processes: int = 2,
    progress: Callable[[int, int], None] | None = None,
) -> Rendered:
    """Render a corpus; a run that was interrupted goes on where it was.

    Parameters
    ----------
    folder : path-like
        Where it goes: a new or an empty folder, or that of the same run.
    tradition : Tradition
    minutes : float
        Of all recordings together.
    recordings : int, optional
        How many; as many as last about a minute each by default.
    seed : int
        The same seed gives the same bytes.
    sounds : str
        "synthesised", a SoundFont, or a folder of one-shots; see `sounds_of`.
    multitrack : bool
        Whether every instrument is recorded for itself, for `levada.corpus.open_stems`, and nothing else is heard.
    force : bool
        Whether the recordings of another run there may be replaced. Nothing else in the folder is touched.
    processes : int
        Recordings rendered at the same time.
    progress : callable, optional
        Told recordings done and recordings in all.

    Returns
    -------
    Rendered

    Raises
    ------
    InputError
        If the lengths make no sense, the folder holds something else, or a file cannot be written: what is finished
        is kept, and nothing is left half done.
    """
    count = _count(minutes, recordings)
    if not 0 <= seed < 2**63:
        raise InputError(f"a seed must be a whole number that is not negative, not {seed}")
    sounds_of(sounds)  # said before the work, not after it
    folder = Path(folder)
    run = _described(tradition, minutes, count, seed, sounds, multitrack)
    claim_folder(
        folder, run, manifest=RUN, holds="recordings", clear=lambda theirs: _clear(folder, theirs), force=force
    )
    _write_facts(folder, tradition, sounds, seed)
    ending = f"/{MIXTURE}" if multitrack else ".wav"
    targets = [folder / f"{run['tradition']}-{number:03}{ending}" for number in range(1, count + 1)]
    jobs = [
        _Job(target, tradition, 60 * minutes / count, (seed, number), sounds, multitrack)
        for number, target in enumerate(targets, start=1)
    ]
    kept = [job.target for job in jobs if job.is_done and not force]
    todo = [job for job in jobs if force or not job.is_done]
    written: list[Path] = []
    try:
        for target in _each(todo, processes if len(todo) * jobs[0].length_s > WORTH_A_PROCESS_S else 1):
            written.append(target)
            if progress is not None:
                progress(len(kept) + len(written), count)
    except InputError as error:
        done = sum(job.is_done for job in jobs)
        there = f"finished and kept: {done} of {count} recordings; the same command goes on with the others"
        raise InputError(f"{error.problem.rstrip('?')}; {there}", path=error.path) from None
    return Rendered(folder, tuple(sorted(written)), tuple(kept))


@lru_cache(maxsize=2)
def sounds_of(name: str) -> Sounds:
    """Sounds by the name a user gives them; what a source lacks is synthesised.

    Parameters
    ----------
    name : str
        "synthesised", the path or the name of a SoundFont, or a folder of one-shots.

    Raises
    ------
    InputError
        If there is no such thing.
    """
    if name == SYNTHESISED:
        return synthesised
    if Path(name).is_dir():
        from levada.voices.samples import OneShots

        found: Sounds = OneShots(Path(name))
    else:
        from levada.voices.soundfont import SoundFont, find

        found = SoundFont(find(name))
    return mixed([(1.0, found), (0.0, synthesised)])


def sounds_digest(name: str) -> str:
    """Compute a digest of what `sounds_of` reads; that of the synthesised sounds is empty."""
    if name == SYNTHESISED:
        return ""
    if Path(name).is_dir():
        return audio.content_hash(name)
    from levada.voices.soundfont import find

    return audio.content_hash(find(name))


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


def _described(
    tradition: Tradition, minutes: float, count: int, seed: int, sounds: str, multitrack: bool
) -> dict[str, object]:
    """What makes a run the same run."""
    facts = asdict(tradition)
    for part in facts["instruments"]:
        del part["aliases"]  # nothing is played otherwise for them
    content = json.dumps(facts, sort_keys=True).encode()
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


def _clear(folder: Path, run: Mapping[str, Any]) -> None:
    """Remove the recordings of a run, and nothing else."""
    for path in folder.iterdir():
        number = re.fullmatch(rf"{re.escape(str(run.get('tradition')))}-(\d{{3,}})", path.stem)
        if number and path.suffix in (".wav", ".beats", ".stems"):
            _remove(path.with_suffix(".wav"))
        elif number and (path / MIXTURE).is_file():
            shutil.rmtree(path)


def _write_facts(folder: Path, tradition: Tradition, sounds: str, seed: int) -> None:
    licence = LICENCE if sounds == SYNTHESISED else f"that of the sounds: {sounds}"
    title = tradition.title or tradition.name
    told = f"Rendered by levada {__version__} from its description of {title}, seed {seed}."
    citation = " ".join([told, *(["Sources: " + "; ".join(tradition.sources)] if tradition.sources else [])])
    facts = {"name": f"{title}, rendered", "licence": licence, "citation": citation}
    with atomic(folder / TOML, force=True) as temporary:
        lines = [f"{key} = {json.dumps(said, ensure_ascii=False)}\n" for key, said in facts.items()]
        temporary.write_text("".join(lines).replace("\x7f", " "), encoding="utf-8")


def _each(jobs: list[_Job], processes: int) -> Iterator[Path]:
    if processes <= 1 or len(jobs) <= 1:
        yield from map(_write, jobs)
        return
    try:
        with pool(min(processes, len(jobs))) as lent:
            for done in as_completed([lent.submit(_write, job) for job in jobs]):
                yield done.result()
    except BrokenExecutor as error:
        raise InputError(f"cannot be rendered: {error}", path=jobs[0].target.parent) from None


def _write(job: _Job) -> Path:
    """Render a recording and write it: stems first, the mixture last, all of them or none."""
    if job.multitrack:
        return _write_multitrack(job)
    rng = np.random.default_rng(job.seed)
    piece = render(job.tradition, duration_s=job.length_s, rng=rng, sounds=sounds_of(job.sounds))
    dry = sum(piece.stems.values(), np.zeros_like(piece.mixture))
    gain = _gain(piece.mixture[0], dry[0], piece.rate)
    loudest = max(1.0, *(gain * float(np.abs(stem).max(initial=0)) for stem in piece.stems.values()))
    _remove(job.target)
    try:
        with atomic_folder(job.stems, known_by=RUN) as temporary:
            for part, stem in piece.stems.items():
                audio.write(temporary / f"{part}.wav", stem * np.float32(gain / loudest), rate=piece.rate)
        write_beats(job.beats, piece.beats)
        audio.write(job.target, piece.mixture / np.float32(loudest), rate=piece.rate)
    except InputError as error:
        _remove(job.target)
        raise InputError(error.problem, path=job.target) from None
    except BaseException:
        _remove(job.target)
        raise
    return job.target


def _write_multitrack(job: _Job) -> Path:
    """Render a song and write its folder, as a whole or not at all."""
    rng = np.random.default_rng(job.seed)
    song = render_multitrack(job.tradition, duration_s=job.length_s, rng=rng, sounds=sounds_of(job.sounds))
    loudest = np.float32(max(1.0, *(float(np.abs(sound).max()) for sound in (song.mixture, *song.stems.values()))))
    try:
        with atomic_folder(job.target.parent, known_by=MIXTURE, force=True) as temporary:
            for name, stem in song.stems.items():
                audio.write(temporary / f"{name}.wav", stem / loudest, rate=song.rate)
            write_beats(temporary / job.beats.name, song.beats)
            audio.write(temporary / MIXTURE, song.mixture / loudest, rate=song.rate)
    except InputError as error:
        raise InputError(error.problem, path=job.target) from None
    return job.target


def _remove(recording: Path) -> None:
    recording.unlink(missing_ok=True)
    recording.with_suffix(".beats").unlink(missing_ok=True)
    shutil.rmtree(recording.with_suffix(".stems"), ignore_errors=True)


def _gain(mixture: Floats32, dry: Floats32, rate: int) -> float:
    """How much louder what was played is in the mixture; what was heard beside it, all the time, does not count."""
    frame = rate // 10
    played, heard = (
        np.square(samples[: len(samples) // frame * frame], dtype=np.float64).reshape(-1, frame).mean(axis=1)
        for samples in (dry, mixture)
    )
    if not played.any():
        return 0.0
    around = played - played.mean()
    share = float(heard @ around) / max(float(played @ around), 1e-30)
    return math.sqrt(share if share > 0 else heard.mean() / played.mean())
