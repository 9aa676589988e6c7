"""Folk tunes: ABC notation, chords made up for a melody, and the tunes of music21."""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from levada.errors import InputError, MissingExtra
from levada.synth.songs import Chord, Note, folk, list_tunes, read_tune
from levada.synth.songs.abc import WHOLE, read_abc
from levada.synth.songs.harmony import harmonise

needs_music21 = pytest.mark.skipif(importlib.util.find_spec("music21") is None, reason="needs music21 and its corpus")

# music21 drops notes under a fermata, breaks rhythms across fingerings and forgets some accidentals: not in these
COMPARED = [
    "oneills1850/0900-0950/11", "oneills1850/1556-1624/55", "oneills1850/0401-0486/69", "oneills1850/0201-0300/9",
    "oneills1850/1376-1475/15", "oneills1850/0101-0200/19", "oneills1850/1176-1275/26",
    "ryansMammoth/LanigansBallJig/1", "ryansMammoth/PrimaDonnaHornpipe/1", "ryansMammoth/RakishHighlanderReel/1",
]  # fmt: skip


def tune(music: str, *, metre: str = "4/4", key: str = "C", more: str = "L:1/4\n") -> str:
    return f"X:1\nT:A tune\nM:{metre}\n{more}K:{key}\n{music}\n"


def quarters(text: str) -> list[tuple[float, float, int]]:
    return [(4 * start / WHOLE, 4 * length / WHOLE, midi) for start, length, midi in read_abc(text).notes]


@pytest.fixture
def song_of(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], folk.Song]:
    """The song of a text in ABC, as if it were one of the library's."""

    def read(text: str) -> folk.Song:
        monkeypatch.setattr(folk, "_texts", lambda: {"mine": text})
        return read_tune("mine")

    return read


@pytest.mark.parametrize(
    ("music", "expected"),
    [
        ("C, C c c'", [(0, 1, 48), (1, 1, 60), (2, 1, 72), (3, 1, 84)]),
        ("C2 D/ E// F3/2 G/2", [(0, 2, 60), (2, 0.5, 62), (2.5, 0.25, 64), (2.75, 1.5, 65), (4.25, 0.5, 67)]),
        ("^C C | C =B _B", [(0, 1, 61), (1, 1, 61), (2, 1, 60), (3, 1, 71), (4, 1, 70)]),
        ("C>D E<<F", [(0, 1.5, 60), (1.5, 0.5, 62), (2, 0.25, 64), (2.25, 1.75, 65)]),
        ("C-C|D-|D2 E-F", [(0, 2, 60), (2, 3, 62), (5, 1, 64), (6, 1, 65)]),
        ("(3CDE F", [(0, 2 / 3, 60), (2 / 3, 2 / 3, 62), (4 / 3, 2 / 3, 64), (2, 1, 65)]),
        ("(3:2:2CD E", [(0, 2 / 3, 60), (2 / 3, 2 / 3, 62), (4 / 3, 1, 64)]),
        ("C z D", [(0, 1, 60), (2, 1, 62)]),
        ("[CEG]2 [C2E2]", [(0, 2, 67), (2, 2, 64)]),
        ('"Am"{/cd}(uC !trill!D) ~E\\\n`F % no note', [(0, 1, 60), (1, 1, 62), (2, 1, 64), (3, 1, 65)]),
        ("C |1 D :|2 E |]", [(0, 1, 60), (1, 1, 64)]),
        ("C |1 D :|", [(0, 1, 60), (1, 1, 62)]),
    ],
)
def test_notes(music: str, expected: list[tuple[float, float, int]]) -> None:
    assert np.array(quarters(tune(music))) == pytest.approx(np.array(expected))


@pytest.mark.parametrize(
    ("key", "pitches", "mode"),
    [
        ("C", [65, 71], 0), ("G", [66, 71], 0), ("Gm", [65, 70], 5), ("D Mixolydian", [66, 71], 4),
        ("Ador", [66, 71], 1), ("Bb", [65, 70], 0), ("F#min", [66, 71], 5),
        ("E minor", [66, 71], 5), ("Flyd", [65, 71], 3),
    ],
)  # fmt: skip
def test_keys(key: str, pitches: list[int], mode: int) -> None:
    found = read_abc(tune("FB", key=key))
    assert [midi for *_, midi in found.notes] == pitches
    assert found.mode == mode


