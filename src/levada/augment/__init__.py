"""Music as it might have been: bands and beats changed together, and stems."""

from levada.augment.beats import NONE, Augmentation, augment, cut, equalise, hide, noise, pitch, tempo
from levada.augment.stems import AS_IT_IS, StemAugmentation, mix

__all__ = [
    "AS_IT_IS", "NONE", "Augmentation", "StemAugmentation", "augment", "cut", "equalise", "hide", "mix", "noise",
    "pitch", "tempo",
]  # fmt: skip
