"""Synthesise speech without words: a glottal source through moving formants, with fricatives, stops and pauses.

A source-filter synthesiser (Fant 1960; Klatt, JASA 67, 1980): a pulse train after Rosenberg (JASA 49, 1971) and
aspiration noise, filtered by four resonances that move from syllable to syllable. Talkers, rates, intonation and
syllables are random, and no language is imitated; syllables are of irregular length, so that there is no steady pulse.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from levada.synth.acoustics.ambience import VOWELS_HZ
from levada.synth.acoustics.noise import Floats32, Floats64, Generator, normalise_rms, rms
from levada.synth.instruments import RATE
from levada.synth.instruments.signals import log_uniform

__all__ = ["Talker", "sample_talker", "talk"]

VOICE_RATE = RATE // 2  # voiced sounds reach 11 kHz; fricatives are added at 44.1 kHz
HOP = 110  # 5 ms
WINDOW, FFT = 440, 550
SCHWA_HZ = np.array([500.0, 1500.0, 2500.0])
CONSONANTS = ("none", "stop", "fricative", "nasal", "glide")


@dataclass(frozen=True)
class Talker:
    """A voice.

    Parameters
    ----------
    pitch_hz : float
        Its middle pitch.
    pitch_range : float
        Size of its intonation; 1 is usual.
    size : float
        Factor of its formants: 1 for a man, 1.17 for a woman, more for a child.
    rate_hz : float
        Syllables a second.
    breath : float
        Aspiration noise beside the voice, between 0 and 1.
    tilt_db : float
        Slope of the source spectrum above 500 Hz, in dB an octave.
    sibilance : float
        Level of fricatives relative to vowels.
    whispers : bool
    level : float
    """

    pitch_hz: float
    pitch_range: float
    size: float
    rate_hz: float
    breath: float
    tilt_db: float
    sibilance: float
    whispers: bool
    level: float


def sample_talker(rng: Generator) -> Talker:
    """Sample a voice: a man, a woman or a child, who talks slowly or fast."""
    kind = rng.random()
    if kind < 0.48:
        pitch_hz, size = rng.uniform(75, 165), rng.uniform(0.92, 1.06)
    elif kind < 0.92:
        pitch_hz, size = rng.uniform(150, 270), rng.uniform(1.08, 1.24)
    else:
        pitch_hz, size = rng.uniform(230, 400), rng.uniform(1.2, 1.45)
    return Talker(
        pitch_hz=float(pitch_hz),
        pitch_range=float(np.exp(rng.normal(0, 0.5))),
        size=float(size),
        rate_hz=float(np.exp(rng.normal(np.log(4.8), 0.25))),
        breath=float(rng.uniform(0.01, 0.25)),
        tilt_db=float(rng.uniform(-7, 1)),
        sibilance=log_uniform((0.08, 0.8), rng),
        whispers=bool(rng.random() < 0.03),
        level=float(np.exp(rng.normal(0, 0.4))),
    )


@dataclass
class _Track:
    """Breakpoints of one parameter over time."""

    times: list[float] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, time_s: float, value: float) -> None:
        self.times.append(max(time_s, self.times[-1] if self.times else 0.0))
        self.values.append(value)

    def at(self, frames_s: Floats64) -> Floats64:
        return np.interp(frames_s, self.times, self.values)


class _Score:
    """What all talkers of a recording say: tracks of the voice, and the fricatives between."""

    def __init__(self) -> None:
        self.voice, self.breath, self.pitch, self.tilt = _Track(), _Track(), _Track(), _Track()
        self.formants = (_Track(), _Track(), _Track())
        self.bursts: list[tuple[float, float, float, float]] = []  # start, length, centre in Hz, level

    def add_formants(self, time_s: float, hz: Floats64) -> None:
        for track, value in zip(self.formants, hz.tolist(), strict=True):
            track.add(time_s, value)

    def add_level(self, time_s: float, voice: float, breath: float) -> None:
        self.voice.add(time_s, voice)
        self.breath.add(time_s, breath)


def talk(count: int, *, rng: Generator, talkers: int = 1, pause_s: float = 0.4, syllables: float = 9.0) -> Floats32:
    """Synthesise talkers who take turns.

    Parameters
    ----------
    count : int
        Samples, at 44.1 kHz.
    rng : numpy.random.Generator
    talkers : int
        How many talkers take turns.
    pause_s : float
        Median pause between phrases.
    syllables : float
        Mean number of syllables in a phrase.

    Returns
    -------
    float32 [shape=(count,)]
        With unit power; silent where it is too short for a phrase.
    """
    score, people = _Score(), [sample_talker(rng) for _ in range(talkers)]
    turns, style = rng.uniform(1, 8), rng.uniform(0.2, 1)
    score.add_level(0.0, 0.0, 0.0)
    score.add_formants(0.0, SCHWA_HZ)
    now, end, speaking = float(rng.exponential(pause_s)), count / RATE, 0
    while now < end:
        talker = people[speaking]
        score.tilt.add(now, talker.tilt_db)
        laughs = rng.random() < 0.03
        now = _laugh(score, now, talker, rng) if laughs else _phrase(score, now, talker, style, syllables, rng)
        score.tilt.add(now, talker.tilt_db)
        if rng.random() < 1 / turns:
            speaking = int(rng.integers(talkers))
        now += float(np.exp(rng.normal(np.log(pause_s), 0.8)))
    return _render(score, count, rng)


def _phrase(score: _Score, now: float, talker: Talker, style: float, syllables: float, rng: Generator) -> float:
    """Write a phrase of words, its melody falling or rising at the end; return when it ends."""
    total = 1 + int(rng.geometric(1 / max(1.0, syllables)))
    total, spoken = min(total, 40), 0
    rate_hz = talker.rate_hz * float(np.exp(rng.normal(0, 0.15)))
    begins_st, ends_st = talker.pitch_range * rng.uniform(0, 5), -talker.pitch_range * rng.uniform(0, 5)
    asks = rng.random() < 0.2
    loud = talker.level * float(np.exp(rng.normal(0, 0.2)))
    score.add_level(now, 0.0, 0.0)
    while spoken < total:
        word = min(int(rng.choice([1, 2, 3, 4, 5], p=[0.38, 0.32, 0.18, 0.08, 0.04])), total - spoken)
        stressed = int(rng.integers(word)) if word > 1 or rng.random() < 0.55 else -1
        for number in range(word):
            along = spoken / total
            base_st = begins_st + (ends_st - begins_st) * along
            last = spoken == total - 1
            strong = number == stressed
            accent_st = talker.pitch_range * rng.uniform(0.5, 5) * (strong and rng.random() < 0.7)
            if last:
                base_st += talker.pitch_range * (rng.uniform(3, 8) if asks else -rng.uniform(0, 4))
            length_s = rng.gamma(7, 1 / 7) / rate_hz * (1.3 if strong else 0.82) * (rng.uniform(1.2, 2) if last else 1)
            level = loud * (1 if strong else rng.uniform(0.35, 0.9)) * (1 - 0.35 * along)
            now = _syllable(score, now, max(0.07, length_s), talker, level, base_st + accent_st, strong, style, rng)
            spoken += 1
    score.add_level(now + 0.03, 0.0, 0.0)
    if rng.random() < 0.15:  # a breath before the next phrase
        score.bursts.append((now + 0.1, rng.uniform(0.15, 0.4), rng.uniform(1000, 2500), loud * 0.05))
    return now + 0.03


def _syllable(
    score: _Score, now: float, length_s: float, talker: Talker, level: float, pitch_st: float, strong: bool,
    style: float, rng: Generator,
) -> float:  # fmt: skip
    """Write a syllable: a consonant or none, a vowel or diphthong, and sometimes a consonant at its end."""
    vowel = talker.size * np.array(VOWELS_HZ[int(rng.integers(len(VOWELS_HZ)))]) * np.exp(rng.normal(0, 0.05, 3))
    if not strong:
        vowel = vowel + rng.uniform(0.1, 0.7) * (talker.size * SCHWA_HZ - vowel)
    locus = talker.size * np.array([rng.uniform(230, 380), rng.uniform(700, 2200), rng.uniform(2000, 3000)])
    score.pitch.add(now, talker.pitch_hz * 2 ** ((pitch_st + rng.normal(0, 0.4)) / 12))
    onset = str(rng.choice(CONSONANTS, p=[0.14, 0.34, 0.24, 0.14, 0.14]))
    now = _consonant(score, now, onset, locus, talker, level, style, rng)
    voice, breath = (0.0, level) if talker.whispers else (level, level * talker.breath)
    vowel_s = max(0.045, length_s - 0.07 * (onset != "none"))
    glide_s = min(0.4 * vowel_s, rng.uniform(0.015, 0.06))
    score.add_level(now + min(0.015, glide_s), voice, breath)
    score.add_formants(now + glide_s, vowel)
    score.pitch.add(now + 0.4 * vowel_s, talker.pitch_hz * 2 ** (pitch_st / 12))
    if rng.random() < 0.25:
        other = talker.size * np.array(VOWELS_HZ[int(rng.integers(len(VOWELS_HZ)))])
        vowel = vowel + rng.uniform(0.3, 0.9) * (other - vowel)
    score.add_formants(now + 0.75 * vowel_s, vowel)
    score.add_level(now + 0.8 * vowel_s, voice * rng.uniform(0.5, 1), breath)
    now += vowel_s
    if rng.random() < 0.35:
        ending = str(rng.choice(CONSONANTS[1:4], p=[0.35, 0.35, 0.3]))
        locus[1] = talker.size * rng.uniform(700, 2200)
        now = _consonant(score, now, ending, locus, talker, 0.7 * level, style, rng)
    return now


def _consonant(
    score: _Score, now: float, kind: str, locus: Floats64, talker: Talker, level: float, style: float, rng: Generator
) -> float:
    """Write a consonant; return when it ends."""
    if kind == "none":
        return now
    voiced = rng.random() < 0.5 and not talker.whispers
    if kind == "stop":
        closed_s = rng.uniform(0.03, 0.09)
        score.add_level(now + 0.008, 0.0, 0.0)
        score.add_level(now + 0.012, 0.08 * level * voiced, 0.0)
        now += closed_s
        score.add_level(now, 0.08 * level * voiced, 0.0)
        burst = level * talker.sibilance * rng.uniform(0.3, 1.6) * style
        score.bursts.append((now, rng.uniform(0.006, 0.02), log_uniform((900, 6000), rng), burst))
        open_s = 0.004 if voiced else rng.uniform(0.015, 0.08)
        score.add_level(now + 0.002, 0.0, 0.0 if voiced else 0.25 * level)
        now += open_s
        score.add_formants(now, locus)
        return now
    length_s = rng.uniform(0.05, 0.15) if kind == "fricative" else rng.uniform(0.035, 0.09)
    score.add_formants(now + 0.3 * length_s, locus)
    if kind == "fricative":
        centre_hz = log_uniform((1500, 9500), rng)
        score.bursts.append((now, length_s, centre_hz, level * talker.sibilance * rng.uniform(0.3, 1) * style))
        score.add_level(now + 0.012, 0.15 * level * voiced, 0.02 * level)
        score.add_level(now + 0.9 * length_s, 0.15 * level * voiced, 0.02 * level)
    else:
        share = 0.0 if talker.whispers else rng.uniform(0.3, 0.6) if kind == "nasal" else rng.uniform(0.5, 0.8)
        score.add_level(now + 0.3 * length_s, share * level, 0.02 * level)
        score.add_level(now + 0.9 * length_s, share * level, 0.02 * level)
    score.add_formants(now + length_s, locus)
    return now + length_s


def _laugh(score: _Score, now: float, talker: Talker, rng: Generator) -> float:
    """Write a laugh: breathy vowels that slow down and fade."""
    vowel = talker.size * np.array(VOWELS_HZ[int(rng.integers(len(VOWELS_HZ)))])
    level, pitch_hz = talker.level * rng.uniform(0.6, 1.5), talker.pitch_hz * rng.uniform(1, 1.8)
    for number in range(int(rng.integers(2, 10))):
        fade = level * 0.88**number
        score.pitch.add(now, pitch_hz * 0.97**number * rng.uniform(0.93, 1.07))
        score.add_formants(now, vowel)
        score.add_level(now, 0.0, 0.05 * fade)
        now += rng.uniform(0.04, 0.1)
        score.add_level(now, 0.0, 0.5 * fade)
        score.add_level(now + 0.02, fade, 0.3 * fade)
        now += rng.uniform(0.05, 0.12) * 1.04**number
        score.add_level(now, 0.0, 0.3 * fade)
    score.add_level(now + 0.05, 0.0, 0.0)
    return now + 0.05


def _render(score: _Score, count: int, rng: Generator) -> Floats32:
    """Synthesise a score: source, resonances frame by frame, and fricatives."""
    from scipy.signal import resample_poly

    if not score.pitch.times:
        return np.zeros(count, np.float32)
    samples = -(-count // 2)
    frames_s = np.asarray(np.arange(-(-samples // HOP) + 5) * (HOP / VOICE_RATE), np.float64)
    voiced = _filter(_source(score, samples, frames_s, rng), score, frames_s)
    out = np.asarray(resample_poly(voiced[:samples], 2, 1)[:count], np.float32)
    level = max(rms(out), 1e-6) * 2.5  # of a vowel: pauses take the rest
    noises = _fricatives()
    centres_hz = np.geomspace(900, 9500, len(noises))
    for start_s, length_s, centre_hz, loud in score.bursts:
        start, length = int(start_s * RATE), int(length_s * RATE)
        noise = noises[int(np.abs(np.log(centres_hz / centre_hz)).argmin())]
        at, length = int(rng.integers(len(noise) - length)), min(length, count - start)
        if length > 16:
            shape = np.minimum(1, np.minimum(np.arange(length), length - np.arange(length)) / (0.3 * length))
            out[start : start + length] += (loud * level * shape).astype(np.float32) * noise[at : at + length]
    return normalise_rms(out)


def _source(score: _Score, samples: int, frames_s: Floats64, rng: Generator) -> Floats32:
    """Synthesise glottal pulses with jitter and shimmer, and aspiration noise."""

    def spread(values: Floats64) -> Floats32:
        low = values[:-1].astype(np.float32)[:, None]
        ramp = np.linspace(0, 1, HOP, endpoint=False, dtype=np.float32)
        return (low + np.diff(values).astype(np.float32)[:, None] * ramp).ravel()[:samples]

    unsteady = rng.uniform(0.003, 0.025)
    pitch_hz = score.pitch.at(frames_s) * np.exp(unsteady * rng.standard_normal(len(frames_s)))
    phase = (np.cumsum(spread(pitch_hz), dtype=np.float64) / VOICE_RATE % 1).astype(np.float32)
    opening, closing = rng.uniform(0.3, 0.5), rng.uniform(0.1, 0.25)
    places = np.linspace(0, 1, 1025)
    flow = np.where(places < opening, 0.5 - 0.5 * np.cos(np.pi * places / opening),
                    np.cos(np.pi / 2 * np.clip((places - opening) / closing, 0, 1)))  # fmt: skip
    pulses = np.interp(phase, places, flow).astype(np.float32)
    voice = spread(score.voice.at(frames_s) * np.exp(0.05 * rng.standard_normal(len(frames_s))))
    derivative = np.diff(pulses, prepend=pulses[:1]) * np.float32(8)
    noise = rng.standard_normal(samples, dtype=np.float32) * np.float32(0.3)
    return derivative * voice + noise * spread(score.breath.at(frames_s)) * (0.5 + pulses)


def _filter(source: Floats32, score: _Score, frames_s: Floats64) -> Floats32:
    """Filter the source by four resonances, one gain curve for every frame (overlap and add)."""
    from scipy.fft import irfft, rfft

    count = len(frames_s) - 4
    padded = np.zeros((count + 4) * HOP, np.float32)
    padded[WINDOW // 2 : WINDOW // 2 + len(source)] = source[: len(padded) - WINDOW // 2]
    window = np.hanning(WINDOW + 1)[:-1].astype(np.float32) / 2  # four windows overlap: they sum to 1
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][:count] * window
    hz = np.arange(FFT // 2 + 1, dtype=np.float32) * np.float32(VOICE_RATE / FFT)
    gain = np.ones((count, len(hz)), np.float32)
    fourth = score.formants[2].at(frames_s) * 1.4
    for track in (*(each.at(frames_s) for each in score.formants), fourth):
        formant = track[:count].astype(np.float32)[:, None]
        squared = (formant**2 - hz**2) ** 2 + ((60 + formant * np.float32(0.05)) * hz) ** 2
        gain *= formant**4 / squared
    gain = np.sqrt(gain * (1 + (hz / np.float32(3000)) ** 8))  # the poles above the fourth
    tilt = score.tilt.at(frames_s)[:count].astype(np.float32)[:, None]
    gain *= np.exp2(tilt / np.float32(6.02) * np.log2(np.maximum(hz, 500) / 500))
    filtered = irfft(rfft(frames, FFT) * gain, FFT)
    out = np.zeros((count + 5) * HOP, np.float32)
    for part in range(FFT // HOP):
        out[part * HOP : (part + count) * HOP] += filtered[:, part * HOP : (part + 1) * HOP].reshape(-1)
    return out[WINDOW // 2 :]


@lru_cache(maxsize=1)
def _fricatives() -> Floats32:
    """Return noise around sixteen centre frequencies from 0.9 to 9.5 kHz: float32 [shape=(16, samples)]."""
    from scipy.fft import irfft, rfftfreq

    size = 1 << 16
    rng, hz = np.random.default_rng(16), np.maximum(rfftfreq(size, 1 / RATE), 1)
    noises = []
    for centre_hz in np.geomspace(900, 9500, 16):
        octaves = np.log2(hz / centre_hz)
        gain = np.where(octaves < 0, 1 / (1 + (octaves / 0.6) ** 4), 1 / (1 + (octaves / 0.9) ** 2))
        noise = irfft((rng.standard_normal(len(hz)) + 1j * rng.standard_normal(len(hz))) * gain, size)
        noises.append(noise / rms(noise))
    return np.array(noises, np.float32)
