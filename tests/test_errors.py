"""What a user reads when something cannot be used."""

from pathlib import Path

import pytest

from levada.errors import InputError, MissingExtra


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
        error = MissingExtra("numba", extra="fast", purpose="decode faster")
        assert str(error) == "numba is needed to decode faster: pip install 'levada[fast]'"

    def test_is_the_users_to_mend(self):
        assert issubclass(MissingExtra, InputError)
