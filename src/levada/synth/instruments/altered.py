"""Instruments that are altered by a seed: other sizes, dampings and bodies than those of any other source.

For evaluations on timbres that no training has. How a voice is altered depends on the seed alone, and every instrument
of it differs a little from the others.
"""

from __future__ import annotations

import zlib

import numpy as np

from levada.errors import InputError
from levada.synth.instruments.signals import Floats, Floats32, Generator
from levada.synth.instruments.strokes import RATE
from levada.synth.instruments.synthesis import SynthesisedInstrument, synthesise

__all__ = ["AlteredInstrument", "altered"]

SEMITONES = (2.5, 6.0)
"""How far the pitch of a voice is moved, up or down: farther than instruments of one voice differ."""
DAMPING_S = (0.05, 0.4)
"""Time constant of what is damped beside the own decay of an instrument."""
BODY_S, BODY_LEVEL = 0.0015, 0.5
"""Length of the impulse response of a body, and its level relative to the direct sound."""


class AlteredInstrument:
    """A synthesised instrument of another size, damping and body.

    Parameters
    ----------
    instrument : SynthesisedInstrument
    semitones : float
        By which its sound is moved.
    damping_s : float
        Time constant of the exponential by which it is damped.
    body : float64 [shape=(taps,)]
        Impulse response.
    """

    def __init__(self, instrument: SynthesisedInstrument, *, semitones: float, damping_s: float, body: Floats) -> None:
        self.instrument = instrument
        self.semitones, self.damping_s, self.body = semitones, damping_s, body

    def play(self, stroke: str, *, velocity: float, pitch_hz: float, duration_s: float, rng: Generator) -> Floats32:
        """Return one stroke or note at 44.1 kHz, from its onset: float32 [shape=(samples,)]."""
        pitched = self.instrument.player is not None  # notes keep their pitch
        sound = self.instrument.play(stroke, velocity=velocity, pitch_hz=pitch_hz, duration_s=duration_s, rng=rng)
        step = 1.0 if pitched else 2 ** (self.semitones / 12)
        moved = np.interp(np.arange(0, len(sound) - 1, step), np.arange(len(sound)), sound)
        damped = moved if pitched else moved * np.exp(-np.arange(len(moved)) / (self.damping_s * RATE))
        coloured = np.convolve(damped, self.body)
        peak = float(np.abs(sound).max(initial=0)) / max(float(np.abs(coloured).max(initial=0)), 1e-9)
        return np.asarray(coloured * peak, np.float32)


def altered(seed: int, voice: str, rng: Generator) -> AlteredInstrument:
    """Sample an instrument of a voice.

    Parameters
    ----------
    seed : int
        Determines how the voice is altered.
    voice : str
    rng : numpy.random.Generator
        Samples the instrument, and how it differs from others of the same seed.

    Raises
    ------
    InputError
        If there is no such voice, or the seed is negative.
    """
    if seed < 0:
        raise InputError(f"a seed must be a whole number that is not negative, not {seed}")
    instrument = synthesise(voice, rng)
    of_voice = np.random.default_rng([seed, zlib.crc32(voice.encode())])
    semitones = float(of_voice.choice([-1, 1]) * of_voice.uniform(*SEMITONES) + rng.normal(0, 0.5))
    damping_s = float(np.exp(of_voice.uniform(*np.log(DAMPING_S)) + rng.normal(0, 0.15)))
    taps = round(BODY_S * RATE)
    body = (of_voice.normal(size=taps) + 0.3 * rng.normal(size=taps)) * np.exp(-4 * np.arange(taps) / taps)
    body *= BODY_LEVEL / np.sqrt(np.square(body).sum())
    body[0] = 1.0
    return AlteredInstrument(instrument, semitones=semitones, damping_s=damping_s, body=body)
