"""What labels mean is recognised from the whole file and said, or refused where there are two readings."""

from pathlib import Path

import pytest

from levada.errors import InputError
from levada.io.beats import Beats
from levada.io.formats import check_convention, read_annotation, read_beats, write_beats


@pytest.fixture
def file(tmp_path: Path):
    def write(content: str, name: str = "song.beats") -> Path:
        path = tmp_path / name
        path.write_text(content)
        return path

    return write


def column(*labels: object, separator: str = "\t") -> str:
    """A table with these labels, a beat every half second from 0.5 s."""
    return "".join(f"{0.5 + 0.5 * i:.3f}{separator}{label}\n" for i, label in enumerate(labels))


READ = {  # labels -> positions, convention
    "positions": ([3, 4, 1, 2, 3, 4, 1], [3, 4, 1, 2, 3, 4, 1], "positions"),
    "a missed beat": ([1, 2, 4, 1, 2, 3, 4], [1, 2, 4, 1, 2, 3, 4], "positions"),
    "unknown ones": ([1, 2, 3, 4, 0, 0, 1, 2, 3, 4, 1], [1, 2, 3, 4, 0, 0, 1, 2, 3, 4, 1], "positions"),
    "an unknown pickup": ([0, 1, 2, 3, 1, 2, 3], [0, 1, 2, 3, 1, 2, 3], "positions"),
    "none": ([0, 0, 0], [0, 0, 0], "positions"),
    "half notes": ([1, 3, 1, 3, 1, 3], [1, 2, 1, 2, 1, 2], "positions"),
    "one bar": ([1, 2, 3, 4], [1, 2, 3, 4], "positions"),
    "zero-based": ([0, 1, 2, 0, 1, 2], [1, 2, 3, 1, 2, 3], "zero-based"),
    "zero-based from a pickup": ([3, 0, 1, 2, 3, 0, 1], [4, 1, 2, 3, 4, 1, 2], "zero-based"),
    "zero-based with a missed beat": (
        [0, 1, 2, 3, 0, 1, 3, *[0, 1, 2, 3] * 2], [1, 2, 3, 4, 1, 2, 4, *[1, 2, 3, 4] * 2], "zero-based",
    ),
    "a counter": (range(1, 13), [0] * 12, "times"),
    "a counter from zero": (range(12), [0] * 12, "times"),
    "a counter that goes on": (range(57, 70), [0] * 13, "times"),
    "bar.beat": (["7.3", "7.4", "8.1", "8.2"], [3, 4, 1, 2], "bar.beat"),
    "bar.beat from zero": (["0.0", "0.1", "0.2", "1.0", "1.1", "1.2"], [1, 2, 3, 1, 2, 3], "bar.beat"),
    "fractions": (["1.0", "1.25", "1.5", "1.75", "2.0", "2.25"], [1, 2, 3, 4, 1, 2], "fractions"),
    "fractions, thirds": (["4.67", "5.00", "5.33", "5.67", "6.00"], [3, 1, 2, 3, 1], "fractions"),
    "fractions that return": (["0.0", "0.25", "0.5", "0.75"] * 2, [1, 2, 3, 4] * 2, "fractions"),
    "bars on downbeats": ([1, "", "", "", 2, "", "", "", 3], [1, 2, 3, 4, 1, 2, 3, 4, 1], "bars"),
    "bars on downbeats, zeros": ([5, 0, 0, 6, 0, 0, 7], [1, 2, 3, 1, 2, 3, 1], "bars"),
    "two bars": ([1, "", "", "", 2, "", "", ""], [1, 2, 3, 4, 1, 2, 3, 4], "bars"),
    "bars on all beats, with a pickup": ([3, 3, 4, 4, 4, 4, 5, 5, 5, 5], [3, 4, 1, 2, 3, 4, 1, 2, 3, 4], "bars"),
    "flags": ([1, 0, 0, 1, 0, 0], [1, 0, 0, 1, 0, 0], "downbeat"),
    "true and false": (["True", "False", "False", "True", "False"], [1, 0, 0, 1, 0], "downbeat"),
    "1 and x": (["1", "x", "x", "1", "x", "x"], [1, 0, 0, 1, 0, 0], "positions"),
    "words": (["downbeat", "beat", "b", "?", "db", ""], [1, 0, 0, 0, 1, 0], "downbeat"),
    "ASAP": (["db,4/4,1", "b", "bR", "b,,-3", "db", "b"], [1, 0, 0, 0, 1, 0], "downbeat"),
    "AIST in seconds": ([384, 48, 96, 144, 384, 48], [1, 2, 3, 4, 1, 2], "ticks"),
    "AIST in eighths": ([24, 48, 384, 24, 48, 384], [2, 3, 1, 2, 3, 1], "ticks"),
    "spelt": (["one", "two", "uno", "dos", "um", "dois"], [1, 2] * 3, "positions"),
    "beat 1": (["beat 1", "b2", "Beat 1", "tiempo 2"], [1, 2, 1, 2], "positions"),
    "bar 1 beat 2": (["bar 1 beat 1", "bar 1 beat 2", "m2 b1", "2-2"], [1, 2, 1, 2], "bar.beat"),
    "bar.beat.ticks": (["1.1.000", "1.2.000", "2.1.000", "2.2.000"], [1, 2, 1, 2], "bar.beat"),
    "tempi as words": (["120.19 bpm"] * 4, [0] * 4, "times"),
    "one word for all": (["clave"] * 4, [0] * 4, "times"),
    "downbeats alone": ([1] * 5, [1] * 5, "downbeats-only"),
    "downbeats alone, as words": (["db"] * 5, [1] * 5, "downbeats-only"),
    "downbeats alone, as bar.beat": (["1.1", "2.1", "3.1"], [1] * 3, "downbeats-only"),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_conventions_are_recognised(file, name: str) -> None:
    labels, positions, convention = READ[name]
    reading = read_annotation(file(column(*labels)))
    assert reading.beats.positions.tolist() == positions
    assert reading.convention == convention
    assert reading.beats.times_s.tolist() == [0.5 + 0.5 * i for i in range(len(positions))]
    assert reading.only_downbeats == (convention == "downbeats-only")
    assert (not reading.notes) == (
        convention in ("positions", "downbeat", "bar.beat")
        and name not in ("flags", "half notes", "true and false", "bar.beat from zero", "1 and x")
    ), reading.notes


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ([0, 1, 0, 1, 0, 1], "line 1: its labels can be read as 1 for the downbeat of bars of two"),
        ([1, 0, 1, 0, 1, 0], "line 1: its labels can be read as 1 for the downbeat of bars of two"),
        ([0, 1, 2, 3], "line 1: its labels can be read as one bar counted from 0"),
        ([1, "", 2, "", 3, "", 4], "line 1: its labels can be read as bars of two beats"),
        ([1, 2, 999_999_999, 1, 2], "line 3: 999999999 is not a position in a bar of at most 64 beats"),
        ([1, -2, 1, 2], "line 2: '-2' is not the place of a beat"),
        (["120.19", "121.30", "119.87", "120.02"], "line 1: labels such as '120.19' do not count beats of bars"),
        (["120.19"] * 4, "line 1: labels such as '120.19' do not count beats of bars"),
        (["F", "d", "d", "d"] * 4, "line 1: 'F' is not the place of a beat"),
        (["A:maj", "C:maj", "D:min", "A:maj"], "line 1: 'A:maj' is not the place of a beat"),
    ],
)
def test_two_readings_and_none_are_refused(file, labels: list, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_annotation(file(column(*labels)))


def test_the_remedy_is_an_option_or_a_line_of_the_file(file) -> None:
    both = column(0, 1, 0, 1, 0, 1)
    assert read_beats(file(both), convention="zero-based").positions.tolist() == [1, 2, 1, 2, 1, 2]
    assert read_beats(file(both), convention="downbeat").positions.tolist() == [0, 1, 0, 1, 0, 1]
    assert read_beats(file(both), convention="times").positions.tolist() == [0] * 6
    assert read_beats(file("# convention: zero-based\n" + both)).positions.tolist() == [1, 2, 1, 2, 1, 2]
    counter = column(*range(1, 13))
    assert read_beats(file(counter), convention="positions").positions.tolist() == [*range(1, 13)]
    assert read_annotation(file(column(1, 1, 1)), convention="positions").only_downbeats is False
    assert read_annotation(file(column(*"abcde")), convention="downbeats-only").only_downbeats is True


def test_conventions_have_names() -> None:
    for good in ("positions", "layer:Ana", "time,bar,beat", "time,-,beat"):
        assert check_convention(good) == good
    for bad in ("position", "layer:", "bar,beat", "time,foo", ""):
        with pytest.raises(InputError, match="there is no convention"):
            check_convention(bad)


@pytest.mark.parametrize(
    ("head", "rows", "positions"),
    [
        ("time,downbeat", ["1", "0", "0", "0", "1"], [1, 0, 0, 0, 1]),
        ("onset,is_first_in_measure", ["True", "False", "True", "False", "True"], [1, 0, 1, 0, 1]),
        ("t;beat", ["1", "2", "1", "2", "1"], [1, 2, 1, 2, 1]),
        ("Tiempo (s);Pulso", ["1", "2", "3", "1", "2"], [1, 2, 3, 1, 2]),
        ("segundos;compás;tiempo", ["1;1", "1;2", "2;1", "2;2", "3;1"], [1, 2, 1, 2, 1]),
        ("Início;Compasso;Tempo", ["1;3", "2;1", "2;2", "2;3", "3;1"], [3, 1, 2, 3, 1]),
        ("tempo;pulso", ["1", "2", "1", "2", "1"], [1, 2, 1, 2, 1]),
        ("temps,mesure", ["1", "1", "2", "2", "3"], [1, 2, 1, 2, 1]),
        ("time,tempo", ["120.2", "119.8", "120.1", "120.0", "121.5"], [0] * 5),
        ("time,beat,measure", ["1,1", "2,1", "3,2", "4,2", "5,3"], [1, 2, 1, 2, 1]),
        ("time,beat,measure", ["1,1", "2,1", "3,1", "4,1", "5,1"], [1, 2, 3, 4, 5]),
    ],
)
def test_names_of_columns(file, head: str, rows: list[str], positions: list[int]) -> None:
    separator = ";" if ";" in head else ","
    text = head + "\n" + column(*rows, separator=separator)
    reading = read_annotation(file(text, "song.csv"))
    assert reading.beats.positions.tolist() == positions
    assert reading.beats.times_s.tolist() == [0.5, 1.0, 1.5, 2.0, 2.5]


def test_columns_that_are_not_used_are_named(file) -> None:
    reading = read_annotation(file("time,velocity,beat\n0.5,90,1\n1.0,80,2\n", "song.csv"))
    assert reading.beats == Beats([0.5, 1.0], [1, 2])
    assert "velocity" in reading.notes[0]


def test_milliseconds_are_told_by_the_name_of_the_column(file) -> None:
    reading = read_annotation(file("time_ms,beat\n500,1\n1000,2\n", "song.csv"))
    assert reading.beats == Beats([0.5, 1.0], [1, 2])
    assert "milliseconds" in reading.notes[0]


def test_names_that_are_not_known_are_refused_with_the_remedy(file) -> None:
    path = file("foo;bar2\n0.5;1\n1.0;2\n")
    with pytest.raises(InputError, match=r"line 1: its columns foo, bar2 are named, but none is known for a time"):
        read_annotation(path)
    assert read_beats(path, convention="time,beat") == Beats([0.5, 1.0], [1, 2])


@pytest.mark.parametrize(
    "text",
    [
        "0.5 1 1\n1.0 1 2\n1.5 1 3\n",  # time bar beat of one bar
        "0.5 1 1\n1.0 2 1\n1.5 3 1\n",  # time beat bar of one bar
        "0.5,0.9,1.1\n1.0,0.1,1.2\n1.5,0.4,1.3\n",  # a text layer: time, height, label
        "a.wav,0.5,1\n,1.0,2\n,1.5,3\n",  # sonic-annotator
        '"/home/me/a b.wav",0.5,"1"\n"/home/me/a b.wav",1.0,"2"\n"/home/me/a b.wav",1.5,"3"\n',
        '"0,5";"1"\n"1,0";"2"\n"1,5";"3"\n',
        "0.5 1 // entra el piano\n1.0 2 % x\n1.5 3 ;; y\n",
        ";; ana\n// 2024\n% x\n0.5;1;;;\n1,0;2;;;\n1.5;3;;;\n",
        "0:00.5 1\n0:00:01,0 2\n0:01.5 3\n",
    ],
)
def test_tables_of_one_bar(file, text: str) -> None:
    assert read_beats(file(text)) == Beats([0.5, 1.0, 1.5], [1, 2, 3])


def test_a_column_that_numbers_the_rows_is_no_time(file) -> None:
    reading = read_annotation(file("0,0.5,1\n1,1.1,2\n2,1.7,1\n", "song.csv"))
    assert reading.beats == Beats([0.5, 1.1, 1.7], [1, 2, 1])
    assert "numbers the rows" in reading.notes[0]


def test_chords_and_sections_of_whole_seconds_are_no_beats(file) -> None:
    with pytest.raises(InputError, match="line 1: its regions are named C:maj, F:maj, G:7"):
        read_annotation(file("0 2 C:maj\n2 4 F:maj\n4 6 G:7\n"))


def test_columns_of_bars_and_beats_that_cannot_be_told_apart_are_refused(file) -> None:
    path = file("0.5 1 1\n1.0 2 2\n1.5 3 3\n")
    with pytest.raises(InputError, match="its second and third column can both be bars or beats"):
        read_beats(path)
    assert read_beats(path, convention="time,bar,beat").positions.tolist() == [1, 2, 3]


def test_rows_of_tempi_are_no_beats(file) -> None:
    rows = "".join(f"{t},{bpm},{bpm} bpm\n" for t, bpm in [(0.0, 120.19), (10.5, 121.3), (31.2, 119.9)])
    with pytest.raises(InputError, match="line 1: has tempi and when they change, not beats"):
        read_beats(file(rows, "song.csv"))


def test_aist_hundredths_are_seconds(file) -> None:
    text = "".join(f"{50 * i}\t{50 * i + 50}\t{tick}\n" for i, tick in enumerate([96, 384, 48, 96, 384], 1))
    reading = read_annotation(file(text))
    assert reading.beats == Beats([0.5, 1.0, 1.5, 2.0, 2.5], [3, 1, 2, 3, 1])
    assert "hundredths" in reading.notes[0]


def test_a_comment_is_no_beat_unless_one_is_missing_without_it(file) -> None:
    labels = "0.5\t0.5\t1\n1.0\t1.0\t2\n1.5\t1.5\t3\n1.7\t1.7\trepique calls\n2.0\t2.0\t4\n2.5\t2.5\t1\n"
    reading = read_annotation(file(labels))
    assert reading.beats == Beats([0.5, 1.0, 1.5, 2.0, 2.5], [1, 2, 3, 4, 1])
    assert "'repique calls' in line 4" in reading.notes[0]
    on_the_beat = labels.replace("1.7\t1.7", "2.0\t2.0").replace("2.0\t2.0\t4\n", "")
    assert read_beats(file(on_the_beat)) == Beats([0.5, 1.0, 1.5, 2.0, 2.5], [1, 2, 3, 0, 1])


def test_comments_may_stand_anywhere(file) -> None:
    rows = [f"{0.5 * i:.1f}\t{0.5 * i:.1f}\t{(i - 1) % 4 + 1}\n" for i in range(1, 9)]
    wanted = Beats([0.5 * i for i in range(1, 9)], [1, 2, 3, 4] * 2)
    for comment in ("2.0\t2.0\trepique\n", "0.7\t3.1\trepique\n", "9.0\t9.0\trepique\n", "0.1\t0.1\trepique\n"):
        for at in (0, 3, 8):
            reading = read_annotation(file("".join([*rows[:at], comment, *rows[at:]])))
            assert reading.beats == wanted
            assert "repique" in reading.notes[0]
    third = read_annotation(file("0.5 1 clave\n1.0 2 palma\n1.5 1 clave\n"))
    assert third.beats.positions.tolist() == [1, 2, 1]
    assert "third column is not used" in third.notes[0]


def test_regions_of_few_digits_limit_too(file) -> None:
    points = "".join(f"{0.5 * i:.1f}\t{0.5 * i:.1f}\t{(i - 1) % 4 + 1}\n" for i in range(1, 9))
    assert read_beats(file("1.0\t2.0\tannotate 1\n" + points)).times_s.tolist() == [1.0, 1.5, 2.0]
    assert read_beats(file(points + "1.0\t2.0\tskip\n")).times_s.tolist() == [0.5, 2.5, 3.0, 3.5, 4.0]


def test_regions_limit_what_is_used(file) -> None:
    beats = "".join(f"{i / 2:.6f}\t{i / 2:.6f}\t{(i - 1) % 4 + 1}\n" for i in range(1, 21))
    use, skip = "2.000000\t6.000000\tannotate 1\n", "3.900000\t4.600000\tskip\n"
    assert read_beats(file(use + beats)).times_s.tolist() == [2 + i / 2 for i in range(9)]
    assert read_beats(file(use + skip + beats)).times_s.tolist() == [2, 2.5, 3, 3.5, 5, 5.5, 6]
    assert len(read_beats(file(skip + beats))) == 18
    with pytest.raises(InputError, match=r"has no beats yet, only regions to annotate"):
        read_beats(file(use))


def test_a_first_beat_just_before_the_recording_is_left_out_and_named(file) -> None:
    reading = read_annotation(file("-0.195\t4\n0.3\t1\n0.8\t2\n"))
    assert reading.beats == Beats([0.3, 0.8], [1, 2])
    assert reading.lines == (2, 3)
    assert "-0.195 s" in reading.notes[0]


def test_what_could_be_misread_is_written_so_that_it_is_not(tmp_path: Path) -> None:
    times = [0.5 + 0.5 * i for i in range(12)]
    for positions in ([0, 1] * 6, [*range(1, 13)], [1] * 12, [0, 1, 2] * 4, [1, 0] * 6):
        for name in ("a.beats", "a.csv", "a.jams"):
            write_beats(tmp_path / name, beats := Beats(times, positions), force=True)
            assert read_annotation(tmp_path / name).beats == beats
            assert not read_annotation(tmp_path / name).only_downbeats


@pytest.mark.parametrize(
    ("labels", "positions", "notes"),
    [
        ("1 x x 1 x x", [1, 0, 0, 1, 0, 0], ["its label x is a beat whose position is unknown"]),
        ("1 X X 1 X X", [1, 0, 0, 1, 0, 0], ["its label X is a beat whose position is unknown"]),
        ("X x x X x x", [0] * 6, ["its labels x and X are both beats whose positions are unknown: write 1 where X is"]),
        ("1 b b 1 b b", [1, 0, 0, 1, 0, 0], []),
    ],
)
def test_crosses_are_beats_of_unknown_position_which_is_said(tmp_path, labels, positions, notes):
    path = tmp_path / "song.txt"
    path.write_text("".join(f"{0.5 * i}\t{label}\n" for i, label in enumerate(labels.split(), 1)))
    reading = read_annotation(path)
    assert reading.beats.positions.tolist() == positions
    assert len(reading.notes) == len(notes)
    assert all(note.startswith(wanted) for note, wanted in zip(reading.notes, notes, strict=True))
