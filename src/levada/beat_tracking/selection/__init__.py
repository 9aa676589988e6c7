"""Selection of what to annotate first: recordings of a pool, and spans in them.

A few minutes of labels may be more useful if they are of representative recordings, or of those that the tracker is
uncertain of. `select` applies a scheme to recordings without labels; `sample` to annotated ones, to compare schemes.

>>> chosen = choose(corpus.tracks, minutes=1.5, scheme="facility", rng=rng, tracker=tracker)      # doctest: +SKIP
>>> spans = draw(corpus.tracks, minutes=1.5, scheme="facility", rng=rng)                          # doctest: +SKIP
"""

from __future__ import annotations

from levada.beat_tracking.selection.schemes import SCHEMES
from levada.beat_tracking.selection.simulate import sample, sample_files
from levada.beat_tracking.selection.spans import Selection, select

__all__ = ["SCHEMES", "Selection", "sample", "sample_files", "select"]
