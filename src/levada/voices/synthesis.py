"""Our own voices: synthesised percussion and a few that play notes, with nothing to install.

Whatever is struck is a handful of damped modes and a burst of noise; a voice is a range for each, from which one
performance draws its own instruments. Membranes ring at the zeros of Bessel functions, bars and bells at their own
ratios (Fletcher and Rossing, *The Physics of Musical Instruments*, 1998).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from levada.errors import InputError

__all__ = [
    "PITCHED",
    "RATE",
    "STROKES",
    "STRUCK",
    "Pitched",
    "Range",
    "Struck",
    "Timbre",
    "note",
    "strike",
    "synthesised",
]

Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator

RATE = 44100

MEMBRANE = (1.0, 1.594, 2.136, 2.296, 2.653, 2.918, 3.156, 3.501)
WOOD = (1.0, 2.572, 4.644, 6.984)
BELL = (1.0, 1.48, 2.09, 2.56, 3.39, 4.08, 5.12)
METAL = (1.0, 1.342, 1.706, 2.186, 2.613, 3.297, 4.126, 5.404)
NONE: tuple[float, ...] = ()


class Range(NamedTuple):
    """The least and the greatest value a timbre may draw, evenly on a logarithmic scale."""

    low: float
    high: float


@dataclass(frozen=True)
class Struck:
    """Something struck or shaken.

    Parameters
    ----------
    modes : tuple of float
        Frequencies of its modes, relative to the lowest.
    pitch_hz : Range
        Frequency of the lowest mode.
    ring_s : Range
        Time in which the lowest mode falls by 60 dB.
    noise : Range
        Level of the noise beside the modes.
    band_hz : tuple of float
        Where the noise lies.
    hiss_s : Range
        Time in which the noise falls by 60 dB.
    glide : float
        How far the pitch starts above where it settles, as a share.
    bursts : int
        How many hands clap.
    attack_s : float
        Time to the loudest point: a shaker has one, a drum does not.
    level : float
        Amplitude beside a snare drum.
    """

    modes: tuple[float, ...]
    pitch_hz: Range
    ring_s: Range
    noise: Range
    band_hz: tuple[float, float]
    hiss_s: Range
    glide: float = 0.0
    bursts: int = 1
    attack_s: float = 0.0
    level: float = 1.0


def _drum(low_hz: float, high_hz: float, ring: tuple[float, float], *, noise: tuple[float, float] = (0.1, 0.5),
          band: tuple[float, float] = (300, 5000), glide: float = 0.1, level: float = 1.0) -> Struck:  # fmt: skip
    return Struck(
        MEMBRANE,
        Range(low_hz, high_hz),
        Range(*ring),
        Range(*noise),
        band,
        Range(0.03, 0.12),
        glide,
        level=level,
    )


def _cymbal(ring: tuple[float, float], level: float, *, modes: tuple[float, ...] = METAL) -> Struck:
    return Struck(modes, Range(1800, 4200), Range(*ring), Range(0.8, 3.0), (4500, 17000), Range(*ring), level=level)


def _shaker(hiss: tuple[float, float], band: tuple[float, float], attack_s: float, level: float) -> Struck:
    return Struck(NONE, Range(1, 2), Range(0.1, 0.2), Range(1, 1.5), band, Range(*hiss), attack_s=attack_s, level=level)


def _bar(low_hz: float, high_hz: float, ring: tuple[float, float], modes: tuple[float, ...], level: float) -> Struck:
    return Struck(
        modes,
        Range(low_hz, high_hz),
        Range(*ring),
        Range(0.05, 0.3),
        (1000, 9000),
        Range(0.01, 0.04),
        level=level,
    )


STRUCK: dict[str, Struck] = {
    "kick": _drum(42, 80, (0.15, 0.7), noise=(0.05, 0.5), band=(200, 4000), glide=0.9, level=1.3),
    "snare": Struck(MEMBRANE, Range(150, 260), Range(0.08, 0.25), Range(0.8, 3.0), (1200, 11000), Range(0.1, 0.4), 0.1),
    "rim": _bar(380, 900, (0.03, 0.08), WOOD, 0.5),
    "clap": Struck(
        NONE, Range(1, 2), Range(0.1, 0.2), Range(1, 1.5), (800, 6000), Range(0.12, 0.35), bursts=3, level=0.8
    ),
    "hat": _cymbal((0.05, 0.14), 0.35),
    "open-hat": _cymbal((0.35, 0.9), 0.35),
    "ride": _cymbal((0.5, 1.6), 0.3, modes=BELL),
    "crash": _cymbal((1.2, 2.5), 0.5),
    "tom": _drum(70, 190, (0.25, 0.8), glide=0.25),
    "conga": _drum(150, 320, (0.15, 0.5), level=0.8),
    "bongo": _drum(280, 560, (0.08, 0.25), level=0.6),
    "timbale": _drum(240, 480, (0.15, 0.5), noise=(0.2, 0.8), level=0.7),
    "djembe": _drum(75, 330, (0.1, 0.4), level=0.9),
    "surdo": _drum(48, 95, (0.4, 1.2), noise=(0.03, 0.2), band=(100, 1500), level=1.2),
    "tamborim": _drum(520, 900, (0.04, 0.14), noise=(0.4, 1.2), band=(1500, 10000), level=0.6),
    "chico": _drum(230, 330, (0.08, 0.22), noise=(0.2, 0.7), band=(600, 7000), level=0.8),
    "repique": _drum(150, 220, (0.12, 0.35), noise=(0.2, 0.7), band=(500, 6000), level=0.9),
    "piano-drum": _drum(68, 115, (0.2, 0.6), noise=(0.1, 0.4), band=(200, 3000), level=1.1),
    "woodblock": _bar(700, 1900, (0.04, 0.12), WOOD, 0.5),
    "claves": _bar(1900, 2900, (0.05, 0.12), WOOD, 0.5),
    "cowbell": _bar(450, 820, (0.12, 0.4), BELL, 0.5),
    "agogo": _bar(600, 1500, (0.2, 0.6), BELL, 0.45),
    "triangle": _bar(3000, 5200, (0.4, 2.0), METAL, 0.25),
    "shaker": _shaker((0.04, 0.12), (3000, 14000), 0.02, 0.35),
    "maracas": _shaker((0.02, 0.06), (4000, 15000), 0.008, 0.35),
    "tambourine": Struck(
        METAL, Range(4000, 6500), Range(0.08, 0.3), Range(1, 3), (5000, 16000), Range(0.06, 0.2), level=0.4
    ),
    "guiro": _shaker((0.08, 0.2), (2000, 8000), 0.05, 0.35),
    "caixa": Struck(
        MEMBRANE, Range(180, 300), Range(0.05, 0.16), Range(1.2, 4.0), (1500, 12000), Range(0.06, 0.2), 0.1
    ),
    "repinique": _drum(200, 340, (0.1, 0.35), noise=(0.3, 1.2), band=(800, 9000), level=0.9),
    "pandeiro": Struck(
        MEMBRANE, Range(110, 260), Range(0.08, 0.3), Range(0.8, 2.5), (4500, 15000), Range(0.05, 0.15), 0.1, level=0.7
    ),
    "cuica": Struck(
        (1.0, 2.0, 3.0, 4.0, 5.0),
        Range(250, 620),
        Range(0.15, 0.4),
        Range(0.05, 0.2),
        (1000, 6000),
        Range(0.1, 0.2),
        0.5,
        attack_s=0.02,
        level=0.5,
    ),
    "whistle": Struck(
        (1.0, 1.06, 2.0),
        Range(1900, 2900),
        Range(0.3, 0.8),
        Range(0.1, 0.4),
        (2000, 9000),
        Range(0.2, 0.5),
        attack_s=0.01,
        level=0.4,
    ),
    "zabumba": _drum(55, 95, (0.3, 0.8), noise=(0.05, 0.3), band=(150, 2500), glide=0.2, level=1.2),
    "alfaia": _drum(55, 100, (0.25, 0.8), noise=(0.1, 0.4), band=(150, 2500), glide=0.2, level=1.2),
    "gongue": _bar(380, 760, (0.3, 0.9), BELL, 0.5),
    "tambora": _drum(80, 140, (0.2, 0.6), noise=(0.1, 0.4), band=(200, 3000), level=1.0),
    "llamador": _drum(220, 360, (0.12, 0.35), level=0.8),
    "alegre": _drum(180, 320, (0.1, 0.35), noise=(0.1, 0.6), level=0.9),
    "guira": _shaker((0.04, 0.12), (3500, 15000), 0.02, 0.4),
    "bombo": _drum(55, 95, (0.3, 0.9), noise=(0.05, 0.3), band=(100, 2000), glide=0.15, level=1.2),
    "cajon": _drum(70, 130, (0.08, 0.25), noise=(0.3, 1.2), band=(600, 8000), level=0.9),
    "cata": _bar(500, 1300, (0.03, 0.09), WOOD, 0.5),
    "chekere": _shaker((0.05, 0.15), (2500, 12000), 0.015, 0.4),
    "quijada": _shaker((0.3, 0.7), (1500, 9000), 0.01, 0.4),
}


@dataclass(frozen=True)
class Timbre:
    """One instrument, drawn from its voice: every stroke of a performance is played on it.

    Parameters
    ----------
    voice : Struck
    pitch_hz, ring_s, noise, hiss_s : float
        Its own values within the ranges of the voice.
    mode_levels : float [shape=(modes,)]
        How strongly each mode sounds.
    band_hz : tuple of float
    """

    voice: Struck
    pitch_hz: float
    ring_s: float
    noise: float
    hiss_s: float
    mode_levels: tuple[float, ...]
    band_hz: tuple[float, float]

    @classmethod
    def draw(cls, name: str, rng: Generator) -> Timbre:
        """An instrument with the voice of that name."""
        if name not in STRUCK:
            raise InputError(f"there is no voice {name!r}; there are {', '.join(STRUCK)}, {', '.join(PITCHED)}")
        voice = STRUCK[name]

        def within(limits: Range) -> float:
            return float(np.exp(rng.uniform(np.log(limits.low), np.log(limits.high))))

        tilt = rng.uniform(0.4, 1.1)
        levels = [ratio**-tilt * rng.uniform(0.4, 1.0) for ratio in voice.modes]
        low, high = voice.band_hz
        return cls(
            voice, within(voice.pitch_hz), within(voice.ring_s), within(voice.noise), within(voice.hiss_s),
            tuple(levels), (low * rng.uniform(0.7, 1.4), min(high * rng.uniform(0.6, 1.2), 20000)),
        )  # fmt: skip


STROKES = {  # stroke -> pitch, ring, noise and brightness beside an open stroke
    "open": (1.0, 1.0, 1.0, 1.0),
    "muted": (1.03, 0.3, 1.0, 0.7),
    "slap": (1.0, 0.4, 2.5, 2.0),
    "stick": (1.02, 0.7, 1.6, 1.5),
    "bass": (0.8, 1.2, 0.5, 0.4),
    "rim": (1.6, 0.25, 1.5, 2.0),
    "high": (1.33, 0.9, 1.0, 1.0),
    "low": (0.85, 1.1, 1.0, 0.9),
    "shake": (1.0, 0.1, 3.0, 1.5),
}


def strike(timbre: Timbre, *, stroke: str = "open", velocity: float = 0.8, rng: Generator) -> Floats32:
    """The sound of one stroke, never twice the same.

    Parameters
    ----------
    timbre : Timbre
    stroke : str
        How it is struck: open, muted, slap, stick or bass.
    velocity : float
        How hard, from 0 to 1; harder is louder and brighter.
    rng : numpy.random.Generator

    Returns
    -------
    float32 [shape=(samples,)]
        At 44.1 kHz, beginning at the onset.
    """
    if stroke not in STROKES:
        raise InputError(f"there is no stroke {stroke!r}; there are {', '.join(STROKES)}")
    pitch, ring, noise, bright = STROKES[stroke]
    voice = timbre.voice
    ring_s, hiss_s = timbre.ring_s * ring * rng.uniform(0.9, 1.1), timbre.hiss_s * rng.uniform(0.9, 1.1)
    length = int(RATE * min(2.5, max(ring_s if voice.modes else 0, hiss_s + 0.03 * voice.bursts) + voice.attack_s))
    time = np.arange(length) / RATE
    sound = np.zeros(length)
    fundamental = timbre.pitch_hz * pitch * rng.uniform(0.99, 1.01)
    sweep = time + voice.glide * 0.02 * (1 - np.exp(-time / 0.02))
    for ratio, level in zip(voice.modes, timbre.mode_levels, strict=True):
        if fundamental * ratio < RATE / 2.2:
            gain = level * (1 if ratio == 1 else bright * velocity**0.5) * rng.uniform(0.8, 1.2)
            decay = np.exp(-6.9 * time * ratio**0.6 / ring_s)
            sound += gain * decay * np.sin(2 * np.pi * fundamental * ratio * sweep + rng.uniform(0, 0.5))
    sound += noise * timbre.noise * velocity**0.3 * _hiss(time, timbre, hiss_s, rng)
    if voice.attack_s:
        rise = int(voice.attack_s * RATE * rng.uniform(0.8, 1.2))
        sound[:rise] *= np.linspace(0, 1, rise) ** 2
    fade = min(length, 220)
    sound[length - fade :] *= np.linspace(1, 0, fade)
    peak = np.abs(sound).max()
    return np.asarray(sound * (voice.level * velocity / max(peak, 1e-9)), np.float32)


def _hiss(time: npt.NDArray[np.float64], timbre: Timbre, hiss_s: float, rng: Generator) -> npt.NDArray[np.float64]:
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    size = next_fast_len(len(time), real=True)
    spectrum = rfft(rng.standard_normal(size))
    hz = rfftfreq(size, 1 / RATE)
    low, high = timbre.band_hz
    spectrum *= 1 / np.sqrt(1 + (low / np.maximum(hz, 1)) ** 4) / np.sqrt(1 + (hz / high) ** 6)
    burst = irfft(spectrum, size)[: len(time)]
    envelope = np.zeros(len(time))
    for number in range(timbre.voice.bursts):
        start = int(number * 0.011 * RATE)
        envelope[start:] = np.maximum(envelope[start:], np.exp(-6.9 * time[: len(time) - start] / hiss_s))
    return np.asarray(burst * envelope / max(np.abs(burst).max(), 1e-9))


@dataclass(frozen=True)
class Pitched:
    """Something that plays notes.

    Parameters
    ----------
    tilt : float
        How fast harmonics fall: their level is one over their number to this power.
    decay_s : float
        Time in which a held note falls by 60 dB.
    attack_s : float
        Time to the loudest point.
    odd : bool
        Only odd harmonics, like a clarinet.
    vibrato : float
        Depth of vibrato, as a share of the pitch.
    level : float
    """

    tilt: float
    decay_s: float
    attack_s: float = 0.004
    odd: bool = False
    vibrato: float = 0.0
    level: float = 0.6

    def draw(self, rng: Generator) -> Pitched:
        """One instrument of this kind."""
        return replace(self, tilt=self.tilt * rng.uniform(0.75, 1.3), decay_s=self.decay_s * rng.uniform(0.6, 1.6),
                       attack_s=self.attack_s * rng.uniform(0.6, 2.5))  # fmt: skip


PITCHED: dict[str, Pitched] = {
    "bass": Pitched(1.6, 2.0, level=0.5),
    "pluck": Pitched(1.1, 1.2, level=0.4),
    "keys": Pitched(1.4, 2.5, level=0.25),
    "organ": Pitched(1.0, 20.0, 0.01, level=0.15),
    "pad": Pitched(1.5, 20.0, 0.12, vibrato=0.003, level=0.15),
    "reed": Pitched(1.0, 12.0, 0.03, odd=True, vibrato=0.006, level=0.2),
    "singer": Pitched(1.2, 12.0, 0.06, vibrato=0.015, level=0.25),
    "piano": Pitched(1.5, 2.2, level=0.35),
    "guitar": Pitched(1.15, 1.6, level=0.35),
    "tres": Pitched(1.0, 1.0, level=0.4),
    "charango": Pitched(0.9, 0.7, level=0.35),
    "accordion": Pitched(0.8, 20.0, 0.02, vibrato=0.004, level=0.2),
    "flute": Pitched(1.9, 12.0, 0.04, vibrato=0.008, level=0.25),
    "brass": Pitched(0.8, 12.0, 0.03, level=0.25),
    "strings": Pitched(1.1, 20.0, 0.08, vibrato=0.008, level=0.2),
}


def note(instrument: Pitched, *, pitch_hz: float, duration_s: float, velocity: float = 0.8) -> Floats32:
    """The sound of one note.

    Returns
    -------
    float32 [shape=(samples,)]
        At 44.1 kHz, a little longer than the duration: a note has to fade.
    """
    length = int((duration_s + 0.06) * RATE)
    time = np.arange(length) / RATE
    phase = 2 * np.pi * pitch_hz * (time + instrument.vibrato / 33 * np.sin(2 * np.pi * 5.3 * time))
    numbers = np.arange(1, 13, 2 if instrument.odd else 1)
    sound = np.zeros(length)
    for number in numbers[numbers * pitch_hz < RATE / 2.5]:
        sound += (
            number**-instrument.tilt * np.exp(-6.9 * time * number**0.5 / instrument.decay_s) * np.sin(number * phase)
        )
    rise, fall = min(length, int(instrument.attack_s * RATE) + 1), min(length, int(0.06 * RATE))
    sound[:rise] *= np.linspace(0, 1, rise)
    sound[length - fall :] *= np.linspace(1, 0, fall)
    return np.asarray(sound * (instrument.level * velocity / max(np.abs(sound).max(), 1e-9)), np.float32)


TAKES = 4


class _Synthesised:
    """One of our own instruments; remembers a few takes of each stroke, as playing all anew would be slow."""

    def __init__(self, voice: str, rng: Generator) -> None:
        self.instrument = PITCHED[voice].draw(rng) if voice in PITCHED else Timbre.draw(voice, rng)
        self.takes: dict[tuple[object, ...], Floats32] = {}

    def play(self, stroke: str, *, velocity: float, pitch_hz: float, duration_s: float, rng: Generator) -> Floats32:
        instrument, level = self.instrument, 0.35 + 0.3 * np.round((velocity - 0.35) / 0.3)
        if isinstance(instrument, Pitched):
            length_s = float(np.ceil(duration_s * 8) / 8)
            key: tuple[object, ...] = (round(pitch_hz, 1), length_s)
            if key not in self.takes:
                self.takes[key] = note(instrument, pitch_hz=pitch_hz, duration_s=length_s, velocity=1.0)
            return self.takes[key] * np.float32(velocity)
        key = (stroke, level, int(rng.integers(TAKES)))
        if key not in self.takes:
            self.takes[key] = strike(instrument, stroke=stroke, velocity=max(level, 0.2), rng=rng)
        return self.takes[key] * np.float32(velocity / max(level, 0.2))


def synthesised(voice: str, rng: Generator) -> _Synthesised:
    """One of our own instruments, drawn for one performance.

    Raises
    ------
    InputError
        If there is no such voice.
    """
    return _Synthesised(voice, rng)
