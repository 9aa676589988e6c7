"""Estimation of which instruments of a separator play in a recording, from the energies of their stems."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from levada.io import audio
from levada.separation.masking import MaskSeparator, SeparatorLike

__all__ = ["LIKELY", "estimate_activity"]

LIKELY = 0.5
"""Confidence from which on an instrument is taken to play."""
WINDOWS, WINDOW_S = 6, 10.0
"""Number and length of the excerpts of a long recording, evenly spaced."""
BIAS, SLOPE = 3.85, 0.22
"""Logistic regression of the energy of a stem relative to that of all stems, in dB: fitted on rendered ensembles of
twelve traditions, of which some instruments were left out; see `studies/LOG.md`."""
SMALLEST = 1e-9


def estimate_activity(path: str | Path, separator: SeparatorLike) -> dict[str, float]:
    """Estimate which instruments play in a recording.

    Parameters
    ----------
    path : path-like
        The recording, of which a minute is read at most.
    separator : SeparatorLike

    Returns
    -------
    dict of str to float
        Confidence that each instrument of the separator plays, from 0 to 1; 0 for all in a silent recording.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    backend = getattr(separator, "backend", separator)
    if isinstance(backend, MaskSeparator):
        backend = replace(backend, mean_weight=0.0)  # energies that the regression was fitted to
    duration_s = audio.info(path).duration_s
    count = min(WINDOWS, max(1, round(duration_s / WINDOW_S)))
    length_s = min(WINDOW_S, duration_s / count)
    energies = dict.fromkeys(separator.instruments, 0.0)
    for start_s in np.linspace(0, duration_s - length_s, count).tolist():
        samples, rate = audio.read(path, start_s=start_s, duration_s=length_s)
        if samples.size:
            for name, stem in backend.separate(samples, rate).items():
                energies[name] += float(np.sum(np.square(stem, dtype=np.float64)))
    total = sum(energies.values())
    if not total:
        return energies
    shares_db = {name: 10 * np.log10(energy / total + SMALLEST) for name, energy in energies.items()}
    return {name: float(1 / (1 + np.exp(-BIAS - SLOPE * share_db))) for name, share_db in shares_db.items()}
