"""Separators by masks of a network, of NMF dictionaries, or of the true stems (oracle)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.separation.masking import MaskSeparator, Spans, gathered, level_of, masked, sound_of
from levada.separation.stft import Stft

if TYPE_CHECKING:
    from levada.separation.masking import Progress
    from levada.separation.nmf import Dictionaries

__all__ = ["Oracle", "network_separator", "nmf_separator", "oracle"]

Floats32 = npt.NDArray[np.float32]

SMALLEST = np.float32(1e-30)


def network_separator(
    net: Any,
    *,
    name: str,
    instruments: Mapping[str, str] | None = None,
    identity: str = "",
    trained_on: Spans | None = None,
) -> MaskSeparator:
    """Return the separator of a network.

    Parameters
    ----------
    net : nn.Module
        A mask network or a U-Net: see `levada.separation.networks`.
    name : str
        Name in tables.
    instruments : mapping of str to str, optional
        Names of stems -> instruments of the network; all of its instruments by default. Those left out get no share of
        the mixture, as if they were silent.
    identity : str
        A digest that changes with the weights.
    trained_on : mapping, optional
        SHA-256 of each recording it was trained on -> the spans used, in seconds.

    Returns
    -------
    MaskSeparator

    Raises
    ------
    InputError
        If the network lacks one of the instruments, or two names are of the same instrument.
    """
    names, rows = _chosen(net.instruments, instruments)
    masks = partial(_of_magnitudes if hasattr(net, "masks") else _of_bands, net.eval(), rows)
    return MaskSeparator(
        name,
        names,
        masks,
        context_frames=net.context_frames,
        stride_frames=getattr(net, "stride_frames", 1),
        identity=_identity(identity, instruments),
        trained_on=trained_on or {},
        restrict=partial(_restrict, network_separator, net, name, _named(names, instruments), identity, trained_on),
    )


def nmf_separator(
    dictionaries: Dictionaries,
    *,
    name: str,
    instruments: Mapping[str, str] | None = None,
    identity: str = "",
    trained_on: Spans | None = None,
) -> MaskSeparator:
    """Return the separator of dictionaries learnt by supervised NMF; parameters as in `network_separator`.

    Raises
    ------
    InputError
        If the dictionaries lack one of the instruments, or two names are of the same instrument.
    """
    names, rows = _chosen(dictionaries.instruments, instruments)
    return MaskSeparator(
        name,
        names,
        partial(_of_dictionaries, dictionaries, rows),
        context_frames=dictionaries.context_frames,
        identity=_identity(identity, instruments),
        trained_on=trained_on or {},
        restrict=partial(
            _restrict, nmf_separator, dictionaries, name, _named(names, instruments), identity, trained_on
        ),
    )


def oracle(stems: Mapping[str, Floats32], rate: int, *, bands: bool = False) -> Oracle:
    """Return a separator with ideal ratio masks, from the powers of the true stems: an upper bound for masks.

    Parameters
    ----------
    stems : mapping of str to float32 [shape=(channels, samples)]
        The true stems.
    rate : int
        In Hz.
    bands : bool
        Whether masks are the same for all bins of a band, as a mask network's are.

    Returns
    -------
    Oracle

    Raises
    ------
    InputError
        If there are no stems, or they differ in length or channels.
    """
    sounds = {name: sound_of(stem) for name, stem in stems.items()}
    if len({sound.shape for sound in sounds.values()}) != 1:
        raise InputError("true stems must have the same length and number of channels, and there must be at least one")
    return Oracle(tuple(sounds), np.stack(list(sounds.values())), rate, bands)


@dataclass(frozen=True)
class Oracle:
    """A separator with ideal ratio masks of one mixture.

    Parameters
    ----------
    instruments : tuple of str
    true : float32 [shape=(instruments, channels, samples)]
    rate : int
        In Hz.
    bands : bool
        Whether masks are the same for all bins of a band.
    """

    instruments: tuple[str, ...]
    true: Floats32
    rate: int
    bands: bool = False
    name: str = "oracle"
    identity: str = "oracle"
    trained_on: Spans = field(default_factory=dict)

    def separate(self, samples: Floats32, rate: int, *, progress: Progress | None = None) -> dict[str, Floats32]:
        """Separate the mixture of the true stems.

        Raises
        ------
        InputError
            If its length or rate differs from that of the true stems.
        """
        sound = sound_of(samples)
        if rate != self.rate or sound.shape[1] != self.true.shape[-1]:
            raise InputError("the oracle separates only the mixture of its true stems: the length or the rate differs")
        pieces = self.stream([sound], rate, level=level_of([sound], rate))
        return gathered(self.instruments, sound, rate, pieces, progress)

    def stream(self, pieces: Iterable[Floats32], rate: int, *, level: float = 0.0) -> Iterator[dict[str, Floats32]]:  # noqa: ARG002
        """Separate the mixture in consecutive pieces; the level is not used."""
        return masked(pieces, rate, self.instruments, self._masks)

    def _masks(self, power: Floats32, first: int) -> Floats32:
        stft = Stft(self.rate)
        start, end = (first - 1) * stft.hop, (first + len(power)) * stft.hop
        length = self.true.shape[-1]
        piece = self.true[..., max(0, start) : min(length, end)]
        padded = np.pad(piece, [(0, 0), (0, 0), (max(0, -start), max(0, end - max(length, start)))])
        spectra = stft.forward(padded)[..., 1:-1, :]
        powers = np.mean(spectra.real**2 + spectra.imag**2, axis=1)
        if self.bands:
            powers = stft.expand_bands(stft.to_bands(powers))
        return _to_one(powers)


def _chosen(available: tuple[str, ...], wanted: Mapping[str, str] | None) -> tuple[tuple[str, ...], list[int]]:
    """Return the names of stems, and the index of the mask of each."""
    if wanted is None:
        return tuple(available), list(range(len(available)))
    unknown = [name for name in wanted.values() if name not in available]
    if unknown or not wanted:
        raise InputError(
            f"the model has no stem of {', '.join(unknown) or 'nothing'}: its stems are {', '.join(available)}"
        )
    rows = [available.index(name) for name in wanted.values()]
    if len(set(rows)) < len(rows):
        raise InputError(f"two of {', '.join(wanted)} are the same instrument of the model, which cannot separate them")
    return tuple(wanted), rows


def _named(names: tuple[str, ...], instruments: Mapping[str, str] | None) -> dict[str, str]:
    """Return the names of stems -> instruments of the model."""
    return dict(instruments) if instruments is not None else {name: name for name in names}


def _restrict(
    make: Callable[..., MaskSeparator],
    model: Any,
    name: str,
    sources: Mapping[str, str],
    identity: str,
    trained_on: Spans | None,
    instruments: Sequence[str],
) -> MaskSeparator:
    """Return the separator of some of the instruments."""
    chosen = {one: sources[one] for one in instruments}
    return make(model, name=name, instruments=chosen, identity=identity, trained_on=trained_on)


def _identity(identity: str, instruments: Mapping[str, str] | None) -> str:
    if instruments is None or not identity:
        return identity
    return hashlib.sha256(f"{identity} {sorted(instruments.items())}".encode()).hexdigest()[:16]


def _of_bands(net: Any, rows: list[int], power: Floats32, level: float, rate: int) -> Floats32:
    import torch

    from levada.learning.weights import device_of
    from levada.separation.networks.mask_net import features

    stft = Stft(rate)
    with torch.inference_mode():
        logits = net(features(torch.from_numpy(stft.to_bands(power)).to(device_of(net)), level)[None])[0]
        chosen = logits if len(rows) == len(logits) and rows == sorted(rows) else logits[rows]
        masks: Floats32 = chosen.softmax(0).cpu().numpy()
    return stft.expand_bands(masks)


def _of_magnitudes(net: Any, rows: list[int], power: Floats32, level: float, _rate: int) -> Floats32:
    import torch

    from levada.learning.weights import device_of

    return _restricted(net.masks(torch.from_numpy(power).to(device_of(net)), level).cpu().numpy(), rows)


def _of_dictionaries(dictionaries: Dictionaries, rows: list[int], power: Floats32, *_: float) -> Floats32:
    from levada.separation import nmf

    return _restricted(nmf.masks(dictionaries, np.sqrt(power)), rows)


def _restricted(masks: Floats32, rows: list[int]) -> Floats32:
    """Select masks, and scale them so that they sum to one."""
    return masks if rows == list(range(len(masks))) else _to_one(masks[rows])


def _to_one(masks: Floats32) -> Floats32:
    """Scale masks so that they sum to one; equal ones where all are zero."""
    masks = masks + SMALLEST
    return np.asarray(masks / masks.sum(axis=0), np.float32)
