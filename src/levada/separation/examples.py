"""Training data of separators: excerpts of stems, augmented and mixed anew in every step, and the loss of masks.

The loss is what is scored: the energy of the error of each stem relative to that of the stem, in decibels. A mask is
the same for all bins of a band, so that the error in a band follows from three numbers - the power of the mixture, that
of the stem, and their cross power - and training needs bands alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from levada.errors import InputError, check_number
from levada.learning.training import FitSettings, Progress, fit
from levada.separation.augmentation import StemAugmentation, augment
from levada.separation.stft import Stft

if TYPE_CHECKING:
    from torch import Tensor

    from levada.data import Multitrack, Span

__all__ = [
    "CLIP",
    "RATE",
    "Example",
    "Excerpt",
    "ExcerptSettings",
    "StemBatch",
    "StemDataset",
    "StemSettings",
    "batches",
    "collate",
    "in_bands",
    "magnitudes",
    "power_of",
    "read_examples",
    "sample_excerpt",
    "sample_spectra",
    "stem_loss",
    "train",
]

RATE = 44100
"""Sample rate at which networks are trained; they separate recordings of any rate."""
CLIP = 5.0
"""Maximum norm of the gradient in training."""
SILENT_DB = -10.0  # of a silent stem, the energy relative to the mixture down to which errors count
P_EXTRA = 0.3  # probability that a remixed excerpt has an instrument that its recording lacks

Floats32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]
Generator = np.random.Generator
Sample = TypeVar("Sample")
Batch = TypeVar("Batch")


@dataclass(frozen=True)
class ExcerptSettings:
    """Settings that the trainings of all networks have.

    Parameters
    ----------
    steps : int
    learning_rate : float
    batch : int
        Excerpts in a step.
    excerpt_s : float, optional
        Length of an excerpt, in seconds; that of the network by default.
    augmentation : StemAugmentation
    """

    steps: int = 300
    learning_rate: float = 2e-3
    batch: int = 8
    excerpt_s: float | None = None
    augmentation: StemAugmentation = field(default_factory=StemAugmentation)

    def __post_init__(self) -> None:
        if self.batch < 1 or (self.excerpt_s is not None and not self.excerpt_s > 0):
            raise InputError(f"batch and excerpt_s must be above 0: {self}")


@dataclass(frozen=True)
class StemSettings(ExcerptSettings):
    """Settings of the training of a mask network.

    Parameters
    ----------
    steps, learning_rate, batch, excerpt_s, augmentation
        See `ExcerptSettings`.
    weight_decay : float
    average : float
        Decay of the average of the weights.
    layers : tuple of str
        Prefixes of the names of the parameters that are trained ("head", "blocks.9"); all where empty.
    softness_db : float
        Energy relative to the mixture below which errors count little.
    alpha : float
        Interpolation of weights from the base (0) to the fine-tuned network (1).
    bases : int
        Spectra of each instrument in dictionaries of the same stems, whose masks are multiplied with those of a
        fine-tuned network; 0 for no dictionaries.
    level_db : float
        Range of the random error of the level of the whole recording, either way.
    seed : int
    """

    excerpt_s: float = 2.2
    weight_decay: float = 1e-2
    average: float = 0.98
    layers: tuple[str, ...] = ()
    softness_db: float = -30.0
    level_db: float = 4.0
    alpha: float = 0.5
    bases: int = 8
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("alpha", self.alpha, 0, 1)
        check_number("bases", self.bases, 0, 256)
        check_number("level_db", self.level_db, 0, 60)


class StemBatch(NamedTuple):
    """Input and target of a training step.

    Parameters
    ----------
    features : float32 tensor [shape=(batch, frames, bands)]
        Input of the network.
    mixture : float32 tensor [shape=(batch, frames, bands)]
        Power of the mixture.
    cross, power : float32 tensor [shape=(batch, instruments, frames, bands)]
        Cross power of each stem with the mixture (the real part of the product of their spectra), and its power.
    included : float32 tensor [shape=(batch, instruments)]
        1 for the instruments that are separated in an excerpt, 0 for all others.
    """

    features: Tensor
    mixture: Tensor
    cross: Tensor
    power: Tensor
    included: Tensor


def stem_loss(logits: Tensor, batch: StemBatch, *, softness_db: float = -30.0) -> Tensor:
    """Return the mean over stems of the energy of the error relative to that of the stem, in decibels.

    Energies below `softness_db` relative to the mixture count little. Errors of a silent stem count down to
    `SILENT_DB` only: no metric rewards more, and it would cost the other stems.
    """
    import torch

    included = batch.included[:, :, None, None]
    masks = logits.masked_fill(included == 0, -torch.inf).softmax(1)
    error = (masks * (masks * batch.mixture[:, None] - 2 * batch.cross) + batch.power).clamp(min=0).sum((2, 3))
    whole, stem = batch.mixture.sum((1, 2))[:, None] + 1e-12, batch.power.sum((2, 3))
    soft = whole * torch.where(stem > 0, 10 ** (softness_db / 10), 10 ** (SILENT_DB / 10))
    decibels = 10 * torch.log10((error + soft) / (stem + soft))
    return (decibels * batch.included).sum() / batch.included.sum()


class Example(NamedTuple):
    """The stems of a recording, for training.

    Parameters
    ----------
    stems : mapping of str to float32 or float16 [shape=(..., samples)]
        By instrument.
    instruments : tuple of str
        The instruments that are separated in it; those without a stem are silent.
    """

    stems: Mapping[str, npt.NDArray[Any]]
    instruments: tuple[str, ...]


def read_examples(
    spans: Sequence[Span[Multitrack]], instruments: Sequence[str], *, rate: int = RATE, channels: int | None = None
) -> list[Example]:
    """Read stretches of recordings, an example of each; for the arguments see `StemDataset.from_spans`."""
    examples = []
    for span in spans:
        stems, _ = span.read(instruments, rate=rate, channels=channels or 1)
        level = np.float32(float(np.sqrt(np.mean(np.square(stems.sum(0), dtype=np.float64)))) + 1e-9)
        chosen = {name: stem / level for name, stem in zip(instruments, stems, strict=True) if stem.any()}
        kept = {name: stem if channels else stem[0] for name, stem in chosen.items()}
        examples.append(Example(kept, tuple(instruments)))
    return examples


def magnitudes(examples: Sequence[Example], instruments: Sequence[str]) -> dict[str, list[Floats32]]:
    """Compute the magnitudes of the stems of each instrument, as `levada.separation.nmf.learn` takes them.

    Parameters
    ----------
    examples : sequence of Example
        With stems of the shape (samples,) at `RATE`.
    instruments : sequence of str

    Returns
    -------
    dict of str to list of float32 [shape=(frames, bins)]
    """
    transform = Stft(RATE)
    return {
        name: [np.abs(transform.forward(one.stems[name])) for one in examples if name in one.stems]
        for name in instruments
    }


class StemDataset:
    """Examples to train on, and an index of the instruments in them.

    Parameters
    ----------
    examples : sequence of Example

    Raises
    ------
    InputError
        If there are no samples.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self.examples = [one for one in examples if any(stem.shape[-1] for stem in one.stems.values())]
        if not self.examples:
            raise InputError("there are no stems to train on: all are silent or empty")
        self.lengths = np.array([max(stem.shape[-1] for stem in one.stems.values()) for one in self.examples], float)
        self.index: dict[str, list[int]] = {}
        for number, example in enumerate(self.examples):
            for name in example.stems:
                self.index.setdefault(name, []).append(number)

    @classmethod
    def from_spans(
        cls,
        spans: Sequence[Span[Multitrack]],
        instruments: tuple[str, ...],
        *,
        rate: int = RATE,
        channels: int | None = None,
    ) -> StemDataset:
        """Read stretches of recordings; the root mean square of each mixture becomes 1.

        Parameters
        ----------
        spans : sequence of Span[Multitrack]
        instruments : tuple of str
        rate : int
            In Hz.
        channels : int, optional
            Stems have the shape (channels, samples), or (samples,) by default.
        """
        return cls(read_examples(spans, instruments, rate=rate, channels=channels))

    def sample(self, length: int, *, remix: float, rng: Generator) -> tuple[dict[str, Floats32], tuple[str, ...]]:
        """Draw an excerpt.

        Parameters
        ----------
        length : int
            In samples.
        remix : float
            Probability that its stems come from different positions and recordings.
        rng : numpy.random.Generator

        Returns
        -------
        stems : dict of str to float32 [shape=(..., samples)]
        instruments : tuple of str
            Those that are separated in it.
        """
        example = self.examples[int(rng.choice(len(self.examples), p=self.lengths / self.lengths.sum()))]
        remixed, start = rng.random() < remix, rng.random()
        names = list(example.stems)
        if remixed:
            names += [
                one
                for one in example.instruments
                if one not in example.stems and one in self.index and rng.random() < P_EXTRA
            ]
        stems = {}
        for name in names:
            source, at = example, start
            if remixed:
                candidates = self.index[name]
                source, at = self.examples[candidates[int(rng.integers(len(candidates)))]], rng.random()
            stem = source.stems[name]
            first = int(at * max(0, stem.shape[-1] - length))
            stems[name] = np.asarray(stem[..., first : first + length], np.float32)
        return stems, example.instruments


