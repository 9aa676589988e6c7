"""Recordings without music, for training where there are no beats: silence, hum, noise, talk, applause, street.

Nothing here has a steady pulse between 0.5 and 4 Hz; what repeats (steps, claps, knocks, syllables) is irregular. Each
recording has a room, a recorder and a level of its own. Voices are those of `levada.synth.speech`: no external voice is
used, so that real and synthetic speech remain for scoring.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from levada.errors import InputError
from levada.synth.acoustics import DegradationConfig, ambience, degrade, recorders, rooms
from levada.synth.acoustics.noise import (
    HOP,
    Floats32,
    Floats64,
    Generator,
    coloured_noise,
    convolve,
    curve_length,
    interpolate_curve,
    normalise_rms,
    random_curve,
)
from levada.synth.instruments import RATE
from levada.synth.instruments.signals import log_uniform
from levada.synth.speech import talk

__all__ = ["KINDS", "render_non_music"]

_Sound = Callable[[int, Generator], Floats32]
_Other = tuple[float, _Sound, float, float]
"""Probability of a sound, the function that makes so many samples of it, and limits of its level in dB."""

QUIETEST_DB = -60.0  # peak of the quietest recording, relative to full scale


def render_non_music(rng: Generator, *, duration_s: float, kind: str | None = None) -> tuple[Floats32, str]:
    """Render a recording without music.

    Parameters
    ----------
    rng : numpy.random.Generator
    duration_s : float
        Length, in seconds.
    kind : str, optional
        One of `KINDS`; sampled with their weights by default.

    Returns
    -------
    samples : float32 [shape=(samples,)]
        Mono, at 44.1 kHz, between -1 and 1, with peaks from -60 to 0 dBFS; silence is 0, or dither of 16 bits.
    kind : str

    Raises
    ------
    InputError
        If there is no such kind, or the duration is not above 0.
    """
    if not 0 < duration_s < np.inf:
        raise InputError(f"a recording lasts longer than 0 seconds, not {duration_s:g}")
    if kind is None:
        weights = np.array(list(KINDS.values()))
        kind = list(KINDS)[int(rng.choice(len(weights), p=weights / weights.sum()))]
    if kind not in KINDS:
        raise InputError(f"there is no kind {kind}; there are {', '.join(KINDS)}")
    count = max(1, round(duration_s * RATE))
    if kind == "silence":
        return _silence(count, rng), kind
    samples = normalise_rms(_SOUNDS[kind](count, rng))
    if kind in ("talk", "applause", "street"):
        samples = degrade(samples[None], rng=rng, config=RECORDER)[0]
    elif rng.random() < 0.5:
        samples = recorders.random_equaliser(samples, rng=rng, spread_db=rng.uniform(1, 6))
    return _at_level(samples, rng), kind


def _at_level(samples: Floats32, rng: Generator) -> Floats32:
    """Scale to a random peak and quantise, mostly to 16 bits."""
    peak = float(np.abs(samples).max())
    if peak < 1e-9:
        return samples
    level_db = rng.uniform(QUIETEST_DB, -0.2) if rng.random() < 0.4 else rng.uniform(-24, -0.2)
    samples = samples * np.float32(10 ** (level_db / 20) / peak)
    if rng.random() < 0.8:
        samples = np.rint(samples * np.float32(32767)) / np.float32(32767)
    return np.asarray(samples, np.float32)


def _silence(count: int, rng: Generator) -> Floats32:
    """Digital silence, an offset, dither of 16 bits, or an inaudible noise; sometimes with a click or two."""
    kind = rng.random()
    if kind < 0.35:
        out = np.zeros(count, np.float32)
    elif kind < 0.45:
        out = np.full(count, rng.normal(0, 3e-3), np.float32)
    elif kind < 0.75:
        dither = rng.random((2, count), dtype=np.float32).sum(0) - 1
        out = np.asarray(np.rint(dither) / 32768, np.float32)
    else:
        out = _noise(count, rng)
        out *= np.float32(10 ** (rng.uniform(-100, -70) / 20) / max(float(np.abs(out).max()), 1e-9))
    if rng.random() < 0.15:
        places = rng.integers(count, size=int(rng.integers(1, 3)))
        out[places] += rng.uniform(-0.05, 0.05, len(places)).astype(np.float32)
    return out


def _hum(count: int, rng: Generator) -> Floats32:
    """Mains hum with harmonics, sometimes of a machine, over a little noise."""
    out = recorders.hum(count, rng=rng)
    if rng.random() < 0.3:
        out = out + np.float32(rng.uniform(0.1, 1)) * recorders.hum(count, rng=rng)
    if rng.random() < 0.3:
        out = out + np.float32(rng.uniform(0.1, 1)) * _machine(count, rng)
    if rng.random() < 0.3:
        swell = 10 ** (rng.uniform(0.5, 3) * random_curve(count, rate_hz=0.3, rng=rng) / 20)
        out = out * interpolate_curve(swell, count=count)
    return out + np.float32(10 ** (rng.uniform(-45, -5) / 20)) * normalise_rms(_noise(count, rng))


def _noise(count: int, rng: Generator) -> Floats32:
    """Noise: of any slope from blue to brown, hiss, wind, rain, surf or a worn record without a groove."""
    kind = str(rng.choice(["slope", "hiss", "wind", "rain", "surf"], p=[0.42, 0.2, 0.14, 0.12, 0.12]))
    match kind:
        case "hiss":
            out = recorders.hiss(count, rng=rng)
        case "wind":
            out = ambience.wind(count, rng=rng)
        case "rain":
            out = _rain(count, rng)
        case _:
            out = _sloped_noise(count, rng)
    if kind == "surf" or rng.random() < 0.15:
        swell = 10 ** (rng.uniform(1, 7) * random_curve(count, rate_hz=float(rng.uniform(0.1, 1.5)), rng=rng) / 20)
        out = out * interpolate_curve(swell, count=count)
    if rng.random() < 0.08:
        out = normalise_rms(out) + np.float32(rng.uniform(0.05, 1)) * recorders.handling_noise(count, rng=rng)
    return out


def _sloped_noise(count: int, rng: Generator) -> Floats32:
    """White noise, filtered: a slope between +3 and -9 dB an octave, band limits, and resonances as of fans."""
    from scipy.fft import irfft, next_fast_len, rfftfreq

    size = next_fast_len(max(count, 64), real=True)
    hz = np.maximum(rfftfreq(size, 1 / RATE), 1).astype(np.float32)
    knots = np.log2(np.geomspace(1, RATE / 2, 400))
    gain_db = rng.choice([0.0, -3.0, -6.0, rng.uniform(-9, 3)]) * (knots - np.log2(1000))
    if rng.random() < 0.4:
        corner = np.log2(log_uniform((300, 14000), rng))
        gain_db = gain_db - rng.uniform(6, 40) * np.maximum(0, knots - corner)
    if rng.random() < 0.4:
        corner = np.log2(log_uniform((30, 1500), rng))
        gain_db = gain_db - rng.uniform(6, 24) * np.maximum(0, corner - knots)
    for _ in range(int(rng.choice([0, 1, 2, 4], p=[0.5, 0.2, 0.2, 0.1]))):
        at, width = np.log2(log_uniform((40, 8000), rng)), rng.uniform(0.02, 1.2)
        gain_db = gain_db + rng.uniform(-10, 18) * np.exp(-(((knots - at) / width) ** 2))
    gain_db = np.maximum(gain_db - gain_db.max(), -140)
    gain = np.exp(np.interp(np.log2(hz), knots, gain_db).astype(np.float32) * np.float32(np.log(10) / 20))
    gain[hz < 15] = 0
    spectrum = rng.standard_normal((2, len(hz)), dtype=np.float32)
    return np.asarray(irfft((spectrum[0] + 1j * spectrum[1]) * gain, size)[:count], np.float32)


def _rain(count: int, rng: Generator) -> Floats32:
    """Rain: a wash, and drops at random times."""
    drops = np.zeros(count, np.float32)
    number = rng.poisson(count / RATE * log_uniform((3, 300), rng))
    np.add.at(drops, rng.integers(count, size=number), rng.gamma(0.7, 1, number).astype(np.float32))
    time = np.arange(2048) / RATE
    splash = np.exp(-time / rng.uniform(0.001, 0.008)) * rng.standard_normal(2048)
    splash += rng.uniform(0, 1) * np.exp(-time / 0.01) * np.sin(2 * np.pi * rng.uniform(300, 3000) * time)
    wash = coloured_noise("pink" if rng.random() < 0.5 else "hiss", count=count, rng=rng)
    return normalise_rms(convolve(drops, splash.astype(np.float32))) * np.float32(rng.uniform(0.1, 2)) + wash


def _machine(count: int, rng: Generator) -> Floats32:
    """An engine, a motor or a compressor: pulses at 8 to 120 Hz whose rate wanders, with resonances."""
    rate_hz = np.exp(rng.uniform(np.log(8), np.log(120)) + 0.08 * random_curve(count, rate_hz=0.4, rng=rng))
    if rng.random() < 0.4:  # a vehicle that accelerates and slows down
        rate_hz = rate_hz * np.exp(0.35 * random_curve(count, rate_hz=0.15, rng=rng))
    turns = np.cumsum(interpolate_curve(rate_hz, count=count), dtype=np.float64) / RATE
    strokes = np.flatnonzero(np.diff(np.floor(turns), prepend=0.0) > 0)
    pulses = np.zeros(count, np.float32)
    pulses[strokes] = np.exp(rng.normal(0, 0.25, len(strokes)))
    time = np.arange(4096) / RATE
    ring = sum(
        np.exp(-time / rng.uniform(0.002, 0.02)) * np.sin(2 * np.pi * hz * time)
        for hz in np.exp(rng.uniform(np.log(40), np.log(1800), 4))
    )
    ring = ring + rng.uniform(0, 0.4) * np.exp(-time / 0.004) * rng.standard_normal(4096)
    swell = 10 ** (3 * random_curve(count, rate_hz=0.2, rng=rng) / 20)
    return normalise_rms(convolve(pulses, ring.astype(np.float32)) * interpolate_curve(swell, count=count))


def _irregular(count: int, rng: Generator, *, mean_s: float, shape: float) -> Floats64:
    """Sample times between 0 and the end, their gaps gamma distributed: the smaller the shape the less regular."""
    gaps = rng.gamma(shape, mean_s / shape, int(2 * count / RATE / mean_s) + 12)
    times = np.cumsum(gaps) - rng.uniform(0, mean_s)
    return np.asarray(times[(times >= 0) & (times < count / RATE)], np.float64)


def _bouts(times: Floats64, rng: Generator, *, on_s: float, off_s: float) -> Floats64:
    """Keep the times inside random bouts, with pauses between."""
    if not len(times):
        return times
    turns = rng.exponential(1, 4 * int(times[-1] / (on_s + off_s)) + 16)
    turns[::2] *= off_s
    turns[1::2] *= on_s
    edges = np.cumsum(turns) - rng.uniform(0, off_s + on_s)
    return np.asarray(times[np.searchsorted(edges, times) % 2 == 1], np.float64)


def _knocks(count: int, rng: Generator) -> Floats32:
    """Knocks, steps, dishes, keys, a hammer: struck things at irregular times, in bouts."""
    kind = str(rng.choice(["steps", "knocks", "dishes", "keys", "hammer"]))
    mean_s, shape, low, high, decay = {
        "steps": (rng.uniform(0.4, 0.9), 14.0, 60, 900, (0.01, 0.05)),
        "knocks": (rng.uniform(0.15, 1.5), 1.5, 80, 1500, (0.005, 0.06)),
        "dishes": (rng.uniform(0.2, 1.5), 1.0, 1500, 9000, (0.02, 0.3)),
        "keys": (rng.uniform(0.08, 0.3), 1.5, 1000, 7000, (0.002, 0.012)),
        "hammer": (rng.uniform(0.3, 1.2), 5.0, 200, 4000, (0.01, 0.15)),
    }[kind]
    times = _irregular(count, rng, mean_s=mean_s, shape=shape)
    times = _bouts(times, rng, on_s=float(rng.uniform(1, 8)), off_s=float(rng.uniform(0.5, 6)))
    length = int(min(0.4, 5 * decay[1]) * RATE)
    time = np.arange(length) / RATE
    sounds = []
    for _ in range(4):
        modes = np.exp(rng.uniform(np.log(low), np.log(high), 4))
        ring = sum(
            rng.uniform(0.2, 1) * np.exp(-time / rng.uniform(*decay)) * np.sin(2 * np.pi * hz * time) for hz in modes
        )
        thud = rng.uniform(0.2, 1.5) * np.exp(-time / rng.uniform(0.002, 0.02)) * rng.standard_normal(length)
        sounds.append(((ring + thud) * np.minimum(1, time / rng.uniform(0.0003, 0.004))).astype(np.float32))
    out = np.zeros(count + length, np.float32)
    for start in (times * RATE).astype(int).tolist():
        out[start : start + length] += np.float32(np.exp(rng.normal(0, 0.5))) * sounds[int(rng.integers(4))]
    return normalise_rms(out[:count])


def _talk(count: int, rng: Generator) -> Floats32:
    """One to several talkers, a crowd, or announcements; sometimes things that are moved, and a room's noise."""
    kind = str(rng.choice(["alone", "turns", "prompts", "together", "crowd"], p=[0.36, 0.24, 0.16, 0.14, 0.1]))
    pause_s = log_uniform((0.15, 1.2), rng)
    match kind:
        case "prompts":
            out = talk(count, rng=rng, pause_s=float(rng.uniform(0.4, 2)), syllables=float(rng.uniform(1, 8)))
        case "crowd":
            out = ambience.babble(count, rng=rng)
            for _ in range(int(rng.integers(1, 3))):
                out = out + np.float32(rng.uniform(0.2, 2)) * talk(count, rng=rng, talkers=3, pause_s=pause_s)
        case "together":
            out = np.zeros(count, np.float32)
            for _ in range(int(rng.integers(2, 4))):
                out += np.float32(rng.uniform(0.3, 1)) * talk(count, rng=rng, talkers=2, pause_s=2 * pause_s)
        case _:
            people = 1 if kind == "alone" else int(rng.integers(2, 5))
            syllables = float(rng.uniform(5, 18))
            out = talk(count, rng=rng, talkers=people, pause_s=pause_s, syllables=syllables)
    if not out.any():
        out = ambience.babble(count, rng=rng)
    out = normalise_rms(out)
    others: tuple[_Other, ...] = (
        (0.25, _knocks, -15, 6), (0.15, _crowd, -30, -6), (0.12, _noise, -40, -8), (0.06, _hum, -40, -10),
        (0.03, _applause, -20, 0),
    )  # fmt: skip
    return _late(_with_others(out, others, rng), rng)


