"""Masks from dictionaries."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.separation.nmf.dictionaries import Dictionaries, NmfSettings
from levada.separation.nmf.updates import LEAST, activations, as_matrix, scaled, windows
from levada.separation.stft import REFERENCE_HOP, REFERENCE_RATE, Stft

__all__ = ["checked", "in_bands", "masks"]

Floats32 = npt.NDArray[np.float32]

PIECE_FRAMES = 1024
"""Frames that are processed at once: it bounds memory, and does not change results."""
MIN_AUDIBLE = 1e-3
"""A basis with a smaller share below half the sample rate is ignored."""


def masks(dictionaries: Dictionaries, magnitude: npt.ArrayLike) -> Floats32:
    """Compute the masks of a mixture.

    Parameters
    ----------
    dictionaries : Dictionaries
    magnitude : float32 [shape=(frames, bins)]
        Of `levada.separation.stft.Stft` at any rate and level.

    Returns
    -------
    float32 [shape=(instruments, frames, bins)]
        They sum to 1 over instruments; 0 for an instrument that was silent in training, and equal where no basis
        applies. The masks of a frame depend on `context_frames` on either side.

    Raises
    ------
    InputError
        If a magnitude is negative or not finite, or there are too few bins.
    """
    given = checked(magnitude, "the mixture")
    shares = _shares(dictionaries, in_bands(given, dictionaries.settings))
    if dictionaries.settings.bands:
        return shares[..., _stft(given.shape[1]).band_of]
    above = given.shape[1] - shares.shape[-1]  # a rate above that of the stems: as the highest bin that is known
    return shares if above <= 0 else np.pad(shares, [(0, 0), (0, 0), (0, above)], mode="edge")


def checked(magnitude: npt.ArrayLike, what: str) -> Floats32:
    """Return magnitudes as float32.

    Raises
    ------
    InputError
        If one is negative or not finite, or they are not of frames and bins.
    """
    given = np.asarray(magnitude, np.float32)
    if given.ndim != 2 or given.shape[1] < 2:
        raise InputError(f"{what} has magnitudes of the shape {given.shape}: frames and bins are needed")
    if not np.isfinite(given).all():
        raise InputError(f"{what} holds values that are not finite")
    if (given < 0).any():
        raise InputError(f"{what} holds negative magnitudes: give the absolute value of its spectra")
    return given


def in_bands(magnitude: Floats32, settings: NmfSettings) -> Floats32:
    """Convert to magnitudes of bands, if bases are of bands: float32 [shape=(frames, N_BANDS or bins)]."""
    if not settings.bands:
        return magnitude
    most = np.float32(max(float(magnitude.max(initial=0.0)), 1e-30))
    return np.sqrt(_stft(magnitude.shape[1]).to_bands(np.square(magnitude / most))) * most


def _stft(bins: int) -> Stft:
    """Return the transform with so many bins: bins of all rates lie at the same frequencies."""
    return Stft(round((bins - 1) * REFERENCE_RATE / REFERENCE_HOP))


def _shares(dictionaries: Dictionaries, magnitudes: Floats32) -> Floats32:
    """Compute masks of the bins or bands that bases have: float32 [shape=(instruments, frames, rows)]."""
    rows = min(magnitudes.shape[1], dictionaries.bases[0].shape[-1])
    bases = [np.asarray(basis[..., :rows], np.float32) for basis in dictionaries.bases]
    bases = [basis[basis.sum(axis=(1, 2)) > MIN_AUDIBLE] for basis in bases]
    audible = [index for index, basis in enumerate(bases) if len(basis)]
    out = np.zeros((len(bases), len(magnitudes), rows), np.float32)
    if not audible:
        out[:] = 1 / len(bases)
        return out
    taps = dictionaries.settings.taps
    matrices = [as_matrix(bases[index]) for index in audible]
    whole = np.concatenate(matrices)
    edges = np.cumsum([0, *map(len, matrices)])
    for kept, piece, inside in _pieces(len(magnitudes), dictionaries.context_frames):
        active = activations(scaled(magnitudes[piece, :rows]), whole, taps=taps, steps=dictionaries.settings.steps)
        windowed = windows(active, taps)[inside]
        estimates = np.stack([windowed[:, a:b] @ m for a, b, m in zip(edges[:-1], edges[1:], matrices, strict=True)])
        most = estimates.max(axis=0, keepdims=True)
        relative = (estimates / (most + LEAST * LEAST)) ** np.float32(dictionaries.settings.exponent) + LEAST
        out[audible, kept] = relative / relative.sum(axis=0)
    return out


def _pieces(frames: int, context: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield slices: frames of a piece, the same with context, and the frames of the piece within these."""
    for first in range(0, frames, PIECE_FRAMES):
        last = min(frames, first + PIECE_FRAMES)
        start = max(0, first - context)
        yield slice(first, last), slice(start, last + context), slice(first - start, last - start)