class Excerpt(NamedTuple):
    """An augmented excerpt of an example, in bands.

    Parameters
    ----------
    instruments : tuple of str
        Those that are separated in it.
    level : float32
        Assumed mean power of a band in the whole recording, relative to that of the excerpt.
    mixture : float32 [shape=(frames, bands)]
    cross, power : float32 [shape=(len(instruments), frames, bands)]
    """

    instruments: tuple[str, ...]
    level: np.float32
    mixture: Floats32
    cross: Floats32
    power: Floats32


def train(
    net: Any,
    sample: Callable[[Generator], Sample],
    collate: Callable[[Sequence[Sample]], Any],
    *,
    settings: Any,
    loss: Callable[[Any, Any], Tensor],
    folder: str | Path,
    validate: Callable[[Any], dict[str, float]] | None = None,
    validate_every: int = 0,
    progress: Progress | None = None,
) -> Any:
    """Train a network on excerpts.

    Parameters
    ----------
    net : nn.Module
    sample : callable
        Draws an excerpt with a `numpy.random.Generator`.
    collate : callable
        Puts the excerpts of a step into a batch.
    settings : ExcerptSettings
        Fields as in `levada.learning.training.FitSettings` are those of the training; with `layers`, only parameters
        whose names begin so are trained.
    loss, folder, validate, validate_every, progress
        See `levada.learning.training.fit`.

    Returns
    -------
    nn.Module
    """
    shared = {entry.name for entry in fields(settings)} & {entry.name for entry in fields(FitSettings)}
    layers = getattr(settings, "layers", ())
    return fit(
        net,
        lambda start: batches(sample, collate, settings, start),
        settings=FitSettings(clip=CLIP, **{name: getattr(settings, name) for name in shared}),
        loss=loss,
        folder=folder,
        trained=(lambda name: name.startswith(layers)) if layers else None,
        validate=validate,
        validate_every=validate_every,
        progress=progress,
    )


