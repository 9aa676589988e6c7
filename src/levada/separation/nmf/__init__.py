"""Supervised non-negative matrix factorisation: dictionaries of the spectra of each instrument, learnt in seconds.

- `learn`: from stems to bases, a few spectra for each instrument, or a few frames of spectra (convolutive).
- `learn_blindly`: from a mixture, and masks of it that are partly wrong, to bases.
- `adapted`: from dictionaries of labels to those of a recording with similar drums.
- `masks`: from a mixture to the share of each instrument in it.
- `divergence`: how badly dictionaries explain a mixture.
- `NmfSettings`: settings; `CONVOLUTIVE`: those of bases of several frames.
- `Dictionaries`, `load`: the model, and how it is read from its folder; `joined`: those of two trainings.

It needs no network, and is the baseline of networks. Magnitudes of a mixture are approximated by a sum of bases that
minimises the generalised Kullback-Leibler divergence (Lee and Seung, NIPS 2001); masks are proportional to the
contribution of each instrument. Bases of several frames separate instruments of similar spectra by their decay
(Smaragdis, ICA 2004; for drums, Dittmar and Müller, TASLP 24, 2016).
"""

from levada.separation.nmf.dictionaries import CONVOLUTIVE, Dictionaries, NmfSettings, joined, load
from levada.separation.nmf.learn import adapted, learn, learn_blindly
from levada.separation.nmf.masks import divergence, masks

__all__ = [
    "CONVOLUTIVE",
    "Dictionaries",
    "NmfSettings",
    "adapted",
    "divergence",
    "joined",
    "learn",
    "learn_blindly",
    "load",
    "masks",
]
