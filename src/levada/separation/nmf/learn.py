"""Stems become bases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from levada.errors import InputError
from levada.separation.nmf.dictionaries import NmfSettings
from levada.separation.nmf.masks import checked, in_bands
from levada.separation.nmf.updates import fitted

__all__ = ["learn"]

Floats32 = npt.NDArray[np.float32]

MOST_FRAMES = 12_000
"""Frames of an instrument that are learnt from, 4.6 minutes of it: a limit to time and memory, not tuned."""
STRETCH = 250


def learn(stems: Mapping[str, Sequence[Floats32]], *, settings: NmfSettings | None = None) -> tuple[Floats32, ...]:
    """Learn the bases of each instrument from what it sounds like alone.

    Parameters
    ----------
    stems : mapping of str to sequence of float32 [shape=(frames, bins)]
        Magnitudes of `levada.separation.stft.Stft` of each recording of an instrument, as many bins in all. An
        instrument may have none, or silent ones.
    settings : NmfSettings, optional

    Returns
    -------
    tuple of float32 [shape=(bases, taps, bins or bands)]
        In the order of `stems`; all 0 for an instrument that was never heard. The same seed gives the same bases,
        whatever other instruments there are.

    Raises
    ------
    InputError
        If there is nothing to learn from, or a magnitude is below 0 or no number; names the instrument.
    """
    chosen = NmfSettings() if settings is None else settings
    given = {
        name: [checked(one, f"a stem of {name}") for one in recordings if np.size(one)]
        for name, recordings in stems.items()
    }
    bins = {one.shape[1] for recordings in given.values() for one in recordings}
    if not bins:
        raise InputError("there are no stems to learn from")
    if len(bins) > 1:
        raise InputError(f"stems have {', '.join(map(str, sorted(bins)))} bins: read them all at one rate")
    rows = in_bands(np.zeros((1, bins.pop()), np.float32), chosen).shape[1]
    return tuple(_bases(recordings, rows, chosen) for recordings in given.values())


def _bases(recordings: Sequence[Floats32], rows: int, settings: NmfSettings) -> Floats32:
    shape = (settings.bases, settings.taps, rows)
    before = np.zeros((settings.taps - 1, rows), np.float32)
    pieces = [part for one in recordings for part in (before, in_bands(one, settings))]
    heard = np.concatenate([*pieces, np.zeros((0, rows), np.float32)])
    level = float(heard.mean(dtype=np.float64)) if len(heard) else 0.0
    if level == 0:
        return np.zeros(shape, np.float32)
    heard = _fewer(np.asarray(heard / level, np.float32), settings.taps)
    rng = np.random.default_rng(settings.seed)
    return fitted(heard, _exemplars(heard, settings, rng), steps=settings.learning_steps, rng=rng)


def _fewer(heard: Floats32, taps: int) -> Floats32:
    """Leave out silence, and stretches evenly where there are too many."""
    if taps == 1:
        heard = heard[heard.any(axis=1)]
    if len(heard) <= MOST_FRAMES:
        return heard
    firsts = np.linspace(0, len(heard) - STRETCH, MOST_FRAMES // STRETCH).astype(int)
    kept = heard[(firsts[:, None] + np.arange(STRETCH)).ravel()]
    return kept if kept.any() else heard[:MOST_FRAMES]


def _exemplars(heard: Floats32, settings: NmfSettings, rng: np.random.Generator) -> Floats32:
    """Loud frames, or the beginnings of strokes, that differ: one by one, each where those before resemble it least."""
    bases, taps = settings.bases, settings.taps
    padded = np.concatenate([heard, np.zeros((taps - 1, heard.shape[1]), np.float32)])
    sums = heard.sum(axis=1, dtype=np.float64)
    weight = sums if taps == 1 else np.maximum(0, np.diff(sums, prepend=0.0))
    colour = np.sqrt(heard / (sums[:, None] + 1e-9 * sums.max())).astype(np.float32)
    drawn = [_drawn(weight, rng)]
    unlike = np.ones(len(heard))
    for _ in range(bases - 1):
        unlike = np.minimum(unlike, np.maximum(0, 1 - colour @ colour[drawn[-1]]))
        unlike[drawn[-1]] = 0
        drawn.append(_drawn(weight * unlike if (weight * unlike).any() else weight, rng))
    strokes = np.stack([padded[first : first + taps] for first in drawn])
    return np.asarray(strokes + 1e-2 * strokes.mean() + 1e-3 * heard.mean(axis=0), np.float32)


def _drawn(weight: npt.NDArray[np.float64], rng: np.random.Generator) -> int:
    return int(rng.choice(len(weight), p=weight / weight.sum()))
