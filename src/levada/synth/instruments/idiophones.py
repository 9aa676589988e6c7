"""Idiophones: modal synthesis of wood blocks, bells and cymbals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from levada.synth.instruments import signals
from levada.synth.instruments.signals import NOTHING, Floats, Generator, Range, log_uniform
from levada.synth.instruments.strokes import RATE, pair_ratio

__all__ = ["IDIOPHONES", "Idiophone", "IdiophoneType"]

TRIANGLE = (1.0, 1.38, 1.71, 2.14, 2.74, 3.05, 3.72)
BAMBOO = (1.0, 2.1, 3.3, 5.1)


class _Touch(NamedTuple):
    """Parameters of a stroke relative to an open one."""

    ring: float = 1.0
    bright: float = 1.0
    click: float = 1.0
    pitch: float = 1.0


TOUCHES = {
    "muted": _Touch(ring=0.18, bright=0.8, pitch=1.005),
    "slap": _Touch(ring=0.7, bright=1.6, click=2.0),
    "stick": _Touch(ring=0.9, bright=1.4, click=1.5),
    "bass": _Touch(ring=1.1, bright=0.6, click=0.6, pitch=0.9),
    "rim": _Touch(ring=0.6, bright=1.8, click=1.6, pitch=1.02),
    "shake": _Touch(ring=0.08, bright=1.2, click=2.5),
}
"""Strokes that differ from an open one."""


@dataclass(frozen=True)
class IdiophoneType:
    """A type of bar, block, bell or cymbal: ranges of parameters.

    Parameters
    ----------
    modes : tuple of float
        Frequencies of its modes relative to the lowest; further modes of a cymbal are noise (`wash`).
    pitch_hz : Range
        Frequency of the lowest mode.
    ring_s : Range
        Decay time (60 dB) of the lowest mode.
    slope : tuple of float
        Range of the exponent with which the level of modes falls with frequency.
    damping : float
        Exponent of frequency in the decay rate of higher modes.
    click : Range
        Level of the contact noise.
    click_hz : tuple of float
        Band of that noise.
    wash : Range
        Level of noise that decays like the modes.
    wash_hz : tuple of float
        Band of that noise.
    level : float
        Amplitude relative to a snare drum.
    """

    modes: tuple[float, ...]
    pitch_hz: Range
    ring_s: Range
    slope: tuple[float, float] = (0.3, 1.2)
    damping: float = 0.5
    click: Range = (0.05, 0.3)
    click_hz: tuple[float, float] = (1500, 9000)
    wash: Range = NOTHING
    wash_hz: tuple[float, float] = (5000, 15000)
    level: float = 0.5

    def sample_params(self, rng: Generator) -> Idiophone:
        """Sample an instrument of this type."""
        return Idiophone(self, rng)


class Idiophone:
    """One bar, block, bell or cymbal, with parameters sampled from the ranges of its type.

    Parameters
    ----------
    kind : IdiophoneType
    rng : numpy.random.Generator

    Attributes
    ----------
    pitch_hz, ring_s, click, wash : float
        As in its type.
    ratios, levels : float [shape=(modes,)]
    beating : float
        Relative frequency difference of the two components of each mode, which beat.
    wash_hz : tuple of float
    interval : float
        Frequency ratio of its two bells.
    """

    def __init__(self, kind: IdiophoneType, rng: Generator) -> None:
        self.kind = kind
        slope = rng.uniform(*kind.slope)
        low, high = kind.wash_hz
        self.pitch_hz = log_uniform(kind.pitch_hz, rng)
        self.ring_s = log_uniform(kind.ring_s, rng)
        self.ratios = tuple(ratio * rng.uniform(0.98, 1.02) ** (ratio > 1) for ratio in kind.modes)
        self.levels = tuple(ratio**-slope * rng.uniform(0.3, 1.0) for ratio in kind.modes)
        self.beating = rng.uniform(0.0005, 0.004)
        self.click = log_uniform(kind.click, rng)
        self.wash = log_uniform(kind.wash, rng)
        self.wash_hz = (low * rng.uniform(0.8, 1.3), min(20000.0, high * rng.uniform(0.7, 1.3)))
        self.interval = rng.uniform(1.19, 1.5)

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke at an arbitrary level: float64 [shape=(samples,)]."""
        touch = TOUCHES.get(stroke, _Touch())
        pitch = self.pitch_hz * touch.pitch * pair_ratio(stroke, self.interval) * rng.uniform(0.998, 1.002)
        ring_s = self.ring_s * touch.ring * rng.uniform(0.9, 1.1)
        modes: list[tuple[float, float, float]] = []
        for ratio, level in zip(self.ratios, self.levels, strict=True):
            strong = level * (touch.bright * (0.4 + velocity)) ** (0.6 if ratio > 1 else 0) * rng.uniform(0.7, 1.2)
            split = self.beating if ring_s > 0.15 and not self.wash else 0.0
            for half, share in ((1 + split, 0.6), (1 - split, 0.4)) if split else ((1.0, 1.0),):
                modes.append((pitch * ratio * half, strong * share, max(0.01, ring_s * ratio**-self.kind.damping)))
        layers = [signals.damped_sines(modes, rng)]
        layers[0] /= max(float(np.abs(layers[0]).max()), 1e-9)
        click = signals.noise_burst(int(RATE * 0.02), self.kind.click_hz, rng.uniform(0.005, 0.015), rng)
        layers.append(self.click * touch.click * (0.4 + velocity) * click)
        if self.wash:
            layers.append(self.wash * self._washing(ring_s, touch, velocity, rng))
        return signals.sum_layers(layers)

    def _washing(self, ring_s: float, touch: _Touch, velocity: float, rng: Generator) -> Floats:
        """Synthesise the noise of a cymbal, whose upper band decays faster."""
        low, high = self.wash_hz
        layers = []
        for level, band, share in (
            (0.6, (0.5 * low, low * 1.2), 1.0),
            (touch.bright * (0.4 + velocity), (low, high), 0.7),
        ):
            length = int(RATE * min(2.5, ring_s * share))
            layers.append(level * signals.noise_burst(length, band, ring_s * share, rng))
        return signals.sum_layers(layers)


