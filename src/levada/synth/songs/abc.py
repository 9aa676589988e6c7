"""Tunes in ABC notation, as far as collections of one-voice folk tunes use it.

The notation is Chris Walshaw's, "The abc music standard 2.1", 2011. Read are the headers M, L, K and Q, notes with
accidentals, lengths, broken rhythms, ties and tuplets. Repeats are played once, with their last ending. Grace notes,
slurs, ornaments, words and chord symbols are passed over; of notes that sound together the highest is taken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

__all__ = ["WHOLE", "Tune", "read_abc"]

WHOLE = 2**11 * 9 * 5 * 7  # ticks of a whole note: every length that is written is a whole number of them

STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
FIFTHS = {"F": -1, "C": 0, "G": 1, "D": 2, "A": 3, "E": 4, "B": 5}
MODES = {"": 0, "maj": 0, "ion": 0, "m": 5, "min": 5, "aeo": 5, "mix": 4, "dor": 1, "phr": 2, "lyd": 3, "loc": 6}
FLATTER = (0, -2, -4, 1, -1, -3, -5)  # sharps of a mode less those of major
ACCIDENTALS = {"^^": 2, "^": 1, "=": 0, "_": -1, "__": -2}
TUPLETS = {2: 3, 3: 2, 4: 3, 6: 2, 8: 3}  # so many notes in the time of so many; 5, 7 and 9 as the metre has it

SKIPPED = re.compile(r'"[^"]*"|\{[^}]*\}|![^!\n]*!|\+[^+\n]*\+|%.*|\[[A-Z]:[^\]]*\]|[`\\~.]|[H-WYh-wy]')
NOTE = r"(?P<sharp>\^{1,2}|_{1,2}|=)?(?P<letter>[A-Ga-gzxZX])(?P<octave>[,']*)"
LENGTH = r"(?P<times>\d*)(?P<slash>/*)(?P<parts>\d*)"
TOKEN = re.compile(
    rf"(?P<together>\[(?P<notes>[^\]|:\[]*[A-Ga-g][^\]|:\[]*)\]|{NOTE}){LENGTH}"
    r"|\((?P<tuplet>[2-9])(?::(?P<time>\d?)(?::(?P<count>\d?))?)?"
    r"|(?P<broken>>+|<+)|(?P<tie>-)|(?P<bar>[|:\[\]]*[|:\[\]] *(?P<ending>[1-9](?:[,-][1-9])*)?)"
)
IGNORED = " \t\n()]*"
ENDING = re.compile(r"[|:\[] *([1-9])")


@dataclass(frozen=True)
class Tune:
    """A tune: times and lengths are ticks, of which a whole note has `WHOLE`.

    Parameters
    ----------
    metre : str
        As it is written, such as "6/8", "C" or "C|".
    tonic : int
        Pitch class of the tonic.
    mode : int
        Degree of the major scale that the tonic stands on, from 0: 0 is major, 5 minor, 1 Dorian.
    notes : tuple of (int, int, int)
        Start, length and MIDI number.
    bars : tuple of int
        Where bar lines are.
    length : int
        Where it ends.
    per_minute : int or None
        Tempo, in ticks a minute.
    """

    metre: str
    tonic: int
    mode: int
    notes: tuple[tuple[int, int, int], ...]
    bars: tuple[int, ...]
    length: int
    per_minute: int | None


def read_abc(text: str) -> Tune:
    """Read one tune.

    Parameters
    ----------
    text : str
        From its line ``X:`` on.

    Returns
    -------
    Tune

    Raises
    ------
    ValueError
        If it has no metre or key, several voices, changes its metre or key, or uses what is not read here.
    """
    fields: dict[str, str] = {}
    body = []
    for line in text.splitlines():
        field = re.match(r"([A-Za-z]):(?![|:])\s*([^%]*)", line)
        if field is None:
            body.append(line if "K" in fields else "")
        elif field[1] in "MLKV" and (field[1] == "V" or "K" in fields):
            raise ValueError(f"changes its field {field[1]}, or has voices")
        else:
            fields.setdefault(field[1], field[2].strip())
    metre = fields.get("M", "").replace(" ", "")
    music = "\n".join(body)
    if not metre or re.search(r"\[[VMLK]:|&", music):
        raise ValueError("has no metre, several voices, or changes within a line")
    tonic, mode, sharps = _key(fields.get("K", ""))
    size = Fraction(1) if metre in ("C", "C|") else Fraction(metre)
    unit = Fraction(fields.get("L") or (Fraction(1, 16) if size < Fraction(3, 4) else Fraction(1, 8)))
    compound = metre in ("6/8", "9/8", "12/8")
    notes, bars, length = _music(SKIPPED.sub("", music), int(unit * WHOLE), sharps, compound)
    speed = re.search(r"(\d+/\d+) *= *(\d+)", fields.get("Q", ""))
    per_minute = int(Fraction(speed[1]) * int(speed[2]) * WHOLE) if speed else None
    return Tune(metre, tonic, mode, notes, bars, length, per_minute)


def _key(text: str) -> tuple[int, int, int]:
    """Pitch class of the tonic, mode, and sharps of the signature; flats are negative."""
    match = re.match(r"([A-G])([#b]?) *([A-Za-z]*)", text)
    mode = match[3].lower() if match else ""
    mode = mode if mode == "m" else mode[:3]
    if match is None or mode not in MODES:
        raise ValueError(f"has a key that is not read: {text!r}")
    bent = {"#": 1, "b": -1, "": 0}[match[2]]
    place = MODES[mode]
    return (STEPS[match[1]] + bent) % 12, place, FIFTHS[match[1]] + 7 * bent + FLATTER[place]


def _music(
    text: str, unit: int, sharps: int, compound: bool
) -> tuple[tuple[tuple[int, int, int], ...], tuple[int, ...], int]:
    """Notes, bar lines and the end, in ticks."""
    signature = dict.fromkeys("FCGDAEB"[: max(0, sharps)], 1)
    signature |= dict.fromkeys("BEADGCF"[: max(0, -sharps)], -1)
    notes: list[tuple[int, int, int]] = []
    bars: list[int] = []
    bent: dict[str, int] = {}
    now = last = scaled = 0
    swing, scale = (1, 1), (1, 1)
    tied = skipping = False
    place = 0
    for token in TOKEN.finditer(text):
        if text[place : token.start()].strip(IGNORED):
            raise ValueError(f"uses what is not read: {text[place : token.start()].strip()!r}")
        place = token.end()
        if token["bar"]:
            if token["ending"]:
                following = ENDING.search(text, place)
                skipping = token["ending"] == "1" and following is not None and following[1] != "1"
            bars.append(now)
            bent = {}
        elif skipping:
            continue
        elif token["tuplet"]:
            many = int(token["tuplet"])
            scale = (int(token["time"] or TUPLETS.get(many, 3 if compound else 2)), many)
            scaled = int(token["count"] or many)
        elif token["broken"]:
            parts = 2 ** len(token["broken"])
            first, second = (2 * parts - 1, 1) if token["broken"][0] == ">" else (1, 2 * parts - 1)
            swing = (second, parts)
            change = last * (first - parts) // parts
            if notes and notes[-1][0] + notes[-1][1] == now:
                notes[-1] = (notes[-1][0], notes[-1][1] + change, notes[-1][2])
            now, last = now + change, last + change
        elif token["tie"]:
            tied = True
        else:
            times, parts = _length(token)
            found = list(re.finditer(NOTE, token["notes"])) if token["notes"] else [token]
            if token["notes"] and (inner := re.search(NOTE + LENGTH, token["notes"])):
                times, parts = times * _length(inner)[0], parts * _length(inner)[1]
            over, under = scale if scaled else (1, 1)
            last = unit * times * swing[0] * over // (parts * swing[1] * under)
            swing, scaled = (1, 1), max(0, scaled - 1)
            pitches = [p for p in (_pitch(note, signature, bent) for note in found) if p is not None]
            if pitches and tied and notes and notes[-1][2] == max(pitches) and notes[-1][0] + notes[-1][1] == now:
                notes[-1] = (notes[-1][0], notes[-1][1] + last, notes[-1][2])
            elif pitches:
                notes.append((now, last, max(pitches)))
            now, tied = now + last, False
    if text[place:].strip(IGNORED) or not notes:
        raise ValueError("has no notes, or ends in what is not read")
    return tuple(notes), tuple(bars), now


def _length(token: re.Match[str]) -> tuple[int, int]:
    """How many times the unit, and through what."""
    return int(token["times"] or 1), int(token["parts"] or 2 ** len(token["slash"]))


def _pitch(note: re.Match[str], signature: dict[str, int], bent: dict[str, int]) -> int | None:
    """MIDI number of a note, and what its accidental means for the rest of the bar; None is a rest."""
    letter = note["letter"]
    if letter in "zxZX":
        return None
    name = letter + note["octave"]
    if note["sharp"]:
        bent[name] = ACCIDENTALS[note["sharp"]]
    octave = (5 if letter.isupper() else 6) + note["octave"].count("'") - note["octave"].count(",")
    return 12 * octave + STEPS[letter.upper()] + bent.get(name, signature.get(letter.upper(), 0))
