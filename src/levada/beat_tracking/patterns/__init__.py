"""The bar pointer with rhythmic patterns: what each place in the bar sounds like, learnt from a minute of labels.

- `train`: labelled stretches become `Patterns`, in seconds and without a network.
- `tracker`: patterns find beats; `save`, `load`: patterns are a model like any other.
- `BayesSettings`: how.

The decoder is that of `levada.beat_tracking.decoder`; what is new is what a beat is heard as. Where a network says
"beat" or "no
beat", here every sixteenth of every beat of the bar has its own expectation of onsets in the bass and above it: the
syncopated stroke that confuses others is what tells the place (Krebs, Böck and Widmer, ISMIR 2013; known as BayesBeat).
"""

from levada.beat_tracking.patterns.model import BayesSettings, Patterns
from levada.beat_tracking.patterns.store import load, save
from levada.beat_tracking.patterns.tracker import PatternTracker
from levada.beat_tracking.patterns.train import train

__all__ = ["BayesSettings", "PatternTracker", "Patterns", "load", "save", "train"]
