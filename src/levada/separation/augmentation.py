"""Data augmentation of stems: each stem is changed independently, and the mixture is their sum.

Gain, equalisation, polarity and absence are applied to the spectrum, where they cost nothing; pitch and reverberation
to the waveform.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from levada.errors import check_number
from levada.separation.stft import Stft

__all__ = ["NO_AUGMENTATION", "StemAugmentation", "augment"]

Floats32 = npt.NDArray[np.float32]
Complex64 = npt.NDArray[np.complex64]
Generator = np.random.Generator

N_RESPONSES, MAX_RESPONSE_S = 24, 0.7
N_KNOTS = 7  # of an equaliser curve, over the octaves
N_RESONANCES, RESONANCE_OCTAVES = 4, (1 / 3, 1.5)
DELAY_S, DULL_HZ = (0.0005, 0.009), (1000.0, 8000.0)  # of a second microphone
LEAST_ENVELOPE = 1e-5  # below the loudest frame: quieter ones are not changed further


@dataclass(frozen=True)
class StemAugmentation:
    """Amounts of each change; 0 leaves a property as it is.

    Parameters
    ----------
    remix : float
        Probability that the stems of an excerpt come from different positions and recordings.
    gain_db : float
        Largest change of the gain of a stem, either way.
    tone_db : float
        Largest gain of an equaliser of each stem, either way, at its knots.
    semitones : float
        Largest change of pitch and speed together, either way, as on a tape.
    room : float
        Probability that a stem is convolved with an impulse response.
    polarity : float
        Probability that the polarity of a stem is inverted.
    drop : float
        Probability that a stem is silent.
    resonance_db : float
        Largest gain of each of the four resonances of a stem, either way: a third to one and a half octaves wide.
    bleed_db : float
        Least level of the same stem in another microphone, below its own, up to three metres further away: a comb
        filter. 0 for one microphone.
    decay : float
        Largest change of the logarithm of the envelope, either way: at 0.5 strokes decay half as fast again.
    """

    remix: float = 0.9
    gain_db: float = 8.0
    tone_db: float = 6.0
    semitones: float = 1.5
    room: float = 0.15
    polarity: float = 0.5
    drop: float = 0.1
    resonance_db: float = 0.0
    bleed_db: float = 0.0
    decay: float = 0.0

    def __post_init__(self) -> None:
        for entry in fields(self):
            most = {"gain_db": 60, "tone_db": 40, "semitones": 12, "resonance_db": 40, "bleed_db": 60}.get(
                entry.name, 1
            )
            check_number(entry.name, getattr(self, entry.name), 0, most)

    @property
    def max_speed(self) -> float:
        """Largest factor of speed: a stem must be this many times as long as the excerpt."""
        return float(2 ** (self.semitones / 12))


NO_AUGMENTATION = StemAugmentation(remix=0, gain_db=0, tone_db=0, semitones=0, room=0, polarity=0, drop=0)


def augment(
    stems: Sequence[Floats32], length: int, *, rate: int, config: StemAugmentation, rng: Generator
) -> Complex64:
    """Change each stem independently.

    Parameters
    ----------
    stems : sequence of float32 [shape=(..., samples)]
        All with the same leading dimensions, which are changed in the same way. Those shorter than
        `length * config.max_speed` samples are continued with silence.
    length : int
        Samples of the result.
    rate : int
        In Hz.
    config : StemAugmentation
    rng : numpy.random.Generator

    Returns
    -------
    complex64 [shape=(stems, ..., frames, bins)]
        Spectra; their sum is that of the mixture.
    """
    transform = Stft(rate)
    leading = stems[0].shape[:-1] if stems else ()
    out = np.zeros((len(stems), *leading, transform.n_frames(length), transform.n_bins), np.complex64)
    for spectra, stem in zip(out, stems, strict=True):
        dropped = rng.random() < config.drop
        if dropped or not stem.shape[-1]:
            continue
        piece = _change_speed(stem, length, rng.uniform(-config.semitones, config.semitones))
        if rng.random() < config.room:
            piece = _reverberate(piece, rate, rng)
        spectra[:] = transform.forward(piece)
        spectra *= _gains(transform, config, rng) * np.float32(-1 if rng.random() < config.polarity else 1)
        if config.bleed_db:
            spectra *= _second_microphone(transform, config.bleed_db, rng)
        if config.decay:
            spectra *= _envelope(spectra, rng.uniform(-config.decay, config.decay))
    return out


def _change_speed(stem: Floats32, length: int, semitones: float) -> Floats32:
    """Resample to a higher or lower pitch, and cut or pad to `length` samples."""
    if not semitones:
        piece = stem[..., :length]
    else:
        at = np.arange(length) * 2 ** (semitones / 12)
        at, n_samples = at[at <= stem.shape[-1] - 1], np.arange(stem.shape[-1])
        rows = [np.interp(at, n_samples, row) for row in stem.reshape(-1, stem.shape[-1])]
        piece = np.array(rows, np.float32).reshape(*stem.shape[:-1], len(at))
    return np.pad(piece, [(0, 0)] * (stem.ndim - 1) + [(0, length - piece.shape[-1])])


def _gains(transform: Stft, config: StemAugmentation, rng: Generator) -> Floats32:
    """Gain of each bin, smooth over octaves: float32 [shape=(bins,)]."""
    gain_db = rng.uniform(-config.gain_db, config.gain_db)
    knots_db = rng.uniform(-config.tone_db, config.tone_db, N_KNOTS)
    octaves = np.log2(1 + np.arange(transform.n_bins))
    gains_db = gain_db + np.interp(octaves / octaves[-1] * (N_KNOTS - 1), np.arange(N_KNOTS), knots_db)
    if config.resonance_db:
        for centre in rng.uniform(1, octaves[-1], N_RESONANCES):
            width, peak_db = rng.uniform(*RESONANCE_OCTAVES), rng.uniform(-config.resonance_db, config.resonance_db)
            gains_db += peak_db * np.exp2(-np.square(2 * (octaves - centre) / width))
    return np.asarray(10 ** (gains_db / 20), np.float32)


def _second_microphone(transform: Stft, least_db: float, rng: Generator) -> Complex64:
    """Transfer function of a microphone and a weaker, later and duller one, in each bin: complex64 [shape=(bins,)]."""
    frequencies = np.linspace(0, transform.rate / 2, transform.n_bins)
    level = 10 ** (-rng.uniform(least_db / 6, least_db) / 20) / np.sqrt(1 + (frequencies / rng.uniform(*DULL_HZ)) ** 2)
    return np.asarray(1 + level * np.exp(-2j * np.pi * frequencies * rng.uniform(*DELAY_S)), np.complex64)


def _envelope(spectra: Complex64, change: float) -> Floats32:
    """Gain of each frame that makes strokes decay faster (above 0) or slower: float32 [shape=(..., frames, 1)]."""
    energy = np.square(np.abs(spectra)).sum(-1, keepdims=True)
    relative = energy / (energy.max(initial=0.0) + 1e-20) + LEAST_ENVELOPE
    return np.asarray(relative ** (change / 2), np.float32)


def _reverberate(piece: Floats32, rate: int, rng: Generator) -> Floats32:
    from scipy.signal import oaconvolve

    response = _impulse_responses(rate)[int(rng.integers(N_RESPONSES))]
    response = response.reshape(*(1,) * (piece.ndim - 1), -1)
    return np.asarray(oaconvolve(piece, response, axes=-1)[..., : piece.shape[-1]], np.float32)


@lru_cache(maxsize=2)
def _impulse_responses(rate: int) -> tuple[Floats32, ...]:
    """Return short impulse responses of rooms, always the same ones."""
    from levada.io import audio
    from levada.synth.acoustics import rooms
    from levada.synth.instruments import RATE

    rng = np.random.default_rng(0)
    places = ("booth", "room", "bar", "street", "hall")
    drawn = [
        rooms.impulse_response(rooms.sample_room(places[i % len(places)], rng=rng), rng=rng) for i in range(N_RESPONSES)
    ]
    return tuple(audio.resample(one[: int(MAX_RESPONSE_S * RATE)], rate=RATE, to=rate) for one in drawn)
