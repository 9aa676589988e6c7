"""The base model from nothing: rendered music streams through a network that has never heard any.

Pieces are composed, played and recorded by a process beside the one that trains, and forgotten again; nothing real,
and nothing without a licence, is heard. Which pieces a step sees depends on its number and the seed alone, so a
killed run goes on as if nothing had happened.
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from levada import groove, render
from levada.augment import Augmentation, augment, cut
from levada.beats import Beats
from levada.errors import InputError
from levada.files import read_toml, working_folder
from levada.nets.card import Card
from levada.microphone import record
from levada.perform import Performance, perform
from levada.spectrogram import GRID, log_bands
from levada.tradition import FOLDER, Instrument, Pattern, Tradition, read_tradition
from levada.voices import PITCHED, RATE
from levada.workers import pool

if TYPE_CHECKING:
    from torch import nn

    from levada.fit import Batch, Progress
    from levada.nets.tcn import Tcn
    from levada.nets.weights import Weights

__all__ = ["Piece", "PretrainSettings", "card", "compose", "describe", "hear", "make", "pretrain", "read_settings"]

Generator = np.random.Generator
HEARD_AGAIN = Augmentation(tempo=0.2, pitch_bands=1.5, level_db=4, tone_db=2, noise_db=-np.inf, hidden=0.25)
PERCUSSION = ("conga", "bongo", "timbale", "djembe", "woodblock", "claves", "cowbell", "agogo", "triangle", "shaker",
              "maracas", "tambourine", "guiro", "surdo", "clap", "rim")  # fmt: skip


@dataclass(frozen=True)
class PretrainSettings:
    """How the base model is made.

    Parameters
    ----------
    steps : int
        Optimiser steps.
    batch : int
        Excerpts in a step.
    excerpt_s : float
        Length of an excerpt, in seconds.
    piece_s : float
        Length of a rendered piece, in seconds.
    first_pieces : int
        Pieces to render before the first step.
    pieces_per_step : float
        New pieces for every step; the rest of a batch is heard again, changed.
    pool : int
        Pieces remembered.
    styles : mapping of str to float
        How often a kit style is played, relative to the others; 1 where it is not named.
    groove : str
        Folder of the Groove MIDI Dataset; empty for none.
    groove_share : float
        Share of the pieces that are played by its drummers.
    learning_rate : float
    downbeat_weight : float
        Weight of the downbeats in the loss.
    seed : int
    """

    steps: int = 5000
    batch: int = 6
    excerpt_s: float = 16.0
    piece_s: float = 40.0
    first_pieces: int = 100
    pieces_per_step: float = 0.5
    pool: int = 4000
    styles: Mapping[str, float] = field(default_factory=dict)
    groove: str = ""
    groove_share: float = 0.5
    learning_rate: float = 3e-3
    downbeat_weight: float = 1.5
    seed: int = 0

    def __post_init__(self) -> None:
        for entry in fields(self):
            value = getattr(self, entry.name)
            if entry.name == "groove":
                if not isinstance(value, str):
                    raise InputError(f"groove must be the name of a folder, not {value!r}")
            elif entry.name == "styles":
                _check_styles(value)
            else:
                _check_number(entry.name, value, whole=isinstance(entry.default, int))
        if self.groove_share > 1:
            raise InputError(f"groove_share is a share, at most 1, not {self.groove_share}")


def _check_number(name: str, value: object, *, whole: bool) -> None:
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise InputError(f"{name} must be a {'whole ' if whole else ''}number, not {value!r}")
    least = 0 if name in ("pieces_per_step", "groove_share", "downbeat_weight", "seed") else 1 if whole else 1e-9
    if not least <= value < math.inf:
        raise InputError(f"{name} must not be {value!r}")


def _check_styles(styles: object) -> None:
    if not isinstance(styles, Mapping):
        raise InputError(f"styles must be a table of names and numbers, not {styles!r}")
    known = [path.stem for path in _kit_files()]
    unknown = [str(name) for name in styles if name not in known]
    if unknown:
        raise InputError(f"there is no style {', '.join(unknown)}; there are {', '.join(known)}")
    for name, weight in styles.items():
        if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 <= weight < math.inf:
            raise InputError(f"the weight of {name} must be a number, 0 or above, not {weight!r}")
    if not any(styles.get(name, 1.0) for name in known):
        raise InputError("styles leave nothing to play: every weight is 0")


def read_settings(path: str | Path) -> PretrainSettings:
    """Settings from a TOML file, whose paths are relative to it.

    Raises
    ------
    InputError
        If it cannot be read, names a setting that does not exist, or one has a value that makes no sense.
    """
    table = read_toml(path)
    unknown = sorted(set(table) - {entry.name for entry in fields(PretrainSettings)})
    if unknown:
        raise InputError(f"names settings that do not exist: {', '.join(unknown)}", path=path)
    if isinstance(table.get("groove"), str) and table["groove"]:
        table["groove"] = str(Path(path).parent / table["groove"])
    try:
        return PretrainSettings(**table)
    except InputError as error:
        raise InputError(error.problem, path=path) from None


class Piece(NamedTuple):
    """A rendered piece as the network hears it."""

    bands: npt.NDArray[np.float16]
    beats: Beats


def _kit_files() -> list[Path]:
    return sorted((FOLDER / "kits").glob("*.toml"))


@lru_cache(maxsize=1)
def _kits() -> tuple[Tradition, ...]:
    return tuple(read_tradition(path) for path in _kit_files())


@lru_cache(maxsize=1)
def _takes(folder: str) -> tuple[groove.Groove, ...]:
    return tuple(groove.takes(folder))


def compose(rng: Generator, settings: PretrainSettings) -> Performance:
    """A performance nobody has heard: a kit groove with borrowed parts, or a human drummer with a band."""
    if not settings.groove or rng.random() >= settings.groove_share:
        return perform(_borrowed(rng, settings), duration_s=settings.piece_s, rng=rng)
    drummers = _takes(settings.groove)
    take = drummers[int(rng.integers(len(drummers)))]
    drums = groove.read_groove(
        take, start_beat=int(rng.integers(1000)), duration_s=settings.piece_s, faster=float(np.exp(rng.normal(0, 0.1)))
    )
    drums = replace(drums, levels_db={part: float(rng.normal(0, 3)) for part in drums.voices})
    bands = [kit for kit in map(_pitched, _kits()) if kit.instruments and kit.beats == groove.PULSES[take.metre][0]]
    if not bands or len(drums.beats) < 2 or rng.random() < 0.5:
        return drums
    band = bands[int(rng.integers(len(bands)))]
    others = perform(band, duration_s=drums.duration_s, rng=rng, along=drums.beats)
    return replace(
        drums,
        strokes=tuple(sorted(drums.strokes + others.strokes)),
        voices={**others.voices, **drums.voices},
        levels_db={**others.levels_db, **drums.levels_db},
    )


def _pitched(kit: Tradition) -> Tradition:
    """Those of a band who play notes."""
    return replace(kit, instruments=tuple(part for part in kit.instruments if part.voice in PITCHED))


def _borrowed(rng: Generator, settings: PretrainSettings) -> Tradition:
    """A kit style, some parts taken from others of the same cycle, with percussion that nobody planned."""
    kits = _kits()
    weights = np.array([settings.styles.get(kit.name, 1.0) for kit in kits])
    style = kits[int(rng.choice(len(kits), p=weights / weights.sum()))]
    alike = [kit for kit in kits if (kit.beats, kit.tatums) == (style.beats, style.tatums)]
    parts = {part.name: part for part in style.instruments}
    for name in list(parts):
        if rng.random() < 0.1:
            lender = {part.name: part for part in alike[int(rng.integers(len(alike)))].instruments}
            parts[name] = lender.get(name, parts[name])
    for _ in range(int(rng.choice(3, p=[0.6, 0.3, 0.1]))):
        voice = PERCUSSION[int(rng.integers(len(PERCUSSION)))]
        parts[voice] = Instrument(voice, voice, tuple(Pattern(_grid(style, rng)) for _ in range(2)), level_db=-4)
    if rng.random() < 0.06:
        parts = {name: part for name, part in parts.items() if part.voice in PITCHED} or parts
    swing = np.zeros(style.tatums)
    if style.tatums == 4 and rng.random() < 0.25:
        swing[1::2] = rng.uniform(0, 0.08)
    return replace(
        style,
        instruments=tuple(parts.values()),
        microtiming=tuple(swing),
        drift=float(np.exp(rng.uniform(np.log(0.0005), np.log(0.012)))),
        spread=float(rng.uniform(0.003, 0.02)),
    )


def _grid(style: Tradition, rng: Generator) -> str:
    """A random ostinato that repeats every beat, every half cycle, or every cycle."""
    length = [style.tatums, style.cycle, style.cycle][int(rng.integers(3))]
    density = rng.uniform(0.2, 0.8)
    cell = "".join(
        rng.choice(list("xXo"), p=[0.6, 0.25, 0.15]) if rng.random() < density else "." for _ in range(length)
    )
    return (cell if set(cell) != {"."} else "x" + cell[1:]) * (style.cycle // length)


def hear(index: int, settings: PretrainSettings) -> Piece:
    """Compose, play, record and analyse the piece of that number."""
    rng = np.random.default_rng([settings.seed, 1, index])
    performance = compose(rng, settings)
    stems = render.sound(performance, rng=rng)
    mixture = record(
        sum(stems.values(), np.zeros((1, round(performance.duration_s * RATE)), np.float32)), rng=rng
    )
    return Piece(log_bands(mixture, RATE).astype(np.float16), performance.beats)


def pretrain(
    settings: PretrainSettings,
    *,
    folder: str | Path,
    workers: int = 1,
    progress: Progress | None = None,
    validate: Callable[[nn.Module], dict[str, float]] | None = None,
    validate_every: int = 0,
) -> Tcn:
    """Train a base network on rendered pieces; a killed run goes on where it was.

    Parameters
    ----------
    settings : PretrainSettings
    folder : path-like
        Where the log and the checkpoint lie.
    workers : int
        Processes that render beside the one that trains.
    progress, validate, validate_every
        As in `levada.fit.fit`.

    Returns
    -------
    Tcn
    """
    import torch

    from levada.fit import FitSettings, fit, widened_loss
    from levada.nets.tcn import Tcn

    torch.manual_seed(settings.seed)
    with pool(workers) as lent:
        net = fit(
            Tcn(),
            _Stream(settings, lent, ahead=4 * workers).batches,
            settings=FitSettings(settings.steps, settings.learning_rate, average=0.998, clip=1.0, seed=settings.seed),
            loss=partial(widened_loss, downbeat_weight=settings.downbeat_weight),
            folder=folder,
            progress=progress,
            validate=validate,
            validate_every=validate_every,
        )
    assert isinstance(net, Tcn)
    return net


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
    from levada.fit import LOG
    from levada.nets.weights import Weights, save

    out = Path(out)
    if out.exists() and not force:
        raise InputError("exists already; choose another name, or --force to replace it", path=out)
    run = json.dumps(describe(settings))
    part = working_folder(out.with_name(out.name + ".part"), run=run, force=force)
    net = pretrain(settings, folder=part, workers=workers, progress=progress)
    base = Weights(net, card(settings, name=out.name), training=describe(settings))
    save(out, base, force=force)
    if (part / LOG).exists():
        os.replace(part / LOG, out / LOG)
    shutil.rmtree(part)
    return base


def card(settings: PretrainSettings, *, name: str) -> Card:
    """What is to be known of a base model made with these settings."""
    pieces = settings.first_pieces + int(settings.steps * settings.pieces_per_step)
    kits = ", ".join(kit.name for kit in _kits())
    human = (
        f" {settings.groove_share:.0%} of the pieces are performances of the Groove MIDI Dataset (Gillick et al., "
        "ICML 2019, CC BY 4.0), its training split, played by the same synthesised voices."
        if settings.groove
        else ""
    )
    return Card(
        name=name,
        origin=f"Pre-trained from nothing by `levada pretrain` in {settings.steps} steps on rendered music alone; "
        "it has heard no recording, and drum kits and bands only, no percussion ensemble of any tradition.",
        licence="CC-BY-4.0" if settings.groove else "Apache-2.0",
        data=f"{pieces} pieces of up to {settings.piece_s:g} s, composed and synthesised by levada from kit styles "
        f"({kits}) with borrowed parts and random percussion.{human}",
        minutes=round(pieces * settings.piece_s / 60, 1),
        scores={"on real recordings": "benchmarks/RESULTS.md of the project"},
    )


class _Stream:
    """A pool of pieces that grows with the steps, fed by other processes."""

    def __init__(self, settings: PretrainSettings, pool: ProcessPoolExecutor, *, ahead: int) -> None:
        self.settings, self.pool, self.ahead = settings, pool, ahead

    def batches(self, start: int) -> Iterator[Batch]:
        import torch

        from levada.fit import Batch

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

    def _excerpt(self, piece: Piece, rng: Generator) -> tuple[npt.NDArray[np.float32], ...]:
        """A stretch of a piece, changed."""
        from levada.fit import frame_targets

        frames = round(self.settings.excerpt_s * GRID.fps)
        start = int(rng.integers(max(1, len(piece.bands) - frames)))
        heard = piece.bands[start : start + round(frames * 1.3)].astype(np.float32)
        beats = piece.beats.shift(-GRID.time_s(start))
        bands, beats, _ = augment(heard, beats, by=HEARD_AGAIN, rng=rng)
        targets, known = frame_targets(beats, len(bands))
        return cut(bands, frames, fill=float(bands.min())), cut(targets, frames), cut(known, frames)


def describe(settings: PretrainSettings) -> dict[str, object]:
    """The settings as they are kept beside the weights, without places on this machine."""
    return {**asdict(settings), "groove": "Groove MIDI Dataset" if settings.groove else ""}
