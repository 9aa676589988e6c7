"""Solos become mixtures that make musical sense: one tempo, one bar, one room."""

from levada.separation.remix.mixtures import Remixed, RemixSettings, remix

__all__ = ["RemixSettings", "Remixed", "remix"]
