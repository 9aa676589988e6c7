"""Scores: of beats and of stems against what is right, and how sure a mean is."""

from levada.scores.beats import SCORES, ErrorKind, beat_scores, kind_of_error
from levada.scores.intervals import Interval, bootstrap, bootstrap_difference

__all__ = [
    "SCORES", "ErrorKind", "Interval", "beat_scores", "bootstrap", "bootstrap_difference", "kind_of_error",
]  # fmt: skip
