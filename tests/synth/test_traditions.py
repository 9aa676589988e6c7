"""Traditions as files: all that ship are read, and every way to write one wrong is told with its line and column."""

from dataclasses import replace

import pytest

from levada.errors import InputError
from levada.io.toml import read_toml
from levada.synth.instruments import PITCHED, STRUCK
from levada.synth.traditions import FOLDER, Form, Pattern, describe, format_tradition, list_traditions, read_tradition

GOOD = """
title = "Mine"
about = "Two drums."
beats = 2
tatums = 4
tempo_bpm = [120, 8]
microtiming = [0.0, 0.01, -0.02, 0.03]
ensemble = [2, 5]
sources = ["a book"]

[form]
section = [2, 4]
breaks = 0.1

[instruments.conga]
strokes = { h = "open", s = "slap" }
presence = 0.5
level_db = -3
players = [1, 3]
patterns = ["h..s | H.xo", { grid = "h... .... h... ....", probability = 0.25 }]
fills = ["hhhh ssss"]

[instruments.low]
voice = "surdo"
patterns = ["x... X..."]
"""


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


def at(text, found):
    """Line and column of the only place where something is written."""
    assert text.count(found) == 1, text.count(found)
    offset = text.index(found)
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


class TestShipped:
    @pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.toml")), ids=lambda path: path.stem)
    def test_every_file_is_read(self, path):
        tradition = read_tradition(path)
        assert tradition.name == path.stem
        assert tradition.cycle == tradition.beats * tradition.tatums
        assert len(tradition.microtiming) == tradition.tatums
        for part in tradition.instruments:
            assert part.voice in STRUCK or part.voice in PITCHED
            assert all(len(pattern.grid) % tradition.cycle == 0 for pattern in part.patterns)
            assert any(set(pattern.grid) - {"."} for pattern in part.patterns)
            assert sum(pattern.probability for pattern in part.patterns) == pytest.approx(1)

    def test_by_name(self):
        assert "candombe" in list_traditions()
        candombe = read_tradition("candombe")
        assert candombe == read_tradition(FOLDER / "candombe.toml")
        assert (candombe.beats, candombe.tatums, candombe.tempo_bpm) == (4, 4, (133, 7))
        assert candombe.microtiming == (0.0075, 0.004, -0.012, -0.029)
        assert {part.name for part in candombe.instruments} >= {"madera", "chico", "repique", "piano"}
        assert candombe.sources

    def test_kits_are_no_traditions(self):
        assert not {"rock", "pop", "disco"} & set(list_traditions())

    @pytest.mark.parametrize("name", sorted(list_traditions()))
    def test_traditions_say_what_they_are_and_who_says_so(self, name):
        tradition = read_tradition(name)
        assert tradition.title
        assert len(tradition.about) > 20
        assert tradition.sources


