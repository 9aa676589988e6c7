"""Adaptation of separators to minutes of stems: networks from scratch or from a base, and dictionaries.

- `auto`: chooses among the base, dictionaries, fine-tuning and their fusion, by cross-validation on the labels.
- `nmf`, `nmf-conv`: dictionaries without a network.
- `finetune`, `finetune+augment`: the base trained further; `scratch`, `unet`: new networks.

An adapted base keeps its instruments and its dictionaries when it is adapted again.
"""

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
from levada.learning.card import Card, adapted_card
from levada.learning.choice import Choice
from levada.learning.model_folder import model_digest
from levada.learning.training import Progress, check_torch
from levada.learning.weights import Weights, base_facts, digest, interpolate
from levada.separation import networks, nmf
from levada.separation.augmentation import NO_AUGMENTATION
from levada.separation.auto import choose
from levada.separation.examples import (
    Example,
    StemDataset,
    StemSettings,
    collate,
    magnitudes,
    read_examples,
    sample_excerpt,
    stem_loss,
    train,
)
from levada.separation.external import demucs
from levada.separation.fusion import Fusion
from levada.separation.label_matching import initial_instruments
from levada.separation.networks.mask_inference import MaskSettings
from levada.separation.task import FROM_SCRATCH, NON_NEURAL
from levada.separation.unet_training import UNetTraining, train_unet

if TYPE_CHECKING:
    from levada.data import Multitrack, Span
    from levada.separation.networks.mask_net import MaskNet

__all__ = [
    "DEFAULTS",
    "FROM_SCRATCH",
    "STRATEGIES",
    "StemSettings",
    "adapt",
    "auto",
    "dictionaries",
    "finetune",
    "finetune_augment",
    "scratch",
    "settings_of",
    "unet",
]

Floats32 = npt.NDArray[np.float32]
Model = Weights | nmf.Dictionaries | Fusion
Settings = StemSettings | UNetTraining | demucs.DemucsSettings | nmf.NmfSettings

SCRATCH = StemSettings()
FINETUNE = StemSettings(learning_rate=1e-3)
UNET, UNET_FINETUNE = UNetTraining(), UNetTraining(learning_rate=1e-3)
DEMUCS = demucs.DemucsSettings()
NMF = nmf.NmfSettings()


def scratch(
    spans: Sequence[Span[Multitrack]], *, settings: StemSettings = SCRATCH, folder: str | Path,
    progress: Progress | None = None, **_: object,
) -> Weights:  # fmt: skip
    """Train a new mask network on the stems alone."""
    import torch

    torch.manual_seed(settings.seed)
    from levada.separation.networks.mask_net import MaskNet

    net = MaskNet(MaskSettings(_instruments(spans)))
    check_layers((name for name, _ in net.named_parameters()), settings.layers)
    trained = _trained(net, StemDataset.from_spans(spans, net.instruments), settings, folder, progress)
    return _weights(trained, spans, "trained from scratch", settings, None)


def finetune(
    spans: Sequence[Span[Multitrack]], *, base: Model, settings: StemSettings = FINETUNE, folder: str | Path,
    progress: Progress | None = None,
) -> Weights:  # fmt: skip
    """Fine-tune a base network with a head for these instruments, without augmentation."""
    return finetune_augment(
        spans, base=base, settings=replace(settings, augmentation=NO_AUGMENTATION), folder=folder, progress=progress
    )


def finetune_augment(
    spans: Sequence[Span[Multitrack]], *, base: Model, settings: StemSettings = FINETUNE, folder: str | Path,
    progress: Progress | None = None,
) -> Weights:  # fmt: skip
    """Fine-tune a base network with a head for these instruments on augmented stems.

    Its masks are multiplied with those of dictionaries of the same stems.
    """
    network = _network(base)
    assert network is not None  # `adapt` checks it
    start = replace(network, card=base.card)
    if isinstance(settings, demucs.DemucsSettings):
        return demucs.adapt(spans, base=start, settings=settings, folder=folder, progress=progress)
    if isinstance(settings, UNetTraining):
        return _unet(spans, start, settings, folder, progress)
    examples = read_examples(spans, _instruments(spans))
    tuned = _fine_tuned(examples, _all_instruments(spans, base), network.net, settings, folder, progress)
    how = "fine-tuned" if settings.augmentation == NO_AUGMENTATION else "fine-tuned with augmentation"
    return _weights(tuned, spans, how, settings, start)


def unet(
    spans: Sequence[Span[Multitrack]], *, settings: UNetTraining = UNET, folder: str | Path,
    progress: Progress | None = None, **_: object,
) -> Weights:  # fmt: skip
    """Train a U-Net with an output for each instrument on the stems alone."""
    return _unet(spans, None, settings, folder, progress)


