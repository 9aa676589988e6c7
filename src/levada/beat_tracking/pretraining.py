"""Pre-training of the base tracker on rendered music alone.

Other processes compose and render pieces while the network trains; a piece is dropped after a while. Which pieces a
step uses depends on its number and the seed alone, so a run that was stopped goes on as if it had not been. No
recording and nothing without a licence is trained on. The model `latin` is made in the same way: it starts from the
base model (`start`) and continues with the traditions that come with levada (`traditions`).
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.augmentation import Augmentation, augment, fix_length
from levada.beat_tracking.decoder import decode_beats, pick_peaks, probabilities
from levada.beat_tracking.decoder.settings import NO_PULSE_COST
from levada.beat_tracking.metrics import beat_scores
from levada.beat_tracking.pretraining_card import card
from levada.beat_tracking.pretraining_pieces import Piece, render_piece, validation_piece
from levada.beat_tracking.spectrogram import FRONT_ENDS, GRID, file_log_spectrogram
from levada.data import load_corpus
from levada.data.spans import with_margins
from levada.errors import InputError
from levada.io import audio
from levada.io.beats import Beats
from levada.io.toml import read_toml
from levada.io.workers import process_pool
from levada.learning.adaptation import train_into
from levada.learning.card import both_error, is_model, read_card
from levada.learning.names import WEIGHTS
from levada.learning.pretraining import build_settings, check_settings, soundfont_digests
from levada.synth.composition import Material
from levada.synth.instruments.soundfont import SoundFont, find_soundfont

if TYPE_CHECKING:
    from torch import nn

    from levada.beat_tracking.networks.tcn import Tcn
    from levada.beat_tracking.targets import Batch
    from levada.learning.training import Progress
    from levada.learning.weights import Weights

__all__ = [
    "PretrainSettings",
    "ValidationSet",
    "pretrain_tracker",
    "read_settings",
    "train_network",
    "validation_set",
]

Generator = np.random.Generator
Floats32 = npt.NDArray[np.float32]

AUGMENTATION = Augmentation(tempo=0.2, pitch_bands=1.5, level_db=5, tone_db=3, noise_db=-np.inf, hidden=0.3)
"""How excerpts of a piece are changed each time it is used."""
VALIDATION_PIECES = 48

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PretrainSettings:
    """Settings of the pre-training of a tracker.

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
        New pieces in every step; the rest of a batch are excerpts of earlier ones, augmented.
    pool : int
        Number of the latest pieces that excerpts are taken from.
    material : Material
        Material of the pieces that are composed.
    traditions : float
        Fraction of the pieces that are performed by a tradition that comes with levada.
    soloists : float
        Fraction of those in which one or two of its instruments play alone.
    soundfonts : tuple of str
        SoundFonts that play, by name of the file; without any, all voices are synthesised.
    sampled : float
        Fraction of the pieces in which SoundFonts play most parts; in a quarter of the others they play half.
    start : str
        The model to start from, as a folder or by name; a new network where it is empty.
    alpha : float
        Weight of the trained network in the interpolation with the one that it started from, if there is one.
    learning_rate : float
    average : float
        Decay of the average of the weights.
    front_end : str
        The input of a new network: "log81", or "log81+semitones" for harmonic change, relative to the level.
    channels : int
        Filters in every block of a new network.
    downbeat_weight : float
        Weight of the downbeats in the loss.
    phase_weight : float
        Weight in the loss of which beat of the bar is the first, over all bars of an excerpt.
    non_music : float
        Fraction of the pieces that are silence, noise, talk, applause and the like.
    no_pulse : bool
        Whether a model that is trained with these has stretches without a pulse.
    metronome : float
        Fraction of the others that are a metronome, or somebody who taps or claps the beat.
    interludes : float
        Fraction of the others with such sounds before, after, between and over the music.
    quiet : float
        Fraction of the pieces that are recorded so quietly that the rounding to 16 bits matters.
    band_limit : float
        Probability that an excerpt loses its highest frequencies, and that it loses its lowest.
    precision : str
        "float32", or "bfloat16" for processors and GPUs that have it: half the time.
    validation_corpus : str
        A folder of annotated recordings that are scored during training and never trained on; none where it is empty.
    validation_soundfont : str
        A SoundFont that plays in no piece, for rendered pieces that are scored during training.
    validate_every : int
        Steps between two validations; 0 is never.
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
    soloists: float = 0.2
    soundfonts: tuple[str, ...] = ()
    sampled: float = 0.6
    start: str = ""
    alpha: float = 1.0
    learning_rate: float = 3e-3
    average: float = 0.998
    front_end: str = "log81"
    channels: int = 40
    downbeat_weight: float = 0.25
    phase_weight: float = 0.0
    non_music: float = 0.0
    no_pulse: bool = True
    metronome: float = 0.0
    interludes: float = 0.0
    quiet: float = 0.0
    band_limit: float = 0.0
    precision: str = "float32"
    validation_corpus: str = ""
    validation_soundfont: str = ""
    validate_every: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "soundfonts", tuple(self.soundfonts))
        fractions = (
            *("traditions", "soloists", "sampled", "alpha"),
            *("non_music", "metronome", "interludes", "quiet", "band_limit"),
        )
        zero = ("pieces_per_step", "average", "downbeat_weight", "phase_weight", "validate_every", "seed")
        check_settings(self, may_be_zero=(*fractions, *zero), fractions=fractions)
        if self.front_end not in ("log81", "log81+semitones"):
            raise InputError(f"front_end must be log81 or log81+semitones, not {self.front_end!r}")
        if not self.average < 1:
            raise InputError(f"average must be below 1, not {self.average}")
        if self.precision not in ("float32", "bfloat16"):
            raise InputError(f"precision must be float32 or bfloat16, not {self.precision!r}")


