"""What a separator learns from: excerpts of stems, mixed anew in every step, and what its masks are asked for.

What is minimised is what is scored: the error of each stem against its energy, in decibels. A mask is the same for all
bins of a band, so that the error of a band follows from three numbers - the power of the mixture, that of the stem, and
how much they have in common - and training never leaves the bands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.separation.augmentation import StemAugmentation, mix
from levada.separation.networks.mask_net import features
from levada.separation.stft import Stft

if TYPE_CHECKING:
    from torch import Tensor

__all__ = [
    "CLIP",
    "RATE",
    "Excerpt",
    "Song",
    "StemBatch",
    "StemSettings",
    "Stock",
    "ahead",
    "batches",
    "excerpts",
    "stacked",
    "stem_loss",
]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator

RATE = 44100
"""At which networks learn; they are used at any."""
CLIP = 5.0
SILENT_DB = -10.0


@dataclass(frozen=True)
class StemSettings:
    """How a separator is trained.

    Parameters
    ----------
    steps : int
    learning_rate : float
    batch : int
        Excerpts a step.
    excerpt_s : float
        How long each is.
    augmentation : StemAugmentation
    weight_decay : float
    average : float
        Decay of the average of the weights.
    layers : tuple of str
        Beginnings of the names of what is trained ("head", "blocks.9"); all where empty.
    softness_db : float
        How far below the mixture errors no longer count.
    partway : float
        How far a fine-tuned network goes from its base to what the stems taught it: `weights.interpolate`.
    bases : int
        Spectra of each instrument in dictionaries of the same stems, which have a say beside a fine-tuned network; 0 is
        no dictionaries.
    level_db : float
        How uncertain the network is of how loud the rest of the recording is.
    seed : int
    """

    steps: int = 300
    learning_rate: float = 2e-3
    batch: int = 8
    excerpt_s: float = 2.2
    augmentation: StemAugmentation = field(default_factory=StemAugmentation)
    weight_decay: float = 1e-2
    average: float = 0.98
    layers: tuple[str, ...] = ()
    softness_db: float = -30.0
    level_db: float = 4.0
    partway: float = 0.5
    bases: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.augmentation, dict):
            object.__setattr__(self, "augmentation", StemAugmentation(**self.augmentation))
        object.__setattr__(self, "layers", tuple(self.layers))
        if not 0 <= self.partway <= 1 or not 0 <= self.bases <= 256:
            raise InputError(f"a network goes from 0 to 1 of the way, and there are 0 to 256 bases: {self}")
        if self.batch < 1 or not self.excerpt_s > 0 or not 0 <= self.level_db <= 60:
            raise InputError(f"these settings make no sense: {self}")


class StemBatch(NamedTuple):
    """What a network sees in a step, and what it is asked.

    Parameters
    ----------
    bands : float32 tensor [shape=(batch, frames, bands)]
        Features of the mixture.
    mixture : float32 tensor [shape=(batch, frames, bands)]
        Its power.
    shared, own : float32 tensor [shape=(batch, instruments, frames, bands)]
        What each stem has in common with the mixture (the real part of the product of their spectra), and its power.
    told_apart : float32 tensor [shape=(batch, instruments)]
        0 where an instrument is not asked for.
    """

    bands: Tensor
    mixture: Tensor
    shared: Tensor
    own: Tensor
    told_apart: Tensor


def stem_loss(logits: Tensor, batch: StemBatch, *, softness_db: float = -30.0) -> Tensor:
    """The mean over stems of the energy of the error against that of the stem, in decibels.

    Errors and stems below `softness_db` of the mixture count little. A stem that is silent asks for silence, but only
    until what leaks into it is below `SILENT_DB`: no score rewards more, and music would pay for it.
    """
    import torch

    apart = batch.told_apart[:, :, None, None]
    masks = logits.masked_fill(apart == 0, -torch.inf).softmax(1)
    error = (masks * (masks * batch.mixture[:, None] - 2 * batch.shared) + batch.own).clamp(min=0).sum((2, 3))
    whole, own = batch.mixture.sum((1, 2))[:, None] + 1e-12, batch.own.sum((2, 3))
    soft = whole * torch.where(own > 0, 10 ** (softness_db / 10), 10 ** (SILENT_DB / 10))
    decibels = 10 * torch.log10((error + soft) / (own + soft))
    return (decibels * batch.told_apart).sum() / batch.told_apart.sum()


class Song(NamedTuple):
    """Stems to learn from.

    Parameters
    ----------
    stems : mapping of str to float32 or float16 [shape=(samples,)]
        By instrument; at `RATE`.
    among : tuple of str
        The instruments that are told apart in it; those it has not are silent.
    """

    stems: Mapping[str, npt.NDArray[Any]]
    among: tuple[str, ...]


class Stock:
    """Songs, and where each instrument is heard.

    Parameters
    ----------
    songs : sequence of Song
    """

    def __init__(self, songs: Sequence[Song]) -> None:
        self.songs = [song for song in songs if any(len(stem) for stem in song.stems.values())]
        if not self.songs:
            raise InputError("there are no stems to learn from")
        self.lengths = np.array([max(map(len, song.stems.values())) for song in self.songs], float)
        self.having: dict[str, list[int]] = {}
        for index, song in enumerate(self.songs):
            for name in song.stems:
                self.having.setdefault(name, []).append(index)

    def draw(self, length: int, *, remix: float, rng: Generator) -> tuple[dict[str, Floats32], tuple[str, ...]]:
        """Stems of an excerpt, of one place or of many, and what is told apart in it."""
        song = self.songs[int(rng.choice(len(self.songs), p=self.lengths / self.lengths.sum()))]
        remixed, start = rng.random() < remix, rng.random()
        names = list(song.stems)
        if remixed:
            names += [one for one in song.among if one not in song.stems and one in self.having and rng.random() < 0.3]
        drawn = {}
        for name in names:
            source, at = song, start
            if remixed:
                own = self.having[name]
                source, at = self.songs[own[int(rng.integers(len(own)))]], rng.random()
            stem = source.stems[name]
            first = int(at * max(0, len(stem) - length))
            drawn[name] = np.asarray(stem[first : first + length], np.float32)
        return drawn, song.among


class Excerpt(NamedTuple):
    """A moment of a song, mixed anew.

    Parameters
    ----------
    among : tuple of str
        What is told apart in it.
    level : float32
        What the network takes for the mean power of a band in the whole recording.
    mixture : float32 [shape=(frames, bands)]
    shared, own : float32 [shape=(len(among), frames, bands)]
    """

    among: tuple[str, ...]
    level: np.float32
    mixture: Floats32
    shared: Floats32
    own: Floats32


def batches(stock: Stock, instruments: Sequence[str], settings: StemSettings, start: int) -> Iterator[StemBatch]:
    """Excerpts of songs, changed and mixed anew, from a step on.

    Parameters
    ----------
    stock : Stock
    instruments : sequence of str
        What the network tells apart.
    settings : StemSettings
    start : int
        The first step.

    Yields
    ------
    StemBatch
    """
    yield from ahead(partial(_batch, stock, tuple(instruments), settings), start, settings.steps)


def ahead(made: Callable[[int], StemBatch], start: int, stop: int) -> Iterator[StemBatch]:
    """The batches of these steps: while a network learns from one, the next is made."""
    with ThreadPoolExecutor(1) as beside:
        coming = beside.submit(made, start)
        for step in range(start, stop):
            ready = coming.result()
            if step + 1 < stop:
                coming = beside.submit(made, step + 1)
            yield ready


def excerpts(stock: Stock, settings: StemSettings, step: int) -> list[Excerpt]:
    """What is heard in a step."""
    rng = np.random.default_rng([settings.seed, step])
    return [_excerpt(stock, settings, rng) for _ in range(settings.batch)]


def stacked(heard: Sequence[Excerpt], places: Sequence[Sequence[int]], width: int) -> StemBatch:
    """Excerpts as a batch, in which stem `i` of an excerpt has the place `places[i]` of `width`."""
    import torch

    shape = (len(heard), width, *heard[0].mixture.shape)
    shared, own = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    apart = np.zeros(shape[:2], np.float32)
    for index, (one, place) in enumerate(zip(heard, places, strict=True)):
        shared[index, place], own[index, place], apart[index, place] = one.shared, one.own, 1
    mixture = torch.from_numpy(np.stack([one.mixture for one in heard]))
    level = torch.from_numpy(np.stack([one.level for one in heard]))[:, None, None]
    return StemBatch(features(mixture, level), mixture, *map(torch.from_numpy, (shared, own, apart)))


def _batch(stock: Stock, instruments: tuple[str, ...], settings: StemSettings, step: int) -> StemBatch:
    heard = excerpts(stock, settings, step)
    return stacked(heard, [[instruments.index(name) for name in one.among] for one in heard], len(instruments))


def _excerpt(stock: Stock, settings: StemSettings, rng: Generator) -> Excerpt:
    by, length = settings.augmentation, round(settings.excerpt_s * RATE)
    drawn, among = stock.draw(round(length * by.reach) + 1, remix=by.remix, rng=rng)
    transform = Stft(RATE)
    spectra = mix(list(drawn.values()), length, rate=RATE, by=by, rng=rng)
    whole = spectra.sum(0)
    mixture = transform.bands(_power(whole))
    shared, own = (np.zeros((len(among), *mixture.shape), np.float32) for _ in range(2))
    for name, spectrum in zip(drawn, spectra, strict=True):
        own[among.index(name)] = transform.bands(_power(spectrum))
        shared[among.index(name)] = transform.bands(whole.real * spectrum.real + whole.imag * spectrum.imag)
    scale = np.float32(1 / (mixture.mean() + 1e-12))
    level = np.float32(10 ** (rng.uniform(-settings.level_db, settings.level_db) / 10))
    return Excerpt(among, level, mixture * scale, shared * scale, own * scale)


def _power(spectrum: npt.NDArray[np.complex64]) -> Floats32:
    return np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32)
