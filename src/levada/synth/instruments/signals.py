"""Signals that instruments are made of: damped sines, band noise, envelopes; log-uniform parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from levada.synth.instruments.strokes import RATE

__all__ = [
    "BELL", "METAL", "WOOD", "Kind", "Range", "SingleType", "Struck", "band_noise", "damped_sines",
    "exponential_decay", "log_uniform", "noise_burst", "sum_layers",
]  # fmt: skip

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
Generator = np.random.Generator

WOOD = (1.0, 2.572, 4.644, 6.984)
BELL = (1.0, 1.48, 2.09, 2.56, 3.39, 4.08, 5.12)
METAL = (1.0, 1.342, 1.706, 2.186, 2.613, 3.297, 4.126, 5.404)

SIXTY_DB = 6.9078
HIGHEST_HZ = RATE / 2.2


Range = tuple[float, float]
"""Least and greatest value of a parameter of an instrument."""
NOTHING = (0.0, 0.0)
"""Range of a parameter that is always 0."""


class Struck(Protocol):
    """One percussion instrument."""

    def strike(self, stroke: str, velocity: float, rng: Generator) -> Floats:
        """Synthesise one stroke at an arbitrary level.

        Parameters
        ----------
        stroke : str
            A name in `levada.synth.instruments.STROKES`.
        velocity : float
            From 0 to 1.
        rng : numpy.random.Generator

        Returns
        -------
        float64 [shape=(samples,)]
        """
        ...


class Kind(Protocol):
    """A type of percussion instrument."""

    @property
    def level(self) -> float:
        """Amplitude relative to a snare drum."""
        ...

    def sample_params(self, rng: Generator, /) -> Struck:
        """Sample an instrument of this type."""
        ...


class SingleType(NamedTuple):
    """A type that is the only one of its class of instruments."""

    level: float
    sample_params: Callable[[Generator], Struck]


def log_uniform(limits: Range, rng: Generator) -> float:
    """Sample a value from a log-uniform distribution; 0 for the range (0, 0)."""
    low, high = limits
    return float(np.exp(rng.uniform(np.log(low), np.log(high)))) if high > 0 else 0.0


def exponential_decay(samples: int, ring_s: float) -> Floats:
    """Return an envelope [shape=(samples,)] that begins at 1 and falls by 60 dB in `ring_s` seconds."""
    return np.asarray(np.exp(np.arange(samples) * (-SIXTY_DB / (ring_s * RATE))))


def damped_sines(
    modes: Iterable[tuple[float, float, float]], rng: Generator, *,
    glide: float = 0.0, glide_s: float = 0.02, longest_s: float = 2.5,
) -> Floats:  # fmt: skip
    """Sum exponentially damped sines.

    Parameters
    ----------
    modes : iterable of (float, float, float)
        Frequency, amplitude and the time in which it falls by 60 dB, of every mode.
    rng : numpy.random.Generator
        For the phases, uniform between 0 and 0.5 rad.
    glide : float
        Relative excess of the initial pitch over the final one.
    glide_s : float
        Time constant of the pitch glide.
    longest_s : float

    Returns
    -------
    float64 [shape=(samples,)]
        Until all have fallen by 60 dB.
    """
    modes = [mode for mode in modes if 0 < mode[0] < HIGHEST_HZ]
    samples = int(RATE * min(longest_s, max((ring_s for *_, ring_s in modes), default=0.01)))
    time = np.arange(samples) / RATE
    if glide:
        time += glide * glide_s * (1 - np.exp(-time / glide_s))
    sound = np.zeros(samples)
    for frequency, level, ring_s in modes:
        own = min(samples, int(RATE * ring_s))
        sine = np.sin(2 * np.pi * frequency * time[:own] + rng.uniform(0, 0.5))
        sound[:own] += level * sine * exponential_decay(own, ring_s)
    return sound


def sum_layers(layers: list[Floats]) -> Floats:
    """Sum signals that start together, as long as the longest."""
    sound = np.zeros(max(map(len, layers)))
    for layer in layers:
        sound[: len(layer)] += layer
    return sound


def band_noise(
    samples: int, band_hz: tuple[float, float], rng: Generator, *, peaks: Sequence[tuple[float, float, float]] = (),
    envelope: Floats | None = None,
) -> Floats:  # fmt: skip
    """Synthesise band-limited noise.

    Parameters
    ----------
    samples : int
    band_hz : tuple of float
        Lower cutoff (12 dB an octave) and upper cutoff (18 dB an octave).
    rng : numpy.random.Generator
    peaks : sequence of (float, float, float)
        Resonances: frequency, relative width, and height.
    envelope : float64 [shape=(samples,)], optional
        Envelope of the noise before filtering.

    Returns
    -------
    float64 [shape=(samples,)]
        With a peak of 1.
    """
    from scipy.fft import irfft, next_fast_len, rfft, rfftfreq

    size = next_fast_len(max(samples, 16), real=True)
    white = rng.standard_normal(samples)
    spectrum = rfft(white if envelope is None else white * envelope, size)
    hz = rfftfreq(size, 1 / RATE)
    low, high = band_hz
    gain = 1 / np.sqrt(1 + (low / np.maximum(hz, 1)) ** 4) / np.sqrt(1 + (hz / high) ** 6)
    for at, width, height in peaks:
        gain *= 1 + height / (1 + ((hz - at) / (0.5 * width * at)) ** 2)
    coloured = irfft(spectrum * gain, size)[:samples]
    return np.asarray(coloured / max(float(np.abs(coloured).max(initial=0.0)), 1e-9))


def noise_burst(samples: int, band_hz: tuple[float, float], ring_s: float, rng: Generator) -> Floats:
    """Synthesise band-limited noise that falls by 60 dB in `ring_s` seconds: float64 [shape=(samples,)]."""
    return band_noise(samples, band_hz, rng, envelope=exponential_decay(samples, ring_s))
