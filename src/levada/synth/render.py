"""Render performances to audio: mixtures, stems and exact beats.

`synthesise_stems` plays a performance on instruments sampled for it; `levada.synth.acoustics` simulates the recording.
Every function takes a seeded generator: the same seed gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from levada.arguments import checked
from levada.errors import InputError
from levada.io.beats import Beats
from levada.synth.acoustics import degrade, mix_down
from levada.synth.instrument_names import OTHER, stem_names
from levada.synth.instruments import RATE, Instrument, InstrumentSource, synthesise
from levada.synth.instruments.signals import Floats32, Generator
from levada.synth.performance import Performance, Stroke, perform
from levada.synth.traditions import Tradition, read_tradition

__all__ = ["Rendering", "render", "render_multitrack", "render_performance", "render_tradition", "synthesise_stems"]


@dataclass(frozen=True)
class Rendering:
    """A performance as audio.

    Parameters
    ----------
    mixture : float32 [shape=(1, samples)]
    beats : Beats
    stems : mapping of str to float32 [shape=(1, samples)]
        Each part alone; without the simulated recording unless from `render_multitrack`.
    rate : int
    strokes : mapping of str to tuple of Stroke
        What is struck in each stem, at times exact to the sample, in their order (`levada.synth.strokes` writes them).
    """

    mixture: Floats32
    beats: Beats
    stems: Mapping[str, Floats32] = field(default_factory=dict)
    rate: int = RATE
    strokes: Mapping[str, tuple[Stroke, ...]] = field(default_factory=dict)


def render(
    tradition: Tradition, *, duration_s: float, rng: Generator, sounds: InstrumentSource = synthesise
) -> Rendering:
    """Sample a performance of a tradition and render it.

    Parameters
    ----------
    tradition, duration_s, rng
        As in `levada.synth.performance.perform`.
    sounds : InstrumentSource
        Source of the instruments.

    Returns
    -------
    Rendering
    """
    return render_performance(perform(tradition, duration_s=duration_s, rng=rng), rng=rng, sounds=sounds)


@checked
def render_tradition(
    tradition: str | Path | Tradition, *, duration_s: float = 30.0, seed: int = 0, stems: bool = True
) -> Rendering:
    """Render a performance of a tradition, with its stems and exact beats.

    Parameters
    ----------
    tradition : str, path-like or Tradition
        A tradition that comes with levada, as "candombe" (``levada traditions`` lists them), or the TOML file of one.
    duration_s : float
        Length, in seconds.
    seed : int
        The same seed gives the same bytes.
    stems : bool
        Whether every instrument has a microphone of its own, so that the stems sum to the mixture; otherwise one
        recorder takes all of the ensemble, as in a field recording, and stems are as they were before the room.

    Returns
    -------
    Rendering

    Raises
    ------
    InputError
        If there is no such tradition, its file is wrong, or the length is not above zero.

    Examples
    --------
    >>> import levada
    >>> rendering = levada.render("candombe", duration_s=8, seed=1)
    >>> rendering.mixture.shape, rendering.rate
    ((1, 352800), 44100)
    >>> rendering.beats                                                      # doctest: +ELLIPSIS
    Beats(...)
    """
    if not duration_s > 0:
        raise InputError(f"a rendering lasts longer than 0 seconds, not {duration_s:g}")
    described = tradition if isinstance(tradition, Tradition) else read_tradition(str(tradition))
    rng = np.random.default_rng(seed)
    return (render_multitrack if stems else render)(described, duration_s=duration_s, rng=rng)


def render_performance(performance: Performance, *, rng: Generator, sounds: InstrumentSource = synthesise) -> Rendering:
    """Render a performance: synthesise stems, mix them, and simulate a recording.

    Parameters
    ----------
    performance : Performance
    rng : numpy.random.Generator
        Samples the instruments and the recording.
    sounds : InstrumentSource
        Source of the instruments.

    Returns
    -------
    Rendering
    """
    stems = synthesise_stems(performance, rng=rng, sounds=sounds)
    dry = sum(stems.values(), np.zeros((1, round(performance.duration_s * RATE)), np.float32))
    return Rendering(
        degrade(dry, rng=rng), performance.beats, stems, strokes=_strokes(performance, {part: part for part in stems})
    )


def render_multitrack(
    tradition: Tradition, *, duration_s: float, rng: Generator, sounds: InstrumentSource = synthesise, least: int = 2
) -> Rendering:
    """Sample a performance of a tradition and render it with one microphone for each instrument.

    Parameters
    ----------
    tradition, duration_s, rng, sounds
        As in `render`.
    least : int
        Least number of percussion instruments, if the tradition has as many; a performance with fewer is sampled again.

    Returns
    -------
    Rendering
        Its stems, named by `levada.synth.instrument_names.stem_names`, sum to the mixture; pitched instruments are one
        stem. An instrument that does not play has no stem.
    """
    named = {voice: name for name, voice in stem_names(tradition).items()}
    least = min(least, len(named.keys() - {OTHER}))
    while True:
        performance = perform(tradition, duration_s=duration_s, rng=rng)
        played = {performance.voices[part] for _, part, *_ in performance.strokes}
        if len(played & named.keys()) >= least:
            break
    players: dict[str, list[Floats32]] = {}
    stem_of: dict[str, str] = {}
    for part, stem in synthesise_stems(performance, rng=rng, sounds=sounds).items():
        if stem.any():
            stem_of[part] = named.get(performance.voices[part], OTHER)
            players.setdefault(stem_of[part], []).append(stem[0])
    stems = {name: stem[None] for name, stem in mix_down(players, rng=rng).items()}
    mixture = sum(stems.values(), np.zeros((1, round(duration_s * RATE)), np.float32))
    return Rendering(mixture, performance.beats, stems, strokes=_strokes(performance, stem_of))


def _strokes(performance: Performance, stem_of: Mapping[str, str]) -> dict[str, tuple[Stroke, ...]]:
    """Strokes of each stem, given the stem of each part, at the times of their first samples."""
    strokes: dict[str, list[Stroke]] = {name: [] for name in stem_of.values()}
    for one in performance.strokes:
        start = round(one.time_s * RATE)
        if one.part in stem_of and start < round(performance.duration_s * RATE):
            strokes[stem_of[one.part]].append(one._replace(time_s=start / RATE))
    return {name: tuple(sorted(of, key=lambda one: one.time_s)) for name, of in strokes.items()}


def synthesise_stems(
    performance: Performance, *, rng: Generator, sounds: InstrumentSource = synthesise
) -> dict[str, Floats32]:
    """Synthesise the stems of a performance on instruments sampled for it.

    Parameters
    ----------
    performance : Performance
    rng, sounds
        As in `render_performance`.

    Returns
    -------
    dict of str to float32 [shape=(1, samples)]
        One stem for every part, at 44.1 kHz.
    """
    samples = round(performance.duration_s * RATE)
    stems = {part: np.zeros((1, samples), np.float32) for part in performance.voices}
    players = _tuned({part: sounds(voice, rng) for part, voice in performance.voices.items()}, performance)
    gains = {part: 10 ** (level / 20) for part, level in performance.levels_db.items()}
    for time_s, part, velocity, stroke, pitch_hz, duration_s in performance.strokes:
        start = round(time_s * RATE)
        played = players[part].play(stroke, velocity=velocity, pitch_hz=pitch_hz, duration_s=duration_s, rng=rng)
        piece = played[: samples - start]
        stems[part][0, start : start + len(piece)] += np.float32(gains[part]) * piece
    return stems


def _tuned(players: dict[str, Instrument], performance: Performance) -> dict[str, Instrument]:
    """Exchange the instruments of parts of the same voice so that their pitches are in the order of their tunings."""
    voices: dict[str, list[str]] = {}
    for part in performance.tunings:
        voices.setdefault(performance.voices[part], []).append(part)
    tuned = dict(players)
    for parts in voices.values():
        lowest_first = sorted((players[part] for part in parts), key=_pitch_hz) if len(parts) > 1 else []
        tuned |= zip(sorted(parts, key=performance.tunings.__getitem__), lowest_first, strict=False)
    return tuned


def _pitch_hz(instrument: Instrument) -> float:
    """Estimate the pitch of a struck instrument: the strongest partial of an open stroke below 1 kHz."""
    played = instrument.play("open", velocity=0.8, pitch_hz=0.0, duration_s=0.5, rng=np.random.default_rng(0))
    return 30.0 + float(np.abs(np.fft.rfft(played[:RATE], RATE)[30:1000]).argmax())
