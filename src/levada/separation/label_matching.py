"""Which stems of a separator hold which instrument of a song, where they are called differently."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from levada.data import REST
from levada.synth.instrument_names import OTHER, find_voices, match_stems, normalise_name

__all__ = ["Match", "initial_instruments", "match"]


@dataclass(frozen=True)
class Match:
    """Where a separator puts an instrument of a song."""

    stems: tuple[str, ...]  # their sum holds the instrument; none if the separator has no stem for it
    known: bool  # whether these stems are of this instrument alone


def match(instruments: Sequence[str], stems: Sequence[str], *, context: Collection[str] = ()) -> dict[str, Match]:
    """Find for every instrument of a song the stems of a separator that hold it.

    The same name is the same instrument; otherwise the same voice is (snare and caixa, a repique of samba and a
    repinique). "other" holds all that is not struck and that has no stem of its own, and "rest" is all that no other
    instrument of the song is. Where a separator has one stem for what are several instruments of the song (first and
    second surdo), that stem is what it gives for each of them, and it knows none of them.

    Parameters
    ----------
    instruments : sequence of str
        What a song has.
    stems : sequence of str
        What a separator gives.
    context : collection of str
        The instruments of the whole corpus, for names that mean several things.

    Returns
    -------
    dict of str to Match
        By instrument, in the order given.
    """
    named = [name for name in instruments if name != REST]
    found, voices = match_stems(named, stems, context=context), find_voices(named, context=context)
    other = next((stem for stem in stems if normalise_name(stem) == OTHER), None)
    if other is not None:
        found |= {name: [other] for name in named if not found[name] and voices[name] == OTHER}
    if REST in instruments:
        taken = {stem for held in found.values() for stem in held}
        found[REST] = [stem for stem in stems if stem not in taken]
    often = Counter(stem for held in found.values() for stem in held)
    return {
        name: Match(tuple(found[name]), bool(found[name]) and all(often[stem] == 1 for stem in found[name]))
        for name in instruments
    }


def initial_instruments(instruments: Sequence[str], known: Sequence[str]) -> list[str | None]:
    """Find from which instrument of a network each of other instruments is initialised.

    Parameters
    ----------
    instruments : sequence of str
        By any name.
    known : sequence of str
        The instruments of the network.

    Returns
    -------
    list of str or None
        Those of the same voice, "other" for what is not struck; None where the network has none.
    """
    pairs, voices = match_stems(instruments, known), find_voices(instruments)
    other = OTHER if OTHER in known else None
    return [next(iter(pairs[name]), other if voices[name] == OTHER else None) for name in instruments]
