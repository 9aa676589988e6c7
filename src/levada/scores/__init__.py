"""Scores: of beats and of stems against what is right, and how sure a mean is."""

from levada.scores.beats import SCORES, ErrorKind, beat_scores, default_trim_s, kind_of_error
from levada.scores.intervals import Interval, bootstrap, bootstrap_difference
from levada.scores.stems import STEM_SCORES, StemScores, leakage, sdr, si_sdr, stem_scores

__all__ = [
    "SCORES", "STEM_SCORES", "ErrorKind", "Interval", "StemScores", "beat_scores", "bootstrap", "bootstrap_difference",
    "default_trim_s", "kind_of_error", "leakage", "sdr", "si_sdr", "stem_scores",
]  # fmt: skip