def batches(
    sample: Callable[[Generator], Sample], collate: Callable[[Sequence[Sample]], Batch], settings: Any, start: int
) -> Iterator[Batch]:
    """Yield the batches of all steps from one on; the next one is prepared in another thread.

    Parameters
    ----------
    sample, collate, settings
        See `train`.
    start : int
        The first step.

    Yields
    ------
    Batch
        It depends on the number of its step alone.
    """

    def batch_of(step: int) -> Batch:
        rng = np.random.default_rng([settings.seed, step])
        return collate([sample(rng) for _ in range(settings.batch)])

    with ThreadPoolExecutor(1) as executor:
        future = executor.submit(batch_of, start)
        for step in range(start, settings.steps):
            batch = future.result()
            if step + 1 < settings.steps:
                future = executor.submit(batch_of, step + 1)
            yield batch


def collate(excerpts: Sequence[Excerpt], instruments: Sequence[str] | None = None) -> StemBatch:
    """Put excerpts into a batch.

    Parameters
    ----------
    excerpts : sequence of Excerpt
    instruments : sequence of str, optional
        Those of the batch; by default an excerpt has its own instruments, and silence up to the largest number of them.

    Returns
    -------
    StemBatch
    """
    import torch

    names = [one.instruments if instruments is None else instruments for one in excerpts]
    positions = [[row.index(name) for name in one.instruments] for one, row in zip(excerpts, names, strict=True)]
    width = max(map(len, names))
    shape = (len(excerpts), width, *excerpts[0].mixture.shape)
    cross, power = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    included = np.zeros(shape[:2], np.float32)
    for index, (one, at) in enumerate(zip(excerpts, positions, strict=True)):
        cross[index, at], power[index, at], included[index, at] = one.cross, one.power, 1
    mixture = torch.from_numpy(np.stack([one.mixture for one in excerpts]))
    level = torch.from_numpy(np.stack([one.level for one in excerpts]))[:, None, None]
    from levada.separation.networks.mask_net import features

    return StemBatch(features(mixture, level), mixture, *map(torch.from_numpy, (cross, power, included)))


