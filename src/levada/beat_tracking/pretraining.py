"""The base model from nothing: rendered music streams through a network that has never heard any.

Pieces are composed, played and recorded by processes beside the one that trains, and forgotten again; nothing real,
and nothing without a licence, is heard. Which pieces a step sees depends on its number and the seed alone, so a
killed run goes on as if nothing had happened. `start` and `traditions` make other models of it by the same road: the
model `latin` is the base model that goes on with the traditions that come with levada.
"""

from __future__ import annotations

import logging
import math
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.augmentation import Augmentation, augment, fix_length
from levada.beat_tracking.decoder import decode_beats, pick_peaks, probabilities
from levada.beat_tracking.metrics import beat_scores
from levada.beat_tracking.pretraining_card import card
from levada.beat_tracking.spectrogram import GRID, file_log_spectrogram, log_spectrogram
from levada.data import load_corpus
from levada.data.spans import with_margins
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.run_folder import working_folder
from levada.io.toml import read_toml
from levada.io.workers import process_pool
from levada.learning.card import both_error, is_model, read_card
from levada.learning.names import WEIGHTS
from levada.synth.composition import Material, compose
from levada.synth.instruments import PITCHED, InstrumentSource, mix_sources, synthesise
from levada.synth.instruments.soundfont import SoundFont, find_soundfont
from levada.synth.performance import Performance, perform
from levada.synth.render import render_performance
from levada.synth.traditions import Tradition, read_tradition
from levada.synth.traditions import list_traditions as shipped_traditions

if TYPE_CHECKING:
    from torch import nn

    from levada.beat_tracking.networks.tcn import Tcn
    from levada.beat_tracking.targets import Batch
    from levada.learning.training import Progress
    from levada.learning.weights import Weights

__all__ = ["Exam", "Piece", "PretrainSettings", "describe", "exam", "hear", "make", "pretrain", "read_settings"]

Generator = np.random.Generator
Floats32 = npt.NDArray[np.float32]

