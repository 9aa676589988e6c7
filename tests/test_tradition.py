"""Traditions as files: all that ship are read, and every way to write one wrong is told with its file and entry."""

import pytest

from levada.errors import InputError
from levada.files import read_toml
from levada.tradition import FOLDER, Pattern, read_tradition, shipped
from levada.voices import PITCHED, STRUCK

GOOD = """
beats = 2
tatums = 4
tempo_bpm = [120, 8]
microtiming = [0.0, 0.01, -0.02, 0.03]
sources = ["a book"]

[instruments.conga]
strokes = { h = "open", s = "slap" }
presence = 0.5
level_db = -3
patterns = ["h..s | H.xo", { grid = "h... .... h... ....", weight = 3 }]

[instruments.low]
voice = "surdo"
patterns = ["x... X..."]
"""


def written(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


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

    def test_by_name(self):
        assert "candombe" in shipped()
        candombe = read_tradition("candombe")
        assert candombe == read_tradition(FOLDER / "candombe.toml")
        assert (candombe.beats, candombe.tatums, candombe.tempo_bpm) == (4, 4, (133, 7))
        assert candombe.microtiming == (0.0075, 0.004, -0.012, -0.029)
        assert [part.name for part in candombe.instruments] == ["madera", "chico", "repique", "piano"]
        assert candombe.sources

    def test_kits_are_no_traditions(self):
        assert not {"rock", "pop", "disco"} & set(shipped())


class TestReading:
    def test_values(self, tmp_path):
        tradition = read_tradition(written(tmp_path, GOOD))
        conga, low = tradition.instruments
        assert (tradition.name, tradition.beats, tradition.tatums, tradition.cycle) == ("mine", 2, 4, 8)
        assert tradition.tempo_bpm == (120.0, 8.0)
        assert tradition.microtiming == (0.0, 0.01, -0.02, 0.03)
        assert tradition.sources == ("a book",)
        assert (tradition.drift, tradition.spread) == (0.005, 0.012)
        assert conga.patterns == (Pattern("h..sH.xo"), Pattern("h.......h.......", 3.0))
        assert (conga.voice, conga.presence, conga.level_db) == ("conga", 0.5, -3.0)
        assert conga.strokes == {"h": "open", "s": "slap"}
        assert (low.voice, low.presence, low.level_db) == ("surdo", 1.0, 0.0)

    def test_microtiming_is_none_by_default(self, tmp_path):
        text = GOOD.replace("microtiming = [0.0, 0.01, -0.02, 0.03]", "")
        assert read_tradition(written(tmp_path, text)).microtiming == (0.0,) * 4


class TestWrong:
    @pytest.mark.parametrize(
        ("old", "new", "told"),
        [
            ("beats = 2", "", "'beats'"),
            ("tatums = 4", "", "'tatums'"),
            ("tempo_bpm = [120, 8]", "", "'tempo_bpm'"),
            ("beats = 2", "beats = 0", "beats must be a whole number"),
            ("beats = 2", "beats = 2.5", "beats must be a whole number"),
            ("tatums = 4", "tatums = true", "tatums must be a whole number"),
            ("[120, 8]", "[120]", "a mean and a standard deviation"),
            ("[120, 8]", "[500, 8]", "a mean and a standard deviation"),
            ("[120, 8]", "[120, 90]", "a mean and a standard deviation"),
            ("[120, 8]", "[nan, 8]", "a mean and a standard deviation"),
            ("[120, 8]", "120", "not iterable"),
            ("[0.0, 0.01, -0.02, 0.03]", "[0.0, 0.01]", "microtiming needs 4 fractions"),
            ("[0.0, 0.01, -0.02, 0.03]", "[0.0, 0.01, 0.0, 0.9]", "microtiming needs 4 fractions"),
            ("[0.0, 0.01, -0.02, 0.03]", "[0.0, 0.01, 0.0, nan]", "microtiming needs 4 fractions"),
            ("sources", "sourcs", "unknown entries sourcs"),
            ("sources", "spread = -1\nsources", "spread must be between 0 and 0.5"),
            ("sources", "drift = nan\nsources", "drift must be between 0 and 0.5"),
            ('"x... X..."', '"x... X.."', "instrument low: 'x... X..' has 7 tatums, but the cycle has 8"),
            ('"x... X..."', '""', "instrument low: '' has 0 tatums"),
            ('"x... X..."', '"x... h..."', "instrument low: .* uses h, which its strokes do not name"),
            ('["x... X..."]', "[]", "instrument low: has no patterns"),
            ('["x... X..."]', "[5]", "instrument low"),
            ('patterns = ["x... X..."]', "", "instrument low: lacks the entry 'patterns'"),
            ("weight = 3", "weight = 0", "instrument conga: a pattern's weight must be above 0"),
            (", weight = 3", "", "instrument conga: lacks the entry 'weight'"),
            ('voice = "surdo"', 'voice = "tuba"', "instrument low: there is no voice 'tuba'; there are kick"),
            ('voice = "surdo"', "voice = []", "instrument low"),
            ('voice = "surdo"', 'voce = "surdo"', "instrument low: unknown entries voce"),
            ('s = "slap"', 's = "kiss"', "instrument conga: s is no known stroke, 'kiss'"),
            ('strokes = { h = "open", s = "slap" }', "strokes = 3", "instrument conga: strokes must be a table"),
            ("presence = 0.5", "presence = 1.5", "instrument conga: presence must be between 0 and 1"),
            ("presence = 0.5", 'presence = "often"', "instrument conga"),
        ],
    )
    def test_entry(self, tmp_path, old, new, told):
        assert old in GOOD
        path = written(tmp_path, GOOD.replace(old, new))
        with pytest.raises(InputError, match=told) as error:
            read_tradition(path)
        assert error.value.path == path

    def test_nobody_plays(self, tmp_path):
        head = GOOD.split("[instruments")[0]
        for tail, told in (("", "'instruments'"), ("[instruments]", "nobody plays"), ("instruments = 3", "a table")):
            with pytest.raises(InputError, match=told):
                read_tradition(written(tmp_path, head + tail))

    def test_instrument_that_is_no_table(self, tmp_path):
        with pytest.raises(InputError, match="instrument drum: it must be a table"):
            read_tradition(written(tmp_path, GOOD.split("[instruments")[0] + "[instruments]\ndrum = 3"))

    def test_broken_toml_names_the_line(self, tmp_path):
        path = written(tmp_path, GOOD.replace("tatums = 4", "tatums 4"))
        with pytest.raises(InputError, match="not valid TOML") as error:
            read_tradition(path)
        assert (error.value.path, error.value.line) == (path, 3)
        assert f"{path}, line 3: " in str(error.value)

    def test_unknown_name_lists_the_known(self):
        with pytest.raises(InputError, match=r"no tradition 'polka-dot'.*candombe"):
            read_tradition("polka-dot")

    def test_folder(self, tmp_path):
        with pytest.raises(InputError, match="cannot be read") as error:
            read_tradition(tmp_path)
        assert error.value.path == tmp_path

    def test_no_text(self, tmp_path):
        (tmp_path / "bad.toml").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(InputError, match="UTF-8"):
            read_tradition(tmp_path / "bad.toml")

    def test_missing_file(self, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            read_toml(tmp_path / "none.toml")
