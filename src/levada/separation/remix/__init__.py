"""Mixtures of solos that share tempo, bars and room."""

from levada.separation.remix.mixtures import Remixed, RemixSettings, remix

__all__ = ["RemixSettings", "Remixed", "remix"]