class TestReading:
    def test_values(self, tmp_path):
        tradition = read_tradition(written(tmp_path, GOOD))
        conga, low = tradition.instruments
        assert (tradition.name, tradition.title, tradition.about) == ("mine", "Mine", "Two drums.")
        assert (tradition.beats, tradition.tatums, tradition.cycle) == (2, 4, 8)
        assert (tradition.tempo_bpm, tradition.ensemble) == ((120.0, 8.0), (2, 5))
        assert tradition.microtiming == (0.0, 0.01, -0.02, 0.03)
        assert tradition.sources == ("a book",)
        assert tradition.form == Form((2, 4), entries=0.0, breaks=0.1, endings=0.0)
        assert conga.patterns == (Pattern("h..sH.xo", 0.75), Pattern("h.......h.......", 0.25))
        assert (conga.voice, conga.presence, conga.level_db, conga.players) == ("conga", 0.5, -3.0, (1, 3))
        assert (conga.fills, conga.fill_chance, conga.calls, conga.call_chance) == (("hhhhssss",), 0.25, (), 0.1)
        assert conga.strokes == {"h": "open", "s": "slap"}
        assert (low.voice, low.presence, low.level_db, low.patterns) == ("surdo", 1.0, 0.0, (Pattern("x...X..."),))

    def test_what_a_file_leaves_out(self, tmp_path):
        text = "beats = 1\ntatums = 2\ntempo_bpm = [90, 0]\n[instruments.conga]\npatterns = ['x.']"
        tradition = read_tradition(written(tmp_path, text))
        assert (tradition.title, tradition.about, tradition.sources, tradition.ensemble) == ("", "", (), None)
        assert (tradition.drift, tradition.spread, tradition.jitter_s) == (0.005, 0.012, 0.003)
        assert (tradition.acceleration, tradition.microtiming) == ((0.0, 0.03), (0.0, 0.0))
        assert tradition.form == Form((4, 4), 0.0, 0.0, 0.0)
        part = tradition.instruments[0]
        assert (part.players, part.enters, part.microtiming, part.spread) == ((1, 1), None, (), None)

    def test_what_an_instrument_has_of_its_own(self, tmp_path):
        own = "microtiming = [0, 0, 0, 0.1]\nspread = 0.0\nenters = 0\ncalls = ['x.......']\ncall_chance = 1\n"
        text = GOOD.replace('voice = "surdo"', 'voice = "surdo"\n' + own)
        low = read_tradition(written(tmp_path, text)).instruments[1]
        assert (low.microtiming, low.spread, low.enters) == ((0, 0, 0, 0.1), 0.0, 0)
        assert (low.calls, low.call_chance) == (("x.......",), 1.0)

    def test_patterns_over_several_lines(self, tmp_path):
        text = GOOD.replace('"x... X..."', '"""\n  x... |\n  X... """')
        assert read_tradition(written(tmp_path, text)).instruments[1].patterns == (Pattern("x...X..."),)

    @pytest.mark.parametrize(
        ("probabilities", "found"),
        [
            ((None, None), (0.5, 0.5)),
            ((0.9, 0.1), (0.9, 0.1)),
            ((0.9, None), (0.9, 0.1)),
            ((0.5, None, None), (0.5, 0.25, 0.25)),
            ((0.33, 0.33, 0.33), (1 / 3, 1 / 3, 1 / 3)),
            ((0, 1), (0, 1)),
        ],
    )
    def test_probabilities(self, tmp_path, probabilities, found):
        grids = ["'x... ....'" if p is None else f"{{ grid = 'x.......', probability = {p} }}" for p in probabilities]
        path = written(tmp_path, GOOD.replace('["x... X..."]', f"[{', '.join(grids)}]"))
        patterns = read_tradition(path).instruments[1].patterns
        assert [pattern.probability for pattern in patterns] == pytest.approx(found)

    def test_pitched_strokes_are_notes(self, tmp_path):
        part = "[instruments.bass]\nstrokes = { r = 'root', f = 'fifth' }\npatterns = ['r..f r.x.']"
        bass = read_tradition(written(tmp_path, GOOD + part)).instruments[2]
        assert bass.strokes == {"r": "root", "f": "fifth"}

    def test_as_windows_writes_it(self, tmp_path):
        path = tmp_path / "windows" / "mine.toml"
        path.parent.mkdir()
        path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
        assert read_tradition(path) == read_tradition(written(tmp_path, GOOD))
        path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").replace("X...", "X..").encode())
        with pytest.raises(InputError) as error:
            read_tradition(path)
        assert (error.value.line, error.value.column) == at(GOOD, '"x... X')


