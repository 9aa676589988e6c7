"""Music as it might have been: bands and beats changed together, and stems."""

from levada.augment.beats import NONE, Augmentation, augment, cut, equalise, hide, noise, pitch, tempo

__all__ = ["NONE", "Augmentation", "augment", "cut", "equalise", "hide", "noise", "pitch", "tempo"]
