"""The short-time Fourier transform that separators work on, at any rate, and its bands.

Frames are as long in seconds whatever the rate, so that bins lie at the same frequencies and nothing need be resampled:
46 ms, half overlapping, under the root of a Hann window on both ways, which gives back what came in. Bands are single
bins in the bass and wider above, where drums are told apart by colour and no longer by pitch.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from levada.errors import InputError

__all__ = ["BANDS", "Stft"]

Floats32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]

BASIS_HZ, BASIS_HOP = 44100, 1024
LINEAR, TOP_HZ = 24, 16000.0


def _edges() -> npt.NDArray[np.int64]:
    """First bin of each band: single ones, then a constant ratio apart."""
    top = TOP_HZ * 2 * BASIS_HOP / BASIS_HZ
    return np.unique(np.concatenate([np.arange(LINEAR), np.rint(np.geomspace(LINEAR, top, 136))])).astype(np.int64)


EDGES = _edges()
BANDS = len(EDGES)
"""How many bands there are: 156."""


@dataclass(frozen=True)
class Stft:
    """The transform of recordings at some rate.

    Parameters
    ----------
    rate : int
        In Hz.
    """

    rate: int

    def __post_init__(self) -> None:
        if not 2000 <= self.rate <= 768_000:
            raise InputError(f"recordings of {self.rate} Hz cannot be taken apart: from 2,000 to 768,000 Hz can")

    @cached_property
    def hop(self) -> int:
        """Samples from a frame to the next."""
        return round(self.rate * BASIS_HOP / BASIS_HZ)

    @property
    def window(self) -> int:
        """Samples of a frame."""
        return 2 * self.hop

    @property
    def bins(self) -> int:
        """Frequencies of a frame, from 0 to half the rate."""
        return self.hop + 1

    @cached_property
    def shape(self) -> Floats32:
        """The window: float32 [shape=(window,)]; its squares, half a window apart, sum to 1."""
        return np.sqrt(0.5 - 0.5 * np.cos(np.pi * np.arange(self.window) / self.hop)).astype(np.float32)

    @cached_property
    def band_of(self) -> npt.NDArray[np.int64]:
        """The band of each bin: int [shape=(bins,)]. The last one is open above; a low rate lacks the upper ones."""
        return np.searchsorted(EDGES, np.arange(self.bins), side="right") - 1

    def frames(self, length: int) -> int:
        """How many frames so many samples have."""
        return -(-length // self.hop) + 1

    def forward(self, samples: npt.ArrayLike) -> Complex64:
        """Spectra of frames; the first is centred on the first sample.

        Parameters
        ----------
        samples : float32 [shape=(..., samples)]

        Returns
        -------
        complex64 [shape=(..., frames, bins)]
            Of a size that does not depend on the rate.
        """
        from scipy.fft import rfft

        given = np.asarray(samples, np.float32)
        length = given.shape[-1]
        after = self.frames(length) * self.hop - length
        padded = np.pad(given, [(0, 0)] * (given.ndim - 1) + [(self.hop, after)])
        pieces = np.lib.stride_tricks.sliding_window_view(padded, self.window, axis=-1)[..., :: self.hop, :]
        return np.asarray(rfft(pieces * (self.shape / np.float32(self.window)), axis=-1), np.complex64)

    def inverse(self, spectra: npt.ArrayLike, length: int) -> Floats32:
        """Samples from spectra: what `forward` was given, if nothing was changed.

        Parameters
        ----------
        spectra : complex64 [shape=(..., frames, bins)]
        length : int
            Samples that `forward` was given.

        Returns
        -------
        float32 [shape=(..., samples)]
        """
        from scipy.fft import irfft

        pieces = irfft(np.asarray(spectra), self.window, axis=-1) * (self.shape * np.float32(self.window))
        out = np.zeros((*pieces.shape[:-2], pieces.shape[-2] + 1, self.hop), np.float32)
        out[..., :-1, :] += pieces[..., : self.hop]
        out[..., 1:, :] += pieces[..., self.hop :]
        return out.reshape(*out.shape[:-2], -1)[..., self.hop : self.hop + length]

    def bands(self, power: npt.ArrayLike) -> Floats32:
        """Sum what bins hold, power for one, over bands.

        Parameters
        ----------
        power : float32 [shape=(..., frames, bins)]

        Returns
        -------
        float32 [shape=(..., frames, BANDS)]
            0 in bands that the rate has not.
        """
        given = np.asarray(power, np.float32)
        there = EDGES[: int(self.band_of[-1]) + 1]
        summed = np.add.reduceat(given, there, axis=-1)
        return np.pad(summed, [(0, 0)] * (given.ndim - 1) + [(0, BANDS - len(there))])

    def spread(self, masks: npt.ArrayLike) -> Floats32:
        """Give each bin what its band has.

        Parameters
        ----------
        masks : float32 [shape=(..., frames, BANDS)]

        Returns
        -------
        float32 [shape=(..., frames, bins)]
        """
        return np.asarray(masks, np.float32)[..., self.band_of]
