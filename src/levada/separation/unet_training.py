"""Training of the U-Net from stems: one network with an output for each instrument."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from levada.errors import check_number
from levada.learning.training import Progress
from levada.learning.training_log import VALIDATION_LOSS
from levada.separation.augmentation import NO_AUGMENTATION
from levada.separation.examples import RATE, ExcerptSettings, StemDataset, sample_spectra, train
from levada.separation.stft import N_BANDS, Stft

if TYPE_CHECKING:
    import torch

    from levada.separation.networks.unet import MagnitudeBatch, UNet

__all__ = ["UNetTraining", "train_unet"]

VALIDATIONS, VALIDATION_EXCERPTS = 20, 32


@dataclass(frozen=True)
class UNetTraining(ExcerptSettings):
    """Settings of the training of a U-Net.

    Parameters
    ----------
    steps, learning_rate, batch, excerpt_s, augmentation
        See `levada.separation.examples.ExcerptSettings`; 2.94 s are 128 frames.
    channels : tuple of int
        Filters of each layer: see `levada.separation.networks.unet.UNetSettings`.
    bins : int
        Number of frequencies of the input.
    dropout : float
    average : float
        Decay of the average of the weights.
    layers : tuple of str
        Prefixes of the names of the parameters that are trained: "up" freezes the encoder, "down" the decoder; all
        where empty. Statistics of batches are those of the new music in every layer.
    validation : float
        Fraction of the examples that are only used for the loss in validation, which is in the log.
    patience : int
        See `levada.learning.training.FitSettings`; with no validation nothing is stopped early.
    level_db : float
        Range of the random error of the level of the whole recording, either way.
    seed : int
    """

    batch: int = 4
    excerpt_s: float = 2.94
    channels: tuple[int, ...] = (16, 32, 64, 128, 256, 512)
    bins: int = 1024
    dropout: float = 0.1
    average: float = 0.98
    layers: tuple[str, ...] = ()
    validation: float = 0.0
    patience: int = 0
    level_db: float = 4.0
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_number("level_db", self.level_db, 0, 60)
        check_number("validation", self.validation, 0, 0.5)


def train_unet(
    dataset: StemDataset,
    instruments: tuple[str, ...],
    *,
    settings: UNetTraining = UNetTraining(),
    base: UNet | None = None,
    folder: str | Path,
    progress: Progress | None = None,
) -> UNet:
    """Train a U-Net.

    Parameters
    ----------
    dataset : StemDataset
        Mono, at `levada.separation.examples.RATE`.
    instruments : tuple of str
        Two or more, each of which gets a mask; masks sum to one. "rest" is everything that is not one of the others.
    settings : UNetTraining
    base : UNet, optional
        The network to start from; a new one by default.
    folder, progress
        See `levada.learning.training.fit`.
    """
    import torch

    from levada.separation.networks.unet import REST, UNet, UNetSettings, magnitude_loss

    torch.manual_seed(settings.seed)
    outputs = tuple(name for name in instruments if name != REST) if len(instruments) == 2 else instruments
    if base is None:
        net = UNet(UNetSettings(outputs, settings.channels, settings.bins, settings.dropout))
    else:
        net = base.with_instruments(outputs)
    held_out = round(settings.validation * len(dataset.examples))
    validation = StemDataset(dataset.examples[:held_out]) if held_out else None
    if held_out:
        dataset = StemDataset(dataset.examples[held_out:])
    trained: UNet = train(
        net,
        partial(_excerpt, net, dataset, settings),
        _collate,
        settings=settings,
        loss=magnitude_loss,
        folder=folder,
        validate=None if validation is None else _validation(validation, settings, net),
        validate_every=max(1, settings.steps // VALIDATIONS),
        progress=progress,
    )
    return trained


def _collate(excerpts: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> MagnitudeBatch:
    import torch

    from levada.separation.networks.unet import MagnitudeBatch

    return MagnitudeBatch(*map(torch.stack, zip(*excerpts, strict=True)))


def _validation(dataset: StemDataset, settings: UNetTraining, net: UNet) -> Callable[[UNet], dict[str, float]]:
    """Return the loss on the same excerpts each time, without augmentation."""
    import torch

    from levada.separation.networks.unet import magnitude_loss

    rng, plain = np.random.default_rng(0), replace(settings, augmentation=NO_AUGMENTATION, level_db=0.0)
    batch = _collate([_excerpt(net, dataset, plain, rng) for _ in range(VALIDATION_EXCERPTS)])

    def validate(net: UNet) -> dict[str, float]:
        device = next(net.parameters()).device
        with torch.inference_mode():
            loss = magnitude_loss(net(batch.features.to(device)), batch._replace(stems=batch.stems.to(device)))
        return {VALIDATION_LOSS: float(loss)}

    return validate


def _excerpt(
    net: UNet, dataset: StemDataset, settings: UNetTraining, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw the magnitudes of a mixture [shape=(frames, bins)] and of its stems [shape=(instruments, frames, bins)]."""
    import torch

    length, transform = round(settings.excerpt_s * RATE), Stft(RATE)
    spectra, _ = sample_spectra(dataset, length, rate=RATE, config=settings.augmentation, rng=rng)
    silence = np.zeros((transform.n_frames(length), transform.n_bins), np.complex64)
    stems = np.stack([spectra.get(name, silence) for name in net.instruments])
    powers = torch.from_numpy(np.abs(np.concatenate([stems.sum(0)[None], stems])) ** 2)
    level = powers[0].sum() / (len(silence) * N_BANDS) * 10 ** (rng.uniform(-settings.level_db, settings.level_db) / 10)
    magnitudes = net.features(powers, level)
    return magnitudes[0], magnitudes[1:]
