"""What runs take: the time left while a study runs, and a guess before it does."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from levada.experiments.grid import Plan
from levada.experiments.spec import PRETRAINED, TASKS
from levada.experiments.store import Run

__all__ = ["Clock", "guess_s"]

STEP_S = {"beats": 0.12, "stems": 0.95}
"""Processor seconds of a training step of 48 s of music, on a core of 2020 or so; and of what is not training:"""
SCORE_S, DRAW_S = {"beats": 2.0, "stems": 1.5}, 1.0  # a minute of music that is scored, and a run


class Clock:
    """How long runs take: a guess for each, corrected by what runs like it took.

    Parameters
    ----------
    runs : iterable of Run
        What is known already.
    guesses : mapping of str to float
        Seconds by `guess_s` of runs, by id.
    lanes : int
        How many runs are done at the same time.
    """

    def __init__(self, runs: Iterable[Run] = (), *, guesses: Mapping[str, float] | None = None, lanes: int = 1) -> None:
        self.lanes, self._guesses = lanes, guesses or {}
        self._took: dict[tuple[object, ...], _Sum] = {}
        for run in runs:
            self.add(run)

    def add(self, run: Run) -> None:
        """Learn from a run that was done."""
        seconds = run.costs.get("wall_s", math.nan)
        if math.isnan(seconds):
            return
        guess = self._guesses.get(run.id, math.nan)
        for key in _alike(run.corpus, run.strategy, run.base, run.minutes):
            self._took.setdefault(key, _Sum()).add(seconds, guess)

    def expected_s(self, plan: Plan) -> float:
        """Seconds a run will take; NaN where nothing is known and nothing was guessed.

        Runs of the same corpus, strategy, base and budget take what they took. Otherwise the guess is scaled by how far
        the guesses of the most similar runs were off: what a short strategy took says nothing of a long one.
        """
        guess = self._guesses.get(plan.id, math.nan)
        closest, *others = _alike(plan.corpus, plan.strategy, plan.base, plan.minutes)
        if closest in self._took:
            return self._took[closest].mean_s
        if math.isnan(guess):
            return next((self._took[key].mean_s for key in others if key in self._took), math.nan)
        return guess * next((self._took[key].scale for key in others if key in self._took and self._took[key].scale), 1)

    def left_s(self, plans: Iterable[Plan]) -> float:
        """Seconds until all of them are done."""
        expected = [self.expected_s(plan) for plan in plans]
        return max([sum(expected) / self.lanes, *expected])


@dataclass
class _Sum:
    """What runs took, and what was guessed of those that have a guess."""

    seconds: float = 0.0
    count: int = 0
    with_guess_s: float = 0.0
    guess_s: float = 0.0

    def add(self, seconds: float, guess: float) -> None:
        self.seconds, self.count = self.seconds + seconds, self.count + 1
        if not math.isnan(guess):
            self.with_guess_s, self.guess_s = self.with_guess_s + seconds, self.guess_s + guess

    @property
    def mean_s(self) -> float:
        return self.seconds / self.count

    @property
    def scale(self) -> float:
        """How many times as long as guessed; 0 where nothing was."""
        return self.with_guess_s / self.guess_s if self.guess_s else 0.0


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
    if plan.strategy == PRETRAINED or not hasattr(settings, "batch"):
        return work_s
    trainings = (
        3 if plan.strategy not in TASKS[plan.task].FROM_SCRATCH and getattr(settings, "partway", 0) is None else 1
    )
    return work_s + float(trainings * settings.steps * STEP_S[plan.task] * settings.batch * settings.excerpt_s / 48)
