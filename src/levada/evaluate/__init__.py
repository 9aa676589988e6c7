"""Models against what is known of recordings: one row for each pair, means with intervals, what to beware of."""

from levada.evaluate.beats import FLOOR, Evaluation, Row, Tracker, evaluate, summary_rows, with_floor

__all__ = ["FLOOR", "Evaluation", "Row", "Tracker", "evaluate", "summary_rows", "with_floor"]
