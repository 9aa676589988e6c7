"""Learning of bases from stems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.separation.nmf.dictionaries import Dictionaries, NmfSettings
from levada.separation.nmf.masks import checked, in_bands
from levada.separation.nmf.updates import activations, as_matrix, fitted, initial

__all__ = ["adapted", "learn", "learn_blindly"]

Floats32 = npt.NDArray[np.float32]

MOST_FRAMES = 12_000
"""Largest number of frames of an instrument, 4.6 minutes: a limit of time and memory, not tuned."""
STRETCH = 250
FIT_STEPS = 30
"""Updates of the bases of all instruments together, to a mixture."""
ACTIVE_STEPS, ADAPTING_STEPS = 20, 3
"""Updates of activations, and then of these and of bases of labels, by which those are adapted to a recording; 10 lose
what the labels say. See `studies/LOG.md`."""


def learn(stems: Mapping[str, Sequence[Floats32]], *, settings: NmfSettings | None = None) -> tuple[Floats32, ...]:
    """Learn the bases of each instrument from its stems.

    Parameters
    ----------
    stems : mapping of str to sequence of float32 [shape=(frames, bins)]
        Magnitudes of `levada.separation.stft.Stft` of each recording of an instrument, as many bins in all. An
        instrument may have none, or silent ones.
    settings : NmfSettings, optional

    Returns
    -------
    tuple of float32 [shape=(bases, taps, bins or bands)]
        In the order of `stems`; all 0 for a silent instrument. The same seed gives the same bases,
        whatever other instruments there are.

    Raises
    ------
    InputError
        If there are no stems, or a magnitude is negative or not finite; the message names the instrument.
    """
    chosen = NmfSettings() if settings is None else settings
    stems_by_name = {
        name: [checked(one, f"a stem of {name}") for one in recordings if np.size(one)]
        for name, recordings in stems.items()
    }
    bins = {one.shape[1] for recordings in stems_by_name.values() for one in recordings}
    if not bins:
        raise InputError("there are no stems to train on")
    if len(bins) > 1:
        raise InputError(f"stems have {', '.join(map(str, sorted(bins)))} bins: read them all at one rate")
    rows = in_bands(np.zeros((1, bins.pop()), np.float32), chosen).shape[1]
    return tuple(_bases(recordings, rows, chosen) for recordings in stems_by_name.values())


def learn_blindly(
    magnitudes: Sequence[Floats32], masks: Sequence[Floats32], *, settings: NmfSettings
) -> tuple[Floats32, ...]:
    """Learn the bases of each instrument from a mixture, starting from masks of it that are partly wrong.

    Bases are learnt from the stems that the masks give, and then those of all instruments are fitted to the mixture
    together: what one instrument plays again and again is explained best by one basis, also where the masks of its
    strokes differ.

    Parameters
    ----------
    magnitudes : sequence of float32 [shape=(frames, bins)]
        Of pieces of the mixture.
    masks : sequence of float32 [shape=(instruments, frames, bins)]
        Of each piece.
    settings : NmfSettings
        With few bases: more of them fit the errors of the masks.

    Returns
    -------
    tuple of float32 [shape=(bases, taps, bins or bands)]
        As of `learn`.
    """
    stems = [[mask[row] * one for mask, one in zip(masks, magnitudes, strict=True)] for row in range(len(masks[0]))]
    learnt = [*learn({str(row): pieces for row, pieces in enumerate(stems)}, settings=settings)]
    audible = [row for row, bases in enumerate(learnt) if bases.any()]
    if not audible:
        return tuple(learnt)
    mixture = _joined(magnitudes, settings)
    level = mixture.max()
    active = [initial(_joined(stems[row], settings) / level, settings.bases, settings.taps) for row in audible]
    strokes = np.concatenate([learnt[row] for row in audible])
    together = fitted(mixture / level, strokes, steps=FIT_STEPS, active=np.concatenate(active, axis=1))
    for row, bases in zip(audible, np.split(together, len(audible)), strict=True):
        learnt[row] = bases
    return tuple(learnt)


def adapted(dictionaries: Dictionaries, magnitudes: Sequence[Floats32]) -> Dictionaries:
    """Fit dictionaries by a few updates to a mixture, whose drums are similar to those that they were learnt from.

    Parameters
    ----------
    dictionaries : Dictionaries
    magnitudes : sequence of float32 [shape=(frames, bins)]
        Of pieces of the mixture.

    Returns
    -------
    Dictionaries
        The same ones where the mixture is silent, or bases are of bins: their number depends on the sample rate.
    """
    settings = dictionaries.settings
    audible = [basis.sum(axis=(1, 2)) > 0 for basis in dictionaries.bases]
    if not (settings.bands and any(map(np.any, audible)) and any(map(np.any, magnitudes))):
        return dictionaries
    strokes = np.concatenate([basis[kept] for basis, kept in zip(dictionaries.bases, audible, strict=True)])
    strokes = strokes / strokes.sum(axis=(1, 2), keepdims=True)
    mixture = _joined(magnitudes, settings)
    mixture /= mixture.max()
    active = activations(mixture, as_matrix(strokes), taps=settings.taps, steps=ACTIVE_STEPS)
    parts = iter(fitted(mixture, strokes, steps=ADAPTING_STEPS, active=active))
    bases = [np.zeros_like(basis) for basis in dictionaries.bases]
    for basis, kept in zip(bases, audible, strict=True):
        for number in np.flatnonzero(kept):
            basis[number] = next(parts)
    return replace(dictionaries, bases=tuple(bases))


def _joined(magnitudes: Sequence[Floats32], settings: NmfSettings) -> Floats32:
    """Concatenate pieces, in bands if bases are, with as much silence before each as a basis is long."""
    pieces = [in_bands(one, settings) for one in magnitudes]
    before = np.zeros((settings.taps - 1, pieces[0].shape[1]), np.float32)
    return np.concatenate([part for one in pieces for part in (before, one)])


def _bases(recordings: Sequence[Floats32], rows: int, settings: NmfSettings) -> Floats32:
    shape = (settings.bases, settings.taps, rows)
    before = np.zeros((settings.taps - 1, rows), np.float32)
    pieces = [part for one in recordings for part in (before, in_bands(one, settings))]
    magnitudes = np.concatenate([*pieces, np.zeros((0, rows), np.float32)])
    level = float(magnitudes.mean(dtype=np.float64)) if len(magnitudes) else 0.0
    if level == 0:
        return np.zeros(shape, np.float32)
    magnitudes = _subsample(np.asarray(magnitudes / level, np.float32), settings.taps)
    rng = np.random.default_rng(settings.seed)
    return fitted(magnitudes, _exemplars(magnitudes, settings, rng), steps=settings.learning_steps, rng=rng)


def _subsample(magnitudes: Floats32, taps: int) -> Floats32:
    """Leave out silent frames, and keep evenly spaced stretches of too many frames."""
    if taps == 1:
        magnitudes = magnitudes[magnitudes.any(axis=1)]
    if len(magnitudes) <= MOST_FRAMES:
        return magnitudes
    firsts = np.linspace(0, len(magnitudes) - STRETCH, MOST_FRAMES // STRETCH).astype(int)
    kept = magnitudes[(firsts[:, None] + np.arange(STRETCH)).ravel()]
    return kept if kept.any() else magnitudes[:MOST_FRAMES]


def _exemplars(magnitudes: Floats32, settings: NmfSettings, rng: np.random.Generator) -> Floats32:
    """Choose loud frames, or onsets, that differ: each where those before are least similar."""
    bases, taps = settings.bases, settings.taps
    padded = np.concatenate([magnitudes, np.zeros((taps - 1, magnitudes.shape[1]), np.float32)])
    sums = magnitudes.sum(axis=1, dtype=np.float64)
    weight = sums if taps == 1 else np.maximum(0, np.diff(sums, prepend=0.0))
    spectra = np.sqrt(magnitudes / (sums[:, None] + 1e-9 * sums.max())).astype(np.float32)
    chosen = [_draw(weight, rng)]
    distance = np.ones(len(magnitudes))
    for _ in range(bases - 1):
        distance = np.minimum(distance, np.maximum(0, 1 - spectra @ spectra[chosen[-1]]))
        distance[chosen[-1]] = 0
        chosen.append(_draw(weight * distance if (weight * distance).any() else weight, rng))
    strokes = np.stack([padded[first : first + taps] for first in chosen])
    return np.asarray(strokes + 1e-2 * strokes.mean() + 1e-3 * magnitudes.mean(axis=0), np.float32)


def _draw(weight: npt.NDArray[np.float64], rng: np.random.Generator) -> int:
    return int(rng.choice(len(weight), p=weight / weight.sum()))