def _with_others(samples: Floats32, others: Sequence[_Other], rng: Generator) -> Floats32:
    """Add other sounds to a signal of unit power, each with its probability and at a level between its limits."""
    for probability, sound, least_db, most_db in others:
        if rng.random() < probability:
            gain = np.float32(10 ** (rng.uniform(least_db, most_db) / 20))
            samples = samples + gain * normalise_rms(sound(len(samples), rng))
    return samples


def _crowd(count: int, rng: Generator) -> Floats32:
    return ambience.babble(count, rng=rng)


def _late(samples: Floats32, rng: Generator) -> Floats32:
    """Place it in a room, half the time."""
    if rng.random() < 0.5:
        return samples
    return rooms.reverberate(samples, rooms.sample_room(rooms.sample_room_type(rng), rng=rng), rng=rng)


def _applause(count: int, rng: Generator) -> Floats32:
    """Applause of a few to a thousand people that swells, lasts and fades, with cheers, whistles and murmur."""
    people = int(log_uniform((5, 1000), rng))
    time = np.arange(curve_length(count)) * (HOP / RATE)
    loud = np.zeros(len(time))
    for _ in range(int(rng.integers(1, 3))):
        begins, lasts = rng.uniform(-6, time[-1] * 0.7), rng.uniform(3, 25)
        rise, fall = rng.uniform(0.2, 2.5), rng.uniform(0.8, 6)
        up = 1 / (1 + np.exp(-np.clip((time - begins) / rise * 4, -50, 50)))
        down = 1 / (1 + np.exp(-np.clip((begins + lasts - time) / fall * 4, -50, 50)))
        loud = np.maximum(loud, rng.uniform(0.5, 1) * up * down)
    loud *= np.exp(0.12 * random_curve(count, rate_hz=1.5, rng=rng))
    out = normalise_rms((_clappers if people < 40 else _clap_noise)(count, people, loud, rng))
    others: tuple[_Other, ...] = (
        (0.5, _cheers, -20, 6), (0.3, _calls, -15, 6), (0.4, _crowd, -30, -3), (0.15, _one_talker, -15, 3),
        (0.2, _noise, -40, -12),
    )  # fmt: skip
    return _late(_with_others(out, others, rng), rng)


