"""Duration of runs: the time left while a study runs, and an estimate before it does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from levada.experiments.grid import Plan
from levada.experiments.spec import PRETRAINED, TASKS, Budget
from levada.experiments.store import Run

__all__ = ["Clock", "guess_s"]

STEP_S = {"beats": 0.12, "stems": 0.95}
"""Processor seconds of a training step of 48 s of music, on a core of 2020 or so; and of what is not training:"""
USUAL_CHANNELS = 40  # of the network that STEP_S was measured with
USUAL_STEPS, USUAL_EXCERPT_S = 100, 8.0  # where the labels, or the network, decide
SCORE_S, DRAW_S = {"beats": 2.0, "stems": 1.5}, 1.0  # a minute of music that is scored, and a run


class Clock:
    """Durations of runs: an estimate for each, corrected by the durations of similar runs.

    Parameters
    ----------
    runs : iterable of Run
        Finished runs.
    guesses : mapping of str to float
        Estimates of `guess_s`, by id.
    max_workers : int
        Number of runs at the same time.
    """

    def __init__(
        self, runs: Iterable[Run] = (), *, guesses: Mapping[str, float] | None = None, max_workers: int = 1
    ) -> None:
        self.max_workers, self._guesses = max_workers, guesses or {}
        self._took: dict[tuple[object, ...], _Sum] = {}
        for run in runs:
            self.add(run)

    def add(self, run: Run) -> None:
        """Add a finished run."""
        seconds = run.costs.get("wall_s", math.nan)
        if math.isnan(seconds):
            return
        guess = self._guesses.get(run.id, math.nan)
        for key in _alike(run.corpus, run.strategy, run.base, run.budget):
            self._took.setdefault(key, _Sum()).add(seconds, guess)

    def expected_s(self, plan: Plan) -> float:
        """Expected seconds of a run; NaN without similar runs and without an estimate.

        Of runs of the same corpus, strategy, base and budget the mean, or where settings differ the estimate times the
        ratio of durations to estimates; without any, the same of the most similar runs.
        """
        guess = self._guesses.get(plan.id, math.nan)
        closest, *others = _alike(plan.corpus, plan.strategy, plan.base, plan.budget)
        alike = self._took.get(closest)
        if alike is not None and (math.isnan(guess) or not alike.scale or math.isclose(alike.mean_guess_s, guess)):
            return alike.mean_s
        if math.isnan(guess):
            return next((self._took[key].mean_s for key in others if key in self._took), math.nan)
        return guess * next(
            (self._took[key].scale for key in (closest, *others) if key in self._took and self._took[key].scale), 1
        )

    def left_s(self, plans: Iterable[Plan]) -> float:
        """Seconds until all of them are done."""
        expected = [self.expected_s(plan) for plan in plans]
        return max([sum(expected) / self.max_workers, *expected])


@dataclass
class _Sum:
    """Sums of durations, and of estimates where there is one."""

    seconds: float = 0.0
    count: int = 0
    with_guess_s: float = 0.0
    guess_s: float = 0.0
    guesses: int = 0

    def add(self, seconds: float, guess: float) -> None:
        self.seconds, self.count = self.seconds + seconds, self.count + 1
        if not math.isnan(guess):
            self.with_guess_s, self.guess_s = self.with_guess_s + seconds, self.guess_s + guess
            self.guesses += 1

    @property
    def mean_s(self) -> float:
        return self.seconds / self.count

    @property
    def mean_guess_s(self) -> float:
        return self.guess_s / max(1, self.guesses)

    @property
    def scale(self) -> float:
        """Ratio of durations to estimates; 0 without any."""
        return self.with_guess_s / self.guess_s if self.guess_s else 0.0


def _alike(corpus: str, strategy: str, base: str, budget: Budget) -> list[tuple[object, ...]]:
    """Keys of similar runs, the most similar first."""
    return [(corpus, strategy, base, budget), (corpus, strategy, base), (strategy, base), (strategy,), ()]


def guess_s(plan: Plan, *, scored_min: float) -> float:
    """Rough estimate of the processor seconds of a run, before any similar one was done.

    Parameters
    ----------
    plan : Plan
    scored_min : float
        Minutes of audio to score.

    Returns
    -------
    float
    """
    work_s = DRAW_S + SCORE_S[plan.task] * scored_min
    settings = plan.settings
    if plan.strategy == PRETRAINED or not hasattr(settings, "batch"):
        return work_s
    size = (getattr(settings, "channels", None) or USUAL_CHANNELS) / USUAL_CHANNELS if plan.task == "beats" else 1.0
    trainings = 3 if plan.strategy not in TASKS[plan.task].FROM_SCRATCH and getattr(settings, "alpha", 0) is None else 1
    return work_s + float(
        size
        * trainings
        * (settings.steps or USUAL_STEPS)
        * STEP_S[plan.task]
        * settings.batch
        * (settings.excerpt_s or USUAL_EXCERPT_S)
        / 48
    )
