"""Simulated recordings: room, ambience, microphone, dynamics, and lossy coding of rendered music.

Every recording samples a room and degradations of its own; about a third are studio recordings. Beats move by 3 ms at
most.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from levada.errors import check_number
from levada.synth.acoustics import ambience, codecs, dynamics, recorders, rooms
from levada.synth.acoustics.mixdown import mix_down
from levada.synth.acoustics.noise import Floats32, Generator, convolve, rms

__all__ = ["DegradationConfig", "degrade", "mix_down"]


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
            np.exp(rng.uniform(np.log(0.5), np.log(2.2))) * np.linspace(1.1, 0.6, len(rooms.OCTAVES_HZ)),
            energy=np.full(len(rooms.OCTAVES_HZ), 10 ** (rng.uniform(-28, -11) / 10)),
            rise_s=0.005,
            delay_s=rng.uniform(0.0, 0.04),
            rng=rng,
        )
        plate[0] += 1
        wet = convolve(wet, plate)
    elif rng.random() < 0.5:
        wet = rooms.reverberate(wet, rooms.sample_room("booth", rng=rng), rng=rng)
    wet = recorders.random_equaliser(wet, rng=rng, spread_db=rng.uniform(0.3, 2.5))
    if rng.random() < 0.6:
        wet = dynamics.compress(wet, rng=rng, ratio=(1.2, 3))
    if rng.random() < 0.45:
        wet = dynamics.limit(wet, rng=rng)
    if rng.random() < 0.3:
        wet = _over(wet, recorders.hiss(len(wet), rng=rng), rng.uniform(50, 75))
    if rng.random() < 0.2:
        wet = codecs.lossy_codec(wet, rng=rng, kbps=rng.uniform(64, 128))
    return wet


def _field(wet: Floats32, rng: Generator, config: DegradationConfig) -> Floats32:
    """A recording made outside a studio."""
    count = len(wet)

    def chance(probability: float) -> bool:
        return bool(rng.random() < probability)

    music = rms(wet)  # the reference of all levels of ambience
    for probability, sound, least_db, most_db in (  # in the same place as the music
        (config.babble, ambience.babble, 2, 30),
        (config.applause, ambience.applause, 5, 30),
        (config.calls, ambience.calls, 5, 30),
    ):
        if chance(probability):
            wet = _over(wet, sound(count, rng=rng), rng.uniform(least_db, most_db), music)
    if chance(config.room):
        wet = rooms.reverberate(wet, rooms.sample_room(rooms.sample_room_type(rng), rng=rng), rng=rng)
    music = rms(wet)
    for probability, sound, least_db, most_db in (
        (config.traffic, ambience.traffic, 0, 32),
        (config.wind, ambience.wind, -3, 25),
        (config.handling, recorders.handling_noise, 3, 25),
    ):
        if chance(probability):
            wet = _over(wet, sound(count, rng=rng), rng.uniform(least_db, most_db), music)
    if chance(config.comb) and count > 200:
        wet = recorders.comb_filter(wet, rng=rng)
    if chance(config.colour):
        wet = recorders.random_equaliser(wet, rng=rng, spread_db=rng.uniform(1, 5))
    if chance(config.cheap):
        wet = recorders.cheap_microphone(wet, rng=rng)
    if chance(config.muffled):
        wet = recorders.muffle(wet, rng=rng)
    if chance(config.hum):
        wet = _over(wet, recorders.hum(count, rng=rng), rng.uniform(15, 45))
    if rms(wet) < 1e-9:  # interpolation may remove a single click
        return wet
    for probability, change in (
        (config.gain, dynamics.automatic_gain),
        (config.compressor, dynamics.compress),
        (config.pumping, dynamics.pump),
        (config.tape, dynamics.tape_saturation),
        (config.clipping, dynamics.clip),
        (config.waver, recorders.wow_and_flutter),
    ):
        if chance(probability):
            wet = change(wet, rng=rng)
    if chance(config.hiss):
        wet = _over(wet, recorders.hiss(count, rng=rng), rng.uniform(15, 70))
    if chance(config.crackle):
        wet = _over(wet, recorders.crackle(count, rng=rng), rng.uniform(12, 40))
    if chance(config.telephone):
        wet = codecs.telephone(wet, rng=rng)
    if chance(config.coder):
        wet = codecs.lossy_codec(wet, rng=rng)
    return wet


def _over(samples: Floats32, noise: Floats32, snr_db: float, level: float | None = None) -> Floats32:
    """Add noise of unit power at a signal-to-noise ratio, or below it where its peaks would exceed the music."""
    gain = (rms(samples) if level is None else level) * 10 ** (-snr_db / 20)
    gain = min(gain, 1.5 * float(np.abs(samples).max()) / max(float(np.abs(noise).max()), 1e-9))
    return samples + noise * np.float32(gain)
