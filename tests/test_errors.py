"""What a user reads when something cannot be used."""

import errno
import importlib
import inspect
import os
import pickle
import pkgutil
from pathlib import Path

import pytest

import levada
from levada.errors import InputError, MissingExtra, os_error_text, suggest, to_picklable, wrap_read_errors


class TestInputError:
    def test_says_the_problem_alone_where_no_file_is_at_fault(self):
        assert str(InputError("beats must be in order")) == "beats must be in order"

    def test_names_the_file(self):
        assert str(InputError("is empty", path=Path("a.beats"))) == "a.beats: is empty"

    def test_names_the_file_and_the_line(self):
        assert str(InputError("is no number", path="a.beats", line=7)) == "a.beats, line 7: is no number"

    def test_keeps_its_parts_for_those_who_say_it_otherwise(self):
        error = InputError("is no number", path="a.beats", line=7)
        assert (error.problem, error.path, error.line) == ("is no number", "a.beats", 7)

    def test_is_a_value_error_for_those_who_call_from_python(self):
        with pytest.raises(ValueError, match="is empty"):
            raise InputError("is empty")


class TestMissingExtra:
    def test_says_what_for_and_how_to_get_it(self):
        error = MissingExtra("ray", extra="cluster", purpose="use more machines")
        assert str(error) == "ray is needed to use more machines: pip install 'levada[cluster]'"

    def test_is_the_users_to_mend(self):
        assert issubclass(MissingExtra, InputError)


def classes():
    """Every exception class of the package."""
    found = set()
    for module in pkgutil.walk_packages(levada.__path__, "levada."):
        try:
            members = vars(importlib.import_module(module.name)).values()
        except (ImportError, InputError):  # of an extra that is not installed
            continue
        found |= {entry for entry in members if inspect.isclass(entry) and issubclass(entry, Exception)}
    return {entry for entry in found if entry.__module__.startswith("levada")}


def example(kind):
    """An instance of a class, whatever its arguments."""
    if not inspect.isfunction(kind.__init__):
        return kind("a message")
    needed = [
        (name, entry.kind)
        for name, entry in inspect.signature(kind).parameters.items()
        if entry.default is entry.empty and entry.kind not in (entry.VAR_POSITIONAL, entry.VAR_KEYWORD)
    ]
    keywords = {name: name for name, how in needed if how is inspect.Parameter.KEYWORD_ONLY}
    return kind(*(name for name, how in needed if how is not inspect.Parameter.KEYWORD_ONLY), **keywords)


class TestPickle:
    def test_every_exception_of_the_package(self):
        there = classes()
        assert {InputError, MissingExtra} <= there
        for kind in there:
            error = example(kind)
            again = pickle.loads(pickle.dumps(error)) if not kind.__name__.startswith("_") else to_picklable(error)
            assert str(error) in str(again)
            if not kind.__name__.startswith("_"):
                assert type(again) is kind
                assert vars(again) == vars(error)

    def test_a_subclass_with_arguments_of_its_own_keeps_them(self):
        error = pickle.loads(pickle.dumps(InputError("is empty", path="a", line=3, column=4)))
        assert (str(error), error.line, error.column) == ("a, line 3, column 4: is empty", 3, 4)


class TestOperatingSystem:
    @pytest.mark.parametrize(
        ("path", "words"),
        [
            ("none/a.wav", "no such file"),
            ("file/a.wav", "a file, not a folder"),
            ("loop/a.wav", "leads back to itself"),
            ("x" * 300 + ".wav", "too long"),
            ("a\0b.wav", "no file can have such a name"),
        ],
    )
    def test_what_it_refuses_is_said_in_words_and_with_the_name(self, tmp_path, path, words):
        (tmp_path / "file").write_text("")
        (tmp_path / "loop").symlink_to("loop")
        with pytest.raises(InputError, match=words) as raised, wrap_read_errors(tmp_path / path):
            open(tmp_path / path, "rb").close()
        assert raised.value.path == tmp_path / path

    def test_every_reason_has_words(self):
        numbers = [number for number in vars(errno).values() if isinstance(number, int)]
        assert all(len(os_error_text(OSError(number, os.strerror(number)))) > 10 for number in numbers)

    def test_what_is_no_fault_of_a_file_passes(self):
        with pytest.raises(ValueError, match="something else"), wrap_read_errors("a.wav"):
            raise ValueError("something else")


def test_the_nearest_name_is_suggested():
    assert suggest("finetun", ["scratch", "finetune"]) == "did you mean 'finetune'? There are scratch, finetune"
    assert suggest("zzz", ["scratch"]) == "there is scratch"
