"""Pitched instruments: additive synthesis of strings, winds, keyboards and a singing voice.

A tone is a polynomial in one rotating complex number, whose powers are the harmonics: a magnitude that falls damps
upper harmonics first, as on a string; one that grows brightens the tone, as in brass. Two or three detuned tones are a
course of strings or a section.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from levada.synth.instruments import signals
from levada.synth.instruments.signals import NOTHING, Floats, Generator, Range, log_uniform
from levada.synth.instruments.strokes import RATE

__all__ = ["PITCHED", "PitchedInstrument", "PitchedType"]

MOST_HARMONICS = 24
FOREVER = (60, 60)


@dataclass(frozen=True)
class PitchedType:
    """A type of pitched instrument: ranges of parameters.

    Parameters
    ----------
    slope : Range
        Exponent with which the level of harmonics falls.
    decay_s : Range
        Decay time (60 dB) of a held note.
    attack_s : Range
        Time to the loudest point.
    release_s : float
        Length of the release.
    damping : Range
        Additional decay of each further harmonic, in 60 dB a second.
    place : tuple of float
        Relative position where a string is plucked or struck; harmonics with a node there are silent; 0 disables this.
    even : float
        Level of even harmonics relative to odd ones.
    strings : int
        Number of detuned strings.
    detune : Range
        Relative detuning.
    octave : float
        Level of a second string an octave higher.
    formants_hz : tuple of (float, float)
        Ranges of the frequencies of its formants.
    vibrato : Range
        Relative depth.
    bloom_s : float
        Time constant with which harmonics appear.
    blow : Range
        Level of the attack noise.
    breath : Range
        Level of sustained noise.
    level : float
        Amplitude relative to a snare drum.
    """

    slope: Range
    decay_s: Range = FOREVER
    attack_s: Range = (0.001, 0.004)
    release_s: float = 0.08
    damping: Range = NOTHING
    place: tuple[float, float] = (0.0, 0.0)
    even: float = 1.0
    strings: int = 1
    detune: Range = NOTHING
    octave: float = 0.0
    formants_hz: tuple[tuple[float, float], ...] = ()
    vibrato: Range = NOTHING
    bloom_s: float = 0.0
    blow: Range = NOTHING
    breath: Range = NOTHING
    level: float = 0.3

    def sample_params(self, rng: Generator) -> PitchedInstrument:
        """Sample an instrument of this type."""
        return PitchedInstrument(self, rng)


class PitchedInstrument:
    """One pitched instrument, with parameters sampled from the ranges of its type.

    Parameters
    ----------
    kind : PitchedType
    rng : numpy.random.Generator

    Attributes
    ----------
    slope, decay_s, attack_s, damping, place, detune, vibrato, blow, breath : float
        As in its type.
    formants_hz : list of float
    vibrato_hz : float
    seed : int
        Seed of its noise: equal notes are identical.
    """

    def __init__(self, kind: PitchedType, rng: Generator) -> None:
        self.kind = kind
        self.slope = log_uniform(kind.slope, rng)
        self.decay_s = log_uniform(kind.decay_s, rng)
        self.attack_s = log_uniform(kind.attack_s, rng)
        self.damping = log_uniform(kind.damping, rng)
        self.place = rng.uniform(*kind.place)
        self.detune = log_uniform(kind.detune, rng)
        self.formants_hz = [log_uniform(formant, rng) for formant in kind.formants_hz]
        self.vibrato = log_uniform(kind.vibrato, rng)
        self.vibrato_hz = rng.uniform(4.5, 6.5)
        self.blow = log_uniform(kind.blow, rng)
        self.breath = log_uniform(kind.breath, rng)
        self.seed = int(rng.integers(2**31))

    def note(self, pitch_hz: float, duration_s: float, velocity: float) -> Floats:
        """Synthesise one note with its release, at an arbitrary level: float64 [shape=(samples,)]."""
        kind = self.kind
        rng = np.random.default_rng([self.seed, round(pitch_hz * 10), round(velocity * 100)])
        samples = int(RATE * (max(duration_s, 0.03) + kind.release_s))
        time = np.arange(samples) / RATE
        weights = self._weights(pitch_hz, velocity)
        sound = np.zeros(samples)
        if len(weights):
            swing = self.vibrato * np.minimum(1, time / 0.4) * np.sin(2 * np.pi * self.vibrato_hz * time)
            turned = 2 * np.pi * pitch_hz * (time + np.cumsum(swing) / RATE if self.vibrato else time)
            shrink = np.exp(-6.9 * self.damping * time)
            if kind.bloom_s:
                shrink *= 1 - 0.5 * np.exp(-time / kind.bloom_s)
            for string in range(kind.strings):
                apart = self.detune * (string - (kind.strings - 1) / 2)
                sound += _polynomial(weights, turned * (1 + apart) + rng.uniform(0, 0.8) * string, shrink)
            if kind.octave:
                sound += kind.octave * _polynomial(weights[: len(weights) // 2], 2 * turned * (1 + self.detune), shrink)
            sound *= signals.exponential_decay(samples, self.decay_s) / max(float(np.abs(sound).max()), 1e-9)
        if self.breath:
            sound += self.breath * signals.band_noise(samples, (pitch_hz, 9000), rng, peaks=[(pitch_hz, 0.3, 3.0)])
        rise = min(samples, int(self.attack_s * (1.3 - 0.5 * velocity) * RATE) + 1)
        sound[:rise] *= np.linspace(0, 1, rise)
        if self.blow:
            burst = signals.noise_burst(min(samples, int(0.04 * RATE)), (200, 1500 + 5000 * velocity), 0.025, rng)
            sound[: len(burst)] += self.blow * velocity * burst
        let_go = min(samples, int(kind.release_s * RATE))
        sound[samples - let_go :] *= np.linspace(1, 0, let_go) ** 2
        return sound

    def _weights(self, pitch_hz: float, velocity: float) -> Floats:
        """Return the levels of the harmonics below the Nyquist frequency; brighter at higher velocity."""
        numbers = np.arange(1, 1 + min(MOST_HARMONICS, int(RATE / 2.5 / pitch_hz)))
        levels = numbers ** -(self.slope * (1.5 - 0.6 * velocity))
        levels[1::2] *= self.kind.even
        if self.place:
            levels *= np.abs(np.sin(np.pi * numbers * self.place)) + 0.05
        for formant in self.formants_hz:
            levels *= 1 + 3 / (1 + ((numbers * pitch_hz - formant) / (0.25 * formant)) ** 2)
        return np.asarray(levels)


def _polynomial(weights: Floats, turned: Floats, shrink: Floats) -> Floats:
    """Sum `weights[n]` · shrink^(n+1) · sin((n+1) · angle) by Horner's rule."""
    number = (shrink * np.exp(1j * turned)).astype(np.complex64)
    total = np.full(len(number), weights[-1], np.complex64) if len(weights) else np.zeros(len(number), np.complex64)
    for weight in weights[-2::-1]:
        total *= number
        total += np.float32(weight)
    total *= number
    return np.asarray(total.imag, np.float64)


