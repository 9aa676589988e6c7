"""Challenges of a hackathon: data to start from, and one score that is the same for all.

Every challenge of rendered music is about an invented relative of a tradition, played by altered instruments: models
and traditions that ship with levada do not solve it. Its data is drawn by one number, the *instance*, and the
recordings that are scored by another, the seed, which the organiser chooses after the models are handed in.
"""

from levada.challenges.cards import Card, format_table, read_cards, write_card
from levada.challenges.data import start
from levada.challenges.definitions import CHALLENGES, Challenge, find_challenge
from levada.challenges.scoring import score

__all__ = [
    "CHALLENGES", "Card", "Challenge", "find_challenge", "format_table", "read_cards", "score", "start", "write_card",
]  # fmt: skip
