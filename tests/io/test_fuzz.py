"""Whatever a file of labels holds, it is read or refused by an `InputError`."""

import subprocess
import sys
from pathlib import Path

import pytest

from fuzz_readers import fuzz, seeds
from levada.errors import InputError
from levada.io.formats import read_annotation

ROOT = Path(__file__).parents[2]


def test_all_readers_together(tmp_path: Path) -> None:
    count, read = fuzz(tmp_path, files=8_000, seed=1)
    assert count == 8_000
    assert 500 < read < 7_000  # neither all harmless nor all hopeless


def test_what_is_damaged_was_good(tmp_path: Path) -> None:
    refused = 0
    for content in seeds(tmp_path):
        (tmp_path / "a").write_bytes(content)
        try:
            assert len(read_annotation(tmp_path / "a").beats) >= 1
        except InputError:
            refused += 1
    assert refused == 0


@pytest.mark.slow
def test_the_script_goes_on_for_minutes() -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "fuzz_readers.py", "0.02", "7"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "nothing but InputError (seed 7)" in done.stdout


@pytest.mark.parametrize("digits", [20, 4300, 5000])
def test_numbers_of_many_digits(tmp_path: Path, digits: int) -> None:
    path = tmp_path / "a"
    for text in (
        f"{'1' * digits}\t1\n", f"1.0\t{'1' * digits}\n", f"0:{'1' * digits}:01\t1\n",
        f'{{"annotations": [{{"namespace": "beat", "data": [{{"time": {"1" * digits}}}]}}]}}',
        f'<sv><model type="sparse" dataset="1" sampleRate="1"/><dataset id="1"><point frame="{"1" * digits}"/>'
        "</dataset></sv>",
    ):  # fmt: skip
        path.write_text(text)
        with pytest.raises(InputError):
            read_annotation(path)
