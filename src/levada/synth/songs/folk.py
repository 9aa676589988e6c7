"""Folk tunes from the corpus of the package music21.

Read are Francis O'Neill's "Music of Ireland" (1903, the "1850 melodies"; oneills1850) and "Ryan's Mammoth Collection"
(Boston 1883; ryansMammoth): the music is in the public domain. The transcriptions of volunteers state no restriction,
neither in their files nor in their folders; nor do they state a licence, and are therefore read where they lie and
never copied. music21's corpus/license.txt says that it distributes them with permission, that some encodings may not be
used commercially, and that the works or folders concerned say so. Left out are therefore

- essenFolksong: its own licence calls its status unclear and permits non-commercial use only;
- nottingham-dataset: its source is distributed under the GPL;
- airdsAirs and miscFolk: editions of individuals, who do not say under which terms;
- scores in other formats, which are no folk tunes.

music21 itself, whose import takes seconds, is not imported.
"""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from math import ceil
from pathlib import Path

from levada.errors import InputError, MissingExtra
from levada.synth.songs.abc import WHOLE, Tune, read_abc
from levada.synth.songs.harmony import harmonise
from levada.synth.songs.notes import Note, Song

__all__ = ["list_tunes", "read_tune"]

COLLECTIONS = ("oneills1850", "ryansMammoth")
METRES = {
    "2/4": (2, WHOLE // 4), "3/4": (3, WHOLE // 4), "4/4": (4, WHOLE // 4), "C": (4, WHOLE // 4),
    "C|": (2, WHOLE // 2), "2/2": (2, WHOLE // 2),
    "6/8": (2, WHOLE * 3 // 8), "9/8": (3, WHOLE * 3 // 8), "12/8": (4, WHOLE * 3 // 8),
}  # fmt: skip  # beats a bar, ticks a beat
TEMPI = {(2, False): 105.0, (3, False): 120.0, (4, False): 110.0, (2, True): 110.0, (3, True): 110.0, (4, True): 100.0}
TEMPO_RANGE = (50.0, 200.0)


def list_tunes() -> list[str]:
    """List the names of the tunes that can be read.

    Returns
    -------
    list of str
        Such as "oneills1850/0001-0050/7": collection, file, and place in the file, counted from 1.

    Raises
    ------
    MissingExtra
        If music21 is not installed.
    InputError
        If it is installed without its corpus.
    """
    return list(_names())


def read_tune(name: str) -> Song:
    """Read a tune, with generated chords.

    Parameters
    ----------
    name : str
        As `list_tunes` gives it.

    Returns
    -------
    Song
        Its melody as it is written, repeats played once. Its tempo is the written one where there is one.

    Raises
    ------
    InputError
        If there is no such tune, or it is one that is not read: with several voices, changes of metre or key, or
        bars that do not add up.
    MissingExtra
        If music21 is not installed.
    """
    text = _texts().get(name)
    if text is None:
        raise InputError(f"there is no tune {name!r}; songs.tunes() lists them")
    try:
        return _song(name, read_abc(text))
    except (ValueError, ZeroDivisionError) as error:
        raise InputError(f"the tune {name} cannot be used: it {error}") from None


@lru_cache(maxsize=1)
def _names() -> tuple[str, ...]:
    return tuple(name for name, text in _texts().items() if _readable(text))


def _readable(text: str) -> bool:
    try:
        _pickup(read_abc(text))
    except (ValueError, ZeroDivisionError):
        return False
    return True


@lru_cache(maxsize=1)
def _texts() -> dict[str, str]:
    found = find_spec("music21")
    if found is None or not found.submodule_search_locations:
        raise MissingExtra("music21", extra="tunes", purpose="read folk tunes")
    corpus = Path(found.submodule_search_locations[0]) / "corpus"
    texts: dict[str, str] = {}
    for collection in COLLECTIONS:
        for path in sorted((corpus / collection).glob("*.abc")):
            blocks = re.split(r"^(?=X:)", path.read_text(encoding="latin-1"), flags=re.MULTILINE)[1:]
            texts |= {f"{collection}/{path.stem}/{number}": block for number, block in enumerate(blocks, 1)}
    if not texts:
        raise InputError("music21 is installed without its corpus: pip install --force-reinstall music21", path=corpus)
    return texts


def _song(name: str, tune: Tune) -> Song:
    pickup = _pickup(tune)
    metre, beat = METRES[tune.metre]
    compound = beat == WHOLE * 3 // 8
    before = ceil(pickup / beat)
    moved = before * beat - pickup
    melody = tuple(
        Note(at := (start + moved) / beat, length / beat, midi, _weight(at - before, metre))
        for start, length, midi in tune.notes
    )
    beats = ceil((tune.length + moved) / beat)
    edges = _chord_edges(beats, before, metre)
    chords = harmonise(melody, edges=edges, tonic=tune.tonic, mode=tune.mode)
    written = tune.per_minute / beat if tune.per_minute else 0.0
    tempo = written if TEMPO_RANGE[0] <= written <= TEMPO_RANGE[1] else TEMPI[metre, compound]
    return Song(name, metre, metre - before + 1 if before else 1, tempo, {"melody": melody}, chords, beats, compound)


def _chord_edges(beats: int, before: int, metre: int) -> list[int]:
    """Return where chords may change: on downbeats, and in the middle of a bar of four that ends a phrase."""
    downbeats = list(range(before or metre, beats, metre))
    first = 1 if before else 2  # number of the bar at the first of them
    middles = [beat + 2 for number, beat in enumerate(downbeats, first) if metre == 4 and number % 4 == 0]
    return [0, *sorted({*downbeats, *(beat for beat in middles if beat < beats)}), beats]


def _pickup(tune: Tune) -> int:
    """Return the ticks of the pickup; check the metre and the length of all bars."""
    if tune.metre not in METRES:
        raise ValueError(f"has the metre {tune.metre}")
    bar = METRES[tune.metre][0] * METRES[tune.metre][1]
    lines = sorted({line for line in tune.bars if 0 < line < tune.length})
    pickup = lines[0] if lines and lines[0] < bar else 0
    whole, odd = pickup, False
    for line in lines:
        if (line - pickup) % bar:
            if odd:
                raise ValueError("has bars that do not add up")
            odd = True
        elif line - whole > bar:
            raise ValueError("has a bar that is too long")
        else:
            whole, odd = line, False
    if tune.length - whole > bar or len(lines) < 4:
        raise ValueError("has bars that do not add up, or hardly any")
    return pickup


def _weight(beat: float, metre: int) -> float:
    """Return the velocity of a note: higher on downbeats, lower between beats."""
    if beat % 1:
        return 0.65
    return 0.85 if beat % metre == 0 else 0.75
