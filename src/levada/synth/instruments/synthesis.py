"""Synthesised instruments of every voice, which need nothing installed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from levada.errors import InputError
from levada.synth.instruments.drums import DRUMS
from levada.synth.instruments.idiophones import IDIOPHONES
from levada.synth.instruments.pitched import PITCHED
from levada.synth.instruments.shakers import SHAKERS
from levada.synth.instruments.signals import Floats, Floats32, Generator, Kind
from levada.synth.instruments.strokes import RATE, check_stroke
from levada.synth.instruments.whistles import WHISTLES

__all__ = ["STRUCK", "SynthesisedInstrument", "synthesise"]

VARIANTS = 4
SOFTEST = 0.2

STRUCK: Mapping[str, Kind] = {**DRUMS, **IDIOPHONES, **SHAKERS, **WHISTLES}
"""Percussion voices, by name."""


class SynthesisedInstrument:
    """A synthesised instrument, which caches a few variants of each stroke.

    Parameters
    ----------
    voice : str
    rng : numpy.random.Generator
        For its parameters.

    Raises
    ------
    InputError
        If there is no such voice.
    """

    def __init__(self, voice: str, rng: Generator) -> None:
        if voice not in STRUCK and voice not in PITCHED:
            raise InputError(f"there is no voice {voice!r}; there are {', '.join([*STRUCK, *PITCHED])}")
        self.level = (STRUCK[voice] if voice in STRUCK else PITCHED[voice]).level
        self.struck = STRUCK[voice].sample_params(rng) if voice in STRUCK else None
        self.player = None if voice in STRUCK else PITCHED[voice].sample_params(rng)
        self.variants: dict[tuple[object, ...], Floats32] = {}

    def play(self, stroke: str, *, velocity: float, pitch_hz: float, duration_s: float, rng: Generator) -> Floats32:
        """Return one stroke or note at 44.1 kHz, from its onset: float32 [shape=(samples,)]."""
        hard = max(SOFTEST, 0.35 + 0.3 * round((velocity - 0.35) / 0.3))
        if self.player is not None:
            held_s = float(np.ceil(duration_s * 8) / 8)
            key: tuple[object, ...] = (round(pitch_hz, 1), held_s, hard)
            if key not in self.variants:
                self.variants[key] = _levelled(self.player.note(pitch_hz, held_s, hard), self.level)
        else:
            check_stroke(stroke)
            key = (stroke, hard, int(rng.integers(VARIANTS)))
            if key not in self.variants and self.struck is not None:
                self.variants[key] = _levelled(self.struck.strike(stroke, hard, rng), self.level)
        return self.variants[key] * np.float32(velocity)


def _levelled(sound: Floats, level: float) -> Floats32:
    """Scale a sound to a peak, and fade out its end."""
    fade = min(len(sound), RATE // 200)
    ended = np.concatenate([sound[: len(sound) - fade], sound[len(sound) - fade :] * np.linspace(1, 0, fade)])
    return np.asarray(ended * (level / max(float(np.abs(ended).max()), 1e-9)), np.float32)


def synthesise(voice: str, rng: Generator) -> SynthesisedInstrument:
    """Sample a synthesised instrument of a voice.

    Raises
    ------
    InputError
        If there is no such voice.
    """
    return SynthesisedInstrument(voice, rng)
