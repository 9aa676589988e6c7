"""Adapting a beat tracker: strategies as plain functions from annotated stretches to weights.

- `auto`: chooses among the base, patterns, fine-tuning and their fusion, by cross-validation on the labels.
- `scratch`: a new network from the labels alone.
- `finetune`: a base network, trained on.
- `finetune_augment`: the same, on stretches that change tempo, pitch, level, tone and noise.
- `decoder`: the pretrained network unchanged; the priors of tempo and metre are learnt from the labels.
- `bayes`: no network; rhythmic patterns of a bar pointer model are learnt from the labels, in seconds.

With the description of a tradition (`prior`), part of the training excerpts are rendered from it, and the decoder
learns from its tempi too. With every strategy the priors of the decoder are learnt from the same labels and saved with
the weights. The weights of a fine-tuned network are interpolated with those of the base (WiSE-FT), which preserves more
of what the base can do; cross-validation on the labels chooses alpha, and with alpha 0 the base network is kept. A base
with a high loss on the labels does not fit this music: it is trained longer and at a higher learning rate.

After Maia, Rocamora, Biscainho and Fuentes, "Adapting Meter Tracking Models to Latin American Music", ISMIR 2022; the
defaults were measured (studies/LOG.md). The final network is trained on all
labels; the log of a half has its loss on the other half.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.augmentation import NO_AUGMENTATION, Augmentation, augment, fix_length
from levada.beat_tracking.auto import choose
from levada.beat_tracking.decoder import DecoderSettings, learn_settings
from levada.beat_tracking.fusion import Fusion
from levada.beat_tracking.interpolation import ALPHAS, HIGH_LOSS, held_out_loss, validate
from levada.beat_tracking.network_tracker import front_end_of
from levada.beat_tracking.networks.tcn_inference import TcnSettings
from levada.beat_tracking.patterns import BayesSettings, Patterns, train
from levada.beat_tracking.spectrogram import FrontEnd, file_log_spectrogram, log_spectrogram
from levada.beat_tracking.targets import Batch, beat_loss_parts, frame_targets
from levada.beat_tracking.task import FROM_SCRATCH, NON_NEURAL
from levada.data import Span
from levada.data.rendered import LICENCE
from levada.data.sources import Source
from levada.data.spans import halves_of
from levada.errors import InputError
from levada.io.beats import Beats
from levada.learning.adaptation import changed, check_layers, require_strategy, start_facts, train_into
from levada.learning.card import adapted_card
from levada.learning.training import FitSettings, Progress, check_torch, fit
from levada.learning.training_log import VALIDATION_LOSS
from levada.learning.weights import Weights, base_facts, digest, interpolate, network_kind
from levada.synth.performance import perform
from levada.synth.render import render
from levada.synth.traditions import Tradition

__all__ = [
    "DEFAULTS", "FROM_SCRATCH", "STRATEGIES", "AdaptSettings", "ScratchSettings",
    "adapt", "auto", "decoder", "finetune", "finetune_augment", "patterns", "scratch", "settings_of",
]  # fmt: skip

DEFAULT_ALPHA = 0.5
"""Weight of the trained network with too few labels for cross-validation."""
VALIDATE_EVERY = 20
"""Steps from one loss on held-out labels to the next, in the log of cross-validation."""
FAR_OCTAVES, FAR_DEVIATIONS = 0.5, 3.0
"""How far the tempo of the labels may be from that of a prior, in octaves and in standard deviations of the prior."""
PIECE_S = 30.0
PRIOR_PERFORMANCES = 8
"""Performances of a tradition that the priors of the decoder are learnt from, as from as many recordings."""

_log = logging.getLogger(__name__)

Generator = np.random.Generator
Floats32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class AdaptSettings:
    """Settings of an adaptation.

    Parameters
    ----------
    steps : int, optional
        Optimiser steps; if None, by the loss of the base on the labels: those of `KNOWN` or of `UNKNOWN`.
    learning_rate : float, optional
        Peak learning rate; chosen in the same way if None.
    batch : int
        Excerpts in a step.
    excerpt_s : float
        Length of an excerpt, in seconds.
    layers : tuple of str
        Prefixes of the names of trained layers; if empty all, and in fine-tuning all but the network's `kept_layers`.
    tolerance : int
        Frames by which a peak may be off without penalty; 0 widens the targets instead.
    downbeat_weight : float
        Weight of downbeats in the loss.
    average : float
        Decay of the exponential moving average of the weights.
    dropout : float
        Dropout rate.
    alpha : float, optional
        Weight of the trained network in the interpolation with the base (WiSE-FT); chosen by cross-validation on the
        labels if None. Not used by `scratch`.
    augmentation : Augmentation
        Random changes of the training excerpts.
    prior_share : float
        Share of the excerpts that are rendered from a tradition, if one is given.
    prior_pieces : int
        Number of pieces rendered from it.
    seed : int
    """

    steps: int | None = None
    learning_rate: float | None = None
    batch: int = 4
    excerpt_s: float = 12.0
    layers: tuple[str, ...] = ()
    tolerance: int = 3
    downbeat_weight: float = 0.5
    average: float = 0.9
    dropout: float = 0.05
    alpha: float | None = None
    augmentation: Augmentation = field(default_factory=Augmentation)
    prior_share: float = 0.5
    prior_pieces: int = 16
    seed: int = 0


@dataclass(frozen=True)
class ScratchSettings(AdaptSettings):
    """Settings of a training from scratch: those of an adaptation, and the size of the network.

    Parameters
    ----------
    channels : int, optional
        Filters in every block of the network, from 1 to 512; those of `TcnSettings` if None.
    """

    steps: int = 150
    learning_rate: float = 5e-3
    tolerance: int = 0
    channels: int | None = None

    def __post_init__(self) -> None:
        self.network()  # whose settings refuse values out of range

    def network(self) -> TcnSettings:
        """Return the settings of the network."""
        return TcnSettings(TcnSettings.channels if self.channels is None else self.channels, dropout=self.dropout)


FINETUNE = AdaptSettings()
SCRATCH = ScratchSettings()


class Training(NamedTuple):
    """Length and learning rate of a fine-tuning.

    Parameters
    ----------
    steps : int
        Optimiser steps with all labels.
    learning_rate : float
    steps_of_half : int
        Optimiser steps with each half of the labels, for the choice of alpha; half as many excerpts are in a step, so
        that a label is seen as often.
    """

    steps: int
    learning_rate: float
    steps_of_half: int


KNOWN, UNKNOWN = Training(100, 2e-3, 100), Training(150, 5e-3, 75)
"""Of a base that fits the music, and of one whose loss on the labels is above `HIGH_LOSS`; both take the same time."""


def training_for(base_loss: float, settings: AdaptSettings) -> Training:
    """Return length and learning rate of a fine-tuning by the loss of the base; what the settings have stays.

    Parameters
    ----------
    base_loss : float
        `event_loss` of the base on the labels.
    settings : AdaptSettings
    """
    chosen = UNKNOWN if base_loss > HIGH_LOSS else KNOWN
    if settings.learning_rate is not None:
        chosen = chosen._replace(learning_rate=settings.learning_rate)
    if settings.steps is not None:
        chosen = chosen._replace(steps=settings.steps, steps_of_half=settings.steps)
    return chosen


def scratch(
    spans: Sequence[Span],
    *,
    settings: AdaptSettings = SCRATCH,
    folder: str | Path,
    prior: Tradition | None = None,
    network: Any = None,
    progress: Progress | None = None,
    **_: object,
) -> Weights:
    """Train a new network, or a given one, on labels and optionally on rendered pieces."""
    import torch

    torch.manual_seed(settings.seed)
    size = settings.network() if isinstance(settings, ScratchSettings) else TcnSettings(dropout=settings.dropout)
    from levada.beat_tracking.networks.tcn import Tcn

    net = Tcn(size) if network is None else network
    _check_layers(net, settings)
    trained = _trained(net, spans, settings, folder, _sources(net, settings, prior), progress)
    return _weights(trained, spans, "trained from scratch", settings, base=None, prior=prior)


def finetune(spans: Sequence[Span], *, settings: AdaptSettings = FINETUNE, **options: Any) -> Weights:
    """Fine-tune the base network on the labels, without augmentation; the options are those of `finetune_augment`."""
    return finetune_augment(spans, settings=replace(settings, augmentation=NO_AUGMENTATION), **options)


def finetune_augment(
    spans: Sequence[Span],
    *,
    base: Weights,
    settings: AdaptSettings = FINETUNE,
    folder: str | Path,
    prior: Tradition | None = None,
    progress: Progress | None = None,
) -> Weights:
    """Fine-tune the base network on the labels, with augmentation."""
    weights, _ = _fine_tuned(spans, base, settings, Path(folder), prior, progress)
    if weights.training["alpha"] == 0:
        _log.warning(
            "fine-tuning the network does not improve its loss on held-out labels: only the decoder is adapted"
        )
    return weights


def _fine_tuned(
    spans: Sequence[Span],
    base: Weights,
    settings: AdaptSettings,
    folder: Path,
    prior: Tradition | None,
    progress: Progress | None,
) -> tuple[Weights, list[Any]]:
    """Return fine-tuned weights with the choice of alpha in their training, and the networks of both halves."""
    sources = _sources(base.net, settings, prior)
    base_loss = held_out_loss(base.net, spans, sources.load) if any(len(span.beats) for span in spans) else 0.0
    training = training_for(base_loss, settings)
    settings = replace(settings, steps=training.steps, learning_rate=training.learning_rate)
    steps, rate = training.steps, training.learning_rate
    _log.info("the base has a loss of %.2f on the labels: %d steps at a learning rate of %g", base_loss, steps, rate)
    adapted, chosen, of_halves = _adapted(base.net, spans, settings, training, folder, sources, progress)
    if chosen["alpha"] == 0:
        how = "decoder adapted, network unchanged, since fine-tuning did not improve its loss on held-out labels,"
    else:
        how = "fine-tuned" if settings.augmentation == NO_AUGMENTATION else "fine-tuned with augmentation"
    weights = _weights(adapted, spans, how, settings, base=base, prior=prior)
    facts = {"base_loss": round(base_loss, 5), "steps_of_half": training.steps_of_half, **chosen}
    return replace(weights, training={**weights.training, **facts}), of_halves


def _adapted(
    base: Any,
    spans: Sequence[Span],
    settings: AdaptSettings,
    training: Training,
    folder: Path,
    sources: _Sources,
    progress: Progress | None,
) -> tuple[Any, dict[str, Any], list[Any]]:
    """Return a fine-tuned network interpolated with the base; alpha, with losses; and those of the halves."""
    halves = halves_of(spans) if settings.alpha is None else None
    kept: tuple[str, ...] = getattr(base, "kept_layers", ())
    of_half = replace(settings, steps=training.steps_of_half, batch=max(1, settings.batch // 2))
    all_steps = training.steps + (0 if halves is None else 2 * training.steps_of_half)

    def fine_tune(labels: Sequence[Span], number: int) -> Any:
        """Train a copy on these labels."""
        net = type(base)(replace(base.settings, dropout=settings.dropout))
        net.load_state_dict(base.state_dict())
        done = training.steps + (number - 1) * training.steps_of_half if number else 0

        def report(step: int, _: int, loss: float) -> None:
            if progress is not None:
                progress(done + step, all_steps, loss)

        half = folder / f"half-{number}" if number else folder
        held_out = halves[2 - number] if number and halves is not None else ()
        used = of_half if number else settings
        return _trained(net, labels, used, half, sources, report, kept=kept, held_out=held_out)

    trained = fine_tune(spans, 0)
    chosen: dict[str, Any] = {"alpha": DEFAULT_ALPHA if settings.alpha is None else settings.alpha}
    of_halves: list[Any] = []
    if halves is not None:
        validation = validate(halves, base=base, train=fine_tune, load_spectrogram=sources.load)
        losses = {str(alpha): round(loss, 5) for alpha, loss in zip(ALPHAS, validation.losses, strict=True)}
        chosen = {"alpha": validation.alpha, "held_out_losses": losses}
        of_halves = [interpolate(base, net, alpha=validation.alpha) for net in validation.networks]
    return interpolate(base, trained, alpha=chosen["alpha"]), chosen, of_halves


def decoder(spans: Sequence[Span], *, base: Weights, prior: Tradition | None = None, **_: object) -> Weights:
    """Learn the priors of the decoder and keep the pretrained network."""
    return _weights(base.source, spans, "decoder adapted, network unchanged", None, base=base, prior=prior)


def patterns(
    spans: Sequence[Span], *, settings: AdaptSettings = FINETUNE, prior: Tradition | None = None, **_: object
) -> Patterns:
    """Learn the rhythmic patterns of a bar pointer model from the labels.

    Raises
    ------
    InputError
        If there is a prior, which is not supported.
    """
    if prior is not None:
        raise InputError(f"bayes does not support a prior: render {prior.name}, and adapt to the rendered recordings")
    return train(spans, settings=BayesSettings(seed=settings.seed))


def auto(
    spans: Sequence[Span],
    *,
    base: Weights,
    settings: AdaptSettings = FINETUNE,
    folder: str | Path,
    prior: Tradition | None = None,
    progress: Progress | None = None,
) -> Weights | Patterns | Fusion:
    """Choose among the base, patterns, fine-tuning and their fusion by cross-validation on the labels."""
    fine_tune = partial(_fine_tuned, spans, base, settings, Path(folder), prior, progress)

    def report(done: int, total: int) -> None:
        if progress is not None:
            progress(done, total, math.nan)

    return choose(spans, base=base, fine_tune=fine_tune, seed=settings.seed, progress=report)


STRATEGIES: dict[str, Callable[..., Any]] = {
    "auto": auto,
    "scratch": scratch,
    "finetune": finetune,
    "finetune+augment": finetune_augment,
    "decoder": decoder,
    "bayes": patterns,
}
"""Function of each strategy, from labels to weights or patterns."""
DEFAULTS = {name: SCRATCH if name == "scratch" else FINETUNE for name in STRATEGIES}


BEYOND_S = 0.1
"""How far after the end of its recording a label may be: decoders differ by a few hundredths of a second."""


def settings_of(
    strategy: str,
    *,
    network: str = "",
    steps: int | None = None,
    learning_rate: float | None = None,
    layers: Sequence[str] = (),
) -> AdaptSettings:
    """Return the default settings of a strategy, with the given changes.

    Parameters
    ----------
    strategy : str
        A name in `STRATEGIES`.
    network : str
        Kind of the base network in model folders; Beat This! has its own defaults.
    steps, learning_rate, layers
        See `AdaptSettings`.

    Raises
    ------
    InputError
        If the strategy does not exist, trains no network and settings of its training are given, or a value is out of
        range.
    """
    from levada.beat_tracking.external.beat_this import finetune_settings

    require_strategy(strategy, STRATEGIES)
    if strategy in NON_NEURAL and (steps is not None or learning_rate is not None or layers):
        raise InputError(f"{strategy} trains no network: it has no steps, learning rate or layers")
    settings = finetune_settings() if network == "beat_this" and strategy not in FROM_SCRATCH else DEFAULTS[strategy]
    return changed(settings, strategy, steps=steps, learning_rate=learning_rate, layers=layers)


def adapt(
    spans: Sequence[Span],
    *,
    strategy: str = "auto",
    base: Weights | None,
    out: str | Path | None = None,
    settings: AdaptSettings | None = None,
    network: Any = None,
    prior: Tradition | None = None,
    force: bool = False,
    log_to: Sequence[str] = (),
    progress: Progress | None = None,
) -> Weights | Patterns | Fusion:
    """Adapt a model to annotated spans, and save it.

    Parameters
    ----------
    spans : sequence of Span
    strategy : str
        A name in `STRATEGIES`.
    base : Weights or None
        The model to start from; not used by the strategies in `FROM_SCRATCH`.
    settings : AdaptSettings, optional
        The strategy's own by default.
    network : nn.Module, optional
        For `scratch`: the network to train, from a spectrogram [shape=(batch, frames, 81)] to logits
        [shape=(batch, frames, 2)].
    prior : Tradition, optional
        A tradition from which further training data is rendered.
    out, force, log_to, progress
        See `levada.learning.adaptation.train_into`.

    Returns
    -------
    Weights, Patterns or Fusion

    Raises
    ------
    InputError
        If the strategy does not exist, the output does, labels lie after the end of their recording, the network has
        no such layers, or an unfinished run there was another one.
    MissingExtra
        If the strategy trains a network, or may, and PyTorch is not installed.
    Interrupted
        After Ctrl-C or SIGTERM (see `levada.learning.training.fit`): no model is saved, and the same call goes on with
        the training.
    """
    require_strategy(strategy, STRATEGIES)
    if strategy not in NON_NEURAL:
        check_torch()
    if network is not None and strategy != "scratch":
        raise InputError(f"a network of your own is trained by the strategy scratch, not by {strategy}")
    if network is not None and out is not None:
        network_kind(network)  # a class that cannot be saved is refused before the training
    if base is not None and settings is not None and strategy not in (*NON_NEURAL, *FROM_SCRATCH):
        _check_layers(base.net, settings)
    for span in spans:
        if span.end_s > span.track.duration_s + BEYOND_S:
            end = f"{span.track.audio.name} ends at {span.track.duration_s:.2f} s"
            raise InputError(
                f"has beats up to {span.end_s:.2f} s, and {end}: they may belong to another recording",
                path=span.track.annotation or span.track.audio,
            )
    if prior is not None:
        _warn_of_prior(prior, spans)
    options: dict[str, Any] = {} if settings is None else {"settings": settings}
    if network is not None:
        options["network"] = network

    labels = [
        [span.track.content_hash, span.start_s, span.end_s, hashlib.sha256(repr(list(span.beats)).encode()).hexdigest()]
        for span in spans
    ]
    config = {"strategy": strategy, "labels": labels, "prior": repr(prior)}
    options |= {"base": base, "prior": prior}
    model: Weights | Patterns | Fusion = train_into(
        out,
        train=lambda folder, progress: STRATEGIES[strategy](spans, folder=folder, progress=progress, **options),
        config=config | start_facts(None if base is None else digest(base), settings),
        force=force,
        log_to=log_to,
        progress=progress,
    )
    return model


def _warn_of_prior(prior: Tradition, spans: Sequence[Span]) -> None:
    """Warn of a prior of other metres or tempi than those of the labels."""
    metres = {metre for span in spans for metre in span.beats.metres}
    tempo = float(np.median([span.beats.tempo_bpm for span in spans if len(span.beats) > 1] or [prior.tempo_bpm[0]]))
    mean, deviation = prior.tempo_bpm
    far = abs(np.log2(tempo / mean)) > FAR_OCTAVES and abs(tempo - mean) > FAR_DEVIATIONS * deviation
    if far or (metres and prior.beats not in metres):
        counted = f"bars of {', '.join(map(str, sorted(metres)))} at " if metres else ""
        _log.warning(
            "the prior %s (bars of %d at about %.0f bpm) contradicts the labels (%s%.0f bpm): leave it out if it is of "
            "another music",
            prior.name, prior.beats, mean, counted, tempo,
        )  # fmt: skip


def _check_layers(net: Any, settings: AdaptSettings) -> None:
    check_layers((name for name, _ in net.named_parameters()), settings.layers)


@dataclass(frozen=True)
class _Example:
    """Training data from one recording, of which a span is annotated."""

    bands: Floats32
    beats: Beats
    start_s: float
    end_s: float
    front_end: FrontEnd


@dataclass(frozen=True)
class _Sources:
    """Spectrograms of recordings and of rendered pieces, each computed once."""

    front_end: FrontEnd
    load: Callable[[Path], Floats32]
    render: Callable[[int], _Example] | None


def _sources(net: Any, settings: AdaptSettings, prior: Tradition | None) -> _Sources:
    front_end = front_end_of(net)
    rendered = None if prior is None else lru_cache(None)(partial(_rendered, prior, front_end, seed=settings.seed))
    return _Sources(front_end, lru_cache(None)(partial(file_log_spectrogram, front_end=front_end)), rendered)


def _trained(
    net: Any,
    spans: Sequence[Span],
    settings: AdaptSettings,
    folder: str | Path,
    sources: _Sources,
    progress: Progress | None,
    *,
    kept: tuple[str, ...] = (),
    held_out: Sequence[Span] = (),
) -> Any:
    """Train a network but for some layers; with labels that are held out, their loss is logged at regular steps."""
    if not spans or not any(len(span.beats) for span in spans):
        raise InputError("there are no annotated beats to learn from")
    examples = [
        _Example(sources.load(span.track.audio), span.beats, span.start_s, span.end_s, sources.front_end)
        for span in spans
    ]
    steps, learning_rate, _ = training_for(0.0, settings)
    return fit(
        net,
        partial(_batches, examples, settings, steps, sources.render),
        settings=FitSettings(steps, learning_rate, average=settings.average, seed=settings.seed),
        loss=partial(beat_loss_parts, tolerance=settings.tolerance, downbeat_weight=settings.downbeat_weight),
        folder=folder,
        trained=lambda name: name.startswith(settings.layers) if settings.layers else not name.startswith(kept),
        validate=(lambda net: {VALIDATION_LOSS: held_out_loss(net, held_out, sources.load)}) if held_out else None,
        validate_every=VALIDATE_EVERY,
        progress=progress,
    )


def _rendered(tradition: Tradition, front_end: FrontEnd, index: int, *, seed: int) -> _Example:
    """Render a piece of a tradition."""
    rendering = render(tradition, duration_s=PIECE_S, rng=np.random.default_rng([seed, 1, index]))
    bands = log_spectrogram(rendering.mixture, rendering.rate, front_end=front_end)
    return _Example(bands, rendering.beats, 0.0, PIECE_S, front_end)


def _batches(
    examples: Sequence[_Example],
    settings: AdaptSettings,
    steps: int,
    render_piece: Callable[[int], _Example] | None,
    start: int,
) -> Iterator[Batch]:
    """Yield batches of excerpts that overlap annotated spans, longer ones more often, and of rendered pieces."""
    import torch

    lengths = np.array([example.end_s - example.start_s for example in examples])
    for step in range(start, steps):
        rng = np.random.default_rng([settings.seed, step])
        chosen = [examples[int(i)] for i in rng.choice(len(examples), settings.batch, p=lengths / lengths.sum())]
        if render_piece is not None:
            prior_rng, n_pieces = np.random.default_rng([settings.seed, 2, step]), min(settings.prior_pieces, step + 2)
            for row in np.flatnonzero(prior_rng.random(settings.batch) < settings.prior_share):
                chosen[row] = render_piece(int(prior_rng.integers(n_pieces)))
        excerpts = [_excerpt(example, settings, rng) for example in chosen]
        yield Batch(*(torch.from_numpy(np.stack(column)) for column in zip(*excerpts, strict=True)))


def _excerpt(example: _Example, settings: AdaptSettings, rng: Generator) -> tuple[Floats32, Floats32, Floats32]:
    grid = example.front_end.grid
    frames = round(settings.excerpt_s * grid.fps)
    reach = round(frames * np.exp(settings.augmentation.tempo))
    first, last = grid.frame(example.start_s), grid.frame(example.end_s)
    slack = max(0, reach - (last - first)) // 2 + reach // 4
    low, high = max(0, first - slack), max(0, min(last + slack, len(example.bands)) - reach)
    start = int(rng.integers(low, max(low, high) + 1))
    piece, start_s = example.bands[start : start + reach], grid.time_s(start)
    bands, beats, factor = augment(piece, example.beats.shift(-start_s), config=settings.augmentation, rng=rng)
    span_s = ((example.start_s - start_s) * factor, (example.end_s - start_s) * factor)
    targets, mask = frame_targets(beats, len(bands), span_s=span_s, grid=grid)
    return fix_length(bands, frames, fill=float(bands.min())), fix_length(targets, frames), fix_length(mask, frames)


def _weights(
    net: Any,
    spans: Sequence[Span],
    how: str,
    settings: AdaptSettings | None,
    *,
    base: Weights | None,
    prior: Tradition | None,
) -> Weights:
    annotations, rendered = [span.beats for span in spans], dict[str, Source]()
    if prior is not None:
        source = Source(f"the description of {prior.name}", LICENCE, "; ".join(prior.sources))
        rendered = {f"Pieces rendered from the description of {prior.name}": source}
        rngs = (np.random.default_rng([0, 2, index]) for index in range(PRIOR_PERFORMANCES))
        annotations += [perform(prior, duration_s=PIECE_S, rng=rng).beats for rng in rngs]
    card = adapted_card(spans, origin=how.capitalize(), base=None if base is None else base.card, besides=rendered)
    learnt = learn_settings(annotations, start=None if base is None else DecoderSettings.from_dict(base.decoder))
    recipe = {} if settings is None else asdict(settings)
    return Weights(net, card, asdict(learnt), recipe | base_facts(base))
