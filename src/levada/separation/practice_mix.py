"""Mixes of a recording with other levels of some of its stems, and an estimate of how much of these is left.

A stem that is left out is still audible where masks of other stems hold some of it. With ``harder``, the masks of the
instruments that are reduced are replaced by their square root, so that they take most of every bin that they have much
of, and those of the others are scaled so that masks sum to one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from levada.separation.masking import consecutive_spectra
from levada.separation.stft import Stft

__all__ = ["PracticeMix"]

Floats32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]

SMALLEST = 1e-12


@dataclass
class PracticeMix:
    """A mix of stems with a gain for each, computed in consecutive pieces.

    Parameters
    ----------
    gains : mapping of str to float
        Factor of each stem; those below 1 are reduced.
    harder : bool
        Whether to suppress the reduced instruments more, at the cost of the others.
    """

    gains: Mapping[str, float]
    harder: bool = False
    _left: dict[str, float] = field(default_factory=dict, init=False)
    _whole: dict[str, float] = field(default_factory=dict, init=False)

    @property
    def reduced(self) -> tuple[str, ...]:
        """Names of the instruments that are reduced."""
        return tuple(name for name, gain in self.gains.items() if gain < 1)

    @property
    def left_db(self) -> dict[str, float]:
        """Estimated level of each reduced instrument in what was mixed so far, relative to the recording, in dB.

        Where an instrument has a share of a bin by its mask, the rest of the bin is assumed to hold the rest of it.
        """
        return {
            name: 10 * float(np.log10(self._left[name] / self._whole[name] + SMALLEST))
            for name in self._left
            if self._whole[name] > 0
        }

    def mix(self, pieces: Iterable[Mapping[str, Floats32]], rate: int) -> Iterator[Floats32]:
        """Mix consecutive pieces of stems.

        Parameters
        ----------
        pieces : iterable of mapping of str to float32 [shape=(channels, n)]
            Stems of a recording, which sum to it.
        rate : int
            In Hz.

        Yields
        ------
        float32 [shape=(channels, n)]
            Consecutive pieces, together as long as the stems.
        """
        stft, names = Stft(rate), tuple(self.gains)
        stacked = (np.concatenate([piece[name] for name in names]) for piece in pieces)
        before: Complex64 | None = None
        yielded = 0
        for spectra, length, last in consecutive_spectra(stacked, stft):
            mixed = self._mixed(spectra.reshape(len(names), -1, *spectra.shape[1:]))
            joined = mixed if before is None else np.concatenate([before, mixed], axis=1)
            count = length - yielded if last else (joined.shape[1] - 1) * stft.hop
            yield stft.inverse(joined, count)
            yielded, before = yielded + count, joined[:, -1:]

    def _mixed(self, spectra: Complex64) -> Complex64:
        """Mix spectra [shape=(stems, channels, frames, bins)], and add to the sums of the estimate."""
        magnitudes = np.sqrt(np.mean(spectra.real**2 + spectra.imag**2, axis=1))
        whole = magnitudes.sum(0) + np.float32(SMALLEST)
        gains = np.array([*self.gains.values()], np.float32)[:, None, None]
        masks = magnitudes / whole
        factors = np.ones_like(masks)
        low = gains[:, 0, 0] < 1
        if self.harder:
            share = np.minimum(masks[low].sum(0), 1)
            factors[low] = 1 / np.sqrt(np.maximum(share, SMALLEST))
            factors[~low] = (1 - np.sqrt(share)) / np.maximum(1 - share, SMALLEST)
        total = (gains * factors * masks).sum(0)
        for name, mask in zip(self.gains, masks, strict=True):
            if self.gains[name] < 1:
                energy = np.square(mask * whole)
                self._whole[name] = self._whole.get(name, 0.0) + float(energy.sum())
                self._left[name] = self._left.get(name, 0.0) + float((energy * np.square(total)).sum())
        return np.asarray(((gains * factors)[:, None] * spectra).sum(0), np.complex64)
