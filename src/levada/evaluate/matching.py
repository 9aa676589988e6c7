"""Which stem of a separator is which instrument of a song, where they are called differently."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from levada.corpus import REST
from levada.instruments import OTHER, plain, voice_of

__all__ = ["Pair", "match"]


@dataclass(frozen=True)
class Pair:
    """Instruments whose sound is one, and the stems of a separator that are compared with it."""

    instruments: tuple[str, ...]  # of the song; none if the song has nothing like these stems
    stems: tuple[str, ...]  # of the separator; none if it does not know these instruments

    @property
    def label(self) -> str:
        """What tables call them: as the song does, and as the separator where the song has none."""
        return "+".join(self.instruments or self.stems)


def match(instruments: Sequence[str], stems: Sequence[str]) -> tuple[Pair, ...]:
    """Find for every instrument the stem it should be in.

    The same name is the same thing; otherwise the same voice is (snare and caixa). Where a separator has one stem for
    what is several instruments to the song (first and second surdo), these are summed. "other" is all that is not
    struck and that no stem has, "rest" all that no instrument of the song is.

    Parameters
    ----------
    instruments : sequence of str
        What a song has.
    stems : sequence of str
        What a separator gives.

    Returns
    -------
    tuple of Pair
        In the order of the instruments, then those of stems that are nothing in the song; every instrument and every
        stem is in exactly one.
    """
    had = {name: _key(name, instruments) for name in instruments if name != REST}
    given = {name: _key(name, stems) for name in stems}
    pairs: list[Pair] = []
    for key in dict.fromkeys([*had.values(), *given.values()]):
        ours = [name for name, own in had.items() if own == key]
        theirs = [name for name, own in given.items() if own == key]
        pairs += _same_voice(ours, theirs, is_struck=key != OTHER)
    pairs = _gathered(pairs, OTHER, [pair for pair in pairs if not pair.stems and had[pair.instruments[0]] == OTHER])
    if REST in instruments:
        free = tuple(name for pair in pairs if not pair.instruments for name in pair.stems)
        pairs = [pair for pair in pairs if pair.instruments] + [Pair((REST,), free)]
    order = {name: index for index, name in enumerate(instruments)}
    return tuple(sorted(pairs, key=lambda pair: min((order[one] for one in pair.instruments), default=len(order))))


def _key(name: str, among: Sequence[str]) -> str:
    """The voice; of an unknown name itself, marked so that it is no voice."""
    return voice_of(name, among=among) or f"={plain(name)}"


def _same_voice(ours: list[str], theirs: list[str], *, is_struck: bool) -> list[Pair]:
    """Pairs among instruments and stems of one voice."""
    if is_struck and ours and theirs and min(len(ours), len(theirs)) == 1:
        return [Pair(tuple(ours), tuple(theirs))]
    called = {plain(name): name for name in theirs}
    pairs = [Pair((name,), (called.pop(plain(name)),)) for name in ours if plain(name) in called]
    left = [name for name in ours if not any(name in pair.instruments for pair in pairs)]
    if is_struck and left and called:
        return [*pairs, Pair(tuple(left), tuple(called.values()))]
    return [*pairs, *(Pair((name,), ()) for name in left), *(Pair((), (name,)) for name in called.values())]


def _gathered(pairs: list[Pair], stem: str, lost: list[Pair]) -> list[Pair]:
    """Instruments without a stem of their own go to one for all such, if there is one that nothing else is in."""
    at = next((pair for pair in pairs if stem in map(plain, pair.stems)), None)
    if at is None or not lost:
        return pairs
    together = Pair((*at.instruments, *(name for pair in lost for name in pair.instruments)), at.stems)
    return [pair for pair in pairs if pair not in lost and pair != at] + [together]
