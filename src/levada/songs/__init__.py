"""Songs: music of others as notes on an exact beat grid.

`read_pop909` reads POP909 from a folder. Nothing of it is part of levada.
"""

from __future__ import annotations

from levada.songs.notes import Chord, Note, Song
from levada.songs.pop import pop909, read_pop909

__all__ = ["Chord", "Note", "Song", "pop909", "read_pop909"]
