"""Songs and folk tunes as notes on an exact beat grid.

`read_pop909` reads POP909 from a folder, `read_tune` folk tunes from the package music21. Neither ships with
levada.
"""

from __future__ import annotations

from levada.synth.songs.folk import list_tunes, read_tune
from levada.synth.songs.notes import Chord, Note, Song
from levada.synth.songs.pop909 import list_pop909, read_pop909

__all__ = ["Chord", "Note", "Song", "list_pop909", "list_tunes", "read_pop909", "read_tune"]
