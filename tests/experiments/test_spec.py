"""Specs: what they say, and every way to say it wrong, with the line."""

from pathlib import Path

import pytest

from levada.errors import InputError
from levada.experiments.spec import Source, read_spec

STUDIES = Path(__file__).parents[2] / "studies"
LEAST = 'strategies = ["pretrained"]\n[corpora]\nmine = "recordings"\n'


def write(tmp_path, text):
    path = tmp_path / "mine.toml"
    path.write_text(text, encoding="utf-8")
    return path


class TestRead:
    def test_defaults(self, tmp_path):
        study = read_spec(write(tmp_path, LEAST))
        assert study.name == "mine"
        assert study.corpora == (Source("mine", path=str(tmp_path / "recordings"), line=3),)
        assert (study.bases, study.external, study.selection) == (("base",), (), ("random",))
        assert (study.augmentation, study.layers, study.seeds) == ((("all",),), (("all",),), (0,))
        assert (study.test, study.trim_s, study.keep_weights, study.settings) == (0.5, None, False, {})

    def test_everything_said(self, tmp_path):
        study = read_spec(
            write(
                tmp_path,
                """
                name = "all of it"
                strategies = ["scratch", "finetune+augment"]
                minutes = [0.5, 3]
                bases = ["base", "models/mine", "./near", "bayes:models/b"]
                external = ["flux"]
                selection = ["random", "vote-k"]
                augmentation = ["none", "tempo", ["pitch", "noise"]]
                layers = ["all", "head", ["head", "blocks"]]
                seeds = [3, 5]
                test = 0.25
                trim_s = 0
                keep_weights = true
                [corpora]
                far = "mirdata:candombe"
                one = { path = "../one", halves = true, optional = true, minutes = [0.1] }
                [corpora.made]
                render = "samba"
                recordings = 3
                seconds = 30
                [settings]
                steps = 7
                [settings.scratch]
                steps = 9
                """,
            )
        )
        assert study.name == "all of it"
        assert study.minutes == (0.5, 3.0)
        assert study.bases == (
            "base",
            str(tmp_path / "models/mine"),
            str(tmp_path / "near"),
            f"bayes:{tmp_path / 'models/b'}",
        )
        assert study.augmentation == (("none",), ("tempo",), ("pitch", "noise"))
        assert study.layers == (("all",), ("head",), ("head", "blocks"))
        assert study.seeds == (3, 5)
        far, one, made = study.corpora
        assert far.path == "mirdata:candombe"
        assert Path(one.path).resolve() == tmp_path.parent / "one"
        assert one.halves
        assert one.optional
        assert (one.minutes, far.minutes, made.minutes) == ((0.1,), (), ())
        assert (made.render, made.recordings, made.seconds, made.sounds) == ("samba", 3, 30.0, "synthesised")
        assert study.settings == {"steps": 7, "scratch": {"steps": 9}}

    def test_external_models_alone_are_a_study(self, tmp_path):
        assert read_spec(write(tmp_path, LEAST.replace("strategies", "external"))).strategies == ()

    @pytest.mark.parametrize("path", sorted(STUDIES.glob("*.toml")), ids=lambda path: path.stem)
    def test_the_studies_that_ship(self, path):
        study = read_spec(path)
        assert study.name == path.stem
        assert "finetune+augment" in study.strategies