class TestWrong:
    @pytest.mark.parametrize(
        ("old", "new", "marked", "told"),
        [
            ("[120, 8]", "120", "120", "tempo_bpm must be a list"),
            ("[120, 8]", "[120]", "[120]", "tempo_bpm is a mean and a standard deviation, two numbers, not"),
            ("[120, 8]", "[0, 0]", "0, 0]", "tempo_bpm must be a number from 20 to 400, not 0"),
            ("[120, 8]", "[500, 8]", "500", "from 20 to 400, not 500"),
            ("[120, 8]", "[120, 90]", "90", "would let the music stand still"),
            ("[120, 8]", "[nan, 8]", "nan", "from 20 to 400, not nan"),
            ("[120, 8]", "[120, -inf]", "-inf", "from 0 to 100, not -inf"),
            ("[120, 8]", '["fast", 8]', '"fast"', "from 20 to 400, not 'fast'"),
            ("beats = 2", "beats = 0", "0\n", "beats must be a whole number from 1 to 64, not 0"),
            ("beats = 2", "beats = 2.5", "2.5", "beats must be a whole number from 1 to 64, not 2.5"),
            (
                "beats = 2",
                "beats = 99999999999999999999",
                "99999999999999999999",
                "beats must be a whole number from 1 to 64",
            ),
            ("tatums = 4", "tatums = true", "true", "tatums must be a whole number from 1 to 32, not True"),
            ("[0.0, 0.01, -0.02, 0.03]", "[0.0, 0.01]", "[0.0", "microtiming needs 4 fractions of a beat, one a"),
            ("[0.0, 0.01, -0.02, 0.03]", "[0.0, 0.01, 0.0, 0.9]", "0.9", "from -0.5 to 0.5, not 0.9"),
            ("[0.0, 0.01, -0.02, 0.03]", "[0.0, 0.01, 0.0, nan]", "nan", "from -0.5 to 0.5, not nan"),
            ("sources", "sourcs", "sourcs", "there is no entry 'sourcs'; did you mean 'sources'"),
            ("sources", "name = 'mine'\nsources", "name", "there is no entry 'name'"),
            ("sources", "spread = -1\nsources", "-1", "spread must be a number from 0 to 0.2, not -1"),
            ("sources", "drift = nan\nsources", "nan", "drift must be a number from 0 to 0.1, not nan"),
            ("sources", "jitter_s = 2\nsources", "2\nsources", "jitter_s must be a number from 0 to 0.1, not 2"),
            ("sources", "acceleration = 0.1\nsources", "0.1\ns", "acceleration must be a list"),
            ('["a book"]', "[1900]", "1900", "sources must be text in quotation marks, not 1900"),
            ('"Two drums."', "[]", "[]", "about must be text"),
            ("ensemble = [2, 5]", "ensemble = [5, 2]", "[5, 2]", "the least and the most, in this order"),
            ("ensemble = [2, 5]", "ensemble = [5, 9]", "[5, 9]", "for 5 to 9 players, but its instruments make 1 to 4"),
            ("[form]", "[from]", "[from]", "there is no entry 'from'; did you mean 'form'"),
            ("breaks = 0.1", "braeks = 0.1", "braeks", "there is no entry 'braeks'; did you mean 'breaks'"),
            ("breaks = 0.1", "breaks = 2", "2\n\n[instruments.conga]", "breaks must be a number from 0 to 1"),
            ("section = [2, 4]", "section = [0, 4]", "0, 4]", "section must be a whole number from 1 to 64, not 0"),
        ],
    )
    def test_of_the_ensemble(self, tmp_path, old, new, marked, told):
        self.told(tmp_path, old, new, marked, told)

    @pytest.mark.parametrize(
        ("old", "new", "marked", "told"),
        [
            ('"x... X..."', '"x... X.."', '"x... X.."',
             "low: 'x... X..' has 7 tatums, but the cycle has 8: 2 beats of 4; beat 2, 'X..', has 3"),
            ('"x... X..."', '""', '""', "low: '' has 0 tatums"),
            ('"x... X..."', '"x... j..."', "j...", "low: 'j' in 'x... j...' is not among its strokes: . o x"),
            ('"x... X..."', "'x... Q...'", "Q", "low: 'Q' in 'x... Q...' is not among"),
            ('"x... X..."', "'''\nx...\n..!.'''", "!", "low: '!' in"),
            ('"x... X..."', '"x... \\u0048..."', '"x... \\u', "low: 'H' in 'x... H...' is not among"),
            ("H.xo", "H.xox", '"h..s', "conga: .* has 9 tatums"),
            ('"hhhh ssss"', '"hhhh sskk"', "kk", "conga: 'k' in 'hhhh sskk' is not among its strokes: . h o s x"),
            ('["hhhh ssss"]', '"hhhh ssss"', '"hhhh', "conga: fills must be a list, in square brackets"),
            ('["x... X..."]', "[]", "[]", "low: has no patterns"),
            ('["x... X..."]', "[55]", "55]", "low: patterns must be text in quotation marks, not 55"),
            ('["x... X..."]', '["........"]', '["....', "low: plays nothing"),
            ('patterns = ["x... X..."]', "", "[instruments.low]", "low: lacks the entry 'patterns'"),
            ("probability = 0.25", "probability = 1.5", "1.5", "probability must be a number from 0 to 1, not 1.5"),
            ("probability = 0.25", "weight = 3", "weight", "there is no entry 'weight'; there are grid, probability"),
            ('grid = "h... .... h... ....", ', "", "{ prob", "conga: lacks the entry 'grid'"),
            ('"h..s | H.xo", ', "", "[{ grid", "conga: the probabilities of its patterns sum to 0.25, not to 1"),
            ("probability = 0.25", "probability = 1", '["h..s', "which leaves nothing for the patterns without one"),
            ('voice = "surdo"', 'voice = "surda"', '"surda"', "low: there is no voice 'surda'; did you mean 'surdo'"),
            ('voice = "surdo"', 'voice = "zzz"', '"zzz"', "low: there is no voice 'zzz'; there are kick"),
            ('voice = "surdo"', "voice = []", "[]\n", "low: voice must be text"),
            ('voice = "surdo"', 'voce = "surdo"', "voce", "low: there is no entry 'voce'; did you mean 'voice'"),
            ('voice = "surdo"', "", "[instruments.low]", "low: there is no voice 'low'"),
            ("level_db = -3", "levl_db = -3", "levl_db", "conga: there is no entry 'levl_db'; did you mean 'level_db'"),
            ("[instruments.low]", "[instruments.lwo]\npresense = 1", "presense", "did you mean 'presence'"),
            ('s = "slap"', 's = "slep"', '"slep"', "conga: s is not a stroke of a conga, 'slep'; did you mean 'slap'"),
            ('s = "slap"', 's = "root"', '"root"', "conga: s is not a stroke of a conga, 'root'; there are open"),
            ('s = "slap"', 'S = "slap"', "S =", "conga: a stroke is named by one small letter, not 'S'"),
            ('s = "slap"', 'sl = "slap"', "sl =", "conga: a stroke is named by one small letter, not 'sl'"),
            ('{ h = "open", s = "slap" }', "3", "3\npresence", "conga: strokes must be a table, not 3"),
            ("presence = 0.5", "presence = 1.5", "1.5", "conga: presence must be a number from 0 to 1"),
            ("presence = 0.5", 'presence = "often"', '"often"', "conga: presence must be a number from 0 to 1, not"),
            ("level_db = -3", "level_db = inf", "inf", "conga: level_db must be a number from -60 to 20, not inf"),
            ("players = [1, 3]", "players = [3, 1]", "[3, 1]", "the least and the most, in this order, not \\[3, 1]"),
            ("players = [1, 3]", "players = 3", "3\npatterns", "players must be a list"),
            ("players = [1, 3]", "players = [1, 2, 3]", "[1, 2, 3]", "players is the least and the most, two numbers"),
            ("players = [1, 3]", "players = [1, 2.5]", "2.5", "players must be a whole number from 1 to 64, not 2.5"),
            ("level_db = -3", "microtiming = [0, 0.1]", "[0, 0.1]", "conga: microtiming needs 4 fractions"),
            ("level_db = -3", "enters = -1", "-1", "conga: enters must be a whole number from 0 to 1000, not -1"),
            ("[instruments.low]", "[instruments.conga-2]", "[instruments.conga-2]", "one of the players of conga is"),
            ("[instruments.low]", '[instruments."a/b"]', '[instruments."a/b"]', "must be a word of letters, digits"),
        ],
    )  # fmt: skip
    def test_of_an_instrument(self, tmp_path, old, new, marked, told):
        self.told(tmp_path, old, new, marked, "instrument .*" + told)

    def told(self, tmp_path, old, new, marked, told):
        assert GOOD.count(old) == 1
        text = GOOD.replace(old, new)
        path = written(tmp_path, text)
        with pytest.raises(InputError, match=told) as error:
            read_tradition(path)
        line, column = at(text, marked)
        assert (error.value.path, error.value.line, error.value.column) == (path, line, column)
        assert str(error.value).startswith(f"{path}, line {line}, column {column}: ")

    @pytest.mark.parametrize("key", ["beats", "tatums", "tempo_bpm"])
    def test_what_is_missing_altogether(self, tmp_path, key):
        path = written(tmp_path, "\n".join(line for line in GOOD.splitlines() if not line.startswith(key)))
        with pytest.raises(InputError, match=f"lacks the entry '{key}'") as error:
            read_tradition(path)
        assert (error.value.path, error.value.line) == (path, None)

    def test_nobody_plays(self, tmp_path):
        head = GOOD.split("[form]")[0]
        for tail, told in (("", "'instruments'"), ("[instruments]", "nobody plays"), ("instruments = 3", "a table")):
            with pytest.raises(InputError, match=told):
                read_tradition(written(tmp_path, head + tail))

    def test_instrument_that_is_no_table(self, tmp_path):
        with pytest.raises(InputError, match="instrument drum: drum must be a table, not 3") as error:
            read_tradition(written(tmp_path, GOOD.split("[instruments")[0] + "[instruments]\ndrum = 3"))
        assert error.value.column == 8

    def test_broken_toml_names_line_and_column(self, tmp_path):
        path = written(tmp_path, GOOD.replace("tatums = 4", "tatums 4"))
        with pytest.raises(InputError, match="not valid TOML") as error:
            read_tradition(path)
        assert (error.value.path, error.value.line, error.value.column) == (path, 5, 8)
        assert f"{path}, line 5, column 8: " in str(error.value)

    def test_an_instrument_twice(self, tmp_path):
        with pytest.raises(InputError, match="not valid TOML: Cannot declare") as error:
            read_tradition(written(tmp_path, GOOD + "[instruments.low]\n"))
        assert error.value.line == GOOD.count("\n") + 1

    def test_unknown_names(self):
        with pytest.raises(InputError, match=r"no tradition 'polka-dot'.*candombe.*, or name a TOML file"):
            read_tradition("polka-dot")
        with pytest.raises(InputError, match="no tradition 'Candonbe'; did you mean 'candombe'"):
            read_tradition("Candonbe")
        for name in ("", "x" * 5000, "a\0b"):
            with pytest.raises(InputError):
                read_tradition(name)

    @pytest.mark.parametrize("text", ["", "\n\n", "# a comment\n"])
    def test_empty(self, tmp_path, text):
        with pytest.raises(InputError, match="is empty: a tradition has beats, tatums"):
            read_tradition(written(tmp_path, text))

    def test_folder(self, tmp_path):
        with pytest.raises(InputError, match="is a folder") as error:
            read_tradition(tmp_path)
        assert error.value.path == tmp_path

    def test_no_text(self, tmp_path):
        (tmp_path / "bad.toml").write_bytes(b"beats = 1\n\xff\xfe\x00")
        with pytest.raises(InputError, match="UTF-8") as error:
            read_tradition(tmp_path / "bad.toml")
        assert error.value.line == 2

    def test_nested_beyond_reason(self, tmp_path):
        with pytest.raises(InputError, match="not valid TOML"):
            read_tradition(written(tmp_path, "a = " + "[" * 100_000))

    def test_missing_file(self, tmp_path):
        for read in (read_toml, read_tradition):
            with pytest.raises(InputError, match="no such file") as error:
                read(tmp_path / "none.toml")
            assert error.value.path == tmp_path / "none.toml"


