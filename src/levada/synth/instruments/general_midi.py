"""General MIDI keys and programs of every voice.

The percussion keys are those of Level 2 and Roland's GS, 27 to 87. A voice that is in neither is played
by a similar one, transposed; voices without a similar one are missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["DRUMS", "PERCUSSION", "PROGRAMS", "Source"]

DRUMS = 128
"""The bank of percussion, whose programs are kits."""

MELODIC_TOM, TAIKO = 117, 116


class Source(NamedTuple):
    """One mapping of a percussion voice to keys.

    Parameters
    ----------
    strokes : mapping of str to tuple of int
        Stroke -> alternative keys, one of which is sampled; "open" is required.
    semitones : tuple of float
        Range of transposition.
    program : int or None
        Program of the keys; None for a percussion kit.
    ring_s : float
        Greatest decay time.
    """

    strokes: Mapping[str, tuple[int, ...]]
    semitones: tuple[float, float] = (-1.5, 1.5)
    program: int | None = None
    ring_s: float = float("inf")


def _kit(*semitones: float, ring_s: float = float("inf"), **strokes: int | tuple[int, ...]) -> Source:
    keys = {stroke: (key,) if isinstance(key, int) else key for stroke, key in strokes.items()}
    return Source(keys, (semitones[0], semitones[1]) if semitones else (-1.5, 1.5), ring_s=ring_s)


def _tuned(program: int, *keys: int, ring_s: float = float("inf")) -> Source:
    return Source({"open": keys}, (-0.7, 0.7), program, ring_s)


PERCUSSION: Mapping[str, tuple[Source, ...]] = {
    "kick": (_kit(open=(36, 35)),),
    "snare": (_kit(open=(38, 40), rim=37, stick=37),),
    "rim": (_kit(open=37),),
    "clap": (_kit(open=39),),
    "hat": (_kit(open=42, muted=42, low=44, shake=44, high=46),),
    "open-hat": (_kit(open=46, muted=42),),
    "ride": (_kit(open=(51, 59), high=53, rim=53),),
    "crash": (_kit(open=(49, 57, 55)),),
    "tom": (_kit(open=(45, 47), low=(41, 43), high=(48, 50), rim=37),),
    "conga": (_kit(open=63, muted=62, slap=62, low=64, high=63, bass=64),),
    "bongo": (_kit(open=60, high=60, low=61),),
    "timbale": (_kit(open=65, high=65, low=66, rim=37),),
    "djembe": (_kit(-6, -1, open=64, high=63, slap=62), _kit(-5, -1, open=63, slap=62), _kit(0, 4, open=48, bass=41)),
    "surdo": (_kit(-3, 1.5, open=87, muted=86), _kit(-4, 0, open=(41, 43)), _tuned(MELODIC_TOM, 24, 30, 36)),
    "tamborim": (
        _kit(-10, -4, open=60, ring_s=0.15),
        _kit(-4, 3, open=61, ring_s=0.15),
        _kit(9, 15, open=65, rim=37, ring_s=0.15),
    ),
    "chico": (
        _kit(0, 8, open=63, stick=65, slap=62, ring_s=0.35),
        _kit(3, 10, open=64, slap=62, ring_s=0.35),
        _tuned(MELODIC_TOM, 74, 80, 86, ring_s=0.35),
    ),
    "repique": (
        _kit(-5, 3, open=63, stick=65, slap=62, ring_s=0.45),
        _kit(-4, 4, open=64, slap=62, ring_s=0.45),
        _tuned(MELODIC_TOM, 62, 68, 74, ring_s=0.45),
    ),
    "piano-drum": (
        _kit(-1, 7, open=45, ring_s=0.9),
        _kit(-4, 4, open=47, ring_s=0.9),
        _tuned(MELODIC_TOM, 34, 42, ring_s=0.9),
        _tuned(TAIKO, 60, 66, 72, ring_s=0.9),
    ),
    "woodblock": (_kit(open=76, high=76, low=77), _kit(open=77, high=76, low=77)),
    "claves": (_kit(open=75),),
    "cowbell": (_kit(-4, 4, open=56),),
    "agogo": (_kit(-2, 2, open=67, high=67, low=68), _kit(-2, 2, open=68, high=67, low=68)),
    "triangle": (_kit(open=81, muted=80),),
    "shaker": (_kit(open=82), _kit(open=69), _kit(-4, 0, open=70)),
    "maracas": (_kit(open=70),),
    "tambourine": (_kit(open=54),),
    "guiro": (_kit(open=74, muted=73, high=73), _kit(open=73)),
    "caixa": (_kit(0, 4, open=(38, 40), rim=37),),
    "repinique": (_kit(-2, 3, open=65, low=66, rim=37), _kit(5, 9, open=(48, 50), rim=37)),
    "cuica": (_kit(-2, 3, open=79, muted=78, high=78, low=79),),
    "whistle": (_kit(-5, 0, open=72, muted=71, low=72, high=71),),
    "zabumba": (_kit(0, 5, open=(35, 36)), _kit(-3, 3, open=41), _tuned(TAIKO, 44, 50, 56)),
    "alfaia": (_kit(-2, 3, open=(41, 43)), _kit(-3, 0, open=87, muted=86), _tuned(TAIKO, 48, 56)),
    "gongue": (_kit(-5, 0, open=56), _kit(-9, -4, open=68, high=67)),
    "tambora": (_kit(-1, 4, open=(43, 45), rim=37, stick=37), _tuned(MELODIC_TOM, 34, 40)),
    "llamador": (_kit(-2, 3, open=63, muted=62), _kit(0, 4, open=64), _tuned(MELODIC_TOM, 62, 68)),
    "alegre": (_kit(-5, 2, open=63, slap=62, low=64, muted=62),),
    "guira": (_kit(0, 3, open=69), _kit(4, 8, open=73)),
    "bombo": (_kit(-3, 3, open=41), _kit(-4, 0, open=87, muted=86), _tuned(TAIKO, 44, 52)),
    "cata": (_kit(-5, 0, open=77), _kit(-9, -5, open=75)),
    "chekere": (_kit(-5, -1, open=69), _kit(-7, -3, open=70)),
    "quijada": (_kit(-2, 2, open=58),),
}

PROGRAMS: Mapping[str, tuple[int, ...]] = {
    "bass": (32, 32, 33, 33, 34, 35, 36, 38, 39, 43, 58),
    "pluck": (24, 25, 26, 27, 28, 45, 46, 104, 105, 106, 107, 108),
    "keys": (0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 12, 13),
    "organ": (16, 17, 18, 19, 20, 21),
    "pad": (48, 49, 50, 51, 52, 88, 89, 90, 91, 94),
    "reed": (64, 65, 66, 67, 68, 69, 71, 22),
    "singer": (52, 53, 54, 85, 73, 40, 64, 80, 81),
    "piano": (0, 0, 1, 2, 3),
    "guitar": (24, 24, 25, 26, 27, 28, 29, 30),
    "tres": (25, 106, 107),
    "charango": (24, 25, 46, 107),
    "accordion": (21, 21, 22, 23),
    "flute": (72, 73, 73, 74, 75, 77, 79),
    "brass": (56, 57, 59, 60, 61, 62, 63),
    "strings": (40, 41, 42, 44, 45, 48, 49),
}
