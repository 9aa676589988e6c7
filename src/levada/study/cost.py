"""What runs take: the time left while a study runs, and a guess before it does."""

from __future__ import annotations

import math
from collections.abc import Iterable

from levada.study.grid import BASELESS, UNTOUCHED, Plan
from levada.study.store import Run

__all__ = ["Clock", "guess_s"]

STEP_S = {"beats": 0.12, "stems": 0.95}
"""Processor seconds of a training step of 48 s of music, on a core of 2020 or so; and of what is not training:"""
SCORE_S, DRAW_S = {"beats": 2.0, "stems": 1.5}, 1.0  # a minute of music that is scored, and a run


class Clock:
    """How long runs take, learnt from those that are done.

    Parameters
    ----------
    runs : iterable of Run
        What is known already.
    lanes : int
        How many runs are done at the same time.
    """

    def __init__(self, runs: Iterable[Run] = (), *, lanes: int = 1) -> None:
        self.lanes = lanes
        self._took: dict[tuple[object, ...], tuple[float, int]] = {}
        for run in runs:
            self.add(run)

    def add(self, run: Run) -> None:
        """Learn from a run that was done."""
        seconds = run.costs.get("wall_s", math.nan)
        if math.isnan(seconds):
            return
        for key in _alike(run.corpus, run.strategy, run.base, run.minutes):
            sum_s, count = self._took.get(key, (0.0, 0))
            self._took[key] = (sum_s + seconds, count + 1)

    def expected_s(self, plan: Plan) -> float:
        """Seconds a run will take, by those that are most alike; NaN before there is any."""
        for key in _alike(plan.corpus, plan.strategy, plan.base, plan.minutes):
            if key in self._took:
                sum_s, count = self._took[key]
                return sum_s / count
        return math.nan

    def left_s(self, plans: Iterable[Plan]) -> float:
        """Seconds that all of them will take."""
        return sum(self.expected_s(plan) for plan in plans) / self.lanes


def _alike(corpus: str, strategy: str, base: str, minutes: float) -> list[tuple[object, ...]]:
    """What a run has in common with others, the closest first."""
    return [(corpus, strategy, base, minutes), (corpus, strategy, base), (strategy, base), (strategy,), ()]


def guess_s(plan: Plan, *, scored_min: float) -> float:
    """A rough guess of the processor seconds of a run, where none like it was done.

    Parameters
    ----------
    plan : Plan
    scored_min : float
        Minutes of music it is scored on.

    Returns
    -------
    float
    """
    work_s = DRAW_S + SCORE_S[plan.task] * scored_min
    settings = plan.settings
    if plan.strategy == UNTOUCHED or not hasattr(settings, "batch"):
        return work_s
    trainings = 3 if plan.strategy not in BASELESS and getattr(settings, "partway", 0) is None else 1
    return work_s + float(trainings * settings.steps * STEP_S[plan.task] * settings.batch * settings.excerpt_s / 48)
