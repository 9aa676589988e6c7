"""Adaptation of separators to minutes of stems: networks from scratch or from a base, and dictionaries."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.learning.adaptation import changed, check_layers, require_strategy, start_facts, train_into
from levada.learning.card import adapted_card
from levada.learning.training import Progress
from levada.learning.weights import Weights, base_facts, digest, interpolate
from levada.separation import nmf
from levada.separation.augmentation import NO_AUGMENTATION
from levada.separation.examples import RATE, StemDataset, StemSettings, collate, sample_excerpt, stem_loss, train
from levada.separation.external import demucs
from levada.separation.external.demucs_network import HTDemucs
from levada.separation.networks.mask_net import MaskNet, MaskSettings
from levada.separation.stft import Stft
from levada.separation.task import FROM_SCRATCH
from levada.separation.unet_training import UNetTraining, train_unet

if TYPE_CHECKING:
    from levada.data import Multitrack, Span

__all__ = [
    "DEFAULTS",
    "FROM_SCRATCH",
    "STRATEGIES",
    "StemSettings",
    "adapt",
    "dictionaries",
    "finetune",
    "finetune_augment",
    "scratch",
    "settings_of",
    "unet",
]

Floats32 = npt.NDArray[np.float32]
Model = Weights | nmf.Dictionaries
Settings = StemSettings | UNetTraining | demucs.DemucsSettings | nmf.NmfSettings

SCRATCH = StemSettings()
FINETUNE = StemSettings(learning_rate=1e-3)
UNET = UNetTraining()
DEMUCS = demucs.DemucsSettings()
NMF = nmf.NmfSettings()


def scratch(
    spans: Sequence[Span[Multitrack]], *, settings: StemSettings = SCRATCH, folder: str | Path,
    progress: Progress | None = None, **_: object,
) -> Weights:  # fmt: skip
    """Train a new mask network on the stems alone."""
    import torch

    torch.manual_seed(settings.seed)
    net = MaskNet(MaskSettings(_instruments(spans)))
    check_layers((name for name, _ in net.named_parameters()), settings.layers)
    return _weights(_trained(net, spans, settings, folder, progress), spans, "trained from scratch", settings, None)


def finetune(
    spans: Sequence[Span[Multitrack]], *, base: Weights, settings: StemSettings = FINETUNE, folder: str | Path,
    progress: Progress | None = None,
) -> Weights:  # fmt: skip
    """Fine-tune a base network with a head for these instruments, without augmentation."""
    return finetune_augment(
        spans, base=base, settings=replace(settings, augmentation=NO_AUGMENTATION), folder=folder, progress=progress
    )


def finetune_augment(
    spans: Sequence[Span[Multitrack]], *, base: Weights, settings: StemSettings = FINETUNE, folder: str | Path,
    progress: Progress | None = None,
) -> Weights:  # fmt: skip
    """Fine-tune a base network with a head for these instruments on augmented stems.

    Its masks are multiplied with those of dictionaries of the same stems.
    """
    import torch

    if isinstance(settings, demucs.DemucsSettings):
        return demucs.adapt(spans, base=base, settings=settings, folder=folder, progress=progress)
    start = base.net.with_instruments(_instruments(spans))
    trained = interpolate(start, _trained(start, spans, settings, folder, progress), alpha=settings.alpha)
    if settings.bases:
        learnt = _bases(spans, nmf.NmfSettings(bases=settings.bases, bands=True, seed=settings.seed))
        trained = trained.with_bases(torch.from_numpy(np.concatenate(learnt, 1).transpose(1, 0, 2).copy()))
    how = "fine-tuned" if settings.augmentation == NO_AUGMENTATION else "fine-tuned with augmentation"
    return _weights(trained, spans, how, settings, base)


def unet(
    spans: Sequence[Span[Multitrack]], *, settings: UNetTraining = UNET, folder: str | Path,
    progress: Progress | None = None, **_: object,
) -> Weights:  # fmt: skip
    """Train a U-Net with an output for each instrument on the stems alone."""
    instruments = _instruments(spans)
    dataset = StemDataset.from_spans(spans, instruments)
    net = train_unet(dataset, instruments, settings=settings, folder=folder, progress=progress)
    return _weights(net, spans, "U-Net trained from scratch", settings, None)


def dictionaries(
    spans: Sequence[Span[Multitrack]], *, settings: nmf.NmfSettings = NMF, **_: object
) -> nmf.Dictionaries:
    """Learn dictionaries of the spectra of each instrument, without a network."""
    how = "Convolutive dictionaries" if settings.taps > 1 else "Dictionaries"
    card = adapted_card(spans, origin=f"{how} learnt from stems, no network", stems=True)
    return nmf.Dictionaries(_instruments(spans), _bases(spans, settings), card, settings)


STRATEGIES: dict[str, Callable[..., Model]] = {
    "scratch": scratch,
    "finetune": finetune,
    "finetune+augment": finetune_augment,
    "unet": unet,
    "nmf": dictionaries,
    "nmf-conv": partial(dictionaries, settings=nmf.CONVOLUTIVE),
}
"""From stems to a model: weights, or dictionaries."""
DEFAULTS: dict[str, Any] = {
    "scratch": SCRATCH,
    "finetune": FINETUNE,
    "finetune+augment": FINETUNE,
    "unet": UNET,
    "nmf": NMF,
    "nmf-conv": nmf.CONVOLUTIVE,
}


def settings_of(
    strategy: str,
    *,
    base: Weights | None = None,
    steps: int | None = None,
    learning_rate: float | None = None,
    layers: Sequence[str] = (),
) -> Settings:
    """Return the settings of a strategy, with those changed that are given.

    Parameters
    ----------
    strategy : str
        A name in `STRATEGIES`.
    base : Weights, optional
        The separator to start from: fine-tuning has other settings for Demucs.
    steps, learning_rate, layers
        See `StemSettings`.

    Raises
    ------
    InputError
        If the strategy does not exist, has no such settings, or cannot start from this base.
    """
    require_strategy(strategy, STRATEGIES)
    settings = DEFAULTS[strategy]
    if strategy.startswith("finetune") and base is not None and base.net.kind != MaskNet.kind:
        if base.net.kind != HTDemucs.kind:
            raise InputError(f"{strategy} starts from a mask network or Demucs; {base.card.name} is a {base.net.kind}")
        settings = DEMUCS
    return changed(  # type: ignore[no-any-return]
        settings, strategy, steps=steps, learning_rate=learning_rate, layers=layers
    )


def adapt(
    spans: Sequence[Span[Multitrack]],
    *,
    strategy: str = "finetune+augment",
    base: Weights | None = None,
    out: str | Path | None = None,
    settings: Settings | None = None,
    force: bool = False,
    log_to: Sequence[str] = (),
    progress: Progress | None = None,
) -> Model:
    """Adapt a separator to spans of songs with stems, and save it.

    Parameters
    ----------
    spans : sequence of Span[Multitrack]
    strategy : str
        A name in `STRATEGIES`.
    base : Weights, optional
        The separator to start from, for fine-tuning.
    settings : StemSettings, DemucsSettings, UNetTraining or NmfSettings, optional
        The strategy's own by default.
    out, force, log_to, progress
        See `levada.learning.adaptation.train_into`.

    Returns
    -------
    Weights or Dictionaries

    Raises
    ------
    InputError
        If the strategy does not exist, the output does, there are no stems or fewer than two instruments, or an
        unfinished run there was another one.
    Interrupted
        After Ctrl-C or SIGTERM (see `levada.learning.training.fit`): no model is saved, and the same call goes on with
        the training.
    """
    require_strategy(strategy, STRATEGIES)
    if strategy.startswith("finetune") and base is None:
        raise InputError(f"{strategy} needs a base separator to start from")
    if len(_instruments(spans)) < 2:
        raise InputError("separation needs two instruments or more; the stems have fewer")
    chosen = settings_of(strategy, base=base) if settings is None else settings
    if base is not None and strategy not in FROM_SCRATCH:
        check_layers((name for name, _ in base.net.named_parameters()), getattr(chosen, "layers", ()))

    def train_model(folder: Path, progress: Progress | None) -> Model:
        return STRATEGIES[strategy](spans, base=base, settings=chosen, folder=folder, progress=progress)

    labels = [[span.track.content_hash, span.start_s, span.end_s, list(span.track.instruments)] for span in spans]
    model: Model = train_into(
        out,
        train=train_model,
        config={"strategy": strategy, "labels": labels} | start_facts(None if base is None else digest(base), settings),
        force=force,
        log_to=log_to,
        progress=progress,
    )
    return model


def _instruments(spans: Sequence[Span[Multitrack]]) -> tuple[str, ...]:
    return tuple(sorted({name for span in spans for name in span.track.instruments}))


def _trained(
    net: MaskNet,
    spans: Sequence[Span[Multitrack]],
    settings: StemSettings,
    folder: str | Path,
    progress: Progress | None,
) -> MaskNet:
    trained: MaskNet = train(
        net,
        partial(sample_excerpt, StemDataset.from_spans(spans, net.instruments), settings),
        partial(collate, instruments=net.instruments),
        settings=settings,
        loss=partial(stem_loss, softness_db=settings.softness_db),
        folder=folder,
        progress=progress,
    )
    return trained


def _bases(spans: Sequence[Span[Multitrack]], settings: nmf.NmfSettings) -> tuple[Floats32, ...]:
    """Learn the bases of each instrument, in the order of their names."""
    instruments, transform = _instruments(spans), Stft(RATE)
    magnitudes: dict[str, list[Floats32]] = {name: [] for name in instruments}
    for example in StemDataset.from_spans(spans, instruments).examples:
        for name, stem in example.stems.items():
            magnitudes[name].append(np.abs(transform.forward(stem)))
    return nmf.learn(magnitudes, settings=settings)


def _weights(net: Any, spans: Sequence[Span[Multitrack]], how: str, settings: Any, base: Weights | None) -> Weights:
    card = adapted_card(spans, origin=how.capitalize(), base=None if base is None else base.card, stems=True)
    return Weights(net.eval(), card, {}, asdict(settings) | base_facts(base))
