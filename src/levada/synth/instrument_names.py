"""Names of stems and instruments, and the voices that they denote.

A *voice* is levada's own name of a struck instrument, a key of `levada.synth.instruments.STRUCK`, or "other", which
is everything
that is not struck. Traditions say what their instruments are called; a name that means one thing here and another
there (a *piano* of candombe is a drum) is settled by what else plays.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from pathlib import PurePath
from typing import NamedTuple

from levada.io.audio import SUFFIXES
from levada.io.toml import read_toml
from levada.synth.instruments import PITCHED, STRUCK
from levada.synth.traditions import Tradition, list_traditions

__all__ = [
    "OTHER",
    "find_instrument",
    "find_voice",
    "find_voices",
    "match_stems",
    "normalise_name",
    "slug",
    "stem_names",
]

OTHER = "other"
"""The voice of everything that is not struck."""

NUMBERED = frozenset({"stem", "track", "audio", "channel", "ch", "pista", "faixa"})  # meaningless without their number
TAKE = r"(?:take|tk|toma|no|nr|n|t|v)"

KIT = {  # drum kits, which no tradition has
    "kick": ("bass-drum", "bassdrum", "kick-drum", "bd", "kd", "bumbo"),
    "snare": ("snare-drum", "sd"),
    "tom": ("toms", "tom-tom", "floor-tom", "rack-tom"),
    "hat": ("hi-hat", "hihat", "hats", "hh", "high-hat", "closed-hat"),
    "ride": ("ride-cymbal",),
    "crash": ("crash-cymbal", "cymbals", "cymbal"),
    "clap": ("claps", "handclaps", "hand-claps"),
}
NOT_STRUCK = (
    "bass", "guitar", "guitars", "voice", "voices", "vocal", "vocals", "vox", "singer", "singers", "choir", "coro",
    "keyboard", "keyboards", "synth", "synthesizer", "synthesiser", "organ", "flute", "clarinet", "saxophone", "sax",
    "oboe", "bassoon", "trumpet", "trombone", "tuba", "horn", "horns", "brass", "violin", "viola", "cello", "strings",
    "harp", "banjo", "mandolin", "accordion", "harmonica", "voz", "vozes", "voces", "cavaco", "violao", "baixo", "bajo",
    "guitarra", "contrabass", "contrabajo", "melody", "harmony", "others", "accompaniment",
)  # fmt: skip


class _Meaning(NamedTuple):
    """A meaning of a name."""

    voice: str
    own: bool  # it is the name, not an alias


def slug(name: str) -> str:
    """Write a name in lower case and without accents, words and numbers joined by hyphens: "surdo-1" of "Surdo 1"."""
    folded = unicodedata.normalize("NFKD", name).casefold()
    letters = "".join(letter for letter in folded if not unicodedata.combining(letter))
    return "-".join(re.findall(r"[^\W_]+", letters))


def normalise_name(name: str) -> str:
    """Normalise the name of a file or stem.

    Parameters
    ----------
    name : str
        A name in any spelling.

    Returns
    -------
    str
        In lower case, without accents, suffix and number of the take, words joined by hyphens: "agogo" of
        "Agogô_2.wav". Where the number is all there is ("stem_02"), it stays.
    """
    bare = PurePath(name.replace("\\", "/")).name
    stem, dot, suffix = bare.rpartition(".")
    if stem and dot + suffix.lower() in SUFFIXES:
        bare = stem
    words = slug(bare)
    found = re.sub(rf"(?:(?:-|(?<=\d))?(?:(?<![^\W_]){TAKE})?-?\d+)+$", "", words)
    found = re.sub(r"^(?:\d+-)+(?=.)", "", found)
    found = re.sub(r"(?<=.)-(?:take|toma)$", "", found)
    if found.rpartition("-")[2] in NUMBERED or not found:
        number = re.search(r"\d+(?!.*\d)", words)
        return "-".join([*([found] if found else []), *([str(int(number[0]))] if number else [])])
    return found


def find_voice(name: str, *, among: Collection[str] = (), context: Collection[str] = ()) -> str | None:
    """Find the voice that a name denotes.

    Parameters
    ----------
    name : str
        Of a stem, a file or an instrument, in any spelling: a voice, an instrument of a tradition that ships, one of
        its aliases, or some words with one of them inside ("surdo de primeira").
    among : collection of str
        What else there is: where the name means several things, it means what it does in the tradition that knows the
        most of these.
    context : collection of str
        What decides where `among` does not: the instruments of the whole corpus, for those of a song.

    Returns
    -------
    str or None
        A key of `levada.synth.instruments.STRUCK`, or "other"; nothing if the name is unknown.
    """
    found = find_instrument(name, among=among, context=context)
    return found[1] if found else None


def find_voices(names: Collection[str], *, context: Collection[str] = ()) -> dict[str, str | None]:
    """Find the voices of a set of distinct names: the instruments of a song, or the stems of a model.

    Parameters
    ----------
    names, context : collection of str
        As `among` and `context` of `find_voice`.

    Returns
    -------
    dict of str to str or None
        As `find_voice` has it, but a name that is a voice of its own is that voice where another name stands for the
        one that it would be taken for: beside a repinique, a repique is the drum of candombe.
    """
    voices = {name: find_voice(name, among=names, context=context) for name in names}
    for name, voice in tuple(voices.items()):
        own = normalise_name(name)
        if own in STRUCK and voice != own and any(normalise_name(other) == voice for other in names):
            voices[name] = own
    return voices


def match_stems(
    names: Collection[str], stems: Collection[str], *, context: Collection[str] = ()
) -> dict[str, list[str]]:
    """Match each instrument of a song to the stems of a model that contain it.

    Parameters
    ----------
    names : collection of str
        Instruments of a song.
    stems : collection of str
        What a model gives.
    context : collection of str
        The instruments of the whole corpus, for names that mean several things.

    Returns
    -------
    dict of str to list of str
        For each name: the stem of the same name and voice; else the stems of its voice that have no name of the song;
        else the stem of the same name; empty if there is none. A name that is unknown, or that is not struck, is in a
        stem of the same name only. Numbers count where both have them: surdo-1 is in surdo-1, not in surdo-2.
    """
    ours, theirs = find_voices(names, context=context), find_voices(stems)
    often = Counter(map(normalise_name, stems))
    called = {normalise_name(stem): stem for stem in stems if often[normalise_name(stem)] == 1} | {
        slug(stem): stem for stem in stems
    }
    same = {name: called[key] for name in names for key in (normalise_name(name), slug(name)) if key in called}
    found = {name: [stem] for name, stem in same.items() if ours[name] == theirs[stem]}
    taken = {stem for (stem,) in found.values()}
    for name in names:
        if name not in found and ours[name] not in (None, OTHER):
            alike = [stem for stem in stems if theirs[stem] == ours[name]]
            found[name] = [stem for stem in alike if stem not in taken] or alike
    for name, stem in same.items():
        if not found.get(name) and stem not in taken:
            found[name] = [stem]
    return {name: found.get(name, []) for name in names}


def find_instrument(name: str, *, among: Collection[str] = (), context: Collection[str] = ()) -> tuple[str, str] | None:
    """Find the instrument in a name.

    Parameters
    ----------
    name : str
    among, context : collection of str
        As in `find_voice`.

    Returns
    -------
    tuple of str or None
        The part of the plain name that is known ("surdo" of "Roda 3 - surdo.wav"), and its voice. What is not struck
        keeps the whole name, as a singer and a second singer are two things.
    """
    whole = normalise_name(name)
    others, beyond = frozenset(map(normalise_name, among)) | {whole}, frozenset(map(normalise_name, context))
    for part in _parts(whole):
        voice = _resolve(part, others, beyond)
        if voice is not None:
            return (whole if voice == OTHER else part), voice
    return None


def stem_names(tradition: Tradition) -> dict[str, str]:
    """Return the stem names of a tradition, as a separator uses them.

    Parameters
    ----------
    tradition : Tradition

    Returns
    -------
    dict of str to str
        Name -> voice, in the order of the tradition. Instruments of one voice are one, called by their voice (first
        and second surdo are "surdo"); a single one keeps the name it has in the tradition ("chocalho" -> "shaker").
        All that is not struck is one too: "other".
    """
    names: dict[str, list[str]] = {}
    for part in tradition.instruments:
        names.setdefault(part.voice if part.voice in STRUCK else OTHER, []).append(normalise_name(part.name))
    struck = [voice for voice in names if voice != OTHER]
    found = {voice: names[voice][0] if len(names[voice]) == 1 else voice for voice in struck}
    taken = [*found.values(), OTHER]
    called = {name if taken.count(name) == 1 else voice: voice for voice, name in found.items()}
    return {**called, OTHER: OTHER} if OTHER in names else called


def _parts(name: str) -> Iterator[str]:
    """Yield all sequences of words of a name, the longest first, prefixes before suffixes before others."""
    words = name.split("-")
    yield name
    for count in range(len(words) - 1, 0, -1):
        yield "-".join(words[:count])
        yield "-".join(words[-count:])
        yield from ("-".join(words[at : at + count]) for at in range(1, len(words) - count))


@lru_cache(maxsize=4096)
def _resolve(name: str, among: frozenset[str], context: frozenset[str]) -> str | None:
    """Return the voice of a name in the context of other names."""
    if name == OTHER:
        return OTHER
    best: tuple[int, int, bool, bool, int, str] | None = None
    votes: dict[str, int] = {}
    bare, *traditions = _vocabularies()
    known = [(words, len(among & words.keys()), len(context & words.keys())) for words in traditions if name in words]
    known += [(bare, 1, 1)] if name in bare else []  # names of voices do not indicate a tradition
    for words, *_ in known:
        votes[words[name].voice] = votes.get(words[name].voice, 0) + 1
    for words, explained, around in known:
        voice, own = words[name]
        rank = (explained, around, voice == name, own, votes[voice], voice)
        if best is None or rank > best:
            best = rank
    return best[-1] if best else None


@lru_cache(maxsize=1)
def _vocabularies() -> tuple[Mapping[str, _Meaning], ...]:
    """Return vocabularies: voices, drum kits, pitched instruments, and one for each tradition."""
    vocabularies: list[dict[str, _Meaning]] = [
        {name: _Meaning(name, True) for name in STRUCK},
        {alias: _Meaning(voice, voice == alias) for voice, aliases in KIT.items() for alias in (voice, *aliases)},
        {name: _Meaning(OTHER, True) for name in (*PITCHED, *NOT_STRUCK)},
    ]
    for path in list_traditions().values():
        words: dict[str, _Meaning] = {}
        for name, part in read_toml(path)["instruments"].items():  # reading whole traditions would take a second
            voice = part.get("voice", name) if part.get("voice", name) in STRUCK else OTHER
            for alias in part.get("aliases", ()):
                words.setdefault(normalise_name(alias), _Meaning(voice, False))
            words[normalise_name(name)] = _Meaning(voice, True)
        for meaning in tuple(words.values()):
            words.setdefault(meaning.voice, _Meaning(meaning.voice, False))
        vocabularies.append(words)
    return tuple(vocabularies)