PITCHED: dict[str, PitchedType] = {
    "bass": PitchedType(
        (1.0, 2.0), (1.5, 5), (0.002, 0.01), damping=(0.05, 0.4), place=(0.1, 0.35),
        blow=(0.02, 0.15), level=0.5,
    ),
    "pluck": PitchedType(
        (0.7, 1.3), (0.6, 2), damping=(0.1, 0.8), place=(0.08, 0.4), blow=(0.02, 0.2), level=0.4
    ),
    "keys": PitchedType(
        (1.0, 1.9), (1.5, 4), damping=(0.05, 0.6), strings=2, detune=(0.0003, 0.003), level=0.25
    ),
    "organ": PitchedType((0.6, 1.3), attack_s=(0.005, 0.02), strings=2, detune=(0.0003, 0.003), level=0.15),
    "pad": PitchedType(
        (1.1, 2.0), attack_s=(0.06, 0.25), release_s=0.25, strings=3, detune=(0.002, 0.008),
        vibrato=(0.001, 0.005), level=0.15,
    ),
    "reed": PitchedType(
        (0.7, 1.3), attack_s=(0.015, 0.06), even=0.1, formants_hz=((700, 1800),),
        vibrato=(0.002, 0.01), bloom_s=0.03, breath=(0.005, 0.03), level=0.2,
    ),
    "singer": PitchedType(
        (0.9, 1.4), attack_s=(0.03, 0.12), formants_hz=((350, 850), (900, 2300), (2500, 3200)),
        vibrato=(0.006, 0.025), breath=(0.005, 0.04), level=0.25,
    ),
    "piano": PitchedType(
        (1.2, 1.9), (2, 6), damping=(0.05, 0.3), place=(0.11, 0.14), strings=3,
        detune=(0.0002, 0.0012), blow=(0.03, 0.15), release_s=0.12, level=0.35,
    ),
    "guitar": PitchedType(
        (0.9, 1.4), (1, 3.5), damping=(0.1, 0.5), place=(0.12, 0.35),
        formants_hz=((95, 130), (180, 260)), blow=(0.03, 0.25), level=0.35,
    ),
    "tres": PitchedType(
        (0.8, 1.2), (0.7, 2), damping=(0.1, 0.5), place=(0.08, 0.2), strings=2,
        detune=(0.001, 0.004), octave=0.6, blow=(0.08, 0.35), level=0.4,
    ),
    "charango": PitchedType(
        (0.6, 1.1), (0.4, 1.2), damping=(0.1, 0.5), place=(0.1, 0.3), strings=2,
        detune=(0.001, 0.005), octave=0.3, formants_hz=((400, 700),), blow=(0.08, 0.3), level=0.35,
    ),
    "accordion": PitchedType(
        (0.5, 1.0), attack_s=(0.012, 0.04), strings=3, detune=(0.002, 0.009),
        formants_hz=((1000, 2500),), level=0.2,
    ),
    "flute": PitchedType(
        (1.6, 2.6), attack_s=(0.02, 0.06), vibrato=(0.003, 0.012), breath=(0.02, 0.15), level=0.25
    ),
    "brass": PitchedType(
        (0.5, 0.9), attack_s=(0.015, 0.04), strings=2, detune=(0.0005, 0.004),
        formants_hz=((900, 1600),), bloom_s=0.05, level=0.25,
    ),
    "strings": PitchedType(
        (0.9, 1.4), attack_s=(0.04, 0.12), release_s=0.15, strings=3, detune=(0.001, 0.005),
        formants_hz=((350, 600), (2200, 3200)), vibrato=(0.003, 0.01), breath=(0.005, 0.02), level=0.2,
    ),
}  # fmt: skip
