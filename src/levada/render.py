"""Performances become audio: mixtures, stems and exact beats.

`sound` plays a performance on instruments drawn for the occasion, and `levada.microphone` puts it into a room. Each
takes a seeded generator: the same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from levada.beats import Beats
from levada.microphone import record
from levada.perform import Performance, Stroke, perform
from levada.tradition import Tradition
from levada.voices import PITCHED, RATE, Pitched, Timbre, note, strike

__all__ = ["Rendering", "render", "sound"]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator


@dataclass(frozen=True)
class Rendering:
    """A performance as audio.

    Parameters
    ----------
    mixture : float32 [shape=(1, samples)]
    beats : Beats
    stems : mapping of str to float32 [shape=(1, samples)]
        Each part alone, before the room.
    rate : int
    """

    mixture: Floats32
    beats: Beats
    stems: Mapping[str, Floats32] = field(default_factory=dict)
    rate: int = RATE


def render(tradition: Tradition, *, duration_s: float, rng: Generator) -> Rendering:
    """Perform a tradition, play it and record it.

    Parameters
    ----------
    tradition : Tradition
    duration_s : float
        Length, in seconds.
    rng : numpy.random.Generator

    Returns
    -------
    Rendering
    """
    performance = perform(tradition, duration_s=duration_s, rng=rng)
    stems = sound(performance, rng=rng)
    mixture = record(sum(stems.values(), np.zeros((1, round(duration_s * RATE)), np.float32)), rng=rng)
    return Rendering(mixture, performance.beats, stems)


def sound(performance: Performance, *, rng: Generator) -> dict[str, Floats32]:
    """Play a performance on instruments drawn for it.

    Parameters
    ----------
    performance : Performance
    rng : numpy.random.Generator

    Returns
    -------
    dict of str to float32 [shape=(1, samples)]
        A stem for every part, at 44.1 kHz.
    """
    samples = round(performance.duration_s * RATE)
    stems = {part: np.zeros((1, samples), np.float32) for part in performance.voices}
    players = {part: _Player(voice, rng) for part, voice in performance.voices.items()}
    gains = {part: 10 ** (level / 20) for part, level in performance.levels_db.items()}
    for event in performance.strokes:
        start = round(event.time_s * RATE)
        piece = players[event.part].play(event)[: samples - start]
        stems[event.part][0, start : start + len(piece)] += np.float32(gains[event.part]) * piece
    return stems


class _Player:
    """One musician with one instrument; remembers a few takes of each stroke, as playing all anew would be slow."""

    TAKES = 4

    def __init__(self, voice: str, rng: Generator) -> None:
        self.rng = rng
        self.instrument = PITCHED[voice].draw(rng) if voice in PITCHED else Timbre.draw(voice, rng)
        self.takes: dict[tuple[object, ...], Floats32] = {}

    def play(self, event: Stroke) -> Floats32:
        instrument, level = self.instrument, 0.35 + 0.3 * np.round((event.velocity - 0.35) / 0.3)
        if isinstance(instrument, Pitched):
            length_s = float(np.ceil(event.duration_s * 8) / 8)
            key: tuple[object, ...] = (round(event.pitch_hz, 1), length_s)
            if key not in self.takes:
                self.takes[key] = note(instrument, pitch_hz=event.pitch_hz, duration_s=length_s, velocity=1.0)
            return self.takes[key] * np.float32(event.velocity)
        key = (event.stroke, level, int(self.rng.integers(self.TAKES)))
        if key not in self.takes:
            self.takes[key] = strike(instrument, stroke=event.stroke, velocity=max(level, 0.2), rng=self.rng)
        return self.takes[key] * np.float32(event.velocity / max(level, 0.2))
