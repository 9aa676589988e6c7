"""Recordings of a metronome, or of somebody who taps or claps the beat: the simplest music with beats."""

from __future__ import annotations

import numpy as np

from levada.errors import InputError
from levada.io.beats import Beats
from levada.synth.acoustics import recorders, rooms
from levada.synth.acoustics.noise import COLOURS_DB, Floats32, Generator, coloured_noise, normalise_rms
from levada.synth.instruments import RATE
from levada.synth.instruments.signals import log_uniform

__all__ = ["render_metronome"]

METRES = {1: 0.25, 2: 0.15, 3: 0.2, 4: 0.3, 5: 0.04, 6: 0.06}
"""Beats of a bar and how often they are drawn; with 1, all clicks are alike and beats have no positions."""


def render_metronome(rng: Generator, *, duration_s: float) -> tuple[Floats32, Beats]:
    """Render a steady click with or without accents, sometimes with subdivisions, a room, noise, or unsteady hands.

    Parameters
    ----------
    rng : numpy.random.Generator
    duration_s : float
        Length, in seconds.

    Returns
    -------
    samples : float32 [shape=(samples,)]
        Mono, at 44.1 kHz, between -1 and 1.
    beats : Beats
        Without positions where no beat is accented.

    Raises
    ------
    InputError
        If the length is not positive.
    """
    if not 0 < duration_s < np.inf:
        raise InputError(f"a recording lasts longer than 0 seconds, not {duration_s:g}")
    metre = int(rng.choice(list(METRES), p=list(METRES.values())))
    period_s = 60 / log_uniform((45, 200), rng)
    times = np.arange(rng.uniform(0.05, 2), duration_s, period_s)
    if rng.random() < 0.3:  # a person
        times = times + rng.normal(0, rng.uniform(0.002, 0.015), len(times))
        times = times[(times > 0) & (np.diff(times, prepend=-1.0) > 0.1)]
    positions = (np.arange(len(times)) + int(rng.integers(metre))) % metre + 1
    plain, accent = _clicks(rng)
    gain_db = rng.uniform(-12, -3) if accent is plain else rng.uniform(-8, 0)
    out = np.zeros(round(duration_s * RATE) + RATE, np.float32)
    for time_s, position in zip(times.tolist(), positions.tolist(), strict=True):
        first = metre > 1 and position == 1
        gain = 1.0 if first else 10 ** (gain_db / 20)
        _add(out, accent if first else plain, time_s, gain * np.exp(rng.normal(0, 0.05)))
    if rng.random() < 0.15 and period_s > 0.5:
        parts, softer = int(rng.integers(2, 5)), 10 ** (rng.uniform(-16, -8) / 20)
        for time_s in times.tolist():
            for part in range(1, parts):
                _add(out, plain, time_s + part * period_s / parts, softer)
    samples = out[: round(duration_s * RATE)]
    if rng.random() < 0.3:
        samples = rooms.reverberate(samples, rooms.sample_room(rooms.sample_room_type(rng), rng=rng), rng=rng)
    if rng.random() < 0.3:
        samples = recorders.random_equaliser(samples, rng=rng, spread_db=rng.uniform(1, 6))
    samples = samples / max(float(np.abs(samples).max()), 1e-9)
    if rng.random() < 0.5:
        noise = normalise_rms(coloured_noise(str(rng.choice(list(COLOURS_DB))), count=len(samples), rng=rng))
        samples = samples + np.float32(10 ** (rng.uniform(-90, -40) / 20)) * noise
    level = 10 ** (rng.uniform(-30, -1) / 20) / max(float(np.abs(samples).max()), 1e-9)
    beats = Beats(times, positions if metre > 1 else np.zeros(len(times), int))
    return np.asarray(samples * level, np.float32), beats


def _clicks(rng: Generator) -> tuple[Floats32, Floats32]:
    """Sample the sound of a plain and of an accented click: a tone, a beep, a block of wood, or noise."""
    kind = str(rng.choice(["tone", "beep", "wood", "noise"], p=[0.4, 0.15, 0.25, 0.2]))
    hz, higher = log_uniform((500, 3500), rng), rng.uniform(1.15, 2.0)
    decay_s = log_uniform((0.003, 0.06), rng)
    length = round(max(0.03, 6 * decay_s) * RATE)
    time = np.arange(length) / RATE
    envelope = np.minimum(1, time / rng.uniform(0.0002, 0.002)) * np.exp(-time / decay_s)

    def click(hz: float) -> Floats32:
        match kind:
            case "tone":
                sound = envelope * np.sin(2 * np.pi * hz * time)
            case "beep":
                on_s = 0.01 + 2 * decay_s
                sound = np.sign(np.sin(2 * np.pi * hz * time)) * np.clip((on_s - time) / 0.003, 0, 1)
            case "wood":
                second = 0.6 * np.exp(-time / (0.6 * decay_s)) * np.sin(2 * np.pi * 2.57 * hz * time)
                sound = envelope * np.sin(2 * np.pi * hz * time) + np.minimum(1, time / 0.0005) * second
            case _:
                sound = envelope * rng.standard_normal(length)
        return np.asarray(sound / np.abs(sound).max(), np.float32)

    plain = click(hz)
    return plain, plain if kind == "noise" or rng.random() < 0.2 else click(hz * higher)


def _add(out: Floats32, sound: Floats32, time_s: float, gain: float) -> None:
    start = round(time_s * RATE)
    part = out[start : start + len(sound)]
    part += np.float32(gain) * sound[: len(part)]