class TestWrong:
    @pytest.mark.parametrize(
        ("text", "told", "line"),
        [
            ("stratgies = []\n" + LEAST, "'stratgies' is not a key of it; did you mean 'strategies'?", 1),
            ("zzz = 1\n" + LEAST, "'zzz' is not a key of it; there are name, strategies", 1),
            ('strategies = ["pretrained"]\n', "names no corpora", None),
            ('strategies = ["pretrained"]\n[corpora]\n', "names no corpora", 2),
            ("[corpora]\na = 'b'\n", "has no run in it: name strategies", None),
            ("strategies = []\n[corpora]\na = 'b'\n", "has no run in it: name strategies", 1),
            ('strategies = ["scratch"]\n[corpora]\na = "b"\n', "has no budgets", None),
            ('strategies = ["scratch"]\nminutes = []\n[corpora]\na = "b"\n', "has no budgets", 2),
            ("minutes = [0]\n" + LEAST, "budgets above 0, not 0", 1),
            ("minutes = [-1.5]\n" + LEAST, "budgets above 0, not -1.5", 1),
            ("minutes = [nan]\n" + LEAST, "budgets above 0, not nan", 1),
            ("minutes = [inf]\n" + LEAST, "budgets above 0, not inf", 1),
            ("minutes = 1.5\n" + LEAST, "minutes must be a list", 1),
            ("minutes = [1, 1]\n" + LEAST, "minutes has 1 twice", 1),
            ("minutes = [true]\n" + LEAST, "budgets above 0, not True", 1),
            ("seeds = 0\n" + LEAST, "seeds must be a whole number", 1),
            ("seeds = []\n" + LEAST, "seeds is empty", 1),
            ("seeds = [-1]\n" + LEAST, "not negative, not -1", 1),
            ("seeds = 1.5\n" + LEAST, "seeds must be a whole number", 1),
            ("bases = []\n" + LEAST, "bases is empty", 1),
            ("bases = [3]\n" + LEAST, "names in quotation marks, not 3", 1),
            ("selection = []\n" + LEAST, "selection is empty", 1),
            ("layers = []\n" + LEAST, "layers is empty", 1),
            ("layers = [[]]\n" + LEAST, "layers must hold names", 1),
            ('augmentation = ["temop"]\n' + LEAST, "no augmentation 'temop'; did you mean 'tempo'?", 1),
            ('augmentation = [["all", "tempo"]]\n' + LEAST, "must stand alone", 1),
            ("test = 1\n" + LEAST, "test must be a number between 0 and 1, not 1", 1),
            ("test = 0.0\n" + LEAST, "test must be a number between 0 and 1", 1),
            ('test = "half"\n' + LEAST, "test must be a number", 1),
            ("trim_s = -1\n" + LEAST, "trim_s must be a number", 1),
            ("keep_weights = 1\n" + LEAST, "keep_weights must be true or false", 1),
            ("name = 'a/b'\n" + LEAST, "name must be a short text", 1),
            ("settings = 3\n" + LEAST, "settings must be a table", 1),
            (LEAST + "other = 3\n", "'other' must be a folder, mirdata:NAME", 4),
            (LEAST + 'other = { path = "a", render = "samba" }\n', "either path or render", 4),
            (LEAST + 'other = { render = "samba", recrdings = 3 }\n', "'recrdings' .* did you mean 'recordings'", 4),
            (LEAST + 'other = { path = "a", seconds = 3 }\n', "'seconds' is not a key of it", 4),
            (LEAST + 'other = { render = "samba", recordings = 0 }\n', "recordings must be a whole number", 4),
            (LEAST + 'other = { render = "samba", seconds = 1 }\n', "seconds must be a number between 2 and 900", 4),
            (LEAST + 'other = { render = 3 }\n', "render must be a text", 4),
            (LEAST + 'other = { path = "" }\n', "path must be a text", 4),
            (LEAST + 'other = { path = "a", halves = 1 }\n', "halves must be true or false", 4),
            (LEAST + 'other = { path = "a", minutes = [0] }\n', "budgets above 0, not 0", 4),
            (LEAST + '[corpora.other]\nrender = "samba"\nrecordings = 2.5\n', "recordings must be a whole number", 6),
            (LEAST + '"../up" = "a"\n', "cannot name a corpus", 4),
        ],
    )  # fmt: skip
    def test_is_told_with_its_line(self, tmp_path, text, told, line):
        path = write(tmp_path, text)
        with pytest.raises(InputError, match=told.replace("?", r"\?")) as error:
            read_spec(path)
        assert error.value.path == path
        assert error.value.line == line

    def test_broken_toml(self, tmp_path):
        with pytest.raises(InputError, match="not valid TOML") as error:
            read_spec(write(tmp_path, "name = 'a'\nminutes 1\n"))
        assert error.value.line == 2

    def test_missing(self, tmp_path):
        with pytest.raises(InputError, match="no such file"):
            read_spec(tmp_path / "none.toml")
