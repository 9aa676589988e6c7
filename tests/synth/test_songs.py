"""Songs of others: POP909 as notes on beats."""

from pathlib import Path

import numpy as np
import pytest

from levada.errors import InputError
from levada.synth.songs import Chord, Note, list_pop909, read_pop909

mido = pytest.importorskip("mido")

CORPUS = Path(__file__).parents[3] / "shared" / "corpora" / "pop909"
needs_corpus = pytest.mark.skipif(not CORPUS.is_dir(), reason="needs POP909 in ../shared/corpora")


def made(
    root: Path,
    times: list[float],
    downbeats: list[int],
    notes: list[tuple[str, float, float, int, int]],
    chords: str = "",
    *,
    name: str = "001",
) -> Path:
    """A song of POP909 with notes of (track, start and end in seconds, number, velocity) at 120 beats a minute."""
    folder = root / name
    folder.mkdir(parents=True)
    rows = [f"{time} {float((n - downbeats[0]) % 2 == 0)} {float(n in downbeats)}" for n, time in enumerate(times)]
    (folder / "beat_midi.txt").write_text("\n".join(rows) + "\n")
    (folder / "chord_midi.txt").write_text(chords)
    midi = mido.MidiFile(ticks_per_beat=480)
    midi.tracks.append(mido.MidiTrack([mido.MetaMessage("set_tempo", tempo=500000)]))
    for part in ("MELODY", "BRIDGE", "PIANO"):
        events = [
            (round(when * 960), kind, number, velocity if kind == "note_on" else 0)
            for track, start, end, number, velocity in notes
            if track == part
            for when, kind in ((start, "note_on"), (end, "note_off"))
        ]
        events.sort()
        track = mido.MidiTrack([mido.MetaMessage("track_name", name=part)])
        for (before, *_), (tick, kind, number, velocity) in zip([(0,), *events], events, strict=False):
            track.append(mido.Message(kind, note=number, velocity=velocity, time=tick - before))
        midi.tracks.append(track)
    midi.save(folder / f"{name}.mid")
    return folder


EVEN = [0.5 * n for n in range(17)]


def test_seconds_become_beats(tmp_path: Path) -> None:
    notes = [("MELODY", 0.25, 1.0, 60, 127), ("PIANO", 1.1, 1.5, 48, 64), ("PIANO", 7.5, 7.75, 50, 64)]
    chords = "0.0\t1.0\tN\n1.0\t2.0\tBb:min/b3\n2.0\t4.0\tC:sus4(b7)\n"
    song = read_pop909(made(tmp_path, EVEN, [0, 4, 8, 12, 16], notes, chords))
    assert (song.name, song.metre, song.first, song.beats, song.compound) == ("001", 4, 1, 16, False)
    assert song.tempo_bpm == pytest.approx(120)
    assert song.parts["melody"] == (Note(0.5, 1.5, 60, 1.0),)
    assert [note.beat for note in song.parts["piano"]] == pytest.approx([2.2, 15], abs=2e-3)
    assert "bridge" not in song.parts
    assert song.chords == (Chord(2, 2, (10, 1, 5)), Chord(4, 4, (0, 5, 7, 10)))


def test_beats_may_change_their_tempo(tmp_path: Path) -> None:
    times = [0, 0.5, 1.0, 1.5, 2.0, 2.6, 3.2, 3.8, 4.4, 5.0, 5.6, 6.2, 6.8]
    song = read_pop909(made(tmp_path, times, [0, 4, 8, 12], [("MELODY", 0, 0.5, 60, 64), ("MELODY", 2.3, 5.3, 62, 64)]))
    assert song.parts["melody"][1].beat == pytest.approx(4.5, abs=2e-3)
    assert song.parts["melody"][1].length == pytest.approx(5, abs=2e-3)


def test_a_pickup_before_the_first_beat_has_a_bar_of_its_own(tmp_path: Path) -> None:
    times = [1.0 + 0.5 * n for n in range(13)]
    song = read_pop909(made(tmp_path, times, [1, 5, 9], [("MELODY", 0.75, 1.0, 60, 64), ("MELODY", 5.5, 6, 60, 64)]))
    assert song.first == 1
    assert [note.beat for note in song.parts["melody"]] == pytest.approx([2.5, 12], abs=2e-3)


