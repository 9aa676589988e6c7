"""Masks from dictionaries."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.separation.nmf.dictionaries import Dictionaries, NmfSettings
from levada.separation.nmf.updates import LEAST, activations, as_matrix, scaled, windows
from levada.separation.stft import REFERENCE_HOP, REFERENCE_RATE, Stft

__all__ = ["checked", "divergence", "in_bands", "masks"]

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


def divergence(dictionaries: Dictionaries, magnitude: npt.ArrayLike) -> float:
    """Measure how badly dictionaries explain a mixture.

    Parameters
    ----------
    dictionaries : Dictionaries
    magnitude : float32 [shape=(frames, bins)]
        As of `masks`.

    Returns
    -------
    float
        Generalised Kullback-Leibler divergence of the mixture from its reconstruction, divided by the sum of its
        magnitudes: 0 where it is explained without an error, and for silence.

    Raises
    ------
    InputError
        As of `masks`.
    """
    magnitudes = in_bands(checked(magnitude, "the mixture"), dictionaries.settings)
    error = total = 0.0
    for _, given, estimates in _estimates(dictionaries, magnitudes):
        estimate = estimates.sum(axis=0) + LEAST
        error += float((given * np.log((given + LEAST) / estimate) - given + estimate).sum(dtype=np.float64))
        total += float(given.sum(dtype=np.float64))
    return error / total if total else 0.0


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
    rows, count = _rows(dictionaries, magnitudes), len(dictionaries.bases)
    audible = [*_audible(dictionaries, rows)]
    out = np.full((count, len(magnitudes), rows), 0 if audible else 1 / count, np.float32)
    for kept, _, estimates in _estimates(dictionaries, magnitudes):
        most = estimates.max(axis=0, keepdims=True)
        relative = (estimates / (most + LEAST * LEAST)) ** np.float32(dictionaries.settings.exponent) + LEAST
        out[audible, kept] = relative / relative.sum(axis=0)
    return out


def _rows(dictionaries: Dictionaries, magnitudes: Floats32) -> int:
    return min(int(magnitudes.shape[1]), int(dictionaries.bases[0].shape[-1]))


def _audible(dictionaries: Dictionaries, rows: int) -> dict[int, Floats32]:
    """Return the bases of the instruments that have audible ones in these bins or bands, by their index."""
    bases = [np.asarray(basis[..., :rows], np.float32) for basis in dictionaries.bases]
    audible = (basis[basis.sum(axis=(1, 2)) > MIN_AUDIBLE] for basis in bases)
    return {index: basis for index, basis in enumerate(audible) if len(basis)}


def _estimates(dictionaries: Dictionaries, magnitudes: Floats32) -> Iterator[tuple[slice, Floats32, Floats32]]:
    """Yield the frames of each piece, their scaled magnitudes, and the contribution of each audible instrument."""
    rows, taps = _rows(dictionaries, magnitudes), dictionaries.settings.taps
    matrices = [as_matrix(basis) for basis in _audible(dictionaries, rows).values()]
    if not matrices:
        return
    whole = np.concatenate(matrices)
    edges = np.cumsum([0, *map(len, matrices)])
    for kept, piece, inside in _pieces(len(magnitudes), dictionaries.context_frames):
        given = scaled(magnitudes[piece, :rows])
        windowed = windows(activations(given, whole, taps=taps, steps=dictionaries.settings.steps), taps)[inside]
        contributions = [windowed[:, a:b] @ m for a, b, m in zip(edges[:-1], edges[1:], matrices, strict=True)]
        yield kept, given[inside], np.stack(contributions)


def _pieces(frames: int, context: int) -> Iterator[tuple[slice, slice, slice]]:
    """Yield slices: frames of a piece, the same with context, and the frames of the piece within these."""
    for first in range(0, frames, PIECE_FRAMES):
        last = min(frames, first + PIECE_FRAMES)
        start = max(0, first - context)
        yield slice(first, last), slice(start, last + context), slice(first - start, last - start)
