"""Harmonic change without PyTorch: the registers that it is computed in, and the features themselves."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectrogram import N_SEMITONES, SEMITONES, semitones_from_a4

__all__ = ["DENOMINATOR", "Registers", "harmonic_change", "registers"]

Floats32 = npt.NDArray[np.float32]

REACHES_S = (0.24, 0.5, 1.0, 2.0)
DENOMINATOR = 0.5
"""Added to the product of the norms: spectra without notes do not differ."""


class Registers(NamedTuple):
    """Which semitone bands belong to which register, and how far from a frame they are compared.

    Parameters
    ----------
    bass, chords : slice
    classes : float32 [shape=(61, 12)]
        Weight of each band in each pitch class.
    reaches : tuple of int
        In steps.
    """

    bass: slice
    chords: slice
    classes: Floats32
    reaches: tuple[int, ...]


@lru_cache(maxsize=1)
def registers() -> Registers:
    """Return the bass (below 210 Hz), the chords (180 to 800 Hz) and the pitch classes of all above 130 Hz."""
    from_a4 = semitones_from_a4()
    hz = 440 * 2 ** (from_a4 / 12)
    bass, chords = np.flatnonzero(hz <= 210), np.flatnonzero((hz >= 180) & (hz <= 800))
    classes = np.zeros((N_SEMITONES, 12), np.float32)
    classes[np.arange(N_SEMITONES), from_a4 % 12] = hz >= 130
    classes /= classes.sum(0)
    reaches = tuple(round(reach_s * float(SEMITONES.grid.fps)) for reach_s in REACHES_S)
    return Registers(
        slice(int(bass[0]), int(bass[-1]) + 1), slice(int(chords[0]), int(chords[-1]) + 1), classes, reaches
    )


def harmonic_change(bands: Floats32) -> Floats32:
    """Compute the features of `levada.beat_tracking.networks.harmonic_change.HarmonicChange`.

    Parameters
    ----------
    bands : float32 [shape=(steps + 2 * context, 61)]
        Compressed magnitudes of semitone bands, with the longest reach as context on either side.

    Returns
    -------
    float32 [shape=(steps, 15)]
    """
    bass, chords, classes, reaches = registers()
    context = max(reaches)
    steps, columns = len(bands) - 2 * context, list[Floats32]()
    for register in (bands[:, bass], bands[:, chords], bands @ classes):
        sums = np.pad(np.cumsum(register, axis=0, dtype=np.float64).astype(np.float32), ((1, 0), (0, 0)))
        centre = sums[context : context + steps]
        for reach in reaches:
            before = (centre - sums[context - reach : context - reach + steps]) / np.float32(reach)
            after = (sums[context + reach : context + reach + steps] - centre) / np.float32(reach)
            if reach == reaches[0]:
                columns.append(np.maximum(after - before, 0).mean(axis=1))
            before -= before.mean(axis=1, keepdims=True)
            after -= after.mean(axis=1, keepdims=True)
            norms = np.sqrt(np.einsum("ij,ij->i", before, before) * np.einsum("ij,ij->i", after, after))
            columns.append(1 - np.einsum("ij,ij->i", before, after) / (norms + np.float32(DENOMINATOR)))
    return np.stack(columns, axis=1)
