"""Drums: modal synthesis of circular membranes.

The frequencies of the modes are zeros of Bessel functions; their levels depend on where the membrane is struck, and the
hardness of the mallet limits the spectrum. (Fletcher and Rossing, *The Physics of Musical Instruments*, 1998,
chapters 3 and 18.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from levada.synth.instruments import signals
from levada.synth.instruments.shakers import Jingles
from levada.synth.instruments.signals import NOTHING, Floats, Generator, Range, exponential_decay, log_uniform
from levada.synth.instruments.strokes import RATE, pair_ratio

__all__ = ["DRUMS", "Drum", "DrumType"]

# Nodal diameters, nodal circles and zero of the Bessel function of each mode.
MODES = (
    (0, 1, 2.405), (1, 1, 3.832), (2, 1, 5.136), (0, 2, 5.520), (3, 1, 6.380), (1, 2, 7.016), (4, 1, 7.588),
    (2, 2, 8.417), (0, 3, 8.654), (5, 1, 8.771), (3, 2, 9.761), (1, 3, 10.173), (4, 2, 11.065),
)  # fmt: skip


class _Touch(NamedTuple):
    """Parameters of a stroke relative to an open one."""

    place: float | None = None
    """Position from the middle (0) to the rim (1); the usual one of the player by default."""
    hardness: float = 1.0
    ring: float = 1.0
    pitch: float = 1.0
    click: float = 1.0
    shell: float = 0.0
    """Level of the shell relative to the membrane."""


TOUCHES = {
    "muted": _Touch(place=0.45, hardness=0.7, ring=0.22, pitch=1.03, click=0.8),
    "slap": _Touch(place=0.85, hardness=4.0, ring=0.4, pitch=1.02, click=4.0),
    "stick": _Touch(place=0.5, hardness=4.0, ring=0.7, click=2.5),
    "bass": _Touch(place=0.08, hardness=0.5, ring=1.2, pitch=0.82, click=0.5),
    "rim": _Touch(place=0.95, hardness=3.0, ring=0.35, click=1.5, shell=3.0),
    "shake": _Touch(place=0.9, hardness=1.5, ring=0.07, pitch=1.1, click=2.0),
}
"""Strokes that differ from an open one."""


@dataclass(frozen=True)
class DrumType:
    """A type of drum: ranges of parameters.

    Parameters
    ----------
    pitch_hz, ring_s : Range
        Frequency and decay time (60 dB) of the lowest mode.
    mallet_hz : Range
        Cutoff of the spectrum of the mallet, hand or stick.
    place : tuple of float
        Usual position of strokes, from the middle (0) to the rim (1).
    click : Range
        Level of the contact noise relative to the membrane.
    click_hz : tuple of float
        Band of the contact noise; by default derived from `mallet_hz`.
    glide : float
        Relative excess of the initial pitch of a loud stroke.
    wires, wires_s : Range
        Level and length of the noise of snare wires.
    wires_hz : tuple of float
        Band of that noise.
    jingles : Range
        Level of jingles.
    metal : bool
        Whether the shell is metal.
    level : float
        Amplitude relative to a snare drum.
    """

    pitch_hz: Range
    ring_s: Range
    mallet_hz: Range = (900, 2500)
    place: tuple[float, float] = (0.3, 0.7)
    click: Range = (0.05, 0.3)
    click_hz: tuple[float, float] = NOTHING
    glide: float = 0.05
    wires: Range = NOTHING
    wires_s: Range = (0.15, 0.4)
    wires_hz: tuple[float, float] = (1500, 9000)
    jingles: Range = NOTHING
    metal: bool = False
    level: float = 1.0

    def sample_params(self, rng: Generator) -> Drum:
        """Sample a drum of this type."""
        return Drum(self, rng)


class Drum:
    """One drum, with parameters sampled from the ranges of its type.

    Parameters
    ----------
    kind : DrumType
    rng : numpy.random.Generator

    Attributes
    ----------
    pitch_hz, ring_s, mallet_hz, place, click, wires, wires_s : float
        As in its type.
    click_s : float
        Length of the contact noise.
    jingles : Jingles or None
    jingle_level : float
    stretch : float
        Exponent of the mode ratios: air loading moves the modes closer together.
    damping : float
        Exponent of frequency in the decay rate of higher modes.
    uneven : float [shape=(modes,)]
        Level of each mode relative to an ideal membrane.
    shell_hz : float
        Frequency of the lowest mode of the shell.
    interval : float
        Frequency ratio of its two heads, or of two drums of a pair.
    """

    def __init__(self, kind: DrumType, rng: Generator) -> None:
        self.kind = kind
        self.pitch_hz = log_uniform(kind.pitch_hz, rng)
        self.ring_s = log_uniform(kind.ring_s, rng)
        self.mallet_hz = log_uniform(kind.mallet_hz, rng)
        self.place = rng.uniform(*kind.place)
        self.click = log_uniform(kind.click, rng)
        self.click_s = log_uniform((0.006, 0.025), rng)
        self.wires = log_uniform(kind.wires, rng)
        self.wires_s = log_uniform(kind.wires_s, rng)
        self.jingles = Jingles(rng) if kind.jingles[1] else None
        self.jingle_level = log_uniform(kind.jingles, rng)
        self.stretch = rng.uniform(0.93, 1.02)
        self.damping = rng.uniform(0.3, 0.8)
        self.uneven = (1.1, *rng.uniform(0.6, 1.2, len(MODES) - 1))
        self.shell_hz = log_uniform((600, 1500), rng) * (1.8 if kind.metal else 1)
        self.interval = rng.uniform(1.19, 1.5)

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke at an arbitrary level: float64 [shape=(samples,)]."""
        touch = TOUCHES.get(stroke, _Touch())
        pitch = self.pitch_hz * touch.pitch * pair_ratio(stroke, self.interval) * rng.uniform(0.99, 1.01)
        place = np.clip((self.place if touch.place is None else touch.place) + rng.normal(0, 0.04), 0.02, 0.97)
        hard = touch.hardness * (0.4 + velocity)
        layers = [self._skin(pitch, float(place), touch, hard, velocity, rng)]
        click = self.click * touch.click * (0.3 + velocity)
        length = int(RATE * 3 * self.click_s)
        around = self.kind.click_hz if self.kind.click_hz[1] else (0.25 * self.mallet_hz, 1.5 * self.mallet_hz)
        band = (around[0], around[1] * hard)
        layers.append(click * signals.noise_burst(length, band, self.click_s, rng))
        if touch.shell:
            layers.append(touch.shell * self._shell(rng))
        if self.wires:
            layers.append(self._snares(touch, velocity, rng))
        if self.jingles is not None:
            loud = {"shake": 6.0, "muted": 0.6, "bass": 0.5}.get(stroke, 1.0)
            layers.append(loud * self.jingle_level * self.jingles.strike(stroke, velocity, rng))
        return signals.sum_layers(layers)

    def _skin(self, pitch: float, place: float, touch: _Touch, hard: float, velocity: float, rng: Generator) -> Floats:
        from scipy.special import jv

        cut_hz = self.mallet_hz * hard
        modes = []
        for (around, _, zero), uneven in zip(MODES, self.uneven, strict=True):
            ratio = (zero / MODES[0][2]) ** self.stretch
            shape = abs(jv(around, zero * place)) / abs(jv(around + 1, zero))
            strength = shape / (1 + 0.9 * around) / (1 + (pitch * ratio / cut_hz) ** 2)
            level = strength * uneven * rng.uniform(0.85, 1.15)
            ring_s = self.ring_s * touch.ring * ratio**-self.damping * rng.uniform(0.95, 1.05)
            modes.append((pitch * ratio, level, ring_s))
        sound = signals.damped_sines(modes, rng, glide=self.kind.glide * velocity**1.5)
        return np.asarray(sound / max(float(np.abs(sound).max()), 1e-9))

    def _shell(self, rng: Generator) -> Floats:
        ratios = signals.METAL if self.kind.metal else signals.WOOD
        ring_s = 0.15 if self.kind.metal else 0.05
        modes = [
            (self.shell_hz * ratio * rng.uniform(0.99, 1.01), ratio**-0.7, ring_s * ratio**-0.4) for ratio in ratios
        ]
        return signals.damped_sines(modes, rng)

    def _snares(self, touch: _Touch, velocity: float, rng: Generator) -> Floats:
        """Synthesise the noise of snare wires."""
        length_s = self.wires_s * (0.7 + 0.3 * velocity) * max(touch.ring, 0.5)
        length = int(RATE * length_s)
        envelope = exponential_decay(length, length_s) * (1 - np.exp(-np.arange(length) / (0.002 * RATE)))
        share = 0.15 if touch.shell else 1.0  # weak for strokes on the rim
        loud = self.wires * share * velocity**0.3
        return np.asarray(loud * signals.band_noise(length, self.kind.wires_hz, rng, envelope=envelope))