HEARD_AGAIN = Augmentation(tempo=0.2, pitch_bands=1.5, level_db=5, tone_db=3, noise_db=-np.inf, hidden=0.3)
EXAM_PIECES = 24
FEW = 0.2
"""Share of a tradition's pieces that one or two drummers play alone."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainSettings:
    """How a base model is made.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batch : int
        Excerpts in a step.
    excerpt_s : float
        Length of an excerpt, in seconds.
    first_pieces : int
        Pieces to render before the first step.
    pieces_per_step : float
        New pieces for every step; the rest of a batch is heard again, changed.
    pool : int
        Pieces remembered.
    material : Material
        What the pieces are made of.
    traditions : float
        Share of the pieces that are played by a tradition that comes with levada.
    soundfonts : tuple of str
        SoundFonts that play, by name of the file; synthesised voices alone where there are none.
    sampled : float
        Share of the pieces in which SoundFonts play most parts; in a quarter of the others they play half.
    start : str
        The model to start from, as a folder or by name; from nothing where it is empty.
    partway : float
        How far the result lies on the way from the weights it started from to those it ended with, where it started
        from a model.
    learning_rate : float
    average : float
        Decay of the average of the weights.
    downbeat_weight : float
        Weight of the downbeats in the loss.
    precision : str
        "float32", or "bfloat16" for processors and GPUs that have it: half as long.
    exam : str
        A folder of annotated recordings, scored and never trained on while training goes on; none where it is empty.
    exam_soundfont : str
        A SoundFont that plays in no piece, for pieces that are scored and never trained on.
    exam_every : int
        Steps from one exam to the next; 0 is never.
    seed : int
    """

    steps: int = 5000
    batch: int = 6
    excerpt_s: float = 20.0
    first_pieces: int = 60
    pieces_per_step: float = 0.3
    pool: int = 4000
    material: Material = field(default_factory=Material)
    traditions: float = 0.0
    soundfonts: tuple[str, ...] = ()
    sampled: float = 0.6
    start: str = ""
    partway: float = 1.0
    learning_rate: float = 3e-3
    average: float = 0.998
    downbeat_weight: float = 0.25
    precision: str = "float32"
    exam: str = ""
    exam_soundfont: str = ""
    exam_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "soundfonts", tuple(self.soundfonts))
        for entry in fields(self):
            value = getattr(self, entry.name)
            if isinstance(entry.default, str):
                if not isinstance(value, str):
                    raise InputError(f"{entry.name} must be a text, not {value!r}")
            elif isinstance(entry.default, int | float):
                _check_number(entry.name, value, whole=isinstance(entry.default, int))
        if not all(isinstance(name, str) for name in self.soundfonts):
            raise InputError(f"soundfonts must be names of files, not {list(self.soundfonts)}")
        for name in ("traditions", "sampled", "partway"):
            if getattr(self, name) > 1:
                raise InputError(f"{name} is a share, at most 1, not {getattr(self, name)}")
        if not self.average < 1:
            raise InputError(f"average must be below 1, not {self.average}")
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision must be float32 or bfloat16, not {self.precision!r}")


MAY_BE_NOTHING = {
    *("pieces_per_step", "traditions", "sampled", "partway", "average", "downbeat_weight", "exam_every", "seed")
}


def _check_number(name: str, value: object, *, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise InputError(f"{name} must be a {'whole ' if whole else ''}number, not {value!r}")
    least = 0 if name in MAY_BE_NOTHING else 1 if whole else 1e-9
    if not least <= value < math.inf:
        raise InputError(f"{name} must not be {value!r}")


def read_settings(path: str | Path) -> PretrainSettings:
    """Settings from a TOML file, whose paths are relative to it.

    Raises
    ------
    InputError
        If it cannot be read, names a setting that does not exist, or one has a value that makes no sense.
    """
    table, here = read_toml(path), Path(path).parent
    material = table.pop("material", {})
    if not isinstance(material, dict):
        raise InputError(f"material must be a table, not {material!r}", path=path)
    for kind, given, places in (
        (PretrainSettings, table, ("exam",)),
        (Material, material, ("groove", "pop909")),
    ):
        unknown = sorted(set(given) - {entry.name for entry in fields(kind)})
        if unknown:
            raise InputError(f"names settings that do not exist: {', '.join(unknown)}", path=path)
        for name in places:
            if isinstance(given.get(name), str) and given[name]:
                given[name] = str(here / given[name])
    if isinstance(table.get("start"), str) and (here / table["start"]).is_dir():
        if is_model(here / table["start"]) and _ships(table["start"]):
            raise both_error(table["start"], path=Path(path))
        table["start"] = str(here / table["start"])
    if not isinstance(table.get("soundfonts", []), list):
        raise InputError(f"soundfonts must be a list, not {table['soundfonts']!r}", path=path)
    try:
        return PretrainSettings(**table, material=Material(**material))
    except InputError as error:
        raise InputError(error.problem, path=path) from None


class Piece(NamedTuple):
    """A rendered piece as the network hears it."""

    bands: npt.NDArray[np.float16]
    beats: Beats


@lru_cache(maxsize=1)
def _traditions() -> tuple[Tradition, ...]:
    return tuple(read_tradition(name) for name in shipped_traditions())


def hear(index: int, settings: PretrainSettings) -> Piece:
    """Compose, play, record and analyse the piece of that number."""
    rng = np.random.default_rng([settings.seed, 1, index])
    return _heard(_performance(rng, settings), _sounds(rng, settings), rng)


def _heard(performance: Performance, sounds: InstrumentSource, rng: Generator) -> Piece:
    rendering = render_performance(performance, rng=rng, sounds=sounds)
    return Piece(log_spectrogram(rendering.mixture, rendering.rate).astype(np.float16), rendering.beats)


def _performance(rng: Generator, settings: PretrainSettings) -> Performance:
    if rng.random() >= settings.traditions:
        return compose(rng, settings.material)
    known = _traditions()
    played = known[int(rng.integers(len(known)))]
    return perform(_few(played, rng), duration_s=settings.material.piece_s, rng=rng)


def _few(tradition: Tradition, rng: Generator) -> Tradition:
    """Now and then one or two of its drummers alone, as archives and lessons have them."""
    drummers = [part for part in tradition.instruments if part.voice not in PITCHED]
    if not drummers or rng.random() >= FEW:
        return tradition
    chosen = rng.permutation(len(drummers))[: int(rng.integers(1, 3))]
    alone = tuple(replace(drummers[int(index)], presence=1.0, players=(1, 1), enters=None) for index in chosen)
    return replace(tradition, instruments=alone, ensemble=None)


def _sounds(rng: Generator, settings: PretrainSettings) -> InstrumentSource:
    """Who plays a piece: mostly samples, half and half, or our own voices."""
    if not settings.soundfonts:
        return synthesise
    share = 0.95 if rng.random() < settings.sampled else 0.5 if rng.random() < 0.25 else 0.0
    fonts = [(share / len(settings.soundfonts), SoundFont(find_soundfont(name))) for name in settings.soundfonts]
    return mix_sources([*fonts, (1 - share, synthesise)])


@dataclass(frozen=True)
class Exam:
    """Music a network is scored on while it trains, and never trained on.

    Parameters
    ----------
    questions : tuple of (str, float32 [shape=(frames, 81)], Beats)
        Group, spectrogram and beats of each recording.
    """

    questions: tuple[tuple[str, Floats32, Beats], ...]

    def grade(self, net: nn.Module) -> dict[str, float]:
        """Mean scores by group: beats and downbeats behind the decoder, and beats of the network alone."""
        import torch

        rows: dict[str, list[float]] = {}
        with torch.inference_mode():
            for group, bands, beats in self.questions:
                activations = probabilities(net(torch.from_numpy(bands)[None])[0].float().numpy())
                duration_s = len(bands) / float(GRID.fps)
                score = partial(beat_scores, beats, spans_s=with_margins(beats), duration_s=duration_s)
                decoded = score(decode_beats(activations, fps=GRID.fps))
                alone = score(pick_peaks(activations, fps=GRID.fps))
                rows.setdefault(f"{group} beat", []).append(decoded["beat_f"])
                if (beats.positions == 1).any():
                    rows.setdefault(f"{group} downbeat", []).append(decoded["downbeat_f"])
                rows.setdefault(f"{group} alone", []).append(alone["beat_f"])
        return {name.replace(" ", "_"): float(np.mean(values)) for name, values in rows.items()}


def exam(settings: PretrainSettings) -> Exam:
    """Recordings, and rendered pieces of timbres held out; what is missing is left out with a warning."""
    questions: list[tuple[str, Floats32, Beats]] = []
    if settings.exam and not Path(settings.exam).is_dir():
        _log.warning("%s is missing: no recordings are scored on the way", settings.exam)
    elif settings.exam:
        for track in load_corpus(settings.exam, labels="beats").tracks:
            if track.annotation is not None:
                group = "/".join(track.group.split("/")[:2])
                questions.append((group, file_log_spectrogram(track.audio), track.beats()))
    if settings.exam_soundfont:
        try:
            font = SoundFont(find_soundfont(settings.exam_soundfont))
        except InputError as error:
            _log.warning("%s: no timbres that were held out are scored on the way", error)
        else:
            unheard = replace(settings, soundfonts=(), traditions=min(settings.traditions, 0.5))
            for index in range(EXAM_PIECES):
                rng = np.random.default_rng([settings.seed, 3, index])
                piece = _heard(_performance(rng, unheard), mix_sources([(1.0, font), (0.0, synthesise)]), rng)
                questions.append(("rendered", piece.bands.astype(np.float32), piece.beats))
    return Exam(tuple(questions))


def pretrain(
    settings: PretrainSettings,
    *,
    folder: str | Path,
    workers: int = 1,
    progress: Progress | None = None,
) -> Tcn:
    """Train a base network on rendered pieces; a killed run goes on where it was.

    Parameters
    ----------
    settings : PretrainSettings
    folder : path-like
        Where the log and the checkpoint lie.
    workers : int
        Processes that render beside the one that trains.
    progress : callable, optional
        Told steps done, steps in all and the loss.

    Returns
    -------
    Tcn
    """
    import torch

    from levada.beat_tracking.networks.tcn import Tcn
    from levada.beat_tracking.targets import widened_target_loss
    from levada.learning.training import FitSettings, fit
    from levada.learning.weights import interpolate

    torch.manual_seed(settings.seed)
    net = Tcn() if not settings.start else _started(settings.start)
    questions = exam(settings) if settings.exam_every else Exam(())
    with process_pool(workers) as lent:
        trained = fit(
            net,
            _Stream(settings, lent, ahead=4 * workers).batches,
            settings=FitSettings(
                settings.steps,
                settings.learning_rate,
                average=settings.average,
                clip=1.0,
                precision=settings.precision,
                seed=settings.seed,
            ),
            loss=partial(widened_target_loss, downbeat_weight=settings.downbeat_weight),
            folder=folder,
            progress=progress,
            validate=questions.grade if questions.questions else None,
            validate_every=settings.exam_every,
        )
    made = interpolate(net, trained, alpha=settings.partway) if settings.start else trained
    assert isinstance(made, Tcn)
    return made


def _started(start: str) -> Tcn:
    from levada.beat_tracking.networks import load
    from levada.beat_tracking.networks.tcn import Tcn

    net = load(_start(start)).net
    if not isinstance(net, Tcn):
        raise InputError("pre-training goes on from a TCN only", path=start)
    return net


def _start(start: str) -> Path:
    """The folder of the model to start from."""
    return WEIGHTS / start if _ships(start) else Path(start)


def _ships(name: str) -> bool:
    return name == Path(name).name and is_model(WEIGHTS / name)


def make(
    settings: PretrainSettings,
    *,
    out: str | Path,
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> Weights:
    """Train a base model and save it, with its card and its log.

    Parameters
    ----------
    settings : PretrainSettings
    out : path-like
        The folder of the model; `NAME.part` beside it holds an unfinished run.
    workers : int
        Processes that render beside the one that trains.
    force : bool
        Whether a model that exists may be replaced.
    progress : callable, optional
        Told steps done, steps in all and the loss.

    Returns
    -------
    Weights
    """
    from levada.learning.training import LOG
    from levada.learning.weights import Weights, save

    out = Path(out)
    if out.exists() and not force:
        raise InputError("exists already; choose another name, or --force to replace it", path=out)
    for name in settings.soundfonts:
        find_soundfont(name)
    run = describe(settings) | {"content": _content(settings)}
    start = _start(settings.start) if settings.start else None
    with working_folder(out.with_name(out.name + ".part"), run=run, force=force) as part:
        net = pretrain(settings, folder=part, workers=workers, progress=progress)
        known = card(settings, name=out.name, start=None if start is None else read_card(start))
        base = Weights(net, known, training=describe(settings))
        save(out, base, force=force)
        if (part / LOG).exists():
            os.replace(part / LOG, out / LOG)
    return base


class _Stream:
    """A pool of pieces that grows with the steps, fed by other processes."""

    def __init__(self, settings: PretrainSettings, pool: ProcessPoolExecutor, *, ahead: int) -> None:
        self.settings, self.pool, self.ahead = settings, pool, ahead

    def batches(self, start: int) -> Iterator[Batch]:
        import torch

        from levada.beat_tracking.targets import Batch

        settings, last = self.settings, self._count(self.settings.steps - 1)
        heard = asked = max(0, self._count(start) - settings.pool)
        pieces: deque[Piece] = deque(maxlen=settings.pool)
        coming: deque[Future[Piece]] = deque()
        for step in range(start, settings.steps):
            wanted = self._count(step)
            while asked < min(wanted + self.ahead, last):
                coming.append(self.pool.submit(hear, asked, settings))
                asked += 1
            while heard < wanted:
                pieces.append(coming.popleft().result())
                heard += 1
            rng = np.random.default_rng([settings.seed, 2, step])
            examples = [self._excerpt(pieces[int(rng.integers(len(pieces)))], rng) for _ in range(settings.batch)]
            yield Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*examples, strict=True)))

    def _count(self, step: int) -> int:
        return self.settings.first_pieces + int(step * self.settings.pieces_per_step)

    def _excerpt(self, piece: Piece, rng: Generator) -> tuple[Floats32, ...]:
        """A stretch of a piece, changed."""
        from levada.beat_tracking.targets import frame_targets

        frames = round(self.settings.excerpt_s * GRID.fps)
        start = int(rng.integers(max(1, len(piece.bands) - frames)))
        heard = piece.bands[start : start + round(frames * 1.3)].astype(np.float32)
        beats = piece.beats.shift(-GRID.time_s(start))
        bands, beats, _ = augment(heard, beats, by=HEARD_AGAIN, rng=rng)
        targets, known = frame_targets(beats, len(bands))
        return (
            fix_length(bands, frames, fill=float(bands.min())),
            fix_length(targets, frames),
            fix_length(known, frames),
        )


def _content(settings: PretrainSettings) -> dict[str, str]:
    """Digests of everything the settings only name: what lies there under one name may change."""
    fonts = [*settings.soundfonts, *([settings.exam_soundfont] if settings.exam_soundfont else [])]
    places = {"exam": settings.exam, "groove": settings.material.groove, "pop909": settings.material.pop909}
    found = {name: Path(place) for name, place in places.items() if place and Path(place).exists()}
    found |= {name: find_soundfont(name) for name in fonts} | (
        {"start": _start(settings.start)} if settings.start else {}
    )
    return {name: audio.content_hash(place) for name, place in found.items()}


def describe(settings: PretrainSettings) -> dict[str, object]:
    """The settings as they are kept beside the weights, without places on this machine."""
    known: dict[str, object] = asdict(settings)
    material = dict(asdict(settings.material))
    for table, name in ((known, "exam"), (known, "start"), (material, "groove"), (material, "pop909")):
        table[name] = Path(str(table[name])).name
    return {**known, "soundfonts": list(settings.soundfonts), "material": material}
