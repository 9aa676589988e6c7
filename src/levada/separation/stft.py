"""The short-time Fourier transform of separators, at any sample rate, and its bands.

The length of a frame in seconds does not depend on the rate, so that bins lie at the same frequencies and nothing need
be resampled: 46 ms, overlapping by half, with the square root of a Hann window in both directions, which reconstructs
the input. Bands are single bins in the bass and wider above.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from levada.errors import InputError

__all__ = ["BAND_EDGES", "N_BANDS", "Stft"]

Floats32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]

REFERENCE_RATE, REFERENCE_HOP = 44100, 1024
N_LINEAR, TOP_HZ = 24, 16000.0


def _band_edges() -> npt.NDArray[np.int64]:
    """Return the first bin of each band: single bins, then a constant ratio."""
    top = TOP_HZ * 2 * REFERENCE_HOP / REFERENCE_RATE
    return np.unique(np.concatenate([np.arange(N_LINEAR), np.rint(np.geomspace(N_LINEAR, top, 136))])).astype(np.int64)


BAND_EDGES = _band_edges()
N_BANDS = len(BAND_EDGES)
"""Number of bands: 156."""


@dataclass(frozen=True)
class Stft:
    """The transform at one sample rate.

    Parameters
    ----------
    rate : int
        In Hz.

    Raises
    ------
    InputError
        If the rate is below 2,000 or above 768,000 Hz.
    """

    rate: int

    def __post_init__(self) -> None:
        if not 2000 <= self.rate <= 768_000:
            raise InputError(f"recordings of {self.rate} Hz cannot be separated: the rate must be 2,000 to 768,000 Hz")

    @cached_property
    def hop(self) -> int:
        """Samples between consecutive frames."""
        return round(self.rate * REFERENCE_HOP / REFERENCE_RATE)

    @property
    def frame_length(self) -> int:
        """Samples in a frame."""
        return 2 * self.hop

    @property
    def n_bins(self) -> int:
        """Number of frequencies, from 0 to half the rate."""
        return self.hop + 1

    @cached_property
    def window(self) -> Floats32:
        """The window: float32 [shape=(frame_length,)]; its squares, half a window apart, sum to 1."""
        return np.sqrt(0.5 - 0.5 * np.cos(np.pi * np.arange(self.frame_length) / self.hop)).astype(np.float32)

    @cached_property
    def band_of(self) -> npt.NDArray[np.int64]:
        """Band of each bin: int [shape=(bins,)]. The last band is open above; a low rate lacks the upper ones."""
        return np.searchsorted(BAND_EDGES, np.arange(self.n_bins), side="right") - 1

    def n_frames(self, length: int) -> int:
        """Return the number of frames of so many samples."""
        return -(-length // self.hop) + 1

    def forward(self, samples: npt.ArrayLike) -> Complex64:
        """Compute the spectra of frames; the first is centred on the first sample.

        Parameters
        ----------
        samples : float32 [shape=(..., samples)]

        Returns
        -------
        complex64 [shape=(..., frames, bins)]
            Their magnitude does not depend on the rate.
        """
        from scipy.fft import rfft

        given = np.asarray(samples, np.float32)
        length = given.shape[-1]
        after = self.n_frames(length) * self.hop - length
        padded = np.pad(given, [(0, 0)] * (given.ndim - 1) + [(self.hop, after)])
        frames = np.lib.stride_tricks.sliding_window_view(padded, self.frame_length, axis=-1)[..., :: self.hop, :]
        return np.asarray(rfft(frames * (self.window / np.float32(self.frame_length)), axis=-1), np.complex64)

    def inverse(self, spectra: npt.ArrayLike, length: int) -> Floats32:
        """Compute samples from spectra.

        Parameters
        ----------
        spectra : complex64 [shape=(..., frames, bins)]
        length : int
            Number of samples that `forward` was given.

        Returns
        -------
        float32 [shape=(..., samples)]
        """
        from scipy.fft import irfft

        frames = irfft(np.asarray(spectra), self.frame_length, axis=-1) * (self.window * np.float32(self.frame_length))
        out = np.zeros((*frames.shape[:-2], frames.shape[-2] + 1, self.hop), np.float32)
        out[..., :-1, :] += frames[..., : self.hop]
        out[..., 1:, :] += frames[..., self.hop :]
        return out.reshape(*out.shape[:-2], -1)[..., self.hop : self.hop + length]

    def to_bands(self, power: npt.ArrayLike) -> Floats32:
        """Sum the power of bins over bands.

        Parameters
        ----------
        power : float32 [shape=(..., frames, bins)]

        Returns
        -------
        float32 [shape=(..., frames, N_BANDS)]
            0 in bands above half the rate.
        """
        given = np.asarray(power, np.float32)
        edges = BAND_EDGES[: int(self.band_of[-1]) + 1]
        summed = np.add.reduceat(given, edges, axis=-1)
        return np.pad(summed, [(0, 0)] * (given.ndim - 1) + [(0, N_BANDS - len(edges))])

    def mean_over_bands(self, masks: npt.ArrayLike) -> Floats32:
        """Average the values of bins over bands: float32 [shape=(..., N_BANDS)], the inverse of `expand_bands`."""
        bins = np.maximum(self.to_bands(np.ones(self.n_bins, np.float32)), 1)
        return np.asarray(self.to_bands(masks) / bins, np.float32)

    def expand_bands(self, masks: npt.ArrayLike) -> Floats32:
        """Give each bin the value of its band.

        Parameters
        ----------
        masks : float32 [shape=(..., frames, N_BANDS)]

        Returns
        -------
        float32 [shape=(..., frames, bins)]
        """
        return np.asarray(masks, np.float32)[..., self.band_of]
