"""Where masks come from: networks, dictionaries, and the true stems themselves."""

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
    """A separator from a network.

    Parameters
    ----------
    net : nn.Module
        A mask network or a U-Net: see `levada.separation.networks`.
    name : str
        What tables call it.
    instruments : mapping of str to str, optional
        Names of what it is to tell apart -> what the network calls it; all that it knows by default. What is left out
        gets nothing, as if it did not play.
    identity : str
        Changes whenever the weights do.
    trained_on : mapping, optional
        SHA-256 of each recording it was trained on -> the stretches used, in seconds.

    Returns
    -------
    MaskSeparator

    Raises
    ------
    InputError
        If the network does not know one of the instruments, or two names mean the same.
    """
    names, rows = _chosen(net.instruments, instruments)
    hear = partial(_of_magnitudes if hasattr(net, "masks") else _of_bands, net.eval(), rows)
    return MaskSeparator(
        name,
        names,
        hear,
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
    """A separator from dictionaries learnt by supervised NMF; parameters as in `network_separator`.

    Raises
    ------
    InputError
        If the dictionaries lack one of the instruments, or two names mean the same.
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
    """The ceiling of all that works with masks: the ideal ratio of the true stems' powers.

    Parameters
    ----------
    stems : mapping of str to float32 [shape=(channels, samples)]
        The true ones.
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
        raise InputError("true stems are as long as each other and have the same channels; there must be some")
    return Oracle(tuple(sounds), np.stack(list(sounds.values())), rate, bands)


@dataclass(frozen=True)
class Oracle:
    """A separator that knows the true stems of one mixture.

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
        """Each instrument of the mixture whose true stems are known.

        Raises
        ------
        InputError
            If it is not as long, or of another rate.
        """
        sound = sound_of(samples)
        if rate != self.rate or sound.shape[1] != self.true.shape[-1]:
            raise InputError("the oracle knows one mixture, and this is as long as another, or of another rate")
        pieces = self.stream([sound], rate, level=level_of([sound], rate))
        return gathered(self.instruments, sound, rate, pieces, progress)

    def stream(self, pieces: Iterable[Floats32], rate: int, *, level: float = 0.0) -> Iterator[dict[str, Floats32]]:  # noqa: ARG002
        """The same, of a mixture that comes in pieces; it needs no level."""
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


def _chosen(known: tuple[str, ...], wanted: Mapping[str, str] | None) -> tuple[tuple[str, ...], list[int]]:
    """Names, and which of the model's masks they are."""
    if wanted is None:
        return tuple(known), list(range(len(known)))
    unknown = [theirs for theirs in wanted.values() if theirs not in known]
    if unknown or not wanted:
        raise InputError(f"the model does not know {', '.join(unknown) or 'nothing'}: it knows {', '.join(known)}")
    rows = [known.index(theirs) for theirs in wanted.values()]
    if len(set(rows)) < len(rows):
        raise InputError(f"two of {', '.join(wanted)} are one to the model, and cannot be told apart")
    return tuple(wanted), rows


def _named(names: tuple[str, ...], instruments: Mapping[str, str] | None) -> dict[str, str]:
    """Names of the stems -> what the model calls them."""
    return dict(instruments) if instruments is not None else {name: name for name in names}


def _restrict(
    make: Callable[..., MaskSeparator],
    model: Any,
    name: str,
    called: Mapping[str, str],
    identity: str,
    trained_on: Spans | None,
    instruments: Sequence[str],
) -> MaskSeparator:
    """The separator of some of the instruments."""
    chosen = {one: called[one] for one in instruments}
    return make(model, name=name, instruments=chosen, identity=identity, trained_on=trained_on)


def _identity(identity: str, instruments: Mapping[str, str] | None) -> str:
    if instruments is None or not identity:
        return identity
    return hashlib.sha256(f"{identity} {sorted(instruments.items())}".encode()).hexdigest()[:16]


def _of_bands(net: Any, rows: list[int], power: Floats32, level: float, rate: int) -> Floats32:
    import torch

    from levada.separation.networks.mask_net import features

    stft = Stft(rate)
    with torch.inference_mode():
        logits = net(features(torch.from_numpy(stft.to_bands(power)), level)[None])[0]
        chosen = logits if len(rows) == len(logits) and rows == sorted(rows) else logits[rows]
        masks: Floats32 = chosen.softmax(0).numpy()
    return stft.expand_bands(masks)


def _of_magnitudes(net: Any, rows: list[int], power: Floats32, level: float, _rate: int) -> Floats32:
    import torch

    return _restricted(net.masks(torch.from_numpy(power), level).numpy(), rows)


def _of_dictionaries(dictionaries: Dictionaries, rows: list[int], power: Floats32, *_: float) -> Floats32:
    from levada.separation import nmf

    return _restricted(nmf.masks(dictionaries, np.sqrt(power)), rows)


def _restricted(masks: Floats32, rows: list[int]) -> Floats32:
    """Share all among some."""
    return masks if rows == list(range(len(masks))) else _to_one(masks[rows])


def _to_one(shares: Floats32) -> Floats32:
    """Scale shares so that they sum to one; equal ones where there is nothing."""
    shares = shares + SMALLEST
    return np.asarray(shares / shares.sum(axis=0), np.float32)
