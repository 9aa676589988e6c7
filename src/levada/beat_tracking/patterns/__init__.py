"""The bar-pointer model with rhythmic patterns, learnt from a minute of labels without a network (BayesBeat).

- `train`: from labelled spans to `Patterns`, in seconds.
- `PatternTracker`: from patterns to beats; `save`, `load`: patterns are a model like any other.
- `BayesSettings`: settings of both.

The decoder is that of `levada.beat_tracking.decoder` with another likelihood: where a network gives the probability of
a beat, here every cell (a sixteenth of a beat) of the bar has its own distribution of onset strength in the bass and
above it, so a syncopated stroke is evidence for its position (Krebs, Böck and Widmer, ISMIR 2013).
"""

from levada.beat_tracking.patterns.model import BayesSettings, Patterns
from levada.beat_tracking.patterns.store import load
from levada.beat_tracking.patterns.tracker import PatternTracker
from levada.beat_tracking.patterns.train import train

__all__ = ["BayesSettings", "PatternTracker", "Patterns", "load", "train"]
