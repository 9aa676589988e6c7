"""What to annotate first: which recordings of a pool, and which bars inside them.

A few minutes of labels may go further where they are of recordings that stand for the others, or that the tracker gets
wrong. `choose` asks a scheme about a pool without labels; `draw` asks it about one that has them, to learn which pays.

>>> chosen = choose(corpus.tracks, minutes=1.5, scheme="facility", rng=rng, tracker=tracker)      # doctest: +SKIP
>>> spans = draw(corpus.tracks, minutes=1.5, scheme="facility", rng=rng)                          # doctest: +SKIP
"""

from __future__ import annotations

from levada.beat_tracking.selection.pool import Selection, select
from levada.beat_tracking.selection.schemes import SCHEMES
from levada.beat_tracking.selection.simulate import sample

__all__ = ["SCHEMES", "Selection", "sample", "select"]
