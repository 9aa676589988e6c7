"""Traditions whose beats have different numbers of tatums."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from levada.errors import InputError
from levada.synth.performance import perform
from levada.synth.traditions import Tradition, read_tradition
from levada.synth.traditions.text import describe, format_tradition

AKSAK = """
beats = 4
tatums = {tatums}
tempo_bpm = [130, 6]
jitter_s = 0.001
spread = 0.0
{more}
[instruments.davul]
voice = "surdo"
strokes = {{ d = "open", t = "rim" }}
patterns = [{{ grid = "D. dt t. Dtt", probability = 0.5 }}, {{ grid = "D. d. t. D.t", probability = 0.5 }}]

[instruments.saz]
voice = "guitar"
presence = 0.8
strokes = {{ m = "melody", c = "chord" }}
patterns = ["C. mm m. m.m"]
"""


def written(tmp_path: Path, *, tatums: str = "[2, 2, 2, 3]", more: str = "") -> Path:
    path = tmp_path / "aksak.toml"
    path.write_text(AKSAK.format(tatums=tatums, more=more))
    return path


@pytest.fixture
def aksak(tmp_path: Path) -> Tradition:
    return read_tradition(written(tmp_path))


def test_cycle_and_metre(aksak: Tradition) -> None:
    assert (aksak.beats, aksak.cycle, aksak.metre) == (4, 9, "2+2+2+3")
    assert [aksak.tatums_before(beat) for beat in range(6)] == [0, 2, 4, 6, 9, 11]
    assert aksak.microtiming == (0.0,) * 9


@pytest.mark.parametrize("seed", range(8))
def test_beats_and_strokes_lie_on_the_cycle(aksak: Tradition, seed: int) -> None:
    """Intervals are as 2+2+2+3, and every stroke is on a tatum: a half or a third of its beat."""
    performance = perform(aksak, duration_s=20.0, rng=np.random.default_rng(seed))
    beats = performance.beats
    long = beats.positions[:-1] == 4
    usual = np.median(beats.intervals_s[~long])
    np.testing.assert_allclose(beats.intervals_s, np.where(long, 1.5, 1.0) * usual, rtol=0.08)
    inside = [
        stroke for stroke in performance.strokes if beats.times_s[0] + 0.05 < stroke.time_s < beats.times_s[-1] - 0.05
    ]
    at = np.array([stroke.time_s for stroke in inside])
    beat = np.searchsorted(beats.times_s, at + 0.02) - 1
    place = (at - beats.times_s[beat]) / beats.intervals_s[beat]
    steps = np.where(beats.positions[beat] == 4, 3, 2)
    assert len(at) > 20
    assert np.abs(place * steps - np.round(place * steps)).max() < 0.1
    accents = [stroke for stroke in inside if stroke.part == "davul" and stroke.velocity > 0.95]
    for stroke in accents:
        nearest = int(np.abs(beats.times_s - stroke.time_s).argmin())
        assert beats.positions[nearest] in (1, 4)


def test_microtiming_has_an_entry_for_each_tatum_of_the_cycle(tmp_path: Path) -> None:
    late = read_tradition(written(tmp_path, more="microtiming = [0, 0, 0, 0, 0, 0, 0.2, 0, 0]"))
    performance = perform(late, duration_s=20.0, rng=np.random.default_rng(3))
    fourth = performance.beats.times_s[:-1][performance.beats.positions[:-1] == 4]
    strokes = np.array([stroke.time_s for stroke in performance.strokes if stroke.part == "davul"])
    delays = [(strokes - time)[np.abs(strokes - time - 0.14) < 0.06] for time in fourth]
    assert sum(len(delay) > 0 for delay in delays) >= len(fourth) - 2


def test_a_list_of_equal_numbers_is_one_number(tmp_path: Path) -> None:
    path = tmp_path / "even.toml"
    path.write_text('beats = 2\ntatums = [4, 4]\ntempo_bpm = [100, 5]\n[instruments.surdo]\npatterns = ["x... x.x."]\n')
    even = read_tradition(path)
    assert (even.tatums, even.unequal, even.metre, even.cycle) == (4, (), 2, 8)


def test_text(aksak: Tradition) -> None:
    assert describe(aksak)["cycle"] == "4 beats of 2+2+2+3 tatums"
    assert "1 . 2 . 3 . 4 . ." in "\n".join(format_tradition(aksak))


@pytest.mark.parametrize(
    ("tatums", "problem"),
    [
        ("[2, 2, 3]", "each of the 4 beats"),
        ("[2, 2, 2, 9]", "times as long"),
        ("[2, 2, 2, 2.5]", "whole number"),
        ("[2, 2, 2, 4]", "beat 4, 'Dtt', has 3"),
    ],
)
def test_faults(tmp_path: Path, tatums: str, problem: str) -> None:
    path = written(tmp_path, tatums=tatums)
    with pytest.raises(InputError) as error:
        read_tradition(path)
    assert error.value.path == path
    assert problem in str(error.value)
