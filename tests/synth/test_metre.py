"""Where in the cycle the instruments of the traditions strike, against what the sources of each say."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from levada.errors import InputError
from levada.synth.instruments import RATE, synthesise
from levada.synth.performance import Performance, perform
from levada.synth.render import synthesise_stems
from levada.synth.traditions import Evidence, Tradition, list_traditions, read_tradition

TRADITIONS = [read_tradition(name) for name in list_traditions()]
CASES = [pytest.param(one, said, id=f"{one.name}-{said.instrument}") for one in TRADITIONS for said in one.checked]


def alone(tradition: Tradition, instrument: str) -> Tradition:
    """The tradition with one player of one instrument."""
    part = next(part for part in tradition.instruments if part.name == instrument)
    return replace(
        tradition, instruments=(replace(part, presence=1.0, players=(1, 1), enters=None),), ensemble=None, checked=()
    )


def places(tradition: Tradition, performance: Performance) -> np.ndarray:
    """The tatum of the cycle of every stroke."""
    beats = performance.beats
    times = np.array([stroke.time_s for stroke in performance.strokes])
    at = np.interp(times, beats.times_s, np.arange(len(beats)), left=-1, right=len(beats)) + beats.positions[0] - 1
    tatums = np.rint(at * tradition.tatums).astype(int) % tradition.cycle
    return np.where((times < beats.times_s[0] - 0.05) | (times > beats.times_s[-1]), -1, tatums)


def strength(tradition: Tradition, said: Evidence) -> np.ndarray:
    """The summed velocity of the strokes that a source speaks of, at each tatum of the cycle."""
    solo = alone(tradition, said.instrument)
    part = solo.instruments[0]
    patterns = tuple(replace(one, grid=only(said.strokes, one.grid)) for one in part.patterns)
    solo = replace(solo, instruments=(replace(part, patterns=patterns, fill_chance=0.0, call_chance=0.0),))
    total = np.zeros(tradition.cycle)
    for seed in range(12):
        performance = perform(solo, duration_s=40.0, rng=np.random.default_rng(seed))
        for place, stroke in zip(places(solo, performance), performance.strokes, strict=True):
            if place >= 0:
                total[place] += stroke.velocity
    return total / total.max()


def only(strokes: str, grid: str) -> str:
    """A grid with the strokes of some letters; a capital among them keeps accents only."""
    return "".join(letter if letter in strokes or letter.lower() in strokes else "." for letter in grid)


def test_every_tradition_says_what_its_metre_was_checked_against() -> None:
    assert len(TRADITIONS) == 41
    assert [one.name for one in TRADITIONS if not one.checked and not one.unchecked] == []
    assert all(said.source and said.beats for one in TRADITIONS for said in one.checked)


@pytest.mark.parametrize(("tradition", "said"), CASES)
def test_strokes_are_where_the_source_has_them(tradition: Tradition, said: Evidence) -> None:
    found = strength(tradition, said)
    named = {round((beat - 1) * tradition.tatums) for beat in said.beats}
    others = [found[place] for place in range(tradition.cycle) if place not in named]
    assert min(found[place] for place in named) > max(others, default=0.0), np.round(found, 2)


@pytest.mark.parametrize(
    ("name", "instrument", "beats"),
    [
        ("samba", "surdo", (2,)),
        ("marchinha", "surdo", (1,)),
        ("cumbia", "llamador", (1.5, 2.5)),
        ("rumba", "clave", (1, 1.75, 2.75, 3.5, 4)),
        ("bembe", "chekere", (1, 2, 3, 4)),
        ("zamba", "bombo", (1.67, 2.33)),
    ],
)
def test_the_audio_is_strongest_there(name: str, instrument: str, beats: tuple[float, ...]) -> None:
    tradition = alone(read_tradition(name), instrument)
    total, count = np.zeros(tradition.cycle), np.zeros(tradition.cycle)
    for seed in range(4):
        rng = np.random.default_rng(seed)
        performance = perform(tradition, duration_s=20.0, rng=rng)
        stem = synthesise_stems(performance, rng=rng, sounds=synthesise)[instrument][0]
        level = np.sqrt(np.convolve(stem**2, np.ones(RATE // 50) / (RATE // 50), "same"))
        rise = np.maximum(0, level[RATE // 50 :] - level[: -(RATE // 50)])
        times, positions = performance.beats.times_s, performance.beats.positions
        for at, (start, end) in enumerate(pairwise(times)):
            for tatum in range(tradition.tatums):
                middle = round((start + (end - start) * tatum / tradition.tatums) * RATE)
                near = rise[max(0, middle - RATE // 20) : middle + RATE // 20]
                place = (positions[at] - 1) * tradition.tatums + tatum
                total[place] += near.max(initial=0.0)
                count[place] += 1
    mean = total / count
    named = {round((beat - 1) * tradition.tatums) for beat in beats}
    assert min(mean[list(named)]) > max(np.delete(mean, list(named))), np.round(mean / mean.max(), 2)


@pytest.mark.parametrize("seed", range(4))
def test_instruments_of_a_voice_are_in_the_order_of_their_tuning(seed: int) -> None:
    tradition = read_tradition("samba-reggae")
    parts = [replace(part, presence=1.0, players=(1, 1)) for part in tradition.instruments if part.tuning]
    rng = np.random.default_rng(seed)
    performance = perform(replace(tradition, instruments=tuple(parts), ensemble=None), duration_s=12.0, rng=rng)
    assert performance.tunings == {"fundo-1": 1, "fundo-2": 2, "dobra": 3}
    stems = synthesise_stems(performance, rng=rng, sounds=Sine)
    pitches = [peak_hz(stems[part][0]) for part in ("fundo-1", "fundo-2", "dobra")]
    assert pitches == sorted(pitches)


class Sine:
    """A drum of one partial."""

    def __init__(self, _voice: str, rng: np.random.Generator) -> None:
        self.hz = rng.uniform(40, 120)

    def play(self, _stroke: str, *, velocity: float, **_: object) -> np.ndarray:
        time_s = np.arange(RATE) / RATE
        return np.float32(velocity) * np.float32(np.sin(2 * np.pi * self.hz * time_s) * np.exp(-5 * time_s))


def peak_hz(stem: np.ndarray) -> float:
    """The frequency of the strongest partial."""
    return float(np.fft.rfftfreq(len(stem), 1 / RATE)[np.abs(np.fft.rfft(stem)).argmax()])


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"instrument": "caixa"}, "no instrument 'caixa'"),
        ({"strokes": "z"}, "'z' is no stroke"),
        ({"beats": [3]}, "3 is no place"),
        ({"beats": [1.3]}, "1.3 is no place"),
    ],
)
def test_evidence_of_what_is_not_there_is_refused(tmp_path: Path, change: dict[str, object], complaint: str) -> None:
    said = {"instrument": "surdo", "strokes": "x", "beats": [2], "source": "somebody"} | change
    entry = ", ".join(f"{key} = {value!r}".replace("'", '"') for key, value in said.items())
    path = tmp_path / "mine.toml"
    path.write_text(
        f"beats = 2\ntatums = 4\ntempo_bpm = [100, 5]\nchecked = [{{ {entry} }}]\n"
        '[instruments.surdo]\npatterns = ["m... X..."]\nstrokes = { m = "muted" }\n',
        encoding="utf-8",
    )
    with pytest.raises(InputError, match=complaint):
        read_tradition(path)
