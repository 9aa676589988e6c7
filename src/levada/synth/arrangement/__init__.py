"""Arrangement: bands that follow given beats, with accompaniments that mark the downbeat.

Notes are written in beats (`Note`) and converted to seconds last (`to_performance`), so that beat times stay exact.
Music comes in sections of a few bars with letters: sections of the same letter are the same music. The idioms are
those of textbooks on arranging; every figure is original.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from levada.errors import InputError
from levada.io.beats import Beats
from levada.synth.arrangement.drumming import BACKBEAT, arrange_drums
from levada.synth.arrangement.form import Bar, Chord, sample_form, sample_harmony
from levada.synth.arrangement.players import LeadSheet, bass, chords, melody, pad, riff
from levada.synth.arrangement.timeline import sample_beats, tempo_drift
from levada.synth.arrangement.timing import Note, Part, Swing, to_performance
from levada.synth.instruments import PITCHED
from levada.synth.performance import Performance

__all__ = [
    "BACKBEAT",
    "Bar",
    "Chord",
    "Note",
    "Part",
    "Swing",
    "arrange_band",
    "arrange_drums",
    "sample_beats",
    "sample_form",
    "sample_harmony",
    "tempo_drift",
    "to_performance",
]

Generator = np.random.Generator

PLAYERS = {"bass": bass, "chords": chords, "pad": pad, "riff": riff, "melody": melody}
VOICES = {
    "bass": ("bass",),
    "chords": ("keys", "pluck", "organ", "piano", "guitar", "piano", "guitar", "accordion", "strings"),
    "pad": ("pad", "organ", "strings", "pad"),
    "riff": ("pluck", "keys", "guitar", "brass", "organ", "piano", "reed"),
    "melody": ("singer", "singer", "reed", "flute", "brass", "strings", "pluck", "keys", "guitar", "piano"),
}
LEVELS_DB = {"bass": 1.0, "chords": -5.0, "pad": -8.0, "riff": -5.0, "melody": -1.0}


def arrange_band(
    beats: Beats,
    *,
    metre: int,
    compound: bool,
    rng: Generator,
    chords: Sequence[tuple[float, float, tuple[int, ...]]] | None = None,
    busy: float = 0.5,
    bars: Sequence[Bar] | None = None,
    grids: Mapping[str, Sequence[str]] | None = None,
    only: Sequence[str] = ("bass", "chords", "pad", "riff", "melody"),
    swing: Swing | None = None,
    kick_s: Sequence[float] = (),
    duration_s: float | None = None,
    even: bool = False,
) -> Performance:
    """Arrange a band along given beats.

    Parameters
    ----------
    beats : Beats
        Beats with known positions in the bar.
    metre : int
        Beats of a bar.
    compound : bool
        Whether a beat is divided in three.
    rng : numpy.random.Generator
    chords : sequence of (beat, length, pitch classes), optional
        Harmony, in beats from the first one, the root first; sampled by default.
    busy : float
        Density of the arrangement, between 0 and 1.
    bars : sequence of Bar, optional
        The form, from `sample_form`; sampled by default.
    grids : mapping of str to sequence of str, optional
        Rhythms of the style by voice ("bass", "keys"), as grids of a tradition without spaces.
    only : sequence of str
        Players allowed: "bass", "chords", "pad", "riff", "melody".
    swing : Swing, optional
    kick_s : sequence of float
        Times of bass drum strokes, which a bass may double.
    duration_s : float, optional
        End of the music; by default one interval after the last beat.
    even : bool
        Whether bass and chords play the same in both halves of a bar and nothing accents the downbeat, so that only
        the harmony, which changes every bar or two unless `chords` are given, and the melody mark it.

    Returns
    -------
    Performance

    Raises
    ------
    InputError
        If there are no beats, a position in the bar is unknown, or `only` has an unknown player.
    """
    unknown = sorted(set(only) - set(PLAYERS))
    if unknown:
        raise InputError(f"a band has no {', '.join(unknown)}; it has {', '.join(PLAYERS)}")
    bars = tuple(bars) if bars is not None else sample_form(beats.positions, metre=metre, rng=rng)
    given = tuple(Chord(*chord) for chord in chords or ())
    given = given or sample_harmony(bars, compound=compound, rng=rng, moving=even)
    accent, kicks = float(rng.uniform(0, 0.25)), _kicks(kick_s, beats, bars, compound=compound)
    sheet = LeadSheet(bars, given, compound, 0.0 if even else accent, rng, kicks, even)
    chances = {"bass": 0.6 + 0.6 * busy, "chords": 0.55 + 0.6 * busy, "pad": 0.2 + 0.2 * busy,
               "riff": 0.6 * busy, "melody": 0.25 + 0.7 * busy}  # fmt: skip
    seats = [name for name in only if rng.random() < chances[name]] or [only[0]]
    if even:  # without the rhythms of a riff, and never without harmony
        harmony = {"chords", "bass"} & set(only)
        seats = [name for name in only if (name in seats and name != "riff") or name in harmony] or seats
    if "chords" in seats and rng.random() < 0.7 * busy:
        seats.append("chords")
    notes: list[Note] = []
    parts: dict[str, Part] = {}
    tight_s = float(np.exp(rng.uniform(np.log(0.002), np.log(0.018))))
    for seat, name in enumerate(seats):
        part = f"{name}-{seat}" if name in seats[:seat] else name
        voices = [voice for voice in VOICES[name] if voice in PITCHED]
        level = LEVELS_DB[name] + float(rng.normal(0, 3.5))
        late = float(np.clip(rng.normal(0.002, 0.008), -0.015, 0.025))
        parts[part] = Part(str(rng.choice(voices)), level, late, tight_s * float(rng.uniform(0.6, 1.4)))
        style = [grid for voice in (name, *voices) for grid in (grids or {}).get(voice, ())]
        played = PLAYERS[name](sheet, style)
        silent = _silences(bars, rng, often=0.05 if name == "bass" else 0.18)
        notes += [note._replace(part=part) for number, note in played if number not in silent]
    return to_performance(notes, parts, beats, rng=rng, compound=compound, swing=swing, duration_s=duration_s)


def _silences(bars: Sequence[Bar], rng: Generator, *, often: float) -> set[int]:
    """Sample the bars in which a part rests: whole sections."""
    resting = {section for section in {bar.section for bar in bars} if rng.random() < often}
    if len(resting) > bars[-1].section:
        resting = set()
    return {number for number, bar in enumerate(bars) if bar.section in resting}


def _kicks(
    struck_s: Sequence[float], beats: Beats, bars: Sequence[Bar], *, compound: bool
) -> dict[int, tuple[float, ...]]:
    """Quantise bass drum strokes to positions in bars, in beats."""
    tatums = 3 if compound else 4
    places = np.interp(struck_s, beats.times_s, np.arange(len(beats)))
    on_grid = np.unique(np.round(places * tatums)) / tatums
    found = ((number, on_grid[(on_grid >= bar.start) & (on_grid < bar.start + bar.beats)] - bar.start)
             for number, bar in enumerate(bars))  # fmt: skip
    return {number: tuple(inside.tolist()) for number, inside in found if len(inside)}
