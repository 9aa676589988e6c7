"""Separators by masks of a network, of NMF dictionaries, or of the true stems (oracle)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.separation import nmf
from levada.separation.masking import MaskSeparator, Spans, gathered, masked, sound_of
from levada.separation.networks.mask_inference import MaskInference
from levada.separation.stft import Stft

__all__ = ["BLIND_WEIGHT", "MEAN_WEIGHT", "mask_separator", "oracle"]

Floats32 = npt.NDArray[np.float32]

MEAN_WEIGHT = 0.6
"""Weight of the mean masks of a recording for networks that were not trained on its drums; .4 to .8 are as good."""
BLIND_WEIGHT = 0.3
"""Weight of dictionaries learnt from a recording itself, for the same networks; see `studies/LOG.md`."""
SMALLEST = np.float32(1e-30)


def mask_separator(
    model: Any,
    *,
    name: str,
    instruments: Mapping[str, str] | None = None,
    identity: str = "",
    trained_on: Spans | None = None,
    mean_weight: float = 0.0,
    blind_weight: float = 0.0,
) -> MaskSeparator:
    """Return the separator of a network or of dictionaries.

    Parameters
    ----------
    model : nn.Module, MaskInference or Dictionaries
        A mask network, a U-Net (see `levada.separation.networks`) or dictionaries learnt by supervised NMF.
    name : str
        Name in tables.
    instruments : mapping of str to str, optional
        Names of stems -> instruments of the model; all of its instruments by default. Those left out get no share of
        the mixture, as if they were silent.
    identity : str
        A digest that changes with the weights.
    trained_on : mapping, optional
        SHA-256 of each recording it was trained on -> the spans used, in seconds.
    mean_weight, blind_weight : float
        See `MaskSeparator`.

    Returns
    -------
    MaskSeparator

    Raises
    ------
    InputError
        If the model lacks one of the instruments, or two names are of the same instrument.
    """
    about: dict[str, Any] = {"name": name, "identity": identity, "trained_on": trained_on}
    about |= {"mean_weight": mean_weight, "blind_weight": blind_weight}
    sources = {one: one for one in model.instruments} if instruments is None else dict(instruments)
    rows, stems_identity = _rows(model.instruments, sources), identity
    if instruments is not None and identity:
        stems_identity = hashlib.sha256(f"{identity} {sorted(instruments.items())}".encode()).hexdigest()[:16]
    if isinstance(model, nmf.Dictionaries):
        masks = partial(_of_dictionaries, model, rows)
    else:
        masks = partial(_of_magnitudes if hasattr(model, "features") else _of_bands, model.eval(), rows)
    return MaskSeparator(
        name,
        tuple(sources),
        masks,
        context_frames=model.context_frames,
        stride_frames=getattr(model, "stride_frames", 1),
        identity=stems_identity,
        trained_on=trained_on or {},
        restrict=partial(_restrict, partial(mask_separator, model, **about), sources),
        mean_weight=mean_weight,
        blind_weight=blind_weight,
        networks=() if isinstance(model, nmf.Dictionaries) else (model,),
    )


def oracle(
    stems: Mapping[str, npt.ArrayLike], mixture: npt.ArrayLike, rate: int, *, bands: bool = False
) -> dict[str, Floats32]:
    """Separate a mixture by ideal ratio masks, from the powers of its true stems: an upper bound for masks.

    Parameters
    ----------
    stems : mapping of str to float32 [shape=(channels, samples)]
        The true stems.
    mixture : float32 [shape=(channels, samples)]
    rate : int
    bands : bool
        Whether masks are the same for all bins of a band, as a mask network's are.

    Returns
    -------
    dict of str to float32 [shape=(channels, samples)]

    Raises
    ------
    InputError
        If there are no stems, or they differ from the mixture in length or channels.
    """
    sound, stft = sound_of(mixture), Stft(rate)
    sounds = {name: sound_of(stem) for name, stem in stems.items()}
    if {one.shape for one in sounds.values()} != {sound.shape}:
        raise InputError("true stems must have the length and the channels of the mixture, and there must be a stem")
    true, length = np.stack(list(sounds.values())), sound.shape[1]

    def masks_at(power: Floats32, first: int) -> Floats32:
        start, end = (first - 1) * stft.hop, (first + len(power)) * stft.hop
        piece = true[..., max(0, start) : min(length, end)]
        padded = np.pad(piece, [(0, 0), (0, 0), (max(0, -start), max(0, end - max(length, start)))])
        spectra = stft.forward(padded)[..., 1:-1, :]
        powers = np.mean(spectra.real**2 + spectra.imag**2, axis=1)
        return _to_one(stft.expand_bands(stft.to_bands(powers)) if bands else powers)

    return gathered(tuple(sounds), sound, rate, masked([sound], rate, tuple(sounds), masks_at), None)


def _rows(available: Sequence[str], sources: Mapping[str, str]) -> list[int]:
    """Return the index of the mask of each stem."""
    unknown = [name for name in sources.values() if name not in available]
    if unknown or not sources:
        raise InputError(
            f"the model has no stem of {', '.join(unknown) or 'nothing'}: its stems are {', '.join(available)}"
        )
    rows = [available.index(name) for name in sources.values()]
    if len(set(rows)) < len(rows):
        raise InputError(
            f"two of {', '.join(sources)} are the same instrument of the model, which cannot separate them"
        )
    return rows


def _restrict(
    separator_of: Callable[..., MaskSeparator], sources: Mapping[str, str], instruments: Sequence[str]
) -> MaskSeparator:
    """Return the separator of some of the instruments."""
    return separator_of(instruments={one: sources[one] for one in instruments})


def _of_bands(net: Any, rows: list[int], power: Floats32, level: float, rate: int) -> Floats32:
    stft = Stft(rate)
    if isinstance(net, MaskInference):
        if net.module is None:
            return stft.expand_bands(net.masks(stft.to_bands(power), level, rows))
        net = net.module
    import torch

    from levada.learning.weights import device_of
    from levada.separation.networks.mask_net import features

    with torch.inference_mode():
        logits = net(features(torch.from_numpy(stft.to_bands(power)).to(device_of(net)), level)[None])[0]
        chosen = logits if len(rows) == len(logits) and rows == sorted(rows) else logits[rows]
        masks: Floats32 = chosen.softmax(0).cpu().numpy()
    return stft.expand_bands(masks)


def _of_magnitudes(net: Any, rows: list[int], power: Floats32, level: float, _rate: int) -> Floats32:
    import torch

    from levada.learning.weights import device_of

    return _restricted(net.masks(torch.from_numpy(power).to(device_of(net)), level).cpu().numpy(), rows)


def _of_dictionaries(dictionaries: nmf.Dictionaries, rows: list[int], power: Floats32, *_: float) -> Floats32:
    return _restricted(nmf.masks(dictionaries, np.sqrt(power)), rows)


def _restricted(masks: Floats32, rows: list[int]) -> Floats32:
    """Select masks, and scale them so that they sum to one."""
    return masks if rows == list(range(len(masks))) else _to_one(masks[rows])


def _to_one(masks: Floats32) -> Floats32:
    """Scale masks so that they sum to one; equal ones where all are zero."""
    masks = masks + SMALLEST
    return np.asarray(masks / masks.sum(axis=0), np.float32)