def read_settings(path: str | Path) -> PretrainSettings:
    """Read settings from a TOML file, whose paths are relative to it.

    Raises
    ------
    InputError
        If it cannot be read, names a setting that does not exist, or a value is invalid.
    """
    table, folder = read_toml(path), Path(path).parent
    material = table.pop("material", {})
    if not isinstance(material, dict):
        raise InputError(f"material must be a table, not {material!r}", path=path)
    start = table.get("start")
    if isinstance(start, str) and (folder / start).is_dir():
        if is_model(folder / start) and _ships(start):
            raise both_error(start, path=Path(path))
        table["start"] = str(folder / start)
    composed = build_settings(Material, material, path=path, paths=("groove", "pop909"))
    return build_settings(PretrainSettings, table, path=path, paths=("validation_corpus",), material=composed)


@dataclass(frozen=True)
class ValidationSet:
    """Recordings and pieces that a network is scored on during training, and never trained on.

    Parameters
    ----------
    recordings : tuple of (str, float32 [shape=(frames, bands)], Beats)
        Group, spectrogram and beats of each; without beats it is no music.
    """

    recordings: tuple[tuple[str, Floats32, Beats], ...]

    def score(self, net: nn.Module) -> dict[str, float]:
        """Return mean scores by group: beats and downbeats with the decoder, and beats by peak picking."""
        import torch

        rows: dict[str, list[float]] = {}
        with torch.inference_mode():
            for group, bands, beats in self.recordings:
                activations = probabilities(net(torch.from_numpy(bands)[None])[0].float().numpy())
                if not len(beats):
                    wrong = pick_peaks(activations, fps=GRID.fps)
                    rows.setdefault(f"{group} peaks_per_s", []).append(len(wrong) / len(bands) * float(GRID.fps))
                    continue
                duration_s = len(bands) / float(GRID.fps)
                score = partial(beat_scores, beats, spans_s=with_margins(beats), duration_s=duration_s)
                decoded = score(decode_beats(activations, fps=GRID.fps))
                peaks = score(pick_peaks(activations, fps=GRID.fps))
                rows.setdefault(f"{group} beat", []).append(decoded["beat_f"])
                if (beats.positions == 1).any():
                    rows.setdefault(f"{group} downbeat", []).append(decoded["downbeat_f"])
                    rows.setdefault(f"{group} downbeat_cmlt", []).append(decoded["downbeat_cmlt"])
                rows.setdefault(f"{group} peaks", []).append(peaks["beat_f"])
        return {name.replace(" ", "_"): float(np.mean(values)) for name, values in rows.items()}


