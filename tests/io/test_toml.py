"""TOML files and the positions of their entries."""

import os
import tomllib
from pathlib import Path

import pytest

from levada.errors import InputError
from levada.io.toml import find_positions, line_of, read_toml
from levada.synth.traditions import FOLDER


def test_a_pipe_is_no_toml(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "corpus.toml")
    with pytest.raises(InputError, match=r"corpus\.toml: is not an ordinary file"):
        read_toml(tmp_path / "corpus.toml")


def test_lines_of_keys(tmp_path):
    path = tmp_path / "a.toml"
    path.write_text('a = 1\n[corpora]\nx = { path = "p" }\n"y z" = 2\n[corpora.w]\nrender = "r"\n[b.c]\na=3\n')
    found = [
        line_of(path, *keys)
        for keys in (
            ("a",), ("corpora",), ("corpora", "x"), ("corpora", "x", "path"), ("corpora", "y z"),
            ("corpora", "w", "render"), ("corpora", "w", "other"), ("b", "c", "a"), ("none",),
        )
    ]  # fmt: skip
    assert found == [1, 2, 3, 3, 4, 6, 5, 8, None]


class TestPositions:
    @pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda path: path.stem)
    def test_of_all_patterns_that_ship(self, path):
        text = path.read_text(encoding="utf-8")
        positions, table = find_positions(text), tomllib.loads(text)
        for name, part in table["instruments"].items():
            assert text.startswith("[instruments.", positions.keys["instruments", name])
            for index, pattern in enumerate(part["patterns"]):
                where = ("instruments", name, "patterns", index, *(("grid",) if isinstance(pattern, dict) else ()))
                grid = pattern["grid"] if isinstance(pattern, dict) else pattern
                offset = positions.values[where]
                assert text[offset] in "\"'"
                assert grid in text[offset : offset + len(grid) + 4]

    @pytest.mark.parametrize(
        ("text", "where", "marked"),
        [
            ("a = 1\nb = 2", ("b",), "2"),
            ("a.b.c = 1", ("a", "b", "c"), "1"),
            ("\"a b\".'c' = 7", ("a b", "c"), "7"),
            ('"\\u00e9" = 7', ("é",), "7"),
            ("[a.b]\nc = 7", ("a", "b", "c"), "7"),
            ("[ a . b ]\nc = 7 # 8", ("a", "b", "c"), "7 #"),
            ("[[a]]\nb = 1\n[[a]]\nb = 7\n[a.c]\nd = 8", ("a", 1, "b"), "7"),
            ("[[a]]\nb = 1\n[[a]]\nb = 7\n[a.c]\nd = 8", ("a", 1, "c", "d"), "8"),
            ("a = [ # one ]\n  1, # two ,\n  2,\n]\nb = 3", ("a", 1), "2,\n]"),
            ("a = [ # one ]\n  1, # two ,\n  2,\n]\nb = 3", ("b",), "3"),
            ("a = { b = [1, { c = 5 }], d.e = 6 }", ("a", "b", 1, "c"), "5"),
            ("a = { b = [1, { c = 5 }], d.e = 6 }", ("a", "d", "e"), "6"),
            ('a = "x # ] \\" }"\nb = 7', ("b",), "7"),
            ("a = 'x \\'\nb = 7", ("b",), "7"),
            ('a = """x " \\""" ""\n"""\nb = 7', ("b",), "7"),
            ('a = """x"""""\nb = 7', ("b",), "7"),
            ("a = '''\n' '' x''''\nb = 7", ("b",), "7"),
            ('a = ""\nb = 7', ("b",), "7"),
            ("a = []\nb = {}\nc = 7", ("c",), "7"),
            ("a = 1979-05-27 06:32:00\nb = 7", ("b",), "7\n"[:1]),
        ],
    )
    def test_of_values(self, text, where, marked):
        tomllib.loads(text)
        line, column = find_positions(text).of(where)
        assert text.splitlines()[line - 1][column - 1 :].startswith(marked.splitlines()[0])
        offset = text.rindex(marked)
        assert (line, column) == (text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))

    def test_of_characters(self):
        text = "a = ['xyz', \"xyz\", '''\nxyz''', \"\\u0078yz\"]"
        positions = find_positions(text)
        assert [positions.of(("a", index), character=1) for index in range(4)] == [(1, 8), (1, 15), (2, 2), (2, 9)]

    def test_of_keys(self):
        positions = find_positions("[t]\na = 1\n  b = 2")
        assert positions.of(("t", "b"), key=True) == (3, 3)
        assert positions.of(("t",), key=True) == (1, 1)

    def test_of_what_is_not_there_is_where_it_should_be(self):
        positions = find_positions("a = 1\n[t]\nb = 2")
        assert positions.of(("t", "missing")) == (2, 1)
        assert positions.of(("missing",)) is None
