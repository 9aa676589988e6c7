"""Generate chords for a melody."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from levada.synth.songs.notes import Chord, Note

__all__ = ["harmonise"]

SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 9, 10), (0, 1, 3, 5, 7, 8, 10), (0, 2, 4, 6, 7, 9, 11),
          (0, 2, 4, 5, 7, 9, 10), (0, 2, 3, 5, 7, 8, 10), (0, 1, 3, 5, 6, 8, 10))  # fmt: skip
PREFERENCES = (1.0, 0.3, 0.2, 0.7, 0.8, 0.35, 0.3)  # bias for the triad of each degree, in eighths of a segment


def harmonise(melody: Sequence[Note], *, edges: Sequence[float], tonic: int, mode: int) -> tuple[Chord, ...]:
    """Choose the triad of the key that covers most of the melody in every segment; the last is the tonic.

    Parameters
    ----------
    melody : sequence of Note
    edges : sequence of float [shape=(n + 1,)]
        Where chords may change, in beats, and the end.
    tonic : int
        Pitch class, 0 to 11.
    mode : int
        The degree of the major scale it stands on, from 0: 0 is major, 5 is minor, 1 is Dorian.

    Returns
    -------
    tuple of Chord
        Neighbours differ; diminished triads do not occur.
    """
    scale = SCALES[mode]
    triads = [tuple((tonic + scale[(degree + third) % 7]) % 12 for third in (0, 2, 4)) for degree in range(7)]
    biases = {triad: bias for triad, bias in zip(triads, PREFERENCES, strict=True) if (triad[2] - triad[0]) % 12 == 7}
    found: list[Chord] = []
    segments = list(pairwise(edges))
    for start, end in segments:
        duration = [0.0] * 12
        for note in melody:
            duration[note.midi % 12] += max(0.0, min(end, note.beat + note.length) - max(start, note.beat))
        best = max(
            biases,
            key=lambda triad: sum(duration[pitch] for pitch in triad) + biases[triad] * (end - start) / 8,
        )
        chosen = triads[0] if (start, end) == segments[-1] and triads[0] in biases else best
        if found and found[-1].pitches == chosen:
            found[-1] = Chord(found[-1].beat, end - found[-1].beat, chosen)
        else:
            found.append(Chord(start, end - start, chosen))
    return tuple(found)
