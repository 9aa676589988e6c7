"""Mixtures of solos that share tempo, bars and room."""

from levada.separation.remix.mixtures import TEST, TRAIN, Remixed, RemixSettings, remix, solo_groups

__all__ = ["TEST", "TRAIN", "RemixSettings", "Remixed", "remix", "solo_groups"]
