"""Drum kits: patterns through a form, with fills, crash cymbals at section starts, and rests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from levada.io.beats import Beats
from levada.synth.arrangement.form import Bar
from levada.synth.arrangement.timing import Note, Part, Swing, to_performance
from levada.synth.performance import Performance
from levada.synth.traditions import Tradition

__all__ = ["arrange_drums"]

Generator = np.random.Generator
BACKBEAT = ("snare", "clap", "rim")  # often the loudest of a kit, and not on downbeats


def arrange_drums(
    kit: Tradition,
    bars: Sequence[Bar],
    beats: Beats,
    *,
    rng: Generator,
    swing: Swing,
    duration_s: float,
    even: bool = False,
) -> Performance:
    """Arrange a drum kit through a form: patterns, fills at the ends of phrases, crash cymbals, rests.

    Parameters
    ----------
    kit : Tradition
    bars : sequence of Bar
    beats : Beats
    rng : numpy.random.Generator
    swing : Swing
    duration_s : float
        End of the music.
    even : bool
        Whether both halves of a pattern are the same, so that only fills, cymbals and the band mark the bar.

    Returns
    -------
    Performance
    """
    playing = [part for part in kit.instruments if rng.random() < part.presence] or list(kit.instruments[:1])
    tight_s = float(np.exp(rng.uniform(np.log(0.002), np.log(0.014))))
    parts = {
        part.name: Part(
            part.voice,
            part.level_db + float(rng.normal(3 if part.voice in BACKBEAT else 0, 3)),
            float(rng.normal(0, 0.005)),
            tight_s,
        )
        for part in playing
    }
    fills, resting = _fills(bars, rng), _rests(bars, rng)
    accent = float(rng.uniform(0, 0.25)) if rng.random() < 0.6 and not even else 0.0
    sparse, crashes, sticks = rng.random() < 0.25, rng.random() < 0.6, rng.random() < 0.15
    notes: list[Note] = []
    for part in playing:
        chosen: dict[str, str] = {}
        loud, skips = float(rng.uniform(0.75, 1)), float(rng.choice([0, 0, 0.02, 0.06]))
        for number, bar in enumerate(bars):
            if number in resting or (sparse and bar.section == 0 and part.voice in ("kick", "snare")):
                continue
            if bar.letter not in chosen:
                kept = list(chosen.values()) if rng.random() < 0.6 else []
                grid = part.patterns[int(rng.integers(len(part.patterns)))].grid
                chosen[bar.letter] = (kept or [_even(grid, kit.cycle) if even else grid])[0]
            grid, until = chosen[bar.letter], fills.get(number, bar.beats)
            offset = bar.number * kit.cycle if bar.beats == kit.beats else 0
            for place in range(int(until * kit.tatums)):
                letter = grid[(offset + place) % len(grid)]
                if letter == "." or (skips and rng.random() < skips):
                    continue
                level = 0.3 if letter == "o" else 1.0 if letter.isupper() else 0.7
                stroke = part.strokes.get(letter.lower(), "open")
                if sticks and part.voice == "snare" and bar.letter != "B" and letter != "o":
                    stroke = "stick"
                level *= 1 - accent if part.voice == "kick" and place else 1
                velocity = float(np.clip(level * loud + rng.normal(0, 0.05), 0.08, 1))
                notes.append(Note(bar.start + place / kit.tatums, 0, part.name, velocity, 0, stroke))
    notes += _breaks(kit, bars, fills, parts, crashes=crashes, rng=rng)
    return to_performance(notes, parts, beats, rng=rng, compound=kit.tatums == 3, swing=swing, duration_s=duration_s)


def _fills(bars: Sequence[Bar], rng: Generator) -> dict[int, float]:
    """Sample the bars that end in a fill, and the beat where it begins."""
    often = rng.uniform(0.2, 0.9)
    return {
        number: float(max(0, bar.beats - int(rng.choice([1, 2, 4], p=[0.5, 0.35, 0.15]))))
        for number, bar in enumerate(bars)
        if rng.random() < often * (1 if bar.left == 0 else 0.7 if bar.number % 8 == 7 else 0.3 * (bar.number % 4 == 3))
    }


def _rests(bars: Sequence[Bar], rng: Generator) -> set[int]:
    """Sample bars without drums: sections, or the start of a section."""
    resting: set[int] = set()
    for section in {bar.section for bar in bars}:
        if rng.random() < 0.07:
            within = [number for number, bar in enumerate(bars) if bar.section == section]
            resting.update(within if rng.random() < 0.4 else within[: int(rng.integers(1, 5))])
    return resting if len(resting) < len(bars) else set()


def _breaks(
    kit: Tradition, bars: Sequence[Bar], fills: Mapping[int, float], parts: dict[str, Part], *, crashes: bool,
    rng: Generator,
) -> list[Note]:  # fmt: skip
    """Write fills, and cymbal and bass drum on the downbeat after them; adds missing parts to `parts`."""
    drums = [name for name in ("snare", "tom") if name in parts or rng.random() < 0.7] or ["snare"]
    if rng.random() < 0.5:
        drums.append("tom-low")
    jitter_s = next(iter(parts.values())).jitter_s
    notes: list[Note] = []
    density, always = rng.uniform(0.4, 0.95), 0.8 * rng.random()
    for number, begins in fills.items():
        bar = bars[number]
        places = np.arange(round(begins * kit.tatums), bar.beats * kit.tatums)
        for count, place in enumerate(places.tolist()):
            if rng.random() < density:
                drum = drums[min(len(drums) - 1, count * len(drums) // len(places))]
                parts.setdefault(drum, Part(drum.removesuffix("-low"), float(rng.normal(0, 3)), 0.0, jitter_s))
                velocity = float(np.clip(0.55 + 0.35 * count / len(places) + rng.normal(0, 0.06), 0.1, 1))
                notes.append(Note(bar.start + place / kit.tatums, 0, drum, velocity))
    for number, bar in enumerate(bars):
        if crashes and rng.random() < (0.75 if number - 1 in fills else always if bar.number == 0 else 0):
            parts.setdefault("crash", Part("crash", float(rng.normal(-3, 3)), 0.0, jitter_s))
            notes.append(Note(float(bar.start), 0, "crash", float(rng.uniform(0.7, 1))))
            if "kick" in parts:
                notes.append(Note(float(bar.start), 0, "kick", 1.0))
    return notes


def _even(grid: str, cycle: int) -> str:
    """Return a bar of a grid whose second half is the first one, or the other way round: the half that is fuller."""
    half = cycle // 2
    return max((grid[at : at + half] for at in range(0, len(grid), half)), key=lambda part: half - part.count(".")) * 2
