"""Pictures of what a tracker heard and what it made of it, and of recordings taken apart."""

from levada.plot.activations import BEAT, DOWNBEAT, MARKS, Panel, plot_activations
from levada.plot.stems import Leaks, plot_leakage, plot_stems

__all__ = ["BEAT", "DOWNBEAT", "MARKS", "Leaks", "Panel", "plot_activations", "plot_leakage", "plot_stems"]