def dictionaries(
    spans: Sequence[Span[Multitrack]], *, base: Model | None = None, settings: nmf.NmfSettings = NMF, **_: object
) -> nmf.Dictionaries:
    """Learn dictionaries of the spectra of each instrument, without a network; those of an adapted base stay."""
    names, before = _instruments(spans), _dictionaries(base)
    how = "Convolutive dictionaries" if settings.taps > 1 else "Dictionaries"
    origin = f"{how} learnt from stems, no network"
    card = adapted_card(spans, origin=origin, base=None if before is None else before.card, stems=True)
    bases = nmf.learn(magnitudes(read_examples(spans, names), names), settings=settings)
    learnt = nmf.Dictionaries(names, bases, card, settings)
    return learnt if before is None else nmf.joined(before, learnt, _all_instruments(spans, before))


def auto(
    spans: Sequence[Span[Multitrack]], *, base: Model | None = None, settings: StemSettings = FINETUNE,
    folder: str | Path, progress: Progress | None = None,
) -> Model:  # fmt: skip
    """Choose among the base, dictionaries, fine-tuning and their fusion by cross-validation on the labels."""
    network, before = _network(base), _dictionaries(base)
    if base is None or network is None:
        kind = nmf.CONVOLUTIVE if before is None else replace(before.settings, bases=nmf.CONVOLUTIVE.bases)
        learnt = dictionaries(spans, base=base, settings=replace(kind, seed=settings.seed))
        choice = Choice("dictionaries", {}, "there is no network to start from")
        return replace(learnt, card=choice.on(learnt.card))
    if network.source.kind != "masks":
        tuned = finetune_augment(spans, base=network, settings=settings, folder=folder, progress=progress)
        choice = Choice("fine-tuned", {}, f"a {network.source.kind} has no masks to combine with those of dictionaries")
        return replace(tuned, card=choice.on(tuned.card), training={**tuned.training, **choice.facts()})
    labelled, start = _all_instruments(spans, base), replace(network, card=base.card)
    matched = {*initial_instruments(labelled, network.net.instruments), *labelled}
    instruments = (*labelled, *(one for one in network.net.instruments if one not in matched))

    def fine_tune(examples: Sequence[Example], number: int) -> Weights:
        """Train on the examples of a fold, for fewer steps, or on all."""
        chosen = replace(settings, bases=0, steps=max(1, settings.steps // 4) if number else settings.steps)
        where = Path(folder) / f"half-{number}" if number else folder
        tuned = _fine_tuned(examples, instruments, network.net, chosen, where, progress)
        return _weights(tuned, spans, "fine-tuned with augmentation", chosen, start)

    return choose(
        spans,
        base=replace(start, source=network.net.with_instruments(instruments)),
        earlier=labelled,
        before=before,
        fine_tune=fine_tune,
        seed=settings.seed,
    )


STRATEGIES: dict[str, Callable[..., Model]] = {
    "auto": auto,
    "scratch": scratch,
    "finetune": finetune,
    "finetune+augment": finetune_augment,
    "unet": unet,
    "nmf": dictionaries,
    "nmf-conv": partial(dictionaries, settings=nmf.CONVOLUTIVE),
}
"""From stems to a model: weights, dictionaries, or both."""
DEFAULTS: dict[str, Any] = {
    "auto": FINETUNE,
    "scratch": SCRATCH,
    "finetune": FINETUNE,
    "finetune+augment": FINETUNE,
    "unet": UNET,
    "nmf": NMF,
    "nmf-conv": nmf.CONVOLUTIVE,
}


OTHER_NETWORKS: dict[str, Any] = {"demucs": DEMUCS, "unet": UNET_FINETUNE}
"""Settings of fine-tuning by the kind of a base that is no mask network."""


def settings_of(
    strategy: str,
    *,
    base: Model | None = None,
    steps: int | None = None,
    learning_rate: float | None = None,
    layers: Sequence[str] = (),
) -> Settings:
    """Return the settings of a strategy, with those changed that are given.

    Parameters
    ----------
    strategy : str
        A name in `STRATEGIES`.
    base : Weights, Dictionaries or Fusion, optional
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
    network = _network(base)
    if (
        (strategy == "auto" or strategy.startswith("finetune"))
        and network is not None
        and network.source.kind != "masks"
    ):
        settings = OTHER_NETWORKS[network.source.kind]
    return changed(  # type: ignore[no-any-return]
        settings, strategy, steps=steps, learning_rate=learning_rate, layers=layers
    )


def adapt(
    spans: Sequence[Span[Multitrack]],
    *,
    strategy: str = "auto",
    base: Model | None = None,
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
    base : Weights, Dictionaries or Fusion, optional
        The separator to start from. One that was adapted before keeps its instruments and dictionaries.
    settings : StemSettings, DemucsSettings, UNetTraining or NmfSettings, optional
        The strategy's own by default.
    out, force, log_to, progress
        See `levada.learning.adaptation.train_into`.

    Returns
    -------
    Weights, Dictionaries or Fusion

    Raises
    ------
    InputError
        If the strategy does not exist, the output does, there are no stems or fewer than two instruments, or an
        unfinished run there was another one.
    MissingExtra
        If the strategy trains a network, or may, and PyTorch is not installed.
    Interrupted
        After Ctrl-C or SIGTERM (see `levada.learning.training.fit`): no model is saved, and the same call goes on with
        the training.
    """
    require_strategy(strategy, STRATEGIES)
    if strategy not in NON_NEURAL:
        check_torch()
    network = _network(base)
    if strategy.startswith("finetune") and network is None:
        raise InputError(f"{strategy} needs a base separator to start from")
    if len(instruments := _all_instruments(spans, base)) < 2:
        raise InputError(
            f"separation needs two instruments or more, and the stems are of {', '.join(instruments) or 'none'} alone: "
            "add stems of another one, or mixtures, which hold what else plays"
        )
    chosen = settings_of(strategy, base=base) if settings is None else settings
    if network is not None and strategy not in (*FROM_SCRATCH, *NON_NEURAL):
        check_layers((name for name, _ in network.net.named_parameters()), getattr(chosen, "layers", ()))

    def train_model(folder: Path, progress: Progress | None) -> Model:
        return STRATEGIES[strategy](spans, base=base, settings=chosen, folder=folder, progress=progress)

    labels = [[span.track.content_hash, span.start_s, span.end_s, list(span.track.instruments)] for span in spans]
    model: Model = train_into(
        out,
        train=train_model,
        config={"strategy": strategy, "labels": labels}
        | start_facts(None if base is None else _digest(base), settings),
        force=force,
        log_to=log_to,
        progress=progress,
    )
    return model


def _instruments(spans: Sequence[Span[Multitrack]]) -> tuple[str, ...]:
    return tuple(sorted({name for span in spans for name in span.track.instruments}))


def _all_instruments(spans: Sequence[Span[Multitrack]], base: Model | None) -> tuple[str, ...]:
    """Return the instruments of the labels, and those that an adapted base was adapted to."""
    earlier: tuple[str, ...] = ()
    if base is not None and base.card.trained_on:
        earlier = networks.inference_of(base).instruments if isinstance(base, Weights) else base.instruments
    return tuple(sorted({*_instruments(spans), *earlier}))


def _network(base: Model | None) -> Weights | None:
    return base.network if isinstance(base, Fusion) else base if isinstance(base, Weights) else None


def _dictionaries(base: Model | None) -> nmf.Dictionaries | None:
    """Return the dictionaries of a base, with its card."""
    if isinstance(base, Fusion):
        return replace(base.dictionaries, card=base.card)
    return base if isinstance(base, nmf.Dictionaries) else None


def _fine_tuned(
    examples: Sequence[Example],
    instruments: tuple[str, ...],
    net: MaskNet,
    settings: StemSettings,
    folder: str | Path,
    progress: Progress | None,
) -> MaskNet:
    """Fine-tune a network on examples, beside dictionaries of the same stems and those that it has."""
    import torch

    start = net.with_instruments(instruments)
    tuned: MaskNet = interpolate(
        start, _trained(start, StemDataset(examples), settings, folder, progress), alpha=settings.alpha
    )
    if not settings.bases:
        return tuned
    chosen = nmf.NmfSettings(bases=settings.bases, bands=True, seed=settings.seed)
    card = Card("bases", "learnt", "none", "none", 0.0, {"none": "none"})
    stems = magnitudes(examples, [name for name in instruments if any(name in one.stems for one in examples)])
    learnt = nmf.Dictionaries(tuple(stems), nmf.learn(stems, settings=chosen), card, chosen)
    before = None
    if net.settings.bases:
        earlier = net.get_buffer("bases")[:, :, None].numpy()
        before = nmf.Dictionaries(net.instruments, tuple(earlier), card, replace(chosen, bases=net.settings.bases))
    bases = nmf.joined(before, learnt, instruments).bases
    return tuned.with_bases(torch.from_numpy(np.stack(bases)[:, :, 0].copy()))


def _digest(base: Model) -> str:
    return digest(base) if isinstance(base, Weights) else model_digest(**base.facts())


def _trained(
    net: MaskNet, dataset: StemDataset, settings: StemSettings, folder: str | Path, progress: Progress | None
) -> MaskNet:
    trained: MaskNet = train(
        net,
        partial(sample_excerpt, dataset, settings),
        partial(collate, instruments=net.instruments),
        settings=settings,
        loss=partial(stem_loss, softness_db=settings.softness_db),
        folder=folder,
        progress=progress,
    )
    return trained


def _unet(
    spans: Sequence[Span[Multitrack]],
    base: Weights | None,
    settings: UNetTraining,
    folder: str | Path,
    progress: Progress | None,
) -> Weights:
    instruments, net = _instruments(spans), None if base is None else base.net
    dataset = StemDataset.from_spans(spans, instruments)
    trained = train_unet(dataset, instruments, settings=settings, base=net, folder=folder, progress=progress)
    return _weights(trained, spans, f"U-Net {'trained from scratch' if net is None else 'fine-tuned'}", settings, base)


def _weights(net: Any, spans: Sequence[Span[Multitrack]], how: str, settings: Any, base: Weights | None) -> Weights:
    card = adapted_card(spans, origin=how.capitalize(), base=None if base is None else base.card, stems=True)
    return Weights(net.eval(), card, {}, asdict(settings) | base_facts(base))
