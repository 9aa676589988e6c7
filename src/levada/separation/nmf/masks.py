"""How much of a mixture belongs to each instrument."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.separation.nmf.dictionaries import Dictionaries, NmfSettings
from levada.separation.nmf.updates import LEAST, activations, as_matrix, scaled, windows
from levada.separation.stft import N_BANDS, REFERENCE_HOP, REFERENCE_RATE, Stft

__all__ = ["band_estimates", "checked", "in_bands", "masks"]

Floats32 = npt.NDArray[np.float32]

PIECE_FRAMES = 1024
"""So many frames are explained at once: it bounds memory, and changes nothing."""
TOO_LITTLE = 1e-3
"""A basis with less than this share of itself below the highest frequency there is cannot be heard."""


def masks(dictionaries: Dictionaries, magnitude: npt.ArrayLike) -> Floats32:
    """Share out the magnitudes of a mixture among instruments.

    Parameters
    ----------
    dictionaries : Dictionaries
    magnitude : float32 [shape=(frames, bins)]
        Of `levada.separation.stft.Stft` at any rate. Its level does not matter.

    Returns
    -------
    float32 [shape=(instruments, frames, bins)]
        At least 0; they sum to 1 over instruments. 0 for an instrument that was never heard while learning; equal
        shares where nothing is known. A frame's masks depend on `context_frames` of those around it and no more.

    Raises
    ------
    InputError
        If a magnitude is below 0 or no number, or there are too few bins.
    """
    given = checked(magnitude, "the mixture")
    shares = _shares(dictionaries, in_bands(given, dictionaries.settings))
    if dictionaries.settings.bands:
        return shares[..., _stft(given.shape[1]).band_of]
    above = given.shape[1] - shares.shape[-1]  # a rate above that of the stems: as the highest bin that is known
    return shares if above <= 0 else np.pad(shares, [(0, 0), (0, 0), (0, above)], mode="edge")


def band_estimates(dictionaries: Dictionaries, bands: npt.ArrayLike) -> Floats32:
    """What each instrument contributes to the bands of a mixture, to be looked at by something that learns.

    Parameters
    ----------
    dictionaries : Dictionaries
        Of bands.
    bands : float32 [shape=(frames, N_BANDS)]
        Magnitudes: the roots of `levada.separation.stft.Stft.bands`.

    Returns
    -------
    float32 [shape=(instruments, frames, N_BANDS)]
        They sum to `bands`.

    Raises
    ------
    InputError
        If the dictionaries are of bins, or a magnitude is below 0 or no number.
    """
    if not dictionaries.settings.bands:
        raise InputError("these dictionaries are of bins: learn them with bands=True")
    given = checked(bands, "the mixture")
    if given.shape[1] != N_BANDS:
        raise InputError(f"the mixture has {given.shape[1]} bands and should have {N_BANDS}")
    return _shares(dictionaries, given) * given


def checked(magnitude: npt.ArrayLike, what: str) -> Floats32:
    """Magnitudes, if they are any.

    Raises
    ------
    InputError
        If one is below 0 or no number, or they are not of frames and bins.
    """
    given = np.asarray(magnitude, np.float32)
    if given.ndim != 2 or given.shape[1] < 2:
        raise InputError(f"{what} has magnitudes of the shape {given.shape}: frames and bins are needed")
    if not np.isfinite(given).all():
        raise InputError(f"{what} holds values that are no numbers: it is damaged, or was clipped while computing")
    if (given < 0).any():
        raise InputError(f"{what} holds magnitudes below 0: give the absolute value of its spectra")
    return given


def in_bands(magnitude: Floats32, settings: NmfSettings) -> Floats32:
    """Magnitudes of bands from those of bins, if bases are of bands; float32 [shape=(frames, N_BANDS or bins)]."""
    if not settings.bands:
        return magnitude
    most = np.float32(max(float(magnitude.max(initial=0.0)), 1e-30))
    return np.sqrt(_stft(magnitude.shape[1]).to_bands(np.square(magnitude / most))) * most


def _stft(bins: int) -> Stft:
    """The transform that has so many bins: those of all rates lie at the same frequencies."""
    return Stft(round((bins - 1) * REFERENCE_RATE / REFERENCE_HOP))


def _shares(dictionaries: Dictionaries, heard: Floats32) -> Floats32:
    """Masks of the rows there are bases for: float32 [shape=(instruments, frames, rows)]."""
    rows = min(heard.shape[1], dictionaries.bases[0].shape[-1])
    own = [np.asarray(basis[..., :rows], np.float32) for basis in dictionaries.bases]
    own = [basis[basis.sum(axis=(1, 2)) > TOO_LITTLE] for basis in own]
    sounding = [index for index, basis in enumerate(own) if len(basis)]
    out = np.zeros((len(own), len(heard), rows), np.float32)
    if not sounding:
        out[:] = 1 / len(own)
        return out
    taps = dictionaries.settings.taps
    matrices = [as_matrix(own[index]) for index in sounding]
    whole = np.concatenate(matrices)
    edges = np.cumsum([0, *map(len, matrices)])
    for kept, piece, inside in _pieces(len(heard), dictionaries.context_frames):
        active = activations(scaled(heard[piece, :rows]), whole, taps=taps, steps=dictionaries.settings.steps)
        heard_then = windows(active, taps)[inside]
        estimates = np.stack([heard_then[:, a:b] @ m for a, b, m in zip(edges[:-1], edges[1:], matrices, strict=True)])
        most = estimates.max(axis=0, keepdims=True)
        relative = (estimates / (most + LEAST * LEAST)) ** np.float32(dictionaries.settings.exponent) + LEAST
        out[sounding, kept] = relative / relative.sum(axis=0)
    return out


def _pieces(frames: int, context: int) -> Iterator[tuple[slice, slice, slice]]:
    """Frames that are explained together: which are kept, which are looked at, and the kept ones among these."""
    for first in range(0, frames, PIECE_FRAMES):
        last = min(frames, first + PIECE_FRAMES)
        start = max(0, first - context)
        yield slice(first, last), slice(start, last + context), slice(first - start, last - start)