def test_the_longest_stretch_of_regular_bars_is_kept(tmp_path: Path) -> None:
    times = [0.5 * n for n in range(31)]
    notes = [("PIANO", 0.5 * n, 0.5 * n + 0.4, 40 + n, 64) for n in range(30)]
    song = read_pop909(made(tmp_path, times, [0, 4, 8, 10, 14, 18, 22, 26], notes))
    assert song.parts["piano"][0].midi == 50
    assert [note.beat for note in song.parts["piano"]] == pytest.approx(range(20), abs=2e-3)
    assert song.beats == 20


@pytest.mark.parametrize(
    ("file", "text", "line", "said"),
    [
        ("beat_midi.txt", "0.0 1.0 1.0\nabout one\n", 2, "two flags"),
        ("beat_midi.txt", "0.0 1.0 1.0\n0.5 0.0\n", 2, "two flags"),
        ("beat_midi.txt", "0.0 1.0 1.0\n0.5 0.0 7.0\n", 2, "0 or 1"),
        ("beat_midi.txt", "0.0 1.0 1.0\nnan 0.0 0.0\n", 2, "0 or 1"),
        ("beat_midi.txt", "1.0 1.0 1.0\n0.5 0.0 0.0\n", 2, "not after"),
        ("beat_midi.txt", "", None, "three downbeats"),
        ("chord_midi.txt", "0.0\t1.0\n", 1, "a chord"),
        ("chord_midi.txt", "0.0\t1.0\tN\n1.0\t2.0\tH:maj\n", 2, "not known"),
        ("001.mid", "no music", None, "MIDI"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, file: str, text: str, line: int | None, said: str) -> None:
    folder = made(tmp_path, EVEN, [0, 4, 8, 12, 16], [("MELODY", 0, 1, 60, 64)])
    (folder / file).write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_pop909(folder)
    assert (caught.value.path, caught.value.line) == (folder / file, line)


@pytest.mark.parametrize("file", ["beat_midi.txt", "chord_midi.txt", "001.mid"])
def test_missing_files_are_named(tmp_path: Path, file: str) -> None:
    folder = made(tmp_path, EVEN, [0, 4, 8, 12, 16], [("MELODY", 0, 1, 60, 64)])
    (folder / file).unlink()
    with pytest.raises(InputError, match="no such file") as caught:
        read_pop909(folder)
    assert caught.value.path == folder / file


def test_missing_beats_are_refused(tmp_path: Path) -> None:
    times = [0.5 * n for n in range(20) if n != 6]
    with pytest.raises(InputError, match=r"1\.00 s without one") as caught:
        read_pop909(made(tmp_path, times, [0, 4, 7, 11, 15], [("MELODY", 0, 1, 60, 64)]))
    assert caught.value.line == 7


def test_odd_bars_and_songs_without_notes_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="bars of 5"):
        read_pop909(made(tmp_path, EVEN, [0, 5, 10, 15], [("MELODY", 0, 1, 60, 64)]))
    with pytest.raises(InputError, match="no notes"):
        read_pop909(made(tmp_path, EVEN, [0, 4, 8, 12, 16], [], name="002"))


def test_a_folder_of_something_else_is_no_pop909(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no POP909"):
        list_pop909(tmp_path)
    made(tmp_path / "POP909", EVEN, [0, 4, 8, 12, 16], [("MELODY", 0, 1, 60, 64)])
    assert list_pop909(tmp_path) == list_pop909(tmp_path / "POP909") == [tmp_path / "POP909" / "001"]


@needs_corpus
def test_pop909() -> None:
    songs = list_pop909(CORPUS)
    song = read_pop909(songs[0])
    assert (song.name, song.metre, song.first) == ("001", 4, 1)
    assert song.tempo_bpm == pytest.approx(90, abs=0.1)
    assert set(song.parts) == {"melody", "bridge", "piano"}
    assert song.chords[0].pitches == (11, 3, 6)
    onsets = np.array([note.beat for notes in song.parts.values() for note in notes])
    assert 0 <= onsets.min() < 4
    assert song.beats - 4 <= onsets.max() < song.beats
    off = np.abs(onsets * 4 - np.round(onsets * 4))
    assert np.mean(off < 0.125) > 0.95