def validation_set(settings: PretrainSettings) -> ValidationSet:
    """Return recordings, and rendered pieces with timbres of their own; missing ones are skipped with a warning."""
    recordings: list[tuple[str, Floats32, Beats]] = []
    front_end = FRONT_ENDS[settings.front_end]
    if settings.validation_corpus and not Path(settings.validation_corpus).is_dir():
        _log.warning("%s is missing: no recordings are scored during training", settings.validation_corpus)
    elif settings.validation_corpus:
        for track in load_corpus(settings.validation_corpus, labels="beats").tracks:
            if track.annotation is not None:
                group = "/".join(track.group.split("/")[:2])
                recordings.append((group, file_log_spectrogram(track.audio, front_end=front_end), track.beats()))
    if settings.validation_soundfont:
        try:
            font = SoundFont(find_soundfont(settings.validation_soundfont))
        except InputError as error:
            _log.warning("%s: no rendered pieces are scored during training", error)
        else:
            held_out = replace(
                settings,
                soundfonts=(),
                traditions=min(settings.traditions, 0.5),
                material=settings.material.held_out(),
                non_music=0.0,
                metronome=0.0,
                interludes=0.0,
                quiet=0.0,
            )
            for index in range(VALIDATION_PIECES):
                piece = validation_piece(index, held_out, font)
                recordings.append(("rendered", piece.bands.astype(np.float32), piece.beats))
            for index in range(VALIDATION_PIECES if settings.non_music else 0):
                piece = render_piece(index, replace(held_out, non_music=1.0, seed=settings.seed + 1))
                recordings.append(("non_music", piece.bands.astype(np.float32), piece.beats))
    return ValidationSet(tuple(recordings))


def train_network(
    settings: PretrainSettings,
    *,
    folder: str | Path,
    workers: int = 1,
    progress: Progress | None = None,
) -> Tcn:
    """Train a base network on rendered pieces; a run that was stopped goes on from its checkpoint.

    Parameters
    ----------
    settings : PretrainSettings
    folder : path-like
        The folder of the log and the checkpoint.
    workers : int
        Processes that render beside the one that trains.
    progress : callable, optional
        Called with steps done, of how many, and the loss.

    Returns
    -------
    Tcn
    """
    import torch

    from levada.beat_tracking.networks.tcn import Tcn, TcnSettings
    from levada.beat_tracking.targets import pretraining_loss_parts
    from levada.learning.training import FitSettings, fit
    from levada.learning.weights import interpolate

    torch.manual_seed(settings.seed)
    shape = TcnSettings(channels=settings.channels, harmony="semitones" in settings.front_end)
    net = Tcn(shape) if not settings.start else _start_network(settings)
    validation = validation_set(settings) if settings.validate_every else ValidationSet(())
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
            loss=partial(
                pretraining_loss_parts, downbeat_weight=settings.downbeat_weight, phase_weight=settings.phase_weight
            ),
            folder=folder,
            progress=progress,
            validate=validation.score if validation.recordings else None,
            validate_every=settings.validate_every,
        )
    result = interpolate(net, trained, alpha=settings.alpha) if settings.start else trained
    assert isinstance(result, Tcn)
    return result


def _start_network(settings: PretrainSettings) -> Tcn:
    from levada.beat_tracking.networks import load
    from levada.beat_tracking.networks.tcn import Tcn

    net = load(_start_folder(settings.start)).net
    if not isinstance(net, Tcn):
        raise InputError("pre-training starts from a TCN only", path=settings.start)
    if net.front_end != settings.front_end:
        raise InputError(f"its input is {net.front_end}, not {settings.front_end}", path=settings.start)
    return net


def _start_folder(start: str) -> Path:
    """Return the folder of the model to start from."""
    return WEIGHTS / start if _ships(start) else Path(start)


def _ships(name: str) -> bool:
    return name == Path(name).name and is_model(WEIGHTS / name)