def _hand(low: float, high: float, ring_s: Range, **changes: Any) -> DrumType:
    """A drum played with the hands."""
    return replace(DrumType((low, high), ring_s, (900, 2600), (0.45, 0.8)), **changes)


def _stick(low: float, high: float, ring_s: Range, **changes: Any) -> DrumType:
    """A drum played with sticks."""
    return replace(DrumType((low, high), ring_s, (2500, 8000), (0.2, 0.6), (0.08, 0.4)), **changes)


def _mallet(low: float, high: float, ring_s: Range, **changes: Any) -> DrumType:
    """A drum played with soft mallets."""
    return replace(DrumType((low, high), ring_s, (150, 700), (0.05, 0.5), (0.02, 0.12)), **changes)


DRUMS: dict[str, DrumType] = {
    "kick": _mallet(
        36, 75, (0.15, 0.5), place=(0.02, 0.2), click=(0.03, 0.4), click_hz=(1200, 5000), glide=0.5, level=1.3
    ),
    "snare": _stick(150, 250, (0.2, 0.6), wires=(0.1, 0.7), wires_s=(0.25, 0.7), wires_hz=(900, 7000)),
    "tom": _stick(70, 190, (0.3, 0.9), mallet_hz=(700, 2500), glide=0.15),
    "conga": _hand(150, 320, (0.2, 0.6), level=0.8),
    "bongo": _hand(300, 620, (0.1, 0.28), level=0.6),
    "timbale": _stick(230, 460, (0.2, 0.6), metal=True, level=0.7),
    "djembe": _hand(75, 330, (0.12, 0.45), click=(0.1, 0.5), level=0.9),
    "surdo": _mallet(48, 95, (0.5, 1.4), level=1.2),
    "tamborim": _stick(430, 740, (0.07, 0.16), mallet_hz=(900, 3000), click=(0.03, 0.2), level=0.6),
    "chico": _stick(290, 500, (0.12, 0.32), mallet_hz=(1200, 4000), level=0.8),
    "repique": _stick(200, 360, (0.15, 0.4), mallet_hz=(1000, 4000), level=0.9),
    "piano-drum": _stick(80, 140, (0.3, 0.9), mallet_hz=(500, 2000), click=(0.05, 0.25), level=1.1),
    "caixa": _stick(190, 320, (0.06, 0.2), wires=(0.25, 1.2), wires_s=(0.1, 0.3), wires_hz=(1000, 8000)),
    "repinique": _stick(210, 380, (0.12, 0.4), metal=True, level=0.9),
    "pandeiro": _hand(110, 260, (0.1, 0.35), jingles=(0.1, 0.5), level=0.7),
    "zabumba": _mallet(50, 95, (0.35, 0.9), glide=0.15, level=1.2),
    "alfaia": _mallet(55, 105, (0.3, 0.9), mallet_hz=(400, 1500), click=(0.05, 0.3), glide=0.1, level=1.2),
    "tambora": _stick(80, 150, (0.25, 0.7), mallet_hz=(500, 2500), level=1.0),
    "llamador": _hand(230, 380, (0.15, 0.4), level=0.8),
    "alegre": _hand(180, 340, (0.12, 0.4), click=(0.08, 0.4), level=0.9),
    "bombo": _mallet(50, 95, (0.4, 1.1), glide=0.1, level=1.2),
    "cajon": _hand(70, 120, (0.1, 0.3), click=(0.2, 0.8), wires=(0.05, 0.5), wires_s=(0.05, 0.15), level=0.9),
}
"""Types of drums, by name of the voice."""