def _clap(rng: Generator) -> Floats32:
    """A hand clap: noise around the resonance of the cupped hands (Repp, JASA 81, 1987)."""
    time = np.arange(1024) / RATE
    hz = log_uniform((450, 3200), rng)
    noise = rng.standard_normal(1024) * np.exp(-time / rng.uniform(0.002, 0.009)) * np.minimum(1, time / 0.0005)
    cup = np.exp(-time * hz / rng.uniform(1, 2.5)) * np.cos(2 * np.pi * hz * time)
    clap = np.convolve(noise, cup)[:1024] * np.linspace(1, 0, 1024)
    return np.asarray(clap / np.abs(clap).max(), np.float32)


def _clappers(count: int, people: int, loud: Floats64, rng: Generator) -> Floats32:
    """Single people, each with an unsteady rate that changes over time, who stop and begin again."""
    out, duration_s = np.zeros(count + 1024, np.float32), count / RATE
    for _ in range(people):
        sounds, level = [_clap(rng) for _ in range(2)], np.exp(rng.normal(0, 0.7))
        gaps_s = rng.gamma(16, 1 / 16, int(7 * duration_s) + 20) / rng.uniform(2, 5.5)
        gaps_s *= np.exp(np.cumsum(rng.normal(0, 0.04, len(gaps_s))).clip(-0.5, 0.5))
        times = np.cumsum(gaps_s) - rng.uniform(0, 1)
        times = times[(times >= 0) & (times < duration_s)]
        times = _bouts(times, rng, on_s=float(rng.uniform(3, 20)), off_s=float(rng.uniform(0.3, 3)))
        starts = (times * RATE).astype(int)
        levels = level * loud[starts // HOP] * rng.uniform(0.5, 1, len(starts))
        for start, strength in zip(starts.tolist(), levels.astype(np.float32).tolist(), strict=True):
            out[start : start + 1024] += np.float32(strength) * sounds[start % 2]
    return out[:count]


def _clap_noise(count: int, people: int, loud: Floats64, rng: Generator) -> Floats32:
    """A crowd that claps: claps at random times, more of them the louder it is."""
    rate = min(4.0 * people, 1500.0) / 5
    out = np.zeros(count, np.float32)
    for _ in range(5):
        times = rng.integers(count, size=rng.poisson(rate * count / RATE))
        times = times[rng.random(len(times)) < loud[times // HOP] / max(float(loud.max()), 1e-9)]
        claps = np.zeros(count, np.float32)
        np.add.at(claps, times, (rng.choice([-1, 1], len(times)) * np.exp(rng.normal(0, 0.6, len(times)))).astype("f4"))
        out += convolve(claps, _clap(rng))
    return out * interpolate_curve(np.sqrt(loud), count=count)


def _cheers(count: int, rng: Generator) -> Floats32:
    """A crowd that cheers and fades, in waves."""
    swell = np.maximum(0, random_curve(count, rate_hz=float(rng.uniform(0.15, 0.6)), rng=rng) + rng.uniform(-1, 1))
    swell += 0.05
    return coloured_noise("cheers", count=count, rng=rng) * interpolate_curve(swell, count=count)


def _calls(count: int, rng: Generator) -> Floats32:
    return ambience.calls(count, rng=rng)


def _one_talker(count: int, rng: Generator) -> Floats32:
    return talk(count, rng=rng, pause_s=0.8)


def _street(count: int, rng: Generator) -> Floats32:
    """A street or a park: traffic, engines, steps, birds, dogs, talk, wind and building sites, some of them."""
    out = np.zeros(count, np.float32)
    sounds: tuple[tuple[float, Callable[[int, Generator], Floats32], float, float], ...] = (
        (0.75, _traffic, -6, 6), (0.35, _machine, -15, 6), (0.35, _birds, -20, 6), (0.3, _knocks, -18, 3),
        (0.3, _crowd, -20, 3), (0.2, _one_talker, -15, 3), (0.25, _noise, -25, 0), (0.15, _calls, -15, 3),
        (0.12, _barks, -12, 3),
    )  # fmt: skip
    for probability, sound, least_db, most_db in sounds:
        if rng.random() < probability:
            out += np.float32(10 ** (rng.uniform(least_db, most_db) / 20)) * normalise_rms(sound(count, rng))
    return out if out.any() else _traffic(count, rng)


def _traffic(count: int, rng: Generator) -> Floats32:
    return ambience.traffic(count, rng=rng)


def _birds(count: int, rng: Generator) -> Floats32:
    """Birds: chirps that glide, in short irregular songs."""
    out = np.zeros(count + RATE, np.float32)
    for _ in range(int(rng.integers(1, 4))):
        middle_hz, level = log_uniform((1800, 7500), rng), np.exp(rng.normal(0, 0.6))
        times = _irregular(count, rng, mean_s=float(rng.uniform(0.08, 0.5)), shape=1.5)
        for start_s in _bouts(times, rng, on_s=float(rng.uniform(0.4, 2)), off_s=float(rng.uniform(1, 6))).tolist():
            length = int(rng.uniform(0.02, 0.18) * RATE)
            place = np.linspace(0, 1, length)
            hz = np.interp(place, [0, 0.4, 1], middle_hz * np.exp(rng.normal(0, 0.2, 3)))
            if rng.random() < 0.3:
                hz = hz * (1 + 0.08 * np.sin(2 * np.pi * rng.uniform(15, 40) * place * length / RATE))
            chirp = np.sin(2 * np.pi * np.cumsum(hz) / RATE) * np.sin(np.pi * place) ** 0.7
            start = int(start_s * RATE)
            out[start : start + length] += (level * rng.uniform(0.4, 1) * chirp).astype(np.float32)
    return out[:count]


def _barks(count: int, rng: Generator) -> Floats32:
    """A dog that barks now and then."""
    out = np.zeros(count + RATE, np.float32)
    times = _irregular(count, rng, mean_s=float(rng.uniform(0.3, 0.9)), shape=3.0)
    pitch_hz = rng.uniform(250, 900)
    for start_s in _bouts(times, rng, on_s=2.0, off_s=float(rng.uniform(2, 8))).tolist():
        length = int(rng.uniform(0.08, 0.22) * RATE)
        place = np.linspace(0, 1, length)
        phase = 2 * np.pi * np.cumsum(pitch_hz * (1 + 0.4 * np.sin(np.pi * place)) * rng.uniform(0.93, 1.07)) / RATE
        bark = sum(np.sin(number * phase) / number**0.7 for number in range(1, 8)) + 0.6 * rng.standard_normal(length)
        start = int(start_s * RATE)
        out[start : start + length] += (np.sin(np.pi * place**0.5) * bark * rng.uniform(0.5, 1)).astype(np.float32)
    return out[:count]


KINDS: dict[str, float] = {
    "silence": 0.1, "hum": 0.08, "noise": 0.2, "talk": 0.35, "applause": 0.12, "street": 0.15
}  # fmt: skip
"""Kinds of recordings without music, and their weights."""
_SOUNDS: dict[str, _Sound] = {
    "hum": _hum, "noise": _noise, "talk": _talk, "applause": _applause, "street": _street,
}  # fmt: skip
RECORDER = DegradationConfig(applause=0, calls=0.03, babble=0.05, pumping=0, crackle=0.02)
