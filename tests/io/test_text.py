"""Names and other people's words in terminals and tables."""

import csv
import io
import os

import pytest

from levada.io.text import escape_csv_cell, printable, unescape_csv_cell


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("canción ñ 鼓", "canción ñ 鼓"),
        ("\x1b[31mred\x07", "\\x1b[31mred\\x07"),
        ("a\x9bb", "a\\x9bb"),
        ("left\u202egnp.exe", "left\\u202egnp.exe"),
        (os.fsdecode(b"canci\xf3n"), "canci\\xf3n"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_what_is_not_seen_is_written_as_an_escape(text, shown):
    assert printable(text) == shown
    printable(text).encode("utf-8")


def test_a_cell_of_a_table_has_one_line():
    assert printable("two\nlines\t", lines=False) == "two\\nlines\\t"


@pytest.mark.parametrize("text", ["=1+1", "+a", "@SUM(A1)", "-b", "=cmd|' /C calc'!A0"])
def test_a_text_is_no_formula(text):
    file = io.StringIO()
    csv.writer(file).writerow([escape_csv_cell(text)])
    (cell,) = next(csv.reader(io.StringIO(file.getvalue())))
    assert cell[0] == "'"
    assert unescape_csv_cell(cell) == text


@pytest.mark.parametrize("value", ["-1.5", "+3", "-1e-9", -1.5, None, "", "plain", "'quoted'", "a=b"])
def test_numbers_and_plain_texts_stay(value):
    assert escape_csv_cell(value) == value
    assert value is None or unescape_csv_cell(str(value)) == str(value)
