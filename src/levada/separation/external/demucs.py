"""Demucs: its hybrid transformer as a separator, and as a network that is adapted to other instruments.

Simon Rouard, Francisco Massa and Alexandre Défossez, "Hybrid Transformers for Music Source Separation", ICASSP 2023.
The network is that of the package; its own trainer needs torchaudio and is replaced by `levada.learning.training`.

Demucs estimates waveforms, not masks, and its stems need not sum to the mixture. Nothing is rescaled: what is left over
is one more stem, "rest".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from levada.data import Multitrack, Span
from levada.errors import InputError
from levada.io import audio
from levada.learning import weights as model_weights
from levada.learning.card import adapted_card
from levada.learning.weights import Weights, base_facts
from levada.separation.examples import ExcerptSettings, StemDataset, sample_spectra, train
from levada.separation.masking import Spans, gathered, sound_of
from levada.separation.stft import Stft

if TYPE_CHECKING:
    from torch import Tensor

    from levada.separation.external.demucs_network import HTDemucs

__all__ = ["REST", "DemucsSeparator", "DemucsSettings", "WaveBatch", "adapt", "weights"]

REST = "rest"
"""Name of the stem that is left over."""
Floats32 = npt.NDArray[np.float32]
Progress = Callable[[int, int, float], None]

OVERLAP = 0.25  # of consecutive segments


@dataclass(frozen=True)
class DemucsSettings(ExcerptSettings):
    """Settings of the adaptation of Demucs.

    They were not tuned on pretrained weights: the learning rate is that of its authors.

    Parameters
    ----------
    steps, learning_rate, batch, excerpt_s, augmentation
        See `levada.separation.examples.ExcerptSettings`.
    weight_decay : float
    average : float
        Decay of the average of the weights.
    layers : tuple of str
        Prefixes of the names of the parameters that are trained ("model.decoder"); all where empty.
    seed : int
    """

    steps: int = 200
    learning_rate: float = 3e-4
    batch: int = 2
    weight_decay: float = 0.0
    average: float = 0.98
    layers: tuple[str, ...] = ()
    seed: int = 0


class WaveBatch(NamedTuple):
    """Input and target of a training step.

    Parameters
    ----------
    mixtures : float32 tensor [shape=(batch, channels, samples)]
    stems : float32 tensor [shape=(batch, instruments, channels, samples)]
    """

    mixtures: Tensor
    stems: Tensor


@dataclass(frozen=True)
class DemucsSeparator:
    """Demucs as a separator.

    Recordings are separated in segments as long as those it was trained on, a quarter of each overlapping the next, so
    that memory does not grow with their length and stems do not depend on the pieces in which they are read. Segments
    are resampled to the rate of the network and back.

    Parameters
    ----------
    net : HTDemucs
    name, identity : str
        See `levada.separation.masking.SeparatorLike`.
    trained_on : mapping
        SHA-256 of each recording it was trained on -> the stretches used, in seconds.
    """

    net: HTDemucs
    name: str
    identity: str
    trained_on: Spans = field(default_factory=dict)

    @cached_property
    def instruments(self) -> tuple[str, ...]:
        """Those of the network, and the rest."""
        instruments = self.net.instruments
        return instruments if REST in instruments else (*instruments, REST)

    def separate(self, samples: npt.ArrayLike, rate: int, *, progress: Any = None) -> dict[str, Floats32]:
        """Separate a recording in memory, as `levada.separation.masking.MaskSeparator.separate`."""
        sound = sound_of(samples)
        return gathered(self.instruments, sound, rate, self.stream(iter([sound]), rate), progress)

    def stream(
        self, pieces: Iterator[npt.ArrayLike], rate: int, *, level: float | None = None
    ) -> Iterator[dict[str, Floats32]]:
        """Separate a recording piece by piece, in memory that does not depend on its length.

        Parameters
        ----------
        pieces : iterator of float32 [shape=(channels, any number)]
        rate : int
            In Hz.
        level : float, optional
            Not used: the network normalises each segment.

        Yields
        ------
        dict of str to float32 [shape=(channels, any number)]

        Raises
        ------
        InputError
            As for `separate`.
        """
        del level
        length = max(4, int(self._segment * rate / self.net.rate))
        hop = max(1, int((1 - OVERLAP) * length))
        weight = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float32) * (2 / length)
        held: Floats32 | None = None
        total, norm = np.zeros((len(self.net.instruments), 1, 0), np.float32), np.zeros(0, np.float32)

        def add(segment: Floats32) -> None:
            nonlocal total, norm
            more = segment.shape[1] - total.shape[2]
            total = np.pad(total, ((0, 0), (0, 0), (0, more)))
            norm = np.pad(norm, (0, more))
            total += weight[: segment.shape[1]] * self._estimate(segment, rate, length)
            norm += weight[: segment.shape[1]]

        for piece in pieces:
            sound = sound_of(piece)
            if held is None:
                held, total = sound[:, :0], np.zeros((len(self.net.instruments), len(sound), 0), np.float32)
            held = np.concatenate([held, sound], 1)
            while held.shape[1] > length:  # one more than a segment: it is not the last
                add(held[:, :length])
                yield self._named(held[:, :hop], total[..., :hop] / norm[:hop])
                held, total, norm = held[:, hop:], total[..., hop:], norm[hop:]
        if held is not None and held.shape[1]:
            add(held)
            yield self._named(held, total / norm)

    @property
    def _segment(self) -> int:
        """Samples that the network separates at once."""
        return int(self.net.settings.segment_s * self.net.rate)

    def _named(self, mixture: Floats32, estimates: Floats32) -> dict[str, Floats32]:
        stems = dict(zip(self.net.instruments, estimates, strict=True))
        left = mixture - estimates.sum(0)
        stems[REST] = stems[REST] + left if REST in stems else left
        return stems

    def _estimate(self, segment: Floats32, rate: int, length: int) -> Floats32:
        """Separate a segment: float32 [shape=(instruments, channels, samples)]."""
        import torch
        from demucs.apply import apply_model

        from levada.learning.weights import device_of

        channels, samples = segment.shape
        padded = np.pad(segment, ((0, 0), (0, length - samples)))
        resampled = audio.resample(padded, rate=rate, to=self.net.rate)[:, : self._segment]
        is_same = channels == self.net.channels
        batch = resampled[None] if is_same else np.repeat(resampled[:, None], self.net.channels, 1)
        inputs = torch.from_numpy(np.ascontiguousarray(batch)).to(device_of(self.net))
        stems = apply_model(self.net.model, inputs, shifts=0, split=False).cpu().numpy()
        stems = stems[0] if is_same else stems.mean(2).swapaxes(0, 1)
        flat = audio.resample(stems.reshape(-1, stems.shape[-1]), rate=self.net.rate, to=rate)[:, :samples]
        flat = np.pad(flat, ((0, 0), (0, samples - flat.shape[1])))
        return np.asarray(flat.reshape(len(self.net.instruments), channels, samples), np.float32)


def weights(name: str | Path) -> Weights:
    """Read a network of Demucs, to adapt or to use.

    Parameters
    ----------
    name : str or path-like
        A model folder of levada, or what `read_checkpoint` reads.

    Raises
    ------
    InputError
        As for `levada.learning.weights.load` or `read_checkpoint`.
    """
    if Path(name).is_dir():
        from levada.separation.external.demucs_network import HTDemucs

        return model_weights.load(name, kinds=(HTDemucs.kind,), module=lambda _: HTDemucs, settings={})
    from levada.separation.external.demucs_network import read_checkpoint

    return read_checkpoint(name)


def adapt(
    spans: Sequence[Span[Multitrack]],
    *,
    base: Weights,
    settings: DemucsSettings = DemucsSettings(),
    folder: str | Path,
    progress: Progress | None = None,
) -> Weights:
    """Adapt the network to stretches of recordings with stems; the loss is the mean absolute error of waveforms.

    With a network of its authors' size a step takes ten seconds or more on the CPU of a laptop: use a GPU.

    Parameters
    ----------
    spans : sequence of Span[Multitrack]
    base : Weights
        Of Demucs, with any instruments; those of the same voice initialise the new ones.
    settings : DemucsSettings
    folder, progress
        See `levada.learning.training.fit`.

    Raises
    ------
    InputError
        If the base is another network, or as for `levada.learning.training.fit`.
    """
    if base.source.kind != "demucs":
        raise InputError(f"{base.card.name} is not a network of Demucs")
    net = base.net.with_instruments(sorted({name for span in spans for name in span.track.instruments}))
    dataset = StemDataset.from_spans(spans, net.instruments, rate=net.rate, channels=net.channels)
    trained = train(
        net, partial(_excerpt, net, dataset, settings), _collate, settings=settings, loss=_loss, folder=folder,
        progress=progress,
    )  # fmt: skip
    card = adapted_card(spans, origin="Fine-tuned", base=base.card, stems=True)
    return Weights(trained, card, {}, asdict(settings) | base_facts(base))


def _excerpt(net: HTDemucs, dataset: StemDataset, settings: DemucsSettings, rng: np.random.Generator) -> Floats32:
    """Draw the stems of an excerpt: float32 [shape=(instruments, channels, samples)]."""
    length = round((settings.excerpt_s or net.settings.segment_s) * net.rate)
    spectra, _ = sample_spectra(dataset, length, rate=net.rate, config=settings.augmentation, rng=rng)
    out = np.zeros((len(net.instruments), net.channels, length), np.float32)
    for name, spectrum in spectra.items():
        out[net.instruments.index(name)] = Stft(net.rate).inverse(spectrum, length)
    return out


def _collate(excerpts: Sequence[Floats32]) -> WaveBatch:
    import torch

    stems = torch.from_numpy(np.stack(excerpts))
    return WaveBatch(stems.sum(1), stems)


def _loss(estimates: Tensor, batch: WaveBatch) -> Tensor:
    return (estimates - batch.stems).abs().mean()