def sample_spectra(
    dataset: StemDataset, length: int, *, rate: int, config: StemAugmentation, rng: Generator
) -> tuple[dict[str, Complex64], tuple[str, ...]]:
    """Draw an augmented excerpt.

    Parameters
    ----------
    dataset : StemDataset
    length, rate, config, rng
        See `levada.separation.augmentation.augment`.

    Returns
    -------
    spectra : dict of str to complex64 [shape=(..., frames, bins)]
        Of each stem; their sum is the mixture.
    instruments : tuple of str
        Those that are separated in it.
    """
    stems, instruments = dataset.sample(round(length * config.max_speed) + 1, remix=config.remix, rng=rng)
    spectra = augment(list(stems.values()), length, rate=rate, config=config, rng=rng)
    return dict(zip(stems, spectra, strict=True)), instruments


def sample_excerpt(dataset: StemDataset, settings: StemSettings, rng: Generator) -> Excerpt:
    """Draw an augmented excerpt, in bands."""
    length, transform = round(settings.excerpt_s * RATE), Stft(RATE)
    spectra, instruments = sample_spectra(dataset, length, rate=RATE, config=settings.augmentation, rng=rng)
    whole = np.stack(list(spectra.values())).sum(0)
    mixture = transform.to_bands(power_of(whole))
    cross, power = (np.zeros((len(instruments), *mixture.shape), np.float32) for _ in range(2))
    for name, spectrum in spectra.items():
        cross[instruments.index(name)], power[instruments.index(name)] = in_bands(spectrum, whole)
    scale = np.float32(1 / (mixture.mean() + 1e-12))
    level = np.float32(10 ** (rng.uniform(-settings.level_db, settings.level_db) / 10))
    return Excerpt(instruments, level, mixture * scale, cross * scale, power * scale)


def in_bands(spectrum: Complex64, mixture: Complex64) -> tuple[Floats32, Floats32]:
    """Return the cross power of a stem with the mixture, and its power, in bands [shape=(frames, bands)]."""
    transform = Stft(RATE)
    cross = transform.to_bands(mixture.real * spectrum.real + mixture.imag * spectrum.imag)
    return cross, transform.to_bands(power_of(spectrum))


def power_of(spectrum: Complex64) -> Floats32:
    """Return the power of each bin."""
    return np.asarray(spectrum.real**2 + spectrum.imag**2, np.float32)
