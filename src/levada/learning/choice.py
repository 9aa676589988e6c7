"""What a strategy chose among its candidates, and why: one line, which the card of the model has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from levada.learning.card import Card

__all__ = ["Choice"]


@dataclass(frozen=True)
class Choice:
    """What was chosen, and why.

    Parameters
    ----------
    name : str
        The candidate.
    scores : mapping of str to float
        Score of each candidate on held-out labels; empty where nothing could be held out.
    why : str
        The reason in a few words.
    unit : str
        Of the scores.
    """

    name: str
    scores: Mapping[str, float]
    why: str
    unit: str = ""

    def line(self) -> str:
        """Describe the choice in one line."""
        scores = ", ".join(f"{name} {score:.2f}" for name, score in self.scores.items())
        unit = f" in {self.unit}" if self.unit else ""
        return f"auto chose {self.name}: {self.why}" + (f" (held-out scores{unit}: {scores})" if scores else "")

    def on(self, card: Card) -> Card:
        """Return the card with the scores of all candidates and the choice."""
        held_out = {f"held-out labels, {name}": round(score, 3) for name, score in self.scores.items()}
        return replace(card, scores={**held_out, "chosen": self.line()})

    def facts(self) -> dict[str, Any]:
        """Return the choice for the settings of a training."""
        return {"auto": {"chosen": self.name, "why": self.why, "held_out_scores": dict(self.scores)}}