def pretrain_tracker(
    settings: PretrainSettings,
    *,
    out: str | Path,
    workers: int = 1,
    force: bool = False,
    progress: Progress | None = None,
) -> Weights:
    """Train a base tracker and save it with its card and its log.

    Parameters
    ----------
    settings : PretrainSettings
    out, force, progress
        See `levada.learning.adaptation.train_into`.
    workers : int
        Processes that render beside the one that trains.

    Returns
    -------
    Weights
    """
    from levada.learning.weights import Weights

    start = read_card(_start_folder(settings.start)) if settings.start else None

    def train(folder: Path, report: Progress | None) -> Weights:
        net = train_network(settings, folder=folder, workers=workers, progress=report)
        decoder = {"no_pulse_enter": NO_PULSE_COST} if settings.non_music and settings.no_pulse else {}
        return Weights(net, card(settings, name=Path(out).name, start=start), decoder, _portable(settings))

    config = _portable(settings) | {"content": _digests(settings)}
    model: Weights = train_into(out, train=train, config=config, force=force, progress=progress)
    return model


class _Stream:
    """Batches of excerpts from a pool of pieces that grows with the steps, rendered by other processes."""

    def __init__(self, settings: PretrainSettings, pool: ProcessPoolExecutor, *, ahead: int) -> None:
        self.settings, self.pool, self.ahead = settings, pool, ahead

    def batches(self, start: int) -> Iterator[Batch]:
        import torch

        from levada.beat_tracking.targets import Batch

        settings, last = self.settings, self._count(self.settings.steps - 1)
        received = submitted = max(0, self._count(start) - settings.pool)
        pieces: deque[Piece] = deque(maxlen=settings.pool)
        pending: deque[Future[Piece]] = deque()
        for step in range(start, settings.steps):
            needed = self._count(step)
            while submitted < min(needed + self.ahead, last):
                pending.append(self.pool.submit(render_piece, submitted, settings))
                submitted += 1
            while received < needed:
                pieces.append(pending.popleft().result())
                received += 1
            rng = np.random.default_rng([settings.seed, 2, step])
            examples = [self._excerpt(pieces[int(rng.integers(len(pieces)))], rng) for _ in range(settings.batch)]
            yield Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*examples, strict=True)))

    def _count(self, step: int) -> int:
        return self.settings.first_pieces + int(step * self.settings.pieces_per_step)

    def _excerpt(self, piece: Piece, rng: Generator) -> tuple[Floats32, ...]:
        """Cut an excerpt out of a piece, and augment it."""
        from levada.beat_tracking.targets import frame_targets

        frames = round(self.settings.excerpt_s * GRID.fps)
        start = int(rng.integers(max(1, len(piece.bands) - frames)))
        excerpt = piece.bands[start : start + round(frames * 1.3)].astype(np.float32)
        beats = piece.beats.shift(-GRID.time_s(start))
        config = replace(AUGMENTATION, band_limit=self.settings.band_limit)
        bands, beats, _ = augment(excerpt, beats, config=config, rng=rng)
        targets, mask = frame_targets(beats, len(bands))
        return (
            fix_length(bands, frames, fill=float(bands.min())),
            fix_length(targets, frames),
            fix_length(mask, frames),
        )


def _digests(settings: PretrainSettings) -> dict[str, str]:
    """Return digests of everything that the settings only name: the content of a file or a folder may change."""
    fonts = [*settings.soundfonts, *([settings.validation_soundfont] if settings.validation_soundfont else [])]
    material = settings.material
    named = {"validation_corpus": settings.validation_corpus, "groove": material.groove, "pop909": material.pop909}
    paths = {name: Path(place) for name, place in named.items() if place and Path(place).exists()}
    if settings.start:
        paths["start"] = _start_folder(settings.start)
    return {name: audio.content_hash(place) for name, place in paths.items()} | dict(soundfont_digests(fonts))


def _portable(settings: PretrainSettings) -> dict[str, object]:
    """Return settings as they are saved beside the weights, with the last part of each path alone."""
    table: dict[str, object] = asdict(settings)
    material = dict(asdict(settings.material))
    for place, name in ((table, "validation_corpus"), (table, "start"), (material, "groove"), (material, "pop909")):
        place[name] = Path(str(place[name])).name
    return {**table, "soundfonts": list(settings.soundfonts), "material": material}
