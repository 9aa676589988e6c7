"""Pieces for the pre-training of trackers: composed, rendered, and turned into spectrograms.

A piece depends on its number and the settings alone. Some are no music, and some have silence, talk, applause or noise
before, after, between or over the music, for there are no beats in these.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from levada.beat_tracking.spectrogram import FRONT_ENDS, log_spectrogram
from levada.io.beats import Beats
from levada.synth.acoustics.noise import normalise_rms, rms
from levada.synth.composition import compose
from levada.synth.instruments import PITCHED, InstrumentSource, mix_sources, synthesise
from levada.synth.instruments.soundfont import SoundFont, find_soundfont
from levada.synth.metronome import render_metronome
from levada.synth.non_music import render_non_music
from levada.synth.performance import Performance, perform
from levada.synth.render import render_performance
from levada.synth.traditions import Instrument, Tradition, list_traditions, read_tradition

if TYPE_CHECKING:
    from levada.beat_tracking.pretraining import PretrainSettings

__all__ = ["Piece", "render_piece", "soloists", "validation_piece"]

Generator = np.random.Generator
Floats32 = npt.NDArray[np.float32]

RATE = 44100
SOLO_VOICES = ("guitar", "piano", "accordion", "charango", "pluck", "tres")
"""Pitched voices that play alone too."""
PITCHED_SOLO = 0.2
"""Fraction of the soloists that are pitched, where the tradition has any."""
NO_BEATS = Beats(np.zeros(0), np.zeros(0, int))


class Piece(NamedTuple):
    """The spectrogram and the beats of a rendered piece."""

    bands: npt.NDArray[np.float16]
    beats: Beats


def render_piece(index: int, settings: PretrainSettings) -> Piece:
    """Compose and render the piece of a number, and compute its spectrogram."""
    rng = np.random.default_rng([settings.seed, 1, index])
    if _happens(settings.non_music, rng):
        samples, _ = render_non_music(rng, duration_s=settings.material.piece_s)
        return _piece(samples, NO_BEATS, settings, rng)
    if _happens(settings.metronome, rng):
        return _recorded(*render_metronome(rng, duration_s=settings.material.piece_s), settings, rng)
    performance = _performance(rng, settings)
    return _render(performance, _sounds(rng, settings), settings, rng)


def validation_piece(index: int, settings: PretrainSettings, font: SoundFont) -> Piece:
    """Return a piece that is not trained on, played by a SoundFont and synthesised voices."""
    rng = np.random.default_rng([settings.seed, 3, index])
    return _render(_performance(rng, settings), mix_sources([(1.0, font), (0.0, synthesise)]), settings, rng)


def _happens(probability: float, rng: Generator) -> bool:
    """Return True with a probability; nothing is drawn where it is 0."""
    return probability > 0 and rng.random() < probability


def _render(performance: Performance, sounds: InstrumentSource, settings: PretrainSettings, rng: Generator) -> Piece:
    rendering = render_performance(performance, rng=rng, sounds=sounds)
    return _recorded(rendering.mixture, rendering.beats, settings, rng)


def _recorded(samples: Floats32, beats: Beats, settings: PretrainSettings, rng: Generator) -> Piece:
    if _happens(settings.interludes, rng):
        samples, beats = with_interludes(np.atleast_2d(samples).mean(0), beats, rng=rng)
    return _piece(samples, beats, settings, rng)


def _piece(samples: Floats32, beats: Beats, settings: PretrainSettings, rng: Generator) -> Piece:
    if _happens(settings.quiet, rng):
        gain = 10 ** (rng.uniform(-60, -30) / 20) / max(1e-9, float(np.abs(samples).max()))
        samples = np.asarray(np.round(samples * gain * 32767) / 32767, np.float32)
    bands = log_spectrogram(np.atleast_2d(samples), RATE, front_end=FRONT_ENDS[settings.front_end])
    return Piece(bands.astype(np.float16), beats)


def with_interludes(samples: Floats32, beats: Beats, *, rng: Generator) -> tuple[Floats32, Beats]:
    """Put sounds without beats before, after or between music, and sometimes over it.

    Parameters
    ----------
    samples : float32 [shape=(samples,)]
        Music at 44.1 kHz.
    beats : Beats
    rng : numpy.random.Generator

    Returns
    -------
    samples : float32 [shape=(samples',)]
    beats : Beats
        Those of the music, where it lies now.
    """
    level = rms(samples)
    if rng.random() < 0.35:  # somebody talks over the music
        other, _ = render_non_music(rng, duration_s=len(samples) / RATE)
        gain = level * 10 ** (rng.uniform(-26, -6) / 20)
        samples = samples + np.float32(gain) * normalise_rms(other[: len(samples)])
    place = rng.choice(["before", "after", "between"], p=[0.3, 0.3, 0.4])
    cut = len(samples) if place == "after" else 0 if place == "before" else int(rng.uniform(0.2, 0.8) * len(samples))
    other, _ = render_non_music(rng, duration_s=float(rng.uniform(3, 14)))
    other = np.float32(level * 10 ** (rng.uniform(-34, 2) / 20)) * normalise_rms(other)
    fade = int(rng.uniform(0.005, 0.4) * RATE)
    parts = [_faded(samples[:cut], fade), _faded(other, fade), _faded(samples[cut:], fade)]
    cut_s, shift_s = cut / RATE, len(other) / RATE
    moved = np.where(beats.times_s < cut_s, beats.times_s, beats.times_s + shift_s)
    return np.concatenate(parts), Beats(moved, beats.positions)


def _faded(samples: Floats32, length: int) -> Floats32:
    """Fade in and out, over a number of samples."""
    length = min(length, len(samples) // 2)
    if length == 0:
        return samples
    ramp = np.linspace(0, 1, length, dtype=np.float32)
    faded = samples.copy()
    faded[:length] *= ramp
    faded[-length:] *= ramp[::-1]
    return faded


@lru_cache(maxsize=1)
def _traditions() -> tuple[Tradition, ...]:
    return tuple(read_tradition(name) for name in list_traditions())


def _performance(rng: Generator, settings: PretrainSettings) -> Performance:
    if rng.random() >= settings.traditions:
        return compose(rng, settings.material)
    traditions = _traditions()
    tradition = traditions[int(rng.integers(len(traditions)))]
    if rng.random() < settings.soloists:
        tradition = soloists(tradition, rng)
    return perform(tradition, duration_s=settings.material.piece_s, rng=rng)


def soloists(tradition: Tradition, rng: Generator) -> Tradition:
    """Return a tradition with one or two of its instruments alone, as in archives and tutorials.

    Of instruments of the same voice the lowest plays, and none that strikes seldom and always off the beat: nobody
    could tell its beats.

    Parameters
    ----------
    tradition : Tradition
    rng : numpy.random.Generator

    Returns
    -------
    Tradition
        The one given where no instrument of it can play alone.
    """
    pitched = rng.random() < PITCHED_SOLO
    able = [part for part in tradition.instruments if (part.tuning or 1) == 1 and not _off_beat(part, tradition)]
    accompanists = [part for part in able if part.voice in SOLO_VOICES]
    able = accompanists if pitched and accompanists else [part for part in able if part.voice not in PITCHED]
    if not able:
        return tradition
    presence = np.array([part.presence for part in able])
    count = min(len(able), int(rng.integers(1, 3)))
    chosen = rng.choice(len(able), size=count, replace=False, p=presence / presence.sum())
    alone = tuple(replace(able[int(index)], presence=1.0, players=(1, 1), enters=None) for index in chosen)
    return replace(tradition, instruments=alone, ensemble=None, checked=())


def _off_beat(part: Instrument, tradition: Tradition) -> bool:
    """Return True if an instrument strikes in at most half of the tatums of each beat, and never on the beat."""
    beats = [
        pattern.grid[start : start + tradition.tatums]
        for pattern in part.patterns
        for start in range(0, len(pattern.grid), tradition.tatums)
    ]
    return all(beat[0] == "." and 2 * beat.count(".") >= len(beat) for beat in beats)


def _sounds(rng: Generator, settings: PretrainSettings) -> InstrumentSource:
    """Choose what plays a piece: mostly SoundFonts, half of them, or synthesised voices."""
    if not settings.soundfonts:
        return synthesise
    share = 0.95 if rng.random() < settings.sampled else 0.5 if rng.random() < 0.25 else 0.0
    fonts = [(share / len(settings.soundfonts), SoundFont(find_soundfont(name))) for name in settings.soundfonts]
    return mix_sources([*fonts, (1 - share, synthesise)])
