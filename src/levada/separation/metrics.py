"""Metrics of separated stems, defined also where an instrument is silent.

All metrics are computed from energies and inner products, which add up over pieces of a recording: `StemScores` needs
little memory. SDR is the plain ratio of recent separation challenges (Fabbro et al., "The Sound Demixing Challenge
2023", TISMIR 2024), which penalises a wrong gain; SI-SDR allows one gain (Le Roux et al., "SDR – half-baked or
well done?", ICASSP 2019). Neither is defined where an instrument is silent; there, the leak is the energy of its stem.

>>> scorer = StemScores(["surdo", "caixa"])                                        # doctest: +SKIP
>>> for stems, estimates, mixture in pieces: scorer.add(stems, estimates, mixture)  # doctest: +SKIP
>>> scorer.scores()["surdo"]["si_sdr_i"]                                         # doctest: +SKIP
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from levada.errors import InputError

__all__ = ["STEM_SCORES", "StemScores", "leakage", "sdr", "si_sdr", "si_sdr_improvement", "stem_scores"]

Floats = npt.NDArray[np.float64]

STEM_SCORES = ("si_sdr_i", "si_sdr", "sdr_i", "sdr", "leak_db")
"""The scores of one stem, in the order in which tables show them; all in dB."""

MAX_DB = 100.0  # of a stem without error
MIN_DB = -60.0  # of a stem without anything of its instrument, silent ones among them
SILENT_DB = -60.0  # energy relative to the mixture's, below which an instrument counts as silent
MIN_LEAK_DB = -100.0  # leak of a stem that is as silent as its instrument
PIECE = 1 << 18  # samples that are converted to double precision at once


def sdr(reference: npt.ArrayLike, estimate: npt.ArrayLike) -> float:
    """Return the signal-to-distortion ratio ``10 log10(|s|² / |s - e|²)``, over all channels and samples.

    Parameters
    ----------
    reference, estimate : array_like [shape=(..., samples)]
        The true stem, and the separated one.

    Returns
    -------
    float
        In dB, between -60 and 100. A silent estimate has 0 dB, half the gain 6 dB. NaN if the reference is silent.

    Raises
    ------
    InputError
        If the two are of different shapes, empty, or hold values that are not finite.
    """
    return _single(reference, estimate).scores()["stem"]["sdr"]


def si_sdr(reference: npt.ArrayLike, estimate: npt.ArrayLike) -> float:
    """Return the scale-invariant SDR: the reference is scaled to fit the estimate, by one gain for all samples.

    Parameters
    ----------
    reference, estimate : array_like [shape=(..., samples)]
        The true stem, and the separated one. No mean is subtracted.

    Returns
    -------
    float
        In dB, between -60, which a silent estimate has, and 100. NaN if the reference is silent.

    Raises
    ------
    InputError
        If the two are of different shapes, empty, or hold values that are not finite.
    """
    return _single(reference, estimate).scores()["stem"]["si_sdr"]


def si_sdr_improvement(reference: float, product: float, estimate: float, in_mixture: float, mixture: float) -> float:
    """Return the improvement of SI-SDR over the mixture, from energies and inner products.

    Parameters
    ----------
    reference, estimate, mixture : float
        Energies of the true stem, the separated one, and the mixture.
    product, in_mixture : float
        Inner products of the true stem with the separated one, and with the mixture.

    Returns
    -------
    float
        In dB. NaN if the reference is silent.
    """
    if _is_silent(reference, mixture):
        return math.nan
    return _scaled(reference, product, estimate) - _scaled(reference, in_mixture, mixture)


def stem_scores(
    references: Mapping[str, npt.ArrayLike], estimates: Mapping[str, npt.ArrayLike], mixture: npt.ArrayLike
) -> dict[str, dict[str, float]]:
    """Return the scores of every stem of a recording.

    Parameters
    ----------
    references, estimates : mapping of str to array_like [shape=(channels, samples)]
        The true stems, and the separated ones, by the same names.
    mixture : array_like [shape=(channels, samples)]
        The mixture of the true stems.

    Returns
    -------
    dict of str to dict of str to float
        As `StemScores.scores`.

    Raises
    ------
    InputError
        If the names or shapes differ, there are no stems or samples, or a value is not finite.
    """
    scorer = StemScores(list(references))
    scorer.add(references, estimates, mixture)
    return scorer.scores()


def leakage(references: Mapping[str, npt.ArrayLike], estimates: Mapping[str, npt.ArrayLike]) -> Floats:
    """Return the share of each instrument that is in each stem.

    Each estimate is written as a sum of the references and a rest (least squares). For masks, the weight of an
    instrument in a stem is the share of its energy that the masks let into it; where stems sum to the mixture, the
    shares of an instrument sum to 1.

    Parameters
    ----------
    references, estimates : mapping of str to array_like [shape=(channels, samples)]
        The true stems, and the separated ones, by the same names.

    Returns
    -------
    float64 [shape=(estimates, references)]
        The identity if all stems are right; the column of a silent instrument is NaN.

    Raises
    ------
    InputError
        If the names or shapes differ, there are no stems or samples, or a value is not finite.
    """
    scorer = StemScores(list(references))
    scorer.add(references, estimates, sum((_block(name, one) for name, one in references.items()), np.zeros(())))
    return scorer.leakage()


class StemScores:
    """Energies and inner products of stems, summed over the pieces of a recording.

    Parameters
    ----------
    names : sequence of str
        Names of the stems.

    Raises
    ------
    InputError
        If there are none.
    """

    def __init__(self, names: Sequence[str]) -> None:
        if not names:
            raise InputError("there are no stems to score")
        self.names, count = tuple(names), len(names)
        self.samples = 0
        self._references = np.zeros((count, count))  # reference × reference
        self._products = np.zeros((count, count))  # estimate × reference
        self._estimates, self._errors, self._rests = np.zeros(count), np.zeros(count), np.zeros(count)
        self._in_mixture = np.zeros(count)  # mixture × reference
        self._mixture = 0.0

    def add(
        self,
        references: Mapping[str, npt.ArrayLike],
        estimates: Mapping[str, npt.ArrayLike],
        mixture: npt.ArrayLike,
    ) -> None:
        """Add the next piece.

        Parameters
        ----------
        references, estimates : mapping of str to array_like [shape=(channels, samples)]
            The true stems, and the separated ones; all of them.
        mixture : array_like [shape=(channels, samples)]
            The mixture of the true stems.

        Raises
        ------
        InputError
            If a stem is missing, shapes differ, there are no samples, or a value is not finite.
        """
        whole = _block("the mixture", mixture)
        true = [_named(references, name, "reference", whole.shape) for name in self.names]
        separated = [_named(estimates, name, "estimate", whole.shape) for name in self.names]
        width = max(1, PIECE // whole.shape[0])
        for first in range(0, whole.shape[1], width):
            part = np.s_[:, first : first + width]
            s = np.stack([np.asarray(one[part], np.float64).ravel() for one in true])
            e = np.stack([np.asarray(one[part], np.float64).ravel() for one in separated])
            x = np.asarray(whole[part], np.float64).ravel()
            gram, cross = s @ s.T, e @ s.T
            if not np.isfinite(gram).all() or not np.isfinite(cross).all() or not np.isfinite(x).all():
                raise InputError(f"{_culprit(self.names, s, e)} holds values that are not finite numbers")
            self._references += gram
            self._products += cross
            self._estimates += np.einsum("it,it->i", e, e)
            e -= s
            self._errors += np.einsum("it,it->i", e, e)
            self._in_mixture += s @ x
            self._mixture += float(x @ x)
            np.subtract(x, s, out=s)
            self._rests += np.einsum("it,it->i", s, s)
        self.samples += whole.shape[1]

    @property
    def silent(self) -> tuple[str, ...]:
        """Names of the instruments that are silent: 60 dB or more below the mixture."""
        return tuple(
            name
            for name, energy in zip(self.names, np.diag(self._references), strict=True)
            if _is_silent(energy, self._mixture)
        )

    @property
    def empty(self) -> tuple[str, ...]:
        """Names of the estimates that are silent: 60 dB or more below the mixture."""
        return tuple(
            name for name, energy in zip(self.names, self._estimates, strict=True) if _is_silent(energy, self._mixture)
        )

    def scores(self) -> dict[str, dict[str, float]]:
        """Return the scores of all pieces.

        Returns
        -------
        dict of str to dict of str to float
            For each stem `sdr`, `si_sdr`, both between -60 and 100 dB, and `sdr_i` and `si_sdr_i`, their improvement
            over the mixture as an estimate. Of an instrument that is silent these are NaN, and `leak_db` is the
            energy of its stem relative to the mixture's, -100 dB at least; of others `leak_db` is NaN.

        Raises
        ------
        InputError
            If there are no samples.
        """
        if not self.samples:
            raise InputError("there is nothing to score: no samples")
        return {name: dict(zip(STEM_SCORES, self._of(index), strict=True)) for index, name in enumerate(self.names)}

    def leakage(self) -> Floats:
        """Return the share of each instrument in each stem: see `levada.separation.metrics.leakage`.

        Returns
        -------
        float64 [shape=(stems, stems)]
            NaN where the instrument is silent.
        """
        shares = np.full(self._products.shape, math.nan)
        audible = [index for index, name in enumerate(self.names) if name not in self.silent]
        if audible:
            loud = np.sqrt(np.diag(self._references)[audible])
            alike = self._references[np.ix_(audible, audible)] / np.outer(loud, loud)
            shares[:, audible] = (
                self._products[:, audible] / loud @ np.linalg.pinv(alike, rcond=1e-6, hermitian=True) / loud
            )
        return shares

    def _of(self, index: int) -> tuple[float, ...]:
        energy = self._references[index, index]
        if _is_silent(energy, self._mixture):
            return (math.nan,) * 4 + (_ratio_db(self._estimates[index], self._mixture, MIN_LEAK_DB),)
        plain = _ratio_db(energy, self._errors[index])
        before = _ratio_db(energy, self._rests[index])
        scaled = _scaled(energy, self._products[index, index], self._estimates[index])
        scaled_before = _scaled(energy, self._in_mixture[index], self._mixture)
        return scaled - scaled_before, scaled, plain - before, plain, math.nan


def _is_silent(energy: float, mixture: float) -> bool:
    return energy <= 10 ** (SILENT_DB / 10) * mixture


def _scaled(reference: float, product: float, estimate: float) -> float:
    """SI-SDR in dB from energies and the inner product."""
    fit = product * product / reference
    return _ratio_db(fit, max(0.0, estimate - fit))


def _ratio_db(one: float, other: float, min_db: float = MIN_DB) -> float:
    """The ratio of two energies in dB, clipped to the range of scores; `min_db` if the first is 0."""
    if one <= 0:
        return min_db
    if other <= 0:
        return MAX_DB
    return float(np.clip(10 * math.log10(one / other), min_db, MAX_DB))


def _single(reference: npt.ArrayLike, estimate: npt.ArrayLike) -> StemScores:
    scorer = StemScores(["stem"])
    scorer.add({"stem": reference}, {"stem": estimate}, reference)
    return scorer


def _named(stems: Mapping[str, npt.ArrayLike], name: str, what: str, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
    if name not in stems:
        raise InputError(f"{what} of {name} is missing; there are {', '.join(stems) or 'none'}")
    block = _block(f"the {what} of {name}", stems[name])
    if block.shape != shape:
        raise InputError(f"the {what} of {name} has shape {block.shape}, and the mixture {shape}")
    return block


def _block(what: str, samples: npt.ArrayLike) -> npt.NDArray[np.generic]:
    """Reshape to (channels, samples), whatever the leading dimensions."""
    block = np.asarray(samples)
    if block.ndim == 0 or not block.size:
        raise InputError(f"{what} is empty: there is nothing to score")
    return block.reshape(-1, block.shape[-1])


def _culprit(names: Sequence[str], references: Floats, estimates: Floats) -> str:
    for what, rows in (("the estimate of", estimates), ("the reference of", references)):
        for name, row in zip(names, rows, strict=True):
            if not np.isfinite(row).all():
                return f"{what} {name}"
    return "the mixture"