def test_lengths_without_a_unit_follow_the_metre() -> None:
    assert quarters(tune("C", metre="2/4", more=""))[0][1] == 0.25
    assert quarters(tune("C", metre="6/8", more=""))[0][1] == 0.5
    assert quarters(tune("C", metre="C|", more=""))[0][1] == 0.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (tune("C & E"), "several voices"),
        (tune("C\nV:2\nE"), "voices"),
        (tune("C\nM:3/4\nE"), "changes its field M"),
        (tune("C [K:D] F"), "changes"),
        (tune("C ? E"), "not read"),
        (tune("C E ?"), "not read"),
        (tune("|||"), "no notes"),
        (tune("C", key="HP"), "key"),
        (tune("C", key=""), "key"),
        ("X:1\nK:C\nCDE", "no metre"),
        ("", "no metre"),
    ],
)
def test_what_is_not_read_is_refused(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        read_abc(text)


def test_a_jig_has_two_beats_and_a_pickup(song_of: Callable[[str], folk.Song]) -> None:
    text = tune("D|GAB c2d|efg G2A|BAG D2E|G3 G2:|", metre="6/8", key="G", more="L:1/8\nQ:3/8=96\n")
    song = song_of(text)
    assert (song.metre, song.compound, song.first, song.beats, song.tempo_bpm) == (2, True, 2, 9, 96)
    melody = song.parts["melody"]
    assert melody[0].beat == pytest.approx(2 / 3)
    assert (melody[1].beat, melody[1].midi, melody[4].beat) == (1, 67, 2)
    assert melody[1].velocity > melody[4].velocity > melody[2].velocity
    assert song.chords[-1].pitches == (7, 11, 2)
    assert song.chords[-1].beat + song.chords[-1].length == song.beats


@pytest.mark.parametrize(
    ("metre", "bar", "beats", "compound"),
    [("2/4", "C2", 2, False), ("3/4", "C3", 3, False), ("C", "C4", 4, False), ("C|", "C4", 2, False),
     ("9/8", "C9/2", 3, True), ("12/8", "C6", 4, True)],
)  # fmt: skip
def test_metres(metre: str, bar: str, beats: int, compound: bool, song_of: Callable[[str], folk.Song]) -> None:
    song = song_of(tune(f"|: {f'{bar} | ' * 6}:|", metre=metre))
    assert (song.metre, song.compound, song.first, song.beats) == (beats, compound, 1, 6 * beats)
    assert [note.beat for note in song.parts["melody"]] == [beats * n for n in range(6)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (tune("C4|C4|C3|C4|C4|C4|"), "add up"),
        (tune("C4|C4|C6|C4|C4|C4|"), "add up"),
        (tune("C4|C4|C4C4|C4|C4|"), "too long"),
        (tune("C4|C4|"), "hardly any"),
        (tune("C3/2|" * 6, metre="3/8"), "the metre 3/8"),
        (tune("C4|" * 6, metre="x/0"), "x/0"),
    ],
)
def test_unusable_tunes_are_refused(text: str, said: str, song_of: Callable[[str], folk.Song]) -> None:
    with pytest.raises(InputError, match=said):
        song_of(text)
    assert not folk._readable(text)


def test_chords_hold_the_melody() -> None:
    melody = [
        Note(0, 2, 60, 1),
        Note(2, 2, 64, 1),
        Note(4, 2, 67, 1),
        Note(6, 2, 71, 1),
        Note(8, 4, 65, 1),
        Note(12, 4, 62, 1),
    ]
    found = harmonise(melody, edges=[0, 4, 8, 12, 16], tonic=0, mode=0)
    assert found == (Chord(0, 4, (0, 4, 7)), Chord(4, 4, (7, 11, 2)), Chord(8, 4, (5, 9, 0)), Chord(12, 4, (0, 4, 7)))


@pytest.mark.parametrize("mode", range(7))
def test_chords_belong_to_the_key(mode: int) -> None:
    scale = {0, 2, 4, 5, 7, 9, 11}
    tonic = [0, 2, 4, 5, 7, 9, 11][mode]
    melody = [Note(n, 1, 60 + pitch, 1) for n, pitch in enumerate([0, 2, 4, 5, 7, 9, 11] * 3)]
    chords = harmonise(melody, edges=list(range(22)), tonic=tonic, mode=mode)
    assert all(set(chord.pitches) <= scale for chord in chords)
    assert all((chord.pitches[2] - chord.pitches[0]) % 12 == 7 for chord in chords)
    assert sum(chord.length for chord in chords) == 21


def test_tunes_need_music21_and_its_corpus(hide_module, monkeypatch, tmp_path: Path) -> None:
    folk._texts.cache_clear()
    hide_module("music21")
    with pytest.raises(MissingExtra, match="tunes"):
        read_tune("oneills1850/0001-0050/1")
    monkeypatch.delitem(sys.modules, "music21")
    (tmp_path / "music21").mkdir()
    (tmp_path / "music21" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InputError, match="without its corpus"):
        read_tune("oneills1850/0001-0050/1")
    folk._texts.cache_clear()


@pytest.mark.slow
@needs_music21
def test_tunes_of_music21() -> None:
    known = "music21" in sys.modules
    names = list_tunes()
    assert len(names) > 2500
    assert {name.split("/")[0] for name in names} == {"oneills1850", "ryansMammoth"}
    assert ("music21" in sys.modules) == known
    for name in names[::50]:
        song = read_tune(name)
        assert song.parts["melody"]
        assert all(0 <= note.beat < song.beats for note in song.parts["melody"])
        assert 1 <= song.first <= song.metre
        assert song.chords[-1].beat + song.chords[-1].length == song.beats
    with pytest.raises(InputError, match="no tune"):
        read_tune("essenFolksong/han1/1")


@pytest.mark.slow
@needs_music21
@pytest.mark.filterwarnings("ignore")
def test_music21_reads_the_same() -> None:
    from music21 import converter

    for name in COMPARED:
        text = folk._texts()[name]
        theirs = [
            (max(pitch.midi for pitch in note.pitches), pytest.approx(float(note.quarterLength)))
            for note in converter.parse(text, format="abc").stripTies().recurse().notes
            if not note.duration.isGrace
        ]
        assert [(midi, length) for _, length, midi in quarters(text)] == theirs, name
