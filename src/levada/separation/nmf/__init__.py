"""Supervised non-negative matrix factorisation: what the spectra of each instrument are made of, learnt in seconds.

- `learn`: stems become bases, a handful of spectra for each instrument, or of strokes a few frames long.
- `masks`: how much of a mixture belongs to each; `band_estimates`: the same in bands, as something to learn from.
- `NmfSettings`: how; `CONVOLUTIVE`: with bases that last.
- `Dictionaries`, `save`, `load`: they are a model like any other.

No network, and the baseline that networks are measured against. What a mixture's magnitudes are explained by, in the
sense of the generalised Kullback-Leibler divergence (Lee and Seung, NIPS 2001), is shared out in proportion. Bases of
several frames tell instruments of one colour apart by how they ring (Smaragdis, ICA 2004; for drums, Dittmar and
Müller, TASLP 24, 2016).
"""

from levada.separation.nmf.dictionaries import CONVOLUTIVE, Dictionaries, NmfSettings
from levada.separation.nmf.learn import learn
from levada.separation.nmf.masks import band_estimates, masks
from levada.separation.nmf.store import load, save

__all__ = ["CONVOLUTIVE", "Dictionaries", "NmfSettings", "band_estimates", "learn", "load", "masks", "save"]