class TestDrawn:
    def lines(self, tmp_path, text=GOOD):
        return format_tradition(read_tradition(written(tmp_path, text)))

    @pytest.mark.parametrize("path", sorted(FOLDER.rglob("*.toml")), ids=lambda path: path.stem)
    def test_fits_a_page(self, path):
        tradition = read_tradition(path)
        lines = format_tradition(tradition)
        assert max(map(len, lines)) <= 80
        assert all(line == line.rstrip() for line in lines)
        assert lines[0] == (tradition.title or tradition.name)
        for part in tradition.instruments:
            assert any(line.startswith(part.name) for line in lines)

    def test_patterns_stand_under_the_ruler(self, tmp_path):
        lines = self.lines(tmp_path)
        start = next(line for line in lines if line.endswith("1 . . . 2 . . .")).index("1")
        wanted = ["h . . s H . x o", *["h . . . . . . ."] * 2, "h h h h s s s s", "x . . . X . . ."]
        rows = [line for line in lines if line[start:] in wanted]
        assert [row[start:] for row in rows] == wanted
        assert [row[:start].strip() for row in rows] == ["75%", "25%", "", "fill", ""]

    def test_facts(self, tmp_path):
        lines = self.lines(tmp_path)
        assert lines[:3] == ["Mine", "Two drums.", ""]
        assert "cycle        2 beats of 4 tatums" in lines
        assert "tempo        120 ± 8 bpm; steady (± 3%)" in lines
        assert "microtiming  0 +5 -10 +15 ms, strokes ± 6 ms" in lines
        assert "players      2 to 5 in all" in lines
        assert "form         sections of 2 to 4 cycles; breaks in 10%" in lines
        assert "conga    h open, s slap; 1 to 3 players; there in 50%; -3 dB; fills in 25%" in lines
        assert "low      surdo" in lines
        assert lines[-2:] == ["sources", "  a book"]

    def test_cycles_longer_than_a_line_have_a_ruler_for_each(self, tmp_path):
        grid = "x..." * 31 + "xoXo"
        text = f"beats = 32\ntatums = 4\ntempo_bpm = [90, 0]\n[instruments.conga]\npatterns = ['{grid}']"
        lines = self.lines(tmp_path, text)
        assert max(map(len, lines)) <= 80
        rulers = [line.split() for line in lines if line.strip()[:1].isdigit()]
        assert [beat for ruler in rulers for beat in ruler] == [f"{n}...."[:4] for n in range(1, 33)]
        rows = [line for line in lines if line and set(line.replace(" ", "")) <= set("xoX.")]
        assert "".join("".join(row.split()) for row in rows) == grid
        assert len(rows) == len(rulers)

    @pytest.mark.parametrize(
        ("beats", "tatums"), [(1, 1), (64, 1), (64, 32), (12, 1), (11, 2), (7, 5), (10, 3), (33, 1), (12, 3)]
    )
    def test_beats_stand_below_their_numbers(self, tmp_path, beats, tatums):
        grid = "".join("x" if place % tatums == 0 else "." for place in range(beats * tatums))
        text = f"beats = {beats}\ntatums = {tatums}\ntempo_bpm = [90, 0]\n[instruments.conga]\npatterns = ['{grid}']"
        lines = self.lines(tmp_path, text)
        assert max(map(len, lines)) <= 80
        rows = [index for index, line in enumerate(lines) if line and set(line.replace(" ", "")) <= set("x.")]
        found = 0
        for index in rows:
            ruler = next(line for line in reversed(lines[:index]) if line.strip()[:1].isdigit())
            for place, letter in enumerate(lines[index]):
                assert (letter == "x") == (ruler[place].isdigit() and not ruler[place - 1].isdigit())
                found += letter == "x"
        assert found == beats

    def test_words_are_those_of_the_numbers(self):
        other = replace(read_tradition("candombe"), acceleration=(-0.02, 0.1), form=Form((1, 1)), ensemble=(3, 3))
        found = describe(other)
        assert found["tempo"] == "133 ± 7 bpm; 2.0% slower at the end (± 10%)"
        assert found["form"] == "sections of 1 cycle"
        assert found["players"] == "3 in all"
