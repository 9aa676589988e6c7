"""Scores: of beats and of stems against what is right, and how sure a mean is."""

from levada.scores.beats import DOWNBEAT_SCORES, SCORES, ErrorKind, beat_scores, default_trim_s, kind_of_error
from levada.scores.intervals import Interval, mean_interval, paired_interval, score_bounds
from levada.scores.stems import STEM_SCORES, StemScores, leakage, sdr, si_sdr, stem_scores

__all__ = [
    "DOWNBEAT_SCORES", "SCORES", "STEM_SCORES", "ErrorKind", "Interval", "StemScores", "beat_scores", "default_trim_s",
    "kind_of_error", "leakage", "mean_interval", "paired_interval", "score_bounds", "sdr", "si_sdr", "stem_scores",
]  # fmt: skip
