"""Models against what is known of recordings: one row for each pair, means with intervals, what to beware of."""

from levada.evaluate.agreement import Agreement, agreement, compare_beats
from levada.evaluate.beats import FLOOR, Evaluation, Row, Tracker, evaluate, summary_rows, with_floor
from levada.evaluate.holding import held_out
from levada.evaluate.listening import MIXTURE, ORACLE, HeldOut, Separating, StemRow
from levada.evaluate.matching import Match, match
from levada.evaluate.stems import StemEvaluation, evaluate_stems

__all__ = [
    "FLOOR", "MIXTURE", "ORACLE", "Agreement", "Evaluation", "HeldOut", "Match", "Row", "Separating", "StemEvaluation",
    "StemRow", "Tracker", "agreement", "compare_beats", "evaluate", "evaluate_stems", "held_out", "match",
    "summary_rows", "with_floor",
]  # fmt: skip
