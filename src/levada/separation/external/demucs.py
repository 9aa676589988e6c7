"""Demucs: its hybrid transformer with instruments of one's own, as a separator and as a network to adapt.

Simon Rouard, Francisco Massa and Alexandre Défossez, "Hybrid Transformers for Music Source Separation", ICASSP 2023.
The network is the package's; its own trainer needs torchaudio and is not used, ours trains it on waveforms.

Demucs gives waveforms, not masks, and what it gives need not sum to the mixture. Nothing is rescaled: what is left over
is one stem more, "rest", so that all of them do.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.io import audio
from levada.learning.card import TENSORS, adapted_card
from levada.separation.augmentation import StemAugmentation, mix
from levada.separation.external.demucs_network import is_demucs, load, telling
from levada.separation.stft import Stft

if TYPE_CHECKING:
    from torch import Tensor

    from levada.data import Multitrack, Span
    from levada.learning.weights import Weights

__all__ = ["REST", "DemucsSeparator", "DemucsSettings", "WaveBatch", "adapt", "separator"]

REST = "rest"
"""What no instrument of the network accounts for."""
Floats32 = npt.NDArray[np.float32]
Progress = Callable[[int, int, float], None]

_OVERLAP = 0.25


@dataclass(frozen=True)
class DemucsSettings:
    """How the network is adapted.

    No real weights have been tried with these: the rate is that of its authors, and the rest a guess.

    Parameters
    ----------
    steps : int
    learning_rate : float
    batch : int
        Excerpts a step.
    excerpt_s : float, optional
        How long each is; as long as what the network hears at once by default.
    augmentation : StemAugmentation
    weight_decay : float
    average : float
        Decay of the average of the weights.
    seed : int
    """

    steps: int = 200
    learning_rate: float = 3e-4
    batch: int = 2
    excerpt_s: float | None = None
    augmentation: StemAugmentation = field(default_factory=StemAugmentation)
    weight_decay: float = 0.0
    average: float = 0.98
    seed: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.augmentation, dict):
            object.__setattr__(self, "augmentation", StemAugmentation(**self.augmentation))
        if self.batch < 1 or (self.excerpt_s is not None and not self.excerpt_s > 0):
            raise InputError(f"these settings make no sense: {self}")


class WaveBatch(NamedTuple):
    """What the network sees in a step, and what it is asked.

    Parameters
    ----------
    bands : float32 tensor [shape=(batch, channels, samples)]
        Mixtures: waveforms, under the name by which `fit` hands them to any network.
    stems : float32 tensor [shape=(batch, instruments, channels, samples)]
    """

    bands: Tensor
    stems: Tensor


@dataclass(frozen=True)
class DemucsSeparator:
    """Demucs as a separator.

    Recordings are heard in stretches as long as those it was trained on, a quarter of each overlapping the next, so
    that memory does not grow with their length and stems do not depend on how they are read. The rate is changed for
    the network alone, stretch by stretch.

    Parameters
    ----------
    net : HTDemucs
    name, identity : str
    trained_on : mapping
        As on the model's card.
    """

    net: Any
    name: str
    identity: str
    trained_on: Mapping[str, list[tuple[float, float]]] = field(default_factory=dict)

    @cached_property
    def instruments(self) -> tuple[str, ...]:
        """Those of the network, and the rest."""
        known = tuple(self.net.sources)
        return known if REST in known else (*known, REST)

    def separate(self, samples: npt.ArrayLike, rate: int, *, progress: Any = None) -> dict[str, Floats32]:
        """Take a recording apart.

        Parameters
        ----------
        samples : float32 [shape=(channels, samples)]
        rate : int
            In Hz.
        progress : callable, optional
            Told seconds done, and of how many.

        Returns
        -------
        dict of str to float32 [shape=(channels, samples)]
            Their sum is what was given.

        Raises
        ------
        InputError
            If the samples are not finite numbers in rows of channels.
        """
        given = np.asarray(samples, np.float32)
        whole = {name: np.empty_like(given) for name in self.instruments}
        done = 0
        for part in self.stream(iter([given]), rate):
            for name, stem in part.items():
                whole[name][:, done : done + stem.shape[1]] = stem
            done += next(iter(part.values())).shape[1]
            if progress is not None:
                progress(done // rate, given.shape[1] // rate)
        return whole

    def stream(
        self, pieces: Iterator[npt.ArrayLike], rate: int, *, level: float | None = None
    ) -> Iterator[dict[str, Floats32]]:
        """Take a recording apart while it is read, in memory that does not depend on its length.

        Parameters
        ----------
        pieces : iterator of float32 [shape=(channels, any number)]
        rate : int
            In Hz.
        level : float, optional
            Not used: the network measures each stretch itself.

        Yields
        ------
        dict of str to float32 [shape=(channels, as many as are done)]

        Raises
        ------
        InputError
            As for `stems`.
        """
        del level
        length = max(4, int(self._heard * rate / self.net.samplerate))
        hop = max(1, int((1 - _OVERLAP) * length))
        weight = np.minimum(np.arange(1, length + 1), np.arange(length, 0, -1)).astype(np.float32) * (2 / length)
        held: Floats32 | None = None
        total, norm = np.zeros((len(self.net.sources), 1, 0), np.float32), np.zeros(0, np.float32)

        def heard(stretch: Floats32) -> None:
            nonlocal total, norm
            more = stretch.shape[1] - total.shape[2]
            total = np.pad(total, ((0, 0), (0, 0), (0, more)))
            norm = np.pad(norm, (0, more))
            total += weight[: stretch.shape[1]] * self._estimate(stretch, rate, length)
            norm += weight[: stretch.shape[1]]

        for piece in pieces:
            sound = _checked(piece)
            if held is None:
                held, total = sound[:, :0], np.zeros((len(self.net.sources), len(sound), 0), np.float32)
            held = np.concatenate([held, sound], 1)
            while held.shape[1] > length:  # one more than a stretch: it is not the last
                heard(held[:, :length])
                yield self._done(held[:, :hop], total[..., :hop] / norm[:hop])
                held, total, norm = held[:, hop:], total[..., hop:], norm[hop:]
        if held is not None and held.shape[1]:
            heard(held)
            yield self._done(held, total / norm)

    @property
    def _heard(self) -> int:
        """Samples that the network hears at once."""
        return int(self.net.segment * self.net.samplerate)

    def _done(self, mixture: Floats32, estimates: Floats32) -> dict[str, Floats32]:
        stems = {name: estimates[index] for index, name in enumerate(self.net.sources)}
        left = mixture - estimates.sum(0)
        stems[REST] = stems[REST] + left if REST in stems else left
        return stems

    def _estimate(self, stretch: Floats32, rate: int, length: int) -> Floats32:
        """What the network gives: float32 [shape=(sources, channels, samples)]."""
        import torch
        from demucs.apply import apply_model

        channels, samples = stretch.shape
        wanted = np.pad(stretch, ((0, 0), (0, length - samples)))
        resampled = audio.resample(wanted, rate=rate, to=self.net.samplerate)[:, : self._heard]
        alike = channels == self.net.audio_channels
        batch = resampled[None] if alike else np.repeat(resampled[:, None], self.net.audio_channels, 1)
        given = apply_model(self.net, torch.from_numpy(np.ascontiguousarray(batch)), shifts=0, split=False)
        stems = given.numpy()
        stems = stems[0] if alike else stems.mean(2).swapaxes(0, 1)
        flat = stems.reshape(-1, stems.shape[-1])
        back = audio.resample(flat, rate=self.net.samplerate, to=rate)[:, :samples]
        back = np.pad(back, ((0, 0), (0, samples - back.shape[1])))
        return np.asarray(back.reshape(len(self.net.sources), channels, samples), np.float32)


def separator(folder: str | Path) -> DemucsSeparator:
    """A separator from a model's folder.

    Raises
    ------
    MissingExtra
        If demucs is not installed.
    InputError
        If the folder is no such model, or damaged.
    """
    weights = load(folder)
    digest = hashlib.sha256((Path(folder) / TENSORS).read_bytes()).hexdigest()[:16]
    return DemucsSeparator(weights.net, weights.card.name, f"demucs {digest}", weights.card.trained_on)


def adapt(
    spans: Sequence[Span[Multitrack]],
    *,
    base: Weights,
    settings: DemucsSettings | None = None,
    folder: str | Path,
    progress: Progress | None = None,
) -> Weights:
    """Adapt the network to stretches of songs of which there are stems, by the mean absolute error of waveforms.

    With a network of its authors' size a step takes ten seconds and more on a laptop's CPU: that is work for a GPU.

    Parameters
    ----------
    spans : sequence of Span[Multitrack]
    base : Weights
        Of Demucs, with any instruments: it begins with those it knows, by their voices.
    settings : DemucsSettings, optional
    folder : path-like
        Where the log and the checkpoint for resuming lie.
    progress : callable, optional
        Told steps done, steps in all and the loss.

    Returns
    -------
    Weights

    Raises
    ------
    MissingExtra
        If demucs or lightning are not installed.
    InputError
        If the base is another network, there are fewer than two instruments, or as for `levada.learning.training.fit`.
    """
    from levada.learning.training import FitSettings, fit
    from levada.learning.weights import Weights

    settings = settings or DemucsSettings()
    if not is_demucs(base.net):
        raise InputError(f"{base.card.name} is not Demucs: adapt it with levada adapt --task stems")
    instruments = tuple(sorted({name for span in spans for name in span.track.instruments}))
    if len(instruments) < 2:
        raise InputError("to be told apart there must be two instruments or more; the stems have fewer")
    net = telling(base.net, instruments)
    segment = net.segment
    heard = [span.read(instruments, rate=net.samplerate, channels=net.audio_channels)[0] for span in spans]
    if not any(stems.any() for stems in heard):
        raise InputError("there is nothing to learn from: all stems are silent")
    trained: Any = fit(
        net,
        partial(_batches, heard, settings, net.samplerate, float(settings.excerpt_s or segment)),
        settings=FitSettings(
            settings.steps,
            settings.learning_rate,
            weight_decay=settings.weight_decay,
            clip=5.0,
            average=settings.average,
            seed=settings.seed,
        ),
        loss=_loss,
        folder=folder,
        progress=progress,
    )
    trained.segment = segment  # training sets it to the length of excerpts
    card = adapted_card(spans, origin="Fine-tuned", base=base.card, stems=True)
    return Weights(trained, card, {}, asdict(settings))


def _checked(piece: npt.ArrayLike) -> Floats32:
    sound = np.asarray(piece, np.float32)
    if sound.ndim != 2 or not len(sound) or not np.isfinite(sound).all():
        raise InputError(f"a recording is finite numbers of shape (channels, samples), not of shape {sound.shape}")
    return sound


def _batches(
    heard: Sequence[Floats32], settings: DemucsSettings, rate: int, excerpt_s: float, start: int
) -> Iterator[WaveBatch]:
    """Excerpts, changed and mixed anew, from a step on; each depends on its number alone."""
    import torch

    length = round(excerpt_s * rate)
    for step in range(start, settings.steps):
        rng = np.random.default_rng([settings.seed, step])
        stems = torch.from_numpy(
            np.stack([_excerpt(heard, settings, rate, length, rng) for _ in range(settings.batch)])
        )
        yield WaveBatch(stems.sum(1), stems)


def _excerpt(
    heard: Sequence[Floats32], settings: DemucsSettings, rate: int, length: int, rng: np.random.Generator
) -> Floats32:
    """Stems of an excerpt: float32 [shape=(instruments, channels, length)]."""
    by, transform = settings.augmentation, Stft(rate)
    longer = round(length * by.reach) + 1
    share = np.array([stems.shape[-1] for stems in heard]) / sum(stems.shape[-1] for stems in heard)
    song, at, remixed = int(rng.choice(len(heard), p=share)), rng.random(), rng.random() < by.remix
    chosen = []
    for index in range(len(heard[0])):
        if remixed:
            having = [number for number, stems in enumerate(heard) if stems[index].any()]
            song, at = (having or [song])[int(rng.integers(max(1, len(having))))], rng.random()
        first = int(at * max(0, heard[song].shape[-1] - longer))
        chosen.append(heard[song][index][:, first : first + longer])
    seed = int(rng.integers(2**32))  # all channels are changed alike
    channels = [
        mix([stem[channel] for stem in chosen], length, rate=rate, by=by, rng=np.random.default_rng(seed))
        for channel in range(len(chosen[0]))
    ]
    return transform.inverse(np.stack(channels, 1), length)


def _loss(estimates: Tensor, batch: WaveBatch) -> Tensor:
    return (estimates - batch.stems).abs().mean()
