"""Synthetic relatives of a tradition: random changes of its description, which no model that ships was trained on.

A relative has the instruments of the tradition and phrases like its own, but its bar begins on another beat, some
strokes are moved, and it is played faster or slower. It says nothing about the tradition that it is derived from. For
separation its instruments also exchange their sounds.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from levada.synth.instruments.signals import Generator
from levada.synth.traditions import Instrument, Pattern, Tradition

__all__ = ["exchange_voices", "relative_of"]

MOVED = 0.5
"""Probability that a stroke of a pattern is moved by a tatum."""
FASTER = 0.12
"""Greatest change of the log of the mean tempo."""


def relative_of(tradition: Tradition, *, seed: int) -> Tradition:
    """Derive a relative of a tradition.

    Parameters
    ----------
    tradition : Tradition
        One whose beats are of equal length, and more than one.
    seed : int
        The same seed gives the same relative.

    Returns
    -------
    Tradition
        Its `name` ends in the seed; without sources, for there are none.
    """
    rng = np.random.default_rng([seed, tradition.beats, tradition.tatums])
    later = int(rng.integers(1, tradition.beats))
    parts = tuple(_relative(part, later * tradition.tatums, tradition, rng) for part in tradition.instruments)
    mean, deviation = tradition.tempo_bpm
    title = tradition.title or tradition.name
    return replace(
        tradition,
        name=f"{tradition.name}-relative-{seed}",
        title=f"an invented relative of {title}",
        about=f"Invented, by the seed {seed}: the instruments of {title}, in a bar that begins on another beat.",
        tempo_bpm=(round(mean * float(np.exp(rng.uniform(-FASTER, FASTER))), 1), deviation),
        instruments=parts,
        sources=(),
        checked=(),
        unchecked="all of it: it is invented",
    )


def exchange_voices(tradition: Tradition, *, seed: int) -> Tradition:
    """Give every instrument of a tradition the voice of another one: its name says nothing of its sound.

    Parameters
    ----------
    tradition : Tradition
        Of two instruments or more.
    seed : int
        The same seed gives the same voices.

    Returns
    -------
    Tradition
    """
    parts = tradition.instruments
    order = np.random.default_rng([seed, len(parts)]).permutation(len(parts))
    voices = {int(to): parts[at].voice for to, at in zip(order, np.roll(order, 1), strict=True)}
    return replace(tradition, instruments=tuple(replace(part, voice=voices[at]) for at, part in enumerate(parts)))


def _relative(part: Instrument, tatums: int, tradition: Tradition, rng: Generator) -> Instrument:
    """Let an instrument play its patterns later in the bar, some of them changed."""
    weights = rng.dirichlet(np.full(len(part.patterns), 2.0))
    patterns = (_moved(_turned(one.grid, tatums, tradition), rng) for one in part.patterns)
    return replace(
        part,
        patterns=tuple(Pattern(grid, float(weight)) for grid, weight in zip(patterns, weights, strict=True)),
        fills=tuple(_turned(grid, tatums, tradition) for grid in part.fills),
        calls=tuple(_turned(grid, tatums, tradition) for grid in part.calls),
    )


def _turned(grid: str, tatums: int, tradition: Tradition) -> str:
    """Play each cycle of a grid some tatums later; what goes over its end comes first."""
    cycle = tradition.cycle
    cycles = (grid[start : start + cycle] for start in range(0, len(grid), cycle))
    return "".join(one[-tatums:] + one[:-tatums] for one in cycles)


def _moved(grid: str, rng: Generator) -> str:
    """Move one stroke to a free tatum beside it, or none."""
    free = [
        (at, to) for at in range(len(grid)) for to in (at - 1, (at + 1) % len(grid))
        if grid[at] != "." and grid[to] == "."
    ]  # fmt: skip
    if not free or rng.random() >= MOVED:
        return grid
    letters = list(grid)
    at, to = free[int(rng.integers(len(free)))]
    letters[to], letters[at] = letters[at], "."
    return "".join(letters)