def _wood(low: float, high: float, ring_s: Range, modes: tuple[float, ...] = signals.WOOD) -> IdiophoneType:
    return IdiophoneType(modes, (low, high), ring_s, (1.0, 2.2), 0.6, (0.1, 0.5))


def _bell(low: float, high: float, ring_s: Range, level: float) -> IdiophoneType:
    return IdiophoneType(signals.BELL, (low, high), ring_s, (0.3, 1.1), 0.35, level=level)


def _cymbal(modes: tuple[float, ...], ring_s: Range, wash: Range, level: float) -> IdiophoneType:
    return IdiophoneType(
        modes, (2200, 5000), ring_s, (-0.1, 0.8), 0.3, (0.2, 0.8), (3000, 14000), wash, (5000, 13000), level
    )  # fmt: skip


IDIOPHONES: dict[str, IdiophoneType] = {
    "rim": _wood(380, 900, (0.03, 0.09)),
    "woodblock": _wood(700, 1900, (0.05, 0.14)),
    "claves": _wood(1900, 2900, (0.06, 0.14)),
    "cata": replace(_wood(450, 1200, (0.03, 0.1), BAMBOO), click=(0.3, 1.2), click_hz=(800, 7000)),
    "cowbell": _bell(450, 820, (0.12, 0.4), 0.5),
    "agogo": _bell(600, 1500, (0.2, 0.6), 0.45),
    "gongue": _bell(330, 700, (0.3, 0.9), 0.5),
    "triangle": IdiophoneType(TRIANGLE, (2600, 5200), (0.6, 2.4), (-0.2, 0.6), 0.2, level=0.25),
    "hat": _cymbal(signals.METAL, (0.15, 0.5), (1.0, 4.0), 0.35),
    "open-hat": _cymbal(signals.METAL, (0.4, 1.2), (1.0, 4.0), 0.35),
    "ride": _cymbal(signals.BELL, (0.8, 2.2), (0.3, 1.5), 0.3),
    "crash": _cymbal(signals.METAL, (1.2, 2.5), (1.5, 5.0), 0.5),
}
"""Types of idiophones, by name of the voice."""
