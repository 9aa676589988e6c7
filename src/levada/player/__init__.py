"""Recordings with beats in notebooks and web pages: played with clicks, drawn, tapped along.

`Player` writes them, for the page component ``<levada-player>``, whose modules are in `component/`; the studio uses the
same time line and playback.
"""

from __future__ import annotations

from levada.player.assembly import COMPONENT, script
from levada.player.player import Player

__all__ = ["COMPONENT", "Player", "script"]
