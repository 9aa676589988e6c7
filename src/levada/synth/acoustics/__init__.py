"""Simulated recordings: room, ambience, microphone, dynamics, and lossy coding of rendered music.

Every recording samples a room and degradations of its own; about a third are studio recordings. Beats move by 3 ms at
most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from levada.errors import check_number
from levada.synth.acoustics import ambience, codecs, dynamics, recorders, rooms
from levada.synth.acoustics.mixdown import mix_down
from levada.synth.acoustics.noise import Floats32, Generator, convolve, rms
from levada.synth.instruments.signals import log_uniform

__all__ = ["DegradationConfig", "degrade", "mix_down"]

Step = Callable[..., Floats32]
"""Changes a signal: ``step(samples, rng=rng)``."""


@dataclass(frozen=True)
class DegradationConfig:
    """Probabilities of the degradations of a recording.

    All but `studio` apply to recordings made outside a studio, independently of each other.
    """

    studio: float = 0.34  # clean and mastered, with little reverberation
    room: float = 0.85  # one of `rooms.ROOM_TYPES`
    traffic: float = 0.2
    wind: float = 0.1
    babble: float = 0.2
    applause: float = 0.12
    calls: float = 0.12  # shouts and whistles
    handling: float = 0.08  # knocks against the microphone
    colour: float = 0.9  # a smooth equaliser
    cheap: float = 0.25  # a band-limited microphone with resonances
    muffled: float = 0.06  # highs absorbed by a door, a wall, a coat
    comb: float = 0.12  # two channels added up, one of them late
    hum: float = 0.15
    gain: float = 0.2  # automatic gain control
    compressor: float = 0.3
    pumping: float = 0.06
    tape: float = 0.2  # soft saturation
    clipping: float = 0.12
    waver: float = 0.12  # wow and flutter
    hiss: float = 0.9
    crackle: float = 0.06
    telephone: float = 0.04
    coder: float = 0.3  # lossy, 16 to 128 kilobits per second
    level_db: float = 14.0  # the greatest distance of the peak from full scale

    def __post_init__(self) -> None:
        for entry in fields(self):
            check_number(entry.name, getattr(self, entry.name), 0, 60 if entry.name == "level_db" else 1)


def degrade(samples: Floats32, *, rng: Generator, config: DegradationConfig = DegradationConfig()) -> Floats32:
    """Simulate a recording: room, noise, tone, dynamics, coding and level.

    Parameters
    ----------
    samples : float32 [shape=(1, samples)]
        At 44.1 kHz.
    rng : numpy.random.Generator
    config : DegradationConfig
        Probability of each degradation.

    Returns
    -------
    float32 [shape=(1, samples)]
        Between -1 and 1, of 16 bits. Silence stays silence.
    """
    dry = samples[0]
    peak = float(np.abs(dry).max()) if dry.size else 0.0
    if peak == 0:
        return samples.copy()
    wet = np.asarray(dry / peak, np.float32)
    wet = _studio(wet, rng) if rng.random() < config.studio else _field(wet, rng, config)
    top = float(np.abs(wet).max())
    level = 0.98 * 10 ** (-rng.uniform(0, config.level_db) / 20)
    sixteen_bits = np.rint(wet * np.float32(level * 32768 / max(top, 1e-12)))
    return np.asarray(sixteen_bits / np.float32(32768))[None]


def _studio(wet: Floats32, rng: Generator) -> Floats32:
    """Simulate a mastered studio recording: little reverberation, an equaliser, a compressor, a limiter."""
    if rng.random() < 0.4:
        plate = rooms.reverberation(
            log_uniform((0.5, 2.2), rng) * np.linspace(1.1, 0.6, len(rooms.OCTAVES_HZ)),
            energy=np.full(len(rooms.OCTAVES_HZ), 10 ** (rng.uniform(-28, -11) / 10)),
            rise_s=0.005,
            delay_s=rng.uniform(0.0, 0.04),
            rng=rng,
        )
        plate[0] += 1
        wet = convolve(wet, plate)
    elif rng.random() < 0.5:
        wet = rooms.reverberate(wet, rooms.sample_room("booth", rng=rng), rng=rng)
    wet = _equalise(0.3, 2.5)(wet, rng=rng)
    return _apply(wet, rng, (
        (0.6, partial(dynamics.compress, ratio=(1.2, 3))),
        (0.45, dynamics.limit),
        (0.3, _add(recorders.hiss, 50, 75)),
        (0.2, partial(codecs.lossy_codec, kbps=(64, 128))),
    ))  # fmt: skip


def _field(wet: Floats32, rng: Generator, config: DegradationConfig) -> Floats32:
    """A recording made outside a studio."""
    music = rms(wet)  # the reference of all levels of ambience
    wet = _apply(wet, rng, (  # in the same place as the music
        (config.babble, _add(ambience.babble, 2, 30, music)),
        (config.applause, _add(ambience.applause, 5, 30, music)),
        (config.calls, _add(ambience.calls, 5, 30, music)),
        (config.room, _reverberate),
    ))  # fmt: skip
    music = rms(wet)
    wet = _apply(wet, rng, (
        (config.traffic, _add(ambience.traffic, 0, 32, music)),
        (config.wind, _add(ambience.wind, -3, 25, music)),
        (config.handling, _add(recorders.handling_noise, 3, 25, music)),
        (config.comb if len(wet) > 200 else 0, recorders.comb_filter),
        (config.colour, _equalise(1, 5)),
        (config.cheap, recorders.cheap_microphone),
        (config.muffled, recorders.muffle),
        (config.hum, _add(recorders.hum, 15, 45)),
    ))  # fmt: skip
    if rms(wet) < 1e-9:  # interpolation may remove a single click
        return wet
    return _apply(wet, rng, (
        (config.gain, dynamics.automatic_gain),
        (config.compressor, dynamics.compress),
        (config.pumping, dynamics.pump),
        (config.tape, dynamics.tape_saturation),
        (config.clipping, dynamics.clip),
        (config.waver, recorders.wow_and_flutter),
        (config.hiss, _add(recorders.hiss, 15, 70)),
        (config.crackle, _add(recorders.crackle, 12, 40)),
        (config.telephone, codecs.telephone),
        (config.coder, codecs.lossy_codec),
    ))  # fmt: skip


def _apply(wet: Floats32, rng: Generator, steps: Iterable[tuple[float, Step]]) -> Floats32:
    """Apply steps, each with its probability."""
    for probability, step in steps:
        if rng.random() < probability:
            wet = step(wet, rng=rng)
    return wet


def _equalise(least_db: float, most_db: float) -> Step:
    def step(wet: Floats32, *, rng: Generator) -> Floats32:
        return recorders.random_equaliser(wet, rng=rng, spread_db=rng.uniform(least_db, most_db))

    return step


def _reverberate(wet: Floats32, *, rng: Generator) -> Floats32:
    return rooms.reverberate(wet, rooms.sample_room(rooms.sample_room_type(rng), rng=rng), rng=rng)


def _add(sound: Callable[..., Floats32], least_db: float, most_db: float, level: float | None = None) -> Step:
    """Add noise of unit power at a signal-to-noise ratio, or below it where its peaks would exceed the music."""

    def step(wet: Floats32, *, rng: Generator) -> Floats32:
        noise = sound(len(wet), rng=rng)
        gain = (rms(wet) if level is None else level) * 10 ** (-rng.uniform(least_db, most_db) / 20)
        gain = min(gain, 1.5 * float(np.abs(wet).max()) / max(float(np.abs(noise).max()), 1e-9))
        return wet + noise * np.float32(gain)

    return step
