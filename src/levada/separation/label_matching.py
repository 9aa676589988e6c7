"""Match the instruments of a song with the stems of a separator by name and by voice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from levada.data import REST
from levada.synth.instrument_names import OTHER, find_voice, find_voices, match_stems, normalise_name

__all__ = ["Match", "initial_instruments", "match", "substitute"]

SUBSTITUTES = {
    "open-hat": ("crash", "hat"),
    "ride": ("crash", "hat"),
    "snare": ("caixa", "pandeiro"),
    "tambourine": ("guira", "hat", "shaker"),
    "tom": ("piano-drum", "tambora", "surdo"),
}
"""Voices that the base was not trained on, and those with the most similar spectrum and decay; see `studies/LOG.md`."""


@dataclass(frozen=True)
class Match:
    """The stems of a separator that hold an instrument of a song."""

    stems: tuple[str, ...]  # their sum holds the instrument; none if the separator has no stem for it
    known: bool  # whether these stems are of this instrument alone


def match(instruments: Sequence[str], stems: Sequence[str], *, context: Collection[str] = ()) -> dict[str, Match]:
    """Find the stems of a separator that hold each instrument of a song.

    The same name is the same instrument; otherwise the same voice is (snare and caixa, a repique of samba and a
    repinique). "other" holds every instrument that is not struck and has no other stem, and "rest" is the remaining
    stems. Where one stem holds several instruments of the song (first and second surdo), it is matched with each of
    them, and `known` is False.

    Parameters
    ----------
    instruments : sequence of str
        Instruments of the song.
    stems : sequence of str
        Stems of the separator.
    context : collection of str
        The instruments of the whole corpus, for ambiguous names.

    Returns
    -------
    dict of str to Match
        By instrument, in the order of `instruments`.
    """
    named = [name for name in instruments if name != REST]
    pairs, voices = match_stems(named, stems, context=context), find_voices(named, context=context)
    other = next((stem for stem in stems if normalise_name(stem) == OTHER), None)
    if other is not None:
        pairs |= {name: [other] for name in named if not pairs[name] and voices[name] == OTHER}
    if REST in instruments:
        matched = {stem for pair in pairs.values() for stem in pair}
        pairs[REST] = [stem for stem in stems if stem not in matched]
    uses = Counter(stem for pair in pairs.values() for stem in pair)
    return {
        name: Match(tuple(pairs[name]), bool(pairs[name]) and all(uses[stem] == 1 for stem in pairs[name]))
        for name in instruments
    }


def substitute(name: str, available: Collection[str], *, used: Collection[str] = ()) -> str | None:
    """Find the instrument of a model whose stem is most similar to an instrument that the model lacks.

    Parameters
    ----------
    name : str
        Of the instrument, by any name.
    available : collection of str
        The instruments of the model.
    used : collection of str
        Those of them that play themselves.

    Returns
    -------
    str or None
        None if no instrument is similar enough.
    """
    candidates = SUBSTITUTES.get(find_voice(name) or "", ())
    return next((one for one in candidates if one in available and one not in used), None)


def initial_instruments(instruments: Sequence[str], available: Sequence[str]) -> list[str | None]:
    """Find the instrument of a network that each new instrument is initialised from.

    Parameters
    ----------
    instruments : sequence of str
        By any name.
    available : sequence of str
        The instruments of the network.

    Returns
    -------
    list of str or None
        The instrument of the same voice; "other" for one that is not struck; None if the network has neither.
    """
    pairs, voices = match_stems(instruments, available), find_voices(instruments)
    other = OTHER if OTHER in available else None
    return [next(iter(pairs[name]), other if voices[name] == OTHER else None) for name in instruments]
